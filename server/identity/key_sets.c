/* The reader of key sets. One that cannot be read leaves the one before in force, and says so in the log. */
#include "server/identity/key_sets.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/auth/token.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "server/http_fetch.h"

#define SET_MAX       (256 * 1024) /* bytes */
#define EARLY_READ_MS 10000

struct key_sets {
	const struct key_set_settings *settings;
	size_t count;
	struct token_verifier *tokens;
	struct log *log;
	struct metric_family *readings; /* NULL: nobody measures */
	pthread_t thread;
	bool is_started;
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t wake;
	bool is_stopping;
	bool is_reading; /* one at a time; whoever wants the outcome waits */
	int64_t early_ms; /* monotonic: the last early reading; 0: none */
};

/* How a reading ends, to be counted. */
enum { READING_OK, READING_FAILED };

static int measure(struct key_sets *sets, struct metrics *metrics, struct error *error)
{
	static const char *const names[] = { "result" };
	static const char *const values[] = { [READING_OK] = "ok", [READING_FAILED] = "failed" };
	static const struct metric_labels by_result = { names, 1, values, ARRAY_LENGTH(values) };
	static const struct metric_definition readings = {
		.name = "migrationd_key_set_readings_total",
		.help = "Readings of published key sets; where one fails the set of before stays in force.",
		.type = METRIC_COUNTER,
		.labels = { &by_result },
	};

	return metrics_register(metrics, &readings, &sets->readings, error);
}

static int read_file(const char *path, char **ret_text, size_t *ret_size, struct error *error)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	CLEANUP_FREE char *text = malloc(SET_MAX + 1);

	if (!file)
		return error_set_errno(error, errno, "cannot open the key set %s", path);
	if (!text)
		return error_no_memory(error);
	*ret_size = fread(text, 1, SET_MAX + 1, file);
	if (ferror(file))
		return error_set_errno(error, EIO, "cannot read the key set %s", path);
	if (*ret_size > SET_MAX)
		return error_set(error, EFBIG, "the key set %s is longer than %d bytes", path, SET_MAX);
	*ret_text = TAKE_POINTER(text);
	return 0;
}

static int read_url(const struct key_set_settings *settings, char **ret_text, size_t *ret_size, struct error *error)
{
	CLEANUP_HTTP_RESPONSE struct http_response response = { 0 };
	const struct http_request request = { .url = settings->url,
					      .ca_file = settings->cacert_file,
					      .timeout_s = settings->timeout_s,
					      .body_max = SET_MAX };
	int result = http_fetch(&request, &response, error);

	if (result < 0)
		return result;
	if (response.status != 200)
		return error_set(error, EHOSTUNREACH, "%s answers with status %ld", settings->url, response.status);
	*ret_text = TAKE_POINTER(response.body);
	*ret_size = response.size;
	return 0;
}

static int read_set(struct key_sets *sets, size_t place, struct error *error)
{
	const struct key_set_settings *settings = &sets->settings[place];
	const char *origin = settings->file ? settings->file : settings->url;
	CLEANUP_FREE char *text = NULL;
	CLEANUP_FREE char *excluded = NULL;
	size_t size = 0;
	int result = settings->file ? read_file(settings->file, &text, &size, error)
				    : read_url(settings, &text, &size, error);

	if (result == 0)
		result = token_verifier_set_keys(sets->tokens, place, text, size, &excluded, error);
	metric_add(sets->readings, result == 0 ? READING_OK : READING_FAILED, 1);
	if (excluded)
		log_event(sets->log, LOG_LEVEL_WARNING, NULL, "published keys cannot be used", LOG_TEXT("set", origin),
			  LOG_TEXT("keys", excluded));
	return result == -EBADMSG ? error_wrap(error, "%s", origin) : result;
}

/* With the mutex held, which is let go meanwhile. One that is under way ends first. */
static void read_all(struct key_sets *sets)
{
	while (sets->is_reading)
		pthread_cond_wait(&sets->wake, &sets->mutex);
	sets->is_reading = true;
	pthread_mutex_unlock(&sets->mutex);
	for (size_t i = 0; i < sets->count; i++) {
		struct error error = { 0 };

		if (read_set(sets, i, &error) < 0)
			log_error(sets->log, NULL, "key set cannot be read, the one before stays in force", &error);
	}
	pthread_mutex_lock(&sets->mutex);
	sets->is_reading = false;
	pthread_cond_broadcast(&sets->wake);
}

static int64_t shortest_interval_ms(const struct key_sets *sets)
{
	int64_t shortest_s = sets->settings[0].refresh_interval_s;

	for (size_t i = 1; i < sets->count; i++)
		if (sets->settings[i].refresh_interval_s < shortest_s)
			shortest_s = sets->settings[i].refresh_interval_s;
	return shortest_s * 1000;
}

static void *read_thread(void *context)
{
	struct key_sets *sets = context;
	int64_t interval_ms = shortest_interval_ms(sets);

	pthread_mutex_lock(&sets->mutex);
	while (!sets->is_stopping) {
		int64_t deadline_ms = clock_monotonic_ms(clock_system()) + interval_ms;

		while (!sets->is_stopping)
			if (!clock_wait(clock_system(), &sets->wake, &sets->mutex, deadline_ms))
				break;
		if (sets->is_stopping)
			break;
		read_all(sets);
	}
	pthread_mutex_unlock(&sets->mutex);
	return NULL;
}

static void cleanup_sets(struct key_sets **sets)
{
	key_sets_destroy(*sets);
}

/* The first reading: a file must be there and good, a URL may answer later. */
static int read_first(struct key_sets *sets, struct error *error)
{
	for (size_t i = 0; i < sets->count; i++) {
		struct error trouble = { 0 };
		int result = read_set(sets, i, &trouble);

		if (result < 0 && sets->settings[i].file)
			return error_set(error, EINVAL, "identity.jwks: %s", trouble.text);
		if (result < 0)
			log_error(sets->log, NULL, "key set cannot be read yet", &trouble);
	}
	return 0;
}

int key_sets_create(const struct key_set_settings *settings, size_t count, struct token_verifier *tokens,
		    struct log *log, struct metrics *metrics, struct key_sets **ret_sets, struct error *error)
{
	__attribute__((cleanup(cleanup_sets))) struct key_sets *sets = calloc(1, sizeof(*sets));

	if (!sets)
		return error_no_memory(error);
	*sets = (struct key_sets){ .settings = settings, .count = count, .tokens = tokens, .log = log };
	pthread_mutex_init(&sets->mutex, NULL);
	clock_condition_init(&sets->wake);
	int result = measure(sets, metrics, error);
	if (result == 0)
		result = read_first(sets, error);
	if (result < 0)
		return result;
	result = pthread_create(&sets->thread, NULL, read_thread, sets);
	if (result > 0)
		return error_set_errno(error, result, "cannot start the reader of key sets");
	sets->is_started = true;
	*ret_sets = TAKE_POINTER(sets);
	return 0;
}

void key_sets_destroy(struct key_sets *sets)
{
	if (!sets)
		return;
	pthread_mutex_lock(&sets->mutex);
	sets->is_stopping = true;
	pthread_cond_broadcast(&sets->wake);
	pthread_mutex_unlock(&sets->mutex);
	if (sets->is_started)
		pthread_join(sets->thread, NULL);
	pthread_cond_destroy(&sets->wake);
	pthread_mutex_destroy(&sets->mutex);
	free(sets);
}

bool key_sets_may_read(struct key_sets *sets)
{
	LOCK_SCOPE(&sets->mutex);

	return sets->is_reading || !sets->early_ms
	       || clock_monotonic_ms(clock_system()) - sets->early_ms >= EARLY_READ_MS;
}

void key_sets_read_now(struct key_sets *sets)
{
	LOCK_SCOPE(&sets->mutex);
	int64_t now_ms = clock_monotonic_ms(clock_system());

	/* What is being read is as new as what would be read after it. */
	if (sets->is_reading) {
		while (sets->is_reading)
			pthread_cond_wait(&sets->wake, &sets->mutex);
		return;
	}
	if (sets->early_ms && now_ms - sets->early_ms < EARLY_READ_MS)
		return;
	sets->early_ms = now_ms;
	read_all(sets);
}
