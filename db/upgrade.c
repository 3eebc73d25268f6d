/* Schema versions: creating, upgrading by a table of steps, and the backup before. The one difficulty: an upgrade that is
 * interrupted must leave either the old file or the new one; steps and version are one transaction, and the backup gets its
 * name only when it is whole. */
#include "db/upgrade.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/statement.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>

static const char newest_schema[] = {
#include "db/schema.inc"
	'\0',
};

static const char planner[] = {
#include "db/planner.inc"
	'\0',
};

/* A change of schema.sql after a release adds a row here with the SQL that leads an older file to the same. */
static const struct upgrade_step steps[] = {
	{ 1, NULL },
	{ 2, "ALTER TABLE hosts ADD COLUMN migration_interface TEXT;"
	     "ALTER TABLE hosts ADD COLUMN tunnel_interface TEXT;"
	     "ALTER TABLE hosts ADD COLUMN interfaces TEXT;" },
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

static int copy_pages(struct db_session *session, const char *path, struct error *error)
{
	sqlite3 *copy = NULL;
	int result =
		sqlite3_open_v2(path, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

	if (result == SQLITE_OK) {
		sqlite3_backup *backup = sqlite3_backup_init(copy, "main", session->connection, "main");

		if (backup)
			sqlite3_backup_step(backup, -1);
		result = backup ? sqlite3_backup_finish(backup) : sqlite3_errcode(copy);
	}

	int code = result == SQLITE_OK ? 0 : statement_translate(copy, path, result, error);
	sqlite3_close(copy);
	return code;
}

static int sync_directory(const char *path, struct error *error)
{
	CLEANUP_FREE char *directory = strdup(path);
	if (!directory)
		return error_no_memory(error);

	char *slash = strrchr(directory, '/');
	if (slash)
		slash[slash == directory ? 1 : 0] = '\0';

	CLEANUP_CLOSE int descriptor = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (descriptor < 0 || fsync(descriptor) < 0)
		return error_set_errno(error, errno, "cannot write the directory of %s to disk", path);
	return 0;
}

static int write_backup(struct db_session *session, const char *path, struct error *error)
{
	CLEANUP_FREE char *unfinished = text_format("%s.unfinished", path);
	if (!unfinished)
		return error_no_memory(error);

	unlink(unfinished);
	int result = copy_pages(session, unfinished, error);
	if (result == 0 && rename(unfinished, path) < 0)
		result = error_set_errno(error, errno, "cannot rename %s to %s", unfinished, path);
	if (result < 0) {
		unlink(unfinished);
		return error_wrap(error, "writing the backup %s before the upgrade", path);
	}
	return sync_directory(path, error);
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
	if (result < 0) {
		statement_execute(session, "ROLLBACK", NULL);
		return result;
	}
	return statement_execute(session, "PRAGMA foreign_keys = ON", error);
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
