/* Inside the worker: what each kind of chore does (chore_steps.c); chores.c says when. */
#pragma once

#include <stdint.h>

struct db_chore;
struct error;
struct worker;

enum chore_result {
	CHORE_DONE,
	CHORE_DROPPED, /* its reason has gone, nothing was done: the error says what was found */
};

/* Negative: it is to be tried again, and the error says what stands in the way. `job_id`: of the server's job that has it done
 * before it touches a host; 0: none, and while the server has a job nothing is removed. */
int chore_do(struct worker *worker, const struct db_chore *chore, int64_t job_id, struct error *error);
