/* The version documents, by which clients choose how they ask. */
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

#define ENDPOINT "http://nova.example:8774"
#define MEDIA(version)                                                                                                 \
	"\"media-types\": [{\"base\": \"application/json\","                                                           \
	" \"type\": \"application/vnd.openstack.compute+json;version=" version "\"}]"
#define ENTRY(id, status, version, least, updated, links)                                                              \
	"\"id\": \"" id "\", \"status\": \"" status "\", \"version\": \"" version "\", \"min_version\": \"" least      \
	"\", \"updated\": \"" updated "\", \"links\": [" links "]"
#define OLD(links)     ENTRY("v2.0", "DEPRECATED", "", "", "2011-01-21T11:33:21Z", links)
#define CURRENT(links) ENTRY("v2.1", "CURRENT", "2.104", "2.1", "2013-07-23T11:33:21Z", links)
#define LINK(path)     "{\"rel\": \"self\", \"href\": \"" ENDPOINT path "\"}"
#define DESCRIBED      ", {\"rel\": \"describedby\", \"type\": \"text/html\", \"href\": \"http://docs.openstack.org/\"}"

static void expect(struct api_fixture *fixture, const char *path, int status, const char *expected)
{
	const struct api_answer *answer = api_fixture_ask(fixture, NULL, NULL, "GET", path, NULL);
	json_t *document = json_loads(expected, 0, NULL);

	assert_non_null(document);
	if (answer->status != status || !json_equal(answer->document, document)) {
		CLEANUP_FREE char *found = json_dumps(answer->document, JSON_COMPACT);
		fail_msg("%s: %d %s", path, answer->status, found);
	}
	json_decref(document);
}

static void the_documents_of_versions_are_novas(void **state)
{
	expect(*state, "/", 200, "{\"versions\": [{" OLD(LINK("/v2/")) "}, {" CURRENT(LINK("/v2.1/")) "}]}");
	expect(*state, "/v2", 200, "{\"version\": {" OLD(LINK("/v2/") DESCRIBED) ", " MEDIA("2") "}}");
	expect(*state, "/v2.1", 200, "{\"version\": {" CURRENT(LINK("/v2.1/") DESCRIBED) ", " MEDIA("2.1") "}}");
}

static void a_fleet_without_real_guests_says_so(void **state)
{
	struct api_fixture *fixture = *state;

	fixture->settings.is_simulated = true;
	api_fixture_renew(fixture);
	expect(fixture, "/v2.1", 200,
	       "{\"version\": {" CURRENT(LINK("/v2.1/") DESCRIBED) ", " MEDIA("2.1") ", \"simulated\": true}}");
	expect(fixture, "/", 200,
	       "{\"versions\": [{" OLD(LINK("/v2/")) ", \"simulated\": true}, {" CURRENT(
		       LINK("/v2.1/")) ", \"simulated\": true}]}");
}

/* Without the last slash of the path. */
static void other_paths_lead_to_the_same_place_below_each_version(void **state)
{
	static const struct {
		const char *path, *behind;
	} paths[] = {
		{ "/v3", "/v3" },    { "/v3/", "/v3" },        { "/servers/x/", "/servers/x" },
		{ "/a//b", "/a/b" }, { "/%61?limit=1", "/a" }, { "http://nova.example:8774", "/" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		CLEANUP_FREE char *expected = text_format(
			"{\"choices\": [{\"id\": \"v2.0\", \"status\": \"DEPRECATED\", \"links\": [{\"rel\": \"self\", "
			"\"href\": \"" ENDPOINT "/v2%s\"}], " MEDIA(
				"2") "},"
				     " {\"id\": \"v2.1\", \"status\": \"CURRENT\", \"links\": [{\"rel\": \"self\", "
				     "\"href\": \"" ENDPOINT "/v2.1%s\"}], " MEDIA("2.1") "}]}",
			paths[i].behind, paths[i].behind);

		expect(*state, paths[i].path, 300, expected);
	}
}

static void links_begin_as_the_client_asked_where_no_endpoint_is_set(void **state)
{
	static const struct {
		const char *host, *link;
	} hosts[] = {
		{ NULL, "http://localhost/v2.1/" },
		{ "cloud.example:8774", "http://cloud.example:8774/v2.1/" },
		{ "[2001:db8::1]", "http://[2001:db8::1]/v2.1/" },
		{ "a\xff"
		  "b",
		  "http://a\xc3\xbf"
		  "b/v2.1/" },
	};
	struct api_fixture *fixture = *state;

	fixture->settings.public_endpoint = NULL;
	api_fixture_renew(fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
		fixture->sent_headers[0].name = hosts[i].host ? "Host" : NULL;
		TEXT_COPY(fixture->sent_headers[0].value, hosts[i].host ? hosts[i].host : "");
		const struct api_answer *answer = api_fixture_ask(fixture, NULL, NULL, "GET", "/v2.1", NULL);
		const json_t *links = json_object_get(json_object_get(answer->document, "version"), "links");

		assert_string_equal(json_string_value(json_object_get(json_array_get(links, 0), "href")),
				    hosts[i].link);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, api_fixture_setup, api_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_documents_of_versions_are_novas),
		TEST(a_fleet_without_real_guests_says_so),
		TEST(links_begin_as_the_client_asked_where_no_endpoint_is_set),
		TEST(other_paths_lead_to_the_same_place_below_each_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
