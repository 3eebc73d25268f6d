/* The right side of a check, Python's `R % target`: what is granted by it must be what Python makes of it, byte for byte, and what
 * Python cannot make raises. The wanted texts are Python's own. */
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

static const char target_text[] =
	"{\"text\":\"abc\",\"euro\":\"\\u20ac\",\"accent\":\"\\u00e9\",\"smile\":\"\\ud83d\\ude00\","
	"\"long\":\"a\\u00e9\\u20ac\\ud83d\\ude00z\",\"n\":31,\"negative\":-31,\"zero\":0,"
	"\"least\":-9223372036854775808,\"greatest\":9223372036854775807,\"real\":2.5,"
	"\"negative_real\":-2.5,\"negative_zero\":-0.0,\"yes\":true,\"no\":false,\"none\":null,"
	"\"tiny\":0.00001,\"below\":0.000099,\"from\":0.0001,\"whole\":100000.0,\"large\":1e15,"
	"\"beyond\":1e16,\"third\":0.3333333333333333,\"tenth\":0.1,\"most\":1.7976931348623157e308,"
	"\"minus\":-1e22,\"huge\":1e100,\"thousandth\":0.001,\"hundred\":100.0,"
	"\"nine\":9.999999999999999e22,\"denormal\":5e-324,\"minus_small\":-1.5e-7,"
	"\"list\":[\"a\",1,null,[true,false]],\"object\":{\"k\":\"v\",\"l\":[1.5]},\"no_list\":[],"
	"\"no_object\":{},\"nested\":{\"a\":{\"b\":\"it's\"},\"c\":null},\"quote\":\"it's\","
	"\"quotes\":\"it's \\\"x\\\"\",\"double\":\"\\\"x\\\"\",\"backslash\":\"a\\\\b\","
	"\"controls\":\"a\\tb\\n\\r\\u0001\\u007f\\u0085\",\"blank\":\"a b\",\"blanks\":\"\\u00a0\\u3000\\u2003\","
	"\"soft\":\"\\u00ad\",\"private\":\"\\ue000\",\"line\":\"\\u2028\",\"empty\":\"\",\"letter\":\"a\",\"sixty\":"
	"60,"
	"\"last\":127,\"one\":1,\"a(b)c\":\"brackets\",\"\":\"nameless\""
	",\"edges\": \"\\u00ff\\u0100\\u07ff\\u0800\\u0e01\\uff21\\ud800\\udc00\\udbbf\\udfff\", \"past\": "
	"\"\\ufffe\\udb40\\udc01\""
	",\"hidden\":\"\\ud804\\udcbd\"}";

static int read_target(void **state)
{
	*state = json_loads(target_text, 0, NULL);
	return *state ? 0 : -1;
}

static int free_target(void **state)
{
	json_decref(*state);
	return 0;
}

/* The verdict on `value:FORMAT` about a caller whose value is `wanted`. */
static enum policy_verdict hold(const char *format, const char *wanted, const json_t *target)
{
	CLEANUP_FREE char *check = text_format("value:%s", format);
	json_t *credentials = json_pack("{s:s}", "value", wanted);
	enum policy_verdict verdict = judge_check(check, credentials, target);

	json_decref(credentials);
	return verdict;
}

static void a_right_side_becomes_what_python_makes_of_it(void **state)
{
	static const struct {
		const char *format;
		const char *wanted;
	} rows[] = {
		{ "%(text)s", "abc" },
		{ "%(text)5s", "  abc" },
		{ "%(text)-5s", "abc  " },
		{ "%(text)05s", "  abc" },
		{ "%(text)+s", "abc" },
		{ "%(text).2s", "ab" },
		{ "%(text)5.1s", "    a" },
		{ "%(text).0s", "" },
		{ "%(text)r", "'abc'" },
		{ "%(text)a", "'abc'" },
		{ "%(text)ls", "abc" },
		{ "%(text)hs", "abc" },
		{ "%(text)Ls", "abc" },
		{ "%(euro)4s", "   \xe2\x82\xac" },
		{ "%(euro)-4s", "\xe2\x82\xac   " },
		{ "%(euro).1s", "\xe2\x82\xac" },
		{ "%(euro)a", "'\\u20ac'" },
		{ "%(euro)r", "'\xe2\x82\xac'" },
		{ "%(accent)a", "'\\xe9'" },
		{ "%(accent)r", "'\xc3\xa9'" },
		{ "%(smile)a", "'\\U0001f600'" },
		{ "%(smile)r", "'\xf0\x9f\x98\x80'" },
		{ "%(smile)2s", " \xf0\x9f\x98\x80" },
		{ "%(long)a", "'a\\xe9\\u20ac\\U0001f600z'" },
		{ "%(n)d", "31" },
		{ "%(n)i", "31" },
		{ "%(n)u", "31" },
		{ "%(n)5d", "   31" },
		{ "%(n)-5d", "31   " },
		{ "%(n)05d", "00031" },
		{ "%(n)+d", "+31" },
		{ "%(n) d", " 31" },
		{ "%(n)+05d", "+0031" },
		{ "%(n) 05d", " 0031" },
		{ "%(n)-05d", "31   " },
		{ "%(n).4d", "0031" },
		{ "%(n)6.4d", "  0031" },
		{ "%(n)06.4d", "000031" },
		{ "%(n)+.4d", "+0031" },
		{ "%(n).0d", "31" },
		{ "%(zero).0d", "0" },
		{ "%(n).d", "31" },
		{ "%(n)x", "1f" },
		{ "%(n)X", "1F" },
		{ "%(n)o", "37" },
		{ "%(n)#x", "0x1f" },
		{ "%(n)#X", "0X1F" },
		{ "%(n)#o", "0o37" },
		{ "%(n)#08x", "0x00001f" },
		{ "%(n)#8x", "    0x1f" },
		{ "%(n)-#8x", "0x1f    " },
		{ "%(n)#.6x", "0x00001f" },
		{ "%(n)+#x", "+0x1f" },
		{ "%(n)#d", "31" },
		{ "%(n)s", "31" },
		{ "%(n)r", "31" },
		{ "%(n)a", "31" },
		{ "%(zero)d", "0" },
		{ "%(zero)#x", "0x0" },
		{ "%(zero)o", "0" },
		{ "%(negative)d", "-31" },
		{ "%(negative)5d", "  -31" },
		{ "%(negative)05d", "-0031" },
		{ "%(negative)-5d", "-31  " },
		{ "%(negative)+d", "-31" },
		{ "%(negative)x", "-1f" },
		{ "%(negative)#X", "-0X1F" },
		{ "%(negative)#o", "-0o37" },
		{ "%(negative) d", "-31" },
		{ "%(negative).4d", "-0031" },
		{ "%(least)d", "-9223372036854775808" },
		{ "%(greatest)d", "9223372036854775807" },
		{ "%(least)x", "-8000000000000000" },
		{ "%(real)d", "2" },
		{ "%(real)i", "2" },
		{ "%(real)u", "2" },
		{ "%(negative_real)d", "-2" },
		{ "%(real)f", "2.500000" },
		{ "%(real)F", "2.500000" },
		{ "%(real)e", "2.500000e+00" },
		{ "%(real)E", "2.500000E+00" },
		{ "%(real)g", "2.5" },
		{ "%(real)G", "2.5" },
		{ "%(real).0f", "2" },
		{ "%(real)#.0f", "2." },
		{ "%(real).1f", "2.5" },
		{ "%(real)8.1f", "     2.5" },
		{ "%(real)-8.1f", "2.5     " },
		{ "%(real)08.1f", "000002.5" },
		{ "%(real)+.1f", "+2.5" },
		{ "%(real) .1f", " 2.5" },
		{ "%(real)#.0e", "2.e+00" },
		{ "%(real)#.0E", "2.E+00" },
		{ "%(real)#g", "2.50000" },
		{ "%(real)#G", "2.50000" },
		{ "%(real)#.0F", "2." },
		{ "%(negative_real).1f", "-2.5" },
		{ "%(negative_real)08.1f", "-00002.5" },
		{ "%(negative_real)+.1f", "-2.5" },
		{ "%(negative_real)e", "-2.500000e+00" },
		{ "%(negative_zero).0f", "-0" },
		{ "%(negative_zero)s", "-0.0" },
		{ "%(n)f", "31.000000" },
		{ "%(n).1e", "3.1e+01" },
		{ "%(yes)f", "1.000000" },
		{ "%(yes)d", "1" },
		{ "%(no)d", "0" },
		{ "%(yes)x", "1" },
		{ "%(yes)s", "True" },
		{ "%(no)s", "False" },
		{ "%(yes)r", "True" },
		{ "%(none)s", "None" },
		{ "%(none)r", "None" },
		{ "%(none)5s", " None" },
		{ "%(none).2s", "No" },
		{ "%(tiny)s", "1e-05" },
		{ "%(tiny)g", "1e-05" },
		{ "%(below)s", "9.9e-05" },
		{ "%(from)s", "0.0001" },
		{ "%(whole)s", "100000.0" },
		{ "%(large)s", "1000000000000000.0" },
		{ "%(beyond)s", "1e+16" },
		{ "%(third)s", "0.3333333333333333" },
		{ "%(tenth)s", "0.1" },
		{ "%(most)s", "1.7976931348623157e+308" },
		{ "%(minus)s", "-1e+22" },
		{ "%(huge)G", "1E+100" },
		{ "%(huge)g", "1e+100" },
		{ "%(huge)s", "1e+100" },
		{ "%(thousandth)s", "0.001" },
		{ "%(hundred)s", "100.0" },
		{ "%(nine)s", "1e+23" },
		{ "%(denormal)s", "5e-324" },
		{ "%(minus_small)s", "-1.5e-07" },
		{ "%(list)s", "['a', 1, None, [True, False]]" },
		{ "%(list)r", "['a', 1, None, [True, False]]" },
		{ "%(object)s", "{'k': 'v', 'l': [1.5]}" },
		{ "%(object)r", "{'k': 'v', 'l': [1.5]}" },
		{ "%(object)a", "{'k': 'v', 'l': [1.5]}" },
		{ "%(no_list)s", "[]" },
		{ "%(no_object)s", "{}" },
		{ "%(list).3s", "['a" },
		{ "%(nested)s", "{'a': {'b': \"it's\"}, 'c': None}" },
		{ "%(quote)s", "it's" },
		{ "%(quote)r", "\"it's\"" },
		{ "%(quotes)r", "'it\\'s \"x\"'" },
		{ "%(double)r", "'\"x\"'" },
		{ "%(backslash)r", "'a\\\\b'" },
		{ "%(controls)r", "'a\\tb\\n\\r\\x01\\x7f\\x85'" },
		{ "%(blank)r", "'a b'" },
		{ "%(blanks)r", "'\\xa0\\u3000\\u2003'" },
		{ "%(soft)r", "'\\xad'" },
		{ "%(private)r", "'\\ue000'" },
		{ "%(line)r", "'\\u2028'" },
		{ "%(empty)r", "''" },
		{ "%(empty)s", "" },
		{ "%(empty)3s", "   " },
		{ "%(soft)a", "'\\xad'" },
		{ "%(controls)a", "'a\\tb\\n\\r\\x01\\x7f\\x85'" },
		{ "%(letter)c", "a" },
		{ "%(letter)3c", "  a" },
		{ "%(letter)-3c", "a  " },
		{ "%(euro)c", "\xe2\x82\xac" },
		{ "%(sixty)c", "<" },
		{ "%(sixty)3c", "  <" },
		{ "%(last)c", "\x7f" },
		{ "%(one)c", "\x01" },
		{ "100%%", "100%" },
		{ "%%", "%" },
		{ "a%%b%(text)s", "a%babc" },
		{ "%(text)s%%", "abc%" },
		{ "%(text)s-%(n)d-%(text)s", "abc-31-abc" },
		{ "x%(text)s", "xabc" },
		{ "%(text)sx", "abcx" },
		{ "%(a(b)c)s", "brackets" },
		{ "%()s", "nameless" },
		{ "%(text)s%(text)s", "abcabc" },
		{ "%(yes)c", "\x01" },
		{ "%(accent)c", "\xc3\xa9" },
		{ "%(smile)c", "\xf0\x9f\x98\x80" },
		{ "%(text)-+ #05s", "abc  " },
		{ "%(text)+-5s", "abc  " },
		{ "%(n)-+5d", "+31  " },
		{ "%(n)+ d", "+31" },
		{ "%(n) +d", "+31" },
		{ "%(n)0+5d", "+0031" },
		{ "%(n)#+5x", "+0x1f" },
		{ "%(text)6.5s", "   abc" },
		{ "%(letter)03c", "  a" },
		{ "%(sixty)03c", "  <" },
		{ "%(edges)a", "'\\xff\\u0100\\u07ff\\u0800\\u0e01\\uff21\\U00010000\\U000fffff'" },
		{ "%(edges)s",
		  "\xc3\xbf\xc4\x80\xdf\xbf\xe0\xa0\x80\xe0\xb8\x81\xef\xbc\xa1\xf0\x90\x80\x80\xf3\xbf\xbf\xbf" },
		{ "%(past)r", "'\\ufffe\\U000e0001'" },
		{ "%(past)a", "'\\ufffe\\U000e0001'" },
		{ "%(empty)1s", " " },
		{ "%(hidden)r", "'\\U000110bd'" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_FREE char *other = text_format("%s.", rows[i].wanted);

		if (hold(rows[i].format, rows[i].wanted, *state) != POLICY_ALLOWED)
			fail_msg("%s is not \"%s\"", rows[i].format, rows[i].wanted);
		assert_int_equal(hold(rows[i].format, other, *state), POLICY_REFUSED);
	}
}

static void a_right_side_that_python_cannot_make_raises(void **state)
{
	static const char *const formats[] = {
		"%(text)d",
		"%(text)x",
		"%(text)f",
		"%(text)g",
		"%(text)c",
		"%(list)d",
		"%(list)f",
		"%(none)d",
		"%(none)f",
		"%(none)c",
		"%(real)x",
		"%(real)X",
		"%(real)o",
		"%(real)c",
		"%(empty)c",
		"%(negative)c",
		"%(text)y",
		"%(text)z",
		"%(text)",
		"%(text)5",
		"%(text).",
		"%(text)l",
		"%(text)ll",
		"%(text)lls",
		"%(text",
		"%(a(b)s",
		"%(a(b)cs",
		"%",
		"%5",
		"%z",
		"%(text)s%",
		"%*d",
		"%*s",
		"%(n)*d",
		"%(n).*d",
		"%d",
		"%x",
		"%c",
		"%f",
		"%s%s",
		"%r%s",
		"%(text)s%s",
		"%5%",
		"%(text)%",
		"%-%",
		"% %",
		"%z%(gone)s",
		"%(gone",
		"%(text)d%(gone)s",
		"%(none)d%(gone)s",
		"%(n)1$d",
		"%(text)b",
		"%(n)B",
		"%(text)n",
		"%(huge)x",
		"%(text).5.5s",
		"%h",
		"%(text)h",
		"%(text)Lq",
		"%s%d",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(formats); i++)
		if (hold(formats[i], "abc", *state) != POLICY_RAISED)
			fail_msg("%s does not raise", formats[i]);
}

/* Whatever stands behind it: Python has given up there. */
static void a_key_that_the_target_has_not_refuses(void **state)
{
	static const char *const formats[] = {
		"%(gone)s",         "%(gone)d",  "%(gone)z",  "%(gone)s%",  "%(gone)s%z",
		"%(text)s%(gone)s", "x%(gone)s", "%(gone)sx", "%s%(gone)s", "%(Text)s",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(formats); i++)
		if (hold(formats[i], "abc", *state) != POLICY_REFUSED)
			fail_msg("%s does not refuse", formats[i]);
}

/* A text that is as long as can be asked for: no creds are longer. */
static void a_width_or_precision_of_more_than_4096_raises(void **state)
{
	static const struct {
		const char *front, *end; /* of the format, around the number */
		const char *fill;
		const char *before, *behind; /* of the result, around the fill */
		size_t more; /* characters than the number: a precision counts digits alone */
	} rows[] = {
		{ "%(text)", "s", " ", "", "abc", 0 }, { "%(text)-", "s", " ", "abc", "", 0 },
		{ "%(n)", "d", " ", "", "31", 0 },     { "%(n)0", "d", "0", "", "31", 0 },
		{ "%(n).", "d", "0", "", "31", 0 },    { "%(n)#.", "x", "0", "0x", "1f", 2 },
		{ "%(letter)", "c", " ", "", "a", 0 }, { "%(negative).", "o", "0", "-", "37", 1 },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_FREE char *most = text_format("%s4096%s", rows[i].front, rows[i].end);
		CLEANUP_FREE char *beyond = text_format("%s4097%s", rows[i].front, rows[i].end);
		CLEANUP_FREE char *far_beyond = text_format("%s99999999999%s", rows[i].front, rows[i].end);
		CLEANUP_TEXT struct text wanted = TEXT_EMPTY;

		text_append(&wanted, rows[i].before);
		while (wanted.length + strlen(rows[i].behind) < 4096 + rows[i].more)
			text_append(&wanted, rows[i].fill);
		text_append(&wanted, rows[i].behind);
		assert_int_equal(hold(most, wanted.data, *state), POLICY_ALLOWED);
		assert_int_equal(hold(beyond, wanted.data, *state), POLICY_RAISED);
		assert_int_equal(hold(far_beyond, wanted.data, *state), POLICY_RAISED);
	}
	assert_int_equal(hold("%(text).4096s", "abc", *state), POLICY_ALLOWED);
	assert_int_equal(hold("%(text).4097s", "abc", *state), POLICY_RAISED);
}

/* Python would print any real number as an integer, and chr() any; more than is needed here raises. */
static void a_number_beyond_what_is_known_here_is_never_granted(void **state)
{
	(void)state;
	json_t *target = json_pack("{s:f, s:f, s:f, s:f, s:i, s:i, s:f}", "most", 8.5e18, "least", -8.5e18, "beyond",
				   9.5e18, "below", -9.5e18, "zero", 0, "accent", 233, "edge", 9e18);

	assert_int_equal(hold("%(most)d", "8500000000000000000", target), POLICY_ALLOWED);
	assert_int_equal(hold("%(least)d", "-8500000000000000000", target), POLICY_ALLOWED);
	assert_int_equal(hold("%(beyond)d", "9500000000000000000", target), POLICY_RAISED);
	assert_int_equal(hold("%(below)d", "-9500000000000000000", target), POLICY_RAISED);
	assert_int_equal(hold("%(edge)d", "9000000000000000000", target), POLICY_RAISED);
	assert_int_equal(hold("%(zero)c", "", target), POLICY_RAISED);
	assert_int_equal(hold("%(accent)c", "\xc3\xa9", target), POLICY_RAISED);
	json_decref(target);
}

static void a_bare_conversion_takes_the_whole_target(void **state)
{
	static const struct {
		const char *target;
		const char *format;
		const char *wanted;
	} rows[] = {
		{ "{}", "%s", "{}" },
		{ "{\"a\": \"b\"}", "%s", "{'a': 'b'}" },
		{ "{\"a\": [1, null]}", "%r", "{'a': [1, None]}" },
		{ "{\"a\": \"\xc3\xa9\"}", "%a", "{'a': '\\xe9'}" },
		{ "{\"a\": \"b\"}", "%.4s", "{'a'" },
		{ "{\"a\": \"b\"}", "%12s", "  {'a': 'b'}" },
		{ "{\"a\": \"b\"}", "x%sy%%", "x{'a': 'b'}y%" },
		{ "{\"a\": \"b\"}", "%s%(a)s", "{'a': 'b'}b" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		json_t *target = json_loads(rows[i].target, 0, NULL);

		if (hold(rows[i].format, rows[i].wanted, target) != POLICY_ALLOWED)
			fail_msg("%s of %s is not \"%s\"", rows[i].format, rows[i].target, rows[i].wanted);
		json_decref(target);
	}
}

/* The same of a target that the service itself has made. */
static void a_servers_owner_prints_as_a_dict_too(void **state)
{
	const struct {
		struct policy_target target;
		const char *wanted;
	} rows[] = {
		{ policy_target_nothing(), "{}" },
		{ policy_target_project("it's"), "{'project_id': \"it's\"}" },
		{ policy_target_project(NULL), "{'project_id': None}" },
		{ policy_target_owner("p", "u"), "{'project_id': 'p', 'user_id': 'u'}" },
		{ policy_target_owner("p", NULL), "{'project_id': 'p', 'user_id': None}" },
	};
	struct policy *policy = make_check("user_id:%s");
	struct policy *others = make_check("user_id:%(u)s");
	struct policy *missing = make_check("user_id:%(user_id)s");

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct caller caller = { .user_id = rows[i].wanted };

		assert_int_equal(policy_check(policy, CHECKED, &caller, &rows[i].target, NULL), POLICY_ALLOWED);
	}
	/* It has no other keys, and only those that it was given. */
	const struct caller caller = { .user_id = "u" };
	const struct policy_target owner = policy_target_owner("u", "u"), project = policy_target_project("u");

	assert_int_equal(policy_check(others, CHECKED, &caller, &owner, NULL), POLICY_REFUSED);
	assert_int_equal(policy_check(missing, CHECKED, &caller, &project, NULL), POLICY_REFUSED);
	assert_int_equal(policy_check(missing, CHECKED, &caller, &owner, NULL), POLICY_ALLOWED);
	policy_destroy(policy);
	policy_destroy(others);
	policy_destroy(missing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_right_side_becomes_what_python_makes_of_it),
		cmocka_unit_test(a_right_side_that_python_cannot_make_raises),
		cmocka_unit_test(a_key_that_the_target_has_not_refuses),
		cmocka_unit_test(a_width_or_precision_of_more_than_4096_raises),
		cmocka_unit_test(a_number_beyond_what_is_known_here_is_never_granted),
		cmocka_unit_test(a_bare_conversion_takes_the_whole_target),
		cmocka_unit_test(a_servers_owner_prints_as_a_dict_too),
	};

	return cmocka_run_group_tests_name("policy_format", tests, read_target, free_target);
}
