/* From a rule's text to its nodes. The difficulty is to understand no more and no less than oslo.policy: words are split
 * at white space alone, brackets are only seen at a word's two ends, a quoted word is accepted nowhere, one word alone
 * always counts as a whole rule. So this is its own machine, a stack that is reduced after each word. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistr.h>

#include "api/auth/policy_tree.h"
#include "base/cleanup.h"
#include "base/text.h"

enum token {
	TOKEN_NONE,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_AND,
	TOKEN_OR,
	TOKEN_NOT,
	TOKEN_STRING,
	TOKEN_CHECK,
	TOKEN_AND_EXPRESSION,
	TOKEN_OR_EXPRESSION
};

struct entry {
	enum token token;
	struct policy_node *node; /* CHECK and the expressions */
};

struct stack {
	struct entry *entries;
	size_t count;
	size_t capacity;
};

static void stack_clear(struct stack *stack)
{
	free(stack->entries);
}

static struct policy_node *make_node(struct policy_arena *arena, enum policy_node_kind kind)
{
	struct policy_node *node = policy_arena_allocate(arena, sizeof(*node));

	if (node)
		node->kind = kind;
	return node;
}

static void node_append(struct policy_node *parent, struct policy_node *child)
{
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
}

struct policy_node *policy_node_join(struct policy_arena *arena, enum policy_node_kind kind, struct policy_node *first,
				     struct policy_node *second)
{
	struct policy_node *node = make_node(arena, kind);

	if (!node)
		return NULL;
	node_append(node, first);
	if (second)
		node_append(node, second);
	return node;
}

#define EMPTY_RULE "the rule is empty and grants everything to everybody"

static void report(struct policy_parse *parse, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void report(struct policy_parse *parse, const char *format, ...)
{
	CLEANUP_TEXT struct text words = TEXT_EMPTY;
	va_list arguments;

	if (!parse->report)
		return;
	va_start(arguments, format);
	text_append_format_list(&words, format, arguments);
	va_end(arguments);
	if (!text_failed(&words))
		parse->report(parse->report_context, words.data);
}

/* `L` of a generic check. */
static int compile_left(struct policy_parse *parse, const char *kind, struct policy_left *ret_left)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	struct policy_left left = { .form = POLICY_LEFT_PATH, .segment_count = 1 };

	switch (policy_literal_read(kind, &text, &left.fault)) {
	case POLICY_LITERAL_FAULT:
		left.form = POLICY_LEFT_FAULT;
		*ret_left = left;
		return 0;
	case POLICY_LITERAL_READ:
		if (text_failed(&text))
			return -ENOMEM;
		left.form = POLICY_LEFT_LITERAL;
		left.literal = policy_arena_copy(parse->arena, text.data, text.length);
		*ret_left = left;
		return left.literal ? 0 : -ENOMEM;
	case POLICY_LITERAL_NONE:
		break;
	}
	for (const char *place = kind; *place; place++)
		left.segment_count += *place == '.';

	const char **segments = policy_arena_allocate(parse->arena, left.segment_count * sizeof(*segments));

	if (!segments)
		return -ENOMEM;
	for (size_t i = 0; i < left.segment_count; i++) {
		size_t length = strcspn(kind, ".");

		segments[i] = policy_arena_copy(parse->arena, kind, length);
		if (!segments[i])
			return -ENOMEM;
		kind += length + 1;
	}
	left.segments = segments;
	*ret_left = left;
	return 0;
}

static int compile_check(struct policy_parse *parse, const char *atom, struct policy_node *node)
{
	const char *fault;

	if (policy_format_compile(parse->arena, node->match_text, &node->match) < 0)
		return -ENOMEM;
	if (strcmp(node->kind_text, "role") == 0) {
		node->kind = POLICY_NODE_ROLE;
		if (*node->match_text == '\0')
			report(parse, "the check \"%s\" can never grant: behind the colon stands no role", atom);
	} else {
		node->kind = POLICY_NODE_GENERIC;
		if (compile_left(parse, node->kind_text, &node->left) < 0)
			return -ENOMEM;
		if (node->left.form == POLICY_LEFT_FAULT)
			report(parse, "the check \"%s\" can never grant: before the colon stands %s", atom,
			       node->left.fault);
	}
	if (policy_hides_bracket(atom, strlen(atom)))
		report(parse,
		       "in \"%s\" the brackets in the midst count as part of a name: write blanks before and behind "
		       "\"and\", \"or\" and \"not\"",
		       atom);
	fault = policy_format_fault(&node->match);
	if (fault)
		report(parse, "the check \"%s\" can never grant: behind the colon stands %s", atom, fault);
	return 0;
}

/* One word: `@`, `!` or `kind:match`. */
static int parse_atom(struct policy_parse *parse, const char *atom, struct policy_node **ret_node)
{
	const char *colon = strchr(atom, ':');
	struct policy_node *node = make_node(parse->arena, POLICY_NODE_NEVER);

	if (!node)
		return -ENOMEM;
	*ret_node = node;
	if (strcmp(atom, "!") == 0)
		return 0;
	if (strcmp(atom, "@") == 0) {
		node->kind = POLICY_NODE_ALWAYS;
		return 0;
	}
	if (!colon) {
		parse->is_malformed = true;
		node->fault = "it is no check";
		report(parse,
		       "the check \"%s\" is not understood and always refuses: a check is KIND:MATCH without a blank, "
		       "like \"role:%s\"",
		       atom, atom);
		return 0;
	}
	node->kind_text = policy_arena_copy(parse->arena, atom, (size_t)(colon - atom));
	node->match_text = policy_arena_copy(parse->arena, colon + 1, strlen(colon + 1));
	if (!node->kind_text || !node->match_text)
		return -ENOMEM;
	if (strcmp(node->kind_text, "rule") == 0) {
		node->kind = POLICY_NODE_RULE;
	} else if (strcmp(node->kind_text, "is_admin") == 0 && !parse->has_generic_is_admin) {
		node->kind = POLICY_NODE_IS_ADMIN;
		node->is_admin_expected = strcasecmp(node->match_text, "true") == 0;
		node->match_text = node->is_admin_expected ? "True" : "False";
	} else if (strcmp(node->kind_text, "http") == 0 || strcmp(node->kind_text, "https") == 0) {
		/* A question to another service in the midst of a check: not done here, so never granted. */
		node->kind = POLICY_NODE_RAISES;
		node->fault = "other services are not asked";
		report(parse, "the check \"%s\" can never grant: %s", atom, node->fault);
	} else {
		return compile_check(parse, atom, node);
	}
	return 0;
}

static bool ends_with(const struct stack *stack, size_t count, const enum token *tokens)
{
	if (stack->count < count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (stack->entries[stack->count - count + i].token != tokens[i])
			return false;
	return true;
}

/* Puts `node` in the place of the last `count` entries. */
static bool replace_last(struct stack *stack, size_t count, enum token token, struct policy_node *node)
{
	stack->count -= count;
	stack->entries[stack->count++] = (struct entry){ .token = token, .node = node };
	return node != NULL;
}

/* `a or b and c`: the last alternative gets a further condition. Brackets around an `and` there are not seen any more. */
static struct policy_node *extend_alternative(struct policy_arena *arena, struct policy_node *alternatives,
					      struct policy_node *condition)
{
	struct policy_node *before = alternatives->first;
	struct policy_node *last = alternatives->last;

	if (last->kind == POLICY_NODE_AND) {
		node_append(last, condition);
		return alternatives;
	}
	while (before->next != last)
		before = before->next;

	struct policy_node *joined = policy_node_join(arena, POLICY_NODE_AND, last, condition);

	if (!joined)
		return NULL;
	before->next = joined;
	alternatives->last = joined;
	return alternatives;
}

/* The ways in which the end of the stack becomes one entry. */
enum reduction { REDUCE_BRACKETS, REDUCE_MAKE_AND, REDUCE_MIX_AND, REDUCE_EXTEND, REDUCE_MAKE_OR, REDUCE_NOT };

static const struct {
	enum token tokens[3];
	size_t count;
	enum reduction reduction;
	enum token result;
} reductions[] = {
	{ { TOKEN_OPEN, TOKEN_CHECK, TOKEN_CLOSE }, 3, REDUCE_BRACKETS, TOKEN_CHECK },
	{ { TOKEN_OPEN, TOKEN_AND_EXPRESSION, TOKEN_CLOSE }, 3, REDUCE_BRACKETS, TOKEN_CHECK },
	{ { TOKEN_OPEN, TOKEN_OR_EXPRESSION, TOKEN_CLOSE }, 3, REDUCE_BRACKETS, TOKEN_CHECK },
	{ { TOKEN_CHECK, TOKEN_AND, TOKEN_CHECK }, 3, REDUCE_MAKE_AND, TOKEN_AND_EXPRESSION },
	{ { TOKEN_OR_EXPRESSION, TOKEN_AND, TOKEN_CHECK }, 3, REDUCE_MIX_AND, TOKEN_OR_EXPRESSION },
	{ { TOKEN_AND_EXPRESSION, TOKEN_AND, TOKEN_CHECK }, 3, REDUCE_EXTEND, TOKEN_AND_EXPRESSION },
	{ { TOKEN_CHECK, TOKEN_OR, TOKEN_CHECK }, 3, REDUCE_MAKE_OR, TOKEN_OR_EXPRESSION },
	{ { TOKEN_AND_EXPRESSION, TOKEN_OR, TOKEN_CHECK }, 3, REDUCE_MAKE_OR, TOKEN_OR_EXPRESSION },
	{ { TOKEN_OR_EXPRESSION, TOKEN_OR, TOKEN_CHECK }, 3, REDUCE_EXTEND, TOKEN_OR_EXPRESSION },
	{ { TOKEN_NOT, TOKEN_CHECK }, 2, REDUCE_NOT, TOKEN_CHECK },
};

static struct policy_node *reduce_nodes(struct policy_arena *arena, enum reduction reduction,
					const struct entry *entries)
{
	switch (reduction) {
	case REDUCE_BRACKETS:
		return entries[1].node;
	case REDUCE_MAKE_AND:
		return policy_node_join(arena, POLICY_NODE_AND, entries[0].node, entries[2].node);
	case REDUCE_MIX_AND:
		return extend_alternative(arena, entries[0].node, entries[2].node);
	case REDUCE_EXTEND:
		node_append(entries[0].node, entries[2].node);
		return entries[0].node;
	case REDUCE_MAKE_OR:
		return policy_node_join(arena, POLICY_NODE_OR, entries[0].node, entries[2].node);
	case REDUCE_NOT:
		return policy_node_join(arena, POLICY_NODE_NOT, entries[1].node, NULL);
	}
	return NULL;
}

static int reduce(struct policy_arena *arena, struct stack *stack)
{
	for (size_t i = 0; i < ARRAY_LENGTH(reductions);) {
		size_t count = reductions[i].count;

		if (!ends_with(stack, count, reductions[i].tokens)) {
			i++;
			continue;
		}

		struct policy_node *node =
			reduce_nodes(arena, reductions[i].reduction, &stack->entries[stack->count - count]);

		if (!replace_last(stack, count, reductions[i].result, node))
			return -ENOMEM;
		i = 0;
	}
	return 0;
}

static int shift(struct policy_parse *parse, struct stack *stack, enum token token, struct policy_node *node)
{
	if (stack->count == stack->capacity) {
		size_t capacity = stack->capacity > 0 ? 2 * stack->capacity : 16;
		struct entry *entries = reallocarray(stack->entries, capacity, sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		stack->entries = entries;
		stack->capacity = capacity;
	}
	stack->entries[stack->count++] = (struct entry){ .token = token, .node = node };
	return reduce(parse->arena, stack);
}

/* What Python's `\s` matches in a text. */
static bool is_white_space(ucs4_t character)
{
	return (character >= 0x09 && character <= 0x0d) || (character >= 0x1c && character <= 0x20) || character == 0x85
	       || character == 0xa0 || character == 0x1680 || (character >= 0x2000 && character <= 0x200a)
	       || character == 0x2028 || character == 0x2029 || character == 0x202f || character == 0x205f
	       || character == 0x3000;
}

size_t policy_word_length(const char *source, bool through)
{
	const uint8_t *place = (const uint8_t *)source;
	ucs4_t character;

	for (const uint8_t *next; (next = u8_next(&character, place)) != NULL; place = next)
		if (is_white_space(character) != through)
			break;
	return (size_t)(place - (const uint8_t *)source);
}

/* A word without the brackets at its start; those at its end are taken off here. */
static int shift_word(struct policy_parse *parse, struct stack *stack, const char *word, size_t length)
{
	static const struct {
		const char *word;
		enum token token;
	} operators[] = { { "and", TOKEN_AND }, { "or", TOKEN_OR }, { "not", TOKEN_NOT } };
	size_t clean = length;
	enum token token = TOKEN_NONE;
	struct policy_node *node = NULL;

	while (clean > 0 && word[clean - 1] == ')')
		clean--;
	for (size_t i = 0; i < ARRAY_LENGTH(operators); i++)
		if (strlen(operators[i].word) == clean && strncasecmp(operators[i].word, word, clean) == 0)
			token = operators[i].token;
	if (token == TOKEN_NONE && clean > 0) {
		/* The quotes are looked for with the brackets still on. */
		if (length >= 2 && (word[0] == '"' || word[0] == '\'') && word[length - 1] == word[0]) {
			token = TOKEN_STRING;
		} else {
			CLEANUP_FREE char *atom = strndup(word, clean);
			int result = atom ? parse_atom(parse, atom, &node) : -ENOMEM;

			if (result < 0)
				return result;
			token = TOKEN_CHECK;
		}
	}
	if (token != TOKEN_NONE && shift(parse, stack, token, node) < 0)
		return -ENOMEM;
	for (size_t i = clean; i < length; i++)
		if (shift(parse, stack, TOKEN_CLOSE, NULL) < 0)
			return -ENOMEM;
	return 0;
}

static int shift_all(struct policy_parse *parse, struct stack *stack, const char *source)
{
	for (source += policy_word_length(source, true); *source; source += policy_word_length(source, true)) {
		size_t length = policy_word_length(source, false);
		size_t open = strspn(source, "(");

		for (size_t i = 0; i < open; i++)
			if (shift(parse, stack, TOKEN_OPEN, NULL) < 0)
				return -ENOMEM;
		if (open < length && shift_word(parse, stack, source + open, length - open) < 0)
			return -ENOMEM;
		source += length;
	}
	return 0;
}

static void report_slip(struct policy_parse *parse, const char *source)
{
	CLEANUP_TEXT struct text words = TEXT_EMPTY;

	policy_describe_slip(source, &words);
	if (!text_failed(&words))
		report(parse, "the rule \"%s\" is not understood and always refuses: %s", source, words.data);
}

int policy_parse_text(struct policy_parse *parse, const char *source, struct policy_node **ret_node)
{
	__attribute__((cleanup(stack_clear))) struct stack stack = { 0 };
	struct policy_node *node = make_node(parse->arena, POLICY_NODE_ALWAYS);

	if (!node)
		return -ENOMEM;
	*ret_node = node;
	if (*source == '\0') {
		report(parse, EMPTY_RULE);
		return 0;
	}
	if (strlen(source) > POLICY_TEXT_MAX) {
		parse->is_malformed = true;
		node->kind = POLICY_NODE_NEVER;
		node->fault = "it is too long";
		report(parse, "the rule always refuses: it is longer than %d bytes", POLICY_TEXT_MAX);
		return 0;
	}
	if (shift_all(parse, &stack, source) < 0)
		return -ENOMEM;
	if (stack.count == 1 && stack.entries[0].node) {
		*ret_node = stack.entries[0].node;
	} else if (stack.count == 1) {
		node->kind = POLICY_NODE_RAISES;
		node->fault = "one word that is no check (a quoted text, an operator or a bracket)";
		report_slip(parse, source);
	} else {
		parse->is_malformed = true;
		node->kind = POLICY_NODE_NEVER;
		node->fault = "it is no rule";
		report_slip(parse, source);
	}
	return 0;
}

/* A member of an inner list; what is no text counts as a check that is not understood. */
static int parse_member(struct policy_parse *parse, const json_t *member, struct policy_node **ret_node)
{
	return parse_atom(parse, json_is_string(member) ? json_string_value(member) : "?", ret_node);
}

/* All members of an inner list, or all keys of an object, joined by `and`. */
static int parse_inner(struct policy_parse *parse, const json_t *inner, struct policy_node **ret_node)
{
	struct policy_node *all = make_node(parse->arena, POLICY_NODE_AND);
	struct policy_node *node;
	const json_t *member;
	const char *key;
	size_t index;

	if (!all)
		return -ENOMEM;
	if (json_is_string(inner))
		return parse_atom(parse, json_string_value(inner), ret_node);
	json_array_foreach(inner, index, member)
	{
		if (parse_member(parse, member, &node) < 0)
			return -ENOMEM;
		node_append(all, node);
	}
	json_object_foreach((json_t *)(uintptr_t)inner, key, member)
	{
		if (parse_atom(parse, key, &node) < 0)
			return -ENOMEM;
		node_append(all, node);
	}
	*ret_node = all->first == all->last ? all->first : all;
	return 0;
}

/* A list of lists: any of them, all of each. */
static int parse_list(struct policy_parse *parse, const json_t *list, struct policy_node **ret_node)
{
	struct policy_node *any = make_node(parse->arena, POLICY_NODE_OR);
	struct policy_node *node;
	const json_t *inner;
	size_t index;

	if (!any)
		return -ENOMEM;
	json_array_foreach(list, index, inner)
	{
		struct policy_value value = policy_value_of_json(inner);

		if (!policy_value_is_true(&value))
			continue;
		if (!json_is_string(inner) && !json_is_array(inner) && !json_is_object(inner))
			return -EINVAL;
		if (parse_inner(parse, inner, &node) < 0)
			return -ENOMEM;
		node_append(any, node);
	}
	if (!any->first) {
		any->kind = POLICY_NODE_NEVER;
		any->fault = "it is a list of nothing";
	}
	*ret_node = any->first && any->first == any->last ? any->first : any;
	return 0;
}

int policy_parse_value(struct policy_parse *parse, const json_t *value, struct policy_node **ret_node)
{
	struct policy_value seen = policy_value_of_json(value);
	struct policy_node *node;
	const char *key;
	json_t *member;

	if (json_is_string(value))
		return policy_parse_text(parse, json_string_value(value), ret_node);
	if (!policy_value_is_true(&seen)) {
		/* null, false, 0, [], {}: an open door, as a line "name:" without a value makes it. */
		report(parse, EMPTY_RULE);
		*ret_node = make_node(parse->arena, POLICY_NODE_ALWAYS);
		return *ret_node ? 0 : -ENOMEM;
	}
	if (json_is_array(value))
		return parse_list(parse, value, ret_node);
	if (!json_is_object(value))
		return -EINVAL;

	/* An object counts as the list of its keys. */
	struct policy_node *any = make_node(parse->arena, POLICY_NODE_OR);

	if (!any)
		return -ENOMEM;
	json_object_foreach((json_t *)(uintptr_t)value, key, member)
	{
		if (*key == '\0')
			continue;
		if (parse_atom(parse, key, &node) < 0)
			return -ENOMEM;
		node_append(any, node);
	}
	if (!any->first) {
		any->kind = POLICY_NODE_NEVER;
		any->fault = "it is a list of nothing";
	}
	*ret_node = any->first && any->first == any->last ? any->first : any;
	return 0;
}

static void cut_below(struct policy_node *node, unsigned int depth)
{
	if (depth > POLICY_DEPTH_MAX) {
		*node = (struct policy_node){ .kind = POLICY_NODE_RAISES,
					      .next = node->next,
					      .fault = "checks are nested too deep" };
		return;
	}
	for (struct policy_node *child = node->first; child; child = child->next)
		cut_below(child, depth + 1);
}

void policy_node_cut(struct policy_node *node)
{
	cut_below(node, 0);
}

static void print_joined(const struct policy_node *node, const char *word, struct text *text)
{
	text_append(text, "(");
	for (const struct policy_node *child = node->first; child; child = child->next) {
		if (child != node->first)
			text_append(text, word);
		policy_node_print(child, text);
	}
	text_append(text, ")");
}

void policy_node_print(const struct policy_node *node, struct text *text)
{
	switch (node->kind) {
	case POLICY_NODE_ALWAYS:
		text_append(text, "@");
		break;
	case POLICY_NODE_NEVER:
		text_append(text, "!");
		break;
	case POLICY_NODE_NOT:
		text_append(text, "not ");
		policy_node_print(node->first, text);
		break;
	case POLICY_NODE_AND:
		print_joined(node, " and ", text);
		break;
	case POLICY_NODE_OR:
		print_joined(node, " or ", text);
		break;
	case POLICY_NODE_RULE:
	case POLICY_NODE_ROLE:
	case POLICY_NODE_IS_ADMIN:
	case POLICY_NODE_GENERIC:
	case POLICY_NODE_RAISES:
		if (node->kind_text)
			text_append_format(text, "%s:%s", node->kind_text, node->match_text);
		break;
	}
}
