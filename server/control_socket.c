/* One thread, one connection at a time: tests drive it in step. */
#include "server/control_socket.h"

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/simulation.h"
#include "server/stale_socket.h"

struct control_socket {
	char *path;
	int listening;
	pthread_t thread;
	struct simulation *simulation;
	pthread_mutex_t mutex; /* guards all below */
	int connection; /* -1: none */
	bool is_stopping;
};

static void answer(struct control_socket *control, FILE *stream, const char *line)
{
	json_t *request = json_loads(line, 0, NULL);
	json_t *reply = simulation_answer(control->simulation, request);
	CLEANUP_FREE char *text = json_dumps(reply, JSON_COMPACT);

	fprintf(stream, "%s\n", text ? text : "{\"error\": \"out of memory\"}");
	fflush(stream);
	json_decref(reply);
	json_decref(request);
}

/* False when the socket is to stop. */
static bool set_connection(struct control_socket *control, int connection)
{
	LOCK_SCOPE(&control->mutex);

	control->connection = connection;
	return !control->is_stopping;
}

static void serve(struct control_socket *control, int connection)
{
	CLEANUP_FCLOSE FILE *stream = fdopen(connection, "r+");
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;

	if (!stream)
		close(connection);
	while (stream && getline(&line, &size, stream) > 0)
		answer(control, stream, line);
	set_connection(control, -1);
}

static void *listen_loop(void *context)
{
	struct control_socket *control = context;
	int connection;

	while ((connection = accept4(control->listening, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		if (set_connection(control, connection))
			serve(control, connection);
		else
			close(connection);
	}
	return NULL;
}

static void control_free(struct control_socket *control)
{
	if (control->listening >= 0) {
		close(control->listening);
		unlink(control->path);
	}
	pthread_mutex_destroy(&control->mutex);
	free(control->path);
	free(control);
}

static int bind_socket(struct control_socket *control, struct error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (!TEXT_COPY(address.sun_path, control->path))
		return error_set(error, ENAMETOOLONG, "the control socket's path %s is too long", control->path);
	int result = stale_socket_remove(control->path, error);
	if (result < 0)
		return result;
	control->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (control->listening < 0 || bind(control->listening, (struct sockaddr *)&address, sizeof(address)) < 0
	    || chmod(control->path, S_IRUSR | S_IWUSR) < 0 || listen(control->listening, 4) < 0)
		return error_set_errno(error, errno, "cannot make the control socket %s", control->path);
	return 0;
}

int control_socket_start(const char *path, struct simulation *simulation, struct control_socket **ret_socket,
			 struct error *error)
{
	struct control_socket *control = calloc(1, sizeof(*control));

	if (!control)
		return error_no_memory(error);
	control->listening = control->connection = -1;
	control->simulation = simulation;
	pthread_mutex_init(&control->mutex, NULL);
	control->path = strdup(path);
	int result = control->path ? bind_socket(control, error) : error_no_memory(error);
	if (result == 0 && pthread_create(&control->thread, NULL, listen_loop, control) != 0)
		result = error_set(error, EAGAIN, "cannot start the control socket's thread");
	if (result < 0) {
		control_free(control);
		return result;
	}
	*ret_socket = control;
	return 0;
}

void control_socket_stop(struct control_socket *control)
{
	if (!control)
		return;
	pthread_mutex_lock(&control->mutex);
	control->is_stopping = true;
	shutdown(control->listening, SHUT_RDWR); /* wakes accept */
	if (control->connection >= 0)
		shutdown(control->connection, SHUT_RDWR); /* wakes getline */
	pthread_mutex_unlock(&control->mutex);
	pthread_join(control->thread, NULL);
	control_free(control);
}
