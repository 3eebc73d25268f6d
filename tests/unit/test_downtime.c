/* The steps of the downtime against numbers that Nova's formula gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "server/settings.h"
#include "server/worker/downtime.h"
#include "server/worker/hypervisor.h"

#define GIB (1024LL * 1024 * 1024)

/* downtime in ms, steps, delay in s per GiB, GiB; then what comes when, up to the last step. */
static const struct {
	int64_t downtime_ms, steps, delay_s;
	double gib;
	struct downtime_step expected[11];
} cases[] = {
	{ 400,
	  10,
	  30,
	  3,
	  { { 0, 40 },
	    { 90, 76 },
	    { 180, 112 },
	    { 270, 148 },
	    { 360, 184 },
	    { 450, 220 },
	    { 540, 256 },
	    { 630, 292 },
	    { 720, 328 },
	    { 810, 364 },
	    { 900, 400 } } },
	{ 500,
	  10,
	  75,
	  2,
	  { { 0, 50 },
	    { 150, 95 },
	    { 300, 140 },
	    { 450, 185 },
	    { 600, 230 },
	    { 750, 275 },
	    { 900, 320 },
	    { 1050, 365 },
	    { 1200, 410 },
	    { 1350, 455 },
	    { 1500, 500 } } },
	{ 1000,
	  7,
	  3,
	  2.5,
	  { { 0, 142 }, { 7, 265 }, { 14, 387 }, { 21, 510 }, { 28, 632 }, { 35, 755 }, { 42, 877 }, { 49, 1000 } } },
	{ 333, 3, 10, 4.7, { { 0, 111 }, { 47, 185 }, { 94, 259 }, { 141, 333 } } },
};

static struct worker_settings settings_of(size_t i)
{
	return (struct worker_settings){ .live_migration_downtime_ms = cases[i].downtime_ms,
					 .live_migration_downtime_steps = cases[i].steps,
					 .live_migration_downtime_delay_s = cases[i].delay_s };
}

static void test_the_downtime_grows_in_the_steps_of_nova(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct worker_settings settings = settings_of(i);

		for (int64_t step = 0; step <= cases[i].steps; step++) {
			struct downtime_step found = downtime_step(&settings, cases[i].gib, step);

			assert_int_equal(found.after_s, cases[i].expected[step].after_s);
			assert_int_equal(found.downtime_ms, cases[i].expected[step].downtime_ms);
		}
	}
}

static void test_the_step_that_holds_is_the_last_whose_time_is_over(void **state)
{
	struct worker_settings settings = settings_of(1);

	(void)state;
	assert_int_equal(downtime_step_at(&settings, 2, 0), -1);
	assert_int_equal(downtime_step_at(&settings, 2, 1), 0);
	assert_int_equal(downtime_step_at(&settings, 2, 150000), 0);
	assert_int_equal(downtime_step_at(&settings, 2, 150001), 1);
	assert_int_equal(downtime_step_at(&settings, 2, 700000), 4); /* nobody looked for a while */
	assert_int_equal(downtime_step_at(&settings, 2, INT64_MAX), 10);
}

static void test_memory_and_copied_disks_each_count_as_at_least_two_gib(void **state)
{
	(void)state;
	assert_true(downtime_gib(&(struct move_progress){ .memory_total = GIB / 2 }) == 2);
	assert_true(downtime_gib(&(struct move_progress){ .memory_total = 5 * GIB / 2 }) == 2.5);
	assert_true(downtime_gib(&(struct move_progress){ .memory_total = GIB, .disk_total = GIB }) == 4);
	assert_true(downtime_gib(&(struct move_progress){ .memory_total = GIB, .disk_total = 1 }) == 4);
	assert_true(downtime_gib(&(struct move_progress){ .memory_total = 4 * GIB, .disk_total = 10 * GIB }) == 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_downtime_grows_in_the_steps_of_nova),
		cmocka_unit_test(test_the_step_that_holds_is_the_last_whose_time_is_over),
		cmocka_unit_test(test_memory_and_copied_disks_each_count_as_at_least_two_gib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
