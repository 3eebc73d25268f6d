/* The writer's thread: group commit with a savepoint for each write, completions after the commit, then the watchers. The one
 * difficulty: SQLite may answer a full disk or an I/O fault by rolling back the whole transaction; then all writes that stood
 * in it have failed, and none of them may be acknowledged. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "db/statement.h"

#include <sqlite3.h>
#include <string.h>

/* A commit's latency is bounded by this; what is beyond waits for the next one. */
#define WRITES_PER_COMMIT_MAX 512

/* How a commit ends, to be counted. */
enum { COMMIT_OK, COMMIT_FAILED };

struct write_request {
	db_write_fn write;
	db_done_fn done;
	void *context;
	int result;
	struct error *error; /* why it failed; owned, NULL when memory was too short for the words */
	bool is_owned; /* allocated by db_submit */
	struct write_request *next;
};

int session_changed(struct db_session *session, enum db_table table, int64_t id, struct error *error)
{
	if (session->change_count == session->change_capacity) {
		size_t wanted = session->change_capacity ? session->change_capacity * 2 : 64;
		struct session_change *more = reallocarray(session->changes, wanted, sizeof(*more));

		if (!more)
			return error_no_memory(error);
		session->changes = more;
		session->change_capacity = wanted;
	}
	session->changes[session->change_count] =
		(struct session_change){ .table = table, .id = id, .order = session->change_count };
	session->change_count++;
	return 0;
}

static void fail_request(struct write_request *request, int result, const struct error *error)
{
	request->result = result;
	if (!request->error)
		request->error = malloc(sizeof(*request->error));
	if (request->error)
		*request->error = *error;
}

static void finish_request(struct write_request *request)
{
	struct error no_memory;
	const struct error *error = NULL;

	if (request->result < 0) {
		error = request->error;
		if (!error) {
			error_no_memory(&no_memory);
			error = &no_memory;
		}
	}

	/* The completion may free what the request lies in, when it is not ours. */
	struct error *words = request->error;
	bool is_owned = request->is_owned;

	if (request->done)
		request->done(request->context, request->result, error);
	free(words);
	if (is_owned)
		free(request);
}

/* Takes up to a group's worth off the queue; NULL when the database closes and nothing is left. */
static struct write_request *take_group(struct database *database)
{
	LOCK_SCOPE(&database->queue_mutex);

	while (!database->queue_first && !database->is_closing)
		pthread_cond_wait(&database->queue_filled, &database->queue_mutex);

	struct write_request *first = database->queue_first;
	struct write_request *last = first;
	if (!first)
		return NULL;
	for (size_t i = 1; i < WRITES_PER_COMMIT_MAX && last->next; i++)
		last = last->next;

	database->queue_first = last->next;
	if (!database->queue_first)
		database->queue_last = NULL;
	last->next = NULL;
	return first;
}

/* A transaction verb through the kept statements: these run for every write. */
static int run_verb(struct db_session *session, const char *verb, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, verb, NULL, &statement, error);

	return result < 0 ? result : statement_run(statement, error);
}

static bool is_in_transaction(const struct db_session *session)
{
	return !sqlite3_get_autocommit(session->connection);
}

/* What stood in a transaction that is gone: every write from `first` up to `end` that had succeeded. */
static void fail_all(struct write_request *first, const struct write_request *end, const struct error *error)
{
	for (struct write_request *request = first; request != end; request = request->next)
		if (request->result >= 0)
			fail_request(request, error->code ? -error->code : -EIO, error);
}

/* A transaction that failed as a whole. */
static void roll_back(struct db_session *session)
{
	metric_add(session->database->measures.commits, COMMIT_FAILED, 1);
	if (is_in_transaction(session))
		statement_execute(session, "ROLLBACK", NULL);
	session->change_count = 0;
}

/* One write in its savepoint. False when the whole transaction is lost; `error` then says why. */
static bool run_request(struct db_session *session, struct write_request *request, struct error *error)
{
	size_t changes_before = session->change_count;

	error_clear(error);
	request->result = run_verb(session, "SAVEPOINT one_write", error);
	if (request->result < 0) {
		fail_request(request, request->result, error);
		return false;
	}

	session->is_in_write = true;
	request->result = request->write(session, request->context, error);
	if (request->result >= 0 && statement_check_transaction(session, error) < 0)
		request->result = -EIO; /* it took the error that lost the transaction for nothing */
	session->is_in_write = false;
	if (request->result < 0) {
		if (!error->code)
			error_set_errno(error, -request->result, "a write to the database failed");
		fail_request(request, request->result, error);
		session->change_count = changes_before;
	}
	if (!is_in_transaction(session))
		return false;

	struct error verb_error = { 0 };
	if ((request->result < 0 && run_verb(session, "ROLLBACK TO one_write", &verb_error) < 0)
	    || run_verb(session, "RELEASE one_write", &verb_error) < 0) {
		*error = verb_error;
		fail_request(request, -verb_error.code, error);
		return false;
	}
	return true;
}

/* Runs what is in the group and commits it; returns the number of writes in the commit. Where the transaction is lost in
 * between, the writes before share its fate and those behind begin anew. */
static int64_t commit_group(struct db_session *session, struct write_request *first)
{
	struct write_request *begin = first; /* of the open transaction */
	struct error error = { 0 };
	int64_t writes = 0;

	for (struct write_request *request = first; request; request = request->next) {
		if (!is_in_transaction(session)) {
			begin = request;
			writes = 0;
			if (run_verb(session, "BEGIN IMMEDIATE", &error) < 0) {
				metric_add(session->database->measures.commits, COMMIT_FAILED, 1);
				fail_request(request, -error.code, &error);
				continue;
			}
		}
		if (!run_request(session, request, &error)) {
			roll_back(session);
			fail_all(begin, request->next, &error);
		} else if (request->result >= 0) {
			writes++;
		}
	}
	if (!is_in_transaction(session))
		return 0;
	if (run_verb(session, "COMMIT", &error) < 0) {
		error_wrap(&error, "the commit failed and nothing of it is kept");
		roll_back(session);
		fail_all(begin, NULL, &error);
		return 0;
	}
	return writes;
}

static int compare_by_row(const void *left, const void *right)
{
	const struct session_change *a = left;
	const struct session_change *b = right;

	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static int compare_by_order(const void *left, const void *right)
{
	const struct session_change *a = left;
	const struct session_change *b = right;

	return a->order < b->order ? -1 : a->order > b->order;
}

/* Each changed row once, where it was changed first. */
static void drop_doubles(struct db_session *session)
{
	struct session_change *changes = session->changes;
	size_t kept = 0;

	if (session->change_count < 2)
		return;
	qsort(changes, session->change_count, sizeof(*changes), compare_by_row);
	for (size_t i = 0; i < session->change_count; i++)
		if (kept == 0 || changes[kept - 1].table != changes[i].table || changes[kept - 1].id != changes[i].id)
			changes[kept++] = changes[i];
	session->change_count = kept;
	qsort(changes, kept, sizeof(*changes), compare_by_order);
}

static void tell_watchers(struct database *database)
{
	struct db_session *session = database->writer_session;
	struct database_watcher watchers[DATABASE_WATCHERS_MAX];
	size_t count;

	if (session->change_count == 0)
		return;
	pthread_mutex_lock(&database->queue_mutex);
	count = database->watcher_count;
	memcpy(watchers, database->watchers, sizeof(watchers));
	pthread_mutex_unlock(&database->queue_mutex);

	drop_doubles(session);
	for (size_t i = 0; i < session->change_count; i++)
		for (size_t j = 0; j < count; j++)
			watchers[j].watch(watchers[j].context, session->changes[i].table, session->changes[i].id);
	session->change_count = 0;
}

static void count_commit(struct database *database, int64_t writes)
{
	LOCK_SCOPE(&database->queue_mutex);

	database->commits += writes > 0;
	database->writes += writes;
}

int db_measure(struct database *database, struct metrics *metrics, struct error *error)
{
	static const char *const names[] = { "result" };
	static const char *const values[] = { [COMMIT_OK] = "ok", [COMMIT_FAILED] = "failed" };
	static const struct metric_labels by_result = { names, 1, values, ARRAY_LENGTH(values) };
	static const int64_t bounds_us[] = { 500,   1000,   2500,   5000,    10000,   25000,
					     50000, 100000, 250000, 1000000, 5000000, 30000000 };
	static const int64_t bounds_writes[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, WRITES_PER_COMMIT_MAX };
	static const struct metric_definition commits = {
		.name = "migrationd_database_commits_total",
		.help = "Commits of the database; failed ones were not kept, and their requests were told so.",
		.type = METRIC_COUNTER,
		.labels = { &by_result },
	};
	static const struct metric_definition seconds = {
		.name = "migrationd_database_commit_duration_seconds",
		.help = "Time of one commit, from its first write until it is on disk.",
		.type = METRIC_HISTOGRAM,
		.scale = 1e-6,
		.bounds = bounds_us,
		.bound_count = ARRAY_LENGTH(bounds_us),
	};
	static const struct metric_definition writes = {
		.name = "migrationd_database_commit_writes",
		.help = "Writes that one commit took to disk together.",
		.type = METRIC_HISTOGRAM,
		.bounds = bounds_writes,
		.bound_count = ARRAY_LENGTH(bounds_writes),
	};
	const struct metric_place places[] = {
		{ &commits, &database->measures.commits },
		{ &seconds, &database->measures.seconds },
		{ &writes, &database->measures.writes },
		{ 0 },
	};

	return metrics_register_all(metrics, places, error);
}

/* Where each write of a group was refused nothing was committed. */
static void measure_commit(struct database *database, int64_t writes, int64_t took_us)
{
	if (writes == 0)
		return;
	metric_add(database->measures.commits, COMMIT_OK, 1);
	metric_observe(database->measures.seconds, 0, took_us);
	metric_observe(database->measures.writes, 0, writes);
}

static void *run_writer(void *argument)
{
	struct database *database = argument;
	struct write_request *request;

	while ((request = take_group(database)) != NULL) {
		int64_t began_us = clock_measure_us();
		int64_t writes = commit_group(database->writer_session, request);

		measure_commit(database, writes, clock_measure_us() - began_us);
		count_commit(database, writes);
		while (request) {
			struct write_request *next = request->next;

			finish_request(request);
			request = next;
		}
		tell_watchers(database);
	}
	return NULL;
}

int writer_start(struct database *database, struct error *error)
{
	int code = pthread_create(&database->writer_thread, NULL, run_writer, database);

	if (code)
		return error_set_errno(error, code, "cannot start the database's writer thread");
	database->is_writer_running = true;
	return 0;
}

void writer_stop(struct database *database)
{
	if (!database->is_writer_running)
		return;
	pthread_mutex_lock(&database->queue_mutex);
	database->is_closing = true;
	pthread_cond_signal(&database->queue_filled);
	pthread_mutex_unlock(&database->queue_mutex);
	pthread_join(database->writer_thread, NULL);
	database->is_writer_running = false;
}

static void enqueue(struct database *database, struct write_request *request)
{
	LOCK_SCOPE(&database->queue_mutex);

	if (database->queue_last)
		database->queue_last->next = request;
	else
		database->queue_first = request;
	database->queue_last = request;
	pthread_cond_signal(&database->queue_filled);
}

void db_submit(struct database *database, db_write_fn write, db_done_fn done, void *context)
{
	struct write_request *request = calloc(1, sizeof(*request));

	if (!request) {
		struct error error = { 0 };

		error_no_memory(&error);
		if (done)
			done(context, -ENOMEM, &error);
		return;
	}
	*request = (struct write_request){ .write = write, .done = done, .context = context, .is_owned = true };
	enqueue(database, request);
}

/* db_write as a submission that its caller waits for. */
struct waited_write {
	db_write_fn write;
	void *context;
	pthread_mutex_t mutex;
	pthread_cond_t finished;
	bool is_finished;
	int result;
	struct error *error; /* the caller's */
};

static int run_waited(struct db_session *session, void *context, struct error *error)
{
	struct waited_write *waited = context;

	return waited->write(session, waited->context, error);
}

static void wake_waiter(void *context, int result, const struct error *error)
{
	struct waited_write *waited = context;

	LOCK_SCOPE(&waited->mutex);
	waited->result = result;
	if (error && waited->error)
		*waited->error = *error;
	waited->is_finished = true;
	pthread_cond_signal(&waited->finished);
}

int db_write(struct database *database, db_write_fn write, void *context, struct error *error)
{
	if (pthread_equal(pthread_self(), database->writer_thread))
		return error_set(error, EDEADLK, "a write was waited for on the writer's own thread");

	struct waited_write waited = { .write = write, .context = context, .error = error };
	struct write_request request = { .write = run_waited, .done = wake_waiter, .context = &waited };

	pthread_mutex_init(&waited.mutex, NULL);
	pthread_cond_init(&waited.finished, NULL);
	enqueue(database, &request);

	pthread_mutex_lock(&waited.mutex);
	while (!waited.is_finished)
		pthread_cond_wait(&waited.finished, &waited.mutex);
	pthread_mutex_unlock(&waited.mutex);

	pthread_cond_destroy(&waited.finished);
	pthread_mutex_destroy(&waited.mutex);
	return waited.result;
}

int db_watch(struct database *database, db_watch_fn watch, void *context, struct error *error)
{
	LOCK_SCOPE(&database->queue_mutex);

	if (database->watcher_count == DATABASE_WATCHERS_MAX)
		return error_set(error, ENOBUFS, "more than %d watchers of the database", DATABASE_WATCHERS_MAX);
	database->watchers[database->watcher_count++] = (struct database_watcher){ .watch = watch, .context = context };
	return 0;
}

void db_statistics(struct database *database, int64_t *ret_commits, int64_t *ret_writes)
{
	LOCK_SCOPE(&database->queue_mutex);

	*ret_commits = database->commits;
	*ret_writes = database->writes;
}
