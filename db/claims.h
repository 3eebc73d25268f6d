/* Claims: what a move holds on a host beside what the servers standing there use. A claim is made in the transaction that
 * picks the target, so that two moves never land on the same free memory. */
#pragma once

#include "db/hosts.h"

struct db_claim {
	int64_t id;
	int64_t host_id;
	char server_uuid[UUID_SIZE];
	int64_t migration_id;
	int64_t vcpus;
	int64_t memory_mb;
	int64_t disk_gb;
};

struct db_claim_list {
	struct db_claim *items;
	size_t count;
};

/* What a host may hold in all, ratios and reservations applied. A negative number is no limit. */
struct db_claim_capacity {
	int64_t vcpus;
	int64_t memory_mb;
	int64_t disk_gb;
};

void db_claim_list_clear(struct db_claim_list *list);
#define CLEANUP_DB_CLAIMS __attribute__((cleanup(db_claim_list_clear)))

/* -ENOSPC never: -EBUSY with the figures in the text when usage and claims of the host leave too little of `capacity`. */
int db_claim_make(struct db_session *session, const struct db_claim *claim, const struct db_claim_capacity *capacity,
		  struct error *error);
/* All claims of the migration on the host (host_id 0: on every host). None there is fine. */
int db_claim_release(struct db_session *session, int64_t migration_id, int64_t host_id, struct error *error);
/* The server was found on the host on which a move that waits for its confirm claims room for it: it does not count there twice.
 * The claim goes over to the host that it came from (0: to none, it ends). None there is fine. */
int db_claim_make_way(struct db_session *session, const char *server_uuid, int64_t host_id, int64_t former_host_id,
		      struct error *error);
/* All claims on the host. None there is fine. */
int db_claim_release_by_host(struct db_session *session, int64_t host_id, struct error *error);
int db_claim_by_host(struct db_session *session, int64_t host_id, struct db_claim_list *ret_claims,
		     struct error *error);
int db_claim_by_migration(struct db_session *session, int64_t migration_id, struct db_claim_list *ret_claims,
			  struct error *error);
