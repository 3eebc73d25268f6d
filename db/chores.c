/* Chores: what remains to be done on hosts. */
#include "db/chores.h"

#include "base/error.h"
#include "db/query.h"
#include "db/server_changed.h"

#include <string.h>

static const struct row_column columns[] = {
	COLUMN(struct db_chore, id, ROW_KEY),     COLUMN(struct db_chore, kind, 0),
	COLUMN(struct db_chore, host_id, 0),      COLUMN(struct db_chore, server_uuid, 0),
	COLUMN(struct db_chore, migration_id, 0), COLUMN(struct db_chore, other_host_id, 0),
	COLUMN(struct db_chore, pool, 0),         COLUMN(struct db_chore, name, 0),
	COLUMN(struct db_chore, bytes, 0),        COLUMN(struct db_chore, is_complete, 0),
	COLUMN(struct db_chore, reason, 0),       COLUMN(struct db_chore, tries, 0),
	COLUMN(struct db_chore, last_error, 0),   COLUMN(struct db_chore, created_us, 0),
	COLUMN(struct db_chore, updated_us, 0),
};
static const struct row_type chore_row = ROW_TYPE("chores", "chore", struct db_chore, columns);

#define SELECT_CHORES "SELECT $columns FROM chores"

void db_chore_clear(struct db_chore *chore)
{
	row_clear(&chore_row, chore);
}

void db_chore_list_clear(struct db_chore_list *list)
{
	row_list_clear(&chore_row, list->items, list->count);
	*list = (struct db_chore_list){ 0 };
}

/* Runs a change that ends in RETURNING id, server_uuid, and reports every row that it answers. */
static int change_rows(struct db_session *session, struct statement *statement, size_t *ret_count, struct error *error)
{
	int result;

	*ret_count = 0;
	while ((result = statement_step(statement, error)) > 0) {
		server_changed(session, statement_column_text(statement, 1));
		result = session_changed(session, DB_TABLE_CHORES, statement_column_int64(statement, 0), error);
		if (result < 0)
			return result;
		++*ret_count;
	}
	return result;
}

/* The id of the same chore that is there already; 0: none. */
static int find_same(struct db_session *session, const struct db_chore *chore, int64_t *ret_id, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session,
				     "SELECT id FROM chores WHERE kind = ?1 AND host_id = ?2 AND server_uuid = ?3"
				     " AND pool = ?4 AND name = ?5",
				     NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_name(statement, 1, chore->kind, sizeof(chore->kind));
	statement_bind_int64(statement, 2, chore->host_id);
	statement_bind_name(statement, 3, chore->server_uuid, sizeof(chore->server_uuid));
	statement_bind_name(statement, 4, chore->pool, sizeof(chore->pool));
	statement_bind_name(statement, 5, chore->name, sizeof(chore->name));
	result = statement_step(statement, error);
	if (result > 0)
		*ret_id = statement_column_int64(statement, 0);
	return result < 0 ? result : 0;
}

/* Of what the two ask for, the more careful: whoever says that a volume may be whole, or that another host must be looked at
 * first, is heard. */
static int join(struct db_session *session, int64_t id, struct db_chore *chore, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session,
				     "UPDATE chores SET"
				     " is_complete = CASE WHEN ?2 = 1 THEN 1 ELSE is_complete END,"
				     " other_host_id = CASE WHEN ?3 <> 0 THEN ?3 ELSE other_host_id END,"
				     " bytes = CASE WHEN ?4 > bytes THEN ?4 ELSE bytes END"
				     " WHERE id = ?1 RETURNING id, server_uuid, created_us",
				     NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, id);
	statement_bind_int64(statement, 2, chore->is_complete);
	statement_bind_int64(statement, 3, chore->other_host_id);
	statement_bind_int64(statement, 4, chore->bytes);
	result = statement_step(statement, error);
	if (result < 0)
		return result;
	chore->id = id;
	chore->created_us = statement_column_int64(statement, 2);
	server_changed(session, chore->server_uuid);
	return session_changed(session, DB_TABLE_CHORES, id, error);
}

int db_chore_insert(struct db_session *session, struct db_chore *chore, struct error *error)
{
	static char no_reason[] = "";
	struct db_chore written = *chore; /* its texts stay the caller's */
	int64_t id = 0;
	int result = find_same(session, chore, &id, error);

	if (result < 0)
		return error_wrap(error, "a chore (%.32s) for server %.36s", chore->kind, chore->server_uuid);
	if (id)
		return join(session, id, chore, error);

	if (!written.reason)
		written.reason = no_reason;
	if (!written.created_us)
		written.created_us = db_now_us(session);
	result = row_insert(session, &chore_row, &written, &id, error);
	if (result < 0)
		return error_wrap(error, "a chore (%.32s) for server %.36s", chore->kind, chore->server_uuid);
	chore->id = id;
	chore->created_us = written.created_us;
	server_changed(session, chore->server_uuid);
	return session_changed(session, DB_TABLE_CHORES, id, error);
}

int db_chore_note_failure(struct db_session *session, int64_t id, const char *reason, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin_change(session,
					    "UPDATE chores SET updated_us = ?2, tries = tries + 1, last_error = ?3"
					    " WHERE id = ?1 RETURNING id",
					    id, &statement, error);

	if (result < 0)
		return result;
	statement_bind_text(statement, 3, reason);
	return statement_change(statement, DB_TABLE_CHORES, chore_row.noun, error);
}

static int change_by_number(struct db_session *session, const char *sql, int64_t number, size_t *ret_count,
			    struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, number);
	return change_rows(session, statement, ret_count, error);
}

int db_chore_delete(struct db_session *session, int64_t id, struct error *error)
{
	size_t count = 0;
	int result = change_by_number(session, "DELETE FROM chores WHERE id = ?1 RETURNING id, server_uuid", id, &count,
				      error);

	if (result < 0)
		return result;
	return count ? 0 : error_set(error, ENOENT, "no %s %lld in the database", chore_row.noun, (long long)id);
}

int db_chore_delete_by_host(struct db_session *session, int64_t host_id, struct error *error)
{
	size_t count = 0;

	return change_by_number(session, "DELETE FROM chores WHERE host_id = ?1 RETURNING id, server_uuid", host_id,
				&count, error);
}

int db_chore_give_up_host(struct db_session *session, int64_t host_id, struct error *error)
{
	static const char *const changes[] = {
		"UPDATE chores SET host_id = other_host_id, other_host_id = 0"
		" WHERE host_id = ?1 AND kind = '" DB_CHORE_END_CONFLICT "' AND other_host_id <> 0"
		" AND NOT EXISTS (SELECT 1 FROM chores AS same WHERE same.kind = chores.kind"
		" AND same.host_id = chores.other_host_id AND same.server_uuid = chores.server_uuid)"
		" RETURNING id, server_uuid",
		"DELETE FROM chores WHERE host_id = ?1 RETURNING id, server_uuid",
		"DELETE FROM chores WHERE kind IN ('" DB_CHORE_REMOVE_GUEST "', '" DB_CHORE_REMOVE_VOLUME "')"
		" AND server_uuid IN (SELECT uuid FROM servers WHERE host_id = ?1 AND is_deleted = 0)"
		" RETURNING id, server_uuid",
		"UPDATE chores SET other_host_id = 0 WHERE other_host_id = ?1 RETURNING id, server_uuid",
	};
	int result = 0;

	for (size_t i = 0; result == 0 && i < sizeof(changes) / sizeof(changes[0]); i++) {
		size_t count = 0;

		result = change_by_number(session, changes[i], host_id, &count, error);
	}
	return result;
}

int db_chore_by_id(struct db_session *session, int64_t id, struct db_chore *ret_chore, struct error *error)
{
	return row_by_id(session, &chore_row, SELECT_CHORES " WHERE id = ?1", id, ret_chore, error);
}

int db_chore_all(struct db_session *session, struct db_chore_list *ret_chores, struct error *error)
{
	struct query query = { .select = SELECT_CHORES, .order = "ORDER BY id" };
	struct row_list rows;
	int result = query_read_all(session, &chore_row, &query, &rows, error);

	if (result == 0)
		ROW_LIST_GIVE(rows, ret_chores);
	return result;
}

int db_chore_by_host(struct db_session *session, int64_t host_id, struct db_chore_list *ret_chores, struct error *error)
{
	struct row_list rows;
	int result = row_list_by_number(session, &chore_row, SELECT_CHORES " WHERE host_id = ?1 ORDER BY id", host_id,
					&rows, error);

	if (result == 0)
		ROW_LIST_GIVE(rows, ret_chores);
	return result;
}

int db_chore_by_server(struct db_session *session, const char *server_uuid, struct db_chore_list *ret_chores,
		       struct error *error)
{
	struct row_list rows;
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, SELECT_CHORES " WHERE server_uuid = ?1 ORDER BY id", &chore_row,
				     &statement, error);

	if (result < 0)
		return result;
	statement_bind_text(statement, 1, server_uuid);
	result = row_read_all(statement, &chore_row, &rows, error);
	if (result == 0)
		ROW_LIST_GIVE(rows, ret_chores);
	return result;
}

int db_chore_take_volumes(struct db_session *session, const struct db_volume_list *volumes, const struct db_chore *like,
			  struct error *error)
{
	for (size_t i = 0; i < volumes->count; i++) {
		const struct db_volume *volume = &volumes->items[i];
		struct db_chore chore = {
			.kind = DB_CHORE_REMOVE_VOLUME,
			.host_id = like->host_id,
			.migration_id = like->migration_id,
			.other_host_id = like->other_host_id,
			.bytes = volume->bytes,
			.is_complete = volume->is_complete,
			.reason = like->reason,
		};

		memcpy(chore.server_uuid, like->server_uuid, sizeof(chore.server_uuid));
		memcpy(chore.pool, volume->pool, sizeof(chore.pool));
		memcpy(chore.name, volume->name, sizeof(chore.name));

		int result = db_chore_insert(session, &chore, error);
		if (result == 0)
			result = db_volume_delete(session, volume->id, error);
		if (result < 0)
			return error_wrap(error, "volume %s of pool %s", volume->name, volume->pool);
	}
	return 0;
}
