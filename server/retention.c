/* Old records, taken away in batches until none is left; then it rests for a while. */
#include "server/retention.h"

#include <stddef.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "db/database.h"
#include "db/retention.h"

#define BATCH       200
#define BATCHES_MAX 20 /* one look */
#define REST_MS     (10 * 60 * 1000LL)
#define DAY_US      (24 * 3600 * 1000000LL)

struct batch {
	int (*forget)(struct db_session *session, int64_t unchanged_since_us, size_t most, size_t *ret_count,
		      struct error *error);
	int64_t days;
	size_t count;
};

static int write_batch(struct db_session *session, void *context, struct error *error)
{
	struct batch *batch = context;

	return batch->forget(session, db_now_us(session) - batch->days * DAY_US, BATCH, &batch->count, error);
}

/* True when all that is old is gone. */
static bool forget(struct retention *retention, struct batch *batch, const char *words)
{
	struct error error = { 0 };
	size_t total = 0;
	bool is_done = batch->days <= 0;

	for (int i = 0; i < BATCHES_MAX && !is_done; i++) {
		if (db_write(retention->database, write_batch, batch, &error) < 0) {
			log_error(retention->log, NULL, "old records cannot be taken away", &error);
			return true; /* it is tried again after the rest */
		}
		total += batch->count;
		is_done = batch->count < BATCH;
	}
	if (total > 0)
		log_event(retention->log, LOG_LEVEL_INFO, NULL, words, LOG_NUMBER("count", (int64_t)total),
			  LOG_NUMBER("days", batch->days));
	return is_done;
}

void retention_look(struct retention *retention, const struct retention_settings *settings)
{
	struct batch migrations = { .forget = db_forget_migrations, .days = settings->migrations_days };
	struct batch actions = { .forget = db_forget_actions, .days = settings->instance_actions_days };
	int64_t now_ms = clock_monotonic_ms(clock_system());

	bool is_same = retention->applied.migrations_days == settings->migrations_days
		       && retention->applied.instance_actions_days == settings->instance_actions_days;
	if (is_same && now_ms < retention->next_ms)
		return;
	retention->applied = *settings;
	bool is_done = forget(retention, &migrations, "finished migrations were forgotten");
	if (forget(retention, &actions, "instance actions were forgotten") && is_done)
		retention->next_ms = now_ms + REST_MS;
}
