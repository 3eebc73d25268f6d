/* A live migration that its user calls off: from whichever moment on, nothing more of it is begun, and it ends as cancelled with the
 * server where it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/jobs.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

static const struct moment {
	const char *operation; /* after which it is called off */
	const char *not_begun[3]; /* from then on */
} moments[] = {
	{ "check_live", { "prepare_live", "migrate_live", "create_volume" } },
	{ "create_volume", { "migrate_live" } },
	{ "prepare_live", { "migrate_live" } },
};

static struct {
	struct worker_fixture *fixture;
	int64_t job_id;
	const struct moment *moment;
	bool is_called_off;
	char begun_too_late[64];
} scene;

static int write_abort(struct db_session *session, void *context, struct error *error)
{
	return db_job_request(session, *(int64_t *)context, true, false, error);
}

static void call_off(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	const struct moment *moment = scene.moment;

	(void)context;
	(void)host;
	(void)uuid;
	for (size_t i = 0; i < ARRAY_LENGTH(moment->not_begun) && scene.is_called_off && !is_after; i++)
		if (text_equal(operation, moment->not_begun[i]))
			TEXT_COPY(scene.begun_too_late, operation);
	if (scene.is_called_off || !is_after || !text_equal(operation, moment->operation))
		return;
	scene.is_called_off = true;
	db_fixture_write(scene.fixture->db, write_abort, &scene.job_id);
}

static void try_moment(struct worker_fixture *fixture, const struct moment *moment)
{
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	memset(&scene, 0, sizeof(scene));
	scene.fixture = fixture;
	scene.moment = moment;
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	scene.job_id = order.job_id;
	simulated_set_hook(fixture->fleet, call_off, NULL);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	simulated_set_hook(fixture->fleet, NULL, NULL);
	assert_true(scene.is_called_off);
	if (*scene.begun_too_late)
		fail_msg("%s was begun though it was called off after %s", scene.begun_too_late, moment->operation);
	worker_fixture_check(fixture, &order, "active", ONE, "cancelled");
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "1", "1");
	assert_int_equal(worker_fixture_failures(fixture, TWO), 0);
}

static void nothing_more_is_begun_of_a_live_move_that_is_called_off(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(moments); i++) {
		print_message("after %s\n", moments[i].operation);
		try_moment(*state, &moments[i]);
		if (i + 1 == ARRAY_LENGTH(moments))
			break;
		worker_fixture_teardown(state);
		worker_fixture_setup(state);
	}
}

static void note_call(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	(void)context;
	(void)host;
	(void)uuid;
	if (!is_after && (text_equal(operation, "check_live") || text_equal(operation, "prepare_live")))
		TEXT_COPY(scene.begun_too_late, operation);
}

/* The daemon was away, say. */
static void no_host_is_asked_for_a_live_move_that_is_called_off_before_it_begins(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	memset(&scene, 0, sizeof(scene));
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	db_fixture_write(fixture->db, write_abort, &order.job_id);
	simulated_set_hook(fixture->fleet, note_call, NULL);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	simulated_set_hook(fixture->fleet, NULL, NULL);
	assert_string_equal(scene.begun_too_late, "");
	worker_fixture_check(fixture, &order, "active", ONE, "cancelled");
}

/* Nova has no abort of one: a row that says so by mistake ends nothing half done. */
static void a_cold_move_is_not_called_off_before_it_begins(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	worker_fixture_order(fixture, &order, "cold", ONE, TWO);
	db_fixture_write(fixture->db, write_abort, &order.job_id);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	assert_int_equal(simulated_state(fixture->fleet, "one", order.uuid) == GUEST_RUNNING
				 || simulated_state(fixture->fleet, "two", order.uuid) == GUEST_RUNNING,
			 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_more_is_begun_of_a_live_move_that_is_called_off),
		TEST(no_host_is_asked_for_a_live_move_that_is_called_off_before_it_begins),
		TEST(a_cold_move_is_not_called_off_before_it_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
