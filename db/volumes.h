/* What cold migrations keep: volumes that we made on a target, and definitions that we took away from a source. */
#pragma once

#include "db/hosts.h"

/* A volume of ours. It is recorded before it is created, and as complete only after its content was read back and found
 * equal; recovery deletes any of ours that is not complete and that no domain names. */
struct db_volume {
	int64_t id;
	int64_t job_id;
	int64_t host_id;
	char pool[DB_NAME_SIZE];
	char name[DB_NAME_SIZE];
	bool is_complete;
	int64_t bytes; /* that it has at least; 0: not known */
};

struct db_volume_list {
	struct db_volume *items;
	size_t count;
};

/* A domain's definition that was undefined on a host and is kept by us, so that the host can never start it. */
struct db_kept_domain {
	int64_t id;
	int64_t host_id;
	char server_uuid[UUID_SIZE];
	int64_t migration_id;
	char *definition; /* XML; owned */
	bool was_running;
	bool had_autostart;
};

void db_volume_list_clear(struct db_volume_list *list);
void db_kept_domain_clear(struct db_kept_domain *kept);
#define CLEANUP_DB_VOLUMES     __attribute__((cleanup(db_volume_list_clear)))
#define CLEANUP_DB_KEPT_DOMAIN __attribute__((cleanup(db_kept_domain_clear)))

int db_volume_insert(struct db_session *session, struct db_volume *volume, struct error *error);
int db_volume_set_complete(struct db_session *session, int64_t id, struct error *error);
int db_volume_delete(struct db_session *session, int64_t id, struct error *error);
/* Of all jobs of the migration; on the host. None there is fine. */
int db_volume_delete_by_migration(struct db_session *session, int64_t migration_id, struct error *error);
int db_volume_delete_by_host(struct db_session *session, int64_t host_id, struct error *error);
int db_volume_by_job(struct db_session *session, int64_t job_id, struct db_volume_list *ret_volumes,
		     struct error *error);
/* Of all jobs of the migration. */
int db_volume_by_migration(struct db_session *session, int64_t migration_id, struct db_volume_list *ret_volumes,
			   struct error *error);
/* On the host, whatever job made them. */
int db_volume_by_host(struct db_session *session, int64_t host_id, struct db_volume_list *ret_volumes,
		      struct error *error);
int db_volume_incomplete(struct db_session *session, struct db_volume_list *ret_volumes, struct error *error);

int db_kept_domain_insert(struct db_session *session, struct db_kept_domain *kept, struct error *error);
int db_kept_domain_by_server(struct db_session *session, const char *server_uuid, struct db_kept_domain *ret_kept,
			     struct error *error);
/* The newest of the migration; -ENOENT when there is none. */
int db_kept_domain_by_migration(struct db_session *session, int64_t migration_id, struct db_kept_domain *ret_kept,
				struct error *error);
int db_kept_domain_delete(struct db_session *session, int64_t id, struct error *error);
/* Bound to another host, where what is kept of it is still of use. None there is fine. */
int db_kept_domain_move(struct db_session *session, int64_t migration_id, int64_t host_id, struct error *error);
/* None there is fine. */
int db_kept_domain_delete_by_host(struct db_session *session, int64_t host_id, struct error *error);
int db_kept_domain_delete_by_migration(struct db_session *session, int64_t migration_id, struct error *error);
