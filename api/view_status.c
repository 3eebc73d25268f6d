/* The status that clients see, by vm_state and task_state: Nova's table, read both ways. */
#include "api/view.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <assert.h>
#include <strings.h>

struct status_row {
	const char *vm_state;
	const char *task_state; /* NULL: any that has no row of its own */
	const char *status;
};

#define RESIZE_ROWS(vm_state)                                                                                          \
	{ vm_state, "resize_prep", "RESIZE" }, { vm_state, "resize_migrating", "RESIZE" },                             \
		{ vm_state, "resize_migrated", "RESIZE" },                                                             \
	{                                                                                                              \
		vm_state, "resize_finish", "RESIZE"                                                                    \
	}
#define REBUILD_ROWS(vm_state)                                                                                         \
	{ vm_state, "rebuilding", "REBUILD" }, { vm_state, "rebuild_block_device_mapping", "REBUILD" },                \
	{                                                                                                              \
		vm_state, "rebuild_spawning", "REBUILD"                                                                \
	}

/* Rows of a task state stand before the bare one of their vm_state. */
static const struct status_row status_rows[] = {
	{ "active", "rebooting", "REBOOT" },
	{ "active", "reboot_pending", "REBOOT" },
	{ "active", "reboot_started", "REBOOT" },
	{ "active", "rebooting_hard", "HARD_REBOOT" },
	{ "active", "reboot_pending_hard", "HARD_REBOOT" },
	{ "active", "reboot_started_hard", "HARD_REBOOT" },
	{ "active", "updating_password", "PASSWORD" },
	REBUILD_ROWS("active"),
	{ "active", "migrating", "MIGRATING" },
	RESIZE_ROWS("active"),
	{ "active", NULL, "ACTIVE" },
	{ "building", NULL, "BUILD" },
	RESIZE_ROWS("stopped"),
	REBUILD_ROWS("stopped"),
	{ "stopped", NULL, "SHUTOFF" },
	{ "resized", "resize_reverting", "REVERT_RESIZE" },
	{ "resized", NULL, "VERIFY_RESIZE" },
	{ "paused", "migrating", "MIGRATING" },
	{ "paused", NULL, "PAUSED" },
	{ "suspended", NULL, "SUSPENDED" },
	{ "rescued", NULL, "RESCUE" },
	REBUILD_ROWS("error"),
	{ "error", NULL, "ERROR" },
	{ "deleted", NULL, "DELETED" },
	{ "soft-delete", NULL, "SOFT_DELETED" },
	{ "shelved", NULL, "SHELVED" },
	{ "shelved_offloaded", NULL, "SHELVED_OFFLOADED" },
};

const char *view_server_status(const char *vm_state, const char *task_state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(status_rows); i++) {
		const struct status_row *row = &status_rows[i];

		if (text_equal(row->vm_state, vm_state)
		    && (!row->task_state || text_equal(row->task_state, task_state)))
			return row->status;
	}
	return "UNKNOWN";
}

static_assert(ARRAY_LENGTH(status_rows) <= 64, "a set of rows is one number");

uint64_t view_status_rows(const char *status)
{
	uint64_t rows = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(status_rows); i++)
		if (strcasecmp(status_rows[i].status, status) == 0)
			rows |= UINT64_C(1) << i;
	return rows;
}

uint64_t view_state_rows(const char *vm_state, const char *task_state)
{
	uint64_t rows = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(status_rows); i++) {
		const struct status_row *row = &status_rows[i];

		if (text_equal(row->vm_state, vm_state)
		    && (!row->task_state || text_equal(row->task_state, task_state)))
			rows |= UINT64_C(1) << i;
	}
	return rows;
}
