/* Bearer tokens: signed JWTs in, callers out. Each key is pinned to its one algorithm; what the token's header says only
 * selects among the keys. A verified token is remembered by its SHA-256 digest until it expires, so that a client pays
 * for its signature once.
 *
 *     CLEANUP_CALLER struct caller *caller = NULL;
 *     int result = token_verify(verifier, text, clock_now_us(clock), &caller, error);
 *     if (result == -ENOMEM)
 *         ... 503
 *     if (result < 0)
 *         ... 401 for the client; error->text for the log only
 */
#pragma once

#include "api/auth/caller.h"

struct error;

#define TOKEN_TEXT_MAX 8192 /* bytes; a longer one is refused before anything is read of it */

/* One key. Exactly one of `secret` and `secret_file` for HS*, exactly one of `pem` and `pem_file` for RS* and ES*. */
struct token_key {
	const char *kid; /* a token that names a kid is tried with that key; NULL: with a kid that no key has */
	const char *algorithm; /* HS256 HS384 HS512 RS256 RS384 RS512 ES256 ES384 ES512 */
	const char *secret; /* at least 32 bytes */
	const char *secret_file; /* one trailing newline is not part of the secret */
	const char *pem; /* a public key, a certificate, or a private key, which also signs (token_make) */
	const char *pem_file;
};

/* Names of claims; a dot goes down into an object ("realm_access.roles"), but a claim whose own name has the dots
 * ("https://example.org/roles") is found first. NULL: the default. */
struct token_claim_names {
	const char *user; /* "sub" */
	const char *project; /* "project_id" */
	const char *roles; /* "roles": strings, objects with a "name", or one text separated by blanks or commas */
	const char *domain; /* "domain_id" */
	const char *system_scope; /* "system_scope": "all", or an object {"all": true} */
	const char *user_domain; /* "user_domain_id" */
	const char *project_domain; /* "project_domain_id" */
	const char *is_admin_project; /* "is_admin_project" */
};

/* Everything is copied; files are read once, by token_verifier_create. */
struct token_settings {
	const struct token_key *keys;
	size_t key_count; /* at least 1, unless others vouch for tokens */
	size_t key_set_count; /* published sets that token_verifier_set_keys will fill */
	bool has_authority; /* somebody else may vouch for a token: no key is needed */
	const char *issuer; /* NULL: `iss` is not looked at */
	const char *audience; /* NULL: `aud` is not looked at; else `aud` is it or a list that has it */
	int64_t leeway_s; /* for exp and nbf; 0 … 600 */
	struct token_claim_names claims;
	size_t remembered_max; /* verified tokens that are remembered; 0: TOKEN_REMEMBERED_DEFAULT */
};

#define TOKEN_REMEMBERED_DEFAULT 4096
#define TOKEN_KEY_SETS_MAX       8

struct metric_family;
struct metrics;
struct token_verifier;

/* -EINVAL: what the settings or a key lack, with the key's place and file; -errno of a file; -ENOMEM. */
int token_verifier_create(const struct token_settings *settings, struct token_verifier **ret_verifier,
			  struct error *error);
void token_verifier_destroy(struct token_verifier *verifier);

/* From now on checks are counted there; before the first. The metrics outlive the verifier. */
int token_verifier_measure(struct token_verifier *verifier, struct metrics *metrics, struct error *error);
/* How many tokens a memory holds, for those who keep one. */
enum token_store { TOKEN_STORE_OWN, TOKEN_STORE_KEYSTONE, TOKEN_STORE_MAX };
int token_store_gauge(struct metrics *metrics, struct metric_family **ret_gauge, struct error *error);

/* The bearer of `text` at the time `now_us` (UTC). The result is the asker's to release. Thread-safe.
 *
 * -EBADMSG      no JWT, or one with claims of the wrong form
 * -EKEYREJECTED no key of ours made it: algorithm, kid or signature
 * -EKEYEXPIRED  its time is over
 * -EACCES       not yet valid, of another issuer, for another audience
 * -ENOMEM       nothing is said about the token
 */
int token_verify(struct token_verifier *verifier, const char *text, int64_t now_us, struct caller **ret_caller,
		 struct error *error);

/* Puts a published set (JWK Set, RFC 7517) in the place of the one before; `place` below key_set_count. -EBADMSG: it is no such
 * set, and the one before stays. Where the set is another than before, verified tokens are verified again, and *ret_excluded
 * names the keys in it that cannot be used, each with its reason, for the log (the asker's to free); else it is NULL.
 * Thread-safe. */
int token_verifier_set_keys(struct token_verifier *verifier, size_t place, const char *text, size_t size,
			    char **ret_excluded, struct error *error);
/* Whether a published set might know a key that the token names, and does not: a set that is read anew may have it. */
bool token_names_unknown_key(struct token_verifier *verifier, const char *text);

/* How many tokens are remembered right now, and how many questions were answered from memory or by a signature. */
struct token_statistics {
	size_t remembered;
	uint64_t recalled;
	uint64_t verified;
	uint64_t refused;
};

void token_statistics(struct token_verifier *verifier, struct token_statistics *ret_statistics);

/* A token for trying out and for tests, signed by one of the verifier's keys that can sign (a secret or a private key):
 * the one named `kid`, or the first. It carries the configured issuer and audience, and `caller`'s fields under the
 * configured claim names; `caller->expires_us` is not read, `exp` is `now_us` and the lifetime. The result is the
 * asker's to free. -ENOKEY: no key can sign. */
int token_make(struct token_verifier *verifier, const struct caller *caller, const char *kid, int64_t now_us,
	       int64_t lifetime_s, char **ret_text, struct error *error);
