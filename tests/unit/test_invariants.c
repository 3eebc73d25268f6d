/* The invariants on the simulated fleet: each is found broken, by its name, when its one thing is wrong, and not before; what
 * is on its way is not judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/metrics.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/statement.h"
#include "server/scheduler/scheduler.h"
#include "server/settings.h"
#include "server/worker/invariants.h"
#include "server/worker/invariants_look.h"
#include "server/worker/simulated/fleet.h"
#include "server/worker/worker.h"
#include "tests/unit/db_fixture.h"

#define MIB (1024LL * 1024)

/* Three hosts. `plain` runs on one; its old disk on three is to be removed. `resized` runs on two, moved there from one, and
 * waits for its confirm. */
static struct scene {
	struct db_fixture *fixture;
	struct hypervisor *fleet;
	int64_t hosts[3];
	char plain[UUID_SIZE], resized[UUID_SIZE];
	int64_t ended_migration, resized_migration;
	int64_t ended_job, resized_job;
} scene;

#define INSERTER(name, function)                                                                                       \
	static int name(struct db_session *session, void *context, struct error *error)                                \
	{                                                                                                              \
		return function(session, context, error);                                                              \
	}
INSERTER(insert_job, db_job_insert)
INSERTER(update_job, db_job_update)
INSERTER(insert_action, db_action_insert)
INSERTER(insert_event, db_event_insert)
INSERTER(insert_chore, db_chore_insert)
INSERTER(insert_volume, db_volume_insert)
INSERTER(insert_definition, db_kept_domain_insert)

struct state_change {
	const char *uuid, *vm_state, *task_state;
};

static int set_state(struct db_session *session, void *context, struct error *error)
{
	const struct state_change *change = context;

	return db_server_set_state(session, change->uuid, change->vm_state, change->task_state, error);
}

static void change_state(const char *uuid, const char *vm_state, const char *task_state)
{
	struct state_change change = { uuid, vm_state, task_state };

	db_fixture_write(scene.fixture, set_state, &change);
}

struct status_change {
	int64_t id;
	const char *status;
};

static int set_status(struct db_session *session, void *context, struct error *error)
{
	const struct status_change *change = context;

	return db_migration_set_status(session, change->id, change->status, error);
}

static int64_t put_migration(const char *uuid, const char *status)
{
	struct status_change change = { db_fixture_migration(scene.fixture, uuid, "one", "two"), status };

	db_fixture_write(scene.fixture, set_status, &change);
	return change.id;
}

static int64_t put_job(const char *uuid, int64_t migration_id, int64_t action_id, bool is_finished)
{
	struct db_job job = { .kind = "cold", .migration_id = migration_id, .action_id = action_id };

	TEXT_COPY(job.server_uuid, uuid);
	TEXT_COPY(job.block_migration, "auto");
	job.source_host_id = scene.hosts[0];
	job.target_host_id = scene.hosts[1];
	db_fixture_write(scene.fixture, insert_job, &job);
	job.finished_us = FIXTURE_START_US;
	if (is_finished)
		db_fixture_write(scene.fixture, update_job, &job);
	return job.id;
}

static void put_volume(int64_t job_id, size_t host, const char *name)
{
	struct db_volume volume = { .job_id = job_id,
				    .host_id = scene.hosts[host],
				    .pool = SIMULATED_POOL,
				    .is_complete = true,
				    .bytes = MIB };

	TEXT_COPY(volume.name, name);
	db_fixture_write(scene.fixture, insert_volume, &volume);
}

static void put_claim(const char *uuid, int64_t migration_id, size_t host)
{
	struct db_claim claim = {
		.host_id = scene.hosts[host], .migration_id = migration_id, .vcpus = 2, .memory_mb = 1024, .disk_gb = 10
	};

	TEXT_COPY(claim.server_uuid, uuid);
	assert_int_equal(db_fixture_claim(scene.fixture, &claim, -1), 0);
}

static void put_definition(const char *uuid, int64_t migration_id)
{
	struct db_kept_domain definition = { .host_id = scene.hosts[0],
					     .migration_id = migration_id,
					     .definition = (char[]){ "<domain/>" } };

	TEXT_COPY(definition.server_uuid, uuid);
	db_fixture_write(scene.fixture, insert_definition, &definition);
}

static void put_chore(const char *kind, const char *uuid, size_t host, const char *volume)
{
	struct db_chore chore = { .host_id = scene.hosts[host],
				  .other_host_id = scene.hosts[0],
				  .is_complete = *volume != '\0',
				  .bytes = *volume ? MIB : 0 };

	TEXT_COPY(chore.kind, kind);
	TEXT_COPY(chore.server_uuid, uuid);
	TEXT_COPY(chore.name, volume);
	TEXT_COPY(chore.pool, *volume ? SIMULATED_POOL : "");
	db_fixture_write(scene.fixture, insert_chore, &chore);
}

static void put_guest(const char *host, const char *uuid, enum guest_state state)
{
	struct error error = { 0 };

	if (simulated_put_guest(scene.fleet, host, uuid, state, 1024, &error) < 0)
		fail_msg("%s", error.text);
}

static void put_disk(const char *host, const char *uuid, const char *name)
{
	struct error error = { 0 };

	if (simulated_put_disk(scene.fleet, host, uuid, name, MIB, false, &error) < 0)
		fail_msg("%s", error.text);
}

static void inject(enum simulated_fault fault, const char *host, const char *other, const char *uuid)
{
	struct error error = { 0 };

	if (simulated_inject(scene.fleet, fault, &(struct simulated_place){ host, other, uuid }, &error) < 0)
		fail_msg("%s", error.text);
}

static void put_plain(void)
{
	db_fixture_server(scene.fixture, "plain", scene.hosts[0], scene.plain);
	put_guest("one", scene.plain, GUEST_RUNNING);
	put_disk("one", scene.plain, "plain.disk");
	put_chore(DB_CHORE_REMOVE_VOLUME, scene.plain, 2, "plain.disk");
	scene.ended_migration = put_migration(scene.plain, "completed");
	scene.ended_job = put_job(scene.plain, scene.ended_migration, 0, true);
}

static void put_resized(void)
{
	db_fixture_server(scene.fixture, "resized", scene.hosts[1], scene.resized);
	change_state(scene.resized, "resized", NULL);
	put_guest("two", scene.resized, GUEST_RUNNING);
	put_disk("two", scene.resized, "resized.disk");
	scene.resized_migration = put_migration(scene.resized, "finished");
	scene.resized_job = put_job(scene.resized, scene.resized_migration, 0, true);
	put_claim(scene.resized, scene.resized_migration, 0);
	put_definition(scene.resized, scene.resized_migration);
	put_volume(scene.resized_job, 1, "resized.disk");
}

static int setup(void **state)
{
	static const char *const names[] = { "one", "two", "three" };
	int result = db_fixture_setup(state);

	scene = (struct scene){ .fixture = *state };
	assert_int_equal(simulated_create(scene.fixture->clock, &scene.fleet, NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		scene.hosts[i] = db_fixture_host(scene.fixture, names[i]);
		assert_int_equal(simulated_add_host(scene.fleet, names[i], NULL), 0);
	}
	put_plain();
	put_resized();
	return result;
}

static int teardown(void **state)
{
	scene.fleet->operations->destroy(scene.fleet);
	return db_fixture_teardown(state);
}

static void check(int64_t limit_ms, struct invariants_report *ret_report)
{
	const struct invariants_parts parts = { .database = scene.fixture->database,
						.hypervisor = scene.fleet,
						.limit_ms = limit_ms };
	struct error error = { 0 };

	if (invariants_check(&parts, ret_report, &error) < 0)
		fail_msg("%s", error.text);
}

static void assert_sound(void)
{
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };

	check(0, &report);
	if (report.count > 0)
		fail_msg("%s: %s", report.items[0].invariant->name, report.items[0].found);
	assert_int_equal(report.host_count, 3);
	assert_int_not_equal(report.server_count, 0);
}

/* Each breaks one thing. */
#define BREAKAGE(name, statement)                                                                                      \
	static void name(void)                                                                                         \
	{                                                                                                              \
		statement;                                                                                             \
	}

BREAKAGE(run_it_twice, put_guest("three", scene.plain, GUEST_PAUSED))
BREAKAGE(lose_recorded_disk, inject(SIMULATED_VOLUME_GOES, "two", "resized.disk", NULL))
BREAKAGE(lose_disk_with_an_old_copy, inject(SIMULATED_VOLUME_GOES, "one", "plain.disk", NULL))
BREAKAGE(plan_to_remove_it_at_home, put_chore(DB_CHORE_REMOVE_GUEST, scene.plain, 0, ""))
BREAKAGE(leave_a_half, put_guest("three", scene.plain, GUEST_ARRIVING))
BREAKAGE(leave_the_other_half, put_guest("three", scene.plain, GUEST_HANDED_OVER))
BREAKAGE(leave_a_copy, put_guest("three", scene.plain, GUEST_SHUT_OFF))
BREAKAGE(show_what_is_not, db_fixture_server(scene.fixture, "lost", scene.hosts[2], NULL))
BREAKAGE(turn_it_off, inject(SIMULATED_GUEST_POWERED_OFF, "one", NULL, scene.plain))
BREAKAGE(claim_twice, put_claim(scene.resized, scene.resized_migration, 1))
BREAKAGE(claim_the_same_again, put_claim(scene.resized, scene.resized_migration, 0))
BREAKAGE(forget_a_migration, put_migration(scene.plain, "running"))
BREAKAGE(unset_resized, change_state(scene.resized, "active", NULL))
BREAKAGE(set_resized, change_state(scene.plain, "resized", NULL))
BREAKAGE(set_task_state, change_state(scene.plain, NULL, "migrating"))
static void forget_an_action(void)
{
	struct db_action action = { .action = "migrate" };

	TEXT_COPY(action.server_uuid, scene.plain);
	db_fixture_write(scene.fixture, insert_action, &action);
}
static void forget_an_event(void)
{
	struct db_action action = { .action = "migrate", .finish_us = FIXTURE_START_US };
	struct db_event event = { .event = "cold_migrate" };

	TEXT_COPY(action.server_uuid, scene.plain);
	db_fixture_write(scene.fixture, insert_action, &action);
	event.action_id = action.id;
	db_fixture_write(scene.fixture, insert_event, &event);
}
BREAKAGE(order_without_an_action, put_job(scene.plain, put_migration(scene.plain, "accepted"), 999, false))
BREAKAGE(order_an_ended_migration, put_job(scene.plain, scene.ended_migration, 0, false))
BREAKAGE(keep_a_claim, put_claim(scene.plain, scene.ended_migration, 1))
BREAKAGE(keep_a_definition, put_definition(scene.plain, scene.ended_migration))
BREAKAGE(keep_a_volume, put_volume(scene.ended_job, 0, "plain.disk"))
static void forget_a_host(void)
{
	struct db_chore chore = { .kind = DB_CHORE_AWAIT_LIBVIRTD, .host_id = scene.hosts[0], .other_host_id = 999 };

	TEXT_COPY(chore.server_uuid, scene.plain);
	db_fixture_write(scene.fixture, insert_chore, &chore);
}
BREAKAGE(take_a_host_down, assert_true(simulated_set_host_up(scene.fleet, "three", false)))
static const struct breakage {
	void (*breaks)(void);
	const char *name;
	const char *host; /* that is told */
} breakages[] = {
	{ run_it_twice, "one-instance", "three" },
	{ lose_recorded_disk, "whole-disks", "two" },
	{ lose_disk_with_an_old_copy, "whole-disks", "one" },
	{ plan_to_remove_it_at_home, "safe-removals", "one" },
	{ leave_a_half, "halves-are-known", "three" },
	{ leave_the_other_half, "halves-are-known", "three" },
	{ leave_a_copy, "copies-are-known", "three" },
	{ show_what_is_not, "shown-host", "three" },
	{ turn_it_off, "shown-power-state", "one" },
	{ claim_twice, "counted-once", "two" },
	{ claim_the_same_again, "counted-once", "one" },
	{ forget_a_migration, "migrations-end", "" },
	{ unset_resized, "migrations-end", "" },
	{ set_resized, "resized-can-end", "one" },
	{ set_task_state, "tasks-end", "one" },
	{ forget_an_action, "actions-end", "" },
	{ forget_an_event, "events-end", "" },
	{ order_without_an_action, "jobs-are-whole", "one" },
	{ order_an_ended_migration, "jobs-are-whole", "one" },
	{ keep_a_claim, "claims-are-held", "two" },
	{ keep_a_definition, "definitions-are-held", "one" },
	{ keep_a_volume, "volumes-are-held", "one" },
	{ forget_a_host, "chores-have-hosts", "one" },
	{ take_a_host_down, "hosts-answer", "three" },
};

static void each_broken_thing_is_found_by_its_name_and_nothing_else(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(breakages); i++) {
		const struct breakage *breakage = &breakages[i];
		bool is_broken = !text_equal(breakage->name, "hosts-answer");

		assert_sound();
		breakage->breaks();
		for (int64_t limit_ms = 0; limit_ms <= 60000; limit_ms += 60000) {
			CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };

			check(limit_ms, &report);
			if (report.count != 1)
				fail_msg("%s (case %zu): %zu findings, the last is %s: %s", breakage->name, i,
					 report.count,
					 report.count ? report.items[report.count - 1].invariant->name : "",
					 report.count ? report.items[report.count - 1].found : "");
			assert_string_equal(report.items[0].invariant->name, breakage->name);
			assert_string_equal(report.items[0].host, breakage->host);
			assert_int_equal(report.broken_count, is_broken ? 1 : 0);
		}
		teardown(state);
		setup(state);
	}
}

static void every_invariant_has_its_broken_state(void **state)
{
	size_t count = 0;
	const struct invariant *table = invariants_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		bool is_tried = text_equal(table[i].name, "usage-adds-up"); /* below */

		for (size_t j = 0; j < ARRAY_LENGTH(breakages); j++)
			is_tried = is_tried || text_equal(breakages[j].name, table[i].name);
		if (!is_tried)
			fail_msg("nothing breaks %s", table[i].name);
	}
}

static void a_usage_that_is_no_sum_of_its_rows_is_found(void **state)
{
	const struct invariants_parts parts = { .database = scene.fixture->database, .hypervisor = scene.fleet };
	struct invariants_look look = { 0 };
	struct db_fixture *fixture = *state;

	OK(invariants_look(&parts, &look, &fixture->error));
	look.invariant = &(struct invariant){ .is_broken = true };
	check_usage(&look);
	assert_int_equal(look.report.count, 0);
	look.audit.usages.items[0].usage.memory_mb -= 1024; /* as if the claim were not counted */
	check_usage(&look);
	assert_int_equal(look.report.count, 1);
	assert_string_equal(look.report.items[0].host, "one");
	invariants_look_clear(&look);
}

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

/* As the scheduler counts them: root, ephemeral and swap, in whole GiB. */
static void all_disks_of_a_flavor_add_up(void **state)
{
	static const char *const flavors[] = {
		"UPDATE flavors SET ephemeral_gb = 20", "UPDATE flavors SET swap_mb = 1",
		"UPDATE flavors SET swap_mb = 1024",    "UPDATE flavors SET swap_mb = 1025",
		"UPDATE flavors SET swap_mb = 3072",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(flavors); i++) {
		db_fixture_write(scene.fixture, run_sql, (void *)flavors[i]);
		assert_sound();
	}
}

/* Each makes what is broken something that is known of. */
static void order_move_of(const char *uuid)
{
	struct db_action action = { .action = "migrate" };

	TEXT_COPY(action.server_uuid, uuid);
	db_fixture_write(scene.fixture, insert_action, &action);
	put_job(uuid, put_migration(uuid, "migrating"), action.id, false);
}
static void order_move(void)
{
	order_move_of(scene.plain);
}
static void order_confirm(void)
{
	struct db_action action = { .action = "confirmResize" };

	TEXT_COPY(action.server_uuid, scene.resized);
	db_fixture_write(scene.fixture, insert_action, &action);
	put_job(scene.resized, scene.resized_migration, action.id, false);
}
static void order_end_of_the_ended_one(void)
{
	struct db_action action = { .action = "migrate" };
	struct status_change change = { scene.ended_migration, "running" };

	TEXT_COPY(action.server_uuid, scene.plain);
	db_fixture_write(scene.fixture, insert_action, &action);
	db_fixture_write(scene.fixture, set_status, &change);
	put_job(scene.plain, scene.ended_migration, action.id, false);
}
static int set_cause(struct db_session *session, void *context, struct error *error)
{
	return db_server_set_error_cause(session, context, DB_ERROR_CAUSE_LOST, error);
}
static int mark_gone(struct db_session *session, void *context, struct error *error)
{
	return db_host_set_gone(session, *(int64_t *)context, true, error);
}
static void give_it_up(void)
{
	change_state(scene.plain, "error", NULL);
	db_fixture_write(scene.fixture, set_cause, scene.plain);
}
BREAKAGE(plan_to_remove_it, put_chore(DB_CHORE_REMOVE_GUEST, scene.plain, 2, ""))
BREAKAGE(plan_to_remove_it_elsewhere, put_chore(DB_CHORE_REMOVE_GUEST, scene.plain, 1, ""))
BREAKAGE(look_at_the_conflict, put_chore(DB_CHORE_END_CONFLICT, scene.plain, 1, ""))
BREAKAGE(await_libvirtd, put_chore(DB_CHORE_AWAIT_LIBVIRTD, scene.plain, 1, ""))
BREAKAGE(plan_to_give_it_back, put_chore(DB_CHORE_GIVE_BACK_DEFINITION, scene.plain, 2, ""))
BREAKAGE(give_the_host_up, db_fixture_write(scene.fixture, mark_gone, &scene.hosts[0]))
static const struct excuse {
	void (*breaks)(void);
	void (*excuses)(void);
	const char *name; /* of what is broken without it */
} excuses[] = {
	{ run_it_twice, order_move, "one-instance" },
	{ lose_recorded_disk, order_confirm, "whole-disks" },
	{ lose_disk_with_an_old_copy, order_move, "whole-disks" },
	{ plan_to_remove_it_at_home, order_move, "safe-removals" },
	{ leave_a_half, order_move, "halves-are-known" },
	{ leave_a_half, give_it_up, "halves-are-known" },
	{ leave_a_half, plan_to_remove_it, "halves-are-known" },
	{ leave_a_half, look_at_the_conflict, "halves-are-known" },
	{ leave_a_half, await_libvirtd, "halves-are-known" },
	{ leave_a_copy, order_move, "copies-are-known" },
	{ leave_a_copy, give_it_up, "copies-are-known" },
	{ leave_a_copy, plan_to_remove_it, "copies-are-known" },
	{ leave_a_copy, look_at_the_conflict, "copies-are-known" },
	{ leave_a_copy, await_libvirtd, "copies-are-known" },
	{ leave_a_copy, plan_to_give_it_back, "copies-are-known" },
	{ turn_it_off, order_move, "shown-power-state" },
	{ turn_it_off, give_it_up, "shown-power-state" },
	{ unset_resized, order_confirm, "migrations-end" },
	{ set_task_state, order_move, "tasks-end" },
	{ keep_a_claim, order_end_of_the_ended_one, "claims-are-held" },
	{ keep_a_definition, order_end_of_the_ended_one, "definitions-are-held" },
	{ keep_a_definition, order_move, "definitions-are-held" },
	{ keep_a_definition, plan_to_give_it_back, "definitions-are-held" },
	{ keep_a_definition, look_at_the_conflict, "definitions-are-held" },
	{ keep_a_definition, give_the_host_up, "definitions-are-held" },
	{ keep_a_volume, order_end_of_the_ended_one, "volumes-are-held" },
	{ keep_a_volume, order_move, "volumes-are-held" },
	{ keep_a_volume, look_at_the_conflict, "volumes-are-held" },
	{ keep_a_volume, give_the_host_up, "volumes-are-held" },
};

static void what_is_known_of_is_not_told(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(excuses); i++) {
		for (int is_excused = 1; is_excused >= 0; is_excused--) {
			CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };

			excuses[i].breaks();
			if (is_excused)
				excuses[i].excuses();
			check(0, &report);
			if (report.count != (is_excused ? 0 : 1))
				fail_msg("%s (case %zu): %zu findings%s, the first is %s: %s", excuses[i].name, i,
					 report.count, is_excused ? " though it is known of" : "",
					 report.count ? report.items[0].invariant->name : "",
					 report.count ? report.items[0].found : "");
			if (!is_excused)
				assert_string_equal(report.items[0].invariant->name, excuses[i].name);
			teardown(state);
			setup(state);
		}
	}
}

/* A chore about another host, or another copy of the guest, says nothing of this one. */
static void a_chore_elsewhere_is_no_excuse(void **state)
{
	static void (*const left[])(void) = { leave_a_half, leave_a_copy };

	for (size_t i = 0; i < ARRAY_LENGTH(left); i++) {
		CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };

		left[i]();
		plan_to_remove_it_elsewhere();
		check(0, &report);
		assert_int_equal(report.count, 1);
		assert_string_equal(report.items[0].host, "three");
		teardown(state);
		setup(state);
	}
}

/* Each of two servers, since one of them comes first in every list. */
static void every_server_that_runs_twice_is_found(void **state)
{
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };

	(void)state;
	put_guest("three", scene.plain, GUEST_RUNNING);
	put_guest("three", scene.resized, GUEST_RUNNING);
	check(0, &report);
	assert_int_equal(report.count, 2);
	assert_string_not_equal(report.items[0].server_uuid, report.items[1].server_uuid);
}

static void end_the_resized_ones_migration(void)
{
	struct status_change change = { scene.resized_migration, "confirmed" };

	db_fixture_write(scene.fixture, set_status, &change);
	change_state(scene.resized, "active", NULL);
}

/* They are the first that there are. */
static void what_a_migration_that_has_ended_still_holds_is_found(void **state)
{
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };
	static const char *const names[] = { "claims-are-held", "definitions-are-held", "volumes-are-held" };

	(void)state;
	end_the_resized_ones_migration();
	check(0, &report);
	assert_int_equal(report.count, ARRAY_LENGTH(names));
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		assert_string_equal(report.items[i].invariant->name, names[i]);
		assert_string_equal(report.items[i].server_uuid, scene.resized);
	}
}

/* What is found by one check in one reading, of `uuid` on `host` with the marks that libvirt gives it there. */
static size_t count_found(void (*look_for)(struct invariants_look *look), const char *host,
			  void (*mark)(struct guest_view *view))
{
	const struct invariants_parts parts = { .database = scene.fixture->database, .hypervisor = scene.fleet };
	struct invariants_look look = { 0 };
	struct db_fixture *fixture = scene.fixture;

	OK(invariants_look(&parts, &look, &fixture->error));
	look.invariant = &(struct invariant){ .is_broken = true };
	for (size_t i = 0; mark && i < look.guest_count; i++)
		if (text_equal(look.guests[i].uuid, scene.plain) && text_equal(look.guests[i].host->row->name, host))
			mark((struct guest_view *)look.guests[i].view);
	look_for(&look);
	size_t found = look.report.count;
	invariants_look_clear(&look);
	return found;
}

static void mark_moving_in(struct guest_view *view)
{
	view->is_moving_in = true;
}

static void mark_moving_out(struct guest_view *view)
{
	view->is_moving_out = true;
}

static void mark_busy(struct guest_view *view)
{
	view->is_busy = true;
}

/* With `virsh migrate`, say: libvirt tells so on one of the sides. */
static void a_guest_that_somebody_moves_by_hand_is_not_judged(void **state)
{
	(void)state;
	leave_a_half();
	assert_int_equal(count_found(check_halves, "three", NULL), 1);
	assert_int_equal(count_found(check_halves, "three", mark_moving_in), 0);
	assert_int_equal(count_found(check_halves, "one", mark_moving_out), 0);
	run_it_twice();
	assert_int_equal(count_found(check_one_instance, "three", NULL), 1);
	assert_int_equal(count_found(check_one_instance, "three", mark_moving_in), 0);
	assert_int_equal(count_found(check_one_instance, "three", mark_moving_out), 1);
	turn_it_off();
	assert_int_equal(count_found(check_shown_power_state, "one", NULL), 1);
	assert_int_equal(count_found(check_shown_power_state, "three", mark_moving_in), 0);
	assert_int_equal(count_found(check_shown_power_state, "three", mark_moving_out), 0);
	assert_int_equal(count_found(check_shown_power_state, "one", mark_busy), 0);
}

/* Both are open: each is reported, since each has an end of its own to be written. */
static void an_open_event_of_an_action_without_a_job_is_found(void **state)
{
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };
	struct db_action action = { .action = "migrate" };
	struct db_event event = { .event = "cold_migrate" };

	(void)state;
	TEXT_COPY(action.server_uuid, scene.plain);
	db_fixture_write(scene.fixture, insert_action, &action);
	event.action_id = action.id;
	db_fixture_write(scene.fixture, insert_event, &event);
	check(0, &report);
	assert_int_equal(report.count, 2);
	assert_string_equal(report.items[0].invariant->name, "actions-end");
	assert_string_equal(report.items[1].invariant->name, "events-end");
	assert_non_null(strstr(report.items[1].found, "the action has no job"));
}

static int set_lock(struct db_session *session, void *context, struct error *error)
{
	return db_server_set_lock(session, context, "owner", NULL, error);
}

/* The server changes while each reading is made. */
static void change_server(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	int *calls = context;

	(void)uuid;
	if (is_after || !text_equal(host, "three") || !text_equal(operation, "list_guests"))
		return;
	++*calls;
	db_fixture_write(scene.fixture, set_lock, scene.plain);
}

static void what_contradicts_while_the_server_changes_is_not_told(void **state)
{
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };
	int calls = 0;

	(void)state;
	simulated_set_hook(scene.fleet, change_server, &calls);
	leave_a_half();
	check(0, &report);
	assert_int_equal(calls, 3);
	assert_int_equal(report.count, 0);
}

/* The half goes before the second reading. */
static void remove_half(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	(void)uuid;
	if (!is_after || !text_equal(host, "three") || !text_equal(operation, "list_guests") || ++*(int *)context > 1)
		return;
	simulated_put_guest(scene.fleet, "three", scene.plain, GUEST_SHUT_OFF, 1024, NULL);
	put_chore(DB_CHORE_REMOVE_GUEST, scene.plain, 2, "");
}

static void what_has_gone_at_the_second_reading_is_not_told(void **state)
{
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };
	int calls = 0;

	(void)state;
	simulated_set_hook(scene.fleet, remove_half, &calls);
	leave_a_half();
	check(0, &report);
	assert_int_equal(calls, 2);
	assert_int_equal(report.count, 0);
}

static void a_sound_state_is_told_without_a_pause(void **state)
{
	const struct invariants_parts parts = { .database = scene.fixture->database,
						.hypervisor = scene.fleet,
						.pause_ms = 3600000 };
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };
	struct db_fixture *fixture = *state;

	OK(invariants_check(&parts, &report, &fixture->error));
	take_a_host_down();
	OK(invariants_check(&parts, &report, &fixture->error));
	assert_int_equal(report.broken_count, 0);
}

static void a_host_that_hangs_is_left_after_the_limit(void **state)
{
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };

	(void)state;
	assert_true(simulated_hang_next(scene.fleet, "two", "list_guests", SIMULATED_LANDS_NEVER));
	check(50, &report);
	assert_int_equal(report.count, 1);
	assert_string_equal(report.items[0].invariant->name, "hosts-answer");
	assert_string_equal(report.items[0].host, "two");
	assert_int_equal(report.host_count, 2);
}

static void a_check_ends_when_the_daemon_does(void **state)
{
	atomic_bool is_ending = true;
	const struct invariants_parts parts = { .database = scene.fixture->database,
						.hypervisor = scene.fleet,
						.is_ending = &is_ending };
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };
	struct error error = { 0 };

	(void)state;
	assert_int_equal(invariants_check(&parts, &report, &error), -ECANCELED);
}

static void order_live_move(void)
{
	struct db_action action = { .action = "live-migration" };
	struct db_job job = { .kind = "live", .minor_version = 34, .block_migration = "auto", .requested_host = "two" };

	TEXT_COPY(action.server_uuid, scene.plain);
	TEXT_COPY(job.server_uuid, scene.plain);
	request_id_make(job.request_id);
	TEXT_COPY(action.request_id, job.request_id);
	db_fixture_write(scene.fixture, insert_action, &action);
	job.migration_id = put_migration(scene.plain, "accepted");
	job.action_id = action.id;
	job.source_host_id = scene.hosts[0];
	db_fixture_write(scene.fixture, insert_job, &job);
}

/* A job of the worker's own, stopped in the middle of the copy. */
static void a_move_under_way_and_its_end_are_sound(void **state)
{
	struct worker_settings settings = {
		.threads = 4, .lease_s = 60, .progress_interval_s = 1, .poll_interval_ms = 500, .retry_interval_s = 5
	};
	const struct scheduler_settings scheduler = scheduler_settings_default;
	struct metrics *metrics = metrics_create();
	const struct worker_parts parts = { .database = scene.fixture->database,
					    .hypervisor = scene.fleet,
					    .metrics = metrics,
					    .clock = scene.fixture->clock,
					    .settings = &settings,
					    .scheduler = &scheduler,
					    .node = "node" };
	struct worker *worker = NULL;
	struct db_fixture *fixture = *state;

	OK(worker_create(&parts, &worker, &fixture->error));
	order_live_move();
	simulated_close_gate(scene.fleet, SIMULATED_GATE_LIVE);
	OK(worker_start(worker, &fixture->error));
	simulated_wait_at_gate(scene.fleet, SIMULATED_GATE_LIVE);
	assert_sound();
	simulated_open_all_gates(scene.fleet);
	for (int i = 0; i < 2000 && simulated_state(scene.fleet, "one", scene.plain) != GUEST_ABSENT; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	assert_true(worker_stop(worker));
	assert_sound();
	db_close(fixture->database);
	worker_destroy(worker);
	metrics_destroy(metrics);
	OK(db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_broken_thing_is_found_by_its_name_and_nothing_else),
		TEST(every_invariant_has_its_broken_state),
		TEST(a_usage_that_is_no_sum_of_its_rows_is_found),
		TEST(all_disks_of_a_flavor_add_up),
		TEST(what_is_known_of_is_not_told),
		TEST(a_chore_elsewhere_is_no_excuse),
		TEST(every_server_that_runs_twice_is_found),
		TEST(what_a_migration_that_has_ended_still_holds_is_found),
		TEST(a_guest_that_somebody_moves_by_hand_is_not_judged),
		TEST(an_open_event_of_an_action_without_a_job_is_found),
		TEST(what_contradicts_while_the_server_changes_is_not_told),
		TEST(what_has_gone_at_the_second_reading_is_not_told),
		TEST(a_sound_state_is_told_without_a_pause),
		TEST(a_host_that_hangs_is_left_after_the_limit),
		TEST(a_check_ends_when_the_daemon_does),
		TEST(a_move_under_way_and_its_end_are_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
