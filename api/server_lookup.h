/* The server that a path names, for handlers of what belongs to it. */
#pragma once

#include "api/request.h"
#include "db/servers.h"

/* 1: found and the policy allows. 0: answered (404 also for another project's server, 403). Negative: failed. With
 * `has_deleted` the newest deleted one counts when none lives. */
int server_lookup(struct request *request, struct db_session *session, const char *policy, bool has_deleted,
		  struct db_server *ret_server, struct error *error);
