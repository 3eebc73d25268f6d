/* Actions that change a server where it stands: from which states, with which words, and what they book. */
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

struct bench {
	struct api_fixture *fixture;
	char server[UUID_SIZE];
	char path[128];
	const char *vm_state, *task_state, *locked_by; /* to be set */
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

/* The unfinished jobs of the server end, so that the next request begins anew. */
static int finish_jobs(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_JOBS struct db_job_list jobs = { 0 };
	int result = db_job_unfinished(session, &jobs, error);

	(void)context;
	for (size_t i = 0; result == 0 && i < jobs.count; i++) {
		jobs.items[i].finished_us = 1;
		result = db_job_update(session, &jobs.items[i], error);
	}
	return result;
}

static const struct power_case {
	const char *body;
	const char *name; /* in refusals */
	const char *vm_states[6]; /* that allow it */
	const char *kind; /* of the job */
	const char *task_state; /* meanwhile */
} cases[] = {
	{ "{\"os-start\": null}", "start", { "stopped" }, "start", "powering-on" },
	{ "{\"os-stop\": {}}", "stop", { "active", "error" }, "stop", "powering-off" },
	{ "{\"pause\": 1}", "pause", { "active" }, "pause", "pausing" },
	{ "{\"unpause\": null}", "unpause", { "paused" }, "unpause", "unpausing" },
	{ "{\"suspend\": null}", "suspend", { "active" }, "suspend", "suspending" },
	{ "{\"resume\": null}", "resume", { "suspended" }, "resume", "resuming" },
	{ "{\"reboot\": {\"type\": \"Soft\"}}", "reboot", { "active" }, "reboot_soft", "rebooting" },
	{ "{\"reboot\": {\"type\": \"HARD\"}}",
	  "reboot",
	  { "active", "stopped", "paused", "suspended", "error" },
	  "reboot_hard",
	  "rebooting_hard" },
};

static bool allows(const struct power_case *one, const char *vm_state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(one->vm_states) && one->vm_states[i]; i++)
		if (text_equal(one->vm_states[i], vm_state))
			return true;
	return false;
}

static void assert_booked(struct bench *bench, const struct power_case *one)
{
	struct db_fixture *fixture = bench->fixture->db;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_JOB struct db_job job = { 0 };
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	CLEANUP_DB_ACTIONS struct db_action_list actions = { 0 };
	const struct db_action_filter filter = { .server_uuid = bench->server };

	OK(db_job_unfinished_of_server(session, bench->server, &job, &fixture->error));
	assert_string_equal(job.kind, one->kind);
	assert_int_not_equal(job.source_host_id, 0);
	OK(db_server_by_uuid(session, bench->server, &server, &fixture->error));
	assert_string_equal(server.task_state, one->task_state);
	OK(db_action_find(session, &filter, &actions, &fixture->error));
	assert_string_equal(actions.items[0].action, one->name);
}

static void each_is_taken_in_its_states_alone(void **state)
{
	static const char *const vm_states[] = { "active", "stopped", "paused", "suspended", "error", "resized" };
	struct bench bench = make_bench(state);
	char words[256];

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		for (size_t j = 0; j < ARRAY_LENGTH(vm_states); j++) {
			set_state(&bench, vm_states[j], "", "");
			const struct api_answer *answer = post(&bench, &api_member, NULL, cases[i].body);

			if (allows(&cases[i], vm_states[j])) {
				assert_int_equal(answer->status, 202);
				assert_booked(&bench, &cases[i]);
				db_fixture_write(bench.fixture->db, finish_jobs, NULL);
				continue;
			}
			snprintf(words, sizeof(words), "Cannot '%s' instance %s while it is in vm_state %s",
				 cases[i].name, bench.server, vm_states[j]);
			assert_int_equal(answer->status, 409);
			assert_string_equal(answer->message, words);
		}
}

static void none_is_taken_beside_another_task_but_a_hard_reboot_that_helps(void **state)
{
	struct bench bench = make_bench(state);
	char words[256];

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		set_state(&bench, cases[i].vm_states[0], "suspending", "");
		const struct api_answer *answer = post(&bench, &api_member, NULL, cases[i].body);
		bool is_hard = text_equal(cases[i].kind, "reboot_hard");

		snprintf(words, sizeof(words), "Cannot '%s' instance %s while it is in task_state suspending",
			 cases[i].name, bench.server);
		assert_int_equal(answer->status, is_hard ? 202 : 409);
		assert_string_equal(answer->message, is_hard ? "" : words);
		set_state(&bench, cases[i].vm_states[0], "migrating", "");
		assert_int_equal(post(&bench, &api_member, NULL, cases[i].body)->status, 409);
	}
}

static void a_lock_comes_before_the_state_and_admins_override_it(void **state)
{
	struct bench bench = make_bench(state);
	char words[128];

	snprintf(words, sizeof(words), "Instance %s is locked", bench.server);
	set_state(&bench, "resized", "", "owner");
	assert_string_equal(post(&bench, &api_member, NULL, "{\"pause\": null}")->message, words);
	set_state(&bench, "active", "", "owner");
	assert_int_equal(post(&bench, &api_admin, NULL, "{\"pause\": null}")->status, 202);
}

static void strangers_find_no_server_and_readers_may_not(void **state)
{
	struct bench bench = make_bench(state);
	const struct api_who reader = { .user = api_member.user, .project = api_member.project, .role = "reader" };

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		assert_int_equal(post(&bench, &api_stranger, NULL, cases[i].body)->status, 404);
		assert_int_equal(post(&bench, &reader, NULL, cases[i].body)->status, 403);
	}
}

static void a_reboot_without_a_good_type_is_refused_in_the_schemas_words(void **state)
{
	static const struct {
		const char *body, *words;
	} bad[] = {
		{ "{\"reboot\": null}",
		  "Invalid input for field/attribute reboot. Value: None. None is not of type 'object'" },
		{ "{\"reboot\": {}}",
		  "Invalid input for field/attribute reboot. Value: {}. 'type' is a required property" },
		{ "{\"reboot\": {\"type\": \"sOFT\"}}", "Invalid input for field/attribute type. Value: sOFT. 'sOFT' "
							"is not one of ['HARD', 'Hard', 'hard', 'SOFT', "
							"'Soft', 'soft']" },
	};
	struct bench bench = make_bench(state);

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		const struct api_answer *answer = post(&bench, &api_member, NULL, bad[i].body);

		assert_string_equal(answer->message, bad[i].words);
		assert_int_equal(answer->status, 400);
	}
}

static int take_off_host(struct db_session *session, void *context, struct error *error)
{
	const struct bench *bench = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, bench->server, &server, error);

	server.host_id = 0;
	return result < 0 ? result : db_server_update(session, &server, error);
}

static void a_server_that_is_on_no_host_is_not_ready(void **state)
{
	struct bench bench = make_bench(state);
	struct db_fixture *fixture = bench.fixture->db;
	CLEANUP_DB_JOBS struct db_job_list jobs = { 0 };
	char words[128];

	db_fixture_write(fixture, take_off_host, &bench);
	snprintf(words, sizeof(words), "Instance %s is not ready", bench.server);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		set_state(&bench, cases[i].vm_states[0], "", "");
		const struct api_answer *answer = post(&bench, &api_member, NULL, cases[i].body);

		assert_string_equal(answer->message, words);
		assert_int_equal(answer->status, 409);
	}
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_job_unfinished(session, &jobs, &fixture->error));
	assert_int_equal(jobs.count, 0);
}

static void assert_locked(struct bench *bench, const char *by, const char *reason)
{
	struct db_fixture *fixture = bench->fixture->db;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	OK(db_server_by_uuid(session, bench->server, &server, &fixture->error));
	assert_string_equal(server.locked_by, by);
	assert_true(text_equal(server.locked_reason, reason) || (!reason && !server.locked_reason));
}

static void a_lock_has_a_side_and_from_2_73_on_a_reason(void **state)
{
	struct bench bench = make_bench(state);
	const char *with_reason = "{\"lock\": {\"locked_reason\": \"work\"}}";

	assert_int_equal(post(&bench, &api_member, "compute 2.72", with_reason)->status, 202);
	assert_locked(&bench, "owner", NULL);
	assert_int_equal(post(&bench, &api_admin, "compute 2.73", with_reason)->status, 202);
	assert_locked(&bench, "admin", "work");
	/* An owner neither changes nor takes away an admin's. */
	assert_int_equal(post(&bench, &api_member, "compute 2.73", "{\"lock\": null}")->status, 202);
	assert_locked(&bench, "admin", "work");
	assert_int_equal(post(&bench, &api_member, NULL, "{\"unlock\": null}")->status, 403);
	assert_int_equal(post(&bench, &api_admin, NULL, "{\"unlock\": null}")->status, 202);
	assert_locked(&bench, "", NULL);
	assert_int_equal(post(&bench, &api_member, "compute 2.73", "{\"lock\": {\"locked_reason\": \"\"}}")->status,
			 400);
	assert_int_equal(post(&bench, &api_member, "compute 2.73", "{\"lock\": {\"x\": 1}}")->status, 400);
}

#define API_TEST(test) cmocka_unit_test_setup_teardown(test, api_fixture_setup, api_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		API_TEST(each_is_taken_in_its_states_alone),
		API_TEST(none_is_taken_beside_another_task_but_a_hard_reboot_that_helps),
		API_TEST(a_lock_comes_before_the_state_and_admins_override_it),
		API_TEST(strangers_find_no_server_and_readers_may_not),
		API_TEST(a_reboot_without_a_good_type_is_refused_in_the_schemas_words),
		API_TEST(a_server_that_is_on_no_host_is_not_ready),
		API_TEST(a_lock_has_a_side_and_from_2_73_on_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
