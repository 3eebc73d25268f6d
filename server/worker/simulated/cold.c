/* Cold copies of simulated disks: our own process makes each volume and fills it, one after the other. The plan's time is spread
 * over them; a guest without disks takes that time too. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/worker/simulated/fleet_state.h"

#define BUFFER_MS 100 /* how often a copy of disks asks whether it is cancelled */

/* Until that time; false: it was cancelled, or has to return. */
static bool wait_until(struct simulated_fleet *fleet, const struct simulated_call *call, int64_t end_ms)
{
	for (;;) {
		int64_t now_ms = clock_monotonic_ms(fleet->clock);
		bool has_ended = fleet->is_ending || call->is_cut || now_ms >= end_ms;

		if (!has_ended)
			clock_wait(fleet->clock, &fleet->changed, &fleet->mutex,
				   end_ms < now_ms + BUFFER_MS ? end_ms : now_ms + BUFFER_MS);
		pthread_mutex_unlock(&fleet->mutex); /* who answers may wait for others */
		bool is_over = call->is_cancelled && call->is_cancelled(call->context);
		pthread_mutex_lock(&fleet->mutex);
		if (is_over || has_ended)
			return !is_over && !call->is_cut;
	}
}

/* The part of the copy that ends after `done` of `parts`. */
static int copy_part(struct simulated_fleet *fleet, struct simulated_call *call, const struct simulated_copy *copy,
		     size_t done, size_t parts, struct error *error)
{
	struct simulated_host *to = call->target;
	int64_t end_ms = copy->began_ms + copy->takes_ms * (int64_t)done / (int64_t)parts;
	int64_t break_ms = simulated_copy_fails(copy) ? copy->began_ms + copy->takes_ms / 2 : INT64_MAX;
	bool breaks = break_ms <= end_ms;

	if (!wait_until(fleet, call, breaks ? break_ms : end_ms))
		return call->is_cut
			       ? simulated_tell_cut(call, error)
			       : error_set(error, ECANCELED, "the copy of disks to host %s was cancelled", to->name);
	if (breaks && copy->fails == SIMULATED_FAILS_TARGET_LOST) {
		simulated_lose(fleet, to);
		return error_set(error, EIO, "host %s stopped answering in the middle of the copy of disks (simulated)",
				 to->name);
	}
	int result = simulated_ask(to, error);
	if (result == 0 && (simulated_happens(to, SIMULATED_COPY_FAILS) || breaks))
		result = simulated_fail(to, error, EIO, "the copy of disks to host %s broke off (simulated)", to->name);
	return result;
}

static int complete(struct simulated_fleet *fleet, const struct simulated_call *call, int64_t volume_id,
		    struct error *error)
{
	if (!call->journal)
		return 0;
	pthread_mutex_unlock(&fleet->mutex);
	int result = call->journal->complete(call->journal->context, volume_id, error);
	pthread_mutex_lock(&fleet->mutex);
	return result;
}

/* What it reads is what stands there when it begins. */
static int copy_disk(struct simulated_fleet *fleet, struct simulated_call *call, const struct simulated_copy *copy,
		     const struct simulated_disk *disk, size_t number, size_t count, struct error *error)
{
	int64_t volume_id = 0;
	int result = simulated_make_volume(fleet, call, disk, &volume_id, error);

	if (result < 0)
		return result;
	if (number == 0)
		simulated_pass_gate(fleet, SIMULATED_GATE_DISK, &call->is_cut);
	const struct simulated_volume *volume = simulated_volume_find(call->host, false, disk->name);
	if (!volume)
		return error_set(error, EIO, "disk %s of server %s is not on host %s (simulated)", disk->name,
				 call->uuid, call->host->name);
	uint64_t content = volume->is.content;
	result = copy_part(fleet, call, copy, number + 1, count, error);
	if (result == 0)
		result = simulated_ask(call->host, error);
	if (result == 0)
		result = simulated_fill_volume(call->target, disk->name, content, error);
	return result < 0 ? result : complete(fleet, call, volume_id, error);
}

int simulated_body_copy_cold(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	const struct simulated_copy copy = simulated_plan_begin(fleet, simulated_server_find(fleet, call->uuid));
	size_t count = simulated_private_count(fleet, call->uuid, NULL);
	struct simulated_disk disk;
	int result = 0;

	for (size_t i = 0; i < count && result == 0; i++)
		if (simulated_private_disk(fleet, call->uuid, i, &disk))
			result = copy_disk(fleet, call, &copy, &disk, i, count, error);
	if (count == 0) {
		simulated_pass_gate(fleet, SIMULATED_GATE_DISK, &call->is_cut);
		result = copy_part(fleet, call, &copy, 1, 1, error);
	}
	simulated_plan_end(simulated_server_find(fleet, call->uuid));
	return result;
}
