/* The words behind a verb, read by its rows; and which verb the words name. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/cli/verb.h"

int verb_refuse(const char *path, const char *format, ...)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	va_list arguments;

	va_start(arguments, format);
	text_append_format_list(&text, format, arguments);
	va_end(arguments);
	fprintf(stderr, "migrationd %s: %s; see migrationd %s --help\n", path, text.data ? text.data : "", path);
	return EXIT_USAGE;
}

static bool is_among(const char *const *words, const char *value)
{
	for (; *words; words++)
		if (text_equal(*words, value))
			return true;
	return false;
}

static int refuse_value(const struct verb_argument *row, const char *path, const char *value)
{
	CLEANUP_TEXT struct text good = TEXT_EMPTY;

	if (row->type == VERB_NUMBER)
		text_append_format(&good, "a whole number from %" PRId64 " to %" PRId64, row->low, row->high);
	for (const char *const *word = row->words; word && *word; word++)
		text_append_format(&good, "%s%s", word == row->words ? "" : word[1] ? ", " : " or ", *word);
	verb_refuse(path, "%s%s takes %s, not \"%s\"", row->name ? "--" : "", row->name ? row->name : row->value,
		    good.data ? good.data : "", value);
	return -EINVAL;
}

/* A value into its place; the list says when it is full. */
static int take_value(const struct verb_argument *row, const char *path, const char *value, void *arguments)
{
	char *place = (char *)arguments + row->offset;
	struct verb_list *list;
	int64_t number;

	if (row->words && !is_among(row->words, value))
		return refuse_value(row, path, value);
	switch (row->type) {
	case VERB_TEXT:
		memcpy(place, &value, sizeof(value));
		return 0;
	case VERB_TEXTS:
		list = (struct verb_list *)(void *)place;
		if (list->count == row->values_max) {
			verb_refuse(path, "%s%s is given too often", row->name ? "--" : "",
				    row->name ? row->name : row->value);
			return -EINVAL;
		}
		list->items[list->count++] = value;
		return 0;
	case VERB_NUMBER:
		if (!text_to_int64(value, row->low, row->high, &number))
			return refuse_value(row, path, value);
		memcpy(place, &number, sizeof(number));
		return 0;
	case VERB_SWITCH:
		memcpy(place, &(bool){ true }, sizeof(bool));
		return 0;
	}
	return 0;
}

/* The option that a word names, with the value that stands in the word itself (NULL: none does). */
static const struct verb_argument *find_option(const struct verb *verb, const char *word, const char **ret_value)
{
	if (!text_starts_with(word, "--"))
		return NULL;
	for (size_t i = 0; i < verb->options.count; i++) {
		const struct verb_argument *option = &verb->options.items[i];
		size_t length = strlen(option->name);

		if (strncmp(word + 2, option->name, length) != 0)
			continue;
		if (word[2 + length] != '\0' && word[2 + length] != '=')
			continue;
		*ret_value = word[2 + length] == '=' ? word + 3 + length : NULL;
		return option;
	}
	return NULL;
}

static bool is_given(const struct verb_argument *row, const void *arguments)
{
	const char *place = (const char *)arguments + row->offset;
	const char *text;

	if (row->type == VERB_TEXTS)
		return ((const struct verb_list *)(const void *)place)->count > 0;
	if (row->type != VERB_TEXT)
		return true;
	memcpy(&text, place, sizeof(text));
	return text != NULL;
}

static int demand(const struct verb_arguments *rows, const char *path, const void *arguments)
{
	for (size_t i = 0; i < rows->count; i++) {
		const struct verb_argument *row = &rows->items[i];

		if (!row->is_required || is_given(row, arguments))
			continue;
		verb_refuse(path, "%s%s is needed: %s", row->name ? "--" : "", row->name ? row->name : row->value,
			    row->meaning);
		return -EINVAL;
	}
	return 0;
}

/* Lists have theirs where they are used, since what is given comes in its stead. */
static void set_defaults(const struct verb_arguments *rows, void *arguments)
{
	for (size_t i = 0; i < rows->count; i++)
		if (rows->items[i].by_default && rows->items[i].type != VERB_TEXTS)
			take_value(&rows->items[i], "", rows->items[i].by_default, arguments);
}

/* One option with its value. */
static int take_option(const struct verb *verb, const char *path, char ***words, void *arguments)
{
	const char *word = **words, *value = NULL;
	const struct verb_argument *option = find_option(verb, word, &value);

	if (!option)
		verb_refuse(path, "%s is not known here", word);
	else if (option->type == VERB_SWITCH && value)
		verb_refuse(path, "%s takes no value", word);
	else if (option->type == VERB_SWITCH || value)
		return take_value(option, path, value ? value : "", arguments);
	else if (!(*words)[1])
		verb_refuse(path, "%s needs a value", word);
	else
		return take_value(option, path, *++*words, arguments);
	return -EINVAL;
}

int verb_read(const struct verb *verb, const char *path, char **words, void *ret_arguments)
{
	const struct verb_argument *operand = verb->operands.items;
	const struct verb_argument *operands_end = operand + verb->operands.count;
	bool has_options = true;
	int result = 0;

	set_defaults(&verb->options, ret_arguments);
	for (; *words && result == 0; words++) {
		if (has_options && text_equal(*words, "--")) {
			has_options = false;
		} else if (has_options && **words == '-') {
			result = take_option(verb, path, &words, ret_arguments);
		} else if (operand == operands_end) {
			verb_refuse(path, "%s is not known here", *words);
			result = -EINVAL;
		} else {
			result = take_value(operand, path, *words, ret_arguments);
			operand += operand->type != VERB_TEXTS;
		}
	}
	if (result == 0)
		result = demand(&verb->operands, path, ret_arguments);
	return result < 0 ? result : demand(&verb->options, path, ret_arguments);
}

static bool is_help(const char *word)
{
	return text_equal(word, "--help") || text_equal(word, "-h");
}

static int print(const struct text *text, FILE *stream)
{
	if (text_failed(text) || fputs(text->data ? text->data : "", stream) < 0 || fflush(stream) != 0)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

static const struct verb *find_verb(const struct verb *const *verbs, const char *name)
{
	for (; verbs && *verbs; verbs++)
		if (text_equal((*verbs)->name, name))
			return *verbs;
	return NULL;
}

static int run(const struct verb *verb, const char *path, char **words)
{
	CLEANUP_TEXT struct text help = TEXT_EMPTY;

	for (char **word = words; *word && !text_equal(*word, "--"); word++)
		if (is_help(*word)) {
			verb_help(verb, path, &help);
			return print(&help, stdout);
		}
	if (verb->verbs) {
		verb_synopsis(verb, path, &help);
		fputs(help.data ? help.data : "", stderr);
		return *words ? verb_refuse(path, "there is no %s", *words) : EXIT_USAGE;
	}

	CLEANUP_FREE void *arguments = calloc(1, verb->arguments_size + 1);
	if (!arguments)
		return EXIT_FAILURE;
	return verb_read(verb, path, words, arguments) < 0 ? EXIT_USAGE : verb->run(arguments);
}

int verb_run(const struct verb *const *verbs, char **words)
{
	CLEANUP_TEXT struct text help = TEXT_EMPTY;
	const struct verb *verb = *words ? find_verb(verbs, *words) : NULL;

	if (!verb) {
		verb_help_all(verbs, &help);
		if (*words && (is_help(*words) || text_equal(*words, "help")))
			return print(&help, stdout);
		if (*words)
			fprintf(stderr, "migrationd: no verb %s\n", *words);
		print(&help, stderr);
		return EXIT_USAGE;
	}

	const struct verb *inner = words[1] ? find_verb(verb->verbs, words[1]) : NULL;
	if (!inner)
		return run(verb, verb->name, words + 1);
	CLEANUP_FREE char *path = text_format("%s %s", verb->name, inner->name);
	return path ? run(inner, path, words + 2) : EXIT_FAILURE;
}
