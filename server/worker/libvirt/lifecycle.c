/* Stopping, starting and defining guests. Its difficulty: each may be repeated after a crash, so what is
 * already done is no error. */
#include "server/worker/libvirt/internal.h"

#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/worker/libvirt/definition.h"

#define STOP_POLL_NS 200000000L
#define OFF_WAIT_MS  10000 /* a QEMU that ends takes a second or two */

/* 1: off; 0: not yet; -ENOENT: it had no definition, and is gone. */
static int is_off(struct libvirt_host *host, virDomainPtr domain, int *ret_state, struct error *error)
{
	if (virDomainGetState(domain, ret_state, NULL, 0) < 0)
		return libvirt_error(host, error, "see whether the guest is off");
	return *ret_state == VIR_DOMAIN_SHUTOFF;
}

int libvirt_switch_off(struct libvirt_host *host, virDomainPtr domain, struct error *error)
{
	int64_t deadline_ms = clock_monotonic_ms(clock_system()) + OFF_WAIT_MS;
	struct error cause = { 0 };
	int state = 0;

	/* Refused, it may be off all the same: it went by itself, or its QEMU takes long to end. */
	if (virDomainDestroy(domain) < 0)
		libvirt_error(host, &cause, "switch the guest off");
	for (;;) {
		int result = is_off(host, domain, &state, error);

		if (result == -ENOENT)
			error_clear(error);
		if (result == 1 || result == -ENOENT)
			return 0;
		if (result < 0)
			return result;
		if (clock_monotonic_ms(clock_system()) >= deadline_ms)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = STOP_POLL_NS }, NULL);
	}
	if (cause.code)
		return error_set(error, cause.code, "%s", cause.text);
	return error_set(error, EIO,
			 "host %s: guest %s was switched off and still runs: look for its QEMU process on the host",
			 host->name, virDomainGetName(domain));
}

/* 0: it stays there when it stops. */
static int check_is_defined(struct libvirt_host *host, virDomainPtr domain, const char *uuid, struct error *error)
{
	int is_persistent = virDomainIsPersistent(domain);

	if (is_persistent > 0)
		return 0;
	if (is_persistent < 0)
		return libvirt_error(host, error, "read whether the guest is defined");
	return error_set(error, ESTALE,
			 "host %s: server %s runs there without a definition: stopping it would be its end", host->name,
			 uuid);
}

int libvirt_stop_guest(struct hypervisor_host *base, const char *uuid, int64_t graceful_ms, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int64_t deadline_ms = clock_monotonic_ms(clock_system()) + graceful_ms;
	int state = 0;
	int result = libvirt_domain_open(host, uuid, &domain, error);

	if (result == 0)
		result = is_off(host, domain, &state, error);
	if (result == 0)
		result = check_is_defined(host, domain, uuid, error);
	if (result != 0)
		return result < 0 ? result : 0;
	/* A guest that cannot be asked to go down is switched off below. */
	bool is_asked = graceful_ms > 0 && state != VIR_DOMAIN_SHUTDOWN && virDomainShutdown(domain) == 0;

	for (;;) {
		result = is_off(host, domain, &state, error);
		if (result != 0)
			return result < 0 ? result : 0;
		/* One that goes down this moment writes to its disks: it is not cut off in that. */
		int64_t wait_ms = state == VIR_DOMAIN_SHUTDOWN ? OFF_WAIT_MS : 0;

		if ((!is_asked && wait_ms == 0) || clock_monotonic_ms(clock_system()) >= deadline_ms + wait_ms)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = STOP_POLL_NS }, NULL);
	}
	return libvirt_switch_off(host, domain, error);
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
	int result = libvirt_domain_open(host, uuid, &domain, error);

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
	int result = libvirt_domain_open(host, uuid, &domain, error);

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
	int result = libvirt_domain_open(host, uuid, &domain, error);

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
	int result = libvirt_domain_open(host, uuid, &domain, error);

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

/* Over a guest that is off, or in a place that is free. */
static int check_free(struct libvirt_host *host, const char *definition, struct error *error)
{
	CLEANUP_FREE char *uuid = definition_uuid(definition);
	struct guest_view view;

	if (!uuid)
		return error_set(error, EINVAL, "host %s: a guest's definition cannot be read", host->name);
	int result = libvirt_look(&host->base, uuid, &view, error);

	if (result < 0 || view.state == GUEST_ABSENT)
		return result;
	if (view.is_busy || !(GUEST_SET(view.state) & GUEST_SET_OFF))
		return error_set(
			error, ESTALE,
			"host %s: guest %s is not defined there over the one that it has, which is %s: see which "
			"of the two is right, and switch the other off",
			host->name, uuid, view.is_busy ? "busy" : guest_state_name(view.state));
	return 0;
}

static int set_autostart(struct libvirt_host *host, virDomainPtr domain, bool has_autostart, struct error *error)
{
	return virDomainSetAutostart(domain, has_autostart) < 0
		       ? libvirt_error(host, error, "set whether the guest starts by itself")
		       : 0;
}

int libvirt_define(struct hypervisor_host *base, const char *definition, bool has_autostart, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int result = check_free(host, definition, error);

	if (result == 0)
		result = libvirt_connection_get(host, &connection, error);
	if (result < 0)
		return result;
	domain = virDomainDefineXMLFlags(connection, definition, VIR_DOMAIN_DEFINE_VALIDATE);
	return domain ? set_autostart(host, domain, has_autostart, error)
		      : libvirt_error(host, error, "define the guest");
}

int libvirt_set_autostart(struct hypervisor_host *base, const char *uuid, bool has_autostart, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int result = libvirt_domain_open(host, uuid, &domain, error);

	return result < 0 ? result : set_autostart(host, domain, has_autostart, error);
}
