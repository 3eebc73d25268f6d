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

static void free_hosts(struct simulated_fleet *fleet)
{
	tdestroy(fleet->hosts_by_name, leave);
	while (fleet->hosts) {
		struct simulated_host *host = fleet->hosts;

		fleet->hosts = host->next;
		while (host->guests)
			simulated_guest_remove(host, host->guests->uuid);
		simulated_drop_volumes(&host->volumes);
		free(host);
	}
}

static void destroy(struct hypervisor *self)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;

	pthread_mutex_lock(&fleet->mutex);
	fleet->is_ending = true;
	simulated_cut_calls(fleet, NULL);
	while (fleet->calls)
		clock_wait(clock_system(), &fleet->changed, &fleet->mutex, INT64_MAX);
	simulated_drop_moves(fleet);
	pthread_mutex_unlock(&fleet->mutex);
	simulated_drop_late(fleet, NULL);
	simulated_drop_hangs(fleet);
	simulated_drop_cuts(fleet);
	simulated_drop_disks(fleet);
	simulated_drop_volumes(&fleet->shared_volumes);
	tdestroy(fleet->servers_by_uuid, simulated_server_free);
	free_hosts(fleet);
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

/* What was read is told late, when it may be true no more. */
static int hold_reading(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	while (call->host->holds_readings && !call->is_cut && !fleet->is_ending)
		simulated_call_wait(fleet, call, INT64_MAX);
	call->is_waiting = false;
	return call->is_cut ? simulated_tell_cut(call, error) : 0;
}

int simulated_body_describe(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	const struct simulated_host *host = call->host;
	int result = simulated_ask(host, error);

	if (result < 0)
		return result;
	struct host_facts facts = {
		.vcpus = host->vcpus,
		.memory_mb = host->memory_mb,
		.disk_gb = host->disk_gb,
		.hypervisor_version = 1000,
		.hypervisor_type = text_format("fake"),
		.host_ip = text_format("192.0.2.2"),
		.cpu_info = text_format("{}"),
		.facts = text_format("{}"),
	};
	result = hold_reading(fleet, call, error);
	if (result < 0)
		host_facts_clear(&facts);
	else
		*(struct host_facts *)call->ret = facts;
	return result;
}

/* A text of Nova's metadata; NULL stays NULL. */
static char *copy_of(const char *text)
{
	return text ? text_format("%s", text) : NULL;
}

static void fill_facts(struct guest_facts *facts, const struct simulated_guest *guest, bool is_busy)
{
	const struct simulated_server_settings *settings = guest->server ? guest->server->settings : NULL;

	TEXT_COPY(facts->uuid, guest->uuid);
	facts->view = guest->view;
	facts->view.is_busy = is_busy;
	facts->is_silent = guest->is_hung;
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

int simulated_body_list(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	struct guest_list guests = { 0 };
	size_t count = 0;
	int result = simulated_ask(call->host, error);

	if (result < 0)
		return result;
	for (const struct simulated_guest *guest = call->host->guests; guest; guest = guest->next)
		count++;
	guests.items = calloc(count + 1, sizeof(*guests.items));
	if (!guests.items)
		return error_no_memory(error);
	for (const struct simulated_guest *guest = call->host->guests; guest; guest = guest->next)
		fill_facts(&guests.items[guests.count++], guest,
			   simulated_is_occupied(fleet, call->host, guest->uuid, NULL));
	result = hold_reading(fleet, call, error);
	if (result < 0)
		guest_list_clear(&guests);
	else
		*(struct guest_list *)call->ret = guests;
	return result;
}

int simulated_body_look(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	struct guest_view *view = call->ret;
	int result = simulated_ask(call->host, error);

	if (result < 0)
		return result;

	const struct simulated_guest *guest = simulated_guest_find(call->host, call->uuid);
	*view = guest ? guest->view : (struct guest_view){ .state = GUEST_ABSENT };
	view->is_busy = simulated_is_occupied(fleet, call->host, call->uuid, NULL);
	return 0;
}

int simulated_body_read_definition(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	int result;
	const struct simulated_guest *guest = simulated_guest_on(call->host, call->uuid, &result, error);

	(void)fleet;
	if (!guest)
		return result;

	char *definition = text_format(DEFINITION_FORMAT, call->uuid, (long long)guest->memory_mb);
	if (!definition)
		return error_no_memory(error);
	*(char **)call->ret = definition;
	*call->ret_flag = guest->view.has_autostart;
	return 0;
}

static struct simulated_call call_of(enum simulated_operation operation, struct hypervisor_host *host,
				     struct hypervisor_host *target, const char *uuid)
{
	struct simulated_call call = {
		.operation = operation,
		.host = simulated_host_of(host),
		.target = target ? simulated_host_of(target) : NULL,
	};

	TEXT_COPY(call.uuid, uuid);
	return call;
}

static int describe(struct hypervisor_host *host, struct host_facts *ret_facts, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_DESCRIBE, host, NULL, "");

	call.ret = ret_facts;
	return simulated_call(&call, error);
}

static int list_guests(struct hypervisor_host *host, struct guest_list *ret_guests, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_LIST_GUESTS, host, NULL, "");

	call.ret = ret_guests;
	return simulated_call(&call, error);
}

static int look(struct hypervisor_host *host, const char *uuid, struct guest_view *ret_view, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_LOOK, host, NULL, uuid);

	call.ret = ret_view;
	return simulated_call(&call, error);
}

static int check_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		      const struct live_options *options, struct check_result *ret_check, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_CHECK_LIVE, source, target, uuid);

	*ret_check = (struct check_result){ .is_storage_proven_shared = true };
	call.options = options;
	call.ret = ret_check;
	return simulated_call(&call, error);
}

static int check_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		      struct check_result *ret_check, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_CHECK_COLD, source, target, uuid);

	*ret_check = (struct check_result){ .is_storage_proven_shared = true };
	call.ret = ret_check;
	return simulated_call(&call, error);
}

static int prepare_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			const struct live_options *options, bool copies_disks, const struct volume_journal *journal,
			struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_PREPARE_LIVE, source, target, uuid);

	(void)options;
	call.flag = copies_disks;
	call.journal = journal;
	return simulated_call(&call, error);
}

static int migrate_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			const struct live_options *options, bool copies_disks, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_MIGRATE_LIVE, source, target, uuid);

	(void)options;
	call.flag = copies_disks;
	return simulated_call(&call, error);
}

static int progress(struct hypervisor_host *source, const char *uuid, struct move_progress *ret_progress,
		    struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_PROGRESS, source, NULL, uuid);

	call.ret = ret_progress;
	return simulated_call(&call, error);
}

static int completed(struct hypervisor_host *target, const char *uuid, struct move_progress *ret_progress,
		     struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_COMPLETED, target, NULL, uuid);

	call.ret = ret_progress;
	return simulated_call(&call, error);
}

static int adjust(struct hypervisor_host *source, const char *uuid, enum move_adjustment adjustment, int64_t value,
		  struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_ADJUST, source, NULL, uuid);

	(void)value;
	call.adjustment = adjustment;
	return simulated_call(&call, error);
}

static int stop_guest(struct hypervisor_host *host, const char *uuid, int64_t graceful_ms, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_STOP_GUEST, host, NULL, uuid);

	(void)graceful_ms;
	return simulated_call(&call, error);
}

static int start_guest(struct hypervisor_host *host, const char *uuid, bool is_paused, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_START_GUEST, host, NULL, uuid);

	call.flag = is_paused;
	return simulated_call(&call, error);
}

static int pause_guest(struct hypervisor_host *host, const char *uuid, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_PAUSE_GUEST, host, NULL, uuid);

	return simulated_call(&call, error);
}

static int save_guest(struct hypervisor_host *host, const char *uuid, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_SAVE_GUEST, host, NULL, uuid);

	return simulated_call(&call, error);
}

static int forget_saved(struct hypervisor_host *host, const char *uuid, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_FORGET_SAVED, host, NULL, uuid);

	return simulated_call(&call, error);
}

static int read_definition(struct hypervisor_host *host, const char *uuid, char **ret_definition, bool *ret_autostart,
			   struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_READ_DEFINITION, host, NULL, uuid);

	call.ret = ret_definition;
	call.ret_flag = ret_autostart;
	return simulated_call(&call, error);
}

/* Into what it is about. */
static int read_into(struct simulated_call *call, const char *definition, struct error *error)
{
	long long memory_mb = 0;

	if (sscanf(definition, DEFINITION_FORMAT, call->uuid, &memory_mb) != 2)
		return error_set(error, EINVAL, "that is no definition of a simulated guest");
	call->memory_mb = memory_mb;
	return 0;
}

static int define(struct hypervisor_host *host, const char *definition, bool has_autostart, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_DEFINE, host, NULL, "");
	int result = read_into(&call, definition, error);

	call.flag = has_autostart;
	return result < 0 ? result : simulated_call(&call, error);
}

static int set_autostart(struct hypervisor_host *host, const char *uuid, bool has_autostart, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_SET_AUTOSTART, host, NULL, uuid);

	call.flag = has_autostart;
	return simulated_call(&call, error);
}

static int copy_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *definition,
		     const struct volume_journal *journal, bool (*is_cancelled)(void *context), void *context,
		     char **ret_definition, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_COPY_COLD, source, target, "");
	int result = read_into(&call, definition, error);

	call.journal = journal;
	call.is_cancelled = is_cancelled;
	call.context = context;
	if (result == 0)
		result = simulated_call(&call, error);
	if (result < 0)
		return result;

	char *copy = text_format("%s", definition);
	if (!copy)
		return error_no_memory(error);
	*ret_definition = copy;
	return 0;
}

static int remove_guest(struct hypervisor_host *host, const char *uuid, unsigned int states, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_REMOVE_GUEST, host, NULL, uuid);

	call.states = states;
	return simulated_call(&call, error);
}

static int verify_disks(struct hypervisor_host *host, const struct hypervisor_volume *volumes, size_t count,
			struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_VERIFY_DISKS, host, NULL, "");

	call.volumes = volumes;
	call.volume_count = count;
	return simulated_call(&call, error);
}

static int remove_volume(struct hypervisor_host *host, const struct hypervisor_volume *volume, struct error *error)
{
	struct simulated_call call = call_of(SIMULATED_REMOVE_VOLUME, host, NULL, "");

	TEXT_COPY(call.pool, volume->pool);
	TEXT_COPY(call.name, volume->name);
	return simulated_call(&call, error);
}

static void interrupt(struct hypervisor_host *host)
{
	struct simulated_fleet *fleet = simulated_fleet_of(simulated_host_of(host));
	LOCK_SCOPE(&fleet->mutex);

	simulated_cut_calls(fleet, simulated_host_of(host));
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
	.check_live = check_live,
	.prepare_live = prepare_live,
	.migrate_live = migrate_live,
	.progress = progress,
	.completed = completed,
	.adjust = adjust,
	.stop_guest = stop_guest,
	.start_guest = start_guest,
	.pause_guest = pause_guest,
	.save_guest = save_guest,
	.forget_saved = forget_saved,
	.check_cold = check_cold,
	.read_definition = read_definition,
	.define = define,
	.set_autostart = set_autostart,
	.copy_cold = copy_cold,
	.remove_guest = remove_guest,
	.verify_disks = verify_disks,
	.remove_volume = remove_volume,
	.interrupt = interrupt,
};
