/* The query of a GET: read into values, checked by a table of what the resource takes, refused in Nova's words. */
#pragma once

#include "api/pattern.h"
#include "api/request.h"

#include <stddef.h>

enum parameter_kind { PARAMETER_TEXT, PARAMETER_LIMIT, PARAMETER_TIME, PARAMETER_PATTERN };

struct parameter_rule {
	const char *name;
	enum parameter_kind kind;
	int since_minor; /* 0: always */
	bool may_repeat; /* checked where unknown ones are refused too */
};

/* What one resource takes. */
struct parameter_table {
	const struct parameter_rule *rules; /* NULL: none */
	size_t count;
	int strict_since_minor; /* from which on unknown ones are refused; before, they are ignored */
};

/* One of each resource; the route table says which. */
extern const struct parameter_table server_parameters;
extern const struct parameter_table migration_parameters;
extern const struct parameter_table hypervisor_parameters;
extern const struct parameter_table service_parameters;
extern const struct parameter_table action_parameters;
extern const struct parameter_table flavor_parameters;
extern const struct parameter_table no_parameters; /* of resources that take none, strict since 2.102 */

struct parameters {
	json_t *values; /* name -> array of texts, in the query's order; owned */
	struct pattern_budget
		pattern_budget; /* of all patterns of the request: those checked here, and those that are then used */
};

/* False: 400 was answered. Checks by the rules in their order, then refuses what no rule names where the table is strict; below
 * its microversion a parameter counts as unknown. */
bool parameters_read(struct request *request, const struct parameter_table *table, struct parameters *ret_parameters);
void parameters_clear(struct parameters *parameters);
#define CLEANUP_PARAMETERS __attribute__((cleanup(parameters_clear)))

/* Compiles the last value as a regular expression that the caller destroys before the parameters are cleared; leaves NULL when
 * there is none. Returns what pattern_compile does. */
int parameter_pattern(struct parameters *parameters, const char *name, struct pattern **ret_pattern);
/* Answers 400: the last value is no regular expression, or reached a bound while it was used. */
int parameter_refuse_pattern(struct request *request, const struct parameters *parameters, const char *name);

/* The last value; NULL when there is none. */
const char *parameter(const struct parameters *parameters, const char *name);
/* The marker of a list of servers or migrations: an empty one counts as none there, as in Nova. */
const char *parameter_marker(const struct parameters *parameters);
/* Microseconds; 0 when there is none. */
int64_t parameter_time_us(const struct parameters *parameters, const char *name);
/* Rows of a page: `limit`, at most the settings' max_limit, which stands also for none. */
int64_t parameter_limit(const struct request *request, const struct parameters *parameters);

/* [{"rel": "next", "href": ...}]: the same query after `marker`; `path` begins behind the version: servers/detail. */
json_t *parameters_next_links(const struct request *request, const struct parameters *parameters, const char *path,
			      const char *marker);
