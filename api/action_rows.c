/* The checks and rows that several actions share. */
#include "api/server_action.h"

#include "base/text.h"
#include "db/instance_actions.h"
#include "db/migrations.h"

int action_check_host(struct db_session *session, struct action_call *call, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_name(session, call->host, &host, error);

	if (result == -ENOENT) {
		action_refuse(call, 400, "Compute host %s could not be found.", call->host);
		return 0;
	}
	return result;
}

int action_check_service(struct db_session *session, struct action_call *call, const char *name, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_name(session, name, &host, error);

	if (result < 0 && result != -ENOENT)
		return result;
	if (result == -ENOENT || !db_service_is_up(&host.service))
		action_refuse(call, 409, "Service is unavailable at this time.");
	return 0;
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

int action_book_migration(struct db_session *session, struct action_call *call, const char *type, struct error *error)
{
	const struct db_server *server = &call->server;
	const struct caller *caller = call->request->caller;
	struct db_migration migration = { .memory = { .total = -1 }, .disk = { .total = -1 } };

	TEXT_COPY(migration.server_uuid, server->uuid);
	TEXT_COPY(migration.status, "accepted");
	TEXT_COPY(migration.type, type);
	TEXT_COPY(migration.source_compute, server->host);
	/* A live one's stands there when its target is chosen, as in Nova. */
	if (!text_equal(type, "live-migration"))
		TEXT_COPY(migration.source_node, server->host);
	TEXT_COPY(migration.user_id, or_empty(caller->user_id));
	TEXT_COPY(migration.project_id, or_empty(caller->project_id));
	migration.old_flavor_id = migration.new_flavor_id = server->flavor.id;
	int result = db_migration_insert(session, &migration, error);
	if (result < 0)
		return result;
	call->job.migration_id = migration.id;
	call->job.source_host_id = server->host_id;
	return 0;
}

int action_book_action(struct db_session *session, struct action_call *call, const char *action_name,
		       struct error *error)
{
	const struct request *request = call->request;
	struct db_action action = { 0 };

	TEXT_COPY(action.action, action_name);
	TEXT_COPY(action.server_uuid, call->server.uuid);
	TEXT_COPY(action.request_id, request->request_id);
	TEXT_COPY(action.user_id, or_empty(request->caller->user_id));
	TEXT_COPY(action.project_id, or_empty(request->caller->project_id));
	int result = db_action_insert(session, &action, error);
	call->job.action_id = action.id;
	return result;
}

int action_book_job(struct db_session *session, struct action_call *call, const char *action_name,
		    const char *task_state, struct error *error)
{
	const struct request *request = call->request;
	struct db_job *job = &call->job;
	int result = action_book_action(session, call, action_name, error);

	if (result < 0)
		return result;
	job->minor_version = request->minor;
	TEXT_COPY(job->server_uuid, call->server.uuid);
	TEXT_COPY(job->request_id, request->request_id);
	TEXT_COPY(job->requested_host, or_empty(call->host));
	result = db_job_insert(session, job, error);
	if (result < 0 || !task_state)
		return result;
	return db_server_set_state(session, call->server.uuid, NULL, task_state, error);
}

int action_book_step(struct db_session *session, struct action_call *call, const char *event_name, const char *host,
		     struct error *error)
{
	struct db_event event = { .action_id = call->job.action_id };

	TEXT_COPY(event.event, event_name);
	TEXT_COPY(event.host, host);
	int result = db_event_insert(session, &event, error);
	return result < 0 ? result : db_event_finish(session, event.id, "Success", NULL, NULL, error);
}
