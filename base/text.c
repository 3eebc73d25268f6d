/* Growing buffers and bounded strings. */
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool reserve(struct text *text, size_t more)
{
	if (text->failed)
		return false;
	if (more >= SIZE_MAX / 2 - text->length) {
		text->failed = true;
		return false;
	}

	size_t needed = text->length + more + 1;
	if (needed <= text->capacity)
		return true;

	size_t capacity = text->capacity ? text->capacity : 128;
	while (capacity < needed)
		capacity *= 2;
	char *data = realloc(text->data, capacity);
	if (!data) {
		text->failed = true;
		return false;
	}
	text->data = data;
	text->capacity = capacity;
	return true;
}

void text_append_bytes(struct text *text, const void *bytes, size_t length)
{
	if (!reserve(text, length))
		return;
	if (length)
		memcpy(text->data + text->length, bytes, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void text_append(struct text *text, const char *string)
{
	text_append_bytes(text, string, strlen(string));
}

void text_append_format_list(struct text *text, const char *format, va_list arguments)
{
	va_list again;

	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, arguments);
	if (length < 0)
		text->failed = true;
	else if (reserve(text, (size_t)length)) {
		vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
		text->length += (size_t)length;
	}
	va_end(again);
}

void text_append_format(struct text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text_append_format_list(text, format, arguments);
	va_end(arguments);
}

bool text_failed(const struct text *text)
{
	return text->failed;
}

char *text_take(struct text *text)
{
	if (!text->failed)
		reserve(text, 0);

	char *data = text->data;
	if (text->failed) {
		free(data);
		data = NULL;
	} else {
		data[text->length] = '\0';
	}
	*text = TEXT_EMPTY;
	return data;
}

void text_clear(struct text *text)
{
	free(text->data);
	*text = TEXT_EMPTY;
}

char *text_format(const char *format, ...)
{
	struct text text = TEXT_EMPTY;
	va_list arguments;

	va_start(arguments, format);
	text_append_format_list(&text, format, arguments);
	va_end(arguments);
	return text_take(&text);
}

bool text_copy(char *target, size_t target_size, const char *source)
{
	size_t length = strlen(source);
	bool fits = length < target_size;

	if (!target_size)
		return false;
	if (!fits)
		length = target_size - 1;
	memcpy(target, source, length);
	target[length] = '\0';
	return fits;
}

bool text_starts_with(const char *string, const char *prefix)
{
	return strncmp(string, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *string, const char *suffix)
{
	size_t length = strlen(string), suffix_length = strlen(suffix);

	return length >= suffix_length && strcmp(string + length - suffix_length, suffix) == 0;
}

/* Bytes of the well-formed character at `bytes`, 0 when there is none (RFC 3629, table 3-7 of Unicode). */
static size_t character_length(const unsigned char *bytes, size_t left)
{
	unsigned char lead = bytes[0];
	size_t length = lead < 0x80                    ? 1
			: lead >= 0xc2 && lead <= 0xdf ? 2
			: lead >= 0xe0 && lead <= 0xef ? 3
			: lead >= 0xf0 && lead <= 0xf4 ? 4
						       : 0;

	if (length == 0 || length > left)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
	if ((lead == 0xe0 && bytes[1] < 0xa0) || (lead == 0xed && bytes[1] > 0x9f) || (lead == 0xf0 && bytes[1] < 0x90)
	    || (lead == 0xf4 && bytes[1] > 0x8f))
		return 0;
	return length;
}

bool text_is_utf8(const void *bytes, size_t length)
{
	const unsigned char *at = bytes;

	while (length > 0) {
		size_t step = character_length(at, length);
		if (step == 0)
			return false;
		at += step;
		length -= step;
	}
	return true;
}

void text_append_as_utf8(struct text *text, const char *string)
{
	if (text_is_utf8(string, strlen(string))) {
		text_append(text, string);
		return;
	}
	for (const unsigned char *at = (const unsigned char *)string; *at; at++) {
		const char two[] = { (char)(0xC0 | *at >> 6), (char)(0x80 | (*at & 0x3F)) };

		text_append_bytes(text, *at < 0x80 ? (const void *)at : two, *at < 0x80 ? 1 : 2);
	}
}

const char *text_as_utf8(const char *string, struct text *made)
{
	if (text_is_utf8(string, strlen(string)))
		return string;
	text_append_as_utf8(made, string);
	return text_failed(made) ? "" : made->data;
}

void text_hex(const void *bytes, size_t length, char *ret_hex)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *at = bytes;

	for (size_t i = 0; i < length; i++) {
		ret_hex[2 * i] = digits[at[i] >> 4];
		ret_hex[2 * i + 1] = digits[at[i] & 15];
	}
	ret_hex[2 * length] = '\0';
}

bool text_to_int64(const char *string, int64_t low, int64_t high, int64_t *ret_number)
{
	const char *digits = *string == '-' ? string + 1 : string;
	char *end;

	if (*digits < '0' || *digits > '9')
		return false;
	errno = 0;
	long long number = strtoll(string, &end, 10);
	if (errno || *end || number < low || number > high)
		return false;
	*ret_number = number;
	return true;
}

unsigned int text_distance(const char *a, const char *b)
{
	enum { LONGEST = 63, TOO_MUCH = 3 };
	unsigned int before[LONGEST + 1];
	unsigned int above[LONGEST + 1];
	unsigned int row[LONGEST + 1];
	size_t a_length = strlen(a);
	size_t b_length = strlen(b);

	if (a_length > LONGEST || b_length > LONGEST || a_length + TOO_MUCH <= b_length
	    || b_length + TOO_MUCH <= a_length)
		return TOO_MUCH;
	for (unsigned int j = 0; j <= b_length; j++)
		above[j] = before[j] = j;
	for (unsigned int i = 1; i <= a_length; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			unsigned int best = above[j - 1] + (a[i - 1] != b[j - 1]);

			best = above[j] + 1 < best ? above[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}
		memcpy(before, above, sizeof(before));
		memcpy(above, row, sizeof(above));
	}
	return above[b_length] < TOO_MUCH ? above[b_length] : TOO_MUCH;
}
