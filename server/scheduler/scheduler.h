/* Choosing a target: filters leave out the hosts that cannot take a server, weighers order the others. Both are tables
 * of small pure functions over the host table (filters.c, weighers.c); nothing here waits, reads or writes anything.
 *
 *     struct schedule_request request = SCHEDULE_REQUEST_DEFAULT;
 *     request.is_live = true; request.source_host_id = 3; request.vcpus = 2; request.memory_mb = 2048; ...
 *     CLEANUP_SCHEDULE struct schedule_result result = { 0 };
 *     scheduler_select(table, &settings, &request, &result, error);
 *     if (result.choice_count == 0)
 *         schedule_explain_refusal(table, &request, &result, SCHEDULE_NOT_ENOUGH_HOSTS, SCHEDULE_FOR_ADMINS, &text);
 *     else
 *         ... try result.choices[0], then [1], ...
 *
 * The host's verdict is kept as numbers and turned into words only when somebody asks. The same table, settings, request
 * and seed always give the same result. Nothing of one request is remembered for another.
 */
#pragma once

#include "server/scheduler/host_state.h"

struct error;
struct text;

/* By Nova's names. The table of what each does is filters.c. */
enum scheduler_filter {
	SCHEDULER_FILTER_NONE, /* not refused */
	SCHEDULER_FILTER_DIFFERENT_HOST,
	SCHEDULER_FILTER_RETRY,
	SCHEDULER_FILTER_COMPUTE,
	SCHEDULER_FILTER_IMAGE_PROPERTIES,
	SCHEDULER_FILTER_HYPERVISOR_VERSION,
	SCHEDULER_FILTER_CPU_COMPATIBILITY,
	SCHEDULER_FILTER_NETWORK,
	SCHEDULER_FILTER_STORAGE,
	SCHEDULER_FILTER_MIGRATION_ADDRESS,
	SCHEDULER_FILTER_CPU_PINNING,
	SCHEDULER_FILTER_CORE,
	SCHEDULER_FILTER_RAM,
	SCHEDULER_FILTER_DISK,
	SCHEDULER_FILTER_NUM_INSTANCES,
	SCHEDULER_FILTER_IO_OPS,
	SCHEDULER_FILTER_COUNT
};

/* In the order in which they are added up. */
enum scheduler_weigher {
	SCHEDULER_WEIGHER_RAM,
	SCHEDULER_WEIGHER_CPU,
	SCHEDULER_WEIGHER_DISK,
	SCHEDULER_WEIGHER_IO_OPS,
	SCHEDULER_WEIGHER_HYPERVISOR_VERSION,
	SCHEDULER_WEIGHER_NUM_INSTANCES,
	SCHEDULER_WEIGHER_SOFT_AFFINITY,
	SCHEDULER_WEIGHER_SOFT_ANTI_AFFINITY,
	SCHEDULER_WEIGHER_BUILD_FAILURE,
	SCHEDULER_WEIGHER_COUNT
};

/* Sections [filter_scheduler] and [DEFAULT] of Nova; names by scheduler_filter_name and scheduler_weigher_name. */
struct scheduler_settings {
	uint32_t enabled_filters; /* 1 << enum scheduler_filter; those that safety needs are always on */
	uint32_t enabled_weighers; /* 1 << enum scheduler_weigher */
	double multipliers[SCHEDULER_WEIGHER_COUNT]; /* ram_weight_multiplier … */
	double cpu_allocation_ratio; /* > 0; for hosts without their own, as all below */
	double ram_allocation_ratio;
	double disk_allocation_ratio;
	int64_t reserved_host_memory_mb;
	int64_t reserved_host_disk_mb;
	int64_t host_subset_size; /* >= 1: one of so many best ones is taken at random */
	bool is_shuffling_equals; /* shuffle_best_same_weighed_hosts */
	int64_t max_instances_per_host; /* NumInstancesFilter, which is off unless enabled */
	int64_t max_io_ops_per_host; /* IoOpsFilter, which is off unless enabled */
	int64_t max_attempts; /* cold: hosts that are tried; read by the dispatcher, not here */
};

extern const struct scheduler_settings scheduler_settings_default; /* newest Nova's defaults */

const char *scheduler_filter_name(enum scheduler_filter filter); /* "RamFilter" */
const char *scheduler_weigher_name(enum scheduler_weigher weigher); /* "ram"; NAME_weight_multiplier is its setting */
/* False when there is no such name. */
bool scheduler_filter_by_name(const char *name, enum scheduler_filter *ret_filter);
bool scheduler_weigher_by_name(const char *name, enum scheduler_weigher *ret_weigher);

/* A host that is not to be taken any more, with why: it was tried for this move and could not. */
struct schedule_left_out {
	int64_t host_id;
	const char *reason; /* a short sentence for the texts; NULL: "was tried already" */
};

enum schedule_group { SCHEDULE_GROUP_NONE, SCHEDULE_GROUP_SOFT_AFFINITY, SCHEDULE_GROUP_SOFT_ANTI_AFFINITY };

/* Members of the server's group that stand on a host; hosts that are not named have none. */
struct schedule_group_place {
	int64_t host_id;
	int64_t members;
};

/* All pointers are the caller's and are needed again by the texts. */
struct schedule_request {
	bool is_live;
	int64_t vcpus;
	int64_t memory_mb;
	int64_t disk_mb; /* root, ephemeral and swap */
	int64_t source_host_id;
	int64_t requested_host_id; /* 0: any; else the only one that is looked at */
	int64_t source_hypervisor_version; /* 0: not known */
	int64_t highest_pinned_cpu; /* the highest host CPU number that the guest is pinned to; -1: not pinned */
	struct name_list needs[HOST_SET_COUNT]; /* what the guest asks for; `is_known` is not read */
	const struct schedule_left_out *left_out;
	size_t left_out_count;
	enum schedule_group group;
	const struct schedule_group_place *group_places;
	size_t group_place_count;
	uint64_t random_seed; /* decides wherever chance does */
	size_t choices_max; /* how many hosts are wanted, best first; 0: all (sorting 10,000 costs about 1 ms) */
};

#define SCHEDULE_REQUEST_DEFAULT ((struct schedule_request){ .highest_pinned_cpu = -1, .choices_max = 16 })

/* Why a filter refused a host. Which members count is the filter's affair (filters.c). */
struct schedule_verdict {
	int64_t host_id;
	uint8_t filter; /* enum scheduler_filter; NONE: passed */
	uint8_t cause; /* of the filter: its words */
	uint8_t set; /* enum host_set, of filters about names */
	uint32_t name; /* index of the missing name in needs[set], or of the host in left_out */
	int64_t needed;
	int64_t limit; /* capacity: ratio and reservation applied */
	int64_t used;
	int64_t total;
};

struct schedule_choice {
	int64_t host_id;
	double weight;
	double shares[SCHEDULER_WEIGHER_COUNT]; /* multiplier × normalised; their sum is the weight */
};

struct schedule_result {
	struct schedule_choice *choices; /* best first; owned */
	size_t choice_count;
	size_t candidate_count; /* hosts that passed; choices may be fewer */
	struct schedule_verdict *verdicts; /* one per host that was looked at, by host id; owned */
	size_t verdict_count;
};

void schedule_result_clear(struct schedule_result *result);
#define CLEANUP_SCHEDULE __attribute__((cleanup(schedule_result_clear)))

/* Fills the result, also when no host is left (then choice_count is 0). Of the table only its scratch memory changes.
 * -ENOMEM. */
int scheduler_select(struct host_table *table, const struct scheduler_settings *settings,
		     const struct schedule_request *request, struct schedule_result *ret_result, struct error *error);

/* What is still checked for a host that was forced (below 2.30, or `force`): not the source, up (disabled is accepted),
 * enough memory, the same hypervisor type, for live not an older one. filter NONE: accepted. */
struct schedule_verdict scheduler_check_forced(const struct host_table *table,
					       const struct scheduler_settings *settings,
					       const struct schedule_request *request, const struct host_state *host);

/* What a host may hold in all, ratios and reservations applied: the same numbers for the filters and for the claim. */
struct host_capacity {
	int64_t vcpus;
	int64_t memory_mb;
	int64_t disk_mb;
};
struct host_capacity scheduler_capacity(const struct scheduler_settings *settings, const struct host_state *host);

/* Texts (explain.c). They are appended to `text`; the table is the one of the choice, though it may have changed since. */

#define SCHEDULE_NOT_ENOUGH_HOSTS "There are not enough hosts available."
#define SCHEDULE_NO_HOST_FOR_COLD "No valid host found for cold migrate"

/* Who may read hosts' names. */
enum schedule_audience { SCHEDULE_FOR_ADMINS, SCHEDULE_FOR_OTHERS };

/* "No valid host was found. SENTENCE compute-1: RamFilter: …; compute-2: …", at most 100 hosts by name, the others counted;
 * for others than admins each filter that refused, once: "No valid host was found. SENTENCE RamFilter: not enough memory". */
void schedule_explain_refusal(const struct host_table *table, const struct schedule_request *request,
			      const struct schedule_result *result, const char *sentence,
			      enum schedule_audience audience, struct text *text);
/* One verdict: "RamFilter: 4096 MiB of memory are needed, 512 of 7680 are free". `host` may be NULL. */
void schedule_explain_verdict(const struct schedule_request *request, const struct schedule_verdict *verdict,
			      const struct host_state *host, struct text *text);
/* One line: "compute-2, weight 2.41 (ram 1.00, cpu 0.91, disk 0.50), best of 3". */
void schedule_explain_choice(const struct host_table *table, const struct schedule_result *result, size_t choice,
			     struct text *text);
