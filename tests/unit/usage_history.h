/* Every state that a database committed, as sums of this module's own over servers and claims: a reading of what hosts have
 * used must equal one of those that were there while it was made.
 *
 *     size_t before = usage_history_length(history);
 *     …                                                  a reading
 *     size_t after = usage_history_length(history);
 *     …                                                  when the database rests
 *     usage_history_has(history, before, after, usages)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct database;

#define USAGE_HOSTS 6

struct usage {
	int64_t vcpus, memory_mb, disk_gb, servers;
};

struct usage_history;

/* Of the hosts with the ids 1 to USAGE_HOSTS. Before the database's first write; the history outlives the database. */
struct usage_history *usage_history_create(struct database *database);
void usage_history_destroy(struct usage_history *history);
/* How many states there are so far. Thread-safe. */
size_t usage_history_length(struct usage_history *history);
/* Whether a reading that was begun with `before` states and had ended with `after` equals one of them. A state may be read
 * before it is counted, so that the one after those is asked, too: the database must rest by now. */
bool usage_history_has(struct usage_history *history, size_t before, size_t after, const struct usage *usages);
/* States in which a server and a claim of its own were on one host. */
size_t usage_history_doubled(struct usage_history *history);
