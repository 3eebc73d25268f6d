/* Lists of servers: what each filter selects, for admins and for others, and what each key sorts by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/text.h"

#define SECOND 1000000

static const struct api_who admin = { .user = "boss", .project = "project", .role = "admin" };
static const struct api_who reader = { .user = "user", .project = "project", .role = "reader" };

/* Of the same project: newest first they stand as c, b, a; by their other fields, rising, as b, c, a. */
static const struct {
	const char *name;
	int place; /* among the others, by its fields */
	const char *uuid, *vm_state, *task_state, *locked_by, *tags, *address, *address6;
	int power_state;
} servers[] = {
	{ "a", 3, "33333333-0000-4000-8000-000000000000", "stopped", "powering-on", "owner", "[\"x\", \"y\"]",
	  "10.0.0.3", "fd00::3", 4 },
	{ "b", 1, "11111111-0000-4000-8000-000000000000", "active", "", "", "[\"x\"]", "10.0.0.1", "fd00::1", 1 },
	{ "c", 2, "22222222-0000-4000-8000-000000000000", "paused", "pausing", "admin", "[]", "10.0.0.2", "fd00::2",
	  3 },
};

static void fill(struct db_server *server, size_t i)
{
	int place = servers[i].place;

	TEXT_COPY(server->name, servers[i].name);
	TEXT_COPY(server->uuid, servers[i].uuid);
	TEXT_COPY(server->project_id, "project");
	TEXT_COPY(server->vm_state, servers[i].vm_state);
	TEXT_COPY(server->task_state, servers[i].task_state);
	TEXT_COPY(server->locked_by, servers[i].locked_by);
#define NUMBERED(field, prefix) snprintf(server->field, sizeof(server->field), prefix "%d", place)
	NUMBERED(user_id, "user-");
	NUMBERED(hostname, "name-");
	NUMBERED(image_id, "image-");
	NUMBERED(key_name, "key-");
	NUMBERED(config_drive, "drive-");
	NUMBERED(availability_zone, "zone-");
	NUMBERED(reservation_id, "r-");
	NUMBERED(root_device_name, "/dev/vd");
	NUMBERED(flavor.flavor_id, "flavor-");
	NUMBERED(flavor.name, "flavor-");
#undef NUMBERED
	server->host_id = place;
	server->power_state = servers[i].power_state;
	server->created_us = FIXTURE_START_US + (int64_t)i * SECOND;
	server->updated_us = FIXTURE_START_US + (60 + place) * SECOND;
	server->launched_us = FIXTURE_START_US + place * SECOND;
	server->terminated_us = FIXTURE_START_US + place * SECOND;
	server->tags = strdup(servers[i].tags);
	server->addresses =
		text_format("{\"net\": [{\"addr\": \"192.0.2.9\"}, {\"addr\": \"%s\"}, {\"addr\": \"%s\"}]}",
			    servers[i].address, servers[i].address6);
}

static int insert_all(struct db_session *session, void *context, struct error *error)
{
	int result = 0;

	(void)context;
	for (size_t i = 0; i < ARRAY_LENGTH(servers) && result == 0; i++) {
		CLEANUP_DB_SERVER struct db_server server = { 0 };

		fill(&server, i);
		result = db_server_insert(session, &server, error);
	}
	CLEANUP_DB_SERVER struct db_server other = { .name = "other",
						     .project_id = "other-project",
						     .vm_state = "active" };
	CLEANUP_DB_SERVER struct db_server deleted = { .name = "deleted",
						       .project_id = "project",
						       .vm_state = "deleted",
						       .is_deleted = true,
						       .updated_us = FIXTURE_START_US };

	uuid_make(other.uuid);
	uuid_make(deleted.uuid);
	other.created_us = deleted.created_us = FIXTURE_START_US - SECOND;
	if (result == 0)
		result = db_server_insert(session, &other, error);
	return result < 0 ? result : db_server_insert(session, &deleted, error);
}

static int set_up(void **state)
{
	int result = api_fixture_setup(state);
	struct api_fixture *fixture = *state;

	if (result < 0)
		return result;
	for (int i = 1; i <= 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "host%d", i);
		db_fixture_host(fixture->db, name);
	}
	db_fixture_write(fixture->db, insert_all, NULL);
	return 0;
}

/* The names of the list, one after the other. */
static void expect(struct api_fixture *fixture, const struct api_who *who, const char *query, const char *expected)
{
	CLEANUP_FREE char *path = text_format("/v2.1/servers?%s", query);
	const struct api_answer *answer = api_fixture_ask(fixture, who, "compute 2.90", "GET", path, NULL);
	CLEANUP_TEXT struct text names = TEXT_EMPTY;
	json_t *row;
	size_t index;

	text_append(&names, "");
	json_array_foreach(json_object_get(answer->document, "servers"), index, row)
		text_append(&names, json_string_value(json_object_get(row, "name")));
	if (answer->status != 200 || !text_equal(names.data, expected))
		fail_msg("%s: %d %s%s", query, answer->status, answer->message, names.data);
}

static void expect_refused(struct api_fixture *fixture, const struct api_who *who, const char *query, int status,
			   const char *message)
{
	CLEANUP_FREE char *path = text_format("/v2.1/servers?%s", query);
	const struct api_answer *answer = api_fixture_ask(fixture, who, "compute 2.90", "GET", path, NULL);

	if (answer->status != status || !text_equal(answer->message, message))
		fail_msg("%s: %d %s", query, answer->status, answer->message);
}

static void each_filter_selects_by_its_own_field(void **state)
{
	static const struct {
		const char *query, *selected;
		bool is_for_admins; /* others get the list as if they had not asked for it */
	} filters[] = {
		{ "name=a", "a", false },
		{ "name=[ab]", "ba", false },
		{ "user_id=user-1", "b", true },
		{ "host=host2", "c", true },
		{ "node=host3", "a", true },
		{ "hostname=name-1", "b", true },
		{ "uuid=22222222-0000-4000-8000-000000000000", "c", true },
		{ "vm_state=stopped", "a", true },
		{ "task_state=pausing", "c", true },
		{ "availability_zone=zone-2", "c", true },
		{ "reservation_id=r-3", "a", false },
		{ "image=image-1", "b", false },
		{ "flavor=flavor-2", "c", false },
		{ "status=SHUTOFF", "a", false },
		{ "status=paused&status=ACTIVE", "cb", false },
		{ "power_state=4", "a", false },
		{ "power_state=x", "", false },
		{ "power_state=04", "a", false },
		{ "locked=true", "ca", false },
		{ "locked=0", "b", false },
		{ "tags=x", "ba", false },
		{ "tags=y,x", "a", false },
		{ "tags=x,z", "", false },
		{ "ip=10.0.0.[13]", "ba", false },
		{ "ip=192.0.2", "cba", false },
		{ "ip6=fd00::2", "c", false },
		{ "ip=10.0.0.1&ip6=fd00::2", "", false },
		{ "name=a&ip=10.0.0.1", "", false },
		{ "host=host9", "", true },
		/* Several at once, and the last of several. */
		{ "image=image-1&flavor=flavor-2", "", false },
		{ "image=image-1&flavor=flavor-1", "b", false },
		{ "image=image-1&image=image-2", "c", false },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(filters); i++) {
		expect(*state, &admin, filters[i].query, filters[i].selected);
		expect(*state, &reader, filters[i].query, filters[i].is_for_admins ? "cba" : filters[i].selected);
	}
}

/* What is filtered is cut afterwards: a page is full as long as there are rows for it. */
static void a_page_of_one_has_the_first_that_is_selected(void **state)
{
	static const struct {
		const char *query, *first;
	} pages[] = {
		{ "name=a", "a" },        { "user_id=user-1", "b" },  { "status=SHUTOFF", "a" },
		{ "power_state=4", "a" }, { "locked=0", "b" },        { "tags=x", "b" },
		{ "ip=10.0.0.1", "b" },   { "ip6=fd00::3", "a" },     { "sort_key=uuid&sort_dir=asc", "b" },
		{ "sort_dir=asc", "a" },  { "flavor=flavor-3", "a" }, { "changes-before=2026-01-02T00:01:01Z", "b" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(pages); i++) {
		CLEANUP_FREE char *query = text_format("%s&limit=1", pages[i].query);

		expect(*state, &admin, query, pages[i].first);
	}
}

/* Whoever follows changes hears of deletions. A row that never changed counts by when it was made. */
static void changes_are_selected_with_both_ends_of_the_time(void **state)
{
	static const struct {
		const char *query, *selected;
	} changes[] = {
		{ "changes-since=2026-01-02T00:01:02Z", "ca" },
		{ "changes-since=2026-01-02T00:01:03Z", "a" },
		{ "changes-since=2026-01-02T00:01:04Z", "" },
		{ "changes-before=2026-01-02T00:01:02Z", "cbdeleted" },
		{ "changes-before=2026-01-02T00:00:00Z", "deleted" },
		{ "changes-before=2026-01-01T23:59:59Z", "" },
		{ "changes-since=2026-01-02T00:01:01Z&changes-before=2026-01-02T00:01:02Z", "cb" },
		{ "changes-since=2026-01-02T00:01:02.5Z&changes-before=2026-01-02T00:01:03.5Z", "a" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
		expect(*state, &admin, changes[i].query, changes[i].selected);
		expect(*state, &reader, changes[i].query, changes[i].selected);
	}
	expect(*state, &admin, "all_tenants=1&changes-before=2026-01-01T23:59:59Z", "other");
}

static void whose_servers_are_listed_is_said_by_all_tenants(void **state)
{
	static const char *const on[] = { "", "1", "t", "True", "ON", "y", "yes" };
	static const char *const off[] = { "0", "f", "False", "off", "N", "no" };
	static const char refusal[] =
		"Unrecognized value '2', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', "
		"'off', 'on', 't', 'true', 'y', 'yes'";

	for (size_t i = 0; i < ARRAY_LENGTH(on); i++) {
		CLEANUP_FREE char *query = text_format("all_tenants=%s", on[i]);

		expect(*state, &admin, query, "cbaother");
		expect_refused(*state, &reader, query, 403,
			       "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed.");
	}
	for (size_t i = 0; i < ARRAY_LENGTH(off); i++) {
		CLEANUP_FREE char *query = text_format("all_tenants=%s", off[i]);

		expect(*state, &admin, query, "cba");
		expect(*state, &reader, query, "cba");
	}
	expect_refused(*state, &admin, "all_tenants=2", 400, refusal);
	expect_refused(*state, &reader, "locked=2", 400, refusal);
	expect(*state, &admin, "all_tenants=1&project_id=other-project", "other");
	expect(*state, &admin, "all_tenants=1&tenant_id=other-project", "other");
	expect(*state, &admin, "all_tenants=1&project_id=project&tenant_id=other-project", "cba");
	expect(*state, &admin, "project_id=other-project", "cba");
	expect(*state, &admin, "all_tenants=1&status=DELETED", "deleted");
}

static void each_key_sorts_by_its_own_field(void **state)
{
	static const char *const rising[] = { "availability_zone", "config_drive",     "host",
					      "hostname",          "image_ref",        "key_name",
					      "launched_at",       "locked_by",        "node",
					      "power_state",       "root_device_name", "terminated_at",
					      "updated_at",        "user_id",          "uuid" };
	static const char *const by_age[] = { "created_at", "display_name", "instance_type_id" };
	/* Taken, and the order stays. */
	static const char *const idle[] = { "access_ip_v4", "access_ip_v6", "auto_disk_config", "display_description",
					    "kernel_id",    "launch_index", "progress",         "project_id",
					    "ramdisk_id",   "architecture", "cell_name",        "cleaned",
					    "deleted",      "id",           "memory_mb",        "vcpus",
					    "vm_mode" };
	static const struct {
		const char *const *keys;
		size_t count;
		const char *asc, *desc;
	} groups[] = {
		{ rising, ARRAY_LENGTH(rising), "bca", "acb" },
		{ by_age, ARRAY_LENGTH(by_age), "abc", "cba" },
		{ idle, ARRAY_LENGTH(idle), "cba", "cba" },
	};

	for (size_t g = 0; g < ARRAY_LENGTH(groups); g++)
		for (size_t i = 0; i < groups[g].count; i++) {
			CLEANUP_FREE char *asc = text_format("sort_key=%s&sort_dir=asc", groups[g].keys[i]);
			CLEANUP_FREE char *desc = text_format("sort_key=%s&sort_dir=desc", groups[g].keys[i]);
			CLEANUP_FREE char *bare = text_format("sort_key=%s", groups[g].keys[i]);

			expect(*state, &reader, asc, groups[g].asc);
			expect(*state, &reader, desc, groups[g].desc);
			expect(*state, &reader, bare, groups[g].desc);
		}
	expect(*state, &reader, "sort_key=vm_state&sort_dir=asc", "bca"); /* active, paused, stopped */
	expect(*state, &reader, "sort_key=task_state&sort_dir=asc", "bca"); /* none, pausing, powering-on */
}

static void several_keys_sort_one_after_the_other_each_in_its_direction(void **state)
{
	expect(*state, &reader, "sort_dir=asc", "abc");
	expect(*state, &reader, "sort_dir=desc", "cba");
	expect(*state, &reader, "sort_key=project_id&sort_key=uuid&sort_dir=asc&sort_dir=desc", "acb");
	expect(*state, &reader, "sort_key=project_id&sort_key=uuid&sort_dir=desc&sort_dir=asc", "bca");
	/* Where directions are fewer the first counts for the others. */
	expect(*state, &reader, "sort_key=project_id&sort_key=uuid&sort_dir=asc", "bca");
	expect(*state, &reader, "sort_key=uuid&sort_key=display_name&sort_dir=asc", "bca");
	expect(*state, &reader, "sort_key=display_name&sort_key=uuid&sort_dir=asc", "abc");
	/* A key that comes again decides nothing. */
	expect(*state, &reader, "sort_key=uuid&sort_key=uuid&sort_dir=desc&sort_dir=asc", "acb");
	expect(*state, &reader, "sort_key=uuid&sort_dir=asc&limit=2", "bc");
	expect(*state, &reader, "sort_key=uuid&sort_dir=asc&limit=2&marker=22222222-0000-4000-8000-000000000000", "a");
	expect(*state, &reader, "sort_key=uuid&sort_dir=asc&name=[ab]&limit=1", "b");
}

static void keys_and_directions_that_are_none_are_refused(void **state)
{
	struct api_fixture *fixture = *state;
	static const char direction[] = "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'";
	static const char *const directions[] = { "sort_dir=", "sort_dir=ASC", "sort_dir=asc&sort_dir=up",
						  "sort_key=uuid&sort_dir=x" };
	static const char *const keys[] = { "sort_key=nothing", "sort_key=", "sort_key=uuid&sort_key=Uuid",
					    "sort_key=nothing&sort_dir=x" };

	for (size_t i = 0; i < ARRAY_LENGTH(directions); i++)
		expect_refused(fixture, &reader, directions[i], 400, direction);
	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
		CLEANUP_FREE char *path = text_format("/v2.1/servers?%s", keys[i]);
		const struct api_answer *answer = api_fixture_ask(fixture, &reader, "compute 2.90", "GET", path, NULL);

		assert_int_equal(answer->status, 400);
		assert_non_null(strstr(answer->message, "Invalid input for query parameters sort_key. Value: "));
		assert_non_null(strstr(answer->message, " is not one of ['access_ip_v4', 'access_ip_v6', "));
		assert_true(text_ends_with(answer->message, "'vcpus', 'vm_mode']"));
	}
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_filter_selects_by_its_own_field),
		TEST(a_page_of_one_has_the_first_that_is_selected),
		TEST(changes_are_selected_with_both_ends_of_the_time),
		TEST(whose_servers_are_listed_is_said_by_all_tenants),
		TEST(each_key_sorts_by_its_own_field),
		TEST(several_keys_sort_one_after_the_other_each_in_its_direction),
		TEST(keys_and_directions_that_are_none_are_refused),
	};

	return cmocka_run_group_tests(tests, set_up, api_fixture_teardown);
}
