/* Nova's steps of the downtime. */
#include "server/worker/downtime.h"

#include "server/settings.h"
#include "server/worker/hypervisor.h"

#define GIB       (1024.0 * 1024 * 1024)
#define LEAST_GIB 2.0

static double at_least(double gib)
{
	return gib < LEAST_GIB ? LEAST_GIB : gib;
}

double downtime_gib(const struct move_progress *progress)
{
	double memory = at_least((double)progress->memory_total / GIB);

	return progress->disk_total > 0 ? memory + at_least((double)progress->disk_total / GIB) : memory;
}

struct downtime_step downtime_step(const struct worker_settings *settings, double gib, int64_t step)
{
	double most = (double)settings->live_migration_downtime_ms;
	double steps = (double)settings->live_migration_downtime_steps;
	double first = most / steps;
	double more = (most - first) / steps;
	int64_t delay_s = (int64_t)((double)settings->live_migration_downtime_delay_s * gib);

	return (struct downtime_step){ delay_s * step, (int64_t)(first + more * (double)step) };
}

int64_t downtime_step_at(const struct worker_settings *settings, double gib, int64_t elapsed_ms)
{
	int64_t step = -1;

	while (step < settings->live_migration_downtime_steps
	       && elapsed_ms > downtime_step(settings, gib, step + 1).after_s * 1000)
		step++;
	return step;
}
