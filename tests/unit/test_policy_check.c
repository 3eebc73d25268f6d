/* Single checks against the creds of a caller: what is granted must be what oslo.policy grants, and what it raises at raises, with words
 * for the person who looks for the cause. */
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

struct row {
	const char *credentials;
	const char *check;
	enum policy_verdict verdict;
};

static void check_rows(const struct row *rows, size_t count)
{
	json_t *target = json_object();

	for (size_t i = 0; i < count; i++) {
		json_t *credentials = json_loads(rows[i].credentials, 0, NULL);

		assert_non_null(credentials);
		enum policy_verdict verdict = judge_check(rows[i].check, credentials, target);

		if (verdict != rows[i].verdict)
			fail_msg("%s about %s: %d", rows[i].check, rows[i].credentials, (int)verdict);
		json_decref(credentials);
	}
	json_decref(target);
}

static void a_path_goes_down_objects_and_through_lists(void **state)
{
	static const struct row rows[] = {
		{ "{\"a\": \"x\"}", "a:x", POLICY_ALLOWED },
		{ "{\"a\": \"x\"}", "b:x", POLICY_REFUSED },
		{ "{\"a\": [\"x\", \"y\"]}", "a:y", POLICY_ALLOWED },
		{ "{\"a\": [\"x\", \"y\"]}", "a:z", POLICY_REFUSED },
		{ "{\"a\": []}", "a:[]", POLICY_REFUSED },
		{ "{\"a\": [\"x\", [\"y\"]]}", "a:['y']", POLICY_ALLOWED },
		{ "{\"a\": {\"b\": [\"x\", \"y\"]}}", "a.b:y", POLICY_ALLOWED },
		{ "{\"a\": {\"b\": [\"x\", \"y\"]}}", "a.b:x", POLICY_ALLOWED },
		{ "{\"a\": [\"x\", \"y\"]}", "a:x", POLICY_ALLOWED },
		{ "{\"a\": {\"b\": [{\"c\": \"x\"}, 5]}}", "a.b.c:x", POLICY_ALLOWED },
		{ "{\"a\": {\"b\": [\"x\", \"y\"]}}", "a.b:z", POLICY_REFUSED },
		{ "{\"a\": {\"b\": []}}", "a.b:x", POLICY_REFUSED },
		{ "{\"a\": [{\"b\": \"x\"}, {\"b\": \"y\"}]}", "a.b:y", POLICY_ALLOWED },
		{ "{\"a\": [{\"b\": \"x\"}, {\"b\": \"y\"}]}", "a.b:z", POLICY_REFUSED },
		{ "{\"a\": {\"b\": [{\"c\": \"x\"}, {\"c\": [\"y\"]}]}}", "a.b.c:y", POLICY_ALLOWED },
		{ "{\"a\": {\"b\": {\"c\": 1}}}", "a.b.c:1", POLICY_ALLOWED },
		{ "{\"a\": {\"b\": \"x\"}}", "a.c:x", POLICY_REFUSED },
		{ "{\"a\": {\"b\": \"x\"}}", "a.b:x", POLICY_ALLOWED },
		{ "{\"a\": {\"b\": \"x\"}}", "a.b.c:x", POLICY_RAISED },
		{ "{\"a\": \"x\"}", "a.b:x", POLICY_RAISED },
		{ "{\"a\": 5}", "a.b:5", POLICY_RAISED },
		{ "{\"a\": null}", "a.b:None", POLICY_RAISED },
		{ "{\"a\": [5]}", "a.b:5", POLICY_RAISED },
		{ "{\"a\": [{\"c\": 1}, 5]}", "a.b:5", POLICY_RAISED },
		{ "{\"a\": [{\"b\": \"x\"}, 5]}", "a.b:x", POLICY_ALLOWED },
		{ "{\"a\": {\"b\": [{\"c\": \"x\"}, 5]}}", "a.b.c:y", POLICY_RAISED },
		{ "{\"a\": []}", "a.b:x", POLICY_REFUSED },
		{ "{\"a\": true}", "a:True", POLICY_ALLOWED },
		{ "{\"a\": false}", "a:True", POLICY_REFUSED },
		{ "{\"a\": null}", "a:None", POLICY_ALLOWED },
		{ "{\"a\": null}", "a:", POLICY_REFUSED },
		{ "{\"a\": 1.0}", "a:1.0", POLICY_ALLOWED },
		{ "{\"a\": 1.0}", "a:1", POLICY_REFUSED },
		{ "{\"a\": {\"k\": 1}}", "a:{'k': 1}", POLICY_ALLOWED },
	};

	(void)state;
	check_rows(rows, ARRAY_LENGTH(rows));
}

static void roles_are_compared_without_regard_to_case_in_any_script(void **state)
{
	static const struct row rows[] = {
		{ "{\"roles\": [\"Member\"]}", "role:mEMBER", POLICY_ALLOWED },
		{ "{\"roles\": [\"a\", \"B\"]}", "role:b", POLICY_ALLOWED },
		{ "{\"roles\": [\"a\"]}", "role:ab", POLICY_REFUSED },
		{ "{\"roles\": [\"ab\"]}", "role:a", POLICY_REFUSED },
		/* What lies beside the letters. */
		{ "{\"roles\": [\"a@\"]}", "role:a`", POLICY_REFUSED },
		{ "{\"roles\": [\"a[\"]}", "role:a{", POLICY_REFUSED },
		{ "{\"roles\": [\"AZ\"]}", "role:az", POLICY_ALLOWED },
		{ "{\"roles\": [\"\xc3\x89\"]}", "role:\xc3\xa9", POLICY_ALLOWED },
		{ "{\"roles\": [\"\xc3\x89t\"]}", "role:\xc3\xa9T", POLICY_ALLOWED },
		{ "{\"roles\": [\"t\xc3\x89\"]}", "role:T\xc3\xa9", POLICY_ALLOWED },
		{ "{\"roles\": [\"\xc3\xa8\"]}", "role:\xc3\xa9", POLICY_REFUSED },
		{ "{\"roles\": [\"\xc3\xa9\"]}", "role:\xc3\xa9x", POLICY_REFUSED },
		{ "{\"roles\": [\"\xc3\xa9\"]}", "role:e", POLICY_REFUSED },
		{ "{\"roles\": [\"e\"]}", "role:\xc3\xa9", POLICY_REFUSED },
		{ "{\"roles\": [\"\"]}", "role:\xc3\xa9", POLICY_REFUSED },
		{ "{\"roles\": [\"\xc3\xa9\"]}", "role:", POLICY_REFUSED },
		{ "{\"roles\": [\"\xe2\x84\xaa\"]}", "role:k", POLICY_ALLOWED }, /* the Kelvin sign */
		{ "{\"roles\": [\"k\"]}", "role:\xe2\x84\xaa", POLICY_ALLOWED },
		{ "{\"roles\": [\"a\xe2\x84\xaa\"]}", "role:AK", POLICY_ALLOWED },
		{ "{\"roles\": [\"\xe2\x84\xaaz\"]}", "role:kz", POLICY_ALLOWED },
		{ "{\"roles\": [\"kz\"]}", "role:\xe2\x84\xaaz", POLICY_ALLOWED },
		{ "{\"roles\": [\"\xce\x91\xce\xa3\"]}", "role:\xce\xb1\xcf\x82",
		  POLICY_ALLOWED }, /* sigma at the end */
		{ "{\"roles\": [\"\xce\x91\xce\xa3\"]}", "role:\xce\xb1\xcf\x83", POLICY_REFUSED },
		{ "{\"roles\": [\"\xe1\xba\x9e\"]}", "role:\xc3\x9f", POLICY_ALLOWED }, /* a large sharp s */
		{ "{\"roles\": []}", "role:a", POLICY_REFUSED },
		{ "{}", "role:a", POLICY_REFUSED },
		{ "{\"roles\": null}", "role:a", POLICY_RAISED },
		{ "{\"roles\": true}", "role:a", POLICY_RAISED },
		{ "{\"roles\": 5}", "role:a", POLICY_RAISED },
		{ "{\"roles\": [5]}", "role:5", POLICY_RAISED },
		{ "{\"roles\": [\"a\", 5]}", "role:a", POLICY_RAISED },
		/* Python would go through their letters and keys: nothing that Keystone says. */
		{ "{\"roles\": \"a\"}", "role:a", POLICY_RAISED },
		{ "{\"roles\": {\"a\": 1}}", "role:a", POLICY_RAISED },
	};

	(void)state;
	check_rows(rows, ARRAY_LENGTH(rows));
}

/* As Nova's own check of that name: Python's True is 1. */
static void is_admin_is_compared_as_python_compares_it(void **state)
{
	static const struct row rows[] = {
		{ "{\"is_admin\": true}", "is_admin:True", POLICY_ALLOWED },
		{ "{\"is_admin\": true}", "is_admin:tRUE", POLICY_ALLOWED },
		{ "{\"is_admin\": true}", "is_admin:1", POLICY_REFUSED },
		{ "{\"is_admin\": true}", "is_admin:False", POLICY_REFUSED },
		{ "{\"is_admin\": false}", "is_admin:False", POLICY_ALLOWED },
		{ "{\"is_admin\": false}", "is_admin:no", POLICY_ALLOWED },
		{ "{\"is_admin\": false}", "is_admin:True", POLICY_REFUSED },
		{ "{\"is_admin\": 1}", "is_admin:True", POLICY_ALLOWED },
		{ "{\"is_admin\": 1}", "is_admin:False", POLICY_REFUSED },
		{ "{\"is_admin\": 1.0}", "is_admin:True", POLICY_ALLOWED },
		{ "{\"is_admin\": 2}", "is_admin:True", POLICY_REFUSED },
		{ "{\"is_admin\": 2}", "is_admin:False", POLICY_REFUSED },
		{ "{\"is_admin\": 0}", "is_admin:False", POLICY_ALLOWED },
		{ "{\"is_admin\": 0.0}", "is_admin:True", POLICY_REFUSED },
		{ "{\"is_admin\": null}", "is_admin:False", POLICY_REFUSED },
		{ "{\"is_admin\": null}", "is_admin:True", POLICY_REFUSED },
		{ "{\"is_admin\": \"True\"}", "is_admin:True", POLICY_REFUSED },
		{ "{\"is_admin\": [true]}", "is_admin:True", POLICY_REFUSED },
		{ "{\"is_admin\": [true]}", "is_admin:False", POLICY_REFUSED },
		{ "{}", "is_admin:True", POLICY_RAISED },
	};

	(void)state;
	check_rows(rows, ARRAY_LENGTH(rows));
}

static void what_raises_says_which_check_and_why(void **state)
{
	static const struct {
		const char *rule; /* JSON */
		const char *words;
	} rows[] = {
		{ "\"text:%(number)d and text:%(text)d\"",
		  "\"text:%(text)d\" is faulty: a number format of something else" },
		{ "\"text:%(text)x\"", "\"text:%(text)x\" is faulty: a number format of something else" },
		{ "\"text:%(text)f\"", "\"text:%(text)f\" is faulty: a number format of something else" },
		{ "\"text:%(text)c\"", "\"text:%(text)c\" is faulty: %c of something else than a character" },
		{ "\"text:%d\"", "\"text:%d\" is faulty: a number format of the whole target" },
		{ "\"text:%(text\"", "\"text:%(text\" is faulty: incomplete format key" },
		{ "[[\"text:%(text)\"]]", "\"text:%(text)\" is faulty: incomplete format" },
		{ "\"not text:%(text)5\"", "\"text:%(text)5\" is faulty: incomplete format" },
		{ "\"text:%s%\"", "\"text:%s%\" is faulty: incomplete format" },
		{ "\"text:%s%s\"", "\"text:%s%s\" is faulty: not enough arguments for the format" },
		{ "\"text:%(text)y\"", "\"text:%(text)y\" is faulty: unsupported format character" },
		{ "\"text:%(text)*s\"", "\"text:%(text)*s\" is faulty: a width of * in a format" },
		{ "\"text:%(text).*s\"", "\"text:%(text).*s\" is faulty: a precision of * in a format" },
		{ "\"text:%(text)5000s\"", "\"text:%(text)5000s\" is faulty: width too big" },
		{ "\"text:%(text).5000s\"", "\"text:%(text).5000s\" is faulty: precision too big" },
		{ "\"1x:y\"", "\"1x:y\" is faulty: no valid number" },
		{ "\"05:y\"", "\"05:y\" is faulty: a number with leading zeros" },
		{ "\"0x10000000000000000:y\"", "is faulty: a number beyond 64 bits" },
		{ "\"'a:y\"", "\"'a:y\" is faulty: a text without its closing quote" },
		{ "\"b'a':y\"", "\"b'a':y\" is faulty: a text of bytes, or with an unknown prefix" },
		{ "\"ur'a':y\"", "\"ur'a':y\" is faulty: a text with an unknown prefix" },
		{ "\"f'{a}':y\"", "\"f'{a}':y\" is faulty: a formatted text" },
		{ "\"'\\\\N':y\"", "is faulty: an escape in a text that is not known" },
		{ "\"'\\\\x0':y\"", "is faulty: a truncated escape in a text" },
		{ "\"'\\\\0':y\"", "is faulty: an escape that is no character" },
		{ "\"a.if:y\"", "\"a.if:y\" is faulty: a dot without a name" },
		{ "\"class:y\"", "\"class:y\" is faulty: a word that Python keeps for itself" },
		{ "\"a[]:y\"", "\"a[]:y\" is faulty: an empty subscript" },
		{ "\"{1,2}:y\"", "\"{1,2}:y\" is faulty: a set of several items" },
		{ "\"set():y\"", "is faulty: a call of set" },
		{ "\":y\"", "\":y\" is faulty: nothing before the colon" },
		{ "[[\"a b:y\"]]", "\"a b:y\" is faulty: a comma is missing" },
		{ "[[\"a not b:y\"]]", "\"a not b:y\" is faulty: a not out of place" },
		{ "[[\"a if b:y\"]]", "\"a if b:y\" is faulty: an if without its else" },
		{ "\"text.more:y\"", "\"text.more:y\" is faulty: its path goes below a value that is no object" },
		{ "\"http://a\"", "\"http://a\" is faulty: other services are not asked" },
		{ "\"'a'\"", "is faulty: one word that is no check (a quoted text, an operator or a bracket)" },
		{ "\"rule:checked\"", "is faulty: checks are nested too deep, or go in a circle" },
		{ "\"role:a\"", "\"role:a\" is faulty: the caller's roles are no list" },
		{ "\"is_admin:True\"", "is faulty: the creds have no is_admin" },
	};
	json_t *credentials = json_pack("{s:s, s:s}", "text", "5", "roles", "a");
	json_t *values = json_pack("{s:i, s:s}", "number", 5, "text", "abc");
	const struct policy_target target = { .values = values };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct rule_text rule = { CHECKED, rows[i].rule };
		struct policy *policy = load_rules(&rule, 1, "f", NULL);
		struct error error = { 0 };

		if (policy_check_credentials(policy, CHECKED, credentials, &target, &error) != POLICY_RAISED)
			fail_msg("%s does not raise", rows[i].rule);
		if (!text_starts_with(error.text, "policy " CHECKED ": the check ")
		    || !text_ends_with(error.text, rows[i].words))
			fail_msg("%s: %s", rows[i].rule, error.text);
		policy_destroy(policy);
	}
	json_decref(credentials);
	json_decref(values);
}

/* In creds that are made of a caller: no key of them that is not among Nova's is anything. */
static void a_caller_has_novas_keys_and_no_others(void **state)
{
	static const char *const roles[] = { "a", "b" };
	static const struct caller caller = { .user_id = "1",
					      .user_domain_id = "2",
					      .project_id = "3",
					      .project_domain_id = "4",
					      .domain_id = "5",
					      .system_scope = "6",
					      .roles = roles,
					      .role_count = 2,
					      .is_admin_project = true };
	static const struct {
		const char *check;
		enum policy_verdict verdict;
	} rows[] = {
		{ "user_id:1", POLICY_ALLOWED },
		{ "user_domain_id:2", POLICY_ALLOWED },
		{ "project_id:3", POLICY_ALLOWED },
		{ "project_domain_id:4", POLICY_ALLOWED },
		{ "domain_id:5", POLICY_ALLOWED },
		{ "system_scope:6", POLICY_ALLOWED },
		{ "system:6", POLICY_ALLOWED },
		{ "roles:b", POLICY_ALLOWED },
		{ "roles:c", POLICY_REFUSED },
		{ "is_admin_project:True", POLICY_ALLOWED },
		{ "service_user_id:None", POLICY_ALLOWED },
		{ "service_user_domain_id:None", POLICY_ALLOWED },
		{ "service_project_id:None", POLICY_ALLOWED },
		{ "service_project_domain_id:None", POLICY_ALLOWED },
		{ "service_roles:None", POLICY_REFUSED },
		{ "service_roles:[]", POLICY_REFUSED },
		{ "nothing:None", POLICY_REFUSED },
		{ "user:None", POLICY_REFUSED },
		{ "roles:['a', 'b']", POLICY_REFUSED },
		{ "user_id.x:1", POLICY_RAISED },
		{ "roles.x:a", POLICY_RAISED },
		{ "service_user_id.x:None", POLICY_RAISED },
		{ "service_roles.x:a", POLICY_REFUSED },
		{ "nothing.x:None", POLICY_REFUSED },
	};
	const struct policy_target target = policy_target_nothing();

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct policy *policy = make_check(rows[i].check);

		if (policy_check(policy, CHECKED, &caller, &target, NULL) != rows[i].verdict)
			fail_msg("%s", rows[i].check);
		policy_destroy(policy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_goes_down_objects_and_through_lists),
		cmocka_unit_test(roles_are_compared_without_regard_to_case_in_any_script),
		cmocka_unit_test(is_admin_is_compared_as_python_compares_it),
		cmocka_unit_test(what_raises_says_which_check_and_why),
		cmocka_unit_test(a_caller_has_novas_keys_and_no_others),
	};

	return cmocka_run_group_tests_name("policy_check", tests, NULL, NULL);
}
