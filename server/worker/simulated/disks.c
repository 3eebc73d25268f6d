/* What tests put into the simulated fleet's storage, and see of all that is there. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/simulated/fleet_state.h"

static struct simulated_disks *disks_of(struct simulated_fleet *fleet, const char *uuid)
{
	struct simulated_disks *disks = simulated_disks_find(fleet, uuid);

	if (disks)
		return disks;
	disks = calloc(1, sizeof(*disks));
	if (!disks)
		return NULL;
	TEXT_COPY(disks->uuid, uuid);
	disks->newest = 1;
	disks->next = fleet->disks;
	fleet->disks = disks;
	return disks;
}

static int put_volume(struct simulated_host *host, bool is_shared, const char *name, int64_t bytes, const char *uuid,
		      struct error *error)
{
	if (simulated_volume_find(host, is_shared, name))
		return error_set(error, EEXIST, "host %s has a disk %s already (simulated)", host->name, name);
	return simulated_volume_add(host, is_shared, name, bytes, uuid) ? 0 : error_no_memory(error);
}

static int put_disk(struct simulated_host *host, const char *uuid, const char *name, int64_t bytes, bool is_shared,
		    struct error *error)
{
	struct simulated_disks *disks = disks_of(simulated_fleet_of(host), uuid);
	struct simulated_disk *disk = calloc(1, sizeof(*disk));
	int result = disk && disks ? put_volume(host, is_shared, name, bytes, uuid, error) : error_no_memory(error);

	if (result < 0) {
		free(disk);
		return result;
	}
	struct simulated_volume *volume = simulated_volume_find(host, is_shared, name);
	volume->is.is_complete = true;
	volume->is.content = disks->newest;
	TEXT_COPY(disk->name, name);
	disk->bytes = bytes;
	disk->is_shared = is_shared;
	struct simulated_disk **link = &disks->first;
	while (*link)
		link = &(*link)->next;
	*link = disk;
	return 0;
}

int simulated_put_disk(struct hypervisor *self, const char *host_name, const char *uuid, const char *name,
		       int64_t bytes, bool is_shared, struct error *error)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);
	struct simulated_host *host = simulated_host_find(fleet, host_name);

	if (!host)
		return error_set(error, ENOENT, "the simulated fleet has no host %.255s", host_name);
	return put_disk(host, uuid, name, bytes, is_shared, error);
}

int simulated_put_volume(struct hypervisor *self, const char *host_name, const char *name, int64_t bytes,
			 struct error *error)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);
	struct simulated_host *host = simulated_host_find(fleet, host_name);

	if (!host)
		return error_set(error, ENOENT, "the simulated fleet has no host %.255s", host_name);
	int result = put_volume(host, false, name, bytes, "", error);
	if (result == 0)
		simulated_volume_find(host, false, name)->is.is_complete = true;
	return result;
}

bool simulated_touch_disks(struct hypervisor *self, const char *host_name, const char *uuid)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);

	simulated_settle(fleet);
	struct simulated_host *host = simulated_host_find(fleet, host_name);
	const struct simulated_guest *guest = host ? simulated_guest_find(host, uuid) : NULL;
	if (!guest || guest->view.state != GUEST_RUNNING)
		return false;
	simulated_touch(host, uuid);
	return true;
}

static struct simulated_disk_view view_of(struct simulated_fleet *fleet, const struct simulated_volume *volume)
{
	const struct simulated_disks *disks = simulated_disks_find(fleet, volume->is.uuid);
	struct simulated_disk_view view = volume->is;

	view.is_whole = view.is_complete && disks && view.content == disks->newest;
	return view;
}

bool simulated_disk_state(struct hypervisor *self, const char *host_name, const char *name,
			  struct simulated_disk_view *ret_disk)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);

	simulated_settle(fleet);
	struct simulated_host *host = host_name ? simulated_host_find(fleet, host_name) : fleet->hosts;
	const struct simulated_volume *volume = host ? simulated_volume_find(host, !host_name, name) : NULL;
	if (!volume)
		return false;
	*ret_disk = view_of(fleet, volume);
	return true;
}

bool simulated_has_whole_disks(struct hypervisor *self, const char *host_name, const char *uuid)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);

	simulated_settle(fleet);
	struct simulated_host *host = simulated_host_find(fleet, host_name);
	const struct simulated_disks *disks = simulated_disks_find(fleet, uuid);
	for (const struct simulated_disk *disk = disks ? disks->first : NULL; host && disk; disk = disk->next) {
		const struct simulated_volume *volume = simulated_volume_find(host, disk->is_shared, disk->name);

		if (!volume || !view_of(fleet, volume).is_whole)
			return false;
	}
	return host;
}

static void walk_volumes(struct simulated_fleet *fleet, const char *host, const struct simulated_volume *list,
			 const struct simulated_walk *walk)
{
	for (const struct simulated_volume *volume = list; volume && walk->volume; volume = volume->next) {
		const struct simulated_disk_view view = view_of(fleet, volume);

		walk->volume(walk->context, host, volume->name, &view);
	}
}

void simulated_walk(struct hypervisor *self, const struct simulated_walk *walk)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	LOCK_SCOPE(&fleet->mutex);

	simulated_settle(fleet);
	for (struct simulated_host *host = fleet->hosts; host; host = host->next) {
		for (const struct simulated_guest *guest = host->guests; guest && walk->guest; guest = guest->next) {
			struct guest_view view = guest->view;

			view.is_busy = simulated_is_occupied(fleet, host, guest->uuid, NULL);
			walk->guest(walk->context, host->name, guest->uuid, &view);
		}
		walk_volumes(fleet, host->name, host->volumes, walk);
	}
	walk_volumes(fleet, NULL, fleet->shared_volumes, walk);
}
