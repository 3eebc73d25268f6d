/* The filters: which hosts cannot take the server, as a table of pure functions. To add one: its name in enum
 * scheduler_filter, its function and its row here, and, if none of the causes fits, the words in explain.c. */
#include "server/scheduler/filters.h"

#include <string.h>

#include "base/cleanup.h"

static bool refuse(struct schedule_verdict *verdict, enum verdict_cause cause)
{
	verdict->cause = (uint8_t)cause;
	return false;
}

uint32_t filter_missing_name(const struct name_list *needs, const struct name_list *collection)
{
	if (!collection->is_known)
		return NONE_MISSING;
	for (size_t i = 0; i < needs->count; i++) {
		size_t low = 0;
		size_t high = collection->count;
		int order = 1;

		while (low < high && order != 0) {
			size_t middle = low + (high - low) / 2;

			order = strcmp(collection->names[middle], needs->names[i]);
			if (order < 0)
				low = middle + 1;
			else
				high = middle;
		}
		if (order != 0)
			return (uint32_t)i;
	}
	return NONE_MISSING;
}

static bool has_names(const struct filter_context *context, const struct host_state *host, enum host_set set,
		      struct schedule_verdict *verdict)
{
	const struct name_list *needs = &context->request->needs[set];
	uint32_t missing;

	if (needs->count == 0)
		return true;
	missing = context->missing[set]
			  ? context->missing[set][host->sets[set]]
			  : filter_missing_name(needs, host_table_set(context->table, set, host->sets[set]));
	if (missing == NONE_MISSING)
		return true;
	verdict->set = (uint8_t)set;
	verdict->name = missing;
	return refuse(verdict, CAUSE_MISSING_NAME);
}

/* Nothing is moved to where it is. */
static bool is_not_source(const struct filter_context *context, const struct host_state *host,
			  struct schedule_verdict *verdict)
{
	return host->id != context->request->source_host_id || refuse(verdict, CAUSE_IS_SOURCE);
}

static bool is_not_left_out(const struct filter_context *context, const struct host_state *host,
			    struct schedule_verdict *verdict)
{
	uint32_t index = context->left_out ? context->left_out[host - context->hosts] : NOT_LEFT_OUT;

	if (index == NOT_LEFT_OUT)
		return true;
	verdict->name = index;
	return refuse(verdict, CAUSE_LEFT_OUT);
}

static bool is_up(const struct filter_context *context, const struct host_state *host, struct schedule_verdict *verdict)
{
	(void)context;
	if (host->is_forced_down)
		return refuse(verdict, CAUSE_FORCED_DOWN);
	return host->is_up || refuse(verdict, CAUSE_DOWN);
}

static bool is_up_and_enabled(const struct filter_context *context, const struct host_state *host,
			      struct schedule_verdict *verdict)
{
	if (!is_up(context, host, verdict))
		return false;
	return !host->is_disabled || refuse(verdict, CAUSE_DISABLED);
}

static bool has_guest_type(const struct filter_context *context, const struct host_state *host,
			   struct schedule_verdict *verdict)
{
	return has_names(context, host, HOST_SET_GUEST_TYPES, verdict)
	       && has_names(context, host, HOST_SET_MACHINES, verdict);
}

/* A running guest's state is understood by an equal or newer hypervisor; a cold one starts anew on any. */
static bool has_hypervisor(const struct filter_context *context, const struct host_state *host,
			   struct schedule_verdict *verdict)
{
	const struct schedule_request *request = context->request;

	if (!has_names(context, host, HOST_SET_HYPERVISORS, verdict))
		return false;
	if (!request->is_live || host->hypervisor_version <= 0
	    || host->hypervisor_version >= request->source_hypervisor_version)
		return true;
	verdict->needed = request->source_hypervisor_version;
	verdict->total = host->hypervisor_version;
	return refuse(verdict, CAUSE_OLDER_HYPERVISOR);
}

/* Of guests that have their host's own CPU; all others are compared by the target itself. */
static bool has_cpu(const struct filter_context *context, const struct host_state *host,
		    struct schedule_verdict *verdict)
{
	return has_names(context, host, HOST_SET_HOST_CPU, verdict);
}

static bool has_networks(const struct filter_context *context, const struct host_state *host,
			 struct schedule_verdict *verdict)
{
	return has_names(context, host, HOST_SET_NETWORKS, verdict);
}

static bool has_storage(const struct filter_context *context, const struct host_state *host,
			struct schedule_verdict *verdict)
{
	return has_names(context, host, HOST_SET_POOLS, verdict);
}

static bool has_migration_address(const struct filter_context *context, const struct host_state *host,
				  struct schedule_verdict *verdict)
{
	return !context->request->is_live || host->has_migration_address || refuse(verdict, CAUSE_NO_MIGRATION_ADDRESS);
}

static bool has_pinned_cpus(const struct filter_context *context, const struct host_state *host,
			    struct schedule_verdict *verdict)
{
	if (context->request->highest_pinned_cpu < host->vcpus_total)
		return true;
	verdict->needed = context->request->highest_pinned_cpu;
	verdict->total = host->vcpus_total;
	return refuse(verdict, CAUSE_CPU_NUMBER);
}

/* As Placement: no more than the host has at all, and no more than its ratio leaves. */
static bool has_room(int64_t needed, int64_t total, int64_t limit, int64_t used, struct schedule_verdict *verdict)
{
	if (needed <= 0 || (needed <= total && needed <= limit - used))
		return true;
	verdict->needed = needed;
	verdict->total = total;
	verdict->limit = limit;
	verdict->used = used;
	return refuse(verdict, needed > total ? CAUSE_HOST_TOO_SMALL : CAUSE_TOO_LITTLE_FREE);
}

static int64_t capacity_of(int64_t total, int64_t reserved, int64_t reserved_by_default, double ratio,
			   double ratio_by_default)
{
	int64_t usable = total - (reserved >= 0 ? reserved : reserved_by_default);

	return usable > 0 ? (int64_t)((double)usable * (ratio > 0 ? ratio : ratio_by_default)) : 0;
}

static int64_t vcpu_capacity(const struct scheduler_settings *settings, const struct host_state *host)
{
	return capacity_of(host->vcpus_total, 0, 0, host->cpu_allocation_ratio, settings->cpu_allocation_ratio);
}

static int64_t memory_capacity_mb(const struct scheduler_settings *settings, const struct host_state *host)
{
	return capacity_of(host->memory_mb_total, host->memory_mb_reserved, settings->reserved_host_memory_mb,
			   host->ram_allocation_ratio, settings->ram_allocation_ratio);
}

static int64_t disk_capacity_mb(const struct scheduler_settings *settings, const struct host_state *host)
{
	return capacity_of(host->disk_mb_total, host->disk_mb_reserved, settings->reserved_host_disk_mb,
			   host->disk_allocation_ratio, settings->disk_allocation_ratio);
}

struct host_capacity scheduler_capacity(const struct scheduler_settings *settings, const struct host_state *host)
{
	return (struct host_capacity){
		.vcpus = vcpu_capacity(settings, host),
		.memory_mb = memory_capacity_mb(settings, host),
		.disk_mb = disk_capacity_mb(settings, host),
	};
}

static bool has_vcpus(const struct filter_context *context, const struct host_state *host,
		      struct schedule_verdict *verdict)
{
	return has_room(context->request->vcpus, host->vcpus_total, vcpu_capacity(context->settings, host),
			host->vcpus_used, verdict);
}

static bool has_memory(const struct filter_context *context, const struct host_state *host,
		       struct schedule_verdict *verdict)
{
	return has_room(context->request->memory_mb, host->memory_mb_total, memory_capacity_mb(context->settings, host),
			host->memory_mb_used, verdict);
}

static bool has_disk(const struct filter_context *context, const struct host_state *host,
		     struct schedule_verdict *verdict)
{
	return has_room(context->request->disk_mb, host->disk_mb_total, disk_capacity_mb(context->settings, host),
			host->disk_mb_used, verdict);
}

static bool is_below(int64_t used, int64_t limit, struct schedule_verdict *verdict)
{
	if (used < limit)
		return true;
	verdict->used = used;
	verdict->limit = limit;
	return refuse(verdict, CAUSE_LIMIT_REACHED);
}

static bool has_few_instances(const struct filter_context *context, const struct host_state *host,
			      struct schedule_verdict *verdict)
{
	return is_below(host->num_instances, context->settings->max_instances_per_host, verdict);
}

static bool has_few_io_ops(const struct filter_context *context, const struct host_state *host,
			   struct schedule_verdict *verdict)
{
	return is_below(host->num_io_ops, context->settings->max_io_ops_per_host, verdict);
}

const struct filter scheduler_filters[SCHEDULER_FILTER_COUNT] = {
	[SCHEDULER_FILTER_NONE] = { .name = "none" },
	[SCHEDULER_FILTER_DIFFERENT_HOST] = { "DifferentHostFilter", is_not_source, true, true, NULL },
	[SCHEDULER_FILTER_RETRY] = { "RetryFilter", is_not_left_out, true, false, NULL },
	[SCHEDULER_FILTER_COMPUTE] = { "ComputeFilter", is_up_and_enabled, true, true, is_up },
	[SCHEDULER_FILTER_IMAGE_PROPERTIES] = { "ImagePropertiesFilter", has_guest_type, false, false, NULL },
	[SCHEDULER_FILTER_HYPERVISOR_VERSION] = { "HypervisorVersionFilter", has_hypervisor, false, true, NULL },
	[SCHEDULER_FILTER_CPU_COMPATIBILITY] = { "CpuCompatibilityFilter", has_cpu, false, false, NULL },
	[SCHEDULER_FILTER_NETWORK] = { "NetworkFilter", has_networks, false, false, NULL },
	[SCHEDULER_FILTER_STORAGE] = { "StorageFilter", has_storage, false, false, NULL },
	[SCHEDULER_FILTER_MIGRATION_ADDRESS] = { "MigrationAddressFilter", has_migration_address, false, false, NULL },
	[SCHEDULER_FILTER_CPU_PINNING] = { "CpuPinningFilter", has_pinned_cpus, false, false, NULL },
	[SCHEDULER_FILTER_CORE] = { "CoreFilter", has_vcpus, true, false, NULL },
	[SCHEDULER_FILTER_RAM] = { "RamFilter", has_memory, true, true, NULL },
	[SCHEDULER_FILTER_DISK] = { "DiskFilter", has_disk, true, false, NULL },
	[SCHEDULER_FILTER_NUM_INSTANCES] = { "NumInstancesFilter", has_few_instances, false, false, NULL },
	[SCHEDULER_FILTER_IO_OPS] = { "IoOpsFilter", has_few_io_ops, false, false, NULL },
};

const char *scheduler_filter_name(enum scheduler_filter filter)
{
	return scheduler_filters[filter].name;
}

bool scheduler_filter_by_name(const char *name, enum scheduler_filter *ret_filter)
{
	for (int filter = SCHEDULER_FILTER_NONE + 1; filter < SCHEDULER_FILTER_COUNT; filter++)
		if (strcmp(scheduler_filters[filter].name, name) == 0) {
			*ret_filter = (enum scheduler_filter)filter;
			return true;
		}
	return false;
}
