/* GET /servers/{id}/migrations and one of them: live migrations under way (Nova API 2.23). */
#include "api/handlers.h"
#include "api/parameters.h"
#include "api/server_lookup.h"
#include "api/view.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "db/migrations.h"

int handle_server_migration_index(struct request *request, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	CLEANUP_DB_MIGRATIONS struct db_migration_list list = { 0 };
	CLEANUP_PARAMETERS struct parameters parameters = { 0 };
	struct db_migration_filter filter = { .is_in_progress = true };
	struct policy_target target;
	json_t *rows;
	bool has_hosts;
	int result;

	if (!parameters_read(request, &no_parameters, &parameters))
		return 0;
	result = db_read_begin(request->settings->database, &session, error);
	if (result < 0)
		return result;
	result = server_lookup(request, session, "os_compute_api:servers:migrations:index", false, &server, error);
	if (result <= 0)
		return result;
	target = policy_target_project(server.project_id);
	has_hosts = request_may(request, "os_compute_api:servers:migrations:index:host", &target);
	filter.server_uuid = server.uuid;
	result = db_migration_find(session, &filter, &list, error);
	if (result < 0)
		return result;
	rows = json_array();
	for (size_t i = 0; i < list.count; i++)
		json_array_append_new(rows, view_server_migration(&list.items[i], request->minor, has_hosts));
	return request_reply_json(request, 200, json_pack("{s:o}", "migrations", rows));
}

static bool is_in_progress(const char *status)
{
	return text_equal(status, "queued") || text_equal(status, "preparing") || text_equal(status, "running")
	       || text_equal(status, "post-migrating");
}

int handle_server_migration_show(struct request *request, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	CLEANUP_PARAMETERS struct parameters parameters = { 0 };
	struct db_migration migration = { 0 };
	const char *digits = request->id2 + (request->id2[0] == '+');
	int64_t id = 0;
	int result;

	if (!parameters_read(request, &no_parameters, &parameters))
		return 0;
	result = db_read_begin(request->settings->database, &session, error);
	if (result < 0)
		return result;
	result = server_lookup(request, session, "os_compute_api:servers:migrations:show", false, &server, error);
	if (result <= 0)
		return result;
	result =
		text_to_int64(digits, 1, INT64_MAX, &id) ? db_migration_by_id(session, id, &migration, error) : -ENOENT;
	if (result < 0 && result != -ENOENT)
		return result;
	if (result == -ENOENT || !text_equal(migration.server_uuid, server.uuid))
		return request_reply_fault(request, 404, "In-progress live migration %s is not found for server %s.",
					   request->id2, request->id);
	if (!text_equal(migration.type, "live-migration"))
		return request_reply_fault(request, 404, "Migration %s for server %s is not live-migration.",
					   request->id2, request->id);
	if (!is_in_progress(migration.status))
		return request_reply_fault(request, 404, "Live migration %s for server %s is not in progress.",
					   request->id2, request->id);
	return request_reply_json(
		request, 200, json_pack("{s:o}", "migration", view_server_migration(&migration, request->minor, true)));
}
