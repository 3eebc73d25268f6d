/* Backup and restore. The difficulty: what the write-ahead log of the old file holds must neither be lost nor meet the new file;
 * so it is brought into the old file before that is replaced, by one rename. */
#include "db/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/statement.h"
#include "db/upgrade.h"

#define BUSY_TIMEOUT_MS 10000

static void close_connection(sqlite3 **connection)
{
	sqlite3_close(*connection);
}
#define CLEANUP_SQLITE __attribute__((cleanup(close_connection)))

int db_lock(const char *database, int *ret_descriptor, struct error *error)
{
	CLEANUP_FREE char *path = text_format("%s.lock", database);
	CLEANUP_CLOSE int descriptor = path ? open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;

	if (!path)
		return error_no_memory(error);
	if (descriptor < 0)
		return error_set_errno(error, errno, "cannot create %s (its directory must exist and be writable)",
				       path);
	if (flock(descriptor, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? error_set(error, EBUSY, "database %s is in use by another daemon", database)
			       : error_set_errno(error, errno, "cannot lock %s", path);
	*ret_descriptor = descriptor;
	descriptor = -1;
	return 0;
}

static int open_file(const char *path, int flags, sqlite3 **ret_connection, struct error *error)
{
	int result = sqlite3_open_v2(path, ret_connection, flags | SQLITE_OPEN_NOMUTEX, NULL);

	if (result != SQLITE_OK)
		return statement_translate(*ret_connection, path, result, error);
	sqlite3_busy_timeout(*ret_connection, BUSY_TIMEOUT_MS);
	return 0;
}

static int copy_all(sqlite3 *from, const char *from_path, sqlite3 *to, const char *to_path, struct error *error)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
	int step = SQLITE_BUSY;

	if (!backup)
		return statement_translate(to, to_path, sqlite3_errcode(to), error);
	/* In one step it is one moment; a checkpoint may be in the way of its begin. */
	for (int try = 0; try < 100 && step == SQLITE_BUSY; try++) {
		step = sqlite3_backup_step(backup, -1);
		if (step == SQLITE_BUSY)
			sqlite3_sleep(50);
	}
	int result = sqlite3_backup_finish(backup);

	if (step == SQLITE_DONE && result == SQLITE_OK)
		return 0;
	result = result == SQLITE_OK ? step : result;
	/* The connection of the copy has the words, whichever of the two files it was. */
	bool is_of_source = result == SQLITE_CORRUPT || result == SQLITE_NOTADB;
	return statement_translate(to, is_of_source ? from_path : to_path, result, error);
}

static int sync_path(const char *path, int flags, struct error *error)
{
	CLEANUP_CLOSE int descriptor = open(path, flags | O_CLOEXEC);

	if (descriptor < 0 || fsync(descriptor) < 0)
		return error_set_errno(error, errno, "cannot write %s to disk", path);
	return 0;
}

/* NULL when out of memory. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static int sync_directory_of(const char *path, struct error *error)
{
	CLEANUP_FREE char *directory = directory_of(path);

	return directory ? sync_path(directory, O_RDONLY | O_DIRECTORY, error) : error_no_memory(error);
}

/* A fresh file with the pages of the other, on disk, of the owner alone, without a write-ahead log beside it. */
static int copy_to_new(const char *from, const char *to, struct error *error)
{
	CLEANUP_SQLITE sqlite3 *source = NULL;
	CLEANUP_SQLITE sqlite3 *copy = NULL;

	unlink(to);
	CLEANUP_CLOSE int made = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (made < 0)
		return error_set_errno(error, errno, "cannot create %s", to);
	int result = open_file(from, SQLITE_OPEN_READWRITE, &source, error);
	if (result == 0)
		result = open_file(to, SQLITE_OPEN_READWRITE, &copy, error);
	if (result == 0)
		result = copy_all(source, from, copy, to, error);
	if (result == 0 && sqlite3_exec(copy, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) != SQLITE_OK)
		result = statement_translate(copy, to, sqlite3_errcode(copy), error);
	return result < 0 ? result : sync_path(to, O_RDONLY, error);
}

/* What the first row's first column says; "" when there is none. */
static int ask(sqlite3 *connection, const char *path, const char *sql, char *ret_text, size_t size, struct error *error)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(connection, sql, -1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	int result = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : statement_translate(connection, path, code, error);
	const unsigned char *text = code == SQLITE_ROW ? sqlite3_column_text(statement, 0) : NULL;

	snprintf(ret_text, size, "%s", text ? (const char *)text : "");
	sqlite3_finalize(statement);
	return result;
}

/* Is it a database of ours, whole, and of a schema that we know? */
static int judge(const char *path, struct error *error)
{
	CLEANUP_SQLITE sqlite3 *connection = NULL;
	const struct upgrade_plan *plan = upgrade_plan_newest();
	int newest = plan->steps[plan->count - 1].version;
	char text[200];
	int64_t version = 0;
	int result = open_file(path, SQLITE_OPEN_READONLY, &connection, error);

	if (result == 0)
		result = ask(connection, path, "PRAGMA integrity_check(1)", text, sizeof(text), error);
	if (result < 0)
		return result;
	if (strcmp(text, "ok") != 0)
		return error_set(error, EINVAL, "%s is broken: %s", path, text);
	result = ask(connection, path, "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'schema_version'", text,
		     sizeof(text), error);
	if (result == 0 && strcmp(text, "1") != 0)
		return error_set(error, EINVAL, "%s is no database of this program", path);
	if (result == 0)
		result = ask(connection, path, "SELECT MAX(version) FROM schema_version", text, sizeof(text), error);
	if (result < 0)
		return result;
	if (!text_to_int64(text, 1, INT32_MAX, &version))
		return error_set(error, EINVAL, "%s has no valid schema version", path);
	return version <= newest
		       ? 0
		       : error_set(error, ENOTSUP,
				   "%s has schema version %lld, this program knows up to %d: use the newer program",
				   path, (long long)version, newest);
}

int db_backup(const char *database, const char *target, bool replaces, struct error *error)
{
	CLEANUP_FREE char *unfinished = text_format("%s.unfinished", target);
	struct stat status;

	if (!unfinished)
		return error_no_memory(error);
	if (stat(database, &status) < 0)
		return error_set_errno(error, errno, "cannot look at the database %s", database);
	if (!replaces && lstat(target, &status) == 0)
		return error_set(error, EEXIST, "%s is there already: name another file, or say --force", target);
	int result = copy_to_new(database, unfinished, error);
	/* A file of that name that came meanwhile stays, unless it may go. */
	if (result == 0 && (replaces ? rename(unfinished, target) : link(unfinished, target)) < 0)
		result = error_set_errno(error, errno, "cannot name the copy %s", target);
	unlink(unfinished);
	return result < 0 ? result : sync_directory_of(target, error);
}

/* DATABASE.replaced-20261125T181500Z, with a number behind it where that was kept within the same second; NULL when out of
 * memory. */
static char *dated_name(const char *database)
{
	char date[32];
	time_t now = time(NULL);
	struct tm parts;
	struct stat status;

	if (!gmtime_r(&now, &parts) || strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &parts) == 0)
		return NULL;
	char *name = text_format("%s.replaced-%s", database, date);
	for (int number = 2; name && lstat(name, &status) == 0; number++) {
		free(name);
		name = text_format("%s.replaced-%s.%d", database, date, number);
	}
	return name;
}

/* All of the old database in its one file, its log gone, so that nothing of it can meet the new one. */
static int settle_old(const char *database, struct error *error)
{
	CLEANUP_SQLITE sqlite3 *connection = NULL;
	int result = open_file(database, SQLITE_OPEN_READWRITE, &connection, error);

	if (result == 0 && sqlite3_exec(connection, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) != SQLITE_OK)
		result = statement_translate(connection, database, sqlite3_errcode(connection), error);
	return result;
}

/* One that cannot be read any more is put aside as it is, its log with it. */
static int put_aside(const char *database, const char *kept, struct error *error)
{
	static const char *const parts[] = { "-wal", "-shm", "" };

	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
		CLEANUP_FREE char *from = text_format("%s%s", database, parts[i]);
		CLEANUP_FREE char *to = text_format("%s%s", kept, parts[i]);

		if (!from || !to)
			return error_no_memory(error);
		if (rename(from, to) < 0 && errno != ENOENT)
			return error_set_errno(error, errno, "cannot put %s aside as %s", from, to);
	}
	return 0;
}

/* Root restores for a service that runs as another user: what it makes there belongs to whom the directory does, as SQLite's own
 * files beside a database do. */
static int give_to_owner(const char *path, const struct stat *directory, struct error *error)
{
	if (geteuid() == 0 && lchown(path, directory->st_uid, directory->st_gid) < 0)
		return error_set_errno(error, errno, "cannot give %s to the owner of its directory", path);
	return 0;
}

static int give_all_to_owner(const char *database, const char *fresh, const char *kept, struct error *error)
{
	CLEANUP_FREE char *lock = text_format("%s.lock", database);
	CLEANUP_FREE char *directory = directory_of(database);
	struct stat status;

	if (!lock || !directory)
		return error_no_memory(error);
	if (stat(directory, &status) < 0)
		return error_set_errno(error, errno, "cannot look at %s", directory);
	int result = give_to_owner(lock, &status, error);
	if (result == 0)
		result = give_to_owner(fresh, &status, error);
	return result == 0 && kept ? give_to_owner(kept, &status, error) : result;
}

static int keep_old(const char *database, const char *kept, struct error *error)
{
	struct error trouble = { 0 };

	if (settle_old(database, &trouble) == 0 && db_backup(database, kept, false, &trouble) == 0)
		return 0;
	return trouble.code == ENOSPC ? error_set(error, ENOSPC, "%s", trouble.text) : put_aside(database, kept, error);
}

int db_restore(const char *copy, const char *database, char **ret_kept, struct error *error)
{
	CLEANUP_FREE char *fresh = text_format("%s.restoring", database);
	CLEANUP_FREE char *kept = NULL;
	CLEANUP_CLOSE int lock = -1;
	struct stat status;

	*ret_kept = NULL;
	if (!fresh)
		return error_no_memory(error);
	int result = access(copy, R_OK) < 0 ? error_set_errno(error, errno, "cannot read %s", copy)
					    : db_lock(database, &lock, error);
	if (result == 0)
		result = copy_to_new(copy, fresh, error);
	if (result == 0)
		result = judge(fresh, error);
	if (result == 0)
		result = give_all_to_owner(database, fresh, NULL, error);
	if (result == 0 && stat(database, &status) == 0) {
		kept = dated_name(database);
		result = kept ? keep_old(database, kept, error) : error_no_memory(error);
	}
	if (result == 0 && kept)
		result = give_all_to_owner(database, fresh, kept, error);
	if (result == 0 && rename(fresh, database) < 0)
		result = error_set_errno(error, errno, "cannot name the new database %s", database);
	if (result < 0) {
		unlink(fresh);
		return result;
	}
	*ret_kept = TAKE_POINTER(kept);
	return sync_directory_of(database, error);
}
