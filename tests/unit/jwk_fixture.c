/* Keys as publishers list them. */
#include "jwk_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define BYTES_MAX 16384

void append_base64url(struct text *text, const void *bytes, size_t length)
{
	char encoded[BYTES_MAX / 3 * 4 + 8];

	assert_true(length <= BYTES_MAX);
	EVP_EncodeBlock((unsigned char *)encoded, bytes, (int)length);
	for (char *place = encoded; *place && *place != '='; place++)
		text_append_bytes(text, *place == '+' ? "-" : *place == '/' ? "_" : place, 1);
}

/* `size` 0: as many bytes as the number has. */
static void write_number(EVP_PKEY *key, const char *name, size_t size, char *ret_text)
{
	BIGNUM *number = NULL;
	unsigned char bytes[BYTES_MAX];
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
	int length = BN_bn2binpad(number, bytes, size ? (int)size : BN_num_bytes(number));
	assert_true(length > 0);
	append_base64url(&text, bytes, (size_t)length);
	assert_true(text_copy(ret_text, JWK_MEMBER_MAX, text.data));
	BN_free(number);
}

void jwk_members_of(EVP_PKEY *key, struct jwk_members *ret_members)
{
	*ret_members = (struct jwk_members){ .crv = NULL };
	if (EVP_PKEY_is_a(key, "RSA")) {
		write_number(key, OSSL_PKEY_PARAM_RSA_N, 0, ret_members->n);
		write_number(key, OSSL_PKEY_PARAM_RSA_E, 0, ret_members->e);
		return;
	}
	size_t size = ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;

	ret_members->crv = size == 32 ? "P-256" : size == 48 ? "P-384" : "P-521";
	write_number(key, OSSL_PKEY_PARAM_EC_PUB_X, size, ret_members->x);
	write_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, size, ret_members->y);
}

char *jwk_of(const struct jwk_members *members, const char *more)
{
	char *text = members->crv ? text_format("{%s\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}", more,
						members->crv, members->x, members->y)
				  : text_format("{%s\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", more, members->n,
						members->e);

	assert_non_null(text);
	return text;
}

char *private_pem_of(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	long length = BIO_get_mem_data(bio, &data);
	char *text = strndup(data, (size_t)length);

	BIO_free(bio);
	return text;
}

unsigned int next_number(unsigned int *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}
