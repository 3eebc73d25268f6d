/* How simulated moves go: their time, their progress, and which plan is whose. All of it is arithmetic on a clock that stands. */
#include "server/worker/simulated/fleet.h"

#include "base/clock.h"
#include "base/error.h"
#include "server/worker/simulated/fleet_state.h"

#include <setjmp.h>
#include <stdarg.h>

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
		PLAN_TEST(test_a_precheck_that_fails_refuses_each_host_once_and_is_over_then),
		PLAN_TEST(test_the_last_plan_holds_for_all_that_follow),
		PLAN_TEST(test_a_server_without_plans_moves_by_the_fleets),
		PLAN_TEST(test_two_servers_of_one_uuid_are_refused),
		PLAN_TEST(test_a_host_that_is_lost_comes_back_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
