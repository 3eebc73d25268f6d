/* Taking old records away. Each row goes by statements of its own, so that watchers learn of it. */
#include "db/retention.h"

#include "base/error.h"
#include "db/database.h"
#include "db/migration_status.h"
#include "db/statement.h"

/* Oldest first; what is still needed is passed over, which is little. */
static const char old_migrations[] =
	"SELECT id FROM migrations WHERE updated_us <= ?1 AND status IN " MIGRATION_STATUSES_ENDED
	" AND NOT EXISTS (SELECT 1 FROM claims WHERE claims.migration_id = migrations.id)"
	" AND NOT EXISTS (SELECT 1 FROM kept_domains WHERE kept_domains.server_uuid = migrations.server_uuid"
	" AND kept_domains.migration_id = migrations.id)"
	" AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.migration_id = migrations.id AND (jobs.finished_us = 0"
	" OR EXISTS (SELECT 1 FROM volumes WHERE volumes.job_id = jobs.id)))"
	" ORDER BY updated_us LIMIT ?2";

static const char old_actions[] =
	"SELECT id FROM instance_actions WHERE updated_us <= ?1"
	" AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.action_id = instance_actions.id AND jobs.finished_us = 0)"
	" ORDER BY updated_us LIMIT ?2";

#define BATCH_MAX 256

static int find(struct db_session *session, const char *sql, int64_t unchanged_since_us, size_t most,
		int64_t ids[BATCH_MAX], size_t *ret_count, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, NULL, &statement, error);

	*ret_count = 0;
	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, unchanged_since_us);
	statement_bind_int64(statement, 2, (int64_t)(most < BATCH_MAX ? most : BATCH_MAX));
	while (*ret_count < BATCH_MAX && (result = statement_step(statement, error)) > 0)
		ids[(*ret_count)++] = statement_column_int64(statement, 0);
	return result < 0 ? result : 0;
}

static int erase(struct db_session *session, const char *sql, int64_t id, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, id);
	return statement_run(statement, error);
}

int db_forget_migrations(struct db_session *session, int64_t unchanged_since_us, size_t most, size_t *ret_count,
			 struct error *error)
{
	int64_t ids[BATCH_MAX];
	int result = find(session, old_migrations, unchanged_since_us, most, ids, ret_count, error);

	for (size_t i = 0; i < *ret_count && result == 0; i++) {
		result = erase(session, "DELETE FROM jobs WHERE migration_id = ?1", ids[i], error);
		if (result == 0)
			result = erase(session, "DELETE FROM migrations WHERE id = ?1", ids[i], error);
		if (result == 0)
			result = session_changed(session, DB_TABLE_MIGRATIONS, ids[i], error);
	}
	return result;
}

int db_forget_actions(struct db_session *session, int64_t unchanged_since_us, size_t most, size_t *ret_count,
		      struct error *error)
{
	int64_t ids[BATCH_MAX];
	int result = find(session, old_actions, unchanged_since_us, most, ids, ret_count, error);

	for (size_t i = 0; i < *ret_count && result == 0; i++) {
		result = erase(session, "DELETE FROM instance_action_events WHERE action_id = ?1", ids[i], error);
		if (result == 0)
			result = erase(session, "DELETE FROM jobs WHERE action_id = ?1 AND migration_id IS NULL",
				       ids[i], error);
		if (result == 0)
			result = erase(session, "DELETE FROM instance_actions WHERE id = ?1", ids[i], error);
	}
	return result;
}
