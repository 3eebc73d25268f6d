/* Holds our policy language against recorded verdicts of oslo.policy: `policy_cases FILE` (or - for the standard input)
 * reads one case a line, prints each difference, and last `N cases, M differ`. Ends with 0 only when none differs.
 *
 * A case of the tier `exotic` may also be refused where oslo.policy grants; never the other way round. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth/policy.h"
#include "api/auth/policy_tree.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "tests/case_lines.h"

#define CLEANUP_JSON   __attribute__((cleanup(cleanup_json)))
#define CLEANUP_POLICY __attribute__((cleanup(cleanup_policy)))

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

static void cleanup_policy(struct policy **policy)
{
	policy_destroy(*policy);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* An integer beyond 64 bits becomes a text of the same digits: Python prints both alike, and jansson reads only this. */
static char *quote_big_integers(const char *line)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	bool is_in_text = false;

	for (const char *place = line; *place;) {
		size_t digits = is_in_text ? 0 : strspn(place, "0123456789");
		size_t length = digits > 0 ? digits : 1;

		if (is_in_text && *place == '\\' && place[1])
			length = 2;
		else if (*place == '"')
			is_in_text = !is_in_text;
		if (digits > 18 && !strchr(".eE", place[digits]))
			text_append_format(&text, "\"%.*s\"", (int)digits, place);
		else
			text_append_bytes(&text, place, length);
		place += length;
	}
	return text_take(&text);
}

static unsigned int scopes_of(const json_t *names)
{
	unsigned int scopes = POLICY_SCOPE_ANY;
	const json_t *name;
	size_t index;

	json_array_foreach(names, index, name)
	{
		const char *text = json_string_value(name);

		scopes |= strcmp(text, "system") == 0   ? POLICY_SCOPE_SYSTEM
			  : strcmp(text, "domain") == 0 ? POLICY_SCOPE_DOMAIN
							: POLICY_SCOPE_PROJECT;
	}
	return scopes;
}

/* Defaults in code: those that the case registers, and those that it only gives scope types. */
static struct policy_default *defaults_of(const json_t *test, size_t *ret_count)
{
	const json_t *registered = json_object_get(test, "registered");
	json_t *scope_types = json_object_get(test, "scope_types");
	size_t count = 0;
	struct policy_default *defaults =
		calloc(json_array_size(registered) + json_object_size(scope_types) + 1, sizeof(*defaults));
	const json_t *entry;
	const char *name;
	json_t *scopes;
	size_t index;

	if (!defaults)
		abort();
	json_array_foreach(registered, index, entry)
	{
		const json_t *deprecated = json_object_get(entry, "deprecated");

		defaults[count++] = (struct policy_default){
			.name = text_of(entry, "name"),
			.rule = text_of(entry, "check_str"),
			.scopes = scopes_of(json_object_get(entry, "scope_types")),
			.deprecated_name = deprecated ? text_of(deprecated, "name") : NULL,
			.deprecated_rule = deprecated ? text_of(deprecated, "check_str") : NULL,
		};
	}
	json_object_foreach(scope_types, name, scopes) defaults[count++] =
		(struct policy_default){ .name = name, .rule = "!", .scopes = scopes_of(scopes) };
	*ret_count = count;
	return defaults;
}

static struct policy_override *overrides_of(const json_t *test, size_t *ret_count)
{
	json_t *rules = json_object_get(test, "rules");
	struct policy_override *overrides = calloc(json_object_size(rules) + 1, sizeof(*overrides));
	const char *name;
	json_t *value;

	if (!overrides)
		abort();
	*ret_count = 0;
	json_object_foreach(rules, name, value) overrides[(*ret_count)++] =
		(struct policy_override){ .name = name, .value = value, .file = "case" };
	return overrides;
}

/* The policy set of a case; NULL when oslo.policy's load would raise. */
static struct policy *load(const json_t *test, struct error *error)
{
	size_t default_count;
	size_t override_count;
	CLEANUP_FREE struct policy_default *defaults = defaults_of(test, &default_count);
	CLEANUP_FREE struct policy_override *overrides = overrides_of(test, &override_count);
	const json_t *enforce_scope = json_object_get(test, "enforce_scope");
	const json_t *enforce_new_defaults = json_object_get(test, "enforce_new_defaults");
	struct policy_settings settings = {
		.defaults = defaults,
		.default_count = default_count,
		.overrides = overrides,
		.override_count = override_count,
		.ignores_scope = enforce_scope && !json_is_true(enforce_scope),
		.allows_deprecated = enforce_new_defaults && !json_is_true(enforce_new_defaults),
		.has_generic_is_admin = strcmp(text_of(test, "is_admin_check"), "generic") == 0,
	};
	struct policy *policy = NULL;

	policy_create(&settings, &policy, error);
	return policy;
}

static const char *verdict_name(enum policy_verdict verdict)
{
	return verdict == POLICY_ALLOWED ? "true" : verdict == POLICY_REFUSED ? "false" : "error";
}

static int differ(const json_t *test, const char *what, const char *expected, const char *found)
{
	printf("%s %s %s: %s: expected %s, found %s\n", text_of(test, "id"), text_of(test, "group"),
	       text_of(test, "tier"), what, expected, found);
	return 1;
}

static int compare_verdict(const json_t *test, enum policy_verdict verdict)
{
	const json_t *expected = json_object_get(test, "verdict");
	const char *name = json_is_true(expected) ? "true" : json_is_false(expected) ? "false" : "error";
	bool is_exotic = strcmp(text_of(test, "tier"), "exotic") == 0;

	if (strcmp(name, verdict_name(verdict)) == 0 || (is_exotic && verdict != POLICY_ALLOWED))
		return 0;
	return differ(test, "verdict", name, verdict_name(verdict));
}

/* The enforced rule, in oslo.policy's own printing. */
static int compare_tree(const json_t *test, const struct policy *policy)
{
	const json_t *expected = json_object_get(test, "tree");
	CLEANUP_TEXT struct text tree = TEXT_EMPTY;

	text_append(&tree, "");
	if (!expected || !policy_print(policy, text_of(test, "enforce"), &tree))
		return 0;
	if (strcmp(json_string_value(expected), tree.data) == 0)
		return 0;
	return differ(test, "tree", json_string_value(expected), tree.data);
}

/* Which rules of the file were not understood. */
static int compare_malformed(const json_t *test, const struct policy *policy)
{
	const json_t *expected = json_object_get(test, "malformed");
	json_t *rules = json_object_get(test, "rules");
	const char *name;
	json_t *value;

	json_object_foreach(rules, name, value)
	{
		const struct policy_rule *rule = policy_find(policy, name);
		bool is_expected = false;
		const json_t *member;
		size_t index;

		json_array_foreach(expected, index, member) is_expected =
			is_expected || strcmp(json_string_value(member), name) == 0;
		if (rule->is_malformed != is_expected)
			return differ(test, "malformed", is_expected ? "malformed" : "understood",
				      is_expected ? "understood" : "malformed");
	}
	return 0;
}

static int compare_references(const json_t *test, const struct policy *policy)
{
	const json_t *expected = json_object_get(test, "check_rules");
	bool holds = policy_references_hold(policy);

	if (!expected || json_is_true(expected) == holds)
		return 0;
	return differ(test, "check_rules", holds ? "false" : "true", holds ? "true" : "false");
}

/* 1 when something of the case differs. */
static int run_case(const json_t *test)
{
	struct error error = { 0 };
	CLEANUP_POLICY struct policy *policy = load(test, &error);
	struct policy_target target = { .values = json_object_get(test, "target") };

	if (!policy)
		return compare_verdict(test, POLICY_RAISED);

	int differs = compare_verdict(test, policy_check_credentials(policy, text_of(test, "enforce"),
								     json_object_get(test, "creds"), &target, &error));

	if (strcmp(text_of(test, "tier"), "exotic") != 0) {
		differs |= compare_tree(test, policy);
		differs |= compare_malformed(test, policy);
		differs |= compare_references(test, policy);
	}
	return differs;
}

/* A case that cannot be read differs. */
static int run_line(const char *line, size_t number)
{
	CLEANUP_FREE char *readable = quote_big_integers(line);
	json_error_t json_error;
	CLEANUP_JSON json_t *test = readable ? json_loads(readable, 0, &json_error) : NULL;

	if (!test || !json_is_object(json_object_get(test, "rules")) || !json_is_object(json_object_get(test, "creds"))
	    || !json_object_get(test, "verdict")) {
		printf("line %zu: no case: %s\n", number,
		       test ? "rules, creds or verdict are missing" : json_error.text);
		return 1;
	}
	return run_case(test);
}

int main(int argument_count, char **arguments)
{
	return case_lines_run(argument_count, arguments, run_line);
}
