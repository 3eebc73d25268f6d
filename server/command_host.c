/* `migrationd host list|add|remove`: asks the running daemon over its admin socket. */
#include "server/command.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "server/admin_socket.h"
#include "server/config.h"

static void print_hosts(const json_t *hosts)
{
	size_t i;
	json_t *host;

	printf("%-24s %-9s %-6s %-20s %s\n", "NAME", "STATUS", "STATE", "MIGRATION ADDRESS", "URI");
	json_array_foreach(hosts, i, host)
	{
		const char *address = json_string_value(json_object_get(host, "migration_address"));

		printf("%-24s %-9s %-6s %-20s %s\n", json_string_value(json_object_get(host, "name")),
		       json_string_value(json_object_get(host, "status")),
		       json_string_value(json_object_get(host, "state")), address ? address : "-",
		       json_string_value(json_object_get(host, "uri")));
	}
}

static int ask(const struct command_files *files, const json_t *request)
{
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_FREE char *line = json_dumps(request, JSON_COMPACT);
	CLEANUP_FREE char *answer_text = NULL;
	struct error error = { 0 };
	int status = line ? command_read_config(files, false, &config) : EXIT_FAILURE;

	if (status != 0)
		return status;
	if (admin_socket_ask(config.admin_socket, line, &answer_text, &error) < 0) {
		fprintf(stderr, "migrationd host: %s\n", error.text);
		return EXIT_FAILURE;
	}
	json_t *answer = json_loads(answer_text, 0, NULL);
	const char *refusal = json_string_value(json_object_get(answer, "error"));
	const json_t *hosts = json_object_get(answer, "hosts");
	if (refusal || !json_is_object(answer)) {
		status = EXIT_FAILURE;
		fprintf(stderr, "migrationd host: %s\n", refusal ? refusal : "the daemon's answer cannot be read");
	}
	if (hosts)
		print_hosts(hosts);
	json_decref(answer);
	return status;
}

static const struct host_verb {
	const char *name;
	const char *admin_verb;
	int words; /* that stand behind it: name, URI */
} verbs[] = {
	{ "list", "host list", 0 },
	{ "add", "host add", 2 },
	{ "remove", "host remove", 1 },
};

static int run(const struct host_verb *verb, char **words)
{
	const char *address = NULL, *user_name = NULL, *password_file = NULL;
	struct command_files files = { 0 };
	const struct command_option options[] = {
		COMMAND_CONFIG_OPTION(&files),
		{ "migration-address", &address, 1, NULL },
		{ "username", &user_name, 1, NULL },
		{ "password-file", &password_file, 1, NULL },
	};

	for (int i = 0; i < verb->words; i++)
		if (!words[i] || words[i][0] == '-') {
			fprintf(stderr, "migrationd host %s: %s\n", verb->name,
				i == 0 ? "needs the host's name" : "needs the host's libvirt URI");
			return EXIT_USAGE;
		}
	if (command_read_options("host", words + verb->words, options, ARRAY_LENGTH(options)) < 0)
		return EXIT_USAGE;

	json_t *request =
		json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:s*}", "verb", verb->admin_verb, "name",
			  verb->words > 0 ? words[0] : NULL, "uri", verb->words > 1 ? words[1] : NULL,
			  "migration_address", address, "username", user_name, "password_file", password_file);
	int status = ask(&files, request);
	json_decref(request);
	return status;
}

int command_host(char **arguments)
{
	for (size_t i = 0; arguments[0] && i < ARRAY_LENGTH(verbs); i++)
		if (strcmp(arguments[0], verbs[i].name) == 0)
			return run(&verbs[i], arguments + 1);
	fputs("usage: migrationd host list | add NAME URI [--migration-address A] [--username U --password-file F] | "
	      "remove NAME   [--config FILE…]\n",
	      stderr);
	return EXIT_USAGE;
}
