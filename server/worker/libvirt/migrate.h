/* Live migration by libvirt: see hypervisor.h for what each operation answers. */
#pragma once

#include "server/worker/libvirt/internal.h"

int libvirt_prepare_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			 const struct live_options *options, bool copies_disks, const struct volume_journal *journal,
			 struct error *error);
int libvirt_migrate_live(struct hypervisor_host *source_base, struct hypervisor_host *target_base, const char *uuid,
			 const struct live_options *options, bool copies_disks, struct error *error);
int libvirt_progress(struct hypervisor_host *source, const char *uuid, struct move_progress *ret_progress,
		     struct error *error);
int libvirt_completed(struct hypervisor_host *target, const char *uuid, struct move_progress *ret_progress,
		      struct error *error);
int libvirt_adjust(struct hypervisor_host *source, const char *uuid, enum move_adjustment adjustment, int64_t value,
		   struct error *error);
