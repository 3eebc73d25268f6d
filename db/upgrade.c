/* Schema versions: creating, upgrading by a table of steps, and the backup before. The one difficulty: an upgrade that is
 * interrupted must leave either the old file or the new one; steps and version are one transaction, and the backup gets its
 * name only when it is whole. */
#include "db/upgrade.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/backup.h"
#include "db/migration_status.h"
#include "db/statement.h"

#include <errno.h>

static const char newest_schema[] = {
#include "db/schema.inc"
	'\0',
};

static const char planner[] = {
#include "db/planner.inc"
	'\0',
};

/* To version 3. A server keeps its oldest unfinished job, which alone may have touched a host; newer ones, which waited behind
 * it, end without success. A phase that was split off after the hand-over is entered again from the one before, which looks
 * at both hosts first. */
static const char to_version_3[] =
	"ALTER TABLE hosts ADD COLUMN is_gone BIGINT NOT NULL DEFAULT 0;"
	"ALTER TABLE servers ADD COLUMN error_cause TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE volumes ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;"
	"CREATE INDEX kept_domains_migration ON kept_domains (migration_id);"
	"CREATE TABLE chores (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
	" host_id BIGINT NOT NULL REFERENCES hosts (id), server_uuid TEXT NOT NULL, migration_id BIGINT NOT NULL,"
	" other_host_id BIGINT NOT NULL, pool TEXT NOT NULL, name TEXT NOT NULL, bytes BIGINT NOT NULL,"
	" is_complete BIGINT NOT NULL, reason TEXT NOT NULL, tries BIGINT NOT NULL, last_error TEXT,"
	" created_us BIGINT NOT NULL, updated_us BIGINT NOT NULL);"
	"CREATE INDEX chores_host ON chores (host_id);"
	"CREATE INDEX chores_server ON chores (server_uuid);"
	"CREATE UNIQUE INDEX chores_work ON chores (kind, host_id, server_uuid, pool, name);"

	"CREATE TABLE ended_jobs AS SELECT id, kind, action_id, migration_id,"
	" CASE WHEN updated_us > created_us THEN updated_us ELSE created_us END AS ended_us FROM jobs"
	" WHERE finished_us = 0 AND id > (SELECT MIN(oldest.id) FROM jobs AS oldest"
	" WHERE oldest.server_uuid = jobs.server_uuid AND oldest.finished_us = 0);"
	"UPDATE jobs SET phase = 'done', finished_us ="
	" (SELECT ended_us FROM ended_jobs WHERE ended_jobs.id = jobs.id) WHERE id IN (SELECT id FROM ended_jobs);"
	"UPDATE instance_action_events SET result = 'Error', finish_us ="
	" (SELECT MAX(ended_us) FROM ended_jobs WHERE ended_jobs.action_id = instance_action_events.action_id)"
	" WHERE finish_us = 0 AND action_id IN (SELECT action_id FROM ended_jobs);"
	"UPDATE instance_actions SET message = 'Error', (finish_us, updated_us) ="
	" (SELECT MAX(ended_us), MAX(ended_us) FROM ended_jobs WHERE ended_jobs.action_id = instance_actions.id)"
	" WHERE id IN (SELECT action_id FROM ended_jobs);"
	"UPDATE migrations SET status = CASE WHEN status IN ('confirming', 'reverting') THEN 'finished' ELSE 'error' "
	"END"
	" WHERE id IN (SELECT migration_id FROM ended_jobs)"
	" AND id NOT IN (SELECT migration_id FROM jobs WHERE finished_us = 0 AND migration_id IS NOT NULL)"
	" AND (status = 'confirming' OR status IN " MIGRATION_STATUSES_MOVING ");"
	"DELETE FROM claims WHERE migration_id IN"
	" (SELECT migration_id FROM ended_jobs WHERE kind IN ('live', 'cold'));"
	"DROP TABLE ended_jobs;"
	"DROP INDEX jobs_unfinished;"
	"CREATE UNIQUE INDEX jobs_unfinished ON jobs (server_uuid) WHERE finished_us = 0;"

	"UPDATE jobs SET phase = 'moving' WHERE finished_us = 0 AND kind = 'live' AND phase = 'cleaning';"
	"UPDATE jobs SET phase = 'stopping' WHERE finished_us = 0 AND kind = 'revert' AND phase = 'removing';";

/* A change of schema.sql after a release adds a row here with the SQL that leads an older file to the same. */
static const struct upgrade_step steps[] = {
	{ 1, NULL },
	{ 2, "ALTER TABLE hosts ADD COLUMN migration_interface TEXT;"
	     "ALTER TABLE hosts ADD COLUMN tunnel_interface TEXT;"
	     "ALTER TABLE hosts ADD COLUMN interfaces TEXT;"
	     "CREATE INDEX jobs_action ON jobs (action_id);"
	     "CREATE INDEX instance_actions_updated ON instance_actions (updated_us);"
	     "DROP INDEX migrations_moving_source; DROP INDEX migrations_moving_dest;"
	     "CREATE INDEX migrations_moving_source ON migrations (source_compute) "
	     "WHERE status IN " MIGRATION_STATUSES_MOVING ";"
	     "CREATE INDEX migrations_moving_dest ON migrations (dest_compute) "
	     "WHERE status IN " MIGRATION_STATUSES_MOVING ";" },
	{ 3, to_version_3 },
};

const struct upgrade_plan *upgrade_plan_newest(void)
{
	static const struct upgrade_plan plan = { newest_schema, steps, ARRAY_LENGTH(steps), planner };

	return &plan;
}

static int read_number(struct db_session *session, const char *sql, int64_t *ret_number, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, NULL, &statement, error);

	if (result < 0)
		return result;
	result = statement_step(statement, error);
	if (result < 0)
		return result;
	*ret_number = result > 0 ? statement_column_int64(statement, 0) : 0;
	return 0;
}

int upgrade_read_version(struct db_session *session, int *ret_version, struct error *error)
{
	int64_t tables = 0;
	int64_t version = 0;
	int result = read_number(session, "SELECT COUNT(*) FROM sqlite_schema", &tables, error);

	if (result < 0)
		return result;
	if (tables > 0) {
		result = read_number(session, "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'schema_version'",
				     &version, error);
		if (result < 0)
			return result;
		if (version == 0)
			return error_set(error, EINVAL,
					 "database %s belongs to another program (it has no table schema_version): "
					 "name another file",
					 session->database->path);
		result = read_number(session, "SELECT MAX(version) FROM schema_version", &version, error);
		if (result < 0)
			return result;
		if (version < 1 || version > INT32_MAX)
			return error_set(error, EINVAL, "database %s has no valid schema version: restore a backup",
					 session->database->path);
	}
	*ret_version = (int)version;
	return 0;
}

static int write_backup(struct db_session *session, const char *path, struct error *error)
{
	int result = db_backup(session->database->path, path, true, error);

	return result < 0 ? error_wrap(error, "writing the backup %s before the upgrade", path) : 0;
}

/* An old file may hold what a new rule forbids; better to refuse than to go on with it. */
static int check_references(struct db_session *session, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, "PRAGMA foreign_key_check", NULL, &statement, error);

	if (result < 0)
		return result;
	result = statement_step(statement, error);
	if (result > 0)
		return error_set(error, EIO, "after the upgrade a row of table %s refers to a missing row of %s",
				 statement_column_text(statement, 0), statement_column_text(statement, 2));
	return result;
}

static int apply(struct db_session *session, const struct upgrade_plan *plan, int version, struct error *error)
{
	int newest = plan->steps[plan->count - 1].version;
	int result = 0;

	if (version == 0) {
		result = statement_execute(session, plan->schema, error);
		if (result == 0)
			result = statement_execute(session, "CREATE TABLE schema_version (version BIGINT NOT NULL)",
						   error);
	}
	for (size_t i = 0; result == 0 && version > 0 && i < plan->count; i++)
		if (plan->steps[i].version > version) {
			result = statement_execute(session, plan->steps[i].sql, error);
			if (result < 0)
				error_wrap(error, "step to schema version %d", plan->steps[i].version);
		}
	if (result == 0 && plan->planner)
		result = statement_execute(session, plan->planner, error);
	if (result == 0)
		result = statement_execute(session, "DELETE FROM schema_version", error);
	if (result < 0)
		return result;

	CLEANUP_STATEMENT struct statement *statement = NULL;
	result = statement_begin(session, "INSERT INTO schema_version (version) VALUES (?1)", NULL, &statement, error);
	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, newest);
	result = statement_run(statement, error);
	return result < 0 ? result : check_references(session, error);
}

static int apply_in_transaction(struct db_session *session, const struct upgrade_plan *plan, int version,
				struct error *error)
{
	int result = statement_execute(session, "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE", error);

	if (result < 0)
		return result;
	result = apply(session, plan, version, error);
	if (result == 0)
		result = statement_execute(session, "COMMIT", error);
	if (result < 0)
		statement_execute(session, "ROLLBACK", NULL);
	/* Whichever way it ended: the session goes on with what it was opened with. */
	int enforced = statement_execute(session, "PRAGMA foreign_keys = ON", result < 0 ? NULL : error);
	return result < 0 ? result : enforced;
}

int upgrade_run(struct db_session *session, const struct upgrade_plan *plan, int version, struct error *error)
{
	const char *path = session->database->path;
	int newest = plan->steps[plan->count - 1].version;
	CLEANUP_FREE char *backup = NULL;

	if (version == newest)
		return 0;
	if (version > newest)
		return error_set(error, ENOTSUP,
				 "database %s has schema version %d, this program knows up to %d: start the newer "
				 "program, or restore a backup",
				 path, version, newest);
	if (version > 0) {
		backup = text_format("%s.before-%d", path, newest);
		if (!backup)
			return error_no_memory(error);
		int result = write_backup(session, backup, error);
		if (result < 0)
			return result;
	}

	int result = apply_in_transaction(session, plan, version, error);
	if (result < 0)
		return error_wrap(error,
				  version ? "upgrading database %s from schema version %d to %d; it is unchanged"
					  : "creating database %s (from version %d to %d)",
				  path, version, newest);
	log_event(session->database->log, LOG_LEVEL_INFO, NULL, version ? "database upgraded" : "database created",
		  LOG_TEXT("file", path), LOG_NUMBER("from_version", version), LOG_NUMBER("version", newest),
		  LOG_TEXT("backup", backup));
	return 0;
}
