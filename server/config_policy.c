/* Policies from the configuration and from its policy file: a mapping of names to rules becomes the policy room's overrides,
 * each with file and line. Values keep the types that YAML gives them, since oslo.policy tells a text from a list, a
 * number or nothing. */
#include "server/config_table.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

/* Values of one rule, aliases counted as often as they are used. */
#define RULE_VALUES_MAX 10000

/* A text without quotes that looks like another type is of that type (YAML 1.1, as PyYAML reads it). */
static json_t *json_of_text(const struct tree_node *node)
{
	static const char *const truths[] = { "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON" };
	static const char *const lies[] = { "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF" };
	int64_t number;
	double decimal;
	char *end;

	if (node->is_quoted)
		return json_string(node->text);
	if (tree_is_null(node))
		return json_null();
	for (size_t i = 0; i < ARRAY_LENGTH(truths); i++) {
		if (strcmp(node->text, truths[i]) == 0)
			return json_true();
		if (strcmp(node->text, lies[i]) == 0)
			return json_false();
	}
	if (text_to_int64(node->text, INT64_MIN, INT64_MAX, &number))
		return json_integer(number);
	decimal = strtod(node->text, &end);
	if (*end == '\0' && strchr(node->text, '.') && strpbrk(node->text, "0123456789") && isfinite(decimal))
		return json_real(decimal);
	return json_string(node->text);
}

/* NULL when out of memory or, with *budget 0, when there are too many values. */
static json_t *json_of(const struct tree_node *node, size_t *budget)
{
	json_t *json;

	if (*budget == 0)
		return NULL;
	(*budget)--;
	if (node->kind == TREE_TEXT)
		return json_of_text(node);
	json = node->kind == TREE_LIST ? json_array() : json_object();
	for (size_t i = 0; json && i < node->count; i++) {
		const struct tree_entry *entry = &node->entries[i];
		json_t *member = json_of(entry->value, budget);
		int result = !member                   ? -1
			     : node->kind == TREE_LIST ? json_array_append_new(json, member)
						       : json_object_set_new(json, entry->key, member);

		if (result < 0) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

/* Takes the value. */
static bool add_override(struct config_reader *reader, const struct tree_entry *entry, json_t *value)
{
	struct config_memory *memory = reader->memory;

	if (!memory->rule_values)
		memory->rule_values = json_array();
	if (json_array_append_new(memory->rule_values, value) < 0)
		return false;
	if (memory->override_count == memory->override_capacity) {
		size_t capacity = memory->override_capacity ? memory->override_capacity * 2 : 16;
		struct policy_override *grown = reallocarray(memory->overrides, capacity, sizeof(*grown));

		if (!grown)
			return false;
		memory->overrides = grown;
		memory->override_capacity = capacity;
	}
	memory->overrides[memory->override_count++] = (struct policy_override){
		.name = entry->key, .value = value, .file = entry->mark.file, .line = entry->mark.line
	};
	return true;
}

void config_read_rules(struct config_reader *reader, const struct tree_node *node, const struct config_place *place)
{
	for (size_t i = 0; i < node->count; i++) {
		size_t budget = RULE_VALUES_MAX;
		json_t *value = json_of(node->entries[i].value, &budget);

		if (!value && budget == 0)
			config_problem(reader, node->entries[i].mark, place, "the rule \"%.100s\" has too many values",
				       node->entries[i].key);
		else if (!value || !add_override(reader, &node->entries[i], value))
			config_out_of_memory(reader);
	}
	reader->config->policy.overrides = reader->memory->overrides;
	reader->config->policy.override_count = reader->memory->override_count;
}

void config_rank_rules(struct config_reader *reader, size_t from)
{
	struct config_memory *memory = reader->memory;
	size_t moved = memory->override_count - from;
	struct policy_override *lowest = malloc((moved + 1) * sizeof(*lowest));

	if (!lowest) {
		config_out_of_memory(reader);
		return;
	}
	if (moved > 0) {
		memcpy(lowest, memory->overrides + from, moved * sizeof(*lowest));
		memmove(memory->overrides + moved, memory->overrides, from * sizeof(*lowest));
		memcpy(memory->overrides, lowest, moved * sizeof(*lowest));
	}
	free(lowest);
}

/* A file with a mapping of names to rules. */
static void read_rules_file(struct config_reader *reader, const char *path, struct tree_mark mark,
			    const struct config_place *place)
{
	struct yaml_tree *tree = NULL;
	struct error error = { 0 };

	config_note_file(reader, path);
	if (access(path, R_OK) < 0) {
		config_problem(reader, mark, place, "cannot read %.300s: %s", path, strerror(errno));
		return;
	}
	if (yaml_tree_read(path, &tree, &error) < 0) {
		config_problem(reader, CONFIG_NOWHERE, NULL, "%s", error.text);
		return;
	}
	if (config_keep_tree(reader->memory, tree, NULL) < 0) {
		config_out_of_memory(reader);
		return;
	}
	if (tree->document_count > 1)
		config_problem(reader, tree->documents[1]->mark, NULL,
			       "a policy file has one mapping of names to rules");
	else if (tree->document_count == 1 && tree->documents[0]->kind != TREE_MAPPING)
		config_problem(reader, tree->documents[0]->mark, NULL,
			       "expected a mapping of policies to rules, found something else");
	else if (tree->document_count == 1)
		config_read_rules(reader, tree->documents[0], NULL);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Also by a link. */
static bool is_directory(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* As oslo.policy: the files of the directory itself by their names, hidden ones left out. */
static void read_rules_dir(struct config_reader *reader, const char *path, struct tree_mark mark,
			   const struct config_place *place)
{
	struct dirent **entries = NULL;
	int count = scandir(path, &entries, is_visible, compare_names);

	if (count < 0)
		config_problem(reader, mark, place, "cannot read %.300s: %s", path, strerror(errno));
	for (int i = 0; i < count; i++) {
		CLEANUP_FREE char *file = text_format("%s/%s", path, entries[i]->d_name);

		if (!file)
			config_out_of_memory(reader);
		else if (!is_directory(file))
			read_rules_file(reader, file, mark, place);
		free(entries[i]);
	}
	free(entries);
}

/* What lies beside the configuration without being named, as in Nova; NULL when there is nothing. */
static const char *find_beside(struct config_reader *reader, const char *name)
{
	const char *path = reader->config->path ? config_resolve_path(reader, reader->config->path, name) : NULL;

	if (path)
		config_note_file(reader, path); /* it may come */
	return path && access(path, F_OK) == 0 ? path : NULL;
}

void config_read_policy_files(struct config_reader *reader, const struct tree_node *own)
{
	const struct config_place section = { .name = "policy" };
	const struct config_place file = { .parent = &section, .name = "file" };
	const struct config_place dirs = { .parent = &section, .name = "dirs" };
	struct config *config = reader->config;
	const struct tree_entry *set = tree_find_path(own, "policy.dirs");

	if (!config->policy_file)
		config->policy_file = find_beside(reader, "policy.yaml");
	if (config->policy_file) {
		const struct tree_entry *named = tree_find_path(own, "policy.file");

		read_rules_file(reader, config->policy_file, named ? named->mark : own->mark, &file);
	}
	if (!set) {
		const char **beside = yaml_tree_allocate(reader->tree, sizeof(*beside));

		if (!beside) {
			config_out_of_memory(reader);
			return;
		}
		*beside = find_beside(reader, "policy.d");
		config->policy_dirs = beside;
		config->policy_dir_count = *beside ? 1 : 0;
	}
	for (size_t i = 0; i < config->policy_dir_count; i++)
		if (config->policy_dirs[i])
			read_rules_dir(reader, config->policy_dirs[i], set ? set->mark : own->mark, &dirs);
	config->policy.overrides = reader->memory->overrides;
	config->policy.override_count = reader->memory->override_count;
}
