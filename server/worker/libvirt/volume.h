/* Volumes by libvirt: see hypervisor.h. */
#pragma once

#include "server/worker/libvirt/internal.h"

int libvirt_remove_volume(struct hypervisor_host *base, const char *pool_name, const char *name, struct error *error);
