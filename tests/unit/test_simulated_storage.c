/* Storage of the simulated fleet: pools in each of their states, what is missed in them, and the checks before a move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/settings.h"
#include "tests/unit/simulated_fixture.h"

static const struct live_options no_options = { 0 };

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

/* Bytes of the volume; -1: there is none. `host`: NULL for the shared pool. */
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

static int verify(struct hypervisor_host *host, const char *pool, const char *name, int64_t bytes, struct error *error)
{
	const struct hypervisor_volume volume = { .pool = pool, .name = name, .bytes = bytes };

	return host->hypervisor->operations->verify_disks(host, &volume, 1, error);
}

static int prepare(struct bench *bench)
{
	return bench->operations->prepare_live(bench->source, bench->target, BENCH_GUEST, &no_options, true, NULL,
					       NULL);
}

static void a_pool_does_what_its_state_allows(void **state)
{
	struct bench *bench = *state;
	static const struct {
		enum simulated_fault fault;
		int makes, removes, verifies, starts;
	} rows[] = {
		{ SIMULATED_POOL_IS_WELL, 0, 0, 0, 0 },
		{ SIMULATED_POOL_IS_READ_ONLY, -EIO, -EIO, 0, 0 },
		{ SIMULATED_POOL_IS_FULL, -ENOSPC, 0, 0, 0 },
		{ SIMULATED_POOL_IS_OFF, -ENODEV, -ENODEV, -ESTALE, -EIO },
	};
	static const char *const pools[] = { SIMULATED_POOL, SIMULATED_SHARED_POOL };

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		for (int is_shared = 0; is_shared < 2; is_shared++) {
			const char *pool = pools[is_shared];

			simulated_reset(bench->fleet);
			simulated_put_guest(bench->fleet, "one", BENCH_GUEST, GUEST_SHUT_OFF, 64, NULL);
			put_disk(bench, "a.raw", 10, is_shared);
			put_disk(bench, "b.raw", 20, !is_shared);
			set_pool(bench, rows[i].fault, "two", pool);
			assert_int_equal(prepare(bench), is_shared ? 0 : rows[i].makes);
			set_pool(bench, rows[i].fault, "one", pool);
			assert_int_equal(verify(bench->source, pool, "a.raw", 10, NULL), rows[i].verifies);
			assert_int_equal(bench->operations->start_guest(bench->source, BENCH_GUEST, false, NULL),
					 rows[i].starts);
			assert_int_equal(bench->operations->stop_guest(bench->source, BENCH_GUEST, 0, NULL), 0);
			bench->operations->remove_guest(bench->source, BENCH_GUEST, GUEST_SET_OFF, NULL);
			assert_int_equal(remove_volume(bench->source, pool, "a.raw", NULL), rows[i].removes);
			assert_int_equal(bytes_of(bench, is_shared ? NULL : "one", "a.raw"), rows[i].removes ? 10 : -1);
			/* The other pool is as it was. */
			assert_int_equal(verify(bench->source, pools[!is_shared], "b.raw", 20, NULL), 0);
			assert_int_equal(remove_volume(bench->source, pools[!is_shared], "b.raw", NULL), 0);
		}
}

static void a_pool_or_volume_that_is_not_there_is_named(void **state)
{
	struct bench *bench = *state;
	struct error error = { 0 };
	const struct simulated_place gone = { .host = "one", .other = "none" };

	put_disk(bench, "a.raw", 10, false);
	assert_int_equal(remove_volume(bench->source, "none", "a.raw", &error), -ENODEV);
	assert_string_equal(error.text, "host one has no active storage pool none (simulated)");
	assert_int_equal(verify(bench->source, "none", "a.raw", 10, &error), -ESTALE);
	assert_string_equal(error.text, "disk a.raw is not on host one (simulated)");
	assert_int_equal(verify(bench->source, SIMULATED_POOL, "a.raw", 11, &error), -ESTALE);
	assert_string_equal(error.text, "disk a.raw on host one has fewer bytes than it must (simulated)");
	assert_int_equal(verify(bench->source, SIMULATED_POOL, "a.raw", 9, NULL), 0);
	assert_int_equal(remove_volume(bench->source, SIMULATED_POOL, "a.raw", &error), -ESTALE);
	assert_string_equal(error.text, "disk a.raw is in use on host one (simulated)");
	assert_int_equal(remove_volume(bench->source, SIMULATED_SHARED_POOL, "a.raw", NULL), 0); /* not that one */
	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_VOLUME_GOES, &gone, &error), -ENOENT);
	assert_string_equal(error.text, "disk none is not on host one (simulated)");
	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_POOL_IS_OFF, &gone, &error), -ENOENT);
	assert_string_equal(error.text, "host one has no active storage pool none (simulated)");
	assert_int_equal(simulated_put_disk(bench->fleet, "one", BENCH_GUEST, "a.raw", 1, false, &error), -EEXIST);
	assert_string_equal(error.text, "host one has a disk a.raw already (simulated)");
	assert_int_equal(bytes_of(bench, "one", "a.raw"), 10);
}

static void what_no_guest_of_a_host_names_is_removed_there(void **state)
{
	struct bench *bench = *state;

	put_disk(bench, "a.raw", 10, false);
	put_disk(bench, "s.raw", 10, true);
	assert_int_equal(simulated_put_volume(bench->fleet, "one", "b.raw", 10, NULL), 0);
	assert_int_equal(simulated_put_volume(bench->fleet, "one", "s.raw", 10, NULL), 0);
	assert_int_equal(simulated_put_volume(bench->fleet, "two", "a.raw", 10, NULL), 0);
	assert_int_equal(remove_volume(bench->source, SIMULATED_POOL, "b.raw", NULL), 0);
	assert_int_equal(remove_volume(bench->source, SIMULATED_POOL, "s.raw", NULL), 0);
	assert_int_equal(remove_volume(bench->target, SIMULATED_POOL, "a.raw", NULL), 0);
	assert_int_equal(bytes_of(bench, "one", "b.raw"), -1);
	assert_int_equal(bytes_of(bench, "one", "s.raw"), -1);
	assert_int_equal(bytes_of(bench, "two", "a.raw"), -1);
	assert_int_equal(bytes_of(bench, "one", "a.raw"), 10);
	assert_int_equal(remove_volume(bench->source, SIMULATED_SHARED_POOL, "s.raw", NULL), -ESTALE);
}

/* Even where nothing could be removed, and though a guest still names it. */
static void a_volume_that_is_gone_already_counts_as_removed(void **state)
{
	struct bench *bench = *state;
	const struct simulated_place place = { .host = "one", .other = "a.raw" };

	put_disk(bench, "a.raw", 10, false);
	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_VOLUME_GOES, &place, NULL), 0);
	assert_int_equal(remove_volume(bench->source, SIMULATED_POOL, "a.raw", NULL), 0);
	set_pool(bench, SIMULATED_POOL_IS_READ_ONLY, "two", SIMULATED_POOL);
	assert_int_equal(remove_volume(bench->target, SIMULATED_POOL, "a.raw", NULL), 0);
}

/* Nothing is made behind a disk that cannot be. */
static void a_preparation_ends_at_the_first_disk_that_fails(void **state)
{
	struct bench *bench = *state;

	put_disk(bench, "a.raw", 10, false);
	put_disk(bench, "b.raw", 20, false);
	assert_int_equal(simulated_put_volume(bench->fleet, "two", "a.raw", 1, NULL), 0);
	assert_int_equal(prepare(bench), -EEXIST);
	assert_int_equal(bytes_of(bench, "two", "b.raw"), -1);
	assert_int_equal(remove_volume(bench->target, SIMULATED_POOL, "a.raw", NULL), 0);
	assert_int_equal(bench->operations->prepare_live(bench->source, bench->target, BENCH_GUEST, &no_options, false,
							 NULL, NULL),
			 0);
	assert_int_equal(bytes_of(bench, "two", "a.raw"), -1); /* none are to be copied */
	assert_int_equal(prepare(bench), 0);
	assert_int_equal(bytes_of(bench, "two", "a.raw"), 10);
	assert_int_equal(bytes_of(bench, "two", "b.raw"), 20);
}

static void of_several_disks_that_are_missed_the_first_is_named(void **state)
{
	struct bench *bench = *state;
	const struct hypervisor_volume volumes[] = { { SIMULATED_POOL, "a.raw", 10 },
						     { SIMULATED_POOL, "b.raw", 10 },
						     { SIMULATED_POOL, "c.raw", 10 } };
	struct error error = { 0 };

	put_disk(bench, "a.raw", 10, false);
	assert_int_equal(bench->operations->verify_disks(bench->source, volumes, ARRAY_LENGTH(volumes), &error),
			 -ESTALE);
	assert_string_equal(error.text, "disk b.raw is not on host one (simulated)");
}

/* A disk that somebody deletes is missed at the next start and the next copy. */
static void a_volume_that_went_by_hand_keeps_its_guest_where_it_is(void **state)
{
	struct bench *bench = *state;
	const struct simulated_place place = { .host = "one", .other = "b.raw" };
	struct error error = { 0 };

	put_disk(bench, "a.raw", 10, false);
	put_disk(bench, "b.raw", 20, false);
	assert_int_equal(prepare(bench), 0);
	assert_int_equal(simulated_inject(bench->fleet, SIMULATED_VOLUME_GOES, &place, NULL), 0);
	assert_int_equal(bytes_of(bench, "one", "b.raw"), -1);
	assert_int_equal(
		bench->operations->migrate_live(bench->source, bench->target, BENCH_GUEST, &no_options, true, &error),
		-EIO);
	assert_string_equal(error.text, "host one lost the disk b.raw while it was copied (simulated)");
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	assert_false(bench_look(bench, bench->source).is_moving_out);
	assert_int_equal(bench->operations->stop_guest(bench->source, BENCH_GUEST, 0, NULL), 0);
	assert_int_equal(bench->operations->start_guest(bench->source, BENCH_GUEST, false, &error), -EIO);
	assert_string_equal(error.text, "disk b.raw of server " BENCH_GUEST " is not on host one (simulated)");
	assert_int_equal(simulated_by_hand_start(bench->fleet, "one", BENCH_GUEST, NULL), -EINVAL);
	bench_expect(bench, GUEST_SHUT_OFF, GUEST_ABSENT);
}

static void a_migration_names_the_disk_that_its_target_lacks(void **state)
{
	struct bench *bench = *state;
	struct error error = { 0 };

	put_disk(bench, "a.raw", 10, false);
	assert_int_equal(
		bench->operations->migrate_live(bench->source, bench->target, BENCH_GUEST, &no_options, true, &error),
		-EIO);
	assert_string_equal(error.text, "disk a.raw of server " BENCH_GUEST " is not on host two (simulated)");
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
}

/* All of them, and beside what is there. */
static void the_disks_of_a_guest_that_is_moved_by_hand_go_with_it(void **state)
{
	struct bench *bench = *state;

	put_disk(bench, "s.raw", 10, true);
	put_disk(bench, "a.raw", 10, false);
	put_disk(bench, "b.raw", 20, false);
	assert_int_equal(simulated_put_volume(bench->fleet, "two", "a.raw", 1, NULL), 0); /* an older copy */
	assert_int_equal(simulated_put_volume(bench->fleet, "two", "c.raw", 30, NULL), 0);
	assert_int_equal(simulated_by_hand_move(bench->fleet, "one", "two", BENCH_GUEST, NULL), 0);
	assert_int_equal(bytes_of(bench, "two", "a.raw"), 10);
	assert_int_equal(bytes_of(bench, "two", "b.raw"), 20);
	assert_int_equal(bytes_of(bench, "two", "c.raw"), 30);
	assert_int_equal(bytes_of(bench, "one", "a.raw"), -1);
	assert_int_equal(bytes_of(bench, "one", "b.raw"), -1);
	assert_int_equal(bytes_of(bench, NULL, "s.raw"), 10);
	assert_true(simulated_has_whole_disks(bench->fleet, "two", BENCH_GUEST)); /* it writes on there */
}

static void another_libvirtd_has_neither_volumes_nor_a_broken_pool(void **state)
{
	struct bench *bench = *state;

	put_disk(bench, "a.raw", 10, false);
	put_disk(bench, "b.raw", 10, true);
	set_pool(bench, SIMULATED_POOL_IS_OFF, "one", NULL); /* its own */
	bench_inject(bench, SIMULATED_LIBVIRTD_IS_GONE, "one");
	bench_inject(bench, SIMULATED_LIBVIRTD_IS_REPLACED, "one");
	assert_int_equal(bytes_of(bench, "one", "a.raw"), -1);
	assert_int_equal(bytes_of(bench, NULL, "b.raw"), 10);
	assert_int_equal(verify(bench->source, SIMULATED_SHARED_POOL, "b.raw", 10, NULL), 0);
	assert_int_equal(remove_volume(bench->source, SIMULATED_POOL, "a.raw", NULL), 0); /* the pool answers */
	bench_inject(bench, SIMULATED_LIBVIRTD_DIES, "one");
	bench_inject(bench, SIMULATED_LIBVIRTD_STARTS, "one"); /* as any */
}

static void expect_refusal(struct bench *bench, enum block_migration asked, int result, enum check_refusal refusal,
			   const char *text)
{
	const struct live_options options = { .block_migration = asked };
	struct check_result check = { .refusal = CHECK_REFUSED_BY_SERVER };
	struct error error = { 0 };

	assert_int_equal(
		bench->operations->check_live(bench->source, bench->target, BENCH_GUEST, &options, &check, &error),
		result);
	assert_int_equal(check.refusal, refusal);
	assert_string_equal(error.text, text);
}

static void a_check_says_who_refuses_and_what_is_copied(void **state)
{
	struct bench *bench = *state;
	static const struct {
		enum block_migration asked;
		bool has_private, has_shared, is_well, copies;
	} rows[] = {
		{ BLOCK_MIGRATION_AUTO, false, false, true, false }, { BLOCK_MIGRATION_NO, false, false, true, false },
		{ BLOCK_MIGRATION_YES, false, false, true, true },   { BLOCK_MIGRATION_AUTO, false, true, true, false },
		{ BLOCK_MIGRATION_NO, false, true, true, false },    { BLOCK_MIGRATION_YES, false, true, false, false },
		{ BLOCK_MIGRATION_AUTO, true, false, true, true },   { BLOCK_MIGRATION_NO, true, false, false, false },
		{ BLOCK_MIGRATION_YES, true, false, true, true },    { BLOCK_MIGRATION_AUTO, true, true, true, true },
		{ BLOCK_MIGRATION_NO, true, true, false, false },    { BLOCK_MIGRATION_YES, true, true, true, true },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct live_options options = { .block_migration = rows[i].asked };
		struct check_result live = { .refusal = CHECK_REFUSED_BY_SERVER }, cold = live;
		struct error error = { 0 };

		simulated_reset(bench->fleet);
		simulated_put_guest(bench->fleet, "one", BENCH_GUEST, GUEST_RUNNING, 64, NULL);
		if (rows[i].has_shared)
			put_disk(bench, "s.raw", 5, true);
		if (rows[i].has_private) {
			put_disk(bench, "a.raw", 10, false);
			put_disk(bench, "b.raw", 20, false);
		}
		int result = bench->operations->check_live(bench->source, bench->target, BENCH_GUEST, &options, &live,
							   &error);
		assert_int_equal(result, rows[i].is_well ? 0 : -ECANCELED);
		assert_int_equal(live.refusal, rows[i].is_well ? CHECK_PASSED : CHECK_REFUSED_STORAGE);
		if (rows[i].is_well) {
			assert_int_equal(live.copies_disks, rows[i].copies);
			assert_int_equal(live.copied_bytes, rows[i].has_private ? 30 : 0);
			assert_int_equal(live.is_storage_proven_shared, !rows[i].has_private);
		} else {
			assert_string_equal(error.text, rows[i].has_private
								? "disks of server " BENCH_GUEST
								  " are private, and block_migration says otherwise"
								: "disks of server " BENCH_GUEST
								  " are shared, and block_migration says otherwise");
		}
		assert_int_equal(bench->operations->check_cold(bench->source, bench->target, BENCH_GUEST, &cold, NULL),
				 0);
		assert_int_equal(cold.refusal, CHECK_PASSED);
		assert_int_equal(cold.copies_disks, rows[i].has_private);
		assert_int_equal(cold.copied_bytes, rows[i].has_private ? 30 : 0);
		assert_int_equal(cold.is_storage_proven_shared, !rows[i].has_private);
	}
}

static void a_check_that_refuses_says_why(void **state)
{
	struct bench *bench = *state;
	static struct simulated_move_settings moves[] = { { .fails = SIMULATED_FAILS_PRECHECK } };
	static const struct simulated_server_settings settings = {
		.name = "web", .count = 1, .memory_mb = 64, .moves = moves, .move_count = 1
	};

	put_disk(bench, "a.raw", 10, false);
	simulated_script(bench->fleet, "two", SIMULATED_CHECK_REFUSES, 1);
	expect_refusal(bench, BLOCK_MIGRATION_AUTO, -ECANCELED, CHECK_REFUSED_BY_TARGET,
		       "host two cannot take server " BENCH_GUEST " (simulated)");
	simulated_script(bench->fleet, "two", SIMULATED_CHECK_REFUSES_STORAGE, 1);
	expect_refusal(bench, BLOCK_MIGRATION_AUTO, -ECANCELED, CHECK_REFUSED_STORAGE,
		       "storage of server " BENCH_GUEST " is not shared with host two (simulated)");
	expect_refusal(bench, BLOCK_MIGRATION_AUTO, 0, CHECK_PASSED, "");
	simulated_script(bench->fleet, "one", SIMULATED_CHECK_REFUSES, 1); /* it is the target's */
	expect_refusal(bench, BLOCK_MIGRATION_AUTO, 0, CHECK_PASSED, "");
	set_pool(bench, SIMULATED_POOL_IS_OFF, "two", SIMULATED_POOL);
	expect_refusal(bench, BLOCK_MIGRATION_AUTO, -ECANCELED, CHECK_REFUSED_BY_TARGET,
		       "host two: the storage pool is not active (simulated)");
	assert_int_equal(simulated_put_volume(bench->fleet, "two", "a.raw", 1, NULL), 0);
	expect_refusal(bench, BLOCK_MIGRATION_AUTO, -ECANCELED, CHECK_REFUSED_BY_TARGET,
		       "host two has a disk a.raw already (simulated)");
	simulated_script(bench->fleet, "two", SIMULATED_PREPARE_FAILS, 1);
	assert_int_equal(prepare(bench), -EIO);
	simulated_reset(bench->fleet);
	assert_int_equal(simulated_put_server(bench->fleet, "one", BENCH_GUEST, "web", &settings, NULL), 0);
	expect_refusal(bench, BLOCK_MIGRATION_AUTO, -ECANCELED, CHECK_REFUSED_BY_TARGET,
		       "host two cannot take server " BENCH_GUEST ": its plan says fails: precheck (simulated)");
}

struct seen {
	int shared, of_hosts, busy;
};

static void see_guest(void *context, const char *host, const char *uuid, const struct guest_view *view)
{
	struct seen *seen = context;

	(void)host, (void)uuid;
	seen->busy += view->is_busy;
}

static void see_volume(void *context, const char *host, const char *name, const struct simulated_disk_view *disk)
{
	struct seen *seen = context;

	assert_int_equal(strcmp(name, "s.raw") == 0, host == NULL);
	assert_true(disk->is_whole);
	seen->shared += host == NULL;
	seen->of_hosts += host != NULL;
}

static void a_walk_sees_private_and_shared_volumes_once_and_who_is_busy(void **state)
{
	struct bench *bench = *state;
	struct seen seen = { 0 };

	put_disk(bench, "s.raw", 5, true);
	put_disk(bench, "a.raw", 10, false);
	put_disk(bench, "b.raw", 20, false);
	bench_inject(bench, SIMULATED_QEMU_HANGS, "one");
	simulated_walk(bench->fleet, &(struct simulated_walk){ see_guest, see_volume, &seen });
	assert_int_equal(seen.shared, 1);
	assert_int_equal(seen.of_hosts, 2);
	assert_int_equal(seen.busy, 1);
	simulated_walk(bench->fleet, &(struct simulated_walk){ NULL, see_volume, &seen });
	simulated_walk(bench->fleet, &(struct simulated_walk){ see_guest, NULL, &seen });
	assert_int_equal(seen.of_hosts, 4);
	assert_int_equal(seen.busy, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pool_does_what_its_state_allows),
		TEST(a_pool_or_volume_that_is_not_there_is_named),
		TEST(what_no_guest_of_a_host_names_is_removed_there),
		TEST(a_volume_that_is_gone_already_counts_as_removed),
		TEST(a_preparation_ends_at_the_first_disk_that_fails),
		TEST(of_several_disks_that_are_missed_the_first_is_named),
		TEST(a_volume_that_went_by_hand_keeps_its_guest_where_it_is),
		TEST(a_migration_names_the_disk_that_its_target_lacks),
		TEST(the_disks_of_a_guest_that_is_moved_by_hand_go_with_it),
		TEST(another_libvirtd_has_neither_volumes_nor_a_broken_pool),
		TEST(a_check_says_who_refuses_and_what_is_copied),
		TEST(a_check_that_refuses_says_why),
		TEST(a_walk_sees_private_and_shared_volumes_once_and_who_is_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
