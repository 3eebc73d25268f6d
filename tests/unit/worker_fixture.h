/* A worker over the simulated fleet, with a database of its own: three hosts, servers of which each has a private disk, and jobs as
 * the API orders them. The clock stands still, so that what waits for its next try never has it unless the test lets time pass. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"
#include "server/scheduler/scheduler.h"
#include "server/settings.h"
#include "server/worker/hypervisor.h"
#include "server/worker/worker.h"
#include "tests/unit/db_fixture.h"

enum { ONE, TWO, THREE, WORKER_HOSTS };

#define WORKER_DISK_BYTES (1 << 20)

struct worker_fixture {
	struct db_fixture *db;
	struct hypervisor *fleet;
	struct worker *worker;
	struct worker_settings settings;
	struct scheduler_settings scheduler;
	struct worker_observer observer; /* of phases; set by a test before its first job */
	int64_t hosts[WORKER_HOSTS];
};

/* A server, and its newest job. */
struct worker_order {
	char uuid[UUID_SIZE];
	char disk[16]; /* the name of its volume */
	int64_t migration_id;
	int64_t action_id;
	int64_t job_id;
	char request_id[REQUEST_ID_SIZE];
};

extern const char *const worker_host_names[WORKER_HOSTS];

int worker_fixture_setup(void **state);
int worker_fixture_teardown(void **state);
void worker_fixture_start(struct worker_fixture *fixture);

/* A running server on the host, which has its disk. */
struct worker_order worker_fixture_server(struct worker_fixture *fixture, const char *name, int host);
/* A job of the kind for it, `from` being its host. `to` -1: a move goes where the scheduler finds best. */
void worker_fixture_order(struct worker_fixture *fixture, struct worker_order *order, const char *kind, int from,
			  int to);
/* The job as a daemon that was killed in that phase leaves it, of a live move in the copy: "moving". The worker is not started yet. */
void worker_fixture_set_phase(struct worker_fixture *fixture, const struct worker_order *order, const char *phase,
			      int to);
/* Moved cold from one to two, so that it waits there for its confirm. The worker is started. */
struct worker_order worker_fixture_resized(struct worker_fixture *fixture);

/* Waits, within bounds; the test fails where it does not come to that. */
void worker_fixture_wait_ended(struct worker_fixture *fixture, const struct worker_order *order);
void worker_fixture_wait_phase(struct worker_fixture *fixture, const struct worker_order *order, const char *phase);
/* Until the job has chosen that host. */
void worker_fixture_wait_target(struct worker_fixture *fixture, const struct worker_order *order, int host);
/* Until the host has a chore of the kind, and its last try says why it cannot be done. Time passes, as in the next. */
void worker_fixture_wait_chore(struct worker_fixture *fixture, int host, const char *kind, const char *words);
void worker_fixture_wait_no_chores(struct worker_fixture *fixture);
/* Until the worker has done what it can without time passing. */
void worker_fixture_wait_idle(struct worker_fixture *fixture);
bool worker_fixture_has_ended(struct worker_fixture *fixture, const struct worker_order *order);

/* The server is shown so on that host, and its newest migration has that status. */
void worker_fixture_check(struct worker_fixture *fixture, const struct worker_order *order, const char *vm_state,
			  int host, const char *status);
/* The words are in the details of an event of the server's newest action. */
void worker_fixture_check_told(struct worker_fixture *fixture, const struct worker_order *order, const char *words);
/* Which hosts know the guest, and which have its disk, as letters of "123". */
void worker_fixture_check_places(struct worker_fixture *fixture, const struct worker_order *order, const char *guests,
				 const char *disks);
/* How many targets' failures the host is charged with. */
int64_t worker_fixture_failures(struct worker_fixture *fixture, int host);
/* The service of a host, as an operator or discovery sets it. */
void worker_fixture_set_service(struct worker_fixture *fixture, int host, bool is_up, bool is_disabled);
