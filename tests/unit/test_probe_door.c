/* The monitors' own door over a real socket: it answers the three questions, to whoever reaches it, and is bounded. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/api.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/text.h"
#include "server/probe_door.h"
#include "server/probes.h"
#include "server/settings.h"
#include "tests/unit/http_fixture.h"

#define CONNECTIONS 64
#define SILENT_MS   300
#define PATIENCE_MS 10000

/* The listener, which has the API behind it, is linked but not started. */
void api_handle(struct api *api, const struct api_request *incoming, api_reply_fn reply, void *context)
{
	(void)api;
	(void)incoming;
	(void)reply;
	(void)context;
	fail();
}

struct fixture {
	struct metrics_settings settings;
	struct metrics *metrics;
	struct probes *probes;
	struct probe_door *door;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error error = { 0 };

	assert_non_null(fixture);
	fixture->settings = (struct metrics_settings){ .is_enabled = true, .address = "127.0.0.1" };
	fixture->metrics = metrics_create();
	const struct probes_parts parts = { .metrics = fixture->metrics, .settings = &fixture->settings };
	assert_int_equal(probes_create(&parts, &fixture->probes, &error), 0);
	if (probe_door_start("127.0.0.1", 0, fixture->probes, NULL, &fixture->door, &error) < 0)
		fail_msg("%s", error.text);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	probe_door_stop(fixture->door);
	probes_destroy(fixture->probes);
	metrics_destroy(fixture->metrics);
	free(fixture);
	return 0;
}

static int connect_to(const struct fixture *fixture)
{
	return connect_to_port(probe_door_port(fixture->door), "127.0.0.1");
}

static void assert_status(int connection, const char *request, const char *status)
{
	char response[4096];

	send_text(connection, request);
	read_response(connection, response, sizeof(response));
	assert_true(text_starts_with(response, "HTTP/1.1 "));
	assert_memory_equal(response + strlen("HTTP/1.1 "), status, 3);
}

static void only_the_questions_of_monitors_are_answered(void **state)
{
	static const struct {
		const char *request;
		const char *status;
	} rows[] = {
		{ "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "200" },
		{ "GET /metrics HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n", "200" },
		{ "GET /metrics?name=a HTTP/1.1\r\nHost: a\r\n\r\n", "200" },
		{ "POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "404" },
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "404" },
		{ "GET /v2.1/servers HTTP/1.1\r\nHost: a\r\n\r\n", "404" },
	};
	CLEANUP_CLOSE int connection = connect_to(*state);

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		assert_status(connection, rows[i].request, rows[i].status);
}

static void a_connection_beyond_the_limit_waits_until_another_one_ends(void **state)
{
	int served[CONNECTIONS];

	for (size_t i = 0; i < ARRAY_LENGTH(served); i++) {
		served[i] = connect_to(*state);
		assert_status(served[i], "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "200");
	}
	CLEANUP_CLOSE int beyond = connect_to(*state);
	send_text(beyond, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_false(is_readable(beyond, SILENT_MS));
	close(served[0]);
	assert_true(is_readable(beyond, PATIENCE_MS));
	for (size_t i = 1; i < ARRAY_LENGTH(served); i++)
		close(served[i]);
}

static void a_long_head_is_refused(void **state)
{
	CLEANUP_FREE char *request = text_format("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: %030000d\r\n\r\n", 0);
	CLEANUP_FREE char *shorter = text_format("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: %08000d\r\n\r\n", 0);
	CLEANUP_CLOSE int good = connect_to(*state);
	CLEANUP_CLOSE int bad = connect_to(*state);
	char response[4096];

	assert_status(good, shorter, "200");
	send_text(bad, request);
	ssize_t length = recv(bad, response, sizeof(response) - 1, 0);
	response[length > 0 ? length : 0] = '\0'; /* reset, where the rest came behind the answer */
	assert_true(length <= 0 || text_starts_with(response, "HTTP/1.1 431 ")
		    || text_starts_with(response, "HTTP/1.1 413 "));
}

static void an_address_that_is_none_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct probe_door *other = NULL;
	struct error error = { 0 };

	assert_int_equal(probe_door_start("localhost", 0, fixture->probes, NULL, &other, &error), -EINVAL);
	assert_non_null(strstr(error.text, "localhost"));
	assert_null(other);
}

/* A daemon that ends, or begins again elsewhere, leaves no port behind. */
static void when_it_is_stopped_nobody_listens_there(void **state)
{
	struct fixture *fixture = *state;
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)probe_door_port(fixture->door)),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CLEANUP_CLOSE int idle = connect_to(fixture);
	CLEANUP_CLOSE int late = socket(AF_INET, SOCK_STREAM, 0);

	assert_status(idle, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "200");
	probe_door_stop(fixture->door);
	fixture->door = NULL;
	assert_true(is_closed(idle, PATIENCE_MS));
	assert_int_equal(connect(late, (struct sockaddr *)&address, sizeof(address)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	probe_door_stop(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_the_questions_of_monitors_are_answered),
		TEST(a_connection_beyond_the_limit_waits_until_another_one_ends),
		TEST(a_long_head_is_refused),
		TEST(when_it_is_stopped_nobody_listens_there),
		TEST(an_address_that_is_none_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
