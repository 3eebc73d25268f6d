/* The weighers: which of the hosts that fit is best, as a table of pure functions. To add one: its name in enum
 * scheduler_weigher, its function and its row here, and its default in scheduler_settings_default. */
#include "server/scheduler/weighers.h"

#include <string.h>

static int64_t own_or_default(int64_t own, int64_t by_default)
{
	return own >= 0 ? own : by_default;
}

/* Free of what is there: the ratio is not applied, a reservation counts as used (Nova's free_ram_mb). */
static double free_memory(const struct weigher_context *context, const struct host_state *host)
{
	return (double)(host->memory_mb_total - host->memory_mb_used
			- own_or_default(host->memory_mb_reserved, context->settings->reserved_host_memory_mb));
}

static double free_disk(const struct weigher_context *context, const struct host_state *host)
{
	return (double)(host->disk_mb_total - host->disk_mb_used
			- own_or_default(host->disk_mb_reserved, context->settings->reserved_host_disk_mb));
}

static double free_vcpus(const struct weigher_context *context, const struct host_state *host)
{
	double ratio =
		host->cpu_allocation_ratio > 0 ? host->cpu_allocation_ratio : context->settings->cpu_allocation_ratio;

	return (double)host->vcpus_total * ratio - (double)host->vcpus_used;
}

static double io_ops(const struct weigher_context *context, const struct host_state *host)
{
	(void)context;
	return (double)host->num_io_ops;
}

static double hypervisor_version(const struct weigher_context *context, const struct host_state *host)
{
	(void)context;
	return (double)host->hypervisor_version;
}

static double instances(const struct weigher_context *context, const struct host_state *host)
{
	(void)context;
	return (double)host->num_instances;
}

static double members_of(const struct weigher_context *context, const struct host_state *host,
			 enum schedule_group group)
{
	if (!context->members || context->request->group != group)
		return 0;
	return (double)context->members[host - context->hosts];
}

static double group_members(const struct weigher_context *context, const struct host_state *host)
{
	return members_of(context, host, SCHEDULE_GROUP_SOFT_AFFINITY);
}

static double group_strangers(const struct weigher_context *context, const struct host_state *host)
{
	return -members_of(context, host, SCHEDULE_GROUP_SOFT_ANTI_AFFINITY);
}

static double failures(const struct weigher_context *context, const struct host_state *host)
{
	(void)context;
	return (double)host->failed_migrations;
}

const struct weigher scheduler_weighers[SCHEDULER_WEIGHER_COUNT] = {
	[SCHEDULER_WEIGHER_RAM] = { "ram", free_memory, true, false },
	[SCHEDULER_WEIGHER_CPU] = { "cpu", free_vcpus, true, false },
	[SCHEDULER_WEIGHER_DISK] = { "disk", free_disk, true, false },
	[SCHEDULER_WEIGHER_IO_OPS] = { "io_ops", io_ops, true, false },
	[SCHEDULER_WEIGHER_HYPERVISOR_VERSION] = { "hypervisor_version", hypervisor_version, false, false },
	[SCHEDULER_WEIGHER_NUM_INSTANCES] = { "num_instances", instances, false, false },
	[SCHEDULER_WEIGHER_SOFT_AFFINITY] = { "soft_affinity", group_members, false, false },
	[SCHEDULER_WEIGHER_SOFT_ANTI_AFFINITY] = { "soft_anti_affinity", group_strangers, false, false },
	[SCHEDULER_WEIGHER_BUILD_FAILURE] = { "build_failure", failures, false, true },
};

double weigher_share(const struct weigher_scale *scale, double figure)
{
	if (scale->has_floor && figure < 0)
		figure = 0;
	return scale->multiplier * ((figure - scale->low) / scale->range);
}

/* Figures of the candidates and their ends. */
static struct weigher_scale measure(const struct weigher *weigher, const struct weigher_context *context,
				    const uint32_t *candidates, size_t count, double *ret_figures)
{
	double low = 0;
	double high = 0;

	for (size_t i = 0; i < count; i++) {
		double figure = weigher->figure(context, &context->hosts[candidates[i]]);

		if (i == 0 || figure < low)
			low = figure;
		if (i == 0 || figure > high)
			high = figure;
		ret_figures[i] = figure;
	}
	if (weigher->has_floor) {
		low = 0;
		high = high < 0 ? 0 : high;
	}
	return (struct weigher_scale){ .low = low, .range = high - low, .has_floor = weigher->has_floor };
}

struct weigher_scale weigher_add(enum scheduler_weigher number, const struct weigher_context *context,
				 const uint32_t *candidates, size_t count, double *figures, double *weights)
{
	const struct weigher *weigher = &scheduler_weighers[number];
	double multiplier = context->settings->multipliers[number];
	struct weigher_scale scale = { 0 };

	if (!(context->settings->enabled_weighers & (1U << number)) || (multiplier >= 0 && multiplier <= 0))
		return scale;
	scale = measure(weigher, context, candidates, count, figures);
	scale.multiplier = weigher->is_subtracted ? -multiplier : multiplier;
	for (size_t i = 0; scale.range > 0 && i < count; i++)
		weights[i] += weigher_share(&scale, figures[i]);
	return scale;
}

const char *scheduler_weigher_name(enum scheduler_weigher weigher)
{
	return scheduler_weighers[weigher].name;
}

bool scheduler_weigher_by_name(const char *name, enum scheduler_weigher *ret_weigher)
{
	for (int weigher = 0; weigher < SCHEDULER_WEIGHER_COUNT; weigher++)
		if (strcmp(scheduler_weighers[weigher].name, name) == 0) {
			*ret_weigher = (enum scheduler_weigher)weigher;
			return true;
		}
	return false;
}

const struct scheduler_settings scheduler_settings_default = {
	.enabled_filters = (1U << SCHEDULER_FILTER_COUNT) - 1
			   - (1U << SCHEDULER_FILTER_NUM_INSTANCES) - (1U << SCHEDULER_FILTER_IO_OPS),
	.enabled_weighers = (1U << SCHEDULER_WEIGHER_COUNT) - 1,
	.multipliers = {
		[SCHEDULER_WEIGHER_RAM] = 1.0,
		[SCHEDULER_WEIGHER_CPU] = 1.0,
		[SCHEDULER_WEIGHER_DISK] = 1.0,
		[SCHEDULER_WEIGHER_IO_OPS] = -1.0,
		[SCHEDULER_WEIGHER_HYPERVISOR_VERSION] = 1.0,
		[SCHEDULER_WEIGHER_NUM_INSTANCES] = 0.0,
		[SCHEDULER_WEIGHER_SOFT_AFFINITY] = 1.0,
		[SCHEDULER_WEIGHER_SOFT_ANTI_AFFINITY] = 1.0,
		[SCHEDULER_WEIGHER_BUILD_FAILURE] = 1000000.0,
	},
	.cpu_allocation_ratio = 4.0,
	.ram_allocation_ratio = 1.0,
	.disk_allocation_ratio = 1.0,
	.reserved_host_memory_mb = 512,
	.reserved_host_disk_mb = 0,
	.host_subset_size = 1,
	.is_shuffling_equals = false,
	.max_instances_per_host = 50,
	.max_io_ops_per_host = 8,
	.max_attempts = 3,
};
