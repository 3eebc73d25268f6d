/* The left side of a check, `L` of `L:R`: oslo.policy gives it to Python's ast.literal_eval, so that `True`, `5` or
 * `'Member'` are compared themselves, `a.b` and `a-b` are looked up in the creds, and what Python cannot read raises.
 *
 * The difficulty is the third: to tell an expression from nonsense one must know Python's expressions. This reader knows
 * those that have no colon (a rule's left side has none) but for comprehensions, starred items, bytes and complex
 * numbers; what it does not know it calls a fault. A fault raises, and what raises never grants. */
#include <string.h>

#include "api/auth/policy_literal.h"
#include "api/auth/policy_tree.h"
#include "base/cleanup.h"

#define NESTING_MAX 64

/* Operators from the loosest to the tightest; a word's operator is a whole word. Longer ones stand first,
 * and tighter ones have taken theirs already: what is left of << is no comparison. */
struct level {
	bool is_prefix_not;
	const char *words[4];
	const char *marks[6];
};

static const struct level levels[] = {
	{ .words = { "or" } },     { .words = { "and" } },
	{ .is_prefix_not = true }, { .words = { "in", "is" }, .marks = { "==", "!=", "<=", ">=", "<", ">" } },
	{ .marks = { "|" } },      { .marks = { "^" } },
	{ .marks = { "&" } },      { .marks = { "<<", ">>" } },
	{ .marks = { "+", "-" } }, { .marks = { "//", "*", "/", "%", "@" } },
};

#define LEVEL_COMPARISON 3
#define LEVEL_UNARY      ((unsigned int)ARRAY_LENGTH(levels)) /* tighter than all of them */

static bool read_expression(struct literal_reader *reader, struct literal_operand *operand);
static bool read_level(struct literal_reader *reader, unsigned int level, struct literal_operand *operand);

static bool is_word(const char *place, size_t length, const char *word)
{
	return strlen(word) == length && strncmp(place, word, length) == 0;
}

static bool is_keyword(const char *place, size_t length)
{
	static const char *const keywords[] = {
		"and",  "as",     "assert", "async",  "await",  "break",   "class",    "continue", "def",
		"del",  "elif",   "else",   "except", "False",  "finally", "for",      "from",     "global",
		"if",   "import", "in",     "is",     "lambda", "None",    "nonlocal", "not",      "or",
		"pass", "raise",  "return", "True",   "try",    "while",   "with",     "yield",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(keywords); i++)
		if (is_word(place, length, keywords[i]))
			return true;
	return false;
}

/* Takes `word` when it stands here as a whole word. */
static bool take_word(struct literal_reader *reader, const char *word)
{
	literal_skip_blanks(reader);

	size_t length = literal_identifier_length(reader->place);

	if (!is_word(reader->place, length, word))
		return false;
	reader->place += length;
	return true;
}

static bool take_character(struct literal_reader *reader, char character)
{
	literal_skip_blanks(reader);
	if (*reader->place != character)
		return false;
	reader->place += character != '\0';
	return true;
}

/* The items of a tuple, list or set, or what stands in brackets. */
struct items {
	struct text printed;
	enum literal_kind kind; /* NO_LITERAL when one of them is none, LIST when one holds a list, else TUPLE */
	size_t count;
	bool has_comma; /* behind the last */
	struct literal_operand first;
};

#define ITEMS_EMPTY                                                                                                    \
	((struct items){ .printed = TEXT_EMPTY, .kind = LITERAL_KIND_TUPLE, .first = LITERAL_OPERAND_EMPTY })
#define CLEANUP_ITEMS __attribute__((cleanup(items_clear)))

static void items_clear(struct items *items)
{
	text_clear(&items->printed);
	literal_operand_clear(&items->first);
}

/* Up to `closing`, which is taken. */
static bool read_items(struct literal_reader *reader, char closing, struct items *items)
{
	while (!take_character(reader, closing)) {
		CLEANUP_LITERAL_OPERAND struct literal_operand item = LITERAL_OPERAND_EMPTY;

		if (items->count > 0 && !items->has_comma)
			return literal_fail(reader, "a comma is missing");
		if (!read_expression(reader, &item))
			return false;
		if (item.kind == LITERAL_KIND_NO_LITERAL)
			items->kind = LITERAL_KIND_NO_LITERAL;
		else if (item.kind == LITERAL_KIND_LIST && items->kind == LITERAL_KIND_TUPLE)
			items->kind = LITERAL_KIND_LIST;
		text_append(&items->printed, items->count > 0 ? ", " : "");
		text_append_bytes(&items->printed, item.printed.data, item.printed.length);
		if (items->count++ == 0) {
			items->first = item;
			item = LITERAL_OPERAND_EMPTY;
		}
		items->has_comma = take_character(reader, ',');
	}
	return true;
}

static bool read_bracketed(struct literal_reader *reader, struct literal_operand *operand)
{
	CLEANUP_ITEMS struct items items = ITEMS_EMPTY;
	char opening = *reader->place++;
	char closing = opening == '(' ? ')' : opening == '[' ? ']' : '}';

	if (!read_items(reader, closing, &items))
		return false;
	if (opening == '(' && items.count == 1 && !items.has_comma) {
		/* Brackets around one expression are only that. */
		literal_operand_clear(operand);
		*operand = items.first;
		items.first = LITERAL_OPERAND_EMPTY;
		return true;
	}
	if (opening == '{' && (items.count > 1 || items.kind == LITERAL_KIND_LIST))
		return literal_fail(reader, "a set of several items");
	literal_operand_become(operand, items.kind == LITERAL_KIND_NO_LITERAL || opening == '(' ? items.kind
												: LITERAL_KIND_LIST);
	if (items.kind == LITERAL_KIND_NO_LITERAL)
		return true;
	text_append_format(&operand->printed, "%c%s%s%c", opening, items.printed.data ? items.printed.data : "",
			   opening == '(' && items.count == 1 ? "," : "", closing);
	return true;
}

static bool read_name(struct literal_reader *reader, struct literal_operand *operand)
{
	static const char *const constants[] = { "True", "False", "None" };
	size_t length = literal_identifier_length(reader->place);

	for (size_t i = 0; i < ARRAY_LENGTH(constants); i++) {
		if (!is_word(reader->place, length, constants[i]))
			continue;
		literal_operand_become(operand, LITERAL_KIND_CONSTANT);
		text_append(&operand->printed, constants[i]);
		reader->place += length;
		return true;
	}
	if (is_keyword(reader->place, length))
		return literal_fail(reader, "a word that Python keeps for itself");
	if (is_word(reader->place, length, "set") && reader->place[length] == '(')
		return literal_fail(reader, "a call of set");
	reader->place += length;
	literal_operand_become(operand, LITERAL_KIND_NO_LITERAL);
	return true;
}

static bool read_atom(struct literal_reader *reader, struct literal_operand *operand)
{
	char character = *reader->place;

	if (strncmp(reader->place, "...", 3) == 0) {
		literal_operand_become(operand, LITERAL_KIND_CONSTANT);
		text_append(&operand->printed, "Ellipsis");
		reader->place += 3;
		return true;
	}
	if (literal_is_text(reader->place))
		return literal_read_texts(reader, operand);
	if ((character >= '0' && character <= '9')
	    || (character == '.' && reader->place[1] >= '0' && reader->place[1] <= '9'))
		return literal_read_number(reader, operand);
	if (character == '(' || character == '[' || character == '{')
		return read_bracketed(reader, operand);
	if (literal_identifier_length(reader->place) > 0)
		return read_name(reader, operand);
	return literal_fail(reader, "no Python expression");
}

/* An atom and what hangs on it: .name, (arguments), [subscript]; up to what is none of these and no blank. */
static bool read_primary(struct literal_reader *reader, struct literal_operand *operand)
{
	if (!read_atom(reader, operand))
		return false;
	for (;;) {
		CLEANUP_ITEMS struct items items = ITEMS_EMPTY;

		literal_skip_blanks(reader);
		if (*reader->place == '.') {
			reader->place++;
			literal_skip_blanks(reader);

			size_t length = literal_identifier_length(reader->place);

			if (length == 0 || is_keyword(reader->place, length))
				return literal_fail(reader, "a dot without a name");
			reader->place += length;
		} else if (take_character(reader, '(')) {
			if (!read_items(reader, ')', &items))
				return false;
		} else if (take_character(reader, '[')) {
			if (!read_items(reader, ']', &items))
				return false;
			if (items.count == 0)
				return literal_fail(reader, "an empty subscript");
		} else {
			return true;
		}
		literal_operand_become(operand, LITERAL_KIND_NO_LITERAL);
	}
}

static bool read_power(struct literal_reader *reader, struct literal_operand *operand)
{
	CLEANUP_LITERAL_OPERAND struct literal_operand right = LITERAL_OPERAND_EMPTY;

	if (!read_primary(reader, operand))
		return false;
	if (strncmp(reader->place, "**", 2) != 0)
		return true;
	reader->place += 2;
	if (!read_level(reader, LEVEL_UNARY, &right))
		return false;
	literal_operand_become(operand, LITERAL_KIND_NO_LITERAL);
	return true;
}

static bool read_unary(struct literal_reader *reader, struct literal_operand *operand)
{
	literal_skip_blanks(reader);

	char sign = *reader->place;

	if (sign == '\0' || !strchr("+-~", sign))
		return read_power(reader, operand);
	reader->place++;
	if (!read_level(reader, LEVEL_UNARY, operand))
		return false;
	if (operand->kind != LITERAL_KIND_NUMBER || operand->is_signed || sign == '~') {
		literal_operand_become(operand, LITERAL_KIND_NO_LITERAL);
		return true;
	}
	operand->is_signed = true;
	if (sign == '-' && strcmp(operand->printed.data ? operand->printed.data : "", "0") != 0) {
		CLEANUP_TEXT struct text negative = TEXT_EMPTY;

		text_append_format(&negative, "-%s", operand->printed.data);
		text_clear(&operand->printed);
		operand->printed = negative;
		negative = TEXT_EMPTY;
	}
	return true;
}

static bool take_operator(struct literal_reader *reader, unsigned int level)
{
	for (size_t i = 0; i < ARRAY_LENGTH(levels[level].words) && levels[level].words[i]; i++)
		if (take_word(reader, levels[level].words[i])) {
			if (strcmp(levels[level].words[i], "is") == 0)
				take_word(reader, "not");
			return true;
		}
	if (level == LEVEL_COMPARISON && take_word(reader, "not"))
		return take_word(reader, "in") || literal_fail(reader, "a not out of place");
	for (size_t i = 0; i < ARRAY_LENGTH(levels[level].marks) && levels[level].marks[i]; i++) {
		const char *mark = levels[level].marks[i];
		size_t length = strlen(mark);

		if (strncmp(reader->place, mark, length) != 0)
			continue;
		reader->place += length;
		return true;
	}
	return false;
}

static bool read_level(struct literal_reader *reader, unsigned int level, struct literal_operand *operand)
{
	if (level >= ARRAY_LENGTH(levels)) {
		if (++reader->nesting > NESTING_MAX)
			return literal_fail(reader, "nested too deep");

		bool is_read = read_unary(reader, operand);

		reader->nesting--;
		return is_read;
	}
	if (levels[level].is_prefix_not && take_word(reader, "not")) {
		if (++reader->nesting > NESTING_MAX)
			return literal_fail(reader, "nested too deep");
		if (!read_level(reader, level, operand))
			return false;
		reader->nesting--;
		literal_operand_become(operand, LITERAL_KIND_NO_LITERAL);
		return true;
	}
	if (!read_level(reader, level + 1, operand))
		return false;
	while (take_operator(reader, level)) {
		CLEANUP_LITERAL_OPERAND struct literal_operand right = LITERAL_OPERAND_EMPTY;

		if (!read_level(reader, level + 1, &right))
			return false;
		literal_operand_become(operand, LITERAL_KIND_NO_LITERAL);
	}
	return !reader->fault;
}

/* `x if c else y` */
static bool read_expression(struct literal_reader *reader, struct literal_operand *operand)
{
	CLEANUP_LITERAL_OPERAND struct literal_operand other = LITERAL_OPERAND_EMPTY;

	if (++reader->nesting > NESTING_MAX)
		return literal_fail(reader, "nested too deep");
	if (!read_level(reader, 0, operand))
		return false;
	if (take_word(reader, "if")) {
		if (!read_level(reader, 0, &other))
			return false;
		if (!take_word(reader, "else"))
			return literal_fail(reader, "an if without its else");
		if (!read_expression(reader, &other))
			return false;
		literal_operand_become(operand, LITERAL_KIND_NO_LITERAL);
	}
	reader->nesting--;
	return true;
}

/* Expressions with commas between them are a tuple, also without brackets. */
static bool read_all(struct literal_reader *reader, struct literal_operand *operand)
{
	CLEANUP_ITEMS struct items items = ITEMS_EMPTY;

	if (!read_items(reader, '\0', &items))
		return false;
	if (items.count == 0)
		return literal_fail(reader, "nothing before the colon");
	if (items.count == 1 && !items.has_comma) {
		*operand = items.first;
		items.first = LITERAL_OPERAND_EMPTY;
		return true;
	}
	literal_operand_become(operand, items.kind);
	if (items.kind != LITERAL_KIND_NO_LITERAL)
		text_append_format(&operand->printed, "(%s%s)", items.printed.data, items.count == 1 ? "," : "");
	return true;
}

enum policy_literal policy_literal_read(const char *source, struct text *text, const char **ret_fault)
{
	CLEANUP_LITERAL_OPERAND struct literal_operand operand = LITERAL_OPERAND_EMPTY;
	struct literal_reader reader = { .place = source };

	if (!read_all(&reader, &operand)) {
		*ret_fault = reader.fault ? reader.fault : "no Python expression";
		return POLICY_LITERAL_FAULT;
	}
	if (operand.kind == LITERAL_KIND_NO_LITERAL)
		return POLICY_LITERAL_NONE;

	struct text *result = operand.kind == LITERAL_KIND_TEXT ? &operand.string : &operand.printed;

	if (text_failed(result)) {
		*ret_fault = "out of memory";
		return POLICY_LITERAL_FAULT;
	}
	text_append_bytes(text, result->data ? result->data : "", result->length);
	return POLICY_LITERAL_READ;
}
