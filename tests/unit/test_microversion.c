/* Microversion headers: which count, which are absent, which are refused, as recorded from Nova. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/microversion.h"
#include "base/cleanup.h"

struct version_case {
	const char *header;
	const char *older;
	int result;
	int minor;
};

static void check(const struct version_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct microversion version = { 0 };
		struct error error = { 0 };
		int result = microversion_read(cases[i].header, cases[i].older, &version, &error);

		if (result != cases[i].result || (result == 0 && version.minor != cases[i].minor))
			fail_msg("%s / %s: %d, 2.%d: %s", cases[i].header, cases[i].older, result, version.minor,
				 error.text);
	}
}

static void the_first_header_with_a_compute_entry_counts(void **state)
{
	static const struct version_case cases[] = {
		{ NULL, NULL, 0, 1 },
		{ "compute 2.60", NULL, 0, 60 },
		{ "compute 2.60", "2.30", 0, 60 },
		{ NULL, " 2.30 ", 0, 30 },
		{ "COMPUTE   2.60 ", NULL, 0, 60 },
		{ "compute latest", NULL, 0, MICROVERSION_MINOR_MAX },
		{ "compute 2.10, identity 3.5, compute 2.20", NULL, 0, 20 },
		{ "compute 2.999", "2.30", -ERANGE, 0 },
		{ "compute abc", "2.30", -EINVAL, 0 },
	};

	(void)state;
	check(cases, ARRAY_LENGTH(cases));
}

static void a_header_without_a_compute_entry_is_absent(void **state)
{
	static const struct version_case cases[] = {
		{ "2.60", "2.30", 0, 30 },    { "latest", NULL, 0, 1 },       { "identity 3.5", "2.30", 0, 30 },
		{ "compute", "2.30", 0, 30 }, { "compute=2.60", NULL, 0, 1 }, { "", "2.30", 0, 30 },
	};

	(void)state;
	check(cases, ARRAY_LENGTH(cases));
}

static void malformed_is_told_from_out_of_range(void **state)
{
	static const struct version_case cases[] = {
		{ "compute 2.00", NULL, -EINVAL, 0 },  { "compute 0.1", NULL, -EINVAL, 0 },
		{ "compute 02.1", NULL, -EINVAL, 0 },  { "compute 2", NULL, -EINVAL, 0 },
		{ "compute 2.01", NULL, -EINVAL, 0 },  { "compute Latest", NULL, -EINVAL, 0 },
		{ "compute 2.1.1", NULL, -EINVAL, 0 }, { NULL, "", -EINVAL, 0 },
		{ "compute 2.0", NULL, -ERANGE, 0 },   { "compute 1.1", NULL, -ERANGE, 0 },
		{ "compute 3.0", NULL, -ERANGE, 0 },   { "compute 2.105", NULL, -ERANGE, 0 },
	};

	(void)state;
	check(cases, ARRAY_LENGTH(cases));
}

static void both_ends_of_the_range_are_taken_and_no_number_beyond(void **state)
{
	static const struct version_case cases[] = {
		{ "compute 2.1", NULL, 0, 1 },
		{ "compute 2.104", NULL, 0, MICROVERSION_MINOR_MAX },
		{ NULL, "2.1", 0, 1 },
		{ NULL, "2.104", 0, MICROVERSION_MINOR_MAX },
		{ NULL, "2.0", -ERANGE, 0 },
		{ NULL, "2.105", -ERANGE, 0 },
		{ NULL, "latest", 0, MICROVERSION_MINOR_MAX },
		{ NULL, "2.30, 2.40", 0, 40 },
		{ "compute 9999.1", NULL, -ERANGE, 0 },
		{ "compute 99999.1", NULL, -EINVAL, 0 },
		/* The most digits that are read; what they say is beyond the range whatever a long holds. */
		{ "compute 2.99999999999999999999999999999999999999999999999999", NULL, -ERANGE, 0 },
		{ "compute 2.999999999999999999999999999999999999999999999999999", NULL, -EINVAL, 0 },
		/* 2 to the power of 64, and one more. */
		{ "compute 2.18446744073709551616", NULL, -ERANGE, 0 },
		{ "compute 2.18446744073709551617", NULL, -ERANGE, 0 },
		{ "compute 2.4294967297", NULL, -ERANGE, 0 },
		{ "compute -2.1", NULL, -EINVAL, 0 },
		{ "compute 2.-1", NULL, -EINVAL, 0 },
		{ "compute 2.", NULL, -EINVAL, 0 },
		{ "compute .1", NULL, -EINVAL, 0 },
		{ "compute 2.1x", NULL, -EINVAL, 0 },
		{ "compute latest2", NULL, -EINVAL, 0 },
		{ "computer 2.60", NULL, 0, 1 },
	};

	(void)state;
	check(cases, ARRAY_LENGTH(cases));
}

static void refusals_have_novas_words(void **state)
{
	struct microversion version = { 0 };
	struct error error = { 0 };

	(void)state;
	assert_int_equal(microversion_read("compute 2.105", NULL, &version, &error), -ERANGE);
	assert_string_equal(version.text, "2.105");
	assert_string_equal(error.text,
			    "Version 2.105 is not supported by the API. Minimum is 2.1 and maximum is 2.104.");
	assert_int_equal(microversion_read("compute abc", NULL, &version, &error), -EINVAL);
	assert_string_equal(error.text,
			    "API Version String abc is of invalid format. Must be of format MajorNum.MinorNum.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_header_with_a_compute_entry_counts),
		cmocka_unit_test(a_header_without_a_compute_entry_is_absent),
		cmocka_unit_test(malformed_is_told_from_out_of_range),
		cmocka_unit_test(both_ends_of_the_range_are_taken_and_no_number_beyond),
		cmocka_unit_test(refusals_have_novas_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
