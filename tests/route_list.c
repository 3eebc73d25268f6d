/* What the service takes, printed as JSON from the very tables that it works by: its routes with their microversions, query
 * parameters, bodies and actions, the bodies as JSON Schema. The OpenAPI document is held against it. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/microversion.h"
#include "api/route_table.h"
#include "base/cleanup.h"

#define NAME "\"minLength\": 1, \"maxLength\": 255, \"pattern\": \"^[a-zA-Z0-9-._]*$\""

/* Each kind as JSON Schema. Booleans as words have a part of their own in the document. */
static const char *const kinds[] = {
	[SCHEMA_HOST] = "{\"type\": [\"string\", \"null\"], " NAME "}",
	[SCHEMA_BOOLEAN] = "{\"$ref\": \"#/components/schemas/Boolean\"}",
	[SCHEMA_BOOLEAN_OR_AUTO] = "{\"$ref\": \"#/components/schemas/BooleanOrAuto\"}",
	[SCHEMA_HOST_NAME] = "{\"type\": \"string\", " NAME "}",
	[SCHEMA_WORDS] = "{\"type\": \"string\", \"minLength\": 1, \"maxLength\": 255}",
	[SCHEMA_SERVICE_STATUS] = "{\"type\": \"string\", \"enum\": [\"enabled\", \"disabled\"]}",
	[SCHEMA_OBJECT] = "{\"type\": \"object\"}",
	[SCHEMA_SERVER_STATE] = "{\"type\": \"string\", \"enum\": [\"active\", \"error\"]}",
	[SCHEMA_REBOOT_TYPE] =
		"{\"type\": \"string\", \"enum\": [\"HARD\", \"Hard\", \"hard\", \"SOFT\", \"Soft\", \"soft\"]}",
};

static json_t *schema_document(const struct schema *schema)
{
	if (!schema || schema->is_anything)
		return json_object();
	if (schema->is_null_wanted)
		return json_pack("{s:s}", "type", "null");

	json_t *properties = json_object(), *required = json_array();

	for (size_t i = 0; i < schema->property_count; i++) {
		const struct schema_property *property = &schema->properties[i];

		json_object_set_new(properties, property->name, json_loads(kinds[property->kind], 0, NULL));
		if (property->is_required)
			json_array_append_new(required, json_string(property->name));
	}
	return json_pack("{s:o, s:o, s:o, s:b}", "type",
			 schema->is_null_allowed ? json_pack("[s, s]", "object", "null") : json_string("object"),
			 "properties", properties, "required", required, "additionalProperties",
			 (int)schema->allows_more);
}

static json_t *range(int first, int last)
{
	return json_pack("[i, i]", first < MICROVERSION_MINOR_MIN ? MICROVERSION_MINOR_MIN : first,
			 last > MICROVERSION_MINOR_MAX ? MICROVERSION_MINOR_MAX : last);
}

/* From `first_minor` on; without a schema any value is taken. */
static json_t *bodies(const struct schema *schemas, size_t count, int first_minor)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		if (schemas[i].last_minor >= first_minor)
			json_array_append_new(
				list, json_pack("{s:o, s:o}", "minors",
						range(schemas[i].first_minor > first_minor ? schemas[i].first_minor
											   : first_minor,
						      schemas[i].last_minor),
						"schema", schema_document(&schemas[i])));
	if (!count)
		json_array_append_new(list,
				      json_pack("{s:o, s:o}", "minors", range(first_minor, MICROVERSION_MINOR_MAX),
						"schema", schema_document(NULL)));
	return list;
}

static json_t *actions(const struct server_action *const *list)
{
	json_t *documents = json_object();

	for (; *list; list++)
		json_object_set_new(documents, (*list)->name,
				    json_pack("{s:i, s:o}", "status", (*list)->status, "bodies",
					      bodies((*list)->schemas, (*list)->schema_count, (*list)->first_minor)));
	return documents;
}

static json_t *parameters(const struct parameter_table *table)
{
	static const char *const names[] = {
		[PARAMETER_TEXT] = "text",
		[PARAMETER_LIMIT] = "limit",
		[PARAMETER_TIME] = "time",
		[PARAMETER_PATTERN] = "pattern",
	};
	json_t *list = json_object();

	for (size_t i = 0; i < table->count; i++)
		json_object_set_new(list, table->rules[i].name,
				    json_pack("{s:o, s:s}", "minors",
					      range(table->rules[i].since_minor, MICROVERSION_MINOR_MAX), "kind",
					      names[table->rules[i].kind]));
	return json_pack("{s:i, s:o}", "strict_since", table->strict_since_minor, "list", list);
}

static json_t *route_document(const struct route *route)
{
	json_t *document = json_pack("{s:s, s:s, s:o}", "method", route->method, "path", route->pattern, "minors",
				     range(route->first_minor, route->last_minor));

	if (route->parameters)
		json_object_set_new(document, "parameters", parameters(route->parameters));
	if (route->bodies)
		json_object_set_new(document, "bodies",
				    bodies(route->bodies->schemas, route->bodies->count, route->first_minor));
	if (route->actions)
		json_object_set_new(document, "actions", actions(route->actions));
	return document;
}

int main(void)
{
	size_t count;
	const struct route *routes = route_table(&count);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, route_document(&routes[i]));
	json_dumpf(list, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(list);
	return EXIT_SUCCESS;
}
