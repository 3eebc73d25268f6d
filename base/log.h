/* The log: one line an event, with the request id that leads from a client's x-compute-request-id to it.
 *
 *     log_event(log, LOG_LEVEL_INFO, request_id, "migration started",
 *               LOG_TEXT("server", server->uuid), LOG_TEXT("target", host->name), LOG_NUMBER("memory_mb", 512));
 *
 * text:  2026-01-02T00:00:00.123456Z info  req-… migration started: server=… target=compute-2 memory_mb=512
 * JSON:  {"time": "…", "level": "info", "request_id": "req-…", "event": "migration started", "server": "…", …}
 * Values are escaped, so that no input can forge a line. Thread-safe; a line is written by one write(2).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct clock;
struct error;

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log;

struct log_field {
	const char *name;
	const char *text; /* NULL: the number counts */
	int64_t number;
};

#define LOG_TEXT(field_name, value)   ((struct log_field){ .name = (field_name), .text = (value) ? (value) : "" })
#define LOG_NUMBER(field_name, value) ((struct log_field){ .name = (field_name), .number = (int64_t)(value) })

/* Writes to `descriptor`, which stays the caller's. NULL when out of memory. */
struct log *log_create(int descriptor, enum log_format format, enum log_level lowest, struct clock *clock);
void log_destroy(struct log *log);
void log_set(struct log *log, enum log_format format, enum log_level lowest);

void log_write(struct log *log, enum log_level level, const char *request_id, const char *event,
	       const struct log_field *fields, size_t field_count);

/* `request_id` may be NULL, `log` too (then nothing is written). */
#define log_event(log, level, request_id, event, ...)                                                                  \
	log_write((log), (level), (request_id), (event), (const struct log_field[]){ { 0 }, ##__VA_ARGS__ } + 1,       \
		  sizeof((const struct log_field[]){ { 0 }, ##__VA_ARGS__ }) / sizeof(struct log_field) - 1)

/* An error object as an event of its own. */
void log_error(struct log *log, const char *request_id, const char *event, const struct error *error);
