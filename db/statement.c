/* Statements: preparing once, binding, stepping. The one difficulty: a cached statement may be
 * wanted while it is in use (a list inside a list); then a second one is made that is not kept. */
#include "db/statement.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/row.h"

#include <sqlite3.h>
#include <stdlib.h>

/* Far more than the room has shapes of queries; beyond it the least recently used one goes. */
#define STATEMENTS_KEPT_MAX 192

struct statement {
	sqlite3_stmt *handle;
	struct db_session *session;
	char *sql; /* as the caller wrote it: the key */
	const struct row_type *type; /* part of the key */
	uint64_t hash;
	bool is_in_use;
	bool is_kept;
	bool is_refused;
	struct error *refusal; /* why a value could not be bound; owned */
	struct statement *next;
};

static int failed(struct db_session *session, int result, struct error *error)
{
	return statement_translate(session->connection, session->database->path, result, error);
}

static uint64_t hash_key(const char *sql, const struct row_type *type)
{
	uint64_t hash = 0xcbf29ce484222325U ^ (uint64_t)(uintptr_t)type;

	for (; *sql; sql++)
		hash = (hash ^ (unsigned char)*sql) * 0x100000001b3U;
	return hash;
}

static void destroy(struct statement *statement)
{
	sqlite3_finalize(statement->handle);
	free(statement->refusal);
	free(statement->sql);
	free(statement);
}

void statement_forget_all(struct db_session *session)
{
	while (session->statements) {
		struct statement *first = session->statements;

		session->statements = first->next;
		destroy(first);
	}
	session->statement_count = 0;
}

/* Takes a kept statement to the front of the list, or answers NULL. */
static struct statement *find_kept(struct db_session *session, uint64_t hash, const char *sql,
				   const struct row_type *type)
{
	for (struct statement **link = &session->statements; *link; link = &(*link)->next) {
		struct statement *found = *link;

		if (found->hash != hash || found->type != type || strcmp(found->sql, sql) != 0)
			continue;
		*link = found->next;
		found->next = session->statements;
		session->statements = found;
		return found;
	}
	return NULL;
}

/* Drops the least recently used one that nobody holds. */
static void drop_oldest(struct db_session *session)
{
	struct statement **oldest = NULL;

	for (struct statement **link = &session->statements; *link; link = &(*link)->next)
		if (!(*link)->is_in_use)
			oldest = link;
	if (!oldest)
		return;

	struct statement *gone = *oldest;
	*oldest = gone->next;
	session->statement_count--;
	destroy(gone);
}

static void keep(struct db_session *session, struct statement *statement)
{
	if (session->statement_count >= STATEMENTS_KEPT_MAX)
		drop_oldest(session);
	statement->is_kept = true;
	statement->next = session->statements;
	session->statements = statement;
	session->statement_count++;
}

/* The SQL with its $words replaced by what the row type says. */
static int expand(const char *sql, const struct row_type *type, struct text *text, struct error *error)
{
	while (*sql) {
		size_t plain = strcspn(sql, "$");

		text_append_bytes(text, sql, plain);
		sql += plain;
		if (*sql != '$')
			continue;

		size_t length = strspn(sql + 1, "abcdefghijklmnopqrstuvwxyz_");
		if (!type || !row_expand(type, sql + 1, length, text))
			return error_set(error, EINVAL, "SQL with an unknown word: %s", sql);
		sql += 1 + length;
	}
	return text_failed(text) ? error_no_memory(error) : 0;
}

static int prepare(struct db_session *session, const char *sql, const struct row_type *type, uint64_t hash,
		   struct statement **ret_statement, struct error *error)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	sqlite3_stmt *handle = NULL;
	int result = expand(sql, type, &text, error);

	if (result < 0)
		return result;
	result = sqlite3_prepare_v3(session->connection, text.data ? text.data : "", -1, SQLITE_PREPARE_PERSISTENT,
				    &handle, NULL);
	if (result != SQLITE_OK) {
		failed(session, result, error);
		return error_wrap(error, "preparing %s", text.data ? text.data : "");
	}

	struct statement *statement = calloc(1, sizeof(*statement));
	if (statement)
		statement->sql = strdup(sql);
	if (!statement || !statement->sql) {
		sqlite3_finalize(handle);
		free(statement);
		return error_no_memory(error);
	}
	statement->handle = handle;
	statement->session = session;
	statement->type = type;
	statement->hash = hash;
	*ret_statement = statement;
	return 0;
}

int statement_begin(struct db_session *session, const char *sql, const struct row_type *type,
		    struct statement **ret_statement, struct error *error)
{
	uint64_t hash = hash_key(sql, type);
	struct statement *statement = find_kept(session, hash, sql, type);

	if (!statement || statement->is_in_use) {
		bool is_second = statement != NULL;
		int result = prepare(session, sql, type, hash, &statement, error);

		if (result < 0)
			return result;
		if (!is_second)
			keep(session, statement);
	}
	if (!session->is_writer && !sqlite3_stmt_readonly(statement->handle)) {
		if (!statement->is_kept)
			destroy(statement);
		return error_set(error, EPERM, "a reader's session cannot change the database");
	}
	statement->is_in_use = true;
	*ret_statement = statement;
	return 0;
}

int statement_begin_change(struct db_session *session, const char *sql, int64_t id, struct statement **ret_statement,
			   struct error *error)
{
	int result = statement_begin(session, sql, NULL, ret_statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(*ret_statement, 1, id);
	statement_bind_int64(*ret_statement, 2, db_now_us(session));
	return 0;
}

void statement_end(struct statement *statement)
{
	if (!statement)
		return;
	if (!statement->is_kept) {
		destroy(statement);
		return;
	}
	sqlite3_reset(statement->handle);
	sqlite3_clear_bindings(statement->handle);
	statement->is_in_use = false;
	statement->is_refused = false;
}

void statement_refuse(struct statement *statement, const char *format, ...)
{
	va_list arguments;
	char text[512];

	if (statement->is_refused)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);

	statement->is_refused = true;
	if (!statement->refusal)
		statement->refusal = malloc(sizeof(*statement->refusal));
	error_set(statement->refusal, EINVAL, "%s", text);
}

static void check_bound(struct statement *statement, int index, int result)
{
	if (result != SQLITE_OK)
		statement_refuse(statement, "value %d: %s", index, sqlite3_errstr(result));
}

void statement_bind_int64(struct statement *statement, int index, int64_t number)
{
	check_bound(statement, index, sqlite3_bind_int64(statement->handle, index, number));
}

void statement_bind_double(struct statement *statement, int index, double number)
{
	check_bound(statement, index, sqlite3_bind_double(statement->handle, index, number));
}

void statement_bind_null(struct statement *statement, int index)
{
	check_bound(statement, index, sqlite3_bind_null(statement->handle, index));
}

void statement_bind_text(struct statement *statement, int index, const char *text)
{
	if (!text) {
		statement_bind_null(statement, index);
		return;
	}

	size_t length = strnlen(text, STATEMENT_TEXT_MAX + 1);
	if (length > STATEMENT_TEXT_MAX) {
		statement_refuse(statement, "value %d: longer than %d bytes", index, STATEMENT_TEXT_MAX);
		return;
	}
	if (!text_is_utf8(text, length)) {
		statement_refuse(statement, "value %d: not UTF-8", index);
		return;
	}
	check_bound(statement, index, sqlite3_bind_text(statement->handle, index, text, (int)length, SQLITE_STATIC));
}

void statement_bind_name(struct statement *statement, int index, const char *name, size_t size)
{
	if (name && strnlen(name, size) == size)
		statement_refuse(statement, "%.32s...: longer than %zu bytes", name, size - 1);
	else
		statement_bind_text(statement, index, name);
}

int statement_check_transaction(const struct db_session *session, struct error *error)
{
	if (!session->is_in_write || !sqlite3_get_autocommit(session->connection))
		return 0;
	return error_set(error, EIO,
			 "database %s: the transaction was lost with an earlier error; nothing of it is kept",
			 session->database->path);
}

int statement_step(struct statement *statement, struct error *error)
{
	if (statement->is_refused) {
		if (!statement->refusal)
			return error_no_memory(error);
		return error_set(error, statement->refusal->code, "%s", statement->refusal->text);
	}

	if (statement_check_transaction(statement->session, error) < 0)
		return -EIO;
	int result = sqlite3_step(statement->handle);

	if (result == SQLITE_ROW)
		return 1;
	if (result == SQLITE_DONE)
		return 0;
	return failed(statement->session, result, error);
}

int statement_run(struct statement *statement, struct error *error)
{
	int result;

	do
		result = statement_step(statement, error);
	while (result > 0);
	return result;
}

int statement_change(struct statement *statement, enum db_table table, const char *noun, struct error *error)
{
	int count = 0;
	int result;

	while ((result = statement_step(statement, error)) > 0) {
		result = session_changed(statement->session, table, statement_column_int64(statement, 0), error);
		if (result < 0)
			return result;
		count++;
	}
	if (result < 0)
		return result;
	return count ? 0 : error_set(error, ENOENT, "no such %s in the database", noun);
}

bool statement_column_is_null(struct statement *statement, int column)
{
	return sqlite3_column_type(statement->handle, column) == SQLITE_NULL;
}

int64_t statement_column_int64(struct statement *statement, int column)
{
	return sqlite3_column_int64(statement->handle, column);
}

double statement_column_double(struct statement *statement, int column)
{
	return sqlite3_column_double(statement->handle, column);
}

const char *statement_column_text(struct statement *statement, int column)
{
	const unsigned char *text = sqlite3_column_text(statement->handle, column);

	return text ? (const char *)text : "";
}

int statement_execute(struct db_session *session, const char *sql, struct error *error)
{
	if (statement_check_transaction(session, error) < 0)
		return -EIO;
	int result = sqlite3_exec(session->connection, sql, NULL, NULL, NULL);

	return result == SQLITE_OK ? 0 : failed(session, result, error);
}
