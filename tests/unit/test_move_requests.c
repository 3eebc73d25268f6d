/* Migrations that are asked for: what of the request reaches the job, and what refuses it. */
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

#define DOWN "Service is unavailable at this time."
#define SAME "Cannot migrate to the host where the server exists."

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return sqlite3_exec(session->connection, context, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : error_set(error, EIO, "%s", sqlite3_errmsg(session->connection));
}

static void run(struct api_fixture *fixture, const char *sql)
{
	CLEANUP_FREE char *copy = strdup(sql);

	db_fixture_write(fixture->db, run_sql, copy);
}

static int set_up(void **state)
{
	int result = api_fixture_setup(state);
	struct api_fixture *fixture = *state;

	if (result < 0)
		return result;
	db_fixture_host(fixture->db, "host1");
	db_fixture_host(fixture->db, "host2");
	return 0;
}

/* What is asked of a server on host1. */
static const struct api_answer *ask(struct api_fixture *fixture, const char *server, int minor, const char *body)
{
	CLEANUP_FREE char *version = text_format("compute 2.%d", minor);
	CLEANUP_FREE char *path = text_format("/v2.1/servers/%s/action", server);

	return api_fixture_ask(fixture, &api_admin, version, "POST", path, body);
}

static struct db_job job_of(struct api_fixture *fixture, const char *server)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	CLEANUP_DB_JOB struct db_job job = { 0 };

	assert_int_equal(db_job_unfinished_of_server(session, server, &job, NULL), 0);
	struct db_job copy = job;
	copy.state = copy.verdict.message = copy.verdict.message_for_admins = NULL;
	return copy;
}

static void the_job_has_what_the_request_asked_for(void **state)
{
	static const struct {
		const char *body;
		const char *kind, *host, *block_migration;
		bool disk_over_commit, is_forced, is_waited_for;
		int minor;
	} requests[] = {
		{ "{\"migrate\": {\"host\": \"host2\"}}", "cold", "", "", false, false, false, 1 },
		{ "{\"migrate\": {\"host\": \"host2\"}}", "cold", "", "", false, false, false, 55 },
		{ "{\"migrate\": {\"host\": \"host2\"}}", "cold", "host2", "", false, false, false, 56 },
		{ "{\"migrate\": {\"host\": null}}", "cold", "", "", false, false, false, 56 },
		{ "{\"migrate\": {}}", "cold", "", "", false, false, false, 56 },
		{ "{\"os-migrateLive\": {\"host\": \"host2\", \"block_migration\": true, \"disk_over_commit\": true}}",
		  "live", "host2", "true", true, true, true, 1 },
		{ "{\"os-migrateLive\": {\"host\": null, \"block_migration\": \"0\", \"disk_over_commit\": \"on\"}}",
		  "live", "", "false", true, false, true, 24 },
		{ "{\"os-migrateLive\": {\"host\": \"host2\", \"block_migration\": \"auto\"}}", "live", "host2", "auto",
		  false, true, true, 25 },
		{ "{\"os-migrateLive\": {\"host\": \"host2\", \"block_migration\": \"Yes\"}}", "live", "host2", "true",
		  false, true, true, 29 },
		{ "{\"os-migrateLive\": {\"host\": \"host2\", \"block_migration\": false}}", "live", "host2", "false",
		  false, false, true, 30 },
		{ "{\"os-migrateLive\": {\"host\": \"host2\", \"block_migration\": false, \"force\": false}}", "live",
		  "host2", "false", false, false, true, 33 },
		{ "{\"os-migrateLive\": {\"host\": \"host2\", \"block_migration\": false, \"force\": true}}", "live",
		  "host2", "false", false, true, false, 34 },
		{ "{\"os-migrateLive\": {\"host\": \"host2\", \"block_migration\": \"auto\", \"force\": \"1\"}}",
		  "live", "host2", "auto", false, true, false, 67 },
		{ "{\"os-migrateLive\": {\"host\": \"host2\", \"block_migration\": \"auto\"}}", "live", "host2", "auto",
		  false, false, false, 68 },
	};
	struct api_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
		CLEANUP_FREE char *version = text_format("compute 2.%d", requests[i].minor);
		char server[UUID_SIZE], path[128];

		db_fixture_server(fixture->db, "vm", 1, server);
		snprintf(path, sizeof(path), "/v2.1/servers/%s/action", server);
		api_fixture_start(fixture, &api_admin, version, "POST", path, requests[i].body);
		if (!requests[i].is_waited_for)
			assert_int_equal(api_fixture_wait(fixture)->status, 202);
		run(fixture, ""); /* and what was submitted before it */
		struct db_job job = job_of(fixture, server);
		assert_string_equal(job.kind, requests[i].kind);
		assert_string_equal(job.requested_host, requests[i].host);
		assert_string_equal(job.block_migration, requests[i].block_migration);
		if (job.disk_over_commit != requests[i].disk_over_commit || job.is_forced != requests[i].is_forced
		    || job.is_waited_for != requests[i].is_waited_for || job.minor_version != requests[i].minor)
			fail_msg("2.%d %s", requests[i].minor, requests[i].body);
		assert_int_equal(job.source_host_id, 1);
		assert_int_equal(job.target_host_id, 0);
	}
}

static void expect_refused(struct api_fixture *fixture, const char *server, int minor, const char *body, int status,
			   const char *message)
{
	const struct api_answer *answer = ask(fixture, server, minor, body);

	if (answer->status != status || !text_equal(answer->message, message))
		fail_msg("2.%d %s: %d %s", minor, body, answer->status, answer->message);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	CLEANUP_DB_JOBS struct db_job_list jobs = { 0 };
	CLEANUP_DB_MIGRATIONS struct db_migration_list migrations = { 0 };
	const struct db_migration_filter filter = { .status = "accepted" };
	assert_int_equal(db_job_unfinished(session, &jobs, NULL), 0);
	assert_int_equal(jobs.count, 0);
	assert_int_equal(db_migration_find(session, &filter, &migrations, NULL), 0);
	assert_int_equal(migrations.count, 0);
}

static void a_move_to_where_it_cannot_go_is_refused_and_leaves_nothing(void **state)
{
	struct api_fixture *fixture = *state;
	char server[UUID_SIZE];

	db_fixture_server(fixture->db, "vm", 1, server);
	expect_refused(fixture, server, 56, "{\"migrate\": {\"host\": \"host1\"}}", 400, SAME);
	expect_refused(fixture, server, 56, "{\"migrate\": {\"host\": \"host9\"}}", 400,
		       "Compute host host9 could not be found.");
	expect_refused(fixture, server, 90,
		       "{\"os-migrateLive\": {\"host\": \"host9\", \"block_migration\": \"auto\"}}", 400,
		       "Compute host host9 could not be found.");
	expect_refused(fixture, server, 30,
		       "{\"os-migrateLive\": {\"host\": null, \"block_migration\": \"auto\", \"force\": true}}", 400,
		       "Can't force to a non-provided destination");
}

/* That is asked before the host that was named. */
static void a_cold_move_from_a_host_that_is_down_is_refused(void **state)
{
	struct api_fixture *fixture = *state;
	char server[UUID_SIZE];
	static const char *const ways[] = { "UPDATE services SET is_up = 0 WHERE host = 'host1'",
					    "UPDATE services SET is_up = 1, is_forced_down = 1 WHERE host = 'host1'" };

	db_fixture_server(fixture->db, "vm", 1, server);
	for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
		run(fixture, ways[i]);
		expect_refused(fixture, server, 1, "{\"migrate\": null}", 409, DOWN);
		expect_refused(fixture, server, 56, "{\"migrate\": {\"host\": \"host9\"}}", 409, DOWN);
		expect_refused(fixture, server, 56, "{\"migrate\": {\"host\": \"host1\"}}", 409, DOWN);
	}
}

/* A server on host2 whose cold migration from host1 waits for its confirm or revert. */
static void make_waiting(struct api_fixture *fixture, char ret_server[UUID_SIZE])
{
	db_fixture_server(fixture->db, "vm", 2, ret_server);
	int64_t id = db_fixture_migration(fixture->db, ret_server, "host1", "host2");
	CLEANUP_FREE char *sql = text_format("UPDATE servers SET vm_state = 'resized' WHERE uuid = '%s';"
					     "UPDATE migrations SET status = 'finished' WHERE id = %" PRId64,
					     ret_server, id);

	run(fixture, sql);
}

static void a_confirm_needs_its_source_unless_that_was_given_up_and_a_revert_does_not(void **state)
{
	static const struct {
		const char *change; /* of the source */
		const char *body;
		int status;
		const char *message;
	} ends[] = {
		{ "UPDATE services SET is_up = 0 WHERE host = 'host1'", "{\"confirmResize\": null}", 409, DOWN },
		{ "UPDATE services SET is_up = 0 WHERE host = 'host1'", "{\"revertResize\": null}", 202, "" },
		{ "UPDATE services SET is_forced_down = 1 WHERE host = 'host1'", "{\"confirmResize\": null}", 409,
		  DOWN },
		{ "UPDATE hosts SET is_gone = 1 WHERE name = 'host1'", "{\"confirmResize\": null}", 204, "" },
		{ "DELETE FROM hosts WHERE name = 'host1'", "{\"confirmResize\": null}", 204, "" },
	};
	struct api_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
		char server[UUID_SIZE];

		make_waiting(fixture, server);
		run(fixture, ends[i].change);
		const struct api_answer *answer = ask(fixture, server, 90, ends[i].body);
		if (answer->status != ends[i].status || !text_equal(answer->message, ends[i].message))
			fail_msg("%s, %s: %d %s", ends[i].change, ends[i].body, answer->status, answer->message);
	}
}

static int64_t updated_us(struct api_fixture *fixture, const char *server_uuid)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	assert_int_equal(db_server_by_uuid(session, server_uuid, &server, NULL), 0);
	assert_string_equal(server.task_state, "");
	assert_string_equal(server.vm_state, "resized");
	return server.updated_us;
}

static void a_confirm_leaves_the_server_as_it_is_shown_until_it_is_done(void **state)
{
	struct api_fixture *fixture = *state;
	char server[UUID_SIZE];

	make_waiting(fixture, server);
	int64_t before_us = updated_us(fixture, server);
	clock_manual_advance(fixture->db->clock, 1000000);
	assert_int_equal(ask(fixture, server, 90, "{\"confirmResize\": null}")->status, 204);
	assert_int_equal(updated_us(fixture, server), before_us);
}

static void what_was_not_moved_is_neither_confirmed_nor_reverted(void **state)
{
	struct api_fixture *fixture = *state;
	static const char *const bodies[] = { "{\"confirmResize\": null}", "{\"revertResize\": null}" };
	char server[UUID_SIZE];

	db_fixture_server(fixture->db, "vm", 1, server);
	run(fixture, "UPDATE servers SET vm_state = 'resized'");
	for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++)
		expect_refused(fixture, server, 90, bodies[i], 400, "Instance has not been resized.");
}

/* Its words tell which state that is. */
static void a_migration_that_does_not_run_is_neither_hurried_nor_aborted(void **state)
{
	static const struct {
		const char *status;
		bool may_abort_early; /* since 2.65 */
	} states[] = { { "accepted", false },  { "queued", true }, { "preparing", true }, { "post-migrating", false },
		       { "completed", false }, { "error", false }, { "cancelled", false } };
	struct api_fixture *fixture = *state;
	char server[UUID_SIZE];

	db_fixture_server(fixture->db, "vm", 1, server);
	run(fixture, "UPDATE servers SET task_state = 'migrating'");
	for (size_t i = 0; i < ARRAY_LENGTH(states) * 3; i++) {
		int64_t id = db_fixture_migration(fixture->db, server, "host1", "host2");
		bool is_abort = i % 3 > 0, is_early = i % 3 == 2 && states[i / 3].may_abort_early;
		CLEANUP_FREE char *sql = text_format("UPDATE migrations SET status = '%s' WHERE id = %" PRId64,
						     states[i / 3].status, id);
		CLEANUP_FREE char *path =
			text_format("/v2.1/servers/%s/migrations/%" PRId64 "%s", server, id, is_abort ? "" : "/action");
		CLEANUP_FREE char *words = text_format(
			"Migration %" PRId64 " state of instance %s is %s. Cannot %s while "
			"the migration is in this state.",
			id, server, states[i / 3].status, is_abort ? "abort live migration" : "force complete");

		run(fixture, sql);
		const struct api_answer *answer = api_fixture_ask(
			fixture, &api_admin, i % 3 == 2 ? "compute 2.65" : "compute 2.64", is_abort ? "DELETE" : "POST",
			path, is_abort ? NULL : "{\"force_complete\": null}");
		if (answer->status != (is_early ? 202 : 400) || !text_equal(answer->message, is_early ? "" : words))
			fail_msg("%s: %d %s", states[i / 3].status, answer->status, answer->message);
	}
}

static void a_migration_that_is_not_the_servers_is_not_found(void **state)
{
	static const char *const ids[] = { "99", "0", "x", "+99", "1x", "++1", "-1" };
	struct api_fixture *fixture = *state;
	char server[UUID_SIZE], other[UUID_SIZE];

	db_fixture_server(fixture->db, "vm", 1, server);
	db_fixture_server(fixture->db, "other", 1, other);
	int64_t of_other = db_fixture_migration(fixture->db, other, "host1", "host2");
	run(fixture, "UPDATE servers SET task_state = 'migrating'");
	CLEANUP_FREE char *others = text_format("%" PRId64, of_other);
	for (size_t i = 0; i < (ARRAY_LENGTH(ids) + 1) * 2; i++) {
		const char *id = i / 2 < ARRAY_LENGTH(ids) ? ids[i / 2] : others;
		bool is_abort = i & 1;
		CLEANUP_FREE char *path =
			text_format("/v2.1/servers/%s/migrations/%s%s", server, id, is_abort ? "" : "/action");
		CLEANUP_FREE char *words = text_format("Migration %s not found for instance %s", id, server);
		const struct api_answer *answer =
			api_fixture_ask(fixture, &api_admin, "compute 2.90", is_abort ? "DELETE" : "POST", path,
					is_abort ? NULL : "{\"force_complete\": null}");

		if (answer->status != (is_abort ? 404 : 400) || !text_equal(answer->message, words))
			fail_msg("%s: %d %s", id, answer->status, answer->message);
	}
}

struct record {
	const char *method, *below, *body;
	const char *action, *event, *event_host; /* event NULL: the job will write its own */
	bool is_over; /* the action ends with the request */
};

/* The newest action of the server is that of the answer, and its callers; so are its event and, if it has one, its migration. */
static void expect_record(struct api_fixture *fixture, const char *server, const struct record *record,
			  const char *request_id)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	CLEANUP_DB_ACTION struct db_action action = { 0 };
	CLEANUP_DB_EVENTS struct db_event_list events = { 0 };

	assert_int_equal(db_action_by_request(session, server, request_id, &action, NULL), 0);
	assert_string_equal(action.action, record->action);
	assert_string_equal(action.user_id, api_admin.user);
	assert_string_equal(action.project_id, api_admin.project);
	assert_int_equal(action.start_us, FIXTURE_START_US);
	assert_int_equal(action.finish_us, record->is_over ? FIXTURE_START_US : 0);
	assert_null(action.message);
	assert_int_equal(db_event_by_action(session, action.id, &events, NULL), 0);
	assert_int_equal(events.count, record->event ? 1 : 0);
	if (!record->event)
		return;
	assert_string_equal(events.items[0].event, record->event);
	assert_string_equal(events.items[0].host, record->event_host);
	assert_string_equal(events.items[0].result, "Success");
	assert_int_equal(events.items[0].finish_us, FIXTURE_START_US);
}

static void each_accepted_request_is_an_action_under_its_request_id(void **state)
{
	static const struct record records[] = {
		{ "POST", "/action", "{\"lock\": null}", "lock", "api_lock", "node-1", true },
		{ "POST", "/action", "{\"unlock\": null}", "unlock", "api_unlock", "node-1", true },
		{ "POST", "/action", "{\"os-resetState\": {\"state\": \"active\"}}", "resetState", NULL, NULL, true },
		{ "POST", "/action", "{\"os-migrateLive\": {\"host\": null, \"block_migration\": \"auto\"}}",
		  "live-migration", NULL, NULL, false },
		{ "POST", "/migrations/1/action", "{\"force_complete\": null}", "live_migration_force_complete",
		  "compute_live_migration_force_complete", "host1", true },
		{ "DELETE", "/migrations/1", NULL, "live_migration_cancel", "compute_live_migration_abort", "host1",
		  true },
	};
	struct api_fixture *fixture = *state;
	char server[UUID_SIZE];

	db_fixture_server(fixture->db, "vm", 1, server);
	for (size_t i = 0; i < ARRAY_LENGTH(records); i++) {
		CLEANUP_FREE char *path = text_format("/v2.1/servers/%s%s", server, records[i].below);
		const struct api_answer *answer =
			api_fixture_ask(fixture, &api_admin, "compute 2.90", records[i].method, path, records[i].body);

		if (answer->status != 202)
			fail_msg("%s: %d %s", records[i].action, answer->status, answer->message);
		expect_record(fixture, server, &records[i], api_answer_header(answer, "x-compute-request-id"));
		run(fixture, "UPDATE migrations SET status = 'running'"); /* so that it can be hurried and aborted */
	}
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	struct db_migration migration = { 0 };
	assert_int_equal(db_migration_by_id(session, 1, &migration, NULL), 0);
	assert_string_equal(migration.user_id, api_admin.user);
	assert_string_equal(migration.project_id, api_admin.project);
	assert_string_equal(migration.type, "live-migration");
	assert_string_equal(migration.source_compute, "host1");
	assert_string_equal(migration.source_node, ""); /* with the target, as in Nova */
	assert_true(migration.old_flavor_id > 0 && migration.old_flavor_id == migration.new_flavor_id);
	struct db_job job = job_of(fixture, server);
	assert_true(job.is_abort_requested && job.is_force_complete_requested);
	assert_int_equal(job.migration_id, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, api_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_job_has_what_the_request_asked_for),
		TEST(a_move_to_where_it_cannot_go_is_refused_and_leaves_nothing),
		TEST(a_cold_move_from_a_host_that_is_down_is_refused),
		TEST(a_confirm_needs_its_source_unless_that_was_given_up_and_a_revert_does_not),
		TEST(a_confirm_leaves_the_server_as_it_is_shown_until_it_is_done),
		TEST(what_was_not_moved_is_neither_confirmed_nor_reverted),
		TEST(a_migration_that_does_not_run_is_neither_hurried_nor_aborted),
		TEST(each_accepted_request_is_an_action_under_its_request_id),
		TEST(a_migration_that_is_not_the_servers_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
