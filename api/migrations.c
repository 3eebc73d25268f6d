/* GET /os-migrations. The difficulty: who may see whose, and which filters count at which microversion. */
#include "db/migrations.h"
#include "api/handlers.h"
#include "api/parameters.h"
#include "api/view.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <stdlib.h>

#define PAGES_SINCE_MINOR  59
#define OWNERS_SINCE_MINOR 80

static const struct parameter_rule migration_rules[] = {
	{ "hidden", PARAMETER_TEXT, 0, true },
	{ "host", PARAMETER_TEXT, 0, true },
	{ "instance_uuid", PARAMETER_TEXT, 0, true },
	{ "source_compute", PARAMETER_TEXT, 0, true },
	{ "status", PARAMETER_TEXT, 0, true },
	{ "migration_type", PARAMETER_TEXT, 0, true },
	{ "limit", PARAMETER_LIMIT, PAGES_SINCE_MINOR, false },
	{ "marker", PARAMETER_TEXT, PAGES_SINCE_MINOR, false },
	{ "changes-since", PARAMETER_TIME, PAGES_SINCE_MINOR, false },
	{ "changes-before", PARAMETER_TIME, 66, false },
	{ "user_id", PARAMETER_TEXT, OWNERS_SINCE_MINOR, true },
	{ "project_id", PARAMETER_TEXT, OWNERS_SINCE_MINOR, true },
};

const struct parameter_table migration_parameters = { migration_rules, ARRAY_LENGTH(migration_rules),
						      PAGES_SINCE_MINOR };

/* False: answered. A caller's own project needs no right to see all of them. */
static bool may_list(struct request *request, const struct parameters *parameters)
{
	const struct policy_target target = policy_target_caller(request->caller);
	const char *project_id = parameter(parameters, "project_id");

	if (!request_allows(request, "os_compute_api:os-migrations:index", &target))
		return false;
	if (project_id && text_equal(project_id, request->caller->project_id))
		return true;
	return request_allows(request, "os_compute_api:os-migrations:index:all_projects", &target);
}

static struct db_migration_filter filter_of(const struct request *request, const struct parameters *parameters)
{
	return (struct db_migration_filter){
		.server_uuid = parameter(parameters, "instance_uuid"),
		.status = parameter(parameters, "status"),
		.type = parameter(parameters, "migration_type"),
		.host = parameter(parameters, "host"),
		.source_compute = parameter(parameters, "source_compute"),
		.user_id = parameter(parameters, "user_id"),
		.project_id = parameter(parameters, "project_id"),
		.marker = parameter_marker(parameters),
		.changes_since_us = parameter_time_us(parameters, "changes-since"),
		.changes_before_us = parameter_time_us(parameters, "changes-before"),
		.limit = request->minor >= PAGES_SINCE_MINOR ? parameter_limit(request, parameters) : 0,
	};
}

static json_t *list_document(const struct request *request, const struct parameters *parameters,
			     const struct db_migration_list *list, int64_t limit)
{
	const struct policy_target target = policy_target_caller(request->caller);
	bool has_hosts = request_may((struct request *)request, "os_compute_api:os-migrations:index:host", &target);
	const struct view_base base = request_link_base(request);
	json_t *rows = json_array();
	json_t *document;

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(rows, view_migration(&list->items[i], request->minor, &base, has_hosts));
	document = json_pack("{s:o}", "migrations", rows);
	if (document && request->minor >= PAGES_SINCE_MINOR && list->count && (int64_t)list->count == limit)
		json_object_set_new(
			document, "migrations_links",
			parameters_next_links(request, parameters, "os-migrations", list->items[list->count - 1].uuid));
	return document;
}

int handle_migration_index(struct request *request, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_MIGRATIONS struct db_migration_list list = { 0 };
	CLEANUP_PARAMETERS struct parameters parameters = { 0 };
	struct db_migration_filter filter;
	const char *hidden;
	bool is_empty;
	int result = 0;

	if (!parameters_read(request, &migration_parameters, &parameters))
		return 0;
	if (!may_list(request, &parameters))
		return 0;
	filter = filter_of(request, &parameters);
	if (filter.changes_before_us && filter.changes_since_us > filter.changes_before_us)
		return request_reply_fault(request, 400,
					   "The value of changes-since must be less than or equal to changes-before.");
	result = db_read_begin(request->settings->database, &session, error);
	if (result < 0)
		return result;
	/* Hidden rows are never shown: asking for them alone (anything but 0) finds none. */
	hidden = parameter(&parameters, "hidden");
	is_empty = (hidden && !text_equal(hidden, "0")) || (request->minor >= PAGES_SINCE_MINOR && !filter.limit);
	if (!is_empty || filter.marker)
		result = db_migration_find(session, &filter, &list, error);
	if (result == -ENOENT && filter.marker)
		return request_reply_fault(request, 400, "Marker %s could not be found.", filter.marker);
	if (result < 0)
		return result;
	if (is_empty)
		db_migration_list_clear(&list);
	return request_reply_json(request, 200, list_document(request, &parameters, &list, filter.limit));
}
