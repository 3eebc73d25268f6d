/* Moves that the hypervisor brings to no end by itself, and those whose end leaves something that cannot be tidied: each has its
 * end all the same, with the server free, and what remains is a chore. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pthread.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

#define TURNS       4000
#define SMALL_STACK ((size_t)256 * 1024)

static void inject(struct worker_fixture *fixture, enum simulated_fault fault, int host, const char *uuid)
{
	const struct simulated_place place = { .host = worker_host_names[host], .uuid = uuid };

	if (simulated_inject(fixture->fleet, fault, &place, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
}

static void rest(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

/* Time passes, a second in each step, until the job has ended; the seconds that it took. */
static int pass_until_ended(struct worker_fixture *fixture, const struct worker_order *order, int seconds)
{
	for (int i = 0; i < seconds; i++) {
		if (worker_fixture_has_ended(fixture, order))
			return i;
		clock_manual_advance(fixture->db->clock, 1000000);
		for (int j = 0; j < 10; j++)
			rest();
	}
	fail_msg("the job has not ended after %d s", seconds);
	return 0;
}

static void check_is_free(struct worker_fixture *fixture, const struct worker_order *order)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	CLEANUP_DB_CLAIMS struct db_claim_list claims = { 0 };
	CLEANUP_DB_JOB struct db_job job = { 0 };
	struct error error = { 0 };

	int result = db_claim_by_migration(session, order->migration_id, &claims, &error);
	int job_result = db_job_unfinished_of_server(session, order->uuid, &job, &error);
	db_read_end(TAKE_POINTER(session));
	assert_int_equal(result, 0);
	assert_int_equal(claims.count, 0);
	assert_int_equal(job_result, -ENOENT);
}

/* How often the source was asked how far the move is: once in each turn of the job. */
static atomic_int turns;

static void count_turns(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	(void)context;
	(void)host;
	(void)uuid;
	if (!is_after && text_equal(operation, "progress"))
		turns++;
}

/* The source handed it over and shows no job any more, the target has not taken it yet: asked again and again. */
static void a_job_that_goes_round_needs_no_more_stack_with_each_turn(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);
	pthread_attr_t small, before;

	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_set_phase(fixture, &order, "moving", TWO);
	if (simulated_put_guest(fixture->fleet, "one", order.uuid, GUEST_HANDED_OVER, 1024, &fixture->db->error) < 0
	    || simulated_put_guest(fixture->fleet, "two", order.uuid, GUEST_ARRIVING, 1024, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
	turns = 0;
	simulated_set_hook(fixture->fleet, count_turns, NULL);
	pthread_getattr_default_np(&before);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, SMALL_STACK);
	pthread_setattr_default_np(&small);
	worker_fixture_start(fixture);
	for (int i = 0; i < 100 * TURNS && turns < TURNS; i++) {
		clock_manual_advance(fixture->db->clock, 1000000);
		rest();
	}
	pthread_setattr_default_np(&before);
	assert_true(turns >= TURNS);
	if (simulated_put_guest(fixture->fleet, "two", order.uuid, GUEST_RUNNING, 1024, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
	pass_until_ended(fixture, &order, 5000);
	worker_fixture_check(fixture, &order, "active", TWO, "completed");
}

/* As libvirt 9 does when a guest powers itself off while its disk is copied: the source has it off, the target's half waits, and
 * the call does not return until that libvirtd is restarted. */
static void try_call_that_never_returns(struct worker_fixture *fixture, int64_t stall_timeout_s)
{
	fixture->settings.stall_timeout_s = stall_timeout_s;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	assert_true(simulated_hang_next(fixture->fleet, "one", "migrate_live", SIMULATED_LANDS_NEVER));
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	simulated_wait_hung(fixture->fleet, "one");
	inject(fixture, SIMULATED_GUEST_POWERED_OFF, ONE, order.uuid);
	if (simulated_put_guest(fixture->fleet, "two", order.uuid, GUEST_ARRIVING, 1024, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
	pass_until_ended(fixture, &order, 5000);
	worker_fixture_check(fixture, &order, "active", ONE, "failed");
	worker_fixture_check_told(fixture, &order, "does not return though it is not under way any more");
	assert_int_equal(worker_fixture_failures(fixture, TWO), 0);
	check_is_free(fixture, &order);
	worker_fixture_wait_chore(fixture, ONE, DB_CHORE_AWAIT_LIBVIRTD, "libvirtd on host one must be restarted");
	assert_int_equal(simulated_state(fixture->fleet, "two", order.uuid),
			 GUEST_ARRIVING); /* nothing it touches goes */
	inject(fixture, SIMULATED_LIBVIRTD_DIES, ONE, NULL);
	inject(fixture, SIMULATED_LIBVIRTD_DIES, TWO, NULL);
	inject(fixture, SIMULATED_LIBVIRTD_STARTS, ONE, NULL);
	inject(fixture, SIMULATED_LIBVIRTD_STARTS, TWO, NULL);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "1", "1");
}

static void a_move_whose_call_never_returns_ends_and_says_that_libvirtd_must_be_restarted(void **state)
{
	try_call_that_never_returns(*state, 60);
}

/* What is let stand still for ever is a stream, and there is none. */
static void a_move_whose_call_never_returns_ends_without_a_stall_timeout_too(void **state)
{
	try_call_that_never_returns(*state, 0);
}

static void a_live_move_is_completed_though_its_source_dies_at_the_hand_over(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	inject(fixture, SIMULATED_LIBVIRTD_DIES_AT_HAND_OVER, ONE, NULL);
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", TWO, "completed");
	check_is_free(fixture, &order);
	worker_fixture_check_places(fixture, &order, "12", "12");
	inject(fixture, SIMULATED_LIBVIRTD_STARTS, ONE, NULL);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "2", "2");
	assert_true(simulated_has_whole_disks(fixture->fleet, "two", order.uuid));
}

/* The daemon was away, too; now the source is known to be down. */
static void a_live_move_whose_source_is_down_is_completed_when_the_target_shows_that_it_arrived(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_set_phase(fixture, &order, "moving", TWO);
	if (simulated_put_guest(fixture->fleet, "one", order.uuid, GUEST_HANDED_OVER, 1024, &fixture->db->error) < 0
	    || simulated_put_guest(fixture->fleet, "two", order.uuid, GUEST_ARRIVING, 1024, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
	inject(fixture, SIMULATED_LIBVIRTD_DIES, ONE, NULL);
	worker_fixture_set_service(fixture, ONE, false, false);
	worker_fixture_start(fixture);
	worker_fixture_wait_idle(fixture);
	assert_false(worker_fixture_has_ended(fixture, &order));
	if (simulated_put_guest(fixture->fleet, "two", order.uuid, GUEST_RUNNING, 1024, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
	pass_until_ended(fixture, &order, 5000);
	worker_fixture_check(fixture, &order, "active", TWO, "completed");
	check_is_free(fixture, &order);
}

static void a_live_move_is_completed_though_its_source_dies_before_it_is_tidied(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	inject(fixture, SIMULATED_POOL_IS_READ_ONLY, ONE, NULL);
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	inject(fixture, SIMULATED_LIBVIRTD_DIES, ONE, NULL);
	worker_fixture_check(fixture, &order, "active", TWO, "completed");
	check_is_free(fixture, &order);
	worker_fixture_order(fixture, &order, "live", TWO, THREE); /* the next one goes on from there */
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", THREE, "completed");
	inject(fixture, SIMULATED_POOL_IS_WELL, ONE, NULL);
	inject(fixture, SIMULATED_LIBVIRTD_STARTS, ONE, NULL);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "3", "3");
	assert_true(simulated_has_whole_disks(fixture->fleet, "three", order.uuid));
}

static void a_live_move_ends_though_its_sources_pool_went_away_in_the_copy(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	simulated_close_gate(fixture->fleet, SIMULATED_GATE_POST_DEST);
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	simulated_wait_at_gate(fixture->fleet, SIMULATED_GATE_POST_DEST);
	inject(fixture, SIMULATED_POOL_IS_OFF, ONE, NULL);
	simulated_open_gate(fixture->fleet, SIMULATED_GATE_POST_DEST);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", TWO, "completed");
	check_is_free(fixture, &order);
	worker_fixture_wait_chore(fixture, ONE, DB_CHORE_REMOVE_VOLUME, "pool");
}

/* What is left there is in the way of nothing but a move back, which names it. */
static void a_disk_that_cannot_be_removed_is_a_chore_that_keeps_the_server_from_that_host_alone(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	inject(fixture, SIMULATED_POOL_IS_READ_ONLY, ONE, NULL);
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_wait_chore(fixture, ONE, DB_CHORE_REMOVE_VOLUME, "");
	worker_fixture_wait_idle(fixture); /* it is not being tried */
	worker_fixture_order(fixture, &order, "live", TWO, ONE);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", TWO, "error");
	worker_fixture_check_told(fixture, &order, "one: RetryFilter: host one cannot write to its storage pool");
	worker_fixture_check_places(fixture, &order, "2", "12");
	inject(fixture, SIMULATED_POOL_IS_WELL, ONE, NULL);
	worker_fixture_order(fixture, &order, "live", TWO, ONE); /* done before it comes, not when its time comes */
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", ONE, "completed");
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "1", "1");
}

/* What the move would make there could be taken for what is to go. */
static void a_server_does_not_come_back_to_a_host_while_its_leftovers_are_being_removed_there(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	assert_true(simulated_hang_next(fixture->fleet, "one", "remove_volume", SIMULATED_LANDS_LATE));
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	simulated_wait_hung(fixture->fleet, "one");
	worker_fixture_order(fixture, &order, "live", TWO, ONE);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", TWO, "error");
	worker_fixture_check_told(fixture, &order, "is being removed now");
	assert_true(simulated_land_late(fixture->fleet, "one"));
	worker_fixture_check_places(fixture, &order, "2", "2");
}

static void count_removals(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	atomic_int *count = context;

	(void)uuid;
	*count += !is_after && text_equal(host, "one") && text_equal(operation, "remove_volume");
}

/* What one chore looks at another one could change, whoever has it done. */
static void while_a_move_has_its_leftovers_removed_its_host_has_no_other_chore_done(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);
	struct worker_order other = worker_fixture_server(fixture, "other", ONE);
	atomic_int removals = 0;

	inject(fixture, SIMULATED_POOL_IS_READ_ONLY, ONE, NULL);
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_order(fixture, &other, "live", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_wait_ended(fixture, &other);
	worker_fixture_wait_chore(fixture, ONE, DB_CHORE_REMOVE_VOLUME, "");
	worker_fixture_wait_idle(fixture);
	inject(fixture, SIMULATED_POOL_IS_WELL, ONE, NULL);
	assert_true(simulated_hang_next(fixture->fleet, "one", "remove_volume", SIMULATED_LANDS_NEVER));
	simulated_set_hook(fixture->fleet, count_removals, &removals);
	worker_fixture_order(fixture, &order, "live", TWO, ONE);
	simulated_wait_hung(fixture->fleet, "one");
	for (int i = 0; i < 60; i++) {
		clock_manual_advance(fixture->db->clock, 10000000);
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
	assert_int_equal(removals, 1);
	worker_fixture_check_places(fixture, &order, "2", "12");
	worker_fixture_check_places(fixture, &other, "2", "12");
	inject(fixture, SIMULATED_LIBVIRTD_DIES, ONE, NULL);
	inject(fixture, SIMULATED_LIBVIRTD_STARTS, ONE, NULL);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "2", "2");
	worker_fixture_check_places(fixture, &other, "2", "2");
}

static void a_cold_move_whose_target_cannot_be_cleaned_gives_the_server_back_running(void **state)
{
	static const enum simulated_fault faults[] = { SIMULATED_POOL_IS_READ_ONLY, SIMULATED_POOL_IS_OFF };

	for (size_t i = 0; i < ARRAY_LENGTH(faults); i++) {
		struct worker_fixture *fixture = *state;
		struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

		simulated_close_gate(fixture->fleet, SIMULATED_GATE_DISK);
		worker_fixture_order(fixture, &order, "cold", ONE, TWO);
		worker_fixture_start(fixture);
		simulated_wait_at_gate(fixture->fleet, SIMULATED_GATE_DISK);
		inject(fixture, faults[i], TWO, NULL);
		simulated_script(fixture->fleet, "two", SIMULATED_COPY_FAILS, 1);
		simulated_open_gate(fixture->fleet, SIMULATED_GATE_DISK);
		worker_fixture_wait_ended(fixture, &order);
		worker_fixture_check(fixture, &order, "active", ONE, "error");
		assert_int_equal(simulated_state(fixture->fleet, "one", order.uuid), GUEST_RUNNING);
		check_is_free(fixture, &order);
		worker_fixture_wait_chore(fixture, TWO, DB_CHORE_REMOVE_VOLUME, "");
		worker_fixture_order(fixture, &order, "live", ONE, THREE); /* nothing blocks it */
		worker_fixture_wait_ended(fixture, &order);
		worker_fixture_check(fixture, &order, "active", THREE, "completed");
		inject(fixture, SIMULATED_POOL_IS_WELL, TWO, NULL);
		worker_fixture_wait_no_chores(fixture);
		worker_fixture_check_places(fixture, &order, "3", "3");
		if (i + 1 == ARRAY_LENGTH(faults))
			break;
		worker_fixture_teardown(state);
		worker_fixture_setup(state);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_job_that_goes_round_needs_no_more_stack_with_each_turn),
		TEST(a_move_whose_call_never_returns_ends_and_says_that_libvirtd_must_be_restarted),
		TEST(a_move_whose_call_never_returns_ends_without_a_stall_timeout_too),
		TEST(a_live_move_is_completed_though_its_source_dies_at_the_hand_over),
		TEST(a_live_move_whose_source_is_down_is_completed_when_the_target_shows_that_it_arrived),
		TEST(a_live_move_is_completed_though_its_source_dies_before_it_is_tidied),
		TEST(a_live_move_ends_though_its_sources_pool_went_away_in_the_copy),
		TEST(a_disk_that_cannot_be_removed_is_a_chore_that_keeps_the_server_from_that_host_alone),
		TEST(a_server_does_not_come_back_to_a_host_while_its_leftovers_are_being_removed_there),
		TEST(while_a_move_has_its_leftovers_removed_its_host_has_no_other_chore_done),
		TEST(a_cold_move_whose_target_cannot_be_cleaned_gives_the_server_back_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
