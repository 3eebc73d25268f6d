/* Disks of the simulated fleet: what a copy leaves behind when it ends, breaks or is cancelled, and which copy is the newest. */
#include "server/worker/simulated/fleet.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/settings.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUEST "aaaaaaaa-0000-4000-8000-000000000001"
#define DISK  "web.qcow2"
#define BYTES 1000

struct bench {
	struct hypervisor *fleet;
	const struct hypervisor_operations *operations;
	struct hypervisor_host *source, *target;
	struct volume_journal journal;
	char steps[256];
	bool is_cancelled;
};

static int note(struct bench *bench, const char *what)
{
	strncat(bench->steps, what, sizeof(bench->steps) - strlen(bench->steps) - 1);
	return 0;
}

static int note_begin(void *context, const char *pool, const char *name, int64_t bytes, int64_t *ret_volume_id,
		      struct error *error)
{
	struct bench *bench = context;
	struct simulated_disk_view disk;

	(void)error;
	assert_string_equal(pool, SIMULATED_POOL);
	assert_int_equal(bytes, BYTES);
	*ret_volume_id = 7;
	return note(bench,
		    simulated_disk_state(bench->fleet, "two", name, &disk) ? "begin(there) " : "begin(not there) ");
}

static int note_complete(void *context, int64_t volume_id, struct error *error)
{
	(void)error;
	assert_int_equal(volume_id, 7);
	return note(context, "complete ");
}

static int note_forget(void *context, int64_t volume_id, struct error *error)
{
	(void)error;
	assert_int_equal(volume_id, 7);
	return note(context, "forget ");
}

static bool is_cancelled(void *context)
{
	return ((struct bench *)context)->is_cancelled;
}

static int setup(void **state)
{
	static struct bench bench;

	bench = (struct bench){ .journal = { note_begin, note_complete, note_forget, &bench } };
	assert_int_equal(simulated_create(clock_system(), &bench.fleet, NULL), 0);
	bench.operations = bench.fleet->operations;
	assert_int_equal(simulated_add_host(bench.fleet, "one", NULL), 0);
	assert_int_equal(simulated_add_host(bench.fleet, "two", NULL), 0);
	assert_int_equal(simulated_put_guest(bench.fleet, "one", GUEST, GUEST_RUNNING, 64, NULL), 0);
	assert_int_equal(simulated_put_disk(bench.fleet, "one", GUEST, DISK, BYTES, false, NULL), 0);
	bench.operations->open_host(bench.fleet, &(struct hypervisor_address){ .host_id = 1, .name = "one" },
				    &bench.source, NULL);
	bench.operations->open_host(bench.fleet, &(struct hypervisor_address){ .host_id = 2, .name = "two" },
				    &bench.target, NULL);
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	bench->operations->destroy(bench->fleet);
	return 0;
}

static const struct live_options no_options = { 0 };

static int prepare(struct bench *bench)
{
	return bench->operations->prepare_live(bench->source, bench->target, GUEST, &no_options, true, &bench->journal,
					       NULL);
}

static int migrate(struct bench *bench)
{
	return bench->operations->migrate_live(bench->source, bench->target, GUEST, &no_options, true, NULL);
}

static struct simulated_disk_view disk_on(const struct bench *bench, const char *host)
{
	struct simulated_disk_view disk = { .bytes = -1 };

	simulated_disk_state(bench->fleet, host, DISK, &disk);
	return disk;
}

static int copy_cold(struct bench *bench)
{
	CLEANUP_FREE char *definition = NULL;
	CLEANUP_FREE char *rewritten = NULL;
	bool has_autostart = false;

	assert_int_equal(bench->operations->stop_guest(bench->source, GUEST, 0, NULL), 0);
	assert_int_equal(bench->operations->read_definition(bench->source, GUEST, &definition, &has_autostart, NULL),
			 0);
	int result = bench->operations->copy_cold(bench->source, bench->target, definition, &bench->journal,
						  is_cancelled, bench, &rewritten, NULL);
	if (result == 0)
		assert_int_equal(bench->operations->define(bench->target, rewritten, false, NULL), 0);
	return result;
}

static void test_a_live_copy_is_whole_only_from_the_switch_on_and_the_old_one_is_stale(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(prepare(bench), 0);
	assert_string_equal(bench->steps, "begin(not there) ");
	assert_int_equal(disk_on(bench, "two").bytes, BYTES);
	assert_false(disk_on(bench, "two").is_complete);
	assert_true(simulated_touch_disks(bench->fleet, "one", GUEST));
	assert_int_equal(migrate(bench), 0);
	assert_true(disk_on(bench, "two").is_whole);
	assert_true(disk_on(bench, "one").is_complete);
	assert_false(disk_on(bench, "one").is_whole);
	assert_true(simulated_has_whole_disks(bench->fleet, "two", GUEST));
	assert_false(simulated_has_whole_disks(bench->fleet, "one", GUEST));
}

static void test_a_live_copy_that_breaks_leaves_a_volume_that_is_not_whole(void **state)
{
	struct bench *bench = *state;

	simulated_script(bench->fleet, "two", SIMULATED_COPY_FAILS, 1);
	assert_int_equal(prepare(bench), 0);
	assert_int_equal(migrate(bench), -EIO);
	assert_false(disk_on(bench, "two").is_complete);
	assert_true(disk_on(bench, "one").is_whole);
}

static void test_a_live_migration_without_its_volume_does_not_begin(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(migrate(bench), -EIO);
	assert_int_equal(simulated_state(bench->fleet, "two", GUEST), GUEST_ABSENT);
	assert_int_equal(simulated_state(bench->fleet, "one", GUEST), GUEST_RUNNING);
}

static void test_a_cold_copy_is_whole_until_the_guest_writes_elsewhere(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(copy_cold(bench), 0);
	assert_string_equal(bench->steps, "begin(not there) complete ");
	assert_true(disk_on(bench, "two").is_whole);
	assert_true(disk_on(bench, "one").is_whole);
	assert_int_equal(bench->operations->start_guest(bench->target, GUEST, false, NULL), 0);
	assert_true(disk_on(bench, "two").is_whole);
	assert_false(disk_on(bench, "one").is_whole);
}

static void test_a_cold_copy_that_is_cancelled_or_breaks_is_partial_and_not_completed(void **state)
{
	struct bench *bench = *state;
	const struct hypervisor_volume volume = { .pool = SIMULATED_POOL, .name = DISK };

	bench->is_cancelled = true;
	assert_int_equal(copy_cold(bench), -ECANCELED);
	assert_string_equal(bench->steps, "begin(not there) ");
	assert_false(disk_on(bench, "two").is_complete);
	assert_int_equal(bench->operations->remove_volume(bench->target, &volume, NULL), 0);
	assert_int_equal(disk_on(bench, "two").bytes, -1);
	bench->is_cancelled = false;
	simulated_script(bench->fleet, "two", SIMULATED_COPY_FAILS, 1);
	assert_int_equal(copy_cold(bench), -EIO);
	assert_false(disk_on(bench, "two").is_complete);
}

static void test_of_several_disks_those_before_the_break_are_complete(void **state)
{
	struct bench *bench = *state;
	static struct simulated_move_settings moves[] = { { .takes_s = 0.3, .fails = SIMULATED_FAILS_MIDWAY } };
	static const struct simulated_server_settings settings = {
		.name = "web", .count = 1, .memory_mb = 64, .moves = moves, .move_count = 1
	};
	static const char *const more[] = { "second.raw", "third.raw" };
	struct simulated_disk_view disk;

	/* The guest by the plan takes the place of the one that has none; its disks are found by its id. */
	assert_int_equal(bench->operations->stop_guest(bench->source, GUEST, 0, NULL), 0);
	assert_int_equal(bench->operations->remove_guest(bench->source, GUEST, GUEST_SET_OFF, NULL), 0);
	assert_int_equal(simulated_put_server(bench->fleet, "one", GUEST, "web", &settings, NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(more); i++)
		assert_int_equal(simulated_put_disk(bench->fleet, "one", GUEST, more[i], BYTES, false, NULL), 0);
	assert_int_equal(copy_cold(bench), -EIO);
	assert_string_equal(bench->steps, "begin(not there) complete begin(not there) ");
	assert_true(disk_on(bench, "two").is_complete);
	assert_true(simulated_disk_state(bench->fleet, "two", more[0], &disk));
	assert_false(disk.is_complete);
	assert_false(simulated_disk_state(bench->fleet, "two", more[1], &disk));
	assert_false(simulated_has_whole_disks(bench->fleet, "two", GUEST));
}

static bool is_cancelled_at_the_second_time(void *context)
{
	struct bench *bench = context;
	bool result = bench->is_cancelled;

	bench->is_cancelled = true;
	return result;
}

/* Of a copy that would take three seconds. */
static void test_a_cold_copy_is_cancelled_long_before_its_end(void **state)
{
	struct bench *bench = *state;
	static struct simulated_move_settings moves[] = { { .takes_s = 3 }, { .takes_s = 0.01 } };
	static const struct simulated_server_settings settings = {
		.name = "web", .count = 1, .memory_mb = 64, .state = SIMULATED_STOPPED, .moves = moves, .move_count = 2
	};
	const char *definition = "simulated guest " GUEST " of 64 MiB";
	CLEANUP_FREE char *rewritten = NULL;
	const struct hypervisor_volume volume = { .pool = SIMULATED_POOL, .name = DISK };

	assert_int_equal(bench->operations->stop_guest(bench->source, GUEST, 0, NULL), 0);
	assert_int_equal(bench->operations->remove_guest(bench->source, GUEST, GUEST_SET_OFF, NULL), 0);
	assert_int_equal(simulated_put_server(bench->fleet, "one", GUEST, "web", &settings, NULL), 0);
	int64_t before_us = clock_measure_us();
	assert_int_equal(bench->operations->copy_cold(bench->source, bench->target, definition, &bench->journal,
						      is_cancelled_at_the_second_time, bench, &rewritten, NULL),
			 -ECANCELED);
	assert_true(clock_measure_us() - before_us < 2000000);
	assert_int_equal(bench->operations->remove_volume(bench->target, &volume, NULL), 0);
	bench->is_cancelled = false;
	assert_int_equal(bench->operations->copy_cold(bench->source, bench->target, definition, &bench->journal,
						      is_cancelled, bench, &rewritten, NULL),
			 0);
	assert_true(disk_on(bench, "two").is_whole);
}

static void test_only_what_a_guest_writes_changes_its_disks(void **state)
{
	struct bench *bench = *state;
	uint64_t content = disk_on(bench, "one").content;

	assert_true(simulated_touch_disks(bench->fleet, "one", GUEST));
	assert_true(disk_on(bench, "one").content > content);
	content = disk_on(bench, "one").content;
	assert_int_equal(simulated_by_hand_move(bench->fleet, "one", "two", GUEST, NULL), 0);
	assert_true(disk_on(bench, "two").content > content); /* it runs, and writes on */
	content = disk_on(bench, "two").content;
	assert_int_equal(bench->operations->stop_guest(bench->target, GUEST, 0, NULL), 0);
	assert_int_equal(simulated_by_hand_move(bench->fleet, "two", "one", GUEST, NULL), 0);
	assert_int_equal(disk_on(bench, "one").content, content);
	assert_true(disk_on(bench, "one").is_whole);
}

static void test_a_volume_of_that_name_is_not_taken_for_ours(void **state)
{
	struct bench *bench = *state;
	struct check_result check;

	assert_int_equal(simulated_put_volume(bench->fleet, "two", DISK, 5, NULL), 0);
	assert_int_equal(bench->operations->check_cold(bench->source, bench->target, GUEST, &check, NULL), -ECANCELED);
	assert_int_equal(check.refusal, CHECK_REFUSED_BY_TARGET);
	assert_int_equal(prepare(bench), -EEXIST);
	assert_string_equal(bench->steps, "begin(there) forget ");
	assert_int_equal(disk_on(bench, "two").bytes, 5);
}

static void test_checks_tell_whether_disks_are_copied(void **state)
{
	struct bench *bench = *state;
	struct check_result check;
	struct live_options options = { .block_migration = BLOCK_MIGRATION_AUTO };

	assert_int_equal(bench->operations->check_live(bench->source, bench->target, GUEST, &options, &check, NULL), 0);
	assert_true(check.copies_disks);
	assert_int_equal(check.copied_bytes, BYTES);
	assert_int_equal(bench->operations->check_cold(bench->source, bench->target, GUEST, &check, NULL), 0);
	assert_true(check.copies_disks);
	options.block_migration = BLOCK_MIGRATION_NO;
	assert_int_equal(bench->operations->check_live(bench->source, bench->target, GUEST, &options, &check, NULL),
			 -ECANCELED);
	assert_int_equal(check.refusal, CHECK_REFUSED_STORAGE);
}

static void test_a_shared_disk_is_on_all_hosts_and_copied_to_none(void **state)
{
	struct bench *bench = *state;
	static const char uuid[] = "aaaaaaaa-0000-4000-8000-000000000002";
	struct simulated_disk_view disk;
	struct check_result check;
	struct live_options options = { .block_migration = BLOCK_MIGRATION_AUTO };

	assert_int_equal(simulated_put_guest(bench->fleet, "one", uuid, GUEST_RUNNING, 64, NULL), 0);
	assert_int_equal(simulated_put_disk(bench->fleet, "one", uuid, "shared.raw", 9, true, NULL), 0);
	assert_int_equal(bench->operations->check_live(bench->source, bench->target, uuid, &options, &check, NULL), 0);
	assert_false(check.copies_disks);
	options.block_migration = BLOCK_MIGRATION_YES;
	assert_int_equal(bench->operations->check_live(bench->source, bench->target, uuid, &options, &check, NULL),
			 -ECANCELED);
	assert_int_equal(bench->operations->migrate_live(bench->source, bench->target, uuid, &options, false, NULL), 0);
	assert_true(simulated_has_whole_disks(bench->fleet, "one", uuid));
	assert_true(simulated_has_whole_disks(bench->fleet, "two", uuid));
	assert_true(simulated_disk_state(bench->fleet, NULL, "shared.raw", &disk));
	assert_string_equal(disk.uuid, uuid);
}

static void test_what_does_not_hold_keeps_a_volume(void **state)
{
	struct bench *bench = *state;
	struct hypervisor_volume volume = { .pool = SIMULATED_POOL, .name = DISK, .bytes = BYTES };
	const struct simulated_place pool = { .host = "one" };

	assert_int_equal(bench->operations->verify_disks(bench->source, &volume, 1, NULL), 0);
	assert_int_equal(bench->operations->verify_disks(bench->target, &volume, 1, NULL), -ESTALE);
	volume.bytes++;
	assert_int_equal(bench->operations->verify_disks(bench->source, &volume, 1, NULL), -ESTALE);
	assert_int_equal(bench->operations->remove_volume(bench->source, &volume, NULL), -ESTALE);
	assert_int_equal(bench->operations->remove_volume(bench->target, &volume, NULL), 0);
	simulated_inject(bench->fleet, SIMULATED_POOL_IS_OFF, &pool, NULL);
	assert_int_equal(bench->operations->remove_volume(bench->source, &volume, NULL), -ENODEV);
	assert_int_equal(bench->operations->stop_guest(bench->source, GUEST, 0, NULL), 0);
	assert_int_equal(bench->operations->start_guest(bench->source, GUEST, false, NULL), -EIO);
	assert_int_equal(bench->operations->remove_guest(bench->source, GUEST, GUEST_SET_OFF, NULL), 0);
	simulated_inject(bench->fleet, SIMULATED_POOL_IS_READ_ONLY, &pool, NULL);
	assert_int_equal(bench->operations->remove_volume(bench->source, &volume, NULL), -EIO);
	simulated_inject(bench->fleet, SIMULATED_POOL_IS_WELL, &pool, NULL);
	assert_int_equal(bench->operations->remove_volume(bench->source, &volume, NULL), 0);
	assert_int_equal(disk_on(bench, "one").bytes, -1);
}

static void test_a_pool_that_is_full_or_read_only_takes_no_copy(void **state)
{
	struct bench *bench = *state;
	const struct simulated_place pool = { .host = "two" };

	simulated_inject(bench->fleet, SIMULATED_POOL_IS_FULL, &pool, NULL);
	assert_int_equal(prepare(bench), -ENOSPC);
	simulated_inject(bench->fleet, SIMULATED_POOL_IS_READ_ONLY, &pool, NULL);
	assert_int_equal(prepare(bench), -EIO);
	simulated_inject(bench->fleet, SIMULATED_POOL_IS_WELL, &pool, NULL);
	assert_int_equal(prepare(bench), 0);
	simulated_inject(bench->fleet, SIMULATED_POOL_IS_FULL, &pool, NULL);
	assert_int_equal(migrate(bench), -ENOSPC); /* in the middle */
	assert_false(disk_on(bench, "two").is_complete);
	assert_int_equal(simulated_state(bench->fleet, "one", GUEST), GUEST_RUNNING);
	assert_int_equal(simulated_state(bench->fleet, "two", GUEST), GUEST_ABSENT);
}

static void test_disks_go_with_a_guest_that_is_moved_by_hand(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(simulated_put_volume(bench->fleet, "two", DISK, 5, NULL), 0); /* an older copy */
	assert_int_equal(simulated_by_hand_move(bench->fleet, "one", "two", GUEST, NULL), 0);
	assert_int_equal(simulated_state(bench->fleet, "one", GUEST), GUEST_ABSENT);
	assert_int_equal(simulated_state(bench->fleet, "two", GUEST), GUEST_RUNNING);
	assert_int_equal(disk_on(bench, "one").bytes, -1);
	assert_int_equal(disk_on(bench, "two").bytes, BYTES);
	assert_true(disk_on(bench, "two").is_whole);
}

struct tally {
	int guests, volumes, whole;
};

static void count_guest(void *context, const char *host, const char *uuid, const struct guest_view *view)
{
	(void)view;
	assert_string_equal(host, "one");
	assert_string_equal(uuid, GUEST);
	((struct tally *)context)->guests++;
}

static void count_volume(void *context, const char *host, const char *name, const struct simulated_disk_view *disk)
{
	struct tally *tally = context;

	assert_non_null(host);
	assert_string_equal(name, DISK);
	tally->volumes++;
	tally->whole += disk->is_whole;
}

static void test_a_walk_sees_hosts_that_do_not_answer(void **state)
{
	struct bench *bench = *state;
	struct tally tally = { 0 };

	assert_int_equal(prepare(bench), 0);
	simulated_set_host_up(bench->fleet, "one", false);
	simulated_inject(bench->fleet, SIMULATED_LIBVIRTD_DIES, &(struct simulated_place){ .host = "two" }, NULL);
	simulated_walk(bench->fleet, &(struct simulated_walk){ count_guest, count_volume, &tally });
	assert_int_equal(tally.guests, 1);
	assert_int_equal(tally.volumes, 2);
	assert_int_equal(tally.whole, 1);
}

int main(void)
{
#define VOLUME_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		VOLUME_TEST(test_a_live_copy_is_whole_only_from_the_switch_on_and_the_old_one_is_stale),
		VOLUME_TEST(test_a_live_copy_that_breaks_leaves_a_volume_that_is_not_whole),
		VOLUME_TEST(test_a_live_migration_without_its_volume_does_not_begin),
		VOLUME_TEST(test_a_cold_copy_is_whole_until_the_guest_writes_elsewhere),
		VOLUME_TEST(test_a_cold_copy_that_is_cancelled_or_breaks_is_partial_and_not_completed),
		VOLUME_TEST(test_of_several_disks_those_before_the_break_are_complete),
		VOLUME_TEST(test_a_cold_copy_is_cancelled_long_before_its_end),
		VOLUME_TEST(test_only_what_a_guest_writes_changes_its_disks),
		VOLUME_TEST(test_a_volume_of_that_name_is_not_taken_for_ours),
		VOLUME_TEST(test_checks_tell_whether_disks_are_copied),
		VOLUME_TEST(test_a_shared_disk_is_on_all_hosts_and_copied_to_none),
		VOLUME_TEST(test_what_does_not_hold_keeps_a_volume),
		VOLUME_TEST(test_a_pool_that_is_full_or_read_only_takes_no_copy),
		VOLUME_TEST(test_disks_go_with_a_guest_that_is_moved_by_hand),
		VOLUME_TEST(test_a_walk_sees_hosts_that_do_not_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
