/* What must hold at the end of every scene, looked at in the fleet itself and in the database. */
#pragma once

#include <stdbool.h>

struct scene;

/* What a fault takes away by itself, so that it is not held against the daemon. */
enum {
	FAULT_MAY_END_GUEST = 1, /* the guest, or its only disk, goes with it */
	FAULT_MAY_DOUBLE = 2, /* somebody else starts it a second time */
	FAULT_NEEDS_DISCOVERY = 4, /* somebody else moves it: the scene has nobody who reads the hosts and finds it */
};

enum verdict_kind {
	VERDICT_GOOD,
	VERDICT_LOST, /* no host has the guest, or none has its disks whole, and no saved definition leads to them */
	VERDICT_DOUBLED,
	VERDICT_ENDLESS, /* the job, its migration, a task state or a claim has no end */
	VERDICT_LEAK, /* something of the guest is left where it does not belong, and no chore knows of it */
	VERDICT_WRONG, /* the server is shown where it is not */
	VERDICT_MAX,
};

/* `ret_why` at least 512 bytes. */
enum verdict_kind verdict_of(struct scene *scene, unsigned int flags, char *ret_why, unsigned long size);
const char *verdict_name(enum verdict_kind kind);
