/* What is told is on disk: the settings of every connection, and what a power cut would lose at the moments that count. */
#include "base/cleanup.h"
#include "base/text.h"
#include "db/session.h"
#include "db/statement.h"
#include "tests/unit/db_fixture.h"
#include "tests/unit/file_faults.h"
#include "tests/unit/version_2.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A setting, as the connection itself tells it. */
struct setting {
	const char *pragma;
	const char *value;
};

static int check_settings(struct db_session *session, const struct setting *settings, size_t count, struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		CLEANUP_FREE char *sql = text_format("PRAGMA %s", settings[i].pragma);
		CLEANUP_STATEMENT struct statement *statement = NULL;
		int result = statement_begin(session, sql, NULL, &statement, error);

		if (result == 0)
			result = statement_step(statement, error);
		if (result < 0)
			return result;
		if (!text_equal(statement_column_text(statement, 0), settings[i].value))
			return error_set(error, EINVAL, "%s is %s, not %s", settings[i].pragma,
					 statement_column_text(statement, 0), settings[i].value);
	}
	if (sqlite3_limit(session->connection, SQLITE_LIMIT_LENGTH, -1) != 4 * STATEMENT_TEXT_MAX)
		return error_set(error, EINVAL, "a value may have %d bytes",
				 sqlite3_limit(session->connection, SQLITE_LIMIT_LENGTH, -1));
	return 0;
}

/* synchronous: 0 OFF, 1 NORMAL, 2 FULL. temp_store: 2 memory. */
static const struct setting of_writer[] = {
	{ "synchronous", "2" },     { "journal_mode", "wal" },  { "foreign_keys", "1" },
	{ "temp_store", "2" },      { "cache_size", "-65536" }, { "journal_size_limit", "67108864" },
	{ "busy_timeout", "5000" },
};
static const struct setting of_reader[] = {
	{ "query_only", "1" },
	{ "cache_size", "-2048" },
	{ "busy_timeout", "5000" },
};

static int check_writer(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return check_settings(session, of_writer, ARRAY_LENGTH(of_writer), error);
}

static void writer_has_its_settings(void **state)
{
	struct db_fixture *fixture = *state;

	db_fixture_write(fixture, check_writer, NULL);
	db_fixture_reopen(fixture);
	db_fixture_write(fixture, check_writer, NULL);
}

static void writer_has_its_settings_after_an_upgrade(void **state)
{
	struct db_fixture *fixture = *state;

	db_close(fixture->database);
	fixture->database = NULL;
	assert_int_equal(unlink(fixture->path), 0);
	OK(version_2_write(fixture->path, fixture->clock, NULL, &fixture->error));
	OK(db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error));
	db_fixture_write(fixture, check_writer, NULL);
}

/* Also those that are made when more read at once than are kept ready. */
static void readers_have_their_settings(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_session *sessions[12];

	for (size_t i = 0; i < ARRAY_LENGTH(sessions); i++)
		sessions[i] = db_fixture_read(fixture);
	int result = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(sessions); i++) {
		if (result == 0)
			result = check_settings(sessions[i], of_reader, ARRAY_LENGTH(of_reader), &fixture->error);
		db_read_end(sessions[i]);
	}
	OK(result);
}

/* Below the check of whole statements: SQL that is run as it is. */
static void reader_cannot_write_past_its_statements(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);

	assert_true(statement_execute(session, "DELETE FROM instance_actions", &fixture->error) < 0);
}

static int insert_named(struct db_session *session, void *context, struct error *error)
{
	struct db_action action = { .action = "migrate", .server_uuid = "server" };

	TEXT_COPY(action.request_id, (const char *)context);
	return db_action_insert(session, &action, error);
}

/* Foreign keys are of no use when they are only declared. */
static int insert_claim_of_nobody(struct db_session *session, void *context, struct error *error)
{
	struct db_claim claim = { .host_id = 77, .migration_id = 77 };
	struct db_claim_capacity no_limit = { -1, -1, -1 };

	(void)context;
	return db_claim_make(session, &claim, &no_limit, error);
}

static void reference_that_leads_nowhere_is_refused(void **state)
{
	struct db_fixture *fixture = *state;

	assert_int_equal(db_write(fixture->database, insert_claim_of_nobody, NULL, &fixture->error), -EINVAL);
	assert_non_null(strstr(fixture->error.text, "the row that it refers to is not there, or is still referred to"));
}

/* What a power cut at the completion of each write would lose. */
struct power_cut {
	struct file_faults *faults;
	int completed;
	int failed;
	int unsynced; /* at the worst moment */
};

static void note_power_cut(void *context, int result, const struct error *error)
{
	struct power_cut *cut = context;
	int unsynced = file_faults_unsynced(cut->faults);

	(void)error;
	cut->completed++;
	cut->failed += result < 0;
	if (unsynced > cut->unsynced)
		cut->unsynced = unsynced;
}

/* Enough pages for SQLite to bring its log into the database in between. */
#define BIG_WRITES 300

static int insert_big(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_ACTION struct db_action action = { .action = "migrate", .server_uuid = "server" };

	(void)context;
	action.message = calloc(1, 32769);
	if (!action.message)
		return error_no_memory(error);
	memset(action.message, 'x', 32768);
	return db_action_insert(session, &action, error);
}

static void close_on(struct db_fixture *fixture, struct file_faults *faults)
{
	db_close(fixture->database);
	fixture->database = NULL;
	file_faults_remove(faults);
}

static void nothing_is_told_before_it_is_on_disk(void **state)
{
	struct db_fixture *fixture = *state;
	struct power_cut cut = { .faults = file_faults_install() };

	db_fixture_reopen(fixture);
	for (int i = 0; i < 20; i++) {
		int syncs = file_faults_syncs(cut.faults);

		db_fixture_write(fixture, insert_named, (void *)"one by one");
		assert_true(file_faults_syncs(cut.faults) > syncs);
		assert_int_equal(file_faults_unsynced(cut.faults), 0);
	}
	for (int i = 0; i < BIG_WRITES; i++)
		db_submit(fixture->database, insert_big, note_power_cut, &cut);
	db_fixture_write(fixture, insert_named, (void *)"last");
	assert_int_equal(cut.completed, BIG_WRITES);
	assert_int_equal(cut.failed, 0);
	assert_int_equal(cut.unsynced, 0);
	close_on(fixture, cut.faults);
}

static void upgraded_file_is_on_disk_before_it_is_used(void **state)
{
	struct db_fixture *fixture = *state;

	db_close(fixture->database);
	fixture->database = NULL;
	assert_int_equal(unlink(fixture->path), 0);
	OK(version_2_write(fixture->path, fixture->clock, NULL, &fixture->error));
	struct file_faults *faults = file_faults_install();
	int result = db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error);
	assert_true(result < 0 || file_faults_syncs(faults) > 0);
	assert_int_equal(file_faults_unsynced(faults), 0);
	OK(result);
	close_on(fixture, faults);
}

static void new_file_is_on_disk_before_it_is_used(void **state)
{
	struct db_fixture *fixture = *state;
	struct file_faults *faults = file_faults_install();

	db_close(fixture->database);
	fixture->database = NULL;
	assert_int_equal(unlink(fixture->path), 0);
	OK(db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error));
	assert_true(file_faults_syncs(faults) > 0);
	assert_int_equal(file_faults_unsynced(faults), 0);
	close_on(fixture, faults);
}

static void temporary_database_waits_for_no_disk(void **state)
{
	struct db_fixture *fixture = *state;
	struct file_faults *faults = file_faults_install();

	db_close(fixture->database);
	fixture->database = NULL;
	OK(db_open_temporary(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error));
	int syncs = file_faults_syncs(faults); /* the mode of its log is set before */
	for (int i = 0; i < 20; i++)
		db_fixture_write(fixture, insert_named, (void *)"temporary");
	assert_int_equal(file_faults_syncs(faults), syncs);
	close_on(fixture, faults);
}

static int change_many_pages(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return statement_execute(session,
				 "UPDATE instance_actions SET updated_us = updated_us + 1 WHERE id <= 24;"
				 "UPDATE instance_actions SET updated_us = updated_us + 1 WHERE id <= 24",
				 error);
}

static int insert_page(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_ACTION struct db_action action = { .action = "migrate", .server_uuid = "server" };

	(void)context;
	action.message = calloc(1, 3001);
	if (!action.message)
		return error_no_memory(error);
	memset(action.message, 'x', 3000);
	return db_action_insert(session, &action, error);
}

/* More than SQLite keeps of itself, and less than we let it. */
static void undoing_of_an_ordinary_write_needs_no_file(void **state)
{
	struct db_fixture *fixture = *state;
	struct file_faults *faults = file_faults_install();

	db_fixture_reopen(fixture);
	for (int i = 0; i < 24; i++)
		db_fixture_write(fixture, insert_page, NULL);
	db_fixture_write(fixture, change_many_pages, NULL);
	assert_int_equal(file_faults_undo_files(faults), 0);
	close_on(fixture, faults);
}

/* Another process that writes for a moment, a copy that is made say, is waited for. */
struct other_process {
	sqlite3 *connection;
	int result;
};

static void *end_soon(void *argument)
{
	struct other_process *other = argument;

	nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
	other->result = sqlite3_exec(other->connection, "COMMIT", NULL, NULL, NULL);
	return NULL;
}

static void other_process_is_waited_for(void **state)
{
	struct db_fixture *fixture = *state;
	struct other_process other = { 0 };
	pthread_t thread;

	assert_int_equal(sqlite3_open(fixture->path, &other.connection), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other.connection, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(pthread_create(&thread, NULL, end_soon, &other), 0);
	int result = db_write(fixture->database, insert_named, (void *)"waited", &fixture->error);
	pthread_join(thread, NULL);
	assert_int_equal(other.result, SQLITE_OK);
	sqlite3_close(other.connection);
	OK(result);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(writer_has_its_settings),
		TEST(writer_has_its_settings_after_an_upgrade),
		TEST(readers_have_their_settings),
		TEST(reader_cannot_write_past_its_statements),
		TEST(reference_that_leads_nowhere_is_refused),
		TEST(nothing_is_told_before_it_is_on_disk),
		TEST(upgraded_file_is_on_disk_before_it_is_used),
		TEST(new_file_is_on_disk_before_it_is_used),
		TEST(temporary_database_waits_for_no_disk),
		TEST(undoing_of_an_ordinary_write_needs_no_file),
		TEST(other_process_is_waited_for),
	};

	return cmocka_run_group_tests_name("db_durability", tests, NULL, NULL);
}
