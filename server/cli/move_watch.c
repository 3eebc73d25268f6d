/* A move, looked at until it is over. The one difficulty: who asks may not see everything. Where the migration itself is not shown,
 * the server and its action tell how it ended; a daemon that starts anew meanwhile is waited for. */
#include "server/cli/move_watch.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/cli/progress.h"
#include "server/cli/table.h"

#define LOOK_INTERVAL_MS   500
#define LINE_INTERVAL_MS   5000 /* between two lines of a pipe that tell of bytes alone */
#define AWAY_MS            60000 /* for so long a daemon may be away */
#define CLEAR_TO_LINES_END "\033[K"

static void take(char *target, size_t size, const json_t *document, const char *key)
{
	const char *value = json_string_value(json_object_get(document, key));

	text_copy(target, size, value ? value : "");
}
#define TAKE(member, document, key) take((member), sizeof(member), (document), (key))

static int64_t number_of(const json_t *document, const char *key)
{
	const json_t *value = json_object_get(document, key);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

/* The API tells bytes and no pace: that is what came between two records. */
static void reckon_rate(struct move_watch *watch)
{
	struct move_view *view = &watch->view;
	int64_t now_ms = clock_monotonic_ms(clock_system());

	if (view->processed < 0 || view->processed == watch->seen_bytes)
		return;
	if (watch->seen_at_ms > 0 && view->processed > watch->seen_bytes && now_ms > watch->seen_at_ms)
		view->bytes_per_s = (view->processed - watch->seen_bytes) * 1000 / (now_ms - watch->seen_at_ms);
	watch->seen_at_ms = now_ms;
	watch->seen_bytes = view->processed;
}

static int64_t sum(int64_t a, int64_t b)
{
	return a < 0 ? b : b < 0 ? a : a + b;
}

static void take_server_migration(struct move_watch *watch, const json_t *row)
{
	struct move_view *view = &watch->view;

	TAKE(view->status, row, "status");
	TAKE(view->source, row, "source_compute");
	TAKE(view->target, row, "dest_compute");
	view->total = sum(number_of(row, "memory_total_bytes"), number_of(row, "disk_total_bytes"));
	view->processed = sum(number_of(row, "memory_processed_bytes"), number_of(row, "disk_processed_bytes"));
	view->remaining = sum(number_of(row, "memory_remaining_bytes"), number_of(row, "disk_remaining_bytes"));
	reckon_rate(watch);
}

static void take_row(struct move_watch *watch, const json_t *row)
{
	TAKE(watch->view.status, row, "status");
	TAKE(watch->view.source, row, "source");
	TAKE(watch->view.target, row, "target");
}

static int look_locally(struct move_watch *watch, struct error *error)
{
	CLEANUP_FREE char *id = text_format("%" PRId64, watch->migration_id);
	struct move_view *view = &watch->view;
	json_t *row = NULL;
	int status = id ? api_client_show_migration(watch->client, id, &row, error) : EXIT_FAILURE;

	if (status != 0)
		return status;
	const json_t *memory = json_object_get(row, "memory"), *disk = json_object_get(row, "disk");
	take_row(watch, row);
	view->total = sum(number_of(memory, "total"), number_of(disk, "total"));
	view->processed = sum(number_of(memory, "processed"), number_of(disk, "processed"));
	view->remaining = sum(number_of(memory, "remaining"), number_of(disk, "remaining"));
	view->bytes_per_s = number_of(row, "bytes_per_s");
	view->dirty_bytes_per_s = number_of(row, "dirty_bytes_per_s");
	json_decref(row);
	return 0;
}

/* The migrations of a server are told while they are under way; all are told in the list of all. */
static int look_over_api(struct move_watch *watch, struct api_answer *answer)
{
	CLEANUP_FREE char *path = text_format("/servers/%s/migrations/%" PRId64, watch->server_id, watch->migration_id);
	CLEANUP_FREE char *all = text_format("/os-migrations?instance_uuid=%s", watch->server_id);
	size_t i;
	json_t *row;
	int status = path && all ? api_client_ask(watch->client, "GET", path, NULL, answer) : EXIT_FAILURE;

	if (status == 0)
		take_server_migration(watch, json_object_get(answer->body, "migration"));
	if (status == 0 || answer->status != 404)
		return status;
	api_answer_clear(answer);
	status = api_client_ask(watch->client, "GET", all, NULL, answer);
	json_array_foreach(json_object_get(answer->body, "migrations"), i,
			   row) if (number_of(row, "id") == watch->migration_id)
	{
		json_t *ours = api_migration_row(row);

		take_row(watch, ours);
		json_decref(ours);
	}
	return status;
}

static int look_at_migration(struct move_watch *watch, struct api_answer *answer)
{
	struct error error = { 0 };

	if (!api_client_is_local(watch->client))
		return look_over_api(watch, answer);
	int status = look_locally(watch, &error);
	TEXT_COPY(answer->why, error.text);
	return status;
}

static int look_at_server(struct move_watch *watch, struct api_answer *answer)
{
	CLEANUP_FREE char *path = text_format("/servers/%s", watch->server_id);
	struct move_view *view = &watch->view;
	int status = path ? api_client_ask(watch->client, "GET", path, NULL, answer) : EXIT_FAILURE;
	const json_t *server = json_object_get(answer->body, "server");

	if (status != 0)
		return status;
	TAKE(view->server_status, server, "status");
	TAKE(view->task_state, server, "OS-EXT-STS:task_state");
	TAKE(view->host, server, "OS-EXT-SRV-ATTR:host");
	TAKE(view->host_id, server, "hostId");
	return 0;
}

static bool is_final(const char *status)
{
	static const char *const finals[] = { "completed", "finished", "confirmed", "reverted",
					      "error",     "failed",   "cancelled" };

	for (size_t i = 0; i < ARRAY_LENGTH(finals); i++)
		if (text_equal(status, finals[i]))
			return true;
	return false;
}

/* `ret_answer` tells why there is none. */
static int look(struct move_watch *watch, struct api_answer *ret_answer)
{
	struct move_view *view = &watch->view;
	int status = look_at_server(watch, ret_answer);

	if (status == 0 && watch->migration_id) {
		api_answer_clear(ret_answer);
		status = look_at_migration(watch, ret_answer);
	}
	if (status != 0)
		return status;
	if (!watch->migration_id)
		TEXT_COPY(view->status, view->task_state[0] ? view->task_state : view->server_status);
	view->is_over = watch->is_migration ? is_final(view->status) : view->task_state[0] == '\0';
	return 0;
}

void move_watch_begin(struct move_watch *watch)
{
	struct move_view *view = &watch->view;

	view->total = view->processed = view->remaining = view->bytes_per_s = view->dirty_bytes_per_s = -1;
	watch->seen_bytes = -1;
}

void move_watch_find_migration(struct move_watch *watch)
{
	CLEANUP_FREE char *path = text_format("/os-migrations?instance_uuid=%s&limit=1", watch->server_id);
	CLEANUP_API_ANSWER struct api_answer answer = { 0 };

	if (!path || api_client_ask(watch->client, "GET", path, NULL, &answer) != 0)
		return;
	int64_t id = number_of(json_array_get(json_object_get(answer.body, "migrations"), 0), "id");
	if (id > 0)
		watch->migration_id = id;
}

struct screen {
	size_t width; /* 0: no terminal */
	bool is_drawn; /* the cursor stands behind an unfinished line */
	char last_state[64];
	char *last_line;
	int64_t last_at_ms;
};

static void draw(struct screen *screen, const struct move_watch *watch)
{
	CLEANUP_TEXT struct text line = TEXT_EMPTY;
	const struct move_view *view = &watch->view;
	const struct progress progress = {
		watch->server_name, view->status,      view->is_over ? -1 : view->total,
		view->remaining,    view->bytes_per_s, view->dirty_bytes_per_s,
	};
	int64_t now_ms = clock_monotonic_ms(clock_system());
	bool is_new_state = !text_equal(screen->last_state, view->status);

	screen->width = table_terminal_width();
	progress_append(&progress, screen->width > 1 ? screen->width - 1 : 0, &line);
	if (text_failed(&line) || !line.data)
		return;
	if (screen->width > 0) {
		printf("\r%s" CLEAR_TO_LINES_END, line.data);
		screen->is_drawn = true;
	} else if (is_new_state
		   || (!text_equal(screen->last_line, line.data) && now_ms - screen->last_at_ms >= LINE_INTERVAL_MS)) {
		puts(line.data);
		screen->last_at_ms = now_ms;
		free(screen->last_line);
		screen->last_line = text_take(&line);
	}
	TEXT_COPY(screen->last_state, view->status);
	fflush(stdout);
}

static void leave(struct screen *screen)
{
	if (screen->is_drawn)
		putchar('\n');
	fflush(stdout);
	free(screen->last_line);
}

/* True: a signal came. */
static bool rest(const sigset_t *signals)
{
	static const struct timespec interval = { .tv_nsec = LOOK_INTERVAL_MS * 1000000L };

	return sigtimedwait(signals, NULL, &interval) > 0;
}

static void block_signals(sigset_t *ret_signals)
{
	sigemptyset(ret_signals);
	sigaddset(ret_signals, SIGINT);
	sigaddset(ret_signals, SIGTERM);
	sigprocmask(SIG_BLOCK, ret_signals, NULL);
}

static int tell(const struct move_watch *watch, int status, const char *why)
{
	fprintf(stderr, "migrationd %s: %s\n", api_client_verb(watch->client), why);
	return status;
}

int move_watch_run(struct move_watch *watch)
{
	struct screen screen = { 0 };
	CLEANUP_API_ANSWER struct api_answer answer = { 0 };
	int64_t seen_at_ms = clock_monotonic_ms(clock_system());
	sigset_t signals;
	bool is_interrupted = false;
	int status = 0;

	block_signals(&signals);
	while (!is_interrupted) {
		int64_t now_ms = clock_monotonic_ms(clock_system());

		api_answer_clear(&answer);
		status = look(watch, &answer);
		if (status == 0) {
			seen_at_ms = now_ms;
			if (!watch->is_quiet)
				draw(&screen, watch);
		} else if (status != EXIT_UNAVAILABLE || now_ms - seen_at_ms >= AWAY_MS) {
			break;
		}
		if (status == 0 && watch->view.is_over)
			break;
		is_interrupted = rest(&signals);
	}
	leave(&screen);
	if (is_interrupted) {
		CLEANUP_FREE char *words =
			watch->migration_id ? text_format("the move of %s goes on; migrationd migration watch %" PRId64
							  " shows it, migrationd migration abort %" PRId64 " ends it",
							  watch->server_name, watch->migration_id, watch->migration_id)
					    : text_format("the move of %s goes on", watch->server_name);

		return tell(watch, EXIT_INTERRUPTED, words ? words : "the move goes on");
	}
	return status == 0 ? 0 : tell(watch, status, answer.why);
}
