/* The writer: shared commits, savepoints, order, and what survives a kill, a full disk and a failed commit. */
#include "base/cleanup.h"
#include "base/text.h"
#include "db/statement.h"
#include "tests/unit/db_fixture.h"
#include "tests/unit/write_group.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void writes_that_come_during_a_commit_share_the_next(void **state)
{
	struct db_fixture *fixture = *state;
	struct submission submissions[40];
	int completions = 0;
	struct write_gate gate;
	int64_t commits, writes, commits_before, writes_before;

	db_statistics(fixture->database, &commits_before, &writes_before);
	write_gate_close(&gate, fixture);
	for (int i = 0; i < 40; i++) {
		submissions[i] = (struct submission){ .request_id = "shared", .completions = &completions };
		submission_submit(fixture, &submissions[i]);
	}
	write_gate_open(&gate);
	write_barrier(fixture);

	db_statistics(fixture->database, &commits, &writes);
	assert_in_range(commits - commits_before, 2, 3); /* the gate's, the shared one; the barrier may come alone */
	assert_int_equal(writes - writes_before, 42);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(submissions[i].result, 0);
		assert_int_equal(submissions[i].order, i + 1);
	}
	write_gate_destroy(&gate);
}

/* Whoever comes first does not wait for all that come behind. */
static void commit_takes_a_bounded_number_of_writes(void **state)
{
	enum { MANY = 1100 };
	static struct submission submissions[MANY];
	struct db_fixture *fixture = *state;
	int completions = 0;
	struct write_gate gate;
	int64_t commits, writes;

	write_gate_close(&gate, fixture);
	for (int i = 0; i < MANY; i++) {
		submissions[i] = (struct submission){ .request_id = "many", .completions = &completions };
		submission_submit(fixture, &submissions[i]);
	}
	write_gate_open(&gate);
	write_barrier(fixture);
	db_statistics(fixture->database, &commits, &writes);
	assert_int_equal(completions, MANY);
	assert_int_equal(writes, MANY + 2);
	assert_in_range(commits, 4, 5); /* the gate's, and three of at most 512; the barrier may come alone */
	write_gate_destroy(&gate);
}

static void failing_write_is_undone_alone(void **state)
{
	struct db_fixture *fixture = *state;
	int completions = 0;
	struct submission submissions[3] = {
		{ .request_id = "before", .completions = &completions },
		{ .request_id = "failing", .completions = &completions, .fail_with = EBUSY },
		{ .request_id = "after", .completions = &completions },
	};
	struct write_gate gate;

	write_gate_close(&gate, fixture);
	for (int i = 0; i < 3; i++)
		submission_submit(fixture, &submissions[i]);
	write_gate_open(&gate);
	write_barrier(fixture);

	assert_int_equal(submissions[0].result, 0);
	assert_int_equal(submissions[1].result, -EBUSY);
	assert_string_equal(submissions[1].words, "failing does not want to");
	assert_int_equal(submissions[2].result, 0);
	assert_true(write_group_has(fixture, "before"));
	assert_false(write_group_has(fixture, "failing"));
	assert_true(write_group_has(fixture, "after"));
	write_gate_destroy(&gate);
}

struct watched {
	struct {
		enum db_table table;
		int64_t id;
	} rows[32];
	size_t count;
	bool *is_completed; /* of the write that changed them */
	bool came_before_completion;
};

static void note_row(void *context, enum db_table table, int64_t id)
{
	struct watched *watched = context;

	if (watched->is_completed && !*watched->is_completed)
		watched->came_before_completion = true;
	if (watched->count < 32) {
		watched->rows[watched->count].table = table;
		watched->rows[watched->count++].id = id;
	}
}

static int change_rows_twice(struct db_session *session, void *context, struct error *error)
{
	struct db_migration migration = { .status = "accepted", .server_uuid = "server" };
	struct db_job job = { .kind = "live", .server_uuid = "server" };
	int result = db_migration_insert(session, &migration, error);
	(void)context;

	job.migration_id = migration.id;
	uuid_make(job.server_uuid);
	if (result == 0)
		result = db_job_insert(session, &job, error);
	if (result == 0)
		result = db_migration_set_status(session, migration.id, "queued", error);
	if (result == 0)
		result = db_job_request(session, job.id, true, false, error);
	return result;
}

static void note_flag(void *context, int result, const struct error *error)
{
	(void)result;
	(void)error;
	*(bool *)context = true;
}

static int change_rows_and_fail(struct db_session *session, void *context, struct error *error)
{
	int result = change_rows_twice(session, context, error);

	return result < 0 ? result : -EBUSY;
}

static int change_rows_with_flag(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return change_rows_twice(session, NULL, error);
}

static void watchers_learn_of_each_row_once_after_the_completion(void **state)
{
	struct db_fixture *fixture = *state;
	bool is_completed = false;
	struct watched watched = { .is_completed = &is_completed };

	OK(db_watch(fixture->database, note_row, &watched, &fixture->error));
	db_submit(fixture->database, change_rows_with_flag, note_flag, &is_completed);
	write_barrier(fixture);
	write_barrier(fixture); /* the first one may have shared the commit: watchers run after its completion */

	assert_false(watched.came_before_completion);
	assert_int_equal(watched.count, 2);
	assert_int_equal(watched.rows[0].table, DB_TABLE_MIGRATIONS);
	assert_int_equal(watched.rows[0].id, 1);
	assert_int_equal(watched.rows[1].table, DB_TABLE_JOBS);
	assert_int_equal(watched.rows[1].id, 1);

	assert_int_equal(db_write(fixture->database, change_rows_and_fail, NULL, &fixture->error), -EBUSY);
	assert_non_null(strstr(fixture->error.text, "a write to the database failed"));
	write_barrier(fixture);
	assert_int_equal(watched.count, 2);
}

static void host_counts_as_changed_when_its_usage_changes(void **state)
{
	struct db_fixture *fixture = *state;
	struct watched watched = { 0 };
	int64_t one = db_fixture_host(fixture, "compute-1");
	int64_t two = db_fixture_host(fixture, "compute-2");

	write_barrier(fixture);
	OK(db_watch(fixture->database, note_row, &watched, &fixture->error));
	db_fixture_server(fixture, "guest", one, NULL);
	db_fixture_migration(fixture, "guest", "compute-1", "compute-2");
	write_barrier(fixture);

	assert_int_equal(watched.count, 5);
	assert_int_equal(watched.rows[0].table, DB_TABLE_SERVERS);
	assert_int_equal(watched.rows[1].table, DB_TABLE_HOSTS);
	assert_int_equal(watched.rows[1].id, one);
	assert_int_equal(watched.rows[2].table, DB_TABLE_MIGRATIONS);
	assert_int_equal(watched.rows[3].id, one);
	assert_int_equal(watched.rows[4].id, two);
}

static int write_named(struct db_session *session, void *context, struct error *error)
{
	return write_group_insert(session, context, error);
}

/* Also that of one that was read with before, and is kept ready. */
static void snapshot_of_a_reader_stands_still(void **state)
{
	static const char *const names[] = { "new", "newer", "newest" };
	struct db_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		CLEANUP_DB_ACTION struct db_action action = { 0 };
		CLEANUP_DB_READ struct db_session *before = db_fixture_read(fixture);

		db_fixture_write(fixture, write_named, (void *)names[i]);
		assert_int_equal(db_action_by_request(before, "server", names[i], &action, NULL), -ENOENT);
		assert_true(write_group_has(fixture, names[i]));
		assert_int_equal(db_action_by_request(before, "server", names[i], &action, NULL), -ENOENT);
	}
}

static void more_readers_than_are_kept_ready_all_read(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_session *sessions[40];

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 40; i++)
			sessions[i] = db_fixture_read(fixture);
		for (size_t i = 0; i < 40; i++)
			db_read_end(sessions[i]);
	}
}

static int wait_for_a_write(struct db_session *session, void *context, struct error *error)
{
	struct db_fixture *fixture = context;
	(void)session;

	return db_write(fixture->database, write_group_nothing, NULL, error);
}

static void write_that_waits_on_the_writers_thread_is_refused(void **state)
{
	struct db_fixture *fixture = *state;

	assert_int_equal(db_write(fixture->database, wait_for_a_write, fixture, &fixture->error), -EDEADLK);
}

static void closing_ends_what_was_submitted(void **state)
{
	struct db_fixture *fixture = *state;
	struct submission submissions[20];
	int completions = 0;

	for (int i = 0; i < 20; i++) {
		submissions[i] = (struct submission){ .request_id = "late", .completions = &completions };
		submission_submit(fixture, &submissions[i]);
	}
	db_fixture_reopen(fixture);
	assert_int_equal(completions, 20);
	assert_true(write_group_has(fixture, "late"));
}

/* In the child: writes without end, and tells each acknowledged number through the pipe. */
struct acknowledging {
	struct database *database;
	int pipe;
	int next;
};

static int write_number(struct db_session *session, void *context, struct error *error)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", *(int *)context);
	return write_group_insert(session, text, error);
}

static void tell_number(void *context, int result, const struct error *error)
{
	int *number_and_pipe = context;
	(void)error;

	if (result == 0 && write(number_and_pipe[1], &number_and_pipe[0], sizeof(int)) < 0)
		_exit(2);
	free(number_and_pipe);
}

static void write_without_end(const char *path, int pipe)
{
	struct database *database = NULL;
	struct error error = { 0 };

	if (db_open(path, clock_system(), NULL, &database, &error) < 0)
		_exit(3);
	for (int number = 0;; number++) {
		int *context = calloc(2, sizeof(int));

		if (!context)
			_exit(4);
		context[0] = number;
		context[1] = pipe;
		db_submit(database, write_number, tell_number, context);
		if (number % 8 == 7)
			usleep(500);
	}
}

static void killed_process_loses_nothing_that_was_acknowledged(void **state)
{
	struct db_fixture *fixture = *state;
	int ends[2];
	int acknowledged[2000];
	size_t count = 0;
	int number;

	db_close(fixture->database); /* no thread may run when the process is doubled */
	fixture->database = NULL;
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(ends[0]);
		write_without_end(fixture->path, ends[1]);
	}
	close(ends[1]);
	while (count < 300 && read(ends[0], &number, sizeof(number)) == (ssize_t)sizeof(number))
		acknowledged[count++] = number;
	kill(child, SIGKILL);
	while (count < 2000 && read(ends[0], &number, sizeof(number)) == (ssize_t)sizeof(number))
		acknowledged[count++] = number;
	close(ends[0]);
	int status = 0;
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_true(count >= 300);

	OK(db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error));
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	for (size_t i = 0; i < count; i++) {
		CLEANUP_DB_ACTION struct db_action action = { 0 };
		char text[16];

		snprintf(text, sizeof(text), "%d", acknowledged[i]);
		OK(db_action_by_request(session, "server", text, &action, &fixture->error));
	}
}

static int limit_pages(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, (const char *)context, NULL, &statement, error);

	return result < 0 ? result : statement_run(statement, error);
}

static int insert_big_action(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_ACTION struct db_action action = { .action = "migrate", .server_uuid = "server" };

	TEXT_COPY(action.request_id, (const char *)context);
	action.message = malloc(16385);
	if (!action.message)
		return -ENOMEM;
	memset(action.message, 'x', 16384);
	action.message[16384] = '\0';
	return db_action_insert(session, &action, error);
}

/* Writes until the database refuses; returns how many were acknowledged. */
static int write_until_refused(struct db_fixture *fixture, int most)
{
	for (int i = 0; i < most; i++) {
		char name[16];

		snprintf(name, sizeof(name), "big-%d", i);
		int result = db_write(fixture->database, insert_big_action, name, &fixture->error);
		if (result < 0) {
			assert_int_equal(result, -ENOSPC);
			assert_int_equal(fixture->error.code, ENOSPC);
			assert_non_null(strstr(fixture->error.text, fixture->path));
			assert_non_null(strstr(fixture->error.text, "make room"));
			return i;
		}
	}
	fail_msg("the database never became full");
	return most;
}

static void check_big_actions(struct db_fixture *fixture, int count)
{
	char name[16];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "big-%d", i);
		assert_true(write_group_has(fixture, name));
	}
	snprintf(name, sizeof(name), "big-%d", count);
	assert_false(write_group_has(fixture, name));
}

static void full_database_refuses_and_keeps_what_it_acknowledged(void **state)
{
	struct db_fixture *fixture = *state;

	db_fixture_write(fixture, limit_pages, (void *)"PRAGMA max_page_count = 120");
	int count = write_until_refused(fixture, 200);
	assert_true(count > 3);
	check_big_actions(fixture, count);
	db_fixture_write(fixture, limit_pages, (void *)"PRAGMA max_page_count = 1000000");
	db_fixture_write(fixture, insert_big_action, (void *)"room again");
	db_fixture_reopen(fixture);
	check_big_actions(fixture, count);
	assert_true(write_group_has(fixture, "room again"));
}

static void full_disk_at_the_commit_fails_its_whole_group(void **state)
{
	struct db_fixture *fixture = *state;
	struct rlimit before;
	struct rlimit small;
	int completions = 0;
	struct submission submissions[2] = {
		{ .request_id = "first", .completions = &completions },
		{ .request_id = "second", .completions = &completions },
	};
	struct write_gate gate;

	/* A file that may not grow is how a process meets a full disk without one. */
	db_fixture_write(fixture, write_named, (void *)"kept");
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 4096;

	write_gate_close(&gate, fixture);
	for (int i = 0; i < 2; i++)
		submission_submit(fixture, &submissions[i]);
	setrlimit(RLIMIT_FSIZE, &small);
	write_gate_open(&gate);
	int result = db_write(fixture->database, write_named, (void *)"third", &fixture->error);
	setrlimit(RLIMIT_FSIZE, &before);

	assert_int_equal(result, -ENOSPC);
	assert_non_null(strstr(fixture->error.text, "the commit failed and nothing of it is kept"));
	assert_int_equal(submissions[0].result, -ENOSPC);
	assert_int_equal(submissions[1].result, -ENOSPC);
	write_barrier(fixture);
	assert_false(write_group_has(fixture, "gate"));
	assert_false(write_group_has(fixture, "first"));
	assert_false(write_group_has(fixture, "third"));
	db_fixture_write(fixture, write_named, (void *)"room again");
	db_fixture_reopen(fixture);
	assert_true(write_group_has(fixture, "kept"));
	assert_true(write_group_has(fixture, "room again"));
	assert_false(write_group_has(fixture, "second"));
	write_gate_destroy(&gate);
}

struct hammer {
	struct db_fixture *fixture;
	int failures;
};

static void *write_and_read(void *argument)
{
	struct hammer *hammer = argument;
	struct database *database = hammer->fixture->database;

	for (int i = 0; i < 30; i++) {
		struct error error = { 0 };
		struct db_session *session = NULL;
		CLEANUP_DB_ACTION struct db_action action = { 0 };

		hammer->failures += db_write(database, write_named, (void *)"hammer", &error) < 0;
		if (db_read_begin(database, &session, &error) < 0
		    || db_action_by_request(session, "server", "hammer", &action, &error) < 0)
			hammer->failures++;
		db_read_end(session);
	}
	return NULL;
}

static void many_threads_write_and_read_at_once(void **state)
{
	struct db_fixture *fixture = *state;
	struct hammer hammers[12];
	pthread_t threads[12];
	int64_t commits, writes;

	for (size_t i = 0; i < 12; i++) {
		hammers[i] = (struct hammer){ .fixture = fixture };
		assert_int_equal(pthread_create(&threads[i], NULL, write_and_read, &hammers[i]), 0);
	}
	for (size_t i = 0; i < 12; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(hammers[i].failures, 0);
	}
	db_statistics(fixture->database, &commits, &writes);
	assert_int_equal(writes, 12 * 30);
	assert_true(commits < writes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(writes_that_come_during_a_commit_share_the_next),
		TEST(commit_takes_a_bounded_number_of_writes),
		TEST(failing_write_is_undone_alone),
		TEST(watchers_learn_of_each_row_once_after_the_completion),
		TEST(host_counts_as_changed_when_its_usage_changes),
		TEST(snapshot_of_a_reader_stands_still),
		TEST(more_readers_than_are_kept_ready_all_read),
		TEST(write_that_waits_on_the_writers_thread_is_refused),
		TEST(closing_ends_what_was_submitted),
		TEST(killed_process_loses_nothing_that_was_acknowledged),
		TEST(full_database_refuses_and_keeps_what_it_acknowledged),
		TEST(full_disk_at_the_commit_fails_its_whole_group),
		TEST(many_threads_write_and_read_at_once),
	};

	return cmocka_run_group_tests_name("db_writer", tests, NULL, NULL);
}
