/* Reads JSON as Python does. The one difficulty: Python also takes NaN and Infinity, integers of any length and halves of
 * surrogate pairs, which jansson refuses; a body with such is read again with something in their place that it takes. */
#include "api/json_body.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)
/* jansson takes integers of 64 bits. */
#define INTEGER_DIGITS_MAX 18
/* A text that begins so is a long integer; behind it come its digits. */
#define LONG_INTEGER         "\0integer "
#define LONG_INTEGER_LENGTH  (sizeof(LONG_INTEGER) - 1)
#define LONG_INTEGER_ESCAPED "\\u0000integer "
/* From \uD800 to the character that stands for it. */
#define SURROGATE_FIRST 0xd800u
#define SURROGATE_LAST  0xdfffu
#define LOW_FIRST       0xdc00u

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

/* Of all that may stand in a number. */
static size_t number_length(const char *text, const char *end)
{
	size_t length = 0;

	while (text + length < end && (isdigit((unsigned char)text[length]) || strchr("+-.eE", text[length])))
		length++;
	return length;
}

/* The half of a pair that is escaped here; 0: something else. */
static unsigned int escaped_surrogate(const char *at, const char *end)
{
	char digits[5] = "";

	if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
		return 0;
	memcpy(digits, at + 2, 4);
	unsigned long unit = strtoul(digits, NULL, 16); /* of fewer than four digits it is no half */
	return unit >= SURROGATE_FIRST && unit <= SURROGATE_LAST ? (unsigned int)unit : 0;
}

/* How much of the string at `at` goes over as one piece: an escape whole, else one byte. */
static size_t rewrite_piece(const char *at, const char *end, struct text *out)
{
	unsigned int unit = escaped_surrogate(at, end);
	size_t length = *at == '\\' && end - at > 1 ? 2 : 1;

	if (unit && unit < LOW_FIRST && escaped_surrogate(at + 6, end) >= LOW_FIRST)
		length = 12;
	else if (unit) {
		unsigned int place = unit - SURROGATE_FIRST;

		text_append_format(out, "\xf4\x8f%c%c", (char)(0xa0 + place / 64), (char)(0x80 + place % 64));
		return 6;
	}
	text_append_bytes(out, at, length);
	return length;
}

static void rewrite_string(const char *at, const char *end, struct text *out)
{
	while (at < end)
		at += rewrite_piece(at, end, out);
}

/* An integer that is too long becomes a text. */
static void rewrite_number(const char *at, size_t length, struct text *out)
{
	size_t sign = *at == '-', digits = 0;

	while (sign + digits < length && isdigit((unsigned char)at[sign + digits]))
		digits++;
	bool is_long = sign + digits == length && digits > INTEGER_DIGITS_MAX && at[sign] != '0';

	text_append(out, is_long ? "\"" LONG_INTEGER_ESCAPED : "");
	text_append_bytes(out, at, length);
	text_append(out, is_long ? "\"" : "");
}

/* Writes what stands at `at` and tells how much of the body it was. */
static size_t rewrite(const char *at, const char *end, struct text *out)
{
	size_t left = (size_t)(end - at), length = 1;

	for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
		if (left >= strlen(words[i].word) && strncmp(at, words[i].word, strlen(words[i].word)) == 0) {
			text_append(out, words[i].number);
			return strlen(words[i].word);
		}
	if (*at == '"') {
		length = string_length(at, end);
		rewrite_string(at, at + length, out);
	} else if (isdigit((unsigned char)*at) || *at == '-') {
		length = number_length(at, end);
		rewrite_number(at, length, out);
	} else {
		text_append_bytes(out, at, length);
	}
	return length;
}

const char *json_body_long_integer(const json_t *value)
{
	const char *string = json_string_value(value);

	if (!string || json_string_length(value) <= LONG_INTEGER_LENGTH
	    || memcmp(string, LONG_INTEGER, LONG_INTEGER_LENGTH) != 0)
		return NULL;
	return string + LONG_INTEGER_LENGTH;
}

bool json_body_is_text(const json_t *value)
{
	return json_is_string(value) && !json_body_long_integer(value);
}

unsigned int json_body_surrogate(const char *bytes, size_t size)
{
	const unsigned char *byte = (const unsigned char *)bytes;

	if (size < JSON_BODY_SURROGATE_BYTES || byte[0] != 0xf4 || byte[1] != 0x8f || byte[2] < 0xa0)
		return 0;
	return SURROGATE_FIRST + (byte[2] - 0xa0u) * 64 + (byte[3] - 0x80u);
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
