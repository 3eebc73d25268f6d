/* Choosing a target: the scheduler's pick and its claim in one transaction of the single writer, so that two moves never
 * land on the same free memory. The table in memory may lag behind; the claim counts in the database and decides. */
#include "server/worker/job.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/claims.h"
#include "db/migrations.h"

static struct host_state state_of(const struct db_host *host, const struct db_host_usage *usage)
{
	struct host_state state = HOST_STATE_DEFAULT;

	state.id = host->id;
	state.name = host->name;
	state.disabled_reason = host->service.disabled_reason;
	state.is_up = host->service.is_up;
	state.is_disabled = host->service.is_disabled;
	state.is_forced_down = host->service.is_forced_down;
	state.hypervisor_version = host->hypervisor_version;
	state.vcpus_total = host->vcpus;
	state.memory_mb_total = host->memory_mb;
	state.memory_mb_reserved = host->reserved_memory_mb;
	state.disk_mb_total = host->disk_gb * 1024;
	state.disk_mb_reserved = host->reserved_disk_gb < 0 ? -1 : host->reserved_disk_gb * 1024;
	state.cpu_allocation_ratio = host->cpu_allocation_ratio;
	state.ram_allocation_ratio = host->ram_allocation_ratio;
	state.disk_allocation_ratio = host->disk_allocation_ratio;
	state.failed_migrations = host->failed_migrations;
	state.vcpus_used = usage->vcpus;
	state.memory_mb_used = usage->memory_mb;
	state.disk_mb_used = usage->disk_gb * 1024;
	state.num_io_ops = usage->moves;
	state.num_instances = usage->servers;
	return state;
}

/* With the table's mutex held. Both lists are sorted by id. */
static int read_hosts(struct worker *worker, struct db_session *session, struct error *error)
{
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };
	CLEANUP_DB_USAGES struct db_host_usage_list usages = { 0 };
	size_t at = 0;
	int result = db_host_all(session, &hosts, error);

	if (result == 0)
		result = db_host_usage_all(session, &usages, error);
	if (result < 0)
		return result;

	struct host_table *table = host_table_create();
	if (!table)
		return error_no_memory(error);
	for (size_t i = 0; result == 0 && i < hosts.count; i++) {
		struct db_host_usage usage = { 0 };

		while (at < usages.count && usages.items[at].host_id < hosts.items[i].id)
			at++;
		if (at < usages.count && usages.items[at].host_id == hosts.items[i].id)
			usage = usages.items[at].usage;
		struct host_state state = state_of(&hosts.items[i], &usage);
		result = host_table_put(table, &state, NULL, error);
	}
	if (result < 0) {
		host_table_destroy(table);
		return result;
	}
	host_table_destroy(worker->table);
	worker->table = table;
	return 0;
}

static int refresh(struct worker *worker, struct db_session *session, struct error *error)
{
	pthread_mutex_lock(&worker->mutex);
	bool is_stale = worker->are_hosts_stale;
	worker->are_hosts_stale = false;
	pthread_mutex_unlock(&worker->mutex);

	int result = is_stale || !worker->table ? read_hosts(worker, session, error) : 0;
	if (result < 0) {
		LOCK_SCOPE(&worker->mutex);
		worker->are_hosts_stale = true;
	}
	return result;
}

struct choice_request {
	struct job_run *run;
	struct text for_others;
	struct text for_admins;
	int64_t target_id;
};

static int claim(struct db_session *session, struct job_run *run, const struct host_state *host, struct error *error)
{
	struct host_capacity capacity = scheduler_capacity(run->worker->parts.scheduler, host);
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
	schedule_explain_refusal(request->run->worker->table, schedule, result, sentence_of(request->run),
				 SCHEDULE_FOR_OTHERS, &request->for_others);
	schedule_explain_refusal(request->run->worker->table, schedule, result, sentence_of(request->run),
				 SCHEDULE_FOR_ADMINS, &request->for_admins);
}

static int claim_best(struct db_session *session, struct choice_request *request,
		      const struct schedule_request *schedule, const struct schedule_result *choices,
		      struct error *error)
{
	struct worker *worker = request->run->worker;

	for (size_t i = 0; i < choices->choice_count; i++) {
		const struct host_state *host = host_table_by_id(worker->table, choices->choices[i].host_id);
		int result = claim(session, request->run, host, error);

		if (result == 0) {
			request->target_id = host->id;
			TEXT_COPY(request->run->target_name, host->name);
			return db_migration_set_target(session, request->run->job.migration_id, host->name, host->name,
						       NULL, error);
		}
		if (result != -EBUSY)
			return result;
		text_append_format(&request->for_admins, "%s: %s; ", host->name, error ? error->text : "");
	}
	if (choices->choice_count == 0)
		explain(request, schedule, choices);
	else
		text_append(&request->for_others, "No valid host was found. " SCHEDULE_NOT_ENOUGH_HOSTS);
	return 0;
}

static int find_requested(struct worker *worker, const struct db_job *job, int64_t *ret_id, struct error *error)
{
	const struct host_state *host = host_table_by_name(worker->table, job->requested_host);

	if (!host)
		return error_set(error, ECANCELED, "Compute host %s could not be found.", job->requested_host);
	*ret_id = host->id;
	return 0;
}

static int write_choice(struct db_session *session, void *context, struct error *error)
{
	struct choice_request *request = context;
	struct job_run *run = request->run;
	struct worker *worker = run->worker;
	LOCK_SCOPE(&worker->table_mutex);
	CLEANUP_SCHEDULE struct schedule_result choices = { 0 };
	struct schedule_request schedule = SCHEDULE_REQUEST_DEFAULT;
	int result = refresh(worker, session, error);

	if (result < 0)
		return result;
	schedule.is_live = text_equal(run->job.kind, "live");
	schedule.vcpus = run->server.flavor.vcpus;
	schedule.memory_mb = run->server.flavor.memory_mb;
	schedule.disk_mb = db_flavor_disk_gb(&run->server.flavor) * 1024;
	schedule.source_host_id = run->job.source_host_id;
	schedule.left_out = run->tried;
	schedule.left_out_count = run->tried_count;
	schedule.random_seed = (uint64_t)run->job.id;

	const struct host_state *source = host_table_by_id(worker->table, run->job.source_host_id);
	if (source)
		schedule.source_hypervisor_version = source->hypervisor_version;
	if (*run->job.requested_host) {
		result = find_requested(worker, &run->job, &schedule.requested_host_id, error);
		if (result < 0)
			return result;
	}
	result = scheduler_select(worker->table, worker->parts.scheduler, &schedule, &choices, error);
	if (result == 0)
		result = claim_best(session, request, &schedule, &choices, error);
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

	if (result == 0 && request.target_id) {
		text_clear(&request.for_others);
		text_clear(&request.for_admins);
		return worker_open_host(run->worker, request.target_id, run->target_name, &run->target, error);
	}
	if (result == -ECANCELED && error)
		text_append(&request.for_others, error->text);
	if (result == 0 || result == -ECANCELED) {
		*ret_for_others = text_take(&request.for_others);
		*ret_for_admins = request.for_admins.length ? text_take(&request.for_admins) : NULL;
		return error_set(error, ECANCELED, "%s", *ret_for_admins ? *ret_for_admins : *ret_for_others);
	}
	text_clear(&request.for_others);
	text_clear(&request.for_admins);
	return result;
}
