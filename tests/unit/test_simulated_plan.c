/* How simulated moves go: their time, their progress, and which plan is whose. All of it is arithmetic on a clock that stands. */
#include "server/worker/simulated/fleet.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/worker/simulated/fleet_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SERVER "aaaaaaaa-0000-4000-8000-000000000001"
#define MIB    (1024LL * 1024)

static struct simulated_move_settings moves[] = {
	{ .takes_s = 10, .fails = SIMULATED_FAILS_MIDWAY },
	{ .takes_s = 4, .fails = SIMULATED_FAILS_NEVER_CONVERGES },
	{ .takes_s = 2, .fails = SIMULATED_FAILS_PRECHECK },
	{ .takes_s = 3 },
};
static const struct simulated_server_settings settings = {
	.name = "web", .count = 1, .memory_mb = 1000, .moves = moves, .move_count = 4
};

struct bench {
	struct clock *clock;
	struct hypervisor *hypervisor;
	struct simulated_fleet *fleet;
	struct simulated_server *server;
	struct simulated_host *hosts[2];
};

static int setup(void **state)
{
	static struct bench bench;

	bench = (struct bench){ .clock = clock_manual_create(1000000000) };
	assert_int_equal(simulated_create(bench.clock, &bench.hypervisor, NULL), 0);
	bench.fleet = (struct simulated_fleet *)bench.hypervisor;
	assert_int_equal(simulated_add_host(bench.hypervisor, "one", NULL), 0);
	assert_int_equal(simulated_add_host(bench.hypervisor, "two", NULL), 0);
	assert_int_equal(simulated_put_server(bench.hypervisor, "one", SERVER, "web", &settings, NULL), 0);
	bench.server = simulated_server_find(bench.fleet, SERVER);
	assert_non_null(bench.server);
	bench.hosts[0] = simulated_host_find(bench.fleet, "one");
	bench.hosts[1] = simulated_host_find(bench.fleet, "two");
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	bench->hypervisor->operations->destroy(bench->hypervisor);
	clock_manual_destroy(bench->clock);
	return 0;
}

static int64_t now_ms(const struct bench *bench)
{
	return clock_monotonic_ms(bench->clock);
}

static void test_a_copy_that_breaks_midway_ends_at_the_half_of_its_time(void **state)
{
	const struct bench *bench = *state;
	const struct simulated_copy copy = simulated_plan_begin(bench->fleet, bench->server);

	assert_true(simulated_copy_fails(&copy));
	assert_int_equal(simulated_copy_end_ms(&copy), now_ms(bench) + 5000);
}

static void test_progress_follows_the_time(void **state)
{
	const struct bench *bench = *state;
	const struct simulated_copy copy = simulated_plan_begin(bench->fleet, bench->server);
	struct move_progress progress = { 0 };

	clock_manual_advance(bench->clock, 2500000);
	simulated_copy_progress(&copy, now_ms(bench), 1000, &progress);
	assert_true(progress.is_active);
	assert_int_equal(progress.memory_total, 1000 * MIB);
	assert_int_equal(progress.memory_processed / MIB, 249); /* rates are whole bytes a ms */
	assert_int_equal(progress.memory_processed + progress.memory_remaining, progress.memory_total);
	assert_int_equal(progress.elapsed_ms, 2500);
	assert_true(progress.bytes_per_s > 99 * MIB && progress.bytes_per_s <= 100 * MIB);
	assert_true(progress.dirty_bytes_per_s < progress.bytes_per_s);
}

static void test_one_that_never_converges_ends_only_when_it_is_forced(void **state)
{
	const struct bench *bench = *state;
	struct move_progress progress = { 0 };

	simulated_plan_end(bench->server);
	struct simulated_copy copy = simulated_plan_begin(bench->fleet, bench->server);
	clock_manual_advance(bench->clock, 60000000);
	simulated_copy_progress(&copy, now_ms(bench), 1000, &progress);
	assert_true(progress.memory_remaining > 0);
	assert_true(progress.dirty_bytes_per_s > progress.bytes_per_s);
	assert_int_equal(progress.iteration, 16);
	assert_int_equal(simulated_copy_end_ms(&copy), INT64_MAX);
	copy.forced_ms = now_ms(bench);
	assert_int_equal(simulated_copy_end_ms(&copy), now_ms(bench) + 400);
}

/* Of a copy that began at some time and takes ten seconds. */
static struct move_progress told(enum simulated_failure fails, int64_t elapsed_ms, int64_t memory_mb)
{
	const struct simulated_copy copy = { .began_ms = 5000, .takes_ms = 10000, .fails = fails };
	struct move_progress progress = { 0 };

	simulated_copy_progress(&copy, 5000 + elapsed_ms, memory_mb, &progress);
	assert_true(progress.is_active);
	assert_int_equal(progress.elapsed_ms, elapsed_ms);
	assert_int_equal(progress.memory_total, memory_mb * MIB);
	assert_int_equal(progress.data_processed, progress.memory_processed);
	assert_int_equal(progress.downtime_ms, 20);
	return progress;
}

/* A twentieth of what is copied is written again meanwhile; where it never ends, a tenth more than is copied. */
static void test_what_is_written_again_decides_whether_the_copy_ends(void **state)
{
	const struct move_progress ends = told(SIMULATED_FAILS_NOT, 1000, 1000);
	const struct move_progress never = told(SIMULATED_FAILS_NEVER_CONVERGES, 1000, 1000);

	(void)state;
	assert_int_equal(ends.dirty_bytes_per_s, ends.bytes_per_s / 20);
	assert_int_equal(never.dirty_bytes_per_s, never.bytes_per_s / 1000 * 1100);
	assert_int_equal(ends.iteration, 1);
	assert_int_equal(told(SIMULATED_FAILS_NOT, 10000, 1000).iteration, 2);
}

static void test_there_is_never_less_left_than_nothing_or_a_tenth(void **state)
{
	(void)state;
	assert_int_equal(told(SIMULATED_FAILS_NOT, 0, 1000).memory_remaining, 1000 * MIB);
	assert_int_equal(told(SIMULATED_FAILS_NOT, 20000, 1000).memory_remaining, 0);
	assert_int_equal(told(SIMULATED_FAILS_NEVER_CONVERGES, 20000, 1000).memory_remaining, 100 * MIB);
	assert_true(told(SIMULATED_FAILS_NEVER_CONVERGES, 5000, 1000).memory_remaining > 500 * MIB);
}

/* It may go on for as long as a clock does; and a guest may have no memory to speak of. */
static void test_figures_do_not_run_over(void **state)
{
	const int64_t long_ms = INT64_MAX / 1000;
	const struct simulated_copy at_once = { .began_ms = 0 };
	struct move_progress progress = { 0 };

	(void)state;
	assert_true(told(SIMULATED_FAILS_NEVER_CONVERGES, long_ms, 1000).memory_processed > 1000 * MIB);
	progress = told(SIMULATED_FAILS_NOT, long_ms, 0);
	assert_int_equal(progress.memory_processed, 0);
	assert_int_equal(progress.bytes_per_s, 0);
	simulated_copy_progress(&at_once, 2, 10, &progress); /* one that takes no time is a millisecond's */
	assert_int_equal(progress.bytes_per_s, 10 * MIB * 1000);
	assert_int_equal(progress.memory_remaining, 0);
}

/* Once its guest stands still a copy needs a tenth of its time more, unless it ends before. */
static void test_one_that_is_forced_ends_no_later_than_by_itself(void **state)
{
	static const struct {
		enum simulated_failure fails;
		int64_t forced_ms, end_ms;
	} rows[] = {
		{ SIMULATED_FAILS_NOT, 0, 15000 },
		{ SIMULATED_FAILS_NOT, 6000, 7000 },
		{ SIMULATED_FAILS_NOT, 14500, 15000 },
		{ SIMULATED_FAILS_MIDWAY, 0, 10000 },
		{ SIMULATED_FAILS_MIDWAY, 6000, 7000 },
		{ SIMULATED_FAILS_TARGET_LOST, 0, 10000 },
		{ SIMULATED_FAILS_TARGET_LOST, 9500, 10000 },
		{ SIMULATED_FAILS_NEVER_CONVERGES, 0, INT64_MAX },
		{ SIMULATED_FAILS_NEVER_CONVERGES, 90000, 91000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct simulated_copy copy = {
			.began_ms = 5000, .takes_ms = 10000, .fails = rows[i].fails, .forced_ms = rows[i].forced_ms
		};

		assert_int_equal(simulated_copy_end_ms(&copy), rows[i].end_ms);
		assert_int_equal(simulated_copy_fails(&copy), rows[i].fails == SIMULATED_FAILS_MIDWAY
								      || rows[i].fails == SIMULATED_FAILS_TARGET_LOST);
	}
}

static bool refuses(const struct bench *bench, int host)
{
	bool is_refused = false;

	assert_int_equal(simulated_plan_refuses(bench->server, bench->fleet, bench->hosts[host], &is_refused, NULL), 0);
	return is_refused;
}

static void test_a_precheck_that_fails_refuses_each_host_once_and_is_over_then(void **state)
{
	const struct bench *bench = *state;

	assert_false(refuses(bench, 0));
	simulated_plan_end(bench->server);
	simulated_plan_end(bench->server);
	assert_true(refuses(bench, 0));
	assert_true(refuses(bench, 1));
	assert_false(refuses(bench, 0)); /* the next move */
	assert_false(refuses(bench, 1));
}

/* More hosts than there is room for at first. */
static void test_a_precheck_that_fails_is_over_only_when_it_comes_round(void **state)
{
	const struct bench *bench = *state;
	char name[16];

	simulated_plan_end(bench->server);
	simulated_plan_end(bench->server);
	for (int i = 0; i < 20; i++) {
		bool is_refused = false;

		snprintf(name, sizeof(name), "more-%d", i);
		assert_int_equal(simulated_add_host(bench->hypervisor, name, NULL), 0);
		assert_int_equal(simulated_plan_refuses(bench->server, bench->fleet,
							simulated_host_find(bench->fleet, name), &is_refused, NULL),
				 0);
		assert_true(is_refused);
	}
	assert_true(refuses(bench, 0));
	for (int i = 0; i < 20; i++) {
		bool is_refused = true;

		snprintf(name, sizeof(name), "more-%d", i);
		assert_int_equal(simulated_plan_refuses(bench->server, bench->fleet,
							simulated_host_find(bench->fleet, name), &is_refused, NULL),
				 0);
		assert_false(is_refused);
	}
}

static void test_the_last_plan_holds_for_all_that_follow(void **state)
{
	const struct bench *bench = *state;

	for (int i = 0; i < 10; i++)
		simulated_plan_end(bench->server);
	const struct simulated_copy copy = simulated_plan_begin(bench->fleet, bench->server);
	assert_false(simulated_copy_fails(&copy));
	assert_int_equal(copy.takes_ms, 3000);
}

static void test_a_server_without_plans_moves_by_the_fleets(void **state)
{
	struct bench *bench = *state;
	static const struct simulated_server_settings bare = { .name = "bare", .count = 1, .memory_mb = 64 };
	static struct simulated_move_settings fleet_moves[] = { { .takes_s = 7 } };
	static const struct simulation_settings fleet = { .moves = fleet_moves, .move_count = 1 };
	static const char uuid[] = "aaaaaaaa-0000-4000-8000-000000000002";

	assert_int_equal(simulated_put_server(bench->hypervisor, "two", uuid, "bare", &bare, NULL), 0);
	struct simulated_server *server = simulated_server_find(bench->fleet, uuid);
	assert_int_equal(simulated_plan_begin(bench->fleet, server).takes_ms, 0);
	simulated_set_moves(bench->hypervisor, &fleet);
	assert_int_equal(simulated_plan_begin(bench->fleet, server).takes_ms, 7000);
	assert_int_equal(simulated_plan_begin(bench->fleet, bench->server).takes_ms, 10000);
	assert_int_equal(simulated_plan_begin(bench->fleet, NULL).takes_ms, 0);
}

static void test_two_servers_of_one_uuid_are_refused(void **state)
{
	const struct bench *bench = *state;
	struct error error = { 0 };

	assert_int_equal(simulated_put_server(bench->hypervisor, "two", SERVER, "other", &settings, &error), -EEXIST);
	assert_string_equal(error.text, "the servers web and other have one UUID, " SERVER);
	assert_int_equal(simulated_put_server(bench->hypervisor, "none", "x", "other", &settings, &error), -ENOENT);
}

static void test_a_host_that_is_lost_comes_back_by_itself(void **state)
{
	const struct bench *bench = *state;

	bench->hosts[0]->lost_until_ms = now_ms(bench) + 2000;
	assert_int_equal(simulated_ask(bench->hosts[0], NULL), -EHOSTUNREACH);
	clock_manual_advance(bench->clock, 2000000);
	assert_int_equal(simulated_ask(bench->hosts[0], NULL), 0);
}

int main(void)
{
#define PLAN_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		PLAN_TEST(test_a_copy_that_breaks_midway_ends_at_the_half_of_its_time),
		PLAN_TEST(test_progress_follows_the_time),
		PLAN_TEST(test_one_that_never_converges_ends_only_when_it_is_forced),
		PLAN_TEST(test_what_is_written_again_decides_whether_the_copy_ends),
		PLAN_TEST(test_there_is_never_less_left_than_nothing_or_a_tenth),
		PLAN_TEST(test_figures_do_not_run_over),
		PLAN_TEST(test_one_that_is_forced_ends_no_later_than_by_itself),
		PLAN_TEST(test_a_precheck_that_fails_refuses_each_host_once_and_is_over_then),
		PLAN_TEST(test_a_precheck_that_fails_is_over_only_when_it_comes_round),
		PLAN_TEST(test_the_last_plan_holds_for_all_that_follow),
		PLAN_TEST(test_a_server_without_plans_moves_by_the_fleets),
		PLAN_TEST(test_two_servers_of_one_uuid_are_refused),
		PLAN_TEST(test_a_host_that_is_lost_comes_back_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
