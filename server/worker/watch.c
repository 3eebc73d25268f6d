/* The watch over a guest that moves. Its rules are Nova's (downtime in steps, completion timeout and its action, the switch
 * to post-copy) and one of ours: a stream of which not one byte moved for a while is ended, since nobody else notices. In
 * post-copy nothing can be ended any more: there a stream that stands still is broken, so that it can be taken up again. */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "db/migrations.h"
#include "server/worker/downtime.h"
#include "server/worker/job.h"

struct progress_request {
	int64_t migration_id;
	struct db_progress memory, disk;
};

static int write_progress(struct db_session *session, void *context, struct error *error)
{
	struct progress_request *request = context;

	return db_migration_set_progress(session, request->migration_id, &request->memory, &request->disk, error);
}

static int adjust(struct job_run *run, enum move_adjustment adjustment, int64_t value, const char *why)
{
	struct error error = { 0 };
	int result = job_operations(run)->adjust(run->source, run->job.server_uuid, adjustment, value, &error);

	log_event(run->worker->parts.log, result == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, run->job.request_id, why,
		  LOG_TEXT("server", run->job.server_uuid), LOG_NUMBER("value", value),
		  LOG_TEXT("trouble", error.text));
	return result;
}

/* True: it was sent now. */
static bool abort_move(struct job_run *run, struct move_watch *watch, const char *why)
{
	if (watch->is_abort_sent || watch->is_in_postcopy)
		return false;
	watch->is_abort_sent = adjust(run, MOVE_ABORT, 0, why) == 0;
	return watch->is_abort_sent;
}

/* Post-copy where it is permitted and the hosts do it, else the guest stands still until the copy ends. */
static void force_completion(struct job_run *run, struct move_watch *watch, const struct move_progress *progress,
			     const char *why)
{
	int result = -EOPNOTSUPP;

	if (watch->is_force_sent || progress->is_in_postcopy)
		return;
	if (run->limits->settings.live_migration_permit_post_copy) {
		if (progress->iteration < 1) /* QEMU takes no such wish before its stream has begun */
			return;
		result = adjust(run, MOVE_START_POSTCOPY, 0, why);
		why = "guest is paused instead, post-copy being refused";
	}
	if (result == -EOPNOTSUPP)
		result = adjust(run, MOVE_PAUSE_GUEST, 0, why);
	watch->is_force_sent = result == 0;
}

static void raise_downtime(struct job_run *run, struct move_watch *watch, int64_t elapsed_ms, double gib)
{
	const struct worker_settings *settings = &run->limits->settings;
	int64_t step = settings->live_migration_downtime_steps > 0 ? downtime_step_at(settings, gib, elapsed_ms) : -1;

	if (step < watch->downtime_steps)
		return;
	if (adjust(run, MOVE_SET_DOWNTIME, downtime_step(settings, gib, step).downtime_ms, "downtime is set") == 0)
		watch->downtime_steps = step + 1;
}

/* Half of the memory is on each side, and neither notices by itself that nothing comes through. */
static void break_postcopy(struct job_run *run)
{
	if (adjust(run, MOVE_BREAK_POSTCOPY, 0, "stream of post-copy stands still, it is broken to be taken up again")
	    == 0)
		snprintf(run->ended_why, sizeof(run->ended_why),
			 "no byte went over in post-copy for %lld s (stall_timeout)",
			 (long long)run->limits->settings.stall_timeout_s);
}

static bool is_stalled(const struct job_run *run, struct move_watch *watch, const struct move_progress *progress,
		       int64_t now_ms)
{
	int64_t limit_s = run->limits->settings.stall_timeout_s;

	if (progress->data_processed != watch->moved_bytes) {
		watch->moved_bytes = progress->data_processed;
		watch->moved_at_ms = now_ms;
	}
	return limit_s > 0 && now_ms - watch->moved_at_ms >= limit_s * 1000;
}

/* Once in post-copy it only has to go on; its client reads so by the status, as in Nova. */
static void enter_postcopy(struct job_run *run, struct move_watch *watch)
{
	struct error error = { 0 };

	if (watch->is_in_postcopy)
		return;
	watch->is_in_postcopy = job_enter(run, "moving", "running (post-copy)", NULL, &error) == 0;
	if (!watch->is_in_postcopy)
		log_error(run->worker->parts.log, run->job.request_id, "post-copy cannot be recorded", &error);
}

static void enforce_timeouts(struct job_run *run, struct move_watch *watch, const struct move_progress *progress)
{
	const struct worker_settings *settings = &run->limits->settings;
	int64_t now_ms = clock_monotonic_ms(run->worker->parts.clock);
	int64_t elapsed_ms = now_ms - watch->began_ms;
	double gib = downtime_gib(progress);
	int64_t limit_ms = (int64_t)((double)settings->live_migration_completion_timeout_s * gib) * 1000;

	if (progress->elapsed_ms > elapsed_ms) /* it began before we did */
		elapsed_ms = progress->elapsed_ms;
	if (is_stalled(run, watch, progress, now_ms)) {
		if (progress->is_in_postcopy)
			break_postcopy(run);
		else if (abort_move(run, watch, "stream stands still, move is ended"))
			snprintf(run->ended_why, sizeof(run->ended_why),
				 "no byte went over from %s to %s for %lld s (stall_timeout), so that the move was "
				 "ended",
				 run->source_name, run->target_name, (long long)settings->stall_timeout_s);
	}
	if (progress->is_in_postcopy)
		return;
	raise_downtime(run, watch, elapsed_ms, gib);
	if (limit_ms <= 0 || elapsed_ms <= limit_ms)
		return;
	if (settings->live_migration_timeout_action == TIMEOUT_ACTION_FORCE_COMPLETE)
		force_completion(run, watch, progress, "move takes too long, it is forced");
	else if (abort_move(run, watch, "move takes too long, it is ended")) {
		run->is_over_time = true;
		snprintf(run->ended_why, sizeof(run->ended_why),
			 "the move took longer than its limit of %lld s (live_migration_completion_timeout for each of "
			 "%.1f GiB), so that it was ended",
			 (long long)limit_ms / 1000, gib);
	}
}

static void record_progress(struct job_run *run, struct move_watch *watch, const struct move_progress *progress)
{
	const struct worker_parts *parts = &run->worker->parts;
	int64_t now_ms = clock_monotonic_ms(parts->clock);
	struct progress_request request = {
		run->job.migration_id,
		{ progress->memory_total, progress->memory_processed, progress->memory_remaining },
		{ progress->disk_total, progress->disk_processed, progress->disk_remaining },
	};
	struct error error = { 0 };

	if (now_ms - watch->written_at_ms < run->limits->settings.progress_interval_s * 1000)
		return;
	watch->written_at_ms = now_ms;
	if (db_write(parts->database, write_progress, &request, &error) < 0)
		log_error(parts->log, run->job.request_id, "progress cannot be written", &error);
}

static void keep_lease(struct job_run *run)
{
	const struct worker_parts *parts = &run->worker->parts;
	struct error error = { 0 };

	if (run->job.lease_until_us - clock_now_us(parts->clock) < run->limits->settings.lease_s * 500000
	    && job_renew_lease(run, &error) < 0)
		log_error(parts->log, run->job.request_id, "lease cannot be renewed", &error);
	if (job_read_requests(run, &error) < 0)
		log_error(parts->log, run->job.request_id, "job cannot be read", &error);
}

void watch_begin(struct job_run *run, struct move_watch *watch)
{
	int64_t now_ms = clock_monotonic_ms(run->worker->parts.clock);

	*watch = (struct move_watch){
		.began_ms = now_ms, .moved_at_ms = now_ms, .seen_at_ms = now_ms, .is_active = true
	};
}

/* For whoever asks how the move goes between two records. */
static void show_progress(struct job_run *run, const struct move_progress *progress)
{
	LOCK_SCOPE(&run->worker->mutex);

	run->slot->migration_id = run->job.migration_id;
	run->slot->progress = *progress;
}

int worker_progress(struct worker *worker, int64_t migration_id, struct move_progress *ret_progress)
{
	LOCK_SCOPE(&worker->mutex);

	for (const struct job_slot *slot = worker->slots; slot; slot = slot->next)
		if (slot->migration_id == migration_id && slot->progress.is_active) {
			*ret_progress = slot->progress;
			return 0;
		}
	return -ENOENT;
}

void watch_once(struct job_run *run, struct move_watch *watch)
{
	struct move_progress progress = { 0 };
	struct error error = { 0 };

	keep_lease(run);
	int result = job_operations(run)->progress(run->source, run->job.server_uuid, &progress, &error);
	if (result < 0) {
		watch->is_active = result != -ENOENT; /* else nothing is known; who waits asks both sides */
		return;
	}
	show_progress(run, &progress);
	measure_disks(run, &progress);
	watch->is_active = progress.is_active;
	watch->was_active = watch->was_active || progress.is_active;
	watch->seen_at_ms = clock_monotonic_ms(run->worker->parts.clock);
	if (!progress.is_active)
		return;
	if (progress.is_in_postcopy)
		enter_postcopy(run, watch);
	else if (run->job.is_abort_requested)
		abort_move(run, watch, "abort asked for");
	if (run->job.is_force_complete_requested)
		force_completion(run, watch, &progress, "force-complete asked for");
	enforce_timeouts(run, watch, &progress);
	record_progress(run, watch, &progress);
}

bool watch_is_blind(const struct job_run *run, const struct move_watch *watch)
{
	const struct worker_parts *parts = &run->worker->parts;

	return clock_monotonic_ms(parts->clock) - watch->seen_at_ms >= run->limits->settings.retry_interval_s * 1000;
}
