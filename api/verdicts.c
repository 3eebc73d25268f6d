/* Waiting for verdicts. No thread waits: the request stands in a list, and the commit that brings the verdict answers it.
 * Both ends run on the writer's thread; the lock guards against a destroy on another. */
#include "api/verdicts.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "db/jobs.h"

struct waiter {
	int64_t job_id;
	struct request *request;
	struct waiter *next;
};

struct verdicts {
	struct database *database;
	pthread_mutex_t mutex;
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

int verdicts_create(struct database *database, struct verdicts **ret_verdicts, struct error *error)
{
	struct verdicts *verdicts = calloc(1, sizeof(*verdicts));

	if (!verdicts)
		return error_no_memory(error);
	verdicts->database = database;
	pthread_mutex_init(&verdicts->mutex, NULL);
	int result = db_watch(database, job_changed, verdicts, error);
	if (result < 0) {
		verdicts_destroy(verdicts);
		return result;
	}
	*ret_verdicts = verdicts;
	return 0;
}

void verdicts_destroy(struct verdicts *verdicts)
{
	if (!verdicts)
		return;
	pthread_mutex_destroy(&verdicts->mutex);
	free(verdicts);
}

void verdicts_wait(struct verdicts *verdicts, int64_t job_id, struct request *request)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter) {
		/* The job is durable and goes on: as from 2.34, its outcome stands on the migration. */
		request_reply_empty(request, 202);
		return;
	}
	*waiter = (struct waiter){ .job_id = job_id, .request = request };
	LOCK_SCOPE(&verdicts->mutex);
	waiter->next = verdicts->waiters;
	verdicts->waiters = waiter;
}
