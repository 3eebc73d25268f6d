/* Time as something passed in, so that a test can set it: every wait and every time stamp of the daemon asks a
 * `struct clock`. The system's clock is real; the manual clock stands still until it is set or advanced. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct clock;

struct clock *clock_system(void); /* one, shared, never freed */
struct clock *clock_manual_create(int64_t start_us); /* NULL when out of memory */
void clock_manual_destroy(struct clock *clock);
/* Sets UTC (microseconds since 1970) and wakes every waiter whose time has come; the monotonic time moves by the
 * same amount, but never backwards. */
void clock_manual_set(struct clock *clock, int64_t now_us);
void clock_manual_advance(struct clock *clock, int64_t by_us);
/* Wakes again those whose time has come, since who was about to wait when it was set missed that. True: there are some, who
 * have not gone on yet. */
bool clock_manual_wake_due(struct clock *clock);
/* True: from here on it goes by itself, at the system clock's pace; the next clock_manual_set makes it stand still. */
void clock_manual_run(struct clock *clock, bool is_running);

int64_t clock_now_us(struct clock *clock); /* UTC, microseconds since 1970 */
int64_t clock_monotonic_ms(struct clock *clock); /* for durations and time limits */
int64_t
clock_measure_us(void); /* the system's monotonic time, whatever clock a test has set: how long something really took */

/* A condition that can be waited on until a time of this clock (CLOCK_MONOTONIC inside). */
int clock_condition_init(pthread_cond_t *condition);
/* Waits with `mutex` held until `condition` is signalled or clock_monotonic_ms(clock) >= deadline_ms; INT64_MAX
 * waits without end. Returns false when the time came first. Spurious wake-ups happen: check and wait again. */
bool clock_wait(struct clock *clock, pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ms);

#define TIME_TEXT_SIZE 40
/* Nova's two ways to print a time: 2026-01-02T00:00:00.000000 and 2026-01-02T00:00:00Z. */
void time_format_micros(int64_t time_us, char ret_text[TIME_TEXT_SIZE]);
void time_format_seconds(int64_t time_us, char ret_text[TIME_TEXT_SIZE]);
/* ISO 8601 as clients send it, of the years 1 to 9999: date, or date and time with T or a blank, optional fraction, optional Z
 * or offset (none is UTC). False when it is none. */
bool time_parse(const char *string, int64_t *ret_time_us);
