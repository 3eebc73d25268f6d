/* Database files that fail at will: a full disk, one that became read-only, one that breaks. Every database that is opened after the
 * installation lies on them; what fails is a write or a sync.
 *
 *     struct file_faults *faults = file_faults_install();
 *     file_faults_set(faults, 3, true, SQLITE_FULL);    // the third write from now fails, and all after it
 *     file_faults_set(faults, 0, false, SQLITE_OK);     // the disk is well again
 */
#pragma once

#include <stdbool.h>

struct file_faults;

/* Aborts when that cannot be. */
struct file_faults *file_faults_install(void);
/* No database may be open. */
void file_faults_remove(struct file_faults *faults);
/* `countdown` to the operation that fails, 0: none; `is_lasting`: it and all after it; `result`: SQLite's. Thread-safe. */
void file_faults_set(struct file_faults *faults, int countdown, bool is_lasting, int result);
/* What the system says of a failure from now on (errno), instead of what it said last. */
void file_faults_set_errno(struct file_faults *faults, int system_errno);
/* How many have failed since they were set. */
int file_faults_count(struct file_faults *faults);
/* What a power cut would lose: writes to databases and their logs that no sync has followed. */
int file_faults_unsynced(struct file_faults *faults);
/* How many syncs there were, and how many files were made for the undoing of a statement, since the installation. */
int file_faults_syncs(struct file_faults *faults);
int file_faults_undo_files(struct file_faults *faults);
