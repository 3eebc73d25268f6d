/* The right side of a check: Python's `R % target`, compiled once. Nearly always it is a plain text or `%(key)s`; the
 * rest of the conversions is here because a rule that uses one must grant exactly what it granted before.
 *
 * Python converts from left to right, and what it meets first decides: `%(gone)s%` lacks a key (the check is false),
 * `%z%(gone)s` raises. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "api/auth/policy_tree.h"
#include "base/cleanup.h"
#include "base/text.h"

#define WIDTH_MAX 4096 /* no creds are longer: what would be padded further raises, and so grants nothing */

struct reader {
	struct policy_arena *arena;
	const char *place;
	bool is_taken; /* the one value at hand was printed: a bare conversion finds none */
};

/* `%(key)`: to the bracket that closes it. */
static int read_key(struct reader *reader, struct policy_piece *piece)
{
	const char *start = ++reader->place;
	size_t open = 1;

	for (; *reader->place; reader->place++) {
		if (*reader->place == '(')
			open++;
		else if (*reader->place == ')' && --open == 0)
			break;
	}
	if (open > 0) {
		piece->fault = "incomplete format key";
		return 0;
	}
	piece->key = policy_arena_copy(reader->arena, start, (size_t)(reader->place - start));
	reader->place++;
	return piece->key ? 0 : -ENOMEM;
}

static void read_flags(struct reader *reader, struct policy_piece *piece)
{
	for (;; reader->place++) {
		switch (*reader->place) {
		case '-':
			piece->is_left = true;
			break;
		case '+':
			piece->has_sign = true;
			break;
		case ' ':
			piece->has_blank = true;
			break;
		case '#':
			piece->is_alternate = true;
			break;
		case '0':
			piece->has_zeros = true;
			break;
		default:
			return;
		}
	}
}

/* -1 when it is no number that is taken. */
static int read_number(struct reader *reader)
{
	int number = 0;

	for (; *reader->place >= '0' && *reader->place <= '9'; reader->place++) {
		number = number * 10 + (*reader->place - '0');
		if (number > WIDTH_MAX)
			return -1;
	}
	return number;
}

static int read_conversion(struct reader *reader, struct policy_piece *piece)
{
	piece->is_conversion = true;
	piece->precision = -1;
	if (*reader->place == '%') {
		/* Only side by side: %5% is no conversion. */
		piece->type = *reader->place++;
		return 0;
	}
	if (*reader->place == '(') {
		int result = read_key(reader, piece);

		if (result < 0 || piece->fault)
			return result;
	}
	read_flags(reader, piece);
	if (*reader->place == '*')
		piece->fault = "a width of * in a format";
	else if ((piece->width = read_number(reader)) < 0)
		piece->fault = "width too big";
	if (*reader->place == '.') {
		reader->place++;
		if (*reader->place == '*')
			piece->fault = "a precision of * in a format";
		else if ((piece->precision = read_number(reader)) < 0)
			piece->fault = "precision too big";
	}
	if (piece->fault)
		return 0;
	if (*reader->place == 'h' || *reader->place == 'l' || *reader->place == 'L')
		reader->place++;
	piece->type = *reader->place;
	if (piece->type == '\0') {
		piece->fault = "incomplete format";
		return 0;
	}
	reader->place++;
	/* A bare conversion takes the whole target, once; behind a key there is none left. */
	if (!piece->key && reader->is_taken)
		piece->fault = "not enough arguments for the format";
	else if (!strchr("sradiuoxXeEfFgGc", piece->type))
		piece->fault = "unsupported format character";
	reader->is_taken = true;
	return 0;
}

static int append_piece(struct policy_arena *arena, struct policy_piece **pieces, size_t *count,
			const struct policy_piece *piece)
{
	/* Grown by doubling; what is left behind goes with the arena. */
	if ((*count & (*count - 1)) == 0) {
		struct policy_piece *grown =
			policy_arena_allocate(arena, (*count > 0 ? 2 * *count : 1) * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		if (*count > 0)
			memcpy(grown, *pieces, *count * sizeof(*grown));
		*pieces = grown;
	}
	(*pieces)[(*count)++] = *piece;
	return 0;
}

/* A format without a conversion is its own result. */
static int fold_constant(struct policy_arena *arena, struct policy_format *format)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	text_append(&text, "");
	for (size_t i = 0; i < format->piece_count; i++) {
		const struct policy_piece *piece = &format->pieces[i];

		if (piece->fault || (piece->is_conversion && piece->type != '%'))
			return 0;
		text_append_bytes(&text, piece->literal, piece->literal_length);
		if (piece->is_conversion)
			text_append(&text, "%");
	}
	if (text_failed(&text))
		return -ENOMEM;
	format->form = POLICY_FORMAT_CONSTANT;
	format->text = policy_arena_copy(arena, text.data, text.length);
	return format->text ? 0 : -ENOMEM;
}

static bool is_plain_key(const struct policy_format *format)
{
	const struct policy_piece *piece = format->pieces;

	return format->piece_count == 1 && piece->key && piece->type == 's' && piece->literal_length == 0
	       && piece->width == 0 && piece->precision < 0;
}

int policy_format_compile(struct policy_arena *arena, const char *source, struct policy_format *ret_format)
{
	struct policy_format format = { .form = POLICY_FORMAT_PIECES };
	struct reader reader = { .arena = arena, .place = source };
	struct policy_piece *pieces = NULL;

	while (*reader.place) {
		struct policy_piece piece = { .literal_length = strcspn(reader.place, "%") };

		piece.literal = policy_arena_copy(arena, reader.place, piece.literal_length);
		if (!piece.literal)
			return -ENOMEM;
		reader.place += piece.literal_length;
		if (*reader.place == '%') {
			reader.place++;
			if (read_conversion(&reader, &piece) < 0)
				return -ENOMEM;
		}
		if (append_piece(arena, &pieces, &format.piece_count, &piece) < 0)
			return -ENOMEM;
	}
	format.pieces = pieces;
	if (is_plain_key(&format)) {
		format.form = POLICY_FORMAT_KEY;
		format.text = pieces->key;
	} else if (fold_constant(arena, &format) < 0) {
		return -ENOMEM;
	}
	*ret_format = format;
	return 0;
}

const char *policy_format_fault(const struct policy_format *format)
{
	for (size_t i = 0; i < format->piece_count; i++)
		if (format->pieces[i].fault)
			return format->pieces[i].fault;
	return NULL;
}

struct policy_value policy_target_value(const struct policy_target *target, const char *key)
{
	if (target->values)
		return policy_value_of_json(json_object_get(target->values, key));
	if (target->has_project_id && strcmp(key, "project_id") == 0)
		return policy_value_of_text(target->project_id);
	if (target->has_user_id && strcmp(key, "user_id") == 0)
		return policy_value_of_text(target->user_id);
	return (struct policy_value){ .kind = POLICY_VALUE_MISSING };
}

/* The whole target, as Python prints a dict. */
static void print_target(const struct policy_target *target, struct text *text)
{
	const char *separator = "";

	if (target->values) {
		struct policy_value value = policy_value_of_json(target->values);

		policy_value_print(&value, text);
		return;
	}
	text_append(text, "{");
	for (int i = 0; i < 2; i++) {
		const char *key = i == 0 ? "project_id" : "user_id";
		struct policy_value value = policy_target_value(target, key);

		if (value.kind == POLICY_VALUE_MISSING)
			continue;
		text_append_format(text, "%s'%s': ", separator, key);
		policy_value_print_repr(&value, text);
		separator = ", ";
	}
	text_append(text, "}");
}

/* Length in characters, not bytes. */
static size_t character_count(const char *string, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += (string[i] & 0xc0) != 0x80;
	return count;
}

/* Bytes of the first `count` characters. */
static size_t character_offset(const char *string, size_t length, size_t count)
{
	size_t offset = 0;

	while (offset < length) {
		if ((string[offset] & 0xc0) != 0x80 && count-- == 0)
			break;
		offset++;
	}
	return offset;
}

/* `sign` (with a prefix such as 0x) stands before zeros, and behind blanks. */
static void append_padded(const struct policy_piece *piece, const char *sign, const char *body, size_t length,
			  bool is_number, struct text *text)
{
	size_t used = strlen(sign) + character_count(body, length);
	size_t missing = (size_t)piece->width > used ? (size_t)piece->width - used : 0;
	bool is_zeros = is_number && piece->has_zeros && !piece->is_left;

	if (!piece->is_left && !is_zeros)
		text_append_format(text, "%*s", (int)missing, "");
	text_append(text, sign);
	for (size_t i = 0; is_zeros && i < missing; i++)
		text_append(text, "0");
	text_append_bytes(text, body, length);
	if (piece->is_left)
		text_append_format(text, "%*s", (int)missing, "");
}

static const char *sign_of(const struct policy_piece *piece, bool is_negative)
{
	return is_negative ? "-" : piece->has_sign ? "+" : piece->has_blank ? " " : "";
}

/* Python's integers and booleans; false for all others. */
static bool integer_of(const struct policy_value *value, long long *ret_number)
{
	if (value->kind == POLICY_VALUE_BOOLEAN)
		*ret_number = value->is_true;
	else if (json_is_integer(value->json))
		*ret_number = json_integer_value(value->json);
	else
		return false;
	return true;
}

static bool real_of(const struct policy_value *value, double *ret_number)
{
	long long integer;

	if (integer_of(value, &integer))
		*ret_number = (double)integer;
	else if (json_is_real(value->json))
		*ret_number = json_real_value(value->json);
	else
		return false;
	return true;
}

static const char *convert_integer(const struct policy_piece *piece, const struct policy_value *value,
				   struct text *text)
{
	bool is_decimal = strchr("diu", piece->type) != NULL;
	char digits[WIDTH_MAX + 32];
	char sign[8];
	long long number;
	double real;

	if (!integer_of(value, &number)) {
		if (!is_decimal || !real_of(value, &real) || !(fabs(real) < 9e18))
			return "a number format of something else";
		number = (long long)real;
	}

	unsigned long long magnitude = number < 0 ? -(unsigned long long)number : (unsigned long long)number;
	const char *prefix = "";
	/* Python prints a zero as 0 even with a precision of 0. */
	int precision = piece->precision > 0 ? piece->precision : 1;

	if (is_decimal) {
		snprintf(digits, sizeof(digits), "%.*llu", precision, magnitude);
	} else if (piece->type == 'o') {
		snprintf(digits, sizeof(digits), "%.*llo", precision, magnitude);
		prefix = piece->is_alternate ? "0o" : "";
	} else if (piece->type == 'x') {
		snprintf(digits, sizeof(digits), "%.*llx", precision, magnitude);
		prefix = piece->is_alternate ? "0x" : "";
	} else {
		snprintf(digits, sizeof(digits), "%.*llX", precision, magnitude);
		prefix = piece->is_alternate ? "0X" : "";
	}
	snprintf(sign, sizeof(sign), "%s%s", sign_of(piece, number < 0), prefix);
	append_padded(piece, sign, digits, strlen(digits), true, text);
	return NULL;
}

static const char *convert_real(const struct policy_piece *piece, const struct policy_value *value, struct text *text)
{
	CLEANUP_TEXT struct text digits = TEXT_EMPTY;
	int precision = piece->precision < 0 ? 6 : piece->precision;
	double number;

	if (!real_of(value, &number))
		return "a number format of something else";

	double magnitude = fabs(number);

	switch (piece->type) {
	case 'e':
		text_append_format(&digits, piece->is_alternate ? "%#.*e" : "%.*e", precision, magnitude);
		break;
	case 'E':
		text_append_format(&digits, piece->is_alternate ? "%#.*E" : "%.*E", precision, magnitude);
		break;
	case 'f':
		text_append_format(&digits, piece->is_alternate ? "%#.*f" : "%.*f", precision, magnitude);
		break;
	case 'F':
		text_append_format(&digits, piece->is_alternate ? "%#.*F" : "%.*F", precision, magnitude);
		break;
	case 'g':
		text_append_format(&digits, piece->is_alternate ? "%#.*g" : "%.*g", precision, magnitude);
		break;
	default:
		text_append_format(&digits, piece->is_alternate ? "%#.*G" : "%.*G", precision, magnitude);
		break;
	}
	if (text_failed(&digits))
		return "out of memory";
	append_padded(piece, sign_of(piece, signbit(number)), digits.data, digits.length, true, text);
	return NULL;
}

/* %a: as %r, and every character above ASCII escaped. */
static void escape_non_ascii(struct text *text)
{
	CLEANUP_TEXT struct text escaped = TEXT_EMPTY;
	const unsigned char *place = (const unsigned char *)text->data;

	text_append(&escaped, "");
	while (place && *place) {
		unsigned int length = *place < 0x80 ? 1 : *place < 0xe0 ? 2 : *place < 0xf0 ? 3 : 4;
		unsigned int character = length == 1 ? *place : *place & (0xffU >> (length + 1));

		for (unsigned int i = 1; i < length; i++)
			character = character << 6 | (place[i] & 0x3fU);
		if (length == 1)
			text_append_bytes(&escaped, place, 1);
		else
			text_append_format(&escaped,
					   character < 0x100     ? "\\x%02x"
					   : character < 0x10000 ? "\\u%04x"
								 : "\\U%08x",
					   character);
		place += length;
	}
	text_clear(text);
	*text = escaped;
	escaped = TEXT_EMPTY;
}

static const char *convert_text(const struct policy_piece *piece, const struct policy_value *value,
				const struct policy_target *target, struct text *text)
{
	CLEANUP_TEXT struct text printed = TEXT_EMPTY;

	text_append(&printed, "");
	if (!value)
		print_target(target, &printed);
	else if (piece->type == 's')
		policy_value_print(value, &printed);
	else
		policy_value_print_repr(value, &printed);
	if (piece->type == 'a')
		escape_non_ascii(&printed);
	if (text_failed(&printed))
		return "out of memory";

	size_t length = printed.length;

	if (piece->precision >= 0)
		length = character_offset(printed.data, length, (size_t)piece->precision);
	append_padded(piece, "", printed.data, length, false, text);
	return NULL;
}

static const char *convert_character(const struct policy_piece *piece, const struct policy_value *value,
				     struct text *text)
{
	if (value->kind == POLICY_VALUE_TEXT && character_count(value->text, strlen(value->text)) == 1) {
		append_padded(piece, "", value->text, strlen(value->text), false, text);
		return NULL;
	}

	long long number;

	if (!integer_of(value, &number) || number < 1 || number > 0x7f)
		return "%c of something else than a character";

	char character = (char)number;

	append_padded(piece, "", &character, 1, false, text);
	return NULL;
}

static const char *convert(const struct policy_piece *piece, const struct policy_value *value,
			   const struct policy_target *target, struct text *text)
{
	if (strchr("sra", piece->type))
		return convert_text(piece, value, target, text);
	if (!value)
		return "a number format of the whole target";
	if (strchr("diuoxX", piece->type))
		return convert_integer(piece, value, text);
	if (piece->type == 'c')
		return convert_character(piece, value, text);
	return convert_real(piece, value, text);
}

enum policy_format_result policy_format_run(const struct policy_format *format, const struct policy_target *target,
					    struct text *text, const char **ret_fault)
{
	text_append(text, "");
	for (size_t i = 0; i < format->piece_count; i++) {
		const struct policy_piece *piece = &format->pieces[i];
		struct policy_value value = { 0 };
		const char *fault = NULL;

		text_append_bytes(text, piece->literal, piece->literal_length);
		if (!piece->is_conversion)
			continue;
		if (piece->key) {
			value = policy_target_value(target, piece->key);
			if (value.kind == POLICY_VALUE_MISSING)
				return POLICY_FORMAT_KEY_MISSING;
		}
		if (piece->fault)
			fault = piece->fault;
		else if (piece->type == '%')
			text_append(text, "%");
		else
			fault = convert(piece, piece->key ? &value : NULL, target, text);
		if (fault) {
			*ret_fault = fault;
			return POLICY_FORMAT_RAISED;
		}
	}
	if (text_failed(text)) {
		*ret_fault = "out of memory";
		return POLICY_FORMAT_RAISED;
	}
	return POLICY_FORMATTED;
}
