/* How far a move is, on a line. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct text;

struct progress {
	const char *name; /* of what moves */
	const char *state; /* a word */
	int64_t total; /* bytes; -1, as with all of these: not known */
	int64_t remaining;
	int64_t bytes_per_s;
	int64_t dirty_bytes_per_s;
};

/* Per cent, 0 to 100; -1: not known. */
int progress_percent(const struct progress *progress);
/* Seconds until all is copied at this pace, for what is written meanwhile is copied again; -1: not known, or never. */
int64_t progress_seconds_left(const struct progress *progress);
/* The line without its end; with `width` a bar of what room there is, and no more places than that. */
void progress_append(const struct progress *progress, size_t width, struct text *text);
