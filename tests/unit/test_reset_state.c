/* os-resetState and its two neighbours, as Nova was recorded; and that no state that is shown lets a second job in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <stdio.h>

#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/text.h"

static const struct api_who manager = { .user = "manager-user", .project = "project", .role = "manager" };
static const struct api_who reader = { .user = "reader-user", .project = "project", .role = "reader" };

struct bench {
	struct api_fixture *fixture;
	char server[UUID_SIZE];
	char path[128];
	const char *vm_state, *task_state, *locked_by; /* to be set */
	struct db_job job;
};

static struct bench make_bench(void **state)
{
	struct bench bench = { .fixture = *state };

	db_fixture_server(bench.fixture->db, "vm", db_fixture_host(bench.fixture->db, "host1"), bench.server);
	snprintf(bench.path, sizeof(bench.path), "/v2.1/servers/%s/action", bench.server);
	return bench;
}

static int change_state(struct db_session *session, void *context, struct error *error)
{
	const struct bench *bench = context;
	int result = db_server_set_lock(session, bench->server, bench->locked_by, NULL, error);

	return result < 0 ? result
			  : db_server_set_state(session, bench->server, bench->vm_state, bench->task_state, error);
}

static void set_state(struct bench *bench, const char *vm_state, const char *task_state, const char *locked_by)
{
	bench->vm_state = vm_state;
	bench->task_state = task_state;
	bench->locked_by = locked_by;
	db_fixture_write(bench->fixture->db, change_state, bench);
}

static const struct api_answer *post(struct bench *bench, const struct api_who *who, const char *version,
				     const char *body)
{
	return api_fixture_ask(bench->fixture, who, version, "POST", bench->path, body);
}

static void read_server(struct bench *bench, struct db_server *ret_server)
{
	struct db_fixture *fixture = bench->fixture->db;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);

	OK(db_server_by_uuid(session, bench->server, ret_server, &fixture->error));
}

/* What is recorded of bodies and callers: the status, and the message after its first words. */
#define FIELD(name)     "Invalid input for field/attribute " name ". Value: "
#define FORBIDDEN(name) "Policy doesn't allow os_compute_api:os-admin-actions:" name " to be performed."
#define GONE            "This resource is no longer available. No forwarding address is given."

static const struct recorded {
	const struct api_who *who;
	const char *body;
	int status;
	const char *message;
} recorded[] = {
	{ &api_admin, "{\"os-resetState\": {}}", 400, FIELD("os-resetState") "{}. 'state' is a required property" },
	{ &api_member, "{\"os-resetState\": null}", 400, FIELD("os-resetState") "None. None is not of type 'object'" },
	{ &reader, "{\"os-resetState\": {\"state\": null}}", 400, FIELD("state") "None. None is not of type 'string'" },
	{ &api_admin, "{\"os-resetState\": {\"state\": true}}", 400,
	  FIELD("state") "True. True is not of type 'string'" },
	{ &api_admin, "{\"os-resetState\": {\"state\": [\"active\"]}}", 400,
	  FIELD("state") "['active']. ['active'] is not of type 'string'" },
	{ &api_admin, "{\"os-resetState\": \"active\"}", 400,
	  FIELD("os-resetState") "active. 'active' is not of type 'object'" },
	{ &api_member, "{\"os-resetState\": \"\"}", 400, FIELD("os-resetState") ". '' is not of type 'object'" },
	{ &reader, "{\"os-resetState\": 1}", 400, FIELD("os-resetState") "1. 1 is not of type 'object'" },
	{ &api_admin, "{\"os-resetState\": {\"State\": \"active\"}}", 400,
	  FIELD("os-resetState") "{'State': 'active'}. 'state' is a required property" },
	{ &reader, "{\"os-resetState\": {\"state\": \"active \"}}", 400,
	  FIELD("state") "active . 'active ' is not one of ['active', 'error']" },
	{ &api_admin, "{\"os-resetState\": {\"state\": NaN}}", 400, FIELD("state") "nan. nan is not of type 'string'" },
	{ &api_admin, "{\"os-resetState\": {\"state\": \"active\"}, \"x\": 1}", 400, "Malformed request body" },
	{ &api_member, "{\"os-resetstate\": {\"state\": \"active\"}}", 400, "There is no such action: os-resetstate" },
	{ &manager, "{\"os-resetState\": {\"state\": \"active\"}}", 403, FORBIDDEN("reset_state") },
	{ &api_member, "{\"os-resetState\": {\"state\": \"error\"}}", 403, FORBIDDEN("reset_state") },
	{ &api_member, "{\"os-resetState\": {\"state\": \"active\", \"state\": \"error\"}}", 403,
	  FORBIDDEN("reset_state") },
	{ &api_admin, "{\"os-resetState\": {\"state\": \"active\"}}", 202, "" },
	{ &api_admin, "{\"os-resetState\": {\"state\": \"error\"}}", 202, "" },
	{ &api_admin, "{\"injectNetworkInfo\": null}", 202, "" },
	{ &reader, "{\"injectNetworkInfo\": null}", 403, FORBIDDEN("inject_network_info") },
	{ &api_member, "{\"injectNetworkInfo\": {\"a\": 1}}", 403, FORBIDDEN("inject_network_info") },
	{ &reader, "{\"resetNetwork\": null}", 410, GONE },
	{ &api_stranger, "{\"resetNetwork\": null}", 410, GONE },
	{ &api_admin, "{\"resetNetwork\": {}}", 410, GONE },
};

static void each_answer_is_the_recorded_one(void **state)
{
	static const char *const versions[] = { NULL, "compute 2.56", "compute latest" };
	struct bench bench = make_bench(state);

	for (size_t i = 0; i < ARRAY_LENGTH(recorded); i++)
		for (size_t j = 0; j < ARRAY_LENGTH(versions); j++) {
			const struct api_answer *answer = post(&bench, recorded[i].who, versions[j], recorded[i].body);

			if (answer->status != recorded[i].status)
				fail_msg("%s: %d %s", recorded[i].body, answer->status, answer->message);
			assert_string_equal(answer->message, recorded[i].message);
		}
}

static void server_that_the_caller_does_not_see_is_not_found(void **state)
{
	static const char body[] = "{\"os-resetState\": {\"state\": \"active\"}}";
	struct bench bench = make_bench(state);
	char words[128];

	snprintf(words, sizeof(words), "Instance %s could not be found.", bench.server);
	assert_int_equal(post(&bench, &api_stranger, NULL, body)->status, 404);
	assert_string_equal(bench.fixture->answer.message, words);
	TEXT_COPY(bench.path, "/v2.1/servers/x/action");
	assert_int_equal(post(&bench, &api_admin, NULL, body)->status, 404);
	assert_string_equal(bench.fixture->answer.message, "Instance x could not be found.");
}

static void it_is_taken_in_every_state_and_sets_what_is_shown_alone(void **state)
{
	static const char *const vm_states[] = { "active",  "stopped", "paused",      "suspended", "resized",
						 "rescued", "error",   "soft-delete", "building",  "shelved" };
	static const char *const task_states[] = { "",          "migrating", "resize_prep",     "resize_migrated",
						   "rebooting", "deleting",  "resize_reverting" };
	static const char *const locks[] = { "", "owner", "admin" };
	static const char *const states[] = { "active", "error" };
	struct bench bench = make_bench(state);
	char body[64];

	for (size_t i = 0; i < ARRAY_LENGTH(vm_states) * ARRAY_LENGTH(task_states); i++) {
		CLEANUP_DB_SERVER struct db_server before = { 0 };
		CLEANUP_DB_SERVER struct db_server after = { 0 };
		const char *wanted = states[i % 2];

		set_state(&bench, vm_states[i % ARRAY_LENGTH(vm_states)], task_states[i / ARRAY_LENGTH(vm_states)],
			  locks[i % ARRAY_LENGTH(locks)]);
		read_server(&bench, &before);
		snprintf(body, sizeof(body), "{\"os-resetState\": {\"state\": \"%s\"}}", wanted);
		assert_int_equal(post(&bench, &api_admin, NULL, body)->status, 202);
		read_server(&bench, &after);
		assert_string_equal(after.vm_state, wanted);
		assert_string_equal(after.task_state, "");
		assert_string_equal(after.error_cause, i % 2 ? DB_ERROR_CAUSE_ADMIN : "");
		assert_int_equal(after.power_state, before.power_state);
		assert_int_equal(after.host_id, before.host_id);
		assert_string_equal(after.locked_by, before.locked_by);
		assert_int_equal(after.fault.code, before.fault.code);
	}
}

static void it_books_a_finished_action(void **state)
{
	struct bench bench = make_bench(state);
	struct db_fixture *fixture = bench.fixture->db;
	const struct db_action_filter filter = { .server_uuid = bench.server };
	CLEANUP_DB_ACTIONS struct db_action_list actions = { 0 };

	assert_int_equal(post(&bench, &api_admin, NULL, "{\"os-resetState\": {\"state\": \"error\"}}")->status, 202);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_action_find(session, &filter, &actions, &fixture->error));
	assert_int_equal(actions.count, 1);
	assert_string_equal(actions.items[0].action, "resetState");
	assert_int_not_equal(actions.items[0].finish_us, 0);
	assert_null(actions.items[0].message);
}

static int insert_job(struct db_session *session, void *context, struct error *error)
{
	struct bench *bench = context;

	bench->job = (struct db_job){ .kind = "live", .phase = "moving" };
	TEXT_COPY(bench->job.server_uuid, bench->server);
	return db_job_insert(session, &bench->job, error);
}

static int finish_job(struct db_session *session, void *context, struct error *error)
{
	struct bench *bench = context;

	bench->job.finished_us = 5;
	return db_job_update(session, &bench->job, error);
}

/* Every action that books a job, in a state that allows it. */
static const struct {
	const char *vm_state;
	const char *name;
	const char *body;
} jobs[] = {
	{ "active", "migrate", "{\"migrate\": null}" },
	{ "active", "os-migrateLive",
	  "{\"os-migrateLive\": {\"host\": null, \"block_migration\": false, \"disk_over_commit\": false}}" },
	{ "resized", "confirmResize", "{\"confirmResize\": null}" },
	{ "resized", "revertResize", "{\"revertResize\": null}" },
	{ "stopped", "start", "{\"os-start\": null}" },
	{ "active", "stop", "{\"os-stop\": null}" },
	{ "active", "pause", "{\"pause\": null}" },
	{ "paused", "unpause", "{\"unpause\": null}" },
	{ "active", "suspend", "{\"suspend\": null}" },
	{ "suspended", "resume", "{\"resume\": null}" },
	{ "active", "reboot", "{\"reboot\": {\"type\": \"SOFT\"}}" },
	{ "active", "reboot", "{\"reboot\": {\"type\": \"HARD\"}}" },
};

static void assert_nothing_was_booked(struct bench *bench)
{
	struct db_fixture *fixture = bench->fixture->db;
	const struct db_action_filter actions_of = { .server_uuid = bench->server };
	const struct db_migration_filter migrations_of = { .server_uuid = bench->server };
	CLEANUP_DB_ACTIONS struct db_action_list actions = { 0 };
	CLEANUP_DB_MIGRATIONS struct db_migration_list migrations = { 0 };
	CLEANUP_DB_JOBS struct db_job_list unfinished = { 0 };
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);

	OK(db_action_find(session, &actions_of, &actions, &fixture->error));
	OK(db_migration_find(session, &migrations_of, &migrations, &fixture->error));
	OK(db_job_unfinished(session, &unfinished, &fixture->error));
	assert_int_equal(actions.count, 0);
	assert_int_equal(migrations.count, 0);
	assert_int_equal(unfinished.count, 1);
}

static void no_second_job_is_taken_whatever_state_is_shown(void **state)
{
	struct bench bench = make_bench(state);
	char words[256];

	db_fixture_write(bench.fixture->db, insert_job, &bench);
	for (size_t i = 0; i < ARRAY_LENGTH(jobs); i++) {
		set_state(&bench, jobs[i].vm_state, "", "");
		const struct api_answer *answer = post(&bench, &api_admin, NULL, jobs[i].body);

		snprintf(words, sizeof(words), "Cannot '%s' instance %s while an earlier action on it has not ended",
			 jobs[i].name, bench.server);
		assert_string_equal(answer->message, words);
		assert_int_equal(answer->status, 409);
		assert_non_null(json_object_get(answer->document, "conflictingRequest"));
		assert_nothing_was_booked(&bench);
	}

	/* A hard reboot helps a server that hangs, but not beside the job that may hang. */
	set_state(&bench, "active", "suspending", "");
	snprintf(words, sizeof(words), "Cannot 'reboot' instance %s while it is in task_state suspending",
		 bench.server);
	assert_int_equal(post(&bench, &api_admin, NULL, "{\"reboot\": {\"type\": \"HARD\"}}")->status, 409);
	assert_string_equal(bench.fixture->answer.message, words);
	assert_nothing_was_booked(&bench);

	db_fixture_write(bench.fixture->db, finish_job, &bench);
	assert_int_equal(post(&bench, &api_admin, NULL, "{\"reboot\": {\"type\": \"HARD\"}}")->status, 202);
}

static void what_books_no_job_is_taken_beside_one(void **state)
{
	static const char *const bodies[] = { "{\"lock\": null}", "{\"unlock\": null}",
					      "{\"os-resetState\": {\"state\": \"active\"}}" };
	struct bench bench = make_bench(state);
	struct db_fixture *fixture = bench.fixture->db;

	db_fixture_write(fixture, insert_job, &bench);
	set_state(&bench, "active", "migrating", "");
	for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++)
		assert_int_equal(post(&bench, &api_admin, NULL, bodies[i])->status, 202);

	/* The job knows nothing of it. */
	CLEANUP_DB_JOB struct db_job job = { 0 };
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_job_unfinished_of_server(session, bench.server, &job, &fixture->error));
	assert_string_equal(job.phase, "moving");
	assert_int_equal(job.updated_us, 0);
}

static int finish_migration(struct db_session *session, void *context, struct error *error)
{
	return db_migration_set_status(session, *(int64_t *)context, "finished", error);
}

static int end_job(struct db_session *session, void *context, struct error *error)
{
	struct db_job *job = context;

	job->finished_us = 5;
	return db_job_update(session, job, error);
}

/* A server that waits for its confirm on host2, where it came from host1; gives the migration. */
static int64_t make_resized(struct bench *bench)
{
	db_fixture_host(bench->fixture->db, "host2");
	int64_t id = db_fixture_migration(bench->fixture->db, bench->server, "host1", "host2");

	db_fixture_write(bench->fixture->db, finish_migration, &id);
	set_state(bench, "resized", "", "");
	return id;
}

/* Its migration is as it was (as recorded), and so are the ways to end it. */
static void server_that_waits_is_confirmed_or_reverted_whatever_state_is_shown(void **state)
{
	static const struct {
		const char *state, *body, *kind, *status;
		int answer;
	} ends[] = {
		{ "active", "{\"confirmResize\": null}", "confirm", "confirming", 204 },
		{ "active", "{\"revertResize\": null}", "revert", "reverting", 202 },
		{ "error", "{\"confirmResize\": null}", "confirm", "confirming", 204 },
		{ "error", "{\"revertResize\": null}", "revert", "reverting", 202 },
	};
	struct bench bench = make_bench(state);
	struct db_fixture *fixture = bench.fixture->db;
	int64_t migration_id = make_resized(&bench);

	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
		CLEANUP_FREE char *reset = text_format("{\"os-resetState\": {\"state\": \"%s\"}}", ends[i].state);
		struct db_migration migration = { 0 };
		CLEANUP_DB_JOB struct db_job job = { 0 };

		db_fixture_write(fixture, finish_migration, &migration_id);
		assert_int_equal(post(&bench, &api_admin, NULL, reset)->status, 202);
		assert_int_equal(post(&bench, &api_member, NULL, ends[i].body)->status, ends[i].answer);

		struct db_session *session = db_fixture_read(fixture);
		OK(db_migration_by_id(session, migration_id, &migration, &fixture->error));
		assert_string_equal(migration.status, ends[i].status);
		OK(db_job_unfinished_of_server(session, bench.server, &job, &fixture->error));
		db_read_end(session);
		assert_string_equal(job.kind, ends[i].kind);
		assert_int_equal(job.migration_id, migration_id);
		db_fixture_write(fixture, end_job, &job);
	}
}

/* What the source still has of it belongs to the migration that waits, and a move would take that for its own. */
static void server_that_waits_is_not_moved_whatever_state_is_shown(void **state)
{
	static const struct {
		const char *name, *body;
	} moves[] = {
		{ "migrate", "{\"migrate\": null}" },
		{ "os-migrateLive", "{\"os-migrateLive\": {\"host\": null, \"block_migration\": \"auto\"}}" },
	};
	struct bench bench = make_bench(state);
	char words[256];

	make_resized(&bench);
	assert_int_equal(post(&bench, &api_admin, NULL, "{\"os-resetState\": {\"state\": \"active\"}}")->status, 202);
	for (size_t i = 0; i < ARRAY_LENGTH(moves); i++) {
		const struct api_answer *answer = post(&bench, &api_admin, "compute 2.56", moves[i].body);

		snprintf(words, sizeof(words),
			 "Cannot '%s' instance %s while an earlier migration of it waits: confirm or revert that first",
			 moves[i].name, bench.server);
		assert_string_equal(answer->message, words);
		assert_int_equal(answer->status, 409);

		CLEANUP_DB_JOB struct db_job none = { 0 };
		CLEANUP_DB_READ struct db_session *session = db_fixture_read(bench.fixture->db);
		assert_int_equal(db_job_unfinished_of_server(session, bench.server, &none, &bench.fixture->db->error),
				 -ENOENT);
		error_clear(&bench.fixture->db->error);
	}
}

#define API_TEST(test) cmocka_unit_test_setup_teardown(test, api_fixture_setup, api_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		API_TEST(each_answer_is_the_recorded_one),
		API_TEST(server_that_the_caller_does_not_see_is_not_found),
		API_TEST(it_is_taken_in_every_state_and_sets_what_is_shown_alone),
		API_TEST(it_books_a_finished_action),
		API_TEST(no_second_job_is_taken_whatever_state_is_shown),
		API_TEST(what_books_no_job_is_taken_beside_one),
		API_TEST(server_that_waits_is_confirmed_or_reverted_whatever_state_is_shown),
		API_TEST(server_that_waits_is_not_moved_whatever_state_is_shown),
	};

	return cmocka_run_group_tests_name("reset_state", tests, NULL, NULL);
}
