/* os-hypervisors: hosts by number and by UUID, with their servers, sums and uptime, at the microversions that had them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "db/session.h"

#define UNKNOWN "11111111-0000-4000-8000-000000000000"

/* Hosts alpha (two servers), beta (one server, disabled) and gamma (none). */
struct world {
	struct api_fixture *fixture;
	int64_t ids[3];
	char uuids[3][UUID_SIZE];
};

static const char *const names[] = { "alpha", "beta", "gamma" };

static int prepare(struct db_session *session, void *context, struct error *error)
{
	static const char sql[] =
		"UPDATE hosts SET facts = '{\"booted_us\": 1767225600000000}' WHERE name IN ('alpha', 'beta');"
		"UPDATE hosts SET reserved_memory_mb = 100, reserved_disk_gb = 5 WHERE name = 'gamma';"
		"UPDATE services SET is_disabled = 1, disabled_reason = 'work' WHERE host = 'beta';"
		"UPDATE servers SET instance_name = 'instance-' || name";

	(void)context;
	return sqlite3_exec(session->connection, sql, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : error_set(error, EIO, "%s", sqlite3_errmsg(session->connection));
}

static int set_up(void **state)
{
	if (api_fixture_setup_within(state, sizeof(struct world)) < 0)
		return -1;
	struct world *world = *state;
	struct db_fixture *db = world->fixture->db;

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		world->ids[i] = db_fixture_host(db, names[i]);
	db_fixture_server(db, "first", world->ids[0], NULL);
	db_fixture_server(db, "second", world->ids[0], NULL);
	db_fixture_server(db, "third", world->ids[1], NULL);
	db_fixture_write(db, prepare, NULL);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(db);
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		CLEANUP_DB_HOST struct db_host host = { 0 };

		assert_int_equal(db_host_by_id(session, world->ids[i], &host, NULL), 0);
		TEXT_COPY(world->uuids[i], host.uuid);
	}
	world->fixture->settings.reserved_memory_mb = 512;
	world->fixture->settings.reserved_disk_gb = 2;
	api_fixture_renew(world->fixture);
	return 0;
}

static const struct api_answer *get(struct world *world, int minor, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static const struct api_answer *get(struct world *world, int minor, const char *format, ...)
{
	CLEANUP_FREE char *version = text_format("compute 2.%d", minor);
	char path[512] = "/v2.1/os-hypervisors";
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(path + strlen(path), sizeof(path) - strlen(path), format, arguments);
	va_end(arguments);
	return api_fixture_ask(world->fixture, &api_admin, version, "GET", path, NULL);
}

static void expect_refused(const struct api_answer *answer, int status, const char *message)
{
	assert_string_equal(answer->message, message);
	assert_int_equal(answer->status, status);
}

/* The rows as "alpha(instance-first instance-second) beta", with brackets where a row has a list of servers. */
static void expect_rows(const struct api_answer *answer, const char *expected)
{
	CLEANUP_TEXT struct text found = TEXT_EMPTY;
	json_t *row, *server;
	size_t index, place;

	text_append(&found, "");
	json_array_foreach(json_object_get(answer->document, "hypervisors"), index, row)
	{
		json_t *servers = json_object_get(row, "servers");

		text_append_format(&found, "%s%s", index ? " " : "",
				   json_string_value(json_object_get(row, "hypervisor_hostname")));
		text_append(&found, servers ? "(" : "");
		json_array_foreach(servers, place, server) text_append_format(
			&found, "%s%s", place ? " " : "", json_string_value(json_object_get(server, "name")));
		text_append(&found, servers ? ")" : "");
	}
	assert_string_equal(answer->message, "");
	assert_int_equal(answer->status, 200);
	assert_string_equal(found.data, expected);
}

static void hosts_are_found_by_a_part_of_their_name(void **state)
{
	struct world *world = *state;

	expect_rows(get(world, 52, "/a/search"), "alpha beta gamma");
	expect_rows(get(world, 52, "/et/search"), "beta");
	expect_refused(get(world, 52, "/delta/search"), 404, "No hypervisor matching 'delta' could be found.");
	expect_rows(get(world, 53, "?hypervisor_hostname_pattern=a"), "alpha beta gamma");
	expect_rows(get(world, 53, "?hypervisor_hostname_pattern=et"), "beta");
	expect_refused(get(world, 53, "?hypervisor_hostname_pattern=delta"), 404,
		       "No hypervisor matching 'delta' could be found.");
	/* Before, it is no parameter. */
	expect_rows(get(world, 52, "?hypervisor_hostname_pattern=delta"), "alpha beta gamma");
	expect_refused(get(world, 53, "?hypervisor_hostname_pattern=a&limit=1"), 400,
		       "The server could not comply with the request since it is either malformed or otherwise "
		       "incorrect.");
	expect_refused(get(world, 53, "?hypervisor_hostname_pattern=a&marker=%s", world->uuids[0]), 400,
		       "The server could not comply with the request since it is either malformed or otherwise "
		       "incorrect.");
}

/* An empty list is left out before 2.75. */
static void hosts_are_listed_with_their_servers_oldest_first(void **state)
{
	struct world *world = *state;
	static const char before[] = "alpha(instance-first instance-second) beta(instance-third) gamma";
	static const char since[] = "alpha(instance-first instance-second) beta(instance-third) gamma()";

	expect_rows(get(world, 52, "/a/servers"), before);
	expect_rows(get(world, 52, "/et/servers"), "beta(instance-third)");
	expect_refused(get(world, 52, "/delta/servers"), 404, "No hypervisor matching 'delta' could be found.");
	expect_rows(get(world, 53, "?with_servers=true"), before);
	expect_rows(get(world, 74, "/detail?with_servers=1"), before);
	expect_rows(get(world, 75, "?with_servers=yes"), since);
	expect_rows(get(world, 75, "?with_servers=off"), "alpha beta gamma");
	expect_rows(get(world, 75, "?"), "alpha beta gamma");
	expect_rows(get(world, 52, "?with_servers=true"), "alpha beta gamma");
}

static void with_servers_takes_the_words_of_a_boolean(void **state)
{
	static const char *const on[] = { "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes" };
	static const char *const off[] = { "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no" };
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(on); i++)
		expect_rows(get(world, 75, "?hypervisor_hostname_pattern=gam&with_servers=%s", on[i]), "gamma()");
	for (size_t i = 0; i < ARRAY_LENGTH(off); i++)
		expect_rows(get(world, 75, "?hypervisor_hostname_pattern=gam&with_servers=%s", off[i]), "gamma");
	expect_refused(
		get(world, 75, "?with_servers=tRUE"), 400,
		"Invalid input for query parameters with_servers. Value: tRUE. 'tRUE' is not one of [True, 'True', "
		"'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes', False, 'False', 'FALSE', 'false', "
		"'0', 'OFF', 'Off', 'off', 'NO', 'No', 'no']");
}

static void a_host_is_shown_by_its_number_before_2_53_and_by_its_uuid_since(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		const char *uuid = world->uuids[i];
		CLEANUP_FREE char *upper = strdup(uuid);
		const json_t *host;

		for (char *at = upper; *at; at++)
			*at = *at >= 'a' && *at <= 'f' ? (char)(*at - 'a' + 'A') : *at;
		host = json_object_get(get(world, 52, "/%" PRId64, world->ids[i])->document, "hypervisor");
		assert_string_equal(json_string_value(json_object_get(host, "hypervisor_hostname")), names[i]);
		host = json_object_get(get(world, 53, "/%s", uuid)->document, "hypervisor");
		assert_string_equal(json_string_value(json_object_get(host, "hypervisor_hostname")), names[i]);
		host = json_object_get(get(world, 53, "/%s", upper)->document, "hypervisor");
		assert_string_equal(json_string_value(json_object_get(host, "hypervisor_hostname")), names[i]);
	}
	for (int has_uptime = 0; has_uptime < 2; has_uptime++) {
		const char *uptime = has_uptime ? "/uptime" : "";

		expect_refused(get(world, 52, "/99%s", uptime), 404, "Hypervisor with ID '99' could not be found.");
		expect_refused(get(world, 52, "/0%s", uptime), 404, "Hypervisor with ID '0' could not be found.");
		expect_refused(get(world, 52, "/" UNKNOWN "%s", uptime), 404,
			       "Hypervisor with ID '" UNKNOWN "' could not be found.");
		expect_refused(get(world, 53, "/1%s", uptime), 400, "Invalid uuid 1");
		expect_refused(get(world, 53, "/" UNKNOWN "%s", uptime), 404,
			       "Hypervisor with ID '" UNKNOWN "' could not be found.");
	}
}

static void a_marker_is_an_id_of_its_microversion_or_the_uuid(void **state)
{
	struct world *world = *state;

	expect_rows(get(world, 52, "?marker=%" PRId64, world->ids[0]), "beta gamma");
	expect_rows(get(world, 52, "?marker=%s", world->uuids[1]), "gamma");
	expect_rows(get(world, 53, "?marker=%s", world->uuids[2]), "");
	expect_refused(get(world, 53, "?marker=1"), 400, "marker [1] not found");
	expect_refused(get(world, 52, "?marker=99"), 400, "marker [99] not found");
	/* The link names the last of the page in the same way. */
	static const struct {
		int minor;
		bool is_uuid;
	} pages[] = { { 33, false }, { 52, false }, { 53, true } };
	for (size_t i = 0; i < ARRAY_LENGTH(pages); i++) {
		const struct api_answer *answer = get(world, pages[i].minor, "?limit=2");
		const json_t *link = json_array_get(json_object_get(answer->document, "hypervisors_links"), 0);
		CLEANUP_FREE char *number = text_format("%" PRId64, world->ids[1]);
		CLEANUP_FREE char *expected =
			text_format("http://nova.example:8774/v2.1/os-hypervisors?limit=2&marker=%s",
				    pages[i].is_uuid ? world->uuids[1] : number);

		assert_string_equal(json_string_value(json_object_get(link, "href")), expected);
	}
}

/* What the hosts keep for themselves counts as used: the setting's where a host does not say. */
static void the_sums_are_those_of_the_enabled_hosts(void **state)
{
	static const struct {
		const char *name;
		int sum;
	} sums[] = {
		{ "count", 2 },
		{ "vcpus", 16 },
		{ "vcpus_used", 4 },
		{ "memory_mb", 16384 },
		{ "memory_mb_used", 2660 },
		{ "free_ram_mb", 13724 },
		{ "local_gb", 200 },
		{ "local_gb_used", 27 },
		{ "free_disk_gb", 173 },
		{ "running_vms", 2 },
		{ "current_workload", 0 },
		{ "disk_available_least", 0 },
	};
	const struct api_answer *answer = get(*state, 52, "/statistics");
	const json_t *found = json_object_get(answer->document, "hypervisor_statistics");

	assert_int_equal(answer->status, 200);
	assert_int_equal(json_object_size(found), ARRAY_LENGTH(sums));
	for (size_t i = 0; i < ARRAY_LENGTH(sums); i++)
		if (json_integer_value(json_object_get(found, sums[i].name)) != sums[i].sum)
			fail_msg("%s: %lld", sums[i].name, json_integer_value(json_object_get(found, sums[i].name)));
}

static int keep_nothing(struct db_session *session, void *context, struct error *error)
{
	static const char sql[] = "UPDATE hosts SET reserved_memory_mb = 0, reserved_disk_gb = 0 WHERE name = 'gamma'";

	(void)context;
	return sqlite3_exec(session->connection, sql, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : error_set(error, EIO, "%s", sqlite3_errmsg(session->connection));
}

static void a_host_that_keeps_nothing_for_itself_has_all_free(void **state)
{
	struct world *world = *state;

	db_fixture_write(world->fixture->db, keep_nothing, NULL);
	const struct api_answer *answer = get(world, 53, "/%s", world->uuids[2]);
	const json_t *host = json_object_get(answer->document, "hypervisor");
	assert_int_equal(json_integer_value(json_object_get(host, "free_ram_mb")), 8192);
	assert_int_equal(json_integer_value(json_object_get(host, "free_disk_gb")), 100);
	answer = get(world, 53, "/%s", world->uuids[0]);
	host = json_object_get(answer->document, "hypervisor");
	assert_int_equal(json_integer_value(json_object_get(host, "free_ram_mb")), 8192 - 2 * 1024 - 512);
	assert_int_equal(json_integer_value(json_object_get(host, "free_disk_gb")), 100 - 2 * 10 - 2);
}

static void uptime_is_shown_with_the_host_or_refused_as_not_told(void **state)
{
	struct world *world = *state;

	for (int minor = 52; minor <= 53; minor++) {
		CLEANUP_FREE char *alpha =
			minor == 52 ? text_format("%" PRId64, world->ids[0]) : strdup(world->uuids[0]);
		CLEANUP_FREE char *gamma =
			minor == 52 ? text_format("%" PRId64, world->ids[2]) : strdup(world->uuids[2]);
		const struct api_answer *answer = get(world, minor, "/%s/uptime?with_servers=true", alpha);
		const json_t *host = json_object_get(answer->document, "hypervisor");

		assert_int_equal(answer->status, 200);
		assert_string_equal(json_string_value(json_object_get(host, "hypervisor_hostname")), "alpha");
		assert_string_equal(json_string_value(json_object_get(host, "uptime")),
				    "up 1 days, 0 hours, 0 minutes");
		assert_null(json_object_get(host, "servers"));
		expect_refused(get(world, minor, "/%s/uptime", gamma), 501,
			       "Virt driver does not implement uptime function.");
	}
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hosts_are_found_by_a_part_of_their_name),
		TEST(hosts_are_listed_with_their_servers_oldest_first),
		TEST(with_servers_takes_the_words_of_a_boolean),
		TEST(a_host_is_shown_by_its_number_before_2_53_and_by_its_uuid_since),
		TEST(a_marker_is_an_id_of_its_microversion_or_the_uuid),
		TEST(the_sums_are_those_of_the_enabled_hosts),
		TEST(a_host_that_keeps_nothing_for_itself_has_all_free),
		TEST(uptime_is_shown_with_the_host_or_refused_as_not_told),
	};

	return cmocka_run_group_tests(tests, set_up, api_fixture_teardown_within);
}
