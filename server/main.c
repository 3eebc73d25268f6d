/* migrationd's entry: finds the verb and calls it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "server/command.h"
#include "server/version.h"

static const struct verb {
	const char *name;
	int (*run)(char **arguments);
	const char *usage;
} verbs[] = {
	{ "backup", command_backup,
	  "FILE [--force] [--config FILE…]\n      copies the database, also while the daemon runs" },
	{ "check", command_check,
	  "[FILE…]\n      reads the configuration and prints what would be in force, and from which file and line each "
	  "value "
	  "comes" },
	{ "host", command_host,
	  "list | add NAME URI [--migration-address A] [--username U --password-file F] | remove NAME   [--config "
	  "FILE…]\n"
	  "      lists, registers or takes away hosts of the running daemon" },
	{ "policy", command_policy,
	  "list [POLICY…] | check POLICY… --role ROLE… --project ID [--server-project ID] [--token TOKEN] …   [--json] "
	  "[--config FILE…]\n"
	  "      says which rule is in force and where it comes from, and whether a caller may do it to a server" },
	{ "restore", command_restore,
	  "FILE [--config FILE…]\n      puts such a copy in the database's place, while no daemon runs" },
	{ "serve", command_serve, "[--config FILE…]\n      runs the daemon in the foreground" },
	{ "token", command_token,
	  "--role ROLE… --project ID [--user ID] [--lifetime SECONDS] [--kid KID] [--exact-roles] [--config FILE…]\n"
	  "      prints a token for trying out; roles bring those that Keystone implies by them (admin, manager, "
	  "member, reader:\n"
	  "      each the ones behind it) unless --exact-roles says otherwise" },
	{ "version", command_version, "\n      prints the version" },
};

int command_version(char **arguments)
{
	if (command_read_options("version", arguments, NULL, 0) < 0)
		return EXIT_USAGE;
	puts("migrationd " MIGRATIOND_VERSION);
	return EXIT_SUCCESS;
}

static void print_usage(FILE *stream)
{
	fputs("usage: migrationd VERB …\n", stream);
	for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++)
		fprintf(stream, "  %s %s\n", verbs[i].name, verbs[i].usage);
}

int main(int argument_count, char **arguments)
{
	const char *name = argument_count > 1 ? arguments[1] : "";

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_usage(stdout);
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++)
		if (strcmp(name, verbs[i].name) == 0)
			return verbs[i].run(arguments + 2);
	if (*name)
		fprintf(stderr, "migrationd: no verb %s\n", name);
	print_usage(stderr);
	return EXIT_USAGE;
}
