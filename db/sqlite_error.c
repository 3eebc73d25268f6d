/* SQLite's results as our errors: the number that callers act upon, and words with what to do. The one difficulty: for a disk
 * that is full by quota or limit SQLite only says "I/O error"; the system's own number is asked for. */
#include "base/cleanup.h"
#include "base/error.h"
#include "db/statement.h"

#include <sqlite3.h>

/* What an engine's result means to us. The advice is for the person who reads the log. */
static const struct translation {
	int result; /* extended, or the primary code for all of its kind */
	int code;
	const char *advice;
} TRANSLATIONS[] = {
	{ SQLITE_CONSTRAINT_UNIQUE, EEXIST, NULL },
	{ SQLITE_CONSTRAINT_PRIMARYKEY, EEXIST, NULL },
	{ SQLITE_CONSTRAINT_ROWID, EEXIST, NULL },
	{ SQLITE_CONSTRAINT_FOREIGNKEY, EINVAL, "the row that it refers to is not there, or is still referred to" },
	{ SQLITE_CONSTRAINT, EINVAL, NULL },
	{ SQLITE_FULL, ENOSPC, "make room on its file system; what was accepted before is kept" },
	{ SQLITE_IOERR_SHMSIZE, ENOSPC, "make room on its file system; what was accepted before is kept" },
	{ SQLITE_TOOBIG, EINVAL, NULL },
	{ SQLITE_NOMEM, ENOMEM, NULL },
	{ SQLITE_READONLY, EROFS, "the file, its directory or its file system is not writable by this user" },
	{ SQLITE_PERM, EACCES, "give this user the right to read and write it and its directory" },
	{ SQLITE_AUTH, EACCES, "give this user the right to read and write it and its directory" },
	{ SQLITE_BUSY, EAGAIN, "another process holds it for long: end that process" },
	{ SQLITE_LOCKED, EAGAIN, NULL },
	{ SQLITE_NOTADB, EIO, "it is not a database of ours: name another file, or restore a backup" },
	{ SQLITE_CORRUPT, EIO,
	  "it is damaged: stop the service and restore a backup (sqlite3 FILE .recover may save rows)" },
	{ SQLITE_CANTOPEN, EIO, "see that its directory exists and that this user may write there" },
	{ SQLITE_IOERR, EIO, "see the kernel's log for faults of the disk" },
};

static const struct translation *find_translation(int result)
{
	for (size_t i = 0; i < ARRAY_LENGTH(TRANSLATIONS); i++)
		if (TRANSLATIONS[i].result == result)
			return &TRANSLATIONS[i];
	return NULL;
}

/* What the last failed write to the log said: for a quota or a limit SQLite only says "I/O error". */
static int errno_of_log(sqlite3 *connection)
{
	sqlite3_file *log = NULL;
	int log_errno = 0;

	if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK && log
	    && log->pMethods)
		log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &log_errno);
	return log_errno;
}

/* The system's own reason is truer than SQLite's, where there is one that callers act upon. ENOENT is none: it says of a row that
 * it is not there, and a server would pass for deleted because the file was taken away. */
static int code_of_system_error(sqlite3 *connection, int result)
{
	int system_errno = 0;

	if (!connection)
		return 0;
	if (result == SQLITE_IOERR_WRITE)
		system_errno = errno_of_log(connection);
	else if ((result & 0xff) == SQLITE_IOERR || (result & 0xff) == SQLITE_CANTOPEN)
		system_errno = sqlite3_system_errno(connection);
	switch (system_errno) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ENOSPC;
	case EROFS:
	case EACCES:
	case EPERM:
	case EMFILE:
	case ENFILE:
		return system_errno;
	default:
		return 0;
	}
}

int statement_translate(sqlite3 *connection, const char *path, int result, struct error *error)
{
	const char *words = connection ? sqlite3_errmsg(connection) : sqlite3_errstr(result);
	int extended = connection && (result & 0xff) == result ? sqlite3_extended_errcode(connection) : result;
	const struct translation *translation = find_translation(extended);

	if (!translation)
		translation = find_translation(extended & 0xff);

	int system_code = code_of_system_error(connection, extended);
	int code = system_code ? system_code : translation ? translation->code : EIO;
	const char *advice = code == ENOSPC ? find_translation(SQLITE_FULL)->advice
			     : translation  ? translation->advice
					    : NULL;

	if (system_code)
		return error_set_errno(error, code, "database %s: %s%s%s", path, words, advice ? "; " : "",
				       advice ? advice : "");
	return error_set(error, code, "database %s: %s%s%s", path, words, advice ? "; " : "", advice ? advice : "");
}
