/* Copies of the database and their way back: whole at any moment, and never over a living one. */
#include "db/backup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "tests/unit/db_fixture.h"

#include <cmocka.h>

static char *path_of(const struct db_fixture *fixture, const char *name)
{
	char *path = text_format("%s/%s", fixture->directory, name);

	assert_non_null(path);
	return path;
}

static bool has_host(struct db_fixture *fixture, const char *name)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	struct db_session *session = db_fixture_read(fixture);
	int result = db_host_by_name(session, name, &host, NULL);

	db_read_end(session);
	return result == 0;
}

static void close_database(struct db_fixture *fixture)
{
	db_close(fixture->database);
	fixture->database = NULL;
}

static void a_copy_is_made_while_the_database_is_in_use_and_leads_back(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_FREE char *copy = path_of(fixture, "copy");
	CLEANUP_FREE char *kept = NULL;
	struct stat status;

	db_fixture_host(fixture, "before");
	OK(db_backup(fixture->path, copy, false, &fixture->error));
	assert_int_equal(stat(copy, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	db_fixture_host(fixture, "after");
	assert_int_equal(db_restore(copy, fixture->path, &kept, &fixture->error), -EBUSY);
	assert_true(has_host(fixture, "after"));
	close_database(fixture);

	OK(db_restore(copy, fixture->path, &kept, &fixture->error));
	assert_non_null(kept);
	db_fixture_reopen(fixture);
	assert_true(has_host(fixture, "before"));
	assert_false(has_host(fixture, "after"));
	close_database(fixture);
	CLEANUP_FREE char *other = NULL;
	OK(db_restore(kept, fixture->path, &other, &fixture->error)); /* what was replaced was whole */
	db_fixture_reopen(fixture);
	assert_true(has_host(fixture, "after"));
	unlink(copy);
	unlink(kept);
	if (other)
		unlink(other);
}

static void a_file_that_is_there_is_replaced_only_when_asked(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_FREE char *copy = path_of(fixture, "copy");

	OK(db_backup(fixture->path, copy, false, &fixture->error));
	assert_int_equal(db_backup(fixture->path, copy, false, &fixture->error), -EEXIST);
	OK(db_backup(fixture->path, copy, true, &fixture->error));
	unlink(copy);
	assert_int_equal(db_backup("/nonexistent/database", copy, false, &fixture->error), -ENOENT);
	assert_int_equal(access(copy, F_OK), -1);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
}

/* Also when one second has seen several. */
static void what_was_replaced_is_kept_each_time(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_FREE char *copy = path_of(fixture, "copy");
	char *kept[3] = { NULL };

	OK(db_backup(fixture->path, copy, false, &fixture->error));
	close_database(fixture);
	for (size_t i = 0; i < 3; i++)
		OK(db_restore(i == 0 ? copy : kept[i - 1], fixture->path, &kept[i], &fixture->error));
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(access(kept[i], R_OK), 0);
		unlink(kept[i]);
		free(kept[i]);
	}
	unlink(copy);
	db_fixture_reopen(fixture);
}

static void only_a_whole_database_of_ours_is_put_in_place(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_FREE char *copy = path_of(fixture, "copy");
	CLEANUP_FREE char *kept = NULL;
	char bytes[64 * 1024];

	db_fixture_host(fixture, "mine");
	OK(db_backup(fixture->path, copy, false, &fixture->error));
	close_database(fixture);

	memset(bytes, 'x', sizeof(bytes));
	CLEANUP_FREE char *text = path_of(fixture, "text");
	write_file(text, bytes, sizeof(bytes));
	assert_true(db_restore(text, fixture->path, &kept, &fixture->error) < 0);
	assert_true(db_restore("/nonexistent/copy", fixture->path, &kept, &fixture->error) == -ENOENT);

	/* A page in its midst is spoilt. */
	CLEANUP_CLOSE int file = open(copy, O_RDWR | O_CLOEXEC);
	assert_true(file >= 0);
	assert_int_equal(pwrite(file, bytes, 4096 * 8, 4096 * 4), 4096 * 8);
	assert_true(db_restore(copy, fixture->path, &kept, &fixture->error) < 0);
	assert_null(kept);
	db_fixture_reopen(fixture);
	assert_true(has_host(fixture, "mine"));
	unlink(copy);
	unlink(text);
}

static void a_database_that_cannot_be_read_any_more_is_put_aside(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_FREE char *copy = path_of(fixture, "copy");
	CLEANUP_FREE char *kept = NULL;
	static const char ruin[] = "this was a database once";
	struct stat status;

	db_fixture_host(fixture, "mine");
	OK(db_backup(fixture->path, copy, false, &fixture->error));
	close_database(fixture);
	write_file(fixture->path, ruin, sizeof(ruin));
	OK(db_restore(copy, fixture->path, &kept, &fixture->error));
	assert_int_equal(stat(kept, &status), 0);
	assert_int_equal(status.st_size, sizeof(ruin));
	db_fixture_reopen(fixture);
	assert_true(has_host(fixture, "mine"));
	unlink(copy);
	unlink(kept);
}

static void two_cannot_have_the_database(void **state)
{
	struct db_fixture *fixture = *state;
	struct database *second = NULL;

	assert_int_equal(db_open(fixture->path, fixture->clock, NULL, &second, &fixture->error), -EBUSY);
	assert_non_null(strstr(fixture->error.text, "in use by another daemon"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_copy_is_made_while_the_database_is_in_use_and_leads_back),
		TEST(a_file_that_is_there_is_replaced_only_when_asked),
		TEST(what_was_replaced_is_kept_each_time),
		TEST(only_a_whole_database_of_ours_is_put_in_place),
		TEST(a_database_that_cannot_be_read_any_more_is_put_aside),
		TEST(two_cannot_have_the_database),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
