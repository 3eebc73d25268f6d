/* Two simulated hosts under a clock that stands, and calls that go on while a test looks on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "tests/unit/simulated_fixture.h"

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
