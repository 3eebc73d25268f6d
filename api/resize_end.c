/* What confirmResize and revertResize have in common: the finished migration that they end. */
#include "api/resize_end.h"

#include "base/text.h"
#include "db/migrations.h"

/* 0 when it was removed. */
static int find_host(struct db_session *session, const char *name, int64_t *ret_id, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_name(session, name, &host, error);

	*ret_id = result == 0 ? host.id : 0;
	return result == -ENOENT ? 0 : result;
}

int resize_end_find(struct db_session *session, struct action_call *call, char ret_source[DB_NAME_SIZE],
		    struct error *error)
{
	struct db_migration migration = { 0 };
	int result = db_migration_by_server_and_status(session, call->server.uuid, "finished", &migration, error);

	if (result == -ENOENT) {
		action_refuse(call, 400, "Instance has not been resized.");
		return 0;
	}
	if (result < 0)
		return result;
	call->job.migration_id = migration.id;
	text_copy(ret_source, DB_NAME_SIZE, migration.source_compute);
	result = find_host(session, migration.source_compute, &call->job.source_host_id, error);
	/* The migration's own target, wherever the server is shown: it may have been moved outside the API since. */
	return result < 0 ? result : find_host(session, migration.dest_compute, &call->job.target_host_id, error);
}
