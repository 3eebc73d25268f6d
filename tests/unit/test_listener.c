/* The listener over real sockets; the API behind it is this test's own, so that it answers at once, later, or never. */
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
#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/text.h"
#include "server/listener.h"
#include "server/probes.h"
#include "tests/unit/http_fixture.h"

#define WAITING_MAX 64
#define SILENT_MS   300 /* that nothing comes is believed after so long */
#define PATIENCE_MS 10000

/* Requests for /wait are kept until somebody answers them, those for /hold keep their thread, that for /wait/held does both; all
 * others are answered at once. */
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
	char last_remote[64];
	bool was_too_large;
	pthread_mutex_t held; /* a request for /hold keeps its thread until it has that */
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
	TEXT_COPY(api->last_remote, incoming->remote);
	bool is_waiting = text_starts_with(incoming->target, "/wait");
	bool is_holding = text_starts_with(incoming->target, "/hold") || text_equal(incoming->target, "/wait/held");
	if (is_waiting) {
		assert_true(api->waiting_count < WAITING_MAX);
		api->waiting[api->waiting_count].request = incoming;
		TEXT_COPY(api->waiting[api->waiting_count].target, incoming->target);
		api->waiting[api->waiting_count].reply = reply;
		api->waiting[api->waiting_count++].context = context;
		pthread_cond_broadcast(&api->has_waiting);
	}
	pthread_mutex_unlock(&api->mutex);
	if (is_holding) {
		pthread_mutex_lock(&api->held);
		pthread_mutex_unlock(&api->held);
	}
	if (!is_waiting)
		answer(reply, context, "at once");
}

struct fixture {
	struct listener_settings settings;
	struct api api;
	struct listener *listener;
};

static void start(struct fixture *fixture, const struct probes *probes)
{
	const struct listener_parts parts = { .api = &fixture->api, .probes = probes };
	struct error error = { 0 };

	if (listener_start(&fixture->settings, &parts, &fixture->listener, &error) < 0)
		fail_msg("%s", error.text);
}

/* By the settings as they are now. */
static void start_again(struct fixture *fixture, const struct probes *probes)
{
	listener_stop(fixture->listener);
	start(fixture, probes);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->settings = (struct listener_settings){ .address = "127.0.0.1",
							.threads = 2,
							.connections_max = 200,
							.header_bytes_max = 16384,
							.body_bytes_max = 1000,
							.idle_timeout_s = 30,
							.drain_timeout_s = 1,
							.wait_timeout_s = 30 };
	pthread_mutex_init(&fixture->api.mutex, NULL);
	pthread_mutex_init(&fixture->api.held, NULL);
	pthread_cond_init(&fixture->api.has_waiting, NULL);
	start(fixture, NULL);
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

static int connect_from(const struct fixture *fixture, const char *own_address)
{
	return connect_to_port(listener_port(fixture->listener), own_address);
}

static int connect_to(const struct fixture *fixture)
{
	return connect_from(fixture, "127.0.0.1");
}

static void assert_answered(int connection)
{
	char response[4096];

	send_text(connection, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
	read_response(connection, response, sizeof(response));
	assert_true(text_starts_with(response, "HTTP/1.1 202 "));
}

static void wait_for_waiting(struct api *api, size_t count)
{
	pthread_mutex_lock(&api->mutex);
	while (api->waiting_count < count)
		pthread_cond_wait(&api->has_waiting, &api->mutex);
	pthread_mutex_unlock(&api->mutex);
}

static void wait_for_target(struct api *api, const char *target)
{
	for (int i = 0; i < PATIENCE_MS; i++) {
		pthread_mutex_lock(&api->mutex);
		bool is_there = text_equal(api->last_target, target);
		pthread_mutex_unlock(&api->mutex);
		if (is_there)
			return;
		usleep(1000);
	}
	fail_msg("%s does not come", target);
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

/* Content-Length and chunked, just so long and one byte more. */
static void a_body_of_just_the_limit_is_kept_whole(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_FREE char *body = text_format("%01000d", 0);
	char response[4096];

	for (size_t length = 1000; length <= 1001; length++) {
		CLEANUP_FREE char *plain =
			text_format("POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s%s", length, body,
				    length > 1000 ? "x" : "");
		CLEANUP_FREE char *chunked = text_format(
			"POST /big HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n%s\r\n%s0\r\n\r\n",
			body, length > 1000 ? "1\r\nx\r\n" : "");
		const char *const requests[] = { plain, chunked };

		for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
			CLEANUP_CLOSE int connection = connect_to(fixture);

			send_text(connection, requests[i]);
			read_response(connection, response, sizeof(response));
			assert_int_equal(fixture->api.was_too_large, length > 1000);
			assert_string_equal(fixture->api.last_body, length > 1000 ? "" : body);
		}
	}
}

/* What is added to the limit for the answer's own head counts for the request's, too: at the limit it is taken, and with that
 * beyond it is not. */
static void a_head_of_just_the_limit_is_taken(void **state)
{
	static const int64_t limits[] = { 1024, 4096, 16384, 65536 };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
		static const char head[] = "GET /now HTTP/1.1\r\nHost: a\r\nX-Long: \r\n\r\n";
		int fill = (int)(limits[i] - (int64_t)strlen(head));
		CLEANUP_FREE char *taken = text_format("GET /now HTTP/1.1\r\nHost: a\r\nX-Long: %0*d\r\n\r\n", fill, 0);
		CLEANUP_FREE char *refused =
			text_format("GET /now HTTP/1.1\r\nHost: a\r\nX-Long: %0*d\r\n\r\n", fill + 8192, 0);
		char response[4096];

		fixture->settings.header_bytes_max = limits[i];
		start_again(fixture, NULL);
		CLEANUP_CLOSE int good = connect_to(fixture);
		CLEANUP_CLOSE int bad = connect_to(fixture);
		send_text(good, taken);
		read_response(good, response, sizeof(response));
		assert_true(text_starts_with(response, "HTTP/1.1 202 "));
		send_text(bad, refused);
		ssize_t length = recv(bad, response, sizeof(response) - 1, 0);
		response[length > 0 ? length : 0] = '\0'; /* reset, where the rest came behind the answer */
		assert_true(length <= 0 || text_starts_with(response, "HTTP/1.1 431 ")
			    || text_starts_with(response, "HTTP/1.1 413 "));
	}
}

static void a_connection_beyond_the_limit_waits_until_another_one_ends(void **state)
{
	struct fixture *fixture = *state;
	int served[3];

	fixture->settings.threads = 1;
	fixture->settings.connections_max = ARRAY_LENGTH(served);
	start_again(fixture, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(served); i++) {
		served[i] = connect_to(fixture);
		assert_answered(served[i]);
	}
	CLEANUP_CLOSE int beyond = connect_to(fixture);
	send_text(beyond, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_false(is_readable(beyond, SILENT_MS));
	assert_answered(served[0]);
	close(served[1]);
	assert_true(is_readable(beyond, PATIENCE_MS));
	close(served[0]);
	close(served[2]);
}

/* Just as many requests at once as libmicrohttpd takes events at a time, and a few more and fewer. */
static void all_requests_that_come_at_once_are_answered(void **state)
{
	struct fixture *fixture = *state;
	int connections[132];

	fixture->settings.threads = 1;
	start_again(fixture, NULL);
	for (size_t count = 125; count < ARRAY_LENGTH(connections); count++) {
		CLEANUP_CLOSE int holder = connect_to(fixture);

		for (size_t i = 0; i < count; i++) {
			connections[i] = connect_to(fixture);
			assert_answered(connections[i]);
		}
		pthread_mutex_lock(&fixture->api.held);
		send_text(holder, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
		wait_for_target(&fixture->api, "/hold"); /* the thread is busy now */
		for (size_t i = 0; i < count; i++)
			send_text(connections[i], "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
		pthread_mutex_unlock(&fixture->api.held);
		for (size_t i = 0; i < count; i++)
			if (!is_readable(connections[i], PATIENCE_MS))
				fail_msg("request %zu of %zu is not answered", i + 1, count);
		for (size_t i = 0; i < count; i++)
			close(connections[i]);
	}
}

static void an_address_has_its_own_limit_of_connections(void **state)
{
	struct fixture *fixture = *state;

	fixture->settings.connections_per_address_max = 2;
	start_again(fixture, NULL);
	int first = connect_to(fixture);
	CLEANUP_CLOSE int second = connect_to(fixture);
	assert_answered(first);
	assert_answered(second);
	for (int i = 0; i < 3; i++) {
		CLEANUP_CLOSE int beyond = connect_to(fixture);

		assert_true(is_closed(beyond, PATIENCE_MS));
	}
	CLEANUP_CLOSE int other = connect_from(fixture, "127.0.0.2");
	assert_answered(other);
	assert_string_equal(fixture->api.last_remote, "127.0.0.2");
	assert_answered(second);

	close(first);
	bool is_taken = false;
	for (int i = 0; i < 100 && !is_taken; i++) { /* its end must have been seen */
		CLEANUP_CLOSE int next = connect_to(fixture);

		is_taken = !is_closed(next, 50);
		if (is_taken)
			assert_answered(next);
	}
	assert_true(is_taken);
}

static void an_address_without_a_limit_of_its_own_has_all_connections(void **state)
{
	struct fixture *fixture = *state;
	int connections[20];

	for (size_t i = 0; i < ARRAY_LENGTH(connections); i++) {
		connections[i] = connect_to(fixture);
		assert_answered(connections[i]);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(connections); i++)
		close(connections[i]);
}

static void fewer_connections_than_threads_are_served_too(void **state)
{
	struct fixture *fixture = *state;

	fixture->settings.threads = 4;
	for (fixture->settings.connections_max = 1; fixture->settings.connections_max <= 4;
	     fixture->settings.connections_max++) {
		start_again(fixture, NULL);
		for (int i = 0; i < 8; i++) {
			CLEANUP_CLOSE int connection = connect_to(fixture);

			assert_answered(connection);
		}
	}
}

static void a_silent_connection_is_closed_after_its_time_but_not_one_that_waits(void **state)
{
	static const char *const words[] = { "", "GET /now HT",
					     "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf" };
	struct fixture *fixture = *state;
	int silent[ARRAY_LENGTH(words)];
	char response[4096];

	fixture->settings.idle_timeout_s = 1;
	start_again(fixture, NULL);
	CLEANUP_CLOSE int waiting = connect_to(fixture);
	CLEANUP_CLOSE int kept = connect_to(fixture);
	send_text(waiting, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for_waiting(&fixture->api, 1);
	for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
		silent[i] = connect_to(fixture);
		send_text(silent[i], words[i]);
	}
	assert_answered(kept);
	assert_false(is_readable(kept, SILENT_MS));
	assert_true(is_closed(kept, PATIENCE_MS));
	for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
		assert_true(is_readable(silent[i], PATIENCE_MS)); /* closed, some with a word of farewell */
		close(silent[i]);
	}
	assert_false(is_readable(waiting, SILENT_MS));
	answer(fixture->api.waiting[0].reply, fixture->api.waiting[0].context, "later");
	fixture->api.waiting_count = 0;
	read_response(waiting, response, sizeof(response));
	assert_true(text_starts_with(response, "HTTP/1.1 202 "));
}

static void *stop(void *context)
{
	struct fixture *fixture = context;

	listener_stop(fixture->listener);
	return NULL;
}

static void a_stop_lets_a_request_in_flight_end_within_its_time_and_takes_no_new_one(void **state)
{
	struct fixture *fixture = *state;
	char response[4096];
	pthread_t thread;

	fixture->settings.drain_timeout_s = 30;
	start_again(fixture, NULL);
	CLEANUP_CLOSE int connection = connect_to(fixture);
	send_text(connection, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for_waiting(&fixture->api, 1);
	int64_t begun_ms = clock_monotonic_ms(clock_system());
	assert_int_equal(pthread_create(&thread, NULL, stop, fixture), 0);
	bool is_early = is_readable(connection, SILENT_MS);
	CLEANUP_CLOSE int late = connect_to(fixture); /* the kernel's queue, which nobody empties any more */
	send_text(late, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
	bool is_taken = is_readable(late, SILENT_MS);
	answer(fixture->api.waiting[0].reply, fixture->api.waiting[0].context, "in time");
	fixture->api.waiting_count = 0;
	pthread_join(thread, NULL); /* whatever was found: nobody may stop it twice */
	fixture->listener = NULL;
	assert_false(is_early);
	assert_false(is_taken);
	read_response(connection, response, sizeof(response));
	assert_non_null(strstr(response, "\r\n\r\nin time"));
	assert_true(clock_monotonic_ms(clock_system()) - begun_ms < PATIENCE_MS);
}

static void a_stop_gives_up_after_its_time_and_not_before(void **state)
{
	struct fixture *fixture = *state;

	for (int64_t drain_s = 0; drain_s <= 1; drain_s++) {
		char response[4096];

		fixture->settings.drain_timeout_s = drain_s;
		start_again(fixture, NULL);
		CLEANUP_CLOSE int connection = connect_to(fixture);
		send_text(connection, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
		wait_for_waiting(&fixture->api, (size_t)drain_s + 1);
		int64_t begun_ms = clock_monotonic_ms(clock_system());
		listener_stop(fixture->listener);
		fixture->listener = NULL;
		int64_t took_ms = clock_monotonic_ms(clock_system()) - begun_ms;
		assert_in_range(took_ms, drain_s * 1000, PATIENCE_MS);
		read_response(connection, response, sizeof(response));
		assert_true(text_starts_with(response, "HTTP/1.1 503 "));
	}
}

static void a_request_that_begins_to_wait_when_all_are_given_up_is_given_up_too(void **state)
{
	struct fixture *fixture = *state;
	char response[4096];
	pthread_t thread;

	fixture->settings.drain_timeout_s = 0;
	start_again(fixture, NULL);
	CLEANUP_CLOSE int connection = connect_to(fixture);
	pthread_mutex_lock(&fixture->api.held);
	send_text(connection, "GET /wait/held HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for_waiting(&fixture->api, 1);
	assert_int_equal(pthread_create(&thread, NULL, stop, fixture), 0);
	usleep(SILENT_MS * 1000);
	pthread_mutex_unlock(&fixture->api.held);
	pthread_join(thread, NULL);
	fixture->listener = NULL;
	read_response(connection, response, sizeof(response));
	assert_true(text_starts_with(response, "HTTP/1.1 503 "));
}

static void a_request_that_keeps_its_thread_is_told_by_its_age_and_one_that_waits_is_not(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_CLOSE int waiting = connect_to(fixture);
	CLEANUP_CLOSE int holding = connect_to(fixture);
	char response[4096];

	send_text(waiting, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for_waiting(&fixture->api, 1);
	usleep(SILENT_MS * 1000);
	assert_int_equal(listener_busy_ms(fixture->listener), 0);
	pthread_mutex_lock(&fixture->api.held);
	send_text(holding, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < 500 && listener_busy_ms(fixture->listener) < SILENT_MS; i++)
		usleep(10000);
	int64_t busy_ms = listener_busy_ms(fixture->listener);
	pthread_mutex_unlock(&fixture->api.held);
	assert_in_range(busy_ms, SILENT_MS, PATIENCE_MS);
	read_response(holding, response, sizeof(response));
	for (int i = 0; i < 1000 && listener_busy_ms(fixture->listener) > 0; i++)
		usleep(10000);
	assert_int_equal(listener_busy_ms(fixture->listener), 0);
}

static void a_request_that_keeps_its_thread_leaves_the_others_to_be_served(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_CLOSE int holding = connect_to(fixture);
	CLEANUP_CLOSE int other = connect_to(fixture);
	char response[4096];

	pthread_mutex_lock(&fixture->api.held);
	send_text(holding, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < 500 && listener_busy_ms(fixture->listener) == 0; i++)
		usleep(10000);
	CLEANUP_CLOSE int later = connect_to(fixture);
	send_text(later, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
	bool is_served = is_readable(later, PATIENCE_MS / 2);
	pthread_mutex_unlock(&fixture->api.held);
	assert_true(is_served);
	read_response(holding, response, sizeof(response));
	assert_answered(other);
}

/* A client's headers, and how its question for metrics is answered. */
struct question {
	const char *headers;
	const char *status;
};

static void ask_for_metrics(struct fixture *fixture, const struct question *questions, size_t count)
{
	const struct metrics_settings settings = { .is_enabled = true };
	struct metrics *metrics = metrics_create();
	const struct probes_parts parts = { .metrics = metrics, .settings = &settings };
	struct probes *probes = NULL;
	struct error error = { 0 };

	assert_int_equal(probes_create(&parts, &probes, &error), 0);
	start_again(fixture, probes);
	for (size_t i = 0; i < count; i++) {
		CLEANUP_CLOSE int connection = connect_to(fixture);
		CLEANUP_FREE char *request =
			text_format("GET /metrics HTTP/1.1\r\nHost: a\r\n%s\r\n", questions[i].headers);
		char response[4096];

		send_text(connection, request);
		read_response(connection, response, sizeof(response));
		if (!text_starts_with(response + strlen("HTTP/1.1 "), questions[i].status))
			fail_msg("%s: %s", questions[i].headers, response);
	}
	listener_stop(fixture->listener);
	fixture->listener = NULL;
	probes_destroy(probes);
	metrics_destroy(metrics);
}

/* Who asks for metrics from this machine through a proxy that is not trusted may be anybody. */
static void each_mark_of_an_unknown_proxy_makes_its_client_a_stranger(void **state)
{
	static const struct question rows[] = {
		{ "", "200" },
		{ "X-Other: 1\r\n", "200" },
		{ "Forwarded: for=127.0.0.1\r\n", "403" },
		{ "X-Forwarded-For: 127.0.0.1\r\n", "403" },
		{ "X-Forwarded-Proto: http\r\n", "403" },
		{ "X-Forwarded-Host: a\r\n", "403" },
		{ "X-Forwarded-Prefix: /a\r\n", "403" },
		{ "X-Real-IP: 127.0.0.1\r\n", "403" },
		{ "Via: 1.1 a\r\n", "403" },
		{ "Via:\r\n", "403" },
	};

	ask_for_metrics(*state, rows, ARRAY_LENGTH(rows));
}

/* With a proxy in front that is trusted its word about the client counts, but not the first element of Forwarded, which the
 * client may have written itself. */
static void a_trusted_proxys_word_says_who_may_read_metrics(void **state)
{
	static const char *proxies[] = { "127.0.0.1" };
	static const struct question rows[] = {
		{ "X-Forwarded-For: 127.0.0.2\r\n", "200" },
		{ "X-Forwarded-For: 127.0.0.2, 203.0.113.1\r\n", "403" },
		{ "X-Forwarded-For: 203.0.113.1, 127.0.0.2\r\n", "200" },
		{ "X-Forwarded-For: unknown\r\n", "403" },
		{ "Forwarded: for=127.0.0.2\r\n", "403" },
		{ "Forwarded: for=203.0.113.1\r\n", "403" },
		{ "Forwarded: for=203.0.113.1\r\nX-Forwarded-For: 127.0.0.2\r\n", "403" },
		{ "Via: 1.1 a\r\n", "403" },
	};
	struct fixture *fixture = *state;

	fixture->settings.trusted_proxies = proxies;
	fixture->settings.trusted_proxy_count = 1;
	ask_for_metrics(fixture, rows, ARRAY_LENGTH(rows));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_target_and_the_body_reach_the_api_as_they_were_sent),
		TEST(a_connection_is_kept_for_the_next_request),
		TEST(a_body_beyond_the_limit_is_told_to_the_api_and_not_kept),
		TEST(a_chunked_body_is_held_to_the_same_limit),
		TEST(requests_that_wait_hold_no_thread_and_stay_readable),
		TEST(a_stop_answers_what_still_waits_with_503),
		TEST(headers_beyond_the_limit_are_refused),
		TEST(an_address_or_certificate_that_is_none_is_told),
		TEST(a_body_of_just_the_limit_is_kept_whole),
		TEST(a_head_of_just_the_limit_is_taken),
		TEST(a_connection_beyond_the_limit_waits_until_another_one_ends),
		TEST(all_requests_that_come_at_once_are_answered),
		TEST(an_address_has_its_own_limit_of_connections),
		TEST(an_address_without_a_limit_of_its_own_has_all_connections),
		TEST(fewer_connections_than_threads_are_served_too),
		TEST(a_silent_connection_is_closed_after_its_time_but_not_one_that_waits),
		TEST(a_stop_lets_a_request_in_flight_end_within_its_time_and_takes_no_new_one),
		TEST(a_stop_gives_up_after_its_time_and_not_before),
		TEST(a_request_that_begins_to_wait_when_all_are_given_up_is_given_up_too),
		TEST(a_request_that_keeps_its_thread_is_told_by_its_age_and_one_that_waits_is_not),
		TEST(a_request_that_keeps_its_thread_leaves_the_others_to_be_served),
		TEST(each_mark_of_an_unknown_proxy_makes_its_client_a_stranger),
		TEST(a_trusted_proxys_word_says_who_may_read_metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
