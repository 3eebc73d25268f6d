/* The tables of phases, one per kind of job: its whole life, from top to bottom. */
#include "server/worker/phases.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "server/worker/steps.h"

#define PHASE(phase, undo_of_it, step_of_it)                                                                           \
	{                                                                                                              \
		.name = (phase), .undo = (undo_of_it), .step = (step_of_it)                                            \
	}
/* One that clients see by the migration's status or the server's task state. */
#define PHASE_SHOWN(phase, undo_of_it, step_of_it, status, task)                                                       \
	{                                                                                                              \
		.name = (phase), .undo = (undo_of_it), .step = (step_of_it), .migration_status = (status),             \
		.task_state = (task)                                                                                   \
	}

static const struct phase live_phases[] = {
	PHASE("choosing", UNDO_CLAIM, target_choose),
	PHASE("checking", UNDO_CLAIM, target_check),
	PHASE_SHOWN("queued", UNDO_CLAIM, target_wait, "queued", NULL),
	PHASE_SHOWN("preparing", UNDO_TARGET, live_prepare, "preparing", NULL),
	PHASE_SHOWN("moving", UNDO_TARGET, live_move, "running", NULL),
	PHASE("restoring", UNDO_TARGET, live_restore), /* the source has the guest: it runs on there */
	PHASE("finishing", UNDO_IMPOSSIBLE, live_finish),
	{ .name = "done" },
};

static const struct phase cold_phases[] = {
	PHASE("choosing", UNDO_CLAIM, target_choose),
	PHASE("checking", UNDO_CLAIM, target_check),
	PHASE("queued", UNDO_CLAIM, target_wait),
	PHASE_SHOWN("stopping", UNDO_TARGET_AND_RESTORE_SOURCE, cold_stop, "migrating", "resize_migrating"),
	PHASE("copying", UNDO_TARGET_AND_RESTORE_SOURCE, cold_copy),
	PHASE("returning", UNDO_TARGET_AND_RESTORE_SOURCE,
	      cold_return), /* to the source; the target has no definition yet */
	PHASE_SHOWN("defining", UNDO_TARGET_AND_RESTORE_SOURCE, cold_define, "post-migrating", "resize_migrated"),
	PHASE("undefining", UNDO_TARGET_AND_RESTORE_SOURCE, cold_undefine),
	PHASE_SHOWN("starting", UNDO_TARGET_AND_RESTORE_SOURCE, cold_start, "post-migrating", NULL),
	PHASE("restoring", UNDO_TARGET_AND_RESTORE_SOURCE, cold_restore), /* the source gets its guest back */
	PHASE("finishing", UNDO_IMPOSSIBLE, cold_finish),
	{ .name = "done" },
};

/* One look at the target before the source's disks are given up; what is removed there is a chore. */
static const struct phase confirm_phases[] = {
	PHASE("removing", UNDO_IMPOSSIBLE, confirm_verify),
	{ .name = "done" },
};

static const struct phase revert_phases[] = {
	PHASE("stopping", UNDO_IMPOSSIBLE, revert_stop),
	PHASE("defining", UNDO_IMPOSSIBLE, revert_define),
	PHASE("starting", UNDO_IMPOSSIBLE, revert_start),
	PHASE("restoring", UNDO_IMPOSSIBLE, revert_restore),
	{ .name = "done" },
};

/* One step, which may be done again. */
static const struct phase power_phases[] = {
	PHASE("acting", UNDO_IMPOSSIBLE, power_act),
	{ .name = "done" },
};

static const struct phase soft_reboot_phases[] = {
	PHASE_SHOWN("stopping", UNDO_IMPOSSIBLE, power_act, NULL, "reboot_started"),
	PHASE("starting", UNDO_IMPOSSIBLE, power_act_again),
	{ .name = "done" },
};

static const struct phase hard_reboot_phases[] = {
	PHASE_SHOWN("stopping", UNDO_IMPOSSIBLE, power_act, NULL, "reboot_started_hard"),
	PHASE("starting", UNDO_IMPOSSIBLE, power_act_again),
	{ .name = "done" },
};

#define KIND(name, event, phases, resolver)                                                                            \
	{                                                                                                              \
		(name), (event), (phases), ARRAY_LENGTH(phases), (resolver)                                            \
	}

static const struct {
	const char *name;
	const char *event; /* of the whole of it, by Nova's name */
	const struct phase *phases;
	size_t count;
	job_step_fn resolver;
} kinds[JOB_KIND_MAX] = {
	[JOB_LIVE] = KIND("live", "compute_live_migration", live_phases, live_resolve),
	[JOB_COLD] = KIND("cold", "compute_resize_instance", cold_phases, cold_resolve),
	[JOB_CONFIRM] = KIND("confirm", "compute_confirm_resize", confirm_phases, NULL),
	[JOB_REVERT] = KIND("revert", "compute_revert_resize", revert_phases, NULL),
	[JOB_START] = KIND("start", "compute_start_instance", power_phases, NULL),
	[JOB_STOP] = KIND("stop", "compute_stop_instance", power_phases, NULL),
	[JOB_PAUSE] = KIND("pause", "compute_pause_instance", power_phases, NULL),
	[JOB_UNPAUSE] = KIND("unpause", "compute_unpause_instance", power_phases, NULL),
	[JOB_SUSPEND] = KIND("suspend", "compute_suspend_instance", power_phases, NULL),
	[JOB_RESUME] = KIND("resume", "compute_resume_instance", power_phases, NULL),
	[JOB_REBOOT_SOFT] = KIND("reboot_soft", "compute_reboot_instance", soft_reboot_phases, NULL),
	[JOB_REBOOT_HARD] = KIND("reboot_hard", "compute_reboot_instance", hard_reboot_phases, NULL),
};

bool job_kind_by_name(const char *kind, enum job_kind *ret_kind)
{
	for (size_t i = 0; i < JOB_KIND_MAX; i++)
		if (text_equal(kinds[i].name, kind)) {
			*ret_kind = (enum job_kind)i;
			return true;
		}
	return false;
}

const char *job_kind_name(enum job_kind kind)
{
	return kinds[kind].name;
}

const char *phases_event(enum job_kind kind)
{
	return kinds[kind].event;
}

const struct phase *phases_of(enum job_kind kind, size_t *ret_count)
{
	*ret_count = kinds[kind].count;
	return kinds[kind].phases;
}

const struct phase *phase_by_name(enum job_kind kind, const char *name)
{
	for (size_t i = 0; i < kinds[kind].count; i++)
		if (text_equal(kinds[kind].phases[i].name, name))
			return &kinds[kind].phases[i];
	return NULL;
}

job_step_fn phases_resolver(enum job_kind kind)
{
	return kinds[kind].resolver;
}

bool phase_may_follow(enum job_kind kind, const char *from, const char *to)
{
	const struct phase *next = phase_by_name(kind, to);

	if (!next)
		return false;
	if (*from == '\0')
		return true;

	const struct phase *current = phase_by_name(kind, from);
	if (!current)
		return false;
	if (next >= current)
		return true;
	if (current->undo == UNDO_CLAIM)
		return next == kinds[kind].phases; /* a new attempt */
	return current->undo == UNDO_TARGET_AND_RESTORE_SOURCE && text_equal(to, "copying");
}
