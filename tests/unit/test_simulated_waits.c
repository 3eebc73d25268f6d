/* Calls upon the simulated fleet that wait: how they are broken off, in which order they land, who is woken, and that waiting is rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "tests/unit/simulated_fixture.h"

#define DEFINITION "simulated guest " BENCH_GUEST " of 96 MiB"

static const struct live_options no_options = { 0 };
static struct error told;

/* What is read is reported only by a call that ends well. */
static int describe(struct bench *bench)
{
	CLEANUP_HOST_FACTS struct host_facts facts = { 0 };
	int result = bench->operations->describe(bench->source, &facts, NULL);

	assert_int_equal(facts.facts != NULL, result == 0);
	return result;
}

static int list(struct bench *bench)
{
	CLEANUP_GUESTS struct guest_list guests = { 0 };

	int result = bench->operations->list_guests(bench->source, &guests, NULL);

	assert_int_equal(guests.items != NULL, result == 0);
	return result;
}

static int look(struct bench *bench)
{
	struct guest_view view = { .state = GUEST_STATE_MAX };
	int result = bench->operations->look(bench->source, BENCH_GUEST, &view, NULL);

	assert_int_equal(view.state != GUEST_STATE_MAX, result == 0);
	return result;
}

static int check_live(struct bench *bench)
{
	struct check_result check;

	return bench->operations->check_live(bench->source, bench->target, BENCH_GUEST, &no_options, &check, NULL);
}

static int check_cold(struct bench *bench)
{
	struct check_result check;

	return bench->operations->check_cold(bench->source, bench->target, BENCH_GUEST, &check, NULL);
}

static int stop(struct bench *bench)
{
	return bench->operations->stop_guest(bench->source, BENCH_GUEST, 0, NULL);
}

static int remove_guest(struct bench *bench)
{
	return bench->operations->remove_guest(bench->source, BENCH_GUEST, GUEST_SET_OFF, NULL);
}

/* What it has read is neither reported nor kept. */
static void a_reading_that_is_held_can_be_broken_off(void **state)
{
	struct bench *bench = *state;
	static int (*const readings[])(struct bench * bench) = { list, describe };
	struct errand errand;

	for (size_t i = 0; i < ARRAY_LENGTH(readings); i++)
		for (int ends = 0; ends < 2; ends++) {
			bench_inject(bench, SIMULATED_READINGS_ARE_HELD, "one");
			bench_begin(&errand, bench, readings[i]);
			simulated_wait_hung(bench->fleet, "one");
			if (ends)
				bench_inject(bench, SIMULATED_READINGS_GO_ON, "one");
			else
				bench->operations->interrupt(bench->source);
			assert_int_equal(bench_end(&errand), ends ? 0 : -EHOSTUNREACH);
		}
	bench_inject(bench, SIMULATED_READINGS_ARE_HELD, "one");
	assert_int_equal(look(bench), 0); /* that is none of those */
	bench_begin(&errand, bench, list);
	simulated_wait_hung(bench->fleet, "one");
	simulated_end_copies(bench->fleet);
	assert_int_equal(bench_end(&errand), 0);
}

static int check_cold_and_tell(struct bench *bench)
{
	struct check_result check;

	told = (struct error){ 0 };
	return bench->operations->check_cold(bench->source, bench->target, BENCH_GUEST, &check, &told);
}

static void a_call_that_is_broken_off_names_the_host_that_broke_it_off(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	for (int side = 0; side < 3; side++) {
		assert_true(simulated_hang_next(bench->fleet, "one", "check_cold", SIMULATED_LANDS_NEVER));
		bench_begin(&errand, bench, check_cold_and_tell);
		simulated_wait_hung(bench->fleet, "one");
		if (side < 2)
			bench->operations->interrupt(side == 0 ? bench->source : bench->target);
		else
			simulated_reset(bench->fleet); /* then it is the call's own */
		assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
		assert_string_equal(told.text, side == 1 ? "host two: the call was broken off (simulated)"
							 : "host one: the call was broken off (simulated)");
	}
}

static int define_target(struct bench *bench)
{
	return bench->operations->define(bench->target, DEFINITION, false, NULL);
}

/* In the order in which they were asked for, and each on its own host. */
static void calls_that_land_late_land_one_after_the_other(void **state)
{
	struct bench *bench = *state;
	struct errand other, errands[2];

	assert_true(simulated_hang_next(bench->fleet, "two", "define", SIMULATED_LANDS_NEVER));
	bench_begin(&other, bench, define_target);
	simulated_wait_hung(bench->fleet, "two");
	assert_true(simulated_hang_next(bench->fleet, "one", "stop_guest", SIMULATED_LANDS_LATE));
	assert_true(simulated_hang_next(bench->fleet, "one", "remove_guest", SIMULATED_LANDS_LATE));
	bench_begin(&errands[0], bench, stop);
	simulated_wait_hung(bench->fleet, "one");
	bench->operations->interrupt(bench->source);
	assert_int_equal(bench_end(&errands[0]), -EHOSTUNREACH);
	bench_begin(&errands[1], bench, remove_guest);
	simulated_wait_hung(bench->fleet, "one");
	bench->operations->interrupt(bench->source);
	assert_int_equal(bench_end(&errands[1]), -EHOSTUNREACH);
	bench->operations->interrupt(bench->target);
	assert_int_equal(bench_end(&other), -EHOSTUNREACH);
	assert_false(bench_look(bench, bench->target).is_busy);
	assert_false(simulated_land_late(bench->fleet, "two"));
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	assert_true(simulated_land_late(bench->fleet, "one"));
	bench_expect(bench, GUEST_ABSENT, GUEST_ABSENT);
}

/* What a libvirtd that stands still was asked is lost then. */
static void calls_of_a_stopped_libvirtd_return_when_the_fleet_ends(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, "one");
	bench_begin(&errand, bench, stop);
	simulated_wait_hung(bench->fleet, "one");
	simulated_end_copies(bench->fleet);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "one");
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
}

static int64_t processor_us(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return used.tv_sec * 1000000LL + used.tv_nsec / 1000;
}

static void expect_rest(const char *what)
{
	int64_t before_us = processor_us();

	usleep(30000);
	if (processor_us() - before_us > 3000)
		fail_msg("%s: %lld us", what, (long long)(processor_us() - before_us));
}

/* They wait for something to change, and do not look for it again and again. */
static void whoever_waits_takes_no_processor_time(void **state)
{
	struct bench *bench = *state;
	struct errand errand, second;

	assert_true(simulated_hang_next(bench->fleet, "one", "describe", SIMULATED_LANDS_NEVER));
	bench_begin(&errand, bench, describe);
	simulated_wait_hung(bench->fleet, "one");
	assert_true(simulated_hang_next(bench->fleet, "two", "define", SIMULATED_LANDS_NEVER));
	bench_begin(&second, bench, define_target);
	simulated_wait_hung(bench->fleet, "two");
	expect_rest("two calls that hang");
	bench->operations->interrupt(bench->source);
	bench->operations->interrupt(bench->target);
	bench_end(&errand);
	bench_end(&second);

	bench_begin_migration(&errand, bench);
	expect_rest("a migration at its gate");
	bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, "two");
	bench_begin(&second, bench, check_cold);
	simulated_wait_hung(bench->fleet, "two");
	expect_rest("one that is stalled, and a call of a libvirtd that stands still");
	bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "two");
	bench_end(&second);
	simulated_close_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
	simulated_wait_at_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, "one");
	clock_manual_advance(bench->clock, 60000000);
	expect_rest("one that is handed over");
	bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "one");
	simulated_open_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	assert_int_equal(bench_end(&errand), 0);

	simulated_put_guest(bench->fleet, "one", BENCH_GUEST, GUEST_RUNNING, 64, NULL);
	bench_inject(bench, SIMULATED_QEMU_HANGS, "one");
	bench_begin(&errand, bench, stop);
	simulated_wait_hung(bench->fleet, "one");
	expect_rest("a call for a guest that is busy");
	bench_inject(bench, SIMULATED_QEMU_GOES_ON, "one");
	assert_int_equal(bench_end(&errand), 0);
}

static int wait_and_interrupt(struct bench *bench)
{
	simulated_wait_hung(bench->fleet, "one");
	bench->operations->interrupt(bench->source);
	return 0;
}

/* It may have begun to wait before the call did. */
static void who_waits_for_a_call_to_hang_is_woken(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	assert_true(simulated_hang_next(bench->fleet, "one", "stop_guest", SIMULATED_LANDS_NEVER));
	bench_begin(&errand, bench, wait_and_interrupt);
	usleep(20000);
	assert_int_equal(stop(bench), -EHOSTUNREACH);
	assert_int_equal(bench_end(&errand), 0);
}

static void a_hang_is_of_one_call_of_one_host(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	assert_true(simulated_hang_next(bench->fleet, "one", "stop_guest", SIMULATED_LANDS_NEVER));
	assert_true(simulated_hang_next(bench->fleet, "two", "look", SIMULATED_LANDS_NEVER));
	assert_true(simulated_hang_next(bench->fleet, "two", "check_cold", SIMULATED_LANDS_NEVER));
	assert_int_equal(look(bench), 0);
	assert_int_equal(check_live(bench), 0);
	bench_begin(&errand, bench, check_cold); /* a target's, too */
	simulated_wait_hung(bench->fleet, "two");
	bench->operations->interrupt(bench->target);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	assert_int_equal(check_cold(bench), 0);
	bench_begin(&errand, bench, stop);
	simulated_wait_hung(bench->fleet, "one");
	bench->operations->interrupt(bench->source);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	assert_int_equal(stop(bench), 0);
}

/* It is not its guest that it has to wait for. */
static void a_host_that_does_not_answer_is_told_though_its_guest_is_busy(void **state)
{
	struct bench *bench = *state;

	bench_inject(bench, SIMULATED_QEMU_HANGS, "one");
	bench_inject(bench, SIMULATED_OUR_LINK_BREAKS, "one");
	assert_int_equal(stop(bench), -EHOSTUNREACH);
}

static bool has_seen_it_hang;

static int wait_until_hung(struct bench *bench)
{
	simulated_wait_hung(bench->fleet, "two");
	__atomic_store_n(&has_seen_it_hang, true, __ATOMIC_RELEASE);
	return 0;
}

static void a_call_at_its_gate_does_not_hang_yet(void **state)
{
	struct bench *bench = *state;
	struct errand errand, waiting;

	__atomic_store_n(&has_seen_it_hang, false, __ATOMIC_RELEASE);
	assert_true(simulated_hang_next(bench->fleet, "two", "define", SIMULATED_LANDS_NEVER));
	simulated_close_gate(bench->fleet, SIMULATED_GATE_DEFINE);
	bench_begin(&errand, bench, define_target);
	simulated_wait_at_gate(bench->fleet, SIMULATED_GATE_DEFINE);
	bench_begin(&waiting, bench, wait_until_hung);
	usleep(20000);
	assert_false(__atomic_load_n(&has_seen_it_hang, __ATOMIC_ACQUIRE));
	simulated_open_gate(bench->fleet, SIMULATED_GATE_DEFINE);
	assert_int_equal(bench_end(&waiting), 0);
	bench->operations->interrupt(bench->target);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reading_that_is_held_can_be_broken_off),
		TEST(a_call_that_is_broken_off_names_the_host_that_broke_it_off),
		TEST(calls_that_land_late_land_one_after_the_other),
		TEST(calls_of_a_stopped_libvirtd_return_when_the_fleet_ends),
		TEST(a_host_that_does_not_answer_is_told_though_its_guest_is_busy),
		TEST(a_call_at_its_gate_does_not_hang_yet),
		TEST(whoever_waits_takes_no_processor_time),
		TEST(who_waits_for_a_call_to_hang_is_woken),
		TEST(a_hang_is_of_one_call_of_one_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
