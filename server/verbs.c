/* The table of verbs, in the order in which they are told. */
#include "server/verbs.h"

const struct verb *const verbs[] = {
	&verb_backup, &verb_check, &verb_host,    &verb_policy, &verb_restore,
	&verb_serve,  &verb_token, &verb_version, NULL,
};
