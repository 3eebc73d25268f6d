/* Counts over whole tables, each by an index or over narrow rows. */
#include "db/summary.h"

#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/statement.h"

int db_host_counts(struct db_session *session, struct db_host_counts *ret_counts, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	struct db_host_counts counts = { 0 };
	int result =
		statement_begin(session,
				"SELECT is_disabled, CASE WHEN is_up = 1 AND is_forced_down = 0 THEN 1 ELSE 0 END, "
				"COUNT(*) FROM services WHERE binary = 'nova-compute' GROUP BY 1, 2",
				NULL, &statement, error);

	if (result < 0)
		return result;
	while ((result = statement_step(statement, error)) > 0) {
		bool is_disabled = statement_column_int64(statement, 0) != 0;
		bool is_up = statement_column_int64(statement, 1) != 0;
		int64_t count = statement_column_int64(statement, 2);

		*(is_disabled ? &counts.disabled : is_up ? &counts.up : &counts.down) += count;
		counts.answering += is_up ? count : 0;
	}
	if (result == 0)
		*ret_counts = counts;
	return result;
}

/* By the index of unfinished jobs. Those that nobody has taken, or that wait for room, have touched no host. */
int db_job_counts(struct db_session *session, struct db_job_counts ret_counts[DB_JOB_COUNTS_MAX], size_t *ret_count,
		  struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(
		session,
		"SELECT kind, SUM(CASE WHEN owner = '' OR phase = 'queued' THEN 1 ELSE 0 END), "
		"SUM(CASE WHEN owner = '' OR phase = 'queued' THEN 0 ELSE 1 END), MIN(created_us), "
		"COALESCE(MIN(CASE WHEN owner = '' OR phase = 'queued' THEN NULL ELSE created_us END), 0) "
		"FROM jobs WHERE finished_us = 0 GROUP BY kind ORDER BY kind",
		NULL, &statement, error);

	*ret_count = 0;
	if (result < 0)
		return result;
	while (*ret_count < DB_JOB_COUNTS_MAX && (result = statement_step(statement, error)) > 0) {
		struct db_job_counts *counts = &ret_counts[(*ret_count)++];

		TEXT_COPY(counts->kind, statement_column_text(statement, 0));
		counts->waiting = statement_column_int64(statement, 1);
		counts->under_way = statement_column_int64(statement, 2);
		counts->oldest_us = statement_column_int64(statement, 3);
		counts->oldest_under_way_us = statement_column_int64(statement, 4);
	}
	return result < 0 ? result : 0;
}

int db_chore_counts(struct db_session *session, struct db_chore_counts ret_counts[DB_CHORE_COUNTS_MAX],
		    size_t *ret_count, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session,
				     "SELECT kind, COUNT(*), MIN(created_us) FROM chores GROUP BY kind ORDER BY kind",
				     NULL, &statement, error);

	*ret_count = 0;
	if (result < 0)
		return result;
	while (*ret_count < DB_CHORE_COUNTS_MAX && (result = statement_step(statement, error)) > 0) {
		struct db_chore_counts *counts = &ret_counts[(*ret_count)++];

		TEXT_COPY(counts->kind, statement_column_text(statement, 0));
		counts->count = statement_column_int64(statement, 1);
		counts->oldest_us = statement_column_int64(statement, 2);
	}
	return result < 0 ? result : 0;
}

static int64_t size_of(const char *path)
{
	struct stat status;

	return path && stat(path, &status) == 0 ? status.st_size : 0;
}

void db_file_sizes(const struct database *database, int64_t *ret_database, int64_t *ret_log)
{
	CLEANUP_FREE char *log = text_format("%s-wal", database->path);

	*ret_database = size_of(database->path);
	*ret_log = size_of(log);
}

static int run_once(struct db_session *session, const char *sql, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, NULL, &statement, error);

	return result < 0 ? result : statement_run(statement, error);
}

/* To and fro in one transaction, which nobody sees: the engine writes no page whose row was set to what it is. */
int db_write_nothing(struct db_session *session, void *context, struct error *error)
{
	int result = run_once(session, "UPDATE schema_version SET version = version + 1", error);

	(void)context;
	return result < 0 ? result : run_once(session, "UPDATE schema_version SET version = version - 1", error);
}
