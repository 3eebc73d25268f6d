/* os-instance-actions: which actions of a server are listed, and how much of their events each may see. */
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

#define ACTIONS 3
#define MINUTE  60000000

static const struct api_who reader = { .user = "user", .project = "project", .role = "reader" };

/* A server whose actions 0, 1 and 2 began a minute after each other; 0 has an event that failed. */
struct world {
	struct api_fixture *fixture;
	char server[UUID_SIZE], other[UUID_SIZE];
	char requests[ACTIONS][REQUEST_ID_SIZE];
};

static int insert_actions(struct db_session *session, void *context, struct error *error)
{
	struct world *world = context;
	int result = 0;

	for (int i = 0; i < ACTIONS && result == 0; i++) {
		struct db_action action = { .action = "migrate",
					    .start_us = FIXTURE_START_US + i * MINUTE,
					    .updated_us = FIXTURE_START_US + i * MINUTE };

		request_id_make(world->requests[i]);
		TEXT_COPY(action.request_id, world->requests[i]);
		TEXT_COPY(action.server_uuid, world->server);
		result = db_action_insert(session, &action, error);
		struct db_event event = { .action_id = action.id, .event = "cold_migrate", .host = "host1" };
		if (result == 0 && i == 0)
			result = db_event_insert(session, &event, error);
		if (result == 0 && i == 0)
			result = db_event_finish(session, event.id, "Error", "the trace", "the details", error);
	}
	return result;
}

static int set_up(void **state)
{
	if (api_fixture_setup_within(state, sizeof(struct world)) < 0)
		return -1;
	struct world *world = *state;
	int64_t host = db_fixture_host(world->fixture->db, "host1");

	db_fixture_server(world->fixture->db, "vm", host, world->server);
	db_fixture_server(world->fixture->db, "other", host, world->other);
	db_fixture_write(world->fixture->db, insert_actions, world);
	return 0;
}

static const struct api_answer *get(struct world *world, const struct api_who *who, int minor, const char *server,
				    const char *below)
{
	CLEANUP_FREE char *version = text_format("compute 2.%d", minor);
	CLEANUP_FREE char *path = text_format("/v2.1/servers/%s/os-instance-actions%s", server, below);

	return api_fixture_ask(world->fixture, who, version, "GET", path, NULL);
}

/* The numbers of those that are listed. */
static void expect_list(struct world *world, int minor, const char *query, const char *expected)
{
	const struct api_answer *answer = get(world, &reader, minor, world->server, query);
	CLEANUP_TEXT struct text found = TEXT_EMPTY;
	json_t *row;
	size_t index;

	text_append(&found, "");
	json_array_foreach(json_object_get(answer->document, "instanceActions"), index, row)
	{
		for (int i = 0; i < ACTIONS; i++)
			if (text_equal(json_string_value(json_object_get(row, "request_id")), world->requests[i]))
				text_append_format(&found, "%d", i);
	}
	if (answer->status != 200 || !text_equal(found.data, expected))
		fail_msg("2.%d %s: %d %s%s", minor, query, answer->status, answer->message, found.data);
}

static void actions_are_listed_newest_first_and_by_their_times(void **state)
{
	struct world *world = *state;
	CLEANUP_FREE char *behind = text_format("?marker=%s", world->requests[1]);
	CLEANUP_FREE char *page = text_format("?marker=%s&limit=1", world->requests[2]);

	expect_list(world, 1, "", "210");
	expect_list(world, 58, "", "210");
	expect_list(world, 58, behind, "0");
	expect_list(world, 58, page, "1");
	expect_list(world, 58, "?limit=2", "21");
	expect_list(world, 58, "?limit=0", "");
	expect_list(world, 57, "?limit=0", "210");
	expect_list(world, 58, "?changes-since=2026-01-02T00:01:00Z", "21");
	expect_list(world, 66, "?changes-before=2026-01-02T00:01:00Z", "10");
	expect_list(world, 66, "?changes-since=2026-01-02T00:01:00Z&changes-before=2026-01-02T00:01:00Z", "1");
	const struct api_answer *answer =
		get(world, &reader, 66, world->server,
		    "?changes-since=2026-01-02T00:01:01Z&changes-before=2026-01-02T00:01:00Z");
	assert_int_equal(answer->status, 400);
	assert_string_equal(answer->message,
			    "The value of changes-since must be less than or equal to changes-before.");
}

static const json_t *only_event(const struct api_answer *answer)
{
	const json_t *events = json_object_get(json_object_get(answer->document, "instanceAction"), "events");

	assert_int_equal(answer->status, 200);
	assert_true(json_array_size(events) <= 1);
	return json_array_get(events, 0);
}

static void events_show_what_each_microversion_and_right_allows(void **state)
{
	static const struct {
		const struct api_who *who;
		int minor;
		bool has_event, has_trace, has_host, has_host_id, has_details;
	} views[] = {
		{ &api_admin, 1, true, true, false, false, false }, { &api_admin, 61, true, true, false, false, false },
		{ &api_admin, 62, true, true, true, true, false },  { &api_admin, 83, true, true, true, true, false },
		{ &api_admin, 84, true, true, true, true, true },   { &reader, 50, false, false, false, false, false },
		{ &reader, 51, true, false, false, false, false },  { &reader, 62, true, false, false, true, false },
		{ &reader, 84, true, false, false, true, false },
	};
	struct world *world = *state;
	CLEANUP_FREE char *below = text_format("/%s", world->requests[0]);

	for (size_t i = 0; i < ARRAY_LENGTH(views); i++) {
		const json_t *event = only_event(get(world, views[i].who, views[i].minor, world->server, below));
		bool is_as_expected =
			(event != NULL) == views[i].has_event
			&& text_equal(json_string_value(json_object_get(event, "traceback")), "the trace")
				   == views[i].has_trace
			&& text_equal(json_string_value(json_object_get(event, "host")), "host1") == views[i].has_host
			&& (json_object_get(event, "hostId") != NULL) == views[i].has_host_id
			&& text_equal(json_string_value(json_object_get(event, "details")), "the details")
				   == views[i].has_details;

		if (!is_as_expected)
			fail_msg("%s at 2.%d", views[i].who == &reader ? "a reader" : "an admin", views[i].minor);
	}
}

static void an_action_is_found_below_its_own_server_alone(void **state)
{
	struct world *world = *state;
	CLEANUP_FREE char *below = text_format("/%s", world->requests[0]);
	CLEANUP_FREE char *words = text_format("Action %s not found", world->requests[0]);
	const struct api_answer *answer = get(world, &reader, 84, world->other, below);

	assert_int_equal(answer->status, 404);
	assert_string_equal(answer->message, words);
	answer = get(world, &reader, 84, world->server, "/req-nothing");
	assert_int_equal(answer->status, 404);
	assert_string_equal(answer->message, "Action req-nothing not found");
	assert_int_equal(get(world, &reader, 84, world->server, "/req%00")->status, 404);
	answer = get(world, &reader, 84, "nothing", below);
	assert_int_equal(answer->status, 404);
	assert_string_equal(answer->message, "Instance nothing could not be found.");
	/* Parameters that nobody knows are refused from 2.102 on. */
	CLEANUP_FREE char *with_query = text_format("/%s?x=1", world->requests[0]);
	assert_int_equal(get(world, &reader, 101, world->server, with_query)->status, 200);
	assert_int_equal(get(world, &reader, 102, world->server, with_query)->status, 400);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(actions_are_listed_newest_first_and_by_their_times),
		TEST(events_show_what_each_microversion_and_right_allows),
		TEST(an_action_is_found_below_its_own_server_alone),
	};

	return cmocka_run_group_tests(tests, set_up, api_fixture_teardown_within);
}
