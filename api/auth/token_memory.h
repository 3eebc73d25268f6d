/* Inside the token files: verified tokens, remembered by digest until they expire. Bounded, thread-safe; split into
 * shards with a lock each, so that threads that ask at once seldom meet. */
#pragma once

#include "api/auth/caller.h"
#include "api/auth/token_key.h"

struct metric_family;
struct token_memory;

/* At most `capacity` (at least 1) tokens. NULL when out of memory. */
struct token_memory *token_memory_create(size_t capacity);
void token_memory_destroy(struct token_memory *memory);
/* From now on the gauge tells how many are remembered, with those of others that share it; before the first is. */
void token_memory_measure(struct token_memory *memory, struct metric_family *gauge, size_t series);

/* The caller of that digest with a reference for the asker; NULL when it is not known or its time is over. */
struct caller *token_memory_recall(struct token_memory *memory, const unsigned char digest[TOKEN_DIGEST_SIZE],
				   int64_t now_us);
/* Takes a reference of its own. A place is made by forgetting one that has expired or was not asked for of late. */
void token_memory_remember(struct token_memory *memory, const unsigned char digest[TOKEN_DIGEST_SIZE],
			   struct caller *caller, int64_t valid_until_us, int64_t now_us);
/* Forgets all. Thread-safe. */
void token_memory_clear(struct token_memory *memory);
/* The token counts no more. */
void token_memory_forget(struct token_memory *memory, const unsigned char digest[TOKEN_DIGEST_SIZE]);
size_t token_memory_count(struct token_memory *memory);
