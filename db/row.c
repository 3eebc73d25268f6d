/* Rows by their tables of columns. The one difficulty: the order of values in the SQL that row_expand writes and in the
 * binding must be the same; both walk the columns by one question (takes_part). */
#include "db/row.h"

#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>

enum part { PART_SELECT, PART_INSERT, PART_INSERT_WITH_KEY, PART_UPDATE };

static bool takes_part(const struct row_column *column, enum part part)
{
	switch (part) {
	case PART_SELECT:
		return true;
	case PART_INSERT:
		return !(column->flags & (ROW_JOINED | ROW_KEY));
	case PART_INSERT_WITH_KEY:
		return !(column->flags & ROW_JOINED);
	case PART_UPDATE:
		return !(column->flags & (ROW_JOINED | ROW_KEY | ROW_FIXED));
	}
	return false;
}

/* The name without the table's in front. */
static const char *bare_name(const struct row_column *column)
{
	const char *dot = strchr(column->name, '.');

	return dot ? dot + 1 : column->name;
}

enum wording { WORDING_NAMES, WORDING_VALUES, WORDING_ASSIGNMENTS };

static const struct word {
	const char *word;
	enum part part;
	enum wording wording;
} WORDS[] = {
	{ "columns", PART_SELECT, WORDING_NAMES },
	{ "insert_columns", PART_INSERT, WORDING_NAMES },
	{ "insert_values", PART_INSERT, WORDING_VALUES },
	{ "keyed_columns", PART_INSERT_WITH_KEY, WORDING_NAMES },
	{ "keyed_values", PART_INSERT_WITH_KEY, WORDING_VALUES },
	{ "assignments", PART_UPDATE, WORDING_ASSIGNMENTS },
};

static void expand_columns(const struct row_type *type, const struct word *word, struct text *text)
{
	/* An update's ?1 is the id. */
	int index = word->wording == WORDING_ASSIGNMENTS ? 2 : 1;
	const char *separator = "";

	for (size_t i = 0; i < type->count; i++) {
		const struct row_column *column = &type->columns[i];

		if (!takes_part(column, word->part))
			continue;
		text_append(text, separator);
		separator = ", ";
		if (word->wording == WORDING_VALUES)
			text_append_format(text, "?%d", index);
		else if (word->wording == WORDING_ASSIGNMENTS)
			text_append_format(text, "%s = ?%d", bare_name(column), index);
		else
			text_append(text, word->part == PART_SELECT ? column->name : bare_name(column));
		index++;
	}
}

bool row_expand(const struct row_type *type, const char *word, size_t length, struct text *text)
{
	if (length == strlen("table") && memcmp(word, "table", length) == 0) {
		text_append(text, type->table);
		return true;
	}
	for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++)
		if (strlen(WORDS[i].word) == length && memcmp(word, WORDS[i].word, length) == 0) {
			expand_columns(type, &WORDS[i], text);
			return true;
		}
	return false;
}

void row_clear(const struct row_type *type, void *row)
{
	if (!row)
		return;
	for (size_t i = 0; i < type->count; i++) {
		if (type->columns[i].storage != ROW_OWNED_TEXT)
			continue;
		char **text = (char **)(void *)((char *)row + type->columns[i].offset);

		free(*text);
		*text = NULL;
	}
}

void row_list_clear(const struct row_type *type, void *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		row_clear(type, (char *)rows + i * type->size);
	free(rows);
}

static int read_column(struct statement *statement, const struct row_type *type, int index, void *row,
		       struct error *error)
{
	const struct row_column *column = &type->columns[index];
	void *field = (char *)row + column->offset;

	switch (column->storage) {
	case ROW_INT64:
		*(int64_t *)field = statement_column_int64(statement, index);
		break;
	case ROW_INT:
		*(int *)field = (int)statement_column_int64(statement, index);
		break;
	case ROW_BOOL:
		*(bool *)field = statement_column_int64(statement, index) != 0;
		break;
	case ROW_DOUBLE:
		*(double *)field = statement_column_double(statement, index);
		break;
	case ROW_OWNED_TEXT:
		if (statement_column_is_null(statement, index))
			break;
		*(char **)field = strdup(statement_column_text(statement, index));
		if (!*(char **)field)
			return error_no_memory(error);
		break;
	case ROW_FIXED_TEXT:
		if (!text_copy(field, column->size, statement_column_text(statement, index)))
			return error_set(error, EIO, "the database's %s holds a longer %s than %zu bytes: %s",
					 type->noun, column->name, column->size - 1, (const char *)field);
		break;
	}
	return 0;
}

/* Into a zeroed row. */
static int read_columns(struct statement *statement, const struct row_type *type, void *row, struct error *error)
{
	for (int i = 0; i < (int)type->count; i++) {
		int result = read_column(statement, type, i, row, error);

		if (result < 0) {
			row_clear(type, row);
			return result;
		}
	}
	return 0;
}

int row_read(struct statement *statement, const struct row_type *type, void *ret_row, struct error *error)
{
	int result = statement_step(statement, error);

	if (result < 0)
		return result;
	if (result == 0)
		return error_set(error, ENOENT, "no such %s in the database", type->noun);

	void *row = calloc(1, type->size);
	if (!row)
		return error_no_memory(error);
	result = read_columns(statement, type, row, error);
	if (result == 0)
		memcpy(ret_row, row, type->size);
	free(row);
	return result;
}

int row_read_all(struct statement *statement, const struct row_type *type, struct row_list *ret_rows,
		 struct error *error)
{
	char *rows = NULL;
	size_t count = 0;
	size_t capacity = 0;
	int result;

	while ((result = statement_step(statement, error)) > 0) {
		if (count == capacity) {
			size_t wanted = capacity ? capacity * 2 : 8;
			char *more = reallocarray(rows, wanted, type->size);

			if (!more) {
				result = error_no_memory(error);
				break;
			}
			rows = more;
			capacity = wanted;
		}
		memset(rows + count * type->size, 0, type->size);
		result = read_columns(statement, type, rows + count * type->size, error);
		if (result < 0)
			break;
		count++;
	}
	if (result < 0) {
		row_list_clear(type, rows, count);
		return result;
	}
	*ret_rows = (struct row_list){ .items = rows, .count = count };
	return 0;
}

int row_by_id(struct db_session *session, const struct row_type *type, const char *sql, int64_t id, void *ret_row,
	      struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, type, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, id);
	result = row_read(statement, type, ret_row, error);
	if (result == -ENOENT)
		return error_set(error, ENOENT, "no %s %lld in the database", type->noun, (long long)id);
	return result;
}

int row_by_text(struct db_session *session, const struct row_type *type, const char *sql, const char *key,
		void *ret_row, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, type, &statement, error);

	if (result < 0)
		return result;
	statement_bind_text(statement, 1, key);
	result = row_read(statement, type, ret_row, error);
	if (result == -ENOENT)
		return error_set(error, ENOENT, "no %s %.256s in the database", type->noun, key ? key : "");
	return result;
}

int row_list_by_number(struct db_session *session, const struct row_type *type, const char *sql, int64_t number,
		       struct row_list *ret_rows, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, type, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, number);
	return row_read_all(statement, type, ret_rows, error);
}

static void bind_column(struct statement *statement, int index, const struct row_column *column, const void *row)
{
	const void *field = (const char *)row + column->offset;

	switch (column->storage) {
	case ROW_INT64:
		if ((column->flags & ROW_ZERO_IS_NULL) && *(const int64_t *)field == 0)
			statement_bind_null(statement, index);
		else
			statement_bind_int64(statement, index, *(const int64_t *)field);
		break;
	case ROW_INT:
		statement_bind_int64(statement, index, *(const int *)field);
		break;
	case ROW_BOOL:
		statement_bind_int64(statement, index, *(const bool *)field);
		break;
	case ROW_DOUBLE:
		statement_bind_double(statement, index, *(const double *)field);
		break;
	case ROW_OWNED_TEXT:
		statement_bind_text(statement, index, *(char *const *)field);
		break;
	case ROW_FIXED_TEXT:
		if (memchr(field, '\0', column->size))
			statement_bind_text(statement, index, field);
		else
			statement_refuse(statement, "%s is longer than %zu bytes", column->name, column->size - 1);
		break;
	}
}

static void bind_columns(struct statement *statement, const struct row_type *type, enum part part, int first_index,
			 const void *row)
{
	int index = first_index;

	for (size_t i = 0; i < type->count; i++)
		if (takes_part(&type->columns[i], part))
			bind_column(statement, index++, &type->columns[i], row);
}

static int64_t key_of(const struct row_type *type, const void *row)
{
	for (size_t i = 0; i < type->count; i++)
		if (type->columns[i].flags & ROW_KEY)
			return *(const int64_t *)(const void *)((const char *)row + type->columns[i].offset);
	return 0;
}

int row_insert(struct db_session *session, const struct row_type *type, const void *row, int64_t *ret_id,
	       struct error *error)
{
	bool has_key = key_of(type, row) != 0;
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result =
		statement_begin(session,
				has_key ? "INSERT INTO $table ($keyed_columns) VALUES ($keyed_values) RETURNING id"
					: "INSERT INTO $table ($insert_columns) VALUES ($insert_values) RETURNING id",
				type, &statement, error);

	if (result < 0)
		return result;
	bind_columns(statement, type, has_key ? PART_INSERT_WITH_KEY : PART_INSERT, 1, row);
	result = statement_step(statement, error);
	if (result < 0)
		return error_wrap(error, "writing a %s", type->noun);
	if (result == 0)
		return error_set(error, EIO, "writing a %s: the database gave no id", type->noun);

	int64_t id = statement_column_int64(statement, 0);

	/* Only at the statement's end are references to other rows checked. */
	result = statement_run(statement, error);
	if (result < 0)
		return error_wrap(error, "writing a %s", type->noun);
	*ret_id = id;
	return 0;
}

int row_update(struct db_session *session, const struct row_type *type, enum db_table table, int64_t id,
	       const void *row, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, "UPDATE $table SET $assignments WHERE id = ?1 RETURNING id", type,
				     &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, id);
	bind_columns(statement, type, PART_UPDATE, 2, row);
	result = statement_change(statement, table, type->noun, error);
	return result < 0 ? error_wrap(error, "updating %s %lld", type->noun, (long long)id) : 0;
}
