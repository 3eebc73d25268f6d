/* Phases: how far a job has come. The phase is written before its step is begun, so that after a crash the step may have
 * been done wholly, partly or not at all; recover_table.h tells what then is done.
 *
 * A job goes from phase to phase in the order of its kind's table and never back, but for a new attempt with another
 * target, which begins again at the choice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

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
	UNDO_TARGET_AND_RESTORE_SOURCE, /* as above; then the source gets back its definition and state */
	UNDO_IMPOSSIBLE, /* the guest's place is settled: only forwards */
};

struct phase {
	const char *name; /* the job row's word */
	enum phase_undo undo;
};

/* NULL when there is no such kind or phase. `kind` is the job row's word: live, cold, confirm, revert,
 * start, stop, … */
bool job_kind_by_name(const char *kind, enum job_kind *ret_kind);
const char *job_kind_name(enum job_kind kind);
const struct phase *phase_by_name(enum job_kind kind, const char *name);
/* Of the kind, in order; the last is "done". */
const struct phase *phases_of(enum job_kind kind, size_t *ret_count);
/* A fresh job ("" phase) may enter any phase. The same phase may be entered again (a step repeated after a crash). */
bool phase_may_follow(enum job_kind kind, const char *from, const char *to, bool is_new_attempt);
