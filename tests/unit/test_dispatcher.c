/* When the dispatcher and the threads of its jobs wake, and when they sleep: nobody waits for the next round for what has happened, and
 * nobody goes round while nothing can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "db/hosts.h"
#include "db/statement.h"
#include "server/worker/job.h"
#include "server/worker/simulated/fleet.h"
#include "tests/faults/scene.h"
#include "tests/faults/threads.h"
#include "tests/unit/worker_fixture.h"

#define SETTLE_S  3600
#define ASLEEP_MS 5000
#define FAR_MS    40000

static void nobody_goes_round_while_a_chores_call_does_not_return(void **state)
{
	static const struct scene_life cold = { .name = "cold", .kind = JOB_COLD };
	static struct scene scene;

	(void)state;
	scene_begin(&scene, NULL);
	scene_order(&scene, &cold);
	assert_true(scene_settle(&scene, SETTLE_S));
	assert_true(simulated_hang_next(scene.fleet, SCENE_SOURCE, "remove_volume", SIMULATED_LANDS_NEVER));
	scene_order_end(&scene, JOB_CONFIRM);
	simulated_wait_hung(scene.fleet, SCENE_SOURCE);
	bool is_asleep = threads_wait_asleep(ASLEEP_MS);
	scene_end(&scene);
	assert_true(is_asleep);
}

/* It has its turn when the host is there again. */
static void nobody_goes_round_while_a_chore_that_is_due_waits_for_a_host_that_is_down(void **state)
{
	static const struct scene_life cold = { .name = "cold", .kind = JOB_COLD };
	static struct scene scene;

	(void)state;
	scene_begin(&scene, NULL);
	scene_order(&scene, &cold);
	assert_true(scene_settle(&scene, SETTLE_S));
	assert_true(scene_inject(&scene, SIMULATED_POOL_IS_READ_ONLY, SCENE_SOURCE, NULL));
	scene_order_end(&scene, JOB_CONFIRM);
	scene_pass(&scene, 30);
	assert_true(scene_kill_host(&scene, SCENE_SOURCE));
	scene_pass(&scene, 1200);
	bool is_asleep = threads_wait_asleep(ASLEEP_MS);
	assert_true(scene_revive_host(&scene, SCENE_SOURCE));
	assert_true(scene_inject(&scene, SIMULATED_POOL_IS_WELL, SCENE_SOURCE, NULL));
	bool is_done = scene_settle(&scene, SETTLE_S);
	scene_end(&scene);
	assert_true(is_asleep);
	assert_true(is_done);
}

/* The stream is looked at now and then, and not all the time. */
static void nobody_goes_round_while_the_stream_of_a_live_move_stands(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	simulated_close_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	simulated_wait_at_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	assert_true(threads_wait_asleep(ASLEEP_MS));
	simulated_open_gate(fixture->fleet, SIMULATED_GATE_LIVE);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", TWO, "completed");
}

/* The next look at it would be later than any test waits. */
static void a_live_move_ends_when_its_call_returns_and_not_at_the_next_look(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	fixture->settings.poll_interval_ms = FAR_MS;
	assert_int_equal(worker_set_limits(fixture->worker, &fixture->settings, &fixture->scheduler, NULL), 0);
	fixture->worker->parts.clock = clock_system(); /* on a manual clock all wake now and then */
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", TWO, "completed");
	fixture->worker->parts.clock = fixture->db->clock;
}

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return *(char *)context ? statement_execute(session, context, error) : 0;
}

static int set_state(struct db_session *session, void *context, struct error *error)
{
	return db_server_set_state(session, context, NULL, "migrating", error);
}

static int set_failures(struct db_session *session, void *context, struct error *error)
{
	return db_host_set_failed_migrations(session, *(int64_t *)context, 1, error);
}

/* True: the change woke the dispatcher, which is not started. */
static bool wakes(struct worker_fixture *fixture, bool has_blocked, db_write_fn write, void *context)
{
	struct worker *worker = fixture->worker;

	pthread_mutex_lock(&worker->mutex);
	worker->is_woken = false;
	worker->has_blocked = has_blocked;
	pthread_mutex_unlock(&worker->mutex);
	db_fixture_write(fixture->db, write, context);
	db_fixture_write(fixture->db, run_sql, (char[]){ "" }); /* the first one's watchers have ended */
	LOCK_SCOPE(&worker->mutex);
	return worker->is_woken;
}

/* In a large fleet some host is always down, and some server always changes. */
static void the_dispatcher_is_woken_by_what_it_can_do_something_about(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	for (int has_blocked = 0; has_blocked < 2; has_blocked++) {
		assert_false(wakes(fixture, has_blocked, set_state, order.uuid));
		assert_int_equal(wakes(fixture, has_blocked, set_failures, &fixture->hosts[has_blocked]), has_blocked);
	}
	worker_fixture_order(fixture, &order, "stop", ONE, -1);
	db_fixture_write(fixture->db, run_sql, (char[]){ "" });
	assert_true(fixture->worker->is_woken);
}

static int set_gone(struct db_session *session, void *context, struct error *error)
{
	return db_host_set_gone(session, *(int64_t *)context, true, error);
}

static bool is_removed(struct worker_fixture *fixture, int host)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	CLEANUP_DB_HOST struct db_host row = { 0 };
	struct error error = { 0 };

	return db_host_by_id(session, fixture->hosts[host], &row, &error) == -ENOENT;
}

static void wait_removed(struct worker_fixture *fixture, int host)
{
	for (int i = 0; i < 10000 && !is_removed(fixture, host); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	assert_true(is_removed(fixture, host));
}

/* Which of the two comes first is the database's affair. */
static void a_host_that_was_given_up_goes_when_its_last_job_has_ended_whatever_became_of_another_one(void **state)
{
	for (int held = TWO; held <= THREE; held++) {
		struct worker_fixture *fixture = *state;
		struct worker_order order = worker_fixture_server(fixture, "vm", ONE);
		int other = held == TWO ? THREE : TWO;

		simulated_close_gate(fixture->fleet, SIMULATED_GATE_DISK);
		worker_fixture_order(fixture, &order, "cold", ONE, held);
		worker_fixture_start(fixture);
		simulated_wait_at_gate(fixture->fleet, SIMULATED_GATE_DISK);
		for (int host = TWO; host <= THREE; host++) {
			simulated_set_host_up(fixture->fleet, worker_host_names[host], false);
			db_fixture_write(fixture->db, set_gone, &fixture->hosts[host]);
		}
		worker_host_given_up(fixture->worker);
		wait_removed(fixture, other);
		assert_false(is_removed(fixture, held));
		simulated_open_gate(fixture->fleet, SIMULATED_GATE_DISK);
		worker_fixture_wait_ended(fixture, &order);
		wait_removed(fixture, held);
		worker_fixture_check(fixture, &order, "active", ONE, "error");
		assert_int_equal(simulated_state(fixture->fleet, "one", order.uuid), GUEST_RUNNING);
		if (held == THREE)
			break;
		worker_fixture_teardown(state);
		worker_fixture_setup(state);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_goes_round_while_a_chores_call_does_not_return),
		cmocka_unit_test(nobody_goes_round_while_a_chore_that_is_due_waits_for_a_host_that_is_down),
		TEST(nobody_goes_round_while_the_stream_of_a_live_move_stands),
		TEST(the_dispatcher_is_woken_by_what_it_can_do_something_about),
		TEST(a_live_move_ends_when_its_call_returns_and_not_at_the_next_look),
		TEST(a_host_that_was_given_up_goes_when_its_last_job_has_ended_whatever_became_of_another_one),
	};

	threads_observe();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
