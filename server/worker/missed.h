/* Guests that are missed on the host that has them by the database, until they are found or their servers are forgotten.
 *
 * Worked example: a guest was on compute-1, whose reading lists it no more.
 *
 *     missed_note      the guest is missed; the readings that have begun by now number 41
 *     (readings)       every host that is up is read; only readings 42 and later count, since an older one may have listed
 *                      the guest's new host before it arrived there
 *     missed_end       a host shows it: it is taken over, and nothing is missed any more
 *     missed_decide    no host showed it: the server is forgotten, unless a host that is down may have its guest
 *
 * Time is counted in readings, not in milliseconds: whether a reading began after a miss was noted does not depend on a clock.
 * Everything here is called on the database's writer alone.
 */
#pragma once

#include "base/uuid.h"
#include "db/database.h"

struct error;
struct log;

struct missed_guest {
	char uuid[UUID_SIZE];
	int64_t host_id; /* where it is missed */
	int64_t noted; /* the newest reading that had begun by then, of whichever host */
	int64_t change_number; /* the database's (db_change_number) by then */
	int64_t retry_ms; /* not to be decided before, on the monotonic clock */
	bool is_being_decided; /* its write is on its way */
	bool is_told; /* that a host which is down keeps it */
};

struct missed {
	struct missed_guest *guests; /* by uuid */
	size_t count;
	size_t capacity;
};

void missed_clear(struct missed *missed);
/* NULL: it is not missed. */
struct missed_guest *missed_find(const struct missed *missed, const char *uuid);
/* A miss on the same host that is noted already stays as it is. True in *ret_is_new: it was not. */
int missed_note(struct missed *missed, const struct missed_guest *guest, bool *ret_is_new, struct error *error);
/* True: it was missed. */
bool missed_end(struct missed *missed, const char *uuid);

/* What a decision needs to know and to tell. */
struct missed_decision {
	struct missed *missed;
	const char *uuid;
	int64_t retry_ms; /* when a miss that stays is decided again */
	struct log *log;
	/* Whether the host is up and was read by a reading newer than `noted`. */
	bool (*was_asked)(void *context, int64_t host_id, int64_t noted);
	void *context;
	bool is_forgotten; /* out */
	int64_t look_again_at; /* out: this host is to be read again, since the server has changed; 0: none */
};

/* Within the writer's transaction, when every host that is up was asked since: forgets the server (forget_server.h). It stays
 * while a host names it (its row, an unfinished job, a claim, a saved definition or a chore) that could not be asked: down, or
 * never read; one warning is logged for each miss. What a move left on a host, and a chore was to remove there, is the guest
 * from then on, if there is such. The miss ends when the server is elsewhere, was changed since, or is a
 * job's: the next reading shows what holds. */
int missed_decide(struct db_session *session, struct missed_decision *decision, struct error *error);
