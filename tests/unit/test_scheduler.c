/* The scheduler: each filter with its reason, the order of the weighers, and the words for both audiences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/scheduler/scheduler.h"

/* Three equal hosts, each with room; the server is on compute-1. A test changes what it is about and chooses. */
struct fleet {
	struct host_table *table;
	struct scheduler_settings settings;
	struct schedule_request request;
	struct schedule_result result;
};

static struct host_state make_host(int64_t id, const char *name)
{
	struct host_state state = HOST_STATE_DEFAULT;

	state.id = id;
	state.name = name;
	state.is_up = true;
	state.hypervisor_version = 7002000;
	state.vcpus_total = 4;
	state.memory_mb_total = 8192;
	state.disk_mb_total = 102400;
	return state;
}

static void put(struct fleet *fleet, const struct host_state *state, const struct host_facts *facts)
{
	struct error error = { 0 };

	assert_int_equal(host_table_put(fleet->table, state, facts, &error), 0);
}

static int setup(void **state)
{
	static const char *const names[] = { "compute-1", "compute-2", "compute-3" };
	struct fleet *fleet = calloc(1, sizeof(*fleet));

	assert_non_null(fleet);
	fleet->table = host_table_create();
	assert_non_null(fleet->table);
	for (int64_t i = 0; i < 3; i++) {
		struct host_state host = make_host(i + 1, names[i]);

		put(fleet, &host, NULL);
	}
	fleet->settings = scheduler_settings_default;
	fleet->request = SCHEDULE_REQUEST_DEFAULT;
	fleet->request.is_live = true;
	fleet->request.source_host_id = 1;
	fleet->request.source_hypervisor_version = 7002000;
	fleet->request.vcpus = 1;
	fleet->request.memory_mb = 512;
	fleet->request.disk_mb = 1024;
	*state = fleet;
	return 0;
}

static int teardown(void **state)
{
	struct fleet *fleet = *state;

	schedule_result_clear(&fleet->result);
	host_table_destroy(fleet->table);
	free(fleet);
	return 0;
}

static void choose(struct fleet *fleet)
{
	struct error error = { 0 };

	schedule_result_clear(&fleet->result);
	assert_int_equal(scheduler_select(fleet->table, &fleet->settings, &fleet->request, &fleet->result, &error), 0);
}

/* Chooses, and expects that host `id` is not among the choices for just this reason. */
static void expect_refusal(struct fleet *fleet, int64_t id, const char *reason)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	choose(fleet);
	for (size_t i = 0; i < fleet->result.choice_count; i++)
		assert_int_not_equal(fleet->result.choices[i].host_id, id);
	for (size_t i = 0; i < fleet->result.verdict_count; i++)
		if (fleet->result.verdicts[i].host_id == id)
			schedule_explain_verdict(&fleet->request, &fleet->result.verdicts[i], &text);
	assert_string_equal(text.data, reason);
}

static void expect_choice(struct fleet *fleet, int64_t id)
{
	choose(fleet);
	assert_true(fleet->result.choice_count > 0);
	assert_int_equal(fleet->result.choices[0].host_id, id);
}

static struct name_list one_name(const char *const *name)
{
	return (struct name_list){ name, 1, .is_known = true };
}

static void the_source_is_never_chosen(void **state)
{
	struct fleet *fleet = *state;

	expect_refusal(fleet, 1, "DifferentHostFilter: where the server is now");
	assert_int_equal(fleet->result.choice_count, 2);
	fleet->settings.enabled_filters = 0;
	expect_refusal(fleet, 1, "DifferentHostFilter: where the server is now");
	fleet->request.requested_host_id = 1;
	expect_refusal(fleet, 1, "DifferentHostFilter: where the server is now");
	assert_int_equal(fleet->result.choice_count, 0);
}

static void nothing_of_one_request_limits_the_next(void **state)
{
	struct fleet *fleet = *state;

	fleet->request.requested_host_id = 2;
	expect_choice(fleet, 2);
	assert_int_equal(fleet->result.choice_count, 1);
	fleet->request.requested_host_id = 0;
	fleet->request.source_host_id = 2;
	choose(fleet);
	assert_int_equal(fleet->result.choice_count, 2);
	expect_choice(fleet, 1);
}

static void a_host_that_was_tried_is_left_out_with_its_reason(void **state)
{
	struct fleet *fleet = *state;
	const struct schedule_left_out left_out[] = { { 3, "libvirt says no" }, { 2, NULL }, { 77, "not there" } };

	fleet->request.left_out = left_out;
	fleet->request.left_out_count = ARRAY_LENGTH(left_out);
	expect_refusal(fleet, 3, "RetryFilter: libvirt says no");
	expect_refusal(fleet, 2, "RetryFilter: was tried already");
}

static void a_host_that_is_down_or_disabled_is_refused(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = make_host(2, "compute-2");

	host.is_disabled = true;
	host.disabled_reason = "maintenance";
	put(fleet, &host, NULL);
	expect_refusal(fleet, 2, "ComputeFilter: disabled");
	host.is_up = false;
	put(fleet, &host, NULL);
	expect_refusal(fleet, 2, "ComputeFilter: down");
	host.is_forced_down = true;
	put(fleet, &host, NULL);
	expect_refusal(fleet, 2, "ComputeFilter: forced down");
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
		{ HOST_SET_CPU_MODELS, "EPYC-Rome", "CpuCompatibilityFilter: CPU model EPYC-Rome is not there" },
		{ HOST_SET_CPU_FEATURES, "avx512f", "CpuCompatibilityFilter: CPU feature avx512f is not there" },
		{ HOST_SET_NETWORKS, "bridge/br-b", "NetworkFilter: network bridge/br-b is not there" },
		{ HOST_SET_POOLS, "pool-b", "StorageFilter: shared storage pool-b is not there" },
	};
	struct fleet *fleet = *state;
	static const char *const others[] = { "m", "a", "z" };

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const char *const both[] = { "z", rows[i].needed, "a" };
		struct host_facts lacking = { 0 };
		struct host_facts offering = { 0 };
		struct host_state host = make_host(2, "compute-2");

		for (int set = 0; set < HOST_SET_COUNT; set++)
			fleet->request.needs[set] = (struct name_list){ 0 };
		fleet->request.needs[rows[i].set] = one_name(&rows[i].needed);
		expect_choice(fleet, 2); /* nothing is known of the hosts: nobody is refused */

		lacking.sets[rows[i].set] = (struct name_list){ others, ARRAY_LENGTH(others), .is_known = true };
		put(fleet, &host, &lacking);
		expect_refusal(fleet, 2, rows[i].reason);
		lacking.sets[rows[i].set].count = 0; /* known to have none */
		put(fleet, &host, &lacking);
		expect_refusal(fleet, 2, rows[i].reason);
		offering.sets[rows[i].set] = (struct name_list){ both, ARRAY_LENGTH(both), .is_known = true };
		put(fleet, &host, &offering);
		expect_choice(fleet, 2);
	}
}

static void a_running_guest_does_not_go_to_an_older_hypervisor(void **state)
{
	struct fleet *fleet = *state;

	fleet->request.source_hypervisor_version = 8001003;
	expect_refusal(fleet, 2, "HypervisorVersionFilter: version 7.2.0 is older than the source's 8.1.3");
	fleet->request.is_live = false;
	expect_choice(fleet, 2);
}

static void a_live_migration_needs_an_address_on_the_target(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = make_host(2, "compute-2");

	host.has_migration_address = false;
	put(fleet, &host, NULL);
	expect_refusal(fleet, 2, "MigrationAddressFilter: no address for migrations");
	fleet->request.is_live = false;
	expect_choice(fleet, 2);
}

static void a_pinned_guest_needs_its_cpu_numbers(void **state)
{
	struct fleet *fleet = *state;

	fleet->request.highest_pinned_cpu = 3;
	expect_choice(fleet, 2);
	fleet->request.highest_pinned_cpu = 4;
	expect_refusal(fleet, 2, "CpuPinningFilter: CPU number 4 is pinned to, the host has 4 CPUs");
}

static void cpu_overcommit_counts_as_the_ratio_says(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = make_host(2, "compute-2");

	host.vcpus_used = 10;
	put(fleet, &host, NULL);
	fleet->request.vcpus = 4;
	fleet->request.requested_host_id = 2;
	expect_choice(fleet, 2); /* 4 CPUs at the default ratio of 4 are 16 */
	host.cpu_allocation_ratio = 1.0;
	put(fleet, &host, NULL);
	expect_refusal(fleet, 2, "CoreFilter: 4 vCPUs are needed, 0 of 4 are free (10 are used)");
	host.cpu_allocation_ratio = 0;
	put(fleet, &host, NULL);
	fleet->settings.cpu_allocation_ratio = 3.25;
	expect_refusal(fleet, 2, "CoreFilter: 4 vCPUs are needed, 3 of 13 are free");
	fleet->request.vcpus = 5; /* never more than the host has at all */
	expect_refusal(fleet, 2, "CoreFilter: 5 vCPUs are needed, the host has 4");
}

static void memory_and_disk_count_with_ratio_and_reservation(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = make_host(2, "compute-2");
	struct host_capacity capacity;

	host.memory_mb_used = 7168;
	put(fleet, &host, NULL);
	expect_choice(fleet, 3);
	fleet->request.requested_host_id = 2;
	expect_choice(fleet, 2); /* exactly the 512 that are left */
	fleet->request.memory_mb = 513;
	expect_refusal(fleet, 2, "RamFilter: 513 MiB of memory are needed, 512 of 7680 are free");
	host.ram_allocation_ratio = 1.5;
	host.memory_mb_reserved = 0;
	host.disk_mb_reserved = 2400;
	host.disk_mb_used = 99000;
	put(fleet, &host, NULL);
	expect_refusal(fleet, 2, "DiskFilter: 1024 MiB of disk are needed, 1000 of 100000 are free");
	fleet->request.disk_mb = 0; /* an overfull host takes what needs nothing */
	expect_choice(fleet, 2);

	capacity = scheduler_capacity(&fleet->settings, host_table_by_id(fleet->table, 2));
	assert_int_equal(capacity.vcpus, 16);
	assert_int_equal(capacity.memory_mb, 12288);
	assert_int_equal(capacity.disk_mb, 100000);
}

static void limits_of_servers_and_moves_count_only_when_enabled(void **state)
{
	struct fleet *fleet = *state;
	const struct host_usage usage = { .num_instances = 50, .num_io_ops = 8 };

	assert_true(host_table_set_usage(fleet->table, 2, &usage));
	assert_false(host_table_set_usage(fleet->table, 9, &usage));
	fleet->request.requested_host_id = 2;
	expect_choice(fleet, 2);
	fleet->settings.enabled_filters |= 1U << SCHEDULER_FILTER_IO_OPS;
	expect_refusal(fleet, 2, "IoOpsFilter: 8 moves under way, the limit is 8");
	fleet->settings.enabled_filters |= 1U << SCHEDULER_FILTER_NUM_INSTANCES;
	expect_refusal(fleet, 2, "NumInstancesFilter: 50 servers, the limit is 50");
}

static void the_host_with_most_free_is_chosen_and_its_shares_add_up(void **state)
{
	struct fleet *fleet = *state;
	struct host_usage usage = { .memory_mb = 4096, .vcpus = 2 };
	double sum = 0;

	host_table_set_usage(fleet->table, 2, &usage);
	expect_choice(fleet, 3);
	assert_int_equal(fleet->result.choices[1].host_id, 2);
	for (int i = 0; i < SCHEDULER_WEIGHER_COUNT; i++)
		sum += fleet->result.choices[0].shares[i];
	assert_true(sum > 2.999 && sum < 3.001); /* ram, cpu and disk at their best */
	assert_true(sum <= fleet->result.choices[0].weight && sum >= fleet->result.choices[0].weight);
}

static void a_failed_migration_outweighs_everything_else(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = make_host(3, "compute-3");

	host.memory_mb_total = 1048576;
	host.failed_migrations = 1;
	put(fleet, &host, NULL);
	expect_choice(fleet, 2);
	fleet->settings.multipliers[SCHEDULER_WEIGHER_BUILD_FAILURE] = 0;
	expect_choice(fleet, 3);
}

static void one_candidate_alone_is_not_weighed(void **state)
{
	struct fleet *fleet = *state;

	fleet->request.requested_host_id = 2;
	choose(fleet);
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
	expect_choice(fleet, 3);
	fleet->request.group = SCHEDULE_GROUP_SOFT_ANTI_AFFINITY;
	expect_choice(fleet, 2);
}

static void a_subset_is_drawn_by_the_seed_alone(void **state)
{
	struct fleet *fleet = *state;
	unsigned int drawn[4] = { 0 };

	fleet->settings.host_subset_size = 2;
	for (uint64_t seed = 0; seed < 64; seed++) {
		int64_t first;

		fleet->request.random_seed = seed;
		choose(fleet);
		first = fleet->result.choices[0].host_id;
		assert_int_not_equal(fleet->result.choices[1].host_id, first);
		expect_choice(fleet, first); /* the same seed again */
		drawn[first]++;
	}
	assert_true(drawn[2] > 10 && drawn[3] > 10);
	fleet->settings.host_subset_size = 1;
	for (uint64_t seed = 0; seed < 64; seed++) {
		fleet->request.random_seed = seed;
		expect_choice(fleet, 2);
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
		host = make_host(id, name);
		host.memory_mb_used = id * 7919 % 53 * 100;
		put(fleet, &host, NULL);
	}
	fleet->request.choices_max = 0;
	choose(fleet);
	all = fleet->result;
	fleet->result = (struct schedule_result){ 0 };
	fleet->request.choices_max = 20;
	choose(fleet);
	assert_int_equal(all.choice_count, all.candidate_count);
	assert_int_equal(fleet->result.choice_count, 20);
	assert_int_equal(fleet->result.candidate_count, all.candidate_count);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(fleet->result.choices[i].host_id, all.choices[i].host_id);
}

static void admins_read_each_host_and_others_only_numbers(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = make_host(3, "compute-3");
	CLEANUP_TEXT struct text admin = TEXT_EMPTY;
	CLEANUP_TEXT struct text other = TEXT_EMPTY;

	host.is_disabled = true;
	host.disabled_reason = "maintenance";
	put(fleet, &host, NULL);
	fleet->request.memory_mb = 8000;
	choose(fleet);
	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NOT_ENOUGH_HOSTS,
				 SCHEDULE_FOR_ADMINS, &admin);
	assert_string_equal(admin.data, "No valid host was found. There are not enough hosts available. "
					"compute-1: DifferentHostFilter: where the server is now; "
					"compute-2: RamFilter: 8000 MiB of memory are needed, 7680 of 7680 are free; "
					"compute-3: ComputeFilter: disabled (maintenance)");
	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NOT_ENOUGH_HOSTS,
				 SCHEDULE_FOR_OTHERS, &other);
	assert_string_equal(other.data, "No valid host was found. There are not enough hosts available. "
					"1 host: disabled; 1 host: not enough memory; 1 host: where the server is now");
}

static void a_long_list_of_hosts_is_counted_in_the_end(void **state)
{
	struct fleet *fleet = *state;
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	char name[32];

	for (int64_t id = 4; id <= 120; id++) {
		struct host_state host;

		snprintf(name, sizeof(name), "compute-%lld", (long long)id);
		host = make_host(id, name);
		put(fleet, &host, NULL);
	}
	fleet->request.memory_mb = 8000;
	choose(fleet);
	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NO_HOST_FOR_COLD,
				 SCHEDULE_FOR_ADMINS, &text);
	assert_true(text_starts_with(text.data, "No valid host was found. No valid host found for cold migrate "));
	assert_non_null(strstr(text.data, "; compute-100: "));
	assert_null(strstr(text.data, "compute-101"));
	assert_true(text_ends_with(text.data, "; 20 more hosts: not enough memory"));
}

static void a_choice_is_told_with_its_weights(void **state)
{
	struct fleet *fleet = *state;
	struct host_usage usage = { .memory_mb = 3840 };
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	host_table_set_usage(fleet->table, 2, &usage);
	choose(fleet);
	schedule_explain_choice(fleet->table, &fleet->result, 1, &text);
	assert_string_equal(text.data, "compute-2, weight 2.5 (ram 0.5, cpu 1, disk 1), one of 2 that fit");
}

static void an_empty_fleet_and_an_unknown_host_are_told(void **state)
{
	struct fleet *fleet = *state;
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	fleet->request.requested_host_id = 9;
	choose(fleet);
	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NOT_ENOUGH_HOSTS,
				 SCHEDULE_FOR_ADMINS, &text);
	assert_true(text_ends_with(text.data, "available. The requested host is not registered."));
	for (int64_t id = 1; id <= 3; id++)
		host_table_remove(fleet->table, id);
	fleet->request.requested_host_id = 0;
	choose(fleet);
	assert_int_equal(fleet->result.choice_count, 0);
	text_clear(&text);
	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NOT_ENOUGH_HOSTS,
				 SCHEDULE_FOR_OTHERS, &text);
	assert_true(text_ends_with(text.data, "available. No host is registered."));
}

static void expect_forced(struct fleet *fleet, const struct host_state *host, enum scheduler_filter filter)
{
	put(fleet, host, NULL);
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
	struct host_state host = make_host(2, "compute-2");
	struct host_facts facts = { 0 };

	facts.sets[HOST_SET_HYPERVISORS] = one_name(qemu);
	facts.sets[HOST_SET_NETWORKS] = (struct name_list){ .is_known = true };
	put(fleet, &host, &facts);
	fleet->request.needs[HOST_SET_HYPERVISORS] = one_name(qemu);
	fleet->request.needs[HOST_SET_NETWORKS] = one_name(bridge);
	host.is_disabled = true;
	host.vcpus_used = 100;
	expect_forced(fleet, &host, SCHEDULER_FILTER_NONE);
	fleet->request.needs[HOST_SET_HYPERVISORS] = one_name(xen);
	expect_forced(fleet, &host, SCHEDULER_FILTER_HYPERVISOR_VERSION);
	fleet->request.needs[HOST_SET_HYPERVISORS] = one_name(qemu);
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

static void the_table_refuses_a_name_twice_and_keeps_its_order(void **state)
{
	struct fleet *fleet = *state;
	struct error error = { 0 };
	struct host_state host = make_host(9, "compute-2");
	const struct host_state *states;
	size_t count;

	assert_int_equal(host_table_put(fleet->table, &host, NULL, &error), -EEXIST);
	host.name = "";
	assert_int_equal(host_table_put(fleet->table, &host, NULL, &error), -EINVAL);
	host_table_remove(fleet->table, 2);
	host.name = "compute-2";
	put(fleet, &host, NULL);
	host = make_host(7, "compute-7");
	put(fleet, &host, NULL);
	states = host_table_states(fleet->table, &count);
	assert_int_equal(count, 4);
	for (size_t i = 1; i < count; i++)
		assert_true(states[i - 1].id < states[i].id);
	assert_int_equal(host_table_by_name(fleet->table, "compute-2")->id, 9);
	assert_null(host_table_by_id(fleet->table, 2));
}

static void equal_collections_are_kept_once_and_reused_when_free(void **state)
{
	static const char *const forward[] = { "a", "b", "a" };
	static const char *const backward[] = { "b", "a" };
	struct fleet *fleet = *state;
	struct host_facts facts = { 0 };
	struct host_state host = make_host(2, "compute-2");
	char name[16];

	facts.sets[HOST_SET_NETWORKS] = (struct name_list){ forward, 3, .is_known = true };
	put(fleet, &host, &facts);
	host = make_host(3, "compute-3");
	facts.sets[HOST_SET_NETWORKS] = (struct name_list){ backward, 2, .is_known = true };
	put(fleet, &host, &facts);
	assert_int_equal(host_table_set_count(fleet->table, HOST_SET_NETWORKS), 2);
	for (int i = 0; i < 100; i++) {
		const char *const names[] = { name };

		snprintf(name, sizeof(name), "net-%d", i);
		facts.sets[HOST_SET_NETWORKS] = one_name(names);
		put(fleet, &host, &facts);
	}
	assert_true(host_table_set_count(fleet->table, HOST_SET_NETWORKS) <= 4);
}

static void filters_and_weighers_are_found_by_name(void **state)
{
	enum scheduler_filter filter;
	enum scheduler_weigher weigher;

	(void)state;
	for (int i = SCHEDULER_FILTER_NONE + 1; i < SCHEDULER_FILTER_COUNT; i++) {
		assert_true(scheduler_filter_by_name(scheduler_filter_name((enum scheduler_filter)i), &filter));
		assert_int_equal(filter, i);
	}
	for (int i = 0; i < SCHEDULER_WEIGHER_COUNT; i++) {
		assert_true(scheduler_weigher_by_name(scheduler_weigher_name((enum scheduler_weigher)i), &weigher));
		assert_int_equal(weigher, i);
	}
	assert_false(scheduler_filter_by_name("none", &filter));
	assert_false(scheduler_weigher_by_name("luck", &weigher));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_source_is_never_chosen),
		TEST(nothing_of_one_request_limits_the_next),
		TEST(a_host_that_was_tried_is_left_out_with_its_reason),
		TEST(a_host_that_is_down_or_disabled_is_refused),
		TEST(names_that_the_host_does_not_offer_refuse_it),
		TEST(a_running_guest_does_not_go_to_an_older_hypervisor),
		TEST(a_live_migration_needs_an_address_on_the_target),
		TEST(a_pinned_guest_needs_its_cpu_numbers),
		TEST(cpu_overcommit_counts_as_the_ratio_says),
		TEST(memory_and_disk_count_with_ratio_and_reservation),
		TEST(limits_of_servers_and_moves_count_only_when_enabled),
		TEST(the_host_with_most_free_is_chosen_and_its_shares_add_up),
		TEST(a_failed_migration_outweighs_everything_else),
		TEST(one_candidate_alone_is_not_weighed),
		TEST(a_group_draws_together_or_apart),
		TEST(a_subset_is_drawn_by_the_seed_alone),
		TEST(few_choices_are_the_first_of_all),
		TEST(admins_read_each_host_and_others_only_numbers),
		TEST(a_long_list_of_hosts_is_counted_in_the_end),
		TEST(a_choice_is_told_with_its_weights),
		TEST(an_empty_fleet_and_an_unknown_host_are_told),
		TEST(a_forced_host_is_checked_for_what_would_lose_the_guest),
		TEST(the_table_refuses_a_name_twice_and_keeps_its_order),
		TEST(equal_collections_are_kept_once_and_reused_when_free),
		TEST(filters_and_weighers_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
