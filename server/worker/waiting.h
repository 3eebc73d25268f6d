/* Inside the worker: why a job waits. The reason is kept in the job's slot for who asks now (worker_list_waiting), and written
 * as the details of the action's open event, where the client's admin reads it; that is done when the reason changes, and at
 * most once a minute. */
#pragma once

#include <stdint.h>

struct db_job;
struct job_slot;
struct worker;

/* With the worker's mutex held. A job that has come to another phase since waits from now on. */
void waiting_note(struct worker *worker, struct job_slot *slot, const struct db_job *job, const char *why);
/* It goes on; with the mutex held. */
void waiting_forget(struct job_slot *slot);
