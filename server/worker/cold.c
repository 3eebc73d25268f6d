/* A cold migration up to VERIFY_RESIZE. The source's definition is kept by us before it is taken away there, and nothing of
 * the target is used before the copy was compared. After a crash it goes on from where it stopped; a step that fails puts
 * the source back. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/claims.h"
#include "db/migrations.h"
#include "db/volumes.h"
#include "server/worker/job.h"

static const struct hypervisor_operations *operations(const struct job_run *run)
{
	return run->worker->parts.hypervisor->operations;
}

static int write_kept(struct db_session *session, void *context, struct error *error)
{
	return db_kept_domain_insert(session, context, error);
}

/* -ENOENT: none is kept. */
static int read_kept(struct job_run *run, struct db_kept_domain *ret_kept, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	int result = db_read_begin(run->worker->parts.database, &session, error);

	return result < 0 ? result : db_kept_domain_by_server(session, run->job.server_uuid, ret_kept, error);
}

/* Where the server stands from now on, and on which other host its room is kept. */
static int write_place(struct db_session *session, struct job_run *run, struct db_server *server, int64_t host_id,
		       int64_t claimed_host_id, struct error *error)
{
	struct db_claim claim = {
		.host_id = claimed_host_id,
		.migration_id = run->job.migration_id,
		.vcpus = server->flavor.vcpus,
		.memory_mb = server->flavor.memory_mb,
		.disk_gb = db_flavor_disk_gb(&server->flavor),
	};

	TEXT_COPY(claim.server_uuid, run->job.server_uuid);
	server->host_id = host_id;
	int result = db_server_update(session, server, error);
	if (result == 0)
		result = db_claim_release(session, run->job.migration_id, 0, error);
	return result < 0 ? result : db_claim_make(session, &claim, &(struct db_claim_capacity){ -1, -1, -1 }, error);
}

/* All that is left is its start on the target: it stands there already, as in Nova's resize_finish. */
static int write_finishing(struct db_session *session, void *context, struct error *error)
{
	struct job_run *run = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, run->job.server_uuid, &server, error);

	if (result < 0)
		return result;
	TEXT_COPY(server.task_state, "resize_finish");
	return write_place(session, run, &server, run->job.target_host_id, run->job.source_host_id, error);
}

/* The end of a cold migration: the server waits on the target for its confirm; the source keeps its room by a claim. The
 * volumes that were copied stay recorded: only by that the confirm or the revert knows what it may remove. */
static int write_resized(struct db_session *session, void *context, struct error *error)
{
	struct job_run *run = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, run->job.server_uuid, &server, error);

	if (result < 0)
		return result;
	TEXT_COPY(server.old_vm_state, text_equal(server.vm_state, "stopped") ? "stopped" : "active");
	TEXT_COPY(server.vm_state, "resized");
	server.task_state[0] = '\0';
	server.power_state = text_equal(server.old_vm_state, "stopped") ? 4 : POWER_RUNNING;
	result = write_place(session, run, &server, run->job.target_host_id, run->job.source_host_id, error);
	if (result == 0)
		result = db_host_set_failed_migrations(session, run->job.target_host_id, 0, error);
	if (result == 0)
		result = db_migration_set_status(session, run->job.migration_id, "finished", error);
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

/* The source is as it was before. */
static int end_failed(struct job_run *run, const char *reason, struct error *error)
{
	struct job_end end = {
		.migration_status = "error", .is_failed = true, .is_target_to_blame = true, .reason = reason
	};

	if (run->job.is_abort_requested)
		end = (struct job_end){ .migration_status = "cancelled" };
	return job_finish(run, &end, error);
}

struct back_request {
	struct job_run *run;
	int64_t kept_id; /* 0: none */
};

/* The source has it again: the kept definition is no longer ours to keep. */
static int write_back(struct db_session *session, void *context, struct error *error)
{
	struct back_request *request = context;
	struct job_run *run = request->run;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, run->job.server_uuid, &server, error);

	if (result < 0)
		return result;
	server.host_id = run->job.source_host_id;
	result = db_server_update(session, &server, error);
	if (result == 0 && request->kept_id)
		result = db_kept_domain_delete(session, request->kept_id, error);
	return result;
}

static int restore_source(struct job_run *run, const struct db_kept_domain *kept, struct error *error)
{
	const char *uuid = run->job.server_uuid;
	struct guest_view at_source = { 0 };
	int result = operations(run)->remove_guest(run->target, uuid, error);

	if (result == 0)
		result = job_settle_volumes(run, VOLUMES_LEAVE_TARGET, error);
	if (result == 0)
		result = operations(run)->look(run->source, uuid, &at_source, error);
	if (result == 0 && kept->id && at_source.state == GUEST_ABSENT)
		result = operations(run)->define(run->source, kept->definition, kept->had_autostart, error);
	if (result == 0 && kept->was_running && side_view_of(0, &at_source) != SIDE_ALIVE)
		result = operations(run)->start_guest(run->source, uuid, false, error);
	return result;
}

/* Nothing more can be done by us; what is kept stays kept. */
static int give_up(struct job_run *run, const char *reason, const char *why, struct error *error)
{
	CLEANUP_FREE char *text =
		text_format("%s%s%s", reason, why ? " The server could not be brought back: " : "", why ? why : "");
	struct job_end lost = {
		.migration_status = "error", .is_failed = true, .is_lost = true, .reason = reason, .details = text
	};

	return job_finish(run, &lost, error);
}

/* A host that cannot be asked is asked again; one that answers and refuses leaves the server in error, for a person. */
static int restore(struct job_run *run, const char *reason, struct error *error)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };
	struct error trouble = { 0 };
	int found = read_kept(run, &kept, error);

	if (found < 0 && found != -ENOENT)
		return found;
	error_clear(error);
	int result = restore_source(run, &kept, &trouble);
	if (result == -EHOSTUNREACH || result == -ENOSPC || result == -ENOMEM)
		return error_set(error, -result, "server %s is to be brought back to %s: %s", run->job.server_uuid,
				 run->source_name, trouble.text);
	if (result < 0)
		return give_up(run, reason, trouble.text, error);

	struct back_request back = { run, kept.id };
	result = db_write(run->worker->parts.database, write_back, &back, error);
	return result < 0 ? result : end_failed(run, reason, error);
}

static int keep_definition(struct job_run *run, struct db_kept_domain *kept, struct error *error)
{
	struct guest_view view = { 0 };
	int result = operations(run)->look(run->source, run->job.server_uuid, &view, error);

	if (result == 0)
		result = operations(run)->read_definition(run->source, run->job.server_uuid, &kept->definition,
							  &kept->had_autostart, error);
	kept->was_running = view.state == GUEST_RUNNING;
	kept->host_id = run->job.source_host_id;
	kept->migration_id = run->job.migration_id;
	TEXT_COPY(kept->server_uuid, run->job.server_uuid);
	return result < 0 ? result : db_write(run->worker->parts.database, write_kept, kept, error);
}

/* A step that is carried on after a crash never goes back to an earlier phase. */
static int enter(struct job_run *run, const char *phase, const char *migration_status, const char *task_state,
		 struct error *error)
{
	if (phase_by_name(JOB_COLD, run->job.phase) > phase_by_name(JOB_COLD, phase))
		return 0;
	int result = job_enter(run, phase, false, migration_status, error);
	return result < 0 || !task_state ? result : job_set_task_state(run, task_state, error);
}

/* Asked between buffers of a copy: a daemon that stops leaves the copy, which is begun anew. */
static bool is_cancelled(void *context)
{
	struct job_run *run = context;
	struct error error = { 0 };

	if (run->job.lease_until_us - clock_now_us(run->worker->parts.clock) < run->limits->settings.lease_s * 500000)
		(void)job_renew_lease(run, &error); /* tried again at the next buffer */
	return worker_is_stopping(run->worker);
}

/* On the source: off, its disks copied, its definition moved. Each phase is written before its step. */
static int leave_source(struct job_run *run, const struct db_kept_domain *kept, struct error *error)
{
	CLEANUP_FREE char *definition = NULL;
	const struct volume_journal journal = job_journal(run);
	const char *uuid = run->job.server_uuid;
	int64_t graceful_ms = run->limits->settings.shutdown_timeout_s * 1000;
	int result = enter(run, "stopping", "migrating", "resize_migrating", error);

	if (result == 0)
		result = operations(run)->stop_guest(run->source, uuid, graceful_ms, error);
	if (result == 0)
		result = enter(run, "copying", NULL, NULL, error);
	if (result == 0)
		result = operations(run)->copy_cold(run->source, run->target, kept->definition, &journal, is_cancelled,
						    run, &definition, error);
	if (result == 0)
		result = enter(run, "defining", "post-migrating", "resize_migrated", error);
	if (result == 0)
		result = operations(run)->define(run->target, definition, false, error);
	if (result == 0)
		result = enter(run, "undefining", NULL, NULL, error);
	if (result == 0)
		result = operations(run)->undefine(run->source, uuid, error);
	return result == -ENOENT ? 0 : result;
}

static int finish_on_target(struct job_run *run, const struct db_kept_domain *kept, struct error *error)
{
	int64_t event = 0;
	struct error trouble = { 0 };
	int result = enter(run, "starting", "post-migrating", NULL, error);

	if (result == 0)
		result = db_write(run->worker->parts.database, write_finishing, run, error);
	if (result == 0)
		result = job_begin_event(run, "compute_finish_resize", run->target_name, &event, error);
	if (result < 0)
		return result;
	int step = kept->was_running ? operations(run)->start_guest(run->target, run->job.server_uuid, false, &trouble)
				     : 0;
	result = job_end_event(run, event, step < 0 ? &trouble : NULL, NULL, error);
	if (result < 0)
		return result;
	if (step == -EHOSTUNREACH)
		return error_set(error, EAGAIN, "%s", trouble.text);
	if (step < 0)
		return restore(run, trouble.text, error);
	log_event(run->worker->parts.log, LOG_LEVEL_INFO, run->job.request_id, "server moved cold",
		  LOG_TEXT("server", run->job.server_uuid), LOG_TEXT("source", run->source_name),
		  LOG_TEXT("target", run->target_name));
	return db_write(run->worker->parts.database, write_resized, run, error);
}

static int settle(struct job_run *run, const char *reason, struct error *error);

static int move(struct job_run *run, const struct db_kept_domain *kept, struct error *error)
{
	struct error trouble = { 0 };
	int64_t event = 0;
	int result = job_begin_event(run, "compute_resize_instance", run->source_name, &event, error);

	if (result < 0)
		return result;
	int step = leave_source(run, kept, &trouble);
	if (step < 0 && worker_is_stopping(run->worker))
		return error_set(error, EAGAIN, "the daemon stops; server %s is taken up again", run->job.server_uuid);
	result = job_end_event(run, event, step < 0 ? &trouble : NULL, NULL, error);
	if (result < 0)
		return result;
	return step < 0 ? settle(run, trouble.text, error) : finish_on_target(run, kept, error);
}

/* After a crash, by what the hosts show: on from where it stopped. A disk that was being copied is not trusted. */
static int carry_on(struct job_run *run, enum side_view source, struct error *error)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };
	int result = read_kept(run, &kept, error);

	if (result == -ENOENT) { /* nothing was done yet */
		error_clear(error);
		return restore(run, "The cold migration was interrupted before it began.", error);
	}
	if (result == 0 && source == SIDE_ABSENT)
		return finish_on_target(run, &kept, error);
	if (result == 0)
		result = operations(run)->remove_guest(run->target, run->job.server_uuid, error);
	if (result == 0)
		result = job_settle_volumes(run, VOLUMES_LEAVE_TARGET, error);
	return result < 0 ? result : move(run, &kept, error);
}

/* It runs on the target: its definition on the source is all that may be left there. */
static int finish(struct job_run *run, struct error *error)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };
	int result = read_kept(run, &kept, error);

	if (result == 0)
		result = operations(run)->remove_guest(run->source, run->job.server_uuid, error);
	return result < 0 ? result : db_write(run->worker->parts.database, write_resized, run, error);
}

/* What a failed step (`reason`) or a crash (NULL) left behind. */
static int settle(struct job_run *run, const char *reason, struct error *error)
{
	struct guest_view at_source = { 0 }, at_target = { 0 };
	const char *uuid = run->job.server_uuid;
	enum side_view source = side_view_of(operations(run)->look(run->source, uuid, &at_source, error), &at_source);
	enum side_view target = side_view_of(operations(run)->look(run->target, uuid, &at_target, error), &at_target);
	enum recover_action action = recover_decide(JOB_COLD, run->job.phase, source, target);
	const char *why = reason ? reason : "The cold migration was interrupted.";

	log_event(run->worker->parts.log, LOG_LEVEL_INFO, run->job.request_id, "both sides asked",
		  LOG_TEXT("server", uuid), LOG_TEXT("phase", run->job.phase),
		  LOG_TEXT("source", side_view_name(source)), LOG_TEXT("target", side_view_name(target)),
		  LOG_TEXT("action", recover_action_name(action)));
	switch (action) {
	case RECOVER_FINISH:
		return finish(run, error);
	case RECOVER_WAIT:
		return error_set(error, EAGAIN, "server %.36s: a host does not answer; it is asked again", uuid);
	case RECOVER_GIVE_UP:
	case RECOVER_KEEP_HANDS_OFF:
		return give_up(run, why, NULL, error);
	case RECOVER_BEGIN:
		return reason ? restore(run, why, error) : carry_on(run, source, error);
	default:
		return restore(run, why, error);
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
	int step = operations(run)->check_cold(run->source, run->target, run->job.server_uuid, ret_check, error);
	result = job_end_event(run, event, step < 0 ? error : NULL, NULL, &ignored);
	if (step == 0 && result < 0)
		*error = ignored;
	return step < 0 ? step : result;
}

static int take_turn(struct job_run *run, struct error *error)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };

	if (!worker_take_room(run)) {
		int queued = job_enter(run, "queued", false, NULL, error);

		return queued < 0 ? queued
				  : error_set(error, EAGAIN, "server %s waits for its turn from %s to %s",
					      run->job.server_uuid, run->source_name, run->target_name);
	}
	int result = enter(run, "stopping", "migrating", "resize_migrating", error);
	if (result == 0)
		result = keep_definition(run, &kept, error);
	return result < 0 ? result : move(run, &kept, error);
}

int cold_run(struct job_run *run, struct error *error)
{
	const struct target_search search = {
		.event = "cold_migrate",
		.outer_event = "conductor_migrate_server",
		.sentence = SCHEDULE_NO_HOST_FOR_COLD,
		.max_attempts = run->limits->scheduler.max_attempts,
		.check = check,
		.refuse = refuse,
	};
	const struct phase *phase = phase_by_name(JOB_COLD, run->job.phase);
	struct check_result ignored = { .refusal = CHECK_PASSED };
	int result;

	if (phase && phase->undo != UNDO_CLAIM)
		return settle(run, NULL, error);
	if (text_equal(run->job.phase, "queued"))
		result = target_check_again(run, &search, &ignored, error);
	else
		result = target_find(run, &search, &ignored, error);
	return result == 1 ? take_turn(run, error) : result;
}
