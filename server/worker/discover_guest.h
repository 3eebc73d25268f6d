/* One guest as a host showed it, written into the server's row. */
#pragma once

#include "db/servers.h"
#include "server/settings.h"
#include "server/worker/hypervisor.h"

struct error;

/* Servers that were missed where they lived, and not found again yet. Touched on the database's writer alone. */
struct missed_servers {
	char (*uuids)[UUID_SIZE];
	size_t count;
	size_t capacity;
};
void missed_servers_clear(struct missed_servers *missed);

/* Inserts the server at first sight, or changes what the host is the judge of: state, place and facts. Fields that libvirt
 * does not know keep what they were given at first sight. A copy that is off takes a server that lives elsewhere only when it
 * is missed there: else the answer is 1. Within the writer's transaction. */
int discover_guest(struct db_session *session, const struct guest_facts *guest, int64_t host_id,
		   const struct hypervisor_settings *settings, struct missed_servers *missed, struct error *error);
/* Servers that the row places on this host and that the list lacks are deleted, unless a job moves them. One that is missed
 * for the first time may just have gone to a host that was not read yet: with `is_certain` false they are only counted and
 * remembered. */
int discover_missing(struct db_session *session, const struct guest_list *guests, int64_t host_id, bool is_certain,
		     struct missed_servers *missed, size_t *ret_missing, struct error *error);
