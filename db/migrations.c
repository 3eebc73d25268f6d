/* Migrations. */
#include "db/migrations.h"

#include "base/error.h"
#include "db/migration_status.h"
#include "db/place.h"
#include "db/query.h"

static const struct row_column columns[] = {
	COLUMN(struct db_migration, id, ROW_KEY),
	COLUMN(struct db_migration, uuid, ROW_FIXED),
	COLUMN(struct db_migration, server_uuid, ROW_FIXED),
	COLUMN(struct db_migration, status, 0),
	COLUMN(struct db_migration, type, ROW_FIXED),
	COLUMN(struct db_migration, source_compute, 0),
	COLUMN(struct db_migration, source_node, 0),
	COLUMN(struct db_migration, dest_compute, 0),
	COLUMN(struct db_migration, dest_node, 0),
	COLUMN(struct db_migration, dest_host, 0),
	COLUMN(struct db_migration, old_flavor_id, 0),
	COLUMN(struct db_migration, new_flavor_id, 0),
	COLUMN(struct db_migration, user_id, ROW_FIXED),
	COLUMN(struct db_migration, project_id, ROW_FIXED),
	COLUMN_AS("memory_total", struct db_migration, memory.total, 0),
	COLUMN_AS("memory_processed", struct db_migration, memory.processed, 0),
	COLUMN_AS("memory_remaining", struct db_migration, memory.remaining, 0),
	COLUMN_AS("disk_total", struct db_migration, disk.total, 0),
	COLUMN_AS("disk_processed", struct db_migration, disk.processed, 0),
	COLUMN_AS("disk_remaining", struct db_migration, disk.remaining, 0),
	COLUMN(struct db_migration, is_hidden, 0),
	COLUMN(struct db_migration, created_us, ROW_FIXED),
	COLUMN(struct db_migration, updated_us, 0),
};
static const struct row_type migration_row = ROW_TYPE("migrations", "migration", struct db_migration, columns);

#define SELECT_MIGRATIONS "SELECT $columns FROM migrations"
#define NEWEST_FIRST      "ORDER BY created_us DESC, id DESC"

void db_migration_list_clear(struct db_migration_list *list)
{
	row_list_clear(&migration_row, list->items, list->count);
	*list = (struct db_migration_list){ 0 };
}

int db_migration_by_id(struct db_session *session, int64_t id, struct db_migration *ret_migration, struct error *error)
{
	return row_by_id(session, &migration_row, SELECT_MIGRATIONS " WHERE id = ?1", id, ret_migration, error);
}

int db_migration_by_uuid(struct db_session *session, const char *uuid, struct db_migration *ret_migration,
			 struct error *error)
{
	return row_by_text(session, &migration_row, SELECT_MIGRATIONS " WHERE uuid = ?1", uuid, ret_migration, error);
}

int db_migration_find(struct db_session *session, const struct db_migration_filter *filter,
		      struct db_migration_list *ret_migrations, struct error *error)
{
	/* Few rows changed lately or are under way: their ids are found first, unless another condition leaves fewer. */
	bool is_narrow =
		filter->server_uuid || filter->host || filter->source_compute || filter->user_id || filter->project_id;
	const struct query_condition conditions[] = {
		CONDITION_TEXT("server_uuid = ?#", filter->server_uuid),
		CONDITION_TEXT("status = ?#", filter->status),
		CONDITION_TEXT("type = ?#", filter->type),
		CONDITION_TEXT("(source_compute = ?# OR dest_compute = ?#)", filter->host),
		CONDITION_TEXT("source_compute = ?#", filter->source_compute),
		CONDITION_TEXT("user_id = ?#", filter->user_id),
		CONDITION_TEXT("project_id = ?#", filter->project_id),
		CONDITION_NUMBER("updated_us >= ?#", is_narrow ? filter->changes_since_us : 0),
		CONDITION_NUMBER("id IN (SELECT id FROM migrations WHERE updated_us >= ?#)",
				 is_narrow ? 0 : filter->changes_since_us),
		/* The first one says nothing new, but leads to the place in the order. */
		CONDITION_NUMBER("created_us <= ?# AND updated_us <> 0 AND updated_us <= ?#",
				 filter->changes_before_us),
		CONDITION_FACT("type = 'live-migration' AND status IN " MIGRATION_STATUSES_LIVE_IN_PROGRESS,
			       filter->is_in_progress),
		CONDITION_FACT("id IN (SELECT id FROM migrations WHERE source_compute >= '' AND status "
			       "IN " MIGRATION_STATUSES_MOVING ")",
			       filter->is_in_progress && !is_narrow),
		CONDITION_FACT("is_hidden = 0", !filter->has_hidden),
		CONDITION_TEXT("(created_us, id) < (SELECT created_us, id FROM migrations WHERE uuid = ?#)",
			       filter->marker),
	};
	struct query query = {
		.select = SELECT_MIGRATIONS,
		.order = NEWEST_FIRST,
		.conditions = conditions,
		.condition_count = sizeof(conditions) / sizeof(conditions[0]),
		.limit = filter->limit,
	};
	struct row_list rows;
	int result = query_check_marker(session, "SELECT id FROM migrations WHERE uuid = ?1", filter->marker, error);

	if (result == 0)
		result = query_read_all(session, &migration_row, &query, &rows, error);
	if (result == 0)
		ROW_LIST_GIVE(rows, ret_migrations);
	return result;
}

int db_migration_by_server_and_status(struct db_session *session, const char *server_uuid, const char *status,
				      struct db_migration *ret_migration, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(
		session, SELECT_MIGRATIONS " WHERE server_uuid = ?1 AND status = ?2 " NEWEST_FIRST " LIMIT 1",
		&migration_row, &statement, error);

	if (result < 0)
		return result;
	statement_bind_text(statement, 1, server_uuid);
	statement_bind_text(statement, 2, status);
	result = row_read(statement, &migration_row, ret_migration, error);
	if (result == -ENOENT)
		return error_set(error, ENOENT, "server %.64s has no migration %.32s", server_uuid, status);
	return result;
}

int db_migration_unended_of_server(struct db_session *session, const char *server_uuid,
				   struct db_migration_list *ret_migrations, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	struct row_list rows;
	int result =
		statement_begin(session,
				SELECT_MIGRATIONS " WHERE server_uuid = ?1 AND status NOT IN " MIGRATION_STATUSES_ENDED
						  " ORDER BY created_us, id",
				&migration_row, &statement, error);

	if (result < 0)
		return result;
	statement_bind_text(statement, 1, server_uuid);
	result = row_read_all(statement, &migration_row, &rows, error);
	if (result == 0)
		ROW_LIST_GIVE(rows, ret_migrations);
	return result;
}

int db_migration_insert(struct db_session *session, struct db_migration *migration, struct error *error)
{
	int64_t id = 0;

	if (!migration->uuid[0])
		uuid_make(migration->uuid);
	if (!migration->created_us)
		migration->created_us = db_now_us(session);

	int result = row_insert(session, &migration_row, migration, &id, error);
	if (result < 0)
		return result;
	migration->id = id;
	result = session_changed(session, DB_TABLE_MIGRATIONS, id, error);
	return result < 0 ? result : place_changed_by_migration(session, id, error);
}

static void bind_name(struct statement *statement, int index, const char *name, size_t size)
{
	statement_bind_name(statement, index, name ? name : "", size);
}

int db_migration_set_status(struct db_session *session, int64_t id, const char *status, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin_change(
		session, "UPDATE migrations SET updated_us = ?2, status = ?3 WHERE id = ?1 RETURNING id", id,
		&statement, error);

	if (result < 0)
		return result;
	bind_name(statement, 3, status, sizeof(((struct db_migration *)NULL)->status));
	result = statement_change(statement, DB_TABLE_MIGRATIONS, migration_row.noun, error);
	return result < 0 ? result : place_changed_by_migration(session, id, error);
}

int db_migration_set_target(struct db_session *session, int64_t id, const char *compute, const char *node,
			    const char *address, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = place_changed_by_migration(session, id, error);

	if (result == 0)
		result = statement_begin_change(
			session,
			"UPDATE migrations SET updated_us = ?2, dest_compute = ?3, dest_node = ?4, "
			"dest_host = ?5 WHERE id = ?1 RETURNING id",
			id, &statement, error);
	if (result < 0)
		return result;
	bind_name(statement, 3, compute, DB_NAME_SIZE);
	bind_name(statement, 4, node, DB_NAME_SIZE);
	bind_name(statement, 5, address, DB_NAME_SIZE);
	result = statement_change(statement, DB_TABLE_MIGRATIONS, migration_row.noun, error);
	return result < 0 ? result : place_changed_by_migration(session, id, error);
}

int db_migration_set_source_node(struct db_session *session, int64_t id, const char *node, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin_change(
		session, "UPDATE migrations SET updated_us = ?2, source_node = ?3 WHERE id = ?1 RETURNING id", id,
		&statement, error);

	if (result < 0)
		return result;
	bind_name(statement, 3, node, DB_NAME_SIZE);
	return statement_change(statement, DB_TABLE_MIGRATIONS, migration_row.noun, error);
}

static void bind_progress(struct statement *statement, int first_index, const struct db_progress *progress)
{
	if (!progress)
		return; /* stays NULL: the row keeps what it has */
	statement_bind_int64(statement, first_index, progress->total);
	statement_bind_int64(statement, first_index + 1, progress->processed);
	statement_bind_int64(statement, first_index + 2, progress->remaining);
}

int db_migration_set_progress(struct db_session *session, int64_t id, const struct db_progress *memory,
			      const struct db_progress *disk, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin_change(session,
					    "UPDATE migrations SET updated_us = ?2,"
					    " memory_total = COALESCE(?3, memory_total),"
					    " memory_processed = COALESCE(?4, memory_processed),"
					    " memory_remaining = COALESCE(?5, memory_remaining),"
					    " disk_total = COALESCE(?6, disk_total),"
					    " disk_processed = COALESCE(?7, disk_processed),"
					    " disk_remaining = COALESCE(?8, disk_remaining)"
					    " WHERE id = ?1 RETURNING id",
					    id, &statement, error);

	if (result < 0)
		return result;
	bind_progress(statement, 3, memory);
	bind_progress(statement, 6, disk);
	return statement_change(statement, DB_TABLE_MIGRATIONS, migration_row.noun, error);
}
