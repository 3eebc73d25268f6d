/* Opening the database, and readers. The one difficulty: a reader's snapshot must be taken when it begins and not at its
 * first query, so the beginning reads something. */
#include "db/database.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "db/backup.h"
#include "db/server_changed.h"
#include "db/statement.h"
#include "db/upgrade.h"

#include <assert.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

/* Connections kept ready; more are made when more readers come at once, and closed again afterwards. */
#define IDLE_READERS_MAX 8
#define BUSY_TIMEOUT_MS  5000

/* What a write's savepoint keeps for its undoing stays in memory up to this many bytes. With less (64 KiB is the default) most
 * commits would make a temporary file; without a bound SQLite walks a list that grows with the write, at every statement;
 * from 128 KiB on, the spilling itself fails (seen with 3.40). */
#define UNDO_IN_MEMORY_MAX (127 * 1024)

/* Creates the file for this user alone (it holds guests' user data), and says plainly what keeps us from it. */
static int check_file(const char *path, struct error *error)
{
	struct stat status;

	if (stat(path, &status) == 0) {
		if (!S_ISREG(status.st_mode))
			return error_set(error, EINVAL, "database %s is no file: name a file", path);
		if (access(path, R_OK | W_OK) < 0)
			return error_set_errno(
				error, errno, "cannot read and write the database %s (give this user the right)", path);
		return 0;
	}
	if (errno != ENOENT)
		return error_set_errno(error, errno, "cannot look at the database %s", path);

	CLEANUP_CLOSE int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (descriptor < 0)
		return error_set_errno(
			error, errno, "cannot create the database %s (its directory must exist and be writable)", path);
	return 0;
}

int session_open(struct database *database, bool is_writer, struct db_session **ret_session, struct error *error)
{
	struct db_session *session = calloc(1, sizeof(*session));

	if (!session)
		return error_no_memory(error);
	session->database = database;
	session->is_writer = is_writer;

	int result = sqlite3_open_v2(database->path, &session->connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
				     NULL);
	if (result != SQLITE_OK)
		result = statement_translate(session->connection, database->path, result, error);
	else {
		sqlite3_extended_result_codes(session->connection, 1);
		sqlite3_busy_timeout(session->connection, BUSY_TIMEOUT_MS);
		sqlite3_limit(session->connection, SQLITE_LIMIT_LENGTH, 4 * STATEMENT_TEXT_MAX);
		result = statement_execute(session,
					   is_writer ? "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; "
						       "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536; PRAGMA "
						       "journal_size_limit = 67108864"
						     : "PRAGMA query_only = ON; PRAGMA cache_size = -2048",
					   error);
		if (result == 0 && is_writer && database->is_temporary)
			result = statement_execute(session, "PRAGMA synchronous = OFF", error);
	}
	if (result < 0) {
		session_close(session);
		return result;
	}
	*ret_session = session;
	return 0;
}

void session_close(struct db_session *session)
{
	if (!session)
		return;
	statement_forget_all(session);
	sqlite3_close(session->connection);
	free(session->changes);
	free(session);
}

/* Write-ahead logging needs shared memory beside the file, which some network file systems refuse. */
static int use_write_ahead_log(struct db_session *session, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, "PRAGMA journal_mode = WAL", NULL, &statement, error);

	if (result < 0)
		return result;
	result = statement_step(statement, error);
	if (result < 0)
		return result;
	if (strcmp(statement_column_text(statement, 0), "wal") != 0)
		return error_set(error, ENOTSUP,
				 "database %s: its file system does not support a write-ahead log: use a local disk",
				 session->database->path);
	return 0;
}

static int prepare_file(struct database *database, struct error *error)
{
	int version = 0;
	int result = check_file(database->path, error);

	if (result == 0)
		result = db_lock(database->path, &database->lock, error);
	if (result == 0)
		result = session_open(database, true, &database->writer_session, error);
	if (result == 0)
		result = upgrade_read_version(database->writer_session, &version, error);
	if (result == 0)
		result = use_write_ahead_log(database->writer_session, error);
	if (result == 0)
		result = upgrade_run(database->writer_session, upgrade_plan_newest(), version, error);
	return result;
}

static void destroy(struct database *database)
{
	session_close(database->writer_session);
	pthread_mutex_destroy(&database->readers_mutex);
	pthread_mutex_destroy(&database->queue_mutex);
	pthread_cond_destroy(&database->queue_filled);
	if (database->lock >= 0)
		close(database->lock);
	server_ages_destroy(database->ages);
	free(database->path);
	free(database);
}

static int open_database(const char *path, bool is_temporary, struct clock *clock, struct log *log,
			 struct database **ret_database, struct error *error)
{
	struct database *database = calloc(1, sizeof(*database));

	if (!database)
		return error_no_memory(error);
	database->clock = clock;
	database->log = log;
	database->lock = -1;
	database->is_temporary = is_temporary;
	/* Before the process's first use of SQLite; later it is refused and the first one's word stays. */
	sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, UNDO_IN_MEMORY_MAX);
	pthread_mutex_init(&database->readers_mutex, NULL);
	pthread_mutex_init(&database->queue_mutex, NULL);
	pthread_cond_init(&database->queue_filled, NULL);
	database->path = strdup(path);

	int result = database->path ? prepare_file(database, error) : error_no_memory(error);
	if (result == 0)
		result = server_ages_create(&database->ages, error);
	if (result == 0)
		result = writer_start(database, error);
	if (result < 0) {
		destroy(database);
		return result;
	}
	*ret_database = database;
	return 0;
}

int db_open(const char *path, struct clock *clock, struct log *log, struct database **ret_database, struct error *error)
{
	return open_database(path, false, clock, log, ret_database, error);
}

int db_open_temporary(const char *path, struct clock *clock, struct log *log, struct database **ret_database,
		      struct error *error)
{
	return open_database(path, true, clock, log, ret_database, error);
}

void db_close(struct database *database)
{
	if (!database)
		return;
	writer_stop(database);
	assert(database->held_reader_count == 0);
	while (database->idle_readers) {
		struct db_session *reader = database->idle_readers;

		database->idle_readers = reader->next_idle;
		session_close(reader);
	}
	destroy(database);
}

int64_t db_now_us(struct db_session *session)
{
	return clock_now_us(session->database->clock);
}

static struct db_session *take_idle_reader(struct database *database)
{
	LOCK_SCOPE(&database->readers_mutex);
	struct db_session *reader = database->idle_readers;

	if (reader) {
		database->idle_readers = reader->next_idle;
		database->idle_reader_count--;
	}
	database->held_reader_count++;
	return reader;
}

/* True when the pool kept it. */
static bool give_back_reader(struct database *database, struct db_session *reader)
{
	LOCK_SCOPE(&database->readers_mutex);

	database->held_reader_count--;
	if (!reader || database->idle_reader_count >= IDLE_READERS_MAX)
		return false;
	reader->next_idle = database->idle_readers;
	database->idle_readers = reader;
	database->idle_reader_count++;
	return true;
}

static int run_once(struct db_session *session, const char *sql, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, NULL, &statement, error);

	return result < 0 ? result : statement_run(statement, error);
}

static int begin_snapshot(struct db_session *reader, struct error *error)
{
	int result = run_once(reader, "BEGIN", error);

	return result < 0 ? result : run_once(reader, "SELECT version FROM schema_version", error);
}

int db_read_begin(struct database *database, struct db_session **ret_session, struct error *error)
{
	struct db_session *reader = take_idle_reader(database);
	int result = 0;

	if (!reader)
		result = session_open(database, false, &reader, error);
	if (result == 0)
		result = begin_snapshot(reader, error);
	if (result < 0) {
		give_back_reader(database, NULL);
		session_close(reader);
		return error_wrap(error, "beginning to read");
	}
	*ret_session = reader;
	return 0;
}

void db_read_end(struct db_session *session)
{
	if (!session)
		return;

	struct error error = { 0 };
	bool has_ended = run_once(session, "COMMIT", &error) == 0;

	if (!has_ended)
		log_error(session->database->log, NULL, "a reader could not end its snapshot; it is closed", &error);
	if (!give_back_reader(session->database, has_ended ? session : NULL))
		session_close(session);
}
