/* Migrations: the rows of GET /os-migrations, with Nova's words for status and type. */
#pragma once

#include "db/hosts.h"

/* Bytes as the hypervisor counted them; -1 in total: not known yet. */
struct db_progress {
	int64_t total;
	int64_t processed;
	int64_t remaining;
};

struct db_migration {
	int64_t id;
	char uuid[UUID_SIZE];
	char server_uuid[UUID_SIZE];
	char status[32];
	char type[32]; /* live-migration, migration, resize, evacuation */
	char source_compute[DB_NAME_SIZE];
	char source_node[DB_NAME_SIZE]; /* "" is none */
	char dest_compute[DB_NAME_SIZE]; /* "" until the scheduler has chosen */
	char dest_node[DB_NAME_SIZE];
	char dest_host[DB_NAME_SIZE]; /* the address at the target that migrations go to, cold only; "" is none */
	int64_t old_flavor_id;
	int64_t new_flavor_id;
	char user_id[DB_NAME_SIZE];
	char project_id[DB_NAME_SIZE];
	struct db_progress memory;
	struct db_progress disk;
	bool is_hidden;
	int64_t created_us;
	int64_t updated_us; /* 0: never */
};

struct db_migration_list {
	struct db_migration *items;
	size_t count;
};

/* Zeroed fields ask for nothing. Newest first (created, id descending). Hidden rows are left out unless asked for. */
struct db_migration_filter {
	const char *server_uuid;
	const char *status;
	const char *type;
	const char *host; /* source or target */
	const char *source_compute;
	const char *user_id;
	const char *project_id;
	const char *marker; /* uuid: rows after it; -ENOENT when there is none such */
	int64_t changes_since_us;
	int64_t changes_before_us;
	int64_t limit; /* 0: all */
	bool is_in_progress; /* live migrations that GET /servers/{id}/migrations shows: queued, preparing, running, post-migrating … (Nova API 2.23) */
	bool has_hidden;
};

void db_migration_list_clear(struct db_migration_list *list);
#define CLEANUP_DB_MIGRATIONS __attribute__((cleanup(db_migration_list_clear)))

int db_migration_by_id(struct db_session *session, int64_t id, struct db_migration *ret_migration, struct error *error);
int db_migration_by_uuid(struct db_session *session, const char *uuid, struct db_migration *ret_migration,
			 struct error *error);
int db_migration_find(struct db_session *session, const struct db_migration_filter *filter,
		      struct db_migration_list *ret_migrations, struct error *error);
/* The newest of the server with that status; -ENOENT when none. */
int db_migration_by_server_and_status(struct db_session *session, const char *server_uuid, const char *status,
				      struct db_migration *ret_migration, struct error *error);

/* Those of the server that have not ended for good: under way, or waiting for a confirm. Oldest first. */
int db_migration_unended_of_server(struct db_session *session, const char *server_uuid,
				   struct db_migration_list *ret_migrations, struct error *error);

/* Fills id and uuid when 0 or empty, created_us when 0. */
int db_migration_insert(struct db_session *session, struct db_migration *migration, struct error *error);
/* Each sets updated_us. */
int db_migration_set_status(struct db_session *session, int64_t id, const char *status, struct error *error);
int db_migration_set_target(struct db_session *session, int64_t id, const char *compute, const char *node,
			    const char *address, struct error *error);
int db_migration_set_source_node(struct db_session *session, int64_t id, const char *node, struct error *error);
int db_migration_set_progress(struct db_session *session, int64_t id, const struct db_progress *memory,
			      const struct db_progress *disk, struct error *error);
