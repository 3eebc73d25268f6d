/* Volumes of the simulated fleet, and the disks of its guests. A volume stands for its bytes by one number; how a copy came out
 * shows by comparing it with what the guest wrote last. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/simulated/fleet_state.h"

static struct simulated_volume **pool_of(struct simulated_host *host, bool is_shared)
{
	return is_shared ? &simulated_fleet_of(host)->shared_volumes : &host->volumes;
}

static enum simulated_pool_state pool_state(const struct simulated_host *host, bool is_shared)
{
	return is_shared ? host->shared_pool : host->pool;
}

/* -ENODEV: it has none of that name, or it is not active. */
static int find_pool(const struct simulated_host *host, const char *name, bool *ret_is_shared, struct error *error)
{
	bool is_shared = text_equal(name, SIMULATED_SHARED_POOL);

	if ((!is_shared && !text_equal(name, SIMULATED_POOL)) || pool_state(host, is_shared) == SIMULATED_POOL_OFF)
		return error_set(error, ENODEV, "host %s has no active storage pool %.255s (simulated)", host->name,
				 name);
	*ret_is_shared = is_shared;
	return 0;
}

static int may_write(const struct simulated_host *host, bool is_shared, bool takes_space, struct error *error)
{
	enum simulated_pool_state state = pool_state(host, is_shared);

	if (state == SIMULATED_POOL_READ_ONLY || state == SIMULATED_POOL_OFF)
		return error_set(error, EIO, "host %s cannot write to its storage pool (simulated)", host->name);
	if (state == SIMULATED_POOL_FULL && takes_space)
		return error_set(error, ENOSPC, "the storage pool of host %s is full (simulated)", host->name);
	return 0;
}

static struct simulated_volume *find_in(struct simulated_volume *list, const char *name)
{
	while (list && !text_equal(list->name, name))
		list = list->next;
	return list;
}

struct simulated_volume *simulated_volume_find(struct simulated_host *host, bool is_shared, const char *name)
{
	return find_in(*pool_of(host, is_shared), name);
}

struct simulated_volume *simulated_volume_add(struct simulated_host *host, bool is_shared, const char *name,
					      int64_t bytes, const char *uuid)
{
	struct simulated_volume *volume = calloc(1, sizeof(*volume));
	struct simulated_volume **list = pool_of(host, is_shared);

	if (!volume)
		return NULL;
	TEXT_COPY(volume->name, name);
	TEXT_COPY(volume->is.uuid, uuid);
	volume->is.bytes = bytes;
	volume->next = *list;
	*list = volume;
	return volume;
}

/* Out of the list; NULL: it was not there. */
static struct simulated_volume *take(struct simulated_volume **link, const char *name)
{
	for (; *link; link = &(*link)->next)
		if (text_equal((*link)->name, name)) {
			struct simulated_volume *taken = *link;

			*link = taken->next;
			return taken;
		}
	return NULL;
}

void simulated_volume_remove(struct simulated_host *host, bool is_shared, const char *name)
{
	free(take(pool_of(host, is_shared), name));
}

void simulated_drop_volumes(struct simulated_volume **list)
{
	while (*list) {
		struct simulated_volume *gone = *list;

		*list = gone->next;
		free(gone);
	}
}

struct simulated_disks *simulated_disks_find(struct simulated_fleet *fleet, const char *uuid)
{
	struct simulated_disks *disks = fleet->disks;

	while (disks && !text_equal(disks->uuid, uuid))
		disks = disks->next;
	return disks;
}

void simulated_drop_disks(struct simulated_fleet *fleet)
{
	while (fleet->disks) {
		struct simulated_disks *gone = fleet->disks;

		fleet->disks = gone->next;
		while (gone->first) {
			struct simulated_disk *disk = gone->first;

			gone->first = disk->next;
			free(disk);
		}
		free(gone);
	}
}

size_t simulated_private_count(struct simulated_fleet *fleet, const char *uuid, int64_t *ret_bytes)
{
	const struct simulated_disks *disks = simulated_disks_find(fleet, uuid);
	int64_t bytes = 0;
	size_t count = 0;

	for (const struct simulated_disk *disk = disks ? disks->first : NULL; disk; disk = disk->next)
		if (!disk->is_shared) {
			count++;
			bytes += disk->bytes;
		}
	if (ret_bytes)
		*ret_bytes = bytes;
	return count;
}

bool simulated_private_disk(struct simulated_fleet *fleet, const char *uuid, size_t number,
			    struct simulated_disk *ret_disk)
{
	const struct simulated_disks *disks = simulated_disks_find(fleet, uuid);

	for (const struct simulated_disk *disk = disks ? disks->first : NULL; disk; disk = disk->next)
		if (!disk->is_shared && number-- == 0) {
			*ret_disk = *disk;
			return true;
		}
	return false;
}

void simulated_touch(struct simulated_host *host, const char *uuid)
{
	struct simulated_disks *disks = simulated_disks_find(simulated_fleet_of(host), uuid);

	if (!disks)
		return;
	disks->newest++;
	for (const struct simulated_disk *disk = disks->first; disk; disk = disk->next) {
		struct simulated_volume *volume = simulated_volume_find(host, disk->is_shared, disk->name);

		if (volume)
			volume->is.content = disks->newest;
	}
}

const char *simulated_missing_disk(struct simulated_host *host, const char *uuid)
{
	const struct simulated_disks *disks = simulated_disks_find(simulated_fleet_of(host), uuid);

	for (const struct simulated_disk *disk = disks ? disks->first : NULL; disk; disk = disk->next)
		if (pool_state(host, disk->is_shared) == SIMULATED_POOL_OFF
		    || !simulated_volume_find(host, disk->is_shared, disk->name))
			return disk->name;
	return NULL;
}

const char *simulated_present_disk(struct simulated_host *host, const char *uuid)
{
	const struct simulated_disks *disks = simulated_disks_find(simulated_fleet_of(host), uuid);

	for (const struct simulated_disk *disk = disks ? disks->first : NULL; disk; disk = disk->next)
		if (!disk->is_shared && simulated_volume_find(host, false, disk->name))
			return disk->name;
	return NULL;
}

/* Each call of the journal and the making itself without the mutex. */
static int make(const struct simulated_call *call, const struct simulated_disk *disk, int64_t *ret_volume_id,
		struct error *error)
{
	const struct volume_journal *journal = call->journal;
	struct simulated_call creation = { .operation = SIMULATED_CREATE_VOLUME,
					   .host = call->target,
					   .bytes = disk->bytes };
	struct error cause = { 0 };
	int result = 0;

	TEXT_COPY(creation.uuid, call->uuid);
	TEXT_COPY(creation.name, disk->name);
	TEXT_COPY(creation.pool, SIMULATED_POOL);
	if (journal)
		result =
			journal->begin(journal->context, SIMULATED_POOL, disk->name, disk->bytes, ret_volume_id, error);
	if (result < 0)
		return result;
	result = simulated_call(&creation, error);
	if (result == -EEXIST && journal && journal->forget(journal->context, *ret_volume_id, &cause) < 0)
		return error_wrap(error, "%s; and it is taken for ours", cause.text);
	return result;
}

int simulated_make_volume(struct simulated_fleet *fleet, const struct simulated_call *call,
			  const struct simulated_disk *disk, int64_t *ret_volume_id, struct error *error)
{
	pthread_mutex_unlock(&fleet->mutex);
	int result = make(call, disk, ret_volume_id, error);
	pthread_mutex_lock(&fleet->mutex);
	simulated_settle(fleet);
	return result == 0 && call->is_cut ? simulated_tell_cut(call, error) : result;
}

int simulated_body_create_volume(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	bool is_shared = false;
	int result = simulated_ask(call->host, error);

	(void)fleet;
	if (result == 0)
		result = find_pool(call->host, call->pool, &is_shared, error);
	if (result == 0)
		result = may_write(call->host, is_shared, true, error);
	if (result < 0)
		return result;
	if (simulated_volume_find(call->host, is_shared, call->name))
		return error_set(error, EEXIST, "host %s has a disk %s already (simulated)", call->host->name,
				 call->name);
	return simulated_volume_add(call->host, is_shared, call->name, call->bytes, call->uuid)
		       ? 0
		       : error_no_memory(error);
}

int simulated_fill_volume(struct simulated_host *host, const char *name, uint64_t content, struct error *error)
{
	struct simulated_volume *volume = simulated_volume_find(host, false, name);
	int result = may_write(host, false, true, error);

	if (result < 0)
		return result;
	if (!volume)
		return error_set(error, EIO, "host %s lost the disk %s while it was copied (simulated)", host->name,
				 name);
	volume->is.content = content;
	volume->is.is_complete = true;
	return 0;
}

int simulated_fill_all(struct simulated_host *from, struct simulated_host *to, const char *uuid, struct error *error)
{
	struct simulated_fleet *fleet = simulated_fleet_of(from);
	struct simulated_disk disk;
	int result = 0;

	for (size_t i = 0; result == 0 && simulated_private_disk(fleet, uuid, i, &disk); i++) {
		const struct simulated_volume *volume = simulated_volume_find(from, false, disk.name);

		result = volume ? simulated_fill_volume(to, disk.name, volume->is.content, error)
				: error_set(error, EIO, "host %s lost the disk %s while it was copied (simulated)",
					    from->name, disk.name);
	}
	return result;
}

void simulated_carry_volumes(struct simulated_host *from, struct simulated_host *to, const char *uuid)
{
	struct simulated_disk disk;

	for (size_t i = 0; simulated_private_disk(simulated_fleet_of(from), uuid, i, &disk); i++) {
		struct simulated_volume *volume = take(&from->volumes, disk.name);

		if (!volume)
			continue;
		free(take(&to->volumes, disk.name)); /* an older copy is written over */
		volume->next = to->volumes;
		to->volumes = volume;
	}
}

int simulated_body_verify_disks(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	int result = simulated_ask(call->host, error);

	(void)fleet;
	for (size_t i = 0; i < call->volume_count && result == 0; i++) {
		const struct hypervisor_volume *wanted = &call->volumes[i];
		const struct simulated_volume *volume = NULL;
		bool is_shared = false;

		if (find_pool(call->host, wanted->pool, &is_shared, NULL) == 0)
			volume = simulated_volume_find(call->host, is_shared, wanted->name);
		if (!volume)
			result = error_set(error, ESTALE, "disk %s is not on host %s (simulated)", wanted->name,
					   call->host->name);
		else if (volume->is.bytes < wanted->bytes)
			result = error_set(error, ESTALE, "disk %s on host %s has fewer bytes than it must (simulated)",
					   wanted->name, call->host->name);
	}
	return result;
}

/* Whether a guest of that host names it. */
static bool is_in_use(struct simulated_host *host, bool is_shared, const char *name)
{
	for (const struct simulated_guest *guest = host->guests; guest; guest = guest->next) {
		const struct simulated_disks *disks = simulated_disks_find(simulated_fleet_of(host), guest->uuid);

		for (const struct simulated_disk *disk = disks ? disks->first : NULL; disk; disk = disk->next)
			if (disk->is_shared == is_shared && text_equal(disk->name, name))
				return true;
	}
	return false;
}

int simulated_body_remove_volume(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	bool is_shared = false;
	int result = simulated_ask(call->host, error);

	if (result == 0)
		result = find_pool(call->host, call->pool, &is_shared, error);
	if (result == 0 && simulated_is_being_made(fleet, call->host, call->name))
		return error_set(error, EBUSY, "disk %s is still being made on host %s (simulated)", call->name,
				 call->host->name);
	if (result < 0 || !simulated_volume_find(call->host, is_shared, call->name))
		return result;
	if (is_in_use(call->host, is_shared, call->name))
		return error_set(error, ESTALE, "disk %s is in use on host %s (simulated)", call->name,
				 call->host->name);
	result = may_write(call->host, is_shared, false, error);
	if (result == 0)
		simulated_volume_remove(call->host, is_shared, call->name);
	return result;
}
