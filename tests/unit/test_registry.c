/* Hosts of the configuration in the database: each setting arrives, nothing is written that has not changed, and what an operator
 * registered gets what the configuration says of the whole fleet. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/summary.h"
#include "server/fleet.h"
#include "server/registry.h"
#include "tests/unit/db_fixture.h"

static const struct fleet_settings no_fleet;

static atomic_int changed_rows;

static void count_row(void *context, enum db_table table, int64_t id)
{
	(void)context;
	(void)table;
	(void)id;
	atomic_fetch_add(&changed_rows, 1);
}

static int set_up(void **state)
{
	int result = db_fixture_setup(state);
	struct db_fixture *fixture = *state;

	OK(db_watch(fixture->database, count_row, NULL, &fixture->error));
	return result;
}

static struct registry_settings settings_of(const struct host_settings *hosts, size_t count)
{
	return (struct registry_settings){ hosts, count, &no_fleet, "controller", false };
}

/* How many rows that changed. */
static int load(struct db_fixture *fixture, const struct registry_settings *settings)
{
	atomic_store(&changed_rows, 0);
	OK(registry_load(fixture->database, settings, &fixture->error));
	db_fixture_write(fixture, db_write_nothing, NULL); /* who watches is told after the write has ended */
	return atomic_load(&changed_rows);
}

static void read_host(struct db_fixture *fixture, const char *name, struct db_host *ret_host)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);

	OK(db_host_by_name(session, name, ret_host, &fixture->error));
}

static struct name_value nics[] = { { "eth1", "198.51.100.1" }, { "eth0", "198.51.100.2" } };

static const struct host_settings full = {
	.name = "compute-1",
	.uri = "qemu+tls://compute-1/system",
	.user_name = "mover",
	.password_file = "/etc/password",
	.migration_address = "192.0.2.1",
	.cpu_allocation_ratio = 4,
	.ram_allocation_ratio = 1.5,
	.disk_allocation_ratio = 2,
	.reserved_memory_mb = 512,
	.reserved_disk_mb = 2048,
	.live_migration_interface = "eth0",
	.tunnel_interface = "eth1",
	.interfaces = nics,
	.interface_count = ARRAY_LENGTH(nics),
};

static void each_setting_of_a_host_arrives_in_its_row(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_HOST struct db_host host = { 0 };
	const struct registry_settings settings = settings_of(&full, 1);

	load(fixture, &settings);
	read_host(fixture, "compute-1", &host);
	assert_string_equal(host.uri, full.uri);
	assert_string_equal(host.user_name, full.user_name);
	assert_string_equal(host.password_file, full.password_file);
	assert_string_equal(host.migration_address, full.migration_address);
	assert_string_equal(host.migration_interface, full.live_migration_interface);
	assert_string_equal(host.tunnel_interface, full.tunnel_interface);
	assert_string_equal(host.interfaces, "{\"eth0\":\"198.51.100.2\",\"eth1\":\"198.51.100.1\"}");
	assert_true(host.cpu_allocation_ratio >= 4 && host.cpu_allocation_ratio <= 4);
	assert_true(host.ram_allocation_ratio >= 1.5 && host.ram_allocation_ratio <= 1.5);
	assert_true(host.disk_allocation_ratio >= 2 && host.disk_allocation_ratio <= 2);
	assert_int_equal(host.reserved_memory_mb, 512);
	assert_int_equal(host.reserved_disk_gb, 2);
}

/* Claims count whole GiB: a part of one that is reserved keeps all of it free. 0 is said; -1 is not. */
static void reserved_disk_is_counted_in_whole_gib(void **state)
{
	static const struct {
		int64_t mb, gb;
	} rows[] = { { -1, -1 }, { 0, 0 }, { 1, 1 }, { 1023, 1 }, { 1024, 1 }, { 1025, 2 }, { 2048, 2 } };
	struct db_fixture *fixture = *state;
	struct host_settings settings = full;
	const struct registry_settings all = settings_of(&settings, 1);

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_DB_HOST struct db_host host = { 0 };

		settings.reserved_disk_mb = rows[i].mb;
		load(fixture, &all);
		read_host(fixture, "compute-1", &host);
		assert_int_equal(host.reserved_disk_gb, rows[i].gb);
	}
}

/* Who follows the hosts would be woken by each start and each reading again. */
static void what_has_not_changed_is_not_written(void **state)
{
	struct db_fixture *fixture = *state;
	struct host_settings hosts[] = { full, { .name = "bare", .reserved_memory_mb = -1, .reserved_disk_mb = -1 } };
	const struct registry_settings settings = settings_of(hosts, ARRAY_LENGTH(hosts));

	assert_true(load(fixture, &settings) > 0);
	assert_int_equal(load(fixture, &settings), 0);
}

static void each_setting_alone_is_written_when_it_changes(void **state)
{
	struct db_fixture *fixture = *state;
	struct name_value other_nics[] = { { "eth0", "198.51.100.9" } };
	struct host_settings changed[] = { full, full, full, full, full, full, full, full,
					   full, full, full, full, full, full, full };
	size_t n = 0;
	struct host_settings now = full;
	const struct registry_settings settings = settings_of(&now, 1);

	changed[n++].uri = "qemu+ssh://compute-1/system";
	changed[n++].user_name = NULL;
	changed[n++].password_file = "/etc/other";
	changed[n++].migration_address = NULL;
	changed[n++].live_migration_interface = "eth1";
	changed[n++].tunnel_interface = NULL;
	changed[n++].cpu_allocation_ratio = 5;
	changed[n++].cpu_allocation_ratio = 3;
	changed[n++].ram_allocation_ratio = 1.6;
	changed[n++].ram_allocation_ratio = 1.4;
	changed[n++].disk_allocation_ratio = 0;
	changed[n++].reserved_memory_mb = -1;
	changed[n++].reserved_disk_mb = 4096;
	changed[n++].interface_count = 0;
	changed[n++].interfaces = other_nics;
	changed[n - 1].interface_count = 1;
	assert_int_equal(n, ARRAY_LENGTH(changed));
	load(fixture, &settings);
	for (size_t i = 0; i < n; i++) {
		now = changed[i];
		if (load(fixture, &settings) == 0)
			fail_msg("change %zu is not written", i);
		now = full;
		if (load(fixture, &settings) == 0)
			fail_msg("change %zu is not taken back", i);
	}
}

static void a_host_that_cannot_be_taken_is_told_by_its_name(void **state)
{
	struct db_fixture *fixture = *state;
	char name[DB_NAME_SIZE + 1];
	struct host_settings hosts[] = { full, { .name = name } };
	const struct registry_settings settings = settings_of(hosts, ARRAY_LENGTH(hosts));

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(registry_load(fixture->database, &settings, &fixture->error), -EINVAL);
	assert_true(text_starts_with(fixture->error.text, "host nnnnnnnn"));
	assert_non_null(strstr(fixture->error.text, "of the configuration"));
}

static void add(struct db_fixture *fixture, const char *name, const char *uri)
{
	const struct host_settings host = {
		.name = name, .uri = uri, .reserved_memory_mb = -1, .reserved_disk_mb = -1
	};
	const struct registry_settings settings = settings_of(NULL, 0);

	OK(registry_add(fixture->database, &host, &settings, &fixture->error));
}

/* Those of the configuration are not such, wherever they stand in it. */
static void hosts_that_an_operator_registered_get_what_the_fleet_says_now(void **state)
{
	static const struct fleet_settings fleet = { .live_migration_interface = "bond0", .tunnel_interface = "bond1" };
	struct db_fixture *fixture = *state;
	struct host_settings hosts[] = {
		{ .name = "m" }, { .name = "a", .live_migration_interface = "own" }, { .name = "z" }, { .name = "f" }
	};
	struct registry_settings settings = settings_of(hosts, ARRAY_LENGTH(hosts));

	add(fixture, "between", "qemu+tls://between/system");
	add(fixture, "zz", "qemu+tls://zz/system");
	settings.fleet = &fleet;
	load(fixture, &settings);
	for (size_t i = 0; i < 2; i++) {
		CLEANUP_DB_HOST struct db_host host = { 0 };

		read_host(fixture, i == 0 ? "between" : "zz", &host);
		assert_string_equal(host.migration_interface, "bond0");
		assert_string_equal(host.tunnel_interface, "bond1");
	}
	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
		CLEANUP_DB_HOST struct db_host host = { 0 };

		read_host(fixture, hosts[i].name, &host);
		assert_true(text_equal(host.migration_interface, hosts[i].live_migration_interface));
	}
	assert_int_equal(load(fixture, &settings), 0);
}

/* An operator's host that is not encrypted is not silently used; one of the configuration was checked there. */
static void where_tls_is_demanded_a_registered_host_without_it_stops_the_start(void **state)
{
	struct db_fixture *fixture = *state;
	struct registry_settings settings = settings_of(NULL, 0);

	add(fixture, "safe", "qemu+tls://safe/system");
	settings.demands_tls = true;
	load(fixture, &settings);
	add(fixture, "open", "qemu+tcp://open/system");
	assert_int_equal(registry_load(fixture->database, &settings, &fixture->error), -EINVAL);
	assert_true(text_starts_with(fixture->error.text, "host open was registered with qemu+tcp://open/system"));
	const struct host_settings another = { .name = "another", .uri = "qemu+tcp://another/system" };
	fixture->error = (struct error){ 0 };
	assert_int_equal(registry_add(fixture->database, &another, &settings, &fixture->error), -EINVAL);
	assert_true(text_starts_with(fixture->error.text, "TLS is demanded"));
	settings.demands_tls = false;
	load(fixture, &settings);
}

static void a_migration_address_beside_the_fleets_nic_is_refused(void **state)
{
	static const struct fleet_settings fleet = { .live_migration_interface = "bond0" };
	struct db_fixture *fixture = *state;
	struct host_settings host = { .name = "one", .uri = "qemu+tls://one/system", .migration_address = "192.0.2.1" };
	struct registry_settings settings = settings_of(NULL, 0);

	settings.fleet = &fleet;
	assert_int_equal(registry_add(fixture->database, &host, &settings, &fixture->error), -EINVAL);
	assert_non_null(strstr(fixture->error.text, "NIC bond0"));
	host.migration_address = NULL;
	OK(registry_add(fixture->database, &host, &settings, &fixture->error));
}

/* The name's label is had by each host without being set; another label of its length is not. Where a value is named, it counts. */
static void a_label_is_had_by_its_whole_name_and_its_value(void **state)
{
	static struct name_value labels[] = { { "rack", "r1" }, { "empty", "" } };
	static const struct {
		const char *label;
		bool is_had;
	} rows[] = {
		{ "kubernetes.io/hostname::one", true },
		{ "kubernetes.io/hostname::two", false },
		{ "kubernetes.io/hostname", true },
		{ "kubernetes.io/h0stname::one", false },
		{ "kubernetes.io/h0stname", false },
		{ "kubernetes.io/hostnam::one", false },
		{ "rack::r1", true },
		{ "rack::r2", false },
		{ "rack", true },
		{ "rac", false },
		{ "pack::r1", false },
		{ "racks::r1", false },
		{ "empty::", true },
		{ "empty::x", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct label_settings label = { .label = rows[i].label, .tunnel_interface = "nic" };
		const struct fleet_settings fleet = { .labels = &label, .label_count = 1 };
		struct host_settings host = { .name = "one", .labels = labels, .label_count = ARRAY_LENGTH(labels) };

		fleet_fill_host(&fleet, &host, NULL);
		if (text_equal(host.tunnel_interface, "nic") != rows[i].is_had)
			fail_msg("%s is%s had", rows[i].label, rows[i].is_had ? " not" : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_label_is_had_by_its_whole_name_and_its_value),
		cmocka_unit_test_setup_teardown(each_setting_of_a_host_arrives_in_its_row, set_up, db_fixture_teardown),
		cmocka_unit_test_setup_teardown(reserved_disk_is_counted_in_whole_gib, set_up, db_fixture_teardown),
		cmocka_unit_test_setup_teardown(what_has_not_changed_is_not_written, set_up, db_fixture_teardown),
		cmocka_unit_test_setup_teardown(each_setting_alone_is_written_when_it_changes, set_up,
						db_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_host_that_cannot_be_taken_is_told_by_its_name, set_up,
						db_fixture_teardown),
		cmocka_unit_test_setup_teardown(hosts_that_an_operator_registered_get_what_the_fleet_says_now, set_up,
						db_fixture_teardown),
		cmocka_unit_test_setup_teardown(where_tls_is_demanded_a_registered_host_without_it_stops_the_start,
						set_up, db_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_migration_address_beside_the_fleets_nic_is_refused, set_up,
						db_fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
