/* Schemas of request bodies as tables, refused in the words of jsonschema as Nova prints them. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/text.h"

enum schema_kind {
	SCHEMA_HOST, /* null, or 1-255 characters of [a-zA-Z0-9-._] */
	SCHEMA_BOOLEAN, /* a boolean or one of Nova's words for it */
	SCHEMA_BOOLEAN_OR_AUTO,
	SCHEMA_HOST_NAME, /* as a host, but not null */
	SCHEMA_WORDS, /* 1-255 characters */
	SCHEMA_SERVICE_STATUS, /* enabled or disabled */
	SCHEMA_OBJECT, /* any object */
	SCHEMA_SERVER_STATE, /* active or error */
	SCHEMA_REBOOT_TYPE, /* SOFT or HARD, in Nova's three ways of writing */
};

struct schema_property {
	const char *name;
	enum schema_kind kind;
	bool is_required;
};

/* The value of an action: an object with these properties. */
struct schema {
	int first_minor; /* microversions 2.first to 2.last */
	int last_minor;
	bool is_anything; /* every value is taken */
	bool is_null_allowed;
	bool is_null_wanted; /* null and nothing else */
	bool allows_more; /* properties than these */
	const struct schema_property *properties; /* in the order in which errors are told */
	size_t property_count;
};

/* The schemas of one resource's bodies, by microversion. */
struct schema_table {
	const struct schema *schemas;
	size_t count;
};

/* True when `value`, which stands under `name` (NULL: it is the whole body), is good; otherwise false with the words of the
 * 400 in `ret_words`. */
bool schema_check(const struct schema *schema, const char *name, const json_t *value, struct text *ret_words);
/* The row for a microversion; NULL when there is none. */
const struct schema *schema_for(const struct schema *schemas, size_t count, int minor);
/* What a checked boolean says; false for NULL. */
bool schema_boolean(const json_t *value);

extern const struct schema_table service_bodies; /* of PUT /os-services/{id} */
extern const struct schema_table server_bodies; /* of POST /servers and PUT /servers/{id} */
