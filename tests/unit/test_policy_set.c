/* A policy set as a whole: how far its rules may refer to each other, how many there may be, and what it can do without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/auth/policy.h"
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

/* move: rule:0, 0: rule:1, ..., and the last one role:mover. */
static struct policy *load_chain(size_t length, struct text *reports)
{
	CLEANUP_FREE struct rule_text *rules = calloc(length + 1, sizeof(*rules));
	CLEANUP_FREE char *texts = calloc(length + 1, 64);
	struct policy *policy;

	for (size_t i = 0; i <= length; i++) {
		char *name = texts + i * 64, *value = name + 32;

		snprintf(name, 32, "%zu", i - 1);
		snprintf(value, 32, "\"rule:%zu\"", i);
		rules[i] = (struct rule_text){ i ? name : "move", i < length ? value : "\"role:mover\"" };
	}
	policy = load_rules(rules, length + 1, "f", reports);
	return policy;
}

static void rules_that_refer_too_far_are_told_and_grant_nothing(void **state)
{
	static const char *const roles[] = { "mover" };
	const struct caller mover = { .roles = roles, .role_count = 1 };
	const struct policy_target target = policy_target_nothing();

	(void)state;
	for (size_t length = 328; length <= 329; length++) {
		CLEANUP_TEXT struct text reports = TEXT_EMPTY;
		CLEANUP_TEXT struct text faults = TEXT_EMPTY;
		struct policy *policy = load_chain(length, &reports);
		struct error error = { 0 };

		assert_int_equal(policy_check(policy, "move", &mover, &target, NULL),
				 length == 328 ? POLICY_ALLOWED : POLICY_RAISED);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_without_a_file_are_told_without_a_place),
		cmocka_unit_test(rules_that_refer_too_far_are_told_and_grant_nothing),
		cmocka_unit_test(each_of_five_thousand_rules_is_found_by_its_own_name),
		cmocka_unit_test(without_the_rule_context_is_admin_nobody_is_admin),
	};

	return cmocka_run_group_tests_name("policy_set", tests, NULL, NULL);
}
