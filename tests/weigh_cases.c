/* Holds our weighers against choices weighed by Nova's own: `weigh_cases FILE` (or - for the standard input) reads one case
 * a line, prints each difference, and last `N cases, M differ`. Ends with 0 only when none differs.
 *
 * Weights are equal within 1e-9 of their size; hosts with different weights stand in the same order. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "server/scheduler/scheduler.h"
#include "tests/case_lines.h"

#define CLEANUP_JSON  __attribute__((cleanup(cleanup_json)))
#define CLEANUP_TABLE __attribute__((cleanup(cleanup_table)))

#define TOLERANCE     1e-9

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

static void cleanup_table(struct host_table **table)
{
	host_table_destroy(*table);
}

static int64_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* The case's host; ids count from 1 in the order of the case, which decides among equals. Free figures are given as
 * totals of which nothing is used. */
static int put_host(struct host_table *table, const json_t *given, int64_t id, struct error *error)
{
	const struct host_state state = {
		.id = id,
		.name = json_string_value(json_object_get(given, "host")),
		.is_up = true,
		.has_migration_address = true,
		.hypervisor_version = number_of(given, "hypervisor_version"),
		.vcpus_total = number_of(given, "vcpus_total"),
		.vcpus_used = number_of(given, "vcpus_used"),
		.memory_mb_total = number_of(given, "free_ram_mb"),
		.disk_mb_total = number_of(given, "free_disk_mb"),
		.cpu_allocation_ratio = json_number_value(json_object_get(given, "cpu_allocation_ratio")),
		.num_io_ops = number_of(given, "num_io_ops"),
		.num_instances = number_of(given, "num_instances"),
		.failed_migrations = number_of(given, "failed_builds"),
	};

	return host_table_put(table, &state, NULL, error);
}

static int read_settings(const json_t *test, struct scheduler_settings *settings, struct error *error)
{
	json_t *multipliers = json_object_get(test, "multipliers");
	const json_t *weigher;
	const char *name;
	json_t *value;
	size_t index;
	enum scheduler_weigher number;

	*settings = scheduler_settings_default;
	settings->enabled_weighers = 0;
	json_array_foreach(json_object_get(test, "weighers"), index, weigher)
	{
		if (!scheduler_weigher_by_name(json_string_value(weigher), &number))
			return error_set(error, EINVAL, "no weigher is named %s", json_string_value(weigher));
		settings->enabled_weighers |= 1U << number;
	}
	json_object_foreach(multipliers, name, value)
	{
		if (!scheduler_weigher_by_name(name, &number))
			return error_set(error, EINVAL, "no weigher is named %s", name);
		settings->multipliers[number] = json_number_value(value);
	}
	return 0;
}

static enum schedule_group group_of(const json_t *test)
{
	const char *policy = json_string_value(json_object_get(test, "group_policy"));

	if (!policy)
		return SCHEDULE_GROUP_NONE;
	return strcmp(policy, "soft-affinity") == 0 ? SCHEDULE_GROUP_SOFT_AFFINITY : SCHEDULE_GROUP_SOFT_ANTI_AFFINITY;
}

static int choose(const json_t *test, struct host_table *table, struct schedule_result *ret_result, struct error *error)
{
	const json_t *hosts = json_object_get(test, "hosts");
	size_t count = json_array_size(hosts);
	CLEANUP_FREE struct schedule_group_place *places = calloc(count + 1, sizeof(*places));
	struct schedule_request request = SCHEDULE_REQUEST_DEFAULT;
	struct scheduler_settings settings;
	int result = read_settings(test, &settings, error);

	if (!places || !table)
		return error_no_memory(error);
	for (size_t i = 0; result == 0 && i < count; i++) {
		const json_t *host = json_array_get(hosts, i);

		result = put_host(table, host, (int64_t)i + 1, error);
		places[i].host_id = (int64_t)i + 1;
		places[i].members = number_of(host, "members_on_host");
	}
	if (result < 0)
		return result;
	request.choices_max = 0;
	request.group = group_of(test);
	request.group_places = places;
	request.group_place_count = count;
	return scheduler_select(table, &settings, &request, ret_result, error);
}

static bool is_close(double a, double b)
{
	return fabs(a - b) <= TOLERANCE * fmax(1.0, fmax(fabs(a), fabs(b)));
}

static int differ(const json_t *test, const char *what, const char *host, double expected, double found)
{
	printf("%s: %s of %s: expected %.17g, found %.17g\n", json_string_value(json_object_get(test, "name")), what,
	       host, expected, found);
	return 1;
}

/* Each host has the expected weight; and by rank the weights are the expected ones, so that only equals may be swapped. */
static int compare(const json_t *test, const struct host_table *table, const struct schedule_result *result)
{
	const json_t *expected = json_object_get(test, "expected");
	const json_t *entry;
	size_t rank;

	if (json_array_size(expected) != result->choice_count)
		return differ(test, "number", "hosts", (double)json_array_size(expected), (double)result->choice_count);
	json_array_foreach(expected, rank, entry)
	{
		const char *name = json_string_value(json_object_get(entry, "host"));
		double weight = json_number_value(json_object_get(entry, "weight"));
		const struct host_state *host = host_table_by_name(table, name);
		const struct schedule_choice *choice = NULL;

		for (size_t i = 0; host && i < result->choice_count; i++)
			if (result->choices[i].host_id == host->id)
				choice = &result->choices[i];
		if (!choice || !is_close(choice->weight, weight))
			return differ(test, "weight", name, weight, choice ? choice->weight : NAN);
		if (!is_close(result->choices[rank].weight, weight))
			return differ(test, "weight at the rank", name, weight, result->choices[rank].weight);
	}
	return 0;
}

/* 1 when the case differs, also when it cannot be read. */
static int run_line(const char *line, size_t number)
{
	struct error error = { 0 };
	json_error_t json_error;
	CLEANUP_JSON json_t *test = json_loads(line, 0, &json_error);
	CLEANUP_TABLE struct host_table *table = host_table_create();
	CLEANUP_SCHEDULE struct schedule_result result = { 0 };

	if (!test || !json_is_array(json_object_get(test, "hosts"))
	    || !json_is_array(json_object_get(test, "expected"))) {
		printf("line %zu: no case: %s\n", number, test ? "hosts or expected is missing" : json_error.text);
		return 1;
	}
	if (choose(test, table, &result, &error) < 0) {
		printf("line %zu: %s\n", number, error.text);
		return 1;
	}
	return compare(test, table, &result);
}

int main(int argument_count, char **arguments)
{
	return case_lines_run(argument_count, arguments, run_line);
}
