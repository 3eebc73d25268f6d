/* One reading: the rows of one moment, then all hosts. The one difficulty: a host may not answer for minutes, so with a time
 * limit the hosts are asked by threads, and those that are late are interrupted, which the port makes return. */
#include "server/worker/invariants_look.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"

#define THREADS_MAX 8

static int compare_texts(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

static int compare_uuids(const void *one, const void *other)
{
	return strcmp(((const struct seen_guest *)one)->uuid, ((const struct seen_guest *)other)->uuid);
}

static int compare_guests(const void *one, const void *other)
{
	int order = compare_uuids(one, other);
	int64_t id = ((const struct seen_guest *)one)->host->row->id;
	int64_t other_id = ((const struct seen_guest *)other)->host->row->id;

	return order ? order : (id > other_id) - (id < other_id);
}

static int compare_server(const void *key, const void *row)
{
	return strcmp(key, ((const struct db_audit_server *)row)->uuid);
}

static int compare_migration(const void *key, const void *row)
{
	int64_t id = ((const struct db_audit_migration *)row)->id, wanted = *(const int64_t *)key;

	return wanted < id ? -1 : wanted > id;
}

static int compare_host(const void *key, const void *host)
{
	int64_t id = ((const struct seen_host *)host)->row->id, wanted = *(const int64_t *)key;

	return wanted < id ? -1 : wanted > id;
}

const struct db_audit_server *look_server(const struct invariants_look *look, const char *uuid)
{
	return look->audit.servers.count ? bsearch(uuid, look->audit.servers.items, look->audit.servers.count,
						   sizeof(*look->audit.servers.items), compare_server)
					 : NULL;
}

const struct db_audit_migration *look_migration(const struct invariants_look *look, int64_t id)
{
	return look->audit.migrations.count ? bsearch(&id, look->audit.migrations.items, look->audit.migrations.count,
						      sizeof(*look->audit.migrations.items), compare_migration)
					    : NULL;
}

struct seen_host *look_host(const struct invariants_look *look, int64_t id)
{
	return look->audit.hosts.count
		       ? bsearch(&id, look->hosts, look->audit.hosts.count, sizeof(*look->hosts), compare_host)
		       : NULL;
}

const char *look_host_name(const struct invariants_look *look, int64_t id)
{
	const struct seen_host *host = look_host(look, id);

	return host ? host->row->name : "";
}

bool look_is_moving(const struct invariants_look *look, const char *uuid)
{
	return look->audit.jobs.count
	       && bsearch(&uuid, look->moving, look->audit.jobs.count, sizeof(*look->moving), compare_texts);
}

/* Unfinished jobs are few. */
bool look_has_job(const struct invariants_look *look, int64_t migration_id)
{
	for (size_t i = 0; i < look->audit.jobs.count; i++)
		if (look->audit.jobs.items[i].migration_id == migration_id)
			return true;
	return false;
}

bool look_action_has_job(const struct invariants_look *look, int64_t action_id)
{
	for (size_t i = 0; i < look->audit.jobs.count; i++)
		if (look->audit.jobs.items[i].action_id == action_id)
			return true;
	return false;
}

const struct seen_guest *look_guests(const struct invariants_look *look, const char *uuid, size_t *ret_count)
{
	const struct seen_guest key = { .uuid = uuid };
	const struct seen_guest *end = look->guests + look->guest_count;
	const struct seen_guest *first =
		look->guest_count ? bsearch(&key, look->guests, look->guest_count, sizeof(key), compare_uuids) : NULL;

	*ret_count = 0;
	while (first && first > look->guests && strcmp(first[-1].uuid, uuid) == 0)
		first--;
	while (first && first + *ret_count < end && strcmp(first[*ret_count].uuid, uuid) == 0)
		++*ret_count;
	return first;
}

bool look_has_chore(const struct invariants_look *look, const char *kind, const char *uuid, int64_t host_id)
{
	for (size_t i = 0; i < look->audit.chores.count; i++) {
		const struct db_chore *chore = &look->audit.chores.items[i];

		if ((!host_id || chore->host_id == host_id) && text_equal(chore->kind, kind)
		    && text_equal(chore->server_uuid, uuid))
			return true;
	}
	return false;
}

bool look_is_given_up(const struct db_audit_server *server)
{
	return text_equal(server->vm_state, "error") && *server->error_cause;
}

void look_found(struct invariants_look *look, const char *server_uuid, const char *host, const char *format, ...)
{
	struct invariants_report *report = &look->report;
	CLEANUP_TEXT struct text found = TEXT_EMPTY;
	va_list arguments;

	va_start(arguments, format);
	text_append_format_list(&found, format, arguments);
	va_end(arguments);
	struct invariants_finding *more = reallocarray(report->items, report->count + 1, sizeof(*more));
	if (more)
		report->items = more;
	if (!more || text_failed(&found)) {
		look->is_out_of_memory = true;
		return;
	}
	struct invariants_finding *finding = &report->items[report->count++];
	*finding = (struct invariants_finding){ .invariant = look->invariant, .found = text_take(&found) };
	TEXT_COPY(finding->server_uuid, server_uuid ? server_uuid : "");
	TEXT_COPY(finding->host, host ? host : "");
	report->broken_count += look->invariant->is_broken;
}

/* Where a volume that was recorded, or the copy of one that is to be removed, has to be whole; NULL: nowhere. */
static struct seen_host *host_of_volume(const struct invariants_look *look, const struct db_audit_volume *volume)
{
	return volume->is_complete && !look_is_moving(look, volume->server_uuid)
			       && look_server(look, volume->server_uuid)
		       ? look_host(look, volume->host_id)
		       : NULL;
}

static struct seen_host *host_of_copy(const struct invariants_look *look, const struct db_chore *chore)
{
	const struct db_audit_server *server = look_server(look, chore->server_uuid);
	bool is_removal = text_equal(chore->kind, DB_CHORE_REMOVE_VOLUME) && chore->is_complete;

	return is_removal && server && server->host_id != chore->host_id && !look_is_moving(look, chore->server_uuid)
		       ? look_host(look, server->host_id)
		       : NULL;
}

static void list_disks(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.volumes.count; i++) {
		const struct db_audit_volume *volume = &look->audit.volumes.items[i];

		look->disks[look->disk_count] =
			(struct wanted_disk){ .server_uuid = volume->server_uuid,
					      .host = host_of_volume(look, volume),
					      .volume = { volume->pool, volume->name, volume->bytes } };
		look->disk_count += look->disks[look->disk_count].host != NULL;
	}
	for (size_t i = 0; i < look->audit.chores.count; i++) {
		const struct db_chore *chore = &look->audit.chores.items[i];

		look->disks[look->disk_count] =
			(struct wanted_disk){ .server_uuid = chore->server_uuid,
					      .host = host_of_copy(look, chore),
					      .volume = { chore->pool, chore->name, chore->bytes } };
		look->disk_count += look->disks[look->disk_count].host != NULL;
	}
}

static int read_rows(struct invariants_look *look, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	struct db_audit *audit = &look->audit;
	int result = db_read_begin(look->parts->database, &session, error);

	if (result == 0)
		result = db_audit_read(session, audit, error);
	if (result < 0)
		return result;
	look->hosts = calloc(audit->hosts.count + 1, sizeof(*look->hosts));
	look->moving = calloc(audit->jobs.count + 1, sizeof(*look->moving));
	look->disks = calloc(audit->volumes.count + audit->chores.count + 1, sizeof(*look->disks));
	if (!look->hosts || !look->moving || !look->disks)
		return error_no_memory(error);
	for (size_t i = 0; i < audit->hosts.count; i++)
		look->hosts[i].row = &audit->hosts.items[i];
	for (size_t i = 0; i < audit->jobs.count; i++)
		look->moving[i] = audit->jobs.items[i].server_uuid;
	qsort(look->moving, audit->jobs.count, sizeof(*look->moving), compare_texts);
	list_disks(look);
	return 0;
}

static void ask_host(struct invariants_look *look, struct seen_host *host)
{
	const struct hypervisor_operations *operations = look->parts->hypervisor->operations;
	struct error error = { 0 };

	host->has_answered = operations->list_guests(host->handle, &host->guests, &error) == 0;
	TEXT_COPY(host->reason, error.text);
	for (size_t i = 0; host->has_answered && i < look->disk_count; i++) {
		struct wanted_disk *disk = &look->disks[i];

		if (disk->host != host)
			continue;
		error_clear(&error);
		disk->result = operations->verify_disks(host->handle, &disk->volume, 1, &error);
		disk->is_unseen = disk->result < 0 && disk->result != -ESTALE;
		TEXT_COPY(disk->reason, error.text);
	}
}

/* What the threads that ask have in common. */
struct asking {
	struct invariants_look *look;
	pthread_mutex_t mutex; /* guards all below, and of each host whether it is being asked */
	pthread_cond_t ended;
	size_t next; /* host */
	size_t threads; /* that have not ended */
	bool is_over; /* no host is asked any more */
};

static struct seen_host *next_host(struct asking *asking)
{
	struct invariants_look *look = asking->look;
	LOCK_SCOPE(&asking->mutex);

	while (!asking->is_over && asking->next < look->audit.hosts.count) {
		struct seen_host *host = &look->hosts[asking->next++];

		if (host->handle) {
			host->is_being_asked = true;
			return host;
		}
	}
	return NULL;
}

static void ask_hosts(struct asking *asking)
{
	struct seen_host *host;

	while ((host = next_host(asking)) != NULL) {
		ask_host(asking->look, host);
		LOCK_SCOPE(&asking->mutex);
		host->is_being_asked = false;
	}
}

static void *ask_thread(void *context)
{
	struct asking *asking = context;

	ask_hosts(asking);
	LOCK_SCOPE(&asking->mutex);
	asking->threads--;
	pthread_cond_broadcast(&asking->ended);
	return NULL;
}

/* A call that is about to begin may miss one interruption: it is repeated until all have ended. */
static void interrupt_late(struct asking *asking)
{
	const struct invariants_look *look = asking->look;

	asking->is_over = true;
	for (size_t i = 0; i < look->audit.hosts.count; i++)
		if (look->hosts[i].is_being_asked)
			look->parts->hypervisor->operations->interrupt(look->hosts[i].handle);
}

static void wait_for_threads(struct asking *asking)
{
	const struct invariants_parts *parts = asking->look->parts;
	int64_t deadline_ms = clock_monotonic_ms(clock_system()) + parts->limit_ms;
	LOCK_SCOPE(&asking->mutex);

	while (asking->threads > 0) {
		int64_t now_ms = clock_monotonic_ms(clock_system());

		if (now_ms >= deadline_ms || (parts->is_ending && atomic_load(parts->is_ending)))
			interrupt_late(asking);
		clock_wait(clock_system(), &asking->ended, &asking->mutex, now_ms + 100);
	}
}

static void ask_all(struct invariants_look *look)
{
	struct asking asking = { .look = look };
	pthread_t threads[THREADS_MAX];
	size_t wanted = look->audit.hosts.count < THREADS_MAX ? look->audit.hosts.count : THREADS_MAX;
	size_t begun = 0;

	pthread_mutex_init(&asking.mutex, NULL);
	clock_condition_init(&asking.ended);
	if (look->parts->limit_ms > 0) {
		asking.threads = wanted;
		while (begun < wanted && pthread_create(&threads[begun], NULL, ask_thread, &asking) == 0)
			begun++;
		pthread_mutex_lock(&asking.mutex);
		asking.threads -= wanted - begun;
		pthread_mutex_unlock(&asking.mutex);
		wait_for_threads(&asking);
		while (begun > 0)
			pthread_join(threads[--begun], NULL);
	} else {
		ask_hosts(&asking);
	}
	pthread_cond_destroy(&asking.ended);
	pthread_mutex_destroy(&asking.mutex);
}

/* One that discovery cannot reach is not asked: it would only use up the time. */
static int open_hosts(struct invariants_look *look, struct error *error)
{
	struct hypervisor *hypervisor = look->parts->hypervisor;

	for (size_t i = 0; i < look->audit.hosts.count; i++) {
		struct seen_host *host = &look->hosts[i];
		const struct hypervisor_address address = { .host_id = host->row->id,
							    .name = host->row->name,
							    .uri = host->row->uri,
							    .user_name = host->row->user_name,
							    .password_file = host->row->password_file };
		struct error reason = { 0 };

		TEXT_COPY(host->reason, host->row->service.is_up ? "it did not answer in time" : "it is down");
		if (host->row->is_gone || !host->row->service.is_up)
			continue;
		int result = hypervisor->operations->open_host(hypervisor, &address, &host->handle, &reason);
		if (result == -ENOMEM)
			return error_no_memory(error);
		if (result < 0)
			TEXT_COPY(host->reason, reason.text);
	}
	return 0;
}

static int gather_guests(struct invariants_look *look, struct error *error)
{
	size_t count = 0;

	for (size_t i = 0; i < look->audit.hosts.count; i++)
		count += look->hosts[i].guests.count;
	look->guests = calloc(count + 1, sizeof(*look->guests));
	if (!look->guests)
		return error_no_memory(error);
	for (size_t i = 0; i < look->audit.hosts.count; i++) {
		const struct seen_host *host = &look->hosts[i];

		look->report.host_count += host->has_answered;
		for (size_t j = 0; host->has_answered && j < host->guests.count; j++)
			look->guests[look->guest_count++] = (struct seen_guest){ .uuid = host->guests.items[j].uuid,
										 .host = host,
										 .view = &host->guests.items[j].view };
	}
	qsort(look->guests, look->guest_count, sizeof(*look->guests), compare_guests);
	return 0;
}

int invariants_look(const struct invariants_parts *parts, struct invariants_look *ret_look, struct error *error)
{
	ret_look->parts = parts;
	ret_look->change_number = db_change_number(parts->database);
	int result = read_rows(ret_look, error);

	if (result == 0)
		result = open_hosts(ret_look, error);
	if (result == 0)
		ask_all(ret_look);
	ret_look->report.server_count = ret_look->audit.servers.count;
	if (result == 0 && parts->is_ending && atomic_load(parts->is_ending))
		result = error_set(error, ECANCELED, "the daemon is ending");
	return result < 0 ? result : gather_guests(ret_look, error);
}

void invariants_look_clear(struct invariants_look *look)
{
	for (size_t i = 0; look->hosts && i < look->audit.hosts.count; i++) {
		if (look->hosts[i].handle)
			look->parts->hypervisor->operations->close_host(look->hosts[i].handle);
		guest_list_clear(&look->hosts[i].guests);
	}
	free(look->hosts);
	free(look->disks);
	free(look->guests);
	free(look->moving);
	db_audit_clear(&look->audit);
	invariants_report_clear(&look->report);
	*look = (struct invariants_look){ 0 };
}
