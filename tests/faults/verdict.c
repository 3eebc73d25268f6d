/* The verdict over a scene that has come to rest. */
#include "tests/faults/verdict.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/claims.h"
#include "db/instance_actions.h"
#include "db/migrations.h"
#include "db/servers.h"
#include "db/volumes.h"
#include "server/worker/invariants.h"
#include "tests/faults/scene.h"

/* What the fleet has of the guest. */
struct traces {
	const bool *is_dead; /* machines */
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
	bool is_source_given_up;
	struct db_event_list events;
};

static void rows_clear(struct rows *rows)
{
	db_server_clear(&rows->server);
	db_job_clear(&rows->job);
	db_claim_list_clear(&rows->claims);
	db_chore_list_clear(&rows->chores);
	db_kept_domain_clear(&rows->saved);
	db_event_list_clear(&rows->events);
}

static void see_guest(void *context, const char *host, const char *uuid, const struct guest_view *view)
{
	struct traces *traces = context;

	(void)uuid;
	if (!traces->is_dead[scene_place(host)])
		traces->states[scene_place(host)] = view->state;
}

static void see_volume(void *context, const char *host, const char *name, const struct simulated_disk_view *disk)
{
	struct traces *traces = context;

	if (!host || !text_equal(name, SCENE_DISK) || traces->is_dead[scene_place(host)])
		return;
	traces->has_volume[scene_place(host)] = true;
	traces->is_whole[scene_place(host)] = disk->is_whole;
	traces->is_whole_anywhere = traces->is_whole_anywhere || disk->is_whole;
}

static void see_all(struct scene *scene, struct traces *ret_traces)
{
	*ret_traces = (struct traces){ .is_dead = scene->is_dead };
	const struct simulated_walk walk = { see_guest, see_volume, ret_traces };

	simulated_walk(scene->fleet, &walk);
}

static void read_rows(struct scene *scene, struct rows *rows)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	struct error error = { 0 };

	*rows = (struct rows){ .is_source_given_up = scene->is_given_up[scene_place(SCENE_SOURCE)] };
	if (db_read_begin(scene->database, &session, &error) < 0)
		return;
	db_server_by_uuid(session, scene->uuid, &rows->server, &error);
	db_job_by_id(session, scene->job_id, &rows->job, &error);
	if (rows->job.migration_id) {
		db_migration_by_id(session, rows->job.migration_id, &rows->migration, &error);
		db_claim_by_migration(session, rows->job.migration_id, &rows->claims, &error);
	}
	if (rows->job.action_id)
		db_event_by_action(session, rows->job.action_id, &rows->events, &error);
	db_chore_by_server(session, scene->uuid, &rows->chores, &error);
	db_kept_domain_by_server(session, scene->uuid, &rows->saved, &error);
}

static bool is_defined(enum guest_state state)
{
	return state != GUEST_ABSENT && state != GUEST_ARRIVING && state != GUEST_HANDED_OVER;
}

static bool is_lost(const struct traces *traces, const struct rows *rows, char *why, unsigned long size)
{
	bool is_somewhere = rows->saved.id != 0;

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
static bool is_wrong(const struct traces *traces, const struct rows *rows, const struct verdict_case *verdict_case,
		     char *why, unsigned long size)
{
	size_t home = scene_place(rows->server.host);

	if (!rows->server.id || text_equal(rows->server.vm_state, "error"))
		return false;
	if (!is_defined(traces->states[home]))
		snprintf(why, size, "the server is shown %s on %s, where the guest is %s", rows->server.vm_state,
			 rows->server.host, guest_state_name(traces->states[home]));
	else if (!traces->is_whole[home] && !verdict_case->has_ended_guest)
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
	size_t claims = is_waiting && !rows->is_source_given_up ? 1 : 0;

	if (!rows->job.finished_us)
		snprintf(why, size, "the job stands in %s", rows->job.phase);
	else if (rows->job.migration_id && !is_final(rows->migration.status))
		snprintf(why, size, "the migration is %s without a job", rows->migration.status);
	else if (rows->server.id && rows->server.task_state[0])
		snprintf(why, size, "the server is %s without a job", rows->server.task_state);
	else if (rows->claims.count != claims)
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
static bool is_leak(const struct traces *traces, const struct rows *rows, const struct verdict_case *verdict_case,
		    char *why, unsigned long size)
{
	bool is_waiting = text_equal(rows->migration.status, "finished");
	size_t home = scene_place(rows->server.host);

	for (size_t i = 0; i < rows->chores.count; i++) {
		const struct db_chore *chore = &rows->chores.items[i];

		/* What may be the last whole copy is a person's to remove. */
		if (verdict_case->has_ended_guest && chore->is_complete)
			continue;
		snprintf(why, size, "chore %s of host %lld is left after %lld tries: %s", chore->kind,
			 (long long)chore->host_id, (long long)chore->tries,
			 chore->last_error ? chore->last_error : "");
		return true;
	}
	if (!rows->server.id || text_equal(rows->server.vm_state, "error"))
		return false;
	for (size_t i = 0; i < SCENE_HOSTS; i++) {
		if (i == home || text_equal(verdict_case->back_host, scene_hosts[i])
		    || text_equal(verdict_case->by_hand_host, scene_hosts[i]))
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

/* One of them names a host that was struck; where none was, any says something. */
static bool names(const struct verdict_case *verdict_case, const char *const *texts, size_t count)
{
	const char *host = verdict_case->host, *other = verdict_case->other;

	for (size_t i = 0; i < count; i++)
		if (texts[i] && texts[i][0] && (!host || strstr(texts[i], host) || (other && strstr(texts[i], other))))
			return true;
	return false;
}

/* Whoever asks why it failed is answered, and reads which host it was. */
static bool is_wordless(const struct rows *rows, const struct verdict_case *verdict_case, char *why, unsigned long size)
{
	const struct db_fault *fault = &rows->server.fault;
	const char *texts[2] = { fault->message, fault->details };
	bool has_failed = text_equal(rows->migration.status, "error") || text_equal(rows->migration.status, "failed");
	bool is_named = names(verdict_case, texts, ARRAY_LENGTH(texts));
	const char *shown = fault->details ? fault->details : "";

	for (size_t i = 0; i < rows->events.count; i++) {
		const struct db_event *event = &rows->events.items[i];
		const char *words[2] = { event->details, event->traceback };

		if (!text_equal(event->result, "Error"))
			continue;
		has_failed = true;
		is_named = is_named || names(verdict_case, words, ARRAY_LENGTH(words));
		shown = event->details ? event->details : shown;
	}
	if (!has_failed || is_named)
		return false;
	snprintf(why, size, "it failed, and %s%s is not said but: %s", verdict_case->host ? "that it was " : "why",
		 verdict_case->host ? verdict_case->host : "", shown);
	return true;
}

/* What `migrationd doctor` finds, but for what is somebody's. */
static bool is_broken(struct scene *scene, const struct verdict_case *verdict_case, char *why, unsigned long size)
{
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };
	const struct invariants_parts parts = { .database = scene->database, .hypervisor = scene->bounded };
	struct error error = { 0 };

	if (invariants_check(&parts, &report, &error) < 0) {
		snprintf(why, size, "the invariants cannot be checked: %s", error.text);
		return true;
	}
	for (size_t i = 0; i < report.count; i++) {
		const struct invariants_finding *finding = &report.items[i];

		if (!finding->invariant->is_broken || text_equal(finding->host, verdict_case->back_host))
			continue;
		snprintf(why, size, "%s (%s, host %s): %s", finding->invariant->name, finding->invariant->sentence,
			 finding->host, finding->found);
		return true;
	}
	return false;
}

bool verdict_is_lost(struct scene *scene, const char *emptied_host)
{
	struct traces traces;
	CLEANUP(rows_clear) struct rows rows;
	char why[512];

	see_all(scene, &traces);
	read_rows(scene, &rows);
	if (emptied_host && rows.saved.host_id == scene->host_ids[scene_place(emptied_host)])
		rows.saved.id = 0;
	return is_lost(&traces, &rows, why, sizeof(why));
}

enum verdict_kind verdict_of(struct scene *scene, const struct verdict_case *verdict_case, char *why,
			     unsigned long size)
{
	struct traces traces;
	CLEANUP(rows_clear) struct rows rows;

	see_all(scene, &traces);
	read_rows(scene, &rows);
	why[0] = '\0';
	if (scene->is_restless) {
		snprintf(why, size, "threads go round in circles while the clock stands still");
		return VERDICT_ENDLESS;
	}
	if (!(verdict_case->flags & FAULT_MAY_DOUBLE) && scene->doubled[0]) {
		snprintf(why, size, "it ran twice, %s", scene->doubled);
		return VERDICT_DOUBLED;
	}
	if (!verdict_case->has_ended_guest && is_lost(&traces, &rows, why, size))
		return VERDICT_LOST;
	if (is_endless(&rows, why, size))
		return VERDICT_ENDLESS;
	if (is_wordless(&rows, verdict_case, why, size))
		return VERDICT_WORDLESS;
	if (verdict_case->flags & FAULT_MAY_DOUBLE)
		return VERDICT_GOOD;
	if (is_wrong(&traces, &rows, verdict_case, why, size))
		return VERDICT_WRONG;
	/* Where somebody takes disks away by hand, the journal does not know. */
	if (!verdict_case->has_ended_guest && !verdict_case->by_hand_host && is_broken(scene, verdict_case, why, size))
		return VERDICT_WRONG;
	return is_leak(&traces, &rows, verdict_case, why, size) ? VERDICT_LEAK : VERDICT_GOOD;
}

const char *verdict_name(enum verdict_kind kind)
{
	static const char *const names[VERDICT_MAX] = {
		[VERDICT_GOOD] = "good",
		[VERDICT_LOST] = "lost",
		[VERDICT_DOUBLED] = "doubled",
		[VERDICT_ENDLESS] = "without an end",
		[VERDICT_LEAK] = "leak",
		[VERDICT_WRONG] = "wrong",
		[VERDICT_WORDLESS] = "without a word",
	};

	return names[kind];
}
