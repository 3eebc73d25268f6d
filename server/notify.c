/* Words to the service manager. A word that cannot be told is logged and costs nothing else: the manager has its own time
 * limits. */
#include "server/notify.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

static void check(struct log *log, int result)
{
	struct error error = { 0 };

	if (result >= 0)
		return;
	error_set_errno(&error, -result, "sd_notify");
	log_error(log, NULL, "the service manager cannot be told how we are", &error);
}

void notify_ready(struct log *log, const char *status)
{
	check(log, sd_notifyf(false, "READY=1\nSTATUS=%.*s", (int)strcspn(status, "\n"), status));
}

/* Managers from 253 on want to know when the reading began, to tell it from an earlier one. */
void notify_reloading(struct log *log)
{
	int64_t now_us = clock_monotonic_ms(clock_system()) * 1000;

	check(log, sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%" PRIi64 "\nSTATUS=Reading the configuration anew",
			      now_us));
}

void notify_stopping(struct log *log, int64_t patience_ms)
{
	check(log, sd_notifyf(false,
			      "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIi64
			      "\nSTATUS=Ending: requests in flight are answered, moves go on at the hosts",
			      patience_ms * 1000));
}

void notify_alive(struct log *log)
{
	check(log, sd_notify(false, "WATCHDOG=1"));
}

int64_t notify_watchdog_ms(struct log *log)
{
	uint64_t interval_us = 0;
	int result = sd_watchdog_enabled(false, &interval_us);

	check(log, result);
	if (result <= 0)
		return 0;
	return interval_us < 1000 ? 1 : (int64_t)(interval_us / 1000);
}
