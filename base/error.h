/* The error object: what failed, why, and what to do, passed upwards and wrapped with context.
 *
 * Functions that can fail return 0 or a negative error number and fill the caller's `struct error`.
 * The number decides (a caller may branch on it); the text is for the person who reads it at night.
 *
 *     int host_open(const char *path, struct host **ret_host, struct error *error)
 *     {
 *         if (access(path, R_OK) < 0)
 *             return error_set_errno(error, errno, "cannot read the host file %s", path);
 *         ...
 *         result = host_parse(path, error);
 *         if (result < 0)
 *             return error_wrap(error, "host file %s", path);     // "host file /x: line 3: ..."
 *     }
 *
 * An error object may be NULL where the caller does not want the text. The first error is kept: wrapping
 * puts words in front of it, setting it again replaces it and is only right for a new error.
 */
#pragma once

#include <errno.h>

#define ERROR_TEXT_SIZE 2048

struct error {
	int code; /* a positive errno value; 0 when nothing failed */
	char text[ERROR_TEXT_SIZE]; /* one sentence without a trailing newline, always terminated */
};

/* Fills `error` with code and text; returns -code. Text beyond the buffer is cut at a whole character. */
int error_set(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As error_set, with ": " and the system's words for `code` behind the text. */
int error_set_errno(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "format: " in front of the text that is there; returns -error->code (-EIO for NULL or an empty one). */
int error_wrap(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Out of memory: filled without allocating. Returns -ENOMEM. */
int error_no_memory(struct error *error);

/* Forgets what is there. */
void error_clear(struct error *error);
