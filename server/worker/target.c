/* Finding a target: choose, claim, check; whoever is refused there is tried elsewhere, but not without end, and not for what
 * no host can mend (Nova retries a MigrationPreCheckError and InvalidCPUInfo, and nothing else). */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/hosts.h"
#include "server/worker/job.h"

struct search_events {
	int64_t outer;
	int64_t inner;
};

static int begin_events(struct job_run *run, const struct target_search *search, struct search_events *ret_events,
			struct error *error)
{
	int result = 0;

	if (search->outer_event)
		result = job_begin_event(run, search->outer_event, run->worker->parts.node, &ret_events->outer, error);
	if (result == 0)
		result = job_begin_event(run, search->event, run->worker->parts.node, &ret_events->inner, error);
	return result;
}

static int end_events(struct job_run *run, const struct search_events *events, const struct error *failure,
		      struct error *error)
{
	const char *details = failure ? failure->text : run->choice;
	int result = job_end_event(run, events->inner, failure, details, error);

	return result < 0 ? result : job_end_event(run, events->outer, failure, failure ? details : NULL, error);
}

/* Ends the events with what admins are told, and the job. */
static int refuse(struct job_run *run, const struct target_search *search, const struct search_events *events,
		  const char *for_others, const char *for_admins, struct error *error)
{
	struct error failure = { 0 };

	error_set(&failure, ECANCELED, "%s", for_admins ? for_admins : for_others);
	int result = end_events(run, events, &failure, error);
	return result < 0 ? result : search->refuse(run, for_others, for_admins, error);
}

/* The source as the operator and discovery have it: nothing is tried from a host that does not answer. */
static int check_source(struct job_run *run, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_HOST struct db_host source = { 0 };
	int result = db_read_begin(run->worker->parts.database, &session, error);

	if (result == 0)
		result = db_host_by_id(session, run->job.source_host_id, &source, error);
	if (result < 0 || db_service_is_up(&source.service))
		return result;
	return error_set(error, ECANCELED, "Compute service of %s is unavailable at this time.", source.name);
}

/* What a refused check comes to for the client, who named the host or not. */
static char *check_words(const struct check_result *check, const char *why)
{
	if (check->refusal == CHECK_REFUSED_STORAGE)
		return text_format("%s", why);
	return text_format("Migration pre-check error: %s", why);
}

static int exhausted(struct job_run *run, const struct target_search *search, const struct search_events *events,
		     const char *why, struct error *error)
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
	return refuse(run, search, events, for_others, for_admins, error);
}

/* 1: the next host is to be tried; 0: the job has ended. */
static int after_refusal(struct job_run *run, const struct target_search *search, const struct search_events *events,
			 const struct check_result *check, const struct error *trouble, struct error *error)
{
	int result = job_read_requests(run, error);

	if (result < 0)
		return result;
	if (run->job.is_abort_requested || run->job.is_forced || check->refusal == CHECK_REFUSED_STORAGE
	    || check->refusal == CHECK_REFUSED_BY_SERVER || run->tried_count == JOB_HOSTS_TRIED_MAX) {
		CLEANUP_FREE char *words = check_words(check, trouble->text);

		result = job_leave_target(run, error);
		if (result == 0 && !words)
			result = error_no_memory(error);
		return result < 0 ? result : refuse(run, search, events, words, NULL, error);
	}
	run->tried[run->tried_count].host_id = run->job.target_host_id;
	run->tried[run->tried_count].reason = text_format("%s", trouble->text);
	run->tried_count++;
	result = job_leave_target(run, error);
	if (result == 0 && search->max_attempts > 0 && (int64_t)run->tried_count >= search->max_attempts)
		return exhausted(run, search, events, trouble->text, error);
	return result < 0 ? result : 1;
}

/* 1: the target holds; 0: the job has ended; -EAGAIN: another one is to be tried. */
static int try_target(struct job_run *run, const struct target_search *search, const struct search_events *events,
		      struct check_result *ret_check, struct error *error)
{
	struct error trouble = { 0 };
	struct check_result check = { .refusal = CHECK_PASSED };
	int result = job_enter(run, "checking", false, NULL, error);

	if (result < 0)
		return result;
	result = search->check(run, &check, &trouble);
	if (result == 0) {
		*ret_check = check;
		result = end_events(run, events, NULL, error);
		return result < 0 ? result : 1;
	}
	/* Not the check refused, but our own database: it is tried again as a whole. */
	if (result == -ENOSPC || result == -ENOMEM)
		return error_set(error, -result, "%s", trouble.text);
	result = after_refusal(run, search, events, &check, &trouble, error);
	return result == 1 ? -EAGAIN : result;
}

int target_find(struct job_run *run, const struct target_search *search, struct check_result *ret_check,
		struct error *error)
{
	struct search_events events = { 0 };
	struct error trouble = { 0 };
	bool is_again = phase_by_name(run->slot->kind, run->job.phase) != NULL;
	int result = is_again ? job_leave_target(run, error) : 0; /* a crash ended the last choice */

	if (result == 0)
		result = begin_events(run, search, &events, error);
	if (result < 0)
		return result;
	if ((result = check_source(run, &trouble)) < 0)
		return result == -ECANCELED ? refuse(run, search, &events, trouble.text, NULL, error)
					    : error_set(error, -result, "%s", trouble.text);
	for (;; is_again = true) {
		CLEANUP_FREE char *for_others = NULL;
		CLEANUP_FREE char *for_admins = NULL;

		result = job_enter(run, "choosing", is_again, NULL, error);
		if (result < 0)
			return result;
		result = job_choose(run, &for_others, &for_admins, &trouble);
		if (result == -ECANCELED)
			return refuse(run, search, &events, for_others, for_admins, error);
		if (result < 0)
			return error_set(error, -result, "%s", trouble.text);
		result = try_target(run, search, &events, ret_check, error);
		if (result != -EAGAIN)
			return result;
	}
}

int target_check_again(struct job_run *run, const struct target_search *search, struct check_result *ret_check,
		       struct error *error)
{
	const struct search_events none = { 0 };
	struct error trouble = { 0 };
	struct check_result check = { .refusal = CHECK_PASSED };

	if (search->check(run, &check, &trouble) == 0) {
		*ret_check = check;
		return 1;
	}
	int result = after_refusal(run, search, &none, &check, &trouble, error);
	return result == 1 ? target_find(run, search, ret_check, error) : result;
}
