/* The worker's metrics. */
#include "server/worker/measure.h"

#include "base/cleanup.h"
#include "base/metrics.h"
#include "server/worker/job.h"

/* The first kinds move a guest or settle a move, the others change it where it stands. */
#define MOVE_KINDS   (JOB_REVERT + 1)
#define ACTION_KINDS (JOB_KIND_MAX - MOVE_KINDS)

static const char *const kind_names[] = { "kind" };
static const char *const move_kinds[MOVE_KINDS] = {
	[JOB_LIVE] = "live", [JOB_COLD] = "cold", [JOB_CONFIRM] = "confirm", [JOB_REVERT] = "revert"
};
static const struct metric_labels by_kind = { kind_names, 1, move_kinds, MOVE_KINDS };

static const char *const action_names[] = { "action" };
static const char *const actions[ACTION_KINDS] = {
	[JOB_START - MOVE_KINDS] = "start",
	[JOB_STOP - MOVE_KINDS] = "stop",
	[JOB_PAUSE - MOVE_KINDS] = "pause",
	[JOB_UNPAUSE - MOVE_KINDS] = "unpause",
	[JOB_SUSPEND - MOVE_KINDS] = "suspend",
	[JOB_RESUME - MOVE_KINDS] = "resume",
	[JOB_REBOOT_SOFT - MOVE_KINDS] = "reboot_soft",
	[JOB_REBOOT_HARD - MOVE_KINDS] = "reboot_hard",
};
static const struct metric_labels by_action = { action_names, 1, actions, ACTION_KINDS };

static const char *const outcome_names[] = { "outcome" };
static const char *const outcomes[JOB_OUTCOME_MAX] = {
	[JOB_COMPLETED] = "completed", [JOB_CANCELLED] = "cancelled", [JOB_REFUSED] = "refused",
	[JOB_FAILED] = "failed",       [JOB_LOST] = "lost",
};
static const struct metric_labels by_outcome = { outcome_names, 1, outcomes, JOB_OUTCOME_MAX };

static const char *const reason_names[] = { "reason" };
static const char *const reasons[JOB_FAILURE_MAX] = {
	[JOB_FAILURE_NO_HOST] = "no_host", [JOB_FAILURE_TIMEOUT] = "timeout", [JOB_FAILURE_STALLED] = "stalled",
	[JOB_FAILURE_HOST] = "host",       [JOB_FAILURE_LOST] = "lost",
};
static const struct metric_labels by_reason = { reason_names, 1, reasons, JOB_FAILURE_MAX };

enum { BYTES_OF_MEMORY, BYTES_OF_DISKS, BYTES_MAX };
static const char *const part_names[] = { "part" };
static const char *const parts[BYTES_MAX] = { [BYTES_OF_MEMORY] = "memory", [BYTES_OF_DISKS] = "disk" };
static const struct metric_labels by_part = { part_names, 1, parts, BYTES_MAX };

static const int64_t move_bounds_us[] = { 1000000,   5000000,   15000000,   30000000,   60000000,   120000000,
					  300000000, 600000000, 1200000000, 3600000000, 14400000000 };
static const int64_t downtime_bounds_ms[] = { 10, 25, 50, 100, 200, 300, 500, 1000, 2000, 5000, 15000 };
static const int64_t pass_bounds_us[] = { 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 1000000 };

#define HISTOGRAM(bounds_array, unit)                                                                                  \
	.type = METRIC_HISTOGRAM, .scale = (unit), .bounds = (bounds_array), .bound_count = ARRAY_LENGTH(bounds_array)

static const struct metric_definition moves = {
	.name = "migrationd_moves_total",
	.help = "Moves that ended, and their confirms and reverts: completed, cancelled by a user, refused since no "
		"host "
		"would have the server, failed with the server as it was before, or lost with the server in ERROR.",
	.type = METRIC_COUNTER,
	.labels = { &by_kind, &by_outcome },
};
static const struct metric_definition failures = {
	.name = "migrationd_move_failures_total",
	.help = "Moves that were refused, failed or lost, by the class of the cause.",
	.type = METRIC_COUNTER,
	.labels = { &by_kind, &by_reason },
};
static const struct metric_definition power_actions = {
	.name = "migrationd_power_actions_total",
	.help = "Servers that were started, stopped, paused and the like, by how that ended.",
	.type = METRIC_COUNTER,
	.labels = { &by_action, &by_outcome },
};
static const struct metric_definition move_seconds = {
	.name = "migrationd_move_duration_seconds",
	.help = "Time from the request for a move until it completed, its waiting included.",
	.labels = { &by_kind },
	HISTOGRAM(move_bounds_us, 1e-6),
};
static const struct metric_definition downtime_seconds = {
	.name = "migrationd_live_migration_downtime_seconds",
	.help = "How long guests stood still in completed live migrations.",
	HISTOGRAM(downtime_bounds_ms, 1e-3),
};
static const struct metric_definition bytes = {
	.name = "migrationd_live_migration_bytes_total",
	.help = "Bytes that completed live migrations moved.",
	.type = METRIC_COUNTER,
	.labels = { &by_part },
};
static const struct metric_definition pass_seconds = {
	.name = "migrationd_scheduler_pass_duration_seconds",
	.help = "Time of one choice of a target among all hosts, with its claim.",
	HISTOGRAM(pass_bounds_us, 1e-6),
};

int worker_measures_register(struct metrics *metrics, struct worker_measures *ret_measures, struct error *error)
{
	const struct metric_place places[] = {
		{ &moves, &ret_measures->moves },
		{ &failures, &ret_measures->failures },
		{ &power_actions, &ret_measures->actions },
		{ &move_seconds, &ret_measures->move_seconds },
		{ &downtime_seconds, &ret_measures->downtime_seconds },
		{ &bytes, &ret_measures->bytes },
		{ &pass_seconds, &ret_measures->pass_seconds },
		{ 0 },
	};

	return metrics_register_all(metrics, places, error);
}

void measure_disks(struct job_run *run, const struct move_progress *progress)
{
	if (progress->disk_total > run->measure.disk_bytes)
		run->measure.disk_bytes = progress->disk_total;
}

void measure_live(struct job_run *run, const struct move_progress *totals)
{
	run->measure.has_moved_live = true;
	run->measure.downtime_ms = totals->downtime_ms;
	run->measure.memory_bytes = totals->memory_processed;
	measure_disks(run, totals);
}

static void measure_completed(const struct worker_measures *measures, const struct job_run *run, enum job_kind kind)
{
	const struct job_measure *measure = &run->measure;
	int64_t took_us = run->job.finished_us - run->job.created_us;

	metric_observe(measures->move_seconds, kind, took_us > 0 ? took_us : 0);
	if (!measure->has_moved_live)
		return;
	metric_observe(measures->downtime_seconds, 0, measure->downtime_ms);
	metric_add(measures->bytes, BYTES_OF_MEMORY, measure->memory_bytes);
	metric_add(measures->bytes, BYTES_OF_DISKS, measure->disk_bytes);
}

void measure_end(const struct job_run *run)
{
	const struct worker_measures *measures = &run->worker->measures;
	const struct job_measure *measure = &run->measure;
	enum job_kind kind;

	if (!job_kind_by_name(run->job.kind, &kind))
		return;
	if (kind >= MOVE_KINDS) {
		metric_add(measures->actions, metric_series(measures->actions, kind - MOVE_KINDS, measure->outcome), 1);
		return;
	}
	metric_add(measures->moves, metric_series(measures->moves, kind, measure->outcome), 1);
	if (measure->outcome == JOB_COMPLETED)
		measure_completed(measures, run, kind);
	else if (measure->outcome != JOB_CANCELLED)
		metric_add(measures->failures, metric_series(measures->failures, kind, measure->failure), 1);
}

void measure_pass(const struct job_run *run, int64_t took_us)
{
	metric_observe(run->worker->measures.pass_seconds, 0, took_us);
}
