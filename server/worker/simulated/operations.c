/* The hypervisor port on the simulated fleet. A move changes the same states in the same order as libvirt shows them, so
 * that whoever looks in between sees what recovery would see. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/simulated/fleet_state.h"

#define DEFINITION_FORMAT "simulated guest %36s of %lld MiB"
#define MIB               (1024LL * 1024)

static void destroy(struct hypervisor *self)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;

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
	int result = simulated_ask(simulated_host_of(base), error);

	if (result < 0)
		return result;
	*ret_facts = (struct host_facts){
		.vcpus = 10,
		.memory_mb = 8192,
		.disk_gb = 1028,
		.hypervisor_version = 1000,
		.hypervisor_type = text_format("fake"),
		.host_ip = text_format("192.0.2.2"),
		.cpu_info = text_format("{}"),
		.facts = text_format("{}"),
	};
	return 0;
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

		TEXT_COPY(facts->uuid, guest->uuid);
		facts->view = guest->view;
		facts->memory_mb = guest->memory_mb;
		facts->vcpus = 1;
		facts->domain_name = text_format("simulated-%.8s", guest->uuid);
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

/* The guest on a host that answers; NULL with *ret_result filled. */
static struct simulated_guest *guest_on(struct hypervisor_host *base, const char *uuid, int *ret_result,
					struct error *error)
{
	struct simulated_host *host = simulated_host_of(base);
	struct simulated_guest *guest = NULL;

	*ret_result = simulated_ask(host, error);
	if (*ret_result == 0) {
		guest = simulated_guest_find(host, uuid);
		if (!guest)
			*ret_result = error_set(error, ENOENT, "host %s has no guest %.36s", host->name, uuid);
	}
	return guest;
}

static int check(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		 struct check_result *ret_check, struct error *error)
{
	struct simulated_host *to = simulated_host_of(target);
	int result = 0;

	*ret_check = (struct check_result){ .is_storage_proven_shared = true };
	if (!guest_on(source, uuid, &result, error))
		return result;
	result = simulated_ask(to, error);
	if (result < 0)
		return result;
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

static int check_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		      const struct live_options *options, struct check_result *ret_check, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(source)->mutex);
	int result = check(source, target, uuid, ret_check, error);

	ret_check->copies_disks = options->block_migration == BLOCK_MIGRATION_YES;
	return result;
}

static int check_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		      struct check_result *ret_check, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(source)->mutex);

	return check(source, target, uuid, ret_check, error);
}

static int prepare_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
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
	guest->view.state = GUEST_HANDED_OVER;
	guest->view.is_moving_out = false;
	memcpy(uuid, guest->uuid, sizeof(uuid));
	simulated_pass_gate(fleet, SIMULATED_GATE_POST_DEST, NULL);
	simulated_guest_remove(from, uuid);
	return 0;
}

static int migrate_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			const struct live_options *options, bool copies_disks, struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(source);
	struct simulated_host *to = simulated_host_of(target);
	LOCK_SCOPE(&fleet->mutex);
	int result = 0;
	struct simulated_guest *guest = guest_on(source, uuid, &result, error);

	(void)options, (void)copies_disks;
	if (!guest)
		return result;
	result = simulated_ask(to, error);
	if (result < 0)
		return result;
	if (simulated_guest_find(to, uuid))
		return error_set(error, EEXIST, "host %s has a guest %.36s already", to->name, uuid);

	struct simulated_guest *half = simulated_guest_add(to, uuid, GUEST_ARRIVING, guest->memory_mb);
	if (!half)
		return error_no_memory(error);
	guest->view.is_moving_out = true;
	guest->is_abort_wanted = false;
	simulated_pass_gate(fleet, SIMULATED_GATE_LIVE, &guest->is_abort_wanted);

	bool raises = simulated_happens(to, SIMULATED_COPY_RAISES);
	if (guest->is_abort_wanted || raises || simulated_happens(to, SIMULATED_COPY_FAILS) || !to->is_up) {
		guest->view.is_moving_out = false;
		if (!raises)
			simulated_guest_remove(to, uuid);
		return simulated_fail(to, error, guest->is_abort_wanted ? ECANCELED : EIO,
				      "the copy of server %.36s to host %s %s (simulated)", uuid, to->name,
				      guest->is_abort_wanted ? "was aborted" : "broke off");
	}
	return hand_over(fleet, simulated_host_of(source), guest, half);
}

static int progress(struct hypervisor_host *source, const char *uuid, struct move_progress *ret_progress,
		    struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(source)->mutex);
	int result = 0;
	struct simulated_guest *guest = guest_on(source, uuid, &result, error);

	if (!guest)
		return result;
	*ret_progress = (struct move_progress){
		.is_active = guest->view.is_moving_out,
		.memory_total = guest->memory_mb * MIB,
		.memory_remaining = guest->memory_mb * MIB,
	};
	return 0;
}

static int completed(struct hypervisor_host *target, const char *uuid, struct move_progress *ret_progress,
		     struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(target)->mutex);
	int result = 0;
	struct simulated_guest *guest = guest_on(target, uuid, &result, error);

	if (!guest)
		return result;
	*ret_progress = (struct move_progress){
		.memory_total = guest->memory_mb * MIB,
		.memory_processed = guest->memory_mb * MIB,
	};
	return 0;
}

static int adjust(struct hypervisor_host *source, const char *uuid, enum move_adjustment adjustment, int64_t value,
		  struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(source);
	LOCK_SCOPE(&fleet->mutex);
	int result = 0;
	struct simulated_guest *guest = guest_on(source, uuid, &result, error);

	(void)value;
	if (!guest)
		return result;
	if (!guest->view.is_moving_out)
		return error_set(error, EINVAL, "server %.36s is not moving", uuid);
	if (adjustment == MOVE_ABORT)
		guest->is_abort_wanted = true;
	pthread_cond_broadcast(&fleet->changed);
	return 0;
}

static int stop_guest(struct hypervisor_host *base, const char *uuid, int64_t graceful_ms, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);
	int result = 0;
	struct simulated_guest *guest = guest_on(base, uuid, &result, error);

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
	struct simulated_guest *guest = guest_on(base, uuid, &result, error);
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
	struct simulated_guest *guest = guest_on(base, uuid, &result, error);

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
	struct simulated_guest *guest = guest_on(base, uuid, &result, error);

	if (guest && guest->view.state == GUEST_SAVED)
		guest->view.state = GUEST_SHUT_OFF;
	return result;
}

static int read_definition(struct hypervisor_host *base, const char *uuid, char **ret_definition, bool *ret_autostart,
			   struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);
	int result = 0;
	struct simulated_guest *guest = guest_on(base, uuid, &result, error);

	if (!guest)
		return result;

	char *definition = text_format(DEFINITION_FORMAT, uuid, (long long)guest->memory_mb);
	if (!definition)
		return error_no_memory(error);
	*ret_definition = definition;
	*ret_autostart = guest->view.has_autostart;
	return 0;
}

static int undefine(struct hypervisor_host *base, const char *uuid, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);
	int result = 0;
	struct simulated_guest *guest = guest_on(base, uuid, &result, error);

	if (!guest)
		return result;
	if (guest->view.state != GUEST_SHUT_OFF && guest->view.state != GUEST_CRASHED)
		return error_set(error, EBUSY, "server %.36s is not off", uuid);
	simulated_guest_remove(simulated_host_of(base), uuid);
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
	if (!guest)
		guest = simulated_guest_add(simulated_host_of(base), uuid, GUEST_SHUT_OFF, memory_mb);
	if (!guest)
		return error_no_memory(error);
	guest->view.has_autostart = has_autostart;
	return 0;
}

static int copy_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *definition,
		     const struct volume_journal *journal, bool (*is_cancelled)(void *context), void *context,
		     char **ret_definition, struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(source);
	struct simulated_host *to = simulated_host_of(target);

	(void)journal; /* the fleet has no volumes */
	pthread_mutex_lock(&fleet->mutex);
	simulated_pass_gate(fleet, SIMULATED_GATE_DISK, NULL);
	int result = simulated_ask(to, error);
	if (result == 0 && simulated_happens(to, SIMULATED_COPY_FAILS))
		result = simulated_fail(to, error, EIO, "the copy of disks to host %s broke off (simulated)", to->name);
	pthread_mutex_unlock(&fleet->mutex);
	if (result < 0)
		return result;
	if (is_cancelled && is_cancelled(context))
		return error_set(error, ECANCELED, "the copy of disks to host %s was cancelled", to->name);

	char *copy = text_format("%s", definition);
	if (!copy)
		return error_no_memory(error);
	*ret_definition = copy;
	return 0;
}

static int remove_guest(struct hypervisor_host *base, const char *uuid, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);
	int result = simulated_ask(simulated_host_of(base), error);

	if (result == 0)
		simulated_guest_remove(simulated_host_of(base), uuid);
	return result;
}

static int remove_disks(struct hypervisor_host *base, const struct hypervisor_volume *volumes, size_t count,
			struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(base);
	LOCK_SCOPE(&fleet->mutex);

	(void)volumes, (void)count;
	simulated_pass_gate(fleet, SIMULATED_GATE_CONFIRM, NULL);
	return simulated_ask(simulated_host_of(base), error);
}

static int remove_volume(struct hypervisor_host *base, const char *pool, const char *name, struct error *error)
{
	LOCK_SCOPE(&simulated_fleet_of(base)->mutex);

	(void)pool, (void)name;
	return simulated_ask(simulated_host_of(base), error);
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
	.undefine = undefine,
	.define = define,
	.copy_cold = copy_cold,
	.remove_guest = remove_guest,
	.remove_disks = remove_disks,
	.remove_volume = remove_volume,
};
