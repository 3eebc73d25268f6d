/* The socket of a libvirt connection is found by its peer, and shut down only while it is that very socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/worker/libvirt/sockets.h"

/* A listener on 127.0.0.1 that stands for libvirtd. */
struct server {
	int listener;
	struct sockaddr_in address;
	char uri[64];
};

static int begin(void **state)
{
	static struct server server;
	socklen_t length = sizeof(server.address);

	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	server.address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(server.listener, (struct sockaddr *)&server.address, length), 0);
	assert_int_equal(listen(server.listener, 8), 0);
	assert_int_equal(getsockname(server.listener, (struct sockaddr *)&server.address, &length), 0);
	snprintf(server.uri, sizeof(server.uri), "qemu+tcp://root@127.0.0.1:%d/system", ntohs(server.address.sin_port));
	*state = &server;
	return 0;
}

static int end(void **state)
{
	const struct server *server = *state;

	close(server->listener);
	return 0;
}

static int connect_to(const struct server *server)
{
	int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(descriptor, (const struct sockaddr *)&server->address, sizeof(server->address)), 0);
	return descriptor;
}

/* Whether a read on it ends at once, as for a call that waits for its answer. */
static bool is_shut_down(int descriptor)
{
	char byte;

	return recv(descriptor, &byte, 1, MSG_DONTWAIT) == 0;
}

static void the_socket_of_a_connection_is_found_and_shut_down_alone(void **state)
{
	const struct server *server = *state;
	struct libvirt_sockets sockets;
	CLEANUP_CLOSE int earlier = connect_to(server);
	CLEANUP_CLOSE int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct socket_search *search = socket_search_begin(server->uri);
	CLEANUP_CLOSE int connection = connect_to(server);
	struct sockaddr_in other = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(other);

	/* A connection to somebody else that another thread opens meanwhile. */
	assert_int_equal(bind(listener, (struct sockaddr *)&other, sizeof(other)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&other, &length), 0);
	CLEANUP_CLOSE int foreign = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(foreign, (struct sockaddr *)&other, sizeof(other)), 0);

	struct libvirt_socket found = socket_search_end(search, true);
	assert_int_equal(found.descriptor, connection);
	libvirt_sockets_init(&sockets);
	libvirt_sockets_add(&sockets, &found);
	libvirt_sockets_shut_down(&sockets);
	assert_true(is_shut_down(connection));
	assert_false(is_shut_down(earlier));
	assert_false(is_shut_down(foreign));
	libvirt_sockets_finish(&sockets);
}

static void of_two_sockets_to_the_host_none_is_taken(void **state)
{
	const struct server *server = *state;
	struct socket_search *search = socket_search_begin(server->uri);
	CLEANUP_CLOSE int one = connect_to(server);
	CLEANUP_CLOSE int other = connect_to(server);

	assert_true(one >= 0 && other >= 0);
	assert_int_equal(socket_search_end(search, true).descriptor, -1);
}

static void a_connection_that_did_not_open_has_no_socket(void **state)
{
	const struct server *server = *state;
	struct socket_search *search = socket_search_begin(server->uri);
	CLEANUP_CLOSE int one = connect_to(server);

	assert_true(one >= 0);
	assert_int_equal(socket_search_end(search, false).descriptor, -1);
	assert_int_equal(socket_search_end(socket_search_begin("test:///default"), true).descriptor, -1);
	assert_null(socket_search_begin("no URI at all"));
	assert_int_equal(socket_search_end(NULL, true).descriptor, -1);
}

/* libvirt takes a server without a transport for TLS. */
static void a_uri_without_a_transport_leads_to_its_server(void **state)
{
	const struct server *server = *state;
	char uri[64];

	snprintf(uri, sizeof(uri), "qemu://127.0.0.1:%d/system", ntohs(server->address.sin_port));
	struct socket_search *search = socket_search_begin(uri);
	CLEANUP_CLOSE int connection = connect_to(server);
	assert_int_equal(socket_search_end(search, true).descriptor, connection);
	search = socket_search_begin("qemu:///system"); /* of a path: not of that server */
	CLEANUP_CLOSE int other = connect_to(server);
	assert_true(other >= 0);
	assert_int_equal(socket_search_end(search, true).descriptor, -1);
}

/* Where the sockets of this process lead to, for a test that may have no IPv6; port 0: where they do. */
static struct sockaddr_in6 fake_peer;

int __real_getpeername(int descriptor, struct sockaddr *address, socklen_t *length);
int __wrap_getpeername(int descriptor, struct sockaddr *address, socklen_t *length);

int __wrap_getpeername(int descriptor, struct sockaddr *address, socklen_t *length)
{
	if (fake_peer.sin6_port == 0)
		return __real_getpeername(descriptor, address, length);
	assert_true(*length >= sizeof(fake_peer));
	memcpy(address, &fake_peer, sizeof(fake_peer));
	*length = sizeof(fake_peer);
	return 0;
}

static void a_peer_by_ipv6_is_told_by_its_address_and_its_port(void **state)
{
	static const struct {
		in_port_t port;
		uint8_t last; /* of the address's bytes */
		bool is_found;
	} peers[] = { { 16514, 1, true }, { 16509, 1, false }, { 16514, 2, false } };
	const struct server *server = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(peers); i++) {
		struct socket_search *search = socket_search_begin("qemu+tls://[2001:db8::1]/system");
		CLEANUP_CLOSE int connection = connect_to(server);

		fake_peer = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(peers[i].port) };
		assert_int_equal(inet_pton(AF_INET6, "2001:db8::", &fake_peer.sin6_addr), 1);
		fake_peer.sin6_addr.s6_addr[15] = peers[i].last;
		assert_int_equal(socket_search_end(search, true).descriptor, peers[i].is_found ? connection : -1);
		fake_peer.sin6_port = 0;
	}
}

struct second_search {
	const struct server *server;
	atomic_bool has_begun;
	int connection, found;
};

static void *search_second(void *context)
{
	struct second_search *second = context;
	struct socket_search *search = socket_search_begin(second->server->uri);

	atomic_store(&second->has_begun, true);
	second->connection = connect_to(second->server);
	second->found = socket_search_end(search, true).descriptor;
	return NULL;
}

/* Else each would find two, and take none. */
static void searches_for_one_host_wait_for_each_other(void **state)
{
	struct second_search second = { .server = *state };
	struct socket_search *first = socket_search_begin(second.server->uri);
	CLEANUP_CLOSE int connection = connect_to(second.server);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, search_second, &second), 0);
	usleep(200000);
	assert_false(second.has_begun);
	assert_int_equal(socket_search_end(first, true).descriptor, connection);
	pthread_join(thread, NULL);
	assert_int_equal(second.found, second.connection);
	close(second.connection);
}

static void a_number_that_was_used_again_is_left_alone(void **state)
{
	const struct server *server = *state;
	struct libvirt_sockets sockets;
	struct socket_search *search = socket_search_begin(server->uri);
	CLEANUP_CLOSE int connection = connect_to(server);
	struct libvirt_socket found = socket_search_end(search, true);
	CLEANUP_CLOSE int stranger = connect_to(server);

	assert_int_equal(found.descriptor, connection);
	libvirt_sockets_init(&sockets);
	libvirt_sockets_add(&sockets, &found);
	assert_int_equal(dup2(stranger, connection), connection);
	libvirt_sockets_shut_down(&sockets);
	assert_false(is_shut_down(stranger));
	libvirt_sockets_add(&sockets, &(struct libvirt_socket){ .descriptor = -1 });
	assert_int_equal(sockets.count, 0);
	libvirt_sockets_finish(&sockets);
}

static void a_connection_by_ssh_is_the_one_nameless_pair(void **state)
{
	int pair[2], others[2];

	(void)state;
	struct socket_search *search = socket_search_begin("qemu+ssh://root@host.example/system");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]); /* the child has it */
	struct libvirt_socket found = socket_search_end(search, true);
	assert_int_equal(found.descriptor, pair[0]);

	search = socket_search_begin("qemu+ssh://root@host.example/system");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, others), 0);
	assert_int_equal(socket_search_end(search, true).descriptor, -1);
	close(pair[0]);
	close(others[0]);
	close(others[1]);
}

/* Whether another process finds the file locked. */
static bool is_locked_for_others(int descriptor)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

		_exit(fcntl(descriptor, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status == 0;
}

/* Closing any descriptor of a file gives up all of the process's locks on it: SQLite's, on the database. */
static void a_search_for_sockets_leaves_the_locks_of_files_alone(void **state)
{
	char path[] = "/tmp/migrationd-lock.XXXXXX";
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int descriptor = mkstemp(path);

	(void)state;
	assert_true(descriptor >= 0);
	unlink(path);
	assert_int_equal(fcntl(descriptor, F_SETLK, &lock), 0);
	assert_true(is_locked_for_others(descriptor));
	socket_search_end(socket_search_begin("qemu+tcp://127.0.0.1/system"), true);
	assert_true(is_locked_for_others(descriptor));
	close(descriptor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_socket_of_a_connection_is_found_and_shut_down_alone, begin, end),
		cmocka_unit_test_setup_teardown(of_two_sockets_to_the_host_none_is_taken, begin, end),
		cmocka_unit_test_setup_teardown(a_connection_that_did_not_open_has_no_socket, begin, end),
		cmocka_unit_test_setup_teardown(a_uri_without_a_transport_leads_to_its_server, begin, end),
		cmocka_unit_test_setup_teardown(a_peer_by_ipv6_is_told_by_its_address_and_its_port, begin, end),
		cmocka_unit_test_setup_teardown(searches_for_one_host_wait_for_each_other, begin, end),
		cmocka_unit_test_setup_teardown(a_number_that_was_used_again_is_left_alone, begin, end),
		cmocka_unit_test(a_connection_by_ssh_is_the_one_nameless_pair),
		cmocka_unit_test(a_search_for_sockets_leaves_the_locks_of_files_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
