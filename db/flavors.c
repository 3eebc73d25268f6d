/* Flavors: equal ones share a row. */
#include "db/flavors.h"

#include "base/error.h"
#include "db/query.h"

static const struct row_column columns[] = {
	COLUMN(struct db_flavor, id, ROW_KEY),     COLUMN(struct db_flavor, flavor_id, 0),
	COLUMN(struct db_flavor, name, 0),         COLUMN(struct db_flavor, vcpus, 0),
	COLUMN(struct db_flavor, memory_mb, 0),    COLUMN(struct db_flavor, disk_gb, 0),
	COLUMN(struct db_flavor, ephemeral_gb, 0), COLUMN(struct db_flavor, swap_mb, 0),
	COLUMN(struct db_flavor, extra_specs, 0),
};
static const struct row_type flavor_row = ROW_TYPE("flavors", "flavor", struct db_flavor, columns);

void db_flavor_clear(struct db_flavor *flavor)
{
	row_clear(&flavor_row, flavor);
}

/* 0 when there is none. */
static int find_equal(struct db_session *session, const struct db_flavor *flavor, int64_t *ret_id, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session,
				     "SELECT id FROM flavors WHERE name = ?1 AND flavor_id = ?2 AND vcpus = ?3"
				     " AND memory_mb = ?4 AND disk_gb = ?5 AND ephemeral_gb = ?6 AND swap_mb = ?7"
				     " AND extra_specs = ?8 ORDER BY id LIMIT 1",
				     NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_name(statement, 1, flavor->name, sizeof(flavor->name));
	statement_bind_name(statement, 2, flavor->flavor_id, sizeof(flavor->flavor_id));
	statement_bind_int64(statement, 3, flavor->vcpus);
	statement_bind_int64(statement, 4, flavor->memory_mb);
	statement_bind_int64(statement, 5, flavor->disk_gb);
	statement_bind_int64(statement, 6, flavor->ephemeral_gb);
	statement_bind_int64(statement, 7, flavor->swap_mb);
	statement_bind_text(statement, 8, flavor->extra_specs);
	result = statement_step(statement, error);
	if (result < 0)
		return result;
	*ret_id = result > 0 ? statement_column_int64(statement, 0) : 0;
	return 0;
}

static int is_id_taken(struct db_session *session, int64_t id, bool *ret_is_taken, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, "SELECT id FROM flavors WHERE id = ?1", NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, id);
	result = statement_step(statement, error);
	if (result < 0)
		return result;
	*ret_is_taken = result > 0;
	return 0;
}

int flavor_keep(struct db_session *session, struct db_flavor *flavor, struct error *error)
{
	struct db_flavor fresh = *flavor; /* its texts stay the caller's */
	bool is_taken = false;
	int64_t id = 0;
	int result = find_equal(session, flavor, &id, error);

	if (result == 0 && id == 0 && flavor->id != 0)
		result = is_id_taken(session, flavor->id, &is_taken, error);
	if (result < 0)
		return result;
	if (id == 0) {
		if (is_taken)
			fresh.id = 0;
		result = row_insert(session, &flavor_row, &fresh, &id, error);
		if (result < 0)
			return result;
	}
	flavor->id = id;
	return 0;
}

void db_flavor_list_clear(struct db_flavor_list *list)
{
	row_list_clear(&flavor_row, list->items, list->count);
	*list = (struct db_flavor_list){ 0 };
}

int db_flavor_find(struct db_session *session, const struct db_flavor_filter *filter,
		   struct db_flavor_list *ret_flavors, struct error *error)
{
	const struct query_condition conditions[] = {
		CONDITION_FACT("id IN (SELECT MAX(id) FROM flavors GROUP BY flavor_id)", true),
		CONDITION_TEXT("flavor_id = ?#", filter->flavor_id),
		CONDITION_TEXT("flavor_id > ?#", filter->marker),
		CONDITION_NUMBER("memory_mb >= ?#", filter->least_memory_mb),
		CONDITION_NUMBER("disk_gb >= ?#", filter->least_disk_gb),
	};
	const struct query query = {
		.select = "SELECT $columns FROM flavors",
		.order = "ORDER BY flavor_id",
		.conditions = conditions,
		.condition_count = sizeof(conditions) / sizeof(conditions[0]),
		.limit = filter->limit,
	};
	struct row_list rows;
	int result = query_check_marker(session, "SELECT id FROM flavors WHERE flavor_id = ?1", filter->marker, error);

	if (result == 0)
		result = query_read_all(session, &flavor_row, &query, &rows, error);
	if (result == 0)
		ROW_LIST_GIVE(rows, ret_flavors);
	return result;
}
