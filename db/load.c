/* A row of any table by its columns' names. The one difficulty: names cannot be bound, so they are held against what a
 * name of ours looks like before they come into the SQL. */
#include "db/load.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/server_changed.h"
#include "db/statement.h"

static const struct {
	const char *name;
	enum db_table table; /* DB_TABLE_MAX: nobody watches it */
} tables[] = {
	{ "services", DB_TABLE_SERVICES },     { "hosts", DB_TABLE_HOSTS },
	{ "flavors", DB_TABLE_MAX },           { "servers", DB_TABLE_SERVERS },
	{ "migrations", DB_TABLE_MIGRATIONS }, { "jobs", DB_TABLE_JOBS },
	{ "claims", DB_TABLE_CLAIMS },         { "chores", DB_TABLE_CHORES },
	{ "instance_actions", DB_TABLE_MAX },  { "instance_action_events", DB_TABLE_MAX },
};

static bool is_column_name(const char *name)
{
	return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name);
}

static void bind(struct statement *statement, int index, const struct db_load_value *value)
{
	switch (value->kind) {
	case DB_LOAD_NULL:
		statement_bind_null(statement, index);
		break;
	case DB_LOAD_NUMBER:
		statement_bind_int64(statement, index, value->number);
		break;
	case DB_LOAD_REAL:
		statement_bind_double(statement, index, value->real);
		break;
	case DB_LOAD_TEXT:
		statement_bind_text(statement, index, value->text);
		break;
	}
}

static int insert(struct db_session *session, const char *table, enum db_table watched,
		  const struct db_load_value *values, size_t count, struct error *error)
{
	CLEANUP_TEXT struct text sql = TEXT_EMPTY;
	CLEANUP_STATEMENT struct statement *statement = NULL;

	text_append_format(&sql, "INSERT INTO %s (", table);
	for (size_t i = 0; i < count; i++) {
		if (!is_column_name(values[i].column))
			return error_set(error, EINVAL, "\"%s\" is no column of %s", values[i].column, table);
		text_append_format(&sql, "%s\"%s\"", i ? ", " : "", values[i].column);
	}
	text_append(&sql, ") VALUES (");
	for (size_t i = 0; i < count; i++)
		text_append_format(&sql, "%s?%zu", i ? ", " : "", i + 1);
	text_append(&sql, ") RETURNING id");
	if (text_failed(&sql))
		return error_no_memory(error);

	int result = statement_begin(session, sql.data, NULL, &statement, error);
	if (result < 0)
		return result;
	for (size_t i = 0; i < count; i++)
		bind(statement, (int)i + 1, &values[i]);
	all_servers_changed(session);
	if (watched != DB_TABLE_MAX)
		return statement_change(statement, watched, table, error);
	return statement_run(statement, error);
}

int db_load_row(struct db_session *session, const char *table, const struct db_load_value *values, size_t count,
		struct error *error)
{
	for (size_t i = 0; i < ARRAY_LENGTH(tables); i++)
		if (strcmp(tables[i].name, table) == 0)
			return insert(session, table, tables[i].table, values, count, error);
	return error_set(error, EINVAL, "there is no table \"%s\" to load into", table);
}
