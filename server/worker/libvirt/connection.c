/* One connection per host that comes back by itself. Its difficulty: an error of the connection says nothing about the
 * guests, so it must be told apart from what the host answered. */
#include "server/worker/libvirt/internal.h"

#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/settings.h"
#include "server/worker/libvirt/events.h"
#include "server/worker/libvirt/login.h"
#include "server/worker/libvirt/tls.h"

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

/* libvirt's open has no time limit, and a host that is silent lets it wait for ever: so it runs in a thread of its own, which
 * may be left to itself. */
struct libvirt_opening {
	char *uri;
	char *user_name; /* NULL: without a login */
	char *password_file;
	pthread_mutex_t mutex; /* guards the following */
	pthread_cond_t ended;
	virConnectPtr connection;
	struct libvirt_socket socket; /* the connection's */
	bool has_ended;
	bool is_left; /* nobody waits any more: it frees itself */
	char trouble[ERROR_TEXT_SIZE];
};

static void opening_free(struct libvirt_opening *opening)
{
	libvirt_cleanup_connection(&opening->connection);
	pthread_cond_destroy(&opening->ended);
	pthread_mutex_destroy(&opening->mutex);
	free(opening->uri);
	free(opening->user_name);
	free(opening->password_file);
	free(opening);
}

static void *open_thread(void *context)
{
	struct libvirt_opening *opening = context;
	struct socket_search *search = socket_search_begin(opening->uri);
	virConnectPtr connection = libvirt_login_open(opening->uri, opening->user_name, opening->password_file);
	const virError *cause = connection ? NULL : virGetLastError();
	struct libvirt_socket socket = socket_search_end(search, connection && virConnectIsAlive(connection) == 1);

	pthread_mutex_lock(&opening->mutex);
	opening->connection = connection;
	opening->socket = socket;
	opening->has_ended = true;
	snprintf(opening->trouble, sizeof(opening->trouble), "%s%s",
		 cause && cause->message ? cause->message : "libvirt gave no reason",
		 cause && cause->message ? tls_explain_connection(cause->message) : "");
	bool is_left = opening->is_left;
	pthread_cond_broadcast(&opening->ended);
	pthread_mutex_unlock(&opening->mutex);
	if (is_left)
		opening_free(opening);
	return NULL;
}

static struct libvirt_opening *opening_begin(const struct libvirt_host *host)
{
	struct libvirt_opening *opening = calloc(1, sizeof(*opening));
	pthread_t thread;

	if (!opening)
		return NULL;
	pthread_mutex_init(&opening->mutex, NULL);
	clock_condition_init(&opening->ended);
	opening->uri = strdup(host->uri);
	opening->user_name = host->user_name ? strdup(host->user_name) : NULL;
	opening->password_file = host->password_file ? strdup(host->password_file) : NULL;
	if (!opening->uri || (host->user_name && !opening->user_name)
	    || (host->password_file && !opening->password_file)
	    || pthread_create(&thread, NULL, open_thread, opening) != 0) {
		opening_free(opening);
		return NULL;
	}
	pthread_detach(thread);
	return opening;
}

/* Who does not want it any more says so once. */
static void opening_leave(struct libvirt_opening *opening)
{
	pthread_mutex_lock(&opening->mutex);
	bool has_ended = opening->has_ended;
	opening->is_left = true;
	pthread_mutex_unlock(&opening->mutex);
	if (has_ended)
		opening_free(opening);
}

/* False when the time was up before. */
static bool opening_wait(struct libvirt_opening *opening, int64_t timeout_s)
{
	int64_t deadline_ms = clock_monotonic_ms(clock_system()) + timeout_s * 1000;
	LOCK_SCOPE(&opening->mutex);

	while (!opening->has_ended)
		if (!clock_wait(clock_system(), &opening->ended, &opening->mutex, deadline_ms))
			break;
	return opening->has_ended;
}

static int out_of_reach(struct libvirt_host *host, const char *trouble, struct error *error)
{
	return error_set(error, EHOSTUNREACH, "host %s: cannot connect: %s", host->name, trouble);
}

/* Goes on with an earlier try that still waits, so that a silent host costs one thread. */
static int open_within(struct libvirt_host *host, struct libvirt_opening **opening, virConnectPtr *ret_connection,
		       struct error *error)
{
	const struct hypervisor_settings *settings = host->driver->settings;

	if (!*opening)
		*opening = opening_begin(host);
	if (!*opening)
		return error_no_memory(error);
	if (!opening_wait(*opening, settings->connect_timeout_s))
		return out_of_reach(host, "it does not answer", error);
	struct libvirt_opening *ended = TAKE_POINTER(*opening);
	CLEANUP_CONNECTION virConnectPtr connection = TAKE_POINTER(ended->connection);
	int result = connection ? 0 : out_of_reach(host, ended->trouble, error);

	libvirt_sockets_add(&host->sockets, &ended->socket);
	opening_leave(ended);
	if (result < 0)
		return result;
	/* Without keep-alive a call to a silent host would never return; a driver in this process has none and needs none. */
	if (virConnectSetKeepAlive(connection, (int)settings->keepalive_interval_s,
				   (unsigned int)settings->keepalive_count)
		    < 0
	    && virGetLastErrorCode() != VIR_ERR_NO_SUPPORT)
		return out_of_reach(host, "keep-alive is refused", error);
	*ret_connection = TAKE_POINTER(connection);
	return 0;
}

int libvirt_connection_open(struct libvirt_host *host, virConnectPtr *ret_connection, struct error *error)
{
	struct libvirt_opening *opening = NULL;
	int result = open_within(host, &opening, ret_connection, error);

	if (opening)
		opening_leave(opening);
	return result;
}

int libvirt_connection_get(struct libvirt_host *host, virConnectPtr *ret_connection, struct error *error)
{
	LOCK_SCOPE(&host->mutex);

	if (host->connection && virConnectIsAlive(host->connection) != 1) {
		libvirt_stop_listening(host);
		virConnectClose(host->connection);
		host->connection = NULL;
	}
	if (!host->connection) {
		int result = open_within(host, &host->opening, &host->connection, error);

		if (result < 0)
			return result;
		host->connection_number = atomic_fetch_add(&host->driver->connection_count, 1) + 1;
		host->has_capabilities = false;
	}
	if (virConnectRef(host->connection) < 0)
		return libvirt_error(host, error, "use the connection");
	*ret_connection = host->connection;
	return 0;
}

void libvirt_interrupt(struct hypervisor_host *base)
{
	libvirt_sockets_shut_down(&libvirt_host_of(base)->sockets);
}

void libvirt_connection_close(struct libvirt_host *host)
{
	LOCK_SCOPE(&host->mutex);

	if (host->connection) {
		libvirt_stop_listening(host);
		virConnectClose(host->connection);
	}
	host->connection = NULL;
	if (host->opening)
		opening_leave(host->opening);
	host->opening = NULL;
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

/* The guest holds its connection, and closes it with itself. */
int libvirt_domain_open(struct libvirt_host *host, const char *uuid, virDomainPtr *ret_domain, struct error *error)
{
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	int result = libvirt_connection_open(host, &connection, error);

	return result < 0 ? result : libvirt_domain_find(host, connection, uuid, ret_domain, error);
}
