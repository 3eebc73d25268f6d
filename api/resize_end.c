/* What confirmResize and revertResize have in common: the finished migration that they end. */
#include "api/resize_end.h"

#include "base/text.h"
#include "db/migrations.h"

int resize_end_find(struct db_session *session, struct action_call *call, char ret_source[DB_NAME_SIZE],
		    struct error *error)
{
	struct db_migration migration = { 0 };
	CLEANUP_DB_HOST struct db_host source = { 0 };
	int result = db_migration_by_server_and_status(session, call->server.uuid, "finished", &migration, error);

	if (result == -ENOENT) {
		action_refuse(call, 400, "Instance has not been resized.");
		return 0;
	}
	if (result < 0)
		return result;
	call->job.migration_id = migration.id;
	call->job.target_host_id = call->server.host_id;
	text_copy(ret_source, DB_NAME_SIZE, migration.source_compute);
	result = db_host_by_name(session, migration.source_compute, &source, error);
	if (result == 0)
		call->job.source_host_id = source.id;
	return result == -ENOENT ? 0 : result;
}
