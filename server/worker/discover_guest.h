/* One guest as a host showed it, written into the server's row. */
#pragma once

#include "db/servers.h"
#include "server/settings.h"
#include "server/worker/hypervisor.h"

struct error;

/* Inserts the server at first sight, or changes what the host is the judge of: state, place and facts. Fields that libvirt
 * does not know keep what they were given at first sight. Within the writer's transaction. */
int discover_guest(struct db_session *session, const struct guest_facts *guest, int64_t host_id,
		   const struct hypervisor_settings *settings, struct error *error);
/* Servers that the row places on this host and that the list lacks are deleted, unless a job moves them; how many
 * were. A guest that is seen on another host afterwards has its row back, as it was. */
int discover_missing(struct db_session *session, const struct guest_list *guests, int64_t host_id,
		     size_t *ret_deleted_count, struct error *error);
