/* All verbs of `migrationd VERB …`: the one table that is parsed by, helps, and makes the manual and the completions. To add a
 * verb: its `const struct verb` in a file command_*.c of its own, its name here, and its row in verbs.c. */
#pragma once

#include "server/cli/verb.h"

extern const struct verb verb_backup;
extern const struct verb verb_check;
extern const struct verb verb_completion_script;
extern const struct verb verb_doctor;
extern const struct verb verb_health;
extern const struct verb verb_host;
extern const struct verb verb_manual_page;
extern const struct verb verb_migrate;
extern const struct verb verb_migration;
extern const struct verb verb_policy;
extern const struct verb verb_restore;
extern const struct verb verb_serve;
extern const struct verb verb_server;
extern const struct verb verb_token;
extern const struct verb verb_version;

extern const struct verb *const verbs[]; /* ends with NULL */
