/* Live migrations below 2.34 wait for the verdict on their target: each waiting request gets one answer, its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/text.h"

#define OWNERS_WORDS "No valid host was found."
#define ADMINS_WORDS "No valid host was found. host2: full"
#define WAIT_US      61000000

int __real_db_job_by_id(struct db_session *session, int64_t id, struct db_job *ret_job, struct error *error);
int __wrap_db_job_by_id(struct db_session *session, int64_t id, struct db_job *ret_job, struct error *error);

/* What happens to the next look at a job. */
static struct {
	struct api_fixture *_Atomic late; /* the time to wait ends meanwhile */
	atomic_bool is_broken;
} next;

int __wrap_db_job_by_id(struct db_session *session, int64_t id, struct db_job *ret_job, struct error *error)
{
	struct api_fixture *late = atomic_exchange(&next.late, NULL);

	if (late) {
		clock_manual_advance(late->db->clock, WAIT_US);
		api_fixture_wait(late);
	}
	if (atomic_exchange(&next.is_broken, false))
		return error_set(error, EIO, "the disk is gone");
	return __real_db_job_by_id(session, id, ret_job, error);
}

/* A server with a live migration whose request waits. */
struct move {
	char server[UUID_SIZE];
	int64_t job;
	int status; /* of the verdict to be set */
};

static int set_verdict(struct db_session *session, void *context, struct error *error)
{
	const struct move *move = context;
	bool is_refused = move->status >= 400;

	return db_job_set_verdict(session, move->job, move->status, is_refused ? OWNERS_WORDS : NULL,
				  is_refused ? ADMINS_WORDS : NULL, error);
}

static int finish_job(struct db_session *session, void *context, struct error *error)
{
	const struct move *move = context;
	CLEANUP_DB_JOB struct db_job job = { 0 };
	int result = __real_db_job_by_id(session, move->job, &job, error);

	job.finished_us = FIXTURE_START_US;
	return result < 0 ? result : db_job_update(session, &job, error);
}

static int touch_job(struct db_session *session, void *context, struct error *error)
{
	const struct move *move = context;

	return db_job_request(session, move->job, true, false, error);
}

static int do_nothing(struct db_session *session, void *context, struct error *error)
{
	(void)session;
	(void)context;
	(void)error;
	return 0;
}

/* A write is answered after all that follows from the commits before it. */
static void write_and_let_follow(struct api_fixture *fixture, db_write_fn write, struct move *move)
{
	db_fixture_write(fixture->db, write, move);
	db_fixture_write(fixture->db, do_nothing, NULL);
}

static struct move begin_move(struct api_fixture *fixture, const struct api_who *who)
{
	struct move move = { 0 };
	char path[128];

	db_fixture_server(fixture->db, "vm", 1, move.server);
	snprintf(path, sizeof(path), "/v2.1/servers/%s/action", move.server);
	api_fixture_start(fixture, who, "compute 2.33", "POST", path,
			  "{\"os-migrateLive\": {\"host\": null, \"block_migration\": \"auto\"}}");
	write_and_let_follow(fixture, do_nothing, NULL);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	CLEANUP_DB_JOB struct db_job job = { 0 };

	assert_int_equal(db_job_unfinished_of_server(session, move.server, &job, NULL), 0);
	move.job = job.id;
	return move;
}

static int set_up(void **state)
{
	int result = api_fixture_setup(state);
	struct api_fixture *fixture = *state;

	if (result == 0)
		db_fixture_host(fixture->db, "host1");
	return result;
}

static void expect_answer(struct api_fixture *fixture, int status, const char *message)
{
	const struct api_answer *answer = api_fixture_wait(fixture);

	assert_string_equal(answer->message, message);
	assert_int_equal(answer->status, status);
}

static void a_verdict_is_told_to_owners_without_the_hosts_and_to_admins_with_them(void **state)
{
	static const struct {
		const struct api_who *who;
		int status;
		const char *message;
	} verdicts[] = {
		{ &api_member, 202, "" },           { &api_admin, 202, "" },
		{ &api_member, 400, OWNERS_WORDS }, { &api_admin, 400, ADMINS_WORDS },
		{ &api_member, 500, OWNERS_WORDS }, { &api_admin, 500, ADMINS_WORDS },
	};
	struct api_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(verdicts); i++) {
		struct move move = begin_move(fixture, verdicts[i].who);

		assert_false(api_fixture_has_answer(fixture));
		move.status = verdicts[i].status;
		write_and_let_follow(fixture, set_verdict, &move);
		assert_true(api_fixture_has_answer(fixture));
		expect_answer(fixture, verdicts[i].status, verdicts[i].message);
	}
}

static void a_change_of_the_job_that_is_no_verdict_ends_no_waiting(void **state)
{
	struct api_fixture *fixture = *state;
	struct move move = begin_move(fixture, &api_member);

	write_and_let_follow(fixture, touch_job, &move);
	assert_false(api_fixture_has_answer(fixture));
	move.status = 202;
	write_and_let_follow(fixture, set_verdict, &move);
	expect_answer(fixture, 202, "");
}

static void of_several_that_wait_each_gets_its_own_verdict(void **state)
{
	struct api_fixture *fixture = *state;
	struct move first = begin_move(fixture, &api_admin), second = begin_move(fixture, &api_admin);
	struct move third = begin_move(fixture, &api_admin);
	struct move *const order[] = { &second, &first, &third };

	for (size_t i = 0; i < ARRAY_LENGTH(order); i++) {
		assert_false(api_fixture_has_answer(fixture));
		order[i]->status = 400 + (int)i;
		write_and_let_follow(fixture, set_verdict, order[i]);
		expect_answer(fixture, 400 + (int)i, ADMINS_WORDS);
		json_decref(fixture->answer.document);
		fixture->answer = (struct api_answer){ 0 };
	}
}

static void a_verdict_that_comes_as_the_time_ends_answers_nobody_twice(void **state)
{
	struct api_fixture *fixture = *state;
	struct move move = begin_move(fixture, &api_member);

	move.status = 400;
	atomic_store(&next.late, fixture);
	write_and_let_follow(fixture, set_verdict, &move);
	assert_null(atomic_load(&next.late));
	expect_answer(fixture, 202, "");
}

static void without_a_limit_one_waits_for_the_verdict_itself(void **state)
{
	struct api_fixture *fixture = *state;
	struct error error = { 0 };

	db_fixture_reopen(fixture->db); /* an API goes after its database */
	api_destroy(fixture->api);
	fixture->settings.database = fixture->db->database;
	fixture->settings.wait_timeout_s = 0;
	assert_int_equal(api_create(&fixture->settings, &fixture->api, &error), 0);
	struct move move = begin_move(fixture, &api_member);
	for (int hours = 0; hours < 48; hours++)
		clock_manual_advance(fixture->db->clock, INT64_C(3600000000));
	write_and_let_follow(fixture, do_nothing, NULL);
	assert_false(api_fixture_has_answer(fixture));
	move.status = 202;
	write_and_let_follow(fixture, set_verdict, &move);
	expect_answer(fixture, 202, "");
}

/* What follows may take away all that an answer needs. */
static void when_waiting_is_stopped_all_who_waited_have_their_answer(void **state)
{
	struct api_fixture *fixture = *state;

	begin_move(fixture, &api_member);
	assert_false(api_fixture_has_answer(fixture));
	api_stop_waiting(fixture->api);
	assert_true(api_fixture_has_answer(fixture));
	expect_answer(fixture, 202, "");
}

/* It is accepted, and durable. */
static void who_comes_as_the_daemon_ends_is_answered_at_once(void **state)
{
	struct api_fixture *fixture = *state;

	api_stop_waiting(fixture->api);
	begin_move(fixture, &api_member);
	expect_answer(fixture, 202, "");
}

static void expect_failed(struct api_fixture *fixture)
{
	const struct api_answer *answer = api_fixture_wait(fixture);
	CLEANUP_FREE char *message =
		text_format("The request failed inside the service. The log tells why under the request id %s.",
			    api_answer_header(answer, "x-compute-request-id"));

	expect_answer(fixture, 500, message);
}

static void a_verdict_that_cannot_be_read_ends_the_waiting_with_a_failure(void **state)
{
	struct api_fixture *fixture = *state;
	struct move move = begin_move(fixture, &api_member);

	atomic_store(&next.is_broken, true);
	write_and_let_follow(fixture, touch_job, &move);
	assert_false(atomic_load(&next.is_broken));
	expect_failed(fixture);
}

static void a_job_that_ends_without_a_verdict_is_told_as_a_failure(void **state)
{
	struct api_fixture *fixture = *state;
	struct move move = begin_move(fixture, &api_member);

	write_and_let_follow(fixture, finish_job, &move);
	expect_failed(fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, api_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_verdict_is_told_to_owners_without_the_hosts_and_to_admins_with_them),
		TEST(a_change_of_the_job_that_is_no_verdict_ends_no_waiting),
		TEST(of_several_that_wait_each_gets_its_own_verdict),
		TEST(a_verdict_that_comes_as_the_time_ends_answers_nobody_twice),
		TEST(without_a_limit_one_waits_for_the_verdict_itself),
		TEST(when_waiting_is_stopped_all_who_waited_have_their_answer),
		TEST(who_comes_as_the_daemon_ends_is_answered_at_once),
		TEST(a_verdict_that_cannot_be_read_ends_the_waiting_with_a_failure),
		TEST(a_job_that_ends_without_a_verdict_is_told_as_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
