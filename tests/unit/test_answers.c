/* What every answer bears, by its kind: status, headers, and the edges of microversions and sizes that decide about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/auth/token_authority.h"
#include "api/microversion.h"
#include "api/route_table.h"
#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/text.h"

#define VENDOR_TYPE  "application/vnd.openstack.compute+json"
#define JSON_TYPE    "application/json"
#define FAULT_TYPE   "application/json; charset=UTF-8"
#define SERVER       "/v2.1/servers/11111111-2222-4333-8444-555555555555"
#define LIVE_BODY    "{\"os-migrateLive\": {\"host\": null, \"block_migration\": \"auto\"}}"
#define NOT_A_SERVER "Instance 11111111-2222-4333-8444-555555555555 could not be found."

/* Headers of an answer besides Content-Type. */
enum { VERSIONS = 1, IDS = 2, RETRY = 4, AUTHENTICATE = 8 };

struct kind {
	int status;
	unsigned int headers;
	const char *content_type; /* NULL: none */
	const struct api_who *who;
	const char *method, *path, *version, *body;
	const char *tells; /* of the version headers; NULL: as was asked */
};

static const struct kind kinds[] = {
	{ 200, VERSIONS | IDS, JSON_TYPE, &api_admin, "GET", "/v2.1/servers", NULL, NULL, "2.1" },
	{ 200, VERSIONS | IDS, JSON_TYPE, &api_admin, "GET", "/v2.1/servers", "2.60", NULL, NULL },
	{ 200, VERSIONS | IDS, JSON_TYPE, &api_admin, "GET", "/v2.1/servers", "latest", NULL, "2.104" },
	{ 200, VERSIONS | IDS, JSON_TYPE, &api_admin, "GET", "/v2.1/os-services", "2.104", NULL, NULL },
	{ 200, VERSIONS | IDS, JSON_TYPE, &api_admin, "PUT", "/v2.1/os-services/enable", "2.52",
	  "{\"host\": \"host1\", \"binary\": \"nova-compute\"}", NULL },
	{ 202, VERSIONS | IDS, JSON_TYPE, &api_admin, "POST", "SERVER/action", "2.90", "{\"migrate\": null}", NULL },
	{ 409, VERSIONS | IDS, FAULT_TYPE, &api_admin, "POST", "SERVER/action", "2.90", "{\"migrate\": null}", NULL },
	{ 204, VERSIONS | IDS, JSON_TYPE, &api_admin, "DELETE", "/v2.1/os-services/HOST2", "2.52", NULL, NULL },
	{ 400, VERSIONS | IDS, FAULT_TYPE, &api_admin, "POST", "SERVER/action", "2.90", "{\"migrate\": 1}", NULL },
	{ 400, VERSIONS | IDS, FAULT_TYPE, &api_admin, "POST", "SERVER/action", "2.90", "{", NULL },
	{ 400, VERSIONS | IDS, FAULT_TYPE, &api_admin, "GET", "/v2.1/servers?limit=x", "2.90", NULL, NULL },
	{ 400, IDS, FAULT_TYPE, &api_admin, "GET", "/v2.1/servers", "x", NULL, NULL },
	{ 406, VERSIONS | IDS, FAULT_TYPE, &api_admin, "GET", "/v2.1/servers", "2.105", NULL, NULL },
	{ 406, VERSIONS | IDS, FAULT_TYPE, &api_admin, "GET", "/v2.1/servers", "2.0", NULL, NULL },
	{ 406, VERSIONS | IDS, FAULT_TYPE, NULL, "GET", "/v2.1/", "3.0", NULL, NULL },
	{ 401, IDS | AUTHENTICATE, JSON_TYPE, NULL, "GET", "/v2.1/servers", "2.90", NULL, NULL },
	{ 401, IDS | AUTHENTICATE, JSON_TYPE, NULL, "POST", SERVER "/action", "2.90", LIVE_BODY, NULL },
	{ 401, IDS | AUTHENTICATE, JSON_TYPE, NULL, "GET", "/v2.1/nothing", "2.90", NULL, NULL },
	{ 403, VERSIONS | IDS, FAULT_TYPE, &api_member, "GET", "/v2.1/os-services", "2.90", NULL, NULL },
	{ 404, VERSIONS | IDS, FAULT_TYPE, &api_admin, "GET", SERVER, "2.90", NULL, NULL },
	{ 404, VERSIONS | IDS, FAULT_TYPE, &api_admin, "POST", SERVER "/action", "2.90", LIVE_BODY, NULL },
	{ 404, VERSIONS | IDS, FAULT_TYPE, &api_admin, "GET", "SERVER/migrations", "2.22", NULL, NULL },
	{ 404, IDS, FAULT_TYPE, &api_admin, "GET", "/v2.1/nothing", "2.90", NULL, NULL },
	{ 404, IDS, FAULT_TYPE, &api_admin, "GET", "/v2.1/%ff", "2.90", NULL, NULL },
	{ 404, IDS, FAULT_TYPE, &api_admin, "PATCH", "/v2.1/servers", "2.90", NULL, NULL },
	{ 410, VERSIONS | IDS, FAULT_TYPE, &api_admin, "POST", SERVER "/action", "2.90", "{\"resetNetwork\": null}",
	  NULL },
	{ 413, IDS, FAULT_TYPE, &api_admin, "POST", SERVER "/action", "2.90",
	  "{\"os-migrateLive\": {\"host\": null, \"block_migration\": \"auto\"}, \"more\": \"than the limit allows "
	  "for\"}",
	  NULL },
	{ 501, VERSIONS | IDS, FAULT_TYPE, &api_admin, "DELETE", SERVER, "2.90", NULL, NULL },
	{ 200, VERSIONS | IDS, JSON_TYPE, NULL, "GET", "/v2.1/", "2.90", NULL, NULL },
	{ 200, IDS, JSON_TYPE, NULL, "GET", "/v2/", "2.90", NULL, NULL },
	{ 200, 0, JSON_TYPE, NULL, "GET", "/", "2.90", NULL, NULL },
	{ 300, 0, JSON_TYPE, NULL, "GET", "/v3/servers", "2.90", NULL, NULL },
	{ 200, 0, NULL, NULL, "OPTIONS", "/v2.1/servers", "2.90", NULL, NULL },
};

struct world {
	struct api_fixture *fixture;
	char server[UUID_SIZE];
	int64_t host2;
};

static struct world world_of(struct api_fixture *fixture)
{
	struct world world = { .fixture = fixture };
	int64_t host = db_fixture_host(fixture->db, "host1");

	world.host2 = db_fixture_host(fixture->db, "host2");
	db_fixture_server(fixture->db, "vm", host, world.server);
	return world;
}

static const struct api_answer *ask(const struct world *world, const struct kind *kind)
{
	CLEANUP_FREE char *version = kind->version ? text_format("compute %s", kind->version) : NULL;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(world->fixture->db);
	CLEANUP_DB_HOST struct db_host host = { 0 };
	CLEANUP_FREE char *path = NULL;

	assert_true(db_host_by_name(session, "host2", &host, NULL) == 0 || !strstr(kind->path, "HOST2"));
	if (text_starts_with(kind->path, "SERVER"))
		path = text_format("/v2.1/servers/%s%s", world->server, kind->path + strlen("SERVER"));
	else if (text_ends_with(kind->path, "HOST2"))
		path = text_format("/v2.1/os-services/%lld", (long long)host.service.id);
	else
		path = strdup(kind->path);
	db_read_end(TAKE_POINTER(session));
	return api_fixture_ask(world->fixture, kind->who, version, kind->method, path, kind->body);
}

static void expect_header(const struct kind *kind, const struct api_answer *answer, const char *name,
			  const char *expected)
{
	const char *found = api_answer_header(answer, name);

	if (!text_equal(found, expected))
		fail_msg("%d %s %s %s: %s is %s", kind->status, kind->method, kind->path, answer->message, name,
			 found ? found : "not there");
}

static bool is_request_id(const char *text)
{
	return text && text_starts_with(text, "req-") && uuid_is_valid(text + strlen("req-"));
}

static void check_headers(const struct kind *kind, const struct api_answer *answer)
{
	const char *version = kind->tells ? kind->tells : kind->version;
	CLEANUP_FREE char *of_compute = text_format("compute %s", version);
	bool has_versions = kind->headers & VERSIONS, has_ids = kind->headers & IDS;
	const char *id = api_answer_header(answer, "X-OpenStack-Request-Id");

	expect_header(kind, answer, "Content-Type", kind->content_type);
	expect_header(kind, answer, "OpenStack-API-Version", has_versions ? of_compute : NULL);
	expect_header(kind, answer, "X-OpenStack-Nova-API-Version", has_versions ? version : NULL);
	expect_header(kind, answer, "Vary",
		      has_versions ? "OpenStack-API-Version, X-OpenStack-Nova-API-Version" : NULL);
	expect_header(kind, answer, "x-compute-request-id", has_ids ? id : NULL);
	expect_header(kind, answer, "Retry-After", kind->headers & RETRY ? "5" : NULL);
	expect_header(kind, answer, "WWW-Authenticate",
		      kind->headers & AUTHENTICATE ? "Keystone uri=\"http://nova.example:8774\"" : NULL);
	assert_int_equal(is_request_id(id), has_ids);
	/* And none besides. */
	assert_int_equal(answer->header_count, (kind->content_type != NULL) + (has_versions ? 3 : 0) + (has_ids ? 2 : 0)
						       + ((kind->headers & RETRY) != 0)
						       + ((kind->headers & AUTHENTICATE) != 0));
}

static void every_kind_of_answer_has_its_headers(void **state)
{
	struct api_fixture *fixture = *state;
	struct world world = world_of(fixture);
	char last_id[REQUEST_ID_SIZE] = "";

	fixture->settings.max_body_bytes = 80;
	api_fixture_renew(fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
		const struct api_answer *answer = ask(&world, &kinds[i]);
		const char *id = api_answer_header(answer, "x-compute-request-id");

		if (answer->status != kinds[i].status)
			fail_msg("kind %zu, %s %s: %d %s", i, kinds[i].method, kinds[i].path, answer->status,
				 answer->message);
		check_headers(&kinds[i], answer);
		assert_false(id && text_equal(id, last_id)); /* each request has its own */
		TEXT_COPY(last_id, id ? id : "");
	}
}

static void say_nothing(void *context, const char *token, token_answer_fn answer, void *answer_context)
{
	const struct error error = { .code = EHOSTUNREACH, .text = "away" };

	(void)context;
	(void)token;
	answer(answer_context, -EHOSTUNREACH, NULL, &error);
}

/* A token of another key than ours, which only Keystone could judge. */
static void who_cannot_be_judged_now_is_told_to_come_again(void **state)
{
	static const struct token_authority authority = { .ask = say_nothing };
	static const struct kind kind = {
		503, IDS | RETRY, FAULT_TYPE, NULL, "GET", "/v2.1/servers", "2.90", NULL, NULL
	};
	struct api_fixture *fixture = *state;

	fixture->settings.authority = &authority;
	api_fixture_renew(fixture);
	fixture->sent_headers[0].name = "X-Auth-Token";
	TEXT_COPY(fixture->sent_headers[0].value, "a-token-of-others");
	const struct api_answer *answer = api_fixture_ask(fixture, NULL, "compute 2.90", kind.method, kind.path, NULL);

	assert_int_equal(answer->status, 503);
	check_headers(&kind, answer);
}

static void a_token_of_others_is_refused_where_nobody_judges_those(void **state)
{
	static const char *const tokens[] = { "a-token-of-others", "", "a.b.c", "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmVk" };
	struct api_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(tokens); i++) {
		fixture->sent_headers[0].name = "X-Auth-Token";
		TEXT_COPY(fixture->sent_headers[0].value, tokens[i]);
		assert_int_equal(api_fixture_ask(fixture, NULL, NULL, "GET", "/v2.1/servers", NULL)->status, 401);
	}
}

static void a_401_leads_to_keystone(void **state)
{
	struct api_fixture *fixture = *state;

	fixture->settings.keystone_url = "https://keystone.example:5000";
	api_fixture_renew(fixture);
	const struct api_answer *answer = api_fixture_ask(fixture, NULL, NULL, "GET", "/v2.1/servers", NULL);

	assert_int_equal(answer->status, 401);
	assert_string_equal(api_answer_header(answer, "WWW-Authenticate"),
			    "Keystone uri=\"https://keystone.example:5000\"");
}

static void the_media_type_is_the_one_asked_for_where_it_is_ours(void **state)
{
	static const struct {
		const char *accept, *content_type;
	} accepts[] = {
		{ VENDOR_TYPE, VENDOR_TYPE }, { "application/json", JSON_TYPE }, { "*/*", JSON_TYPE },
		{ "text/html", JSON_TYPE },   { VENDOR_TYPE "x", JSON_TYPE },    { "", JSON_TYPE },
	};
	struct api_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(accepts); i++) {
		fixture->sent_headers[0].name = "Accept";
		TEXT_COPY(fixture->sent_headers[0].value, accepts[i].accept);
		const struct api_answer *answer =
			api_fixture_ask(fixture, &api_admin, NULL, "GET", "/v2.1/servers", NULL);

		assert_string_equal(api_answer_header(answer, "Content-Type"), accepts[i].content_type);
		answer = api_fixture_ask(fixture, &api_admin, NULL, "GET", SERVER, NULL);
		assert_string_equal(api_answer_header(answer, "Content-Type"), FAULT_TYPE);
	}
}

static void a_body_of_another_media_type_is_refused(void **state)
{
	static const struct {
		const char *type;
		int status;
	} types[] = {
		{ "application/json", 404 },
		{ "application/json; charset=x", 404 },
		{ VENDOR_TYPE, 404 },
		{ "text/plain", 404 },
		{ "", 404 },
		{ "application/xml", 415 },
		{ "application/jsonx", 415 },
		{ "application/jso", 415 },
		{ "text/html", 415 },
		{ " application/json", 415 },
		{ "application/json ; x", 415 },
		{ "application", 415 },
	};
	struct api_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
		fixture->sent_headers[0].name = "Content-Type";
		TEXT_COPY(fixture->sent_headers[0].value, types[i].type);
		const struct api_answer *answer =
			api_fixture_ask(fixture, &api_admin, "compute 2.90", "POST", SERVER "/action", LIVE_BODY);

		if (answer->status != types[i].status)
			fail_msg("\"%s\": %d %s", types[i].type, answer->status, answer->message);
		assert_string_equal(answer->version, "compute 2.90");
	}
}

/* One key of an object names the action. What has one element otherwise is no resource; what has none or several is malformed. */
static void a_body_of_an_action_has_one_key(void **state)
{
	static const struct {
		const char *body;
		int status;
	} bodies[] = {
		{ NULL, 400 },
		{ "{}", 400 },
		{ "[]", 400 },
		{ "\"\"", 400 },
		{ "{\"lock\": 1, \"x\": 1}", 400 },
		{ "[1, 2]", 400 },
		{ "\"ab\"", 400 },
		{ "\"\xc3\xa9\xc3\xa9\"", 400 },
		{ "[", 400 },
		{ " ", 400 },
		{ "[1]", 404 },
		{ "\"a\"", 404 },
		{ "\"\xc3\xa9\"", 404 },
		{ "\"\\ud800\"", 404 },
		{ "7", 404 },
		{ "1.5", 404 },
		{ "12345678901234567890", 404 },
		{ "null", 404 },
		{ "true", 404 },
		{ "NaN", 404 },
	};
	struct api_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
		const struct api_answer *answer =
			api_fixture_ask(fixture, &api_admin, NULL, "POST", SERVER "/action", bodies[i].body);
		const char *message =
			bodies[i].status == 400 ? "Malformed request body" : "The resource could not be found.";

		if (answer->status != bodies[i].status || !text_equal(answer->message, message))
			fail_msg("%s: %d %s", bodies[i].body, answer->status, answer->message);
	}
}

static void a_body_has_at_most_the_bytes_that_are_set(void **state)
{
	struct api_fixture *fixture = *state;

	for (size_t more = 0; more < 3; more++) {
		fixture->settings.max_body_bytes = strlen(LIVE_BODY) - 1 + more;
		api_fixture_renew(fixture);
		assert_int_equal(
			api_fixture_ask(fixture, &api_admin, NULL, "POST", SERVER "/action", LIVE_BODY)->status,
			more ? 400 /* not of this microversion's schema */ : 413);
	}
}

/* By the table's own numbers, which the OpenAPI document is held against. */
static void before_its_first_microversion_and_after_its_last_a_route_is_not_there(void **state)
{
	struct api_fixture *fixture = *state;
	struct world world = world_of(fixture);
	size_t count, edges = 0;
	const struct route *routes = route_table(&count);

	for (size_t i = 0; i < count; i++) {
		const struct route *route = &routes[i];
		const int minors[] = { route->first_minor - 1, route->first_minor, route->last_minor,
				       route->last_minor + 1 };

		if (text_equal(route->pattern, "/") || text_equal(route->pattern, "/extensions/{id}"))
			continue; /* never a 404 of its own */
		for (size_t m = 0; m < ARRAY_LENGTH(minors); m++) {
			CLEANUP_FREE char *version = text_format("compute 2.%d", minors[m]);
			CLEANUP_TEXT struct text path = TEXT_EMPTY;

			if (minors[m] < MICROVERSION_MINOR_MIN || minors[m] > MICROVERSION_MINOR_MAX)
				continue;
			text_append(&path, "/v2.1");
			for (const char *place = route->pattern; *place; place++) {
				bool is_id = text_starts_with(place, "{id");

				if (is_id)
					text_append(&path, text_starts_with(place, "{id2}") ? "1" : world.server);
				else
					text_append_bytes(&path, place, 1);
				place += is_id ? strcspn(place, "}") : 0;
			}
			const struct api_answer *answer =
				api_fixture_ask(fixture, &api_admin, version, route->method, path.data,
						route->actions ? "{\"nothing\": null}" : NULL);
			bool is_away = answer->status == 404
				       && text_equal(answer->message, "The resource could not be found.");

			if (is_away != (m == 0 || m == 3))
				fail_msg("%s %s at %s: %d %s", route->method, route->pattern, version, answer->status,
					 answer->message);
			edges += m == 0 || m == 3;
		}
	}
	assert_true(edges >= 6);
}

static void an_action_comes_with_its_first_microversion(void **state)
{
	struct api_fixture *fixture = *state;
	static const struct {
		const char *version, *words;
	} versions[] = {
		{ "compute 2.21", "The resource could not be found." },
		{ "compute 2.22", NOT_A_SERVER },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
		const struct api_answer *answer =
			api_fixture_ask(fixture, &api_admin, versions[i].version, "POST", SERVER "/migrations/1/action",
					"{\"force_complete\": null}");

		assert_int_equal(answer->status, 404);
		assert_string_equal(answer->message, versions[i].words);
	}
}

static void both_ends_of_the_microversions_are_taken(void **state)
{
	static const struct {
		const char *version;
		int status;
	} versions[] = {
		{ "compute 2.0", 406 },   { "compute 2.1", 200 }, { "compute 2.104", 200 },
		{ "compute 2.105", 406 }, { "compute 1.9", 406 }, { "compute 3.1", 406 },
	};
	struct api_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(versions); i++)
		assert_int_equal(
			api_fixture_ask(fixture, &api_admin, versions[i].version, "GET", "/v2.1/servers", NULL)->status,
			versions[i].status);
}

static void a_path_of_another_project_is_refused(void **state)
{
	static const struct api_who callers[] = {
		{ .user = "user", .project = "abc0", .role = "reader" },
		{ .user = "user", .project = "abc1", .role = "admin" },
		{ .user = "user", .role = "admin" },
	};
	static const struct {
		const char *method, *path, *body;
		int status; /* of the first caller */
	} paths[] = {
		{ "GET", "/v2.1/abc0/servers", NULL, 200 },
		{ "GET", "/v2.1/abc0/flavors", NULL, 200 },
		{ "DELETE", "/v2.1/abc0/servers/x", NULL, 501 },
		{ "PUT", "/v2.1/abc0/servers/x", "{\"server\": {}}", 501 },
		{ "POST", "/v2.1/abc0/servers", "{\"server\": {}}", 501 },
		{ "POST", "/v2.1/abc0/servers/x/action", "{\"lock\": null}", 404 },
		{ "POST", "/v2.1/abc0/servers/x/migrations/1/action", "{\"force_complete\": null}", 404 },
		{ "DELETE", "/v2.1/abc0/servers/x/migrations/1", NULL, 404 },
	};
	struct api_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(paths) * ARRAY_LENGTH(callers); i++) {
		size_t which = i % ARRAY_LENGTH(paths), who = i / ARRAY_LENGTH(paths);
		const struct api_answer *answer =
			api_fixture_ask(fixture, &callers[who], "compute 2.90", paths[which].method, paths[which].path,
					paths[which].body);
		CLEANUP_FREE char *words = text_format(
			"Malformed request URL: URL's project_id 'abc0' doesn't match Context's project_id '%s'",
			callers[who].project ? callers[who].project : "None");

		if (who == 0 ? answer->status != paths[which].status
			     : answer->status != 400 || !text_equal(answer->message, words))
			fail_msg("%s %s as caller %zu: %d %s", paths[which].method, paths[which].path, who,
				 answer->status, answer->message);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, api_fixture_setup, api_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_kind_of_answer_has_its_headers),
		TEST(who_cannot_be_judged_now_is_told_to_come_again),
		TEST(a_token_of_others_is_refused_where_nobody_judges_those),
		TEST(a_401_leads_to_keystone),
		TEST(the_media_type_is_the_one_asked_for_where_it_is_ours),
		TEST(a_body_of_another_media_type_is_refused),
		TEST(a_body_of_an_action_has_one_key),
		TEST(a_body_has_at_most_the_bytes_that_are_set),
		TEST(before_its_first_microversion_and_after_its_last_a_route_is_not_there),
		TEST(an_action_comes_with_its_first_microversion),
		TEST(both_ends_of_the_microversions_are_taken),
		TEST(a_path_of_another_project_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
