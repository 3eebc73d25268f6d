/* What a job writes to the database: phase, events, verdict and end, each in one transaction. */
#include "server/worker/job.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/claims.h"
#include "db/instance_actions.h"
#include "db/migrations.h"
#include "server/worker/chores.h"

struct enter_request {
	struct job_run *run;
	const char *migration_status;
	const char *task_state;
};

static int write_enter(struct db_session *session, void *context, struct error *error)
{
	struct enter_request *request = context;
	struct db_job *job = &request->run->job;
	int result = db_job_update(session, job, error);

	if (result == 0 && request->migration_status)
		result = db_migration_set_status(session, job->migration_id, request->migration_status, error);
	if (result == 0 && request->task_state) {
		result = db_server_set_state(session, job->server_uuid, NULL, request->task_state, error);
		if (result == -ENOENT) { /* it was deleted outside the API */
			error_clear(error);
			result = 0;
		}
	}
	return result;
}

int job_enter(struct job_run *run, const char *phase, const char *migration_status, const char *task_state,
	      struct error *error)
{
	struct enter_request request = { run, migration_status, task_state };
	char before[sizeof(run->job.phase)];

	/* The API's first word for a job is no phase of ours. */
	const char *from = phase_by_name(run->kind, run->job.phase) ? run->job.phase : "";
	if (!phase_may_follow(run->kind, from, phase))
		return error_set(error, EINVAL, "job %lld cannot go from %s to %s", (long long)run->job.id, from,
				 phase);
	TEXT_COPY(before, run->job.phase);
	TEXT_COPY(run->job.phase, phase);
	int result = db_write(run->worker->parts.database, write_enter, &request, error);
	if (result < 0) /* what is on disk is what counts */
		TEXT_COPY(run->job.phase, before);
	return result;
}

static int write_event(struct db_session *session, void *context, struct error *error)
{
	return db_event_insert(session, context, error);
}

int job_begin_event(struct job_run *run, const char *event, const char *host, int64_t *ret_event_id,
		    struct error *error)
{
	struct db_event row = { .action_id = run->job.action_id };

	*ret_event_id = 0;
	if (!run->job.action_id)
		return 0;
	TEXT_COPY(row.event, event);
	TEXT_COPY(row.host, host);
	int result = db_write(run->worker->parts.database, write_event, &row, error);
	if (result == 0)
		*ret_event_id = row.id;
	return result;
}

struct event_end {
	int64_t id;
	const struct error *failure;
	const char *details;
};

static int write_event_end(struct db_session *session, void *context, struct error *error)
{
	struct event_end *end = context;

	return db_event_finish(session, end->id, end->failure ? "Error" : "Success",
			       end->failure ? end->failure->text : NULL,
			       end->details ? end->details : (end->failure ? end->failure->text : NULL), error);
}

int job_end_event(struct job_run *run, int64_t event_id, const struct error *failure, const char *details,
		  struct error *error)
{
	struct event_end end = { event_id, failure, details };

	return event_id ? db_write(run->worker->parts.database, write_event_end, &end, error) : 0;
}

struct verdict_request {
	int64_t job_id;
	int status;
	const char *for_others;
	const char *for_admins;
};

static int write_verdict(struct db_session *session, void *context, struct error *error)
{
	struct verdict_request *request = context;

	return db_job_set_verdict(session, request->job_id, request->status, request->for_others, request->for_admins,
				  error);
}

int job_set_verdict(struct job_run *run, int status, const char *for_others, const char *for_admins,
		    struct error *error)
{
	struct verdict_request request = { run->job.id, status, for_others, for_admins };

	if (run->job.verdict.status)
		return 0;
	int result = db_write(run->worker->parts.database, write_verdict, &request, error);
	if (result == 0)
		run->job.verdict.status = status;
	return result;
}

static int write_lease(struct db_session *session, void *context, struct error *error)
{
	struct job_run *run = context;

	run->job.lease_until_us = db_now_us(session) + run->limits->settings.lease_s * 1000000;
	return db_job_take(session, run->job.id, run->worker->parts.node, run->job.lease_until_us, error);
}

int job_renew_lease(struct job_run *run, struct error *error)
{
	return db_write(run->worker->parts.database, write_lease, run, error);
}

int job_read_requests(struct job_run *run, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_JOB struct db_job fresh = { 0 };
	int result = db_read_begin(run->worker->parts.database, &session, error);

	if (result == 0)
		result = db_job_by_id(session, run->job.id, &fresh, error);
	if (result == 0) {
		run->job.is_abort_requested = fresh.is_abort_requested;
		run->job.is_force_complete_requested = fresh.is_force_complete_requested;
	}
	return result;
}

static int write_leave(struct db_session *session, void *context, struct error *error)
{
	struct job_run *run = context;
	int result = db_claim_release(session, run->job.migration_id, 0, error);

	run->job.target_host_id = 0;
	if (result == 0)
		/* A host that was forced stays named, as in Nova. */
		result = db_migration_set_target(session, run->job.migration_id,
						 run->job.is_forced ? run->job.requested_host : "", "", "", error);
	if (result == 0 && text_equal(run->job.kind, "live"))
		result = db_migration_set_source_node(session, run->job.migration_id, "", error);
	return result < 0 ? result : db_job_update(session, &run->job, error);
}

int job_leave_target(struct job_run *run, struct error *error)
{
	return db_write(run->worker->parts.database, write_leave, run, error);
}

int job_write_place(struct db_session *session, const struct job_run *run, struct db_server *server, int64_t host_id,
		    int64_t claimed_host_id, struct error *error)
{
	struct db_claim claim = {
		.host_id = claimed_host_id,
		.migration_id = run->job.migration_id,
		.vcpus = server->flavor.vcpus,
		.memory_mb = server->flavor.memory_mb,
		.disk_gb = db_flavor_disk_gb(&server->flavor),
	};

	TEXT_COPY(claim.server_uuid, run->job.server_uuid);
	server->host_id = host_id;
	int result = db_server_update(session, server, error);
	if (result == 0)
		result = db_claim_release(session, run->job.migration_id, 0, error);
	return result < 0 || !claimed_host_id
		       ? result
		       : db_claim_make(session, &claim, &(struct db_claim_capacity){ -1, -1, -1 }, error);
}

/* For the metrics, which count it when the end is on disk. */
void job_note_outcome(struct job_run *run, const struct job_end *end)
{
	bool is_refused = end->verdict_status >= 400;

	run->measure.outcome = end->is_lost                                     ? JOB_LOST
			       : is_refused                                     ? JOB_REFUSED
			       : end->is_failed                                 ? JOB_FAILED
			       : text_equal(end->migration_status, "cancelled") ? JOB_CANCELLED
										: JOB_COMPLETED;
	run->measure.failure = end->is_lost        ? JOB_FAILURE_LOST
			       : is_refused        ? JOB_FAILURE_NO_HOST
			       : run->is_over_time ? JOB_FAILURE_TIMEOUT
			       : run->ended_why[0] ? JOB_FAILURE_STALLED
						   : JOB_FAILURE_HOST;
}

struct finish_request {
	struct job_run *run;
	const struct job_end *end;
};

/* A move that was called off says nothing about the target. */
static int write_blame(struct db_session *session, const struct job_run *run, const struct job_end *end,
		       struct error *error)
{
	CLEANUP_DB_HOST struct db_host target = { 0 };

	if (!run->job.target_host_id || (!end->is_moved && !end->is_target_to_blame))
		return 0;
	int result = db_host_by_id(session, run->job.target_host_id, &target, error);
	int64_t count = end->is_moved ? 0 : target.failed_migrations + 1;
	if (result < 0 || count == target.failed_migrations)
		return result;
	return db_host_set_failed_migrations(session, target.id, count, error);
}

static int write_finish_server(struct db_session *session, const struct job_run *run, const struct job_end *end,
			       struct error *error)
{
	const char *uuid = run->job.server_uuid;
	int result = 0;

	if (end->is_moved)
		result = db_server_set_place(session, uuid, run->job.target_host_id, end->power_state, error);
	if (result == 0)
		result = db_server_set_state(session, uuid, end->is_lost ? "error" : NULL, "", error);
	if (result == 0 && end->is_lost) {
		CLEANUP_FREE char *message = text_format("%s", end->reason ? end->reason : "");
		CLEANUP_FREE char *details = text_format("%s", end->details ? end->details : message);
		struct db_fault fault = {
			.code = 500, .message = message, .details = details, .created_us = db_now_us(session)
		};

		result = db_server_set_fault(session, uuid, &fault, error);
	}
	if (result == 0 && end->is_lost && end->error_cause)
		result = db_server_set_error_cause(session, uuid, end->error_cause, error);
	if (result != -ENOENT)
		return result;
	error_clear(error); /* it was deleted outside the API */
	return 0;
}

/* Where no event is open that could say why it failed, and none has. */
static int write_failure_event(struct db_session *session, const struct job_run *run, const char *details,
			       struct error *error)
{
	struct db_event event = { .action_id = run->job.action_id };

	TEXT_COPY(event.event, phases_event(run->kind));
	TEXT_COPY(event.host, run->source_name);
	int result = db_event_insert(session, &event, error);
	return result < 0 ? result : db_event_finish(session, event.id, "Error", NULL, details, error);
}

/* An event that a crash or a wait left open ends with its action. */
static int write_end_events(struct db_session *session, const struct job_run *run, const struct job_end *end,
			    struct error *error)
{
	CLEANUP_DB_EVENTS struct db_event_list events = { 0 };
	const char *details = end->details ? end->details : end->reason;
	int result = db_event_by_action(session, run->job.action_id, &events, error);
	bool is_told = !end->is_failed || !details;

	for (size_t i = 0; result == 0 && i < events.count; i++) {
		is_told = is_told || !events.items[i].finish_us || text_equal(events.items[i].result, "Error");
		if (!events.items[i].finish_us)
			result = db_event_finish(session, events.items[i].id, end->is_failed ? "Error" : "Success",
						 NULL, details, error);
	}
	return result < 0 || is_told ? result : write_failure_event(session, run, details, error);
}

/* What the run believes of its own row is the row only when the transaction was written: see job_finish. */
static int write_done(struct db_session *session, struct job_run *run, struct error *error)
{
	struct db_job done = run->job;

	TEXT_COPY(done.phase, "done");
	done.finished_us = db_now_us(session);
	int result = db_job_update(session, &done, error);

	if (result == 0)
		run->job.finished_us = done.finished_us;
	return result;
}

/* The server's new place and the end of its claim are one change: nobody sees its memory counted twice or not at all. */
int job_write_finish(struct db_session *session, struct job_run *run, const struct job_end *end, struct error *error)
{
	int result = write_finish_server(session, run, end, error);

	if (result == 0)
		result = write_blame(session, run, end, error);
	if (result == 0)
		result = db_claim_release(session, run->job.migration_id, 0, error);
	if (result == 0)
		result = db_migration_set_status(session, run->job.migration_id, end->migration_status, error);
	if (result == 0 && end->verdict_status && !run->job.verdict.status)
		result = db_job_set_verdict(session, run->job.id, end->verdict_status, end->for_others, end->for_admins,
					    error);
	if (result == 0 && run->job.action_id)
		result = write_end_events(session, run, end, error);
	if (result == 0 && run->job.action_id)
		result = db_action_finish(session, run->job.action_id, end->is_failed ? "Error" : NULL, error);
	if (result == 0)
		result = chores_write(session, run, end->leftovers, error);
	return result < 0 ? result : write_done(session, run, error);
}

static int write_finish(struct db_session *session, void *context, struct error *error)
{
	struct finish_request *request = context;

	return job_write_finish(session, request->run, request->end, error);
}

int job_write_end(struct db_session *session, struct job_run *run, const char *failure, struct error *error)
{
	bool is_failed = failure != NULL;
	struct job_end end = { .is_failed = is_failed, .reason = failure };
	int result = 0;

	job_note_outcome(run, &end);
	if (run->job.action_id)
		result = write_end_events(session, run, &end, error);
	if (result == 0 && run->job.action_id)
		result = db_action_finish(session, run->job.action_id, is_failed ? "Error" : NULL, error);
	return result < 0 ? result : write_done(session, run, error);
}

int job_finish(struct job_run *run, const struct job_end *end, struct error *error)
{
	struct finish_request request = { run, end };

	job_note_outcome(run, end);
	return job_write_last(run, write_finish, &request, error);
}
