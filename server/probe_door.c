/* The monitors' door: a small server of one thread, so that nobody who asks here can keep the API's threads busy. */
#include "server/probe_door.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/listener.h"
#include "server/probes.h"

#define CONNECTIONS_MAX 64U
#define IDLE_TIMEOUT_S  30U
#define MEMORY_BYTES    ((size_t)16384)

struct probe_door {
	struct MHD_Daemon *daemon;
	const struct probes *probes;
	struct http_measures *measures;
};

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct api_reply *reply)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(reply->body_size, reply->body ? reply->body : (void *)(uintptr_t) "",
						reply->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);

	if (!response) {
		free(reply->body);
		return MHD_NO; /* closes the connection */
	}
	for (size_t i = 0; i < reply->header_count; i++)
		MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
	enum MHD_Result result = MHD_queue_response(connection, (unsigned int)reply->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url, const char *method,
			      const char *version, const char *upload, size_t *upload_size, void **state)
{
	struct probe_door *door = context;
	const struct probe_request request = {
		.method = method,
		.target = url,
		.is_near = true,
		.is_own_door = true,
	};
	struct api_reply reply = { .status = 404 };
	enum http_probe probe = HTTP_PROBE_MAX;
	static const char begun;

	(void)version;
	(void)upload;
	if (!*state || *upload_size) { /* the head came, or a body, which nobody wants */
		*state = (void *)(uintptr_t)&begun;
		*upload_size = 0;
		return MHD_YES;
	}
	int64_t begun_us = clock_measure_us();
	bool is_probe = probes_answer(door->probes, &request, &reply, &probe);
	http_measures_answer(door->measures, is_probe ? http_measures_probe(door->measures, probe) : 0, reply.status,
			     clock_measure_us() - begun_us);
	return send_reply(connection, &reply);
}

int probe_door_start(const char *address, int64_t port, const struct probes *probes, struct http_measures *measures,
		     struct probe_door **ret_door, struct error *error)
{
	struct probe_door *door = calloc(1, sizeof(*door));
	struct sockaddr_storage socket_address;
	int result = door ? listener_parse_address(address, port, &socket_address, error) : error_no_memory(error);

	if (result < 0) {
		free(door);
		return result;
	}
	door->probes = probes;
	door->measures = measures;
	door->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | (socket_address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0U), 0, NULL,
		NULL, answer, door, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&socket_address,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_END);
	if (!door->daemon) {
		free(door);
		return error_set_errno(error, errno ? errno : EIO, "cannot listen on %s port %d for metrics", address,
				       (int)port);
	}
	*ret_door = door;
	return 0;
}

int probe_door_port(const struct probe_door *door)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_BIND_PORT);

	return info ? info->port : 0;
}

void probe_door_stop(struct probe_door *door)
{
	if (!door)
		return;
	MHD_stop_daemon(door->daemon);
	free(door);
}
