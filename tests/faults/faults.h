/* What goes wrong in a scene: a table of faults, each of which happens at a point of a job's life. */
#pragma once

#include "tests/faults/scene.h"

/* One fault, on one of the hosts. */
struct fault {
	const char *name;
	enum simulated_fault fault; /* SIMULATED_FAULT_MAX: none of the fleet's */
	const char *host, *other;
	enum simulated_fault undo; /* SIMULATED_FAULT_MAX: it stays until all is made well */
	int undo_after_s;
	unsigned int flags; /* verdict.h */
	bool kills; /* the daemon, at phases */
	int64_t clock_by_s; /* the wall clock is stepped */
	bool hangs; /* the operation at the point does not return */
	enum simulated_landing landing; /* of that operation */
	bool is_machine; /* it ends with all that it has, and is given up after a while */
	bool comes_back; /* the same, and after that it is there again, as a host that was added */
	bool holds_reading; /* one of the host comes late */
	int database; /* what SQLite says of writes to its files; 0: they are well */
	bool is_lasting; /* each write, and not the next one alone */
};

const struct fault *faults_table(size_t *ret_count);
/* Whether the combination can be at all. */
bool fault_fits(const struct fault *fault, const struct scene_point *point);
/* Where it happens; NULL: on none of the hosts. */
const char *fault_host(const struct fault *fault, const struct scene_point *point);

/* A fault that happens. */
struct strike {
	const struct fault *fault;
	const struct scene_point *point;
	/* Out: */
	bool is_possible;
	bool has_ended_guest; /* the guest, or its only whole disk, went with it */
};
/* An act of the scene; `context` is the strike. */
void fault_strike(struct scene *scene, void *context);
/* Lets the time pass that it lasts, and ends it. False with `ret_why` (at least 512 bytes): what had to hold meanwhile did not. */
bool fault_end(struct scene *scene, const struct strike *strike, char *ret_why, size_t size);
/* All is as it should be again, whatever the fault was; but machines that are gone. */
void fault_make_well(struct scene *scene);
