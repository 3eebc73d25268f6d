/* Words to the service manager that started us: ready, reading anew, ending, alive. The only place that sees libsystemd.
 * Nothing happens where nobody listens (NOTIFY_SOCKET is not set). */
#pragma once

#include <stdint.h>

struct log;

/* Requests are taken from now on; also after a reading anew. `status` is one sentence for the person who asks how we are; of
 * several lines the first is told. */
void notify_ready(struct log *log, const char *status);
/* The configuration is read anew; notify_ready ends it. */
void notify_reloading(struct log *log);
/* The end began, and may take so long. */
void notify_stopping(struct log *log, int64_t patience_ms);
/* For the watchdog alone: see server/watchdog.h. */
void notify_alive(struct log *log);
/* How often notify_alive must be said at least, or we are killed; 0: nobody watches this process. */
int64_t notify_watchdog_ms(struct log *log);
