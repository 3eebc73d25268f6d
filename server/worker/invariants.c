/* The table of invariants, and how often everything is read. The one difficulty: what contradicts may only be on its way, so
 * it must be found by two readings in a row between which the server has not changed. */
#include "server/worker/invariants.h"

#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/invariants_look.h"

#define LOOKS_MAX 3

static const struct invariant table[] = {
	/* A guest must never run twice, nor lose its disks. */
	{ "one-instance", "at most one instance of a guest runs over all hosts",
	  "Stop the instance that is not to go on with virsh destroy, at once: two of them spoil a shared disk.", true,
	  check_one_instance },
	{ "whole-disks", "each disk that was copied for a server has a whole copy where the server is",
	  "Do not confirm and do not remove anything: see what happened to the disk on that host.", true,
	  check_whole_disks },
	{ "safe-removals", "nothing is to be removed on the host where the server is",
	  "Wait until the chore is dropped, which its next try does; if it stays, file a bug with the log.", true,
	  check_removals },
	{ "halves-are-known", "half of a guest is only where a job or a chore knows of it",
	  "See with virsh list --all on both hosts which half has the guest, then virsh destroy the other one.", true,
	  check_halves },
	{ "copies-are-known", "no host but a server's own has a definition of it that no chore is to remove",
	  "Remove that definition with virsh undefine, so that the guest cannot be started twice; its disks may stay.",
	  true, check_copies },
	/* What is shown. */
	{ "shown-host", "the host that is shown of a server has its guest",
	  "Find the guest with virsh list --all on the hosts; one that is gone for good is forgotten by itself.", true,
	  check_shown_host },
	{ "shown-power-state", "the power state that is shown of a server is its guest's",
	  "Wait for the next reading of the host (hypervisor.reconcile_interval); if it stays, see the log.", true,
	  check_shown_power_state },
	/* Arithmetic. */
	{ "usage-adds-up", "what a host has used is the sum over its servers and claims",
	  "File a bug with a backup of the database: the scheduler counts wrongly.", true, check_usage },
	{ "counted-once", "no server is counted twice on one host",
	  "File a bug with a backup of the database; confirm or revert the server's migration, if one waits.", true,
	  check_counted_once },
	/* Each record is final, or a job that lives will make it so. */
	{ "migrations-end", "a migration has ended, has a job, or waits for its confirm with its server resized",
	  "File a bug with the log of the migration's request; the server itself is not in danger.", true,
	  check_migrations },
	{ "resized-can-end", "a resized server has a migration that can be confirmed or reverted",
	  "Set the server's state with openstack server set --state active, then see whether it is where it belongs.",
	  true, check_resized },
	{ "tasks-end", "a server with a task state has a job",
	  "Take the task state away with openstack server set --state active, if the guest is well.", true,
	  check_task_states },
	{ "jobs-are-whole", "an unfinished job has its server, its migration, its action and its hosts",
	  "File a bug with a backup of the database: the job cannot end.", true, check_jobs },
	{ "actions-end", "an action that has not finished has a job",
	  "File a bug with the log of the action's request.", true, check_actions },
	{ "events-end", "an event that has not finished belongs to an action that has not, which has a job",
	  "File a bug with the log of the action's request.", true, check_events },
	{ "claims-are-held", "a claim belongs to a job or to a migration that waits for its confirm",
	  "File a bug with a backup of the database: the host's free memory is counted too low.", true, check_claims },
	{ "definitions-are-held",
	  "a saved definition belongs to a job, to a migration that waits for its confirm, or to a chore",
	  "File a bug with a backup of the database, which has the definition.", true, check_definitions },
	{ "volumes-are-held",
	  "a recorded volume belongs to a job, to a migration that waits for its confirm, or to a chore",
	  "See with virsh vol-list whether it is still there, and whether a guest uses it; then file a bug.", true,
	  check_volumes },
	{ "chores-have-hosts", "the hosts of a chore are known",
	  "File a bug with a backup of the database: the chore is never done.", true, check_chores },
	/* Not known is not broken. */
	{ "hosts-answer", "each host answers",
	  "Bring the host back, then ask again; one that is lost for good: migrationd host remove.", false,
	  check_answers },
};

const struct invariant *invariants_table(size_t *ret_count)
{
	*ret_count = ARRAY_LENGTH(table);
	return table;
}

static void finding_clear(struct invariants_finding *finding)
{
	free(finding->found);
	*finding = (struct invariants_finding){ 0 };
}

void invariants_report_clear(struct invariants_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		finding_clear(&report->items[i]);
	free(report->items);
	*report = (struct invariants_report){ 0 };
}

static int check_once(const struct invariants_parts *parts, struct invariants_look *ret_look, struct error *error)
{
	int result = invariants_look(parts, ret_look, error);

	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(table); i++) {
		ret_look->invariant = &table[i];
		table[i].check(ret_look);
	}
	return ret_look->is_out_of_memory ? error_no_memory(error) : result;
}

static bool is_same(const struct invariants_finding *one, const struct invariants_finding *other)
{
	return one->invariant == other->invariant && text_equal(one->server_uuid, other->server_uuid)
	       && text_equal(one->host, other->host);
}

static bool has_finding(const struct invariants_report *report, const struct invariants_finding *finding)
{
	for (size_t i = 0; i < report->count; i++)
		if (is_same(&report->items[i], finding))
			return true;
	return false;
}

/* The reading before had it too, and the server is as it was when that one began. */
static bool is_confirmed(struct db_session *session, const struct invariants_finding *finding,
			 const struct invariants_report *before, int64_t number_before)
{
	return has_finding(before, finding)
	       && (!*finding->server_uuid || !db_server_changed_since(session, finding->server_uuid, number_before));
}

/* Marks what the reading before confirms; *ret_open counts the others. */
static int mark_confirmed(struct invariants_look *look, const struct invariants_report *before, int64_t number_before,
			  size_t *ret_open, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	int result = db_read_begin(look->parts->database, &session, error);

	*ret_open = 0;
	for (size_t i = 0; result == 0 && i < look->report.count; i++) {
		struct invariants_finding *finding = &look->report.items[i];

		finding->is_confirmed =
			!finding->invariant->is_broken || is_confirmed(session, finding, before, number_before);
		*ret_open += !finding->is_confirmed;
	}
	return result;
}

static void drop_unconfirmed(struct invariants_report *report)
{
	size_t kept = 0;

	report->broken_count = 0;
	for (size_t i = 0; i < report->count; i++) {
		struct invariants_finding *finding = &report->items[i];

		if (!finding->is_confirmed) {
			finding_clear(finding);
			continue;
		}
		report->broken_count += finding->invariant->is_broken;
		report->items[kept++] = *finding;
	}
	report->count = kept;
}

static bool is_ending(const struct invariants_parts *parts)
{
	return parts->is_ending && atomic_load(parts->is_ending);
}

static int pause_before_next(const struct invariants_parts *parts, struct error *error)
{
	const int64_t step_ms = 50;

	for (int64_t left_ms = parts->pause_ms; left_ms > 0 && !is_ending(parts); left_ms -= step_ms)
		nanosleep(&(struct timespec){ .tv_nsec = (left_ms < step_ms ? left_ms : step_ms) * 1000000 }, NULL);
	return is_ending(parts) ? error_set(error, ECANCELED, "the daemon is ending") : 0;
}

/* What a reading found and the one before did not is a new suspicion, which has one more reading to be confirmed. */
static int confirm(const struct invariants_parts *parts, struct invariants_report *report, int64_t number,
		   struct error *error)
{
	size_t open = 1;

	for (int i = 1; open > 0 && i < LOOKS_MAX; i++) {
		struct invariants_look look = { 0 };
		int result = pause_before_next(parts, error);

		if (result == 0)
			result = check_once(parts, &look, error);
		if (result == 0)
			result = mark_confirmed(&look, report, number, &open, error);
		invariants_report_clear(report);
		*report = look.report;
		number = look.change_number;
		look.report = (struct invariants_report){ 0 };
		invariants_look_clear(&look);
		if (result < 0)
			return result;
	}
	drop_unconfirmed(report);
	return 0;
}

int invariants_check(const struct invariants_parts *parts, struct invariants_report *ret_report, struct error *error)
{
	struct invariants_look look = { 0 };
	int result = check_once(parts, &look, error);
	struct invariants_report report = look.report;

	look.report = (struct invariants_report){ 0 };
	if (result == 0 && report.broken_count > 0)
		result = confirm(parts, &report, look.change_number, error);
	invariants_look_clear(&look);
	if (result < 0) {
		invariants_report_clear(&report);
		return result;
	}
	*ret_report = report;
	return 0;
}
