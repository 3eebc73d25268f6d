/* Servers: libvirt guests as Nova's API shows them. vm_state and task_state are Nova's words. */
#pragma once

#include "db/hosts.h"

/* What a guest was made of, kept at first sight; equal flavors share an id (Nova's instance_type_id). */
struct db_flavor {
	int64_t id;
	char flavor_id[DB_NAME_SIZE]; /* the id that the API shows */
	char name[DB_NAME_SIZE];
	int64_t vcpus;
	int64_t memory_mb;
	int64_t disk_gb; /* root */
	int64_t ephemeral_gb;
	int64_t swap_mb;
	char *extra_specs; /* JSON object; owned, never NULL after a read */
};

struct db_fault {
	int code; /* 0: no fault */
	char *message; /* owned */
	char *details; /* for admins; owned, NULL when none */
	int64_t created_us;
};

struct db_server {
	int64_t id; /* instance-%08x is made of it where libvirt's name is not known */
	char uuid[UUID_SIZE];
	char name[DB_NAME_SIZE];
	char instance_name[DB_NAME_SIZE]; /* the domain's name */
	char project_id[DB_NAME_SIZE];
	char user_id[DB_NAME_SIZE];
	int64_t host_id; /* 0: on none */
	char host[DB_NAME_SIZE]; /* its name; "" on none; read only (from host_id) */
	char vm_state[32];
	char task_state[32]; /* "" is none */
	int power_state; /* Nova's: 0 none, 1 running, 3 paused, 4 shut down, 6 crashed, 7 suspended */
	char locked_by[16]; /* "", owner or admin */
	char *locked_reason; /* owned, NULL when none */
	char old_vm_state[32]; /* what a resized server was before: active or stopped; "" otherwise */
	struct db_flavor flavor;
	struct db_fault fault;
	char image_id[64]; /* "" unknown or booted from a volume */
	char hostname[DB_NAME_SIZE];
	char key_name[DB_NAME_SIZE]; /* "" is none */
	char config_drive[16];
	char availability_zone[64];
	char reservation_id[64];
	char root_device_name[64];
	char *description; /* owned, NULL when none */
	char *user_data; /* owned, NULL when none */
	char *metadata; /* JSON object; owned */
	char *system_metadata; /* JSON object, for what the API's newer fields need; owned */
	char *tags; /* JSON array; owned */
	char *addresses; /* JSON object; owned */
	char *volumes; /* JSON array of attached volumes; owned */
	char *facts; /* JSON of what discovery learnt: disks, bridges, cpu, obstacles; owned, NULL when none */
	int progress;
	int64_t created_us;
	int64_t updated_us; /* 0: never */
	int64_t launched_us; /* 0: never */
	int64_t terminated_us; /* 0: not */
	bool is_deleted;
	char error_cause[32]; /* of vm_state error, one of DB_ERROR_CAUSE_*; "" none, or not known */
};

#define DB_ERROR_CAUSE_ADMIN      "admin" /* set by os-resetState */
#define DB_ERROR_CAUSE_BOTH_HOSTS "both_hosts" /* the guest was seen on both hosts */
#define DB_ERROR_CAUSE_LOST       "lost" /* found on neither host, or broken */
#define DB_ERROR_CAUSE_HOST_GONE  "host_gone" /* its host was given up for good */

struct db_server_list {
	struct db_server *items;
	size_t count;
};

/* Which servers a list wants; zeroed fields ask for nothing. Sorted newest first (created, id descending). */
struct db_server_filter {
	const char *project_id;
	int64_t host_id;
	const char *vm_state;
	const char *task_state;
	const char *name_part; /* a substring of the name */
	const char *uuid;
	const char *marker; /* uuid: rows after it; -ENOENT when there is none such */
	int64_t changes_since_us;
	int64_t limit; /* 0: all */
	bool has_deleted; /* deleted ones too */
};

/* Root, ephemeral and swap in whole GiB: what a server of this flavor takes in usages and claims. */
int64_t db_flavor_disk_gb(const struct db_flavor *flavor);
void db_flavor_clear(struct db_flavor *flavor);
void db_server_clear(struct db_server *server);
void db_server_list_clear(struct db_server_list *list);
#define CLEANUP_DB_SERVER  __attribute__((cleanup(db_server_clear)))
#define CLEANUP_DB_SERVERS __attribute__((cleanup(db_server_list_clear)))

/* Deleted ones are -ENOENT. The uuid is compared exactly. */
int db_server_by_uuid(struct db_session *session, const char *uuid, struct db_server *ret_server, struct error *error);
int db_server_find(struct db_session *session, const struct db_server_filter *filter,
		   struct db_server_list *ret_servers, struct error *error);

/* Fills id (when 0), reservation id, empty JSON texts, and created_us and launched_us when they are 0; the flavor gets the id
 * of an equal one. -EEXIST when a living server has that uuid. */
int db_server_insert(struct db_session *session, struct db_server *server, struct error *error);
/* Writes every column but id, uuid, created_us and error_cause, and sets updated_us to now. */
int db_server_update(struct db_session *session, struct db_server *server, struct error *error);
/* The frequent narrow changes; each sets updated_us; -ENOENT for a deleted server. task_state "" is none; NULL for vm_state or
 * task_state leaves it as it is. A fault with code 0 takes the fault away; locked_by "" unlocks. Whoever sets vm_state to
 * error sets the cause behind it in the same transaction; any other vm_state empties the cause. */
int db_server_set_state(struct db_session *session, const char *uuid, const char *vm_state, const char *task_state,
			struct error *error);
int db_server_set_place(struct db_session *session, const char *uuid, int64_t host_id, int power_state,
			struct error *error);
int db_server_set_fault(struct db_session *session, const char *uuid, const struct db_fault *fault,
			struct error *error);
int db_server_set_lock(struct db_session *session, const char *uuid, const char *locked_by, const char *reason,
		       struct error *error);
int db_server_set_error_cause(struct db_session *session, const char *uuid, const char *cause, struct error *error);
int db_server_delete(struct db_session *session, const char *uuid, struct error *error);
