/* What holds for every kind of write and read: a write changes the rows that it is for, watchers learn of these, and what the engine
 * refuses at any step of it reaches the caller, with its words, and nothing of the write is kept. */
#include "base/cleanup.h"
#include "db/session.h"
#include "db/statement.h"
#include "tests/unit/db_fixture.h"
#include "tests/unit/db_operations.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define STEPS_MAX 2000 /* of one operation */

/* What a watcher was told, as words. */
struct told {
	char words[1024];
	size_t length;
};

static void note_row(void *context, enum db_table table, int64_t id)
{
	static const char *const names[] = { "services", "hosts", "servers", "migrations", "jobs", "claims", "chores" };
	struct told *told = context;

	told->length += (size_t)snprintf(told->words + told->length, sizeof(told->words) - told->length, "%s%s:%lld",
					 told->length ? " " : "", names[table], (long long)id);
}

static int do_nothing(struct db_session *session, void *context, struct error *error)
{
	(void)session;
	(void)context;
	(void)error;
	return 0;
}

/* When it returns, watchers were told of all before: they are behind the completion that a write waits for. */
static void wait_for_watchers(struct db_fixture *fixture)
{
	db_fixture_write(fixture, do_nothing, NULL);
}

static void watchers_learn_of_the_rows_that_a_write_changed_and_of_no_other(void **state)
{
	struct db_fixture *fixture = *state;
	struct told told = { 0 };

	OK(db_watch(fixture->database, note_row, &told, &fixture->error));
	for (size_t i = 0; i < db_operation_count; i++) {
		const struct db_operation *operation = &db_operations[i];

		if (!operation->told)
			continue;
		db_fixture_write(fixture, db_operations_fill, NULL);
		wait_for_watchers(fixture);
		told = (struct told){ 0 };
		db_fixture_write(fixture, operation->run, NULL);
		wait_for_watchers(fixture);
		if (strcmp(told.words, operation->told) != 0)
			fail_msg("%s: watchers were told of \"%s\", not of \"%s\"", operation->name, told.words,
				 operation->told);
	}
}

/* Every row, by its table and id, as a number made of all it holds. */
#define ROWS_MAX 64

static const char *const db_tables[] = { "services",
					 "hosts",
					 "flavors",
					 "servers",
					 "migrations",
					 "jobs",
					 "claims",
					 "instance_actions",
					 "instance_action_events",
					 "volumes",
					 "kept_domains",
					 "chores" };

struct rows {
	struct {
		size_t table;
		int64_t id;
		uint64_t content;
	} rows[ROWS_MAX];
	size_t count;
};

static uint64_t read_content(sqlite3_stmt *statement)
{
	uint64_t content = 0xcbf29ce484222325U;

	for (int i = 0; i < sqlite3_column_count(statement); i++) {
		const unsigned char *text = sqlite3_column_text(statement, i);

		for (content = (content ^ 0xff) * 0x100000001b3U; text && *text; text++)
			content = (content ^ *text) * 0x100000001b3U;
	}
	return content;
}

static void read_rows(struct db_fixture *fixture, struct rows *rows)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);

	rows->count = 0;
	for (size_t table = 0; table < ARRAY_LENGTH(db_tables); table++) {
		char sql[64];
		sqlite3_stmt *statement = NULL;

		snprintf(sql, sizeof(sql), "SELECT id, * FROM %s ORDER BY id", db_tables[table]);
		assert_int_equal(sqlite3_prepare_v2(session->connection, sql, -1, &statement, NULL), SQLITE_OK);
		for (; sqlite3_step(statement) == SQLITE_ROW; rows->count++) {
			assert_true(rows->count < ROWS_MAX);
			rows->rows[rows->count].table = table;
			rows->rows[rows->count].id = sqlite3_column_int64(statement, 0);
			rows->rows[rows->count].content = read_content(statement);
		}
		sqlite3_finalize(statement);
	}
}

static int64_t place_of(const struct rows *rows, size_t index)
{
	return index < rows->count ? (int64_t)rows->rows[index].table * 1000 + rows->rows[index].id : INT64_MAX;
}

static const char *table_of(int64_t place)
{
	size_t table = (size_t)place / 1000;

	return table < ARRAY_LENGTH(db_tables) ? db_tables[table] : "none";
}

/* What differs between the two, as words. */
static void write_changes(const struct rows *before, const struct rows *after, char *ret_words, size_t size)
{
	size_t i = 0, j = 0, length = 0;

	ret_words[0] = '\0';
	while (i < before->count || j < after->count) {
		int64_t old = place_of(before, i), new = place_of(after, j);
		int64_t place = old < new ? old : new;

		if (old != new || before->rows[i].content != after->rows[j].content)
			length += (size_t)snprintf(ret_words + length, size - length, "%s%s:%lld", length ? " " : "",
						   table_of(place), (long long)place % 1000);
		i += old == place;
		j += new == place;
	}
}

static void write_changes_the_rows_that_it_is_for_and_no_other(void **state)
{
	struct db_fixture *fixture = *state;
	static struct rows before, after;
	char changes[1024];

	for (size_t i = 0; i < db_operation_count; i++) {
		const struct db_operation *operation = &db_operations[i];

		if (!operation->changed)
			continue;
		db_fixture_write(fixture, db_operations_fill, NULL);
		read_rows(fixture, &before);
		clock_manual_advance(fixture->clock, 1);
		db_fixture_write(fixture, operation->run, NULL);
		read_rows(fixture, &after);
		write_changes(&before, &after, changes, sizeof(changes));
		if (strcmp(changes, operation->changed) != 0)
			fail_msg("%s changes \"%s\", not \"%s\"", operation->name, changes, operation->changed);
	}
}

/* An operation of which the engine refuses something once. */
struct refused {
	const struct db_operation *operation;
	int number; /* of what is refused, from 1 on */
	int count; /* of what was reached */
	int result;
	struct error error;
};

static bool is_refused(struct refused *refused)
{
	return ++refused->count == refused->number;
}

static int refuse_step(void *context)
{
	return is_refused(context);
}

static int refuse_statement(void *context, int action, const char *first, const char *second, const char *database,
			    const char *inner)
{
	bool is_counted = action == SQLITE_SELECT || action == SQLITE_INSERT || action == SQLITE_UPDATE
			  || action == SQLITE_DELETE;

	(void)first;
	(void)second;
	(void)database;
	(void)inner;
	return is_counted && is_refused(context) ? SQLITE_DENY : SQLITE_OK;
}

/* A step of a statement that runs. */
static void refuse_steps(struct db_session *session, struct refused *refused)
{
	sqlite3_progress_handler(session->connection, refused ? 1 : 0, refuse_step, refused);
}

/* A statement, or a part of one, that is prepared. */
static void refuse_statements(struct db_session *session, struct refused *refused)
{
	statement_forget_all(session); /* so that each is prepared again */
	sqlite3_set_authorizer(session->connection, refused ? refuse_statement : NULL, refused);
}

static const struct refusal {
	void (*set)(struct db_session *session, struct refused *refused); /* NULL: no more */
	int code;
	const char *words;
} refusals[] = {
	{ refuse_steps, EIO, "interrupted" },
	{ refuse_statements, EACCES, "not authorized" },
};

/* In a transaction of which nothing is kept, so that the next one finds the same fleet. */
static void run_refused(struct db_session *session, const struct refusal *refusal, struct refused *refused)
{
	assert_int_equal(sqlite3_exec(session->connection, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	session->is_in_write = true;
	refused->error = (struct error){ 0 };
	refused->count = 0;
	refusal->set(session, refused);
	refused->result = refused->operation->run(session, NULL, &refused->error);
	refusal->set(session, NULL);
	session->is_in_write = false;
	session->change_count = 0;
	if (!sqlite3_get_autocommit(session->connection))
		assert_int_equal(sqlite3_exec(session->connection, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
}

/* The first ones each, then some of them: a statement has a dozen of steps. Until a run has none left to refuse. */
static void refuse_in_turn(struct db_session *session, const struct db_operation *operation,
			   const struct refusal *refusal)
{
	struct refused refused = { .operation = operation };

	do {
		refused.number += 1 + refused.number / 16;
		assert_true(refused.number < STEPS_MAX);
		run_refused(session, refusal, &refused);
		if (refused.count >= refused.number
		    && (refused.result != -refusal->code || refused.error.code != refusal->code
			|| !strstr(refused.error.text, refusal->words)))
			fail_msg("%s, %s %d: %d: %s", operation->name, refusal->words, refused.number, refused.result,
				 refused.error.text);
	} while (refused.count >= refused.number);
	if (refused.result != 0 || refused.number == 1)
		fail_msg("%s: %d: %s", operation->name, refused.result, refused.error.text);
}

/* On a connection of the test's own: no thread has to be waited for, thousands of times. */
static void what_the_engine_refuses_reaches_the_caller_with_its_words(void **state)
{
	struct db_fixture *fixture = *state;
	struct database database = { .path = fixture->path, .clock = fixture->clock };
	struct db_session *session = NULL;

	db_fixture_write(fixture, db_operations_fill, NULL);
	OK(session_open(&database, true, &session, &fixture->error));
	for (size_t i = 0; i < db_operation_count; i++)
		for (size_t j = 0; j < ARRAY_LENGTH(refusals); j++)
			refuse_in_turn(session, &db_operations[i], &refusals[j]);
	session_close(session);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(watchers_learn_of_the_rows_that_a_write_changed_and_of_no_other),
		TEST(write_changes_the_rows_that_it_is_for_and_no_other),
		TEST(what_the_engine_refuses_reaches_the_caller_with_its_words),
	};

	return cmocka_run_group_tests_name("db_operations", tests, NULL, NULL);
}
