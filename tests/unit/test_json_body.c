/* Bodies are read as Python reads them: what it takes and jansson does not, and nothing more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "api/json_body.h"
#include "api/python_repr.h"
#include "base/cleanup.h"

static void expect(const char *body, const char *printed)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	size_t size = strlen(body);
	CLEANUP_FREE char *bytes = malloc(size ? size : 1); /* nothing may be read behind them */
	assert_non_null(bytes);
	memcpy(bytes, body, size);
	json_t *value = json_body_read(bytes, size);

	if (!printed) {
		assert_null(value);
		return;
	}
	assert_non_null(value);
	python_repr(&text, value);
	assert_string_equal(text.data, printed);
	json_decref(value);
}

static void numbers_that_are_none_are_read(void **state)
{
	(void)state;
	expect("{\"a\": NaN}", "{'a': nan}");
	expect("[Infinity, -Infinity]", "[inf, -inf]");
}

static void the_same_words_in_a_text_stay_as_they_are(void **state)
{
	(void)state;
	expect("[\"\", NaN, \"a\", NaN, \"ab\", NaN]", "['', nan, 'a', nan, 'ab', nan]");
	expect("{\"\\\"\": NaN, \"\\\\\": NaN}", "{'\"': nan, '\\\\': nan}");
	expect("[NaN, \"NaN \\\" Infinity 12345678901234567890\"]", "[nan, 'NaN \" Infinity 12345678901234567890']");
}

static void a_long_integer_is_a_number_and_no_fault_of_form(void **state)
{
	(void)state;
	expect("12345678901234567890", "12345678901234567890");
	expect("[-12345678901234567890]", "[-12345678901234567890]");
	expect("[12345678901234567890.5, 1e2]", "[1.2345678901234567e+19, 100.0]");
	expect("[1.12345678901234567890, 12345678901234567890]", "[1.1234567890123457, 12345678901234567890]");
	expect("012345678901234567890", NULL);
	expect("123456789012345678", "123456789012345678");
	expect("[NaN, 0, -0, 7, -7, 123456789012345678]", "[nan, 0, 0, 7, -7, 123456789012345678]");
	expect("[NaN, 1234567890123456789, -1234567890123456789]", "[nan, 1234567890123456789, -1234567890123456789]");
	expect("[-12345678901234567890, --1]", NULL);
	expect("[12345678901234567890, 1.5e3, 1E+2]", "[12345678901234567890, 1500.0, 100.0]");
}

static void half_a_surrogate_pair_is_read_and_printed_as_it_was_sent(void **state)
{
	(void)state;
	expect("{\"a\": \"x\\ud800y\"}", "{'a': 'x\\ud800y'}");
	expect("[\"\\udfff\\uDC00\"]", "['\\udfff\\udc00']");
	expect("[\"\\ud83d\\ude00 \\ud83d\"]", "['\xf0\x9f\x98\x80 \\ud83d']");
	expect("[\"\\\\ud800\\ud800\"]", "['\\\\ud800\\ud800']");
	expect("\"\\ud800\"", "'\\ud800'"); /* the last byte of a body that is read again ends a text */
	expect("[\"\\ud7ff\\ue000 \\ud800\"]", "['\xed\x9f\xbf\xee\x80\x80 \\ud800']");
	expect("[\"\\udb00\\udc00 \\udbff\\udbff\"]", "['\xf3\x90\x80\x80 \\udbff\\udbff']");
	expect("[\"\\ud8", NULL);
	expect("[\"\\ud80g\"]", NULL);
	expect("[\"\\u d80\"]", NULL);
}

static void a_text_is_quoted_as_python_does(void **state)
{
	(void)state;
	expect("[\"it's\"]", "[\"it's\"]");
	expect("[\"a\\\"b\"]", "['a\"b']");
	expect("[\"it's \\\"so\\\"\"]", "['it\\'s \"so\"']");
	expect("[\"\\n\\r\\t\\\\\\u0001\\u001f\\u007f \"]", "['\\n\\r\\t\\\\\\x01\\x1f\\x7f ']");
	expect("{\"it's\": [true, false, null, {}, []]}", "{\"it's\": [True, False, None, {}, []]}");
}

static void what_is_no_json_stays_refused(void **state)
{
	(void)state;
	expect("{\"a\": nan}", NULL);
	expect("{\"a\": NaN", NULL);
	expect("\"unended NaN", NULL);
	expect("\"\\", NULL);
	expect("", NULL);
	expect("[N", NULL);
	expect("[Na", NULL);
	expect("[-Infinit", NULL);
	expect("[-", NULL);
	expect("[I", NULL);
	expect("\"\\u", NULL);
	expect("\"\\ud800", NULL);
	expect("\"\\ud800\\ud", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_that_are_none_are_read),
		cmocka_unit_test(the_same_words_in_a_text_stay_as_they_are),
		cmocka_unit_test(a_long_integer_is_a_number_and_no_fault_of_form),
		cmocka_unit_test(half_a_surrogate_pair_is_read_and_printed_as_it_was_sent),
		cmocka_unit_test(a_text_is_quoted_as_python_does),
		cmocka_unit_test(what_is_no_json_stays_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
