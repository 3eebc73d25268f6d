/* The listener: HTTP in, one call of the API room for each request, its reply out. The only place that sees
 * libmicrohttpd. A request that must wait is suspended and holds no thread.
 */
#pragma once

#include "server/settings.h"

struct api;
struct error;
struct http_measures;
struct listener;
struct log;
struct probes;
struct sockaddr_storage;

/* All borrowed until listener_stop. */
struct listener_parts {
	struct api *api;
	const struct probes *probes; /* NULL: only whether we live is answered */
	struct http_measures *measures; /* NULL: nobody measures */
	struct log *log;
};

/* Listens at once. The settings' texts are borrowed until listener_stop. -EADDRINUSE and other numbers of bind and of the
 * certificate's files. */
int listener_start(const struct listener_settings *settings, const struct listener_parts *parts,
		   struct listener **ret_listener, struct error *error);
/* An address in figures for a socket. -EINVAL: it is none. */
int listener_parse_address(const char *text, int64_t port, struct sockaddr_storage *ret_address, struct error *error);
/* The port that is listened on (for port 0). */
int listener_port(const struct listener *listener);
/* How long the request that a thread has been at the longest has held it; 0: none does. A request that waits holds none. */
int64_t listener_busy_ms(struct listener *listener);
/* Takes no new connection, lets requests in flight end for at most the drain time, answers the rest with 503, and
 * releases everything. The api must still be there. */
void listener_stop(struct listener *listener);
