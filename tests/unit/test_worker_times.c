/* When the worker does things again: a job's next try, its lease, a chore's growing pauses; and what counts as under way
 * meanwhile, also after a restart. The clock is the test's, so that each second is seen to make a difference, or none. */
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
#include "db/chores.h"
#include "db/jobs.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

#define RETRY_S 5 /* the fixture's */
#define LEASE_S 60
#define WAIT_MS 5000

/* How often an operation was begun on a host. */
static struct {
	const char *host, *operation;
	atomic_int count;
} counted;

static void count_call(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	(void)context;
	(void)uuid;
	if (!is_after && text_equal(host, counted.host) && text_equal(operation, counted.operation))
		counted.count++;
}

static void count_calls(struct worker_fixture *fixture, const char *host, const char *operation)
{
	counted.host = host;
	counted.operation = operation;
	counted.count = 0;
	simulated_set_hook(fixture->fleet, count_call, NULL);
}

static void rest_ms(int milliseconds)
{
	nanosleep(&(struct timespec){ .tv_nsec = milliseconds * 1000000L }, NULL);
}

static void pass_ms(struct worker_fixture *fixture, int64_t milliseconds)
{
	clock_manual_advance(fixture->db->clock, milliseconds * 1000);
}

/* It comes to so many, and not to more. */
static void wait_for_calls(struct worker_fixture *fixture, int count)
{
	for (int i = 0; i < WAIT_MS && counted.count < count; i++)
		rest_ms(1);
	worker_fixture_wait_idle(fixture);
	rest_ms(20);
	assert_int_equal(counted.count, count);
}

/* The next call comes after so many milliseconds, and not before. */
static void check_next_call_after(struct worker_fixture *fixture, int64_t milliseconds)
{
	int before = counted.count;

	pass_ms(fixture, milliseconds - 100);
	wait_for_calls(fixture, before);
	pass_ms(fixture, 200);
	wait_for_calls(fixture, before + 1);
}

static void inject(struct worker_fixture *fixture, enum simulated_fault fault, int host, const char *uuid)
{
	const struct simulated_place place = { .host = worker_host_names[host], .uuid = uuid };

	if (simulated_inject(fixture->fleet, fault, &place, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
}

static void a_job_that_cannot_go_on_is_tried_again_after_each_interval_and_not_before(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	inject(fixture, SIMULATED_OUR_LINK_BREAKS, ONE, NULL);
	count_calls(fixture, "one", "look");
	worker_fixture_order(fixture, &order, "stop", ONE, -1);
	worker_fixture_start(fixture);
	wait_for_calls(fixture, 1);
	for (int i = 0; i < 3; i++)
		check_next_call_after(fixture, (int64_t)RETRY_S * 1000);
	assert_false(worker_fixture_has_ended(fixture, &order));
	inject(fixture, SIMULATED_OUR_LINK_IS_BACK, ONE, NULL);
	pass_ms(fixture, (int64_t)RETRY_S * 1000 + 100);
	worker_fixture_wait_ended(fixture, &order);
	assert_int_equal(simulated_state(fixture->fleet, "one", order.uuid), GUEST_SHUT_OFF);
}

/* A daemon that starts knows nothing of the pauses of the one before. */
static void a_job_that_waited_for_its_next_try_has_it_at_the_next_start(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	inject(fixture, SIMULATED_OUR_LINK_BREAKS, ONE, NULL);
	count_calls(fixture, "one", "look");
	worker_fixture_order(fixture, &order, "stop", ONE, -1);
	worker_fixture_start(fixture);
	wait_for_calls(fixture, 1);
	assert_true(worker_stop(fixture->worker));
	worker_fixture_start(fixture);
	wait_for_calls(fixture, 2);
	inject(fixture, SIMULATED_OUR_LINK_IS_BACK, ONE, NULL);
	pass_ms(fixture, (int64_t)RETRY_S * 1000 + 100);
	worker_fixture_wait_ended(fixture, &order);
}

static void read_job(struct worker_fixture *fixture, const struct worker_order *order, struct db_job *ret_job)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);

	assert_int_equal(db_job_by_id(session, order->job_id, ret_job, &fixture->db->error), 0);
}

/* For how long it is still this node's. */
static int64_t lease_left_s(struct worker_fixture *fixture, const struct worker_order *order)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };

	read_job(fixture, order, &job);
	assert_string_equal(job.owner, "node");
	return (job.lease_until_us - clock_now_us(fixture->db->clock)) / 1000000;
}

struct take_request {
	int64_t job_id;
	const char *node;
	int64_t seconds;
};

static int take_job(struct db_session *session, void *context, struct error *error)
{
	const struct take_request *request = context;

	return db_job_take(session, request->job_id, request->node, db_now_us(session) + request->seconds * 1000000,
			   error);
}

/* Time passes for twice as long as a lease holds: half of it is always left. */
static void check_lease_is_kept(struct worker_fixture *fixture, const struct worker_order *order)
{
	struct take_request other = { order->job_id, "other", LEASE_S };

	assert_int_equal(lease_left_s(fixture, order), LEASE_S);
	for (int passed = 0; passed < 2 * LEASE_S; passed += 10) {
		pass_ms(fixture, 10000);
		for (int i = 0; i < WAIT_MS && lease_left_s(fixture, order) < LEASE_S / 2; i++)
			rest_ms(1);
		assert_in_range(lease_left_s(fixture, order), LEASE_S / 2, LEASE_S);
		assert_int_equal(db_write(fixture->db->database, take_job, &other, &fixture->db->error), -EBUSY);
	}
	assert_false(worker_fixture_has_ended(fixture, order));
}

static void a_live_move_keeps_its_lease_for_as_long_as_it_takes(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	fixture->settings.stall_timeout_s = 0; /* it stands still at the gate */
	assert_int_equal(worker_set_limits(fixture->worker, &fixture->settings, &fixture->scheduler, NULL), 0);
	simulated_close_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	simulated_wait_at_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	check_lease_is_kept(fixture, &order);
	simulated_open_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", TWO, "completed");
}

static void a_cold_copy_keeps_its_lease_for_as_long_as_it_takes(void **state)
{
	static struct simulated_move_settings moves[] = { { .takes_s = 10 * LEASE_S } };
	static const struct simulated_server_settings settings = {
		.vcpus = 2, .memory_mb = 1024, .disk_gb = 10, .flavor = "small", .moves = moves, .move_count = 1
	};
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	if (simulated_put_server(fixture->fleet, "one", order.uuid, "vm", &settings, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
	worker_fixture_order(fixture, &order, "cold", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_phase(fixture, &order, "copying");
	check_lease_is_kept(fixture, &order);
	pass_ms(fixture, (int64_t)10 * LEASE_S * 1000);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "resized", TWO, "finished");
}

/* As a daemon that was killed in the copy leaves it, from one to two; the move goes on between the hosts. */
static void leave_moving(struct worker_fixture *fixture, const struct worker_order *order)
{
	worker_fixture_set_phase(fixture, order, "moving", TWO);
	if (simulated_put_guest(fixture->fleet, "one", order->uuid, GUEST_HANDED_OVER, 1024, &fixture->db->error) < 0
	    || simulated_put_guest(fixture->fleet, "two", order->uuid, GUEST_ARRIVING, 1024, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
}

static void arrive(struct worker_fixture *fixture, const struct worker_order *order)
{
	if (simulated_put_guest(fixture->fleet, "two", order->uuid, GUEST_RUNNING, 1024, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
	for (int i = 0; i < 200 && !worker_fixture_has_ended(fixture, order); i++) {
		pass_ms(fixture, 1000);
		rest_ms(5);
	}
	worker_fixture_check(fixture, order, "active", TWO, "completed");
}

static void a_move_that_is_taken_up_after_a_restart_keeps_its_lease_too(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	leave_moving(fixture, &order);
	count_calls(fixture, "one", "progress");
	worker_fixture_start(fixture);
	for (int i = 0; i < WAIT_MS && counted.count == 0; i++) {
		pass_ms(fixture, 1);
		rest_ms(1);
	}
	for (int passed = 0; passed < 2 * LEASE_S; passed += 5) {
		pass_ms(fixture, 5000);
		for (int i = 0; i < WAIT_MS && lease_left_s(fixture, &order) < LEASE_S / 2; i++)
			rest_ms(1);
		assert_in_range(lease_left_s(fixture, &order), LEASE_S / 2, LEASE_S);
	}
	arrive(fixture, &order);
}

/* Another daemon had it, and may have it still. */
static void a_job_of_another_node_is_taken_over_when_its_lease_has_ended_and_not_before(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	worker_fixture_order(fixture, &order, "stop", ONE, -1);
	db_fixture_write(fixture->db, take_job, &(struct take_request){ order.job_id, "other", 31 });
	count_calls(fixture, "one", "look");
	worker_fixture_start(fixture);
	worker_fixture_wait_idle(fixture);
	for (int passed = 0; passed < 30; passed++) {
		pass_ms(fixture, 1000);
		wait_for_calls(fixture, 0);
	}
	assert_int_equal(simulated_state(fixture->fleet, "one", order.uuid), GUEST_RUNNING);
	for (int passed = 0; passed < 2 * RETRY_S && counted.count == 0; passed++) {
		pass_ms(fixture, 1000);
		worker_fixture_wait_idle(fixture);
		rest_ms(20);
	}
	worker_fixture_wait_ended(fixture, &order);
	assert_int_equal(simulated_state(fixture->fleet, "one", order.uuid), GUEST_SHUT_OFF);
}

static int64_t tries_of_chore(struct worker_fixture *fixture)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };

	assert_int_equal(db_chore_by_host(session, fixture->hosts[ONE], &chores, &fixture->db->error), 0);
	assert_int_equal(chores.count, 1);
	assert_string_equal(chores.items[0].kind, DB_CHORE_REMOVE_VOLUME);
	return chores.items[0].tries;
}

/* From the retry interval on, each time twice as long, to five minutes at the most; each try is counted. */
static void a_chore_that_cannot_be_done_is_tried_after_pauses_that_grow_to_five_minutes(void **state)
{
	static const int64_t pauses_s[] = { 5, 10, 20, 40, 80, 160, 300, 300, 300 };
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	inject(fixture, SIMULATED_POOL_IS_READ_ONLY, ONE, NULL);
	count_calls(fixture, "one", "remove_volume");
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	wait_for_calls(fixture, 1);
	for (size_t i = 0; i < ARRAY_LENGTH(pauses_s); i++) {
		assert_int_equal(tries_of_chore(fixture), i + 1);
		check_next_call_after(fixture, pauses_s[i] * 1000);
	}
	inject(fixture, SIMULATED_POOL_IS_WELL, ONE, NULL);
	pass_ms(fixture, 300100);
	wait_for_calls(fixture, (int)ARRAY_LENGTH(pauses_s) + 2);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "2", "2");
}

/* The dispatcher wakes for whichever is due first, not for the one that it has known longest. */
static void a_chore_has_its_next_try_in_time_beside_one_that_waits_longer(void **state)
{
	static const int64_t pauses_s[] = { 5, 10, 20, 40 };
	struct worker_fixture *fixture = *state;
	struct worker_order first = worker_fixture_server(fixture, "first", ONE);
	struct worker_order second = worker_fixture_server(fixture, "second", THREE);

	inject(fixture, SIMULATED_POOL_IS_READ_ONLY, ONE, NULL);
	inject(fixture, SIMULATED_POOL_IS_READ_ONLY, THREE, NULL);
	count_calls(fixture, "one", "remove_volume");
	worker_fixture_order(fixture, &first, "live", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &first);
	wait_for_calls(fixture, 1);
	for (size_t i = 0; i < ARRAY_LENGTH(pauses_s); i++)
		check_next_call_after(fixture, pauses_s[i] * 1000);
	count_calls(fixture, "three", "remove_volume");
	worker_fixture_order(fixture, &second, "live", THREE, TWO);
	worker_fixture_wait_ended(fixture, &second);
	wait_for_calls(fixture, 1);
	check_next_call_after(fixture, pauses_s[0] * 1000);
	check_next_call_after(fixture, pauses_s[1] * 1000);
}

/* What one chore looks at another one could change. */
static void a_host_has_one_chore_done_at_a_time(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order first = worker_fixture_server(fixture, "first", ONE);
	struct worker_order second = worker_fixture_server(fixture, "second", ONE);

	inject(fixture, SIMULATED_POOL_IS_READ_ONLY, ONE, NULL);
	count_calls(fixture, "one", "remove_volume");
	worker_fixture_order(fixture, &first, "live", ONE, TWO);
	worker_fixture_order(fixture, &second, "live", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &first);
	worker_fixture_wait_ended(fixture, &second);
	wait_for_calls(fixture, 2); /* both wait for their next try now */
	inject(fixture, SIMULATED_POOL_IS_WELL, ONE, NULL);
	assert_true(simulated_hang_next(fixture->fleet, "one", "remove_volume", SIMULATED_LANDS_NEVER));
	pass_ms(fixture, (int64_t)RETRY_S * 1000 + 100);
	simulated_wait_hung(fixture->fleet, "one");
	rest_ms(100);
	assert_int_equal(counted.count, 3);
	inject(fixture, SIMULATED_LIBVIRTD_DIES, ONE, NULL);
	inject(fixture, SIMULATED_LIBVIRTD_STARTS, ONE, NULL);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &first, "2", "2");
	worker_fixture_check_places(fixture, &second, "2", "2");
}

static void limit_moves(struct worker_fixture *fixture, int64_t live, int64_t incoming)
{
	fixture->settings.max_concurrent_live_migrations = live;
	fixture->settings.max_concurrent_incoming_migrations = incoming;
	assert_int_equal(worker_set_limits(fixture->worker, &fixture->settings, &fixture->scheduler, NULL), 0);
}

static void check_stays_queued(struct worker_fixture *fixture, const struct worker_order *order)
{
	worker_fixture_wait_phase(fixture, order, "queued");
	for (int i = 0; i < 5; i++) {
		CLEANUP_DB_JOB struct db_job job = { 0 };

		rest_ms(20);
		read_job(fixture, order, &job);
		assert_string_equal(job.phase, "queued");
	}
}

/* It is between the hosts whether we were there or not. */
static void a_move_that_was_under_way_before_a_restart_has_its_share_of_its_hosts(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order first = worker_fixture_server(fixture, "first", ONE);
	struct worker_order second = worker_fixture_server(fixture, "second", ONE);
	struct worker_order third = worker_fixture_server(fixture, "third", THREE);

	limit_moves(fixture, 1, 1);
	worker_fixture_order(fixture, &first, "live", ONE, TWO);
	leave_moving(fixture, &first);
	worker_fixture_start(fixture);
	worker_fixture_order(fixture, &second, "live", ONE, THREE); /* one has its outgoing one */
	check_stays_queued(fixture, &second);
	worker_fixture_order(fixture, &third, "live", THREE, TWO); /* two has its incoming one */
	check_stays_queued(fixture, &third);
	arrive(fixture, &first);
	worker_fixture_wait_ended(fixture, &second);
	worker_fixture_wait_ended(fixture, &third);
	worker_fixture_check(fixture, &second, "active", THREE, "completed");
	worker_fixture_check(fixture, &third, "active", TWO, "completed");
}

/* Its limit counts all that its source has, not only those that were begun by us. */
static void a_cold_move_that_was_under_way_before_a_restart_has_its_share_of_its_hosts(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order first = worker_fixture_server(fixture, "first", ONE);
	struct worker_order second = worker_fixture_server(fixture, "second", ONE);

	fixture->settings.max_concurrent_cold_migrations = 1;
	limit_moves(fixture, 0, 0);
	worker_fixture_order(fixture, &first, "cold", ONE, TWO);
	worker_fixture_set_phase(fixture, &first, "stopping", TWO);
	simulated_close_gate(fixture->fleet, SIMULATED_GATE_DISK);
	worker_fixture_start(fixture);
	simulated_wait_at_gate(fixture->fleet, SIMULATED_GATE_DISK);
	worker_fixture_order(fixture, &second, "cold", ONE, THREE);
	check_stays_queued(fixture, &second);
	simulated_open_gate(fixture->fleet, SIMULATED_GATE_DISK);
	worker_fixture_wait_ended(fixture, &second);
	worker_fixture_check(fixture, &first, "resized", TWO, "finished");
	worker_fixture_check(fixture, &second, "resized", THREE, "finished");
}

/* No thread has it, and it goes on all the same. */
static void a_move_whose_host_does_not_answer_keeps_its_share_until_its_next_try(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order first = worker_fixture_server(fixture, "first", ONE);
	struct worker_order second = worker_fixture_server(fixture, "second", THREE);

	limit_moves(fixture, 0, 1);
	worker_fixture_order(fixture, &first, "live", ONE, TWO);
	leave_moving(fixture, &first);
	inject(fixture, SIMULATED_OUR_LINK_BREAKS, ONE, NULL);
	count_calls(fixture, "one", "look");
	worker_fixture_start(fixture);
	wait_for_calls(fixture, 1);
	worker_fixture_order(fixture, &second, "live", THREE, TWO);
	check_stays_queued(fixture, &second);
	inject(fixture, SIMULATED_OUR_LINK_IS_BACK, ONE, NULL);
	arrive(fixture, &first);
	worker_fixture_wait_ended(fixture, &second);
	worker_fixture_check(fixture, &second, "active", TWO, "completed");
}

static void a_move_that_waited_for_its_turn_waits_on_after_a_restart(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order first = worker_fixture_server(fixture, "first", ONE);
	struct worker_order second = worker_fixture_server(fixture, "second", ONE);

	limit_moves(fixture, 1, 0);
	worker_fixture_order(fixture, &first, "live", ONE, TWO);
	leave_moving(fixture, &first);
	worker_fixture_order(fixture, &second, "live", ONE, THREE);
	worker_fixture_start(fixture);
	check_stays_queued(fixture, &second);
	assert_true(worker_stop(fixture->worker));
	worker_fixture_start(fixture);
	rest_ms(50);
	check_stays_queued(fixture, &second);
	arrive(fixture, &first);
	worker_fixture_wait_ended(fixture, &second);
	worker_fixture_check(fixture, &second, "active", THREE, "completed");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_job_that_cannot_go_on_is_tried_again_after_each_interval_and_not_before),
		TEST(a_live_move_keeps_its_lease_for_as_long_as_it_takes),
		TEST(a_cold_copy_keeps_its_lease_for_as_long_as_it_takes),
		TEST(a_move_that_is_taken_up_after_a_restart_keeps_its_lease_too),
		TEST(a_job_of_another_node_is_taken_over_when_its_lease_has_ended_and_not_before),
		TEST(a_chore_that_cannot_be_done_is_tried_after_pauses_that_grow_to_five_minutes),
		TEST(a_job_that_waited_for_its_next_try_has_it_at_the_next_start),
		TEST(a_chore_has_its_next_try_in_time_beside_one_that_waits_longer),
		TEST(a_host_has_one_chore_done_at_a_time),
		TEST(a_move_that_was_under_way_before_a_restart_has_its_share_of_its_hosts),
		TEST(a_cold_move_that_was_under_way_before_a_restart_has_its_share_of_its_hosts),
		TEST(a_move_whose_host_does_not_answer_keeps_its_share_until_its_next_try),
		TEST(a_move_that_waited_for_its_turn_waits_on_after_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
