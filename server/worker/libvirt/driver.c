/* The driver's object: its table of operations, its hosts and the thread of libvirt's event loop. */
#include "server/worker/libvirt/driver.h"
#include "server/worker/libvirt/check.h"
#include "server/worker/libvirt/cpu.h"

#include <ctype.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "base/uuid.h"
#include "server/settings.h"
#include "server/worker/libvirt/disks.h"
#include "server/worker/libvirt/events.h"
#include "server/worker/libvirt/inventory.h"
#include "server/worker/libvirt/migrate.h"
#include "server/worker/libvirt/uri.h"
#include "server/worker/libvirt/volume.h"

#define WAKE_MS 500

static void on_wake(int timer, void *context)
{
	(void)timer;
	(void)context;
}

static void *run_events(void *context)
{
	struct libvirt_driver *driver = context;

	while (!atomic_load(&driver->is_ending))
		if (virEventRunDefaultImpl() < 0)
			break;
	return NULL;
}

static void free_driver(struct libvirt_driver **driver)
{
	if (!*driver)
		return;
	pthread_mutex_destroy(&(*driver)->watch_mutex);
	free((*driver)->marker_of_node);
	free((*driver)->marker_of_run);
	cpu_verdicts_destroy((*driver)->cpu_verdicts);
	free(*driver);
}

static void driver_destroy(struct hypervisor *self)
{
	struct libvirt_driver *driver = (struct libvirt_driver *)self;

	atomic_store(&driver->is_ending, true);
	pthread_join(driver->event_thread, NULL);
	virEventRemoveTimeout(driver->wake_timer);
	free_driver(&driver);
}

static void host_close(struct hypervisor_host *base)
{
	struct libvirt_host *host = libvirt_host_of(base);

	libvirt_connection_close(host);
	libvirt_sockets_finish(&host->sockets);
	pthread_mutex_destroy(&host->mutex);
	free(host->name);
	free(host->uri);
	free(host->peer_uri);
	free(host->user_name);
	free(host->password_file);
	free(host);
}

static int host_open(struct hypervisor *self, const struct hypervisor_address *address,
		     struct hypervisor_host **ret_host, struct error *error)
{
	struct libvirt_host *host = calloc(1, sizeof(*host));

	if (!host)
		return error_no_memory(error);
	host->base = (struct hypervisor_host){ .hypervisor = self, .host_id = address->host_id };
	host->driver = (struct libvirt_driver *)self;
	pthread_mutex_init(&host->mutex, NULL);
	libvirt_sockets_init(&host->sockets);
	host->name = strdup(address->name);
	host->uri = uri_with_pki(address->uri, host->driver->settings->pki_path);
	host->peer_uri = uri_for_peer(address->uri);
	host->user_name = address->user_name ? strdup(address->user_name) : NULL;
	host->password_file = address->password_file ? strdup(address->password_file) : NULL;
	if (!host->name || !host->uri || !host->peer_uri || (address->user_name && !host->user_name)
	    || (address->password_file && !host->password_file)) {
		host_close(&host->base);
		return error_no_memory(error);
	}
	*ret_host = &host->base;
	return 0;
}

static const struct hypervisor_operations operations = {
	.driver_name = "libvirt",
	.destroy = driver_destroy,
	.watch = libvirt_watch,
	.open_host = host_open,
	.close_host = host_close,
	.describe = libvirt_describe,
	.list_guests = libvirt_list_guests,
	.look = libvirt_look,
	.check_live = libvirt_check_live,
	.prepare_live = libvirt_prepare_live,
	.migrate_live = libvirt_migrate_live,
	.progress = libvirt_progress,
	.completed = libvirt_completed,
	.adjust = libvirt_adjust,
	.stop_guest = libvirt_stop_guest,
	.start_guest = libvirt_start_guest,
	.pause_guest = libvirt_pause_guest,
	.save_guest = libvirt_save_guest,
	.forget_saved = libvirt_forget_saved,
	.check_cold = libvirt_check_cold,
	.read_definition = libvirt_read_definition,
	.define = libvirt_define,
	.set_autostart = libvirt_set_autostart,
	.copy_cold = libvirt_copy_cold,
	.remove_guest = libvirt_remove_guest,
	.verify_disks = libvirt_verify_disks,
	.remove_volume = libvirt_remove_volume,
	.interrupt = libvirt_interrupt,
};

/* Every failed call is told by its own error; libvirt's habit of writing it to stderr too would break into our log. */
static void keep_silent(void *context, virErrorPtr cause)
{
	(void)context;
	(void)cause;
}

static int name_markers(struct libvirt_driver *driver, const char *node, struct error *error)
{
	char run[UUID_SIZE];

	uuid_make(run);
	driver->marker_of_node = text_format("migrationd-marker-%s-", node ? node : "");
	if (!driver->marker_of_node)
		return error_no_memory(error);
	for (char *letter = driver->marker_of_node; *letter; letter++)
		if (!isalnum((unsigned char)*letter) && *letter != '.')
			*letter = '-'; /* it becomes a file's name */
	driver->marker_of_run = text_format("%s%.8s-", driver->marker_of_node, run);
	return driver->marker_of_run ? 0 : error_no_memory(error);
}

int libvirt_driver_create(const struct hypervisor_settings *settings, const char *node, struct log *log,
			  struct hypervisor **ret_hypervisor, struct error *error)
{
	CLEANUP(free_driver) struct libvirt_driver *driver = calloc(1, sizeof(*driver));

	if (!driver)
		return error_no_memory(error);
	*driver = (struct libvirt_driver){ .base.operations = &operations, .settings = settings, .log = log };
	pthread_mutex_init(&driver->watch_mutex, NULL);
	driver->cpu_verdicts = cpu_verdicts_create();
	if (!driver->cpu_verdicts || name_markers(driver, node, error) < 0)
		return error_no_memory(error);
	virSetErrorFunc(NULL, keep_silent);
	/* Its warnings, too: what they say reaches our own log with the error, and stderr is that log. */
	setenv("LIBVIRT_LOG_OUTPUTS", "4:file:/dev/null", 0);
	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
		return error_set(error, EIO, "cannot start libvirt's client library");
	driver->wake_timer = virEventAddTimeout(WAKE_MS, on_wake, NULL, NULL);
	if (driver->wake_timer < 0)
		return error_set(error, EIO, "cannot add a timer to libvirt's event loop");
	int result = pthread_create(&driver->event_thread, NULL, run_events, driver);

	if (result != 0) {
		virEventRemoveTimeout(driver->wake_timer);
		return error_set_errno(error, result, "cannot start the thread of libvirt's events");
	}
	*ret_hypervisor = &TAKE_POINTER(driver)->base;
	return 0;
}
