/* Reading libvirt's documents by XPath. What a document does not say is left out, which refuses nobody. */
#include "server/worker/libvirt/facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/worker/libvirt/xml.h"

/* A document that cannot be read is an empty one. */
static xmlDocPtr parse(const char *text)
{
	xmlDocPtr document = xmlReadMemory(text, (int)strlen(text), NULL, NULL,
					   XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);

	return document ? document : xmlNewDoc((const xmlChar *)"1.0");
}

static xmlXPathObjectPtr select_nodes(xmlXPathContextPtr context, const char *path)
{
	return context ? xmlXPathEvalExpression((const xmlChar *)path, context) : NULL;
}

static int count_of(const xmlXPathObject *found)
{
	return found && found->nodesetval ? found->nodesetval->nodeNr : 0;
}

/* Heap; NULL when the path selects nothing or an empty text. */
static char *read_text(xmlXPathContextPtr context, const char *path)
{
	CLEANUP_OBJECT xmlXPathObjectPtr found = select_nodes(context, path);
	xmlChar *content = count_of(found) > 0 ? xmlNodeGetContent(found->nodesetval->nodeTab[0]) : NULL;
	char *text = content && *content ? strdup((const char *)content) : NULL;

	xmlFree(content);
	return text;
}

static json_t *number_of(xmlXPathContextPtr context, const char *path)
{
	CLEANUP_FREE char *text = read_text(context, path);
	int64_t number = 0;

	if (text)
		(void)text_to_int64(text, 0, INT64_MAX, &number);
	return json_integer(number);
}

static bool has_text(const json_t *list, const char *text)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (text_equal(json_string_value(json_array_get(list, i)), text))
			return true;
	return false;
}

/* PREFIX and the text of each node, each once. */
static void add_texts(json_t *list, xmlXPathContextPtr context, const char *path, const char *prefix)
{
	CLEANUP_OBJECT xmlXPathObjectPtr found = select_nodes(context, path);

	for (int i = 0; i < count_of(found); i++) {
		xmlChar *content = xmlNodeGetContent(found->nodesetval->nodeTab[i]);
		CLEANUP_FREE char *name = content ? text_format("%s%s", prefix, (const char *)content) : NULL;

		xmlFree(content);
		if (name && !has_text(list, name))
			json_array_append_new(list, json_string(name));
	}
}

json_t *facts_cpu_info(const char *capabilities)
{
	CLEANUP_DOCUMENT xmlDocPtr document = parse(capabilities);
	CLEANUP_CONTEXT xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	CLEANUP_FREE char *arch = read_text(context, "/capabilities/host/cpu/arch");
	CLEANUP_FREE char *model = read_text(context, "/capabilities/host/cpu/model");
	CLEANUP_FREE char *vendor = read_text(context, "/capabilities/host/cpu/vendor");
	json_t *features = json_array();

	add_texts(features, context, "/capabilities/host/cpu/feature/@name", "");
	return json_pack("{s:s*, s:s*, s:s*, s:{s:o, s:o, s:o, s:o}, s:o}", "arch", arch, "model", model, "vendor",
			 vendor, "topology", "cells", number_of(context, "/capabilities/host/topology/cells/@num"),
			 "sockets", number_of(context, "/capabilities/host/cpu/topology/@sockets"), "cores",
			 number_of(context, "/capabilities/host/cpu/topology/@cores"), "threads",
			 number_of(context, "/capabilities/host/cpu/topology/@threads"), "features", features);
}

char *facts_host_cpu(const char *capabilities)
{
	CLEANUP_DOCUMENT xmlDocPtr document = parse(capabilities);
	CLEANUP_CONTEXT xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	CLEANUP_FREE char *model = read_text(context, "/capabilities/host/cpu/model");
	CLEANUP_FREE char *vendor = read_text(context, "/capabilities/host/cpu/vendor");

	return model && vendor ? text_format("%s/%s", vendor, model) : NULL;
}

json_t *facts_addresses(const char *interface)
{
	CLEANUP_DOCUMENT xmlDocPtr document = parse(interface);
	CLEANUP_CONTEXT xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	json_t *addresses = json_array();

	add_texts(addresses, context, "/interface/protocol/ip/@address", "");
	return addresses;
}

/* Of one architecture: its domain types, and its machine types with their aliases. */
static void add_arch(json_t *types, json_t *machines, xmlXPathContextPtr context, xmlNodePtr arch)
{
	xmlChar *name = xmlGetNoNsProp(arch, (const xmlChar *)"name");
	CLEANUP_FREE char *prefix = name ? text_format("%s/", (const char *)name) : NULL;

	xmlFree(name);
	if (!prefix)
		return;
	context->node = arch;
	add_texts(types, context, "domain/@type", prefix);
	add_texts(machines, context, ".//machine", prefix);
	add_texts(machines, context, ".//machine/@canonical", prefix);
	context->node = NULL;
}

json_t *facts_offers(const char *capabilities)
{
	CLEANUP_DOCUMENT xmlDocPtr document = parse(capabilities);
	CLEANUP_CONTEXT xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	CLEANUP_OBJECT xmlXPathObjectPtr found = select_nodes(context, "/capabilities/guest[os_type='hvm']/arch");
	CLEANUP_FREE char *host_cpu = facts_host_cpu(capabilities);
	json_t *offers = json_object();
	json_t *types = json_array();
	json_t *machines = json_array();

	for (int i = 0; i < count_of(found); i++)
		add_arch(types, machines, context, found->nodesetval->nodeTab[i]);
	if (json_array_size(types) > 0) {
		json_object_set(offers, "guest_types", types);
		json_object_set(offers, "machines", machines);
	}
	json_decref(types);
	json_decref(machines);
	if (host_cpu)
		json_object_set_new(offers, "host_cpu", json_pack("[s]", host_cpu));
	return offers;
}

static void add_named(json_t *needs, const char *key, const char *first, const char *second)
{
	CLEANUP_FREE char *name = first && second ? text_format("%s/%s", first, second) : NULL;

	if (name)
		json_object_set_new(needs, key, json_pack("[s]", name));
}

/* "0-3,^2,8": the highest number in it. */
static int64_t highest_cpu(const char *set)
{
	int64_t highest = -1;

	for (const char *at = set; *at;) {
		char *end = NULL;
		long number = strtol(at, &end, 10);

		if (end == at) {
			at++;
			continue;
		}
		if (number > highest)
			highest = number;
		at = *end == '-' ? end + 1 : end;
	}
	return highest;
}

static void add_pinning(json_t *needs, xmlXPathContextPtr context)
{
	json_t *sets = json_array();
	int64_t highest = -1;

	add_texts(sets, context, "/domain/cputune/vcpupin/@cpuset | /domain/vcpu/@cpuset", "");
	for (size_t i = 0; i < json_array_size(sets); i++) {
		int64_t in_set = highest_cpu(json_string_value(json_array_get(sets, i)));

		highest = in_set > highest ? in_set : highest;
	}
	json_decref(sets);
	if (highest >= 0)
		json_object_set_new(needs, "highest_pinned_cpu", json_integer(highest));
}

/* Any other CPU is compared by the target's hypervisor (cpu.h). */
static void add_cpu(json_t *needs, xmlXPathContextPtr context, const char *host_cpu)
{
	CLEANUP_FREE char *mode = read_text(context, "/domain/cpu/@mode");

	if (host_cpu && text_equal(mode, "host-passthrough"))
		json_object_set_new(needs, "host_cpu", json_pack("[s]", host_cpu));
}

void facts_host_read(const char *capabilities, struct facts_host *ret_host)
{
	CLEANUP_DOCUMENT xmlDocPtr document = parse(capabilities ? capabilities : "");
	CLEANUP_CONTEXT xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	CLEANUP_OBJECT xmlXPathObjectPtr found = select_nodes(context, "/capabilities/guest[os_type='hvm']/arch");

	*ret_host = (struct facts_host){ .cpu = facts_host_cpu(capabilities ? capabilities : ""),
					 .emulators = json_array() };
	for (int i = 0; i < count_of(found); i++) {
		context->node = found->nodesetval->nodeTab[i];
		CLEANUP_FREE char *arch = read_text(context, "@name");
		if (arch)
			add_texts(ret_host->emulators, context, ".//emulator", arch);
	}
}

void facts_host_clear(struct facts_host *host)
{
	free(host->cpu);
	json_decref(host->emulators);
	*host = (struct facts_host){ 0 };
}

/* What libvirt is not told, it takes from its default emulator. */
static bool has_default_emulator(xmlXPathContextPtr context, const struct facts_host *host, const char *arch)
{
	CLEANUP_FREE char *emulator = read_text(context, "/domain/devices/emulator");
	CLEANUP_FREE char *name = emulator && arch ? text_format("%s%s", arch, emulator) : NULL;

	return !name || json_array_size(host->emulators) == 0 || has_text(host->emulators, name);
}

json_t *facts_needs(const char *definition, const struct facts_host *host)
{
	CLEANUP_DOCUMENT xmlDocPtr document = parse(definition);
	CLEANUP_CONTEXT xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	CLEANUP_FREE char *type = read_text(context, "/domain/@type");
	CLEANUP_FREE char *arch = read_text(context, "/domain/os/type/@arch");
	CLEANUP_FREE char *machine = read_text(context, "/domain/os/type/@machine");
	json_t *needs = json_object();
	json_t *networks = json_array();

	if (has_default_emulator(context, host, arch)) {
		add_named(needs, "guest_types", arch, type);
		add_named(needs, "machines", arch, machine);
	}
	add_cpu(needs, context, host->cpu);
	add_texts(networks, context, "/domain/devices/interface[@type='bridge']/source/@bridge", "bridge/");
	add_texts(networks, context, "/domain/devices/interface[@type='direct']/source/@dev", "bridge/");
	add_texts(networks, context, "/domain/devices/interface[@type='network']/source/@network", "network/");
	json_object_set_new(needs, "networks", networks);
	add_pinning(needs, context);
	return needs;
}

/* Each row: what stands in the way, and the text that names which. */
static const struct {
	const char *path;
	const char *words;
} obstacles[] = {
	{ "/domain/devices/hostdev", "a device of its host" },
	{ "/domain/devices/interface[@type='hostdev']", "a network device of its host" },
	{ "/domain/devices/tpm[backend/@type='emulator']", "an emulated TPM, whose state stays on its host" },
	{ "/domain/devices/tpm[backend/@type='passthrough']", "its host's TPM" },
	{ "/domain/devices/disk[@device='cdrom'][source/@file or source/@dev]",
	  "a CD-ROM whose medium lies on its host" },
	{ "/domain/devices/disk[@device='floppy'][source/@file or source/@dev]", "a floppy disk of its host" },
	{ "/domain/devices/filesystem", "a folder of its host" },
	{ "/domain/devices/shmem", "memory that it shares with others on its host" },
	{ "/domain/devices/memory[@model='nvdimm']", "a memory file of its host" },
	{ "/domain/os/kernel", "a kernel file of its host" },
	{ "/domain/os/initrd", "an initial RAM disk file of its host" },
};

json_t *facts_obstacles(const char *definition, int snapshot_count)
{
	CLEANUP_DOCUMENT xmlDocPtr document = parse(definition);
	CLEANUP_CONTEXT xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LENGTH(obstacles); i++) {
		CLEANUP_OBJECT xmlXPathObjectPtr found = select_nodes(context, obstacles[i].path);

		if (count_of(found) > 0)
			json_array_append_new(list, json_string(obstacles[i].words));
	}
	if (snapshot_count > 0)
		json_array_append_new(list, json_sprintf("%d snapshots, which stay on its host", snapshot_count));
	return list;
}
