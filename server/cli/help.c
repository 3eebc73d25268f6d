/* `--help`: the rows of verbs as text for a terminal. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/cli/verb.h"

#define WIDTH      100 /* of a line */
#define INDENT     26 /* of what stands beside a name */
#define HARD_SPACE '\x1f' /* at which no line ends */

/* Characters, each of which takes one place. */
static size_t columns_of(const char *words, size_t length)
{
	size_t columns = 0;

	for (size_t i = 0; i < length; i++)
		columns += ((unsigned char)words[i] & 0xC0) != 0x80;
	return columns;
}

/* Words in lines; the first begins at `column`, the others at `indent`. */
static void wrap(struct text *text, size_t column, size_t indent, const char *words)
{
	bool is_first = true;

	while (*words) {
		size_t length = strcspn(words, " "), width = columns_of(words, length);

		if (!is_first && column + 1 + width > WIDTH) {
			text_append_format(text, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!is_first) {
			text_append(text, " ");
			column++;
		}
		for (size_t i = 0; i < length; i++)
			text_append_bytes(text, words[i] == HARD_SPACE ? " " : &words[i], 1);
		column += width;
		words += length;
		words += *words == ' ';
		is_first = false;
	}
	text_append(text, "\n");
}

/* A name and, beside it or below it, what it means. */
static void entry(struct text *text, const char *name, const char *meaning)
{
	size_t length = columns_of(name, strlen(name)) + 2;

	text_append_format(text, "  %s", name);
	if (length + 2 > INDENT) {
		text_append(text, "\n");
		length = 0;
	}
	text_append_format(text, "%*s", (int)(INDENT - length), "");
	wrap(text, INDENT, INDENT, meaning);
}

static void append_argument(const struct verb_argument *row, struct text *text)
{
	const char *more = row->type == VERB_TEXTS ? "…" : "";

	text_append(text, row->is_required ? " " : " [");
	if (row->name)
		text_append_format(text, "--%s%s", row->name, row->value ? "\x1f" : "");
	text_append_format(text, "%s%s%s", row->value ? row->value : "", more, row->is_required ? "" : "]");
}

static void append_call(const struct verb *verb, const char *path, struct text *text)
{
	CLEANUP_TEXT struct text call = TEXT_EMPTY;

	text_append_format(&call, "migrationd %s", path);
	for (size_t i = 0; i < verb->operands.count; i++)
		append_argument(&verb->operands.items[i], &call);
	for (size_t i = 0; i < verb->options.count; i++)
		append_argument(&verb->options.items[i], &call);
	text->failed = text->failed || text_failed(&call);
	wrap(text, strlen("usage: "), strlen("usage: ") + 4, call.data ? call.data : "");
}

void verb_synopsis(const struct verb *verb, const char *path, struct text *text)
{
	text_append(text, "usage: ");
	if (!verb->verbs) {
		append_call(verb, path, text);
		return;
	}
	for (const struct verb *const *inner = verb->verbs; *inner; inner++) {
		CLEANUP_TEXT struct text whole = TEXT_EMPTY;

		if (inner > verb->verbs)
			text_append(text, "       ");
		text_append_format(&whole, "%s %s", path, (*inner)->name);
		append_call(*inner, whole.data ? whole.data : "", text);
		text->failed = text->failed || text_failed(&whole);
	}
}

void verb_help_all(const struct verb *const *verbs, struct text *text)
{
	text_append(text, "usage: migrationd VERB …\n\n");
	for (; *verbs; verbs++) {
		CLEANUP_TEXT struct text name = TEXT_EMPTY;

		text_append(&name, (*verbs)->name);
		for (const struct verb *const *inner = (*verbs)->verbs; inner && *inner; inner++)
			text_append_format(&name, "%s%s", inner == (*verbs)->verbs ? " " : "|", (*inner)->name);
		entry(text, name.data ? name.data : "", (*verbs)->summary);
		text->failed = text->failed || text_failed(&name);
	}
	text_append(text, "\nExit status:\n");
	for (size_t i = 0; i < verb_exit_count; i++) {
		CLEANUP_FREE char *status = text_format("%d", verb_exits[i].status);

		entry(text, status ? status : "", verb_exits[i].meaning);
	}
	text_append(text, "\nmigrationd VERB --help tells more of each, migrationd(8) all.\n");
}

void verb_argument_meaning(const struct verb_argument *row, struct text *text)
{
	text_append(text, row->meaning);
	for (const char *const *word = row->words; word && *word; word++)
		text_append_format(text, "%s%s", word == row->words ? ": " : ", ", *word);
	if (row->type == VERB_NUMBER)
		text_append_format(text, " (%" PRId64 " to %" PRId64 ")", row->low, row->high);
	if (row->by_default)
		text_append_format(text, " (default %s)", row->by_default);
}

static void append_rows(const struct verb_arguments *rows, struct text *text)
{
	for (size_t i = 0; i < rows->count; i++) {
		const struct verb_argument *row = &rows->items[i];
		CLEANUP_TEXT struct text name = TEXT_EMPTY;
		CLEANUP_TEXT struct text meaning = TEXT_EMPTY;

		text_append_format(&name, "%s%s%s%s%s", row->name ? "--" : "", row->name ? row->name : "",
				   row->name && row->value ? " " : "", row->value ? row->value : "",
				   row->type == VERB_TEXTS ? "…" : "");
		verb_argument_meaning(row, &meaning);
		entry(text, name.data ? name.data : "", meaning.data ? meaning.data : "");
		text->failed = text->failed || text_failed(&name) || text_failed(&meaning);
	}
}

static void append_examples(const struct verb_example *examples, struct text *text)
{
	if (examples)
		text_append(text, "\nExamples:\n");
	for (; examples && examples->command; examples++)
		text_append_format(text, "  %s\n      %s\n", examples->command, examples->meaning);
}

/* A verb, or one of those behind it. */
static void append_one(const struct verb *verb, struct text *text)
{
	wrap(text, 0, 0, verb->summary);
	for (const char *const *paragraph = verb->description; paragraph && *paragraph; paragraph++) {
		text_append(text, "\n");
		wrap(text, 0, 0, *paragraph);
	}
	if (verb->operands.count + verb->options.count > 0)
		text_append(text, "\n");
	append_rows(&verb->operands, text);
	append_rows(&verb->options, text);
	append_examples(verb->examples, text);
}

void verb_help(const struct verb *verb, const char *path, struct text *text)
{
	verb_synopsis(verb, path, text);
	text_append(text, "\n");
	append_one(verb, text);
	for (const struct verb *const *inner = verb->verbs; inner && *inner; inner++) {
		text_append_format(text, "\nmigrationd %s %s\n", path, (*inner)->name);
		append_one(*inner, text);
	}
}
