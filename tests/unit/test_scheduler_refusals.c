/* Refusals in words, cause by cause: what admins read of one host, and what others read without names and sizes. */
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

#define HEAD "No valid host was found. There are not enough hosts available."

/* Host 2 as a test made it, alone beside the source. */
struct scene {
	struct fleet *fleet;
	struct host_state host;
	struct host_offers offers;
};

static const char *const wanted[] = { "thing" };

static void lack(struct scene *scene, enum host_set set)
{
	scene->offers.sets[set] = (struct name_list){ .is_known = true };
	scene->fleet->request.needs[set] = fleet_one_name(wanted);
}

static void is_tried(struct scene *scene)
{
	static const struct schedule_left_out left_out[] = { { 77, "not there" }, { 2, "libvirt says no" } };

	scene->fleet->request.left_out = left_out;
	scene->fleet->request.left_out_count = ARRAY_LENGTH(left_out);
}

static void is_down(struct scene *scene)
{
	scene->host.is_up = false;
	scene->host.disabled_reason = "maintenance"; /* of another cause: it is not told */
	scene->host.no_address_reason = "no route";
}

static void is_forced_down(struct scene *scene)
{
	scene->host.is_forced_down = true;
}

static void is_disabled(struct scene *scene)
{
	scene->host.is_disabled = true;
	scene->host.disabled_reason = "maintenance";
	scene->host.no_address_reason = "no route";
}

static void lacks_type(struct scene *scene)
{
	lack(scene, HOST_SET_GUEST_TYPES);
}

static void lacks_machine(struct scene *scene)
{
	lack(scene, HOST_SET_MACHINES);
}

static void lacks_hypervisor(struct scene *scene)
{
	lack(scene, HOST_SET_HYPERVISORS);
}

static void lacks_cpu(struct scene *scene)
{
	lack(scene, HOST_SET_HOST_CPU);
}

static void lacks_network(struct scene *scene)
{
	lack(scene, HOST_SET_NETWORKS);
}

static void lacks_storage(struct scene *scene)
{
	lack(scene, HOST_SET_POOLS);
}

static void is_older(struct scene *scene)
{
	scene->host.hypervisor_version = 6010002;
}

static void has_no_address(struct scene *scene)
{
	scene->host.has_migration_address = false;
	scene->host.no_address_reason = "no route";
	scene->host.disabled_reason = "maintenance";
}

static void lacks_pinned_cpu(struct scene *scene)
{
	scene->fleet->request.highest_pinned_cpu = 9;
}

static void is_small(struct scene *scene)
{
	scene->fleet->request.vcpus = 5;
}

static void has_few_vcpus(struct scene *scene)
{
	scene->host.vcpus_used = 16;
}

static void has_little_memory(struct scene *scene)
{
	scene->host.memory_mb_used = 7681;
}

static void has_little_disk(struct scene *scene)
{
	scene->host.disk_mb_used = 102000;
}

static void has_many_servers(struct scene *scene)
{
	scene->fleet->settings.enabled_filters |= 1U << SCHEDULER_FILTER_NUM_INSTANCES;
	scene->host.num_instances = 50;
}

static void has_many_moves(struct scene *scene)
{
	scene->fleet->settings.enabled_filters |= 1U << SCHEDULER_FILTER_IO_OPS;
	scene->host.num_io_ops = 9;
}

static const struct {
	void (*arrange)(struct scene *scene);
	const char *filter;
	const char *for_admins;
	const char *for_others;
} rows[] = {
	{ is_tried, "RetryFilter", "libvirt says no", "tried already" },
	{ is_down, "ComputeFilter", "down", "down" },
	{ is_forced_down, "ComputeFilter", "forced down", "down" },
	{ is_disabled, "ComputeFilter", "disabled (maintenance)", "disabled" },
	{ lacks_type, "ImagePropertiesFilter", "guest type thing is not there",
	  "another architecture or virtualisation" },
	{ lacks_machine, "ImagePropertiesFilter", "machine type thing is not there", "machine type not offered" },
	{ lacks_hypervisor, "HypervisorVersionFilter", "hypervisor thing is not there", "another hypervisor" },
	{ is_older, "HypervisorVersionFilter", "version 6.10.2 is older than the source's 7.2.0", "older hypervisor" },
	{ lacks_cpu, "CpuCompatibilityFilter", "host CPU thing is not there", "another CPU" },
	{ lacks_network, "NetworkFilter", "network thing is not there", "network missing" },
	{ lacks_storage, "StorageFilter", "shared storage thing is not there", "storage out of reach" },
	{ has_no_address, "MigrationAddressFilter", "no address for migrations (no route)",
	  "no address for migrations" },
	{ lacks_pinned_cpu, "CpuPinningFilter", "CPU number 9 is pinned to, the host has 4 CPUs",
	  "pinned CPUs missing" },
	{ is_small, "CoreFilter", "5 vCPUs are needed, the host has 4", "not enough vCPUs" },
	{ has_few_vcpus, "CoreFilter", "1 vCPUs are needed, 0 of 16 are free", "not enough vCPUs" },
	{ has_little_memory, "RamFilter", "512 MiB of memory are needed, 0 of 7680 are free (7681 are used)",
	  "not enough memory" },
	{ has_little_disk, "DiskFilter", "1024 MiB of disk are needed, 400 of 102400 are free", "not enough disk" },
	{ has_many_servers, "NumInstancesFilter", "50 servers, the limit is 50", "too many servers" },
	{ has_many_moves, "IoOpsFilter", "9 moves under way, the limit is 8", "too many moves under way" },
};

static void expect_refusal_text(struct fleet *fleet, enum schedule_audience audience, const char *expected)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NOT_ENOUGH_HOSTS, audience,
				 &text);
	assert_string_equal(text.data, expected);
}

static void each_cause_reads_with_figures_for_admins_and_without_for_others(void **state)
{
	struct fleet *fleet = *state;
	const struct scheduler_settings settings = fleet->settings;
	const struct schedule_request request = fleet->request;

	host_table_remove(fleet->table, 3);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct scene scene = { .fleet = fleet, .host = fleet_host(2, "compute-2") };
		char text[512];

		fleet->settings = settings;
		fleet->request = request;
		rows[i].arrange(&scene);
		fleet_put(fleet, &scene.host, &scene.offers);
		fleet_choose(fleet);
		assert_int_equal(fleet->result.candidate_count, 0);
		snprintf(text, sizeof(text),
			 HEAD " compute-1: DifferentHostFilter: where the server is now; compute-2: %s: %s",
			 rows[i].filter, rows[i].for_admins);
		expect_refusal_text(fleet, SCHEDULE_FOR_ADMINS, text);

		/* The filters by their names, whichever order the hosts have. */
		bool is_first = strcmp(rows[i].filter, "DifferentHostFilter") < 0;
		snprintf(text, sizeof(text),
			 is_first ? HEAD " %s: %s; DifferentHostFilter: where the server is now"
				  : HEAD " DifferentHostFilter: where the server is now; %s: %s",
			 rows[i].filter, rows[i].for_others);
		expect_refusal_text(fleet, SCHEDULE_FOR_OTHERS, text);
	}
}

static void a_host_below_its_limits_is_not_refused(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(2, "compute-2");

	fleet->settings.enabled_filters |= 1U << SCHEDULER_FILTER_NUM_INSTANCES | 1U << SCHEDULER_FILTER_IO_OPS;
	host.num_instances = 49;
	host.num_io_ops = 7;
	fleet_put(fleet, &host, NULL);
	fleet->request.requested_host_id = 2;
	fleet_expect_choice(fleet, 2);
}

/* All that fit may have refused in their checks. */
static void a_host_that_fits_is_not_among_the_refusals(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(2, "compute-2");

	host.is_up = false;
	fleet_put(fleet, &host, NULL);
	host = fleet_host(4, "compute-4");
	host.is_up = false;
	fleet_put(fleet, &host, NULL);
	fleet_choose(fleet); /* 3 fits */
	expect_refusal_text(fleet, SCHEDULE_FOR_ADMINS,
			    HEAD
			    " compute-1: DifferentHostFilter: where the server is now; compute-2: ComputeFilter: down; "
			    "compute-4: ComputeFilter: down");
	expect_refusal_text(fleet, SCHEDULE_FOR_OTHERS,
			    HEAD " ComputeFilter: down; DifferentHostFilter: where the server is now");
	host_table_remove(fleet->table, 4); /* since the choice */
	expect_refusal_text(fleet, SCHEDULE_FOR_ADMINS,
			    HEAD
			    " compute-1: DifferentHostFilter: where the server is now; compute-2: ComputeFilter: down; "
			    "a removed host: ComputeFilter: down");
}

/* 100 are named; of the others the most frequent refusal comes first, and equals by their words. */
static void hosts_beyond_those_that_are_named_are_counted_by_refusal(void **state)
{
	struct fleet *fleet = *state;
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	char name[32];

	for (int64_t id = 4; id <= 110; id++) {
		struct host_state host;

		snprintf(name, sizeof(name), "compute-%lld", (long long)id);
		host = fleet_host(id, name);
		host.is_up = id == 4; /* which fits, and is not counted */
		if (id == 102)
			host.is_up = host.is_disabled = true;
		if (id > 106) {
			host.is_up = true;
			host.disk_mb_used = 102400;
		}
		fleet_put(fleet, &host, NULL);
	}
	fleet_choose(fleet);
	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NOT_ENOUGH_HOSTS,
				 SCHEDULE_FOR_ADMINS, &text);
	assert_non_null(strstr(text.data, "; compute-103: ComputeFilter: down; "));
	assert_null(strstr(text.data, "compute-104"));
	assert_true(text_ends_with(text.data, "; 4 more hosts: not enough disk; 3 more hosts: down"));
}

static void one_host_more_is_no_plural(void **state)
{
	struct fleet *fleet = *state;
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	char name[32];

	for (int64_t id = 2; id <= 102; id++) {
		struct host_state host;

		snprintf(name, sizeof(name), "compute-%lld", (long long)id);
		host = fleet_host(id, name);
		host.is_up = id != 101;
		host.is_disabled = true;
		fleet_put(fleet, &host, NULL);
	}
	fleet_choose(fleet);
	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NOT_ENOUGH_HOSTS,
				 SCHEDULE_FOR_ADMINS, &text);
	assert_true(text_ends_with(text.data,
				   "compute-100: ComputeFilter: disabled; 1 more host: disabled; 1 more host: down"));
}

static void expect_choice_text(struct fleet *fleet, const char *expected)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	fleet_choose(fleet);
	schedule_explain_choice(fleet->table, &fleet->result, 0, &text);
	assert_string_equal(text.data, expected);
}

static void a_choice_says_whether_there_was_another(void **state)
{
	struct fleet *fleet = *state;
	struct host_usage usage = { .memory_mb = 3840 };

	fleet->settings.enabled_weighers = 0;
	expect_choice_text(fleet, "compute-2, weight 0 (all equal), one of 2 that fit");
	fleet->settings = scheduler_settings_default;
	usage.num_io_ops = 4;
	host_table_set_usage(fleet->table, 3, &usage);
	fleet->settings.multipliers[SCHEDULER_WEIGHER_CPU] = fleet->settings.multipliers[SCHEDULER_WEIGHER_DISK] = 0;
	expect_choice_text(fleet, "compute-2, weight 1 (ram 1), one of 2 that fit");
	fleet->settings.multipliers[SCHEDULER_WEIGHER_RAM] = -4; /* a share below nothing is reported, too */
	expect_choice_text(fleet, "compute-3, weight -3 (ram -2, io_ops -1), one of 2 that fit");
	host_table_remove(fleet->table, 2);
	expect_choice_text(fleet, "compute-3, the only host that fits");
	fleet->request.requested_host_id = 3;
	expect_choice_text(fleet, "compute-3, the requested host");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fleet_setup, fleet_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_cause_reads_with_figures_for_admins_and_without_for_others),
		TEST(a_host_below_its_limits_is_not_refused),
		TEST(a_host_that_fits_is_not_among_the_refusals),
		TEST(hosts_beyond_those_that_are_named_are_counted_by_refusal),
		TEST(one_host_more_is_no_plural),
		TEST(a_choice_says_whether_there_was_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
