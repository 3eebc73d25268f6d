/* Who bears a token that none of the configured keys has made: published key sets are read anew, Keystone is asked, on threads of
 * their own; what was learnt is remembered. Behind api/auth/token_authority.h. */
#pragma once

#include "server/settings.h"

struct clock;
struct error;
struct identity;
struct log;
struct metrics;
struct token_authority;
struct token_verifier;

/* All borrowed, until destroy. */
struct identity_parts {
	const struct identity_settings *settings;
	struct token_verifier *tokens; /* gets the key sets */
	struct clock *clock;
	struct log *log;
	struct metrics *metrics; /* NULL: nobody measures */
};

/* Reads the key sets, files and URLs: one that cannot be read now is tried again; a file that is no key set is -EINVAL. */
int identity_create(const struct identity_parts *parts, struct identity **ret_identity, struct error *error);
const struct token_authority *identity_authority(const struct identity *identity);
/* Answers all who wait that nobody can tell now, and from then on everyone. */
void identity_stop(struct identity *identity);
void identity_destroy(struct identity *identity); /* stops first; NULL is fine */
