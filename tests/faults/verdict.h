/* What must hold at the end of every scene, looked at in the fleet itself and in the database. */
#pragma once

#include <stdbool.h>

struct scene;

/* What a fault does by itself, so that it is not held against the daemon. */
enum {
	FAULT_MAY_DOUBLE = 1, /* somebody else starts it a second time */
};

struct verdict_case {
	unsigned int flags;
	bool has_ended_guest; /* by the fault alone the guest, or its only whole disk, is no more */
	const char *host, *other; /* that were struck: a failure's text names one of them; NULL: none */
	const char *back_host; /* it was given up, and what it still has is nobody's; NULL: none */
	const char *by_hand_host; /* somebody put the guest there, and what he left there is his; NULL: none */
};

enum verdict_kind {
	VERDICT_GOOD,
	VERDICT_LOST, /* no host has the guest, or none has its disks whole, and no saved definition leads to them */
	VERDICT_DOUBLED,
	VERDICT_ENDLESS, /* the job, its migration, a task state or a claim has no end */
	VERDICT_LEAK, /* something of the guest is left where it does not belong, and no chore knows of it */
	VERDICT_WRONG, /* the server is shown where it is not, or as it is not */
	VERDICT_WORDLESS, /* it failed, and nothing says why */
	VERDICT_MAX,
};

/* `ret_why` at least 512 bytes. */
enum verdict_kind verdict_of(struct scene *scene, const struct verdict_case *verdict_case, char *ret_why,
			     unsigned long size);
/* Now: no machine that is there has the guest with a whole disk, and no saved definition leads to one; one of a definition's host
 * that has nothing any more leads nowhere (NULL: there is none such). */
bool verdict_is_lost(struct scene *scene, const char *emptied_host);
const char *verdict_name(enum verdict_kind kind);
