/* What the verbs of `migrationd VERB …` share: one file each (command_*.c), joined by the table in verbs.c. */
#pragma once

#include "server/cli/verb.h"
#include "server/config.h"

/* The configuration's files as `--config` named them; without it the default. What it points to is the list's. */
struct config_source command_source(const struct verb_list *files);
/* The same for a simulated fleet's file (`--simulate FILE`) behind those files, without the default; NULL: as above. */
struct config_source command_source_of_simulation(const struct verb_list *files, const char *simulation);
/* Reads it as the daemon would; 0, or what the process is to exit with: each problem was told then. */
int command_read_source(const struct config_source *source, struct config *ret_config);
/* The same of files alone. */
int command_read_config(const struct verb_list *files, bool keeps_origins, struct config *ret_config);

/* Adds what Keystone's roles imply, as its bootstrap sets them up: admin implies manager, and so on. */
void command_imply_roles(struct verb_list *roles);

/* What is odd about the configured policies, though they are taken: "warning: …" a line on stderr. */
void command_warn_of_policies(struct config *config);

/* Told of each problem of a configuration: one line on stderr. */
void command_report(void *context, const char *text);
