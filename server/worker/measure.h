/* Inside the worker: what its jobs come to, as metrics. Each job counts once, when its end is on disk. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct error;
struct job_run;
struct metric_family;
struct metrics;
struct move_progress;

/* How a job ended. */
enum job_outcome {
	JOB_COMPLETED,
	JOB_CANCELLED, /* called off by its user */
	JOB_REFUSED, /* no host would have it: nothing was touched */
	JOB_FAILED, /* the guest is where and as it was */
	JOB_LOST, /* the server is in ERROR: a person is needed */
	JOB_OUTCOME_MAX,
};

/* Why a move did not complete, by the class of the cause. */
enum job_failure {
	JOB_FAILURE_NO_HOST,
	JOB_FAILURE_TIMEOUT, /* live_migration_completion_timeout */
	JOB_FAILURE_STALLED, /* stall_timeout */
	JOB_FAILURE_HOST, /* a step failed on source or target */
	JOB_FAILURE_LOST,
	JOB_FAILURE_MAX,
};

/* All NULL: nobody measures. */
struct worker_measures {
	struct metric_family *moves, *failures, *actions, *move_seconds, *downtime_seconds, *bytes, *pass_seconds;
};

/* What a run knows about its end, as far as it counts. */
struct job_measure {
	enum job_outcome outcome;
	enum job_failure failure; /* unless it completed or was cancelled */
	int64_t disk_bytes; /* that a live move has to copy, as was seen last */
	bool has_moved_live; /* the two below are known */
	int64_t downtime_ms;
	int64_t memory_bytes;
};

int worker_measures_register(struct metrics *metrics, struct worker_measures *ret_measures, struct error *error);
/* A look at a live move on its way: of its disks the source alone tells, and only while they are copied. */
void measure_disks(struct job_run *run, const struct move_progress *progress);
/* The totals of a completed live move, from its target. */
void measure_live(struct job_run *run, const struct move_progress *totals);
/* The job has ended, and that is on disk. */
void measure_end(const struct job_run *run);
/* One pass of the scheduler, its claim included. */
void measure_pass(const struct job_run *run, int64_t took_us);
