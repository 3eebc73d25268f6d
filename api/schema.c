/* The validator. The difficulty is the order: properties in the schema's order, each type before its words, then what is
 * required, then what is too much (as jsonschema 4.10 finds them). */
#include "api/schema.h"

#include <stdlib.h>

#include "api/json_body.h"
#include "api/python_repr.h"
#include "base/cleanup.h"

#define HOST_PATTERN "^[a-zA-Z0-9-._]*$"
#define HOST_MAX     255

static const char *const true_words[] = { "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes" };
static const char *const false_words[] = { "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no" };

static bool is_listed(const char *const *words, size_t count, const json_t *value)
{
	for (size_t i = 0; i < count; i++)
		if (json_string_length(value) == strlen(words[i]) && strcmp(json_string_value(value), words[i]) == 0)
			return true;
	return false;
}

bool schema_boolean(const json_t *value)
{
	return json_is_true(value)
	       || (json_body_is_text(value) && is_listed(true_words, ARRAY_LENGTH(true_words), value));
}

static void begin(struct text *words, const char *name, const json_t *value)
{
	if (!name)
		return;
	text_append_format(words, "Invalid input for field/attribute %s. Value: ", name);
	python_str(words, value);
	text_append(words, ". ");
}

/* As begin, with the value once more in Python's quotes. */
static void begin_with_value(struct text *words, const char *name, const json_t *value)
{
	begin(words, name, value);
	python_repr(words, value);
}

static void append_words(struct text *words, const char *constant, const char *const *list, size_t count)
{
	text_append(words, constant);
	for (size_t i = 0; i < count; i++)
		text_append_format(words, ", '%s'", list[i]);
}

static bool check_boolean(const struct schema_property *property, const json_t *value, struct text *ret_words)
{
	bool has_auto = property->kind == SCHEMA_BOOLEAN_OR_AUTO;

	if (json_is_boolean(value))
		return true;
	if (!json_body_is_text(value)) {
		begin_with_value(ret_words, property->name, value);
		text_append(ret_words, " is not of type 'boolean', 'string'");
		return false;
	}
	if (is_listed(true_words, ARRAY_LENGTH(true_words), value)
	    || is_listed(false_words, ARRAY_LENGTH(false_words), value)
	    || (has_auto && text_equal(json_string_value(value), "auto")))
		return true;
	begin_with_value(ret_words, property->name, value);
	text_append(ret_words, " is not one of [");
	append_words(ret_words, "True", true_words, ARRAY_LENGTH(true_words));
	append_words(ret_words, ", False", false_words, ARRAY_LENGTH(false_words));
	text_append(ret_words, has_auto ? ", 'auto']" : "]");
	return false;
}

/* Python's $ also matches before a newline at the end. */
static bool is_host_name(const char *name, size_t length)
{
	if (length && name[length - 1] == '\n')
		length--;
	for (size_t i = 0; i < length; i++) {
		char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.'
		      || c == '_'))
			return false;
	}
	return true;
}

static size_t count_characters(const char *string, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += ((unsigned char)string[i] & 0xc0) != 0x80;
	return count;
}

static bool check_words(const struct schema_property *property, const json_t *value, struct text *ret_words)
{
	bool is_nullable = property->kind == SCHEMA_HOST;
	size_t length = json_string_length(value);

	if (is_nullable && json_is_null(value))
		return true;
	const char *why = NULL;
	if (!json_body_is_text(value))
		why = is_nullable ? " is not of type 'string', 'null'" : " is not of type 'string'";
	else if (length == 0)
		why = " is too short";
	else if (property->kind != SCHEMA_WORDS && !is_host_name(json_string_value(value), length))
		why = " does not match '" HOST_PATTERN "'";
	else if (count_characters(json_string_value(value), length) > HOST_MAX)
		why = " is too long";
	if (!why)
		return true;
	begin_with_value(ret_words, property->name, value);
	text_append(ret_words, why);
	return false;
}

/* One of a few words. */
static bool check_one_of(const struct schema_property *property, const char *const *words, size_t count,
			 const json_t *value, struct text *ret_words)
{
	bool is_text = json_body_is_text(value);

	if (is_text && is_listed(words, count, value))
		return true;
	begin_with_value(ret_words, property->name, value);
	if (!is_text) {
		text_append(ret_words, " is not of type 'string'");
		return false;
	}
	text_append_format(ret_words, " is not one of ['%s'", words[0]);
	append_words(ret_words, "", words + 1, count - 1);
	text_append(ret_words, "]");
	return false;
}

static bool check_type_object(const struct schema_property *property, const json_t *value, struct text *ret_words)
{
	if (json_is_object(value))
		return true;
	begin_with_value(ret_words, property->name, value);
	text_append(ret_words, " is not of type 'object'");
	return false;
}

static bool check_property(const struct schema_property *property, const json_t *value, struct text *ret_words)
{
	static const char *const statuses[] = { "enabled", "disabled" };
	static const char *const states[] = { "active", "error" };
	static const char *const reboots[] = { "HARD", "Hard", "hard", "SOFT", "Soft", "soft" };

	switch (property->kind) {
	case SCHEMA_HOST:
	case SCHEMA_HOST_NAME:
	case SCHEMA_WORDS:
		return check_words(property, value, ret_words);
	case SCHEMA_SERVICE_STATUS:
		return check_one_of(property, statuses, ARRAY_LENGTH(statuses), value, ret_words);
	case SCHEMA_SERVER_STATE:
		return check_one_of(property, states, ARRAY_LENGTH(states), value, ret_words);
	case SCHEMA_REBOOT_TYPE:
		return check_one_of(property, reboots, ARRAY_LENGTH(reboots), value, ret_words);
	case SCHEMA_OBJECT:
		return check_type_object(property, value, ret_words);
	case SCHEMA_BOOLEAN:
	case SCHEMA_BOOLEAN_OR_AUTO:
		break;
	}
	return check_boolean(property, value, ret_words);
}

static const struct schema_property *find_property(const struct schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->property_count; i++)
		if (text_equal(schema->properties[i].name, name))
			return &schema->properties[i];
	return NULL;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool check_additional(const struct schema *schema, const char *name, const json_t *value, struct text *ret_words)
{
	CLEANUP_FREE const char **names = calloc(json_object_size(value) + 1, sizeof(*names));
	size_t count = 0;
	const char *key;
	json_t *member;

	if (!names) {
		text_append(ret_words, "out of memory");
		return false;
	}
	json_object_foreach((json_t *)value, key, member) if (!find_property(schema, key)) names[count++] = key;
	if (!count)
		return true;
	qsort(names, count, sizeof(*names), compare_names);
	begin(ret_words, name, value);
	text_append(ret_words, "Additional properties are not allowed (");
	for (size_t i = 0; i < count; i++) {
		json_t *text = json_string(names[i]);

		text_append(ret_words, i ? ", " : "");
		if (text)
			python_repr(ret_words, text);
		json_decref(text);
	}
	text_append(ret_words, count > 1 ? " were unexpected)" : " was unexpected)");
	return false;
}

static bool check_object(const struct schema *schema, const char *name, const json_t *value, struct text *ret_words)
{
	for (size_t i = 0; i < schema->property_count; i++) {
		const struct schema_property *property = &schema->properties[i];
		const json_t *member = json_object_get(value, property->name);

		if (member && !check_property(property, member, ret_words))
			return false;
	}
	for (size_t i = 0; i < schema->property_count; i++) {
		const struct schema_property *property = &schema->properties[i];

		if (!property->is_required || json_object_get(value, property->name))
			continue;
		begin(ret_words, name, value);
		text_append_format(ret_words, "'%s' is a required property", property->name);
		return false;
	}
	return schema->allows_more || check_additional(schema, name, value, ret_words);
}

bool schema_check(const struct schema *schema, const char *name, const json_t *value, struct text *ret_words)
{
	if (schema->is_anything || ((schema->is_null_allowed || schema->is_null_wanted) && json_is_null(value)))
		return true;
	if (schema->is_null_wanted) {
		begin_with_value(ret_words, name, value);
		text_append(ret_words, " is not of type 'null'");
		return false;
	}
	if (json_is_object(value))
		return check_object(schema, name, value, ret_words);
	begin_with_value(ret_words, name, value);
	text_append(ret_words,
		    schema->is_null_allowed ? " is not of type 'object', 'null'" : " is not of type 'object'");
	return false;
}

const struct schema *schema_for(const struct schema *schemas, size_t count, int minor)
{
	for (size_t i = 0; i < count; i++)
		if (minor >= schemas[i].first_minor && minor <= schemas[i].last_minor)
			return &schemas[i];
	return NULL;
}
