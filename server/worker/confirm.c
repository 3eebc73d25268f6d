/* Confirm of a cold migration: what the source kept for a revert is given up. Before that it is looked whether the target has
 * the server, and whole disks; where it has not, nothing is given up, and the way back stays open. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/claims.h"
#include "db/migrations.h"
#include "server/worker/chores.h"
#include "server/worker/resize_end.h"
#include "server/worker/steps.h"

static int verify_target(struct job_run *run, struct error *error)
{
	CLEANUP_DB_VOLUMES struct db_volume_list rows = { 0 };
	CLEANUP_FREE struct hypervisor_volume *volumes = NULL;
	size_t count = 0;
	int result = job_copied_volumes(run, &rows, &volumes, &count, error);

	if (run->is_target_gone)
		return error_set(error, ESTALE, "host %s was given up", run->target_name);
	if (result == 0)
		result = job_operations(run)->verify_disks(run->target, volumes, count, error);
	if (result < 0)
		return result;
	job_look_at_sides(run);
	switch (run->target_side) {
	case SIDE_ALIVE:
	case SIDE_OFF:
		break;
	case SIDE_ABSENT:
		return error_set(error, ESTALE, "server %s is not on host %s any more: revert it instead",
				 run->job.server_uuid, run->target_name);
	default:
		return error_set(error, EAGAIN, "server %s is %s on host %s: it is asked again", run->job.server_uuid,
				 side_view_name(run->target_side), run->target_name);
	}
	return 0;
}

int confirm_verify(struct job_run *run, struct error *error)
{
	struct error cause = { 0 };
	int64_t event = 0; /* it ends with the job */
	int result = resize_end_read_saved(run, error);

	if (result == 0 && !run->is_entered_again)
		result = job_begin_event(run, phases_event(run->kind), run->source_name, &event, error);
	if (result < 0)
		return result;
	result = verify_target(run, &cause);
	/* While the confirm was pending neither host would have started the guest by itself; now the target has it. */
	if (result == 0 && run->saved.id && run->saved.had_autostart)
		result = job_operations(run)->set_autostart(run->target, run->job.server_uuid, true, &cause);
	if (job_is_for_later(result))
		return error_set(error, -result, "%s", cause.text);
	if (result < 0)
		return resize_end_refuse(run, cause.text, error);
	const struct resize_end end = { .run = run,
					.host_id = run->job.target_host_id,
					.power_state = guest_state_power_state(run->at_target.state),
					.status = "confirmed",
					.leftovers = CHORE_SOURCE_VOLUMES };
	return resize_end_write(&end, error);
}
