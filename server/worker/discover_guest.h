/* One guest as a host showed it, written into the server's row. */
#pragma once

#include "db/servers.h"
#include "server/settings.h"
#include "server/worker/hypervisor.h"
#include "server/worker/left_jobs.h"
#include "server/worker/missed.h"

struct error;

/* A reading of a host while it is written. */
struct discovered_host {
	int64_t host_id;
	const struct hypervisor_settings *settings;
	struct missed *missed;
	int64_t change_number; /* of the database (db_change_number), from before the reading began */
	/* For what is missed: the newest reading that has begun by now, of whichever host, and the database's number now. */
	int64_t newest_reading;
	int64_t newest_change;
	bool is_outdated; /* out: a server changed while the host was read, and was left alone: it is to be read again */
	struct left_jobs
		left_to; /* out: they have some of its servers, which were left alone: it is to be read again when one ends */
	bool has_missed; /* out: a guest is missed that was not missed before */
};

/* Inserts the server at first sight, or changes what the host is the judge of: state, place and facts. Fields that libvirt
 * does not know keep what they were given at first sight. A copy that is off takes a server that lives elsewhere only when it
 * is missed there. A server that an unfinished job moves, or that changed since the reading began, is left alone. Of a silent
 * guest only the state counts. Within the writer's transaction. */
int discover_guest(struct db_session *session, const struct guest_facts *guest, struct discovered_host *host,
		   struct error *error);
/* Servers that the row places on this host and that the list lacks are noted as missed, unless a job moves them or they changed
 * since the reading began. */
int discover_missing(struct db_session *session, const struct guest_list *guests, struct discovered_host *host,
		     struct error *error);
