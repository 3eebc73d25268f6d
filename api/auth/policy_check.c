/* The evaluation of a compiled rule, with oslo.policy's third value: what raises there raises here, through `not`, `and`
 * and `or`, and ends as a refusal. The difficulty is the order of what is looked at inside one check, because it decides
 * between false and raised: the right side's keys, its format, the left side's form, then the creds. */
#include <errno.h>
#include <string.h>

#include "api/auth/policy_tree.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

/* KEY_RAISED is Python's KeyError, which a `rule:` above it turns into false. */
enum outcome { OUTCOME_NO, OUTCOME_YES, OUTCOME_RAISED, OUTCOME_KEY_RAISED };

/* Whose creds: a caller, or an object. */
struct subject {
	const struct caller *caller;
	const json_t *credentials;
};

struct evaluation {
	const struct policy *policy;
	const struct subject *subject;
	const struct policy_target *target;
	const char *name; /* what was asked for */
	bool is_finding_admin; /* is_admin is what is being found: it is None now */
	struct error *error;
};

static enum outcome check_node(const struct evaluation *evaluation, const struct policy_node *node, unsigned int depth);

static enum outcome raised(const struct evaluation *evaluation, const struct policy_node *node, const char *why)
{
	error_set(evaluation->error, EINVAL, "policy %s: the check \"%s%s%s\" is faulty: %s", evaluation->name,
		  node->kind_text ? node->kind_text : "", node->kind_text ? ":" : "",
		  node->kind_text ? node->match_text : "", why);
	return OUTCOME_RAISED;
}

/* Nova's RequestContext asks the rule context_is_admin, with is_admin still unknown. */
static bool find_is_admin(const struct policy *policy, const struct subject *subject)
{
	const struct policy_rule *rule = policy_find(policy, "context_is_admin");
	struct policy_target target = policy_target_caller(subject->caller);
	struct evaluation evaluation = {
		.policy = policy,
		.subject = subject,
		.target = &target,
		.name = "context_is_admin",
		.is_finding_admin = true,
	};

	return rule && check_node(&evaluation, rule->node, 0) == OUTCOME_YES;
}

/* Keys of a caller's creds. Its service_roles are an empty list, which is looked through like one that is not there. */
static struct policy_value caller_value(const struct evaluation *evaluation, const char *key)
{
	static const struct {
		const char *key;
		size_t offset;
	} texts[] = {
		{ "project_id", offsetof(struct caller, project_id) },
		{ "user_id", offsetof(struct caller, user_id) },
		{ "domain_id", offsetof(struct caller, domain_id) },
		{ "user_domain_id", offsetof(struct caller, user_domain_id) },
		{ "project_domain_id", offsetof(struct caller, project_domain_id) },
		{ "system_scope", offsetof(struct caller, system_scope) },
	};
	static const char *const absent[] = { "service_user_id", "service_user_domain_id", "service_project_id",
					      "service_project_domain_id" };
	const struct caller *caller = evaluation->subject->caller;

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (strcmp(key, texts[i].key) == 0)
			return policy_value_of_text(
				*(const char *const *)(const void *)((const char *)caller + texts[i].offset));
	if (strcmp(key, "roles") == 0)
		return (struct policy_value){ .kind = POLICY_VALUE_TEXTS,
					      .texts = caller->roles,
					      .count = caller->role_count };
	if (strcmp(key, "is_admin_project") == 0)
		return (struct policy_value){ .kind = POLICY_VALUE_BOOLEAN, .is_true = caller->is_admin_project };
	if (strcmp(key, "is_admin") == 0)
		return evaluation->is_finding_admin
			       ? (struct policy_value){ .kind = POLICY_VALUE_NULL }
			       : (struct policy_value){ .kind = POLICY_VALUE_BOOLEAN,
							.is_true = find_is_admin(evaluation->policy,
										 evaluation->subject) };
	for (size_t i = 0; i < ARRAY_LENGTH(absent); i++)
		if (strcmp(key, absent[i]) == 0)
			return (struct policy_value){ .kind = POLICY_VALUE_NULL };
	return (struct policy_value){ .kind = POLICY_VALUE_MISSING };
}

/* `system` is `system_scope` whenever that says something. */
static struct policy_value credential(const struct evaluation *evaluation, const char *key)
{
	struct policy_value value = { .kind = POLICY_VALUE_MISSING };

	if (strcmp(key, "system") == 0) {
		value = credential(evaluation, "system_scope");
		if (policy_value_is_true(&value))
			return value;
	}
	if (evaluation->subject->caller)
		return caller_value(evaluation, key);
	return policy_value_of_json(json_object_get(evaluation->subject->credentials, key));
}

static enum outcome compare(const struct evaluation *evaluation, const struct policy_node *node,
			    const struct policy_value *value, const char *match)
{
	bool has_failed = false;
	bool is_equal = policy_value_equals(value, match, &has_failed);

	if (has_failed)
		return raised(evaluation, node, "out of memory");
	return is_equal ? OUTCOME_YES : OUTCOME_NO;
}

/* What hangs below a value of the creds: objects are gone down, of a list any member will do. */
static enum outcome find_below(const struct evaluation *evaluation, const struct policy_node *node,
			       struct policy_value value, size_t segment, const char *match)
{
	enum outcome outcome = OUTCOME_NO;
	json_t *member;
	size_t index;

	if (segment == node->left.segment_count)
		return compare(evaluation, node, &value, match);
	if (!json_is_object(value.json))
		return raised(evaluation, node, "its path goes below a value that is no object");
	value = policy_value_of_json(json_object_get(value.json, node->left.segments[segment]));
	if (value.kind == POLICY_VALUE_MISSING)
		return OUTCOME_NO;
	if (!json_is_array(value.json))
		return find_below(evaluation, node, value, segment + 1, match);
	json_array_foreach(value.json, index, member)
	{
		outcome = find_below(evaluation, node, policy_value_of_json(member), segment + 1, match);
		if (outcome != OUTCOME_NO)
			break;
	}
	return outcome;
}

static enum outcome find_in_credentials(const struct evaluation *evaluation, const struct policy_node *node,
					const char *match)
{
	struct policy_value value = credential(evaluation, node->left.segments[0]);
	enum outcome outcome = OUTCOME_NO;
	json_t *member;
	size_t index;

	if (value.kind == POLICY_VALUE_MISSING)
		return OUTCOME_NO;
	if (value.kind == POLICY_VALUE_TEXTS) {
		for (size_t i = 0; i < value.count && outcome == OUTCOME_NO; i++)
			outcome = find_below(evaluation, node, policy_value_of_text(value.texts[i]), 1, match);
		return outcome;
	}
	if (!json_is_array(value.json))
		return find_below(evaluation, node, value, 1, match);
	json_array_foreach(value.json, index, member)
	{
		outcome = find_below(evaluation, node, policy_value_of_json(member), 1, match);
		if (outcome != OUTCOME_NO)
			break;
	}
	return outcome;
}

static enum outcome check_generic(const struct evaluation *evaluation, const struct policy_node *node,
				  const char *match)
{
	switch (node->left.form) {
	case POLICY_LEFT_FAULT:
		return raised(evaluation, node, node->left.fault);
	case POLICY_LEFT_LITERAL:
		return strcmp(match, node->left.literal) == 0 ? OUTCOME_YES : OUTCOME_NO;
	case POLICY_LEFT_PATH:
		break;
	}
	return find_in_credentials(evaluation, node, match);
}

static enum outcome check_role(const struct evaluation *evaluation, const struct policy_node *node, const char *match)
{
	struct policy_value roles = credential(evaluation, "roles");
	bool has_failed = false;
	bool is_found = false;
	size_t index;
	json_t *member;

	if (roles.kind == POLICY_VALUE_MISSING)
		return OUTCOME_NO;
	for (size_t i = 0; i < roles.count && !is_found; i++)
		is_found = policy_text_equals_folded(match, roles.texts[i], &has_failed);
	if (roles.kind != POLICY_VALUE_TEXTS && !json_is_array(roles.json))
		return raised(evaluation, node, "the caller's roles are no list");
	json_array_foreach(roles.json, index, member)
	{
		if (!json_is_string(member))
			return raised(evaluation, node, "a role of the caller is no text");
		is_found = is_found || policy_text_equals_folded(match, json_string_value(member), &has_failed);
	}
	if (has_failed)
		return raised(evaluation, node, "out of memory");
	return is_found ? OUTCOME_YES : OUTCOME_NO;
}

static enum outcome check_match(const struct evaluation *evaluation, const struct policy_node *node, const char *match)
{
	return node->kind == POLICY_NODE_ROLE ? check_role(evaluation, node, match)
					      : check_generic(evaluation, node, match);
}

/* role: and generic checks: the right side first. */
static enum outcome check_formatted(const struct evaluation *evaluation, const struct policy_node *node)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	const char *fault = NULL;

	if (node->match.form == POLICY_FORMAT_CONSTANT)
		return check_match(evaluation, node, node->match.text);
	if (node->match.form == POLICY_FORMAT_KEY) {
		struct policy_value value = policy_target_value(evaluation->target, node->match.text);

		if (value.kind == POLICY_VALUE_MISSING)
			return OUTCOME_NO;
		if (value.kind == POLICY_VALUE_TEXT)
			return check_match(evaluation, node, value.text);
		if (value.kind == POLICY_VALUE_NULL)
			return check_match(evaluation, node, "None");
	}
	switch (policy_format_run(&node->match, evaluation->target, &text, &fault)) {
	case POLICY_FORMAT_KEY_MISSING:
		return OUTCOME_NO;
	case POLICY_FORMAT_RAISED:
		return raised(evaluation, node, fault);
	case POLICY_FORMATTED:
		break;
	}
	return check_match(evaluation, node, text.data);
}

static enum outcome check_is_admin(const struct evaluation *evaluation, const struct policy_node *node)
{
	struct policy_value value = credential(evaluation, "is_admin");

	if (value.kind == POLICY_VALUE_MISSING) {
		raised(evaluation, node, "the creds have no is_admin");
		return OUTCOME_KEY_RAISED;
	}
	/* Python's 1 == True. */
	if (json_is_number(value.json))
		return json_number_value(value.json) == (node->is_admin_expected ? 1.0 : 0.0) ? OUTCOME_YES
											      : OUTCOME_NO;
	return value.kind == POLICY_VALUE_BOOLEAN && value.is_true == node->is_admin_expected ? OUTCOME_YES
											      : OUTCOME_NO;
}

static enum outcome check_rule(const struct evaluation *evaluation, const struct policy_node *node, unsigned int depth)
{
	enum outcome outcome;

	if (!node->rule)
		return OUTCOME_NO;
	outcome = check_node(evaluation, node->rule->node, depth + 1);
	return outcome == OUTCOME_KEY_RAISED ? OUTCOME_NO : outcome;
}

/* Each of `and` (any of `or`), from left to right, until one decides. */
static enum outcome check_joined(const struct evaluation *evaluation, const struct policy_node *node,
				 enum outcome goes_on, unsigned int depth)
{
	for (const struct policy_node *child = node->first; child; child = child->next) {
		enum outcome outcome = check_node(evaluation, child, depth + 1);

		if (outcome != goes_on)
			return outcome;
	}
	return goes_on;
}

static enum outcome check_not(const struct evaluation *evaluation, const struct policy_node *node, unsigned int depth)
{
	enum outcome outcome = check_node(evaluation, node->first, depth + 1);

	if (outcome == OUTCOME_YES)
		return OUTCOME_NO;
	return outcome == OUTCOME_NO ? OUTCOME_YES : outcome;
}

static enum outcome check_node(const struct evaluation *evaluation, const struct policy_node *node, unsigned int depth)
{
	if (depth > POLICY_DEPTH_MAX)
		return raised(evaluation, node, "checks are nested too deep, or go in a circle");
	switch (node->kind) {
	case POLICY_NODE_ALWAYS:
		return OUTCOME_YES;
	case POLICY_NODE_NEVER:
		return OUTCOME_NO;
	case POLICY_NODE_NOT:
		return check_not(evaluation, node, depth);
	case POLICY_NODE_AND:
		return check_joined(evaluation, node, OUTCOME_YES, depth);
	case POLICY_NODE_OR:
		return check_joined(evaluation, node, OUTCOME_NO, depth);
	case POLICY_NODE_RULE:
		return check_rule(evaluation, node, depth);
	case POLICY_NODE_ROLE:
	case POLICY_NODE_GENERIC:
		return check_formatted(evaluation, node);
	case POLICY_NODE_IS_ADMIN:
		return check_is_admin(evaluation, node);
	case POLICY_NODE_RAISES:
		break;
	}
	return raised(evaluation, node, node->fault);
}

static bool is_scope_refused(const struct evaluation *evaluation, const struct policy_rule *rule)
{
	enum policy_scope scope = POLICY_SCOPE_PROJECT;
	struct policy_value value;

	if (evaluation->policy->ignores_scope || rule->scopes == POLICY_SCOPE_ANY)
		return false;
	value = credential(evaluation, "domain_id");
	if (policy_value_is_true(&value))
		scope = POLICY_SCOPE_DOMAIN;
	value = credential(evaluation, "system");
	if (policy_value_is_true(&value))
		scope = POLICY_SCOPE_SYSTEM;
	return (rule->scopes & scope) == 0;
}

static enum policy_verdict check(const struct policy *policy, const char *name, const struct subject *subject,
				 const struct policy_target *target, struct error *error)
{
	const struct policy_rule *rule = policy_find(policy, name);
	struct evaluation evaluation = {
		.policy = policy, .subject = subject, .target = target, .name = name, .error = error
	};

	if (rule && is_scope_refused(&evaluation, rule))
		return POLICY_REFUSED;
	if (!rule)
		rule = policy->default_rule;
	if (!rule)
		return POLICY_REFUSED;
	switch (check_node(&evaluation, rule->node, 0)) {
	case OUTCOME_YES:
		return POLICY_ALLOWED;
	case OUTCOME_NO:
		return POLICY_REFUSED;
	case OUTCOME_RAISED:
	case OUTCOME_KEY_RAISED:
		break;
	}
	return POLICY_RAISED;
}

enum policy_verdict policy_check(const struct policy *policy, const char *name, const struct caller *caller,
				 const struct policy_target *target, struct error *error)
{
	const struct subject subject = { .caller = caller };

	return check(policy, name, &subject, target, error);
}

enum policy_verdict policy_check_credentials(const struct policy *policy, const char *name, const json_t *credentials,
					     const struct policy_target *target, struct error *error)
{
	const struct subject subject = { .credentials = credentials };

	return check(policy, name, &subject, target, error);
}

bool policy_scope_fits(const struct policy *policy, const char *name, const struct caller *caller)
{
	const struct subject subject = { .caller = caller };
	const struct evaluation evaluation = { .policy = policy, .subject = &subject, .name = name };
	const struct policy_rule *rule = policy_find(policy, name);

	return !rule || !is_scope_refused(&evaluation, rule);
}

bool policy_is_admin(const struct policy *policy, const struct caller *caller)
{
	const struct subject subject = { .caller = caller };

	return find_is_admin(policy, &subject);
}
