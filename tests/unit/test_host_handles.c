/* Handles of hosts: one for each way to reach a host, and what a host that cannot be opened is taken for. Whoever gets -ENOENT takes
 * the host for removed, and what is on it for gone with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/hosts.h"
#include "db/statement.h"
#include "server/worker/gone_hosts.h"
#include "server/worker/host_handles.h"
#include "server/worker/job.h"
#include "tests/unit/worker_fixture.h"

#define HANDLES 8

/* What opening a host comes to, and how often it was done. */
static struct {
	struct hypervisor base;
	struct hypervisor_host handles[HANDLES];
	int opened;
	atomic_int closed;
	int result;
	char address[256]; /* the last one, as "name uri user file" */
} fake;

static int fake_open(struct hypervisor *self, const struct hypervisor_address *address,
		     struct hypervisor_host **ret_host, struct error *error)
{
	assert_ptr_equal(self, &fake.base);
	snprintf(fake.address, sizeof(fake.address), "%s %s %s %s", address->name, address->uri ? address->uri : "-",
		 address->user_name ? address->user_name : "-", address->password_file ? address->password_file : "-");
	if (fake.result < 0)
		return error_set(error, -fake.result, "the handle cannot be made");
	assert_in_range(fake.opened, 0, HANDLES - 1);
	*ret_host = &fake.handles[fake.opened++];
	return 0;
}

/* A farewell takes its time. */
static void fake_close(struct hypervisor_host *host)
{
	assert_in_range(host - fake.handles, 0, fake.opened - 1);
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	fake.closed++;
}

static const struct hypervisor_operations fake_operations = { .driver_name = "fake",
							      .open_host = fake_open,
							      .close_host = fake_close };

static int setup(void **state)
{
	worker_fixture_setup(state);
	memset(&fake, 0, sizeof(fake));
	fake.base.operations = &fake_operations;
	((struct worker_fixture *)*state)->worker->parts.hypervisor = &fake.base;
	return 0;
}

static int open_host(struct worker_fixture *fixture, int64_t id, struct hypervisor_host **ret_host, bool *ret_is_gone,
		     struct error *error)
{
	char name[DB_NAME_SIZE];
	int result = worker_open_host(fixture->worker, id, name, ret_host, ret_is_gone, error);

	if (result == 0)
		assert_string_equal(name, "one");
	return result;
}

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

static void a_host_that_cannot_be_opened_is_out_of_reach_and_never_removed(void **state)
{
	static const struct {
		int of_driver, expected;
	} rows[] = {
		{ -ENOENT, -EHOSTUNREACH }, /* its password file is missing, say */
		{ -EACCES, -EACCES },
		{ -EINVAL, -EINVAL },
		{ -ENOMEM, -ENOMEM },
	};
	struct worker_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct hypervisor_host *host = NULL;
		struct error error = { 0 };
		bool is_gone = false;

		fake.result = rows[i].of_driver;
		assert_int_equal(open_host(fixture, fixture->hosts[ONE], &host, &is_gone, &error), rows[i].expected);
		assert_int_equal(error.code, -rows[i].expected);
		assert_string_equal(error.text, "the handle cannot be made");
		assert_int_equal(open_host(fixture, fixture->hosts[ONE], &host, &is_gone, NULL), rows[i].expected);
		assert_null(host);
	}
	fake.result = 0; /* nothing of that is remembered */
	struct hypervisor_host *host = NULL;
	bool is_gone = false;
	assert_int_equal(open_host(fixture, fixture->hosts[ONE], &host, &is_gone, NULL), 0);
	assert_ptr_equal(host, &fake.handles[0]);
}

static void a_host_without_a_row_is_no_host(void **state)
{
	struct worker_fixture *fixture = *state;
	struct hypervisor_host *host = NULL;
	struct error error = { 0 };
	bool is_gone = false;

	assert_int_equal(open_host(fixture, 999, &host, &is_gone, &error), -ENOENT);
	assert_int_equal(error.code, ENOENT);
	assert_int_equal(fake.opened, 0);
}

/* The older ones stay for the jobs that have them. */
static void each_way_to_reach_a_host_has_a_handle_of_its_own(void **state)
{
	static const char *const changes[] = {
		"UPDATE hosts SET uri = 'qemu+tls://one/system' WHERE name = 'one'",
		"UPDATE hosts SET user_name = 'migrationd' WHERE name = 'one'",
		"UPDATE hosts SET password_file = '/etc/password' WHERE name = 'one'",
	};
	struct worker_fixture *fixture = *state;
	struct hypervisor_host *host = NULL;
	bool is_gone = false;

	for (int i = 0; i <= (int)ARRAY_LENGTH(changes); i++) {
		for (int again = 0; again < 2; again++) {
			assert_int_equal(open_host(fixture, fixture->hosts[ONE], &host, &is_gone, NULL), 0);
			assert_ptr_equal(host, &fake.handles[i]);
			assert_int_equal(fake.opened, i + 1);
		}
		if (i < (int)ARRAY_LENGTH(changes))
			db_fixture_write(fixture->db, run_sql, (void *)changes[i]);
	}
	assert_string_equal(fake.address, "one qemu+tls://one/system migrationd /etc/password");
	assert_int_equal(fake.closed, 0);
}

static void a_host_that_was_given_up_is_told_as_that(void **state)
{
	struct worker_fixture *fixture = *state;
	struct hypervisor_host *host = NULL;
	bool is_gone = true;

	assert_int_equal(open_host(fixture, fixture->hosts[ONE], &host, &is_gone, NULL), 0);
	assert_false(is_gone);
	db_fixture_write(fixture->db, run_sql, (char[]){ "UPDATE hosts SET is_gone = 1 WHERE name = 'one'" });
	assert_int_equal(open_host(fixture, fixture->hosts[ONE], &host, &is_gone, NULL), 0);
	assert_true(is_gone);
}

static int64_t count_running(struct worker_fixture *fixture)
{
	int64_t running = 0, limit = 0;

	worker_count_running(fixture->worker, &running, &limit);
	return running;
}

static void open_all(struct worker_fixture *fixture)
{
	for (size_t i = 0; i < WORKER_HOSTS; i++) {
		char name[DB_NAME_SIZE];
		struct hypervisor_host *host = NULL;
		bool is_gone = false;

		assert_int_equal(worker_open_host(fixture->worker, fixture->hosts[i], name, &host, &is_gone, NULL), 0);
	}
}

/* A round of the dispatcher, which is not started, and the farewells that it begins. */
static void go_round(struct worker_fixture *fixture, int closed)
{
	gone_hosts_dispatch(fixture->worker);
	host_handles_dispatch(fixture->worker);
	for (int i = 0; i < 2000 && (fake.closed < closed || count_running(fixture) > 0); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL); /* a thread that nobody counts would end by now */
	assert_int_equal(fake.closed, closed);
	assert_int_equal(count_running(fixture), 0);
}

/* Whether an operator gave it up while we ran, or before we began. */
static void the_handle_of_a_removed_host_is_closed_when_no_thread_may_have_it(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker *worker = fixture->worker;

	open_all(fixture);
	worker_host_given_up(worker);
	go_round(fixture, 0); /* none is removed */
	db_fixture_write(fixture->db, run_sql, (char[]){ "DELETE FROM hosts WHERE name = 'one'" });
	worker_host_given_up(worker);
	worker->running = 1;
	host_handles_dispatch(worker);
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	assert_int_equal(fake.closed, 0);
	worker->running = 0;
	go_round(fixture, 1);
	db_fixture_write(fixture->db, run_sql, (char[]){ "UPDATE hosts SET is_gone = 1 WHERE name = 'two'" });
	worker->must_read_gone = true; /* as at a start */
	worker->must_read_hosts = false;
	go_round(fixture, 2);
	go_round(fixture, 2);
}

/* It wakes when the last one has ended. */
static void the_worker_stops_when_the_farewells_have_ended(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker *worker = fixture->worker;

	open_all(fixture);
	db_fixture_write(fixture->db, run_sql, (char[]){ "DELETE FROM hosts" });
	worker_host_given_up(worker);
	worker->parts.clock = clock_system(); /* on a manual clock all wake now and then */
	host_handles_dispatch(worker);
	assert_true(worker_stop(worker));
	assert_int_equal(fake.closed, WORKER_HOSTS);
	worker->parts.clock = fixture->db->clock;
}

/* What keeps a job from a host that is known to be down: one that was given up holds nobody up. */
static void a_host_is_down_by_its_row_and_only_while_it_counts(void **state)
{
	static const struct {
		const char *change;
		bool is_down;
	} rows[] = {
		{ "UPDATE services SET is_up = 1", false },
		{ "UPDATE services SET is_up = 0", true },
		{ "UPDATE hosts SET is_gone = 1", false },
	};
	struct worker_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		db_fixture_write(fixture->db, run_sql, (void *)rows[i].change);
		CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
		assert_int_equal(worker_host_is_down(fixture->worker, session, fixture->hosts[ONE]), rows[i].is_down);
		assert_false(worker_host_is_down(fixture->worker, session, 0));
		assert_false(worker_host_is_down(fixture->worker, session, 999));
	}
}

/* None stays open when the worker goes. */
static int teardown(void **state)
{
	int result = worker_fixture_teardown(state);

	assert_int_equal(fake.closed, fake.opened);
	return result;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_that_cannot_be_opened_is_out_of_reach_and_never_removed),
		TEST(a_host_without_a_row_is_no_host),
		TEST(each_way_to_reach_a_host_has_a_handle_of_its_own),
		TEST(a_host_that_was_given_up_is_told_as_that),
		TEST(the_handle_of_a_removed_host_is_closed_when_no_thread_may_have_it),
		TEST(the_worker_stops_when_the_farewells_have_ended),
		TEST(a_host_is_down_by_its_row_and_only_while_it_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
