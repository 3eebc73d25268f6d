/* The libvirt driver behind the hypervisor port. */
#pragma once

struct error;
struct hypervisor;
struct hypervisor_settings;
struct log;

/* `settings` and `log` outlive the driver; released by its operation `destroy`, after every host was closed.
 * One driver a process: libvirt's event loop is the process's. */
int libvirt_driver_create(const struct hypervisor_settings *settings, const char *node, struct log *log,
			  struct hypervisor **ret_hypervisor, struct error *error);
