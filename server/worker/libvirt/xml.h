/* libxml2's objects, released by their scope; for the files of this room that read documents of libvirt's. */
#pragma once

#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "base/cleanup.h"

static inline void xml_cleanup_document(xmlDocPtr *document)
{
	xmlFreeDoc(*document);
}

static inline void xml_cleanup_context(xmlXPathContextPtr *context)
{
	xmlXPathFreeContext(*context);
}

static inline void xml_cleanup_object(xmlXPathObjectPtr *object)
{
	xmlXPathFreeObject(*object);
}

#define CLEANUP_DOCUMENT CLEANUP(xml_cleanup_document)
#define CLEANUP_CONTEXT  CLEANUP(xml_cleanup_context)
#define CLEANUP_OBJECT   CLEANUP(xml_cleanup_object)
