/* The registry: which hosts there are. Those of the configuration are brought into the database at start, others are
 * added while running; either way the row is what the workers act on. */
#pragma once

#include <stddef.h>

#include "server/settings.h"

struct database;
struct error;

/* Inserts what is missing and brings addresses, credentials and ratios of the others up to what is configured; hosts
 * that stand in the database alone stay. Also makes sure that our own node stands among the services. */
int registry_load(struct database *database, const struct host_settings *hosts, size_t host_count, const char *node,
		  struct error *error);
/* One host while running. -EEXIST: the name is taken. */
int registry_add(struct database *database, const struct host_settings *host, struct error *error);
/* -ENOENT: no such host; -EBUSY: servers stand there, or moves touch it. */
int registry_remove(struct database *database, const char *name, struct error *error);
