/* Requests to the API from many threads at once: each waits for its answer. */
#pragma once

#include <jansson.h>

struct api;
struct token_verifier;

struct api_caller {
	struct api *api;
	char token[2048]; /* of an admin */
};

void api_caller_init(struct api_caller *caller, struct api *api, struct token_verifier *tokens, long long now_us);
/* The status. `body` NULL: none; `ret_document` NULL: nobody wants it, else the caller's, NULL for an empty answer. Thread-safe.
 * Aborts when no answer comes within a minute. */
int api_caller_ask(const struct api_caller *caller, const char *method, const char *path, const char *body,
		   json_t **ret_document);
