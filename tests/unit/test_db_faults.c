/* Every write and every sync of the database's files is made to fail in turn: what was acknowledged stays, what was refused
 * is not there, and the database goes on afterwards. */
#include "base/cleanup.h"
#include "base/text.h"
#include "db/session.h"
#include "db/statement.h"
#include "tests/unit/db_fixture.h"
#include "tests/unit/file_faults.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

/* Two rows in two tables: both are there or none. */
static int write_pair(struct db_session *session, void *context, struct error *error)
{
	struct db_action action = { .action = "migrate", .server_uuid = "server" };
	struct db_migration migration = { .status = "accepted", .type = "migration" };

	TEXT_COPY(action.request_id, (const char *)context);
	TEXT_COPY(migration.server_uuid, (const char *)context);
	int result = db_action_insert(session, &action, error);
	return result < 0 ? result : db_migration_insert(session, &migration, error);
}

#define WRITES 4

static void check_pair(struct db_fixture *fixture, const char *name, bool was_acknowledged)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_ACTION struct db_action action = { 0 };
	CLEANUP_DB_MIGRATIONS struct db_migration_list list = { 0 };
	struct db_migration_filter filter = { .server_uuid = name };
	bool is_there = db_action_by_request(session, "server", name, &action, NULL) == 0;

	OK(db_migration_find(session, &filter, &list, &fixture->error));
	assert_int_equal(list.count, is_there ? 1 : 0);
	assert_int_equal(is_there, was_acknowledged);
}

/* Returns whether the failure was reached at all. */
static bool write_with_failure_at(struct db_fixture *fixture, struct file_faults *faults, int place, bool is_lasting,
				  int engine_result, int expected)
{
	bool was_acknowledged[WRITES];
	char names[WRITES][32];

	file_faults_set(faults, place, is_lasting, engine_result);
	for (int i = 0; i < WRITES; i++) {
		snprintf(names[i], sizeof(names[i]), "%d-%d-%d", place, is_lasting, i);
		int result = db_write(fixture->database, write_pair, names[i], &fixture->error);
		if (result < 0 && result != expected && result != -EIO)
			fail_msg("place %d: %d: %s", place, result, fixture->error.text);
		was_acknowledged[i] = result == 0;
	}
	int failures = file_faults_count(faults);
	file_faults_set(faults, 0, false, SQLITE_OK);

	for (int i = 0; i < WRITES; i++)
		check_pair(fixture, names[i], was_acknowledged[i]);
	snprintf(names[0], sizeof(names[0]), "%d-%d-after", place, is_lasting);
	db_fixture_write(fixture, write_pair, names[0]);
	db_fixture_reopen(fixture);
	for (int i = 1; i < WRITES; i++)
		check_pair(fixture, names[i], was_acknowledged[i]);
	check_pair(fixture, names[0], true);
	return failures > 0;
}

static void each_place_in_turn(void **state, bool is_lasting, int engine_result, int expected)
{
	struct db_fixture *fixture = *state;
	struct file_faults *faults = file_faults_install();
	int place = 1;

	db_fixture_reopen(fixture);
	while (place < 1000 && write_with_failure_at(fixture, faults, place, is_lasting, engine_result, expected))
		place++;
	assert_in_range(place, 20, 999);
	db_close(fixture->database);
	fixture->database = NULL;
	file_faults_remove(faults);
}

static void write_that_fails_once_loses_nothing_acknowledged(void **state)
{
	each_place_in_turn(state, false, SQLITE_IOERR_WRITE, -EIO);
}

static void disk_that_becomes_full_loses_nothing_acknowledged(void **state)
{
	each_place_in_turn(state, true, SQLITE_FULL, -ENOSPC);
}

/* Whoever gets -ENOENT takes a server for deleted. */
static void file_that_was_taken_away_is_no_missing_row(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_READ struct db_session *session = NULL;

	db_fixture_reopen(fixture); /* no reader is kept ready */
	assert_int_equal(unlink(fixture->path), 0);
	assert_int_equal(db_read_begin(fixture->database, &session, &fixture->error), -EIO);
	assert_int_equal(fixture->error.code, EIO);
	assert_non_null(strstr(fixture->error.text, fixture->path));
	assert_non_null(strstr(fixture->error.text, "see that its directory exists"));
}

/* What callers act upon: a full disk answers otherwise than a broken one. The number is asked for where the engine has one of its own,
 * and not where it is left from an earlier failure. */
static void reason_of_the_system_is_told_where_there_is_one_to_act_upon(void **state)
{
	static const struct {
		int result, system_errno, code;
	} cases[] = {
		{ SQLITE_IOERR_FSYNC, ENOSPC, ENOSPC },   { SQLITE_IOERR_FSYNC, EDQUOT, ENOSPC },
		{ SQLITE_IOERR_TRUNCATE, EFBIG, ENOSPC }, { SQLITE_IOERR_READ, EROFS, EROFS },
		{ SQLITE_IOERR_SHMOPEN, EACCES, EACCES }, { SQLITE_IOERR_SHMOPEN, EPERM, EPERM },
		{ SQLITE_CANTOPEN, EMFILE, EMFILE },      { SQLITE_CANTOPEN, ENFILE, ENFILE },
		{ SQLITE_CANTOPEN, ENOENT, EIO },         { SQLITE_IOERR_READ, EIO, EIO },
		{ SQLITE_IOERR_READ, EBADF, EIO },        { SQLITE_CONSTRAINT_UNIQUE, EMFILE, EEXIST },
		{ SQLITE_BUSY_SNAPSHOT, ENOSPC, EAGAIN }, { SQLITE_CORRUPT_VTAB, ENOSPC, EIO },
	};
	struct db_fixture *fixture = *state;
	struct file_faults *faults = file_faults_install();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sqlite3 *connection = NULL;
		struct error error = { 0 };

		file_faults_set_errno(faults, cases[i].system_errno);
		assert_int_equal(sqlite3_open_v2(fixture->directory, &connection, SQLITE_OPEN_READWRITE, NULL),
				 SQLITE_CANTOPEN);
		assert_int_equal(sqlite3_system_errno(connection), cases[i].system_errno);
		int result = statement_translate(connection, fixture->path, cases[i].result, &error);
		bool has_advice = strstr(error.text, "; make room on its file system") != NULL;
		bool has_reason = strstr(error.text, strerror(cases[i].system_errno)) != NULL;

		if (result != -cases[i].code || error.code != cases[i].code || !strstr(error.text, fixture->path)
		    || has_advice != (cases[i].code == ENOSPC))
			fail_msg("case %zu: %d: %s", i, result, error.text);
		if (cases[i].code == cases[i].system_errno && cases[i].code != EIO)
			assert_true(has_reason);
		sqlite3_close(connection);
	}
	file_faults_remove(faults);
}

/* Other sessions go on, and the reader is there again once there are files to be had. */
static void reader_that_finds_no_file_left_is_told_so(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_session *session = NULL;
	struct rlimit before, none;

	db_fixture_reopen(fixture); /* no reader is kept ready */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int result = db_read_begin(fixture->database, &session, &fixture->error);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(result, -EMFILE);
	assert_true(text_starts_with(fixture->error.text, "beginning to read: "));
	assert_true(text_ends_with(fixture->error.text, ": Too many open files"));
	db_read_end(db_fixture_read(fixture));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(write_that_fails_once_loses_nothing_acknowledged),
		TEST(disk_that_becomes_full_loses_nothing_acknowledged),
		TEST(reason_of_the_system_is_told_where_there_is_one_to_act_upon),
		TEST(reader_that_finds_no_file_left_is_told_so),
		TEST(file_that_was_taken_away_is_no_missing_row),
	};

	return cmocka_run_group_tests_name("db_faults", tests, NULL, NULL);
}
