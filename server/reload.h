/* The configuration read anew while the daemon runs: on SIGHUP, and when one of its files changes. A new one that is wrong is
 * refused whole and the old one stays in force; no request and no move is dropped. One thread's. */
#pragma once

#include "server/config.h"

struct admin_socket;
struct api;
struct clock;
struct database;
struct discovery;
struct generation;
struct log;
struct metrics;
struct reload;
struct worker;

/* All borrowed; they outlive the reload. */
struct reload_parts {
	struct config_source source;
	struct generation *first; /* in force now */
	struct database *database;
	struct clock *clock;
	struct log *log;
	struct metrics *metrics; /* NULL: nobody measures */
	struct worker *worker;
	struct discovery *discovery;
	struct admin_socket *admin;
	struct api *api;
};

int reload_create(const struct reload_parts *parts, struct reload **ret_reload, struct error *error);
/* Reads it anew if a file changed since the last look and has come to rest; to be called every few seconds. */
void reload_look(struct reload *reload);
/* Reads it anew. */
void reload_now(struct reload *reload);
/* What is in force now; until the next call. */
const struct config *reload_config(const struct reload *reload);
/* Requests that wait for somebody's word about a token are answered; when the listener is to stop. */
void reload_stop_waiting(struct reload *reload);
/* When the api and the admin socket are gone. The first generation stays its owner's. NULL is fine. */
void reload_destroy(struct reload *reload);
