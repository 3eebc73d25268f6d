/* What a host shows of a guest. Its difficulty: libvirt's "paused" means six things, told apart by the reason. */
#include "server/worker/libvirt/internal.h"

#include "base/cleanup.h"
#include "base/error.h"

static enum guest_state paused_state(int reason, bool is_moving_out)
{
	switch (reason) {
	case VIR_DOMAIN_PAUSED_STARTING_UP:
		return GUEST_ARRIVING;
	case VIR_DOMAIN_PAUSED_POSTCOPY:
		return GUEST_POSTCOPY_SOURCE;
	case VIR_DOMAIN_PAUSED_POSTCOPY_FAILED:
		return GUEST_POSTCOPY_FAILED;
	default:
		(void)is_moving_out;
		return GUEST_PAUSED;
	}
}

static enum guest_state state_of(int state, int reason, const struct guest_view *view)
{
	switch (state) {
	case VIR_DOMAIN_SHUTOFF:
		return reason == VIR_DOMAIN_SHUTOFF_CRASHED ? GUEST_CRASHED : GUEST_SHUT_OFF;
	case VIR_DOMAIN_CRASHED:
		return GUEST_CRASHED;
	case VIR_DOMAIN_PMSUSPENDED:
		return GUEST_SUSPENDED;
	case VIR_DOMAIN_PAUSED:
		/* Both halves of a move say "migration": the target's has a job of its own, or no definition yet. */
		if (reason == VIR_DOMAIN_PAUSED_MIGRATION)
			return view->is_moving_in || !view->is_persistent ? GUEST_ARRIVING : GUEST_HANDED_OVER;
		return paused_state(reason, view->is_moving_out);
	case VIR_DOMAIN_RUNNING:
		if (reason == VIR_DOMAIN_RUNNING_POSTCOPY)
			return GUEST_POSTCOPY_TARGET;
		return reason == VIR_DOMAIN_RUNNING_POSTCOPY_FAILED ? GUEST_POSTCOPY_FAILED : GUEST_RUNNING;
	default:
		return GUEST_RUNNING; /* blocked, or going down: it still runs */
	}
}

/* A guest without statistics has no job that we could name: left false. */
static void read_job(virDomainPtr domain, struct guest_view *view)
{
	virTypedParameterPtr values = NULL;
	int count = 0, type = 0, operation = 0;

	if (virDomainGetJobStats(domain, &type, &values, &count, 0) < 0)
		return;
	if (type != VIR_DOMAIN_JOB_NONE
	    && virTypedParamsGetInt(values, count, VIR_DOMAIN_JOB_OPERATION, &operation) == 1) {
		view->is_moving_out = operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT;
		view->is_moving_in = operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN;
	}
	virTypedParamsFree(values, count);
}

int libvirt_look(struct hypervisor_host *base, const char *uuid, struct guest_view *ret_view, struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(base);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	struct guest_view view = { .state = GUEST_ABSENT };
	int state = 0, reason = 0, autostart = 0;
	int result = libvirt_domain_get(host, uuid, &domain, error);

	if (result == -ENOENT) {
		error_clear(error);
		*ret_view = view;
		return 0;
	}
	if (result < 0)
		return result;
	int persistent = virDomainIsPersistent(domain);

	if (persistent < 0 || virDomainGetState(domain, &state, &reason, 0) < 0)
		goto failed;
	view.is_persistent = persistent == 1;
	if (view.is_persistent && virDomainGetAutostart(domain, &autostart) < 0)
		goto failed;
	view.has_autostart = autostart == 1;
	read_job(domain, &view);
	view.state = state_of(state, reason, &view);
	if (view.state == GUEST_SHUT_OFF && virDomainHasManagedSaveImage(domain, 0) == 1)
		view.state = GUEST_SAVED;
	*ret_view = view;
	return 0;
failed:
	result = libvirt_error(host, error, "read the guest's state");
	if (result == -ENOENT) { /* it went between the two questions */
		error_clear(error);
		*ret_view = (struct guest_view){ .state = GUEST_ABSENT };
		return 0;
	}
	return result;
}
