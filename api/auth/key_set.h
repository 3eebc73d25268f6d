/* Inside the token files: public keys as their publisher lists them (JWK Set, RFC 7517). */
#pragma once

#include <stddef.h>

#include "api/auth/token_key.h"

struct error;
struct key_set;

#define KEY_SET_MAX 64 /* keys of one set */

/* Each key has one algorithm: its `alg`, or what its kind implies (RS256; ES256, ES384, ES512 by the curve). A key that cannot be
 * used is excluded, and the others stay. -EBADMSG: it is no key set, or none of its keys is of use, with the reasons. */
int key_set_read(const char *text, size_t size, struct key_set **ret_set, struct error *error);
void key_set_destroy(struct key_set *set); /* NULL is fine */
size_t key_set_count(const struct key_set *set);
const struct key *key_set_key(const struct key_set *set, size_t place);
/* The excluded keys, each with its reason, for the log; of many only the first. "" when there are none; keys for encryption,
 * which many publishers list, are not named. */
const char *key_set_excluded(const struct key_set *set);
