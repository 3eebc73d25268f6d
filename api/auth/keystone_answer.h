/* What Keystone says of a token, as a caller. */
#pragma once

#include "api/auth/caller.h"

struct error;

/* The body of a 200 to GET /v3/auth/tokens. The result is the asker's to release. -EBADMSG: it is no such document.
 * Thread-safe. */
int keystone_answer_read(const char *body, size_t size, struct caller **ret_caller, struct error *error);
