/* What the files of the libvirt driver share: the handle of a host and the way to a guest on it. */
#pragma once

#include <libvirt/libvirt.h>
#include <pthread.h>
#include <stdatomic.h>

#include "server/worker/hypervisor.h"
#include "server/worker/libvirt/sockets.h"

struct cpu_verdicts;
struct hypervisor_settings;
struct log;

#define CAPABILITIES_DIGEST_BYTES 32 /* SHA-256 */

struct libvirt_driver {
	struct hypervisor base;
	const struct hypervisor_settings *settings;
	struct log *log;
	pthread_t event_thread;
	atomic_bool is_ending;
	int wake_timer; /* lets the event loop look at is_ending */
	/* Marker volumes are named by who made them, and in which run: what an earlier run left by a crash can be told. */
	char *marker_of_node; /* migrationd-marker-NODE- */
	char *marker_of_run; /* the same, and the run's id */
	atomic_ullong connection_count; /* opened so far, of all hosts: each has its number */
	struct cpu_verdicts *cpu_verdicts; /* see cpu.h */
	pthread_mutex_t watch_mutex; /* guards the following, also while it is called */
	hypervisor_event_fn on_event; /* NULL: nobody watches */
	void *event_context;
};

struct libvirt_host {
	struct hypervisor_host base;
	struct libvirt_driver *driver;
	char *name;
	char *uri; /* ours, with our certificates */
	char *peer_uri; /* that another host's libvirtd gets */
	char *user_name; /* SASL; NULL: none */
	char *password_file;
	pthread_mutex_t mutex; /* guards connection */
	virConnectPtr connection; /* NULL until first needed, and after it broke */
	unsigned long long connection_number; /* of the connection; guarded as that is, and the two below, too */
	bool has_capabilities; /* they were read over this connection, and this is their digest */
	unsigned char capabilities[CAPABILITIES_DIGEST_BYTES];
	struct libvirt_sockets sockets; /* of all its connections, to interrupt what does not return */
	struct libvirt_opening *opening; /* of a connection, by a thread that still waits; NULL: none */
	bool is_listening; /* on the connection; guarded as that is */
	int callback;
	bool is_swept; /* of markers that an earlier run left; discovery's alone */
};

static inline struct libvirt_host *libvirt_host_of(struct hypervisor_host *host)
{
	return (struct libvirt_host *)host;
}

void libvirt_cleanup_domain(virDomainPtr *domain);
void libvirt_cleanup_connection(virConnectPtr *connection);
#define CLEANUP_DOMAIN     __attribute__((cleanup(libvirt_cleanup_domain)))
#define CLEANUP_CONNECTION __attribute__((cleanup(libvirt_cleanup_connection)))

/* A reference to the host's living connection, opened anew when it broke; -EHOSTUNREACH when it cannot be. */
int libvirt_connection_get(struct libvirt_host *host, virConnectPtr *ret_connection, struct error *error);
/* A connection of the caller's own, for a call that lasts: while one waits for such an answer, libvirt 9 may leave the call of
 * another thread over the same connection unsent until something comes in. -EHOSTUNREACH when it cannot be opened. */
int libvirt_connection_open(struct libvirt_host *host, virConnectPtr *ret_connection, struct error *error);
int libvirt_domain_find(struct libvirt_host *host, virConnectPtr connection, const char *uuid, virDomainPtr *ret_domain,
			struct error *error);
/* The guest there; -ENOENT when the host answered that there is none. */
int libvirt_domain_get(struct libvirt_host *host, const char *uuid, virDomainPtr *ret_domain, struct error *error);
/* The same over a connection of its own, for calls that wait for the guest's QEMU: one that hangs delays no other guest. */
int libvirt_domain_open(struct libvirt_host *host, const char *uuid, virDomainPtr *ret_domain, struct error *error);
/* Turns libvirt's last error of this thread into ours: what failed, on which host, why. */
int libvirt_error(struct libvirt_host *host, struct error *error, const char *what);
void libvirt_connection_close(struct libvirt_host *host);

/* What a host showed of a guest, with libvirt's own numbers, by which a later question tells whether it changed. */
struct libvirt_sighting {
	struct guest_view view;
	int state, reason; /* virDomainState and its reason */
};

/* As libvirt_look, of a guest that was found; -ENOENT when it went meanwhile. */
int libvirt_inspect(struct libvirt_host *host, virDomainPtr domain, struct libvirt_sighting *ret_sighting,
		    struct error *error);
/* Whether a guest in that state (virDomainState) has a QEMU that can be asked. */
bool libvirt_has_monitor(int state);
/* Whether the guest's monitor is in use, and since when: answered at once, also by a libvirtd whose guest hangs. Filled with
 * VIR_DOMAIN_CONTROL_OK where there is no monitor. */
int libvirt_ask_control(struct libvirt_host *host, virDomainPtr domain, virDomainControlInfoPtr ret_control,
			struct error *error);
/* Ends the guest's QEMU; 0 once the guest is off or, without a definition, gone. */
int libvirt_switch_off(struct libvirt_host *host, virDomainPtr domain, struct error *error);

int libvirt_look(struct hypervisor_host *base, const char *uuid, struct guest_view *ret_view, struct error *error);
int libvirt_stop_guest(struct hypervisor_host *base, const char *uuid, int64_t graceful_ms, struct error *error);
int libvirt_start_guest(struct hypervisor_host *base, const char *uuid, bool is_paused, struct error *error);
int libvirt_pause_guest(struct hypervisor_host *base, const char *uuid, struct error *error);
int libvirt_save_guest(struct hypervisor_host *base, const char *uuid, struct error *error);
int libvirt_forget_saved(struct hypervisor_host *base, const char *uuid, struct error *error);
int libvirt_read_definition(struct hypervisor_host *base, const char *uuid, char **ret_definition, bool *ret_autostart,
			    struct error *error);
int libvirt_define(struct hypervisor_host *base, const char *definition, bool has_autostart, struct error *error);
int libvirt_set_autostart(struct hypervisor_host *base, const char *uuid, bool has_autostart, struct error *error);
int libvirt_remove_guest(struct hypervisor_host *base, const char *uuid, unsigned int states, struct error *error);
void libvirt_interrupt(struct hypervisor_host *base);
