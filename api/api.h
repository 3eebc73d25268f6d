/* The door of the API room: one request in, one reply out, now or later.
 *
 * The listener hands over a whole request and a function that takes the reply. The reply may come before api_handle
 * returns (reads, refusals) or later from the database's writer (an accepted action is answered after its commit is on
 * disk; below microversion 2.34 a live migration only after the dispatcher's verdict), so that the listener suspends
 * the connection and blocks no thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

struct api;
struct clock;
struct database;
struct error;
struct log;
struct policy;
struct token_authority;
struct token_verifier;

struct api_settings {
	struct database *database; /* all borrowed: until the api is destroyed, or `released` was called */
	struct policy *policy;
	struct token_verifier *tokens;
	struct clock *clock;
	struct log *log;
	const char *public_endpoint; /* base of the links in documents; NULL: http:// and the request's Host */
	const char *keystone_url; /* in WWW-Authenticate; NULL: the endpoint itself */
	const struct token_authority *authority; /* asked about tokens that no key of ours has made; NULL: nobody is */
	bool is_simulated; /* no guest is real, and the version documents say so */
	const char *node; /* our name: stands for nova-conductor's and nova-scheduler's hosts */
	int64_t max_limit; /* rows of a page; Nova's 1000 */
	int64_t reserved_memory_mb; /* of hosts that set none of their own; os-hypervisors shows it as used */
	int64_t reserved_disk_gb;
	size_t max_body_bytes; /* Nova's 114688 */
	int64_t wait_timeout_s; /* how long a request below 2.34 waits for its verdict, then 202; 0: no limit; fixed at create */
	/* Called once, on any thread, when no request uses these settings any more; must not block. NULL: nobody asks. */
	void (*released)(void *context);
	void *released_context;
};

/* The request as it came; all pointers are the listener's and live until the reply was taken. */
struct api_request {
	const char *method;
	const char *target; /* path and query, as sent: still percent-encoded */
	const char *body; /* not terminated; NULL when empty */
	size_t body_size;
	bool is_body_too_large; /* Content-Length beyond the limit: the body was not read */
	const char *remote; /* the client's address, for the log */
	const char *scheme; /* that the client used: "http" or "https" */
	const char *host; /* that the client asked, as a proxy tells; NULL: by the header Host */
	const char *prefix; /* of the path, which a proxy took away; "" or from a slash on; NULL is "" */
	/* The value of a header, name in any case; NULL when it is not there; the last one where it came several times.
	 * Asked within api_handle alone: later the connection may be gone. */
	const char *(*header)(const void *context, const char *name);
	const void *header_context;
};

#define API_REPLY_HEADERS_MAX 10

struct api_header {
	const char *name; /* static */
	char value[512];
};

struct api_reply {
	int status;
	struct api_header headers[API_REPLY_HEADERS_MAX];
	size_t header_count;
	char *body; /* heap; the taker may keep it (TAKE_POINTER); NULL when empty */
	size_t body_size;
	char request_id[REQUEST_ID_SIZE];
	size_t route; /* of those of api_route_at: whose answer it is */
};

/* Called exactly once per request, on any thread; must not block. */
typedef void (*api_reply_fn)(void *context, struct api_reply *reply);

int api_create(const struct api_settings *settings, struct api **ret_api, struct error *error);
/* Requests from now on are answered by these settings, those under way by what held when they began. Of the first ones database,
 * clock, log and wait_timeout_s stay. -ENOMEM: nothing changed, and `released` is not called. Thread-safe. */
int api_renew(struct api *api, const struct api_settings *settings, struct error *error);
/* Answers those who wait for a verdict, and lets nobody wait any more: the daemon ends, their jobs are taken up again. */
void api_stop_waiting(struct api *api);
/* No request may be under way, and the database has made its last commit: the api watches its jobs. */
void api_destroy(struct api *api);

/* What can be asked, for those who count by it, since there is no end of paths: method, version ("/v2.1", or "") and the pattern
 * of the path below it ("/servers/{id}"). Number 0 is all that is none of them. */
size_t api_route_count(void);
void api_route_at(size_t number, const char **ret_method, const char **ret_version, const char **ret_pattern);

/* Thread-safe. */
void api_handle(struct api *api, const struct api_request *incoming, api_reply_fn reply, void *context);
