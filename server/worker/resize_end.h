/* Inside the worker: what confirm and revert have in common, the end of a cold migration that waited for its user's word. */
#pragma once

#include <stdint.h>

#include "server/worker/job.h"

struct resize_end {
	struct job_run *run;
	int64_t host_id; /* where the server stands from now on */
	int power_state; /* Nova's */
	const char *vm_state; /* NULL: that from before the migration */
	const char *status; /* of the migration */
	unsigned int leftovers; /* CHORE_* */
};

/* The definition that the source had, into the run, once; none is fine. */
int resize_end_read_saved(struct job_run *run, struct error *error);
/* One transaction: the server's place and state, the migration, its claims, and what remains to be removed. STEP_DONE. */
int resize_end_write(const struct resize_end *end, struct error *error);
/* Nothing is ended: the server goes on waiting on the target, with its migration `finished`; the action says why. STEP_DONE. */
int resize_end_refuse(struct job_run *run, const char *reason, struct error *error);
