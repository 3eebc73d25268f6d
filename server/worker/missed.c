/* Guests that are missed. The one difficulty: what is known of a guest may be in rows that a host which is down has still to
 * confirm, so that absence on the other hosts proves nothing. */
#include "server/worker/missed.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/claims.h"
#include "db/jobs.h"
#include "db/servers.h"
#include "server/worker/forget_server.h"

void missed_clear(struct missed *missed)
{
	free(missed->guests);
	*missed = (struct missed){ 0 };
}

/* Where the guest is, or would be inserted. */
static size_t place_of(const struct missed *missed, const char *uuid)
{
	size_t low = 0;
	size_t high = missed->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(missed->guests[middle].uuid, uuid) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct missed_guest *missed_find(const struct missed *missed, const char *uuid)
{
	size_t place = place_of(missed, uuid);

	return place < missed->count && strcmp(missed->guests[place].uuid, uuid) == 0 ? &missed->guests[place] : NULL;
}

static int reserve(struct missed *missed, struct error *error)
{
	if (missed->count < missed->capacity)
		return 0;
	size_t wanted = missed->capacity ? missed->capacity * 2 : 16;
	struct missed_guest *more = reallocarray(missed->guests, wanted, sizeof(*more));

	if (!more)
		return error_no_memory(error);
	missed->guests = more;
	missed->capacity = wanted;
	return 0;
}

int missed_note(struct missed *missed, const struct missed_guest *guest, bool *ret_is_new, struct error *error)
{
	struct missed_guest *known = missed_find(missed, guest->uuid);

	*ret_is_new = !known || known->host_id != guest->host_id;
	if (!*ret_is_new)
		return 0;
	if (known) {
		*known = *guest;
		return 0;
	}
	int result = reserve(missed, error);
	if (result < 0)
		return result;
	size_t place = place_of(missed, guest->uuid);
	memmove(&missed->guests[place + 1], &missed->guests[place],
		(missed->count - place) * sizeof(missed->guests[0]));
	missed->guests[place] = *guest;
	missed->count++;
	return 0;
}

bool missed_end(struct missed *missed, const char *uuid)
{
	struct missed_guest *guest = missed_find(missed, uuid);

	if (!guest)
		return false;
	size_t place = (size_t)(guest - missed->guests);
	missed->count--;
	memmove(guest, guest + 1, (missed->count - place) * sizeof(*guest));
	return true;
}

/* 1 when the miss is no longer the question: the server is gone, elsewhere, or a job's, which looks for its guest itself. */
static int is_overtaken(struct db_session *session, const struct missed_guest *guest, struct db_server *ret_server,
			struct error *error)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };
	int result = db_server_by_uuid(session, guest->uuid, ret_server, error);

	if (result == 0 && ret_server->host_id == guest->host_id) {
		result = db_job_unfinished_of_server(session, guest->uuid, &job, error);
		if (result == -ENOENT) {
			error_clear(error);
			return 0;
		}
	}
	if (result < 0 && result != -ENOENT)
		return result;
	error_clear(error);
	return 1;
}

/* 1 when a host that names the server could not be asked for its guest. */
static int is_kept(struct db_session *session, const struct missed_decision *decision, struct missed_guest *guest,
		   const char *missed_on, struct error *error)
{
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };
	int result = db_host_naming_server(session, guest->uuid, &hosts, error);

	for (size_t i = 0; result == 0 && i < hosts.count; i++) {
		const struct db_host *host = &hosts.items[i];

		if (host->is_gone || decision->was_asked(decision->context, host->id, guest->noted))
			continue;
		if (!guest->is_told)
			log_event(decision->log, LOG_LEVEL_WARNING, NULL,
				  "guest is missed on its host; a host that is down may have it",
				  LOG_TEXT("server", guest->uuid), LOG_TEXT("host", missed_on),
				  LOG_TEXT("down", host->name));
		guest->is_told = true;
		return 1;
	}
	return result;
}

/* 1: its definition, which is saved with us alone, is to go back to a host: that is its guest then. */
static int has_definition_to_come(struct db_session *session, const char *uuid, struct error *error)
{
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };
	int result = db_chore_by_server(session, uuid, &chores, error);

	for (size_t i = 0; result == 0 && i < chores.count; i++)
		if (text_equal(chores.items[i].kind, DB_CHORE_GIVE_BACK_DEFINITION))
			return 1;
	return result;
}

/* 1: no host has it but one where it is left of a move and was to be removed: that is the guest now. */
static int take_leftover(struct db_session *session, struct db_server *server, struct missed_decision *decision,
			 struct error *error)
{
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };
	int result = db_chore_by_server(session, server->uuid, &chores, error);

	for (size_t i = 0; result == 0 && i < chores.count; i++) {
		const struct db_chore *chore = &chores.items[i];

		if (!text_equal(chore->kind, DB_CHORE_REMOVE_GUEST))
			continue;
		result = db_claim_make_way(session, server->uuid, chore->host_id, server->host_id, error);
		server->host_id = decision->look_again_at = chore->host_id;
		if (result == 0)
			result = db_chore_delete(session, chore->id, error);
		if (result == 0)
			result = db_server_update(session, server, error);
		return result < 0 ? result : 1;
	}
	return result;
}

int missed_decide(struct db_session *session, struct missed_decision *decision, struct error *error)
{
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	struct missed_guest *guest = missed_find(decision->missed, decision->uuid);

	if (!guest) /* it was found meanwhile */
		return 0;
	guest->retry_ms = decision->retry_ms;
	int result = is_overtaken(session, guest, &server, error);
	if (result == 0) {
		result = is_kept(session, decision, guest, server.host, error);
		if (result == 0)
			result = has_definition_to_come(session, decision->uuid, error);
		if (result == 1)
			return 0;
	}
	if (result == 0 && db_server_changed_since(session, decision->uuid, guest->change_number)) {
		decision->look_again_at = guest->host_id;
	} else if (result == 0 && (result = take_leftover(session, &server, decision, error)) == 0) {
		result = forget_server(session, decision->uuid, error);
		decision->is_forgotten = result == 0;
	}
	if (result < 0)
		return result;
	missed_end(decision->missed, decision->uuid);
	return 0;
}
