/* Volumes of a host's storage pools. Their difficulty: a pool lists what it saw last, so that nothing is there, or gone, by its
 * list alone. */
#include "server/worker/libvirt/volume.h"

#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/text.h"
#include "server/worker/libvirt/definition.h"

#define BUSY_TRIES   20
#define BUSY_WAIT_NS 50000000L

void libvirt_cleanup_volume(virStorageVolPtr *volume)
{
	if (*volume)
		virStorageVolFree(*volume);
}

void libvirt_cleanup_pool(virStoragePoolPtr *pool)
{
	if (*pool)
		virStoragePoolFree(*pool);
}

virStorageVolPtr libvirt_volume_make(virStoragePoolPtr pool, const char *name, uint64_t bytes, const char *format)
{
	xmlChar *safe_name = xmlEncodeSpecialChars(NULL, (const xmlChar *)name);
	CLEANUP_FREE char *definition =
		text_format("<volume><name>%s</name><capacity unit='bytes'>%llu</capacity>"
			    "<allocation>0</allocation><target><format type='%s'/></target></volume>",
			    safe_name ? (const char *)safe_name : "", (unsigned long long)bytes, format);

	xmlFree(safe_name);
	return definition ? virStorageVolCreateXML(pool, definition, 0) : NULL;
}

virStorageVolPtr libvirt_volume_by_path(virConnectPtr connection, const char *path)
{
	virStoragePoolPtr *pools = NULL;
	virStorageVolPtr volume = virStorageVolLookupByPath(connection, path);

	if (volume)
		return volume;
	int count = virConnectListAllStoragePools(connection, &pools, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE);
	for (int i = 0; i < count; i++) {
		virStoragePoolRefresh(pools[i], 0);
		virStoragePoolFree(pools[i]);
	}
	free(pools);
	return count < 0 ? NULL : virStorageVolLookupByPath(connection, path);
}

/* The string that an XPath gives of a description, which is freed. */
static char *part_of(char *description, const char *path)
{
	xmlDocPtr document = description ? xmlReadMemory(description, (int)strlen(description), NULL, NULL,
							 XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)
					 : NULL;
	xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	xmlXPathObjectPtr found = context ? xmlXPathEvalExpression((const xmlChar *)path, context) : NULL;
	char *part = found && found->stringval ? strdup((const char *)found->stringval) : NULL;

	xmlXPathFreeObject(found);
	xmlXPathFreeContext(context);
	xmlFreeDoc(document);
	free(description);
	return part;
}

char *libvirt_volume_format(virStorageVolPtr volume)
{
	return part_of(virStorageVolGetXMLDesc(volume, 0), "string(/volume/target/format/@type)");
}

char *libvirt_volume_backing(virStorageVolPtr volume)
{
	return part_of(virStorageVolGetXMLDesc(volume, 0), "string(/volume/backingStore/path)");
}

char *libvirt_pool_folder(virStoragePoolPtr pool)
{
	return part_of(virStoragePoolGetXMLDesc(pool, 0), "string(/pool/target/path)");
}

static bool is_name_taken(int code)
{
	/* The second where the pool does not know the file yet that lies there. */
	return code == VIR_ERR_STORAGE_VOL_EXIST || code == VIR_ERR_OPERATION_INVALID;
}

int libvirt_volume_make_recorded(struct libvirt_host *host, virStoragePoolPtr pool, const char *name, uint64_t bytes,
				 const char *format, const struct volume_journal *journal, int64_t *ret_id,
				 virStorageVolPtr *ret_volume, struct error *error)
{
	/* How long the file of another format gets is not known before it is full. */
	int64_t length = text_equal(format, "raw") ? (int64_t)bytes : 0, id = 0;
	int result = journal->begin(journal->context, virStoragePoolGetName(pool), name, length, &id, error);

	if (result < 0)
		return result;
	virStorageVolPtr volume = libvirt_volume_make(pool, name, bytes, format);
	if (volume) {
		*ret_id = id;
		*ret_volume = volume;
		return 0;
	}
	bool is_foreign = is_name_taken(virGetLastErrorCode());
	result = libvirt_error(host, error, "make a disk");
	struct error trouble = { 0 };
	if (is_foreign && journal->forget(journal->context, id, &trouble) < 0)
		return error_wrap(error, "%s; and it is taken for ours", trouble.text);
	return result;
}

bool libvirt_pool_refresh(virStoragePoolPtr pool)
{
	for (int i = 0; i < BUSY_TRIES; i++) {
		if (virStoragePoolRefresh(pool, 0) == 0)
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = BUSY_WAIT_NS }, NULL);
	}
	return false;
}

/* By what it runs with (`flags` 0), or by what it will start with. 1: it uses the volume; 0: not, or it went meanwhile. */
static int uses(struct libvirt_host *host, virDomainPtr domain, unsigned int flags,
		const struct definition_volume *volume, struct error *error)
{
	CLEANUP_FREE char *definition = virDomainGetXMLDesc(domain, flags);
	int result = definition ? definition_uses(definition, volume)
				: libvirt_error(host, error, "see which guests use a disk");

	if (!definition && result == -ENOENT) {
		error_clear(error);
		return 0;
	}
	if (definition && result < 0)
		return error_set(error, EIO,
				 "host %s: cannot see which guests use a disk: the definition of %s cannot be read",
				 host->name, virDomainGetName(domain));
	return result;
}

static int find_among(struct libvirt_host *host, virDomainPtr *domains, int count, const char *except_uuid,
		      const struct definition_volume *volume, char **ret_name, struct error *error)
{
	for (int i = 0; i < count; i++) {
		char uuid[VIR_UUID_STRING_BUFLEN] = "";

		virDomainGetUUIDString(domains[i], uuid);
		if (text_equal(uuid, except_uuid))
			continue;
		int result = uses(host, domains[i], 0, volume, error);
		if (result == 0)
			result = uses(host, domains[i], VIR_DOMAIN_XML_INACTIVE, volume, error);
		if (result < 0)
			return result;
		if (result == 1) {
			*ret_name = strdup(virDomainGetName(domains[i]));
			return *ret_name ? 0 : error_no_memory(error);
		}
	}
	return 0;
}

int libvirt_find_user(struct libvirt_host *host, virConnectPtr connection, const char *path, const char *except_uuid,
		      char **ret_name, struct error *error)
{
	CLEANUP_VOLUME virStorageVolPtr volume = virStorageVolLookupByPath(connection, path);
	CLEANUP_POOL virStoragePoolPtr pool = volume ? virStoragePoolLookupByVolume(volume) : NULL;
	const struct definition_volume names = { path, pool ? virStoragePoolGetName(pool) : NULL,
						 volume ? virStorageVolGetName(volume) : NULL };
	virDomainPtr *domains = NULL;
	int count = virConnectListAllDomains(connection, &domains, 0);

	*ret_name = NULL;
	if (count < 0)
		return libvirt_error(host, error, "see which guests use a disk");
	int result = find_among(host, domains, count, except_uuid, &names, ret_name, error);

	for (int i = 0; i < count; i++)
		virDomainFree(domains[i]);
	free(domains);
	return result;
}

/* -ENODEV where the host says that the pool is not there, or not active. */
static int find_pool(struct libvirt_host *host, virConnectPtr connection, const char *name, virStoragePoolPtr *ret_pool,
		     struct error *error)
{
	CLEANUP_POOL virStoragePoolPtr pool = virStoragePoolLookupByName(connection, name);
	int active = pool ? virStoragePoolIsActive(pool) : -1;

	if (active < 0 && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_POOL)
		return libvirt_error(host, error, "find the storage pool");
	if (active <= 0)
		return error_set(error, ENODEV,
				 "host %s: storage pool %s is not %s: define and start it there (virsh pool-start)",
				 host->name, name, active < 0 ? "there" : "active");
	*ret_pool = TAKE_POINTER(pool);
	return 0;
}

/* Capacity and, as `allocation`, the file's own length: 0 where the driver does not tell it. */
static int read_size(virStorageVolPtr volume, virStorageVolInfo *ret_info)
{
	int result = virStorageVolGetInfoFlags(volume, ret_info, VIR_STORAGE_VOL_GET_PHYSICAL);

	if (result < 0 && virGetLastErrorCode() == VIR_ERR_NO_SUPPORT) {
		result = virStorageVolGetInfo(volume, ret_info);
		ret_info->allocation = 0;
	}
	return result;
}

/* 1: it is there now, whatever the pool's list says; 0: not. The pool is read again where the list does not have it, or has it
 * in vain. */
static int find_volume(struct libvirt_host *host, virStoragePoolPtr pool, const char *name,
		       virStorageVolPtr *ret_volume, virStorageVolInfo *ret_info, struct error *error)
{
	for (int is_read_again = 0; is_read_again < 2; is_read_again++) {
		CLEANUP_VOLUME virStorageVolPtr volume = NULL;

		if (is_read_again && !libvirt_pool_refresh(pool))
			return libvirt_error(host, error, "read the storage pool again");
		volume = virStorageVolLookupByName(pool, name);
		if (volume && read_size(volume, ret_info) == 0) {
			*ret_volume = TAKE_POINTER(volume);
			return 1;
		}
		if (virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL && (is_read_again || !volume))
			return libvirt_error(host, error, "find the volume");
	}
	return 0;
}

static int verify(struct libvirt_host *host, virConnectPtr connection, const struct hypervisor_volume *expected,
		  struct error *error)
{
	CLEANUP_POOL virStoragePoolPtr pool = NULL;
	CLEANUP_VOLUME virStorageVolPtr volume = NULL;
	virStorageVolInfo info = { 0 };
	int result = find_pool(host, connection, expected->pool, &pool, error);

	if (result == -ENODEV) {
		error_wrap(error, "disk %s is out of reach", expected->name);
		if (error)
			error->code = ESTALE;
		return -ESTALE;
	}
	if (result == 0)
		result = find_volume(host, pool, expected->name, &volume, &info, error);
	if (result < 0)
		return result;
	if (!volume)
		return error_set(
			error, ESTALE,
			"host %s: disk %s is not in storage pool %s any more: look where it went, and put it back",
			host->name, expected->name, expected->pool);
	/* The disk in a file that was cut off still has its capacity. */
	uint64_t bytes = info.allocation ? info.allocation : info.capacity;
	if (expected->bytes > 0 && bytes < (uint64_t)expected->bytes)
		return error_set(
			error, ESTALE,
			"host %s: disk %s in storage pool %s has %llu bytes instead of %lld: look for who wrote to it",
			host->name, expected->name, expected->pool, (unsigned long long)bytes,
			(long long)expected->bytes);
	return 0;
}

int libvirt_verify_disks(struct hypervisor_host *base, const struct hypervisor_volume *volumes, size_t count,
			 struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	int result = libvirt_connection_get(host, &connection, error);

	for (size_t i = 0; result == 0 && i < count; i++)
		result = verify(host, connection, &volumes[i], error);
	return result;
}

/* What a guest uses stays. */
static int remove_unused(struct libvirt_host *host, virConnectPtr connection, virStorageVolPtr volume,
			 struct error *error)
{
	CLEANUP_FREE char *path = virStorageVolGetPath(volume);
	CLEANUP_FREE char *user = NULL;

	if (!path)
		return libvirt_error(host, error, "read the volume's path");
	int result = libvirt_find_user(host, connection, path, NULL, &user, error);
	if (result < 0)
		return result;
	if (user)
		return error_set(
			error, ESTALE,
			"host %s: disk %s was not removed: guest %s uses it; detach it from that guest if it is "
			"not its own",
			host->name, path, user);
	if (virStorageVolDelete(volume, 0) < 0 && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
		return libvirt_error(host, error, "remove the volume");
	return 0;
}

int libvirt_remove_volume(struct hypervisor_host *base, const struct hypervisor_volume *volume, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	CLEANUP_POOL virStoragePoolPtr pool = NULL;
	CLEANUP_VOLUME virStorageVolPtr found = NULL;
	virStorageVolInfo info;
	int result = libvirt_connection_get(host, &connection, error);

	if (result == 0)
		result = find_pool(host, connection, volume->pool, &pool, error);
	if (result == 0)
		result = find_volume(host, pool, volume->name, &found, &info, error);
	return result <= 0 ? result : remove_unused(host, connection, found, error);
}
