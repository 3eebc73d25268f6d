/* Values as Python prints and compares them. The difficulty is to print like Python without being Python: repr() of
 * texts, lists and objects, and the shortest decimal form of a real number. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <unistr.h>

#include "api/auth/policy_tree.h"
#include "base/cleanup.h"
#include "base/text.h"

struct policy_value policy_value_of_text(const char *text)
{
	return (struct policy_value){ .kind = text ? POLICY_VALUE_TEXT : POLICY_VALUE_NULL, .text = text };
}

struct policy_value policy_value_of_json(const json_t *json)
{
	struct policy_value value = { .kind = POLICY_VALUE_JSON, .json = json };

	if (!json)
		value.kind = POLICY_VALUE_MISSING;
	else if (json_is_string(json))
		value = policy_value_of_text(json_string_value(json));
	else if (json_is_null(json))
		value.kind = POLICY_VALUE_NULL;
	else if (json_is_boolean(json))
		value = (struct policy_value){ .kind = POLICY_VALUE_BOOLEAN, .is_true = json_is_true(json) };
	return value;
}

bool policy_value_is_true(const struct policy_value *value)
{
	switch (value->kind) {
	case POLICY_VALUE_BOOLEAN:
		return value->is_true;
	case POLICY_VALUE_TEXT:
		return value->text[0] != '\0';
	case POLICY_VALUE_JSON:
		if (json_is_number(value->json))
			return json_number_value(value->json) != 0.0;
		return json_array_size(value->json) > 0 || json_object_size(value->json) > 0;
	case POLICY_VALUE_MISSING:
	case POLICY_VALUE_NULL:
	case POLICY_VALUE_TEXTS:
		break;
	}
	return false;
}

/* The fewest digits that read back as the same number; laid out as Python's repr(): an exponent below 1e-4 and from
 * 1e16 on, and ".0" behind a whole number. */
void policy_print_real(double real, struct text *text)
{
	char scientific[40];
	int precision = 0;

	if (isinf(real)) { /* a literal like 1e999, before its sign; JSON has none */
		text_append(text, "inf");
		return;
	}
	do
		snprintf(scientific, sizeof(scientific), "%.*e", precision, real);
	while (strtod(scientific, NULL) != real && ++precision < 17);

	char *mark = strchr(scientific, 'e');
	int exponent = atoi(mark + 1);

	*mark = '\0';
	if (exponent < -4 || exponent >= 16) {
		text_append_format(text, "%se%s%02d", scientific, exponent < 0 ? "-" : "+", abs(exponent));
		return;
	}

	int decimals = precision - exponent;

	text_append_format(text, "%.*f", decimals > 0 ? decimals : 1, real);
}

static bool is_printable(ucs4_t character)
{
	return character == ' '
	       || !uc_is_general_category_withtable(character, UC_CATEGORY_MASK_C | UC_CATEGORY_MASK_Z);
}

static void print_escaped(ucs4_t character, struct text *text)
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
	default:
		break;
	}
	if (character < 0x100)
		text_append_format(text, "\\x%02x", (unsigned int)character);
	else if (character < 0x10000)
		text_append_format(text, "\\u%04x", (unsigned int)character);
	else
		text_append_format(text, "\\U%08x", (unsigned int)character);
}

void policy_print_text_repr(const char *string, struct text *text)
{
	const char quote = strchr(string, '\'') && !strchr(string, '"') ? '"' : '\'';
	const uint8_t *place = (const uint8_t *)string;
	ucs4_t character;

	text_append_bytes(text, &quote, 1);
	for (const uint8_t *next; (next = u8_next(&character, place)) != NULL; place = next) {
		if (character == (ucs4_t)quote || character == '\\')
			text_append_format(text, "\\%c", (char)character);
		else if (is_printable(character))
			text_append_bytes(text, place, (size_t)(next - place));
		else
			print_escaped(character, text);
	}
	text_append_bytes(text, &quote, 1);
}

static void print_json(const json_t *json, struct text *text)
{
	struct policy_value item;
	const char *separator = "";
	const char *key;
	json_t *member;
	size_t index;

	switch (json_typeof(json)) {
	case JSON_INTEGER:
		text_append_format(text, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
		return;
	case JSON_REAL:
		policy_print_real(json_real_value(json), text);
		return;
	case JSON_ARRAY:
		text_append(text, "[");
		json_array_foreach(json, index, member)
		{
			text_append(text, separator);
			item = policy_value_of_json(member);
			policy_value_print_repr(&item, text);
			separator = ", ";
		}
		text_append(text, "]");
		return;
	case JSON_OBJECT:
		text_append(text, "{");
		/* The iterator of jansson wants an object that is not const, but only reads it. */
		json_object_foreach((json_t *)(uintptr_t)json, key, member)
		{
			text_append(text, separator);
			policy_print_text_repr(key, text);
			text_append(text, ": ");
			item = policy_value_of_json(member);
			policy_value_print_repr(&item, text);
			separator = ", ";
		}
		text_append(text, "}");
		return;
	case JSON_STRING:
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		break;
	}
}

void policy_value_print_repr(const struct policy_value *value, struct text *text)
{
	if (value->kind == POLICY_VALUE_TEXT)
		policy_print_text_repr(value->text, text);
	else
		policy_value_print(value, text);
}

void policy_value_print(const struct policy_value *value, struct text *text)
{
	switch (value->kind) {
	case POLICY_VALUE_MISSING:
	case POLICY_VALUE_TEXTS:
		break;
	case POLICY_VALUE_NULL:
		text_append(text, "None");
		break;
	case POLICY_VALUE_BOOLEAN:
		text_append(text, value->is_true ? "True" : "False");
		break;
	case POLICY_VALUE_TEXT:
		text_append(text, value->text);
		break;
	case POLICY_VALUE_JSON:
		print_json(value->json, text);
		break;
	}
}

bool policy_value_equals(const struct policy_value *value, const char *match, bool *ret_failed)
{
	CLEANUP_TEXT struct text printed = TEXT_EMPTY;

	switch (value->kind) {
	case POLICY_VALUE_MISSING:
	case POLICY_VALUE_TEXTS:
		return false;
	case POLICY_VALUE_NULL:
		return strcmp(match, "None") == 0;
	case POLICY_VALUE_BOOLEAN:
		return strcmp(match, value->is_true ? "True" : "False") == 0;
	case POLICY_VALUE_TEXT:
		return strcmp(match, value->text) == 0;
	case POLICY_VALUE_JSON:
		break;
	}
	policy_value_print(value, &printed);
	if (text_failed(&printed)) {
		*ret_failed = true;
		return false;
	}
	return strcmp(match, printed.data) == 0;
}

static char fold_ascii(char character)
{
	return character >= 'A' && character <= 'Z' ? (char)(character + ('a' - 'A')) : character;
}

bool policy_text_equals_folded(const char *a, const char *b, bool *ret_failed)
{
	size_t same = 0;

	while (a[same] != '\0' && fold_ascii(a[same]) == fold_ascii(b[same]))
		same++;
	if (a[same] == '\0' && b[same] == '\0')
		return true;

	bool is_ascii = true;

	for (const char *place = a; is_ascii && *place; place++)
		is_ascii = (*place & 0x80) == 0;
	for (const char *place = b; is_ascii && *place; place++)
		is_ascii = (*place & 0x80) == 0;
	if (is_ascii)
		return false;

	/* Not letter by letter: a final sigma and a dotted capital i depend on their neighbours or grow. */
	size_t a_length = 0;
	size_t b_length = 0;
	CLEANUP_FREE uint8_t *a_lower = u8_tolower((const uint8_t *)a, strlen(a), NULL, NULL, NULL, &a_length);
	CLEANUP_FREE uint8_t *b_lower = u8_tolower((const uint8_t *)b, strlen(b), NULL, NULL, NULL, &b_length);

	if ((!a_lower && a[0]) || (!b_lower && b[0])) {
		*ret_failed = true;
		return false;
	}
	return a_length == b_length && memcmp(a_lower, b_lower, a_length) == 0;
}
