/* Discovery against a real database, with a host of this test's own behind the port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "db/jobs.h"
#include "db_fixture.h"
#include "server/worker/discover.h"

#define UUID "11111111-0000-4000-8000-000000000001"

static const struct hypervisor_settings settings = { .reconcile_interval_s = 3600, .reconnect_interval_s = 3600 };

static int read_server(struct db_fixture *fixture, struct db_server *ret_server)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);

	return db_server_by_uuid(session, UUID, ret_server, &fixture->error);
}

/* A driver with one host that shows one running guest, or cannot be reached. */
struct lone_driver {
	struct hypervisor base;
	struct hypervisor_host host;
	pthread_mutex_t mutex;
	bool is_reachable;
	bool is_empty; /* it has no guest any more */
	int64_t refused_id; /* of a host whose handle cannot be made; 0: of none */
	bool is_held; /* whoever asks it waits */
	pthread_cond_t released;
	int asked, closed, at_once, most_at_once;
	hypervisor_event_fn on_event;
	void *event_context;
};

static struct lone_driver *driver_of(struct hypervisor_host *host)
{
	return (struct lone_driver *)host->hypervisor;
}

static void lone_watch(struct hypervisor *self, hypervisor_event_fn on_event, void *context)
{
	struct lone_driver *driver = (struct lone_driver *)self;

	driver->on_event = on_event;
	driver->event_context = context;
}

static int lone_open(struct hypervisor *self, const struct hypervisor_address *address,
		     struct hypervisor_host **ret_host, struct error *error)
{
	struct lone_driver *driver = (struct lone_driver *)self;

	if (address->host_id == driver->refused_id)
		return error_set(error, EINVAL, "host %s has no address", address->name);
	driver->host = (struct hypervisor_host){ .hypervisor = self, .host_id = address->host_id };
	*ret_host = &driver->host;
	return 0;
}

static void lone_close(struct hypervisor_host *host)
{
	LOCK_SCOPE(&driver_of(host)->mutex);

	driver_of(host)->closed++;
}

static int lone_describe(struct hypervisor_host *host, struct host_facts *ret_facts, struct error *error)
{
	struct lone_driver *driver = driver_of(host);

	LOCK_SCOPE(&driver->mutex);
	driver->asked++;
	if (++driver->at_once > driver->most_at_once)
		driver->most_at_once = driver->at_once;
	while (driver->is_held)
		pthread_cond_wait(&driver->released, &driver->mutex);
	driver->at_once--;
	if (!driver->is_reachable)
		return error_set(error, EHOSTUNREACH, "the cable is out");
	*ret_facts = (struct host_facts){ .vcpus = 4,
					  .memory_mb = 2048,
					  .disk_gb = 20,
					  .hypervisor_version = 7002000,
					  .hypervisor_type = strdup("QEMU"),
					  .host_ip = strdup("127.1.0.1"),
					  .cpu_info = strdup("{\"arch\": \"x86_64\"}"),
					  .facts = strdup("{\"pools\": []}") };
	return 0;
}

static int lone_list(struct hypervisor_host *host, struct guest_list *ret_guests, struct error *error)
{
	(void)error;
	LOCK_SCOPE(&driver_of(host)->mutex);
	if (driver_of(host)->is_empty)
		return 0;
	ret_guests->items = calloc(1, sizeof(*ret_guests->items));
	ret_guests->items[0] = (struct guest_facts){ .uuid = UUID,
						     .domain_name = strdup("instance-0000002a"),
						     .view = { .state = GUEST_RUNNING, .is_persistent = true },
						     .memory_mb = 64,
						     .vcpus = 1,
						     .facts = strdup("{}") };
	ret_guests->count = 1;
	return 0;
}

static const struct hypervisor_operations lone_operations = {
	.driver_name = "lone",
	.watch = lone_watch,
	.open_host = lone_open,
	.close_host = lone_close,
	.describe = lone_describe,
	.list_guests = lone_list,
};

static bool host_is(struct db_fixture *fixture, bool is_up)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_HOST struct db_host host = { 0 };

	OK(db_host_by_name(session, "compute-1", &host, &fixture->error));
	return host.service.is_up == is_up && (!is_up || host.vcpus == 4);
}

static void wait_for(struct db_fixture *fixture, bool is_up)
{
	for (int i = 0; i < 500; i++) {
		if (host_is(fixture, is_up))
			return;
		usleep(10000);
	}
	fail_msg("the host did not become %s", is_up ? "up" : "down");
}

static int write_nothing(struct db_session *session, void *context, struct error *error)
{
	(void)session;
	(void)context;
	(void)error;
	return 0;
}

/* The watchers of the last reading's commit have ended, too, before the discovery goes. */
static void end(struct db_fixture *fixture, struct discovery *discovery)
{
	discovery_stop(discovery);
	db_fixture_write(fixture, write_nothing, NULL);
	discovery_destroy(discovery);
}

static void a_host_goes_down_and_comes_back_by_events(void **state)
{
	struct db_fixture *fixture = *state;
	struct lone_driver driver = { .base = { &lone_operations }, .is_reachable = true };
	struct discovery *discovery = NULL;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	CLEANUP_DB_SERVER struct db_server still_there = { 0 };

	pthread_mutex_init(&driver.mutex, NULL);
	OK(discovery_create(&driver.base, fixture->database, &settings, clock_system(), NULL, &discovery,
			    &fixture->error));
	int64_t host_id = db_fixture_host(fixture, "compute-1");
	OK(discovery_start(discovery, &fixture->error));
	wait_for(fixture, true);
	OK(read_server(fixture, &server));

	pthread_mutex_lock(&driver.mutex);
	driver.is_reachable = false;
	pthread_mutex_unlock(&driver.mutex);
	driver.on_event(driver.event_context, host_id, HYPERVISOR_HOST_DOWN, NULL);
	wait_for(fixture, false);
	OK(read_server(fixture, &still_there)); /* a host that is away says nothing about its guests */

	pthread_mutex_lock(&driver.mutex);
	driver.is_reachable = true;
	pthread_mutex_unlock(&driver.mutex);
	driver.on_event(driver.event_context, host_id, HYPERVISOR_HOST_UP, NULL);
	wait_for(fixture, true);
	end(fixture, discovery);
}

static void a_guest_that_no_host_shows_any_more_is_forgotten(void **state)
{
	struct db_fixture *fixture = *state;
	struct lone_driver driver = { .base = { &lone_operations }, .is_reachable = true };
	struct discovery *discovery = NULL;
	int result = 0;

	pthread_mutex_init(&driver.mutex, NULL);
	OK(discovery_create(&driver.base, fixture->database, &settings, clock_system(), NULL, &discovery,
			    &fixture->error));
	int64_t host_id = db_fixture_host(fixture, "compute-1");
	OK(discovery_start(discovery, &fixture->error));
	wait_for(fixture, true);
	pthread_mutex_lock(&driver.mutex);
	driver.is_empty = true;
	pthread_mutex_unlock(&driver.mutex);
	driver.on_event(driver.event_context, host_id, HYPERVISOR_GUEST_CHANGED, UUID);
	for (int i = 0; i < 2000 && result == 0; i++) {
		CLEANUP_DB_SERVER struct db_server server = { 0 };

		result = read_server(fixture, &server);
		usleep(10000);
	}
	assert_int_equal(result, -ENOENT);
	end(fixture, discovery);
}

static void all_that_a_host_tells_is_written(void **state)
{
	struct db_fixture *fixture = *state;
	struct lone_driver driver = { .base = { &lone_operations }, .is_reachable = true };
	struct discovery *discovery = NULL;
	CLEANUP_DB_HOST struct db_host host = { 0 };

	pthread_mutex_init(&driver.mutex, NULL);
	OK(discovery_create(&driver.base, fixture->database, &settings, clock_system(), NULL, &discovery,
			    &fixture->error));
	db_fixture_host(fixture, "compute-1");
	OK(discovery_start(discovery, &fixture->error));
	wait_for(fixture, true);
	end(fixture, discovery);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_host_by_name(session, "compute-1", &host, &fixture->error));
	assert_int_equal(host.memory_mb, 2048);
	assert_int_equal(host.disk_gb, 20);
	assert_int_equal(host.hypervisor_version, 7002000);
	assert_string_equal(host.hypervisor_type, "QEMU");
	assert_string_equal(host.host_ip, "127.1.0.1");
	assert_string_equal(host.cpu_info, "{\"arch\": \"x86_64\"}");
	assert_string_equal(host.facts, "{\"pools\": []}");
	assert_int_equal(host.updated_us, FIXTURE_START_US);
	assert_int_equal(host.service.updated_us, FIXTURE_START_US);
}

/* Discovery of all hosts, until the one that can be reached is read; what it told at the level of warnings and above. */
static void read_told(struct db_fixture *fixture, int64_t refused_id, char *ret_told, size_t size)
{
	struct lone_driver driver = { .base = { &lone_operations }, .is_reachable = true, .refused_id = refused_id };
	struct discovery *discovery = NULL;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	struct log *log = log_create(ends[1], LOG_FORMAT_TEXT, LOG_LEVEL_WARNING, clock_system());
	pthread_mutex_init(&driver.mutex, NULL);
	OK(discovery_create(&driver.base, fixture->database, &settings, clock_system(), log, &discovery,
			    &fixture->error));
	OK(discovery_start(discovery, &fixture->error));
	wait_for(fixture, true);
	end(fixture, discovery);
	log_destroy(log);
	close(ends[1]);
	ssize_t length = read(ends[0], ret_told, size - 1);
	close(ends[0]);
	ret_told[length > 0 ? length : 0] = '\0';
}

static void a_host_without_a_handle_is_told_and_the_others_are_read_all_the_same(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t refused_id = db_fixture_host(fixture, "compute-0");
	char told[4096];

	db_fixture_host(fixture, "compute-1");
	read_told(fixture, refused_id, told, sizeof(told));
	assert_non_null(strstr(told, "hosts cannot be listed"));
	assert_non_null(strstr(told, "host compute-0 has no address"));
}

static void a_fleet_that_is_well_is_read_without_a_word_of_warning(void **state)
{
	struct db_fixture *fixture = *state;
	char told[4096];

	db_fixture_host(fixture, "compute-1");
	read_told(fixture, 0, told, sizeof(told));
	assert_string_equal(told, "");
}

static int remove_host(struct db_session *session, void *context, struct error *error)
{
	return db_host_remove(session, *(int64_t *)context, error);
}

static int read_count(struct lone_driver *driver, const int *count)
{
	LOCK_SCOPE(&driver->mutex);

	return *count;
}

static void wait_for_count(struct lone_driver *driver, const int *count, int wanted)
{
	for (int i = 0; i < 500 && read_count(driver, count) < wanted; i++)
		usleep(10000);
	assert_int_equal(read_count(driver, count), wanted);
}

static void a_host_that_is_down_and_removed_is_not_asked_any_more(void **state)
{
	struct db_fixture *fixture = *state;
	struct lone_driver driver = { .base = { &lone_operations } };
	struct discovery *discovery = NULL;

	pthread_mutex_init(&driver.mutex, NULL);
	OK(discovery_create(&driver.base, fixture->database, &settings, clock_system(), NULL, &discovery,
			    &fixture->error));
	int64_t host_id = db_fixture_host(fixture, "compute-1");
	OK(discovery_start(discovery, &fixture->error));
	wait_for_count(&driver, &driver.asked, 1);
	db_fixture_write(fixture, remove_host, &host_id);
	driver.on_event(driver.event_context, host_id, HYPERVISOR_HOST_DOWN, NULL);
	wait_for_count(&driver, &driver.closed, 1);
	driver.on_event(driver.event_context, host_id, HYPERVISOR_HOST_DOWN, NULL);
	usleep(200000);
	assert_int_equal(read_count(&driver, &driver.asked), 2);
	end(fixture, discovery);
	assert_int_equal(driver.closed, 1);
}

static void hold(struct lone_driver *driver, bool is_held)
{
	LOCK_SCOPE(&driver->mutex);

	driver->is_held = is_held;
	pthread_cond_broadcast(&driver->released);
}

/* Nothing comes of it: so long is waited to see that. */
static void stay_at(struct lone_driver *driver, const int *count, int wanted)
{
	usleep(300000);
	assert_int_equal(read_count(driver, count), wanted);
}

/* The first reading of the only host has begun, and is held. */
static struct discovery *begin_held(struct db_fixture *fixture, struct lone_driver *driver, int64_t *ret_host_id)
{
	struct discovery *discovery = NULL;

	*driver = (struct lone_driver){ .base = { &lone_operations }, .is_reachable = true, .is_held = true };
	pthread_mutex_init(&driver->mutex, NULL);
	pthread_cond_init(&driver->released, NULL);
	OK(discovery_create(&driver->base, fixture->database, &settings, clock_system(), NULL, &discovery,
			    &fixture->error));
	*ret_host_id = db_fixture_host(fixture, "compute-1");
	OK(discovery_start(discovery, &fixture->error));
	wait_for_count(driver, &driver->asked, 1);
	return discovery;
}

static void a_host_that_is_being_read_is_read_by_nobody_else_and_once_more_for_what_came_meanwhile(void **state)
{
	struct db_fixture *fixture = *state;
	struct lone_driver driver;
	int64_t host_id;
	struct discovery *discovery = begin_held(fixture, &driver, &host_id);

	for (int i = 0; i < 3; i++)
		driver.on_event(driver.event_context, host_id, HYPERVISOR_GUEST_CHANGED, UUID);
	stay_at(&driver, &driver.asked, 1);
	hold(&driver, false);
	wait_for_count(&driver, &driver.asked, 2);
	stay_at(&driver, &driver.asked, 2);
	end(fixture, discovery);
	assert_int_equal(driver.most_at_once, 1);
}

static int reach_another_way(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_id(session, *(int64_t *)context, &host, error);

	if (result < 0)
		return result;
	free(host.uri);
	host.uri = strdup("qemu+tls://compute-1/system");
	return db_host_update(session, &host, error);
}

static void a_handle_is_closed_only_when_its_reading_has_ended(void **state)
{
	struct db_fixture *fixture = *state;
	struct lone_driver driver;
	int64_t host_id;
	struct discovery *discovery = begin_held(fixture, &driver, &host_id);

	pthread_mutex_lock(&driver.mutex);
	driver.refused_id = host_id + 1;
	pthread_mutex_unlock(&driver.mutex);
	db_fixture_write(fixture, reach_another_way, &host_id);
	assert_int_equal(db_fixture_host(fixture, "compute-2"), host_id + 1); /* hosts are listed now */
	stay_at(&driver, &driver.closed, 0);
	hold(&driver, false);
	wait_for_count(&driver, &driver.closed, 1);
	wait_for(fixture, true);
	end(fixture, discovery);
	assert_int_equal(driver.closed, 2);
}

static int insert_job(struct db_session *session, void *context, struct error *error)
{
	return db_job_insert(session, context, error);
}

static int end_job(struct db_session *session, void *context, struct error *error)
{
	struct db_job *job = context;

	job->finished_us = FIXTURE_START_US;
	return db_job_update(session, job, error);
}

/* A large fleet has jobs all the time: it is not read again for each of them. */
static void only_a_host_that_left_something_to_a_job_is_read_again_when_jobs_change(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_job job = { .kind = "stop", .server_uuid = UUID, .block_migration = "auto" };
	struct lone_driver driver;
	struct discovery *discovery = begin_held(fixture, &driver, &job.source_host_id);

	hold(&driver, false);
	wait_for(fixture, true);
	int asked = read_count(&driver, &driver.asked);
	db_fixture_write(fixture, insert_job, &job);
	usleep(500000);
	stay_at(&driver, &driver.asked, asked);
	driver.on_event(driver.event_context, job.source_host_id, HYPERVISOR_GUEST_CHANGED, UUID);
	wait_for_count(&driver, &driver.asked, asked + 1); /* what it shows of the server is left to the job */
	db_fixture_write(fixture, write_nothing, NULL);
	db_fixture_write(fixture, end_job, &job);
	wait_for_count(&driver, &driver.asked, asked + 2);
	end(fixture, discovery);
}

static void *wait_for_all(void *context)
{
	void **both = context;

	discovery_wait_for_all(both[0]);
	atomic_store((atomic_bool *)both[1], true);
	return NULL;
}

/* A daemon that starts lets its jobs go on only after that. */
static void all_hosts_are_read_when_the_last_one_is(void **state)
{
	struct db_fixture *fixture = *state;
	struct lone_driver driver;
	int64_t host_id;
	struct discovery *discovery = begin_held(fixture, &driver, &host_id);
	atomic_bool has_returned = false;
	void *both[] = { discovery, &has_returned };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, wait_for_all, both), 0);
	usleep(200000);
	assert_false(has_returned);
	hold(&driver, false);
	pthread_join(thread, NULL);
	assert_true(host_is(fixture, true));
	end(fixture, discovery);
}

static void discovery_that_was_stopped_reads_on_when_it_is_started_again(void **state)
{
	struct db_fixture *fixture = *state;
	struct lone_driver driver;
	int64_t host_id;
	struct discovery *discovery = begin_held(fixture, &driver, &host_id);

	hold(&driver, false);
	wait_for(fixture, true);
	discovery_stop(discovery);
	int asked = driver.asked;
	OK(discovery_start(discovery, &fixture->error));
	driver.on_event(driver.event_context, host_id, HYPERVISOR_GUEST_CHANGED, UUID);
	wait_for_count(&driver, &driver.asked, asked + 1);
	end(fixture, discovery);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_that_is_down_and_removed_is_not_asked_any_more),
		TEST(a_host_that_is_being_read_is_read_by_nobody_else_and_once_more_for_what_came_meanwhile),
		TEST(a_handle_is_closed_only_when_its_reading_has_ended),
		TEST(only_a_host_that_left_something_to_a_job_is_read_again_when_jobs_change),
		TEST(all_hosts_are_read_when_the_last_one_is),
		TEST(discovery_that_was_stopped_reads_on_when_it_is_started_again),
		TEST(a_host_goes_down_and_comes_back_by_events),
		TEST(a_guest_that_no_host_shows_any_more_is_forgotten),
		TEST(all_that_a_host_tells_is_written),
		TEST(a_host_without_a_handle_is_told_and_the_others_are_read_all_the_same),
		TEST(a_fleet_that_is_well_is_read_without_a_word_of_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
