/* Opening: what is refused and with which words, and the way from an older schema to the newest. */
#include "base/cleanup.h"
#include "base/text.h"
#include "db/statement.h"
#include "db/upgrade.h"
#include "tests/unit/db_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int open_again(struct db_fixture *fixture)
{
	int result;

	db_close(fixture->database);
	fixture->database = NULL;
	result = db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error);
	if (result < 0)
		assert_null(fixture->database);
	return result;
}

static void write_file(const char *path, const char *content)
{
	CLEANUP_CLOSE int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, content, strlen(content)), strlen(content));
}

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

static void newer_schema_is_refused(void **state)
{
	struct db_fixture *fixture = *state;

	db_fixture_write(fixture, run_sql, (void *)"UPDATE schema_version SET version = 999");
	assert_int_equal(open_again(fixture), -ENOTSUP);
	assert_non_null(strstr(fixture->error.text, fixture->path));
	assert_non_null(strstr(fixture->error.text, "schema version 999"));
	assert_non_null(strstr(fixture->error.text, "start the newer program"));
}

static void reopened_database_keeps_its_rows(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t id = db_fixture_host(fixture, "compute-1");
	CLEANUP_DB_HOST struct db_host host = { 0 };

	OK(open_again(fixture));
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_host_by_id(session, id, &host, &fixture->error));
}

static void file_is_for_its_owner_alone(void **state)
{
	struct db_fixture *fixture = *state;
	struct stat status;

	assert_int_equal(stat(fixture->path, &status), 0);
	assert_int_equal(status.st_mode & 0077, 0);
}

static void other_programs_database_is_refused_and_left_alone(void **state)
{
	struct db_fixture *fixture = *state;
	char header_before[100];
	char header_after[100];

	db_fixture_write(fixture, run_sql, (void *)"DROP TABLE schema_version");
	db_close(fixture->database);
	fixture->database = NULL;
	for (int round = 0; round < 2; round++) {
		CLEANUP_CLOSE int descriptor = open(fixture->path, O_RDONLY);
		assert_int_equal(read(descriptor, round ? header_after : header_before, 100), 100);
		if (round == 0)
			assert_int_equal(open_again(fixture), -EINVAL);
	}
	assert_memory_equal(header_before, header_after, 100);
	assert_non_null(strstr(fixture->error.text, "belongs to another program"));
}

static void file_that_is_no_database_is_refused(void **state)
{
	struct db_fixture *fixture = *state;

	db_close(fixture->database);
	fixture->database = NULL;
	write_file(fixture->path,
		   "this is a letter to my aunt, and she would not like to see it changed; it is long enough "
		   "for a header of a hundred bytes\n");
	assert_int_equal(open_again(fixture), -EIO);
	assert_non_null(strstr(fixture->error.text, fixture->path));
	assert_non_null(strstr(fixture->error.text, "not a database"));
	assert_non_null(strstr(fixture->error.text, "restore a backup"));
}

static void damaged_pages_are_told(void **state)
{
	struct db_fixture *fixture = *state;
	char rubbish[4096];

	db_close(fixture->database);
	fixture->database = NULL;
	memset(rubbish, 0x5a, sizeof(rubbish));
	int descriptor = open(fixture->path, O_WRONLY);
	assert_int_equal(pwrite(descriptor, rubbish, sizeof(rubbish) - 100, 100), sizeof(rubbish) - 100);
	close(descriptor);
	assert_int_equal(open_again(fixture), -EIO);
	assert_non_null(strstr(fixture->error.text, "damaged"));
}

static void directory_that_is_missing_is_told(void **state)
{
	struct db_fixture *fixture = *state;
	struct database *database = NULL;

	assert_int_equal(
		db_open("/tmp/migrationd-no-such-directory/state.db", fixture->clock, NULL, &database, &fixture->error),
		-ENOENT);
	assert_null(database);
	assert_string_equal(fixture->error.text,
			    "cannot create the database /tmp/migrationd-no-such-directory/state.db (its directory "
			    "must exist and be writable): No such file or directory");
	assert_int_equal(db_open(fixture->directory, fixture->clock, NULL, &database, &fixture->error), -EINVAL);
}

static void file_without_permission_is_told(void **state)
{
	struct db_fixture *fixture = *state;

	db_close(fixture->database);
	fixture->database = NULL;
	chmod(fixture->path, 0000);
	if (geteuid() == 0) /* permissions do not bind root: another user tries */
		assert_int_equal(seteuid(65534), 0);
	int result = open_again(fixture);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(result, -EACCES);
	assert_non_null(strstr(fixture->error.text, fixture->path));
}

/* An upgrade of a small schema of the test's own. */
static const struct upgrade_step three_steps[] = {
	{ 1, NULL },
	{ 2, "ALTER TABLE things ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'" },
	{ 3, "UPDATE things SET colour = 'blue'" },
};
static const struct upgrade_step broken_steps[] = {
	{ 1, NULL },
	{ 2, "UPDATE things SET name = 'spoilt'" },
	{ 3, "UPDATE no_such_table SET colour = 'blue'" },
};
static const struct upgrade_plan first_plan = { "CREATE TABLE things (name TEXT)", three_steps, 1, NULL };
static const struct upgrade_plan third_plan = { "CREATE TABLE things (name TEXT, colour TEXT)", three_steps, 3, NULL };
static const struct upgrade_plan broken_plan = { "CREATE TABLE things (name TEXT, colour TEXT)", broken_steps, 3,
						 NULL };

/* A file beside the fixture's, brought to a plan's newest version. */
static int bring_to(struct db_fixture *fixture, const char *path, const struct upgrade_plan *plan, const char *sql)
{
	struct database database = { .path = (char *)path, .clock = fixture->clock };
	struct db_session *session = NULL;
	int version = -1;
	int result = session_open(&database, true, &session, &fixture->error);

	if (result == 0)
		result = upgrade_read_version(session, &version, &fixture->error);
	if (result == 0)
		result = upgrade_run(session, plan, version, &fixture->error);
	if (result == 0 && sql)
		result = statement_execute(session, sql, &fixture->error);
	session_close(session);
	return result;
}

static void read_text(struct db_fixture *fixture, const char *path, const char *sql, char *ret_text, size_t size)
{
	struct database database = { .path = (char *)path, .clock = fixture->clock };
	struct db_session *session = NULL;

	OK(session_open(&database, false, &session, &fixture->error));
	{
		CLEANUP_STATEMENT struct statement *statement = NULL;

		OK(statement_begin(session, sql, NULL, &statement, &fixture->error));
		assert_int_equal(statement_step(statement, &fixture->error), 1);
		text_copy(ret_text, size, statement_column_text(statement, 0));
	}
	session_close(session);
}

static void old_schema_is_upgraded_after_a_backup(void **state)
{
	struct db_fixture *fixture = *state;
	char path[PATH_MAX + 16];
	char backup[PATH_MAX + 32];
	char text[32];

	snprintf(path, sizeof(path), "%s/old.db", fixture->directory);
	snprintf(backup, sizeof(backup), "%s.before-3", path);
	write_file(path, "");
	OK(bring_to(fixture, path, &first_plan, "INSERT INTO things (name) VALUES ('cup')"));
	assert_int_equal(access(backup, F_OK), -1);
	OK(bring_to(fixture, path, &third_plan, NULL));

	read_text(fixture, path, "SELECT colour FROM things WHERE name = 'cup'", text, sizeof(text));
	assert_string_equal(text, "blue");
	read_text(fixture, path, "SELECT version FROM schema_version", text, sizeof(text));
	assert_string_equal(text, "3");
	read_text(fixture, backup, "SELECT name FROM things", text, sizeof(text));
	assert_string_equal(text, "cup");
	read_text(fixture, backup, "SELECT version FROM schema_version", text, sizeof(text));
	assert_string_equal(text, "1");
	OK(bring_to(fixture, path, &third_plan, NULL));
}

static void upgrade_that_fails_changes_nothing(void **state)
{
	struct db_fixture *fixture = *state;
	char path[PATH_MAX + 16];
	char text[32];

	snprintf(path, sizeof(path), "%s/old.db", fixture->directory);
	write_file(path, "");
	OK(bring_to(fixture, path, &first_plan, "INSERT INTO things (name) VALUES ('cup')"));
	assert_true(bring_to(fixture, path, &broken_plan, NULL) < 0);
	assert_non_null(strstr(fixture->error.text, "from schema version 1 to 3; it is unchanged"));
	assert_non_null(strstr(fixture->error.text, "no_such_table"));
	read_text(fixture, path, "SELECT name FROM things", text, sizeof(text));
	assert_string_equal(text, "cup");
	OK(bring_to(fixture, path, &third_plan, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(newer_schema_is_refused),
		TEST(reopened_database_keeps_its_rows),
		TEST(file_is_for_its_owner_alone),
		TEST(other_programs_database_is_refused_and_left_alone),
		TEST(file_that_is_no_database_is_refused),
		TEST(damaged_pages_are_told),
		TEST(directory_that_is_missing_is_told),
		TEST(file_without_permission_is_told),
		TEST(old_schema_is_upgraded_after_a_backup),
		TEST(upgrade_that_fails_changes_nothing),
	};

	return cmocka_run_group_tests_name("db_upgrade", tests, NULL, NULL);
}
