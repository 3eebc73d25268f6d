/* Rows put in as they are, also impossible ones: for tests' loading of a whole state by the simulated driver. */
#pragma once

#include "db/database.h"

struct error;

struct db_load_value {
	const char *column;
	enum { DB_LOAD_NULL, DB_LOAD_NUMBER, DB_LOAD_REAL, DB_LOAD_TEXT } kind;
	int64_t number;
	double real;
	const char *text;
};

#define DB_LOAD_VALUES_MAX 64

/* One row of any table, every column as given. Unknown tables and columns are -EINVAL. Watchers learn of it. */
int db_load_row(struct db_session *session, const char *table, const struct db_load_value *values, size_t count,
		struct error *error);
