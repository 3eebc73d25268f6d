/* Keys as publishers list them, for tests. */
#pragma once

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stddef.h>

#include "base/text.h"

/* Without padding. */
void append_base64url(struct text *text, const void *bytes, size_t length);

#define JWK_MEMBER_MAX 1400 /* so that one can be too long */

/* The public members of a key; each is a text in base64url. Those of the other kind are "". */
struct jwk_members {
	char n[JWK_MEMBER_MAX], e[JWK_MEMBER_MAX], x[JWK_MEMBER_MAX], y[JWK_MEMBER_MAX];
	const char *crv;
};

void jwk_members_of(EVP_PKEY *key, struct jwk_members *ret_members);
/* A member of a set; `more` goes in front of the rest: "\"kid\":\"a\",". The asker's to free. */
char *jwk_of(const struct jwk_members *members, const char *more);
/* PEM of the private key. The asker's to free. */
char *private_pem_of(EVP_PKEY *key);

/* Numbers by a fixed seed, the same on each machine. */
unsigned int next_number(unsigned int *state);
