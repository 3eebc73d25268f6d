/* Live migration, peer to peer. Its difficulty: the call's answer is only a hint, the truth is what both sides show. */
#include "server/worker/libvirt/migrate.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

static unsigned int flags_of(const struct live_options *options)
{
	unsigned int flags =
		VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE;

	flags |= options->may_postcopy ? VIR_MIGRATE_POSTCOPY : 0U;
	flags |= options->may_auto_converge ? VIR_MIGRATE_AUTO_CONVERGE : 0U;
	flags |= options->has_tls ? VIR_MIGRATE_TLS : 0U;
	flags |= options->parallel_connections > 1 ? VIR_MIGRATE_PARALLEL : 0U;
	flags |= options->is_storage_proven_shared ? VIR_MIGRATE_UNSAFE : 0U;
	return flags;
}

int libvirt_migrate_live(struct hypervisor_host *source_base, struct hypervisor_host *target_base, const char *uuid,
			 const struct live_options *options, bool copies_disks, struct error *error)
{
	struct libvirt_host *source = libvirt_host_of(source_base), *target = libvirt_host_of(target_base);
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	CLEANUP_FREE char *uri = NULL;
	virTypedParameterPtr values = NULL;
	int count = 0, capacity = 0;

	if (copies_disks)
		return error_set(error, ENOTSUP, "host %s: this driver cannot copy disks during a live migration",
				 source->name);
	int result = libvirt_connection_open(source, &connection, error);

	if (result == 0)
		result = libvirt_domain_find(source, connection, uuid, &domain, error);
	if (result < 0)
		return result;
	if (target->migration_address) {
		bool is_ipv6 = strchr(target->migration_address, ':') != NULL;

		uri = text_format("tcp://%s%s%s", is_ipv6 ? "[" : "", target->migration_address, is_ipv6 ? "]" : "");
		if (!uri)
			return error_no_memory(error);
	}
	if ((uri && virTypedParamsAddString(&values, &count, &capacity, VIR_MIGRATE_PARAM_URI, uri) < 0)
	    || (options->bandwidth_mib_s > 0
		&& virTypedParamsAddULLong(&values, &count, &capacity, VIR_MIGRATE_PARAM_BANDWIDTH,
					   (unsigned long long)options->bandwidth_mib_s)
			   < 0)
	    || (options->parallel_connections > 1
		&& virTypedParamsAddInt(&values, &count, &capacity, VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS,
					options->parallel_connections)
			   < 0)
	    || virDomainMigrateToURI3(domain, target->uri, values, (unsigned int)count, flags_of(options)) < 0)
		result = libvirt_error(source, error, "migrate the guest");
	virTypedParamsFree(values, count);
	return result;
}

static int64_t number(virTypedParameterPtr values, int count, const char *name)
{
	unsigned long long value = 0;

	return virTypedParamsGetULLong(values, count, name, &value) == 1 && value <= INT64_MAX ? (int64_t)value : 0;
}

static int read_progress(struct libvirt_host *host, const char *uuid, unsigned int flags,
			 struct move_progress *ret_progress, struct error *error)
{
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	virTypedParameterPtr values = NULL;
	int count = 0, type = 0, state = 0, reason = 0;
	int result = libvirt_domain_get(host, uuid, &domain, error);

	if (result < 0)
		return result;
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
	progress.is_in_postcopy = virDomainGetState(domain, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED
				  && reason == VIR_DOMAIN_PAUSED_POSTCOPY;
	*ret_progress = progress;
	return 0;
}

int libvirt_progress(struct hypervisor_host *source, const char *uuid, struct move_progress *ret_progress,
		     struct error *error)
{
	return read_progress(libvirt_host_of(source), uuid, 0, ret_progress, error);
}

int libvirt_completed(struct hypervisor_host *target, const char *uuid, struct move_progress *ret_progress,
		      struct error *error)
{
	return read_progress(libvirt_host_of(target), uuid,
			     VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED, ret_progress, error);
}

int libvirt_adjust(struct hypervisor_host *source, const char *uuid, enum move_adjustment adjustment, int64_t value,
		   struct error *error)
{
	struct libvirt_host *host = libvirt_host_of(source);
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int result = libvirt_domain_get(host, uuid, &domain, error);

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
		break;
	default:
		return error_set(error, EINVAL, "host %s: unknown adjustment of a migration", host->name);
	}
	return result < 0 ? libvirt_error(host, error, "adjust the migration") : 0;
}
