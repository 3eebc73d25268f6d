/* `migrationd migration …`: moves as the API shows them, and the words that end them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/cli/api_client.h"
#include "server/cli/move_end.h"
#include "server/cli/move_watch.h"
#include "server/cli/table.h"
#include "server/verbs.h"

#define ROWS_MAX 1000000

struct migration_arguments {
	struct api_options api;
	const char *id; /* of a migration */
	const char *server;
	const char *host;
	const char *status;
	int64_t limit;
	bool is_json;
};

static const struct table_column columns[] = {
	{ "ID", .key = "id" },
	{ "SERVER", .key = "server" },
	{ "TYPE", .key = "type" },
	{ "STATUS", .key = "status" },
	{ "FROM", .key = "source" },
	{ "TO", .key = "target" },
	{ "BEGAN", .key = "created_at" },
};

static int list_path(struct api_client *client, const struct migration_arguments *arguments, struct text *path)
{
	json_t *server = NULL;
	int status = arguments->server ? api_client_find_server(client, arguments->server, &server) : 0;

	text_append(path, "/os-migrations?");
	api_append_filter("instance_uuid", json_string_value(json_object_get(server, "id")), path);
	api_append_filter("host", arguments->host, path);
	api_append_filter("status", arguments->status, path);
	if (arguments->limit < 1000)
		text_append_format(path, "limit=%lld", (long long)arguments->limit);
	json_decref(server);
	return status == 0 && text_failed(path) ? EXIT_FAILURE : status;
}

static int list(void *context)
{
	const struct migration_arguments *arguments = context;
	CLEANUP_API_CLIENT struct api_client *client = NULL;
	CLEANUP_TEXT struct text path = TEXT_EMPTY;
	json_t *migrations = NULL, *migration;
	size_t i;
	int status = api_client_create("migration list", &arguments->api, &client);

	if (status == 0)
		status = list_path(client, arguments, &path);
	if (status == 0)
		status = api_client_list(client, path.data, "migrations", (size_t)arguments->limit, &migrations);
	if (status != 0)
		return status;
	json_t *rows = json_array();
	json_array_foreach(migrations, i, migration) json_array_append_new(rows, api_migration_row(migration));
	status = table_print(rows, columns, ARRAY_LENGTH(columns), arguments->is_json);
	json_decref(rows);
	json_decref(migrations);
	return status;
}

static const char *text_of(const json_t *document, const char *key)
{
	const char *text = json_string_value(json_object_get(document, key));

	return text ? text : "";
}

/* The name that people have for a server; its UUID where it is not told. */
static char *name_of_server(struct api_client *client, const char *uuid)
{
	CLEANUP_FREE char *path = text_format("/servers/%s", uuid);
	CLEANUP_API_ANSWER struct api_answer answer = { 0 };
	int status = path ? api_client_ask(client, "GET", path, NULL, &answer) : EXIT_FAILURE;

	return text_format("%s", status == 0 ? text_of(json_object_get(answer.body, "server"), "name") : uuid);
}

static int tell_end(const struct move_watch *watch, const char *created_at)
{
	const struct move_view *view = &watch->view;
	CLEANUP_FREE char *request = NULL;
	CLEANUP_FREE char *why = NULL;
	bool is_failed = text_equal(view->status, "error") || text_equal(view->status, "failed");

	if (!is_failed && !text_equal(view->status, "cancelled")) {
		printf("%s: %s, from %s to %s\n", watch->server_name, view->status, view->source, view->target);
		return verb_output_status();
	}
	request = move_find_request(watch->client, watch->server_id, created_at);
	why = request ? move_failure(watch->client, watch->server_id, request) : NULL;
	fprintf(stderr, "migrationd migration watch: the move of %s %s%s%s\n", watch->server_name,
		is_failed ? "failed" : "was aborted", why ? ": " : "", why ? why : "");
	return EXIT_FAILURE;
}

static int watch(void *context)
{
	const struct migration_arguments *arguments = context;
	CLEANUP_API_CLIENT struct api_client *client = NULL;
	CLEANUP_FREE char *name = NULL;
	json_t *migration = NULL;
	int status = api_client_create("migration watch", &arguments->api, &client);

	if (status == 0)
		status = api_client_find_migration(client, arguments->id, &migration);
	if (status != 0)
		return status;
	name = name_of_server(client, text_of(migration, "server"));

	struct move_watch seen = {
		.client = client,
		.server_id = text_of(migration, "server"),
		.server_name = name ? name : text_of(migration, "server"),
		.migration_id = json_integer_value(json_object_get(migration, "id")),
		.is_migration = true,
	};
	move_watch_begin(&seen);
	status = move_watch_run(&seen);
	if (status == 0)
		status = tell_end(&seen, text_of(migration, "created_at"));
	json_decref(migration);
	return status;
}

static int abort_one(void *context)
{
	const struct migration_arguments *arguments = context;
	CLEANUP_API_CLIENT struct api_client *client = NULL;
	CLEANUP_API_ANSWER struct api_answer answer = { 0 };
	json_t *migration = NULL;
	int status = api_client_create("migration abort", &arguments->api, &client);

	if (status == 0)
		status = api_client_find_migration(client, arguments->id, &migration);
	if (status != 0)
		return status;
	CLEANUP_FREE char *path = text_format("/servers/%s/migrations/%lld", text_of(migration, "server"),
					      (long long)json_integer_value(json_object_get(migration, "id")));
	json_decref(migration);
	status = path ? api_client_demand(client, "DELETE", path, NULL, &answer) : EXIT_FAILURE;
	if (status == 0)
		printf("The abort of migration %s is asked for\n", arguments->id);
	return status;
}

/* An answer to a cold move that waits at VERIFY_RESIZE. */
static int settle(const struct migration_arguments *arguments, const char *verb, const char *action)
{
	CLEANUP_API_CLIENT struct api_client *client = NULL;
	CLEANUP_API_ANSWER struct api_answer answer = { 0 };
	json_t *server = NULL;
	int status = api_client_create(verb, &arguments->api, &client);

	if (status == 0)
		status = api_client_find_server(client, arguments->server, &server);
	if (status != 0)
		return status;
	CLEANUP_FREE char *path = text_format("/servers/%s/action", text_of(server, "id"));
	json_decref(server);
	status = path ? api_client_demand(client, "POST", path, json_pack("{s:n}", action), &answer) : EXIT_FAILURE;
	if (status == 0)
		printf("%s is asked for, as %s\n", action, answer.request_id);
	return status;
}

static int confirm(void *context)
{
	return settle(context, "migration confirm", "confirmResize");
}

static int revert(void *context)
{
	return settle(context, "migration revert", "revertResize");
}

#define AT(member) .offset = offsetof(struct migration_arguments, member)

static const struct verb_argument by_id[] = {
	{ "ID", NULL, "the migration's number or UUID", VERB_TEXT, AT(id), .is_required = true,
	  .completes = VERB_COMPLETES_MIGRATION },
};

static const struct verb_argument by_server[] = {
	{ "SERVER", NULL, "its name or its UUID", VERB_TEXT, AT(server), .is_required = true,
	  .completes = VERB_COMPLETES_SERVER },
};

static const struct verb_argument api_options[] = { VERB_OPTIONS_API(struct migration_arguments, api) };

static const struct verb_argument list_options[] = {
	{ "SERVER", "server", "those of this server", VERB_TEXT, AT(server), .completes = VERB_COMPLETES_SERVER },
	{ "HOST", "host", "those from or to this host", VERB_TEXT, AT(host), .completes = VERB_COMPLETES_HOST },
	{ "STATUS", "status", "those that are so: running, error and so on", VERB_TEXT, AT(status) },
	{ "N", "limit", "so many at most", VERB_NUMBER, AT(limit), .low = 1, .high = ROWS_MAX, .by_default = "100" },
	VERB_OPTION_JSON(struct migration_arguments, is_json),
	VERB_OPTIONS_API(struct migration_arguments, api),
};

static const char *const list_description[] = {
	"With --json a list of objects: id, uuid, server, type (\"live-migration\", \"migration\"), status, source, "
	"target (null "
	"before it is chosen), created_at, updated_at.",
	NULL,
};

static const struct verb migration_list = {
	.name = "list",
	.summary = "lists moves, the newest first",
	.description = list_description,
	.options = VERB_ROWS(list_options),
	.arguments_size = sizeof(struct migration_arguments),
	.run = list,
};

static const char *const watch_description[] = {
	"Shows its progress as migrate --wait does, until it has ended: with status 0, or with 1 and the reason where "
	"it failed or "
	"was aborted. ^C ends the watching alone.",
	NULL,
};

static const struct verb migration_watch = {
	.name = "watch",
	.summary = "shows how a move goes, until it has ended",
	.description = watch_description,
	.operands = VERB_ROWS(by_id),
	.options = VERB_ROWS(api_options),
	.arguments_size = sizeof(struct migration_arguments),
	.run = watch,
};

static const char *const abort_description[] = {
	"The guest runs on where it was. A move that is on its last way, or in post-copy, is not ended any more.",
	NULL,
};

static const struct verb migration_abort = {
	.name = "abort",
	.summary = "ends a live move that is under way",
	.description = abort_description,
	.operands = VERB_ROWS(by_id),
	.options = VERB_ROWS(api_options),
	.arguments_size = sizeof(struct migration_arguments),
	.run = abort_one,
};

static const struct verb migration_confirm = {
	.name = "confirm",
	.summary = "keeps a server where a cold move has brought it",
	.operands = VERB_ROWS(by_server),
	.options = VERB_ROWS(api_options),
	.arguments_size = sizeof(struct migration_arguments),
	.run = confirm,
};

static const struct verb migration_revert = {
	.name = "revert",
	.summary = "brings a server back from where a cold move has brought it",
	.operands = VERB_ROWS(by_server),
	.options = VERB_ROWS(api_options),
	.arguments_size = sizeof(struct migration_arguments),
	.run = revert,
};

static const struct verb *const inner[] = { &migration_list,    &migration_watch,  &migration_abort,
					    &migration_confirm, &migration_revert, NULL };

const struct verb verb_migration = {
	.name = "migration",
	.summary = "lists, shows, aborts, confirms or reverts moves, over the API",
	.verbs = inner,
};
