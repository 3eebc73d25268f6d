/* What clients of Nova may ask for and this service does not have by its purpose: to make, change or delete servers, which is
 * done where their hosts' libvirt is; aggregates of hosts; and extensions, of which Nova itself has kept only the names. */
#include "api/handlers.h"
#include "api/microversion.h"
#include "api/schema.h"
#include "api/server_action.h"
#include "base/cleanup.h"
#include "base/text.h"

static const struct schema_property properties[] = {
	{ "server", SCHEMA_OBJECT, true },
};

static const struct schema server_schemas[] = { {
	.first_minor = MICROVERSION_MINOR_MIN,
	.last_minor = MICROVERSION_MINOR_MAX,
	.properties = properties,
	.property_count = ARRAY_LENGTH(properties),
	.allows_more = true,
} };

const struct schema_table server_bodies = { server_schemas, ARRAY_LENGTH(server_schemas) };

/* POST /servers and PUT /servers/{id}. */
int handle_server_write(struct request *request, struct error *error)
{
	CLEANUP_TEXT struct text words = TEXT_EMPTY;

	if (!request_read_body(request))
		return 0;
	if (!json_is_object(request->body))
		return request_reply_fault(request, 400, "Malformed request body");
	if (!request_project_matches(request))
		return 0;
	if (!schema_check(&server_schemas[0], NULL, request->body, &words))
		return text_failed(&words) ? error_no_memory(error)
					   : request_reply_fault(request, 400, "%s", words.data);
	return handle_server_delete(request, error);
}

int handle_server_delete(struct request *request, struct error *error)
{
	(void)error;
	return request_reply_fault(request, 501,
				   "Servers are not made, changed or deleted here, but moved. Do that with libvirt on "
				   "the server's host; it is seen here at once.");
}

int handle_extension_index(struct request *request, struct error *error)
{
	(void)error;
	return request_reply_json(request, 200, json_pack("{s:[]}", "extensions"));
}

int handle_extension_show(struct request *request, struct error *error)
{
	(void)error;
	return request_reply_fault(request, 404, "The resource could not be found.");
}

int handle_aggregate_index(struct request *request, struct error *error)
{
	const struct policy_target target = policy_target_nothing();

	(void)error;
	if (!request_allows(request, "os_compute_api:os-aggregates:index", &target))
		return 0;
	return request_reply_json(request, 200, json_pack("{s:[]}", "aggregates"));
}

/* Nova's networks are others' by now: it takes this, and nothing follows. */
static int book_nothing(struct db_session *session, struct action_call *call, struct error *error)
{
	(void)session;
	(void)call;
	(void)error;
	return 0;
}

const struct server_action inject_network_info_action = {
	.name = "injectNetworkInfo",
	.policy = "os_compute_api:os-admin-actions:inject_network_info",
	.has_any_state = true,
	.status = 202,
	.book = book_nothing,
};

/* Gone from Nova too, for everybody. */
const struct server_action reset_network_action = {
	.name = "resetNetwork",
	.status = 410,
};
