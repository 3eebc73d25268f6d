/* The verbs of `migrationd VERB …`: one file each, joined by the table in main.c. */
#pragma once

#include "server/config.h"

/* `arguments` are those behind the verb, ended by NULL. The result is the process's exit status. */
int command_backup(char **arguments);
int command_check(char **arguments);
int command_host(char **arguments);
int command_policy(char **arguments);
int command_restore(char **arguments);
int command_serve(char **arguments);
int command_token(char **arguments);
int command_version(char **arguments);

/* sysexits(3): what scripts and service managers tell apart. */
#define EXIT_USAGE         64
#define EXIT_CONFIGURATION 78

/* One option of a verb: `--name VALUE` or `--name=VALUE`; may come as often as `values_max` says. */
struct command_option {
	const char *name; /* without the dashes; "": words that stand alone */
	const char **values; /* taken in order; what was not given stays as it is */
	int values_max; /* 0: a switch, which takes no value and is counted */
	int *ret_count; /* NULL: not asked for */
};

/* Reads all options; anything else is told on stderr and answered with -EINVAL. */
int command_read_options(const char *verb, char **arguments, const struct command_option *options, int option_count);

/* `--config FILE`, which may come several times. */
struct command_files {
	const char *paths[CONFIG_FILES_MAX];
	int count; /* 0: the default, /etc/migrationd/migrationd.yaml */
};
#define COMMAND_CONFIG_OPTION(files)                                                                                   \
	{                                                                                                              \
		"config", (files)->paths, CONFIG_FILES_MAX, &(files)->count                                            \
	}
struct config_source command_source(const struct command_files *files);
/* Reads them as the daemon would; 0, or what the process is to exit with: each problem was told then. */
int command_read_config(const struct command_files *files, bool keeps_origins, struct config *ret_config);

/* Adds what Keystone's roles imply, as its bootstrap sets them up: admin implies manager, and so on. Room for CALLER_ROLE_MAX. */
void command_imply_roles(const char **roles, int *role_count);

/* What is odd about the configured policies, though they are taken: "warning: …" a line on stderr. */
void command_warn_of_policies(struct config *config);

/* Told of each problem of a configuration: one line on stderr. */
void command_report(void *context, const char *text);
