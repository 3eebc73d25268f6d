/* The tables of phases, one per kind of job. */
#include "server/worker/phases.h"

#include "base/cleanup.h"
#include "base/text.h"

static const struct phase live_phases[] = {
	{ "choosing", UNDO_CLAIM },   { "checking", UNDO_CLAIM }, { "queued", UNDO_CLAIM },
	{ "preparing", UNDO_TARGET }, { "moving", UNDO_TARGET },  { "cleaning", UNDO_IMPOSSIBLE },
	{ "done", UNDO_NOTHING },
};

static const struct phase cold_phases[] = {
	{ "choosing", UNDO_CLAIM },
	{ "checking", UNDO_CLAIM },
	{ "queued", UNDO_CLAIM },
	{ "stopping", UNDO_TARGET_AND_RESTORE_SOURCE },
	{ "copying", UNDO_TARGET_AND_RESTORE_SOURCE },
	{ "defining", UNDO_TARGET_AND_RESTORE_SOURCE },
	{ "undefining", UNDO_TARGET_AND_RESTORE_SOURCE },
	{ "starting", UNDO_TARGET_AND_RESTORE_SOURCE },
	{ "done", UNDO_NOTHING },
};

/* Removing disks cannot be taken back: what is confirmed is repeated until it is done. */
static const struct phase confirm_phases[] = {
	{ "removing", UNDO_IMPOSSIBLE },
	{ "done", UNDO_NOTHING },
};

static const struct phase revert_phases[] = {
	{ "stopping", UNDO_IMPOSSIBLE }, { "removing", UNDO_IMPOSSIBLE }, { "defining", UNDO_IMPOSSIBLE },
	{ "starting", UNDO_IMPOSSIBLE }, { "done", UNDO_NOTHING },
};

/* One step, which may be done again. */
static const struct phase power_phases[] = {
	{ "acting", UNDO_IMPOSSIBLE },
	{ "done", UNDO_NOTHING },
};

static const struct phase reboot_phases[] = {
	{ "stopping", UNDO_IMPOSSIBLE },
	{ "starting", UNDO_IMPOSSIBLE },
	{ "done", UNDO_NOTHING },
};

#define POWER(name)                                                                                                    \
	{                                                                                                              \
		(name), power_phases, ARRAY_LENGTH(power_phases)                                                       \
	}
#define REBOOT(name)                                                                                                   \
	{                                                                                                              \
		(name), reboot_phases, ARRAY_LENGTH(reboot_phases)                                                     \
	}

static const struct {
	const char *name;
	const struct phase *phases;
	size_t count;
} kinds[JOB_KIND_MAX] = {
	[JOB_LIVE] = { "live", live_phases, ARRAY_LENGTH(live_phases) },
	[JOB_COLD] = { "cold", cold_phases, ARRAY_LENGTH(cold_phases) },
	[JOB_CONFIRM] = { "confirm", confirm_phases, ARRAY_LENGTH(confirm_phases) },
	[JOB_REVERT] = { "revert", revert_phases, ARRAY_LENGTH(revert_phases) },
	[JOB_START] = POWER("start"),
	[JOB_STOP] = POWER("stop"),
	[JOB_PAUSE] = POWER("pause"),
	[JOB_UNPAUSE] = POWER("unpause"),
	[JOB_SUSPEND] = POWER("suspend"),
	[JOB_RESUME] = POWER("resume"),
	[JOB_REBOOT_SOFT] = REBOOT("reboot_soft"),
	[JOB_REBOOT_HARD] = REBOOT("reboot_hard"),
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

bool phase_may_follow(enum job_kind kind, const char *from, const char *to, bool is_new_attempt)
{
	const struct phase *next = phase_by_name(kind, to);

	if (!next)
		return false;
	if (*from == '\0')
		return true;

	const struct phase *current = phase_by_name(kind, from);
	if (!current)
		return false;
	if (is_new_attempt)
		return current->undo != UNDO_IMPOSSIBLE && current->undo != UNDO_NOTHING && next == kinds[kind].phases;
	return next >= current;
}
