/* Inside the worker: what each kind of chore does (chore_steps.c); chores.c says when. */
#pragma once

struct db_chore;
struct error;
struct worker;

enum chore_result {
	CHORE_DONE,
	CHORE_DROPPED, /* its reason has gone, nothing was done: the error says what was found */
};

/* Negative: it is to be tried again, and the error says what stands in the way. */
int chore_do(struct worker *worker, const struct db_chore *chore, struct error *error);
