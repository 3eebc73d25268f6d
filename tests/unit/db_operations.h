/* Every kind of write and read that the database offers, on a small fleet, for tests of what holds for all of them. */
#pragma once

#include "tests/unit/db_fixture.h"

struct db_operation {
	const char *name;
	db_write_fn run; /* on the fleet; no context */
	/* The rows of which a watcher learns, "hosts:1 services:1", in the order of the changes; NULL: it only reads, any session does. */
	const char *told;
	/* The rows that are new, gone or other than before, whether a watcher learns of them or not, in the order of db_tables;
	 * "" none, NULL for a reading. */
	const char *changed;
};

extern const struct db_operation db_operations[];
extern const size_t db_operation_count;

/* A db_write_fn without context: empties the database and puts the fleet there, with the same ids each time. */
int db_operations_fill(struct db_session *session, void *context, struct error *error);
