/* The history of usages. The writer's thread tells of a commit before it begins the next one, so that a reader that it opens
 * then sees just the state that was committed, and no state is missed. */
#include "tests/unit/usage_history.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "db/database.h"
#include "db/statement.h"

struct state {
	struct usage usages[USAGE_HOSTS];
};

struct usage_history {
	struct database *database;
	pthread_mutex_t mutex; /* guards all below */
	struct state *states;
	size_t count, capacity;
	size_t doubled;
};

static const char SERVERS[] =
	"SELECT servers.host_id, flavors.vcpus, flavors.memory_mb, flavors.disk_gb, 1 FROM servers"
	" JOIN flavors ON flavors.id = servers.flavor_row WHERE servers.is_deleted = 0";
static const char CLAIMS[] = "SELECT host_id, vcpus, memory_mb, disk_gb, 0 FROM claims";
static const char DOUBLED[] = "SELECT COUNT(*) FROM claims JOIN servers ON servers.uuid = claims.server_uuid"
			      " AND servers.host_id = claims.host_id WHERE servers.is_deleted = 0";

static struct statement *begin(struct db_session *session, const char *sql)
{
	struct statement *statement = NULL;
	struct error error = { 0 };

	if (statement_begin(session, sql, NULL, &statement, &error) == 0)
		return statement;
	fprintf(stderr, "the history cannot be read: %s\n", error.text);
	abort();
}

/* Row by row, and added up here: the service lets the database add up. */
static void add_rows(struct db_session *session, const char *sql, struct state *state)
{
	CLEANUP_STATEMENT struct statement *statement = begin(session, sql);

	while (statement_step(statement, NULL) > 0) {
		int64_t host_id = statement_column_int64(statement, 0);

		if (host_id < 1 || host_id > USAGE_HOSTS)
			abort();
		struct usage *usage = &state->usages[host_id - 1];
		usage->vcpus += statement_column_int64(statement, 1);
		usage->memory_mb += statement_column_int64(statement, 2);
		usage->disk_gb += statement_column_int64(statement, 3);
		usage->servers += statement_column_int64(statement, 4);
	}
}

static bool has_doubled(struct db_session *session)
{
	CLEANUP_STATEMENT struct statement *statement = begin(session, DOUBLED);

	return statement_step(statement, NULL) > 0 && statement_column_int64(statement, 0) > 0;
}

static void append(struct usage_history *history, const struct state *state, bool is_doubled)
{
	LOCK_SCOPE(&history->mutex);

	history->doubled += is_doubled;
	if (history->count > 0 && memcmp(&history->states[history->count - 1], state, sizeof(*state)) == 0)
		return;
	if (history->count == history->capacity) {
		history->capacity = history->capacity ? history->capacity * 2 : 1024;
		history->states = reallocarray(history->states, history->capacity, sizeof(*history->states));
		if (!history->states)
			abort();
	}
	history->states[history->count++] = *state;
}

/* On the writer's thread, for each row of a commit. */
static void on_change(void *context, enum db_table table, int64_t id)
{
	struct usage_history *history = context;
	CLEANUP_DB_READ struct db_session *session = NULL;
	struct state state = { 0 };

	(void)id;
	if (table != DB_TABLE_SERVERS && table != DB_TABLE_CLAIMS)
		return;
	if (db_read_begin(history->database, &session, NULL) < 0)
		abort();
	add_rows(session, SERVERS, &state);
	add_rows(session, CLAIMS, &state);
	append(history, &state, has_doubled(session));
}

struct usage_history *usage_history_create(struct database *database)
{
	struct usage_history *history = calloc(1, sizeof(*history));

	if (!history || db_watch(database, on_change, history, NULL) < 0)
		abort();
	history->database = database;
	pthread_mutex_init(&history->mutex, NULL);
	return history;
}

void usage_history_destroy(struct usage_history *history)
{
	pthread_mutex_destroy(&history->mutex);
	free(history->states);
	free(history);
}

size_t usage_history_length(struct usage_history *history)
{
	LOCK_SCOPE(&history->mutex);

	return history->count;
}

bool usage_history_has(struct usage_history *history, size_t before, size_t after, const struct usage *usages)
{
	LOCK_SCOPE(&history->mutex);
	size_t end = after + 1 < history->count ? after + 1 : history->count;

	for (size_t i = before > 0 ? before - 1 : 0; i < end; i++)
		if (memcmp(history->states[i].usages, usages, sizeof(history->states[i].usages)) == 0)
			return true;
	return false;
}

size_t usage_history_doubled(struct usage_history *history)
{
	LOCK_SCOPE(&history->mutex);

	return history->doubled;
}
