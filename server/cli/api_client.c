/* Requests to the API, and what their answers mean. The one difficulty: our own token is short-lived, and a wait is not. */
#include "server/cli/api_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/cli/local_endpoint.h"
#include "server/command.h"
#include "server/http_fetch.h"

#define VERSION        "OpenStack-API-Version: compute 2.84" /* the events' details; and Nova's of today has it */
#define TIMEOUT_S      10
#define ANSWER_MAX     (256U << 20)
#define TOKEN_FRESH_MS 30000

struct api_client {
	const char *verb;
	const struct verb_list *files;
	char *endpoint;
	char *token;
	const char *ca_file;
	bool is_local; /* the token is ours, and is renewed */
	bool is_own_listener;
	int64_t token_made_ms;
	struct config config; /* of the local one; else empty */
};

static int tell(const struct api_client *client, const char *why, int status)
{
	fprintf(stderr, "migrationd %s: %s\n", client->verb, why);
	return status;
}

static int renew_token(struct api_client *client, struct error *error)
{
	char *token = NULL;
	int64_t now_ms = clock_monotonic_ms(clock_system());

	if (client->token && now_ms - client->token_made_ms < TOKEN_FRESH_MS)
		return 0;
	int result = local_endpoint_token(&client->config, &token, error);
	if (result < 0)
		return result;
	free(client->token);
	client->token = token;
	client->token_made_ms = now_ms;
	return 0;
}

static int status_of_local(int result)
{
	return result == -EACCES ? EXIT_FORBIDDEN : result == -EHOSTUNREACH ? EXIT_UNAVAILABLE : EXIT_CONFIGURATION;
}

/* What is not given comes from the configuration. */
static int open_local(struct api_client *client, bool has_token)
{
	CLEANUP_FREE char *url = NULL;
	struct error error = { 0 };
	int status = command_read_config(client->files, false, &client->config);

	if (status != 0)
		return tell(
			client,
			"without --endpoint and --token (or OS_ENDPOINT and OS_TOKEN) this machine's daemon is asked, "
			"by its configuration",
			status);
	if (local_endpoint_url(&client->config, &url, &error) < 0)
		return tell(client, error.text, EXIT_CONFIGURATION);
	client->endpoint = text_format("%s/v2.1", url);
	client->is_own_listener = true;
	client->is_local = !has_token;
	int result = has_token ? 0 : renew_token(client, &error);
	if (result < 0)
		return tell(client, error.text, status_of_local(result));
	return client->endpoint ? 0 : EXIT_FAILURE;
}

static const char *given(const char *option, const char *variable)
{
	const char *value = option ? option : getenv(variable);

	return value && *value ? value : NULL;
}

/* Some say the endpoint without its version, as clients that find it themselves take it. */
static char *with_version(const char *endpoint)
{
	const char *host = strstr(endpoint, "://");
	size_t length = strlen(endpoint);

	while (length > 0 && endpoint[length - 1] == '/')
		length--;
	const char *path = host ? memchr(host + 3, '/', length - (size_t)(host + 3 - endpoint)) : NULL;
	return text_format("%.*s%s", (int)length, endpoint, path ? "" : "/v2.1");
}

static bool is_header_text(const char *token)
{
	for (; *token; token++)
		if ((unsigned char)*token <= ' ' || (unsigned char)*token > '~')
			return false;
	return true;
}

int api_client_create(const char *verb, const struct api_options *options, struct api_client **ret_client)
{
	CLEANUP_API_CLIENT struct api_client *client = calloc(1, sizeof(*client));
	const char *endpoint = given(options->endpoint, "OS_ENDPOINT"), *token = given(options->token, "OS_TOKEN");
	struct error error = { 0 };

	if (!client)
		return EXIT_FAILURE;
	client->verb = verb;
	client->files = &options->files;
	/* What the environment says of authorities is about the endpoint that it names. */
	client->ca_file = endpoint ? given(options->ca_file, "OS_CACERT") : options->ca_file;
	if (token && !is_header_text(token))
		return tell(client, "the token has characters that no token has", EXIT_USAGE);
	if (http_fetch_prepare(&error) < 0)
		return tell(client, error.text, EXIT_FAILURE);
	if (endpoint && !token)
		return verb_refuse(verb, "an endpoint is given, but no token for it: --token or OS_TOKEN");
	if (token && !(client->token = strdup(token)))
		return EXIT_FAILURE;
	if (endpoint && !text_starts_with(endpoint, "http://") && !text_starts_with(endpoint, "https://"))
		return verb_refuse(verb, "the endpoint must begin with http:// or https://, not \"%s\"", endpoint);
	client->endpoint = endpoint ? with_version(endpoint) : NULL;
	int status = endpoint ? 0 : open_local(client, token != NULL);
	if (status == 0)
		*ret_client = TAKE_POINTER(client);
	return status;
}

void api_client_destroy(struct api_client *client)
{
	if (!client)
		return;
	config_clear(&client->config);
	free(client->endpoint);
	free(client->token);
	free(client);
}

void cleanup_api_client(struct api_client **client)
{
	api_client_destroy(*client);
}

bool api_client_is_local(const struct api_client *client)
{
	return client->is_local;
}

const char *api_client_admin_socket(const struct api_client *client)
{
	return client->config.admin_socket;
}

const char *api_client_verb(const struct api_client *client)
{
	return client->verb;
}

void api_answer_clear(struct api_answer *answer)
{
	json_decref(answer->body);
	answer->body = NULL;
}

/* Nova's faults are {"name": {"code": …, "message": …}}. */
static const char *fault_words(json_t *body)
{
	const char *name;
	json_t *fault;

	json_object_foreach(body, name, fault)
	{
		const char *words = json_string_value(json_object_get(fault, "message"));

		if (words)
			return words;
	}
	return NULL;
}

static int understand(const struct http_response *response, struct api_answer *answer)
{
	answer->status = response->status;
	TEXT_COPY(answer->request_id, response->header);
	if (response->size > 0)
		answer->body = json_loadb(response->body, response->size, 0, NULL);
	if (response->status >= 200 && response->status < 300)
		return 0;

	const char *words = fault_words(answer->body);
	snprintf(answer->why, sizeof(answer->why), "%s (%ld)", words ? words : "the API refuses it", response->status);
	switch (response->status) {
	case 401:
	case 403:
		return EXIT_FORBIDDEN;
	case 502:
	case 503:
	case 504:
		return EXIT_UNAVAILABLE;
	default:
		return EXIT_FAILURE;
	}
}

static int exchange(struct api_client *client, const char *method, const char *url, const char *body,
		    struct api_answer *ret_answer)
{
	CLEANUP_FREE char *header = text_format("X-Auth-Token: %s", client->token);
	CLEANUP_HTTP_RESPONSE struct http_response response = { 0 };
	const char *const headers[] = { VERSION, header, NULL };
	const char *own = client->is_own_listener ? client->config.listener.certificate_file : NULL;
	const struct http_request request = {
		.url = url,
		.headers = headers,
		.method = method,
		.body = body,
		.ca_file = client->ca_file ? client->ca_file : own,
		.ignores_name = !client->ca_file && own,
		.goes_direct = client->is_own_listener,
		.timeout_s = TIMEOUT_S,
		.body_max = ANSWER_MAX,
		.wanted_header = "x-compute-request-id",
	};
	struct error error = { 0 };

	if (!header || http_fetch(&request, &response, &error) < 0) {
		TEXT_COPY(ret_answer->why, error.text);
		return header ? EXIT_UNAVAILABLE : EXIT_FAILURE;
	}
	return understand(&response, ret_answer);
}

int api_client_ask(struct api_client *client, const char *method, const char *path, json_t *body,
		   struct api_answer *ret_answer)
{
	CLEANUP_FREE char *url = text_format("%s%s", client->endpoint, path);
	CLEANUP_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct error error = { 0 };
	bool is_whole = url && (text || !body);

	*ret_answer = (struct api_answer){ 0 };
	json_decref(body);
	if (!is_whole)
		return EXIT_FAILURE;
	int result = client->is_local ? renew_token(client, &error) : 0;
	if (result < 0) {
		TEXT_COPY(ret_answer->why, error.text);
		return status_of_local(result);
	}
	return exchange(client, method, url, text, ret_answer);
}

int api_client_demand(struct api_client *client, const char *method, const char *path, json_t *body,
		      struct api_answer *ret_answer)
{
	int status = api_client_ask(client, method, path, body, ret_answer);

	return status == 0 ? 0 : tell(client, ret_answer->why, status);
}

/* The path of the next page; NULL: this was the last. */
static const char *next_page(const json_t *body, const char *key)
{
	CLEANUP_FREE char *links_key = text_format("%s_links", key);
	const json_t *links = links_key ? json_object_get(body, links_key) : NULL;
	size_t i;
	json_t *link;

	json_array_foreach(links, i, link)
	{
		const char *url = json_string_value(json_object_get(link, "href"));
		const char *authority = url ? strstr(url, "://") : NULL;
		const char *below = authority ? strchr(authority + 3, '/') : url;
		const char *version = below ? strstr(below, "/v2") : NULL;
		const char *path = version ? strchr(version + 1, '/') : NULL;

		if (path && text_equal(json_string_value(json_object_get(link, "rel")), "next"))
			return path;
	}
	return NULL;
}

int api_client_list(struct api_client *client, const char *path, const char *key, size_t rows_max, json_t **ret_rows)
{
	CLEANUP_FREE char *page = strdup(path);
	json_t *rows = json_array(), *row;
	int status = 0;
	size_t i;

	while (page && status == 0 && (rows_max == 0 || json_array_size(rows) < rows_max)) {
		CLEANUP_API_ANSWER struct api_answer answer = { 0 };

		status = api_client_demand(client, "GET", page, NULL, &answer);
		json_array_foreach(json_object_get(answer.body, key), i,
				   row) if (rows_max == 0 || json_array_size(rows) < rows_max)
			json_array_append(rows, row);
		const char *next = status == 0 ? next_page(answer.body, key) : NULL;
		char *copy = next ? strdup(next) : NULL;
		free(page);
		page = copy;
	}
	if (status != 0) {
		json_decref(rows);
		return status;
	}
	*ret_rows = rows;
	return 0;
}
