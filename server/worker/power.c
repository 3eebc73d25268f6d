/* Jobs that change a guest where it stands: start, stop, pause, unpause, suspend, resume, reboot. What the host shows decides
 * whether the step is still to be done, so that after a crash it is done once; and what the host shows afterwards is what the
 * server is, whatever the step's own answer was. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/job.h"
#include "server/worker/steps.h"

static int64_t graceful_ms(const struct job_run *run)
{
	return run->limits->settings.shutdown_timeout_s * 1000;
}

static int do_start(struct job_run *run, struct error *error)
{
	return job_operations(run)->start_guest(run->source, run->job.server_uuid, false, error);
}

static int do_stop(struct job_run *run, struct error *error)
{
	return job_operations(run)->stop_guest(run->source, run->job.server_uuid, graceful_ms(run), error);
}

static int do_pause(struct job_run *run, struct error *error)
{
	return job_operations(run)->pause_guest(run->source, run->job.server_uuid, error);
}

static int do_save(struct job_run *run, struct error *error)
{
	return job_operations(run)->save_guest(run->source, run->job.server_uuid, error);
}

static int do_switch_off(struct job_run *run, struct error *error)
{
	int result = job_operations(run)->stop_guest(run->source, run->job.server_uuid, 0, error);

	return result < 0 ? result : job_operations(run)->forget_saved(run->source, run->job.server_uuid, error);
}

/* A step is done when the guest is in one of these states (GUEST_SET). */
struct power_step {
	unsigned int done;
	int (*take)(struct job_run *run, struct error *error);
};

static const struct power_row {
	struct power_step steps[2]; /* of the kind's phases; the second one may be none */
} rows[JOB_KIND_MAX] = {
	[JOB_START] = { { { GUEST_SET(GUEST_RUNNING), do_start } } },
	[JOB_STOP] = { { { GUEST_SET_OFF, do_stop } } },
	[JOB_PAUSE] = { { { GUEST_SET(GUEST_PAUSED), do_pause } } },
	[JOB_UNPAUSE] = { { { GUEST_SET(GUEST_RUNNING), do_start } } },
	[JOB_SUSPEND] = { { { GUEST_SET(GUEST_SAVED), do_save } } },
	[JOB_RESUME] = { { { GUEST_SET(GUEST_RUNNING), do_start } } },
	[JOB_REBOOT_SOFT] = { { { GUEST_SET_OFF, do_stop }, { GUEST_SET(GUEST_RUNNING), do_start } } },
	[JOB_REBOOT_HARD] = { { { GUEST_SET_OFF, do_switch_off }, { GUEST_SET(GUEST_RUNNING), do_start } } },
};

struct power_end {
	struct job_run *run;
	enum guest_state state;
	const char *failure; /* NULL: none */
};

static int write_end(struct db_session *session, void *context, struct error *error)
{
	struct power_end *end = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	const char *vm_state = guest_state_vm_state(end->state);
	int result = db_server_by_uuid(session, end->run->job.server_uuid, &server, error);

	if (result == -ENOENT) /* it was deleted outside the API */
		return job_write_end(session, end->run, end->failure, error);
	if (result < 0)
		return result;
	server.task_state[0] = '\0';
	if (vm_state) {
		TEXT_COPY(server.vm_state, vm_state);
		server.power_state = guest_state_power_state(end->state);
	}
	result = db_server_update(session, &server, error);
	if (result == 0 && !end->failure)
		result = db_server_set_fault(session, server.uuid, NULL, error);
	return result < 0 ? result : job_write_end(session, end->run, end->failure, error);
}

static int finish(struct job_run *run, enum guest_state state, const char *failure, struct error *error)
{
	struct power_end end = { run, state, failure };

	return job_write_last(run, write_end, &end, error);
}

/* STEP_NEXT: the step is done, and the guest is in *ret_state; STEP_DONE: the job has ended. */
static int take_step(struct job_run *run, const struct power_step *step, enum guest_state *ret_state,
		     struct error *error)
{
	struct guest_view view = { 0 };
	struct error failure = { 0 };
	const char *uuid = run->job.server_uuid;
	int result = job_operations(run)->look(run->source, uuid, &view, error);

	if (result < 0)
		return result;
	if (view.is_busy || view.state == GUEST_STOPPING)
		return error_set(error, EAGAIN, "host %s: server %s is busy there; it is asked again", run->source_name,
				 uuid);
	if (!(step->done & GUEST_SET(view.state))) {
		result = step->take(run, &failure);
		if (job_is_for_later(result))
			return error_set(error, -result, "%s", failure.text);
		int looked = job_operations(run)->look(run->source, uuid, &view, error);
		if (looked < 0)
			return looked;
	}
	*ret_state = view.state;
	if (step->done & GUEST_SET(view.state))
		return STEP_NEXT;
	if (result == 0)
		error_set(&failure, EIO, "host %s: the guest is %s afterwards", run->source_name,
			  guest_state_name(view.state));
	result = finish(run, view.state, failure.text, error);
	return result < 0 ? result : STEP_DONE;
}

/* The step of that place; behind the last one the job has ended. */
static int act(struct job_run *run, size_t place, struct error *error)
{
	const struct power_row *row = &rows[run->kind];
	enum guest_state state = GUEST_ABSENT;
	bool is_last = place + 1 == ARRAY_LENGTH(row->steps) || !row->steps[place + 1].take;
	int result;

	if (run->is_source_gone) {
		result = finish(run, GUEST_ABSENT, "its host was given up", error);
		return result < 0 ? result : STEP_DONE;
	}
	result = take_step(run, &row->steps[place], &state, error);
	if (result != STEP_NEXT || !is_last)
		return result;
	result = finish(run, state, NULL, error);
	return result < 0 ? result : STEP_DONE;
}

int power_act(struct job_run *run, struct error *error)
{
	int64_t event = 0; /* it ends with the job */
	int result = run->is_entered_again
			     ? 0
			     : job_begin_event(run, phases_event(run->kind), run->source_name, &event, error);

	return result < 0 ? result : act(run, 0, error);
}

int power_act_again(struct job_run *run, struct error *error)
{
	return act(run, 1, error);
}
