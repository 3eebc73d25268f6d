/* Times: how they are printed, which texts are one, and a clock that a test sets. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#define SECOND_US  INT64_C(1000000)
#define NEW_YEAR_S INT64_C(1767225600) /* 2026-01-01T00:00:00Z */

static void times_before_and_after_1970_are_printed(void **state)
{
	static const struct {
		int64_t time_us;
		const char *micros;
		const char *seconds;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00.000000", "1970-01-01T00:00:00Z" },
		{ 1, "1970-01-01T00:00:00.000001", "1970-01-01T00:00:00Z" },
		{ 999999, "1970-01-01T00:00:00.999999", "1970-01-01T00:00:00Z" },
		{ -1, "1969-12-31T23:59:59.999999", "1969-12-31T23:59:59Z" },
		{ -SECOND_US, "1969-12-31T23:59:59.000000", "1969-12-31T23:59:59Z" },
		{ -SECOND_US - 1, "1969-12-31T23:59:58.999999", "1969-12-31T23:59:58Z" },
		{ NEW_YEAR_S * SECOND_US + 123456, "2026-01-01T00:00:00.123456", "2026-01-01T00:00:00Z" },
		{ 951827696 * SECOND_US, "2000-02-29T12:34:56.000000", "2000-02-29T12:34:56Z" },
		{ INT64_C(253402300799) * SECOND_US, "9999-12-31T23:59:59.000000", "9999-12-31T23:59:59Z" },
		{ INT64_MAX, "294247-01-10T04:00:54.775807", "294247-01-10T04:00:54Z" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char text[TIME_TEXT_SIZE];

		time_format_micros(rows[i].time_us, text);
		assert_string_equal(text, rows[i].micros);
		time_format_seconds(rows[i].time_us, text);
		assert_string_equal(text, rows[i].seconds);
	}
}

static void a_time_is_read_in_each_of_its_forms(void **state)
{
	static const struct {
		const char *text;
		int64_t time_us; /* since the new year of 2026 */
	} rows[] = {
		{ "2026-01-01", 0 },
		{ "20260101", 0 },
		{ "2026-01-01T00:00", 0 },
		{ "2026-01-01T00:00:00", 0 },
		{ "2026-01-01 00:00:00", 0 },
		{ "2026-01-01t00:00:00z", 0 },
		{ "2026-01-01T00:00:00Z", 0 },
		{ "20260101T000000Z", 0 },
		{ "20260101T0000", 0 },
		{ "2026-01-01T00:00:07", 7 * SECOND_US },
		{ "20260101T000007", 7 * SECOND_US },
		{ "2026-01-01T00:00:00.1", 100000 },
		{ "2026-01-01T00:00:00,25", 250000 },
		{ "2026-01-01T00:00:00.123456", 123456 },
		{ "2026-01-01T00:00:00.1234569", 123456 },
		{ "2026-01-01T00:00:00.00000000000000000000000001", 0 },
		{ "2026-01-01T00:00:00.5Z", 500000 },
		{ "2026-01-01T00:00:00.5+00:00", 500000 },
		{ "2026-01-01T05:30:00+05:30", 0 },
		{ "2026-01-01T05:30:00+0530", 0 },
		{ "2026-01-01T05:00:00+05", 0 },
		{ "2025-12-31T16:15:00-07:45", 0 },
		{ "2026-01-01T23:59:00+23:59", 0 },
		{ "2025-12-31T00:01:00-23:59", 0 },
		{ "2026-01-01T23:59:59", 86399 * SECOND_US },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		int64_t time_us = -1;

		if (!time_parse(rows[i].text, &time_us))
			fail_msg("\"%s\" is not read", rows[i].text);
		assert_int_equal(time_us, NEW_YEAR_S * SECOND_US + rows[i].time_us);
	}
}

/* Each month's last day is one, and the day behind it is none. */
static void a_month_has_its_days_also_in_leap_years(void **state)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	static const struct {
		int year;
		bool is_leap;
	} years[] = { { 1900, false }, { 2000, true },  { 2023, false }, { 2024, true },
		      { 2026, false }, { 2100, false }, { 2400, true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(years); i++)
		for (int month = 1; month <= 12; month++) {
			int last = days[month - 1] + (month == 2 && years[i].is_leap);
			CLEANUP_FREE char *good = text_format("%04d-%02d-%02dT23:59:59Z", years[i].year, month, last);
			CLEANUP_FREE char *bad =
				text_format("%04d-%02d-%02dT23:59:59Z", years[i].year, month, last + 1);
			int64_t time_us = -1, unchanged = -1;
			char again[TIME_TEXT_SIZE];

			if (!time_parse(good, &time_us) || time_parse(bad, &unchanged))
				fail_msg("%s or %s", good, bad);
			time_format_seconds(time_us, again);
			assert_string_equal(again, good);
			assert_int_equal(unchanged, -1);
		}
}

static void years_1_to_9999_are_read(void **state)
{
	int64_t first_us, last_us;

	(void)state;
	assert_true(time_parse("0001-01-01T00:00:00Z", &first_us));
	assert_int_equal(first_us, INT64_C(-62135596800) * SECOND_US);
	assert_true(time_parse("9999-12-31T23:59:59.999999Z", &last_us));
	assert_int_equal(last_us, INT64_C(253402300800) * SECOND_US - 1);
}

static void what_is_no_time_is_refused_and_changes_nothing(void **state)
{
	static const char *const texts[] = {
		"",
		"now",
		"2026",
		"2026-01",
		"26-01-01",
		"2026-1-01",
		"2026-01-1",
		"12026-01-01",
		"0000-01-01",
		"-2026-01-01",
		"2026-00-01",
		"2026-13-01",
		"2026-01-00",
		"2026-01-32",
		"2026/01/01",
		"2026-0101",
		"202601-01",
		" 2026-01-01",
		"2026-01-01 ",
		"2026-01-01x",
		"2026-01-01T",
		"2026-01-01Z",
		"2026-01-01_00:00:00",
		"2026-01-01T00",
		"2026-01-01T0:00:00",
		"2026-01-01T00:0",
		"2026-01-01T00:00:",
		"2026-01-01T00:00:0",
		"2026-01-01T0000",
		"2026-01-01T24:00:00",
		"2026-01-01T00:60:00",
		"2026-01-01T12:00:60",
		"2026-01-01T23:59:60", /* a leap second: the system's time has none */
		"2026-01-01T00:00:00 ",
		"2026-01-01T00:00:00.",
		"2026-01-01T00:00:00,Z",
		"2026-01-01T00:00:00.Z",
		"2026-01-01T00:00:00.5.5",
		"2026-01-01T00:00.5",
		"2026-01-01T00:00:00ZZ",
		"2026-01-01T00:00:00Z+01:00",
		"2026-01-01T00:00:00+",
		"2026-01-01T00:00:00+1",
		"2026-01-01T00:00:00+01:0",
		"2026-01-01T00:00:00+01:000",
		"2026-01-01T00:00:00+24:00",
		"2026-01-01T00:00:00-24:00",
		"2026-01-01T00:00:00+00:60",
		"2026-01-01T00:00:00*01:00",
		"2026-01-01T00:00:00CET",
		"2026-01-01T/0:00:00", /* the neighbours of the digits */
		"2026-01-01T0::00:00",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		int64_t time_us = -1;

		if (time_parse(texts[i], &time_us))
			fail_msg("\"%s\" is taken for a time", texts[i]);
		assert_int_equal(time_us, -1);
	}
}

static void a_clock_that_is_set_back_does_not_take_durations_back(void **state)
{
	struct clock *clock = clock_manual_create(NEW_YEAR_S * SECOND_US);

	(void)state;
	assert_int_equal(clock_now_us(clock), NEW_YEAR_S * SECOND_US);
	assert_int_equal(clock_monotonic_ms(clock), 0);
	clock_manual_set(clock, NEW_YEAR_S * SECOND_US + 5 * SECOND_US);
	assert_int_equal(clock_monotonic_ms(clock), 5000);
	clock_manual_set(clock, NEW_YEAR_S * SECOND_US);
	assert_int_equal(clock_now_us(clock), NEW_YEAR_S * SECOND_US);
	assert_int_equal(clock_monotonic_ms(clock), 5000);
	clock_manual_advance(clock, 2 * SECOND_US);
	assert_int_equal(clock_now_us(clock), NEW_YEAR_S * SECOND_US + 2 * SECOND_US);
	assert_int_equal(clock_monotonic_ms(clock), 7000);
	clock_manual_destroy(clock);
}

static void a_wait_ends_when_its_time_has_come(void **state)
{
	struct clock *manual = clock_manual_create(0);
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition;

	(void)state;
	assert_int_equal(clock_condition_init(&condition), 0);
	pthread_mutex_lock(&mutex);
	assert_false(clock_wait(manual, &condition, &mutex, 0));
	assert_true(clock_wait(manual, &condition, &mutex, 1)); /* its clock stands still */
	clock_manual_advance(manual, 1000);
	assert_false(clock_wait(manual, &condition, &mutex, 1));
	int64_t begun_ms = clock_monotonic_ms(clock_system());
	while (clock_wait(clock_system(), &condition, &mutex, begun_ms + 30))
		;
	assert_true(clock_monotonic_ms(clock_system()) >= begun_ms + 30);
	pthread_mutex_unlock(&mutex);
	pthread_cond_destroy(&condition);
	clock_manual_destroy(manual);
}

static int64_t system_us(clockid_t id)
{
	struct timespec time;

	assert_int_equal(clock_gettime(id, &time), 0);
	return (int64_t)time.tv_sec * SECOND_US + time.tv_nsec / 1000;
}

static void the_systems_clock_tells_the_systems_time(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		int64_t before_us = system_us(CLOCK_MONOTONIC), before_now_us = system_us(CLOCK_REALTIME);
		int64_t measured_us = clock_measure_us(), ms = clock_monotonic_ms(clock_system());
		int64_t now_us = clock_now_us(clock_system());
		int64_t after_us = system_us(CLOCK_MONOTONIC), after_now_us = system_us(CLOCK_REALTIME);

		assert_true(before_us <= measured_us && measured_us <= after_us);
		assert_true(before_us / 1000 <= ms && ms <= after_us / 1000);
		assert_true(before_now_us <= now_us && now_us <= after_now_us);
	}
}

/* A time that is past ends a wait at once, whatever part of a second it is. */
static void a_wait_for_a_time_that_is_past_ends_at_once(void **state)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition;
	int64_t second_ms = clock_monotonic_ms(clock_system()) / 1000 * 1000;

	(void)state;
	assert_int_equal(clock_condition_init(&condition), 0);
	pthread_mutex_lock(&mutex);
	for (int64_t part_ms = 1; part_ms <= 1000; part_ms += 37)
		assert_false(clock_wait(clock_system(), &condition, &mutex, second_ms - part_ms));
	pthread_mutex_unlock(&mutex);
	assert_true(clock_monotonic_ms(clock_system()) < second_ms + 10000);
	pthread_cond_destroy(&condition);
}

/* How far both of the manual clock's times have gone since the start; they go together. */
static int64_t gone_us(struct clock *clock, int64_t start_us)
{
	int64_t now_us = clock_now_us(clock), monotonic_ms = clock_monotonic_ms(clock);
	int64_t again_us = clock_now_us(clock);

	assert_true((now_us - start_us) / 1000 <= monotonic_ms && monotonic_ms <= (again_us - start_us) / 1000);
	return again_us - start_us;
}

static void a_manual_clock_that_runs_goes_with_the_systems(void **state)
{
	const int64_t start_us = NEW_YEAR_S * SECOND_US;
	struct clock *clock = clock_manual_create(start_us);
	int64_t before_us = clock_measure_us();

	(void)state;
	clock_manual_run(clock, true);
	int64_t running_us = clock_measure_us();
	usleep(3000);
	int64_t least_us = clock_measure_us() - running_us;
	int64_t gone = gone_us(clock, start_us);
	assert_true(gone >= least_us && gone <= clock_measure_us() - before_us);

	clock_manual_advance(clock, SECOND_US); /* on top, and it runs on */
	least_us += SECOND_US;
	usleep(1000);
	gone = gone_us(clock, start_us);
	assert_true(gone >= least_us + 1000 && gone <= clock_measure_us() - before_us + SECOND_US);

	clock_manual_run(clock, false); /* stands still where it is */
	gone = gone_us(clock, start_us);
	assert_true(gone >= least_us + 1000);
	usleep(1000);
	assert_int_equal(gone_us(clock, start_us), gone);

	clock_manual_run(clock, true);
	clock_manual_set(clock, start_us + 10 * SECOND_US); /* stands still there */
	usleep(1000);
	assert_int_equal(gone_us(clock, start_us), 10 * SECOND_US);
	clock_manual_destroy(clock);
}

/* A thread that waits for a time or a word, and one that gives it. */
#define WAITS_MAX 3000

struct meeting {
	struct clock *clock;
	int64_t deadline_ms;
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	bool is_waiting, is_said;
	bool was_in_time; /* the last wait said so */
	int waits;
};

static void *wait_for_it(void *context)
{
	struct meeting *meeting = context;

	pthread_mutex_lock(&meeting->mutex);
	meeting->is_waiting = true; /* before the mutex is given back, by the wait */
	do {
		meeting->was_in_time =
			clock_wait(meeting->clock, &meeting->condition, &meeting->mutex, meeting->deadline_ms);
		meeting->waits++;
	} while (meeting->was_in_time && !meeting->is_said && meeting->waits < WAITS_MAX);
	pthread_mutex_unlock(&meeting->mutex);
	return NULL;
}

static void say_it(struct meeting *meeting)
{
	while (!meeting->is_said) {
		pthread_mutex_lock(&meeting->mutex);
		meeting->is_said = meeting->is_waiting;
		pthread_cond_signal(&meeting->condition);
		pthread_mutex_unlock(&meeting->mutex);
		usleep(500);
	}
}

static void let_time_come(struct meeting *meeting)
{
	usleep(2000);
	clock_manual_advance(meeting->clock, meeting->deadline_ms * 1000 - 1);
	assert_false(clock_manual_wake_due(meeting->clock)); /* not yet */
	clock_manual_advance(meeting->clock, 1);
}

static struct meeting meet(struct clock *clock, int64_t deadline_ms, void (*give)(struct meeting *meeting))
{
	struct meeting meeting = { .clock = clock, .deadline_ms = deadline_ms, .mutex = PTHREAD_MUTEX_INITIALIZER };
	pthread_t thread;

	assert_int_equal(clock_condition_init(&meeting.condition), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_it, &meeting), 0);
	give(&meeting);
	pthread_join(thread, NULL);
	pthread_cond_destroy(&meeting.condition);
	assert_true(meeting.waits < WAITS_MAX);
	return meeting;
}

static void a_wait_ends_by_a_word_before_its_time_and_by_its_time_without_one(void **state)
{
	struct clock *manual = clock_manual_create(0);

	(void)state;
	assert_true(meet(clock_system(), INT64_MAX, say_it).was_in_time);
	assert_true(meet(clock_system(), clock_monotonic_ms(clock_system()) + 60000, say_it).was_in_time);
	assert_true(meet(manual, INT64_MAX, say_it).was_in_time);
	assert_true(meet(manual, 1, say_it).was_in_time);
	assert_false(meet(manual, 5000, let_time_come).was_in_time);
	clock_manual_destroy(manual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_before_and_after_1970_are_printed),
		cmocka_unit_test(a_time_is_read_in_each_of_its_forms),
		cmocka_unit_test(a_month_has_its_days_also_in_leap_years),
		cmocka_unit_test(years_1_to_9999_are_read),
		cmocka_unit_test(what_is_no_time_is_refused_and_changes_nothing),
		cmocka_unit_test(a_clock_that_is_set_back_does_not_take_durations_back),
		cmocka_unit_test(a_wait_ends_when_its_time_has_come),
		cmocka_unit_test(the_systems_clock_tells_the_systems_time),
		cmocka_unit_test(a_wait_for_a_time_that_is_past_ends_at_once),
		cmocka_unit_test(a_manual_clock_that_runs_goes_with_the_systems),
		cmocka_unit_test(a_wait_ends_by_a_word_before_its_time_and_by_its_time_without_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
