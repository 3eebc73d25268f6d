/* The sockets of libvirt's connections, so that a call that does not return can be made to: libvirt itself has no call for that.
 *
 * libvirt does not tell which socket it opened. It is found as the one that appeared while the connection was opened and whose
 * peer is the URI's host; where there is more than one such, none is taken, and calls over that connection are not interrupted.
 * Of connections by ssh the peer tells nothing: there it is the one pair of nameless sockets that appeared. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A socket of this process; `descriptor` -1: not known. It is not owned: libvirt closes it, and its number may be another file's
 * at any time, so that it is compared by device and inode before it is touched. */
struct libvirt_socket {
	int descriptor;
	dev_t device;
	ino_t inode;
};

/* One opening under way, in the thread that opens. */
struct socket_search;

/* NULL: out of memory, or of a URI without a socket; the rest takes it. Waits a moment where this process opens another
 * connection to the same host. */
struct socket_search *socket_search_begin(const char *uri);
/* Frees the search; `is_open`: the connection stands. */
struct libvirt_socket socket_search_end(struct socket_search *search, bool is_open);

/* Of one handle. Thread-safe; no call waits for a host. */
struct libvirt_sockets {
	pthread_mutex_t mutex; /* guards the following */
	struct libvirt_socket *items;
	size_t count;
};

void libvirt_sockets_init(struct libvirt_sockets *sockets);
void libvirt_sockets_finish(struct libvirt_sockets *sockets);
/* Those that were closed meanwhile are forgotten. Without memory it is not added. */
void libvirt_sockets_add(struct libvirt_sockets *sockets, const struct libvirt_socket *added);
/* Ends both directions of each that is still open: whoever waits for an answer there gets the end of the stream. */
void libvirt_sockets_shut_down(struct libvirt_sockets *sockets);
