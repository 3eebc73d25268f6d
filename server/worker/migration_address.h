/* Where the live migrations to a host go: the address of the NIC that the operator named, the host's own address, the one that
 * Nova's live_migration_inbound_addr makes, or whatever the target's libvirt chooses. Pure. */
#pragma once

struct db_host;
struct error;
struct worker_settings;

/* *ret_address: heap, the caller's; NULL: the target's libvirt chooses. -ENODEV: the operator named a NIC that the host has
 * not, or of which no address is known; the error says which and what to do. -ENOMEM. */
int migration_address_find(const struct db_host *host, const struct worker_settings *settings, char **ret_address,
			   struct error *error);
