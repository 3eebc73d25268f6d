/* A scene of the faults suite: a fleet of three simulated hosts, a database, and discovery and a worker that can be killed and
 * started again, with one server on the first host and one job for it. The clock is the test's: it goes on when nothing else
 * does.
 */
#pragma once

#include <limits.h>

#include "base/clock.h"
#include "base/error.h"
#include "db/jobs.h"
#include "server/scheduler/scheduler.h"
#include "server/settings.h"
#include "server/worker/discover.h"
#include "server/worker/phases.h"
#include "server/worker/simulated/fleet.h"
#include "server/worker/worker.h"
#include "tests/unit/file_faults.h"

#define SCENE_HOSTS  3
#define SCENE_SOURCE "compute-1"
#define SCENE_TARGET "compute-2"
#define SCENE_OTHER  "compute-3"
#define SCENE_DISK   "disk"
#define SCENE_READ_S 60 /* so often is each host read */
#define SCENE_COPY_S 30 /* so long do copies of disks and memory take */

/* Where in a job something happens. */
struct scene_point {
	bool is_phase;
	char name[64]; /* of the phase, or of the port's operation */
	char host[16]; /* of an operation */
	int number; /* which of the operations on that host by that name: 0 is the first */
	bool is_after;
};

/* A job's life: its kind, and what the fleet makes of it. */
struct scene_life {
	const char *name;
	enum job_kind kind;
	struct {
		const char *host; /* NULL: none */
		enum simulated_outcome outcome;
	} scripts[2];
};

#define SCENE_LIVES 19

/* Every kind of job, and how moves fail. */
extern const struct scene_life scene_lives[SCENE_LIVES];

struct scene;
typedef void (*scene_act)(struct scene *scene, void *context);

struct scene {
	char folder[64];
	char path[PATH_MAX];
	struct clock *clock;
	struct database *database;
	struct hypervisor *fleet;
	struct hypervisor *bounded;
	struct worker *worker;
	struct discovery *discovery;
	bool reads_hosts_first; /* as the daemon does before a job goes on; no host may hang then, since the clock waits */
	struct file_faults *files; /* borrowed: what the database lies on */
	struct worker_settings settings;
	struct hypervisor_settings hypervisor_settings;
	struct scheduler_settings scheduler;
	struct worker_observer observer;
	int log_file; /* in memory: what a daemon would warn of; with FAULTS_LOG set all goes to standard error instead */
	struct log *log;
	int64_t host_ids[SCENE_HOSTS];
	char uuid[UUID_SIZE];
	int64_t job_id; /* the one under test */
	enum job_kind kind;
	/* What is to happen: once, at the point. */
	const struct scene_point *point; /* NULL: nothing */
	scene_act act;
	void *context;
	bool is_setting; /* a move before the job under test: nothing happens in it */
	bool kills; /* the daemon is killed there (phases) */
	/* What was seen. */
	pthread_mutex_t mutex; /* guards all below */
	bool has_happened;
	_Atomic bool
		is_pointless; /* there is nothing to wait for: what was to happen cannot, or it is decided already */
	bool is_restless; /* threads go round in circles while the clock stands still */
	bool is_dead[SCENE_HOSTS]; /* the machine: what it had does not run any more */
	bool is_given_up[SCENE_HOSTS];
	const char *held_host; /* its next list of guests is held; NULL: none */
	bool is_killed; /* the daemon is to be started again */
	bool is_recording;
	struct scene_point *points; /* of an undisturbed run */
	size_t point_count, point_capacity;
	struct scene_point seen[256]; /* how often each operation came */
	size_t seen_count;
	char doubled[256]; /* where the guest ran twice; "": nowhere */
};

extern const char *const scene_hosts[SCENE_HOSTS];

/* Aborts with a message where the scene itself cannot be set. */
void scene_begin(struct scene *scene, struct file_faults *files);
void scene_end(struct scene *scene);
/* The server in the state that the kind of job begins from, and the job. */
void scene_order(struct scene *scene, const struct scene_life *life);
/* The daemon's part: started, killed with all that it remembers, or stopped. */
void scene_start(struct scene *scene);
void scene_restart(struct scene *scene);
/* The two halves of a restart: in between nobody has the database, and its file may be another one. */
void scene_stop(struct scene *scene);
void scene_start_again(struct scene *scene);
/* A confirm or a revert of the server, which waits for it. */
void scene_order_end(struct scene *scene, enum job_kind kind);
/* Lets the clock go on until the job has ended and no chore is due, or so many seconds have passed. True: it came to rest. */
bool scene_settle(struct scene *scene, int seconds);
/* Returns when nobody can do anything more before the clock goes on. */
void scene_rest(struct scene *scene);
/* What chores ask of an operator. True: there was something to do. */
bool scene_obey_chores(struct scene *scene);
/* Lets so many seconds pass, whatever happens. */
void scene_pass(struct scene *scene, int seconds);
/* True: the fault was possible. */
bool scene_inject(struct scene *scene, enum simulated_fault fault, const char *host, const char *other);
bool scene_job_has_ended(struct scene *scene);
/* What the daemon has warned of, from the beginning; "" nothing. */
void scene_warnings(const struct scene *scene, char *ret_text, unsigned long size);
/* A reading of the host begins now, and what it lists is given only when readings go on. False: it is not read now. */
bool scene_hold_reading(struct scene *scene, const char *host);
/* The machine is no more; for good, or until it is started again with its guests off. */
bool scene_kill_host(struct scene *scene, const char *host);
bool scene_revive_host(struct scene *scene, const char *host);
/* As `migrationd host remove --gone` does it. False: the host is not known to be down, or not known. */
bool scene_give_up(struct scene *scene, const char *host);
bool scene_knows_host(struct scene *scene, const char *host);
/* As `migrationd host add` does it. */
void scene_add_host(struct scene *scene, const char *name);
/* Whether the job is shown to wait, with a reason that names the host. `ret_why` at least 512 bytes: what is shown. */
bool scene_shows_waiting(struct scene *scene, const char *host, char *ret_why, unsigned long size);
size_t scene_place(const char *host);
