/* A host that does not answer holds up its own jobs and nobody else's: whether that is known yet or not, the others' begin at once,
 * though more of its jobs wait than there are threads, and each of them is older. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

#define STARTS 22
/* A loaded machine's disk takes a second or two for a move's commits; one that waits for the silent host never ends, since the
 * clock stands still. */
#define SOON_MS 10000

static void inject(struct worker_fixture *fixture, enum simulated_fault fault)
{
	const struct simulated_place three = { .host = "three" };

	if (simulated_inject(fixture->fleet, fault, &three, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
}

/* So many servers that are to be started on the third host. */
static void order_starts(struct worker_fixture *fixture, struct worker_order orders[STARTS])
{
	for (int i = 0; i < STARTS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "off-%d", i);
		orders[i] = worker_fixture_server(fixture, name, THREE);
		if (simulated_by_hand_power_off(fixture->fleet, "three", orders[i].uuid, &fixture->db->error) < 0)
			fail_msg("%s", fixture->db->error.text);
		worker_fixture_order(fixture, &orders[i], "start", THREE, -1);
	}
}

static void moves_soon(struct worker_fixture *fixture, const char *kind, const char *status)
{
	struct worker_order order = worker_fixture_server(fixture, kind, ONE);
	int64_t began_ms = clock_monotonic_ms(clock_system());

	worker_fixture_order(fixture, &order, kind, ONE, TWO);
	worker_fixture_wait_ended(fixture, &order);
	int64_t took_ms = clock_monotonic_ms(clock_system()) - began_ms;
	if (took_ms > SOON_MS)
		fail_msg("a %s move between two other hosts took %lld ms", kind, (long long)took_ms);
	worker_fixture_check(fixture, &order, text_equal(kind, "live") ? "active" : "resized", TWO, status);
}

static void all_are_started(struct worker_fixture *fixture, const struct worker_order orders[STARTS])
{
	for (int i = 0; i < STARTS; i++) {
		worker_fixture_wait_ended(fixture, &orders[i]);
		assert_int_equal(simulated_state(fixture->fleet, "three", orders[i].uuid), GUEST_RUNNING);
	}
}

static void a_host_that_is_down_holds_no_thread_and_stops_no_other_hosts_moves(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order orders[STARTS];
	int64_t running = 0, limit = 0;

	order_starts(fixture, orders);
	inject(fixture, SIMULATED_LIBVIRTD_STOPS);
	worker_fixture_set_service(fixture, THREE, false, false);
	worker_fixture_start(fixture);
	worker_fixture_wait_idle(fixture);
	worker_count_running(fixture->worker, &running, &limit);
	assert_int_equal(running, 0);
	moves_soon(fixture, "live", "completed");
	moves_soon(fixture, "cold", "finished");
	assert_false(worker_fixture_has_ended(fixture, &orders[0]));
	inject(fixture, SIMULATED_LIBVIRTD_GOES_ON);
	worker_fixture_set_service(fixture, THREE, true, false);
	all_are_started(fixture, orders);
}

static void a_host_that_became_silent_takes_its_own_threads_and_stops_no_other_hosts_moves(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order orders[STARTS];
	int64_t running = 0, limit = 0;

	order_starts(fixture, orders);
	inject(fixture, SIMULATED_LIBVIRTD_STOPS); /* its row says up */
	worker_fixture_start(fixture);
	simulated_wait_hung(fixture->fleet, "three");
	moves_soon(fixture, "live", "completed");
	moves_soon(fixture, "cold", "finished");
	worker_count_running(fixture->worker, &running, &limit);
	assert_int_equal(running, limit); /* all of them there */
	inject(fixture, SIMULATED_LIBVIRTD_GOES_ON);
	all_are_started(fixture, orders);
}

/* Each silent host takes one beyond the limit, but all together not more than as many again. */
static void silent_hosts_take_no_more_than_twice_the_threads(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order orders[WORKER_HOSTS];
	int64_t running = 0, limit = 0;

	fixture->settings.threads = 1;
	assert_int_equal(worker_set_limits(fixture->worker, &fixture->settings, &fixture->scheduler, NULL), 0);
	for (int i = 0; i < WORKER_HOSTS; i++) {
		orders[i] = worker_fixture_server(fixture, worker_host_names[i], i);
		assert_true(simulated_hang_next(fixture->fleet, worker_host_names[i], "look", SIMULATED_LANDS_NEVER));
		worker_fixture_order(fixture, &orders[i], "stop", i, -1);
	}
	worker_fixture_start(fixture);
	simulated_wait_hung(fixture->fleet, "one");
	simulated_wait_hung(fixture->fleet, "two");
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	worker_count_running(fixture->worker, &running, &limit);
	assert_int_equal(limit, 1);
	assert_int_equal(running, 2);
}

/* A host is busy with the moves that come to it, too. */
static void a_host_that_a_silent_move_goes_to_gets_no_thread_beyond_the_limit(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order move = worker_fixture_server(fixture, "move", ONE);
	struct worker_order other = worker_fixture_server(fixture, "other", TWO);
	int64_t running = 0, limit = 0;

	fixture->settings.threads = 1;
	assert_int_equal(worker_set_limits(fixture->worker, &fixture->settings, &fixture->scheduler, NULL), 0);
	worker_fixture_order(fixture, &move, "live", ONE, TWO);
	worker_fixture_set_phase(fixture, &move, "moving", TWO);
	assert_true(simulated_hang_next(fixture->fleet, "two", "look", SIMULATED_LANDS_NEVER));
	worker_fixture_start(fixture);
	simulated_wait_hung(fixture->fleet, "two");
	worker_fixture_order(fixture, &other, "stop", TWO, -1);
	nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
	worker_count_running(fixture->worker, &running, &limit);
	assert_int_equal(running, 1);
	assert_int_equal(simulated_state(fixture->fleet, "two", other.uuid), GUEST_RUNNING);
	simulated_end_copies(fixture->fleet); /* it returns */
	worker_fixture_wait_ended(fixture, &other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_that_is_down_holds_no_thread_and_stops_no_other_hosts_moves),
		TEST(a_host_that_became_silent_takes_its_own_threads_and_stops_no_other_hosts_moves),
		TEST(a_host_that_a_silent_move_goes_to_gets_no_thread_beyond_the_limit),
		TEST(silent_hosts_take_no_more_than_twice_the_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
