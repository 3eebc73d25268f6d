/* The registry: which hosts there are. Those of the configuration are brought into the database at start, others are
 * added while running; either way the row is what the workers act on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "server/settings.h"

struct database;
struct error;

/* What the configuration says about hosts. */
struct registry_settings {
	const struct host_settings *hosts; /* those that are configured */
	size_t host_count;
	const struct fleet_settings *fleet; /* what holds for the others, too */
	const char *node; /* our own */
	bool demands_tls; /* a host whose control connection is not encrypted is not to be had */
};

/* Inserts what is missing and brings addresses, credentials, ratios and interfaces of the others up to what is configured;
 * hosts that stand in the database alone stay, with what the fleet says about them. Also makes sure that our own node stands
 * among the services. */
int registry_load(struct database *database, const struct registry_settings *settings, struct error *error);
/* One host while running, with what the settings say of all. -EEXIST: the name is taken. */
int registry_add(struct database *database, const struct host_settings *host, const struct registry_settings *settings,
		 struct error *error);
/* -ENOENT: no such host; -EBUSY: servers stand there, or moves touch it. */
int registry_remove(struct database *database, const char *name, struct error *error);
/* Gives a host up that will never come back; the worker does the rest. -ENOENT: no such host; -EBUSY: it answers. */
int registry_give_up(struct database *database, const char *name, struct error *error);
/* As Nova's os-services does it: whether the scheduler gives the host anything new, and why not (NULL: not told). -ENOENT: no such
 * host. */
int registry_disable(struct database *database, const char *name, bool is_disabled, const char *reason,
		     struct error *error);
