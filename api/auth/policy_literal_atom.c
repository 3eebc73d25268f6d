/* Python's numbers and texts, as its tokenizer cuts them: `1_000` and `0x10` are numbers, `05` and `1x` are nothing at all,
 * a text keeps the backslash of an escape that Python does not know. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include <unistr.h>

#include "api/auth/policy_literal.h"
#include "api/auth/policy_tree.h"

#define DIGITS_MAX 4300 /* Python prints no longer integer */

void literal_operand_clear(struct literal_operand *operand)
{
	text_clear(&operand->printed);
	text_clear(&operand->string);
}

void literal_operand_become(struct literal_operand *operand, enum literal_kind kind)
{
	literal_operand_clear(operand);
	operand->kind = kind;
	operand->is_signed = false;
}

bool literal_fail(struct literal_reader *reader, const char *fault)
{
	reader->fault = fault;
	return false;
}

void literal_skip_blanks(struct literal_reader *reader)
{
	reader->place += strspn(reader->place, " \t\f");
	if (*reader->place == '#')
		reader->place += strlen(reader->place);
}

size_t literal_identifier_length(const char *place)
{
	const uint8_t *start = (const uint8_t *)place;
	const uint8_t *end = start;
	ucs4_t character;

	for (const uint8_t *next; (next = u8_next(&character, end)) != NULL; end = next) {
		bool fits = character == '_'
			    || (end == start ? uc_is_property_xid_start(character)
					     : uc_is_property_xid_continue(character));

		if (!fits)
			break;
	}
	return (size_t)(end - start);
}

/* Digits of a base, single underscores between them, into `digits`; 0 when there are none, and a fault for an
 * underscore that is out of place. */
static size_t read_digits(struct literal_reader *reader, const char *allowed, struct text *digits)
{
	size_t count = 0;

	for (; *reader->place; reader->place++) {
		if (*reader->place == '_' && count > 0 && reader->place[1] && strchr(allowed, reader->place[1]))
			continue;
		if (!strchr(allowed, *reader->place))
			break;
		text_append_bytes(digits, reader->place, 1);
		count++;
	}
	return count;
}

static bool read_based_integer(struct literal_reader *reader, struct literal_operand *operand)
{
	CLEANUP_TEXT struct text digits = TEXT_EMPTY;
	char letter = (char)(reader->place[1] | 0x20);
	int base = letter == 'x' ? 16 : letter == 'o' ? 8 : 2;

	reader->place += reader->place[2] == '_' ? 3 : 2;
	if (read_digits(reader, base == 16 ? "0123456789abcdefABCDEF" : base == 8 ? "01234567" : "01", &digits) == 0)
		return literal_fail(reader, "no valid number");
	if (text_failed(&digits))
		return literal_fail(reader, "out of memory");
	errno = 0;

	unsigned long long number = strtoull(digits.data, NULL, base);

	if (errno != 0)
		return literal_fail(reader, "a number beyond 64 bits");
	text_append_format(&operand->printed, "%llu", number);
	return true;
}

/* The digits behind the dot and the exponent; *ret_is_real becomes true when there were some. */
static bool read_fraction(struct literal_reader *reader, struct text *digits, bool *ret_is_real)
{
	if (*reader->place == '.') {
		*ret_is_real = true;
		text_append(digits, ".");
		reader->place++;
		if (*reader->place == '_')
			return literal_fail(reader, "no valid number");
		read_digits(reader, "0123456789", digits);
	}
	if (*reader->place == 'e' || *reader->place == 'E') {
		*ret_is_real = true;
		text_append(digits, "e");
		reader->place++;
		if (*reader->place == '+' || *reader->place == '-')
			text_append_bytes(digits, reader->place++, 1);
		if (read_digits(reader, "0123456789", digits) == 0)
			return literal_fail(reader, "no valid number");
	}
	return true;
}

bool literal_read_number(struct literal_reader *reader, struct literal_operand *operand)
{
	CLEANUP_TEXT struct text digits = TEXT_EMPTY;
	bool is_real = false;

	literal_operand_become(operand, LITERAL_KIND_NUMBER);
	if (reader->place[0] == '0' && reader->place[1] && strchr("xXoObB", reader->place[1])) {
		if (!read_based_integer(reader, operand))
			return false;
	} else {
		read_digits(reader, "0123456789", &digits);
		if (!read_fraction(reader, &digits, &is_real))
			return false;
		if (text_failed(&digits))
			return literal_fail(reader, "out of memory");

		size_t zeros = strspn(digits.data, "0");

		if (is_real)
			policy_print_real(strtod(digits.data, NULL), &operand->printed);
		else if (zeros == digits.length)
			text_append(&operand->printed, "0");
		else if (zeros > 0)
			return literal_fail(reader, "a number with leading zeros");
		else if (digits.length > DIGITS_MAX)
			return literal_fail(reader, "too many digits");
		else
			text_append(&operand->printed, digits.data);
	}
	/* 1x is no number, 1j a complex one, 1_ ends wrongly. */
	if (literal_identifier_length(reader->place) > 0)
		return literal_fail(reader, "no valid number");
	return true;
}

static void append_character(struct text *text, unsigned int character)
{
	uint8_t bytes[6];
	int length = u8_uctomb(bytes, character, sizeof(bytes));

	if (length > 0)
		text_append_bytes(text, bytes, (size_t)length);
}

/* \xhh, \uhhhh, \Uhhhhhhhh: exactly so many hex digits. */
static bool read_hex_escape(struct literal_reader *reader, size_t count, struct text *text)
{
	char digits[9] = "";

	if (strspn(reader->place, "0123456789abcdefABCDEF") < count)
		return literal_fail(reader, "a truncated escape in a text");
	memcpy(digits, reader->place, count);
	reader->place += count;

	unsigned long character = strtoul(digits, NULL, 16);

	if (character == 0 || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
		return literal_fail(reader, "an escape that is no character");
	append_character(text, (unsigned int)character);
	return true;
}

static bool read_escape(struct literal_reader *reader, struct text *text)
{
	static const char names[] = "\\'\"abfnrtv";
	static const char values[] = "\\'\"\a\b\f\n\r\t\v";
	char letter = *reader->place++;
	const char *known = letter ? strchr(names, letter) : NULL;

	if (known) {
		text_append_bytes(text, values + (known - names), 1);
		return true;
	}
	switch (letter) {
	case '\0':
	case '\n':
	case 'N':
		return literal_fail(reader, "an escape in a text that is not known");
	case 'x':
		return read_hex_escape(reader, 2, text);
	case 'u':
		return read_hex_escape(reader, 4, text);
	case 'U':
		return read_hex_escape(reader, 8, text);
	default:
		break;
	}
	if (letter < '0' || letter > '7') {
		/* Python keeps the backslash of what is no escape. */
		text_append(text, "\\");
		reader->place--;
		return true;
	}

	unsigned int character = (unsigned int)(letter - '0');

	for (int i = 0; i < 2 && *reader->place >= '0' && *reader->place <= '7'; i++)
		character = character * 8 + (unsigned int)(*reader->place++ - '0');
	if (character == 0)
		return literal_fail(reader, "an escape that is no character");
	append_character(text, character);
	return true;
}

/* From the opening quote to the closing one, three or one. */
static bool read_text_body(struct literal_reader *reader, bool is_raw, struct text *text)
{
	char quote = *reader->place;
	size_t quotes = strncmp(reader->place, quote == '"' ? "\"\"\"" : "'''", 3) == 0 ? 3 : 1;
	const char *closing = quote == '"' ? "\"\"\"" : "'''";

	reader->place += quotes;
	for (;;) {
		if (strncmp(reader->place, closing, quotes) == 0)
			break;
		if (*reader->place == '\0' || *reader->place == '\n' || *reader->place == '\r')
			return literal_fail(reader, "a text without its closing quote");
		if (*reader->place == '\\' && is_raw) {
			text_append_bytes(text, reader->place++, 1);
			if (*reader->place == '\0')
				return literal_fail(reader, "a text without its closing quote");
			text_append_bytes(text, reader->place++, 1);
		} else if (*reader->place == '\\') {
			reader->place++;
			if (!read_escape(reader, text))
				return false;
		} else {
			text_append_bytes(text, reader->place++, 1);
		}
	}
	reader->place += quotes;
	return true;
}

/* Bytes of a prefix (r, u, f, rf, fr) that stands before a quote; -1 when there is no text here. */
static int text_prefix_length(const char *place)
{
	int length = (int)strspn(place, "rRuUfFbB");

	return place[length] == '\'' || place[length] == '"' ? length : -1;
}

bool literal_read_texts(struct literal_reader *reader, struct literal_operand *operand)
{
	bool is_formatted = false;
	int prefix;

	literal_operand_become(operand, LITERAL_KIND_TEXT);
	text_append(&operand->string, "");
	while (literal_skip_blanks(reader), (prefix = text_prefix_length(reader->place)) >= 0) {
		bool is_raw = false;
		bool has_format = false;
		bool has_unicode = false;

		for (; prefix > 0; prefix--, reader->place++) {
			bool *mark = (*reader->place | 0x20) == 'r'   ? &is_raw
				     : (*reader->place | 0x20) == 'f' ? &has_format
								      : &has_unicode;

			if (*mark || (*reader->place | 0x20) == 'b')
				return literal_fail(reader, "a text of bytes, or with an unknown prefix");
			*mark = true;
		}
		if (has_unicode && (is_raw || has_format))
			return literal_fail(reader, "a text with an unknown prefix");

		size_t before = operand->string.length;

		if (!read_text_body(reader, is_raw, &operand->string))
			return false;
		if (has_format && strpbrk(operand->string.data + before, "{}\\"))
			return literal_fail(reader, "a formatted text");
		is_formatted = is_formatted || has_format;
	}
	if (is_formatted)
		literal_operand_become(operand, LITERAL_KIND_NO_LITERAL);
	else if (!text_failed(&operand->string))
		policy_print_text_repr(operand->string.data, &operand->printed);
	return true;
}

bool literal_is_text(const char *place)
{
	return text_prefix_length(place) >= 0;
}
