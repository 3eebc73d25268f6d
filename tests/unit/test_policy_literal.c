/* The left side of a check as Python reads it: a literal is compared itself, another expression is looked up in the creds, and what
 * Python cannot read raises. The wanted texts are Python's own, of str(ast.literal_eval(left)). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/auth/policy.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "policy_fixture.h"

/* The verdict on `LEFT:match`, for a target whose match is `match`, and creds of which `left` is "found". */
static enum policy_verdict hold(const char *left, const char *match)
{
	CLEANUP_FREE char *check = text_format("%s:%%(match)s", left);
	json_t *credentials = json_pack("{s:s}", left, "found");
	json_t *target = json_pack("{s:s}", "match", match);
	enum policy_verdict verdict = judge_check(check, credentials, target);

	json_decref(credentials);
	json_decref(target);
	return verdict;
}

static void a_literal_is_compared_as_python_prints_it(void **state)
{
	static const struct {
		const char *left;
		const char *wanted;
	} rows[] = {
		{ "True", "True" },
		{ "False", "False" },
		{ "None", "None" },
		{ "...", "Ellipsis" },
		{ "0", "0" },
		{ "00", "0" },
		{ "000", "0" },
		{ "5", "5" },
		{ "31_000", "31000" },
		{ "0x1F", "31" },
		{ "0X1f", "31" },
		{ "0x_1f", "31" },
		{ "0o17", "15" },
		{ "0O1_7", "15" },
		{ "0b101", "5" },
		{ "0B_1", "1" },
		{ "1.5", "1.5" },
		{ "1_0.5", "10.5" },
		{ ".5", "0.5" },
		{ "5.", "5.0" },
		{ "5.0", "5.0" },
		{ "00.5", "0.5" },
		{ "1e3", "1000.0" },
		{ "1E3", "1000.0" },
		{ "1e+3", "1000.0" },
		{ "1e-7", "1e-07" },
		{ "1_0e1_0", "100000000000.0" },
		{ "0e0", "0.0" },
		{ "0xFFFFFFFFFFFFFFFF", "18446744073709551615" },
		{ "+5", "5" },
		{ "-5", "-5" },
		{ "- 5", "-5" },
		{ "-0", "0" },
		{ "-0.0", "-0.0" },
		{ "+0x10", "16" },
		{ "(5)", "5" },
		{ "( -5 )", "-5" },
		{ "((5))", "5" },
		{ "-(5)", "-5" },
		{ "(5,)", "(5,)" },
		{ "(5, 6)", "(5, 6)" },
		{ "5, 6", "(5, 6)" },
		{ "5,", "(5,)" },
		{ "()", "()" },
		{ "[]", "[]" },
		{ "{}", "{}" },
		{ "[1, 'a', None, True, ...]", "[1, 'a', None, True, Ellipsis]" },
		{ "[1, 2,]", "[1, 2]" },
		{ "[[1], (2,), ()]", "[[1], (2,), ()]" },
		{ "{5}", "{5}" },
		{ "('a')", "a" },
		{ "('a', )", "('a',)" },
		{ "'a'", "a" },
		{ "\"a\"", "a" },
		{ "''", "" },
		{ "\"\"", "" },
		{ "'a' 'b'", "ab" },
		{ "'a' \"b\" r'\\c'", "ab\\c" },
		{ "'it\\'s'", "it's" },
		{ "'a\\\\b'", "a\\b" },
		{ "'\\a\\b\\f\\n\\r\\t\\v\\\"'", "\x07\x08\f\n\x0d\t\x0b\"" },
		{ "'\\x41\\u20ac\\U0001f600'", "A\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "'\\x7E'", "~" },
		{ "'\\101\\60\\7\\377\\400'", "A0\x07\xc3\xbf\xc4\x80" },
		{ "'\\18'", "\x01"
			    "8" },
		{ "'\\q'", "\\q" },
		{ "r'\\n\\''", "\\n\\'" },
		{ "R'a'", "a" },
		{ "u'a'", "a" },
		{ "U'a'", "a" },
		{ "\"\"\"a\"\"\"", "a" },
		{ "'''it's'''", "it's" },
		{ "\"\"\"a\"b\"\"c\"\"\"", "a\"b\"\"c" },
		{ " 5 ", "5" },
		{ "\t5", "5" },
		{ "5 # five", "5" },
		{ "['a']", "['a']" },
		{ "[\"it's\", 'a\"b']", "[\"it's\", 'a\"b']" },
		{ "{'a'}", "{'a'}" },
		{ "-1.5", "-1.5" },
		{ "1e16", "1e+16" },
		{ "123456789.125", "123456789.125" },
		{ "\f5", "5" },
		{ "1e999", "inf" },
		{ "-1e999", "-inf" },
		{ "'\\ud7ff\\ue000\\uffff\\U00010000\\U0010ffff'",
		  "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
		{ "'\\1011\\7z'", "A1\x07z" },
		{ "{(1,)}", "{(1,)}" },
		{ "([1], 2)", "([1], 2)" },
		{ "[(1, [2]), 3]", "[(1, [2]), 3]" },
		{ "[[1], 2]", "[[1], 2]" },
		{ "(...,)", "(Ellipsis,)" },
		{ "'a' # b", "a" },
		{ "9", "9" },
		{ ".9", "0.9" },
		{ ".0", "0.0" },
		{ "0.9", "0.9" },
		{ "'\\-'", "\\-" },
		{ "'\\ '", "\\ " },
		{ "'\\8'", "\\8" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		if (hold(rows[i].left, rows[i].wanted) != POLICY_ALLOWED)
			fail_msg("%s is not \"%s\"", rows[i].left, rows[i].wanted);
		if (hold(rows[i].left, "found") != POLICY_REFUSED)
			fail_msg("%s is looked up in the creds", rows[i].left);
	}
}

static void an_expression_that_is_no_literal_is_looked_up_in_the_creds(void **state)
{
	static const char *const lefts[] = {
		"a",
		"a_b",
		"_a1",
		"\xc3\xa9",
		"a-b",
		"a - b",
		"-a",
		"+ a",
		"~a",
		"~5",
		"--5",
		"+-5",
		"-'a'",
		"-True",
		"not a",
		"not not a",
		"not True",
		"a and b",
		"a or b and c",
		"a in b",
		"a not in b",
		"a is b",
		"a is not b",
		"a < b",
		"a<=b",
		"a>b",
		"a >= b",
		"a == b",
		"a != b",
		"1 < 2 < 3",
		"a | b",
		"a ^ b",
		"a & b",
		"1 << 2",
		"a >> b << c",
		"a + b",
		"1 + 2",
		"a * b",
		"a // b",
		"a / b",
		"a % b",
		"a @ b",
		"a ** b",
		"2 ** -1",
		"-a ** b",
		"a()",
		"a(b)",
		"a(b, c,)",
		"a ( b )",
		"a[b]",
		"a[b, c]",
		"a[1][2](3)",
		"a if b else c",
		"a if b else c if d else e",
		"(a)",
		"(a, b)",
		"[a]",
		"[1, a]",
		"{a}",
		"(a if b else c)",
		"f'a'",
		"F\"a\"",
		"rf'a'",
		"fr'a'",
		"f'a' 'b'",
		"5 if True else 6",
		"(5)(6)",
		"[1][0]",
		"'a'[0]",
		"None or 5",
		"5 and 6",
		"'a' < 'b'",
		"sets(5)",
		"set",
		"classes",
		"a_b # remark",
		"a  +  b",
		"a_b and(c)",
		"[a, [1]]",
		"([1], a)",
		"(a, [1], 2)",
		"[a, 1]",
		"a if b or c else d",
		"a if b and c else d if e or f else g",
		"{(a, 1)}",
		"not a or b",
		"a**b",
		"a**-b",
		"a <b",
		"a|b",
		"a^b",
		"a [b]",
		"a (b)",
		"a not in b or c",
		"a is b",
		"a is not b",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lefts); i++) {
		if (hold(lefts[i], "found") != POLICY_ALLOWED)
			fail_msg("%s is not looked up", lefts[i]);
		assert_int_equal(hold(lefts[i], "lost"), POLICY_REFUSED);
	}
}

static void what_python_cannot_read_raises(void **state)
{
	static const char *const lefts[] = {
		"",
		"1x",
		"05",
		"0x",
		"0o8",
		"0b2",
		"0x_",
		"1_",
		"1__0",
		"_1__ 1",
		"1_.5",
		"1._5",
		"1e",
		"1e+",
		"1e_5",
		"0xg",
		"5a",
		"1.5.5",
		"5 6",
		"a b",
		"a+",
		"a +* b",
		"* a",
		"a.",
		"a..b",
		"a.if",
		"a.5",
		"(",
		"(a",
		"a)",
		"[",
		"[1",
		"[1 2]",
		"{1",
		"a[",
		"a[]",
		"a(",
		"a(b c)",
		",",
		"(,)",
		"[,]",
		"5,,",
		"a if b",
		"a if b else",
		"if",
		"else a",
		"class",
		"lambda",
		"for",
		"a and",
		"and a",
		"not",
		"a not b",
		"a is",
		"a in",
		"a < ",
		"a <> b",
		"a = b",
		"a ! b",
		"a $ b",
		"a ? b",
		"'a",
		"\"a",
		"'a\"",
		"'''a",
		"\"\"\"a",
		"\"\"\"a\"",
		"'\\x4'",
		"'\\xg1'",
		"'\\u20a'",
		"'\\U0001f60'",
		"'\\N'",
		"'\\N{DASH}",
		"'\\'",
		"'a\\",
		"r'\\'",
		"bu'a'",
		"ur'a'",
		"uf'a'",
		"rr'a'",
		"ff'a'",
		"uu'a'",
		"fu'a'",
		"'a'b",
		"'a' b'c'",
		"'a' 5",
		"`a`",
		"5\xc3\xa9",
		"\xe2\x82\xac",
		"a\xe2\x82\xac",
		"#",
		" ",
		".",
		"(.)",
		".@5",
		".<5",
		".a",
		"..",
		"'a\rb'",
		"'a\nb'",
		"r'\\",
		"'\\",
		"r'a",
		"5\xc2\xb7",
		"5 in",
		"a is not",
		"a if b for c else d",
		"- ",
		"2 **",
		"a[b",
		"(a if b)",
		"a.b.",
		"a in not b",
		"a + not b",
		"a == not b",
		"- not a",
		"a ** not b",
		"1b0",
		"2x1",
		"5o7",
		"'\\U00110000'",
		"'\\Uffffffff'",
		"a +",
		"a or",
		"a not is b",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lefts); i++)
		if (hold(lefts[i], "found") != POLICY_RAISED)
			fail_msg("\"%s\" does not raise", lefts[i]);
}

/* Python reads these, and they are not read here: then nobody may be granted anything by them. */
static void what_only_python_can_read_is_never_granted(void **state)
{
	static const struct {
		const char *left;
		const char *printed;
	} rows[] = {
		{ "b'a'", "b'a'" },
		{ "b'a'", "a" },
		{ "B'a'", "a" },
		{ "rb'a'", "a" },
		{ "Rb'a'", "a" },
		{ "br'a'", "a" },
		{ "b'a' b'b'", "ab" },
		{ "5j", "5j" },
		{ "5.0J", "5j" },
		{ "5+0j", "(5+0j)" },
		{ "{1, 2}", "{1, 2}" },
		{ "set()", "set()" },
		{ "[*(1, 2)]", "[1, 2]" },
		{ "'\\x00'", "" },
		{ "'\\0'", "" },
		{ "'\\000'", "" },
		{ "'\\u0000a'", "a" },
		{ "'\\ud800'", "\xef\xbf\xbd" },
		{ "'\\udfff'", "\xef\xbf\xbd" },
		{ "0x10000000000000000", "18446744073709551616" },
		{ "f'{5}'", "5" },
		{ "{[1]}", "found" },
		{ "{([1],)}", "found" },
		{ "{(1, [2])}", "found" },
		{ "{{1}}", "found" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		if (hold(rows[i].left, rows[i].printed) != POLICY_RAISED)
			fail_msg("%s does not raise", rows[i].left);
}

static char *repeat(const char *piece, size_t times, const char *behind)
{
	struct text text = TEXT_EMPTY;

	for (size_t i = 0; i < times; i++)
		text_append(&text, piece);
	text_append(&text, behind);
	return text_take(&text);
}

/* Python prints no integer of more digits. */
static void an_integer_of_more_than_4300_digits_raises(void **state)
{
	CLEANUP_FREE char *most = repeat("7", 4300, "");
	CLEANUP_FREE char *beyond = repeat("7", 4301, "");

	(void)state;
	assert_int_equal(hold(most, most), POLICY_ALLOWED);
	assert_int_equal(hold(beyond, beyond), POLICY_RAISED);
}

/* Those of Python 3.11, whatever they stand behind or before. */
static void a_keyword_is_no_name(void **state)
{
	static const char *const keywords[] = { "False",  "None",     "True",  "and",    "as",       "assert",
						"async",  "await",    "break", "class",  "continue", "def",
						"del",    "elif",     "else",  "except", "finally",  "for",
						"from",   "global",   "if",    "import", "in",       "is",
						"lambda", "nonlocal", "not",   "or",     "pass",     "raise",
						"return", "try",      "while", "with",   "yield" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(keywords); i++) {
		CLEANUP_FREE char *below = text_format("a.%s", keywords[i]);
		CLEANUP_FREE char *longer = text_format("%s_", keywords[i]);
		bool is_literal = strchr("TFN", *keywords[i]) != NULL;

		if (hold(keywords[i], "found") != (is_literal ? POLICY_REFUSED : POLICY_RAISED))
			fail_msg("%s", keywords[i]);
		assert_int_equal(hold(below, "found"), POLICY_RAISED);
		assert_int_equal(hold(longer, "found"), POLICY_ALLOWED);
	}
}

/* A path is cut at its dots alone, so it is not there; but it is read. */
static void blanks_may_stand_around_the_dots_of_a_path(void **state)
{
	static const char *const lefts[] = { "a . b", "a .b", "a. b", "a.b .c", "a() . b" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lefts); i++)
		assert_int_equal(hold(lefts[i], "found"), POLICY_REFUSED);
}

/* What some other call left behind in errno is no number's fault. */
static void an_earlier_error_is_not_taken_for_a_numbers(void **state)
{
	(void)state;
	errno = ERANGE;
	assert_int_equal(hold("0x1F", "31"), POLICY_ALLOWED);
}

/* Nesting is counted, not what stands side by side. */
static void what_is_long_and_not_deep_is_read(void **state)
{
	static const struct {
		const char *piece;
		const char *behind;
		const char *match;
	} rows[] = {
		{ "a + ", "a", "found" },
		{ "a and not b or ", "a", "found" },
		{ "-a * ", "a", "found" },
		{ "a ** b - ", "a", "found" },
		{ "(a) | ", "a", "found" },
		{ "a(b)[c] < ", "a", "found" },
		{ "(a if b else c) + ", "a", "found" },
		{ "a if b else c, ", "a", "found" },
		{ "'a' ", "''", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_FREE char *left = repeat(rows[i].piece, 300, rows[i].behind);
		CLEANUP_FREE char *letters = repeat("a", 300, "");

		if (hold(left, rows[i].match ? rows[i].match : letters) != POLICY_ALLOWED)
			fail_msg("300 times \"%s\"", rows[i].piece);
	}
}

/* A rule that is read now must be read by the next version. */
static void an_expression_is_read_to_its_depth_and_raises_below_it(void **state)
{
	static const struct {
		const char *piece;
		const char *innermost;
		const char *closing;
		size_t deepest;
	} rows[] = {
		{ "(", "a", ")", 31 },    { "[", "a", "]", 31 },
		{ "{", "a", "}", 31 },    { "-", "a", "", 62 },
		{ "~", "a", "", 62 },     { "not ", "a", "", 62 },
		{ "a(", "a", ")", 31 },   { "a[", "a", "]", 31 },
		{ "a ** ", "a", "", 62 }, { "a if a else ", "a", "", 62 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		size_t depth = 0;
		enum policy_verdict verdict = POLICY_ALLOWED;

		while (verdict == POLICY_ALLOWED && ++depth < 200) {
			CLEANUP_FREE char *closing = repeat(rows[i].closing, depth, "");
			CLEANUP_FREE char *behind = text_format("%s%s", rows[i].innermost, closing);
			CLEANUP_FREE char *left = repeat(rows[i].piece, depth, behind);

			verdict = hold(left, "found");
		}
		if (verdict != POLICY_RAISED || depth - 1 != rows[i].deepest)
			fail_msg("\"%s\" is read %zu times", rows[i].piece, depth - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_literal_is_compared_as_python_prints_it),
		cmocka_unit_test(an_expression_that_is_no_literal_is_looked_up_in_the_creds),
		cmocka_unit_test(what_python_cannot_read_raises),
		cmocka_unit_test(what_only_python_can_read_is_never_granted),
		cmocka_unit_test(an_integer_of_more_than_4300_digits_raises),
		cmocka_unit_test(what_is_long_and_not_deep_is_read),
		cmocka_unit_test(a_keyword_is_no_name),
		cmocka_unit_test(blanks_may_stand_around_the_dots_of_a_path),
		cmocka_unit_test(an_earlier_error_is_not_taken_for_a_numbers),
		cmocka_unit_test(an_expression_is_read_to_its_depth_and_raises_below_it),
	};

	return cmocka_run_group_tests_name("policy_literal", tests, NULL, NULL);
}
