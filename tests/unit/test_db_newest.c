/* Where several rows fit, the newest is read, also when it is not the one that was changed last; and a list that was cleared is empty. */
#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/flavors.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SERVER  "5e0a6b8c-0000-4000-8000-000000000001"
#define ANOTHER "5e0a6b8c-0000-4000-8000-000000000002"

#define STEP(call)                                                                                                     \
	do {                                                                                                           \
		int step_result = (call);                                                                              \
		if (step_result < 0)                                                                                   \
			return step_result;                                                                            \
	} while (0)

static int insert_one_of_each(struct db_session *session, const char *server_uuid, int64_t migration_id,
			      struct error *error)
{
	struct db_migration migration = { .status = "finished", .created_us = 1 };
	struct db_job job = { .kind = "cold", .migration_id = migration_id, .action_id = 1, .finished_us = 1 };
	struct db_action action = { .action = "migrate", .request_id = "req-1" };
	struct db_kept_domain kept = { .host_id = 1, .migration_id = migration_id };

	TEXT_COPY(migration.server_uuid, server_uuid);
	TEXT_COPY(job.server_uuid, server_uuid);
	TEXT_COPY(action.server_uuid, server_uuid);
	TEXT_COPY(kept.server_uuid, server_uuid);
	STEP(db_migration_insert(session, &migration, error));
	STEP(db_job_insert(session, &job, error));
	STEP(db_action_insert(session, &action, error));
	STEP(db_kept_domain_insert(session, &kept, error));
	struct db_event event = { .action_id = 1, .event = "e" };
	return db_event_insert(session, &event, error);
}

/* 1 to 3 are the server's, 4 is another one's; the first one was changed last. */
static int insert_several(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_JOB struct db_job first = { 0 };

	(void)context;
	for (int i = 0; i < 3; i++)
		STEP(insert_one_of_each(session, SERVER, 1, error));
	STEP(insert_one_of_each(session, ANOTHER, 4, error));
	STEP(db_migration_set_source_node(session, 1, "node", error));
	STEP(db_action_finish(session, 1, NULL, error));
	STEP(db_job_by_id(session, 1, &first, error));
	return db_job_update(session, &first, error);
}

static void newest_of_several_rows_is_read(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_JOB struct db_job job = { 0 };
	CLEANUP_DB_ACTION struct db_action action = { 0 };
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain of_server = { 0 };
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain of_migration = { 0 };
	CLEANUP_DB_EVENTS struct db_event_list events = { 0 };
	struct db_migration migration = { 0 };

	db_fixture_host(fixture, "one");
	db_fixture_write(fixture, insert_several, NULL);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_migration_by_server_and_status(session, SERVER, "finished", &migration, &fixture->error));
	assert_int_equal(migration.id, 3);
	OK(db_job_by_migration(session, 1, &job, &fixture->error));
	assert_int_equal(job.id, 3);
	OK(db_action_by_request(session, SERVER, "req-1", &action, &fixture->error));
	assert_int_equal(action.id, 3);
	OK(db_kept_domain_by_server(session, SERVER, &of_server, &fixture->error));
	assert_int_equal(of_server.id, 3);
	OK(db_kept_domain_by_migration(session, 1, &of_migration, &fixture->error));
	assert_int_equal(of_migration.id, 3);
	OK(db_event_by_action(session, 1, &events, &fixture->error));
	assert_int_equal(events.count, 4);
	for (size_t i = 0; i < events.count; i++)
		assert_int_equal(events.items[i].id, 4 - i);
}

/* It can be cleared again, and filled again. */
static void list_that_was_cleared_is_empty(void **state)
{
#define CHECK_CLEARED(type, clear)                                                                                     \
	do {                                                                                                           \
		struct type list = { .items = calloc(2, sizeof(*list.items)), .count = 2 };                            \
		assert_non_null(list.items);                                                                           \
		clear(&list);                                                                                          \
		assert_null(list.items);                                                                               \
		assert_int_equal(list.count, 0);                                                                       \
		clear(&list);                                                                                          \
	} while (0)

	(void)state;
	CHECK_CLEARED(db_service_list, db_service_list_clear);
	CHECK_CLEARED(db_host_list, db_host_list_clear);
	CHECK_CLEARED(db_host_usage_list, db_host_usage_list_clear);
	CHECK_CLEARED(db_server_list, db_server_list_clear);
	CHECK_CLEARED(db_flavor_list, db_flavor_list_clear);
	CHECK_CLEARED(db_migration_list, db_migration_list_clear);
	CHECK_CLEARED(db_job_list, db_job_list_clear);
	CHECK_CLEARED(db_claim_list, db_claim_list_clear);
	CHECK_CLEARED(db_chore_list, db_chore_list_clear);
	CHECK_CLEARED(db_volume_list, db_volume_list_clear);
	CHECK_CLEARED(db_action_list, db_action_list_clear);
	CHECK_CLEARED(db_event_list, db_event_list_clear);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(newest_of_several_rows_is_read),
		cmocka_unit_test(list_that_was_cleared_is_empty),
	};

	return cmocka_run_group_tests_name("db_newest", tests, NULL, NULL);
}
