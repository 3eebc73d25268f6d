/* Volumes of a host's storage pools. What is gone already is no error. */
#include "server/worker/libvirt/volume.h"

#include <libvirt/virterror.h>

#include "base/error.h"

int libvirt_remove_volume(struct hypervisor_host *base, const char *pool_name, const char *name, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	int result = libvirt_connection_get(host, &connection, error);

	if (result < 0)
		return result;
	virStoragePoolPtr pool = virStoragePoolLookupByName(connection, pool_name);

	if (!pool)
		return libvirt_error(host, error, "find the storage pool");
	/* A pool knows only what it saw: a file that came by itself is found after a refresh. */
	virStorageVolPtr volume = virStoragePoolRefresh(pool, 0) == 0 ? virStorageVolLookupByName(pool, name) : NULL;

	if (!volume && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
		result = libvirt_error(host, error, "find the volume");
	else if (volume && virStorageVolDelete(volume, 0) < 0)
		result = libvirt_error(host, error, "remove the volume");
	if (volume)
		virStorageVolFree(volume);
	virStoragePoolFree(pool);
	return result;
}
