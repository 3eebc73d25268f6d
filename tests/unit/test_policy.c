/* The policy set as the service uses it: defaults, the operator's rules over them, and what is said about faulty ones.
 * The language itself is held against recorded verdicts by policy_cases. */
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

#define MIGRATE           "os_compute_api:os-migrate-server:migrate"
#define MIGRATE_HOST      "os_compute_api:os-migrate-server:migrate:host"
#define MIGRATE_LIVE      "os_compute_api:os-migrate-server:migrate_live"
#define MIGRATE_LIVE_HOST "os_compute_api:os-migrate-server:migrate_live:host"

static const char *const member_roles[] = { "member", "reader" };
static const char *const manager_roles[] = { "manager", "member", "reader" };
static const char *const admin_roles[] = { "Admin", "manager", "member", "reader" };
static const char *const service_roles[] = { "service" };

#define CALLER(name, role_list, ...)                                                                                   \
	static const struct caller name = { .user_id = #name,                                                          \
					    .user_domain_id = "default",                                               \
					    .roles = role_list,                                                        \
					    .role_count = ARRAY_LENGTH(role_list),                                     \
					    .is_admin_project = true,                                                  \
					    __VA_ARGS__ }

CALLER(member, member_roles, .project_id = "mine");
CALLER(stranger, member_roles, .project_id = "theirs");
CALLER(manager, manager_roles, .project_id = "mine");
CALLER(admin, admin_roles, .project_id = "operators");
CALLER(system_admin, admin_roles, .system_scope = "all");
CALLER(domain_admin, admin_roles, .domain_id = "default");
CALLER(service, service_roles, .project_id = "services");

static const struct caller *const callers[] = { &member,       &stranger,     &manager, &admin,
						&system_admin, &domain_admin, &service };

/* What was reported while a set was made, one a line. */
static void gather(void *context, const char *words)
{
	text_append_format(context, "%s\n", words);
}

struct rule {
	const char *name;
	const char *value; /* JSON */
};

/* The defaults with these rules over them, from line 1 on of policies.yaml. */
static struct policy *make_with(struct policy_settings settings, const struct rule *rules, size_t count,
				struct text *reports)
{
	struct policy_override overrides[16] = { 0 };
	struct policy *policy = NULL;
	struct error error = { 0 };

	for (size_t i = 0; i < count; i++)
		overrides[i] = (struct policy_override){ .name = rules[i].name,
							 .value = json_loads(rules[i].value, JSON_DECODE_ANY, NULL),
							 .file = "policies.yaml",
							 .line = (unsigned int)i + 1 };
	settings.overrides = overrides;
	settings.override_count = count;
	settings.report = reports ? gather : NULL;
	settings.report_context = reports;
	if (policy_create(&settings, &policy, &error) < 0)
		fail_msg("%s", error.text);
	for (size_t i = 0; i < count; i++)
		json_decref((json_t *)(uintptr_t)overrides[i].value);
	return policy;
}

#define MAKE(reports, ...)                                                                                             \
	make_with((struct policy_settings){ 0 }, (const struct rule[]){ __VA_ARGS__ },                                 \
		  sizeof((const struct rule[]){ __VA_ARGS__ }) / sizeof(struct rule), reports)

static struct policy *make_defaults(void)
{
	return make_with((struct policy_settings){ 0 }, NULL, 0, NULL);
}

static enum policy_verdict ask(const struct policy *policy, const char *name, const struct caller *caller)
{
	struct policy_target target = policy_target_project("mine");

	return policy_check(policy, name, caller, &target, NULL);
}

static void members_may_move_their_servers_but_name_no_host(void **state)
{
	struct policy *policy = make_defaults();

	(void)state;
	assert_int_equal(ask(policy, MIGRATE, &member), POLICY_ALLOWED);
	assert_int_equal(ask(policy, MIGRATE_LIVE, &member), POLICY_ALLOWED);
	assert_int_equal(ask(policy, MIGRATE_HOST, &member), POLICY_REFUSED);
	assert_int_equal(ask(policy, MIGRATE_LIVE_HOST, &member), POLICY_REFUSED);
	assert_int_equal(ask(policy, MIGRATE_LIVE_HOST, &manager), POLICY_REFUSED);
	assert_int_equal(ask(policy, MIGRATE, &stranger), POLICY_REFUSED);
	assert_int_equal(ask(policy, MIGRATE_LIVE, &stranger), POLICY_REFUSED);
	policy_destroy(policy);
}

static void admins_of_any_project_may_name_a_host(void **state)
{
	struct policy *policy = make_defaults();

	(void)state;
	assert_int_equal(ask(policy, MIGRATE_HOST, &admin), POLICY_ALLOWED);
	assert_int_equal(ask(policy, MIGRATE_LIVE_HOST, &admin), POLICY_ALLOWED);
	assert_true(policy_is_admin(policy, &admin));
	assert_false(policy_is_admin(policy, &manager));
	policy_destroy(policy);
}

static void system_and_domain_tokens_are_refused_by_scope_admins_too(void **state)
{
	struct policy *policy = make_defaults();
	struct policy *lax = make_with((struct policy_settings){ .ignores_scope = true }, NULL, 0, NULL);

	(void)state;
	assert_int_equal(ask(policy, MIGRATE, &system_admin), POLICY_REFUSED);
	assert_int_equal(ask(policy, MIGRATE, &domain_admin), POLICY_REFUSED);
	assert_int_equal(ask(lax, MIGRATE, &system_admin), POLICY_ALLOWED);
	assert_false(policy_scope_fits(policy, MIGRATE, &system_admin));
	assert_false(policy_scope_fits(policy, MIGRATE, &domain_admin));
	assert_true(policy_scope_fits(policy, MIGRATE, &member));
	assert_true(policy_scope_fits(policy, "context_is_admin", &system_admin));
	assert_true(policy_scope_fits(policy, "nobody:knows", &system_admin));
	assert_true(policy_scope_fits(lax, MIGRATE, &system_admin));
	policy_destroy(policy);
	policy_destroy(lax);
}

static void migration_goes_back_to_admins_by_two_lines(void **state)
{
	struct policy *policy =
		MAKE(NULL, { MIGRATE, "\"rule:context_is_admin\"" }, { MIGRATE_LIVE, "\"rule:context_is_admin\"" });

	(void)state;
	assert_int_equal(ask(policy, MIGRATE, &member), POLICY_REFUSED);
	assert_int_equal(ask(policy, MIGRATE_LIVE, &manager), POLICY_REFUSED);
	assert_int_equal(ask(policy, MIGRATE, &admin), POLICY_ALLOWED);
	assert_int_equal(ask(policy, MIGRATE_LIVE, &admin), POLICY_ALLOWED);
	policy_destroy(policy);
}

static void each_of_the_four_policies_stands_alone(void **state)
{
	static const char *const names[] = { MIGRATE, MIGRATE_HOST, MIGRATE_LIVE, MIGRATE_LIVE_HOST };

	(void)state;
	for (size_t opened = 0; opened < ARRAY_LENGTH(names); opened++) {
		for (int allows_deprecated = 0; allows_deprecated < 2; allows_deprecated++) {
			struct policy_settings settings = { .allows_deprecated = allows_deprecated > 0 };
			struct policy *policy =
				make_with(settings, (const struct rule[]){ { names[opened], "\"@\"" } }, 1, NULL);

			for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
				assert_int_equal(ask(policy, names[i], &stranger),
						 i == opened ? POLICY_ALLOWED : POLICY_REFUSED);
			policy_destroy(policy);
		}
	}
}

static void a_deprecated_name_in_the_file_counts_for_its_successors(void **state)
{
	CLEANUP_TEXT struct text reports = TEXT_EMPTY;
	struct policy *policy = MAKE(&reports, { "os_compute_api:os-services", "\"role:reader\"" },
				     { "os_compute_api:os-services:delete", "\"!\"" });

	(void)state;
	assert_int_equal(ask(policy, "os_compute_api:os-services:list", &member), POLICY_ALLOWED);
	assert_int_equal(ask(policy, "os_compute_api:os-services:delete", &admin), POLICY_REFUSED);
	assert_non_null(
		strstr(reports.data, "policies.yaml:1: policy os_compute_api:os-services: the name is deprecated"));
	policy_destroy(policy);
}

static void a_rule_that_raises_grants_nothing_and_says_which(void **state)
{
	CLEANUP_TEXT struct text reports = TEXT_EMPTY;
	struct policy *policy = MAKE(&reports, { MIGRATE, "\"not user_id:%(project_id)d or @\"" },
				     { MIGRATE_LIVE, "\"not 1x:y\"" }, { MIGRATE_HOST, "\"not user_id:%5%\"" });
	struct policy_target target = policy_target_project("mine");
	struct error error = { 0 };

	(void)state;
	assert_int_equal(policy_check(policy, MIGRATE, &admin, &target, &error), POLICY_RAISED);
	assert_non_null(strstr(error.text, MIGRATE));
	assert_non_null(strstr(error.text, "user_id:%(project_id)d"));
	assert_int_equal(ask(policy, MIGRATE_LIVE, &admin), POLICY_RAISED);
	assert_int_equal(ask(policy, MIGRATE_HOST, &admin), POLICY_RAISED);
	assert_non_null(strstr(reports.data, "policies.yaml:2: policy " MIGRATE_LIVE ": the check \"1x:y\" can never"));
	policy_destroy(policy);
}

static void a_rule_that_is_not_understood_is_reported_with_its_line_and_refuses(void **state)
{
	CLEANUP_TEXT struct text reports = TEXT_EMPTY;
	struct policy *policy = MAKE(&reports, { MIGRATE, "\"role:member\"" }, { MIGRATE_LIVE, "\"role: admin\"" },
				     { MIGRATE_HOST, "\"(role:admin\"" });

	(void)state;
	assert_int_equal(ask(policy, MIGRATE_LIVE, &admin), POLICY_REFUSED);
	assert_non_null(
		strstr(reports.data, "policies.yaml:2: policy " MIGRATE_LIVE ": the rule \"role: admin\" is not"));
	assert_non_null(strstr(reports.data, "policies.yaml:3: policy " MIGRATE_HOST));
	assert_null(strstr(reports.data, "policies.yaml:1:"));
	policy_destroy(policy);
}

/* Each with what is said of it, and how it is written rightly. */
static void what_is_out_of_place_is_told_with_the_right_spelling(void **state)
{
	static const struct {
		const char *rule;
		const char *words;
	} slips[] = {
		{ "\"role: admin\"", "behind \"role:\" stands a blank: write \"role:admin\"\n" },
		{ "\"role :admin\"", "before \":admin\" stands a blank: write \"role:admin\"\n" },
		{ "\"role : admin\"", "the colon stands between blanks" },
		{ "\"admin\"", "like \"role:admin\"\n" },
		{ "\"not(role:x)\"", "in \"not(role:x\" a bracket opens in the midst of a word" },
		{ "\"(role:a)or(role:b)\"", "count as part of a name: write blanks" },
		{ "\"(role:a\"", "of its brackets 1 open and 0 close\n" },
		{ "\"role:a)) or role:b\"", "of its brackets 0 open and 2 close\n" },
		{ "\"(role:a and\"", "behind \"and\" a check is missing\n" },
		{ "\"or role:a\"", "before \"or\" a check is missing\n" },
		{ "\"role:a AND or role:b\"", "before \"or\" a check is missing\n" },
		{ "\"role:a role:b\"", "between \"role:a\" and \"role:b\" an \"and\" or an \"or\" is missing\n" },
		{ "\"role:a not role:b\"", "between \"role:a\" and \"not\" an \"and\" or an \"or\" is missing\n" },
		{ "\"not\"", "behind \"not\" a check is missing\n" },
		{ "\"()\"", "there is no check in it\n" },
		{ "\" \\n\"", "there is no check in it\n" },
		{ "\"'role:a'\"", "quotes around a check are not taken: write role:a without them\n" },
		{ "\"role:x or 'role:a'\"", "quotes around a check are not taken: write role:a without them\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(slips); i++) {
		CLEANUP_TEXT struct text reports = TEXT_EMPTY;
		struct policy *policy = MAKE(&reports, { MIGRATE, slips[i].rule });

		if (!reports.data || !strstr(reports.data, slips[i].words))
			fail_msg("%s: %s", slips[i].rule, reports.data ? reports.data : "(nothing)");
		policy_destroy(policy);
	}
}

static void a_value_that_is_no_rule_stops_the_start_with_file_and_line(void **state)
{
	static const char *const values[] = { "true", "5", "[5]", "[[\"role:a\"], true]" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
		struct policy_override override = { .name = MIGRATE,
						    .value = json_loads(values[i], JSON_DECODE_ANY, NULL),
						    .file = "policies.yaml",
						    .line = 7 };
		struct policy_settings settings = { .overrides = &override, .override_count = 1 };
		struct policy *policy = NULL;
		struct error error = { 0 };

		assert_int_equal(policy_create(&settings, &policy, &error), -EINVAL);
		assert_null(policy);
		assert_true(text_starts_with(error.text, "policies.yaml:7: policy " MIGRATE ":"));
		json_decref((json_t *)(uintptr_t) override.value);
	}
}

static void doors_left_open_doubled_rules_and_circles_are_reported(void **state)
{
	CLEANUP_TEXT struct text reports = TEXT_EMPTY;
	struct policy *policy =
		MAKE(&reports, { MIGRATE, "null" }, { MIGRATE_LIVE, "\"@\"" }, { MIGRATE_LIVE, "\"!\"" },
		     { "ours", "\"not rule:ours\"" }, { MIGRATE_HOST, "\"rule:gone or rule:ours\"" });

	(void)state;
	assert_non_null(strstr(reports.data, "policies.yaml:1: policy " MIGRATE ": the rule is empty and grants"));
	assert_non_null(strstr(reports.data, "policies.yaml:2: policy " MIGRATE_LIVE ": the rule is given again"));
	assert_non_null(strstr(reports.data, "policies.yaml:4: policy ours: it can never grant where it goes round"));
	assert_non_null(
		strstr(reports.data, "policies.yaml:5: policy " MIGRATE_HOST ": it refers to the rule \"gone\""));
	assert_int_equal(ask(policy, MIGRATE, &stranger), POLICY_ALLOWED);
	assert_int_equal(ask(policy, MIGRATE_LIVE, &admin), POLICY_REFUSED);
	assert_int_equal(ask(policy, MIGRATE_HOST, &admin), POLICY_RAISED);
	policy_destroy(policy);
}

static void a_door_that_is_open_in_other_words_is_reported_too(void **state)
{
	CLEANUP_TEXT struct text reports = TEXT_EMPTY;
	struct policy *policy = MAKE(&reports, { MIGRATE, "\"@\"" }, { MIGRATE_HOST, "\"role:x or rule:anybody\"" },
				     { "anybody", "\"not !\"" }, { "os_compute_api:os-services", "\"@\"" },
				     { MIGRATE_LIVE, "\"@ and role:x\"" });

	(void)state;
	assert_non_null(strstr(reports.data, "policies.yaml:1: policy " MIGRATE ": everybody may do it"));
	assert_non_null(strstr(reports.data, "policies.yaml:2: policy " MIGRATE_HOST ": everybody may do it"));
	assert_non_null(strstr(reports.data, "policies.yaml:4: policy os_compute_api:os-services: everybody may"));
	assert_null(strstr(reports.data, "policies.yaml:5:"));
	policy_destroy(policy);
}

static void a_rule_tells_where_it_comes_from_also_under_a_deprecated_name(void **state)
{
	struct policy *policy = MAKE(NULL, { MIGRATE, "\"role:a\"" }, { "os_compute_api:os-services", "\"role:b\"" },
				     { MIGRATE, "\"role:c\"" });
	unsigned int line = 9;

	(void)state;
	assert_string_equal(policy_origin(policy, MIGRATE, &line), "policies.yaml");
	assert_int_equal(line, 3);
	assert_string_equal(policy_origin(policy, "os_compute_api:os-services:list", &line), "policies.yaml");
	assert_int_equal(line, 2);
	assert_null(policy_origin(policy, MIGRATE_HOST, &line));
	assert_null(policy_origin(policy, "nothing", &line));
	assert_int_equal(line, 0);
	policy_destroy(policy);
}

static void a_misspelt_policy_name_is_reported(void **state)
{
	CLEANUP_TEXT struct text reports = TEXT_EMPTY;
	struct policy *policy = MAKE(&reports, { "os_compute_api:os-migrate-server:migrate-live", "\"@\"" },
				     { MIGRATE, "\"rule:ours\"" }, { "ours", "\"role:mover\"" }, { "default", "\"!\"" },
				     { "os_compute_api:os-services", "\"role:admin\"" });

	(void)state;

	const char *found =
		strstr(reports.data, "policies.yaml:1: policy os_compute_api:os-migrate-server:migrate-live: nothing");

	assert_non_null(found);
	assert_non_null(strstr(found, "did you mean " MIGRATE_LIVE "?\n"));
	assert_null(strstr(strchr(found, '\n'), "nothing here asks"));
	policy_destroy(policy);
}

static void the_shipped_defaults_give_no_cause_for_a_report(void **state)
{
	CLEANUP_TEXT struct text reports = TEXT_EMPTY;
	struct policy *policy = make_with((struct policy_settings){ 0 }, NULL, 0, &reports);
	size_t count = 0;

	(void)state;
	assert_null(reports.data);
	while (policy_name(policy, count))
		count++;
	assert_int_equal(count, 110);
	policy_destroy(policy);
}

/* A caller's own fields and the creds object that is made of them must never be judged differently. */
static void a_caller_and_its_credentials_get_the_same_verdicts(void **state)
{
	struct policy *policy = MAKE(
		NULL, { "a", "\"is_admin:True\"" }, { "b", "\"is_admin:no\"" }, { "c", "\"roles:member\"" },
		{ "d", "\"system:all\"" }, { "e", "\"service_roles:x\"" }, { "f", "\"service_user_id:None\"" },
		{ "g", "\"is_admin_project:True\"" }, { "h", "\"user_id.x:y\"" }, { "i", "\"role:%(project_id)s\"" },
		{ "j", "\"domain_id:None and not project_id:None\"" }, { "k", "\"user_id:%s\"" });

	(void)state;
	for (size_t who = 0; who < ARRAY_LENGTH(callers); who++) {
		json_t *credentials = caller_credentials(callers[who], policy_is_admin(policy, callers[who]));
		struct policy_target targets[] = { policy_target_nothing(), policy_target_project("mine"),
						   policy_target_caller(callers[who]), policy_target_project(NULL) };
		json_t *values[] = { json_object(), json_pack("{s:s}", "project_id", "mine"),
				     json_pack("{s:s?, s:s}", "project_id", callers[who]->project_id, "user_id",
					       callers[who]->user_id),
				     json_pack("{s:n}", "project_id") };

		assert_non_null(credentials);
		for (size_t i = 0; policy_name(policy, i); i++)
			for (size_t target = 0; target < ARRAY_LENGTH(targets); target++) {
				const struct policy_target as_object = { .values = values[target] };

				assert_int_equal(policy_check(policy, policy_name(policy, i), callers[who],
							      &targets[target], NULL),
						 policy_check_credentials(policy, policy_name(policy, i), credentials,
									  &as_object, NULL));
			}
		for (size_t target = 0; target < ARRAY_LENGTH(targets); target++)
			json_decref(values[target]);
		json_decref(credentials);
	}
	policy_destroy(policy);
}

static void services_and_hypervisors_have_no_project_to_own(void **state)
{
	struct policy *policy = MAKE(NULL, { "os_compute_api:os-services:list", "\"project_id:%(project_id)s\"" });
	struct policy_target target = policy_target_nothing();

	(void)state;
	assert_int_equal(policy_check(policy, "os_compute_api:os-services:list", &member, &target, NULL),
			 POLICY_REFUSED);
	policy_destroy(policy);
}

static void an_unknown_name_is_the_rule_default_or_refused(void **state)
{
	struct policy *policy = make_defaults();
	struct policy *open = MAKE(NULL, { "default", "\"@\"" });

	(void)state;
	assert_int_equal(ask(policy, "nobody:knows", &admin), POLICY_REFUSED);
	assert_int_equal(ask(open, "nobody:knows", &stranger), POLICY_ALLOWED);
	policy_destroy(policy);
	policy_destroy(open);
}

static char *repeat(const char *before, const char *middle, const char *after, size_t times)
{
	struct text text = TEXT_EMPTY;

	text_append(&text, "\"");
	for (size_t i = 0; i < times; i++)
		text_append(&text, before);
	text_append(&text, middle);
	for (size_t i = 0; i < times; i++)
		text_append(&text, after);
	text_append(&text, "\"");
	return text_take(&text);
}

static void deep_rules_end_in_a_verdict(void **state)
{
	CLEANUP_FREE char *brackets = repeat("(", "role:member", ")", 30000);
	CLEANUP_FREE char *negations = repeat("not ", "role:member", "", 16000);
	CLEANUP_FREE char *mixed = repeat("(@ and (! or ", "role:member", "))", 4000);
	CLEANUP_FREE char *literal = repeat("[", "a", "", 3000);
	CLEANUP_FREE char *too_long = repeat("role:a or ", "@", "", 7000);
	struct policy *policy = MAKE(NULL, { "brackets", brackets }, { "negations", negations }, { "mixed", mixed },
				     { "literal", literal }, { "too_long", too_long });

	(void)state;
	assert_int_equal(ask(policy, "brackets", &member), POLICY_ALLOWED);
	assert_int_equal(ask(policy, "negations", &member), POLICY_RAISED);
	assert_int_equal(ask(policy, "mixed", &member), POLICY_RAISED);
	assert_int_equal(ask(policy, "literal", &member), POLICY_REFUSED);
	assert_int_equal(ask(policy, "too_long", &member), POLICY_REFUSED);
	policy_destroy(policy);
}

/* Pieces of the language thrown together: whatever comes out, nothing breaks, and a printed rule reads back the same. */
static void thrown_together_rules_break_nothing(void **state)
{
	static const char *const pieces[] = { "role:member",
					      "@",
					      "!",
					      "and",
					      "or",
					      "not",
					      "(",
					      ")",
					      " ",
					      " ",
					      "\t",
					      "rule:x",
					      "'a'",
					      "\\\"b",
					      "%(project_id)s",
					      "%",
					      ":",
					      ".",
					      "0x1",
					      "1e3",
					      "user_id",
					      "[",
					      "]",
					      "{",
					      ",",
					      "-",
					      "**",
					      "if",
					      "else",
					      "is",
					      "\xc3\xa9",
					      "\xe3\x80\x80",
					      "#",
					      "%(k",
					      "%5.3d",
					      "''' ",
					      "f'",
					      "lambda",
					      "None" };
	unsigned int seed = 20240301;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct text text = TEXT_EMPTY;

		text_append(&text, "\"");
		for (unsigned int count = 1 + (seed >> 8) % 12; count > 0; count--) {
			seed = seed * 1103515245 + 12345;
			text_append(&text, pieces[(seed >> 16) % ARRAY_LENGTH(pieces)]);
		}
		text_append(&text, "\"");

		CLEANUP_FREE char *value = text_take(&text);
		struct policy *policy = MAKE(NULL, { "x", value }, { "y", "[\"role:member\", \"1:1\"]" });

		ask(policy, "x", &member);
		policy_destroy(policy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_may_move_their_servers_but_name_no_host),
		cmocka_unit_test(admins_of_any_project_may_name_a_host),
		cmocka_unit_test(system_and_domain_tokens_are_refused_by_scope_admins_too),
		cmocka_unit_test(migration_goes_back_to_admins_by_two_lines),
		cmocka_unit_test(each_of_the_four_policies_stands_alone),
		cmocka_unit_test(a_deprecated_name_in_the_file_counts_for_its_successors),
		cmocka_unit_test(a_rule_that_raises_grants_nothing_and_says_which),
		cmocka_unit_test(a_rule_that_is_not_understood_is_reported_with_its_line_and_refuses),
		cmocka_unit_test(what_is_out_of_place_is_told_with_the_right_spelling),
		cmocka_unit_test(a_value_that_is_no_rule_stops_the_start_with_file_and_line),
		cmocka_unit_test(doors_left_open_doubled_rules_and_circles_are_reported),
		cmocka_unit_test(a_door_that_is_open_in_other_words_is_reported_too),
		cmocka_unit_test(a_rule_tells_where_it_comes_from_also_under_a_deprecated_name),
		cmocka_unit_test(a_misspelt_policy_name_is_reported),
		cmocka_unit_test(the_shipped_defaults_give_no_cause_for_a_report),
		cmocka_unit_test(a_caller_and_its_credentials_get_the_same_verdicts),
		cmocka_unit_test(services_and_hypervisors_have_no_project_to_own),
		cmocka_unit_test(an_unknown_name_is_the_rule_default_or_refused),
		cmocka_unit_test(deep_rules_end_in_a_verdict),
		cmocka_unit_test(thrown_together_rules_break_nothing),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
