/* A policy set as a whole: how far its rules may refer to each other, how many there may be, and what it can do without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "api/auth/policy_tree.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "policy_fixture.h"

static void rules_without_a_file_are_told_without_a_place(void **state)
{
	static const struct rule_text rules[] = { { "move", "\"admin\"" }, { "move", "\"@\"" }, { "mov", "\"!\"" } };
	CLEANUP_TEXT struct text reports = TEXT_EMPTY;
	struct policy *policy = load_rules(rules, ARRAY_LENGTH(rules), NULL, &reports);
	unsigned int line = 0;

	(void)state;
	assert_non_null(strstr(reports.data,
			       "\npolicy move: the rule is given again in policies:2, and only that one counts\n"
			       "policy move: everybody may do it: the rule grants it to whoever asks\n"
			       "policy mov: nothing here asks for a policy of this name; did you mean move?\n"));
	assert_null(policy_origin(policy, "move", &line));
	assert_int_equal(line, 2);
	policy_destroy(policy);
}

/* move: rule:0, 0: rule:1, ..., and the last one `innermost`. */
static struct policy *load_chain(size_t length, const char *innermost, struct text *reports)
{
	CLEANUP_FREE struct rule_text *rules = calloc(length + 1, sizeof(*rules));
	CLEANUP_FREE char *texts = calloc(length + 1, 64);
	struct policy *policy;

	for (size_t i = 0; i <= length; i++) {
		char *name = texts + i * 64, *value = name + 32;

		snprintf(name, 32, "%zu", i - 1);
		snprintf(value, 32, "\"rule:%zu\"", i);
		rules[i] = (struct rule_text){ i ? name : "move", i < length ? value : innermost };
	}
	policy = load_rules(rules, length + 1, "f", reports);
	return policy;
}

static const char *const mover_roles[] = { "mover" };
static const struct caller mover = { .roles = mover_roles, .role_count = 1 };

static enum policy_verdict verdict_of(const struct policy *policy, const char *name)
{
	const struct policy_target target = policy_target_nothing();

	return policy_check(policy, name, &mover, &target, NULL);
}

static void rules_that_refer_too_far_are_told_and_grant_nothing(void **state)
{
	(void)state;
	for (size_t length = 328; length <= 329; length++) {
		CLEANUP_TEXT struct text reports = TEXT_EMPTY;
		CLEANUP_TEXT struct text faults = TEXT_EMPTY;
		struct policy *policy = load_chain(length, "\"role:mover\"", &reports);
		struct error error = { 0 };

		assert_int_equal(verdict_of(policy, "move"), length == 328 ? POLICY_ALLOWED : POLICY_RAISED);
		assert_int_equal(policy_find_faults(policy, gather_line, &faults, &error), 0);
		if (length == 328) {
			assert_null(reports.data);
			assert_null(faults.data);
		} else {
			assert_string_equal(
				reports.data,
				"f:1: policy move: it can never grant where it goes round in a circle of rules\n");
			assert_string_equal(faults.data, "f:1: policy move: it goes round in a circle of rules, or too "
							 "deep, by rule:328; to let nobody do it, write \"!\"\n");
		}
		policy_destroy(policy);
	}
}

/* Also where many rules have to find each other. */
static void each_of_five_thousand_rules_is_found_by_its_own_name(void **state)
{
	enum { COUNT = 5000 };
	CLEANUP_FREE struct rule_text *rules = calloc(COUNT, sizeof(*rules));
	CLEANUP_FREE char *texts = calloc(COUNT, 64);

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		char *name = texts + i * 64, *value = name + 32;

		snprintf(name, 32, "rule-%zu", i);
		snprintf(value, 32, "\"role:%zu\"", i);
		rules[i] = (struct rule_text){ name, value };
	}
	struct policy *policy = load_rules(rules, COUNT, "f", NULL);

	for (size_t i = 0; i < COUNT; i++) {
		CLEANUP_FREE char *wanted = text_format("role:%zu", i);
		CLEANUP_TEXT struct text found = TEXT_EMPTY;
		unsigned int line = 0;

		assert_true(policy_print(policy, rules[i].name, &found));
		assert_string_equal(found.data, wanted);
		assert_string_equal(policy_origin(policy, rules[i].name, &line), "f");
		assert_int_equal(line, i + 1);
		assert_string_equal(policy_name(policy, DEFAULT_COUNT + i), rules[i].name);
	}
	assert_null(policy_name(policy, DEFAULT_COUNT + COUNT));
	policy_destroy(policy);
}

/* Which a set that is made of other defaults may lack. */
static void without_the_rule_context_is_admin_nobody_is_admin(void **state)
{
	static const char *const roles[] = { "admin" };
	static const struct rule_text rules[] = { { "move", "\"is_admin:True\"" }, { "show", "\"is_admin:False\"" } };
	const struct caller admin = { .roles = roles, .role_count = 1 };
	const struct policy_target target = policy_target_nothing();
	struct policy *policy = load_rules(rules, ARRAY_LENGTH(rules), "f", NULL);

	(void)state;
	assert_false(policy_is_admin(policy, &admin));
	assert_int_equal(policy_check(policy, "move", &admin, &target, NULL), POLICY_REFUSED);
	assert_int_equal(policy_check(policy, "show", &admin, &target, NULL), POLICY_ALLOWED);
	policy_destroy(policy);
}

static char *repeat(const char *before, size_t times, const char *middle, const char *behind)
{
	struct text text = TEXT_EMPTY;

	text_append(&text, "\"");
	for (size_t i = 0; i < times; i++)
		text_append(&text, before);
	text_append(&text, middle);
	for (size_t i = 0; i < times; i++)
		text_append(&text, behind);
	text_append(&text, "\"");
	return text_take(&text);
}

/* In the first rule of a set and in its last one. */
/* As far as that is worth to be told: each reference on the way is an operator's own. */
static void an_open_door_is_seen_through_seven_references(void **state)
{
	(void)state;
	for (size_t length = 7; length <= 8; length++) {
		CLEANUP_TEXT struct text reports = TEXT_EMPTY;
		struct policy *policy = load_chain(length, "\"@\"", &reports);
		bool is_told = text_starts_with(reports.data, "f:1: policy move: everybody may do it");

		assert_true(is_told == (length == 7));
		policy_destroy(policy);
		/* Or through as many brackets. */
		CLEANUP_TEXT struct text others = TEXT_EMPTY;
		CLEANUP_FREE char *value = repeat("(@ and (! or ", length / 2, length == 7 ? "(@ and @)" : "@", "))");
		const struct rule_text rule = { "move", value };

		policy = load_rules(&rule, 1, "f", &others);
		is_told = text_starts_with(others.data ? others.data : "", "f:1: policy move: everybody may do it");
		assert_true(is_told == (length == 7));
		policy_destroy(policy);
	}
}

/* Each refers to the next one twice: whoever goes each way by itself comes to no end. */
static void rules_that_meet_again_and_again_are_no_circle(void **state)
{
	enum { COUNT = 60 };
	struct rule_text rules[COUNT];
	char texts[COUNT][2][48];
	CLEANUP_TEXT struct text reports = TEXT_EMPTY;
	CLEANUP_TEXT struct text faults = TEXT_EMPTY;
	struct error error = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		snprintf(texts[i][0], sizeof(texts[i][0]), "%zu", i);
		snprintf(texts[i][1], sizeof(texts[i][1]), "\"not rule:%zu and rule:%zu\"", i + 1, i + 1);
		rules[i] = (struct rule_text){ i ? texts[i][0] : "move", i + 1 < COUNT ? texts[i][1] : "\"role:a\"" };
	}
	struct policy *policy = load_rules(rules, COUNT, "f", &reports);

	assert_null(reports.data);
	assert_int_equal(policy_find_faults(policy, gather_line, &faults, &error), 0);
	assert_null(faults.data);
	assert_true(policy_references_hold(policy));
	policy_destroy(policy);
}

static void many_rules_beside_each_other_are_no_circle(void **state)
{
	enum { COUNT = 1000 };
	CLEANUP_FREE struct rule_text *rules = calloc(COUNT + 1, sizeof(*rules));
	CLEANUP_FREE char *names = calloc(COUNT, 16);
	CLEANUP_TEXT struct text any = TEXT_EMPTY;
	CLEANUP_TEXT struct text reports = TEXT_EMPTY;
	CLEANUP_TEXT struct text faults = TEXT_EMPTY;
	struct error error = { 0 };

	(void)state;
	text_append(&any, "\"role:a");
	for (size_t i = 0; i < COUNT; i++) {
		snprintf(names + i * 16, 16, "%zu", i);
		text_append_format(&any, " or rule:%zu", i);
		rules[i + 1] = (struct rule_text){ names + i * 16, "\"role:b\"" };
	}
	text_append(&any, "\"");
	rules[0] = (struct rule_text){ "move", any.data };
	struct policy *policy = load_rules(rules, COUNT + 1, "f", &reports);

	assert_null(reports.data);
	assert_int_equal(policy_find_faults(policy, gather_line, &faults, &error), 0);
	assert_null(faults.data);
	policy_destroy(policy);
}

static void references_hold_as_oslo_policy_says(void **state)
{
	static const struct {
		struct rule_text rules[2];
		bool holds;
	} rows[] = {
		{ { { "move", "\"rule:a\"" }, { "a", "\"role:b\"" } }, true },
		{ { { "move", "\"rule:gone\"" }, { "a", "\"role:b\"" } }, false },
		{ { { "move", "\"role:b and (role:c or rule:gone)\"" }, { "a", "\"role:b\"" } }, false },
		{ { { "move", "\"not rule:gone\"" }, { "a", "\"role:b\"" } }, true },
		{ { { "move", "\"rule:a\"" }, { "a", "\"rule:move\"" } }, false },
		{ { { "move", "\"rule:a\"" }, { "a", "\"not rule:move\"" } }, true },
		{ { { "a", "\"rule:a\"" }, { "b", "\"role:b\"" } }, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct policy *policy = load_rules(rows[i].rules, 2, "f", NULL);

		if (policy_references_hold(policy) != rows[i].holds)
			fail_msg("row %zu", i);
		policy_destroy(policy);
	}
}

static void checks_are_nested_as_deep_as_328(void **state)
{
	static const struct {
		const char *before, *behind;
		bool turns; /* a grant into a refusal */
	} rows[] = { { "not ", "", true }, { "(@ and ", ")", false }, { "(! or ", ")", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		for (size_t depth = 327; depth <= 330; depth++) {
			CLEANUP_FREE char *value = repeat(rows[i].before, depth, "role:mover", rows[i].behind);
			const struct rule_text rules[] = { { "move", value },
							   { "ours", value },
							   { "context_is_admin", value } };
			struct policy *policy = load_rules(rules, ARRAY_LENGTH(rules), "f", NULL);
			enum policy_verdict wanted = depth > 328                       ? POLICY_RAISED
						     : rows[i].turns && depth % 2 == 1 ? POLICY_REFUSED
										       : POLICY_ALLOWED;

			assert_int_equal(verdict_of(policy, "move"), wanted);
			assert_int_equal(verdict_of(policy, "ours"), wanted);
			assert_true(policy_is_admin(policy, &mover) == (wanted == POLICY_ALLOWED));
			policy_destroy(policy);
		}
}

static void *load_deep_rules(void *context)
{
	CLEANUP_FREE char *negations = repeat("not ", 16000, "role:mover", "");
	CLEANUP_FREE char *brackets = repeat("(@ and (! or ", 3500, "role:mover", "))");
	CLEANUP_FREE char *signs = repeat("-", 60000, "a:x", "");
	CLEANUP_FREE char *text = repeat("not ", 60000, "a:x", "");
	CLEANUP_FREE char *words = text_format("[[%s]]", text);
	CLEANUP_FREE char *text_of_ifs = repeat("a if a else ", 60000, "a:x", "");
	CLEANUP_FREE char *ifs = text_format("[[%s]]", text_of_ifs);
	CLEANUP_FREE char *tuple = repeat("(", 60000, "a:x", "");
	const struct rule_text rules[] = {
		{ "move", negations }, { "a", brackets }, { "b", signs },        { "c", tuple },
		{ "d", words },        { "e", ifs },      { "last", negations },
	};
	CLEANUP_TEXT struct text reports = TEXT_EMPTY;
	CLEANUP_TEXT struct text faults = TEXT_EMPTY;
	struct policy *policy = load_rules(rules, ARRAY_LENGTH(rules), "f", &reports);
	struct error error = { 0 };

	assert_int_equal(policy_find_faults(policy, gather_line, &faults, &error), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rules); i++)
		assert_true(verdict_of(policy, rules[i].name) != POLICY_ALLOWED);
	policy_destroy(policy);
	/* And many rules, each of which refers to the next. */
	policy = load_chain(5000, "\"role:mover\"", NULL);
	assert_int_equal(policy_find_faults(policy, gather_line, &faults, &error), 0);
	assert_int_equal(verdict_of(policy, "move"), POLICY_RAISED);
	policy_destroy(policy);
	return context;
}

static void deep_rules_need_no_deep_stack(void **state)
{
	pthread_attr_t attributes;
	pthread_t thread;

	(void)state;
	pthread_attr_init(&attributes);
	assert_int_equal(pthread_attr_setstacksize(&attributes, 512 * 1024), 0);
	assert_int_equal(pthread_create(&thread, &attributes, load_deep_rules, NULL), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attributes);
}

static void a_rule_has_at_most_65536_bytes(void **state)
{
	(void)state;
	for (int length = 65536; length <= 65537; length++) {
		CLEANUP_FREE char *value = text_format("\"%*s@\"", length - 1, "role:a or ");
		const struct rule_text rule = { "move", value };
		CLEANUP_TEXT struct text reports = TEXT_EMPTY;
		struct policy *policy = load_rules(&rule, 1, "f", &reports);

		CLEANUP_TEXT struct text faults = TEXT_EMPTY;

		assert_int_equal(verdict_of(policy, "move"), length == 65536 ? POLICY_ALLOWED : POLICY_REFUSED);
		assert_int_equal(policy_find_faults(policy, gather_line, &faults, NULL), 0);
		assert_true(!faults.data == (length == 65536));
		assert_string_equal(
			reports.data,
			length == 65536 ? "f:1: policy move: everybody may do it: the rule grants it to whoever asks\n"
					: "f:1: policy move: the rule always refuses: it is longer than 65536 bytes\n");
		policy_destroy(policy);
	}
}

/* What Python's \s matches, and nothing beside it, however blank it looks. */
static void words_are_cut_at_what_python_takes_for_white_space(void **state)
{
	static const struct {
		unsigned int first, last;
	} blanks[] = { { 0x09, 0x0d },     { 0x1c, 0x20 },     { 0x85, 0x85 },     { 0xa0, 0xa0 },
		       { 0x1680, 0x1680 }, { 0x2000, 0x200a }, { 0x2028, 0x2029 }, { 0x202f, 0x202f },
		       { 0x205f, 0x205f }, { 0x3000, 0x3000 } };
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(blanks); i++)
		for (unsigned int point = blanks[i].first - 1; point <= blanks[i].last + 1; point++) {
			bool is_blank = point >= blanks[i].first && point <= blanks[i].last;
			CLEANUP_FREE char *value = text_format("\"role:a\\u%04xor\\u%04x@\"", point, point);
			const struct rule_text rule = { "move", value };
			struct policy *policy = load_rules(&rule, 1, "f", NULL);

			if (verdict_of(policy, "move") != (is_blank ? POLICY_ALLOWED : POLICY_REFUSED))
				fail_msg("U+%04X", point);
			seen += is_blank;
			policy_destroy(policy);
		}
	assert_int_equal(seen, 29);
}

static void a_rule_prints_as_it_was_understood(void **state)
{
	static const struct {
		const char *value;
		const char *wanted;
	} rows[] = {
		{ "\"role:a and not (role:b or @)\"", "(role:a and not (role:b or @))" },
		{ "[]", "@" },
		{ "[\"role:a\"]", "role:a" },
		{ "[[\"role:a\"]]", "role:a" },
		{ "[[\"role:a\", \"role:b\"]]", "(role:a and role:b)" },
		{ "[[\"role:a\", \"role:b\"], \"role:c\", [\"!\"]]", "((role:a and role:b) or role:c or !)" },
		{ "[[]]", "!" },
		{ "{\"\": 1}", "!" },
		{ "{\"role:a\": 1}", "role:a" },
		{ "{\"role:a\": 1, \"\": 2, \"role:b\": 3}", "(role:a or role:b)" },
		{ "[{\"role:a\": 1, \"role:b\": 2}]", "(role:a and role:b)" },
		{ "[{\"role:a\": 1}]", "role:a" },
		{ "\"admin\"", "!" },
		{ "\"is_admin:yes\"", "is_admin:False" },
		{ "\"rule:x\"", "rule:x" },
		{ "\"http://x\"", "http://x" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct rule_text rule = { "move", rows[i].value };
		struct policy *policy = load_rules(&rule, 1, "f", NULL);
		CLEANUP_TEXT struct text found = TEXT_EMPTY;

		assert_true(policy_print(policy, "move", &found));
		assert_string_equal(found.data, rows[i].wanted);
		assert_false(policy_print(policy, "gone", &found));
		policy_destroy(policy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_without_a_file_are_told_without_a_place),
		cmocka_unit_test(rules_that_refer_too_far_are_told_and_grant_nothing),
		cmocka_unit_test(an_open_door_is_seen_through_seven_references),
		cmocka_unit_test(rules_that_meet_again_and_again_are_no_circle),
		cmocka_unit_test(many_rules_beside_each_other_are_no_circle),
		cmocka_unit_test(references_hold_as_oslo_policy_says),
		cmocka_unit_test(checks_are_nested_as_deep_as_328),
		cmocka_unit_test(deep_rules_need_no_deep_stack),
		cmocka_unit_test(a_rule_has_at_most_65536_bytes),
		cmocka_unit_test(words_are_cut_at_what_python_takes_for_white_space),
		cmocka_unit_test(a_rule_prints_as_it_was_understood),
		cmocka_unit_test(each_of_five_thousand_rules_is_found_by_its_own_name),
		cmocka_unit_test(without_the_rule_context_is_admin_nobody_is_admin),
	};

	return cmocka_run_group_tests_name("policy_set", tests, NULL, NULL);
}
