/* Sends requests over keep-alive connections, one at a time on each, and checks the status of every answer:
 *
 *     bench_load PORT CONNECTIONS SECONDS STATUS REQUESTS [FIRST COUNT]
 *
 * REQUESTS is a file of whole requests, each behind a line with its length in bytes. They are sent in turn until the seconds
 * are over; with FIRST and COUNT only those COUNT, each once. Prints one JSON object: requests, seconds, and the median and
 * the 99th percentile of the times that answers took. Any other status, and a connection that is closed, ends it with 1. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/text.h"

#define CONNECTIONS_MAX 1024
#define HEAD_MAX        8192

struct record {
	char *bytes;
	size_t length;
};

struct connection {
	int socket;
	const struct record *request;
	size_t sent; /* of its bytes */
	double begun; /* s */
	char head[HEAD_MAX + 1];
	size_t head_length;
	size_t body_left;
	bool is_in_body;
	bool is_busy;
};

struct load {
	int64_t port, connection_count, status;
	double seconds;
	struct record *records;
	size_t record_count;
	size_t next, left; /* the next request, and how many may still be sent */
	bool is_each_once;
	struct connection connections[CONNECTIONS_MAX];
	int epoll;
	size_t busy;
	double deadline;
	double *times; /* s, of each answer */
	size_t time_count, time_capacity;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("bench_load: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(1);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void read_records(struct load *load, const char *path)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	size_t length;

	if (!file)
		die("cannot open %s", path);
	while (fscanf(file, "%zu", &length) == 1 && fgetc(file) == '\n') {
		struct record record = { malloc(length), length };
		struct record *grown = reallocarray(load->records, load->record_count + 1, sizeof(record));

		if (!record.bytes || !grown || fread(record.bytes, 1, length, file) != length)
			die("%s: request %zu is not whole", path, load->record_count + 1);
		load->records = grown;
		load->records[load->record_count++] = record;
	}
	if (load->record_count == 0 || !feof(file))
		die("%s: no requests, or a length that is none", path);
}

static void open_connection(struct load *load, struct connection *connection)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)load->port) };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
	int on = 1;

	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	connection->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->socket < 0 || connect(connection->socket, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("cannot connect to port %d: %s", (int)load->port, strerror(errno));
	setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->socket, &event) < 0)
		die("cannot wait for a connection: %s", strerror(errno));
}

/* Requests are small: a socket whose last answer was read has room for one. */
static void send_next(struct load *load, struct connection *connection)
{
	connection->is_busy = false;
	connection->begun = now_s();
	if (load->left == 0 || connection->begun >= load->deadline)
		return;
	const struct record *request = &load->records[load->next];
	load->next = (load->next + 1) % load->record_count;
	load->left -= load->is_each_once;
	connection->head_length = 0;
	connection->is_in_body = false;
	connection->is_busy = true;
	load->busy++;
	if (send(connection->socket, request->bytes, request->length, MSG_NOSIGNAL) != (ssize_t)request->length)
		die("cannot send a request: %s", strerror(errno));
}

static void take_time(struct load *load, double seconds)
{
	if (load->time_count == load->time_capacity) {
		load->time_capacity = load->time_capacity * 2 + 1024;
		load->times = reallocarray(load->times, load->time_capacity, sizeof(*load->times));
		if (!load->times)
			die("out of memory");
	}
	load->times[load->time_count++] = seconds;
}

/* The head is there: its status, and how long the body is. */
static void read_head(const struct load *load, struct connection *connection)
{
	int64_t status = strtol(connection->head + strlen("HTTP/1.1 "), NULL, 10);
	const char *length = strcasestr(connection->head, "\r\ncontent-length:");

	if (!text_starts_with(connection->head, "HTTP/1.1 ") || status != load->status)
		die("status %d was to come, not: %s", (int)load->status, connection->head);
	if (strcasestr(connection->head, "\r\nconnection: close"))
		die("the connection is not kept alive: %s", connection->head);
	if (!length)
		die("an answer tells no length: %s", connection->head);
	connection->body_left = strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
	connection->is_in_body = true;
}

static void finish_answer(struct load *load, struct connection *connection)
{
	take_time(load, now_s() - connection->begun);
	load->busy--;
	send_next(load, connection);
}

static void take_bytes(struct load *load, struct connection *connection, const char *bytes, size_t length)
{
	if (!connection->is_busy)
		die("bytes that nobody asked for: %.*s", (int)(length > 200 ? 200 : length), bytes);
	if (!connection->is_in_body) {
		size_t before = connection->head_length;
		size_t taken = length < HEAD_MAX - before ? length : HEAD_MAX - before;

		memcpy(connection->head + before, bytes, taken);
		connection->head[before + taken] = '\0';
		connection->head_length += taken;
		const char *end = strstr(connection->head, "\r\n\r\n");
		if (!end && connection->head_length < HEAD_MAX)
			return;
		if (!end)
			die("an answer's head has more than %d bytes", HEAD_MAX);
		size_t head_part = (size_t)(end + 4 - connection->head) - before;
		read_head(load, connection);
		length -= head_part;
	}
	if (length > connection->body_left)
		die("an answer is longer than it says");
	connection->body_left -= length;
	if (connection->body_left == 0)
		finish_answer(load, connection);
}

static void run(struct load *load)
{
	static char bytes[1 << 18];
	struct epoll_event events[256];

	for (int64_t i = 0; i < load->connection_count; i++)
		send_next(load, &load->connections[i]);
	while (load->busy > 0) {
		int count = epoll_wait(load->epoll, events, ARRAY_LENGTH(events), 30000);

		if (count == 0)
			die("no answer came for 30 s");
		for (int i = 0; i < count; i++) {
			struct connection *connection = events[i].data.ptr;
			ssize_t length = recv(connection->socket, bytes, sizeof(bytes), 0);

			if (length <= 0)
				die("a connection was closed in the middle");
			take_bytes(load, connection, bytes, (size_t)length);
		}
	}
}

static int compare_times(const void *a, const void *b)
{
	double first = *(const double *)a;
	double second = *(const double *)b;

	return first < second ? -1 : first > second;
}

static bool read_words(struct load *load, int count, char **words)
{
	int64_t first, most;
	char *end;

	if ((count != 6 && count != 8) || !text_to_int64(words[1], 1, 65535, &load->port)
	    || !text_to_int64(words[2], 1, CONNECTIONS_MAX, &load->connection_count)
	    || !text_to_int64(words[4], 100, 599, &load->status))
		return false;
	load->seconds = strtod(words[3], &end);
	if (*end || load->seconds <= 0)
		return false;
	read_records(load, words[5]);
	load->left = 1; /* is not counted down */
	if (count == 6)
		return true;
	load->is_each_once = true;
	if (!text_to_int64(words[6], 0, (int64_t)load->record_count - 1, &first)
	    || !text_to_int64(words[7], 1, (int64_t)load->record_count - first, &most))
		die("%s has %zu requests alone", words[5], load->record_count);
	load->next = (size_t)first;
	load->left = (size_t)most;
	return true;
}

int main(int count, char **words)
{
	static struct load load;

	if (!read_words(&load, count, words)) {
		fprintf(stderr, "usage: %s PORT CONNECTIONS SECONDS STATUS REQUESTS [FIRST COUNT]\n", words[0]);
		return 2;
	}
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (int64_t i = 0; i < load.connection_count; i++)
		open_connection(&load, &load.connections[i]);
	double begun = now_s();
	load.deadline = begun + load.seconds;
	run(&load);
	double seconds = now_s() - begun;
	if (load.time_count == 0)
		die("nothing was answered");
	qsort(load.times, load.time_count, sizeof(*load.times), compare_times);
	printf("{\"requests\": %zu, \"seconds\": %.6f, \"median_us\": %.1f, \"p99_us\": %.1f}\n", load.time_count,
	       seconds, load.times[load.time_count / 2] * 1e6, load.times[load.time_count * 99 / 100] * 1e6);
	return 0;
}
