/* Patterns on PCRE2. The difficulty: a short pattern can ask for any amount of work, and PCRE2's own limits hold for one start
 * position of one search only. So PCRE2 calls back before each item that it tries to match (automatic callouts), and there the
 * request's processor time is checked; and it allocates by functions that count. */
#include "api/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <errno.h>
#include <pcre2.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

/* Of one start position in one text. They are the same on every machine, and far above what a name needs. */
#define MATCH_LIMIT 200000
/* PCRE2 grows its heap by copying: half as much again is held for a moment. A level of backtracking takes 128 bytes at least,
 * so that this bounds their depth too. */
#define HEAP_KIB             2048

#define STEPS_BETWEEN_CHECKS 64 /* a step reads a few hundred bytes at most: some microseconds in all */

/* Auto-possessification is left out because its cost is not bounded by the pattern's length. */
#define OPTIONS                                                                                                        \
	(PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_POSSESS             \
	 | PCRE2_AUTO_CALLOUT)

struct pattern {
	struct pattern_budget *budget;
	pcre2_general_context *memory;
	pcre2_code *code;
	pcre2_match_context *context;
	pcre2_match_data *match;
};

struct block {
	size_t size; /* with this header */
	alignas(max_align_t) unsigned char bytes[];
};

static void *allocate(size_t size, void *context)
{
	struct pattern_budget *budget = context;
	size_t left = PATTERN_MEMORY_MAX - budget->memory;
	struct block *block;

	if (left < sizeof(*block) || size > left - sizeof(*block))
		return NULL;
	block = malloc(sizeof(*block) + size);
	if (!block) {
		budget->is_out_of_memory = true;
		return NULL;
	}
	block->size = sizeof(*block) + size;
	budget->memory += block->size;
	if (budget->memory > budget->memory_peak)
		budget->memory_peak = budget->memory;
	return block->bytes;
}

static void release(void *bytes, void *context)
{
	struct pattern_budget *budget = context;

	if (!bytes)
		return;
	struct block *block = (struct block *)((unsigned char *)bytes - offsetof(struct block, bytes));

	budget->memory -= block->size;
	free(block);
}

static int64_t thread_time_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static bool is_used_up(const struct pattern_budget *budget)
{
	return budget->used_ns > (int64_t)PATTERN_TIME_MAX_US * 1000;
}

static void start_time(struct pattern_budget *budget)
{
	budget->started_ns = thread_time_ns();
}

static void count_time(struct pattern_budget *budget)
{
	int64_t now_ns = thread_time_ns();

	budget->used_ns += now_ns - budget->started_ns;
	budget->started_ns = now_ns;
}

static int on_step(pcre2_callout_block *block, void *context)
{
	struct pattern_budget *budget = context;

	(void)block;
	if (++budget->steps % STEPS_BETWEEN_CHECKS == 0)
		count_time(budget);
	return is_used_up(budget) ? PCRE2_ERROR_CALLOUT : 0;
}

static int result_of_failure(const struct pattern_budget *budget)
{
	return budget->is_out_of_memory ? -ENOMEM : -EINVAL;
}

/* What may stand behind "(?". */
static const char *const group_kinds[] = { ":", "=", "!", ">", "<=", "<!", "P<", "P=", "#" };

/* A group by its text behind "(?"; flags are (?i) and (?i-s:. */
static bool is_known_group(const char *kind)
{
	size_t flags = strspn(kind, "imsx");

	for (size_t i = 0; i < ARRAY_LENGTH(group_kinds); i++)
		if (strncmp(kind, group_kinds[i], strlen(group_kinds[i])) == 0)
			return true;
	if (kind[flags] == '-')
		flags += 1 + strspn(kind + flags + 1, "imsx");
	return flags && (kind[flags] == ')' || kind[flags] == ':');
}

/* The letters that Python knows behind a backslash. What is no letter stands for itself, or is a group's number. */
static bool is_known_escape(char escaped)
{
	return !isalpha((unsigned char)escaped) || strchr("AbBdDsSwWZafnrtvx", escaped);
}

/* Whether Python knows all of it. No bound rests on this: PCRE2's limits hold for what slips through, such as text behind a NUL. */
static bool is_python_syntax(const char *text)
{
	bool is_in_set = false;

	for (const char *at = text; *at; at++) {
		if (at[0] == '\\') {
			if (!is_known_escape(at[1]))
				return false;
			at += at[1] != '\0';
		} else if (is_in_set) {
			const char *class_end = at[0] == '[' && at[1] == ':' ? strstr(at, ":]") : NULL;

			is_in_set = at[0] != ']';
			at = class_end ? class_end + 1 : at;
		} else if (at[0] == '[') {
			is_in_set = true;
			at += at[1] == '^';
			at += at[1] == ']'; /* the first of a set is a member */
		} else if (at[0] == '(' && (at[1] == '*' || (at[1] == '?' && !is_known_group(at + 2)))) {
			return false;
		}
	}
	return true;
}

static int compile(struct pattern *pattern, const char *text, size_t length)
{
	pcre2_compile_context *context = pcre2_compile_context_create(pattern->memory);
	int code = 0;
	PCRE2_SIZE offset = 0;

	if (!context)
		return result_of_failure(pattern->budget);
	pcre2_set_max_pattern_length(context, PATTERN_LENGTH_MAX);
	pcre2_set_parens_nest_limit(context, PATTERN_NESTING_MAX);
	pcre2_set_newline(context, PCRE2_NEWLINE_LF);
	pattern->code = pcre2_compile((PCRE2_SPTR)text, length, OPTIONS, &code, &offset, context);
	pcre2_compile_context_free(context);
	return pattern->code ? 0 : result_of_failure(pattern->budget);
}

static int prepare_match(struct pattern *pattern)
{
	pattern->context = pcre2_match_context_create(pattern->memory);
	pattern->match = pcre2_match_data_create(1, pattern->memory); /* where it matches, nobody asks */
	if (!pattern->context || !pattern->match)
		return result_of_failure(pattern->budget);
	pcre2_set_match_limit(pattern->context, MATCH_LIMIT);
	pcre2_set_heap_limit(pattern->context, HEAP_KIB);
	pcre2_set_callout(pattern->context, on_step, pattern->budget);
	return 0;
}

static int build(struct pattern_budget *budget, const char *text, size_t length, struct pattern **ret_pattern)
{
	struct pattern *pattern = allocate(sizeof(*pattern), budget);
	int result = pattern ? 0 : result_of_failure(budget);

	if (result < 0)
		return result;
	*pattern = (struct pattern){ .budget = budget };
	pattern->memory = pcre2_general_context_create(allocate, release, budget);
	result = pattern->memory ? compile(pattern, text, length) : result_of_failure(budget);
	if (result == 0)
		result = prepare_match(pattern);
	if (result < 0)
		pattern_destroy(pattern);
	else
		*ret_pattern = pattern;
	return result;
}

int pattern_compile(struct pattern_budget *budget, const char *text, size_t length, struct pattern **ret_pattern)
{
	int result;

	if (length > PATTERN_LENGTH_MAX || is_used_up(budget) || !is_python_syntax(text))
		return -EINVAL;
	start_time(budget);
	result = build(budget, text, length, ret_pattern);
	count_time(budget);
	return result;
}

int pattern_search(struct pattern *pattern, const char *text)
{
	struct pattern_budget *budget = pattern->budget;
	int result;

	if (is_used_up(budget))
		return -EINVAL;
	start_time(budget);
	result = pcre2_match(pattern->code, (PCRE2_SPTR)text, strlen(text), 0, 0, pattern->match, pattern->context);
	count_time(budget);
	if (result >= 0 || result == PCRE2_ERROR_NOMATCH)
		return result >= 0;
	return result_of_failure(budget);
}

void pattern_destroy(struct pattern *pattern)
{
	if (!pattern)
		return;
	pcre2_match_data_free(pattern->match);
	pcre2_match_context_free(pattern->context);
	pcre2_code_free(pattern->code);
	pcre2_general_context_free(pattern->memory);
	release(pattern, pattern->budget);
}
