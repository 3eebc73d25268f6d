/* All rows that can contradict each other or a host, read within one session, so that they are of one moment. Narrow: of
 * 100,000 servers a few tens of megabytes. For server/worker/invariants.h. */
#pragma once

#include "db/chores.h"
#include "db/claims.h"
#include "db/jobs.h"

/* A server that is not deleted, with the parts of its flavor. */
struct db_audit_server {
	char uuid[UUID_SIZE];
	int64_t host_id; /* 0: on none */
	char vm_state[32];
	char task_state[32];
	char error_cause[32];
	int power_state;
	int64_t vcpus, memory_mb, disk_gb, ephemeral_gb, swap_mb;
};

/* A migration whose status is not an end. */
struct db_audit_migration {
	int64_t id;
	char server_uuid[UUID_SIZE];
	char status[32];
};

struct db_audit_definition {
	int64_t id;
	int64_t host_id;
	char server_uuid[UUID_SIZE];
	int64_t migration_id;
};

/* An action, or an event of one, that has not finished. */
struct db_audit_open {
	int64_t id; /* of the action, or of the event */
	int64_t action_id;
	char server_uuid[UUID_SIZE];
	char name[128];
	int64_t action_finish_us; /* 0: the action has not finished */
};

struct db_audit_volume {
	int64_t id;
	int64_t host_id;
	char pool[DB_NAME_SIZE];
	char name[DB_NAME_SIZE];
	int64_t bytes;
	bool is_complete;
	char server_uuid[UUID_SIZE];
	int64_t migration_id; /* 0: its job has none */
};

#define DB_AUDIT_LIST(type)                                                                                            \
	struct {                                                                                                       \
		struct type *items;                                                                                    \
		size_t count;                                                                                          \
	}

struct db_audit {
	struct db_host_list hosts; /* by id */
	struct db_host_usage_list usages;
	DB_AUDIT_LIST(db_audit_server) servers; /* by uuid */
	DB_AUDIT_LIST(db_audit_migration) migrations; /* by id */
	struct db_job_list jobs; /* unfinished */
	struct db_claim_list claims;
	struct db_chore_list chores;
	DB_AUDIT_LIST(db_audit_definition) definitions;
	DB_AUDIT_LIST(db_audit_open) actions;
	DB_AUDIT_LIST(db_audit_open) events;
	DB_AUDIT_LIST(db_audit_volume) volumes;
};

void db_audit_clear(struct db_audit *audit);
#define CLEANUP_DB_AUDIT __attribute__((cleanup(db_audit_clear)))

/* `ret_audit` is to be cleared also when it fails. */
int db_audit_read(struct db_session *session, struct db_audit *ret_audit, struct error *error);
