/* The watch over a live migration: when it is ended, forced or broken, and what is reported of it meanwhile. The source is the test's
 * own, so that each byte and each second makes a difference, or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "db/jobs.h"
#include "db/migrations.h"
#include "server/worker/job.h"
#include "tests/unit/worker_fixture.h"

#define GIB     (1024LL * 1024 * 1024)
#define RETRY_S 5 /* the fixture's */

/* What the source tells, and what was asked of it. */
static struct {
	struct hypervisor base;
	struct hypervisor_host source;
	int progress_result;
	struct move_progress progress;
	int adjust_result[MOVE_BREAK_POSTCOPY + 1];
	char adjusted[512]; /* "name value; " each */
} fake;

/* The job, as its thread has it in the copy. */
static struct {
	struct worker_fixture *fixture;
	struct worker_order order;
	struct job_slot slot;
	struct job_run *run;
	struct move_watch watch;
	struct log *log;
	int log_read, log_write;
} scene;

static int fake_progress(struct hypervisor_host *source, const char *uuid, struct move_progress *ret_progress,
			 struct error *error)
{
	assert_ptr_equal(source, &fake.source);
	assert_string_equal(uuid, scene.order.uuid);
	if (fake.progress_result < 0)
		return error_set(error, -fake.progress_result, "the source does not tell");
	*ret_progress = fake.progress;
	return 0;
}

static int fake_adjust(struct hypervisor_host *source, const char *uuid, enum move_adjustment adjustment, int64_t value,
		       struct error *error)
{
	static const char *const names[] = {
		[MOVE_ABORT] = "abort",       [MOVE_SET_DOWNTIME] = "downtime",   [MOVE_SET_BANDWIDTH] = "bandwidth",
		[MOVE_PAUSE_GUEST] = "pause", [MOVE_START_POSTCOPY] = "postcopy", [MOVE_BREAK_POSTCOPY] = "break",
	};
	size_t length = strlen(fake.adjusted);
	int result = fake.adjust_result[adjustment];

	assert_ptr_equal(source, &fake.source);
	assert_string_equal(uuid, scene.order.uuid);
	snprintf(fake.adjusted + length, sizeof(fake.adjusted) - length, "%s %lld; ", names[adjustment],
		 (long long)value);
	return result < 0 ? error_set(error, -result, "the source will not") : 0;
}

static const struct hypervisor_operations fake_operations = { .driver_name = "fake",
							      .progress = fake_progress,
							      .adjust = fake_adjust };

static void read_job(struct db_job *ret_job)
{
	struct db_fixture *fixture = scene.fixture->db;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);

	OK(db_job_by_id(session, scene.order.job_id, ret_job, &fixture->error));
}

static int setup(void **state)
{
	int ends[2];

	worker_fixture_setup(state);
	memset(&fake, 0, sizeof(fake));
	memset(&scene, 0, sizeof(scene));
	fake.base.operations = &fake_operations;
	fake.source.hypervisor = &fake.base;
	fake.progress = (struct move_progress){ .is_active = true, .memory_total = GIB, .iteration = 1 };
	scene.fixture = *state;
	scene.order = worker_fixture_server(scene.fixture, "vm", ONE);
	worker_fixture_order(scene.fixture, &scene.order, "live", ONE, TWO);
	worker_fixture_set_phase(scene.fixture, &scene.order, "moving", TWO);
	assert_int_equal(pipe(ends), 0);
	scene.log_read = ends[0];
	scene.log_write = ends[1];
	scene.log = log_create(scene.log_write, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, scene.fixture->db->clock);
	return 0;
}

/* From here on, by the settings of now. */
static void begin(void)
{
	struct worker *worker = scene.fixture->worker;

	assert_int_equal(worker_set_limits(worker, &scene.fixture->settings, &scene.fixture->scheduler, NULL), 0);
	worker->parts.hypervisor = &fake.base;
	worker->parts.log = scene.log;
	scene.run = calloc(1, sizeof(*scene.run));
	assert_non_null(scene.run);
	*scene.run = (struct job_run){ .worker = worker,
				       .limits = worker_limits_now(worker),
				       .slot = &scene.slot,
				       .kind = JOB_LIVE,
				       .source_name = "one",
				       .target_name = "two",
				       .source = &fake.source };
	read_job(&scene.run->job);
	watch_begin(scene.run, &scene.watch);
}

static int teardown(void **state)
{
	struct worker *worker = scene.fixture->worker;

	worker->parts.hypervisor = scene.fixture->fleet;
	worker->parts.log = NULL;
	db_job_clear(&scene.run->job);
	free(scene.run);
	log_destroy(scene.log);
	close(scene.log_read);
	close(scene.log_write);
	return worker_fixture_teardown(state);
}

/* So much later, and so many bytes on. */
static void look_after(int64_t milliseconds, int64_t bytes)
{
	clock_manual_advance(scene.fixture->db->clock, milliseconds * 1000);
	fake.progress.data_processed += bytes;
	watch_once(scene.run, &scene.watch);
}

/* What was asked of the source since the last time. */
static void check_adjusted(const char *expected)
{
	assert_string_equal(fake.adjusted, expected);
	fake.adjusted[0] = '\0';
}

/* The log until now has the words. */
static void check_logged(const char *words)
{
	char text[8192];
	ssize_t length = read(scene.log_read, text, sizeof(text) - 1);

	assert_in_range(length, 1, sizeof(text) - 1);
	text[length] = '\0';
	if (!strstr(text, words))
		fail_msg("the log does not say \"%s\": %s", words, text);
}

static void check_status(const char *expected)
{
	struct db_fixture *fixture = scene.fixture->db;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	struct db_migration migration = { 0 };

	OK(db_migration_by_id(session, scene.order.migration_id, &migration, &fixture->error));
	db_read_end(TAKE_POINTER(session));
	assert_string_equal(migration.status, expected);
}

struct request {
	bool abort, force_complete;
};

static int write_request(struct db_session *session, void *context, struct error *error)
{
	const struct request *request = context;

	return db_job_request(session, scene.order.job_id, request->abort, request->force_complete, error);
}

/* As a client does by the API. */
static void ask_for(bool abort, bool force_complete)
{
	struct request request = { abort, force_complete };

	db_fixture_write(scene.fixture->db, write_request, &request);
}

static void a_stream_is_ended_once_when_not_a_byte_went_over_for_the_stall_timeout(void **state)
{
	(void)state;
	begin();
	look_after(59900, 0);
	check_adjusted("");
	look_after(50, 1);
	look_after(59900, 0);
	check_adjusted("");
	assert_string_equal(scene.run->ended_why, "");
	look_after(100, 0);
	check_adjusted("abort 0; ");
	assert_string_equal(scene.run->ended_why, "no byte went over from one to two for 60 s (stall_timeout), so that "
						  "the move was ended");
	assert_false(scene.run->is_over_time);
	look_after(60000, 0);
	check_adjusted("");
}

static void a_stall_timeout_of_0_ends_no_stream(void **state)
{
	(void)state;
	scene.fixture->settings.stall_timeout_s = 0;
	begin();
	look_after(86400000, 0);
	look_after(86400000, 0);
	check_adjusted("");
}

/* Half of the memory is on each side: ended, the guest would be lost. */
static void a_stream_that_stands_still_in_post_copy_is_broken_and_never_ended(void **state)
{
	(void)state;
	begin();
	fake.progress.is_in_postcopy = true;
	look_after(500, 1);
	look_after(59900, 0);
	check_adjusted("");
	look_after(100, 0);
	check_adjusted("break 0; ");
	assert_string_equal(scene.run->ended_why, "no byte went over in post-copy for 60 s (stall_timeout)");
	check_logged("stream of post-copy stands still, it is broken to be taken up again: server=");
}

static void a_post_copy_that_cannot_be_broken_was_not_ended_by_us(void **state)
{
	(void)state;
	begin();
	fake.progress.is_in_postcopy = true;
	fake.adjust_result[MOVE_BREAK_POSTCOPY] = -EIO;
	look_after(60000, 0);
	check_adjusted("break 0; ");
	assert_string_equal(scene.run->ended_why, "");
	check_logged("the source will not");
	fake.adjust_result[MOVE_BREAK_POSTCOPY] = 0;
	look_after(500, 0);
	check_adjusted("break 0; ");
	assert_string_not_equal(scene.run->ended_why, "");
}

/* Also after a restart, when nothing was seen of it yet. */
static void post_copy_is_neither_ended_nor_forced_whatever_is_asked_and_how_long_it_takes(void **state)
{
	static const enum timeout_action actions[] = { TIMEOUT_ACTION_ABORT, TIMEOUT_ACTION_FORCE_COMPLETE };

	for (size_t i = 0; i < ARRAY_LENGTH(actions); i++) {
		scene.fixture->settings.live_migration_completion_timeout_s = 1;
		scene.fixture->settings.live_migration_timeout_action = actions[i];
		scene.fixture->settings.live_migration_permit_post_copy = true;
		scene.fixture->settings.live_migration_downtime_steps = 2;
		scene.fixture->settings.live_migration_downtime_ms = 500;
		ask_for(true, true);
		begin();
		fake.progress.is_in_postcopy = true;
		for (int minute = 0; minute < 180; minute++)
			look_after(59000, 1);
		check_adjusted("");
		check_status("running (post-copy)");
		if (i + 1 == ARRAY_LENGTH(actions))
			break;
		teardown(state);
		setup(state);
	}
}

static void post_copy_is_recorded_once_and_its_abort_is_not_sent_any_more(void **state)
{
	(void)state;
	begin();
	look_after(500, 1);
	check_status("accepted");
	fake.progress.is_in_postcopy = true;
	look_after(500, 1);
	check_status("running (post-copy)");
	assert_true(scene.watch.is_in_postcopy);
	int64_t number = db_change_number(scene.fixture->db->database);
	look_after(500, 1);
	assert_int_equal(db_change_number(scene.fixture->db->database), number);
	ask_for(true, false);
	look_after(500, 1);
	check_adjusted("");
}

static void an_abort_is_sent_until_the_source_has_taken_it_and_then_no_more(void **state)
{
	(void)state;
	begin();
	look_after(500, 1);
	check_adjusted("");
	fake.adjust_result[MOVE_ABORT] = -EHOSTUNREACH;
	ask_for(true, false);
	look_after(500, 1);
	look_after(500, 1);
	check_adjusted("abort 0; abort 0; ");
	fake.adjust_result[MOVE_ABORT] = 0;
	look_after(500, 1);
	look_after(500, 1);
	check_adjusted("abort 0; ");
	assert_string_equal(scene.run->ended_why, ""); /* its client knows why */
	assert_false(scene.run->is_over_time);
}

/* 10 s for each GiB, of which there are never fewer than 2. */
static void a_move_that_takes_longer_than_its_limit_is_ended_once_and_not_before(void **state)
{
	(void)state;
	scene.fixture->settings.live_migration_completion_timeout_s = 10;
	begin();
	look_after(20000, 1);
	check_adjusted("");
	assert_false(scene.run->is_over_time);
	look_after(100, 1);
	check_adjusted("abort 0; ");
	assert_true(scene.run->is_over_time);
	assert_non_null(strstr(scene.run->ended_why, "longer than its limit of 20 s"));
	look_after(20000, 1);
	check_adjusted("");
}

static void a_move_that_cannot_be_ended_has_not_been_ended_for_its_time(void **state)
{
	(void)state;
	scene.fixture->settings.live_migration_completion_timeout_s = 10;
	begin();
	fake.adjust_result[MOVE_ABORT] = -EIO;
	look_after(21000, 1);
	check_adjusted("abort 0; ");
	assert_false(scene.run->is_over_time);
	assert_string_equal(scene.run->ended_why, "");
	check_logged("the source will not");
}

/* It began before the daemon that watches it now. */
static void the_time_of_a_move_counts_from_its_own_beginning(void **state)
{
	(void)state;
	scene.fixture->settings.live_migration_completion_timeout_s = 10;
	begin();
	fake.progress.elapsed_ms = 20000;
	look_after(500, 1);
	check_adjusted("");
	fake.progress.elapsed_ms = 20500;
	look_after(500, 1);
	check_adjusted("abort 0; ");
}

static void a_completion_timeout_of_0_is_no_limit(void **state)
{
	static const enum timeout_action actions[] = { TIMEOUT_ACTION_ABORT, TIMEOUT_ACTION_FORCE_COMPLETE };

	for (size_t i = 0; i < ARRAY_LENGTH(actions); i++) {
		scene.fixture->settings.live_migration_timeout_action = actions[i];
		begin();
		look_after(86400000, 1);
		check_adjusted("");
		if (i + 1 == ARRAY_LENGTH(actions))
			break;
		teardown(state);
		setup(state);
	}
}

/* How a move is forced, by what its hosts may do: the answer of each look is what was asked in it. */
static const struct forcing {
	bool permits_postcopy;
	int postcopy_result, pause_result;
	int64_t iteration;
	const char *first, *second;
} forcings[] = {
	{ .iteration = 1, .first = "pause 0; ", .second = "" },
	{ .iteration = 0, .first = "pause 0; ", .second = "" },
	{ .pause_result = -EIO, .iteration = 1, .first = "pause 0; ", .second = "pause 0; " },
	{ .permits_postcopy = true, .iteration = 1, .first = "postcopy 0; ", .second = "" },
	/* QEMU's stream has not begun: it would be refused for good. */
	{ .permits_postcopy = true, .iteration = 0, .first = "", .second = "" },
	{ true, -EOPNOTSUPP, 0, 1, "postcopy 0; pause 0; ", "" },
	{ true, -EOPNOTSUPP, -EIO, 1, "postcopy 0; pause 0; ", "postcopy 0; pause 0; " },
	/* The guest runs on as long as post-copy may still come. */
	{ true, -EIO, 0, 1, "postcopy 0; ", "postcopy 0; " },
};

static void set_forcing(const struct forcing *forcing)
{
	scene.fixture->settings.live_migration_permit_post_copy = forcing->permits_postcopy;
	fake.adjust_result[MOVE_START_POSTCOPY] = forcing->postcopy_result;
	fake.adjust_result[MOVE_PAUSE_GUEST] = forcing->pause_result;
	fake.progress.iteration = forcing->iteration;
}

static void a_move_that_a_client_forces_goes_by_post_copy_or_its_guest_stands_still(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(forcings); i++) {
		set_forcing(&forcings[i]);
		begin();
		look_after(500, 1);
		check_adjusted("");
		ask_for(false, true);
		look_after(500, 1);
		check_adjusted(forcings[i].first);
		look_after(500, 1);
		check_adjusted(forcings[i].second);
		if (i + 1 == ARRAY_LENGTH(forcings))
			break;
		teardown(state);
		setup(state);
	}
}

static void a_move_that_takes_too_long_is_forced_where_the_settings_say_so(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(forcings); i++) {
		scene.fixture->settings.live_migration_completion_timeout_s = 10;
		scene.fixture->settings.live_migration_timeout_action = TIMEOUT_ACTION_FORCE_COMPLETE;
		set_forcing(&forcings[i]);
		begin();
		look_after(20000, 1);
		check_adjusted("");
		look_after(100, 1);
		check_adjusted(forcings[i].first);
		look_after(500, 1);
		check_adjusted(forcings[i].second);
		assert_false(scene.run->is_over_time);
		if (i + 1 == ARRAY_LENGTH(forcings))
			break;
		teardown(state);
		setup(state);
	}
}

/* A step that comes late takes those before it with it; one that the source does not take is asked for again. */
static void the_downtime_is_raised_step_by_step_each_of_them_once(void **state)
{
	(void)state;
	scene.fixture->settings.live_migration_downtime_ms = 400;
	scene.fixture->settings.live_migration_downtime_steps = 4;
	scene.fixture->settings.live_migration_downtime_delay_s = 10; /* 20 s for the 2 GiB that count */
	begin();
	look_after(100, 1);
	check_adjusted("downtime 100; ");
	look_after(19900, 1);
	check_adjusted("");
	look_after(100, 1);
	check_adjusted("downtime 175; ");
	fake.adjust_result[MOVE_SET_DOWNTIME] = -EIO;
	look_after(40000, 1);
	check_adjusted("downtime 325; ");
	fake.adjust_result[MOVE_SET_DOWNTIME] = 0;
	look_after(500, 1);
	check_adjusted("downtime 325; ");
	look_after(3600000, 1);
	check_adjusted("downtime 400; ");
	look_after(3600000, 1);
	check_adjusted("");
}

static void check_recorded(int64_t memory_processed, int64_t disk_processed)
{
	struct db_fixture *fixture = scene.fixture->db;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	struct db_migration migration = { 0 };

	OK(db_migration_by_id(session, scene.order.migration_id, &migration, &fixture->error));
	db_read_end(TAKE_POINTER(session));
	assert_int_equal(migration.memory.processed, memory_processed);
	assert_int_equal(migration.disk.processed, disk_processed);
}

static void show_processed(int64_t memory, int64_t disk)
{
	fake.progress.memory_processed = memory;
	fake.progress.memory_remaining = fake.progress.memory_total - memory;
	fake.progress.disk_total = GIB;
	fake.progress.disk_processed = disk;
	fake.progress.disk_remaining = GIB - disk;
}

/* Whoever asks the daemon itself has the newest all the same. */
static void progress_is_recorded_at_its_interval_and_shown_at_once(void **state)
{
	struct move_progress shown = { 0 };

	(void)state;
	begin();
	scene.slot.next = scene.fixture->worker->slots;
	scene.fixture->worker->slots = &scene.slot;
	assert_int_equal(worker_progress(scene.fixture->worker, scene.order.migration_id, &shown), -ENOENT);
	show_processed(10, 20);
	look_after(1000, 1);
	check_recorded(10, 20);
	show_processed(30, 40);
	look_after(999, 1);
	check_recorded(10, 20);
	assert_int_equal(worker_progress(scene.fixture->worker, scene.order.migration_id, &shown), 0);
	assert_int_equal(shown.memory_processed, 30);
	assert_int_equal(worker_progress(scene.fixture->worker, scene.order.migration_id + 1, &shown), -ENOENT);
	look_after(1, 1);
	check_recorded(30, 40);
	fake.progress.is_active = false;
	look_after(1000, 1);
	assert_int_equal(worker_progress(scene.fixture->worker, scene.order.migration_id, &shown), -ENOENT);
	scene.fixture->worker->slots = scene.slot.next;
}

/* Until then it may have missed a word or two. */
static void a_source_that_tells_nothing_for_a_retry_interval_is_not_watched_blindly(void **state)
{
	(void)state;
	begin();
	look_after(500, 1);
	fake.progress_result = -EHOSTUNREACH;
	look_after(RETRY_S * 1000 - 1, 1);
	assert_false(watch_is_blind(scene.run, &scene.watch));
	look_after(1, 1);
	assert_true(watch_is_blind(scene.run, &scene.watch));
	assert_true(scene.watch.is_active); /* nothing is known */
	fake.progress_result = 0;
	look_after(500, 1);
	assert_false(watch_is_blind(scene.run, &scene.watch));
	check_adjusted("");
}

static void a_move_of_which_the_source_knows_nothing_is_not_under_way(void **state)
{
	(void)state;
	begin();
	look_after(500, 1);
	assert_true(scene.watch.is_active);
	fake.progress_result = -ENOENT;
	look_after(500, 1);
	assert_false(scene.watch.is_active);
	assert_true(scene.watch.was_active);
	fake.progress_result = 0;
	fake.progress.is_active = false;
	look_after(86400000, 0);
	assert_false(scene.watch.is_active);
	check_adjusted(""); /* there is nothing to end */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stream_is_ended_once_when_not_a_byte_went_over_for_the_stall_timeout),
		TEST(a_stall_timeout_of_0_ends_no_stream),
		TEST(a_stream_that_stands_still_in_post_copy_is_broken_and_never_ended),
		TEST(a_post_copy_that_cannot_be_broken_was_not_ended_by_us),
		TEST(post_copy_is_neither_ended_nor_forced_whatever_is_asked_and_how_long_it_takes),
		TEST(post_copy_is_recorded_once_and_its_abort_is_not_sent_any_more),
		TEST(an_abort_is_sent_until_the_source_has_taken_it_and_then_no_more),
		TEST(a_move_that_takes_longer_than_its_limit_is_ended_once_and_not_before),
		TEST(a_move_that_cannot_be_ended_has_not_been_ended_for_its_time),
		TEST(the_time_of_a_move_counts_from_its_own_beginning),
		TEST(a_completion_timeout_of_0_is_no_limit),
		TEST(a_move_that_a_client_forces_goes_by_post_copy_or_its_guest_stands_still),
		TEST(a_move_that_takes_too_long_is_forced_where_the_settings_say_so),
		TEST(the_downtime_is_raised_step_by_step_each_of_them_once),
		TEST(progress_is_recorded_at_its_interval_and_shown_at_once),
		TEST(a_source_that_tells_nothing_for_a_retry_interval_is_not_watched_blindly),
		TEST(a_move_of_which_the_source_knows_nothing_is_not_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
