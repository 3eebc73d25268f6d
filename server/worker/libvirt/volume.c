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
	if (volume && virStorageVolDelete(volume, 0) < 0 && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
		return libvirt_error(host, error, "remove the volume");
	return 0;
}
