/* Database files that fail at will. */
#include "tests/unit/file_faults.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/cleanup.h"

/* The system's files behind a counter: the operation that it reaches fails, once or from then on. */
struct file_faults {
	sqlite3_vfs vfs;
	sqlite3_vfs *system;
	sqlite3_io_methods methods;
	pthread_mutex_t mutex;
	int countdown; /* to the failure; 0: none */
	bool is_lasting;
	int result;
	int system_errno;
	int failures;
	int unsynced; /* writes to files that are kept */
	int syncs;
	int undo_files;
};

struct faulty_file {
	sqlite3_file base;
	struct file_faults *faults;
	bool is_log;
	bool is_kept; /* it, or a database */
	int unsynced; /* of these writes */
	sqlite3_file *system; /* behind this struct */
};

static struct faulty_file *faulty(sqlite3_file *file)
{
	return (struct faulty_file *)(void *)file;
}

/* SQLITE_OK, or what the operation shall answer. */
static int next_result(struct file_faults *faults)
{
	LOCK_SCOPE(&faults->mutex);

	if (faults->countdown == 0 || (faults->countdown > 1 && faults->countdown--))
		return SQLITE_OK;
	if (!faults->is_lasting)
		faults->countdown = 0;
	faults->failures++;
	return faults->result;
}

static void note_write(struct faulty_file *file)
{
	LOCK_SCOPE(&file->faults->mutex);

	file->unsynced += file->is_kept;
	file->faults->unsynced += file->is_kept;
}

static void note_sync(struct faulty_file *file)
{
	LOCK_SCOPE(&file->faults->mutex);

	file->faults->unsynced -= file->unsynced;
	file->unsynced = 0;
	file->faults->syncs++;
}

static int faulty_write(sqlite3_file *file, const void *data, int amount, sqlite3_int64 offset)
{
	int result = next_result(faulty(file)->faults);

	note_write(faulty(file));
	return result ? result : faulty(file)->system->pMethods->xWrite(faulty(file)->system, data, amount, offset);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
	int result = next_result(faulty(file)->faults);

	if (result)
		return SQLITE_IOERR_FSYNC; /* what a sync answers: it has no words for a full disk */
	result = faulty(file)->system->pMethods->xSync(faulty(file)->system, flags);
	note_sync(faulty(file));
	return result;
}

static int last_error(sqlite3_vfs *vfs, int size, char *text)
{
	struct file_faults *faults = vfs->pAppData;

	return faults->system_errno ? faults->system_errno : faults->system->xGetLastError(faults->system, size, text);
}

static int pass_close(sqlite3_file *file)
{
	if (faulty(file)->is_log) { /* it goes with its last user, who has brought it into the database */
		LOCK_SCOPE(&faulty(file)->faults->mutex);
		faulty(file)->faults->unsynced -= faulty(file)->unsynced;
	}
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
	struct file_faults *faults = vfs->pAppData;
	struct faulty_file *opened = faulty(file);

	opened->faults = faults;
	opened->is_log = flags & SQLITE_OPEN_WAL;
	opened->is_kept = flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL);
	opened->unsynced = 0;
	if (flags & SQLITE_OPEN_SUBJOURNAL) {
		LOCK_SCOPE(&faults->mutex);
		faults->undo_files++;
	}
	opened->system = (sqlite3_file *)(void *)(opened + 1);
	int result = faults->system->xOpen(faults->system, name, opened->system, flags, ret_flags);
	opened->base.pMethods = result == SQLITE_OK ? &faults->methods : NULL;
	return result;
}

struct file_faults *file_faults_install(void)
{
	struct file_faults *faults = calloc(1, sizeof(*faults));

	if (!faults)
		abort();
	pthread_mutex_init(&faults->mutex, NULL);
	faults->system = sqlite3_vfs_find(NULL);
	faults->vfs = *faults->system;
	faults->vfs.szOsFile = (int)sizeof(struct faulty_file) + faults->system->szOsFile;
	faults->vfs.zName = "faulty";
	faults->vfs.pAppData = faults;
	faults->vfs.xOpen = faulty_open;
	faults->vfs.xGetLastError = last_error;
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
	if (sqlite3_vfs_register(&faults->vfs, 1) != SQLITE_OK)
		abort();
	return faults;
}

void file_faults_remove(struct file_faults *faults)
{
	sqlite3_vfs_unregister(&faults->vfs);
	pthread_mutex_destroy(&faults->mutex);
	free(faults);
}

void file_faults_set(struct file_faults *faults, int countdown, bool is_lasting, int result)
{
	LOCK_SCOPE(&faults->mutex);

	faults->countdown = countdown;
	faults->is_lasting = is_lasting;
	faults->result = result;
	faults->failures = 0;
}

void file_faults_set_errno(struct file_faults *faults, int system_errno)
{
	LOCK_SCOPE(&faults->mutex);

	faults->system_errno = system_errno;
}

/* One of the counts. */
static int read_count(struct file_faults *faults, const int *count)
{
	LOCK_SCOPE(&faults->mutex);

	return *count;
}

int file_faults_count(struct file_faults *faults)
{
	return read_count(faults, &faults->failures);
}

int file_faults_unsynced(struct file_faults *faults)
{
	return read_count(faults, &faults->unsynced);
}

int file_faults_syncs(struct file_faults *faults)
{
	return read_count(faults, &faults->syncs);
}

int file_faults_undo_files(struct file_faults *faults)
{
	return read_count(faults, &faults->undo_files);
}
