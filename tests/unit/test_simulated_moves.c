/* Live migrations on the simulated fleet: what keeps one from beginning, what stalls or ends it, how it is adjusted and how far it
 * says that it is. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/settings.h"
#include "tests/unit/simulated_fixture.h"

#define SECOND "aaaaaaaa-0000-4000-8000-000000000002"
#define MIB    (1024LL * 1024)

static const struct live_options no_options = { 0 };

static int migrate_with_text(struct bench *bench, struct error *error)
{
	return bench->operations->migrate_live(bench->source, bench->target, BENCH_GUEST, &no_options, false, error);
}

static int adjust(struct bench *bench, enum move_adjustment adjustment, struct error *error)
{
	return bench->operations->adjust(bench->source, BENCH_GUEST, adjustment, 7, error);
}

static struct move_progress progress_of(struct bench *bench)
{
	struct move_progress progress = { .memory_total = -1 };

	assert_int_equal(bench->operations->progress(bench->source, BENCH_GUEST, &progress, NULL), 0);
	return progress;
}

static void set_link(struct bench *bench, const char *one, const char *other, bool is_cut)
{
	const struct simulated_place place = { .host = one, .other = other };

	assert_int_equal(
		simulated_inject(bench->fleet, is_cut ? SIMULATED_LINK_BREAKS : SIMULATED_LINK_IS_BACK, &place, NULL),
		0);
}

static void advance_s(struct bench *bench, int seconds)
{
	clock_manual_advance(bench->clock, seconds * 1000000LL);
}

/* The guest is one of the settings from here on; its moves take ten seconds and go as it says. */
static void put_server(struct bench *bench, enum simulated_failure fails)
{
	static struct simulated_move_settings moves[] = { { .takes_s = 10 } };
	static const struct simulated_server_settings settings = {
		.name = "web", .count = 1, .memory_mb = 1000, .moves = moves, .move_count = 1
	};

	moves[0].fails = fails;
	simulated_reset(bench->fleet);
	assert_int_equal(simulated_put_server(bench->fleet, "one", BENCH_GUEST, "web", &settings, NULL), 0);
}

static void begin_copy(struct errand *errand, struct bench *bench)
{
	bench_begin(errand, bench, bench_migrate);
	while (!bench_look(bench, bench->source).is_moving_out)
		sched_yield();
}

static void a_migration_does_not_begin_where_it_could_not_end(void **state)
{
	struct bench *bench = *state;
	struct error error = { 0 };

	simulated_put_guest(bench->fleet, "two", BENCH_GUEST, GUEST_SHUT_OFF, 64, NULL);
	assert_int_equal(migrate_with_text(bench, &error), -EEXIST);
	assert_string_equal(error.text, "host two has a guest " BENCH_GUEST " already");
	bench->operations->remove_guest(bench->target, BENCH_GUEST, GUEST_SET_OFF, NULL);
	set_link(bench, "two", "one", true); /* either way round */
	assert_int_equal(migrate_with_text(bench, &error), -EIO);
	assert_string_equal(error.text, "host one cannot reach host two (simulated)");
	set_link(bench, "one", "two", false);
	assert_int_equal(migrate_with_text(bench, &error), 0);
	assert_string_equal(error.text,
			    "host one cannot reach host two (simulated)"); /* one that went well says nothing */
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

/* To a third host, while it moves to the second. */
static void a_guest_moves_once_at_a_time(void **state)
{
	struct bench *bench = *state;
	struct hypervisor_host *third = NULL;
	struct error error = { 0 };
	struct errand errand;

	assert_int_equal(simulated_add_host(bench->fleet, "three", NULL), 0);
	bench->operations->open_host(bench->fleet, &(struct hypervisor_address){ .host_id = 3, .name = "three" },
				     &third, NULL);
	assert_int_equal(simulated_put_guest(bench->fleet, "one", SECOND, GUEST_RUNNING, 64, NULL), 0);
	bench_begin_migration(&errand, bench);
	assert_int_equal(bench->operations->migrate_live(bench->source, third, BENCH_GUEST, &no_options, false, &error),
			 -EBUSY);
	assert_string_equal(error.text, "server " BENCH_GUEST " is moving already");
	assert_int_equal(bench->operations->adjust(bench->source, SECOND, MOVE_ABORT, 0, NULL), -EINVAL);
	assert_int_equal(bench->operations->adjust(bench->target, BENCH_GUEST, MOVE_ABORT, 0, NULL), -EINVAL);
	assert_int_equal(adjust(bench, MOVE_ABORT, NULL), 0);
	assert_int_equal(bench_end(&errand), -ECANCELED);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
	assert_int_equal(bench->operations->migrate_live(bench->source, third, SECOND, &no_options, false, NULL), 0);
	assert_int_equal(bench->operations->migrate_live(bench->source, third, BENCH_GUEST, &no_options, false, NULL),
			 0);
	assert_int_equal(simulated_state(bench->fleet, "three", BENCH_GUEST), GUEST_RUNNING);
}

static void only_an_adjustment_that_ends_a_copy_ends_it(void **state)
{
	struct bench *bench = *state;
	struct error error = { 0 };
	struct errand errand;

	put_server(bench, SIMULATED_FAILS_NOT);
	begin_copy(&errand, bench);
	assert_int_equal(adjust(bench, MOVE_START_POSTCOPY, &error), -EOPNOTSUPP);
	assert_string_equal(error.text, "a simulated host has no post-copy");
	assert_int_equal(adjust(bench, MOVE_BREAK_POSTCOPY, NULL), -EOPNOTSUPP);
	assert_int_equal(adjust(bench, MOVE_SET_DOWNTIME, NULL), 0);
	assert_int_equal(adjust(bench, MOVE_SET_BANDWIDTH, NULL), 0);
	advance_s(bench, 9);
	assert_true(bench_look(bench, bench->source).is_moving_out);
	advance_s(bench, 1);
	assert_int_equal(bench_end(&errand), 0);
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

/* A tenth of its time after its guest was made to stand still, counted from the first order; time in a stall does not count. */
static void a_copy_without_end_ends_when_its_guest_stands_still(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	put_server(bench, SIMULATED_FAILS_NEVER_CONVERGES);
	begin_copy(&errand, bench);
	advance_s(bench, 1000);
	assert_true(progress_of(bench).is_active);
	assert_true(progress_of(bench).memory_remaining > 0);
	assert_int_equal(adjust(bench, MOVE_PAUSE_GUEST, NULL), 0);
	clock_manual_advance(bench->clock, 600000);
	assert_int_equal(adjust(bench, MOVE_PAUSE_GUEST, NULL), 0);
	set_link(bench, "one", "two", true);
	advance_s(bench, 50);
	assert_true(bench_look(bench, bench->source).is_moving_out);
	set_link(bench, "one", "two", false);
	clock_manual_advance(bench->clock, 300000);
	assert_true(bench_look(bench, bench->source).is_moving_out);
	clock_manual_advance(bench->clock, 100000);
	assert_int_equal(bench_end(&errand), 0);
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

/* Each side's QEMU, each side's libvirtd, and the link, whichever end is named. */
static void whatever_stands_still_stalls_a_copy_for_as_long(void **state)
{
	struct bench *bench = *state;
	static const struct {
		enum simulated_fault begins, ends;
		const char *host;
	} rows[] = {
		{ SIMULATED_QEMU_HANGS, SIMULATED_QEMU_GOES_ON, "one" },
		{ SIMULATED_QEMU_HANGS, SIMULATED_QEMU_GOES_ON, "two" },
		{ SIMULATED_LIBVIRTD_STOPS, SIMULATED_LIBVIRTD_GOES_ON, "one" },
		{ SIMULATED_LIBVIRTD_STOPS, SIMULATED_LIBVIRTD_GOES_ON, "two" },
	};
	struct errand errand;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		put_server(bench, SIMULATED_FAILS_NOT);
		begin_copy(&errand, bench);
		advance_s(bench, 5);
		bench_inject(bench, rows[i].begins, rows[i].host);
		advance_s(bench, 20);
		bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
		bench_inject(bench, rows[i].ends, rows[i].host);
		assert_int_equal(progress_of(bench).elapsed_ms, 5000);
		advance_s(bench, 4);
		bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
		advance_s(bench, 1);
		assert_int_equal(bench_end(&errand), 0);
		bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
	}
}

/* A link is mended by its two ends, and by no others. */
static void links_break_and_are_mended_pair_by_pair(void **state)
{
	struct bench *bench = *state;
	static const char *const others[][2] = {
		{ "one", "three" }, { "three", "one" }, { "two", "three" }, { "three", "two" }
	};

	assert_int_equal(simulated_add_host(bench->fleet, "three", NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		set_link(bench, others[i][0], others[i][1], true);
		assert_int_equal(bench_migrate(bench), 0); /* that one is whole */
		assert_int_equal(simulated_by_hand_move(bench->fleet, "two", "one", BENCH_GUEST, NULL), 0);
		set_link(bench, "one", "two", true);
		set_link(bench, "one", "two", true); /* is broken already */
		set_link(bench, others[i][1], others[i][0], false);
		assert_int_equal(bench_migrate(bench), -EIO);
		set_link(bench, "one", "two", false);
	}
	set_link(bench, "two", "one", true);
	assert_int_equal(bench_migrate(bench), -EIO);
	set_link(bench, "one", "two", false);
	assert_int_equal(bench_migrate(bench), 0);
}

/* After 26 seconds, on either side. */
static void a_libvirtd_that_is_silent_for_long_ends_the_copy(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	for (int side = 0; side < 2; side++) {
		const char *host = side == 0 ? "one" : "two";

		put_server(bench, SIMULATED_FAILS_NOT);
		begin_copy(&errand, bench);
		advance_s(bench, 3);
		bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, host);
		clock_manual_advance(bench->clock, 25999000);
		bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
		clock_manual_advance(bench->clock, 1000);
		assert_int_equal(bench_end(&errand), -EIO);
		bench_expect(bench, GUEST_RUNNING, side == 0 ? GUEST_ABSENT : GUEST_ARRIVING);
		bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, host);
		bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	}
}

static void a_copy_ends_as_its_plan_or_a_script_says(void **state)
{
	struct bench *bench = *state;
	static const struct simulation_settings settings = { .target_lost_for_s = 30 };
	struct error error = { 0 };
	struct errand errand;

	simulated_set_moves(bench->fleet, &settings);
	put_server(bench, SIMULATED_FAILS_MIDWAY);
	begin_copy(&errand, bench);
	clock_manual_advance(bench->clock, 4999000);
	assert_true(bench_look(bench, bench->source).is_moving_out);
	clock_manual_advance(bench->clock, 1000);
	assert_int_equal(bench_end(&errand), -EIO);
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	assert_false(bench_look(bench, bench->source).is_moving_out);

	put_server(bench, SIMULATED_FAILS_TARGET_LOST);
	begin_copy(&errand, bench);
	assert_int_equal(adjust(bench, MOVE_ABORT, NULL), 0); /* then the target is not lost */
	assert_int_equal(bench_end(&errand), -ECANCELED);
	assert_int_equal(bench_look(bench, bench->target).state, GUEST_ABSENT);
	begin_copy(&errand, bench);
	advance_s(bench, 5);
	assert_int_equal(bench_end(&errand), -EIO);
	assert_int_equal(bench->news_down, 1);
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);

	simulated_reset(bench->fleet);
	simulated_put_guest(bench->fleet, "one", BENCH_GUEST, GUEST_RUNNING, 64, NULL);
	simulated_script(bench->fleet, "two", SIMULATED_COPY_RAISES, 1);
	assert_int_equal(migrate_with_text(bench, &error), -EIO);
	assert_string_equal(error.text, "the copy of server " BENCH_GUEST " to host two broke off (simulated)");
	bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
	assert_int_equal(bench->operations->remove_guest(bench->target, BENCH_GUEST, GUEST_SET(GUEST_ARRIVING), NULL),
			 0);
	assert_int_equal(migrate_with_text(bench, &error), 0);
}

/* While it stands before the switch. */
static void a_target_that_goes_before_the_switch_gets_no_guest(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_begin_migration(&errand, bench);
	simulated_set_host_up(bench->fleet, "two", false);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
	assert_int_equal(bench_end(&errand), -EIO);
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	simulated_set_host_up(bench->fleet, "two", true);
	bench_begin_migration(&errand, bench);
	simulated_end_copies(bench->fleet); /* the daemon ends */
	assert_int_equal(bench_end(&errand), -EIO);
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	assert_int_equal(bench_migrate(bench), -EIO); /* also what is begun later */
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
}

/* Handed over already, it is brought to its end. */
static void a_move_that_stands_after_the_switch_ends_with_the_fleet(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	simulated_close_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	bench_begin(&errand, bench, bench_migrate);
	simulated_wait_at_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	simulated_end_copies(bench->fleet);
	assert_int_equal(bench_end(&errand), 0);
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

/* A guest keeps its state over a move; one that is off moves, too, as it is. */
static void a_guest_arrives_in_the_state_in_which_it_left(void **state)
{
	struct bench *bench = *state;
	static const enum guest_state states[] = { GUEST_RUNNING, GUEST_PAUSED, GUEST_SHUT_OFF };

	for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
		simulated_put_guest(bench->fleet, "one", BENCH_GUEST, states[i], 64, NULL);
		assert_int_equal(bench_migrate(bench), 0);
		bench_expect(bench, GUEST_ABSENT, states[i]);
		assert_true(bench_look(bench, bench->target).is_persistent);
		assert_false(bench_look(bench, bench->target).is_moving_out);
		assert_int_equal(simulated_by_hand_move(bench->fleet, "two", "one", BENCH_GUEST, NULL), 0);
	}
}

static int begin_and_leave(struct bench *bench)
{
	struct errand errand;

	bench_begin_migration(&errand, bench);
	bench->operations->interrupt(bench->source);
	return bench_end(&errand);
}

/* Nobody has looked since it was over. */
static void what_happens_after_a_copy_has_ended_does_not_break_it(void **state)
{
	struct bench *bench = *state;
	const struct simulated_place place = { .host = "one", .uuid = BENCH_GUEST };
	struct errand errand;

	put_server(bench, SIMULATED_FAILS_NOT);
	begin_copy(&errand, bench);
	bench->operations->interrupt(bench->source);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	advance_s(bench, 10);
	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_QEMU_DIES, &place, NULL), -ENOENT);
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

/* A guest that is off has no QEMU that could end. */
static void a_guest_that_is_off_may_be_stopped_while_it_moves(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	assert_int_equal(bench->operations->stop_guest(bench->source, BENCH_GUEST, 0, NULL), 0);
	bench_begin_migration(&errand, bench);
	assert_int_equal(bench->operations->stop_guest(bench->source, BENCH_GUEST, 0, NULL), 0);
	assert_true(bench_look(bench, bench->source).is_moving_out);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
	assert_int_equal(bench_end(&errand), 0);
	bench_expect(bench, GUEST_ABSENT, GUEST_SHUT_OFF);
}

/* The halves that a libvirtd leaves behind when it dies are those of its own moves. */
static void a_libvirtd_that_dies_takes_the_halves_of_its_moves_alone(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(simulated_add_host(bench->fleet, "three", NULL), 0);
	assert_int_equal(begin_and_leave(bench), -EHOSTUNREACH);
	simulated_put_guest(bench->fleet, "two", SECOND, GUEST_RUNNING, 64, NULL);
	bench_inject(bench, SIMULATED_LIBVIRTD_DIES, "three");
	bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
	assert_true(bench_look(bench, bench->source).is_moving_out);
	bench_inject(bench, SIMULATED_LIBVIRTD_DIES, "one");
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	assert_int_equal(simulated_state(bench->fleet, "two", SECOND), GUEST_RUNNING);
	bench_inject(bench, SIMULATED_LIBVIRTD_STARTS, "one");

	/* A half on a host that stands still is taken when that goes on, not before. */
	assert_int_equal(begin_and_leave(bench), -EHOSTUNREACH);
	bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, "two");
	advance_s(bench, 26);
	bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
	bench_inject(bench, SIMULATED_LIBVIRTD_DIES, "one");
	bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
	bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "two");
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
}

/* The half of a move that goes on stays where its libvirtd stood still for a while. */
static void a_libvirtd_that_goes_on_keeps_the_half_of_a_move_under_way(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(begin_and_leave(bench), -EHOSTUNREACH);
	assert_int_equal(simulated_put_guest(bench->fleet, "two", SECOND, GUEST_ARRIVING, 64, NULL), 0); /* of none */
	bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, "two");
	bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "two");
	bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
	assert_int_equal(simulated_state(bench->fleet, "two", SECOND), GUEST_ABSENT);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

/* Handed over, it waits for the source's libvirtd to take its half away. */
static void a_source_that_stands_still_after_the_switch_keeps_its_half_until_it_goes_on(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	simulated_close_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	bench_begin(&errand, bench, bench_migrate);
	simulated_wait_at_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	assert_int_equal(adjust(bench, MOVE_ABORT, NULL), -EINVAL); /* too late */
	bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, "one");
	simulated_open_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	advance_s(bench, 60);
	bench_expect(bench, GUEST_HANDED_OVER, GUEST_RUNNING);
	bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "one");
	assert_int_equal(bench_end(&errand), 0);
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

static void progress_tells_of_memory_and_of_the_disks_that_are_copied(void **state)
{
	struct bench *bench = *state;
	struct move_progress progress;
	struct errand errand;

	progress = progress_of(bench); /* of none */
	assert_false(progress.is_active);
	assert_int_equal(progress.memory_total, 64 * MIB);
	assert_int_equal(progress.memory_remaining, 64 * MIB);
	assert_int_equal(progress.memory_processed, 0);
	bench_begin_migration(&errand, bench); /* takes no time: nothing is reported of its way */
	progress = progress_of(bench);
	assert_true(progress.is_active);
	assert_int_equal(progress.memory_remaining, 64 * MIB);
	assert_int_equal(progress.elapsed_ms, 0);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
	assert_int_equal(bench_end(&errand), 0);

	put_server(bench, SIMULATED_FAILS_NOT);
	assert_int_equal(simulated_put_disk(bench->fleet, "one", BENCH_GUEST, "a.raw", 3000, true, NULL), 0);
	begin_copy(&errand, bench);
	advance_s(bench, 5);
	assert_int_equal(progress_of(bench).disk_total, 0); /* shared disks are copied nowhere */
	assert_int_equal(progress_of(bench).memory_processed / MIB, 499);
	advance_s(bench, 5);
	assert_int_equal(bench_end(&errand), 0);
}

static int prepare_and_migrate(struct bench *bench)
{
	int result = bench->operations->prepare_live(bench->source, bench->target, BENCH_GUEST, &no_options, true, NULL,
						     NULL);

	return result < 0 ? result
			  : bench->operations->migrate_live(bench->source, bench->target, BENCH_GUEST, &no_options,
							    true, NULL);
}

static void progress_of_private_disks_goes_with_the_memory(void **state)
{
	struct bench *bench = *state;
	struct move_progress progress;
	struct errand errand;

	put_server(bench, SIMULATED_FAILS_NEVER_CONVERGES);
	assert_int_equal(simulated_put_disk(bench->fleet, "one", BENCH_GUEST, "a.raw", 1000, false, NULL), 0);
	assert_int_equal(simulated_put_disk(bench->fleet, "one", BENCH_GUEST, "b.raw", 3000, false, NULL), 0);
	bench_begin(&errand, bench, prepare_and_migrate);
	while (!bench_look(bench, bench->source).is_moving_out)
		sched_yield();
	advance_s(bench, 5);
	progress = progress_of(bench);
	assert_int_equal(progress.disk_total, 4000);
	assert_true(progress.disk_processed >= 1990 && progress.disk_processed <= 2000);
	assert_int_equal(progress.disk_processed + progress.disk_remaining, 4000);
	advance_s(bench, 60); /* the memory is written again and again, the disks are there */
	progress = progress_of(bench);
	assert_int_equal(progress.disk_processed, 4000);
	assert_int_equal(progress.disk_remaining, 0);
	assert_int_equal(progress.memory_remaining, 100 * MIB);
	assert_int_equal(adjust(bench, MOVE_ABORT, NULL), 0);
	assert_int_equal(bench_end(&errand), -ECANCELED);
}

static void a_move_that_took_time_tells_its_downtime_afterwards(void **state)
{
	struct bench *bench = *state;
	struct move_progress progress = { 0 };
	struct errand errand;

	assert_int_equal(bench_migrate(bench), 0);
	assert_int_equal(bench->operations->completed(bench->target, BENCH_GUEST, &progress, NULL), 0);
	assert_int_equal(progress.memory_total, 64 * MIB);
	assert_int_equal(progress.memory_processed, 64 * MIB);
	assert_int_equal(progress.downtime_ms, 0);
	put_server(bench, SIMULATED_FAILS_NOT);
	begin_copy(&errand, bench);
	advance_s(bench, 10);
	assert_int_equal(bench_end(&errand), 0);
	assert_int_equal(bench->operations->completed(bench->target, BENCH_GUEST, &progress, NULL), 0);
	assert_int_equal(progress.memory_total, 1000 * MIB);
	assert_int_equal(progress.downtime_ms, 20);
	assert_false(progress.is_active);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_migration_does_not_begin_where_it_could_not_end),
		TEST(a_guest_moves_once_at_a_time),
		TEST(only_an_adjustment_that_ends_a_copy_ends_it),
		TEST(a_copy_without_end_ends_when_its_guest_stands_still),
		TEST(whatever_stands_still_stalls_a_copy_for_as_long),
		TEST(links_break_and_are_mended_pair_by_pair),
		TEST(a_libvirtd_that_is_silent_for_long_ends_the_copy),
		TEST(a_copy_ends_as_its_plan_or_a_script_says),
		TEST(a_target_that_goes_before_the_switch_gets_no_guest),
		TEST(a_move_that_stands_after_the_switch_ends_with_the_fleet),
		TEST(a_guest_arrives_in_the_state_in_which_it_left),
		TEST(what_happens_after_a_copy_has_ended_does_not_break_it),
		TEST(a_guest_that_is_off_may_be_stopped_while_it_moves),
		TEST(a_libvirtd_that_dies_takes_the_halves_of_its_moves_alone),
		TEST(a_libvirtd_that_goes_on_keeps_the_half_of_a_move_under_way),
		TEST(a_source_that_stands_still_after_the_switch_keeps_its_half_until_it_goes_on),
		TEST(progress_tells_of_memory_and_of_the_disks_that_are_copied),
		TEST(progress_of_private_disks_goes_with_the_memory),
		TEST(a_move_that_took_time_tells_its_downtime_afterwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
