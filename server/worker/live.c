/* A live migration, step by step. The difficulty: what the hypervisor's call returns is only a hint; where the guest stands
 * is asked of both sides after it, and the table of recovery decides, in the first run as after a crash. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/migrations.h"
#include "db/volumes.h"
#include "server/worker/job.h"

#define GIB (1024LL * 1024 * 1024)

/* The blocking call in a thread of its own; it may outlive the job's run when the daemon stops. */
struct mover {
	struct worker *worker;
	struct hypervisor_host *source, *target;
	char uuid[UUID_SIZE];
	struct live_options options;
	bool copies_disks;
	pthread_cond_t ended;
	bool has_ended;
	bool is_left; /* nobody waits any more: it frees itself */
	int result;
	struct error error;
};

/* What the watch over one move remembers. */
struct watch {
	int64_t began_ms;
	int64_t moved_bytes;
	int64_t moved_at_ms; /* when they last changed */
	int64_t written_at_ms;
	bool is_abort_sent;
	bool is_force_sent;
};

static const struct hypervisor_operations *operations(const struct job_run *run)
{
	return run->worker->parts.hypervisor->operations;
}

static struct live_options options_of(const struct job_run *run)
{
	const struct worker_settings *settings = run->worker->parts.settings;
	struct live_options options = {
		.disk_over_commit = run->job.disk_over_commit,
		.may_postcopy = settings->live_migration_permit_post_copy,
		.may_auto_converge = settings->live_migration_permit_auto_converge,
		.bandwidth_mib_s = settings->live_migration_bandwidth_mib_s,
		.initial_downtime_ms = settings->live_migration_downtime_ms,
		.parallel_connections = (int)settings->live_migration_parallel_connections,
		.has_tls = settings->live_migration_with_native_tls,
	};

	if (text_equal(run->job.block_migration, "true"))
		options.block_migration = BLOCK_MIGRATION_YES;
	else if (text_equal(run->job.block_migration, "false"))
		options.block_migration = BLOCK_MIGRATION_NO;
	return options;
}

static int write_volume(struct db_session *session, void *context, struct error *error)
{
	return db_volume_insert(session, context, error);
}

static int journal_begin(void *context, const char *pool, const char *name, int64_t *ret_volume_id, struct error *error)
{
	struct job_run *run = context;
	struct db_volume volume = { .job_id = run->job.id, .host_id = run->job.target_host_id };

	TEXT_COPY(volume.pool, pool);
	TEXT_COPY(volume.name, name);
	int result = db_write(run->worker->parts.database, write_volume, &volume, error);
	if (result == 0)
		*ret_volume_id = volume.id;
	return result;
}

static int write_volume_complete(struct db_session *session, void *context, struct error *error)
{
	return db_volume_set_complete(session, *(int64_t *)context, error);
}

static int journal_complete(void *context, int64_t volume_id, struct error *error)
{
	struct job_run *run = context;

	return db_write(run->worker->parts.database, write_volume_complete, &volume_id, error);
}

struct volume_journal job_journal(struct job_run *run)
{
	return (struct volume_journal){ journal_begin, journal_complete, run };
}

static int write_volume_delete(struct db_session *session, void *context, struct error *error)
{
	return db_volume_delete(session, *(int64_t *)context, error);
}

/* Forgets the volumes that the move made on the target; `are_removed`: after removing them there. */
int job_settle_volumes(struct job_run *run, bool are_removed, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_VOLUMES struct db_volume_list volumes = { 0 };
	int result = db_read_begin(run->worker->parts.database, &session, error);

	if (result == 0)
		result = db_volume_by_job(session, run->job.id, &volumes, error);
	for (size_t i = 0; result == 0 && i < volumes.count; i++) {
		struct db_volume *volume = &volumes.items[i];

		if (are_removed)
			result = operations(run)->remove_volume(run->target, volume->pool, volume->name, error);
		if (result == 0)
			result = db_write(run->worker->parts.database, write_volume_delete, &volume->id, error);
	}
	return result;
}

static int read_job(struct job_run *run, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_JOB struct db_job fresh = { 0 };
	int result = db_read_begin(run->worker->parts.database, &session, error);

	if (result == 0)
		result = db_job_by_id(session, run->job.id, &fresh, error);
	if (result == 0) {
		run->job.is_abort_requested = fresh.is_abort_requested;
		run->job.is_force_complete_requested = fresh.is_force_complete_requested;
	}
	return result;
}

/* Nothing of the target was touched, or it was cleaned. */
static int end_failed(struct job_run *run, const char *status, bool is_failed, struct error *error)
{
	struct job_end end = { .migration_status = status, .is_failed = is_failed };

	if (run->job.is_abort_requested)
		end = (struct job_end){ .migration_status = "cancelled" };
	return job_finish(run, &end, error);
}

/* Who waits for the verdict reads it together with the migration's end. An abort is no refusal. */
static int end_refused(struct job_run *run, const char *for_others, const char *for_admins, struct error *error)
{
	struct job_end end = { .migration_status = "error",
			       .is_failed = true,
			       .verdict_status = 400,
			       .for_others = for_others,
			       .for_admins = for_admins };

	if (run->job.is_abort_requested)
		end = (struct job_end){ .migration_status = "cancelled", .verdict_status = 202 };
	return job_finish(run, &end, error);
}

static int roll_back(struct job_run *run, struct error *error)
{
	int result = operations(run)->remove_guest(run->target, run->job.server_uuid, error);

	if (result == 0)
		result = job_settle_volumes(run, true, error);
	return result < 0 ? result : end_failed(run, "failed", true, error);
}

/* How long the guest stood still, as the target tells it; NULL where it cannot tell (after a restart of its daemon). */
static char *describe_downtime(struct job_run *run)
{
	struct move_progress progress = { 0 };
	struct error ignored = { 0 };

	if (operations(run)->completed(run->target, run->job.server_uuid, &progress, &ignored) < 0)
		return NULL;
	return text_format("moved to %s; the guest stood still for %lld ms", run->target_name,
			   (long long)progress.downtime_ms);
}

static int finish_on_target(struct job_run *run, const struct guest_view *target, struct error *error)
{
	struct job_end end = { .migration_status = "completed", .is_moved = true };
	struct error trouble = { 0 };
	int64_t event = 0;
	int result = job_enter(run, "cleaning", false, "post-migrating", error);

	if (result == 0)
		result = job_begin_event(run, "compute_post_live_migration_at_destination", run->target_name, &event,
					 error);
	if (result < 0)
		return result;
	int cleaned = operations(run)->remove_guest(run->source, run->job.server_uuid, &trouble);
	CLEANUP_FREE char *downtime = describe_downtime(run);
	/* The guest's place is the truth, but the source's half must go: it is asked again. */
	result = job_end_event(run, event, cleaned < 0 ? &trouble : NULL, cleaned < 0 ? NULL : downtime, error);
	if (cleaned < 0)
		return error_set(error, EAGAIN, "%s", trouble.text);
	if (result == 0)
		result = job_settle_volumes(run, false, error);
	end.power_state = target->state == GUEST_RUNNING    ? 1
			  : target->state == GUEST_PAUSED   ? 3
			  : target->state == GUEST_CRASHED  ? 6
			  : target->state == GUEST_SHUT_OFF ? 4
							    : 7;
	return result < 0 ? result : job_finish(run, &end, error);
}

/* Asks both sides and does what the table says. */
static int settle(struct job_run *run, struct error *error)
{
	struct guest_view at_source = { 0 }, at_target = { 0 };
	const char *uuid = run->job.server_uuid;
	enum side_view source = side_view_of(operations(run)->look(run->source, uuid, &at_source, error), &at_source);
	enum side_view target = side_view_of(operations(run)->look(run->target, uuid, &at_target, error), &at_target);
	enum recover_action action = recover_decide(JOB_LIVE, run->job.phase, source, target);
	struct job_end lost = { .migration_status = "error", .is_failed = true, .is_lost = true };

	log_event(run->worker->parts.log, LOG_LEVEL_INFO, run->job.request_id, "both sides asked",
		  LOG_TEXT("server", uuid), LOG_TEXT("phase", run->job.phase),
		  LOG_TEXT("source", side_view_name(source)), LOG_TEXT("target", side_view_name(target)),
		  LOG_TEXT("action", recover_action_name(action)));
	switch (action) {
	case RECOVER_FINISH:
		return finish_on_target(run, &at_target, error);
	case RECOVER_RESUME_SOURCE: {
		int result = operations(run)->start_guest(run->source, uuid, false, error);

		return result < 0 ? result : roll_back(run, error);
	}
	case RECOVER_BEGIN:
	case RECOVER_ROLL_BACK:
		return roll_back(run, error);
	case RECOVER_GIVE_UP:
		lost.reason = "The server was found on neither host after its live migration.";
		return job_finish(run, &lost, error);
	case RECOVER_KEEP_HANDS_OFF:
		lost.reason = "The server was found on both hosts after its live migration. Stop one of them by hand.";
		return job_finish(run, &lost, error);
	default:
		return error_set(error, EAGAIN, "server %.36s: source %s, target %s: it is asked again", uuid,
				 side_view_name(source), side_view_name(target));
	}
}

static void *move_thread(void *context)
{
	struct mover *mover = context;
	struct worker *worker = mover->worker;
	struct error error = { 0 };
	int result = worker->parts.hypervisor->operations->migrate_live(mover->source, mover->target, mover->uuid,
									&mover->options, mover->copies_disks, &error);

	pthread_mutex_lock(&worker->mutex);
	mover->result = result;
	mover->error = error;
	mover->has_ended = true;
	worker->moving--;
	bool is_left = mover->is_left;
	pthread_cond_broadcast(&mover->ended);
	pthread_mutex_unlock(&worker->mutex);
	if (is_left) {
		pthread_cond_destroy(&mover->ended);
		free(mover);
	}
	return NULL;
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

static void adjust(struct job_run *run, enum move_adjustment adjustment, bool *is_sent, const char *why)
{
	struct error error = { 0 };

	if (*is_sent)
		return;
	*is_sent = operations(run)->adjust(run->source, run->job.server_uuid, adjustment, 0, &error) == 0;
	log_event(run->worker->parts.log, LOG_LEVEL_WARNING, run->job.request_id, why,
		  LOG_TEXT("server", run->job.server_uuid), LOG_TEXT("trouble", error.text));
}

/* A stream that stands still, or a move that takes too long. */
static void hold_to_time(struct job_run *run, struct watch *watch, const struct move_progress *progress, int64_t now_ms)
{
	const struct worker_settings *settings = run->worker->parts.settings;
	int64_t gib = (progress->memory_total + progress->disk_total + GIB - 1) / GIB;

	if (progress->data_processed != watch->moved_bytes) {
		watch->moved_bytes = progress->data_processed;
		watch->moved_at_ms = now_ms;
	}
	if (settings->stall_timeout_s > 0 && now_ms - watch->moved_at_ms >= settings->stall_timeout_s * 1000)
		adjust(run, MOVE_ABORT, &watch->is_abort_sent, "stream stands still, move is ended");

	int64_t limit_ms = settings->live_migration_completion_timeout_s * (gib < 2 ? 2 : gib) * 1000;
	if (limit_ms <= 0 || now_ms - watch->began_ms < limit_ms)
		return;
	if (settings->live_migration_timeout_action == TIMEOUT_ACTION_FORCE_COMPLETE)
		adjust(run, MOVE_PAUSE_GUEST, &watch->is_force_sent, "move takes too long, guest is paused");
	else
		adjust(run, MOVE_ABORT, &watch->is_abort_sent, "move takes too long, it is ended");
}

static void watch_once(struct job_run *run, struct watch *watch)
{
	const struct worker_parts *parts = &run->worker->parts;
	struct move_progress progress = { 0 };
	struct error error = { 0 };
	int64_t now_ms = clock_monotonic_ms(parts->clock);

	if (run->job.lease_until_us - clock_now_us(parts->clock) < parts->settings->lease_s * 500000
	    && job_renew_lease(run, &error) < 0)
		log_error(parts->log, run->job.request_id, "lease cannot be renewed", &error);
	if (read_job(run, &error) < 0)
		log_error(parts->log, run->job.request_id, "job cannot be read", &error);
	if (run->job.is_abort_requested)
		adjust(run, MOVE_ABORT, &watch->is_abort_sent, "abort asked for");
	if (run->job.is_force_complete_requested)
		adjust(run, MOVE_PAUSE_GUEST, &watch->is_force_sent, "force-complete asked for");
	if (operations(run)->progress(run->source, run->job.server_uuid, &progress, &error) < 0 || !progress.is_active)
		return;
	hold_to_time(run, watch, &progress, now_ms);
	if (now_ms - watch->written_at_ms < parts->settings->progress_interval_s * 1000)
		return;
	watch->written_at_ms = now_ms;
	struct progress_request request = {
		run->job.migration_id,
		{ progress.memory_total, progress.memory_processed, progress.memory_remaining },
		{ progress.disk_total, progress.disk_processed, progress.disk_remaining },
	};
	if (db_write(parts->database, write_progress, &request, &error) < 0)
		log_error(parts->log, run->job.request_id, "progress cannot be written", &error);
}

/* -EAGAIN when the daemon stops meanwhile: the move goes on without us. */
static int move(struct job_run *run, const struct live_options *options, bool copies_disks, struct error *error)
{
	struct worker *worker = run->worker;
	struct mover *mover = calloc(1, sizeof(*mover));
	struct watch watch = { .began_ms = clock_monotonic_ms(worker->parts.clock) };
	pthread_t thread;

	if (!mover)
		return error_no_memory(error);
	*mover = (struct mover){ .worker = worker,
				 .source = run->source,
				 .target = run->target,
				 .options = *options,
				 .copies_disks = copies_disks };
	TEXT_COPY(mover->uuid, run->job.server_uuid);
	clock_condition_init(&mover->ended);
	watch.moved_at_ms = watch.began_ms;
	pthread_mutex_lock(&worker->mutex);
	int result = pthread_create(&thread, NULL, move_thread, mover);
	if (result == 0) {
		pthread_detach(thread);
		worker->moving++;
	}
	while (result == 0 && !mover->has_ended && !worker->is_stopping) {
		clock_wait(worker->parts.clock, &mover->ended, &worker->mutex,
			   clock_monotonic_ms(worker->parts.clock) + worker->parts.settings->poll_interval_ms);
		if (mover->has_ended || worker->is_stopping)
			break;
		pthread_mutex_unlock(&worker->mutex);
		watch_once(run, &watch);
		pthread_mutex_lock(&worker->mutex);
	}
	mover->is_left = result == 0 && !mover->has_ended;
	bool is_left = mover->is_left;
	pthread_mutex_unlock(&worker->mutex);
	if (is_left)
		return error_set(error, EAGAIN, "the daemon stops; the move of server %s goes on",
				 run->job.server_uuid);
	if (result > 0)
		result = error_set_errno(error, result, "cannot start a thread");
	else if ((result = mover->result) < 0)
		*error = mover->error;
	pthread_cond_destroy(&mover->ended);
	free(mover);
	return result == -EAGAIN ? -EIO : result;
}

/* From a target that passed its checks to the end. */
static int carry_out(struct job_run *run, struct live_options *options, const struct check_result *check,
		     struct error *error)
{
	struct volume_journal journal = job_journal(run);
	struct error trouble = { 0 };
	int64_t event = 0;

	options->is_storage_proven_shared = check->is_storage_proven_shared;
	int result = job_enter(run, "preparing", false, "preparing", error);
	if (result == 0)
		result = job_set_verdict(run, 202, NULL, NULL, error);
	if (result == 0)
		result = job_begin_event(run, "compute_pre_live_migration", run->target_name, &event, error);
	if (result < 0)
		return result;
	int step = operations(run)->prepare_live(run->source, run->target, run->job.server_uuid, options,
						 check->copies_disks, &journal, &trouble);
	result = job_end_event(run, event, step < 0 ? &trouble : NULL, NULL, error);
	if (result == 0)
		result = read_job(run, error);
	if (result < 0)
		return result;
	if (step < 0 || run->job.is_abort_requested)
		return settle(run, error);

	result = job_enter(run, "moving", false, "running", error);
	if (result == 0)
		result = job_begin_event(run, "compute_live_migration", run->source_name, &event, error);
	if (result < 0)
		return result;
	step = move(run, options, check->copies_disks, &trouble);
	if (step == -EAGAIN)
		return error_set(error, EAGAIN, "%s", trouble.text);
	result = job_end_event(run, event, step < 0 ? &trouble : NULL, NULL, error);
	return result < 0 ? result : settle(run, error);
}

/* Chosen and claimed: may it go there? 1: the next host is to be tried. */
static int try_target(struct job_run *run, struct error *error)
{
	struct live_options options = options_of(run);
	struct check_result check = { 0 };
	struct error trouble = { 0 };
	int64_t event = 0;
	int result = job_enter(run, "checking", false, NULL, error);

	if (result == 0)
		result = job_begin_event(run, "compute_check_can_live_migrate_destination", run->target_name, &event,
					 error);
	if (result < 0)
		return result;
	int step =
		operations(run)->check_live(run->source, run->target, run->job.server_uuid, &options, &check, &trouble);
	result = job_end_event(run, event, step < 0 ? &trouble : NULL, NULL, error);
	if (result == 0)
		result = read_job(run, error);
	if (result < 0)
		return result;
	if (step == 0 && !run->job.is_abort_requested)
		return carry_out(run, &options, &check, error);

	bool is_final = run->job.is_abort_requested || check.refusal == CHECK_REFUSED_STORAGE
			|| check.refusal == CHECK_REFUSED_BY_SERVER || run->job.is_forced
			|| run->tried_count == JOB_HOSTS_TRIED_MAX;
	if (is_final)
		return end_refused(run, trouble.text, trouble.text, error);
	run->tried[run->tried_count].host_id = run->job.target_host_id;
	run->tried[run->tried_count++].reason = text_format("%s", trouble.text);
	result = job_release_claims(run, error);
	run->job.target_host_id = 0;
	return result < 0 ? result : 1;
}

static int begin(struct job_run *run, struct error *error)
{
	CLEANUP_FREE char *for_others = NULL;
	CLEANUP_FREE char *for_admins = NULL;
	const char *event_name =
		run->job.minor_version >= 34 ? "conductor_live_migrate_instance" : "conductor_migrate_server";
	struct error trouble = { 0 };
	int64_t event = 0;
	int result = job_release_claims(run, error); /* of a run that a crash ended at the choice */

	if (result == 0)
		result = job_begin_event(run, event_name, run->worker->parts.node, &event, error);
	for (bool is_again = *run->job.phase != '\0' && !text_equal(run->job.phase, "accepted");; is_again = true) {
		if (result == 0)
			result = job_enter(run, "choosing", is_again, NULL, error);
		if (result < 0)
			return result;
		int step = job_choose(run, &for_others, &for_admins, &trouble);
		if (step == -ECANCELED) {
			result = job_end_event(run, event, &trouble, NULL, error);
			return result < 0 ? result : end_refused(run, for_others, for_admins, error);
		}
		if (step < 0)
			return error_set(error, -step, "%s", trouble.text);
		result = try_target(run, error);
		if (result <= 0)
			break;
		result = 0;
	}
	return result;
}

int live_run(struct job_run *run, struct error *error)
{
	const struct phase *phase = phase_by_name(JOB_LIVE, run->job.phase);

	if (phase && phase->undo != UNDO_CLAIM)
		return settle(run, error);
	return begin(run, error);
}
