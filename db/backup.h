/* Copies of the whole database, and their way back. By SQLite's own copying: a consistent moment, also while a daemon writes. */
#pragma once

#include <stdbool.h>

struct error;

/* A copy of the database as a file of its own, readable by its owner alone. It gets its name when it is whole and on disk.
 * -EEXIST: there is a file of that name already, and it was not to be replaced. */
int db_backup(const char *database, const char *target, bool replaces, struct error *error);

/* Puts the copy in the place of the database. -EBUSY: a daemon has the database. -EINVAL, -ENOTSUP: the copy is none, is broken, or
 * comes from a newer program; then nothing was touched. At any moment the old database stands there whole, or the new one; the old
 * one is kept beside it under *ret_kept (heap, the caller's; NULL: there was none). */
int db_restore(const char *copy, const char *database, char **ret_kept, struct error *error);

/* The lock that says that somebody uses the database: PATH.lock, held as long as the descriptor is open. -EBUSY. */
int db_lock(const char *database, int *ret_descriptor, struct error *error);
