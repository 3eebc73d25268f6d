/* A policy set: defaults, the file's rules over them, names resolved. The difficulty is the deprecated names: a file that
 * still uses one replaces the default of its successor. */
#include "api/auth/policy.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth/policy_tree.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#define ARENA_BLOCK_SIZE 16384

struct policy_arena_block {
	struct policy_arena_block *next;
	size_t used;
	size_t size;
	max_align_t bytes[];
};

void *policy_arena_allocate(struct policy_arena *arena, size_t size)
{
	struct policy_arena_block *block = arena->blocks;

	size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (!block || block->size - block->used < size) {
		size_t block_size = size > ARENA_BLOCK_SIZE ? size : ARENA_BLOCK_SIZE;

		block = calloc(1, sizeof(*block) + block_size);
		if (!block)
			return NULL;
		block->size = block_size;
		block->next = arena->blocks;
		arena->blocks = block;
	}

	void *place = (char *)block->bytes + block->used;

	block->used += size;
	return place;
}

char *policy_arena_copy(struct policy_arena *arena, const char *bytes, size_t length)
{
	char *copy = policy_arena_allocate(arena, length + 1);

	if (copy)
		memcpy(copy, bytes, length);
	return copy;
}

void policy_arena_free(struct policy_arena *arena)
{
	while (arena->blocks) {
		struct policy_arena_block *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
}

/* What is at hand while a set is built. */
struct builder {
	struct policy *policy;
	const struct policy_settings *settings;
	struct policy_rule *current; /* the one that is being parsed, for reports */
};

static void report(const struct builder *builder, const struct policy_rule *rule, const char *words)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	if (!builder->settings->report)
		return;
	if (rule->file)
		text_append_format(&text, "%s:%u: ", rule->file, rule->line);
	text_append_format(&text, "policy %s: %s", rule->name, words);
	if (!text_failed(&text))
		builder->settings->report(builder->settings->report_context, text.data);
}

static void report_parse(void *context, const char *words)
{
	const struct builder *builder = context;
	struct policy_rule *rule = builder->current;

	rule->trouble = policy_arena_copy(&builder->policy->arena, words, strlen(words));
	report(builder, rule, words);
}

static size_t hash_name(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325U;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3U;
	return (size_t)(hash ^ hash >> 32);
}

/* Where `name` is, or where it would go. */
static size_t find_slot(const struct policy *policy, const char *name)
{
	size_t slot = hash_name(name) & (policy->slot_count - 1);

	while (policy->slots[slot] != 0 && strcmp(policy->rules[policy->slots[slot] - 1].name, name) != 0)
		slot = (slot + 1) & (policy->slot_count - 1);
	return slot;
}

static struct policy_rule *find_rule(const struct policy *policy, const char *name)
{
	size_t index = policy->slots[find_slot(policy, name)];

	return index > 0 ? &policy->rules[index - 1] : NULL;
}

const struct policy_rule *policy_find(const struct policy *policy, const char *name)
{
	return find_rule(policy, name);
}

/* The rule of that name, made when there is none. */
static struct policy_rule *add_rule(struct policy *policy, const char *name)
{
	size_t slot = find_slot(policy, name);
	struct policy_rule *rule = &policy->rules[policy->rule_count];

	if (policy->slots[slot] != 0)
		return &policy->rules[policy->slots[slot] - 1];
	rule->name = policy_arena_copy(&policy->arena, name, strlen(name));
	if (!rule->name)
		return NULL;
	policy->slots[slot] = ++policy->rule_count;
	return rule;
}

static struct policy_parse begin_parse(struct builder *builder, struct policy_rule *rule)
{
	builder->current = rule;
	return (struct policy_parse){
		.arena = &builder->policy->arena,
		.has_generic_is_admin = builder->settings->has_generic_is_admin,
		.report = report_parse,
		.report_context = builder,
	};
}

static int parse_text(struct builder *builder, struct policy_rule *rule, const char *text,
		      struct policy_node **ret_node)
{
	struct policy_parse parse = begin_parse(builder, rule);

	return policy_parse_text(&parse, text, ret_node);
}

static void report_superseded(const struct builder *builder, const struct policy_rule *rule,
			      const struct policy_override *by)
{
	CLEANUP_TEXT struct text words = TEXT_EMPTY;

	text_append_format(&words, "the rule is given again in %s:%u, and only that one counts",
			   by->file ? by->file : "policies", by->line);
	if (!text_failed(&words))
		report(builder, rule, words.data);
}

static int add_overrides(struct builder *builder, struct error *error)
{
	for (size_t i = 0; i < builder->settings->override_count; i++) {
		const struct policy_override *override = &builder->settings->overrides[i];
		struct policy_rule *rule = add_rule(builder->policy, override->name);
		struct policy_parse parse = begin_parse(builder, rule);
		int result;

		if (!rule)
			return error_no_memory(error);
		if (rule->is_overridden)
			report_superseded(builder, rule, override);
		if (override->file)
			rule->file = policy_arena_copy(&builder->policy->arena, override->file, strlen(override->file));
		rule->line = override->line;
		rule->is_overridden = true;
		rule->trouble = NULL; /* of one that does not count any more */
		result = policy_parse_value(&parse, override->value, &rule->node);
		rule->is_malformed = parse.is_malformed;
		if (result == -EINVAL)
			return error_set(error, EINVAL, "%s:%u: policy %s: its value is no rule: give a text or a list",
					 rule->file ? rule->file : "policies", rule->line, rule->name);
		if (result < 0)
			return error_no_memory(error);
	}
	return 0;
}

/* The file's rule of a deprecated name stands for the default of its successor, but for a file that only says
 * "old: rule:new". */
static int inherit_deprecated(struct builder *builder, const struct policy_default *fallback, struct policy_rule *rule)
{
	struct policy_rule *old = find_rule(builder->policy, fallback->deprecated_name);
	CLEANUP_TEXT struct text printed = TEXT_EMPTY;
	CLEANUP_TEXT struct text words = TEXT_EMPTY;
	CLEANUP_FREE char *reference = text_format("rule:%s", fallback->name);

	if (!old || !old->is_overridden)
		return 0;
	policy_node_print(old->node, &printed);
	if (!reference || text_failed(&printed))
		return -ENOMEM;
	if (printed.data && strcmp(printed.data, reference) == 0)
		return 0;
	rule->node = old->node;
	rule->inherited = old;
	if (old->is_registered)
		text_append_format(&words,
				   "it was once the name of %s too, and counts for that as long as no rule names it",
				   fallback->name);
	else
		text_append_format(&words, "the name is deprecated; its rule now also counts for %s", fallback->name);
	if (text_failed(&words))
		return -ENOMEM;
	report(builder, old, words.data);
	return 0;
}

/* The default's own rule, as long as nothing of the file stands for it. */
static int add_default(struct builder *builder, const struct policy_default *fallback)
{
	struct policy_rule *rule = find_rule(builder->policy, fallback->name);
	struct policy_rule *old =
		fallback->deprecated_name ? find_rule(builder->policy, fallback->deprecated_name) : NULL;
	struct policy_node *old_node;

	if (old)
		old->is_referenced = true;
	if (rule->node)
		return 0;
	if (fallback->deprecated_name && inherit_deprecated(builder, fallback, rule) < 0)
		return -ENOMEM;
	if (rule->node)
		return 0;
	if (parse_text(builder, rule, fallback->rule, &rule->node) < 0)
		return -ENOMEM;
	if (!builder->settings->allows_deprecated || !fallback->deprecated_rule
	    || strcmp(fallback->deprecated_rule, fallback->rule) == 0)
		return 0;
	if (parse_text(builder, rule, fallback->deprecated_rule, &old_node) < 0)
		return -ENOMEM;
	rule->node = policy_node_join(&builder->policy->arena, POLICY_NODE_OR, rule->node, old_node);
	return rule->node ? 0 : -ENOMEM;
}

/* Names first, so that they come in the defaults' order; the file's rules; then what is left to the defaults. */
static int add_rules(struct builder *builder, const struct policy_default *defaults, size_t default_count,
		     struct error *error)
{
	int result;

	for (size_t i = 0; i < default_count; i++) {
		struct policy_rule *rule = add_rule(builder->policy, defaults[i].name);

		if (!rule)
			return error_no_memory(error);
		rule->scopes = defaults[i].scopes;
		rule->is_registered = true;
	}
	result = add_overrides(builder, error);
	if (result < 0)
		return result;
	for (size_t i = 0; i < default_count; i++)
		if (add_default(builder, &defaults[i]) < 0)
			return error_no_memory(error);
	return 0;
}

static void resolve(const struct builder *builder, const struct policy_rule *rule, struct policy_node *node)
{
	CLEANUP_TEXT struct text words = TEXT_EMPTY;
	struct policy_rule *meant;

	for (struct policy_node *child = node->first; child; child = child->next)
		resolve(builder, rule, child);
	if (node->kind != POLICY_NODE_RULE)
		return;
	meant = find_rule(builder->policy, node->match_text);
	node->rule = meant;
	if (meant) {
		meant->is_referenced = true;
		return;
	}
	node->rule = builder->policy->default_rule;
	text_append_format(&words, "it refers to the rule \"%s\", which is not there", node->match_text);
	if (!text_failed(&words))
		report(builder, rule, words.data);
}

/* Colours of the walk that looks for circles. */
enum visit { VISIT_NEW, VISIT_OPEN, VISIT_DONE };

/* Also where it goes too deep to be followed. */
static bool goes_in_circle(const struct policy *policy, const struct policy_node *node, unsigned char *visits,
			   bool through_not, unsigned int depth)
{
	if (node->kind == POLICY_NODE_NOT && !through_not)
		return false;
	for (const struct policy_node *child = node->first; child; child = child->next)
		if (goes_in_circle(policy, child, visits, through_not, depth))
			return true;

	const struct policy_rule *rule = node->kind == POLICY_NODE_RULE ? policy_find(policy, node->match_text) : NULL;

	if (!rule)
		return false;

	unsigned char *visit = &visits[rule - policy->rules];

	if (*visit == VISIT_OPEN || depth == 0)
		return true;
	if (*visit == VISIT_DONE)
		return false;
	*visit = VISIT_OPEN;
	if (goes_in_circle(policy, rule->node, visits, through_not, depth - 1))
		return true;
	*visit = VISIT_DONE;
	return false;
}

static bool has_undefined(const struct policy *policy, const struct policy_node *node)
{
	if (node->kind == POLICY_NODE_RULE && !policy_find(policy, node->match_text))
		return true;
	for (const struct policy_node *child = node->kind == POLICY_NODE_NOT ? NULL : node->first; child;
	     child = child->next)
		if (has_undefined(policy, child))
			return true;
	return false;
}

bool policy_references_hold(const struct policy *policy)
{
	CLEANUP_FREE unsigned char *visits = calloc(policy->rule_count + 1, 1);

	for (size_t i = 0; i < policy->rule_count; i++)
		if (!visits || has_undefined(policy, policy->rules[i].node)
		    || goes_in_circle(policy, policy->rules[i].node, visits, false, POLICY_DEPTH_MAX))
			return false;
	return true;
}

/* Of all names that are asked for, the one that may have been meant; NULL: none is near. */
static const char *find_nearest(const struct policy *policy, const char *name)
{
	const char *nearest = NULL;
	unsigned int nearest_distance = 3;

	for (size_t i = 0; i < policy->rule_count; i++) {
		unsigned int distance = policy->rules[i].is_registered ? text_distance(policy->rules[i].name, name) : 3;

		if (distance >= nearest_distance)
			continue;
		nearest = policy->rules[i].name;
		nearest_distance = distance;
	}
	return nearest;
}

static void report_unasked(const struct builder *builder, const struct policy_rule *rule)
{
	CLEANUP_TEXT struct text words = TEXT_EMPTY;
	const char *nearest = find_nearest(builder->policy, rule->name);

	text_append(&words, "nothing here asks for a policy of this name");
	if (nearest)
		text_append_format(&words, "; did you mean %s?", nearest);
	if (!text_failed(&words))
		report(builder, rule, words.data);
}

/* Grants to everybody by its form alone, as far as that is seen from near. */
static bool is_open(const struct policy_node *node, unsigned int depth)
{
	bool needs_all = node->kind == POLICY_NODE_AND;

	if (depth == 0)
		return false;
	if (node->kind == POLICY_NODE_RULE)
		return node->rule && is_open(node->rule->node, depth - 1);
	if (node->kind == POLICY_NODE_NOT)
		return node->first->kind == POLICY_NODE_NEVER;
	if (node->kind != POLICY_NODE_AND && node->kind != POLICY_NODE_OR)
		return node->kind == POLICY_NODE_ALWAYS;
	for (const struct policy_node *child = node->first; child; child = child->next)
		if (is_open(child, depth - 1) != needs_all)
			return !needs_all;
	return needs_all;
}

/* Circles, doors that stand open, and rules of the file that nothing asks for. */
static int report_overrides(const struct builder *builder)
{
	const struct policy *policy = builder->policy;

	for (size_t i = 0; i < policy->rule_count; i++) {
		CLEANUP_FREE unsigned char *visits = calloc(policy->rule_count, 1);

		if (!visits)
			return -ENOMEM;
		if (!policy->rules[i].is_overridden)
			continue;
		if (!policy->rules[i].is_registered && !policy->rules[i].is_referenced
		    && &policy->rules[i] != policy->default_rule)
			report_unasked(builder, &policy->rules[i]);
		/* Of an empty one it was said already. */
		if ((policy->rules[i].is_registered || policy->rules[i].is_referenced) && !policy->rules[i].trouble
		    && is_open(policy->rules[i].node, 8))
			report(builder, &policy->rules[i], "everybody may do it: the rule grants it to whoever asks");
		if (goes_in_circle(policy, policy->rules[i].node, visits, true, POLICY_DEPTH_MAX))
			report(builder, &policy->rules[i],
			       "it can never grant where it goes round in a circle of rules");
	}
	return 0;
}

static int build(struct builder *builder, struct error *error)
{
	const struct policy_settings *settings = builder->settings;
	struct policy *policy = builder->policy;
	size_t default_count = settings->default_count;
	const struct policy_default *defaults =
		settings->defaults ? settings->defaults : policy_defaults(&default_count);
	size_t names_max = default_count + settings->override_count;
	int result;

	policy->ignores_scope = settings->ignores_scope;
	for (policy->slot_count = 16; policy->slot_count < 2 * names_max; policy->slot_count *= 2)
		;
	policy->slots = policy_arena_allocate(&policy->arena, policy->slot_count * sizeof(*policy->slots));
	policy->rules = policy_arena_allocate(&policy->arena, (names_max + 1) * sizeof(*policy->rules));
	if (!policy->slots || !policy->rules)
		return error_no_memory(error);
	result = add_rules(builder, defaults, default_count, error);
	if (result < 0)
		return result;
	policy->default_rule = policy_find(policy, "default");
	for (size_t i = 0; i < policy->rule_count; i++)
		policy_node_cut(policy->rules[i].node);
	for (size_t i = 0; i < policy->rule_count; i++)
		if (!policy->rules[i].inherited) /* it is resolved as the other's */
			resolve(builder, &policy->rules[i], policy->rules[i].node);
	if (report_overrides(builder) < 0)
		return error_no_memory(error);
	return 0;
}

static void policy_cleanup(struct policy **policy)
{
	policy_destroy(*policy);
}

int policy_create(const struct policy_settings *settings, struct policy **ret_policy, struct error *error)
{
	__attribute__((cleanup(policy_cleanup))) struct policy *policy = calloc(1, sizeof(*policy));
	struct builder builder = { .policy = policy, .settings = settings };
	int result;

	if (!policy)
		return error_no_memory(error);
	result = build(&builder, error);
	if (result < 0)
		return result;
	*ret_policy = TAKE_POINTER(policy);
	return 0;
}

void policy_destroy(struct policy *policy)
{
	if (!policy)
		return;
	policy_arena_free(&policy->arena);
	free(policy);
}

bool policy_print(const struct policy *policy, const char *name, struct text *text)
{
	const struct policy_rule *rule = policy_find(policy, name);

	if (rule)
		policy_node_print(rule->node, text);
	return rule != NULL;
}

const char *policy_origin(const struct policy *policy, const char *name, unsigned int *ret_line)
{
	const struct policy_rule *rule = policy_find(policy, name);

	if (rule && rule->inherited)
		rule = rule->inherited;
	*ret_line = rule ? rule->line : 0;
	return rule ? rule->file : NULL;
}

const char *policy_name(const struct policy *policy, size_t index)
{
	return index < policy->rule_count ? policy->rules[index].name : NULL;
}
