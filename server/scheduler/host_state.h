/* The hosts as the scheduler sees them: plain numbers in one contiguous array, so that a pass over 10,000 hosts is one
 * loop. What is not a number (machine types, networks, storage, CPU) is mostly equal on hosts bought together: equal
 * collections of names are kept once, and a request is held against each collection once, not against each host.
 *
 *     struct host_table *table = host_table_create();
 *     struct host_state state = HOST_STATE_DEFAULT;
 *     state.id = row->id; state.name = row->name; state.is_up = true; state.memory_mb_total = row->memory_mb; ...
 *     const char *const bridges[] = { "bridge/br-int" };
 *     struct host_offers facts = { 0 };
 *     facts.sets[HOST_SET_NETWORKS] = (struct name_list){ bridges, 1, .is_known = true };
 *     host_table_put(table, &state, &facts, error);
 *
 * Not thread-safe: whoever owns the table locks around reading, choosing and changing it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/* What hosts offer by name and guests ask for by name. A guest fits when each name that it asks for is offered. */
enum host_set {
	HOST_SET_HYPERVISORS, /* "QEMU" */
	HOST_SET_GUEST_TYPES, /* architecture and domain type: "x86_64/kvm", "x86_64/qemu" */
	HOST_SET_MACHINES, /* architecture and canonical machine type: "x86_64/pc-q35-7.2" (aliases too) */
	HOST_SET_HOST_CPU, /* the host's own CPU, vendor and model, one name: "Intel/Skylake-Server"; asked for by
			    * guests with host-passthrough in a live migration. Other CPUs are no matter of names: the
			    * target's hypervisor compares them in the pre-check */
	HOST_SET_NETWORKS, /* where guests' interfaces plug in: "bridge/br-int", "network/default" */
	HOST_SET_POOLS, /* storage: any id that is equal exactly where the storage is the same one (marker volume) */
	HOST_SET_COUNT
};

/* A collection of names in any order. One that is not known (discovery could not read it) refuses nobody: the
 * pre-checks on the hypervisor decide then. One that is known and empty refuses whoever asks for something. */
struct name_list {
	const char *const *names;
	size_t count;
	bool is_known; /* host_offers only */
};

struct host_offers {
	struct name_list sets[HOST_SET_COUNT];
};

/* Used numbers include claims. */
struct host_state {
	int64_t id; /* of the hosts' table */
	const char *name; /* the table's copy; not read in the loop */
	const char *disabled_reason; /* the table's copy, NULL when none; not read in the loop */
	const char *no_address_reason; /* why there is none for live migrations; as above */
	bool is_up; /* answers; the service's own state */
	bool is_disabled;
	bool is_forced_down;
	bool has_migration_address; /* an address that live migrations to this host can use */
	uint32_t sets[HOST_SET_COUNT]; /* filled by the table: numbers of its collections */
	int64_t hypervisor_version; /* 7002000 is 7.2.0 */
	int64_t vcpus_total;
	int64_t vcpus_used;
	int64_t memory_mb_total;
	int64_t memory_mb_used; /* without the reservation */
	int64_t memory_mb_reserved; /* -1: the scheduler's setting */
	int64_t disk_mb_total;
	int64_t disk_mb_used; /* without the reservation */
	int64_t disk_mb_reserved; /* -1: the scheduler's setting */
	double cpu_allocation_ratio; /* 0: the scheduler's setting; the two below too */
	double ram_allocation_ratio;
	double disk_allocation_ratio;
	int64_t num_io_ops; /* moves under way from and to it */
	int64_t num_instances;
	int64_t failed_migrations; /* to it since the last that went well: Nova's failed_builds */
};

#define HOST_STATE_DEFAULT                                                                                             \
	((struct host_state){ .memory_mb_reserved = -1, .disk_mb_reserved = -1, .has_migration_address = true })

/* What claims and servers take; for the frequent narrow change. */
struct host_usage {
	int64_t vcpus;
	int64_t memory_mb;
	int64_t disk_mb;
	int64_t num_io_ops;
	int64_t num_instances;
};

struct host_table;

struct host_table *host_table_create(void); /* NULL when out of memory */
void host_table_destroy(struct host_table *table);

/* Inserts the host or replaces the one with that id; everything is copied. NULL facts: those that it has, else none
 * known. -EINVAL without id or name, -EEXIST when another id has the name, -ENOMEM: nothing changed. */
int host_table_put(struct host_table *table, const struct host_state *state, const struct host_offers *facts,
		   struct error *error);
void host_table_remove(struct host_table *table, int64_t id); /* none there is fine */
/* False when there is no such host. */
bool host_table_set_usage(struct host_table *table, int64_t id, const struct host_usage *usage);

/* All, by id ascending. Pointers are good until the next change. */
const struct host_state *host_table_states(const struct host_table *table, size_t *ret_count);
const struct host_state *host_table_by_id(const struct host_table *table, int64_t id); /* NULL: none */
const struct host_state *host_table_by_name(const struct host_table *table, const char *name); /* NULL: none */

/* The table's collections of one sort are numbered from 0 (which is: not known); some numbers may be out of use. A
 * collection's names are sorted by strcmp. */
size_t host_table_set_count(const struct host_table *table, enum host_set set);
const struct name_list *host_table_set(const struct host_table *table, enum host_set set, uint32_t number);

/* Memory for one choice, kept between choices (a fresh megabyte for each would cost more than the choice itself): `bytes`
 * bytes of undefined content, aligned for any number, good until the next call. NULL when out of memory. */
void *host_table_scratch(struct host_table *table, size_t bytes);
