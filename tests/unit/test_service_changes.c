/* Changes of os-services, at the microversions where they look different: what is taken, what is answered, and that a refusal
 * changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/text.h"

#define HOST1          "\"host\": \"host1\", \"binary\": \"nova-compute\""
#define UNKNOWN        "11111111-0000-4000-8000-000000000000"
#define UNKNOWN_ACTION "Unknown action"

struct world {
	struct api_fixture *fixture;
	int64_t host1, host2;
	struct db_service own; /* the daemon's own scheduler */
};

static int insert_service(struct db_session *session, void *context, struct error *error)
{
	return db_service_insert(session, context, error);
}

static int set_up(void **state)
{
	if (api_fixture_setup_within(state, sizeof(struct world)) < 0)
		return -1;
	struct world *world = *state;
	world->host1 = db_fixture_host(world->fixture->db, "host1");
	world->host2 = db_fixture_host(world->fixture->db, "host2");
	world->own =
		(struct db_service){ .binary = "nova-scheduler", .host = "node-1", .zone = "internal", .is_up = true };
	db_fixture_write(world->fixture->db, insert_service, &world->own);
	return 0;
}

/* One line a service. */
static char *services_of(struct world *world)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(world->fixture->db);
	CLEANUP_DB_SERVICES struct db_service_list list = { 0 };
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	assert_int_equal(db_service_all(session, &list, NULL), 0);
	for (size_t i = 0; i < list.count; i++)
		text_append_format(&text, "%s %s %s %s%s\n", list.items[i].host, list.items[i].binary,
				   list.items[i].is_disabled ? "disabled" : "enabled",
				   list.items[i].is_forced_down ? "down" : "",
				   list.items[i].disabled_reason ? list.items[i].disabled_reason : "");
	return text_take(&text);
}

static struct db_service service_of(struct world *world, int64_t host_id)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(world->fixture->db);
	CLEANUP_DB_HOST struct db_host host = { 0 };

	assert_int_equal(db_host_by_id(session, host_id, &host, NULL), 0);
	struct db_service service = host.service;
	service.disabled_reason = NULL;
	return service;
}

static const struct api_answer *ask(struct world *world, int minor, const char *method, const char *id,
				    const char *body)
{
	CLEANUP_FREE char *version = text_format("compute 2.%d", minor);
	CLEANUP_FREE char *path = text_format("/v2.1/os-services/%s", id);

	return api_fixture_ask(world->fixture, &api_admin, version, method, path, body);
}

static void expect_answer(const struct api_answer *answer, const char *what, int status, const char *message)
{
	if (answer->status != status || !text_equal(answer->message, message))
		fail_msg("%s: %d %s", what, answer->status, answer->message);
}

static void expect_document(const struct api_answer *answer, const char *what, const char *expected)
{
	json_t *document = json_loads(expected, 0, NULL);
	CLEANUP_FREE char *found = json_dumps(answer->document, JSON_COMPACT);

	if (!json_equal(answer->document, document))
		fail_msg("%s: %s", what, found);
	json_decref(document);
}

/* Answers tell what was asked for and no more. */
static void before_2_53_the_path_says_what_changes_and_the_body_of_whom(void **state)
{
	static const struct {
		int minor;
		const char *action, *body, *document, *after;
	} steps[] = {
		{ 1, "disable", "{" HOST1 "}", "{\"service\": {" HOST1 ", \"status\": \"disabled\"}}", "disabled " },
		{ 1, "enable", "{" HOST1 "}", "{\"service\": {" HOST1 ", \"status\": \"enabled\"}}", "enabled " },
		{ 10, "disable-log-reason", "{" HOST1 ", \"disabled_reason\": \"work\"}",
		  "{\"service\": {" HOST1 ", \"status\": \"disabled\", \"disabled_reason\": \"work\"}}",
		  "disabled work" },
		{ 11, "force-down", "{" HOST1 ", \"forced_down\": true}",
		  "{\"service\": {" HOST1 ", \"forced_down\": true}}", "disabled downwork" },
		{ 52, "force-down", "{" HOST1 ", \"forced_down\": \"off\"}",
		  "{\"service\": {" HOST1 ", \"forced_down\": false}}", "disabled work" },
		/* A reason goes with the state that it is of. */
		{ 52, "disable", "{" HOST1 ", \"disabled_reason\": \"other\"}",
		  "{\"service\": {" HOST1 ", \"status\": \"disabled\"}}", "disabled " },
		{ 52, "enable", "{" HOST1 ", \"forced_down\": true}",
		  "{\"service\": {" HOST1 ", \"status\": \"enabled\"}}", "enabled " },
	};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
		const struct api_answer *answer = ask(world, steps[i].minor, "PUT", steps[i].action, steps[i].body);
		CLEANUP_FREE char *expected = text_format("host1 nova-compute %s\nhost2 nova-compute enabled \n"
							  "node-1 nova-scheduler enabled \n",
							  steps[i].after);

		expect_answer(answer, steps[i].action, 200, "");
		expect_document(answer, steps[i].action, steps[i].document);
		CLEANUP_FREE char *services = services_of(world);
		assert_string_equal(services, expected);
	}
}

static void before_2_53_a_change_that_is_refused_changes_nothing(void **state)
{
	static const struct {
		int minor, status;
		const char *action, *body, *message;
	} refused[] = {
		{ 1, 404, "erase", "{" HOST1 "}", UNKNOWN_ACTION },
		{ 52, 404, "erase", "{" HOST1 ", \"forced_down\": true}", UNKNOWN_ACTION },
		{ 52, 404, "Disable", "{" HOST1 "}", UNKNOWN_ACTION },
		{ 10, 404, "force-down", "{" HOST1 "}", UNKNOWN_ACTION },
		{ 52, 400, "force-down", "{" HOST1 "}", "Missing forced_down field" },
		{ 1, 400, "disable-log-reason", "{" HOST1 "}", "Missing disabled reason field" },
		{ 52, 404, "disable", "{\"host\": \"host3\", \"binary\": \"nova-compute\"}",
		  "Host 'host3' is not mapped to any cell" },
		{ 52, 404, "disable", "{\"host\": \"host1\", \"binary\": \"nova-scheduler\"}",
		  "Host 'host1' is not mapped to any cell" },
		{ 52, 400, "disable", "{\"binary\": \"nova-compute\"}", "'host' is a required property" },
		{ 52, 400, "disable", "{\"host\": \"host1\"}", "'binary' is a required property" },
		{ 10, 400, "disable", "{" HOST1 ", \"forced_down\": true}",
		  "Additional properties are not allowed ('forced_down' was unexpected)" },
		{ 52, 400, "disable", "{" HOST1, "Malformed request body" },
	};
	struct world *world = *state;
	CLEANUP_FREE char *before = services_of(world);

	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
		expect_answer(ask(world, refused[i].minor, "PUT", refused[i].action, refused[i].body),
			      refused[i].action, refused[i].status, refused[i].message);
		CLEANUP_FREE char *after = services_of(world);
		assert_string_equal(before, after);
	}
}

static void since_2_53_the_uuid_says_of_whom_and_what_is_not_named_stays(void **state)
{
	static const struct {
		const char *body, *status, *reason;
		bool is_forced_down;
	} steps[] = {
		{ "{\"status\": \"disabled\", \"disabled_reason\": \"work\"}", "disabled", "work", false },
		{ "{\"forced_down\": true}", "disabled", "work", true },
		{ "{\"status\": \"disabled\"}", "disabled", NULL, true },
		{ "{\"status\": \"disabled\", \"disabled_reason\": \"more\", \"forced_down\": false}", "disabled",
		  "more", false },
		{ "{\"status\": \"enabled\", \"forced_down\": true}", "enabled", NULL, true },
	};
	struct world *world = *state;
	struct db_service service = service_of(world, world->host1);

	for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
		const struct api_answer *answer = ask(world, 53, "PUT", service.uuid, steps[i].body);
		const json_t *shown = json_object_get(answer->document, "service");

		expect_answer(answer, steps[i].body, 200, "");
		assert_string_equal(json_string_value(json_object_get(shown, "id")), service.uuid);
		assert_string_equal(json_string_value(json_object_get(shown, "host")), "host1");
		assert_string_equal(json_string_value(json_object_get(shown, "status")), steps[i].status);
		assert_true(text_equal(json_string_value(json_object_get(shown, "disabled_reason")), steps[i].reason)
			    || (!steps[i].reason && json_is_null(json_object_get(shown, "disabled_reason"))));
		assert_int_equal(json_is_true(json_object_get(shown, "forced_down")), steps[i].is_forced_down);
		assert_string_equal(json_string_value(json_object_get(shown, "state")),
				    steps[i].is_forced_down ? "down" : "up");
		CLEANUP_FREE char *expected = text_format("host1 nova-compute %s %s%s\nhost2 nova-compute enabled \n"
							  "node-1 nova-scheduler enabled \n",
							  steps[i].status, steps[i].is_forced_down ? "down" : "",
							  steps[i].reason ? steps[i].reason : "");
		CLEANUP_FREE char *services = services_of(world);
		assert_string_equal(services, expected);
	}
}

static void since_2_53_a_change_that_is_refused_changes_nothing(void **state)
{
	struct world *world = *state;
	struct db_service service = service_of(world, world->host1);
	const struct {
		const char *id, *body;
		int status;
		const char *message;
	} refused[] = {
		{ service.uuid, "{}", 400,
		  "No updates were requested. Fields 'status' or 'forced_down' should be specified." },
		{ service.uuid, "{\"disabled_reason\": \"work\"}", 400,
		  "No updates were requested. Fields 'status' or 'forced_down' should be specified." },
		{ service.uuid, "{\"status\": \"enabled\", \"disabled_reason\": \"work\"}", 400,
		  "Specifying 'disabled_reason' when status is 'enabled' is invalid." },
		{ service.uuid, "{\"forced_down\": true, \"disabled_reason\": \"work\"}", 400,
		  "Specifying 'disabled_reason' when status is 'enabled' is invalid." },
		{ service.uuid, "{\"status\": \"disabled\", \"host\": \"host1\"}", 400,
		  "Additional properties are not allowed ('host' was unexpected)" },
		{ "disable", "{\"status\": \"disabled\"}", 400, "Invalid uuid disable" },
		{ UNKNOWN, "{\"status\": \"disabled\"}", 404, "Service " UNKNOWN " not found." },
	};
	CLEANUP_FREE char *before = services_of(world);

	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
		expect_answer(ask(world, 53, "PUT", refused[i].id, refused[i].body), refused[i].body, refused[i].status,
			      refused[i].message);
		CLEANUP_FREE char *after = services_of(world);
		assert_string_equal(before, after);
	}
}

/* The server is on host1 now, and moves to host2 again. */
static int move_again(struct db_session *session, void *context, struct error *error)
{
	const char *uuid = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	struct db_job job = { .kind = "live", .source_host_id = 1, .target_host_id = 2 };
	int result = db_server_by_uuid(session, uuid, &server, error);

	TEXT_COPY(job.server_uuid, uuid);
	server.host_id = 1;
	if (result == 0)
		result = db_server_update(session, &server, error);
	return result < 0 ? result : db_job_insert(session, &job, error);
}

static void expect_not_deleted(struct world *world, int minor, const char *id, int status, const char *message)
{
	CLEANUP_FREE char *before = services_of(world);

	expect_answer(ask(world, minor, "DELETE", id, NULL), id, status, message);
	CLEANUP_FREE char *after = services_of(world);
	assert_string_equal(before, after);
}

static void a_service_is_deleted_by_its_number_before_2_53_and_by_its_uuid_since(void **state)
{
	struct world *world = *state;
	struct db_service first = service_of(world, world->host1), second = service_of(world, world->host2);
	CLEANUP_FREE char *number = text_format("%lld", (long long)first.id);
	CLEANUP_FREE char *own_number = text_format("%lld", (long long)world->own.id);
	static const char no_integer[] = "Invalid input received: id must be an integer";
	static const char own[] = "This service is a part of the daemon that answers.";

	expect_not_deleted(world, 52, second.uuid, 400, no_integer);
	expect_not_deleted(world, 52, "0", 400, no_integer);
	expect_not_deleted(world, 52, "-1", 400, no_integer);
	expect_not_deleted(world, 52, "99", 404, "Service 99 not found.");
	expect_not_deleted(world, 52, own_number, 409, own);
	CLEANUP_FREE char *words = text_format("Invalid uuid %s", number);
	expect_not_deleted(world, 53, number, 400, words);
	expect_not_deleted(world, 53, UNKNOWN, 404, "Service " UNKNOWN " not found.");
	expect_not_deleted(world, 53, world->own.uuid, 409, own);

	expect_answer(ask(world, 52, "DELETE", number, NULL), number, 204, "");
	expect_answer(ask(world, 53, "DELETE", second.uuid, NULL), second.uuid, 204, "");
	CLEANUP_FREE char *after = services_of(world);
	assert_string_equal(after, "node-1 nova-scheduler enabled \n");
}

static void a_service_whose_host_has_servers_or_migrations_is_not_deleted(void **state)
{
	struct world *world = *state;
	struct db_service service = service_of(world, world->host2);
	char server[UUID_SIZE];

	db_fixture_server(world->fixture->db, "vm", world->host2, server);
	expect_not_deleted(
		world, 53, service.uuid, 409,
		"Unable to delete compute service that is hosting instances. Migrate or delete the instances "
		"first.");
	db_fixture_write(world->fixture->db, move_again, server);
	expect_not_deleted(world, 53, service.uuid, 409,
			   "Unable to delete compute service that has in-progress migrations. Complete the migrations "
			   "first then delete the service again.");
}

static void services_are_listed_by_host_and_by_binary(void **state)
{
	static const struct {
		const char *query, *hosts;
	} lists[] = {
		{ "", "host1 host2 node-1 " },
		{ "?host=host2", "host2 " },
		{ "?host=host9", "" },
		{ "?host=", "host1 host2 node-1 " },
		{ "?binary=nova-compute", "host1 host2 " },
		{ "?binary=nova-scheduler", "node-1 " },
		{ "?binary=nova", "" },
		{ "?host=host1&binary=nova-compute", "host1 " },
		{ "?host=host1&binary=nova-scheduler", "" },
	};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		CLEANUP_FREE char *path = text_format("/v2.1/os-services%s", lists[i].query);
		const struct api_answer *answer =
			api_fixture_ask(world->fixture, &api_admin, "compute 2.90", "GET", path, NULL);
		CLEANUP_TEXT struct text hosts = TEXT_EMPTY;
		json_t *service;
		size_t index;

		text_append(&hosts, "");
		json_array_foreach(json_object_get(answer->document, "services"), index, service)
			text_append_format(&hosts, "%s ", json_string_value(json_object_get(service, "host")));
		if (answer->status != 200 || !text_equal(hosts.data, lists[i].hosts))
			fail_msg("%s: %d %s", lists[i].query, answer->status, hosts.data);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, api_fixture_teardown_within)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(services_are_listed_by_host_and_by_binary),
		TEST(before_2_53_the_path_says_what_changes_and_the_body_of_whom),
		TEST(before_2_53_a_change_that_is_refused_changes_nothing),
		TEST(since_2_53_the_uuid_says_of_whom_and_what_is_not_named_stays),
		TEST(since_2_53_a_change_that_is_refused_changes_nothing),
		TEST(a_service_is_deleted_by_its_number_before_2_53_and_by_its_uuid_since),
		TEST(a_service_whose_host_has_servers_or_migrations_is_not_deleted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
