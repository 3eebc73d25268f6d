/* Answers of requests: headers by what is known of the request so far, the body, and the end of the request. */
#include "api/request.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/json_body.h"
#include "api/terms.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"

#define VERSION_HEADER       "OpenStack-API-Version"
#define OLDER_VERSION_HEADER "X-OpenStack-Nova-API-Version"
#define FAULT_CONTENT_TYPE   "application/json; charset=UTF-8"
#define RETRY_AFTER_S        5

void request_destroy(struct request *request)
{
	if (!request)
		return;
	caller_release(request->caller);
	json_decref(request->body);
	free(request->path);
	free(request->kept_headers.version);
	free(request->kept_headers.older_version);
	free(request->kept_headers.media_type);
	free(request->query);
	free(request->base_url);
	if (request->terms)
		terms_release(request->terms);
	free(request);
}

static void add_header(struct api_reply *reply, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add_header(struct api_reply *reply, const char *name, const char *format, ...)
{
	struct api_header *header = &reply->headers[reply->header_count++];
	va_list arguments;

	header->name = name;
	va_start(arguments, format);
	vsnprintf(header->value, sizeof(header->value), format, arguments);
	va_end(arguments);
}

/* Takes over the body, answers and frees the request. */
static int finish(struct request *request, int status, const char *content_type, char *body)
{
	struct api_reply reply = {
		.status = status, .body = body, .body_size = body ? strlen(body) : 0, .route = request->route
	};

	if (content_type)
		add_header(&reply, "Content-Type", "%s", content_type);
	if (request->has_version_headers) {
		add_header(&reply, VERSION_HEADER, "compute %s", request->version_text);
		add_header(&reply, OLDER_VERSION_HEADER, "%s", request->version_text);
		add_header(&reply, "Vary", "%s, %s", VERSION_HEADER, OLDER_VERSION_HEADER);
	}
	if (request->has_request_id) {
		add_header(&reply, "X-OpenStack-Request-Id", "%s", request->request_id);
		add_header(&reply, "x-compute-request-id", "%s", request->request_id);
	}
	if (status == 503)
		add_header(&reply, "Retry-After", "%d", RETRY_AFTER_S);
	if (status == 401)
		add_header(&reply, "WWW-Authenticate", "Keystone uri=\"%s\"",
			   request->settings->keystone_url ? request->settings->keystone_url : request->base_url);
	TEXT_COPY(reply.request_id, request->request_id);
	request->reply(request->reply_context, &reply);
	free(reply.body);
	request_destroy(request);
	return 0;
}

/* Takes over the body; NULL: memory ran out. */
static int finish_body(struct request *request, int status, const char *content_type, char *body)
{
	if (!body)
		return finish(request, 503, FAULT_CONTENT_TYPE, NULL);
	return finish(request, status, content_type, body);
}

/* What stands for half a surrogate pair of the client's becomes its escape. */
static char *restore_surrogates(char *document)
{
	struct text restored = TEXT_EMPTY;
	size_t length = document ? strlen(document) : 0;

	for (size_t i = 0; i < length; i++) {
		unsigned int half = json_body_surrogate(document + i, length - i);

		if (half) {
			text_append_format(&restored, "\\u%04x", half);
			i += JSON_BODY_SURROGATE_BYTES - 1;
		} else {
			text_append_bytes(&restored, document + i, 1);
		}
	}
	free(document);
	return length ? text_take(&restored) : NULL;
}

int request_reply_json(struct request *request, int status, json_t *document)
{
	char *body = document ? json_dumps(document, JSON_COMPACT) : NULL;

	json_decref(document);
	return finish_body(request, status, request->content_type, body);
}

int request_reply_empty(struct request *request, int status)
{
	return finish(request, status, "application/json", NULL);
}

int request_reply_bare(struct request *request, int status)
{
	return finish(request, status, NULL, NULL);
}

int request_reply_fault(struct request *request, int status, const char *format, ...)
{
	CLEANUP_TEXT struct text message = TEXT_EMPTY;
	va_list arguments;

	va_start(arguments, format);
	text_append_format_list(&message, format, arguments);
	va_end(arguments);
	json_t *document = text_failed(&message) ? NULL : fault_document(status, message.data);
	char *body = document ? restore_surrogates(json_dumps(document, JSON_COMPACT)) : NULL;

	json_decref(document);
	return finish_body(request, status, FAULT_CONTENT_TYPE, body);
}

int request_reply_error(struct request *request, const struct error *error)
{
	log_error(request->settings->log, request->request_id, "request failed", error);
	if (error->code == ENOSPC)
		return request_reply_fault(request, 503, "The disk of the database is full. Nothing was changed.");
	if (error->code == ENOMEM)
		return request_reply_fault(request, 503, "Out of memory. Nothing was changed.");
	return request_reply_fault(request, 500,
				   "The request failed inside the service. The log tells why under the request id %s.",
				   request->request_id);
}

bool request_may(struct request *request, const char *policy, const struct policy_target *target)
{
	struct error error = { 0 };
	enum policy_verdict verdict = policy_check(request->settings->policy, policy, request->caller, target, &error);

	if (verdict == POLICY_RAISED)
		log_error(request->settings->log, request->request_id, "policy rule raised and refuses", &error);
	return verdict == POLICY_ALLOWED;
}

bool request_allows(struct request *request, const char *policy, const struct policy_target *target)
{
	if (request_may(request, policy, target))
		return true;
	request_reply_fault(request, 403, "Policy doesn't allow %s to be performed.", policy);
	return false;
}

bool request_read_body(struct request *request)
{
	if (!request->body_size)
		return true;
	request->body = json_body_read(request->body_bytes, request->body_size);
	if (request->body)
		return true;
	request_reply_fault(request, 400, "Malformed request body");
	return false;
}

struct view_base request_link_base(const struct request *request)
{
	return (struct view_base){ .url = request->base_url, .project_path = request->link_project };
}

bool request_project_matches(struct request *request)
{
	const char *own = request->caller->project_id;

	if (!request->project_id[0] || text_equal(request->project_id, own))
		return true;
	request_reply_fault(request, 400,
			    "Malformed request URL: URL's project_id '%s' doesn't match Context's project_id '%s'",
			    request->project_id, own ? own : "None");
	return false;
}
