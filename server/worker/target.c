/* Finding a target: choose, claim, check; whoever is refused there is tried elsewhere, but not without end, and not for what
 * no host can mend (Nova retries a MigrationPreCheckError and InvalidCPUInfo, and nothing else). */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/hosts.h"
#include "server/worker/chores.h"
#include "server/worker/job.h"
#include "server/worker/steps.h"

static void find_search(const struct job_run *run, struct target_search *ret_search)
{
	*ret_search = (struct target_search){ 0 };
	if (run->kind == JOB_LIVE)
		live_search(run, ret_search);
	else
		cold_search(run, ret_search);
}

static int begin_events(struct job_run *run, const struct target_search *search, struct error *error)
{
	struct search_events *events = &run->choice_events;
	int result = 0;

	if (search->outer_event)
		result = job_begin_event(run, search->outer_event, run->worker->parts.node, &events->outer, error);
	if (result == 0)
		result = job_begin_event(run, search->event, run->worker->parts.node, &events->inner, error);
	return result;
}

static int end_events(struct job_run *run, const struct error *failure, struct error *error)
{
	struct search_events events = run->choice_events;
	const char *details = failure ? failure->text : run->choice;
	int result = job_end_event(run, events.inner, failure, details, error);

	run->choice_events = (struct search_events){ 0 };
	return result < 0 ? result : job_end_event(run, events.outer, failure, failure ? details : NULL, error);
}

/* Ends the events with what admins are told, and the job. */
static int refuse(struct job_run *run, const struct target_search *search, const char *for_others,
		  const char *for_admins, struct error *error)
{
	struct error failure = { 0 };

	error_set(&failure, ECANCELED, "%s", for_admins ? for_admins : for_others);
	int result = end_events(run, &failure, error);
	if (result == 0)
		result = search->refuse(run, for_others, for_admins, error);
	return result < 0 ? result : STEP_DONE;
}

static int read_host(const struct job_run *run, int64_t id, struct db_host *ret_host, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	int result = db_read_begin(run->worker->parts.database, &session, error);

	return result < 0 ? result : db_host_by_id(session, id, ret_host, error);
}

static int source_unavailable(const char *name, struct error *error)
{
	return error_set(error, ECANCELED, "Compute service of %s is unavailable at this time.", name);
}

/* The source as the operator and discovery have it: nothing is tried from a host that does not answer. */
static int check_source(struct job_run *run, struct error *error)
{
	CLEANUP_DB_HOST struct db_host source = { 0 };
	int result = read_host(run, run->job.source_host_id, &source, error);

	if (result == -ENOENT)
		return source_unavailable(run->source_name, error);
	if (result < 0 || (db_service_is_up(&source.service) && !source.is_gone))
		return result;
	return source_unavailable(source.name, error);
}

/* The target as it is right before it is touched: -ECANCELED when it is not to be used any more. A host that was forced is
 * taken even when it is disabled, as in Nova. */
static int check_target_is_wanted(struct job_run *run, struct error *error)
{
	CLEANUP_DB_HOST struct db_host target = { 0 };
	int result = read_host(run, run->job.target_host_id, &target, error);

	if (result == -ENOENT)
		return error_set(error, ECANCELED, "host %s was removed", run->target_name);
	if (result < 0)
		return result;
	if (target.is_gone || !db_service_is_up(&target.service))
		return error_set(error, ECANCELED, "host %s is down", target.name);
	if (target.service.is_disabled && !run->job.is_forced)
		return error_set(error, ECANCELED, "host %s was disabled meanwhile: %s", target.name,
				 target.service.disabled_reason ? target.service.disabled_reason : "");
	return 0;
}

/* What a refused check comes to for the client, who named the host or not. */
static char *check_words(const struct check_result *check, const char *why)
{
	if (check->refusal == CHECK_REFUSED_STORAGE)
		return text_format("%s", why);
	return text_format("Migration pre-check error: %s", why);
}

static int exhausted(struct job_run *run, const struct target_search *search, const char *why, struct error *error)
{
	CLEANUP_FREE char *for_admins = text_format(
		"Exceeded maximum number of retries. Exceeded max scheduling attempts %lld for instance %s. "
		"Last exception: %s",
		(long long)search->max_attempts, run->job.server_uuid, why);
	CLEANUP_FREE char *for_others = text_format(
		"Exceeded maximum number of retries. Exceeded max scheduling attempts %lld for instance %s.",
		(long long)search->max_attempts, run->job.server_uuid);

	if (!for_admins || !for_others)
		return error_no_memory(error);
	return refuse(run, search, for_others, for_admins, error);
}

/* The next host is tried, or the job has ended. */
static int after_refusal(struct job_run *run, const struct target_search *search, const struct check_result *check,
			 const struct error *cause, struct error *error)
{
	int result = job_read_requests(run, error);

	if (result < 0)
		return result;
	if (run->job.is_abort_requested || run->job.is_forced || check->refusal == CHECK_REFUSED_STORAGE
	    || check->refusal == CHECK_REFUSED_BY_SERVER || run->tried_count == JOB_HOSTS_TRIED_MAX) {
		CLEANUP_FREE char *words = check_words(check, cause->text);

		result = job_leave_target(run, error);
		if (result == 0 && !words)
			result = error_no_memory(error);
		return result < 0 ? result : refuse(run, search, words, NULL, error);
	}
	run->tried[run->tried_count].host_id = run->job.target_host_id;
	run->tried[run->tried_count].reason = text_format("%s", cause->text);
	run->tried_count++;
	result = job_leave_target(run, error);
	if (result == 0 && search->max_attempts > 0 && (int64_t)run->tried_count >= search->max_attempts)
		return exhausted(run, search, cause->text, error);
	return result < 0 ? result : job_go(run, "choosing");
}

/* Whose failure it was, where the check could not be carried out: a source that does not answer, or no longer has the guest,
 * is no refusal of the target, and no other target would do. */
static int check_source_answers(struct job_run *run, struct error *error)
{
	struct guest_view view = { 0 };
	int result = run->is_source_gone ? -EHOSTUNREACH
					 : job_operations(run)->look(run->source, run->job.server_uuid, &view, error);

	if (result < 0)
		return source_unavailable(run->source_name, error);
	if (view.state == GUEST_ABSENT)
		return error_set(error, ECANCELED, "Instance %s could not be found on host %s.", run->job.server_uuid,
				 run->source_name);
	return 0;
}

/* STEP_NEXT: the target holds; run->check says how. */
static int try_target(struct job_run *run, const struct target_search *search, struct error *error)
{
	struct error cause = { 0 };
	struct check_result check = { .refusal = CHECK_REFUSED_BY_TARGET };
	int result = run->is_source_gone ? error_set(&cause, EHOSTUNREACH, "host %s was given up", run->source_name)
					 : check_target_is_wanted(run, &cause);

	/* What is left of the guest there from before goes first. */
	if (result == 0)
		result = chores_do_for_job(run, &cause);
	if (result == 0)
		result = search->check(run, &check, &cause);
	if (result == 0) {
		run->check = check;
		return STEP_NEXT;
	}
	/* Not the check refused, but our own database: it is tried again as a whole. */
	if (result == -ENOSPC || result == -ENOMEM)
		return error_set(error, -result, "%s", cause.text);
	if (result != -ECANCELED) {
		struct error of_source = { 0 };

		if (check_source_answers(run, &of_source) < 0) {
			result = job_leave_target(run, error);
			return result < 0 ? result : refuse(run, search, of_source.text, NULL, error);
		}
	}
	return after_refusal(run, search, &check, &cause, error);
}

static bool is_called_off(const struct job_run *run, const struct target_search *search)
{
	return search->cancel && run->job.is_abort_requested;
}

static int call_off(struct job_run *run, const struct target_search *search, struct error *error)
{
	int result = search->cancel(run, error);

	return result < 0 ? result : STEP_DONE;
}

int target_choose(struct job_run *run, struct error *error)
{
	struct target_search search;
	struct error cause = { 0 };
	CLEANUP_FREE char *for_others = NULL;
	CLEANUP_FREE char *for_admins = NULL;
	int result = 0;

	find_search(run, &search);
	if (is_called_off(run, &search))
		return call_off(run, &search, error);
	if (!run->server.id) {
		error_set(&cause, ECANCELED, "Instance %s could not be found.", run->job.server_uuid);
		return refuse(run, &search, cause.text, NULL, error);
	}
	if (run->job.target_host_id) /* a crash ended the last choice */
		result = job_leave_target(run, error);
	if (result == 0 && !run->choice_events.inner)
		result = begin_events(run, &search, error);
	if (result < 0)
		return result;
	result = check_source(run, &cause);
	if (result == 0)
		result = job_choose(run, &for_others, &for_admins, &cause);
	if (result == -ECANCELED)
		return refuse(run, &search, for_others ? for_others : cause.text, for_admins, error);
	return result < 0 ? error_set(error, -result, "%s", cause.text) : STEP_NEXT;
}

int target_check(struct job_run *run, struct error *error)
{
	struct target_search search;

	find_search(run, &search);
	if (run->is_entered_again && !run->choice) /* a crash ended the last choice */
		return job_go(run, "choosing");
	int result = try_target(run, &search, error);
	if (result != STEP_NEXT)
		return result;
	result = end_events(run, NULL, error);
	if (result == 0 && search.accept)
		result = search.accept(run, error);
	if (result != 0)
		return result;
	return worker_take_room(run) ? job_go(run, search.first_phase) : STEP_NEXT;
}

/* Its turn comes later: then the target is asked again, since much may have changed there. */
int target_wait(struct job_run *run, struct error *error)
{
	struct target_search search;

	find_search(run, &search);
	int result = job_read_requests(run, error);
	if (result < 0)
		return result;
	if (is_called_off(run, &search))
		return call_off(run, &search, error);
	if (!run->is_entered_again || !worker_take_room(run))
		return error_set(error, EAGAIN, "server %s waits for its turn from %s to %s", run->job.server_uuid,
				 run->source_name, run->target_name);
	result = try_target(run, &search, error);
	return result == STEP_NEXT ? job_go(run, search.first_phase) : result;
}
