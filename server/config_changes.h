/* When the configuration's files change, and what that comes to. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/config.h"

/* A number that changes with any file that the configuration was read from (also a policy file that is not there yet, also a
 * key that is written anew): by what the file system tells of it, not by its content. */
uint64_t config_fingerprint(const struct config *config);

/* Told of each key whose value differs. `needs_restart`: the new value takes effect at the next start only. */
typedef void (*config_change_fn)(void *context, const char *key, const char *before, const char *after,
				 bool needs_restart);
/* -ENOMEM. */
int config_compare(const struct config *before, const struct config *after, config_change_fn on_change, void *context,
		   struct error *error);
