/* What calls do to simulated guests where they are. */
#include "base/error.h"
#include "base/text.h"
#include "server/worker/simulated/fleet_state.h"

#define RUNS (GUEST_SET(GUEST_RUNNING) | GUEST_SET(GUEST_PAUSED) | GUEST_SET(GUEST_SUSPENDED))
#define ALIVE                                                                                                          \
	(RUNS | GUEST_SET(GUEST_HANDED_OVER) | GUEST_SET(GUEST_POSTCOPY_SOURCE) | GUEST_SET(GUEST_POSTCOPY_TARGET)     \
	 | GUEST_SET(GUEST_POSTCOPY_FAILED) | GUEST_SET(GUEST_STOPPING))

bool simulated_is_alive(const struct simulated_guest *guest)
{
	return GUEST_SET(guest->view.state) & ALIVE;
}

void simulated_enter_state(struct simulated_host *host, struct simulated_guest *guest, enum guest_state state)
{
	bool starts = state == GUEST_RUNNING && guest->view.state != GUEST_RUNNING;

	guest->view.state = state;
	if (starts)
		simulated_touch(host, guest->uuid);
}

void simulated_guest_end(struct simulated_host *host, struct simulated_guest *guest, enum guest_state state)
{
	guest->is_hung = false;
	if (guest->view.is_persistent)
		guest->view.state = state;
	else
		simulated_guest_remove(host, guest->uuid);
}

/* What must hold of a guest that is to be removed or defined over; -ESTALE when it does not. */
static int hold(const struct simulated_guest *guest, const struct simulated_host *host, unsigned int states,
		struct error *error)
{
	if (GUEST_SET(guest->view.state) & states)
		return 0;
	return error_set(error, ESTALE, "server %s is %s on host %s", guest->uuid, guest_state_name(guest->view.state),
			 host->name);
}

int simulated_body_stop(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	int result;
	struct simulated_guest *guest = simulated_guest_on(call->host, call->uuid, &result, error);

	(void)fleet;
	if (guest && !guest->view.is_persistent)
		return error_set(error, ESTALE,
				 "host %s: server %s runs there without a definition: stopping it would be its end",
				 call->host->name, call->uuid);
	if (guest && guest->view.state != GUEST_SAVED)
		simulated_guest_end(call->host, guest, GUEST_SHUT_OFF);
	return result;
}

int simulated_body_start(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	int result;
	struct simulated_guest *guest = simulated_guest_on(call->host, call->uuid, &result, error);

	(void)fleet;
	if (!guest)
		return result;
	if (simulated_happens(call->host, SIMULATED_START_FAILS))
		return simulated_fail(call->host, error, EIO, "server %.36s did not start (simulated)", call->uuid);

	const char *missing = simulated_missing_disk(call->host, call->uuid);
	if (missing)
		return error_set(error, EIO, "disk %s of server %s is not on host %s (simulated)", missing, call->uuid,
				 call->host->name);
	simulated_enter_state(call->host, guest, call->flag ? GUEST_PAUSED : GUEST_RUNNING);
	return 0;
}

/* Into a state, from one in which it runs. */
static int put_into(const struct simulated_call *call, enum guest_state state, struct error *error)
{
	int result;
	struct simulated_guest *guest = simulated_guest_on(call->host, call->uuid, &result, error);

	if (!guest)
		return result;
	if (guest->view.state != state && guest->view.state != GUEST_RUNNING && guest->view.state != GUEST_PAUSED)
		return error_set(error, EINVAL, "host %s: server %.36s is %s there (simulated)", call->host->name,
				 call->uuid, guest_state_name(guest->view.state));
	guest->view.state = state;
	return 0;
}

int simulated_body_pause(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	(void)fleet;
	return put_into(call, GUEST_PAUSED, error);
}

int simulated_body_save(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	(void)fleet;
	return put_into(call, GUEST_SAVED, error);
}

int simulated_body_forget_saved(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	int result;
	struct simulated_guest *guest = simulated_guest_on(call->host, call->uuid, &result, error);

	(void)fleet;
	if (guest && guest->view.state == GUEST_SAVED)
		guest->view.state = GUEST_SHUT_OFF;
	return result;
}

int simulated_body_define(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	int result = simulated_ask(call->host, error);

	(void)fleet;
	if (result < 0)
		return result;

	struct simulated_guest *guest = simulated_guest_find(call->host, call->uuid);
	if (guest)
		result = hold(guest, call->host, GUEST_SET_OFF, error);
	else if (!(guest = simulated_guest_add(call->host, call->uuid, GUEST_SHUT_OFF, call->memory_mb)))
		result = error_no_memory(error);
	if (result < 0)
		return result;
	guest->view.is_persistent = true;
	guest->view.has_autostart = call->flag;
	guest->memory_mb = call->memory_mb;
	return 0;
}

int simulated_body_set_autostart(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	int result;
	struct simulated_guest *guest = simulated_guest_on(call->host, call->uuid, &result, error);

	(void)fleet;
	if (!guest)
		return result;
	if (!guest->view.is_persistent)
		return error_set(error, EINVAL, "server %.36s has no definition on host %s", call->uuid,
				 call->host->name);
	guest->view.has_autostart = call->flag;
	return 0;
}

int simulated_body_remove_guest(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	int result = simulated_ask(call->host, error);

	if (result < 0)
		return result;
	if (simulated_is_occupied(fleet, call->host, call->uuid, call))
		return error_set(error, ESTALE, "server %s is busy on host %s", call->uuid, call->host->name);

	const struct simulated_guest *guest = simulated_guest_find(call->host, call->uuid);
	if (!guest)
		return 0;
	result = hold(guest, call->host, call->states, error);
	if (result == 0)
		simulated_guest_remove(call->host, call->uuid);
	return result;
}
