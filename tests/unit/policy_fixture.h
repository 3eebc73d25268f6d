/* Policy sets of a few rules, and of a single check, for tests. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "api/auth/policy.h"

struct text;

#define CHECKED "checked" /* the name of the rule that has the check */

/* A policy set of one rule that is one check, which may have blanks in it. */
struct policy *make_check(const char *check);
/* The verdict on a check, about creds and a target that are objects. */
enum policy_verdict judge_check(const char *check, const json_t *credentials, const json_t *target);

struct rule_text {
	const char *name;
	const char *value; /* JSON */
};

#define DEFAULT_COUNT 4 /* rules that the sets of load_rules are asked for: move, show, list, lost */

/* These rules over the defaults, from line 1 on of the file; what is reported is added to `reports`, unless that is NULL. */
struct policy *load_rules(const struct rule_text *rules, size_t count, const char *file, struct text *reports);
/* Adds the words as a line to the text that is the context. */
void gather_line(void *text, const char *words);

#define RULES_MAX 5

/* What is reported of a whole file. */
struct told {
	struct rule_text rules[RULES_MAX]; /* up to the first without a name */
	const char *reports; /* lines, when it is loaded */
	const char *faults; /* lines, when it is checked */
};

/* All that is reported of each file must be as it is here, so that nothing is reported of what is right. */
void check_told(const struct told *rows, size_t count);
