/* revertResize: back to the source, which may be down for now. Any value is taken. */
#include "api/resize_end.h"

#include "base/text.h"
#include "db/migrations.h"

static int book(struct db_session *session, struct action_call *call, struct error *error)
{
	char source[DB_NAME_SIZE] = "";
	int result = resize_end_find(session, call, source, error);

	if (result < 0 || call->refusal)
		return result;
	TEXT_COPY(call->job.kind, "revert");
	result = db_migration_set_status(session, call->job.migration_id, "reverting", error);
	return result < 0 ? result : action_book_job(session, call, "revertResize", "resize_reverting", error);
}

const struct server_action revert_resize_action = {
	.name = "revertResize",
	.policy = "os_compute_api:servers:revert_resize",
	.vm_states = { "resized" },
	.ends_waiting = true,
	.status = 202,
	.book = book,
};
