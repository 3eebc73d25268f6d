/* os-resetState: an admin sets what is shown of a server, in every state that it may be in. It changes neither the guest nor a
 * job that works on it: while one is unfinished, no other action is taken. */
#include "api/server_action.h"

#include "api/microversion.h"
#include "base/cleanup.h"
#include "db/instance_actions.h"

static const struct schema_property state_property[] = { { "state", SCHEMA_SERVER_STATE, true } };

static const struct schema state_schema[] = {
	{ .first_minor = MICROVERSION_MINOR_MIN,
	  .last_minor = MICROVERSION_MINOR_MAX,
	  .properties = state_property,
	  .property_count = ARRAY_LENGTH(state_property) },
};

static int book(struct db_session *session, struct action_call *call, struct error *error)
{
	const char *state = json_string_value(json_object_get(call->value, "state"));
	const char *uuid = call->server.uuid;
	int result = db_server_set_state(session, uuid, state, "", error);

	if (result == 0 && text_equal(state, "error"))
		result = db_server_set_error_cause(session, uuid, DB_ERROR_CAUSE_ADMIN, error);
	if (result == 0)
		result = action_book_action(session, call, "resetState", error);
	return result < 0 ? result : db_action_finish(session, call->job.action_id, NULL, error);
}

const struct server_action reset_state_action = {
	.name = "os-resetState",
	.schemas = state_schema,
	.schema_count = ARRAY_LENGTH(state_schema),
	.policy = "os_compute_api:os-admin-actions:reset_state",
	.has_any_state = true,
	.status = 202,
	.book = book,
};
