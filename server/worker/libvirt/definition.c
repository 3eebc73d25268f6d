/* Questions to a guest's definition. Its difficulty: a disk is named by a path or by pool and volume, and what it rests on by
 * either. */
#include "server/worker/libvirt/definition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "server/worker/libvirt/xml.h"

/* The disks' own sources and those of their backing chains. */
#define SOURCES "/domain/devices/disk//source"

static xmlDocPtr parse(const char *definition)
{
	return xmlReadMemory(definition, (int)strlen(definition), NULL, NULL,
			     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

static xmlXPathObjectPtr select_nodes(xmlXPathContextPtr context, const char *path)
{
	return context ? xmlXPathEvalExpression((const xmlChar *)path, context) : NULL;
}

static int count_of(const xmlXPathObject *found)
{
	return found->nodesetval ? found->nodesetval->nodeNr : 0;
}

char *definition_uuid(const char *definition)
{
	CLEANUP_DOCUMENT xmlDocPtr document = parse(definition);
	CLEANUP_CONTEXT xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	CLEANUP_OBJECT xmlXPathObjectPtr found = select_nodes(context, "normalize-space(/domain/uuid)");

	return found && found->stringval && *found->stringval ? strdup((const char *)found->stringval) : NULL;
}

int definition_has_tpm_state(const char *definition)
{
	CLEANUP_DOCUMENT xmlDocPtr document = parse(definition);
	CLEANUP_CONTEXT xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	CLEANUP_OBJECT
	xmlXPathObjectPtr found = select_nodes(context, "/domain/devices/tpm/backend[@type='emulator']");

	return found ? count_of(found) > 0 : -EINVAL;
}

static bool has_value(xmlNodePtr node, const char *attribute, const char *value)
{
	xmlChar *text = value ? xmlGetNoNsProp(node, (const xmlChar *)attribute) : NULL;
	bool is_equal = text && text_equal((const char *)text, value);

	xmlFree(text);
	return is_equal;
}

int definition_uses(const char *definition, const struct definition_volume *volume)
{
	CLEANUP_DOCUMENT xmlDocPtr document = parse(definition);
	CLEANUP_CONTEXT xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
	CLEANUP_OBJECT xmlXPathObjectPtr found = select_nodes(context, SOURCES);

	if (!found)
		return -EINVAL;
	for (int i = 0; i < count_of(found); i++) {
		xmlNodePtr source = found->nodesetval->nodeTab[i];

		if (has_value(source, "file", volume->path) || has_value(source, "dev", volume->path)
		    || (has_value(source, "pool", volume->pool) && has_value(source, "volume", volume->name)))
			return 1;
	}
	return 0;
}
