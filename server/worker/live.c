/* The steps of a live migration. The difficulty: what the hypervisor's call returns is only a hint; where the guest is is asked
 * of both sides after it, and the table of recovery decides, in the first run as after a crash. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/hosts.h"
#include "db/migrations.h"
#include "server/worker/chores.h"
#include "server/worker/job.h"
#include "server/worker/migration_address.h"
#include "server/worker/mover.h"
#include "server/worker/steps.h"

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

/* The guest is where it was. An abort is no failure. */
static int end_failed(struct job_run *run, unsigned int leftovers, struct error *error)
{
	struct job_end end = { .migration_status = "failed",
			       .is_failed = true,
			       .is_target_to_blame = !run->is_source_to_blame,
			       .reason = run->failure[0] ? run->failure : NULL,
			       .leftovers = leftovers };

	if (run->ended_why[0]) { /* by us: libvirt's words would name a client */
		end.reason = run->ended_why;
		end.is_target_to_blame = !run->is_over_time && !run->is_source_to_blame;
	}
	if (run->is_over_time)
		end.migration_status = "cancelled";
	if (run->job.is_abort_requested)
		end = (struct job_end){ .migration_status = "cancelled", .leftovers = leftovers };
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

/* A guest that the move holds runs on; one that its user paused stands still again after that, as its server's state says. */
static int release_guest(struct job_run *run, struct error *error)
{
	const char *uuid = run->job.server_uuid;
	bool is_held = run->action == RECOVER_RESUME_SOURCE
		       /* We let it stand still so that its copy would end. */
		       || (run->at_source.state == GUEST_PAUSED && run->server.power_state == POWER_RUNNING);
	bool was_released = run->is_entered_again && run->at_source.state == GUEST_RUNNING;
	int result = is_held ? job_operations(run)->start_guest(run->source, uuid, false, error) : 0;

	if (result < 0 || run->server.power_state != POWER_PAUSED || (!is_held && !was_released))
		return result;
	return job_operations(run)->pause_guest(run->source, uuid, error);
}

/* The guest is on the source as it was before anything else is done; what the target has of it is a chore. */
int live_restore(struct job_run *run, struct error *error)
{
	unsigned int leftovers = CHORE_TARGET_VOLUMES;
	int result = release_guest(run, error);

	if (result < 0)
		return error_set(error, EAGAIN, "server %s is to run on on %s: %s", run->job.server_uuid,
				 run->source_name, error->text);
	if (run->target_side != SIDE_ABSENT)
		leftovers |= CHORE_TARGET_GUEST;
	result = end_failed(run, leftovers, error);
	return result < 0 ? result : STEP_DONE;
}

/* How long the guest stood still, as the target tells it; NULL where it cannot tell (after a restart of its daemon). */
static char *describe_downtime(struct job_run *run)
{
	struct move_progress progress = { 0 };
	struct error ignored = { 0 };

	if (job_operations(run)->completed(run->target, run->job.server_uuid, &progress, &ignored) < 0)
		return NULL;
	measure_live(run, &progress);
	return text_format("moved to %s; the guest stood still for %lld ms%s%s", run->target_name,
			   (long long)progress.downtime_ms, run->postcopy_refused[0] ? "; post-copy was refused " : "",
			   run->postcopy_refused);
}

/* The migration ends here: place, claims and status change in one transaction, and the server is free. What its source still
 * has of it is a chore of that host. */
static int end_completed(struct job_run *run, struct error *error)
{
	struct job_end end = { .migration_status = "completed",
			       .is_moved = true,
			       .power_state = guest_state_power_state(run->at_target.state),
			       .leftovers = CHORE_SOURCE_VOLUMES };
	int64_t event = 0;
	int result = 0;

	if (!run->is_entered_again)
		result = job_begin_event(run, "compute_post_live_migration_at_destination", run->target_name, &event,
					 error);
	if (result < 0)
		return result;
	CLEANUP_FREE char *downtime = describe_downtime(run);
	result = job_end_event(run, event, NULL, downtime, error);
	if (result < 0)
		return result;
	if (run->source_side != SIDE_ABSENT)
		end.leftovers |= CHORE_SOURCE_GUEST;
	log_event(run->worker->parts.log, LOG_LEVEL_INFO, run->job.request_id, "server moved live",
		  LOG_TEXT("server", run->job.server_uuid), LOG_TEXT("source", run->source_name),
		  LOG_TEXT("target", run->target_name), LOG_TEXT("how", downtime ? downtime : ""));
	return job_finish(run, &end, error);
}

/* The source's guest ended in the copy, and its libvirtd does not return from that: the server is what the source shows. */
static int end_stuck(struct job_run *run, struct error *error)
{
	(void)job_fail(run,
		       "The server went off in the copy, and the migration's call does not return: libvirtd on host "
		       "%s must be restarted.",
		       run->source_name);
	run->is_source_to_blame = true;
	return end_failed(run, CHORE_AWAIT_SOURCE | CHORE_TARGET_GUEST | CHORE_TARGET_VOLUMES, error);
}

static bool is_side_gone(const struct job_run *run)
{
	return run->is_source_gone || run->is_target_gone;
}

static const char *lost_reason(const struct job_run *run)
{
	if (run->action == RECOVER_GIVE_UP && is_side_gone(run))
		return "The server was on a host that was given up for good.";
	if (run->action == RECOVER_GIVE_UP)
		return "The server was found on neither host after its live migration.";
	if (run->source_side == SIDE_BROKEN || run->target_side == SIDE_BROKEN)
		return "The server's live migration broke in post-copy, and one of its halves is gone. Its memory is "
		       "lost: "
		       "stop what is left of it and start it again.";
	return "The server was found on both hosts after its live migration. Stop one of them by hand.";
}

static int end_lost(struct job_run *run, struct error *error)
{
	bool is_conflict = run->action == RECOVER_KEEP_HANDS_OFF;
	CLEANUP_FREE char *details =
		text_format("%s Host %s showed it %s, host %s %s.", lost_reason(run), run->source_name,
			    side_view_name(run->source_side), run->target_name, side_view_name(run->target_side));
	struct job_end lost = { .migration_status = "error",
				.is_failed = true,
				.is_lost = true,
				.error_cause = is_conflict         ? DB_ERROR_CAUSE_BOTH_HOSTS
					       : is_side_gone(run) ? DB_ERROR_CAUSE_HOST_GONE
								   : DB_ERROR_CAUSE_LOST,
				.reason = lost_reason(run),
				.details = details,
				.leftovers = is_conflict ? CHORE_CONFLICT : CHORE_TARGET_VOLUMES };

	if (!is_conflict && run->target_side != SIDE_ABSENT)
		lost.leftovers |= CHORE_TARGET_GUEST;
	return job_finish(run, &lost, error);
}

int live_finish(struct job_run *run, struct error *error)
{
	int result;

	switch (run->action) {
	case RECOVER_FINISH:
		result = end_completed(run, error);
		break;
	case RECOVER_WAIT_BOUNDED:
		result = end_stuck(run, error);
		break;
	default:
		result = end_lost(run, error);
		break;
	}
	return result < 0 ? result : STEP_DONE;
}

/* Attaches to a move that goes on by itself, until it ends or the daemon does. */
static int follow(struct job_run *run, struct error *error)
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
	return STEP_RESOLVE;
}

/* Each half waits for the other with what it has: tried until the stream stands again, since only that saves the guest. */
static int resume_postcopy(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };
	int result = find_address(run, error);
	struct live_options options = options_of(run);

	if (result < 0)
		return result;
	options.may_postcopy = true; /* whatever the settings say by now */
	options.is_resume = true;
	options.parallel_connections = 1; /* post-copy had no more when it began */
	result = mover_run(run, &options, false, &cause);
	log_event(run->worker->parts.log, result < 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, run->job.request_id,
		  result < 0 ? "post-copy cannot be resumed yet" : "post-copy is resumed",
		  LOG_TEXT("server", run->job.server_uuid), LOG_TEXT("trouble", cause.text));
	if (result < 0)
		return error_set(error, EAGAIN,
				 "server %s is held up in post-copy from %s to %s, it is tried again: %s",
				 run->job.server_uuid, run->source_name, run->target_name, cause.text);
	return STEP_RESOLVE;
}

/* Asks both sides and does what the table says. */
int live_resolve(struct job_run *run, struct error *error)
{
	job_resolve(run);
	if (run->source_side == SIDE_OFF || run->source_side == SIDE_UNREACHABLE)
		run->is_source_to_blame = true;
	if (run->is_target_gone)
		job_fail_without_target(run);
	switch (run->action) {
	case RECOVER_FINISH:
		/* libvirt defines the guest on the target when it is whole there; before that the broken source still has a part of
		 * its memory, and of one that cannot be asked nothing is known. */
		if ((run->source_side != SIDE_BROKEN && run->source_side != SIDE_UNREACHABLE)
		    || run->at_target.is_persistent)
			return job_go(run, "finishing");
		if (run->source_side == SIDE_UNREACHABLE)
			break;
		run->action = RECOVER_RESUME_POSTCOPY;
		return job_go(run, "moving");
	case RECOVER_FOLLOW:
	case RECOVER_RESUME_POSTCOPY:
		return job_go(run, "moving");
	case RECOVER_RESUME_SOURCE:
	case RECOVER_BEGIN:
	case RECOVER_ROLL_BACK:
		(void)job_fail(run, "The migration from %s to %s was interrupted.", run->source_name, run->target_name);
		return job_go(run, "restoring");
	case RECOVER_GIVE_UP:
	case RECOVER_KEEP_HANDS_OFF:
		return job_go(run, "finishing");
	case RECOVER_WAIT_BOUNDED:
		if (job_is_undecided_too_long(run))
			return job_go(run, "finishing");
		break;
	default:
		break;
	}
	if (run->source_side == SIDE_UNREACHABLE || run->target_side == SIDE_UNREACHABLE)
		return error_set(error, EAGAIN, "host %s does not answer; server %s is asked about again",
				 run->source_side == SIDE_UNREACHABLE ? run->source_name : run->target_name,
				 run->job.server_uuid);
	return error_set(error, EAGAIN, "server %.36s: source %s, target %s: it is asked again", run->job.server_uuid,
			 side_view_name(run->source_side), side_view_name(run->target_side));
}

/* A host that refuses post-copy does so before anything is begun; Nova then moves without it, too. */
static int move_as_hosts_may(struct job_run *run, const struct live_options *options, bool copies_disks,
			     struct error *error)
{
	struct live_options without = *options;
	int result = mover_run(run, options, copies_disks, error);

	if (result != -EOPNOTSUPP || !error)
		return result;
	TEXT_COPY(run->postcopy_refused, error->text);
	error_clear(error);
	log_event(run->worker->parts.log, LOG_LEVEL_WARNING, run->job.request_id,
		  "post-copy is permitted, but refused: the move is begun without it",
		  LOG_TEXT("server", run->job.server_uuid), LOG_TEXT("trouble", run->postcopy_refused));
	without.may_postcopy = false;
	return mover_run(run, &without, copies_disks, error);
}

/* The first run of the move itself: also where its answer was an error both sides are asked. */
static int begin_move(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };
	struct live_options options = options_of(run);

	options.is_storage_proven_shared = run->check.is_storage_proven_shared;
	int step = move_as_hosts_may(run, &options, run->check.copies_disks, &cause);
	if (step == -EAGAIN)
		return error_set(error, EAGAIN, "%s", cause.text);
	if (step < 0 && run->ended_why[0])
		error_set(&cause, ECANCELED, "%s", run->ended_why);
	int result = job_end_event(run, run->event, step < 0 ? &cause : NULL, NULL, error);
	run->event = 0;
	if (result == 0 && step < 0)
		(void)job_fail(run, "%s", cause.text);
	return result < 0 ? result : STEP_RESOLVE;
}

int live_move(struct job_run *run, struct error *error)
{
	enum recover_action action = run->action;

	run->action = RECOVER_BEGIN; /* it holds for this once */
	switch (action) {
	case RECOVER_FOLLOW:
		return follow(run, error);
	case RECOVER_RESUME_POSTCOPY:
		return resume_postcopy(run, error);
	default:
		return run->is_entered_again ? STEP_RESOLVE : begin_move(run, error);
	}
}

static int prepare(struct job_run *run, const struct live_options *options, struct error *ret_cause,
		   struct error *error)
{
	struct volume_journal journal = job_journal(run);
	int64_t event = 0;
	int result = job_begin_event(run, "compute_pre_live_migration", run->target_name, &event, error);

	if (result < 0)
		return result;
	int step = job_operations(run)->prepare_live(run->source, run->target, run->job.server_uuid, options,
						     run->check.copies_disks, &journal, ret_cause);
	return job_end_event(run, event, step < 0 ? ret_cause : NULL, NULL, error);
}

/* From a target that passed its checks, and a migration slot on both hosts. */
int live_prepare(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };
	int result = find_address(run, &cause);
	struct live_options options = options_of(run);

	if (result < 0 && result != -ENODEV)
		return error_set(error, -result, "%s", cause.text);
	result = job_begin_event(run, phases_event(run->kind), run->source_name, &run->event, error);
	if (result == 0 && !cause.code)
		result = prepare(run, &options, &cause, error);
	if (result == 0)
		result = job_read_requests(run, error);
	if (result < 0)
		return result;
	if (!cause.code && !run->job.is_abort_requested)
		return STEP_NEXT;
	result = job_end_event(run, run->event, cause.code ? &cause : NULL, NULL, error);
	run->event = 0;
	if (cause.code)
		(void)job_fail(run, "%s", cause.text);
	return result < 0 ? result : STEP_RESOLVE;
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
			  : job_operations(run)->check_live(run->source, run->target, run->job.server_uuid, &asked,
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

/* The client of an old version has its answer now. */
static int accept(struct job_run *run, struct error *error)
{
	int result = job_set_verdict(run, 202, NULL, NULL, error);

	if (result == 0)
		result = job_read_requests(run, error);
	if (result < 0 || !run->job.is_abort_requested)
		return result;
	result = end_failed(run, 0, error);
	return result < 0 ? result : STEP_DONE;
}

static int cancel(struct job_run *run, struct error *error)
{
	return end_failed(run, 0, error);
}

void live_search(const struct job_run *run, struct target_search *ret_search)
{
	*ret_search = (struct target_search){
		.event = choice_event(run),
		.sentence = SCHEDULE_NOT_ENOUGH_HOSTS,
		.first_phase = "preparing",
		.check = check,
		.refuse = refuse,
		.accept = accept,
		.cancel = cancel,
	};
}
