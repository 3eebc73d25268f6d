/* What a host has and which guests it knows, for discovery. Its difficulty: a guest may go between the list and the
 * question; it is then left out. */
#include "server/worker/libvirt/inventory.h"

#include <jansson.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/libvirt/disks.h"
#include "server/worker/libvirt/events.h"

static char *xml_text(xmlXPathContextPtr context, const char *path)
{
	CLEANUP_FREE char *expression = text_format("string(%s)", path);
	xmlXPathObjectPtr found = expression ? xmlXPathEvalExpression((const xmlChar *)expression, context) : NULL;
	char *text = found && found->stringval && *found->stringval ? strdup((const char *)found->stringval) : NULL;

	xmlXPathFreeObject(found);
	return text;
}

static int64_t xml_number(xmlXPathContextPtr context, const char *path)
{
	CLEANUP_FREE char *text = xml_text(context, path);
	int64_t number = 0;

	if (text)
		(void)text_to_int64(text, 0, INT64_MAX, &number);
	return number;
}

#define NOVA "/domain/metadata/nova:instance/"

static void read_definition(xmlXPathContextPtr context, struct guest_facts *guest)
{
	xmlXPathRegisterNs(context, (const xmlChar *)"nova",
			   (const xmlChar *)"http://openstack.org/xmlns/libvirt/nova/1.1");
	guest->name = xml_text(context, NOVA "nova:name");
	guest->flavor_name = xml_text(context, NOVA "nova:flavor/@name");
	guest->project_id = xml_text(context, NOVA "nova:owner/nova:project/@uuid");
	guest->user_id = xml_text(context, NOVA "nova:owner/nova:user/@uuid");
	guest->image_id = xml_text(context, NOVA "nova:root[@type='image']/@uuid");
	guest->flavor_memory_mb = xml_number(context, NOVA "nova:flavor/nova:memory");
	guest->flavor_vcpus = xml_number(context, NOVA "nova:flavor/nova:vcpus");
	guest->flavor_disk_gb = xml_number(context, NOVA "nova:flavor/nova:disk");
	guest->flavor_ephemeral_gb = xml_number(context, NOVA "nova:flavor/nova:ephemeral");
	guest->flavor_swap_mb = xml_number(context, NOVA "nova:flavor/nova:swap");
	guest->memory_mb = xml_number(context, "/domain/memory") / 1024; /* libvirt prints KiB */
	guest->vcpus = xml_number(context, "/domain/vcpu");
	guest->root_device = xml_text(context, "/domain/devices/disk[@device='disk'][1]/target/@dev");
	CLEANUP_FREE char *arch = xml_text(context, "/domain/os/type/@arch");
	CLEANUP_FREE char *machine = xml_text(context, "/domain/os/type/@machine");
	json_t *facts = json_pack("{s:s*, s:s*}", "arch", arch, "machine", machine);

	guest->facts = facts ? json_dumps(facts, JSON_COMPACT) : NULL;
	json_decref(facts);
}

static int read_guest(struct libvirt_host *host, virDomainPtr domain, struct guest_facts *guest, struct error *error)
{
	if (virDomainGetUUIDString(domain, guest->uuid) < 0)
		return libvirt_error(host, error, "read a guest's id");
	int result = libvirt_look(&host->base, guest->uuid, &guest->view, error);

	if (result < 0)
		return result;
	if (guest->view.state == GUEST_ABSENT)
		return -ENOENT;
	char *definition = virDomainGetXMLDesc(domain, 0);

	if (!definition)
		return libvirt_error(host, error, "read a guest's definition");
	xmlDocPtr document = xmlReadMemory(definition, (int)strlen(definition), NULL, NULL,
					   XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;

	if (context)
		read_definition(context, guest);
	xmlXPathFreeContext(context);
	xmlFreeDoc(document);
	free(definition);
	guest->domain_name = strdup(virDomainGetName(domain));
	if (!guest->domain_name || !guest->facts)
		return error_set(error, EIO, "host %s: cannot read the definition of %s", host->name, guest->uuid);
	return 0;
}

int libvirt_list_guests(struct hypervisor_host *base, struct guest_list *ret_guests, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	CLEANUP_GUESTS struct guest_list list = { 0 };
	virDomainPtr *domains = NULL;
	int result = libvirt_connection_get(host, &connection, error);

	if (result < 0)
		return result;
	int count = virConnectListAllDomains(connection, &domains, 0);

	if (count < 0)
		return libvirt_error(host, error, "list the guests");
	list.items = calloc((size_t)count + 1, sizeof(*list.items));
	result = list.items ? 0 : error_no_memory(error);
	for (int i = 0; i < count; i++) {
		if (result == 0) {
			result = read_guest(host, domains[i], &list.items[list.count++], error);
			if (result == -ENOENT) {
				struct guest_list gone = { calloc(1, sizeof(*gone.items)), 1 };

				if (gone.items)
					gone.items[0] = list.items[--list.count];
				list.items[list.count] = (struct guest_facts){ 0 };
				gone.count = gone.items ? 1 : 0;
				guest_list_clear(&gone);
				error_clear(error);
				result = 0;
			}
		}
		virDomainFree(domains[i]);
	}
	free(domains);
	if (result < 0)
		return result;
	*ret_guests = list;
	list = (struct guest_list){ 0 };
	return 0;
}

int libvirt_describe(struct hypervisor_host *base, struct host_facts *ret_facts, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	CLEANUP_HOST_FACTS struct host_facts facts = { 0 };
	virNodeInfo node;
	unsigned long version = 0;
	int result = libvirt_connection_get(host, &connection, error);

	if (result < 0)
		return result;
	if (virNodeGetInfo(connection, &node) < 0 || virConnectGetVersion(connection, &version) < 0)
		return libvirt_error(host, error, "read what the host has");
	result = libvirt_listen(host, connection, error);
	if (result < 0)
		return result;
	if (!host->is_swept)
		libvirt_sweep_markers(host, connection);
	host->is_swept = true;
	const char *type = virConnectGetType(connection);
	json_t *json = json_pack("{s:s}", "arch", node.model);

	facts.vcpus = node.cpus;
	facts.memory_mb = (int64_t)(node.memory / 1024);
	facts.hypervisor_version = (int64_t)version;
	facts.hypervisor_type = strdup(type ? type : "QEMU");
	facts.facts = json ? json_dumps(json, JSON_COMPACT) : NULL;
	facts.cpu_info = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	if (!facts.hypervisor_type || !facts.facts || !facts.cpu_info)
		return error_no_memory(error);
	*ret_facts = facts;
	facts = (struct host_facts){ 0 };
	return 0;
}
