/* What a change of a server brings with it, or of a row that belongs to one: readings of hosts that began before are older
 * than the row (db_server_changed_since in database.h). */
#pragma once

#include "base/uuid.h"
#include "db/session.h"

struct server_ages;

/* Servers whose newest change is known; of the others the oldest ones are forgotten. */
#define SERVER_AGES_MAX 65536

int server_ages_create(struct server_ages **ret_ages, struct error *error);
void server_ages_destroy(struct server_ages *ages); /* NULL is fine */

/* To be called by every write that changes the server's row, inserts, updates or ends a job of it, or changes its claims,
 * saved definitions or chores. A write that is undone afterwards leaves its mark, which costs a reading and no more. */
void server_changed(struct db_session *session, const char *server_uuid);
/* Any server may have changed. */
void all_servers_changed(struct db_session *session);

/* After a write of the server's row itself: the same, and a server that is not in error has no error's cause. */
int server_row_changed(struct db_session *session, const char *server_uuid, struct error *error);
