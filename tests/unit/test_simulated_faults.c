/* Everything that can go wrong in the simulated fleet does so at the moment that a test chose, and shows as libvirt shows it. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/settings.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/simulated_fixture.h"

#define GUEST      BENCH_GUEST
#define DEFINITION "simulated guest " GUEST " of 64 MiB"

static int stop_source(struct bench *bench)
{
	return bench->operations->stop_guest(bench->source, GUEST, 0, NULL);
}

static int define_target(struct bench *bench)
{
	return bench->operations->define(bench->target, DEFINITION, false, NULL);
}

static int list_source(struct bench *bench)
{
	return bench->operations->list_guests(bench->source, &bench->list, NULL);
}

static void set_link(struct bench *bench, bool is_cut)
{
	const struct simulated_place place = { .host = "one", .other = "two" };

	assert_int_equal(
		simulated_inject(bench->fleet, is_cut ? SIMULATED_LINK_BREAKS : SIMULATED_LINK_IS_BACK, &place, NULL),
		0);
}

static void test_a_stopped_libvirtd_answers_when_it_goes_on(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, "one");
	bench_begin(&errand, bench, stop_source);
	simulated_wait_hung(bench->fleet, "one");
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "one");
	assert_int_equal(bench_end(&errand), 0);
	bench_expect(bench, GUEST_SHUT_OFF, GUEST_ABSENT);
}

static void test_what_was_asked_of_a_stopped_libvirtd_lands_late_or_is_lost(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_inject(bench, SIMULATED_LIBVIRTD_STOPS_LOSING, "one");
	bench_begin(&errand, bench, stop_source);
	simulated_wait_hung(bench->fleet, "one");
	bench->operations->interrupt(bench->source);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "one");
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);

	bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, "one");
	bench_begin(&errand, bench, stop_source);
	simulated_wait_hung(bench->fleet, "one");
	bench->operations->interrupt(bench->source);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "one");
	bench_expect(bench, GUEST_SHUT_OFF, GUEST_ABSENT);
}

static void test_a_source_libvirtd_that_dies_in_the_copy_ends_the_migration(void **state)
{
	struct bench *bench = *state;
	struct errand errand;
	struct guest_view view;

	bench_begin_migration(&errand, bench);
	bench_inject(bench, SIMULATED_LIBVIRTD_DIES, "one");
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	assert_int_equal(bench->operations->look(bench->source, GUEST, &view, NULL), -EHOSTUNREACH);
	assert_int_equal(bench->news_down, 1);
	bench_inject(bench, SIMULATED_LIBVIRTD_STARTS, "one");
	assert_int_equal(bench->news_up, 1);
	assert_false(bench_look(bench, bench->source).is_moving_out);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
	assert_int_equal(bench_migrate(bench), 0);
}

static void test_a_target_libvirtd_that_dies_in_the_copy_leaves_nothing_there(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_begin_migration(&errand, bench);
	bench_inject(bench, SIMULATED_LIBVIRTD_DIES, "two");
	assert_int_equal(bench_end(&errand), -EIO);
	bench_inject(bench, SIMULATED_LIBVIRTD_STARTS, "two");
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
}

static void test_a_libvirtd_that_dies_at_the_hand_over_leaves_the_sources_half(void **state)
{
	struct bench *bench = *state;
	const struct {
		const char *host;
		int result;
	} cases[] = { { "one", -EHOSTUNREACH }, { "two", -EIO } };

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		simulated_reset(bench->fleet);
		assert_int_equal(simulated_put_guest(bench->fleet, "one", GUEST, GUEST_RUNNING, 64, NULL), 0);
		bench_inject(bench, SIMULATED_LIBVIRTD_DIES_AT_HAND_OVER, cases[i].host);
		assert_int_equal(bench_migrate(bench), cases[i].result);
		bench_expect(bench, GUEST_HANDED_OVER, GUEST_RUNNING);
		bench_inject(bench, SIMULATED_LIBVIRTD_STARTS, cases[i].host);
		bench_expect(bench, GUEST_HANDED_OVER, GUEST_RUNNING);
		assert_int_equal(
			bench->operations->remove_guest(bench->source, GUEST, GUEST_SET(GUEST_HANDED_OVER), NULL), 0);
		assert_int_equal(simulated_by_hand_move(bench->fleet, "two", "one", GUEST, NULL), 0);
		assert_int_equal(bench_migrate(bench), 0); /* it happens once */
	}
}

static void test_a_silent_target_ends_the_migration_and_keeps_its_half_until_it_goes_on(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_begin_migration(&errand, bench);
	bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, "two");
	simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
	clock_manual_advance(bench->clock, 25000000);
	assert_true(bench_look(bench, bench->source).is_moving_out);
	clock_manual_advance(bench->clock, 1000000);
	assert_int_equal(bench_end(&errand), -EIO);
	bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
	bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "two");
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
}

static void test_a_libvirtd_that_is_gone_never_starts_and_another_has_nothing(void **state)
{
	struct bench *bench = *state;
	const struct simulated_place place = { .host = "one" };

	bench_inject(bench, SIMULATED_LIBVIRTD_IS_GONE, "one");
	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_LIBVIRTD_STARTS, &place, NULL), -EINVAL);
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	bench_inject(bench, SIMULATED_LIBVIRTD_IS_REPLACED, "one");
	assert_int_equal(bench_look(bench, bench->source).state, GUEST_ABSENT);
	assert_int_equal(simulated_put_guest(bench->fleet, "one", GUEST, GUEST_RUNNING, 64, NULL), 0);
	bench_inject(bench, SIMULATED_LIBVIRTD_DIES_AT_HAND_OVER, "one");
	assert_int_equal(bench_migrate(bench), -EHOSTUNREACH);
	bench_inject(bench, SIMULATED_LIBVIRTD_STARTS, "one"); /* this one is not gone for good */
}

static void test_a_migration_goes_on_without_our_link(void **state)
{
	struct bench *bench = *state;
	struct errand errand;
	struct guest_view view;

	bench_begin_migration(&errand, bench);
	bench_inject(bench, SIMULATED_OUR_LINK_BREAKS, "one");
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	assert_int_equal(bench->operations->look(bench->source, GUEST, &view, NULL), -EHOSTUNREACH);
	assert_int_equal(bench_look(bench, bench->target).state, GUEST_ARRIVING);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
	bench_inject(bench, SIMULATED_OUR_LINK_IS_BACK, "one");
	assert_int_equal(bench_look(bench, bench->source).state, GUEST_ABSENT);
}

static void test_an_interrupted_call_does_not_end_its_migration(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_begin_migration(&errand, bench);
	bench->operations->interrupt(bench->source);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	assert_true(bench_look(bench, bench->source).is_moving_out);
	assert_int_equal(bench->operations->adjust(bench->source, GUEST, MOVE_ABORT, 0, NULL), 0);
	assert_false(bench_look(bench, bench->source).is_moving_out);
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
}

static void test_a_link_between_hosts_that_breaks_stalls_the_copy(void **state)
{
	struct bench *bench = *state;
	static struct simulated_move_settings moves[] = { { .takes_s = 10 } };
	static const struct simulated_server_settings settings = {
		.name = "web", .count = 1, .memory_mb = 1000, .moves = moves, .move_count = 1
	};
	struct move_progress before, after;
	struct errand errand;

	/* The guest by the plan takes the place of the one that has none. */
	assert_int_equal(simulated_by_hand_power_off(bench->fleet, "one", GUEST, NULL), 0);
	assert_int_equal(simulated_by_hand_undefine(bench->fleet, "one", GUEST, NULL), 0);
	assert_int_equal(simulated_put_server(bench->fleet, "one", GUEST, "web", &settings, NULL), 0);
	bench_begin(&errand, bench, bench_migrate);
	while (!bench_look(bench, bench->source).is_moving_out)
		sched_yield();
	clock_manual_advance(bench->clock, 5000000);
	set_link(bench, true);
	assert_int_equal(bench->operations->progress(bench->source, GUEST, &before, NULL), 0);
	clock_manual_advance(bench->clock, 60000000);
	assert_int_equal(bench->operations->progress(bench->source, GUEST, &after, NULL), 0);
	assert_true(after.is_active);
	assert_true(before.data_processed > 0);
	assert_int_equal(before.data_processed, after.data_processed);
	set_link(bench, false);
	clock_manual_advance(bench->clock, 4000000);
	assert_true(bench_look(bench, bench->source).is_moving_out); /* what it needs is not shortened */
	clock_manual_advance(bench->clock, 1000000);
	assert_int_equal(bench_end(&errand), 0);
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

static void test_a_stalled_copy_can_be_aborted_and_none_begins_over_a_broken_link(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_begin_migration(&errand, bench);
	set_link(bench, true);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
	assert_true(bench_look(bench, bench->source).is_moving_out);
	assert_int_equal(bench->operations->adjust(bench->source, GUEST, MOVE_ABORT, 0, NULL), 0);
	assert_int_equal(bench_end(&errand), -ECANCELED);
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	assert_int_equal(bench_migrate(bench), -EIO);
}

static void test_a_hung_guest_is_busy_and_calls_that_change_it_give_up(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_inject(bench, SIMULATED_QEMU_HANGS, "one");
	assert_true(bench_look(bench, bench->source).is_busy);
	assert_int_equal(list_source(bench), 0);
	assert_true(bench->list.items[0].is_silent);
	assert_true(bench->list.items[0].view.is_busy);
	assert_int_equal(bench->operations->remove_guest(bench->source, GUEST, GUEST_SET(GUEST_RUNNING), NULL),
			 -ESTALE);
	bench_begin(&errand, bench, stop_source);
	simulated_wait_hung(bench->fleet, "one");
	clock_manual_advance(bench->clock, 30000000);
	assert_int_equal(bench_end(&errand), -EIO);
	bench_begin(&errand, bench, stop_source);
	simulated_wait_hung(bench->fleet, "one");
	bench->operations->interrupt(bench->source);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	bench_inject(bench, SIMULATED_QEMU_GOES_ON, "one");
	assert_int_equal(stop_source(bench), 0);
}

static void test_a_qemu_that_dies_in_the_copy_ends_it_on_either_side(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_begin_migration(&errand, bench);
	bench_inject(bench, SIMULATED_QEMU_DIES, "two");
	assert_int_equal(bench_end(&errand), -EIO);
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	bench_begin_migration(&errand, bench);
	bench_inject(bench, SIMULATED_QEMU_DIES, "one");
	assert_int_equal(bench_end(&errand), -EIO);
	bench_expect(bench, GUEST_CRASHED, GUEST_ABSENT);
	assert_int_equal(simulated_by_hand_start(bench->fleet, "one", GUEST, NULL), 0);
	assert_int_equal(simulated_by_hand_undefine(bench->fleet, "one", GUEST, NULL), 0);
	bench_inject(bench, SIMULATED_QEMU_DIES, "one");
	bench_expect(bench, GUEST_ABSENT, GUEST_ABSENT);
}

static void test_a_call_that_does_not_return_has_its_effect_when_it_was_told(void **state)
{
	struct bench *bench = *state;
	const struct {
		enum simulated_landing landing;
		enum guest_state before, after_landing;
	} cases[] = {
		{ SIMULATED_LANDS_NEVER, GUEST_ABSENT, GUEST_ABSENT },
		{ SIMULATED_LANDS_BEFORE, GUEST_SHUT_OFF, GUEST_SHUT_OFF },
		{ SIMULATED_LANDS_LATE, GUEST_ABSENT, GUEST_SHUT_OFF },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		bool is_late = cases[i].landing == SIMULATED_LANDS_LATE;
		struct errand errand;

		assert_int_equal(bench->operations->remove_guest(bench->target, GUEST, GUEST_SET_OFF, NULL), 0);
		assert_true(simulated_hang_next(bench->fleet, "two", "define", cases[i].landing));
		bench_begin(&errand, bench, define_target);
		simulated_wait_hung(bench->fleet, "two");
		assert_true(bench_look(bench, bench->target).is_busy);
		assert_int_equal(bench->operations->remove_guest(bench->target, GUEST, GUEST_SET_OFF, NULL), -ESTALE);
		bench->operations->interrupt(bench->target);
		assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
		assert_int_equal(bench_look(bench, bench->target).is_busy, is_late);
		bench_expect(bench, GUEST_RUNNING, cases[i].before);
		assert_int_equal(simulated_land_late(bench->fleet, "two"), is_late);
		assert_false(bench_look(bench, bench->target).is_busy);
		bench_expect(bench, GUEST_RUNNING, cases[i].after_landing);
	}
	assert_false(simulated_hang_next(bench->fleet, "two", "no such call", SIMULATED_LANDS_NEVER));
	assert_false(simulated_hang_next(bench->fleet, "none", "define", SIMULATED_LANDS_NEVER));
}

static void test_a_migration_that_was_asked_for_begins_late(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	assert_true(simulated_hang_next(bench->fleet, "one", "migrate_live", SIMULATED_LANDS_LATE));
	bench_begin(&errand, bench, bench_migrate);
	simulated_wait_hung(bench->fleet, "one");
	bench->operations->interrupt(bench->source);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	assert_true(simulated_land_late(bench->fleet, "one"));
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

static void test_a_reading_that_is_held_back_tells_what_was(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_inject(bench, SIMULATED_READINGS_ARE_HELD, "one");
	bench_begin(&errand, bench, list_source);
	simulated_wait_hung(bench->fleet, "one");
	assert_int_equal(stop_source(bench), 0);
	assert_int_equal(bench->operations->remove_guest(bench->source, GUEST, GUEST_SET_OFF, NULL), 0);
	bench_inject(bench, SIMULATED_READINGS_GO_ON, "one");
	assert_int_equal(bench_end(&errand), 0);
	assert_int_equal(bench->list.count, 1);
	assert_int_equal(bench->list.items[0].view.state, GUEST_RUNNING);
}

static void change_around_define(void *context, const char *host, const char *operation, const char *uuid,
				 bool is_after)
{
	struct bench *bench = context;

	bench->hook_calls++;
	if (!text_equal(operation, "define"))
		return;
	assert_string_equal(host, "two");
	assert_string_equal(uuid, GUEST);
	if (is_after)
		assert_int_equal(simulated_by_hand_start(bench->fleet, host, uuid, NULL), 0);
	else
		assert_int_equal(simulated_by_hand_suspend(bench->fleet, "one", uuid, NULL), 0);
}

static void test_a_hook_changes_the_fleet_between_two_steps(void **state)
{
	struct bench *bench = *state;

	simulated_set_hook(bench->fleet, change_around_define, bench);
	assert_int_equal(define_target(bench), 0);
	assert_int_equal(bench->hook_calls, 2);
	bench_expect(bench, GUEST_PAUSED, GUEST_RUNNING);
	assert_int_equal(bench->operations->remove_guest(bench->target, GUEST, GUEST_SET_OFF, NULL), -ESTALE);
}

static void test_a_guest_that_is_changed_by_hand_in_the_copy_ends_it(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_begin_migration(&errand, bench);
	assert_int_equal(simulated_by_hand_power_off(bench->fleet, "one", GUEST, NULL), 0);
	assert_int_equal(bench_end(&errand), -EIO);
	bench_expect(bench, GUEST_SHUT_OFF, GUEST_ABSENT);
	assert_int_equal(simulated_by_hand_start(bench->fleet, "one", GUEST, NULL), 0);
	bench_begin_migration(&errand, bench);
	assert_int_equal(bench->operations->remove_guest(bench->target, GUEST, GUEST_SET(GUEST_ARRIVING), NULL), 0);
	assert_int_equal(bench_end(&errand), -EIO);
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
}

static void test_calls_that_hang_return_when_the_fleet_ends(void **state)
{
	struct bench *bench = *state;
	struct errand first, second;

	bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, "one");
	bench_begin(&first, bench, stop_source);
	simulated_wait_hung(bench->fleet, "one");
	simulated_reset(bench->fleet);
	assert_int_equal(bench_end(&first), -EHOSTUNREACH);
	assert_true(simulated_hang_next(bench->fleet, "two", "define", SIMULATED_LANDS_LATE));
	bench_begin(&second, bench, define_target);
	simulated_wait_hung(bench->fleet, "two");
	simulated_end_copies(bench->fleet);
	assert_int_equal(bench_end(&second), -EHOSTUNREACH);
	assert_true(simulated_hang_next(bench->fleet, "two", "define", SIMULATED_LANDS_NEVER));
	assert_int_equal(define_target(bench), -EHOSTUNREACH); /* none hangs any more */
}

static void test_each_fault_has_a_name_of_its_own(void **state)
{
	enum simulated_fault fault;
	enum simulated_landing landing;

	(void)state;
	assert_true(simulated_fault_by_name("qemu_dies", &fault));
	assert_int_equal(fault, SIMULATED_QEMU_DIES);
	assert_true(simulated_fault_by_name("late_calls_land", &fault));
	assert_int_equal(fault, SIMULATED_LATE_CALLS_LAND);
	assert_false(simulated_fault_by_name("none", &fault));
	assert_true(simulated_landing_by_name("late", &landing));
	assert_int_equal(landing, SIMULATED_LANDS_LATE);
}

static void test_a_fault_of_what_is_not_there_is_refused(void **state)
{
	struct bench *bench = *state;
	const struct simulated_place none = { .host = "none", .uuid = GUEST };
	const struct simulated_place elsewhere = { .host = "two", .uuid = GUEST };
	const struct simulated_place no_pool = { .host = "one", .other = "none" };

	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_LIBVIRTD_DIES, &none, NULL), -ENOENT);
	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_QEMU_DIES, &elsewhere, NULL), -ENOENT);
	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_POOL_IS_OFF, &no_pool, NULL), -ENOENT);
	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_VOLUME_GOES, &no_pool, NULL), -ENOENT);
	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_GUEST_MOVED, &elsewhere, NULL), -ENOENT);
	assert_int_equal(simulated_by_hand_start(bench->fleet, "one", GUEST, NULL), -EINVAL);
}

int main(void)
{
#define FAULT_TEST(test) cmocka_unit_test_setup_teardown(test, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		FAULT_TEST(test_a_stopped_libvirtd_answers_when_it_goes_on),
		FAULT_TEST(test_what_was_asked_of_a_stopped_libvirtd_lands_late_or_is_lost),
		FAULT_TEST(test_a_source_libvirtd_that_dies_in_the_copy_ends_the_migration),
		FAULT_TEST(test_a_target_libvirtd_that_dies_in_the_copy_leaves_nothing_there),
		FAULT_TEST(test_a_libvirtd_that_dies_at_the_hand_over_leaves_the_sources_half),
		FAULT_TEST(test_a_silent_target_ends_the_migration_and_keeps_its_half_until_it_goes_on),
		FAULT_TEST(test_a_libvirtd_that_is_gone_never_starts_and_another_has_nothing),
		FAULT_TEST(test_a_migration_goes_on_without_our_link),
		FAULT_TEST(test_an_interrupted_call_does_not_end_its_migration),
		FAULT_TEST(test_a_link_between_hosts_that_breaks_stalls_the_copy),
		FAULT_TEST(test_a_stalled_copy_can_be_aborted_and_none_begins_over_a_broken_link),
		FAULT_TEST(test_a_hung_guest_is_busy_and_calls_that_change_it_give_up),
		FAULT_TEST(test_a_qemu_that_dies_in_the_copy_ends_it_on_either_side),
		FAULT_TEST(test_a_call_that_does_not_return_has_its_effect_when_it_was_told),
		FAULT_TEST(test_a_migration_that_was_asked_for_begins_late),
		FAULT_TEST(test_a_reading_that_is_held_back_tells_what_was),
		FAULT_TEST(test_a_hook_changes_the_fleet_between_two_steps),
		FAULT_TEST(test_a_guest_that_is_changed_by_hand_in_the_copy_ends_it),
		FAULT_TEST(test_calls_that_hang_return_when_the_fleet_ends),
		FAULT_TEST(test_each_fault_has_a_name_of_its_own),
		FAULT_TEST(test_a_fault_of_what_is_not_there_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
