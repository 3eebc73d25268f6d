/* libmicrohttpd with epoll and a pool of threads. The one difficulty: a reply may come from another thread before or
 * after the connection was suspended, so each exchange has a lock that decides who queues the response. */
#include "server/listener.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "api/api.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "server/certificate.h"
#include "server/epoll_bound.h"
#include "server/forwarded.h"
#include "server/http_measures.h"
#include "server/probes.h"

struct listener {
	struct MHD_Daemon *daemon;
	const struct listener_settings *settings;
	struct listener_parts parts;
	struct proxies *proxies; /* whose words about the client are believed */
	bool has_tls;
	pthread_mutex_t mutex; /* guards the list of exchanges */
	pthread_cond_t is_empty;
	_Atomic bool is_giving_up; /* nobody begins to wait any more */
	struct exchange *exchanges;
};

/* One request and its reply. Held by the connection and, while the API has it, by the API: freed by the last. */
struct exchange {
	struct listener *listener;
	struct exchange *next, *previous;
	struct MHD_Connection *connection;
	char *target;
	struct text body;
	bool is_begun;
	bool is_too_large;
	_Atomic int64_t held_since_ms; /* a thread has been at it; 0: none is (of the system's clock) */
	bool is_near; /* asked by this machine, or from where metrics may be read */
	int64_t begun_us;
	char method[16];
	char remote[INET6_ADDRSTRLEN]; /* the client's address, as far as it is known */
	struct forwarded forwarded; /* what a trusted proxy says */
	struct api_request request; /* as the API sees it, until its reply */

	pthread_mutex_t mutex;
	int holders;
	bool is_suspended;
	bool is_replied;
	struct api_reply reply;
};

static void list_add(struct listener *listener, struct exchange *exchange)
{
	LOCK_SCOPE(&listener->mutex);
	exchange->next = listener->exchanges;
	if (exchange->next)
		exchange->next->previous = exchange;
	listener->exchanges = exchange;
}

static void list_remove(struct listener *listener, struct exchange *exchange)
{
	LOCK_SCOPE(&listener->mutex);
	if (exchange->previous)
		exchange->previous->next = exchange->next;
	else
		listener->exchanges = exchange->next;
	if (exchange->next)
		exchange->next->previous = exchange->previous;
	if (!listener->exchanges)
		pthread_cond_broadcast(&listener->is_empty);
}

static void exchange_release(struct exchange *exchange)
{
	pthread_mutex_lock(&exchange->mutex);
	int holders = --exchange->holders;
	pthread_mutex_unlock(&exchange->mutex);
	if (holders > 0)
		return;
	pthread_mutex_destroy(&exchange->mutex);
	free(exchange->target);
	free(exchange->reply.body);
	text_clear(&exchange->body);
	free(exchange);
}

/* Called with the raw request target, before anything is decoded: what is allocated here comes to `answer`. */
static void *begin(void *context, const char *target, struct MHD_Connection *connection)
{
	struct listener *listener = context;
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange)
		return NULL;
	exchange->target = strdup(target);
	if (!exchange->target) {
		free(exchange);
		return NULL;
	}
	pthread_mutex_init(&exchange->mutex, NULL);
	exchange->listener = listener;
	exchange->connection = connection;
	exchange->holders = 1;
	exchange->begun_us = clock_measure_us();
	list_add(listener, exchange);
	http_measures_begin(listener->parts.measures);
	return exchange;
}

static void end(void *context, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
	struct exchange *exchange = *state;

	(void)context;
	(void)connection;
	(void)why;
	if (!exchange)
		return;
	*state = NULL;
	http_measures_end(exchange->listener->parts.measures);
	list_remove(exchange->listener, exchange);
	exchange_release(exchange);
}

struct header_search {
	const char *name;
	const char *value;
};

static enum MHD_Result compare_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct header_search *search = context;

	(void)kind;
	if (strcasecmp(name, search->name) == 0)
		search->value = value ? value : "";
	return MHD_YES;
}

static const char *find_header(const void *context, const char *name)
{
	const struct exchange *exchange = context;
	struct header_search search = { .name = name };

	MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, compare_header, &search);
	return search.value;
}

static void take_reply(void *context, struct api_reply *reply)
{
	struct exchange *exchange = context;

	pthread_mutex_lock(&exchange->mutex);
	if (!exchange->is_replied) {
		exchange->reply = *reply;
		reply->body = NULL;
		exchange->is_replied = true;
		if (exchange->is_suspended)
			MHD_resume_connection(exchange->connection);
	}
	pthread_mutex_unlock(&exchange->mutex);
	exchange_release(exchange);
}

static enum MHD_Result send_reply(struct exchange *exchange)
{
	struct listener *listener = exchange->listener;
	struct api_reply *reply = &exchange->reply;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(reply->body_size, reply->body ? reply->body : (void *)(uintptr_t) "",
						reply->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);

	if (!response)
		return MHD_NO; /* closes the connection */
	reply->body = NULL;
	for (size_t i = 0; i < reply->header_count; i++)
		MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
	int64_t took_us = clock_measure_us() - exchange->begun_us;
	http_measures_answer(listener->parts.measures, reply->route, reply->status, took_us);
	enum MHD_Result result = MHD_queue_response(exchange->connection, (unsigned int)reply->status, response);
	MHD_destroy_response(response);
	log_event(listener->parts.log, reply->status >= 500 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		  reply->request_id[0] ? reply->request_id : NULL, "request answered",
		  LOG_TEXT("method", exchange->method), LOG_TEXT("target", exchange->target),
		  LOG_NUMBER("status", reply->status), LOG_TEXT("client", exchange->remote),
		  LOG_NUMBER("duration_ms", took_us / 1000));
	return result;
}

/* What monitors ask; false: it is for the API. */
static bool answer_probe(struct exchange *exchange)
{
	const struct probe_request request = {
		.method = exchange->method,
		.target = exchange->target,
		.is_near = exchange->is_near,
	};
	enum http_probe probe;

	if (!probes_answer(exchange->listener->parts.probes, &request, &exchange->reply, &probe))
		return false;
	exchange->reply.route = http_measures_probe(exchange->listener->parts.measures, probe);
	return true;
}

/* Whether the client's address is the client's own: no proxy's mark is there, or a trusted one tells it at the end of
 * X-Forwarded-For. The first element of Forwarded is anybody's word. */
static bool is_remote_certain(const struct exchange *exchange)
{
	static const char *const marks[] = { "Forwarded",
					     "X-Forwarded-For",
					     "X-Forwarded-Proto",
					     "X-Forwarded-Host",
					     "X-Forwarded-Prefix",
					     "X-Real-IP",
					     "Via" };

	if (exchange->forwarded.client[0] && !find_header(exchange, "Forwarded"))
		return true;
	for (size_t i = 0; i < ARRAY_LENGTH(marks); i++)
		if (find_header(exchange, marks[i]))
			return false;
	return true;
}

static void read_remote(struct exchange *exchange)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	if (!info || !info->client_addr)
		return;
	if (info->client_addr->sa_family == AF_INET) {
		struct sockaddr_in address;
		memcpy(&address, info->client_addr, sizeof(address));
		inet_ntop(AF_INET, &address.sin_addr, exchange->remote, sizeof(exchange->remote));
	} else if (info->client_addr->sa_family == AF_INET6) {
		struct sockaddr_in6 address;
		memcpy(&address, info->client_addr, sizeof(address));
		inet_ntop(AF_INET6, &address.sin6_addr, exchange->remote, sizeof(exchange->remote));
	}
}

static void read_head(struct exchange *exchange, const char *method)
{
	const char *length = find_header(exchange, "Content-Length");
	int64_t bytes;

	exchange->is_begun = true;
	TEXT_COPY(exchange->method, method);
	read_remote(exchange);
	forwarded_read(exchange->listener->proxies, exchange->remote, find_header, exchange, &exchange->forwarded);
	if (exchange->forwarded.client[0])
		TEXT_COPY(exchange->remote, exchange->forwarded.client);
	exchange->is_near =
		probes_are_for(exchange->listener->parts.probes, exchange->remote) && is_remote_certain(exchange);
	if (length && text_to_int64(length, 0, INT64_MAX, &bytes))
		exchange->is_too_large = bytes > exchange->listener->settings->body_bytes_max;
}

/* A body beyond the limit is read and dropped, so that the client gets its answer and not a reset. */
static void read_body(struct exchange *exchange, const char *bytes, size_t length)
{
	if (exchange->body.length + length > (size_t)exchange->listener->settings->body_bytes_max)
		exchange->is_too_large = true;
	if (exchange->is_too_large)
		text_clear(&exchange->body);
	else
		text_append_bytes(&exchange->body, bytes, length);
}

/* Its 503, with its lock held; the API's own reply is dropped when it comes. */
static void give_up(struct exchange *exchange)
{
	exchange->reply.status = 503;
	exchange->reply.headers[0].name = "Retry-After";
	TEXT_COPY(exchange->reply.headers[0].value, "5");
	exchange->reply.header_count = 1;
	exchange->is_replied = true;
}

static enum MHD_Result ask_api(struct exchange *exchange)
{
	exchange->request = (struct api_request){
		.method = exchange->method,
		.target = exchange->target,
		.body = exchange->body.length ? exchange->body.data : NULL,
		.body_size = exchange->body.length,
		.is_body_too_large = exchange->is_too_large,
		.remote = exchange->remote,
		.scheme = exchange->forwarded.scheme[0] ? exchange->forwarded.scheme
			  : exchange->listener->has_tls ? "https"
							: "http",
		.host = exchange->forwarded.host[0] ? exchange->forwarded.host : NULL,
		.prefix = exchange->forwarded.prefix,
		.header = find_header,
		.header_context = exchange,
	};

	exchange->holders++; /* nobody else knows it yet */
	api_handle(exchange->listener->parts.api, &exchange->request, take_reply, exchange);

	LOCK_SCOPE(&exchange->mutex);
	if (!exchange->is_replied && atomic_load(&exchange->listener->is_giving_up))
		give_up(exchange);
	if (exchange->is_replied)
		return send_reply(exchange);
	exchange->is_suspended = true;
	MHD_suspend_connection(exchange->connection);
	return MHD_YES;
}

static enum MHD_Result take_step(struct exchange *exchange, const char *method, const char *upload, size_t *upload_size)
{
	if (!exchange->is_begun) {
		read_head(exchange, method);
		return MHD_YES;
	}
	if (*upload_size) {
		read_body(exchange, upload, *upload_size);
		*upload_size = 0;
		return MHD_YES;
	}
	if (exchange->is_replied || text_failed(&exchange->body))
		return exchange->is_replied ? send_reply(exchange) : MHD_NO;
	if (answer_probe(exchange))
		return send_reply(exchange);
	return ask_api(exchange);
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url, const char *method,
			      const char *version, const char *upload, size_t *upload_size, void **state)
{
	struct exchange *exchange = *state;

	(void)context;
	(void)connection;
	(void)url;
	(void)version;
	if (!exchange)
		return MHD_NO; /* no memory at its begin: nothing to answer with */
	atomic_store(&exchange->held_since_ms, clock_monotonic_ms(clock_system()));
	enum MHD_Result result = take_step(exchange, method, upload, upload_size);
	atomic_store(&exchange->held_since_ms, 0);
	return result;
}

/* The API decodes what it needs; libmicrohttpd's own decoding would lose what the client really sent. */
static size_t keep_encoded(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context;
	(void)connection;
	return strlen(text);
}

int listener_parse_address(const char *text, int64_t port, struct sockaddr_storage *ret_address, struct error *error)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ret_address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret_address;

	memset(ret_address, 0, sizeof(*ret_address));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)port);
	} else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)port);
	} else {
		return error_set(error, EINVAL, "listener: %s is no numeric IPv4 or IPv6 address", text);
	}
	return 0;
}

static int start_daemon(struct listener *listener, struct error *error)
{
	const struct listener_settings *settings = listener->settings;
	struct sockaddr_storage address;
	int result = listener_parse_address(settings->address, settings->port, &address, error);
	unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
	struct MHD_OptionItem tls[] = { { MHD_OPTION_HTTPS_CERT_CALLBACK, 0, certificate_callback() },
					{ MHD_OPTION_HTTPS_PRIORITIES, 0,
					  (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" },
					{ MHD_OPTION_END, 0, NULL } };
	struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };

	if (result == 0 && !epoll_bound_holds())
		result = error_set(error, ENOTSUP,
				   "listener: this build cannot bound how many events libmicrohttpd takes at a time: "
				   "link it as it comes");
	if (result < 0)
		return result;
	if (address.ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	if (listener->has_tls)
		flags |= MHD_USE_TLS;
	/* The pool's memory is for the head of the request and, beside it, that of the reply. */
	listener->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, answer, listener, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
		MHD_OPTION_THREAD_POOL_SIZE, (unsigned int)settings->threads, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)settings->connections_max, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned int)settings->connections_per_address_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)settings->header_bytes_max + 4096, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)settings->idle_timeout_s, MHD_OPTION_URI_LOG_CALLBACK, begin, listener,
		MHD_OPTION_NOTIFY_COMPLETED, end, listener, MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded, NULL,
		MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_ARRAY, listener->has_tls ? tls : none,
		MHD_OPTION_END);
	if (!listener->daemon)
		return error_set_errno(error, errno ? errno : EIO, "cannot listen on %s port %d", settings->address,
				       (int)settings->port);
	return 0;
}

static void listener_free(struct listener *listener)
{
	pthread_cond_destroy(&listener->is_empty);
	pthread_mutex_destroy(&listener->mutex);
	proxies_destroy(listener->proxies);
	certificate_forget();
	free(listener);
}

int listener_start(const struct listener_settings *settings, const struct listener_parts *parts,
		   struct listener **ret_listener, struct error *error)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int result = 0;

	if (!listener)
		return error_no_memory(error);
	pthread_mutex_init(&listener->mutex, NULL);
	clock_condition_init(&listener->is_empty);
	listener->settings = settings;
	listener->parts = *parts;
	listener->has_tls = settings->certificate_file != NULL;
	result = proxies_create(settings->trusted_proxies, settings->trusted_proxy_count, &listener->proxies, error);
	if (result == 0 && listener->has_tls)
		result = certificate_use(settings->certificate_file, settings->key_file, error);
	if (result == 0)
		result = start_daemon(listener, error);
	if (result < 0) {
		listener_free(listener);
		return result;
	}
	*ret_listener = listener;
	return 0;
}

int listener_port(const struct listener *listener)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_BIND_PORT);

	return info ? info->port : 0;
}

int64_t listener_busy_ms(struct listener *listener)
{
	int64_t now_ms = clock_monotonic_ms(clock_system()), longest_ms = 0;

	LOCK_SCOPE(&listener->mutex);
	for (struct exchange *exchange = listener->exchanges; exchange; exchange = exchange->next) {
		int64_t since_ms = atomic_load(&exchange->held_since_ms);

		if (since_ms > 0 && now_ms - since_ms > longest_ms)
			longest_ms = now_ms - since_ms;
	}
	return longest_ms;
}

static void wait_for_exchanges(struct listener *listener, int64_t time_ms)
{
	struct clock *clock = clock_system(); /* also where a test has stopped the daemon's own clock */
	int64_t until_ms = clock_monotonic_ms(clock) + time_ms;

	LOCK_SCOPE(&listener->mutex);
	while (listener->exchanges)
		if (!clock_wait(clock, &listener->is_empty, &listener->mutex, until_ms))
			return;
}

/* Every request that still waits is given up, and from now on each that would begin to: the library ends the process when one
 * waits while it stops. */
static void give_up_waiting(struct listener *listener)
{
	atomic_store(&listener->is_giving_up, true);
	LOCK_SCOPE(&listener->mutex);
	for (struct exchange *exchange = listener->exchanges; exchange; exchange = exchange->next) {
		LOCK_SCOPE(&exchange->mutex);
		if (!exchange->is_suspended || exchange->is_replied)
			continue;
		give_up(exchange);
		MHD_resume_connection(exchange->connection);
	}
}

void listener_stop(struct listener *listener)
{
	if (!listener)
		return;
	MHD_socket socket = MHD_quiesce_daemon(listener->daemon);
	wait_for_exchanges(listener, listener->settings->drain_timeout_s * 1000);
	give_up_waiting(listener);
	wait_for_exchanges(listener, 1000);
	MHD_stop_daemon(listener->daemon);
	if (socket != MHD_INVALID_SOCKET)
		close(socket);
	listener_free(listener);
}
