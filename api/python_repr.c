/* Python's printing of JSON values. The difficulty is repr of a text: the quote that is chosen, and what is escaped. */
#include "api/python_repr.h"

#include "api/json_body.h"
#include "api/request.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void append_character(struct text *text, unsigned char character, char quote)
{
	switch (character) {
	case '\n':
		text_append(text, "\\n");
		return;
	case '\r':
		text_append(text, "\\r");
		return;
	case '\t':
		text_append(text, "\\t");
		return;
	case '\\':
		text_append(text, "\\\\");
		return;
	default:
		if (character == (unsigned char)quote)
			text_append_format(text, "\\%c", character);
		else if (character < 0x20 || character == 0x7f)
			text_append_format(text, "\\x%02x", character);
		else
			text_append_bytes(text, &character, 1);
	}
}

static void append_quoted(struct text *text, const char *string, size_t length)
{
	char quote = memchr(string, '\'', length) && !memchr(string, '"', length) ? '"' : '\'';

	text_append_bytes(text, &quote, 1);
	for (size_t i = 0; i < length; i++) {
		unsigned int half = json_body_surrogate(string + i, length - i);

		if (half) {
			text_append_format(text, "\\u%04x", half);
			i += JSON_BODY_SURROGATE_BYTES - 1;
		} else {
			append_character(text, (unsigned char)string[i], quote);
		}
	}
	text_append_bytes(text, &quote, 1);
}

/* The shortest digits that read back as the same number, always with a point or an exponent. */
static void append_real(struct text *text, double number)
{
	char digits[40];
	int precision = 1;

	if (fabs(number) == strtod(JSON_BODY_INFINITY, NULL)) {
		text_append(text, number > 0 ? "inf" : "-inf");
		return;
	}
	if (number == strtod(JSON_BODY_NAN, NULL)) {
		text_append(text, "nan");
		return;
	}
	do
		snprintf(digits, sizeof(digits), "%.*g", precision, number);
	while (strtod(digits, NULL) != number && precision++ < 17);
	if (fabs(number) >= 1e16 || (number != 0 && fabs(number) < 1e-4) || !isfinite(number)) {
		text_append(text, digits);
		return;
	}
	if (strchr(digits, 'e'))
		snprintf(digits, sizeof(digits), "%.0f", number);
	text_append(text, digits);
	if (!strchr(digits, '.'))
		text_append(text, ".0");
}

static void append_object(struct text *text, const json_t *value)
{
	const char *key;
	json_t *member;
	bool is_first = true;

	text_append(text, "{");
	json_object_foreach((json_t *)value, key, member)
	{
		text_append(text, is_first ? "" : ", ");
		append_quoted(text, key, strlen(key));
		text_append(text, ": ");
		python_repr(text, member);
		is_first = false;
	}
	text_append(text, "}");
}

static void append_array(struct text *text, const json_t *value)
{
	text_append(text, "[");
	for (size_t i = 0; i < json_array_size(value); i++) {
		text_append(text, i ? ", " : "");
		python_repr(text, json_array_get(value, i));
	}
	text_append(text, "]");
}

void python_repr(struct text *text, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		append_object(text, value);
		break;
	case JSON_ARRAY:
		append_array(text, value);
		break;
	case JSON_STRING:
		if (json_body_long_integer(value))
			text_append(text, json_body_long_integer(value));
		else
			append_quoted(text, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		text_append_format(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		append_real(text, json_real_value(value));
		break;
	case JSON_TRUE:
		text_append(text, "True");
		break;
	case JSON_FALSE:
		text_append(text, "False");
		break;
	case JSON_NULL:
		text_append(text, "None");
		break;
	}
}

static void append_string(struct text *text, const char *string, size_t length)
{
	for (size_t i = 0; i < length; i++)
		text_append_bytes(text, string[i] ? &string[i] : NUL_IN_TEXT, string[i] ? 1 : strlen(NUL_IN_TEXT));
}

void python_str(struct text *text, const json_t *value)
{
	if (json_body_is_text(value))
		append_string(text, json_string_value(value), json_string_length(value));
	else
		python_repr(text, value);
}
