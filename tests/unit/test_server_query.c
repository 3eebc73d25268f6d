/* What a list of 5,000 servers costs, whatever its query asks for, and how a costly query is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "api_fixture.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/uuid.h"

#include <stdio.h>
#include <time.h>

#define SERVERS  5000
#define ATTEMPTS 3 /* the cheapest of them counts: what else runs on the machine does not */
#ifdef __SANITIZE_ADDRESS__
#define EXTRA_MS_MAX 150 /* the library itself is not slowed down, our part is */
#else
#define EXTRA_MS_MAX 50
#endif

static const struct api_who reader = { .user = "user", .project = "project", .role = "reader" };

static int insert_servers(struct db_session *session, void *context, struct error *error)
{
	const int64_t *host_id = context;
	int result = 0;

	for (int i = 0; i < SERVERS && result == 0; i++) {
		CLEANUP_DB_SERVER struct db_server server = {
			.project_id = "project",
			.user_id = "user",
			.host_id = *host_id,
			.vm_state = "active",
			.power_state = 1,
			.tags = strdup("[\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\", \"blue\", "
				       "\"red\", \"z\"]"),
			.addresses = text_format("{\"net\": [{\"addr\": \"10.0.%d.%d\", \"version\": 4}]}", i / 250,
						 i % 250),
			.flavor = { .flavor_id = "small",
				    .name = "small",
				    .vcpus = 2,
				    .memory_mb = 1024,
				    .disk_gb = 10 },
		};

		snprintf(server.name, sizeof(server.name), "vm-%d-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", i);
		uuid_make(server.uuid);
		result = db_server_insert(session, &server, error);
	}
	return result;
}

static int setup(void **state)
{
	int result = api_fixture_setup(state);
	struct api_fixture *fixture = *state;

	if (result == 0) {
		int64_t host_id = db_fixture_host(fixture->db, "host1");

		db_fixture_write(fixture->db, insert_servers, &host_id);
	}
	return result;
}

static double thread_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* Milliseconds of this thread, which handles a GET to its end. */
static double cost(struct api_fixture *fixture, const char *path, int *ret_status)
{
	double least_ms = 1e9;

	for (int i = 0; i < ATTEMPTS; i++) {
		double start_ms = thread_ms();

		*ret_status = api_fixture_ask(fixture, &reader, "compute 2.60", "GET", path, NULL)->status;
		double took_ms = thread_ms() - start_ms;

		least_ms = took_ms < least_ms ? took_ms : least_ms;
	}
	return least_ms;
}

/* The request costs hardly more than one that looks at all servers too and selects as many. */
static void assert_cheap(struct api_fixture *fixture, const char *path, const char *like, int status)
{
	int like_status, own_status;
	double like_ms = cost(fixture, like, &like_status);
	double own_ms = cost(fixture, path, &own_status);

	assert_int_equal(like_status, 200);
	if (own_status != status)
		fail_msg("%.80s: %d", path, own_status);
	if (own_ms > like_ms + EXTRA_MS_MAX)
		fail_msg("%.80s: %.0f ms, but %s: %.0f ms", path, own_ms, like, like_ms);
}

/* head, then so many times what is repeated, then the tail. */
static char *repeat(const char *head, const char *repeated, int times, const char *tail)
{
	struct text text = TEXT_EMPTY;

	text_append(&text, head);
	for (int i = 0; i < times; i++)
		text_append(&text, repeated);
	text_append(&text, tail);
	return text_take(&text);
}

static const struct {
	const char *parameter;
	const char *head, *repeated;
	int times;
	const char *tail;
} hostile[] = {
	{ "name", "", "(", 14000, "" },
	{ "name", "", "(", 14000, ")" },
	{ "name", "((((a{1,255}){1,255}){1,255}){1,255})", "", 0, "" },
	{ "name", "", "(a*)*", 1000, "" },
	{ "name", "", "(a*)*", 100, "[^!a-z0-9-]" },
	{ "name", "(a|aa){1,}[^!a]", "", 0, "" },
	{ "name", "", ".*", 300, "[^!a-z0-9-]" },
	{ "name", "vm(?C)", "", 0, "" },
	{ "name", "(*LIMIT_MATCH=4000000000)vm", "", 0, "" },
	{ "ip", "", "(", 14000, "" },
	{ "ip", "", "([0-9.]?)*", 80, "[^0-9.]" },
	{ "ip", "", "(.*)*", 100, "[^0-9.]" },
	{ "ip6", "", "(.*)*", 100, "[^0-9.]" },
	{ "ip6", "((((a{1,255}){1,255}){1,255}){1,255})", "", 0, "" },
	{ "hostname", "", "(", 14000, "" },
	{ "tags", "", "(", 14000, "" },
};

static void a_costly_pattern_is_refused_as_none(void **state)
{
	struct api_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(hostile); i++) {
		CLEANUP_FREE char *pattern =
			repeat(hostile[i].head, hostile[i].repeated, hostile[i].times, hostile[i].tail);
		CLEANUP_FREE char *path = text_format("/v2.1/servers?%s=%s", hostile[i].parameter, pattern);
		CLEANUP_FREE char *message =
			text_format("Invalid input for query parameters %s. Value: %s. '%s' is not a 'regex'",
				    hostile[i].parameter, pattern, pattern);

		assert_cheap(fixture, path, "/v2.1/servers?name=nothing", 400);
		assert_string_equal(json_string_value(json_object_get(
					    json_object_get(fixture->answer.document, "badRequest"), "message")),
				    message);
	}
}

/* Each is far below a request's bound. */
static void many_patterns_share_the_bound(void **state)
{
	struct api_fixture *fixture = *state;
	CLEANUP_FREE char *many = repeat("/v2.1/servers?", "name=(a*)*b&ip=(.*)*b&", 1400, "name=nothing");

	int status;
	double base_ms = cost(fixture, "/v2.1/servers?name=nothing", &status);

	assert_true(cost(fixture, many, &status) < base_ms + EXTRA_MS_MAX);
}

static void every_value_of_a_pattern_is_checked_and_the_last_counts(void **state)
{
	struct api_fixture *fixture = *state;
	const struct api_answer *answer =
		api_fixture_ask(fixture, &reader, NULL, "GET", "/v2.1/servers?name=(&name=vm", NULL);

	assert_int_equal(answer->status, 400);
	answer = api_fixture_ask(fixture, &reader, NULL, "GET", "/v2.1/servers?ip=10.&ip=^10.0.0.7$", NULL);
	assert_int_equal(json_array_size(json_object_get(answer->document, "servers")), 1);
	answer = api_fixture_ask(fixture, &reader, NULL, "GET", "/v2.1/servers?name=vm-7-&ip=10.0.0.8", NULL);
	assert_int_equal(json_array_size(json_object_get(answer->document, "servers")), 0);
}

/* A parameter may be repeated as often as the head of a request has space for. */
static void what_is_repeated_is_read_once_and_not_for_each_server(void **state)
{
	struct api_fixture *fixture = *state;
	CLEANUP_FREE char *keys = repeat("/v2.1/servers?limit=1", "&sort_key=project_id&sort_key=id", 900, "");
	CLEANUP_FREE char *statuses = repeat("/v2.1/servers?limit=1", "&status=rescue", 2300, "&status=deletedx");
	CLEANUP_FREE char *tags = repeat("/v2.1/servers?limit=1&tags=", "z,", 2000, "green");

	assert_cheap(fixture, keys, "/v2.1/servers?limit=1&sort_key=project_id", 200);
	assert_cheap(fixture, statuses, "/v2.1/servers?limit=1&status=rescue", 200);
	assert_cheap(fixture, tags, "/v2.1/servers?limit=1&tags=z,green", 200);
}

static size_t count(struct api_fixture *fixture, const char *path)
{
	const struct api_answer *answer = api_fixture_ask(fixture, &reader, "compute 2.60", "GET", path, NULL);

	assert_int_equal(answer->status, 200);
	return json_array_size(json_object_get(answer->document, "servers"));
}

static void statuses_are_joined_by_or_and_tags_by_and(void **state)
{
	struct api_fixture *fixture = *state;
	CLEANUP_FREE char *many =
		repeat("/v2.1/servers?limit=7&tags=", "x1234567890123456789012345678901234567890123456789012345678,",
		       49, "red");

	assert_int_equal(count(fixture, "/v2.1/servers?limit=7&status=rescue&status=Active"), 7);
	assert_int_equal(count(fixture, "/v2.1/servers?limit=7&status=rescue&status=nothing"), 0);
	assert_int_equal(count(fixture, "/v2.1/servers?limit=7&tags=red,blue,red"), 7);
	assert_int_equal(count(fixture, "/v2.1/servers?limit=7&tags=red,green"), 0);
	assert_int_equal(count(fixture, "/v2.1/servers?limit=7&tags=red,"), 0);
	assert_int_equal(count(fixture, many), 0);
}

static void the_first_of_equal_sort_keys_counts(void **state)
{
	struct api_fixture *fixture = *state;
	static const char path[] =
		"/v2.1/servers?limit=1&sort_key=project_id&sort_key=display_name&sort_key=uuid&sort_key=display_name"
		"&sort_dir=desc&sort_dir=asc&sort_dir=asc&sort_dir=desc";

	const struct api_answer *answer = api_fixture_ask(fixture, &reader, NULL, "GET", path, NULL);
	const json_t *first = json_array_get(json_object_get(answer->document, "servers"), 0);

	assert_string_equal(json_string_value(json_object_get(first, "name")),
			    "vm-0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
}

/* As repr writes it: the message is Nova's for what needs quoting, too. */
static void a_refused_pattern_is_quoted_as_python_does(void **state)
{
	struct api_fixture *fixture = *state;
	const struct api_answer *answer =
		api_fixture_ask(fixture, &reader, NULL, "GET", "/v2.1/servers?name=%27(%5C%0A%c3%a9", NULL);

	assert_int_equal(answer->status, 400);
	assert_string_equal(answer->message, "Invalid input for query parameters name. Value: '(\\\n\xc3\xa9. "
					     "\"'(\\\\\\n\xc3\xa9\" is not a 'regex'");
	answer = api_fixture_ask(fixture, &reader, NULL, "GET", "/v2.1/servers?name=%ff", NULL);
	assert_int_equal(answer->status, 400);
	assert_string_equal(answer->message, "Query string is not UTF-8 encoded");
	answer = api_fixture_ask(fixture, &reader, NULL, "GET", "/v2.1/servers?name=vm%00", NULL);
	assert_int_equal(json_array_size(json_object_get(answer->document, "servers")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_costly_pattern_is_refused_as_none),
		cmocka_unit_test(many_patterns_share_the_bound),
		cmocka_unit_test(every_value_of_a_pattern_is_checked_and_the_last_counts),
		cmocka_unit_test(what_is_repeated_is_read_once_and_not_for_each_server),
		cmocka_unit_test(statuses_are_joined_by_or_and_tags_by_and),
		cmocka_unit_test(the_first_of_equal_sort_keys_counts),
		cmocka_unit_test(a_refused_pattern_is_quoted_as_python_does),
	};
	return cmocka_run_group_tests(tests, setup, api_fixture_teardown);
}
