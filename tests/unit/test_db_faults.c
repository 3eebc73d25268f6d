/* Every write and every sync of the database's files is made to fail in turn: what was acknowledged stays, what was refused
 * is not there, and the database goes on afterwards. */
#include "base/cleanup.h"
#include "base/text.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The system's files behind a counter: the operation that it reaches fails, once or from then on. */
struct faults {
	sqlite3_vfs vfs;
	sqlite3_vfs *system;
	sqlite3_io_methods methods;
	pthread_mutex_t mutex;
	int countdown; /* to the failure; 0: none */
	bool is_lasting;
	int result;
	int failures;
};

struct faulty_file {
	sqlite3_file base;
	struct faults *faults;
	sqlite3_file *system; /* behind this struct */
};

static struct faulty_file *faulty(sqlite3_file *file)
{
	return (struct faulty_file *)(void *)file;
}

/* SQLITE_OK, or what the operation shall answer. */
static int next_result(struct faults *faults)
{
	LOCK_SCOPE(&faults->mutex);

	if (faults->countdown == 0 || (faults->countdown > 1 && faults->countdown--))
		return SQLITE_OK;
	if (!faults->is_lasting)
		faults->countdown = 0;
	faults->failures++;
	return faults->result;
}

static int faulty_write(sqlite3_file *file, const void *data, int amount, sqlite3_int64 offset)
{
	int result = next_result(faulty(file)->faults);

	return result ? result : faulty(file)->system->pMethods->xWrite(faulty(file)->system, data, amount, offset);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
	int result = next_result(faulty(file)->faults);

	/* What a sync answers: it has no words for a full disk. */
	return result ? SQLITE_IOERR_FSYNC : faulty(file)->system->pMethods->xSync(faulty(file)->system, flags);
}

static int pass_close(sqlite3_file *file)
{
	return faulty(file)->system->pMethods->xClose(faulty(file)->system);
}

static int pass_read(sqlite3_file *file, void *data, int amount, sqlite3_int64 offset)
{
	return faulty(file)->system->pMethods->xRead(faulty(file)->system, data, amount, offset);
}

static int pass_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return faulty(file)->system->pMethods->xTruncate(faulty(file)->system, size);
}

static int pass_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
	return faulty(file)->system->pMethods->xFileSize(faulty(file)->system, ret_size);
}

static int pass_lock(sqlite3_file *file, int level)
{
	return faulty(file)->system->pMethods->xLock(faulty(file)->system, level);
}

static int pass_unlock(sqlite3_file *file, int level)
{
	return faulty(file)->system->pMethods->xUnlock(faulty(file)->system, level);
}

static int pass_check_lock(sqlite3_file *file, int *ret_is_reserved)
{
	return faulty(file)->system->pMethods->xCheckReservedLock(faulty(file)->system, ret_is_reserved);
}

static int pass_control(sqlite3_file *file, int operation, void *argument)
{
	return faulty(file)->system->pMethods->xFileControl(faulty(file)->system, operation, argument);
}

static int pass_sector_size(sqlite3_file *file)
{
	return faulty(file)->system->pMethods->xSectorSize(faulty(file)->system);
}

static int pass_characteristics(sqlite3_file *file)
{
	return faulty(file)->system->pMethods->xDeviceCharacteristics(faulty(file)->system);
}

static int pass_map(sqlite3_file *file, int region, int size, int extend, void volatile **ret_memory)
{
	return faulty(file)->system->pMethods->xShmMap(faulty(file)->system, region, size, extend, ret_memory);
}

static int pass_map_lock(sqlite3_file *file, int offset, int count, int flags)
{
	return faulty(file)->system->pMethods->xShmLock(faulty(file)->system, offset, count, flags);
}

static void pass_barrier(sqlite3_file *file)
{
	faulty(file)->system->pMethods->xShmBarrier(faulty(file)->system);
}

static int pass_unmap(sqlite3_file *file, int delete)
{
	return faulty(file)->system->pMethods->xShmUnmap(faulty(file)->system, delete);
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct faults *faults = vfs->pAppData;
	struct faulty_file *opened = faulty(file);

	opened->faults = faults;
	opened->system = (sqlite3_file *)(void *)(opened + 1);
	int result = faults->system->xOpen(faults->system, name, opened->system, flags, ret_flags);
	opened->base.pMethods = result == SQLITE_OK ? &faults->methods : NULL;
	return result;
}

static struct faults *faults_install(void)
{
	struct faults *faults = calloc(1, sizeof(*faults));

	assert_non_null(faults);
	pthread_mutex_init(&faults->mutex, NULL);
	faults->system = sqlite3_vfs_find(NULL);
	faults->vfs = *faults->system;
	faults->vfs.szOsFile = (int)sizeof(struct faulty_file) + faults->system->szOsFile;
	faults->vfs.zName = "faulty";
	faults->vfs.pAppData = faults;
	faults->vfs.xOpen = faulty_open;
	faults->methods = (sqlite3_io_methods){
		.iVersion = 2,
		.xClose = pass_close,
		.xRead = pass_read,
		.xWrite = faulty_write,
		.xTruncate = pass_truncate,
		.xSync = faulty_sync,
		.xFileSize = pass_size,
		.xLock = pass_lock,
		.xUnlock = pass_unlock,
		.xCheckReservedLock = pass_check_lock,
		.xFileControl = pass_control,
		.xSectorSize = pass_sector_size,
		.xDeviceCharacteristics = pass_characteristics,
		.xShmMap = pass_map,
		.xShmLock = pass_map_lock,
		.xShmBarrier = pass_barrier,
		.xShmUnmap = pass_unmap,
	};
	assert_int_equal(sqlite3_vfs_register(&faults->vfs, 1), SQLITE_OK);
	return faults;
}

static void faults_remove(struct faults *faults)
{
	sqlite3_vfs_unregister(&faults->vfs);
	pthread_mutex_destroy(&faults->mutex);
	free(faults);
}

static void faults_set(struct faults *faults, int countdown, bool is_lasting, int result)
{
	LOCK_SCOPE(&faults->mutex);

	faults->countdown = countdown;
	faults->is_lasting = is_lasting;
	faults->result = result;
	faults->failures = 0;
}

static int count_failures(struct faults *faults)
{
	LOCK_SCOPE(&faults->mutex);

	return faults->failures;
}

/* Two rows in two tables: both are there or none. */
static int write_pair(struct db_session *session, void *context, struct error *error)
{
	struct db_action action = { .action = "migrate", .server_uuid = "server" };
	struct db_migration migration = { .status = "accepted", .type = "migration" };

	TEXT_COPY(action.request_id, (const char *)context);
	TEXT_COPY(migration.server_uuid, (const char *)context);
	int result = db_action_insert(session, &action, error);
	return result < 0 ? result : db_migration_insert(session, &migration, error);
}

#define WRITES 4

static void check_pair(struct db_fixture *fixture, const char *name, bool was_acknowledged)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_ACTION struct db_action action = { 0 };
	CLEANUP_DB_MIGRATIONS struct db_migration_list list = { 0 };
	struct db_migration_filter filter = { .server_uuid = name };
	bool is_there = db_action_by_request(session, "server", name, &action, NULL) == 0;

	OK(db_migration_find(session, &filter, &list, &fixture->error));
	assert_int_equal(list.count, is_there ? 1 : 0);
	assert_int_equal(is_there, was_acknowledged);
}

/* Returns whether the failure was reached at all. */
static bool write_with_failure_at(struct db_fixture *fixture, struct faults *faults, int place, bool is_lasting,
				  int engine_result, int expected)
{
	bool was_acknowledged[WRITES];
	char names[WRITES][32];

	faults_set(faults, place, is_lasting, engine_result);
	for (int i = 0; i < WRITES; i++) {
		snprintf(names[i], sizeof(names[i]), "%d-%d-%d", place, is_lasting, i);
		int result = db_write(fixture->database, write_pair, names[i], &fixture->error);
		if (result < 0 && result != expected && result != -EIO)
			fail_msg("place %d: %d: %s", place, result, fixture->error.text);
		was_acknowledged[i] = result == 0;
	}
	int failures = count_failures(faults);
	faults_set(faults, 0, false, SQLITE_OK);

	for (int i = 0; i < WRITES; i++)
		check_pair(fixture, names[i], was_acknowledged[i]);
	snprintf(names[0], sizeof(names[0]), "%d-%d-after", place, is_lasting);
	db_fixture_write(fixture, write_pair, names[0]);
	db_fixture_reopen(fixture);
	for (int i = 1; i < WRITES; i++)
		check_pair(fixture, names[i], was_acknowledged[i]);
	check_pair(fixture, names[0], true);
	return failures > 0;
}

static void each_place_in_turn(void **state, bool is_lasting, int engine_result, int expected)
{
	struct db_fixture *fixture = *state;
	struct faults *faults = faults_install();
	int place = 1;

	db_fixture_reopen(fixture);
	while (place < 1000 && write_with_failure_at(fixture, faults, place, is_lasting, engine_result, expected))
		place++;
	assert_in_range(place, 20, 999);
	db_close(fixture->database);
	fixture->database = NULL;
	faults_remove(faults);
}

static void write_that_fails_once_loses_nothing_acknowledged(void **state)
{
	each_place_in_turn(state, false, SQLITE_IOERR_WRITE, -EIO);
}

static void disk_that_becomes_full_loses_nothing_acknowledged(void **state)
{
	each_place_in_turn(state, true, SQLITE_FULL, -ENOSPC);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(write_that_fails_once_loses_nothing_acknowledged),
		TEST(disk_that_becomes_full_loses_nothing_acknowledged),
	};

	return cmocka_run_group_tests_name("db_faults", tests, NULL, NULL);
}
