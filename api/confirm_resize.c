/* confirmResize: the server stays where it is, and the source's copy goes. Any value is taken. */
#include "api/resize_end.h"

#include "base/text.h"
#include "db/migrations.h"

/* Nothing is removed on a host that was given up, or is not there any more: it need not answer. */
static int check_source(struct db_session *session, struct action_call *call, const char *name, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_name(session, name, &host, error);

	if (result == -ENOENT || (result == 0 && host.is_gone))
		return 0;
	return result < 0 ? result : action_check_service(session, call, name, error);
}

static int book(struct db_session *session, struct action_call *call, struct error *error)
{
	char source[DB_NAME_SIZE] = "";
	int result = resize_end_find(session, call, source, error);

	if (result == 0 && !call->refusal)
		result = check_source(session, call, source, error);
	if (result < 0 || call->refusal)
		return result;
	TEXT_COPY(call->job.kind, "confirm");
	result = db_migration_set_status(session, call->job.migration_id, "confirming", error);
	/* No task_state: the server stays VERIFY_RESIZE until it is done. */
	return result < 0 ? result : action_book_job(session, call, "confirmResize", NULL, error);
}

const struct server_action confirm_resize_action = {
	.name = "confirmResize",
	.policy = "os_compute_api:servers:confirm_resize",
	.vm_states = { "resized" },
	.ends_waiting = true,
	.status = 204,
	.book = book,
};
