/* What the simulated fleet tells of its hosts and guests, how it is set up and named, and what a reset leaves of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/settings.h"
#include "tests/unit/simulated_fixture.h"

#define SERVER "aaaaaaaa-0000-4000-8000-000000000002"
#define OTHER  "aaaaaaaa-0000-4000-8000-000000000003"
#define GIB    (1024LL * 1024 * 1024)

static void a_host_has_the_size_that_it_was_given_or_the_usual_one(void **state)
{
	struct bench *bench = *state;
	const struct simulated_host_settings size = { .vcpus = 3, .memory_mb = 500, .disk_gb = 7 };
	const struct {
		struct hypervisor_host *host;
		int64_t vcpus, memory_mb, disk_gb;
	} hosts[] = { { bench->source, 10, 8192, 1028 }, { bench->target, 3, 500, 7 } };

	assert_true(simulated_set_size(bench->fleet, "two", &size));
	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
		CLEANUP_HOST_FACTS struct host_facts facts = { 0 };

		assert_int_equal(bench->operations->describe(hosts[i].host, &facts, NULL), 0);
		assert_int_equal(facts.vcpus, hosts[i].vcpus);
		assert_int_equal(facts.memory_mb, hosts[i].memory_mb);
		assert_int_equal(facts.disk_gb, hosts[i].disk_gb);
		assert_int_equal(facts.hypervisor_version, 1000);
		assert_string_equal(facts.hypervisor_type, "fake");
		assert_string_equal(facts.host_ip, "192.0.2.2");
		assert_string_equal(facts.cpu_info, "{}");
		assert_string_equal(facts.facts, "{}");
	}
}

static void expect_text(const char *text, const char *expected)
{
	if (expected)
		assert_string_equal(text, expected);
	else
		assert_null(text);
}

/* A server's numbers and texts, as its settings have them; of a guest that is no server only what it is itself. */
static void a_list_tells_of_each_guest_what_its_settings_say(void **state)
{
	struct bench *bench = *state;
	static const struct simulated_server_settings with_flavor = {
		.project = "p1", .user = "u1", .flavor = "m1.tiny", .vcpus = 2, .memory_mb = 300, .disk_gb = 5
	};
	static const struct simulated_server_settings without = { .vcpus = 4, .memory_mb = 700, .disk_gb = 6 };
	static const struct {
		const char *uuid, *domain_name, *name, *project, *user, *flavor;
		int64_t vcpus, memory_mb, disk_bytes;
	} rows[] = {
		{ BENCH_GUEST, "simulated-aaaaaaaa", NULL, NULL, NULL, NULL, 1, 64, 0 },
		{ SERVER, "simulated-aaaaaaaa", "web", "p1", "u1", "m1.tiny", 2, 300, 5 * GIB },
		{ OTHER, "simulated-aaaaaaaa", "db", NULL, NULL, NULL, 4, 700, 6 * GIB },
	};
	int64_t created_us = 0;

	assert_int_equal(simulated_put_server(bench->fleet, "one", SERVER, "web", &with_flavor, NULL), 0);
	assert_int_equal(simulated_put_server(bench->fleet, "one", OTHER, "db", &without, NULL), 0);
	assert_int_equal(bench->operations->list_guests(bench->source, &bench->list, NULL), 0);
	assert_int_equal(bench->list.count, ARRAY_LENGTH(rows));
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct guest_facts *facts = bench->list.items;

		while (strcmp(facts->uuid, rows[i].uuid) != 0)
			facts++;
		assert_int_equal(facts->view.state, GUEST_RUNNING);
		assert_false(facts->view.is_busy);
		assert_false(facts->is_silent);
		assert_string_equal(facts->domain_name, rows[i].domain_name);
		expect_text(facts->name, rows[i].name);
		expect_text(facts->project_id, rows[i].project);
		expect_text(facts->user_id, rows[i].user);
		expect_text(facts->flavor_name, rows[i].flavor);
		assert_int_equal(facts->vcpus, rows[i].vcpus);
		assert_int_equal(facts->memory_mb, rows[i].memory_mb);
		assert_int_equal(facts->disk_bytes, rows[i].disk_bytes);
		assert_int_equal(facts->flavor_vcpus, rows[i].flavor ? rows[i].vcpus : 0);
		assert_int_equal(facts->flavor_memory_mb, rows[i].flavor ? rows[i].memory_mb : 0);
		assert_int_equal(facts->flavor_disk_gb, rows[i].flavor ? 5 : 0);
		if (rows[i].name) /* servers keep the order in which they were put */
			assert_true(facts->created_us > created_us);
		created_us = facts->created_us;
	}
}

static void a_server_begins_in_the_state_of_its_settings(void **state)
{
	struct bench *bench = *state;
	static const struct simulated_server_settings settings[] = { { .state = SIMULATED_ACTIVE },
								     { .state = SIMULATED_PAUSED },
								     { .state = SIMULATED_STOPPED } };
	static const enum guest_state states[] = { GUEST_RUNNING, GUEST_PAUSED, GUEST_SHUT_OFF };
	char uuid[] = SERVER;

	for (size_t i = 0; i < ARRAY_LENGTH(settings); i++) {
		uuid[0] = (char)('b' + i);
		assert_int_equal(simulated_put_server(bench->fleet, "two", uuid, "web", &settings[i], NULL), 0);
		assert_int_equal(simulated_state(bench->fleet, "two", uuid), states[i]);
	}
}

static void a_host_that_the_fleet_does_not_have_is_refused_by_whatever_names_it(void **state)
{
	struct bench *bench = *state;
	static const struct simulated_host_settings size = { .vcpus = 1 };
	struct hypervisor_host *host = NULL;
	struct simulated_disk_view disk;
	struct error error = { 0 };

	for (int i = 0; i < 2; i++) {
		const char *name = i == 0 ? "none" : "one";
		bool is_there = i == 1;

		assert_int_equal(simulated_set_host_up(bench->fleet, name, true), is_there);
		assert_int_equal(simulated_script(bench->fleet, name, SIMULATED_WELL, 0), is_there);
		assert_int_equal(simulated_set_words(bench->fleet, name, ""), is_there);
		assert_int_equal(simulated_set_size(bench->fleet, name, &size), is_there);
		assert_int_equal(simulated_touch_disks(bench->fleet, name, BENCH_GUEST), is_there);
		assert_int_equal(simulated_has_whole_disks(bench->fleet, name, BENCH_GUEST), is_there);
		assert_false(simulated_land_late(bench->fleet, name)); /* there is none */
	}
	assert_false(simulated_disk_state(bench->fleet, "none", "x", &disk));
	assert_int_equal(simulated_state(bench->fleet, "none", BENCH_GUEST), GUEST_ABSENT);
	assert_int_equal(simulated_put_guest(bench->fleet, "none", SERVER, GUEST_RUNNING, 1, &error), -ENOENT);
	assert_string_equal(error.text, "the simulated fleet has no host none");
	assert_int_equal(simulated_put_disk(bench->fleet, "none", SERVER, "x", 1, false, NULL), -ENOENT);
	assert_int_equal(simulated_put_volume(bench->fleet, "none", "x", 1, NULL), -ENOENT);
	assert_int_equal(bench->operations->open_host(bench->fleet, &(struct hypervisor_address){ .name = "none" },
						      &host, &error),
			 -ENOENT);
	assert_null(host);
	assert_int_equal(simulated_add_host(bench->fleet, "one", &error), -EEXIST);
	assert_string_equal(error.text, "host one is in the simulated fleet already");
}

static void a_guest_that_is_put_again_is_a_fresh_one(void **state)
{
	struct bench *bench = *state;

	bench_inject(bench, SIMULATED_QEMU_HANGS, "one");
	assert_int_equal(simulated_put_guest(bench->fleet, "one", BENCH_GUEST, GUEST_PAUSED, 128, NULL), 0);
	assert_int_equal(bench->operations->list_guests(bench->source, &bench->list, NULL), 0);
	assert_int_equal(bench->list.count, 1);
	assert_false(bench->list.items[0].is_silent);
	assert_false(bench->list.items[0].view.is_busy);
	assert_int_equal(bench->list.items[0].view.state, GUEST_PAUSED);
	assert_int_equal(bench->list.items[0].memory_mb, 128);
}

/* By what the host's libvirtd does at that time. */
static void what_cannot_happen_as_things_are_is_refused(void **state)
{
	struct bench *bench = *state;
	enum { RUNS = 1, STANDS = 2, DEAD = 4 };
	static const enum simulated_fault into[] = { SIMULATED_LIBVIRTD_IS_REPLACED, SIMULATED_LIBVIRTD_STOPS,
						     SIMULATED_LIBVIRTD_DIES };
	static const struct {
		enum simulated_fault fault;
		int from;
	} rows[] = {
		{ SIMULATED_LIBVIRTD_STOPS, RUNS },
		{ SIMULATED_LIBVIRTD_STOPS_LOSING, RUNS },
		{ SIMULATED_LIBVIRTD_GOES_ON, STANDS },
		{ SIMULATED_LIBVIRTD_DIES, RUNS | STANDS },
		{ SIMULATED_LIBVIRTD_IS_GONE, RUNS | STANDS },
		{ SIMULATED_LIBVIRTD_STARTS, DEAD },
		{ SIMULATED_LATE_CALLS_LAND, 0 },
	};
	const struct simulated_place place = { .host = "two" };

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		for (size_t from = 0; from < ARRAY_LENGTH(into); from++) {
			struct error error = { 0 };

			simulated_reset(bench->fleet);
			assert_int_equal(simulated_inject(bench->fleet, into[from], &place, NULL), 0);
			assert_int_equal(simulated_inject(bench->fleet, rows[i].fault, &place, &error),
					 rows[i].from & (1 << from) ? 0 : -EINVAL);
			assert_int_equal(error.text[0] == '\0', (rows[i].from & (1 << from)) != 0);
		}
}

static void a_libvirtd_that_was_gone_is_any_other_after_a_reset(void **state)
{
	struct bench *bench = *state;

	bench_inject(bench, SIMULATED_LIBVIRTD_IS_GONE, "one");
	simulated_reset(bench->fleet);
	assert_int_equal(simulated_put_guest(bench->fleet, "one", BENCH_GUEST, GUEST_RUNNING, 64, NULL), 0);
	bench_inject(bench, SIMULATED_LIBVIRTD_DIES_AT_HAND_OVER, "one");
	assert_int_equal(bench_migrate(bench), -EHOSTUNREACH);
	bench_inject(bench, SIMULATED_LIBVIRTD_STARTS, "one");
}

static void a_volume_of_nobodys_is_complete(void **state)
{
	struct bench *bench = *state;
	struct simulated_disk_view disk;

	assert_int_equal(simulated_put_volume(bench->fleet, "one", "a.raw", 10, NULL), 0);
	assert_int_equal(simulated_put_volume(bench->fleet, "one", "a.raw", 10, NULL), -EEXIST);
	assert_true(simulated_disk_state(bench->fleet, "one", "a.raw", &disk));
	assert_true(disk.is_complete);
	assert_false(disk.is_whole); /* it is no guest's newest */
	assert_string_equal(disk.uuid, "");
}

static void only_a_guest_that_runs_writes_to_its_disks(void **state)
{
	struct bench *bench = *state;

	for (enum guest_state guest = 0; guest < GUEST_STATE_MAX; guest++) {
		simulated_put_guest(bench->fleet, "one", BENCH_GUEST, guest, 64, NULL);
		assert_int_equal(simulated_touch_disks(bench->fleet, "one", BENCH_GUEST), guest == GUEST_RUNNING);
	}
	assert_false(simulated_touch_disks(bench->fleet, "two", BENCH_GUEST));
}

/* The names by which the configuration and the control socket order something. */
static void each_gate_outcome_landing_and_fault_has_its_name(void **state)
{
	static const char *const gates[] = { "pre_live", "live", "post_dest", "disk", "define", "finish", "confirm" };
	static const char *const outcomes[] = { "well",          "check_refuses", "check_refuses_storage",
						"prepare_fails", "copy_fails",    "copy_raises",
						"start_fails" };
	static const char *const landings[] = { "never", "before", "late" };
	static const char *const faults[] = {
		"libvirtd_stops",
		"libvirtd_stops_losing",
		"libvirtd_goes_on",
		"libvirtd_dies",
		"libvirtd_starts",
		"libvirtd_is_gone",
		"libvirtd_is_replaced",
		"libvirtd_dies_at_hand_over",
		"link_breaks",
		"link_is_back",
		"our_link_breaks",
		"our_link_is_back",
		"qemu_hangs",
		"qemu_goes_on",
		"qemu_dies",
		"pool_is_read_only",
		"pool_is_full",
		"pool_is_off",
		"pool_is_well",
		"volume_goes",
		"guest_powered_off",
		"guest_started",
		"guest_suspended",
		"guest_undefined",
		"guest_moved",
		"readings_are_held",
		"readings_go_on",
		"late_calls_land",
	};
	enum simulated_gate gate = 0;
	enum simulated_outcome outcome = 0;
	enum simulated_landing landing = 0;
	enum simulated_fault fault = 0;

	(void)state;
	assert_int_equal(ARRAY_LENGTH(gates), SIMULATED_GATE_MAX);
	assert_int_equal(ARRAY_LENGTH(outcomes), SIMULATED_OUTCOME_MAX);
	assert_int_equal(ARRAY_LENGTH(landings), SIMULATED_LANDING_MAX);
	assert_int_equal(ARRAY_LENGTH(faults), SIMULATED_FAULT_MAX);
	for (size_t i = 0; i < ARRAY_LENGTH(gates); i++)
		assert_true(simulated_gate_by_name(gates[i], &gate) && gate == i);
	for (size_t i = 0; i < ARRAY_LENGTH(outcomes); i++)
		assert_true(simulated_outcome_by_name(outcomes[i], &outcome) && outcome == i);
	for (size_t i = 0; i < ARRAY_LENGTH(landings); i++)
		assert_true(simulated_landing_by_name(landings[i], &landing) && landing == i);
	for (size_t i = 0; i < ARRAY_LENGTH(faults); i++)
		assert_true(simulated_fault_by_name(faults[i], &fault) && fault == i);
	assert_false(simulated_gate_by_name("none", &gate) || simulated_outcome_by_name("none", &outcome)
		     || simulated_landing_by_name("none", &landing) || simulated_fault_by_name("none", &fault));
}

static void a_host_that_comes_or_goes_is_news_once(void **state)
{
	struct bench *bench = *state;
	struct hypervisor_host *third = NULL;

	simulated_set_host_up(bench->fleet, "one", false);
	assert_int_equal(bench->news_down, 1);
	simulated_set_host_up(bench->fleet, "two", true);
	assert_int_equal(bench->news_up, 1);
	bench_inject(bench, SIMULATED_OUR_LINK_BREAKS, "two");
	bench_inject(bench, SIMULATED_OUR_LINK_IS_BACK, "two");
	assert_int_equal(bench->news_down, 2);
	assert_int_equal(bench->news_up, 2);
	bench_inject(bench, SIMULATED_LIBVIRTD_IS_REPLACED, "two"); /* it dies, and another is there */
	assert_int_equal(bench->news_down, 2);
	assert_int_equal(bench->news_up, 3);

	/* A host that nobody has opened has no number that could be told; it is no news later, either. */
	assert_int_equal(simulated_add_host(bench->fleet, "three", NULL), 0);
	simulated_set_host_up(bench->fleet, "three", false);
	bench->operations->open_host(bench->fleet, &(struct hypervisor_address){ .host_id = 3, .name = "three" },
				     &third, NULL);
	bench_inject(bench, SIMULATED_OUR_LINK_BREAKS, "one");
	assert_int_equal(bench->news_down, 3);
	bench->operations->watch(bench->fleet, NULL, NULL);
	simulated_set_host_up(bench->fleet, "three", true); /* and to nobody */
	assert_int_equal(bench->news_up, 3);
}

static void break_everything(struct bench *bench)
{
	static const enum simulated_fault faults[] = { SIMULATED_LIBVIRTD_DIES_AT_HAND_OVER,
						       SIMULATED_READINGS_ARE_HELD, SIMULATED_POOL_IS_OFF,
						       SIMULATED_LIBVIRTD_IS_GONE, SIMULATED_OUR_LINK_BREAKS };
	const struct simulated_place shared = { .host = "two", .other = SIMULATED_SHARED_POOL };
	const struct simulated_place link = { .host = "one", .other = "two" };

	for (size_t i = 0; i < ARRAY_LENGTH(faults); i++)
		for (int host = 0; host < 2; host++)
			bench_inject(bench, faults[i], host == 0 ? "one" : "two");
	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_POOL_IS_OFF, &shared, NULL), 0);
	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_LINK_BREAKS, &link, NULL), 0);
	simulated_set_host_up(bench->fleet, "two", false);
	simulated_script(bench->fleet, "two", SIMULATED_CHECK_REFUSES, 9);
	simulated_set_words(bench->fleet, "two", "no");
	assert_true(simulated_hang_next(bench->fleet, "one", "describe", SIMULATED_LANDS_NEVER));
	assert_true(simulated_hang_next(bench->fleet, "two", "stop_guest", SIMULATED_LANDS_NEVER));
	simulated_close_gate(bench->fleet, SIMULATED_GATE_LIVE);
	simulated_close_gate(bench->fleet, SIMULATED_GATE_FINISH);
}

static void put_all(struct bench *bench)
{
	static struct simulated_move_settings moves[] = { { .takes_s = 1, .fails = SIMULATED_FAILS_TARGET_LOST } };
	static const struct simulated_server_settings settings = { .memory_mb = 64, .moves = moves, .move_count = 1 };

	assert_int_equal(simulated_put_server(bench->fleet, "one", SERVER, "web", &settings, NULL), 0);
	assert_int_equal(simulated_put_guest(bench->fleet, "one", BENCH_GUEST, GUEST_RUNNING, 64, NULL), 0);
	assert_int_equal(simulated_put_disk(bench->fleet, "one", BENCH_GUEST, "a.raw", 10, false, NULL), 0);
	assert_int_equal(simulated_put_disk(bench->fleet, "one", BENCH_GUEST, "b.raw", 10, true, NULL), 0);
	assert_int_equal(simulated_put_volume(bench->fleet, "two", "c.raw", 10, NULL), 0);
}

/* Twice, since what one reset left would stand in the way of the next. */
static void after_a_reset_there_are_only_hosts_that_are_well(void **state)
{
	struct bench *bench = *state;
	const struct hypervisor_operations *operations = bench->operations;
	const struct live_options options = { 0 };
	struct check_result check;
	struct simulated_disk_view disk;
	struct error error = { 0 };

	simulated_set_size(bench->fleet, "one", &(struct simulated_host_settings){ .vcpus = 77 });
	for (int i = 0; i < 2; i++) {
		put_all(bench);
		break_everything(bench);
		simulated_reset(bench->fleet);
		bench_expect(bench, GUEST_ABSENT, GUEST_ABSENT);
		assert_int_equal(simulated_state(bench->fleet, "one", SERVER), GUEST_ABSENT);
		assert_false(simulated_disk_state(bench->fleet, "one", "a.raw", &disk));
		assert_false(simulated_disk_state(bench->fleet, NULL, "b.raw", &disk));
		assert_false(simulated_disk_state(bench->fleet, "two", "c.raw", &disk));

		CLEANUP_HOST_FACTS struct host_facts facts = { 0 };
		assert_int_equal(operations->describe(bench->source, &facts, NULL), 0);
		assert_int_equal(facts.vcpus, 77);
		put_all(bench);
		assert_int_equal(
			operations->check_live(bench->source, bench->target, BENCH_GUEST, &options, &check, &error), 0);
		simulated_script(bench->fleet, "two", SIMULATED_CHECK_REFUSES, 1);
		operations->check_live(bench->source, bench->target, BENCH_GUEST, &options, &check, &error);
		assert_string_equal(error.text, "host two cannot take server " BENCH_GUEST " (simulated)");
		assert_int_equal(
			operations->prepare_live(bench->source, bench->target, BENCH_GUEST, &options, true, NULL, NULL),
			0);
		assert_int_equal(
			operations->migrate_live(bench->source, bench->target, BENCH_GUEST, &options, true, NULL), 0);
		bench_expect(bench, GUEST_ABSENT, GUEST_RUNNING);
		assert_int_equal(operations->stop_guest(bench->target, BENCH_GUEST, 0, NULL), 0);
		assert_int_equal(operations->start_guest(bench->target, BENCH_GUEST, false, NULL), 0);
		bench_inject(bench, SIMULATED_LIBVIRTD_DIES, "two");
		bench_inject(bench, SIMULATED_LIBVIRTD_STARTS, "two"); /* it is not gone */
		simulated_reset(bench->fleet);
	}
}

static void a_host_that_was_lost_is_there_after_a_reset(void **state)
{
	struct bench *bench = *state;
	static const struct simulation_settings settings = { .target_lost_for_s = 100 };
	static struct simulated_move_settings moves[] = { { .takes_s = 0, .fails = SIMULATED_FAILS_TARGET_LOST } };
	static const struct simulated_server_settings server = { .memory_mb = 64, .moves = moves, .move_count = 1 };
	const struct live_options options = { 0 };
	struct guest_view view;
	struct error error = { 0 };

	simulated_set_moves(bench->fleet, &settings);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(simulated_put_server(bench->fleet, "one", SERVER, "web", &server, NULL), 0);
		assert_int_equal(
			bench->operations->migrate_live(bench->source, bench->target, SERVER, &options, false, &error),
			-EIO);
		assert_string_equal(error.text, "host two stopped answering in the middle of the copy of server " SERVER
						" (simulated)");
		assert_int_equal(bench->news_down, i + 1);
		clock_manual_advance(bench->clock, 99000000);
		assert_int_equal(bench->operations->look(bench->target, SERVER, &view, NULL), -EHOSTUNREACH);
		if (i == 0)
			simulated_reset(bench->fleet);
		else
			clock_manual_advance(bench->clock, 1000000);
		assert_int_equal(bench->operations->look(bench->target, SERVER, &view, NULL), 0);
		assert_int_equal(view.state, GUEST_ABSENT);
	}
	assert_int_equal(simulated_state(bench->fleet, "one", SERVER), GUEST_RUNNING);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_has_the_size_that_it_was_given_or_the_usual_one),
		TEST(a_list_tells_of_each_guest_what_its_settings_say),
		TEST(a_server_begins_in_the_state_of_its_settings),
		TEST(a_host_that_the_fleet_does_not_have_is_refused_by_whatever_names_it),
		TEST(a_guest_that_is_put_again_is_a_fresh_one),
		TEST(what_cannot_happen_as_things_are_is_refused),
		TEST(a_libvirtd_that_was_gone_is_any_other_after_a_reset),
		TEST(a_volume_of_nobodys_is_complete),
		TEST(only_a_guest_that_runs_writes_to_its_disks),
		TEST(each_gate_outcome_landing_and_fault_has_its_name),
		TEST(a_host_that_comes_or_goes_is_news_once),
		TEST(after_a_reset_there_are_only_hosts_that_are_well),
		TEST(a_host_that_was_lost_is_there_after_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
