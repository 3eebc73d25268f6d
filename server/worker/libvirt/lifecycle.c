/* Stopping, starting, defining and removing guests. Its difficulty: each may be repeated after a crash, so what is
 * already done is no error. */
#include "server/worker/libvirt/internal.h"

#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"

#define STOP_POLL_NS 200000000L

int libvirt_stop_guest(struct hypervisor_host *base, const char *uuid, int64_t graceful_ms, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int64_t deadline_ms = clock_monotonic_ms(clock_system()) + graceful_ms;
	int result = libvirt_domain_get(host, uuid, &domain, error);

	if (result < 0)
		return result;
	/* A guest that cannot be asked to go down is switched off below. */
	bool is_asked = graceful_ms > 0 && virDomainIsActive(domain) == 1 && virDomainShutdown(domain) == 0;

	for (;;) {
		int active = virDomainIsActive(domain);

		if (active < 0)
			return libvirt_error(host, error, "see whether the guest is off");
		if (active == 0)
			return 0;
		if (!is_asked || clock_monotonic_ms(clock_system()) >= deadline_ms)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = STOP_POLL_NS }, NULL);
	}
	if (virDomainDestroy(domain) < 0 && virDomainIsActive(domain) != 0)
		return libvirt_error(host, error, "switch the guest off");
	return 0;
}

/* One that is being started waits here until it was. */
static int resume(struct libvirt_host *host, virDomainPtr domain, struct error *error)
{
	int state = 0;

	if (virDomainGetState(domain, &state, NULL, 0) == 0 && state == VIR_DOMAIN_RUNNING)
		return 0;
	if (virDomainResume(domain) == 0)
		return 0;
	libvirt_error(host, error, "let the guest run");
	if (virDomainGetState(domain, &state, NULL, 0) < 0 || state != VIR_DOMAIN_RUNNING)
		return error ? -error->code : -EIO;
	error_clear(error);
	return 0;
}

int libvirt_start_guest(struct hypervisor_host *base, const char *uuid, bool is_paused, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int result = libvirt_domain_get(host, uuid, &domain, error);

	if (result < 0)
		return result;
	if (virDomainIsActive(domain) != 1) {
		if (virDomainCreateWithFlags(domain, is_paused ? VIR_DOMAIN_START_PAUSED : 0) == 0)
			return 0;
		libvirt_error(host, error, "start the guest");
		if (virDomainIsActive(domain) != 1)
			return error ? -error->code : -EIO;
		error_clear(error); /* an earlier request was still starting it */
	}
	return is_paused ? 0 : resume(host, domain, error);
}

int libvirt_pause_guest(struct hypervisor_host *base, const char *uuid, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int state = 0;
	int result = libvirt_domain_get(host, uuid, &domain, error);

	if (result < 0)
		return result;
	if (virDomainGetState(domain, &state, NULL, 0) == 0 && state == VIR_DOMAIN_PAUSED)
		return 0;
	return virDomainSuspend(domain) < 0 ? libvirt_error(host, error, "pause the guest") : 0;
}

int libvirt_save_guest(struct hypervisor_host *base, const char *uuid, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int result = libvirt_domain_get(host, uuid, &domain, error);

	if (result < 0)
		return result;
	if (virDomainIsActive(domain) == 0 && virDomainHasManagedSaveImage(domain, 0) == 1)
		return 0;
	return virDomainManagedSave(domain, 0) < 0 ? libvirt_error(host, error, "save the guest's memory") : 0;
}

int libvirt_forget_saved(struct hypervisor_host *base, const char *uuid, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int result = libvirt_domain_get(host, uuid, &domain, error);

	if (result < 0)
		return result;
	if (virDomainHasManagedSaveImage(domain, 0) == 0)
		return 0;
	return virDomainManagedSaveRemove(domain, 0) < 0 ? libvirt_error(host, error, "forget the guest's saved memory")
							 : 0;
}

int libvirt_read_definition(struct hypervisor_host *base, const char *uuid, char **ret_definition, bool *ret_autostart,
			    struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int autostart = 0;
	int result = libvirt_domain_get(host, uuid, &domain, error);

	if (result < 0)
		return result;
	if (virDomainGetAutostart(domain, &autostart) < 0)
		return libvirt_error(host, error, "read whether the guest starts by itself");
	char *definition = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_INACTIVE);

	if (!definition)
		return libvirt_error(host, error, "read the guest's definition");
	*ret_definition = definition;
	*ret_autostart = autostart == 1;
	return 0;
}

int libvirt_undefine(struct hypervisor_host *base, const char *uuid, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int result = libvirt_domain_get(host, uuid, &domain, error);

	if (result < 0)
		return result;
	if (virDomainUndefineFlags(domain, VIR_DOMAIN_UNDEFINE_KEEP_NVRAM) < 0)
		return libvirt_error(host, error, "remove the guest's definition");
	return 0;
}

int libvirt_define(struct hypervisor_host *base, const char *definition, bool has_autostart, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int result = libvirt_connection_get(host, &connection, error);

	if (result < 0)
		return result;
	domain = virDomainDefineXMLFlags(connection, definition, VIR_DOMAIN_DEFINE_VALIDATE);
	if (!domain)
		return libvirt_error(host, error, "define the guest");
	if (virDomainSetAutostart(domain, has_autostart) < 0)
		return libvirt_error(host, error, "set whether the guest starts by itself");
	return 0;
}

int libvirt_remove_guest(struct hypervisor_host *base, const char *uuid, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	int result = libvirt_stop_guest(base, uuid, 0, error);

	if (result == 0) /* one without a definition is gone by now */
		result = libvirt_undefine(&host->base, uuid, error);
	if (result == -ENOENT) {
		error_clear(error);
		return 0;
	}
	return result;
}
