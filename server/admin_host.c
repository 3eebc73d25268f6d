/* One host for the operator. Ages are by the database's clock, by which the rows were written. */
#include "server/admin_host.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/jobs.h"
#include "server/worker/worker.h"

static int64_t age_s(int64_t since_us, int64_t now_us)
{
	return since_us && now_us > since_us ? (now_us - since_us) / 1000000 : 0;
}

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static json_t *chore_of(const struct db_chore *chore, int64_t now_us)
{
	return json_pack("{s:I, s:s, s:s, s:o, s:o, s:s, s:I, s:o, s:I}", "id", (json_int_t)chore->id, "kind",
			 chore->kind, "server", chore->server_uuid, "pool", text_or_null(chore->pool), "volume",
			 text_or_null(chore->name), "reason", chore->reason, "tries", (json_int_t)chore->tries,
			 "last_error", text_or_null(chore->last_error), "age_s",
			 (json_int_t)age_s(chore->created_us, now_us));
}

static int set_chores(struct db_session *session, int64_t host_id, json_t *answer, struct error *error)
{
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };
	json_t *list = json_array();
	int result = db_chore_by_host(session, host_id, &chores, error);

	for (size_t i = 0; i < chores.count; i++)
		json_array_append_new(list, chore_of(&chores.items[i], db_now_us(session)));
	json_object_set_new(answer, "chores", list);
	return result;
}

/* One that has ended since is left out. */
static int add_waiting(struct db_session *session, const struct worker_waiting *waiting, json_t *list,
		       struct error *error)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };
	int result = db_job_by_id(session, waiting->job_id, &job, error);

	if (result == -ENOENT) {
		error_clear(error);
		return 0;
	}
	if (result < 0 || job.finished_us)
		return result;
	json_array_append_new(list, json_pack("{s:I, s:s, s:s, s:s, s:o, s:s, s:I}", "id", (json_int_t)job.id, "kind",
					      job.kind, "phase", job.phase, "server", job.server_uuid, "migration",
					      job.migration_id ? json_integer(job.migration_id) : json_null(), "reason",
					      waiting->reason, "waiting_s",
					      (json_int_t)age_s(waiting->since_us, db_now_us(session))));
	return 0;
}

static int set_waiting(struct db_session *session, struct worker *worker, int64_t host_id, json_t *answer,
		       struct error *error)
{
	struct worker_waiting_list waiting = { 0 };
	json_t *list = json_array();
	int result = worker ? worker_list_waiting(worker, host_id, &waiting, error) : 0;

	for (size_t i = 0; result == 0 && i < waiting.count; i++)
		result = add_waiting(session, &waiting.items[i], list, error);
	json_object_set_new(answer, "waiting_jobs", list);
	worker_waiting_list_clear(&waiting);
	return result;
}

static json_t *row_of(const struct db_host *host, const struct db_host_burden *burden)
{
	const char *state = host->is_gone ? "gone" : db_service_is_up(&host->service) ? "up" : "down";

	return json_pack("{s:s, s:o, s:o, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I}", "name", host->name, "uri",
			 text_or_null(host->uri), "migration_address", text_or_null(host->migration_address), "state",
			 state, "status", host->service.is_disabled ? "disabled" : "enabled", "disabled_reason",
			 text_or_null(host->service.disabled_reason), "servers", (json_int_t)burden->servers, "jobs",
			 (json_int_t)burden->jobs, "claims", (json_int_t)burden->claims, "saved_definitions",
			 (json_int_t)burden->kept_domains, "volumes", (json_int_t)burden->volumes);
}

int admin_host_show(struct database *database, struct worker *worker, const char *name, json_t **ret_answer,
		    struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_HOST struct db_host host = { 0 };
	struct db_host_burden burden = { 0 };
	int result = db_read_begin(database, &session, error);

	if (result == 0)
		result = db_host_by_name(session, name, &host, error);
	if (result == 0)
		result = db_host_burden(session, host.id, &burden, error);
	if (result < 0)
		return result;
	json_t *answer = row_of(&host, &burden);
	if (!answer)
		return error_no_memory(error);
	result = set_chores(session, host.id, answer, error);
	if (result == 0)
		result = set_waiting(session, worker, host.id, answer, error);
	if (result < 0) {
		json_decref(answer);
		return result;
	}
	*ret_answer = answer;
	return 0;
}
