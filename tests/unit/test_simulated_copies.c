/* Copies of disks on the simulated fleet: the journal of what is made, how the time of a cold copy goes by, and where it breaks. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/settings.h"
#include "tests/unit/simulated_fixture.h"

#define DEFINITION "simulated guest " BENCH_GUEST " of 64 MiB"

static void put_disk(struct bench *bench, const char *name, int64_t bytes, bool is_shared)
{
	assert_int_equal(simulated_put_disk(bench->fleet, "one", BENCH_GUEST, name, bytes, is_shared, NULL), 0);
}

static void set_pool(struct bench *bench, enum simulated_fault fault, const char *host, const char *pool)
{
	assert_int_equal(
		simulated_inject(bench->fleet, fault, &(struct simulated_place){ .host = host, .other = pool }, NULL),
		0);
}

/* Bytes of the volume; -1: there is none. */
static int64_t bytes_of(struct bench *bench, const char *host, const char *name)
{
	struct simulated_disk_view disk;

	return simulated_disk_state(bench->fleet, host, name, &disk) ? disk.bytes : -1;
}

static int remove_volume(struct hypervisor_host *host, const char *pool, const char *name, struct error *error)
{
	const struct hypervisor_volume volume = { .pool = pool, .name = name };

	return host->hypervisor->operations->remove_volume(host, &volume, error);
}

/* What a journal was told, and what it answers. */
struct log {
	struct volume_journal journal;
	char steps[256];
	int begin_result, complete_result, forget_result;
};

static int write_down(struct log *log, const char *what, int result, struct error *error)
{
	strncat(log->steps, what, sizeof(log->steps) - strlen(log->steps) - 1);
	return result < 0 ? error_set(error, -result, "no journal for %s", what) : 0;
}

static int note_begin(void *context, const char *pool, const char *name, int64_t bytes, int64_t *ret_volume_id,
		      struct error *error)
{
	struct log *log = context;
	char what[64];

	*ret_volume_id = bytes;
	snprintf(what, sizeof(what), "+%s/%s ", pool, name);
	return write_down(log, what, log->begin_result, error);
}

static int note_complete(void *context, int64_t volume_id, struct error *error)
{
	struct log *log = context;
	char what[32];

	snprintf(what, sizeof(what), "=%d ", (int)volume_id);
	return write_down(log, what, log->complete_result, error);
}

static int note_forget(void *context, int64_t volume_id, struct error *error)
{
	struct log *log = context;
	char what[32];

	snprintf(what, sizeof(what), "-%d ", (int)volume_id);
	return write_down(log, what, log->forget_result, error);
}

static struct log log_of_copies;

static int copy_with_log(struct bench *bench, struct error *error)
{
	CLEANUP_FREE char *definition = NULL;
	int result = bench->operations->copy_cold(bench->source, bench->target, DEFINITION, &log_of_copies.journal,
						  NULL, NULL, &definition, error);

	assert_int_equal(definition != NULL, result == 0);
	if (definition)
		assert_string_equal(definition, DEFINITION);
	return result;
}

static int copy(struct bench *bench)
{
	return copy_with_log(bench, NULL);
}

/* A guest that is off, with two private disks behind a shared one. */
static void put_three_disks(struct bench *bench)
{
	log_of_copies = (struct log){ .journal = { note_begin, note_complete, note_forget, &log_of_copies } };
	simulated_reset(bench->fleet);
	simulated_put_guest(bench->fleet, "one", BENCH_GUEST, GUEST_SHUT_OFF, 64, NULL);
	put_disk(bench, "s.raw", 5, true);
	put_disk(bench, "a.raw", 10, false);
	put_disk(bench, "b.raw", 20, false);
}

static void each_private_disk_is_recorded_before_it_is_made_and_when_it_is_whole(void **state)
{
	struct bench *bench = *state;
	struct error error = { 0 };

	put_three_disks(bench);
	assert_int_equal(copy(bench), 0);
	assert_string_equal(log_of_copies.steps, "+default/a.raw =10 +default/b.raw =20 ");
	assert_true(simulated_has_whole_disks(bench->fleet, "two", BENCH_GUEST));

	put_three_disks(bench);
	log_of_copies.begin_result = -ENOSPC;
	assert_int_equal(copy_with_log(bench, &error), -ENOSPC);
	assert_string_equal(error.text, "no journal for +default/a.raw ");
	assert_int_equal(bytes_of(bench, "two", "a.raw"), -1); /* none is made that is not recorded */

	put_three_disks(bench);
	log_of_copies.complete_result = -ENOSPC;
	assert_int_equal(copy_with_log(bench, &error), -ENOSPC);
	assert_string_equal(error.text, "no journal for =10 ");
	assert_int_equal(bytes_of(bench, "two", "b.raw"), -1);

	put_three_disks(bench);
	assert_int_equal(simulated_put_volume(bench->fleet, "two", "b.raw", 1, NULL), 0);
	assert_int_equal(copy_with_log(bench, &error), -EEXIST);
	assert_string_equal(error.text, "host two has a disk b.raw already (simulated)");
	assert_string_equal(log_of_copies.steps, "+default/a.raw =10 +default/b.raw -20 ");

	put_three_disks(bench);
	assert_int_equal(simulated_put_volume(bench->fleet, "two", "a.raw", 1, NULL), 0);
	log_of_copies.forget_result = -ENOSPC;
	assert_int_equal(copy_with_log(bench, &error), -EEXIST);
	assert_string_equal(error.text, "no journal for -10 ; and it is taken for ours: "
					"host two has a disk a.raw already (simulated)");
}

static void a_cold_copy_ends_where_it_breaks(void **state)
{
	struct bench *bench = *state;
	struct error error = { 0 };
	const struct simulated_place lost = { .host = "one", .other = "b.raw" };
	struct errand errand;

	put_three_disks(bench);
	simulated_script(bench->fleet, "two", SIMULATED_COPY_FAILS, 1);
	assert_int_equal(copy_with_log(bench, &error), -EIO);
	assert_string_equal(error.text, "the copy of disks to host two broke off (simulated)");
	assert_string_equal(log_of_copies.steps, "+default/a.raw ");

	put_three_disks(bench);
	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_VOLUME_GOES, &lost, NULL), 0);
	assert_int_equal(copy_with_log(bench, &error), -EIO);
	assert_string_equal(error.text, "disk b.raw of server " BENCH_GUEST " is not on host one (simulated)");
	assert_string_equal(log_of_copies.steps, "+default/a.raw =10 +default/b.raw ");

	put_three_disks(bench);
	simulated_close_gate(bench->fleet, SIMULATED_GATE_DISK);
	bench_begin(&errand, bench, copy);
	simulated_wait_at_gate(bench->fleet, SIMULATED_GATE_DISK);
	set_pool(bench, SIMULATED_POOL_IS_OFF, "two", SIMULATED_POOL); /* its volume is made already */
	simulated_open_gate(bench->fleet, SIMULATED_GATE_DISK);
	assert_int_equal(bench_end(&errand), -EIO);
	assert_string_equal(log_of_copies.steps, "+default/a.raw ");

	put_three_disks(bench);
	set_pool(bench, SIMULATED_POOL_IS_FULL, "two", SIMULATED_POOL);
	assert_int_equal(copy_with_log(bench, &error), -ENOSPC);
	assert_string_equal(error.text, "the storage pool of host two is full (simulated)");
	set_pool(bench, SIMULATED_POOL_IS_READ_ONLY, "two", SIMULATED_POOL);
	assert_int_equal(copy_with_log(bench, &error), -EIO);
	assert_string_equal(error.text, "host two cannot write to its storage pool (simulated)");
}

static struct simulated_move_settings slow_moves[] = { { .takes_s = 10 } };

static void put_slow_server(struct bench *bench, enum simulated_failure fails)
{
	static const struct simulated_server_settings settings = { .name = "web",
								   .count = 1,
								   .memory_mb = 64,
								   .state = SIMULATED_STOPPED,
								   .moves = slow_moves,
								   .move_count = 1 };

	put_three_disks(bench);
	slow_moves[0].fails = fails;
	bench->operations->remove_guest(bench->source, BENCH_GUEST, GUEST_SET_OFF, NULL);
	assert_int_equal(simulated_put_server(bench->fleet, "one", BENCH_GUEST, "web", &settings, NULL), 0);
}

static void wait_for_steps(struct bench *bench, const char *name)
{
	while (bytes_of(bench, "two", name) < 0)
		sched_yield();
}

static void begin_slow_copy(struct errand *errand, struct bench *bench, enum simulated_failure fails)
{
	put_slow_server(bench, fails);
	bench_begin(errand, bench, copy);
	wait_for_steps(bench, "a.raw");
}

static void advance_ms(struct bench *bench, int ms)
{
	clock_manual_advance(bench->clock, ms * 1000LL);
}

static void a_cold_copy_spreads_its_time_over_the_disks(void **state)
{
	struct bench *bench = *state;
	struct simulated_disk_view disk;
	struct errand errand;

	begin_slow_copy(&errand, bench, SIMULATED_FAILS_NOT);
	advance_ms(bench, 4999);
	assert_true(simulated_disk_state(bench->fleet, "two", "a.raw", &disk));
	assert_false(disk.is_complete);
	advance_ms(bench, 1);
	wait_for_steps(bench, "b.raw");
	assert_true(simulated_disk_state(bench->fleet, "two", "a.raw", &disk));
	assert_true(disk.is_complete);
	advance_ms(bench, 4999);
	assert_true(simulated_disk_state(bench->fleet, "two", "b.raw", &disk));
	assert_false(disk.is_complete);
	advance_ms(bench, 1);
	assert_int_equal(bench_end(&errand), 0);
	assert_string_equal(log_of_copies.steps, "+default/a.raw =10 +default/b.raw =20 ");
}

static _Atomic int times_asked, times_asked_at_most = -1; /* -1: it is not cancelled */

static bool is_cancelled(void *context)
{
	(void)context;
	return ++times_asked > times_asked_at_most && times_asked_at_most >= 0;
}

static int copy_until_cancelled(struct bench *bench)
{
	CLEANUP_FREE char *definition = NULL;

	return bench->operations->copy_cold(bench->source, bench->target, DEFINITION, &log_of_copies.journal,
					    is_cancelled, NULL, &definition, NULL);
}

/* A tenth of a second, and no longer than the copy takes. */
static void a_cold_copy_asks_after_each_buffer_whether_it_is_cancelled(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	times_asked = 0;
	times_asked_at_most = -1;
	put_slow_server(bench, SIMULATED_FAILS_NOT);
	bench_begin(&errand, bench, copy_until_cancelled);
	wait_for_steps(bench, "a.raw");
	usleep(20000);
	assert_true(times_asked <= 2); /* not again and again */
	advance_ms(bench, 4950);
	usleep(5000);
	advance_ms(bench, 50);
	wait_for_steps(bench, "b.raw"); /* exactly at its end, though a buffer more would end later */
	times_asked_at_most = times_asked + 1;
	for (int i = 0; i < 4; i++) {
		usleep(5000);
		advance_ms(bench, 100);
	}
	assert_int_equal(bench_end(&errand), -ECANCELED);
	assert_string_equal(log_of_copies.steps, "+default/a.raw =10 +default/b.raw ");
}

static void a_cold_copy_without_disks_takes_its_time_too(void **state)
{
	struct bench *bench = *state;
	static const struct simulated_server_settings settings = {
		.name = "web", .count = 1, .memory_mb = 64, .moves = slow_moves, .move_count = 1
	};
	struct errand errand;

	slow_moves[0].fails = SIMULATED_FAILS_NOT;
	simulated_reset(bench->fleet);
	log_of_copies = (struct log){ .journal = { note_begin, note_complete, note_forget, &log_of_copies } };
	assert_int_equal(simulated_put_server(bench->fleet, "one", BENCH_GUEST, "web", &settings, NULL), 0);
	simulated_close_gate(bench->fleet, SIMULATED_GATE_DISK);
	bench_begin(&errand, bench, copy);
	simulated_wait_at_gate(bench->fleet, SIMULATED_GATE_DISK);
	advance_ms(bench, 9000);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_DISK);
	advance_ms(bench, 999);
	usleep(30000);
	bench->operations->interrupt(bench->target); /* it is not over yet: it can be broken off */
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	assert_string_equal(log_of_copies.steps, "");
}

static void a_cold_copy_that_fails_midway_ends_at_the_half_of_its_time(void **state)
{
	struct bench *bench = *state;
	static const struct simulation_settings settings = { .target_lost_for_s = 30 };
	struct guest_view view;
	struct errand errand;

	simulated_set_moves(bench->fleet, &settings);
	begin_slow_copy(&errand, bench, SIMULATED_FAILS_MIDWAY);
	advance_ms(bench, 5000);
	assert_int_equal(bench_end(&errand), -EIO);
	assert_string_equal(log_of_copies.steps, "+default/a.raw ");
	assert_int_equal(bench_look(bench, bench->target).state, GUEST_ABSENT);

	begin_slow_copy(&errand, bench, SIMULATED_FAILS_TARGET_LOST);
	advance_ms(bench, 5000);
	assert_int_equal(bench_end(&errand), -EIO);
	assert_int_equal(bench->news_down, 1);
	assert_int_equal(bench->operations->look(bench->target, BENCH_GUEST, &view, NULL), -EHOSTUNREACH);
	advance_ms(bench, 30000);
	assert_int_equal(bench->operations->look(bench->target, BENCH_GUEST, &view, NULL), 0);
}

/* By then a third of the disks is whole. */
static void a_target_that_is_lost_midway_keeps_the_disks_before_that(void **state)
{
	struct bench *bench = *state;
	static const struct simulation_settings settings = { .target_lost_for_s = 30 };
	struct errand errand;

	simulated_set_moves(bench->fleet, &settings);
	put_slow_server(bench, SIMULATED_FAILS_TARGET_LOST);
	put_disk(bench, "c.raw", 30, false);
	bench_begin(&errand, bench, copy);
	wait_for_steps(bench, "a.raw");
	advance_ms(bench, 3400);
	wait_for_steps(bench, "b.raw");
	assert_int_equal(bench->news_down, 0);
	advance_ms(bench, 1600);
	assert_int_equal(bench_end(&errand), -EIO);
	assert_int_equal(bench->news_down, 1);
	assert_string_equal(log_of_copies.steps, "+default/a.raw =10 +default/b.raw ");

	begin_slow_copy(&errand, bench, SIMULATED_FAILS_MIDWAY);
	simulated_set_host_up(bench->fleet, "two", false); /* what is known last counts */
	advance_ms(bench, 5000);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
}

static void a_cold_copy_ends_with_its_hosts_and_with_the_fleet(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	for (int i = 0; i < 4; i++) {
		begin_slow_copy(&errand, bench, SIMULATED_FAILS_NOT);
		if (i < 2)
			bench->operations->interrupt(i == 0 ? bench->source : bench->target);
		else
			bench_inject(bench, SIMULATED_LIBVIRTD_DIES, i == 2 ? "one" : "two");
		assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
		assert_string_equal(log_of_copies.steps, "+default/a.raw ");
	}
	begin_slow_copy(&errand, bench, SIMULATED_FAILS_NOT);
	simulated_set_host_up(bench->fleet, "one", false); /* that is noticed when the disk ends */
	advance_ms(bench, 5000);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	assert_string_equal(log_of_copies.steps, "+default/a.raw ");
}

static int interrupt_source(void *context, const char *pool, const char *name, int64_t bytes, int64_t *ret_volume_id,
			    struct error *error)
{
	struct bench *bench = context;

	(void)pool, (void)name, (void)bytes, (void)error;
	*ret_volume_id = 1;
	bench->operations->interrupt(bench->source);
	return 0;
}

/* Its volume is there, and recorded as made by it. */
static void a_preparation_that_is_broken_off_says_so_though_its_volume_was_made(void **state)
{
	struct bench *bench = *state;
	const struct volume_journal journal = { .begin = interrupt_source, .context = bench };

	put_three_disks(bench);
	assert_int_equal(bench->operations->prepare_live(bench->source, bench->target, BENCH_GUEST,
							 &(struct live_options){ 0 }, true, &journal, NULL),
			 -EHOSTUNREACH);
	assert_int_equal(bytes_of(bench, "two", "a.raw"), 10);
	assert_int_equal(bytes_of(bench, "two", "b.raw"), -1);
}

/* Not after a buffer more. The quickest of some counts, since a machine may be busy. */
static void a_cold_copy_that_is_broken_off_at_its_gate_ends_at_once(void **state)
{
	struct bench *bench = *state;
	struct errand errand;
	int64_t least_us = INT64_MAX;

	for (int i = 0; i < 5; i++) {
		put_slow_server(bench, SIMULATED_FAILS_NOT);
		simulated_close_gate(bench->fleet, SIMULATED_GATE_DISK);
		bench_begin(&errand, bench, copy);
		simulated_wait_at_gate(bench->fleet, SIMULATED_GATE_DISK);
		int64_t before_us = clock_measure_us();
		bench->operations->interrupt(bench->target);
		assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
		if (clock_measure_us() - before_us < least_us)
			least_us = clock_measure_us() - before_us;
	}
	assert_true(least_us < 15000);
}

static int remove_made(struct bench *bench)
{
	return remove_volume(bench->target, SIMULATED_POOL, "a.raw", NULL);
}

/* It may still come, after somebody has looked and found none. */
static void a_volume_that_is_still_being_made_is_not_removed(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	put_three_disks(bench);
	assert_true(simulated_hang_next(bench->fleet, "two", "create_volume", SIMULATED_LANDS_LATE));
	bench_begin(&errand, bench, copy);
	simulated_wait_hung(bench->fleet, "two");
	bench->operations->interrupt(bench->target);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	assert_int_equal(bytes_of(bench, "two", "a.raw"), -1);
	assert_int_equal(remove_made(bench), -EBUSY);
	assert_int_equal(remove_volume(bench->target, SIMULATED_POOL, "b.raw", NULL), 0);
	assert_int_equal(remove_volume(bench->source, SIMULATED_POOL, "a.raw", NULL), -ESTALE); /* in use, not made */
	assert_true(simulated_land_late(bench->fleet, "two"));
	assert_int_equal(bytes_of(bench, "two", "a.raw"), 10);
	assert_true(simulated_hang_next(bench->fleet, "two", "remove_volume", SIMULATED_LANDS_LATE));
	bench_begin(&errand, bench, remove_made);
	simulated_wait_hung(bench->fleet, "two");
	bench->operations->interrupt(bench->target);
	assert_int_equal(bench_end(&errand), -EHOSTUNREACH);
	assert_int_equal(remove_made(bench), 0); /* that it will be removed does not hinder it */
	assert_int_equal(bytes_of(bench, "two", "a.raw"), -1);
	assert_true(simulated_land_late(bench->fleet, "two"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_private_disk_is_recorded_before_it_is_made_and_when_it_is_whole),
		TEST(a_cold_copy_ends_where_it_breaks),
		TEST(a_cold_copy_spreads_its_time_over_the_disks),
		TEST(a_cold_copy_asks_after_each_buffer_whether_it_is_cancelled),
		TEST(a_cold_copy_without_disks_takes_its_time_too),
		TEST(a_cold_copy_that_fails_midway_ends_at_the_half_of_its_time),
		TEST(a_target_that_is_lost_midway_keeps_the_disks_before_that),
		TEST(a_cold_copy_ends_with_its_hosts_and_with_the_fleet),
		TEST(a_preparation_that_is_broken_off_says_so_though_its_volume_was_made),
		TEST(a_cold_copy_that_is_broken_off_at_its_gate_ends_at_once),
		TEST(a_volume_that_is_still_being_made_is_not_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
