/* Reading the configuration by its tables. The difficulty is that one run should tell every problem: reading goes on after
 * each, and the result is handed out only when there was none. */
#include "server/config_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#define NODE_NAME_SIZE 256

static void append_place(const struct config_place *place, struct text *text)
{
	if (!place)
		return;
	append_place(place->parent, text);
	if (place->name)
		text_append_format(text, "%s%s", text->length > 0 ? "." : "", place->name);
	else
		text_append_format(text, "[%zu]", place->index);
}

void config_out_of_memory(struct config_reader *reader)
{
	reader->is_out_of_memory = true;
	error_no_memory(reader->error);
}

/* With line 0 the words stand alone. */
void config_problem(struct config_reader *reader, unsigned int line, const struct config_place *place,
		    const char *format, ...)
{
	CLEANUP_TEXT struct text words = TEXT_EMPTY;
	CLEANUP_TEXT struct text name = TEXT_EMPTY;
	va_list arguments;

	append_place(place, &name);
	if (line > 0)
		text_append_format(&words, "%s:%u: ", reader->tree->path, line);
	if (name.length > 0)
		text_append_format(&words, "%s: ", name.data);
	va_start(arguments, format);
	text_append_format_list(&words, format, arguments);
	va_end(arguments);
	if (text_failed(&words) || text_failed(&name)) {
		config_out_of_memory(reader);
		return;
	}
	if (reader->problem_count++ == 0)
		error_set(reader->error, EINVAL, "%s", words.data);
	if (reader->report)
		reader->report(reader->report_context, words.data);
}

unsigned int config_distance(const char *a, const char *b)
{
	enum { LONGEST = 63, TOO_MUCH = 3 };
	unsigned int before[LONGEST + 1];
	unsigned int above[LONGEST + 1];
	unsigned int row[LONGEST + 1];
	size_t a_length = strlen(a);
	size_t b_length = strlen(b);

	if (a_length > LONGEST || b_length > LONGEST)
		return TOO_MUCH;
	for (unsigned int j = 0; j <= b_length; j++)
		above[j] = before[j] = j;
	for (unsigned int i = 1; i <= a_length; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			unsigned int best = above[j - 1] + (a[i - 1] != b[j - 1]);

			best = above[j] + 1 < best ? above[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}
		memcpy(before, above, sizeof(before));
		memcpy(above, row, sizeof(above));
	}
	return above[b_length] < TOO_MUCH ? above[b_length] : TOO_MUCH;
}

static const struct config_key *find_key(const struct config_section *section, const char *name)
{
	for (size_t i = 0; i < section->count; i++)
		if (strcmp(section->keys[i].name, name) == 0)
			return &section->keys[i];
	return NULL;
}

static void tell_unknown(struct config_reader *reader, const struct config_section *section,
			 const struct tree_entry *entry, const struct config_place *place)
{
	CLEANUP_TEXT struct text names = TEXT_EMPTY;
	const char *nearest = NULL;
	unsigned int nearest_distance = 3;

	for (size_t i = 0; i < section->count; i++) {
		unsigned int distance = config_distance(section->keys[i].name, entry->key);

		if (distance < nearest_distance) {
			nearest = section->keys[i].name;
			nearest_distance = distance;
		}
		text_append_format(&names, "%s%s", i > 0 ? ", " : "", section->keys[i].name);
	}
	if (nearest)
		config_problem(reader, entry->line, place, "the key \"%.100s\" is not known; did you mean %s?",
			       entry->key, nearest);
	else
		config_problem(reader, entry->line, place, "the key \"%.100s\" is not known; known here are %s",
			       entry->key, names.data ? names.data : "none");
}

static void read_items(struct config_reader *reader, const struct config_key *key, const struct tree_node *node,
		       const struct config_place *place, void *base)
{
	char *items;

	if (node->kind != TREE_LIST) {
		config_problem(reader, node->line, place, "expected a list, found %s",
			       tree_is_null(node)        ? "nothing"
			       : node->kind == TREE_TEXT ? "a single value"
							 : "a mapping");
		return;
	}
	items = yaml_tree_allocate(reader->tree, (node->count + 1) * key->item_size);
	if (!items) {
		config_out_of_memory(reader);
		return;
	}
	for (size_t i = 0; i < node->count; i++) {
		const struct config_place here = { .parent = place, .index = i };
		const struct tree_entry *entry = &node->entries[i];
		void *item = items + i * key->item_size;
		size_t problems_before = reader->problem_count;
		struct error error = { 0 };

		if (key->section->line_offset > 0)
			memcpy((char *)item + key->section->line_offset, &entry->line, sizeof(entry->line));
		config_read_section(reader, key->section, entry->value, &here, item);
		if (reader->problem_count == problems_before && key->section->check_item
		    && key->section->check_item(item, &error) < 0)
			config_problem(reader, entry->line, &here, "%s", error.text);
	}
	memcpy((char *)base + key->offset, &items, sizeof(items));
	memcpy((char *)base + key->count_offset, &node->count, sizeof(node->count));
}

static void read_key(struct config_reader *reader, const struct config_key *key, const struct tree_node *section,
		     const struct config_place *parent, void *base)
{
	static const struct tree_node nothing = { .kind = TREE_MAPPING };
	const struct config_place place = { .parent = parent, .name = key->name };
	const struct tree_entry *entry = tree_find(section, key->name);
	bool is_there = entry && !(tree_is_null(entry->value) && !key->is_required);

	if (key->type == CONFIG_SECTION) {
		struct tree_node empty = nothing;

		empty.line = section->line;
		config_read_section(reader, key->section, is_there ? entry->value : &empty, &place, base);
	} else if (!is_there) {
		if (key->is_required && reader->config->path)
			config_problem(reader, section->line, &place, "is missing: %s", key->meaning);
		config_set_default(reader, key, section->line, &place, base);
	} else if (key->type == CONFIG_ITEMS) {
		read_items(reader, key, entry->value, &place, base);
	} else {
		config_read_value(reader, key, entry->value, &place, base);
	}
}

void config_read_section(struct config_reader *reader, const struct config_section *section,
			 const struct tree_node *node, const struct config_place *place, void *base)
{
	if (node->kind != TREE_MAPPING) {
		config_problem(reader, node->line, place, "expected a mapping of keys to values, found %s",
			       node->kind == TREE_LIST ? "a list" : "a single value");
		return;
	}
	for (size_t i = 0; i < node->count; i++)
		if (!find_key(section, node->entries[i].key))
			tell_unknown(reader, section, &node->entries[i], place);
	for (size_t i = 0; i < section->count; i++)
		read_key(reader, &section->keys[i], node, place, base);
}

static void destroy_memory(struct config_memory *memory)
{
	if (!memory)
		return;
	for (size_t i = 0; i < memory->tree_count; i++)
		yaml_tree_destroy(memory->trees[i]);
	free(memory->trees);
	free(memory->overrides);
	json_decref(memory->rule_values);
	free(memory);
}

void config_clear(struct config *config)
{
	destroy_memory(config->memory);
	*config = (struct config){ 0 };
}

/* The machine's name where none is configured. */
static void name_node(struct config_reader *reader)
{
	char name[NODE_NAME_SIZE] = "";

	if (reader->config->node)
		return;
	if (gethostname(name, sizeof(name) - 1) < 0 || name[0] == '\0')
		TEXT_COPY(name, "migrationd");
	reader->config->node = yaml_tree_copy(reader->tree, name);
	if (!reader->config->node)
		config_out_of_memory(reader);
}

/* The one document of the file that is ours; others say what they are in `kind`. */
static const struct tree_node *find_document(struct config_reader *reader)
{
	static const struct tree_node empty = { .kind = TREE_MAPPING, .line = 1 };
	const struct tree_node *found = NULL;

	for (size_t i = 0; i < reader->tree->document_count; i++) {
		const struct tree_node *document = reader->tree->documents[i];
		const struct tree_entry *kind = tree_find(document, "kind");

		if (kind)
			config_problem(reader, kind->line, NULL, "documents of the kind \"%.100s\" are not known",
				       kind->value->kind == TREE_TEXT ? kind->value->text : "");
		else if (found)
			config_problem(reader, document->line, NULL,
				       "a second configuration in one file; the first begins in line %u", found->line);
		else
			found = document;
	}
	return found ? found : &empty;
}

/* Reads what reader->tree holds. */
static void read_tree(struct config_reader *reader)
{
	const struct tree_node *document = find_document(reader);

	config_read_section(reader, &config_root, document, NULL, reader->config);
	name_node(reader);
	if (reader->config->path)
		config_check(reader, document);
}

/* Takes the tree. */
static int read_config(struct yaml_tree *tree, const char *path, config_report *report, void *report_context,
		       struct config *ret_config, struct error *error)
{
	CLEANUP_CONFIG struct config config = { .path = path ? tree->path : NULL };
	struct error unwanted;
	struct config_reader reader = {
		.config = &config,
		.tree = tree,
		.report = report,
		.report_context = report_context,
		.error = error ? error : &unwanted,
	};

	config.memory = calloc(1, sizeof(*config.memory));
	if (config.memory)
		config.memory->trees = calloc(1, sizeof(struct yaml_tree *));
	if (!config.memory || !config.memory->trees) {
		yaml_tree_destroy(tree);
		return error_no_memory(error);
	}
	config.memory->trees[config.memory->tree_count++] = tree;
	reader.memory = config.memory;
	read_tree(&reader);
	if (reader.is_out_of_memory)
		return error_no_memory(error);
	if (reader.problem_count > 0)
		return -EINVAL;
	*ret_config = config;
	config = (struct config){ 0 };
	return 0;
}

int config_read(const char *path, config_report *report, void *report_context, struct config *ret_config,
		struct error *error)
{
	struct error first = { 0 };
	struct yaml_tree *tree;
	int result = yaml_tree_read(path, &tree, &first);

	if (result == 0)
		return read_config(tree, path, report, report_context, ret_config, error);
	if (report)
		report(report_context, first.text);
	return error_set(error, first.code, "%s", first.text);
}

int config_defaults(struct config *ret_config, struct error *error)
{
	struct yaml_tree *tree = calloc(1, sizeof(*tree));

	return tree ? read_config(tree, NULL, NULL, NULL, ret_config, error) : error_no_memory(error);
}
