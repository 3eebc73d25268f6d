/* `migrationd policy list|check`: who may do what, by the configuration as the daemon would read it. The answer is the policy
 * room's own, so that it is what a request would get; scope comes first, as it does there. */
#include "server/command.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth/caller.h"
#include "api/auth/policy.h"
#include "api/auth/token.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/config.h"
#include "server/verbs.h"

#define RULES_MAX 64

/* Who asks, for what, to which server. */
struct question {
	struct verb_list files;
	struct verb_list rules;
	struct verb_list roles;
	const char *project;
	const char *user;
	const char *domain;
	const char *system_scope;
	const char *server_project; /* the server's; the caller's own without it */
	const char *server_user;
	const char *token;
	bool is_exact;
	bool is_json;
};

static void destroy_policy(struct policy **policy)
{
	policy_destroy(*policy);
}

static void destroy_verifier(struct token_verifier **verifier)
{
	token_verifier_destroy(*verifier);
}

static void describe_origin(const struct policy *policy, const char *name, struct text *text)
{
	unsigned int line;
	const char *file = policy_origin(policy, name, &line);

	if (file)
		text_append_format(text, "%s:%u", file, line);
	else
		text_append(text, "default");
}

static bool is_asked(const struct question *question, const char *name)
{
	for (int i = 0; i < question->rules.count; i++)
		if (text_equal(question->rules.items[i], name))
			return true;
	return question->rules.count == 0;
}

static json_t *row_of(const struct policy *policy, const char *name)
{
	CLEANUP_TEXT struct text rule = TEXT_EMPTY;
	CLEANUP_TEXT struct text origin = TEXT_EMPTY;

	policy_print(policy, name, &rule);
	describe_origin(policy, name, &origin);
	return json_pack("{s:s, s:s, s:s}", "name", name, "rule", rule.data ? rule.data : "", "origin",
			 origin.data ? origin.data : "");
}

static int print_rows(json_t *rows, bool is_json, const char *format_verdict)
{
	size_t index;
	json_t *row;

	if (is_json) {
		int result = json_dumpf(rows, stdout, JSON_INDENT(2));

		putchar('\n');
		return result;
	}
	json_array_foreach(rows, index, row)
	{
		const char *verdict = json_string_value(json_object_get(row, "verdict"));
		const char *why = json_string_value(json_object_get(row, "why"));

		if (format_verdict && verdict)
			printf("%s: ", verdict);
		printf("%s\n    %s  # %s\n", json_string_value(json_object_get(row, "name")),
		       json_string_value(json_object_get(row, "rule")),
		       json_string_value(json_object_get(row, "origin")));
		if (why)
			printf("    %s\n", why);
	}
	return 0;
}

static int list(const struct question *question, const struct policy *policy, const struct config *config)
{
	(void)config;
	json_t *rows = json_array();
	const char *name;

	for (size_t i = 0; (name = policy_name(policy, i)) != NULL; i++)
		if (is_asked(question, name))
			json_array_append_new(rows, row_of(policy, name));
	int result = print_rows(rows, question->is_json, NULL);
	json_decref(rows);
	return result < 0 ? EXIT_FAILURE : verb_output_status();
}

/* The caller of a token, as a request with it would have; or one of the options. */
static int find_caller(const struct question *question, const struct config *config, struct caller *given,
		       struct caller **ret_owned, struct error *error)
{
	CLEANUP(destroy_verifier) struct token_verifier *verifier = NULL;

	if (!question->token) {
		*given = (struct caller){ .user_id = question->user,
					  .project_id = question->project,
					  .domain_id = question->domain,
					  .system_scope = question->system_scope,
					  .roles = question->roles.items,
					  .role_count = (size_t)question->roles.count,
					  .is_admin_project = true };
		return 0;
	}
	int result = token_verifier_create(&config->token, &verifier, error);
	return result < 0 ? result
			  : token_verify(verifier, question->token, clock_now_us(clock_system()), ret_owned, error);
}

static const char *verdict_word(enum policy_verdict verdict)
{
	return verdict == POLICY_ALLOWED ? "passed" : "failed";
}

static void explain(const struct policy *policy, const char *name, const struct caller *caller,
		    enum policy_verdict verdict, const struct error *fault, json_t *row)
{
	if (verdict == POLICY_RAISED)
		json_object_set_new(row, "why", json_sprintf("the rule is faulty: %s", fault->text));
	else if (verdict == POLICY_REFUSED && !policy_scope_fits(policy, name, caller))
		json_object_set_new(
			row, "why",
			json_string("the token's scope is refused before the rule is looked at: a token of a "
				    "project is needed"));
}

static int check(const struct question *question, const struct policy *policy, const struct config *config)
{
	CLEANUP_CALLER struct caller *owned = NULL;
	struct caller given;
	struct error error = { 0 };
	int status = EXIT_SUCCESS;
	int result = find_caller(question, config, &given, &owned, &error);

	if (result < 0) {
		fprintf(stderr, "migrationd policy: %s\n", error.text);
		return EXIT_FAILURE;
	}

	const struct caller *caller = owned ? owned : &given;
	const struct policy_target target = {
		.project_id = question->server_project ? question->server_project : caller->project_id,
		.user_id = question->server_user,
		.has_project_id = true,
		.has_user_id = question->server_user != NULL, /* most policies do not see it */
	};
	json_t *rows = json_array();

	for (int i = 0; i < question->rules.count; i++) {
		const char *name = question->rules.items[i];
		struct error fault = { 0 };
		CLEANUP_TEXT struct text rule = TEXT_EMPTY;

		if (!policy_print(policy, name, &rule)) {
			fprintf(stderr, "migrationd policy: there is no policy %s; see migrationd policy list\n", name);
			json_decref(rows);
			return EXIT_USAGE;
		}

		enum policy_verdict verdict = policy_check(policy, name, caller, &target, &fault);
		json_t *row = row_of(policy, name);

		json_object_set_new(row, "verdict", json_string(verdict_word(verdict)));
		explain(policy, name, caller, verdict, &fault, row);
		json_array_append_new(rows, row);
		if (verdict != POLICY_ALLOWED)
			status = EXIT_FAILURE;
	}
	if (print_rows(rows, question->is_json, "verdict") < 0 || verb_output_status() != EXIT_SUCCESS)
		status = EXIT_FAILURE;
	json_decref(rows);
	return status;
}

static int run(struct question *question,
	       int (*answer)(const struct question *question, const struct policy *policy, const struct config *config))
{
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP(destroy_policy) struct policy *policy = NULL;
	struct error error = { 0 };

	if (!question->is_exact)
		command_imply_roles(&question->roles);
	int status = command_read_config(&question->files, false, &config);
	if (status != 0)
		return status;
	command_warn_of_policies(&config);
	if (policy_create(&config.policy, &policy, &error) < 0) {
		fprintf(stderr, "migrationd policy: %s\n", error.text);
		return EXIT_CONFIGURATION;
	}
	return answer(question, policy, &config);
}

static int run_list(void *context)
{
	return run(context, list);
}

static int run_check(void *context)
{
	return run(context, check);
}

#define POLICY_OPERAND(...)                                                                                            \
	{                                                                                                              \
		"POLICY", NULL, "a policy's name, as Nova has it", VERB_TEXTS,                                         \
			.offset = offsetof(struct question, rules), .values_max = RULES_MAX,                           \
			.completes = VERB_COMPLETES_POLICY, ##__VA_ARGS__                                              \
	}

static const struct verb_argument list_operands[] = { POLICY_OPERAND() };

static const struct verb_argument list_options[] = {
	VERB_OPTION_JSON(struct question, is_json),
	VERB_OPTION_CONFIG(struct question, files),
};

static const struct verb_example list_examples[] = {
	{ "migrationd policy list os_compute_api:os-migrate-server:migrate_live",
	  "the rule in force, and its file and line" },
	{ 0 },
};

static const char *const list_json[] = {
	"With --json a list of objects: name, rule, origin (FILE:LINE, or \"default\").",
	NULL,
};

static const struct verb policy_list = {
	.name = "list",
	.summary = "says which rule is in force, and where it comes from",
	.description = list_json,
	.operands = VERB_ROWS(list_operands),
	.options = VERB_ROWS(list_options),
	.examples = list_examples,
	.arguments_size = sizeof(struct question),
	.run = run_list,
};

static const struct verb_argument check_operands[] = { POLICY_OPERAND(.is_required = true) };

static const struct verb_argument check_options[] = {
	{ "ROLE", "role", "a role of the caller", VERB_TEXTS, .offset = offsetof(struct question, roles),
	  .values_max = VERB_LIST_MAX, .completes = VERB_COMPLETES_ROLE },
	{ "ID", "project", "the caller's project", VERB_TEXT, .offset = offsetof(struct question, project) },
	{ "ID", "user", "the caller", VERB_TEXT, .offset = offsetof(struct question, user), .by_default = "cli" },
	{ "ID", "domain", "the token is for this domain", VERB_TEXT, .offset = offsetof(struct question, domain) },
	{ "SCOPE", "system-scope", "the token is for the system (all)", VERB_TEXT,
	  .offset = offsetof(struct question, system_scope) },
	{ "TOKEN", "token", "the caller is who bears this token", VERB_TEXT,
	  .offset = offsetof(struct question, token) },
	{ "ID", "server-project", "the server's project; the caller's without it", VERB_TEXT,
	  .offset = offsetof(struct question, server_project) },
	{ "ID", "server-user", "the server's user", VERB_TEXT, .offset = offsetof(struct question, server_user) },
	{ NULL, "exact-roles", "the roles as they are given, and none that they imply", VERB_SWITCH,
	  .offset = offsetof(struct question, is_exact) },
	VERB_OPTION_JSON(struct question, is_json),
	VERB_OPTION_CONFIG(struct question, files),
};

static const char *const check_description[] = {
	"The exit status is 1 when any of the policies does not let the caller. With --json a list of objects: name, "
	"rule, origin, "
	"verdict (\"passed\", \"failed\"), and why where there is more to say.",
	NULL,
};

static const struct verb_example check_examples[] = {
	{ "migrationd policy check os_compute_api:os-migrate-server:migrate --role member --project demo",
	  "may a member migrate a server of the own project?" },
	{ 0 },
};

static const struct verb policy_check_verb = {
	.name = "check",
	.summary = "says whether a caller may do it to a server",
	.description = check_description,
	.operands = VERB_ROWS(check_operands),
	.options = VERB_ROWS(check_options),
	.examples = check_examples,
	.arguments_size = sizeof(struct question),
	.run = run_check,
};

static const struct verb *const inner[] = { &policy_list, &policy_check_verb, NULL };

const struct verb verb_policy = {
	.name = "policy",
	.summary = "who may do what, by the configuration",
	.verbs = inner,
};
