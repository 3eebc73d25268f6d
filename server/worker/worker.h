/* The workers' door: carries out the jobs that the database holds, through the hypervisor port.
 *
 *     worker_create(&parts, &worker, error);   before the database's first write: it watches
 *     worker_start(worker, error);
 *     …
 *     worker_stop(worker);                     migrations under way go on at the hypervisors and are taken up again
 *     db_close(database);                      the last commits still call the watcher
 *     worker_destroy(worker);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock;
struct database;
struct error;
struct hypervisor;
struct host_state;
struct log;
struct metrics;
struct move_progress;
struct scheduler_settings;
struct worker;
struct worker_settings;

/* For tests: told of each phase of a job before it is written, and after; "done" is the end. It may do anything to hosts. False:
 * the daemon is killed at that moment, as far as this job goes: nothing more of it is written or done in this run. */
struct worker_observer {
	bool (*on_phase)(void *context, const char *kind, const char *phase, bool is_written);
	void *context;
};

/* All borrowed; they outlive the worker. */
struct worker_parts {
	struct database *database;
	struct hypervisor *hypervisor;
	struct clock *clock;
	struct log *log; /* may be NULL */
	struct metrics *metrics; /* NULL: nobody measures */
	const struct worker_settings *settings; /* copied, as the next */
	const struct scheduler_settings *scheduler;
	const char *node; /* our name in leases and events */
	const struct worker_observer *observer; /* NULL: none */
};

int worker_create(const struct worker_parts *parts, struct worker **ret_worker, struct error *error);
/* From now on jobs begin by these, which are copied; those under way end by what held when they began. Thread-safe. */
int worker_set_limits(struct worker *worker, const struct worker_settings *settings,
		      const struct scheduler_settings *scheduler, struct error *error);
/* Also again after worker_stop, as a daemon that starts again: unfinished jobs are taken up from what the hosts show. */
int worker_start(struct worker *worker, struct error *error);
/* Waits for steps in progress, not for moves. False when a hypervisor's blocking call still runs: then neither the worker
 * nor the hypervisor may be destroyed (the process is to end). */
bool worker_stop(struct worker *worker);
/* Waits, at most until that time of the system's clock, until no job runs and none may begin now (one that waits for its next
 * try does not count). False: the time came first. Thread-safe. */
bool worker_wait_idle(struct worker *worker, int64_t deadline_ms);
/* For how long the dispatcher has been at its round, which blocks on nothing but the database; 0: it rests. Thread-safe. */
int64_t worker_busy_ms(struct worker *worker);
/* A host was given up in the database, or removed from it: jobs that wait for it go on now. Thread-safe. */
void worker_host_given_up(struct worker *worker);
/* The jobs that wait for something on that host, or on the other one of theirs. Thread-safe. */
struct worker_waiting {
	int64_t job_id;
	int64_t since_us;
	char *reason;
};
struct worker_waiting_list {
	struct worker_waiting *items;
	size_t count;
};
int worker_list_waiting(struct worker *worker, int64_t host_id, struct worker_waiting_list *ret_list,
			struct error *error);
void worker_waiting_list_clear(struct worker_waiting_list *list);
/* Called with all hosts as choices see them, by id, and the settings that choices go by; must be quick, since choices wait
 * meanwhile. Nothing is read for it: where jobs were never started there are none. Thread-safe. */
typedef void (*worker_hosts_fn)(void *context, const struct host_state *hosts, size_t count,
				const struct scheduler_settings *settings);
void worker_look_at_hosts(struct worker *worker, worker_hosts_fn look, void *context);
/* Jobs that a thread has in hand now, of so many that may be. Thread-safe. */
void worker_count_running(struct worker *worker, int64_t *ret_running, int64_t *ret_limit);
/* How a move goes, as its hypervisor told it last. -ENOENT: it does not move now, or is not ours. Thread-safe. */
int worker_progress(struct worker *worker, int64_t migration_id, struct move_progress *ret_progress);
void worker_destroy(struct worker *worker); /* NULL is fine */
