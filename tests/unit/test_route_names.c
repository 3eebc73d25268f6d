/* Under which route a request is counted: each has its number, and what is no route counts as one of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "api/route_table.h"
#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/text.h"

static char *name_of(size_t number)
{
	const char *method, *version, *pattern;

	api_route_at(number, &method, &version, &pattern);
	return text_format("%s %s%s", method, version, pattern);
}

static void every_route_has_a_number_and_a_name_of_its_own(void **state)
{
	size_t count;
	const struct route *routes = route_table(&count);

	(void)state;
	assert_int_equal(api_route_count(), 1 + count + DOCUMENT_MAX);
	for (size_t i = 0; i < count; i++) {
		CLEANUP_FREE char *name = name_of(route_number(&routes[i]));
		CLEANUP_FREE char *expected = text_format("%s /v2.1%s", routes[i].method, routes[i].pattern);

		assert_string_equal(name, expected);
	}
	for (size_t i = 0; i < api_route_count(); i++)
		for (size_t j = 0; j < i; j++) {
			CLEANUP_FREE char *one = name_of(i);
			CLEANUP_FREE char *other = name_of(j);

			assert_string_not_equal(one, other);
		}
}

static void a_number_of_no_route_is_other(void **state)
{
	const size_t numbers[] = { 0, api_route_count(), api_route_count() + 1, SIZE_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		CLEANUP_FREE char *name = name_of(numbers[i]);

		assert_string_equal(name, "other other");
	}
	assert_int_equal(route_number(NULL), 0);
}

static void a_request_is_counted_under_its_route_also_where_it_is_refused(void **state)
{
	static const struct {
		const struct api_who *who;
		const char *method, *path, *version, *name;
	} requests[] = {
		{ NULL, "GET", "/", NULL, "GET /" },
		{ NULL, "GET", "/v2", NULL, "GET /v2" },
		{ NULL, "GET", "/v2/", NULL, "GET /v2" },
		{ NULL, "GET", "/v2.1", NULL, "GET /v2.1" },
		{ NULL, "GET", "/v2.1/", NULL, "GET /v2.1" },
		{ NULL, "GET", "/v2.1/", "compute x", "GET /v2.1" },
		{ NULL, "HEAD", "/v2.1/", NULL, "other other" },
		{ NULL, "POST", "/", NULL, "other other" },
		{ NULL, "GET", "/v3", NULL, "other other" },
		{ NULL, "OPTIONS", "/v2.1/servers", NULL, "other other" },
		{ NULL, "GET", "/v2/servers", NULL, "other other" },
		{ NULL, "GET", "/v2.1/%ff", NULL, "other other" },
		{ NULL, "GET", "/v2.1/nothing", NULL, "other other" },
		{ &api_admin, "GET", "/v2.1/nothing", NULL, "other other" },
		{ &api_admin, "GET", "/v2.1/servers", NULL, "GET /v2.1/servers" },
		{ &api_admin, "GET", "/v2.1/servers?limit=x", NULL, "GET /v2.1/servers" },
		{ &api_admin, "GET", "/v2.1/servers", "compute 9.9", "GET /v2.1/servers" },
		{ NULL, "GET", "/v2.1/servers", NULL, "GET /v2.1/servers" },
		{ NULL, "GET", "/v2.1/abc0/servers", NULL, "GET /v2.1/servers" },
		{ &api_admin, "GET", "/v2.1/servers/x", NULL, "GET /v2.1/servers/{id}" },
		{ &api_admin, "DELETE", "/v2.1/servers/x/migrations/1", "compute 2.90",
		  "DELETE /v2.1/servers/{id}/migrations/{id2}" },
		{ &api_member, "GET", "/v2.1/os-services", NULL, "GET /v2.1/os-services" },
	};
	struct api_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
		const struct api_answer *answer = api_fixture_ask(fixture, requests[i].who, requests[i].version,
								  requests[i].method, requests[i].path, NULL);
		CLEANUP_FREE char *name = name_of(answer->route);

		if (!text_equal(name, requests[i].name))
			fail_msg("%s %s: %s", requests[i].method, requests[i].path, name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_route_has_a_number_and_a_name_of_its_own),
		cmocka_unit_test(a_number_of_no_route_is_other),
		cmocka_unit_test(a_request_is_counted_under_its_route_also_where_it_is_refused),
	};

	return cmocka_run_group_tests(tests, api_fixture_setup, api_fixture_teardown);
}
