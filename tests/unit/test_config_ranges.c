/* The range and the default of every number that can be set: what is below it and beyond it is refused, its edges are taken. The
 * rows say it a second time, so that none changes unseen; a new key needs a row here. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/config_table.h"
#include "tests/unit/config_fixture.h"

#define BIG 1e15
#define DAY 86400

static const struct row {
	const char *key; /* of lists the first member: "hosts[0].…" */
	double low;
	double high;
	const char *by_default; /* NULL: nothing */
} rows[] = {
	{ "listener.port", 0, 65535, "8774" },
	{ "listener.threads", 1, 256, "4" },
	{ "listener.max_connections", 1, 1000000, "4096" },
	{ "listener.max_connections_per_address", 0, 1000000, "0" },
	{ "listener.max_header_bytes", 1024, 1048576, "32768" },
	{ "listener.max_body_bytes", 1, 67108864, "114688" },
	{ "listener.idle_timeout", 1, DAY, "60" },
	{ "listener.drain_timeout", 0, 3600, "30" },
	{ "listener.wait_timeout", 1, 3600, "60" },
	{ "metrics.port", 0, 65535, "9774" },
	{ "metrics.max_hosts", 0, 100000, "500" },
	{ "api.max_limit", 1, 100000, "1000" },
	{ "auth.leeway", 0, 600, "30" },
	{ "auth.remembered_tokens", 1, 1000000, "4096" },
	{ "identity.keystone.timeout", 1, 300, "5" },
	{ "identity.keystone.cache_time", 1, DAY, "300" },
	{ "identity.keystone.remembered_tokens", 1, 1000000, "4096" },
	{ "identity.jwks[0].refresh_interval", 1, DAY, "300" },
	{ "identity.jwks[0].timeout", 1, 300, "5" },
	{ "cpu_allocation_ratio", 0.01, 1e6, "4.0" },
	{ "ram_allocation_ratio", 0.01, 1e6, "1.0" },
	{ "disk_allocation_ratio", 0.01, 1e6, "1.0" },
	{ "reserved_host_memory_mb", 0, BIG, "512" },
	{ "reserved_host_disk_mb", 0, BIG, "0" },
	{ "max_concurrent_live_migrations", 0, 100000, "1" },
	{ "max_concurrent_cold_migrations", 0, 100000, "0" },
	{ "max_concurrent_incoming_migrations", 0, 100000, "0" },
	{ "shutdown_timeout", 0, DAY, "60" },
	{ "libvirt.live_migration_downtime", 100, 3600000, "500" },
	{ "libvirt.live_migration_downtime_steps", 3, 1000, "10" },
	{ "libvirt.live_migration_downtime_delay", 3, DAY, "75" },
	{ "libvirt.live_migration_completion_timeout", 0, 31536000, "800" },
	{ "libvirt.live_migration_bandwidth", 0, 8796093022207, "0" }, /* the largest whose bytes fit into 63 bits */
	{ "libvirt.live_migration_parallel_connections", 1, 255, "1" },
	{ "filter_scheduler.ram_weight_multiplier", -BIG, BIG, "1.0" },
	{ "filter_scheduler.cpu_weight_multiplier", -BIG, BIG, "1.0" },
	{ "filter_scheduler.disk_weight_multiplier", -BIG, BIG, "1.0" },
	{ "filter_scheduler.io_ops_weight_multiplier", -BIG, BIG, "-1.0" },
	{ "filter_scheduler.hypervisor_version_weight_multiplier", -BIG, BIG, "1.0" },
	{ "filter_scheduler.num_instances_weight_multiplier", -BIG, BIG, "0.0" },
	{ "filter_scheduler.soft_affinity_weight_multiplier", -BIG, BIG, "1.0" },
	{ "filter_scheduler.soft_anti_affinity_weight_multiplier", -BIG, BIG, "1.0" },
	{ "filter_scheduler.build_failure_weight_multiplier", -BIG, BIG, "1000000.0" },
	{ "filter_scheduler.host_subset_size", 1, 1000000, "1" },
	{ "filter_scheduler.max_instances_per_host", 1, 1000000, "50" },
	{ "filter_scheduler.max_io_ops_per_host", 1, 1000000, "8" },
	{ "scheduler.max_attempts", 1, 1000, "3" },
	{ "worker.threads", 1, 1024, "16" },
	{ "worker.lease", 5, 3600, "30" },
	{ "worker.progress_interval", 1, 3600, "5" },
	{ "worker.poll_interval", 50, 60000, "500" },
	{ "worker.stall_timeout", 0, DAY, "60" },
	{ "worker.retry_interval", 1, 3600, "5" },
	{ "hypervisor.connect_timeout", 1, 600, "10" },
	{ "hypervisor.call_timeout", 1, 3600, "30" },
	{ "hypervisor.keepalive_interval", 0, 3600, "5" },
	{ "hypervisor.keepalive_count", 1, 1000, "3" },
	{ "hypervisor.reconnect_interval", 1, 3600, "5" },
	{ "hypervisor.reconcile_interval", 1, DAY, "60" },
	{ "retention.migrations_days", 0, 36500, "0" },
	{ "retention.instance_actions_days", 0, 36500, "0" },
	{ "simulation.hosts[0].count", 1, 100000, "1" },
	{ "simulation.hosts[0].vcpus", 1, 1e6, "64" },
	{ "simulation.hosts[0].memory_mb", 1, 1e9, "262144" },
	{ "simulation.hosts[0].disk_gb", 0, 1e9, "10000" },
	{ "simulation.servers[0].count", 1, 1000000, "1" },
	{ "simulation.servers[0].vcpus", 1, 1e6, "1" },
	{ "simulation.servers[0].memory_mb", 1, 1e9, "512" },
	{ "simulation.servers[0].disk_gb", 0, 1e9, "1" },
	{ "simulation.servers[0].moves[0].takes", 0, DAY, "0" },
	{ "simulation.moves[0].takes", 0, DAY, "0" },
	{ "simulation.target_lost_for", 0, DAY, "2" },
	{ "hosts[0].cpu_allocation_ratio", 0, 1e6, "0" },
	{ "hosts[0].ram_allocation_ratio", 0, 1e6, "0" },
	{ "hosts[0].disk_allocation_ratio", 0, 1e6, "0" },
	{ "hosts[0].reserved_host_memory_mb", -1, BIG, "-1" },
	{ "hosts[0].reserved_host_disk_mb", -1, BIG, "-1" },
};

static bool is_number(const struct config_key *key)
{
	return key->type == CONFIG_INTEGER || key->type == CONFIG_SIZE || key->type == CONFIG_DECIMAL;
}

/* The key of that name in a section, and what of the name stands behind it. */
static const struct config_key *find_in(const struct config_section *section, const char *name, const char **ret_rest)
{
	size_t length = strcspn(name, ".[");

	for (size_t i = 0; i < section->count; i++)
		if (strncmp(section->keys[i].name, name, length) == 0 && section->keys[i].name[length] == '\0') {
			*ret_rest = name + length + (text_starts_with(name + length, "[0].") ? 4 : name[length] == '.');
			return &section->keys[i];
		}
	return NULL;
}

static const struct config_key *find_key(const char *name)
{
	const struct config_section *section = &config_root;
	const struct config_key *key = NULL;

	while (*name && section) {
		key = find_in(section, name, &name);
		section = key ? key->section : NULL;
	}
	if (!key || *name)
		fail_msg("there is no such key");
	return key;
}

static size_t count_numbers(const struct config_section *section)
{
	size_t count = 0;

	for (size_t i = 0; i < section->count; i++)
		count += section->keys[i].section ? count_numbers(section->keys[i].section)
						  : is_number(&section->keys[i]);
	return count;
}

static bool are_equal(double a, double b)
{
	return !(a < b) && !(a > b);
}

static void every_number_has_its_range_and_its_default(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct config_key *key = find_key(rows[i].key);

		assert_true(is_number(key));
		if (!are_equal(key->low, rows[i].low) || !are_equal(key->high, rows[i].high)
		    || !text_equal(key->by_default, rows[i].by_default))
			fail_msg("%s: %.15g to %.15g, default %s", rows[i].key, key->low, key->high, key->by_default);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(rows[i].key, rows[j].key);
	}
	assert_int_equal(count_numbers(&config_root), ARRAY_LENGTH(rows));
}

/* What has to stand beside a key of a list, or of the simulated fleet. */
static const char *before(const char *section)
{
	static const struct {
		const char *section;
		const char *words;
	} needed[] = {
		{ "hosts[0]", "{name: a, uri: 'test:///default', " },
		{ "jwks[0]", "{url: 'https://a.example/keys', " },
		{ "servers[0]", "{name: s, " },
		{ "moves[0]", "{" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(needed); i++)
		if (text_equal(needed[i].section, section))
			return needed[i].words;
	return "{";
}

/* "a.b[0].c" with a value as one line of flow style. */
static void append_nested(struct text *text, const char *name, const char *value, bool is_simulated)
{
	size_t length = strcspn(name, ".");
	CLEANUP_FREE char *section = text_format("%.*s", (int)length, name);
	bool is_list = text_ends_with(section, "[0]");
	bool is_simulated_host = is_simulated && text_equal(section, "hosts[0]");

	if (name[length] == '\0') {
		text_append_format(text, "%s: %s", name, value);
		return;
	}
	if (text_equal(section, "servers[0]"))
		text_append(text, "hosts: [{name: h}], ");
	text_append_format(text, "%.*s: %s%s", (int)(is_list ? length - 3 : length), name, is_list ? "[" : "",
			   is_simulated_host ? "{name: h, " : before(section));
	append_nested(text, name + length + 1, value, is_simulated);
	text_append(text, is_list ? "}]" : "}");
}

/* A file that is good but for that value. */
static char *file_with(const char *key, const char *value)
{
	bool is_simulated = text_starts_with(key, "simulation.");
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	if (text_starts_with(key, "auth."))
		text_append(&text, "simulation: {tokens: {a: {roles: admin}}, hosts: [{name: h}]}\nhypervisor: "
				   "{driver: simulated}\n");
	else
		text_append(&text, AUTH);
	if (is_simulated)
		text_append(&text, "hypervisor: {driver: simulated}\n");
	append_nested(&text, key, value, is_simulated);
	text_append(&text, "\n");
	return text_take(&text);
}

static char *write_number(double number, bool is_decimal)
{
	return text_format(is_decimal ? "%.17g" : "%.0f", number);
}

/* NULL: it was taken, and the value is what the key has; else what was told. The caller owns it. */
static char *problem_of(const struct place *place, const char *key, const char *value)
{
	CLEANUP_FREE char *content = file_with(key, value);
	CLEANUP_FREE char *path = write_file(place, "c.yaml", content);
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_TEXT struct text printed = TEXT_EMPTY;
	struct gathered gathered = { .place = place };
	struct error error = { 0 };

	if (config_fixture_read(path, gather, &gathered, &config, &error) < 0)
		return text_take(&gathered.text);
	config_print_values(&config, &printed);
	CLEANUP_FREE char *start = text_format("\n%s: ", key);
	const char *line = strstr(printed.data, start);
	if (!line || !are_equal(strtod(line + strlen(start), NULL), strtod(value + (value[0] == '\''), NULL)))
		return text_format("%s: %s is read as%.40s", key, value, line ? line + strlen(start) : " nothing");
	return NULL;
}

static void the_edges_of_a_range_are_taken_and_what_is_beyond_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct row *row = &rows[i];
		bool is_decimal = find_key(row->key)->type == CONFIG_DECIMAL;
		double step = is_decimal && row->high < BIG ? 0.001 : 1;
		const double good[] = { row->low, row->high }, bad[] = { row->low - step, row->high + step };
		CLEANUP_FREE char *wanted =
			is_decimal ? text_format("expected a number from %g to %g", row->low, row->high)
				   : text_format("expected a whole number from %.0f to %.0f", row->low, row->high);

		for (size_t j = 0; j < 2; j++) {
			CLEANUP_FREE char *in = write_number(good[j], is_decimal);
			CLEANUP_FREE char *out = write_number(bad[j], is_decimal);
			CLEANUP_FREE char *taken = problem_of(*state, row->key, in);
			CLEANUP_FREE char *refused = problem_of(*state, row->key, out);

			if (taken)
				fail_msg("%s: %s: %s", row->key, in, taken);
			if (!refused || !strstr(refused, wanted))
				fail_msg("%s: %s: %s", row->key, out, refused ? refused : "is taken");
		}
	}
}

/* Texts that would be numbers elsewhere. */
static void a_number_is_written_in_figures_alone(void **state)
{
	static const char *const whole[] = { "''",
					     "' 5'",
					     "'5 '",
					     "+5",
					     "5.0",
					     "5e0",
					     "0x5",
					     "0o5",
					     "5_0",
					     "five",
					     "true",
					     "[5]",
					     "{5: 5}",
					     "--5",
					     "'5,'",
					     "inf",
					     "9223372036854775808" };
	static const char *const decimal[] = { "''",    "' 5'", "'5 '",  "0x5", "inf",     "-inf",  "nan",
					       "'5,0'", "5_0",  "five",  "[5]", "5e",      "1e400", "1e-400e",
					       ".",     "'-'",  "5.5.5", "+-5", "infinity" };

	for (size_t i = 0; i < ARRAY_LENGTH(whole); i++) {
		CLEANUP_FREE char *refused = problem_of(*state, "worker.lease", whole[i]);

		if (!refused || !strstr(refused, "expected a whole number from 5 to 3600"))
			fail_msg("%s: %s", whole[i], refused ? refused : "is taken");
	}
	for (size_t i = 0; i < ARRAY_LENGTH(decimal); i++) {
		CLEANUP_FREE char *refused = problem_of(*state, "cpu_allocation_ratio", decimal[i]);
		CLEANUP_FREE char *none = problem_of(*state, "hosts[0].cpu_allocation_ratio", decimal[i]);

		if (!refused || !strstr(refused, "expected a number from 0.01 to 1e+06"))
			fail_msg("%s: %s", decimal[i], refused ? refused : "is taken");
		if (!none
		    || !strstr(none, "expected a number from 0 to 1e+06")) /* where nothing could be taken for 0 */
			fail_msg("%s: %s", decimal[i], none ? none : "is taken");
	}
	CLEANUP_FREE char *quoted = problem_of(*state, "worker.lease", "'30'");
	CLEANUP_FREE char *zeros = problem_of(*state, "worker.lease", "0030");
	CLEANUP_FREE char *exponent = problem_of(*state, "cpu_allocation_ratio", "1.6E+1");
	CLEANUP_FREE char *bare = problem_of(*state, "cpu_allocation_ratio", ".5");
	assert_null(quoted);
	assert_null(zeros);
	assert_null(exponent);
	assert_null(bare);
}

/* Those of an OpenStackDeployment are ranges of their own, for all and for the nodes with a label. */
static void the_ratios_of_a_deployment_have_the_same_range(void **state)
{
	static const struct {
		const char *begin;
		const char *end;
	} places[] = {
		{ "features: {nova: {allocation_ratios: {", "}}}}\n" },
		{ "nodes: {'rack::a': {features: {nova: {allocation_ratios: {", "}}}}}}\n" },
	};
	static const char *const ratios[] = { "cpu", "ram", "disk" };
	static const struct {
		const char *value;
		bool is_taken;
	} values[] = { { "0.01", true }, { "0.009", false }, { "0", false },
		       { "-1", false },  { "1e6", true },    { "1000000.1", false } };

	for (size_t place = 0; place < ARRAY_LENGTH(places); place++)
		for (size_t ratio = 0; ratio < ARRAY_LENGTH(ratios); ratio++)
			for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
				CLEANUP_CONFIG struct config config = { 0 };
				CLEANUP_TEXT struct text content = TEXT_EMPTY;
				struct error error = { 0 };

				text_append_format(&content, "%s---\nkind: OpenStackDeployment\nspec: {%s%s: %s%s",
						   AUTH, places[place].begin, ratios[ratio], values[i].value,
						   places[place].end);
				CLEANUP_FREE char *path = write_file(*state, "c.yaml", content.data);
				int result = config_fixture_read(path, NULL, NULL, &config, &error);
				assert_int_equal(result == 0, values[i].is_taken);
				if (result < 0)
					assert_non_null(strstr(error.text, "expected a number from 0.01 to 1e+06"));
			}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, config_fixture_setup, config_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_number_has_its_range_and_its_default),
		TEST(the_edges_of_a_range_are_taken_and_what_is_beyond_is_refused),
		TEST(a_number_is_written_in_figures_alone),
		TEST(the_ratios_of_a_deployment_have_the_same_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
