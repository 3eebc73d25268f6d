/* The admin socket's other end. */
#include "server/cli/admin_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "server/admin_socket.h"
#include "server/command.h"

static int status_of(const struct error *error)
{
	return error->code == EACCES || error->code == EPERM ? EXIT_FORBIDDEN : EXIT_UNAVAILABLE;
}

int admin_client_ask_within(const char *verb, const struct verb_list *files, json_t *request, int limit_s,
			    json_t **ret_answer)
{
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_FREE char *line = json_dumps(request, JSON_COMPACT);
	CLEANUP_FREE char *text = NULL;
	struct error error = { 0 };
	int status = line ? command_read_config(files, false, &config) : EXIT_FAILURE;

	json_decref(request);
	if (status != 0)
		return status;
	if (admin_socket_ask_within(config.admin_socket, line, limit_s, &text, &error) < 0) {
		fprintf(stderr, "migrationd %s: %s\n", verb, error.text);
		return status_of(&error);
	}

	json_t *answer = json_loads(text, 0, NULL);
	const char *refusal = json_string_value(json_object_get(answer, "error"));
	if (!json_is_object(answer) || refusal) {
		fprintf(stderr, "migrationd %s: %s\n", verb, refusal ? refusal : "the daemon's answer cannot be read");
		json_decref(answer);
		return EXIT_FAILURE;
	}
	*ret_answer = answer;
	return 0;
}

int admin_client_ask(const char *verb, const struct verb_list *files, json_t *request, json_t **ret_answer)
{
	return admin_client_ask_within(verb, files, request, ADMIN_SOCKET_LIMIT_S, ret_answer);
}
