/* The libvirt driver over libvirt's own test driver, whose hosts with the URI test:///default are one within a process; and how a
 * test replaces a call of libvirt's: by a function of the same name, which may ask the real one. Include cmocka.h before it. */
#pragma once

#include <libvirt/libvirt.h>

#include "base/error.h"
#include "server/worker/hypervisor.h"

#define LIBVIRT_GUEST "11111111-2222-4333-8444-555555555555"
#define LIBVIRT_POOL  "default-pool" /* of the test driver's host: 100 GiB, in /default-pool */

/* The host as the driver sees it, named one, and as the test does. */
struct libvirt_fixture {
	virConnectPtr connection;
	struct hypervisor *driver;
	struct hypervisor_host *host;
	struct error error;
};

/* `fixture` has the caller's values; fails the test where something does not work. `connect_timeout_s`: of the driver. */
void libvirt_fixture_begin(struct libvirt_fixture *fixture, int connect_timeout_s);
void libvirt_fixture_end(struct libvirt_fixture *fixture);
struct hypervisor_host *libvirt_fixture_open(struct libvirt_fixture *fixture, const char *name, const char *uri);

/* Beside the fixture's host a source of its own, named two, whose pool of the same name has the volume one, of 64 KiB. */
struct libvirt_two_hosts {
	struct libvirt_fixture fixture;
	struct hypervisor_host *source;
	char folder[32], node[64];
};

void libvirt_two_hosts_begin(struct libvirt_two_hosts *hosts);
void libvirt_two_hosts_end(struct libvirt_two_hosts *hosts);

/* A guest's definition with these devices (heap, the caller's). */
char *libvirt_guest_definition(const char *uuid, const char *devices);
/* libvirt's own call of that name; `ret_function` points to a pointer to a function. */
void libvirt_find_real(const char *name, void *ret_function);
