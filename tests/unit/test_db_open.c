/* A file that cannot be opened as a database, and why: each refusal names the file and what to do, and leaves nothing behind. */
#include "base/cleanup.h"
#include "base/text.h"
#include "db/statement.h"
#include "tests/unit/db_fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static size_t count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* Refused with these words around its path; nothing stays open. */
static void check_refused(struct db_fixture *fixture, const char *path, int code, const char *before,
			  const char *behind)
{
	CLEANUP_FREE char *words = text_format("%s%s%s", before, path, behind);
	struct database *database = NULL;
	size_t descriptors = count_descriptors();

	assert_int_equal(db_open(path, fixture->clock, NULL, &database, &fixture->error), -code);
	assert_null(database);
	assert_int_equal(fixture->error.code, code);
	assert_string_equal(fixture->error.text, words);
	assert_int_equal(count_descriptors(), descriptors);
}

static void path_that_leads_to_no_file_is_told(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_FREE char *in_a_file = text_format("%s/state.db", fixture->path);
	CLEANUP_FREE char *locked_by_a_directory = text_format("%s/other.db", fixture->directory);
	CLEANUP_FREE char *lock = text_format("%s.lock", locked_by_a_directory);
	char too_long[400];

	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	check_refused(fixture, in_a_file, ENOTDIR, "cannot look at the database ", ": Not a directory");
	check_refused(fixture, too_long, ENAMETOOLONG, "cannot look at the database ", ": File name too long");
	check_refused(fixture, fixture->directory, EINVAL, "database ", " is no file: name a file");
	assert_int_equal(mkdir(lock, 0700), 0);
	check_refused(fixture, locked_by_a_directory, EISDIR, "cannot create ",
		      ".lock (its directory must exist and be writable): Is a directory");
	assert_int_equal(rmdir(lock), 0);
}

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

/* A version below the first one would be taken for an empty file, or for one to be brought up from nothing. */
static void schema_version_that_is_none_is_told(void **state)
{
	static const char *const changes[] = {
		"UPDATE schema_version SET version = 0",
		"UPDATE schema_version SET version = -1",
		"UPDATE schema_version SET version = 2147483648",
		"UPDATE schema_version SET version = 4294967297",
		"DELETE FROM schema_version",
	};
	struct db_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
		db_fixture_write(fixture, run_sql, (void *)changes[i]);
		db_close(fixture->database);
		fixture->database = NULL;
		check_refused(fixture, fixture->path, EINVAL, "database ",
			      " has no valid schema version: restore a backup");
		assert_int_equal(unlink(fixture->path), 0);
		OK(db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error));
	}
}

static void file_that_another_daemon_has_is_told(void **state)
{
	struct db_fixture *fixture = *state;

	check_refused(fixture, fixture->path, EBUSY, "database ", " is in use by another daemon");
}

/* Opens as a user without rights, whom root can become only in a process of its own; its words go to the pipe. */
static void open_as_nobody(struct db_fixture *fixture, int pipe_end)
{
	struct database *database = NULL;
	struct error error = { 0 };

	if (geteuid() == 0 && setuid(65534) < 0)
		_exit(1);
	if (db_open(fixture->path, fixture->clock, NULL, &database, &error) == 0 || database)
		_exit(2);
	_exit(write(pipe_end, error.text, strlen(error.text) + 1) < 0);
}

static void check_refused_to_nobody(struct db_fixture *fixture, const char *before)
{
	CLEANUP_FREE char *words = text_format("%s%s", before, fixture->path);
	char text[ERROR_TEXT_SIZE] = "";
	int ends[2], status;

	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		open_as_nobody(fixture, ends[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	close(ends[0]);
	close(ends[1]);
	if (!text_starts_with(text, words) || !text_ends_with(text, ": Permission denied"))
		fail_msg("%s", text);
}

static void right_that_is_missing_is_told(void **state)
{
	struct db_fixture *fixture = *state;

	db_close(fixture->database);
	fixture->database = NULL;
	assert_int_equal(chmod(fixture->path, 0), 0);
	assert_int_equal(chmod(fixture->directory, 0755), 0);
	check_refused_to_nobody(fixture, "cannot read and write the database ");
	assert_int_equal(unlink(fixture->path), 0);
	assert_int_equal(chmod(fixture->directory, 0555), 0);
	check_refused_to_nobody(fixture, "cannot create the database ");
	assert_int_equal(chmod(fixture->directory, geteuid() == 0 ? 0700 : 0), 0);
	check_refused_to_nobody(fixture, "cannot look at the database ");
	assert_int_equal(chmod(fixture->directory, 0700), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(path_that_leads_to_no_file_is_told),
		TEST(schema_version_that_is_none_is_told),
		TEST(file_that_another_daemon_has_is_told),
		TEST(right_that_is_missing_is_told),
	};

	return cmocka_run_group_tests_name("db_open", tests, NULL, NULL);
}
