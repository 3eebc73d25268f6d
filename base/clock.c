/* The system's clock and one that a test sets. The one difficulty: a waiter on the manual clock must wake both when
 * its condition is signalled and when the time is set; it registers its condition with the clock while it waits. */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

struct waiter {
	pthread_cond_t *condition;
	pthread_mutex_t *mutex;
	int64_t deadline_ms;
	struct waiter *next;
};

struct clock {
	bool is_manual;
	pthread_mutex_t mutex; /* guards all below */
	bool is_running;
	int64_t running_since_us; /* the system's monotonic time at which the two below were true */
	int64_t now_us;
	int64_t monotonic_us;
	struct waiter *waiters;
};

static struct clock system_clock;

struct clock *clock_system(void)
{
	return &system_clock;
}

struct clock *clock_manual_create(int64_t start_us)
{
	struct clock *clock = calloc(1, sizeof(*clock));

	if (!clock)
		return NULL;
	clock->is_manual = true;
	clock->now_us = start_us;
	pthread_mutex_init(&clock->mutex, NULL);
	return clock;
}

void clock_manual_destroy(struct clock *clock)
{
	if (!clock)
		return;
	pthread_mutex_destroy(&clock->mutex);
	free(clock);
}

/* A waiter registers while it holds its own mutex, so taking that mutex here would invert the order of the locks;
 * waiters therefore never sleep longer than this without looking at the clock again. */
#define MANUAL_WAIT_SLICE_MS 20

static void wake_waiters(struct clock *clock)
{
	for (struct waiter *waiter = clock->waiters; waiter; waiter = waiter->next)
		pthread_cond_broadcast(waiter->condition);
}

static int64_t read_us(clockid_t id)
{
	struct timespec time;

	clock_gettime(id, &time);
	return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int64_t clock_measure_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

/* Brings a running manual clock's times up to now; with its mutex held. */
static void catch_up(struct clock *clock)
{
	if (!clock->is_running)
		return;
	int64_t system_us = read_us(CLOCK_MONOTONIC);
	clock->now_us += system_us - clock->running_since_us;
	clock->monotonic_us += system_us - clock->running_since_us;
	clock->running_since_us = system_us;
}

void clock_manual_run(struct clock *clock, bool is_running)
{
	LOCK_SCOPE(&clock->mutex);

	catch_up(clock);
	clock->is_running = is_running;
	clock->running_since_us = read_us(CLOCK_MONOTONIC);
}

void clock_manual_set(struct clock *clock, int64_t now_us)
{
	LOCK_SCOPE(&clock->mutex);

	catch_up(clock);
	clock->is_running = false;
	if (now_us > clock->now_us)
		clock->monotonic_us += now_us - clock->now_us;
	clock->now_us = now_us;
	wake_waiters(clock);
}

void clock_manual_advance(struct clock *clock, int64_t by_us)
{
	LOCK_SCOPE(&clock->mutex);

	catch_up(clock);
	clock->now_us += by_us;
	clock->monotonic_us += by_us;
	wake_waiters(clock);
}

bool clock_manual_wake_due(struct clock *clock)
{
	LOCK_SCOPE(&clock->mutex);
	bool is_due = false;

	catch_up(clock);
	for (const struct waiter *waiter = clock->waiters; waiter; waiter = waiter->next)
		if (waiter->deadline_ms <= clock->monotonic_us / 1000) {
			pthread_cond_broadcast(waiter->condition);
			is_due = true;
		}
	return is_due;
}

int64_t clock_now_us(struct clock *clock)
{
	if (!clock->is_manual)
		return read_us(CLOCK_REALTIME);
	LOCK_SCOPE(&clock->mutex);
	catch_up(clock);
	return clock->now_us;
}

int64_t clock_monotonic_ms(struct clock *clock)
{
	if (!clock->is_manual)
		return read_us(CLOCK_MONOTONIC) / 1000;
	LOCK_SCOPE(&clock->mutex);
	catch_up(clock);
	return clock->monotonic_us / 1000;
}

int clock_condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	int result = pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
	return -result;
}

static struct timespec monotonic_at(int64_t time_ms)
{
	return (struct timespec){ .tv_sec = time_ms / 1000, .tv_nsec = (long)(time_ms % 1000) * 1000000 };
}

static bool wait_system(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ms)
{
	if (deadline_ms == INT64_MAX) {
		pthread_cond_wait(condition, mutex);
		return true;
	}
	struct timespec until = monotonic_at(deadline_ms);
	return pthread_cond_timedwait(condition, mutex, &until) != ETIMEDOUT;
}

static bool wait_manual(struct clock *clock, pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ms)
{
	if (clock_monotonic_ms(clock) >= deadline_ms)
		return false;

	struct waiter self = { .condition = condition, .mutex = mutex, .deadline_ms = deadline_ms };
	pthread_mutex_lock(&clock->mutex);
	self.next = clock->waiters;
	clock->waiters = &self;
	pthread_mutex_unlock(&clock->mutex);

	struct timespec slice = monotonic_at(read_us(CLOCK_MONOTONIC) / 1000 + MANUAL_WAIT_SLICE_MS);
	pthread_cond_timedwait(condition, mutex, &slice);

	pthread_mutex_lock(&clock->mutex);
	struct waiter **link = &clock->waiters;
	while (*link != &self)
		link = &(*link)->next;
	*link = self.next;
	pthread_mutex_unlock(&clock->mutex);
	return clock_monotonic_ms(clock) < deadline_ms;
}

bool clock_wait(struct clock *clock, pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ms)
{
	return clock->is_manual ? wait_manual(clock, condition, mutex, deadline_ms)
				: wait_system(condition, mutex, deadline_ms);
}

static struct tm split(int64_t time_us, int64_t *ret_micros)
{
	struct tm parts;
	int64_t seconds = time_us / 1000000, micros = time_us % 1000000;

	if (micros < 0) {
		micros += 1000000;
		seconds--;
	}
	time_t time = (time_t)seconds;
	gmtime_r(&time, &parts);
	*ret_micros = micros;
	return parts;
}

void time_format_micros(int64_t time_us, char ret_text[TIME_TEXT_SIZE])
{
	int64_t micros;
	struct tm parts = split(time_us, &micros);
	size_t length = strftime(ret_text, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);

	snprintf(ret_text + length, TIME_TEXT_SIZE - length, ".%06d", (int)micros);
}

void time_format_seconds(int64_t time_us, char ret_text[TIME_TEXT_SIZE])
{
	int64_t micros;
	struct tm parts = split(time_us, &micros);

	strftime(ret_text, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

/* Exactly `count` digits at *at, which moves behind them. */
static bool take_digits(const char **at, int count, int *ret_number)
{
	int number = 0;

	for (int i = 0; i < count; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		number = number * 10 + (**at - '0');
	}
	*ret_number = number;
	return true;
}

static bool take(const char **at, char character)
{
	if (**at != character)
		return false;
	(*at)++;
	return true;
}

/* None is 0; a point without a digit behind it is no fraction. */
static bool take_fraction(const char **at, int64_t *ret_micros)
{
	int64_t unit = 100000;

	*ret_micros = 0;
	if (!take(at, '.') && !take(at, ','))
		return true;
	if (**at < '0' || **at > '9')
		return false;
	for (; **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
		*ret_micros += (**at - '0') * unit;
	return true;
}

static bool take_offset(const char **at, int64_t *ret_seconds)
{
	int hours, minutes = 0;
	int64_t sign = **at == '-' ? -1 : 1;

	*ret_seconds = 0;
	if (!**at || take(at, 'Z') || take(at, 'z'))
		return true;
	if (**at != '+' && **at != '-')
		return false;
	(*at)++;
	if (!take_digits(at, 2, &hours))
		return false;
	take(at, ':');
	if (**at && !take_digits(at, 2, &minutes))
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return hours < 24 && minutes < 60;
}

bool time_parse(const char *string, int64_t *ret_time_us)
{
	struct tm parts = { 0 };
	int64_t micros = 0, offset = 0;
	int year, month;

	if (!take_digits(&string, 4, &year))
		return false;
	bool is_basic = *string != '-'; /* ISO 8601's basic format: 20260112T000000Z */
	if ((!is_basic && !take(&string, '-')) || !take_digits(&string, 2, &month) || (!is_basic && !take(&string, '-'))
	    || !take_digits(&string, 2, &parts.tm_mday))
		return false;
	parts.tm_year = year - 1900;
	parts.tm_mon = month - 1;
	if (*string) {
		if (!take(&string, 'T') && !take(&string, 't') && !take(&string, ' '))
			return false;
		if (!take_digits(&string, 2, &parts.tm_hour) || (!is_basic && !take(&string, ':'))
		    || !take_digits(&string, 2, &parts.tm_min))
			return false;
		if (take(&string, ':') || (is_basic && *string >= '0' && *string <= '9')) {
			if (!take_digits(&string, 2, &parts.tm_sec) || !take_fraction(&string, &micros))
				return false;
		}
		if (!take_offset(&string, &offset))
			return false;
	}
	if (*string || year < 1 || month < 1 || month > 12 || parts.tm_mday < 1 || parts.tm_hour > 23
	    || parts.tm_min > 59 || parts.tm_sec > 59)
		return false;

	int day = parts.tm_mday;
	time_t seconds = timegm(&parts);
	if (parts.tm_mday != day) /* timegm carries 31 June over to July: no such day */
		return false;
	*ret_time_us = ((int64_t)seconds - offset) * 1000000 + micros;
	return true;
}
