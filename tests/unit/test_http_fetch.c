/* Requests of ours to others: what comes back is bounded in time and size, and leads nowhere else. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/http_fetch.h"

#define BODY_MAX 100

/* Answers each connection alike, and keeps what it was asked. */
struct server {
	int listening;
	pthread_t thread;
	char url[64];
	const char *answer; /* NULL: silence */
	char asked[4096];
	atomic_int count;
};

static void serve(struct server *server, int connection)
{
	size_t length = 0;
	ssize_t step;

	atomic_fetch_add(&server->count, 1);
	while (length < sizeof(server->asked) - 1 && !(length && strstr(server->asked, "\r\n\r\n"))
	       && (step = recv(connection, server->asked + length, sizeof(server->asked) - 1 - length, 0)) > 0) {
		length += (size_t)step;
		server->asked[length] = '\0';
	}
	if (server->answer)
		send(connection, server->answer, strlen(server->answer), MSG_NOSIGNAL);
	else
		recv(connection, server->asked, 1, 0); /* until the other end has had enough */
	close(connection);
}

static void *listen_loop(void *context)
{
	struct server *server = context;
	int connection;

	while ((connection = accept(server->listening, NULL, NULL)) >= 0)
		serve(server, connection);
	return NULL;
}

static int set_up(void **state)
{
	struct server *server = calloc(1, sizeof(*server));
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);

	assert_non_null(server);
	server->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listening, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->listening, 4), 0);
	assert_int_equal(getsockname(server->listening, (struct sockaddr *)&address, &size), 0);
	snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%d/", ntohs(address.sin_port));
	assert_int_equal(pthread_create(&server->thread, NULL, listen_loop, server), 0);
	*state = server;
	return 0;
}

static int tear_down(void **state)
{
	struct server *server = *state;

	shutdown(server->listening, SHUT_RDWR); /* wakes accept */
	pthread_join(server->thread, NULL);
	close(server->listening);
	free(server);
	return 0;
}

static struct http_request request_to(const struct server *server)
{
	return (struct http_request){ .url = server->url, .goes_direct = true, .timeout_s = 10, .body_max = BODY_MAX };
}

static void an_answer_of_just_the_limit_is_taken_and_a_longer_one_is_an_error(void **state)
{
	struct server *server = *state;

	for (int length = BODY_MAX - 1; length <= BODY_MAX + 1; length++) {
		CLEANUP_FREE char *plain =
			text_format("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%0*d", length, length, 0);
		CLEANUP_FREE char *chunked = text_format("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
							 "%x\r\n%0*d\r\n32\r\n%050d\r\n0\r\n\r\n",
							 length - 50, length - 50, 0, 0);
		const char *const answers[] = { plain, chunked };

		for (size_t i = 0; i < ARRAY_LENGTH(answers); i++) {
			const struct http_request request = request_to(server);
			CLEANUP_HTTP_RESPONSE struct http_response response = { 0 };
			struct error error = { 0 };

			server->answer = answers[i];
			int result = http_fetch(&request, &response, &error);
			if (length > BODY_MAX) {
				assert_int_equal(result, -EHOSTUNREACH);
				assert_non_null(strstr(error.text, "longer than 100 bytes"));
				continue;
			}
			assert_int_equal(result, 0);
			assert_int_equal(response.status, 200);
			assert_int_equal(response.size, length);
			assert_int_equal(strlen(response.body), length);
		}
	}
}

static void a_server_that_says_nothing_is_left_after_its_time(void **state)
{
	struct server *server = *state;
	struct http_request request = request_to(server);
	CLEANUP_HTTP_RESPONSE struct http_response response = { 0 };
	struct error error = { 0 };
	int64_t begun_ms = clock_monotonic_ms(clock_system());

	request.timeout_s = 1;
	assert_int_equal(http_fetch(&request, &response, &error), -EHOSTUNREACH);
	assert_in_range(clock_monotonic_ms(clock_system()) - begun_ms, 900, 8000);
	assert_non_null(strstr(error.text, server->url));
}

static void an_answer_that_leads_elsewhere_is_not_followed(void **state)
{
	struct server *server = *state;
	CLEANUP_FREE char *answer =
		text_format("HTTP/1.1 302 Found\r\nLocation: %selsewhere\r\nContent-Length: 0\r\n\r\n", server->url);
	const struct http_request request = request_to(server);
	CLEANUP_HTTP_RESPONSE struct http_response response = { 0 };
	struct error error = { 0 };

	server->answer = answer;
	assert_int_equal(http_fetch(&request, &response, &error), 0);
	assert_int_equal(response.status, 302);
	assert_int_equal(atomic_load(&server->count), 1);
}

static void what_is_no_whole_answer_is_an_error(void **state)
{
	static const char *const answers[] = { "", "nonsense\r\n\r\n",
					       "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
					       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab" };
	struct server *server = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(answers); i++) {
		const struct http_request request = request_to(server);
		CLEANUP_HTTP_RESPONSE struct http_response response = { 0 };
		struct error error = { 0 };

		server->answer = answers[i];
		assert_int_equal(http_fetch(&request, &response, &error), -EHOSTUNREACH);
		assert_true(error.text[0] != '\0');
	}
}

static void only_http_is_spoken(void **state)
{
	static const char *const urls[] = { "file:///etc/passwd", "ftp://127.0.0.1/", "dict://127.0.0.1/",
					    "gopher://127.0.0.1/", "" };

	for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
		struct http_request request = request_to(*state);
		CLEANUP_HTTP_RESPONSE struct http_response response = { 0 };
		struct error error = { 0 };

		request.url = urls[i];
		request.body_max = 1000000;
		assert_true(http_fetch(&request, &response, &error) < 0);
		assert_int_equal(response.size, 0);
	}
}

static void the_wanted_header_is_kept_where_it_fits(void **state)
{
	struct server *server = *state;

	for (int length = HTTP_HEADER_SIZE - 1; length <= HTTP_HEADER_SIZE; length++) {
		CLEANUP_FREE char *answer =
			text_format("HTTP/1.1 200 OK\r\nX-Subject-Token-Other: no\r\nX-SUBJECT-TOKEN: \t%0*d \r\n"
				    "Content-Length: 0\r\n\r\n",
				    length, 0);
		struct http_request request = request_to(server);
		CLEANUP_HTTP_RESPONSE struct http_response response = { 0 };
		struct error error = { 0 };

		request.wanted_header = "X-Subject-Token";
		server->answer = answer;
		assert_int_equal(http_fetch(&request, &response, &error), 0);
		assert_int_equal(strlen(response.header), length < HTTP_HEADER_SIZE ? length : 0);
	}
}

static void method_headers_and_body_are_sent_as_they_are_asked_for(void **state)
{
	static const char *const headers[] = { "X-Auth-Token: secret", NULL };
	struct server *server = *state;
	struct http_request request = request_to(server);
	CLEANUP_HTTP_RESPONSE struct http_response posted = { 0 }, deleted = { 0 };
	struct error error = { 0 };

	server->answer = "HTTP/1.1 204 No Content\r\n\r\n";
	request.headers = headers;
	request.body = "{}";
	assert_int_equal(http_fetch(&request, &posted, &error), 0);
	assert_int_equal(posted.status, 204);
	assert_string_equal(posted.body, "");
	assert_true(text_starts_with(server->asked, "POST / HTTP/1.1\r\n"));
	assert_non_null(strstr(server->asked, "\r\nX-Auth-Token: secret\r\n"));
	assert_non_null(strstr(server->asked, "\r\nContent-Type: application/json\r\n"));
	request.body = NULL;
	request.method = "DELETE";
	assert_int_equal(http_fetch(&request, &deleted, &error), 0);
	assert_true(text_starts_with(server->asked, "DELETE / HTTP/1.1\r\n"));
}

static void a_text_stands_in_a_url_as_one_part(void **state)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	(void)state;
	http_append_escaped("azAZ09-._~", &text);
	http_append_escaped(" /?#%&=+:@!\"\n\x01\x7f\xc3\xa9`{[^/", &text);
	assert_string_equal(text.data, "azAZ09-._~%20%2F%3F%23%25%26%3D%2B%3A%40%21%22%0A%01%7F%C3%A9%60%7B%5B%5E%2F");
}

static int prepare(void **state)
{
	struct error error = { 0 };

	(void)state;
	return http_fetch_prepare(&error);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_of_just_the_limit_is_taken_and_a_longer_one_is_an_error),
		TEST(a_server_that_says_nothing_is_left_after_its_time),
		TEST(an_answer_that_leads_elsewhere_is_not_followed),
		TEST(what_is_no_whole_answer_is_an_error),
		TEST(only_http_is_spoken),
		TEST(the_wanted_header_is_kept_where_it_fits),
		TEST(method_headers_and_body_are_sent_as_they_are_asked_for),
		cmocka_unit_test(a_text_stands_in_a_url_as_one_part),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
