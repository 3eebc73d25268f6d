/* The door of the database room: opening, reading, and writing.
 *
 * One writer, many readers. A write is a function that runs on the writer's thread inside a transaction that it may share
 * with others (group commit: what came in while the last commit went to disk is committed together). Each write has a
 * savepoint of its own: when it returns an error, it alone is undone. Its completion is called after the commit is on
 * disk, so that what was acknowledged survives a power cut (WAL, synchronous=FULL).
 *
 *     static int lock_server(struct db_session *session, void *context, struct error *error)
 *     {
 *         struct lock_request *request = context;                     // checks and changes in one transaction
 *         return db_server_set_lock(session, request->uuid, "owner", NULL, error);
 *     }
 *     db_submit(database, lock_server, answer_client, request);       // returns at once; answer_client(request, 0, NULL)
 *                                                                     // runs after the commit
 *
 * Reads use a snapshot of their own and never wait for the writer:
 *
 *     CLEANUP_DB_READ struct db_session *session = NULL;
 *     if (db_read_begin(database, &session, error) < 0) ...
 *
 * A session belongs to one thread while it is held. Every table has its own header (db/hosts.h, db/servers.h, ...), whose
 * functions take a session; those that change something need the writer's and answer -EPERM with a reader's.
 *
 * Errors: -ENOENT no such row, -EEXIST a unique name is taken, -ENOSPC the disk is full (callers answer 503), -EROFS, -EIO.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock;
struct database;
struct db_session;
struct error;
struct log;
struct metrics;

enum db_table {
	DB_TABLE_SERVICES,
	DB_TABLE_HOSTS,
	DB_TABLE_SERVERS,
	DB_TABLE_MIGRATIONS,
	DB_TABLE_JOBS,
	DB_TABLE_CLAIMS,
	DB_TABLE_CHORES,
	DB_TABLE_MAX,
};

/* Opens or creates the file, brings its schema up to date (a backup `PATH.before-N` is written first when an older one is
 * changed) and starts the writer. A schema newer than this program is refused. */
int db_open(const char *path, struct clock *clock, struct log *log, struct database **ret_database,
	    struct error *error);
/* The same for one that goes with the process: a commit waits for no disk, and a power cut may spoil the file. */
int db_open_temporary(const char *path, struct clock *clock, struct log *log, struct database **ret_database,
		      struct error *error);
/* Ends what was submitted, commits, and closes. No session may be held. */
void db_close(struct database *database);

/* The clock of the database: what the rows' times are taken from. */
int64_t db_now_us(struct db_session *session);

int db_read_begin(struct database *database, struct db_session **ret_session, struct error *error);
void db_read_end(struct db_session *session); /* NULL is fine */

static inline void cleanup_db_read(struct db_session **session)
{
	db_read_end(*session);
}
#define CLEANUP_DB_READ __attribute__((cleanup(cleanup_db_read)))

typedef int (*db_write_fn)(struct db_session *session, void *context, struct error *error);
/* `result` is what the write returned, or the commit's error; `error` is NULL on success. Runs on the writer's thread:
 * it must not block and must not call db_write. */
typedef void (*db_done_fn)(void *context, int result, const struct error *error);

/* Queues a write and returns at once. `done` may be NULL. Never fails: without memory `done` gets -ENOMEM directly. */
void db_submit(struct database *database, db_write_fn write, db_done_fn done, void *context);
/* The same, waiting for the commit. Not from the writer's own thread. */
int db_write(struct database *database, db_write_fn write, void *context, struct error *error);

/* Called on the writer's thread after each commit, once for every row that the commit changed (also for deleted ones), in the
 * order of the changes, and after the completions of the writes in it. A host counts as changed also when its
 * service did, and when its usage may have: servers, claims and migrations that came, went or changed there. Watchers must not block; they are added before the
 * first write. */
typedef void (*db_watch_fn)(void *context, enum db_table table, int64_t id);
int db_watch(struct database *database, db_watch_fn watch, void *context, struct error *error);

/* The age of readings: a number that grows with each change of a server, of its jobs, its claims or its saved definitions.
 * Who reads something of guests elsewhere takes it before the reading begins, and asks in the write whether a server has
 * changed since: then what was read of it is older than its row. In memory and bounded: a number that is too old to be
 * told counts as changed. Thread-safe. */
int64_t db_change_number(struct database *database);
bool db_server_changed_since(struct db_session *session, const char *server_uuid, int64_t number);

/* Commits since the start, and writes in them: for tests of the group commit. */
void db_statistics(struct database *database, int64_t *ret_commits, int64_t *ret_writes);
/* From now on commits are counted and timed there; before the first write. The metrics outlive the database. */
int db_measure(struct database *database, struct metrics *metrics, struct error *error);

/* Erases every row (not the schema) and restarts all ids: for tests' loading of a whole state by the simulated driver. */
int db_erase_all(struct db_session *session, struct error *error);
