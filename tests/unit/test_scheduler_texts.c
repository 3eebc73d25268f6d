/* The scheduler's words for both audiences, and the host table that they are made from. */
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

static void admins_read_each_host_and_others_only_the_filters(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(3, "compute-3");
	CLEANUP_TEXT struct text admin = TEXT_EMPTY;
	CLEANUP_TEXT struct text other = TEXT_EMPTY;

	host.is_disabled = true;
	host.disabled_reason = "maintenance";
	fleet_put(fleet, &host, NULL);
	fleet->request.memory_mb = 8000;
	fleet_choose(fleet);
	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NOT_ENOUGH_HOSTS,
				 SCHEDULE_FOR_ADMINS, &admin);
	assert_string_equal(admin.data, "No valid host was found. There are not enough hosts available. "
					"compute-1: DifferentHostFilter: where the server is now; "
					"compute-2: RamFilter: 8000 MiB of memory are needed, 7680 of 7680 are free; "
					"compute-3: ComputeFilter: disabled (maintenance)");
	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NOT_ENOUGH_HOSTS,
				 SCHEDULE_FOR_OTHERS, &other);
	assert_string_equal(other.data, "No valid host was found. There are not enough hosts available. "
					"ComputeFilter: disabled; DifferentHostFilter: where the server is now; "
					"RamFilter: not enough memory");
}

static void others_do_not_learn_how_many_hosts_there_are(void **state)
{
	struct fleet *fleet = *state;
	CLEANUP_TEXT struct text few = TEXT_EMPTY;
	CLEANUP_TEXT struct text many = TEXT_EMPTY;
	char name[32];

	fleet->request.memory_mb = 8000;
	fleet_choose(fleet);
	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NOT_ENOUGH_HOSTS,
				 SCHEDULE_FOR_OTHERS, &few);
	for (int64_t id = 4; id <= 120; id++) {
		struct host_state host;

		snprintf(name, sizeof(name), "compute-%lld", (long long)id);
		host = fleet_host(id, name);
		fleet_put(fleet, &host, NULL);
	}
	fleet_choose(fleet);
	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NOT_ENOUGH_HOSTS,
				 SCHEDULE_FOR_OTHERS, &many);
	assert_string_equal(many.data, few.data);
}

static void a_long_list_of_hosts_is_counted_in_the_end(void **state)
{
	struct fleet *fleet = *state;
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	char name[32];

	for (int64_t id = 4; id <= 120; id++) {
		struct host_state host;

		snprintf(name, sizeof(name), "compute-%lld", (long long)id);
		host = fleet_host(id, name);
		fleet_put(fleet, &host, NULL);
	}
	fleet->request.memory_mb = 8000;
	fleet_choose(fleet);
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
	fleet_choose(fleet);
	schedule_explain_choice(fleet->table, &fleet->result, 1, &text);
	assert_string_equal(text.data, "compute-2, weight 2.5 (ram 0.5, cpu 1, disk 1), one of 2 that fit");
}

static void an_empty_fleet_and_an_unknown_host_are_told(void **state)
{
	struct fleet *fleet = *state;
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	fleet->request.requested_host_id = 9;
	fleet_choose(fleet);
	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NOT_ENOUGH_HOSTS,
				 SCHEDULE_FOR_ADMINS, &text);
	assert_true(text_ends_with(text.data, "available. The requested host is not registered."));
	for (int64_t id = 1; id <= 3; id++)
		host_table_remove(fleet->table, id);
	fleet->request.requested_host_id = 0;
	fleet_choose(fleet);
	assert_int_equal(fleet->result.choice_count, 0);
	text_clear(&text);
	schedule_explain_refusal(fleet->table, &fleet->request, &fleet->result, SCHEDULE_NOT_ENOUGH_HOSTS,
				 SCHEDULE_FOR_OTHERS, &text);
	assert_true(text_ends_with(text.data, "available. No host is registered."));
}

static void the_table_refuses_a_name_twice_and_keeps_its_order(void **state)
{
	struct fleet *fleet = *state;
	struct error error = { 0 };
	struct host_state host = fleet_host(9, "compute-2");
	const struct host_state *states;
	size_t count;

	assert_int_equal(host_table_put(fleet->table, &host, NULL, &error), -EEXIST);
	host.name = "";
	assert_int_equal(host_table_put(fleet->table, &host, NULL, &error), -EINVAL);
	host_table_remove(fleet->table, 2);
	host.name = "compute-2";
	fleet_put(fleet, &host, NULL);
	host = fleet_host(7, "compute-7");
	fleet_put(fleet, &host, NULL);
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
	struct host_offers facts = { 0 };
	struct host_state host = fleet_host(2, "compute-2");
	char name[16];

	facts.sets[HOST_SET_NETWORKS] = (struct name_list){ forward, 3, .is_known = true };
	fleet_put(fleet, &host, &facts);
	host = fleet_host(3, "compute-3");
	facts.sets[HOST_SET_NETWORKS] = (struct name_list){ backward, 2, .is_known = true };
	fleet_put(fleet, &host, &facts);
	assert_int_equal(host_table_set_count(fleet->table, HOST_SET_NETWORKS), 2);
	for (int i = 0; i < 100; i++) {
		const char *const names[] = { name };

		snprintf(name, sizeof(name), "net-%d", i);
		facts.sets[HOST_SET_NETWORKS] = fleet_one_name(names);
		fleet_put(fleet, &host, &facts);
	}
	assert_true(host_table_set_count(fleet->table, HOST_SET_NETWORKS) <= 4);
}

static void put_names(struct fleet *fleet, int64_t id, enum host_set set, const char *const *names, size_t count)
{
	char name[32];
	struct host_offers facts = { 0 };
	struct host_state host;

	snprintf(name, sizeof(name), "compute-%lld", (long long)id);
	host = fleet_host(id, name);
	facts.sets[set] = (struct name_list){ names, count, .is_known = true };
	fleet_put(fleet, &host, &facts);
}

static const struct name_list *names_of(const struct fleet *fleet, int64_t id, enum host_set set)
{
	return host_table_set(fleet->table, set, host_table_by_id(fleet->table, id)->sets[set]);
}

static void put_networks(struct fleet *fleet, int64_t id, const char *const *names, size_t count)
{
	put_names(fleet, id, HOST_SET_NETWORKS, names, count);
}

static const struct name_list *networks_of(const struct fleet *fleet, int64_t id)
{
	return names_of(fleet, id, HOST_SET_NETWORKS);
}

static void check_numbers_come_back(struct fleet *fleet, enum host_set set)
{
	char name[16];

	for (int i = 0; i < 40; i++) {
		const char *const names[] = { name, "br-int" };

		snprintf(name, sizeof(name), "net-%d", i);
		put_names(fleet, 2, set, names, i == 20 ? 0 : 2);
		assert_true(host_table_set_count(fleet->table, set) <= 3);
		assert_int_equal(names_of(fleet, 2, set)->count, i == 20 ? 0 : 2);
		assert_true(names_of(fleet, 2, set)->is_known);
		assert_false(names_of(fleet, 3, set)->is_known);
	}
	for (int i = 0; i < 10; i++) { /* also when its last host goes, and not before */
		const char *const names[] = { name };

		snprintf(name, sizeof(name), "net-%d", i);
		put_names(fleet, 2, set, names, 1);
		put_names(fleet, 4, set, names, 1);
		host_table_remove(fleet->table, 4);
		assert_int_equal(names_of(fleet, 2, set)->count, 1);
		assert_string_equal(names_of(fleet, 2, set)->names[0], name);
		host_table_remove(fleet->table, 2);
		assert_true(host_table_set_count(fleet->table, set) <= 3);
	}
}

/* Beside the one that stands for what is not known, there are never more than are offered and one that is being put. */
static void a_collection_that_no_host_has_any_more_gives_its_number_back(void **state)
{
	for (int set = 0; set < HOST_SET_COUNT; set++)
		check_numbers_come_back(*state, (enum host_set)set);
}

/* More than there is room for at first. */
static void equal_collections_are_found_among_many(void **state)
{
	struct fleet *fleet = *state;
	char name[16];
	const char *const names[] = { name };

	for (int round = 0; round < 2; round++)
		for (int64_t id = 1; id <= 40; id++) {
			snprintf(name, sizeof(name), "net-%lld", (long long)id);
			put_networks(fleet, id, names, 1);
			put_networks(fleet, id + 100, names, 1);
			assert_int_equal(host_table_set_count(fleet->table, HOST_SET_NETWORKS),
					 round == 0 ? id + 1 : 41);
			assert_ptr_equal(networks_of(fleet, id), networks_of(fleet, id + 100));
			assert_string_equal(networks_of(fleet, id)->names[0], name);
		}
}

static void a_host_keeps_what_it_offers_when_only_its_state_is_put(void **state)
{
	static const char *const names[] = { "net-b", "net-a", "net-b" };
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(2, "renamed");

	put_networks(fleet, 2, names, 3);
	host.no_address_reason = "no route";
	host.disabled_reason = "maintenance";
	for (int i = 0; i < 3; i++)
		fleet_put(fleet, &host, NULL);
	assert_string_equal(host_table_by_id(fleet->table, 2)->name, "renamed");
	assert_string_equal(host_table_by_id(fleet->table, 2)->no_address_reason, "no route");
	assert_string_equal(host_table_by_id(fleet->table, 2)->disabled_reason, "maintenance");
	assert_null(host_table_by_name(fleet->table, "compute-2"));
	assert_int_equal(networks_of(fleet, 2)->count, 2); /* each once, in order */
	assert_string_equal(networks_of(fleet, 2)->names[0], "net-a");
	assert_string_equal(networks_of(fleet, 2)->names[1], "net-b");
	host.disabled_reason = host.no_address_reason = NULL;
	fleet_put(fleet, &host, NULL);
	assert_null(host_table_by_id(fleet->table, 2)->no_address_reason);
	assert_null(host_table_by_id(fleet->table, 2)->disabled_reason);
	host_table_remove(fleet->table, 2);
	host_table_remove(fleet->table, 2); /* gone already is fine */
	put_networks(fleet, 4, names, 3);
	assert_null(host_table_by_id(fleet->table, 2));
}

static void usage_replaces_every_figure_of_a_host(void **state)
{
	struct fleet *fleet = *state;
	const struct host_usage usage = {
		.vcpus = 1, .memory_mb = 2, .disk_mb = 3, .num_io_ops = 4, .num_instances = 5
	};
	const struct host_state *host;

	assert_true(host_table_set_usage(fleet->table, 2, &usage));
	host = host_table_by_id(fleet->table, 2);
	assert_int_equal(host->vcpus_used, 1);
	assert_int_equal(host->memory_mb_used, 2);
	assert_int_equal(host->disk_mb_used, 3);
	assert_int_equal(host->num_io_ops, 4);
	assert_int_equal(host->num_instances, 5);
	assert_false(host_table_set_usage(fleet->table, 4, &usage));
}

static void a_host_without_an_id_or_a_name_is_refused(void **state)
{
	struct fleet *fleet = *state;
	struct host_state host = fleet_host(0, "compute-9");
	struct error error = { 0 };
	size_t count;

	assert_int_equal(host_table_put(fleet->table, &host, NULL, &error), -EINVAL);
	assert_string_equal(error.text, "a host without an id or a name cannot be scheduled");
	host.id = -1;
	assert_int_equal(host_table_put(fleet->table, &host, NULL, NULL), -EINVAL);
	host.id = 9;
	host.name = NULL;
	assert_int_equal(host_table_put(fleet->table, &host, NULL, NULL), -EINVAL);
	host.name = "compute-3";
	assert_int_equal(host_table_put(fleet->table, &host, NULL, &error), -EEXIST);
	assert_string_equal(error.text, "host compute-3 is there already, with the id 3");
	host.id = 2; /* nor does one take another's name */
	assert_int_equal(host_table_put(fleet->table, &host, NULL, NULL), -EEXIST);
	host_table_states(fleet->table, &count);
	assert_int_equal(count, 3);
	assert_string_equal(host_table_by_id(fleet->table, 2)->name, "compute-2");
	host.id = 1;
	host.name = "compute-1";
	fleet_put(fleet, &host, NULL); /* the least id there can be */
	host_table_destroy(NULL);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, fleet_setup, fleet_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(admins_read_each_host_and_others_only_the_filters),
		TEST(others_do_not_learn_how_many_hosts_there_are),
		TEST(a_long_list_of_hosts_is_counted_in_the_end),
		TEST(a_choice_is_told_with_its_weights),
		TEST(an_empty_fleet_and_an_unknown_host_are_told),
		TEST(the_table_refuses_a_name_twice_and_keeps_its_order),
		TEST(equal_collections_are_kept_once_and_reused_when_free),
		TEST(a_collection_that_no_host_has_any_more_gives_its_number_back),
		TEST(equal_collections_are_found_among_many),
		TEST(a_host_keeps_what_it_offers_when_only_its_state_is_put),
		TEST(usage_replaces_every_figure_of_a_host),
		TEST(a_host_without_an_id_or_a_name_is_refused),
		TEST(filters_and_weighers_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
