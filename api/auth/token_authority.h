/* Who vouches for a token that no key of ours has made: asked by the api, answered by the server's identity room, which alone
 * speaks to others (an identity service, the publisher of a key set). */
#pragma once

#include "api/auth/caller.h"

struct error;

/* Called exactly once for each question, on any thread, also before `ask` returns; must not block. 0: `caller` is the bearer,
 * with a reference for the taker. -EHOSTUNREACH: nobody can tell now, ask again later. Anything else: the token is refused.
 * `error` has the words for the log. */
typedef void (*token_answer_fn)(void *context, int result, struct caller *caller, const struct error *error);

struct token_authority {
	/* Does not block; copies the token. */
	void (*ask)(void *context, const char *token, token_answer_fn answer, void *answer_context);
	void *context;
};
