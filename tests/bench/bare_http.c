/* A bare libmicrohttpd handler, as a peer of the service: the same version of the library with the same threads, and one
 * answer to whatever comes:
 *
 *     bench_bare_http THREADS ANSWER
 *
 * ANSWER is a file of a line with the status, a line for each header, an empty line, and the body. Prints the port, and ends
 * when its standard input is closed. */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"

#define LINE_MAX_BYTES 4096
#define BODY_MAX_BYTES (4 << 20)

struct answer {
	int64_t status;
	struct MHD_Response *response;
};

static bool read_answer(const char *path, struct answer *ret_answer)
{
	static char body[BODY_MAX_BYTES];
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	char headers[32][LINE_MAX_BYTES];
	size_t count = 0;
	char line[LINE_MAX_BYTES];

	if (!file || !fgets(line, sizeof(line), file))
		return false;
	line[strcspn(line, "\n")] = '\0';
	if (!text_to_int64(line, 100, 599, &ret_answer->status))
		return false;
	while (count < ARRAY_LENGTH(headers) && fgets(headers[count], LINE_MAX_BYTES, file)
	       && headers[count][0] != '\n')
		count++;
	size_t length = fread(body, 1, sizeof(body), file);
	ret_answer->response = MHD_create_response_from_buffer(length, body, MHD_RESPMEM_PERSISTENT);
	for (size_t i = 0; i < count && ret_answer->response; i++) {
		char *value = strstr(headers[i], ": ");

		if (!value)
			return false;
		*value = '\0';
		value += 2;
		value[strcspn(value, "\n")] = '\0';
		if (MHD_add_response_header(ret_answer->response, headers[i], value) != MHD_YES)
			return false;
	}
	return ret_answer->response != NULL;
}

static enum MHD_Result reply(void *context, struct MHD_Connection *connection, const char *url, const char *method,
			     const char *version, const char *upload, size_t *upload_size, void **state)
{
	static char seen;
	const struct answer *answer = context;

	(void)url;
	(void)method;
	(void)version;
	(void)upload;
	if (!*state) {
		*state = &seen;
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	return MHD_queue_response(connection, (unsigned int)answer->status, answer->response);
}

int main(int count, char **words)
{
	struct answer answer = { 0 };
	int64_t threads;

	if (count != 3 || !text_to_int64(words[1], 1, 256, &threads) || !read_answer(words[2], &answer)) {
		fprintf(stderr, "usage: %s THREADS ANSWER\n", words[0]);
		return 2;
	}
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, reply,
						     &answer, MHD_OPTION_THREAD_POOL_SIZE, (unsigned int)threads,
						     MHD_OPTION_CONNECTION_LIMIT, 4096U, MHD_OPTION_END);
	const union MHD_DaemonInfo *info = daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
	if (!info) {
		perror("bench_bare_http: cannot listen");
		return 1;
	}
	printf("%u\n", info->port);
	fflush(stdout);
	while (getchar() != EOF)
		continue;
	MHD_stop_daemon(daemon);
	MHD_destroy_response(answer.response);
	return 0;
}
