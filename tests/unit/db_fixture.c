/* The database for tests. */
#include "tests/unit/db_fixture.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "db/statement.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

int db_fixture_setup(void **state)
{
	struct db_fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/migrationd-db-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(fixture->path, sizeof(fixture->path), "%s/state.db", fixture->directory);
	fixture->clock = clock_manual_create(FIXTURE_START_US);
	assert_non_null(fixture->clock);
	pthread_mutex_init(&fixture->mutex, NULL);
	if (db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
	*state = fixture;
	return 0;
}

static void remove_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	rmdir(path);
}

int db_fixture_teardown(void **state)
{
	struct db_fixture *fixture = *state;

	db_close(fixture->database);
	clock_manual_destroy(fixture->clock);
	pthread_mutex_destroy(&fixture->mutex);
	remove_directory(fixture->directory);
	free(fixture);
	return 0;
}

void db_fixture_reopen(struct db_fixture *fixture)
{
	db_close(fixture->database);
	fixture->database = NULL;
	if (db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
}

void db_fixture_write(struct db_fixture *fixture, db_write_fn write, void *context)
{
	if (db_write(fixture->database, write, context, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
}

struct db_session *db_fixture_read(struct db_fixture *fixture)
{
	struct db_session *session = NULL;

	if (db_read_begin(fixture->database, &session, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
	return session;
}

static int stand_at_gate(struct db_session *session, void *context, struct error *error)
{
	struct db_gate *gate = context;

	(void)session;
	(void)error;
	atomic_store(&gate->is_reached, true);
	LOCK_SCOPE(&gate->mutex);
	return 0;
}

void db_gate_stop_writer(struct db_gate *gate, struct db_fixture *fixture)
{
	*gate = (struct db_gate){ .mutex = PTHREAD_MUTEX_INITIALIZER };
	pthread_mutex_lock(&gate->mutex);
	db_submit(fixture->database, stand_at_gate, NULL, gate);
	while (!atomic_load(&gate->is_reached))
		usleep(1000);
}

void db_gate_open(struct db_gate *gate)
{
	pthread_mutex_unlock(&gate->mutex);
}

static int insert_host(struct db_session *session, void *context, struct error *error)
{
	return db_host_insert(session, context, error);
}

int64_t db_fixture_host(struct db_fixture *fixture, const char *name)
{
	struct db_host host = {
		.vcpus = 8, .memory_mb = 8192, .disk_gb = 100, .reserved_memory_mb = -1, .reserved_disk_gb = -1
	};

	TEXT_COPY(host.name, name);
	host.service.is_up = true;
	db_fixture_write(fixture, insert_host, &host);
	return host.id;
}

static int insert_server(struct db_session *session, void *context, struct error *error)
{
	return db_server_insert(session, context, error);
}

int64_t db_fixture_server(struct db_fixture *fixture, const char *name, int64_t host_id, char ret_uuid[UUID_SIZE])
{
	CLEANUP_DB_SERVER struct db_server server = {
		.project_id = "project",
		.user_id = "user",
		.host_id = host_id,
		.vm_state = "active",
		.power_state = 1,
		.flavor = { .flavor_id = "small", .name = "small", .vcpus = 2, .memory_mb = 1024, .disk_gb = 10 },
	};

	TEXT_COPY(server.name, name);
	uuid_make(server.uuid);
	db_fixture_write(fixture, insert_server, &server);
	if (ret_uuid)
		memcpy(ret_uuid, server.uuid, UUID_SIZE);
	return server.id;
}

static int insert_migration(struct db_session *session, void *context, struct error *error)
{
	return db_migration_insert(session, context, error);
}

int64_t db_fixture_migration(struct db_fixture *fixture, const char *server_uuid, const char *source,
			     const char *target)
{
	struct db_migration migration = {
		.status = "accepted",
		.type = "live-migration",
		.user_id = "user",
		.project_id = "project",
		.memory = { -1, -1, -1 },
		.disk = { -1, -1, -1 },
	};

	TEXT_COPY(migration.server_uuid, server_uuid);
	TEXT_COPY(migration.source_compute, source);
	TEXT_COPY(migration.dest_compute, target);
	db_fixture_write(fixture, insert_migration, &migration);
	return migration.id;
}

struct claim_context {
	const struct db_claim *claim;
	struct db_claim_capacity capacity;
};

static int make_claim(struct db_session *session, void *context, struct error *error)
{
	struct claim_context *claim_context = context;

	return db_claim_make(session, claim_context->claim, &claim_context->capacity, error);
}

int db_fixture_claim(struct db_fixture *fixture, const struct db_claim *claim, int64_t memory_limit_mb)
{
	struct claim_context context = { .claim = claim, .capacity = { -1, memory_limit_mb, -1 } };
	struct error error = { 0 };
	int result = db_write(fixture->database, make_claim, &context, &error);

	if (result < 0) {
		pthread_mutex_lock(&fixture->mutex);
		fixture->error = error;
		pthread_mutex_unlock(&fixture->mutex);
	}
	return result;
}

void db_fixture_check_ended_jobs(struct db_fixture *fixture)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_STATEMENT struct statement *statement = NULL;

	OK(statement_begin(session,
			   "SELECT kind || ' in ' || phase FROM jobs WHERE finished_us > 0 AND phase <> 'done'", NULL,
			   &statement, &fixture->error));
	if (statement_step(statement, &fixture->error) != 0)
		fail_msg("a job went on after its end: %s", statement_column_text(statement, 0));
}
