/* The watchdog: a sign of life for the service manager, and only while the daemon really works.
 *
 * A daemon that is stuck still has a process, a socket that takes connections and a main thread that wakes. What it has not:
 * a writer that commits, threads that come back from a request, a dispatcher that ends its round. So before each sign
 *   - a write goes through the database's queue, transaction and completion;
 *   - each part is asked how long it has been at one thing, and none may have been for half the watchdog's time.
 * What a restart does not cure is no reason to be silent: a full disk, a host or Keystone that is away.
 *
 *     struct watchdog watchdog;
 *     watchdog_init(&watchdog, database, log, notify_watchdog_ms(log), notify_alive);
 *     watchdog_add_part(&watchdog, "the listener", listener_busy_ms, listener);
 *     for (;;)
 *         sleep for watchdog_look(&watchdog, 3000);
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct database;
struct log;

#define WATCHDOG_PARTS_MAX 4

/* For how long the part has been at one thing that should soon end; 0: it rests. */
typedef int64_t (*watchdog_busy_fn)(void *part);

enum watchdog_proof {
	WATCHDOG_PROOF_NONE,
	WATCHDOG_PROOF_ASKED, /* the write is on its way */
	WATCHDOG_PROOF_GIVEN,
};

struct watchdog {
	struct database *database;
	struct log *log;
	void (*tell)(struct log *log);
	int64_t pace_ms; /* half the manager's time; 0: nobody watches */
	int64_t due_ms; /* monotonic: the next sign */
	int64_t asked_ms; /* when the write was handed in */
	_Atomic enum watchdog_proof proof;
	const char *silent_about; /* the part whose silence was logged; NULL: all is well */
	size_t part_count;
	struct watchdog_part {
		const char *name;
		watchdog_busy_fn busy_ms;
		void *part;
	} parts[WATCHDOG_PARTS_MAX];
};

/* `interval_ms` 0: nothing is ever done. The database is closed before the watchdog's memory goes: a write may be on its
 * way. */
void watchdog_init(struct watchdog *watchdog, struct database *database, struct log *log, int64_t interval_ms,
		   void (*tell)(struct log *log));
void watchdog_add_part(struct watchdog *watchdog, const char *name, watchdog_busy_fn busy_ms, void *part);
/* Gives the sign when it is due and proven. Never blocks on what it asks about. Returns for how many milliseconds the caller may
 * sleep, at most `most_ms`. */
int64_t watchdog_look(struct watchdog *watchdog, int64_t most_ms);
