/* When a configuration has changed: its files, seen from outside, and its keys, with those that need a restart. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/config.h"
#include "server/config_changes.h"
#include "tests/unit/certificate_fixture.h"
#include "tests/unit/config_fixture.h"

static char *path_of(const struct place *place, const char *name)
{
	return text_format("%s/%s", place->directory, name);
}

static void put(const struct place *place, const char *name, const char *content)
{
	free(write_file(place, name, content));
}

static void make_directory(const struct place *place, const char *name)
{
	CLEANUP_FREE char *path = path_of(place, name);

	assert_int_equal(mkdir(path, 0755), 0);
}

static void rename_to(const struct place *place, const char *from, const char *to)
{
	CLEANUP_FREE char *old = path_of(place, from);
	CLEANUP_FREE char *new = path_of(place, to);

	assert_int_equal(rename(old, new), 0);
}

static void take_away(const struct place *place, const char *name)
{
	CLEANUP_FREE char *path = path_of(place, name);

	assert_int_equal(remove(path), 0);
}

/* Written again, and as old as is said. */
static void write_again(const struct place *place, const char *name, const char *content, time_t seconds,
			long nanoseconds)
{
	CLEANUP_FREE char *path = path_of(place, name);
	const struct timespec time = { .tv_sec = seconds, .tv_nsec = nanoseconds };
	const struct timespec times[] = { time, time };

	put(place, name, content);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

struct seen {
	const struct config *config;
	uint64_t before;
};

static void assert_changed(struct seen *seen, bool is_changed)
{
	uint64_t now = config_fingerprint(seen->config);

	assert_int_equal(now != seen->before, is_changed);
	assert_int_equal(now, config_fingerprint(seen->config));
	seen->before = now;
}

static void every_file_that_was_read_is_seen_to_change(void **state)
{
	static const char *const names[] = { "c.yaml", "secret", "policy.yaml" };
	CLEANUP_CONFIG struct config config = { 0 };

	put(*state, "secret", "0123456789abcdef0123456789abcdef\n");
	put(*state, "policy.yaml", "a: role:x\n");
	put(*state, "other", "x");
	read_good(*state, "auth: {keys: [{algorithm: HS256, secret_file: secret}]}\npolicy: {file: policy.yaml}\n",
		  &config);
	struct seen seen = { &config, config_fingerprint(&config) };
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		write_again(*state, names[i], "other", 10, 1);
		assert_changed(&seen, true);
		write_again(*state, names[i], "other", 11, 1);
		assert_changed(&seen, true);
		write_again(*state, names[i], "other", 11, 2);
		assert_changed(&seen, true);
		write_again(*state, names[i], "longer", 11, 2);
		assert_changed(&seen, true);
		write_again(*state, "new", "longer", 11, 2);
		rename_to(*state, "new", names[i]); /* another file of the same size and time */
		assert_changed(&seen, true);
		take_away(*state, names[i]);
		assert_changed(&seen, true);
	}
	write_again(*state, "other", "y", 10, 1);
	assert_changed(&seen, false);
}

static void files_that_come_beside_the_configuration_are_seen(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };

	read_good(*state, AUTH, &config);
	struct seen seen = { &config, config_fingerprint(&config) };
	put(*state, "policy.yaml", "a: role:x\n");
	assert_changed(&seen, true);
	make_directory(*state, "policy.d");
	assert_changed(&seen, true);
	put(*state, "other.yaml", "a: role:x\n");
	assert_changed(&seen, false);
}

static void each_change_of_a_policy_directory_is_seen(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };

	make_directory(*state, "a.d");
	write_again(*state, "a.d/1", "a: role:x\n", 10, 1);
	write_again(*state, "a.d/2", "b: role:x\n", 10, 1);
	read_good(*state, AUTH "policy: {dirs: a.d}\n", &config);
	struct seen seen = { &config, config_fingerprint(&config) };
	put(*state, "a.d/.hidden", "x");
	assert_changed(&seen, false);
	write_again(*state, "a.d/1", "a: role:y\n", 10, 2);
	assert_changed(&seen, true);
	put(*state, "a.d/3", "c: role:x\n");
	assert_changed(&seen, true);
	rename_to(*state, "a.d/3", "a.d/0"); /* which counts before the others now */
	assert_changed(&seen, true);
	take_away(*state, "a.d/0");
	assert_changed(&seen, true);
	rename_to(*state, "a.d", "b.d");
	assert_changed(&seen, true);
	rename_to(*state, "b.d", "a.d");
	assert_changed(&seen, true);
	take_away(*state, "a.d/.hidden");
	take_away(*state, "a.d/1");
	take_away(*state, "a.d/2");
	assert_changed(&seen, true);
	take_away(*state, "a.d"); /* which was empty */
	assert_changed(&seen, true);
}

struct changes {
	struct text text; /* "KEY: BEFORE -> AFTER" each on a line, with "(restart)" behind it */
};

static void gather_change(void *context, const char *key, const char *before, const char *after, bool is_for_restart)
{
	struct changes *changes = context;

	text_append_format(&changes->text, "%s: %s -> %s%s\n", key, before, after, is_for_restart ? " (restart)" : "");
}

/* What is said between two contents of the file. */
static char *changes_of(const struct place *place, const char *before, const char *after)
{
	CLEANUP_CONFIG struct config old = { 0 };
	CLEANUP_CONFIG struct config new = { 0 };
	struct changes changes = { 0 };
	struct error error = { 0 };

	read_good(place, before, &old);
	read_good(place, after, &new);
	text_append(&changes.text, "");
	assert_int_equal(config_compare(&old, &new, gather_change, &changes, &error), 0);
	return text_take(&changes.text);
}

static void a_key_that_is_read_at_the_start_alone_needs_a_restart(void **state)
{
	static const struct {
		const char *set;
		const char *told;
	} rows[] = {
		{ "node: other\n", "node: mine -> other (restart)\n" },
		{ "database: /d\n", "database: /var/lib/migrationd/migrationd.db -> /d (restart)\n" },
		{ "admin_socket: /s\n", "admin_socket: /run/migrationd/admin.sock -> /s (restart)\n" },
		{ "log: {level: debug}\n", "log.level: info -> debug (restart)\n" },
		{ "log: {format: json}\n", "log.format: text -> json (restart)\n" },
		{ "listener: {port: 1}\n", "listener.port: 8774 -> 1 (restart)\n" },
		{ "listener: {trusted_proxies: 10.0.0.1}\n", "listener.trusted_proxies: [] -> [10.0.0.1] (restart)\n" },
		{ "metrics: {enabled: false}\n", "metrics.enabled: true -> false (restart)\n" },
		{ "hypervisor: {call_timeout: 9}\n", "hypervisor.call_timeout: 30 -> 9 (restart)\n" },
		{ "public_endpoint: 'https://a'\n", "public_endpoint: null -> https://a\n" },
		{ "api: {max_limit: 9}\n", "api.max_limit: 1000 -> 9\n" },
		{ "identity: {jwks: [{url: 'https://a/'}]}\n",
		  "identity.jwks[0].cacert_file:  -> null\nidentity.jwks[0].file:  -> null\n"
		  "identity.jwks[0].refresh_interval:  -> 300\nidentity.jwks[0].timeout:  -> 5\n"
		  "identity.jwks[0].url:  -> https://a/\n" },
		{ "policy: {enforce_scope: false}\n", "policy.enforce_scope: true -> false\n" },
		{ "policy: {rules: {'a:b': 'role:x'}}\n", "policy a:b:  -> \"role:x\"\n" },
		{ "cpu_allocation_ratio: 2\n", "cpu_allocation_ratio: 4 -> 2\n" },
		{ "max_concurrent_live_migrations: 2\n", "max_concurrent_live_migrations: 1 -> 2\n" },
		{ "shutdown_timeout: 9\n", "shutdown_timeout: 60 -> 9\n" },
		{ "libvirt: {live_migration_downtime: 900}\n", "libvirt.live_migration_downtime: 500 -> 900\n" },
		{ "filter_scheduler: {enabled_filters: [ComputeFilter, IoOpsFilter]}\n",
		  "filter_scheduler.enabled_filters: [ImagePropertiesFilter, HypervisorVersionFilter, "
		  "CpuCompatibilityFilter, NetworkFilter, StorageFilter, MigrationAddressFilter, CpuPinningFilter] -> "
		  "[ComputeFilter, IoOpsFilter]\n" },
		{ "filter_scheduler: {host_subset_size: 2}\n", "filter_scheduler.host_subset_size: 1 -> 2\n" },
		{ "scheduler: {max_attempts: 2}\n", "scheduler.max_attempts: 3 -> 2\n" },
		{ "worker: {stall_timeout: 9}\n", "worker.stall_timeout: 60 -> 9\n" },
		{ "retention: {migrations_days: 9}\n", "retention.migrations_days: 0 -> 9\n" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_FREE char *after = text_format("%s%s%s", AUTH, i == 0 ? "" : "node: mine\n", rows[i].set);
		CLEANUP_FREE char *told = changes_of(*state, AUTH "node: mine\n", after);

		assert_string_equal(told, rows[i].told);
	}
	CLEANUP_FREE char *nothing =
		changes_of(*state, AUTH "node: mine\n", AUTH "\n\nnode: 'mine'\nlistener: {port: 8774}\n");
	assert_string_equal(nothing, "");
}

#define TLS(certificate) "listener: {certificate_file: " certificate ", key_file: key.pem}\n"

static void a_certificate_is_exchanged_at_once_but_tls_begins_and_ends_with_a_restart(void **state)
{
	CLEANUP_FREE char *certificate = path_of(*state, "one.pem");
	CLEANUP_FREE char *key = path_of(*state, "key.pem");
	CLEANUP_FREE char *other = path_of(*state, "two.pem");

	certificate_fixture_write(certificate, key, INT64_C(4102444800)); /* 2100-01-01 */
	assert_int_equal(symlink(certificate, other), 0);
	CLEANUP_FREE char *exchanged =
		changes_of(*state, AUTH "node: a\n" TLS("one.pem"), AUTH "node: a\n" TLS("two.pem"));
	CLEANUP_FREE char *begun = changes_of(*state, AUTH "node: a\n", AUTH "node: a\n" TLS("one.pem"));
	CLEANUP_FREE char *ended = changes_of(*state, AUTH "node: a\n" TLS("one.pem"), AUTH "node: a\n");

	assert_non_null(strstr(exchanged, "listener.certificate_file: "));
	assert_null(strstr(exchanged, "(restart)"));
	assert_non_null(strstr(begun, "one.pem (restart)\n"));
	assert_non_null(strstr(begun, "key.pem (restart)\n"));
	assert_non_null(strstr(ended, "one.pem -> null (restart)\n"));
	assert_non_null(strstr(ended, "key.pem -> null (restart)\n"));
}

#define SIMULATED AUTH "node: a\nhypervisor: {driver: simulated}\nsimulation: {hosts: [{name: h%s}]%s}\n"

static void tokens_of_a_simulated_fleet_change_at_once_and_its_hosts_with_a_restart(void **state)
{
	CLEANUP_FREE char *plain = text_format(SIMULATED, "", ", tokens: {w: {roles: [reader]}}");
	CLEANUP_FREE char *other_token = text_format(SIMULATED, "", ", tokens: {w: {roles: [admin]}}");
	CLEANUP_FREE char *other_hosts = text_format(SIMULATED, ", vcpus: 7", ", tokens: {w: {roles: [reader]}}");
	CLEANUP_FREE char *of_token = changes_of(*state, plain, other_token);
	CLEANUP_FREE char *of_hosts = changes_of(*state, plain, other_hosts);

	assert_string_equal(of_token, "simulation.tokens.w.roles: [reader] -> [admin]\n");
	assert_string_equal(of_hosts, "simulation.hosts[0].vcpus: 64 -> 7 (restart)\n");
}

/* Whatever the number of files that set it, and whether they are read one after another or not. */
static void a_policy_is_told_once_with_the_rule_that_counts(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	put(*state, "policy.yaml", "a: role:two\nb: role:two\n");
	make_directory(*state, "a.d");
	put(*state, "a.d/1", "a: role:three\nc: role:three\n");
	read_good(*state, AUTH "policy: {rules: {c: 'role:one', a: 'role:one'}, file: policy.yaml, dirs: a.d}\n",
		  &config);
	config_print_values(&config, &text);
	const char *policies = strstr(text.data, "policy b");
	assert_non_null(policies);
	assert_null(strstr(text.data, "role:one"));
	assert_string_equal(policies, "policy b: \"role:two\"\npolicy a: \"role:three\"\npolicy c: \"role:three\"\n");
	take_away(*state, "a.d/1");
	take_away(*state, "a.d");
}

static void each_pair_of_a_mapping_is_told(void **state)
{
	CLEANUP_FREE char *told =
		changes_of(*state, AUTH "node: a\nhosts: [{name: h, uri: 'test:///a', labels: {}}]\n",
			   AUTH "node: a\nhosts: [{name: h, uri: 'test:///a', labels: {x: 1, y: two, z: ''}}]\n");

	assert_string_equal(told, "hosts[0].labels: {} -> {x: \"1\", y: \"two\", z: \"\"}\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, config_fixture_setup, config_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_file_that_was_read_is_seen_to_change),
		TEST(files_that_come_beside_the_configuration_are_seen),
		TEST(each_change_of_a_policy_directory_is_seen),
		TEST(a_key_that_is_read_at_the_start_alone_needs_a_restart),
		TEST(tokens_of_a_simulated_fleet_change_at_once_and_its_hosts_with_a_restart),
		TEST(a_policy_is_told_once_with_the_rule_that_counts),
		TEST(each_pair_of_a_mapping_is_told),
		TEST(a_certificate_is_exchanged_at_once_but_tls_begins_and_ends_with_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
