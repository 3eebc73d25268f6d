/* The straight line of an action: body, name, project, schema; then in one transaction server, policy, lock, state and the
 * rows. The order is Nova's: who asks with several mistakes gets the same first refusal. */
#include "api/server_action.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/handlers.h"
#include "api/json_body.h"
#include "api/verdicts.h"
#include "base/cleanup.h"
#include "db/migrations.h"

const struct server_action *const server_actions[] = {
	&migrate_action,
	&migrate_live_action,
	&confirm_resize_action,
	&revert_resize_action,
	&lock_action,
	&unlock_action,
	&start_action,
	&stop_action,
	&pause_action,
	&unpause_action,
	&suspend_action,
	&resume_action,
	&reboot_action,
	&reset_state_action,
	&reset_network_action,
	&inject_network_info_action,
	NULL,
};

static const struct server_action *find_action(const struct server_action *const *list, const char *name)
{
	while (*list && !text_equal((*list)->name, name))
		list++;
	return *list;
}

void action_refuse(struct action_call *call, int status, const char *format, ...)
{
	CLEANUP_TEXT struct text message = TEXT_EMPTY;
	va_list arguments;

	if (call->refusal)
		return;
	va_start(arguments, format);
	text_append_format_list(&message, format, arguments);
	va_end(arguments);
	call->refusal = status;
	call->refusal_message = text_take(&message);
}

static void destroy_call(struct action_call *call)
{
	db_server_clear(&call->server);
	db_job_clear(&call->job);
	free(call->refusal_message);
	free(call);
}

static int find_server(struct db_session *session, struct action_call *call, struct error *error)
{
	const struct request *request = call->request;
	int result = strstr(request->id, NUL_IN_TEXT) ? -ENOENT /* the database takes no such text */
						      : db_server_by_uuid(session, request->id, &call->server, error);

	if (result < 0 && result != -ENOENT)
		return result;
	if (result == -ENOENT
	    || (!request->is_admin && !text_equal(call->server.project_id, request->caller->project_id)))
		action_refuse(call, 404, "Instance %s could not be found.", request->id);
	return 0;
}

static void check_policy(struct action_call *call)
{
	const char *policy = call->host ? call->action->policy_with_host : call->action->policy;
	struct policy_target target = policy_target_project(call->server.project_id);

	if (!request_may(call->request, policy, &target))
		action_refuse(call, 403, "Policy doesn't allow %s to be performed.", policy);
}

static bool is_wanted_vm_state(const struct server_action *action, const char *vm_state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(action->vm_states) && action->vm_states[i]; i++)
		if (text_equal(action->vm_states[i], vm_state))
			return true;
	return !action->vm_states[0];
}

static bool is_wanted_task_state(const struct server_action *action, const char *task_state)
{
	if (text_equal(task_state, action->task_state ? action->task_state : ""))
		return true;
	for (const char *const *other = action->other_task_states; other && *other; other++)
		if (text_equal(*other, task_state))
			return true;
	return false;
}

static void check_lock_and_state(struct action_call *call)
{
	const struct db_server *server = &call->server;
	const char *name = call->action->refusal_name ? call->action->refusal_name : call->action->name;

	bool is_locked = server->locked_by[0] && !call->request->is_admin;
	bool is_to_be_ended = call->action->ends_waiting && call->is_waiting;

	/* Nova's order; that two ends have the same words is no mistake. NOLINTBEGIN(bugprone-branch-clone) */
	if (is_locked && !call->action->tells_no_lock)
		action_refuse(call, 409, "Instance %s is locked", server->uuid);
	else if (!is_to_be_ended && !is_wanted_vm_state(call->action, server->vm_state))
		action_refuse(call, 409, "Cannot '%s' instance %s while it is in vm_state %s", name, server->uuid,
			      server->vm_state);
	else if (is_locked || (call->action->task_state && !server->task_state[0]))
		action_refuse(call, 409, "Instance %s is in an invalid state for '%s'", server->uuid, name);
	else if (!is_wanted_task_state(call->action, server->task_state))
		action_refuse(call, 409, "Cannot '%s' instance %s while it is in task_state %s", name, server->uuid,
			      server->task_state);
	else if (call->action->must_be_launched && !server->launched_us)
		action_refuse(call, 409, "Instance %s is in an invalid state for '%s'", server->uuid, name);
	/* NOLINTEND(bugprone-branch-clone) */
}

/* A server has one unfinished job, whatever state is shown of it: os-resetState changes that in the middle of a job. The words
 * are those of a wrong task state where one is shown. */
static int check_no_job(struct db_session *session, struct action_call *call, struct error *error)
{
	const struct server_action *action = call->action;
	const char *name = action->refusal_name ? action->refusal_name : action->name;
	const struct db_server *server = &call->server;
	CLEANUP_DB_JOB struct db_job job = { 0 };
	int result = db_job_unfinished_of_server(session, server->uuid, &job, error);

	if (result == -ENOENT) {
		error_clear(error);
		return 0;
	}
	if (result < 0)
		return result;
	if (server->task_state[0])
		action_refuse(call, 409, "Cannot '%s' instance %s while it is in task_state %s", name, server->uuid,
			      server->task_state);
	else
		action_refuse(call, 409, "Cannot '%s' instance %s while an earlier action on it has not ended", name,
			      server->uuid);
	return 0;
}

static int find_waiting(struct db_session *session, struct action_call *call, struct error *error)
{
	struct db_migration waiting = { 0 };
	int result = db_migration_by_server_and_status(session, call->server.uuid, "finished", &waiting, error);

	call->is_waiting = result == 0;
	if (result == -ENOENT)
		error_clear(error);
	return result == -ENOENT ? 0 : result;
}

/* Shown in another state by os-resetState, such a server would pass for one that may be moved: what the source still has of it
 * belongs to the migration that waits. */
static void check_waiting(struct action_call *call)
{
	if (call->action->is_move && call->is_waiting)
		action_refuse(
			call, 409,
			"Cannot '%s' instance %s while an earlier migration of it waits: confirm or revert that first",
			call->action->name, call->server.uuid);
}

/* What may be done in the state that the server is in. */
static int check_state(struct db_session *session, struct action_call *call, struct error *error)
{
	int result = find_waiting(session, call, error);

	if (result < 0)
		return result;
	check_lock_and_state(call);
	if (!call->refusal && !call->action->is_beside_job)
		result = check_no_job(session, call, error);
	if (result == 0 && !call->refusal)
		check_waiting(call);
	return result;
}

/* On the writer's thread. A refusal is no error: it changed nothing. */
static int carry_out(struct db_session *session, void *context, struct error *error)
{
	struct action_call *call = context;
	int result = find_server(session, call, error);

	if (result < 0)
		return result;
	if (!call->refusal)
		check_policy(call);
	if (!call->refusal && call->action->check_value)
		call->action->check_value(call);
	if (!call->refusal && !call->action->has_any_state)
		result = check_state(session, call, error);
	return result < 0 || call->refusal ? result : call->action->book(session, call, error);
}

/* On the writer's thread, after the commit. */
static void answer(void *context, int result, const struct error *error)
{
	struct action_call *call = context;
	struct request *request = call->request;
	struct error no_memory = { 0 };

	if (result < 0) {
		error_no_memory(&no_memory);
		request_reply_error(request, error ? error : &no_memory);
	} else if (call->refusal) {
		request_reply_fault(request, call->refusal, "%s", call->refusal_message ? call->refusal_message : "");
	} else if (call->job.is_waited_for) {
		verdicts_wait(request->verdicts, call->job.id, request);
	} else {
		request_reply_empty(request, call->action->status);
	}
	destroy_call(call);
}

int action_submit(struct request *request, const struct server_action *action, const json_t *value, struct error *error)
{
	struct action_call *call = calloc(1, sizeof(*call));

	if (!call)
		return error_no_memory(error);
	call->request = request;
	call->action = action;
	call->value = value;
	if (action->policy_with_host && request->minor >= action->first_host_minor)
		call->host = json_string_value(json_object_get(value, "host"));
	db_submit(request->settings->database, carry_out, answer, call);
	return 0;
}

static size_t count_elements(const json_t *body)
{
	const char *string = json_string_value(body); /* a long integer is refused before */
	size_t count = 0;

	if (!string)
		return json_is_array(body) ? json_array_size(body) : json_object_size(body);
	for (size_t i = 0; i < json_string_length(body); i++)
		count += ((unsigned char)string[i] & 0xc0) != 0x80;
	return count;
}

/* Parses the body; its one key is the action. False: answered. */
static bool read_body(struct request *request)
{
	if (!request_read_body(request))
		return false;
	bool has_length =
		json_is_object(request->body) || json_is_array(request->body) || json_body_is_text(request->body);

	if (!request->body || (has_length && count_elements(request->body) != 1)) {
		request_reply_fault(request, 400, "Malformed request body");
		return false;
	}
	if (!json_is_object(request->body)) {
		request_reply_fault(request, 404, "The resource could not be found.");
		return false;
	}
	return true;
}

int action_handle(struct request *request, const struct server_action *const *list, struct error *error)
{
	CLEANUP_TEXT struct text words = TEXT_EMPTY;

	if (!read_body(request))
		return 0;
	const char *name = json_object_iter_key(json_object_iter(request->body));
	const json_t *value = json_object_get(request->body, name);
	const struct server_action *action = find_action(list, name);
	if (!action)
		return request_reply_fault(request, 400, "There is no such action: %s", name);
	if (request->minor < action->first_minor)
		return request_reply_fault(request, 404, "The resource could not be found.");
	if (!request_project_matches(request))
		return 0;
	if (!action->book)
		return request_reply_fault(request, action->status,
					   "This resource is no longer available. No forwarding address is given.");
	const struct schema *schema = schema_for(action->schemas, action->schema_count, request->minor);
	if (schema && !schema_check(schema, name, value, &words))
		return text_failed(&words) ? error_no_memory(error)
					   : request_reply_fault(request, 400, "%s", words.data);
	return action_submit(request, action, value, error);
}

int handle_server_action(struct request *request, struct error *error)
{
	return action_handle(request, server_actions, error);
}
