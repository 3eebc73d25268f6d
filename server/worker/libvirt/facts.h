/* What libvirt's documents say of hosts and guests, in the names that the scheduler compares (see hypervisor.h, `offers` and
 * `needs`). Pure; no host is asked. */
#pragma once

#include <jansson.h>

/* The host's own CPU, as cpu_info of os-hypervisors has it: arch, model, vendor, topology, features. NULL: out of memory. */
json_t *facts_cpu_info(const char *capabilities);
/* Vendor and model as one name (heap, the caller's); NULL when libvirt does not tell them. */
char *facts_host_cpu(const char *capabilities);
/* The addresses of one of the host's interfaces, as a list of texts; NULL: out of memory. */
json_t *facts_addresses(const char *interface);
/* guest_types, machines, host_cpu; NULL: out of memory. */
json_t *facts_offers(const char *capabilities);
/* `host_cpu` is of the host that it stands on; NULL: not known. NULL: out of memory. */
json_t *facts_needs(const char *definition, const char *host_cpu);
/* What keeps the guest from moving anywhere, as sentences' ends: "the host device 0000:03:00.0". NULL: out of memory. */
json_t *facts_obstacles(const char *definition, int snapshot_count);
