/* Which guests a host knows, for discovery. Its difficulties: a guest may go between the list and the question, and is then
 * left out; and one that does not answer must not hold up the others. */
#include "server/worker/libvirt/inventory.h"

#include <jansson.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/libvirt/facts.h"
#include "server/worker/libvirt/xml.h"

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

/* As Nova writes it: 2026-01-02 03:04:05, UTC. 0: not known. */
static int64_t read_time(xmlXPathContextPtr context, const char *path)
{
	CLEANUP_FREE char *text = xml_text(context, path);
	int64_t time_us = 0;

	return text && time_parse(text, &time_us) ? time_us : 0;
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
	guest->created_us = read_time(context, NOVA "nova:creationTime");
}

static char *read_facts(const char *definition, const struct facts_host *host, int snapshot_count)
{
	json_t *facts = json_pack("{s:o, s:o}", "needs", facts_needs(definition, host), "obstacles",
				  facts_obstacles(definition, snapshot_count));
	char *text = facts ? json_dumps(facts, JSON_COMPACT) : NULL;

	json_decref(facts);
	return text;
}

/* What it says of itself; false when the definition cannot be read. */
static bool read_document(const char *definition, const struct facts_host *facts, int snapshot_count,
			  struct guest_facts *guest)
{
	CLEANUP_DOCUMENT xmlDocPtr document = xmlReadMemory(definition, (int)strlen(definition), NULL, NULL,
							    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	CLEANUP_CONTEXT xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;

	if (!context)
		return false;
	read_definition(context, guest);
	guest->facts = read_facts(definition, facts, snapshot_count);
	return guest->facts != NULL;
}

/* Nothing here waits for a guest's QEMU but the statistics of its job, which are not asked where it is busy. */
static int read_guest(struct libvirt_host *host, virDomainPtr domain, const struct facts_host *facts,
		      struct guest_facts *guest, struct error *error)
{
	struct libvirt_sighting seen;

	if (virDomainGetUUIDString(domain, guest->uuid) < 0)
		return libvirt_error(host, error, "read a guest's id");
	int result = libvirt_inspect(host, domain, &seen, error);

	if (result < 0)
		return result;
	guest->view = seen.view;
	guest->is_silent = seen.view.is_busy;
	guest->domain_name = strdup(virDomainGetName(domain));
	if (!guest->domain_name)
		return error_no_memory(error);
	CLEANUP_FREE char *definition = virDomainGetXMLDesc(domain, 0);

	if (!definition) {
		result = libvirt_error(host, error, "read a guest's definition");
		if (result == -EHOSTUNREACH || result == -ENOENT)
			return result;
		error_clear(error);
	}
	/* One guest that cannot be read is no reason to know nothing of the others. */
	if (!definition || !read_document(definition, facts, virDomainSnapshotNum(domain, 0), guest))
		guest->is_silent = true;
	return 0;
}

/* One that went between the list and the question. */
static void leave_out_last(struct guest_list *list)
{
	struct guest_facts *last = &list->items[list->count - 1];
	struct guest_list gone = { calloc(1, sizeof(*last)), 0 };

	list->count--;
	if (gone.items)
		gone.items[gone.count++] = *last;
	*last = (struct guest_facts){ 0 };
	guest_list_clear(&gone);
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
	CLEANUP_FREE char *capabilities = virConnectGetCapabilities(connection);
	CLEANUP_FACTS_HOST struct facts_host facts = { 0 };
	facts_host_read(capabilities, &facts);
	int count = virConnectListAllDomains(connection, &domains, 0);

	if (count < 0)
		return libvirt_error(host, error, "list the guests");
	list.items = calloc((size_t)count + 1, sizeof(*list.items));
	result = list.items ? 0 : error_no_memory(error);
	for (int i = 0; i < count; i++) {
		if (result == 0) {
			result = read_guest(host, domains[i], &facts, &list.items[list.count++], error);
			if (result == -ENOENT) {
				leave_out_last(&list);
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
