/* One request on its way to its handler: size, token, path, version, media type, in the order in which Nova refuses. */
#include "api/api.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/auth/token.h"
#include "api/auth/token_authority.h"
#include "api/handlers.h"
#include "api/microversion.h"
#include "api/route_table.h"
#include "api/terms.h"
#include "api/verdicts.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define VENDOR_MEDIA_TYPE    "application/vnd.openstack.compute+json"
#define VERSION_HEADER       "OpenStack-API-Version"
#define OLDER_VERSION_HEADER "X-OpenStack-Nova-API-Version"

struct api {
	struct verdicts *verdicts;
	pthread_mutex_t mutex; /* guards the rest, and the references of all terms */
	struct terms *terms; /* the newest */
};

struct terms *api_terms_take(struct api *api)
{
	LOCK_SCOPE(&api->mutex);

	api->terms->references++;
	return api->terms;
}

void terms_release(struct terms *terms)
{
	struct api *api = terms->api;

	pthread_mutex_lock(&api->mutex);
	bool is_last = --terms->references == 0;
	pthread_mutex_unlock(&api->mutex);
	if (!is_last)
		return;
	if (terms->settings.released)
		terms->settings.released(terms->settings.released_context);
	free(terms);
}

int api_renew(struct api *api, const struct api_settings *settings, struct error *error)
{
	struct terms *terms = calloc(1, sizeof(*terms));
	struct terms *older;

	if (!terms)
		return error_no_memory(error);
	*terms = (struct terms){ .settings = *settings, .references = 1, .api = api };
	pthread_mutex_lock(&api->mutex);
	older = api->terms;
	api->terms = terms;
	pthread_mutex_unlock(&api->mutex);
	if (older)
		terms_release(older);
	return 0;
}

int api_create(const struct api_settings *settings, struct api **ret_api, struct error *error)
{
	struct api *api = calloc(1, sizeof(*api));

	if (!api)
		return error_no_memory(error);
	pthread_mutex_init(&api->mutex, NULL);
	int result =
		verdicts_create(settings->database, settings->clock, settings->wait_timeout_s, &api->verdicts, error);
	if (result == 0)
		result = api_renew(api, settings, error);
	if (result < 0) {
		verdicts_destroy(api->verdicts);
		pthread_mutex_destroy(&api->mutex);
		free(api);
		return result;
	}
	*ret_api = api;
	return 0;
}

void api_stop_waiting(struct api *api)
{
	verdicts_stop(api->verdicts);
}

void api_destroy(struct api *api)
{
	if (!api)
		return;
	verdicts_destroy(api->verdicts);
	terms_release(api->terms);
	pthread_mutex_destroy(&api->mutex);
	free(api);
}

static const char *header(const struct request *request, const char *name)
{
	return request->incoming->header(request->incoming->header_context, name);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes in place what is percent-encoded and drops doubled slashes; a NUL becomes NUL_IN_TEXT. False for a byte in which
 * no UTF-8 begins, or another sender's NUL_IN_TEXT. */
static bool decode_path(char *path)
{
	char *write = path;
	bool is_utf8 = true;

	for (const char *read = path; *read; read++) {
		char c = *read;

		if (c == '%' && hex_digit(read[1]) >= 0 && hex_digit(read[2]) >= 0) {
			c = (char)(hex_digit(read[1]) * 16 + hex_digit(read[2]));
			read += 2;
			if (!c) { /* three characters were read */
				memcpy(write, NUL_IN_TEXT, strlen(NUL_IN_TEXT));
				write += strlen(NUL_IN_TEXT);
				continue;
			}
		}
		is_utf8 = is_utf8 && (unsigned char)c != 0xc0;
		if (c != '/' || write == path || write[-1] != '/')
			*write++ = c;
	}
	*write = '\0';
	return is_utf8;
}

/* UTF-8, where NULs are none. */
static bool is_readable(const char *path)
{
	for (const char *nul; (nul = strstr(path, NUL_IN_TEXT)); path = nul + strlen(NUL_IN_TEXT))
		if (!text_is_utf8(path, (size_t)(nul - path)))
			return false;
	return text_is_utf8(path, strlen(path));
}

/* The target without scheme and authority, which a proxy's client sends (RFC 9112, absolute form). */
static const char *strip_authority(const char *target)
{
	size_t scheme = strncasecmp(target, "http://", 7) == 0 ? 7 : strncasecmp(target, "https://", 8) == 0 ? 8 : 0;

	return scheme ? target + scheme + strcspn(target + scheme, "/?") : target;
}

static bool take_target(struct request *request)
{
	const char *target = strip_authority(request->incoming->target);
	const char *question = strchr(target, '?');

	request->path = question ? strndup(target, (size_t)(question - target)) : strdup(target);
	request->query = strdup(question ? question + 1 : "");
	if (request->settings->public_endpoint) {
		request->base_url = strdup(request->settings->public_endpoint);
	} else {
		const char *host = request->incoming->host ? request->incoming->host : header(request, "Host");
		struct text base_url = TEXT_EMPTY;

		text_append_format(&base_url, "%s://", request->incoming->scheme ? request->incoming->scheme : "http");
		text_append_as_utf8(&base_url, host ? host : "localhost");
		text_append(&base_url, request->incoming->prefix ? request->incoming->prefix : "");
		request->base_url = text_take(&base_url);
	}
	return request->path && request->query && request->base_url;
}

/* A bearer's token by either header; NULL when there is none. */
static const char *find_token(const struct request *request)
{
	const char *authorization = header(request, "Authorization");

	if (authorization && strncasecmp(authorization, "Bearer ", strlen("Bearer ")) == 0)
		return authorization + strlen("Bearer ");
	return header(request, "X-Auth-Token");
}

static char *copy_or_null(const char *text, bool *is_short)
{
	char *copy = text ? strdup(text) : NULL;

	*is_short = *is_short || (text && !copy);
	return copy;
}

/* The listener tells headers only while it calls. */
static bool keep_headers(struct request *request)
{
	bool is_short = false;

	request->kept_headers.version = copy_or_null(header(request, VERSION_HEADER), &is_short);
	request->kept_headers.older_version = copy_or_null(header(request, OLDER_VERSION_HEADER), &is_short);
	request->kept_headers.media_type = copy_or_null(header(request, "Content-Type"), &is_short);
	request->kept_headers.is_kept = !is_short;
	return !is_short;
}

static int reply_unauthorized(struct request *request)
{
	return request_reply_json(request, 401,
				  json_pack("{s:{s:i,s:s,s:s}}", "error", "code", 401, "title", "Unauthorized",
					    "message", "The request you have made requires authentication."));
}

static int refuse_token(struct request *request, const char *why)
{
	log_event(request->settings->log, LOG_LEVEL_INFO, request->request_id, "token refused", LOG_TEXT("why", why));
	return reply_unauthorized(request);
}

/* False: answered. */
static bool read_version(struct request *request)
{
	struct microversion version = { 0 };
	struct error error = { 0 };
	bool is_kept = request->kept_headers.is_kept;
	int result =
		microversion_read(is_kept ? request->kept_headers.version : header(request, VERSION_HEADER),
				  is_kept ? request->kept_headers.older_version : header(request, OLDER_VERSION_HEADER),
				  &version, &error);

	TEXT_COPY(request->version_text, version.text);
	request->minor = version.minor;
	request->has_version_headers = result != -EINVAL;
	if (result == 0)
		return true;
	request_reply_fault(request, result == -EINVAL ? 400 : 406, "%s", error.text);
	return false;
}

static bool is_media_type(const struct request *request)
{
	static const char *const types[] = { "", "application/json", VENDOR_MEDIA_TYPE, "text/plain" };
	const char *type =
		request->kept_headers.is_kept ? request->kept_headers.media_type : header(request, "Content-Type");
	size_t length = type ? strcspn(type, ";") : 0;

	for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
		if (strlen(types[i]) == length && strncmp(types[i], type ? type : "", length) == 0)
			return true;
	return false;
}

static int reply_not_found(struct request *request)
{
	return request_reply_fault(request, 404, "The resource could not be found.");
}

/* From the token on. */
static int handle_authenticated(struct request *request, const struct route *route, struct error *error)
{
	const char *project_id = request->caller->project_id;

	if (project_id && project_id[0] && strstr(request->incoming->target, project_id))
		snprintf(request->link_project, sizeof(request->link_project), "/%s", project_id);
	request->is_admin = policy_is_admin(request->settings->policy, request->caller);

	if (!route)
		return reply_not_found(request);
	if (!read_version(request))
		return 0;
	if (request->minor < route->first_minor || request->minor > route->last_minor)
		return reply_not_found(request);
	if (!is_media_type(request))
		return request_reply_fault(request, 415, "Unsupported Content-Type");
	if (!route->checks_project_later && !request_project_matches(request))
		return 0;
	return route->handler(request, error);
}

/* On any thread. */
static void on_vouched(void *context, int result, struct caller *caller, const struct error *trouble)
{
	struct request *request = context;
	struct error error = { 0 };

	if (result == -EHOSTUNREACH || result == -ENOMEM) {
		log_event(request->settings->log, LOG_LEVEL_WARNING, request->request_id, "token cannot be judged now",
			  LOG_TEXT("why", trouble->text));
		request_reply_fault(request, 503, "The token cannot be judged now. Nothing was changed. Try again.");
		return;
	}
	if (result < 0) {
		refuse_token(request, trouble->text);
		return;
	}
	request->caller = caller;
	if (handle_authenticated(request, route_find(request, request->route_path), &error) < 0)
		request_reply_error(request, &error);
}

/* A token that no key of ours has made; one of ours that is over, or for others, is refused by ourselves. */
static bool is_for_authority(const struct request *request, int result)
{
	return request->settings->authority && (result == -EBADMSG || result == -EKEYREJECTED);
}

static int handle_routed(struct request *request, const char *path, struct error *error)
{
	const char *token = find_token(request);
	const struct route *route = route_find(request, path); /* told also where the token is refused */
	struct error trouble = { 0 };

	request->route_path = path;
	request->route = route_number(route);
	if (!token)
		return refuse_token(request, "there is none");
	int result = token_verify(request->settings->tokens, token, clock_now_us(request->settings->clock),
				  &request->caller, &trouble);
	if (result == 0)
		return handle_authenticated(request, route, error);
	if (result == -ENOMEM)
		return request_reply_error(request, &trouble);
	if (!is_for_authority(request, result))
		return refuse_token(request, trouble.text);
	if (!keep_headers(request))
		return error_no_memory(error);
	request->settings->authority->ask(request->settings->authority->context, token, on_vouched, request);
	return 0;
}

/* The part of the path behind `prefix`, when it ends there or a slash follows; NULL otherwise. */
static const char *path_below(const char *path, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strncmp(path, prefix, length) != 0 || (path[length] && path[length] != '/'))
		return NULL;
	return path + length;
}

static int handle(struct request *request, struct error *error)
{
	if (!take_target(request))
		return error_no_memory(error);
	request->has_request_id = true;
	if (!decode_path(request->path) || !is_readable(request->path))
		return reply_not_found(request);
	if (request->incoming->is_body_too_large || request->body_size > request->settings->max_body_bytes)
		return request_reply_fault(request, 413,
					   "Request is too large. Larger than max_request_body_size (%zu).",
					   request->settings->max_body_bytes);
	const char *below = path_below(request->path, "/v2.1");
	const char *below_old = path_below(request->path, "/v2");
	bool is_document = (below && (!below[0] || !below[1])) || (below_old && (!below_old[0] || !below_old[1]))
			   || text_equal(request->path, "/");
	if (is_document && text_equal(request->incoming->method, "GET"))
		request->route = route_document_number(below       ? DOCUMENT_V21
						       : below_old ? DOCUMENT_V2
								   : DOCUMENT_VERSIONS);
	if (text_equal(request->incoming->method, "OPTIONS") && !is_document) {
		request->has_request_id = false; /* recorded: an answer without any header of Nova's */
		return request_reply_bare(request, 200);
	}
	if (below)
		return below[0] && below[1]    ? handle_routed(request, below, error)
		       : read_version(request) ? handle_version_show(request, error)
					       : 0;
	if (below_old)
		return below_old[0] && below_old[1] ? handle_routed(request, "", error)
						    : handle_old_version_show(request, error);
	request->has_request_id = false;
	if (text_equal(request->path, "/"))
		return handle_version_list(request, error);
	return handle_version_choices(request, error);
}

void api_handle(struct api *api, const struct api_request *incoming, api_reply_fn reply, void *context)
{
	struct request *request = calloc(1, sizeof(*request));
	struct error error = { 0 };

	if (!request) {
		struct api_reply refusal = { .status = 503 };

		reply(context, &refusal);
		return;
	}
	struct terms *terms = api_terms_take(api);
	*request = (struct request){ .settings = &terms->settings,
				     .terms = terms,
				     .verdicts = api->verdicts,
				     .minor = MICROVERSION_MINOR_MIN,
				     .incoming = incoming,
				     .body_bytes = incoming->body,
				     .body_size = incoming->body_size,
				     .reply = reply,
				     .reply_context = context };
	request_id_make(request->request_id);
	const char *accept = header(request, "Accept");
	TEXT_COPY(request->content_type,
		  text_equal(accept, VENDOR_MEDIA_TYPE) ? VENDOR_MEDIA_TYPE : "application/json");
	if (handle(request, &error) < 0)
		request_reply_error(request, &error);
}
