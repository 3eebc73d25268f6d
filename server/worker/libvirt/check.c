/* May a guest go there? What stands in the way is found before anything is begun, in words for the one who asks why. */
#include "server/worker/libvirt/check.h"

#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/libvirt/cpu.h"
#include "server/worker/libvirt/disks.h"
#include "server/worker/libvirt/obstacles.h"
#include "server/worker/libvirt/volume.h"

/* One check under way. */
struct inquiry {
	struct libvirt_host *source, *target;
	const char *uuid;
	struct check_result *check;
	bool is_live;
};

static int refuse(const struct inquiry *inquiry, enum check_refusal refusal)
{
	inquiry->check->refusal = refusal;
	return -ECANCELED;
}

/* A guest of that id that the target has already would be taken for the one that moved; and libvirt takes a name once. */
static int check_target_is_free(const struct inquiry *inquiry, const char *name, struct error *error)
{
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	CLEANUP_DOMAIN virDomainPtr namesake = NULL;
	struct guest_view view;
	int result = libvirt_look(&inquiry->target->base, inquiry->uuid, &view, error);

	if (result == 0 && view.state != GUEST_ABSENT) {
		error_set(error, ECANCELED, "host %s already has a guest with the id %s (%s): remove it there first",
			  inquiry->target->name, inquiry->uuid, guest_state_name(view.state));
		return refuse(inquiry, CHECK_REFUSED_BY_TARGET);
	}
	if (result == 0)
		result = libvirt_connection_get(inquiry->target, &connection, error);
	if (result < 0)
		return result;
	namesake = virDomainLookupByName(connection, name);
	if (namesake) {
		error_set(error, ECANCELED, "host %s already has another guest with the name %s", inquiry->target->name,
			  name);
		return refuse(inquiry, CHECK_REFUSED_BY_TARGET);
	}
	return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN ? 0
							  : libvirt_error(inquiry->target, error, "look for a guest");
}

/* The place of a private disk on the target: its pool is there, nothing lies at its name, and there is room. */
static int check_place(const struct inquiry *inquiry, virConnectPtr connection, const struct guest_disk *disk,
		       int64_t *room, int64_t bytes, struct error *error)
{
	CLEANUP_POOL virStoragePoolPtr pool = virStoragePoolLookupByName(connection, disk->pool);
	virStoragePoolInfo info;

	if (!pool || !disk->other_path) {
		error_set(error, ECANCELED, "disk %s lies in storage pool %s, which host %s has not", disk->path,
			  disk->pool, inquiry->target->name);
		return refuse(inquiry, CHECK_REFUSED_BY_TARGET);
	}
	CLEANUP_VOLUME virStorageVolPtr volume = virStorageVolLookupByName(pool, disk->volume);
	if (volume) {
		error_set(error, ECANCELED, "host %s already has a volume %s in its storage pool %s",
			  inquiry->target->name, disk->volume, disk->pool);
		return refuse(inquiry, CHECK_REFUSED_BY_TARGET);
	}
	if (virStoragePoolGetInfo(pool, &info) < 0)
		return libvirt_error(inquiry->target, error, "read a storage pool's room");
	*room += bytes;
	if (info.available >= (uint64_t)*room)
		return 0;
	error_set(error, ECANCELED, "storage pool %s of host %s has %lld bytes left, the disks need %lld", disk->pool,
		  inquiry->target->name, (long long)info.available, (long long)*room);
	return refuse(inquiry, CHECK_REFUSED_BY_TARGET);
}

static int measure(const struct inquiry *inquiry, virConnectPtr connection, const struct guest_disk *disk,
		   bool is_over_committed, bool is_cold, int64_t *ret_bytes, struct error *error)
{
	CLEANUP_VOLUME virStorageVolPtr volume = libvirt_volume_by_path(connection, disk->path);
	CLEANUP_FREE char *backing = volume ? libvirt_volume_backing(volume) : NULL;
	virStorageVolInfo info;

	if (!backing || virStorageVolGetInfo(volume, &info) < 0)
		return libvirt_error(inquiry->source, error, "read a disk's size");
	if (is_cold && *backing) {
		error_set(error, ECANCELED, "disk %s rests upon %s, which a copy of it would miss", disk->path,
			  backing);
		return refuse(inquiry, CHECK_REFUSED_BY_SERVER);
	}
	*ret_bytes = (int64_t)(is_over_committed ? info.allocation : info.capacity);
	return 0;
}

/* A move takes a private disk away from the source: nobody else may need it there. */
static int check_is_its_own(const struct inquiry *inquiry, virConnectPtr connection, const struct guest_disk *disk,
			    struct error *error)
{
	CLEANUP_FREE char *user = NULL;
	int result = libvirt_find_user(inquiry->source, connection, disk->path, inquiry->uuid, &user, error);

	if (result < 0 || (!user && !disk->is_for_several))
		return result;
	if (user)
		error_set(error, ECANCELED, "disk %s is used by guest %s too, which stays on host %s", disk->path, user,
			  inquiry->source->name);
	else
		error_set(
			error, ECANCELED,
			"disk %s is marked shareable or read-only, and lies on host %s alone: others there may need it",
			disk->path, inquiry->source->name);
	return refuse(inquiry, CHECK_REFUSED_BY_SERVER);
}

static int check_private_disks(const struct inquiry *inquiry, const struct guest_disks *disks, bool is_over_committed,
			       bool is_cold, struct error *error)
{
	CLEANUP_CONNECTION virConnectPtr at_source = NULL, at_target = NULL;
	int64_t bytes = 0, room = 0; /* room: of all, as if in one pool: rather too careful */
	int result = libvirt_connection_get(inquiry->source, &at_source, error);

	if (result == 0)
		result = libvirt_connection_get(inquiry->target, &at_target, error);
	for (size_t i = 0; result == 0 && i < disks->count; i++) {
		const struct guest_disk *disk = &disks->items[i];

		if (disk->is_shared)
			continue;
		result = check_is_its_own(inquiry, at_source, disk, error);
		if (result == 0)
			result = measure(inquiry, at_source, disk, is_over_committed, is_cold, &bytes, error);
		if (result == 0)
			result = check_place(inquiry, at_target, disk, &room, bytes, error);
	}
	inquiry->check->copied_bytes = room;
	return result;
}

static char *name_of(struct libvirt_host *host, const char *uuid, struct error *error)
{
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	const char *name = libvirt_domain_get(host, uuid, &domain, error) < 0 ? NULL : virDomainGetName(domain);

	return name ? strdup(name) : NULL;
}

/* What live and cold have in common; then the disks are known. */
static int check_guest(const struct inquiry *inquiry, struct guest_disks *ret_disks, struct error *error)
{
	CLEANUP_FREE char *definition = NULL;
	CLEANUP_FREE char *name = name_of(inquiry->source, inquiry->uuid, error);
	bool has_autostart;

	if (!name)
		return error->code ? -error->code : error_no_memory(error);
	int result = libvirt_read_definition(&inquiry->source->base, inquiry->uuid, &definition, &has_autostart, error);
	if (result == 0)
		result = libvirt_check_obstacles(inquiry->source, inquiry->uuid, inquiry->check, error);
	if (result == 0)
		result = check_target_is_free(inquiry, name, error);
	if (result == 0)
		result = libvirt_check_cpu(inquiry->source, inquiry->target, inquiry->uuid, inquiry->is_live,
					   inquiry->check, error);
	if (result == 0)
		result = libvirt_disks_find(inquiry->source, inquiry->target, definition, ret_disks, error);
	if (result == -ECANCELED && inquiry->check->refusal == CHECK_PASSED)
		refuse(inquiry, CHECK_REFUSED_BY_SERVER); /* a disk that lies in no pool, or is no file */
	inquiry->check->is_storage_proven_shared = result == 0 && ret_disks->private_count == 0;
	return result;
}

/* Nova's InvalidLocalStorage and InvalidSharedStorage: no other host would mend it. */
static int check_wish(const struct inquiry *inquiry, const struct guest_disks *disks,
		      const struct live_options *options, struct error *error)
{
	bool has_private = disks->private_count > 0;

	if (options->block_migration == BLOCK_MIGRATION_YES && !has_private) {
		inquiry->check->is_about_source = true;
		error_set(error, ECANCELED,
			  "%s is not on local storage: Block migration can not be used with shared storage.",
			  inquiry->source->name);
		return refuse(inquiry, CHECK_REFUSED_STORAGE);
	}
	if (options->block_migration == BLOCK_MIGRATION_NO && has_private) {
		inquiry->check->is_about_source = true;
		error_set(error, ECANCELED,
			  "%s is not on shared storage: Shared storage live-migration requires either shared "
			  "storage or boot-from-volume with no local disks.",
			  inquiry->source->name);
		return refuse(inquiry, CHECK_REFUSED_STORAGE);
	}
	return 0;
}

int libvirt_check_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		       const struct live_options *options, struct check_result *ret_check, struct error *error)
{
	CLEANUP_DISKS struct guest_disks disks = { 0 };
	const struct inquiry inquiry = { libvirt_host_of(source), libvirt_host_of(target), uuid, ret_check, true };

	*ret_check = (struct check_result){ .refusal = CHECK_PASSED };
	int result = check_guest(&inquiry, &disks, error);
	if (result == 0)
		result = check_wish(&inquiry, &disks, options, error);
	if (result == 0)
		result = check_private_disks(&inquiry, &disks, options->disk_over_commit, false, error);
	ret_check->copies_disks = result == 0 && disks.private_count > 0;
	return result;
}

int libvirt_check_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		       struct check_result *ret_check, struct error *error)
{
	CLEANUP_DISKS struct guest_disks disks = { 0 };
	const struct inquiry inquiry = { libvirt_host_of(source), libvirt_host_of(target), uuid, ret_check, false };

	*ret_check = (struct check_result){ .refusal = CHECK_PASSED };
	int result = check_guest(&inquiry, &disks, error);
	if (result == 0)
		result = check_private_disks(&inquiry, &disks, true, true, error);
	ret_check->copies_disks = result == 0 && disks.private_count > 0;
	return result;
}
