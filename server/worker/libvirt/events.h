/* libvirt's events, as hypervisor.h's watch gives them on. */
#pragma once

#include "server/worker/libvirt/internal.h"

void libvirt_watch(struct hypervisor *self, hypervisor_event_fn on_event, void *context);
/* Listens on the host's connection, which was just looked at; once for each connection. */
int libvirt_listen(struct libvirt_host *host, virConnectPtr connection, struct error *error);
/* Before the host's connection is closed, with its mutex held: who listens would keep it alive. */
void libvirt_stop_listening(struct libvirt_host *host);
