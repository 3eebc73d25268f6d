/* What libvirt's documents say of hosts and guests, in the names that the scheduler compares (see hypervisor.h, `offers` and
 * `needs`). Pure; no host is asked. */
#pragma once

#include <jansson.h>

#include "base/cleanup.h"

/* The host's own CPU, as cpu_info of os-hypervisors has it: arch, model, vendor, topology, features. NULL: out of memory. */
json_t *facts_cpu_info(const char *capabilities);
/* Vendor and model as one name (heap, the caller's); NULL when libvirt does not tell them. */
char *facts_host_cpu(const char *capabilities);
/* The addresses of one of the host's interfaces, as a list of texts; NULL: out of memory. */
json_t *facts_addresses(const char *interface);
/* guest_types, machines, host_cpu; NULL: out of memory. */
json_t *facts_offers(const char *capabilities);
/* What the needs of a host's guests are read with. */
struct facts_host {
	char *cpu; /* as facts_host_cpu; NULL: not known */
	json_t *emulators; /* whose guest types and machines the capabilities tell: "x86_64/usr/bin/qemu-system-x86_64" */
};

void facts_host_read(const char *capabilities, struct facts_host *ret_host); /* NULL: nothing is known */
void facts_host_clear(struct facts_host *host);
#define CLEANUP_FACTS_HOST CLEANUP(facts_host_clear)

/* Of a guest of the host. A guest with an emulator of its own needs no guest type or machine type by name, since hosts tell
 * only those of their default emulators: the check before a move asks for that emulator. NULL: out of memory. */
json_t *facts_needs(const char *definition, const struct facts_host *host);
/* What keeps the guest from moving anywhere, as sentences' ends: "the host device 0000:03:00.0". NULL: out of memory. */
json_t *facts_obstacles(const char *definition, int snapshot_count);
