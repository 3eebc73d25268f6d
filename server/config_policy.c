/* Policies from the configuration and from its policy file: a mapping of names to rules becomes the policy room's overrides,
 * each with file and line. Values keep the types that YAML gives them, since oslo.policy tells a text from a list, a
 * number or nothing. */
#include "server/config_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
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

void config_read_rules_file(struct config_reader *reader, const char *path, struct tree_mark mark,
			    const struct config_place *place)
{
	struct yaml_tree *tree = NULL;
	struct error error = { 0 };

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
