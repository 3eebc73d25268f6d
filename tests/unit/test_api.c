/* The API's line of checks over a real database: what is refused with which words, and what an accepted action leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <string.h>

#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/text.h"

#define V2_56 "compute 2.56"

struct bench {
	char server[UUID_SIZE];
	char path[128];
};

static struct bench make_bench(struct api_fixture *fixture)
{
	struct bench bench = { 0 };
	int64_t host = db_fixture_host(fixture->db, "host1");

	db_fixture_host(fixture->db, "host2");
	db_fixture_server(fixture->db, "vm", host, bench.server);
	snprintf(bench.path, sizeof(bench.path), "/v2.1/servers/%s/action", bench.server);
	return bench;
}

#define ASSERT_ANSWER(answer, expected_status, expected_message)                                                       \
	do {                                                                                                           \
		const struct api_answer *asked = (answer);                                                             \
                                                                                                                       \
		assert_string_equal(asked->message, (expected_message));                                               \
		assert_int_equal(asked->status, (expected_status));                                                    \
	} while (0)

static const struct api_answer *post(struct api_fixture *fixture, const struct api_who *who, const char *version,
				     const char *path, const char *body)
{
	return api_fixture_ask(fixture, who, version, "POST", path, body);
}

struct state_change {
	const char *server;
	const char *vm_state;
	const char *task_state;
	const char *locked_by;
};

static int change_state(struct db_session *session, void *context, struct error *error)
{
	const struct state_change *change = context;
	int result = db_server_set_lock(session, change->server, change->locked_by, NULL, error);

	return result < 0 ? result
			  : db_server_set_state(session, change->server, change->vm_state, change->task_state, error);
}

static void set_state(struct api_fixture *fixture, const struct bench *bench, const char *vm_state,
		      const char *task_state, const char *locked_by)
{
	struct state_change change = { bench->server, vm_state, task_state, locked_by };

	db_fixture_write(fixture->db, change_state, &change);
}

static void read_job(struct api_fixture *fixture, const struct bench *bench, struct db_job *ret_job)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);

	if (db_job_unfinished_of_server(session, bench->server, ret_job, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
}

static void an_accepted_migrate_leaves_migration_action_job_and_task_state(void **state)
{
	struct api_fixture *fixture = *state;
	struct bench bench = make_bench(fixture);
	CLEANUP_DB_JOB struct db_job job = { 0 };
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	struct db_migration migration = { 0 };

	const struct api_answer *answer = post(fixture, &api_member, V2_56, bench.path, "{\"migrate\": null}");
	ASSERT_ANSWER(answer, 202, "");
	assert_null(answer->document);
	assert_string_equal(answer->version, V2_56);
	read_job(fixture, &bench, &job);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	struct error *error = &fixture->db->error;
	assert_int_equal(db_migration_by_id(session, job.migration_id, &migration, error), 0);
	assert_int_equal(db_server_by_uuid(session, bench.server, &server, error), 0);
	assert_string_equal(job.kind, "cold");
	assert_true(job.action_id > 0);
	assert_string_equal(migration.status, "accepted");
	assert_string_equal(migration.type, "migration");
	assert_string_equal(migration.source_compute, "host1");
	assert_string_equal(migration.source_node, "host1");
	assert_string_equal(migration.dest_compute, "");
	assert_string_equal(server.task_state, "resize_prep");
}

static void a_refused_action_leaves_nothing(void **state)
{
	struct api_fixture *fixture = *state;
	struct bench bench = make_bench(fixture);
	CLEANUP_DB_MIGRATIONS struct db_migration_list migrations = { 0 };
	struct db_migration_filter filter = { .has_hidden = true };

	ASSERT_ANSWER(post(fixture, &api_admin, V2_56, bench.path, "{\"migrate\": {\"host\": \"nope\"}}"), 400,
		      "Compute host nope could not be found.");
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	assert_int_equal(db_migration_find(session, &filter, &migrations, &fixture->db->error), 0);
	assert_int_equal(migrations.count, 0);
}

static void a_member_may_migrate_but_not_name_a_host(void **state)
{
	struct api_fixture *fixture = *state;
	struct bench bench = make_bench(fixture);

	ASSERT_ANSWER(post(fixture, &api_member, V2_56, bench.path, "{\"migrate\": {\"host\": \"host2\"}}"), 403,
		      "Policy doesn't allow os_compute_api:os-migrate-server:migrate:host to be performed.");
	ASSERT_ANSWER(post(fixture, &api_member, V2_56, bench.path,
			   "{\"os-migrateLive\": {\"host\": \"host2\", \"block_migration\": \"auto\"}}"),
		      403, "Policy doesn't allow os_compute_api:os-migrate-server:migrate_live:host to be performed.");
	/* Below 2.56 a host in the value is no host. */
	ASSERT_ANSWER(post(fixture, &api_member, NULL, bench.path, "{\"migrate\": {\"host\": \"host2\"}}"), 202, "");
}

static void another_projects_server_is_not_found(void **state)
{
	struct api_fixture *fixture = *state;
	struct bench bench = make_bench(fixture);
	char words[128];

	snprintf(words, sizeof(words), "Instance %s could not be found.", bench.server);
	ASSERT_ANSWER(post(fixture, &api_stranger, V2_56, bench.path, "{\"migrate\": null}"), 404, words);
	ASSERT_ANSWER(post(fixture, &api_admin, V2_56, bench.path, "{\"migrate\": null}"), 202, "");
}

static void lock_comes_before_state_and_state_before_the_host(void **state)
{
	struct api_fixture *fixture = *state;
	struct bench bench = make_bench(fixture);
	const char *body = "{\"migrate\": null}";
	char words[160];

	set_state(fixture, &bench, "paused", "", "owner");
	snprintf(words, sizeof(words), "Instance %s is locked", bench.server);
	ASSERT_ANSWER(post(fixture, &api_member, V2_56, bench.path, body), 409, words);
	snprintf(words, sizeof(words), "Cannot 'migrate' instance %s while it is in vm_state paused", bench.server);
	ASSERT_ANSWER(post(fixture, &api_admin, V2_56, bench.path, "{\"migrate\": {\"host\": \"nope\"}}"), 409, words);
	set_state(fixture, &bench, "active", "migrating", "");
	snprintf(words, sizeof(words), "Cannot 'migrate' instance %s while it is in task_state migrating",
		 bench.server);
	ASSERT_ANSWER(post(fixture, &api_member, V2_56, bench.path, body), 409, words);
}

static void checks_before_the_server_come_in_novas_order(void **state)
{
	struct api_fixture *fixture = *state;
	const char *path = "/v2.1/servers/x/action";
	const char *wrong_project = "/v2.1/abc0/servers/x/action";

	ASSERT_ANSWER(post(fixture, NULL, "compute abc", path, "["), 401,
		      "The request you have made requires authentication.");
	ASSERT_ANSWER(post(fixture, &api_member, "compute abc", "/v2.1/nosuch", "["), 404,
		      "The resource could not be found.");
	ASSERT_ANSWER(post(fixture, &api_member, "compute abc", path, "["), 400,
		      "API Version String abc is of invalid format. Must be of format MajorNum.MinorNum.");
	assert_string_equal(fixture->answer.version, "");
	ASSERT_ANSWER(post(fixture, &api_member, "compute 2.105", path, "["), 406,
		      "Version 2.105 is not supported by the API. Minimum is 2.1 and maximum is 2.104.");
	assert_string_equal(fixture->answer.version, "compute 2.105");
	ASSERT_ANSWER(post(fixture, &api_member, V2_56, wrong_project, "[]"), 400, "Malformed request body");
	ASSERT_ANSWER(post(fixture, &api_member, V2_56, wrong_project, "[1]"), 404, "The resource could not be found.");
	ASSERT_ANSWER(post(fixture, &api_member, V2_56, wrong_project, "{\"nosuch\": 1}"), 400,
		      "There is no such action: nosuch");
	ASSERT_ANSWER(post(fixture, &api_member, V2_56, wrong_project, "{\"migrate\": 1}"), 400,
		      "Malformed request URL: URL's project_id 'abc0' doesn't match Context's project_id 'project'");
	ASSERT_ANSWER(post(fixture, &api_member, V2_56, path, "{\"migrate\": 1}"), 400,
		      "Invalid input for field/attribute migrate. Value: 1. 1 is not of type 'object', 'null'");
	ASSERT_ANSWER(post(fixture, &api_member, V2_56, path, "{\"migrate\": null}"), 404,
		      "Instance x could not be found.");
}

static void force_without_a_host_is_refused_even_in_a_wrong_state(void **state)
{
	struct api_fixture *fixture = *state;
	struct bench bench = make_bench(fixture);

	set_state(fixture, &bench, "stopped", "", "owner");
	ASSERT_ANSWER(post(fixture, &api_member, "compute 2.34", bench.path,
			   "{\"os-migrateLive\": {\"host\": null, \"block_migration\": \"auto\", \"force\": true}}"),
		      400, "Can't force to a non-provided destination");
}

struct verdict {
	int64_t job_id;
	int status;
};

static int set_verdict(struct db_session *session, void *context, struct error *error)
{
	const struct verdict *verdict = context;

	return db_job_set_verdict(session, verdict->job_id, verdict->status, "No valid host was found.",
				  "No valid host was found. host2: full", error);
}

static void a_live_migration_below_2_34_is_answered_by_its_verdict(void **state)
{
	struct api_fixture *fixture = *state;
	struct bench bench = make_bench(fixture);
	CLEANUP_DB_JOB struct db_job job = { 0 };

	api_fixture_start(fixture, &api_member, "compute 2.33", "POST", bench.path,
			  "{\"os-migrateLive\": {\"host\": null, \"block_migration\": \"auto\"}}");
	/* A further write is answered after the job's commit and its completion. */
	set_state(fixture, &bench, NULL, NULL, "");
	read_job(fixture, &bench, &job);
	assert_true(job.is_waited_for);
	assert_int_equal(job.minor_version, 33);
	assert_string_equal(job.block_migration, "auto");
	assert_false(api_fixture_has_answer(fixture));
	struct verdict verdict = { job.id, 400 };
	db_fixture_write(fixture->db, set_verdict, &verdict);
	ASSERT_ANSWER(api_fixture_wait(fixture), 400, "No valid host was found.");
}

static void start_and_wait_for_a_verdict(struct api_fixture *fixture, const struct bench *bench)
{
	api_fixture_start(fixture, &api_member, "compute 2.33", "POST", bench->path,
			  "{\"os-migrateLive\": {\"host\": null, \"block_migration\": \"auto\"}}");
	/* A further write is answered after the job's commit and its completion. */
	set_state(fixture, bench, NULL, NULL, "");
	assert_false(api_fixture_has_answer(fixture));
}

static void whoever_waits_too_long_for_a_verdict_is_told_that_the_job_is_accepted(void **state)
{
	struct api_fixture *fixture = *state;
	struct bench bench = make_bench(fixture);
	CLEANUP_DB_JOB struct db_job job = { 0 };

	start_and_wait_for_a_verdict(fixture, &bench);
	clock_manual_advance(fixture->db->clock, 59 * 1000000LL);
	set_state(fixture, &bench, NULL, NULL, "");
	assert_false(api_fixture_has_answer(fixture));
	clock_manual_advance(fixture->db->clock, 2 * 1000000LL);
	ASSERT_ANSWER(api_fixture_wait(fixture), 202, "");

	/* A verdict that comes later finds nobody. */
	read_job(fixture, &bench, &job);
	struct verdict verdict = { job.id, 400 };
	db_fixture_write(fixture->db, set_verdict, &verdict);
}

static void an_ending_daemon_leaves_nobody_waiting_for_a_verdict(void **state)
{
	struct api_fixture *fixture = *state;
	struct bench bench = make_bench(fixture);

	start_and_wait_for_a_verdict(fixture, &bench);
	api_stop_waiting(fixture->api);
	ASSERT_ANSWER(api_fixture_wait(fixture), 202, "");
}

static void version_documents_need_no_token(void **state)
{
	struct api_fixture *fixture = *state;
	const struct api_answer *answer = api_fixture_ask(fixture, NULL, NULL, "GET", "/v2.1/", NULL);
	const char *version = NULL;

	assert_int_equal(answer->status, 200);
	assert_int_equal(json_unpack(answer->document, "{s:{s:s}}", "version", "version", &version), 0);
	assert_string_equal(version, "2.104");
	assert_int_equal(api_fixture_ask(fixture, NULL, "compute abc", "GET", "/", NULL)->status, 200);
	assert_int_equal(api_fixture_ask(fixture, NULL, NULL, "GET", "/v3", NULL)->status, 300);
	assert_non_null(json_object_get(fixture->answer.document, "choices"));
}

static void a_target_with_scheme_and_authority_is_the_same_as_without(void **state)
{
	struct api_fixture *fixture = *state;

	assert_int_equal(api_fixture_ask(fixture, NULL, NULL, "GET", "http://cloud.example:8774/v2.1/", NULL)->status,
			 200);
	assert_int_equal(
		api_fixture_ask(fixture, NULL, NULL, "GET", "HTTPS://cloud.example/v2.1/servers", NULL)->status, 401);
	assert_int_equal(api_fixture_ask(fixture, NULL, NULL, "GET", "http://cloud.example", NULL)->status, 300);
	assert_int_equal(
		api_fixture_ask(fixture, &api_admin, NULL, "GET", "http://cloud.example/v2.1/servers?limit=1", NULL)
			->status,
		200);
}

static void making_changing_and_deleting_servers_is_refused_by_its_own_words(void **state)
{
	struct api_fixture *fixture = *state;
	struct bench bench = make_bench(fixture);
	const char *body = "{\"server\": {\"name\": \"other\"}}";
	char path[128];

	TEXT_COPY(path, bench.path);
	*strstr(path, "/action") = '\0';
	ASSERT_ANSWER(api_fixture_ask(fixture, &api_member, "compute 2.90", "POST", "/v2.1/servers", "{\"server\": 1}"),
		      400, "Invalid input for field/attribute server. Value: 1. 1 is not of type 'object'");
	assert_int_equal(api_fixture_ask(fixture, &api_member, "compute 2.90", "POST", "/v2.1/servers", body)->status,
			 501);
	assert_int_equal(api_fixture_ask(fixture, &api_member, "compute 2.90", "PUT", path, body)->status, 501);
	assert_int_equal(api_fixture_ask(fixture, &api_admin, "compute 2.90", "DELETE", path, NULL)->status, 501);
	assert_int_equal(api_fixture_ask(fixture, &api_admin, "compute 2.90", "GET", path, NULL)->status, 200);
}

static int write_moved_back(struct db_session *session, void *context, struct error *error)
{
	const struct db_migration *migration = context;
	int result = db_migration_set_status(session, migration->id, "finished", error);

	return result < 0 ? result : db_server_set_state(session, migration->server_uuid, "resized", "", error);
}

/* It was moved from host1 to host2, and is shown on host1 again: somebody moved it back outside the API. */
static void a_confirm_or_revert_is_of_its_migrations_own_hosts_wherever_the_server_is_shown(void **state)
{
	static const struct {
		const char *body;
		int status;
	} actions[] = { { "{\"confirmResize\": null}", 204 }, { "{\"revertResize\": null}", 202 } };

	for (size_t i = 0; i < ARRAY_LENGTH(actions); i++) {
		struct api_fixture *fixture = *state;
		struct bench bench = make_bench(fixture);
		CLEANUP_DB_JOB struct db_job job = { 0 };
		CLEANUP_DB_HOST struct db_host source = { 0 }, target = { 0 };
		struct db_migration migration = { .id = db_fixture_migration(fixture->db, bench.server, "host1",
									     "host2") };

		TEXT_COPY(migration.server_uuid, bench.server);
		db_fixture_write(fixture->db, write_moved_back, &migration);
		ASSERT_ANSWER(post(fixture, &api_member, V2_56, bench.path, actions[i].body), actions[i].status, "");
		read_job(fixture, &bench, &job);
		CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
		int source_result = db_host_by_name(session, "host1", &source, &fixture->db->error);
		int target_result = db_host_by_name(session, "host2", &target, &fixture->db->error);
		db_read_end(TAKE_POINTER(session));
		assert_int_equal(source_result, 0);
		assert_int_equal(target_result, 0);
		assert_int_equal(job.source_host_id, source.id);
		assert_int_equal(job.target_host_id, target.id);
		if (i + 1 == ARRAY_LENGTH(actions))
			break;
		api_fixture_teardown(state);
		api_fixture_setup(state);
	}
}

#define API_TEST(test) cmocka_unit_test_setup_teardown(test, api_fixture_setup, api_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		API_TEST(an_accepted_migrate_leaves_migration_action_job_and_task_state),
		API_TEST(a_refused_action_leaves_nothing),
		API_TEST(a_member_may_migrate_but_not_name_a_host),
		API_TEST(another_projects_server_is_not_found),
		API_TEST(lock_comes_before_state_and_state_before_the_host),
		API_TEST(checks_before_the_server_come_in_novas_order),
		API_TEST(force_without_a_host_is_refused_even_in_a_wrong_state),
		API_TEST(a_live_migration_below_2_34_is_answered_by_its_verdict),
		API_TEST(whoever_waits_too_long_for_a_verdict_is_told_that_the_job_is_accepted),
		API_TEST(an_ending_daemon_leaves_nobody_waiting_for_a_verdict),
		API_TEST(a_confirm_or_revert_is_of_its_migrations_own_hosts_wherever_the_server_is_shown),
		API_TEST(version_documents_need_no_token),
		API_TEST(a_target_with_scheme_and_authority_is_the_same_as_without),
		API_TEST(making_changing_and_deleting_servers_is_refused_by_its_own_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
