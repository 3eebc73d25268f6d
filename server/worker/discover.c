/* Threads that read the hosts. The one difficulty: a host that does not answer takes its keep-alive's time, so that a few
 * threads share the hosts, each host being read by one of them at a time. What was read is written without waiting for the
 * disk: of a large fleet many readings then share a commit. Until it is written, what it shows may have become untrue; see
 * discover_guest.h for what a reading may not touch, and missed.h for when a server is forgotten. */
#include "server/worker/discover.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "db/hosts.h"
#include "server/worker/discover_guest.h"
#include "server/worker/missed_search.h"

/* Readings that wait for their commit, at most: what they hold is memory. */
#define UNWRITTEN_MAX 256
/* Events come in swarms (a start is five of them); a host is read once for those that come within this time. */
#define GATHER_MS 100
/* A host whose reading was older than a server's row is read again after this time: what changes often has then settled. */
#define OUTDATED_MS 500

struct seen_host *discovery_find_host(struct discovery *discovery, int64_t id)
{
	for (size_t i = 0; i < discovery->host_count; i++)
		if (discovery->hosts[i]->id == id && !discovery->hosts[i]->is_left)
			return discovery->hosts[i];
	return NULL;
}

void discovery_end_write(struct discovery *discovery)
{
	LOCK_SCOPE(&discovery->mutex);

	discovery->unwritten--;
	pthread_cond_broadcast(&discovery->has_work);
}

static void bring_forward(struct discovery *discovery, struct seen_host *host, int64_t pause_ms)
{
	int64_t soon_ms = clock_monotonic_ms(discovery->clock) + pause_ms;

	if (host->due_ms > soon_ms)
		host->due_ms = soon_ms;
	pthread_cond_broadcast(&discovery->has_work);
}

static void on_hypervisor_event(void *context, int64_t host_id, enum hypervisor_event_kind kind, const char *guest_uuid)
{
	struct discovery *discovery = context;

	(void)kind;
	(void)guest_uuid;
	discovery_look_again(discovery, host_id);
}

void discovery_look_again(struct discovery *discovery, int64_t host_id)
{
	LOCK_SCOPE(&discovery->mutex);
	struct seen_host *host = discovery_find_host(discovery, host_id);

	if (host)
		bring_forward(discovery, host, GATHER_MS);
}

/* The job has changed, and may have ended: what was left to it is its hosts' to tell again. */
static void look_behind_job(struct discovery *discovery, int64_t id)
{
	LOCK_SCOPE(&discovery->mutex);

	for (size_t i = 0; i < discovery->host_count; i++)
		if (left_jobs_have(&discovery->hosts[i]->left_to, id))
			bring_forward(discovery, discovery->hosts[i], OUTDATED_MS);
}

void discovery_list_hosts(struct discovery *discovery)
{
	LOCK_SCOPE(&discovery->mutex);

	discovery->must_list_hosts = true;
	pthread_cond_broadcast(&discovery->has_work);
}

static void on_row_changed(void *context, enum db_table table, int64_t id)
{
	struct discovery *discovery = context;

	if (table == DB_TABLE_JOBS)
		look_behind_job(discovery, id);
	if (table != DB_TABLE_HOSTS)
		return;
	LOCK_SCOPE(&discovery->mutex);
	if (discovery_find_host(discovery, id))
		return;
	discovery->must_list_hosts = true;
	pthread_cond_broadcast(&discovery->has_work);
}

int discovery_create(struct hypervisor *hypervisor, struct database *database,
		     const struct hypervisor_settings *settings, struct clock *clock, struct log *log,
		     struct discovery **ret_discovery, struct error *error)
{
	struct discovery *discovery = calloc(1, sizeof(*discovery));

	if (!discovery)
		return error_no_memory(error);
	*discovery = (struct discovery){ .hypervisor = hypervisor,
					 .database = database,
					 .settings = settings,
					 .clock = clock,
					 .log = log,
					 .must_list_hosts = true };
	pthread_mutex_init(&discovery->mutex, NULL);
	clock_condition_init(&discovery->has_work);
	int result = db_watch(database, on_row_changed, discovery, error);
	if (result < 0) {
		discovery_destroy(discovery);
		return result;
	}
	hypervisor->operations->watch(hypervisor, on_hypervisor_event, discovery);
	*ret_discovery = discovery;
	return 0;
}

/* How a reading ends, to be counted. */
enum { READING_OK, READING_FAILED };

int discovery_measure(struct discovery *discovery, struct metrics *metrics, struct error *error)
{
	static const char *const names[] = { "result" };
	static const char *const values[] = { [READING_OK] = "ok", [READING_FAILED] = "failed" };
	static const struct metric_labels by_result = { names, 1, values, ARRAY_LENGTH(values) };
	static const int64_t bounds_us[] = { 1000,   5000,    10000,   50000,    100000,
					     500000, 1000000, 5000000, 15000000, 60000000 };
	static const struct metric_definition readings = {
		.name = "migrationd_discovery_readings_total",
		.help = "Readings of hosts; a failed one is a host that did not answer.",
		.type = METRIC_COUNTER,
		.labels = { &by_result },
	};
	static const struct metric_definition seconds = {
		.name = "migrationd_discovery_reading_duration_seconds",
		.help = "Time of one reading of a host, until it is written.",
		.type = METRIC_HISTOGRAM,
		.scale = 1e-6,
		.bounds = bounds_us,
		.bound_count = ARRAY_LENGTH(bounds_us),
	};
	static const struct metric_definition last_good = {
		.name = "migrationd_discovery_last_success_timestamp_seconds",
		.help = "When a host, whichever, was last read; 0 is never.",
		.type = METRIC_GAUGE,
		.scale = 1e-6,
	};
	const struct metric_place places[] = {
		{ &readings, &discovery->measures.readings },
		{ &seconds, &discovery->measures.seconds },
		{ &last_good, &discovery->measures.last_good },
		{ 0 },
	};

	return metrics_register_all(metrics, places, error);
}

static void measure_reading(struct discovery *discovery, bool is_good, int64_t took_us)
{
	metric_add(discovery->measures.readings, is_good ? READING_OK : READING_FAILED, 1);
	metric_observe(discovery->measures.seconds, 0, took_us);
	if (is_good)
		metric_set(discovery->measures.last_good, 0, clock_now_us(clock_system()));
}

/* With the lock held, which is let go meanwhile: closing may wait for the host, and what libvirt calls back takes the lock. */
static void close_left_hosts(struct discovery *discovery)
{
	struct seen_host *left = TAKE_POINTER(discovery->left);

	if (!left)
		return;
	pthread_mutex_unlock(&discovery->mutex);
	while (left) {
		struct seen_host *host = left;

		left = host->next_left;
		discovery->hypervisor->operations->close_host(host->handle);
		free(host->address);
		free(host->down_reason);
		left_jobs_clear(&host->left_to);
		free(host);
	}
	pthread_mutex_lock(&discovery->mutex);
}

static void leave_host(struct discovery *discovery, struct seen_host *host)
{
	discovery->unread -= !host->was_read;
	host->next_left = discovery->left;
	discovery->left = host;
}

/* With the lock held. Those that are read meanwhile go later. */
static void drop_left_hosts(struct discovery *discovery)
{
	size_t kept = 0;

	for (size_t i = 0; i < discovery->host_count; i++) {
		struct seen_host *host = discovery->hosts[i];

		if (host->is_left && !host->is_being_read)
			leave_host(discovery, host);
		else
			discovery->hosts[kept++] = host;
	}
	discovery->host_count = kept;
}

/* NULL when out of memory. */
static char *address_text(const struct db_host *row)
{
	return text_format("%s\n%s\n%s", row->uri ? row->uri : "", row->user_name ? row->user_name : "",
			   row->password_file ? row->password_file : "");
}

static int open_host(struct discovery *discovery, const struct db_host *row, struct error *error)
{
	const struct hypervisor_address address = { .host_id = row->id,
						    .name = row->name,
						    .uri = row->uri,
						    .user_name = row->user_name,
						    .password_file = row->password_file };
	struct seen_host *host = calloc(1, sizeof(*host));
	struct seen_host **hosts = realloc(discovery->hosts, (discovery->host_count + 1) * sizeof(struct seen_host *));

	if (hosts)
		discovery->hosts = hosts;
	if (host)
		host->address = address_text(row);
	if (!hosts || !host || !host->address) {
		free(host);
		return error_no_memory(error);
	}
	host->id = row->id;
	TEXT_COPY(host->name, row->name);
	int result =
		discovery->hypervisor->operations->open_host(discovery->hypervisor, &address, &host->handle, error);
	if (result < 0) {
		free(host->address);
		free(host);
		return result;
	}
	hosts[discovery->host_count++] = host;
	discovery->unread++;
	return 0;
}

/* New rows get a handle, and those that are reached another way now a new one; called with the lock held, which is short since open_host does not wait. */
static int list_hosts(struct discovery *discovery, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_HOSTS struct db_host_list rows = { 0 };
	int result = db_read_begin(discovery->database, &session, error);

	if (result == 0)
		result = db_host_all(session, &rows, error);
	for (size_t i = 0; i < rows.count && result == 0; i++) {
		struct seen_host *host = discovery_find_host(discovery, rows.items[i].id);
		CLEANUP_FREE char *address = address_text(&rows.items[i]);

		if (!address)
			return error_no_memory(error);
		if (host && !text_equal(host->address, address))
			host->is_left = true;
		if (!host || host->is_left)
			result = open_host(discovery, &rows.items[i], error);
		if (result < 0 && result != -ENOMEM) { /* the others are there all the same */
			log_error(discovery->log, NULL, "hosts cannot be listed", error);
			error_clear(error);
			result = 0;
		}
	}
	drop_left_hosts(discovery);
	return result;
}

/* What one reading found, for the write. */
struct reading {
	struct discovery *discovery;
	struct seen_host *host; /* nobody else reads it, and it stays until this ends */
	int64_t began_us;
	int64_t number;
	int64_t change_number; /* the database's, from before it began */
	struct host_facts facts;
	struct guest_list guests;
	bool is_up;
	bool is_removed; /* the database has no such host any more */
	bool is_written;
	struct discovered_host found;
};

static void take_text(char **member, char **text)
{
	free(*member);
	*member = TAKE_POINTER(*text);
}

static int write_guests(struct db_session *session, struct reading *reading, struct error *error)
{
	struct discovery *discovery = reading->discovery;
	int64_t newest_reading;
	int result = 0;

	pthread_mutex_lock(&discovery->mutex);
	newest_reading = discovery->newest_reading;
	pthread_mutex_unlock(&discovery->mutex);
	left_jobs_clear(&reading->found.left_to);
	reading->found = (struct discovered_host){ .host_id = reading->host->id,
						   .settings = discovery->settings,
						   .missed = &discovery->missed,
						   .change_number = reading->change_number,
						   .newest_reading = newest_reading,
						   .newest_change = db_change_number(discovery->database) };
	for (size_t i = 0; i < reading->guests.count && result == 0; i++)
		result = discover_guest(session, &reading->guests.items[i], &reading->found, error);
	return result < 0 ? result : discover_missing(session, &reading->guests, &reading->found, error);
}

static int write_reading(struct db_session *session, void *context, struct error *error)
{
	struct reading *reading = context;
	CLEANUP_DB_HOST struct db_host row = { 0 };
	int result = db_host_by_id(session, reading->host->id, &row, error);

	if (result < 0 || row.is_gone) /* given up for good: what it still shows does not count */
		return result;
	bool is_up = reading->is_up && !row.is_gone; /* one that was given up counts no more, also when it answers */
	if (!is_up && !row.service.is_up) /* it stays down: its row needs no change */
		return 0;
	row.service.is_up = is_up;
	if (!is_up)
		return db_service_update(session, &row.service, error);
	row.service.updated_us = row.updated_us = db_now_us(session);
	row.vcpus = reading->facts.vcpus;
	row.memory_mb = reading->facts.memory_mb;
	row.disk_gb = reading->facts.disk_gb;
	row.hypervisor_version = reading->facts.hypervisor_version;
	take_text(&row.hypervisor_type, &reading->facts.hypervisor_type);
	take_text(&row.host_ip, &reading->facts.host_ip);
	take_text(&row.cpu_info, &reading->facts.cpu_info);
	take_text(&row.facts, &reading->facts.facts);
	result = db_service_update(session, &row.service, error);
	if (result == 0)
		result = db_host_update(session, &row, error);
	return result < 0 ? result : write_guests(session, reading, error);
}

/* Up or down, each once, and each new reason for which it is down. */
static void tell_state(struct discovery *discovery, struct seen_host *host, bool is_up, const char *reason)
{
	bool is_news = !host->was_read || host->is_up != is_up || (!is_up && !text_equal(host->down_reason, reason));

	if (!is_news)
		return;
	free(host->down_reason);
	host->down_reason = is_up ? NULL : strdup(reason);
	log_event(discovery->log, is_up ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, NULL,
		  is_up ? "host is up" : "host is down", LOG_TEXT("host", host->name),
		  LOG_TEXT("reason", is_up ? "" : reason));
}

/* The host that is due first and read by nobody, or else one that is searched for a guest; NULL when there is none, with the
 * time until which to wait. */
static struct seen_host *next_host(struct discovery *discovery, int64_t *ret_until_ms)
{
	struct seen_host *first = NULL;
	struct seen_host *searched = NULL;

	search_begin(discovery);
	for (size_t i = 0; i < discovery->host_count; i++) {
		struct seen_host *host = discovery->hosts[i];

		if (host->is_being_read || host->is_left)
			continue;
		if (!first || host->due_ms < first->due_ms)
			first = host;
		if (host->is_searched && !searched)
			searched = host;
	}
	*ret_until_ms = first ? first->due_ms : INT64_MAX;
	if (discovery->wanted_reading > discovery->searched_reading && discovery->next_search_ms < *ret_until_ms)
		*ret_until_ms = discovery->next_search_ms;
	return first && first->due_ms <= clock_monotonic_ms(discovery->clock) ? first : searched;
}

static void plan_next(struct discovery *discovery, struct seen_host *host, bool is_outdated)
{
	int64_t interval_s =
		host->is_up ? discovery->settings->reconcile_interval_s : discovery->settings->reconnect_interval_s;
	int64_t next_ms = clock_monotonic_ms(discovery->clock) + (is_outdated ? OUTDATED_MS : interval_s * 1000);

	if (next_ms < host->due_ms)
		host->due_ms = next_ms;
}

/* One that was not written took nothing, and left nothing either. */
static void take_left_jobs(struct reading *reading)
{
	struct left_jobs *left_to = &reading->host->left_to;

	if (reading->is_up && reading->is_written) {
		left_jobs_clear(left_to);
		*left_to = reading->found.left_to;
		reading->found.left_to = (struct left_jobs){ 0 };
		left_jobs_close(left_to);
	}
	left_jobs_clear(&reading->found.left_to);
}

/* The reading ends, and the host is free for the next. True in *ret_came_up: it was down, or not read yet. */
static void take_reading(struct reading *reading, bool *ret_came_up)
{
	struct discovery *discovery = reading->discovery;
	struct seen_host *host = reading->host;

	measure_reading(discovery, reading->is_up, clock_measure_us() - reading->began_us);

	LOCK_SCOPE(&discovery->mutex);
	if (reading->is_up && reading->is_written)
		host->good_reading = reading->number;
	if (reading->found.has_missed)
		search_plan(discovery, reading->found.newest_reading);
	*ret_came_up = reading->is_up && !host->is_up;
	host->is_up = reading->is_up;
	host->is_being_read = false;
	host->is_searched =
		host->is_searched || reading->number <= discovery->searched_reading; /* it began too early */
	host->is_left = host->is_left || reading->is_removed;
	discovery->unread -= !host->was_read;
	host->was_read = true;
	take_left_jobs(reading);
	plan_next(discovery, host, reading->found.is_outdated);
	drop_left_hosts(discovery);
	host_facts_clear(&reading->facts);
	guest_list_clear(&reading->guests);
	free(reading);
}

static void on_written(void *context, int result, const struct error *error)
{
	struct reading *reading = context;

	struct discovery *discovery = reading->discovery;
	bool came_up = false;

	reading->is_written = result == 0;
	if (result == -ENOENT) /* it was removed meanwhile */
		reading->is_removed = true;
	else if (result < 0)
		log_event(discovery->log, LOG_LEVEL_ERROR, NULL, "what a host showed cannot be written",
			  LOG_TEXT("host", reading->host->name), LOG_TEXT("reason", error->text));
	take_reading(reading, &came_up);
	search_decide(discovery, came_up);
	discovery_end_write(discovery);
}

/* Takes the reading: it ends here, or when it is on disk. */
static void read_host(struct reading *reading)
{
	struct discovery *discovery = reading->discovery;
	const struct hypervisor_operations *operations = discovery->hypervisor->operations;
	struct seen_host *host = reading->host;
	struct error error = { 0 };
	int result;

	reading->change_number = db_change_number(discovery->database);
	result = operations->describe(host->handle, &reading->facts, &error);

	if (result == 0)
		result = operations->list_guests(host->handle, &reading->guests, &error);
	reading->is_up = result == 0;
	tell_state(discovery, host, reading->is_up, error.text);
	db_submit(discovery->database, write_reading, on_written, reading);
}

/* Where the database cannot be read it is tried again after a while: no other change of a host may come. */
static void list_again(struct discovery *discovery)
{
	struct error error = { 0 };

	discovery->must_list_hosts = false;
	if (list_hosts(discovery, &error) == 0)
		return;
	log_error(discovery->log, NULL, "hosts cannot be listed", &error);
	discovery->must_list_hosts = true;
	discovery->list_not_before_ms =
		clock_monotonic_ms(discovery->clock) + discovery->settings->reconnect_interval_s * 1000;
}

static void *read_hosts(void *context)
{
	struct discovery *discovery = context;

	LOCK_SCOPE(&discovery->mutex);
	while (!discovery->is_ending) {
		int64_t until_ms = INT64_MAX;

		if (discovery->must_list_hosts && clock_monotonic_ms(discovery->clock) >= discovery->list_not_before_ms)
			list_again(discovery);
		close_left_hosts(discovery);
		struct seen_host *host = discovery->unwritten < UNWRITTEN_MAX ? next_host(discovery, &until_ms) : NULL;
		struct reading *reading = host ? calloc(1, sizeof(*reading)) : NULL;
		if (!reading) { /* also without memory: later */
			if (host || discovery->unwritten >= UNWRITTEN_MAX)
				until_ms = clock_monotonic_ms(discovery->clock) + GATHER_MS;
			if (discovery->must_list_hosts && discovery->list_not_before_ms < until_ms)
				until_ms = discovery->list_not_before_ms;
			clock_wait(discovery->clock, &discovery->has_work, &discovery->mutex, until_ms);
			continue;
		}
		*reading = (struct reading){ .discovery = discovery,
					     .host = host,
					     .began_us = clock_measure_us(),
					     .number = ++discovery->newest_reading };
		host->is_being_read = true;
		host->is_searched = false;
		host->due_ms = INT64_MAX; /* an event that comes while it is read brings it forward again */
		discovery->unwritten++;
		pthread_mutex_unlock(&discovery->mutex);
		read_host(reading);
		pthread_mutex_lock(&discovery->mutex);
	}
	return NULL;
}

int discovery_start(struct discovery *discovery, struct error *error)
{
	discovery->is_ending = false;
	while (discovery->thread_count < DISCOVERY_THREADS) {
		if (pthread_create(&discovery->threads[discovery->thread_count], NULL, read_hosts, discovery) != 0)
			return error_set(error, EAGAIN, "cannot start a thread for discovery");
		discovery->thread_count++;
	}
	return 0;
}

void discovery_wait_for_all(struct discovery *discovery)
{
	LOCK_SCOPE(&discovery->mutex);

	while (discovery->must_list_hosts || discovery->unread > 0)
		clock_wait(discovery->clock, &discovery->has_work, &discovery->mutex, INT64_MAX);
}

void discovery_stop(struct discovery *discovery)
{
	if (!discovery)
		return;
	pthread_mutex_lock(&discovery->mutex);
	discovery->is_ending = true;
	pthread_cond_broadcast(&discovery->has_work);
	pthread_mutex_unlock(&discovery->mutex);
	while (discovery->thread_count > 0)
		pthread_join(discovery->threads[--discovery->thread_count], NULL);

	LOCK_SCOPE(&discovery->mutex);
	while (discovery->unwritten > 0)
		clock_wait(clock_system(), &discovery->has_work, &discovery->mutex, INT64_MAX);
}

void discovery_forget_hosts(struct discovery *discovery)
{
	LOCK_SCOPE(&discovery->mutex);

	for (size_t i = 0; i < discovery->host_count; i++)
		leave_host(discovery, discovery->hosts[i]);
	discovery->host_count = 0;
	discovery->must_list_hosts = true;
	missed_clear(&discovery->missed); /* the writer has nothing of ours any more */
	close_left_hosts(discovery);
}

void discovery_destroy(struct discovery *discovery)
{
	if (!discovery)
		return;
	discovery_stop(discovery);
	discovery->hypervisor->operations->watch(discovery->hypervisor, NULL, NULL);
	discovery_forget_hosts(discovery);
	missed_clear(&discovery->missed);
	free(discovery->hosts);
	pthread_cond_destroy(&discovery->has_work);
	pthread_mutex_destroy(&discovery->mutex);
	free(discovery);
}
