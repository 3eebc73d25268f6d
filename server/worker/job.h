/* Inside the worker: its state, and one job on its way. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "db/jobs.h"
#include "db/servers.h"
#include "server/scheduler/scheduler.h"
#include "server/settings.h"
#include "server/worker/hypervisor.h"
#include "server/worker/measure.h"
#include "server/worker/recover_table.h"
#include "server/worker/worker.h"

struct error;
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
	bool is_dispatching;
	int64_t dispatching_since_ms; /* of the system's clock, while is_dispatching */
	int64_t running; /* jobs' threads */
	int64_t moving; /* hypervisor calls that block */
	struct job_slot *slots;
	struct worker_host *hosts;
};

#define JOB_HOSTS_TRIED_MAX 256

struct job_run {
	struct worker *worker;
	const struct worker_limits
		*limits; /* those that held when this run began: a move ends by the words that it began with */
	struct job_slot *slot;
	struct db_job job;
	struct db_server server;
	char source_name[DB_NAME_SIZE];
	char target_name[DB_NAME_SIZE];
	struct hypervisor_host *source;
	struct hypervisor_host *target; /* NULL: not chosen */
	struct schedule_left_out tried[JOB_HOSTS_TRIED_MAX];
	size_t tried_count;
	char ended_why[256]; /* why we ended the move before its time; "": we did not */
	bool is_over_time; /* because of its time limit */
	char postcopy_refused
		[256]; /* why the hosts did not take post-copy, which is permitted; "": they did, or were not asked */
	char *choice; /* why this target, for admins; owned, NULL: not chosen in this run */
	char *migration_address; /* of the target, for a live move; owned, NULL: its libvirt's own choice */
	struct job_measure measure;
};

/* Handle of a host, opened at first use. -ENOENT when the database has no such host. */
int worker_open_host(struct worker *worker, int64_t id, char ret_name[DB_NAME_SIZE], struct hypervisor_host **ret_host,
		     struct error *error);
bool worker_is_stopping(struct worker *worker);
const struct worker_limits *worker_limits_now(struct worker *worker);
/* Room on both hosts for one move more, kept until the job's thread ends. False: there is none now; the job is to return
 * -EAGAIN and is called again when there is, or when its abort is asked for. */
bool worker_take_room(struct job_run *run);

/* choose.c: picks a target and claims it in one transaction; then job, target, target_name and choice say which and why.
 * -ECANCELED when no host is left: texts for both audiences are filled (heap, the caller's; for admins NULL: the same). */
int job_choose(struct job_run *run, char **ret_for_others, char **ret_for_admins, struct error *error);

/* target.c: choosing and checking until a target holds. What differs between live and cold: */
struct target_search {
	const char *event; /* the choice's, on our node */
	const char *outer_event; /* around it; NULL: none */
	const char *sentence; /* Nova's, behind "No valid host was found. " */
	int64_t max_attempts; /* 0: all hosts */
	/* May it go there; writes its own events. */
	int (*check)(struct job_run *run, struct check_result *ret_check, struct error *error);
	/* Ends the job, whose source was not touched. `for_admins` NULL: the same. */
	int (*refuse)(struct job_run *run, const char *for_others, const char *for_admins, struct error *error);
};
/* 1: chosen, claimed and checked, ret_check says how; 0: the job has ended. */
int target_find(struct job_run *run, const struct target_search *search, struct check_result *ret_check,
		struct error *error);
/* The same for a target that was chosen before and waited for its turn. */
int target_check_again(struct job_run *run, const struct target_search *search, struct check_result *ret_check,
		       struct error *error);

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
	int64_t seen_at_ms; /* when the source told something last */
};
void watch_begin(struct job_run *run, struct move_watch *watch);
/* One look at the move: its lease, its progress, what was asked for meanwhile, and the limits that it is held to. */
void watch_once(struct job_run *run, struct move_watch *watch);
/* The source has told nothing for a while: only both sides together can tell more. */
bool watch_is_blind(const struct job_run *run, const struct move_watch *watch);

#define POWER_RUNNING 1 /* of a server's power_state, by Nova's numbers */

/* record.c: each is one transaction. */
int job_enter(struct job_run *run, const char *phase, bool is_new_attempt, const char *migration_status,
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
int job_release_claims(struct job_run *run, struct error *error);
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
	int verdict_status; /* told with the end, unless one was told before; 0: none */
	const char *for_others;
	const char *for_admins; /* NULL: the same */
};
int job_finish(struct job_run *run, const struct job_end *end, struct error *error);

/* Within a transaction: the job is done, its action and open events end; `failure` NULL: well. */
int job_write_end(struct db_session *session, struct job_run *run, const char *failure, struct error *error);

/* volumes: each is recorded before it is made on the target. */
struct volume_journal job_journal(struct job_run *run);
/* What becomes of them. A volume keeps the names of its pool and its own on both hosts. */
enum volume_end {
	VOLUMES_LEAVE_TARGET, /* the move came to nothing */
	VOLUMES_LEAVE_SOURCE, /* the copies are the guest's now */
};
/* Removes those volumes where they are to leave, then forgets them; may be done again. */
int job_settle_volumes(struct job_run *run, enum volume_end end, struct error *error);

int confirm_run(struct job_run *run, struct error *error);
int revert_run(struct job_run *run, struct error *error);
int cold_run(struct job_run *run, struct error *error);
int power_run(struct job_run *run, struct error *error);

/* live.c: 0 when the job is finished, -EAGAIN to be called again later, another error for the log and the same. */
int live_run(struct job_run *run, struct error *error);
