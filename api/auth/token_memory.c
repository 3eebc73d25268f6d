/* Verified tokens by digest. The difficulty is to stay small and quick when tokens come faster than they expire: each
 * shard is an array of fixed size, and a clock hand that goes round it gives every token that was asked for since its
 * last passing one more turn. */
#include "api/auth/token_memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/metrics.h"

#define SHARD_MAX 16
#define NOWHERE   UINT32_MAX

struct entry {
	unsigned char digest[TOKEN_DIGEST_SIZE];
	struct caller *caller; /* NULL: the place is free */
	int64_t valid_until_us;
	uint32_t next; /* in the same chain */
	bool was_asked; /* since the hand last passed */
};

struct shard {
	const struct token_memory *memory;
	pthread_mutex_t mutex;
	struct entry *entries;
	uint32_t *chains; /* first entry by digest */
	uint32_t capacity;
	uint32_t chain_count; /* a power of two */
	uint32_t used; /* places that were ever filled; the hand turns only when all were */
	uint32_t count;
	uint32_t hand;
};

struct token_memory {
	struct metric_family *gauge; /* NULL: nobody measures */
	size_t series;
	size_t shard_count;
	struct shard shards[SHARD_MAX];
};

static int shard_init(struct shard *shard, size_t capacity)
{
	shard->capacity = (uint32_t)capacity;
	for (shard->chain_count = 4; shard->chain_count < capacity; shard->chain_count *= 2)
		;
	shard->entries = calloc(capacity, sizeof(*shard->entries));
	shard->chains = malloc(shard->chain_count * sizeof(*shard->chains));
	if (!shard->entries || !shard->chains || pthread_mutex_init(&shard->mutex, NULL) != 0) {
		free(shard->entries);
		free(shard->chains);
		return -1;
	}
	memset(shard->chains, 0xff, shard->chain_count * sizeof(*shard->chains));
	return 0;
}

struct token_memory *token_memory_create(size_t capacity)
{
	struct token_memory *memory = calloc(1, sizeof(*memory));
	size_t shard_count = capacity < SHARD_MAX ? capacity : SHARD_MAX;

	if (!memory)
		return NULL;
	for (size_t i = 0; i < shard_count; i++) {
		if (shard_init(&memory->shards[i], capacity / shard_count) < 0) {
			token_memory_destroy(memory);
			return NULL;
		}
		memory->shards[i].memory = memory;
		memory->shard_count++;
	}
	return memory;
}

void token_memory_measure(struct token_memory *memory, struct metric_family *gauge, size_t series)
{
	memory->gauge = gauge;
	memory->series = series;
}

void token_memory_destroy(struct token_memory *memory)
{
	if (!memory)
		return;
	metric_add(memory->gauge, memory->series, -(int64_t)token_memory_count(memory));
	for (size_t i = 0; i < memory->shard_count; i++) {
		struct shard *shard = &memory->shards[i];

		for (uint32_t entry = 0; entry < shard->used; entry++)
			caller_release(shard->entries[entry].caller);
		pthread_mutex_destroy(&shard->mutex);
		free(shard->entries);
		free(shard->chains);
	}
	free(memory);
}

static struct shard *shard_of(struct token_memory *memory, const unsigned char *digest)
{
	return &memory->shards[digest[0] % memory->shard_count];
}

static uint32_t *chain_of(const struct shard *shard, const unsigned char *digest)
{
	uint32_t hash;

	memcpy(&hash, digest + 1, sizeof(hash));
	return &shard->chains[hash & (shard->chain_count - 1)];
}

static uint32_t find(const struct shard *shard, const unsigned char *digest)
{
	uint32_t index = *chain_of(shard, digest);

	while (index != NOWHERE && memcmp(shard->entries[index].digest, digest, TOKEN_DIGEST_SIZE) != 0)
		index = shard->entries[index].next;
	return index;
}

static void forget(struct shard *shard, uint32_t index)
{
	struct entry *entry = &shard->entries[index];
	uint32_t *link = chain_of(shard, entry->digest);

	while (*link != index)
		link = &shard->entries[*link].next;
	*link = entry->next;
	caller_release(TAKE_POINTER(entry->caller));
	shard->count--;
	metric_add(shard->memory->gauge, shard->memory->series, -1);
}

/* A free place: one that was never used, else the first that the hand may take. */
static uint32_t make_place(struct shard *shard, int64_t now_us)
{
	if (shard->used < shard->capacity)
		return shard->used++;
	for (;;) {
		uint32_t index = shard->hand;
		struct entry *entry = &shard->entries[index];

		shard->hand = (shard->hand + 1) % shard->capacity;
		if (entry->caller && entry->was_asked && entry->valid_until_us > now_us) {
			entry->was_asked = false;
			continue;
		}
		if (entry->caller)
			forget(shard, index);
		return index;
	}
}

struct caller *token_memory_recall(struct token_memory *memory, const unsigned char digest[TOKEN_DIGEST_SIZE],
				   int64_t now_us)
{
	struct shard *shard = shard_of(memory, digest);

	LOCK_SCOPE(&shard->mutex);

	uint32_t index = find(shard, digest);

	if (index == NOWHERE)
		return NULL;
	if (shard->entries[index].valid_until_us <= now_us) {
		forget(shard, index);
		return NULL;
	}
	shard->entries[index].was_asked = true;
	return caller_reference(shard->entries[index].caller);
}

void token_memory_remember(struct token_memory *memory, const unsigned char digest[TOKEN_DIGEST_SIZE],
			   struct caller *caller, int64_t valid_until_us, int64_t now_us)
{
	struct shard *shard = shard_of(memory, digest);

	LOCK_SCOPE(&shard->mutex);

	/* Another thread may have verified the same token meanwhile. */
	if (find(shard, digest) != NOWHERE)
		return;

	uint32_t index = make_place(shard, now_us);
	uint32_t *chain = chain_of(shard, digest);
	struct entry *entry = &shard->entries[index];

	memcpy(entry->digest, digest, TOKEN_DIGEST_SIZE);
	entry->caller = caller_reference(caller);
	entry->valid_until_us = valid_until_us;
	entry->was_asked = false;
	entry->next = *chain;
	*chain = index;
	shard->count++;
	metric_add(memory->gauge, memory->series, 1);
}

void token_memory_forget(struct token_memory *memory, const unsigned char digest[TOKEN_DIGEST_SIZE])
{
	struct shard *shard = shard_of(memory, digest);

	LOCK_SCOPE(&shard->mutex);

	uint32_t index = find(shard, digest);

	if (index != NOWHERE)
		forget(shard, index);
}

void token_memory_clear(struct token_memory *memory)
{
	for (size_t i = 0; i < memory->shard_count; i++) {
		struct shard *shard = &memory->shards[i];

		LOCK_SCOPE(&shard->mutex);
		for (uint32_t entry = 0; entry < shard->used; entry++)
			if (shard->entries[entry].caller)
				forget(shard, entry);
	}
}

size_t token_memory_count(struct token_memory *memory)
{
	size_t count = 0;

	for (size_t i = 0; i < memory->shard_count; i++) {
		LOCK_SCOPE(&memory->shards[i].mutex);
		count += memory->shards[i].count;
	}
	return count;
}
