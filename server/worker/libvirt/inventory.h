/* Discovery by libvirt: see hypervisor.h for what each operation answers. */
#pragma once

#include "server/worker/libvirt/internal.h"

int libvirt_list_guests(struct hypervisor_host *base, struct guest_list *ret_guests, struct error *error);
int libvirt_describe(struct hypervisor_host *base, struct host_facts *ret_facts, struct error *error);
