/* Flavors of servers, one row for equal ones. */
#pragma once

#include "db/servers.h"

/* Gives the flavor the id of an equal row; where there is none, one is made, with the flavor's own id when that is free. */
int flavor_keep(struct db_session *session, struct db_flavor *flavor, struct error *error);
