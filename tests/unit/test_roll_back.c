/* What a guest is after a move that did not come about: as it was before, running or standing still or off, also where it was held
 * for the move's sake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

/* A server in that state by its row, and its guest on host one. */
struct as_it_was {
	const char *vm_state;
	int power_state;
	enum guest_state guest;
};

static const struct as_it_was running = { "active", 1, GUEST_RUNNING };
static const struct as_it_was paused = { "paused", 3, GUEST_PAUSED };
static const struct as_it_was off = { "stopped", 4, GUEST_SHUT_OFF };

struct state_request {
	const char *uuid;
	const struct as_it_was *was;
};

static int write_state(struct db_session *session, void *context, struct error *error)
{
	const struct state_request *request = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, request->uuid, &server, error);

	TEXT_COPY(server.vm_state, request->was->vm_state);
	server.power_state = request->was->power_state;
	return result < 0 ? result : db_server_update(session, &server, error);
}

static void put_guest(struct worker_fixture *fixture, const char *host, const struct worker_order *order,
		      enum guest_state state)
{
	if (simulated_put_guest(fixture->fleet, host, order->uuid, state, 1024, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
}

static struct worker_order make_server(struct worker_fixture *fixture, const struct as_it_was *was)
{
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);
	struct state_request request = { order.uuid, was };

	db_fixture_write(fixture->db, write_state, &request);
	put_guest(fixture, "one", &order, was->guest);
	return order;
}

/* Its row says so too, so that nobody takes it for something else. */
static void check_is_as_it_was(struct worker_fixture *fixture, const struct worker_order *order,
			       const struct as_it_was *was, const char *status)
{
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	worker_fixture_check(fixture, order, was->vm_state, ONE, status);
	assert_int_equal(simulated_state(fixture->fleet, "one", order->uuid), was->guest);
	struct db_session *session = db_fixture_read(fixture->db);
	int result = db_server_by_uuid(session, order->uuid, &server, &fixture->db->error);
	db_read_end(session);
	assert_int_equal(result, 0);
	assert_int_equal(server.power_state, was->power_state);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, order, "1", "1");
}

static void fail_move(struct worker_fixture *fixture, const char *kind, enum simulated_outcome outcome,
		      const struct as_it_was *was, const char *status)
{
	struct worker_order order = make_server(fixture, was);

	simulated_script(fixture->fleet, "two", outcome, 1);
	worker_fixture_order(fixture, &order, kind, ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	check_is_as_it_was(fixture, &order, was, status);
}

static void a_running_server_runs_on_after_a_live_move_that_failed(void **state)
{
	fail_move(*state, "live", SIMULATED_COPY_RAISES, &running, "failed");
}

static atomic_int starts;

static void count_starts(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	(void)context;
	(void)host;
	(void)uuid;
	starts += !is_after && text_equal(operation, "start_guest");
}

/* Not for a moment does it run. */
static void a_paused_server_stays_paused_after_a_live_move_that_failed(void **state)
{
	struct worker_fixture *fixture = *state;

	starts = 0;
	simulated_set_hook(fixture->fleet, count_starts, NULL);
	fail_move(fixture, "live", SIMULATED_COPY_RAISES, &paused, "failed");
	assert_int_equal(starts, 0);
}

static void a_running_server_runs_again_after_a_cold_move_that_failed(void **state)
{
	fail_move(*state, "cold", SIMULATED_COPY_FAILS, &running, "error");
}

static void a_stopped_server_stays_off_after_a_cold_copy_that_failed(void **state)
{
	fail_move(*state, "cold", SIMULATED_COPY_FAILS, &off, "error");
}

/* Nothing is started on the target of one that is off: its definition is what fails. */
static void a_running_server_runs_again_after_a_cold_move_that_does_not_start(void **state)
{
	fail_move(*state, "cold", SIMULATED_START_FAILS, &running, "error");
}

/* As force-complete does it: the guest is let stand still, so that its copy ends. */
/* Left of a move of long ago, say, on a host that this one has nothing to do with. */
static void a_server_goes_back_though_a_third_host_has_an_old_definition_of_it(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = make_server(fixture, &running);

	put_guest(fixture, "three", &order, GUEST_SHUT_OFF);
	simulated_script(fixture->fleet, "two", SIMULATED_START_FAILS, 1);
	worker_fixture_order(fixture, &order, "cold", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", ONE, "error");
	assert_int_equal(simulated_state(fixture->fleet, "one", order.uuid), GUEST_RUNNING);
}

static void a_server_that_was_held_so_that_its_copy_ends_runs_on_when_that_failed(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = make_server(fixture, &running);

	simulated_script(fixture->fleet, "two", SIMULATED_COPY_RAISES, 1);
	simulated_close_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	simulated_wait_at_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	assert_int_equal(simulated_by_hand_suspend(fixture->fleet, "one", order.uuid, &fixture->db->error), 0);
	simulated_open_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	worker_fixture_wait_ended(fixture, &order);
	check_is_as_it_was(fixture, &order, &running, "failed");
}

/* The switch was made, and then the target gave its half up: the source's stands still by the move alone. */
static struct worker_order begin_lost_hand_over(struct worker_fixture *fixture, const struct as_it_was *was)
{
	struct worker_order order = make_server(fixture, was);

	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_set_phase(fixture, &order, "moving", TWO);
	put_guest(fixture, "one", &order, GUEST_HANDED_OVER);
	worker_fixture_start(fixture);
	return order;
}

static void lose_target_at_hand_over(struct worker_fixture *fixture, const struct as_it_was *was)
{
	struct worker_order order = begin_lost_hand_over(fixture, was);

	worker_fixture_wait_ended(fixture, &order);
	check_is_as_it_was(fixture, &order, was, "failed");
}

static void a_running_server_runs_on_when_its_target_is_lost_at_the_hand_over(void **state)
{
	lose_target_at_hand_over(*state, &running);
}

static void a_paused_server_stays_paused_when_its_target_is_lost_at_the_hand_over(void **state)
{
	lose_target_at_hand_over(*state, &paused);
}

/* Its host goes away between the two calls that this takes. */
static atomic_bool has_broken;

static void break_link_at_pause(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	struct worker_fixture *fixture = context;
	const struct simulated_place one = { .host = "one" };

	(void)host;
	(void)uuid;
	if (is_after || !text_equal(operation, "pause_guest") || atomic_exchange(&has_broken, true))
		return;
	(void)simulated_inject(fixture->fleet, SIMULATED_OUR_LINK_BREAKS, &one, NULL);
}

static void a_paused_server_stays_paused_though_its_host_goes_away_while_it_is_put_back(void **state)
{
	struct worker_fixture *fixture = *state;
	const struct simulated_place one = { .host = "one" };

	has_broken = false;
	simulated_set_hook(fixture->fleet, break_link_at_pause, fixture);
	struct worker_order order = begin_lost_hand_over(fixture, &paused);
	for (int i = 0; i < 4000 && simulated_state(fixture->fleet, "one", order.uuid) != GUEST_RUNNING; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	worker_fixture_wait_idle(fixture);
	assert_int_equal(simulated_state(fixture->fleet, "one", order.uuid), GUEST_RUNNING); /* halfway */
	assert_false(worker_fixture_has_ended(fixture, &order));
	assert_int_equal(simulated_inject(fixture->fleet, SIMULATED_OUR_LINK_IS_BACK, &one, NULL), 0);
	clock_manual_advance(fixture->db->clock, 6000000);
	worker_fixture_wait_ended(fixture, &order);
	check_is_as_it_was(fixture, &order, &paused, "failed");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_running_server_runs_on_after_a_live_move_that_failed),
		TEST(a_paused_server_stays_paused_after_a_live_move_that_failed),
		TEST(a_running_server_runs_again_after_a_cold_move_that_failed),
		TEST(a_stopped_server_stays_off_after_a_cold_copy_that_failed),
		TEST(a_running_server_runs_again_after_a_cold_move_that_does_not_start),
		TEST(a_server_goes_back_though_a_third_host_has_an_old_definition_of_it),
		TEST(a_server_that_was_held_so_that_its_copy_ends_runs_on_when_that_failed),
		TEST(a_running_server_runs_on_when_its_target_is_lost_at_the_hand_over),
		TEST(a_paused_server_stays_paused_when_its_target_is_lost_at_the_hand_over),
		TEST(a_paused_server_stays_paused_though_its_host_goes_away_while_it_is_put_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
