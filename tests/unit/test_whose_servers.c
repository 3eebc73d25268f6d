/* Whose servers, migrations and actions a token sees: its own project's and no others, whatever the policies allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/route_table.h"
#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/text.h"

#define NEWEST "compute 2.104"

/* A server with a live migration under way and an instance action. */
struct one {
	const char *project;
	char server[UUID_SIZE];
	char request_id[REQUEST_ID_SIZE];
	int64_t migration;
	struct db_job job;
};

struct world {
	struct api_fixture *fixture;
	int64_t host;
	struct one own, other, nobodys; /* the last of no project at all: discovered without an owner */
};

/* None of them is of a server's project; of the last three none has a project. */
static const struct api_who strangers[] = {
	{ .user = "user", .project = "third-project", .role = "reader" },
	{ .user = "user", .project = "third-project", .role = "manager" },
	{ .user = "user", .project = "projec", .role = "member" },
	{ .user = "user", .project = "project ", .role = "member" },
	{ .user = "user", .project = "PROJECT", .role = "member" },
	{ .user = "user", .project = "None", .role = "member" },
	{ .user = "user", .role = "reader" },
	{ .user = "user", .role = "manager" },
	{ .user = "user" },
	{ .user = "user", .domain = "project", .role = "member" },
	{ .user = "user", .system_scope = "all", .role = "reader" },
};

static const struct api_who reader = { .user = "user", .project = "project", .role = "reader" };
static const struct api_who manager = { .user = "user", .project = "project", .role = "manager" };

static int insert_one(struct db_session *session, void *context, struct error *error)
{
	struct one *one = context;
	CLEANUP_DB_SERVER struct db_server server = {
		.name = "vm",
		.user_id = "user",
		.host_id = 1,
		.vm_state = "active",
		.task_state = "migrating",
		.power_state = 1,
		.updated_us = FIXTURE_START_US,
		.flavor = { .flavor_id = "small", .name = "small", .vcpus = 2, .memory_mb = 1024, .disk_gb = 10 },
	};
	struct db_migration migration = {
		.status = "running",
		.type = "live-migration",
		.source_compute = "host1",
		.dest_compute = "host2",
		.user_id = "user",
	};
	struct db_action action = { .action = "live-migration" };

	request_id_make(one->request_id);
	uuid_make(one->server);
	TEXT_COPY(server.uuid, one->server);
	TEXT_COPY(server.project_id, one->project);
	TEXT_COPY(migration.server_uuid, one->server);
	TEXT_COPY(migration.project_id, one->project);
	TEXT_COPY(action.server_uuid, one->server);
	TEXT_COPY(action.request_id, one->request_id);
	int result = db_server_insert(session, &server, error);

	if (result == 0)
		result = db_migration_insert(session, &migration, error);
	if (result == 0)
		result = db_action_insert(session, &action, error);
	one->migration = migration.id;
	one->job = (struct db_job){ .kind = "live", .migration_id = migration.id, .source_host_id = 1 };
	TEXT_COPY(one->job.server_uuid, one->server);
	return result < 0 ? result : db_job_insert(session, &one->job, error);
}

static int set_up(void **state)
{
	if (api_fixture_setup_within(state, sizeof(struct world)) < 0)
		return -1;
	struct world *world = *state;
	assert_int_equal(db_fixture_host(world->fixture->db, "host1"), 1);
	db_fixture_host(world->fixture->db, "host2");
	world->own.project = "project";
	world->other.project = "other-project";
	world->nobodys.project = "";
	db_fixture_write(world->fixture->db, insert_one, &world->own);
	db_fixture_write(world->fixture->db, insert_one, &world->other);
	db_fixture_write(world->fixture->db, insert_one, &world->nobodys);
	return 0;
}

static const struct api_answer *get(struct world *world, const struct api_who *who, const char *version,
				    const char *path)
{
	return api_fixture_ask(world->fixture, who, version, "GET", path, NULL);
}

/* The ids in the list, each followed by a blank, with OWN and the like for those of the world. */
static void expect_list(struct world *world, const struct api_answer *answer, const char *path, const char *list,
			const char *field, const char *expected)
{
	const struct one *all[] = { &world->own, &world->other, &world->nobodys };
	const char *const names[] = { "own", "other", "nobodys" };
	CLEANUP_TEXT struct text found = TEXT_EMPTY;
	json_t *row;
	size_t index;

	if (answer->status != 200)
		fail_msg("%s: %d %s", path, answer->status, answer->message);
	text_append(&found, "");
	json_array_foreach(json_object_get(answer->document, list), index, row)
	{
		const char *id = json_string_value(json_object_get(row, field));

		for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
			if (text_equal(id, all[i]->server) || text_equal(id, all[i]->request_id))
				text_append_format(&found, "%s%s", found.length ? " " : "", names[i]);
	}
	if (!text_equal(found.data, expected))
		fail_msg("%s: lists \"%s\"", path, found.data);
}

static void who_is_of_no_servers_project_lists_none(void **state)
{
	static const char *const queries[] = {
		"",
		"?all_tenants=0",
		"?tenant_id=project",
		"?project_id=project",
		"?tenant_id=",
		"?user_id=user",
		"?status=ACTIVE",
		"?status=MIGRATING",
		"?name=vm",
		"?changes-since=2000-01-01",
		"?sort_key=display_name",
		"?limit=1",
		"?host=host1",
		"?uuid=",
		"?flavor=small",
		"?all_tenants=0&project_id=other-project",
		"?deleted=1",
	};
	static const char *const paths[] = { "/v2.1/servers", "/v2.1/servers/detail" };
	struct world *world = *state;

	api_fixture_allow_all_but(world->fixture, NULL, NULL);
	for (size_t who = 0; who < ARRAY_LENGTH(strangers); who++)
		for (size_t i = 0; i < ARRAY_LENGTH(queries) * ARRAY_LENGTH(paths); i++) {
			CLEANUP_FREE char *path =
				text_format("%s%s", paths[i % ARRAY_LENGTH(paths)], queries[i / ARRAY_LENGTH(paths)]);
			const struct api_answer *answer = get(world, &strangers[who], NULL, path);

			if (answer->status != 200 || json_array_size(json_object_get(answer->document, "servers"))
			    || json_object_get(answer->document, "servers_links"))
				fail_msg("stranger %zu, %s: %d with %zu servers", who, path, answer->status,
					 json_array_size(json_object_get(answer->document, "servers")));
		}
}

/* The defaults admit a reader without a project to the list: None is its project, and the target's. */
static void by_default_too_a_reader_without_a_project_lists_none(void **state)
{
	static const struct api_who unscoped = { .user = "user", .role = "reader" };
	struct world *world = *state;

	expect_list(world, get(world, &unscoped, NULL, "/v2.1/servers"), "/servers", "servers", "id", "");
	expect_list(world, get(world, &reader, NULL, "/v2.1/servers"), "/servers", "servers", "id", "own");
	assert_int_equal(get(world, &unscoped, NULL, "/v2.1/servers?all_tenants=1")->status, 403);
}

static void a_list_has_the_callers_own_project_alone(void **state)
{
	static const struct {
		const char *query, *version, *expected;
	} lists[] = {
		{ "", NULL, "own" },
		{ "?tenant_id=other-project", NULL, "own" },
		{ "?project_id=other-project", NEWEST, "own" },
		{ "?name=vm&project_id=other-project", NEWEST, "own" },
		{ "?all_tenants=false&tenant_id=other-project", NULL, "own" },
		{ "?changes-since=2000-01-01", NULL, "own" },
	};
	struct world *world = *state;

	api_fixture_allow_all_but(world->fixture, NULL, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		CLEANUP_FREE char *path = text_format("/v2.1/servers%s", lists[i].query);

		expect_list(world, get(world, &reader, lists[i].version, path), path, "servers", "id",
			    lists[i].expected);
	}
}

/* Who may see all projects but not use all filters is no admin whose tenant_id counts. */
static void a_tenant_filter_counts_for_those_who_may_use_all_filters(void **state)
{
	static const char path[] = "/v2.1/servers?all_tenants=1&tenant_id=other-project";
	struct world *world = *state;

	api_fixture_allow_all_but(world->fixture, NULL, NULL);
	expect_list(world, get(world, &reader, NULL, path), path, "servers", "id", "other");
	api_fixture_allow_all_but(world->fixture, "os_compute_api:servers:allow_all_filters", "!");
	expect_list(world, get(world, &reader, NULL, path), path, "servers", "id", "nobodys other own");
}

static char *path_below(const char *pattern, const struct one *place, const struct one *thing)
{
	bool is_action = strstr(pattern, "os-instance-actions/") != NULL;
	const char *id2 = strstr(pattern, "{id2}");
	struct text path = TEXT_EMPTY;

	text_append_format(&path, "/v2.1/servers/%s", place->server);
	pattern += strlen("/servers/{id}");
	text_append_bytes(&path, pattern, id2 ? (size_t)(id2 - pattern) : strlen(pattern));
	if (id2 && is_action)
		text_append(&path, thing->request_id);
	else if (id2)
		text_append_format(&path, "%" PRId64, thing->migration);
	text_append(&path, id2 ? id2 + strlen("{id2}") : "");
	return text_take(&path);
}

static const struct api_answer *ask_route(struct world *world, const struct route *route, const struct api_who *who,
					  const char *path, const struct server_action *action)
{
	CLEANUP_FREE char *version = text_format("compute 2.%d", route->last_minor);
	CLEANUP_FREE char *body = NULL;

	if (action)
		body = text_format("{\"%s\": %s}", action->name,
				   text_equal(action->name, "os-migrateLive")
					   ? "{\"host\": null, \"block_migration\": \"auto\"}"
				   : text_equal(action->name, "reboot")        ? "{\"type\": \"HARD\"}"
				   : text_equal(action->name, "os-resetState") ? "{\"state\": \"error\"}"
									       : "null");
	return api_fixture_ask(world->fixture, who, version, route->method, path, body);
}

/* For each route and action below a server: so a new one is held to it too. */
static void who_is_of_another_project_finds_nothing_below_a_server(void **state)
{
	const struct server_action *const none[] = { NULL };
	struct world *world = *state;
	const struct one *all[] = { &world->own, &world->other, &world->nobodys };
	size_t count, asked = 0;
	const struct route *routes = route_table(&count);

	api_fixture_allow_all_but(world->fixture, NULL, NULL);
	for (size_t i = 0; i < count * ARRAY_LENGTH(strangers) * ARRAY_LENGTH(all); i++) {
		const struct route *route = &routes[i % count];
		const struct one *one = all[i / count % ARRAY_LENGTH(all)];
		const struct api_who *who = &strangers[i / count / ARRAY_LENGTH(all)];
		const struct server_action *const *action = route->actions ? route->actions : none;

		/* Changing and deleting are refused to everybody, without a look at the server. */
		if (!text_starts_with(route->pattern, "/servers/{id}")
		    || (text_equal(route->pattern, "/servers/{id}") && !text_equal(route->method, "GET")))
			continue;
		CLEANUP_FREE char *path = path_below(route->pattern, one, one);
		CLEANUP_FREE char *words = text_format("Instance %s could not be found.", one->server);
		do {
			if (*action && !(*action)->book)
				continue; /* gone, for everybody */
			const struct api_answer *answer = ask_route(world, route, who, path, *action);

			if (answer->status != 404 || !text_equal(answer->message, words))
				fail_msg("%s %s %s: %d %s", route->method, path, *action ? (*action)->name : "",
					 answer->status, answer->message);
			asked++;
		} while (*action && *++action);
	}
	assert_true(asked > 20 * ARRAY_LENGTH(strangers));
}

/* The words with the thing's id for @ and the server's for #. */
static char *fill(const char *words, const char *id, const char *server)
{
	struct text text = TEXT_EMPTY;

	for (; *words; words++) {
		bool is_id = *words == '@', is_server = *words == '#';

		if (is_id || is_server)
			text_append(&text, is_id ? id : server);
		else
			text_append_bytes(&text, words, 1);
	}
	return text_take(&text);
}

static void below_one_server_the_things_of_another_are_not_found(void **state)
{
	static const struct {
		const char *method, *pattern, *body;
		int status;
		const char *words;
	} things[] = {
		{ "GET", "/servers/{id}/migrations/{id2}", NULL, 404,
		  "In-progress live migration @ is not found for server #." },
		{ "DELETE", "/servers/{id}/migrations/{id2}", NULL, 404, "Migration @ not found for instance #" },
		{ "POST", "/servers/{id}/migrations/{id2}/action", "{\"force_complete\": null}", 400,
		  "Migration @ not found for instance #" },
		{ "GET", "/servers/{id}/os-instance-actions/{id2}", NULL, 404, "Action @ not found" },
	};
	struct world *world = *state;
	const struct api_who *const callers[] = { &api_admin, &manager };
	CLEANUP_FREE char *id = text_format("%" PRId64, world->other.migration);

	api_fixture_allow_all_but(world->fixture, NULL, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(things) * ARRAY_LENGTH(callers); i++) {
		size_t which = i % ARRAY_LENGTH(things);
		const char *pattern = things[which].pattern, *method = things[which].method;
		const struct api_who *who = callers[i / ARRAY_LENGTH(things)];
		CLEANUP_FREE char *path = path_below(pattern, &world->own, &world->other);
		CLEANUP_FREE char *own_path = path_below(pattern, &world->own, &world->own);
		CLEANUP_FREE char *words =
			fill(things[which].words, strstr(pattern, "os-instance-actions") ? world->other.request_id : id,
			     world->own.server);
		const struct api_answer *answer =
			api_fixture_ask(world->fixture, who, NEWEST, method, path, things[which].body);

		assert_string_equal(answer->message, words);
		assert_int_equal(answer->status, things[which].status);
		/* Its own is found there. */
		answer = api_fixture_ask(world->fixture, who, NEWEST, method, own_path, things[which].body);
		assert_in_range(answer->status, 200, 202);
	}
}

static struct db_job job_of(struct world *world, const struct one *one)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(world->fixture->db);
	CLEANUP_DB_JOB struct db_job job = { 0 };
	struct db_job flags;

	assert_int_equal(db_job_by_id(session, one->job.id, &job, NULL), 0);
	flags = (struct db_job){ .is_abort_requested = job.is_abort_requested,
				 .is_force_complete_requested = job.is_force_complete_requested };
	return flags;
}

static void a_migration_is_ended_or_hurried_below_its_own_server_alone(void **state)
{
	struct world *world = *state;
	CLEANUP_FREE char *abort_path = path_below("/servers/{id}/migrations/{id2}", &world->own, &world->other);
	CLEANUP_FREE char *hurry_path = text_format("%s/action", abort_path);

	api_fixture_ask(world->fixture, &api_admin, NEWEST, "DELETE", abort_path, NULL);
	api_fixture_ask(world->fixture, &api_admin, NEWEST, "POST", hurry_path, "{\"force_complete\": null}");
	assert_false(job_of(world, &world->own).is_abort_requested);
	assert_false(job_of(world, &world->other).is_abort_requested);
	assert_false(job_of(world, &world->own).is_force_complete_requested);
	assert_false(job_of(world, &world->other).is_force_complete_requested);
}

static void a_servers_lists_have_its_own_rows_alone(void **state)
{
	static const struct {
		const char *pattern, *list, *field;
	} lists[] = {
		{ "/servers/{id}/migrations", "migrations", "server_uuid" },
		{ "/servers/{id}/os-instance-actions", "instanceActions", "request_id" },
	};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		CLEANUP_FREE char *own = path_below(lists[i].pattern, &world->own, NULL);
		CLEANUP_FREE char *other = path_below(lists[i].pattern, &world->other, NULL);

		expect_list(world, get(world, &api_admin, NEWEST, own), own, lists[i].list, lists[i].field, "own");
		expect_list(world, get(world, &api_admin, NEWEST, other), other, lists[i].list, lists[i].field,
			    "other");
	}
	CLEANUP_FREE char *path = text_format("/v2.1/servers/%s/os-instance-actions?marker=%s", world->own.server,
					      world->other.request_id);
	assert_int_equal(get(world, &api_admin, NEWEST, path)->status, 400);
}

static void migrations_of_a_project_are_listed_to_its_managers_and_no_others(void **state)
{
	static const struct {
		const char *query, *version;
		int status;
		const char *expected;
	} lists[] = {
		{ "", NEWEST, 403, NULL },
		{ "?project_id=project", NEWEST, 200, "own" },
		{ "?project_id=project", "compute 2.79", 400, NULL },
		{ "?project_id=project", "compute 2.58", 403, NULL },
		{ "?project_id=other-project", NEWEST, 403, NULL },
		{ "?project_id=", NEWEST, 403, NULL },
		{ "?project_id=Project", NEWEST, 403, NULL },
		{ "?project_id=project&host=host1", NEWEST, 200, "own" },
		{ "?project_id=project&source_compute=host1", NEWEST, 200, "own" },
		{ "?host=host1", NEWEST, 403, NULL },
	};
	static const struct api_who without[] = {
		{ .user = "user", .role = "manager" },
		{ .user = "user", .domain = "project", .role = "manager" },
		{ .user = "user", .system_scope = "all", .role = "manager" },
		{ .user = "user", .system_scope = "all", .role = "admin" },
		{ .user = "user", .domain = "default", .role = "admin" },
		{ .user = "user", .project = "project", .role = "member" },
		{ .user = "user", .project = "project", .role = "reader" },
	};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		CLEANUP_FREE char *path = text_format("/v2.1/os-migrations%s", lists[i].query);
		const struct api_answer *answer = get(world, &manager, lists[i].version, path);

		if (answer->status != lists[i].status)
			fail_msg("%s %s: %d %s", lists[i].version, path, answer->status, answer->message);
		if (lists[i].expected)
			expect_list(world, answer, path, "migrations", "instance_uuid", lists[i].expected);
		for (size_t who = 0; who < ARRAY_LENGTH(without); who++)
			assert_int_equal(get(world, &without[who], lists[i].version, path)->status,
					 lists[i].status == 400 ? 400 : 403);
	}
	CLEANUP_FREE char *others =
		text_format("/v2.1/os-migrations?project_id=project&instance_uuid=%s", world->other.server);
	expect_list(world, get(world, &manager, NEWEST, others), others, "migrations", "instance_uuid", "");
	expect_list(world, get(world, &api_admin, NEWEST, "/v2.1/os-migrations"), "/os-migrations", "migrations",
		    "instance_uuid", "nobodys other own");
}

static int delete_all(struct db_session *session, void *context, struct error *error)
{
	struct world *world = context;
	const struct one *all[] = { &world->own, &world->other, &world->nobodys };
	int result = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(all) && result == 0; i++) {
		CLEANUP_DB_SERVER struct db_server server = { 0 };

		result = db_server_by_uuid(session, all[i]->server, &server, error);
		server.is_deleted = true;
		TEXT_COPY(server.vm_state, "deleted");
		TEXT_COPY(server.task_state, "");
		if (result == 0)
			result = db_server_update(session, &server, error);
	}
	return result;
}

static void a_deleted_server_is_there_for_its_projects_actions_and_changes_alone(void **state)
{
	struct world *world = *state;
	CLEANUP_FREE char *own = path_below("/servers/{id}/os-instance-actions", &world->own, NULL);
	CLEANUP_FREE char *other = path_below("/servers/{id}/os-instance-actions", &world->other, NULL);
	CLEANUP_FREE char *server = path_below("/servers/{id}", &world->own, NULL);
	static const char changes[] = "/v2.1/servers?changes-since=2000-01-01";

	db_fixture_write(world->fixture->db, delete_all, world);
	expect_list(world, get(world, &reader, "compute 2.21", own), own, "instanceActions", "request_id", "own");
	assert_int_equal(get(world, &reader, "compute 2.20", own)->status, 404);
	assert_int_equal(get(world, &reader, "compute 2.21", other)->status, 404);
	assert_int_equal(get(world, &api_admin, "compute 2.20", other)->status, 404);
	assert_int_equal(get(world, &api_admin, NEWEST, server)->status, 404);
	expect_list(world, get(world, &reader, NULL, "/v2.1/servers"), "/servers", "servers", "id", "");
	expect_list(world, get(world, &reader, NULL, changes), changes, "servers", "id", "own");
	assert_int_equal(get(world, &reader, NULL, "/v2.1/servers?status=DELETED")->status, 403);
	assert_int_equal(get(world, &reader, NULL, "/v2.1/servers?status=ACTIVE&status=deleted")->status, 403);
	expect_list(world, get(world, &api_admin, NULL, "/v2.1/servers?all_tenants=1&status=DELETED"), "DELETED",
		    "servers", "id", "nobodys other own");
}

static int break_server(struct db_session *session, void *context, struct error *error)
{
	struct one *one = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, one->server, &server, error);

	TEXT_COPY(server.vm_state, "error");
	server.fault.code = 500;
	server.fault.message = strdup("NoValidHost");
	server.fault.details = strdup("a trace with names of hosts");
	return result < 0 ? result : db_server_update(session, &server, error);
}

static void a_faults_details_are_for_admins(void **state)
{
	struct world *world = *state;
	CLEANUP_FREE char *path = path_below("/servers/{id}", &world->own, NULL);
	const struct api_who *const callers[] = { &api_admin, &reader };

	db_fixture_write(world->fixture->db, break_server, &world->own);
	for (size_t i = 0; i < ARRAY_LENGTH(callers); i++) {
		const struct api_answer *answer = get(world, callers[i], NULL, path);
		const json_t *fault = json_object_get(json_object_get(answer->document, "server"), "fault");

		assert_string_equal(json_string_value(json_object_get(fault, "message")), "NoValidHost");
		assert_int_equal(json_object_get(fault, "details") != NULL, callers[i] == &api_admin);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, api_fixture_teardown_within)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_is_of_no_servers_project_lists_none),
		TEST(by_default_too_a_reader_without_a_project_lists_none),
		TEST(a_list_has_the_callers_own_project_alone),
		TEST(a_tenant_filter_counts_for_those_who_may_use_all_filters),
		TEST(who_is_of_another_project_finds_nothing_below_a_server),
		TEST(below_one_server_the_things_of_another_are_not_found),
		TEST(a_migration_is_ended_or_hurried_below_its_own_server_alone),
		TEST(a_servers_lists_have_its_own_rows_alone),
		TEST(migrations_of_a_project_are_listed_to_its_managers_and_no_others),
		TEST(a_deleted_server_is_there_for_its_projects_actions_and_changes_alone),
		TEST(a_faults_details_are_for_admins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
