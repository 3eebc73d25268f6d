/* The configuration in words, from its tables: the values that hold, and the manual of all keys. */
#include "server/config_table.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

static void print_names(const struct config_key *key, uint32_t bits, struct text *text)
{
	const char *name;
	size_t count = 0;

	text_append(text, "[");
	for (unsigned int i = key->first_name; (name = key->name_of(i)) != NULL; i++)
		if (bits & (1U << i))
			text_append_format(text, "%s%s", count++ > 0 ? ", " : "", name);
	text_append(text, "]");
}

static void print_choice(const struct config_key *key, int number, struct text *text)
{
	for (const struct config_choice *choice = key->choices; choice->word; choice++)
		if (choice->number == number)
			text_append(text, choice->word);
}

static void print_pairs(const struct config_key *key, const void *base, struct text *text)
{
	const struct name_value *pairs;
	size_t count;

	memcpy(&pairs, (const char *)base + key->offset, sizeof(pairs));
	memcpy(&count, (const char *)base + key->count_offset, sizeof(count));
	text_append(text, "{");
	for (size_t i = 0; i < count; i++)
		text_append_format(text, "%s%s: \"%s\"", i > 0 ? ", " : "", pairs[i].name, pairs[i].value);
	text_append(text, "}");
}

static void print_texts(const struct config_key *key, const void *base, struct text *text)
{
	const char *const *texts;
	size_t count;

	memcpy(&texts, (const char *)base + key->offset, sizeof(texts));
	memcpy(&count, (const char *)base + key->count_offset, sizeof(count));
	text_append(text, "[");
	for (size_t i = 0; i < count; i++)
		text_append_format(text, "%s%s", i > 0 ? ", " : "", texts[i]);
	text_append(text, "]");
}

static void print_value(const struct config_key *key, const void *base, struct text *text)
{
	const void *target = (const char *)base + key->offset;
	const char *string = NULL;
	int64_t integer = 0;
	double decimal = 0;
	uint32_t bits = 0;
	size_t size = 0;
	int number = 0;
	bool is_set = false;

	switch (key->type) {
	case CONFIG_TEXT:
	case CONFIG_PATH:
	case CONFIG_FILE:
		memcpy(&string, target, sizeof(string));
		text_append(text, !string ? "null" : key->is_secret ? "(secret)" : string);
		break;
	case CONFIG_BOOLEAN:
		memcpy(&is_set, target, sizeof(is_set));
		text_append(text, is_set != key->is_inverted ? "true" : "false");
		break;
	case CONFIG_INTEGER:
		memcpy(&integer, target, sizeof(integer));
		text_append_format(text, "%" PRId64, integer);
		break;
	case CONFIG_SIZE:
		memcpy(&size, target, sizeof(size));
		text_append_format(text, "%zu", size);
		break;
	case CONFIG_DECIMAL:
		memcpy(&decimal, target, sizeof(decimal));
		text_append_format(text, "%.15g", decimal);
		break;
	case CONFIG_CHOICE:
		memcpy(&number, target, sizeof(number));
		print_choice(key, number, text);
		break;
	case CONFIG_NAMES:
		memcpy(&bits, target, sizeof(bits));
		print_names(key, bits, text);
		break;
	case CONFIG_PAIRS:
		print_pairs(key, base, text);
		break;
	case CONFIG_SECTION:
	case CONFIG_ITEMS:
	case CONFIG_NAMED_ITEMS:
	case CONFIG_RULES:
		break;
	case CONFIG_TEXTS:
	case CONFIG_PATHS:
		print_texts(key, base, text);
		break;
	}
}

/* Where a value comes from; NULL: nobody asks. */
static void print_origin(const json_t *origins, const char *name, struct text *text)
{
	const char *origin = json_string_value(json_object_get(origins, name));

	if (origins)
		text_append_format(text, "  # %s\n", origin ? origin : "default");
	else
		text_append(text, "\n");
}

static void print_section(const struct config_section *section, const char *prefix, const void *base,
			  const json_t *origins, struct text *text);

static void print_items(const struct config_key *key, const char *name, const void *base, const json_t *origins,
			struct text *text)
{
	const char *items;
	size_t count;

	memcpy(&items, (const char *)base + key->offset, sizeof(items));
	memcpy(&count, (const char *)base + key->count_offset, sizeof(count));
	for (size_t i = 0; i < count; i++) {
		const char *item = items + i * key->item_size, *own_name = NULL;

		if (key->type == CONFIG_NAMED_ITEMS)
			memcpy(&own_name, item + key->section->name_offset, sizeof(own_name));
		CLEANUP_FREE char *prefix =
			own_name ? text_format("%s.%s.", name, own_name) : text_format("%s[%zu].", name, i);

		print_section(key->section, prefix, item, origins, text);
	}
}

/* A prefix that could not be made (NULL) spoils the text. */
static void print_section(const struct config_section *section, const char *prefix, const void *base,
			  const json_t *origins, struct text *text)
{
	for (size_t i = 0; i < section->count; i++) {
		const struct config_key *key = &section->keys[i];
		CLEANUP_FREE char *name = prefix ? text_format("%s%s", prefix, key->name) : NULL;
		CLEANUP_FREE char *inner = name ? text_format("%s.", name) : NULL;

		if (!name || !inner) {
			text->failed = true;
			return;
		}
		if (key->type == CONFIG_SECTION) {
			print_section(key->section, inner, base, origins, text);
		} else if (key->type == CONFIG_ITEMS || key->type == CONFIG_NAMED_ITEMS) {
			print_items(key, name, base, origins, text);
		} else if (key->type != CONFIG_RULES) {
			text_append_format(text, "%s: ", name);
			print_value(key, base, text);
			print_origin(origins, name, text);
		}
	}
}

void config_print(const struct config *config, struct text *text)
{
	print_section(&config_root, "", config, config->memory ? config->memory->origins : NULL, text);
	for (size_t i = 0; i < config->policy.override_count; i++) {
		const struct policy_override *override = &config->policy.overrides[i];
		CLEANUP_FREE char *rule = json_dumps(override->value, JSON_ENCODE_ANY);

		text_append_format(text, "policy %s: %s  # %s:%u\n", override->name, rule ? rule : "?", override->file,
				   override->line);
	}
}

/* Is it the last of its name, which counts? Overrides are few; where they are many, reading them took longer. */
static bool counts(const struct policy_settings *policy, size_t place)
{
	for (size_t i = place + 1; i < policy->override_count; i++)
		if (text_equal(policy->overrides[i].name, policy->overrides[place].name))
			return false;
	return true;
}

void config_print_values(const struct config *config, struct text *text)
{
	print_section(&config_root, "", config, NULL, text);
	for (size_t i = 0; i < config->policy.override_count; i++) {
		CLEANUP_FREE char *rule = json_dumps(config->policy.overrides[i].value, JSON_ENCODE_ANY);

		if (counts(&config->policy, i))
			text_append_format(text, "policy %s: %s\n", config->policy.overrides[i].name,
					   rule ? rule : "?");
	}
}

static const char *type_words(const struct config_key *key)
{
	static const char *const words[] = {
		[CONFIG_SECTION] = "section",     [CONFIG_ITEMS] = "list",          [CONFIG_TEXT] = "text",
		[CONFIG_PATH] = "path",           [CONFIG_FILE] = "readable file",  [CONFIG_BOOLEAN] = "true or false",
		[CONFIG_INTEGER] = "number",      [CONFIG_SIZE] = "number",         [CONFIG_DECIMAL] = "decimal",
		[CONFIG_CHOICE] = "one of",       [CONFIG_NAMES] = "list of",       [CONFIG_RULES] = "mapping",
		[CONFIG_TEXTS] = "list of texts", [CONFIG_PATHS] = "list of paths", [CONFIG_NAMED_ITEMS] = "mapping",
		[CONFIG_PAIRS] = "mapping",
	};

	return words[key->type];
}

static void describe_range(const struct config_key *key, struct text *text)
{
	const char *name;

	if (key->type == CONFIG_INTEGER || key->type == CONFIG_SIZE)
		text_append_format(text, " %.0f to %.0f", key->low, key->high);
	if (key->type == CONFIG_DECIMAL)
		text_append_format(text, " %g to %g", key->low, key->high);
	for (const struct config_choice *choice = key->choices; choice && choice->word; choice++)
		text_append_format(text, "%s%s", choice == key->choices ? " " : ", ", choice->word);
	for (unsigned int i = key->first_name; key->name_of && (name = key->name_of(i)) != NULL; i++)
		text_append_format(text, "%s%s", i > key->first_name ? ", " : " ", name);
}

void config_describe_type(const struct config_key *key, struct text *text)
{
	text_append(text, type_words(key));
	describe_range(key, text);
}

static void describe_section(const struct config_section *section, const char *prefix, struct text *text)
{
	for (size_t i = 0; prefix && i < section->count; i++) {
		const struct config_key *key = &section->keys[i];

		if (key->type != CONFIG_SECTION) {
			text_append_format(text, "%s%s (", prefix, key->name);
			config_describe_type(key, text);
			text_append_format(text, "%s%s%s): %s\n", key->is_required ? ", required" : "",
					   key->by_default ? "; default " : "", key->by_default ? key->by_default : "",
					   key->meaning);
		}
		if (key->section) {
			CLEANUP_FREE char *inner = text_format("%s%s%s.", prefix, key->name,
							       key->type == CONFIG_ITEMS         ? "[]"
							       : key->type == CONFIG_NAMED_ITEMS ? ".NAME"
												 : "");

			describe_section(key->section, inner, text);
		}
	}
	text->failed = text->failed || !prefix;
}

void config_describe(struct text *text)
{
	describe_section(&config_root, "", text);
}
