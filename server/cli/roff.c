/* Roff, in the man macros, of which groff and mandoc agree on these. */
#include "server/cli/roff.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define LINE_MAX_BYTES 78

/* A character beyond ASCII by its number; the length of its bytes. */
static size_t append_character(const unsigned char *bytes, struct text *text)
{
	size_t length = bytes[0] >= 0xF0 ? 4 : bytes[0] >= 0xE0 ? 3 : 2;
	unsigned int number = bytes[0] & (0xFFU >> (length + 1));

	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xC0) != 0x80)
			return 1; /* no UTF-8: left out */
		number = number << 6 | (bytes[i] & 0x3FU);
	}
	text_append_format(text, "\\[u%04X]", number);
	return length;
}

void roff_append(const char *words, struct text *text)
{
	static const struct {
		char character;
		const char *escape;
	} escapes[] = {
		{ '\\', "\\(rs" }, { '-', "\\-" },   { '\'', "\\(aq" }, { '`', "\\(ga" },
		{ '^', "\\(ha" },  { '~', "\\(ti" }, { '"', "\\(dq" },  { '\n', " " },
	};

	while (*words) {
		const char *escape = NULL;

		if ((unsigned char)*words >= 0x80) {
			words += append_character((const unsigned char *)words, text);
			continue;
		}
		for (size_t i = 0; i < ARRAY_LENGTH(escapes); i++)
			if (escapes[i].character == *words)
				escape = escapes[i].escape;
		if (escape)
			text_append(text, escape);
		else
			text_append_bytes(text, words, 1);
		if (*words == ',' && words[1] && words[1] != ' ')
			text_append(text, "\\:"); /* a list without spaces may go on in the next line */
		words++;
	}
}

void roff_macro(const char *macro, const char *words, struct text *text)
{
	text_append_format(text, ".%s \"", macro);
	roff_append(words, text);
	text_append(text, "\"\n");
}

/* A dot at a line's head is a request; the escapes above leave no apostrophe. */
static void guard(const char *escaped, struct text *text)
{
	if (*escaped == '.')
		text_append(text, "\\&");
}

void roff_paragraph(const char *words, struct text *text)
{
	CLEANUP_TEXT struct text escaped = TEXT_EMPTY;
	size_t column = 0;

	roff_append(words, &escaped);
	text->failed = text->failed || text_failed(&escaped);
	for (const char *word = escaped.data ? escaped.data : ""; *word;) {
		size_t length = strcspn(word, " ");
		/* Roff puts two spaces behind a sentence that ends a line; a new one begins a line anyway. */
		bool is_after_sentence = column > 0 && text->data[text->length - 1] == '.';

		if (length > 0) {
			if (column > 0 && (is_after_sentence || column + 1 + length > LINE_MAX_BYTES)) {
				text_append(text, "\n");
				column = 0;
			} else if (column > 0) {
				text_append(text, " ");
				column++;
			}
			if (column == 0)
				guard(word, text);
			text_append_bytes(text, word, length);
			column += length;
		}
		word += length;
		word += *word == ' ';
	}
	if (column > 0)
		text_append(text, "\n");
}

/* A line that is longer than lines of a source may be goes on behind a backslash. */
void roff_verbatim(const char *line, struct text *text)
{
	CLEANUP_TEXT struct text escaped = TEXT_EMPTY;
	size_t column = 0;

	roff_append(line, &escaped);
	text->failed = text->failed || text_failed(&escaped);
	for (const char *word = escaped.data ? escaped.data : ""; *word;) {
		size_t length = strcspn(word, " ");

		length += word[length] == ' ';
		if (column > 0 && column + length > LINE_MAX_BYTES - 2) {
			text_append(text, "\\\n");
			column = 0;
		}
		if (column == 0)
			guard(word, text);
		text_append_bytes(text, word, length);
		column += length;
		word += length;
	}
	text_append(text, "\n");
}

void roff_entry(const char *name, const char *value, const char *meaning, struct text *text)
{
	text_append(text, ".TP\n\\fB");
	roff_append(name, text);
	text_append(text, "\\fR");
	if (value) {
		text_append(text, " \\fI");
		roff_append(value, text);
		text_append(text, "\\fR");
	}
	text_append(text, "\n");
	roff_paragraph(meaning, text);
}
