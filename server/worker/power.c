/* Jobs that change a guest where it stands: start, stop, pause, unpause, suspend, resume, reboot. What the host shows decides
 * whether the step is still to be done, so that after a crash it is done once; and what the host shows afterwards is what the
 * server is, whatever the step's own answer was. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/job.h"

static const struct hypervisor_operations *operations(const struct job_run *run)
{
	return run->worker->parts.hypervisor->operations;
}

static int64_t graceful_ms(const struct job_run *run)
{
	return run->limits->settings.shutdown_timeout_s * 1000;
}

static int do_start(struct job_run *run, struct error *error)
{
	return operations(run)->start_guest(run->source, run->job.server_uuid, false, error);
}

static int do_stop(struct job_run *run, struct error *error)
{
	return operations(run)->stop_guest(run->source, run->job.server_uuid, graceful_ms(run), error);
}

static int do_pause(struct job_run *run, struct error *error)
{
	return operations(run)->pause_guest(run->source, run->job.server_uuid, error);
}

static int do_save(struct job_run *run, struct error *error)
{
	return operations(run)->save_guest(run->source, run->job.server_uuid, error);
}

static int do_switch_off(struct job_run *run, struct error *error)
{
	int result = operations(run)->stop_guest(run->source, run->job.server_uuid, 0, error);

	return result < 0 ? result : operations(run)->forget_saved(run->source, run->job.server_uuid, error);
}

#define STATE(state) (1U << (state))
#define OFF          (STATE(GUEST_SHUT_OFF) | STATE(GUEST_CRASHED))

/* A step is done when the guest is in one of these states. */
struct power_step {
	const char *phase;
	const char *task_state; /* meanwhile; NULL: it stays */
	unsigned int done;
	int (*take)(struct job_run *run, struct error *error);
};

static const struct power_row {
	const char *event;
	struct power_step steps[2]; /* the second one may be none */
} rows[JOB_KIND_MAX] = {
	[JOB_START] = { "compute_start_instance", { { "acting", NULL, STATE(GUEST_RUNNING), do_start } } },
	[JOB_STOP] = { "compute_stop_instance", { { "acting", NULL, OFF, do_stop } } },
	[JOB_PAUSE] = { "compute_pause_instance", { { "acting", NULL, STATE(GUEST_PAUSED), do_pause } } },
	[JOB_UNPAUSE] = { "compute_unpause_instance", { { "acting", NULL, STATE(GUEST_RUNNING), do_start } } },
	[JOB_SUSPEND] = { "compute_suspend_instance", { { "acting", NULL, STATE(GUEST_SAVED), do_save } } },
	[JOB_RESUME] = { "compute_resume_instance", { { "acting", NULL, STATE(GUEST_RUNNING), do_start } } },
	[JOB_REBOOT_SOFT] = { "compute_reboot_instance",
			      { { "stopping", "reboot_started", OFF, do_stop },
				{ "starting", NULL, STATE(GUEST_RUNNING), do_start } } },
	[JOB_REBOOT_HARD] = { "compute_reboot_instance",
			      { { "stopping", "reboot_started_hard", OFF, do_switch_off },
				{ "starting", NULL, STATE(GUEST_RUNNING), do_start } } },
};

/* Whether a step that is entered now has been so far before. */
static bool is_past(const struct job_run *run, enum job_kind kind, const struct power_step *step)
{
	const struct phase *reached = phase_by_name(kind, run->job.phase);

	return reached && reached > phase_by_name(kind, step->phase);
}

static int enter(struct job_run *run, enum job_kind kind, const struct power_step *step, struct error *error)
{
	int64_t event = 0; /* it ends with the job */
	bool is_first = !phase_by_name(kind, run->job.phase);
	int result = job_enter(run, step->phase, false, NULL, error);

	if (result == 0 && step->task_state)
		result = job_set_task_state(run, step->task_state, error);
	if (result == 0 && is_first)
		result = job_begin_event(run, rows[kind].event, run->source_name, &event, error);
	return result;
}

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

	if (result == -ENOENT) /* it went behind our back */
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

	return db_write(run->worker->parts.database, write_end, &end, error);
}

/* Nothing is known of the guest now: it is tried again. */
static bool is_for_later(int result)
{
	return result == -EHOSTUNREACH || result == -ENOMEM || result == -ENOSPC || result == -EAGAIN;
}

/* 1: the step is done; 0: the job has ended; else it is to be tried again. */
static int take_step(struct job_run *run, enum job_kind kind, const struct power_step *step,
		     enum guest_state *ret_state, struct error *error)
{
	struct guest_view view = { 0 };
	struct error failure = { 0 };
	const char *uuid = run->job.server_uuid;
	int result = enter(run, kind, step, error);

	if (result == 0)
		result = operations(run)->look(run->source, uuid, &view, error);
	if (result < 0)
		return result;
	if (!(step->done & STATE(view.state))) {
		result = step->take(run, &failure);
		if (is_for_later(result))
			return error_set(error, -result, "%s", failure.text);
		int looked = operations(run)->look(run->source, uuid, &view, error);
		if (looked < 0)
			return looked;
	}
	*ret_state = view.state;
	if (step->done & STATE(view.state))
		return 1;
	if (result == 0)
		error_set(&failure, EIO, "host %s: the guest is %s afterwards", run->source_name,
			  guest_state_name(view.state));
	return finish(run, view.state, failure.text, error);
}

int power_run(struct job_run *run, struct error *error)
{
	enum job_kind kind;
	enum guest_state state = GUEST_ABSENT;
	int result = 1;

	if (!job_kind_by_name(run->job.kind, &kind) || !rows[kind].event)
		return error_set(error, EINVAL, "job of no known kind: %s", run->job.kind);
	for (size_t i = 0; i < ARRAY_LENGTH(rows[kind].steps) && result > 0; i++) {
		const struct power_step *step = &rows[kind].steps[i];

		if (step->phase && !is_past(run, kind, step))
			result = take_step(run, kind, step, &state, error);
	}
	return result <= 0 ? result : finish(run, state, NULL, error);
}
