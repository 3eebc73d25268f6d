/* The table of faults: how each happens, and how it is over. */
#include "tests/faults/faults.h"

#include <sqlite3.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "tests/faults/verdict.h"

#define FAULT_S 20 /* what comes back does so after that time */
#define LONG_S  120
#define HELD_S  100 /* a reading: shorter than it may last before it counts as no answer */

#define NEVER   SIMULATED_FAULT_MAX
#define ON(where, what, of_it, comes_back, after_s, may)                                                               \
	{                                                                                                              \
		.name = what " (" where ")", .fault = (of_it), .host = (where), .undo = (comes_back),                  \
		.undo_after_s = (after_s), .flags = (may)                                                              \
	}
#define ON_BOTH(what, of_it, comes_back, after_s, may)                                                                 \
	ON(SCENE_SOURCE, what, of_it, comes_back, after_s, may), ON(SCENE_TARGET, what, of_it, comes_back, after_s, may)

#define MACHINE(where, what, returns)                                                                                  \
	{                                                                                                              \
		.name = what " (" where ")", .fault = NEVER, .undo = NEVER, .host = (where), .is_machine = true,       \
		.comes_back = (returns)                                                                                \
	}
#define READING(where)                                                                                                 \
	{                                                                                                              \
		.name = "reading held (" where ")", .fault = NEVER, .host = (where), .undo = SIMULATED_READINGS_GO_ON, \
		.undo_after_s = HELD_S, .holds_reading = true                                                          \
	}
#define DATABASE(what, result, lasts, after_s)                                                                         \
	{                                                                                                              \
		.name = (what), .fault = NEVER, .undo = NEVER, .undo_after_s = (after_s), .database = (result),        \
		.is_lasting = (lasts)                                                                                  \
	}

static const struct fault table[] = {
	{ .name = "nothing", .fault = NEVER, .undo = NEVER },
	{ .name = "daemon killed", .fault = NEVER, .undo = NEVER, .kills = true },
	{ .name = "wall clock a year on", .fault = NEVER, .undo = NEVER, .clock_by_s = 31536000 },
	{ .name = "wall clock a year back", .fault = NEVER, .undo = NEVER, .clock_by_s = -31536000 },
	{ .name = "call never returns, nothing done",
	  .fault = NEVER,
	  .undo = NEVER,
	  .hangs = true,
	  .landing = SIMULATED_LANDS_NEVER },
	{ .name = "call never returns, done",
	  .fault = NEVER,
	  .undo = NEVER,
	  .hangs = true,
	  .landing = SIMULATED_LANDS_BEFORE },
	{ .name = "call lands late",
	  .fault = NEVER,
	  .undo = SIMULATED_LATE_CALLS_LAND,
	  .undo_after_s = 600,
	  .hangs = true,
	  .landing = SIMULATED_LANDS_LATE },
	ON_BOTH("libvirtd killed", SIMULATED_LIBVIRTD_DIES, SIMULATED_LIBVIRTD_STARTS, FAULT_S, 0),
	ON_BOTH("libvirtd killed for long", SIMULATED_LIBVIRTD_DIES, SIMULATED_LIBVIRTD_STARTS, LONG_S, 0),
	ON_BOTH("libvirtd stopped", SIMULATED_LIBVIRTD_STOPS, SIMULATED_LIBVIRTD_GOES_ON, FAULT_S, 0),
	ON_BOTH("libvirtd stopped for long", SIMULATED_LIBVIRTD_STOPS, SIMULATED_LIBVIRTD_GOES_ON, LONG_S, 0),
	ON_BOTH("libvirtd stopped, calls lost", SIMULATED_LIBVIRTD_STOPS_LOSING, SIMULATED_LIBVIRTD_GOES_ON, LONG_S, 0),
	ON_BOTH("libvirtd killed at the hand-over", SIMULATED_LIBVIRTD_DIES_AT_HAND_OVER, SIMULATED_LIBVIRTD_STARTS,
		LONG_S, 0),
	ON_BOTH("our link cut", SIMULATED_OUR_LINK_BREAKS, SIMULATED_OUR_LINK_IS_BACK, FAULT_S, 0),
	ON_BOTH("our link cut for long", SIMULATED_OUR_LINK_BREAKS, SIMULATED_OUR_LINK_IS_BACK, LONG_S, 0),
	ON_BOTH("QEMU hung", SIMULATED_QEMU_HANGS, SIMULATED_QEMU_GOES_ON, FAULT_S, 0),
	ON_BOTH("QEMU hung for long", SIMULATED_QEMU_HANGS, SIMULATED_QEMU_GOES_ON, LONG_S, 0),
	ON_BOTH("QEMU killed", SIMULATED_QEMU_DIES, NEVER, 0, 0),
	ON_BOTH("pool read-only", SIMULATED_POOL_IS_READ_ONLY, SIMULATED_POOL_IS_WELL, LONG_S, 0),
	ON_BOTH("pool full", SIMULATED_POOL_IS_FULL, SIMULATED_POOL_IS_WELL, LONG_S, 0),
	ON_BOTH("pool off", SIMULATED_POOL_IS_OFF, SIMULATED_POOL_IS_WELL, LONG_S, 0),
	ON_BOTH("powered off by hand", SIMULATED_GUEST_POWERED_OFF, NEVER, 0, 0),
	ON_BOTH("started by hand", SIMULATED_GUEST_STARTED, NEVER, 0, FAULT_MAY_DOUBLE),
	ON_BOTH("suspended by hand", SIMULATED_GUEST_SUSPENDED, NEVER, 0, 0),
	ON_BOTH("undefined by hand", SIMULATED_GUEST_UNDEFINED, NEVER, 0, 0),
	{ .name = "link between the hosts cut",
	  .fault = SIMULATED_LINK_BREAKS,
	  .host = SCENE_SOURCE,
	  .other = SCENE_TARGET,
	  .undo = SIMULATED_LINK_IS_BACK,
	  .undo_after_s = FAULT_S },
	{ .name = "link between the hosts cut for long",
	  .fault = SIMULATED_LINK_BREAKS,
	  .host = SCENE_SOURCE,
	  .other = SCENE_TARGET,
	  .undo = SIMULATED_LINK_IS_BACK,
	  .undo_after_s = LONG_S },
	{ .name = "moved away by hand",
	  .fault = SIMULATED_GUEST_MOVED,
	  .host = SCENE_SOURCE,
	  .other = SCENE_OTHER,
	  .undo = NEVER },
	{ .name = "moved on by hand",
	  .fault = SIMULATED_GUEST_MOVED,
	  .host = SCENE_TARGET,
	  .other = SCENE_OTHER,
	  .undo = NEVER },
	{ .name = "moved back by hand",
	  .fault = SIMULATED_GUEST_MOVED,
	  .host = SCENE_TARGET,
	  .other = SCENE_SOURCE,
	  .undo = NEVER },
	ON_BOTH("another libvirtd under its name", SIMULATED_LIBVIRTD_IS_REPLACED, NEVER, 0, 0),
	MACHINE(SCENE_SOURCE, "machine gone for good", false),
	MACHINE(SCENE_TARGET, "machine gone for good", false),
	MACHINE(SCENE_SOURCE, "machine back after it was given up", true),
	MACHINE(SCENE_TARGET, "machine back after it was given up", true),
	READING(SCENE_SOURCE),
	READING(SCENE_TARGET),
	READING(SCENE_OTHER),
	DATABASE("database fails once", SQLITE_IOERR_WRITE, false, 0),
	DATABASE("database full", SQLITE_FULL, true, FAULT_S),
	DATABASE("database full for long", SQLITE_FULL, true, LONG_S),
	DATABASE("database read-only", SQLITE_READONLY, true, FAULT_S),
	DATABASE("database broken", SQLITE_IOERR_WRITE, true, FAULT_S),
};

const struct fault *faults_table(size_t *ret_count)
{
	*ret_count = ARRAY_LENGTH(table);
	return table;
}

bool fault_fits(const struct fault *fault, const struct scene_point *point)
{
	if (fault->kills)
		return point->is_phase;
	if (fault->hangs)
		return !point->is_phase && !point->is_after;
	return true;
}

const char *fault_host(const struct fault *fault, const struct scene_point *point)
{
	return fault->hangs ? point->host : fault->host;
}

/* True: it could be. */
static bool happen(struct scene *scene, const struct strike *strike)
{
	const struct fault *fault = strike->fault;
	bool is_possible = true;

	if (fault->hangs)
		is_possible =
			simulated_hang_next(scene->fleet, strike->point->host, strike->point->name, fault->landing);
	if (fault->clock_by_s)
		clock_manual_set(scene->clock, clock_now_us(scene->clock) + fault->clock_by_s * 1000000);
	if (fault->database)
		file_faults_set(scene->files, 1, fault->is_lasting, fault->database);
	if (fault->holds_reading)
		is_possible = scene_hold_reading(scene, fault->host);
	if (fault->is_machine)
		is_possible = scene_kill_host(scene, fault->host);
	if (fault->fault != NEVER)
		is_possible = scene_inject(scene, fault->fault, fault->host, fault->other);
	return is_possible;
}

/* Whoever undefines a guest that is off where it was, before a cold migration did so, removes it: the copy is not to bring it
 * back, nor what we saved of it. */
static bool is_removed(struct scene *scene, const struct fault *fault)
{
	return fault->fault == SIMULATED_GUEST_UNDEFINED && scene->kind == JOB_COLD
	       && text_equal(fault->host, SCENE_SOURCE)
	       && simulated_state(scene->fleet, fault->host, scene->uuid) == GUEST_ABSENT;
}

void fault_strike(struct scene *scene, void *context)
{
	struct strike *strike = context;
	const struct fault *fault = strike->fault;
	bool is_emptied = fault->is_machine || fault->fault == SIMULATED_LIBVIRTD_IS_REPLACED
			  || fault->fault == SIMULATED_GUEST_UNDEFINED;

	strike->is_possible = happen(scene, strike);
	/* What nobody can bring back is not held against the daemon. */
	strike->has_ended_guest =
		strike->is_possible
		&& (is_removed(scene, fault) || verdict_is_lost(scene, is_emptied ? fault->host : NULL));
	scene->is_pointless = !strike->is_possible;
}

static bool give_up(struct scene *scene, const struct fault *fault, char *why, size_t size)
{
	scene_pass(scene, 2 * SCENE_READ_S); /* until it is known to be down */
	bool is_over = scene_settle(scene, LONG_S + 600);

	if (!is_over && !scene_job_has_ended(scene) && !scene_shows_waiting(scene, fault->host, why, size))
		return false;
	if (!scene_give_up(scene, fault->host)) {
		snprintf(why, size, "host %s is not known to be down", fault->host);
		return false;
	}
	if (!scene_settle(scene, FAULT_S) || scene_knows_host(scene, fault->host)) {
		snprintf(why, size, "%d s after host %s was given up it is still there, or the job", FAULT_S,
			 fault->host);
		return false;
	}
	return true;
}

bool fault_end(struct scene *scene, const struct strike *strike, char *why, size_t size)
{
	const struct fault *fault = strike->fault;

	if (fault->is_machine && !give_up(scene, fault, why, size))
		return false;
	if (fault->comes_back) {
		scene_revive_host(scene, fault->host);
		scene_add_host(scene, fault->host);
	}
	if (fault->database) {
		scene_settle(scene, fault->undo_after_s);
		file_faults_set(scene->files, 0, false, SQLITE_OK);
	}
	if (fault->undo == NEVER)
		return true;
	if (fault->holds_reading) /* over the whole move */
		scene_pass(scene, fault->undo_after_s);
	else
		scene_settle(scene, fault->undo_after_s);
	if (fault->undo == SIMULATED_LATE_CALLS_LAND)
		simulated_land_late(scene->fleet, strike->point->host);
	else
		scene_inject(scene, fault->undo, fault->host, fault->other);
	return true;
}

void fault_make_well(struct scene *scene)
{
	for (size_t i = 0; i < SCENE_HOSTS; i++) {
		static const enum simulated_fault ends[] = { SIMULATED_LIBVIRTD_GOES_ON, SIMULATED_LIBVIRTD_STARTS,
							     SIMULATED_OUR_LINK_IS_BACK, SIMULATED_QEMU_GOES_ON,
							     SIMULATED_POOL_IS_WELL,     SIMULATED_READINGS_GO_ON };

		for (size_t j = 0; j < ARRAY_LENGTH(ends) && !scene->is_dead[i]; j++)
			scene_inject(scene, ends[j], scene_hosts[i], NULL);
		simulated_land_late(scene->fleet, scene_hosts[i]);
	}
	scene_inject(scene, SIMULATED_LINK_IS_BACK, SCENE_SOURCE, SCENE_TARGET);
	file_faults_set(scene->files, 0, false, SQLITE_OK);
}
