/* Pre-checks of the libvirt driver: see hypervisor.h for what each operation answers. */
#pragma once

#include "server/worker/libvirt/internal.h"

int libvirt_check_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		       const struct live_options *options, struct check_result *ret_check, struct error *error);
int libvirt_check_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		       struct check_result *ret_check, struct error *error);
/* 1: every disk file that the definition names on `one` is seen by `other` too, proven by a marker volume made beside it;
 * 0: at least one is not, its path in `error`. Negative: it could not be found out. */
int libvirt_prove_shared(struct libvirt_host *one, struct libvirt_host *other, const char *definition,
			 struct error *error);
