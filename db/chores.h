/* Chores: what remains to be done on a host after a move has ended, one row each. A chore is inserted in the transaction that
 * ends the move, is tried until it is done, until what must hold for it turns out not to hold (then it is dropped, with a
 * warning), or until its host is given up. It never holds up the server or its migration, but it is done before the same
 * guest comes back to that host.
 */
#pragma once

#include "db/volumes.h"

#define DB_CHORE_REMOVE_GUEST         "remove_guest" /* what is left of the guest there */
#define DB_CHORE_REMOVE_VOLUME        "remove_volume" /* a disk that was copied, or a copy that came to nothing */
#define DB_CHORE_END_CONFLICT         "end_conflict" /* the guest was seen on both hosts: looked at until one alone has it */
#define DB_CHORE_AWAIT_LIBVIRTD       "await_libvirtd" /* a call does not return there: its libvirtd must be restarted */
#define DB_CHORE_GIVE_BACK_DEFINITION "give_back_definition" /* one that was saved: the host gets it again */

struct db_chore {
	int64_t id;
	char kind[32];
	int64_t host_id;
	char server_uuid[UUID_SIZE];
	int64_t migration_id; /* 0: none */
	/* Where the guest is whole. Before a volume that is complete is removed, its copy there is looked at; 0: nothing else
	 * needs to hold. */
	int64_t other_host_id;
	char pool[DB_NAME_SIZE]; /* of a volume; else "" */
	char name[DB_NAME_SIZE];
	int64_t bytes; /* that the volume has at least; 0: not known */
	bool is_complete; /* the volume may be a whole disk of the guest */
	char *reason; /* why it is to be done; owned */
	int64_t tries;
	char *last_error; /* of the last try; owned, NULL: none failed */
	int64_t created_us;
	int64_t updated_us;
};

struct db_chore_list {
	struct db_chore *items;
	size_t count;
};

void db_chore_clear(struct db_chore *chore);
void db_chore_list_clear(struct db_chore_list *list);
#define CLEANUP_DB_CHORE  __attribute__((cleanup(db_chore_clear)))
#define CLEANUP_DB_CHORES __attribute__((cleanup(db_chore_list_clear)))

/* Fills id and created_us. A chore of the same kind for the same host, server, pool and name that is there already is
 * enough: then its id is filled, and its reason stays; it becomes complete, or gets the other host, when the new one says so. */
int db_chore_insert(struct db_session *session, struct db_chore *chore, struct error *error);
/* Counts a try that did not do it. */
int db_chore_note_failure(struct db_session *session, int64_t id, const char *reason, struct error *error);
int db_chore_delete(struct db_session *session, int64_t id, struct error *error);
int db_chore_by_id(struct db_session *session, int64_t id, struct db_chore *ret_chore, struct error *error);
/* Each oldest first. */
int db_chore_all(struct db_session *session, struct db_chore_list *ret_chores, struct error *error);
int db_chore_by_host(struct db_session *session, int64_t host_id, struct db_chore_list *ret_chores,
		     struct error *error);
int db_chore_by_server(struct db_session *session, const char *server_uuid, struct db_chore_list *ret_chores,
		       struct error *error);
/* For each of the volumes a DB_CHORE_REMOVE_VOLUME on the host of `like` (which may be another one than where the volume was
 * recorded: a copied disk has the same pool and name on both), with the server, migration, other host and reason of `like`.
 * The volumes' own rows go. */
int db_chore_take_volumes(struct db_session *session, const struct db_volume_list *volumes, const struct db_chore *like,
			  struct error *error);
/* Drops all of the host, which is given up. */
int db_chore_delete_by_host(struct db_session *session, int64_t host_id, struct error *error);
/* The same, and what other hosts' chores had to do with it, while its servers still stand there. What may be the last that is
 * left of a server of the host stays where it is: no chore removes it any more. A conflict of which the host was a side is
 * looked at on the other side alone. */
int db_chore_give_up_host(struct db_session *session, int64_t host_id, struct error *error);
