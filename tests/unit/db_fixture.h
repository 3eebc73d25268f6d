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

#define FIXTURE_START_US 1767312000000000 /* 2026-01-02T00:00:00Z */

struct db_fixture {
	char directory[64];
	char path[PATH_MAX];
	struct clock *clock;
	struct database *database;
	struct error error;
};

int db_fixture_setup(void **state);
int db_fixture_teardown(void **state);
/* Closes and opens again. */
void db_fixture_reopen(struct db_fixture *fixture);

/* Writes and fails the test when that fails. */
void db_fixture_write(struct db_fixture *fixture, db_write_fn write, void *context);
struct db_session *db_fixture_read(struct db_fixture *fixture);

/* A host with 8 vCPUs, 8192 MiB and 100 GiB; returns its id. */
int64_t db_fixture_host(struct db_fixture *fixture, const char *name);
/* A running server of 2 vCPUs, 1024 MiB and 10 GiB there; `ret_uuid` may be NULL; returns its id. */
int64_t db_fixture_server(struct db_fixture *fixture, const char *name, int64_t host_id, char ret_uuid[UUID_SIZE]);
/* An accepted live migration between two hosts' names. */
int64_t db_fixture_migration(struct db_fixture *fixture, const char *server_uuid, const char *source,
			     const char *target);
