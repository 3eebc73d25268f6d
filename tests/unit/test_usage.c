/* A guest counts once on each host at every moment of every job: where it is by its server, where it is to go or may return to by
 * a claim, and never by both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

#define MEMORY_MB 1024 /* of the fixture's servers, which have 2 vCPUs and 10 GiB */

/* What was seen at each phase of the job: the worker's thread writes, the test reads when it has ended. */
static struct {
	struct worker_fixture *fixture;
	pthread_mutex_t mutex;
	struct text seen;
	int moments;
	bool is_wrong;
} watch = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static int64_t used_mb(struct db_session *session, int64_t host_id)
{
	struct db_host_usage usage = { 0 };
	struct error error = { 0 };

	if (db_host_usage(session, host_id, &usage, &error) < 0)
		return -1;
	bool is_all =
		usage.vcpus * MEMORY_MB == usage.memory_mb * 2 && usage.disk_gb * MEMORY_MB == usage.memory_mb * 10;
	return is_all ? usage.memory_mb : -1; /* one without the others */
}

/* One snapshot: source and target have it once at the most, and it is counted somewhere. */
static void look(const char *when, const char *phase)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	struct error error = { 0 };
	int64_t all = 0;
	LOCK_SCOPE(&watch.mutex);

	if (db_read_begin(watch.fixture->db->database, &session, &error) < 0) {
		watch.is_wrong = true;
		return;
	}
	text_append_format(&watch.seen, "\n%s %s:", when, phase);
	for (size_t i = 0; i < WORKER_HOSTS; i++) {
		int64_t used = used_mb(session, watch.fixture->hosts[i]);

		text_append_format(&watch.seen, " %lld", (long long)used);
		watch.is_wrong = watch.is_wrong || (used != 0 && used != MEMORY_MB);
		all += used;
	}
	watch.is_wrong = watch.is_wrong || all < MEMORY_MB || all > 2 * MEMORY_MB;
	watch.moments++;
}

static bool on_phase(void *context, const char *kind, const char *phase, bool is_written)
{
	(void)context;
	(void)kind;
	look(is_written ? "after" : "before", phase);
	return true;
}

static void on_operation(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	(void)context;
	(void)host;
	(void)uuid;
	look(is_after ? "after" : "before", operation);
}

static void begin(struct worker_fixture *fixture)
{
	text_clear(&watch.seen);
	watch.fixture = fixture;
	watch.moments = 0;
	watch.is_wrong = false;
	fixture->observer.on_phase = on_phase;
	simulated_set_hook(fixture->fleet, on_operation, NULL);
}

static void end(struct worker_fixture *fixture, const struct worker_order *order)
{
	worker_fixture_wait_ended(fixture, order);
	look("at", "the end");
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_wait_idle(fixture);
	simulated_set_hook(fixture->fleet, NULL, NULL);
	look("after", "the chores");
	if (watch.is_wrong) /* nobody writes it any more */
		fail_msg("used memory on the three hosts:%s", watch.seen.data);
	assert_true(watch.moments > 10);
}

static struct worker_order move(struct worker_fixture *fixture, const char *kind)
{
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	begin(fixture);
	worker_fixture_order(fixture, &order, kind, ONE, TWO);
	worker_fixture_start(fixture);
	end(fixture, &order);
	return order;
}

static void check_used(struct worker_fixture *fixture, int64_t one, int64_t two)
{
	struct db_session *session = db_fixture_read(fixture->db);
	int64_t used_one = used_mb(session, fixture->hosts[ONE]), used_two = used_mb(session, fixture->hosts[TWO]);

	db_read_end(session);
	assert_int_equal(used_one, one);
	assert_int_equal(used_two, two);
}

static void a_guest_counts_once_in_a_live_move_and_while_its_source_is_tidied(void **state)
{
	struct worker_fixture *fixture = *state;

	move(fixture, "live");
	check_used(fixture, 0, MEMORY_MB);
}

static void a_guest_counts_once_in_a_live_move_that_fails(void **state)
{
	struct worker_fixture *fixture = *state;

	simulated_script(fixture->fleet, "two", SIMULATED_COPY_RAISES, 1);
	move(fixture, "live");
	check_used(fixture, MEMORY_MB, 0);
}

static void a_guest_counts_once_in_a_cold_move_and_on_both_hosts_until_its_confirm(void **state)
{
	struct worker_fixture *fixture = *state;

	move(fixture, "cold");
	check_used(fixture, MEMORY_MB, MEMORY_MB);
}

static void a_guest_counts_once_in_a_cold_move_that_fails(void **state)
{
	struct worker_fixture *fixture = *state;

	simulated_script(fixture->fleet, "two", SIMULATED_START_FAILS, 1);
	move(fixture, "cold");
	check_used(fixture, MEMORY_MB, 0);
}

static void a_guest_counts_once_in_a_confirm(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	begin(fixture);
	worker_fixture_order(fixture, &order, "confirm", ONE, TWO);
	end(fixture, &order);
	check_used(fixture, 0, MEMORY_MB);
}

static void a_guest_counts_once_in_a_revert(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	begin(fixture);
	worker_fixture_order(fixture, &order, "revert", ONE, TWO);
	end(fixture, &order);
	check_used(fixture, MEMORY_MB, 0);
}

static void a_guest_counts_once_in_a_revert_that_turns_back(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	simulated_script(fixture->fleet, "one", SIMULATED_START_FAILS, 1);
	begin(fixture);
	worker_fixture_order(fixture, &order, "revert", ONE, TWO);
	end(fixture, &order);
	worker_fixture_check(fixture, &order, "resized", TWO, "finished");
	check_used(fixture, MEMORY_MB, MEMORY_MB);
}

static int teardown(void **state)
{
	int result = worker_fixture_teardown(state);

	text_clear(&watch.seen);
	return result;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guest_counts_once_in_a_live_move_and_while_its_source_is_tidied),
		TEST(a_guest_counts_once_in_a_live_move_that_fails),
		TEST(a_guest_counts_once_in_a_cold_move_and_on_both_hosts_until_its_confirm),
		TEST(a_guest_counts_once_in_a_cold_move_that_fails),
		TEST(a_guest_counts_once_in_a_confirm),
		TEST(a_guest_counts_once_in_a_revert),
		TEST(a_guest_counts_once_in_a_revert_that_turns_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
