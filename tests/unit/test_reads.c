/* What GETs answer, through the whole API over a real database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "api_fixture.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <stdio.h>

/* The same people as readers: Keystone puts the roles that a role implies into the token, the fixture one alone. */
static struct api_who reader(const struct api_who *who)
{
	return (struct api_who){ .user = who->user, .project = who->project, .role = "reader" };
}

static const struct api_answer *get(struct api_fixture *fixture, const struct api_who *who, const char *version,
				    const char *path)
{
	return api_fixture_ask(fixture, who, version, "GET", path, NULL);
}

static json_t *rows(const struct api_answer *answer, const char *name)
{
	json_t *list = json_object_get(answer->document, name);

	assert_int_equal(answer->status, 200);
	assert_true(json_is_array(list));
	return list;
}

static void an_owner_sees_its_server_without_the_host(void **state)
{
	struct api_fixture *fixture = *state;
	const struct api_who owner = reader(&api_member);
	char uuid[UUID_SIZE];
	char path[128];
	const json_t *server;

	db_fixture_server(fixture->db, "one", db_fixture_host(fixture->db, "host1"), uuid);
	snprintf(path, sizeof(path), "/v2.1/servers/%s", uuid);
	server = json_object_get(get(fixture, &owner, "compute 2.90", path)->document, "server");
	assert_string_equal(json_string_value(json_object_get(server, "status")), "ACTIVE");
	assert_null(json_object_get(server, "OS-EXT-SRV-ATTR:host"));
	server = json_object_get(get(fixture, &api_admin, "compute 2.90", path)->document, "server");
	assert_string_equal(json_string_value(json_object_get(server, "OS-EXT-SRV-ATTR:host")), "host1");
}

static void another_project_finds_no_server(void **state)
{
	struct api_fixture *fixture = *state;
	const struct api_who owner = reader(&api_member);
	const struct api_who stranger = reader(&api_stranger);
	char uuid[UUID_SIZE];
	char path[128];

	db_fixture_server(fixture->db, "one", db_fixture_host(fixture->db, "host1"), uuid);
	snprintf(path, sizeof(path), "/v2.1/servers/%s", uuid);
	assert_int_equal(get(fixture, &stranger, NULL, path)->status, 404);
	assert_int_equal(json_array_size(rows(get(fixture, &stranger, NULL, "/v2.1/servers"), "servers")), 0);
	assert_int_equal(get(fixture, &owner, NULL, "/v2.1/servers?all_tenants=1")->status, 403);
}

static void a_full_page_leads_to_the_next(void **state)
{
	struct api_fixture *fixture = *state;
	const struct api_who owner = reader(&api_member);
	int64_t host = db_fixture_host(fixture->db, "host1");
	const struct api_answer *answer;

	db_fixture_server(fixture->db, "one", host, NULL);
	db_fixture_server(fixture->db, "two", host, NULL);
	answer = get(fixture, &owner, NULL, "/v2.1/servers?limit=1");
	assert_int_equal(json_array_size(rows(answer, "servers")), 1);
	assert_non_null(json_object_get(answer->document, "servers_links"));
	answer = get(fixture, &owner, NULL, "/v2.1/servers/detail?name=^two$");
	assert_int_equal(json_array_size(rows(answer, "servers")), 1);
	assert_int_equal(get(fixture, &owner, NULL, "/v2.1/servers?limit=x")->status, 400);
}

static void migrations_are_for_those_who_may_see_all_projects(void **state)
{
	struct api_fixture *fixture = *state;
	const struct api_who owner = reader(&api_member);
	int64_t host = db_fixture_host(fixture->db, "host1");
	char uuid[UUID_SIZE];

	db_fixture_host(fixture->db, "host2");
	db_fixture_server(fixture->db, "one", host, uuid);
	db_fixture_migration(fixture->db, uuid, "host1", "host2");
	assert_int_equal(get(fixture, &owner, NULL, "/v2.1/os-migrations")->status, 403);
	assert_int_equal(
		json_array_size(rows(get(fixture, &api_admin, "compute 2.59", "/v2.1/os-migrations"), "migrations")),
		1);
	assert_int_equal(get(fixture, &api_admin, "compute 2.59", "/v2.1/os-migrations?x=1")->status, 400);
}

static void hypervisors_and_services_are_for_admins(void **state)
{
	struct api_fixture *fixture = *state;
	const struct api_who owner = reader(&api_member);

	db_fixture_host(fixture->db, "host1");
	assert_int_equal(get(fixture, &owner, NULL, "/v2.1/os-hypervisors")->status, 403);
	assert_int_equal(get(fixture, &owner, NULL, "/v2.1/os-services")->status, 403);
	assert_int_equal(
		json_array_size(rows(get(fixture, &api_admin, NULL, "/v2.1/os-hypervisors/detail"), "hypervisors")), 1);
	assert_int_equal(
		json_array_size(rows(get(fixture, &api_admin, NULL, "/v2.1/os-services?host=host1"), "services")), 1);
	assert_int_equal(get(fixture, &api_admin, NULL, "/v2.1/os-hypervisors/99")->status, 404);
}

static void a_sorted_list_goes_on_behind_its_marker(void **state)
{
	struct api_fixture *fixture = *state;
	const struct api_who owner = reader(&api_member);
	int64_t host = db_fixture_host(fixture->db, "host1");
	char first[UUID_SIZE], path[160];

	db_fixture_server(fixture->db, "c", host, NULL);
	db_fixture_server(fixture->db, "a", host, first);
	db_fixture_server(fixture->db, "b", host, NULL);
	snprintf(path, sizeof(path), "/v2.1/servers?sort_key=display_name&sort_dir=asc&marker=%s", first);
	json_t *list = rows(get(fixture, &owner, "compute 2.90", path), "servers");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "name")), "b");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "name")), "c");

	const struct api_answer *answer =
		get(fixture, &owner, "compute 2.90", "/v2.1/servers?sort_key=display_name&marker=none");
	assert_int_equal(answer->status, 400);
	assert_string_equal(answer->message, "marker [none] not found");
}

static const json_t *only_flavor(struct api_fixture *fixture, const char *version, const char *path)
{
	const json_t *list = rows(get(fixture, &api_admin, version, path), "flavors");

	assert_int_equal(json_array_size(list), 1);
	return json_array_get(list, 0);
}

static void flavors_of_the_servers_are_told_as_each_microversion_has_them(void **state)
{
	struct api_fixture *fixture = *state;
	char path[256];

	db_fixture_server(fixture->db, "one", db_fixture_host(fixture->db, "host1"), NULL);
	const json_t *brief = only_flavor(fixture, NULL, "/v2.1/flavors");
	assert_int_equal(json_object_size(brief), 3);
	snprintf(path, sizeof(path), "/v2.1/flavors/%s", json_string_value(json_object_get(brief, "id")));
	const json_t *old = only_flavor(fixture, NULL, "/v2.1/flavors/detail?is_public=None");
	assert_string_equal(json_string_value(json_object_get(old, "swap")), "");
	assert_null(json_object_get(old, "extra_specs"));
	const json_t *new = only_flavor(fixture, "compute 2.104", "/v2.1/flavors/detail?minRam=1024");
	assert_int_equal(json_integer_value(json_object_get(new, "swap")), 0);
	assert_true(json_is_object(json_object_get(new, "extra_specs")));
	assert_int_equal(json_integer_value(json_object_get(new, "ram")), 1024);
	assert_int_equal(json_array_size(rows(get(fixture, &api_admin, NULL, "/v2.1/flavors?minRam=1025"), "flavors")),
			 0);
	assert_int_equal(get(fixture, &api_admin, NULL, "/v2.1/flavors?minDisk=x")->status, 400);
	assert_int_equal(get(fixture, &api_admin, NULL, "/v2.1/flavors?marker=nothing")->status, 400);
	assert_int_equal(get(fixture, &api_admin, "compute 2.75", "/v2.1/flavors?nothing=1")->status, 400);
	assert_int_equal(get(fixture, &api_admin, NULL, "/v2.1/flavors/nothing")->status, 404);
	const struct api_answer *answer = get(fixture, &api_admin, "compute 2.55", path);
	assert_int_equal(answer->status, 200);
	assert_true(json_is_null(json_object_get(json_object_get(answer->document, "flavor"), "description")));
}

/* None is private, so that a list of private ones is empty; any other word asks for all. */
static void flavors_are_public_and_selected_by_what_they_have_at_least(void **state)
{
	static const struct {
		const char *query;
		size_t count;
	} queries[] = {
		{ "is_public=False", 0 }, { "is_public=True", 1 }, { "is_public=None", 1 },    { "is_public=false", 1 },
		{ "minRam=1024", 1 },     { "minRam=1025", 0 },    { "minDisk=10", 1 },        { "minDisk=11", 0 },
		{ "minRam=-1", 1 },       { "minDisk=0", 1 },      { "minRam=2147483647", 0 },
	};
	static const struct {
		const char *query, *message;
	} refused[] = {
		{ "minRam=x", "Invalid minRam filter [x]" },
		{ "minDisk=", "Invalid minDisk filter []" },
		{ "minRam=2147483648", "Invalid minRam filter [2147483648]" },
		{ "minDisk=1.5", "Invalid minDisk filter [1.5]" },
		{ "is_public=False&marker=nothing", "marker [nothing] not found" },
	};
	struct api_fixture *fixture = *state;
	static const char *const lists[] = { "/v2.1/flavors", "/v2.1/flavors/detail" };

	db_fixture_server(fixture->db, "one", db_fixture_host(fixture->db, "host1"), NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(queries) * ARRAY_LENGTH(lists); i++) {
		CLEANUP_FREE char *path = text_format("%s?%s", lists[i % 2], queries[i / 2].query);
		size_t count = json_array_size(rows(get(fixture, &api_admin, NULL, path), "flavors"));

		if (count != queries[i / 2].count)
			fail_msg("%s: %zu", path, count);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(refused) * ARRAY_LENGTH(lists); i++) {
		CLEANUP_FREE char *path = text_format("%s?%s", lists[i % 2], refused[i / 2].query);
		const struct api_answer *answer = get(fixture, &api_admin, NULL, path);

		assert_int_equal(answer->status, 400);
		assert_string_equal(answer->message, refused[i / 2].message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_owner_sees_its_server_without_the_host, api_fixture_setup,
						api_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_sorted_list_goes_on_behind_its_marker, api_fixture_setup,
						api_fixture_teardown),
		cmocka_unit_test_setup_teardown(another_project_finds_no_server, api_fixture_setup,
						api_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_full_page_leads_to_the_next, api_fixture_setup, api_fixture_teardown),
		cmocka_unit_test_setup_teardown(migrations_are_for_those_who_may_see_all_projects, api_fixture_setup,
						api_fixture_teardown),
		cmocka_unit_test_setup_teardown(flavors_of_the_servers_are_told_as_each_microversion_has_them,
						api_fixture_setup, api_fixture_teardown),
		cmocka_unit_test_setup_teardown(flavors_are_public_and_selected_by_what_they_have_at_least,
						api_fixture_setup, api_fixture_teardown),
		cmocka_unit_test_setup_teardown(hypervisors_and_services_are_for_admins, api_fixture_setup,
						api_fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
