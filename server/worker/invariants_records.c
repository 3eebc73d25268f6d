/* The invariants of the rows among themselves. They are of one moment, so that a transaction that wrote only a part of what
 * belongs together shows here. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/worker/invariants_look.h"

static struct db_host_usage *usage_of(const struct invariants_look *look, struct db_host_usage *usages, int64_t host_id)
{
	const struct seen_host *host = look_host(look, host_id);

	return host ? &usages[host - look->hosts] : NULL;
}

/* Counted row by row, in the order of the hosts: the scheduler's SQL must come to the same. */
static void add_up(const struct invariants_look *look, struct db_host_usage *usages)
{
	for (size_t i = 0; i < look->audit.servers.count; i++) {
		const struct db_audit_server *server = &look->audit.servers.items[i];
		struct db_host_usage *usage = usage_of(look, usages, server->host_id);
		bool has_part_of_gib = server->swap_mb % 1024 != 0;

		if (!usage)
			continue;
		usage->servers++;
		usage->vcpus += server->vcpus;
		usage->memory_mb += server->memory_mb;
		usage->disk_gb += server->disk_gb + server->ephemeral_gb + server->swap_mb / 1024 + has_part_of_gib;
	}
	for (size_t i = 0; i < look->audit.claims.count; i++) {
		const struct db_claim *claim = &look->audit.claims.items[i];
		struct db_host_usage *usage = usage_of(look, usages, claim->host_id);

		if (!usage)
			continue;
		usage->vcpus += claim->vcpus;
		usage->memory_mb += claim->memory_mb;
		usage->disk_gb += claim->disk_gb;
	}
}

void check_usage(struct invariants_look *look)
{
	CLEANUP_FREE struct db_host_usage *usages = calloc(look->audit.hosts.count + 1, sizeof(*usages));

	if (!usages) {
		look->is_out_of_memory = true;
		return;
	}
	add_up(look, usages);
	for (size_t i = 0; i < look->audit.usages.count; i++) {
		const struct db_host_usage *told = &look->audit.usages.items[i].usage;
		int64_t host_id = look->audit.usages.items[i].host_id;
		const struct db_host_usage *real = usage_of(look, usages, host_id);

		if (real
		    && (told->vcpus != real->vcpus || told->memory_mb != real->memory_mb
			|| told->disk_gb != real->disk_gb || told->servers != real->servers))
			look_found(look, NULL, look_host_name(look, host_id),
				   "%" PRId64 " vCPUs, %" PRId64 " MiB and %" PRId64 " GiB count as used by %" PRId64
				   " servers; the rows add up to %" PRId64 ", %" PRId64 ", %" PRId64 " and %" PRId64,
				   told->vcpus, told->memory_mb, told->disk_gb, told->servers, real->vcpus,
				   real->memory_mb, real->disk_gb, real->servers);
	}
}

void check_counted_once(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.claims.count; i++) {
		const struct db_claim *claim = &look->audit.claims.items[i];
		const struct db_audit_server *server = look_server(look, claim->server_uuid);
		bool is_doubled = server && server->host_id == claim->host_id;

		for (size_t j = 0; !is_doubled && j < i; j++)
			is_doubled = look->audit.claims.items[j].host_id == claim->host_id
				     && text_equal(look->audit.claims.items[j].server_uuid, claim->server_uuid);
		if (is_doubled)
			look_found(look, claim->server_uuid, look_host_name(look, claim->host_id),
				   "it is counted twice: claim %" PRId64 " of migration %" PRId64, claim->id,
				   claim->migration_id);
	}
}

/* It waits for its confirm or revert. */
static bool is_unconfirmed(const struct invariants_look *look, int64_t migration_id)
{
	const struct db_audit_migration *migration = look_migration(look, migration_id);
	const struct db_audit_server *server = migration ? look_server(look, migration->server_uuid) : NULL;

	return server && text_equal(migration->status, "finished");
}

static bool is_held(const struct invariants_look *look, int64_t migration_id)
{
	return look_has_job(look, migration_id) || is_unconfirmed(look, migration_id);
}

void check_migrations(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.migrations.count; i++) {
		const struct db_audit_migration *migration = &look->audit.migrations.items[i];
		const struct db_audit_server *server = look_server(look, migration->server_uuid);
		bool is_resized = server && text_equal(server->vm_state, "resized");

		if (look_has_job(look, migration->id)
		    || (text_equal(migration->status, "finished")
			&& (is_resized || (server && look_is_given_up(server)))))
			continue;
		look_found(look, migration->server_uuid, NULL,
			   "migration %" PRId64 " is %s, has no job, and its server is %s", migration->id,
			   migration->status, server ? server->vm_state : "deleted");
	}
}

void check_resized(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.servers.count; i++) {
		const struct db_audit_server *server = &look->audit.servers.items[i];
		bool has_migration = false;

		if (!text_equal(server->vm_state, "resized"))
			continue;
		for (size_t j = 0; !has_migration && j < look->audit.migrations.count; j++)
			has_migration = text_equal(look->audit.migrations.items[j].server_uuid, server->uuid);
		if (!has_migration)
			look_found(look, server->uuid, look_host_name(look, server->host_id),
				   "it waits for a confirm, and has no migration that waits");
	}
}

void check_task_states(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.servers.count; i++) {
		const struct db_audit_server *server = &look->audit.servers.items[i];

		if (*server->task_state && !look_is_moving(look, server->uuid))
			look_found(look, server->uuid, look_host_name(look, server->host_id),
				   "its task state is %s, and it has no job", server->task_state);
	}
}

/* What the job misses; NULL: nothing. A host's number is 0 where it is not chosen yet, or was removed before the job was ordered. */
static const char *missing_of(const struct invariants_look *look, const struct db_job *job)
{
	static const char *const moves[] = { "live", "cold", "confirm", "revert" };
	bool is_move = false, has_action = job->action_id == 0;

	for (size_t i = 0; i < ARRAY_LENGTH(moves); i++)
		is_move = is_move || text_equal(job->kind, moves[i]);
	for (size_t i = 0; !has_action && i < look->audit.actions.count; i++)
		has_action = look->audit.actions.items[i].id == job->action_id;
	if (!look_server(look, job->server_uuid))
		return "server";
	if ((is_move || job->migration_id) && !look_migration(look, job->migration_id))
		return "migration that has not ended";
	if (!has_action)
		return "action that has not ended";
	if (job->source_host_id && !look_host(look, job->source_host_id))
		return "source host";
	return job->target_host_id && !look_host(look, job->target_host_id) ? "target host" : NULL;
}

void check_jobs(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.jobs.count; i++) {
		const struct db_job *job = &look->audit.jobs.items[i];
		const char *missing = missing_of(look, job);

		if (missing)
			look_found(look, job->server_uuid, look_host_name(look, job->source_host_id),
				   "job %" PRId64 " (%s) has no %s", job->id, job->kind, missing);
	}
}

void check_actions(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.actions.count; i++) {
		const struct db_audit_open *action = &look->audit.actions.items[i];

		if (!look_action_has_job(look, action->id))
			look_found(look, action->server_uuid, NULL, "action %" PRId64 " (%s) is open, and has no job",
				   action->id, action->name);
	}
}

void check_events(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.events.count; i++) {
		const struct db_audit_open *event = &look->audit.events.items[i];
		bool is_action_open = event->action_finish_us == 0;

		if (!is_action_open || !look_action_has_job(look, event->action_id))
			look_found(look, event->server_uuid, NULL, "event %s of action %" PRId64 " is open, and %s",
				   event->name, event->action_id,
				   is_action_open ? "the action has no job" : "the action has finished");
	}
}

void check_claims(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.claims.count; i++) {
		const struct db_claim *claim = &look->audit.claims.items[i];

		if (!is_held(look, claim->migration_id))
			look_found(look, claim->server_uuid, look_host_name(look, claim->host_id),
				   "claim %" PRId64 " is of migration %" PRId64 ", which has ended or has no server",
				   claim->id, claim->migration_id);
	}
}

void check_definitions(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.definitions.count; i++) {
		const struct db_audit_definition *definition = &look->audit.definitions.items[i];
		const char *uuid = definition->server_uuid;
		const struct seen_host *host = look_host(look, definition->host_id);

		if (is_held(look, definition->migration_id) || look_is_moving(look, uuid)
		    || look_has_chore(look, DB_CHORE_GIVE_BACK_DEFINITION, uuid, 0)
		    || look_has_chore(look, DB_CHORE_END_CONFLICT, uuid, 0) || (host && host->row->is_gone))
			continue;
		look_found(look, uuid, look_host_name(look, definition->host_id),
			   "the definition that was saved by migration %" PRId64 " belongs to nothing",
			   definition->migration_id);
	}
}

void check_volumes(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.volumes.count; i++) {
		const struct db_audit_volume *volume = &look->audit.volumes.items[i];
		const struct seen_host *host = look_host(look, volume->host_id);

		if ((volume->migration_id && is_held(look, volume->migration_id))
		    || look_is_moving(look, volume->server_uuid)
		    || look_has_chore(look, DB_CHORE_END_CONFLICT, volume->server_uuid, 0)
		    || (host && host->row->is_gone))
			continue;
		look_found(look, volume->server_uuid, look_host_name(look, volume->host_id),
			   "volume %s of storage pool %s was made by migration %" PRId64 ", and belongs to nothing",
			   volume->name, volume->pool, volume->migration_id);
	}
}

void check_chores(struct invariants_look *look)
{
	for (size_t i = 0; i < look->audit.chores.count; i++) {
		const struct db_chore *chore = &look->audit.chores.items[i];
		bool has_host = look_host(look, chore->host_id) != NULL;

		if (!has_host || (chore->other_host_id && !look_host(look, chore->other_host_id)))
			look_found(look, chore->server_uuid, look_host_name(look, chore->host_id),
				   "chore %" PRId64 " (%s) is about a host that is not known: number %" PRId64,
				   chore->id, chore->kind, has_host ? chore->other_host_id : chore->host_id);
	}
}
