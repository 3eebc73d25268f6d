/* The checks. The one difficulty is a disk that hangs: nobody may wait for it for long, and it is asked once, however many want
 * to know. What went wrong in words goes to the log alone, since whoever asks needs no token. */
#include "server/readiness.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/summary.h"

#define GOOD_MS     5000 /* a write that went well is believed for so long */
#define BAD_MS      1000 /* one that failed */
#define PATIENCE_MS 1000 /* one that takes longer has failed for now */
#define HOSTS_MS    1000

struct readiness {
	struct database *database;
	struct log *log;
	atomic_int phase;

	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t is_written;
	bool is_writing;
	bool was_written; /* at least once: the result counts */
	int64_t write_began_ms;
	int64_t write_ended_ms;
	int write_result; /* 0 or a negative errno */

	pthread_mutex_t hosts_mutex; /* guards the two below */
	int64_t hosts_counted_ms; /* 0: never */
	struct db_host_counts hosts;
};

static int64_t now_ms(void)
{
	return clock_monotonic_ms(clock_system()); /* also where a test has stopped the daemon's own clock */
}

int readiness_create(struct database *database, struct log *log, struct readiness **ret_readiness, struct error *error)
{
	struct readiness *readiness = calloc(1, sizeof(*readiness));

	if (!readiness)
		return error_no_memory(error);
	readiness->database = database;
	readiness->log = log;
	atomic_init(&readiness->phase, READINESS_STARTING);
	pthread_mutex_init(&readiness->mutex, NULL);
	pthread_mutex_init(&readiness->hosts_mutex, NULL);
	clock_condition_init(&readiness->is_written);
	*ret_readiness = readiness;
	return 0;
}

void readiness_destroy(struct readiness *readiness)
{
	if (!readiness)
		return;
	pthread_cond_destroy(&readiness->is_written);
	pthread_mutex_destroy(&readiness->mutex);
	pthread_mutex_destroy(&readiness->hosts_mutex);
	free(readiness);
}

void readiness_enter(struct readiness *readiness, enum readiness_phase phase)
{
	if (readiness)
		atomic_store(&readiness->phase, phase);
}

/* On the database's writer. */
static void on_written(void *context, int result, const struct error *error)
{
	struct readiness *readiness = context;

	LOCK_SCOPE(&readiness->mutex);
	if (result < 0 && (!readiness->was_written || readiness->write_result == 0))
		log_error(readiness->log, NULL, "the database cannot be written", error);
	else if (result == 0 && readiness->was_written && readiness->write_result < 0)
		log_event(readiness->log, LOG_LEVEL_INFO, NULL, "the database can be written again");
	readiness->write_result = result;
	readiness->was_written = true;
	readiness->is_writing = false;
	readiness->write_ended_ms = now_ms();
	pthread_cond_broadcast(&readiness->is_written);
}

/* Whether it is time for a write, which is then begun. */
static bool begin_write(struct readiness *readiness)
{
	LOCK_SCOPE(&readiness->mutex);
	int64_t age_ms = now_ms() - readiness->write_ended_ms;

	if (readiness->is_writing
	    || (readiness->was_written && age_ms < (readiness->write_result < 0 ? BAD_MS : GOOD_MS)))
		return false;
	readiness->is_writing = true;
	readiness->write_began_ms = now_ms();
	return true;
}

static const char *check_database(struct readiness *readiness)
{
	if (begin_write(readiness))
		db_submit(readiness->database, db_write_nothing, on_written, readiness);

	LOCK_SCOPE(&readiness->mutex);
	while (readiness->is_writing)
		if (!clock_wait(clock_system(), &readiness->is_written, &readiness->mutex,
				readiness->write_began_ms + PATIENCE_MS))
			break;
	if (readiness->is_writing)
		return "a write to the database has not ended for more than a second";
	if (readiness->write_result == -ENOSPC)
		return "the disk of the database is full";
	return readiness->write_result < 0 ? "the database cannot be written: the log tells why" : NULL;
}

static const char *check_hosts(struct readiness *readiness)
{
	LOCK_SCOPE(&readiness->hosts_mutex);

	if (!readiness->hosts_counted_ms || now_ms() - readiness->hosts_counted_ms >= HOSTS_MS) {
		CLEANUP_DB_READ struct db_session *session = NULL;
		struct error error = { 0 };
		int result = db_read_begin(readiness->database, &session, &error);

		if (result == 0)
			result = db_host_counts(session, &readiness->hosts, &error);
		if (result < 0) {
			log_error(readiness->log, NULL, "hosts cannot be counted", &error);
			return "the database cannot be read: the log tells why";
		}
		readiness->hosts_counted_ms = now_ms();
	}
	const struct db_host_counts *hosts = &readiness->hosts;
	bool has_some = hosts->up + hosts->down + hosts->disabled > 0;
	return has_some && hosts->answering == 0 ? "no host answers" : NULL;
}

static const char *check_daemon(struct readiness *readiness)
{
	static const char *const phases[] = {
		[READINESS_STARTING] = "it is starting", [READINESS_SERVING] = NULL, [READINESS_ENDING] = "it is ending"
	};

	return phases[atomic_load(&readiness->phase)];
}

static const struct {
	const char *name;
	const char *(*check)(struct readiness *readiness);
} checks[READINESS_CHECK_MAX] = {
	[READINESS_DAEMON] = { "daemon", check_daemon },
	[READINESS_DATABASE] = { "database", check_database },
	[READINESS_HOSTS] = { "hosts", check_hosts },
};

const char *readiness_check_name(enum readiness_check check)
{
	return checks[check].name;
}

/* The others are not asked before the start has ended, nor when the database is about to close. */
bool readiness_ask(struct readiness *readiness, struct readiness_found *ret_found)
{
	bool is_ready = true;

	*ret_found = (struct readiness_found){ 0 };
	while (ret_found->count < READINESS_CHECK_MAX && !ret_found->reasons[READINESS_DAEMON]) {
		const char *reason = checks[ret_found->count].check(readiness);

		is_ready = is_ready && !reason;
		ret_found->reasons[ret_found->count++] = reason;
	}
	return is_ready;
}

static bool is_ready(const struct readiness_found *found)
{
	for (size_t i = 0; i < found->count; i++)
		if (found->reasons[i])
			return false;
	return true;
}

void readiness_tell(const struct readiness_found *found, struct text *text)
{
	text_append_format(text, "{\"status\": \"%s\", \"checks\": {", is_ready(found) ? "ready" : "not ready");
	for (size_t i = 0; i < found->count; i++) {
		const char *reason = found->reasons[i];

		text_append_format(text, "%s\"%s\": {\"ok\": %s", i ? ", " : "", checks[i].name,
				   reason ? "false" : "true");
		if (reason)
			text_append_format(text, ", \"reason\": \"%s\"", reason);
		text_append(text, "}");
	}
	text_append(text, "}}\n");
}
