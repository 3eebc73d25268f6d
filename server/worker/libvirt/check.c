/* May a guest go there? The one difficulty is storage: equal paths prove nothing, so a marker volume is made in the source's
 * pool and looked for from the target; only what was seen there counts as shared. */
#include "server/worker/libvirt/check.h"

#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#define DISK_FILES "/domain/devices/disk[not(@device) or @device='disk' or @device='lun']/source/@file"

static void free_volume(virStorageVolPtr *volume)
{
	if (*volume)
		virStorageVolFree(*volume);
}

static void free_pool(virStoragePoolPtr *pool)
{
	if (*pool)
		virStoragePoolFree(*pool);
}

#define CLEANUP_VOLUME CLEANUP(free_volume)
#define CLEANUP_POOL   CLEANUP(free_pool)

/* Pools keep lists of their own: what another host made is seen only after they were read again. */
static void refresh_pools(virConnectPtr connection)
{
	virStoragePoolPtr *pools = NULL;
	int count = virConnectListAllStoragePools(connection, &pools, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE);

	for (int i = 0; i < count; i++) {
		virStoragePoolRefresh(pools[i], 0);
		virStoragePoolFree(pools[i]);
	}
	free(pools);
}

static bool is_seen(virConnectPtr connection, const char *path)
{
	refresh_pools(connection);
	CLEANUP_VOLUME virStorageVolPtr volume = virStorageVolLookupByPath(connection, path);

	return volume != NULL;
}

static int make_marker(struct libvirt_host *one, virStoragePoolPtr pool, virStorageVolPtr *ret_marker,
		       struct error *error)
{
	char name[UUID_SIZE];

	uuid_make(name);
	CLEANUP_FREE char *definition = text_format("<volume><name>migrationd-marker-%s</name><capacity>512</capacity>"
						    "<target><format type='raw'/></target></volume>",
						    name);
	if (!definition)
		return error_no_memory(error);
	*ret_marker = virStorageVolCreateXML(pool, definition, 0);
	return *ret_marker ? 0 : libvirt_error(one, error, "make a marker volume");
}

static int prove_disk(struct libvirt_host *one, virConnectPtr one_connection, struct libvirt_host *other,
		      virConnectPtr other_connection, const char *path, struct error *error)
{
	refresh_pools(one_connection);
	CLEANUP_VOLUME virStorageVolPtr disk = virStorageVolLookupByPath(one_connection, path);
	CLEANUP_POOL virStoragePoolPtr pool = disk ? virStoragePoolLookupByVolume(disk) : NULL;
	CLEANUP_VOLUME virStorageVolPtr marker = NULL;

	if (!pool) {
		error_set(error, ECANCELED, "disk %s lies in no storage pool of host %s: define one for its directory",
			  path, one->name);
		return 0;
	}
	int result = make_marker(one, pool, &marker, error);
	if (result < 0)
		return result;
	CLEANUP_FREE char *marker_path = virStorageVolGetPath(marker);
	bool is_shared = marker_path && is_seen(other_connection, marker_path);
	if (virStorageVolDelete(marker, 0) < 0)
		return libvirt_error(one, error, "remove a marker volume");
	if (!is_shared)
		error_set(error, ECANCELED, "disk %s of host %s is not on storage that host %s sees", path, one->name,
			  other->name);
	return is_shared;
}

static int prove_all(struct libvirt_host *one, struct libvirt_host *other, xmlXPathContextPtr context,
		     struct error *error)
{
	CLEANUP_CONNECTION virConnectPtr one_connection = NULL, other_connection = NULL;
	int result = libvirt_connection_get(one, &one_connection, error);

	if (result == 0)
		result = libvirt_connection_get(other, &other_connection, error);
	if (result < 0)
		return result;
	xmlXPathObjectPtr files = xmlXPathEvalExpression((const xmlChar *)DISK_FILES, context);
	result = files ? 1 : error_no_memory(error);
	for (int i = 0; result == 1 && files->nodesetval && i < files->nodesetval->nodeNr; i++) {
		xmlChar *path = xmlNodeGetContent(files->nodesetval->nodeTab[i]);

		result = path ? prove_disk(one, one_connection, other, other_connection, (const char *)path, error)
			      : error_no_memory(error);
		xmlFree(path);
	}
	xmlXPathFreeObject(files);
	return result;
}

int libvirt_prove_shared(struct libvirt_host *one, struct libvirt_host *other, const char *definition,
			 struct error *error)
{
	xmlDocPtr document = xmlReadMemory(definition, (int)strlen(definition), NULL, NULL,
					   XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	int result = context ? prove_all(one, other, context, error)
			     : error_set(error, EINVAL, "host %s: a guest's definition cannot be read", one->name);

	xmlXPathFreeContext(context);
	xmlFreeDoc(document);
	return result;
}

static int refuse(struct check_result *check, enum check_refusal refusal)
{
	check->refusal = refusal;
	return -ECANCELED;
}

/* A guest of that id that the target has already would be taken for the one that moved. */
static int check_target_is_free(struct libvirt_host *target, const char *uuid, struct check_result *check,
				struct error *error)
{
	struct guest_view view;
	int result = libvirt_look(&target->base, uuid, &view, error);

	if (result < 0 || view.state == GUEST_ABSENT)
		return result;
	error_set(error, ECANCELED, "host %s already has a guest with the id %s (%s): remove it there first",
		  target->name, uuid, guest_state_name(view.state));
	return refuse(check, CHECK_REFUSED_BY_TARGET);
}

static int check(struct libvirt_host *source, struct libvirt_host *target, const char *uuid,
		 struct check_result *ret_check, struct error *error)
{
	CLEANUP_FREE char *definition = NULL;
	bool has_autostart;
	int result = libvirt_read_definition(&source->base, uuid, &definition, &has_autostart, error);

	if (result == 0)
		result = check_target_is_free(target, uuid, ret_check, error);
	if (result < 0)
		return result;
	result = libvirt_prove_shared(source, target, definition, error);
	if (result < 0)
		return result;
	ret_check->is_storage_proven_shared = result == 1;
	if (result == 1)
		return 0;
	/* Another target may share it. */
	error_wrap(error, "private disks cannot be copied by this version");
	return refuse(ret_check, CHECK_REFUSED_BY_TARGET);
}

int libvirt_check_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		       const struct live_options *options, struct check_result *ret_check, struct error *error)
{
	*ret_check = (struct check_result){ .refusal = CHECK_PASSED };
	int result = check(libvirt_host_of(source), libvirt_host_of(target), uuid, ret_check, error);

	if (result == 0 && options->block_migration == BLOCK_MIGRATION_YES) {
		ret_check->is_about_source = true;
		error_set(error, ECANCELED,
			  "host %s is not on local storage: Block migration can not be used with shared storage.",
			  libvirt_host_of(source)->name);
		return refuse(ret_check, CHECK_REFUSED_STORAGE);
	}
	return result;
}

int libvirt_check_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		       struct check_result *ret_check, struct error *error)
{
	*ret_check = (struct check_result){ .refusal = CHECK_PASSED };
	return check(libvirt_host_of(source), libvirt_host_of(target), uuid, ret_check, error);
}
