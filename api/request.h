/* One request on its way: who asks what, under which microversion, and how it is answered.
 *
 * A handler gets a request whose token, route, microversion and media type were checked. It answers exactly once, by one of
 * the request_reply functions, and returns what they return; afterwards it must not touch the request. A handler that answers
 * later (from the database's writer) keeps the pointer and returns 0.
 */
#pragma once

#include "api/api.h"
#include "api/auth/caller.h"
#include "api/auth/policy.h"
#include "api/view.h"
#include "base/error.h"
#include "db/database.h"

#include <jansson.h>

/* How a NUL that a client sent (%00, \u0000) stands in our texts: bytes that no UTF-8 has. Faults show it as it was. */
#define NUL_IN_TEXT       "\xc0\x80"
#define REQUEST_PART_SIZE 1024 /* a part of the path; longer ones are no path of ours */

struct request;
struct terms;
struct verdicts;

/* Returns 0 (answered, or to be answered later); a negative errno when it could not be answered: the caller then answers
 * by request_reply_error with `error` (503 for a full disk or lack of memory, else 500). */
typedef int (*request_handler)(struct request *request, struct error *error);

struct request {
	const struct api_settings *settings; /* the database, policies, page limit, node's name: those of its terms */
	struct terms *terms; /* owned */
	struct verdicts *verdicts; /* where an answer waits for the dispatcher */
	struct caller *caller; /* NULL only where the route needs no token */
	bool is_admin; /* Nova's context.is_admin */
	int minor; /* microversion 2.minor; 1 without a header */
	char version_text[64]; /* as the version header of the answer says: 2.60 */
	bool has_version_headers; /* the answer carries both version headers and Vary (recorded: not before the version was read) */
	char id[REQUEST_PART_SIZE]; /* {id} of the path, decoded; "" when the route has none */
	char id2[REQUEST_PART_SIZE]; /* {id2} */
	char project_id[REQUEST_PART_SIZE]; /* of the URL; "" when it has none */
	char *path; /* decoded, without the query; owned */
	const char *route_path; /* the part of it that the route table knows */
	size_t route; /* api_route_at's number */
	struct {
		char *version, *older_version, *media_type; /* owned; NULL: not there */
		bool is_kept;
	} kept_headers; /* of a request that goes on after the listener's call has returned */
	char *query; /* as sent, without "?"; "" when there is none; owned */
	json_t *body; /* parsed by actions; NULL before; owned */
	char link_project[REQUEST_PART_SIZE + 1]; /* see request_link_base */
	char *base_url; /* http://host:port without a trailing slash; owned */
	char request_id[REQUEST_ID_SIZE];
	bool has_request_id; /* the answer carries it */
	char content_type[64]; /* of a 200, as Accept asked for */
	const struct api_request *incoming; /* valid until the reply */
	const char *body_bytes;
	size_t body_size;
	api_reply_fn reply; /* used by the reply functions alone */
	void *reply_context;
};

/* Checks a policy: true when allowed. Otherwise false, and 403 in Nova's words was answered. */
bool request_allows(struct request *request, const char *policy, const struct policy_target *target);
/* The same question without an answer to the client. A rule that raises is logged and refuses. */
bool request_may(struct request *request, const char *policy, const struct policy_target *target);
/* The project_id of the URL is the caller's, or none is there; otherwise false, and 400 was answered. For GETs it is checked
 * before the handler runs. */
bool request_project_matches(struct request *request);
/* Parses the body; none leaves NULL. False: it is no JSON, and answered. */
bool request_read_body(struct request *request);
/* Nova's rule: the project's id is in links where the URL, query and all, has it somewhere. */
struct view_base request_link_base(const struct request *request);

/* Frees a request with all that it owns; for api.c and the reply functions. NULL is fine. */
void request_destroy(struct request *request);

/* Each answers and ends the request, and returns 0. */
int request_reply_json(struct request *request, int status, json_t *document); /* takes over the document; NULL: 503 */
int request_reply_empty(struct request *request, int status);
/* {"NAME by status": {"code": status, "message": ...}} */
int request_reply_bare(struct request *request, int status); /* without a Content-Type too */
int request_reply_fault(struct request *request, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* What went wrong inside: logged with its words; 503 for -ENOSPC and -ENOMEM, else 500 without them. */
int request_reply_error(struct request *request, const struct error *error);

/* {"name": {"code":..., "message":...}}; NULL when out of memory. */
json_t *fault_document(int status, const char *message);
/* Nova's name of a fault by its code: badRequest, itemNotFound, ... computeFault. */
const char *fault_name(int status);
