/* Every list finds its rows by an index that fits: on a large fleet a plan that walks a whole table would stop the service.
 * The planner believes in the figures of db/planner.sql, so that an empty database shows the plans of a full one. */
#include "base/text.h"
#include "db/chores.h"
#include "db/session.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The plan of the statement that selects rows from the table and was prepared last, its steps joined by "; ". */
static void read_plan(struct db_session *session, const char *from, char *ret_plan, size_t size)
{
	char sql[8192] = "";
	sqlite3_stmt *explain = NULL;

	for (sqlite3_stmt *each = sqlite3_next_stmt(session->connection, NULL); each;
	     each = sqlite3_next_stmt(session->connection, each))
		if (strstr(sqlite3_sql(each), from) && strstr(sqlite3_sql(each), "ORDER BY") && !sql[0])
			snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", sqlite3_sql(each));
	assert_true(sql[0]);
	assert_int_equal(sqlite3_prepare_v2(session->connection, sql, -1, &explain, NULL), SQLITE_OK);
	ret_plan[0] = '\0';
	while (sqlite3_step(explain) == SQLITE_ROW) {
		size_t length = strlen(ret_plan);

		snprintf(ret_plan + length, size - length, "%s; ", (const char *)sqlite3_column_text(explain, 3));
	}
	sqlite3_finalize(explain);
}

/* The plan must use the index and walk nothing whole, unless it is in the list's own order. */
static void check_plan(const char *plan, const char *index, size_t number)
{
	if (!strstr(plan, index))
		fail_msg("case %zu does not use %s: %s", number, index, plan);
	if (strstr(plan, "SCAN") && !strstr(plan, "_created"))
		fail_msg("case %zu walks a whole table: %s", number, plan);
}

static void lists_of_servers_use_the_index_that_fits(void **state)
{
	struct db_fixture *fixture = *state;
	char uuid[UUID_SIZE];
	struct {
		struct db_server_filter filter;
		const char *index;
	} cases[] = {
		{ { .limit = 9 }, "servers_created" },
		{ { .uuid = uuid }, "uuid (uuid=?)" },
		{ { .uuid = uuid, .has_deleted = true }, "servers_uuid" },
		{ { .project_id = "p", .limit = 9 }, "servers_project (project_id=?)" },
		{ { .project_id = "p", .limit = 9, .marker = uuid },
		  "servers_project (project_id=? AND created_us<?)" },
		{ { .limit = 9, .marker = uuid }, "servers_created (created_us<?)" },
		{ { .host_id = 1 }, "servers_host (host_id=?)" },
		{ { .host_id = 1, .vm_state = "active" }, "servers_host (host_id=?)" },
		{ { .project_id = "p", .vm_state = "active", .limit = 9 }, "servers_project (project_id=?)" },
		{ { .project_id = "p", .task_state = "migrating" }, "servers_project (project_id=?)" },
		{ { .vm_state = "error", .limit = 9 }, "servers_vm_state (vm_state=?)" },
		{ { .task_state = "migrating", .limit = 9 }, "servers_task_state (task_state=?)" },
		{ { .changes_since_us = 5, .limit = 9 }, "servers_updated (updated_us>?)" },
		{ { .changes_since_us = 5, .project_id = "p" }, "servers_project (project_id=?)" },
	};

	db_fixture_server(fixture, "guest", 0, uuid);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_DB_SERVERS struct db_server_list list = { 0 };
		char plan[4096];

		db_fixture_reopen(fixture);
		struct db_session *session = db_fixture_read(fixture);
		OK(db_server_find(session, &cases[i].filter, &list, &fixture->error));
		read_plan(session, "FROM servers JOIN", plan, sizeof(plan));
		check_plan(plan, cases[i].index, i);
		db_read_end(session);
	}
}

static void lists_of_migrations_use_the_index_that_fits(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_migration migration = { 0 };
	struct {
		struct db_migration_filter filter;
		const char *index;
	} cases[] = {
		{ { .limit = 9 }, "migrations_created" },
		{ { .server_uuid = "s" }, "migrations_server (server_uuid=?)" },
		{ { .server_uuid = "s", .status = "running" }, "migrations_server (server_uuid=?)" },
		{ { .server_uuid = "s", .is_in_progress = true }, "migrations_server (server_uuid=?)" },
		{ { .is_in_progress = true }, "migrations_moving_source" },
		{ { .status = "running", .limit = 9 }, "migrations_status (status=?)" },
		{ { .type = "resize", .limit = 9 }, "migrations_type (type=?)" },
		{ { .host = "h", .limit = 9 }, "migrations_dest (dest_compute=?)" },
		{ { .host = "h", .status = "completed", .limit = 9 }, "migrations_source (source_compute=?)" },
		{ { .source_compute = "h", .limit = 9 }, "migrations_source (source_compute=?)" },
		{ { .project_id = "p", .limit = 9 }, "migrations_project (project_id=?)" },
		{ { .project_id = "p", .status = "completed" }, "migrations_project (project_id=?)" },
		{ { .user_id = "u", .type = "live-migration" }, "migrations_user (user_id=?)" },
		{ { .marker = migration.uuid, .limit = 9 }, "migrations_created (created_us<?)" },
		{ { .marker = migration.uuid, .project_id = "p", .limit = 9 },
		  "migrations_project (project_id=? AND created_us<?)" },
		{ { .changes_since_us = 5, .limit = 9 }, "migrations_updated (updated_us>?)" },
		{ { .changes_before_us = 5, .limit = 9 }, "migrations_created (created_us<?)" },
	};
	int64_t id = db_fixture_migration(fixture, "s", "h", "i");
	struct db_session *before = db_fixture_read(fixture);

	OK(db_migration_by_id(before, id, &migration, &fixture->error));
	db_read_end(before);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_DB_MIGRATIONS struct db_migration_list list = { 0 };
		char plan[4096];

		db_fixture_reopen(fixture);
		struct db_session *session = db_fixture_read(fixture);
		OK(db_migration_find(session, &cases[i].filter, &list, &fixture->error));
		read_plan(session, "FROM migrations", plan, sizeof(plan));
		check_plan(plan, cases[i].index, i);
		db_read_end(session);
	}
}

static void read_chores_of_host(struct db_fixture *fixture, struct db_session *session)
{
	CLEANUP_DB_CHORES struct db_chore_list list = { 0 };

	OK(db_chore_by_host(session, 1, &list, &fixture->error));
}

static void read_chores_of_server(struct db_fixture *fixture, struct db_session *session)
{
	CLEANUP_DB_CHORES struct db_chore_list list = { 0 };

	OK(db_chore_by_server(session, "s", &list, &fixture->error));
}

static void read_volumes_of_host(struct db_fixture *fixture, struct db_session *session)
{
	CLEANUP_DB_VOLUMES struct db_volume_list list = { 0 };

	OK(db_volume_by_host(session, 1, &list, &fixture->error));
}

static void read_kept_domain_of_migration(struct db_fixture *fixture, struct db_session *session)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };

	assert_int_equal(db_kept_domain_by_migration(session, 1, &kept, &fixture->error), -ENOENT);
}

static void read_job_of_server(struct db_fixture *fixture, struct db_session *session)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };

	assert_int_equal(db_job_unfinished_of_server(session, "s", &job, &fixture->error), -ENOENT);
}

static void read_migrations_that_have_not_ended(struct db_fixture *fixture, struct db_session *session)
{
	CLEANUP_DB_MIGRATIONS struct db_migration_list list = { 0 };

	OK(db_migration_unended_of_server(session, "s", &list, &fixture->error));
}

static void hosts_that_name_a_server_are_found_by_indexes(void **state)
{
	static const char *const indexes[] = { "servers_uuid (uuid=?)",
					       "jobs_unfinished (server_uuid=?)",
					       "migrations_server (server_uuid=?)",
					       "claims_migration (migration_id=?)",
					       "kept_domains_server (server_uuid=?)",
					       "chores_server (server_uuid=?)",
					       "hosts USING INTEGER PRIMARY KEY" };
	struct db_fixture *fixture = *state;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_HOSTS struct db_host_list list = { 0 };
	char plan[4096];

	OK(db_host_naming_server(session, "s", &list, &fixture->error));
	read_plan(session, "FROM hosts JOIN", plan, sizeof(plan));
	for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++)
		check_plan(plan, indexes[i], i);
}

static void what_a_host_or_a_server_leaves_is_found_by_an_index(void **state)
{
	struct db_fixture *fixture = *state;
	static const struct {
		void (*read)(struct db_fixture *fixture, struct db_session *session);
		const char *from;
		const char *index;
	} cases[] = {
		{ read_chores_of_host, "FROM chores", "chores_host (host_id=?)" },
		{ read_chores_of_server, "FROM chores", "chores_server (server_uuid=?)" },
		{ read_volumes_of_host, "FROM volumes", "sqlite_autoindex_volumes_1 (host_id=?)" },
		{ read_kept_domain_of_migration, "FROM kept_domains", "kept_domains_migration (migration_id=?)" },
		{ read_migrations_that_have_not_ended, "FROM migrations", "migrations_server (server_uuid=?)" },
		{ read_job_of_server, "FROM jobs", "jobs_unfinished (server_uuid=?)" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char plan[4096];

		db_fixture_reopen(fixture);
		struct db_session *session = db_fixture_read(fixture);
		cases[i].read(fixture, session);
		read_plan(session, cases[i].from, plan, sizeof(plan));
		check_plan(plan, cases[i].index, i);
		db_read_end(session);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lists_of_servers_use_the_index_that_fits),
		TEST(lists_of_migrations_use_the_index_that_fits),
		TEST(hosts_that_name_a_server_are_found_by_indexes),
		TEST(what_a_host_or_a_server_leaves_is_found_by_an_index),
	};

	return cmocka_run_group_tests_name("db_plans", tests, NULL, NULL);
}
