/* The caller: a request and its answer are on the stack of the thread that waits. */
#include "tests/unit/api_caller.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "api/api.h"
#include "api/auth/token.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#define VERSION "compute 2.60" /* in which hosts show what they have used */
#define WAIT_S  60

struct pending {
	const struct api_caller *caller;
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t came;
	bool has_come;
	int status;
	json_t *document;
};

static const char *find_header(const void *context, const char *name)
{
	const struct pending *pending = context;

	if (strcasecmp(name, "Authorization") == 0)
		return pending->caller->token;
	if (strcasecmp(name, "OpenStack-API-Version") == 0)
		return VERSION;
	return strcasecmp(name, "Content-Type") == 0 ? "application/json" : NULL;
}

static void take_reply(void *context, struct api_reply *reply)
{
	struct pending *pending = context;
	LOCK_SCOPE(&pending->mutex);

	pending->status = reply->status;
	pending->document = reply->body ? json_loadb(reply->body, reply->body_size, 0, NULL) : NULL;
	pending->has_come = true;
	pthread_cond_signal(&pending->came);
}

void api_caller_init(struct api_caller *caller, struct api *api, struct token_verifier *tokens, long long now_us)
{
	const char *roles[] = { "admin" };
	const struct caller admin = { .user_id = "admin-user",
				      .project_id = "project",
				      .roles = roles,
				      .role_count = 1,
				      .is_admin_project = true };
	CLEANUP_FREE char *token = NULL;
	struct error error = { 0 };

	*caller = (struct api_caller){ .api = api };
	if (token_make(tokens, &admin, NULL, now_us, 3600, &token, &error) < 0) {
		fprintf(stderr, "no token: %s\n", error.text);
		abort();
	}
	snprintf(caller->token, sizeof(caller->token), "Bearer %s", token);
}

static void wait_for(struct pending *pending, const char *path)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	LOCK_SCOPE(&pending->mutex);
	while (!pending->has_come)
		if (pthread_cond_timedwait(&pending->came, &pending->mutex, &until) != 0) {
			fprintf(stderr, "no answer to %s within %d s\n", path, WAIT_S);
			abort();
		}
}

int api_caller_ask(const struct api_caller *caller, const char *method, const char *path, const char *body,
		   json_t **ret_document)
{
	struct pending pending = { .caller = caller,
				   .mutex = PTHREAD_MUTEX_INITIALIZER,
				   .came = PTHREAD_COND_INITIALIZER };
	const struct api_request request = { .method = method,
					     .target = path,
					     .body = body,
					     .body_size = body ? strlen(body) : 0,
					     .remote = "127.0.0.1",
					     .header = find_header,
					     .header_context = &pending };

	api_handle(caller->api, &request, take_reply, &pending);
	wait_for(&pending, path);
	if (ret_document)
		*ret_document = pending.document;
	else
		json_decref(pending.document);
	return pending.status;
}
