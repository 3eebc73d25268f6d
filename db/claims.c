/* Claims: checked and made in the caller's transaction, which the single writer runs alone. */
#include "db/claims.h"

#include "base/error.h"
#include "db/place.h"
#include "db/row.h"
#include "db/server_changed.h"

static const struct row_column columns[] = {
	COLUMN(struct db_claim, id, ROW_KEY),    COLUMN(struct db_claim, host_id, 0),
	COLUMN(struct db_claim, server_uuid, 0), COLUMN(struct db_claim, migration_id, 0),
	COLUMN(struct db_claim, vcpus, 0),       COLUMN(struct db_claim, memory_mb, 0),
	COLUMN(struct db_claim, disk_gb, 0),
};
static const struct row_type claim_row = ROW_TYPE("claims", "claim", struct db_claim, columns);

void db_claim_list_clear(struct db_claim_list *list)
{
	row_list_clear(&claim_row, list->items, list->count);
	*list = (struct db_claim_list){ 0 };
}

static int check_fits(struct db_session *session, const struct db_claim *claim,
		      const struct db_claim_capacity *capacity, struct error *error)
{
	struct db_host_usage usage;
	int result = db_host_usage(session, claim->host_id, &usage, error);

	if (result < 0)
		return result;

	const struct {
		const char *what;
		int64_t wanted;
		int64_t used;
		int64_t limit;
	} resources[] = {
		{ "vCPUs", claim->vcpus, usage.vcpus, capacity->vcpus },
		{ "MiB of memory", claim->memory_mb, usage.memory_mb, capacity->memory_mb },
		{ "GiB of disk", claim->disk_gb, usage.disk_gb, capacity->disk_gb },
	};
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
		if (resources[i].limit >= 0 && resources[i].wanted > 0
		    && resources[i].wanted > resources[i].limit - resources[i].used)
			return error_set(error, EBUSY, "%lld %s are wanted, %lld of %lld are taken",
					 (long long)resources[i].wanted, resources[i].what,
					 (long long)resources[i].used, (long long)resources[i].limit);
	return 0;
}

int db_claim_make(struct db_session *session, const struct db_claim *claim, const struct db_claim_capacity *capacity,
		  struct error *error)
{
	int64_t id = 0;

	if (claim->vcpus < 0 || claim->memory_mb < 0 || claim->disk_gb < 0)
		return error_set(error, EINVAL, "a claim of server %.36s for less than nothing", claim->server_uuid);

	int result = check_fits(session, claim, capacity, error);
	if (result < 0)
		return result;
	result = row_insert(session, &claim_row, claim, &id, error);
	if (result < 0)
		return result;
	server_changed(session, claim->server_uuid);
	result = session_changed(session, DB_TABLE_CLAIMS, id, error);
	return result < 0 ? result : place_changed(session, claim->host_id, error);
}

/* Runs a change that ends in RETURNING id, host_id, server_uuid, and reports every row that it answers. */
static int report(struct db_session *session, struct statement *statement, struct error *error)
{
	int result;

	while ((result = statement_step(statement, error)) > 0) {
		server_changed(session, statement_column_text(statement, 2));
		result = session_changed(session, DB_TABLE_CLAIMS, statement_column_int64(statement, 0), error);
		if (result == 0)
			result = place_changed(session, statement_column_int64(statement, 1), error);
		if (result < 0)
			return result;
	}
	return result;
}

int db_claim_release(struct db_session *session, int64_t migration_id, int64_t host_id, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session,
				     "DELETE FROM claims WHERE migration_id = ?1 AND (?2 = 0 OR host_id = ?2)"
				     " RETURNING id, host_id, server_uuid",
				     NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, migration_id);
	statement_bind_int64(statement, 2, host_id);
	return report(session, statement, error);
}

static int end_on_host(struct db_session *session, const char *server_uuid, int64_t host_id, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session,
				     "DELETE FROM claims WHERE server_uuid = ?1 AND host_id = ?2"
				     " RETURNING id, host_id, server_uuid",
				     NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_text(statement, 1, server_uuid);
	statement_bind_int64(statement, 2, host_id);
	return report(session, statement, error);
}

int db_claim_make_way(struct db_session *session, const char *server_uuid, int64_t host_id, int64_t former_host_id,
		      struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;

	if (!former_host_id || former_host_id == host_id)
		return end_on_host(session, server_uuid, host_id, error);
	int result = statement_begin(session,
				     "UPDATE claims SET host_id = ?3 WHERE server_uuid = ?1 AND host_id = ?2"
				     " RETURNING id, host_id, server_uuid",
				     NULL, &statement, error);
	if (result < 0)
		return result;
	statement_bind_text(statement, 1, server_uuid);
	statement_bind_int64(statement, 2, host_id);
	statement_bind_int64(statement, 3, former_host_id);
	result = report(session, statement, error); /* the former host, which has it now */
	return result < 0 ? result : place_changed(session, host_id, error);
}

int db_claim_release_by_host(struct db_session *session, int64_t host_id, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result =
		statement_begin(session, "DELETE FROM claims WHERE host_id = ?1 RETURNING id, host_id, server_uuid",
				NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, host_id);
	return report(session, statement, error);
}

static int read_claims(struct db_session *session, const char *sql, int64_t id, struct db_claim_list *ret_claims,
		       struct error *error)
{
	struct row_list rows;
	int result = row_list_by_number(session, &claim_row, sql, id, &rows, error);

	if (result == 0)
		ROW_LIST_GIVE(rows, ret_claims);
	return result;
}

int db_claim_by_host(struct db_session *session, int64_t host_id, struct db_claim_list *ret_claims, struct error *error)
{
	return read_claims(session, "SELECT $columns FROM claims WHERE host_id = ?1 ORDER BY id", host_id, ret_claims,
			   error);
}

int db_claim_by_migration(struct db_session *session, int64_t migration_id, struct db_claim_list *ret_claims,
			  struct error *error)
{
	return read_claims(session, "SELECT $columns FROM claims WHERE migration_id = ?1 ORDER BY id", migration_id,
			   ret_claims, error);
}
