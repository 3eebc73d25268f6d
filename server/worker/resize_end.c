/* How a confirm or a revert is written. */
#include "server/worker/resize_end.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/claims.h"
#include "db/migrations.h"
#include "server/worker/chores.h"

int resize_end_read_saved(struct job_run *run, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;

	if (run->saved.id)
		return 0;
	int result = db_read_begin(run->worker->parts.database, &session, error);
	if (result == 0)
		result = db_kept_domain_by_migration(session, run->job.migration_id, &run->saved, error);
	if (result != -ENOENT)
		return result;
	error_clear(error);
	return 0;
}

static int write_server(struct db_session *session, const struct resize_end *end, struct error *error)
{
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, end->run->job.server_uuid, &server, error);

	if (result == -ENOENT) { /* it was deleted outside the API */
		error_clear(error);
		return db_claim_release(session, end->run->job.migration_id, 0, error);
	}
	if (result < 0)
		return result;
	if (end->vm_state)
		TEXT_COPY(server.vm_state, end->vm_state);
	else
		TEXT_COPY(server.vm_state, *server.old_vm_state ? server.old_vm_state : "active");
	server.power_state = text_equal(server.vm_state, "stopped") && !end->vm_state ? POWER_OFF : end->power_state;
	server.old_vm_state[0] = '\0';
	server.task_state[0] = '\0';
	return job_write_place(session, end->run, &server, end->host_id, 0, error);
}

static int write_end(struct db_session *session, void *context, struct error *error)
{
	const struct resize_end *end = context;
	struct job_run *run = end->run;
	int result = write_server(session, end, error);

	if (result == 0 && run->saved.id)
		result = db_kept_domain_delete(session, run->saved.id, error);
	if (result == 0)
		result = chores_write(session, run, end->leftovers, error);
	if (result == 0)
		result = db_migration_set_status(session, run->job.migration_id, end->status, error);
	return result < 0 ? result : job_write_end(session, run, NULL, error);
}

int resize_end_write(const struct resize_end *end, struct error *error)
{
	struct resize_end copy = *end;
	int result = job_write_last(end->run, write_end, &copy, error);

	return result < 0 ? result : STEP_DONE;
}

struct refusal {
	struct job_run *run;
	const char *reason;
};

static int write_refusal(struct db_session *session, void *context, struct error *error)
{
	const struct refusal *refusal = context;
	struct job_run *run = refusal->run;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, run->job.server_uuid, &server, error);

	if (result == 0) {
		/* An admin may have set it active meanwhile: it is shown as what it is, one that waits. */
		if (!text_equal(server.vm_state, "error"))
			TEXT_COPY(server.vm_state, "resized");
		server.task_state[0] = '\0';
		result = server.host_id == run->job.source_host_id ? job_write_place(
				 session, run, &server, run->job.target_host_id, run->job.source_host_id, error)
								   : db_server_update(session, &server, error);
	} else if (result == -ENOENT) { /* it was deleted outside the API */
		error_clear(error);
		result = 0;
	}
	if (result == 0)
		result = db_migration_set_status(session, run->job.migration_id, "finished", error);
	return result < 0 ? result : job_write_end(session, run, refusal->reason, error);
}

int resize_end_refuse(struct job_run *run, const char *reason, struct error *error)
{
	struct refusal refusal = { run, reason };
	int result = job_write_last(run, write_refusal, &refusal, error);

	return result < 0 ? result : STEP_DONE;
}
