/* HTTP by hand, over a socket. */
#include "tests/unit/http_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

int connect_to_port(int port, const char *own_address)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in own = { .sin_family = AF_INET };
	const struct timeval patience = { .tv_sec = 10 };
	int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, own_address, &own.sin_addr);
	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(bind(connection, (struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(connect(connection, (struct sockaddr *)&address, sizeof(address)), 0);
	return connection;
}

void send_text(int connection, const char *text)
{
	assert_int_equal(send(connection, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void read_response(int connection, char *ret_text, size_t size)
{
	size_t length = 0;

	for (;;) {
		ssize_t step = recv(connection, ret_text + length, size - 1 - length, 0);
		if (step <= 0)
			fail_msg("no whole response: %.*s", (int)length, ret_text);
		length += (size_t)step;
		ret_text[length] = '\0';
		const char *end = strstr(ret_text, "\r\n\r\n");
		const char *header = strcasestr(ret_text, "Content-Length: ");
		if (end && header && length >= (size_t)(end - ret_text) + 4 + strtoul(header + 16, NULL, 10))
			return;
	}
}

bool is_readable(int connection, int for_ms)
{
	struct pollfd wait = { .fd = connection, .events = POLLIN };

	return poll(&wait, 1, for_ms) > 0;
}

bool is_closed(int connection, int for_ms)
{
	char byte;

	return is_readable(connection, for_ms) && recv(connection, &byte, 1, 0) <= 0;
}
