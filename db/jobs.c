/* Jobs. */
#include "db/jobs.h"

#include "base/error.h"
#include "db/query.h"
#include "db/server_changed.h"

static const struct row_column columns[] = {
	COLUMN(struct db_job, id, ROW_KEY),
	COLUMN(struct db_job, kind, ROW_FIXED),
	COLUMN(struct db_job, phase, 0),
	COLUMN(struct db_job, server_uuid, ROW_FIXED),
	COLUMN(struct db_job, migration_id, ROW_FIXED | ROW_ZERO_IS_NULL),
	COLUMN(struct db_job, action_id, ROW_FIXED),
	COLUMN(struct db_job, request_id, ROW_FIXED),
	COLUMN(struct db_job, source_host_id, 0),
	COLUMN(struct db_job, target_host_id, 0),
	COLUMN(struct db_job, requested_host, 0),
	COLUMN(struct db_job, is_forced, 0),
	COLUMN(struct db_job, minor_version, ROW_FIXED),
	COLUMN(struct db_job, block_migration, 0),
	COLUMN(struct db_job, disk_over_commit, 0),
	COLUMN(struct db_job, is_abort_requested, ROW_FIXED),
	COLUMN(struct db_job, is_force_complete_requested, ROW_FIXED),
	COLUMN(struct db_job, attempt, 0),
	COLUMN(struct db_job, state, 0),
	COLUMN_AS("verdict_status", struct db_job, verdict.status, ROW_FIXED),
	COLUMN_AS("verdict_message", struct db_job, verdict.message, ROW_FIXED),
	COLUMN_AS("verdict_message_for_admins", struct db_job, verdict.message_for_admins, ROW_FIXED),
	COLUMN(struct db_job, is_waited_for, 0),
	COLUMN(struct db_job, owner, 0),
	COLUMN(struct db_job, lease_until_us, 0),
	COLUMN(struct db_job, created_us, ROW_FIXED),
	COLUMN(struct db_job, updated_us, 0),
	COLUMN(struct db_job, finished_us, 0),
};
static const struct row_type job_row = ROW_TYPE("jobs", "job", struct db_job, columns);

#define SELECT_JOBS "SELECT $columns FROM jobs"

void db_job_clear(struct db_job *job)
{
	row_clear(&job_row, job);
}

void db_job_list_clear(struct db_job_list *list)
{
	row_list_clear(&job_row, list->items, list->count);
	*list = (struct db_job_list){ 0 };
}

int db_job_by_id(struct db_session *session, int64_t id, struct db_job *ret_job, struct error *error)
{
	return row_by_id(session, &job_row, SELECT_JOBS " WHERE id = ?1", id, ret_job, error);
}

int db_job_by_migration(struct db_session *session, int64_t migration_id, struct db_job *ret_job, struct error *error)
{
	int result = row_by_id(session, &job_row, SELECT_JOBS " WHERE migration_id = ?1 ORDER BY id DESC LIMIT 1",
			       migration_id, ret_job, error);

	if (result == -ENOENT)
		return error_set(error, ENOENT, "migration %lld has no job", (long long)migration_id);
	return result;
}

int db_job_unfinished(struct db_session *session, struct db_job_list *ret_jobs, struct error *error)
{
	struct query query = { .select = SELECT_JOBS " WHERE finished_us = 0", .order = "ORDER BY id" };
	struct row_list rows;
	int result = query_read_all(session, &job_row, &query, &rows, error);

	if (result == 0)
		ROW_LIST_GIVE(rows, ret_jobs);
	return result;
}

int db_job_unfinished_of_server(struct db_session *session, const char *server_uuid, struct db_job *ret_job,
				struct error *error)
{
	int result = row_by_text(session, &job_row,
				 SELECT_JOBS " WHERE server_uuid = ?1 AND finished_us = 0 ORDER BY id DESC LIMIT 1",
				 server_uuid, ret_job, error);

	if (result == -ENOENT)
		return error_set(error, ENOENT, "server %.64s has no unfinished job", server_uuid);
	return result;
}

int db_job_insert(struct db_session *session, struct db_job *job, struct error *error)
{
	int64_t id = 0;

	if (!job->created_us)
		job->created_us = db_now_us(session);

	int result = row_insert(session, &job_row, job, &id, error);
	if (result == -EEXIST)
		return error_wrap(error, "server %.36s has an unfinished job", job->server_uuid);
	if (result < 0)
		return result;
	job->id = id;
	server_changed(session, job->server_uuid);
	return session_changed(session, DB_TABLE_JOBS, id, error);
}

int db_job_update(struct db_session *session, const struct db_job *job, struct error *error)
{
	struct db_job changed = *job; /* its texts stay the caller's */

	changed.updated_us = db_now_us(session);
	server_changed(session, job->server_uuid);
	return row_update(session, &job_row, DB_TABLE_JOBS, job->id, &changed, error);
}

int db_job_set_verdict(struct db_session *session, int64_t id, int status, const char *message,
		       const char *message_for_admins, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result =
		statement_begin_change(session,
				       "UPDATE jobs SET updated_us = ?2, verdict_status = ?3, verdict_message = ?4, "
				       "verdict_message_for_admins = ?5 WHERE id = ?1 RETURNING id",
				       id, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 3, status);
	statement_bind_text(statement, 4, message);
	statement_bind_text(statement, 5, message_for_admins);
	return statement_change(statement, DB_TABLE_JOBS, "job", error);
}

int db_job_request(struct db_session *session, int64_t id, bool abort, bool force_complete, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin_change(
		session,
		"UPDATE jobs SET updated_us = ?2,"
		" is_abort_requested = CASE WHEN ?3 = 1 THEN 1 ELSE is_abort_requested END,"
		" is_force_complete_requested = CASE WHEN ?4 = 1 THEN 1 ELSE is_force_complete_requested END"
		" WHERE id = ?1 RETURNING id",
		id, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 3, abort);
	statement_bind_int64(statement, 4, force_complete);
	return statement_change(statement, DB_TABLE_JOBS, "job", error);
}

/* Why the job could not be taken. */
static int explain_refusal(struct db_session *session, int64_t id, const char *node, struct error *error)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };
	int result = db_job_by_id(session, id, &job, error);

	if (result < 0)
		return result;
	if (job.finished_us)
		return error_set(error, EBUSY, "job %lld is finished", (long long)id);
	return error_set(error, EBUSY, "job %lld belongs to node %s for %lld ms more; node %.255s cannot take it",
			 (long long)id, job.owner, (long long)((job.lease_until_us - db_now_us(session)) / 1000), node);
}

int db_job_take(struct db_session *session, int64_t id, const char *node, int64_t lease_until_us, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin_change(session,
					    "UPDATE jobs SET updated_us = ?2, owner = ?3, lease_until_us = ?4"
					    " WHERE id = ?1 AND finished_us = 0"
					    " AND (owner = '' OR owner = ?3 OR lease_until_us < ?2) RETURNING id",
					    id, &statement, error);

	if (result < 0)
		return result;
	statement_bind_name(statement, 3, node, DB_NAME_SIZE);
	statement_bind_int64(statement, 4, lease_until_us);
	result = statement_change(statement, DB_TABLE_JOBS, "job", error);
	return result == -ENOENT ? explain_refusal(session, id, node, error) : result;
}
