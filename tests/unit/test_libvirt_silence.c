/* A host that takes a connection and never answers: who asks is let go in time, one thread waits, and nothing stays behind. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>
#include <dirent.h>
#include <unistd.h>

#include "libvirt_fixture.h"

#include "base/clock.h"
#include "base/text.h"

#define SILENT    "test:///silent"
#define TIMEOUT_S 3

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t spoken;
	bool is_silent;
	int openings;
} fake = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0 };

virConnectPtr virConnectOpen(const char *name)
{
	virConnectPtr (*real)(const char *);

	libvirt_find_real(__func__, &real);
	if (!text_equal(name, SILENT))
		return real(name);
	pthread_mutex_lock(&fake.mutex);
	fake.openings++;
	while (fake.is_silent)
		pthread_cond_wait(&fake.spoken, &fake.mutex);
	pthread_mutex_unlock(&fake.mutex);
	return real("test:///default");
}

static void set_silent(bool is_silent)
{
	pthread_mutex_lock(&fake.mutex);
	fake.is_silent = is_silent;
	pthread_cond_broadcast(&fake.spoken);
	pthread_mutex_unlock(&fake.mutex);
}

static int count_threads(void)
{
	DIR *folder = opendir("/proc/self/task");
	int count = -2; /* . and .. */

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static int look(struct libvirt_fixture *fixture, struct hypervisor_host *host)
{
	struct guest_view view = { 0 };

	return fixture->driver->operations->look(host, LIBVIRT_GUEST, &view, &fixture->error);
}

/* A tenth of a second at a time, and ten seconds at most. */
static void wait_for_threads(int count)
{
	for (int i = 0; count_threads() != count && i < 100; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	assert_int_equal(count_threads(), count);
}

static void a_silent_host_is_out_of_reach_in_time_and_costs_one_thread(void **state)
{
	struct libvirt_fixture fixture;
	const int64_t bound_ms = TIMEOUT_S * 1000;

	(void)state;
	fake.openings = 0;
	libvirt_fixture_begin(&fixture, TIMEOUT_S);
	struct hypervisor_host *host = libvirt_fixture_open(&fixture, "silent", SILENT);
	int threads = count_threads();
	set_silent(true);
	for (int i = 0; i < 2; i++) {
		int64_t began_ms = clock_monotonic_ms(clock_system());

		assert_int_equal(look(&fixture, host), -EHOSTUNREACH);
		assert_non_null(strstr(fixture.error.text, "host silent: cannot connect: it does not answer"));
		int64_t took_ms = clock_monotonic_ms(clock_system()) - began_ms;
		assert_true(took_ms >= bound_ms - 100 && took_ms < 2 * bound_ms - 500);
		assert_int_equal(count_threads(), threads + 1);
	}
	assert_int_equal(fake.openings, 1);
	set_silent(false); /* it answers after all, and the connection that waited is taken */
	assert_int_equal(look(&fixture, host), 0);
	assert_int_equal(fake.openings, 1);
	fixture.driver->operations->close_host(host);
	wait_for_threads(threads);
	libvirt_fixture_end(&fixture);
}

/* The sanitisers look that it freed what it had. */
static void a_host_that_is_given_up_while_it_is_silent_leaves_nothing(void **state)
{
	struct libvirt_fixture fixture;

	(void)state;
	libvirt_fixture_begin(&fixture, 1);
	struct hypervisor_host *host = libvirt_fixture_open(&fixture, "silent", SILENT);
	int threads = count_threads();
	set_silent(true);
	assert_int_equal(look(&fixture, host), -EHOSTUNREACH);
	fixture.driver->operations->close_host(host);
	assert_int_equal(count_threads(), threads + 1);
	set_silent(false);
	wait_for_threads(threads);
	libvirt_fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_host_is_out_of_reach_in_time_and_costs_one_thread),
		cmocka_unit_test(a_host_that_is_given_up_while_it_is_silent_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
