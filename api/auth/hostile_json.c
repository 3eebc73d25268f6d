/* Bounds the nesting of JSON before it is parsed. The one difficulty: brackets in strings do not count. */
#include "api/auth/hostile_json.h"

#include <stdbool.h>

/* Where the text is no JSON the answer means nothing; the parser refuses it. */
static bool is_flat(const char *bytes, size_t size)
{
	size_t depth = 0;
	bool is_in_string = false;

	for (size_t i = 0; i < size; i++) {
		char byte = bytes[i];

		if (is_in_string && byte == '\\')
			i++;
		else if (byte == '"')
			is_in_string = !is_in_string;
		else if (!is_in_string && (byte == '[' || byte == '{') && ++depth > HOSTILE_JSON_DEPTH_MAX)
			return false;
		else if (!is_in_string && (byte == ']' || byte == '}') && depth > 0)
			depth--;
	}
	return true;
}

json_t *hostile_json_read(const char *bytes, size_t size, size_t flags)
{
	return is_flat(bytes, size) ? json_loadb(bytes, size, flags, NULL) : NULL;
}
