/* A cold migration up to VERIFY_RESIZE. The source's definition is kept by us before it is taken away there, and nothing of
 * the target is used before the copy was compared. A crash before the start on the target puts the source back. */
#include "base/cleanup.h"
#include "base/error.h"
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

/* The end of a cold migration: the server waits on the target for its confirm; the source keeps its room by a claim. */
static int write_resized(struct db_session *session, void *context, struct error *error)
{
	struct job_run *run = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	struct db_claim claim = { .host_id = run->job.source_host_id, .migration_id = run->job.migration_id };
	int result = db_server_by_uuid(session, run->job.server_uuid, &server, error);

	if (result < 0)
		return result;
	TEXT_COPY(server.old_vm_state, text_equal(server.vm_state, "stopped") ? "stopped" : "active");
	TEXT_COPY(server.vm_state, "resized");
	server.task_state[0] = '\0';
	server.power_state = text_equal(server.old_vm_state, "stopped") ? 4 : 1;
	server.host_id = run->job.target_host_id;
	TEXT_COPY(claim.server_uuid, run->job.server_uuid);
	claim.vcpus = server.flavor.vcpus;
	claim.memory_mb = server.flavor.memory_mb;
	claim.disk_gb = db_flavor_disk_gb(&server.flavor);
	result = db_server_update(session, &server, error);
	if (result == 0)
		result = db_claim_release(session, run->job.migration_id, 0, error);
	if (result == 0)
		result = db_claim_make(session, &claim, &(struct db_claim_capacity){ -1, -1, -1 }, error);
	if (result == 0)
		result = db_migration_set_status(session, run->job.migration_id, "finished", error);
	if (result == 0)
		result = job_write_end(session, run, false, error);
	return result;
}

static int end_failed(struct job_run *run, const char *reason, const char *for_others, struct error *error)
{
	struct job_end end = { .migration_status = "error",
			       .is_failed = true,
			       .reason = reason ? reason : for_others,
			       .verdict_status = 400,
			       .for_others = for_others,
			       .for_admins = reason };

	return job_finish(run, &end, error);
}

static int write_forget_kept(struct db_session *session, void *context, struct error *error)
{
	return db_kept_domain_delete(session, *(int64_t *)context, error);
}

/* Cleans the target and gives the source back what it had; the server is as before. */
static int restore(struct job_run *run, const char *reason, struct error *error)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };
	const char *uuid = run->job.server_uuid;
	struct guest_view at_source = { 0 };
	int found = read_kept(run, &kept, error);
	int result = found < 0 && found != -ENOENT ? found : operations(run)->remove_guest(run->target, uuid, error);

	if (result == 0)
		result = job_settle_volumes(run, true, error);
	if (result == 0 && found == 0)
		result = operations(run)->define(run->source, kept.definition, kept.had_autostart, error);
	if (result == 0)
		result = operations(run)->look(run->source, uuid, &at_source, error);
	if (result == 0 && found == 0 && kept.was_running && side_view_of(0, &at_source) != SIDE_ALIVE)
		result = operations(run)->start_guest(run->source, uuid, false, error);
	if (result == 0 && found == 0)
		result = db_write(run->worker->parts.database, write_forget_kept, &kept.id, error);
	return result < 0 ? result : end_failed(run, reason, reason, error);
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

/* The steps after the definition is kept; each phase is written before its step. */
static int move_steps(struct job_run *run, const struct db_kept_domain *kept, struct error *error)
{
	CLEANUP_FREE char *definition = NULL;
	const struct volume_journal journal = job_journal(run);
	const char *uuid = run->job.server_uuid;
	int result = operations(run)->stop_guest(run->source, uuid,
						 run->worker->parts.settings->shutdown_timeout_s * 1000, error);

	if (result == 0)
		result = job_enter(run, "copying", false, "migrating", error);
	if (result == 0)
		result = operations(run)->copy_cold(run->source, run->target, kept->definition, &journal, NULL, NULL,
						    &definition, error);
	if (result == 0)
		result = job_enter(run, "defining", false, NULL, error);
	if (result == 0)
		result = operations(run)->define(run->target, definition, false, error);
	if (result == 0)
		result = job_enter(run, "undefining", false, NULL, error);
	if (result == 0)
		result = operations(run)->undefine(run->source, uuid, error);
	if (result == 0)
		result = job_enter(run, "starting", false, "post-migrating", error);
	if (result == 0 && kept->was_running)
		result = operations(run)->start_guest(run->target, uuid, false, error);
	return result;
}

/* What a failed step or a crash left behind. */
static int settle(struct job_run *run, const char *reason, struct error *error)
{
	struct guest_view at_source = { 0 }, at_target = { 0 };
	const char *uuid = run->job.server_uuid;
	enum side_view source = side_view_of(operations(run)->look(run->source, uuid, &at_source, error), &at_source);
	enum side_view target = side_view_of(operations(run)->look(run->target, uuid, &at_target, error), &at_target);

	switch (recover_decide(JOB_COLD, run->job.phase, source, target)) {
	case RECOVER_FINISH: {
		int result = operations(run)->remove_guest(run->source, uuid, error);

		if (result < 0)
			return result;
		return db_write(run->worker->parts.database, write_resized, run, error);
	}
	case RECOVER_WAIT:
		return error_set(error, EAGAIN, "server %.36s: a host does not answer; it is asked again", uuid);
	case RECOVER_GIVE_UP:
	case RECOVER_KEEP_HANDS_OFF: {
		struct job_end lost = {
			.migration_status = "error", .is_failed = true, .is_lost = true, .reason = reason
		};

		return job_finish(run, &lost, error);
	}
	default:
		return restore(run, reason, error);
	}
}

/* Whoever is refused there is tried elsewhere, but not without end, and not for what no host can mend. */
static bool is_final(const struct job_run *run, const struct check_result *check)
{
	return check->refusal == CHECK_REFUSED_STORAGE || check->refusal == CHECK_REFUSED_BY_SERVER
	       || run->tried_count == JOB_HOSTS_TRIED_MAX
	       || (int64_t)run->tried_count + 1 >= run->worker->parts.scheduler->max_attempts;
}

/* 1: chosen, claimed and checked; 0: the job has ended. */
static int find_target(struct job_run *run, bool is_again, struct error *error)
{
	CLEANUP_FREE char *for_others = NULL;
	CLEANUP_FREE char *for_admins = NULL;

	for (;; is_again = true) {
		struct check_result check = { 0 };
		struct error trouble = { 0 };
		int result = job_enter(run, "choosing", is_again, "pre-migrating", error);

		if (result < 0)
			return result;
		int step = job_choose(run, &for_others, &for_admins, &trouble);
		if (step == -ECANCELED)
			return end_failed(run, for_admins, for_others, error);
		if (step < 0)
			return error_set(error, -step, "%s", trouble.text);
		result = job_enter(run, "checking", false, NULL, error);
		if (result < 0)
			return result;
		if (operations(run)->check_cold(run->source, run->target, run->job.server_uuid, &check, &trouble) == 0)
			return 1;
		if (is_final(run, &check))
			return end_failed(run, trouble.text, trouble.text, error);
		run->tried[run->tried_count].host_id = run->job.target_host_id;
		run->tried[run->tried_count++].reason = text_format("%s", trouble.text);
		result = job_release_claims(run, error);
		if (result < 0)
			return result;
		run->job.target_host_id = 0;
	}
}

int cold_run(struct job_run *run, struct error *error)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };
	const struct phase *phase = phase_by_name(JOB_COLD, run->job.phase);
	struct error trouble = { 0 };
	int64_t event = 0;

	if (phase && phase->undo != UNDO_CLAIM)
		return settle(run, "The cold migration was interrupted.", error);
	int result = job_release_claims(run, error);
	if (result == 0)
		result = job_begin_event(run, "cold_migrate", run->worker->parts.node, &event, error);
	if (result == 0)
		result = find_target(run, phase != NULL, error);
	if (result <= 0)
		return result;
	result = job_enter(run, "stopping", false, NULL, error);
	if (result == 0)
		result = keep_definition(run, &kept, error);
	if (result < 0)
		return result;
	if (move_steps(run, &kept, &trouble) < 0)
		return settle(run, trouble.text, error);
	return db_write(run->worker->parts.database, write_resized, run, error);
}
