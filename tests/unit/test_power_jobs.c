/* What a job that changes a guest where it stands writes of its server, with no discovery that would write it, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/statement.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

static const struct power_case {
	const char *kind;
	enum guest_state before, after;
	const char *vm_state;
	int power_state;
} cases[] = {
	{ "start", GUEST_SHUT_OFF, GUEST_RUNNING, "active", 1 },
	{ "stop", GUEST_RUNNING, GUEST_SHUT_OFF, "stopped", 4 },
	{ "pause", GUEST_RUNNING, GUEST_PAUSED, "paused", 3 },
	{ "unpause", GUEST_PAUSED, GUEST_RUNNING, "active", 1 },
	{ "suspend", GUEST_RUNNING, GUEST_SAVED, "suspended", 4 },
	{ "resume", GUEST_SAVED, GUEST_RUNNING, "active", 1 },
	{ "reboot_soft", GUEST_RUNNING, GUEST_RUNNING, "active", 1 },
	{ "reboot_hard", GUEST_SHUT_OFF, GUEST_RUNNING, "active", 1 },
	{ "reboot_hard", GUEST_PAUSED, GUEST_RUNNING, "active", 1 },
};

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

/* It has gone wrong before, and is shown so. */
static void mark_lost(struct worker_fixture *fixture)
{
	db_fixture_write(fixture->db, run_sql,
			 (char[]){ "UPDATE servers SET vm_state = 'error', power_state = 9, task_state = 'busy',"
				   " fault_code = 500, fault_message = 'lost', error_cause = 'lost'" });
}

static void read_server(struct worker_fixture *fixture, const struct worker_order *order, struct db_server *ret_server)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);

	assert_int_equal(db_server_by_uuid(session, order->uuid, ret_server, NULL), 0);
}

static void try_case(struct worker_fixture *fixture, const struct power_case *tried)
{
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	assert_int_equal(simulated_put_guest(fixture->fleet, "one", order.uuid, tried->before, 1024, NULL), 0);
	mark_lost(fixture);
	worker_fixture_order(fixture, &order, tried->kind, ONE, -1);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	assert_int_equal(simulated_state(fixture->fleet, "one", order.uuid), tried->after);
	read_server(fixture, &order, &server);
	assert_string_equal(server.vm_state, tried->vm_state);
	assert_int_equal(server.power_state, tried->power_state);
	assert_string_equal(server.task_state, "");
	assert_int_equal(server.fault.code, 0);
	assert_string_equal(server.error_cause, "");
}

static void each_kind_that_goes_well_writes_the_state_and_ends_the_fault(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		print_message("%s of a guest that is %s\n", cases[i].kind, guest_state_name(cases[i].before));
		try_case(*state, &cases[i]);
		if (i + 1 == ARRAY_LENGTH(cases))
			break;
		worker_fixture_teardown(state);
		worker_fixture_setup(state);
	}
}

/* What it was before is not mended by it. */
static void one_that_fails_writes_the_state_and_leaves_the_fault(void **state)
{
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	assert_int_equal(simulated_put_guest(fixture->fleet, "one", order.uuid, GUEST_SHUT_OFF, 1024, NULL), 0);
	mark_lost(fixture);
	simulated_script(fixture->fleet, "one", SIMULATED_START_FAILS, 1);
	worker_fixture_order(fixture, &order, "start", ONE, -1);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	read_server(fixture, &order, &server);
	assert_string_equal(server.task_state, "");
	assert_int_equal(server.power_state, 4);
	assert_int_equal(server.fault.code, 500);
	worker_fixture_check_told(fixture, &order, "did not start (simulated)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_kind_that_goes_well_writes_the_state_and_ends_the_fault),
		TEST(one_that_fails_writes_the_state_and_leaves_the_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
