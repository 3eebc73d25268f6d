/* What a choice goes by that a job has made: of two hosts the one that cannot take the server is never chosen, and is named where
 * it was asked for. The filters themselves are the scheduler's tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "db/statement.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

/* The server has 2 vCPUs, 1024 MiB and 10 GiB; hosts have 8, 8192 and 100. */
static const struct choice_case {
	const char *change; /* of a host's row; the condition follows */
	const char *others; /* of all rows, before that; "": none */
	const char *why; /* said of the host when it is asked for */
} cases[] = {
	{ "UPDATE hosts SET memory_mb = 1500, reserved_memory_mb = 1000", "",
	  "RamFilter: 1024 MiB of memory are needed" },
	{ "UPDATE hosts SET disk_gb = 9", "", "disk" },
	{ "UPDATE hosts SET vcpus = 0", "", "vCPU" },
	{ "UPDATE hosts SET hypervisor_type = 'LXC'", "UPDATE hosts SET hypervisor_type = 'QEMU'",
	  "hypervisor QEMU is not there" },
	{ "UPDATE hosts SET hypervisor_version = 6000000", "UPDATE hosts SET hypervisor_version = 7002000",
	  "HypervisorVersionFilter" },
};

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return *(char *)context ? statement_execute(session, context, error) : 0;
}

static void change_host(struct worker_fixture *fixture, const char *change, int host)
{
	char sql[256] = "";

	if (*change)
		snprintf(sql, sizeof(sql), "%s%s%s%s", change, host < WORKER_HOSTS ? " WHERE name = '" : "",
			 host < WORKER_HOSTS ? worker_host_names[host] : "", host < WORKER_HOSTS ? "'" : "");
	db_fixture_write(fixture->db, run_sql, sql);
}

static void try_case(struct worker_fixture *fixture, const struct choice_case *tried, int unfit, bool is_asked_for)
{
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	change_host(fixture, tried->others, WORKER_HOSTS);
	change_host(fixture, tried->change, unfit);
	worker_fixture_order(fixture, &order, "live", ONE, is_asked_for ? unfit : -1);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	if (is_asked_for) {
		worker_fixture_check(fixture, &order, "active", ONE, "error");
		worker_fixture_check_told(fixture, &order, worker_host_names[unfit]);
		worker_fixture_check_told(fixture, &order, tried->why);
	} else {
		worker_fixture_check(fixture, &order, "active", unfit == TWO ? THREE : TWO, "completed");
	}
}

static void a_host_that_cannot_take_the_server_is_not_chosen(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		for (int unfit = TWO; unfit <= THREE; unfit++)
			for (int is_asked_for = 0; is_asked_for < 2; is_asked_for++) {
				print_message("%s of host %s\n", cases[i].change, worker_host_names[unfit]);
				try_case(*state, &cases[i], unfit, is_asked_for);
				worker_fixture_teardown(state);
				worker_fixture_setup(state);
			}
}

/* An operator has removed its row: nothing is known of what the guest runs on, and nobody falls over that. */
static void a_server_whose_host_is_not_known_any_more_is_moved_nowhere(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	worker_fixture_order(fixture, &order, "live", ONE, -1);
	db_fixture_write(fixture->db, run_sql,
			 (char[]){ "UPDATE servers SET host_id = NULL; DELETE FROM hosts WHERE name = 'one'" });
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	assert_int_equal(simulated_state(fixture->fleet, "one", order.uuid), GUEST_RUNNING);
	worker_fixture_check_places(fixture, &order, "1", "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_host_that_cannot_take_the_server_is_not_chosen, worker_fixture_setup,
						worker_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_server_whose_host_is_not_known_any_more_is_moved_nowhere,
						worker_fixture_setup, worker_fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
