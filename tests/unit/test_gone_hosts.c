/* Hosts that were given up for good, through the dispatcher on the simulated fleet: every job that names one ends by what the
 * other side shows, what can be saved is saved, and nothing of the host is left. */
#include "tests/unit/db_fixture.h"

#include "base/cleanup.h"
#include "base/metrics.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/statement.h"
#include "server/scheduler/scheduler.h"
#include "server/settings.h"
#include "server/worker/simulated/fleet.h"
#include "server/worker/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { ONE, TWO, THREE, HOSTS };

static const char *const host_names[HOSTS] = { "one", "two", "three" };

static struct {
	struct db_fixture *fixture;
	struct hypervisor *fleet;
	struct worker *worker;
	struct metrics *metrics;
	struct worker_settings settings;
	struct scheduler_settings scheduler;
	int64_t hosts[HOSTS];
} bench;

static int setup(void **state)
{
	db_fixture_setup(state);
	bench.fixture = *state;
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
	for (size_t i = 0; i < HOSTS; i++) {
		bench.hosts[i] = db_fixture_host(bench.fixture, host_names[i]);
		assert_int_equal(simulated_add_host(bench.fleet, host_names[i], NULL), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	struct db_fixture *fixture = *state;

	simulated_open_all_gates(bench.fleet);
	assert_true(worker_stop(bench.worker));
	db_fixture_check_ended_jobs(fixture);
	db_close(fixture->database);
	fixture->database = NULL;
	worker_destroy(bench.worker);
	metrics_destroy(bench.metrics);
	bench.fleet->operations->destroy(bench.fleet);
	OK(db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error));
	return db_fixture_teardown(state);
}

static void rest(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

/* A job of the kind, as a crash leaves it in that phase. */
struct order {
	const char *kind;
	const char *phase;
	int stands_on; /* the server's row */
	bool has_saved; /* the source's definition was taken by us */
	enum guest_state at_source, at_target;
};

struct ordered {
	char uuid[UUID_SIZE];
	int64_t job_id;
	int64_t migration_id;
	int64_t action_id;
};

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

static int64_t count_rows(const char *sql)
{
	struct db_fixture *fixture = bench.fixture;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_STATEMENT struct statement *statement = NULL;

	OK(statement_begin(session, sql, NULL, &statement, &fixture->error));
	assert_int_equal(statement_step(statement, &fixture->error), 1);
	return statement_column_int64(statement, 0);
}

static void put_guest(int host, const char *uuid, enum guest_state state)
{
	struct db_fixture *fixture = bench.fixture;

	if (state != GUEST_ABSENT)
		OK(simulated_put_guest(bench.fleet, host_names[host], uuid, state, 1024, &fixture->error));
}

static int insert_saved(struct db_session *session, void *context, struct error *error)
{
	return db_kept_domain_insert(session, context, error);
}

/* As the source would have told it; the text is the fleet's own. */
static void save_definition(const struct ordered *ordered)
{
	struct db_fixture *fixture = bench.fixture;
	const struct hypervisor_operations *operations = bench.fleet->operations;
	const struct hypervisor_address address = { .host_id = 99, .name = "library" };
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain saved = { .host_id = bench.hosts[ONE],
							       .migration_id = ordered->migration_id,
							       .was_running = true,
							       .had_autostart = true };
	struct hypervisor_host *library = NULL;
	bool had_autostart = false;

	simulated_add_host(bench.fleet, "library", NULL);
	OK(simulated_put_guest(bench.fleet, "library", ordered->uuid, GUEST_SHUT_OFF, 1024, &fixture->error));
	OK(operations->open_host(bench.fleet, &address, &library, &fixture->error));
	OK(operations->read_definition(library, ordered->uuid, &saved.definition, &had_autostart, &fixture->error));
	OK(operations->remove_guest(library, ordered->uuid, GUEST_SET_OFF, &fixture->error));
	operations->close_host(library);
	TEXT_COPY(saved.server_uuid, ordered->uuid);
	db_fixture_write(fixture, insert_saved, &saved);
}

static int insert_rows(struct db_session *session, void *context, struct error *error)
{
	struct db_job *job = context;
	struct db_action action = { .action = "migrate" };

	TEXT_COPY(action.server_uuid, job->server_uuid);
	TEXT_COPY(action.request_id, job->request_id);
	int result = db_action_insert(session, &action, error);
	job->action_id = action.id;
	return result < 0 ? result : db_job_insert(session, job, error);
}

static struct ordered put_order(const struct order *order)
{
	struct db_fixture *fixture = bench.fixture;
	bool is_move = text_equal(order->kind, "live") || text_equal(order->kind, "cold");
	bool has_target = is_move && *order->phase && !text_equal(order->phase, "choosing");
	struct db_job job = { .minor_version = 34, .block_migration = "auto", .source_host_id = bench.hosts[ONE] };
	struct ordered ordered = { 0 };

	db_fixture_server(fixture, "vm", bench.hosts[order->stands_on], ordered.uuid);
	put_guest(ONE, ordered.uuid, order->at_source);
	put_guest(TWO, ordered.uuid, order->at_target);
	if (is_move)
		ordered.migration_id = db_fixture_migration(fixture, ordered.uuid, "one", has_target ? "two" : "");
	if (order->has_saved)
		save_definition(&ordered);
	TEXT_COPY(job.kind, order->kind);
	TEXT_COPY(job.phase, order->phase);
	TEXT_COPY(job.server_uuid, ordered.uuid);
	TEXT_COPY(job.requested_host, is_move ? "two" : "");
	request_id_make(job.request_id);
	job.migration_id = ordered.migration_id;
	job.target_host_id = has_target ? bench.hosts[TWO] : 0;
	db_fixture_write(fixture, insert_rows, &job);
	ordered.job_id = job.id;
	ordered.action_id = job.action_id;
	if (has_target) {
		struct db_claim claim = { .host_id = bench.hosts[order->stands_on == ONE ? TWO : ONE],
					  .migration_id = ordered.migration_id,
					  .memory_mb = 1024 };

		TEXT_COPY(claim.server_uuid, ordered.uuid);
		assert_int_equal(db_fixture_claim(fixture, &claim, -1), 0);
	}
	return ordered;
}

static int set_gone(struct db_session *session, void *context, struct error *error)
{
	return db_host_set_gone(session, *(int64_t *)context, true, error);
}

static void give_up(int host)
{
	simulated_set_host_up(bench.fleet, host_names[host], false);
	db_fixture_write(bench.fixture, set_gone, &bench.hosts[host]);
	worker_host_given_up(bench.worker);
}

static bool is_removed(int host)
{
	struct db_fixture *fixture = bench.fixture;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_HOST struct db_host row = { 0 };

	return db_host_by_id(session, bench.hosts[host], &row, &fixture->error) == -ENOENT;
}

/* The clock stands still: whatever waited for a next try, or went round, would never end. */
static void wait_removed(int host)
{
	struct db_fixture *fixture = bench.fixture;
	struct db_host_burden burden;
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };

	for (int i = 0; i < 2500 && !is_removed(host); i++)
		rest();
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_host_burden(session, bench.hosts[host], &burden, &fixture->error));
	if (!is_removed(host))
		fail_msg("host %s is still there: %lld servers, %lld jobs", host_names[host], (long long)burden.servers,
			 (long long)burden.jobs);
	assert_memory_equal(&burden, &(struct db_host_burden){ 0 }, sizeof(burden));
	OK(db_chore_all(session, &chores, &fixture->error));
	for (size_t i = 0; i < chores.count; i++)
		assert_int_not_equal(chores.items[i].other_host_id, bench.hosts[host]);
}

struct outcome {
	const char *status; /* of the migration; NULL: there is none */
	const char *vm_state;
	const char *host; /* "": none */
	const char *cause;
	bool is_error; /* the action's */
};

static void assert_outcome(const struct ordered *ordered, const struct outcome *outcome)
{
	struct db_fixture *fixture = bench.fixture;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	CLEANUP_DB_JOB struct db_job job = { 0 };
	CLEANUP_DB_ACTION struct db_action action = { 0 };
	CLEANUP_DB_EVENTS struct db_event_list events = { 0 };
	struct db_migration migration = { 0 };

	OK(db_job_by_id(session, ordered->job_id, &job, &fixture->error));
	assert_int_not_equal(job.finished_us, 0);
	OK(db_server_by_uuid(session, ordered->uuid, &server, &fixture->error));
	assert_string_equal(server.vm_state, outcome->vm_state);
	assert_string_equal(server.task_state, "");
	assert_string_equal(server.host, outcome->host);
	assert_string_equal(server.error_cause, outcome->cause);
	assert_int_equal(server.fault.code != 0, text_equal(outcome->vm_state, "error"));
	if (outcome->status) {
		OK(db_migration_by_id(session, ordered->migration_id, &migration, &fixture->error));
		assert_string_equal(migration.status, outcome->status);
	}
	OK(db_action_by_request(session, ordered->uuid, job.request_id, &action, &fixture->error));
	assert_int_not_equal(action.finish_us, 0);
	assert_true(text_equal(action.message, outcome->is_error ? "Error" : NULL));
	OK(db_event_by_action(session, action.id, &events, &fixture->error));
	for (size_t i = 0; i < events.count; i++)
		assert_int_not_equal(events.items[i].finish_us, 0);
}

#define COMPLETED                                                                                                      \
	{                                                                                                              \
		"completed", "active", "two", "", false                                                                \
	}
#define STAYED                                                                                                         \
	{                                                                                                              \
		"failed", "active", "one", "", true                                                                    \
	}
#define STAYED_OFF                                                                                                     \
	{                                                                                                              \
		"error", "active", "one", "", true                                                                     \
	}
#define LOST                                                                                                           \
	{                                                                                                              \
		"error", "error", "", "host_gone", true                                                                \
	}

static const struct scene {
	const char *what;
	struct order order;
	struct outcome outcome;
	int gone;
	enum guest_state at_other; /* on the side that is left, in the end */
} scenes[] = {
	{ "live, choosing, no source",
	  { "live", "choosing", ONE, false, GUEST_RUNNING, GUEST_ABSENT },
	  LOST,
	  ONE,
	  GUEST_ABSENT },
	{ "live, queued, no source",
	  { "live", "queued", ONE, false, GUEST_RUNNING, GUEST_ABSENT },
	  LOST,
	  ONE,
	  GUEST_ABSENT },
	{ "live, preparing, no source",
	  { "live", "preparing", ONE, false, GUEST_RUNNING, GUEST_ABSENT },
	  LOST,
	  ONE,
	  GUEST_ABSENT },
	{ "live, moving, arrived",
	  { "live", "moving", ONE, false, GUEST_HANDED_OVER, GUEST_RUNNING },
	  COMPLETED,
	  ONE,
	  GUEST_RUNNING },
	{ "live, moving, nothing arrived",
	  { "live", "moving", ONE, false, GUEST_RUNNING, GUEST_ABSENT },
	  LOST,
	  ONE,
	  GUEST_ABSENT },
	{ "live, finishing, arrived",
	  { "live", "finishing", ONE, false, GUEST_HANDED_OVER, GUEST_RUNNING },
	  COMPLETED,
	  ONE,
	  GUEST_RUNNING },
	{ "live, restoring, no source",
	  { "live", "restoring", ONE, false, GUEST_RUNNING, GUEST_ABSENT },
	  LOST,
	  ONE,
	  GUEST_ABSENT },
	{ "live, preparing, no target",
	  { "live", "preparing", ONE, false, GUEST_RUNNING, GUEST_ABSENT },
	  STAYED,
	  TWO,
	  GUEST_RUNNING },
	{ "live, moving, no target",
	  { "live", "moving", ONE, false, GUEST_RUNNING, GUEST_ARRIVING },
	  STAYED,
	  TWO,
	  GUEST_RUNNING },
	{ "live, handed over, no target",
	  { "live", "moving", ONE, false, GUEST_HANDED_OVER, GUEST_RUNNING },
	  STAYED,
	  TWO,
	  GUEST_RUNNING },
	{ "live, moving, it had left its source",
	  { "live", "moving", ONE, false, GUEST_ABSENT, GUEST_RUNNING },
	  { "error", "error", "one", "host_gone", true },
	  TWO,
	  GUEST_ABSENT },
	{ "live, restoring, no target",
	  { "live", "restoring", ONE, false, GUEST_RUNNING, GUEST_ARRIVING },
	  STAYED,
	  TWO,
	  GUEST_RUNNING },
	{ "cold, choosing, no source",
	  { "cold", "choosing", ONE, false, GUEST_RUNNING, GUEST_ABSENT },
	  LOST,
	  ONE,
	  GUEST_ABSENT },
	{ "cold, queued, no source",
	  { "cold", "queued", ONE, false, GUEST_RUNNING, GUEST_ABSENT },
	  LOST,
	  ONE,
	  GUEST_ABSENT },
	{ "cold, stopping, no source",
	  { "cold", "stopping", ONE, true, GUEST_RUNNING, GUEST_ABSENT },
	  LOST,
	  ONE,
	  GUEST_ABSENT },
	{ "cold, copying, no source",
	  { "cold", "copying", ONE, true, GUEST_SHUT_OFF, GUEST_ABSENT },
	  LOST,
	  ONE,
	  GUEST_ABSENT },
	{ "cold, returning, no source",
	  { "cold", "returning", ONE, true, GUEST_SHUT_OFF, GUEST_ABSENT },
	  LOST,
	  ONE,
	  GUEST_ABSENT },
	{ "cold, defining, not yet, no source",
	  { "cold", "defining", ONE, true, GUEST_SHUT_OFF, GUEST_ABSENT },
	  LOST,
	  ONE,
	  GUEST_ABSENT },
	{ "cold, defined, no source",
	  { "cold", "defining", ONE, true, GUEST_SHUT_OFF, GUEST_SHUT_OFF },
	  { "finished", "resized", "two", "", false },
	  ONE,
	  GUEST_RUNNING },
	{ "cold, undefining, no source",
	  { "cold", "undefining", ONE, true, GUEST_SHUT_OFF, GUEST_SHUT_OFF },
	  { "finished", "resized", "two", "", false },
	  ONE,
	  GUEST_RUNNING },
	{ "cold, starting, no source",
	  { "cold", "starting", TWO, true, GUEST_ABSENT, GUEST_SHUT_OFF },
	  { "finished", "resized", "two", "", false },
	  ONE,
	  GUEST_RUNNING },
	{ "cold, started, no source",
	  { "cold", "finishing", TWO, true, GUEST_ABSENT, GUEST_RUNNING },
	  { "finished", "resized", "two", "", false },
	  ONE,
	  GUEST_RUNNING },
	{ "cold, restoring, no source",
	  { "cold", "restoring", ONE, true, GUEST_SHUT_OFF, GUEST_SHUT_OFF },
	  LOST,
	  ONE,
	  GUEST_SHUT_OFF },
	{ "cold, stopping, no target",
	  { "cold", "stopping", ONE, true, GUEST_SHUT_OFF, GUEST_ABSENT },
	  STAYED_OFF,
	  TWO,
	  GUEST_RUNNING },
	{ "cold, copying, no target",
	  { "cold", "copying", ONE, true, GUEST_SHUT_OFF, GUEST_ABSENT },
	  STAYED_OFF,
	  TWO,
	  GUEST_RUNNING },
	{ "cold, returning, no target",
	  { "cold", "returning", ONE, true, GUEST_SHUT_OFF, GUEST_ABSENT },
	  STAYED_OFF,
	  TWO,
	  GUEST_RUNNING },
	{ "cold, defining, no target",
	  { "cold", "defining", ONE, true, GUEST_SHUT_OFF, GUEST_SHUT_OFF },
	  STAYED_OFF,
	  TWO,
	  GUEST_RUNNING },
	{ "cold, undefining, no target",
	  { "cold", "undefining", ONE, true, GUEST_ABSENT, GUEST_SHUT_OFF },
	  STAYED_OFF,
	  TWO,
	  GUEST_RUNNING },
	{ "cold, starting, no target",
	  { "cold", "starting", TWO, true, GUEST_ABSENT, GUEST_SHUT_OFF },
	  STAYED_OFF,
	  TWO,
	  GUEST_RUNNING },
	{ "cold, restoring, no target",
	  { "cold", "restoring", ONE, true, GUEST_ABSENT, GUEST_SHUT_OFF },
	  STAYED_OFF,
	  TWO,
	  GUEST_RUNNING },
	{ "cold, finishing, no target",
	  { "cold", "finishing", TWO, true, GUEST_ABSENT, GUEST_RUNNING },
	  { "reverted", "active", "one", "", false },
	  TWO,
	  GUEST_RUNNING },
	{ "stop, no host",
	  { "stop", "acting", ONE, false, GUEST_RUNNING, GUEST_ABSENT },
	  { NULL, "error", "", "host_gone", true },
	  ONE,
	  GUEST_ABSENT },
	{ "start, no host",
	  { "start", "", ONE, false, GUEST_SHUT_OFF, GUEST_ABSENT },
	  { NULL, "error", "", "host_gone", true },
	  ONE,
	  GUEST_ABSENT },
	{ "reboot, no host",
	  { "reboot_hard", "starting", ONE, false, GUEST_SHUT_OFF, GUEST_ABSENT },
	  { NULL, "error", "", "host_gone", true },
	  ONE,
	  GUEST_ABSENT },
};

static void try_scene(const struct scene *tried)
{
	const char *other = host_names[tried->gone == ONE ? TWO : ONE];

	print_message("%s\n", tried->what);
	struct ordered ordered = put_order(&tried->order);
	give_up(tried->gone);
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_removed(tried->gone);
	assert_outcome(&ordered, &tried->outcome);
	assert_int_equal(simulated_state(bench.fleet, other, ordered.uuid), tried->at_other);
}

static void test_every_job_of_a_gone_host_ends_by_what_the_other_side_shows(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(scenes); i++) {
		try_scene(&scenes[i]);
		if (i + 1 == ARRAY_LENGTH(scenes))
			break;
		teardown(state);
		setup(state);
	}
}

/* A move that is under way when its target goes away, waits, and ends when the operator has said so. */
static void test_a_live_move_that_waits_for_its_target_ends_when_that_is_given_up(void **state)
{
	struct ordered ordered =
		put_order(&(struct order){ "live", "moving", ONE, false, GUEST_RUNNING, GUEST_ARRIVING });
	struct db_fixture *fixture = *state;

	simulated_set_host_up(bench.fleet, "two", false);
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	assert_true(worker_wait_idle(bench.worker, clock_monotonic_ms(clock_system()) + 5000));
	{
		CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
		CLEANUP_DB_JOB struct db_job job = { 0 };

		OK(db_job_by_id(session, ordered.job_id, &job, &fixture->error));
		assert_int_equal(job.finished_us, 0);
	}
	give_up(TWO);
	wait_removed(TWO);
	assert_outcome(&ordered, &(struct outcome)STAYED);
}

/* What an admin reads of the action's step while it waits. */
static void assert_told(const struct ordered *ordered, const char *why)
{
	struct db_fixture *fixture = bench.fixture;

	for (int i = 0; i < 1000; i++) {
		CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
		CLEANUP_DB_EVENTS struct db_event_list events = { 0 };

		OK(db_event_by_action(session, ordered->action_id, &events, &fixture->error));
		assert_int_equal(events.count, 1);
		if (text_equal(events.items[0].details, why)) {
			assert_int_equal(events.items[0].finish_us, 0);
			return;
		}
		rest();
	}
	fail_msg("the open event does not say: %s", why);
}

static int insert_event(struct db_session *session, void *context, struct error *error)
{
	return db_event_insert(session, context, error);
}

static int set_down(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_id(session, *(int64_t *)context, &host, error);

	host.service.is_up = false;
	return result < 0 ? result : db_service_update(session, &host.service, error);
}

static void test_a_job_that_waits_says_for_what_and_since_when(void **state)
{
	struct ordered ordered =
		put_order(&(struct order){ "live", "moving", ONE, false, GUEST_RUNNING, GUEST_ARRIVING });
	struct worker_waiting_list waiting = { 0 };
	struct db_event event = { .action_id = ordered.action_id, .event = "compute_live_migration" };
	struct db_fixture *fixture = *state;

	db_fixture_write(fixture, insert_event, &event);
	simulated_set_host_up(bench.fleet, "two", false);
	db_fixture_write(fixture, set_down, &bench.hosts[TWO]);
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	assert_told(&ordered, "host two is down");
	OK(worker_list_waiting(bench.worker, bench.hosts[TWO], &waiting, &fixture->error));
	assert_int_equal(waiting.count, 1);
	assert_int_equal(waiting.items[0].job_id, ordered.job_id);
	assert_string_equal(waiting.items[0].reason, "host two is down");
	assert_int_equal(waiting.items[0].since_us, clock_now_us(fixture->clock));
	worker_waiting_list_clear(&waiting);
	OK(worker_list_waiting(bench.worker, bench.hosts[THREE], &waiting, &fixture->error));
	assert_int_equal(waiting.count, 0);
	worker_waiting_list_clear(&waiting);
	give_up(TWO);
	wait_removed(TWO);
	assert_outcome(&ordered, &(struct outcome)STAYED);
}

static void run_to(const char *kind, const struct ordered *cold, struct ordered *ret_ordered)
{
	struct db_fixture *fixture = bench.fixture;
	struct db_job job = { .block_migration = "auto",
			      .migration_id = cold->migration_id,
			      .source_host_id = is_removed(ONE) ? 0 : bench.hosts[ONE],
			      .target_host_id = is_removed(TWO) ? 0 : bench.hosts[TWO] };

	TEXT_COPY(job.kind, kind);
	TEXT_COPY(job.server_uuid, cold->uuid);
	request_id_make(job.request_id);
	db_fixture_write(fixture, insert_rows, &job);
	*ret_ordered = *cold;
	ret_ordered->job_id = job.id;
}

static void wait_ended(const struct ordered *ordered)
{
	struct db_fixture *fixture = bench.fixture;

	for (int i = 0; i < 2500; i++) {
		CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
		CLEANUP_DB_JOB struct db_job job = { 0 };

		OK(db_job_by_id(session, ordered->job_id, &job, &fixture->error));
		if (job.finished_us)
			return;
		rest();
	}
	fail_msg("job %lld did not end", (long long)ordered->job_id);
}

/* A server with a disk of its own, moved from one to two, that waits for its confirm. */
static struct ordered resize(void)
{
	struct db_fixture *fixture = bench.fixture;
	struct ordered ordered = put_order(&(struct order){ "cold", "", ONE, false, GUEST_RUNNING, GUEST_ABSENT });

	OK(simulated_put_disk(bench.fleet, "one", ordered.uuid, "root", 1 << 20, false, &fixture->error));
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_ended(&ordered);
	assert_outcome(&ordered, &(struct outcome){ "finished", "resized", "two", "", false });
	return ordered;
}

/* What is saved of others stays where it belongs. */
static void test_without_its_source_a_resized_server_can_be_confirmed(void **state)
{
	struct ordered ordered = resize(), confirm;
	struct db_kept_domain other = { .host_id = bench.hosts[THREE],
					.migration_id = ordered.migration_id + 100,
					.server_uuid = "00000000-0000-4000-8000-000000000001",
					.definition = (char[]){ "<domain/>" } };

	(void)state;
	db_fixture_write(bench.fixture, insert_saved, &other);
	give_up(ONE);
	wait_removed(ONE);
	assert_int_equal(count_rows("SELECT host_id FROM kept_domains WHERE definition = '<domain/>'"),
			 bench.hosts[THREE]);
	assert_outcome(&ordered, &(struct outcome){ "finished", "resized", "two", "", false });
	run_to("confirm", &ordered, &confirm);
	wait_ended(&confirm);
	assert_outcome(&confirm, &(struct outcome){ "confirmed", "active", "two", "", false });
	assert_int_equal(count_rows("SELECT COUNT(*) FROM instance_action_events"
				    " WHERE event = 'compute_confirm_resize' AND host = 'one'"),
			 1); /* though there is no such host any more */
	assert_int_equal(simulated_state(bench.fleet, "two", ordered.uuid), GUEST_RUNNING);
	assert_true(simulated_has_whole_disks(bench.fleet, "two", ordered.uuid));
}

static void test_without_its_source_a_revert_is_refused_and_the_server_stays(void **state)
{
	struct ordered ordered = resize(), revert;

	(void)state;
	give_up(ONE);
	wait_removed(ONE);
	run_to("revert", &ordered, &revert);
	wait_ended(&revert);
	assert_outcome(&revert, &(struct outcome){ "finished", "resized", "two", "", true });
	assert_int_equal(simulated_state(bench.fleet, "two", ordered.uuid), GUEST_RUNNING);
}

static void wait_for_host(int host)
{
	struct db_fixture *fixture = bench.fixture;
	size_t count = 0;

	for (int i = 0; i < 2500 && count == 0; i++) {
		struct worker_waiting_list waiting = { 0 };

		OK(worker_list_waiting(bench.worker, bench.hosts[host], &waiting, &fixture->error));
		count = waiting.count;
		worker_waiting_list_clear(&waiting);
		rest();
	}
	assert_int_not_equal(count, 0);
}

/* It stood before its start there; it runs on where it was. */
static void test_a_revert_under_way_turns_back_when_its_source_is_given_up(void **state)
{
	struct ordered ordered = resize(), revert;

	(void)state;
	simulated_close_gate(bench.fleet, SIMULATED_GATE_FINISH);
	run_to("revert", &ordered, &revert);
	simulated_wait_at_gate(bench.fleet, SIMULATED_GATE_FINISH);
	simulated_set_host_up(bench.fleet, "one", false);
	simulated_open_gate(bench.fleet, SIMULATED_GATE_FINISH);
	wait_for_host(ONE);
	give_up(ONE);
	wait_removed(ONE);
	assert_outcome(&revert, &(struct outcome){ "finished", "resized", "two", "", true });
	assert_int_equal(count_rows("SELECT COUNT(*) FROM instance_action_events"
				    " WHERE event = 'compute_finish_revert_resize' AND host = 'one'"
				    " AND details LIKE '%host one was given up%'"),
			 1);
	assert_int_equal(simulated_state(bench.fleet, "two", ordered.uuid), GUEST_RUNNING);
}

static void test_without_its_target_a_resized_server_goes_back_to_its_source(void **state)
{
	struct ordered ordered = resize();

	(void)state;
	give_up(TWO);
	wait_removed(TWO);
	assert_outcome(&ordered, &(struct outcome){ "reverted", "active", "one", "", false });
	assert_int_equal(simulated_state(bench.fleet, "one", ordered.uuid), GUEST_RUNNING);
	struct simulated_disk_view disk = { 0 };
	assert_true(simulated_disk_state(bench.fleet, "one", "root", &disk) && disk.is_complete);
}

/* The volumes that a revert would use were taken away there by hand. */
static void test_a_resized_server_that_has_no_way_back_goes_to_error(void **state)
{
	struct db_fixture *fixture = *state;
	struct ordered ordered = resize();
	const struct hypervisor_address address = { .host_id = bench.hosts[ONE], .name = "one" };
	const struct hypervisor_volume volume = { SIMULATED_POOL, "root", 1 << 20 };
	struct hypervisor_host *one = NULL;

	OK(bench.fleet->operations->open_host(bench.fleet, &address, &one, &fixture->error));
	OK(bench.fleet->operations->remove_volume(one, &volume, &fixture->error));
	bench.fleet->operations->close_host(one);
	give_up(TWO);
	wait_removed(TWO);
	assert_outcome(&ordered, &(struct outcome){ "error", "error", "", "host_gone", false });
}

/* Nothing is tried that cannot be done, and what its source kept for the way back is free. */
static void test_a_resized_server_whose_definition_is_not_saved_is_brought_back_by_nobody(void **state)
{
	struct ordered ordered = resize();

	(void)state;
	db_fixture_write(bench.fixture, run_sql, (char[]){ "DELETE FROM kept_domains" });
	assert_int_equal(count_rows("SELECT COUNT(*) FROM claims"), 1);
	assert_int_equal(count_rows("SELECT COUNT(*) FROM volumes"), 1);
	/* As if it had been copied to another host first. */
	db_fixture_write(bench.fixture, run_sql, (char[]){ "UPDATE volumes SET host_id = 3" });
	give_up(TWO);
	wait_removed(TWO);
	assert_outcome(&ordered, &(struct outcome){ "error", "error", "", "host_gone", false });
	assert_int_equal(count_rows("SELECT COUNT(*) FROM jobs WHERE kind = 'revert'"), 0);
	assert_int_equal(count_rows("SELECT COUNT(*) FROM claims"), 0);
	assert_int_equal(count_rows("SELECT COUNT(*) FROM volumes"), 0);
}

/* It was deleted outside the API: nobody will confirm it, and nothing of it keeps its source. */
static void test_a_deleted_server_that_waits_for_its_confirm_keeps_no_host(void **state)
{
	(void)state;
	resize();
	db_fixture_write(bench.fixture, run_sql, (char[]){ "UPDATE servers SET is_deleted = 1" });
	give_up(ONE);
	wait_removed(ONE);
	assert_int_equal(count_rows("SELECT COUNT(*) FROM kept_domains"), 0);
}

static int insert_chore(struct db_session *session, void *context, struct error *error)
{
	return db_chore_insert(session, context, error);
}

static void put_chore(const char *kind, int host, int other, const char *uuid, const char *volume)
{
	struct db_chore chore = { .host_id = bench.hosts[host],
				  .other_host_id = bench.hosts[other],
				  .is_complete = true,
				  .reason = (char[]){ "of a test" } };

	TEXT_COPY(chore.kind, kind);
	TEXT_COPY(chore.server_uuid, uuid);
	TEXT_COPY(chore.pool, *volume ? SIMULATED_POOL : "");
	TEXT_COPY(chore.name, volume);
	db_fixture_write(bench.fixture, insert_chore, &chore);
}

static void test_chores_of_a_gone_host_are_dropped_and_the_last_disk_stays(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };
	char uuid[UUID_SIZE];

	/* It moved from one to two; one has its old disk still. */
	db_fixture_server(fixture, "vm", bench.hosts[TWO], uuid);
	put_guest(TWO, uuid, GUEST_RUNNING);
	OK(simulated_put_volume(bench.fleet, "one", "root", 1 << 20, &fixture->error));
	put_chore(DB_CHORE_REMOVE_VOLUME, ONE, TWO, uuid, "root");
	put_chore(DB_CHORE_REMOVE_GUEST, TWO, ONE, uuid, "");
	give_up(TWO);
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_removed(TWO);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_chore_all(session, &chores, &fixture->error));
	assert_int_equal(chores.count, 0);
	struct simulated_disk_view disk = { 0 };
	assert_true(simulated_disk_state(bench.fleet, "one", "root", &disk));
}

static int set_conflict(struct db_session *session, void *context, struct error *error)
{
	int result = db_server_set_state(session, context, "error", "", error);

	return result < 0 ? result : db_server_set_error_cause(session, context, DB_ERROR_CAUSE_BOTH_HOSTS, error);
}

static void test_a_conflict_with_a_gone_host_ends_on_the_other(void **state)
{
	struct db_fixture *fixture = *state;
	char uuid[UUID_SIZE];

	db_fixture_server(fixture, "vm", bench.hosts[ONE], uuid);
	db_fixture_write(fixture, set_conflict, uuid);
	put_guest(ONE, uuid, GUEST_RUNNING);
	put_guest(TWO, uuid, GUEST_RUNNING);
	put_chore(DB_CHORE_END_CONFLICT, ONE, TWO, uuid, "");
	give_up(ONE);
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_removed(ONE);
	for (int i = 0; i < 2500; i++) {
		CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
		CLEANUP_DB_SERVER struct db_server server = { 0 };

		OK(db_server_by_uuid(session, uuid, &server, &fixture->error));
		assert_string_equal(server.host, "two");
		if (text_equal(server.vm_state, "active"))
			return;
		rest();
	}
	fail_msg("the server is still in error");
}

/* An admin may have it shown as active again, and ask for a move. */
static void test_a_move_of_a_server_that_has_no_host_any_more_is_refused(void **state)
{
	struct db_fixture *fixture = *state;
	struct ordered ordered =
		put_order(&(struct order){ "live", "choosing", ONE, false, GUEST_RUNNING, GUEST_ABSENT });
	struct ordered again;

	give_up(ONE);
	assert_int_equal(worker_start(bench.worker, NULL), 0);
	wait_removed(ONE);
	ordered.migration_id = db_fixture_migration(fixture, ordered.uuid, "one", "");
	run_to("live", &ordered, &again);
	wait_ended(&again);
	assert_outcome(&again, &(struct outcome){ "error", "error", "", "host_gone", true });
}

/* Both at once: whichever ends first, neither holds the other. */
static void test_two_hosts_that_are_gone_together_both_go(void **state)
{
	struct ordered ordered = resize();

	(void)state;
	give_up(ONE);
	give_up(TWO);
	wait_removed(ONE);
	wait_removed(TWO);
	assert_outcome(&ordered, &(struct outcome){ "error", "error", "", "host_gone", false });
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_every_job_of_a_gone_host_ends_by_what_the_other_side_shows),
		TEST(test_a_live_move_that_waits_for_its_target_ends_when_that_is_given_up),
		TEST(test_a_job_that_waits_says_for_what_and_since_when),
		TEST(test_without_its_source_a_resized_server_can_be_confirmed),
		TEST(test_without_its_source_a_revert_is_refused_and_the_server_stays),
		TEST(test_a_revert_under_way_turns_back_when_its_source_is_given_up),
		TEST(test_without_its_target_a_resized_server_goes_back_to_its_source),
		TEST(test_a_resized_server_that_has_no_way_back_goes_to_error),
		TEST(test_a_deleted_server_that_waits_for_its_confirm_keeps_no_host),
		TEST(test_a_resized_server_whose_definition_is_not_saved_is_brought_back_by_nobody),
		TEST(test_chores_of_a_gone_host_are_dropped_and_the_last_disk_stays),
		TEST(test_a_conflict_with_a_gone_host_ends_on_the_other),
		TEST(test_a_move_of_a_server_that_has_no_host_any_more_is_refused),
		TEST(test_two_hosts_that_are_gone_together_both_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
