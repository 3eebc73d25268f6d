/* What operators change over HTTP: services, and live migrations on their way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>

#include "api_fixture.h"
#include "base/text.h"

#define VERSION "compute 2.90"

static struct db_service service_of(struct api_fixture *fixture, int64_t host_id)
{
	struct db_session *session = db_fixture_read(fixture->db);
	struct db_host host = { 0 };
	struct db_service service;

	assert_int_equal(db_host_by_id(session, host_id, &host, NULL), 0);
	service = host.service;
	service.disabled_reason = NULL;
	db_host_clear(&host);
	db_read_end(session);
	return service;
}

static const struct api_answer *change_service(struct api_fixture *fixture, int64_t host_id, const char *method,
					       const char *body)
{
	char path[128];
	struct db_service service = service_of(fixture, host_id);

	snprintf(path, sizeof(path), "/v2.1/os-services/%s", service.uuid);
	return api_fixture_ask(fixture, &api_admin, VERSION, method, path, body);
}

static void a_service_is_disabled_with_a_reason_until_it_is_enabled(void **state)
{
	struct api_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture->db, "host1");
	const struct api_answer *answer =
		change_service(fixture, host, "PUT", "{\"status\": \"disabled\", \"disabled_reason\": \"work\"}");
	json_t *service = json_object_get(answer->document, "service");

	assert_int_equal(answer->status, 200);
	assert_string_equal(json_string_value(json_object_get(service, "disabled_reason")), "work");
	assert_true(service_of(fixture, host).is_disabled);
	answer = change_service(fixture, host, "PUT", "{\"status\": \"enabled\"}");
	service = json_object_get(answer->document, "service");
	assert_true(json_is_null(json_object_get(service, "disabled_reason")));
	assert_false(service_of(fixture, host).is_disabled);
}

static void a_service_that_is_forced_down_counts_as_down(void **state)
{
	struct api_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture->db, "host1");

	assert_int_equal(change_service(fixture, host, "PUT", "{\"forced_down\": true}")->status, 200);
	struct db_service service = service_of(fixture, host);
	assert_false(db_service_is_up(&service));
}

static void a_host_goes_with_its_service_but_not_under_a_server(void **state)
{
	struct api_fixture *fixture = *state;
	int64_t full = db_fixture_host(fixture->db, "host1"), empty = db_fixture_host(fixture->db, "host2");

	db_fixture_server(fixture->db, "vm", full, NULL);
	assert_int_equal(change_service(fixture, full, "DELETE", NULL)->status, 409);
	assert_string_equal(service_of(fixture, full).host, "host1");
	assert_int_equal(change_service(fixture, empty, "DELETE", NULL)->status, 204);

	struct db_session *session = db_fixture_read(fixture->db);
	struct db_host gone = { 0 };
	assert_int_equal(db_host_by_name(session, "host2", &gone, NULL), -ENOENT);
	db_read_end(session);
}

struct move {
	char server[UUID_SIZE];
	int64_t migration;
	const char *status;
	struct db_job job;
};

static int write_move(struct db_session *session, void *context, struct error *error)
{
	struct move *move = context;
	int result = db_server_set_state(session, move->server, NULL, "migrating", error);

	move->job = (struct db_job){ .migration_id = move->migration, .source_host_id = 1 };
	TEXT_COPY(move->job.kind, "live");
	TEXT_COPY(move->job.server_uuid, move->server);
	if (result == 0)
		result = db_job_insert(session, &move->job, error);
	return result < 0 ? result : db_migration_set_status(session, move->migration, move->status, error);
}

static struct move begin_move(struct api_fixture *fixture, const char *status)
{
	struct move move = { .status = status };
	int64_t host = db_fixture_host(fixture->db, "host1");

	db_fixture_host(fixture->db, "host2");
	db_fixture_server(fixture->db, "vm", host, move.server);
	move.migration = db_fixture_migration(fixture->db, move.server, "host1", "host2");
	db_fixture_write(fixture->db, write_move, &move);
	return move;
}

static const struct api_answer *ask_of_move(struct api_fixture *fixture, const struct move *move, const char *version,
					    bool is_abort)
{
	char path[160];

	snprintf(path, sizeof(path), "/v2.1/servers/%s/migrations/%" PRId64 "%s", move->server, move->migration,
		 is_abort ? "" : "/action");
	return api_fixture_ask(fixture, &api_admin, version, is_abort ? "DELETE" : "POST", path,
			       is_abort ? NULL : "{\"force_complete\": null}");
}

static void the_worker_hears_of_an_abort_and_of_a_hurry(void **state)
{
	struct api_fixture *fixture = *state;
	struct move move = begin_move(fixture, "running");
	struct db_job job = { 0 };

	assert_int_equal(ask_of_move(fixture, &move, VERSION, true)->status, 202);
	assert_int_equal(ask_of_move(fixture, &move, VERSION, false)->status, 202);

	struct db_session *session = db_fixture_read(fixture->db);
	assert_int_equal(db_job_by_id(session, move.job.id, &job, NULL), 0);
	db_read_end(session);
	assert_true(job.is_abort_requested);
	assert_true(job.is_force_complete_requested);
	db_job_clear(&job);
}

static void what_has_not_begun_to_copy_is_aborted_from_2_65_on(void **state)
{
	struct api_fixture *fixture = *state;
	struct move move = begin_move(fixture, "preparing");

	assert_int_equal(ask_of_move(fixture, &move, "compute 2.64", true)->status, 400);
	assert_int_equal(ask_of_move(fixture, &move, "compute 2.65", true)->status, 202);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, api_fixture_setup, api_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_service_is_disabled_with_a_reason_until_it_is_enabled),
		TEST(a_service_that_is_forced_down_counts_as_down),
		TEST(a_host_goes_with_its_service_but_not_under_a_server),
		TEST(the_worker_hears_of_an_abort_and_of_a_hurry),
		TEST(what_has_not_begun_to_copy_is_aborted_from_2_65_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
