/* Lists by filter: the conditions that are wanted make the query's text, so that each shape is prepared once and uses the
 * index that fits it. */
#pragma once

#include "db/row.h"

enum query_value { QUERY_NO_VALUE, QUERY_TEXT, QUERY_NUMBER };

struct query_condition {
	const char *sql; /* ?# is the value's place */
	enum query_value kind;
	bool is_wanted;
	const char *text;
	int64_t number;
};

/* Wanted when the text is there, the number is not 0, or the fact holds. */
#define CONDITION_TEXT(condition_sql, value)                                                                           \
	{                                                                                                              \
		.sql = (condition_sql), .kind = QUERY_TEXT, .is_wanted = (value) != NULL, .text = (value)              \
	}
#define CONDITION_NUMBER(condition_sql, value)                                                                         \
	{                                                                                                              \
		.sql = (condition_sql), .kind = QUERY_NUMBER, .is_wanted = (value) != 0, .number = (value)             \
	}
#define CONDITION_FACT(condition_sql, fact)                                                                            \
	{                                                                                                              \
		.sql = (condition_sql), .kind = QUERY_NO_VALUE, .is_wanted = (fact)                                    \
	}

struct query {
	const char *select; /* SELECT $columns FROM ... */
	const char *order; /* ORDER BY ... */
	const struct query_condition *conditions;
	size_t condition_count;
	int64_t limit; /* 0: all */
};

int query_read_all(struct db_session *session, const struct row_type *type, const struct query *query,
		   struct row_list *ret_rows, struct error *error);
/* Whether a row with that key is there: `sql` has ?1 for it. -ENOENT with the marker's name when not; NULL is fine. */
int query_check_marker(struct db_session *session, const char *sql, const char *marker, struct error *error);
