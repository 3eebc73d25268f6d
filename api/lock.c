/* lock and unlock: a mark on the server, by its owner or by an admin, that keeps others from changing it. */
#include "api/server_action.h"

#include "api/microversion.h"
#include "base/cleanup.h"
#include "db/instance_actions.h"

#define FIRST_MINOR_REASON 73

static const struct schema_property reason_property[] = { { "locked_reason", SCHEMA_WORDS, false } };

static const struct schema lock_schemas[] = {
	{ .first_minor = MICROVERSION_MINOR_MIN, .last_minor = FIRST_MINOR_REASON - 1, .is_anything = true },
	{ .first_minor = FIRST_MINOR_REASON,
	  .last_minor = MICROVERSION_MINOR_MAX,
	  .is_null_allowed = true,
	  .properties = reason_property,
	  .property_count = ARRAY_LENGTH(reason_property) },
};

/* Whose lock it would be. */
static const char *side_of(const struct action_call *call)
{
	return text_equal(call->server.project_id, call->request->caller->project_id) ? "owner" : "admin";
}

/* The action and its one event, which end where they begin. */
static int book_done(struct db_session *session, struct action_call *call, const char *action_name,
		     const char *event_name, struct error *error)
{
	int result = action_book_action(session, call, action_name, error);

	if (result == 0)
		result = action_book_step(session, call, event_name, call->request->settings->node, error);
	return result < 0 ? result : db_action_finish(session, call->job.action_id, NULL, error);
}

static int book_lock(struct db_session *session, struct action_call *call, struct error *error)
{
	const json_t *reason = json_object_get(call->value, "locked_reason");
	const char *side = side_of(call);

	/* An owner does not change a lock that is there. */
	if (call->server.locked_by[0] && text_equal(side, "owner"))
		return 0;
	int result = db_server_set_lock(session, call->server.uuid, side,
					call->request->minor >= FIRST_MINOR_REASON ? json_string_value(reason) : NULL,
					error);
	return result < 0 ? result : book_done(session, call, "lock", "api_lock", error);
}

static int book_unlock(struct db_session *session, struct action_call *call, struct error *error)
{
	static const char override[] = "os_compute_api:os-lock-server:unlock:unlock_override";
	const struct policy_target target = policy_target_project(call->server.project_id);
	const char *locked_by = call->server.locked_by;

	if (locked_by[0] && !text_equal(locked_by, side_of(call)) && !request_may(call->request, override, &target)) {
		action_refuse(call, 403, "Policy doesn't allow %s to be performed.", override);
		return 0;
	}
	int result = db_server_set_lock(session, call->server.uuid, "", NULL, error);
	return result < 0 ? result : book_done(session, call, "unlock", "api_unlock", error);
}

const struct server_action lock_action = {
	.name = "lock",
	.schemas = lock_schemas,
	.schema_count = ARRAY_LENGTH(lock_schemas),
	.policy = "os_compute_api:os-lock-server:lock",
	.has_any_state = true,
	.status = 202,
	.book = book_lock,
};

const struct server_action unlock_action = {
	.name = "unlock",
	.policy = "os_compute_api:os-lock-server:unlock",
	.has_any_state = true,
	.status = 202,
	.book = book_unlock,
};
