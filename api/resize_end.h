/* What confirmResize and revertResize have in common. */
#pragma once

#include "api/server_action.h"

/* The server's finished migration into the job, and the name of the host that it came from; refuses when there is none. */
int resize_end_find(struct db_session *session, struct action_call *call, char ret_source[DB_NAME_SIZE],
		    struct error *error);
