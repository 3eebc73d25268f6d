/* What both sides of a move show now, and what follows from it. Its difficulty: a call that was given up may still happen,
 * so that a side on which one is outstanding is as unknown as one that does not answer. */
#include "server/worker/job.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/hosts.h"

/* As discovery has it: asked, it would hold the job's thread for as long as its silence takes. */
static bool is_down(const struct job_run *run, int64_t host_id)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	struct error ignored = { 0 };

	return db_read_begin(run->worker->parts.database, &session, &ignored) == 0
	       && worker_host_is_down(run->worker, session, host_id);
}

static enum side_view look_at(const struct job_run *run, struct hypervisor_host *host, bool is_gone,
			      struct guest_view *ret_view)
{
	struct error ignored = { 0 };

	*ret_view = (struct guest_view){ .state = GUEST_ABSENT };
	if (is_gone || !host)
		return SIDE_ABSENT;
	if (is_down(run, host == run->source ? run->job.source_host_id : run->job.target_host_id))
		return SIDE_UNREACHABLE;
	return side_view_of(job_operations(run)->look(host, run->job.server_uuid, ret_view, &ignored), ret_view);
}

void job_look_at_sides(struct job_run *run)
{
	run->source_side = look_at(run, run->source, run->is_source_gone, &run->at_source);
	run->target_side = look_at(run, run->target, run->is_target_gone, &run->at_target);
}

/* Of a move whose call hangs, where no stream is ended for standing still. */
#define UNDECIDED_MS 60000

/* How long nothing could be decided: counted over the job's runs, by its slot. */
static void note_undecided(struct job_run *run)
{
	LOCK_SCOPE(&run->worker->mutex);
	bool is_undecided = run->action == RECOVER_WAIT || run->action == RECOVER_WAIT_BOUNDED;

	if (!is_undecided)
		run->slot->undecided_since_ms = 0;
	else if (!run->slot->undecided_since_ms)
		run->slot->undecided_since_ms = clock_monotonic_ms(run->worker->parts.clock);
}

bool job_is_undecided_too_long(struct job_run *run)
{
	LOCK_SCOPE(&run->worker->mutex);
	int64_t since_ms = run->slot->undecided_since_ms;
	int64_t limit_ms = run->limits->settings.stall_timeout_s * 1000;

	if (limit_ms == 0)
		limit_ms = UNDECIDED_MS;
	return since_ms && clock_monotonic_ms(run->worker->parts.clock) - since_ms >= limit_ms;
}

void job_resolve(struct job_run *run)
{
	job_look_at_sides(run);
	run->action = recover_decide(run->kind, run->job.phase, run->source_side, run->target_side);
	note_undecided(run);
	log_event(run->worker->parts.log, LOG_LEVEL_INFO, run->job.request_id, "both sides asked",
		  LOG_TEXT("server", run->job.server_uuid), LOG_TEXT("phase", run->job.phase),
		  LOG_TEXT("source", side_view_name(run->source_side)),
		  LOG_TEXT("target", side_view_name(run->target_side)),
		  LOG_TEXT("action", recover_action_name(run->action)));
}

int job_expect(struct job_run *run, struct hypervisor_host *host, unsigned int states, struct error *error)
{
	struct guest_view view = { .state = GUEST_ABSENT };
	bool is_source = host == run->source;
	bool is_gone = is_source ? run->is_source_gone : run->is_target_gone;
	int result = is_gone ? 0 : job_operations(run)->look(host, run->job.server_uuid, &view, error);

	if (result < 0 || (!view.is_busy && (states & GUEST_SET(view.state))))
		return result;
	return error_set(error, ESTALE, "server %.36s is %s on host %s, where it should not be so",
			 run->job.server_uuid, view.is_busy ? "busy" : guest_state_name(view.state),
			 is_source ? run->source_name : run->target_name);
}

static int expect_not_there(struct worker *worker, const char *uuid, const struct db_host *row, bool must_know,
			    struct error *error)
{
	struct hypervisor_host *host = NULL;
	struct guest_view view = { .state = GUEST_ABSENT };
	char name[DB_NAME_SIZE];
	bool is_gone = false;
	int result = db_service_is_up(&row->service) ? worker_open_host(worker, row->id, name, &host, &is_gone, error)
						     : error_set(error, EHOSTUNREACH, "host %s is down", row->name);

	if (result == 0)
		result = worker->parts.hypervisor->operations->look(host, uuid, &view, error);
	if (result < 0 && must_know)
		return error_set(error, ESTALE, "server %.36s may be on host %s, which does not answer", uuid,
				 row->name);
	if (result < 0)
		error_clear(error);
	if (result < 0 || view.state == GUEST_ABSENT)
		return 0;
	return error_set(error, ESTALE, "server %.36s is %s on host %s, where somebody moved it", uuid,
			 guest_state_name(view.state), row->name);
}

int worker_expect_on_no_other_host(struct worker *worker, const char *uuid, const int64_t hosts_left_out[2],
				   bool must_know, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };
	int result = db_read_begin(worker->parts.database, &session, error);

	if (result == 0)
		result = db_host_all(session, &hosts, error);
	db_read_end(TAKE_POINTER(session));
	for (size_t i = 0; result == 0 && i < hosts.count; i++) {
		const struct db_host *row = &hosts.items[i];

		if (!row->is_gone && row->id != hosts_left_out[0] && row->id != hosts_left_out[1])
			result = expect_not_there(worker, uuid, row, must_know, error);
	}
	return result;
}

int job_expect_on_no_third_host(struct job_run *run, bool must_know, struct error *error)
{
	const int64_t sides[2] = { run->job.source_host_id, run->job.target_host_id };

	return worker_expect_on_no_other_host(run->worker, run->job.server_uuid, sides, must_know, error);
}
