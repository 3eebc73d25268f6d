/* A question to the running daemon over its admin socket, as a verb asks it. */
#pragma once

#include <jansson.h>

struct verb_list;

/* Takes the request. 0: there is an answer, the caller's; else what the process is to exit with, and why was told. */
int admin_client_ask(const char *verb, const struct verb_list *files, json_t *request, json_t **ret_answer);
/* The same for an answer that may take so long. */
int admin_client_ask_within(const char *verb, const struct verb_list *files, json_t *request, int limit_s,
			    json_t **ret_answer);
