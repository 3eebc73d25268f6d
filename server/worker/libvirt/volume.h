/* Volumes of a host's storage pools, by libvirt: see hypervisor.h. */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "server/worker/libvirt/internal.h"

void libvirt_cleanup_volume(virStorageVolPtr *volume);
void libvirt_cleanup_pool(virStoragePoolPtr *pool);
#define CLEANUP_VOLUME CLEANUP(libvirt_cleanup_volume)
#define CLEANUP_POOL   CLEANUP(libvirt_cleanup_pool)

/* The following give NULL with libvirt's last error set. */

/* Fresh, and sparse; one of that name must not be there yet. */
virStorageVolPtr libvirt_volume_make(virStoragePoolPtr pool, const char *name, uint64_t bytes, const char *format);
/* Pools are read again where it is not found at once. */
virStorageVolPtr libvirt_volume_by_path(virConnectPtr connection, const char *path);
/* Heap strings: raw, qcow2 …; the file that it rests upon, "" when there is none; a directory pool's folder. */
char *libvirt_volume_format(virStorageVolPtr volume);
char *libvirt_volume_backing(virStorageVolPtr volume);
char *libvirt_pool_folder(virStoragePoolPtr pool);

/* The same with the journal told before; where somebody else's volume has the name, the journal forgets it again. */
int libvirt_volume_make_recorded(struct libvirt_host *host, virStoragePoolPtr pool, const char *name, uint64_t bytes,
				 const char *format, const struct volume_journal *journal, int64_t *ret_id,
				 virStorageVolPtr *ret_volume, struct error *error);

/* Reads the pool's list again. A volume that is being made there, another move's marker say, keeps the pool busy for a moment. */
bool libvirt_pool_refresh(virStoragePoolPtr pool);

/* The name of a guest of that host whose definition names the file, by its path or as a volume, not counting one id (NULL: all
 * count); heap, the caller's; NULL when there is none. A definition that cannot be read is an error: it might name it. */
int libvirt_find_user(struct libvirt_host *host, virConnectPtr connection, const char *path, const char *except_uuid,
		      char **ret_name, struct error *error);

/* hypervisor.h's verify_disks and remove_volume. */
int libvirt_verify_disks(struct hypervisor_host *base, const struct hypervisor_volume *volumes, size_t count,
			 struct error *error);
int libvirt_remove_volume(struct hypervisor_host *base, const struct hypervisor_volume *volume, struct error *error);
