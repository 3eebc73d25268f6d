/* A scene of the faults suite: a fleet of three simulated hosts, a database, and a worker that can be killed and started again,
 * with one server on the first host and one job for it. The clock is the test's: it goes on when nothing else does.
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

#define SCENE_HOSTS  3
#define SCENE_DISK   "disk"
#define SCENE_COPY_S 30 /* so long do copies of disks and memory take */

/* Where in a job something happens. */
struct scene_point {
	bool is_phase;
	char name[64]; /* of the phase, or of the port's operation */
	char host[16]; /* of an operation */
	int number; /* which of the operations on that host by that name: 0 is the first */
	bool is_after;
};

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
	bool has_discovery; /* hosts are read all the time, too; from the next start on */
	struct discovery *discovery; /* NULL: they are not */
	struct worker_settings settings;
	struct scheduler_settings scheduler;
	struct worker_observer observer;
	struct log *log; /* on standard error, with FAULTS_LOG set; else NULL */
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
void scene_begin(struct scene *scene);
void scene_end(struct scene *scene);
/* The server in the state that the kind of job begins from, and the job. */
void scene_order(struct scene *scene, enum job_kind kind);
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
/* Lets so many seconds pass, whatever happens. */
void scene_pass(struct scene *scene, int seconds);
/* True: the fault was possible. */
bool scene_inject(struct scene *scene, enum simulated_fault fault, const char *host, const char *other);
bool scene_job_has_ended(struct scene *scene);
