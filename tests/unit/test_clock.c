/* Times: how they are printed, which texts are one, and a clock that a test sets. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
