/* Inside the worker: its state, and one job on its way. */
#pragma once

#include <pthread.h>

#include "db/jobs.h"
#include "db/servers.h"
#include "server/scheduler/scheduler.h"
#include "server/settings.h"
#include "server/worker/hypervisor.h"
#include "server/worker/recover_table.h"
#include "server/worker/worker.h"

struct error;
struct host_memory;

/* A job that a thread has in hand, or that waits for its next try. */
struct job_slot {
	int64_t job_id;
	int64_t source_host_id;
	int64_t target_host_id; /* 0: not chosen */
	int64_t not_before_ms; /* monotonic */
	bool is_running;
	struct worker *worker;
	struct job_slot *next;
};

struct worker_host {
	int64_t id;
	struct hypervisor_host *handle;
	struct worker_host *next;
};

struct worker {
	struct worker_parts parts;
	pthread_t dispatcher;
	bool is_started;
	struct host_memory *host_memory;
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t wake;
	bool is_stopping;
	bool is_woken; /* jobs changed */
	int64_t running; /* jobs' threads */
	int64_t moving; /* hypervisor calls that block */
	struct job_slot *slots;
	struct worker_host *hosts;
};

#define JOB_HOSTS_TRIED_MAX 256

struct job_run {
	struct worker *worker;
	struct db_job job;
	struct db_server server;
	char source_name[DB_NAME_SIZE];
	char target_name[DB_NAME_SIZE];
	struct hypervisor_host *source;
	struct hypervisor_host *target; /* NULL: not chosen */
	struct schedule_left_out tried[JOB_HOSTS_TRIED_MAX];
	size_t tried_count;
};

/* Handle of a host, opened at first use. -ENOENT when the database has no such host. */
int worker_open_host(struct worker *worker, int64_t id, char ret_name[DB_NAME_SIZE], struct hypervisor_host **ret_host,
		     struct error *error);
bool worker_is_stopping(struct worker *worker);

/* choose.c: picks a target and claims it in one transaction; then job, target and target_name say which. -ECANCELED when no
 * host is left: texts for both audiences are filled (heap, the caller's). */
int job_choose(struct job_run *run, char **ret_for_others, char **ret_for_admins, struct error *error);

/* record.c: each is one transaction. */
int job_enter(struct job_run *run, const char *phase, bool is_new_attempt, const char *migration_status,
	      struct error *error);
int job_begin_event(struct job_run *run, const char *event, const char *host, int64_t *ret_event_id,
		    struct error *error);
/* `failure` NULL: Success. `details` may be NULL. */
int job_end_event(struct job_run *run, int64_t event_id, const struct error *failure, const char *details,
		  struct error *error);
int job_set_verdict(struct job_run *run, int status, const char *for_others, const char *for_admins,
		    struct error *error);
int job_renew_lease(struct job_run *run, struct error *error);
int job_release_claims(struct job_run *run, struct error *error);

struct job_end {
	const char *migration_status;
	bool is_failed; /* the action's message */
	bool is_moved; /* the server stands on the target now */
	bool is_lost; /* the server goes to ERROR */
	int power_state; /* Nova's, when moved */
	const char *reason; /* of a fault; NULL without */
	int verdict_status; /* told with the end, unless one was told before; 0: none */
	const char *for_others;
	const char *for_admins; /* NULL: the same */
};
int job_finish(struct job_run *run, const struct job_end *end, struct error *error);

/* Within a transaction: the job is done, its action and open events end. */
int job_write_end(struct db_session *session, struct job_run *run, bool is_failed, struct error *error);

/* volumes: each is recorded before it is made on the target. */
struct volume_journal job_journal(struct job_run *run);
int job_settle_volumes(struct job_run *run, bool are_removed, struct error *error);

int confirm_run(struct job_run *run, struct error *error);
int revert_run(struct job_run *run, struct error *error);
int cold_run(struct job_run *run, struct error *error);

/* live.c: 0 when the job is finished, -EAGAIN to be called again later, another error for the log and the same. */
int live_run(struct job_run *run, struct error *error);
