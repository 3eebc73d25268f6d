/* The worker for tests. Its one difficulty: what is left on hosts goes by chores after a job's end, so that tests wait for both. */
#include "tests/unit/worker_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "server/worker/simulated/fleet.h"

#define WAIT_MS 20000
#define STEP_MS 2

/* For calls that fill the database's error. */
#define OK_OF(db, call)                                                                                                \
	do {                                                                                                           \
		if ((call) < 0)                                                                                        \
			fail_msg("%s:%d: %s", __FILE__, __LINE__, (db)->error.text);                                   \
	} while (0)

const char *const worker_host_names[WORKER_HOSTS] = { "one", "two", "three" };

static void create_worker(struct worker_fixture *fixture)
{
	const struct worker_parts parts = { .database = fixture->db->database,
					    .hypervisor = fixture->fleet,
					    .clock = fixture->db->clock,
					    .settings = &fixture->settings,
					    .scheduler = &fixture->scheduler,
					    .observer = &fixture->observer,
					    .node = "node" };

	assert_int_equal(worker_create(&parts, &fixture->worker, NULL), 0);
}

static bool go_on(void *context, const char *kind, const char *phase, bool is_written)
{
	(void)context;
	(void)kind;
	(void)phase;
	(void)is_written;
	return true;
}

int worker_fixture_setup(void **state)
{
	struct worker_fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	db_fixture_setup((void **)&fixture->db);
	fixture->settings = (struct worker_settings){ .threads = 4,
						      .lease_s = 60,
						      .progress_interval_s = 1,
						      .poll_interval_ms = 500,
						      .retry_interval_s = 5,
						      .stall_timeout_s = 60 };
	fixture->scheduler = scheduler_settings_default;
	fixture->observer = (struct worker_observer){ go_on, fixture };
	assert_int_equal(simulated_create(fixture->db->clock, &fixture->fleet, NULL), 0);
	create_worker(fixture);
	for (size_t i = 0; i < WORKER_HOSTS; i++) {
		fixture->hosts[i] = db_fixture_host(fixture->db, worker_host_names[i]);
		assert_int_equal(simulated_add_host(fixture->fleet, worker_host_names[i], NULL), 0);
	}
	*state = fixture;
	return 0;
}

int worker_fixture_teardown(void **state)
{
	struct worker_fixture *fixture = *state;
	struct db_fixture *db = fixture->db;

	simulated_end_copies(fixture->fleet);
	simulated_open_all_gates(fixture->fleet);
	assert_true(worker_stop(fixture->worker));
	db_fixture_check_ended_jobs(db);
	db_close(db->database);
	db->database = NULL;
	worker_destroy(fixture->worker);
	fixture->fleet->operations->destroy(fixture->fleet);
	if (db_open(db->path, db->clock, NULL, &db->database, &db->error) < 0)
		fail_msg("%s", db->error.text);
	free(fixture);
	return db_fixture_teardown((void **)&db);
}

void worker_fixture_start(struct worker_fixture *fixture)
{
	assert_int_equal(worker_start(fixture->worker, NULL), 0);
}

struct worker_order worker_fixture_server(struct worker_fixture *fixture, const char *name, int host)
{
	struct worker_order order = { 0 };
	struct db_fixture *db = fixture->db;
	const char *host_name = worker_host_names[host];

	snprintf(order.disk, sizeof(order.disk), "%.10s.disk", name);
	db_fixture_server(db, name, fixture->hosts[host], order.uuid);
	if (simulated_put_guest(fixture->fleet, host_name, order.uuid, GUEST_RUNNING, 1024, &db->error) < 0
	    || simulated_put_disk(fixture->fleet, host_name, order.uuid, order.disk, WORKER_DISK_BYTES, false,
				  &db->error)
		       < 0)
		fail_msg("%s", db->error.text);
	return order;
}

static int insert_rows(struct db_session *session, void *context, struct error *error)
{
	struct db_job *job = context;
	struct db_action action = { 0 };

	TEXT_COPY(action.action, job->kind);
	TEXT_COPY(action.server_uuid, job->server_uuid);
	TEXT_COPY(action.request_id, job->request_id);
	int result = db_action_insert(session, &action, error);
	job->action_id = action.id;
	return result < 0 ? result : db_job_insert(session, job, error);
}

void worker_fixture_order(struct worker_fixture *fixture, struct worker_order *order, const char *kind, int from,
			  int to)
{
	struct db_job job = { .minor_version = 90, .block_migration = "auto", .source_host_id = fixture->hosts[from] };
	bool is_move = text_equal(kind, "live") || text_equal(kind, "cold");

	if (is_move)
		order->migration_id = db_fixture_migration(fixture->db, order->uuid, worker_host_names[from], "");
	else if (to >= 0)
		job.target_host_id = fixture->hosts[to];
	TEXT_COPY(job.kind, kind);
	TEXT_COPY(job.server_uuid, order->uuid);
	TEXT_COPY(job.requested_host, is_move && to >= 0 ? worker_host_names[to] : "");
	request_id_make(job.request_id);
	job.migration_id = order->migration_id;
	db_fixture_write(fixture->db, insert_rows, &job);
	order->job_id = job.id;
	order->action_id = job.action_id;
	TEXT_COPY(order->request_id, job.request_id);
}

static int write_phase(struct db_session *session, void *context, struct error *error)
{
	struct db_job *wanted = context;
	CLEANUP_DB_JOB struct db_job job = { 0 };
	int result = db_job_by_id(session, wanted->id, &job, error);

	TEXT_COPY(job.phase, wanted->phase);
	job.target_host_id = wanted->target_host_id;
	return result < 0 ? result : db_job_update(session, &job, error);
}

void worker_fixture_set_phase(struct worker_fixture *fixture, const struct worker_order *order, const char *phase,
			      int to)
{
	struct db_job wanted = { .id = order->job_id, .target_host_id = fixture->hosts[to] };

	TEXT_COPY(wanted.phase, phase);
	db_fixture_write(fixture->db, write_phase, &wanted);
}

struct worker_order worker_fixture_resized(struct worker_fixture *fixture)
{
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	worker_fixture_order(fixture, &order, "cold", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "resized", TWO, "finished");
	worker_fixture_check_places(fixture, &order, "2", "12");
	return order;
}

static void rest(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000 }, NULL);
}

static void read_job(struct worker_fixture *fixture, const struct worker_order *order, struct db_job *ret_job)
{
	struct db_fixture *db = fixture->db;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(db);

	if (db_job_by_id(session, order->job_id, ret_job, &db->error) < 0)
		fail_msg("%s", db->error.text);
}

bool worker_fixture_has_ended(struct worker_fixture *fixture, const struct worker_order *order)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };

	read_job(fixture, order, &job);
	return job.finished_us != 0;
}

void worker_fixture_wait_ended(struct worker_fixture *fixture, const struct worker_order *order)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };

	for (int i = 0; i < WAIT_MS / STEP_MS; i++) {
		if (worker_fixture_has_ended(fixture, order))
			return;
		rest();
	}
	read_job(fixture, order, &job);
	fail_msg("the %s job did not end: it is in phase %s", job.kind, job.phase);
}

void worker_fixture_wait_phase(struct worker_fixture *fixture, const struct worker_order *order, const char *phase)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };

	for (int i = 0; i < WAIT_MS / STEP_MS; i++) {
		db_job_clear(&job);
		job = (struct db_job){ 0 };
		read_job(fixture, order, &job);
		if (text_equal(job.phase, phase))
			return;
		rest();
	}
	fail_msg("the %s job is in phase %s, not %s", job.kind, job.phase, phase);
}

void worker_fixture_wait_target(struct worker_fixture *fixture, const struct worker_order *order, int host)
{
	int64_t found = 0;

	for (int i = 0; i < WAIT_MS / STEP_MS && found != fixture->hosts[host]; i++) {
		CLEANUP_DB_JOB struct db_job job = { 0 };

		read_job(fixture, order, &job);
		found = job.target_host_id;
		if (found != fixture->hosts[host])
			rest();
	}
	assert_int_equal(found, fixture->hosts[host]);
}

void worker_fixture_wait_idle(struct worker_fixture *fixture)
{
	assert_true(worker_wait_idle(fixture->worker, clock_monotonic_ms(clock_system()) + WAIT_MS));
}

void worker_fixture_wait_no_chores(struct worker_fixture *fixture)
{
	struct db_fixture *db = fixture->db;
	size_t count = 1;

	for (int i = 0; i < WAIT_MS / STEP_MS && count; i++) {
		CLEANUP_DB_READ struct db_session *session = db_fixture_read(db);
		CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };

		OK_OF(db, db_chore_all(session, &chores, &db->error));
		count = chores.count;
		if (count) {
			clock_manual_advance(db->clock, 1000000);
			rest();
		}
	}
	assert_int_equal(count, 0);
}

static bool has_chore(struct worker_fixture *fixture, int host, const char *kind, const char *words)
{
	struct db_fixture *db = fixture->db;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(db);
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };

	OK_OF(db, db_chore_by_host(session, fixture->hosts[host], &chores, &db->error));
	for (size_t i = 0; i < chores.count; i++) {
		const char *why = chores.items[i].last_error;

		if (text_equal(chores.items[i].kind, kind) && why && strstr(why, words))
			return true;
	}
	return false;
}

void worker_fixture_wait_chore(struct worker_fixture *fixture, int host, const char *kind, const char *words)
{
	for (int i = 0; i < WAIT_MS / STEP_MS; i++) {
		if (has_chore(fixture, host, kind, words))
			return;
		clock_manual_advance(fixture->db->clock, 1000000);
		rest();
	}
	fail_msg("host %s has no chore %s that says \"%s\"", worker_host_names[host], kind, words);
}

void worker_fixture_check(struct worker_fixture *fixture, const struct worker_order *order, const char *vm_state,
			  int host, const char *status)
{
	struct db_fixture *db = fixture->db;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(db);
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	struct db_migration migration = { 0 };

	OK_OF(db, db_server_by_uuid(session, order->uuid, &server, &db->error));
	if (order->migration_id)
		OK_OF(db, db_migration_by_id(session, order->migration_id, &migration, &db->error));
	db_read_end(TAKE_POINTER(session)); /* a test that fails leaves its function by a jump */
	assert_string_equal(migration.status, order->migration_id ? status : "");
	assert_string_equal(server.vm_state, vm_state);
	assert_string_equal(server.task_state, "");
	assert_string_equal(server.host, worker_host_names[host]);
}

void worker_fixture_check_told(struct worker_fixture *fixture, const struct worker_order *order, const char *words)
{
	struct db_fixture *db = fixture->db;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(db);
	CLEANUP_DB_EVENTS struct db_event_list events = { 0 };
	CLEANUP_TEXT struct text found = TEXT_EMPTY;

	OK_OF(db, db_event_by_action(session, order->action_id, &events, &db->error));
	db_read_end(TAKE_POINTER(session));
	for (size_t i = 0; i < events.count; i++) {
		const char *details = events.items[i].details;

		if (details && strstr(details, words))
			return;
		text_append_format(&found, "%s: %s; ", events.items[i].event, details ? details : "-");
	}
	fail_msg("no event says \"%s\": %s", words, found.data ? found.data : "there is none");
}

static void append_number(char *text, int host)
{
	size_t length = strlen(text);

	text[length] = (char)('1' + host);
	text[length + 1] = '\0';
}

void worker_fixture_check_places(struct worker_fixture *fixture, const struct worker_order *order, const char *guests,
				 const char *disks)
{
	char guests_at[WORKER_HOSTS + 1] = "", disks_at[WORKER_HOSTS + 1] = "";
	struct simulated_disk_view disk;

	for (int i = 0; i < WORKER_HOSTS; i++) {
		if (simulated_state(fixture->fleet, worker_host_names[i], order->uuid) != GUEST_ABSENT)
			append_number(guests_at, i);
		if (simulated_disk_state(fixture->fleet, worker_host_names[i], order->disk, &disk))
			append_number(disks_at, i);
	}
	assert_string_equal(guests_at, guests);
	assert_string_equal(disks_at, disks);
}

int64_t worker_fixture_failures(struct worker_fixture *fixture, int host)
{
	struct db_fixture *db = fixture->db;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(db);
	CLEANUP_DB_HOST struct db_host row = { 0 };

	OK_OF(db, db_host_by_id(session, fixture->hosts[host], &row, &db->error));
	return row.failed_migrations;
}

struct service_state {
	int64_t host_id;
	bool is_up, is_disabled;
};

static int write_service(struct db_session *session, void *context, struct error *error)
{
	const struct service_state *state = context;
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_id(session, state->host_id, &host, error);

	host.service.is_up = state->is_up;
	host.service.is_disabled = state->is_disabled;
	return result < 0 ? result : db_service_update(session, &host.service, error);
}

void worker_fixture_set_service(struct worker_fixture *fixture, int host, bool is_up, bool is_disabled)
{
	struct service_state state = { fixture->hosts[host], is_up, is_disabled };

	db_fixture_write(fixture->db, write_service, &state);
}
