/* A Keystone that answers as a test says. */
#include "fake_keystone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#define REQUEST_MAX 32768

/* The header's value; "" when it is not there. */
static void copy_header(const char *request, const char *name, char *ret_value, size_t size)
{
	CLEANUP_FREE char *line = text_format("\r\n%s:", name);
	const char *place = strcasestr(request, line);

	ret_value[0] = '\0';
	if (!place)
		return;
	place += strlen(line);
	place += strspn(place, " ");
	snprintf(ret_value, size, "%.*s", (int)strcspn(place, "\r"), place);
}

/* The head and the whole body; false: the other side has gone. */
static bool read_request(int connection, char ret_request[REQUEST_MAX])
{
	size_t length = 0;

	for (;;) {
		ssize_t step = recv(connection, ret_request + length, REQUEST_MAX - 1 - length, 0);
		char size[16];

		if (step <= 0)
			return false;
		length += (size_t)step;
		ret_request[length] = '\0';
		const char *end = strstr(ret_request, "\r\n\r\n");
		copy_header(ret_request, "Content-Length", size, sizeof(size));
		if (end && length >= (size_t)(end + 4 - ret_request) + strtoul(size, NULL, 10))
			return true;
	}
}

static void send_all(int connection, const char *text)
{
	for (size_t length = strlen(text); length;) {
		ssize_t step = send(connection, text, length, MSG_NOSIGNAL);

		if (step <= 0)
			return;
		text += step;
		length -= (size_t)step;
	}
}

/* With the mutex held, which is let go while it is held up. NULL: no answer. */
static char *answer_to(struct fake_keystone *keystone, const char *request)
{
	bool is_login = strncmp(request, "POST ", strlen("POST ")) == 0;

	const char *target = strchr(request, ' ') + 1;

	snprintf(is_login ? keystone->login_target : keystone->question_target, sizeof(keystone->login_target), "%.*s",
		 (int)strcspn(target, " "), target);
	*(is_login ? &keystone->logins : &keystone->questions) += 1;
	if (!is_login) {
		copy_header(request, "X-Auth-Token", keystone->asked_by, sizeof(keystone->asked_by));
		copy_header(request, "X-Subject-Token", keystone->asked_about, sizeof(keystone->asked_about));
	}
	pthread_cond_broadcast(&keystone->changed);
	while (keystone->is_held && !keystone->is_ending)
		pthread_cond_wait(&keystone->changed, &keystone->mutex);
	const struct fake_answer *answer = is_login ? &keystone->login : &keystone->question;
	const char *body = answer->body ? answer->body : "{}";
	CLEANUP_FREE char *header =
		answer->subject_token ? text_format("X-Subject-Token: %s\r\n", answer->subject_token) : strdup("");

	if (!answer->status)
		return NULL;
	return text_format("HTTP/1.1 %d x\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n%s", answer->status,
			   strlen(body), header, body);
}

static void *serve(void *context)
{
	struct fake_keystone *keystone = context;
	CLEANUP_FREE char *request = malloc(REQUEST_MAX);

	for (;;) {
		int connection = accept4(keystone->descriptor, NULL, NULL, SOCK_CLOEXEC);

		if (connection < 0)
			return NULL;
		if (read_request(connection, request)) {
			pthread_mutex_lock(&keystone->mutex);
			CLEANUP_FREE char *answer = answer_to(keystone, request);
			pthread_mutex_unlock(&keystone->mutex);
			if (answer)
				send_all(connection, answer);
		}
		close(connection);
	}
}

void fake_keystone_start(struct fake_keystone *keystone)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);

	pthread_mutex_init(&keystone->mutex, NULL);
	pthread_cond_init(&keystone->changed, NULL);
	keystone->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(keystone->descriptor, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(keystone->descriptor, 64), 0);
	assert_int_equal(getsockname(keystone->descriptor, (struct sockaddr *)&address, &size), 0);
	snprintf(keystone->url, sizeof(keystone->url), "http://127.0.0.1:%d", ntohs(address.sin_port));
	assert_int_equal(pthread_create(&keystone->thread, NULL, serve, keystone), 0);
}

static void clear_answer(struct fake_answer *answer)
{
	free(answer->body);
	free(answer->subject_token);
	*answer = (struct fake_answer){ 0 };
}

void fake_keystone_stop(struct fake_keystone *keystone)
{
	pthread_mutex_lock(&keystone->mutex);
	keystone->is_ending = true;
	pthread_cond_broadcast(&keystone->changed);
	pthread_mutex_unlock(&keystone->mutex);
	shutdown(keystone->descriptor, SHUT_RDWR);
	pthread_join(keystone->thread, NULL);
	close(keystone->descriptor);
	clear_answer(&keystone->login);
	clear_answer(&keystone->question);
	pthread_cond_destroy(&keystone->changed);
	pthread_mutex_destroy(&keystone->mutex);
}

void fake_keystone_set_login(struct fake_keystone *keystone, int status, char *body, char *subject_token)
{
	LOCK_SCOPE(&keystone->mutex);

	clear_answer(&keystone->login);
	keystone->login = (struct fake_answer){ status, body, subject_token };
}

void fake_keystone_set_question(struct fake_keystone *keystone, int status, char *body)
{
	LOCK_SCOPE(&keystone->mutex);

	clear_answer(&keystone->question);
	keystone->question = (struct fake_answer){ .status = status, .body = body };
}

void fake_keystone_hold(struct fake_keystone *keystone, bool is_held)
{
	LOCK_SCOPE(&keystone->mutex);

	keystone->is_held = is_held;
	pthread_cond_broadcast(&keystone->changed);
}

size_t fake_keystone_logins(struct fake_keystone *keystone)
{
	LOCK_SCOPE(&keystone->mutex);

	return keystone->logins;
}

size_t fake_keystone_questions(struct fake_keystone *keystone)
{
	LOCK_SCOPE(&keystone->mutex);

	return keystone->questions;
}

char *fake_keystone_body(const char *project, const char *role, int64_t expires_us)
{
	char end[TIME_TEXT_SIZE];

	time_format_micros(expires_us, end);
	return text_format("{\"token\": {\"user\": {\"id\": \"user\", \"domain\": {\"id\": \"default\"}}, \"project\": "
			   "{\"id\": \"%s\", \"domain\": {\"id\": \"default\"}}, \"roles\": [{\"id\": \"1\", \"name\": "
			   "\"%s\"}], \"expires_at\": \"%sZ\"}}",
			   project, role, end);
}
