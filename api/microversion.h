/* Microversions: which one a request asks for by its headers, and which ones there are. */
#pragma once

#include "base/error.h"

#define MICROVERSION_MINOR_MIN 1
#define MICROVERSION_MINOR_MAX 104
#define MICROVERSION_TEXT_SIZE 64

struct microversion {
	int minor; /* of 2.minor */
	char text[MICROVERSION_TEXT_SIZE]; /* as asked for; what a 406 echoes */
};

/* What the two headers ask for; either may be NULL. `header` (OpenStack-API-Version) counts when it has a usable `compute N`,
 * else `older_header` (X-OpenStack-Nova-API-Version), else 2.1. -EINVAL: malformed, with Nova's words of the 400;
 * -ERANGE: none of ours, with Nova's words of the 406 (`ret_version->text` is filled then too). */
int microversion_read(const char *header, const char *older_header, struct microversion *ret_version,
		      struct error *error);
