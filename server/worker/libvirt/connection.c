/* One connection per host that comes back by itself. Its difficulty: an error of the connection says nothing about the
 * guests, so it must be told apart from what the host answered. */
#include "server/worker/libvirt/internal.h"

#include <libvirt/virterror.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "server/settings.h"

void libvirt_cleanup_domain(virDomainPtr *domain)
{
	if (*domain)
		virDomainFree(*domain);
}

void libvirt_cleanup_connection(virConnectPtr *connection)
{
	if (*connection)
		virConnectClose(*connection);
}

static bool is_connection_lost(const virError *cause)
{
	return cause->domain == VIR_FROM_RPC || cause->domain == VIR_FROM_REMOTE || cause->code == VIR_ERR_NO_CONNECT
	       || cause->code == VIR_ERR_AUTH_FAILED || cause->code == VIR_ERR_INVALID_CONN;
}

static int error_number(const virError *cause)
{
	if (is_connection_lost(cause))
		return EHOSTUNREACH;
	switch (cause->code) {
	case VIR_ERR_NO_DOMAIN:
		return ENOENT;
	case VIR_ERR_OPERATION_ABORTED:
		return ECANCELED;
	case VIR_ERR_NO_MEMORY:
		return ENOMEM;
	default:
		return EIO;
	}
}

int libvirt_error(struct libvirt_host *host, struct error *error, const char *what)
{
	const virError *cause = virGetLastError();

	if (!cause)
		return error_set(error, EIO, "host %s: cannot %s: libvirt gave no reason", host->name, what);
	return error_set(error, error_number(cause), "host %s: cannot %s: %s", host->name, what,
			 cause->message ? cause->message : "libvirt gave no reason");
}

int libvirt_connection_open(struct libvirt_host *host, virConnectPtr *ret_connection, struct error *error)
{
	const struct hypervisor_settings *settings = host->driver->settings;
	CLEANUP_CONNECTION virConnectPtr connection = virConnectOpen(host->uri);

	if (!connection) {
		libvirt_error(host, error, "connect");
		if (error)
			error->code = EHOSTUNREACH;
		return -EHOSTUNREACH;
	}
	/* Without keep-alive a call to a silent host would never return. */
	if (virConnectSetKeepAlive(connection, (int)settings->keepalive_interval_s,
				   (unsigned int)settings->keepalive_count)
	    < 0) {
		libvirt_error(host, error, "watch over the connection");
		if (error)
			error->code = EHOSTUNREACH;
		return -EHOSTUNREACH;
	}
	*ret_connection = TAKE_POINTER(connection);
	return 0;
}

int libvirt_connection_get(struct libvirt_host *host, virConnectPtr *ret_connection, struct error *error)
{
	LOCK_SCOPE(&host->mutex);

	if (host->connection && virConnectIsAlive(host->connection) != 1) {
		virConnectClose(host->connection);
		host->connection = NULL;
	}
	if (!host->connection) {
		int result = libvirt_connection_open(host, &host->connection, error);

		if (result < 0)
			return result;
	}
	if (virConnectRef(host->connection) < 0)
		return libvirt_error(host, error, "use the connection");
	*ret_connection = host->connection;
	return 0;
}

void libvirt_connection_close(struct libvirt_host *host)
{
	LOCK_SCOPE(&host->mutex);

	if (host->connection)
		virConnectClose(host->connection);
	host->connection = NULL;
}

int libvirt_domain_find(struct libvirt_host *host, virConnectPtr connection, const char *uuid, virDomainPtr *ret_domain,
			struct error *error)
{
	virDomainPtr domain = virDomainLookupByUUIDString(connection, uuid);

	if (!domain)
		return libvirt_error(host, error, "find the guest");
	*ret_domain = domain;
	return 0;
}

int libvirt_domain_get(struct libvirt_host *host, const char *uuid, virDomainPtr *ret_domain, struct error *error)
{
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	int result = libvirt_connection_get(host, &connection, error);

	if (result < 0)
		return result;
	return libvirt_domain_find(host, connection, uuid, ret_domain, error);
}
