/* What a host shows of a guest. Its difficulties: libvirt's "paused" means six things, told apart by the reason; and a guest
 * whose QEMU does not answer holds up every question that goes to its monitor, so that it is told first whether one may be
 * asked. */
#include "server/worker/libvirt/internal.h"

#include <libvirt/virterror.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/error.h"

#define STUCK_MS     1000U
#define ASK_AGAIN_MS 100U

static enum guest_state paused_state(int reason)
{
	switch (reason) {
	case VIR_DOMAIN_PAUSED_STARTING_UP:
		return GUEST_ARRIVING;
	case VIR_DOMAIN_PAUSED_POSTCOPY:
		return GUEST_POSTCOPY_SOURCE;
	case VIR_DOMAIN_PAUSED_POSTCOPY_FAILED:
		return GUEST_POSTCOPY_FAILED;
	default:
		return GUEST_PAUSED;
	}
}

static enum guest_state state_of(int state, int reason, const struct guest_view *view)
{
	switch (state) {
	case VIR_DOMAIN_SHUTOFF:
		return reason == VIR_DOMAIN_SHUTOFF_CRASHED ? GUEST_CRASHED : GUEST_SHUT_OFF;
	case VIR_DOMAIN_SHUTDOWN:
		return GUEST_STOPPING;
	case VIR_DOMAIN_CRASHED:
		return GUEST_CRASHED;
	case VIR_DOMAIN_PMSUSPENDED:
		return GUEST_SUSPENDED;
	case VIR_DOMAIN_PAUSED:
		/* Both halves of a move say "migration": the target's has a job of its own, or no definition yet. */
		if (reason == VIR_DOMAIN_PAUSED_MIGRATION)
			return view->is_moving_in || !view->is_persistent ? GUEST_ARRIVING : GUEST_HANDED_OVER;
		return paused_state(reason);
	case VIR_DOMAIN_RUNNING:
		if (reason == VIR_DOMAIN_RUNNING_POSTCOPY)
			return GUEST_POSTCOPY_TARGET;
		return reason == VIR_DOMAIN_RUNNING_POSTCOPY_FAILED ? GUEST_POSTCOPY_FAILED : GUEST_RUNNING;
	default:
		return GUEST_RUNNING; /* blocked: it still runs */
	}
}

bool libvirt_has_monitor(int state)
{
	return state != VIR_DOMAIN_SHUTOFF && state != VIR_DOMAIN_SHUTDOWN && state != VIR_DOMAIN_CRASHED;
}

int libvirt_ask_control(struct libvirt_host *host, virDomainPtr domain, virDomainControlInfoPtr ret_control,
			struct error *error)
{
	if (virDomainGetControlInfo(domain, ret_control, 0) == 0)
		return 0;
	/* It went off in this moment, or the driver has no monitors: then nothing is stuck in one. */
	int code = virGetLastErrorCode();

	*ret_control = (virDomainControlInfo){ .state = VIR_DOMAIN_CONTROL_OK };
	return code == VIR_ERR_OPERATION_INVALID || code == VIR_ERR_NO_SUPPORT
		       ? 0
		       : libvirt_error(host, error, "read whether the guest's QEMU answers");
}

/* A monitor that is in use is nothing unusual: busy is one in which the same command has not ended for a while. */
static int is_busy(struct libvirt_host *host, virDomainPtr domain, bool *ret_is_busy, struct error *error)
{
	virDomainControlInfo control;
	int result = libvirt_ask_control(host, domain, &control, error);

	if (result == 0 && control.state == VIR_DOMAIN_CONTROL_OCCUPIED && control.stateTime <= STUCK_MS) {
		nanosleep(&(struct timespec){ .tv_nsec = ASK_AGAIN_MS * 1000000L }, NULL);
		result = libvirt_ask_control(host, domain, &control, error);
		if (result == 0 && control.state == VIR_DOMAIN_CONTROL_OCCUPIED && control.stateTime < ASK_AGAIN_MS)
			control.state = VIR_DOMAIN_CONTROL_OK; /* another command: it goes on */
	}
	*ret_is_busy = control.state == VIR_DOMAIN_CONTROL_OCCUPIED || control.state == VIR_DOMAIN_CONTROL_ERROR;
	return result;
}

/* A guest without statistics has no job that we could name: left false. */
static int read_job(struct libvirt_host *host, virDomainPtr domain, struct guest_view *view, struct error *error)
{
	virTypedParameterPtr values = NULL;
	int count = 0, type = 0, operation = 0;

	if (virDomainGetJobStats(domain, &type, &values, &count, 0) < 0) {
		view->is_busy = virGetLastErrorCode() == VIR_ERR_OPERATION_TIMEOUT; /* another call holds it */
		int result = libvirt_error(host, error, "read the guest's state");

		if (result == -EHOSTUNREACH || result == -ENOENT)
			return result;
		error_clear(error);
		return 0;
	}
	if (type != VIR_DOMAIN_JOB_NONE
	    && virTypedParamsGetInt(values, count, VIR_DOMAIN_JOB_OPERATION, &operation) == 1) {
		view->is_moving_out = operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT;
		view->is_moving_in = operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN;
	}
	virTypedParamsFree(values, count);
	return 0;
}

/* `off` is told from saved. */
static int read_saved(struct libvirt_host *host, virDomainPtr domain, struct guest_view *view, struct error *error)
{
	int has_image = virDomainHasManagedSaveImage(domain, 0);

	if (has_image < 0 && virGetLastErrorCode() != VIR_ERR_NO_SUPPORT)
		return libvirt_error(host, error, "read the guest's state");
	if (has_image == 1)
		view->state = GUEST_SAVED;
	return 0;
}

int libvirt_inspect(struct libvirt_host *host, virDomainPtr domain, struct libvirt_sighting *ret_sighting,
		    struct error *error)
{
	struct libvirt_sighting seen = { 0 };
	struct guest_view *view = &seen.view;
	int autostart = 0, result = 0;
	int persistent = virDomainIsPersistent(domain);

	if (persistent < 0 || virDomainGetState(domain, &seen.state, &seen.reason, 0) < 0)
		return libvirt_error(host, error, "read the guest's state");
	view->is_persistent = persistent == 1;
	if (view->is_persistent && virDomainGetAutostart(domain, &autostart) < 0)
		return libvirt_error(host, error, "read the guest's state");
	view->has_autostart = autostart == 1;
	if (libvirt_has_monitor(seen.state)) {
		result = is_busy(host, domain, &view->is_busy, error);
		if (result == 0 && !view->is_busy)
			result = read_job(host, domain, view, error);
	}
	view->state = state_of(seen.state, seen.reason, view);
	if (result == 0 && view->state == GUEST_SHUT_OFF)
		result = read_saved(host, domain, view, error);
	if (result == 0)
		*ret_sighting = seen;
	return result;
}

int libvirt_look(struct hypervisor_host *base, const char *uuid, struct guest_view *ret_view, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	struct libvirt_sighting seen = { .view.state = GUEST_ABSENT };
	int result = libvirt_domain_get(host, uuid, &domain, error);

	if (result == 0)
		result = libvirt_inspect(host, domain, &seen, error);
	if (result == -ENOENT) { /* also when it went between two questions */
		error_clear(error);
		result = 0;
	}
	if (result == 0)
		*ret_view = seen.view;
	return result;
}
