/* Writes that share one commit: a gate holds the writer up, and all that is submitted meanwhile goes into the next group.
 *
 *     struct write_gate gate;
 *     write_gate_close(&gate, fixture);                 // a write of its own stands there
 *     submission_submit(fixture, &submissions[0]);      // ...
 *     write_gate_open(&gate);
 *     write_barrier(fixture);                           // now each has its result
 */
#pragma once

#include "tests/unit/db_fixture.h"

struct write_gate {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool is_reached;
	bool is_open;
};

/* Returns when the writer stands at it. Its write leaves an action "gate". */
void write_gate_close(struct write_gate *gate, struct db_fixture *fixture);
void write_gate_open(struct write_gate *gate);
void write_gate_destroy(struct write_gate *gate);

/* One write and what became of it: the writer's thread has it until write_barrier has returned. */
struct submission {
	const char *request_id; /* of the action that it inserts */
	int64_t row_id; /* of the job that it says it changed */
	int fail_with; /* after it has inserted; 0: it does not fail */
	db_write_fn then; /* what it does after it has inserted, with the fixture; NULL: nothing */
	/* The outcome: */
	int result;
	int code; /* of the error; 0: none */
	int order; /* of its completion */
	int *completions;
	char words[256];
	struct db_fixture *fixture;
};

void submission_submit(struct db_fixture *fixture, struct submission *submission);
/* When it returns, all that was submitted before has been completed. */
void write_barrier(struct db_fixture *fixture);

int write_group_nothing(struct db_session *session, void *context, struct error *error);
/* An action of the server "server", by which a write is known again. */
int write_group_insert(struct db_session *session, const char *request_id, struct error *error);
bool write_group_has(struct db_fixture *fixture, const char *request_id);
