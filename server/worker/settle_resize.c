/* Confirm and revert of a cold migration. Each step may be done again, so that a crash or a host that does not answer only
 * makes it be tried again; neither goes back. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/claims.h"
#include "db/migrations.h"
#include "db/volumes.h"
#include "server/worker/job.h"

struct resize_end {
	struct job_run *run;
	int64_t kept_id; /* 0: none */
	int64_t host_id; /* where the server stands from now on */
	const char *status;
};

/* Within the end's transaction: the volumes that were copied are nobody's any more but the guest's. */
static int forget_copied(struct db_session *session, int64_t migration_id, struct error *error)
{
	CLEANUP_DB_VOLUMES struct db_volume_list copied = { 0 };
	int result = db_volume_by_migration(session, migration_id, &copied, error);

	for (size_t i = 0; result == 0 && i < copied.count; i++)
		result = db_volume_delete(session, copied.items[i].id, error);
	return result;
}

static const struct hypervisor_operations *operations(const struct job_run *run)
{
	return run->worker->parts.hypervisor->operations;
}

static int write_end(struct db_session *session, void *context, struct error *error)
{
	struct resize_end *end = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, end->run->job.server_uuid, &server, error);

	if (result < 0)
		return result;
	TEXT_COPY(server.vm_state, *server.old_vm_state ? server.old_vm_state : "active");
	server.power_state = text_equal(server.vm_state, "stopped") ? 4 : POWER_RUNNING;
	server.old_vm_state[0] = '\0';
	server.task_state[0] = '\0';
	server.host_id = end->host_id;
	result = db_server_update(session, &server, error);
	if (result == 0)
		result = db_claim_release(session, end->run->job.migration_id, 0, error);
	if (result == 0 && end->kept_id)
		result = db_kept_domain_delete(session, end->kept_id, error);
	if (result == 0)
		result = forget_copied(session, end->run->job.migration_id, error);
	if (result == 0)
		result = db_migration_set_status(session, end->run->job.migration_id, end->status, error);
	return result < 0 ? result : job_write_end(session, end->run, NULL, error);
}

/* -ENOENT: none is kept. */
static int read_kept(struct job_run *run, struct db_kept_domain *ret_kept, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	int result = db_read_begin(run->worker->parts.database, &session, error);

	return result < 0 ? result : db_kept_domain_by_server(session, run->job.server_uuid, ret_kept, error);
}

/* On one side, of all that the migration copied. Never by what looks private now: a pool that is off, or a folder that is
 * not mounted, makes a shared disk look so. */
static int remove_copied(struct job_run *run, struct hypervisor_host *host, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_VOLUMES struct db_volume_list copied = { 0 };
	CLEANUP_FREE struct hypervisor_volume *volumes = NULL;
	size_t count = 0;
	int result = db_read_begin(run->worker->parts.database, &session, error);

	if (result == 0)
		result = db_volume_by_migration(session, run->job.migration_id, &copied, error);
	db_read_end(TAKE_POINTER(session)); /* what follows takes time */
	if (result < 0)
		return result;
	volumes = calloc(copied.count + 1, sizeof(*volumes));
	if (!volumes)
		return error_no_memory(error);
	for (size_t i = 0; i < copied.count; i++)
		if (copied.items[i].is_complete)
			volumes[count++] = (struct hypervisor_volume){ copied.items[i].pool, copied.items[i].name };
	return operations(run)->remove_disks(host, volumes, count, error);
}

/* The phase, and with it the step's event; a step that is taken up again has its event already. */
static int enter(struct job_run *run, enum job_kind kind, const char *phase, const char *event, const char *host,
		 int64_t *ret_event, struct error *error)
{
	const struct phase *reached = phase_by_name(kind, run->job.phase);

	if (reached && reached >= phase_by_name(kind, phase))
		return 0;
	int result = job_enter(run, phase, false, NULL, error);
	return result < 0 || !event ? result : job_begin_event(run, event, host, ret_event, error);
}

/* While the confirm was pending neither host would have started the guest by itself; now the target has it. */
static int hand_over_autostart(struct job_run *run, const struct db_kept_domain *kept, struct error *error)
{
	CLEANUP_FREE char *definition = NULL;
	bool has_autostart = false;

	if (!kept->had_autostart)
		return 0;
	int result =
		operations(run)->read_definition(run->target, run->job.server_uuid, &definition, &has_autostart, error);
	if (result < 0 || has_autostart)
		return result;
	return operations(run)->define(run->target, definition, true, error);
}

int confirm_run(struct job_run *run, struct error *error)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };
	int64_t event = 0;
	int found = read_kept(run, &kept, error);

	if (found < 0 && found != -ENOENT)
		return found;
	error_clear(error);
	int result = enter(run, JOB_CONFIRM, "removing", "compute_confirm_resize", run->source_name, &event, error);
	if (result == 0 && kept.id)
		result = remove_copied(run, run->source, error);
	if (result == 0)
		result = hand_over_autostart(run, &kept, error);
	if (result < 0)
		return result;
	struct resize_end end = { run, kept.id, run->job.target_host_id, "confirmed" };
	return db_write(run->worker->parts.database, write_end, &end, error);
}

static int remove_from_target(struct job_run *run, struct error *error)
{
	const char *uuid = run->job.server_uuid;
	int64_t graceful_ms = run->limits->settings.shutdown_timeout_s * 1000;
	int result = operations(run)->stop_guest(run->target, uuid, graceful_ms, error);

	if (result == -ENOENT) { /* its definition went in an earlier run */
		error_clear(error);
		result = 0;
	}
	if (result == 0)
		result = enter(run, JOB_REVERT, "removing", NULL, NULL, NULL, error);
	if (result == 0)
		result = operations(run)->remove_guest(run->target, uuid, error);
	return result < 0 ? result : remove_copied(run, run->target, error);
}

static int write_source_place(struct db_session *session, void *context, struct error *error)
{
	struct job_run *run = context;

	return db_server_set_place(session, run->job.server_uuid, run->job.source_host_id, run->server.power_state,
				   error);
}

static int bring_back(struct job_run *run, const struct db_kept_domain *kept, struct error *error)
{
	struct guest_view view = { 0 };
	const char *uuid = run->job.server_uuid;
	const char *stop_event = kept->was_running ? NULL : "compute_stop_instance";
	int64_t event = 0; /* both end with the job */
	int result =
		enter(run, JOB_REVERT, "defining", "compute_finish_revert_resize", run->source_name, &event, error);

	if (result == 0)
		result = db_write(run->worker->parts.database, write_source_place, run, error);
	if (result == 0)
		result = operations(run)->look(run->source, uuid, &view, error);
	if (result == 0 && view.state == GUEST_ABSENT)
		result = operations(run)->define(run->source, kept->definition, kept->had_autostart, error);
	if (result == 0)
		result = enter(run, JOB_REVERT, "starting", stop_event, run->source_name, &event, error);
	if (result < 0)
		return result;
	if (!kept->was_running)
		return operations(run)->stop_guest(run->source, uuid, 0, error);
	return side_view_of(0, &view) == SIDE_ALIVE ? 0 : operations(run)->start_guest(run->source, uuid, false, error);
}

static int end_lost(struct job_run *run, const char *why, struct error *error)
{
	CLEANUP_FREE char *reason = text_format("The server could not be brought back: %s", why);
	struct job_end lost = { .migration_status = "error", .is_failed = true, .is_lost = true, .reason = reason };

	return job_finish(run, &lost, error);
}

/* A host that cannot be asked is asked again; one that answers and refuses leaves the server in error, for a person. */
static int after_trouble(struct job_run *run, int result, const struct error *trouble, struct error *error)
{
	if (result == -EHOSTUNREACH || result == -ENOSPC || result == -ENOMEM || result == -EAGAIN)
		return error_set(error, -result, "%s", trouble->text);
	return end_lost(run, trouble->text, error);
}

int revert_run(struct job_run *run, struct error *error)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };
	struct error trouble = { 0 };
	int64_t event = 0;
	int result = read_kept(run, &kept, error);

	if (result == -ENOENT)
		return end_lost(run, "its definition on the source was not kept", error);
	if (result == 0)
		result = enter(run, JOB_REVERT, "stopping", "compute_revert_resize", run->target_name, &event, error);
	if (result < 0)
		return result;
	/* A crash may have left a later phase: what is done already answers so. */
	if (phase_by_name(JOB_REVERT, run->job.phase) < phase_by_name(JOB_REVERT, "defining"))
		result = remove_from_target(run, &trouble);
	if (result < 0)
		return after_trouble(run, result, &trouble, error);
	result = job_end_event(run, event, NULL, NULL, error);
	if (result < 0)
		return result;
	result = bring_back(run, &kept, &trouble);
	if (result < 0)
		return after_trouble(run, result, &trouble, error);
	struct resize_end end = { run, kept.id, run->job.source_host_id, "reverted" };
	return db_write(run->worker->parts.database, write_end, &end, error);
}
