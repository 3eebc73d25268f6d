/* Live migrations through the dispatcher on the simulated fleet, with a real database. */
#include "tests/unit/db_fixture.h"

#include "base/metrics.h"
#include "base/text.h"
#include "db/claims.h"
#include "db/volumes.h"
#include "server/scheduler/scheduler.h"
#include "server/settings.h"
#include "server/worker/simulated/fleet.h"
#include "server/worker/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <time.h>

#include <cmocka.h>

struct bench {
	struct db_fixture *fixture;
	struct hypervisor *fleet;
	struct worker *worker;
	struct metrics *metrics;
	struct worker_settings settings;
	struct scheduler_settings scheduler;
	int64_t hosts[3];
};

static struct bench bench;

static int setup(void **state)
{
	static const char *const names[] = { "one", "two", "three" };

	db_fixture_setup(state);
	bench = (struct bench){ .fixture = *state };
	bench.settings = (struct worker_settings){
		.threads = 4, .lease_s = 60, .progress_interval_s = 1, .poll_interval_ms = 500, .retry_interval_s = 5
	};
	bench.scheduler = scheduler_settings_default;
	bench.metrics = metrics_create();
	struct worker_parts parts = { .database = bench.fixture->database,
				      .metrics = bench.metrics,
				      .clock = bench.fixture->clock,
				      .settings = &bench.settings,
				      .scheduler = &bench.scheduler,
				      .node = "node" };
	assert_int_equal(simulated_create(bench.fixture->clock, &bench.fleet, NULL), 0);
	parts.hypervisor = bench.fleet;
	assert_int_equal(worker_create(&parts, &bench.worker, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		bench.hosts[i] = db_fixture_host(bench.fixture, names[i]);
		assert_int_equal(simulated_add_host(bench.fleet, names[i], NULL), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	struct db_fixture *fixture = *state;

	assert_true(worker_stop(bench.worker));
	db_close(fixture->database);
	fixture->database = NULL;
	worker_destroy(bench.worker);
	metrics_destroy(bench.metrics);
	bench.fleet->operations->destroy(bench.fleet);
	OK(db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error));
	return db_fixture_teardown(state);
}

/* What is left on a host is removed by a chore, soon after the job has ended. */
static void wait_until_gone(const char *host, const char *uuid)
{
	for (int i = 0; i < 400 && simulated_state(bench.fleet, host, uuid) != GUEST_ABSENT; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	assert_int_equal(simulated_state(bench.fleet, host, uuid), GUEST_ABSENT);
}

static int insert_job(struct db_session *session, void *context, struct error *error)
{
	return db_job_insert(session, context, error);
}

static int update_job(struct db_session *session, void *context, struct error *error)
{
	return db_job_update(session, context, error);
}

static int insert_action(struct db_session *session, void *context, struct error *error)
{
	return db_action_insert(session, context, error);
}

/* A server on host one, and a job to move it, by the scheduler or to the named host. */
static int64_t order_move(const char *server_name, const char *target, char ret_uuid[UUID_SIZE])
{
	struct db_fixture *fixture = bench.fixture;
	struct db_job job = { .kind = "live", .minor_version = 34, .block_migration = "auto", .is_waited_for = true };
	struct db_action action = { .action = "live-migration" };

	db_fixture_server(fixture, server_name, bench.hosts[0], ret_uuid);
	OK(simulated_put_guest(bench.fleet, "one", ret_uuid, GUEST_RUNNING, 1024, &fixture->error));
	TEXT_COPY(job.server_uuid, ret_uuid);
	TEXT_COPY(action.server_uuid, ret_uuid);
	request_id_make(job.request_id);
	TEXT_COPY(action.request_id, job.request_id);
	db_fixture_write(fixture, insert_action, &action);
	job.migration_id = db_fixture_migration(fixture, ret_uuid, "one", "");
	job.action_id = action.id;
	job.source_host_id = bench.hosts[0];
	TEXT_COPY(job.requested_host, target);
	db_fixture_write(fixture, insert_job, &job);
	return job.id;
}

static void read_job(int64_t id, struct db_job *ret_job)
{
	struct db_fixture *fixture = bench.fixture;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);

	OK(db_job_by_id(session, id, ret_job, &fixture->error));
}

/* Waits for the end; bounded, so that a job that hangs fails the test. */
static void wait_finished(int64_t id, struct db_job *ret_job)
{
	for (int i = 0; i < 2000; i++) {
		struct db_job job = { 0 };

		read_job(id, &job);
		if (job.finished_us && job.verdict.status) {
			*ret_job = job;
			return;
		}
		db_job_clear(&job);
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	fail_msg("job %lld did not end", (long long)id);
}

static void assert_ended(const struct db_job *job, const char *status, const char *host, bool is_error)
{
	struct db_fixture *fixture = bench.fixture;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	CLEANUP_DB_CLAIMS struct db_claim_list claims = { 0 };
	CLEANUP_DB_ACTION struct db_action action = { 0 };
	CLEANUP_DB_EVENTS struct db_event_list events = { 0 };
	struct db_migration migration;

	OK(db_migration_by_id(session, job->migration_id, &migration, &fixture->error));
	assert_string_equal(migration.status, status);
	OK(db_server_by_uuid(session, job->server_uuid, &server, &fixture->error));
	assert_string_equal(server.host, host);
	assert_string_equal(server.vm_state, "active");
	OK(db_claim_by_migration(session, job->migration_id, &claims, &fixture->error));
	assert_int_equal(claims.count, 0);
	OK(db_action_by_request(session, job->server_uuid, job->request_id, &action, &fixture->error));
	assert_int_not_equal(action.finish_us, 0);
	assert_true(text_equal(action.message, is_error ? "Error" : NULL));
	OK(db_event_by_action(session, action.id, &events, &fixture->error));
	assert_int_not_equal(events.count, 0);
	for (size_t i = 0; i < events.count; i++)
		assert_int_not_equal(events.items[i].finish_us, 0);
	assert_int_equal(simulated_state(bench.fleet, host, job->server_uuid), GUEST_RUNNING);
}

/* It is counted just after its end is on disk. */
static void assert_counted(const char *line)
{
	for (int i = 0; i < 400; i++) {
		CLEANUP_TEXT struct text text = TEXT_EMPTY;

		metrics_render(bench.metrics, &text);
		if (strstr(text.data, line))
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	fail_msg("metrics do not have: %s", line);
}

static void test_a_live_move_ends_completed_on_the_target_with_no_claim_left(void **state)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };
	char uuid[UUID_SIZE];
	int64_t id = order_move("vm", "two", uuid);

	(void)state;
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_finished(id, &job);
	assert_int_equal(job.verdict.status, 202);
	assert_ended(&job, "completed", "two", false);
	wait_until_gone("one", uuid);
	assert_counted("\nmigrationd_moves_total{kind=\"live\",outcome=\"completed\"} 1\n");
	assert_counted("\nmigrationd_move_duration_seconds_count{kind=\"live\"} 1\n");
	assert_counted("\nmigrationd_live_migration_downtime_seconds_count 1\n");
	assert_counted("\nmigrationd_live_migration_bytes_total{part=\"memory\"} 1073741824\n");
	assert_counted("\nmigrationd_scheduler_pass_duration_seconds_count 1\n");
}

static void test_a_failure_in_the_copy_leaves_the_server_where_it_was(void **state)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };
	char uuid[UUID_SIZE];
	int64_t id = order_move("vm", "two", uuid);

	(void)state;
	simulated_script(bench.fleet, "two", SIMULATED_COPY_RAISES, 1);
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_finished(id, &job);
	assert_ended(&job, "failed", "one", true);
	wait_until_gone("two", uuid);
	assert_counted("\nmigrationd_moves_total{kind=\"live\",outcome=\"failed\"} 1\n");
	assert_counted("\nmigrationd_move_failures_total{kind=\"live\",reason=\"host\"} 1\n");
	assert_counted("\nmigrationd_move_duration_seconds_count{kind=\"live\"} 0\n");
}

static void test_a_refused_check_goes_to_the_next_host(void **state)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };
	struct db_fixture *fixture = *state;
	char other[UUID_SIZE], uuid[UUID_SIZE];

	/* Somebody stands on three, so that two is the better one and is tried first. */
	db_fixture_server(fixture, "other", bench.hosts[2], other);
	int64_t id = order_move("vm", "", uuid);
	simulated_script(bench.fleet, "two", SIMULATED_CHECK_REFUSES, 1);
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_finished(id, &job);
	assert_int_equal(job.attempt, 2);
	assert_ended(&job, "completed", "three", false);
}

static void test_no_valid_host_is_told_as_400_with_names_for_admins_only(void **state)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };
	char uuid[UUID_SIZE];
	int64_t id = order_move("vm", "", uuid);

	(void)state;
	bench.scheduler.reserved_host_memory_mb = 8000;
	assert_int_equal(worker_set_limits(bench.worker, &bench.settings, &bench.scheduler, NULL), 0);
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_finished(id, &job);
	assert_int_equal(job.verdict.status, 400);
	assert_true(text_starts_with(job.verdict.message, "No valid host was found. " SCHEDULE_NOT_ENOUGH_HOSTS));
	assert_null(strstr(job.verdict.message, "three"));
	assert_non_null(strstr(job.verdict.message_for_admins, "three"));
	assert_ended(&job, "error", "one", true);
}

static void test_of_two_moves_for_the_last_memory_one_gets_it(void **state)
{
	CLEANUP_DB_JOB struct db_job first = { 0 };
	CLEANUP_DB_JOB struct db_job second = { 0 };
	char uuid[UUID_SIZE];
	int64_t first_id = order_move("a", "two", uuid);
	int64_t second_id = order_move("b", "two", uuid);

	(void)state;
	bench.scheduler.reserved_host_memory_mb = 8192 - 1500; /* room for one of 1024 */
	bench.scheduler.ram_allocation_ratio = 1.0;
	assert_int_equal(worker_set_limits(bench.worker, &bench.settings, &bench.scheduler, NULL), 0);
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_finished(first_id, &first);
	wait_finished(second_id, &second);
	assert_int_equal(first.verdict.status + second.verdict.status, 202 + 400);
}

static void test_a_restart_in_the_copy_takes_up_what_the_hosts_show(void **state)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };
	struct db_fixture *fixture = *state;
	char uuid[UUID_SIZE];
	int64_t id = order_move("vm", "two", uuid);
	struct db_job moving = { 0 };

	/* As a crash leaves it: the phase written, the move over, nobody told. */
	read_job(id, &moving);
	TEXT_COPY(moving.phase, "moving");
	moving.target_host_id = bench.hosts[1];
	OK(simulated_put_guest(bench.fleet, "two", uuid, GUEST_RUNNING, 1024, &fixture->error));
	OK(simulated_put_guest(bench.fleet, "one", uuid, GUEST_HANDED_OVER, 1024, &fixture->error));
	db_fixture_write(fixture, update_job, &moving);
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	for (int i = 0; i < 2000 && !job.finished_us; i++) {
		db_job_clear(&job);
		read_job(id, &job);
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	assert_int_not_equal(job.finished_us, 0);
	assert_ended(&job, "completed", "two", false);
	wait_until_gone("one", uuid);
	db_job_clear(&moving);
}

static int64_t order_cold(char ret_uuid[UUID_SIZE])
{
	struct db_fixture *fixture = bench.fixture;
	int64_t live = order_move("cold", "two", ret_uuid);
	struct db_job job = { 0 };

	read_job(live, &job);
	job.id = 0;
	TEXT_COPY(job.kind, "cold");
	job.is_waited_for = false;
	struct db_job other = { .id = live, .finished_us = 1 };
	TEXT_COPY(other.block_migration, "auto");
	db_fixture_write(fixture, update_job, &other);
	job.finished_us = 0;
	db_fixture_write(fixture, insert_job, &job);
	int64_t id = job.id;
	db_job_clear(&job);
	return id;
}

static void wait_done(int64_t id)
{
	for (int i = 0; i < 2000; i++) {
		CLEANUP_DB_JOB struct db_job job = { 0 };

		read_job(id, &job);
		if (job.finished_us)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	fail_msg("job %lld did not end", (long long)id);
}

static void assert_server(const char *uuid, const char *vm_state, const char *host)
{
	struct db_fixture *fixture = bench.fixture;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	OK(db_server_by_uuid(session, uuid, &server, &fixture->error));
	assert_string_equal(server.vm_state, vm_state);
	assert_string_equal(server.host, host);
	assert_int_equal(simulated_state(bench.fleet, host, uuid), GUEST_RUNNING);
}

static void test_a_cold_move_waits_for_its_confirm_with_no_definition_left_on_the_source(void **state)
{
	char uuid[UUID_SIZE];
	int64_t id = order_cold(uuid);

	(void)state;
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_done(id);
	assert_server(uuid, "resized", "two");
	wait_until_gone("one", uuid);
}

static void test_a_cold_copy_that_fails_starts_the_server_again_where_it_was(void **state)
{
	char uuid[UUID_SIZE];
	int64_t id = order_cold(uuid);

	(void)state;
	simulated_script(bench.fleet, "two", SIMULATED_COPY_FAILS, 1);
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_done(id);
	assert_server(uuid, "active", "one");
	wait_until_gone("two", uuid);
}

static void settle(const char *uuid, int64_t cold_id, const char *kind)
{
	CLEANUP_DB_JOB struct db_job cold = { 0 };
	struct db_job job = { 0 };

	read_job(cold_id, &cold);
	TEXT_COPY(job.kind, kind);
	TEXT_COPY(job.server_uuid, uuid);
	TEXT_COPY(job.block_migration, "auto");
	job.migration_id = cold.migration_id;
	job.source_host_id = cold.source_host_id;
	job.target_host_id = cold.target_host_id;
	db_fixture_write(bench.fixture, insert_job, &job);
	wait_done(job.id);
}

static void test_a_revert_brings_the_server_back_and_cleans_the_target(void **state)
{
	char uuid[UUID_SIZE];
	int64_t id = order_cold(uuid);

	(void)state;
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_done(id);
	settle(uuid, id, "revert");
	assert_server(uuid, "active", "one");
	wait_until_gone("two", uuid);
}

static void count_definitions(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	atomic_int *definitions = context;

	(void)uuid;
	*definitions += !is_after && text_equal(host, "one") && text_equal(operation, "define");
}

static void test_a_revert_starts_nothing_while_a_third_host_has_the_server(void **state)
{
	struct db_fixture *fixture = *state;
	atomic_int definitions = 0;
	char uuid[UUID_SIZE];
	int64_t id = order_cold(uuid);

	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_done(id);
	OK(simulated_by_hand_move(bench.fleet, "two", "three", uuid, &fixture->error));
	simulated_set_hook(bench.fleet, count_definitions, &definitions);
	settle(uuid, id, "revert");
	assert_int_equal(definitions, 0); /* whoever looks for it must not find it there */
	assert_int_equal(simulated_state(bench.fleet, "one", uuid), GUEST_ABSENT);
	assert_int_equal(simulated_state(bench.fleet, "three", uuid), GUEST_RUNNING);
}

/* The server in VERIFY_RESIZE on host two, with a private disk. */
static int64_t resize(char ret_uuid[UUID_SIZE])
{
	int64_t id = order_cold(ret_uuid);

	assert_int_equal(simulated_put_disk(bench.fleet, "one", ret_uuid, "disk", 1 << 20, false, NULL), 0);
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_done(id);
	assert_server(ret_uuid, "resized", "two");
	return id;
}

static void test_a_revert_that_starts_on_neither_host_can_be_had_again(void **state)
{
	char uuid[UUID_SIZE];
	int64_t id = resize(uuid);

	(void)state;
	simulated_script(bench.fleet, "one", SIMULATED_START_FAILS, 1);
	simulated_script(bench.fleet, "two", SIMULATED_START_FAILS, 1);
	settle(uuid, id, "revert");
	assert_int_equal(simulated_state(bench.fleet, "two", uuid), GUEST_SHUT_OFF);
	assert_int_equal(simulated_state(bench.fleet, "one", uuid), GUEST_ABSENT);
	assert_true(simulated_has_whole_disks(bench.fleet, "two", uuid));
	settle(uuid, id, "revert");
	assert_server(uuid, "active", "one");
	wait_until_gone("two", uuid);
}

/* Somebody starts the server on the source after its start there has failed. */
static void start_after_failure(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	(void)context;
	if (is_after && text_equal(host, "one") && text_equal(operation, "start_guest"))
		(void)simulated_by_hand_start(bench.fleet, "one", uuid, NULL);
}

static void test_a_revert_that_turns_back_from_a_server_that_runs_on_the_source_has_ended(void **state)
{
	char uuid[UUID_SIZE];

	(void)state;
	simulated_set_hook(bench.fleet, start_after_failure, NULL);
	int64_t id = resize(uuid);
	simulated_script(bench.fleet, "one", SIMULATED_START_FAILS, 1);
	settle(uuid, id, "revert");
	assert_server(uuid, "active", "one");
	wait_until_gone("two", uuid);
}

/* Somebody takes the target's definition away just before the source is asked to start the server. */
static void undefine_before_start(void *context, const char *host, const char *operation, const char *uuid,
				  bool is_after)
{
	(void)context;
	if (!is_after && text_equal(host, "one") && text_equal(operation, "start_guest"))
		(void)simulated_by_hand_undefine(bench.fleet, "two", uuid, NULL);
}

/* That are recorded for the job's migration. */
static size_t count_volumes(int64_t job_id)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };
	CLEANUP_DB_VOLUMES struct db_volume_list volumes = { 0 };

	read_job(job_id, &job);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(bench.fixture);
	if (db_volume_by_migration(session, job.migration_id, &volumes, NULL) < 0)
		return SIZE_MAX;
	return volumes.count;
}

static void test_a_revert_with_no_way_on_and_none_back_keeps_both_disks_and_owes_nothing(void **state)
{
	struct simulated_disk_view disk = { 0 };
	char uuid[UUID_SIZE];

	(void)state;
	simulated_set_hook(bench.fleet, undefine_before_start, NULL);
	int64_t id = resize(uuid);
	simulated_script(bench.fleet, "one", SIMULATED_START_FAILS, 1);
	settle(uuid, id, "revert");
	for (int i = 0; i < 400 && simulated_state(bench.fleet, "one", uuid) != GUEST_SHUT_OFF; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	assert_int_equal(simulated_state(bench.fleet, "one", uuid), GUEST_SHUT_OFF);
	assert_true(simulated_disk_state(bench.fleet, "one", "disk", &disk));
	assert_true(simulated_disk_state(bench.fleet, "two", "disk", &disk));
	assert_int_equal(count_volumes(id), 0);
}

static void test_a_confirm_leaves_the_server_on_the_target(void **state)
{
	char uuid[UUID_SIZE];
	int64_t id = order_cold(uuid);

	(void)state;
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_done(id);
	settle(uuid, id, "confirm");
	assert_server(uuid, "active", "two");
	assert_counted("\nmigrationd_moves_total{kind=\"cold\",outcome=\"completed\"} 1\n");
	assert_counted("\nmigrationd_moves_total{kind=\"confirm\",outcome=\"completed\"} 1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_live_move_ends_completed_on_the_target_with_no_claim_left, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_failure_in_the_copy_leaves_the_server_where_it_was, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_refused_check_goes_to_the_next_host, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_valid_host_is_told_as_400_with_names_for_admins_only, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_of_two_moves_for_the_last_memory_one_gets_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_cold_move_waits_for_its_confirm_with_no_definition_left_on_the_source, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_cold_copy_that_fails_starts_the_server_again_where_it_was, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_revert_brings_the_server_back_and_cleans_the_target, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_revert_starts_nothing_while_a_third_host_has_the_server, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_revert_that_starts_on_neither_host_can_be_had_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_a_revert_that_turns_back_from_a_server_that_runs_on_the_source_has_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_revert_with_no_way_on_and_none_back_keeps_both_disks_and_owes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_confirm_leaves_the_server_on_the_target, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_restart_in_the_copy_takes_up_what_the_hosts_show, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
