/* The scheduler: each filter with its reason, and the order that the weighers make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "tests/unit/scheduler_fixture.h"

static void the_source_is_never_chosen(void **state)
{
	struct fleet *fleet = *state;

	fleet_expect_refusal(fleet, 1, "DifferentHostFilter: where the server is now");
	assert_int_equal(fleet->result.choice_count, 2);
	fleet->settings.enabled_filters = 0;
	fleet_expect_refusal(fleet, 1, "DifferentHostFilter: where the server is now");
	fleet->request.requested_host_id = 1;
	fleet_expect_refusal(fleet, 1, "DifferentHostFilter: where the server is now");
	assert_int_equal(fleet->result.choice_count, 0);
}

static void nothing_of_one_request_limits_the_next(void **state)
{
	struct fleet *fleet = *state;

	fleet->request.requested_host_id = 2;
	fleet_expect_choice(fleet, 2);
	assert_int_equal(fleet->result.choice_count, 1);
	fleet->request.requested_host_id = 0;
	fleet->request.source_host_id = 2;
	fleet_choose(fleet);
	assert_int_equal(fleet->result.choice_count, 2);
	fleet_expect_choice(fleet, 1);
}

static void a_host_that_was_tried_is_left_out_with_its_reason(void **state)
{
	struct fleet *fleet = *state;
	const struct schedule_left_out left_out[] = { { 3, "libvirt says no" }, { 2, NULL }, { 77, "not there" } };

	fleet->request.left_out = left_out;
	fleet->request.left_out_count = ARRAY_LENGTH(left_out);
	fleet_expect_refusal(fleet, 3, "RetryFilter: libvirt says no");
	fleet_expect_refusal(fleet, 2, "RetryFilter: was tried already");
}

/* The source is the second host here, so that the first counts, too. */
static void who_was_left_out_of_one_choice_is_in_the_next(void **state)
{
	struct fleet *fleet = *state;
	const struct schedule_left_out both[] = { { 1, NULL }, { 3, NULL } };
	const struct schedule_left_out another = { 2, NULL };

	fleet->request.source_host_id = 2;
	fleet->request.left_out = both;
	fleet->request.left_out_count = ARRAY_LENGTH(both);
	fleet_choose(fleet);
	assert_int_equal(fleet->result.candidate_count, 0);
	fleet->request.left_out = &another;
	fleet->request.left_out_count = 1;
	fleet_choose(fleet);
	assert_int_equal(fleet->result.candidate_count, 2);
}

static void a_host_that_is_down_or_disabled_is_refused(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(2, "compute-2");

	host.is_disabled = true;
	host.disabled_reason = "maintenance";
	fleet_put(fleet, &host, NULL);
	fleet_expect_refusal(fleet, 2, "ComputeFilter: disabled");
	host.is_up = false;
	fleet_put(fleet, &host, NULL);
	fleet_expect_refusal(fleet, 2, "ComputeFilter: down");
	host.is_forced_down = true;
	fleet_put(fleet, &host, NULL);
	fleet_expect_refusal(fleet, 2, "ComputeFilter: forced down");
}

static void names_that_the_host_does_not_offer_refuse_it(void **state)
{
	static const struct {
		enum host_set set;
		const char *needed;
		const char *reason;
	} rows[] = {
		{ HOST_SET_GUEST_TYPES, "aarch64/kvm", "ImagePropertiesFilter: guest type aarch64/kvm is not there" },
		{ HOST_SET_MACHINES, "x86_64/pc-q35-9.0",
		  "ImagePropertiesFilter: machine type x86_64/pc-q35-9.0 is not there" },
		{ HOST_SET_HYPERVISORS, "Xen", "HypervisorVersionFilter: hypervisor Xen is not there" },
		{ HOST_SET_HOST_CPU, "AMD/EPYC", "CpuCompatibilityFilter: host CPU AMD/EPYC is not there" },
		{ HOST_SET_NETWORKS, "bridge/br-b", "NetworkFilter: network bridge/br-b is not there" },
		{ HOST_SET_POOLS, "pool-b", "StorageFilter: shared storage pool-b is not there" },
	};
	struct fleet *fleet = *state;
	static const char *const others[] = { "m", "a", "z" };

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const char *const both[] = { "z", rows[i].needed, "a" };
		struct host_offers lacking = { 0 };
		struct host_offers offering = { 0 };
		struct host_state host = fleet_host(2, "compute-2");

		for (int set = 0; set < HOST_SET_COUNT; set++)
			fleet->request.needs[set] = (struct name_list){ 0 };
		fleet->request.needs[rows[i].set] = fleet_one_name(&rows[i].needed);
		fleet_expect_choice(fleet, 2); /* nothing is known of the hosts: nobody is refused */

		lacking.sets[rows[i].set] = (struct name_list){ others, ARRAY_LENGTH(others), .is_known = true };
		fleet_put(fleet, &host, &lacking);
		fleet_expect_refusal(fleet, 2, rows[i].reason);
		lacking.sets[rows[i].set].count = 0; /* known to have none */
		fleet_put(fleet, &host, &lacking);
		fleet_expect_refusal(fleet, 2, rows[i].reason);
		offering.sets[rows[i].set] = (struct name_list){ both, ARRAY_LENGTH(both), .is_known = true };
		fleet_put(fleet, &host, &offering);
		fleet_expect_choice(fleet, 2);
	}
}

static void of_several_names_the_first_that_is_missing_is_told(void **state)
{
	static const char *const offered[] = { "bridge/a", "bridge/c" };
	static const char *const needed[] = { "bridge/c", "bridge/a", "bridge/d", "bridge/b" };
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(2, "compute-2");
	struct host_offers offers = { 0 };

	offers.sets[HOST_SET_NETWORKS] = (struct name_list){ offered, ARRAY_LENGTH(offered), .is_known = true };
	fleet_put(fleet, &host, &offers);
	fleet->request.needs[HOST_SET_NETWORKS] = (struct name_list){ needed, ARRAY_LENGTH(needed), .is_known = true };
	fleet_expect_refusal(fleet, 2, "NetworkFilter: network bridge/d is not there");
	fleet->request.needs[HOST_SET_NETWORKS].count = 2;
	fleet_expect_choice(fleet, 2);
}

/* Twice the same two names of one digest (a known pair): they are two collections all the same. */
static void names_of_one_digest_are_not_taken_for_each_other(void **state)
{
	static const char *const one[] = { "8yn0iYCKYHlIj4-BwPqk" };
	static const char *const other[] = { "GReLUrM4wMqfg9yzV3KQ" };
	struct fleet *fleet = *state;
	struct host_state hosts[] = { fleet_host(2, "compute-2"), fleet_host(3, "compute-3") };
	struct host_offers offers = { 0 };

	offers.sets[HOST_SET_POOLS] = fleet_one_name(one);
	fleet_put(fleet, &hosts[0], &offers);
	offers.sets[HOST_SET_POOLS] = fleet_one_name(other);
	fleet_put(fleet, &hosts[1], &offers);
	fleet->request.needs[HOST_SET_POOLS] = fleet_one_name(other);
	fleet_expect_refusal(fleet, 2, "StorageFilter: shared storage GReLUrM4wMqfg9yzV3KQ is not there");
	fleet_expect_choice(fleet, 3);
}

static void a_running_guest_does_not_go_to_an_older_hypervisor(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(2, "compute-2");

	fleet->request.source_hypervisor_version = 8001003;
	fleet_expect_refusal(fleet, 2, "HypervisorVersionFilter: version 7.2.0 is older than the source's 8.1.3");
	host.hypervisor_version = 0; /* not known: the check before the migration decides */
	fleet_put(fleet, &host, NULL);
	fleet_expect_choice(fleet, 2);
	host.hypervisor_version = 8001003;
	fleet_put(fleet, &host, NULL);
	fleet_expect_choice(fleet, 2);
	host.hypervisor_version = 1; /* known, and older than anything */
	fleet_put(fleet, &host, NULL);
	fleet_expect_refusal(fleet, 2, "HypervisorVersionFilter: version 0.0.1 is older than the source's 8.1.3");
	fleet->request.is_live = false;
	fleet_expect_choice(fleet, 3);
	assert_int_equal(fleet->result.choice_count, 2);
}

static void a_live_migration_needs_an_address_on_the_target(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(2, "compute-2");

	host.has_migration_address = false;
	fleet_put(fleet, &host, NULL);
	fleet_expect_refusal(fleet, 2, "MigrationAddressFilter: no address for migrations");
	fleet->request.is_live = false;
	fleet_expect_choice(fleet, 2);
}

static void a_pinned_guest_needs_its_cpu_numbers(void **state)
{
	struct fleet *fleet = *state;

	fleet->request.highest_pinned_cpu = 3;
	fleet_expect_choice(fleet, 2);
	fleet->request.highest_pinned_cpu = 4;
	fleet_expect_refusal(fleet, 2, "CpuPinningFilter: CPU number 4 is pinned to, the host has 4 CPUs");
}

static void cpu_overcommit_counts_as_the_ratio_says(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(2, "compute-2");

	host.vcpus_used = 10;
	fleet_put(fleet, &host, NULL);
	fleet->request.vcpus = 4;
	fleet->request.requested_host_id = 2;
	fleet_expect_choice(fleet, 2); /* 4 CPUs at the default ratio of 4 are 16 */
	host.cpu_allocation_ratio = 1.0;
	fleet_put(fleet, &host, NULL);
	fleet_expect_refusal(fleet, 2, "CoreFilter: 4 vCPUs are needed, 0 of 4 are free (10 are used)");
	host.cpu_allocation_ratio = 0;
	fleet_put(fleet, &host, NULL);
	fleet->settings.cpu_allocation_ratio = 3.25;
	fleet_expect_refusal(fleet, 2, "CoreFilter: 4 vCPUs are needed, 3 of 13 are free");
	fleet->request.vcpus = 5; /* never more than the host has at all */
	fleet_expect_refusal(fleet, 2, "CoreFilter: 5 vCPUs are needed, the host has 4");
}

static void memory_and_disk_count_with_ratio_and_reservation(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(2, "compute-2");
	struct host_capacity capacity;

	host.memory_mb_used = 7168;
	fleet_put(fleet, &host, NULL);
	fleet_expect_choice(fleet, 3);
	fleet->request.requested_host_id = 2;
	fleet_expect_choice(fleet, 2); /* exactly the 512 that are left */
	fleet->request.memory_mb = 513;
	fleet_expect_refusal(fleet, 2, "RamFilter: 513 MiB of memory are needed, 512 of 7680 are free");
	host.ram_allocation_ratio = 1.5;
	host.memory_mb_reserved = 0;
	host.disk_mb_reserved = 2400;
	host.disk_mb_used = 99000;
	fleet_put(fleet, &host, NULL);
	fleet_expect_refusal(fleet, 2, "DiskFilter: 1024 MiB of disk are needed, 1000 of 100000 are free");
	fleet->request.disk_mb = 0; /* an overfull host takes what needs nothing */
	fleet_expect_choice(fleet, 2);

	capacity = scheduler_capacity(&fleet->settings, host_table_by_id(fleet->table, 2));
	assert_int_equal(capacity.vcpus, 16);
	assert_int_equal(capacity.memory_mb, 12288);
	assert_int_equal(capacity.disk_mb, 100000);
}

static void check_capacity(struct fleet *fleet, const struct host_state *host, int64_t vcpus, int64_t memory_mb,
			   int64_t disk_mb)
{
	const struct host_capacity capacity = scheduler_capacity(&fleet->settings, host);

	assert_int_equal(capacity.vcpus, vcpus);
	assert_int_equal(capacity.memory_mb, memory_mb);
	assert_int_equal(capacity.disk_mb, disk_mb);
}

/* The host's own, and the settings' where it has none. */
static void capacity_of_each_resource_has_its_own_ratio_and_reservation(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(2, "compute-2"); /* 4, 8192 and 102400 */

	fleet->settings.cpu_allocation_ratio = 2;
	fleet->settings.ram_allocation_ratio = 3;
	fleet->settings.disk_allocation_ratio = 5;
	fleet->settings.reserved_host_memory_mb = 1000;
	fleet->settings.reserved_host_disk_mb = 2000;
	check_capacity(fleet, &host, 8, 3 * 7192, 5 * 100400);
	host.memory_mb_reserved = 192;
	check_capacity(fleet, &host, 8, 3 * 8000, 5 * 100400);
	host.disk_mb_reserved = 400;
	check_capacity(fleet, &host, 8, 3 * 8000, 5 * 102000);
	host.memory_mb_reserved = host.disk_mb_reserved = 0; /* nothing is its own word, too */
	check_capacity(fleet, &host, 8, 3 * 8192, 5 * 102400);
	host.cpu_allocation_ratio = 1.5;
	check_capacity(fleet, &host, 6, 3 * 8192, 5 * 102400);
	host.ram_allocation_ratio = 2.5;
	check_capacity(fleet, &host, 6, 20480, 5 * 102400);
	host.disk_allocation_ratio = 0.5;
	check_capacity(fleet, &host, 6, 20480, 51200);
	host.memory_mb_reserved = 8193; /* more than there is */
	host.disk_mb_reserved = 102401;
	check_capacity(fleet, &host, 6, 0, 0);
}

/* With as much as can be of the other two. */
static void each_resource_alone_refuses_a_host(void **state)
{
	struct fleet *fleet = *state;
	const struct host_state empty = fleet_host(2, "compute-2");
	struct host_state host = empty;

	fleet->settings.cpu_allocation_ratio = fleet->settings.ram_allocation_ratio =
		fleet->settings.disk_allocation_ratio = 1;
	fleet->settings.reserved_host_memory_mb = fleet->settings.reserved_host_disk_mb = 0;
	fleet->request.requested_host_id = 2;
	fleet->request.vcpus = 4;
	fleet->request.memory_mb = 8192;
	fleet->request.disk_mb = 102400;
	fleet_put(fleet, &host, NULL);
	fleet_expect_choice(fleet, 2); /* all of it */
	host.vcpus_used = 1;
	fleet_put(fleet, &host, NULL);
	fleet_expect_refusal(fleet, 2, "CoreFilter: 4 vCPUs are needed, 3 of 4 are free");
	host = empty;
	host.memory_mb_used = 1;
	fleet_put(fleet, &host, NULL);
	fleet_expect_refusal(fleet, 2, "RamFilter: 8192 MiB of memory are needed, 8191 of 8192 are free");
	host = empty;
	host.disk_mb_used = 1;
	fleet_put(fleet, &host, NULL);
	fleet_expect_refusal(fleet, 2, "DiskFilter: 102400 MiB of disk are needed, 102399 of 102400 are free");
}

static void limits_of_servers_and_moves_count_only_when_enabled(void **state)
{
	struct fleet *fleet = *state;
	const struct host_usage usage = { .num_instances = 50, .num_io_ops = 8 };

	assert_true(host_table_set_usage(fleet->table, 2, &usage));
	assert_false(host_table_set_usage(fleet->table, 9, &usage));
	fleet->request.requested_host_id = 2;
	fleet_expect_choice(fleet, 2);
	fleet->settings.enabled_filters |= 1U << SCHEDULER_FILTER_IO_OPS;
	fleet_expect_refusal(fleet, 2, "IoOpsFilter: 8 moves under way, the limit is 8");
	fleet->settings.enabled_filters |= 1U << SCHEDULER_FILTER_NUM_INSTANCES;
	fleet_expect_refusal(fleet, 2, "NumInstancesFilter: 50 servers, the limit is 50");
}

static void the_host_with_most_free_is_chosen_and_its_shares_add_up(void **state)
{
	struct fleet *fleet = *state;
	struct host_usage usage = { .memory_mb = 4096, .vcpus = 2 };
	double sum = 0;

	host_table_set_usage(fleet->table, 2, &usage);
	fleet_expect_choice(fleet, 3);
	assert_int_equal(fleet->result.choices[1].host_id, 2);
	for (int i = 0; i < SCHEDULER_WEIGHER_COUNT; i++)
		sum += fleet->result.choices[0].shares[i];
	assert_true(sum > 2.999 && sum < 3.001); /* ram, cpu and disk at their best */
	assert_true(sum <= fleet->result.choices[0].weight && sum >= fleet->result.choices[0].weight);
}

static void a_failed_migration_outweighs_everything_else(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(3, "compute-3");

	host.memory_mb_total = 1048576;
	host.failed_migrations = 1;
	fleet_put(fleet, &host, NULL);
	fleet_expect_choice(fleet, 2);
	fleet->settings.multipliers[SCHEDULER_WEIGHER_BUILD_FAILURE] = 0;
	fleet_expect_choice(fleet, 3);
}

static void one_candidate_alone_is_not_weighed(void **state)
{
	struct fleet *fleet = *state;

	fleet->request.requested_host_id = 2;
	fleet_choose(fleet);
	assert_int_equal(fleet->result.choice_count, 1);
	assert_true(fleet->result.choices[0].weight >= 0 && fleet->result.choices[0].weight <= 0);
}

static void a_group_draws_together_or_apart(void **state)
{
	struct fleet *fleet = *state;
	const struct schedule_group_place places[] = { { 3, 2 }, { 99, 5 } };

	fleet->request.group_places = places;
	fleet->request.group_place_count = ARRAY_LENGTH(places);
	fleet->request.group = SCHEDULE_GROUP_SOFT_AFFINITY;
	fleet_expect_choice(fleet, 3);
	fleet->request.group = SCHEDULE_GROUP_SOFT_ANTI_AFFINITY;
	fleet_expect_choice(fleet, 2);
}

static void a_subset_is_drawn_by_the_seed_alone(void **state)
{
	struct fleet *fleet = *state;
	unsigned int drawn[4] = { 0 };

	fleet->settings.host_subset_size = 2;
	for (uint64_t seed = 0; seed < 64; seed++) {
		int64_t first;

		fleet->request.random_seed = seed;
		fleet_choose(fleet);
		first = fleet->result.choices[0].host_id;
		assert_int_not_equal(fleet->result.choices[1].host_id, first);
		fleet_expect_choice(fleet, first); /* the same seed again */
		drawn[first]++;
	}
	assert_true(drawn[2] > 10 && drawn[3] > 10);
	fleet->settings.host_subset_size = 1000; /* no more than there are */
	for (uint64_t seed = 0; seed < 64; seed++) {
		fleet->request.random_seed = seed;
		fleet_choose(fleet);
		assert_int_equal(fleet->result.choice_count, 2);
		assert_int_equal(fleet->result.choices[0].host_id + fleet->result.choices[1].host_id, 5);
	}
	fleet->settings.host_subset_size = 1;
	for (uint64_t seed = 0; seed < 64; seed++) {
		fleet->request.random_seed = seed;
		fleet_expect_choice(fleet, 2);
	}
}

static void equals_are_shuffled_only_when_asked_for(void **state)
{
	struct fleet *fleet = *state;
	unsigned int drawn[4] = { 0 };

	fleet->settings.is_shuffling_equals = true;
	for (uint64_t seed = 0; seed < 64; seed++) {
		fleet->request.random_seed = seed;
		fleet_choose(fleet);
		drawn[fleet->result.choices[0].host_id]++;
	}
	assert_true(drawn[2] > 10 && drawn[3] > 10);
	assert_true(host_table_set_usage(fleet->table, 2, &(struct host_usage){ .memory_mb = 1 }));
	for (uint64_t seed = 0; seed < 64; seed++) {
		fleet->request.random_seed = seed;
		fleet_expect_choice(fleet, 3);
	}
}

static void few_choices_are_the_first_of_all(void **state)
{
	struct fleet *fleet = *state;
	CLEANUP_SCHEDULE struct schedule_result all = { 0 };
	char name[32];

	for (int64_t id = 4; id <= 200; id++) {
		struct host_state host;

		snprintf(name, sizeof(name), "compute-%lld", (long long)id);
		host = fleet_host(id, name);
		host.memory_mb_used = id * 7919 % 53 * 100;
		fleet_put(fleet, &host, NULL);
	}
	fleet->request.choices_max = 0;
	fleet_choose(fleet);
	all = fleet->result;
	fleet->result = (struct schedule_result){ 0 };
	assert_int_equal(all.choice_count, all.candidate_count);
	for (size_t wanted = 20; wanted < 100; wanted += wanted == 20 ? 42 : 1) {
		fleet->settings.multipliers[SCHEDULER_WEIGHER_RAM] = 10;
		fleet->request.choices_max = 0;
		fleet_choose(fleet); /* of which nothing is left over */
		fleet->settings.multipliers[SCHEDULER_WEIGHER_RAM] = 1;
		fleet->request.choices_max = wanted;
		fleet_choose(fleet);
		assert_int_equal(fleet->result.choice_count, wanted);
		assert_int_equal(fleet->result.candidate_count, all.candidate_count);
		for (size_t i = 0; i < wanted; i++)
			assert_int_equal(fleet->result.choices[i].host_id, all.choices[i].host_id);
	}
}

static void expect_forced(struct fleet *fleet, const struct host_state *host, enum scheduler_filter filter)
{
	fleet_put(fleet, host, NULL);
	assert_int_equal(scheduler_check_forced(fleet->table, &fleet->settings, &fleet->request,
						host_table_by_id(fleet->table, host->id))
				 .filter,
			 filter);
}

static void a_forced_host_is_checked_for_what_would_lose_the_guest(void **state)
{
	static const char *const qemu[] = { "QEMU" };
	static const char *const xen[] = { "Xen" };
	static const char *const bridge[] = { "bridge/nowhere" };
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(2, "compute-2");
	struct host_offers facts = { 0 };

	facts.sets[HOST_SET_HYPERVISORS] = fleet_one_name(qemu);
	facts.sets[HOST_SET_NETWORKS] = (struct name_list){ .is_known = true };
	fleet_put(fleet, &host, &facts);
	fleet->request.needs[HOST_SET_HYPERVISORS] = fleet_one_name(qemu);
	fleet->request.needs[HOST_SET_NETWORKS] = fleet_one_name(bridge);
	host.is_disabled = true;
	host.vcpus_used = 100;
	expect_forced(fleet, &host, SCHEDULER_FILTER_NONE);
	fleet->request.needs[HOST_SET_HYPERVISORS] = fleet_one_name(xen);
	expect_forced(fleet, &host, SCHEDULER_FILTER_HYPERVISOR_VERSION);
	fleet->request.needs[HOST_SET_HYPERVISORS] = fleet_one_name(qemu);
	host.hypervisor_version = 6000000;
	expect_forced(fleet, &host, SCHEDULER_FILTER_HYPERVISOR_VERSION);
	host.hypervisor_version = 7002000;
	host.memory_mb_used = 8000;
	expect_forced(fleet, &host, SCHEDULER_FILTER_RAM);
	host.is_forced_down = true;
	expect_forced(fleet, &host, SCHEDULER_FILTER_COMPUTE);
	fleet->request.source_host_id = 2;
	expect_forced(fleet, &host, SCHEDULER_FILTER_DIFFERENT_HOST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fleet_setup, fleet_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_source_is_never_chosen),
		TEST(nothing_of_one_request_limits_the_next),
		TEST(a_host_that_was_tried_is_left_out_with_its_reason),
		TEST(who_was_left_out_of_one_choice_is_in_the_next),
		TEST(a_host_that_is_down_or_disabled_is_refused),
		TEST(names_that_the_host_does_not_offer_refuse_it),
		TEST(of_several_names_the_first_that_is_missing_is_told),
		TEST(names_of_one_digest_are_not_taken_for_each_other),
		TEST(a_running_guest_does_not_go_to_an_older_hypervisor),
		TEST(a_live_migration_needs_an_address_on_the_target),
		TEST(a_pinned_guest_needs_its_cpu_numbers),
		TEST(cpu_overcommit_counts_as_the_ratio_says),
		TEST(memory_and_disk_count_with_ratio_and_reservation),
		TEST(capacity_of_each_resource_has_its_own_ratio_and_reservation),
		TEST(each_resource_alone_refuses_a_host),
		TEST(limits_of_servers_and_moves_count_only_when_enabled),
		TEST(the_host_with_most_free_is_chosen_and_its_shares_add_up),
		TEST(a_failed_migration_outweighs_everything_else),
		TEST(one_candidate_alone_is_not_weighed),
		TEST(a_group_draws_together_or_apart),
		TEST(a_subset_is_drawn_by_the_seed_alone),
		TEST(equals_are_shuffled_only_when_asked_for),
		TEST(few_choices_are_the_first_of_all),
		TEST(a_forced_host_is_checked_for_what_would_lose_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
