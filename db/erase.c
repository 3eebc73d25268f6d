/* Erasing everything, for loads of a whole state. Watchers learn of every row that went. */
#include "base/cleanup.h"
#include "base/error.h"
#include "db/server_changed.h"
#include "db/statement.h"

/* Rows that refer to others go first. */
static const struct erased_table {
	const char *name;
	enum db_table table; /* DB_TABLE_MAX: nobody watches it */
} TABLES[] = {
	{ "chores", DB_TABLE_CHORES },
	{ "kept_domains", DB_TABLE_MAX },
	{ "volumes", DB_TABLE_MAX },
	{ "instance_action_events", DB_TABLE_MAX },
	{ "instance_actions", DB_TABLE_MAX },
	{ "claims", DB_TABLE_CLAIMS },
	{ "jobs", DB_TABLE_JOBS },
	{ "migrations", DB_TABLE_MIGRATIONS },
	{ "servers", DB_TABLE_SERVERS },
	{ "flavors", DB_TABLE_MAX },
	{ "hosts", DB_TABLE_HOSTS },
	{ "services", DB_TABLE_SERVICES },
};

static int erase_table(struct db_session *session, const struct erased_table *erased, struct error *error)
{
	char sql[128];
	CLEANUP_STATEMENT struct statement *statement = NULL;

	snprintf(sql, sizeof(sql), "DELETE FROM %s RETURNING id", erased->name);
	int result = statement_begin(session, sql, NULL, &statement, error);
	if (result < 0)
		return result;
	while ((result = statement_step(statement, error)) > 0) {
		if (erased->table == DB_TABLE_MAX)
			continue;
		result = session_changed(session, erased->table, statement_column_int64(statement, 0), error);
		if (result < 0)
			return result;
	}
	return result;
}

int db_erase_all(struct db_session *session, struct error *error)
{
	for (size_t i = 0; i < ARRAY_LENGTH(TABLES); i++) {
		int result = erase_table(session, &TABLES[i], error);

		if (result < 0)
			return error_wrap(error, "erasing table %s", TABLES[i].name);
	}

	all_servers_changed(session);

	/* The engine's own table of the highest ids given: without it, ids begin again at 1. */
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, "DELETE FROM sqlite_sequence", NULL, &statement, error);
	return result < 0 ? result : statement_run(statement, error);
}
