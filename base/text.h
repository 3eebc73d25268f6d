/* Text with bounds: a growing buffer, bounded copies, and the few questions asked of strings everywhere. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A buffer that grows; always terminated once something was appended. Start with TEXT_EMPTY. A failed
 * allocation is remembered, so that a long chain of appends is checked once, by text_failed or text_take. */
struct text {
	char *data; /* NULL until the first append */
	size_t length; /* bytes, without the terminator */
	size_t capacity; /* bytes allocated */
	bool failed; /* an allocation failed: the content is not to be used */
};

#define TEXT_EMPTY   ((struct text){ 0 })
#define CLEANUP_TEXT __attribute__((cleanup(text_clear)))

void text_append(struct text *text, const char *string);
void text_append_bytes(struct text *text, const void *bytes, size_t length);
void text_append_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_append_format_list(struct text *text, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));
bool text_failed(const struct text *text);
/* The content as a heap string that the caller owns ("" when nothing was appended), NULL when an allocation
 * failed; the buffer is empty afterwards. */
char *text_take(struct text *text);
void text_clear(struct text *text);

/* Heap string by format; NULL when out of memory. The caller owns it. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Copies into a fixed array; returns false when it did not fit (the target then holds what did, terminated). */
bool text_copy(char *target, size_t target_size, const char *source);
#define TEXT_COPY(array, source) text_copy((array), sizeof(array), (source))

static inline bool text_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool text_starts_with(const char *string, const char *prefix);
bool text_ends_with(const char *string, const char *suffix);

/* True when `bytes` are well-formed UTF-8 (no surrogates, no overlong forms). */
bool text_is_utf8(const void *bytes, size_t length);

/* Appends the string where it is UTF-8, else each of its bytes as the Latin-1 character that it is there (as WSGI reads what
 * a client sends in a header), so that it can stand in a JSON document. */
void text_append_as_utf8(struct text *text, const char *string);
/* The string itself where it is UTF-8, else as above, made in `made`; "" when out of memory, which `made` remembers. */
const char *text_as_utf8(const char *string, struct text *made);

/* Lower-case hex of `length` bytes into `ret_hex`, which holds 2 * length + 1. */
void text_hex(const void *bytes, size_t length, char *ret_hex);

/* The number of single letters to add, take away, change or swap to make one of the other; more than 3 is 3. */
unsigned int text_distance(const char *a, const char *b);

/* Whole string as a decimal number within [low, high]; false leaves *ret_number alone. */
bool text_to_int64(const char *string, int64_t low, int64_t high, int64_t *ret_number);
