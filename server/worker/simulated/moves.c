/* Moves of simulated guests: checks, copies of memory and of disks. A move changes the same states in the same order as libvirt shows
 * them, so that whoever looks in between sees what recovery would see. */
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/simulated/fleet_state.h"

#define MIB         (1024LL * 1024)
#define BUFFER_MS   100 /* how often a copy of disks asks whether it is cancelled */
#define DOWNTIME_MS 20 /* what is told of a move that took time */

static int check(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		 struct check_result *ret_check, struct error *error)
{
	struct simulated_host *to = simulated_host_of(target);
	int result = 0;
	bool is_refused = false;

	*ret_check = (struct check_result){ .is_storage_proven_shared = true };
	struct simulated_guest *guest = simulated_guest_on(source, uuid, &result, error);
	if (!guest)
		return result;
	result = simulated_ask(to, error);
	if (result == 0)
		result = simulated_plan_refuses(guest->server, simulated_fleet_of(source), to, &is_refused, error);
	if (result < 0)
		return result;
	if (is_refused) {
		ret_check->refusal = CHECK_REFUSED_BY_TARGET;
		return error_set(error, ECANCELED,
				 "host %s cannot take server %.36s: its plan says fails: precheck (simulated)",
				 to->name, uuid);
	}
	if (simulated_happens(to, SIMULATED_CHECK_REFUSES)) {
		ret_check->refusal = CHECK_REFUSED_BY_TARGET;
		return simulated_fail(to, error, ECANCELED, "host %s cannot take server %.36s (simulated)", to->name,
				      uuid);
	}
	if (simulated_happens(to, SIMULATED_CHECK_REFUSES_STORAGE)) {
		ret_check->refusal = CHECK_REFUSED_STORAGE;
		return simulated_fail(to, error, ECANCELED,
				      "storage of server %.36s is not shared with host %s (simulated)", uuid, to->name);
	}
	return 0;
}

int simulated_check_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			 const struct live_options *options, struct check_result *ret_check, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(source)->mutex);
	int result = check(source, target, uuid, ret_check, error);

	ret_check->copies_disks = options->block_migration == BLOCK_MIGRATION_YES;
	return result;
}

int simulated_check_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			 struct check_result *ret_check, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(source)->mutex);

	return check(source, target, uuid, ret_check, error);
}

int simulated_prepare_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			   const struct live_options *options, bool copies_disks, const struct volume_journal *journal,
			   struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(source);
	struct simulated_host *to = simulated_host_of(target);
	LOCK_SCOPE(&fleet->mutex);

	(void)options, (void)copies_disks, (void)journal; /* the fleet has no volumes */
	simulated_pass_gate(fleet, SIMULATED_GATE_PRE_LIVE, NULL);
	int result = simulated_ask(to, error);
	if (result < 0)
		return result;
	if (simulated_happens(to, SIMULATED_PREPARE_FAILS))
		return simulated_fail(to, error, EIO, "host %s could not prepare for server %.36s (simulated)",
				      to->name, uuid);
	return 0;
}

/* The switch: from here the target's guest is the true one. */
static int hand_over(struct simulated_fleet *fleet, struct simulated_host *from, struct simulated_guest *guest,
		     struct simulated_guest *half)
{
	char uuid[UUID_SIZE];

	half->view.state = guest->view.state;
	half->view.is_persistent = true;
	half->copy = guest->copy;
	guest->view.state = GUEST_HANDED_OVER;
	guest->view.is_moving_out = false;
	memcpy(uuid, guest->uuid, sizeof(uuid));
	simulated_pass_gate(fleet, SIMULATED_GATE_POST_DEST, NULL);
	simulated_guest_remove(from, uuid);
	return 0;
}

/* Until the copy ends, breaks or is ended. */
static void wait_for_copy(struct simulated_fleet *fleet, struct simulated_guest *guest)
{
	for (;;) {
		int64_t end_ms = simulated_copy_end_ms(&guest->copy);

		if (fleet->is_ending || guest->is_abort_wanted || clock_monotonic_ms(fleet->clock) >= end_ms)
			break;
		clock_wait(fleet->clock, &fleet->changed, &fleet->mutex, end_ms);
	}
	simulated_pass_gate(fleet, SIMULATED_GATE_LIVE, &guest->is_abort_wanted);
}

static void lose(struct simulated_fleet *fleet, struct simulated_host *host)
{
	host->lost_until_ms = clock_monotonic_ms(fleet->clock) + (int64_t)(fleet->settings->target_lost_for_s * 1000);
}

/* Who hears of a lost host asks about it in turn, so that the lock is let go first. */
static void unlock_and_tell(struct simulated_fleet *fleet, const struct simulated_host *target)
{
	hypervisor_event_fn on_event = target->lost_until_ms ? fleet->on_event : NULL;
	void *context = fleet->event_context;

	pthread_mutex_unlock(&fleet->mutex);
	if (on_event)
		on_event(context, target->base.host_id, HYPERVISOR_HOST_DOWN, NULL);
}

/* Why a copy broke, in the words of its plan or of a script. */
static int tell_broken(struct simulated_host *to, const struct simulated_guest *guest, struct error *error)
{
	if (guest->is_abort_wanted)
		return simulated_fail(to, error, ECANCELED, "the copy of server %s to host %s was aborted (simulated)",
				      guest->uuid, to->name);
	if (guest->copy.fails == SIMULATED_FAILS_TARGET_LOST)
		return error_set(error, EIO,
				 "host %s stopped answering in the middle of the copy of server %s (simulated)",
				 to->name, guest->uuid);
	return simulated_fail(to, error, EIO, "the copy of server %s to host %s broke off (simulated)", guest->uuid,
			      to->name);
}

static int copy_live(struct simulated_host *from, struct simulated_host *to, struct simulated_guest *guest,
		     struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(&from->base);
	struct simulated_guest *half = simulated_guest_add(to, guest->uuid, GUEST_ARRIVING, guest->memory_mb);

	if (!half)
		return error_no_memory(error);
	guest->view.is_moving_out = true;
	guest->is_abort_wanted = false;
	guest->copy = simulated_plan_begin(fleet, guest->server);
	wait_for_copy(fleet, guest);
	simulated_plan_end(guest->server);

	bool raises = simulated_happens(to, SIMULATED_COPY_RAISES);
	bool breaks = simulated_happens(to, SIMULATED_COPY_FAILS) || simulated_copy_fails(&guest->copy);
	if (!guest->is_abort_wanted && !raises && !breaks && to->is_up && !fleet->is_ending)
		return hand_over(fleet, from, guest, half);
	if (guest->copy.fails == SIMULATED_FAILS_TARGET_LOST && !guest->is_abort_wanted)
		lose(fleet, to);
	guest->view.is_moving_out = false;
	int result = tell_broken(to, guest, error);
	if (!raises)
		simulated_guest_remove(to, guest->uuid);
	return result;
}

int simulated_migrate_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			   const struct live_options *options, bool copies_disks, struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(source);
	struct simulated_host *to = simulated_host_of(target);
	int result = 0;

	(void)options, (void)copies_disks;
	pthread_mutex_lock(&fleet->mutex);
	struct simulated_guest *guest = simulated_guest_on(source, uuid, &result, error);
	if (guest)
		result = simulated_ask(to, error);
	if (result == 0 && simulated_guest_find(to, uuid))
		result = error_set(error, EEXIST, "host %s has a guest %.36s already", to->name, uuid);
	if (result == 0)
		result = copy_live(simulated_host_of(source), to, guest, error);
	unlock_and_tell(fleet, to);
	return result;
}

int simulated_progress(struct hypervisor_host *source, const char *uuid, struct move_progress *ret_progress,
		       struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(source)->mutex);
	int result = 0;
	struct simulated_guest *guest = simulated_guest_on(source, uuid, &result, error);

	if (!guest)
		return result;
	*ret_progress = (struct move_progress){
		.memory_total = guest->memory_mb * MIB,
		.memory_remaining = guest->memory_mb * MIB,
	};
	if (guest->view.is_moving_out && guest->copy.takes_ms > 0)
		simulated_copy_progress(&guest->copy, clock_monotonic_ms(simulated_fleet_of(source)->clock),
					guest->memory_mb, ret_progress);
	ret_progress->is_active = guest->view.is_moving_out;
	return 0;
}

int simulated_completed(struct hypervisor_host *target, const char *uuid, struct move_progress *ret_progress,
			struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(target)->mutex);
	int result = 0;
	struct simulated_guest *guest = simulated_guest_on(target, uuid, &result, error);

	if (!guest)
		return result;
	*ret_progress = (struct move_progress){
		.memory_total = guest->memory_mb * MIB,
		.memory_processed = guest->memory_mb * MIB,
		.downtime_ms = guest->copy.takes_ms > 0 ? DOWNTIME_MS : 0,
	};
	return 0;
}

int simulated_adjust(struct hypervisor_host *source, const char *uuid, enum move_adjustment adjustment, int64_t value,
		     struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(source);
	LOCK_SCOPE(&fleet->mutex);
	int result = 0;
	struct simulated_guest *guest = simulated_guest_on(source, uuid, &result, error);

	(void)value;
	if (!guest)
		return result;
	if (!guest->view.is_moving_out)
		return error_set(error, EINVAL, "server %.36s is not moving", uuid);
	if (adjustment == MOVE_START_POSTCOPY || adjustment == MOVE_BREAK_POSTCOPY)
		return error_set(error, EOPNOTSUPP, "a simulated host has no post-copy");
	if (adjustment == MOVE_ABORT)
		guest->is_abort_wanted = true;
	if (adjustment == MOVE_PAUSE_GUEST && !guest->copy.forced_ms)
		guest->copy.forced_ms = clock_monotonic_ms(fleet->clock);
	pthread_cond_broadcast(&fleet->changed);
	return 0;
}

/* Until the copy ends or breaks; false: it was cancelled. */
static bool wait_for_disks(struct simulated_fleet *fleet, const struct simulated_copy *copy,
			   bool (*is_cancelled)(void *context), void *context)
{
	int64_t end_ms = copy->began_ms + (simulated_copy_fails(copy) ? copy->takes_ms / 2 : copy->takes_ms);

	for (;;) {
		int64_t now_ms = clock_monotonic_ms(fleet->clock);
		bool has_ended = fleet->is_ending || now_ms >= end_ms;

		if (!has_ended)
			clock_wait(fleet->clock, &fleet->changed, &fleet->mutex,
				   end_ms < now_ms + BUFFER_MS ? end_ms : now_ms + BUFFER_MS);
		pthread_mutex_unlock(&fleet->mutex); /* who answers may wait for others */
		bool is_over = is_cancelled && is_cancelled(context);
		pthread_mutex_lock(&fleet->mutex);
		if (is_over || has_ended)
			return !is_over;
	}
}

static int copy_disks(struct simulated_fleet *fleet, struct simulated_host *to, const char *definition,
		      bool (*is_cancelled)(void *context), void *context, struct error *error)
{
	char uuid[UUID_SIZE] = "";
	long long memory_mb;

	if (sscanf(definition, DEFINITION_FORMAT, uuid, &memory_mb) != 2)
		return error_set(error, EINVAL, "that is no definition of a simulated guest");

	struct simulated_server *server = simulated_server_find(fleet, uuid);
	const struct simulated_copy copy = simulated_plan_begin(fleet, server);
	simulated_pass_gate(fleet, SIMULATED_GATE_DISK, NULL);
	bool is_whole = wait_for_disks(fleet, &copy, is_cancelled, context);
	simulated_plan_end(server);
	if (!is_whole)
		return error_set(error, ECANCELED, "the copy of disks to host %s was cancelled", to->name);
	if (copy.fails == SIMULATED_FAILS_TARGET_LOST) {
		lose(fleet, to);
		return error_set(error, EIO, "host %s stopped answering in the middle of the copy of disks (simulated)",
				 to->name);
	}
	int result = simulated_ask(to, error);
	if (result == 0 && (simulated_happens(to, SIMULATED_COPY_FAILS) || copy.fails == SIMULATED_FAILS_MIDWAY))
		result = simulated_fail(to, error, EIO, "the copy of disks to host %s broke off (simulated)", to->name);
	return result;
}

int simulated_copy_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *definition,
			const struct volume_journal *journal, bool (*is_cancelled)(void *context), void *context,
			char **ret_definition, struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(source);
	int result;

	(void)journal; /* the fleet has no volumes */
	pthread_mutex_lock(&fleet->mutex);
	result = copy_disks(fleet, simulated_host_of(target), definition, is_cancelled, context, error);
	unlock_and_tell(fleet, simulated_host_of(target));
	if (result < 0)
		return result;

	char *copy = text_format("%s", definition);
	if (!copy)
		return error_no_memory(error);
	*ret_definition = copy;
	return 0;
}
