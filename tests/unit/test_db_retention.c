/* What is forgotten by its age, and what is not. */
#include "db/retention.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "db/session.h"
#include "tests/unit/db_fixture.h"

#include <cmocka.h>

#define DAY_US 86400000000LL

struct call {
	int64_t since_us;
	size_t most;
	size_t count;
};

static int forget_migrations(struct db_session *session, void *context, struct error *error)
{
	struct call *call = context;

	return db_forget_migrations(session, call->since_us, call->most, &call->count, error);
}

static int forget_actions(struct db_session *session, void *context, struct error *error)
{
	struct call *call = context;

	return db_forget_actions(session, call->since_us, call->most, &call->count, error);
}

/* SQL of the test's own, to bring about what takes days otherwise. */
static int run_sql(struct db_session *session, void *context, struct error *error)
{
	int result = sqlite3_exec(session->connection, context, NULL, NULL, NULL);

	return result == SQLITE_OK ? 0 : error_set(error, EIO, "%s", sqlite3_errmsg(session->connection));
}

static void run(struct db_fixture *fixture, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void run(struct db_fixture *fixture, const char *format, ...)
{
	char sql[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sql, sizeof(sql), format, arguments);
	va_end(arguments);
	db_fixture_write(fixture, run_sql, sql);
}

static int64_t count(struct db_fixture *fixture, const char *table)
{
	struct db_session *session = db_fixture_read(fixture);
	sqlite3_stmt *statement = NULL;
	char sql[100];

	snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM %s", table);
	assert_int_equal(sqlite3_prepare_v2(session->connection, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	int64_t found = sqlite3_column_int64(statement, 0);

	sqlite3_finalize(statement);
	db_read_end(session);
	return found;
}

static int64_t old_migration(struct db_fixture *fixture, const char *status, int days)
{
	char uuid[UUID_SIZE];

	uuid_make(uuid);
	int64_t id = db_fixture_migration(fixture, uuid, "one", "two");
	run(fixture, "UPDATE migrations SET status = '%s', updated_us = %lld WHERE id = %lld", status,
	    (long long)(FIXTURE_START_US - days * DAY_US), (long long)id);
	return id;
}

static size_t forget(struct db_fixture *fixture, db_write_fn write, int days, size_t most)
{
	struct call call = { .since_us = FIXTURE_START_US - days * DAY_US, .most = most };

	db_fixture_write(fixture, write, &call);
	return call.count;
}

static void ended_migrations_go_by_their_age_and_others_stay(void **state)
{
	static const char *const ended[] = { "completed", "failed", "error", "cancelled", "confirmed", "reverted" };
	static const char *const others[] = { "finished", "running", "queued", "reverting", "post-migrating" };
	struct db_fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(ended) / sizeof(ended[0]); i++)
		old_migration(fixture, ended[i], 40);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		old_migration(fixture, others[i], 40);
	old_migration(fixture, "completed", 10);
	assert_int_equal(forget(fixture, forget_migrations, 30, 200), 6);
	assert_int_equal(count(fixture, "migrations"), 6);
	assert_int_equal(forget(fixture, forget_migrations, 30, 200), 0);
}

static void what_is_still_needed_stays(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "one");
	char uuid[UUID_SIZE];
	int64_t claimed = old_migration(fixture, "completed", 40);
	int64_t with_job = old_migration(fixture, "completed", 40);
	int64_t with_volume = old_migration(fixture, "failed", 40);
	int64_t kept = old_migration(fixture, "confirmed", 40);

	db_fixture_server(fixture, "vm", host, uuid);
	struct db_claim claim = { .host_id = host, .migration_id = claimed, .vcpus = 1, .memory_mb = 1 };
	TEXT_COPY(claim.server_uuid, uuid);
	OK(db_fixture_claim(fixture, &claim, -1));
#define JOB(migration, finished)                                                                                       \
	run(fixture,                                                                                                   \
	    "INSERT INTO jobs (kind, phase, server_uuid, migration_id, action_id, request_id, source_host_id, "        \
	    "target_host_id, requested_host, is_forced, minor_version, block_migration, disk_over_commit, "            \
	    "is_abort_requested, is_force_complete_requested, attempt, verdict_status, is_waited_for, owner, "         \
	    "lease_until_us, created_us, updated_us, finished_us) "                                                    \
	    "VALUES ('live','','u',%lld,1,'r',1,1,'',0,1,'',0,0,0,0,0,0,'',0,0,0,%d)",                                 \
	    (long long)(migration), finished)
	JOB(with_job, 0);
	JOB(with_volume, 5);
	run(fixture,
	    "INSERT INTO volumes (job_id, host_id, pool, name, is_complete) SELECT max(id), %lld, 'p', 'v', 0 FROM "
	    "jobs",
	    (long long)host);
	run(fixture,
	    "INSERT INTO kept_domains (host_id, server_uuid, migration_id, was_running, had_autostart) "
	    "SELECT %lld, server_uuid, id, 0, 0 FROM migrations WHERE id = %lld",
	    (long long)host, (long long)kept);
	assert_int_equal(forget(fixture, forget_migrations, 30, 200), 0);

	/* When they are needed no more they go, and their jobs with them. */
	run(fixture,
	    "DELETE FROM volumes; DELETE FROM kept_domains; DELETE FROM claims; UPDATE jobs SET finished_us = 5");
	assert_int_equal(forget(fixture, forget_migrations, 30, 200), 4);
	assert_int_equal(count(fixture, "jobs"), 0);
}

/* A server has many migrations: what one of them has left keeps no other. */
static void what_is_needed_of_one_migration_keeps_no_other_of_its_server(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "one");
	int64_t kept = old_migration(fixture, "confirmed", 40);

	run(fixture, "UPDATE migrations SET server_uuid = 'u'");
	run(fixture,
	    "INSERT INTO kept_domains (host_id, server_uuid, migration_id, was_running, had_autostart) "
	    "VALUES (%lld, 'u', %lld, 0, 0)",
	    (long long)host, (long long)kept);
	run(fixture,
	    "INSERT INTO claims (host_id, server_uuid, migration_id, vcpus, memory_mb, disk_gb) "
	    "VALUES (%lld, 'u', %lld, 1, 1, 1)",
	    (long long)host, (long long)kept);
	JOB(kept, 0);
	for (int i = 0; i < 3; i++)
		JOB(old_migration(fixture, "completed", 40), 5);
	run(fixture, "UPDATE migrations SET server_uuid = 'u'");
	assert_int_equal(forget(fixture, forget_migrations, 30, 200), 3);
	assert_int_equal(count(fixture, "migrations"), 1);
	assert_int_equal(count(fixture, "jobs"), 1);
	assert_int_equal(count(fixture, "jobs WHERE finished_us = 0"), 1);
}

/* What changed at that very moment has not changed since; what changed a moment later has. */
static void age_is_counted_to_the_moment(void **state)
{
	struct db_fixture *fixture = *state;

	old_migration(fixture, "completed", 30);
	old_migration(fixture, "completed", 30);
	run(fixture, "UPDATE migrations SET updated_us = updated_us + 1 WHERE id = 1");
	assert_int_equal(forget(fixture, forget_migrations, 30, 200), 1);
	assert_int_equal(count(fixture, "migrations WHERE id = 1"), 1);
}

static void they_go_in_batches_the_oldest_first(void **state)
{
	struct db_fixture *fixture = *state;

	for (int i = 0; i < 7; i++)
		old_migration(fixture, "completed", 40 + i);
	assert_int_equal(forget(fixture, forget_migrations, 30, 5), 5);
	assert_int_equal(count(fixture, "migrations"), 2);
	run(fixture, "DELETE FROM migrations WHERE updated_us < %lld", (long long)(FIXTURE_START_US - 41 * DAY_US - 1));
	assert_int_equal(count(fixture, "migrations"), 2);
}

static void actions_go_with_their_events_but_for_those_under_way(void **state)
{
	struct db_fixture *fixture = *state;

	for (int i = 1; i <= 3; i++) {
		run(fixture,
		    "INSERT INTO instance_actions (id, action, server_uuid, request_id, user_id, project_id, start_us, "
		    "finish_us, updated_us) VALUES (%d, 'live-migration', 'u', 'r%d', 'u', 'p', 1, 1, %lld)",
		    i, i, (long long)(FIXTURE_START_US - (i == 3 ? 1 : 40) * DAY_US));
		run(fixture,
		    "INSERT INTO instance_action_events (action_id, event, host, start_us, finish_us, result) "
		    "VALUES (%d, 'e', 'h', 1, 1, 'Success')",
		    i);
	}
	run(fixture,
	    "INSERT INTO jobs (kind, phase, server_uuid, action_id, request_id, source_host_id, target_host_id, "
	    "requested_host, is_forced, minor_version, block_migration, disk_over_commit, is_abort_requested, "
	    "is_force_complete_requested, attempt, verdict_status, is_waited_for, owner, lease_until_us, created_us, "
	    "updated_us, finished_us) VALUES ('stop','','u',1,'r',1,1,'',0,1,'',0,0,0,0,0,0,'',0,0,0,0)");
	assert_int_equal(forget(fixture, forget_actions, 30, 200), 1);
	assert_int_equal(count(fixture, "instance_actions"), 2);
	assert_int_equal(count(fixture, "instance_action_events"), 2);
	run(fixture, "UPDATE jobs SET finished_us = 5");
	assert_int_equal(forget(fixture, forget_actions, 30, 200), 1);
	assert_int_equal(count(fixture, "jobs"), 0);
}

/* On a large database they are found by the index of their age. */
static void old_rows_are_found_by_an_index(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_session *session = db_fixture_read(fixture);
	size_t found = 0;
	static const struct {
		int (*forget)(struct db_session *session, int64_t since_us, size_t most, size_t *ret_count,
			      struct error *error);
		const char *index;
	} cases[] = { { db_forget_migrations, "migrations_updated" },
		      { db_forget_actions, "instance_actions_updated" } };

	for (size_t i = 0; i < 2; i++) {
		sqlite3_stmt *explain = NULL;
		char sql[2048] = "", plan[2048] = "";

		OK(cases[i].forget(session, 0, 1, &found, &fixture->error));
		for (sqlite3_stmt *each = sqlite3_next_stmt(session->connection, NULL); each;
		     each = sqlite3_next_stmt(session->connection, each))
			if (strstr(sqlite3_sql(each), "ORDER BY updated_us LIMIT")
			    && strstr(sqlite3_sql(each), i == 0 ? "FROM migrations" : "FROM instance_actions"))
				snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", sqlite3_sql(each));
		assert_int_equal(sqlite3_prepare_v2(session->connection, sql, -1, &explain, NULL), SQLITE_OK);
		while (sqlite3_step(explain) == SQLITE_ROW) {
			size_t length = strlen(plan);

			snprintf(plan + length, sizeof(plan) - length, "%s; ",
				 (const char *)sqlite3_column_text(explain, 3));
		}
		sqlite3_finalize(explain);
		if (!strstr(plan, cases[i].index) || strstr(plan, "SCAN") || strstr(plan, "TEMP B-TREE"))
			fail_msg("%s", plan);
	}
	db_read_end(session);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ended_migrations_go_by_their_age_and_others_stay),
		TEST(what_is_still_needed_stays),
		TEST(what_is_needed_of_one_migration_keeps_no_other_of_its_server),
		TEST(age_is_counted_to_the_moment),
		TEST(they_go_in_batches_the_oldest_first),
		TEST(actions_go_with_their_events_but_for_those_under_way),
		TEST(old_rows_are_found_by_an_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
