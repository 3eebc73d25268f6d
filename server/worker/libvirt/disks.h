/* The disks of a guest, as two hosts see them: which both reach, and where on the target those lie that only the source has.
 * A private disk keeps the names of its pool and its volume on the target; only the pool's folder may be another. */
#pragma once

#include "server/worker/libvirt/internal.h"

struct guest_disk {
	char *device; /* vda */
	char *path; /* on the host whose definition it is */
	char *pool; /* its storage pool's name there */
	char *volume; /* its name in that pool */
	char *other_path; /* where the other host has it, or will; NULL: the other host has no such pool */
	bool is_shared; /* proven by a marker volume */
	bool is_for_several; /* marked shareable or read-only: other guests may use it, too */
};

struct guest_disks {
	struct guest_disk *items;
	size_t count;
	size_t private_count;
};

void guest_disks_clear(struct guest_disks *disks);
#define CLEANUP_DISKS CLEANUP(guest_disks_clear)

/* Every file that the definition of `one` names as a disk. -ECANCELED when a disk lies in no pool of `one`, or is neither a
 * file nor reached over the network. */
int libvirt_disks_find(struct libvirt_host *one, struct libvirt_host *other, const char *definition,
		       struct guest_disks *ret_disks, struct error *error);
/* The definition with the paths of the other host (heap, the caller's). */
int libvirt_disks_rewrite(const struct guest_disks *disks, const char *definition, char **ret_definition,
			  struct error *error);
/* Makes the private disks of a running guest on the target, empty and of the same size, each recorded before. */
int libvirt_disks_make(struct libvirt_host *source, struct libvirt_host *target, const struct guest_disks *disks,
		       const struct volume_journal *journal, struct error *error);

/* Removes the marker volumes that an earlier run of this node left behind. */
void libvirt_sweep_markers(struct libvirt_host *host, virConnectPtr connection);

/* hypervisor.h's copy_cold. */
int libvirt_copy_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *definition,
		      const struct volume_journal *journal, bool (*is_cancelled)(void *context), void *context,
		      char **ret_definition, struct error *error);
