/* Simulated migrations that nobody waits for, several at once, and halves that belong to none: whoever looks sees what became of them. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/settings.h"
#include "tests/unit/simulated_fixture.h"

#define SECOND "aaaaaaaa-0000-4000-8000-000000000002"

static struct simulated_move_settings moves[] = { { .takes_s = 10 }, { .takes_s = 0 } };
static const struct simulated_server_settings settings = {
	.name = "web", .count = 1, .memory_mb = 1000, .moves = moves, .move_count = 2
};
static const struct live_options no_options = { 0 };

static void advance_s(struct bench *bench, int seconds)
{
	clock_manual_advance(bench->clock, seconds * 1000000LL);
}

/* A guest with a disk whose first move takes ten seconds. */
static void put_server(struct bench *bench)
{
	simulated_reset(bench->fleet);
	assert_int_equal(simulated_put_server(bench->fleet, "one", BENCH_GUEST, "web", &settings, NULL), 0);
	assert_int_equal(simulated_put_disk(bench->fleet, "one", BENCH_GUEST, "a.raw", 10, false, NULL), 0);
}

static int prepare_and_migrate(struct bench *bench)
{
	assert_int_equal(bench->operations->prepare_live(bench->source, bench->target, BENCH_GUEST, &no_options, true,
							 NULL, NULL),
			 0);
	return bench->operations->migrate_live(bench->source, bench->target, BENCH_GUEST, &no_options, true, NULL);
}

/* It is under way, and its call has returned. */
static void begin_and_leave(struct bench *bench)
{
	struct errand errand;

	bench_begin(&errand, bench, prepare_and_migrate);
	while (!bench_look(bench, bench->source).is_moving_out)
		sched_yield();
	bench->operations->interrupt(bench->source);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
}

static bool state_tells(struct bench *bench)
{
	return simulated_state(bench->fleet, "two", BENCH_GUEST) == GUEST_RUNNING;
}

static bool look_tells(struct bench *bench)
{
	return bench_look(bench, bench->target).state == GUEST_RUNNING;
}

static bool list_tells(struct bench *bench)
{
	CLEANUP_GUESTS struct guest_list guests = { 0 };

	assert_int_equal(bench->operations->list_guests(bench->source, &guests, NULL), 0);
	return guests.count == 0;
}

static bool disk_tells(struct bench *bench)
{
	struct simulated_disk_view disk;

	assert_true(simulated_disk_state(bench->fleet, "two", "a.raw", &disk));
	return disk.is_complete;
}

static bool disks_tell(struct bench *bench)
{
	return simulated_has_whole_disks(bench->fleet, "two", BENCH_GUEST);
}

static bool touch_tells(struct bench *bench)
{
	return simulated_touch_disks(bench->fleet, "two", BENCH_GUEST);
}

static void see(void *context, const char *host, const char *uuid, const struct guest_view *view)
{
	(void)uuid;
	*(bool *)context |= strcmp(host, "two") == 0 && view->state == GUEST_RUNNING;
}

static bool walk_tells(struct bench *bench)
{
	bool is_seen = false;

	simulated_walk(bench->fleet, &(struct simulated_walk){ see, NULL, &is_seen });
	return is_seen;
}

static bool hand_tells(struct bench *bench)
{
	return simulated_by_hand_suspend(bench->fleet, "two", BENCH_GUEST, NULL) == 0;
}

static void whoever_looks_sees_a_copy_that_has_ended_meanwhile(void **state)
{
	struct bench *bench = *state;
	static bool (*const lookers[])(struct bench * bench) = { state_tells, look_tells,  list_tells, disk_tells,
								 disks_tell,  touch_tells, walk_tells, hand_tells };

	for (size_t i = 0; i < ARRAY_LENGTH(lookers); i++) {
		put_server(bench);
		begin_and_leave(bench);
		clock_manual_advance(bench->clock, 9999000);
		assert_false(lookers[i](bench));
		clock_manual_advance(bench->clock, 1000);
		if (!lookers[i](bench))
			fail_msg("looker %zu", i);
	}
}

/* It comes to the gate by its time, and is found there. */
static void a_gate_that_is_closed_in_time_stops_a_copy(void **state)
{
	struct bench *bench = *state;

	put_server(bench);
	begin_and_leave(bench);
	advance_s(bench, 10);
	simulated_close_gate(bench->fleet, SIMULATED_GATE_LIVE);
	assert_true(simulated_wait_at_gate_until(bench->fleet, SIMULATED_GATE_LIVE, 0));
	bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
	simulated_close_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
	assert_false(simulated_wait_at_gate_until(bench->fleet, SIMULATED_GATE_LIVE, 0));
	assert_true(simulated_wait_at_gate_until(bench->fleet, SIMULATED_GATE_POST_DEST, 0));
	bench_expect(bench, GUEST_HANDED_OVER, GUEST_RUNNING);
	simulated_open_all_gates(bench->fleet);
	assert_false(simulated_wait_at_gate_until(bench->fleet, SIMULATED_GATE_POST_DEST, 0));
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

static int migrate_second(struct bench *bench)
{
	return bench->operations->migrate_live(bench->source, bench->target, SECOND, &no_options, false, NULL);
}

/* Side by side; one that is broken off leaves the other alone. */
static void two_guests_move_at_once(void **state)
{
	struct bench *bench = *state;
	struct errand first, second;

	for (int i = 0; i < 2; i++) {
		simulated_reset(bench->fleet);
		assert_int_equal(simulated_put_guest(bench->fleet, "one", BENCH_GUEST, GUEST_RUNNING, 64, NULL), 0);
		assert_int_equal(simulated_put_guest(bench->fleet, "one", SECOND, GUEST_RUNNING, 64, NULL), 0);
		bench_begin_migration(&first, bench);
		bench_begin(&second, bench, migrate_second);
		while (simulated_state(bench->fleet, "two", SECOND) != GUEST_ARRIVING)
			sched_yield();
		assert_int_equal(
			bench->operations->adjust(bench->source, i == 0 ? BENCH_GUEST : SECOND, MOVE_ABORT, 0, NULL),
			0);
		assert_int_equal(bench_end(i == 0 ? &first : &second), -ECANCELED);
		assert_int_equal(simulated_state(bench->fleet, "two", i == 0 ? SECOND : BENCH_GUEST), GUEST_ARRIVING);
		simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
		assert_int_equal(bench_end(i == 0 ? &second : &first), 0);
		assert_int_equal(simulated_state(bench->fleet, "two", i == 0 ? SECOND : BENCH_GUEST), GUEST_RUNNING);
		assert_int_equal(simulated_state(bench->fleet, "one", i == 0 ? BENCH_GUEST : SECOND), GUEST_RUNNING);
	}
}

/* The next one goes by the next plan, wherever this one broke. */
static void a_move_that_breaks_before_its_end_is_one_that_was_made(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	put_server(bench);
	bench_begin(&errand, bench, prepare_and_migrate);
	while (!bench_look(bench, bench->source).is_moving_out)
		sched_yield();
	advance_s(bench, 2);
	bench_inject(bench, SIMULATED_QEMU_DIES, "two");
	assert_int_equal(bench_end(&errand), -EIO);
	assert_int_equal(
		bench->operations->migrate_live(bench->source, bench->target, BENCH_GUEST, &no_options, true, NULL),
		0); /* at once */
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

/* What comes after a reset is not taken for what was before it. */
static void a_reset_leaves_no_move_to_guests_that_come_after_it(void **state)
{
	struct bench *bench = *state;

	put_server(bench);
	begin_and_leave(bench);
	put_server(bench);
	begin_and_leave(bench);
	advance_s(bench, 9); /* it is the first plan's ten again */
	bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
	advance_s(bench, 1);
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

/* Somebody made a guest of that name on the target: that is no half. */
static void a_half_that_became_another_guest_ends_the_copy_and_stays(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_begin_migration(&errand, bench);
	assert_int_equal(simulated_put_guest(bench->fleet, "two", BENCH_GUEST, GUEST_SHUT_OFF, 64, NULL), 0);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
	assert_int_equal(bench_end(&errand), -EIO);
	bench_expect(bench, GUEST_RUNNING, GUEST_SHUT_OFF);
	assert_false(bench_look(bench, bench->source).is_moving_out);
}

/* Of the same guest, left on a third host by an earlier one. */
static void a_half_of_an_earlier_move_goes_though_its_guest_moves_again(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(simulated_add_host(bench->fleet, "three", NULL), 0);
	put_server(bench);
	begin_and_leave(bench);
	assert_int_equal(simulated_put_guest(bench->fleet, "three", BENCH_GUEST, GUEST_ARRIVING, 64, NULL), 0);
	bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, "three");
	bench_inject(bench, SIMULATED_LIBVIRTD_GOES_ON, "three");
	assert_int_equal(simulated_state(bench->fleet, "three", BENCH_GUEST), GUEST_ABSENT);
	bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
	advance_s(bench, 10);
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

/* A copy that raised left it there: its connection breaks all the same, and no other. */
static void a_half_of_no_move_goes_with_the_libvirtd_that_it_came_from(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(simulated_add_host(bench->fleet, "three", NULL), 0);
	assert_true(simulated_script(bench->fleet, "two", SIMULATED_COPY_RAISES, 1));
	assert_int_equal(bench_migrate(bench), -EIO);
	bench_inject(bench, SIMULATED_LIBVIRTD_DIES, "three");
	bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
	bench_inject(bench, SIMULATED_LIBVIRTD_DIES, "one");
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
}

static void the_progress_of_a_guest_without_memory_is_none(void **state)
{
	struct bench *bench = *state;
	struct move_progress progress = { 0 };

	assert_int_equal(simulated_put_guest(bench->fleet, "one", BENCH_GUEST, GUEST_RUNNING, 0, NULL), 0);
	assert_int_equal(simulated_put_disk(bench->fleet, "one", BENCH_GUEST, "a.raw", 10, false, NULL), 0);
	simulated_close_gate(bench->fleet, SIMULATED_GATE_LIVE);
	begin_and_leave(bench);
	assert_int_equal(bench->operations->progress(bench->source, BENCH_GUEST, &progress, NULL), 0);
	assert_int_equal(progress.disk_total, 10);
	assert_int_equal(progress.disk_processed, 0);
	assert_int_equal(progress.disk_remaining, 10);
}

static struct error told;

static int migrate_and_tell(struct bench *bench)
{
	told = (struct error){ 0 };
	return bench->operations->migrate_live(bench->source, bench->target, BENCH_GUEST, &no_options, false, &told);
}

static void a_migration_that_is_no_longer_waited_for_says_who_broke_that_off(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	simulated_close_gate(bench->fleet, SIMULATED_GATE_LIVE);
	bench_begin(&errand, bench, migrate_and_tell);
	simulated_wait_at_gate(bench->fleet, SIMULATED_GATE_LIVE);
	bench->operations->interrupt(bench->source);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	assert_string_equal(told.text, "host one: the call was broken off (simulated)");
}

/* The one that was there has gone meanwhile. */
static void a_guest_that_is_made_on_the_source_after_the_switch_stays(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	simulated_close_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	bench_begin(&errand, bench, bench_migrate);
	simulated_wait_at_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	assert_int_equal(simulated_put_guest(bench->fleet, "one", BENCH_GUEST, GUEST_SHUT_OFF, 64, NULL), 0);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	assert_int_equal(bench_end(&errand), 0);
	bench_expect(bench, GUEST_SHUT_OFF, GUEST_RUNNING);
}

/* Who lets it begin does not wait for its end. */
static void a_migration_that_begins_late_goes_on_by_itself(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	assert_int_equal(bench->operations->stop_guest(bench->source, BENCH_GUEST, 0, NULL), 0);
	assert_int_equal(bench->operations->remove_guest(bench->source, BENCH_GUEST, GUEST_SET_OFF, NULL), 0);
	assert_int_equal(simulated_put_server(bench->fleet, "one", BENCH_GUEST, "web", &settings, NULL), 0);
	assert_true(simulated_hang_next(bench->fleet, "one", "migrate_live", SIMULATED_LANDS_LATE));
	bench_begin(&errand, bench, bench_migrate);
	simulated_wait_hung(bench->fleet, "one");
	bench->operations->interrupt(bench->source);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	assert_true(simulated_land_late(bench->fleet, "one"));
	assert_true(bench_look(bench, bench->source).is_moving_out);
	advance_s(bench, 10);
	bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
}

/* What the source tells of it has no meaning any more. */
static void after_the_switch_the_source_tells_of_no_copy(void **state)
{
	struct bench *bench = *state;
	struct move_progress progress = { 0 };

	put_server(bench);
	begin_and_leave(bench);
	advance_s(bench, 5);
	assert_int_equal(bench->operations->progress(bench->source, BENCH_GUEST, &progress, NULL), 0);
	assert_true(progress.is_active && progress.memory_processed > 0);
	simulated_close_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	advance_s(bench, 5);
	assert_int_equal(bench->operations->progress(bench->source, BENCH_GUEST, &progress, NULL), 0);
	assert_false(progress.is_active);
	assert_int_equal(progress.memory_processed, 0);
	bench_expect(bench, GUEST_HANDED_OVER, GUEST_RUNNING);
}

static bool is_in_journal, may_go_on;

static int wait_in_journal(void *context, const char *pool, const char *name, int64_t bytes, int64_t *ret_volume_id,
			   struct error *error)
{
	(void)context, (void)pool, (void)name, (void)bytes, (void)error;
	*ret_volume_id = 1;
	__atomic_store_n(&is_in_journal, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&may_go_on, __ATOMIC_ACQUIRE))
		sched_yield();
	return 0;
}

static int prepare(struct bench *bench)
{
	const struct volume_journal journal = { .begin = wait_in_journal };

	return bench->operations->prepare_live(bench->source, bench->target, BENCH_GUEST, &no_options, true, &journal,
					       NULL);
}

/* What it was about to ask of a libvirtd that stands still is given up. */
static void a_fleet_that_ends_waits_for_no_libvirtd(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	put_server(bench);
	__atomic_store_n(&is_in_journal, false, __ATOMIC_RELEASE);
	__atomic_store_n(&may_go_on, false, __ATOMIC_RELEASE);
	bench_begin(&errand, bench, prepare);
	while (!__atomic_load_n(&is_in_journal, __ATOMIC_ACQUIRE))
		sched_yield();
	bench_inject(bench, SIMULATED_LIBVIRTD_STOPS, "two");
	simulated_end_copies(bench->fleet);
	__atomic_store_n(&may_go_on, true, __ATOMIC_RELEASE);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
}

static void *destroy(void *context)
{
	struct hypervisor *fleet = context;

	fleet->operations->destroy(fleet);
	return NULL;
}

static void open_host(struct hypervisor *fleet, const char *name, struct hypervisor_host **ret_host)
{
	assert_int_equal(simulated_add_host(fleet, name, NULL), 0);
	assert_int_equal(
		fleet->operations->open_host(fleet, &(struct hypervisor_address){ .name = name }, ret_host, NULL), 0);
}

/* Also what a call asks for when the fleet is going already. */
static void a_fleet_is_destroyed_with_calls_upon_it(void **state)
{
	struct bench own = { .clock = ((struct bench *)*state)->clock };
	struct errand errand;
	pthread_t thread;

	assert_int_equal(simulated_create(own.clock, &own.fleet, NULL), 0);
	own.operations = own.fleet->operations;
	open_host(own.fleet, "one", &own.source);
	open_host(own.fleet, "two", &own.target);
	assert_int_equal(simulated_put_guest(own.fleet, "one", BENCH_GUEST, GUEST_RUNNING, 64, NULL), 0);
	assert_int_equal(simulated_put_disk(own.fleet, "one", BENCH_GUEST, "a.raw", 10, false, NULL), 0);
	__atomic_store_n(&is_in_journal, false, __ATOMIC_RELEASE);
	__atomic_store_n(&may_go_on, false, __ATOMIC_RELEASE);
	bench_begin(&errand, &own, prepare);
	while (!__atomic_load_n(&is_in_journal, __ATOMIC_ACQUIRE))
		sched_yield();
	bench_inject(&own, SIMULATED_LIBVIRTD_STOPS, "two");
	assert_int_equal(pthread_create(&thread, NULL, destroy, own.fleet), 0);
	usleep(20000);
	__atomic_store_n(&may_go_on, true, __ATOMIC_RELEASE);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	pthread_join(thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whoever_looks_sees_a_copy_that_has_ended_meanwhile),
		TEST(a_gate_that_is_closed_in_time_stops_a_copy),
		TEST(two_guests_move_at_once),
		TEST(a_move_that_breaks_before_its_end_is_one_that_was_made),
		TEST(a_reset_leaves_no_move_to_guests_that_come_after_it),
		TEST(a_half_that_became_another_guest_ends_the_copy_and_stays),
		TEST(a_half_of_an_earlier_move_goes_though_its_guest_moves_again),
		TEST(a_half_of_no_move_goes_with_the_libvirtd_that_it_came_from),
		TEST(the_progress_of_a_guest_without_memory_is_none),
		TEST(a_migration_that_is_no_longer_waited_for_says_who_broke_that_off),
		TEST(a_guest_that_is_made_on_the_source_after_the_switch_stays),
		TEST(a_migration_that_begins_late_goes_on_by_itself),
		TEST(after_the_switch_the_source_tells_of_no_copy),
		TEST(a_fleet_that_ends_waits_for_no_libvirtd),
		TEST(a_fleet_is_destroyed_with_calls_upon_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
