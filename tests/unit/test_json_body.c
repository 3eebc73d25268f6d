/* Bodies are read as Python reads them: what it takes and jansson does not, and nothing more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <string.h>

#include "api/json_body.h"
#include "api/python_repr.h"
#include "base/cleanup.h"

static void expect(const char *body, const char *printed)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	json_t *value = json_body_read(body, strlen(body));

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
	expect("[NaN, \"NaN \\\" Infinity 12345678901234567890\"]", "[nan, 'NaN \" Infinity 12345678901234567890']");
}

static void a_long_integer_is_a_number_and_no_fault_of_form(void **state)
{
	(void)state;
	expect("12345678901234567890", "1.2345678901234567e+19");
	expect("123456789012345678", "123456789012345678");
}

static void what_is_no_json_stays_refused(void **state)
{
	(void)state;
	expect("{\"a\": nan}", NULL);
	expect("{\"a\": NaN", NULL);
	expect("\"unended NaN", NULL);
	expect("\"\\", NULL);
	expect("", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_that_are_none_are_read),
		cmocka_unit_test(the_same_words_in_a_text_stay_as_they_are),
		cmocka_unit_test(a_long_integer_is_a_number_and_no_fault_of_form),
		cmocka_unit_test(what_is_no_json_stays_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
