/* `migrationd host …`: asks the running daemon over its admin socket. */
#include "server/command.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "server/cli/admin_client.h"
#include "server/cli/table.h"
#include "server/verbs.h"

struct host_arguments {
	struct verb_list files;
	const char *name;
	const char *uri;
	const char *migration_address;
	const char *user_name;
	const char *password_file;
	const char *reason;
	bool is_json;
};

static const struct table_column columns[] = {
	{ "NAME", .key = "name" },   { "STATUS", .key = "status" },
	{ "STATE", .key = "state" }, { "MIGRATION ADDRESS", .key = "migration_address" },
	{ "URI", .key = "uri" },     { "REASON", "disabled_reason", .is_left_out_when_empty = true },
};

/* Takes the request. */
static int ask(const struct host_arguments *arguments, json_t *request)
{
	json_t *answer = NULL;
	int status = admin_client_ask("host", &arguments->files, request, &answer);
	const json_t *hosts = json_object_get(answer, "hosts");

	if (hosts)
		status = table_print(hosts, columns, ARRAY_LENGTH(columns), arguments->is_json);
	json_decref(answer);
	return status;
}

static int list(void *context)
{
	return ask(context, json_pack("{s:s}", "verb", "host list"));
}

static int add(void *context)
{
	const struct host_arguments *arguments = context;

	return ask(arguments,
		   json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:s*}", "verb", "host add", "name", arguments->name, "uri",
			     arguments->uri, "migration_address", arguments->migration_address, "username",
			     arguments->user_name, "password_file", arguments->password_file));
}

static int of_name(const char *verb, const struct host_arguments *arguments)
{
	return ask(arguments,
		   json_pack("{s:s, s:s, s:s*}", "verb", verb, "name", arguments->name, "reason", arguments->reason));
}

static int take_away(void *context)
{
	return of_name("host remove", context);
}

static int disable(void *context)
{
	return of_name("host disable", context);
}

static int enable(void *context)
{
	return of_name("host enable", context);
}

#define AT(member) .offset = offsetof(struct host_arguments, member)

static const struct verb_argument known_name[] = {
	{ "NAME", NULL, "the host's name", VERB_TEXT, AT(name), .is_required = true, .completes = VERB_COMPLETES_HOST },
};

static const struct verb_argument list_options[] = {
	VERB_OPTION_JSON(struct host_arguments, is_json),
	VERB_OPTION_CONFIG(struct host_arguments, files),
};

static const char *const list_description[] = {
	"With --json a list of objects: name, uri, migration_address (or null), state (\"up\", \"down\"), status "
	"(\"enabled\", "
	"\"disabled\"), disabled_reason (or null).",
	NULL,
};

static const struct verb host_list = {
	.name = "list",
	.summary = "lists the hosts",
	.description = list_description,
	.options = VERB_ROWS(list_options),
	.arguments_size = sizeof(struct host_arguments),
	.run = list,
};

static const struct verb_argument add_operands[] = {
	{ "NAME", NULL, "the host's name in the API", VERB_TEXT, AT(name), .is_required = true },
	{ "URI", NULL, "the libvirt URI of its control connection", VERB_TEXT, AT(uri), .is_required = true },
};

static const struct verb_argument add_options[] = {
	{ "ADDRESS", "migration-address", "where migrations to this host go to", VERB_TEXT, AT(migration_address) },
	{ "USER", "username", "the SASL user of the connection", VERB_TEXT, AT(user_name) },
	{ "FILE", "password-file", "a file with the SASL password", VERB_TEXT, AT(password_file),
	  .completes = VERB_COMPLETES_FILE },
	VERB_OPTION_CONFIG(struct host_arguments, files),
};

static const struct verb_example add_examples[] = {
	{ "migrationd host add compute-4 qemu+tls://compute-4/system --migration-address 198.51.100.14",
	  "a host with a network of its own for migrations" },
	{ 0 },
};

static const struct verb host_add = {
	.name = "add",
	.summary = "registers a host, which is watched from then on",
	.operands = VERB_ROWS(add_operands),
	.options = VERB_ROWS(add_options),
	.examples = add_examples,
	.arguments_size = sizeof(struct host_arguments),
	.run = add,
};

static const struct verb_argument name_options[] = { VERB_OPTION_CONFIG(struct host_arguments, files) };

static const char *const remove_description[] = {
	"A host that servers stand on, or that moves touch, is not taken away. A host of the configuration comes back "
	"at the next "
	"start unless it is taken out there too.",
	NULL,
};

static const struct verb host_remove = {
	.name = "remove",
	.summary = "takes a host away",
	.description = remove_description,
	.operands = VERB_ROWS(known_name),
	.options = VERB_ROWS(name_options),
	.arguments_size = sizeof(struct host_arguments),
	.run = take_away,
};

static const struct verb_argument disable_options[] = {
	{ "TEXT", "reason", "why, for those who look at it later", VERB_TEXT, AT(reason) },
	VERB_OPTION_CONFIG(struct host_arguments, files),
};

static const char *const disable_description[] = {
	"What stands there stays and can move away; the scheduler gives it nothing new. It is what Nova's \"compute "
	"service set "
	"--disable\" does, and holds over restarts.",
	NULL,
};

static const struct verb_example disable_examples[] = {
	{ "migrationd host disable compute-2 --reason \"new memory on Friday\"", "no server is moved there any more" },
	{ 0 },
};

static const struct verb host_disable = {
	.name = "disable",
	.summary = "has the scheduler leave a host out",
	.description = disable_description,
	.operands = VERB_ROWS(known_name),
	.options = VERB_ROWS(disable_options),
	.examples = disable_examples,
	.arguments_size = sizeof(struct host_arguments),
	.run = disable,
};

static const struct verb host_enable = {
	.name = "enable",
	.summary = "has the scheduler take a host into account again",
	.operands = VERB_ROWS(known_name),
	.options = VERB_ROWS(name_options),
	.arguments_size = sizeof(struct host_arguments),
	.run = enable,
};

static const struct verb *const inner[] = { &host_list, &host_add, &host_remove, &host_disable, &host_enable, NULL };

const struct verb verb_host = {
	.name = "host",
	.summary =
		"lists, registers, takes away, disables or enables hosts of the running daemon, over its admin socket",
	.verbs = inner,
};
