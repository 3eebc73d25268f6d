/* Which host a move is held to, and which it is charged to: the target is asked again right before it is touched, and a failure
 * is that of the side that failed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
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

/* The first move of two holds the only slot at its gate; the second one waits for its turn, with a target chosen. */
struct queue {
	struct worker_order first, second;
	enum simulated_gate gate;
};

static struct queue make_queue(struct worker_fixture *fixture, const char *kind)
{
	bool is_live = text_equal(kind, "live");
	struct queue queue = { .gate = is_live ? SIMULATED_GATE_LIVE : SIMULATED_GATE_DISK };

	fixture->settings.max_concurrent_live_migrations = fixture->settings.max_concurrent_cold_migrations = 1;
	if (worker_set_limits(fixture->worker, &fixture->settings, &fixture->scheduler, NULL) < 0)
		fail_msg("the limits cannot be set");
	queue.first = worker_fixture_server(fixture, "first", ONE);
	queue.second = worker_fixture_server(fixture, "second", ONE);
	simulated_close_gate(fixture->fleet, queue.gate);
	worker_fixture_order(fixture, &queue.first, kind, ONE, THREE);
	worker_fixture_start(fixture);
	simulated_wait_at_gate(fixture->fleet, queue.gate);
	/* Two is the better one while the first goes to three. */
	worker_fixture_order(fixture, &queue.second, kind, ONE, -1);
	worker_fixture_wait_phase(fixture, &queue.second, "queued");
	worker_fixture_wait_target(fixture, &queue.second, TWO);
	return queue;
}

static void end_queue(struct worker_fixture *fixture, const struct queue *queue)
{
	simulated_open_gate(fixture->fleet, queue->gate);
	worker_fixture_wait_ended(fixture, &queue->first);
	worker_fixture_wait_ended(fixture, &queue->second);
	worker_fixture_wait_no_chores(fixture);
}

static void a_live_move_that_waits_its_turn_goes_elsewhere_when_its_target_is_disabled_meanwhile(void **state)
{
	struct worker_fixture *fixture = *state;
	struct queue queue = make_queue(fixture, "live");

	worker_fixture_set_service(fixture, TWO, true, true);
	end_queue(fixture, &queue);
	worker_fixture_check(fixture, &queue.second, "active", THREE, "completed");
	worker_fixture_check_places(fixture, &queue.second, "3", "3");
}

static void a_cold_move_that_waits_its_turn_goes_elsewhere_when_its_target_is_disabled_meanwhile(void **state)
{
	struct worker_fixture *fixture = *state;
	struct queue queue = make_queue(fixture, "cold");

	worker_fixture_set_service(fixture, TWO, true, true);
	end_queue(fixture, &queue);
	worker_fixture_check(fixture, &queue.second, "resized", THREE, "finished");
	worker_fixture_check_places(fixture, &queue.second, "3", "13");
}

static void a_move_that_waits_its_turn_goes_elsewhere_when_its_target_is_down_meanwhile(void **state)
{
	struct worker_fixture *fixture = *state;
	struct queue queue = make_queue(fixture, "live");

	worker_fixture_set_service(fixture, TWO, false, false);
	end_queue(fixture, &queue);
	worker_fixture_check(fixture, &queue.second, "active", THREE, "completed");
}

/* A check that is under way when the source's connection breaks: whatever error that gives. */
static struct {
	struct worker_fixture *fixture;
	const char *operation;
	int checks;
} breaking;

static void break_off_source(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	(void)context;
	(void)host;
	(void)uuid;
	if (is_after || !text_equal(operation, breaking.operation))
		return;
	breaking.checks++;
	simulated_set_host_up(breaking.fixture->fleet, "one", false);
}

static void a_source_breaks_off_in_the_check(struct worker_fixture *fixture, const char *kind, const char *operation)
{
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	breaking.fixture = fixture;
	breaking.operation = operation;
	breaking.checks = 0;
	simulated_set_hook(fixture->fleet, break_off_source, NULL);
	worker_fixture_order(fixture, &order, kind, ONE, -1);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	simulated_set_hook(fixture->fleet, NULL, NULL);
	assert_int_equal(breaking.checks, 1); /* no other target would do */
	worker_fixture_check(fixture, &order, "active", ONE, "error");
	worker_fixture_check_told(fixture, &order, "Compute service of one is unavailable at this time.");
	assert_int_equal(worker_fixture_failures(fixture, TWO), 0);
	assert_int_equal(worker_fixture_failures(fixture, THREE), 0);
	worker_fixture_check_places(fixture, &order, "1", "1");
}

static void a_source_that_breaks_off_in_the_check_of_a_live_move_is_no_refusal_of_a_target(void **state)
{
	a_source_breaks_off_in_the_check(*state, "live", "check_live");
}

static void a_source_that_breaks_off_in_the_check_of_a_cold_move_is_no_refusal_of_a_target(void **state)
{
	a_source_breaks_off_in_the_check(*state, "cold", "check_cold");
}

static void a_source_that_is_silent_in_the_check_is_asked_once_and_named(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);
	const struct simulated_place one = { .host = "one" };

	assert_int_equal(simulated_inject(fixture->fleet, SIMULATED_OUR_LINK_BREAKS, &one, NULL), 0);
	worker_fixture_order(fixture, &order, "live", ONE, -1);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", ONE, "error");
	worker_fixture_check_told(fixture, &order, "Compute service of one is unavailable at this time.");
	assert_int_equal(worker_fixture_failures(fixture, TWO) + worker_fixture_failures(fixture, THREE), 0);
}

/* Its own failure, beside the others': that is what the weigher counts. */
static void a_target_that_fails_in_the_copy_is_charged_with_it(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	simulated_script(fixture->fleet, "two", SIMULATED_COPY_RAISES, 1);
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", ONE, "failed");
	assert_int_equal(worker_fixture_failures(fixture, TWO), 1);
	assert_int_equal(worker_fixture_failures(fixture, ONE) + worker_fixture_failures(fixture, THREE), 0);
}

/* In the copy: a guest that ends on its source says nothing about the target, in either kind of move. */
static void a_source_that_fails_in_the_copy_is_not_charged_to_the_target(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);
	const struct simulated_place guest = { .host = "one", .uuid = order.uuid };

	simulated_close_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	simulated_wait_at_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	assert_int_equal(simulated_inject(fixture->fleet, SIMULATED_QEMU_DIES, &guest, NULL), 0);
	simulated_open_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", ONE, "failed");
	assert_int_equal(worker_fixture_failures(fixture, TWO), 0);
}

/* What it is charged with ends with the next move to it that goes well, and not with one that goes elsewhere. */
static void a_target_is_cleared_by_a_move_that_goes_well(struct worker_fixture *fixture, const char *kind,
							 const char *failed, const char *done)
{
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);
	struct worker_order other = worker_fixture_server(fixture, "other", ONE);

	simulated_script(fixture->fleet, "two", SIMULATED_COPY_FAILS, 2);
	worker_fixture_start(fixture);
	for (int i = 1; i <= 2; i++) {
		worker_fixture_order(fixture, &order, kind, ONE, TWO);
		worker_fixture_wait_ended(fixture, &order);
		worker_fixture_check(fixture, &order, "active", ONE, failed);
		assert_int_equal(worker_fixture_failures(fixture, TWO), i);
		worker_fixture_wait_no_chores(fixture);
	}
	worker_fixture_order(fixture, &other, kind, ONE, THREE);
	worker_fixture_wait_ended(fixture, &other);
	assert_int_equal(worker_fixture_failures(fixture, TWO), 2);
	worker_fixture_order(fixture, &order, kind, ONE, TWO);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, text_equal(kind, "live") ? "active" : "resized", TWO, done);
	assert_int_equal(worker_fixture_failures(fixture, TWO), 0);
}

static void failures_of_live_moves_are_counted_until_one_goes_well(void **state)
{
	a_target_is_cleared_by_a_move_that_goes_well(*state, "live", "failed", "completed");
}

static void failures_of_cold_moves_are_counted_until_one_goes_well(void **state)
{
	a_target_is_cleared_by_a_move_that_goes_well(*state, "cold", "error", "finished");
}

static int ask_for_abort(struct db_session *session, void *context, struct error *error)
{
	return db_job_request(session, *(int64_t *)context, true, false, error);
}

/* At the gate of its copy; then what is to end it, and time. */
static void end_in_the_copy(struct worker_fixture *fixture, db_write_fn request, const char *status)
{
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	assert_int_equal(worker_set_limits(fixture->worker, &fixture->settings, &fixture->scheduler, NULL), 0);
	simulated_close_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	simulated_wait_at_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	if (request)
		db_fixture_write(fixture->db, request, &order.job_id);
	for (int i = 0; i < 200 && !worker_fixture_has_ended(fixture, &order); i++) {
		clock_manual_advance(fixture->db->clock, 1000000);
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	worker_fixture_check(fixture, &order, "active", ONE, status);
	assert_int_equal(worker_fixture_failures(fixture, TWO), 0);
}

static void a_move_that_its_user_calls_off_is_charged_to_nobody(void **state)
{
	end_in_the_copy(*state, ask_for_abort, "cancelled");
}

/* It was too much for its limit, whoever had it. */
static void a_move_that_takes_longer_than_its_limit_is_charged_to_nobody(void **state)
{
	struct worker_fixture *fixture = *state;

	fixture->settings.live_migration_completion_timeout_s = 2;
	end_in_the_copy(fixture, NULL, "cancelled");
}

static void a_server_that_is_removed_in_its_cold_copy_is_not_charged_to_the_target(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	simulated_close_gate(fixture->fleet, SIMULATED_GATE_DISK);
	worker_fixture_order(fixture, &order, "cold", ONE, TWO);
	worker_fixture_start(fixture);
	simulated_wait_at_gate(fixture->fleet, SIMULATED_GATE_DISK);
	assert_int_equal(simulated_by_hand_undefine(fixture->fleet, "one", order.uuid, &fixture->db->error), 0);
	simulated_open_gate(fixture->fleet, SIMULATED_GATE_DISK);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check_told(fixture, &order, "is absent on host one");
	assert_int_equal(worker_fixture_failures(fixture, TWO), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_live_move_that_waits_its_turn_goes_elsewhere_when_its_target_is_disabled_meanwhile),
		TEST(a_cold_move_that_waits_its_turn_goes_elsewhere_when_its_target_is_disabled_meanwhile),
		TEST(a_move_that_waits_its_turn_goes_elsewhere_when_its_target_is_down_meanwhile),
		TEST(a_source_that_breaks_off_in_the_check_of_a_live_move_is_no_refusal_of_a_target),
		TEST(a_source_that_breaks_off_in_the_check_of_a_cold_move_is_no_refusal_of_a_target),
		TEST(a_source_that_is_silent_in_the_check_is_asked_once_and_named),
		TEST(a_target_that_fails_in_the_copy_is_charged_with_it),
		TEST(a_source_that_fails_in_the_copy_is_not_charged_to_the_target),
		TEST(failures_of_live_moves_are_counted_until_one_goes_well),
		TEST(failures_of_cold_moves_are_counted_until_one_goes_well),
		TEST(a_move_that_its_user_calls_off_is_charged_to_nobody),
		TEST(a_move_that_takes_longer_than_its_limit_is_charged_to_nobody),
		TEST(a_server_that_is_removed_in_its_cold_copy_is_not_charged_to_the_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
