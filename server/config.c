/* Reading a document by its table. The difficulty is that one run should tell every problem: reading goes on after each, and
 * the result is handed out only when there was none. */
#include "server/config_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

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

void config_problem(struct config_reader *reader, struct tree_mark mark, const struct config_place *place,
		    const char *format, ...)
{
	CLEANUP_TEXT struct text words = TEXT_EMPTY;
	CLEANUP_TEXT struct text name = TEXT_EMPTY;
	va_list arguments;

	append_place(place, &name);
	if (mark.file)
		text_append_format(&words, "%s:%u: ", mark.file, mark.line);
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

static const struct config_key *find_key(const struct config_section *section, const char *name)
{
	for (size_t i = 0; i < section->count; i++)
		if (strcmp(section->keys[i].name, name) == 0)
			return &section->keys[i];
	return NULL;
}

/* Of a section that leaves others' keys alone only what looks like a slip is told. */
static void tell_unknown(struct config_reader *reader, const struct config_section *section,
			 const struct tree_entry *entry, const struct config_place *place)
{
	CLEANUP_TEXT struct text names = TEXT_EMPTY;
	const char *nearest = NULL;
	unsigned int nearest_distance = 3;

	for (size_t i = 0; i < section->count; i++) {
		unsigned int distance = text_distance(section->keys[i].name, entry->key);

		if (distance < nearest_distance) {
			nearest = section->keys[i].name;
			nearest_distance = distance;
		}
		text_append_format(&names, "%s%s", i > 0 ? ", " : "", section->keys[i].name);
	}
	if (nearest)
		config_problem(reader, entry->mark, place, "the key \"%.100s\" is not known; did you mean %s?",
			       entry->key, nearest);
	else if (!section->leaves_others)
		config_problem(reader, entry->mark, place, "the key \"%.100s\" is not known; known here are %s",
			       entry->key, names.data ? names.data : "none");
}

void config_note_origin(struct config_reader *reader, const struct config_place *place, struct tree_mark mark)
{
	CLEANUP_TEXT struct text name = TEXT_EMPTY;
	json_t *origin;

	if (!reader->memory->origins || !mark.file)
		return;
	append_place(place, &name);
	origin = json_sprintf("%s:%u", mark.file, mark.line);
	if (text_failed(&name) || json_object_set_new(reader->memory->origins, name.data, origin) < 0)
		config_out_of_memory(reader);
}

/* One member: of a list by its index, of a mapping by its name. */
static void read_item(struct config_reader *reader, const struct config_section *section,
		      const struct tree_entry *entry, const struct config_place *place, void *item)
{
	size_t problems_before = reader->problem_count;
	const struct tree_mark *mark = &entry->mark;
	struct error error = { 0 };

	if (section->mark_offset > 0)
		memcpy((char *)item + section->mark_offset, &mark, sizeof(mark));
	if (entry->key)
		memcpy((char *)item + section->name_offset, &entry->key, sizeof(entry->key));
	config_read_section(reader, section, entry->value, place, item);
	if (reader->problem_count == problems_before && section->check_item && section->check_item(item, &error) < 0)
		config_problem(reader, entry->mark, place, "%s", error.text);
}

static void read_items(struct config_reader *reader, const struct config_key *key, const struct tree_node *node,
		       const struct config_place *place, void *base)
{
	bool is_named = key->type == CONFIG_NAMED_ITEMS;
	char *items;

	if (node->kind != (is_named ? TREE_MAPPING : TREE_LIST)) {
		config_problem(reader, node->mark, place, "expected %s, found %s",
			       is_named ? "a mapping of names" : "a list",
			       tree_is_null(node)        ? "nothing"
			       : node->kind == TREE_TEXT ? "a single value"
			       : node->kind == TREE_LIST ? "a list"
							 : "a mapping");
		return;
	}
	items = yaml_tree_allocate(reader->tree, (node->count + 1) * key->item_size);
	if (!items) {
		config_out_of_memory(reader);
		return;
	}
	for (size_t i = 0; i < node->count; i++) {
		const struct tree_entry *entry = &node->entries[i];
		const struct config_place here = { .parent = place, .name = entry->key, .index = i };

		read_item(reader, key->section, entry, &here, items + i * key->item_size);
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

		empty.mark = section->mark;
		config_read_section(reader, key->section, is_there ? entry->value : &empty, &place, base);
	} else if (!is_there) {
		if (key->is_required && reader->config->path)
			config_problem(reader, section->mark, &place, "is missing: %s", key->meaning);
		config_set_default(reader, key, section->mark, &place, base);
	} else if (key->type == CONFIG_ITEMS || key->type == CONFIG_NAMED_ITEMS) {
		read_items(reader, key, entry->value, &place, base);
	} else {
		config_read_value(reader, key, entry->value, &place, base);
		config_note_origin(reader, &place, entry->mark);
	}
}

void config_read_section(struct config_reader *reader, const struct config_section *section,
			 const struct tree_node *node, const struct config_place *place, void *base)
{
	if (node->kind != TREE_MAPPING) {
		config_problem(reader, node->mark, place, "expected a mapping of keys to values, found %s",
			       node->kind == TREE_LIST ? "a list" : "a single value");
		return;
	}
	for (size_t i = 0; i < node->count; i++)
		if (!find_key(section, node->entries[i].key))
			tell_unknown(reader, section, &node->entries[i], place);
	for (size_t i = 0; i < section->count; i++)
		read_key(reader, &section->keys[i], node, place, base);
}
