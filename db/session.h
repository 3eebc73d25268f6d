/* Inside the database room: a connection in somebody's hands, and the database it belongs to. Other rooms see database.h.
 *
 * A session is a connection with its prepared statements. The writer's thread has one; readers take one from a pool. It is
 * used by one thread at a time, so that SQLite's own locking is off (SQLITE_OPEN_NOMUTEX). */
#pragma once

#include "db/database.h"

#include <pthread.h>

struct metric_family;
struct server_ages;
struct sqlite3;
struct statement;
struct write_request;

struct session_change {
	enum db_table table;
	int64_t id;
	size_t order; /* when it was recorded, so that order survives the sorting out of doubles */
};

struct db_session {
	struct sqlite3 *connection;
	struct database *database;
	bool is_writer;
	bool is_in_write; /* a write runs: each of its statements belongs to the open transaction */
	struct statement *statements; /* most recently used first */
	size_t statement_count;
	struct session_change *changes; /* what the open transaction changed; the writer's only */
	size_t change_count;
	size_t change_capacity;
	struct db_session *next_idle;
};

struct database_watcher {
	db_watch_fn watch;
	void *context;
};

#define DATABASE_WATCHERS_MAX 16

struct database {
	char *path;
	bool is_temporary; /* nobody will open it again: nothing has to reach the disk */
	int lock; /* descriptor of PATH.lock; -1: none */
	struct clock *clock;
	struct server_ages *ages; /* which servers changed last; NULL until the file is open */
	struct log *log;

	pthread_mutex_t readers_mutex;
	struct db_session *idle_readers;
	size_t idle_reader_count;
	size_t held_reader_count;

	struct {
		struct metric_family *commits, *seconds, *writes; /* NULL: nobody counts */
	} measures; /* set before the first write */
	struct db_session *writer_session; /* touched by the writer's thread alone once it runs */
	pthread_t writer_thread;
	bool is_writer_running;

	pthread_mutex_t queue_mutex; /* guards all below */
	pthread_cond_t queue_filled;
	struct write_request *queue_first;
	struct write_request *queue_last;
	bool is_closing;
	int64_t commits;
	int64_t writes;
	struct database_watcher watchers[DATABASE_WATCHERS_MAX];
	size_t watcher_count;
};

/* Opens a connection with the room's settings; `is_writer` may change rows and create the file. */
int session_open(struct database *database, bool is_writer, struct db_session **ret_session, struct error *error);
void session_close(struct db_session *session); /* NULL is fine */

/* Remembers that the open transaction changed a row, to be told to the watchers after its commit. */
int session_changed(struct db_session *session, enum db_table table, int64_t id, struct error *error);

int writer_start(struct database *database, struct error *error);
/* Ends what is queued, then the thread. */
void writer_stop(struct database *database);
