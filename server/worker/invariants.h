/* What must hold between the guests on all hosts and the rows of the database, which are what the API shows: as code. The
 * check only reads. `migrationd doctor` and the tests run it.
 *
 *     CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };
 *     const struct invariants_parts parts = { .database = database, .hypervisor = hypervisor };
 *     if (invariants_check(&parts, &report, error) == 0 && report.broken_count == 0)
 *             …
 *
 * Rows and hosts change while it reads. What contradicts is therefore read again after a pause, and counts only when it is
 * still there and the server's rows have not changed since the first reading. A server that an unfinished job has is the
 * job's: what hosts show of it is not judged.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/hosts.h"

struct database;
struct error;
struct hypervisor;

/* All borrowed for the call. */
struct invariants_parts {
	struct database *database;
	struct hypervisor *hypervisor; /* handles of all hosts are opened for the check, and closed */
	int64_t pause_ms; /* real time before a second reading; without a contradiction there is none */
	/* Real time for one reading of all hosts; those that have not answered by then count as silent. 0: no limit but the
	 * driver's own, and the hosts are read one by one on the caller's thread. */
	int64_t limit_ms;
	const atomic_bool *is_ending; /* may be NULL; once it is true the check returns -ECANCELED soon */
};

struct invariant; /* a row of the table, see below */

struct invariants_finding {
	const struct invariant *invariant;
	char server_uuid[UUID_SIZE]; /* "": it is about no server */
	char host[DB_NAME_SIZE]; /* "": it is about no host */
	char *found; /* owned */
	bool is_confirmed; /* by a second reading */
};

struct invariants_report {
	struct invariants_finding *items; /* in the order of the table */
	size_t count;
	size_t broken_count; /* the others only say what could not be seen */
	size_t host_count; /* that answered */
	size_t server_count; /* in the database */
};

struct invariants_look;

struct invariant {
	const char *name;
	const char *sentence; /* what holds */
	const char *advice; /* what to do when it does not */
	bool is_broken; /* false: a finding says that something could not be seen, and not that it is wrong */
	void (*check)(struct invariants_look *look);
};
const struct invariant *invariants_table(size_t *ret_count);

void invariants_report_clear(struct invariants_report *report);
#define CLEANUP_INVARIANTS_REPORT __attribute__((cleanup(invariants_report_clear)))

/* 0 also when something is broken. Negative: the check could not be made. Thread-safe. */
int invariants_check(const struct invariants_parts *parts, struct invariants_report *ret_report, struct error *error);
