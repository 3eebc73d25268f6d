/* A simulated fleet in the configuration: few rows that stand for many hosts, where its state goes, and who may speak to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "server/registry.h"
#include "tests/unit/config_fixture.h"

#define FLEET "simulation: {hosts: [{name: b, count: 3}, {name: a}]}\n"

/* Beside the content of c.yaml, which may be NULL: fleet.yaml, as `serve --simulate` reads it. */
static void read_simulated(const struct place *place, const char *content, const char *fleet, const char *database,
			   struct config *ret_config)
{
	CLEANUP_FREE char *path = content ? write_file(place, "c.yaml", content) : NULL;
	CLEANUP_FREE char *fleet_path = write_file(place, "fleet.yaml", fleet);
	const char *paths[] = { path };
	const struct config_source source = { .paths = paths,
					      .count = content != NULL,
					      .simulation = fleet_path,
					      .simulation_folder = "/tmp/folder",
					      .simulation_database = database };
	struct error error = { 0 };
	int result = config_read(&source, NULL, NULL, ret_config, &error);

	assert_string_equal(error.text, "");
	assert_int_equal(result, 0);
}

/* In the place of those that are configured. What is said of no host by itself is the scheduler's to say. */
static void a_row_of_hosts_stands_for_as_many_as_it_says(void **state)
{
	static const char *const names[] = { "b-1", "b-2", "b-3", "a" };
	CLEANUP_CONFIG struct config config = { 0 };

	read_simulated(*state, AUTH "node: n\nhosts: [{name: real, uri: 'test:///default'}]\n", FLEET, NULL, &config);
	const struct registry_settings settings = config_registry(&config);
	assert_int_equal(settings.host_count, ARRAY_LENGTH(names));
	assert_string_equal(settings.node, "n");
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		const struct host_settings *host = &settings.hosts[i];

		assert_string_equal(host->name, names[i]);
		assert_string_equal(host->uri, "simulated:///");
		assert_int_equal(host->reserved_memory_mb, -1);
		assert_int_equal(host->reserved_disk_mb, -1);
		assert_null(host->migration_address);
		assert_false(host->cpu_allocation_ratio > 0);
	}
}

static void without_a_fleet_the_configured_hosts_are_registered(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };

	read_good(*state, AUTH "hosts: [{name: real, uri: 'test:///default'}]\n", &config);
	const struct registry_settings settings = config_registry(&config);
	assert_int_equal(settings.host_count, 1);
	assert_string_equal(settings.hosts[0].name, "real");
}

/* A real daemon's database and socket are never touched; what was asked for by name stays where it was asked for. */
static void the_state_goes_into_the_folder(void **state)
{
	static const struct {
		const char *content, *asked;
		const char *database, *admin_socket;
	} rows[] = {
		{ NULL, NULL, "/tmp/folder/migrationd.db", "/tmp/folder/admin.sock" },
		{ AUTH "database: /var/lib/real.db\n", NULL, "/tmp/folder/migrationd.db", "/tmp/folder/admin.sock" },
		{ AUTH "admin_socket: /run/own.sock\n", NULL, "/tmp/folder/migrationd.db", "/run/own.sock" },
		{ AUTH "database: /var/lib/real.db\n", "/home/kept.db", "/home/kept.db", "/tmp/folder/admin.sock" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_CONFIG struct config config = { 0 };

		read_simulated(*state, rows[i].content, FLEET, rows[i].asked, &config);
		assert_string_equal(config.database, rows[i].database);
		assert_string_equal(config.admin_socket, rows[i].admin_socket);
		assert_int_equal(config.hypervisor.driver, HYPERVISOR_DRIVER_SIMULATED);
	}
}

/* Two words are tokens where nobody else judges any; whoever else does is not joined by them. */
static void two_words_are_tokens_where_nothing_else_judges_them(void **state)
{
	static const struct {
		const char *content, *fleet;
		size_t count;
	} rows[] = {
		{ NULL, FLEET, 2 },
		{ "node: n\n", FLEET, 2 },
		{ AUTH, FLEET, 0 },
		{ "identity: {jwks: [{url: 'http://keys.example/'}]}\n", FLEET, 0 },
		{ NULL, "simulation: {hosts: [{name: a}], tokens: {word: {roles: [reader]}}}\n", 1 },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_CONFIG struct config config = { 0 };

		read_simulated(*state, rows[i].content, rows[i].fleet, NULL, &config);
		assert_int_equal(config.simulation.token_count, rows[i].count);
		if (rows[i].count == 2) {
			assert_string_equal(config.simulation.tokens[0].token, "admin");
			assert_string_equal(config.simulation.tokens[0].roles[0], "admin");
			assert_string_equal(config.simulation.tokens[1].token, "member");
			assert_string_equal(config.simulation.tokens[1].roles[0], "member");
		}
	}
}

#define SIMULATED AUTH "hypervisor: {driver: simulated}\n"

static void what_cannot_be_is_told_with_its_line(void **state)
{
	expect_problems(*state, SIMULATED "simulation:\n  hosts: [{name: h, count: 2}, {name: h-2}]\n",
			"c.yaml:4: simulation: the host h-2 stands here a second time\n");
	expect_problems(*state,
			SIMULATED "simulation:\n"
				  "  hosts: [{name: h, count: 2}, {name: a}]\n"
				  "  servers:\n"
				  "  - {name: one, host: h}\n"
				  "  - {name: two, host: h-2}\n"
				  "  - {name: three, count: 2, id: 7e000000-0000-4000-8000-000000000002}\n"
				  "  - {name: four, count: 1, id: 7e000000-0000-4000-8000-000000000003, host: a}\n"
				  "  - {name: five, host: z}\n",
			"c.yaml:6: simulation: server one is on the host h, which is not among simulation.hosts\n"
			"c.yaml:8: simulation: 2 servers three cannot have one id: leave it out\n"
			"c.yaml:10: simulation: server five is on the host z, which is not among simulation.hosts\n");
	expect_problems(*state, SIMULATED "simulation:\n  servers:\n  - {name: one}\n  - {name: two}\n",
			"c.yaml:5: simulation: server one needs a host: there is none in simulation.hosts\n"
			"c.yaml:6: simulation: server two needs a host: there is none in simulation.hosts\n");
	expect_problems(*state, AUTH "\n" FLEET,
			"c.yaml:3: simulation: this describes a fleet that is not real: it is for `migrationd serve "
			"--simulate`, and a daemon of real hosts does not start with it\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_row_of_hosts_stands_for_as_many_as_it_says, config_fixture_setup,
						config_fixture_teardown),
		cmocka_unit_test_setup_teardown(without_a_fleet_the_configured_hosts_are_registered,
						config_fixture_setup, config_fixture_teardown),
		cmocka_unit_test_setup_teardown(the_state_goes_into_the_folder, config_fixture_setup,
						config_fixture_teardown),
		cmocka_unit_test_setup_teardown(two_words_are_tokens_where_nothing_else_judges_them,
						config_fixture_setup, config_fixture_teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_is_told_with_its_line, config_fixture_setup,
						config_fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
