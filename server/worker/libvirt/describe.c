/* What a host has. Its difficulty: two storage pools may lie on one file system, whose room counts once. */
#include "server/worker/libvirt/inventory.h"

#include <jansson.h>
#include <libvirt/virterror.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/libvirt/cpu.h"
#include "server/worker/libvirt/disks.h"
#include "server/worker/libvirt/events.h"
#include "server/worker/libvirt/facts.h"
#include "server/worker/libvirt/volume.h"

#define GIB              (1024LL * 1024 * 1024)
#define MINUTE_US        (60 * 1000000LL)
#define FILE_SYSTEMS_MAX 64
#define POOLS_WITH_FOLDER                                                                                              \
	(VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE | VIR_CONNECT_LIST_STORAGE_POOLS_DIR                                    \
	 | VIR_CONNECT_LIST_STORAGE_POOLS_FS | VIR_CONNECT_LIST_STORAGE_POOLS_NETFS)

/* File systems seen, told apart by their size, which is all that libvirt tells of them. */
struct file_systems {
	unsigned long long capacities[FILE_SYSTEMS_MAX];
	size_t count;
	unsigned long long bytes;
};

static void count_file_system(struct file_systems *seen, unsigned long long capacity)
{
	for (size_t i = 0; i < seen->count; i++)
		if (seen->capacities[i] == capacity)
			return;
	if (seen->count < FILE_SYSTEMS_MAX)
		seen->capacities[seen->count++] = capacity;
	seen->bytes += capacity;
}

static int read_pools(struct libvirt_host *host, virConnectPtr connection, json_t *facts, int64_t *ret_disk_gb,
		      struct error *error)
{
	virStoragePoolPtr *pools = NULL;
	struct file_systems seen = { 0 };
	json_t *list = json_array();
	int count = virConnectListAllStoragePools(connection, &pools, POOLS_WITH_FOLDER);
	int result = count < 0 ? libvirt_error(host, error, "list the storage pools") : 0;

	for (int i = 0; i < count; i++) {
		CLEANUP_FREE char *folder = libvirt_pool_folder(pools[i]);
		virStoragePoolInfo info;

		/* One that went meanwhile is left out. */
		if (folder && virStoragePoolGetInfo(pools[i], &info) == 0) {
			count_file_system(&seen, info.capacity);
			json_array_append_new(
				list, json_pack("{s:s, s:s}", "name", virStoragePoolGetName(pools[i]), "path", folder));
		}
		virStoragePoolFree(pools[i]);
	}
	free(pools);
	json_object_set_new(facts, "pools", list);
	*ret_disk_gb = (int64_t)(seen.bytes / GIB);
	return result;
}

static void add_name(json_t *list, const char *kind, const char *name)
{
	json_array_append_new(list, json_sprintf("%s/%s", kind, name));
}

/* The host's NICs with the addresses that libvirt tells of them: by its netcf backend it does, by its udev one it does not. */
static void read_nics(virConnectPtr connection, json_t *facts)
{
	virInterfacePtr *interfaces = NULL;
	int count = virConnectListAllInterfaces(connection, &interfaces, 0);
	json_t *nics = json_object();

	for (int i = 0; i < count; i++) {
		const char *name = virInterfaceGetName(interfaces[i]);

		/* Those of guests come and go, and no stream goes over one. */
		if (!text_starts_with(name, "vnet") && !text_starts_with(name, "tap")) {
			CLEANUP_FREE char *text = virInterfaceGetXMLDesc(interfaces[i], 0);

			json_object_set_new(nics, name, facts_addresses(text ? text : ""));
		}
		virInterfaceFree(interfaces[i]);
	}
	free(interfaces);
	if (count >= 0)
		json_object_set(facts, "nics", nics);
	json_decref(nics);
}

/* Where interfaces of guests can plug in. A host whose interfaces libvirt cannot list offers what is not known. */
static void read_networks(virConnectPtr connection, json_t *offers)
{
	virInterfacePtr *interfaces = NULL;
	virNetworkPtr *networks = NULL;
	json_t *list = json_array();
	int interface_count = virConnectListAllInterfaces(connection, &interfaces, VIR_CONNECT_LIST_INTERFACES_ACTIVE);
	int network_count = virConnectListAllNetworks(connection, &networks, VIR_CONNECT_LIST_NETWORKS_ACTIVE);

	for (int i = 0; i < interface_count; i++) {
		add_name(list, "bridge", virInterfaceGetName(interfaces[i]));
		virInterfaceFree(interfaces[i]);
	}
	for (int i = 0; i < network_count; i++) {
		add_name(list, "network", virNetworkGetName(networks[i]));
		virNetworkFree(networks[i]);
	}
	free(interfaces);
	free(networks);
	if (interface_count >= 0 && network_count >= 0)
		json_object_set(offers, "networks", list);
	json_decref(list);
}

/* When the host was started, to the minute, by how long its CPUs have worked and been idle since; 0: it does not tell. Time
 * that a host above this one took from it is missing. */
static int64_t read_boot_time(virConnectPtr connection, unsigned int cpus)
{
	static const char *const parts[] = { VIR_NODE_CPU_STATS_KERNEL, VIR_NODE_CPU_STATS_USER,
					     VIR_NODE_CPU_STATS_IDLE, VIR_NODE_CPU_STATS_IOWAIT };
	virNodeCPUStats figures[16];
	int count = 0;
	unsigned long long worked_ns = 0;

	if (virNodeGetCPUStats(connection, VIR_NODE_CPU_STATS_ALL_CPUS, NULL, &count, 0) < 0 || count < 1
	    || count > (int)ARRAY_LENGTH(figures)
	    || virNodeGetCPUStats(connection, VIR_NODE_CPU_STATS_ALL_CPUS, figures, &count, 0) < 0 || cpus == 0)
		return 0;
	for (int i = 0; i < count; i++)
		for (size_t j = 0; j < ARRAY_LENGTH(parts); j++)
			if (text_equal(figures[i].field, parts[j]))
				worked_ns += figures[i].value;
	int64_t booted_us = clock_now_us(clock_system()) - (int64_t)(worked_ns / cpus / 1000);

	return (booted_us + MINUTE_US / 2) / MINUTE_US * MINUTE_US;
}

/* Of the control connection's far end. */
static char *read_address(const char *uri)
{
	const char *start = strstr(uri, "://");
	struct addrinfo *found = NULL;
	char name[256], address[NI_MAXHOST];

	if (!start)
		return NULL;
	start += 3;
	const char *user = strchr(start, '@');
	const char *slash = strchr(start, '/');
	if (user && (!slash || user < slash))
		start = user + 1;
	bool is_bracketed = *start == '[';
	start += is_bracketed;
	size_t length = strcspn(start, is_bracketed ? "]" : ":/?");
	if (length == 0 || length >= sizeof(name))
		return NULL;
	memcpy(name, start, length);
	name[length] = '\0';
	if (getaddrinfo(name, NULL, &(struct addrinfo){ .ai_socktype = SOCK_STREAM }, &found) != 0)
		return NULL;
	bool is_read =
		getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof(address), NULL, 0, NI_NUMERICHOST) == 0;
	freeaddrinfo(found);
	return is_read ? strdup(address) : NULL;
}

static int fill(struct libvirt_host *host, virConnectPtr connection, int64_t booted_us, struct host_facts *facts,
		struct error *error)
{
	CLEANUP_FREE char *capabilities = virConnectGetCapabilities(connection);

	if (!capabilities)
		return libvirt_error(host, error, "read its capabilities");
	libvirt_cpu_note_capabilities(host, connection, capabilities);
	json_t *cpu = facts_cpu_info(capabilities);
	json_t *offers = facts_offers(capabilities);
	json_t *json = json_object();
	int result = cpu && offers && json ? read_pools(host, connection, json, &facts->disk_gb, error)
					   : error_no_memory(error);

	if (result == 0) {
		read_networks(connection, offers);
		read_nics(connection, json);
		json_object_set(json, "arch", json_object_get(cpu, "arch"));
		json_object_set(json, "offers", offers);
		if (booted_us > 0)
			json_object_set_new(json, "booted_us", json_integer(booted_us));
		facts->facts = json_dumps(json, JSON_COMPACT);
		facts->cpu_info = json_dumps(cpu, JSON_COMPACT);
		facts->host_ip = read_address(host->uri);
		if (!facts->facts || !facts->cpu_info)
			result = error_no_memory(error);
	}
	json_decref(cpu);
	json_decref(offers);
	json_decref(json);
	return result;
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

	facts.vcpus = node.cpus;
	facts.memory_mb = (int64_t)(node.memory / 1024);
	facts.hypervisor_version = (int64_t)version;
	facts.hypervisor_type = strdup(type ? type : "QEMU");
	result = facts.hypervisor_type ? fill(host, connection, read_boot_time(connection, node.cpus), &facts, error)
				       : error_no_memory(error);
	if (result < 0)
		return result;
	*ret_facts = facts;
	facts = (struct host_facts){ 0 };
	return 0;
}
