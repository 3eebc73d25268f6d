/* The jobs that a host's servers were left to: a sorted list, since every change of a job is looked for in that of every host. */
#include "server/worker/left_jobs.h"

#include <stdlib.h>

#include "base/error.h"

void left_jobs_clear(struct left_jobs *jobs)
{
	free(jobs->ids);
	*jobs = (struct left_jobs){ 0 };
}

int left_jobs_add(struct left_jobs *jobs, int64_t id, struct error *error)
{
	if (jobs->count == jobs->capacity) {
		size_t capacity = jobs->capacity * 2 + 8;
		int64_t *grown = realloc(jobs->ids, capacity * sizeof(*grown));

		if (!grown)
			return error_no_memory(error);
		jobs->ids = grown;
		jobs->capacity = capacity;
	}
	jobs->ids[jobs->count++] = id;
	return 0;
}

static int compare(const void *a, const void *b)
{
	int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;

	return (first > second) - (first < second);
}

void left_jobs_close(struct left_jobs *jobs)
{
	if (jobs->count)
		qsort(jobs->ids, jobs->count, sizeof(*jobs->ids), compare);
}

bool left_jobs_have(const struct left_jobs *jobs, int64_t id)
{
	return jobs->count && bsearch(&id, jobs->ids, jobs->count, sizeof(*jobs->ids), compare);
}
