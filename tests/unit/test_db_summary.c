/* What the database tells of itself in few numbers: hosts, jobs, sizes, commits, and whether it can be written. */
#include "base/cleanup.h"
#include "base/metrics.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/session.h"
#include "db/summary.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static int write_service(struct db_session *session, void *context, struct error *error)
{
	return db_service_update(session, context, error);
}

static void set_service(struct db_fixture *fixture, const char *name, bool is_up, bool is_disabled, bool is_forced_down)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	struct db_session *session = db_fixture_read(fixture);

	OK(db_host_by_name(session, name, &host, &fixture->error));
	db_read_end(session);
	host.service.is_up = is_up;
	host.service.is_disabled = is_disabled;
	host.service.is_forced_down = is_forced_down;
	db_fixture_write(fixture, write_service, &host.service);
}

static void each_host_counts_once_and_a_disabled_one_as_such(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_host_counts counts = { 9, 9, 9, 9 };
	static const struct {
		const char *name;
		bool is_up, is_disabled, is_forced_down;
	} hosts[] = { { "up-1", true, false, false },    { "up-2", true, false, false },
		      { "down", false, false, false },   { "forced", true, false, true },
		      { "disabled", true, true, false }, { "repaired", false, true, false },
		      { "both", true, true, true } };

	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
		db_fixture_host(fixture, hosts[i].name);
		set_service(fixture, hosts[i].name, hosts[i].is_up, hosts[i].is_disabled, hosts[i].is_forced_down);
	}
	struct db_session *session = db_fixture_read(fixture);
	OK(db_host_counts(session, &counts, &fixture->error));
	db_read_end(session);
	assert_int_equal(counts.up, 2);
	assert_int_equal(counts.down, 2);
	assert_int_equal(counts.disabled, 3);
	assert_int_equal(counts.answering, 3);
}

static int insert_job(struct db_session *session, void *context, struct error *error)
{
	return db_job_insert(session, context, error);
}

static void put_job(struct db_fixture *fixture, const char *kind, const char *phase, const char *owner,
		    int64_t created_us, int64_t finished_us)
{
	struct db_job job = { .created_us = created_us, .finished_us = finished_us };

	TEXT_COPY(job.kind, kind);
	TEXT_COPY(job.phase, phase);
	TEXT_COPY(job.owner, owner);
	uuid_make(job.server_uuid);
	db_fixture_write(fixture, insert_job, &job);
}

static void unfinished_jobs_are_told_by_kind_waiting_or_under_way(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_job_counts counts[DB_JOB_COUNTS_MAX];
	size_t count = 0;

	put_job(fixture, "live", "accepted", "", 100, 0);
	put_job(fixture, "live", "queued", "node", 200, 0);
	put_job(fixture, "live", "moving", "node", 300, 0);
	put_job(fixture, "live", "choosing", "node", 400, 0);
	put_job(fixture, "live", "done", "node", 1, 2);
	put_job(fixture, "cold", "accepted", "", 50, 0);
	put_job(fixture, "revert", "done", "node", 1, 2);
	struct db_session *session = db_fixture_read(fixture);
	OK(db_job_counts(session, counts, &count, &fixture->error));
	db_read_end(session);
	assert_int_equal(count, 2);
	assert_string_equal(counts[0].kind, "cold");
	assert_int_equal(counts[0].waiting, 1);
	assert_int_equal(counts[0].under_way, 0);
	assert_int_equal(counts[0].oldest_us, 50);
	assert_int_equal(counts[0].oldest_under_way_us, 0);
	assert_string_equal(counts[1].kind, "live");
	assert_int_equal(counts[1].waiting, 2);
	assert_int_equal(counts[1].under_way, 2);
	assert_int_equal(counts[1].oldest_us, 100);
	assert_int_equal(counts[1].oldest_under_way_us, 300);
}

static int insert_chore(struct db_session *session, void *context, struct error *error)
{
	return db_chore_insert(session, context, error);
}

static void put_chore(struct db_fixture *fixture, const char *kind, int64_t host_id, int64_t created_us)
{
	struct db_chore chore = { .host_id = host_id, .created_us = created_us };

	TEXT_COPY(chore.kind, kind);
	uuid_make(chore.server_uuid);
	db_fixture_write(fixture, insert_chore, &chore);
}

static void chores_are_told_by_kind_with_the_oldest(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_chore_counts counts[DB_CHORE_COUNTS_MAX];
	int64_t host = db_fixture_host(fixture, "one");
	size_t count = 0;

	put_chore(fixture, DB_CHORE_REMOVE_VOLUME, host, 300);
	put_chore(fixture, DB_CHORE_REMOVE_VOLUME, host, 200);
	put_chore(fixture, DB_CHORE_END_CONFLICT, host, 400);
	struct db_session *session = db_fixture_read(fixture);
	OK(db_chore_counts(session, counts, &count, &fixture->error));
	db_read_end(session);
	assert_int_equal(count, 2);
	assert_string_equal(counts[0].kind, DB_CHORE_END_CONFLICT);
	assert_int_equal(counts[0].count, 1);
	assert_int_equal(counts[0].oldest_us, 400);
	assert_string_equal(counts[1].kind, DB_CHORE_REMOVE_VOLUME);
	assert_int_equal(counts[1].count, 2);
	assert_int_equal(counts[1].oldest_us, 200);
}

/* A job that has ended stays as a record: there may be a million of them. */
static void counting_jobs_walks_none_that_has_ended(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_job_counts counts[DB_JOB_COUNTS_MAX];
	size_t count = 0;
	struct db_session *session = db_fixture_read(fixture);
	sqlite3_stmt *explain = NULL, *each = NULL;
	char plan[1024] = "", sql[2048] = "";

	OK(db_job_counts(session, counts, &count, &fixture->error));
	while ((each = sqlite3_next_stmt(session->connection, each)) != NULL)
		if (strstr(sqlite3_sql(each), "FROM jobs"))
			snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", sqlite3_sql(each));
	assert_int_equal(sqlite3_prepare_v2(session->connection, sql, -1, &explain, NULL), SQLITE_OK);
	while (sqlite3_step(explain) == SQLITE_ROW)
		snprintf(plan + strlen(plan), sizeof(plan) - strlen(plan), "%s; ",
			 (const char *)sqlite3_column_text(explain, 3));
	sqlite3_finalize(explain);
	db_read_end(session);
	if (!strstr(plan, "jobs_unfinished"))
		fail_msg("the plan is: %s", plan);
}

/* Pages that the writer's connection has put into its log; while no write is under way. */
static int pages_written(const struct db_fixture *fixture)
{
	int current = 0, ignored = 0;

	assert_int_equal(sqlite3_db_status(fixture->database->writer_session->connection, SQLITE_DBSTATUS_CACHE_WRITE,
					   &current, &ignored, 0),
			 SQLITE_OK);
	return current;
}

static void writing_nothing_goes_to_disk_and_needs_the_writer(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t size = 0, log = 0;
	struct db_session *session = db_fixture_read(fixture);

	assert_int_equal(db_write_nothing(session, NULL, &fixture->error), -EPERM);
	db_read_end(session);
	db_fixture_host(fixture, "a");
	db_file_sizes(fixture->database, &size, &log);
	assert_true(size > 0 && log > 0);
	int before = pages_written(fixture);
	db_fixture_write(fixture, db_write_nothing, NULL);
	assert_int_equal(pages_written(fixture), before + 1);
	db_fixture_reopen(fixture); /* its schema version is still ours */
}

static int refuse(struct db_session *session, void *context, struct error *error)
{
	(void)session;
	(void)context;
	return error_set(error, EBUSY, "refused");
}

static void each_commit_is_counted_with_its_writes_and_a_refused_write_is_none(void **state)
{
	struct db_fixture *fixture = *state;
	struct metrics *metrics = metrics_create();
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	struct error ignored = { 0 };

	db_fixture_reopen(fixture);
	OK(db_measure(fixture->database, metrics, &fixture->error));
	for (int i = 0; i < 3; i++)
		db_fixture_write(fixture, db_write_nothing, NULL);
	assert_int_equal(db_write(fixture->database, refuse, NULL, &ignored), -EBUSY);
	db_close(fixture->database); /* what is counted after the answer is counted now */
	fixture->database = NULL;
	metrics_render(metrics, &text);
	assert_non_null(strstr(text.data, "migrationd_database_commits_total{result=\"ok\"} 3\n"
					  "migrationd_database_commits_total{result=\"failed\"} 0\n"));
	assert_non_null(strstr(text.data, "migrationd_database_commit_writes_sum 3\n"
					  "migrationd_database_commit_writes_count 3\n"));
	assert_non_null(strstr(text.data, "migrationd_database_commit_duration_seconds_count 3\n"));
	metrics_destroy(metrics);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_host_counts_once_and_a_disabled_one_as_such),
		TEST(chores_are_told_by_kind_with_the_oldest),
		TEST(unfinished_jobs_are_told_by_kind_waiting_or_under_way),
		TEST(counting_jobs_walks_none_that_has_ended),
		TEST(writing_nothing_goes_to_disk_and_needs_the_writer),
		TEST(each_commit_is_counted_with_its_writes_and_a_refused_write_is_none),
	};

	return cmocka_run_group_tests_name("db_summary", tests, NULL, NULL);
}
