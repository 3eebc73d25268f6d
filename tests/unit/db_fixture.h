/* A database of its own in a temporary directory for each test, on a clock that stands still, and rows to put into it. */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "db/claims.h"
#include "db/database.h"
#include "db/hosts.h"
#include "db/instance_actions.h"
#include "db/jobs.h"
#include "db/migrations.h"
#include "db/servers.h"
#include "db/volumes.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#define FIXTURE_START_US 1767312000000000 /* 2026-01-02T00:00:00Z */

struct db_fixture {
	char directory[64];
	char path[PATH_MAX];
	struct clock *clock;
	struct database *database;
	pthread_mutex_t mutex; /* guards error where threads claim */
	struct error error;
};

int db_fixture_setup(void **state);
int db_fixture_teardown(void **state);
/* Closes and opens again. */
void db_fixture_reopen(struct db_fixture *fixture);

/* Writes and fails the test when that fails. */
void db_fixture_write(struct db_fixture *fixture, db_write_fn write, void *context);
struct db_session *db_fixture_read(struct db_fixture *fixture);

/* For calls that fill fixture->error: the test fails with its words and the line. */
#define OK(call)                                                                                                       \
	do {                                                                                                           \
		if ((call) < 0)                                                                                        \
			fail_msg("%s:%d: %s", __FILE__, __LINE__, fixture->error.text);                                \
	} while (0)

/* Where the writer stands until it is let on. */
struct db_gate {
	pthread_mutex_t mutex; /* held: the writer stands */
	atomic_bool is_reached;
};
/* Returns when the writer stands there. */
void db_gate_stop_writer(struct db_gate *gate, struct db_fixture *fixture);
void db_gate_open(struct db_gate *gate);

/* A host with 8 vCPUs, 8192 MiB and 100 GiB; returns its id. */
int64_t db_fixture_host(struct db_fixture *fixture, const char *name);
/* A running server of 2 vCPUs, 1024 MiB and 10 GiB there; `ret_uuid` may be NULL; returns its id. */
int64_t db_fixture_server(struct db_fixture *fixture, const char *name, int64_t host_id, char ret_uuid[UUID_SIZE]);
/* An accepted live migration between two hosts' names. */
int64_t db_fixture_migration(struct db_fixture *fixture, const char *server_uuid, const char *source,
			     const char *target);
/* Claims on a host that holds that much memory in all (-1: no limit); returns what db_claim_make did. */
int db_fixture_claim(struct db_fixture *fixture, const struct db_claim *claim, int64_t memory_limit_mb);
/* A job that has ended did nothing after that: its last phase is its end. */
void db_fixture_check_ended_jobs(struct db_fixture *fixture);
