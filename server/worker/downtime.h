/* How long a guest may stand still for the switch, and when that is raised: Nova's steps, from a little at once to the whole
 * after the last delay, in even parts. Pure. */
#pragma once

#include <stdint.h>

struct worker_settings;
struct move_progress;

struct downtime_step {
	int64_t after_s; /* it holds when the move has lasted longer */
	int64_t downtime_ms;
};

/* Nova's measure of a move: GiB of memory and of disks to copy, each counted as at least 2. */
double downtime_gib(const struct move_progress *progress);
/* `step` from 0 to live_migration_downtime_steps. */
struct downtime_step downtime_step(const struct worker_settings *settings, double gib, int64_t step);
/* The step that holds after so long; -1: none yet. */
int64_t downtime_step_at(const struct worker_settings *settings, double gib, int64_t elapsed_ms);
