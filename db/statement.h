/* The thin interface to SQL: all of the room's SQL goes through it, so that the engine can be another one.
 *
 * SQL keeps to what SQLite and PostgreSQL share; parameters are ?1, ?2, ... A statement is prepared once for a connection
 * and found again by its text. Bindings never fail by themselves: the first trouble is told by the step.
 *
 *     CLEANUP_STATEMENT struct statement *statement = NULL;
 *     int result = statement_begin(session, "SELECT name FROM hosts WHERE id = ?1", NULL, &statement, error);
 *     if (result < 0)
 *         return result;
 *     statement_bind_int64(statement, 1, id);
 *     result = statement_step(statement, error);       // 1: a row is there, 0: no more, negative: failed
 *     if (result > 0)
 *         name = statement_column_text(statement, 0);  // until the next step or end
 *
 * With a row type (db/row.h) the words $columns, $values, $assignments and $table stand for what its table of columns says.
 */
#pragma once

#include "db/session.h"

struct row_type;
struct sqlite3;
struct statement;

/* The longest text that a column takes: a domain's definition or a discovery's facts stay far below. */
#define STATEMENT_TEXT_MAX (8 * 1024 * 1024)

/* -EPERM when it changes rows and the session is a reader's. */
int statement_begin(struct db_session *session, const char *sql, const struct row_type *type,
		    struct statement **ret_statement, struct error *error);
/* The same for a change of one row: ?1 is its id and ?2 the time, both bound here. */
int statement_begin_change(struct db_session *session, const char *sql, int64_t id, struct statement **ret_statement,
			   struct error *error);
void statement_end(struct statement *statement); /* NULL is fine */

static inline void cleanup_statement(struct statement **statement)
{
	statement_end(*statement);
}
#define CLEANUP_STATEMENT __attribute__((cleanup(cleanup_statement)))

void statement_bind_int64(struct statement *statement, int index, int64_t number);
void statement_bind_double(struct statement *statement, int index, double number);
/* NULL binds NULL. The text must stay until the statement's end. */
void statement_bind_text(struct statement *statement, int index, const char *text);
/* The same for a name that will be read back into an array of that size: a longer one is refused. */
void statement_bind_name(struct statement *statement, int index, const char *name, size_t size);
void statement_bind_null(struct statement *statement, int index);
/* A value that cannot be bound (too long, not UTF-8): the step will answer -EINVAL with these words. */
void statement_refuse(struct statement *statement, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* -EIO in a write whose transaction SQLite has rolled back: what it wrote on would be a commit of its own. */
int statement_check_transaction(const struct db_session *session, struct error *error);
int statement_step(struct statement *statement, struct error *error);
/* To the end; for statements without rows. */
int statement_run(struct statement *statement, struct error *error);
/* A change that ends in RETURNING id: fills it and records the change. -ENOENT "no such NOUN in the database". */
int statement_change(struct statement *statement, enum db_table table, const char *noun, struct error *error);

bool statement_column_is_null(struct statement *statement, int column);
int64_t statement_column_int64(struct statement *statement, int column);
double statement_column_double(struct statement *statement, int column);
/* "" for NULL; until the next step or end. */
const char *statement_column_text(struct statement *statement, int column);

/* Forgets a connection's prepared statements. */
void statement_forget_all(struct db_session *session);

/* SQLite's result as ours: fills `error` with the file, the engine's words and what to do; returns the negative errno. */
int statement_translate(struct sqlite3 *connection, const char *path, int result, struct error *error);
/* Runs SQL without parameters and rows: pragmas, transactions, the schema. */
int statement_execute(struct db_session *session, const char *sql, struct error *error);
