/* Two simulated hosts under a clock that stands, and calls that go on while a test looks on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "tests/unit/simulated_fixture.h"

/* The mutexes that a thread holds. Whoever lets one go that it does not hold has lost count of a lock around a wait. */
static _Thread_local const pthread_mutex_t *held[8];

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

static size_t place_of(const pthread_mutex_t *mutex)
{
	size_t place = 0;

	while (place < ARRAY_LENGTH(held) && held[place] != mutex)
		place++;
	return place;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	size_t place = place_of(NULL);

	if (place == ARRAY_LENGTH(held) || place_of(mutex) < ARRAY_LENGTH(held))
		abort();
	held[place] = mutex;
	return __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	size_t place = place_of(mutex);

	if (place == ARRAY_LENGTH(held))
		abort();
	held[place] = NULL;
	return __real_pthread_mutex_unlock(mutex);
}

static void on_event(void *context, int64_t host_id, enum hypervisor_event_kind kind, const char *uuid)
{
	struct bench *bench = context;

	(void)host_id, (void)uuid;
	bench->news_up += kind == HYPERVISOR_HOST_UP;
	bench->news_down += kind == HYPERVISOR_HOST_DOWN;
}

int bench_setup(void **state)
{
	static struct bench bench;

	bench = (struct bench){ .clock = clock_manual_create(1000000000) };
	assert_int_equal(simulated_create(bench.clock, &bench.fleet, NULL), 0);
	bench.operations = bench.fleet->operations;
	assert_int_equal(simulated_add_host(bench.fleet, "one", NULL), 0);
	assert_int_equal(simulated_add_host(bench.fleet, "two", NULL), 0);
	assert_int_equal(simulated_put_guest(bench.fleet, "one", BENCH_GUEST, GUEST_RUNNING, 64, NULL), 0);
	bench.operations->watch(bench.fleet, on_event, &bench);
	bench.operations->open_host(bench.fleet, &(struct hypervisor_address){ .host_id = 1, .name = "one" },
				    &bench.source, NULL);
	bench.operations->open_host(bench.fleet, &(struct hypervisor_address){ .host_id = 2, .name = "two" },
				    &bench.target, NULL);
	*state = &bench;
	return 0;
}

int bench_teardown(void **state)
{
	struct bench *bench = *state;

	guest_list_clear(&bench->list);
	bench->operations->destroy(bench->fleet);
	clock_manual_destroy(bench->clock);
	return 0;
}

static void *run_errand(void *context)
{
	struct errand *errand = context;

	errand->result = errand->run(errand->bench);
	return NULL;
}

void bench_begin(struct errand *errand, struct bench *bench, int (*run)(struct bench *bench))
{
	*errand = (struct errand){ .bench = bench, .run = run };
	assert_int_equal(pthread_create(&errand->thread, NULL, run_errand, errand), 0);
}

int bench_end(struct errand *errand)
{
	pthread_join(errand->thread, NULL);
	return errand->result;
}

int bench_migrate(struct bench *bench)
{
	return bench->operations->migrate_live(bench->source, bench->target, BENCH_GUEST, &(struct live_options){ 0 },
					       false, NULL);
}

void bench_begin_migration(struct errand *errand, struct bench *bench)
{
	simulated_close_gate(bench->fleet, SIMULATED_GATE_LIVE);
	bench_begin(errand, bench, bench_migrate);
	simulated_wait_at_gate(bench->fleet, SIMULATED_GATE_LIVE);
}

void bench_inject(struct bench *bench, enum simulated_fault fault, const char *host)
{
	const struct simulated_place place = { .host = host, .uuid = BENCH_GUEST };

	assert_int_equal(simulated_inject(bench->fleet, fault, &place, NULL), 0);
}

struct guest_view bench_look(struct bench *bench, struct hypervisor_host *host)
{
	struct guest_view view = { .state = GUEST_STATE_MAX };

	assert_int_equal(bench->operations->look(host, BENCH_GUEST, &view, NULL), 0);
	return view;
}

void bench_expect(struct bench *bench, enum guest_state source, enum guest_state target)
{
	assert_string_equal(guest_state_name(simulated_state(bench->fleet, "one", BENCH_GUEST)),
			    guest_state_name(source));
	assert_string_equal(guest_state_name(simulated_state(bench->fleet, "two", BENCH_GUEST)),
			    guest_state_name(target));
}
