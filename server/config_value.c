/* One value of the configuration, read by its type into its place. Each type is a row: what the file should have there, in
 * words, and the function that reads it. Numbers and booleans may stand in quotes, as templates like to write them. */
#include "server/config_table.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

/* What a reading function is given. */
struct value {
	struct config_reader *reader;
	const struct config_key *key;
	const struct tree_node *node;
	const struct config_place *place;
	void *base; /* of the struct that the target is in */
	void *target;
};

static void put(const struct value *value, const void *bytes, size_t size)
{
	memcpy(value->target, bytes, size);
}

/* "expected …, found …". */
static void mistyped(const struct value *value, const char *expected)
{
	const struct tree_node *node = value->node;

	if (node->kind != TREE_TEXT)
		config_problem(value->reader, node->mark, value->place, "expected %s, found a %s", expected,
			       node->kind == TREE_LIST ? "list" : "mapping");
	else if (tree_is_null(node))
		config_problem(value->reader, node->mark, value->place, "expected %s, found nothing", expected);
	else if (value->key->is_secret)
		config_problem(value->reader, node->mark, value->place, "expected %s", expected);
	else
		config_problem(value->reader, node->mark, value->place, "expected %s, found \"%.100s\"", expected,
			       node->text);
}

static void read_text(const struct value *value)
{
	const char *expected = NULL;

	if (value->node->kind != TREE_TEXT || value->node->text[0] == '\0') {
		mistyped(value, "a text");
		return;
	}
	if (value->key->expected)
		expected = value->key->expected(value->node->text);
	if (expected)
		mistyped(value, expected);
	else
		put(value, &value->node->text, sizeof(value->node->text));
}

const char *config_resolve_path(struct config_reader *reader, const char *file, const char *path)
{
	const char *slash = file ? strrchr(file, '/') : NULL;
	CLEANUP_FREE char *joined = NULL;
	const char *copy;

	if (path[0] == '/' || !slash)
		return path;
	joined = text_format("%.*s/%s", (int)(slash - file), file, path);
	copy = joined ? yaml_tree_copy(reader->tree, joined) : NULL;
	if (!copy)
		config_out_of_memory(reader);
	return copy;
}

static const char *read_path_text(const struct value *value)
{
	if (value->node->kind != TREE_TEXT || value->node->text[0] == '\0') {
		mistyped(value, "a path");
		return NULL;
	}
	return config_resolve_path(value->reader, value->node->mark.file, value->node->text);
}

static void read_path(const struct value *value)
{
	const char *path = read_path_text(value);

	if (path)
		put(value, &path, sizeof(path));
}

static void read_file(const struct value *value)
{
	const char *path = read_path_text(value);

	if (!path)
		return;
	config_note_file(value->reader, path);
	if (access(path, R_OK) < 0)
		config_problem(value->reader, value->node->mark, value->place, "cannot read %.300s: %s", path,
			       strerror(errno));
	put(value, &path, sizeof(path)); /* it was given: what goes with it is not missed */
}

static void read_boolean(const struct value *value)
{
	static const struct config_choice words[] = {
		{ "true", 1 }, { "yes", 1 }, { "on", 1 }, { "false", 0 }, { "no", 0 }, { "off", 0 }, { NULL, 0 },
	};

	for (size_t i = 0; value->node->kind == TREE_TEXT && words[i].word; i++)
		if (strcasecmp(words[i].word, value->node->text) == 0) {
			bool is_set = (words[i].number != 0) != value->key->is_inverted;

			put(value, &is_set, sizeof(is_set));
			return;
		}
	mistyped(value, "true or false");
}

static bool parse_integer(const struct value *value, int64_t *ret_number)
{
	char expected[120];

	if (value->node->kind == TREE_TEXT
	    && text_to_int64(value->node->text, (int64_t)value->key->low, (int64_t)value->key->high, ret_number))
		return true;
	snprintf(expected, sizeof(expected), "a whole number from %.0f to %.0f", value->key->low, value->key->high);
	mistyped(value, expected);
	return false;
}

static void read_integer(const struct value *value)
{
	int64_t number;

	if (parse_integer(value, &number))
		put(value, &number, sizeof(number));
}

static void read_size(const struct value *value)
{
	int64_t number;
	size_t size;

	if (!parse_integer(value, &number))
		return;
	size = (size_t)number;
	put(value, &size, sizeof(size));
}

static void read_decimal(const struct value *value)
{
	const char *text = value->node->kind == TREE_TEXT ? value->node->text : "";
	char expected[120];
	char *end = NULL;
	double number = strtod(text, &end);

	/* strtod would also take blanks, hexadecimal, infinity and NaN. */
	if (text[0] != '\0' && *end == '\0' && text[strspn(text, "+-.0123456789eE")] == '\0' && isfinite(number)
	    && number >= value->key->low && number <= value->key->high) {
		put(value, &number, sizeof(number));
		return;
	}
	snprintf(expected, sizeof(expected), "a number from %g to %g", value->key->low, value->key->high);
	mistyped(value, expected);
}

static void read_choice(const struct value *value)
{
	CLEANUP_TEXT struct text expected = TEXT_EMPTY;
	const struct config_choice *choice = value->key->choices;

	for (; choice->word; choice++) {
		if (value->node->kind == TREE_TEXT && strcmp(choice->word, value->node->text) == 0) {
			put(value, &choice->number, sizeof(choice->number));
			return;
		}
		text_append_format(&expected, "%s%s",
				   expected.length == 0 ? ""
				   : choice[1].word     ? ", "
							: " or ",
				   choice->word);
	}
	if (text_failed(&expected))
		config_out_of_memory(value->reader);
	else
		mistyped(value, expected.data);
}

/* The bit of a name, 0 when it is none. */
static uint32_t bit_of(const struct config_key *key, const char *name)
{
	const char *known;

	for (unsigned int i = key->first_name; (known = key->name_of(i)) != NULL; i++)
		if (strcmp(known, name) == 0)
			return 1U << i;
	return 0;
}

static void name_unknown(const struct value *value, const struct tree_node *member)
{
	CLEANUP_TEXT struct text names = TEXT_EMPTY;
	const char *name = member->kind == TREE_TEXT ? member->text : "";
	const char *known;

	for (unsigned int i = value->key->first_name; (known = value->key->name_of(i)) != NULL; i++) {
		if (text_distance(known, name) <= 2) {
			config_problem(value->reader, member->mark, value->place,
				       "\"%.100s\" is not known; did you mean %s?", name, known);
			return;
		}
		text_append_format(&names, "%s%s", names.length > 0 ? ", " : "", known);
	}
	config_problem(value->reader, member->mark, value->place, "\"%.100s\" is not known; known are %s", name,
		       names.data ? names.data : "none");
}

static void read_names(const struct value *value)
{
	uint32_t bits = 0;

	if (value->node->kind != TREE_LIST) {
		mistyped(value, "a list of names");
		return;
	}
	for (size_t i = 0; i < value->node->count; i++) {
		const struct tree_node *member = value->node->entries[i].value;
		uint32_t bit = member->kind == TREE_TEXT ? bit_of(value->key, member->text) : 0;

		if (bit == 0)
			name_unknown(value, member);
		bits |= bit;
	}
	put(value, &bits, sizeof(bits));
}

/* A label may have an empty value; an address may not. */
static void read_pairs(const struct value *value)
{
	const struct tree_node *node = value->node;
	struct name_value *pairs;

	if (node->kind != TREE_MAPPING) {
		mistyped(value, "a mapping of names to texts");
		return;
	}
	pairs = yaml_tree_allocate(value->reader->tree, (node->count + 1) * sizeof(*pairs));
	if (!pairs) {
		config_out_of_memory(value->reader);
		return;
	}
	for (size_t i = 0; i < node->count; i++) {
		const struct config_place place = { .parent = value->place, .name = node->entries[i].key };
		struct value member = *value;

		member.node = node->entries[i].value;
		member.place = &place;
		member.target = &pairs[i].value;
		pairs[i].name = node->entries[i].key;
		if (value->key->expected || member.node->kind != TREE_TEXT)
			read_text(&member);
		else
			pairs[i].value = member.node->text;
	}
	put(value, &pairs, sizeof(pairs));
	memcpy((char *)value->base + value->key->count_offset, &node->count, sizeof(node->count));
}

static void read_rules(const struct value *value)
{
	if (value->node->kind != TREE_MAPPING)
		mistyped(value, "a mapping of policies to rules");
	else
		config_read_rules(value->reader, value->node, value->place);
}

/* A single text stands for a list of it, as oslo.config has lists. */
static void read_texts(const struct value *value)
{
	const struct tree_node *node = value->node;
	const struct tree_entry single = { NULL, node->mark, node };
	const struct tree_entry *entries = node->kind == TREE_LIST ? node->entries : &single;
	size_t count = node->kind == TREE_LIST ? node->count : 1;
	const char **texts = yaml_tree_allocate(value->reader->tree, (count + 1) * sizeof(*texts));

	if (!texts) {
		config_out_of_memory(value->reader);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct config_place place = { .parent = value->place, .index = i };
		struct value member = *value;

		member.node = entries[i].value;
		member.place = node->kind == TREE_LIST ? &place : value->place;
		member.target = &texts[i];
		if (value->key->type == CONFIG_PATHS)
			read_path(&member);
		else
			read_text(&member);
	}
	put(value, &texts, sizeof(texts));
	memcpy((char *)value->base + value->key->count_offset, &count, sizeof(count));
}

/* Sections and items are read by config.c. */
static void (*const readers[])(const struct value *value) = {
	[CONFIG_TEXT] = read_text,       [CONFIG_PATH] = read_path,       [CONFIG_FILE] = read_file,
	[CONFIG_BOOLEAN] = read_boolean, [CONFIG_INTEGER] = read_integer, [CONFIG_SIZE] = read_size,
	[CONFIG_DECIMAL] = read_decimal, [CONFIG_CHOICE] = read_choice,   [CONFIG_NAMES] = read_names,
	[CONFIG_PAIRS] = read_pairs,     [CONFIG_RULES] = read_rules,     [CONFIG_TEXTS] = read_texts,
	[CONFIG_PATHS] = read_texts,
};

void config_read_value(struct config_reader *reader, const struct config_key *key, const struct tree_node *node,
		       const struct config_place *place, void *base)
{
	const struct value value = {
		.reader = reader,
		.key = key,
		.node = node,
		.place = place,
		.base = base,
		.target = (char *)base + key->offset,
	};

	readers[key->type](&value);
}

/* A list of names stands in the table with commas. */
static void set_default_names(const struct config_key *key, void *target)
{
	CLEANUP_FREE char *names = strdup(key->by_default);
	uint32_t bits = 0;
	char *rest = names;

	for (char *name; rest && (name = strsep(&rest, ",")) != NULL;)
		bits |= bit_of(key, name);
	memcpy(target, &bits, sizeof(bits));
}

void config_set_default(struct config_reader *reader, const struct config_key *key, struct tree_mark mark,
			const struct config_place *place, void *base)
{
	const struct tree_node node = { .kind = TREE_TEXT, .mark = mark, .text = key->by_default };

	if (!key->by_default)
		return;
	if (key->type == CONFIG_NAMES)
		set_default_names(key, (char *)base + key->offset);
	else
		config_read_value(reader, key, &node, place, base);
}
