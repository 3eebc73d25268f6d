/* The age of readings: which servers changed last, in a ring of changes, and where each server's newest change is, in a hash
 * table with open addressing. The one difficulty: what falls out of the ring must never be taken for "unchanged", so the
 * number of the newest forgotten change is kept, and any number before it counts as too old to be told. */
#include "db/server_changed.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

/* At most half full, so that searches stay short. A power of two. */
#define BUCKETS (2 * SERVER_AGES_MAX)

struct change {
	char server_uuid[UUID_SIZE];
	int64_t number; /* 0: the entry is free */
};

struct server_ages {
	pthread_mutex_t mutex; /* guards all but `number`, which is written under it and read without */
	_Atomic int64_t number; /* of the newest change */
	int64_t forgotten; /* of the newest change that fell out */
	uint64_t seed; /* uuids are chosen by others: nobody can choose them to collide */
	size_t next; /* entry of the ring that is written next */
	struct change ring[SERVER_AGES_MAX];
	uint32_t buckets[BUCKETS]; /* index into the ring plus 1; 0: empty */
};

int server_ages_create(struct server_ages **ret_ages, struct error *error)
{
	struct server_ages *ages = calloc(1, sizeof(*ages));

	if (!ages)
		return error_no_memory(error);
	pthread_mutex_init(&ages->mutex, NULL);
	if (getrandom(&ages->seed, sizeof(ages->seed), GRND_NONBLOCK) < 0)
		ages->seed = (uint64_t)(uintptr_t)ages;
	/* A number that nobody took (0), or that was taken before the start, is too old. */
	atomic_init(&ages->number, 1);
	ages->forgotten = 1;
	*ret_ages = ages;
	return 0;
}

void server_ages_destroy(struct server_ages *ages)
{
	if (!ages)
		return;
	pthread_mutex_destroy(&ages->mutex);
	free(ages);
}

/* FNV-1a, begun by the seed. */
static size_t bucket_of(const struct server_ages *ages, const char *server_uuid)
{
	uint64_t hash = 0xcbf29ce484222325U ^ ages->seed;

	for (const char *byte = server_uuid; *byte; byte++)
		hash = (hash ^ (unsigned char)*byte) * 0x100000001b3U;
	return (size_t)(hash ^ (hash >> 32)) % BUCKETS;
}

/* The bucket that leads to the server's newest change, or the empty one where it would be. */
static size_t find_bucket(const struct server_ages *ages, const char *server_uuid)
{
	size_t bucket = bucket_of(ages, server_uuid);

	while (ages->buckets[bucket] && strcmp(ages->ring[ages->buckets[bucket] - 1].server_uuid, server_uuid) != 0)
		bucket = (bucket + 1) % BUCKETS;
	return bucket;
}

/* Empties the bucket, and moves those behind it up where a search for them would end at the gap. */
static void empty_bucket(struct server_ages *ages, size_t gap)
{
	size_t bucket = gap;

	for (;;) {
		bucket = (bucket + 1) % BUCKETS;
		if (!ages->buckets[bucket])
			break;
		size_t home = bucket_of(ages, ages->ring[ages->buckets[bucket] - 1].server_uuid);
		if ((bucket - home) % BUCKETS < (bucket - gap) % BUCKETS)
			continue;
		ages->buckets[gap] = ages->buckets[bucket];
		gap = bucket;
	}
	ages->buckets[gap] = 0;
}

/* Frees the entry that is written next. A server that changed again since is still told by its newer entry. */
static void forget_oldest(struct server_ages *ages)
{
	struct change *oldest = &ages->ring[ages->next];

	if (!oldest->number)
		return;
	size_t bucket = find_bucket(ages, oldest->server_uuid);
	if (ages->buckets[bucket] == ages->next + 1) {
		empty_bucket(ages, bucket);
		ages->forgotten = oldest->number;
	}
	oldest->number = 0;
}

void server_changed(struct db_session *session, const char *server_uuid)
{
	struct server_ages *ages = session->database->ages;

	if (!ages) /* while the file is opened, before anybody reads */
		return;
	LOCK_SCOPE(&ages->mutex);
	forget_oldest(ages);
	struct change *change = &ages->ring[ages->next];
	TEXT_COPY(change->server_uuid, server_uuid);
	change->number = atomic_load(&ages->number) + 1;
	ages->buckets[find_bucket(ages, change->server_uuid)] = (uint32_t)ages->next + 1;
	ages->next = (ages->next + 1) % SERVER_AGES_MAX;
	atomic_store(&ages->number, change->number);
}

void all_servers_changed(struct db_session *session)
{
	struct server_ages *ages = session->database->ages;

	if (!ages)
		return;
	LOCK_SCOPE(&ages->mutex);
	ages->forgotten = atomic_load(&ages->number) + 1;
	atomic_store(&ages->number, ages->forgotten);
}

int64_t db_change_number(struct database *database)
{
	return atomic_load(&database->ages->number);
}

bool db_server_changed_since(struct db_session *session, const char *server_uuid, int64_t number)
{
	struct server_ages *ages = session->database->ages;
	char uuid[UUID_SIZE];

	TEXT_COPY(uuid, server_uuid);
	LOCK_SCOPE(&ages->mutex);
	if (number < ages->forgotten)
		return true;
	uint32_t place = ages->buckets[find_bucket(ages, uuid)];
	return place && ages->ring[place - 1].number > number;
}
