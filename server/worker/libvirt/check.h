/* Pre-checks of the libvirt driver: see hypervisor.h for what each operation answers. */
#pragma once

#include "server/worker/libvirt/internal.h"

int libvirt_check_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		       const struct live_options *options, struct check_result *ret_check, struct error *error);
int libvirt_check_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		       struct check_result *ret_check, struct error *error);
