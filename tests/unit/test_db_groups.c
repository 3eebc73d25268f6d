/* Groups of writes of which something goes wrong in the middle: whatever becomes of the others, none is told of success that is not
 * on disk, and what was refused is not there. */
#include "base/cleanup.h"
#include "base/metrics.h"
#include "base/text.h"
#include "db/session.h"
#include "db/statement.h"
#include "tests/unit/db_fixture.h"
#include "tests/unit/write_group.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GROUP 6

static const char *const names[GROUP] = { "zero", "one", "two", "three", "four", "five" };

/* A write at the gate, then a group of which one member does something to the transaction. */
struct group {
	struct submission submissions[GROUP];
	int completions;
	struct write_gate gate;
	bool is_told[GROUP]; /* watchers were, of its row */
	struct metrics *metrics;
	int64_t commits, writes; /* before the group */
};

static void note_row(void *context, enum db_table table, int64_t id)
{
	struct group *group = context;

	if (table == DB_TABLE_JOBS)
		group->is_told[id] = true;
}

static void group_begin(struct group *group, struct db_fixture *fixture)
{
	*group = (struct group){ .metrics = metrics_create() };
	assert_non_null(group->metrics);
	OK(db_measure(fixture->database, group->metrics, &fixture->error));
	OK(db_watch(fixture->database, note_row, group, &fixture->error));
	write_gate_close(&group->gate, fixture);
	for (int i = 0; i < GROUP; i++)
		group->submissions[i] =
			(struct submission){ .request_id = names[i], .row_id = i, .completions = &group->completions };
}

static void group_run(struct group *group, struct db_fixture *fixture)
{
	for (int i = 0; i < GROUP; i++)
		submission_submit(fixture, &group->submissions[i]);
	write_gate_open(&group->gate);
	/* The first one may share the group's commit, and its fate; watchers run after the completions. */
	(void)db_write(fixture->database, write_group_nothing, NULL, &fixture->error);
	write_barrier(fixture);
	write_gate_destroy(&group->gate);
}

static void group_end(struct group *group, struct db_fixture *fixture)
{
	db_fixture_reopen(fixture); /* without the metrics, and by what is on disk */
	metrics_destroy(group->metrics);
}

static void check_counted(const struct group *group, const char *line)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	metrics_render(group->metrics, &text);
	if (!strstr(text.data, line))
		fail_msg("metrics do not have: %s", line);
}

/* The members up to `last_lost` were refused with the code, but for those that refused themselves. */
static void check_members(const struct group *group, struct db_fixture *fixture, int last_lost, int code)
{
	for (int i = 0; i < GROUP; i++) {
		const struct submission *submission = &group->submissions[i];
		bool is_lost = i <= last_lost || submission->fail_with;
		int wanted = !is_lost ? 0 : submission->fail_with ? submission->fail_with : code;

		if (submission->result != -wanted || submission->code != wanted || submission->order != i + 1)
			fail_msg("%s: %d (%d: %s), completed as %d", names[i], submission->result, submission->code,
				 submission->words, submission->order);
		if (is_lost && !*submission->words)
			fail_msg("%s was refused without a word", names[i]);
		if (write_group_has(fixture, names[i]) == is_lost)
			fail_msg("%s is %s", names[i], is_lost ? "there" : "not there");
		if (group->is_told[i] == is_lost)
			fail_msg("watchers were %s of %s", is_lost ? "told" : "not told", names[i]);
	}
}

static int erase(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_erase_all(session, error);
}

/* One member loses the transaction: those before share its fate, those behind are committed. */
static void lose_in_the_midst(struct db_fixture *fixture, db_write_fn lose, int code, const char *words)
{
	static const int places[] = { 0, 3, GROUP - 1 };

	for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
		struct group group;
		int64_t commits, writes;
		int place = places[i];

		db_fixture_reopen(fixture);
		group_begin(&group, fixture);
		db_statistics(fixture->database, &group.commits, &group.writes);
		group.submissions[place].then = lose;
		if (place > 1)
			group.submissions[1].fail_with = EBUSY;
		group_run(&group, fixture);

		check_members(&group, fixture, place, code);
		assert_non_null(strstr(group.submissions[place].words, words));
		if (place > 1)
			assert_string_equal(group.submissions[1].words, "one does not want to");
		if (place > 0)
			assert_string_equal(group.submissions[0].words, group.submissions[place].words);
		db_statistics(fixture->database, &commits, &writes);
		/* The gate's, the barriers', and those behind. */
		assert_int_equal(writes - group.writes, 3 + GROUP - 1 - place);
		check_counted(&group, "\nmigrationd_database_commits_total{result=\"failed\"} 1\n");
		group_end(&group, fixture);
		check_members(&group, fixture, place, code);
		db_fixture_write(fixture, erase, NULL);
	}
}

static int conflict_that_rolls_back(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return statement_execute(session, "INSERT OR ROLLBACK INTO schema_version (version) VALUES (NULL)", error);
}

static void group_whose_transaction_a_conflict_rolls_back_is_told_so(void **state)
{
	lose_in_the_midst(*state, conflict_that_rolls_back, EINVAL, "NOT NULL constraint failed");
}

/* As a disk does: the file cannot grow in this write, and can in the next. */
static int full_disk(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	sqlite3_exec(session->connection, "PRAGMA max_page_count = 1", NULL, NULL, NULL);
	int result =
		statement_execute(session,
				  "INSERT INTO instance_actions (action, server_uuid, request_id, user_id, project_id,"
				  " start_us, finish_us, updated_us, message)"
				  " VALUES ('migrate', 'server', 'big', '', '', 1, 0, 1, hex(zeroblob(1000000)))",
				  error);
	sqlite3_exec(session->connection, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL);
	return result;
}

static void group_whose_transaction_is_lost_to_a_full_disk_is_told_so(void **state)
{
	lose_in_the_midst(*state, full_disk, ENOSPC, "make room");
}

static int stop_at_once(void *context)
{
	(void)context;
	return 1;
}

static int interrupted(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	sqlite3_progress_handler(session->connection, 1, stop_at_once, NULL);
	int result = statement_execute(session, "UPDATE instance_actions SET message = 'changed'", error);
	sqlite3_progress_handler(session->connection, 0, NULL, NULL);
	return result;
}

static void group_whose_transaction_is_lost_to_an_interrupt_is_told_so(void **state)
{
	lose_in_the_midst(*state, interrupted, EIO, "interrupted");
}

static int release_savepoint(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return statement_execute(session, "RELEASE one_write", error);
}

static void group_of_which_a_savepoint_is_gone_is_told_so(void **state)
{
	lose_in_the_midst(*state, release_savepoint, EIO, "no such savepoint");
}

/* A write that takes its error for nothing, and writes on. */
static int loss_that_is_not_heeded(struct db_session *session, void *context, struct error *error)
{
	struct error ignored = { 0 };

	(void)error;
	if (conflict_that_rolls_back(session, context, &ignored) == 0)
		return -EIO;
	(void)write_group_insert(session, "written on", &ignored);
	(void)statement_execute(
		session,
		"INSERT INTO instance_actions (action, server_uuid, request_id, user_id, project_id,"
		" start_us, finish_us, updated_us) VALUES ('migrate', 'server', 'executed on', '', '', 1, 0, 1)",
		&ignored);
	return 0;
}

static void write_that_does_not_heed_the_loss_of_its_transaction_is_refused_with_all_of_it(void **state)
{
	lose_in_the_midst(*state, loss_that_is_not_heeded, EIO, "the transaction was lost");
}

static void nothing_is_written_behind_a_transaction_that_was_lost(void **state)
{
	struct db_fixture *fixture = *state;

	assert_int_equal(db_write(fixture->database, loss_that_is_not_heeded, fixture, &fixture->error), -EIO);
	assert_non_null(strstr(fixture->error.text, fixture->path));
	for (int round = 0; round < 2; round++) {
		assert_false(write_group_has(fixture, "written on"));
		assert_false(write_group_has(fixture, "executed on"));
		db_fixture_reopen(fixture);
	}
}

static int write_dangling_claim(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return statement_execute(session,
				 "PRAGMA defer_foreign_keys = ON; INSERT INTO claims"
				 " (host_id, server_uuid, migration_id, vcpus, memory_mb, disk_gb)"
				 " VALUES (999, 'server', 999, 1, 1, 1)",
				 error);
}

/* What only the commit finds: a reference that leads nowhere at its end. */
static void group_whose_commit_fails_is_told_so_and_leaves_nothing_to_the_next(void **state)
{
	struct db_fixture *fixture = *state;
	struct group group;

	group_begin(&group, fixture);
	group.submissions[2].then = write_dangling_claim;
	group.submissions[4].fail_with = EBUSY;
	group_run(&group, fixture);
	check_members(&group, fixture, GROUP - 1, EINVAL);
	assert_non_null(strstr(group.submissions[5].words, "the commit failed and nothing of it is kept"));
	assert_string_equal(group.submissions[4].words, "four does not want to");
	check_counted(&group, "\nmigrationd_database_commits_total{result=\"failed\"} 1\n");
	group_end(&group, fixture);
	check_members(&group, fixture, GROUP - 1, EINVAL);
	assert_true(write_group_has(fixture, "gate"));
}

static int be_impatient(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	(void)error;
	sqlite3_busy_timeout(session->connection, 20);
	return 0;
}

static void group_that_cannot_begin_is_told_so(void **state)
{
	struct db_fixture *fixture = *state;
	sqlite3 *other = NULL;
	struct submission submissions[3];
	int completions = 0;
	struct error error = { 0 };
	struct group group = { .metrics = metrics_create() };

	assert_non_null(group.metrics);
	OK(db_measure(fixture->database, group.metrics, &fixture->error));
	db_fixture_write(fixture, be_impatient, NULL);
	assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	for (int i = 0; i < 3; i++) {
		submissions[i] = (struct submission){ .request_id = names[i], .completions = &completions };
		submission_submit(fixture, &submissions[i]);
	}
	assert_int_equal(db_write(fixture->database, write_group_nothing, NULL, &error), -EAGAIN);
	sqlite3_close(other);
	write_barrier(fixture);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(submissions[i].result, -EAGAIN);
		assert_int_equal(submissions[i].code, EAGAIN);
		assert_non_null(strstr(submissions[i].words, "another process holds it for long"));
		assert_false(write_group_has(fixture, names[i]));
	}
	/* The three and the one that was waited for. */
	check_counted(&group, "\nmigrationd_database_commits_total{result=\"failed\"} 4\n");
	submission_submit(fixture, &submissions[0]);
	write_barrier(fixture);
	assert_int_equal(submissions[0].result, 0);
	assert_true(write_group_has(fixture, names[0]));
	group_end(&group, fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(group_whose_transaction_a_conflict_rolls_back_is_told_so),
		TEST(group_whose_transaction_is_lost_to_a_full_disk_is_told_so),
		TEST(group_whose_transaction_is_lost_to_an_interrupt_is_told_so),
		TEST(group_of_which_a_savepoint_is_gone_is_told_so),
		TEST(write_that_does_not_heed_the_loss_of_its_transaction_is_refused_with_all_of_it),
		TEST(nothing_is_written_behind_a_transaction_that_was_lost),
		TEST(group_whose_commit_fails_is_told_so_and_leaves_nothing_to_the_next),
		TEST(group_that_cannot_begin_is_told_so),
	};

	return cmocka_run_group_tests_name("db_groups", tests, NULL, NULL);
}
