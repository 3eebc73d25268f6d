/* What is done with an unfinished move, decided by what both sides show and never by an error's text.
 *
 * Pure: phase × what the source shows × what the target shows → one action. Two rules stand above all rows: while a side
 * cannot be reached nothing is decided, and a guest is resumed on the source only when the target answered that it has
 * none.
 */
#pragma once

#include "server/worker/hypervisor.h"
#include "server/worker/phases.h"

/* What one side shows, as far as decisions need it. */
enum side_view {
	SIDE_UNREACHABLE, /* it could not be asked: nothing is known */
	SIDE_ABSENT,
	SIDE_OFF, /* defined, but shut off or crashed */
	SIDE_ALIVE, /* running, paused by a user or suspended: the guest's own state */
	SIDE_MOVING, /* source: a move out is under way; target: its half is arriving */
	SIDE_HANDED_OVER, /* the source's half after the switch */
	SIDE_POSTCOPY, /* its memory is on both sides */
	SIDE_BROKEN, /* post-copy without its stream: neither half is whole */
	SIDE_BUSY, /* it goes down this moment, or a call upon it has not ended: what it shows may still change */
	SIDE_MAX,
};

enum recover_action {
	RECOVER_WAIT, /* ask again later */
	RECOVER_WAIT_BOUNDED, /* the same, but not for ever: then the job ends, and the rest is a chore */
	RECOVER_BEGIN, /* nothing was changed: do the phase's step (again) */
	RECOVER_FOLLOW, /* the move goes on by itself: attach to it */
	RECOVER_FINISH, /* the target has the guest: clean the source */
	RECOVER_ROLL_BACK, /* the source has the guest: clean the target */
	RECOVER_RESUME_SOURCE, /* the target has none: resume the source's half, then as above */
	RECOVER_RESUME_POSTCOPY, /* its memory is on both sides, and the stream between them is made anew */
	RECOVER_RESTORE_SOURCE, /* cold: clean the target, define the kept definition on the source, start it if it ran */
	RECOVER_RETURN, /* cold: the source's guest starts again; the target, which has no definition of it, is not asked */
	RECOVER_FORGET, /* cold: somebody removed the guest on the source meanwhile: the copies go, too */
	RECOVER_GIVE_UP, /* the guest runs nowhere and cannot be brought back: server in error, nothing is removed */
	RECOVER_KEEP_HANDS_OFF, /* it runs on both sides, or in two broken halves: a person decides, nothing is removed */
	RECOVER_MAX,
};

/* `look_result` is what look() returned: a negative one is SIDE_UNREACHABLE whatever the view says. */
enum side_view side_view_of(int look_result, const struct guest_view *view);

/* kind: live or cold; `phase` a name of it. The table is total: each combination has an answer. */
enum recover_action recover_decide(enum job_kind kind, const char *phase, enum side_view source, enum side_view target);

const char *recover_action_name(enum recover_action action);
const char *side_view_name(enum side_view view);

/* For the test over each row. */
struct recover_row {
	enum job_kind kind;
	const char *first_phase; /* the row holds for phases from this one … */
	const char *last_phase; /* … to this one */
	unsigned int sources; /* 1 << enum side_view */
	unsigned int targets;
	enum recover_action action;
};
const struct recover_row *recover_rows(size_t *ret_count);
