/* The hosts as choices see them: the scheduler's table, kept true by the database's changes.
 *
 * The table may lag behind by a moment; a claim is checked against the database and decides. What changed is read again by a
 * thread of its own, one host at a time, so that a choice finds little left to do, also while thousands of hosts report.
 *
 *     host_memory_create(database, log, &memory, error);   before the database's first write: it watches
 *     host_memory_start(memory, error);
 *     …  struct host_table *table = NULL;
 *        if (host_memory_lock(memory, session, &table, error) == 0) { … choose …; host_memory_unlock(memory); }
 *     host_memory_stop(memory);
 *     db_close(database);
 *     host_memory_destroy(memory);
 */
#pragma once

struct database;
struct db_session;
struct error;
struct host_memory;
struct host_table;
struct log;

int host_memory_create(struct database *database, struct log *log, struct host_memory **ret_memory,
		       struct error *error);
int host_memory_start(struct host_memory *memory, struct error *error);
void host_memory_stop(struct host_memory *memory);
void host_memory_destroy(struct host_memory *memory); /* NULL is fine */

/* Brings what changed up to date by this session, and keeps the table from changing until unlock. On an error it is not
 * locked. */
int host_memory_lock(struct host_memory *memory, struct db_session *session, struct host_table **ret_table,
		     struct error *error);
void host_memory_unlock(struct host_memory *memory);
/* The table as it is known now, without reading anything; choices wait meanwhile. */
void host_memory_look(struct host_memory *memory, void (*look)(void *context, const struct host_table *table),
		      void *context);
/* What was read may have been undone (a transaction that failed): all is read again. */
void host_memory_forget(struct host_memory *memory);
