/* Jobs: the durable requests that the workers carry out, and the phase that each has reached.
 *
 * A handler of the API inserts a job; its commit wakes the dispatcher (db_watch). The phase is written before a step that
 * changes the world is begun and after it ended. A job belongs to the node that holds its lease; a lease that ran out may be
 * taken by any node. A finished job stays as a record until its migration is purged.
 */
#pragma once

#include "db/hosts.h"

/* The API waits for a verdict where Nova answers only after the target was chosen and checked (live below 2.34). */
struct db_verdict {
	int status; /* HTTP status: 202 accepted, else the fault's; 0: none yet */
	char *message; /* the fault's words; owned, NULL when accepted */
	char *message_for_admins; /* with host names; owned, NULL: the same */
};

struct db_job {
	int64_t id;
	char kind[32]; /* live, cold, confirm, revert; later the server actions */
	char phase[32]; /* the kind's own words, see server/worker/phases.h */
	char server_uuid[UUID_SIZE];
	int64_t migration_id; /* 0: none */
	int64_t action_id; /* its instance action */
	char request_id[REQUEST_ID_SIZE];
	int64_t source_host_id;
	int64_t target_host_id; /* 0: not chosen */
	char requested_host[DB_NAME_SIZE]; /* "" none was named */
	bool is_forced; /* the named host bypasses the scheduler */
	int minor_version; /* of the request's microversion: 34 is 2.34 */
	char block_migration[8]; /* true, false, auto */
	bool disk_over_commit;
	bool is_abort_requested;
	bool is_force_complete_requested;
	int attempt; /* targets tried so far */
	char *state; /* JSON that only the worker reads: what a restart must know; owned, NULL when none */
	struct db_verdict verdict;
	bool is_waited_for; /* the API waits for the verdict */
	char owner[DB_NAME_SIZE]; /* node; "" is none */
	int64_t lease_until_us;
	int64_t created_us;
	int64_t updated_us;
	int64_t finished_us; /* 0: unfinished */
};

struct db_job_list {
	struct db_job *items;
	size_t count;
};

void db_job_clear(struct db_job *job);
void db_job_list_clear(struct db_job_list *list);
#define CLEANUP_DB_JOB  __attribute__((cleanup(db_job_clear)))
#define CLEANUP_DB_JOBS __attribute__((cleanup(db_job_list_clear)))

int db_job_by_id(struct db_session *session, int64_t id, struct db_job *ret_job, struct error *error);
int db_job_by_migration(struct db_session *session, int64_t migration_id, struct db_job *ret_job, struct error *error);
/* Unfinished ones, oldest first. */
int db_job_unfinished(struct db_session *session, struct db_job_list *ret_jobs, struct error *error);
int db_job_unfinished_of_server(struct db_session *session, const char *server_uuid, struct db_job *ret_job,
				struct error *error);

/* Fills id and created_us. -EEXIST when the server has an unfinished one: two would work on the same guest. */
int db_job_insert(struct db_session *session, struct db_job *job, struct error *error);
/* Writes phase, hosts, attempt, state, flags, owner, lease and finished_us. The two *_requested flags are only ever set by
 * db_job_request and are not written here. */
int db_job_update(struct db_session *session, const struct db_job *job, struct error *error);
int db_job_set_verdict(struct db_session *session, int64_t id, int status, const char *message,
		       const char *message_for_admins, struct error *error);
int db_job_request(struct db_session *session, int64_t id, bool abort, bool force_complete, struct error *error);
/* Takes the job for `node` until `lease_until_us` when it is unowned, ours, or its lease ran out; -EBUSY otherwise. */
int db_job_take(struct db_session *session, int64_t id, const char *node, int64_t lease_until_us, struct error *error);
