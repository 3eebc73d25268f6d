/* Row types: one table of columns for each kind of row, used for reading and for writing, so that a column is named once.
 *
 *     static const struct row_column columns[] = {
 *         COLUMN(struct db_claim, id, ROW_KEY),
 *         COLUMN(struct db_claim, host_id, 0),
 *         ...
 *     };
 *     static const struct row_type claim_row = ROW_TYPE("claims", "claim", struct db_claim, columns);
 *
 * How a field is stored follows from its C type: int64_t, int, bool, double, char[N] (never NULL), char * (owned, NULL is
 * NULL). */
#pragma once

#include "db/statement.h"

enum row_storage { ROW_INT64, ROW_INT, ROW_BOOL, ROW_DOUBLE, ROW_OWNED_TEXT, ROW_FIXED_TEXT };

enum row_column_flag {
	ROW_KEY = 1, /* the id: chosen by the database when it is 0, never updated */
	ROW_FIXED = 2, /* written by the insert only */
	ROW_JOINED = 4, /* of a joined table: read only */
	ROW_ZERO_IS_NULL = 8, /* a reference to another row: 0 is none */
};

struct row_column {
	const char *name; /* with the table's name in front where a query joins */
	enum row_storage storage;
	unsigned flags;
	size_t offset;
	size_t size;
};

struct row_type {
	const char *table;
	const char *noun; /* for error texts */
	size_t size; /* of the struct */
	const struct row_column *columns;
	size_t count;
};

#define ROW_STORAGE(struct_type, member)                                                                               \
	_Generic(&((struct_type *)NULL)->member,                                                                       \
		 int64_t *: ROW_INT64,                                                                                 \
		 int *: ROW_INT,                                                                                       \
		 bool *: ROW_BOOL,                                                                                     \
		 double *: ROW_DOUBLE,                                                                                 \
		 char **: ROW_OWNED_TEXT,                                                                              \
		 default: ROW_FIXED_TEXT)

#define COLUMN_AS(column_name, struct_type, member, column_flags)                                                      \
	{                                                                                                              \
		.name = (column_name), .storage = ROW_STORAGE(struct_type, member), .flags = (column_flags),           \
		.offset = offsetof(struct_type, member), .size = sizeof(((struct_type *)NULL)->member)                 \
	}
#define COLUMN(struct_type, member, column_flags) COLUMN_AS(#member, struct_type, member, column_flags)

#define ROW_TYPE(table_name, noun_text, struct_type, column_table)                                                     \
	{                                                                                                              \
		.table = (table_name), .noun = (noun_text), .size = sizeof(struct_type), .columns = (column_table),    \
		.count = sizeof(column_table) / sizeof((column_table)[0])                                              \
	}

/* Rows of one type in a block; handed over to a typed list by ROW_LIST_GIVE. */
struct row_list {
	void *items;
	size_t count;
};
#define ROW_LIST_GIVE(rows, ret_list) ((ret_list)->items = (rows).items, (ret_list)->count = (rows).count)

/* Frees every owned text and forgets it. */
void row_clear(const struct row_type *type, void *row);
void row_list_clear(const struct row_type *type, void *rows, size_t count);

/* The statement's next row. -ENOENT "no such NOUN in the database" when there is none. `ret_row` is overwritten. */
int row_read(struct statement *statement, const struct row_type *type, void *ret_row, struct error *error);
/* All of its rows, as one block that the caller frees by row_list_clear. */
int row_read_all(struct statement *statement, const struct row_type *type, struct row_list *ret_rows,
		 struct error *error);

/* One row by a query whose ?1 is the key. */
int row_by_id(struct db_session *session, const struct row_type *type, const char *sql, int64_t id, void *ret_row,
	      struct error *error);
int row_by_text(struct db_session *session, const struct row_type *type, const char *sql, const char *key,
		void *ret_row, struct error *error);

/* All rows of a query whose ?1 is the number. */
int row_list_by_number(struct db_session *session, const struct row_type *type, const char *sql, int64_t number,
		       struct row_list *ret_rows, struct error *error);

/* Inserts all columns that are not joined. The caller records the change. */
int row_insert(struct db_session *session, const struct row_type *type, const void *row, int64_t *ret_id,
	       struct error *error);
/* Writes all columns that are neither key, fixed nor joined to the row with that id, and records the change. */
int row_update(struct db_session *session, const struct row_type *type, enum db_table table, int64_t id,
	       const void *row, struct error *error);

/* For the statement interface: what $columns, $values, $assignments and $table stand for. */
struct text;
bool row_expand(const struct row_type *type, const char *word, size_t length, struct text *text);
