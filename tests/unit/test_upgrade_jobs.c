/* A database of the version before, with a job in each phase that it knew, is opened by this version: each job ends well from
 * whatever both hosts show, and a server that waits for its confirm can be confirmed and reverted.
 *
 * What the version before had on the hosts in a phase is made by the port's own calls, in the order in which it made them.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/session.h"
#include "db/statement.h"
#include "server/worker/hypervisor.h"
#include "server/worker/invariants.h"
#include "tests/faults/scene.h"
#include "tests/faults/threads.h"
#include "tests/faults/verdict.h"
#include "tests/unit/version_2.h"

#define SETTLE_S  3600
#define ADVANCE_S 5

/* The phases of the version before, from its tables and the code that entered them, with what its rows showed then. A job that
 * no worker has taken has the phase "". */
static const struct old_phase {
	const char *kind, *phase;
	const char *migration_status, *vm_state, *task_state;
} old_phases[] = {
	{ "live", "", "accepted", "active", "migrating" },
	{ "live", "choosing", "accepted", "active", "migrating" },
	{ "live", "checking", "accepted", "active", "migrating" },
	{ "live", "queued", "queued", "active", "migrating" },
	{ "live", "preparing", "preparing", "active", "migrating" },
	{ "live", "moving", "running", "active", "migrating" },
	{ "live", "cleaning", "running", "active", "migrating" },
	{ "cold", "", "accepted", "active", "resize_prep" },
	{ "cold", "choosing", "accepted", "active", "resize_prep" },
	{ "cold", "checking", "accepted", "active", "resize_prep" },
	{ "cold", "queued", "accepted", "active", "resize_prep" },
	{ "cold", "stopping", "migrating", "active", "resize_migrating" },
	{ "cold", "copying", "migrating", "active", "resize_migrating" },
	{ "cold", "defining", "post-migrating", "active", "resize_migrated" },
	{ "cold", "undefining", "post-migrating", "active", "resize_migrated" },
	{ "cold", "starting", "post-migrating", "active", "resize_finish" },
	/* VERIFY_RESIZE: no job has it. */
	{ "none", "", "finished", "resized", "" },
	{ "confirm", "", "confirming", "resized", "" },
	{ "confirm", "removing", "confirming", "resized", "" },
	{ "revert", "", "reverting", "resized", "resize_reverting" },
	{ "revert", "stopping", "reverting", "resized", "resize_reverting" },
	{ "revert", "removing", "reverting", "resized", "resize_reverting" },
	{ "revert", "defining", "reverting", "resized", "resize_reverting" },
	{ "revert", "starting", "reverting", "resized", "resize_reverting" },
	{ "start", "", NULL, "stopped", "powering-on" },
	{ "start", "acting", NULL, "stopped", "powering-on" },
	{ "stop", "", NULL, "active", "powering-off" },
	{ "stop", "acting", NULL, "active", "powering-off" },
	{ "pause", "", NULL, "active", "pausing" },
	{ "pause", "acting", NULL, "active", "pausing" },
	{ "unpause", "", NULL, "paused", "unpausing" },
	{ "unpause", "acting", NULL, "paused", "unpausing" },
	{ "suspend", "", NULL, "active", "suspending" },
	{ "suspend", "acting", NULL, "active", "suspending" },
	{ "resume", "", NULL, "suspended", "resuming" },
	{ "resume", "acting", NULL, "suspended", "resuming" },
	{ "reboot_soft", "", NULL, "active", "rebooting" },
	{ "reboot_soft", "stopping", NULL, "active", "reboot_started" },
	{ "reboot_soft", "starting", NULL, "active", "reboot_started" },
	{ "reboot_hard", "", NULL, "active", "rebooting_hard" },
	{ "reboot_hard", "stopping", NULL, "active", "reboot_started_hard" },
	{ "reboot_hard", "starting", NULL, "active", "reboot_started_hard" },
};

/* Rows beside the server, its job and its migration. */
enum {
	CHOSEN = 1, /* the target is in the job and the migration, and has a claim */
	PLACED = 2, /* the server is on the target, where its claim still is */
	RESIZED = 4, /* the server is on the target, and the claim on the source */
	BACK = 8, /* a revert has written that the server is on the source, where the claim still is */
	SAVED = 16, /* the source's definition */
};

/* What was done at the hosts: the first host is the source, the second the target. */
enum deed {
	NOTHING,
	PREPARE_LIVE,
	BEGIN_LIVE, /* it goes on by itself */
	MOVE_LIVE,
	LOSE_SOURCE_AT_HAND_OVER, /* its libvirtd dies, and is there again after the move */
	STOP_SOURCE,
	PAUSE_SOURCE,
	SAVE_SOURCE,
	COPY,
	COPY_HALF,
	DEFINE_TARGET,
	UNDEFINE_SOURCE,
	START_TARGET,
	STOP_TARGET,
	UNDEFINE_TARGET,
	REMOVE_TARGETS_DISK,
	REMOVE_SOURCES_DISK,
	DEFINE_SOURCE,
	START_SOURCE,
	DEED_MAX,
};

#define MOVED_COLD STOP_SOURCE, COPY, DEFINE_TARGET, UNDEFINE_SOURCE, START_TARGET
#define GONE_BACK  MOVED_COLD, STOP_TARGET, UNDEFINE_TARGET, REMOVE_TARGETS_DISK
#define ON_TARGET  GUEST_ABSENT, GUEST_RUNNING
#define ON_SOURCE  GUEST_RUNNING, GUEST_ABSENT
#define NOWHERE    GUEST_ABSENT, GUEST_ABSENT

static const struct situation {
	const char *kind, *phase;
	unsigned int rows;
	enum deed deeds[12];
	enum guest_state source, target; /* what both sides show then */
	const char *end; /* the migration's status; without one the server's vm_state */
} situations[] = {
	{ "live", "", 0, { NOTHING }, ON_SOURCE, "completed" },
	{ "live", "choosing", 0, { NOTHING }, ON_SOURCE, "completed" },
	{ "live", "choosing", CHOSEN, { NOTHING }, ON_SOURCE, "completed" },
	{ "live", "checking", CHOSEN, { NOTHING }, ON_SOURCE, "completed" },
	{ "live", "queued", CHOSEN, { NOTHING }, ON_SOURCE, "completed" },
	{ "live", "preparing", CHOSEN, { NOTHING }, ON_SOURCE, "failed" },
	{ "live", "preparing", CHOSEN, { PREPARE_LIVE }, ON_SOURCE, "failed" },
	{ "live", "moving", CHOSEN, { PREPARE_LIVE }, ON_SOURCE, "failed" },
	{ "live", "moving", CHOSEN, { PREPARE_LIVE, BEGIN_LIVE }, GUEST_RUNNING, GUEST_ARRIVING, "completed" },
	{ "live", "moving", CHOSEN, { PREPARE_LIVE, MOVE_LIVE }, ON_TARGET, "completed" },
	{ "live",
	  "moving",
	  CHOSEN,
	  { PREPARE_LIVE, MOVE_LIVE, STOP_TARGET },
	  GUEST_ABSENT,
	  GUEST_SHUT_OFF,
	  "completed" },
	{ "live",
	  "moving",
	  CHOSEN,
	  { PREPARE_LIVE, LOSE_SOURCE_AT_HAND_OVER },
	  GUEST_HANDED_OVER,
	  GUEST_RUNNING,
	  "completed" },
	{ "live",
	  "cleaning",
	  PLACED,
	  { PREPARE_LIVE, LOSE_SOURCE_AT_HAND_OVER },
	  GUEST_HANDED_OVER,
	  GUEST_RUNNING,
	  "completed" },
	{ "live", "cleaning", PLACED, { PREPARE_LIVE, MOVE_LIVE }, ON_TARGET, "completed" },
	{ "live", "cleaning", PLACED, { PREPARE_LIVE, MOVE_LIVE, REMOVE_SOURCES_DISK }, ON_TARGET, "completed" },

	{ "cold", "", 0, { NOTHING }, ON_SOURCE, "finished" },
	{ "cold", "choosing", 0, { NOTHING }, ON_SOURCE, "finished" },
	{ "cold", "choosing", CHOSEN, { NOTHING }, ON_SOURCE, "finished" },
	{ "cold", "checking", CHOSEN, { NOTHING }, ON_SOURCE, "finished" },
	{ "cold", "queued", CHOSEN, { NOTHING }, ON_SOURCE, "finished" },
	{ "cold", "stopping", CHOSEN, { NOTHING }, ON_SOURCE, "finished" },
	{ "cold", "stopping", CHOSEN | SAVED, { NOTHING }, ON_SOURCE, "finished" },
	{ "cold", "stopping", CHOSEN | SAVED, { STOP_SOURCE }, GUEST_SHUT_OFF, GUEST_ABSENT, "finished" },
	{ "cold", "copying", CHOSEN | SAVED, { STOP_SOURCE }, GUEST_SHUT_OFF, GUEST_ABSENT, "finished" },
	{ "cold", "copying", CHOSEN | SAVED, { STOP_SOURCE, COPY_HALF }, GUEST_SHUT_OFF, GUEST_ABSENT, "finished" },
	{ "cold", "copying", CHOSEN | SAVED, { STOP_SOURCE, COPY }, GUEST_SHUT_OFF, GUEST_ABSENT, "finished" },
	{ "cold", "defining", CHOSEN | SAVED, { STOP_SOURCE, COPY }, GUEST_SHUT_OFF, GUEST_ABSENT, "finished" },
	{ "cold",
	  "defining",
	  CHOSEN | SAVED,
	  { STOP_SOURCE, COPY, DEFINE_TARGET },
	  GUEST_SHUT_OFF,
	  GUEST_SHUT_OFF,
	  "finished" },
	{ "cold",
	  "undefining",
	  CHOSEN | SAVED,
	  { STOP_SOURCE, COPY, DEFINE_TARGET },
	  GUEST_SHUT_OFF,
	  GUEST_SHUT_OFF,
	  "finished" },
	{ "cold",
	  "undefining",
	  CHOSEN | SAVED,
	  { STOP_SOURCE, COPY, DEFINE_TARGET, UNDEFINE_SOURCE },
	  GUEST_ABSENT,
	  GUEST_SHUT_OFF,
	  "finished" },
	{ "cold",
	  "starting",
	  CHOSEN | SAVED,
	  { STOP_SOURCE, COPY, DEFINE_TARGET, UNDEFINE_SOURCE },
	  GUEST_ABSENT,
	  GUEST_SHUT_OFF,
	  "finished" },
	{ "cold",
	  "starting",
	  RESIZED | SAVED,
	  { STOP_SOURCE, COPY, DEFINE_TARGET, UNDEFINE_SOURCE },
	  GUEST_ABSENT,
	  GUEST_SHUT_OFF,
	  "finished" },
	{ "cold", "starting", RESIZED | SAVED, { MOVED_COLD }, ON_TARGET, "finished" },

	{ "none", "", RESIZED | SAVED, { MOVED_COLD }, ON_TARGET, "finished" },
	{ "none", "", RESIZED | SAVED, { MOVED_COLD, STOP_TARGET }, GUEST_ABSENT, GUEST_SHUT_OFF, "finished" },

	{ "confirm", "", RESIZED | SAVED, { MOVED_COLD }, ON_TARGET, "confirmed" },
	{ "confirm", "removing", RESIZED | SAVED, { MOVED_COLD }, ON_TARGET, "confirmed" },
	{ "confirm", "removing", RESIZED | SAVED, { MOVED_COLD, REMOVE_SOURCES_DISK }, ON_TARGET, "confirmed" },

	{ "revert", "", RESIZED | SAVED, { MOVED_COLD }, ON_TARGET, "reverted" },
	{ "revert", "stopping", RESIZED | SAVED, { MOVED_COLD }, ON_TARGET, "reverted" },
	{ "revert",
	  "stopping",
	  RESIZED | SAVED,
	  { MOVED_COLD, STOP_TARGET },
	  GUEST_ABSENT,
	  GUEST_SHUT_OFF,
	  "reverted" },
	{ "revert",
	  "removing",
	  RESIZED | SAVED,
	  { MOVED_COLD, STOP_TARGET },
	  GUEST_ABSENT,
	  GUEST_SHUT_OFF,
	  "reverted" },
	{ "revert", "removing", RESIZED | SAVED, { MOVED_COLD, STOP_TARGET, UNDEFINE_TARGET }, NOWHERE, "reverted" },
	{ "revert", "removing", RESIZED | SAVED, { GONE_BACK }, NOWHERE, "reverted" },
	{ "revert", "defining", RESIZED | SAVED, { GONE_BACK }, NOWHERE, "reverted" },
	{ "revert", "defining", BACK | SAVED, { GONE_BACK }, NOWHERE, "reverted" },
	{ "revert", "defining", BACK | SAVED, { GONE_BACK, DEFINE_SOURCE }, GUEST_SHUT_OFF, GUEST_ABSENT, "reverted" },
	{ "revert", "starting", BACK | SAVED, { GONE_BACK, DEFINE_SOURCE }, GUEST_SHUT_OFF, GUEST_ABSENT, "reverted" },
	{ "revert", "starting", BACK | SAVED, { GONE_BACK, DEFINE_SOURCE, START_SOURCE }, ON_SOURCE, "reverted" },

	{ "start", "", 0, { STOP_SOURCE }, GUEST_SHUT_OFF, GUEST_ABSENT, "active" },
	{ "start", "acting", 0, { STOP_SOURCE }, GUEST_SHUT_OFF, GUEST_ABSENT, "active" },
	{ "start", "acting", 0, { NOTHING }, ON_SOURCE, "active" },
	{ "stop", "", 0, { NOTHING }, ON_SOURCE, "stopped" },
	{ "stop", "acting", 0, { NOTHING }, ON_SOURCE, "stopped" },
	{ "stop", "acting", 0, { STOP_SOURCE }, GUEST_SHUT_OFF, GUEST_ABSENT, "stopped" },
	{ "pause", "", 0, { NOTHING }, ON_SOURCE, "paused" },
	{ "pause", "acting", 0, { NOTHING }, ON_SOURCE, "paused" },
	{ "pause", "acting", 0, { PAUSE_SOURCE }, GUEST_PAUSED, GUEST_ABSENT, "paused" },
	{ "unpause", "", 0, { PAUSE_SOURCE }, GUEST_PAUSED, GUEST_ABSENT, "active" },
	{ "unpause", "acting", 0, { PAUSE_SOURCE }, GUEST_PAUSED, GUEST_ABSENT, "active" },
	{ "unpause", "acting", 0, { NOTHING }, ON_SOURCE, "active" },
	{ "suspend", "", 0, { NOTHING }, ON_SOURCE, "suspended" },
	{ "suspend", "acting", 0, { NOTHING }, ON_SOURCE, "suspended" },
	{ "suspend", "acting", 0, { SAVE_SOURCE }, GUEST_SAVED, GUEST_ABSENT, "suspended" },
	{ "resume", "", 0, { SAVE_SOURCE }, GUEST_SAVED, GUEST_ABSENT, "active" },
	{ "resume", "acting", 0, { SAVE_SOURCE }, GUEST_SAVED, GUEST_ABSENT, "active" },
	{ "resume", "acting", 0, { NOTHING }, ON_SOURCE, "active" },
	{ "reboot_soft", "", 0, { NOTHING }, ON_SOURCE, "active" },
	{ "reboot_soft", "stopping", 0, { NOTHING }, ON_SOURCE, "active" },
	{ "reboot_soft", "stopping", 0, { STOP_SOURCE }, GUEST_SHUT_OFF, GUEST_ABSENT, "active" },
	{ "reboot_soft", "starting", 0, { STOP_SOURCE }, GUEST_SHUT_OFF, GUEST_ABSENT, "active" },
	{ "reboot_soft", "starting", 0, { NOTHING }, ON_SOURCE, "active" },
	{ "reboot_hard", "", 0, { NOTHING }, ON_SOURCE, "active" },
	{ "reboot_hard", "stopping", 0, { NOTHING }, ON_SOURCE, "active" },
	{ "reboot_hard", "stopping", 0, { STOP_SOURCE }, GUEST_SHUT_OFF, GUEST_ABSENT, "active" },
	{ "reboot_hard", "starting", 0, { STOP_SOURCE }, GUEST_SHUT_OFF, GUEST_ABSENT, "active" },
	{ "reboot_hard", "starting", 0, { NOTHING }, ON_SOURCE, "active" },
};

/* The scene, and what the version before knew of it. */
struct past {
	struct scene scene;
	const struct situation *situation;
	const struct old_phase *phase;
	struct hypervisor_host *source, *target;
	char *definition, *target_definition;
	bool has_volume, is_whole; /* its journal's row of the disk on the target */
	/* A call that takes time. */
	enum deed deed;
	pthread_t thread;
	bool is_moving; /* the thread goes on */
	_Atomic bool has_ended;
	struct error error;
};

static const struct hypervisor_operations *operations(const struct past *past)
{
	return past->scene.fleet->operations;
}

static int journal_begin(void *context, const char *pool, const char *name, int64_t bytes, int64_t *ret_volume_id,
			 struct error *error)
{
	struct past *past = context;

	(void)bytes, (void)error;
	assert_string_equal(pool, SIMULATED_POOL);
	assert_string_equal(name, SCENE_DISK);
	past->has_volume = true;
	*ret_volume_id = 1;
	return 0;
}

static int journal_complete(void *context, int64_t volume_id, struct error *error)
{
	struct past *past = context;

	(void)volume_id, (void)error;
	past->is_whole = true;
	return 0;
}

static int journal_forget(void *context, int64_t volume_id, struct error *error)
{
	struct past *past = context;

	(void)volume_id, (void)error;
	past->has_volume = false;
	return 0;
}

static bool is_never_cancelled(void *context)
{
	(void)context;
	return false;
}

#define ON(host, call, ...) operations(past)->call(past->host, past->scene.uuid, ##__VA_ARGS__)

static int do_deed(struct past *past, struct error *error)
{
	const struct volume_journal journal = { journal_begin, journal_complete, journal_forget, past };
	const struct live_options options = { 0 };
	const struct hypervisor_volume disk = { SIMULATED_POOL, SCENE_DISK, 0 };

	switch (past->deed) {
	case PREPARE_LIVE:
		return operations(past)->prepare_live(past->source, past->target, past->scene.uuid, &options, true,
						      &journal, error);
	case BEGIN_LIVE:
	case MOVE_LIVE:
	case LOSE_SOURCE_AT_HAND_OVER:
		return operations(past)->migrate_live(past->source, past->target, past->scene.uuid, &options, true,
						      error);
	case STOP_SOURCE:
		return ON(source, stop_guest, 0, error);
	case PAUSE_SOURCE:
		return ON(source, pause_guest, error);
	case SAVE_SOURCE:
		return ON(source, save_guest, error);
	case COPY:
	case COPY_HALF:
		return operations(past)->copy_cold(past->source, past->target, past->definition, &journal,
						   is_never_cancelled, NULL, &past->target_definition, error);
	case DEFINE_TARGET:
		return operations(past)->define(past->target, past->target_definition, false, error);
	case UNDEFINE_SOURCE:
		return ON(source, remove_guest, GUEST_SET_OFF, error);
	case START_TARGET:
		return ON(target, start_guest, false, error);
	case STOP_TARGET:
		return ON(target, stop_guest, 0, error);
	case UNDEFINE_TARGET:
		return ON(target, remove_guest, GUEST_SET_OFF, error);
	case REMOVE_TARGETS_DISK:
		return operations(past)->remove_volume(past->target, &disk, error);
	case REMOVE_SOURCES_DISK:
		return operations(past)->remove_volume(past->source, &disk, error);
	case DEFINE_SOURCE:
		return operations(past)->define(past->source, past->definition, false, error);
	case START_SOURCE:
		return ON(source, start_guest, false, error);
	case NOTHING:
	case DEED_MAX:
		break;
	}
	return 0;
}

static void *deed_thread(void *context)
{
	struct past *past = context;
	int result = do_deed(past, &past->error);

	past->error.code = result < 0 ? -result : 0;
	past->has_ended = true;
	return NULL;
}

static void let_pass(struct past *past, int milliseconds)
{
	clock_manual_advance(past->scene.clock, ADVANCE_S * 1000000LL);
	nanosleep(&(struct timespec){ .tv_nsec = milliseconds * 1000000L }, NULL);
}

/* By the fleet's own clock; what goes on by itself is joined at the end. */
static void perform(struct past *past, enum deed deed)
{
	bool fails = deed == COPY_HALF || deed == LOSE_SOURCE_AT_HAND_OVER;

	past->deed = deed;
	past->has_ended = false;
	past->error = (struct error){ 0 };
	if (deed == COPY_HALF)
		simulated_script(past->scene.fleet, SCENE_TARGET, SIMULATED_COPY_FAILS, 1);
	if (deed == LOSE_SOURCE_AT_HAND_OVER)
		assert_true(scene_inject(&past->scene, SIMULATED_LIBVIRTD_DIES_AT_HAND_OVER, SCENE_SOURCE, NULL));
	assert_int_equal(pthread_create(&past->thread, NULL, deed_thread, past), 0);
	past->is_moving = deed == BEGIN_LIVE;
	if (past->is_moving) {
		for (int i = 0;
		     i < 1000 && simulated_state(past->scene.fleet, SCENE_TARGET, past->scene.uuid) == GUEST_ABSENT;
		     i++)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		return;
	}
	while (!past->has_ended)
		let_pass(past, 1);
	pthread_join(past->thread, NULL);
	if (deed == LOSE_SOURCE_AT_HAND_OVER)
		assert_true(scene_inject(&past->scene, SIMULATED_LIBVIRTD_STARTS, SCENE_SOURCE, NULL));
	if (fails != (past->error.code != 0))
		fail_msg("deed %d: %s", deed, past->error.text);
}

static void check_sides(struct past *past)
{
	const struct situation *situation = past->situation;
	enum guest_state source = simulated_state(past->scene.fleet, SCENE_SOURCE, past->scene.uuid);
	enum guest_state target = simulated_state(past->scene.fleet, SCENE_TARGET, past->scene.uuid);

	if (source != situation->source || target != situation->target)
		fail_msg("%s %s: the sides are %s and %s", situation->kind, situation->phase, guest_state_name(source),
			 guest_state_name(target));
}

static void open_hosts(struct past *past)
{
	const struct hypervisor_address one = { .host_id = past->scene.host_ids[0], .name = SCENE_SOURCE };
	const struct hypervisor_address two = { .host_id = past->scene.host_ids[1], .name = SCENE_TARGET };

	assert_int_equal(operations(past)->open_host(past->scene.fleet, &one, &past->source, NULL), 0);
	assert_int_equal(operations(past)->open_host(past->scene.fleet, &two, &past->target, NULL), 0);
}

static void arrange_hosts(struct past *past)
{
	bool ignored;

	open_hosts(past);
	assert_int_equal(ON(source, read_definition, &past->definition, &ignored, NULL), 0);
	for (const enum deed *deed = past->situation->deeds; *deed != NOTHING; deed++)
		perform(past, *deed);
	check_sides(past);
}

static void append_server(struct text *sql, const struct past *past)
{
	const struct situation *situation = past->situation;
	bool is_resized = text_equal(past->phase->vm_state, "resized");
	enum guest_state seen = text_equal(situation->kind, "none") ? situation->target
				: past->phase->migration_status     ? GUEST_RUNNING
								    : situation->source;

	text_append_format(sql,
			   "UPDATE servers SET vm_state = '%s', task_state = '%s', old_vm_state = '%s', host_id = %d, "
			   "power_state = %d;",
			   past->phase->vm_state, past->phase->task_state, is_resized ? "active" : "",
			   situation->rows & (PLACED | RESIZED) ? 2 : 1, guest_state_power_state(seen));
}

static void append_migration(struct text *sql, const struct past *past)
{
	bool is_chosen = past->situation->rows & (CHOSEN | PLACED | RESIZED | BACK);
	bool is_live = text_equal(past->situation->kind, "live");

	if (!past->phase->migration_status)
		return;
	text_append_format(sql,
			   "INSERT INTO migrations VALUES (1, 'm', '%s', '%s', '%s', '" SCENE_SOURCE "', '" SCENE_SOURCE
			   "', '%s', '%s', '', 1, 1, "
			   "'user', 'project', -1, -1, -1, -1, -1, -1, 0, 1, 1);",
			   past->scene.uuid, past->phase->migration_status, is_live ? "live-migration" : "migration",
			   is_chosen ? SCENE_TARGET : "", is_chosen ? SCENE_TARGET : "");
}

static void append_job(struct text *sql, const struct past *past, int id, const char *kind, const char *phase,
		       bool is_finished)
{
	bool is_chosen = past->situation->rows & (CHOSEN | PLACED | RESIZED | BACK);

	text_append_format(sql,
			   "INSERT INTO instance_actions VALUES (%d, 'a', '%s', 'req-%d', 'user', 'project', 1, %d, 1, "
			   "NULL);"
			   "INSERT INTO instance_action_events VALUES (%d, %d, 'e', '" SCENE_SOURCE
			   "', 1, %d, '', NULL, NULL);"
			   "INSERT INTO jobs VALUES (%d, '%s', '%s', '%s', %s, %d, 'req-%d', 1, %d, '" SCENE_TARGET
			   "', 0, 60, 'auto', 0, "
			   "0, 0, %d, NULL, 202, NULL, NULL, 0, '%s', 1, 1, 1, %d);",
			   id, past->scene.uuid, id, is_finished, id, id, is_finished, id, kind, phase,
			   past->scene.uuid, past->phase->migration_status ? "1" : "NULL", id, id, is_chosen ? 2 : 0,
			   is_chosen, *phase ? "node" : "", is_finished);
}

static void append_rest(struct text *sql, const struct past *past)
{
	unsigned int rows = past->situation->rows;

	if (rows & (CHOSEN | PLACED | RESIZED | BACK))
		text_append_format(sql, "INSERT INTO claims VALUES (1, %d, '%s', 1, 2, 1024, 10);",
				   rows & (RESIZED | BACK) ? 1 : 2, past->scene.uuid);
	if (rows & SAVED)
		text_append_format(sql, "INSERT INTO kept_domains VALUES (1, 1, '%s', 1, '%s', 1, 0);",
				   past->scene.uuid, past->definition);
	if (past->has_volume)
		text_append_format(sql, "INSERT INTO volumes VALUES (1, 1, 2, '%s', '%s', %d);", SIMULATED_POOL,
				   SCENE_DISK, past->is_whole);
}

/* What the version before had written by then. The move that a confirm or a revert is of has a job of its own. */
static char *old_rows(struct past *past)
{
	CLEANUP_TEXT struct text sql = TEXT_EMPTY;
	const struct situation *situation = past->situation;
	bool is_none = text_equal(situation->kind, "none");
	bool is_second = is_none || text_equal(situation->kind, "confirm") || text_equal(situation->kind, "revert");

	append_server(&sql, past);
	append_migration(&sql, past);
	if (is_second)
		append_job(&sql, past, 1, "cold", "done", true);
	if (!is_none)
		append_job(&sql, past, 1 + is_second, situation->kind, situation->phase, false);
	append_rest(&sql, past);
	past->scene.job_id = 1 + (is_second && !is_none);
	return text_take(&sql);
}

/* The columns of the old table, of which each is in the new one too. */
static void append_copy(struct text *sql, const char *path, struct clock *clock, const char *table)
{
	struct database database = { .path = (char *)path, .clock = clock };
	struct db_session *session = NULL;
	struct error error = { 0 };
	CLEANUP_FREE char *query =
		text_format("SELECT group_concat('\"' || name || '\"') FROM pragma_table_info('%s')", table);

	assert_int_equal(session_open(&database, false, &session, &error), 0);
	{
		CLEANUP_STATEMENT struct statement *statement = NULL;

		assert_int_equal(statement_begin(session, query, NULL, &statement, &error), 0);
		assert_int_equal(statement_step(statement, &error), 1);
		const char *columns = statement_column_text(statement, 0);
		text_append_format(sql, "INSERT INTO %s (%s) SELECT %s FROM newest.%s;", table, columns, columns,
				   table);
	}
	session_close(session);
}

/* The scene's file becomes one of the version before, with the hosts and the server of the scene. */
static void replace_file(struct past *past)
{
	static const char *const tables[] = { "services", "hosts", "flavors", "servers" };
	const struct scene *scene = &past->scene;
	CLEANUP_TEXT struct text sql = TEXT_EMPTY;
	CLEANUP_FREE char *rows = old_rows(past);
	CLEANUP_FREE char *newest = text_format("%s.newest", scene->path);
	CLEANUP_FREE char *empty = text_format("%s.empty", scene->path);
	struct error error = { 0 };

	assert_int_equal(rename(scene->path, newest), 0);
	assert_int_equal(version_2_write(empty, scene->clock, NULL, &error), 0);
	text_append_format(&sql, "ATTACH '%s' AS newest;", newest);
	for (size_t i = 0; i < ARRAY_LENGTH(tables); i++)
		append_copy(&sql, empty, scene->clock, tables[i]);
	text_append(&sql, rows);
	if (version_2_write(scene->path, scene->clock, sql.data, &error) < 0)
		fail_msg("%s", error.text);
	unlink(newest);
	unlink(empty);
}

static void read_text(struct scene *scene, const char *sql, char *ret_text, size_t size)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_STATEMENT struct statement *statement = NULL;

	assert_int_equal(db_read_begin(scene->database, &session, NULL), 0);
	assert_int_equal(statement_begin(session, sql, NULL, &statement, NULL), 0);
	assert_int_equal(statement_step(statement, NULL), 1);
	text_copy(ret_text, size, statement_column_text(statement, 0));
}

static void fail_situation(const struct past *past, const char *what)
{
	const struct situation *situation = past->situation;

	fail_msg("%s in phase \"%s\" (situation %zd, source %s, target %s): %s", situation->kind, situation->phase,
		 situation - situations, guest_state_name(situation->source), guest_state_name(situation->target),
		 what);
}

static void check_invariants(struct past *past)
{
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };
	const struct invariants_parts parts = { .database = past->scene.database, .hypervisor = past->scene.bounded };
	struct error error = { 0 };

	if (invariants_check(&parts, &report, &error) < 0)
		fail_situation(past, error.text);
	for (size_t i = 0; i < report.count; i++)
		fail_situation(past, report.items[i].found);
}

/* At rest, with a good verdict, nothing broken, and that end. */
static void check_end(struct past *past, const char *end)
{
	const struct verdict_case nothing = { 0 };
	char why[512], found[64];

	if (!scene_settle(&past->scene, SETTLE_S))
		fail_situation(past, "it does not come to rest");
	if (verdict_of(&past->scene, &nothing, why, sizeof(why)) != VERDICT_GOOD)
		fail_situation(past, why);
	read_text(&past->scene,
		  past->phase->migration_status ? "SELECT status FROM migrations" : "SELECT vm_state FROM servers",
		  found, sizeof(found));
	if (!text_equal(found, end))
		fail_situation(past, found);
	check_invariants(past);
}

static void begin(struct past *past, const struct situation *situation)
{
	*past = (struct past){ .situation = situation };
	for (size_t i = 0; i < ARRAY_LENGTH(old_phases); i++)
		if (text_equal(old_phases[i].kind, situation->kind)
		    && text_equal(old_phases[i].phase, situation->phase))
			past->phase = &old_phases[i];
	assert_non_null(past->phase);
	scene_begin(&past->scene, NULL);
	arrange_hosts(past);
	scene_stop(&past->scene);
	replace_file(past);
	past->scene.reads_hosts_first = true;
	scene_start_again(&past->scene);
}

static void end(struct past *past)
{
	CLEANUP_FREE char *backup = text_format("%s.before-3", past->scene.path);

	if (past->is_moving)
		pthread_join(past->thread, NULL);
	operations(past)->close_host(past->source);
	operations(past)->close_host(past->target);
	free(past->definition);
	free(past->target_definition);
	assert_int_equal(unlink(backup), 0);
	scene_end(&past->scene);
}

static void try_situation(const struct situation *situation, enum job_kind resized_end)
{
	struct past past;

	begin(&past, situation);
	check_end(&past, situation->end);
	if (text_equal(situation->end, "finished")) {
		scene_order_end(&past.scene, resized_end);
		check_end(&past, resized_end == JOB_CONFIRM ? "confirmed" : "reverted");
	}
	end(&past);
}

static void job_in_each_phase_of_the_version_before_ends_well(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(situations); i++) {
		try_situation(&situations[i], JOB_CONFIRM);
		if (text_equal(situations[i].end, "finished"))
			try_situation(&situations[i], JOB_REVERT);
	}
}

static void each_phase_of_the_version_before_has_a_situation(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(old_phases); i++) {
		size_t count = 0;

		for (size_t j = 0; j < ARRAY_LENGTH(situations); j++)
			count += text_equal(situations[j].kind, old_phases[i].kind)
				 && text_equal(situations[j].phase, old_phases[i].phase);
		if (count == 0)
			fail_msg("%s has no situation in phase \"%s\"", old_phases[i].kind, old_phases[i].phase);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_phase_of_the_version_before_has_a_situation),
		cmocka_unit_test(job_in_each_phase_of_the_version_before_ends_well),
	};

	threads_observe();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
