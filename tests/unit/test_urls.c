/* URLs as clients write them: what is decoded of paths and queries, and how links repeat it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <stdio.h>

#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/text.h"

#define NOWHERE  "The resource could not be found."
#define NO_UTF8  "Query string is not UTF-8 encoded"
#define ENDPOINT "http://nova.example:8774"

/* The project "abc0", as URLs of Nova's first years had it in front. */
static const struct api_who caller = { .user = "user", .project = "abc0", .role = "admin" };

static void expect(struct api_fixture *fixture, const char *path, int status, const char *message)
{
	const struct api_answer *answer = api_fixture_ask(fixture, &caller, "compute 2.1", "GET", path, NULL);

	if (answer->status != status || !text_equal(answer->message, message))
		fail_msg("%s: %d \"%s\"", path, answer->status, answer->message);
}

/* Of a flavor that is not there: the answer shows the id as it was read. */
static void a_path_is_decoded_once_and_doubled_slashes_count_as_one(void **state)
{
	static const struct {
		const char *path, *id;
	} paths[] = {
		{ "/v2.1/flavors/a%41%4a%4Az", "aAJJz" },
		{ "/v2.1/flavors/%09%0a%0f%0F%39", "\t\n\x0f\x0f"
						   "9" },
		{ "/v2.1/flavors/%61%66%6f", "afo" },
		{ "/v2.1/flavors/%2541", "%41" },
		{ "/v2.1/flavors/a+b%2Bc%20d", "a+b+c d" },
		{ "/v2.1/flavors/%c3%a4", "\xc3\xa4" },
		{ "/v2.1/fl%61vors/x", "x" },
		{ "/v2.1%2fflavors%2Fx", "x" },
		{ "//v2.1//flavors///x", "x" },
		{ "/v2.1/flavors/%2f/x", "x" },
		{ "/v2.1/abc0/flavors/x", "x" },
		/* What is no code of two digits stays as it is. */
		{ "/v2.1/flavors/%", "%" },
		{ "/v2.1/flavors/%4", "%4" },
		{ "/v2.1/flavors/%4g", "%4g" },
		{ "/v2.1/flavors/%g4", "%g4" },
		{ "/v2.1/flavors/%:4%@4%`4", "%:4%@4%`4" },
		{ "/v2.1/flavors/%4:%4@%4`%4G", "%4:%4@%4`%4G" },
		{ "/v2.1/flavors/%%41", "%A" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		CLEANUP_FREE char *message = text_format("Flavor %s could not be found.", paths[i].id);

		expect(*state, paths[i].path, 404, message);
	}
}

/* A NUL is shown as it was sent, and ends nothing but this test's text. */
static void a_nul_in_a_path_is_found_nowhere(void **state)
{
	static const char *const paths[] = { "/v2.1/flavors/a%00b", "/v2.1/flavors/a%00", "/v2.1/flavors/a%00%00b" };

	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
		expect(*state, paths[i], 404, "Flavor a");
}

static void a_path_that_is_none_of_ours_leads_nowhere(void **state)
{
	static const char *const paths[] = {
		"/v2.1/flavors/%ff",       "/v2.1/flavors/%c0%80",   "/v2.1/flavors/%00%ff", "/v2.1/flavors/%ff%00x",
		"/v2.1/flavors/x%c3",      "/v2.1/flavors/a%2fb",    "/v2.1/flavors/x/",     "/v2.1/flavor",
		"/v2.1/flavors/x/y",       "/v2.1/xyz/flavors/x",    "/v2.1/FLAVORS",        "/v2.1/abc0/flavor",
		"/v2.1/abc0/abc0/flavors", "/v2.1/abc0/flavors/x/y",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
		expect(*state, paths[i], 404, NOWHERE);
}

static void a_version_is_a_whole_part_of_the_path(void **state)
{
	static const struct {
		const char *path;
		int status;
	} paths[] = {
		{ "/v2.1", 200 },         { "/v2.1/", 200 }, { "/v2", 200 },
		{ "/v2/", 200 },          { "/", 200 },      { "/v2.10", 300 },
		{ "/v2.1x/", 300 },       { "/v2x", 300 },   { "/v2.1x/flavors", 300 },
		{ "/v3", 300 },           { "/xv2.1", 300 }, { "/v2.", 300 },
		{ "/V2.1/flavors", 300 },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
		expect(*state, paths[i].path, paths[i].status, "");
	expect(*state, "/v2/flavors", 404, NOWHERE);
}

static void a_query_is_decoded_as_forms_are(void **state)
{
	static const struct {
		const char *query, *marker;
	} queries[] = {
		{ "marker=a%41%4a%4Az", "aAJJz" },
		{ "marker=%09%39", "\t9" },
		{ "marker=%61%66%6F", "afo" },
		{ "marker=a+b%2Bc%20d", "a b+c d" },
		{ "marker=%2541", "%41" },
		{ "marker=%c3%a4", "\xc3\xa4" },
		{ "%6darker=x", "x" },
		{ "marke%72=x", "x" },
		{ "&&marker=x&", "x" },
		{ "marker=x=y", "x=y" },
		{ "marker", "" },
		{ "marker=x&marker=y", "y" },
		/* What is no code of two digits stays as it is. */
		{ "marker=%", "%" },
		{ "marker=%4", "%4" },
		{ "marker=x%4&limit=1", "x%4" },
		{ "marker=%&limit=41", "%" },
		{ "marker=%4g%g4", "%4g%g4" },
		{ "marker=%:4%@4%`4%4:%4@%4`%4G", "%:4%@4%`4%4:%4@%4`%4G" },
		{ "marker=%%41", "%A" },
		{ "marker=%41", "A" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(queries); i++) {
		CLEANUP_FREE char *path = text_format("/v2.1/flavors?%s", queries[i].query);
		CLEANUP_FREE char *message = text_format("marker [%s] not found", queries[i].marker);

		expect(*state, path, 400, message);
	}
}

static void a_query_that_is_no_utf8_is_refused_in_names_and_values(void **state)
{
	static const char *const queries[] = { "marker=%ff", "%ff=x", "%ff", "a=b&marker=x%c3", "%c3marker=%a4" };

	for (size_t i = 0; i < ARRAY_LENGTH(queries); i++) {
		CLEANUP_FREE char *path = text_format("/v2.1/flavors?%s", queries[i]);

		expect(*state, path, 400, NO_UTF8);
	}
}

/* Where a list is strict about what it is asked. */
static void a_parameter_that_may_come_once_is_refused_when_it_comes_twice(void **state)
{
	static const struct {
		const char *path, *message;
		int minor;
	} repeated[] = {
		{ "/v2.1/os-migrations?limit=1&limit=2",
		  "Invalid input for query parameters limit. Value: ['1', '2']. ['1', '2'] is too long", 59 },
		{ "/v2.1/os-migrations?marker=a&status=x&marker=b&marker=c",
		  "Invalid input for query parameters marker. Value: ['a', 'b', 'c']. ['a', 'b', 'c'] is too long",
		  59 },
		{ "/v2.1/os-hypervisors?with_servers=1&with_servers=1",
		  "Invalid input for query parameters with_servers. Value: ['1', '1']. ['1', '1'] is too long", 53 },
	};
	static const struct {
		const char *path;
		int minor;
	} taken[] = {
		{ "/v2.1/os-migrations?limit=1&limit=2", 58 },
		{ "/v2.1/os-migrations?status=x&status=y", 104 },
		{ "/v2.1/os-hypervisors?with_servers=1&with_servers=1", 52 },
		{ "/v2.1/os-hypervisors?limit=1&limit=2", 104 },
		{ "/v2.1/servers?status=active&status=error&limit=1&limit=2", 104 },
		{ "/v2.1/flavors?limit=1&limit=2", 104 },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(repeated); i++) {
		CLEANUP_FREE char *version = text_format("compute 2.%d", repeated[i].minor);
		const struct api_answer *answer =
			api_fixture_ask(*state, &caller, version, "GET", repeated[i].path, NULL);

		assert_string_equal(answer->message, repeated[i].message);
		assert_int_equal(answer->status, 400);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(taken); i++) {
		CLEANUP_FREE char *version = text_format("compute 2.%d", taken[i].minor);
		const struct api_answer *answer = api_fixture_ask(*state, &caller, version, "GET", taken[i].path, NULL);

		if (answer->status != 200)
			fail_msg("%s at 2.%d: %d %s", taken[i].path, taken[i].minor, answer->status, answer->message);
	}
}

static void parameters_that_nobody_knows_are_named_in_the_order_of_names(void **state)
{
	static const struct {
		const char *query, *message;
	} unknown[] = {
		{ "x=1", "Additional properties are not allowed ('x' was unexpected)" },
		{ "z=1&limit=1&a=2&z=3", "Additional properties are not allowed ('a', 'z' were unexpected)" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(unknown); i++) {
		CLEANUP_FREE char *path = text_format("/v2.1/flavors?%s", unknown[i].query);
		const struct api_answer *answer = api_fixture_ask(*state, &caller, "compute 2.75", "GET", path, NULL);

		assert_string_equal(answer->message, unknown[i].message);
		assert_int_equal(answer->status, 400);
		assert_int_equal(api_fixture_ask(*state, &caller, "compute 2.74", "GET", path, NULL)->status, 200);
	}
}

/* The only link of a page of one. */
static void expect_next(struct api_fixture *fixture, const char *query, const char *project, const char *next)
{
	CLEANUP_FREE char *path = text_format("/v2.1%s/flavors?%s", project, query);
	CLEANUP_FREE char *expected = text_format(ENDPOINT "/v2.1%s/flavors?%s", project, next);
	const struct api_answer *answer = api_fixture_ask(fixture, &caller, "compute 2.1", "GET", path, NULL);
	const json_t *link = json_array_get(json_object_get(answer->document, "flavors_links"), 0);

	if (answer->status != 200 || !text_equal(json_string_value(json_object_get(link, "href")), expected))
		fail_msg("%s: %d %s", path, answer->status, json_string_value(json_object_get(link, "href")));
	assert_string_equal(json_string_value(json_object_get(link, "rel")), "next");
	assert_int_equal(json_array_size(json_object_get(answer->document, "flavors_links")), 1);
}

static void a_link_to_the_next_page_repeats_the_query_in_the_order_of_names(void **state)
{
	struct api_fixture *fixture = *state;

	db_fixture_server(fixture->db, "vm", db_fixture_host(fixture->db, "host1"), NULL);
	expect_next(fixture, "limit=1", "", "limit=1&marker=small");
	expect_next(fixture, "limit=1", "/abc0", "limit=1&marker=small");
	expect_next(fixture, "sort_key=x&limit=1&minRam=0", "", "limit=1&marker=small&minRam=0&sort_key=x");
	/* Once each, the last of several; what nobody knows is dropped. */
	expect_next(fixture, "limit=7&limit=1&other=2", "", "limit=1&marker=small");
	/* A value goes over as it was meant. */
	expect_next(fixture, "limit=1&sort_key=%c3%a4+%2b%26%3D%2F%%aZ09_.-~", "",
		    "limit=1&marker=small&sort_key=%C3%A4+%2B%26%3D%2F%25%25aZ09_.-~");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, api_fixture_setup, api_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_path_is_decoded_once_and_doubled_slashes_count_as_one),
		TEST(a_nul_in_a_path_is_found_nowhere),
		TEST(a_path_that_is_none_of_ours_leads_nowhere),
		TEST(a_version_is_a_whole_part_of_the_path),
		TEST(a_query_is_decoded_as_forms_are),
		TEST(a_query_that_is_no_utf8_is_refused_in_names_and_values),
		TEST(a_parameter_that_may_come_once_is_refused_when_it_comes_twice),
		TEST(parameters_that_nobody_knows_are_named_in_the_order_of_names),
		TEST(a_link_to_the_next_page_repeats_the_query_in_the_order_of_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
