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

int libvirt_remove_volume(struct hypervisor_host *base, const char *pool_name, const char *name, struct error *error);
