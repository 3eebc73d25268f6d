/* Actions on a server: what all have in common, as a table's row each.
 *
 * Checks up to the schema run on the listener's thread. All that looks at the server runs as one write of the database, so
 * that between a check and the rows that rest upon it nothing changes. */
#pragma once

#include "api/request.h"
#include "api/schema.h"
#include "db/jobs.h"
#include "db/servers.h"

struct action_call;

/* The actions that one path takes; ends with NULL. */
extern const struct server_action *const server_actions[];
extern const struct server_action *const migration_actions[];

struct server_action {
	const char *name; /* the body's key, and what refusals call it */
	int first_minor; /* before which it is no resource */
	const struct schema *schemas;
	size_t schema_count;
	const char *policy;
	const char *policy_with_host; /* NULL: takes no host */
	int first_host_minor; /* a host in the value counts from this microversion */
	const char *refusal_name; /* in the words of a wrong state; NULL: the name */
	const char *vm_states[6]; /* in one of which the server must be; none: in any */
	const char *task_state; /* in which it must be; NULL: in none */
	const char *const *other_task_states; /* in which it may be besides; ends with NULL */
	bool has_any_state; /* neither lock nor states are looked at, nor whether a job of the server is unfinished */
	bool is_beside_job; /* books no job: may come while one of the server is unfinished */
	/* Of a cold migration that waits: it ends it, also where os-resetState has set another state meanwhile; or it would
	 * move the server, and is refused until the one before has ended. */
	bool ends_waiting, is_move;
	bool tells_no_lock; /* a lock is refused as a wrong state is, without its own words */
	int status; /* of success */
	bool must_be_launched;
	/* Between policy and lock; may refuse. NULL: nothing. */
	void (*check_value)(struct action_call *call);
	/* After lock and state: checks what is its own and books the rows. NULL: the action is gone from Nova, and is refused
	 * by `status` without a look at the server. */
	int (*book)(struct db_session *session, struct action_call *call, struct error *error);
	/* Of those that action_book_power books: the job's kind, the instance action, the task state meanwhile. */
	const char *job_kind, *instance_action, *next_task_state;
};

extern const struct server_action migrate_action;
extern const struct server_action migrate_live_action;
extern const struct server_action confirm_resize_action;
extern const struct server_action revert_resize_action;
extern const struct server_action lock_action;
extern const struct server_action unlock_action;
extern const struct server_action start_action;
extern const struct server_action stop_action;
extern const struct server_action pause_action;
extern const struct server_action unpause_action;
extern const struct server_action suspend_action;
extern const struct server_action resume_action;
extern const struct server_action reboot_action;
extern const struct server_action reset_state_action;
extern const struct server_action reset_network_action;
extern const struct server_action inject_network_info_action;

/* What stands between the path and the action: body, project, schema; then the submit. */
int action_handle(struct request *request, const struct server_action *const *list, struct error *error);
/* The checks from the server on, and the booking, as one write; then the answer. `value` may be NULL. */
int action_submit(struct request *request, const struct server_action *action, const json_t *value,
		  struct error *error);

struct action_call {
	struct request *request;
	const struct server_action *action;
	const json_t *value; /* checked by the schema */
	const char *host; /* asked for; NULL: none */
	struct db_server server;
	struct db_job job; /* as it was booked */
	bool is_waiting; /* a cold migration of the server waits for its confirm or revert */
	int refusal; /* status; 0: none */
	char *refusal_message; /* owned; NULL with a refusal: out of memory */
};

/* Remembers the fault; the first counts. */
void action_refuse(struct action_call *call, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The host named in the value is there; else refuses. */
int action_check_host(struct db_session *session, struct action_call *call, struct error *error);
/* The compute service of the host of that name is up; else refuses by 409. A host that is gone is down. */
int action_check_service(struct db_session *session, struct action_call *call, const char *name, struct error *error);
/* A new migration of the server from where it stands, of that type; fills the job's migration and source. */
int action_book_migration(struct db_session *session, struct action_call *call, const char *type, struct error *error);
/* The instance action alone; its id in the job. */
int action_book_action(struct db_session *session, struct action_call *call, const char *action_name,
		       struct error *error);
/* The instance action, the job (its `kind` and what only the action knows are filled by the caller), and the server's new
 * task state (NULL: it stays). */
int action_book_job(struct db_session *session, struct action_call *call, const char *action_name,
		    const char *task_state, struct error *error);
/* A step of the booked action that has ended well where it begins, on that host. */
int action_book_step(struct db_session *session, struct action_call *call, const char *event_name, const char *host,
		     struct error *error);
/* Books a job on the host where the server is, as the action's row says. */
int action_book_power(struct db_session *session, struct action_call *call, struct error *error);
