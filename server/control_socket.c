/* One thread, one connection at a time: tests drive it in step. */
#include "server/control_socket.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/load.h"

struct control_socket {
	char *path;
	int listening;
	pthread_t thread;
	struct database *database;
};

static int load_row(struct db_session *session, const char *table, json_t *row, struct error *error)
{
	struct db_load_value values[DB_LOAD_VALUES_MAX];
	size_t count = 0;
	const char *column;
	json_t *value;

	json_object_foreach(row, column, value)
	{
		if (count == DB_LOAD_VALUES_MAX)
			return error_set(error, EINVAL, "a row of %s has more than %d columns", table,
					 DB_LOAD_VALUES_MAX);
		struct db_load_value *out = &values[count++];
		*out = (struct db_load_value){ .column = column, .kind = DB_LOAD_NULL };
		if (json_is_string(value)) {
			out->kind = DB_LOAD_TEXT;
			out->text = json_string_value(value);
		} else if (json_is_real(value)) {
			out->kind = DB_LOAD_REAL;
			out->real = json_real_value(value);
		} else if (json_is_integer(value) || json_is_boolean(value)) {
			out->kind = DB_LOAD_NUMBER;
			out->number = json_is_true(value) ? 1 : json_integer_value(value);
		} else if (!json_is_null(value)) {
			return error_set(error, EINVAL, "column %s of %s is neither text nor number", column, table);
		}
	}
	return db_load_row(session, table, values, count, error);
}

static int load(struct db_session *session, void *context, struct error *error)
{
	json_t *state = context, *rows, *row;
	const char *table;
	size_t i;
	int result = db_erase_all(session, error);

	json_object_foreach(state, table, rows)
		json_array_foreach(rows, i, row) if (result == 0 && (result = load_row(session, table, row, error)) < 0)
			error_wrap(error, "row %zu of %s", i + 1, table);
	return result;
}

static void answer(struct control_socket *control, FILE *stream, const char *line)
{
	struct error error = { 0 };
	json_t *request = json_loads(line, 0, NULL);
	json_t *state = json_object_get(request, "load");

	if (!json_is_object(state))
		error_set(&error, EINVAL, "only \"load\" is known here");
	else
		db_write(control->database, load, state, &error);
	json_t *reply = error.code ? json_pack("{s:s}", "error", error.text) : json_object();
	CLEANUP_FREE char *text = json_dumps(reply, JSON_COMPACT);
	fprintf(stream, "%s\n", text ? text : "{\"error\": \"out of memory\"}");
	fflush(stream);
	json_decref(reply);
	json_decref(request);
}

static void *listen_loop(void *context)
{
	struct control_socket *control = context;
	int connection;

	while ((connection = accept4(control->listening, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		CLEANUP_FCLOSE FILE *stream = fdopen(connection, "r+");
		CLEANUP_FREE char *line = NULL;
		size_t size = 0;

		if (!stream)
			close(connection);
		while (stream && getline(&line, &size, stream) > 0)
			answer(control, stream, line);
	}
	return NULL;
}

static void control_free(struct control_socket *control)
{
	if (control->listening >= 0) {
		close(control->listening);
		unlink(control->path);
	}
	free(control->path);
	free(control);
}

static int bind_socket(struct control_socket *control, struct error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (!TEXT_COPY(address.sun_path, control->path))
		return error_set(error, ENAMETOOLONG, "the control socket's path %s is too long", control->path);
	unlink(control->path);
	control->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (control->listening < 0 || bind(control->listening, (struct sockaddr *)&address, sizeof(address)) < 0
	    || chmod(control->path, S_IRUSR | S_IWUSR) < 0 || listen(control->listening, 4) < 0)
		return error_set_errno(error, errno, "cannot make the control socket %s", control->path);
	return 0;
}

int control_socket_start(const char *path, struct database *database, struct control_socket **ret_socket,
			 struct error *error)
{
	struct control_socket *control = calloc(1, sizeof(*control));

	if (!control)
		return error_no_memory(error);
	control->listening = -1;
	control->database = database;
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
	shutdown(control->listening, SHUT_RDWR); /* wakes accept */
	pthread_join(control->thread, NULL);
	control_free(control);
}
