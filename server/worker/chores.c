/* When chores are done: written with a job's end, begun when their host answers, again after pauses that grow. */
#include "server/worker/chores.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/chores.h"
#include "server/worker/chore_steps.h"
#include "server/worker/job.h"

#define PAUSE_MAX_MS 300000

/* A chore that was tried, or is being done. */
struct chore_slot {
	int64_t chore_id;
	int64_t host_id;
	int64_t not_before_ms; /* monotonic */
	int64_t pause_ms;
	bool is_running;
	bool is_held_up; /* its host is down, or busy with another one: that ends by an event, not at a time */
	struct worker *worker;
	struct chore_slot *next;
};

/* One row of what a job may leave. */
struct leftover {
	unsigned int flag;
	bool is_on_source;
	bool is_volumes;
	const char *kind;
	const char *reason;
};

static const struct leftover table[] = {
	{ CHORE_AWAIT_SOURCE, true, false, DB_CHORE_AWAIT_LIBVIRTD, "a call upon the server does not return" },
	{ CHORE_CONFLICT, true, false, DB_CHORE_END_CONFLICT, "the server was seen on both hosts of its migration" },
	{ CHORE_DEFINITION, true, false, DB_CHORE_GIVE_BACK_DEFINITION, "its definition could not be given back" },
	{ CHORE_SOURCE_GUEST, true, false, DB_CHORE_REMOVE_GUEST, "the server has moved on" },
	{ CHORE_TARGET_GUEST, false, false, DB_CHORE_REMOVE_GUEST, "the server did not come" },
	{ CHORE_SOURCE_VOLUMES, true, true, DB_CHORE_REMOVE_VOLUME, "the server's disks were moved" },
	{ CHORE_TARGET_VOLUMES, false, true, DB_CHORE_REMOVE_VOLUME, "the server did not come" },
};

/* Disks of the source were whole before they were copied, whatever the journal has of their copies. */
static int take_volumes(struct db_session *session, const struct job_run *run, const struct leftover *row,
			const struct db_chore *like, struct error *error)
{
	CLEANUP_DB_VOLUMES struct db_volume_list volumes = { 0 };

	if (!like->host_id) /* given up with its volumes */
		return db_volume_delete_by_migration(session, run->job.migration_id, error);
	int result = db_volume_by_migration(session, run->job.migration_id, &volumes, error);
	for (size_t i = 0; i < volumes.count; i++)
		volumes.items[i].is_complete = volumes.items[i].is_complete || row->is_on_source;
	return result < 0 ? result : db_chore_take_volumes(session, &volumes, like, error);
}

/* The hosts of a chore; none on one that was given up. A conflict of which one side was given up is the other side's. */
static void set_hosts(const struct job_run *run, const struct leftover *row, struct db_chore *chore)
{
	int64_t source_id = run->is_source_gone ? 0 : run->job.source_host_id;
	int64_t target_id = run->is_target_gone ? 0 : run->job.target_host_id;

	chore->host_id = row->is_on_source ? source_id : target_id;
	chore->other_host_id = row->is_on_source ? target_id : source_id;
	if (row->flag == CHORE_CONFLICT && !chore->host_id) {
		chore->host_id = chore->other_host_id;
		chore->other_host_id = 0;
	}
}

int chores_write(struct db_session *session, const struct job_run *run, unsigned int leftovers, struct error *error)
{
	int result = leftovers & CHORE_KEEP_VOLUMES
			     ? db_volume_delete_by_migration(session, run->job.migration_id, error)
			     : 0;

	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(table); i++) {
		const struct leftover *row = &table[i];
		CLEANUP_FREE char *reason = strdup(row->reason);
		struct db_chore chore = { .migration_id = run->job.migration_id, .reason = reason };

		if (!(leftovers & row->flag))
			continue;
		if (!reason)
			return error_no_memory(error);
		set_hosts(run, row, &chore);
		TEXT_COPY(chore.kind, row->kind);
		TEXT_COPY(chore.server_uuid, run->job.server_uuid);
		if (row->is_volumes)
			result = take_volumes(session, run, row, &chore, error);
		else if (chore.host_id)
			result = db_chore_insert(session, &chore, error);
	}
	return result;
}

static int write_delete(struct db_session *session, void *context, struct error *error)
{
	return db_chore_delete(session, *(int64_t *)context, error);
}

struct failure_request {
	int64_t id;
	const char *reason;
};

static int write_failure(struct db_session *session, void *context, struct error *error)
{
	const struct failure_request *request = context;

	return db_chore_note_failure(session, request->id, request->reason, error);
}

static void tell(struct worker *worker, const struct db_chore *chore, enum log_level level, const char *what,
		 const char *why)
{
	log_event(worker->parts.log, level, NULL, what, LOG_TEXT("chore", chore->kind),
		  LOG_TEXT("server", chore->server_uuid), LOG_NUMBER("host_id", chore->host_id),
		  LOG_TEXT("volume", chore->name), LOG_TEXT("why", why));
}

/* One try, with what it comes to written: negative when the chore is still to be done. */
static int try_once(struct worker *worker, const struct db_chore *chore, int64_t job_id, struct error *error)
{
	struct error reason = { 0 };
	int result = chore_do(worker, chore, job_id, &reason);

	if (result >= 0) {
		tell(worker, chore, result == CHORE_DROPPED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		     result == CHORE_DROPPED ? "chore is dropped" : "chore is done", reason.text);
		int64_t id = chore->id;
		return db_write(worker->parts.database, write_delete, &id, error);
	}
	struct failure_request request = { chore->id, reason.text };
	struct error ignored = { 0 };
	if (!text_equal(chore->last_error, reason.text))
		tell(worker, chore, LOG_LEVEL_WARNING, "chore cannot be done yet", reason.text);
	db_write(worker->parts.database, write_failure, &request, &ignored); /* counted with the next one else */
	return error_set(error, -result, "%s", reason.text);
}

static struct chore_slot *find_slot(const struct worker *worker, int64_t chore_id)
{
	struct chore_slot *slot = worker->chores;

	while (slot && slot->chore_id != chore_id)
		slot = slot->next;
	return slot;
}

static bool is_host_taken(const struct worker *worker, int64_t host_id)
{
	for (const struct chore_slot *slot = worker->chores; slot; slot = slot->next)
		if (slot->is_running && slot->host_id == host_id)
			return true;
	return false;
}

static int read_chore(struct worker *worker, int64_t id, struct db_chore *ret_chore, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	int result = db_read_begin(worker->parts.database, &session, error);

	return result < 0 ? result : db_chore_by_id(session, id, ret_chore, error);
}

static void *chore_thread(void *context)
{
	struct chore_slot *slot = context;
	struct worker *worker = slot->worker;
	CLEANUP_DB_CHORE struct db_chore chore = { 0 };
	struct error error = { 0 };
	int result = read_chore(worker, slot->chore_id, &chore, &error);

	if (result == 0)
		result = try_once(worker, &chore, 0, &error);
	pthread_mutex_lock(&worker->mutex);
	int64_t first_ms = worker_limits_now(worker)->settings.retry_interval_s * 1000;
	slot->is_running = false;
	slot->pause_ms = slot->pause_ms ? slot->pause_ms * 2 : first_ms;
	if (slot->pause_ms > PAUSE_MAX_MS)
		slot->pause_ms = PAUSE_MAX_MS;
	slot->not_before_ms =
		result < 0 ? clock_monotonic_ms(worker->parts.clock) + slot->pause_ms : INT64_MAX; /* it is gone */
	worker->running--;
	worker->is_woken = worker->must_read_chores = true; /* the host is free for its next one */
	pthread_cond_broadcast(&worker->wake);
	pthread_mutex_unlock(&worker->mutex);
	return NULL;
}

/* Nothing is done there any more: gone_hosts.c gives them up with the host. */
static bool is_on_gone_host(struct db_session *session, const struct db_chore *chore)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	struct error ignored = { 0 };

	return db_host_by_id(session, chore->host_id, &host, &ignored) == 0 && host.is_gone;
}

static struct chore_slot *add_slot(struct worker *worker, const struct db_chore *chore)
{
	struct chore_slot *slot = calloc(1, sizeof(*slot));

	if (!slot)
		return NULL; /* it is offered again */
	*slot = (struct chore_slot){
		.chore_id = chore->id, .host_id = chore->host_id, .worker = worker, .next = worker->chores
	};
	worker->chores = slot;
	return slot;
}

/* With the mutex held. */
static void offer(struct worker *worker, const struct db_chore *chore, bool is_held_up)
{
	struct chore_slot *slot = find_slot(worker, chore->id);
	int64_t now_ms = clock_monotonic_ms(worker->parts.clock);
	pthread_t thread;

	is_held_up = is_held_up || is_host_taken(worker, chore->host_id);
	if (slot)
		slot->is_held_up = is_held_up;
	if (worker->is_stopping || is_held_up || (slot && slot->not_before_ms > now_ms))
		return;
	if (!slot)
		slot = add_slot(worker, chore);
	if (!slot)
		return;
	slot->is_running = pthread_create(&thread, NULL, chore_thread, slot) == 0;
	if (slot->is_running) {
		pthread_detach(thread);
		worker->running++;
	} else {
		slot->not_before_ms = now_ms + worker_limits_now(worker)->settings.retry_interval_s * 1000;
	}
}

/* NULL: a thread is at it, or memory is short. */
static struct chore_slot *take(struct worker *worker, const struct db_chore *chore)
{
	LOCK_SCOPE(&worker->mutex);
	struct chore_slot *slot = find_slot(worker, chore->id);

	if (!slot)
		slot = add_slot(worker, chore);
	if (!slot || slot->is_running)
		return NULL;
	slot->is_running = true;
	return slot;
}

static void give_back(struct worker *worker, struct chore_slot *slot)
{
	LOCK_SCOPE(&worker->mutex);

	slot->is_running = false;
}

/* By a job's own thread. While another thread is at it the job must not go on: what it makes there could be removed. */
static int do_for_job(const struct job_run *run, const struct db_chore *chore, struct error *error)
{
	struct worker *worker = run->worker;
	CLEANUP_DB_CHORE struct db_chore fresh = { 0 };
	struct chore_slot *slot = take(worker, chore);

	if (!slot)
		return error_set(error, EBUSY, "host %s: what is left there of server %.36s is being removed now",
				 run->target_name, chore->server_uuid);
	int result = read_chore(worker, chore->id, &fresh, error);
	if (result == 0)
		result = try_once(worker, &fresh, run->job.id, error);
	give_back(worker, slot);
	if (result != -ENOENT)
		return result;
	error_clear(error); /* it was done meanwhile */
	return 0;
}

int chores_do_for_job(const struct job_run *run, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };
	int result = db_read_begin(run->worker->parts.database, &session, error);

	if (result == 0)
		result = db_chore_by_server(session, run->job.server_uuid, &chores, error);
	db_read_end(TAKE_POINTER(session));
	for (size_t i = 0; result == 0 && i < chores.count; i++)
		if (chores.items[i].host_id == run->job.target_host_id)
			result = do_for_job(run, &chores.items[i], error);
	return result;
}

static void forget_done(struct worker *worker, const struct db_chore_list *chores)
{
	for (struct chore_slot **link = &worker->chores; *link;) {
		struct chore_slot *slot = *link;
		bool is_there = slot->is_running;

		for (size_t i = 0; !is_there && i < chores->count; i++)
			is_there = chores->items[i].id == slot->chore_id;
		if (is_there) {
			link = &slot->next;
			continue;
		}
		*link = slot->next;
		free(slot);
	}
}

void chores_dispatch(struct worker *worker)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };
	struct error error = { 0 };
	int result = db_read_begin(worker->parts.database, &session, &error);

	if (result == 0)
		result = db_chore_all(session, &chores, &error);
	if (result < 0) {
		log_error(worker->parts.log, NULL, "chores cannot be read", &error);
		LOCK_SCOPE(&worker->mutex);
		worker->must_read_chores = true; /* by the next round: no other change may come */
		return;
	}
	for (size_t i = 0; i < chores.count; i++) {
		bool is_down = worker_host_is_down(worker, session, chores.items[i].host_id);
		bool is_gone = is_on_gone_host(session, &chores.items[i]);
		LOCK_SCOPE(&worker->mutex);

		if (i == 0)
			forget_done(worker, &chores);
		if (is_down)
			worker->has_blocked = true;
		offer(worker, &chores.items[i], is_down || is_gone);
	}
	LOCK_SCOPE(&worker->mutex);
	if (chores.count == 0)
		forget_done(worker, &chores);
}

void chores_forget(struct worker *worker)
{
	while (worker->chores) {
		struct chore_slot *slot = worker->chores;

		worker->chores = slot->next;
		free(slot);
	}
}

int64_t chores_next_ms(const struct worker *worker)
{
	int64_t next_ms = INT64_MAX;

	for (const struct chore_slot *slot = worker->chores; slot; slot = slot->next)
		if (!slot->is_running && !slot->is_held_up && slot->not_before_ms < next_ms)
			next_ms = slot->not_before_ms;
	return next_ms;
}
