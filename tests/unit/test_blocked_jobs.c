/* Which jobs wait without a thread while a host is down, and for which: by kind, phase and side, as a table of all there are. */
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
#include "server/worker/phases.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

#define JOBS_MAX 64

enum needs { NEITHER, SOURCE, TARGET, BOTH };

static const struct case_of_job {
	const char *phase;
	enum job_kind kind;
	enum needs needs;
} cases[] = {
	/* While no host was touched it may go elsewhere, or is refused. */
	{ "", JOB_LIVE, NEITHER },
	{ "choosing", JOB_LIVE, NEITHER },
	{ "checking", JOB_LIVE, NEITHER },
	{ "queued", JOB_LIVE, NEITHER },
	{ "preparing", JOB_LIVE, BOTH },
	{ "moving", JOB_LIVE, TARGET }, /* which alone may show that the guest has arrived */
	{ "restoring", JOB_LIVE, BOTH },
	{ "finishing", JOB_LIVE, BOTH },
	{ "done", JOB_LIVE, BOTH },
	{ "", JOB_COLD, NEITHER },
	{ "choosing", JOB_COLD, NEITHER },
	{ "checking", JOB_COLD, NEITHER },
	{ "queued", JOB_COLD, NEITHER },
	{ "stopping", JOB_COLD, SOURCE }, /* which can start its guest again without a target */
	{ "copying", JOB_COLD, SOURCE },
	{ "returning", JOB_COLD, SOURCE },
	{ "defining", JOB_COLD, BOTH },
	{ "undefining", JOB_COLD, BOTH },
	{ "starting", JOB_COLD, BOTH },
	{ "restoring", JOB_COLD, BOTH },
	{ "finishing", JOB_COLD, BOTH },
	{ "done", JOB_COLD, BOTH },
	{ "", JOB_CONFIRM, TARGET }, /* what is on the source is a chore */
	{ "removing", JOB_CONFIRM, TARGET },
	{ "done", JOB_CONFIRM, TARGET },
	{ "", JOB_REVERT, BOTH },
	{ "stopping", JOB_REVERT, BOTH },
	{ "defining", JOB_REVERT, BOTH },
	{ "starting", JOB_REVERT, BOTH },
	{ "restoring", JOB_REVERT, BOTH },
	{ "done", JOB_REVERT, BOTH },
	/* These have one host. */
	{ "", JOB_START, SOURCE },
	{ "acting", JOB_STOP, SOURCE },
	{ "starting", JOB_REBOOT_HARD, SOURCE },
};

/* From one to two. */
static struct worker_order put_job(struct worker_fixture *fixture, const struct case_of_job *wanted, size_t number)
{
	char name[16];

	snprintf(name, sizeof(name), "vm%zu", number);
	struct worker_order order = worker_fixture_server(fixture, name, ONE);
	worker_fixture_order(fixture, &order, job_kind_name(wanted->kind), ONE, -1);
	worker_fixture_set_phase(fixture, &order, wanted->phase, TWO);
	return order;
}

static bool is_taken(struct worker_fixture *fixture, const struct worker_order *order)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	CLEANUP_DB_JOB struct db_job job = { 0 };

	assert_int_equal(db_job_by_id(session, order->job_id, &job, NULL), 0);
	return *job.owner != '\0';
}

/* What `migrationd host show` says of the job; "" nothing. */
static void read_reason(struct worker_fixture *fixture, const struct worker_order *order, char reason[64])
{
	struct worker_waiting_list list = { 0 };

	*reason = '\0';
	assert_int_equal(worker_list_waiting(fixture->worker, fixture->hosts[ONE], &list, NULL), 0);
	for (size_t i = 0; i < list.count; i++)
		if (list.items[i].job_id == order->job_id)
			text_copy(reason, 64, list.items[i].reason);
	worker_waiting_list_clear(&list);
}

/* The daemon ends before it does anything. */
static bool stop_there(void *context, const char *kind, const char *phase, bool is_written)
{
	(void)context;
	(void)kind;
	(void)phase;
	(void)is_written;
	return false;
}

static void check_one(struct worker_fixture *fixture, const struct case_of_job *wanted,
		      const struct worker_order *order, int down)
{
	bool is_blocked = (down == ONE && (wanted->needs == SOURCE || wanted->needs == BOTH))
			  || (down == TWO && (wanted->needs == TARGET || wanted->needs == BOTH));
	char reason[64], expected[64] = "";

	if (is_taken(fixture, order) == is_blocked)
		fail_msg("%s in \"%s\" with host %s down: %s", job_kind_name(wanted->kind), wanted->phase,
			 down < WORKER_HOSTS ? worker_host_names[down] : "(none)",
			 is_blocked ? "a thread has it" : "it waits");
	read_reason(fixture, order, reason);
	if (is_blocked)
		snprintf(expected, sizeof(expected), "host %s is down", worker_host_names[down]);
	if (is_blocked || strstr(reason, "is down"))
		assert_string_equal(reason, expected);
}

static void a_job_waits_for_the_hosts_that_it_cannot_do_without_and_for_no_other(void **state)
{
	for (int down = ONE; down <= WORKER_HOSTS; down++) {
		struct worker_fixture *fixture = *state;
		struct worker_order orders[JOBS_MAX];

		assert_true(ARRAY_LENGTH(cases) <= JOBS_MAX);
		fixture->observer.on_phase = stop_there;
		fixture->settings.threads = JOBS_MAX;
		assert_int_equal(worker_set_limits(fixture->worker, &fixture->settings, &fixture->scheduler, NULL), 0);
		for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
			orders[i] = put_job(fixture, &cases[i], i);
		if (down < WORKER_HOSTS)
			worker_fixture_set_service(fixture, down, false, false);
		worker_fixture_start(fixture);
		worker_fixture_wait_idle(fixture);
		for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
			check_one(fixture, &cases[i], &orders[i], down);
		if (down == WORKER_HOSTS)
			break;
		worker_fixture_teardown(state);
		worker_fixture_setup(state);
	}
}

static bool has_case(enum job_kind kind, const char *phase)
{
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		if (cases[i].kind == kind && text_equal(cases[i].phase, phase))
			return true;
	return false;
}

static void the_table_has_every_phase_of_what_has_two_hosts(void **state)
{
	enum job_kind found = JOB_KIND_MAX;

	(void)state;
	assert_false(job_kind_by_name("unknown", &found));
	for (enum job_kind kind = JOB_LIVE; kind <= JOB_REVERT; kind++) {
		size_t count = 0;
		const struct phase *phases = phases_of(kind, &count);

		for (size_t i = 0; i < count; i++)
			if (!has_case(kind, phases[i].name))
				fail_msg("%s in \"%s\" is not in the table", job_kind_name(kind), phases[i].name);
	}
}

/* Its row says that it is up. */
static void a_job_that_waits_for_a_host_that_does_not_answer_names_that(void **state)
{
	for (int silent = ONE; silent <= TWO; silent++) {
		struct worker_fixture *fixture = *state;
		const struct simulated_place place = { .host = worker_host_names[silent] };
		const struct case_of_job moving = { "moving", JOB_LIVE, TARGET };
		struct worker_order order = put_job(fixture, &moving, 0);
		char reason[64] = "", expected[64];

		assert_int_equal(simulated_inject(fixture->fleet, SIMULATED_OUR_LINK_BREAKS, &place, NULL), 0);
		/* What the other one shows decides nothing. */
		assert_int_equal(simulated_put_guest(fixture->fleet, worker_host_names[ONE + TWO - silent], order.uuid,
						     silent == ONE ? GUEST_ARRIVING : GUEST_HANDED_OVER, 1024, NULL),
				 0);
		worker_fixture_start(fixture);
		worker_fixture_wait_idle(fixture);
		read_reason(fixture, &order, reason);
		snprintf(expected, sizeof(expected), "host %s does not answer", worker_host_names[silent]);
		if (!text_starts_with(reason, expected))
			fail_msg("\"%s\", not \"%s…\"", reason, expected);
		assert_int_equal(simulated_inject(fixture->fleet, SIMULATED_OUR_LINK_IS_BACK, &place, NULL), 0);
		if (silent == TWO)
			break;
		worker_fixture_teardown(state);
		worker_fixture_setup(state);
	}
}

/* libvirt has no definition of it there yet: a part of its memory may be on the source still, of which nothing is known. */
static void a_live_move_waits_for_its_source_while_the_target_has_only_the_beginning_of_the_guest(void **state)
{
	struct worker_fixture *fixture = *state;
	const struct simulated_place one = { .host = "one" };
	const struct case_of_job moving = { "moving", JOB_LIVE, TARGET };
	struct worker_order order = put_job(fixture, &moving, 0);
	char reason[64] = "";

	assert_int_equal(simulated_inject(fixture->fleet, SIMULATED_OUR_LINK_BREAKS, &one, NULL), 0);
	assert_int_equal(simulated_put_guest(fixture->fleet, "two", order.uuid, GUEST_RUNNING, 1024, NULL), 0);
	assert_int_equal(simulated_by_hand_undefine(fixture->fleet, "two", order.uuid, NULL), 0);
	assert_int_equal(simulated_state(fixture->fleet, "two", order.uuid), GUEST_RUNNING);
	worker_fixture_start(fixture);
	worker_fixture_wait_idle(fixture);
	assert_false(worker_fixture_has_ended(fixture, &order));
	read_reason(fixture, &order, reason);
	if (!text_starts_with(reason, "host one does not answer"))
		fail_msg("%s", reason);
	assert_int_equal(simulated_inject(fixture->fleet, SIMULATED_OUR_LINK_IS_BACK, &one, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_job_waits_for_the_hosts_that_it_cannot_do_without_and_for_no_other,
						worker_fixture_setup, worker_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_job_that_waits_for_a_host_that_does_not_answer_names_that,
						worker_fixture_setup, worker_fixture_teardown),
		cmocka_unit_test_setup_teardown(
			a_live_move_waits_for_its_source_while_the_target_has_only_the_beginning_of_the_guest,
			worker_fixture_setup, worker_fixture_teardown),
		cmocka_unit_test(the_table_has_every_phase_of_what_has_two_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
