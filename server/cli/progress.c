/* A move on a line: the bar takes the room that the words leave. */
#include "server/cli/progress.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/cli/table.h"

#define BAR_MIN 10
#define BAR_MAX 40

static void append_bytes(int64_t bytes, struct text *text)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double size = (double)bytes;
	size_t unit = 0;

	while (size >= 1024 && unit + 1 < ARRAY_LENGTH(units)) {
		size /= 1024;
		unit++;
	}
	text_append_format(text, unit == 0 || size >= 100 ? "%.0f %s" : "%.1f %s", size, units[unit]);
}

static void append_time(int64_t seconds, struct text *text)
{
	if (seconds >= 3600)
		text_append_format(text, "%" PRId64 ":%02" PRId64 ":%02" PRId64, seconds / 3600, seconds / 60 % 60,
				   seconds % 60);
	else
		text_append_format(text, "%02" PRId64 ":%02" PRId64, seconds / 60, seconds % 60);
}

int progress_percent(const struct progress *progress)
{
	if (progress->total <= 0 || progress->remaining < 0)
		return -1;
	if (progress->remaining >= progress->total)
		return 0;
	return (int)((double)(progress->total - progress->remaining) * 100 / (double)progress->total);
}

int64_t progress_seconds_left(const struct progress *progress)
{
	int64_t pace = progress->bytes_per_s;

	if (progress->dirty_bytes_per_s > 0)
		pace -= progress->dirty_bytes_per_s;
	if (progress->remaining < 0 || progress->total <= 0 || pace <= 0)
		return -1;
	return progress->remaining / pace + (progress->remaining % pace > 0);
}

static void append_figures(const struct progress *progress, struct text *text)
{
	int64_t seconds = progress_seconds_left(progress);

	text_append_format(text, "  %3d%%  ", progress_percent(progress));
	append_bytes(progress->total - progress->remaining, text);
	text_append(text, " of ");
	append_bytes(progress->total, text);
	if (progress->bytes_per_s >= 0) {
		text_append(text, "  ");
		append_bytes(progress->bytes_per_s, text);
		text_append(text, "/s");
	}
	if (progress->dirty_bytes_per_s >= 0) {
		text_append(text, "  dirty ");
		append_bytes(progress->dirty_bytes_per_s, text);
		text_append(text, "/s");
	}
	if (seconds >= 0) {
		text_append(text, "  left ");
		append_time(seconds, text);
	}
}

static void append_bar(int percent, size_t room, struct text *text)
{
	size_t full = room * (size_t)percent / 100;

	text_append(text, "  [");
	for (size_t i = 0; i < room; i++)
		text_append(text, i < full ? "#" : ".");
	text_append(text, "]");
}

/* Whole characters of the line that have places in the width. */
static void append_cut(const char *line, size_t width, struct text *text)
{
	for (size_t taken = 0; *line; line++) {
		taken += ((unsigned char)*line & 0xC0) != 0x80;
		if (taken > width)
			return;
		text_append_bytes(text, line, 1);
	}
}

void progress_append(const struct progress *progress, size_t width, struct text *text)
{
	CLEANUP_TEXT struct text line = TEXT_EMPTY;
	CLEANUP_TEXT struct text figures = TEXT_EMPTY;
	int percent = progress_percent(progress);

	text_append_format(&line, "%s  %s", progress->name, progress->state);
	if (percent >= 0) {
		append_figures(progress, &figures);

		size_t taken = table_text_width(line.data ? line.data : "")
			       + table_text_width(figures.data ? figures.data : "") + 4;
		if (width >= taken + BAR_MIN)
			append_bar(percent, width - taken < BAR_MAX ? width - taken : BAR_MAX, &line);
		text_append(&line, figures.data ? figures.data : "");
	}
	append_cut(line.data ? line.data : "", width > 0 ? width : SIZE_MAX, text);
	text->failed = text->failed || text_failed(&line) || text_failed(&figures);
}
