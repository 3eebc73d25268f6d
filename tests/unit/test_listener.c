/* The listener over real sockets; the API behind it is this test's own, so that it answers at once, later, or never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "api/api.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/listener.h"

#define WAITING_MAX 64

/* Requests for /wait are kept until somebody answers them; all others are answered at once. */
struct api {
	pthread_mutex_t mutex;
	pthread_cond_t has_waiting;
	struct {
		const struct api_request *request; /* still the listener's when the reply comes */
		char target[32];
		api_reply_fn reply;
		void *context;
	} waiting[WAITING_MAX];
	size_t waiting_count;
	char last_target[256];
	char last_header[64];
	char *last_body;
	bool was_too_large;
};

static void answer(api_reply_fn reply, void *context, const char *body)
{
	struct api_reply answer = { .status = 202, .body = strdup(body), .body_size = strlen(body), .header_count = 1 };

	answer.headers[0].name = "X-Test";
	TEXT_COPY(answer.headers[0].value, "yes");
	reply(context, &answer);
	free(answer.body);
}

void api_handle(struct api *api, const struct api_request *incoming, api_reply_fn reply, void *context)
{
	const char *header = incoming->header(incoming->header_context, "x-of-mine");

	pthread_mutex_lock(&api->mutex);
	TEXT_COPY(api->last_target, incoming->target);
	TEXT_COPY(api->last_header, header ? header : "");
	free(api->last_body);
	api->last_body = strndup(incoming->body ? incoming->body : "", incoming->body_size);
	api->was_too_large = incoming->is_body_too_large;
	bool is_waiting = text_starts_with(incoming->target, "/wait");
	if (is_waiting) {
		assert_true(api->waiting_count < WAITING_MAX);
		api->waiting[api->waiting_count].request = incoming;
		TEXT_COPY(api->waiting[api->waiting_count].target, incoming->target);
		api->waiting[api->waiting_count].reply = reply;
		api->waiting[api->waiting_count++].context = context;
		pthread_cond_broadcast(&api->has_waiting);
	}
	pthread_mutex_unlock(&api->mutex);
	if (!is_waiting)
		answer(reply, context, "at once");
}

struct fixture {
	struct listener_settings settings;
	struct api api;
	struct listener *listener;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error error = { 0 };
	const struct listener_parts parts = { .api = &fixture->api };

	fixture->settings = (struct listener_settings){ .address = "127.0.0.1",
							.threads = 2,
							.connections_max = 200,
							.header_bytes_max = 16384,
							.body_bytes_max = 1000,
							.idle_timeout_s = 30,
							.drain_timeout_s = 1,
							.wait_timeout_s = 30 };
	pthread_mutex_init(&fixture->api.mutex, NULL);
	pthread_cond_init(&fixture->api.has_waiting, NULL);
	if (listener_start(&fixture->settings, &parts, &fixture->listener, &error) < 0)
		fail_msg("%s", error.text);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	listener_stop(fixture->listener);
	for (size_t i = 0; i < fixture->api.waiting_count; i++)
		answer(fixture->api.waiting[i].reply, fixture->api.waiting[i].context, "too late");
	free(fixture->api.last_body);
	free(fixture);
	return 0;
}

static int connect_to(const struct fixture *fixture)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)listener_port(fixture->listener)) };
	const struct timeval patience = { .tv_sec = 10 };
	int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(connection, (struct sockaddr *)&address, sizeof(address)), 0);
	return connection;
}

static void send_text(int connection, const char *text)
{
	assert_int_equal(send(connection, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* One whole response with a Content-Length. */
static void read_response(int connection, char *ret_text, size_t size)
{
	size_t length = 0;

	for (;;) {
		ssize_t step = recv(connection, ret_text + length, size - 1 - length, 0);
		if (step <= 0)
			fail_msg("no whole response: %.*s", (int)length, ret_text);
		length += (size_t)step;
		ret_text[length] = '\0';
		const char *end = strstr(ret_text, "\r\n\r\n");
		const char *header = strcasestr(ret_text, "Content-Length: ");
		if (end && header && length >= (size_t)(end - ret_text) + 4 + strtoul(header + 16, NULL, 10))
			return;
	}
}

static void wait_for_waiting(struct api *api, size_t count)
{
	pthread_mutex_lock(&api->mutex);
	while (api->waiting_count < count)
		pthread_cond_wait(&api->has_waiting, &api->mutex);
	pthread_mutex_unlock(&api->mutex);
}

static void the_target_and_the_body_reach_the_api_as_they_were_sent(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_CLOSE int connection = connect_to(fixture);
	char response[4096];

	send_text(connection,
		  "POST /v2.1/servers/%00/a%20b?x=%2F&y HTTP/1.1\r\nHost: a\r\nX-Of-Mine: one\r\nX-OF-MINE: two\r\n"
		  "Content-Length: 5\r\n\r\nhello");
	read_response(connection, response, sizeof(response));
	assert_true(text_starts_with(response, "HTTP/1.1 202 "));
	assert_non_null(strstr(response, "X-Test: yes\r\n"));
	assert_non_null(strstr(response, "\r\n\r\nat once"));
	assert_string_equal(fixture->api.last_target, "/v2.1/servers/%00/a%20b?x=%2F&y");
	assert_string_equal(fixture->api.last_body, "hello");
	assert_string_equal(fixture->api.last_header, "two");
}

static void a_connection_is_kept_for_the_next_request(void **state)
{
	CLEANUP_CLOSE int connection = connect_to(*state);
	char response[4096];

	for (int i = 0; i < 3; i++) {
		send_text(connection, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
		read_response(connection, response, sizeof(response));
		assert_true(text_starts_with(response, "HTTP/1.1 200 "));
		assert_non_null(strstr(response, "\"status\": \"ok\""));
	}
}

static void a_body_beyond_the_limit_is_told_to_the_api_and_not_kept(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_CLOSE int connection = connect_to(fixture);
	CLEANUP_FREE char *request =
		text_format("POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n%01001d", 0);
	char response[4096];

	send_text(connection, request);
	read_response(connection, response, sizeof(response));
	assert_true(fixture->api.was_too_large);
	assert_string_equal(fixture->api.last_body, "");
}

static void a_chunked_body_is_held_to_the_same_limit(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_CLOSE int connection = connect_to(fixture);
	CLEANUP_FREE char *request = text_format(
		"POST /big HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n%01001d\r\n0\r\n\r\n", 0);
	char response[4096];

	send_text(connection, request);
	read_response(connection, response, sizeof(response));
	assert_true(fixture->api.was_too_large);
}

static void requests_that_wait_hold_no_thread_and_stay_readable(void **state)
{
	struct fixture *fixture = *state;
	int waiting[40];
	char response[4096];

	for (size_t i = 0; i < ARRAY_LENGTH(waiting); i++) {
		CLEANUP_FREE char *request = text_format("GET /wait/%zu HTTP/1.1\r\nHost: a\r\n\r\n", i);

		waiting[i] = connect_to(fixture);
		send_text(waiting[i], request);
	}
	wait_for_waiting(&fixture->api, ARRAY_LENGTH(waiting));

	CLEANUP_CLOSE int other = connect_to(fixture); /* with two threads and forty that wait */
	send_text(other, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
	read_response(other, response, sizeof(response));
	assert_non_null(strstr(response, "at once"));

	/* The API may read its request until it answers, from whatever thread. */
	for (size_t i = 0; i < ARRAY_LENGTH(waiting); i++)
		assert_string_equal(fixture->api.waiting[i].request->target, fixture->api.waiting[i].target);
	for (size_t i = 0; i < ARRAY_LENGTH(waiting); i++)
		answer(fixture->api.waiting[i].reply, fixture->api.waiting[i].context, "later");
	fixture->api.waiting_count = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(waiting); i++) {
		read_response(waiting[i], response, sizeof(response));
		assert_non_null(strstr(response, "\r\n\r\nlater"));
		close(waiting[i]);
	}
}

static void a_stop_answers_what_still_waits_with_503(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_CLOSE int connection = connect_to(fixture);
	char response[4096];

	send_text(connection, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for_waiting(&fixture->api, 1);
	listener_stop(fixture->listener);
	fixture->listener = NULL;
	read_response(connection, response, sizeof(response));
	assert_true(text_starts_with(response, "HTTP/1.1 503 "));
	assert_non_null(strstr(response, "Retry-After: "));
}

static void headers_beyond_the_limit_are_refused(void **state)
{
	CLEANUP_CLOSE int connection = connect_to(*state);
	CLEANUP_FREE char *request = text_format("GET /now HTTP/1.1\r\nHost: a\r\nX-Long: %030000d\r\n\r\n", 0);
	char response[16384];

	send_text(connection, request);
	read_response(connection, response, sizeof(response));
	assert_true(text_starts_with(response, "HTTP/1.1 431 ") || text_starts_with(response, "HTTP/1.1 413 "));
}

static void an_address_or_certificate_that_is_none_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct listener_settings settings = fixture->settings;
	const struct listener_parts parts = { .api = &fixture->api };
	struct listener *other = NULL;
	struct error error = { 0 };

	settings.address = "localhost";
	assert_int_equal(listener_start(&settings, &parts, &other, &error), -EINVAL);
	assert_non_null(strstr(error.text, "localhost"));
	settings.address = "127.0.0.1";
	settings.certificate_file = "/nonexistent/cert.pem";
	settings.key_file = "/nonexistent/key.pem";
	assert_int_equal(listener_start(&settings, &parts, &other, &error), -ENOENT);
	assert_non_null(strstr(error.text, "/nonexistent/cert.pem"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_target_and_the_body_reach_the_api_as_they_were_sent, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_connection_is_kept_for_the_next_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_body_beyond_the_limit_is_told_to_the_api_and_not_kept, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_chunked_body_is_held_to_the_same_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(requests_that_wait_hold_no_thread_and_stay_readable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stop_answers_what_still_waits_with_503, set_up, tear_down),
		cmocka_unit_test_setup_teardown(headers_beyond_the_limit_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_address_or_certificate_that_is_none_is_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
