/* The life of each kind of job, as a table: its phases in order, what each does, and what has to be taken back when the job
 * ends in it. The phase is written before its step is begun, so that after a crash the step may have been done wholly,
 * partly or not at all; then both sides are asked, and recover_table.h chooses the phase in which the job goes on.
 *
 * A job goes from phase to phase in the order of its table. It goes back in two ways only: to the choice, for a new attempt
 * with another target, while no host was touched; and to the copy of its disks (cold), which is done again as a whole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct error;
struct job_run;

enum job_kind {
	JOB_LIVE,
	JOB_COLD,
	JOB_CONFIRM,
	JOB_REVERT,
	/* These change a guest where it stands. */
	JOB_START,
	JOB_STOP,
	JOB_PAUSE,
	JOB_UNPAUSE,
	JOB_SUSPEND,
	JOB_RESUME,
	JOB_REBOOT_SOFT,
	JOB_REBOOT_HARD,
	JOB_KIND_MAX
};

/* What has to be taken back when the job ends in this phase without success. */
enum phase_undo {
	UNDO_NOTHING,
	UNDO_CLAIM, /* the claim alone: no host was touched */
	UNDO_TARGET, /* the target's half, volumes made there, then the claim */
	UNDO_TARGET_AND_RESTORE_SOURCE, /* first the source gets back its definition and state, then as above */
	UNDO_IMPOSSIBLE, /* the guest's place is settled: only forwards */
};

/* What a step comes to. A negative number: nothing can be done now, the job is tried again later; the error says what is
 * waited for. */
enum step_result {
	STEP_NEXT, /* the phase behind this one */
	STEP_GO, /* the phase that the run's `next_phase` names */
	STEP_RESOLVE, /* how it ended is not known, or it did not end well (the run's failure says why): both sides are asked */
	STEP_DONE, /* the job has ended, and that is written */
};

typedef int (*job_step_fn)(struct job_run *run, struct error *error);

struct phase {
	const char *name; /* the job row's word */
	enum phase_undo undo;
	job_step_fn step; /* NULL: there is nothing to do in it */
	/* Written with the phase when it is entered; NULL: stays. */
	const char *migration_status;
	const char *task_state;
};

/* NULL when there is no such kind or phase. `kind` is the job row's word: live, cold, confirm, revert,
 * start, stop, … */
bool job_kind_by_name(const char *kind, enum job_kind *ret_kind);
const char *job_kind_name(enum job_kind kind);
/* The instance action's event that the whole of the job is, by Nova's name. */
const char *phases_event(enum job_kind kind);
const struct phase *phase_by_name(enum job_kind kind, const char *name);
/* Of the kind, in order; the last is "done". */
const struct phase *phases_of(enum job_kind kind, size_t *ret_count);
/* What asks both sides after an interruption or a failure, and answers STEP_GO with the phase to go on with; NULL: the
 * phase's own step can be done again. */
job_step_fn phases_resolver(enum job_kind kind);
/* A fresh job ("" phase) may enter any phase. The same phase may be entered again (a step repeated after a crash). */
bool phase_may_follow(enum job_kind kind, const char *from, const char *to);
