/* Calls of the port upon the simulated fleet: each meets the hook, its gate, and what may keep it from returning; then its body
 * runs. What a call asked for may happen after it was made to return: it is kept then, without its caller's pointers. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/simulated/fleet_state.h"

#define OCCUPIED_MS 30000 /* after so long libvirt gives up waiting for a guest that another call holds */

static const struct {
	const char *name;
	simulated_body body;
	enum simulated_gate gate; /* before all else; SIMULATED_GATE_MAX: none */
	bool is_reading; /* nothing happens by it */
	bool waits_for_guest; /* libvirt makes it wait while the guest is busy */
	bool may_land_late; /* libvirtd does it by itself once it was asked */
	bool holds_guest; /* the guest is busy until it has happened */
	bool is_between_libvirtds; /* the target's does not keep it from returning */
} rows[SIMULATED_OPERATION_MAX] = {
#define READING(body_name, gate_name) .body = simulated_body_##body_name, .gate = (gate_name), .is_reading = true
#define CHANGE(body_name, gate_name)                                                                                   \
	.body = simulated_body_##body_name, .gate = (gate_name), .waits_for_guest = true, .may_land_late = true,       \
	.holds_guest = true
#define NO_GATE SIMULATED_GATE_MAX
	[SIMULATED_DESCRIBE] = { "describe", READING(describe, NO_GATE) },
	[SIMULATED_LIST_GUESTS] = { "list_guests", READING(list, NO_GATE) },
	[SIMULATED_LOOK] = { "look", READING(look, NO_GATE) },
	[SIMULATED_CHECK_LIVE] = { "check_live", READING(check_live, NO_GATE) },
	[SIMULATED_PREPARE_LIVE] = { "prepare_live", simulated_body_prepare, SIMULATED_GATE_PRE_LIVE },
	[SIMULATED_MIGRATE_LIVE] = { "migrate_live", CHANGE(migrate, NO_GATE), .is_between_libvirtds = true },
	[SIMULATED_PROGRESS] = { "progress", READING(progress, NO_GATE) },
	[SIMULATED_COMPLETED] = { "completed", READING(completed, NO_GATE) },
	[SIMULATED_ADJUST] = { "adjust", CHANGE(adjust, NO_GATE) },
	[SIMULATED_STOP_GUEST] = { "stop_guest", CHANGE(stop, NO_GATE) },
	[SIMULATED_START_GUEST] = { "start_guest", CHANGE(start, SIMULATED_GATE_FINISH) },
	[SIMULATED_PAUSE_GUEST] = { "pause_guest", CHANGE(pause, NO_GATE) },
	[SIMULATED_SAVE_GUEST] = { "save_guest", CHANGE(save, NO_GATE) },
	[SIMULATED_FORGET_SAVED] = { "forget_saved", CHANGE(forget_saved, NO_GATE) },
	[SIMULATED_CHECK_COLD] = { "check_cold", READING(check_cold, NO_GATE) },
	[SIMULATED_READ_DEFINITION] = { "read_definition", READING(read_definition, NO_GATE) },
	[SIMULATED_DEFINE] = { "define", CHANGE(define, SIMULATED_GATE_DEFINE) },
	[SIMULATED_SET_AUTOSTART] = { "set_autostart", CHANGE(set_autostart, NO_GATE) },
	[SIMULATED_COPY_COLD] = { "copy_cold", simulated_body_copy_cold, NO_GATE },
	[SIMULATED_REMOVE_GUEST] = { "remove_guest", simulated_body_remove_guest, NO_GATE, .may_land_late = true,
				     .holds_guest = true },
	[SIMULATED_VERIFY_DISKS] = { "verify_disks", READING(verify_disks, SIMULATED_GATE_CONFIRM) },
	[SIMULATED_REMOVE_VOLUME] = { "remove_volume", simulated_body_remove_volume, NO_GATE, .may_land_late = true },
	[SIMULATED_CREATE_VOLUME] = { "create_volume", simulated_body_create_volume, NO_GATE, .may_land_late = true },
};

void simulated_call_wait(struct simulated_fleet *fleet, struct simulated_call *call, int64_t until_ms)
{
	/* Told once, or two that wait would wake each other for ever. */
	if (!call->is_waiting)
		pthread_cond_broadcast(&fleet->changed);
	call->is_waiting = true;
	clock_wait(fleet->clock, &fleet->changed, &fleet->mutex, until_ms);
}

int simulated_tell_cut(const struct simulated_call *call, struct error *error)
{
	return error_set(error, EHOSTUNREACH, "host %s: the call was broken off (simulated)",
			 (call->cut_by ? call->cut_by : call->host)->name);
}

static bool concerns(const struct simulated_call *call, const struct simulated_host *host)
{
	return !host || call->host == host || (call->target == host && !rows[call->operation].is_between_libvirtds);
}

void simulated_cut_calls(struct simulated_fleet *fleet, const struct simulated_host *host)
{
	for (struct simulated_call *call = fleet->calls; call; call = call->next)
		if (concerns(call, host)) {
			call->is_cut = true;
			call->cut_by = host;
		}
	pthread_cond_broadcast(&fleet->changed);
}

static bool holds(const struct simulated_call *call, const struct simulated_host *host, const char *uuid)
{
	return call->host == host && rows[call->operation].holds_guest && text_equal(call->uuid, uuid);
}

bool simulated_is_occupied(struct simulated_fleet *fleet, struct simulated_host *host, const char *uuid,
			   const struct simulated_call *except)
{
	const struct simulated_guest *guest = simulated_guest_find(host, uuid);

	if (guest && guest->is_hung)
		return true;
	for (const struct simulated_call *call = fleet->late; call; call = call->next)
		if (call != except && holds(call, host, uuid))
			return true;
	for (const struct simulated_call *call = fleet->calls; call; call = call->next)
		if (call != except && call->is_hung && holds(call, host, uuid))
			return true;
	return false;
}

bool simulated_is_being_made(const struct simulated_fleet *fleet, const struct simulated_host *host, const char *volume)
{
	for (const struct simulated_call *call = fleet->late; call; call = call->next)
		if (call->operation == SIMULATED_CREATE_VOLUME && call->host == host && text_equal(call->name, volume))
			return true;
	return false;
}

static int keep_late(struct simulated_fleet *fleet, const struct simulated_call *call, bool lands_on_resume,
		     struct error *error)
{
	struct simulated_call *late = malloc(sizeof(*late));
	struct simulated_call **link = &fleet->late;

	if (!late)
		return error_no_memory(error);
	*late = *call;
	late->volumes = NULL;
	late->options = NULL;
	late->journal = NULL;
	late->is_cancelled = NULL;
	late->context = NULL;
	late->ret = NULL;
	late->ret_flag = NULL;
	late->next = NULL;
	late->is_late = true;
	late->is_cut = late->is_hung = late->is_waiting = false;
	late->lands_on_resume = lands_on_resume;
	while (*link) /* they land in the order in which they were asked for */
		link = &(*link)->next;
	*link = late;
	return 0;
}

bool simulated_land(struct simulated_fleet *fleet, const struct simulated_host *host, bool lands_on_resume)
{
	bool has_landed = false;

	for (struct simulated_call **link = &fleet->late; *link;) {
		struct simulated_call *late = *link;

		if (late->host != host || late->lands_on_resume != lands_on_resume) {
			link = &late->next;
			continue;
		}
		*link = late->next;
		rows[late->operation].body(fleet, late, NULL);
		free(late);
		has_landed = true;
	}
	return has_landed;
}

void simulated_drop_late(struct simulated_fleet *fleet, const struct simulated_host *host)
{
	for (struct simulated_call **link = &fleet->late; *link;) {
		struct simulated_call *late = *link;

		if (host && late->host != host) {
			link = &late->next;
			continue;
		}
		*link = late->next;
		free(late);
	}
}

void simulated_drop_hangs(struct simulated_fleet *fleet)
{
	while (fleet->hangs) {
		struct simulated_hang *gone = fleet->hangs;

		fleet->hangs = gone->next;
		free(gone);
	}
}

static bool is_held_up(const struct simulated_call *call)
{
	const struct simulated_host *target = rows[call->operation].is_between_libvirtds ? NULL : call->target;

	return call->host->libvirtd == SIMULATED_LIBVIRTD_STANDS
	       || (target && target->libvirtd == SIMULATED_LIBVIRTD_STANDS);
}

static int cut_while_stopped(struct simulated_fleet *fleet, const struct simulated_call *call, struct error *error)
{
	if (call->host->libvirtd == SIMULATED_LIBVIRTD_STANDS && !call->host->loses_calls
	    && rows[call->operation].may_land_late && !fleet->is_ending && keep_late(fleet, call, true, error) < 0)
		return -ENOMEM;
	return simulated_tell_cut(call, error);
}

/* Until nothing keeps it from its body any more. */
static int reach(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	int64_t gives_up_ms = 0;

	for (;;) {
		int64_t now_ms = clock_monotonic_ms(fleet->clock);
		bool is_stopped = is_held_up(call);
		bool is_occupied = !is_stopped && rows[call->operation].waits_for_guest
				   && simulated_ask(call->host, NULL) == 0
				   && simulated_is_occupied(fleet, call->host, call->uuid, call);

		if (call->is_cut || ((is_stopped || is_occupied) && fleet->is_ending))
			return is_stopped ? cut_while_stopped(fleet, call, error) : simulated_tell_cut(call, error);
		if (!is_stopped && !is_occupied) {
			call->is_waiting = false;
			return 0;
		}
		if (is_occupied && gives_up_ms == 0)
			gives_up_ms = now_ms + OCCUPIED_MS;
		if (is_occupied && now_ms >= gives_up_ms)
			return error_set(error, EIO, "server %s on host %s is held by another call (simulated)",
					 call->uuid, call->host->name);
		simulated_call_wait(fleet, call, is_occupied ? gives_up_ms : INT64_MAX);
		simulated_settle(fleet);
	}
}

/* False: no test ordered that it hangs. */
static bool take_hang(struct simulated_fleet *fleet, const struct simulated_call *call,
		      enum simulated_landing *ret_landing)
{
	for (struct simulated_hang **link = &fleet->hangs; *link; link = &(*link)->next) {
		struct simulated_hang *hang = *link;

		if (hang->operation != call->operation || (hang->host != call->host && hang->host != call->target))
			continue;
		*ret_landing = hang->landing;
		*link = hang->next;
		free(hang);
		return true;
	}
	return false;
}

static int hang(struct simulated_fleet *fleet, struct simulated_call *call, enum simulated_landing landing,
		struct error *error)
{
	int result = 0;

	if (landing == SIMULATED_LANDS_BEFORE && !rows[call->operation].is_reading)
		rows[call->operation].body(fleet, call, NULL);
	if (landing == SIMULATED_LANDS_LATE && rows[call->operation].may_land_late)
		result = keep_late(fleet, call, false, error);
	if (result < 0)
		return result;
	/* One that is late holds its guest by itself, and lets it go when it has landed. */
	call->is_hung = landing != SIMULATED_LANDS_LATE;
	while (!call->is_cut && !fleet->is_ending)
		simulated_call_wait(fleet, call, INT64_MAX);
	call->is_hung = false;
	return simulated_tell_cut(call, error);
}

static int run(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	enum simulated_landing landing;

	if (rows[call->operation].gate != SIMULATED_GATE_MAX)
		simulated_pass_gate(fleet, rows[call->operation].gate, &call->is_cut);
	int result = reach(fleet, call, error);
	if (result < 0)
		return result;
	if (simulated_ask(call->host, NULL) == 0 && take_hang(fleet, call, &landing))
		return hang(fleet, call, landing, error);
	return rows[call->operation].body(fleet, call, error);
}

static void leave(struct simulated_fleet *fleet, const struct simulated_call *call)
{
	struct simulated_call **link = &fleet->calls;

	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
	pthread_cond_broadcast(&fleet->changed);
}

int simulated_call(struct simulated_call *call, struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(call->host);
	const char *name = rows[call->operation].name;

	pthread_mutex_lock(&fleet->mutex);
	simulated_hook_fn hook = fleet->hook;
	void *context = fleet->hook_context;
	pthread_mutex_unlock(&fleet->mutex);
	if (hook)
		hook(context, call->host->name, name, call->uuid, false);

	pthread_mutex_lock(&fleet->mutex);
	call->next = fleet->calls;
	fleet->calls = call;
	simulated_settle(fleet);
	int result = run(fleet, call, error);
	pthread_mutex_unlock(&fleet->mutex);

	/* It stays known until the hook has returned, so that the fleet is not destroyed meanwhile. */
	if (hook)
		hook(context, call->host->name, name, call->uuid, true);
	pthread_mutex_lock(&fleet->mutex);
	leave(fleet, call);
	simulated_unlock(fleet);
	return result;
}

void simulated_unlock(struct simulated_fleet *fleet)
{
	for (struct simulated_host *host = fleet->has_news ? fleet->hosts : NULL; host;) {
		hypervisor_event_fn on_event = fleet->on_event;
		void *context = fleet->event_context;

		if (!host->has_news) {
			host = host->next;
			continue;
		}
		host->has_news = false;
		if (!on_event || host->base.host_id == 0)
			continue;
		bool is_up = host->is_news_up;
		int64_t host_id = host->base.host_id;
		pthread_mutex_unlock(&fleet->mutex);
		on_event(context, host_id, is_up ? HYPERVISOR_HOST_UP : HYPERVISOR_HOST_DOWN, NULL);
		pthread_mutex_lock(&fleet->mutex);
		host = fleet->hosts; /* there may be other news by now */
	}
	fleet->has_news = false;
	pthread_mutex_unlock(&fleet->mutex);
}

bool simulated_hang_next(struct hypervisor *self, const char *host_name, const char *operation,
			 enum simulated_landing landing)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);
	struct simulated_host *host = simulated_host_find(fleet, host_name);
	struct simulated_hang **link = &fleet->hangs;

	for (enum simulated_operation i = 0; host && i < SIMULATED_OPERATION_MAX; i++) {
		struct simulated_hang *wanted = text_equal(rows[i].name, operation) ? malloc(sizeof(*wanted)) : NULL;

		if (!wanted)
			continue;
		*wanted = (struct simulated_hang){ .host = host, .operation = i, .landing = landing };
		while (*link)
			link = &(*link)->next;
		*link = wanted;
		return true;
	}
	return false;
}

void simulated_wait_hung(struct hypervisor *self, const char *host_name)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);
	const struct simulated_host *host = simulated_host_find(fleet, host_name);

	while (host) {
		for (const struct simulated_call *call = fleet->calls; call; call = call->next)
			if (call->is_waiting && (call->host == host || call->target == host))
				return;
		clock_wait(clock_system(), &fleet->changed, &fleet->mutex, INT64_MAX);
	}
}

void simulated_set_hook(struct hypervisor *self, simulated_hook_fn hook, void *context)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);

	fleet->hook = hook;
	fleet->hook_context = context;
}
