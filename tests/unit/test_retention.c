/* When old records are taken away: in batches, until none is left, then not again for a while; and what the log says of it. */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "db/session.h"
#include "db/statement.h"
#include "server/retention.h"
#include "tests/unit/db_fixture.h"
#include "tests/unit/file_faults.h"

#define DAY_US 86400000000LL

struct fixture {
	struct file_faults *faults;
	struct db_fixture *db;
	FILE *file;
	struct log *log;
	struct retention retention;
	char written[4096];
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture->faults = file_faults_install();
	db_fixture_setup((void **)&fixture->db);
	fixture->file = tmpfile();
	fixture->log = log_create(fileno(fixture->file), LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG, fixture->db->clock);
	fixture->retention = (struct retention){ .database = fixture->db->database, .log = fixture->log };
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	file_faults_set(fixture->faults, 0, false, SQLITE_OK);
	db_fixture_teardown((void **)&fixture->db);
	file_faults_remove(fixture->faults);
	log_destroy(fixture->log);
	fclose(fixture->file);
	free(fixture);
	return 0;
}

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

#define COUNTED "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < %d) "

/* So many migrations, and as many actions, that ended so many days ago. */
static void put_ended(struct fixture *fixture, int count, int days)
{
	const long long when_us = FIXTURE_START_US - days * DAY_US;
	CLEANUP_FREE char *migrations = text_format(
		COUNTED
		"INSERT INTO migrations (uuid, server_uuid, status, type, source_compute, source_node, "
		"dest_compute, dest_node, dest_host, old_flavor_id, new_flavor_id, user_id, project_id, "
		"memory_total, memory_processed, memory_remaining, disk_total, disk_processed, disk_remaining, "
		"is_hidden, created_us, updated_us) SELECT 'm%d-' || i, 's', 'completed', 'migration', '', '', '', "
		"'', '', 0, 0, 'u', 'p', -1, -1, -1, -1, -1, -1, 0, 1, %lld FROM n",
		count, days, when_us);
	CLEANUP_FREE char *actions = text_format(
		COUNTED "INSERT INTO instance_actions (action, server_uuid, request_id, user_id, project_id, start_us, "
			"finish_us, updated_us) SELECT 'migrate', 's', 'r' || i, 'u', 'p', 1, 1, %lld FROM n",
		count, when_us);

	db_fixture_write(fixture->db, run_sql, migrations);
	db_fixture_write(fixture->db, run_sql, actions);
}

static int64_t count(struct fixture *fixture, const char *table)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	CLEANUP_FREE char *sql = text_format("SELECT COUNT(*) FROM %s", table);
	sqlite3_stmt *statement = NULL;

	assert_int_equal(sqlite3_prepare_v2(session->connection, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	int64_t found = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return found;
}

/* All that was logged since the last call. */
static const char *logged(struct fixture *fixture)
{
	ssize_t length = pread(fileno(fixture->file), fixture->written, sizeof(fixture->written) - 1, 0);

	assert_true(length >= 0);
	fixture->written[length] = '\0';
	assert_int_equal(ftruncate(fileno(fixture->file), 0), 0);
	assert_int_equal(lseek(fileno(fixture->file), 0, SEEK_SET), 0);
	return fixture->written;
}

static void look(struct fixture *fixture, int64_t migrations_days, int64_t actions_days)
{
	const struct retention_settings settings = { .migrations_days = migrations_days,
						     .instance_actions_days = actions_days };

	retention_look(&fixture->retention, &settings);
}

static void assert_left(struct fixture *fixture, int64_t migrations, int64_t actions)
{
	assert_int_equal(count(fixture, "migrations"), migrations);
	assert_int_equal(count(fixture, "instance_actions"), actions);
}

static void without_a_number_of_days_records_stay_for_ever(void **state)
{
	struct fixture *fixture = *state;

	put_ended(fixture, 3, 4000);
	look(fixture, 0, 0);
	assert_left(fixture, 3, 3);
	assert_string_equal(logged(fixture), "");
}

/* Each by its own number, and the younger ones stay. */
static void old_records_go_and_are_counted_in_the_log(void **state)
{
	struct fixture *fixture = *state;

	put_ended(fixture, 3, 40);
	put_ended(fixture, 2, 20);
	put_ended(fixture, 1, 5);
	look(fixture, 30, 10);
	assert_left(fixture, 3, 1);
	const char *words = logged(fixture);
	assert_non_null(strstr(words, "finished migrations were forgotten: count=3 days=30\n"));
	assert_non_null(strstr(words, "instance actions were forgotten: count=5 days=10\n"));
	look(fixture, 0, 10);
	assert_left(fixture, 3, 1);
	assert_string_equal(logged(fixture), ""); /* where nothing went there is nothing to tell */
}

/* 20 batches of 200 at one look, so that no request waits for long; the next look goes on at once. */
static void of_many_records_a_part_goes_at_each_look(void **state)
{
	struct fixture *fixture = *state;

	put_ended(fixture, 4100, 40);
	look(fixture, 30, 30);
	assert_left(fixture, 100, 100);
	assert_non_null(strstr(logged(fixture), "count=4000"));
	look(fixture, 30, 30);
	assert_left(fixture, 0, 0);
}

/* Unless the settings change, which counts at once. */
static void when_all_that_is_old_is_gone_it_rests(void **state)
{
	struct fixture *fixture = *state;

	put_ended(fixture, 200, 40);
	look(fixture, 30, 30);
	assert_left(fixture, 0, 0);
	put_ended(fixture, 1, 40);
	put_ended(fixture, 1, 20);
	look(fixture, 30, 30);
	assert_left(fixture, 2, 2);
	look(fixture, 10, 30);
	assert_left(fixture, 0, 1);
	put_ended(fixture, 1, 40);
	look(fixture, 10, 30);
	assert_left(fixture, 1, 2);
	look(fixture, 10, 10);
	assert_left(fixture, 0, 0);
}

/* It is reported once for each kind, and not tried again at each look. */
static void a_disk_that_fails_is_told_and_tried_again_after_the_rest(void **state)
{
	struct fixture *fixture = *state;

	put_ended(fixture, 3, 40);
	file_faults_set(fixture->faults, 1, true, SQLITE_IOERR);
	look(fixture, 30, 30);
	assert_non_null(strstr(logged(fixture), "old records cannot be taken away"));
	file_faults_set(fixture->faults, 0, false, SQLITE_OK);
	look(fixture, 30, 30);
	assert_string_equal(logged(fixture), "");
	assert_left(fixture, 3, 3);
	fixture->retention.next_ms = 0; /* the rest is over */
	look(fixture, 30, 30);
	assert_left(fixture, 0, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(without_a_number_of_days_records_stay_for_ever),
		TEST(old_records_go_and_are_counted_in_the_log),
		TEST(of_many_records_a_part_goes_at_each_look),
		TEST(when_all_that_is_old_is_gone_it_rests),
		TEST(a_disk_that_fails_is_told_and_tried_again_after_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
