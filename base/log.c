/* Writing log lines, as text or JSON. */
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"

struct log {
	int descriptor;
	pthread_mutex_t mutex; /* guards the two settings and keeps lines whole */
	enum log_format format;
	enum log_level lowest;
	struct clock *clock;
};

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_ERROR] = "error",
};

struct log *log_create(int descriptor, enum log_format format, enum log_level lowest, struct clock *clock)
{
	struct log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	pthread_mutex_init(&log->mutex, NULL);
	log->descriptor = descriptor;
	log->format = format;
	log->lowest = lowest;
	log->clock = clock;
	return log;
}

void log_destroy(struct log *log)
{
	if (!log)
		return;
	pthread_mutex_destroy(&log->mutex);
	free(log);
}

void log_set(struct log *log, enum log_format format, enum log_level lowest)
{
	LOCK_SCOPE(&log->mutex);
	log->format = format;
	log->lowest = lowest;
}

/* Also what is no UTF-8, such as the bytes of a client's request, must not break a reader of JSON. */
static void append_escaped(struct text *line, const char *value)
{
	CLEANUP_TEXT struct text readable = TEXT_EMPTY;

	for (const char *at = text_as_utf8(value, &readable); *at; at++) {
		unsigned char c = (unsigned char)*at;

		if (c == '"' || c == '\\')
			text_append_format(line, "\\%c", c);
		else if (c == '\n')
			text_append(line, "\\n");
		else if (c < 0x20 || c == 0x7f)
			text_append_format(line, "\\u%04x", c);
		else
			text_append_bytes(line, at, 1);
	}
	line->failed = line->failed || text_failed(&readable);
}

static void append_quoted(struct text *line, const char *value)
{
	text_append(line, "\"");
	append_escaped(line, value);
	text_append(line, "\"");
}

/* A value of plain characters stands bare, any other in quotes. */
static void append_text_value(struct text *line, const char *value)
{
	bool is_plain = *value != '\0';

	for (const char *at = value; *at && is_plain; at++)
		is_plain = (unsigned char)*at > 0x20 && *at != '"' && *at != '\\' && *at != '=' && *at != 0x7f;
	if (is_plain)
		append_escaped(line, value);
	else
		append_quoted(line, value);
}

static void format_text(struct text *line, enum log_level level, const char *time, const char *request_id,
			const char *event, const struct log_field *fields, size_t field_count)
{
	text_append_format(line, "%s %-7s ", time, level_names[level]);
	if (request_id)
		text_append_format(line, "%s ", request_id);
	append_escaped(line, event);
	if (field_count)
		text_append(line, ":");
	for (size_t i = 0; i < field_count; i++) {
		text_append_format(line, " %s=", fields[i].name);
		if (fields[i].text)
			append_text_value(line, fields[i].text);
		else
			text_append_format(line, "%lld", (long long)fields[i].number);
	}
	text_append(line, "\n");
}

static void format_json(struct text *line, enum log_level level, const char *time, const char *request_id,
			const char *event, const struct log_field *fields, size_t field_count)
{
	text_append_format(line, "{\"time\": \"%s\", \"level\": \"%s\"", time, level_names[level]);
	if (request_id) {
		text_append(line, ", \"request_id\": ");
		append_quoted(line, request_id);
	}
	text_append(line, ", \"event\": ");
	append_quoted(line, event);
	for (size_t i = 0; i < field_count; i++) {
		text_append_format(line, ", \"%s\": ", fields[i].name);
		if (fields[i].text)
			append_quoted(line, fields[i].text);
		else
			text_append_format(line, "%lld", (long long)fields[i].number);
	}
	text_append(line, "}\n");
}

void log_write(struct log *log, enum log_level level, const char *request_id, const char *event,
	       const struct log_field *fields, size_t field_count)
{
	char time[TIME_TEXT_SIZE];
	CLEANUP_TEXT struct text line = TEXT_EMPTY;

	if (!log)
		return;
	LOCK_SCOPE(&log->mutex);
	if (level < log->lowest)
		return;
	time_format_micros(clock_now_us(log->clock), time);
	text_copy(time + 26, sizeof(time) - 26, "Z");
	if (log->format == LOG_FORMAT_JSON)
		format_json(&line, level, time, request_id, event, fields, field_count);
	else
		format_text(&line, level, time, request_id, event, fields, field_count);
	if (text_failed(&line))
		return;
	/* A log that cannot be written must not stop the daemon; there is nowhere left to say so. */
	ssize_t written = write(log->descriptor, line.data, line.length);
	(void)written;
}

void log_error(struct log *log, const char *request_id, const char *event, const struct error *error)
{
	log_event(log, LOG_LEVEL_ERROR, request_id, event, LOG_TEXT("reason", error->text),
		  LOG_NUMBER("code", error->code));
}
