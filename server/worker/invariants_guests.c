/* The invariants between the guests on the hosts and the rows. A server that an unfinished job has is left out throughout. */
#include "base/text.h"
#include "server/worker/invariants_look.h"

#define ALIVE_STATES (GUEST_SET(GUEST_RUNNING) | GUEST_SET(GUEST_PAUSED) | GUEST_SET(GUEST_SUSPENDED))
#define HALF_STATES                                                                                                    \
	(GUEST_SET(GUEST_ARRIVING) | GUEST_SET(GUEST_HANDED_OVER) | GUEST_SET(GUEST_POSTCOPY_SOURCE)                   \
	 | GUEST_SET(GUEST_POSTCOPY_TARGET) | GUEST_SET(GUEST_POSTCOPY_FAILED))

static bool is_in(const struct seen_guest *guest, unsigned int states)
{
	return (states & GUEST_SET(guest->view->state)) != 0;
}

/* Somebody moves it, though no job of ours does. */
static bool is_moved_by_hand(const struct seen_guest *guests, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (guests[i].view->is_moving_in || guests[i].view->is_moving_out)
			return true;
	return false;
}

/* The guests of one uuid, from `first` on. */
static size_t count_group(const struct invariants_look *look, size_t first)
{
	size_t count = 1;

	while (first + count < look->guest_count
	       && text_equal(look->guests[first].uuid, look->guests[first + count].uuid))
		count++;
	return count;
}

void check_one_instance(struct invariants_look *look)
{
	for (size_t i = 0; i < look->guest_count; i += count_group(look, i)) {
		const struct seen_guest *alive = NULL;
		size_t count = count_group(look, i);

		if (count == 1 || look_is_moving(look, look->guests[i].uuid))
			continue;
		for (size_t j = i; j < i + count; j++) {
			const struct seen_guest *guest = &look->guests[j];

			if (!is_in(guest, ALIVE_STATES) || guest->view->is_moving_in)
				continue;
			if (alive)
				look_found(look, guest->uuid, guest->host->row->name, "it is %s here and %s on host %s",
					   guest_state_name(guest->view->state), guest_state_name(alive->view->state),
					   alive->host->row->name);
			else
				alive = guest;
		}
	}
}

void check_whole_disks(struct invariants_look *look)
{
	for (size_t i = 0; i < look->disk_count; i++) {
		const struct wanted_disk *disk = &look->disks[i];

		if (disk->result < 0 && !disk->is_unseen)
			look_found(look, disk->server_uuid, disk->host->row->name,
				   "volume %s of storage pool %s is not whole: %s", disk->volume.name,
				   disk->volume.pool, disk->reason);
	}
}

void check_removals(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.chores.count; i++) {
		const struct db_chore *chore = &look->audit.chores.items[i];
		const struct db_audit_server *server = look_server(look, chore->server_uuid);
		bool is_removal = text_equal(chore->kind, DB_CHORE_REMOVE_GUEST)
				  || text_equal(chore->kind, DB_CHORE_REMOVE_VOLUME);

		if (is_removal && server && server->host_id == chore->host_id
		    && !look_is_moving(look, chore->server_uuid))
			look_found(look, chore->server_uuid, look_host_name(look, chore->host_id),
				   "chore %s is about the host where the server is", chore->kind);
	}
}

static bool has_chore_about(const struct invariants_look *look, const struct seen_guest *guest)
{
	return look_has_chore(look, DB_CHORE_REMOVE_GUEST, guest->uuid, guest->host->row->id)
	       || look_has_chore(look, DB_CHORE_END_CONFLICT, guest->uuid, 0)
	       || look_has_chore(look, DB_CHORE_AWAIT_LIBVIRTD, guest->uuid, 0);
}

void check_halves(struct invariants_look *look)
{
	for (size_t i = 0; i < look->guest_count; i++) {
		const struct seen_guest *guest = &look->guests[i];
		const struct db_audit_server *server = look_server(look, guest->uuid);
		size_t count = 0;

		if (!is_in(guest, HALF_STATES) || look_is_moving(look, guest->uuid) || has_chore_about(look, guest)
		    || (server && look_is_given_up(server)))
			continue;
		const struct seen_guest *guests = look_guests(look, guest->uuid, &count);
		if (!is_moved_by_hand(guests, count))
			look_found(look, guest->uuid, guest->host->row->name, "it is %s, and no migration is under way",
				   guest_state_name(guest->view->state));
	}
}

void check_copies(struct invariants_look *look)
{
	const unsigned int idle = GUEST_SET_OFF | GUEST_SET(GUEST_SAVED);

	for (size_t i = 0; i < look->guest_count; i++) {
		const struct seen_guest *guest = &look->guests[i];
		const struct db_audit_server *server = look_server(look, guest->uuid);

		if (!server || !is_in(guest, idle) || server->host_id == guest->host->row->id
		    || look_is_moving(look, guest->uuid) || look_is_given_up(server) || has_chore_about(look, guest)
		    || look_has_chore(look, DB_CHORE_GIVE_BACK_DEFINITION, guest->uuid, guest->host->row->id))
			continue;
		look_found(look, guest->uuid, guest->host->row->name,
			   "it is defined here (%s), and is shown on host %s", guest_state_name(guest->view->state),
			   look_host_name(look, server->host_id));
	}
}

/* Its host, when that answers and what it shows of the server counts; NULL. */
static const struct seen_host *judged_home(const struct invariants_look *look, const struct db_audit_server *server)
{
	const struct seen_host *host = server->host_id ? look_host(look, server->host_id) : NULL;

	return host && host->has_answered && !look_is_given_up(server) && !look_is_moving(look, server->uuid) ? host
													      : NULL;
}

void check_shown_host(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.servers.count; i++) {
		const struct db_audit_server *server = &look->audit.servers.items[i];
		const struct seen_host *home = judged_home(look, server);
		size_t count = 0;
		const struct seen_guest *guests = look_guests(look, server->uuid, &count);
		bool is_there = false;

		for (size_t j = 0; j < count; j++)
			is_there = is_there || guests[j].host == home;
		if (home && !is_there)
			look_found(look, server->uuid, home->row->name, "the guest is %s%s",
				   count ? "on another host: " : "on none of the hosts that answer",
				   count ? guests[0].host->row->name : "");
	}
}

void check_shown_power_state(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.servers.count; i++) {
		const struct db_audit_server *server = &look->audit.servers.items[i];
		const struct seen_host *home = judged_home(look, server);
		size_t count = 0;
		const struct seen_guest *guests = look_guests(look, server->uuid, &count);

		if (!home || is_moved_by_hand(guests, count))
			continue;
		for (size_t j = 0; j < count; j++) {
			enum guest_state state = guests[j].view->state;

			if (guests[j].host != home || guests[j].view->is_busy || !guest_state_vm_state(state)
			    || server->power_state == guest_state_power_state(state))
				continue;
			look_found(look, server->uuid, home->row->name, "power state %d is shown, and the guest is %s",
				   server->power_state, guest_state_name(state));
		}
	}
}

void check_answers(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.hosts.count; i++) {
		const struct seen_host *host = &look->hosts[i];

		if (!host->has_answered && !host->row->is_gone)
			look_found(look, NULL, host->row->name, "it could not be looked at: %s", host->reason);
	}
	for (size_t i = 0; i < look->disk_count; i++) {
		const struct wanted_disk *disk = &look->disks[i];

		if (disk->is_unseen)
			look_found(look, disk->server_uuid, disk->host->row->name,
				   "volume %s of storage pool %s could not be looked at: %s", disk->volume.name,
				   disk->volume.pool, disk->reason);
	}
}
