/* What happens behind our back, told by libvirt: guests' lives over each host's connection, and the connection's end. Its
 * difficulty: callbacks may still run while their host is being closed, so that what they get is their own and names the host
 * by its number alone. */
#include "server/worker/libvirt/events.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"

struct listener {
	struct libvirt_driver *driver;
	int64_t host_id;
};

static void tell(const struct listener *listener, enum hypervisor_event_kind kind, const char *uuid)
{
	struct libvirt_driver *driver = listener->driver;
	LOCK_SCOPE(&driver->watch_mutex);

	if (driver->on_event)
		driver->on_event(driver->event_context, listener->host_id, kind, uuid);
}

static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail, void *context)
{
	char uuid[VIR_UUID_STRING_BUFLEN] = "";

	(void)connection;
	(void)event;
	(void)detail;
	if (virDomainGetUUIDString(domain, uuid) == 0)
		tell(context, HYPERVISOR_GUEST_CHANGED, uuid);
	return 0;
}

static void on_close(virConnectPtr connection, int reason, void *context)
{
	(void)connection;
	(void)reason;
	tell(context, HYPERVISOR_HOST_DOWN, NULL);
}

static struct listener *listener_of(struct libvirt_host *host)
{
	struct listener *listener = malloc(sizeof(*listener));

	if (listener)
		*listener = (struct listener){ host->driver, host->base.host_id };
	return listener;
}

/* With the host's mutex held. */
static int begin_listening(struct libvirt_host *host, struct error *error)
{
	struct listener *for_guests = listener_of(host), *for_end = listener_of(host);

	if (!for_guests || !for_end) {
		free(for_guests);
		free(for_end);
		return error_no_memory(error);
	}
	host->callback = virConnectDomainEventRegisterAny(host->connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
							  VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), for_guests, free);
	if (host->callback < 0) {
		free(for_guests);
		free(for_end);
		return libvirt_error(host, error, "be told of what happens to guests");
	}
	host->is_listening = true;
	if (virConnectRegisterCloseCallback(host->connection, on_close, for_end, free) < 0)
		free(for_end); /* then the next look finds it broken, only later */
	return 0;
}

int libvirt_listen(struct libvirt_host *host, virConnectPtr connection, struct error *error)
{
	LOCK_SCOPE(&host->mutex);

	if (host->is_listening || host->connection != connection)
		return 0;
	return begin_listening(host, error);
}

void libvirt_stop_listening(struct libvirt_host *host)
{
	if (!host->is_listening)
		return;
	host->is_listening = false;
	virConnectDomainEventDeregisterAny(host->connection, host->callback);
	virConnectUnregisterCloseCallback(host->connection, on_close);
}

void libvirt_watch(struct hypervisor *self, hypervisor_event_fn on_event, void *context)
{
	struct libvirt_driver *driver = (struct libvirt_driver *)self;
	LOCK_SCOPE(&driver->watch_mutex);

	driver->on_event = on_event;
	driver->event_context = context;
}
