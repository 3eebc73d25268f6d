/* The verdict over a scene that has come to rest. */
#include "tests/faults/verdict.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/claims.h"
#include "db/migrations.h"
#include "db/servers.h"
#include "db/volumes.h"
#include "tests/faults/scene.h"

/* What the fleet has of the guest. */
struct traces {
	enum guest_state states[SCENE_HOSTS];
	bool has_volume[SCENE_HOSTS];
	bool is_whole[SCENE_HOSTS];
	bool is_whole_anywhere;
};

/* What the database has of it. */
struct rows {
	struct db_server server;
	struct db_job job;
	struct db_migration migration;
	struct db_claim_list claims;
	struct db_chore_list chores;
	struct db_kept_domain saved;
};

static void rows_clear(struct rows *rows)
{
	db_server_clear(&rows->server);
	db_job_clear(&rows->job);
	db_claim_list_clear(&rows->claims);
	db_chore_list_clear(&rows->chores);
	db_kept_domain_clear(&rows->saved);
}

static size_t place_of(const char *host)
{
	for (size_t i = 0; i < SCENE_HOSTS; i++)
		if (text_equal(scene_hosts[i], host))
			return i;
	return 0;
}

static void see_guest(void *context, const char *host, const char *uuid, const struct guest_view *view)
{
	struct traces *traces = context;

	(void)uuid;
	traces->states[place_of(host)] = view->state;
}

static void see_volume(void *context, const char *host, const char *name, const struct simulated_disk_view *disk)
{
	struct traces *traces = context;

	if (!host || !text_equal(name, SCENE_DISK))
		return;
	traces->has_volume[place_of(host)] = true;
	traces->is_whole[place_of(host)] = disk->is_whole;
	traces->is_whole_anywhere = traces->is_whole_anywhere || disk->is_whole;
}

static void see_all(struct scene *scene, struct traces *ret_traces)
{
	*ret_traces = (struct traces){ 0 };
	const struct simulated_walk walk = { see_guest, see_volume, ret_traces };

	simulated_walk(scene->fleet, &walk);
}

static void read_rows(struct scene *scene, struct rows *rows)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	struct error error = { 0 };

	*rows = (struct rows){ 0 };
	if (db_read_begin(scene->database, &session, &error) < 0)
		return;
	db_server_by_uuid(session, scene->uuid, &rows->server, &error);
	db_job_by_id(session, scene->job_id, &rows->job, &error);
	if (rows->job.migration_id) {
		db_migration_by_id(session, rows->job.migration_id, &rows->migration, &error);
		db_claim_by_migration(session, rows->job.migration_id, &rows->claims, &error);
	}
	db_chore_by_server(session, scene->uuid, &rows->chores, &error);
	db_kept_domain_by_server(session, scene->uuid, &rows->saved, &error);
}

static bool is_defined(enum guest_state state)
{
	return state != GUEST_ABSENT && state != GUEST_ARRIVING && state != GUEST_HANDED_OVER;
}

static bool is_lost(const struct scene *scene, const struct traces *traces, const struct rows *rows, char *why,
		    unsigned long size)
{
	bool is_somewhere = rows->saved.id != 0;

	(void)scene;
	for (size_t i = 0; i < SCENE_HOSTS; i++)
		is_somewhere = is_somewhere || is_defined(traces->states[i]);
	if (!is_somewhere)
		snprintf(why, size, "no host has the guest, and no definition is saved");
	else if (!traces->is_whole_anywhere)
		snprintf(why, size, "no host has its disk whole");
	else
		return false;
	return true;
}

/* Where it is shown and defined its disk must be whole. */
static bool is_wrong(const struct traces *traces, const struct rows *rows, char *why, unsigned long size)
{
	size_t home = place_of(rows->server.host);

	if (!rows->server.id || text_equal(rows->server.vm_state, "error"))
		return false;
	if (!is_defined(traces->states[home]))
		snprintf(why, size, "the server is shown %s on %s, where the guest is %s", rows->server.vm_state,
			 rows->server.host, guest_state_name(traces->states[home]));
	else if (!traces->is_whole[home])
		snprintf(why, size, "the server is shown on %s, where its disk is not whole", rows->server.host);
	else
		return false;
	return true;
}

static bool is_final(const char *status)
{
	static const char *const statuses[] = { "completed", "error",    "failed",  "cancelled",
						"confirmed", "reverted", "finished" };

	for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++)
		if (text_equal(statuses[i], status))
			return true;
	return false;
}

static bool is_endless(const struct rows *rows, char *why, unsigned long size)
{
	bool is_waiting = text_equal(rows->migration.status, "finished");

	if (!rows->job.finished_us)
		snprintf(why, size, "the job stands in %s", rows->job.phase);
	else if (rows->job.migration_id && !is_final(rows->migration.status))
		snprintf(why, size, "the migration is %s without a job", rows->migration.status);
	else if (rows->server.id && rows->server.task_state[0])
		snprintf(why, size, "the server is %s without a job", rows->server.task_state);
	else if (rows->claims.count != (is_waiting ? 1U : 0U))
		snprintf(why, size, "%zu claims with a migration that is %s", rows->claims.count,
			 rows->migration.status);
	else if (is_waiting && !text_equal(rows->server.vm_state, "resized")
		 && !text_equal(rows->server.vm_state, "error"))
		snprintf(why, size, "the migration waits for its confirm, the server is %s", rows->server.vm_state);
	else if (rows->saved.id && !is_waiting && !rows->chores.count)
		snprintf(why, size, "a definition stays saved though the migration is %s", rows->migration.status);
	else
		return false;
	return true;
}

/* With every host well again nothing may be left, and no chore either. */
static bool is_leak(const struct traces *traces, const struct rows *rows, char *why, unsigned long size)
{
	bool is_waiting = text_equal(rows->migration.status, "finished");
	size_t home = place_of(rows->server.host);

	if (rows->chores.count) {
		const struct db_chore *chore = &rows->chores.items[0];

		snprintf(why, size, "chore %s of host %lld is left after %lld tries: %s", chore->kind,
			 (long long)chore->host_id, (long long)chore->tries,
			 chore->last_error ? chore->last_error : "");
		return true;
	}
	if (!rows->server.id || text_equal(rows->server.vm_state, "error"))
		return false;
	for (size_t i = 0; i < SCENE_HOSTS; i++) {
		if (i == home)
			continue;
		if (traces->states[i] != GUEST_ABSENT)
			snprintf(why, size, "host %s still has the guest: %s", scene_hosts[i],
				 guest_state_name(traces->states[i]));
		else if (traces->has_volume[i] && !(is_waiting && i == 0))
			snprintf(why, size, "host %s still has the disk", scene_hosts[i]);
		else
			continue;
		return true;
	}
	return false;
}

enum verdict_kind verdict_of(struct scene *scene, unsigned int flags, char *why, unsigned long size)
{
	struct traces traces;
	CLEANUP(rows_clear) struct rows rows;

	see_all(scene, &traces);
	read_rows(scene, &rows);
	why[0] = '\0';
	if (!(flags & FAULT_MAY_DOUBLE) && scene->doubled[0]) {
		snprintf(why, size, "it ran twice, %s", scene->doubled);
		return VERDICT_DOUBLED;
	}
	if (!(flags & FAULT_MAY_END_GUEST) && is_lost(scene, &traces, &rows, why, size))
		return VERDICT_LOST;
	if (is_endless(&rows, why, size))
		return VERDICT_ENDLESS;
	if (flags & (FAULT_MAY_END_GUEST | FAULT_MAY_DOUBLE | FAULT_NEEDS_DISCOVERY))
		return VERDICT_GOOD;
	if (is_wrong(&traces, &rows, why, size))
		return VERDICT_WRONG;
	return is_leak(&traces, &rows, why, size) ? VERDICT_LEAK : VERDICT_GOOD;
}

const char *verdict_name(enum verdict_kind kind)
{
	static const char *const names[VERDICT_MAX] = {
		[VERDICT_GOOD] = "good",       [VERDICT_LOST] = "lost",
		[VERDICT_DOUBLED] = "doubled", [VERDICT_ENDLESS] = "without an end",
		[VERDICT_LEAK] = "leak",       [VERDICT_WRONG] = "wrong",
	};

	return names[kind];
}
