/* Lists in pages: cut at max_limit and at `limit`, each page leading to the next, so that walking gives every row once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/microversion.h"
#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/text.h"

#define ROWS      5
#define MAX_LIMIT 2
#define ENDPOINT  "http://nova.example:8774"

/* A list with ROWS rows. */
struct paged {
	const char *path; /* behind /v2.1; %s is the server */
	const char *query; /* that it is asked with; "" or ending in & */
	const char *list, *id; /* of the rows, by which a marker names them */
	const char *links;
	int first_minor; /* since which it has pages */
	bool has_empty_marker; /* which counts as none */
	const char *unknown; /* what is said of a marker that is none */
};

#define SERVERS_WORDS "marker [nothing] not found"

static const struct paged lists[] = {
	{ "/servers", "", "servers", "id", "servers_links", 1, true, SERVERS_WORDS },
	{ "/servers/detail", "", "servers", "id", "servers_links", 1, true, SERVERS_WORDS },
	{ "/servers", "all_tenants=1&", "servers", "id", "servers_links", 1, true, SERVERS_WORDS },
	/* Filtered and sorted outside the database. */
	{ "/servers", "name=vm&", "servers", "id", "servers_links", 1, true, SERVERS_WORDS },
	{ "/servers/detail", "status=ACTIVE&", "servers", "id", "servers_links", 1, true, SERVERS_WORDS },
	{ "/servers", "sort_key=display_name&", "servers", "id", "servers_links", 1, true, SERVERS_WORDS },
	{ "/os-migrations", "", "migrations", "uuid", "migrations_links", 59, true,
	  "Marker nothing could not be found." },
	{ "/os-migrations", "status=accepted&", "migrations", "uuid", "migrations_links", 59, true,
	  "Marker nothing could not be found." },
	{ "/servers/%s/os-instance-actions", "", "instanceActions", "request_id", "links", 58, false,
	  "Marker None could not be found." },
	{ "/os-hypervisors", "", "hypervisors", "id", "hypervisors_links", 33, false, "marker [nothing] not found" },
	{ "/os-hypervisors/detail", "", "hypervisors", "id", "hypervisors_links", 33, false,
	  "marker [nothing] not found" },
	{ "/flavors", "", "flavors", "id", "flavors_links", 1, false, "marker [nothing] not found" },
	{ "/flavors/detail", "", "flavors", "id", "flavors_links", 1, false, "marker [nothing] not found" },
};

struct world {
	struct api_fixture *fixture;
	char server[UUID_SIZE];
};

static int insert_rows(struct db_session *session, void *context, struct error *error)
{
	struct world *world = context;
	int result = 0;

	for (int i = 0; i < ROWS && result == 0; i++) {
		CLEANUP_DB_SERVER struct db_server server = {
			.project_id = "admin-project",
			.user_id = "admin-user",
			.host_id = 1,
			.vm_state = "active",
			.power_state = 1,
			.created_us = FIXTURE_START_US, /* all at once: the order is the ids' */
			.flavor = { .vcpus = 1, .memory_mb = 64, .disk_gb = 1 },
		};
		struct db_action action = { .action = "migrate" };

		snprintf(server.name, sizeof(server.name), "vm-%d", i);
		snprintf(server.flavor.flavor_id, sizeof(server.flavor.flavor_id), "flavor-%d", i);
		TEXT_COPY(server.flavor.name, server.flavor.flavor_id);
		uuid_make(server.uuid);
		if (i == 0)
			TEXT_COPY(world->server, server.uuid);
		request_id_make(action.request_id);
		TEXT_COPY(action.server_uuid, world->server);
		result = db_server_insert(session, &server, error);
		if (result == 0)
			result = db_action_insert(session, &action, error);
	}
	return result;
}

static int set_up(void **state)
{
	if (api_fixture_setup_within(state, sizeof(struct world)) < 0)
		return -1;
	struct world *world = *state;
	for (int i = 0; i < ROWS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "host%d", i + 1);
		db_fixture_host(world->fixture->db, name);
	}
	db_fixture_write(world->fixture->db, insert_rows, world);
	for (int i = 0; i < ROWS; i++)
		db_fixture_migration(world->fixture->db, world->server, "host1", "host2");
	world->fixture->settings.max_limit = MAX_LIMIT;
	api_fixture_renew(world->fixture);
	return 0;
}

static const struct api_answer *ask(struct world *world, const struct paged *paged, int minor, const char *query)
{
	CLEANUP_FREE char *version = text_format("compute 2.%d", minor);
	const char *place = strstr(paged->path, "%s");
	CLEANUP_TEXT struct text path = TEXT_EMPTY;

	text_append(&path, "/v2.1");
	text_append_bytes(&path, paged->path, place ? (size_t)(place - paged->path) : strlen(paged->path));
	if (place)
		text_append_format(&path, "%s%s", world->server, place + 2);
	text_append_format(&path, "?%s%s", paged->query, query);
	return api_fixture_ask(world->fixture, &api_admin, version, "GET", path.data, NULL);
}

static size_t count(const struct paged *paged, const struct api_answer *answer, const char *query)
{
	if (answer->status != 200)
		fail_msg("%s?%s%s: %d %s", paged->path, paged->query, query, answer->status, answer->message);
	return json_array_size(json_object_get(answer->document, paged->list));
}

/* The next page's; NULL: none. */
static const char *link_of(const struct paged *paged, const struct api_answer *answer)
{
	const json_t *link = json_array_get(json_object_get(answer->document, paged->links), 0);

	return json_string_value(json_object_get(link, "href"));
}

static void a_page_is_cut_at_its_limit_and_at_max_limit(void **state)
{
	static const struct {
		const char *query;
		size_t rows;
	} limits[] = {
		{ "", 2 },        { "limit=0", 0 }, { "limit=1", 1 },
		{ "limit=2", 2 }, { "limit=3", 2 }, { "limit=02", 2 },
		{ "limit=5", 2 }, { "limit=6", 2 }, { "limit=99999999999999999999", 2 },
	};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(lists) * ARRAY_LENGTH(limits); i++) {
		const struct paged *paged = &lists[i / ARRAY_LENGTH(limits)];
		const char *query = limits[i % ARRAY_LENGTH(limits)].query;
		size_t expected = limits[i % ARRAY_LENGTH(limits)].rows;
		const struct api_answer *answer = ask(world, paged, MICROVERSION_MINOR_MAX, query);

		if (count(paged, answer, query) != expected || (link_of(paged, answer) != NULL) != (expected > 0))
			fail_msg("%s?%s%s: %zu rows, link %s", paged->path, paged->query, query,
				 count(paged, answer, query), link_of(paged, answer));
	}
}

static void the_link_leads_into_the_list_that_was_asked_for(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		const char *place = strstr(lists[i].path, "%s");
		CLEANUP_TEXT struct text expected = TEXT_EMPTY;

		text_append(&expected, ENDPOINT "/v2.1");
		text_append_bytes(&expected, lists[i].path,
				  place ? (size_t)(place - lists[i].path) : strlen(lists[i].path));
		if (place)
			text_append_format(&expected, "%s%s", world->server, place + 2);
		text_append(&expected, "?");
		const char *link = link_of(&lists[i], ask(world, &lists[i], MICROVERSION_MINOR_MAX, ""));
		if (!text_starts_with(link, expected.data))
			fail_msg("%s leads to %s", lists[i].path, link);
	}
}

static void the_setting_alone_is_what_cuts(void **state)
{
	static const int64_t bounds[] = { 1, ROWS - 1, ROWS, ROWS + 1 };
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(lists) * ARRAY_LENGTH(bounds); i++) {
		const struct paged *paged = &lists[i % ARRAY_LENGTH(lists)];
		size_t bound = (size_t)bounds[i / ARRAY_LENGTH(lists)];

		world->fixture->settings.max_limit = (int64_t)bound;
		api_fixture_renew(world->fixture);
		const struct api_answer *answer = ask(world, paged, MICROVERSION_MINOR_MAX, "limit=1000");

		assert_int_equal(count(paged, answer, "limit=1000"), bound < ROWS ? bound : ROWS);
		/* A full page has a link, even where no row follows. */
		assert_int_equal(link_of(paged, answer) != NULL, bound <= ROWS);
	}
}

static void what_is_no_limit_is_refused(void **state)
{
	static const char *const odd[] = { "limit=",  "limit=-1",        "limit=+1",   "limit=1.5",
					   "limit=x", "limit=1&limit=x", "limit=%201", "limit=1%00" };
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(lists) * ARRAY_LENGTH(odd); i++)
		assert_int_equal(
			ask(world, &lists[i / ARRAY_LENGTH(odd)], MICROVERSION_MINOR_MAX, odd[i % ARRAY_LENGTH(odd)])
				->status,
			400);
}

/* Follows the links; the ids of all rows, each once, in `ret_ids`. */
static void walk(struct world *world, const struct paged *paged, const char *query, json_t *ret_ids)
{
	CLEANUP_FREE char *version = text_format("compute 2.%d", MICROVERSION_MINOR_MAX);
	const struct api_answer *answer = ask(world, paged, MICROVERSION_MINOR_MAX, query);

	for (size_t page = 0; page < 2 * ROWS; page++) {
		json_t *rows = json_object_get(answer->document, paged->list);
		json_t *row;
		size_t index;

		assert_true(count(paged, answer, query) <= MAX_LIMIT);
		json_array_foreach(rows, index, row)
		{
			json_t *id = json_object_get(row, paged->id);

			for (size_t i = 0; i < json_array_size(ret_ids); i++)
				if (json_equal(json_array_get(ret_ids, i), id))
					fail_msg("%s?%s: a row comes twice", paged->path, paged->query);
			json_array_append(ret_ids, id);
		}
		const char *link = link_of(paged, answer);
		if (!link)
			return;
		assert_true(text_starts_with(link, ENDPOINT "/v2.1/"));
		CLEANUP_FREE char *path = strdup(link + strlen(ENDPOINT));
		answer = api_fixture_ask(world->fixture, &api_admin, version, "GET", path, NULL);
	}
	fail_msg("%s?%s: the links do not end", paged->path, paged->query);
}

static void walking_from_page_to_page_gives_every_row_once_in_order(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		json_t *by_one = json_array(), *by_two = json_array(), *at_once = json_array();

		walk(world, &lists[i], "limit=1", by_one);
		walk(world, &lists[i], "", by_two);
		world->fixture->settings.max_limit = ROWS;
		api_fixture_renew(world->fixture);
		const struct api_answer *answer = ask(world, &lists[i], MICROVERSION_MINOR_MAX, "");
		json_t *row;
		size_t index;
		json_array_foreach(json_object_get(answer->document, lists[i].list), index, row)
			json_array_append(at_once, json_object_get(row, lists[i].id));
		if (json_array_size(at_once) != ROWS || !json_equal(by_one, at_once) || !json_equal(by_two, at_once))
			fail_msg("%s?%s: %zu, %zu and %zu rows, or in another order", lists[i].path, lists[i].query,
				 json_array_size(by_one), json_array_size(by_two), json_array_size(at_once));
		world->fixture->settings.max_limit = MAX_LIMIT;
		api_fixture_renew(world->fixture);
		json_decref(by_one);
		json_decref(by_two);
		json_decref(at_once);
	}
}

static void an_unknown_marker_is_refused_and_an_empty_one_counts_as_none_for_servers_and_migrations(void **state)
{
	static const char *const queries[] = { "marker=nothing", "marker=nothing&limit=0", "limit=1&marker=nothing" };
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		for (size_t q = 0; q < ARRAY_LENGTH(queries); q++) {
			const struct api_answer *answer = ask(world, &lists[i], MICROVERSION_MINOR_MAX, queries[q]);

			if (answer->status != 400 || !text_equal(answer->message, lists[i].unknown))
				fail_msg("%s?%s%s: %d %s", lists[i].path, lists[i].query, queries[q], answer->status,
					 answer->message);
		}
		assert_int_equal(ask(world, &lists[i], MICROVERSION_MINOR_MAX, "marker=")->status,
				 lists[i].has_empty_marker ? 200 : 400);
	}
}

static void a_page_of_none_is_empty_behind_a_marker_too(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		const struct api_answer *answer = ask(world, &lists[i], MICROVERSION_MINOR_MAX, "limit=1");
		const json_t *first = json_array_get(json_object_get(answer->document, lists[i].list), 0);
		CLEANUP_FREE char *query =
			text_format("limit=0&marker=%s", json_string_value(json_object_get(first, lists[i].id)));

		answer = ask(world, &lists[i], MICROVERSION_MINOR_MAX, query);
		assert_int_equal(count(&lists[i], answer, query), 0);
		assert_null(link_of(&lists[i], answer));
	}
}

static void before_pages_there_is_neither_cut_nor_marker_nor_link(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		if (lists[i].first_minor == 1)
			continue;
		const struct api_answer *answer =
			ask(world, &lists[i], lists[i].first_minor - 1, "limit=1&marker=nothing");

		if (count(&lists[i], answer, "limit=1") != ROWS || link_of(&lists[i], answer))
			fail_msg("%s?%s: %zu rows before pages", lists[i].path, lists[i].query,
				 count(&lists[i], answer, "limit=1"));
		answer = ask(world, &lists[i], lists[i].first_minor, "limit=1");
		assert_int_equal(count(&lists[i], answer, "limit=1"), 1);
		assert_non_null(link_of(&lists[i], answer));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, api_fixture_teardown_within)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_page_is_cut_at_its_limit_and_at_max_limit),
		TEST(the_link_leads_into_the_list_that_was_asked_for),
		TEST(the_setting_alone_is_what_cuts),
		TEST(what_is_no_limit_is_refused),
		TEST(walking_from_page_to_page_gives_every_row_once_in_order),
		TEST(an_unknown_marker_is_refused_and_an_empty_one_counts_as_none_for_servers_and_migrations),
		TEST(a_page_of_none_is_empty_behind_a_marker_too),
		TEST(before_pages_there_is_neither_cut_nor_marker_nor_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
