/* Taking a guest away from a host. Its difficulty: somebody else may start, move or define it in the same moment, and libvirt
 * has no call that removes a guest only in a given state: so its state is asked again right before each step, and what was
 * removed of a guest that was started meanwhile is put back. */
#include "server/worker/libvirt/internal.h"

#include <libvirt/virterror.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "server/worker/libvirt/definition.h"

/* One removal under way. */
struct removal {
	struct libvirt_host *host;
	const char *uuid;
	virDomainPtr domain;
	char *definition; /* while it is being removed */
	bool has_autostart;
};

static void removal_end(struct removal *removal)
{
	libvirt_cleanup_domain(&removal->domain);
	free(removal->definition);
}

static int refuse(const struct removal *removal, const char *found, struct error *error)
{
	return error_set(
		error, ESTALE,
		"host %s: guest %s was not removed: it is %s there; look at it with virsh, and remove it by hand "
		"if nobody needs it",
		removal->host->name, removal->uuid, found);
}

static int check_state(const struct removal *removal, const struct libvirt_sighting *seen, unsigned int states,
		       struct error *error)
{
	if (!(GUEST_SET(seen->view.state) & states))
		return refuse(removal, guest_state_name(seen->view.state), error);
	return seen->view.is_busy ? refuse(removal, "busy: a call upon it has not ended", error) : 0;
}

static int check_unchanged(const struct removal *removal, const struct libvirt_sighting *seen, struct error *error)
{
	int state = 0, reason = 0;

	if (virDomainGetState(removal->domain, &state, &reason, 0) < 0)
		return libvirt_error(removal->host, error, "read the guest's state");
	return state == seen->state && reason == seen->reason ? 0 : refuse(removal, "changing its state", error);
}

static int save_definition(struct removal *removal, struct error *error)
{
	int autostart = 0;

	if (virDomainGetAutostart(removal->domain, &autostart) < 0)
		return libvirt_error(removal->host, error, "read whether the guest starts by itself");
	removal->has_autostart = autostart == 1;
	removal->definition = virDomainGetXMLDesc(removal->domain, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_INACTIVE);
	return removal->definition ? 0 : libvirt_error(removal->host, error, "read the guest's definition");
}

/* What libvirt keeps beside the disks stays: it may be all that there is of it. A libvirt before 8.9 does not know how to keep
 * a TPM's state, and then refuses where there is one. */
static int undefine(const struct removal *removal, struct error *error)
{
	int has_tpm_state = definition_has_tpm_state(removal->definition);

	if (has_tpm_state < 0)
		return error_set(error, EINVAL, "host %s: a guest's definition cannot be read", removal->host->name);
	unsigned int flags = VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | (has_tpm_state ? VIR_DOMAIN_UNDEFINE_KEEP_TPM : 0U);

	return virDomainUndefineFlags(removal->domain, flags) < 0
		       ? libvirt_error(removal->host, error, "remove the guest's definition")
		       : 0;
}

/* As libvirt gave it, so that it is not held against a schema that may be another version's. */
static int put_back(const struct removal *removal, virConnectPtr connection, struct error *error)
{
	CLEANUP_DOMAIN virDomainPtr domain = virDomainDefineXMLFlags(connection, removal->definition, 0);

	if (!domain || virDomainSetAutostart(domain, removal->has_autostart) < 0) {
		libvirt_error(removal->host, error, "define the guest");
		return error_wrap(
			error,
			"guest %s was started while it was removed, and its definition could not be put back: "
			"save it with virsh dumpxml before the guest ends",
			removal->uuid);
	}
	return refuse(removal, "running: it was started meanwhile, and its definition was put back", error);
}

/* Who started it while its definition went has a guest that would be lost with its QEMU. */
static int check_gone(const struct removal *removal, struct error *error)
{
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int result = libvirt_connection_get(removal->host, &connection, error);

	if (result == 0)
		result = libvirt_domain_find(removal->host, connection, removal->uuid, &domain, error);
	if (result < 0)
		return result;
	int active = virDomainIsActive(domain);

	if (active < 0)
		return libvirt_error(removal->host, error, "see whether the guest is off");
	return active == 1 ? put_back(removal, connection, error) : refuse(removal, "defined again", error);
}

/* -ENOENT as soon as nothing is left. */
static int take_away(struct removal *removal, unsigned int states, struct error *error)
{
	struct libvirt_sighting seen;
	int result = libvirt_inspect(removal->host, removal->domain, &seen, error);

	if (result == 0)
		result = check_state(removal, &seen, states, error);
	if (result == 0)
		result = check_unchanged(removal, &seen, error);
	if (result == 0 && seen.state != VIR_DOMAIN_SHUTOFF) {
		result = libvirt_switch_off(removal->host, removal->domain, error);
		if (result == 0)
			result = libvirt_inspect(removal->host, removal->domain, &seen, error);
	}
	if (result == 0 && (seen.state != VIR_DOMAIN_SHUTOFF || !seen.view.is_persistent))
		result = refuse(removal, guest_state_name(seen.view.state), error); /* it was started again */
	if (result == 0)
		result = save_definition(removal, error);
	if (result == 0)
		result = check_unchanged(removal, &seen, error);
	if (result == 0)
		result = undefine(removal, error);
	return result < 0 ? result : check_gone(removal, error);
}

int libvirt_remove_guest(struct hypervisor_host *base, const char *uuid, unsigned int states, struct error *error)
{
	CLEANUP(removal_end) struct removal removal = { .host = libvirt_host_of(base), .uuid = uuid };
	int result = libvirt_domain_open(removal.host, uuid, &removal.domain, error);

	if (result == 0)
		result = take_away(&removal, states, error);
	if (result != -ENOENT)
		return result;
	error_clear(error);
	return 0;
}
