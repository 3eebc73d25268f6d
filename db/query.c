/* Queries whose conditions are chosen by a filter. */
#include "db/query.h"

#include "base/error.h"
#include "base/text.h"

/* The condition with its ?# numbered. */
static void append_condition(struct text *sql, const char *condition, int index)
{
	const char *place;

	while ((place = strstr(condition, "?#")) != NULL) {
		text_append_bytes(sql, condition, (size_t)(place - condition));
		text_append_format(sql, "?%d", index);
		condition = place + 2;
	}
	text_append(sql, condition);
}

static void write_query(const struct query *query, struct text *sql)
{
	const char *joint = " WHERE ";
	int index = 1;

	text_append(sql, query->select);
	for (size_t i = 0; i < query->condition_count; i++) {
		const struct query_condition *condition = &query->conditions[i];

		if (!condition->is_wanted)
			continue;
		text_append(sql, joint);
		joint = " AND ";
		append_condition(sql, condition->sql, index);
		if (condition->kind != QUERY_NO_VALUE)
			index++;
	}
	text_append_format(sql, " %s", query->order);
	if (query->limit > 0)
		text_append_format(sql, " LIMIT ?%d", index);
}

static void bind_query(const struct query *query, struct statement *statement)
{
	int index = 1;

	for (size_t i = 0; i < query->condition_count; i++) {
		const struct query_condition *condition = &query->conditions[i];

		if (!condition->is_wanted || condition->kind == QUERY_NO_VALUE)
			continue;
		if (condition->kind == QUERY_TEXT)
			statement_bind_text(statement, index++, condition->text);
		else
			statement_bind_int64(statement, index++, condition->number);
	}
	if (query->limit > 0)
		statement_bind_int64(statement, index, query->limit);
}

int query_read_all(struct db_session *session, const struct row_type *type, const struct query *query,
		   struct row_list *ret_rows, struct error *error)
{
	CLEANUP_TEXT struct text sql = TEXT_EMPTY;
	CLEANUP_STATEMENT struct statement *statement = NULL;

	write_query(query, &sql);
	if (text_failed(&sql))
		return error_no_memory(error);

	int result = statement_begin(session, sql.data, type, &statement, error);
	if (result < 0)
		return result;
	bind_query(query, statement);
	return row_read_all(statement, type, ret_rows, error);
}

int query_check_marker(struct db_session *session, const char *sql, const char *marker, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;

	if (!marker)
		return 0;
	int result = statement_begin(session, sql, NULL, &statement, error);
	if (result < 0)
		return result;
	statement_bind_text(statement, 1, marker);
	result = statement_step(statement, error);
	if (result == 0)
		return error_set(error, ENOENT, "marker %.256s could not be found", marker);
	return result < 0 ? result : 0;
}
