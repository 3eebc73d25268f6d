/* What the libvirt driver finds out of a guest's disks before a move: which are copied, whether that is what was wished, where they
 * are to lie, and what a pool lists only once it was read again. Over libvirt's own test driver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libvirt_fixture.h"

#include "base/cleanup.h"
#include "base/text.h"

#define DISK  "<disk type='file'><source file='/" LIBVIRT_POOL "/one'/><target dev='vda'/></disk>"
#define TRIES 20 /* of a pool that is busy: a second in all */

static struct {
	const char *appears; /* this volume is seen when the source's pools are read again; NULL: none */
	int refusals; /* so often a pool of the target is busy, and cannot be read again */
	int refreshes, makes; /* of the target's pools, and of volumes in them */
} fake;

static bool is_of_target(virStoragePoolPtr pool)
{
	CLEANUP_FREE char *uri = virConnectGetURI(virStoragePoolGetConnect(pool));

	return text_equal(uri, "test:///default");
}

static void make_volume(virStoragePoolPtr pool, const char *name)
{
	CLEANUP_FREE char *definition =
		text_format("<volume><name>%s</name><capacity unit='MiB'>1</capacity></volume>", name);
	virStorageVolPtr volume = virStorageVolCreateXML(pool, definition, 0);

	assert_non_null(volume);
	virStorageVolFree(volume);
}

int virStoragePoolRefresh(virStoragePoolPtr pool, unsigned int flags)
{
	int (*real)(virStoragePoolPtr, unsigned int);

	libvirt_find_real(__func__, &real);
	if (is_of_target(pool)) {
		fake.refreshes++;
		return fake.refusals-- > 0 ? -1 : real(pool, flags);
	}
	if (fake.appears)
		make_volume(pool, fake.appears);
	fake.appears = NULL;
	return real(pool, flags);
}

virStorageVolPtr virStorageVolCreateXML(virStoragePoolPtr pool, const char *xmlDesc, unsigned int flags)
{
	virStorageVolPtr (*real)(virStoragePoolPtr, const char *, unsigned int);

	libvirt_find_real(__func__, &real);
	fake.makes += is_of_target(pool);
	return real(pool, xmlDesc, flags);
}

static int begin(void **state)
{
	static struct libvirt_two_hosts bench;

	memset(&fake, 0, sizeof(fake));
	libvirt_two_hosts_begin(&bench);
	*state = &bench;
	return 0;
}

static int end(void **state)
{
	struct libvirt_two_hosts *bench = *state;

	libvirt_two_hosts_end(bench);
	return 0;
}

static void put_guest(struct libvirt_two_hosts *bench, const char *devices)
{
	CLEANUP_FREE char *definition = libvirt_guest_definition(LIBVIRT_GUEST, devices);

	if (bench->fixture.driver->operations->define(bench->source, definition, false, &bench->fixture.error) < 0)
		fail_msg("%s", bench->fixture.error.text);
}

static int check_cold(struct libvirt_two_hosts *bench, struct check_result *ret_check)
{
	return bench->fixture.driver->operations->check_cold(bench->source, bench->fixture.host, LIBVIRT_GUEST,
							     ret_check, &bench->fixture.error);
}

static void a_move_copies_disks_when_there_are_some_on_one_host_alone(void **state)
{
	struct libvirt_two_hosts *bench = *state;
	struct check_result check = { 0 };

	put_guest(bench, "");
	if (check_cold(bench, &check) < 0)
		fail_msg("%s", bench->fixture.error.text);
	assert_false(check.copies_disks);
	put_guest(bench, DISK);
	if (check_cold(bench, &check) < 0)
		fail_msg("%s", bench->fixture.error.text);
	assert_true(check.copies_disks);
}

/* Nova's block_migration: a wish that the disks do not fit is refused, since no other host would mend it. */
static void a_wish_that_does_not_fit_the_disks_is_refused(void **state)
{
	static const struct {
		const char *devices;
		enum block_migration wish;
		bool is_refused, copies_disks;
	} rows[] = {
		{ "", BLOCK_MIGRATION_AUTO, false, false }, { "", BLOCK_MIGRATION_NO, false, false },
		{ "", BLOCK_MIGRATION_YES, true, false },   { DISK, BLOCK_MIGRATION_AUTO, false, true },
		{ DISK, BLOCK_MIGRATION_YES, false, true }, { DISK, BLOCK_MIGRATION_NO, true, false },
	};
	struct libvirt_two_hosts *bench = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct live_options options = { .block_migration = rows[i].wish };
		struct check_result check = { 0 };

		put_guest(bench, rows[i].devices);
		int result = bench->fixture.driver->operations->check_live(
			bench->source, bench->fixture.host, LIBVIRT_GUEST, &options, &check, &bench->fixture.error);
		if (result != (rows[i].is_refused ? -ECANCELED : 0))
			fail_msg("row %zu: %d %s", i, result, bench->fixture.error.text);
		assert_int_equal(check.refusal, rows[i].is_refused ? CHECK_REFUSED_STORAGE : CHECK_PASSED);
		assert_int_equal(check.is_about_source, rows[i].is_refused);
		assert_int_equal(check.copies_disks, rows[i].copies_disks);
	}
}

/* That is an answer, and another host may have it; a pool that cannot be read is none. */
static void a_host_without_the_pool_refuses_the_disk(void **state)
{
	struct libvirt_two_hosts *bench = *state;
	struct check_result check = { 0 };
	virStoragePoolPtr pool = virStoragePoolLookupByName(bench->fixture.connection, LIBVIRT_POOL);

	put_guest(bench, DISK);
	assert_int_equal(virStoragePoolDestroy(pool), 0);
	assert_int_equal(virStoragePoolUndefine(pool), 0);
	virStoragePoolFree(pool);
	assert_int_equal(check_cold(bench, &check), -ECANCELED);
	assert_int_equal(check.refusal, CHECK_REFUSED_BY_TARGET);
	assert_non_null(strstr(bench->fixture.error.text, "storage pool " LIBVIRT_POOL ", which host one has not"));
}

static void a_disk_that_the_pool_does_not_list_yet_is_found(void **state)
{
	struct libvirt_two_hosts *bench = *state;
	struct check_result check = { 0 };

	put_guest(bench, "<disk type='file'><source file='/" LIBVIRT_POOL "/new'/><target dev='vda'/></disk>");
	fake.appears = "new";
	if (check_cold(bench, &check) < 0)
		fail_msg("%s", bench->fixture.error.text);
	assert_true(check.copies_disks);
}

/* Another move's marker is made in it: that takes a moment. Only then its name is tried there. */
static void a_busy_pool_is_read_again_for_a_second(void **state)
{
	struct libvirt_two_hosts *bench = *state;
	struct check_result check = { 0 };

	put_guest(bench, DISK);
	fake.refusals = TRIES - 1;
	assert_int_equal(check_cold(bench, &check), 0);
	assert_int_equal(fake.refreshes, TRIES);
	assert_int_equal(fake.makes, 0);
	fake.refusals = TRIES;
	assert_int_equal(check_cold(bench, &check), 0);
	assert_int_equal(fake.refreshes, 2 * TRIES);
	assert_int_equal(fake.makes, 1);
	assert_true(check.copies_disks);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_move_copies_disks_when_there_are_some_on_one_host_alone),
		TEST(a_wish_that_does_not_fit_the_disks_is_refused),
		TEST(a_host_without_the_pool_refuses_the_disk),
		TEST(a_disk_that_the_pool_does_not_list_yet_is_found),
		TEST(a_busy_pool_is_read_again_for_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
