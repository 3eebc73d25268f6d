/* The table of verbs, in the order in which they are told: the daemon, what is moved, what stands, the database. */
#include "server/verbs.h"

const struct verb *const verbs[] = {
	&verb_serve,
	&verb_check,
	&verb_health,
	&verb_doctor,
	&verb_host,
	&verb_server,
	&verb_migrate,
	&verb_migration,
	&verb_token,
	&verb_policy,
	&verb_backup,
	&verb_restore,
	&verb_completion_script,
	&verb_manual_page,
	&verb_version,
	NULL,
};
