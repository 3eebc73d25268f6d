/* The journal of volumes that a move makes on its target: each is recorded before it is made, and as whole only after it was
 * compared, so that at any crash it is known what is ours there. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/job.h"

static int write_volume(struct db_session *session, void *context, struct error *error)
{
	return db_volume_insert(session, context, error);
}

static int journal_begin(void *context, const char *pool, const char *name, int64_t bytes, int64_t *ret_volume_id,
			 struct error *error)
{
	struct job_run *run = context;
	struct db_volume volume = { .job_id = run->job.id, .host_id = run->job.target_host_id, .bytes = bytes };

	TEXT_COPY(volume.pool, pool);
	TEXT_COPY(volume.name, name);
	int result = db_write(run->worker->parts.database, write_volume, &volume, error);
	if (result == 0)
		*ret_volume_id = volume.id;
	return result;
}

static int write_volume_complete(struct db_session *session, void *context, struct error *error)
{
	return db_volume_set_complete(session, *(int64_t *)context, error);
}

static int journal_complete(void *context, int64_t volume_id, struct error *error)
{
	struct job_run *run = context;

	return db_write(run->worker->parts.database, write_volume_complete, &volume_id, error);
}

static int write_volume_delete(struct db_session *session, void *context, struct error *error)
{
	return db_volume_delete(session, *(int64_t *)context, error);
}

static int journal_forget(void *context, int64_t volume_id, struct error *error)
{
	struct job_run *run = context;

	return db_write(run->worker->parts.database, write_volume_delete, &volume_id, error);
}

struct volume_journal job_journal(struct job_run *run)
{
	return (struct volume_journal){ journal_begin, journal_complete, journal_forget, run };
}

static int read_volumes(struct job_run *run, struct db_volume_list *ret_volumes, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	int result = db_read_begin(run->worker->parts.database, &session, error);

	return result < 0 ? result : db_volume_by_migration(session, run->job.migration_id, ret_volumes, error);
}

int job_copied_volumes(struct job_run *run, struct db_volume_list *ret_rows, struct hypervisor_volume **ret_volumes,
		       size_t *ret_count, struct error *error)
{
	size_t count = 0;
	int result = read_volumes(run, ret_rows, error);

	if (result < 0)
		return result;
	struct hypervisor_volume *volumes = calloc(ret_rows->count + 1, sizeof(*volumes));
	if (!volumes)
		return error_no_memory(error);
	for (size_t i = 0; i < ret_rows->count; i++) {
		const struct db_volume *row = &ret_rows->items[i];

		if (row->is_complete)
			volumes[count++] = (struct hypervisor_volume){ row->pool, row->name, row->bytes };
	}
	*ret_volumes = volumes;
	*ret_count = count;
	return 0;
}

int job_remove_copies(struct job_run *run, struct error *error)
{
	CLEANUP_DB_VOLUMES struct db_volume_list rows = { 0 };
	int result = read_volumes(run, &rows, error);

	for (size_t i = 0; result == 0 && i < rows.count; i++) {
		struct db_volume *row = &rows.items[i];
		const struct hypervisor_volume volume = { row->pool, row->name, row->bytes };

		if (row->host_id != run->job.target_host_id)
			continue;
		/* A whole copy goes only while the disk that it was made from is there. */
		if (row->is_complete)
			result = job_operations(run)->verify_disks(run->source, &volume, 1, error);
		if (result == 0)
			result = job_operations(run)->remove_volume(run->target, &volume, error);
		if (result == 0)
			result = db_write(run->worker->parts.database, write_volume_delete, &row->id, error);
	}
	return result;
}
