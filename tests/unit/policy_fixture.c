/* Policy sets of a few rules, and of a single check. */
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

struct policy *make_check(const char *check)
{
	static const struct policy_default no_defaults[1];
	json_t *value = json_pack("[[s]]", check);
	const struct policy_override override = { .name = CHECKED, .value = value };
	const struct policy_settings settings = { .defaults = no_defaults,
						  .overrides = &override,
						  .override_count = 1 };
	struct policy *policy = NULL;
	struct error error = { 0 };

	assert_non_null(value);
	if (policy_create(&settings, &policy, &error) < 0)
		fail_msg("%s: %s", check, error.text);
	json_decref(value);
	return policy;
}

enum policy_verdict judge_check(const char *check, const json_t *credentials, const json_t *target)
{
	const struct policy_target as_target = { .values = target };
	struct policy *policy = make_check(check);
	enum policy_verdict verdict = policy_check_credentials(policy, CHECKED, credentials, &as_target, NULL);

	policy_destroy(policy);
	return verdict;
}

void gather_line(void *text, const char *words)
{
	text_append_format(text, "%s\n", words);
}

struct policy *load_rules(const struct rule_text *rules, size_t count, const char *file, struct text *reports)
{
	static const struct policy_default defaults[DEFAULT_COUNT] = {
		{ "move", "role:mover", POLICY_SCOPE_ANY, NULL, NULL },
		{ "show", "role:viewer", POLICY_SCOPE_ANY, "look", "role:looker" },
		{ "list", "role:viewer", POLICY_SCOPE_ANY, "show", "role:viewer" },
		{ "lost", "role:finder", POLICY_SCOPE_ANY, "lost", "role:finder" },
	};
	CLEANUP_FREE struct policy_override *overrides = calloc(count + 1, sizeof(*overrides));
	const struct policy_settings settings = { .defaults = defaults,
						  .default_count = DEFAULT_COUNT,
						  .overrides = overrides,
						  .override_count = count,
						  .report = reports ? gather_line : NULL,
						  .report_context = reports };
	struct policy *policy = NULL;
	struct error error = { 0 };

	for (size_t i = 0; i < count; i++) {
		overrides[i] = (struct policy_override){ .name = rules[i].name,
							 .value = json_loads(rules[i].value, JSON_DECODE_ANY, NULL),
							 .file = file,
							 .line = (unsigned int)i + 1 };
		assert_non_null(overrides[i].value);
	}
	if (policy_create(&settings, &policy, &error) < 0)
		fail_msg("%s", error.text);
	for (size_t i = 0; i < count; i++)
		json_decref((json_t *)(uintptr_t)overrides[i].value);
	return policy;
}

static void compare(const struct told *row, const char *what, const struct text *found, const char *wanted)
{
	const char *text = found->data ? found->data : "";

	if (strcmp(text, wanted) != 0)
		fail_msg("%s: %s, ...: %s\n%s--- and not\n%s", row->rules[0].name, row->rules[0].value, what, text,
			 wanted);
}

void check_told(const struct told *rows, size_t count)
{
	for (const struct told *row = rows; row < rows + count; row++) {
		CLEANUP_TEXT struct text reports = TEXT_EMPTY;
		CLEANUP_TEXT struct text faults = TEXT_EMPTY;
		struct error error = { 0 };
		size_t rule_count = 0;

		while (rule_count < RULES_MAX && row->rules[rule_count].name)
			rule_count++;
		struct policy *policy = load_rules(row->rules, rule_count, "f", &reports);

		compare(row, "reports", &reports, row->reports);
		assert_int_equal(policy_find_faults(policy, gather_line, &faults, &error), 0);
		compare(row, "faults", &faults, row->faults);
		policy_destroy(policy);
	}
}
