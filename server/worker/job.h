/* Inside the worker: its state, and one job on its way. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "db/jobs.h"
#include "db/servers.h"
#include "db/volumes.h"
#include "server/scheduler/scheduler.h"
#include "server/settings.h"
#include "server/worker/hypervisor.h"
#include "server/worker/measure.h"
#include "server/worker/phases.h"
#include "server/worker/recover_table.h"
#include "server/worker/worker.h"

struct chore_slot;
struct host_memory;

/* A job that a thread has in hand, or that waits for its next try or its turn. */
struct job_slot {
	int64_t job_id;
	enum job_kind kind;
	int64_t source_host_id;
	int64_t target_host_id; /* 0: not chosen */
	int64_t not_before_ms; /* monotonic */
	bool is_running;
	bool has_room; /* counts as one of the moves that its hosts may carry at once */
	bool is_waiting; /* for room */
	int64_t undecided_since_ms; /* monotonic: both sides have shown since then what nothing can be decided by; 0: not */
	/* Why it does not go on, and since when (waiting.c). */
	char *waiting_for; /* owned, NULL: it does */
	int64_t waiting_since_us;
	char waiting_phase[32]; /* in which it is so */
	bool is_untold; /* the reason is not written yet */
	int64_t told_us; /* when one was written last; 0: never */
	int64_t migration_id; /* whose progress it is */
	struct move_progress progress; /* as the hypervisor told it last; not active: nothing was told */
	struct worker *worker;
	struct job_slot *next;
};

struct worker_host {
	int64_t id;
	char *address; /* URI and credentials, by which it was opened */
	struct hypervisor_host *handle;
	struct worker_host *next;
};

/* What an operator may change while we run. Never freed before the worker: whoever has one reads on in it. */
struct worker_limits {
	struct worker_settings settings; /* texts are ours */
	struct scheduler_settings scheduler;
	struct worker_limits *older;
};

struct worker {
	struct worker_parts parts;
	struct worker_limits *_Atomic limits; /* the newest */
	pthread_t dispatcher;
	bool is_started;
	struct host_memory *host_memory;
	struct worker_measures measures;
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t wake;
	bool is_stopping;
	bool is_woken; /* jobs changed */
	bool must_read_chores; /* they changed */
	bool must_read_hosts; /* one was removed, and its handle may still be there */
	bool must_read_gone; /* a host was given up, and may still be there */
	bool has_blocked; /* a job or a chore waits for a host that is down */
	struct chore_slot *chores; /* those that were tried, or are being done */
	bool is_dispatching;
	int64_t dispatching_since_ms; /* of the system's clock, while is_dispatching */
	int64_t running; /* jobs' threads */
	int64_t moving; /* hypervisor calls that block */
	struct job_slot *slots;
	struct worker_host *hosts;
};

#define JOB_HOSTS_TRIED_MAX 256

struct search_events {
	int64_t outer, inner; /* of the choice; 0: none is open */
};

struct job_run {
	struct worker *worker;
	const struct worker_limits *
		limits; /* those that held when this run began: a migration keeps the limits that were in force when it started */
	struct job_slot *slot;
	struct db_job job;
	enum job_kind kind;
	struct db_server server;
	char source_name[DB_NAME_SIZE];
	char target_name[DB_NAME_SIZE];
	struct hypervisor_host *source;
	struct hypervisor_host *target; /* NULL: not chosen */
	bool is_source_gone, is_target_gone; /* given up by the operator: nothing on it counts any more */
	/* The driver's (driver.c): */
	const char *next_phase; /* of STEP_GO */
	bool has_defined_copy; /* of a cold migration: this run, on the target */
	bool is_entered_again; /* the phase was reached by an earlier run: its step may have been done */
	char failure[ERROR_TEXT_SIZE]; /* why the job does not go well; "": nothing was said */
	/* What was seen last of both sides, and what follows from it (resolve.c). */
	struct guest_view at_source, at_target;
	enum side_view source_side, target_side;
	enum recover_action action;
	bool is_source_to_blame; /* it was the source that failed */
	/* What one step leaves for the next: */
	struct search_events choice_events;
	struct check_result check;
	int64_t event; /* of the move on its source, open over several steps; 0: none */
	struct db_kept_domain saved; /* cold: the source's definition; id 0: not read yet */
	char *definition; /* cold: for the target, made by the copy; owned */
	struct schedule_left_out tried[JOB_HOSTS_TRIED_MAX];
	size_t tried_count;
	char ended_why[ERROR_TEXT_SIZE]; /* why we ended the move before its time; "": we did not */
	bool is_over_time; /* because of its time limit */
	char postcopy_refused
		[256]; /* why the hosts did not take post-copy, which is permitted; "": they did, or were not asked */
	char *choice; /* why this target, for admins; owned, NULL: not chosen in this run */
	char *migration_address; /* of the target, for a live move; owned, NULL: its libvirt's own choice */
	struct job_measure measure;
};

static inline const struct hypervisor_operations *job_operations(const struct job_run *run)
{
	return run->worker->parts.hypervisor->operations;
}

/* Handle of a host, opened at first use, and whether the operator gave it up. -ENOENT when the database has no such host. */
int worker_open_host(struct worker *worker, int64_t id, char ret_name[DB_NAME_SIZE], struct hypervisor_host **ret_host,
		     bool *ret_is_gone, struct error *error);
/* As discovery has it: nothing is begun there. */
bool worker_host_is_down(struct worker *worker, struct db_session *session, int64_t host_id);
bool worker_is_stopping(struct worker *worker);
const struct worker_limits *worker_limits_now(struct worker *worker);
/* Room on both hosts for one move more, kept until the job's thread ends. False: there is none now; the job is to return
 * -EAGAIN and is called again when there is, or when its abort is asked for. */
bool worker_take_room(struct job_run *run);

/* choose.c: picks a target and claims it in one transaction; then job, target, target_name and choice say which and why.
 * -ECANCELED when no host is left: texts for both audiences are filled (heap, the caller's; for admins NULL: the same). */
int job_choose(struct job_run *run, char **ret_for_others, char **ret_for_admins, struct error *error);

/* driver.c: runs the job from phase to phase until it has ended (0), or nothing can be done now (negative). */
int job_drive(struct job_run *run, struct error *error);
/* Why it does not go well, for what follows; the first reason is kept. Returns STEP_RESOLVE. */
int job_fail(struct job_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The job's last transaction. */
int job_write_last(struct job_run *run, db_write_fn write, void *context, struct error *error);
/* The same, that its target was given up. */
void job_fail_without_target(struct job_run *run);
/* STEP_GO to the phase. */
int job_go(struct job_run *run, const char *phase);
/* Nothing is known, or our own database or memory is short: the same is to be tried again later. */
bool job_is_for_later(int result);

/* resolve.c: asks both sides now, and puts what they show into the run. A host that was given up shows nothing. */
void job_look_at_sides(struct job_run *run);
/* The same, and what the table of recovery says to it (run->action). */
void job_resolve(struct job_run *run);
/* One side, now: -ESTALE with what was found when its guest is in none of the states (GUEST_SET), or busy. */
int job_expect(struct job_run *run, struct hypervisor_host *host, unsigned int states, struct error *error);
/* Before the guest comes to a side where it was not: -ESTALE when a third host has it, since somebody moved it there. With
 * `must_know`: also when a host cannot be asked. */
int job_expect_on_no_third_host(struct job_run *run, bool must_know, struct error *error);
int worker_expect_on_no_other_host(struct worker *worker, const char *uuid, const int64_t hosts_left_out[2],
				   bool must_know, struct error *error);
/* Both sides have shown nothing to decide by for so long that the job has to end without it. */
bool job_is_undecided_too_long(struct job_run *run);

/* target.c: choosing and checking until a target holds (steps.h). What differs between live and cold: */
struct target_search {
	const char *event; /* the choice's, on our node */
	const char *outer_event; /* around it; NULL: none */
	const char *sentence; /* Nova's, behind "No valid host was found. " */
	const char *first_phase; /* that touches a host */
	int64_t max_attempts; /* 0: all hosts */
	/* May it go there; writes its own events. */
	int (*check)(struct job_run *run, struct check_result *ret_check, struct error *error);
	/* Ends the job, whose source was not touched. `for_admins` NULL: the same. */
	int (*refuse)(struct job_run *run, const char *for_others, const char *for_admins, struct error *error);
	/* The target holds: what is told before the job waits for its turn; NULL: nothing. STEP_NEXT, STEP_DONE or negative. */
	int (*accept)(struct job_run *run, struct error *error);
	/* Ends a job whose abort was asked for before a host was touched; NULL: there is no such request. */
	int (*cancel)(struct job_run *run, struct error *error);
};
void live_search(const struct job_run *run, struct target_search *ret_search);
void cold_search(const struct job_run *run, struct target_search *ret_search);

/* watch.c: what is done while a guest moves, in the first run as after a restart. */
struct move_watch {
	int64_t began_ms; /* monotonic */
	int64_t moved_bytes;
	int64_t moved_at_ms; /* when they last changed */
	int64_t written_at_ms;
	int64_t downtime_steps; /* that were taken */
	bool is_abort_sent;
	bool is_force_sent;
	bool is_in_postcopy; /* and that is recorded */
	bool is_active; /* as last seen */
	bool was_active; /* once at least */
	int64_t seen_at_ms; /* when the source told something last */
};
void watch_begin(struct job_run *run, struct move_watch *watch);
/* One look at the move: its lease, its progress, what was asked for meanwhile, and the limits that it is held to. */
void watch_once(struct job_run *run, struct move_watch *watch);
/* The source has told nothing for a while: only both sides together can tell more. */
bool watch_is_blind(const struct job_run *run, const struct move_watch *watch);

#define POWER_RUNNING 1 /* of a server's power_state, by Nova's numbers */
#define POWER_PAUSED  3
#define POWER_OFF     4

/* record.c: each is one transaction. */
/* The phase, with the status and the task state that its row has (each NULL: stays). */
int job_enter(struct job_run *run, const char *phase, const char *migration_status, const char *task_state,
	      struct error *error);
int job_set_task_state(struct job_run *run, const char *task_state, struct error *error);
int job_begin_event(struct job_run *run, const char *event, const char *host, int64_t *ret_event_id,
		    struct error *error);
/* `failure` NULL: Success. `details` may be NULL. */
int job_end_event(struct job_run *run, int64_t event_id, const struct error *failure, const char *details,
		  struct error *error);
int job_set_verdict(struct job_run *run, int status, const char *for_others, const char *for_admins,
		    struct error *error);
int job_renew_lease(struct job_run *run, struct error *error);
/* Reads anew what may have been asked for meanwhile: abort, force complete. */
int job_read_requests(struct job_run *run, struct error *error);
/* The target is given up: its claim goes, and the migration leads nowhere again. */
int job_leave_target(struct job_run *run, struct error *error);

struct job_end {
	const char *migration_status;
	bool is_failed; /* the action's message */
	bool is_moved; /* the server stands on the target now */
	bool is_lost; /* the server goes to ERROR */
	int power_state; /* Nova's, when moved */
	bool is_target_to_blame; /* counted against it until the next one that goes well */
	const char *reason; /* of a fault, and of events that are still open; NULL without */
	const char *details; /* of a fault, for admins; NULL: the reason */
	const char *error_cause; /* of a server that goes to ERROR: see db/servers.h */
	unsigned int leftovers; /* CHORE_*: what remains to be removed, each a chore from then on */
	int verdict_status; /* told with the end, unless one was told before; 0: none */
	const char *for_others;
	const char *for_admins; /* NULL: the same */
};
int job_finish(struct job_run *run, const struct job_end *end, struct error *error);
/* The same within somebody's transaction, who has told the metrics before. */
int job_write_finish(struct db_session *session, struct job_run *run, const struct job_end *end, struct error *error);
void job_note_outcome(struct job_run *run, const struct job_end *end);

/* Within a transaction: the job is done, its action and open events end; `failure` NULL: well. */
int job_write_end(struct db_session *session, struct job_run *run, const char *failure, struct error *error);

/* Within a transaction: the server stands on `host_id`, and its resources are claimed on `claimed_host_id` (0: nowhere), at
 * once, so that nobody sees it counted twice or not at all. */
int job_write_place(struct db_session *session, const struct job_run *run, struct db_server *server, int64_t host_id,
		    int64_t claimed_host_id, struct error *error);

/* journal.c: volumes, each recorded before it is made on the target. */
struct volume_journal job_journal(struct job_run *run);
/* Copies of the migration that are whole, for verify_disks (heap, the caller's; the texts are `ret_rows`'). */
int job_copied_volumes(struct job_run *run, struct db_volume_list *ret_rows, struct hypervisor_volume **ret_volumes,
		       size_t *ret_count, struct error *error);
/* Removes what this migration made on the target so far, so that it can be made again: guarded by the journal, and in use by
 * nobody. */
int job_remove_copies(struct job_run *run, struct error *error);
