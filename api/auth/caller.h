/* Who asks: what a verified token says of its bearer. Made by the token verifier, shared by every request that brings
 * the same token, never changed, so that any thread may read it while it holds a reference. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALLER_ID_MAX   255 /* bytes of an id or a role's name, without the terminator */
#define CALLER_ROLE_MAX 256 /* roles of one token */

/* Ids are NULL where the token does not say; never empty. */
struct caller {
	const char *user_id; /* never NULL in a caller that comes from a token */
	const char *user_domain_id;
	const char *project_id; /* NULL: the token is of a domain, of the system, or unscoped */
	const char *project_domain_id;
	const char *domain_id; /* the domain that the token is scoped to; no project's or user's domain */
	const char *system_scope; /* "all": a system token */
	const char *const *roles; /* in the token's order; NULL when there are none */
	size_t role_count;
	bool is_admin_project; /* true where the token does not say */
	int64_t expires_us; /* UTC; INT64_MAX: never */
};

/* Whether an id or a role's name may be taken from others: at most CALLER_ID_MAX bytes, and no control characters, so that it is
 * fit for logs, rows and headers. */
bool caller_is_good_text(const char *text);
/* Copies `fields` with all its texts into a caller with one reference. NULL when out of memory. Thread-safe. */
struct caller *caller_create(const struct caller *fields);
/* One more owner; returns `caller`. */
struct caller *caller_reference(struct caller *caller);
/* One owner less; the last frees it. NULL is nothing. */
void caller_release(struct caller *caller);

static inline void caller_cleanup(struct caller **caller)
{
	caller_release(*caller);
}

#define CLEANUP_CALLER __attribute__((cleanup(caller_cleanup)))

/* Compared as it stands; policies compare without regard to case and are the place to decide by. */
bool caller_has_role(const struct caller *caller, const char *role);

/* The caller as oslo.policy's "creds", in the shape of Nova's RequestContext.to_policy_values(): what a rule can name.
 * `is_admin` is Nova's context.is_admin (policy_is_admin). The result is the asker's to release; NULL when out of
 * memory. Not needed for a check: policy_check reads the caller itself. */
json_t *caller_credentials(const struct caller *caller, bool is_admin);
