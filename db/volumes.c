/* Volumes of ours and kept domains. */
#include "db/volumes.h"

#include "base/error.h"
#include "db/query.h"
#include "db/server_changed.h"

static const struct row_column volume_columns[] = {
	COLUMN(struct db_volume, id, ROW_KEY), COLUMN(struct db_volume, job_id, 0),
	COLUMN(struct db_volume, host_id, 0),  COLUMN(struct db_volume, pool, 0),
	COLUMN(struct db_volume, name, 0),     COLUMN(struct db_volume, is_complete, 0),
	COLUMN(struct db_volume, bytes, 0),
};
static const struct row_type volume_row = ROW_TYPE("volumes", "volume", struct db_volume, volume_columns);

static const struct row_column kept_columns[] = {
	COLUMN(struct db_kept_domain, id, ROW_KEY),      COLUMN(struct db_kept_domain, host_id, 0),
	COLUMN(struct db_kept_domain, server_uuid, 0),   COLUMN(struct db_kept_domain, migration_id, 0),
	COLUMN(struct db_kept_domain, definition, 0),    COLUMN(struct db_kept_domain, was_running, 0),
	COLUMN(struct db_kept_domain, had_autostart, 0),
};
static const struct row_type kept_row = ROW_TYPE("kept_domains", "kept domain", struct db_kept_domain, kept_columns);

void db_volume_list_clear(struct db_volume_list *list)
{
	row_list_clear(&volume_row, list->items, list->count);
	*list = (struct db_volume_list){ 0 };
}

void db_kept_domain_clear(struct db_kept_domain *kept)
{
	row_clear(&kept_row, kept);
}

int db_volume_insert(struct db_session *session, struct db_volume *volume, struct error *error)
{
	int64_t id = 0;
	int result = row_insert(session, &volume_row, volume, &id, error);

	if (result < 0)
		return error_wrap(error, "volume %s of pool %s", volume->name, volume->pool);
	volume->id = id;
	return 0;
}

/* A change of the row with that id; its SQL ends in RETURNING id. */
static int change(struct db_session *session, const char *sql, const struct row_type *type, int64_t id,
		  struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, type, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, id);
	result = statement_step(statement, error);
	if (result == 0)
		return error_set(error, ENOENT, "no %s %lld in the database", type->noun, (long long)id);
	return result < 0 ? result : 0;
}

int db_volume_set_complete(struct db_session *session, int64_t id, struct error *error)
{
	return change(session, "UPDATE volumes SET is_complete = 1 WHERE id = ?1 RETURNING id", &volume_row, id, error);
}

int db_volume_delete(struct db_session *session, int64_t id, struct error *error)
{
	return change(session, "DELETE FROM $table WHERE id = ?1 RETURNING id", &volume_row, id, error);
}

static int delete_volumes(struct db_session *session, const char *sql, int64_t number, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, number);
	return statement_run(statement, error);
}

int db_volume_delete_by_migration(struct db_session *session, int64_t migration_id, struct error *error)
{
	return delete_volumes(session,
			      "DELETE FROM volumes WHERE job_id IN (SELECT id FROM jobs WHERE migration_id = ?1)",
			      migration_id, error);
}

int db_volume_delete_by_host(struct db_session *session, int64_t host_id, struct error *error)
{
	return delete_volumes(session, "DELETE FROM volumes WHERE host_id = ?1", host_id, error);
}

int db_volume_by_job(struct db_session *session, int64_t job_id, struct db_volume_list *ret_volumes,
		     struct error *error)
{
	struct row_list rows;
	int result =
		row_list_by_number(session, &volume_row, "SELECT $columns FROM volumes WHERE job_id = ?1 ORDER BY id",
				   job_id, &rows, error);

	if (result == 0)
		ROW_LIST_GIVE(rows, ret_volumes);
	return result;
}

int db_volume_by_migration(struct db_session *session, int64_t migration_id, struct db_volume_list *ret_volumes,
			   struct error *error)
{
	struct row_list rows;
	int result = row_list_by_number(session, &volume_row,
					"SELECT $columns FROM volumes WHERE job_id IN "
					"(SELECT id FROM jobs WHERE migration_id = ?1) ORDER BY id",
					migration_id, &rows, error);

	if (result == 0)
		ROW_LIST_GIVE(rows, ret_volumes);
	return result;
}

int db_volume_by_host(struct db_session *session, int64_t host_id, struct db_volume_list *ret_volumes,
		      struct error *error)
{
	struct row_list rows;
	int result =
		row_list_by_number(session, &volume_row, "SELECT $columns FROM volumes WHERE host_id = ?1 ORDER BY id",
				   host_id, &rows, error);

	if (result == 0)
		ROW_LIST_GIVE(rows, ret_volumes);
	return result;
}

int db_volume_incomplete(struct db_session *session, struct db_volume_list *ret_volumes, struct error *error)
{
	struct query query = { .select = "SELECT $columns FROM volumes WHERE is_complete = 0", .order = "ORDER BY id" };
	struct row_list rows;
	int result = query_read_all(session, &volume_row, &query, &rows, error);

	if (result == 0)
		ROW_LIST_GIVE(rows, ret_volumes);
	return result;
}

int db_kept_domain_insert(struct db_session *session, struct db_kept_domain *kept, struct error *error)
{
	int64_t id = 0;
	int result = row_insert(session, &kept_row, kept, &id, error);

	if (result < 0)
		return error_wrap(error, "the kept domain of server %s", kept->server_uuid);
	kept->id = id;
	server_changed(session, kept->server_uuid);
	return 0;
}

int db_kept_domain_by_server(struct db_session *session, const char *server_uuid, struct db_kept_domain *ret_kept,
			     struct error *error)
{
	return row_by_text(session, &kept_row,
			   "SELECT $columns FROM kept_domains WHERE server_uuid = ?1 ORDER BY id DESC LIMIT 1",
			   server_uuid, ret_kept, error);
}

int db_kept_domain_by_migration(struct db_session *session, int64_t migration_id, struct db_kept_domain *ret_kept,
				struct error *error)
{
	int result = row_by_id(session, &kept_row,
			       "SELECT $columns FROM kept_domains WHERE migration_id = ?1 ORDER BY id DESC LIMIT 1",
			       migration_id, ret_kept, error);

	if (result == -ENOENT)
		return error_set(error, ENOENT, "migration %lld has no kept domain", (long long)migration_id);
	return result;
}

/* Deletes what the SQL, which ends in RETURNING server_uuid, finds for the number. */
static int delete_kept(struct db_session *session, const char *sql, int64_t number, size_t *ret_count,
		       struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, NULL, &statement, error);

	*ret_count = 0;
	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, number);
	while ((result = statement_step(statement, error)) > 0) {
		server_changed(session, statement_column_text(statement, 0));
		++*ret_count;
	}
	return result;
}

int db_kept_domain_delete(struct db_session *session, int64_t id, struct error *error)
{
	size_t count;
	int result =
		delete_kept(session, "DELETE FROM kept_domains WHERE id = ?1 RETURNING server_uuid", id, &count, error);

	if (result == 0 && count == 0)
		return error_set(error, ENOENT, "no %s %lld in the database", kept_row.noun, (long long)id);
	return result;
}

int db_kept_domain_delete_by_migration(struct db_session *session, int64_t migration_id, struct error *error)
{
	size_t count;

	return delete_kept(session, "DELETE FROM kept_domains WHERE migration_id = ?1 RETURNING server_uuid",
			   migration_id, &count, error);
}

int db_kept_domain_delete_by_host(struct db_session *session, int64_t host_id, struct error *error)
{
	size_t count;

	return delete_kept(session, "DELETE FROM kept_domains WHERE host_id = ?1 RETURNING server_uuid", host_id,
			   &count, error);
}

int db_kept_domain_move(struct db_session *session, int64_t migration_id, int64_t host_id, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session,
				     "UPDATE kept_domains SET host_id = ?2 WHERE migration_id = ?1"
				     " RETURNING server_uuid",
				     NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, migration_id);
	statement_bind_int64(statement, 2, host_id);
	while ((result = statement_step(statement, error)) > 0)
		server_changed(session, statement_column_text(statement, 0));
	return result;
}
