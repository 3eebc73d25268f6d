/* What may be done to a live migration on its way: DELETE aborts it (Nova API 2.24), force_complete hurries it (2.22). Both go
 * by the migration's status alone, whatever its type; the workers hear of it through the job, if it has one. */
#include "api/handlers.h"
#include "api/server_action.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "db/instance_actions.h"
#include "db/migrations.h"

#include <limits.h>

/* 2.65: what has not begun to copy can be aborted too. */
#define FIRST_MINOR_ABORT_EARLY 65

static int find_migration(struct db_session *session, struct action_call *call, int status_of_refusal,
			  struct db_migration *ret_migration, struct error *error)
{
	const char *asked = call->request->id2;
	int64_t id = 0;
	int result = text_to_int64(asked + (asked[0] == '+'), 1, INT64_MAX, &id)
			     ? db_migration_by_id(session, id, ret_migration, error)
			     : -ENOENT;

	if (result < 0 && result != -ENOENT)
		return result;
	if (result == -ENOENT || !text_equal(ret_migration->server_uuid, call->server.uuid))
		action_refuse(call, status_of_refusal, "Migration %s not found for instance %s", asked,
			      call->server.uuid);
	return 0;
}

static void refuse_status(struct action_call *call, const struct db_migration *migration, const char *what)
{
	action_refuse(call, 400,
		      "Migration %lld state of instance %s is %s. Cannot %s while the migration is in this state.",
		      (long long)migration->id, call->server.uuid, migration->status, what);
}

/* The wish is durable with its action; a move that has ended meanwhile has no use for it. */
static int book_wish(struct db_session *session, struct action_call *call, const struct db_migration *migration,
		     const char *action_name, const char *event_name, struct error *error)
{
	bool is_abort = text_equal(action_name, "live_migration_cancel");
	CLEANUP_DB_JOB struct db_job job = { 0 };
	int result = action_book_action(session, call, action_name, error);

	if (result == 0)
		result = action_book_step(session, call, event_name, migration->source_compute, error);
	if (result == 0) /* what comes of it is the move's own action to tell */
		result = db_action_finish(session, call->job.action_id, NULL, error);
	if (result == 0)
		result = db_job_by_migration(session, migration->id, &job, error);
	if (result == 0)
		result = db_job_request(session, job.id, is_abort, !is_abort, error);
	if (result == -ENOENT) {
		error_clear(error);
		result = 0;
	}
	return result;
}

static int book_abort(struct db_session *session, struct action_call *call, struct error *error)
{
	struct db_migration migration = { 0 };
	int result = find_migration(session, call, 404, &migration, error);
	bool is_early = text_equal(migration.status, "queued") || text_equal(migration.status, "preparing");

	if (result < 0 || call->refusal)
		return result;
	if (!text_equal(migration.status, "running")
	    && !(is_early && call->request->minor >= FIRST_MINOR_ABORT_EARLY)) {
		refuse_status(call, &migration, "abort live migration");
		return 0;
	}
	return book_wish(session, call, &migration, "live_migration_cancel", "compute_live_migration_abort", error);
}

static int book_force_complete(struct db_session *session, struct action_call *call, struct error *error)
{
	struct db_migration migration = { 0 };
	int result = find_migration(session, call, 400, &migration, error);

	if (result < 0 || call->refusal)
		return result;
	if (!text_equal(migration.status, "running")) {
		refuse_status(call, &migration, "force complete");
		return 0;
	}
	return book_wish(session, call, &migration, "live_migration_force_complete",
			 "compute_live_migration_force_complete", error);
}

static const struct server_action abort_action = {
	.name = "abort live migration",
	.policy = "os_compute_api:servers:migrations:delete",
	.task_state = "migrating",
	.tells_no_lock = true,
	.is_beside_job = true,
	.status = 202,
	.book = book_abort,
};

static const struct schema force_complete_schemas[] = {
	{ .first_minor = 1, .last_minor = INT_MAX, .is_null_wanted = true }
};

static const struct server_action force_complete_action = {
	.name = "force_complete",
	.first_minor = 22,
	.schemas = force_complete_schemas,
	.schema_count = ARRAY_LENGTH(force_complete_schemas),
	.policy = "os_compute_api:servers:migrations:force_complete",
	.vm_states = { "active" },
	.task_state = "migrating",
	.is_beside_job = true,
	.status = 202,
	.book = book_force_complete,
};

const struct server_action *const migration_actions[] = { &force_complete_action, NULL };

int handle_migration_abort(struct request *request, struct error *error)
{
	return action_submit(request, &abort_action, NULL, error);
}

int handle_migration_action(struct request *request, struct error *error)
{
	return action_handle(request, migration_actions, error);
}
