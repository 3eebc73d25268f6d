/* PUT /os-services/{id}: by the service's UUID (Nova API 2.53), before that by host and binary, the path naming the change:
 * enable, disable, disable-log-reason, and force-down (2.11). */
#include "api/handlers.h"
#include "api/microversion.h"
#include "api/schema.h"
#include "api/view.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "base/uuid.h"
#include "db/hosts.h"

#define FIRST_MINOR_FORCED_DOWN 11
#define FIRST_MINOR_UUID        53

static const struct schema_property older_properties[] = {
	{ "host", SCHEMA_HOST_NAME, true },
	{ "binary", SCHEMA_WORDS, true },
	{ "disabled_reason", SCHEMA_WORDS, false },
	{ "forced_down", SCHEMA_BOOLEAN, false },
};

static const struct schema_property properties[] = {
	{ "status", SCHEMA_SERVICE_STATUS, false },
	{ "disabled_reason", SCHEMA_WORDS, false },
	{ "forced_down", SCHEMA_BOOLEAN, false },
};

static const struct schema schemas[] = {
	{ .first_minor = 1,
	  .last_minor = FIRST_MINOR_FORCED_DOWN - 1,
	  .properties = older_properties,
	  .property_count = ARRAY_LENGTH(older_properties) - 1 },
	{ .first_minor = FIRST_MINOR_FORCED_DOWN,
	  .last_minor = FIRST_MINOR_UUID - 1,
	  .properties = older_properties,
	  .property_count = ARRAY_LENGTH(older_properties) },
	{ .first_minor = FIRST_MINOR_UUID,
	  .last_minor = MICROVERSION_MINOR_MAX,
	  .properties = properties,
	  .property_count = ARRAY_LENGTH(properties) },
};

const struct schema_table service_bodies = { schemas, ARRAY_LENGTH(schemas) };

struct update {
	struct request *request;
	const char *uuid; /* or host and binary */
	const char *host;
	const char *binary;
	bool sets_disabled, is_disabled;
	const char *reason; /* of the new state; NULL: none */
	bool sets_forced_down, is_forced_down;
	struct db_service service; /* as it is afterwards */
	int refusal;
};

static const char *text_of(const struct request *request, const char *name)
{
	return json_string_value(json_object_get(request->body, name));
}

static bool names_service(const struct update *update, const struct db_service *service)
{
	if (update->uuid)
		return text_equal(service->uuid, update->uuid);
	return text_equal(service->host, update->host) && text_equal(service->binary, update->binary);
}

/* Moves the service out of the list. */
static bool take_service(struct update *update, struct db_service_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (names_service(update, &list->items[i])) {
			update->service = list->items[i];
			list->items[i].disabled_reason = NULL;
			return true;
		}
	return false;
}

static int change(struct update *update, struct error *error)
{
	struct db_service *service = &update->service;

	if (update->sets_disabled) {
		service->is_disabled = update->is_disabled;
		free(service->disabled_reason);
		service->disabled_reason = update->reason ? strdup(update->reason) : NULL;
		if (update->reason && !service->disabled_reason)
			return error_no_memory(error);
	}
	if (update->sets_forced_down)
		service->is_forced_down = update->is_forced_down;
	return 0;
}

static int carry_out(struct db_session *session, void *context, struct error *error)
{
	struct update *update = context;
	CLEANUP_DB_SERVICES struct db_service_list list = { 0 };
	int result = db_service_all(session, &list, error);

	if (result < 0)
		return result;
	if (!take_service(update, &list)) {
		update->refusal = 404;
		return 0;
	}
	result = change(update, error);
	return result < 0 ? result : db_service_update(session, &update->service, error);
}

/* The older answers tell only what was asked for. */
static json_t *older_document(const struct update *update)
{
	json_t *document = json_pack("{s:s, s:s}", "host", update->host, "binary", update->binary);

	if (update->sets_disabled)
		json_object_set_new(document, "status", json_string(update->is_disabled ? "disabled" : "enabled"));
	if (update->reason)
		json_object_set_new(document, "disabled_reason", json_string(update->reason));
	if (update->sets_forced_down)
		json_object_set_new(document, "forced_down", json_boolean(update->is_forced_down));
	return json_pack("{s:o}", "service", document);
}

static int reply_refusal(struct update *update)
{
	if (update->uuid)
		return request_reply_fault(update->request, 404, "Service %s not found.", update->uuid);
	return request_reply_fault(update->request, 404, "Host '%s' is not mapped to any cell", update->host);
}

/* On the writer's thread, after the commit. */
static void answer(void *context, int result, const struct error *error)
{
	struct update *update = context;
	struct error no_memory = { 0 };

	if (result < 0) {
		error_no_memory(&no_memory);
		request_reply_error(update->request, error ? error : &no_memory);
	} else if (update->refusal) {
		reply_refusal(update);
	} else {
		int minor = update->request->minor;
		json_t *document = update->uuid ? json_pack("{s:o}", "service", view_service(&update->service, minor))
						: older_document(update);

		request_reply_json(update->request, 200, document);
	}
	free(update->service.disabled_reason);
	free(update);
}

static bool refuse(struct request *request, int status, const char *words)
{
	request_reply_fault(request, status, "%s", words);
	return false;
}

/* Before 2.53. False: answered. */
static bool read_older(struct update *update)
{
	struct request *request = update->request;
	const json_t *forced_down = json_object_get(request->body, "forced_down");
	const char *action = request->id;

	update->host = text_of(request, "host");
	update->binary = text_of(request, "binary");
	update->sets_disabled = true;
	if (text_equal(action, "enable"))
		return true;
	update->is_disabled = true;
	if (text_equal(action, "disable"))
		return true;
	if (text_equal(action, "disable-log-reason")) {
		update->reason = text_of(request, "disabled_reason");
		return update->reason || refuse(request, 400, "Missing disabled reason field");
	}
	update->sets_disabled = update->is_disabled = false;
	update->sets_forced_down = true;
	update->is_forced_down = schema_boolean(forced_down);
	if (!text_equal(action, "force-down") || request->minor < FIRST_MINOR_FORCED_DOWN)
		return refuse(request, 404, "Unknown action");
	return forced_down || refuse(request, 400, "Missing forced_down field");
}

/* Since 2.53. False: answered. */
static bool read_change(struct update *update)
{
	struct request *request = update->request;
	const char *status = text_of(request, "status"), *reason = text_of(request, "disabled_reason");
	const json_t *forced_down = json_object_get(request->body, "forced_down");

	update->uuid = request->id;
	if (!uuid_is_valid(request->id)) {
		request_reply_fault(request, 400, "Invalid uuid %s", request->id);
		return false;
	}
	update->sets_disabled = status != NULL;
	update->is_disabled = text_equal(status, "disabled");
	update->reason = reason;
	update->sets_forced_down = forced_down != NULL;
	update->is_forced_down = schema_boolean(forced_down);
	if (!status && !forced_down)
		return refuse(request, 400,
			      "No updates were requested. Fields 'status' or 'forced_down' should be specified.");
	if (reason && !update->is_disabled)
		return refuse(request, 400, "Specifying 'disabled_reason' when status is 'enabled' is invalid.");
	return true;
}

/* False: answered. */
static bool check_body(struct request *request)
{
	const struct schema *schema = schema_for(schemas, ARRAY_LENGTH(schemas), request->minor);
	CLEANUP_TEXT struct text words = TEXT_EMPTY;

	if (!request_read_body(request))
		return false;
	if (schema_check(schema, NULL, request->body ? request->body : json_null(), &words))
		return true;
	request_reply_fault(request, 400, "%s", words.data ? words.data : "");
	return false;
}

int handle_service_update(struct request *request, struct error *error)
{
	static const char policy[] = "os_compute_api:os-services:update";
	const struct policy_target target = policy_target_nothing();

	if (!check_body(request) || !request_allows(request, policy, &target))
		return 0;
	struct update *update = calloc(1, sizeof(*update));
	if (!update)
		return error_no_memory(error);
	update->request = request;
	if (request->minor < FIRST_MINOR_UUID ? read_older(update) : read_change(update))
		db_submit(request->settings->database, carry_out, answer, update);
	else
		free(update);
	return 0;
}
