/* Calls upon the simulated fleet that do not return: which have their effect later, which keep their guest busy, and which wait for a
 * host that stands still or a guest that another call holds. By the table of calls, one row for each. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "tests/unit/simulated_fixture.h"

#define DEFINITION "simulated guest " BENCH_GUEST " of 96 MiB"

static const struct live_options no_options = { 0 };

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

static int prepare(struct bench *bench)
{
	return bench->operations->prepare_live(bench->source, bench->target, BENCH_GUEST, &no_options, true, NULL,
					       NULL);
}

static int copy(struct bench *bench)
{
	CLEANUP_FREE char *definition = NULL;

	return bench->operations->copy_cold(bench->source, bench->target, DEFINITION, NULL, NULL, NULL, &definition,
					    NULL);
}

static int progress(struct bench *bench)
{
	struct move_progress progress = { .memory_total = -1 };
	int result = bench->operations->progress(bench->source, BENCH_GUEST, &progress, NULL);

	assert_int_equal(progress.memory_total >= 0, result == 0);
	return result;
}

static int completed(struct bench *bench)
{
	struct move_progress progress = { .memory_total = -1 };
	int result = bench->operations->completed(bench->source, BENCH_GUEST, &progress, NULL);

	assert_int_equal(progress.memory_total >= 0, result == 0);
	return result;
}

static int adjust(struct bench *bench)
{
	return bench->operations->adjust(bench->source, BENCH_GUEST, MOVE_ABORT, 0, NULL);
}

static int stop(struct bench *bench)
{
	return bench->operations->stop_guest(bench->source, BENCH_GUEST, 0, NULL);
}

static int start(struct bench *bench)
{
	return bench->operations->start_guest(bench->source, BENCH_GUEST, false, NULL);
}

static int pause_guest(struct bench *bench)
{
	return bench->operations->pause_guest(bench->source, BENCH_GUEST, NULL);
}

static int save(struct bench *bench)
{
	return bench->operations->save_guest(bench->source, BENCH_GUEST, NULL);
}

static int forget_saved(struct bench *bench)
{
	return bench->operations->forget_saved(bench->source, BENCH_GUEST, NULL);
}

static int read_definition(struct bench *bench)
{
	CLEANUP_FREE char *definition = NULL;
	bool has_autostart;
	int result = bench->operations->read_definition(bench->source, BENCH_GUEST, &definition, &has_autostart, NULL);

	assert_int_equal(definition != NULL, result == 0);
	return result;
}

static int define(struct bench *bench)
{
	return bench->operations->define(bench->source, DEFINITION, false, NULL);
}

static int set_autostart(struct bench *bench)
{
	return bench->operations->set_autostart(bench->source, BENCH_GUEST, true, NULL);
}

static int remove_guest(struct bench *bench)
{
	return bench->operations->remove_guest(bench->source, BENCH_GUEST, GUEST_SET_OFF, NULL);
}

static int verify(struct bench *bench)
{
	return bench->operations->verify_disks(bench->source, NULL, 0, NULL);
}

static int remove_volume(struct bench *bench)
{
	const struct hypervisor_volume volume = { .pool = SIMULATED_POOL, .name = "old.raw" };

	return bench->operations->remove_volume(bench->source, &volume, NULL);
}

/* The state shows what becomes of the guest; of a volume of nobody's, by whether it is there. */
enum { LATE = 1, HOLDS = 2, WAITS = 4, OF_BOTH = 8 };
#define GATE(name) (1U << SIMULATED_GATE_##name)

static const struct {
	const char *name;
	int (*run)(struct bench *bench);
	unsigned int
		is; /* LATE: libvirtd does it by itself once it was asked; HOLDS: its guest is busy until then; WAITS: for a
			  * guest that is busy; OF_BOTH: a target that stands still keeps it from returning */
	enum guest_state before, after; /* of the guest on the source */
	unsigned int gates; /* that it passes */
} rows[] = {
	{ "describe", describe, 0, GUEST_RUNNING, GUEST_RUNNING, 0 },
	{ "list_guests", list, 0, GUEST_RUNNING, GUEST_RUNNING, 0 },
	{ "look", look, 0, GUEST_RUNNING, GUEST_RUNNING, 0 },
	{ "check_live", check_live, OF_BOTH, GUEST_RUNNING, GUEST_RUNNING, 0 },
	{ "check_cold", check_cold, OF_BOTH, GUEST_RUNNING, GUEST_RUNNING, 0 },
	{ "prepare_live", prepare, OF_BOTH, GUEST_RUNNING, GUEST_RUNNING, GATE(PRE_LIVE) },
	{ "copy_cold", copy, OF_BOTH, GUEST_SHUT_OFF, GUEST_SHUT_OFF, GATE(DISK) },
	{ "progress", progress, 0, GUEST_RUNNING, GUEST_RUNNING, 0 },
	{ "completed", completed, 0, GUEST_RUNNING, GUEST_RUNNING, 0 },
	{ "migrate_live", bench_migrate, LATE | HOLDS | WAITS, GUEST_RUNNING, GUEST_ABSENT,
	  GATE(LIVE) | GATE(POST_DEST) },
	{ "adjust", adjust, LATE | HOLDS | WAITS, GUEST_RUNNING, GUEST_RUNNING, 0 },
	{ "stop_guest", stop, LATE | HOLDS | WAITS, GUEST_RUNNING, GUEST_SHUT_OFF, 0 },
	{ "start_guest", start, LATE | HOLDS | WAITS, GUEST_SHUT_OFF, GUEST_RUNNING, GATE(FINISH) },
	{ "pause_guest", pause_guest, LATE | HOLDS | WAITS, GUEST_RUNNING, GUEST_PAUSED, 0 },
	{ "save_guest", save, LATE | HOLDS | WAITS, GUEST_RUNNING, GUEST_SAVED, 0 },
	{ "forget_saved", forget_saved, LATE | HOLDS | WAITS, GUEST_SAVED, GUEST_SHUT_OFF, 0 },
	{ "read_definition", read_definition, 0, GUEST_RUNNING, GUEST_RUNNING, 0 },
	{ "define", define, LATE | HOLDS | WAITS, GUEST_ABSENT, GUEST_SHUT_OFF, GATE(DEFINE) },
	{ "set_autostart", set_autostart, LATE | HOLDS | WAITS, GUEST_RUNNING, GUEST_RUNNING, 0 },
	{ "remove_guest", remove_guest, LATE | HOLDS, GUEST_SHUT_OFF, GUEST_ABSENT, 0 },
	{ "verify_disks", verify, 0, GUEST_RUNNING, GUEST_RUNNING, GATE(CONFIRM) },
	{ "remove_volume", remove_volume, LATE, GUEST_RUNNING, GUEST_RUNNING, 0 },
};

static void put(struct bench *bench, enum guest_state state)
{
	simulated_reset(bench->fleet);
	assert_int_equal(simulated_put_volume(bench->fleet, "one", "old.raw", 10, NULL), 0);
	if (state != GUEST_ABSENT)
		assert_int_equal(simulated_put_guest(bench->fleet, "one", BENCH_GUEST, state, 64, NULL), 0);
}

static bool has_old_volume(struct bench *bench)
{
	struct simulated_disk_view disk;

	return simulated_disk_state(bench->fleet, "one", "old.raw", &disk);
}

static void expect(struct bench *bench, size_t row, bool has_happened)
{
	enum guest_state state = has_happened ? rows[row].after : rows[row].before;

	if (simulated_state(bench->fleet, "one", BENCH_GUEST) != state)
		fail_msg("%s: %s", rows[row].name, guest_state_name(simulated_state(bench->fleet, "one", BENCH_GUEST)));
	assert_int_equal(has_old_volume(bench), !(has_happened && rows[row].run == remove_volume));
	if (rows[row].run == set_autostart)
		assert_int_equal(bench_look(bench, bench->source).has_autostart, has_happened);
}

/* Begins the row's call, and waits until it does not return. */
static void begin_hung(struct errand *errand, struct bench *bench, size_t row, enum simulated_landing landing)
{
	put(bench, rows[row].before);
	assert_true(simulated_hang_next(bench->fleet, "one", rows[row].name, landing));
	bench_begin(errand, bench, rows[row].run);
	simulated_wait_hung(bench->fleet, "one");
}

static void end_hung(struct errand *errand, size_t row)
{
	errand->bench->operations->interrupt(errand->bench->source);
	if (bench_end(errand) != -EHOSTUNREACH)
		fail_msg("%s: %d", rows[row].name, errand->result);
}

static void a_call_that_hangs_has_its_effect_when_it_was_ordered(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		begin_hung(&errand, bench, i, SIMULATED_LANDS_NEVER);
		expect(bench, i, false);
		assert_int_equal(bench_look(bench, bench->source).is_busy, (rows[i].is & HOLDS) != 0);
		end_hung(&errand, i);
		assert_false(simulated_land_late(bench->fleet, "one"));
		expect(bench, i, false);
		assert_false(bench_look(bench, bench->source).is_busy);

		begin_hung(&errand, bench, i, SIMULATED_LANDS_LATE);
		expect(bench, i, false);
		end_hung(&errand, i);
		expect(bench, i, false);
		assert_int_equal(bench_look(bench, bench->source).is_busy, (rows[i].is & HOLDS) != 0);
		bench_inject(bench, SIMULATED_LIBVIRTD_DIES, "two"); /* which is another */
		bench_inject(bench, SIMULATED_LIBVIRTD_STARTS, "two");
		assert_false(bench_look(bench, bench->target).is_busy);
		assert_false(simulated_land_late(bench->fleet, "two"));
		assert_int_equal(simulated_land_late(bench->fleet, "one"), (rows[i].is & LATE) != 0);
		expect(bench, i, (rows[i].is & LATE) != 0);
		assert_false(bench_look(bench, bench->source).is_busy);
		assert_false(simulated_land_late(bench->fleet, "one")); /* once */

		begin_hung(&errand, bench, i, SIMULATED_LANDS_BEFORE);
		expect(bench, i, true);
		end_hung(&errand, i);
		assert_false(simulated_land_late(bench->fleet, "one"));
		expect(bench, i, true);
	}
}

static void what_a_stopped_libvirtd_was_asked_lands_when_it_goes_on(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		for (int loses = 0; loses < 2; loses++) {
			put(bench, rows[i].before);
			bench_inject(bench, loses ? SIMULATED_LIBVIRTD_STOPS_LOSING : SIMULATED_LIBVIRTD_STOPS, "one");
			bench_begin(&errand, bench, rows[i].run);
			simulated_wait_hung(bench->fleet, "one");
			bench->operations->interrupt(bench->source);
			assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
			assert_false(simulated_land_late(bench->fleet, "one")); /* not before */
			assert_int_equal(simulated_state(bench->fleet, "one", BENCH_GUEST), rows[i].before);
			bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "one");
			expect(bench, i, (rows[i].is & LATE) != 0 && !loses);
		}
}

static void what_was_asked_of_a_libvirtd_that_dies_does_not_happen(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		begin_hung(&errand, bench, i, SIMULATED_LANDS_LATE);
		bench_inject(bench, SIMULATED_LIBVIRTD_DIES, "one");
		assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
		bench_inject(bench, SIMULATED_LIBVIRTD_STARTS, "one");
		assert_false(simulated_land_late(bench->fleet, "one"));
		expect(bench, i, false);
	}
}

static void a_call_waits_for_a_target_that_stands_still_unless_libvirtds_talk(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		put(bench, rows[i].before);
		bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, "two");
		bench_begin(&errand, bench, rows[i].run);
		if (rows[i].is & OF_BOTH) {
			simulated_wait_hung(bench->fleet, "two");
			bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "two");
		} else if (rows[i].run == bench_migrate) {
			while (!bench_look(bench, bench->source).is_moving_out)
				sched_yield();
			bench->operations->interrupt(bench->target); /* the call is the source's */
			bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "two");
		}
		if (bench_end(&errand) != (rows[i].run == adjust ? -EINVAL : 0))
			fail_msg("%s: %d", rows[i].name, errand.result);
	}
}

static void a_call_that_changes_a_guest_waits_while_it_is_busy(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		if (rows[i].before != GUEST_RUNNING)
			continue;
		put(bench, GUEST_RUNNING);
		bench_inject(bench, SIMULATED_QEMU_HANGS, "one");
		bench_begin(&errand, bench, rows[i].run);
		if (rows[i].is & WAITS) {
			simulated_wait_hung(bench->fleet, "one");
			expect(bench, i, false);
			clock_manual_advance(bench->clock, 29999000); /* it gives up after half a minute */
			bench_inject(bench, SIMULATED_QEMU_GOES_ON, "one");
		}
		if (bench_end(&errand) != (rows[i].run == adjust ? -EINVAL : 0))
			fail_msg("%s: %d", rows[i].name, errand.result);
		expect(bench, i, true);
	}
}

static void a_reset_forgets_what_would_have_landed_late(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		begin_hung(&errand, bench, i, SIMULATED_LANDS_LATE);
		end_hung(&errand, i);
		put(bench, rows[i].before);
		assert_false(bench_look(bench, bench->source).is_busy);
		assert_false(simulated_land_late(bench->fleet, "one"));
		expect(bench, i, false);
	}
}

static void a_call_stands_at_its_gates_and_at_no_others(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		int result = rows[i].run == adjust ? -EINVAL : 0;

		put(bench, rows[i].before);
		for (enum simulated_gate gate = 0; gate < SIMULATED_GATE_MAX; gate++)
			if (!(rows[i].gates & (1U << gate)))
				simulated_close_gate(bench->fleet, gate);
		assert_int_equal(rows[i].run(bench), result);
		for (enum simulated_gate gate = 0; gate < SIMULATED_GATE_MAX; gate++) {
			if (!(rows[i].gates & (1U << gate)))
				continue;
			put(bench, rows[i].before);
			simulated_close_gate(bench->fleet, gate);
			bench_begin(&errand, bench, rows[i].run);
			simulated_wait_at_gate(bench->fleet, gate);
			assert_int_equal(look(bench), 0);
			simulated_open_gate(bench->fleet, gate);
			assert_int_equal(bench_end(&errand), result);
			assert_false(
				simulated_wait_at_gate_until(bench->fleet, gate, 0)); /* nobody is there any more */
			expect(bench, i, true);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_call_that_hangs_has_its_effect_when_it_was_ordered),
		TEST(what_a_stopped_libvirtd_was_asked_lands_when_it_goes_on),
		TEST(what_was_asked_of_a_libvirtd_that_dies_does_not_happen),
		TEST(a_call_waits_for_a_target_that_stands_still_unless_libvirtds_talk),
		TEST(a_call_that_changes_a_guest_waits_while_it_is_busy),
		TEST(a_reset_forgets_what_would_have_landed_late),
		TEST(a_call_stands_at_its_gates_and_at_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
