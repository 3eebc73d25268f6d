/* Which hosts a change of other rows touches. */
#include "db/place.h"

#include "db/statement.h"

int place_changed(struct db_session *session, int64_t host_id, struct error *error)
{
	return host_id ? session_changed(session, DB_TABLE_HOSTS, host_id, error) : 0;
}

/* Every id that the statement answers. */
static int change_all(struct db_session *session, struct statement *statement, struct error *error)
{
	int result;

	while ((result = statement_step(statement, error)) > 0) {
		result = place_changed(session, statement_column_int64(statement, 0), error);
		if (result < 0)
			return result;
	}
	return result;
}

int place_changed_by_migration(struct db_session *session, int64_t migration_id, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result =
		statement_begin(session,
				"SELECT hosts.id FROM migrations JOIN hosts ON hosts.name = migrations.source_compute"
				" WHERE migrations.id = ?1 UNION ALL "
				"SELECT hosts.id FROM migrations JOIN hosts ON hosts.name = migrations.dest_compute"
				" WHERE migrations.id = ?1",
				NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, migration_id);
	return change_all(session, statement, error);
}

int place_changed_by_server(struct db_session *session, const char *server_uuid, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session,
				     "SELECT host_id FROM servers WHERE uuid = ?1 AND is_deleted = 0"
				     " AND host_id IS NOT NULL",
				     NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_text(statement, 1, server_uuid);
	return change_all(session, statement, error);
}

int place_changed_by_service(struct db_session *session, int64_t service_id, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, "SELECT id FROM hosts WHERE service_id = ?1", NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, service_id);
	return change_all(session, statement, error);
}
