/* A bare SQLite program, as a peer of the service: it commits the rows of accepted requests, and does nothing else:
 *
 *     bench_bare_sqlite DATABASE ACCEPT
 *
 * ACCEPT is a JSON list of what one accepted request writes, in order: {"sql": "INSERT …", "values": […]}. A value stands for
 * itself, or is {"server": true}, the server's UUID; {"fresh": "uuid"} or {"fresh": "req"}, a new UUID; {"row": N}, the id of
 * the row that the list's Nth statement has inserted; {"now": true}, microseconds since 1970. Each line "COUNT BATCH" on
 * standard input accepts for the next COUNT idle servers, BATCH in a commit, and prints {"accepts": …, "seconds": …}. */
#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/uuid.h"

#define STATEMENTS_MAX 32

struct accept {
	sqlite3 *database;
	size_t count;
	sqlite3_stmt *statements[STATEMENTS_MAX];
	json_t *values[STATEMENTS_MAX];
	sqlite3_int64 ids[STATEMENTS_MAX];
	sqlite3_stmt *begin, *commit;
	char (*servers)[UUID_SIZE];
	size_t server_count, next_server;
};

__attribute__((noreturn)) static void die(const struct accept *accept, const char *what)
{
	fprintf(stderr, "bench_bare_sqlite: %s: %s\n", what, sqlite3_errmsg(accept->database));
	exit(1);
}

static double now_s(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static sqlite3_stmt *prepare(const struct accept *accept, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v3(accept->database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
		die(accept, sql);
	return statement;
}

/* As the service opens its writer. */
static void open_database(struct accept *accept, const char *path)
{
	static const char settings[] =
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; "
		"PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536; "
		"PRAGMA journal_size_limit = 67108864";

	if (sqlite3_open_v2(path, &accept->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK
	    || sqlite3_exec(accept->database, settings, NULL, NULL, NULL) != SQLITE_OK)
		die(accept, path);
	accept->begin = prepare(accept, "BEGIN IMMEDIATE");
	accept->commit = prepare(accept, "COMMIT");
}

static void read_servers(struct accept *accept)
{
	sqlite3_stmt *statement =
		prepare(accept, "SELECT uuid FROM servers WHERE task_state = '' AND is_deleted = 0 ORDER BY id");
	size_t capacity = 0;

	while (sqlite3_step(statement) == SQLITE_ROW) {
		if (accept->server_count == capacity) {
			capacity = capacity * 2 + 1024;
			accept->servers = reallocarray(accept->servers, capacity, UUID_SIZE);
			if (!accept->servers)
				die(accept, "out of memory");
		}
		TEXT_COPY(accept->servers[accept->server_count], (const char *)sqlite3_column_text(statement, 0));
		accept->server_count++;
	}
	sqlite3_finalize(statement);
}

static bool read_accept(struct accept *accept, const char *path)
{
	json_t *list = json_load_file(path, 0, NULL), *row;
	size_t i;

	json_array_foreach(list, i, row)
	{
		const char *sql = json_string_value(json_object_get(row, "sql"));

		if (!sql || i == STATEMENTS_MAX)
			return false;
		accept->statements[i] = prepare(accept, sql);
		accept->values[i] = json_object_get(row, "values");
		accept->count++;
	}
	return accept->count > 0; /* the list stays for its values */
}

/* The bytes of `text` must live until the statement has run. */
static void bind_object(const struct accept *accept, sqlite3_stmt *statement, int place, const json_t *value)
{
	const char *fresh = json_string_value(json_object_get(value, "fresh"));
	char text[8 + UUID_SIZE] = "req-";

	if (json_object_get(value, "server")) {
		sqlite3_bind_text(statement, place, accept->servers[accept->next_server], -1, SQLITE_STATIC);
	} else if (json_object_get(value, "row")) {
		sqlite3_bind_int64(statement, place, accept->ids[json_integer_value(json_object_get(value, "row"))]);
	} else if (json_object_get(value, "now")) {
		sqlite3_bind_int64(statement, place, (sqlite3_int64)(now_s(CLOCK_REALTIME) * 1e6));
	} else {
		size_t prefix = text_equal(fresh, "req") ? strlen(text) : 0;

		uuid_make(text + prefix);
		sqlite3_bind_text(statement, place, text, -1, SQLITE_TRANSIENT);
	}
}

static void bind_value(const struct accept *accept, sqlite3_stmt *statement, int place, const json_t *value)
{
	if (json_is_object(value))
		bind_object(accept, statement, place, value);
	else if (json_is_string(value))
		sqlite3_bind_text(statement, place, json_string_value(value), (int)json_string_length(value),
				  SQLITE_STATIC);
	else if (json_is_real(value))
		sqlite3_bind_double(statement, place, json_real_value(value));
	else if (json_is_integer(value))
		sqlite3_bind_int64(statement, place, json_integer_value(value));
	else
		sqlite3_bind_null(statement, place);
}

static void run(const struct accept *accept, sqlite3_stmt *statement)
{
	if (sqlite3_step(statement) != SQLITE_DONE)
		die(accept, sqlite3_sql(statement));
	sqlite3_reset(statement);
}

static void accept_one(struct accept *accept)
{
	for (size_t i = 0; i < accept->count; i++) {
		const json_t *values = accept->values[i];

		for (size_t place = 0; place < json_array_size(values); place++)
			bind_value(accept, accept->statements[i], (int)place + 1, json_array_get(values, place));
		run(accept, accept->statements[i]);
		accept->ids[i] = sqlite3_last_insert_rowid(accept->database);
	}
	accept->next_server++;
}

static void accept_many(struct accept *accept, size_t count, size_t batch)
{
	double begun = now_s(CLOCK_MONOTONIC);

	for (size_t done = 0; done < count; done++) {
		if (done % batch == 0)
			run(accept, accept->begin);
		accept_one(accept);
		if ((done + 1) % batch == 0 || done + 1 == count)
			run(accept, accept->commit);
	}
	printf("{\"accepts\": %zu, \"seconds\": %.6f}\n", count, now_s(CLOCK_MONOTONIC) - begun);
	fflush(stdout);
}

int main(int count, char **words)
{
	static struct accept accept;
	size_t accepts, batch;

	if (count != 3) {
		fprintf(stderr, "usage: %s DATABASE ACCEPT\n", words[0]);
		return 2;
	}
	open_database(&accept, words[1]);
	if (!read_accept(&accept, words[2]))
		die(&accept, words[2]);
	read_servers(&accept);
	while (scanf("%zu %zu", &accepts, &batch) == 2 && batch > 0) {
		if (accepts > accept.server_count - accept.next_server)
			die(&accept, "too few servers are left");
		accept_many(&accept, accepts, batch);
	}
	for (size_t i = 0; i < accept.count; i++)
		sqlite3_finalize(accept.statements[i]);
	sqlite3_finalize(accept.begin);
	sqlite3_finalize(accept.commit);
	sqlite3_close(accept.database);
	return 0;
}
