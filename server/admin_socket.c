/* One thread that answers the operator's requests one by one. The one difficulty: a client that says nothing must not
 * hold it up, so every read and write has a time limit. */
#include "server/admin_socket.h"

#include <jansson.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/hosts.h"
#include "server/admin_doctor.h"
#include "server/admin_host.h"
#include "server/admin_migration.h"
#include "server/config_table.h"
#include "server/registry.h"
#include "server/stale_socket.h"
#include "server/worker/worker.h"

#define REQUEST_BYTES_MAX 65536
#define REASON_BYTES_MAX  255 /* as Nova has it */
#define PATIENCE_S        5 /* with a client that says nothing */

struct admin_socket {
	char *path;
	int listening;
	int stop; /* an eventfd */
	pthread_t thread;
	atomic_int port; /* of the service's listener; 0: it does not listen yet */
	struct database *database;
	struct worker *worker; /* may be NULL */
	struct admin_doctor *doctor; /* may be NULL */
	pthread_mutex_t mutex; /* guards the settings while they are used */
	struct registry_settings settings;
	struct log *log;
};

static int make_address(const char *path, struct sockaddr_un *ret_address, struct error *error)
{
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!TEXT_COPY(ret_address->sun_path, path))
		return error_set(error, ENAMETOOLONG, "the admin socket's path %s is longer than %zu bytes", path,
				 sizeof(ret_address->sun_path) - 1);
	return 0;
}

static void set_patience(int connection, int limit_s)
{
	const struct timeval patience = { .tv_sec = limit_s };

	setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static int send_line(int connection, const char *line)
{
	size_t length = strlen(line), sent = 0;

	while (sent < length) {
		ssize_t step = send(connection, line + sent, length - sent, MSG_NOSIGNAL);
		if (step < 0)
			return -errno;
		sent += (size_t)step;
	}
	return send(connection, "\n", 1, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* One line without its end; NULL when none came in time, or a longer one than is taken. */
static char *read_line(int connection, size_t bytes_max)
{
	CLEANUP_TEXT struct text line = TEXT_EMPTY;
	char buffer[4096];
	ssize_t length;

	while ((length = recv(connection, buffer, sizeof(buffer), 0)) > 0) {
		char *end = memchr(buffer, '\n', (size_t)length);

		text_append_bytes(&line, buffer, end ? (size_t)(end - buffer) : (size_t)length);
		if (line.length > bytes_max)
			return NULL;
		if (end)
			return text_take(&line);
	}
	return NULL;
}

static int list_hosts(struct admin_socket *admin, const json_t *request, json_t *answer, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };
	int result = db_read_begin(admin->database, &session, error);

	(void)request;
	if (result == 0)
		result = db_host_all(session, &hosts, error);
	if (result < 0)
		return result;

	json_t *list = json_array();
	for (size_t i = 0; i < hosts.count; i++) {
		const struct db_host *host = &hosts.items[i];

		json_array_append_new(list, json_pack("{s:s, s:s?, s:s?, s:s, s:s, s:s?}", "name", host->name, "uri",
						      host->uri, "migration_address", host->migration_address, "state",
						      db_service_is_up(&host->service) ? "up" : "down", "status",
						      host->service.is_disabled ? "disabled" : "enabled",
						      "disabled_reason", host->service.disabled_reason));
	}
	return json_object_set_new(answer, "hosts", list) < 0 ? error_no_memory(error) : 0;
}

static int add_host(struct admin_socket *admin, const json_t *request, json_t *answer, struct error *error)
{
	struct host_settings host = {
		.name = json_string_value(json_object_get(request, "name")),
		.uri = json_string_value(json_object_get(request, "uri")),
		.user_name = json_string_value(json_object_get(request, "username")),
		.password_file = json_string_value(json_object_get(request, "password_file")),
		.migration_address = json_string_value(json_object_get(request, "migration_address")),
		.reserved_memory_mb = -1,
		.reserved_disk_mb = -1,
	};
	const char *expected;

	(void)answer;
	if (!host.name || !host.uri || !*host.name)
		return error_set(error, EINVAL, "a host needs a name and a URI");
	if ((expected = config_expected_host_name(host.name)))
		return error_set(error, EINVAL, "the host's name must be %s, not \"%s\"", expected, host.name);
	if ((expected = config_expected_uri(host.uri)))
		return error_set(error, EINVAL, "the URI of host %s must be %s, not \"%s\"", host.name, expected,
				 host.uri);
	pthread_mutex_lock(&admin->mutex);
	int result = registry_add(admin->database, &host, &admin->settings, error);
	pthread_mutex_unlock(&admin->mutex);
	if (result == 0)
		log_event(admin->log, LOG_LEVEL_INFO, NULL, "host added", LOG_TEXT("host", host.name),
			  LOG_TEXT("uri", host.uri));
	return result;
}

static int remove_host(struct admin_socket *admin, const json_t *request, json_t *answer, struct error *error)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	bool is_gone = json_is_true(json_object_get(request, "is_gone"));

	(void)answer;
	if (!name)
		return error_set(error, EINVAL, "which host is to be removed?");
	int result = is_gone ? registry_give_up(admin->database, name, error)
			     : registry_remove(admin->database, name, error);
	if (result < 0)
		return result;
	log_event(admin->log, is_gone ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, NULL,
		  is_gone ? "host is given up" : "host removed", LOG_TEXT("host", name));
	if (admin->worker)
		worker_host_given_up(admin->worker);
	return 0;
}

static int switch_host(struct admin_socket *admin, const json_t *request, bool is_disabled, struct error *error)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	const char *reason = json_string_value(json_object_get(request, "reason"));

	if (!name)
		return error_set(error, EINVAL, "which host is to be %s?", is_disabled ? "disabled" : "enabled");
	if (reason && strlen(reason) > REASON_BYTES_MAX)
		return error_set(error, EINVAL, "the reason is longer than %d bytes", REASON_BYTES_MAX);
	int result = registry_disable(admin->database, name, is_disabled, reason, error);
	if (result == 0)
		log_event(admin->log, LOG_LEVEL_INFO, NULL, is_disabled ? "host disabled" : "host enabled",
			  LOG_TEXT("host", name), LOG_TEXT("reason", reason));
	return result;
}

static int disable_host(struct admin_socket *admin, const json_t *request, json_t *answer, struct error *error)
{
	(void)answer;
	return switch_host(admin, request, true, error);
}

static int enable_host(struct admin_socket *admin, const json_t *request, json_t *answer, struct error *error)
{
	(void)answer;
	return switch_host(admin, request, false, error);
}

static int show_host(struct admin_socket *admin, const json_t *request, json_t *answer, struct error *error)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	json_t *host = NULL;

	if (!name)
		return error_set(error, EINVAL, "which host is to be shown?");
	int result = admin_host_show(admin->database, admin->worker, name, &host, error);
	if (result == -ENOENT && json_is_true(json_object_get(request, "may_be_missing"))) {
		error_clear(error);
		host = json_null();
		result = 0;
	}
	if (result < 0)
		return result;
	return json_object_set_new(answer, "host", host) < 0 ? error_no_memory(error) : 0;
}

static int show_migration(struct admin_socket *admin, const json_t *request, json_t *answer, struct error *error)
{
	json_t *migration = NULL;
	int result = admin_migration_show(admin->database, admin->worker, json_object_get(request, "migration"),
					  &migration, error);

	if (result < 0)
		return result;
	return json_object_set_new(answer, "migration", migration) < 0 ? error_no_memory(error) : 0;
}

/* Whether anybody is there, and where it really listens: its files may say something else by now. */
static int ping(struct admin_socket *admin, const json_t *request, json_t *answer, struct error *error)
{
	(void)request;
	return json_object_set_new(answer, "port", json_integer(atomic_load(&admin->port))) < 0 ? error_no_memory(error)
												: 0;
}

static const struct admin_verb {
	const char *name;
	int (*run)(struct admin_socket *admin, const json_t *request, json_t *answer, struct error *error);
} verbs[] = {
	{ "host add", add_host },
	{ "host disable", disable_host },
	{ "host enable", enable_host },
	{ "host list", list_hosts },
	{ "host remove", remove_host },
	{ "host show", show_host },
	{ "migration show", show_migration },
	{ "ping", ping },
};

/* As the API would answer. */
static int status_of(int code)
{
	switch (code) {
	case EBUSY:
	case EEXIST:
		return 409;
	case ENOENT:
		return 404;
	case EINVAL:
		return 400;
	default:
		return 500;
	}
}

static int run(struct admin_socket *admin, const json_t *request, json_t *answer, struct error *error)
{
	const char *name = json_string_value(json_object_get(request, "verb"));

	for (size_t i = 0; name && i < ARRAY_LENGTH(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return verbs[i].run(admin, request, answer, error);
	return error_set(error, EINVAL, "the daemon knows no verb \"%s\"", name ? name : "");
}

static bool is_trusted(int connection)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0
	       && (peer.uid == 0 || peer.uid == geteuid());
}

/* Takes the answer. `error`: a refusal, when it has a code. */
static void send_answer(int connection, json_t *answer, const struct error *error)
{
	if (error->code) {
		json_object_set_new(answer, "error", json_string(error->text));
		json_object_set_new(answer, "code", json_integer(status_of(error->code)));
	}
	CLEANUP_FREE char *text = json_dumps(answer, JSON_COMPACT);
	if (text)
		send_line(connection, text);
	json_decref(answer);
}

static void answer_doctor(void *context, json_t *answer, const struct error *error)
{
	const struct error none = { 0 };
	int *connection = context;

	send_answer(*connection, answer ? answer : json_object(), error ? error : &none);
	close(*connection);
	free(connection);
}

/* The check's thread answers, and has the connection from then on. */
static int begin_doctor(struct admin_socket *admin, int *connection, struct error *error)
{
	int *taken = malloc(sizeof(*taken));

	if (!taken)
		return error_no_memory(error);
	*taken = *connection;
	int result = admin->doctor ? admin_doctor_begin(admin->doctor, answer_doctor, taken, error)
				   : error_set(error, EINVAL, "the daemon has no hosts to look at");
	if (result < 0)
		free(taken);
	else
		*connection = -1;
	return result;
}

/* -1 in *connection afterwards: somebody else answers on it. */
static void serve(struct admin_socket *admin, int *own_connection)
{
	struct error error = { 0 };
	int connection = *own_connection;

	set_patience(connection, PATIENCE_S);
	if (!is_trusted(connection)) {
		send_line(connection, "{\"error\": \"only root may speak here\"}");
		return;
	}
	CLEANUP_FREE char *line = read_line(connection, REQUEST_BYTES_MAX);
	if (!line)
		return;
	json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	json_t *answer = json_object();
	if (!json_is_object(request))
		error_set(&error, EINVAL, "that was no JSON object");
	else if (text_equal(json_string_value(json_object_get(request, "verb")), "doctor"))
		begin_doctor(admin, own_connection, &error);
	else
		run(admin, request, answer, &error);
	json_decref(request);
	if (*own_connection >= 0)
		send_answer(connection, answer, &error);
	else
		json_decref(answer);
}

static void *listen_loop(void *context)
{
	struct admin_socket *admin = context;
	struct pollfd waits[] = { { .fd = admin->listening, .events = POLLIN },
				  { .fd = admin->stop, .events = POLLIN } };

	while (poll(waits, ARRAY_LENGTH(waits), -1) >= 0 || errno == EINTR) {
		if (waits[1].revents)
			break;
		if (!(waits[0].revents & POLLIN))
			continue;
		CLEANUP_CLOSE int connection = accept4(admin->listening, NULL, NULL, SOCK_CLOEXEC);
		if (connection >= 0)
			serve(admin, &connection);
	}
	return NULL;
}

static int bind_socket(const char *path, int *ret_listening, struct error *error)
{
	struct sockaddr_un address;
	CLEANUP_CLOSE int listening = -1;
	int result = make_address(path, &address, error);

	if (result < 0)
		return result;
	CLEANUP_CLOSE int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (probe >= 0 && connect(probe, (struct sockaddr *)&address, sizeof(address)) == 0)
		return error_set(error, EADDRINUSE, "another daemon already listens on %s", path);
	result = stale_socket_remove(path, error);
	if (result < 0)
		return result;
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listening < 0 || bind(listening, (struct sockaddr *)&address, sizeof(address)) < 0
	    || chmod(path, S_IRUSR | S_IWUSR) < 0 || listen(listening, 8) < 0)
		return error_set_errno(error, errno, "cannot make the admin socket %s; does its directory exist?",
				       path);
	*ret_listening = listening;
	listening = -1;
	return 0;
}

static void admin_free(struct admin_socket *admin)
{
	if (admin->listening >= 0) {
		close(admin->listening);
		unlink(admin->path);
	}
	if (admin->stop >= 0)
		close(admin->stop);
	admin_doctor_destroy(admin->doctor);
	pthread_mutex_destroy(&admin->mutex);
	free(admin->path);
	free(admin);
}

int admin_socket_start(const char *path, const struct admin_socket_parts *parts,
		       const struct registry_settings *settings, struct admin_socket **ret_socket, struct error *error)
{
	struct admin_socket *admin = calloc(1, sizeof(*admin));
	int result = 0;

	if (!admin)
		return error_no_memory(error);
	admin->listening = -1;
	admin->database = parts->database;
	admin->worker = parts->worker;
	admin->settings = *settings;
	pthread_mutex_init(&admin->mutex, NULL);
	admin->log = parts->log;
	admin->path = strdup(path);
	admin->stop = eventfd(0, EFD_CLOEXEC);
	if (!admin->path || admin->stop < 0)
		result = error_no_memory(error);
	if (result == 0 && parts->hypervisor)
		result = admin_doctor_create(parts->database, parts->hypervisor, &admin->doctor, error);
	if (result == 0)
		result = bind_socket(path, &admin->listening, error);
	if (result == 0 && pthread_create(&admin->thread, NULL, listen_loop, admin) != 0)
		result = error_set(error, EAGAIN, "cannot start the admin socket's thread");
	if (result < 0) {
		admin_free(admin);
		return result;
	}
	*ret_socket = admin;
	return 0;
}

void admin_socket_set_port(struct admin_socket *admin, int port)
{
	atomic_store(&admin->port, port);
}

void admin_socket_renew(struct admin_socket *admin, const struct registry_settings *settings)
{
	LOCK_SCOPE(&admin->mutex);

	admin->settings = *settings;
}

void admin_socket_stop(struct admin_socket *admin)
{
	if (!admin)
		return;
	eventfd_write(admin->stop, 1);
	pthread_join(admin->thread, NULL);
	admin_free(admin);
}

int admin_socket_ask_within(const char *path, const char *request, int limit_s, char **ret_answer, struct error *error)
{
	struct sockaddr_un address;
	int result = make_address(path, &address, error);
	CLEANUP_CLOSE int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (result < 0)
		return result;
	if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set_errno(error, errno, "cannot reach the daemon on %s; is it running, and are you root?",
				       path);
	set_patience(connection, limit_s);
	result = send_line(connection, request);
	if (result < 0 && result != -EPIPE) /* a refusal comes before the question was read */
		return error_set_errno(error, -result, "cannot ask the daemon on %s", path);
	*ret_answer = read_line(connection, SIZE_MAX / 2);
	return *ret_answer ? 0 : error_set(error, ETIMEDOUT, "the daemon on %s did not answer", path);
}

int admin_socket_ask(const char *path, const char *request, char **ret_answer, struct error *error)
{
	return admin_socket_ask_within(path, request, ADMIN_SOCKET_LIMIT_S, ret_answer, error);
}
