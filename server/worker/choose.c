/* Choosing a target: the scheduler's pick and its claim in one transaction of the single writer, so that two moves never
 * land on the same free memory. The table in memory may lag behind; the claim counts in the database and decides. */
#include "server/worker/job.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/claims.h"
#include "db/migrations.h"
#include "server/worker/host_memory.h"
#include "server/worker/offers.h"

struct choice_request {
	struct job_run *run;
	struct host_table *table; /* locked during the choice */
	struct offers needs; /* of the guest */
	struct text for_others;
	struct text for_admins;
	struct text why; /* this target */
	int64_t target_id;
};

static int claim(struct db_session *session, struct job_run *run, const struct host_state *host, struct error *error)
{
	struct host_capacity capacity = scheduler_capacity(&run->limits->scheduler, host);
	struct db_claim_capacity limits = { capacity.vcpus, capacity.memory_mb,
					    capacity.disk_mb < 0 ? -1 : capacity.disk_mb / 1024 };
	struct db_claim row = {
		.host_id = host->id,
		.migration_id = run->job.migration_id,
		.vcpus = run->server.flavor.vcpus,
		.memory_mb = run->server.flavor.memory_mb,
		.disk_gb = db_flavor_disk_gb(&run->server.flavor),
	};

	TEXT_COPY(row.server_uuid, run->job.server_uuid);
	/* A forced host was asked for whatever the ratios say: only its memory is held against it. */
	if (run->job.is_forced)
		limits.vcpus = limits.disk_gb = -1;
	return db_claim_make(session, &row, &limits, error);
}

static const char *sentence_of(const struct job_run *run)
{
	return text_equal(run->job.kind, "live") ? SCHEDULE_NOT_ENOUGH_HOSTS : SCHEDULE_NO_HOST_FOR_COLD;
}

static void explain(struct choice_request *request, const struct schedule_request *schedule,
		    const struct schedule_result *result)
{
	schedule_explain_refusal(request->table, schedule, result, sentence_of(request->run), SCHEDULE_FOR_OTHERS,
				 &request->for_others);
	schedule_explain_refusal(request->table, schedule, result, sentence_of(request->run), SCHEDULE_FOR_ADMINS,
				 &request->for_admins);
}

/* Where a cold migration to the host goes: over our own connections; "" and NULL: it is not known. */
static const char *address_of(const struct db_host *host)
{
	bool has_own = host->migration_address && host->migration_address[0];

	return has_own ? host->migration_address : host->host_ip;
}

/* The address of a cold migration's target stands in its row, that of a live one does not (Nova). */
static int take(struct db_session *session, struct choice_request *request, const struct host_state *host,
		struct error *error)
{
	struct job_run *run = request->run;
	CLEANUP_DB_HOST struct db_host row = { 0 };
	int result = db_host_by_id(session, host->id, &row, error);

	if (result < 0)
		return result;
	request->target_id = host->id;
	TEXT_COPY(run->target_name, host->name);
	result = db_migration_set_target(session, run->job.migration_id, host->name, host->name,
					 text_equal(run->job.kind, "cold") ? address_of(&row) : NULL, error);
	return result < 0 ? result
			  : db_migration_set_source_node(session, run->job.migration_id, run->source_name, error);
}

/* The hosts that lost their room since the table was read are told like those that had none. */
static int claim_best(struct db_session *session, struct choice_request *request,
		      const struct schedule_request *schedule, const struct schedule_result *choices,
		      struct error *error)
{
	CLEANUP_TEXT struct text lost = TEXT_EMPTY;

	for (size_t i = 0; i < choices->choice_count; i++) {
		const struct host_state *host = host_table_by_id(request->table, choices->choices[i].host_id);
		int result = claim(session, request->run, host, error);

		if (result == 0) {
			schedule_explain_choice(request->table, choices, i, &request->why);
			return take(session, request, host, error);
		}
		if (result != -EBUSY)
			return result;
		text_append_format(&lost, "; %s: claim: %s", host->name, error ? error->text : "no room");
		error_clear(error);
	}
	explain(request, schedule, choices);
	if (lost.length)
		text_append(&request->for_admins, lost.data);
	return 0;
}

/* What Nova says to a host that was forced and cannot be had. */
static int refuse_forced(const struct job_run *run, const struct host_state *host,
			 const struct schedule_request *schedule, const struct schedule_verdict *verdict,
			 struct error *error)
{
	CLEANUP_TEXT struct text why = TEXT_EMPTY;

	schedule_explain_verdict(schedule, verdict, host, &why);
	switch (verdict->filter) {
	case SCHEDULER_FILTER_DIFFERENT_HOST:
		return error_set(error, ECANCELED, "Unable to migrate instance (%s) to current host (%s).",
				 run->job.server_uuid, host->name);
	case SCHEDULER_FILTER_COMPUTE:
		return error_set(error, ECANCELED, "Compute service of %s is unavailable at this time.", host->name);
	case SCHEDULER_FILTER_RAM:
		return error_set(error, ECANCELED,
				 "No valid host was found. Unable to move instance %s to host %s. There is not enough "
				 "capacity on the host for the instance. %s",
				 run->job.server_uuid, host->name, why.data ? why.data : "");
	default:
		return error_set(error, ECANCELED, "Migration pre-check error: %s", why.data ? why.data : "");
	}
}

static int claim_forced(struct db_session *session, struct choice_request *request,
			const struct schedule_request *schedule, struct error *error)
{
	struct job_run *run = request->run;
	const struct host_state *host = host_table_by_id(request->table, schedule->requested_host_id);
	struct schedule_verdict verdict =
		scheduler_check_forced(request->table, &run->limits->scheduler, schedule, host);

	/* The forced host stands in the migration also when it is refused. */
	int result = db_migration_set_target(session, run->job.migration_id, host->name, NULL, NULL, error);
	if (result < 0)
		return result;
	if (verdict.filter != SCHEDULER_FILTER_NONE)
		return refuse_forced(run, host, schedule, &verdict, error);
	result = claim(session, run, host, error);
	if (result == -EBUSY)
		return refuse_forced(run, host, schedule, &(struct schedule_verdict){ .filter = SCHEDULER_FILTER_RAM },
				     error);
	if (result < 0)
		return result;
	text_append_format(&request->why, "%s, forced by the request: filters and weighers were not asked", host->name);
	return take(session, request, host, error);
}

static int find_requested(const struct host_table *table, const struct db_job *job, int64_t *ret_id,
			  struct error *error)
{
	const struct host_state *host = host_table_by_name(table, job->requested_host);

	if (!host)
		return error_set(error, ECANCELED, "Compute host %s could not be found.", job->requested_host);
	*ret_id = host->id;
	return 0;
}

/* What the guest needs by name. A stopped guest starts anew, on whatever CPU the target has. */
static int read_needs(struct choice_request *request, struct schedule_request *schedule, struct error *error)
{
	if (!offers_read(request->run->server.facts, "needs", &request->needs))
		return error_no_memory(error);
	memcpy(schedule->needs, request->needs.lists.sets, sizeof(schedule->needs));
	if (!schedule->is_live)
		schedule->needs[HOST_SET_HOST_CPU].count = 0;
	schedule->highest_pinned_cpu = request->needs.highest_pinned_cpu;
	return 0;
}

/* What the source tells about the guest: its hypervisor's sort and version. */
static void read_source(const struct host_table *table, struct schedule_request *schedule)
{
	const struct host_state *source = host_table_by_id(table, schedule->source_host_id);

	if (!source)
		return;
	schedule->source_hypervisor_version = source->hypervisor_version;
	schedule->needs[HOST_SET_HYPERVISORS] =
		*host_table_set(table, HOST_SET_HYPERVISORS, source->sets[HOST_SET_HYPERVISORS]);
}

static int choose(struct db_session *session, struct choice_request *request, struct error *error)
{
	struct job_run *run = request->run;
	CLEANUP_SCHEDULE struct schedule_result choices = { 0 };
	struct schedule_request schedule = SCHEDULE_REQUEST_DEFAULT;

	schedule.is_live = text_equal(run->job.kind, "live");
	schedule.vcpus = run->server.flavor.vcpus;
	schedule.memory_mb = run->server.flavor.memory_mb;
	schedule.disk_mb = db_flavor_disk_gb(&run->server.flavor) * 1024;
	schedule.source_host_id = run->job.source_host_id;
	schedule.left_out = run->tried;
	schedule.left_out_count = run->tried_count;
	schedule.random_seed = (uint64_t)run->job.id;
	int result = read_needs(request, &schedule, error);
	if (result < 0)
		return result;
	read_source(request->table, &schedule);
	if (*run->job.requested_host) {
		result = find_requested(request->table, &run->job, &schedule.requested_host_id, error);
		if (result < 0)
			return result;
	}
	if (run->job.is_forced)
		return claim_forced(session, request, &schedule, error);
	result = scheduler_select(request->table, &run->limits->scheduler, &schedule, &choices, error);
	return result < 0 ? result : claim_best(session, request, &schedule, &choices, error);
}

static int write_choice(struct db_session *session, void *context, struct error *error)
{
	struct choice_request *request = context;
	struct job_run *run = request->run;
	int result = host_memory_lock(run->worker->host_memory, session, &request->table, error);

	if (result < 0)
		return result;
	int64_t began_us = clock_measure_us();
	result = choose(session, request, error);
	measure_pass(run, clock_measure_us() - began_us);
	host_memory_unlock(run->worker->host_memory);
	if (result == -ECANCELED) { /* a refusal is an answer: what was written of it stays */
		text_append(&request->for_others, error->text);
		error_clear(error);
		return 0;
	}
	if (result < 0 || !request->target_id)
		return result;

	run->job.target_host_id = request->target_id;
	run->job.attempt++;
	return db_job_update(session, &run->job, error);
}

int job_choose(struct job_run *run, char **ret_for_others, char **ret_for_admins, struct error *error)
{
	struct choice_request request = { .run = run };
	int result = db_write(run->worker->parts.database, write_choice, &request, error);

	offers_clear(&request.needs);
	if (result < 0)
		host_memory_forget(run->worker->host_memory);
	if (result == 0 && request.target_id) {
		free(run->choice);
		run->choice = text_take(&request.why);
		log_event(run->worker->parts.log, LOG_LEVEL_INFO, run->job.request_id, "target chosen",
			  LOG_TEXT("server", run->job.server_uuid), LOG_TEXT("source", run->source_name),
			  LOG_TEXT("target", run->target_name), LOG_TEXT("why", run->choice));
		result = worker_open_host(run->worker, request.target_id, run->target_name, &run->target,
					  &run->is_target_gone, error);
	} else if (result == 0) {
		*ret_for_admins = request.for_admins.length ? text_take(&request.for_admins) : NULL;
		*ret_for_others = text_take(&request.for_others);
		result = error_set(error, ECANCELED, "%s", *ret_for_admins ? *ret_for_admins : *ret_for_others);
	}
	text_clear(&request.for_others);
	text_clear(&request.for_admins);
	text_clear(&request.why);
	return result;
}
