/* Volumes of a host's storage pools. What is gone already is no error. */
#include "server/worker/libvirt/volume.h"

#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

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
	int64_t id = 0;
	int result = journal->begin(journal->context, virStoragePoolGetName(pool), name, &id, error);

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

/* Also as what a disk rests upon. */
static bool names_file(char *definition, const char *file)
{
	xmlDocPtr document = definition ? xmlReadMemory(definition, (int)strlen(definition), NULL, NULL,
							XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)
					: NULL;
	xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	xmlXPathObjectPtr found =
		context ? xmlXPathEvalExpression((const xmlChar *)"/domain/devices/disk//source/@file", context) : NULL;
	bool is_named = false;

	for (int i = 0; found && found->nodesetval && i < found->nodesetval->nodeNr; i++) {
		xmlChar *name = xmlNodeGetContent(found->nodesetval->nodeTab[i]);

		is_named = is_named || (name && text_equal((const char *)name, file));
		xmlFree(name);
	}
	xmlXPathFreeObject(found);
	xmlXPathFreeContext(context);
	xmlFreeDoc(document);
	free(definition);
	return is_named;
}

int libvirt_find_user(struct libvirt_host *host, virConnectPtr connection, const char *path, const char *except_uuid,
		      char **ret_name, struct error *error)
{
	virDomainPtr *domains = NULL;
	char *name = NULL;
	int count = virConnectListAllDomains(connection, &domains, 0);

	if (count < 0)
		return libvirt_error(host, error, "see which guests use a disk");
	for (int i = 0; i < count; i++) {
		char uuid[VIR_UUID_STRING_BUFLEN] = "";

		virDomainGetUUIDString(domains[i], uuid);
		/* What it runs with, and what it will start with. */
		if (!name && !text_equal(uuid, except_uuid)
		    && (names_file(virDomainGetXMLDesc(domains[i], 0), path)
			|| names_file(virDomainGetXMLDesc(domains[i], VIR_DOMAIN_XML_INACTIVE), path)))
			name = strdup(virDomainGetName(domains[i]));
		virDomainFree(domains[i]);
	}
	free(domains);
	*ret_name = name;
	return 0;
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
	if (result < 0 || user)
		return result;
	if (virStorageVolDelete(volume, 0) < 0 && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
		return libvirt_error(host, error, "remove the volume");
	return 0;
}

int libvirt_remove_disks(struct hypervisor_host *host, const struct hypervisor_volume *volumes, size_t count,
			 struct error *error)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < count; i++)
		result = libvirt_remove_volume(host, volumes[i].pool, volumes[i].name, error);
	return result;
}

int libvirt_remove_volume(struct hypervisor_host *base, const char *pool_name, const char *name, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	int result = libvirt_connection_get(host, &connection, error);

	if (result < 0)
		return result;
	CLEANUP_POOL virStoragePoolPtr pool = virStoragePoolLookupByName(connection, pool_name);
	if (!pool)
		return libvirt_error(host, error, "find the storage pool");
	/* A pool knows only what it saw: a file that came by itself is found after a refresh. */
	CLEANUP_VOLUME virStorageVolPtr volume = virStorageVolLookupByName(pool, name);
	if (!volume && virStoragePoolRefresh(pool, 0) == 0)
		volume = virStorageVolLookupByName(pool, name);
	if (!volume && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
		return libvirt_error(host, error, "find the volume");
	return volume ? remove_unused(host, connection, volume, error) : 0;
}
