/* Which disks a guest has, and which of them both hosts see. The one difficulty is the proof: equal paths prove nothing, so a
 * marker volume is made in the source's pool and looked for in the target's pools; only what was seen there is shared. */
#include "server/worker/libvirt/disks.h"

#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/libvirt/volume.h"
#include "server/worker/libvirt/xml.h"

#define DISKS "/domain/devices/disk[not(@device) or @device='disk' or @device='lun'][source/@file]"
/* Where nothing can prove that the other host has the same: neither copied nor taken for shared. Disks of type network are
 * reached by their address from anywhere. */
#define OTHER_DISKS                                                                                                    \
	"/domain/devices/disk[not(@device) or @device='disk' or @device='lun']"                                        \
	"[not(source/@file) and not(@type='network')]"

/* Two hosts at once; `one` is where the definition is from. */
struct sides {
	struct libvirt_host *one, *other;
	virConnectPtr one_connection, other_connection;
};

static void sides_close(struct sides *sides)
{
	libvirt_cleanup_connection(&sides->one_connection);
	libvirt_cleanup_connection(&sides->other_connection);
}

void guest_disks_clear(struct guest_disks *disks)
{
	for (size_t i = 0; i < disks->count; i++) {
		struct guest_disk *disk = &disks->items[i];

		free(disk->device);
		free(disk->path);
		free(disk->pool);
		free(disk->volume);
		free(disk->other_path);
	}
	free(disks->items);
	*disks = (struct guest_disks){ 0 };
}

/* A pool in which a copy is under way cannot be read anew: then the try to make a volume of that name tells whether it is
 * there. 1: seen. */
static int is_in_busy_pool(struct libvirt_host *host, virStoragePoolPtr pool, const char *name, struct error *error)
{
	CLEANUP_VOLUME virStorageVolPtr volume = libvirt_volume_make(pool, name, 512, "raw");

	if (volume)
		return virStorageVolDelete(volume, 0) < 0 ? libvirt_error(host, error, "remove a marker volume") : 0;
	int code = virGetLastErrorCode();
	/* Of a file that the pool does not list yet libvirt says that the operation is not valid. */
	if (code == VIR_ERR_STORAGE_VOL_EXIST
	    || (code == VIR_ERR_OPERATION_INVALID && virStoragePoolIsActive(pool) == 1))
		return 1;
	return libvirt_error(host, error, "look for a marker volume in a storage pool that is busy");
}

/* 1: the pool has it, at *ret_path; 0: not. */
static int find_in_pool(struct libvirt_host *host, virStoragePoolPtr pool, const char *name, char **ret_path,
			struct error *error)
{
	/* Pools keep lists of their own: what another host made is seen only after they were read again. */
	if (!libvirt_pool_refresh(pool))
		return is_in_busy_pool(host, pool, name, error);
	CLEANUP_VOLUME virStorageVolPtr volume = virStorageVolLookupByName(pool, name);

	if (!volume)
		return 0;
	*ret_path = virStorageVolGetPath(volume);
	return *ret_path ? 1 : libvirt_error(host, error, "read a volume's path");
}

static int find_marker(const struct sides *sides, const char *name, char **ret_path, struct error *error)
{
	virStoragePoolPtr *pools = NULL;
	int count =
		virConnectListAllStoragePools(sides->other_connection, &pools, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE);
	int result = count < 0 ? libvirt_error(sides->other, error, "list the storage pools") : 0;

	for (int i = 0; i < count; i++) {
		if (result == 0)
			result = find_in_pool(sides->other, pools[i], name, ret_path, error);
		virStoragePoolFree(pools[i]);
	}
	free(pools);
	return result;
}

/* The volume's place beside another file. */
static char *path_beside(const char *path, const char *volume)
{
	const char *slash = strrchr(path, '/');

	return slash ? text_format("%.*s/%s", (int)(slash - path), path, volume) : NULL;
}

static int prove(const struct sides *sides, virStoragePoolPtr pool, struct guest_disk *disk, struct error *error)
{
	char id[UUID_SIZE];
	CLEANUP_FREE char *seen = NULL;

	uuid_make(id);
	CLEANUP_FREE char *name = text_format("%s%s", sides->one->driver->marker_of_run, id);
	if (!name)
		return error_no_memory(error);
	CLEANUP_VOLUME virStorageVolPtr marker = libvirt_volume_make(pool, name, 512, "raw");
	if (!marker)
		return libvirt_error(sides->one, error, "make a marker volume");
	int result = find_marker(sides, name, &seen, error);
	if (virStorageVolDelete(marker, 0) < 0 && result >= 0)
		return libvirt_error(sides->one, error, "remove a marker volume");
	disk->is_shared = result == 1;
	if (result == 1 && seen)
		disk->other_path = path_beside(seen, disk->volume);
	return result < 0 ? result : 0;
}

static void sweep_pool(const struct libvirt_driver *driver, virStoragePoolPtr pool)
{
	virStorageVolPtr *volumes = NULL;
	int count = virStoragePoolListAllVolumes(pool, &volumes, 0);

	for (int i = 0; i < count; i++) {
		const char *name = virStorageVolGetName(volumes[i]);

		if (name && text_starts_with(name, driver->marker_of_node)
		    && !text_starts_with(name, driver->marker_of_run))
			virStorageVolDelete(volumes[i], 0); /* else at the next start */
		virStorageVolFree(volumes[i]);
	}
	free(volumes);
}

void libvirt_sweep_markers(struct libvirt_host *host, virConnectPtr connection)
{
	virStoragePoolPtr *pools = NULL;
	int count = virConnectListAllStoragePools(connection, &pools, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE);

	for (int i = 0; i < count; i++) {
		virStoragePoolRefresh(pools[i], 0);
		sweep_pool(host->driver, pools[i]);
		virStoragePoolFree(pools[i]);
	}
	free(pools);
}

/* Where it would lie on the other host: in the pool of the same name. */
static int find_place(const struct sides *sides, struct guest_disk *disk, struct error *error)
{
	CLEANUP_POOL virStoragePoolPtr pool = virStoragePoolLookupByName(sides->other_connection, disk->pool);

	if (!pool && virGetLastErrorCode() == VIR_ERR_NO_STORAGE_POOL)
		return 0;
	CLEANUP_FREE char *folder = pool ? libvirt_pool_folder(pool) : NULL;
	if (!pool || !folder)
		return libvirt_error(sides->other, error, "read a storage pool's folder");
	disk->other_path = text_format("%s/%s", folder, disk->volume);
	return disk->other_path ? 0 : error_no_memory(error);
}

static int examine(const struct sides *sides, struct guest_disk *disk, struct error *error)
{
	CLEANUP_VOLUME virStorageVolPtr volume = libvirt_volume_by_path(sides->one_connection, disk->path);
	CLEANUP_POOL virStoragePoolPtr pool = volume ? virStoragePoolLookupByVolume(volume) : NULL;

	if (!pool)
		return error_set(error, ECANCELED,
				 "disk %s lies in no storage pool of host %s: define one for its directory", disk->path,
				 sides->one->name);
	disk->pool = strdup(virStoragePoolGetName(pool));
	disk->volume = strdup(virStorageVolGetName(volume));
	if (!disk->pool || !disk->volume)
		return error_no_memory(error);
	int result = prove(sides, pool, disk, error);
	if (result == 0 && !disk->other_path)
		result = disk->is_shared ? error_set(error, EIO, "host %s: the place of disk %s cannot be told",
						     sides->other->name, disk->path)
					 : find_place(sides, disk, error);
	return result;
}

static char *attribute_of(xmlXPathContextPtr context, const char *path)
{
	CLEANUP_OBJECT xmlXPathObjectPtr found = xmlXPathEvalExpression((const xmlChar *)path, context);

	return found && found->stringval ? strdup((const char *)found->stringval) : NULL;
}

static bool has(xmlXPathContextPtr context, const char *element)
{
	CLEANUP_OBJECT xmlXPathObjectPtr found = xmlXPathEvalExpression((const xmlChar *)element, context);

	return found && found->nodesetval && found->nodesetval->nodeNr > 0;
}

static int read_names(xmlXPathContextPtr context, struct guest_disks *disks, struct error *error)
{
	CLEANUP_OBJECT xmlXPathObjectPtr nodes = xmlXPathEvalExpression((const xmlChar *)DISKS, context);
	int count = nodes && nodes->nodesetval ? nodes->nodesetval->nodeNr : 0;

	disks->items = calloc((size_t)count + 1, sizeof(*disks->items));
	if (!nodes || !disks->items)
		return error_no_memory(error);
	for (int i = 0; i < count; i++) {
		struct guest_disk *disk = &disks->items[disks->count++];

		xmlXPathSetContextNode(nodes->nodesetval->nodeTab[i], context);
		disk->device = attribute_of(context, "string(target/@dev)");
		disk->path = attribute_of(context, "string(source/@file)");
		disk->is_for_several = has(context, "shareable") || has(context, "readonly");
		if (!disk->device || !disk->path)
			return error_no_memory(error);
	}
	return 0;
}

static int refuse_other_types(xmlXPathContextPtr context, const struct sides *sides, struct error *error)
{
	CLEANUP_OBJECT xmlXPathObjectPtr nodes = xmlXPathEvalExpression((const xmlChar *)OTHER_DISKS, context);

	if (!nodes)
		return error_no_memory(error);
	if (!nodes->nodesetval || nodes->nodesetval->nodeNr == 0)
		return 0;
	xmlXPathSetContextNode(nodes->nodesetval->nodeTab[0], context);
	CLEANUP_FREE char *device = attribute_of(context, "string(target/@dev)");
	CLEANUP_FREE char *type = attribute_of(context, "string(@type)");
	return error_set(error, ECANCELED,
			 "disk %s on host %s is of type %s: only files in storage pools and network disks can be moved",
			 device ? device : "", sides->one->name, type ? type : "");
}

static xmlDocPtr parse(const char *definition)
{
	return xmlReadMemory(definition, (int)strlen(definition), NULL, NULL,
			     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

static int find(struct sides *sides, const char *definition, struct guest_disks *ret_disks, struct error *error)
{
	CLEANUP_DOCUMENT xmlDocPtr document = parse(definition);
	CLEANUP_CONTEXT xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	CLEANUP_DISKS struct guest_disks disks = { 0 };

	if (!context)
		return error_set(error, EINVAL, "host %s: a guest's definition cannot be read", sides->one->name);
	int result = refuse_other_types(context, sides, error);
	if (result == 0) {
		xmlXPathSetContextNode(xmlDocGetRootElement(document), context);
		result = read_names(context, &disks, error);
	}
	if (result == 0)
		result = libvirt_connection_get(sides->one, &sides->one_connection, error);
	if (result == 0)
		result = libvirt_connection_get(sides->other, &sides->other_connection, error);
	for (size_t i = 0; result == 0 && i < disks.count; i++) {
		result = examine(sides, &disks.items[i], error);
		disks.private_count += !disks.items[i].is_shared;
	}
	if (result < 0)
		return result;
	*ret_disks = disks;
	disks = (struct guest_disks){ 0 };
	return 0;
}

int libvirt_disks_find(struct libvirt_host *one, struct libvirt_host *other, const char *definition,
		       struct guest_disks *ret_disks, struct error *error)
{
	CLEANUP(sides_close) struct sides sides = { .one = one, .other = other };

	return find(&sides, definition, ret_disks, error);
}

static int rewrite_source(xmlNodePtr source, const struct guest_disks *disks)
{
	xmlChar *path = xmlGetProp(source, (const xmlChar *)"file");
	int result = 0;

	for (size_t i = 0; path && i < disks->count; i++)
		if (text_equal((const char *)path, disks->items[i].path)) {
			result =
				xmlSetProp(source, (const xmlChar *)"file", (const xmlChar *)disks->items[i].other_path)
					? 0
					: -ENOMEM;
			break;
		}
	xmlFree(path);
	return result;
}

int libvirt_disks_rewrite(const struct guest_disks *disks, const char *definition, char **ret_definition,
			  struct error *error)
{
	CLEANUP_DOCUMENT xmlDocPtr document = parse(definition);
	CLEANUP_CONTEXT xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	CLEANUP_OBJECT
	xmlXPathObjectPtr sources = context ? xmlXPathEvalExpression((const xmlChar *)DISKS "/source", context) : NULL;
	xmlChar *text = NULL;
	int size = 0;

	if (!sources)
		return error_set(error, EINVAL, "a guest's definition cannot be read");
	for (int i = 0; sources->nodesetval && i < sources->nodesetval->nodeNr; i++)
		if (rewrite_source(sources->nodesetval->nodeTab[i], disks) < 0)
			return error_no_memory(error);
	xmlDocDumpMemory(document, &text, &size);
	*ret_definition = text ? strdup((const char *)text) : NULL;
	xmlFree(text);
	return *ret_definition ? 0 : error_no_memory(error);
}

static int make_one(const struct sides *sides, const struct guest_disk *disk, const struct volume_journal *journal,
		    struct error *error)
{
	CLEANUP_VOLUME virStorageVolPtr from = libvirt_volume_by_path(sides->one_connection, disk->path);
	CLEANUP_FREE char *format = from ? libvirt_volume_format(from) : NULL;
	CLEANUP_POOL virStoragePoolPtr pool = virStoragePoolLookupByName(sides->other_connection, disk->pool);
	virStorageVolInfo info;
	int64_t id;

	if (!format || virStorageVolGetInfo(from, &info) < 0)
		return libvirt_error(sides->one, error, "read a disk's size");
	if (!pool)
		return libvirt_error(sides->other, error, "find the storage pool");
	CLEANUP_VOLUME virStorageVolPtr made = NULL;

	return libvirt_volume_make_recorded(sides->other, pool, disk->volume, info.capacity, format, journal, &id,
					    &made, error);
}

int libvirt_disks_make(struct libvirt_host *source, struct libvirt_host *target, const struct guest_disks *disks,
		       const struct volume_journal *journal, struct error *error)
{
	CLEANUP(sides_close) struct sides sides = { .one = source, .other = target };
	int result = libvirt_connection_get(source, &sides.one_connection, error);

	if (result == 0)
		result = libvirt_connection_get(target, &sides.other_connection, error);
	for (size_t i = 0; result == 0 && i < disks->count; i++)
		if (!disks->items[i].is_shared)
			result = make_one(&sides, &disks->items[i], journal, error);
	return result;
}
