/* The dispatcher: woken by the database's changes, it gives each unfinished job that may begin a thread of its own, within
 * the limits per host. A job that cannot go on now (a side out of reach, a full disk) is tried again later; while a host that
 * it needs is down it holds no thread. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/migrations.h"
#include "server/worker/chores.h"
#include "server/worker/gone_hosts.h"
#include "server/worker/host_handles.h"
#include "server/worker/host_memory.h"
#include "server/worker/job.h"
#include "server/worker/waiting.h"

static void on_change(void *context, enum db_table table, int64_t id)
{
	struct worker *worker = context;
	LOCK_SCOPE(&worker->mutex);

	(void)id;
	worker->must_read_chores = worker->must_read_chores || table == DB_TABLE_CHORES;
	if (table == DB_TABLE_JOBS || table == DB_TABLE_CHORES || (table == DB_TABLE_HOSTS && worker->has_blocked)) {
		worker->is_woken = true;
		pthread_cond_broadcast(&worker->wake);
	}
}

bool worker_is_stopping(struct worker *worker)
{
	LOCK_SCOPE(&worker->mutex);

	return worker->is_stopping;
}

static int write_take(struct db_session *session, void *context, struct error *error)
{
	struct job_slot *slot = context;
	struct worker *worker = slot->worker;

	return db_job_take(session, slot->job_id, worker->parts.node,
			   db_now_us(session) + worker_limits_now(worker)->settings.lease_s * 1000000, error);
}

/* What a host was called whose row is gone. */
static int read_old_name(struct job_run *run, bool is_source, char name[DB_NAME_SIZE], struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	struct db_migration migration = { 0 };
	int result = run->job.migration_id ? db_read_begin(run->worker->parts.database, &session, error) : 0;

	if (result == 0 && session)
		result = db_migration_by_id(session, run->job.migration_id, &migration, error);
	text_copy(name, DB_NAME_SIZE, is_source ? migration.source_compute : migration.dest_compute);
	return result;
}

/* A host whose row is gone shows nothing any more, as one that was given up. */
static int load_side(struct job_run *run, int64_t host_id, char name[DB_NAME_SIZE], struct hypervisor_host **handle,
		     bool *is_gone, struct error *error)
{
	int result = worker_open_host(run->worker, host_id, name, handle, is_gone, error);

	if (result != -ENOENT)
		return result;
	error_clear(error);
	*is_gone = true;
	return read_old_name(run, handle == &run->source, name, error);
}

static int load(struct job_run *run, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	int result = db_read_begin(run->worker->parts.database, &session, error);

	if (result == 0)
		result = db_server_by_uuid(session, run->job.server_uuid, &run->server, error);
	db_read_end(TAKE_POINTER(session));
	if (result == -ENOENT) { /* it was deleted outside the API: what is left of the job ends all the same */
		error_clear(error);
		result = 0;
	}
	if (result == 0)
		result = load_side(run, run->job.source_host_id, run->source_name, &run->source, &run->is_source_gone,
				   error);
	if (result == 0 && (run->job.target_host_id || run->kind == JOB_CONFIRM || run->kind == JOB_REVERT))
		result = load_side(run, run->job.target_host_id, run->target_name, &run->target, &run->is_target_gone,
				   error);
	return result;
}

/* Why it waits, or that it does not any more. One that ends with the daemon waits for nothing. */
static void note_end(struct job_run *run, int result, const struct error *error)
{
	LOCK_SCOPE(&run->worker->mutex);

	if (result < 0 && !run->worker->is_stopping)
		waiting_note(run->worker, run->slot, &run->job, error->text);
	else
		waiting_forget(run->slot);
}

static int run_job(struct job_slot *slot, struct error *error)
{
	struct job_run *run = calloc(1, sizeof(*run));
	CLEANUP_DB_READ struct db_session *session = NULL;

	if (!run)
		return error_no_memory(error);
	run->worker = slot->worker;
	run->limits = worker_limits_now(slot->worker);
	run->slot = slot;
	int result = db_write(slot->worker->parts.database, write_take, slot, error);
	if (result == 0)
		result = db_read_begin(slot->worker->parts.database, &session, error);
	if (result == 0)
		result = db_job_by_id(session, slot->job_id, &run->job, error);
	db_read_end(TAKE_POINTER(session));
	if (result == 0 && !job_kind_by_name(run->job.kind, &run->kind))
		result = error_set(error, EINVAL, "job of no known kind: %s", run->job.kind);
	if (result == 0)
		result = load(run, error);
	if (result == 0)
		result = job_drive(run, error);
	if (result == 0 && run->job.finished_us)
		measure_end(run);
	note_end(run, result, error);
	for (size_t i = 0; i < run->tried_count; i++)
		free((char *)run->tried[i].reason);
	free(run->migration_address);
	free(run->choice);
	free(run->definition);
	db_kept_domain_clear(&run->saved);
	db_server_clear(&run->server);
	db_job_clear(&run->job);
	free(run);
	return result;
}

static int64_t next_try_ms(const struct job_slot *slot, int result)
{
	struct worker *worker = slot->worker;

	if (result >= 0)
		return INT64_MAX;
	return slot->is_waiting ? 0
				: clock_monotonic_ms(worker->parts.clock)
					  + worker_limits_now(worker)->settings.retry_interval_s * 1000;
}

static void *job_thread(void *context)
{
	struct job_slot *slot = context;
	struct worker *worker = slot->worker;
	struct error error = { 0 };
	int result = run_job(slot, &error);

	if (result < 0 && !slot->is_waiting)
		log_error(worker->parts.log, NULL, "job waits for its next try", &error);
	pthread_mutex_lock(&worker->mutex);
	slot->is_running = false;
	slot->has_room = slot->has_room && result < 0; /* a move that goes on meanwhile still counts */
	slot->not_before_ms = next_try_ms(slot, result);
	worker->running--;
	worker->is_woken = true;
	pthread_cond_broadcast(&worker->wake);
	pthread_mutex_unlock(&worker->mutex);
	return NULL;
}

static struct job_slot *find_slot(struct worker *worker, int64_t job_id)
{
	struct job_slot *slot = worker->slots;

	while (slot && slot->job_id != job_id)
		slot = slot->next;
	return slot;
}

/* Whether the hosts of a move that has no room yet may carry one more, with the mutex held. A limit of 0 is none. */
static bool has_room(struct worker *worker, const struct job_slot *slot)
{
	const struct worker_settings *settings = &worker_limits_now(worker)->settings;
	int64_t source_limit = slot->kind == JOB_LIVE ? settings->max_concurrent_live_migrations
						      : settings->max_concurrent_cold_migrations;
	int64_t target_limit = settings->max_concurrent_incoming_migrations;
	int64_t from_source = 0, to_target = 0;

	for (const struct job_slot *other = worker->slots; other; other = other->next) {
		if (!other->has_room)
			continue;
		from_source += other->kind == slot->kind && other->source_host_id == slot->source_host_id;
		to_target += other->target_host_id == slot->target_host_id;
	}
	return (source_limit <= 0 || from_source < source_limit) && (target_limit <= 0 || to_target < target_limit);
}

bool worker_take_room(struct job_run *run)
{
	struct job_slot *slot = run->slot;
	LOCK_SCOPE(&run->worker->mutex);

	slot->target_host_id = run->job.target_host_id;
	if (!slot->has_room)
		slot->has_room = has_room(run->worker, slot);
	slot->is_waiting = !slot->has_room;
	return slot->has_room;
}

/* A job that was under way before a restart has room, whatever the limits say now. */
static bool is_under_way(enum job_kind kind, const struct db_job *job)
{
	const struct phase *phase = phase_by_name(kind, job->phase);

	return (kind == JOB_LIVE || kind == JOB_COLD) && phase && phase->undo != UNDO_CLAIM;
}

static struct job_slot *add_slot(struct worker *worker, const struct db_job *job, enum job_kind kind)
{
	struct job_slot *slot = calloc(1, sizeof(*slot));

	if (!slot)
		return NULL; /* it is offered again */
	*slot = (struct job_slot){ .job_id = job->id,
				   .kind = kind,
				   .worker = worker,
				   .source_host_id = job->source_host_id,
				   .is_waiting = text_equal(job->phase, "queued"),
				   .next = worker->slots };
	worker->slots = slot;
	return slot;
}

/* Jobs' threads that have to do with the host now, with the mutex held. */
static int64_t running_on(const struct worker *worker, int64_t host_id)
{
	int64_t count = 0;

	for (const struct job_slot *slot = worker->slots; slot; slot = slot->next)
		count += slot->is_running && (slot->source_host_id == host_id || slot->target_host_id == host_id);
	return count;
}

/* Whether a thread is left for a job of these hosts, with the mutex held. Where all are taken, by calls of a silent host say,
 * hosts that have none get one beyond the limit. */
static bool has_thread(const struct worker *worker, int64_t limit, const struct db_job *job)
{
	if (worker->running < limit)
		return true;
	return running_on(worker, job->source_host_id) == 0
	       && (!job->target_host_id || running_on(worker, job->target_host_id) == 0) && worker->running < limit * 2;
}

/* With the mutex held. */
static void offer(struct worker *worker, const struct db_job *job, enum job_kind kind)
{
	struct job_slot *slot = find_slot(worker, job->id);
	pthread_t thread;

	if (slot && (slot->is_running || slot->not_before_ms > clock_monotonic_ms(worker->parts.clock)))
		return;
	if (!has_thread(worker, worker_limits_now(worker)->settings.threads, job))
		return;
	if (!slot)
		slot = add_slot(worker, job, kind);
	if (!slot)
		return;
	slot->target_host_id = job->target_host_id;
	bool is_free = slot->is_waiting && has_room(worker, slot);
	if (slot->is_waiting && !is_free && !job->is_abort_requested)
		return;
	slot->has_room = is_free || is_under_way(kind, job);
	slot->is_waiting = false;
	slot->is_running = pthread_create(&thread, NULL, job_thread, slot) == 0;
	if (slot->is_running) {
		pthread_detach(thread);
		worker->running++;
	}
}

static void forget_finished(struct worker *worker, const struct db_job_list *jobs)
{
	for (struct job_slot **link = &worker->slots; *link;) {
		struct job_slot *slot = *link;
		bool is_unfinished = slot->is_running;

		for (size_t i = 0; !is_unfinished && i < jobs->count; i++)
			is_unfinished = jobs->items[i].id == slot->job_id;
		if (is_unfinished) {
			link = &slot->next;
			continue;
		}
		*link = slot->next;
		waiting_forget(slot);
		free(slot);
	}
}

/* Which host is down without which the job can do nothing; 0: none. While no host was touched it goes on all the same: it is
 * refused, or goes elsewhere. */
static int64_t blocking_host(struct worker *worker, struct db_session *session, const struct db_job *job,
			     enum job_kind kind)
{
	const struct phase *phase = phase_by_name(kind, job->phase);
	bool needs_source = kind != JOB_CONFIRM, needs_target = kind == JOB_CONFIRM || kind == JOB_REVERT;

	if (kind == JOB_LIVE || kind == JOB_COLD) {
		if (!phase || phase->undo == UNDO_CLAIM)
			return 0;
		needs_target = kind == JOB_LIVE || phase >= phase_by_name(kind, "defining");
		/* The target alone may show that the guest has arrived. */
		needs_source = kind == JOB_COLD || phase != phase_by_name(kind, "moving");
	}
	if (needs_source && worker_host_is_down(worker, session, job->source_host_id))
		return job->source_host_id;
	return needs_target && worker_host_is_down(worker, session, job->target_host_id) ? job->target_host_id : 0;
}

/* With the mutex held. Its slot keeps the reason, though no thread has the job. */
static void note_blocked(struct worker *worker, const struct db_job *job, enum job_kind kind, const char *why)
{
	struct job_slot *slot = find_slot(worker, job->id);

	if (!slot)
		slot = add_slot(worker, job, kind);
	if (!slot)
		return;
	slot->target_host_id = job->target_host_id;
	waiting_note(worker, slot, job, why);
}

static bool is_running(struct worker *worker, int64_t job_id)
{
	LOCK_SCOPE(&worker->mutex);
	const struct job_slot *slot = find_slot(worker, job_id);

	return slot && slot->is_running;
}

static void dispatch_job(struct worker *worker, struct db_session *session, const struct db_job *job)
{
	enum job_kind kind;

	/* Kinds that this worker has no steps for stay in the database. */
	if (!job_kind_by_name(job->kind, &kind) || is_running(worker, job->id))
		return;
	int64_t host_id = blocking_host(worker, session, job, kind);
	CLEANUP_DB_HOST struct db_host host = { 0 };
	struct error ignored = { 0 };
	CLEANUP_FREE char *why = host_id && db_host_by_id(session, host_id, &host, &ignored) == 0
					 ? text_format("host %s is down", host.name)
					 : NULL;
	LOCK_SCOPE(&worker->mutex);

	if (host_id)
		worker->has_blocked = true;
	if (host_id && why)
		note_blocked(worker, job, kind, why);
	else if (!host_id && !worker->is_stopping)
		offer(worker, job, kind);
}

static bool take_must_read_chores(struct worker *worker)
{
	LOCK_SCOPE(&worker->mutex);
	bool must_read = worker->must_read_chores || worker->has_blocked
			 || chores_next_ms(worker) <= clock_monotonic_ms(worker->parts.clock);

	worker->must_read_chores = false;
	worker->has_blocked = false; /* found again by this round */
	return must_read;
}

static void dispatch(struct worker *worker)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_JOBS struct db_job_list jobs = { 0 };
	struct error error = { 0 };
	int result = db_read_begin(worker->parts.database, &session, &error);

	if (result == 0)
		result = db_job_unfinished(session, &jobs, &error);
	if (result < 0) {
		log_error(worker->parts.log, NULL, "jobs cannot be read", &error);
		return;
	}
	bool must_read_chores = take_must_read_chores(worker);
	pthread_mutex_lock(&worker->mutex);
	forget_finished(worker, &jobs);
	pthread_mutex_unlock(&worker->mutex);
	for (size_t i = 0; i < jobs.count; i++)
		dispatch_job(worker, session, &jobs.items[i]);
	db_read_end(TAKE_POINTER(session));
	if (must_read_chores)
		chores_dispatch(worker);
	gone_hosts_dispatch(worker);
	host_handles_dispatch(worker);
}

static void *dispatcher_thread(void *context)
{
	struct worker *worker = context;

	pthread_mutex_lock(&worker->mutex);
	while (!worker->is_stopping) {
		worker->is_woken = false;
		worker->is_dispatching = true;
		worker->dispatching_since_ms = clock_monotonic_ms(clock_system());
		pthread_mutex_unlock(&worker->mutex);
		dispatch(worker);
		pthread_mutex_lock(&worker->mutex);
		worker->is_dispatching = false;
		pthread_cond_broadcast(&worker->wake); /* for those who wait for idleness */
		int64_t deadline_ms = clock_monotonic_ms(worker->parts.clock)
				      + worker_limits_now(worker)->settings.retry_interval_s * 1000;
		if (chores_next_ms(worker) < deadline_ms)
			deadline_ms = chores_next_ms(worker);
		while (!worker->is_woken && !worker->is_stopping)
			if (!clock_wait(worker->parts.clock, &worker->wake, &worker->mutex, deadline_ms))
				break;
	}
	pthread_mutex_unlock(&worker->mutex);
	return NULL;
}

const struct worker_limits *worker_limits_now(struct worker *worker)
{
	return atomic_load(&worker->limits);
}

static int copy_text(const char **text, struct error *error)
{
	*text = *text ? strdup(*text) : NULL;
	return *text ? 0 : error_no_memory(error);
}

static void destroy_limits(struct worker_limits *limits)
{
	while (limits) {
		struct worker_limits *older = limits->older;

		free((char *)limits->settings.live_migration_scheme);
		free((char *)limits->settings.live_migration_inbound_addr);
		free(limits);
		limits = older;
	}
}

int worker_set_limits(struct worker *worker, const struct worker_settings *settings,
		      const struct scheduler_settings *scheduler, struct error *error)
{
	struct worker_limits *limits = calloc(1, sizeof(*limits));
	int result = 0;

	if (!limits)
		return error_no_memory(error);
	limits->settings = *settings;
	limits->scheduler = *scheduler;
	if (settings->live_migration_scheme)
		result = copy_text(&limits->settings.live_migration_scheme, error);
	if (settings->live_migration_inbound_addr
	    && copy_text(&limits->settings.live_migration_inbound_addr, error) < 0)
		result = -ENOMEM;
	if (result < 0) {
		destroy_limits(limits);
		return result;
	}
	pthread_mutex_lock(&worker->mutex);
	limits->older = atomic_load(&worker->limits);
	atomic_store(&worker->limits, limits);
	worker->is_woken = true; /* there may be room now */
	pthread_cond_broadcast(&worker->wake);
	pthread_mutex_unlock(&worker->mutex);
	return 0;
}

int worker_create(const struct worker_parts *parts, struct worker **ret_worker, struct error *error)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return error_no_memory(error);
	worker->parts = *parts;
	worker->parts.settings = NULL; /* copied; limits has them */
	worker->parts.scheduler = NULL;
	pthread_mutex_init(&worker->mutex, NULL);
	clock_condition_init(&worker->wake);
	int result = worker_set_limits(worker, parts->settings, parts->scheduler, error);
	if (result == 0)
		result = db_watch(parts->database, on_change, worker, error);
	if (result == 0)
		result = worker_measures_register(parts->metrics, &worker->measures, error);
	if (result == 0)
		result = host_memory_create(parts->database, parts->log, &worker->host_memory, error);
	if (result < 0) {
		worker_destroy(worker);
		return result;
	}
	*ret_worker = worker;
	return 0;
}

/* What the last start left: none of its jobs runs any more. */
static void forget_all(struct worker *worker)
{
	chores_forget(worker);
	while (worker->slots) {
		struct job_slot *slot = worker->slots;

		worker->slots = slot->next;
		waiting_forget(slot);
		free(slot);
	}
	host_handles_close(worker, TAKE_POINTER(worker->hosts));
}

int worker_start(struct worker *worker, struct error *error)
{
	pthread_mutex_lock(&worker->mutex);
	worker->is_stopping = false;
	worker->is_woken = worker->must_read_chores = worker->must_read_gone = true;
	forget_all(worker);
	pthread_mutex_unlock(&worker->mutex);
	int result = host_memory_start(worker->host_memory, error);

	if (result < 0)
		return result;
	result = pthread_create(&worker->dispatcher, NULL, dispatcher_thread, worker);
	if (result > 0)
		return error_set_errno(error, result, "cannot start the dispatcher");
	worker->is_started = true;
	return 0;
}

bool worker_stop(struct worker *worker)
{
	pthread_mutex_lock(&worker->mutex);
	worker->is_stopping = true;
	pthread_cond_broadcast(&worker->wake);
	pthread_mutex_unlock(&worker->mutex);
	if (worker->is_started)
		pthread_join(worker->dispatcher, NULL);
	worker->is_started = false;
	host_memory_stop(worker->host_memory);

	LOCK_SCOPE(&worker->mutex);
	while (worker->running > 0)
		clock_wait(worker->parts.clock, &worker->wake, &worker->mutex, INT64_MAX);
	return worker->moving == 0;
}

bool worker_wait_idle(struct worker *worker, int64_t deadline_ms)
{
	LOCK_SCOPE(&worker->mutex);

	while (worker->running > 0 || worker->moving > 0
	       || (worker->is_started && (worker->is_woken || worker->is_dispatching)))
		if (!clock_wait(clock_system(), &worker->wake, &worker->mutex, deadline_ms))
			return false;
	return true;
}

int64_t worker_busy_ms(struct worker *worker)
{
	LOCK_SCOPE(&worker->mutex);

	return worker->is_dispatching ? clock_monotonic_ms(clock_system()) - worker->dispatching_since_ms : 0;
}

void worker_host_given_up(struct worker *worker)
{
	LOCK_SCOPE(&worker->mutex);

	for (struct job_slot *slot = worker->slots; slot; slot = slot->next)
		slot->not_before_ms = 0;
	worker->must_read_gone = worker->must_read_hosts = worker->is_woken = true;
	pthread_cond_broadcast(&worker->wake);
}

struct look_request {
	struct worker *worker;
	worker_hosts_fn look;
	void *context;
};

static void look_at_table(void *context, const struct host_table *table)
{
	const struct look_request *request = context;
	size_t count = 0;
	const struct host_state *states = host_table_states(table, &count);

	request->look(request->context, states, count, &worker_limits_now(request->worker)->scheduler);
}

void worker_look_at_hosts(struct worker *worker, worker_hosts_fn look, void *context)
{
	struct look_request request = { worker, look, context };

	host_memory_look(worker->host_memory, look_at_table, &request);
}

void worker_count_running(struct worker *worker, int64_t *ret_running, int64_t *ret_limit)
{
	LOCK_SCOPE(&worker->mutex);

	*ret_running = worker->running;
	*ret_limit = worker_limits_now(worker)->settings.threads;
}

void worker_destroy(struct worker *worker)
{
	if (!worker)
		return;
	forget_all(worker);
	destroy_limits(atomic_load(&worker->limits));
	host_memory_destroy(worker->host_memory);
	pthread_cond_destroy(&worker->wake);
	pthread_mutex_destroy(&worker->mutex);
	free(worker);
}
