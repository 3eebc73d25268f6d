/* One migration for the operator. Its bytes are the hypervisor's newest while the guest moves, else those that were recorded. */
#include "server/admin_migration.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "db/migrations.h"
#include "server/worker/hypervisor.h"
#include "server/worker/worker.h"

static int find(struct db_session *session, const json_t *id, struct db_migration *ret_migration, struct error *error)
{
	const char *text = json_string_value(id);
	int64_t number = json_integer_value(id);

	if (text && !text_to_int64(text, 1, INT64_MAX, &number))
		return uuid_is_valid(text)
			       ? db_migration_by_uuid(session, text, ret_migration, error)
			       : error_set(error, EINVAL, "a migration is named by its number or its UUID, not \"%s\"",
					   text);
	return db_migration_by_id(session, number, ret_migration, error);
}

static void set_bytes(json_t *answer, const char *kind, int64_t total, int64_t processed, int64_t remaining)
{
	if (total >= 0)
		json_object_set_new(answer, kind,
				    json_pack("{s:I, s:I, s:I}", "total", (json_int_t)total, "processed",
					      (json_int_t)processed, "remaining", (json_int_t)remaining));
}

static void set_recorded(json_t *answer, const char *kind, const struct db_progress *progress)
{
	set_bytes(answer, kind, progress->total, progress->processed, progress->remaining);
}

static void set_progress(json_t *answer, const struct move_progress *progress)
{
	set_bytes(answer, "memory", progress->memory_total, progress->memory_processed, progress->memory_remaining);
	set_bytes(answer, "disk", progress->disk_total, progress->disk_processed, progress->disk_remaining);
	json_object_set_new(answer, "bytes_per_s", json_integer(progress->bytes_per_s));
	json_object_set_new(answer, "dirty_bytes_per_s", json_integer(progress->dirty_bytes_per_s));
	json_object_set_new(answer, "elapsed_ms", json_integer(progress->elapsed_ms));
	json_object_set_new(answer, "is_in_postcopy", json_boolean(progress->is_in_postcopy));
}

static json_t *text_or_null(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

static json_t *time_or_null(int64_t time_us)
{
	char text[TIME_TEXT_SIZE];

	if (!time_us)
		return json_null();
	time_format_micros(time_us, text);
	return json_string(text);
}

int admin_migration_show(struct database *database, struct worker *worker, const json_t *id, json_t **ret_answer,
			 struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	struct db_migration migration = { 0 };
	struct move_progress progress = { 0 };
	int result = db_read_begin(database, &session, error);

	if (result == 0)
		result = find(session, id, &migration, error);
	if (result < 0)
		return result;
	json_t *answer =
		json_pack("{s:I, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)migration.id,
			  "uuid", migration.uuid, "server", migration.server_uuid, "status", migration.status, "type",
			  migration.type, "source", text_or_null(migration.source_compute), "target",
			  text_or_null(migration.dest_compute), "created_at", time_or_null(migration.created_us),
			  "updated_at", time_or_null(migration.updated_us), "memory", json_null(), "disk", json_null());
	if (!answer)
		return error_no_memory(error);
	set_recorded(answer, "memory", &migration.memory);
	set_recorded(answer, "disk", &migration.disk);
	if (worker && worker_progress(worker, migration.id, &progress) == 0)
		set_progress(answer, &progress);
	*ret_answer = answer;
	return 0;
}
