/* Inside the token files: JSON that strangers wrote. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#define HOSTILE_JSON_DEPTH_MAX 32 /* arrays and objects in each other */

/* As json_loadb, but NULL for what is nested deeper: jansson and those who walk through its values use the stack for each level.
 * The result is the asker's to release. Thread-safe. */
json_t *hostile_json_read(const char *bytes, size_t size, size_t flags);
