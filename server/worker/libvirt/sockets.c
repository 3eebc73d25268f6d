/* Sockets of libvirt's connections. Its two difficulties: numbers of descriptors are used again at once by any thread, so that
 * what a number is is looked at right before it is used; and a descriptor of a file must never be duplicated and closed here,
 * since the close of any descriptor of a file takes away all of this process's locks on it, SQLite's on the database too. */
#include "server/worker/libvirt/sockets.h"

#include <dirent.h>
#include <libxml/uri.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#define TURN_WAIT_MS 2000
#define SEARCHES_MAX 1024

enum peer_kind {
	PEER_ADDRESS, /* an address of the URI's host, and a port */
	PEER_NAMELESS, /* the other end of a pair of sockets, which a child has */
	PEER_PATH, /* libvirtd's socket on this machine */
};

/* By the part of the scheme behind the plus; of one without, a host's name decides. */
static const struct transport {
	const char *name;
	enum peer_kind peer;
	int port; /* where the URI gives none */
} transports[] = {
	{ "tcp", PEER_ADDRESS, 16509 }, { "tls", PEER_ADDRESS, 16514 },  { "ssh", PEER_NAMELESS, 0 },
	{ "libssh", PEER_ADDRESS, 22 }, { "libssh2", PEER_ADDRESS, 22 }, { "unix", PEER_PATH, 0 },
};

struct socket_search {
	const struct transport *transport;
	struct addrinfo *addresses; /* of PEER_ADDRESS */
	char turn[300]; /* searches of the same wait for each other */
	bool has_turn;
	ino_t *before; /* the sockets that were there */
	size_t before_count;
};

/* The turns that are taken, in this process. */
static struct {
	pthread_mutex_t mutex;
	pthread_once_t once;
	pthread_cond_t changed;
	const struct socket_search *holders[SEARCHES_MAX];
} turns = { .mutex = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT };

static void init_turns(void)
{
	clock_condition_init(&turns.changed);
}

/* A free place; NULL: somebody has the turn, or all places are taken. With the mutex held. */
static const struct socket_search **free_place(const struct socket_search *search)
{
	const struct socket_search **place = NULL;

	for (size_t i = 0; i < SEARCHES_MAX; i++) {
		if (!turns.holders[i])
			place = place ? place : &turns.holders[i];
		else if (text_equal(turns.holders[i]->turn, search->turn))
			return NULL;
	}
	return place;
}

/* Without it the search goes on: it only may find two sockets, and then takes none. */
static void take_turn(struct socket_search *search)
{
	int64_t deadline_ms = clock_monotonic_ms(clock_system()) + TURN_WAIT_MS;
	const struct socket_search **place;

	pthread_once(&turns.once, init_turns);
	LOCK_SCOPE(&turns.mutex);

	while (!(place = free_place(search)))
		if (!clock_wait(clock_system(), &turns.changed, &turns.mutex, deadline_ms))
			return;
	*place = search;
	search->has_turn = true;
}

static void give_turn(const struct socket_search *search)
{
	LOCK_SCOPE(&turns.mutex);

	for (size_t i = 0; i < SEARCHES_MAX; i++)
		if (turns.holders[i] == search)
			turns.holders[i] = NULL;
	pthread_cond_broadcast(&turns.changed);
}

static const struct transport *transport_of(const char *scheme, const char *server)
{
	const char *plus = scheme ? strchr(scheme, '+') : NULL;
	const char *name = plus ? plus + 1 : server && *server ? "tls" : "unix";

	for (size_t i = 0; i < ARRAY_LENGTH(transports); i++)
		if (text_equal(transports[i].name, name))
			return &transports[i];
	return NULL;
}

/* False: nothing can be found of such a URI. */
static bool find_peer(struct socket_search *search, const char *text)
{
	xmlURIPtr uri = xmlParseURI(text);
	const char *server = uri && uri->server ? uri->server : "";
	char host[NI_MAXHOST] = "", port[16];

	search->transport = uri ? transport_of(uri->scheme, server) : NULL;
	bool is_found = search->transport != NULL;

	if (is_found && search->transport->peer == PEER_ADDRESS) {
		size_t brackets = *server == '[';
		snprintf(host, sizeof(host), "%.*s", (int)strcspn(server + brackets, "]"), server + brackets);
		snprintf(port, sizeof(port), "%d", uri->port > 0 ? uri->port : search->transport->port);
		snprintf(search->turn, sizeof(search->turn), "%.250s %s", host, port);
		is_found = getaddrinfo(host, port, &(struct addrinfo){ .ai_socktype = SOCK_STREAM }, &search->addresses)
			   == 0;
	} else if (is_found) {
		TEXT_COPY(search->turn, search->transport->name);
	}
	xmlFreeURI(uri);
	return is_found;
}

static bool is_address(const struct sockaddr_storage *peer, const struct addrinfo *address)
{
	if (peer->ss_family != address->ai_family)
		return false;
	if (peer->ss_family == AF_INET) {
		const struct sockaddr_in *a = (const void *)peer, *b = (const void *)address->ai_addr;

		return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
	}
	const struct sockaddr_in6 *a = (const void *)peer, *b = (const void *)address->ai_addr;

	return peer->ss_family == AF_INET6 && a->sin6_port == b->sin6_port
	       && memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0;
}

/* Of a socket of the UNIX family: whether that end has a name. */
static bool has_name(const struct sockaddr_storage *address, socklen_t length)
{
	return length > offsetof(struct sockaddr_un, sun_path) && ((const struct sockaddr_un *)address)->sun_path[0];
}

static bool is_peer(const struct socket_search *search, int descriptor)
{
	struct sockaddr_storage peer = { 0 }, own = { 0 };
	socklen_t peer_length = sizeof(peer), own_length = sizeof(own);
	int type = 0;

	if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){ sizeof(type) }) < 0 || type != SOCK_STREAM
	    || getpeername(descriptor, (struct sockaddr *)&peer, &peer_length) < 0
	    || getsockname(descriptor, (struct sockaddr *)&own, &own_length) < 0)
		return false;
	for (const struct addrinfo *one = search->addresses; one; one = one->ai_next)
		if (is_address(&peer, one))
			return true;
	if (search->transport->peer == PEER_ADDRESS || peer.ss_family != AF_UNIX || has_name(&own, own_length))
		return false; /* one that was accepted has the listener's name */
	bool is_named = has_name(&peer, peer_length);

	return search->transport->peer == PEER_PATH
		       ? is_named && strstr(((const struct sockaddr_un *)&peer)->sun_path, "libvirt")
		       : !is_named;
}

/* Whether it is a socket now; then which. */
static bool identify(int descriptor, struct libvirt_socket *ret_socket)
{
	struct stat status;

	if (fstat(descriptor, &status) < 0 || !S_ISSOCK(status.st_mode))
		return false;
	ret_socket->device = status.st_dev;
	ret_socket->inode = status.st_ino;
	return true;
}

/* Each socket of this process is shown to `visit`. */
static void each_socket(struct socket_search *search,
			void (*visit)(struct socket_search *search, int descriptor, const struct libvirt_socket *socket,
				      void *context),
			void *context)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;
	int64_t number;

	while (folder && (entry = readdir(folder))) {
		if (!text_to_int64(entry->d_name, 0, INT32_MAX, &number))
			continue;
		struct libvirt_socket socket = { .descriptor = (int)number };

		if (identify(socket.descriptor, &socket))
			visit(search, socket.descriptor, &socket, context);
	}
	if (folder)
		closedir(folder);
}

static void remember(struct socket_search *search, int descriptor, const struct libvirt_socket *socket, void *context)
{
	bool *is_complete = context;
	ino_t *grown = realloc(search->before, (search->before_count + 1) * sizeof(*grown));

	(void)descriptor;
	if (!grown) {
		*is_complete = false;
		return;
	}
	search->before = grown;
	search->before[search->before_count++] = socket->inode;
}

struct candidates {
	struct libvirt_socket socket;
	size_t count;
};

static void consider(struct socket_search *search, int descriptor, const struct libvirt_socket *socket, void *context)
{
	struct candidates *candidates = context;

	for (size_t i = 0; i < search->before_count; i++)
		if (search->before[i] == socket->inode)
			return;
	if (!is_peer(search, descriptor))
		return;
	candidates->socket = *socket;
	candidates->count++;
}

static void search_free(struct socket_search *search)
{
	if (search->has_turn)
		give_turn(search);
	if (search->addresses)
		freeaddrinfo(search->addresses);
	free(search->before);
	free(search);
}

struct socket_search *socket_search_begin(const char *uri)
{
	struct socket_search *search = calloc(1, sizeof(*search));
	bool is_complete = true;

	if (!search)
		return NULL;
	if (find_peer(search, uri)) {
		take_turn(search);
		each_socket(search, remember, &is_complete);
		if (is_complete)
			return search;
	}
	search_free(search);
	return NULL;
}

struct libvirt_socket socket_search_end(struct socket_search *search, bool is_open)
{
	struct candidates candidates = { .socket.descriptor = -1 };

	if (!search)
		return candidates.socket;
	if (is_open)
		each_socket(search, consider, &candidates);
	if (candidates.count != 1)
		candidates.socket.descriptor = -1;
	search_free(search);
	return candidates.socket;
}

void libvirt_sockets_init(struct libvirt_sockets *sockets)
{
	*sockets = (struct libvirt_sockets){ 0 };
	pthread_mutex_init(&sockets->mutex, NULL);
}

void libvirt_sockets_finish(struct libvirt_sockets *sockets)
{
	pthread_mutex_destroy(&sockets->mutex);
	free(sockets->items);
}

/* Whether its number still is that socket. */
static bool is_still_open(const struct libvirt_socket *socket)
{
	struct libvirt_socket found;

	return identify(socket->descriptor, &found) && found.device == socket->device && found.inode == socket->inode;
}

void libvirt_sockets_add(struct libvirt_sockets *sockets, const struct libvirt_socket *added)
{
	size_t count = 0;
	LOCK_SCOPE(&sockets->mutex);

	for (size_t i = 0; i < sockets->count; i++)
		if (is_still_open(&sockets->items[i]))
			sockets->items[count++] = sockets->items[i];
	sockets->count = count;
	if (added->descriptor < 0)
		return;
	struct libvirt_socket *grown = realloc(sockets->items, (count + 1) * sizeof(*grown));
	if (!grown)
		return;
	grown[count] = *added;
	sockets->items = grown;
	sockets->count = count + 1;
}

void libvirt_sockets_shut_down(struct libvirt_sockets *sockets)
{
	LOCK_SCOPE(&sockets->mutex);

	for (size_t i = 0; i < sockets->count; i++)
		if (is_still_open(&sockets->items[i]))
			shutdown(sockets->items[i].descriptor, SHUT_RDWR);
}
