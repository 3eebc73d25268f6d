/* The configuration: what a file sets, what holds without it, and that each fault is told with file and line. */
#include <errno.h>
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
#include "server/config.h"
#include "server/config_table.h"
#include "server/yaml_tree.h"
#include "tests/unit/config_fixture.h"

static void a_small_file_leaves_the_defaults(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };

	read_good(*state, AUTH, &config);
	assert_string_equal(config.listener.address, "127.0.0.1");
	assert_int_equal(config.listener.port, 8774);
	assert_int_equal(config.listener.body_bytes_max, 114688);
	assert_int_equal(config.api.max_limit, 1000);
	assert_null(config.api.public_endpoint);
	assert_string_equal(config.database, "/var/lib/migrationd/migrationd.db");
	assert_int_equal(config.log_level, LOG_LEVEL_INFO);
	assert_int_equal(config.worker.live_migration_downtime_ms, 500);
	assert_int_equal(config.worker.live_migration_downtime_steps, 10);
	assert_int_equal(config.worker.live_migration_downtime_delay_s, 75);
	assert_int_equal(config.worker.live_migration_completion_timeout_s, 800);
	assert_int_equal(config.worker.live_migration_timeout_action, TIMEOUT_ACTION_ABORT);
	assert_int_equal(config.worker.max_concurrent_live_migrations, 1);
	assert_int_equal(config.worker.shutdown_timeout_s, 60);
	assert_int_equal(config.hypervisor.driver, HYPERVISOR_DRIVER_LIBVIRT);
	assert_int_equal(config.token.key_count, 1);
	assert_int_equal(config.host_count, 0);
	assert_false(config.policy.ignores_scope);
	assert_true(config.node && config.node[0]);
}

/* Two tables say the same: the scheduler's own defaults and the configuration's. */
static void the_schedulers_defaults_are_the_configurations(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };
	struct error error = { 0 };
	struct scheduler_settings expected = scheduler_settings_default;

	(void)state;
	assert_int_equal(config_defaults(&config, &error), 0);
	/* Those that are always on need no bit. */
	expected.enabled_filters &= config.scheduler.enabled_filters;
	assert_int_equal(expected.enabled_filters, config.scheduler.enabled_filters);
	assert_int_equal(expected.enabled_weighers, config.scheduler.enabled_weighers);
	for (int i = 0; i < SCHEDULER_WEIGHER_COUNT; i++)
		assert_true(expected.multipliers[i] >= config.scheduler.multipliers[i]
			    && expected.multipliers[i] <= config.scheduler.multipliers[i]);
	assert_true(config.scheduler.cpu_allocation_ratio > 3.9 && config.scheduler.cpu_allocation_ratio < 4.1);
	assert_int_equal(expected.reserved_host_memory_mb, config.scheduler.reserved_host_memory_mb);
	assert_int_equal(expected.host_subset_size, config.scheduler.host_subset_size);
	assert_int_equal(expected.max_attempts, config.scheduler.max_attempts);
	assert_int_equal(expected.max_instances_per_host, config.scheduler.max_instances_per_host);
	assert_int_equal(expected.max_io_ops_per_host, config.scheduler.max_io_ops_per_host);
}

static void a_full_file_sets_everything(void **state)
{
	const struct place *place = *state;
	CLEANUP_FREE char *secret = write_file(place, "secret", "0123456789abcdef0123456789abcdef\n");
	CLEANUP_FREE char *policy =
		write_file(place, "policy.yaml", "# ours\n\"a:b\": \"role:x\"\nc: [[\"role:y\"]]\n");
	CLEANUP_CONFIG struct config config = { 0 };

	read_good(place,
		  "listener: {address: '::1', port: '0', idle_timeout: 5}\n"
		  "public_endpoint: https://cloud.example:8774\n"
		  "database: state/m.db\n"
		  "node: node-1\n"
		  "log: {format: json, level: debug}\n"
		  "auth:\n"
		  "  keys:\n"
		  "  - &first {kid: a, algorithm: HS256, secret_file: secret}\n"
		  "  - {kid: b, algorithm: HS512, secret: \"fedcba9876543210fedcba9876543210\"}\n"
		  "  claims: {roles: realm_access.roles}\n"
		  "  leeway: 0\n"
		  "policy: {file: policy.yaml, rules: {'a:b': '!'}, enforce_scope: no}\n"
		  "cpu_allocation_ratio: 16\n"
		  "max_concurrent_live_migrations: 0\n"
		  "libvirt: {live_migration_timeout_action: force_complete, live_migration_permit_post_copy: True}\n"
		  "filter_scheduler: {enabled_filters: [IoOpsFilter], io_ops_weight_multiplier: -2.5e0}\n"
		  "scheduler: {max_attempts: 5}\n"
		  "hypervisor: {driver: simulated, control_socket: sim.sock, default_project: 0123}\n"
		  "hosts:\n"
		  "- {name: compute-1, uri: 'qemu+tcp://127.1.0.1:16509/session', migration_address: 'fd00::12'}\n"
		  "-\n"
		  "  name: compute-2\n"
		  "  uri: qemu+tls://compute-2/system\n"
		  "  username: mover\n"
		  "  password_file: secret\n"
		  "  ram_allocation_ratio: 1.5\n",
		  &config);
	assert_string_equal(config.listener.address, "::1");
	assert_int_equal(config.listener.port, 0);
	assert_true(text_starts_with(config.database, place->directory));
	assert_true(text_ends_with(config.database, "/state/m.db"));
	assert_string_equal(config.node, "node-1");
	assert_int_equal(config.log_format, LOG_FORMAT_JSON);
	assert_int_equal(config.token.key_count, 2);
	assert_string_equal(config.token.keys[0].secret_file, secret);
	assert_string_equal(config.token.keys[1].kid, "b");
	assert_string_equal(config.token.claims.roles, "realm_access.roles");
	assert_int_equal(config.token.leeway_s, 0);
	assert_true(config.policy.ignores_scope);
	assert_int_equal(config.policy.override_count, 3);
	assert_string_equal(json_string_value(config.policy.overrides[0].value), "!");
	assert_int_equal(config.policy.overrides[0].line, 12);
	assert_string_equal(config.policy.overrides[1].name, "a:b"); /* the file counts over what stands here */
	assert_string_equal(config.policy.overrides[1].file, policy);
	assert_int_equal(config.policy.overrides[1].line, 2);
	assert_true(json_is_array(config.policy.overrides[2].value));
	assert_int_equal(config.worker.live_migration_timeout_action, TIMEOUT_ACTION_FORCE_COMPLETE);
	assert_true(config.worker.live_migration_permit_post_copy);
	assert_int_equal(config.worker.max_concurrent_live_migrations, 0);
	assert_int_equal(config.scheduler.enabled_filters, 1U << SCHEDULER_FILTER_IO_OPS);
	assert_true(config.scheduler.multipliers[SCHEDULER_WEIGHER_IO_OPS] < -2.4);
	assert_int_equal(config.scheduler.max_attempts, 5);
	assert_int_equal(config.hypervisor.driver, HYPERVISOR_DRIVER_SIMULATED);
	assert_string_equal(config.hypervisor.default_project, "0123");
	assert_int_equal(config.host_count, 2);
	assert_string_equal(config.hosts[0].migration_address, "fd00::12");
	assert_int_equal(config.hosts[0].reserved_memory_mb, -1);
	assert_int_equal(config.hosts[0].mark->line, 20);
	assert_string_equal(config.hosts[1].user_name, "mover");
	assert_int_equal(config.hosts[1].mark->line, 22);
}

static void a_misspelt_key_is_told_with_the_nearest_right_one(void **state)
{
	expect_problems(
		*state,
		AUTH "lisener: {}\n"
		     "listener:\n"
		     "  prot: 1\n"
		     "libvirt: {live_migration_downtme: 500}\n"
		     "colour: red\n"
		     "filter_scheduler: {enabled_filters: [RamFiltre, Luck]}\n"
		     "log: {verbose: true}\n",
		"c.yaml:2: the key \"lisener\" is not known; did you mean listener?\n"
		"c.yaml:6: the key \"colour\" is not known; known here are node, database, admin_socket, "
		"public_endpoint, listener, metrics, api, log, auth, identity, policy, cpu_allocation_ratio, "
		"ram_allocation_ratio, "
		"disk_allocation_ratio, reserved_host_memory_mb, reserved_host_disk_mb, "
		"max_concurrent_live_migrations, max_concurrent_cold_migrations, "
		"max_concurrent_incoming_migrations, shutdown_timeout, libvirt, filter_scheduler, scheduler, "
		"worker, hypervisor, retention, simulation, hosts\n"
		"c.yaml:4: listener: the key \"prot\" is not known; did you mean port?\n"
		"c.yaml:8: log: the key \"verbose\" is not known; known here are format, level\n"
		"c.yaml:5: libvirt: the key \"live_migration_downtme\" is not known; did you mean "
		"live_migration_downtime?\n"
		"c.yaml:7: filter_scheduler.enabled_filters: \"RamFiltre\" is not known; did you mean RamFilter?\n"
		"c.yaml:7: filter_scheduler.enabled_filters: \"Luck\" is not known; known are "
		"DifferentHostFilter, RetryFilter, ComputeFilter, ImagePropertiesFilter, HypervisorVersionFilter, "
		"CpuCompatibilityFilter, NetworkFilter, StorageFilter, MigrationAddressFilter, CpuPinningFilter, "
		"CoreFilter, RamFilter, DiskFilter, NumInstancesFilter, IoOpsFilter\n");
}

static void a_mistyped_value_is_told_with_what_was_expected(void **state)
{
	expect_problems(
		*state,
		AUTH "listener:\n"
		     "  port: eighty\n"
		     "  threads: [1]\n"
		     "  address: localhost\n"
		     "log: {level: loud}\n"
		     "database: {}\n"
		     "cpu_allocation_ratio: 0x10\n"
		     "libvirt:\n"
		     "  live_migration_permit_post_copy: maybe\n"
		     "  live_migration_inbound_addr: 'fe80::1%eth0'\n"
		     "worker: 7\n"
		     "filter_scheduler: {enabled_weighers: ram}\n"
		     "public_endpoint: cloud.example\n"
		     "hosts: {name: x}\n",
		"c.yaml:7: database: expected a path, found a mapping\n"
		"c.yaml:14: public_endpoint: expected a URL that begins with http:// or https:// and has no slash "
		"at its end, found \"cloud.example\"\n"
		"c.yaml:5: listener.address: expected an IPv4 or IPv6 address in figures, found \"localhost\"\n"
		"c.yaml:3: listener.port: expected a whole number from 0 to 65535, found \"eighty\"\n"
		"c.yaml:4: listener.threads: expected a whole number from 1 to 256, found a list\n"
		"c.yaml:6: log.level: expected debug, info, warning or error, found \"loud\"\n"
		"c.yaml:8: cpu_allocation_ratio: expected a number from 0.01 to 1e+06, found \"0x10\"\n"
		"c.yaml:10: libvirt.live_migration_permit_post_copy: expected true or false, found \"maybe\"\n"
		"c.yaml:11: libvirt.live_migration_inbound_addr: expected an IPv4 or IPv6 address without "
		"brackets and zone, or a host name, found \"fe80::1%eth0\"\n"
		"c.yaml:13: filter_scheduler.enabled_weighers: expected a list of names, found \"ram\"\n"
		"c.yaml:12: worker: expected a mapping of keys to values, found a single value\n"
		"c.yaml:15: hosts: expected a list, found a mapping\n");
}

static void a_value_out_of_range_is_told(void **state)
{
	expect_problems(
		*state,
		AUTH "listener: {port: 65536, threads: 0, max_body_bytes: 99999999999999999999}\n"
		     "libvirt: {live_migration_downtime: 99, live_migration_downtime_steps: 2}\n"
		     "ram_allocation_ratio: 0\n"
		     "hosts:\n"
		     "- {name: a, uri: 'test:///default', reserved_host_memory_mb: -2}\n",
		"c.yaml:2: listener.port: expected a whole number from 0 to 65535, found \"65536\"\n"
		"c.yaml:2: listener.threads: expected a whole number from 1 to 256, found \"0\"\n"
		"c.yaml:2: listener.max_body_bytes: expected a whole number from 1 to 67108864, found "
		"\"99999999999999999999\"\n"
		"c.yaml:4: ram_allocation_ratio: expected a number from 0.01 to 1e+06, found \"0\"\n"
		"c.yaml:3: libvirt.live_migration_downtime: expected a whole number from 100 to 3600000, found "
		"\"99\"\n"
		"c.yaml:3: libvirt.live_migration_downtime_steps: expected a whole number from 3 to 1000, found "
		"\"2\"\n"
		"c.yaml:6: hosts[0].reserved_host_memory_mb: expected a whole number from -1 to 1000000000000000, "
		"found \"-2\"\n");
}

static void a_missing_key_is_told_with_what_it_is_for(void **state)
{
	/* What else would be wrong with a host that has no name is told when it has one. */
	expect_problems(*state,
			AUTH
			"hosts:\n- {uri: 'test:///a', migration_address: 192.0.2.1, live_migration_interface: eth0}\n",
			"c.yaml:3: hosts[0].name: is missing: the host's name in the API\n");
	expect_problems(*state,
			"hosts:\n"
			"- name: compute-1\n"
			"- uri: qemu+tcp://x/system\n",
			"c.yaml:2: hosts[0].uri: is missing: libvirt URI of the control connection\n"
			"c.yaml:3: hosts[1].name: is missing: the host's name in the API\n"
			"c.yaml:1: auth.keys: is missing: keys that tokens are verified with\n");
	expect_problems(*state, "auth: {keys: []}\n", "c.yaml:1: auth.keys: at least one key is needed\n");
	expect_problems(*state, "", "c.yaml:1: auth.keys: is missing: keys that tokens are verified with\n");
	expect_problems(*state,
			"identity:\n"
			"  keystone: {url: \"http://keystone.example:5000\"}\n",
			"c.yaml:2: identity.keystone.password_file: is missing: a file with the password of nova\n");
	expect_problems(*state,
			"identity:\n"
			"  jwks:\n"
			"  - {refresh_interval: 5}\n"
			"  - {url: ftp://keys.example/set}\n",
			"c.yaml:3: identity.jwks[0]: give a url or a file, and only one of them\n"
			"c.yaml:4: identity.jwks[1].url: expected a URL that begins with http:// or https://, found "
			"\"ftp://keys.example/set\"\n");
}

static void what_is_wrong_in_a_list_is_told_with_its_place(void **state)
{
	expect_problems(*state, AUTH "listener: {trusted_proxies: [10.0.0.1, none]}\n",
			"c.yaml:2: listener.trusted_proxies[1]: expected an address like 192.0.2.1 or a network like "
			"2001:db8::/32, found \"none\"\n");
	expect_problems(*state, AUTH "listener: {trusted_proxies: none}\n",
			"c.yaml:2: listener.trusted_proxies: expected an address like 192.0.2.1 or a network like "
			"2001:db8::/32, found \"none\"\n");
}

static void two_keys_of_one_name_are_told(void **state)
{
	expect_problems(*state,
			"auth:\n  keys:\n"
			"  - {algorithm: HS256, kid: a, secret: 0123456789abcdef0123456789abcdef}\n"
			"  - {algorithm: HS256, kid: a, secret: 1123456789abcdef0123456789abcdef}\n",
			"c.yaml:2: auth.keys: token keys 1 and 2 have the same kid\n");
}

/* Its scheme, a colon and a slash. */
static void a_uri_that_libvirt_would_not_know_is_refused(void **state)
{
	static const char *const good[] = { "test:///default", "qemu+tls://h/system", "a:/" };
	static const char *const bad[] = { "",       ":/a",      "://h/system",  "qemu", "qemu:",
					   "qemu:h", "Qemu://h", "qemu tls://h", "/a:/" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		assert_null(config_expected_uri(good[i]));
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		if (!config_expected_uri(bad[i]))
			fail_msg("\"%s\" is taken", bad[i]);
}

static void a_key_that_is_set_twice_is_told_with_both_lines(void **state)
{
	expect_problems(*state, AUTH "node: a\n\nnode: b\n",
			"c.yaml:4: \"node\" is set a second time, first in line 2\n");
	expect_problems(*state,
			AUTH "hosts:\n"
			     "- {name: a, uri: 'test:///default'}\n"
			     "- {name: a, uri: 'test:///default'}\n",
			"c.yaml:4: the host a stands here a second time, first in line 3\n");
	expect_problems(*state, AUTH "---\nnode: a\n",
			"c.yaml:3: a second configuration in one file; the first begins in line 1\n");
}

static void broken_yaml_is_told_with_its_line(void **state)
{
	static const char bad_bytes[] = AUTH "node: a\nlog: {level: \xff}\n";
	static const char zero[] = AUTH "node: \"a\\0b\"\n";

	expect_problems(*state, AUTH "log: {level: info\nnode: x\n",
			"c.yaml:3: this is not YAML: did not find expected ',' or '}'\n");
	expect_problems(*state, AUTH "log:\n\tlevel: info\n",
			"c.yaml:3: this is not YAML: found character that cannot start any token\n");
	expect_problems(*state, bad_bytes, "c.yaml:3: this is not YAML: invalid leading UTF-8 octet\n");
	expect_problems(*state, zero, "c.yaml:2: a text has a zero byte in it\n");
	expect_problems(*state, AUTH "node: *unknown\n", "c.yaml:2: nothing above is marked as &unknown\n");
	expect_problems(*state, AUTH "log: &a {level: *a}\n", "c.yaml:2: a value cannot contain itself: *a\n");
	expect_problems(*state, AUTH "? [1, 2]\n: x\n", "c.yaml:2: a key must be a text\n");
	expect_problems(*state, AUTH "---\n- 1\n",
			"c.yaml:3: a second configuration in one file; the first begins in line 1\n");
	expect_problems(*state, "- 1\n", "c.yaml:1: expected a mapping of keys to values, found a list\n");
	expect_problems(*state, AUTH "---\nkind: Pod\n",
			"c.yaml:3: documents of the kind \"Pod\" are not known, but "
			"OpenStackDeployment is\n");
}

static void a_file_too_deep_or_too_large_is_refused(void **state)
{
	CLEANUP_TEXT struct text deep = TEXT_EMPTY;
	CLEANUP_FREE char *large = calloc(1, YAML_FILE_MAX + 2);
	CLEANUP_FREE char *path = NULL;
	struct yaml_tree *tree = NULL;
	struct error error = { 0 };

	text_append(&deep, "node: ");
	for (int i = 0; i < 100; i++)
		text_append(&deep, "[");
	expect_problems(*state, deep.data, "c.yaml:1: too deeply nested\n");
	memset(large, '#', YAML_FILE_MAX + 1);
	path = write_bytes(*state, "other", large, YAML_FILE_MAX + 1);
	assert_int_equal(yaml_tree_read(path, &tree, &error), -EFBIG);
}

/* Lists in lists below the mapping, which is one level itself. */
static void a_file_of_just_the_greatest_depth_is_read(void **state)
{
	for (int depth = YAML_DEPTH_MAX; depth <= YAML_DEPTH_MAX + 1; depth++) {
		CLEANUP_TEXT struct text deep = TEXT_EMPTY;
		struct yaml_tree *tree = NULL;
		struct error error = { 0 };

		text_append(&deep, "a: ");
		for (int i = 1; i < depth; i++)
			text_append(&deep, "[");
		for (int i = 1; i < depth; i++)
			text_append(&deep, "]");
		CLEANUP_FREE char *path = write_file(*state, "other", deep.data);
		assert_int_equal(yaml_tree_read(path, &tree, &error), depth == YAML_DEPTH_MAX ? 0 : -EINVAL);
		yaml_tree_destroy(tree);
	}
}

/* Values and, where they are used again, aliases: the mapping, two keys, and the list beside its members. */
static void a_file_of_just_the_most_values_is_read(void **state)
{
	static const char *const members[] = { "a,", "*m," };

	for (size_t i = 0; i < ARRAY_LENGTH(members); i++)
		for (int count = YAML_NODES_MAX; count <= YAML_NODES_MAX + 1; count++) {
			CLEANUP_TEXT struct text text = TEXT_EMPTY;
			struct yaml_tree *tree = NULL;
			struct error error = { 0 };

			text_append(&text, "a: &m x\nb: [");
			for (int j = 5; j < count; j++)
				text_append(&text, members[i]);
			text_append(&text, "]\n");
			CLEANUP_FREE char *path = write_file(*state, "other", text.data);
			int result = yaml_tree_read(path, &tree, &error);
			assert_int_equal(result, count == YAML_NODES_MAX ? 0 : -EINVAL);
			if (result < 0)
				assert_non_null(strstr(error.text, "too many values"));
			yaml_tree_destroy(tree);
		}
}

static void a_file_of_just_the_greatest_size_is_read(void **state)
{
	CLEANUP_FREE char *large = malloc(YAML_FILE_MAX + 1);

	memset(large, '#', YAML_FILE_MAX + 1);
	for (size_t size = YAML_FILE_MAX; size <= YAML_FILE_MAX + 1; size++) {
		CLEANUP_FREE char *path = write_bytes(*state, "other", large, size);
		struct yaml_tree *tree = NULL;
		struct error error = { 0 };

		assert_int_equal(yaml_tree_read(path, &tree, &error), size == YAML_FILE_MAX ? 0 : -EFBIG);
		yaml_tree_destroy(tree);
	}
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };
	struct error error = { 0 };
	const struct place *place = *state;

	assert_int_equal(config_fixture_read("/nonexistent/migrationd.yaml", NULL, NULL, &config, &error), -ENOENT);
	assert_string_equal(error.text, "cannot open /nonexistent/migrationd.yaml: No such file or directory");
	assert_int_equal(config_fixture_read(place->directory, NULL, NULL, &config, &error), -EISDIR);
	assert_true(text_starts_with(error.text, "cannot read "));
}

static void a_key_file_that_is_no_good_is_told_with_its_line(void **state)
{
	const struct place *place = *state;
	CLEANUP_FREE char *secret = write_file(place, "secret", "short\n");

	expect_problems(place,
			"auth:\n"
			"  keys:\n"
			"  - algorithm: HS256\n"
			"    secret_file: not-there\n"
			"listener: {certificate_file: /nonexistent/cert.pem}\n"
			"hosts:\n"
			"- {name: a, uri: 'test:///default', username: u, password_file: gone}\n"
			"- {name: b, uri: 'test:///default', username: u}\n",
			"c.yaml:5: listener.certificate_file: cannot read /nonexistent/cert.pem: No such file or "
			"directory\n"
			"c.yaml:4: auth.keys[0].secret_file: cannot read not-there: No such file or directory\n"
			"c.yaml:7: hosts[0].password_file: cannot read gone: No such file or directory\n"
			"c.yaml:5: listener.certificate_file needs listener.key_file\n"
			"c.yaml:8: username needs password_file\n");
	(void)secret;
}

static void a_key_that_cannot_verify_is_told_with_its_line(void **state)
{
	const struct place *place = *state;
	CLEANUP_FREE char *secret = write_file(place, "secret", "short\n");
	CLEANUP_FREE char *path = write_file(place, "c.yaml",
					     "auth:\n"
					     "  keys:\n"
					     "  - {algorithm: HS256, secret_file: secret}\n"
					     "  - {algorithm: RS256}\n"
					     "  - {algorithm: none, secret: x}\n");
	CLEANUP_CONFIG struct config config = { 0 };
	struct gathered gathered = { .place = place };
	struct error error = { 0 };

	assert_int_equal(config_fixture_read(path, gather, &gathered, &config, &error), -EINVAL);
	assert_non_null(strstr(gathered.text.data, "c.yaml:3: auth.keys[0]: "));
	assert_non_null(strstr(gathered.text.data, "c.yaml:4: auth.keys[1]: "));
	assert_non_null(strstr(gathered.text.data, "c.yaml:5: auth.keys[2].algorithm: expected HS256, HS384"));
	assert_null(strstr(gathered.text.data, "short\n"));
	text_clear(&gathered.text);
	(void)secret;
}

static void a_faulty_policy_file_is_told_with_its_line(void **state)
{
	const struct place *place = *state;
	CLEANUP_FREE char *good = write_file(place, "policy.yaml", "a: role:x\nb: 'x\n");
	CLEANUP_FREE char *number = NULL;
	CLEANUP_FREE char *list = NULL;

	expect_problems(place, AUTH "policy: {file: policy.yaml}\n",
			"policy.yaml:3: this is not YAML: found unexpected end of stream\n");
	number = write_file(place, "policy.yaml", "a: role:x\nb: 5\n");
	expect_problems(place, AUTH "policy: {file: policy.yaml}\n",
			"policy.yaml:2: policy b: its value is no rule: give a text or a list\n");
	list = write_file(place, "policy.yaml", "\n- a\n");
	expect_problems(place, AUTH "policy: {file: policy.yaml}\n",
			"policy.yaml:2: expected a mapping of policies to rules, found something else\n");
	expect_problems(place, AUTH "policy: {file: none.yaml, rules: x}\n",
			"c.yaml:2: policy.rules: expected a mapping of policies to rules, found \"x\"\n"
			"c.yaml:2: policy.file: cannot read none.yaml: No such file or directory\n");
}

static void keys_that_exclude_each_other_are_told(void **state)
{
	expect_problems(*state,
			AUTH "libvirt: {live_migration_scheme: tls}\nhosts:\n- {name: a, uri: "
			     "'qemu+tls://a/system'}\n- {name: b, uri: 'qemu+tcp://b/system'}\n",
			"c.yaml:5: host b: libvirt.live_migration_scheme is tls, but its URI is qemu+tcp://b/system\n");
	expect_problems(*state, AUTH "hypervisor: {control_socket: x}\n",
			"c.yaml:2: hypervisor.control_socket is for the driver simulated only\n");
	expect_problems(*state, AUTH "listener: {key_file: c.yaml}\n",
			"c.yaml:2: listener.key_file needs listener.certificate_file\n");
	expect_problems(
		*state,
		AUTH "libvirt:\n  live_migration_permit_post_copy: true\n  live_migration_parallel_connections: 2\n",
		"c.yaml:4: libvirt.live_migration_parallel_connections of more than 1 and "
		"libvirt.live_migration_permit_post_copy exclude each other: QEMU has no post-copy over several "
		"connections; leave one of them out\n");
}

static void printing_shows_every_value_and_no_secret(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_TEXT struct text printed = TEXT_EMPTY;
	CLEANUP_TEXT struct text described = TEXT_EMPTY;

	read_good(*state, AUTH "hosts: [{name: a, uri: 'test:///default'}]\npolicy: {rules: {x: '!'}}\n", &config);
	config_print(&config, &printed);
	assert_non_null(strstr(printed.data, "listener.port: 8774  # default\n"));
	assert_non_null(strstr(printed.data, "filter_scheduler.io_ops_weight_multiplier: -1  # default\n"));
	assert_non_null(strstr(printed.data, "auth.keys[0].secret: (secret)  # "));
	assert_null(strstr(printed.data, "0123456789abcdef"));
	assert_non_null(strstr(printed.data, "hosts[0].name: a  # "));
	assert_non_null(strstr(printed.data, "policy.enforce_scope: true  # default\n"));
	assert_non_null(strstr(printed.data, "policy x: \"!\"  # "));
	config_describe(&described);
	assert_non_null(
		strstr(described.data, "libvirt.live_migration_downtime (number 100 to 3600000; default 500): "));
	assert_non_null(strstr(described.data, "hosts[].uri (text, required): "));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, config_fixture_setup, config_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_small_file_leaves_the_defaults),
		TEST(the_schedulers_defaults_are_the_configurations),
		TEST(a_full_file_sets_everything),
		TEST(a_misspelt_key_is_told_with_the_nearest_right_one),
		TEST(a_mistyped_value_is_told_with_what_was_expected),
		TEST(a_value_out_of_range_is_told),
		TEST(a_missing_key_is_told_with_what_it_is_for),
		TEST(what_is_wrong_in_a_list_is_told_with_its_place),
		TEST(two_keys_of_one_name_are_told),
		TEST(a_uri_that_libvirt_would_not_know_is_refused),
		TEST(a_key_that_is_set_twice_is_told_with_both_lines),
		TEST(broken_yaml_is_told_with_its_line),
		TEST(a_file_too_deep_or_too_large_is_refused),
		TEST(a_file_of_just_the_greatest_depth_is_read),
		TEST(a_file_of_just_the_most_values_is_read),
		TEST(a_file_of_just_the_greatest_size_is_read),
		TEST(a_file_that_cannot_be_read_is_told),
		TEST(a_key_file_that_is_no_good_is_told_with_its_line),
		TEST(a_key_that_cannot_verify_is_told_with_its_line),
		TEST(a_faulty_policy_file_is_told_with_its_line),
		TEST(keys_that_exclude_each_other_are_told),
		TEST(printing_shows_every_value_and_no_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
