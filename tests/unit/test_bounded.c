/* Calls of a hypervisor that do not return, by a driver whose calls end when the test says so. */
#include "server/worker/bounded.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/hypervisor.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define UUID "6d6c6162-0000-4000-8000-000000000001"

/* A driver with one guest. */
struct slow_driver {
	struct hypervisor base;
	struct hypervisor_host host;
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t changed;
	bool is_hanging; /* calls that change something wait */
	int waiting;
	int interrupts;
	int stops; /* that were done */
};

static struct slow_driver driver;
static struct clock *test_clock;
static struct hypervisor *bounded;
static struct hypervisor_host *host;

static void hang(void)
{
	LOCK_SCOPE(&driver.mutex);

	driver.waiting++;
	pthread_cond_broadcast(&driver.changed);
	while (driver.is_hanging)
		pthread_cond_wait(&driver.changed, &driver.mutex);
	driver.waiting--;
	pthread_cond_broadcast(&driver.changed);
}

static int open_host(struct hypervisor *self, const struct hypervisor_address *address,
		     struct hypervisor_host **ret_host, struct error *error)
{
	(void)address, (void)error;
	driver.host.hypervisor = self;
	*ret_host = &driver.host;
	return 0;
}

static void close_host(struct hypervisor_host *closed)
{
	(void)closed;
}

static int look(struct hypervisor_host *asked, const char *uuid, struct guest_view *ret_view, struct error *error)
{
	(void)asked, (void)uuid, (void)error;
	*ret_view = (struct guest_view){ .state = GUEST_RUNNING };
	return 0;
}

static int stop_guest(struct hypervisor_host *asked, const char *uuid, int64_t graceful_ms, struct error *error)
{
	(void)asked, (void)uuid, (void)graceful_ms, (void)error;
	hang();
	LOCK_SCOPE(&driver.mutex);
	driver.stops++;
	return 0;
}

static int prepare_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			const struct live_options *options, bool copies_disks, const struct volume_journal *journal,
			struct error *error)
{
	int64_t id = 0;

	(void)source, (void)target, (void)uuid, (void)options, (void)copies_disks;
	hang();
	return journal->begin(journal->context, "pool", "disk", 1, &id, error);
}

static void interrupt(struct hypervisor_host *asked)
{
	LOCK_SCOPE(&driver.mutex);

	(void)asked;
	driver.interrupts++;
	pthread_cond_broadcast(&driver.changed);
}

static const struct hypervisor_operations operations = {
	.open_host = open_host,
	.close_host = close_host,
	.look = look,
	.stop_guest = stop_guest,
	.prepare_live = prepare_live,
	.interrupt = interrupt,
};

static int setup(void **state)
{
	const struct hypervisor_address address = { .host_id = 1, .name = "one" };

	(void)state;
	driver = (struct slow_driver){ .base.operations = &operations };
	pthread_mutex_init(&driver.mutex, NULL);
	pthread_cond_init(&driver.changed, NULL);
	test_clock = clock_manual_create(1000000);
	assert_int_equal(bounded_create(&driver.base, test_clock, &bounded, NULL), 0);
	assert_int_equal(bounded->operations->open_host(bounded, &address, &host, NULL), 0);
	return 0;
}

static void release(void)
{
	LOCK_SCOPE(&driver.mutex);

	driver.is_hanging = false;
	pthread_cond_broadcast(&driver.changed);
}

/* Bounded, so that a call that stays stuck fails the test. */
static void wait_until_free(void)
{
	for (int i = 0; i < 2000 && bounded_has_stuck_calls(bounded); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_false(bounded_has_stuck_calls(bounded));
}

static int teardown(void **state)
{
	(void)state;
	release();
	wait_until_free();
	bounded->operations->close_host(host);
	bounded->operations->destroy(bounded);
	clock_manual_destroy(test_clock);
	pthread_cond_destroy(&driver.changed);
	pthread_mutex_destroy(&driver.mutex);
	return 0;
}

/* Lets the time of a call pass once it hangs. */
static void *let_time_pass(void *context)
{
	(void)context;
	pthread_mutex_lock(&driver.mutex);
	while (driver.waiting == 0)
		pthread_cond_wait(&driver.changed, &driver.mutex);
	pthread_mutex_unlock(&driver.mutex);
	for (int i = 0; i < 200; i++) { /* it may not wait for the clock yet */
		clock_manual_advance(test_clock, 3600000000);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return NULL;
}

static int stop_that_hangs(struct error *error)
{
	pthread_t thread;

	driver.is_hanging = true;
	assert_int_equal(pthread_create(&thread, NULL, let_time_pass, NULL), 0);
	int result = bounded->operations->stop_guest(host, UUID, 0, error);
	pthread_join(thread, NULL);
	return result;
}

static void test_a_call_that_returns_answers_as_the_driver_does(void **state)
{
	struct error error = { 0 };
	struct guest_view view = { 0 };

	(void)state;
	assert_int_equal(bounded->operations->stop_guest(host, UUID, 0, &error), 0);
	assert_int_equal(driver.stops, 1);
	assert_int_equal(bounded->operations->look(host, UUID, &view, &error), 0);
	assert_int_equal(view.state, GUEST_RUNNING);
	assert_false(view.is_busy);
}

static void test_a_call_that_does_not_return_is_given_up_and_the_handle_interrupted(void **state)
{
	struct error error = { 0 };

	(void)state;
	assert_int_equal(stop_that_hangs(&error), -ETIMEDOUT);
	assert_non_null(strstr(error.text, "it may still happen"));
	assert_int_equal(driver.interrupts, 1);
	assert_true(bounded_has_stuck_calls(bounded));
}

static void test_a_guest_is_busy_until_the_call_upon_it_has_ended(void **state)
{
	struct error error = { 0 };
	struct guest_view view = { 0 };

	(void)state;
	assert_int_equal(stop_that_hangs(&error), -ETIMEDOUT);
	assert_int_equal(bounded->operations->look(host, UUID, &view, &error), 0);
	assert_true(view.is_busy);
	release();
	wait_until_free();
	assert_int_equal(driver.stops, 1); /* it landed late */
	assert_int_equal(bounded->operations->look(host, UUID, &view, &error), 0);
	assert_false(view.is_busy);
}

static void test_of_each_guest_one_call_at_the_most_is_stuck(void **state)
{
	struct error error = { 0 };

	(void)state;
	assert_int_equal(stop_that_hangs(&error), -ETIMEDOUT);
	for (int i = 0; i < 30; i++)
		assert_int_equal(bounded->operations->stop_guest(host, UUID, 0, &error), -EBUSY);
	assert_int_equal(driver.waiting, 1);
}

static int never(void *context, const char *pool, const char *name, int64_t bytes, int64_t *ret_volume_id,
		 struct error *error)
{
	(void)pool, (void)name, (void)bytes, (void)ret_volume_id, (void)error;
	*(bool *)context = true;
	return 0;
}

static void test_a_given_up_call_reaches_its_callers_journal_no_more(void **state)
{
	struct error error = { 0 };
	const struct live_options options = { .migration_address = "192.0.2.1" };
	bool was_asked = false;
	const struct volume_journal journal = { .begin = never, .context = &was_asked };
	pthread_t thread;

	(void)state;
	driver.is_hanging = true;
	assert_int_equal(pthread_create(&thread, NULL, let_time_pass, NULL), 0);
	assert_int_equal(bounded->operations->prepare_live(host, host, UUID, &options, true, &journal, &error),
			 -ETIMEDOUT);
	pthread_join(thread, NULL);
	release();
	wait_until_free();
	assert_false(was_asked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_call_that_returns_answers_as_the_driver_does, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_call_that_does_not_return_is_given_up_and_the_handle_interrupted,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_guest_is_busy_until_the_call_upon_it_has_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_of_each_guest_one_call_at_the_most_is_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_given_up_call_reaches_its_callers_journal_no_more, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
