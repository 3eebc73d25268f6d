/* Hosts (Nova's compute nodes) and services (Nova's, one per host, and our own node's conductor and scheduler). */
#pragma once

#include "base/uuid.h"
#include "db/database.h"

#define DB_NAME_SIZE 256

/* One row of os-services. */
struct db_service {
	int64_t id;
	char uuid[UUID_SIZE];
	char binary[64]; /* nova-compute, nova-conductor, nova-scheduler */
	char host[DB_NAME_SIZE];
	char zone[64]; /* nova for nova-compute, internal for the others */
	bool is_disabled;
	char *disabled_reason; /* owned, NULL when none */
	bool is_forced_down;
	bool is_up; /* as last seen; a forced down service counts as down, see db_service_is_up */
	int64_t updated_us; /* last sign of life or change; 0 never */
};

/* One libvirt host; its service stands in `service`. */
struct db_host {
	int64_t id; /* Nova's integer hypervisor id */
	char uuid[UUID_SIZE];
	char name[DB_NAME_SIZE];
	char *uri; /* libvirt URI of the control connection; owned */
	char *user_name; /* SASL credentials; owned, NULL when none */
	char *password_file; /* owned, NULL when none */
	char *migration_address; /* where live migrations go; owned, NULL: none of its own */
	char *migration_interface; /* name of the NIC whose address they go to instead; owned, NULL: none is named */
	char *tunnel_interface; /* Neutron's, which a missing vhost0 stands for; owned, NULL */
	char *interfaces; /* JSON object of NICs and their addresses, as configured; owned, NULL */
	struct db_service service;
	char *hypervisor_type; /* as Nova prints it: QEMU; owned */
	int64_t hypervisor_version; /* 7002000 is 7.2.0 */
	char *host_ip; /* owned */
	int64_t vcpus;
	int64_t memory_mb;
	int64_t disk_gb;
	double cpu_allocation_ratio; /* 0: the scheduler's setting */
	double ram_allocation_ratio;
	double disk_allocation_ratio;
	int64_t reserved_memory_mb; /* -1: the scheduler's setting */
	int64_t reserved_disk_gb; /* -1: the scheduler's setting */
	int64_t failed_migrations; /* since the last one that went well: the build_failure weigher's number */
	char *cpu_info; /* JSON as os-hypervisors shows it; owned */
	char *facts; /* JSON of what discovery learnt: arch, machine types, networks, pools; owned */
	int64_t created_us;
	int64_t updated_us; /* when libvirt was last read */
	bool is_gone; /* given up for good by the operator: nothing on it counts any more */
};

struct db_host_list {
	struct db_host *items;
	size_t count;
};

struct db_service_list {
	struct db_service *items;
	size_t count;
};

/* What the servers and claims of a host take: the same numbers for the scheduler, the claim and os-hypervisors. */
struct db_host_usage {
	int64_t vcpus;
	int64_t memory_mb;
	int64_t disk_gb;
	int64_t servers; /* that stand there */
	int64_t running_servers;
	int64_t moves; /* unfinished migrations from or to it: Nova's num_io_ops */
};

struct db_host_usage_of {
	int64_t host_id;
	struct db_host_usage usage;
};

struct db_host_usage_list {
	struct db_host_usage_of *items;
	size_t count;
};

bool db_service_is_up(const struct db_service *service);
void db_service_clear(struct db_service *service);
void db_service_list_clear(struct db_service_list *list);
void db_host_clear(struct db_host *host);
void db_host_list_clear(struct db_host_list *list);
void db_host_usage_list_clear(struct db_host_usage_list *list);
#define CLEANUP_DB_SERVICE  __attribute__((cleanup(db_service_clear)))
#define CLEANUP_DB_SERVICES __attribute__((cleanup(db_service_list_clear)))
#define CLEANUP_DB_HOST     __attribute__((cleanup(db_host_clear)))
#define CLEANUP_DB_HOSTS    __attribute__((cleanup(db_host_list_clear)))
#define CLEANUP_DB_USAGES   __attribute__((cleanup(db_host_usage_list_clear)))

int db_host_by_id(struct db_session *session, int64_t id, struct db_host *ret_host, struct error *error);
int db_host_by_name(struct db_session *session, const char *name, struct db_host *ret_host, struct error *error);
/* In upper or lower case. */
int db_host_by_uuid(struct db_session *session, const char *uuid, struct db_host *ret_host, struct error *error);
/* All, by id. */
int db_host_all(struct db_session *session, struct db_host_list *ret_hosts, struct error *error);
/* Those whose ids are above `above_id`, by id, at most `limit` of them (0: all). */
int db_host_page(struct db_session *session, int64_t above_id, int64_t limit, struct db_host_list *ret_hosts,
		 struct error *error);
/* Where the server's guest may be by what is written here: the host that its row says, and those of its unfinished job, its
 * claims, its saved definitions and its chores. By id. */
int db_host_naming_server(struct db_session *session, const char *server_uuid, struct db_host_list *ret_hosts,
			  struct error *error);
/* Those that were given up and are still there, by id. */
int db_host_gone(struct db_session *session, struct db_host_list *ret_hosts, struct error *error);
/* All zero for a host that is not there. */
int db_host_usage(struct db_session *session, int64_t host_id, struct db_host_usage *ret_usage, struct error *error);
/* Of every host, by id, in one query: for the scheduler's memory at the start. */
int db_host_usage_all(struct db_session *session, struct db_host_usage_list *ret_usages, struct error *error);

/* Registers a host with its nova-compute service; `host->id`, uuid and service are filled when they are 0 or empty.
 * -EEXIST when the name is taken. */
int db_host_insert(struct db_session *session, struct db_host *host, struct error *error);
/* Writes everything but id, uuid, name, service, created_us, and failed_migrations and is_gone (which have their own
 * functions, so that a reading of libvirt does not undo them). */
int db_host_update(struct db_session *session, const struct db_host *host, struct error *error);
/* -EBUSY, with the number of them, while servers stand there, unfinished jobs touch it, or claims, kept domains, volumes of
 * ours or chores are bound to it, or chores of other hosts end by what it shows. */
int db_host_remove(struct db_session *session, int64_t id, struct error *error);
/* What db_host_remove counts, in all its kinds. */
struct db_host_burden {
	int64_t servers;
	int64_t jobs; /* unfinished, from or to it */
	int64_t claims;
	int64_t kept_domains;
	int64_t volumes;
	int64_t chores;
	int64_t looked_at; /* chores of other hosts that end by what this one shows */
};
int db_host_burden(struct db_session *session, int64_t id, struct db_host_burden *ret_burden, struct error *error);
/* Gives the host up, or takes that back; one that is given up is down from then on, since nobody looks at it any more. */
int db_host_set_gone(struct db_session *session, int64_t id, bool is_gone, struct error *error);
int db_host_set_failed_migrations(struct db_session *session, int64_t id, int64_t failed_migrations,
				  struct error *error);

/* All services, by id. */
int db_service_all(struct db_session *session, struct db_service_list *ret_services, struct error *error);
int db_service_insert(struct db_session *session, struct db_service *service, struct error *error);
/* Writes disabled, reason, forced down, up and updated_us of the service with that id. */
int db_service_update(struct db_session *session, const struct db_service *service, struct error *error);
