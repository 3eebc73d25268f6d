/* Inside the token files: keys, each with its one algorithm, and the digest of a token. */
#pragma once

#include <jwt.h>
#include <stddef.h>

#include "api/auth/token.h"

struct error;

enum key_family { KEY_FAMILY_HMAC, KEY_FAMILY_RSA, KEY_FAMILY_EC };

/* A row of the table of what we can verify. */
struct key_algorithm {
	const char *name;
	jwt_alg_t algorithm;
	enum key_family family;
	const char *curve; /* KEY_FAMILY_EC: OpenSSL's name */
	size_t coordinate; /* KEY_FAMILY_EC: bytes of a coordinate */
};

/* NULL for an algorithm that is none of ours ("none" is not). */
const struct key_algorithm *key_algorithm_find(const char *name);

struct key {
	char *kid; /* NULL: none */
	const struct key_algorithm *algorithm;
	char *verifying; /* the secret, or the public key as PEM */
	size_t verifying_length;
	char *signing; /* the secret, or the private key as PEM; NULL: cannot sign */
	size_t signing_length;
};

/* Reads and judges one key: its kind must fit its algorithm. `place` (the key's number, from 1) is for messages. */
int key_load(const struct token_key *settings, size_t place, struct key *ret_key, struct error *error);

/* The two numbers of a public key as its publisher lists them, big-endian: RSA's modulus and exponent, or a point's x and y. */
struct key_numbers {
	const unsigned char *bytes[2];
	size_t length[2];
};

#define KEY_RSA_BITS_MAX      8192 /* of a published key: verifying takes time with the square of it */
#define KEY_EXPONENT_BITS_MAX 64
#define KEY_NUMBER_MAX        (KEY_RSA_BITS_MAX / 8 + 1) /* bytes; some publishers put a zero in front */

/* Makes a key that verifies from a publisher's numbers; `algorithm` is RS* or ES*. The result has no kid and is the asker's to
 * clear. -EINVAL: an RSA key of a size or with an exponent that is not taken, or no point on the curve; -ENOMEM. Thread-safe. */
int key_from_numbers(const struct key_algorithm *algorithm, const struct key_numbers *numbers, struct key *ret_key,
		     struct error *error);
/* Wipes what is secret. */
void key_clear(struct key *key);

#define TOKEN_DIGEST_SIZE 32

/* SHA-256, its algorithm looked up once. */
struct digester;

struct digester *digester_create(void);
void digester_destroy(struct digester *digester);
/* Thread-safe; false when out of memory. */
bool digester_run(const struct digester *digester, const char *bytes, size_t length,
		  unsigned char ret_digest[TOKEN_DIGEST_SIZE]);
