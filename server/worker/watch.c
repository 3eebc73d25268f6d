/* The watch over a guest that moves. Its rules are Nova's (downtime in steps, completion timeout and its action, the switch
 * to post-copy) and one of ours: a stream of which not one byte moved for a while is ended, since nobody else notices. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "db/migrations.h"
#include "server/worker/job.h"

#define GIB                (1024LL * 1024 * 1024)
#define POSTCOPY_GAIN_MAX  10 /* percent of the rest that an iteration must gain, else post-copy is the better way */
#define POSTCOPY_ITERATION 2 /* the first one has to be whole */

static const struct hypervisor_operations *operations(const struct job_run *run)
{
	return run->worker->parts.hypervisor->operations;
}

struct progress_request {
	int64_t migration_id;
	struct db_progress memory, disk;
};

static int write_progress(struct db_session *session, void *context, struct error *error)
{
	struct progress_request *request = context;

	return db_migration_set_progress(session, request->migration_id, &request->memory, &request->disk, error);
}

static bool adjust(struct job_run *run, enum move_adjustment adjustment, int64_t value, const char *why)
{
	struct error error = { 0 };
	bool is_done = operations(run)->adjust(run->source, run->job.server_uuid, adjustment, value, &error) == 0;

	log_event(run->worker->parts.log, is_done ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, run->job.request_id, why,
		  LOG_TEXT("server", run->job.server_uuid), LOG_NUMBER("value", value),
		  LOG_TEXT("trouble", error.text));
	return is_done;
}

/* True: it was sent now. */
static bool abort_move(struct job_run *run, struct move_watch *watch, const char *why)
{
	if (watch->is_abort_sent)
		return false;
	watch->is_abort_sent = adjust(run, MOVE_ABORT, 0, why);
	return watch->is_abort_sent;
}

/* Post-copy where it is permitted and the first iteration is over, else the guest stands still until the copy ends. */
static void force_completion(struct job_run *run, struct move_watch *watch, const struct move_progress *progress,
			     const char *why)
{
	if (watch->is_force_sent)
		return;
	if (!run->limits->settings.live_migration_permit_post_copy)
		watch->is_force_sent = adjust(run, MOVE_PAUSE_GUEST, 0, why);
	else if (progress->iteration >= POSTCOPY_ITERATION)
		watch->is_force_sent = adjust(run, MOVE_START_POSTCOPY, 0, why);
}

/* Nova counts at least 2 GiB. */
static int64_t size_gib(const struct move_progress *progress)
{
	int64_t gib = (progress->memory_total + progress->disk_total + GIB - 1) / GIB;

	return gib < 2 ? 2 : gib;
}

/* The steps grow: a guest that nearly converges gets little, one that does not gets all at the end (Nova's
 * live_migration_downtime, _steps, _delay). */
static int64_t step_downtime_ms(const struct worker_settings *settings, int step)
{
	double most = (double)settings->live_migration_downtime_ms;
	double steps = (double)settings->live_migration_downtime_steps;
	double offset = most / (steps + 1);
	double base = pow(most - offset, 1 / steps);

	return (int64_t)(offset + pow(base, step));
}

static void raise_downtime(struct job_run *run, struct move_watch *watch, int64_t elapsed_ms, int64_t gib)
{
	const struct worker_settings *settings = &run->limits->settings;
	int64_t delay_ms = settings->live_migration_downtime_delay_s * gib * 1000;

	if (settings->live_migration_downtime_ms <= 0 || settings->live_migration_downtime_steps <= 0
	    || watch->downtime_step > settings->live_migration_downtime_steps
	    || elapsed_ms < delay_ms * watch->downtime_step)
		return;
	if (adjust(run, MOVE_SET_DOWNTIME, step_downtime_ms(settings, watch->downtime_step), "downtime is set"))
		watch->downtime_step++;
}

/* Nova's should_switch_to_postcopy. */
static void switch_to_postcopy(struct job_run *run, struct move_watch *watch, const struct move_progress *progress)
{
	int64_t remaining = progress->memory_remaining + progress->disk_remaining;
	int64_t before = watch->remaining_bytes;

	if (progress->iteration <= watch->iteration)
		return;
	watch->iteration = progress->iteration;
	watch->remaining_bytes = remaining;
	if (!run->limits->settings.live_migration_permit_post_copy || progress->iteration < POSTCOPY_ITERATION
	    || progress->is_in_postcopy || before <= 0)
		return;
	if ((before - remaining) * 100 / before < POSTCOPY_GAIN_MAX)
		force_completion(run, watch, progress, "copy gains too little, the rest follows after the switch");
}

static void hold_to_time(struct job_run *run, struct move_watch *watch, const struct move_progress *progress)
{
	const struct worker_settings *settings = &run->limits->settings;
	int64_t now_ms = clock_monotonic_ms(run->worker->parts.clock);
	int64_t gib = size_gib(progress);
	int64_t limit_ms = settings->live_migration_completion_timeout_s * gib * 1000;

	if (progress->data_processed != watch->moved_bytes) {
		watch->moved_bytes = progress->data_processed;
		watch->moved_at_ms = now_ms;
	}
	if (settings->stall_timeout_s > 0 && now_ms - watch->moved_at_ms >= settings->stall_timeout_s * 1000) {
		if (abort_move(run, watch, "stream stands still, move is ended"))
			snprintf(run->ended_why, sizeof(run->ended_why),
				 "no byte went over for %lld s (stall_timeout), so that the move was ended",
				 (long long)settings->stall_timeout_s);
	}
	raise_downtime(run, watch, now_ms - watch->began_ms, gib);
	if (limit_ms <= 0 || now_ms - watch->began_ms < limit_ms)
		return;
	if (settings->live_migration_timeout_action == TIMEOUT_ACTION_FORCE_COMPLETE)
		force_completion(run, watch, progress, "move takes too long, it is forced");
	else if (abort_move(run, watch, "move takes too long, it is ended")) {
		run->is_over_time = true;
		snprintf(run->ended_why, sizeof(run->ended_why),
			 "the move took longer than its limit of %lld s (live_migration_completion_timeout for each of "
			 "%lld GiB), so that it was ended",
			 (long long)limit_ms / 1000, (long long)gib);
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

void watch_once(struct job_run *run, struct move_watch *watch)
{
	struct move_progress progress = { 0 };
	struct error error = { 0 };

	keep_lease(run);
	if (run->job.is_abort_requested)
		abort_move(run, watch, "abort asked for");
	int result = operations(run)->progress(run->source, run->job.server_uuid, &progress, &error);
	if (result < 0) {
		watch->is_active = result != -ENOENT; /* else nothing is known; who waits asks both sides */
		return;
	}
	watch->is_active = progress.is_active;
	watch->seen_at_ms = clock_monotonic_ms(run->worker->parts.clock);
	if (!progress.is_active)
		return;
	if (run->job.is_force_complete_requested)
		force_completion(run, watch, &progress, "force-complete asked for");
	switch_to_postcopy(run, watch, &progress);
	hold_to_time(run, watch, &progress);
	record_progress(run, watch, &progress);
}

bool watch_is_blind(const struct job_run *run, const struct move_watch *watch)
{
	const struct worker_parts *parts = &run->worker->parts;

	return clock_monotonic_ms(parts->clock) - watch->seen_at_ms >= run->limits->settings.retry_interval_s * 1000;
}
