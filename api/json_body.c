/* Reads JSON as Python does. The one difficulty: Python also takes NaN and Infinity, and integers of any length, which jansson
 * refuses; a text with such is read again with numbers in their place that it takes. */
#include "api/json_body.h"

#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)
/* jansson takes integers of 64 bits. */
#define INTEGER_DIGITS_MAX 18

static const struct {
	const char *word;
	const char *number;
} words[] = {
	{ "NaN", JSON_BODY_NAN },
	{ "-Infinity", "-" JSON_BODY_INFINITY },
	{ "Infinity", JSON_BODY_INFINITY },
};

/* The length of the string that begins here, quotes and all. */
static size_t string_length(const char *text, const char *end)
{
	const char *at = text + 1;

	while (at < end && *at != '"')
		at += *at == '\\' ? 2 : 1;
	return at < end ? (size_t)(at + 1 - text) : (size_t)(end - text);
}

static size_t digits_length(const char *text, const char *end)
{
	size_t length = 0;

	while (text + length < end && isdigit((unsigned char)text[length]))
		length++;
	return length;
}

/* Writes what stands at `at` and tells how much of the text it was. */
static size_t rewrite(const char *at, const char *end, struct text *out)
{
	size_t left = (size_t)(end - at), length = 1;

	for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
		if (left >= strlen(words[i].word) && strncmp(at, words[i].word, strlen(words[i].word)) == 0) {
			text_append(out, words[i].number);
			return strlen(words[i].word);
		}
	if (*at == '"')
		length = string_length(at, end);
	else if (isdigit((unsigned char)*at))
		length = digits_length(at, end);
	text_append_bytes(out, at, length);
	if (isdigit((unsigned char)*at) && length > INTEGER_DIGITS_MAX
	    && (at + length == end || !strchr(".eE", at[length])))
		text_append(out, "e0"); /* a real number, near enough to be refused as none of what is wanted */
	return length;
}

json_t *json_body_read(const char *bytes, size_t size)
{
	CLEANUP_TEXT struct text rewritten = TEXT_EMPTY;
	json_t *value = json_loadb(bytes, size, FLAGS, NULL);

	if (value)
		return value;
	for (const char *at = bytes, *end = bytes + size; at < end;)
		at += rewrite(at, end, &rewritten);
	return text_failed(&rewritten) || !rewritten.data ? NULL
							  : json_loadb(rewritten.data, rewritten.length, FLAGS, NULL);
}
