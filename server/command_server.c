/* `migrationd server list`: servers as the API shows them. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/cli/api_client.h"
#include "server/cli/table.h"
#include "server/verbs.h"

struct server_arguments {
	struct api_options api;
	const char *host;
	const char *status;
	bool is_of_all_projects;
	bool is_json;
};

static const struct table_column columns[] = {
	{ "ID", .key = "id" },
	{ "NAME", .key = "name" },
	{ "STATUS", .key = "status" },
	{ "TASK", "task_state", .is_left_out_when_empty = true },
	{ "HOST", "host", .is_left_out_when_empty = true },
};

static const struct api_member members[] = {
	{ "id", "id" },
	{ "name", "name" },
	{ "status", "status" },
	{ "task_state", "OS-EXT-STS:task_state" },
	{ "host", "OS-EXT-SRV-ATTR:host" },
	{ "project_id", "tenant_id" },
};

static int list(void *context)
{
	const struct server_arguments *arguments = context;
	CLEANUP_API_CLIENT struct api_client *client = NULL;
	CLEANUP_TEXT struct text path = TEXT_EMPTY;
	json_t *servers = NULL, *server;
	size_t i;
	int status = api_client_create("server list", &arguments->api, &client);

	if (status != 0)
		return status;
	text_append(&path, "/servers/detail?");
	if (arguments->is_of_all_projects || api_client_is_local(client))
		api_append_filter("all_tenants", "1", &path);
	api_append_filter("host", arguments->host, &path);
	api_append_filter("status", arguments->status, &path);
	status = text_failed(&path) ? EXIT_FAILURE : api_client_list(client, path.data, "servers", 0, &servers);
	if (status != 0)
		return status;
	json_t *rows = json_array();
	json_array_foreach(servers, i, server)
		json_array_append_new(rows, api_row(server, members, ARRAY_LENGTH(members)));
	status = table_print(rows, columns, ARRAY_LENGTH(columns), arguments->is_json);
	json_decref(rows);
	json_decref(servers);
	return status;
}

static const struct verb_argument list_options[] = {
	{ "HOST", "host", "those on this host; for admins", VERB_TEXT,
	  .offset = offsetof(struct server_arguments, host), .completes = VERB_COMPLETES_HOST },
	{ "STATUS", "status", "those that are so: ACTIVE, VERIFY_RESIZE, ERROR and so on", VERB_TEXT,
	  .offset = offsetof(struct server_arguments, status) },
	{ NULL, "all-projects", "those of all projects; for admins, and the rule where this machine's daemon is asked",
	  VERB_SWITCH, .offset = offsetof(struct server_arguments, is_of_all_projects) },
	VERB_OPTION_JSON(struct server_arguments, is_json),
	VERB_OPTIONS_API(struct server_arguments, api),
};

static const char *const list_description[] = {
	"With --json a list of objects: id, name, status, task_state (or null), host (null for those who may not "
	"know), "
	"project_id.",
	NULL,
};

static const struct verb_example list_examples[] = {
	{ "migrationd server list --host compute-2", "what stands on a host" },
	{ 0 },
};

static const struct verb server_list = {
	.name = "list",
	.summary = "lists servers, over the API",
	.description = list_description,
	.options = VERB_ROWS(list_options),
	.examples = list_examples,
	.arguments_size = sizeof(struct server_arguments),
	.run = list,
};

static const struct verb *const inner[] = { &server_list, NULL };

const struct verb verb_server = {
	.name = "server",
	.summary = "lists servers, over the API",
	.verbs = inner,
};
