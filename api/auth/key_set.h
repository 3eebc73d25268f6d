/* Inside the token files: public keys as their publisher lists them (JWK Set, RFC 7517). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "api/auth/token_key.h"

struct error;
struct key_set;

#define KEY_SET_MAX 64 /* keys of one set */

/* Keys for encryption and of kinds other than RSA and EC are left out; each of the others has one algorithm: its `alg`, or
 * what its kind implies (RS256; ES256, ES384, ES512 by the curve). -EBADMSG: it is no key set, or none of its keys is of use. */
int key_set_read(const char *text, size_t size, struct key_set **ret_set, struct error *error);
void key_set_destroy(struct key_set *set); /* NULL is fine */
size_t key_set_count(const struct key_set *set);
/* NULL: the key has none. */
const char *key_set_kid(const struct key_set *set, size_t place);
const struct key_algorithm *key_set_algorithm(const struct key_set *set, size_t place);
/* Whether that key made the token, whose header names the key's algorithm. Thread-safe. */
bool key_set_verifies(const struct key_set *set, size_t place, const char *token);
