/* The table of recovery: the first row that matches decides. */
#include "server/worker/recover_table.h"

#include "base/cleanup.h"

#define UNKNOWN     (1U << SIDE_UNREACHABLE | 1U << SIDE_BUSY)
#define ABSENT      (1U << SIDE_ABSENT)
#define OFF         (1U << SIDE_OFF)
#define ALIVE       (1U << SIDE_ALIVE)
#define MOVING      (1U << SIDE_MOVING)
#define HANDED_OVER (1U << SIDE_HANDED_OVER)
#define POSTCOPY    (1U << SIDE_POSTCOPY)
#define BROKEN      (1U << SIDE_BROKEN)
#define ANY         ((1U << SIDE_MAX) - 1U)

static const struct recover_row rows[] = {
	/* libvirt lets it run there only when the source's half can never run again: the source need not be asked, which may be
	 * away for long. What it still has is a chore. */
	{ JOB_LIVE, "moving", "moving", 1U << SIDE_UNREACHABLE, ALIVE, RECOVER_FINISH },

	/* A side that cannot be asked, or on which a call has not ended, may have the guest or get it. */
	{ JOB_LIVE, "choosing", "done", UNKNOWN, ANY, RECOVER_WAIT },
	{ JOB_LIVE, "choosing", "done", ANY, UNKNOWN, RECOVER_WAIT },

	/* Before the target was touched. A guest that went away meanwhile is found by the step itself. */
	{ JOB_LIVE, "choosing", "queued", ALIVE | OFF | ABSENT, ABSENT, RECOVER_BEGIN },

	/* Two of them at once: never destroy either by ourselves. */
	{ JOB_LIVE, "choosing", "done", ALIVE, ALIVE, RECOVER_KEEP_HANDS_OFF },

	/* The stream of a post-copy broke: no page is lost as long as both halves are there. The target may not know it yet. */
	{ JOB_LIVE, "choosing", "done", BROKEN, BROKEN | POSTCOPY, RECOVER_RESUME_POSTCOPY },
	{ JOB_LIVE, "choosing", "done", POSTCOPY, BROKEN, RECOVER_FOLLOW },
	/* The last page had gone over when it broke. */
	{ JOB_LIVE, "choosing", "done", BROKEN, ALIVE, RECOVER_FINISH },
	{ JOB_LIVE, "choosing", "done", BROKEN, ANY, RECOVER_KEEP_HANDS_OFF },
	{ JOB_LIVE, "choosing", "done", ANY, BROKEN, RECOVER_KEEP_HANDS_OFF },

	/* A peer-to-peer move outlives the daemon that began it. */
	{ JOB_LIVE, "choosing", "done", MOVING | POSTCOPY, ANY, RECOVER_FOLLOW },
	{ JOB_LIVE, "choosing", "done", HANDED_OVER, MOVING | POSTCOPY, RECOVER_FOLLOW },
	/* It ends there this moment, or will be seen to be broken. */
	{ JOB_LIVE, "choosing", "done", ABSENT | OFF, POSTCOPY, RECOVER_WAIT },
	{ JOB_LIVE, "choosing", "done", ALIVE, POSTCOPY, RECOVER_KEEP_HANDS_OFF },

	/* Running on the target: that is the truth, whatever was reported. */
	{ JOB_LIVE, "choosing", "done", ABSENT | OFF | HANDED_OVER, ALIVE, RECOVER_FINISH },

	/* Alive on the source: what the target shows is only a leftover. */
	{ JOB_LIVE, "choosing", "done", ALIVE, ABSENT | OFF | MOVING | HANDED_OVER, RECOVER_ROLL_BACK },

	/* Moved and then switched off there by its user: libvirt defines it on the target only when it arrived. Also where
	 * the source's half died meanwhile or is still there: its memory and its private disks are the older ones. */
	{ JOB_LIVE, "moving", "done", ABSENT | OFF | HANDED_OVER, OFF, RECOVER_FINISH },

	/* Paused by the switch, and the target gave up its half. */
	{ JOB_LIVE, "choosing", "done", HANDED_OVER, ABSENT, RECOVER_RESUME_SOURCE },
	{ JOB_LIVE, "choosing", "done", HANDED_OVER, OFF | HANDED_OVER, RECOVER_KEEP_HANDS_OFF },

	/* The source's QEMU ended: the target's half is not whole without it, and goes by itself. Where it does not, the
	 * source's libvirtd is stuck in the move. */
	{ JOB_LIVE, "choosing", "done", ABSENT | OFF, MOVING, RECOVER_WAIT_BOUNDED },

	{ JOB_LIVE, "choosing", "done", OFF, ABSENT | OFF | HANDED_OVER, RECOVER_ROLL_BACK },
	{ JOB_LIVE, "choosing", "done", ABSENT, ANY, RECOVER_GIVE_UP },

	/* The target has no definition of it yet, so that it cannot run there: it need not be asked before the source's guest
	 * starts again. */
	{ JOB_COLD, "stopping", "copying", OFF | ALIVE, UNKNOWN, RECOVER_RETURN },
	{ JOB_COLD, "returning", "returning", OFF | ALIVE, ABSENT | OFF | UNKNOWN, RECOVER_RETURN },

	{ JOB_COLD, "choosing", "done", UNKNOWN, ANY, RECOVER_WAIT },
	{ JOB_COLD, "choosing", "done", ANY, UNKNOWN, RECOVER_WAIT },
	{ JOB_COLD, "choosing", "done", ALIVE, ALIVE, RECOVER_KEEP_HANDS_OFF },
	/* Somebody else moves it, or the halves are not whole: not ours to end. */
	{ JOB_COLD, "choosing", "done", MOVING | POSTCOPY | HANDED_OVER | BROKEN, ANY, RECOVER_KEEP_HANDS_OFF },
	{ JOB_COLD, "choosing", "done", ANY, MOVING | POSTCOPY | HANDED_OVER | BROKEN, RECOVER_KEEP_HANDS_OFF },

	{ JOB_COLD, "choosing", "queued", ALIVE | OFF | ABSENT, ABSENT, RECOVER_BEGIN },
	/* Its definition was saved by us or is to be: from there it is stopped and copied. */
	{ JOB_COLD, "stopping", "stopping", ALIVE | OFF, ABSENT, RECOVER_BEGIN },
	{ JOB_COLD, "choosing", "done", ABSENT | OFF, ALIVE, RECOVER_FINISH },
	/* Also one that somebody started on the source while its disks were copied: what was copied is old. */
	{ JOB_COLD, "choosing", "done", ALIVE, ABSENT | OFF, RECOVER_ROLL_BACK },

	/* A disk that was being copied is not trusted: all of ours on the target goes, and it is copied again. */
	{ JOB_COLD, "choosing", "copying", OFF, ABSENT | OFF, RECOVER_BEGIN },
	/* From here the copy was read back and found equal: each step may be done again. */
	{ JOB_COLD, "defining", "starting", OFF, ABSENT | OFF, RECOVER_BEGIN },
	{ JOB_COLD, "undefining", "starting", ABSENT, OFF, RECOVER_BEGIN },
	{ JOB_COLD, "undefining", "starting", ABSENT, ABSENT, RECOVER_RESTORE_SOURCE },
	/* It was being brought back. */
	{ JOB_COLD, "restoring", "restoring", ABSENT | OFF, ABSENT | OFF, RECOVER_RESTORE_SOURCE },
	/* All that was left was to write it. */
	{ JOB_COLD, "finishing", "done", ABSENT | OFF, OFF, RECOVER_FINISH },
	{ JOB_COLD, "finishing", "done", ABSENT | OFF, ABSENT, RECOVER_GIVE_UP },
	/* We did not take its definition away yet: somebody removed it there. */
	{ JOB_COLD, "choosing", "defining", ABSENT, ABSENT | OFF, RECOVER_FORGET },
};

const struct recover_row *recover_rows(size_t *ret_count)
{
	*ret_count = ARRAY_LENGTH(rows);
	return rows;
}

enum side_view side_view_of(int look_result, const struct guest_view *view)
{
	static const enum side_view views[GUEST_STATE_MAX] = {
		[GUEST_ABSENT] = SIDE_ABSENT,
		[GUEST_SHUT_OFF] = SIDE_OFF,
		[GUEST_CRASHED] = SIDE_OFF,
		[GUEST_RUNNING] = SIDE_ALIVE,
		[GUEST_PAUSED] = SIDE_ALIVE,
		[GUEST_SUSPENDED] = SIDE_ALIVE,
		[GUEST_SAVED] = SIDE_OFF,
		[GUEST_ARRIVING] = SIDE_MOVING,
		[GUEST_HANDED_OVER] = SIDE_HANDED_OVER,
		[GUEST_POSTCOPY_SOURCE] = SIDE_POSTCOPY,
		[GUEST_POSTCOPY_TARGET] = SIDE_POSTCOPY,
		[GUEST_POSTCOPY_FAILED] = SIDE_BROKEN,
		[GUEST_STOPPING] = SIDE_BUSY,
	};

	if (look_result < 0 || (size_t)view->state >= ARRAY_LENGTH(views))
		return SIDE_UNREACHABLE;

	enum side_view side = view->is_busy ? SIDE_BUSY : views[view->state];
	if (side == SIDE_ALIVE && view->is_moving_out)
		return SIDE_MOVING;
	return side;
}

enum recover_action recover_decide(enum job_kind kind, const char *phase, enum side_view source, enum side_view target)
{
	const struct phase *reached = phase_by_name(kind, phase);

	for (size_t i = 0; reached && i < ARRAY_LENGTH(rows); i++) {
		const struct recover_row *row = &rows[i];

		if (row->kind == kind && (row->sources & 1U << source) && (row->targets & 1U << target)
		    && reached >= phase_by_name(kind, row->first_phase)
		    && reached <= phase_by_name(kind, row->last_phase))
			return row->action;
	}
	return RECOVER_KEEP_HANDS_OFF;
}

const char *recover_action_name(enum recover_action action)
{
	static const char *const names[RECOVER_MAX] = {
		[RECOVER_WAIT] = "wait",
		[RECOVER_WAIT_BOUNDED] = "wait for a while",
		[RECOVER_BEGIN] = "begin",
		[RECOVER_FOLLOW] = "follow",
		[RECOVER_FINISH] = "finish",
		[RECOVER_ROLL_BACK] = "roll back",
		[RECOVER_RESUME_SOURCE] = "resume the source",
		[RECOVER_RESUME_POSTCOPY] = "resume post-copy",
		[RECOVER_RETURN] = "return to the source",
		[RECOVER_RESTORE_SOURCE] = "restore the source",
		[RECOVER_GIVE_UP] = "give up",
		[RECOVER_FORGET] = "leave it removed",
		[RECOVER_KEEP_HANDS_OFF] = "manual intervention required",
	};

	return (size_t)action < ARRAY_LENGTH(names) ? names[action] : "unknown";
}

const char *side_view_name(enum side_view view)
{
	static const char *const names[SIDE_MAX] = {
		[SIDE_UNREACHABLE] = "unreachable",
		[SIDE_ABSENT] = "absent",
		[SIDE_OFF] = "off",
		[SIDE_ALIVE] = "alive",
		[SIDE_MOVING] = "moving",
		[SIDE_HANDED_OVER] = "handed over",
		[SIDE_POSTCOPY] = "post-copy",
		[SIDE_BROKEN] = "broken",
		[SIDE_BUSY] = "busy",
	};

	return (size_t)view < ARRAY_LENGTH(names) ? names[view] : "unknown";
}
