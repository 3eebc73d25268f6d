/* What is wrong with an operator's rules, so that it is told before anybody is refused by it. The difficulty is to tell a rule
 * that can only fail from one that refuses because it is meant to: `!` is somebody's will, a blank behind a colon is not. */
#include "api/auth/policy_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

/* Seen while one rule is walked. */
enum visit { VISIT_NEW, VISIT_OPEN, VISIT_DONE };

struct walk {
	const struct policy *policy;
	unsigned char *visits; /* by rule */
	unsigned int depth; /* rules that are open */
	const struct policy_rule *circle; /* the first rule that was met again, or lies too deep; NULL: none */
};

/* What is known of each rule without a circle: can it grant, can it refuse? 0 is not known. */
enum answer { ANSWER_YES = 1, ANSWER_NO };

struct answers {
	const struct policy *policy;
	unsigned char *known[2]; /* by `granted`, then by rule */
};

/* Marks what the rule reaches, and finds a circle. */
static void reach(struct walk *walk, const struct policy_rule *rule);

static void reach_node(struct walk *walk, const struct policy_node *node)
{
	for (const struct policy_node *child = node->first; child; child = child->next)
		reach_node(walk, child);
	if (node->rule)
		reach(walk, node->rule);
}

static void reach(struct walk *walk, const struct policy_rule *rule)
{
	unsigned char *visit = &walk->visits[rule - walk->policy->rules];

	if (!walk->circle && (*visit == VISIT_OPEN || walk->depth > POLICY_DEPTH_MAX))
		walk->circle = rule;
	if (*visit != VISIT_NEW || walk->depth > POLICY_DEPTH_MAX)
		return;
	*visit = VISIT_OPEN;
	walk->depth++;
	reach_node(walk, rule->node);
	walk->depth--;
	*visit = VISIT_DONE;
}

static bool is_faulty_check(const struct policy_node *node)
{
	return node->left.form == POLICY_LEFT_FAULT || policy_format_fault(&node->match);
}

static bool rule_can_be(const struct answers *answers, const struct policy_rule *rule, bool granted);

/* Can the node become what is asked for, for some caller? A plain `!` is taken for a grant: it does what its author wants. */
static bool can_be(const struct answers *answers, const struct policy_node *node, bool granted)
{
	switch (node->kind) {
	case POLICY_NODE_ALWAYS:
		return granted;
	case POLICY_NODE_NEVER:
		return !granted || !node->fault;
	case POLICY_NODE_NOT:
		return can_be(answers, node->first, !granted);
	case POLICY_NODE_AND:
	case POLICY_NODE_OR: {
		bool needs_all = (node->kind == POLICY_NODE_AND) == granted;

		for (const struct policy_node *child = node->first; child; child = child->next)
			if (can_be(answers, child, granted) != needs_all)
				return !needs_all;
		return needs_all;
	}
	case POLICY_NODE_RULE:
		return node->rule ? rule_can_be(answers, node->rule, granted) : !granted;
	case POLICY_NODE_ROLE:
		if (*node->match_text == '\0') /* no role has no name */
			return !granted;
		__attribute__((fallthrough));
	case POLICY_NODE_GENERIC:
		return !is_faulty_check(node);
	case POLICY_NODE_IS_ADMIN:
		return true;
	case POLICY_NODE_RAISES:
		return false;
	}
	return true;
}

static bool rule_can_be(const struct answers *answers, const struct policy_rule *rule, bool granted)
{
	unsigned char *known = &answers->known[granted][rule - answers->policy->rules];

	if (*known == 0)
		*known = can_be(answers, rule->node, granted) ? ANSWER_YES : ANSWER_NO;
	return *known == ANSWER_YES;
}

/* The first rule below that is not there. */
static const char *missing_name(const struct policy_node *node)
{
	const char *name = node->kind == POLICY_NODE_RULE && !node->rule ? node->match_text : NULL;

	for (const struct policy_node *child = node->first; child && !name; child = child->next)
		name = missing_name(child);
	return name;
}

static void tell(const struct policy_rule *rule, const struct policy_rule *circle,
		 void (*on_fault)(void *context, const char *text), void *context)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	const char *missing = missing_name(rule->node);

	if (rule->file)
		text_append_format(&text, "%s:%u: ", rule->file, rule->line);
	text_append_format(&text, "policy %s: ", rule->name);
	if (circle)
		text_append_format(&text, "it goes round in a circle of rules, or too deep, by rule:%s", circle->name);
	else if (rule->trouble)
		text_append(&text, rule->trouble);
	else if (missing)
		text_append_format(&text, "it refers to the rule \"%s\", which is not there", missing);
	else if (rule->node->fault)
		text_append(&text, rule->node->fault);
	else
		text_append(&text, "it can never grant");
	text_append(&text, "; to let nobody do it, write \"!\"");
	if (!text_failed(&text))
		on_fault(context, text.data);
}

/* Rules that the service asks, or that one of those refers to. */
static void mark_used(struct walk *walk)
{
	for (size_t i = 0; i < walk->policy->rule_count; i++)
		if (walk->policy->rules[i].is_registered) {
			reach(walk, &walk->policy->rules[i]);
			if (walk->policy->rules[i].inherited)
				reach(walk, walk->policy->rules[i].inherited);
		}
}

int policy_find_faults(const struct policy *policy, void (*on_fault)(void *context, const char *text), void *context,
		       struct error *error)
{
	CLEANUP_FREE unsigned char *used = calloc(policy->rule_count + 1, 1);
	CLEANUP_FREE unsigned char *visits = calloc(policy->rule_count + 1, 1);
	CLEANUP_FREE unsigned char *grants = calloc(policy->rule_count + 1, 1);
	CLEANUP_FREE unsigned char *refusals = calloc(policy->rule_count + 1, 1);
	CLEANUP_FREE bool *told = calloc(policy->rule_count + 1, sizeof(*told));
	const struct answers answers = { policy, { refusals, grants } };
	struct walk walk = { .policy = policy, .visits = used };

	if (!used || !visits || !grants || !refusals || !told)
		return error_no_memory(error);
	mark_used(&walk);
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct policy_rule *rule = &policy->rules[i];
		struct walk own = { .policy = policy, .visits = visits };

		if (!rule->is_overridden || used[i] == VISIT_NEW || told[i])
			continue;
		memset(visits, VISIT_NEW, policy->rule_count);
		reach(&own, rule);
		if (!own.circle && rule_can_be(&answers, rule, true))
			continue;
		tell(rule, own.circle, on_fault, context);
		for (size_t j = 0; own.circle && j < policy->rule_count; j++)
			told[j] = told[j] || visits[j] != VISIT_NEW; /* a circle is told once */
	}
	return 0;
}
