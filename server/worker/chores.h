/* Inside the worker: chores (db/chores.h), written by the end of a job and done when their host answers. Before anything is
 * removed it is looked whether what must hold does hold: the guest is whole elsewhere, and nobody uses what goes. A chore that
 * fails is tried again after a pause that grows; one whose reason has gone is dropped, with a warning.
 *
 * Of each host one chore is done at a time, the oldest first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct db_session;
struct error;
struct job_run;
struct worker;

/* What a job leaves to be done, of struct job_end's `leftovers`. Nothing is left on a host that was given up. */
enum {
	CHORE_SOURCE_GUEST = 1, /* its half there, or its definition */
	CHORE_TARGET_GUEST = 2,
	CHORE_SOURCE_VOLUMES = 4, /* disks that were copied: the target has them */
	CHORE_TARGET_VOLUMES = 8, /* copies that came to nothing: the source has the disks */
	CHORE_CONFLICT = 16, /* the guest is on both hosts, or was so seen */
	CHORE_AWAIT_SOURCE = 32, /* the source's libvirtd is stuck in a call */
	CHORE_KEEP_VOLUMES = 128, /* nobody can say which disks are the last: all stay, and are the operator's */
	CHORE_DEFINITION = 64, /* the saved definition could not be given back to the source */
};

/* Within the transaction that ends the job. The migration's volume rows become chores. */
int chores_write(struct db_session *session, const struct job_run *run, unsigned int leftovers, struct error *error);

/* Those of the job's server on its target, now, before it comes back there; the job has touched no host yet. Negative: one
 * cannot be done, and the error says why. */
int chores_do_for_job(const struct job_run *run, struct error *error);

/* The dispatcher's, without the mutex: begins those that are due, each in a thread of its own that counts as running. */
void chores_dispatch(struct worker *worker);
void chores_forget(struct worker *worker); /* what was remembered of tries; with the mutex, no chore being done */
/* When the next pause ends (monotonic ms); INT64_MAX: none waits. With the mutex. */
int64_t chores_next_ms(const struct worker *worker);
