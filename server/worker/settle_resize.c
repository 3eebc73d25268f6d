/* Confirm and revert of a cold migration. Each step may be done again, so that a crash or a host that does not answer only
 * makes it be tried again; neither goes back. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/claims.h"
#include "db/migrations.h"
#include "db/volumes.h"
#include "server/worker/job.h"

struct resize_end {
	struct job_run *run;
	int64_t kept_id;
	int64_t host_id; /* where the server stands from now on */
	const char *status;
};

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
	server.old_vm_state[0] = '\0';
	server.task_state[0] = '\0';
	server.host_id = end->host_id;
	result = db_server_update(session, &server, error);
	if (result == 0)
		result = db_claim_release(session, end->run->job.migration_id, 0, error);
	if (result == 0)
		result = db_kept_domain_delete(session, end->kept_id, error);
	if (result == 0)
		result = db_migration_set_status(session, end->run->job.migration_id, end->status, error);
	return result < 0 ? result : job_write_end(session, end->run, false, error);
}

/* The kept definition says where the source is, the server where it stands now. */
static int find_sides(struct job_run *run, struct db_kept_domain *ret_kept, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	int result = db_read_begin(run->worker->parts.database, &session, error);

	if (result == 0)
		result = db_kept_domain_by_server(session, run->job.server_uuid, ret_kept, error);
	db_read_end(TAKE_POINTER(session));
	if (result == 0)
		result = worker_open_host(run->worker, ret_kept->host_id, run->source_name, &run->source, error);
	if (result == 0)
		result = worker_open_host(run->worker, run->server.host_id, run->target_name, &run->target, error);
	return result;
}

int confirm_run(struct job_run *run, struct error *error)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };
	int result = find_sides(run, &kept, error);

	if (result == 0)
		result = job_enter(run, "removing", false, NULL, error);
	if (result == 0)
		result = operations(run)->remove_disks(run->source, kept.definition, run->target, error);
	if (result < 0)
		return result;
	struct resize_end end = { run, kept.id, run->server.host_id, "confirmed" };
	return db_write(run->worker->parts.database, write_end, &end, error);
}

/* Disks first: without the definition nobody would know them. */
static int remove_from_target(struct job_run *run, struct error *error)
{
	CLEANUP_FREE char *definition = NULL;
	bool has_autostart = false;
	const char *uuid = run->job.server_uuid;
	int result = operations(run)->read_definition(run->target, uuid, &definition, &has_autostart, error);

	if (result == -ENOENT)
		return 0;
	if (result == 0)
		result = operations(run)->stop_guest(run->target, uuid,
						     run->worker->parts.settings->shutdown_timeout_s * 1000, error);
	if (result == 0)
		result = job_enter(run, "removing", false, NULL, error);
	if (result == 0)
		result = operations(run)->remove_disks(run->target, definition, run->source, error);
	return result < 0 ? result : operations(run)->remove_guest(run->target, uuid, error);
}

int revert_run(struct job_run *run, struct error *error)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };
	struct guest_view view = { 0 };
	const char *uuid = run->job.server_uuid;
	int result = find_sides(run, &kept, error);

	/* A crash may have left a later phase: what is done already answers so. */
	if (result == 0 && !phase_by_name(JOB_REVERT, run->job.phase))
		result = job_enter(run, "stopping", false, NULL, error);
	if (result == 0 && (text_equal(run->job.phase, "stopping") || text_equal(run->job.phase, "removing")))
		result = remove_from_target(run, error);
	if (result == 0 && !text_equal(run->job.phase, "starting"))
		result = job_enter(run, "defining", false, NULL, error);
	if (result == 0)
		result = operations(run)->look(run->source, uuid, &view, error);
	if (result == 0 && view.state == GUEST_ABSENT)
		result = operations(run)->define(run->source, kept.definition, kept.had_autostart, error);
	if (result == 0)
		result = job_enter(run, "starting", false, NULL, error);
	if (result == 0 && kept.was_running && side_view_of(0, &view) != SIDE_ALIVE)
		result = operations(run)->start_guest(run->source, uuid, false, error);
	if (result < 0)
		return result;
	struct resize_end end = { run, kept.id, kept.host_id, "reverted" };
	return db_write(run->worker->parts.database, write_end, &end, error);
}
