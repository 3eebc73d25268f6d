/* Nova's API as the verbs ask it: where it is, whose token goes with it, and what an answer means for the exit status.
 *
 * Token and endpoint come from --token and --endpoint, else from OS_TOKEN and OS_ENDPOINT, as OpenStack's clients have them with
 * OS_AUTH_TYPE=admin_token. Without any of them it is the daemon on this machine: the configuration's listener, and a token of an
 * admin for a minute, signed by the configuration's key. Such a token goes only to a daemon that answers on the configured
 * admin socket, so that nobody who has taken the port meanwhile gets it.
 */
#pragma once

#include <jansson.h>

#include "server/cli/verb.h"

struct error;
struct text;

/* The options of every verb that asks the API. */
struct api_options {
	const char *endpoint;
	const char *token;
	const char *ca_file;
	struct verb_list files;
};

#define VERB_OPTIONS_API(type, member)                                                                                 \
	{ "URL", "endpoint", "the API, with its version: https://compute.example/v2.1; OS_ENDPOINT without it",        \
	  VERB_TEXT, .offset = offsetof(type, member.endpoint) },                                                      \
		{ "TOKEN", "token", "whose word it is; OS_TOKEN without it", VERB_TEXT,                                \
		  .offset = offsetof(type, member.token) },                                                            \
		{ "FILE",                                                                                              \
		  "cacert",                                                                                            \
		  "certificates that the endpoint's is checked by, PEM; OS_CACERT without it",                         \
		  VERB_TEXT,                                                                                           \
		  .offset = offsetof(type, member.ca_file),                                                            \
		  .completes = VERB_COMPLETES_FILE },                                                                  \
		VERB_OPTION_CONFIG(type, member.files)

struct api_client;

/* 0, or what the process is to exit with; why was told. `verb` is what messages begin with, and is borrowed. */
int api_client_create(const char *verb, const struct api_options *options, struct api_client **ret_client);
void api_client_destroy(struct api_client *client); /* NULL is fine */
#define CLEANUP_API_CLIENT __attribute__((cleanup(cleanup_api_client)))
void cleanup_api_client(struct api_client **client);

/* It is the daemon of this machine, and its operator's own word. */
bool api_client_is_local(const struct api_client *client);
const char *api_client_admin_socket(const struct api_client *client);
const char *api_client_verb(const struct api_client *client);

#define API_REQUEST_ID_SIZE 64

struct api_answer {
	long status;
	json_t *body; /* NULL: none */
	char request_id[API_REQUEST_ID_SIZE];
	char why[2048]; /* of a refusal, or why no answer came; for people */
};
void api_answer_clear(struct api_answer *answer);
#define CLEANUP_API_ANSWER __attribute__((cleanup(api_answer_clear)))

/* `path` is behind the endpoint and begins with a slash. `body` is taken, NULL: none. Gives the exit status: 0 for 2xx; nothing is
 * told. */
int api_client_ask(struct api_client *client, const char *method, const char *path, json_t *body,
		   struct api_answer *ret_answer);
/* The same, and tells what went wrong on stderr. */
int api_client_demand(struct api_client *client, const char *method, const char *path, json_t *body,
		      struct api_answer *ret_answer);
/* Rows of all pages, those of `key`, until there are `rows_max` (0: no limit). Tells what went wrong. */
int api_client_list(struct api_client *client, const char *path, const char *key, size_t rows_max, json_t **ret_rows);

/* "NAME=VALUE&" behind the path, escaped; nothing for NULL. */
void api_append_filter(const char *name, const char *value, struct text *path);
/* The document's members under our names, null where it has none: "host" of OS-EXT-SRV-ATTR:host. */
struct api_member {
	const char *name;
	const char *key;
};
json_t *api_row(const json_t *document, const struct api_member *members, size_t member_count);

/* A server by name or UUID. The row of GET /servers/{id} is the caller's. Tells what went wrong. */
int api_client_find_server(struct api_client *client, const char *name, json_t **ret_server);
/* A row of /os-migrations under the names that we tell programs: id, uuid, server, type, status, source, target, created_at,
 * updated_at. */
json_t *api_migration_row(const json_t *migration);
/* What the admin socket tells of it, with those names; of a local client alone. Nothing is told. */
int api_client_show_migration(struct api_client *client, const char *id, json_t **ret_migration, struct error *error);
/* A migration by number or UUID, with those names; the caller's. Tells what went wrong. */
int api_client_find_migration(struct api_client *client, const char *id, json_t **ret_migration);
