/* Inside the reader of literals: what its two files share. policy_literal.c knows the operators and brackets of Python's
 * expressions, policy_literal_atom.c its numbers and texts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

enum literal_kind {
	LITERAL_KIND_NO_LITERAL, /* a name, a call, an operation */
	LITERAL_KIND_NUMBER,
	LITERAL_KIND_TEXT,
	LITERAL_KIND_CONSTANT, /* True, None, ... */
	LITERAL_KIND_LIST, /* of literals; not hashable */
	LITERAL_KIND_TUPLE,
};

/* A read expression: `printed` is its repr(), `string` the content of a text. */
struct literal_operand {
	enum literal_kind kind;
	bool is_signed; /* a number with + or -: takes no second one */
	struct text printed;
	struct text string;
};

#define LITERAL_OPERAND_EMPTY   ((struct literal_operand){ .printed = TEXT_EMPTY, .string = TEXT_EMPTY })
#define CLEANUP_LITERAL_OPERAND __attribute__((cleanup(literal_operand_clear)))

struct literal_reader {
	const char *place;
	const char *fault;
	unsigned int nesting;
};

void literal_operand_clear(struct literal_operand *operand);
/* Forgets what it was. */
void literal_operand_become(struct literal_operand *operand, enum literal_kind kind);

/* Notes the first fault; returns false. */
bool literal_fail(struct literal_reader *reader, const char *fault);
/* Blanks, and a comment up to the end. */
void literal_skip_blanks(struct literal_reader *reader);
/* Bytes of the identifier at `place`, 0 for none. */
size_t literal_identifier_length(const char *place);
/* A number begins with a digit, or a dot and a digit. */
bool literal_read_number(struct literal_reader *reader, struct literal_operand *operand);
/* True when a text begins here, with or without a prefix. */
bool literal_is_text(const char *place);
/* One text or several in a row, which are one. */
bool literal_read_texts(struct literal_reader *reader, struct literal_operand *operand);
