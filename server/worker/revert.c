/* Revert of a cold migration. The source is asked first: only when it can be reached and has its disks is the server stopped
 * on the target. It runs on the source again before anything is removed on the target, which is a chore. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/claims.h"
#include "server/worker/chores.h"
#include "server/worker/resize_end.h"
#include "server/worker/steps.h"

/* The target was given up, and the source has not what the server could go on with: it is nowhere any more. A definition that
 * was saved goes back, so that whoever can mend its disks can start it. */
static int end_without_target(struct job_run *run, const char *reason, struct error *error)
{
	CLEANUP_FREE char *details =
		text_format("Host %s, where the server was, was given up for good. It could not be "
			    "brought back to host %s: %s",
			    run->target_name, run->source_name, reason);
	struct job_end lost = { .migration_status = "error",
				.is_failed = true,
				.is_lost = true,
				.error_cause = DB_ERROR_CAUSE_HOST_GONE,
				.reason = "The server's host was given up for good.",
				.details = details,
				.leftovers = CHORE_DEFINITION | CHORE_TARGET_VOLUMES };
	int result = job_finish(run, &lost, error);

	return result < 0 ? result : STEP_DONE;
}

static int refuse(struct job_run *run, const char *reason, struct error *error)
{
	return run->is_target_gone ? end_without_target(run, reason, error) : resize_end_refuse(run, reason, error);
}

static int later_or_refused(struct job_run *run, int result, const struct error *cause, struct error *error)
{
	return job_is_for_later(result) ? error_set(error, -result, "%s", cause->text)
					: refuse(run, cause->text, error);
}

static int verify_source(struct job_run *run, struct error *error)
{
	CLEANUP_DB_VOLUMES struct db_volume_list rows = { 0 };
	CLEANUP_FREE struct hypervisor_volume *volumes = NULL;
	size_t count = 0;
	int result = job_copied_volumes(run, &rows, &volumes, &count, error);

	if (run->is_source_gone)
		return error_set(error, ESTALE, "host %s was given up", run->source_name);
	return result < 0 ? result : job_operations(run)->verify_disks(run->source, volumes, count, error);
}

/* It runs on the source already, moved back outside the API or started by a call that came late: all that is left is to say so. */
static int end_where_it_is(struct job_run *run, struct error *error)
{
	const struct resize_end end = { .run = run,
					.host_id = run->job.source_host_id,
					.power_state = guest_state_power_state(run->at_source.state),
					.vm_state = guest_state_vm_state(run->at_source.state),
					.status = "reverted",
					.leftovers = CHORE_TARGET_GUEST | CHORE_TARGET_VOLUMES };

	return resize_end_write(&end, error);
}

static bool is_unknown(enum side_view side)
{
	return side != SIDE_ABSENT && side != SIDE_OFF && side != SIDE_ALIVE;
}

static int ask_again(const struct job_run *run, struct error *error)
{
	return error_set(error, EAGAIN, "server %s is %s on host %s and %s on host %s: it is asked again",
			 run->job.server_uuid, side_view_name(run->source_side), run->source_name,
			 side_view_name(run->target_side), run->target_name);
}

/* 0: it is to be stopped on the target and brought back; else what the job comes to. */
static int look_first(struct job_run *run, struct error *error)
{
	job_look_at_sides(run);
	if (is_unknown(run->source_side) || is_unknown(run->target_side))
		return ask_again(run, error);
	if (run->source_side == SIDE_ALIVE && run->target_side == SIDE_ALIVE)
		return error_set(error, ESTALE, "server %s runs on host %s and on host %s: stop one of them by hand",
				 run->job.server_uuid, run->source_name, run->target_name);
	/* It was to be on the target: where else it may run is asked before it starts a second time. */
	return run->source_side != SIDE_ALIVE && run->target_side == SIDE_ABSENT
		       ? job_expect_on_no_third_host(run, !run->is_target_gone, error)
		       : 0;
}

int revert_stop(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };
	int result = resize_end_read_saved(run, error);

	if (result == 0 && !run->is_entered_again)
		result = job_begin_event(run, phases_event(run->kind), run->target_name, &run->event, error);
	if (result < 0)
		return result;
	result = verify_source(run, &cause);
	if (result == 0)
		result = look_first(run, &cause);
	if (result < 0)
		return later_or_refused(run, result, &cause, error);
	if (run->source_side == SIDE_ALIVE)
		return end_where_it_is(run, error);
	if (!run->saved.id && run->source_side == SIDE_ABSENT)
		return refuse(run, "its definition on the source was not kept", error);
	int64_t graceful_ms = run->limits->settings.shutdown_timeout_s * 1000;
	if (run->target_side == SIDE_ALIVE)
		result = job_operations(run)->stop_guest(run->target, run->job.server_uuid, graceful_ms, &cause);
	if (result == 0 || result == -ENOENT)
		return STEP_NEXT;
	return later_or_refused(run, result, &cause, error);
}

static int write_source_place(struct db_session *session, void *context, struct error *error)
{
	struct job_run *run = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, run->job.server_uuid, &server, error);

	/* What it takes on the target is claimed until the end: it may have to go on there. */
	if (result == 0 && server.host_id != run->job.source_host_id)
		result =
			job_write_place(session, run, &server, run->job.source_host_id, run->job.target_host_id, error);
	return result;
}

/* The server cannot be brought back: it goes on where it was. */
static int turn_back(struct job_run *run, const char *reason)
{
	(void)job_fail(run, "%s", reason);
	return job_go(run, "restoring");
}

static int turn_back_without_source(struct job_run *run)
{
	struct error error = { 0 };

	error_set(&error, ESTALE, "host %s was given up", run->source_name);
	return turn_back(run, error.text);
}

int revert_define(struct job_run *run, struct error *error)
{
	const unsigned int off = GUEST_SET_OFF | GUEST_SET(GUEST_ABSENT) | GUEST_SET(GUEST_SAVED);
	struct error cause = { 0 };
	int64_t event = 0; /* it ends with the job */
	int result = resize_end_read_saved(run, error);

	if (result == 0)
		result = job_end_event(run, run->event, NULL, NULL, error);
	run->event = 0;
	if (result == 0 && !run->is_entered_again)
		result = job_begin_event(run, "compute_finish_revert_resize", run->source_name, &event, error);
	if (result == 0 && run->is_source_gone)
		return turn_back_without_source(run);
	if (result == 0)
		result = db_write(run->worker->parts.database, write_source_place, run, error);
	if (result < 0)
		return result;
	result = job_expect(run, run->target, off, &cause);
	job_look_at_sides(run);
	if (result == 0 && run->target_side == SIDE_ABSENT)
		result = job_expect_on_no_third_host(run, !run->is_target_gone, &cause);
	if (result == 0 && is_unknown(run->source_side))
		result = error_set(&cause, EAGAIN, "host %s: the server is %s there", run->source_name,
				   side_view_name(run->source_side));
	if (result == 0 && run->source_side == SIDE_ABSENT)
		result = job_operations(run)->define(run->source, run->saved.definition, run->saved.had_autostart,
						     &cause);
	if (job_is_for_later(result))
		return error_set(error, -result, "%s", cause.text);
	return result < 0 ? turn_back(run, cause.text) : STEP_NEXT;
}

static int run_on_source(struct job_run *run, struct error *error)
{
	const unsigned int off = GUEST_SET_OFF | GUEST_SET(GUEST_ABSENT) | GUEST_SET(GUEST_SAVED);
	const unsigned int alive = GUEST_SET(GUEST_RUNNING) | GUEST_SET(GUEST_PAUSED) | GUEST_SET(GUEST_SUSPENDED);
	struct error ignored = { 0 };
	int result = job_expect(run, run->target, off, error);

	if (result == 0 && job_expect(run, run->target, off & ~GUEST_SET(GUEST_ABSENT), &ignored) < 0)
		result = job_expect_on_no_third_host(run, false, error);
	if (result < 0)
		return result;
	if (!run->saved.was_running)
		return job_operations(run)->stop_guest(run->source, run->job.server_uuid, 0, error);
	if (job_expect(run, run->source, alive, &ignored) == 0)
		return 0;
	return job_operations(run)->start_guest(run->source, run->job.server_uuid, false, error);
}

int revert_start(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };
	int64_t event = 0; /* it ends with the job */
	int result = resize_end_read_saved(run, error);

	if (result == 0 && !run->is_entered_again && run->saved.id && !run->saved.was_running)
		result = job_begin_event(run, "compute_stop_instance", run->source_name, &event, error);
	if (result < 0)
		return result;
	if (run->is_source_gone)
		return turn_back_without_source(run);
	result = run_on_source(run, &cause);
	if (job_is_for_later(result))
		return error_set(error, -result, "%s", cause.text);
	if (result < 0)
		return turn_back(run, cause.text);
	const struct resize_end end = { .run = run,
					.host_id = run->job.source_host_id,
					.power_state = run->saved.was_running ? POWER_RUNNING : POWER_OFF,
					.status = "reverted",
					.leftovers = CHORE_TARGET_GUEST | CHORE_TARGET_VOLUMES };
	return resize_end_write(&end, error);
}

/* On the target as it was, with the revert still to be had. */
static int bring_to_target(struct job_run *run, struct error *error)
{
	const unsigned int off = GUEST_SET_OFF | GUEST_SET(GUEST_ABSENT);
	int result = job_expect(run, run->source, off, error);

	if (result == 0 && !run->is_source_gone)
		result = job_operations(run)->remove_guest(run->source, run->job.server_uuid, GUEST_SET_OFF, error);
	if (result == 0 && run->saved.was_running)
		result = job_operations(run)->start_guest(run->target, run->job.server_uuid, false, error);
	return result;
}

/* It starts on neither host, unless it runs on the source after all. While the target still has it nothing is lost, and the
 * revert can be had again. Without, its definition goes back to the source; what the target has of its disks is newer than the
 * source's, and stays. */
static int end_off(struct job_run *run, const char *reason, const struct error *cause, struct error *error)
{
	CLEANUP_FREE char *details =
		text_format("The server could not be brought back: %s It could not be started on %s again: %s", reason,
			    run->target_name, cause->text);
	struct job_end lost = { .migration_status = "error",
				.is_failed = true,
				.is_lost = true,
				.error_cause = DB_ERROR_CAUSE_LOST,
				.reason = "The server could not be brought back.",
				.details = details,
				.leftovers = CHORE_DEFINITION | CHORE_KEEP_VOLUMES };

	job_look_at_sides(run);
	if (is_unknown(run->source_side) || is_unknown(run->target_side))
		return ask_again(run, error);
	if (run->source_side == SIDE_ALIVE && run->target_side != SIDE_ALIVE)
		return end_where_it_is(run, error);
	if (run->target_side != SIDE_ABSENT)
		return resize_end_refuse(run, details ? details : reason, error);
	int result = job_finish(run, &lost, error);
	return result < 0 ? result : STEP_DONE;
}

int revert_restore(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };
	const char *reason = run->failure[0] ? run->failure : "The revert was interrupted.";
	int result = resize_end_read_saved(run, error);

	if (result < 0)
		return result;
	if (run->is_target_gone)
		return end_without_target(run, reason, error);
	result = bring_to_target(run, &cause);
	if (job_is_for_later(result))
		return error_set(error, -result, "%s", cause.text);
	if (result == 0)
		return resize_end_refuse(run, reason, error);
	return end_off(run, reason, &cause, error);
}
