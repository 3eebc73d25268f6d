/* GET /servers/{id}/os-instance-actions and one of them with its events. */
#include "db/instance_actions.h"
#include "api/handlers.h"
#include "api/parameters.h"
#include "api/server_lookup.h"
#include "api/view.h"
#include "base/cleanup.h"
#include "base/text.h"

#define DELETED_SINCE_MINOR        21
#define PAGES_SINCE_MINOR          58
#define EVENTS_FOR_ALL_SINCE_MINOR 51

static const struct parameter_rule action_rules[] = {
	{ "limit", PARAMETER_LIMIT, PAGES_SINCE_MINOR, false },
	{ "marker", PARAMETER_TEXT, PAGES_SINCE_MINOR, false },
	{ "changes-since", PARAMETER_TIME, PAGES_SINCE_MINOR, false },
	{ "changes-before", PARAMETER_TIME, 66, false },
};

const struct parameter_table action_parameters = { action_rules, ARRAY_LENGTH(action_rules), PAGES_SINCE_MINOR };

static json_t *list_document(const struct request *request, const struct parameters *parameters,
			     const struct db_action_list *list, int64_t limit)
{
	CLEANUP_FREE char *path = text_format("servers/%s/os-instance-actions", request->id);
	json_t *rows = json_array();
	json_t *document;

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(rows, view_action(&list->items[i], request->minor));
	document = json_pack("{s:o}", "instanceActions", rows);
	if (document && path && request->minor >= PAGES_SINCE_MINOR && list->count && (int64_t)list->count == limit)
		json_object_set_new(
			document, "links",
			parameters_next_links(request, parameters, path, list->items[list->count - 1].request_id));
	return document;
}

int handle_instance_action_index(struct request *request, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	CLEANUP_DB_ACTIONS struct db_action_list list = { 0 };
	CLEANUP_PARAMETERS struct parameters parameters = { 0 };
	struct db_action_filter filter = { 0 };
	int64_t limit;
	int result;

	if (!parameters_read(request, &action_parameters, &parameters))
		return 0;
	result = db_read_begin(request->settings->database, &session, error);
	if (result < 0)
		return result;
	result = server_lookup(request, session, "os_compute_api:os-instance-actions:list",
			       request->minor >= DELETED_SINCE_MINOR, &server, error);
	if (result <= 0)
		return result;
	limit = parameter_limit(request, &parameters);
	filter.server_uuid = server.uuid;
	filter.marker = parameter(&parameters, "marker");
	filter.changes_since_us = parameter_time_us(&parameters, "changes-since");
	filter.changes_before_us = parameter_time_us(&parameters, "changes-before");
	filter.limit = request->minor >= PAGES_SINCE_MINOR ? limit : 0;
	if (filter.changes_before_us && filter.changes_since_us > filter.changes_before_us)
		return request_reply_fault(request, 400,
					   "The value of changes-since must be less than or equal to changes-before.");
	if (limit > 0 || filter.marker)
		result = db_action_find(session, &filter, &list, error);
	/* Nova prints None for the marker, whatever was sent. */
	if (result == -ENOENT)
		return request_reply_fault(request, 400, "Marker None could not be found.");
	if (result < 0)
		return result;
	if (!limit)
		db_action_list_clear(&list);
	return request_reply_json(request, 200, list_document(request, &parameters, &list, limit));
}

static json_t *event_documents(const struct db_event_list *events, const struct view_event_scope *scope)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < events->count; i++)
		json_array_append_new(rows, view_event(&events->items[i], scope));
	return rows;
}

int handle_instance_action_show(struct request *request, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	CLEANUP_DB_ACTION struct db_action action = { 0 };
	CLEANUP_DB_EVENTS struct db_event_list events = { 0 };
	CLEANUP_PARAMETERS struct parameters parameters = { 0 };
	struct view_event_scope scope = { .minor = request->minor };
	struct policy_target target;
	json_t *document;
	int result;

	if (!parameters_read(request, &no_parameters, &parameters))
		return 0;
	result = db_read_begin(request->settings->database, &session, error);
	if (result < 0)
		return result;
	result = server_lookup(request, session, "os_compute_api:os-instance-actions:show",
			       request->minor >= DELETED_SINCE_MINOR, &server, error);
	if (result <= 0)
		return result;
	result = strstr(request->id2, NUL_IN_TEXT)
			 ? -ENOENT
			 : db_action_by_request(session, server.uuid, request->id2, &action, error);
	if (result == -ENOENT)
		return request_reply_fault(request, 404, "Action %s not found", request->id2);
	if (result < 0)
		return result;
	target = policy_target_project(server.project_id);
	scope.project_id = server.project_id;
	scope.has_traceback = request_may(request, "os_compute_api:os-instance-actions:events", &target);
	scope.has_details = request->minor >= 84
			    && request_may(request, "os_compute_api:os-instance-actions:events:details", &target);
	document = view_action(&action, request->minor);
	if (document && (scope.has_traceback || request->minor >= EVENTS_FOR_ALL_SINCE_MINOR)) {
		result = db_event_by_action(session, action.id, &events, error);
		if (result < 0) {
			json_decref(document);
			return result;
		}
		json_object_set_new(document, "events", event_documents(&events, &scope));
	}
	return request_reply_json(request, 200, json_pack("{s:o}", "instanceAction", document));
}
