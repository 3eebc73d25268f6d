/* Records that nobody needs any more, taken away by their age, some at a time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct db_session;
struct error;

/* Migrations that ended (in words of their status; one that waits for its confirm has not) and did not change since, with their
 * finished jobs; at most `most` of them, oldest first. None that a job, a claim, a volume or a kept domain still needs.
 * *ret_count: how many went. */
int db_forget_migrations(struct db_session *session, int64_t unchanged_since_us, size_t most, size_t *ret_count,
			 struct error *error);
/* Instance actions that did not change since, with their events and those finished jobs that are of no migration; none that a
 * job still writes to. */
int db_forget_actions(struct db_session *session, int64_t unchanged_since_us, size_t most, size_t *ret_count,
		      struct error *error);
