/* Flavors of servers, one row for equal ones. */
#pragma once

#include "db/servers.h"

/* Gives the flavor the id of an equal row; where there is none, one is made, with the flavor's own id when that is free. */
int flavor_keep(struct db_session *session, struct db_flavor *flavor, struct error *error);

struct db_flavor_filter {
	const char *flavor_id; /* NULL: any */
	const char *marker; /* flavor_id of the last one of the page before; NULL: from the first on */
	int64_t least_memory_mb;
	int64_t least_disk_gb;
	int64_t limit; /* 0: all */
};

struct db_flavor_list {
	struct db_flavor *items;
	size_t count;
};

void db_flavor_list_clear(struct db_flavor_list *list);
#define CLEANUP_DB_FLAVORS __attribute__((cleanup(db_flavor_list_clear)))

/* In the order of flavor_id, of those with the same the newest. -ENOENT where the marker is none of them. */
int db_flavor_find(struct db_session *session, const struct db_flavor_filter *filter,
		   struct db_flavor_list *ret_flavors, struct error *error);
