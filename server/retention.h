/* Takes old records away as the operator's settings say: some at a time, so that no request waits for it. One thread's. */
#pragma once

#include "server/settings.h"

struct database;
struct log;

struct retention {
	struct database *database; /* all borrowed */
	struct log *log;
	int64_t next_ms; /* monotonic: not before */
	struct retention_settings applied;
};

/* To be called every few seconds, with the settings of now. */
void retention_look(struct retention *retention, const struct retention_settings *settings);
