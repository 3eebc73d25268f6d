/* The driver of every job: from phase to phase by the table of its kind, until the job has ended or has to wait. The one
 * difficulty is the beginning: a run that finds the job in the middle does not know what became of its step, so that both
 * sides are asked first, and the table of recovery says where it goes on. */
#include "server/worker/job.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"
#include "server/worker/steps.h"

/* A job that goes round in circles, by whatever fault, gives its thread back and is tried again. */
#define TURNS_MAX 1024

int job_fail(struct job_run *run, const char *format, ...)
{
	va_list values;

	if (run->failure[0])
		return STEP_RESOLVE;
	va_start(values, format);
	vsnprintf(run->failure, sizeof(run->failure), format, values);
	va_end(values);
	return STEP_RESOLVE;
}

void job_fail_without_target(struct job_run *run)
{
	(void)job_fail(run, "Host %s, where it was to go, was given up for good.", run->target_name);
}

int job_go(struct job_run *run, const char *phase)
{
	run->next_phase = phase;
	return STEP_GO;
}

bool job_is_for_later(int result)
{
	return result == -EHOSTUNREACH || result == -ETIMEDOUT || result == -EBUSY || result == -ENOMEM
	       || result == -ENOSPC || result == -EAGAIN;
}

static int observe(struct job_run *run, const char *phase, bool is_written, struct error *error)
{
	const struct worker_observer *observer = run->worker->parts.observer;

	if (!observer || observer->on_phase(observer->context, run->job.kind, phase, is_written))
		return 0;
	return error_set(error, EAGAIN, "job %lld is left in %s", (long long)run->job.id, phase);
}

int job_write_last(struct job_run *run, db_write_fn write, void *context, struct error *error)
{
	int result = observe(run, "done", false, error);

	if (result == 0)
		result = db_write(run->worker->parts.database, write, context, error);
	return result < 0 ? result : observe(run, "done", true, error);
}

/* The phase is on disk before its step is begun. One that is entered again stands there already. */
static int enter(struct job_run *run, const struct phase *phase, struct error *error)
{
	run->is_entered_again = text_equal(run->job.phase, phase->name);
	if (run->is_entered_again)
		return 0;
	int result = observe(run, phase->name, false, error);
	if (result == 0)
		result = job_enter(run, phase->name, phase->migration_status, phase->task_state, error);
	return result < 0 ? result : observe(run, phase->name, true, error);
}

/* What a run begins with: a fresh job at the first phase; one that was interrupted where no host was touched, or by a step
 * that can be done again, at its own; any other asks both sides. */
static int begin(struct job_run *run, const struct phase *phases, const struct phase *reached)
{
	if (!reached)
		return job_go(run, phases->name);
	if (phases_resolver(run->kind) && reached->undo != UNDO_CLAIM)
		return STEP_RESOLVE;
	return job_go(run, reached->name);
}

int job_drive(struct job_run *run, struct error *error)
{
	size_t count = 0;
	const struct phase *phases = phases_of(run->kind, &count);
	const struct phase *phase = phase_by_name(run->kind, run->job.phase);
	int result = begin(run, phases, phase);

	for (int turn = 0; turn < TURNS_MAX; turn++) {
		if (result == STEP_RESOLVE && phases_resolver(run->kind))
			result = phases_resolver(run->kind)(run, error);
		if (result < 0 || result == STEP_DONE)
			return result < 0 ? result : 0;
		phase = result == STEP_GO ? phase_by_name(run->kind, run->next_phase) : phase + 1;
		if (!phase || phase >= phases + count || !phase->step)
			return error_set(error, EINVAL, "job %lld cannot go on behind %s", (long long)run->job.id,
					 run->job.phase);
		result = enter(run, phase, error);
		if (result == 0)
			result = phase->step(run, error);
	}
	return error_set(error, EAGAIN, "job %lld comes to no end in %s: it is tried again", (long long)run->job.id,
			 run->job.phase);
}
