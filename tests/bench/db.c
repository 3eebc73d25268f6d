/* Measures the database room: commits one by one and in groups, and each query of its headers on a large fleet.
 *
 *     bench_db                                            a middling fleet in a directory of its own, removed at the end
 *     bench_db DIRECTORY [HOSTS SERVERS MIGRATIONS]       a large one; the file stays, so that a second run skips the load */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "db/claims.h"
#include "db/database.h"
#include "db/hosts.h"
#include "db/instance_actions.h"
#include "db/jobs.h"
#include "db/migrations.h"
#include "db/servers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH 5000

struct fleet {
	struct database *database;
	int64_t hosts;
	int64_t servers;
	int64_t migrations;
	int64_t next; /* of the table that is being loaded */
};

static const char *const STATUSES[] = { "completed", "error", "confirmed", "cancelled", "failed" };

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void check(int result, const struct error *error)
{
	if (result < 0) {
		fprintf(stderr, "%s\n", error->text);
		exit(1);
	}
}

static void server_uuid(char ret_uuid[UUID_SIZE], int64_t number)
{
	snprintf(ret_uuid, UUID_SIZE, "%08llx-0000-4000-8000-%012llx",
		 (unsigned long long)(number * 2654435761 % 4294967291), (unsigned long long)number);
}

static int load_hosts(struct db_session *session, void *context, struct error *error)
{
	struct fleet *fleet = context;

	for (int64_t end = fleet->next + BATCH; fleet->next < end && fleet->next < fleet->hosts; fleet->next++) {
		CLEANUP_DB_HOST struct db_host host = { .vcpus = 64, .memory_mb = 524288, .disk_gb = 4000 };

		snprintf(host.name, sizeof(host.name), "host%05lld", (long long)fleet->next + 1);
		host.service.is_up = true;
		int result = db_host_insert(session, &host, error);
		if (result < 0)
			return result;
	}
	return 0;
}

static int load_servers(struct db_session *session, void *context, struct error *error)
{
	struct fleet *fleet = context;

	for (int64_t end = fleet->next + BATCH; fleet->next < end && fleet->next < fleet->servers; fleet->next++) {
		int64_t number = fleet->next;
		CLEANUP_DB_SERVER struct db_server server = {
			.host_id = number % fleet->hosts + 1,
			.power_state = 1,
			.created_us = 1700000000000000 + number * 1000,
			.flavor = { .flavor_id = "m1",
				    .name = "m1",
				    .vcpus = number % 8 + 1,
				    .memory_mb = 2048,
				    .disk_gb = 20 },
		};

		server_uuid(server.uuid, number);
		snprintf(server.name, sizeof(server.name), "guest-%lld", (long long)number);
		snprintf(server.project_id, sizeof(server.project_id), "project-%lld", (long long)number % 500);
		TEXT_COPY(server.vm_state, number % 1000 == 7 ? "error" : "active");
		TEXT_COPY(server.task_state, number % 5000 == 3 ? "migrating" : "");
		int result = db_server_insert(session, &server, error);
		if (result < 0)
			return result;
	}
	return 0;
}

static int load_migrations(struct db_session *session, void *context, struct error *error)
{
	struct fleet *fleet = context;

	for (int64_t end = fleet->next + BATCH; fleet->next < end && fleet->next < fleet->migrations; fleet->next++) {
		int64_t number = fleet->next;
		bool is_recent = number > fleet->migrations - 50;
		struct db_migration migration = {
			.type = "live-migration",
			.created_us = 1700000000000000 + number * 1000,
			.updated_us = 1700000000000000 + number * 1000 + 500,
		};

		server_uuid(migration.server_uuid, number % fleet->servers);
		TEXT_COPY(migration.status, is_recent ? "running" : STATUSES[number % 5]);
		snprintf(migration.project_id, sizeof(migration.project_id), "project-%lld", (long long)number % 500);
		snprintf(migration.user_id, sizeof(migration.user_id), "user-%lld", (long long)number % 700);
		snprintf(migration.source_compute, DB_NAME_SIZE, "host%05lld", (long long)(number % fleet->hosts + 1));
		snprintf(migration.dest_compute, DB_NAME_SIZE, "host%05lld",
			 (long long)(number * 7 % fleet->hosts + 1));
		int result = db_migration_insert(session, &migration, error);
		if (result < 0)
			return result;
	}
	return 0;
}

static void load(struct fleet *fleet, const char *what, db_write_fn write, int64_t count)
{
	struct error error = { 0 };
	double begin = now_ms();

	fleet->next = 0;
	while (fleet->next < count)
		check(db_write(fleet->database, write, fleet, &error), &error);
	printf("loaded %-12s %10lld rows %8.0f rows/s\n", what, (long long)count,
	       (double)count / (now_ms() - begin) * 1e3);
}

/* One narrow change, as the workers make them all the time. */
static int touch_migration(struct db_session *session, void *context, struct error *error)
{
	struct db_progress memory = { 3, 2, 1 };
	(void)context;

	return db_migration_set_progress(session, 1, &memory, &memory, error);
}

/* What an accepted request writes. */
static int accept_request(struct db_session *session, void *context, struct error *error)
{
	struct db_migration migration = { .status = "accepted", .type = "live-migration", .server_uuid = "bench" };
	struct db_action action = { .action = "live-migration", .server_uuid = "bench", .request_id = "bench" };
	struct db_job job = { .kind = "live", .server_uuid = "bench" };
	int result = db_migration_insert(session, &migration, error);
	(void)context;

	if (result == 0)
		result = db_action_insert(session, &action, error);
	job.migration_id = migration.id;
	job.finished_us = 1;
	return result < 0 ? result : db_job_insert(session, &job, error);
}

static void measure_one_by_one(struct database *database, const char *what, db_write_fn write, int count)
{
	struct error error = { 0 };
	double begin = now_ms();

	for (int i = 0; i < count; i++)
		check(db_write(database, write, NULL, &error), &error);
	printf("%-34s %8.0f writes/s\n", what, count / (now_ms() - begin) * 1e3);
}

struct client {
	struct database *database;
	db_write_fn write;
	int count;
};

static void *run_client(void *argument)
{
	struct client *client = argument;
	struct error error = { 0 };

	for (int i = 0; i < client->count; i++)
		check(db_write(client->database, client->write, NULL, &error), &error);
	return NULL;
}

static void measure_clients(struct database *database, const char *what, db_write_fn write, int clients, int count)
{
	pthread_t threads[256];
	struct client client = { database, write, count };
	int64_t commits, writes, commits_before, writes_before;
	double begin = now_ms();

	db_statistics(database, &commits_before, &writes_before);
	for (int i = 0; i < clients; i++)
		pthread_create(&threads[i], NULL, run_client, &client);
	for (int i = 0; i < clients; i++)
		pthread_join(threads[i], NULL);

	double seconds = (now_ms() - begin) / 1e3;
	db_statistics(database, &commits, &writes);
	printf("%-27s %3d at once %6.0f writes/s %6.0f commits/s (%.0f a commit)\n", what, clients,
	       (double)(writes - writes_before) / seconds, (double)(commits - commits_before) / seconds,
	       (double)(writes - writes_before) / (double)(commits - commits_before));
}

static void measure_submits(struct database *database, const char *what, db_write_fn write, int count)
{
	struct error error = { 0 };
	double begin = now_ms();

	for (int i = 0; i < count; i++)
		db_submit(database, write, NULL, NULL);
	check(db_write(database, write, NULL, &error), &error);
	printf("%-34s %8.0f writes/s\n", what, count / (now_ms() - begin) * 1e3);
}

static void time_migrations(struct database *database, const char *what, struct db_migration_filter filter)
{
	struct error error = { 0 };
	CLEANUP_DB_READ struct db_session *session = NULL;
	double best = 1e9;
	size_t count = 0;

	check(db_read_begin(database, &session, &error), &error);
	for (int i = 0; i < 3; i++) {
		CLEANUP_DB_MIGRATIONS struct db_migration_list list = { 0 };
		double begin = now_ms();

		check(db_migration_find(session, &filter, &list, &error), &error);
		best = now_ms() - begin < best ? now_ms() - begin : best;
		count = list.count;
	}
	printf("migrations %-36s %6zu rows %9.3f ms\n", what, count, best);
}

static void time_servers(struct database *database, const char *what, struct db_server_filter filter)
{
	struct error error = { 0 };
	CLEANUP_DB_READ struct db_session *session = NULL;
	double best = 1e9;
	size_t count = 0;

	check(db_read_begin(database, &session, &error), &error);
	for (int i = 0; i < 3; i++) {
		CLEANUP_DB_SERVERS struct db_server_list list = { 0 };
		double begin = now_ms();

		check(db_server_find(session, &filter, &list, &error), &error);
		best = now_ms() - begin < best ? now_ms() - begin : best;
		count = list.count;
	}
	printf("servers    %-36s %6zu rows %9.3f ms\n", what, count, best);
}

static void time_usages(struct database *database)
{
	struct error error = { 0 };
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_USAGES struct db_host_usage_list usages = { 0 };
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };
	struct db_host_usage usage;

	check(db_read_begin(database, &session, &error), &error);
	double begin = now_ms();
	check(db_host_all(session, &hosts, &error), &error);
	printf("hosts      %-36s %6zu rows %9.3f ms\n", "all", hosts.count, now_ms() - begin);
	begin = now_ms();
	check(db_host_usage_all(session, &usages, &error), &error);
	printf("usage      %-36s %6zu rows %9.3f ms\n", "of all hosts", usages.count, now_ms() - begin);
	check(db_host_usage(session, 1, &usage, &error), &error);
	begin = now_ms();
	for (int64_t id = 1; id <= 1000; id++)
		check(db_host_usage(session, id, &usage, &error), &error);
	printf("usage      %-36s %6d rows %9.3f ms\n", "of one host", 1, (now_ms() - begin) / 1000);
}

static void time_reads(struct database *database)
{
	struct error error = { 0 };
	char uuid[UUID_SIZE];
	double begin = now_ms();

	for (int64_t i = 0; i < 10000; i++) {
		CLEANUP_DB_READ struct db_session *session = NULL;
		CLEANUP_DB_SERVER struct db_server server = { 0 };

		server_uuid(uuid, i * 19 % 100);
		check(db_read_begin(database, &session, &error), &error);
		check(db_server_by_uuid(session, uuid, &server, &error), &error);
	}
	printf("servers    %-36s %6d rows %9.3f ms\n", "one by uuid, with its snapshot", 1, (now_ms() - begin) / 10000);
}

static void time_queries(const struct fleet *fleet)
{
	struct database *database = fleet->database;
	char uuid[UUID_SIZE];
	int64_t late = 1700000000000000 + (fleet->migrations - 100) * 1000;

	server_uuid(uuid, 50);
	time_reads(database);
	time_servers(database, "first 1000", (struct db_server_filter){ .limit = 1000 });
	time_servers(database, "of a project", (struct db_server_filter){ .project_id = "project-7", .limit = 1000 });
	time_servers(database, "of a host", (struct db_server_filter){ .host_id = 9 });
	time_servers(database, "in error", (struct db_server_filter){ .vm_state = "error", .limit = 1000 });
	time_servers(database, "migrating", (struct db_server_filter){ .task_state = "migrating", .limit = 1000 });
	time_servers(database, "active of a project",
		     (struct db_server_filter){ .vm_state = "active", .project_id = "project-7", .limit = 1000 });
	time_servers(database, "active on a host",
		     (struct db_server_filter){ .vm_state = "active", .host_id = 9, .limit = 1000 });
	time_servers(database, "idle of a project",
		     (struct db_server_filter){ .task_state = "", .project_id = "project-7", .limit = 1000 });
	time_servers(database, "page behind a marker", (struct db_server_filter){ .marker = uuid, .limit = 1000 });
	time_servers(database, "of a project behind a marker",
		     (struct db_server_filter){ .marker = uuid, .project_id = "project-7", .limit = 1000 });
	time_servers(database, "by a part of the name",
		     (struct db_server_filter){ .name_part = "guest-1234", .limit = 1000 });
	time_servers(database, "changed lately", (struct db_server_filter){ .changes_since_us = late, .limit = 1000 });

	time_migrations(database, "first 1000", (struct db_migration_filter){ .limit = 1000 });
	time_migrations(database, "of a server", (struct db_migration_filter){ .server_uuid = uuid });
	time_migrations(database, "in progress of a server",
			(struct db_migration_filter){ .server_uuid = uuid, .is_in_progress = true });
	time_migrations(database, "in progress", (struct db_migration_filter){ .is_in_progress = true });
	time_migrations(database, "running", (struct db_migration_filter){ .status = "running", .limit = 1000 });
	time_migrations(database, "from or to a host",
			(struct db_migration_filter){ .host = "host00077", .limit = 1000 });
	time_migrations(database, "from a host",
			(struct db_migration_filter){ .source_compute = "host00077", .limit = 1000 });
	time_migrations(database, "completed from or to a host",
			(struct db_migration_filter){ .host = "host00077", .status = "completed", .limit = 1000 });
	time_migrations(database, "of a project",
			(struct db_migration_filter){ .project_id = "project-7", .limit = 1000 });
	time_migrations(database, "of a type that is not there",
			(struct db_migration_filter){ .type = "resize", .limit = 1000 });
	time_migrations(
		database, "completed of a project",
		(struct db_migration_filter){ .project_id = "project-7", .status = "completed", .limit = 1000 });
	time_migrations(database, "of a user and a project",
			(struct db_migration_filter){ .project_id = "project-7", .user_id = "user-7", .limit = 1000 });
	time_migrations(database, "changed lately",
			(struct db_migration_filter){ .changes_since_us = late, .limit = 1000 });
	time_migrations(database, "changed long ago",
			(struct db_migration_filter){ .changes_before_us = 1700000000100000, .limit = 1000 });
	time_usages(database);
}

static void measure_writes(struct database *database)
{
	measure_one_by_one(database, "progress, one by one", touch_migration, 300);
	measure_one_by_one(database, "accepted requests, one by one", accept_request, 300);
	measure_clients(database, "accepted requests,", accept_request, 8, 100);
	measure_clients(database, "accepted requests,", accept_request, 64, 60);
	measure_clients(database, "accepted requests,", accept_request, 256, 30);
	measure_submits(database, "progress, queued at once", touch_migration, 20000);
	measure_submits(database, "accepted requests, queued at once", accept_request, 10000);
}

static void measure(const char *directory, struct fleet *fleet)
{
	CLEANUP_FREE char *path = text_format("%s/bench.db", directory);
	struct error error = { 0 };
	struct db_session *session = NULL;
	struct db_migration migration;

	if (!path)
		exit(1);
	check(db_open(path, clock_system(), NULL, &fleet->database, &error), &error);
	check(db_read_begin(fleet->database, &session, &error), &error);
	bool is_loaded = db_migration_by_id(session, fleet->migrations, &migration, &error) == 0;
	db_read_end(session);
	if (!is_loaded) {
		load(fleet, "hosts", load_hosts, fleet->hosts);
		load(fleet, "servers", load_servers, fleet->servers);
		load(fleet, "migrations", load_migrations, fleet->migrations);
	}
	time_queries(fleet);
	measure_writes(fleet->database);
	db_close(fleet->database);
}

static int measure_in_own_directory(void)
{
	char directory[] = "/var/tmp/migrationd-bench-XXXXXX";
	struct fleet fleet = { .hosts = 1000, .servers = 20000, .migrations = 50000 };

	if (!mkdtemp(directory)) {
		perror("cannot make a directory in /var/tmp");
		return 1;
	}
	measure(directory, &fleet);

	CLEANUP_FREE char *path = text_format("%s/bench.db", directory);
	if (path)
		unlink(path);
	return rmdir(directory) == 0 ? 0 : 1;
}

int main(int count, char **words)
{
	struct fleet fleet = { .hosts = 10000, .servers = 200000, .migrations = 1000000 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (count == 1)
		return measure_in_own_directory();
	if (count != 2 && count != 5) {
		fprintf(stderr, "usage: %s [DIRECTORY [HOSTS SERVERS MIGRATIONS]]\n", words[0]);
		return 2;
	}
	if (count == 5
	    && (!text_to_int64(words[2], 1, 10000000, &fleet.hosts)
		|| !text_to_int64(words[3], 1, 10000000, &fleet.servers)
		|| !text_to_int64(words[4], 1, 10000000, &fleet.migrations))) {
		fprintf(stderr, "HOSTS, SERVERS and MIGRATIONS are numbers\n");
		return 2;
	}
	measure(words[1], &fleet);
	return 0;
}
