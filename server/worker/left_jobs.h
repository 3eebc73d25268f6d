/* The jobs that a host's servers were left to: when one of them changes, it may have ended, and what the host shows counts again.
 * Not thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/* All zero: none. */
struct left_jobs {
	int64_t *ids; /* sorted, once left_jobs_close was called */
	size_t count, capacity;
};

void left_jobs_clear(struct left_jobs *jobs);
/* -ENOMEM with the error filled. */
int left_jobs_add(struct left_jobs *jobs, int64_t id, struct error *error);
/* All were added: from now on they can be looked for. */
void left_jobs_close(struct left_jobs *jobs);
bool left_jobs_have(const struct left_jobs *jobs, int64_t id);
