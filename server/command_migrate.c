/* `migrationd migrate SERVER`: asks the API for a move, and waits for its end where that is wanted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/cli/api_client.h"
#include "server/cli/move_end.h"
#include "server/cli/move_watch.h"
#include "server/cli/table.h"
#include "server/verbs.h"

#define VERB "migrate"

struct migrate_arguments {
	struct api_options api;
	const char *server;
	const char *host;
	const char *block_migration;
	bool is_live;
	bool waits;
	bool is_json;
};

static json_t *body_of(const struct migrate_arguments *arguments)
{
	json_t *copies = text_equal(arguments->block_migration, "auto")
				 ? json_string("auto")
				 : json_boolean(text_equal(arguments->block_migration, "true"));

	if (arguments->is_live)
		return json_pack("{s:{s:s?, s:o}}", "os-migrateLive", "host", arguments->host, "block_migration",
				 copies);
	json_decref(copies);
	return arguments->host ? json_pack("{s:{s:s}}", "migrate", "host", arguments->host)
			       : json_pack("{s:n}", "migrate");
}

/* What a program is told of the request, or of the end. */
static int print_json(const struct move_watch *watch, const char *request_id, const char *outcome, const char *why)
{
	json_t *document = json_pack("{s:s, s:s, s:s, s:o, s:s?, s:s?, s:s?}", "server", watch->server_id, "request_id",
				     request_id, "outcome", outcome, "migration",
				     watch->migration_id ? json_integer(watch->migration_id) : json_null(), "host",
				     watch->view.host[0] ? watch->view.host : NULL, "status",
				     watch->view.server_status[0] ? watch->view.server_status : NULL, "reason", why);
	int status = document ? table_print_json(document) : EXIT_FAILURE;

	json_decref(document);
	return status;
}

/* Why it did not move, where its action does not tell (an abort is no failure to it); heap. */
static char *reason_of(const struct move_view *view)
{
	if (text_equal(view->status, "cancelled"))
		return strdup("it was aborted, or over its time");
	if (text_equal(view->server_status, "ERROR"))
		return strdup("its server is in status ERROR");
	return strdup("it is where it was, and nothing more is told");
}

/* That it has moved is believed by the place where it is alone. */
static int tell_end(const struct migrate_arguments *arguments, const struct move_watch *watch, const char *before,
		    const char *request_id)
{
	const struct move_view *view = &watch->view;
	CLEANUP_FREE char *why = move_failure(watch->client, watch->server_id, request_id);
	bool is_waiting = !arguments->is_live && text_equal(view->server_status, "VERIFY_RESIZE");
	bool is_elsewhere = view->host_id[0] && !text_equal(view->host_id, before);
	bool is_moved = arguments->is_live ? is_elsewhere && !text_equal(view->server_status, "ERROR") : is_waiting;

	if (!is_moved && !why && !(why = reason_of(view)))
		return EXIT_FAILURE;
	if (arguments->is_json
	    && print_json(watch, request_id, is_moved ? "moved" : "failed", is_moved ? NULL : why) != 0)
		return EXIT_FAILURE;
	if (!is_moved) {
		fprintf(stderr, "migrationd " VERB ": the move of %s failed: %s\n", watch->server_name, why);
		return EXIT_FAILURE;
	}
	if (!arguments->is_json) {
		printf("%s has moved%s%s\n", watch->server_name, view->host[0] ? " to " : "", view->host);
		if (is_waiting)
			printf("It waits for your word: migrationd migration confirm %s, or migrationd migration "
			       "revert %s\n",
			       watch->server_name, watch->server_name);
	}
	return verb_output_status();
}

static int wait_for_end(const struct migrate_arguments *arguments, struct move_watch *watch, const char *before,
			const char *request_id)
{
	int status = move_watch_run(watch);

	return status == 0 ? tell_end(arguments, watch, before, request_id) : status;
}

static int ask(const struct migrate_arguments *arguments, struct api_client *client, const json_t *server)
{
	CLEANUP_API_ANSWER struct api_answer answer = { 0 };
	struct move_watch watch = {
		.client = client,
		.server_id = json_string_value(json_object_get(server, "id")),
		.server_name = json_string_value(json_object_get(server, "name")),
	};

	if (!watch.server_id || !watch.server_name)
		return EXIT_FAILURE;
	CLEANUP_FREE char *path = text_format("/servers/%s/action", watch.server_id);
	int status = path ? api_client_demand(client, "POST", path, body_of(arguments), &answer) : EXIT_FAILURE;

	if (status != 0)
		return status;
	move_watch_begin(&watch);
	move_watch_find_migration(&watch);
	watch.is_quiet = arguments->is_json;
	if (arguments->waits)
		return wait_for_end(arguments, &watch, json_string_value(json_object_get(server, "hostId")),
				    answer.request_id);
	if (arguments->is_json)
		return print_json(&watch, answer.request_id, "asked", NULL);
	printf("The move of %s is asked for, as %s", watch.server_name, answer.request_id);
	if (watch.migration_id)
		printf("; migrationd migration watch %lld shows it", (long long)watch.migration_id);
	putchar('\n');
	return verb_output_status();
}

static int migrate(void *context)
{
	const struct migrate_arguments *arguments = context;
	CLEANUP_API_CLIENT struct api_client *client = NULL;
	json_t *server = NULL;

	if (arguments->block_migration && !arguments->is_live)
		return verb_refuse(VERB, "--block-migration is for live moves: it needs --live");
	struct migrate_arguments filled = *arguments;
	filled.block_migration = arguments->block_migration ? arguments->block_migration : "auto";
	int status = api_client_create(VERB, &arguments->api, &client);
	if (status == 0)
		status = api_client_find_server(client, arguments->server, &server);
	if (status == 0)
		status = ask(&filled, client, server);
	json_decref(server);
	return status;
}

static const char *const block_words[] = { "auto", "true", "false", NULL };

static const struct verb_argument operands[] = {
	{ "SERVER", NULL, "its name or its UUID", VERB_TEXT, .offset = offsetof(struct migrate_arguments, server),
	  .is_required = true, .completes = VERB_COMPLETES_SERVER },
};

static const struct verb_argument options[] = {
	{ NULL, "live", "while it runs; without it the server is shut down, moved and started", VERB_SWITCH,
	  .offset = offsetof(struct migrate_arguments, is_live) },
	{ "HOST", "host", "where to; the scheduler chooses without it", VERB_TEXT,
	  .offset = offsetof(struct migrate_arguments, host), .completes = VERB_COMPLETES_HOST },
	{ "WISH", "block-migration",
	  "whether a live move copies disks; auto, without it, does so where they are not shared", VERB_TEXT,
	  .offset = offsetof(struct migrate_arguments, block_migration), .completes = VERB_COMPLETES_WORDS,
	  .words = block_words },
	{ NULL, "wait", "until it has ended, with its progress", VERB_SWITCH,
	  .offset = offsetof(struct migrate_arguments, waits) },
	VERB_OPTION_JSON(struct migrate_arguments, is_json),
	VERB_OPTIONS_API(struct migrate_arguments, api),
};

static const char *const description[] = {
	"With --wait a terminal shows a line that is drawn anew: state, bytes, pace, how fast the guest writes over "
	"what was "
	"copied, and the time that is left. Elsewhere there is a line for each change. How fast the guest writes is "
	"told by the "
	"daemon of this machine alone; the API does not have it. Bytes are shown to those who may list migrations. A "
	"daemon that "
	"is started anew meanwhile is waited for, for a minute.",
	"It ends when the move has: with status 0 or, when it failed, with 1 and the reason from the events of its "
	"instance "
	"action. A cold move ends at VERIFY_RESIZE, with the words how to confirm or revert it. ^C ends the waiting "
	"with status "
	"130; the move goes on.",
	"With --json an object: server, request_id, outcome (\"asked\"; with --wait \"moved\" or \"failed\"), "
	"migration, host and "
	"status of the server, reason; null where a value is not known.",
	NULL,
};

static const struct verb_example examples[] = {
	{ "migrationd migrate web-1 --live --wait", "live, to a host that the scheduler chooses" },
	{ "migrationd migrate web-1 --host compute-3 --wait", "cold, to a host that is named" },
	{ 0 },
};

const struct verb verb_migrate = {
	.name = "migrate",
	.summary = "moves a server to another host, over the API",
	.description = description,
	.operands = VERB_ROWS(operands),
	.options = VERB_ROWS(options),
	.examples = examples,
	.arguments_size = sizeof(struct migrate_arguments),
	.run = migrate,
};
