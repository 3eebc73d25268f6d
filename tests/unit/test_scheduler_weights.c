/* The weighers one by one: what share of the weight each host gets for a figure, as Nova normalises them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "tests/unit/scheduler_fixture.h"

/* The server is on compute-1; these are the three that it may go to. */
static const char *const names[] = { "compute-2", "compute-3", "compute-4" };
#define HOSTS ARRAY_LENGTH(names)

static void set_memory(struct host_state *host, int64_t figure)
{
	host->memory_mb_reserved = 0;
	host->memory_mb_used = host->memory_mb_total - figure;
}

static void set_vcpus(struct host_state *host, int64_t figure)
{
	host->cpu_allocation_ratio = 1.5; /* 6 of 4 */
	host->vcpus_used = 6 - figure;
}

static void set_disk(struct host_state *host, int64_t figure)
{
	host->disk_mb_reserved = 0;
	host->disk_mb_used = host->disk_mb_total - figure;
}

static void set_io_ops(struct host_state *host, int64_t figure)
{
	host->num_io_ops = figure;
}

static void set_version(struct host_state *host, int64_t figure)
{
	host->hypervisor_version = figure;
}

static void set_instances(struct host_state *host, int64_t figure)
{
	host->num_instances = figure;
}

static void set_failures(struct host_state *host, int64_t figure)
{
	host->failed_migrations = figure;
}

/* Only this weigher counts, and what the server needs fits anywhere. */
static void weigh_by(struct fleet *fleet, enum scheduler_weigher weigher, double multiplier)
{
	fleet->settings.enabled_weighers = 1U << weigher;
	fleet->settings.multipliers[weigher] = multiplier;
	fleet->request.is_live = false;
	fleet->request.vcpus = fleet->request.memory_mb = fleet->request.disk_mb = 0;
}

static void expect_share(const struct fleet *fleet, enum scheduler_weigher weigher, int64_t id, double expected)
{
	for (size_t i = 0; i < fleet->result.choice_count; i++) {
		const struct schedule_choice *choice = &fleet->result.choices[i];

		if (choice->host_id != id)
			continue;
		if (choice->shares[weigher] - expected > 1e-9 || expected - choice->shares[weigher] > 1e-9
		    || choice->weight - expected > 1e-9 || expected - choice->weight > 1e-9)
			fail_msg("%s of host %d: share %f, weight %f, expected %f", scheduler_weigher_name(weigher),
				 (int)id, choice->shares[weigher], choice->weight, expected);
		for (int other = 0; other < SCHEDULER_WEIGHER_COUNT; other++)
			assert_true(other == (int)weigher
				    || (choice->shares[other] >= 0 && choice->shares[other] <= 0));
		return;
	}
	fail_msg("host %d is no choice", (int)id);
}

struct row {
	enum scheduler_weigher weigher;
	void (*set)(struct host_state *host, int64_t figure);
	int64_t figures[HOSTS];
	double shares[HOSTS];
};

/* With the figures on each of the hosts in turn: none depends on the place. */
static void check_row(struct fleet *fleet, const struct row *row, double multiplier)
{
	weigh_by(fleet, row->weigher, multiplier);
	for (size_t turn = 0; turn < HOSTS; turn++) {
		struct schedule_group_place places[HOSTS];

		for (size_t i = 0; i < HOSTS; i++) {
			struct host_state host = fleet_host((int64_t)i + 2, names[i]);
			int64_t figure = row->figures[(i + turn) % HOSTS];

			if (row->set)
				row->set(&host, figure);
			places[i] = (struct schedule_group_place){ .host_id = host.id, .members = figure };
			fleet_put(fleet, &host, NULL);
		}
		if (!row->set) {
			fleet->request.group_places = places;
			fleet->request.group_place_count = HOSTS;
		}
		fleet_choose(fleet);
		assert_int_equal(fleet->result.choice_count, HOSTS);
		for (size_t i = 0; i < HOSTS; i++)
			expect_share(fleet, row->weigher, (int64_t)i + 2, multiplier * row->shares[(i + turn) % HOSTS]);
	}
}

/* What is free begins at nothing; other figures at the least there is. */
static void a_share_says_where_a_figure_lies_between_the_ends(void **state)
{
	struct fleet *fleet = *state;
	static const struct row rows[] = {
		{ SCHEDULER_WEIGHER_RAM, set_memory, { 2000, 5000, 8000 }, { 0.25, 0.625, 1 } },
		{ SCHEDULER_WEIGHER_RAM,
		  set_memory,
		  { -500, -100, 1000 },
		  { 0, 0, 1 } }, /* overfull is no less than full */
		{ SCHEDULER_WEIGHER_RAM, set_memory, { -500, -300, -100 }, { 0, 0, 0 } },
		{ SCHEDULER_WEIGHER_RAM, set_memory, { 700, 700, 700 }, { 1, 1, 1 } },
		{ SCHEDULER_WEIGHER_CPU, set_vcpus, { 1, 2, 4 }, { 0.25, 0.5, 1 } },
		{ SCHEDULER_WEIGHER_CPU, set_vcpus, { -4, 1, 2 }, { 0, 0.5, 1 } },
		{ SCHEDULER_WEIGHER_DISK, set_disk, { 2000, 5000, 8000 }, { 0.25, 0.625, 1 } },
		{ SCHEDULER_WEIGHER_DISK, set_disk, { -2000, 5000, 10000 }, { 0, 0.5, 1 } },
		{ SCHEDULER_WEIGHER_IO_OPS, set_io_ops, { 2, 5, 8 }, { 0.25, 0.625, 1 } },
		{ SCHEDULER_WEIGHER_IO_OPS, set_io_ops, { 0, 0, 0 }, { 0, 0, 0 } },
		{ SCHEDULER_WEIGHER_HYPERVISOR_VERSION, set_version, { 6000000, 7000000, 8000000 }, { 0, 0.5, 1 } },
		{ SCHEDULER_WEIGHER_NUM_INSTANCES, set_instances, { 2, 5, 8 }, { 0, 0.5, 1 } },
		{ SCHEDULER_WEIGHER_NUM_INSTANCES, set_instances, { 5, 5, 5 }, { 0, 0, 0 } },
		{ SCHEDULER_WEIGHER_BUILD_FAILURE, set_failures, { 2, 5, 8 }, { 0, -0.5, -1 } },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		check_row(fleet, &rows[i], 1);
		check_row(fleet, &rows[i], 2.5);
		check_row(fleet, &rows[i], -1);
	}
}

static void members_of_a_group_count_for_the_groups_policy_alone(void **state)
{
	struct fleet *fleet = *state;
	static const struct row affinity = { SCHEDULER_WEIGHER_SOFT_AFFINITY, NULL, { 2, 5, 8 }, { 0, 0.5, 1 } };
	static const struct row anti_affinity = {
		SCHEDULER_WEIGHER_SOFT_ANTI_AFFINITY, NULL, { 2, 5, 8 }, { 1, 0.5, 0 }
	};
	static const struct row none[] = {
		{ SCHEDULER_WEIGHER_SOFT_AFFINITY, NULL, { 2, 5, 8 }, { 0, 0, 0 } },
		{ SCHEDULER_WEIGHER_SOFT_ANTI_AFFINITY, NULL, { 2, 5, 8 }, { 0, 0, 0 } },
	};

	fleet->request.group = SCHEDULE_GROUP_SOFT_AFFINITY;
	check_row(fleet, &affinity, 1);
	check_row(fleet, &none[1], 1);
	fleet->request.group = SCHEDULE_GROUP_SOFT_ANTI_AFFINITY;
	check_row(fleet, &anti_affinity, 1);
	check_row(fleet, &none[0], 1);
	fleet->request.group = SCHEDULE_GROUP_NONE;
	for (size_t i = 0; i < ARRAY_LENGTH(none); i++)
		check_row(fleet, &none[i], 1);
}

/* Hosts that are not named have no members, whatever an earlier choice was told. */
static void a_group_may_be_in_one_place_or_in_none(void **state)
{
	struct fleet *fleet = *state;
	static const struct row everywhere = { SCHEDULER_WEIGHER_SOFT_AFFINITY, NULL, { 2, 5, 8 }, { 0, 0.5, 1 } };
	const struct schedule_group_place place = { 3, 4 };

	fleet->request.group = SCHEDULE_GROUP_SOFT_AFFINITY;
	check_row(fleet, &everywhere, 1);
	fleet->request.group_places = &place;
	fleet->request.group_place_count = 1;
	fleet_choose(fleet);
	for (int64_t id = 2; id <= 4; id++)
		expect_share(fleet, SCHEDULER_WEIGHER_SOFT_AFFINITY, id, id == 3 ? 1 : 0);
	fleet->request.group_places = NULL;
	fleet->request.group_place_count = 0;
	fleet_choose(fleet);
	for (int64_t id = 2; id <= 4; id++)
		expect_share(fleet, SCHEDULER_WEIGHER_SOFT_AFFINITY, id, 0);
}

/* Whatever the order in which better and worse ones pass by. */
static void the_best_few_come_first_in_their_order(void **state)
{
	struct fleet *fleet = *state;
	enum { CANDIDATES = 13 };
	char name[32];

	weigh_by(fleet, SCHEDULER_WEIGHER_RAM, 1);
	for (int step = 1; step < CANDIDATES; step++) {
		for (int i = 0; i < CANDIDATES; i++) {
			struct host_state host;

			snprintf(name, sizeof(name), "compute-%d", i + 2);
			host = fleet_host(i + 2, name);
			set_memory(&host, 1000 + 100 * ((i * step + step / 2) % CANDIDATES)); /* each figure once */
			fleet_put(fleet, &host, NULL);
		}
		for (size_t wanted = 1; wanted <= CANDIDATES; wanted++) {
			fleet->request.choices_max = wanted;
			fleet_choose(fleet);
			assert_int_equal(fleet->result.choice_count, wanted);
			for (size_t i = 0; i < wanted; i++) {
				int64_t id = fleet->result.choices[i].host_id;

				assert_int_equal(((id - 2) * step + step / 2) % CANDIDATES, CANDIDATES - 1 - (int)i);
			}
		}
	}
}

static void a_weigher_that_is_off_or_counts_nothing_gives_no_share(void **state)
{
	struct fleet *fleet = *state;
	static const struct row nothing = { SCHEDULER_WEIGHER_RAM, set_memory, { 2000, 5000, 8000 }, { 0, 0, 0 } };

	check_row(fleet, &nothing, 0);
	for (size_t i = 0; i < HOSTS; i++) {
		struct host_state host = fleet_host((int64_t)i + 2, names[i]);

		set_memory(&host, nothing.figures[i]);
		fleet_put(fleet, &host, NULL);
	}
	weigh_by(fleet, SCHEDULER_WEIGHER_RAM, 1);
	fleet->settings.enabled_weighers = 0;
	fleet_choose(fleet);
	for (size_t i = 0; i < HOSTS; i++)
		expect_share(fleet, SCHEDULER_WEIGHER_RAM, (int64_t)i + 2, 0);
}

/* Nothing is a host's own word, too: only -1 (for ratios, 0) means the setting's. */
static void free_resources_count_with_the_hosts_own_reservation_and_ratio(void **state)
{
	struct fleet *fleet = *state;
	struct host_state hosts[] = { fleet_host(2, names[0]), fleet_host(3, names[1]), fleet_host(4, names[2]) };

	hosts[1].memory_mb_reserved = hosts[1].disk_mb_reserved = 0;
	hosts[2].memory_mb_reserved = 4096;
	hosts[2].disk_mb_reserved = 51200;
	hosts[1].cpu_allocation_ratio = 8;
	hosts[2].cpu_allocation_ratio = 0.625;
	fleet->settings.reserved_host_memory_mb = 2048;
	fleet->settings.reserved_host_disk_mb = 25600;
	fleet->settings.cpu_allocation_ratio = 4;
	for (size_t i = 0; i < HOSTS; i++)
		fleet_put(fleet, &hosts[i], NULL);
	for (enum scheduler_weigher weigher = SCHEDULER_WEIGHER_RAM; weigher <= SCHEDULER_WEIGHER_DISK; weigher++) {
		weigh_by(fleet, weigher, 1);
		fleet_choose(fleet);
		expect_share(fleet, weigher, 2, weigher == SCHEDULER_WEIGHER_CPU ? 0.5 : 0.75);
		expect_share(fleet, weigher, 3, 1);
		expect_share(fleet, weigher, 4, weigher == SCHEDULER_WEIGHER_CPU ? 0.078125 : 0.5); /* 2.5 of 32 CPUs */
	}
}

/* Half a CPU is more than none. */
static void a_part_of_a_cpu_counts(void **state)
{
	struct fleet *fleet = *state;
	static const double ratios[] = { 0.125, 0.25, 0.5 }; /* of 4 */

	for (size_t i = 0; i < HOSTS; i++) {
		struct host_state host = fleet_host((int64_t)i + 2, names[i]);

		host.cpu_allocation_ratio = ratios[i];
		fleet_put(fleet, &host, NULL);
	}
	weigh_by(fleet, SCHEDULER_WEIGHER_CPU, 1);
	fleet_choose(fleet);
	for (size_t i = 0; i < HOSTS; i++)
		expect_share(fleet, SCHEDULER_WEIGHER_CPU, (int64_t)i + 2, ratios[i] / 0.5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fleet_setup, fleet_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_share_says_where_a_figure_lies_between_the_ends),
		TEST(members_of_a_group_count_for_the_groups_policy_alone),
		TEST(a_group_may_be_in_one_place_or_in_none),
		TEST(the_best_few_come_first_in_their_order),
		TEST(a_weigher_that_is_off_or_counts_nothing_gives_no_share),
		TEST(free_resources_count_with_the_hosts_own_reservation_and_ratio),
		TEST(a_part_of_a_cpu_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
