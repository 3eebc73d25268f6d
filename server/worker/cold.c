/* The steps of a cold migration up to VERIFY_RESIZE. The source's definition is saved by us before it is taken away there, and
 * nothing of the target is used before the copy was compared. After a crash it goes on from where it stopped; a step that
 * fails puts the source back first, and leaves what the target has to its chores. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/claims.h"
#include "db/migrations.h"
#include "server/worker/chores.h"
#include "server/worker/forget_server.h"
#include "server/worker/job.h"
#include "server/worker/resize_end.h"
#include "server/worker/steps.h"

/* All that is left is its start on the target: it stands there already, as in Nova's resize_finish. */
static int write_finishing(struct db_session *session, void *context, struct error *error)
{
	struct job_run *run = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, run->job.server_uuid, &server, error);

	if (result == -ENOENT) { /* it was deleted outside the API */
		error_clear(error);
		return 0;
	}
	if (result < 0)
		return result;
	TEXT_COPY(server.task_state, "resize_finish");
	return job_write_place(session, run, &server, run->job.target_host_id, run->job.source_host_id, error);
}

static int write_deleted(struct db_session *session, struct job_run *run, struct error *error)
{
	int result = db_claim_release(session, run->job.migration_id, 0, error);

	if (result == 0 && run->saved.id)
		result = db_kept_domain_delete(session, run->saved.id, error);
	if (result == 0)
		result = chores_write(session, run, CHORE_SOURCE_VOLUMES, error);
	if (result == 0)
		result = db_migration_set_status(session, run->job.migration_id, "confirmed", error);
	return result < 0 ? result : job_write_end(session, run, NULL, error);
}

/* The end of a cold migration: the server waits on the target for its confirm; the source keeps its room by a claim. The
 * volumes that were copied stay recorded: only by that the confirm or the revert knows what it may remove. */
static int write_resized(struct db_session *session, void *context, struct error *error)
{
	struct job_run *run = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, run->job.server_uuid, &server, error);

	if (result == -ENOENT) { /* it was deleted outside the API: nobody will confirm it */
		error_clear(error);
		return write_deleted(session, run, error);
	}
	if (result < 0)
		return result;
	TEXT_COPY(server.old_vm_state, text_equal(server.vm_state, "stopped") ? "stopped" : "active");
	TEXT_COPY(server.vm_state, "resized");
	server.task_state[0] = '\0';
	server.power_state = text_equal(server.old_vm_state, "stopped") ? POWER_OFF : POWER_RUNNING;
	result = job_write_place(session, run, &server, run->job.target_host_id, run->job.source_host_id, error);
	if (result == 0)
		result = db_host_set_failed_migrations(session, run->job.target_host_id, 0, error);
	if (result == 0)
		result = db_migration_set_status(session, run->job.migration_id, "finished", error);
	/* One that somebody defined there again: it must not start beside the server. */
	if (result == 0 && run->source_side == SIDE_OFF)
		result = chores_write(session, run, CHORE_SOURCE_GUEST, error);
	return result < 0 ? result : job_write_end(session, run, NULL, error);
}

/* The source was not touched. `for_admins` NULL: the same. */
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

/* A step's answer: on, later, or both sides are asked why. */
static int step_end(struct job_run *run, int result, const struct error *cause, struct error *error)
{
	if (result == 0)
		return STEP_NEXT;
	if (worker_is_stopping(run->worker))
		return error_set(error, EAGAIN, "the daemon stops; server %s is taken up again", run->job.server_uuid);
	if (result == -EHOSTUNREACH) /* which of the two it was shows now */
		run->is_source_to_blame = job_operations(run)->look(run->source, run->job.server_uuid, &run->at_source,
								    &(struct error){ 0 })
					  < 0;
	if (job_is_for_later(result) && result != -EHOSTUNREACH)
		return error_set(error, -result, "%s", cause->text);
	return job_fail(run, "%s", cause->text);
}

static int write_saved(struct db_session *session, void *context, struct error *error)
{
	return db_kept_domain_insert(session, context, error);
}

/* Once: from then on it is ours to give back. */
static int save_definition(struct job_run *run, struct error *error)
{
	struct guest_view view = { 0 };
	int result = resize_end_read_saved(run, error);

	if (result < 0 || run->saved.id)
		return result;
	result = job_operations(run)->look(run->source, run->job.server_uuid, &view, error);
	if (result == 0)
		result = job_operations(run)->read_definition(run->source, run->job.server_uuid, &run->saved.definition,
							      &run->saved.had_autostart, error);
	if (result < 0)
		return result;
	run->saved.was_running = view.state == GUEST_RUNNING;
	run->saved.host_id = run->job.source_host_id;
	run->saved.migration_id = run->job.migration_id;
	TEXT_COPY(run->saved.server_uuid, run->job.server_uuid);
	result = db_write(run->worker->parts.database, write_saved, &run->saved, error);
	if (result < 0)
		run->saved.id = 0; /* its row did not come to stay */
	return result;
}

int cold_stop(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };
	int64_t graceful_ms = run->limits->settings.shutdown_timeout_s * 1000;
	int result = 0;

	if (!run->event)
		result = job_begin_event(run, phases_event(run->kind), run->source_name, &run->event, error);
	if (result < 0)
		return result;
	result = save_definition(run, &cause);
	if (result == 0)
		result = job_operations(run)->stop_guest(run->source, run->job.server_uuid, graceful_ms, &cause);
	return step_end(run, result, &cause, error);
}

/* Asked between buffers of a copy: a daemon that stops leaves the copy, which is begun again. */
static bool is_cancelled(void *context)
{
	struct job_run *run = context;
	struct error error = { 0 };

	if (run->job.lease_until_us - clock_now_us(run->worker->parts.clock) < run->limits->settings.lease_s * 500000)
		(void)job_renew_lease(run, &error); /* tried again at the next buffer */
	return worker_is_stopping(run->worker);
}

/* What an earlier try made on the target: a disk that was being copied is not trusted. */
static int clear_target(struct job_run *run, struct error *error)
{
	int result = job_operations(run)->remove_guest(run->target, run->job.server_uuid, GUEST_SET_OFF, error);

	return result < 0 ? result : job_remove_copies(run, error);
}

int cold_copy(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };
	const struct volume_journal journal = job_journal(run);
	int result = resize_end_read_saved(run, error);

	if (result < 0)
		return result;
	result = job_expect(run, run->source, GUEST_SET_OFF, &cause);
	if (result == 0 && run->action == RECOVER_BEGIN)
		result = clear_target(run, &cause);
	run->action = RECOVER_MAX;
	free(TAKE_POINTER(run->definition));
	if (result == 0)
		result = job_operations(run)->copy_cold(run->source, run->target, run->saved.definition, &journal,
							is_cancelled, run, &run->definition, &cause);
	result = step_end(run, result, &cause, error);
	return result == STEP_NEXT ? job_go(run, "defining") : result;
}

int cold_define(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };

	if (!run->definition) /* of an earlier run: it is copied again */
		return STEP_RESOLVE;
	/* Started there meanwhile, its disks are newer than the copies. */
	int result = job_expect(run, run->source, GUEST_SET_OFF, &cause);
	if (result == 0)
		result = job_operations(run)->define(run->target, run->definition, false, &cause);
	run->has_defined_copy = result == 0;
	return step_end(run, result, &cause, error);
}

/* Before we took it away: by somebody else, between two looks. */
static bool is_gone_from_source(struct job_run *run)
{
	struct guest_view view = { 0 };
	struct error ignored = { 0 };

	return !run->is_entered_again
	       && job_operations(run)->look(run->source, run->job.server_uuid, &view, &ignored) == 0
	       && view.state == GUEST_ABSENT;
}

/* With its disks still there, whole, it was removed by somebody: 1. Without them the copy may be all that is left of it, and goes
 * on, unless a third host has it (-ESTALE): 0. */
static int is_removed_by_others(struct job_run *run, struct error *error)
{
	CLEANUP_DB_VOLUMES struct db_volume_list rows = { 0 };
	CLEANUP_FREE struct hypervisor_volume *volumes = NULL;
	size_t count = 0;
	int result = job_copied_volumes(run, &rows, &volumes, &count, error);

	if (result == 0 && count > 0)
		result = job_operations(run)->verify_disks(run->source, volumes, count, error);
	if (result == 0 && count > 0)
		return 1;
	if (result < 0 && result != -ESTALE)
		return result;
	error_clear(error);
	return job_expect_on_no_third_host(run, false, error);
}

/* Where it is gone without us. 0: on to the target. */
static int end_gone(struct job_run *run, struct error *cause)
{
	int result = is_removed_by_others(run, cause);

	if (result == -ESTALE) { /* it is not ours to bring back */
		(void)job_fail(run, "%s", cause->text);
		run->action = RECOVER_GIVE_UP;
		return job_go(run, "finishing");
	}
	if (result != 1)
		return result;
	run->action = RECOVER_FORGET;
	return job_go(run, "finishing");
}

int cold_undefine(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };
	bool is_gone = is_gone_from_source(run);
	int result = is_gone ? end_gone(run, &cause) : 0;

	if (result == STEP_GO)
		return result;
	if (result == 0 && !is_gone)
		result = job_expect(run, run->source, GUEST_SET_OFF, &cause);
	if (result == 0)
		result = job_operations(run)->remove_guest(run->source, run->job.server_uuid, GUEST_SET_OFF, &cause);
	result = step_end(run, result, &cause, error);
	if (result != STEP_NEXT)
		return result;
	result = job_end_event(run, run->event, NULL, NULL, error);
	run->event = 0;
	return result < 0 ? result : STEP_NEXT;
}

int cold_start(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };
	int64_t event = 0;
	int step = 0;
	int result = resize_end_read_saved(run, error);

	if (result == 0)
		result = db_write(run->worker->parts.database, write_finishing, run, error);
	if (result == 0 && !run->is_entered_again)
		result = job_begin_event(run, "compute_finish_resize", run->target_name, &event, error);
	if (result < 0)
		return result;
	/* It starts where it is the only one. */
	step = job_expect(run, run->source, GUEST_SET(GUEST_ABSENT), &cause);
	if (step == 0 && run->saved.was_running)
		step = job_operations(run)->start_guest(run->target, run->job.server_uuid, false, &cause);
	result = job_end_event(run, event, step < 0 ? &cause : NULL, NULL, error);
	if (result < 0)
		return result;
	if (job_is_for_later(step))
		return error_set(error, EAGAIN, "%s", cause.text);
	if (step < 0) {
		(void)job_fail(run, "%s", cause.text);
		return STEP_RESOLVE;
	}
	run->action = RECOVER_FINISH;
	run->source_side = SIDE_ABSENT;
	return job_go(run, "finishing");
}

/* The source has it again: the saved definition is no longer ours to keep. */
static int write_back(struct db_session *session, void *context, struct error *error)
{
	struct job_run *run = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, run->job.server_uuid, &server, error);

	if (result == 0) {
		server.host_id = run->job.source_host_id;
		result = db_server_update(session, &server, error);
	} else if (result == -ENOENT) { /* it was deleted outside the API */
		error_clear(error);
		result = 0;
	}
	if (result == 0 && run->saved.id)
		result = db_kept_domain_delete(session, run->saved.id, error);
	return result;
}

struct failed_end {
	struct job_run *run;
	const struct job_end *end;
	bool is_removed; /* by somebody, on its host: no host has it */
};

static int write_back_and_end(struct db_session *session, void *context, struct error *error)
{
	const struct failed_end *failed = context;
	int result = write_back(session, failed->run, error);

	if (result == 0)
		result = job_write_finish(session, failed->run, failed->end, error);
	if (result < 0 || !failed->is_removed)
		return result;
	result = forget_server(session, failed->run->job.server_uuid, error);
	if (result != -ENOENT)
		return result;
	error_clear(error); /* it was forgotten already */
	return 0;
}

/* The source is as it was before, and what the target has is left to its chores: one transaction. */
static int end_failed(struct job_run *run, bool is_removed, struct error *error)
{
	struct job_end end = { .migration_status = "error",
			       .is_failed = true,
			       .is_target_to_blame = !run->is_source_to_blame,
			       .reason = run->failure[0] ? run->failure : "The cold migration was interrupted.",
			       .leftovers = CHORE_TARGET_GUEST | CHORE_TARGET_VOLUMES };
	struct failed_end failed = { run, &end, is_removed };

	if (run->job.is_abort_requested)
		end = (struct job_end){ .migration_status = "cancelled", .leftovers = end.leftovers };
	job_note_outcome(run, &end);
	int result = job_write_last(run, write_back_and_end, &failed, error);
	return result < 0 ? result : STEP_DONE;
}

/* Where it may start: nothing of it can run on the target. */
static int bring_back(struct job_run *run, struct error *error)
{
	struct guest_view at_source = { 0 };
	struct error ignored = { 0 };
	const char *uuid = run->job.server_uuid;
	int result = job_operations(run)->look(run->source, uuid, &at_source, error);

	/* Neither where it was nor where it was to be: somebody may have moved it. */
	if (result == 0 && at_source.state == GUEST_ABSENT && job_expect(run, run->target, GUEST_SET_OFF, &ignored) < 0)
		result = job_expect_on_no_third_host(run, false, error);
	if (result == 0 && run->saved.id && at_source.state == GUEST_ABSENT)
		result = job_operations(run)->define(run->source, run->saved.definition, run->saved.had_autostart,
						     error);
	if (result == 0 && run->saved.was_running && side_view_of(0, &at_source) != SIDE_ALIVE)
		result = job_operations(run)->start_guest(run->source, uuid, false, error);
	return result;
}

/* With the source given up, what the target has may be all that is left of the server: nothing of it goes, and nothing is
 * remembered to go. */
static unsigned int lost_leftovers(const struct job_run *run)
{
	if (run->action == RECOVER_KEEP_HANDS_OFF)
		return CHORE_CONFLICT;
	return run->is_source_gone ? CHORE_SOURCE_VOLUMES
				   : CHORE_DEFINITION | CHORE_TARGET_GUEST | CHORE_TARGET_VOLUMES;
}

/* Nothing more can be done by us now; the definition goes back when its host takes it. */
static int end_lost(struct job_run *run, const char *why, struct error *error)
{
	const char *reason = run->failure[0] ? run->failure : "The cold migration was interrupted.";
	CLEANUP_FREE char *text = why ? text_format("%s%s The server could not be brought back: %s", reason,
						    text_ends_with(reason, ".") ? "" : ".", why)
				      : text_format("%s", reason);
	struct job_end lost = { .migration_status = "error",
				.is_failed = true,
				.is_lost = true,
				.error_cause = run->action == RECOVER_KEEP_HANDS_OFF ? DB_ERROR_CAUSE_BOTH_HOSTS
					       : run->is_source_gone                 ? DB_ERROR_CAUSE_HOST_GONE
										     : DB_ERROR_CAUSE_LOST,
				.reason = reason,
				.details = text,
				.leftovers = lost_leftovers(run) };

	int result = job_finish(run, &lost, error);
	return result < 0 ? result : STEP_DONE;
}

/* The event of the move on its source ends by what went wrong. */
static int end_event(struct job_run *run, struct error *error)
{
	struct error failure = { 0 };
	int64_t event = run->event;

	run->event = 0;
	error_set(&failure, EIO, "%s", run->failure);
	return job_end_event(run, event, &failure, NULL, error);
}

/* A host that cannot be asked is asked again; one that answers and refuses leaves the server in error, for a person. */
static int restore(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };

	if (run->is_source_gone)
		return end_lost(run, "its host was given up for good", error);
	int result = bring_back(run, &cause);
	if (job_is_for_later(result))
		return error_set(error, -result, "server %s is to be brought back to %s: %s", run->job.server_uuid,
				 run->source_name, cause.text);
	return result < 0 ? end_lost(run, cause.text, error) : end_failed(run, false, error);
}

int cold_return(struct job_run *run, struct error *error)
{
	int result = resize_end_read_saved(run, error);

	if (result == 0)
		result = end_event(run, error);
	return result < 0 ? result : restore(run, error);
}

int cold_restore(struct job_run *run, struct error *error)
{
	const unsigned int not_running = GUEST_SET_OFF | GUEST_SET(GUEST_ABSENT);
	struct error cause = { 0 };
	int result = resize_end_read_saved(run, error);

	if (result == 0)
		result = end_event(run, error);
	if (result < 0)
		return result;
	result = job_expect(run, run->target, not_running, &cause);
	if (result < 0)
		return error_set(error, EAGAIN, "server %s is to be brought back to %s: %s", run->job.server_uuid,
				 run->source_name, cause.text);
	return restore(run, error);
}

/* Somebody removed it on the source: so be it, and the copies go, too, as long as the disks that they were made from are
 * there. It is forgotten at once: what the target has of it must not pass for the guest. One that was moved away is found. */
static int end_removed(struct job_run *run, struct error *error)
{
	struct error ignored = { 0 };

	(void)job_fail(run, "The server was removed on host %s while it was copied.", run->source_name);
	run->is_source_to_blame = true;
	/* What this run did not define there was put there by somebody: that is the guest, and discovery finds it. */
	bool is_on_target = run->target_side == SIDE_OFF && !run->has_defined_copy;
	return end_failed(run, !is_on_target && job_expect_on_no_third_host(run, false, &ignored) == 0, error);
}

/* It had its place on the target, which was given up: it waits there for its confirm on paper, and the end of that host brings
 * it back by the definition that was saved. */
static bool may_revert(const struct job_run *run)
{
	return run->action == RECOVER_GIVE_UP && run->is_target_gone && !run->is_source_gone && run->saved.id;
}

int cold_finish(struct job_run *run, struct error *error)
{
	int result = resize_end_read_saved(run, error);

	if (result < 0)
		return result;
	if (run->action == RECOVER_FORGET && run->is_source_gone)
		return end_lost(run, "its host was given up for good", error);
	if (run->action == RECOVER_FORGET)
		return end_removed(run, error);
	if (run->action != RECOVER_FINISH && !may_revert(run))
		return end_lost(run, NULL, error);
	log_event(run->worker->parts.log, LOG_LEVEL_INFO, run->job.request_id, "server moved cold",
		  LOG_TEXT("server", run->job.server_uuid), LOG_TEXT("source", run->source_name),
		  LOG_TEXT("target", run->target_name));
	result = job_write_last(run, write_resized, run, error);
	return result < 0 ? result : STEP_DONE;
}

/* Its source was given up, and the target has a definition of it: from there on its disks were read back and found equal. */
static bool may_go_on_without_source(const struct job_run *run)
{
	return run->is_source_gone && run->action == RECOVER_FORGET && run->target_side == SIDE_OFF
	       && text_equal(run->job.phase, "defining");
}

/* After a crash, by what the hosts show: on from where it stopped. After a failed step: back. */
static int go_on(struct job_run *run, struct error *error)
{
	int result = resize_end_read_saved(run, error);

	if (result < 0)
		return result;
	if (run->failure[0] || run->job.is_abort_requested)
		return job_go(run, phase_by_name(JOB_COLD, run->job.phase) < phase_by_name(JOB_COLD, "defining")
					   ? "returning"
					   : "restoring");
	if (!run->saved.id && run->source_side != SIDE_ABSENT) /* nothing was done yet */
		return job_go(run, "stopping");
	if (run->source_side == SIDE_ABSENT)
		return job_go(run, "starting");
	return job_go(run, run->source_side == SIDE_ALIVE ? "stopping" : "copying");
}

/* Gone from its source without us. What the target has from here on is our copy, or was put there by somebody: whoever did so, it
 * may be all that is left, and goes on, unless a third host has it. */
static int resolve_gone(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };

	if (run->is_source_gone || run->target_side != SIDE_OFF || !text_equal(run->job.phase, "defining"))
		return job_go(run, "finishing");
	int result = job_expect_on_no_third_host(run, false, &cause);
	if (result == 0)
		return job_go(run, "starting");
	if (result != -ESTALE)
		return error_set(error, EAGAIN, "%s", cause.text);
	(void)job_fail(run, "%s", cause.text);
	run->action = RECOVER_GIVE_UP;
	return job_go(run, "finishing");
}

int cold_resolve(struct job_run *run, struct error *error)
{
	job_resolve(run);
	if (may_go_on_without_source(run))
		return job_go(run, "starting");
	if (run->is_target_gone)
		job_fail_without_target(run);
	switch (run->action) {
	case RECOVER_WAIT:
	case RECOVER_WAIT_BOUNDED:
		return error_set(error, EAGAIN, "server %.36s: a host does not answer; it is asked again",
				 run->job.server_uuid);
	case RECOVER_BEGIN:
		return go_on(run, error);
	case RECOVER_RETURN:
		(void)job_fail(run, "Host %s does not answer.", run->target_name);
		return job_go(run, "returning");
	case RECOVER_FORGET:
		return resolve_gone(run, error);
	case RECOVER_FINISH:
	case RECOVER_GIVE_UP:
	case RECOVER_KEEP_HANDS_OFF:
		return job_go(run, "finishing");
	default:
		if (run->source_side == SIDE_ALIVE && !run->failure[0])
			(void)job_fail(run, "The server was started on host %s while it was moved.", run->source_name);
		return job_go(run, "restoring");
	}
}

/* Nova's prep_resize: what the target says to it. */
static int check(struct job_run *run, struct check_result *ret_check, struct error *error)
{
	struct error ignored = { 0 };
	int64_t event = 0;
	int result = job_begin_event(run, "compute_prep_resize", run->target_name, &event, error);

	if (result < 0)
		return result;
	int step = job_operations(run)->check_cold(run->source, run->target, run->job.server_uuid, ret_check, error);
	result = job_end_event(run, event, step < 0 ? error : NULL, NULL, &ignored);
	if (step == 0 && result < 0)
		*error = ignored;
	return step < 0 ? step : result;
}

void cold_search(const struct job_run *run, struct target_search *ret_search)
{
	*ret_search = (struct target_search){
		.event = "cold_migrate",
		.outer_event = "conductor_migrate_server",
		.sentence = SCHEDULE_NO_HOST_FOR_COLD,
		.first_phase = "stopping",
		.max_attempts = run->limits->scheduler.max_attempts,
		.check = check,
		.refuse = refuse,
	};
}
