/* What holds for every kind of write and read: watchers learn of the rows that a write changed and of no other; and what the engine
 * refuses at any step of it reaches the caller, with its words, and nothing of the write is kept. */
#include "base/text.h"
#include "db/session.h"
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

/* An operation of which the engine refuses one step. */
struct refused {
	const struct db_operation *operation;
	int step; /* that is refused, from 1 on */
	int steps; /* that were reached */
	int result;
	struct error error;
};

static int refuse_step(void *context)
{
	struct refused *refused = context;

	return ++refused->steps == refused->step;
}

/* In a transaction of which nothing is kept, so that the next one finds the same fleet. */
static void run_refused(struct db_session *session, struct refused *refused)
{
	assert_int_equal(sqlite3_exec(session->connection, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	session->is_in_write = true;
	refused->error = (struct error){ 0 };
	refused->steps = 0;
	sqlite3_progress_handler(session->connection, 1, refuse_step, refused);
	refused->result = refused->operation->run(session, NULL, &refused->error);
	sqlite3_progress_handler(session->connection, 0, NULL, NULL);
	session->is_in_write = false;
	session->change_count = 0;
	if (!sqlite3_get_autocommit(session->connection))
		assert_int_equal(sqlite3_exec(session->connection, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
}

/* The first steps each, of the others some: a statement has a dozen of them. Until a run has none left to refuse. */
static void refuse_each_step(struct db_session *session, const struct db_operation *operation)
{
	struct refused refused = { .operation = operation };

	do {
		refused.step += 1 + refused.step / 16;
		assert_true(refused.step < STEPS_MAX);
		run_refused(session, &refused);
		if (refused.steps >= refused.step
		    && (refused.result != -EIO || refused.error.code != EIO
			|| !strstr(refused.error.text, "interrupted")))
			fail_msg("%s, step %d: %d: %s", operation->name, refused.step, refused.result,
				 refused.error.text);
	} while (refused.steps >= refused.step);
	if (refused.result != 0 || refused.step == 1)
		fail_msg("%s: %d: %s", operation->name, refused.result, refused.error.text);
}

/* On a connection of the test's own: no thread has to be waited for, thousands of times. */
static void what_the_engine_refuses_at_any_step_reaches_the_caller(void **state)
{
	struct db_fixture *fixture = *state;
	struct database database = { .path = fixture->path, .clock = fixture->clock };
	struct db_session *session = NULL;

	db_fixture_write(fixture, db_operations_fill, NULL);
	OK(session_open(&database, true, &session, &fixture->error));
	for (size_t i = 0; i < db_operation_count; i++)
		refuse_each_step(session, &db_operations[i]);
	session_close(session);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(watchers_learn_of_the_rows_that_a_write_changed_and_of_no_other),
		TEST(what_the_engine_refuses_at_any_step_reaches_the_caller),
	};

	return cmocka_run_group_tests_name("db_operations", tests, NULL, NULL);
}
