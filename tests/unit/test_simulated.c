/* The simulated fleet shows what libvirt shows: in between, after a failure, and when a host does not answer. */
#include "server/worker/simulated/fleet.h"

#include "base/clock.h"
#include "base/error.h"
#include "server/settings.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUEST "aaaaaaaa-0000-4000-8000-000000000001"

struct bench {
	struct hypervisor *fleet;
	struct hypervisor_host *source, *target;
	int result;
};

static int setup(void **state)
{
	static struct bench bench;

	bench = (struct bench){ 0 };
	assert_int_equal(simulated_create(clock_system(), &bench.fleet, NULL), 0);
	assert_int_equal(simulated_add_host(bench.fleet, "one", NULL), 0);
	assert_int_equal(simulated_add_host(bench.fleet, "two", NULL), 0);
	assert_int_equal(simulated_put_guest(bench.fleet, "one", GUEST, GUEST_RUNNING, 64, NULL), 0);
	bench.fleet->operations->open_host(bench.fleet, &(struct hypervisor_address){ .host_id = 1, .name = "one" },
					   &bench.source, NULL);
	bench.fleet->operations->open_host(bench.fleet, &(struct hypervisor_address){ .host_id = 2, .name = "two" },
					   &bench.target, NULL);
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	bench->fleet->operations->destroy(bench->fleet);
	return 0;
}

static void *move(void *context)
{
	struct bench *bench = context;

	bench->result = bench->fleet->operations->migrate_live(bench->source, bench->target, GUEST,
							       &(struct live_options){ 0 }, false, NULL);
	return NULL;
}

static void test_a_copy_at_its_gate_shows_both_halves_and_can_be_aborted(void **state)
{
	struct bench *bench = *state;
	struct guest_view view;
	pthread_t thread;

	simulated_close_gate(bench->fleet, SIMULATED_GATE_LIVE);
	assert_int_equal(pthread_create(&thread, NULL, move, bench), 0);
	simulated_wait_at_gate(bench->fleet, SIMULATED_GATE_LIVE);
	assert_int_equal(bench->fleet->operations->look(bench->source, GUEST, &view, NULL), 0);
	assert_true(view.is_moving_out);
	assert_int_equal(simulated_state(bench->fleet, "two", GUEST), GUEST_ARRIVING);
	assert_int_equal(bench->fleet->operations->adjust(bench->source, GUEST, MOVE_ABORT, 0, NULL), 0);
	pthread_join(thread, NULL);
	assert_int_equal(bench->result, -ECANCELED);
	assert_int_equal(simulated_state(bench->fleet, "one", GUEST), GUEST_RUNNING);
	assert_int_equal(simulated_state(bench->fleet, "two", GUEST), GUEST_ABSENT);
}

static void test_after_the_switch_the_source_is_handed_over_and_then_gone(void **state)
{
	struct bench *bench = *state;
	pthread_t thread;

	simulated_close_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	assert_int_equal(pthread_create(&thread, NULL, move, bench), 0);
	simulated_wait_at_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	assert_int_equal(simulated_state(bench->fleet, "one", GUEST), GUEST_HANDED_OVER);
	assert_int_equal(simulated_state(bench->fleet, "two", GUEST), GUEST_RUNNING);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_POST_DEST);
	pthread_join(thread, NULL);
	assert_int_equal(bench->result, 0);
	assert_int_equal(simulated_state(bench->fleet, "one", GUEST), GUEST_ABSENT);
}

static void test_a_scripted_failure_happens_as_often_as_told(void **state)
{
	struct bench *bench = *state;

	simulated_script(bench->fleet, "two", SIMULATED_COPY_FAILS, 1);
	move(bench);
	assert_int_equal(bench->result, -EIO);
	assert_int_equal(simulated_state(bench->fleet, "two", GUEST), GUEST_ABSENT);
	move(bench);
	assert_int_equal(bench->result, 0);
}

static void test_a_host_that_is_down_says_nothing_about_its_guests(void **state)
{
	struct bench *bench = *state;
	struct guest_view view = { .state = GUEST_CRASHED };

	simulated_set_host_up(bench->fleet, "one", false);
	assert_int_equal(bench->fleet->operations->look(bench->source, GUEST, &view, NULL), -EHOSTUNREACH);
	assert_int_equal(view.state, GUEST_CRASHED);
	assert_int_equal(simulated_state(bench->fleet, "one", GUEST), GUEST_RUNNING);
}

static void test_a_guest_is_removed_only_in_a_state_that_was_named(void **state)
{
	struct bench *bench = *state;
	const struct hypervisor_operations *operations = bench->fleet->operations;
	struct error error = { 0 };

	assert_int_equal(operations->remove_guest(bench->source, GUEST, GUEST_SET_OFF, &error), -ESTALE);
	assert_non_null(strstr(error.text, "running"));
	assert_int_equal(simulated_state(bench->fleet, "one", GUEST), GUEST_RUNNING);
	assert_int_equal(operations->stop_guest(bench->source, GUEST, 0, NULL), 0);
	assert_int_equal(operations->remove_guest(bench->source, GUEST, GUEST_SET(GUEST_HANDED_OVER), NULL), -ESTALE);
	assert_int_equal(operations->remove_guest(bench->source, GUEST, GUEST_SET_OFF, NULL), 0);
	assert_int_equal(simulated_state(bench->fleet, "one", GUEST), GUEST_ABSENT);
	assert_int_equal(operations->remove_guest(bench->source, GUEST, GUEST_SET_OFF, NULL), 0);
}

static void test_a_guest_that_is_not_off_is_not_defined_over(void **state)
{
	struct bench *bench = *state;
	const struct hypervisor_operations *operations = bench->fleet->operations;
	char *definition = NULL;
	bool has_autostart = false;
	struct guest_view view;

	assert_int_equal(operations->read_definition(bench->source, GUEST, &definition, &has_autostart, NULL), 0);
	assert_int_equal(operations->define(bench->source, definition, true, NULL), -ESTALE);
	assert_int_equal(operations->look(bench->source, GUEST, &view, NULL), 0);
	assert_int_equal(view.state, GUEST_RUNNING);
	assert_false(view.has_autostart);
	assert_int_equal(operations->set_autostart(bench->source, GUEST, true, NULL), 0);
	assert_int_equal(operations->set_autostart(bench->target, GUEST, true, NULL), -ENOENT);
	assert_int_equal(operations->look(bench->source, GUEST, &view, NULL), 0);
	assert_true(view.has_autostart);
	assert_int_equal(operations->stop_guest(bench->source, GUEST, 0, NULL), 0);
	assert_int_equal(operations->define(bench->source, definition, false, NULL), 0);
	free(definition);
}

static void *verify(void *context)
{
	struct bench *bench = context;

	bench->result = bench->fleet->operations->verify_disks(bench->target, NULL, 0, NULL);
	return NULL;
}

static void test_a_confirm_stands_at_its_gate_where_disks_are_verified(void **state)
{
	struct bench *bench = *state;
	pthread_t thread;

	simulated_close_gate(bench->fleet, SIMULATED_GATE_CONFIRM);
	assert_int_equal(pthread_create(&thread, NULL, verify, bench), 0);
	simulated_wait_at_gate(bench->fleet, SIMULATED_GATE_CONFIRM);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_CONFIRM);
	pthread_join(thread, NULL);
	assert_int_equal(bench->result, 0);
}

/* Nobody looks meanwhile. */
static void test_a_copy_ends_by_itself_when_its_time_has_come(void **state)
{
	struct bench *bench = *state;
	static struct simulated_move_settings moves[] = { { .takes_s = 0.02, .fails = SIMULATED_FAILS_MIDWAY },
							  { .takes_s = 0.02 } };
	static const struct simulated_server_settings settings = {
		.name = "web", .count = 1, .memory_mb = 64, .moves = moves, .move_count = 2
	};

	simulated_reset(bench->fleet);
	assert_int_equal(simulated_put_server(bench->fleet, "one", GUEST, "web", &settings, NULL), 0);
	move(bench);
	assert_int_equal(bench->result, -EIO);
	move(bench);
	assert_int_equal(bench->result, 0);
	assert_int_equal(simulated_state(bench->fleet, "two", GUEST), GUEST_RUNNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_copy_at_its_gate_shows_both_halves_and_can_be_aborted, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_after_the_switch_the_source_is_handed_over_and_then_gone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_scripted_failure_happens_as_often_as_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_host_that_is_down_says_nothing_about_its_guests, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_guest_is_removed_only_in_a_state_that_was_named, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_guest_that_is_not_off_is_not_defined_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_copy_ends_by_itself_when_its_time_has_come, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_confirm_stands_at_its_gate_where_disks_are_verified, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
