/* A live migration, step by step. The difficulty: what the hypervisor's call returns is only a hint; where the guest stands
 * is asked of both sides after it, and the table of recovery decides, in the first run as after a crash. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/hosts.h"
#include "db/migrations.h"
#include "db/volumes.h"
#include "server/worker/job.h"
#include "server/worker/migration_address.h"

/* The blocking call in a thread of its own; it may outlive the job's run when the daemon stops. */
struct mover {
	struct worker *worker;
	struct hypervisor_host *source, *target;
	char uuid[UUID_SIZE];
	struct live_options options;
	char *migration_address; /* the options' */
	bool copies_disks;
	pthread_cond_t ended;
	bool has_ended;
	bool is_left; /* nobody waits any more: it frees itself */
	int result;
	struct error error;
};

static const struct hypervisor_operations *operations(const struct job_run *run)
{
	return run->worker->parts.hypervisor->operations;
}

static struct live_options options_of(const struct job_run *run)
{
	const struct worker_settings *settings = &run->limits->settings;
	struct live_options options = {
		.migration_address = run->migration_address,
		.disk_over_commit = run->job.disk_over_commit,
		.may_postcopy = settings->live_migration_permit_post_copy,
		.may_auto_converge = settings->live_migration_permit_auto_converge,
		.bandwidth_mib_s = settings->live_migration_bandwidth_mib_s,
		.parallel_connections = (int)settings->live_migration_parallel_connections,
		.has_tls = settings->live_migration_with_native_tls,
	};

	if (text_equal(run->job.block_migration, "true"))
		options.block_migration = BLOCK_MIGRATION_YES;
	else if (text_equal(run->job.block_migration, "false"))
		options.block_migration = BLOCK_MIGRATION_NO;
	return options;
}

/* Where the stream is to go, as it is known now: its answer may have changed while the job waited. */
static int find_address(struct job_run *run, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_read_begin(run->worker->parts.database, &session, error);

	if (result == 0)
		result = db_host_by_id(session, run->job.target_host_id, &host, error);
	if (result < 0)
		return result;
	free(TAKE_POINTER(run->migration_address));
	result = migration_address_find(&host, &run->limits->settings, &run->migration_address, error);
	if (result == -ENODEV)
		error_wrap(error, "host %s", host.name);
	return result;
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

static int write_volume_delete(struct db_session *session, void *context, struct error *error)
{
	return db_volume_delete(session, *(int64_t *)context, error);
}

static int journal_forget(void *context, int64_t volume_id, struct error *error)
{
	struct job_run *run = context;

	return db_write(run->worker->parts.database, write_volume_delete, &volume_id, error);
}

struct volume_journal job_journal(struct job_run *run)
{
	return (struct volume_journal){ journal_begin, journal_complete, journal_forget, run };
}

int job_settle_volumes(struct job_run *run, enum volume_end end, struct error *error)
{
	struct hypervisor_host *cleaned = end == VOLUMES_LEAVE_TARGET ? run->target : run->source;
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_VOLUMES struct db_volume_list volumes = { 0 };
	int result = db_read_begin(run->worker->parts.database, &session, error);

	if (result == 0)
		result = db_volume_by_job(session, run->job.id, &volumes, error);
	db_read_end(TAKE_POINTER(session)); /* what follows takes time */
	for (size_t i = 0; result == 0 && i < volumes.count; i++) {
		struct db_volume *volume = &volumes.items[i];

		result = operations(run)->remove_volume(cleaned, volume->pool, volume->name, error);
		if (result == 0)
			result = db_write(run->worker->parts.database, write_volume_delete, &volume->id, error);
	}
	return result;
}

/* The target is clean, the guest where it was. An abort is no failure. */
static int end_failed(struct job_run *run, const char *reason, struct error *error)
{
	struct job_end end = {
		.migration_status = "failed", .is_failed = true, .is_target_to_blame = true, .reason = reason
	};

	if (run->ended_why[0]) { /* by us: libvirt's words would name a client */
		end.reason = run->ended_why;
		end.is_target_to_blame = !run->is_over_time;
	}
	if (run->is_over_time)
		end.migration_status = "cancelled";
	if (run->job.is_abort_requested)
		end = (struct job_end){ .migration_status = "cancelled" };
	return job_finish(run, &end, error);
}

/* Nothing was touched. Who waits for the verdict reads it together with the migration's end. */
static int refuse(struct job_run *run, const char *for_others, const char *for_admins, struct error *error)
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

static int roll_back(struct job_run *run, const struct guest_view *at_source, const char *reason, struct error *error)
{
	int result = operations(run)->remove_guest(run->target, run->job.server_uuid, error);

	if (result == 0)
		result = job_settle_volumes(run, VOLUMES_LEAVE_TARGET, error);
	/* We let it stand still so that its copy would end: a user's pause is in its server's state. */
	if (result == 0 && at_source->state == GUEST_PAUSED && run->server.power_state == POWER_RUNNING)
		result = operations(run)->start_guest(run->source, run->job.server_uuid, false, error);
	return result < 0 ? result : end_failed(run, reason, error);
}

/* How long the guest stood still, as the target tells it; NULL where it cannot tell (after a restart of its daemon). */
static char *describe_downtime(struct job_run *run)
{
	struct move_progress progress = { 0 };
	struct error ignored = { 0 };

	if (operations(run)->completed(run->target, run->job.server_uuid, &progress, &ignored) < 0)
		return NULL;
	measure_live(run, &progress);
	return text_format("moved to %s; the guest stood still for %lld ms%s%s", run->target_name,
			   (long long)progress.downtime_ms, run->postcopy_refused[0] ? "; post-copy was refused " : "",
			   run->postcopy_refused);
}

struct place_request {
	struct job_run *run;
	int power_state;
};

static int write_place(struct db_session *session, void *context, struct error *error)
{
	struct place_request *request = context;
	struct job_run *run = request->run;

	return db_server_set_place(session, run->job.server_uuid, run->job.target_host_id, request->power_state, error);
}

/* The guest's place is the truth from here on, also while the source cannot be reached; but the server is free for the next
 * move only when the source's half is gone, lest its cleaning meet a guest that came back. */
static int finish_on_target(struct job_run *run, const struct guest_view *target, struct error *error)
{
	struct job_end end = { .migration_status = "completed",
			       .is_moved = true,
			       .power_state = guest_state_power_state(target->state) };
	struct place_request place = { run, end.power_state };
	struct error trouble = { 0 };
	bool is_first = !text_equal(run->job.phase, "cleaning");
	int64_t event = 0;
	int result = job_enter(run, "cleaning", false, NULL, error);

	if (result == 0)
		result = db_write(run->worker->parts.database, write_place, &place, error);
	if (result == 0 && is_first)
		result = job_begin_event(run, "compute_post_live_migration_at_destination", run->target_name, &event,
					 error);
	if (result < 0)
		return result;
	CLEANUP_FREE char *downtime = describe_downtime(run);
	int cleaned = operations(run)->remove_guest(run->source, run->job.server_uuid, &trouble);
	if (cleaned == 0)
		cleaned = job_settle_volumes(run, VOLUMES_LEAVE_SOURCE, &trouble);
	result = job_end_event(run, event, cleaned < 0 ? &trouble : NULL, cleaned < 0 ? NULL : downtime, error);
	if (cleaned < 0)
		return error_set(error, EAGAIN, "server %s runs on %s, but on %s its rest is left: %s",
				 run->job.server_uuid, run->target_name, run->source_name, trouble.text);
	log_event(run->worker->parts.log, LOG_LEVEL_INFO, run->job.request_id, "server moved live",
		  LOG_TEXT("server", run->job.server_uuid), LOG_TEXT("source", run->source_name),
		  LOG_TEXT("target", run->target_name), LOG_TEXT("how", downtime ? downtime : ""));
	return result < 0 ? result : job_finish(run, &end, error);
}

static int settle(struct job_run *run, const char *reason, struct error *error);

/* Attaches to a move that goes on by itself, until it ends or the daemon does. */
static int follow(struct job_run *run, const char *reason, struct error *error)
{
	struct worker *worker = run->worker;
	struct move_watch watch;

	watch_begin(run, &watch);
	while (watch.is_active) {
		pthread_mutex_lock(&worker->mutex);
		if (!worker->is_stopping)
			clock_wait(worker->parts.clock, &worker->wake, &worker->mutex,
				   clock_monotonic_ms(worker->parts.clock) + run->limits->settings.poll_interval_ms);
		bool is_stopping = worker->is_stopping;
		pthread_mutex_unlock(&worker->mutex);
		if (is_stopping)
			return error_set(error, EAGAIN, "the daemon stops; the move of server %s goes on",
					 run->job.server_uuid);
		watch_once(run, &watch);
		if (watch_is_blind(run, &watch))
			return error_set(error, EAGAIN, "host %s does not answer; server %s is asked about again",
					 run->source_name, run->job.server_uuid);
	}
	return settle(run, reason, error);
}

static int move(struct job_run *run, const struct live_options *options, bool copies_disks, struct error *error);

/* Each half waits for the other with what it has: tried until the stream stands again, since only that saves the guest. */
static int resume_postcopy(struct job_run *run, struct error *error)
{
	struct error trouble = { 0 };
	int result = find_address(run, error);
	struct live_options options = options_of(run);

	if (result < 0)
		return result;
	options.may_postcopy = true; /* whatever the settings say by now */
	options.is_resume = true;
	options.parallel_connections = 1; /* post-copy had no more when it began */
	result = move(run, &options, false, &trouble);
	log_event(run->worker->parts.log, result < 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, run->job.request_id,
		  result < 0 ? "post-copy cannot be resumed yet" : "post-copy is resumed",
		  LOG_TEXT("server", run->job.server_uuid), LOG_TEXT("trouble", trouble.text));
	if (result < 0)
		return error_set(error, EAGAIN,
				 "server %s is held up in post-copy from %s to %s, it is tried again: %s",
				 run->job.server_uuid, run->source_name, run->target_name, trouble.text);
	return settle(run, NULL, error);
}

static const char *why_hands_off(enum side_view source, enum side_view target)
{
	if (source == SIDE_BROKEN || target == SIDE_BROKEN)
		return "The server's live migration broke in post-copy, and one of its halves is gone. Its memory is "
		       "lost: "
		       "stop what is left of it and start it again.";
	return "The server was found on both hosts after its live migration. Stop one of them by hand.";
}

/* Asks both sides and does what the table says. `reason`: what is known of why the move did not end well. */
static int settle(struct job_run *run, const char *reason, struct error *error)
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
		/* libvirt defines the guest on the target when it is whole there; before that the broken source still has a part of
		 * its memory. */
		if (source == SIDE_BROKEN && !at_target.is_persistent)
			return resume_postcopy(run, error);
		return finish_on_target(run, &at_target, error);
	case RECOVER_FOLLOW:
		return follow(run, reason, error);
	case RECOVER_RESUME_POSTCOPY:
		return resume_postcopy(run, error);
	case RECOVER_RESUME_SOURCE: {
		int result = operations(run)->start_guest(run->source, uuid, false, error);

		return result < 0 ? result : roll_back(run, &at_source, reason, error);
	}
	case RECOVER_BEGIN:
	case RECOVER_ROLL_BACK:
		return roll_back(run, &at_source, reason, error);
	case RECOVER_GIVE_UP:
		lost.reason = "The server was found on neither host after its live migration.";
		return job_finish(run, &lost, error);
	case RECOVER_KEEP_HANDS_OFF:
		lost.reason = why_hands_off(source, target);
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
	pthread_cond_broadcast(&worker->wake);
	bool is_left = mover->is_left;
	pthread_cond_broadcast(&mover->ended);
	pthread_mutex_unlock(&worker->mutex);
	if (is_left) {
		pthread_cond_destroy(&mover->ended);
		free(mover->migration_address);
		free(mover);
	}
	return NULL;
}

/* -EAGAIN when the daemon stops meanwhile: the move goes on without us. */
static int move(struct job_run *run, const struct live_options *options, bool copies_disks, struct error *error)
{
	struct worker *worker = run->worker;
	struct mover *mover = calloc(1, sizeof(*mover));
	struct move_watch watch;
	pthread_t thread;

	if (!mover)
		return error_no_memory(error);
	*mover = (struct mover){ .worker = worker,
				 .source = run->source,
				 .target = run->target,
				 .options = *options,
				 .copies_disks = copies_disks };
	mover->migration_address = options->migration_address ? strdup(options->migration_address) : NULL;
	if (options->migration_address && !mover->migration_address) {
		free(mover);
		return error_no_memory(error);
	}
	mover->options.migration_address = mover->migration_address;
	TEXT_COPY(mover->uuid, run->job.server_uuid);
	clock_condition_init(&mover->ended);
	watch_begin(run, &watch);
	pthread_mutex_lock(&worker->mutex);
	int result = pthread_create(&thread, NULL, move_thread, mover);
	if (result == 0) {
		pthread_detach(thread);
		worker->moving++;
	}
	while (result == 0 && !mover->has_ended && !worker->is_stopping) {
		clock_wait(worker->parts.clock, &mover->ended, &worker->mutex,
			   clock_monotonic_ms(worker->parts.clock) + run->limits->settings.poll_interval_ms);
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
	free(mover->migration_address);
	free(mover);
	return result == -EAGAIN ? -EIO : result;
}

/* A host that refuses post-copy does so before anything is begun; Nova then moves without it, too. */
static int move_as_hosts_may(struct job_run *run, const struct live_options *options, bool copies_disks,
			     struct error *error)
{
	struct live_options without = *options;
	int result = move(run, options, copies_disks, error);

	if (result != -EOPNOTSUPP || !error)
		return result;
	TEXT_COPY(run->postcopy_refused, error->text);
	error_clear(error);
	log_event(run->worker->parts.log, LOG_LEVEL_WARNING, run->job.request_id,
		  "post-copy is permitted, but refused: the move is begun without it",
		  LOG_TEXT("server", run->job.server_uuid), LOG_TEXT("trouble", run->postcopy_refused));
	without.may_postcopy = false;
	return move(run, &without, copies_disks, error);
}

/* Also where the answer was an error: both sides are asked then. */
static int move_and_settle(struct job_run *run, const struct live_options *options, bool copies_disks, int64_t event,
			   struct error *error)
{
	struct error trouble = { 0 };
	int result = job_enter(run, "moving", false, "running", error);

	if (result < 0)
		return result;
	int step = move_as_hosts_may(run, options, copies_disks, &trouble);
	if (step == -EAGAIN)
		return error_set(error, EAGAIN, "%s", trouble.text);
	if (step < 0 && run->ended_why[0])
		error_set(&trouble, ECANCELED, "%s", run->ended_why);
	result = job_end_event(run, event, step < 0 ? &trouble : NULL, NULL, error);
	return result < 0 ? result : settle(run, step < 0 ? trouble.text : NULL, error);
}

static int prepare(struct job_run *run, const struct live_options *options, bool copies_disks,
		   struct error *ret_trouble, struct error *error)
{
	struct volume_journal journal = job_journal(run);
	int64_t event = 0;
	int result = job_begin_event(run, "compute_pre_live_migration", run->target_name, &event, error);

	if (result < 0)
		return result;
	int step = operations(run)->prepare_live(run->source, run->target, run->job.server_uuid, options, copies_disks,
						 &journal, ret_trouble);
	return job_end_event(run, event, step < 0 ? ret_trouble : NULL, NULL, error);
}

/* From a target that passed its checks, and room on both hosts, to the end. */
static int carry_out(struct job_run *run, const struct check_result *check, struct error *error)
{
	struct error trouble = { 0 };
	int64_t event = 0;
	int result = find_address(run, error);
	struct live_options options = options_of(run);

	if (result == 0)
		result = job_enter(run, "preparing", false, "preparing", error);

	options.is_storage_proven_shared = check->is_storage_proven_shared;
	if (result == 0)
		result = job_begin_event(run, "compute_live_migration", run->source_name, &event, error);
	if (result == 0)
		result = prepare(run, &options, check->copies_disks, &trouble, error);
	if (result == 0)
		result = job_read_requests(run, error);
	if (result < 0)
		return result;
	if (!trouble.code && !run->job.is_abort_requested)
		return move_and_settle(run, &options, check->copies_disks, event, error);
	result = job_end_event(run, event, trouble.code ? &trouble : NULL, NULL, error);
	return result < 0 ? result : settle(run, trouble.code ? trouble.text : NULL, error);
}

/* A target that the stream cannot go to is refused as one that the guest cannot run on is. */
static int check_target(struct job_run *run, const struct live_options *options, struct check_result *ret_check,
			struct error *error)
{
	struct live_options asked = *options;
	int result = find_address(run, error);

	asked.migration_address = run->migration_address; /* found anew */
	if (result == -ENODEV) {
		*ret_check = (struct check_result){ .refusal = CHECK_REFUSED_BY_TARGET };
		return -ECANCELED;
	}
	return result < 0 ? result
			  : operations(run)->check_live(run->source, run->target, run->job.server_uuid, &asked,
							ret_check, error);
}

/* Both parts of Nova's check; libvirt's driver does them in one call and says whose part refused. Done again after a wait, it
 * is told only where it refuses: its first time stands already. */
static int check(struct job_run *run, struct check_result *ret_check, struct error *error)
{
	struct live_options options = options_of(run);
	struct error ignored = { 0 };
	int64_t at_target = 0, at_source = 0;
	bool is_again = text_equal(run->job.phase, "queued");
	int step = is_again ? check_target(run, &options, ret_check, error) : 0;
	if (is_again && step == 0)
		return 0;
	int result = job_begin_event(run, "compute_check_can_live_migrate_destination", run->target_name, &at_target,
				     is_again ? &ignored : error);
	if (result < 0)
		return is_again ? step : result;
	if (!is_again)
		step = check_target(run, &options, ret_check, error);
	if (step == 0 || ret_check->is_about_source) {
		result = job_begin_event(run, "compute_check_can_live_migrate_source", run->source_name, &at_source,
					 &ignored);
		if (result == 0)
			result = job_end_event(run, at_source, step < 0 ? error : NULL, NULL, &ignored);
	}
	if (result == 0)
		result = job_end_event(run, at_target, step < 0 ? error : NULL, NULL, &ignored);
	if (step == 0 && result < 0)
		*error = ignored;
	return step < 0 ? step : result;
}

static const char *choice_event(const struct job_run *run)
{
	return run->job.minor_version >= 34 ? "conductor_live_migrate_instance" : "conductor_migrate_server";
}

/* The client of an old version has its answer now; the move has its turn when both hosts have room for it. */
static int take_turn(struct job_run *run, const struct check_result *check, struct error *error)
{
	int result = job_set_verdict(run, 202, NULL, NULL, error);

	if (result == 0)
		result = job_read_requests(run, error);
	if (result < 0)
		return result;
	if (run->job.is_abort_requested)
		return end_failed(run, NULL, error);
	if (worker_take_room(run))
		return carry_out(run, check, error);
	result = job_enter(run, "queued", false, "queued", error);
	return result < 0 ? result
			  : error_set(error, EAGAIN, "server %s waits for its turn from %s to %s", run->job.server_uuid,
				      run->source_name, run->target_name);
}

int live_run(struct job_run *run, struct error *error)
{
	const struct target_search search = {
		.event = choice_event(run),
		.sentence = SCHEDULE_NOT_ENOUGH_HOSTS,
		.check = check,
		.refuse = refuse,
	};
	const struct phase *phase = phase_by_name(JOB_LIVE, run->job.phase);
	struct check_result result_of_check = { .refusal = CHECK_PASSED };
	int result;

	if (phase && phase->undo != UNDO_CLAIM)
		return settle(run, "The migration was interrupted.", error);
	if (run->job.is_abort_requested)
		return end_failed(run, NULL, error);
	if (text_equal(run->job.phase, "queued"))
		result = target_check_again(run, &search, &result_of_check, error);
	else
		result = target_find(run, &search, &result_of_check, error);
	return result == 1 ? take_turn(run, &result_of_check, error) : result;
}
