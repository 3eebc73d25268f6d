/* The one difficulty: choices wait while the hosts are looked at, so that the numbers are copied there and written as text
 * afterwards. Capacities have ratios and reservations applied: what guests may have in all. */
#include "server/fleet_metrics.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/metrics.h"
#include "base/text.h"
#include "db/hosts.h"
#include "server/scheduler/scheduler.h"
#include "server/worker/worker.h"

#define MIB (1024.0 * 1024)

/* What is told of one host, and summed. */
enum figure {
	VCPUS_CAPACITY,
	VCPUS_USED,
	MEMORY_CAPACITY,
	MEMORY_USED,
	DISK_CAPACITY,
	DISK_USED,
	SERVERS,
	MOVES,
	FIGURE_MAX,
};

struct host_figures {
	char name[DB_NAME_SIZE];
	bool is_up;
	bool is_enabled;
	double values[FIGURE_MAX];
};

struct fleet {
	size_t hosts_max;
	struct host_figures *hosts; /* NULL: sums alone */
	size_t count;
	double sums[FIGURE_MAX];
	double free_vcpus, free_memory, free_disk; /* on hosts that are up and enabled: what a new guest may find */
};

static double positive(double value)
{
	return value > 0 ? value : 0;
}

static void read_host(const struct host_state *host, const struct scheduler_settings *settings,
		      struct host_figures *ret_figures)
{
	struct host_capacity capacity = scheduler_capacity(settings, host);

	ret_figures->is_up = host->is_up && !host->is_forced_down;
	ret_figures->is_enabled = !host->is_disabled;
	ret_figures->values[VCPUS_CAPACITY] = positive((double)capacity.vcpus);
	ret_figures->values[VCPUS_USED] = (double)host->vcpus_used;
	ret_figures->values[MEMORY_CAPACITY] = positive((double)capacity.memory_mb) * MIB;
	ret_figures->values[MEMORY_USED] = (double)host->memory_mb_used * MIB;
	ret_figures->values[DISK_CAPACITY] = positive((double)capacity.disk_mb) * MIB;
	ret_figures->values[DISK_USED] = (double)host->disk_mb_used * MIB;
	ret_figures->values[SERVERS] = (double)host->num_instances;
	ret_figures->values[MOVES] = (double)host->num_io_ops;
}

static void add_host(struct fleet *fleet, const struct host_figures *host)
{
	const double *values = host->values;

	for (size_t i = 0; i < FIGURE_MAX; i++)
		fleet->sums[i] += values[i];
	if (!host->is_up || !host->is_enabled)
		return;
	fleet->free_vcpus += positive(values[VCPUS_CAPACITY] - values[VCPUS_USED]);
	fleet->free_memory += positive(values[MEMORY_CAPACITY] - values[MEMORY_USED]);
	fleet->free_disk += positive(values[DISK_CAPACITY] - values[DISK_USED]);
}

/* While choices wait. */
static void look(void *context, const struct host_state *hosts, size_t count, const struct scheduler_settings *settings)
{
	struct fleet *fleet = context;

	fleet->count = count;
	if (count <= fleet->hosts_max)
		fleet->hosts = calloc(count + 1, sizeof(*fleet->hosts));
	for (size_t i = 0; i < count; i++) {
		struct host_figures figures;
		struct host_figures *place = fleet->hosts ? &fleet->hosts[i] : &figures;

		read_host(&hosts[i], settings, place);
		if (fleet->hosts)
			TEXT_COPY(place->name, hosts[i].name);
		add_host(fleet, place);
	}
}

static void write_fleet(const struct fleet *fleet, struct text *text)
{
	const struct {
		const char *name, *help;
		double value;
	} rows[] = {
		{ "migrationd_servers", "Servers on all hosts.", fleet->sums[SERVERS] },
		{ "migrationd_fleet_vcpus_capacity", "vCPUs that guests may have on all hosts, ratios applied.",
		  fleet->sums[VCPUS_CAPACITY] },
		{ "migrationd_fleet_vcpus_used", "vCPUs that servers and moves under way take.",
		  fleet->sums[VCPUS_USED] },
		{ "migrationd_fleet_vcpus_free", "vCPUs that are left on hosts that are up and enabled.",
		  fleet->free_vcpus },
		{ "migrationd_fleet_memory_capacity_bytes",
		  "Memory that guests may have on all hosts, ratios and reservations applied.",
		  fleet->sums[MEMORY_CAPACITY] },
		{ "migrationd_fleet_memory_used_bytes", "Memory that servers and moves under way take.",
		  fleet->sums[MEMORY_USED] },
		{ "migrationd_fleet_memory_free_bytes", "Memory that is left on hosts that are up and enabled.",
		  fleet->free_memory },
		{ "migrationd_fleet_disk_capacity_bytes",
		  "Disk that guests may have on all hosts, ratios and reservations applied.",
		  fleet->sums[DISK_CAPACITY] },
		{ "migrationd_fleet_disk_used_bytes", "Disk that servers and moves under way take.",
		  fleet->sums[DISK_USED] },
		{ "migrationd_fleet_disk_free_bytes", "Disk that is left on hosts that are up and enabled.",
		  fleet->free_disk },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		metric_write_one(text, rows[i].name, METRIC_GAUGE, rows[i].help, rows[i].value);
}

static void write_host_family(const struct fleet *fleet, const char *name, const char *help,
			      double (*value)(const struct host_figures *host, size_t figure), size_t figure,
			      struct text *text)
{
	metric_write_head(text, name, METRIC_GAUGE, help);
	for (size_t i = 0; i < fleet->count; i++) {
		const struct metric_label labels[] = { { "host", fleet->hosts[i].name }, { 0 } };

		metric_write(text, name, labels, value(&fleet->hosts[i], figure));
	}
}

static double figure_of(const struct host_figures *host, size_t figure)
{
	return host->values[figure];
}

static double is_up(const struct host_figures *host, size_t figure)
{
	(void)figure;
	return host->is_up;
}

static double is_enabled(const struct host_figures *host, size_t figure)
{
	(void)figure;
	return host->is_enabled;
}

static void write_hosts(const struct fleet *fleet, struct text *text)
{
	static const struct {
		const char *name, *help;
		double (*value)(const struct host_figures *host, size_t figure);
		size_t figure;
	} rows[] = {
		{ "migrationd_host_up", "1 where the host answers.", is_up, 0 },
		{ "migrationd_host_enabled", "1 where the host may be chosen.", is_enabled, 0 },
		{ "migrationd_host_vcpus_capacity", "vCPUs that guests may have there.", figure_of, VCPUS_CAPACITY },
		{ "migrationd_host_vcpus_used", "vCPUs that are taken there.", figure_of, VCPUS_USED },
		{ "migrationd_host_memory_capacity_bytes", "Memory that guests may have there.", figure_of,
		  MEMORY_CAPACITY },
		{ "migrationd_host_memory_used_bytes", "Memory that is taken there.", figure_of, MEMORY_USED },
		{ "migrationd_host_disk_capacity_bytes", "Disk that guests may have there.", figure_of, DISK_CAPACITY },
		{ "migrationd_host_disk_used_bytes", "Disk that is taken there.", figure_of, DISK_USED },
		{ "migrationd_host_servers", "Servers that stand there.", figure_of, SERVERS },
		{ "migrationd_host_moves", "Moves under way from or to it.", figure_of, MOVES },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		write_host_family(fleet, rows[i].name, rows[i].help, rows[i].value, rows[i].figure, text);
}

void fleet_metrics_write(struct worker *worker, int64_t hosts_max, struct text *text)
{
	struct fleet fleet = { .hosts_max = (size_t)hosts_max };

	worker_look_at_hosts(worker, look, &fleet);
	write_fleet(&fleet, text);
	if (fleet.hosts && fleet.count > 0)
		write_hosts(&fleet, text);
	free(fleet.hosts);
}
