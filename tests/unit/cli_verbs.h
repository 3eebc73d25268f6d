/* Verbs that do nothing, with an argument of each kind: what help, manual and completion are made of. */
#pragma once

#include "server/cli/verb.h"

/* Ends with NULL: look, guest (move, stop), disk (the same two). */
extern const struct verb *const cli_verbs[];
