/* Actions that bring a server into a state from which it can be moved, or back: start, stop, pause, unpause, suspend, resume,
 * reboot. Each is a durable job on the server's host; any value is taken but reboot's. */
#include "api/server_action.h"

#include "api/microversion.h"
#include "base/cleanup.h"

int action_book_power(struct db_session *session, struct action_call *call, struct error *error)
{
	const struct server_action *action = call->action;

	if (!call->server.host_id) {
		action_refuse(call, 409, "Instance %s is not ready", call->server.uuid);
		return 0;
	}
	TEXT_COPY(call->job.kind, action->job_kind);
	call->job.source_host_id = call->server.host_id;
	return action_book_job(session, call, action->instance_action, action->next_task_state, error);
}

#define POWER(state_from, kind, task)                                                                                  \
	.vm_states = { state_from }, .status = 202, .must_be_launched = true, .book = action_book_power,               \
	.job_kind = (kind), .instance_action = (kind), .next_task_state = (task)

const struct server_action start_action = {
	.name = "os-start",
	.refusal_name = "start",
	.policy = "os_compute_api:servers:start",
	POWER("stopped", "start", "powering-on"),
};

const struct server_action stop_action = {
	.name = "os-stop",
	.refusal_name = "stop",
	.policy = "os_compute_api:servers:stop",
	.vm_states = { "active", "error" },
	.status = 202,
	.must_be_launched = true,
	.book = action_book_power,
	.job_kind = "stop",
	.instance_action = "stop",
	.next_task_state = "powering-off",
};

const struct server_action pause_action = {
	.name = "pause",
	.policy = "os_compute_api:os-pause-server:pause",
	POWER("active", "pause", "pausing"),
};

const struct server_action unpause_action = {
	.name = "unpause",
	.policy = "os_compute_api:os-pause-server:unpause",
	POWER("paused", "unpause", "unpausing"),
};

const struct server_action suspend_action = {
	.name = "suspend",
	.policy = "os_compute_api:os-suspend-server:suspend",
	POWER("active", "suspend", "suspending"),
};

const struct server_action resume_action = {
	.name = "resume",
	.policy = "os_compute_api:os-suspend-server:resume",
	POWER("suspended", "resume", "resuming"),
};

/* A hard reboot also helps a server that hangs in one of these. */
static const char *const hangs[] = { "rebooting",
				     "reboot_pending",
				     "reboot_started",
				     "rebooting_hard",
				     "reboot_pending_hard",
				     "reboot_started_hard",
				     "pausing",
				     "unpausing",
				     "suspending",
				     "resuming",
				     NULL };

static const struct server_action hard_reboot_action = {
	.name = "reboot",
	.policy = "os_compute_api:servers:reboot",
	.vm_states = { "active", "stopped", "paused", "suspended", "error" },
	.other_task_states = hangs,
	.status = 202,
	.must_be_launched = true,
	.book = action_book_power,
	.job_kind = "reboot_hard",
	.instance_action = "reboot",
	.next_task_state = "rebooting_hard",
};

/* What is allowed depends on the kind of reboot. */
static void choose_kind(struct action_call *call)
{
	const char *type = json_string_value(json_object_get(call->value, "type"));

	if (type && (type[0] == 'h' || type[0] == 'H'))
		call->action = &hard_reboot_action;
}

static const struct schema_property type_property[] = { { "type", SCHEMA_REBOOT_TYPE, true } };

static const struct schema reboot_schema[] = {
	{ .first_minor = MICROVERSION_MINOR_MIN,
	  .last_minor = MICROVERSION_MINOR_MAX,
	  .properties = type_property,
	  .property_count = ARRAY_LENGTH(type_property) },
};

const struct server_action reboot_action = {
	.name = "reboot",
	.schemas = reboot_schema,
	.schema_count = ARRAY_LENGTH(reboot_schema),
	.policy = "os_compute_api:servers:reboot",
	.check_value = choose_kind,
	.vm_states = { "active" },
	.status = 202,
	.must_be_launched = true,
	.book = action_book_power,
	.job_kind = "reboot_soft",
	.instance_action = "reboot",
	.next_task_state = "rebooting",
};
