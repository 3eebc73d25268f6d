/* The hypervisor port on the simulated fleet: its hosts, and guests that stay where they are. */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/simulated/fleet_state.h"

#define MIB (1024LL * 1024)

static void leave(void *node)
{
	(void)node; /* it is inside what the list frees */
}

static void destroy(struct hypervisor *self)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;

	tdestroy(fleet->hosts_by_name, leave);
	tdestroy(fleet->servers_by_uuid, simulated_server_free);
	while (fleet->hosts) {
		struct simulated_host *host = fleet->hosts;

		fleet->hosts = host->next;
		while (host->guests)
			simulated_guest_remove(host, host->guests->uuid);
		free(host);
	}
	pthread_cond_destroy(&fleet->changed);
	pthread_mutex_destroy(&fleet->mutex);
	free(fleet);
}

static void watch(struct hypervisor *self, hypervisor_event_fn on_event, void *context)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);

	fleet->on_event = on_event;
	fleet->event_context = context;
}

static int open_host(struct hypervisor *self, const struct hypervisor_address *address,
		     struct hypervisor_host **ret_host, struct error *error)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);
	struct simulated_host *host = simulated_host_find(fleet, address->name);

	if (!host)
		return error_set(error, ENOENT, "the simulated fleet has no host %.255s", address->name);
	host->base.host_id = address->host_id;
	*ret_host = &host->base;
	return 0;
}

/* The fleet keeps its hosts. */
static void close_host(struct hypervisor_host *host)
{
	(void)host;
}

static int describe(struct hypervisor_host *base, struct host_facts *ret_facts, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);
	const struct simulated_host *host = simulated_host_of(base);
	int result = simulated_ask(host, error);

	if (result < 0)
		return result;
	*ret_facts = (struct host_facts){
		.vcpus = host->vcpus,
		.memory_mb = host->memory_mb,
		.disk_gb = host->disk_gb,
		.hypervisor_version = 1000,
		.hypervisor_type = text_format("fake"),
		.host_ip = text_format("192.0.2.2"),
		.cpu_info = text_format("{}"),
		.facts = text_format("{}"),
	};
	return 0;
}

/* A text of Nova's metadata; NULL stays NULL. */
static char *copy_of(const char *text)
{
	return text ? text_format("%s", text) : NULL;
}

static void fill_facts(struct guest_facts *facts, const struct simulated_guest *guest)
{
	const struct simulated_server_settings *settings = guest->server ? guest->server->settings : NULL;

	TEXT_COPY(facts->uuid, guest->uuid);
	facts->view = guest->view;
	facts->memory_mb = guest->memory_mb;
	facts->vcpus = 1;
	facts->domain_name = text_format("simulated-%.8s", guest->uuid);
	if (!settings)
		return;
	facts->created_us = guest->server->created_us;
	facts->vcpus = settings->vcpus;
	facts->disk_bytes = settings->disk_gb * 1024 * MIB;
	facts->name = copy_of(guest->server->name);
	facts->project_id = copy_of(settings->project);
	facts->user_id = copy_of(settings->user);
	facts->flavor_name = copy_of(settings->flavor);
	if (!settings->flavor)
		return;
	facts->flavor_vcpus = settings->vcpus;
	facts->flavor_memory_mb = settings->memory_mb;
	facts->flavor_disk_gb = settings->disk_gb;
}

static int list_guests(struct hypervisor_host *base, struct guest_list *ret_guests, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);
	struct simulated_host *host = simulated_host_of(base);
	int result = simulated_ask(host, error);
	size_t count = 0;

	if (result < 0)
		return result;
	for (struct simulated_guest *guest = host->guests; guest; guest = guest->next)
		count++;

	struct guest_facts *items = calloc(count + 1, sizeof(*items));
	if (!items)
		return error_no_memory(error);
	count = 0;
	for (struct simulated_guest *guest = host->guests; guest; guest = guest->next) {
		struct guest_facts *facts = &items[count++];

		fill_facts(facts, guest);
	}
	*ret_guests = (struct guest_list){ .items = items, .count = count };
	return 0;
}

static int look(struct hypervisor_host *base, const char *uuid, struct guest_view *ret_view, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);
	int result = simulated_ask(simulated_host_of(base), error);

	if (result < 0)
		return result;

	struct simulated_guest *guest = simulated_guest_find(simulated_host_of(base), uuid);
	*ret_view = guest ? guest->view : (struct guest_view){ .state = GUEST_ABSENT };
	return 0;
}

static int stop_guest(struct hypervisor_host *base, const char *uuid, int64_t graceful_ms, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);
	int result = 0;
	struct simulated_guest *guest = simulated_guest_on(base, uuid, &result, error);

	(void)graceful_ms;
	if (guest && guest->view.state != GUEST_SAVED)
		guest->view.state = GUEST_SHUT_OFF;
	return result;
}

static int start_guest(struct hypervisor_host *base, const char *uuid, bool is_paused, struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(base);
	LOCK_SCOPE(&fleet->mutex);
	int result = 0;

	simulated_pass_gate(fleet, SIMULATED_GATE_FINISH, NULL);
	struct simulated_guest *guest = simulated_guest_on(base, uuid, &result, error);
	if (!guest)
		return result;
	if (simulated_happens(simulated_host_of(base), SIMULATED_START_FAILS))
		return simulated_fail(simulated_host_of(base), error, EIO, "server %.36s did not start (simulated)",
				      uuid);
	guest->view.state = is_paused ? GUEST_PAUSED : GUEST_RUNNING;
	return 0;
}

/* Into a state, from one in which it runs. */
static int put_into(struct hypervisor_host *base, const char *uuid, enum guest_state state, struct error *error)
{
	int result = 0;
	struct simulated_guest *guest = simulated_guest_on(base, uuid, &result, error);

	if (!guest)
		return result;
	if (guest->view.state != state && guest->view.state != GUEST_RUNNING && guest->view.state != GUEST_PAUSED)
		return error_set(error, EINVAL, "server %.36s is %s", uuid, guest_state_name(guest->view.state));
	guest->view.state = state;
	return 0;
}

static int pause_guest(struct hypervisor_host *base, const char *uuid, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);

	return put_into(base, uuid, GUEST_PAUSED, error);
}

static int save_guest(struct hypervisor_host *base, const char *uuid, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);

	return put_into(base, uuid, GUEST_SAVED, error);
}

static int forget_saved(struct hypervisor_host *base, const char *uuid, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);
	int result = 0;
	struct simulated_guest *guest = simulated_guest_on(base, uuid, &result, error);

	if (guest && guest->view.state == GUEST_SAVED)
		guest->view.state = GUEST_SHUT_OFF;
	return result;
}

static int read_definition(struct hypervisor_host *base, const char *uuid, char **ret_definition, bool *ret_autostart,
			   struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);
	int result = 0;
	struct simulated_guest *guest = simulated_guest_on(base, uuid, &result, error);

	if (!guest)
		return result;

	char *definition = text_format(DEFINITION_FORMAT, uuid, (long long)guest->memory_mb);
	if (!definition)
		return error_no_memory(error);
	*ret_definition = definition;
	*ret_autostart = guest->view.has_autostart;
	return 0;
}

/* What must hold of a guest that is to be removed or defined over; -ESTALE when it does not. */
static int hold(const struct simulated_guest *guest, const struct simulated_host *host, unsigned int states,
		struct error *error)
{
	if (guest->view.is_busy)
		return error_set(error, ESTALE, "server %s is busy on host %s", guest->uuid, host->name);
	if (!(GUEST_SET(guest->view.state) & states))
		return error_set(error, ESTALE, "server %s is %s on host %s", guest->uuid,
				 guest_state_name(guest->view.state), host->name);
	return 0;
}

static int define(struct hypervisor_host *base, const char *definition, bool has_autostart, struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(base);
	LOCK_SCOPE(&fleet->mutex);
	char uuid[UUID_SIZE] = "";
	long long memory_mb = 0;

	if (sscanf(definition, DEFINITION_FORMAT, uuid, &memory_mb) != 2)
		return error_set(error, EINVAL, "that is no definition of a simulated guest");
	simulated_pass_gate(fleet, SIMULATED_GATE_DEFINE, NULL);
	int result = simulated_ask(simulated_host_of(base), error);
	if (result < 0)
		return result;

	struct simulated_guest *guest = simulated_guest_find(simulated_host_of(base), uuid);
	if (guest)
		result = hold(guest, simulated_host_of(base), GUEST_SET_OFF, error);
	else if (!(guest = simulated_guest_add(simulated_host_of(base), uuid, GUEST_SHUT_OFF, memory_mb)))
		result = error_no_memory(error);
	if (result < 0)
		return result;
	guest->view.is_persistent = true;
	guest->view.has_autostart = has_autostart;
	guest->memory_mb = memory_mb;
	return 0;
}

static int set_autostart(struct hypervisor_host *base, const char *uuid, bool has_autostart, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);
	int result = 0;
	struct simulated_guest *guest = simulated_guest_on(base, uuid, &result, error);

	if (!guest)
		return result;
	if (!guest->view.is_persistent)
		return error_set(error, EINVAL, "server %.36s has no definition on host %s", uuid,
				 simulated_host_of(base)->name);
	guest->view.has_autostart = has_autostart;
	return 0;
}

static int remove_guest(struct hypervisor_host *base, const char *uuid, unsigned int states, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);
	struct simulated_host *host = simulated_host_of(base);
	int result = simulated_ask(host, error);

	if (result < 0)
		return result;

	const struct simulated_guest *guest = simulated_guest_find(host, uuid);
	if (!guest)
		return 0;
	result = hold(guest, host, states, error);
	if (result == 0)
		simulated_guest_remove(host, uuid);
	return result;
}

static int verify_disks(struct hypervisor_host *base, const struct hypervisor_volume *volumes, size_t count,
			struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(base);
	LOCK_SCOPE(&fleet->mutex);

	(void)volumes, (void)count; /* the fleet has no volumes */
	simulated_pass_gate(fleet, SIMULATED_GATE_CONFIRM, NULL);
	return simulated_ask(simulated_host_of(base), error);
}

static int remove_volume(struct hypervisor_host *base, const struct hypervisor_volume *volume, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);

	(void)volume;
	return simulated_ask(simulated_host_of(base), error);
}

/* No call hangs here. */
static void interrupt(struct hypervisor_host *base)
{
	(void)base;
}

const struct hypervisor_operations simulated_operations = {
	.driver_name = "simulated",
	.destroy = destroy,
	.watch = watch,
	.open_host = open_host,
	.close_host = close_host,
	.describe = describe,
	.list_guests = list_guests,
	.look = look,
	.check_live = simulated_check_live,
	.prepare_live = simulated_prepare_live,
	.migrate_live = simulated_migrate_live,
	.progress = simulated_progress,
	.completed = simulated_completed,
	.adjust = simulated_adjust,
	.stop_guest = stop_guest,
	.start_guest = start_guest,
	.pause_guest = pause_guest,
	.save_guest = save_guest,
	.forget_saved = forget_saved,
	.check_cold = simulated_check_cold,
	.read_definition = read_definition,
	.define = define,
	.set_autostart = set_autostart,
	.copy_cold = simulated_copy_cold,
	.remove_guest = remove_guest,
	.verify_disks = verify_disks,
	.remove_volume = remove_volume,
	.interrupt = interrupt,
};
