/* Published key sets, read from files and URLs into the token verifier, again and again. */
#pragma once

#include <stdbool.h>

#include "server/settings.h"

struct error;
struct key_sets;
struct log;
struct metrics;
struct token_verifier;

/* All borrowed. Reads every set once; -EINVAL for a file that is no key set. Starts a thread that reads them at their intervals. */
int key_sets_create(const struct key_set_settings *settings, size_t count, struct token_verifier *tokens,
		    struct log *log, struct metrics *metrics, struct key_sets **ret_sets, struct error *error);
void key_sets_destroy(struct key_sets *sets); /* NULL is fine */
/* Whether an early reading is allowed now: they are seldom, so that wrong tokens cost a publisher nothing. */
bool key_sets_may_read(struct key_sets *sets);
/* Reads all of them now, where that is allowed. Blocks. Thread-safe. */
void key_sets_read_now(struct key_sets *sets);
