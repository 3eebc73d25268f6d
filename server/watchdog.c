/* The watchdog's proof. The one difficulty: the thread that gives the sign must not get stuck with what it watches, so the write
 * is handed in and its completion looked for later. */
#include "server/watchdog.h"

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "db/database.h"

#define LOOK_MS 50 /* while the write is on its way, at first */

static int write_nothing(struct db_session *session, void *context, struct error *error)
{
	(void)session;
	(void)context;
	(void)error;
	return 0;
}

/* Also with an error the writer has answered: a disk that is full stays full after a restart. */
static void on_written(void *context, int result, const struct error *error)
{
	struct watchdog *watchdog = context;

	(void)result;
	(void)error;
	atomic_store(&watchdog->proof, WATCHDOG_PROOF_GIVEN);
}

void watchdog_init(struct watchdog *watchdog, struct database *database, struct log *log, int64_t interval_ms,
		   void (*tell)(struct log *log))
{
	*watchdog = (struct watchdog){ .database = database, .log = log, .tell = tell };
	if (interval_ms > 0)
		watchdog->pace_ms = interval_ms > 1 ? interval_ms / 2 : 1;
}

void watchdog_add_part(struct watchdog *watchdog, const char *name, watchdog_busy_fn busy_ms, void *part)
{
	if (watchdog->part_count < ARRAY_LENGTH(watchdog->parts))
		watchdog->parts[watchdog->part_count++] = (struct watchdog_part){ name, busy_ms, part };
}

/* The part that has been at one thing for too long; NULL: none. */
static const char *find_stuck(const struct watchdog *watchdog, int64_t now_ms)
{
	bool is_written = atomic_load(&watchdog->proof) == WATCHDOG_PROOF_GIVEN;

	for (size_t i = 0; i < watchdog->part_count; i++)
		if (watchdog->parts[i].busy_ms(watchdog->parts[i].part) > watchdog->pace_ms)
			return watchdog->parts[i].name;
	return !is_written && now_ms - watchdog->asked_ms > watchdog->pace_ms ? "the database's writer" : NULL;
}

/* Said once: the manager's own words, when it kills us, do not know why. */
static void tell_of_silence(struct watchdog *watchdog, const char *stuck)
{
	if (stuck == watchdog->silent_about)
		return;
	watchdog->silent_about = stuck;
	log_event(watchdog->log, stuck ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, NULL,
		  stuck ? "a part of the daemon is stuck; the service manager is told nothing until it goes on"
			: "all parts of the daemon go on",
		  LOG_TEXT("part", stuck), LOG_NUMBER("longer_than_ms", watchdog->pace_ms));
}

static void give_sign(struct watchdog *watchdog, int64_t now_ms)
{
	tell_of_silence(watchdog, NULL);
	watchdog->tell(watchdog->log);
	watchdog->due_ms = now_ms + watchdog->pace_ms;
}

static int64_t sleep_for(const struct watchdog *watchdog, int64_t now_ms, int64_t most_ms)
{
	int64_t left_ms = watchdog->due_ms - now_ms;

	if (left_ms <= 0) /* the sign is overdue: often at first, then as patiently as the pace allows */
		left_ms = now_ms - watchdog->asked_ms < 1000 ? LOOK_MS : watchdog->pace_ms;
	return left_ms < most_ms ? left_ms : most_ms;
}

int64_t watchdog_look(struct watchdog *watchdog, int64_t most_ms)
{
	int64_t now_ms = clock_monotonic_ms(clock_system());

	if (watchdog->pace_ms == 0)
		return most_ms;
	if (now_ms < watchdog->due_ms)
		return sleep_for(watchdog, now_ms, most_ms);
	if (atomic_load(&watchdog->proof) == WATCHDOG_PROOF_NONE) {
		watchdog->asked_ms = now_ms;
		atomic_store(&watchdog->proof, WATCHDOG_PROOF_ASKED);
		db_submit(watchdog->database, write_nothing, on_written, watchdog);
	}

	const char *stuck = find_stuck(watchdog, now_ms);
	if (stuck)
		tell_of_silence(watchdog, stuck);
	if (atomic_load(&watchdog->proof) == WATCHDOG_PROOF_GIVEN) {
		atomic_store(&watchdog->proof, WATCHDOG_PROOF_NONE); /* it proves one sign, and only now */
		if (!stuck)
			give_sign(watchdog, now_ms);
	}
	return sleep_for(watchdog, now_ms, most_ms);
}
