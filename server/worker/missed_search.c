/* The search for guests that are missed. The one difficulty: it has to reach every host before anything is forgotten, and yet a
 * large fleet in which guests come and go must not be read without a pause. */
#include "server/worker/missed_search.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "server/worker/discover.h"

/* Guests that are missed come in swarms, too, and one that was moved by hand needs a moment to be seen elsewhere: so long
 * after a miss was noted the hosts are searched. */
#define SEARCH_GATHER_MS 500
/* From one search to the next: a large fleet in which guests come and go is not to be read without a pause. */
#define SEARCH_PAUSE_MS          2000
#define SEARCH_PAUSE_PER_HOST_MS 5
/* A miss that a host which is down keeps is decided again after this time. */
#define KEPT_RETRY_MS 5000

void search_plan(struct discovery *discovery, int64_t noted)
{
	int64_t soon_ms = clock_monotonic_ms(discovery->clock) + SEARCH_GATHER_MS;

	if (discovery->wanted_reading <= discovery->searched_reading && discovery->next_search_ms < soon_ms)
		discovery->next_search_ms = soon_ms;
	if (discovery->wanted_reading < noted)
		discovery->wanted_reading = noted;
}

/* Every host that is up is to be read by a reading newer than the misses, once for all that were noted by now. */
void search_begin(struct discovery *discovery)
{
	int64_t now_ms = clock_monotonic_ms(discovery->clock);

	if (discovery->wanted_reading <= discovery->searched_reading || now_ms < discovery->next_search_ms)
		return;
	for (size_t i = 0; i < discovery->host_count; i++) {
		struct seen_host *host = discovery->hosts[i];

		if (host->is_up && host->good_reading <= discovery->wanted_reading)
			host->is_searched = true;
	}
	discovery->searched_reading = discovery->wanted_reading;
	discovery->next_search_ms =
		now_ms + SEARCH_PAUSE_MS + (int64_t)discovery->host_count * SEARCH_PAUSE_PER_HOST_MS;
}

/* A miss on its way to be decided. */
struct decision {
	struct discovery *discovery;
	char uuid[UUID_SIZE];
	struct missed_decision missed;
};

static bool was_asked(void *context, int64_t host_id, int64_t noted)
{
	struct discovery *discovery = context;
	LOCK_SCOPE(&discovery->mutex);
	const struct seen_host *host = discovery_find_host(discovery, host_id);

	return host && host->is_up && host->good_reading > noted;
}

static int write_decision(struct db_session *session, void *context, struct error *error)
{
	struct decision *decision = context;
	struct discovery *discovery = decision->discovery;

	decision->missed = (struct missed_decision){ .missed = &discovery->missed,
						     .uuid = decision->uuid,
						     .retry_ms = clock_monotonic_ms(discovery->clock) + KEPT_RETRY_MS,
						     .log = discovery->log,
						     .was_asked = was_asked,
						     .context = discovery };
	return missed_decide(session, &decision->missed, error);
}

static void on_decided(void *context, int result, const struct error *error)
{
	struct decision *decision = context;
	struct discovery *discovery = decision->discovery;
	struct missed_guest *guest = missed_find(&discovery->missed, decision->uuid);

	if (guest)
		guest->is_being_decided = false;
	if (result < 0)
		log_event(discovery->log, LOG_LEVEL_ERROR, NULL, "a guest that is missed cannot be forgotten",
			  LOG_TEXT("server", decision->uuid), LOG_TEXT("reason", error->text));
	else if (decision->missed.is_forgotten)
		log_event(discovery->log, LOG_LEVEL_INFO, NULL, "server was forgotten: no host has its guest",
			  LOG_TEXT("server", decision->uuid));
	if (decision->missed.look_again_at)
		discovery_look_again(discovery, decision->missed.look_again_at);
	free(decision);
	discovery_end_write(discovery);
}

/* The newest reading than which every host that is up, or was not read yet, has a newer one. */
static int64_t searched_until(struct discovery *discovery)
{
	int64_t until = INT64_MAX;

	LOCK_SCOPE(&discovery->mutex);
	if (discovery->must_list_hosts)
		return 0;
	for (size_t i = 0; i < discovery->host_count; i++) {
		const struct seen_host *host = discovery->hosts[i];

		if (!host->is_left && (host->is_up || !host->was_read) && host->good_reading <= until)
			until = host->good_reading - 1;
	}
	return until < 0 ? 0 : until; /* none has the number 0 */
}

static void decide(struct discovery *discovery, struct missed_guest *guest)
{
	struct decision *decision = calloc(1, sizeof(*decision));

	if (!decision) /* later */
		return;
	guest->is_being_decided = true;
	*decision = (struct decision){ .discovery = discovery };
	TEXT_COPY(decision->uuid, guest->uuid);
	pthread_mutex_lock(&discovery->mutex);
	discovery->unwritten++;
	pthread_mutex_unlock(&discovery->mutex);
	db_submit(discovery->database, write_decision, on_decided, decision);
}

/* On the writer's thread: those for which every host that is up was asked. */
void search_decide(struct discovery *discovery, bool came_up)
{
	struct missed *missed = &discovery->missed;
	int64_t now_ms = clock_monotonic_ms(discovery->clock);
	int64_t until = -1;

	for (size_t i = 0; i < missed->count; i++) {
		struct missed_guest *guest = &missed->guests[i];

		if (guest->is_being_decided || (now_ms < guest->retry_ms && !came_up))
			continue;
		if (until < 0)
			until = searched_until(discovery);
		if (guest->noted <= until)
			decide(discovery, guest);
	}
}
