/* Microversions by headers. The difficulty is which malformed header counts as absent and which is refused. */
#include "api/microversion.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/text.h"

#define BLANKS " \t"
/* More are refused as no number; all that one would ask for in earnest has three. */
#define MINOR_DIGITS_MAX 50

/* MajorNum.MinorNum without leading zeros; a minor of 0 alone is a number too. */
static bool read_numbers(const char *text, size_t length, long *ret_major, long *ret_minor)
{
	size_t major_length = strspn(text, "0123456789");
	const char *minor = text + major_length + 1;

	if (!major_length || major_length > 4 || text[0] == '0' || major_length >= length || text[major_length] != '.')
		return false;
	size_t minor_length = strspn(minor, "0123456789");
	if (!minor_length || minor_length > MINOR_DIGITS_MAX || major_length + 1 + minor_length != length)
		return false;
	if (minor[0] == '0' && minor_length > 1)
		return false;
	*ret_major = strtol(text, NULL, 10);
	*ret_minor = strtol(minor, NULL, 10); /* too long a one is the highest there is */
	return true;
}

static int read_version(const char *text, size_t length, struct microversion *ret_version, struct error *error)
{
	long major = 2;
	long minor = MICROVERSION_MINOR_MAX;
	bool is_latest = length == strlen("latest") && strncmp(text, "latest", length) == 0;

	if (!is_latest && !read_numbers(text, length, &major, &minor))
		return error_set(error, EINVAL,
				 "API Version String %.*s is of invalid format. Must be of format MajorNum.MinorNum.",
				 (int)(length < 1024 ? length : 1024), text);
	if (is_latest)
		snprintf(ret_version->text, sizeof(ret_version->text), "2.%d", MICROVERSION_MINOR_MAX);
	else
		snprintf(ret_version->text, sizeof(ret_version->text), "%.*s", (int)length, text);
	if (major != 2 || minor < MICROVERSION_MINOR_MIN || minor > MICROVERSION_MINOR_MAX)
		return error_set(error, ERANGE,
				 "Version %s is not supported by the API. Minimum is 2.%d and maximum is 2.%d.",
				 ret_version->text, MICROVERSION_MINOR_MIN, MICROVERSION_MINOR_MAX);
	ret_version->minor = (int)minor;
	return 0;
}

static void trim(const char **text, size_t *length)
{
	while (*length && strchr(BLANKS, (*text)[0])) {
		(*text)++;
		(*length)--;
	}
	while (*length && strchr(BLANKS, (*text)[*length - 1]))
		(*length)--;
}

/* The last `compute VERSION` of the comma-separated entries; NULL when there is none. */
static const char *find_compute(const char *header, size_t *ret_length)
{
	const char *found = NULL;

	for (const char *entry = header; entry; entry = strchr(entry, ',') ? strchr(entry, ',') + 1 : NULL) {
		size_t length = strcspn(entry, ",");
		const char *text = entry;

		trim(&text, &length);
		if (length <= strlen("compute") || strncasecmp(text, "compute", strlen("compute")) != 0
		    || !strchr(BLANKS, text[strlen("compute")]))
			continue;
		text += strlen("compute");
		length -= strlen("compute");
		trim(&text, &length);
		found = text;
		*ret_length = length;
	}
	return found;
}

int microversion_read(const char *header, const char *older_header, struct microversion *ret_version,
		      struct error *error)
{
	size_t length = 0;
	const char *text = header ? find_compute(header, &length) : NULL;

	if (!text && older_header) {
		const char *comma = strrchr(older_header, ',');

		text = comma ? comma + 1 : older_header; /* of several the last */
		length = strlen(text);
		trim(&text, &length);
	}
	if (!text) {
		*ret_version = (struct microversion){ .minor = MICROVERSION_MINOR_MIN, .text = "2.1" };
		return 0;
	}
	return read_version(text, length, ret_version, error);
}
