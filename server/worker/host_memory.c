/* The table of hosts and the list of those that changed. The one difficulty is the order of readings: each is made with the
 * lock held and by a snapshot of that moment, so that no older reading overwrites a newer one for good. */
#include "server/worker/host_memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/database.h"
#include "db/hosts.h"
#include "server/settings.h"
#include "server/worker/migration_address.h"
#include "server/worker/offers.h"

#define CHANGED_MAX 4096 /* beyond it all are read again by one query */
#define RETRY_S     1

/* The facts that the table has of a host, by digest: they are long and seldom change. */
struct seen_facts {
	int64_t host_id;
	uint64_t digest;
};

struct host_memory {
	struct database *database;
	struct log *log;
	pthread_t reader;
	bool is_started;

	pthread_mutex_t mutex; /* guards table and seen; taken before changed_mutex */
	struct host_table *table;
	struct seen_facts *seen; /* by host id */
	size_t seen_count, seen_capacity;

	pthread_mutex_t changed_mutex; /* guards all below; the database's watcher takes it alone */
	pthread_cond_t has_changed;
	bool is_stopping;
	bool are_all_changed;
	int64_t *changed; /* by id */
	size_t changed_count;
};

static size_t place_of(const struct host_memory *memory, int64_t id)
{
	size_t low = 0;
	size_t high = memory->changed_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memory->changed[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* With changed_mutex held. */
static void mark(struct host_memory *memory, int64_t id)
{
	size_t place = place_of(memory, id);

	if (memory->are_all_changed || (place < memory->changed_count && memory->changed[place] == id))
		return;
	if (memory->changed_count == CHANGED_MAX) {
		memory->are_all_changed = true;
		return;
	}
	memmove(memory->changed + place + 1, memory->changed + place,
		(memory->changed_count - place) * sizeof(*memory->changed));
	memory->changed[place] = id;
	memory->changed_count++;
}

/* The database counts a host as changed also when its service or its usage did. */
static void on_change(void *context, enum db_table table, int64_t id)
{
	struct host_memory *memory = context;

	if (table != DB_TABLE_HOSTS)
		return;
	LOCK_SCOPE(&memory->changed_mutex);
	mark(memory, id);
	pthread_cond_signal(&memory->has_changed);
}

/* Also the list's own order: the highest id first costs no moving. */
static bool take_changed(struct host_memory *memory, int64_t *ret_id)
{
	LOCK_SCOPE(&memory->changed_mutex);

	if (memory->are_all_changed || memory->changed_count == 0)
		return false;
	*ret_id = memory->changed[--memory->changed_count];
	return true;
}

static bool take_all_changed(struct host_memory *memory)
{
	LOCK_SCOPE(&memory->changed_mutex);
	bool are_all_changed = memory->are_all_changed;

	if (are_all_changed)
		memory->changed_count = 0;
	memory->are_all_changed = false;
	return are_all_changed;
}

void host_memory_forget(struct host_memory *memory)
{
	LOCK_SCOPE(&memory->changed_mutex);

	memory->are_all_changed = true;
	pthread_cond_signal(&memory->has_changed);
}

static struct host_state state_of(const struct db_host *host, const struct db_host_usage *usage)
{
	struct host_state state = HOST_STATE_DEFAULT;

	state.id = host->id;
	state.name = host->name;
	state.disabled_reason = host->service.disabled_reason;
	state.is_up = host->service.is_up && !host->is_gone;
	state.is_disabled = host->service.is_disabled;
	state.is_forced_down = host->service.is_forced_down;
	state.hypervisor_version = host->hypervisor_version;
	state.vcpus_total = host->vcpus;
	state.memory_mb_total = host->memory_mb;
	state.memory_mb_reserved = host->reserved_memory_mb;
	state.disk_mb_total = host->disk_gb * 1024;
	state.disk_mb_reserved = host->reserved_disk_gb < 0 ? -1 : host->reserved_disk_gb * 1024;
	state.cpu_allocation_ratio = host->cpu_allocation_ratio;
	state.ram_allocation_ratio = host->ram_allocation_ratio;
	state.disk_allocation_ratio = host->disk_allocation_ratio;
	state.failed_migrations = host->failed_migrations;
	state.vcpus_used = usage->vcpus;
	state.memory_mb_used = usage->memory_mb;
	state.disk_mb_used = usage->disk_gb * 1024;
	state.num_io_ops = usage->moves;
	state.num_instances = usage->servers;
	return state;
}

/* FNV-1a over what the offers and the address are made of. */
static uint64_t digest_of(const struct db_host *host)
{
	const char *const parts[] = { host->hypervisor_type,   host->facts,
				      host->migration_address, host->migration_interface,
				      host->tunnel_interface,  host->interfaces };
	uint64_t digest = 14695981039346656037ULL;

	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
		for (const char *place = parts[i] ? parts[i] : ""; *place; place++)
			digest = (digest ^ (unsigned char)*place) * 1099511628211ULL;
		digest = (digest ^ (parts[i] != NULL)) * 1099511628211ULL;
	}
	return digest;
}

/* The place of a host's digest, made when it has none; NULL when out of memory. Hosts come by id ascending, mostly. */
static struct seen_facts *seen_of(struct host_memory *memory, int64_t host_id)
{
	size_t low = 0;
	size_t high = memory->seen_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memory->seen[middle].host_id < host_id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < memory->seen_count && memory->seen[low].host_id == host_id)
		return &memory->seen[low];
	if (memory->seen_count == memory->seen_capacity) {
		size_t wanted = memory->seen_capacity ? memory->seen_capacity * 2 : 64;
		struct seen_facts *more = reallocarray(memory->seen, wanted, sizeof(*more));

		if (!more)
			return NULL;
		memory->seen = more;
		memory->seen_capacity = wanted;
	}
	memmove(memory->seen + low + 1, memory->seen + low, (memory->seen_count - low) * sizeof(*memory->seen));
	memory->seen_count++;
	memory->seen[low] = (struct seen_facts){ .host_id = host_id };
	return &memory->seen[low];
}

/* What the address would be is asked when a move goes there; here it counts whether there is one. The reason is the error's. */
static int read_address(const struct db_host *host, struct host_state *state, struct error *reason)
{
	static const struct worker_settings none = { 0 };
	CLEANUP_FREE char *address = NULL;
	int result = migration_address_find(host, &none, &address, reason);

	state->has_migration_address = result == 0;
	state->no_address_reason = result == -ENODEV ? reason->text : NULL;
	return result == -ENODEV ? 0 : result;
}

static int put(struct host_memory *memory, const struct db_host *host, const struct db_host_usage *usage,
	       struct error *error)
{
	struct host_state state = state_of(host, usage);
	struct seen_facts *seen = seen_of(memory, host->id);
	uint64_t digest = digest_of(host);
	CLEANUP_OFFERS struct offers offers = { 0 };

	const struct host_state *known = host_table_by_id(memory->table, host->id);
	struct error no_address = { 0 };

	if (!seen)
		return error_no_memory(error);
	if (seen->digest == digest && known) {
		state.has_migration_address = known->has_migration_address;
		state.no_address_reason = known->no_address_reason;
		return host_table_put(memory->table, &state, NULL, error);
	}
	if (read_address(host, &state, &no_address) < 0)
		return error_no_memory(error);
	if (!offers_read(host->facts, "offers", &offers))
		return error_no_memory(error);

	const char *type = host->hypervisor_type;
	if (type)
		offers.lists.sets[HOST_SET_HYPERVISORS] = (struct name_list){ &type, 1, .is_known = true };
	int result = host_table_put(memory->table, &state, &offers.lists, error);
	if (result == 0)
		seen->digest = digest;
	return result;
}

/* With the mutex held. Both lists are sorted by id. */
static int read_all(struct host_memory *memory, struct db_session *session, struct error *error)
{
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };
	CLEANUP_DB_USAGES struct db_host_usage_list usages = { 0 };
	int result = db_host_all(session, &hosts, error);

	if (result == 0)
		result = db_host_usage_all(session, &usages, error);
	if (result < 0)
		return result;

	struct host_table *table = host_table_create();
	if (!table)
		return error_no_memory(error);
	host_table_destroy(memory->table);
	memory->table = table;
	memory->seen_count = 0;
	for (size_t i = 0, at = 0; result == 0 && i < hosts.count; i++) {
		struct db_host_usage usage = { 0 };

		while (at < usages.count && usages.items[at].host_id < hosts.items[i].id)
			at++;
		if (at < usages.count && usages.items[at].host_id == hosts.items[i].id)
			usage = usages.items[at].usage;
		result = put(memory, &hosts.items[i], &usage, error);
	}
	return result;
}

/* With the mutex held. */
static int read_one(struct host_memory *memory, struct db_session *session, int64_t id, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	struct db_host_usage usage = { 0 };
	int result = db_host_by_id(session, id, &host, error);

	if (result == -ENOENT) {
		error_clear(error);
		host_table_remove(memory->table, id);
		return 0;
	}
	if (result == 0)
		result = db_host_usage(session, id, &usage, error);
	if (result == 0)
		result = put(memory, &host, &usage, error);
	if (result == -EEXIST) { /* its name was another's, whose removal is still in the list */
		error_clear(error);
		host_memory_forget(memory);
		return 0;
	}
	return result;
}

/* With the mutex held: all that is marked. */
static int read_changed(struct host_memory *memory, struct db_session *session, struct error *error)
{
	int64_t id;
	int result = 0;

	while (result == 0 && take_changed(memory, &id))
		result = read_one(memory, session, id, error);
	if (result == 0 && take_all_changed(memory))
		result = read_all(memory, session, error);
	if (result < 0)
		host_memory_forget(memory);
	return result;
}

int host_memory_lock(struct host_memory *memory, struct db_session *session, struct host_table **ret_table,
		     struct error *error)
{
	pthread_mutex_lock(&memory->mutex);
	int result = read_changed(memory, session, error);
	if (result < 0) {
		pthread_mutex_unlock(&memory->mutex);
		return result;
	}
	*ret_table = memory->table;
	return 0;
}

void host_memory_unlock(struct host_memory *memory)
{
	pthread_mutex_unlock(&memory->mutex);
}

void host_memory_look(struct host_memory *memory, void (*look)(void *context, const struct host_table *table),
		      void *context)
{
	LOCK_SCOPE(&memory->mutex);

	look(context, memory->table);
}

/* One host, or all where so many changed, by a snapshot of its own: a choice waits for no more than that. */
static int read_next(struct host_memory *memory, struct error *error)
{
	LOCK_SCOPE(&memory->mutex);
	CLEANUP_DB_READ struct db_session *session = NULL;
	int64_t id;
	int result = db_read_begin(memory->database, &session, error);

	if (result == 0 && take_all_changed(memory))
		result = read_all(memory, session, error);
	else if (result == 0 && take_changed(memory, &id))
		result = read_one(memory, session, id, error);
	if (result < 0)
		host_memory_forget(memory);
	return result;
}

static bool wait_for_change(struct host_memory *memory)
{
	LOCK_SCOPE(&memory->changed_mutex);

	while (!memory->is_stopping && !memory->are_all_changed && memory->changed_count == 0)
		pthread_cond_wait(&memory->has_changed, &memory->changed_mutex);
	return !memory->is_stopping;
}

static void *run_reader(void *context)
{
	struct host_memory *memory = context;

	while (wait_for_change(memory)) {
		struct error error = { 0 };

		if (read_next(memory, &error) < 0) {
			log_error(memory->log, NULL, "hosts cannot be read", &error);
			sleep(RETRY_S);
		}
	}
	return NULL;
}

int host_memory_create(struct database *database, struct log *log, struct host_memory **ret_memory, struct error *error)
{
	struct host_memory *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return error_no_memory(error);
	pthread_mutex_init(&memory->mutex, NULL);
	pthread_mutex_init(&memory->changed_mutex, NULL);
	pthread_cond_init(&memory->has_changed, NULL);
	memory->database = database;
	memory->log = log;
	memory->are_all_changed = true;
	memory->table = host_table_create();
	memory->changed = calloc(CHANGED_MAX, sizeof(*memory->changed));
	int result = memory->table && memory->changed ? db_watch(database, on_change, memory, error)
						      : error_no_memory(error);
	if (result < 0) {
		host_memory_destroy(memory);
		return result;
	}
	*ret_memory = memory;
	return 0;
}

int host_memory_start(struct host_memory *memory, struct error *error)
{
	memory->is_stopping = false;
	int result = pthread_create(&memory->reader, NULL, run_reader, memory);

	if (result > 0)
		return error_set_errno(error, result, "cannot start the thread that follows the hosts");
	memory->is_started = true;
	return 0;
}

void host_memory_stop(struct host_memory *memory)
{
	pthread_mutex_lock(&memory->changed_mutex);
	memory->is_stopping = true;
	pthread_cond_broadcast(&memory->has_changed);
	pthread_mutex_unlock(&memory->changed_mutex);
	if (memory->is_started)
		pthread_join(memory->reader, NULL);
	memory->is_started = false;
}

void host_memory_destroy(struct host_memory *memory)
{
	if (!memory)
		return;
	host_table_destroy(memory->table);
	free(memory->seen);
	free(memory->changed);
	pthread_cond_destroy(&memory->has_changed);
	pthread_mutex_destroy(&memory->changed_mutex);
	pthread_mutex_destroy(&memory->mutex);
	free(memory);
}
