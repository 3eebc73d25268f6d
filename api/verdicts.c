/* Waiting for verdicts. No thread waits for one: the request stands in a list, and the commit that brings the verdict
 * answers it, on the writer's thread. One thread more looks after those for whom none comes in time; whoever takes a waiter
 * from the list answers it. */
#include "api/verdicts.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "db/jobs.h"

struct waiter {
	int64_t job_id;
	int64_t deadline_ms; /* monotonic */
	struct request *request;
	struct waiter *next;
};

struct verdicts {
	struct database *database;
	struct clock *clock;
	int64_t wait_ms; /* 0: no limit */
	pthread_t timer;
	bool has_timer;
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t changed;
	bool is_stopping;
	struct waiter *waiters;
};

static struct waiter **find(struct verdicts *verdicts, int64_t job_id)
{
	struct waiter **place = &verdicts->waiters;

	while (*place && (*place)->job_id != job_id)
		place = &(*place)->next;
	return place;
}

static bool is_waited_for(struct verdicts *verdicts, int64_t job_id)
{
	LOCK_SCOPE(&verdicts->mutex);
	return *find(verdicts, job_id) != NULL;
}

static struct request *take(struct verdicts *verdicts, int64_t job_id)
{
	LOCK_SCOPE(&verdicts->mutex);
	struct waiter **place = find(verdicts, job_id);
	struct waiter *waiter = *place;

	if (!waiter)
		return NULL;
	struct request *request = waiter->request;
	*place = waiter->next;
	free(waiter);
	return request;
}

static int read_job(struct verdicts *verdicts, int64_t job_id, struct db_job *ret_job, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	int result = db_read_begin(verdicts->database, &session, error);

	return result < 0 ? result : db_job_by_id(session, job_id, ret_job, error);
}

static void answer(struct request *request, const struct db_verdict *verdict)
{
	const char *message = verdict->message ? verdict->message : "";

	if (request->is_admin && verdict->message_for_admins)
		message = verdict->message_for_admins;
	if (verdict->status < 400)
		request_reply_empty(request, verdict->status);
	else
		request_reply_fault(request, verdict->status, "%s", message);
}

static void job_changed(void *context, enum db_table table, int64_t id)
{
	struct verdicts *verdicts = context;
	CLEANUP_DB_JOB struct db_job job = { 0 };
	struct error error = { 0 };

	if (table != DB_TABLE_JOBS || !is_waited_for(verdicts, id))
		return;
	int result = read_job(verdicts, id, &job, &error);
	if (result == 0 && !job.verdict.status && !job.finished_us)
		return;
	struct request *request = take(verdicts, id);
	if (!request)
		return;
	if (result == 0 && !job.verdict.status)
		error_set(&error, EPROTO, "job %" PRId64 " ended without a verdict", id);
	if (error.code)
		request_reply_error(request, &error);
	else
		answer(request, &job.verdict);
}

/* The job is durable and goes on: as from 2.34, its outcome stands on the migration. */
static void answer_without_verdict(struct request *request, const char *why)
{
	log_event(request->settings->log, LOG_LEVEL_WARNING, request->request_id, "accepted without a verdict",
		  LOG_TEXT("reason", why));
	request_reply_empty(request, 202);
}

/* With the mutex held: the first whose time has come, taken from the list; else the next deadline. */
static struct waiter *take_late(struct verdicts *verdicts, int64_t *ret_next_ms)
{
	int64_t now_ms = clock_monotonic_ms(verdicts->clock);

	*ret_next_ms = INT64_MAX;
	for (struct waiter **place = &verdicts->waiters; *place; place = &(*place)->next) {
		struct waiter *waiter = *place;

		if (verdicts->is_stopping || waiter->deadline_ms <= now_ms) {
			*place = waiter->next;
			return waiter;
		}
		if (waiter->deadline_ms < *ret_next_ms)
			*ret_next_ms = waiter->deadline_ms;
	}
	return NULL;
}

static void *run_timer(void *context)
{
	struct verdicts *verdicts = context;
	int64_t next_ms;

	pthread_mutex_lock(&verdicts->mutex);
	for (;;) {
		struct waiter *late = take_late(verdicts, &next_ms);

		if (late) {
			bool is_stopping = verdicts->is_stopping;

			pthread_mutex_unlock(&verdicts->mutex);
			answer_without_verdict(late->request, is_stopping ? "the daemon ends" : "none came in time");
			free(late);
			pthread_mutex_lock(&verdicts->mutex);
		} else if (verdicts->is_stopping) {
			break;
		} else {
			clock_wait(verdicts->clock, &verdicts->changed, &verdicts->mutex, next_ms);
		}
	}
	pthread_mutex_unlock(&verdicts->mutex);
	return NULL;
}

int verdicts_create(struct database *database, struct clock *clock, int64_t wait_timeout_s,
		    struct verdicts **ret_verdicts, struct error *error)
{
	struct verdicts *verdicts = calloc(1, sizeof(*verdicts));

	if (!verdicts)
		return error_no_memory(error);
	verdicts->database = database;
	verdicts->clock = clock;
	verdicts->wait_ms = wait_timeout_s * 1000;
	pthread_mutex_init(&verdicts->mutex, NULL);
	clock_condition_init(&verdicts->changed);
	int result = pthread_create(&verdicts->timer, NULL, run_timer, verdicts);
	if (result > 0)
		result = error_set_errno(error, result, "cannot start the thread that ends waiting for verdicts");
	else
		verdicts->has_timer = true;
	if (result == 0)
		result = db_watch(database, job_changed, verdicts, error);
	if (result < 0) {
		verdicts_destroy(verdicts);
		return result;
	}
	*ret_verdicts = verdicts;
	return 0;
}

void verdicts_stop(struct verdicts *verdicts)
{
	pthread_mutex_lock(&verdicts->mutex);
	verdicts->is_stopping = true;
	pthread_cond_broadcast(&verdicts->changed);
	pthread_mutex_unlock(&verdicts->mutex);
	if (verdicts->has_timer)
		pthread_join(verdicts->timer, NULL);
	verdicts->has_timer = false;
}

void verdicts_destroy(struct verdicts *verdicts)
{
	if (!verdicts)
		return;
	verdicts_stop(verdicts);
	pthread_cond_destroy(&verdicts->changed);
	pthread_mutex_destroy(&verdicts->mutex);
	free(verdicts);
}

/* False when nobody may wait any more. */
static bool add_waiter(struct verdicts *verdicts, struct waiter *waiter)
{
	LOCK_SCOPE(&verdicts->mutex);

	if (verdicts->is_stopping)
		return false;
	waiter->next = verdicts->waiters;
	verdicts->waiters = waiter;
	pthread_cond_broadcast(&verdicts->changed);
	return true;
}

void verdicts_wait(struct verdicts *verdicts, int64_t job_id, struct request *request)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter) {
		answer_without_verdict(request, "out of memory");
		return;
	}
	*waiter = (struct waiter){
		.job_id = job_id,
		.request = request,
		.deadline_ms =
			verdicts->wait_ms > 0 ? clock_monotonic_ms(verdicts->clock) + verdicts->wait_ms : INT64_MAX,
	};
	if (!add_waiter(verdicts, waiter)) {
		free(waiter);
		answer_without_verdict(request, "the daemon ends");
	}
}
