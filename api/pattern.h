/* Regular expressions that clients send (?name=, ?ip=), and a bound on what one request may spend on all of them.
 *
 * The syntax is what Python's re and PCRE2 read alike, since Nova checks patterns with the former: what only PCRE2 knows
 * (recursion, callouts, verbs, \C, \K, \p ...) and conditional groups are no regular expression here. Case counts; letters,
 * digits and blanks are those of Unicode. A text that is not UTF-8 is searched in its well-formed parts.
 *
 * Thread-safety: a budget and its patterns are used by one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_LENGTH_MAX  4096 /* bytes of a pattern: fifty tags of sixty characters fit, too */
#define PATTERN_NESTING_MAX 50 /* parentheses within each other */
#define PATTERN_TIME_MAX_US 30000 /* of a request: processor time, which no busy neighbour lengthens */
#define PATTERN_MEMORY_MAX  (6 * 1024 * 1024) /* of a request: bytes held at once */

/* What the patterns of one request have used. Zeroed at first; outlives its patterns. */
struct pattern_budget {
	int64_t used_ns; /* processor time */
	int64_t started_ns; /* of the call that is under way */
	unsigned int steps; /* of matching */
	size_t memory; /* bytes held */
	size_t memory_peak;
	bool is_out_of_memory; /* the system gave none: no fault of a pattern's */
};

struct pattern;

/* `text` is terminated, and may hold NULs before its end. Returns 0 and a pattern that the caller owns; -EINVAL: no regular
 * expression, or one beyond a bound; -ENOMEM: the system has no memory. No words: Nova has its own for each place. */
int pattern_compile(struct pattern_budget *budget, const char *text, size_t length, struct pattern **ret_pattern);

/* Returns 1 when the pattern is found anywhere in the text, 0 when not; -EINVAL: the pattern reached a bound, as it will for each
 * further text of this request once the time is used up; -ENOMEM: the system has no memory. */
int pattern_search(struct pattern *pattern, const char *text);

void pattern_destroy(struct pattern *pattern); /* NULL is fine */
