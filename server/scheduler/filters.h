/* Inside the scheduler: what filters are given and which causes they name. */
#pragma once

#include "server/scheduler/scheduler.h"

/* Why a filter refuses; the words stand in explain.c. */
enum verdict_cause {
	CAUSE_NONE,
	CAUSE_IS_SOURCE,
	CAUSE_LEFT_OUT, /* name: index in left_out */
	CAUSE_FORCED_DOWN,
	CAUSE_DOWN,
	CAUSE_DISABLED,
	CAUSE_MISSING_NAME, /* set and name: index in needs[set] */
	CAUSE_OLDER_HYPERVISOR, /* needed, total: versions */
	CAUSE_NO_MIGRATION_ADDRESS,
	CAUSE_CPU_NUMBER, /* needed: the highest number, total: CPUs of the host */
	CAUSE_HOST_TOO_SMALL, /* needed, total: the host has less than that, whatever the ratio */
	CAUSE_TOO_LITTLE_FREE, /* needed, limit, used, total */
	CAUSE_LIMIT_REACHED, /* used, limit */
	CAUSE_COUNT
};

#define NOT_LEFT_OUT UINT32_MAX
#define NONE_MISSING UINT32_MAX

/* What is the same for all hosts of a request, and what was found out once for all of them. */
struct filter_context {
	const struct host_table *table;
	const struct host_state *hosts; /* the table's array */
	const struct scheduler_settings *settings;
	const struct schedule_request *request;
	const uint32_t *left_out; /* by place in `hosts`: index in left_out or NOT_LEFT_OUT; NULL: nobody is */
	const uint32_t *missing[HOST_SET_COUNT]; /* by number of a collection: index of the first needed name that is
						  * not in it, or NONE_MISSING; NULL: looked up when asked */
};

/* True when the host passes; else cause and figures are filled (host and filter by the caller). */
typedef bool filter_function(const struct filter_context *context, const struct host_state *host,
			     struct schedule_verdict *ret_verdict);

struct filter {
	const char *name;
	filter_function *passes;
	bool is_always_on; /* safety needs it: it cannot be left out of enabled_filters */
	bool is_for_forced; /* also asked for a forced host, then by `passes_forced` where there is one */
	filter_function *passes_forced;
};

/* By enum scheduler_filter; the first, NONE, has no function. They are asked in this order. */
extern const struct filter scheduler_filters[SCHEDULER_FILTER_COUNT];

/* Index of the first name of `needs` that is not in the sorted collection, NONE_MISSING when all are or when the
 * collection is not known. */
uint32_t filter_missing_name(const struct name_list *needs, const struct name_list *collection);
