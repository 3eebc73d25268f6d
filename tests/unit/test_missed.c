/* What becomes of guests that their hosts do not show any more: whole discovery against a real database, with hosts of this
 * test's own behind the port that can be down, and whose readings can be held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "db/chores.h"
#include "db_fixture.h"
#include "server/worker/discover.h"

#define UUID       "11111111-0000-4000-8000-000000000001"
#define OTHER_UUID "22222222-0000-4000-8000-000000000001"
#define MANY       10000
#define SWARM      40
#define STEP_US    10000
#define SOON_MS    15000
#define SETTLE_MS  1500

/* Hosts are read by events and for what is missed; not by themselves, and one that is down not again. */
static const struct hypervisor_settings settings = {
	.default_project = "project", .default_user = "user", .reconcile_interval_s = 3600, .reconnect_interval_s = 3600
};

struct fake_host {
	struct hypervisor_host base;
	enum guest_state state; /* of the guest UUID; 0 is GUEST_ABSENT: it is not there */
	int swarm; /* further guests */
	bool is_down;
	bool is_held; /* a reading answers with what was there when it began, but not yet */
	int held; /* readings that wait */
	int asked;
};

struct fake_driver {
	struct hypervisor base;
	pthread_mutex_t mutex;
	struct fake_host *hosts; /* by id */
	size_t count;
	hypervisor_event_fn on_event;
	void *event_context;
};

struct missed_fixture {
	struct db_fixture *db;
	struct fake_driver driver;
	struct discovery *discovery;
	struct log *log;
	int log_read, log_write;
};

static struct fake_driver *driver_of(struct hypervisor_host *host)
{
	return (struct fake_driver *)host->hypervisor;
}

static void fake_watch(struct hypervisor *self, hypervisor_event_fn on_event, void *context)
{
	struct fake_driver *driver = (struct fake_driver *)self;

	driver->on_event = on_event;
	driver->event_context = context;
}

static int fake_open(struct hypervisor *self, const struct hypervisor_address *address,
		     struct hypervisor_host **ret_host, struct error *error)
{
	struct fake_driver *driver = (struct fake_driver *)self;

	(void)error;
	assert_true((size_t)address->host_id < driver->count);
	struct fake_host *host = &driver->hosts[address->host_id];
	host->base = (struct hypervisor_host){ .hypervisor = self, .host_id = address->host_id };
	*ret_host = &host->base;
	return 0;
}

static void fake_close(struct hypervisor_host *host)
{
	(void)host;
}

static int fake_describe(struct hypervisor_host *base, struct host_facts *ret_facts, struct error *error)
{
	struct fake_host *host = (struct fake_host *)base;

	LOCK_SCOPE(&driver_of(base)->mutex);
	host->asked++;
	if (host->is_down)
		return error_set(error, EHOSTUNREACH, "the cable is out");
	*ret_facts = (struct host_facts){ .vcpus = 4, .memory_mb = 2048, .hypervisor_type = strdup("QEMU") };
	return 0;
}

static void add_guest(struct guest_list *guests, int number, enum guest_state state)
{
	struct guest_facts *guest = &guests->items[guests->count++];

	*guest = (struct guest_facts){ .domain_name = strdup("instance-0000002a"),
				       .view = { .state = state, .is_persistent = true },
				       .memory_mb = 64,
				       .vcpus = 1,
				       .facts = strdup("{}") };
	snprintf(guest->uuid, sizeof(guest->uuid), "11111111-0000-4000-8000-%012d", number);
}

static int fake_list(struct hypervisor_host *base, struct guest_list *ret_guests, struct error *error)
{
	struct fake_host *host = (struct fake_host *)base;
	struct fake_driver *driver = driver_of(base);

	(void)error;
	pthread_mutex_lock(&driver->mutex);
	ret_guests->items = calloc((size_t)host->swarm + 1, sizeof(*ret_guests->items));
	if (host->state != GUEST_ABSENT)
		add_guest(ret_guests, 1, host->state);
	for (int i = 0; i < host->swarm; i++)
		add_guest(ret_guests, i + 2, GUEST_RUNNING);
	host->held += host->is_held;
	for (bool was_held = host->is_held; was_held; was_held = host->is_held) {
		pthread_mutex_unlock(&driver->mutex);
		usleep(STEP_US);
		pthread_mutex_lock(&driver->mutex);
	}
	pthread_mutex_unlock(&driver->mutex);
	return 0;
}

static const struct hypervisor_operations fake_operations = {
	.driver_name = "fake",
	.watch = fake_watch,
	.open_host = fake_open,
	.close_host = fake_close,
	.describe = fake_describe,
	.list_guests = fake_list,
};

static int setup(void **state)
{
	struct missed_fixture *fixture = calloc(1, sizeof(*fixture));
	int pipe_ends[2];

	assert_non_null(fixture);
	db_fixture_setup((void **)&fixture->db);
	assert_int_equal(pipe(pipe_ends), 0);
	fixture->log_read = pipe_ends[0];
	fixture->log_write = pipe_ends[1];
	fixture->log = log_create(fixture->log_write, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING, clock_system());
	fixture->driver.base.operations = &fake_operations;
	fixture->driver.count = MANY + 1;
	fixture->driver.hosts = calloc(fixture->driver.count, sizeof(*fixture->driver.hosts));
	assert_non_null(fixture->driver.hosts);
	pthread_mutex_init(&fixture->driver.mutex, NULL);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct missed_fixture *fixture = *state;

	for (size_t i = 0; i < fixture->driver.count; i++)
		fixture->driver.hosts[i].is_held = false;
	discovery_stop(fixture->discovery);
	db_fixture_teardown((void **)&fixture->db); /* its watchers end */
	discovery_destroy(fixture->discovery);
	pthread_mutex_destroy(&fixture->driver.mutex);
	log_destroy(fixture->log);
	close(fixture->log_read);
	close(fixture->log_write);
	free(fixture->driver.hosts);
	free(fixture);
	return 0;
}

static void begin(struct missed_fixture *fixture)
{
	struct db_fixture *db = fixture->db;

	if (discovery_create(&fixture->driver.base, db->database, &settings, clock_system(), fixture->log,
			     &fixture->discovery, &db->error)
		    < 0
	    || discovery_start(fixture->discovery, &db->error) < 0)
		fail_msg("%s", db->error.text);
}

static struct fake_host *host_at(struct missed_fixture *fixture, int64_t id)
{
	return &fixture->driver.hosts[id];
}

#define WITH_DRIVER(fixture, statement)                                                                                \
	do {                                                                                                           \
		pthread_mutex_lock(&(fixture)->driver.mutex);                                                          \
		statement;                                                                                             \
		pthread_mutex_unlock(&(fixture)->driver.mutex);                                                        \
	} while (0)

static void tell_event(struct missed_fixture *fixture, int64_t host_id)
{
	fixture->driver.on_event(fixture->driver.event_context, host_id, HYPERVISOR_GUEST_CHANGED, UUID);
}

static void show(struct missed_fixture *fixture, int64_t host_id, enum guest_state guest)
{
	WITH_DRIVER(fixture, host_at(fixture, host_id)->state = guest);
	tell_event(fixture, host_id);
}

static void set_down(struct missed_fixture *fixture, int64_t host_id, bool is_down)
{
	WITH_DRIVER(fixture, host_at(fixture, host_id)->is_down = is_down);
	tell_event(fixture, host_id);
}

static int64_t all_asked(struct missed_fixture *fixture)
{
	int64_t asked = 0;

	WITH_DRIVER(fixture,
		    for (size_t i = 0; i < fixture->driver.count; i++) asked += fixture->driver.hosts[i].asked);
	return asked;
}

/* The name of the host that the server is on; "" when it is forgotten. */
static void read_place(struct missed_fixture *fixture, char ret_name[DB_NAME_SIZE])
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	struct error error = { 0 };
	int result = db_server_by_uuid(session, UUID, &server, &error);

	assert_true(result == 0 || result == -ENOENT);
	memcpy(ret_name, server.host, DB_NAME_SIZE);
}

static void wait_for_place(struct missed_fixture *fixture, const char *name)
{
	char place[DB_NAME_SIZE] = "";

	for (int i = 0; i < SOON_MS * 1000 / STEP_US; i++) {
		read_place(fixture, place);
		if (strcmp(place, name) == 0)
			return;
		usleep(STEP_US);
	}
	fail_msg("the server is on \"%s\", not on \"%s\"", place, name);
}

static void stays_at(struct missed_fixture *fixture, const char *name)
{
	char place[DB_NAME_SIZE] = "";

	for (int i = 0; i < SETTLE_MS * 1000 / STEP_US; i++) {
		read_place(fixture, place);
		assert_string_equal(place, name);
		usleep(STEP_US);
	}
}

static void wait_until_held(struct missed_fixture *fixture, int64_t host_id, int wanted)
{
	int held = 0;

	for (int i = 0; i < SOON_MS * 1000 / STEP_US && held < wanted; i++) {
		WITH_DRIVER(fixture, held = host_at(fixture, host_id)->held);
		usleep(STEP_US);
	}
	assert_true(held >= wanted);
}

static int warnings(struct missed_fixture *fixture, const char *what)
{
	char text[65536] = "";
	int count = 0;

	assert_int_equal(write(fixture->log_write, "\n", 1), 1); /* so that there is something */
	ssize_t length = read(fixture->log_read, text, sizeof(text) - 1);
	assert_true(length > 0);
	for (const char *found = strstr(text, what); found; found = strstr(found + 1, what))
		count++;
	return count;
}

static int64_t add_host(struct missed_fixture *fixture, const char *name)
{
	return db_fixture_host(fixture->db, name);
}

static int insert_job(struct db_session *session, void *context, struct error *error)
{
	return db_job_insert(session, context, error);
}

static int end_job(struct db_session *session, void *context, struct error *error)
{
	struct db_job *job = context;

	job->finished_us = db_now_us(session);
	int result = db_job_update(session, job, error);
	if (result == 0)
		result = db_server_set_place(session, UUID, job->target_host_id, 1, error);
	return result < 0 || !text_equal(job->kind, "cold") ? result
							    : db_server_set_state(session, UUID, "resized", "", error);
}

/* A whole move while a reading of its source is under way, which says so in the end: "it is here, and runs". */
static void move_during_a_reading(struct missed_fixture *fixture, const char *kind)
{
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2");
	struct db_job job = { .phase = "accepted", .server_uuid = UUID, .source_host_id = one, .target_host_id = two };

	TEXT_COPY(job.kind, kind);
	host_at(fixture, one)->state = GUEST_RUNNING;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	WITH_DRIVER(fixture, host_at(fixture, one)->is_held = true);
	tell_event(fixture, one);
	wait_until_held(fixture, one, 1);

	job.migration_id = db_fixture_migration(fixture->db, UUID, "compute-1", "compute-2");
	db_fixture_write(fixture->db, insert_job, &job);
	WITH_DRIVER(fixture, host_at(fixture, one)->state = GUEST_ABSENT);
	show(fixture, two, GUEST_RUNNING);
	db_fixture_write(fixture->db, end_job, &job);
	stays_at(fixture, "compute-2");
	WITH_DRIVER(fixture, host_at(fixture, one)->is_held = false);
	stays_at(fixture, "compute-2");
	tell_event(fixture, one);
	stays_at(fixture, "compute-2");
}

static void a_live_move_is_not_undone_by_a_reading_that_began_before_it(void **state)
{
	move_during_a_reading(*state, "live");
}

static void a_cold_move_is_not_undone_by_a_reading_that_began_before_it(void **state)
{
	move_during_a_reading(*state, "cold");
}

static void a_host_whose_reading_came_too_late_is_read_again_soon(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2");

	host_at(fixture, one)->state = GUEST_RUNNING;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	WITH_DRIVER(fixture, host_at(fixture, two)->is_held = true);
	show(fixture, two, GUEST_RUNNING);
	wait_until_held(fixture, two, 1);
	show(fixture, one, GUEST_PAUSED);
	usleep(SETTLE_MS * 1000);
	WITH_DRIVER(fixture, host_at(fixture, two)->is_held = false);
	wait_for_place(fixture, "compute-2");
	assert_int_equal(host_at(fixture, two)->asked, 3);
}

static void wait_until_asked(struct missed_fixture *fixture, int64_t wanted)
{
	for (int i = 0; all_asked(fixture) < wanted && i < SOON_MS * 1000 / STEP_US; i++)
		usleep(STEP_US);
	assert_int_equal(all_asked(fixture), wanted);
}

static int only_end_job(struct db_session *session, void *context, struct error *error)
{
	struct db_job *job = context;

	job->finished_us = db_now_us(session);
	return db_job_update(session, job, error);
}

/* The events of what somebody did meanwhile came while the job had the guest: nothing else tells of it again. */
static void what_a_host_showed_of_a_guest_that_a_job_had_is_read_again_when_that_has_ended(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1");
	struct db_job job = { .phase = "accepted", .kind = "cold", .server_uuid = UUID, .source_host_id = one };

	host_at(fixture, one)->state = GUEST_RUNNING;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	db_fixture_write(fixture->db, insert_job, &job);
	show(fixture, one, GUEST_ABSENT);
	stays_at(fixture, "compute-1");
	db_fixture_write(fixture->db, only_end_job, &job);
	wait_for_place(fixture, "");
}

/* With a thousand jobs at once the hosts would else be read without a pause. */
static void a_host_is_not_read_again_for_the_jobs_of_others(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1");
	struct db_job job = { .phase = "accepted", .kind = "cold", .server_uuid = UUID, .source_host_id = one };
	struct db_job other = { .phase = "accepted", .kind = "cold", .server_uuid = OTHER_UUID, .source_host_id = one };

	host_at(fixture, one)->state = GUEST_RUNNING;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	db_fixture_write(fixture->db, insert_job, &job);
	int64_t asked = all_asked(fixture);
	tell_event(fixture, one);
	wait_until_asked(fixture, asked + 1);
	db_fixture_write(fixture->db, insert_job, &other);
	db_fixture_write(fixture->db, only_end_job, &other);
	stays_at(fixture, "compute-1");
	assert_int_equal(all_asked(fixture), asked + 1);
	db_fixture_write(fixture->db, only_end_job, &job);
	wait_until_asked(fixture, asked + 2);
}

static void a_guest_that_no_host_has_is_forgotten(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1");

	add_host(fixture, "compute-2");
	host_at(fixture, one)->state = GUEST_RUNNING;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	show(fixture, one, GUEST_ABSENT);
	wait_for_place(fixture, "");
	assert_int_equal(warnings(fixture, "may have it"), 0);
}

static void a_guest_that_is_off_on_another_host_is_found_there_before_it_is_forgotten(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2");

	host_at(fixture, one)->state = GUEST_RUNNING;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	WITH_DRIVER(fixture, host_at(fixture, two)->state = GUEST_SHUT_OFF); /* and no event tells of it */
	show(fixture, one, GUEST_ABSENT);
	wait_for_place(fixture, "compute-2");
	stays_at(fixture, "compute-2");
}

static int insert_chore(struct db_session *session, void *context, struct error *error)
{
	return db_chore_insert(session, context, error);
}

/* On the host, as a move leaves it: off, and to be removed. */
static void leave_there(struct missed_fixture *fixture, int64_t host_id)
{
	struct db_chore chore = { .kind = DB_CHORE_REMOVE_GUEST, .host_id = host_id, .server_uuid = UUID };

	chore.migration_id = db_fixture_migration(fixture->db, UUID, "compute-1", "compute-2");
	WITH_DRIVER(fixture, host_at(fixture, host_id)->state = GUEST_SHUT_OFF);
	db_fixture_write(fixture->db, insert_chore, &chore);
}

static void what_a_move_left_is_not_taken_for_a_guest_that_a_third_host_has(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2"),
		three = add_host(fixture, "compute-3");

	host_at(fixture, one)->state = GUEST_RUNNING;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	leave_there(fixture, two);
	WITH_DRIVER(fixture, host_at(fixture, three)->state = GUEST_SHUT_OFF; host_at(fixture, three)->is_held = true);
	show(fixture, one, GUEST_ABSENT);
	wait_until_held(fixture, three, 1);
	stays_at(fixture, "compute-1");
	WITH_DRIVER(fixture, host_at(fixture, three)->is_held = false);
	wait_for_place(fixture, "compute-3");
}

static void what_a_move_left_is_the_guest_when_no_other_host_has_it(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2");

	host_at(fixture, one)->state = GUEST_RUNNING;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	leave_there(fixture, two);
	show(fixture, one, GUEST_ABSENT);
	wait_for_place(fixture, "compute-2");
	stays_at(fixture, "compute-2");
}

static void claim_on(struct missed_fixture *fixture, int64_t host_id)
{
	struct db_claim claim = { .host_id = host_id, .server_uuid = UUID, .vcpus = 1, .memory_mb = 1 };

	claim.migration_id = db_fixture_migration(fixture->db, UUID, "compute-1", "compute-2");
	assert_int_equal(db_fixture_claim(fixture->db, &claim, -1), 0);
}

/* One that waits for its confirm on the second host, with its room on the first claimed. */
static void a_server_that_is_found_where_room_is_claimed_for_it_counts_there_once(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2");

	host_at(fixture, two)->state = GUEST_RUNNING;
	begin(fixture);
	wait_for_place(fixture, "compute-2");
	claim_on(fixture, one);
	WITH_DRIVER(fixture, host_at(fixture, one)->state = GUEST_RUNNING);
	show(fixture, two, GUEST_ABSENT);
	wait_for_place(fixture, "compute-1");
	for (size_t i = 0; i < 2; i++) {
		CLEANUP_DB_CLAIMS struct db_claim_list claims = { 0 };
		struct db_session *session = db_fixture_read(fixture->db);
		int result = db_claim_by_host(session, i == 0 ? one : two, &claims, NULL);

		db_read_end(session);
		assert_int_equal(result, 0);
		assert_int_equal(claims.count, i);
	}
}

static void an_answer_counts_only_when_it_was_asked_for_after_the_miss(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2");

	host_at(fixture, one)->state = GUEST_RUNNING;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	WITH_DRIVER(fixture, host_at(fixture, two)->is_held = true);
	tell_event(fixture, two);
	wait_until_held(fixture, two, 1); /* this one sees nothing */
	WITH_DRIVER(fixture, host_at(fixture, two)->state = GUEST_RUNNING);
	show(fixture, one, GUEST_ABSENT);
	stays_at(fixture, "compute-1");
	WITH_DRIVER(fixture, host_at(fixture, two)->is_held = false);
	wait_for_place(fixture, "compute-2");
}

static void a_guest_stays_while_a_host_that_its_claim_names_is_down(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2");

	host_at(fixture, one)->state = GUEST_RUNNING;
	host_at(fixture, two)->is_down = true;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	claim_on(fixture, two);
	show(fixture, one, GUEST_ABSENT);
	stays_at(fixture, "compute-1");
	stays_at(fixture, "compute-1");
	tell_event(fixture, one);
	stays_at(fixture, "compute-1");
	assert_int_equal(warnings(fixture, "may have it"), 1);
	set_down(fixture, two, false);
	wait_for_place(fixture, "");
}

static void a_guest_is_found_on_the_host_that_was_down(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2");

	host_at(fixture, one)->state = GUEST_RUNNING;
	host_at(fixture, two)->is_down = true;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	claim_on(fixture, two);
	show(fixture, one, GUEST_ABSENT);
	stays_at(fixture, "compute-1");
	WITH_DRIVER(fixture, host_at(fixture, two)->state = GUEST_SHUT_OFF);
	set_down(fixture, two, false);
	wait_for_place(fixture, "compute-2");
	stays_at(fixture, "compute-2");
}

static void a_host_that_is_down_keeps_nobody_whom_nothing_places_there(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2");

	host_at(fixture, one)->state = GUEST_RUNNING;
	host_at(fixture, two)->is_down = true;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	show(fixture, one, GUEST_ABSENT);
	wait_for_place(fixture, "");
}

static void nobody_is_forgotten_before_every_host_was_read_once(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2");

	host_at(fixture, one)->state = GUEST_RUNNING;
	host_at(fixture, two)->is_held = true;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	show(fixture, one, GUEST_ABSENT);
	stays_at(fixture, "compute-1");
	stays_at(fixture, "compute-1");
	WITH_DRIVER(fixture, host_at(fixture, two)->is_held = false);
	wait_for_place(fixture, "");
}

static int give_up(struct db_session *session, void *context, struct error *error)
{
	return db_host_set_gone(session, *(int64_t *)context, true, error);
}

static void a_host_that_was_given_up_keeps_nobody(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2");

	host_at(fixture, one)->state = GUEST_RUNNING;
	host_at(fixture, two)->is_down = true;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	claim_on(fixture, two);
	db_fixture_write(fixture->db, give_up, &two);
	show(fixture, one, GUEST_ABSENT);
	wait_for_place(fixture, "");
	assert_int_equal(warnings(fixture, "may have it"), 0);
}

static void what_a_given_up_host_shows_counts_no_more(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2");

	host_at(fixture, one)->state = GUEST_RUNNING;
	begin(fixture);
	wait_for_place(fixture, "compute-1");
	db_fixture_write(fixture->db, give_up, &two);
	show(fixture, two, GUEST_RUNNING);
	stays_at(fixture, "compute-1");
}

static int await_confirm(struct db_session *session, void *context, struct error *error)
{
	struct db_kept_domain kept = { .host_id = ((struct db_job *)context)->source_host_id,
				       .server_uuid = UUID,
				       .migration_id = ((struct db_job *)context)->migration_id };
	int result = db_server_set_state(session, UUID, "resized", "", error);

	if (result == 0)
		result = db_kept_domain_insert(session, &kept, error);
	return result < 0 ? result : db_migration_set_status(session, kept.migration_id, "finished", error);
}

static int remove_host(struct db_session *session, void *context, struct error *error)
{
	return db_host_remove(session, *(int64_t *)context, error);
}

static void nothing_stays_of_a_resized_server_that_was_removed_on_its_host(void **state)
{
	struct missed_fixture *fixture = *state;
	int64_t one = add_host(fixture, "compute-1"), two = add_host(fixture, "compute-2");
	struct db_claim claim = { .host_id = one, .server_uuid = UUID, .vcpus = 1, .memory_mb = 1 };
	struct db_job move = { .source_host_id = one };

	host_at(fixture, two)->state = GUEST_RUNNING;
	begin(fixture);
	wait_for_place(fixture, "compute-2");
	claim.migration_id = move.migration_id = db_fixture_migration(fixture->db, UUID, "compute-1", "compute-2");
	assert_int_equal(db_fixture_claim(fixture->db, &claim, -1), 0);
	db_fixture_write(fixture->db, await_confirm, &move);
	show(fixture, two, GUEST_ABSENT);
	wait_for_place(fixture, "");
	db_fixture_write(fixture->db, remove_host, &one);
	db_fixture_write(fixture->db, remove_host, &two);
}

static int insert_many(struct db_session *session, void *context, struct error *error)
{
	int result = 0;

	(void)context;
	for (int i = 0; i < MANY && result == 0; i++) {
		struct db_host host = { .reserved_memory_mb = -1, .reserved_disk_gb = -1 };

		snprintf(host.name, sizeof(host.name), "compute-%d", i + 1);
		result = db_host_insert(session, &host, error);
	}
	return result;
}

static void a_large_fleet_is_not_read_again_for_each_guest_that_goes(void **state)
{
	struct missed_fixture *fixture = *state;
	struct fake_host *host = host_at(fixture, 1);

	db_fixture_write(fixture->db, insert_many, NULL);
	host->state = GUEST_RUNNING;
	host->swarm = SWARM;
	begin(fixture);
	discovery_wait_for_all(fixture->discovery);
	wait_for_place(fixture, "compute-1");
	int64_t before = all_asked(fixture);
	show(fixture, 1, GUEST_ABSENT);
	for (int i = 0; i < SWARM; i++) { /* while they are looked for, others go */
		usleep(20 * STEP_US);
		WITH_DRIVER(fixture, host->swarm--);
		tell_event(fixture, 1);
	}
	int64_t asked = all_asked(fixture) - before;
	if (asked > MANY + 2 * SWARM + 2)
		fail_msg("%lld readings for %d guests that went one after another", (long long)asked, SWARM + 1);
	wait_for_place(fixture, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_live_move_is_not_undone_by_a_reading_that_began_before_it),
		TEST(a_cold_move_is_not_undone_by_a_reading_that_began_before_it),
		TEST(a_host_whose_reading_came_too_late_is_read_again_soon),
		TEST(what_a_host_showed_of_a_guest_that_a_job_had_is_read_again_when_that_has_ended),
		TEST(a_host_is_not_read_again_for_the_jobs_of_others),
		TEST(a_guest_that_no_host_has_is_forgotten),
		TEST(a_guest_that_is_off_on_another_host_is_found_there_before_it_is_forgotten),
		TEST(what_a_move_left_is_not_taken_for_a_guest_that_a_third_host_has),
		TEST(what_a_move_left_is_the_guest_when_no_other_host_has_it),
		TEST(a_server_that_is_found_where_room_is_claimed_for_it_counts_there_once),
		TEST(an_answer_counts_only_when_it_was_asked_for_after_the_miss),
		TEST(a_guest_stays_while_a_host_that_its_claim_names_is_down),
		TEST(a_guest_is_found_on_the_host_that_was_down),
		TEST(a_host_that_is_down_keeps_nobody_whom_nothing_places_there),
		TEST(nobody_is_forgotten_before_every_host_was_read_once),
		TEST(a_host_that_was_given_up_keeps_nobody),
		TEST(what_a_given_up_host_shows_counts_no_more),
		TEST(nothing_stays_of_a_resized_server_that_was_removed_on_its_host),
		TEST(a_large_fleet_is_not_read_again_for_each_guest_that_goes),
	};

	return cmocka_run_group_tests_name("missed", tests, NULL, NULL);
}
