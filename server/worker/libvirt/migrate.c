/* Live migration, peer to peer. Its difficulty: the call's answer is only a hint, the truth is what both sides show. */
#include "server/worker/libvirt/migrate.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/libvirt/disks.h"
#include "server/worker/libvirt/tls.h"

#define STUCK_MS 1000 /* of one command to QEMU */

/* One call under way. */
struct call {
	struct libvirt_host *source, *target;
	virDomainPtr domain;
	const struct live_options *options;
	struct guest_disks disks;
	char *definition; /* with the target's paths */
	virTypedParameterPtr values;
	int count, capacity;
	bool is_persistent; /* has a definition on the source, which goes with it */
	bool has_failed; /* a parameter could not be added */
};

static unsigned int flags_of(const struct call *call)
{
	const struct live_options *options = call->options;
	bool copies_disks = call->disks.private_count > 0;
	unsigned int flags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER;

	/* A guest without a definition would get one by them. */
	flags |= call->is_persistent ? VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE : 0U;
	flags |= options->may_postcopy ? VIR_MIGRATE_POSTCOPY : 0U;
	flags |= options->is_resume ? VIR_MIGRATE_POSTCOPY_RESUME : 0U;
	/* As Nova has it: a guest that may be switched to post-copy need not be slowed down. */
	flags |= options->may_auto_converge && !options->may_postcopy ? VIR_MIGRATE_AUTO_CONVERGE : 0U;
	flags |= options->has_tls ? VIR_MIGRATE_TLS : 0U;
	flags |= options->parallel_connections > 1 ? VIR_MIGRATE_PARALLEL : 0U;
	flags |= copies_disks ? VIR_MIGRATE_NON_SHARED_DISK : 0U;
	/* Each disk is copied, or was proven shared. */
	flags |= options->is_storage_proven_shared || copies_disks ? VIR_MIGRATE_UNSAFE : 0U;
	return flags;
}

static void add_text(struct call *call, const char *name, const char *value)
{
	if (!value || virTypedParamsAddString(&call->values, &call->count, &call->capacity, name, value) < 0)
		call->has_failed = true;
}

/* Where stream and disks go: the target's migration NIC, or its own choice. */
static void add_addresses(struct call *call)
{
	const char *address = call->options->migration_address;
	bool is_ipv6 = address && strchr(address, ':') != NULL;

	if (!address)
		return;
	CLEANUP_FREE char *uri = text_format("tcp://%s%s%s", is_ipv6 ? "[" : "", address, is_ipv6 ? "]" : "");
	add_text(call, VIR_MIGRATE_PARAM_URI, uri);
	if (call->disks.private_count > 0)
		add_text(call, VIR_MIGRATE_PARAM_DISKS_URI, uri);
}

static int add_values(struct call *call, struct error *error)
{
	const struct live_options *options = call->options;

	add_addresses(call);
	add_text(call, VIR_MIGRATE_PARAM_DEST_XML, call->definition);
	if (call->is_persistent)
		add_text(call, VIR_MIGRATE_PARAM_PERSIST_XML, call->definition);
	for (size_t i = 0; i < call->disks.count; i++)
		if (!call->disks.items[i].is_shared)
			add_text(call, VIR_MIGRATE_PARAM_MIGRATE_DISKS, call->disks.items[i].device);
	if (options->bandwidth_mib_s > 0
	    && virTypedParamsAddULLong(&call->values, &call->count, &call->capacity, VIR_MIGRATE_PARAM_BANDWIDTH,
				       (unsigned long long)options->bandwidth_mib_s)
		       < 0)
		call->has_failed = true;
	if (options->parallel_connections > 1
	    && virTypedParamsAddInt(&call->values, &call->count, &call->capacity,
				    VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, options->parallel_connections)
		       < 0)
		call->has_failed = true;
	return call->has_failed ? error_no_memory(error) : 0;
}

static void call_end(struct call *call)
{
	virTypedParamsFree(call->values, call->count);
	guest_disks_clear(&call->disks);
	free(call->definition);
	libvirt_cleanup_domain(&call->domain);
}

/* The disks, and the definition for the target. */
static int find_disks(struct call *call, struct error *error)
{
	CLEANUP_FREE char *definition =
		virDomainGetXMLDesc(call->domain, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE);
	int result = definition ? libvirt_disks_find(call->source, call->target, definition, &call->disks, error)
				: libvirt_error(call->source, error, "read the guest's definition");

	return result < 0 ? result : libvirt_disks_rewrite(&call->disks, definition, &call->definition, error);
}

int libvirt_prepare_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			 const struct live_options *options, bool copies_disks, const struct volume_journal *journal,
			 struct error *error)
{
	CLEANUP(call_end)
	struct call call = { .source = libvirt_host_of(source), .target = libvirt_host_of(target), .options = options };

	if (!copies_disks) /* shared disks need nothing */
		return 0;
	int result = libvirt_domain_get(call.source, uuid, &call.domain, error);
	if (result == 0)
		result = find_disks(&call, error);
	return result < 0 ? result : libvirt_disks_make(call.source, call.target, &call.disks, journal, error);
}

/* QEMU is told its capabilities before anything else is done, and says no to post-copy where its user may not use
 * userfaultfd, or the guest's memory is of a kind that cannot. */
static int migration_error(const struct call *call, struct error *error)
{
	const virError *cause = virGetLastError();
	bool is_refused = call->options->may_postcopy && !call->options->is_resume && cause && cause->message
			  && strstr(cause->message, "'migrate-set-capabilities'");

	if (is_refused)
		return error_set(error, EOPNOTSUPP, "from host %s to host %s: %s", call->source->name,
				 call->target->name, cause->message);
	const struct tls_sides sides = { call->source->name, call->target->name, call->options->migration_address };
	int result = libvirt_error(call->source, error, "migrate the guest");
	if (call->options->has_tls && error)
		tls_explain_move(error, &sides);
	return result;
}

static int read_persistence(struct call *call, struct error *error)
{
	int persistent = virDomainIsPersistent(call->domain);

	call->is_persistent = persistent == 1;
	return persistent < 0 ? libvirt_error(call->source, error, "read the guest's state") : 0;
}

int libvirt_migrate_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			 const struct live_options *options, bool copies_disks, struct error *error)
{
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	CLEANUP(call_end)
	struct call call = { .source = libvirt_host_of(source), .target = libvirt_host_of(target), .options = options };
	int result = libvirt_connection_open(call.source, &connection, error);

	if (result == 0)
		result = libvirt_domain_find(call.source, connection, uuid, &call.domain, error);
	if (result == 0)
		result = read_persistence(&call, error);
	if (result == 0)
		result = find_disks(&call, error);
	if (result == 0 && !copies_disks && !options->is_resume && call.disks.private_count > 0)
		result = error_set(error, EIO, "host %s does not see the disks any more that it saw when it was asked",
				   call.target->name);
	if (result == 0)
		result = add_values(&call, error);
	if (result == 0
	    && virDomainMigrateToURI3(call.domain, call.target->peer_uri, call.values, (unsigned int)call.count,
				      flags_of(&call))
		       < 0)
		result = migration_error(&call, error);
	return result;
}

static int64_t number(virTypedParameterPtr values, int count, const char *name)
{
	unsigned long long value = 0;

	return virTypedParamsGetULLong(values, count, name, &value) == 1 && value <= INT64_MAX ? (int64_t)value : 0;
}

static int read_statistics(struct libvirt_host *host, virDomainPtr domain, unsigned int flags,
			   struct move_progress *ret_progress, struct error *error)
{
	virTypedParameterPtr values = NULL;
	int count = 0, type = 0, state = 0, reason = 0;

	if (virDomainGetJobStats(domain, &type, &values, &count, flags) < 0)
		return libvirt_error(host, error, "read the migration's progress");
	struct move_progress progress = {
		.is_active = type == VIR_DOMAIN_JOB_BOUNDED || type == VIR_DOMAIN_JOB_UNBOUNDED,
		.memory_total = number(values, count, VIR_DOMAIN_JOB_MEMORY_TOTAL),
		.memory_processed = number(values, count, VIR_DOMAIN_JOB_MEMORY_PROCESSED),
		.memory_remaining = number(values, count, VIR_DOMAIN_JOB_MEMORY_REMAINING),
		.disk_total = number(values, count, VIR_DOMAIN_JOB_DISK_TOTAL),
		.disk_processed = number(values, count, VIR_DOMAIN_JOB_DISK_PROCESSED),
		.disk_remaining = number(values, count, VIR_DOMAIN_JOB_DISK_REMAINING),
		.data_processed = number(values, count, VIR_DOMAIN_JOB_DATA_PROCESSED),
		.bytes_per_s = number(values, count, VIR_DOMAIN_JOB_MEMORY_BPS),
		.dirty_bytes_per_s = number(values, count, VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE)
				     * number(values, count, VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE),
		.iteration = number(values, count, VIR_DOMAIN_JOB_MEMORY_ITERATION),
		.elapsed_ms = number(values, count, VIR_DOMAIN_JOB_TIME_ELAPSED),
		.downtime_ms = number(values, count, VIR_DOMAIN_JOB_DOWNTIME),
	};

	(void)virTypedParamsGetInt(values, count, VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE, &progress.throttle_percent);
	virTypedParamsFree(values, count);
	bool is_paused = virDomainGetState(domain, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED;
	progress.is_in_postcopy = is_paused && reason == VIR_DOMAIN_PAUSED_POSTCOPY;
	if (is_paused && reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED) /* its job stays, and does nothing any more */
		progress.is_active = false;
	*ret_progress = progress;
	return 0;
}

/* The monitor of a guest that powers off while its disks are copied is left alone: a question to it then may make the call
 * that moves it wait for ever. */
int libvirt_progress(struct hypervisor_host *source, const char *uuid, struct move_progress *ret_progress,
		     struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(source);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	virDomainControlInfo control;
	int state = 0;
	int result = libvirt_domain_get(host, uuid, &domain, error);

	if (result < 0)
		return result;
	if (virDomainGetState(domain, &state, NULL, 0) < 0)
		return libvirt_error(host, error, "read the migration's progress");
	if (!libvirt_has_monitor(state)) {
		*ret_progress = (struct move_progress){ .is_active = false };
		return 0;
	}
	result = libvirt_ask_control(host, domain, &control, error);
	if (result < 0)
		return result;
	/* A command of libvirt's own is nothing unusual while a guest moves; one that hangs is. */
	if (control.state == VIR_DOMAIN_CONTROL_OCCUPIED && control.stateTime > STUCK_MS)
		return error_set(error, EBUSY,
				 "host %s: guest %s answers another question: the migration's progress is read later",
				 host->name, uuid);
	return read_statistics(host, domain, 0, ret_progress, error);
}

int libvirt_completed(struct hypervisor_host *target, const char *uuid, struct move_progress *ret_progress,
		      struct error *error)
{
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int result = libvirt_domain_get(libvirt_host_of(target), uuid, &domain, error);

	return result < 0 ? result
			  : read_statistics(libvirt_host_of(target), domain,
					    VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED,
					    ret_progress, error);
}

int libvirt_adjust(struct hypervisor_host *source, const char *uuid, enum move_adjustment adjustment, int64_t value,
		   struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(source);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int result = libvirt_domain_open(host, uuid, &domain, error);

	if (result < 0)
		return result;
	switch (adjustment) {
	case MOVE_ABORT:
		result = virDomainAbortJob(domain);
		break;
	case MOVE_SET_DOWNTIME:
		result = virDomainMigrateSetMaxDowntime(domain, (unsigned long long)value, 0);
		break;
	case MOVE_SET_BANDWIDTH:
		result = virDomainMigrateSetMaxSpeed(domain, (unsigned long)value, 0);
		break;
	case MOVE_PAUSE_GUEST:
		result = virDomainSuspend(domain);
		break;
	case MOVE_START_POSTCOPY:
		result = virDomainMigrateStartPostCopy(domain, 0);
		if (result < 0 && virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID)
			return error_set(error, EOPNOTSUPP, "host %s: %s", host->name, virGetLastErrorMessage());
		break;
	case MOVE_BREAK_POSTCOPY:
		result = virDomainAbortJobFlags(domain, VIR_DOMAIN_ABORT_JOB_POSTCOPY);
		break;
	default:
		return error_set(error, EINVAL, "host %s: unknown adjustment of a migration", host->name);
	}
	return result < 0 ? libvirt_error(host, error, "adjust the migration") : 0;
}
