/* The simulated fleet's state: hosts, guests, scripts and gates. */
#include "server/worker/simulated/fleet.h"

#include <search.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/simulated/fleet_state.h"

int simulated_create(struct clock *clock, struct hypervisor **ret_fleet, struct error *error)
{
	struct simulated_fleet *fleet = calloc(1, sizeof(*fleet));

	if (!fleet)
		return error_no_memory(error);
	fleet->base.operations = &simulated_operations;
	fleet->clock = clock;
	pthread_mutex_init(&fleet->mutex, NULL);
	clock_condition_init(&fleet->changed);
	*ret_fleet = &fleet->base;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The tree holds names, each inside its host. */
struct simulated_host *simulated_host_find(struct simulated_fleet *fleet, const char *name)
{
	char *const *found = tfind(name, &fleet->hosts_by_name, compare_names);

	return found ? (struct simulated_host *)(void *)(*found - offsetof(struct simulated_host, name)) : NULL;
}

struct simulated_server *simulated_server_find(struct simulated_fleet *fleet, const char *uuid)
{
	struct simulated_server *const *found = tfind(uuid, &fleet->servers_by_uuid, compare_names);

	return found ? *found : NULL;
}

struct simulated_guest *simulated_guest_find(struct simulated_host *host, const char *uuid)
{
	struct simulated_guest *guest = host->guests;

	while (guest && !text_equal(guest->uuid, uuid))
		guest = guest->next;
	return guest;
}

struct simulated_guest *simulated_guest_add(struct simulated_host *host, const char *uuid, enum guest_state state,
					    int64_t memory_mb)
{
	struct simulated_guest *guest = simulated_guest_find(host, uuid);

	if (!guest) {
		guest = calloc(1, sizeof(*guest));
		if (!guest)
			return NULL;
		TEXT_COPY(guest->uuid, uuid);
		guest->server = simulated_server_find(simulated_fleet_of(host), uuid);
		guest->next = host->guests;
		host->guests = guest;
	}
	guest->view = (struct guest_view){ .state = state, .is_persistent = state != GUEST_ARRIVING };
	guest->memory_mb = memory_mb;
	guest->is_hung = false;
	return guest;
}

void simulated_guest_remove(struct simulated_host *host, const char *uuid)
{
	for (struct simulated_guest **link = &host->guests; *link; link = &(*link)->next)
		if (text_equal((*link)->uuid, uuid)) {
			struct simulated_guest *gone = *link;

			*link = gone->next;
			free(gone);
			return;
		}
}

/* The guest on a host that answers; NULL with *ret_result filled. */
struct simulated_guest *simulated_guest_on(struct simulated_host *host, const char *uuid, int *ret_result,
					   struct error *error)
{
	struct simulated_guest *guest = NULL;

	*ret_result = simulated_ask(host, error);
	if (*ret_result == 0) {
		guest = simulated_guest_find(host, uuid);
		if (!guest)
			*ret_result = error_set(error, ENOENT, "host %s has no guest %.36s", host->name, uuid);
	}
	return guest;
}

int simulated_ask(const struct simulated_host *host, struct error *error)
{
	const struct simulated_fleet *fleet = (const struct simulated_fleet *)host->base.hypervisor;

	if (host->is_up && !host->is_cut_from_us && host->libvirtd != SIMULATED_LIBVIRTD_IS_DEAD
	    && clock_monotonic_ms(fleet->clock) >= host->lost_until_ms)
		return 0;
	return error_set(error, EHOSTUNREACH, "host %s does not answer (simulated)", host->name);
}

void simulated_lose(struct simulated_fleet *fleet, struct simulated_host *host)
{
	host->lost_until_ms = clock_monotonic_ms(fleet->clock) + (int64_t)(fleet->settings->target_lost_for_s * 1000);
	simulated_note_news(host, false);
}

void simulated_note_news(struct simulated_host *host, bool is_up)
{
	simulated_fleet_of(host)->has_news = true;
	host->has_news = true;
	host->is_news_up = is_up;
}

bool simulated_happens(struct simulated_host *host, enum simulated_outcome outcome)
{
	if (host->outcome != outcome || host->outcome_count <= 0)
		return false;
	host->outcome_count--;
	return true;
}

void simulated_pass_gate(struct simulated_fleet *fleet, enum simulated_gate gate, const bool *is_cut)
{
	fleet->waiting[gate]++;
	pthread_cond_broadcast(&fleet->changed);
	while (fleet->is_closed[gate] && !*is_cut)
		clock_wait(fleet->clock, &fleet->changed, &fleet->mutex, INT64_MAX);
	fleet->waiting[gate]--;
}

int simulated_add_host(struct hypervisor *self, const char *name, struct error *error)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);

	if (simulated_host_find(fleet, name))
		return error_set(error, EEXIST, "host %.255s is in the simulated fleet already", name);

	struct simulated_host *host = calloc(1, sizeof(*host));
	if (!host)
		return error_no_memory(error);
	host->base.hypervisor = self;
	TEXT_COPY(host->name, name);
	host->is_up = true;
	host->vcpus = 10;
	host->memory_mb = 8192;
	host->disk_gb = 1028;
	if (!tsearch(host->name, &fleet->hosts_by_name, compare_names)) {
		free(host);
		return error_no_memory(error);
	}
	host->next = fleet->hosts;
	fleet->hosts = host;
	return 0;
}

bool simulated_set_host_up(struct hypervisor *self, const char *name, bool is_up)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;

	pthread_mutex_lock(&fleet->mutex);
	struct simulated_host *host = simulated_host_find(fleet, name);
	if (host) {
		host->is_up = is_up;
		simulated_note_news(host, is_up);
	}
	simulated_unlock(fleet);
	return host;
}

bool simulated_script(struct hypervisor *self, const char *name, enum simulated_outcome outcome, int count)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);
	struct simulated_host *host = simulated_host_find(fleet, name);

	if (!host)
		return false;
	host->outcome = outcome;
	host->outcome_count = count;
	return true;
}

bool simulated_set_words(struct hypervisor *self, const char *name, const char *words)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);
	struct simulated_host *host = simulated_host_find(fleet, name);

	return host && TEXT_COPY(host->words, words);
}

int simulated_fail(const struct simulated_host *host, struct error *error, int code, const char *format, ...)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	va_list arguments;

	va_start(arguments, format);
	text_append_format_list(&text, format, arguments);
	va_end(arguments);
	return error_set(error, code, "%s", host->words[0] ? host->words : text.data ? text.data : "");
}

bool simulated_set_size(struct hypervisor *self, const char *name, const struct simulated_host_settings *settings)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);
	struct simulated_host *host = simulated_host_find(fleet, name);

	if (!host)
		return false;
	host->vcpus = settings->vcpus;
	host->memory_mb = settings->memory_mb;
	host->disk_gb = settings->disk_gb;
	return true;
}

void simulated_set_moves(struct hypervisor *self, const struct simulation_settings *settings)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);

	fleet->settings = settings;
}

static enum guest_state state_of(const struct simulated_server_settings *settings)
{
	switch (settings->state) {
	case SIMULATED_PAUSED:
		return GUEST_PAUSED;
	case SIMULATED_STOPPED:
		return GUEST_SHUT_OFF;
	default:
		return GUEST_RUNNING;
	}
}

static int add_server(struct simulated_fleet *fleet, struct simulated_host *host, struct simulated_server *server,
		      struct error *error)
{
	const struct simulated_server_settings *settings = server->settings;
	struct simulated_server *const *found = tsearch(server, &fleet->servers_by_uuid, compare_names);

	if (!found)
		return error_no_memory(error);
	if (*found != server)
		return error_set(error, EEXIST, "the servers %s and %s have one UUID, %s", (*found)->name, server->name,
				 server->uuid);
	struct simulated_guest *guest =
		simulated_guest_add(host, server->uuid, state_of(settings), settings->memory_mb);
	if (!guest) {
		tdelete(server, &fleet->servers_by_uuid, compare_names);
		return error_no_memory(error);
	}
	return 0;
}

int simulated_put_server(struct hypervisor *self, const char *host_name, const char *uuid, const char *name,
			 const struct simulated_server_settings *settings, struct error *error)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);
	struct simulated_host *host = simulated_host_find(fleet, host_name);
	struct simulated_server *server = calloc(1, sizeof(*server));

	if (server)
		server->name = strdup(name);
	if (!server || !server->name) {
		simulated_server_free(server);
		return error_no_memory(error);
	}
	server->settings = settings;
	server->created_us = clock_now_us(fleet->clock) + fleet->server_count++; /* lists keep this order */
	TEXT_COPY(server->uuid, uuid);
	int result = host ? add_server(fleet, host, server, error)
			  : error_set(error, ENOENT, "the simulated fleet has no host %.255s", host_name);
	if (result < 0)
		simulated_server_free(server);
	return result;
}

int simulated_put_guest(struct hypervisor *self, const char *name, const char *uuid, enum guest_state state,
			int64_t memory_mb, struct error *error)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);
	struct simulated_host *host = simulated_host_find(fleet, name);

	if (!host)
		return error_set(error, ENOENT, "the simulated fleet has no host %.255s", name);
	return simulated_guest_add(host, uuid, state, memory_mb) ? 0 : error_no_memory(error);
}

enum guest_state simulated_state(struct hypervisor *self, const char *name, const char *uuid)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);

	simulated_settle(fleet);
	struct simulated_host *host = simulated_host_find(fleet, name);
	struct simulated_guest *guest = host ? simulated_guest_find(host, uuid) : NULL;

	return guest ? guest->view.state : GUEST_ABSENT;
}

static void set_gate(struct hypervisor *self, enum simulated_gate gate, bool is_closed)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);

	fleet->is_closed[gate] = is_closed;
	simulated_settle(fleet);
	pthread_cond_broadcast(&fleet->changed);
}

void simulated_close_gate(struct hypervisor *self, enum simulated_gate gate)
{
	set_gate(self, gate, true);
}

void simulated_open_gate(struct hypervisor *self, enum simulated_gate gate)
{
	set_gate(self, gate, false);
}

bool simulated_wait_at_gate_until(struct hypervisor *self, enum simulated_gate gate, int64_t deadline_ms)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);

	while (fleet->waiting[gate] == 0)
		if (!clock_wait(clock_system(), &fleet->changed, &fleet->mutex, deadline_ms))
			return false;
	return true;
}

void simulated_wait_at_gate(struct hypervisor *self, enum simulated_gate gate)
{
	simulated_wait_at_gate_until(self, gate, INT64_MAX);
}

void simulated_open_all_gates(struct hypervisor *self)
{
	for (enum simulated_gate gate = 0; gate < SIMULATED_GATE_MAX; gate++)
		simulated_open_gate(self, gate);
}

void simulated_end_copies(struct hypervisor *self)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);

	fleet->is_ending = true;
	pthread_cond_broadcast(&fleet->changed);
}

/* All but what it is and how big. */
static void reset_host(struct simulated_host *host)
{
	while (host->guests)
		simulated_guest_remove(host, host->guests->uuid);
	simulated_drop_volumes(&host->volumes);
	host->is_up = true;
	host->lost_until_ms = 0;
	host->outcome = SIMULATED_WELL;
	host->words[0] = '\0';
	host->libvirtd = SIMULATED_LIBVIRTD_RUNS;
	host->is_gone = false;
	host->dies_at_hand_over = false;
	host->is_cut_from_us = false;
	host->holds_readings = false;
	host->pool = host->shared_pool = SIMULATED_POOL_WELL;
}

void simulated_reset(struct hypervisor *self)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;

	simulated_open_all_gates(self);
	LOCK_SCOPE(&fleet->mutex);
	simulated_cut_calls(fleet, NULL);
	simulated_drop_moves(fleet);
	simulated_drop_late(fleet, NULL);
	simulated_drop_hangs(fleet);
	simulated_drop_cuts(fleet);
	tdestroy(TAKE_POINTER(fleet->servers_by_uuid), simulated_server_free);
	simulated_drop_disks(fleet);
	simulated_drop_volumes(&fleet->shared_volumes);
	for (struct simulated_host *host = fleet->hosts; host; host = host->next)
		reset_host(host);
}

static bool find_name(const char *const *names, size_t count, const char *name, size_t *ret_place)
{
	for (size_t i = 0; i < count; i++)
		if (text_equal(names[i], name)) {
			*ret_place = i;
			return true;
		}
	return false;
}

bool simulated_gate_by_name(const char *name, enum simulated_gate *ret_gate)
{
	static const char *const names[SIMULATED_GATE_MAX] = {
		[SIMULATED_GATE_PRE_LIVE] = "pre_live",   [SIMULATED_GATE_LIVE] = "live",
		[SIMULATED_GATE_POST_DEST] = "post_dest", [SIMULATED_GATE_DISK] = "disk",
		[SIMULATED_GATE_DEFINE] = "define",       [SIMULATED_GATE_FINISH] = "finish",
		[SIMULATED_GATE_CONFIRM] = "confirm",
	};
	size_t place;

	if (!find_name(names, SIMULATED_GATE_MAX, name, &place))
		return false;
	*ret_gate = (enum simulated_gate)place;
	return true;
}

bool simulated_landing_by_name(const char *name, enum simulated_landing *ret_landing)
{
	static const char *const names[SIMULATED_LANDING_MAX] = {
		[SIMULATED_LANDS_NEVER] = "never",
		[SIMULATED_LANDS_BEFORE] = "before",
		[SIMULATED_LANDS_LATE] = "late",
	};
	size_t place;

	if (!find_name(names, SIMULATED_LANDING_MAX, name, &place))
		return false;
	*ret_landing = (enum simulated_landing)place;
	return true;
}

bool simulated_outcome_by_name(const char *name, enum simulated_outcome *ret_outcome)
{
	static const char *const names[SIMULATED_OUTCOME_MAX] = {
		[SIMULATED_WELL] = "well",
		[SIMULATED_CHECK_REFUSES] = "check_refuses",
		[SIMULATED_CHECK_REFUSES_STORAGE] = "check_refuses_storage",
		[SIMULATED_PREPARE_FAILS] = "prepare_fails",
		[SIMULATED_COPY_FAILS] = "copy_fails",
		[SIMULATED_COPY_RAISES] = "copy_raises",
		[SIMULATED_START_FAILS] = "start_fails",
	};
	size_t place;

	if (!find_name(names, SIMULATED_OUTCOME_MAX, name, &place))
		return false;
	*ret_outcome = (enum simulated_outcome)place;
	return true;
}
