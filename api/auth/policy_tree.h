/* Inside the policy files: what a rule's text becomes. All of it lies in the policy set's arena and is read-only once
 * policy_create has returned.
 *
 *     text  --policy_parse-->  nodes  --policy_check-->  verdict
 *                                |-- policy_literal: the left side of `L:R`, as Python would read it
 *                                '-- policy_format: its right side, Python's `R % target`
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/auth/policy.h"

struct text;

/* Nested checks that are followed; oslo.policy gives up at about as many (Python's recursion limit). */
#define POLICY_DEPTH_MAX 328
/* Bytes of one rule's text. */
#define POLICY_TEXT_MAX 65536

/* Memory that is freed all at once. */
struct policy_arena_block;

struct policy_arena {
	struct policy_arena_block *blocks;
};

void *policy_arena_allocate(struct policy_arena *arena, size_t size); /* zeroed; NULL when out of memory */
char *policy_arena_copy(struct policy_arena *arena, const char *bytes, size_t length); /* terminated */
void policy_arena_free(struct policy_arena *arena);

/* A value that a rule compares, wherever it comes from: creds or target, JSON or struct. */
enum policy_value_kind {
	POLICY_VALUE_MISSING,
	POLICY_VALUE_NULL,
	POLICY_VALUE_BOOLEAN,
	POLICY_VALUE_TEXT,
	POLICY_VALUE_TEXTS, /* a list of texts, which is gone through and never compared whole */
	POLICY_VALUE_JSON, /* a number, a list or an object */
};

struct policy_value {
	enum policy_value_kind kind;
	bool is_true;
	size_t count;
	const char *text;
	const char *const *texts;
	const json_t *json; /* NULL where it is no JSON */
};

struct policy_value policy_value_of_json(const json_t *json); /* NULL: missing */
struct policy_value policy_value_of_text(const char *text); /* NULL: Python's None */
/* Python's truth of it. */
bool policy_value_is_true(const struct policy_value *value);
/* Python's str() and repr(). */
void policy_value_print(const struct policy_value *value, struct text *text);
void policy_value_print_repr(const struct policy_value *value, struct text *text);
void policy_print_text_repr(const char *string, struct text *text);
void policy_print_real(double real, struct text *text);
/* str(value) == match; *ret_failed becomes true when memory ran out. */
bool policy_value_equals(const struct policy_value *value, const char *match, bool *ret_failed);
/* Both in lower case, by Unicode's rules; *ret_failed as above. */
bool policy_text_equals_folded(const char *a, const char *b, bool *ret_failed);

/* The right side of a check. */
enum policy_format_form {
	POLICY_FORMAT_CONSTANT, /* `text` is the result */
	POLICY_FORMAT_KEY, /* just `%(text)s` */
	POLICY_FORMAT_PIECES,
};

struct policy_piece {
	const char *literal; /* what stands before the conversion */
	size_t literal_length;
	bool is_conversion;
	const char *key; /* NULL: a bare conversion, which takes the whole target */
	const char *fault; /* raises here, after the key was looked up */
	bool is_left, has_sign, has_blank, is_alternate, has_zeros; /* - + blank # 0 */
	int width;
	int precision; /* -1: none */
	char type;
};

struct policy_format {
	enum policy_format_form form;
	const char *text;
	const struct policy_piece *pieces;
	size_t piece_count;
};

/* -ENOMEM, or 0; what is wrong with it is part of the result. */
int policy_format_compile(struct policy_arena *arena, const char *source, struct policy_format *ret_format);
/* The fault that it meets in any case, or NULL. */
const char *policy_format_fault(const struct policy_format *format);

enum policy_format_result { POLICY_FORMATTED, POLICY_FORMAT_KEY_MISSING, POLICY_FORMAT_RAISED };

struct policy_value policy_target_value(const struct policy_target *target, const char *key);
/* Appends the result to `text`; with POLICY_FORMAT_RAISED *ret_fault says why. */
enum policy_format_result policy_format_run(const struct policy_format *format, const struct policy_target *target,
					    struct text *text, const char **ret_fault);

/* The left side of a check. */
enum policy_left_form {
	POLICY_LEFT_PATH, /* keys into the creds */
	POLICY_LEFT_LITERAL, /* `literal` is its str() */
	POLICY_LEFT_FAULT, /* raises */
};

struct policy_left {
	enum policy_left_form form;
	const char *literal;
	const char *fault;
	const char *const *segments;
	size_t segment_count;
};

enum policy_literal { POLICY_LITERAL_READ, POLICY_LITERAL_NONE, POLICY_LITERAL_FAULT };

/* Reads `source` as Python's ast.literal_eval does: READ appends the value's str() to `text`, NONE is an expression that
 * is no literal, FAULT (*ret_fault says why) no expression, or one that this reader does not know. */
enum policy_literal policy_literal_read(const char *source, struct text *text, const char **ret_fault);

enum policy_node_kind {
	POLICY_NODE_ALWAYS,
	POLICY_NODE_NEVER,
	POLICY_NODE_NOT,
	POLICY_NODE_AND,
	POLICY_NODE_OR,
	POLICY_NODE_RULE,
	POLICY_NODE_ROLE,
	POLICY_NODE_IS_ADMIN,
	POLICY_NODE_GENERIC,
	POLICY_NODE_RAISES,
};

struct policy_rule;

struct policy_node {
	enum policy_node_kind kind;
	bool is_admin_expected; /* IS_ADMIN */
	struct policy_node *first; /* NOT, AND, OR: what they join */
	struct policy_node *last;
	struct policy_node *next; /* beside it under the same parent */
	const char *kind_text; /* ROLE, GENERIC: for printing */
	const char *match_text; /* RULE: the name */
	const char *fault; /* RAISES: why; NEVER: what was not understood, NULL when `!` was written */
	struct policy_format match; /* ROLE, GENERIC */
	struct policy_left left; /* GENERIC */
	const struct policy_rule *rule; /* RULE: NULL when neither it nor `default` is there */
};

/* What the parser has to say about a rule. */
struct policy_parse {
	struct policy_arena *arena;
	bool has_generic_is_admin;
	void (*report)(void *context, const char *words); /* NULL: nobody listens */
	void *report_context;
	bool is_malformed; /* out: something was not understood */
};

/* -EINVAL: a value that is no rule at all (nothing was reported); -ENOMEM. */
int policy_parse_value(struct policy_parse *parse, const json_t *value, struct policy_node **ret_node);
int policy_parse_text(struct policy_parse *parse, const char *source, struct policy_node **ret_node);
struct policy_node *policy_node_join(struct policy_arena *arena, enum policy_node_kind kind, struct policy_node *first,
				     struct policy_node *second);
/* Bytes of `source` up to the next white space (or up to its end, when `through` is set). */
size_t policy_word_length(const char *source, bool through);
/* Has a bracket in its midst that opens and is none of `%(key)s`. */
bool policy_hides_bracket(const char *word, size_t length);
/* What is out of place in a text that is not understood, and how it is written rightly. */
void policy_describe_slip(const char *source, struct text *words);
/* Cuts what lies too deep to be reached without raising, so that every walk over a tree is bounded. */
void policy_node_cut(struct policy_node *node);
void policy_node_print(const struct policy_node *node, struct text *text);

struct policy_rule {
	const char *name;
	struct policy_node *node;
	unsigned int scopes;
	bool is_registered; /* a default in code */
	bool is_overridden; /* the file names it */
	bool is_referenced; /* by another rule, or as a deprecated name */
	bool is_malformed; /* the file's own text */
	const struct policy_rule *inherited; /* the deprecated name whose rule of the file stands here; NULL: none */
	const char *trouble; /* what the parser had to say about it, its last words; NULL: nothing */
	const char *file; /* NULL: the default in code */
	unsigned int line;
};

struct policy {
	struct policy_arena arena;
	struct policy_rule *rules;
	size_t rule_count;
	size_t *slots; /* open addressing: index + 1 into rules, 0 is free */
	size_t slot_count; /* a power of two */
	const struct policy_rule *default_rule; /* the rule named "default" */
	bool ignores_scope;
};

const struct policy_rule *policy_find(const struct policy *policy, const char *name);
/* oslo.policy's own check at load time, `not` left out: no reference to a rule that is not there, no circle. */
bool policy_references_hold(const struct policy *policy);
