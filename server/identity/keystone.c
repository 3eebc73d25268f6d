/* Asking Keystone. The difficulty: the service has a token of its own, which ends, and may be revoked before; one that is refused
 * is made anew once, and only then is Keystone's word believed. */
#include "server/identity/keystone.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth/keystone_answer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/http_fetch.h"

#define ANSWER_MAX      (1024 * 1024)
#define PASSWORD_MAX    4096
#define RENEW_BEFORE_US (60 * 1000000LL)

struct keystone {
	const struct keystone_settings *settings;
	struct clock *clock;
	char *tokens_url;
	char *password;
	pthread_mutex_t mutex; /* guards all below, also while a token is made: others wait for it */
	char service_token[HTTP_HEADER_SIZE]; /* "": none */
	int64_t expires_us;
};

static int read_password(struct keystone *keystone, struct error *error)
{
	const char *path = keystone->settings->password_file;
	CLEANUP_FCLOSE FILE *file = path ? fopen(path, "re") : NULL;
	char text[PASSWORD_MAX + 2];

	if (!path)
		return error_set(error, EINVAL, "it needs a password_file");
	if (!file)
		return error_set_errno(error, errno, "cannot open the password file %s", path);
	size_t length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	if (!text[0] || length > PASSWORD_MAX)
		return error_set(error, EINVAL, "the password file %s holds no password of at most %d bytes", path,
				 PASSWORD_MAX);
	keystone->password = strdup(text);
	return keystone->password ? 0 : error_no_memory(error);
}

static void cleanup_keystone(struct keystone **keystone)
{
	keystone_destroy(*keystone);
}

int keystone_create(const struct keystone_settings *settings, struct clock *clock, struct keystone **ret_keystone,
		    struct error *error)
{
	__attribute__((cleanup(cleanup_keystone))) struct keystone *keystone = calloc(1, sizeof(*keystone));
	size_t length = strlen(settings->url);

	if (!keystone)
		return error_no_memory(error);
	keystone->settings = settings;
	keystone->clock = clock;
	pthread_mutex_init(&keystone->mutex, NULL);
	while (length && settings->url[length - 1] == '/')
		length--;
	bool has_version = length > 3 && strncmp(settings->url + length - 3, "/v3", 3) == 0;
	keystone->tokens_url = text_format("%.*s%s/auth/tokens", (int)length, settings->url, has_version ? "" : "/v3");
	int result = keystone->tokens_url ? read_password(keystone, error) : error_no_memory(error);
	if (result < 0)
		return error_wrap(error, "identity.keystone");
	*ret_keystone = TAKE_POINTER(keystone);
	return 0;
}

void keystone_destroy(struct keystone *keystone)
{
	if (!keystone)
		return;
	if (keystone->password)
		explicit_bzero(keystone->password, strlen(keystone->password));
	free(keystone->password);
	free(keystone->tokens_url);
	pthread_mutex_destroy(&keystone->mutex);
	free(keystone);
}

static char *login_body(const struct keystone *keystone)
{
	const struct keystone_settings *settings = keystone->settings;
	json_t *body = json_pack("{s:{s:{s:[s], s:{s:{s:s, s:s, s:{s:s}}}}, s:{s:{s:s, s:{s:s}}}}}", "auth", "identity",
				 "methods", "password", "password", "user", "name", settings->username, "password",
				 keystone->password, "domain", "name", settings->user_domain_name, "scope", "project",
				 "name", settings->project_name, "domain", "name", settings->project_domain_name);
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	return text;
}

/* With the mutex held. */
static int log_in(struct keystone *keystone, struct error *error)
{
	CLEANUP_FREE char *body = login_body(keystone);
	CLEANUP_HTTP_RESPONSE struct http_response response = { 0 };
	CLEANUP_CALLER struct caller *self = NULL;
	const struct http_request request = {
		.url = keystone->tokens_url,
		.body = body,
		.ca_file = keystone->settings->cacert_file,
		.timeout_s = keystone->settings->timeout_s,
		.body_max = ANSWER_MAX,
		.wanted_header = "X-Subject-Token",
	};

	if (!body)
		return error_no_memory(error);
	int result = http_fetch(&request, &response, error);
	explicit_bzero(body, strlen(body));
	if (result < 0)
		return result;
	if (response.status != 201 || !response.header[0])
		return error_set(
			error, EHOSTUNREACH,
			"Keystone does not let the service in as %s (status %ld): identity.keystone's username, "
			"password_file, project_name and domains",
			keystone->settings->username, response.status);
	if (keystone_answer_read(response.body, response.size, &self, error) < 0)
		return error_set(error, EHOSTUNREACH, "Keystone's answer to the service's login is none");
	TEXT_COPY(keystone->service_token, response.header);
	keystone->expires_us = self->expires_us;
	return 0;
}

/* A token that is good for a while; `refused`: that one is not. */
static int own_token(struct keystone *keystone, const char *refused, char ret_token[HTTP_HEADER_SIZE],
		     struct error *error)
{
	LOCK_SCOPE(&keystone->mutex);
	bool is_over = keystone->expires_us - RENEW_BEFORE_US <= clock_now_us(keystone->clock);
	bool is_refused = refused && text_equal(refused, keystone->service_token);
	int result = 0;

	if (!keystone->service_token[0] || is_over || is_refused) {
		keystone->service_token[0] = '\0';
		result = log_in(keystone, error);
	}
	if (result == 0)
		text_copy(ret_token, HTTP_HEADER_SIZE, keystone->service_token);
	return result;
}

static bool is_header_text(const char *token)
{
	for (; *token; token++)
		if ((unsigned char)*token <= ' ' || (unsigned char)*token > '~')
			return false;
	return true;
}

static int ask(struct keystone *keystone, const char *own, const char *token, struct http_response *ret_response,
	       struct error *error)
{
	CLEANUP_FREE char *url = text_format("%s?nocatalog", keystone->tokens_url);
	CLEANUP_FREE char *own_header = text_format("X-Auth-Token: %s", own);
	CLEANUP_FREE char *token_header = text_format("X-Subject-Token: %s", token);
	const char *const headers[] = { own_header, token_header, NULL };
	const struct http_request request = {
		.url = url,
		.headers = headers,
		.ca_file = keystone->settings->cacert_file,
		.timeout_s = keystone->settings->timeout_s,
		.body_max = ANSWER_MAX,
	};

	if (!url || !own_header || !token_header)
		return error_no_memory(error);
	return http_fetch(&request, ret_response, error);
}

/* One that is of no use condemns the token, and says nothing about others. */
static int read_answer(const struct http_response *response, struct caller **ret_caller, struct error *error)
{
	struct error trouble = { 0 };
	int result = keystone_answer_read(response->body, response->size, ret_caller, &trouble);

	return result == 0 ? 0 : error_set(error, result == -ENOMEM ? ENOMEM : EACCES, "%s", trouble.text);
}

int keystone_validate(struct keystone *keystone, const char *token, struct caller **ret_caller, struct error *error)
{
	char own[HTTP_HEADER_SIZE] = "";
	long status = 401;

	if (!is_header_text(token))
		return error_set(error, EACCES, "it has characters that no token has");
	for (int try = 0; try < 2 && status == 401; try++) {
		CLEANUP_HTTP_RESPONSE struct http_response response = { 0 };
		int result = own_token(keystone, own[0] ? own : NULL, own, error);

		if (result == 0)
			result = ask(keystone, own, token, &response, error);
		if (result < 0)
			return result;
		status = response.status;
		if (status == 200)
			return read_answer(&response, ret_caller, error);
	}
	if (status == 404)
		return error_set(error, EACCES, "Keystone knows no such token, or not any more");
	if (status == 400)
		return error_set(error, EACCES, "Keystone takes it for none (status 400)");
	return error_set(error, EREMOTEIO, "Keystone answers with status %ld", status);
}
