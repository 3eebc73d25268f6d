/* Moves of simulated guests: checks, the preparation of a target, and what is asked of a live migration under way. */
#include "base/clock.h"
#include "base/error.h"
#include "server/worker/simulated/fleet_state.h"

#define MIB         (1024LL * 1024)
#define DOWNTIME_MS 20 /* what is told of a move that took time */

static int refuse(struct check_result *check, enum check_refusal refusal)
{
	check->refusal = refusal;
	return -ECANCELED;
}

/* Whether the target may take copies of its disks. */
static int check_disks(struct simulated_fleet *fleet, const struct simulated_call *call, struct error *error)
{
	struct check_result *check = call->ret;
	size_t count = simulated_private_count(fleet, call->uuid, &check->copied_bytes);

	check->copies_disks = count > 0;
	if (count == 0)
		return 0;
	check->is_storage_proven_shared = false;

	const char *present = simulated_present_disk(call->target, call->uuid);
	if (present) {
		error_set(error, ECANCELED, "host %s has a disk %s already (simulated)", call->target->name, present);
		return refuse(check, CHECK_REFUSED_BY_TARGET);
	}
	if (call->target->pool == SIMULATED_POOL_OFF) {
		error_set(error, ECANCELED, "host %s: the storage pool is not active (simulated)", call->target->name);
		return refuse(check, CHECK_REFUSED_BY_TARGET);
	}
	return 0;
}

static int check(struct simulated_fleet *fleet, const struct simulated_call *call, struct error *error)
{
	struct check_result *ret_check = call->ret;
	struct simulated_host *to = call->target;
	int result;
	bool is_refused = false;

	struct simulated_guest *guest = simulated_guest_on(call->host, call->uuid, &result, error);
	if (!guest)
		return result;
	result = simulated_ask(to, error);
	if (result == 0)
		result = simulated_plan_refuses(guest->server, fleet, to, &is_refused, error);
	if (result < 0)
		return result;
	if (is_refused) {
		ret_check->refusal = CHECK_REFUSED_BY_TARGET;
		return error_set(error, ECANCELED,
				 "host %s cannot take server %.36s: its plan says fails: precheck (simulated)",
				 to->name, call->uuid);
	}
	if (simulated_happens(to, SIMULATED_CHECK_REFUSES)) {
		ret_check->refusal = CHECK_REFUSED_BY_TARGET;
		return simulated_fail(to, error, ECANCELED, "host %s cannot take server %.36s (simulated)", to->name,
				      call->uuid);
	}
	if (simulated_happens(to, SIMULATED_CHECK_REFUSES_STORAGE)) {
		ret_check->refusal = CHECK_REFUSED_STORAGE;
		return simulated_fail(to, error, ECANCELED,
				      "storage of server %.36s is not shared with host %s (simulated)", call->uuid,
				      to->name);
	}
	return 0;
}

int simulated_body_check_live(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	struct check_result *ret_check = call->ret;
	enum block_migration asked = call->options->block_migration;
	int result = check(fleet, call, error);

	ret_check->copies_disks = asked == BLOCK_MIGRATION_YES;
	if (result < 0 || !simulated_disks_find(fleet, call->uuid))
		return result;

	bool has_private = simulated_private_count(fleet, call->uuid, NULL) > 0;
	if (has_private ? asked == BLOCK_MIGRATION_NO : asked == BLOCK_MIGRATION_YES) {
		error_set(error, ECANCELED, "disks of server %.36s are %s, and block_migration says otherwise",
			  call->uuid, has_private ? "private" : "shared");
		return refuse(ret_check, CHECK_REFUSED_STORAGE);
	}
	return check_disks(fleet, call, error);
}

int simulated_body_check_cold(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	int result = check(fleet, call, error);

	return result < 0 ? result : check_disks(fleet, call, error);
}

int simulated_body_prepare(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	struct simulated_host *to = call->target;
	struct simulated_disk disk;
	int64_t volume_id;
	int result = simulated_ask(to, error);

	if (result < 0)
		return result;
	if (simulated_happens(to, SIMULATED_PREPARE_FAILS))
		return simulated_fail(to, error, EIO, "host %s could not prepare for server %.36s (simulated)",
				      to->name, call->uuid);
	for (size_t i = 0; call->flag && result == 0 && simulated_private_disk(fleet, call->uuid, i, &disk); i++)
		result = simulated_make_volume(fleet, call, &disk, &volume_id, error);
	return result;
}

/* Of a copy under way, which tells the same as long as it stands still. */
static void tell_copy(struct simulated_fleet *fleet, const struct simulated_move *move, int64_t memory_mb,
		      struct move_progress *ret_progress)
{
	int64_t now_ms = move->is_stalled ? move->stalled_since_ms : clock_monotonic_ms(fleet->clock);
	int64_t bytes = 0;

	if (move->copy.takes_ms > 0)
		simulated_copy_progress(&move->copy, now_ms, memory_mb, ret_progress);
	if (!move->copies_disks || simulated_private_count(fleet, move->uuid, &bytes) == 0)
		return;
	double part = ret_progress->memory_total > 0
			      ? (double)ret_progress->memory_processed / (double)ret_progress->memory_total
			      : 0;
	ret_progress->disk_total = bytes;
	ret_progress->disk_processed = part < 1 ? (int64_t)((double)bytes * part) : bytes;
	ret_progress->disk_remaining = bytes - ret_progress->disk_processed;
}

int simulated_body_progress(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	struct move_progress *ret_progress = call->ret;
	int result;
	const struct simulated_guest *guest = simulated_guest_on(call->host, call->uuid, &result, error);

	if (!guest)
		return result;
	*ret_progress = (struct move_progress){
		.memory_total = guest->memory_mb * MIB,
		.memory_remaining = guest->memory_mb * MIB,
	};
	const struct simulated_move *move = simulated_move_from(fleet, call->host, call->uuid);
	if (move && guest->view.is_moving_out)
		tell_copy(fleet, move, guest->memory_mb, ret_progress);
	ret_progress->is_active = guest->view.is_moving_out;
	return 0;
}

int simulated_body_completed(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	int result;
	const struct simulated_guest *guest = simulated_guest_on(call->host, call->uuid, &result, error);

	(void)fleet;
	if (!guest)
		return result;
	*(struct move_progress *)call->ret = (struct move_progress){
		.memory_total = guest->memory_mb * MIB,
		.memory_processed = guest->memory_mb * MIB,
		.downtime_ms = guest->copy.takes_ms > 0 ? DOWNTIME_MS : 0,
	};
	return 0;
}

int simulated_body_adjust(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	int result;

	if (!simulated_guest_on(call->host, call->uuid, &result, error))
		return result;

	struct simulated_move *move = simulated_move_from(fleet, call->host, call->uuid);
	if (!move || move->phase > SIMULATED_BEFORE_SWITCH)
		return error_set(error, EINVAL, "server %.36s is not moving", call->uuid);
	if (call->adjustment == MOVE_START_POSTCOPY || call->adjustment == MOVE_BREAK_POSTCOPY)
		return error_set(error, EOPNOTSUPP, "a simulated host has no post-copy");
	if (call->adjustment == MOVE_ABORT)
		move->is_abort_wanted = true;
	if (call->adjustment == MOVE_PAUSE_GUEST && !move->copy.forced_ms)
		move->copy.forced_ms = clock_monotonic_ms(fleet->clock);
	pthread_cond_broadcast(&fleet->changed);
	return 0;
}
