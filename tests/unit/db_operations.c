/* The fleet and the operations on it. */
#include "tests/unit/db_operations.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "db/audit.h"
#include "db/chores.h"
#include "db/flavors.h"
#include "db/load.h"
#include "db/retention.h"
#include "db/summary.h"

#define SERVER "5e0a6b8c-0000-4000-8000-000000000001" /* on host 1; its migration 1 to host 2 waits for its confirm */
#define OTHER  "5e0a6b8c-0000-4000-8000-000000000002" /* on host 2; migration 2 ended long ago, 3 has left something */
#define THIRD  "5e0a6b8c-0000-4000-8000-000000000003"

static const struct db_claim_capacity no_limit = { -1, -1, -1 };

/* The fleet. */
static int add_host(struct db_session *session, const char *name, struct error *error)
{
	struct db_host host = { .vcpus = 8, .memory_mb = 8192, .disk_gb = 100 };

	TEXT_COPY(host.name, name);
	host.service.is_up = true;
	return db_host_insert(session, &host, error);
}

static int add_server(struct db_session *session, const char *uuid, int64_t host_id, struct error *error)
{
	CLEANUP_DB_SERVER struct db_server server = {
		.name = "guest", .vm_state = "active", .host_id = host_id, .flavor = { .name = "small", .vcpus = 1 }
	};

	TEXT_COPY(server.uuid, uuid);
	return db_server_insert(session, &server, error);
}

static int add_migration(struct db_session *session, const char *server_uuid, const char *status, const char *source,
			 const char *target, struct error *error)
{
	struct db_migration migration = { .type = "migration", .created_us = 1, .updated_us = 1 };

	TEXT_COPY(migration.server_uuid, server_uuid);
	TEXT_COPY(migration.status, status);
	TEXT_COPY(migration.source_compute, source);
	TEXT_COPY(migration.dest_compute, target);
	return db_migration_insert(session, &migration, error);
}

/* Of an action with the migration's number. */
static int add_job(struct db_session *session, const char *server_uuid, int64_t migration_id, int64_t finished_us,
		   struct error *error)
{
	struct db_job job = { .kind = "cold",
			      .migration_id = migration_id,
			      .action_id = migration_id,
			      .source_host_id = 1,
			      .target_host_id = 2,
			      .finished_us = finished_us };

	TEXT_COPY(job.server_uuid, server_uuid);
	return db_job_insert(session, &job, error);
}

static int add_action(struct db_session *session, const char *server_uuid, const char *request_id, struct error *error)
{
	struct db_action action = { .action = "migrate", .start_us = 1 };

	TEXT_COPY(action.server_uuid, server_uuid);
	TEXT_COPY(action.request_id, request_id);
	int result = db_action_insert(session, &action, error);
	struct db_event event = { .action_id = action.id, .event = "compute_migrate", .start_us = 1 };
	return result < 0 ? result : db_event_insert(session, &event, error);
}

static int add_chore(struct db_session *session, const char *kind, const char *server_uuid, int64_t host_id,
		     int64_t other_host_id, struct error *error)
{
	struct db_chore chore = { .host_id = host_id, .other_host_id = other_host_id };

	TEXT_COPY(chore.kind, kind);
	TEXT_COPY(chore.server_uuid, server_uuid);
	return db_chore_insert(session, &chore, error);
}

static int add_claim(struct db_session *session, const char *server_uuid, int64_t migration_id, int64_t host_id,
		     struct error *error)
{
	struct db_claim claim = { .host_id = host_id, .migration_id = migration_id, .vcpus = 1 };

	TEXT_COPY(claim.server_uuid, server_uuid);
	return db_claim_make(session, &claim, &no_limit, error);
}

static int add_kept_domain(struct db_session *session, const char *server_uuid, int64_t migration_id, int64_t host_id,
			   struct error *error)
{
	struct db_kept_domain kept = { .host_id = host_id, .migration_id = migration_id };

	TEXT_COPY(kept.server_uuid, server_uuid);
	return db_kept_domain_insert(session, &kept, error);
}

static int add_volume(struct db_session *session, const char *name, int64_t job_id, int64_t host_id,
		      struct error *error)
{
	struct db_volume volume = { .job_id = job_id, .host_id = host_id, .pool = "default" };

	TEXT_COPY(volume.name, name);
	return db_volume_insert(session, &volume, error);
}

#define STEP(call)                                                                                                     \
	do {                                                                                                           \
		int step_result = (call);                                                                              \
		if (step_result < 0)                                                                                   \
			return step_result;                                                                            \
	} while (0)

int db_operations_fill(struct db_session *session, void *context, struct error *error)
{
	static const char *const hosts[] = { "one", "two", "three", "four" };

	(void)context;
	STEP(db_erase_all(session, error));
	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++)
		STEP(add_host(session, hosts[i], error));
	STEP(db_host_set_gone(session, 4, true, error));
	STEP(add_server(session, SERVER, 1, error));
	STEP(add_server(session, OTHER, 2, error));
	STEP(add_migration(session, SERVER, "finished", "one", "two", error));
	STEP(add_migration(session, OTHER, "completed", "two", "one", error));
	STEP(add_migration(session, OTHER, "error", "one", "two", error));
	STEP(add_job(session, SERVER, 1, 0, error));
	STEP(add_job(session, OTHER, 2, 1, error));
	STEP(add_job(session, OTHER, 3, 1, error));
	STEP(add_action(session, SERVER, "req-1", error));
	STEP(add_action(session, OTHER, "req-2", error));
	STEP(db_event_finish(session, 2, "Success", NULL, NULL, error));
	STEP(add_claim(session, SERVER, 1, 2, error));
	STEP(add_claim(session, OTHER, 3, 1, error));
	STEP(add_kept_domain(session, SERVER, 1, 1, error));
	STEP(add_kept_domain(session, OTHER, 3, 2, error));
	STEP(add_volume(session, "disk-1", 1, 2, error));
	STEP(add_volume(session, "disk-2", 3, 1, error));
	STEP(add_chore(session, DB_CHORE_REMOVE_GUEST, OTHER, 1, 0, error));
	STEP(add_chore(session, DB_CHORE_END_CONFLICT, SERVER, 2, 1, error));
	STEP(add_chore(session, DB_CHORE_END_CONFLICT, OTHER, 1, 3, error));
	return add_chore(session, DB_CHORE_REMOVE_VOLUME, SERVER, 3, 0, error);
}

/* The operations: those of one call, and below them those that need more. */
#define OPERATION(name, call)                                                                                          \
	static int name(struct db_session *session, void *context, struct error *error)                                \
	{                                                                                                              \
		(void)context;                                                                                         \
		return (call);                                                                                         \
	}

OPERATION(register_host, add_host(session, "five", error))
OPERATION(note_failed_migrations, db_host_set_failed_migrations(session, 1, 3, error))
OPERATION(give_host_up, db_host_set_gone(session, 2, true, error))
OPERATION(take_host_back, db_host_set_gone(session, 4, false, error))
OPERATION(remove_host, db_host_remove(session, 4, error))
OPERATION(insert_server, add_server(session, THIRD, 3, error))
OPERATION(set_state, db_server_set_state(session, SERVER, "active", "migrating", error))
OPERATION(set_place, db_server_set_place(session, SERVER, 2, 1, error))
OPERATION(set_fault, db_server_set_fault(session, SERVER, &(struct db_fault){ .code = 500 }, error))
OPERATION(set_lock, db_server_set_lock(session, SERVER, "admin", "why", error))
OPERATION(set_cause, db_server_set_error_cause(session, SERVER, DB_ERROR_CAUSE_LOST, error))
OPERATION(delete_server, db_server_delete(session, SERVER, error))
OPERATION(insert_migration, add_migration(session, OTHER, "queued", "two", "three", error))
OPERATION(set_status, db_migration_set_status(session, 1, "confirmed", error))
OPERATION(set_target, db_migration_set_target(session, 1, "three", "three", "", error))
OPERATION(set_source_node, db_migration_set_source_node(session, 1, "node", error))
OPERATION(set_progress, db_migration_set_progress(session, 1, &(struct db_progress){ 1, 1, 1 }, NULL, error))
OPERATION(insert_job, add_job(session, OTHER, 0, 0, error))
OPERATION(set_verdict, db_job_set_verdict(session, 1, 202, NULL, NULL, error))
OPERATION(request_abort, db_job_request(session, 1, true, false, error))
OPERATION(take_job, db_job_take(session, 1, "node", 5, error))
OPERATION(make_claim, add_claim(session, OTHER, 2, 3, error))
OPERATION(release_claim, db_claim_release(session, 1, 0, error))
OPERATION(release_claims_of_host, db_claim_release_by_host(session, 2, error))
OPERATION(give_claim_back, db_claim_make_way(session, SERVER, 2, 1, error))
OPERATION(end_claim, db_claim_make_way(session, SERVER, 2, 0, error))
OPERATION(end_claim_where_it_was, db_claim_make_way(session, SERVER, 2, 2, error))
OPERATION(insert_action, add_action(session, SERVER, "req-3", error))
OPERATION(finish_action, db_action_finish(session, 1, "Error", error))
OPERATION(finish_event, db_event_finish(session, 1, "Success", NULL, NULL, error))
OPERATION(note_event, db_event_note(session, 1, "waits", error))
OPERATION(note_no_event, db_event_note(session, 2, "waits", error))
OPERATION(keep_domain, add_kept_domain(session, SERVER, 2, 1, error))
OPERATION(move_kept_domain, db_kept_domain_move(session, 1, 2, error))
OPERATION(delete_kept_domain, db_kept_domain_delete(session, 1, error))
OPERATION(delete_kept_domain_of_migration, db_kept_domain_delete_by_migration(session, 1, error))
OPERATION(delete_kept_domains_of_host, db_kept_domain_delete_by_host(session, 1, error))
OPERATION(insert_volume, add_volume(session, "disk-3", 1, 2, error))
OPERATION(complete_volume, db_volume_set_complete(session, 1, error))
OPERATION(delete_volume, db_volume_delete(session, 1, error))
OPERATION(delete_volumes_of_migration, db_volume_delete_by_migration(session, 1, error))
OPERATION(delete_volumes_of_host, db_volume_delete_by_host(session, 2, error))
OPERATION(insert_chore, add_chore(session, DB_CHORE_REMOVE_GUEST, SERVER, 2, 0, error))
OPERATION(join_chore, add_chore(session, DB_CHORE_REMOVE_GUEST, OTHER, 1, 3, error))
OPERATION(note_failure_of_chore, db_chore_note_failure(session, 1, "it did not answer", error))
OPERATION(delete_chore, db_chore_delete(session, 1, error))
OPERATION(delete_chores_of_host, db_chore_delete_by_host(session, 1, error))
OPERATION(give_up_chores_of_host, db_chore_give_up_host(session, 1, error))
OPERATION(erase_all, db_erase_all(session, error))
OPERATION(write_nothing, db_write_nothing(session, NULL, error))

static int insert_service(struct db_session *session, void *context, struct error *error)
{
	struct db_service service = { .binary = "nova-conductor", .host = "one" };

	(void)context;
	return db_service_insert(session, &service, error);
}

static int update_host(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };

	(void)context;
	STEP(db_host_by_name(session, "one", &host, error));
	host.vcpus++;
	return db_host_update(session, &host, error);
}

static int update_service(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };

	(void)context;
	STEP(db_host_by_id(session, 1, &host, error));
	host.service.is_disabled = true;
	return db_service_update(session, &host.service, error);
}

static int update_server(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	(void)context;
	STEP(db_server_by_uuid(session, SERVER, &server, error));
	TEXT_COPY(server.flavor.name, "large");
	return db_server_update(session, &server, error);
}

static int update_job(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };

	(void)context;
	STEP(db_job_by_id(session, 1, &job, error));
	return db_job_update(session, &job, error);
}

static int take_volumes(struct db_session *session, void *context, struct error *error)
{
	const struct db_chore like = { .host_id = 2, .server_uuid = SERVER, .migration_id = 1 };
	CLEANUP_DB_VOLUMES struct db_volume_list volumes = { 0 };

	(void)context;
	STEP(db_volume_by_job(session, 1, &volumes, error));
	return db_chore_take_volumes(session, &volumes, &like, error);
}

static int forget_migrations(struct db_session *session, void *context, struct error *error)
{
	size_t count;

	(void)context;
	return db_forget_migrations(session, 1, 10, &count, error);
}

static int forget_actions(struct db_session *session, void *context, struct error *error)
{
	size_t count;

	(void)context;
	return db_forget_actions(session, INT64_MAX, 10, &count, error);
}

static int load_claim(struct db_session *session, void *context, struct error *error)
{
	static const struct db_load_value values[] = {
		{ .column = "host_id", .kind = DB_LOAD_NUMBER, .number = 3 },
		{ .column = "server_uuid", .kind = DB_LOAD_TEXT, .text = SERVER },
		{ .column = "migration_id", .kind = DB_LOAD_NUMBER, .number = 1 },
		{ .column = "vcpus", .kind = DB_LOAD_NUMBER, .number = 1 },
		{ .column = "memory_mb", .kind = DB_LOAD_NUMBER, .number = 1 },
		{ .column = "disk_gb", .kind = DB_LOAD_NUMBER, .number = 1 },
	};

	(void)context;
	return db_load_row(session, "claims", values, ARRAY_LENGTH(values), error);
}

static int load_event(struct db_session *session, void *context, struct error *error)
{
	static const struct db_load_value values[] = {
		{ .column = "action_id", .kind = DB_LOAD_NUMBER, .number = 1 },
		{ .column = "event", .kind = DB_LOAD_TEXT, .text = "e" },
		{ .column = "host", .kind = DB_LOAD_TEXT, .text = "one" },
		{ .column = "start_us", .kind = DB_LOAD_NUMBER, .number = 1 },
		{ .column = "finish_us", .kind = DB_LOAD_NUMBER, .number = 1 },
		{ .column = "result", .kind = DB_LOAD_TEXT, .text = "Error" },
	};

	(void)context;
	return db_load_row(session, "instance_action_events", values, ARRAY_LENGTH(values), error);
}

/* Readings: into something that is cleared again. */
#define READING(name, type, cleanup, call)                                                                             \
	static int name(struct db_session *session, void *context, struct error *error)                                \
	{                                                                                                              \
		cleanup type read = { 0 };                                                                             \
		(void)context;                                                                                         \
		return (call);                                                                                         \
	}
#define NO_CLEANUP

READING(host_by_id, struct db_host, CLEANUP_DB_HOST, db_host_by_id(session, 1, &read, error))
READING(host_by_name, struct db_host, CLEANUP_DB_HOST, db_host_by_name(session, "one", &read, error))
READING(hosts, struct db_host_list, CLEANUP_DB_HOSTS, db_host_all(session, &read, error))
READING(hosts_page, struct db_host_list, CLEANUP_DB_HOSTS, db_host_page(session, 1, 1, &read, error))
READING(gone_hosts, struct db_host_list, CLEANUP_DB_HOSTS, db_host_gone(session, &read, error))
READING(hosts_naming_server, struct db_host_list, CLEANUP_DB_HOSTS,
	db_host_naming_server(session, SERVER, &read, error))
READING(host_usage, struct db_host_usage, NO_CLEANUP, db_host_usage(session, 2, &read, error))
READING(host_usages, struct db_host_usage_list, CLEANUP_DB_USAGES, db_host_usage_all(session, &read, error))
READING(host_burden, struct db_host_burden, NO_CLEANUP, db_host_burden(session, 1, &read, error))
READING(services, struct db_service_list, CLEANUP_DB_SERVICES, db_service_all(session, &read, error))
READING(server_by_uuid, struct db_server, CLEANUP_DB_SERVER, db_server_by_uuid(session, SERVER, &read, error))
READING(servers, struct db_server_list, CLEANUP_DB_SERVERS,
	db_server_find(session, &(struct db_server_filter){ .marker = OTHER }, &read, error))
READING(migration_by_id, struct db_migration, NO_CLEANUP, db_migration_by_id(session, 1, &read, error))
READING(migrations, struct db_migration_list, CLEANUP_DB_MIGRATIONS,
	db_migration_find(session, &(struct db_migration_filter){ .host = "one" }, &read, error))
READING(migration_by_status, struct db_migration, NO_CLEANUP,
	db_migration_by_server_and_status(session, SERVER, "finished", &read, error))
READING(unended_migrations, struct db_migration_list, CLEANUP_DB_MIGRATIONS,
	db_migration_unended_of_server(session, SERVER, &read, error))
READING(job_by_migration, struct db_job, CLEANUP_DB_JOB, db_job_by_migration(session, 1, &read, error))
READING(unfinished_jobs, struct db_job_list, CLEANUP_DB_JOBS, db_job_unfinished(session, &read, error))
READING(unfinished_job, struct db_job, CLEANUP_DB_JOB, db_job_unfinished_of_server(session, SERVER, &read, error))
READING(claims_of_host, struct db_claim_list, CLEANUP_DB_CLAIMS, db_claim_by_host(session, 2, &read, error))
READING(claims_of_migration, struct db_claim_list, CLEANUP_DB_CLAIMS, db_claim_by_migration(session, 1, &read, error))
READING(action_by_request, struct db_action, CLEANUP_DB_ACTION,
	db_action_by_request(session, SERVER, "req-1", &read, error))
READING(actions_of_server, struct db_action_list, CLEANUP_DB_ACTIONS,
	db_action_find(session, &(struct db_action_filter){ .server_uuid = SERVER, .marker = "req-1" }, &read, error))
READING(actions, struct db_action_list, CLEANUP_DB_ACTIONS,
	db_action_find(session, &(struct db_action_filter){ .marker = "req-1" }, &read, error))
READING(events, struct db_event_list, CLEANUP_DB_EVENTS, db_event_by_action(session, 1, &read, error))
READING(volumes_of_migration, struct db_volume_list, CLEANUP_DB_VOLUMES,
	db_volume_by_migration(session, 1, &read, error))
READING(volumes_of_host, struct db_volume_list, CLEANUP_DB_VOLUMES, db_volume_by_host(session, 2, &read, error))
READING(incomplete_volumes, struct db_volume_list, CLEANUP_DB_VOLUMES, db_volume_incomplete(session, &read, error))
READING(kept_domain, struct db_kept_domain, CLEANUP_DB_KEPT_DOMAIN,
	db_kept_domain_by_server(session, SERVER, &read, error))
READING(kept_domain_of_migration, struct db_kept_domain, CLEANUP_DB_KEPT_DOMAIN,
	db_kept_domain_by_migration(session, 1, &read, error))
READING(chore_by_id, struct db_chore, CLEANUP_DB_CHORE, db_chore_by_id(session, 1, &read, error))
READING(chores, struct db_chore_list, CLEANUP_DB_CHORES, db_chore_all(session, &read, error))
READING(chores_of_host, struct db_chore_list, CLEANUP_DB_CHORES, db_chore_by_host(session, 1, &read, error))
READING(chores_of_server, struct db_chore_list, CLEANUP_DB_CHORES, db_chore_by_server(session, SERVER, &read, error))
READING(flavors, struct db_flavor_list, CLEANUP_DB_FLAVORS,
	db_flavor_find(session, &(struct db_flavor_filter){ .marker = "" }, &read, error))
READING(counts_of_hosts, struct db_host_counts, NO_CLEANUP, db_host_counts(session, &read, error))
READING(audit, struct db_audit, CLEANUP_DB_AUDIT, db_audit_read(session, &read, error))

static int counts_of_jobs(struct db_session *session, void *context, struct error *error)
{
	struct db_job_counts counts[DB_JOB_COUNTS_MAX];
	size_t count;

	(void)context;
	return db_job_counts(session, counts, &count, error);
}

static int counts_of_chores(struct db_session *session, void *context, struct error *error)
{
	struct db_chore_counts counts[DB_CHORE_COUNTS_MAX];
	size_t count;

	(void)context;
	return db_chore_counts(session, counts, &count, error);
}

#define WRITE(name, told, changed)                                                                                     \
	{                                                                                                              \
#name, name, told, changed                                                                             \
	}
#define READ(name)                                                                                                     \
	{                                                                                                              \
#name, name, NULL, NULL                                                                                \
	}

const struct db_operation db_operations[] = {
	WRITE(register_host, "services:5 hosts:5", "services:5 hosts:5"),
	WRITE(insert_service, "services:5", "services:5"),
	WRITE(update_host, "hosts:1", "hosts:1"),
	WRITE(update_service, "services:1 hosts:1", "services:1"),
	WRITE(note_failed_migrations, "hosts:1", "hosts:1"),
	WRITE(give_host_up, "hosts:2 services:2", "services:2 hosts:2"),
	WRITE(take_host_back, "hosts:4", "hosts:4"),
	WRITE(remove_host, "hosts:4 services:4", "services:4 hosts:4"),
	WRITE(insert_server, "servers:3 hosts:3", "servers:3"),
	WRITE(update_server, "hosts:1 servers:1", "flavors:2 servers:1"),
	WRITE(set_state, "servers:1", "servers:1"),
	WRITE(set_place, "hosts:1 servers:1 hosts:2", "servers:1"),
	WRITE(set_fault, "servers:1", "servers:1"),
	WRITE(set_lock, "servers:1", "servers:1"),
	WRITE(set_cause, "servers:1", "servers:1"),
	WRITE(delete_server, "hosts:1 servers:1", "servers:1"),
	WRITE(insert_migration, "migrations:4 hosts:2 hosts:3", "migrations:4"),
	WRITE(set_status, "migrations:1 hosts:1 hosts:2", "migrations:1"),
	WRITE(set_target, "hosts:1 hosts:2 migrations:1 hosts:3", "migrations:1"),
	WRITE(set_source_node, "migrations:1", "migrations:1"),
	WRITE(set_progress, "migrations:1", "migrations:1"),
	WRITE(insert_job, "jobs:4", "jobs:4"),
	WRITE(update_job, "jobs:1", "jobs:1"),
	WRITE(set_verdict, "jobs:1", "jobs:1"),
	WRITE(request_abort, "jobs:1", "jobs:1"),
	WRITE(take_job, "jobs:1", "jobs:1"),
	WRITE(make_claim, "claims:3 hosts:3", "claims:3"),
	WRITE(release_claim, "claims:1 hosts:2", "claims:1"),
	WRITE(release_claims_of_host, "claims:1 hosts:2", "claims:1"),
	WRITE(give_claim_back, "claims:1 hosts:1 hosts:2", "claims:1"),
	WRITE(end_claim, "claims:1 hosts:2", "claims:1"),
	WRITE(end_claim_where_it_was, "claims:1 hosts:2", "claims:1"),
	WRITE(insert_action, "", "instance_actions:3 instance_action_events:3"),
	WRITE(finish_action, "", "instance_actions:1"),
	WRITE(finish_event, "", "instance_actions:1 instance_action_events:1"),
	WRITE(note_event, "", "instance_actions:1 instance_action_events:1"),
	WRITE(note_no_event, "", ""),
	WRITE(keep_domain, "", "kept_domains:3"),
	WRITE(move_kept_domain, "", "kept_domains:1"),
	WRITE(delete_kept_domain, "", "kept_domains:1"),
	WRITE(delete_kept_domain_of_migration, "", "kept_domains:1"),
	WRITE(delete_kept_domains_of_host, "", "kept_domains:1"),
	WRITE(insert_volume, "", "volumes:3"),
	WRITE(complete_volume, "", "volumes:1"),
	WRITE(delete_volume, "", "volumes:1"),
	WRITE(delete_volumes_of_migration, "", "volumes:1"),
	WRITE(delete_volumes_of_host, "", "volumes:1"),
	WRITE(insert_chore, "chores:5", "chores:5"),
	WRITE(join_chore, "chores:1", "chores:1"),
	WRITE(note_failure_of_chore, "chores:1", "chores:1"),
	WRITE(take_volumes, "chores:5", "volumes:1 chores:5"),
	WRITE(delete_chore, "chores:1", "chores:1"),
	WRITE(delete_chores_of_host, "chores:1 chores:3", "chores:1 chores:3"),
	WRITE(give_up_chores_of_host, "chores:3 chores:1 chores:4 chores:2", "chores:1 chores:2 chores:3 chores:4"),
	WRITE(forget_migrations, "migrations:2", "migrations:2 jobs:2"),
	WRITE(forget_actions, "", "instance_actions:2 instance_action_events:2"),
	WRITE(load_claim, "claims:3", "claims:3"),
	WRITE(load_event, "", "instance_action_events:3"),
	WRITE(erase_all,
	      "chores:1 chores:2 chores:3 chores:4 claims:1 claims:2 jobs:1 jobs:2 jobs:3 migrations:1 migrations:2 "
	      "migrations:3 "
	      "servers:1 servers:2 hosts:1 hosts:2 hosts:3 hosts:4 services:1 services:2 services:3 "
	      "services:4",
	      "services:1 services:2 services:3 services:4 hosts:1 hosts:2 hosts:3 hosts:4 flavors:1 servers:1 "
	      "servers:2 migrations:1 migrations:2 migrations:3 jobs:1 jobs:2 jobs:3 claims:1 claims:2 "
	      "instance_actions:1 instance_actions:2 instance_action_events:1 instance_action_events:2 volumes:1 "
	      "volumes:2 kept_domains:1 kept_domains:2 chores:1 chores:2 chores:3 chores:4"),
	WRITE(write_nothing, "", ""),
	READ(host_by_id),
	READ(host_by_name),
	READ(hosts),
	READ(hosts_page),
	READ(gone_hosts),
	READ(hosts_naming_server),
	READ(host_usage),
	READ(host_usages),
	READ(host_burden),
	READ(services),
	READ(server_by_uuid),
	READ(servers),
	READ(migration_by_id),
	READ(migrations),
	READ(migration_by_status),
	READ(unended_migrations),
	READ(job_by_migration),
	READ(unfinished_jobs),
	READ(unfinished_job),
	READ(claims_of_host),
	READ(claims_of_migration),
	READ(action_by_request),
	READ(actions_of_server),
	READ(actions),
	READ(events),
	READ(volumes_of_migration),
	READ(volumes_of_host),
	READ(incomplete_volumes),
	READ(kept_domain),
	READ(kept_domain_of_migration),
	READ(chore_by_id),
	READ(chores),
	READ(chores_of_host),
	READ(chores_of_server),
	READ(flavors),
	READ(counts_of_hosts),
	READ(counts_of_jobs),
	READ(counts_of_chores),
	READ(audit),
};
const size_t db_operation_count = ARRAY_LENGTH(db_operations);
