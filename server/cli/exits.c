/* The exit statuses, with what each means to a script, and whether what was printed arrived. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "server/cli/verb.h"

const struct verb_exit verb_exits[] = {
	{ EXIT_SUCCESS, "done" },
	{ EXIT_FAILURE, "it was refused or it failed; why stands on standard error" },
	{ EXIT_USAGE, "called wrongly" },
	{ EXIT_UNAVAILABLE, "the daemon cannot be reached, or is not ready" },
	{ EXIT_FORBIDDEN, "not allowed: by the token, or for want of being root" },
	{ EXIT_CONFIGURATION, "the configuration is wrong, or the daemon cannot be started with it" },
	{ EXIT_INTERRUPTED, "interrupted while waiting; the move goes on" },
};
const size_t verb_exit_count = ARRAY_LENGTH(verb_exits);

int verb_output_status(void)
{
	/* A long output is written before the end, and the last part may be written though an earlier one was not. */
	return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
