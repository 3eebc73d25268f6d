/* The operator's own door into a running daemon: a unix socket for root (and the daemon's own user) alone.
 *
 * One request a connection, a line of JSON each way:
 *     {"verb": "host list"}                                              {"hosts": [{"name": …, "uri": …, …}]}
 *     {"verb": "host add", "name": N, "uri": U, "migration_address": A}  {}
 *     {"verb": "host remove", "name": N, "is_gone": true}                {}
 *     {"verb": "host show", "name": N, "may_be_missing": true}           {"host": {"name": N, "state": …, "chores": […], …} or null}
 *     {"verb": "host disable", "name": N, "reason": R}                   {}
 *     {"verb": "host enable", "name": N}                                 {}
 *     {"verb": "migration show", "migration": N or UUID}                 {"migration": {"id": N, "server": …, "status": …, …}}
 *     {"verb": "doctor"}                                                 {"findings": [{"invariant": …, …}], "broken": N, …}
 *     {"verb": "ping"}                                                   {"port": N}
 * `is_gone` and `may_be_missing` may be left out. The members of a host are those of admin_host.c, of a migration those of
 * admin_migration.c; rates are there while the guest moves.
 * Those of the doctor's answer are in admin_doctor.h; it may take ADMIN_DOCTOR_LIMIT_S, and others are served meanwhile.
 * A refusal is {"error": "why", "code": 409}: 409 for what is in the way there (a name that is taken, servers and moves on a host),
 * 404 for what is not there, 400 for what was asked wrongly, else 500.
 */
#pragma once

struct admin_socket;
struct database;
struct error;
struct hypervisor;
struct registry_settings;
struct log;
struct worker;

/* How long a client waits for most answers. */
#define ADMIN_SOCKET_LIMIT_S 5

/* All borrowed until stop. */
struct admin_socket_parts {
	struct database *database;
	struct hypervisor *hypervisor; /* NULL: the doctor's question is refused */
	struct worker *worker; /* NULL: no rates are told */
	struct log *log;
};

/* Replaces a socket file that nobody listens on; -EADDRINUSE when a daemon does. `settings` are borrowed likewise. */
int admin_socket_start(const char *path, const struct admin_socket_parts *parts,
		       const struct registry_settings *settings, struct admin_socket **ret_socket, struct error *error);
/* Where the service's listener is, for those who ask on this machine. Thread-safe. */
void admin_socket_set_port(struct admin_socket *admin, int port);
/* From now on hosts that are added get these settings, which are borrowed as the first were. */
void admin_socket_renew(struct admin_socket *admin, const struct registry_settings *settings);
void admin_socket_stop(struct admin_socket *admin);

/* The client's side: sends a line and reads the answer (heap, the caller's). */
int admin_socket_ask(const char *path, const char *request, char **ret_answer, struct error *error);
/* The same for an answer that may take so long. */
int admin_socket_ask_within(const char *path, const char *request, int limit_s, char **ret_answer, struct error *error);
