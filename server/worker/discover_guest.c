/* From a guest to its server's row. The one difficulty: two hosts may show the same guest (a copy in the making, one that
 * was moved by hand), so a host may only take a server over from another when the guest lives there; and a reading may be older
 * than the row, when a move began and ended while the host was read. */
#include "server/worker/discover_guest.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/claims.h"
#include "db/jobs.h"

/* States of which only Nova's own requests know; a host's word does not change them. */
static const char *const kept_vm_states[] = { "resized",           "error",      "rescued", "shelved",
					      "shelved_offloaded", "soft-delete" };

static bool is_kept(const char *vm_state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(kept_vm_states); i++)
		if (strcmp(kept_vm_states[i], vm_state) == 0)
			return true;
	return false;
}

/* 1 when an unfinished job moves the server, 0 when none does. */
static int is_moving(struct db_session *session, const char *uuid, struct left_jobs *left_to, struct error *error)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };
	int result = db_job_unfinished_of_server(session, uuid, &job, error);

	if (result == 0)
		result = left_jobs_add(left_to, job.id, error);
	if (result == 0)
		return 1;
	if (result != -ENOENT)
		return result;
	error_clear(error);
	return 0;
}

static int64_t gib_of(int64_t bytes)
{
	return (bytes + (1LL << 30) - 1) >> 30;
}

static void fill_flavor(struct db_flavor *flavor, const struct guest_facts *guest)
{
	flavor->vcpus = guest->flavor_vcpus ? guest->flavor_vcpus : guest->vcpus;
	flavor->memory_mb = guest->flavor_memory_mb ? guest->flavor_memory_mb : guest->memory_mb;
	flavor->disk_gb = guest->flavor_name ? guest->flavor_disk_gb : gib_of(guest->disk_bytes);
	flavor->ephemeral_gb = guest->flavor_ephemeral_gb;
	flavor->swap_mb = guest->flavor_swap_mb;
	if (guest->flavor_name) {
		TEXT_COPY(flavor->name, guest->flavor_name);
	} else {
		CLEANUP_FREE char *name =
			text_format("%lldvcpu-%lldmb", (long long)flavor->vcpus, (long long)flavor->memory_mb);
		TEXT_COPY(flavor->name, name ? name : "unnamed");
	}
	TEXT_COPY(flavor->flavor_id, flavor->name);
}

static int set_facts(struct db_server *server, const char *facts, struct error *error)
{
	char *copy = strdup(facts);

	if (!copy)
		return error_no_memory(error);
	free(server->facts);
	server->facts = copy;
	return 0;
}

/* What the host tells of the guest beside its state; NULL: nothing, so that the row keeps what it has. */
static const char *told_facts(const struct guest_facts *guest)
{
	return guest->is_silent ? NULL : guest->facts;
}

static int insert(struct db_session *session, const struct guest_facts *guest, int64_t host_id,
		  const struct hypervisor_settings *settings, struct error *error)
{
	CLEANUP_DB_SERVER struct db_server server = { .host_id = host_id, .created_us = guest->created_us };
	const char *project = guest->project_id ? guest->project_id : settings->default_project;
	const char *user = guest->user_id ? guest->user_id : settings->default_user;

	TEXT_COPY(server.uuid, guest->uuid);
	TEXT_COPY(server.name, guest->name ? guest->name : guest->domain_name);
	TEXT_COPY(server.hostname, server.name);
	TEXT_COPY(server.instance_name, guest->domain_name);
	TEXT_COPY(server.project_id, project ? project : "");
	TEXT_COPY(server.user_id, user ? user : "");
	TEXT_COPY(server.vm_state, guest_state_vm_state(guest->view.state));
	server.power_state = guest_state_power_state(guest->view.state);
	TEXT_COPY(server.image_id, guest->image_id ? guest->image_id : "");
	TEXT_COPY(server.availability_zone, "nova");
	if (guest->root_device) {
		CLEANUP_FREE char *device = text_format("/dev/%s", guest->root_device);
		TEXT_COPY(server.root_device_name, device ? device : "");
	}
	fill_flavor(&server.flavor, guest);
	int result = set_facts(&server, guest->facts ? guest->facts : "{}", error);
	return result < 0 ? result : db_server_insert(session, &server, error);
}

static int find(struct db_session *session, const char *uuid, struct db_server_list *ret_servers, struct error *error)
{
	const struct db_server_filter filter = { .uuid = uuid, .has_deleted = true };

	return db_server_find(session, &filter, ret_servers, error);
}

/* A guest that is off, or of no clear state, is taken over from another host only when the row has let it go. */
static bool may_take_over(const struct db_server *server, enum guest_state state)
{
	return server->is_deleted || server->host_id == 0 || state == GUEST_RUNNING || state == GUEST_PAUSED;
}

/* 1: what the host has of the guest is left of a move, and waits for its chore there. */
static int is_leftover(struct db_session *session, const char *uuid, int64_t host_id, struct error *error)
{
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };
	int result = db_chore_by_server(session, uuid, &chores, error);

	for (size_t i = 0; result == 0 && i < chores.count; i++)
		if (chores.items[i].host_id == host_id && text_equal(chores.items[i].kind, DB_CHORE_REMOVE_GUEST))
			return 1;
	return result;
}

static int update(struct db_session *session, struct db_server *server, const struct guest_facts *guest,
		  struct discovered_host *host, struct error *error)
{
	enum guest_state state = guest->view.state;
	const char *vm_state =
		is_kept(server->vm_state) && !server->is_deleted ? server->vm_state : guest_state_vm_state(state);
	bool is_elsewhere = server->is_deleted || server->host_id != host->host_id;
	const char *facts = told_facts(guest);
	/* One that is missed elsewhere is not found by what is left of it: another host may have it. */
	int left = is_elsewhere && !may_take_over(server, state)
			   ? is_leftover(session, server->uuid, host->host_id, error)
			   : 0;

	if (left != 0)
		return left < 0 ? left : 0;
	bool was_missed = missed_end(host->missed, server->uuid);
	if (is_elsewhere && !was_missed && !may_take_over(server, state))
		return 0;
	if (!is_elsewhere && strcmp(server->vm_state, vm_state) == 0
	    && server->power_state == guest_state_power_state(state) && (!facts || text_equal(server->facts, facts)))
		return 0;
	if (vm_state != server->vm_state)
		TEXT_COPY(server->vm_state, vm_state);
	int result = is_elsewhere ? db_claim_make_way(session, server->uuid, host->host_id,
						      server->is_deleted ? 0 : server->host_id, error)
				  : 0;
	server->power_state = guest_state_power_state(state);
	server->host_id = host->host_id;
	server->is_deleted = false;
	server->terminated_us = 0;
	if (result == 0 && facts)
		result = set_facts(server, facts, error);
	return result < 0 ? result : db_server_update(session, server, error);
}

/* 1 when this reading may not say anything about the server: a job moves it, or it changed while the host was read. */
static int is_left_alone(struct db_session *session, const char *uuid, struct discovered_host *host,
			 struct error *error)
{
	int result = is_moving(session, uuid, &host->left_to, error);

	if (result != 0 || !db_server_changed_since(session, uuid, host->change_number))
		return result;
	host->is_outdated = true;
	return 1;
}

int discover_guest(struct db_session *session, const struct guest_facts *guest, struct discovered_host *host,
		   struct error *error)
{
	CLEANUP_DB_SERVERS struct db_server_list servers = { 0 };
	int result = is_left_alone(session, guest->uuid, host, error);

	if (result != 0)
		return result < 0 ? result : 0;
	if (!guest_state_vm_state(guest->view.state) || guest->view.is_moving_in || guest->view.is_moving_out) {
		missed_end(host->missed, guest->uuid); /* the host has it, whatever will become of it */
		return 0;
	}
	result = find(session, guest->uuid, &servers, error);
	if (result < 0)
		return result;
	return servers.count ? update(session, &servers.items[0], guest, host, error)
			     : insert(session, guest, host->host_id, host->settings, error);
}

static bool has_guest(const struct guest_list *guests, const char *uuid)
{
	for (size_t i = 0; i < guests->count; i++)
		if (strcmp(guests->items[i].uuid, uuid) == 0)
			return true;
	return false;
}

static int miss(const char *uuid, struct discovered_host *host, struct error *error)
{
	struct missed_guest guest = { .host_id = host->host_id,
				      .noted = host->newest_reading,
				      .change_number = host->newest_change };
	bool is_new = false;

	TEXT_COPY(guest.uuid, uuid);
	int result = missed_note(host->missed, &guest, &is_new, error);
	host->has_missed = host->has_missed || is_new;
	return result;
}

int discover_missing(struct db_session *session, const struct guest_list *guests, struct discovered_host *host,
		     struct error *error)
{
	const struct db_server_filter filter = { .host_id = host->host_id };
	CLEANUP_DB_SERVERS struct db_server_list servers = { 0 };
	int result = db_server_find(session, &filter, &servers, error);

	for (size_t i = 0; i < servers.count && result == 0; i++) {
		const char *uuid = servers.items[i].uuid;

		if (has_guest(guests, uuid))
			continue;
		result = is_left_alone(session, uuid, host, error);
		if (result == 0)
			result = miss(uuid, host, error);
		else if (result == 1)
			result = 0;
	}
	return result;
}
