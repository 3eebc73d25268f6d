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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "tests/unit/db_fixture.h"

#include <cmocka.h>

/* What is brought to disk and what gets a name, in its order, one a line: "sync NAME" or "name NAME"; "." is the fixture's
 * directory. These three stand before libc's; SQLite's own syncs of data are not seen. */
static struct {
	char directory[64];
	struct text text;
} order;

static const char *last_part(const char *path)
{
	if (strcmp(path, order.directory) == 0)
		return ".";
	return strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
}

/* The library names its parameters as only it may. NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int fsync(int descriptor)
{
	char link_path[64], path[PATH_MAX] = "";

	snprintf(link_path, sizeof(link_path), "/proc/self/fd/%d", descriptor);
	if (order.directory[0] && readlink(link_path, path, sizeof(path) - 1) > 0)
		text_append_format(&order.text, "sync %s\n", last_part(path));
	return (int)syscall(SYS_fsync, descriptor);
}

int rename(const char *from, const char *to)
{
	if (order.directory[0])
		text_append_format(&order.text, "name %s\n", last_part(to));
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int link(const char *from, const char *to)
{
	if (order.directory[0])
		text_append_format(&order.text, "name %s\n", last_part(to));
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static void order_begin(const struct db_fixture *fixture)
{
	TEXT_COPY(order.directory, fixture->directory);
}

static void order_end(const char *expected)
{
	CLEANUP_TEXT struct text text = order.text;

	order.text = TEXT_EMPTY;
	order.directory[0] = '\0';
	assert_string_equal(text.data, expected);
}

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

/* A power cut leaves no copy under its name that is not whole, and none that was told and is not there. */
static void a_copy_is_on_disk_before_it_has_its_name_and_that_before_it_is_told(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_FREE char *copy = path_of(fixture, "copy");

	for (int replaces = 0; replaces < 2; replaces++) {
		order_begin(fixture);
		int result = db_backup(fixture->path, copy, replaces, &fixture->error);
		order_end("sync copy.unfinished\nname copy\nsync .\n");
		OK(result);
	}
}

/* As all of it is that is put in the database's place, which is kept on disk under another name before. */
static void what_is_restored_is_on_disk_before_it_takes_the_place_of_what_is_kept(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_FREE char *copy = path_of(fixture, "copy");
	CLEANUP_FREE char *kept = NULL;

	OK(db_backup(fixture->path, copy, false, &fixture->error));
	close_database(fixture);
	order_begin(fixture);
	int result = db_restore(copy, fixture->path, &kept, &fixture->error);
	const char *name = kept ? last_part(kept) : "";
	CLEANUP_FREE char *expected = text_format("sync state.db.restoring\n"
						  "sync %s.unfinished\nname %s\nsync .\n"
						  "name state.db\nsync .\n",
						  name, name);
	order_end(expected);
	OK(result);
	db_fixture_reopen(fixture);
}

/* One file, which opens on a medium that cannot be written. */
static void a_copy_has_no_log_beside_it_and_needs_none(void **state)
{
	static const char *const logs[] = { "copy-wal", "copy-shm", "copy-journal" };
	struct db_fixture *fixture = *state;
	CLEANUP_FREE char *copy = path_of(fixture, "copy");
	char versions[2] = "";

	OK(db_backup(fixture->path, copy, false, &fixture->error));
	CLEANUP_CLOSE int file = open(copy, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(file, versions, 2, 18), 2); /* to write and to read it: 1 without a log, 2 with one */
	assert_int_equal(versions[0], 1);
	assert_int_equal(versions[1], 1);
	for (size_t i = 0; i < ARRAY_LENGTH(logs); i++) {
		CLEANUP_FREE char *log = path_of(fixture, logs[i]);

		assert_int_equal(access(log, F_OK), -1);
	}
}

static int insert_host(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };

	TEXT_COPY(host.name, (const char *)context);
	return db_host_insert(session, &host, error);
}

/* A daemon that is killed leaves what it wrote last in its log. */
static void write_host_and_die(struct db_fixture *fixture, const char *name)
{
	int status = -1;

	close_database(fixture); /* no thread may run when the process is doubled */
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct database *database = NULL;
		struct error error = { 0 };

		if (db_open(fixture->path, clock_system(), NULL, &database, &error) < 0
		    || db_write(database, insert_host, (void *)name, &error) < 0)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void what_a_killed_daemon_left_in_its_log_is_in_the_copy_and_in_what_is_kept(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_FREE char *before = path_of(fixture, "before");
	CLEANUP_FREE char *after = path_of(fixture, "after");
	CLEANUP_FREE char *log = path_of(fixture, "state.db-wal");
	CLEANUP_FREE char *kept = NULL;
	CLEANUP_FREE char *other = NULL;
	struct stat status;

	OK(db_backup(fixture->path, before, false, &fixture->error));
	write_host_and_die(fixture, "late");
	assert_int_equal(stat(log, &status), 0);
	assert_true(status.st_size > 0);
	OK(db_restore(before, fixture->path, &kept, &fixture->error));
	assert_int_equal(stat(log, &status), -1); /* it is not the new one's */
	db_fixture_reopen(fixture);
	assert_false(has_host(fixture, "late"));
	write_host_and_die(fixture, "later");
	OK(db_backup(fixture->path, after, false, &fixture->error));
	OK(db_restore(kept, fixture->path, &other, &fixture->error));
	db_fixture_reopen(fixture);
	assert_true(has_host(fixture, "late"));
	assert_false(has_host(fixture, "later"));
	close_database(fixture);
	free(TAKE_POINTER(other));
	OK(db_restore(after, fixture->path, &other, &fixture->error));
	db_fixture_reopen(fixture);
	assert_true(has_host(fixture, "later"));
	assert_false(has_host(fixture, "late"));
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

/* Of the two files it is the one that is damaged, and only a copy that is whole gets the name. */
static void a_damaged_database_is_told_by_its_own_name(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_FREE char *copy = path_of(fixture, "copy");
	CLEANUP_FREE char *words = text_format("database %s: ", fixture->path);
	struct stat status;

	db_fixture_host(fixture, "before");
	close_database(fixture);
	assert_int_equal(stat(fixture->path, &status), 0);
	assert_int_equal(truncate(fixture->path, status.st_size - 4096), 0);
	assert_int_equal(db_backup(fixture->path, copy, false, &fixture->error), -EIO);
	assert_true(text_starts_with(fixture->error.text, words));
	assert_non_null(strstr(fixture->error.text, "it is damaged"));
	assert_int_equal(access(copy, F_OK), -1);
}

/* With 0 free, it is the number of the first file that is opened. */
static void a_process_without_standard_input_opens_copies_and_restores(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_FREE char *copy = path_of(fixture, "copy");
	CLEANUP_FREE char *kept = NULL;
	int standard_input = dup(0);

	db_fixture_host(fixture, "before");
	close_database(fixture);
	close(0);
	int copied = db_backup(fixture->path, copy, false, &fixture->error);
	int restored = copied < 0 ? copied : db_restore(copy, fixture->path, &kept, &fixture->error);
	int opened = restored < 0 ? restored
				  : db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error);
	bool is_restored = opened == 0 && has_host(fixture, "before");
	close_database(fixture); /* which has that number now */
	if (standard_input >= 0) {
		dup2(standard_input, 0);
		close(standard_input);
	}
	OK(opened);
	assert_true(is_restored);
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
		TEST(a_copy_is_on_disk_before_it_has_its_name_and_that_before_it_is_told),
		TEST(what_is_restored_is_on_disk_before_it_takes_the_place_of_what_is_kept),
		TEST(a_copy_has_no_log_beside_it_and_needs_none),
		TEST(what_a_killed_daemon_left_in_its_log_is_in_the_copy_and_in_what_is_kept),
		TEST(what_was_replaced_is_kept_each_time),
		TEST(only_a_whole_database_of_ours_is_put_in_place),
		TEST(a_database_that_cannot_be_read_any_more_is_put_aside),
		TEST(a_damaged_database_is_told_by_its_own_name),
		TEST(a_process_without_standard_input_opens_copies_and_restores),
		TEST(two_cannot_have_the_database),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
