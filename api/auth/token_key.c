/* Keys and digests: the only file that sees OpenSSL. Its one difficulty is that libjwt takes any bytes for any
 * algorithm; so whatever a key is has to be found out here, once: an RSA key is for RS*, a key on the right curve for
 * ES*, and nothing that looks like a PEM is ever a secret. */
#include "api/auth/token_key.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

#define KEY_FILE_MAX   65536 /* bytes */
#define SECRET_MIN     32 /* bytes; RFC 7518 wants at least the size of the hash */
#define RSA_BITS_MIN   2048
#define CURVE_NAME_MAX 64
#define POINT_MAX      (1 + 2 * 66) /* bytes: how it is written, x, y */
#define UNCOMPRESSED   4

static const struct key_algorithm algorithms[] = {
	{ "HS256", JWT_ALG_HS256, KEY_FAMILY_HMAC, NULL, 0 },
	{ "HS384", JWT_ALG_HS384, KEY_FAMILY_HMAC, NULL, 0 },
	{ "HS512", JWT_ALG_HS512, KEY_FAMILY_HMAC, NULL, 0 },
	{ "RS256", JWT_ALG_RS256, KEY_FAMILY_RSA, NULL, 0 },
	{ "RS384", JWT_ALG_RS384, KEY_FAMILY_RSA, NULL, 0 },
	{ "RS512", JWT_ALG_RS512, KEY_FAMILY_RSA, NULL, 0 },
	{ "ES256", JWT_ALG_ES256, KEY_FAMILY_EC, "prime256v1", 32 },
	{ "ES384", JWT_ALG_ES384, KEY_FAMILY_EC, "secp384r1", 48 },
	{ "ES512", JWT_ALG_ES512, KEY_FAMILY_EC, "secp521r1", 66 },
};

const struct key_algorithm *key_algorithm_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	return NULL;
}

static void wipe_text(char **text)
{
	if (*text) {
		OPENSSL_cleanse(*text, strlen(*text));
		free(*text);
	}
}

static void cleanup_bio(BIO **bio)
{
	BIO_free_all(*bio);
}

static void cleanup_public(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void cleanup_certificate(X509 **certificate)
{
	X509_free(*certificate);
}

static void cleanup_key_context(EVP_PKEY_CTX **context)
{
	EVP_PKEY_CTX_free(*context);
}

static void cleanup_number(BIGNUM **number)
{
	BN_free(*number);
}

static void cleanup_builder(OSSL_PARAM_BLD **builder)
{
	OSSL_PARAM_BLD_free(*builder);
}

static void cleanup_parameters(OSSL_PARAM **parameters)
{
	OSSL_PARAM_free(*parameters);
}

#define CLEANUP_WIPE        __attribute__((cleanup(wipe_text)))
#define CLEANUP_BIO         __attribute__((cleanup(cleanup_bio)))
#define CLEANUP_PKEY        __attribute__((cleanup(cleanup_public)))
#define CLEANUP_CERTIFICATE __attribute__((cleanup(cleanup_certificate)))

static int read_key_file(const char *path, char **ret_text, struct error *error)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	CLEANUP_WIPE char *text = calloc(1, KEY_FILE_MAX + 1);
	size_t length;

	if (!file)
		return error_set_errno(error, errno, "cannot open the key file %s", path);
	if (!text)
		return error_no_memory(error);
	length = fread(text, 1, KEY_FILE_MAX, file);
	if (ferror(file))
		return error_set_errno(error, EIO, "cannot read the key file %s", path);
	if (!feof(file))
		return error_set(error, EFBIG, "the key file %s is longer than %d bytes: it is no key", path,
				 KEY_FILE_MAX - 1);
	if (strlen(text) != length)
		return error_set(error, EINVAL, "the key file %s holds a zero byte: secrets and keys are texts", path);
	if (length == 0)
		return error_set(error, EINVAL, "the key file %s is empty", path);
	*ret_text = TAKE_POINTER(text);
	return 0;
}

/* The one of text and file that is given, as a text. */
static int read_material(const struct token_key *settings, const char *text, const char *path, const char *what,
			 char **ret_text, struct error *error)
{
	if (settings->secret && settings->pem)
		return error_set(error, EINVAL, "it has a secret and a key: give one of them");
	if (!text == !path)
		return error_set(error, EINVAL, "%s needs %s or %s_file, and only one of them", settings->algorithm,
				 what, what);
	if (path)
		return read_key_file(path, ret_text, error);
	*ret_text = strdup(text);
	return *ret_text ? 0 : error_no_memory(error);
}

static int load_secret(const struct token_key *settings, struct key *key, struct error *error)
{
	CLEANUP_WIPE char *secret = NULL;
	size_t length;
	int result;

	if (settings->pem || settings->pem_file)
		return error_set(error, EINVAL, "%s takes a secret, never a public or private key: use RS* or ES*",
				 settings->algorithm);
	result = read_material(settings, settings->secret, settings->secret_file, "secret", &secret, error);
	if (result < 0)
		return result;
	length = strlen(secret);
	if (settings->secret_file && length > 0 && secret[length - 1] == '\n')
		secret[--length] = '\0';
	if (strstr(secret, "-----BEGIN"))
		return error_set(error, EINVAL,
				 "the secret of %s is a PEM: a key that others may know is no secret; use RS* or ES*",
				 settings->algorithm);
	if (length < SECRET_MIN)
		return error_set(error, EINVAL,
				 "the secret of %s has %zu bytes: it needs at least %d, and they should be random",
				 settings->algorithm, length, SECRET_MIN);
	key->signing = strdup(secret);
	if (!key->signing)
		return error_no_memory(error);
	key->signing_length = length;
	key->verifying = TAKE_POINTER(secret);
	key->verifying_length = length;
	return 0;
}

/* An encrypted key asks for its passphrase here, and gets none. */
static int no_passphrase(char *buffer, int size, int is_writing, void *context)
{
	(void)buffer;
	(void)size;
	(void)is_writing;
	(void)context;
	return -1;
}

static BIO *open_pem(const char *pem)
{
	return BIO_new_mem_buf(pem, -1);
}

/* A private key, a public one, or a certificate's. */
static EVP_PKEY *parse_pem(const char *pem, bool *ret_is_private)
{
	CLEANUP_BIO BIO *private_bio = open_pem(pem);
	CLEANUP_BIO BIO *public_bio = open_pem(pem);
	CLEANUP_BIO BIO *certificate_bio = open_pem(pem);
	CLEANUP_CERTIFICATE X509 *certificate = NULL;
	EVP_PKEY *key;

	if (!private_bio || !public_bio || !certificate_bio)
		return NULL;
	key = PEM_read_bio_PrivateKey(private_bio, NULL, no_passphrase, NULL);
	*ret_is_private = key != NULL;
	if (!key)
		key = PEM_read_bio_PUBKEY(public_bio, NULL, no_passphrase, NULL);
	if (!key) {
		certificate = PEM_read_bio_X509(certificate_bio, NULL, no_passphrase, NULL);
		key = certificate ? X509_get_pubkey(certificate) : NULL;
	}
	return key;
}

static int judge_rsa(EVP_PKEY *key, const struct key_algorithm *algorithm, struct error *error)
{
	if (!EVP_PKEY_is_a(key, "RSA"))
		return error_set(error, EINVAL, "%s needs an RSA key, and this is none", algorithm->name);
	if (EVP_PKEY_get_bits(key) < RSA_BITS_MIN)
		return error_set(error, EINVAL, "the RSA key has %d bits: it needs at least %d", EVP_PKEY_get_bits(key),
				 RSA_BITS_MIN);
	return 0;
}

static int judge_ec(EVP_PKEY *key, const struct key_algorithm *algorithm, struct error *error)
{
	char curve[CURVE_NAME_MAX] = "";
	size_t length;

	if (!EVP_PKEY_is_a(key, "EC"))
		return error_set(error, EINVAL, "%s needs a key on the curve %s, and this is none", algorithm->name,
				 algorithm->curve);
	if (EVP_PKEY_get_group_name(key, curve, sizeof(curve), &length) != 1 || strcmp(curve, algorithm->curve) != 0)
		return error_set(error, EINVAL, "%s needs a key on the curve %s, and this is on %s", algorithm->name,
				 algorithm->curve, curve[0] ? curve : "another");
	return 0;
}

/* The public half, in the one form that libjwt reads. */
static int print_public(EVP_PKEY *public_key, struct key *key, struct error *error)
{
	CLEANUP_BIO BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;
	long length;

	if (!bio || PEM_write_bio_PUBKEY(bio, public_key) != 1)
		return error_no_memory(error);
	length = BIO_get_mem_data(bio, &data);
	key->verifying = strndup(data, (size_t)length);
	if (!key->verifying)
		return error_no_memory(error);
	key->verifying_length = (size_t)length;
	return 0;
}

static int load_pem(const struct token_key *settings, struct key *key, struct error *error)
{
	CLEANUP_WIPE char *pem = NULL;
	CLEANUP_PKEY EVP_PKEY *parsed = NULL;
	bool is_private = false;
	int result;

	if (settings->secret || settings->secret_file)
		return error_set(error, EINVAL, "%s takes a public or private key, no secret", settings->algorithm);
	result = read_material(settings, settings->pem, settings->pem_file, "pem", &pem, error);
	if (result < 0)
		return result;
	parsed = parse_pem(pem, &is_private);
	if (!parsed)
		return error_set(error, EINVAL,
				 "%s%sno PEM of a public key, a private key without a passphrase, or a certificate",
				 settings->pem_file ? settings->pem_file : "", settings->pem_file ? ": " : "");
	result = key->algorithm->family == KEY_FAMILY_RSA ? judge_rsa(parsed, key->algorithm, error)
							  : judge_ec(parsed, key->algorithm, error);
	if (result < 0)
		return settings->pem_file ? error_wrap(error, "%s", settings->pem_file) : result;
	result = print_public(parsed, key, error);
	if (result == 0 && is_private) {
		key->signing_length = strlen(pem);
		key->signing = TAKE_POINTER(pem);
	}
	return result;
}

int key_load(const struct token_key *settings, size_t place, struct key *ret_key, struct error *error)
{
	__attribute__((cleanup(key_clear))) struct key key = { 0 };
	int result;

	if (!settings->algorithm)
		return error_set(error, EINVAL, "token key %zu: it names no algorithm", place);
	key.algorithm = key_algorithm_find(settings->algorithm);
	if (!key.algorithm)
		return error_set(error, EINVAL,
				 "token key %zu: the algorithm %s is none of HS256, HS384, HS512, RS256, RS384, RS512, "
				 "ES256, ES384, ES512",
				 place, settings->algorithm);
	if (settings->kid) {
		key.kid = strdup(settings->kid);
		if (!key.kid)
			return error_no_memory(error);
	}
	result = key.algorithm->family == KEY_FAMILY_HMAC ? load_secret(settings, &key, error)
							  : load_pem(settings, &key, error);
	if (result < 0)
		return error_wrap(error, "token key %zu%s%s", place, settings->kid ? " " : "",
				  settings->kid ? settings->kid : "");
	*ret_key = key;
	key = (struct key){ 0 };
	return 0;
}

/* NULL: the parameters are none of a public key, or memory is short. */
static EVP_PKEY *build_public(const char *kind, OSSL_PARAM *parameters)
{
	__attribute__((cleanup(cleanup_key_context))) EVP_PKEY_CTX *context =
		EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	EVP_PKEY *key = NULL;

	if (!context || EVP_PKEY_fromdata_init(context) != 1
	    || EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
		return NULL;
	return key;
}

/* Bounds the work of a verification, and refuses what nobody makes by chance: with the exponent 1 everybody could sign. OpenSSL's
 * own check of an RSA key looks for factors, which takes seconds for a large modulus; so it is not asked. */
static int judge_rsa_numbers(const BIGNUM *modulus, const BIGNUM *exponent, struct error *error)
{
	int bits = BN_num_bits(modulus);

	if (bits < RSA_BITS_MIN || bits > KEY_RSA_BITS_MAX || !BN_is_odd(modulus))
		return error_set(error, EINVAL, "its modulus has %d bits or is even: it must be odd and have %d to %d",
				 bits, RSA_BITS_MIN, KEY_RSA_BITS_MAX);
	if (!BN_is_odd(exponent) || BN_is_one(exponent) || BN_num_bits(exponent) > KEY_EXPONENT_BITS_MAX)
		return error_set(error, EINVAL,
				 "its exponent has %d bits: it must be odd, above 1 and have at most %d bits",
				 BN_num_bits(exponent), KEY_EXPONENT_BITS_MAX);
	return 0;
}

static int build_rsa(const struct key_numbers *numbers, EVP_PKEY **ret_key, struct error *error)
{
	__attribute__((cleanup(cleanup_number))) BIGNUM *modulus =
		BN_bin2bn(numbers->bytes[0], (int)numbers->length[0], NULL);
	__attribute__((cleanup(cleanup_number))) BIGNUM *exponent =
		BN_bin2bn(numbers->bytes[1], (int)numbers->length[1], NULL);
	__attribute__((cleanup(cleanup_builder))) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	__attribute__((cleanup(cleanup_parameters))) OSSL_PARAM *parameters = NULL;

	if (!modulus || !exponent || !builder)
		return error_no_memory(error);
	int result = judge_rsa_numbers(modulus, exponent, error);

	if (result < 0)
		return result;
	if (OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1
	    && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
		parameters = OSSL_PARAM_BLD_to_param(builder);
	*ret_key = parameters ? build_public("RSA", parameters) : NULL;
	return *ret_key ? 0 : error_no_memory(error);
}

/* OpenSSL finds out whether the point is on the curve when it reads it, and the check asks for its order too. */
static int build_ec(const struct key_algorithm *algorithm, const struct key_numbers *numbers, EVP_PKEY **ret_key,
		    struct error *error)
{
	unsigned char point[POINT_MAX] = { UNCOMPRESSED };
	size_t size = algorithm->coordinate;
	char curve[CURVE_NAME_MAX];

	if (numbers->length[0] != size || numbers->length[1] != size)
		return error_set(error, EINVAL, "its coordinates do not have the %zu bytes of the curve %s", size,
				 algorithm->curve);
	memcpy(point + 1, numbers->bytes[0], size);
	memcpy(point + 1 + size, numbers->bytes[1], size);
	snprintf(curve, sizeof(curve), "%s", algorithm->curve);

	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * size),
		OSSL_PARAM_construct_end(),
	};
	CLEANUP_PKEY EVP_PKEY *key = build_public("EC", parameters);
	__attribute__((cleanup(cleanup_key_context))) EVP_PKEY_CTX *context =
		key ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;

	if (!context || EVP_PKEY_public_check(context) != 1)
		return error_set(error, EINVAL, "its x and y are no point on the curve %s", algorithm->curve);
	*ret_key = TAKE_POINTER(key);
	return 0;
}

int key_from_numbers(const struct key_algorithm *algorithm, const struct key_numbers *numbers, struct key *ret_key,
		     struct error *error)
{
	__attribute__((cleanup(key_clear))) struct key key = { .algorithm = algorithm };
	CLEANUP_PKEY EVP_PKEY *built = NULL;
	int result = algorithm->family == KEY_FAMILY_RSA ? build_rsa(numbers, &built, error)
							 : build_ec(algorithm, numbers, &built, error);

	if (result == 0)
		result = print_public(built, &key, error);
	if (result < 0)
		return result;
	*ret_key = key;
	key = (struct key){ 0 };
	return 0;
}

void key_clear(struct key *key)
{
	free(key->kid);
	wipe_text(&key->verifying);
	wipe_text(&key->signing);
	*key = (struct key){ 0 };
}

struct digester {
	EVP_MD *algorithm;
};

struct digester *digester_create(void)
{
	struct digester *digester = calloc(1, sizeof(*digester));

	if (!digester)
		return NULL;
	digester->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!digester->algorithm) {
		free(digester);
		return NULL;
	}
	return digester;
}

void digester_destroy(struct digester *digester)
{
	if (!digester)
		return;
	EVP_MD_free(digester->algorithm);
	free(digester);
}

bool digester_run(const struct digester *digester, const char *bytes, size_t length,
		  unsigned char ret_digest[TOKEN_DIGEST_SIZE])
{
	unsigned int size = 0;

	return EVP_Digest(bytes, length, ret_digest, &size, digester->algorithm, NULL) == 1
	       && size == TOKEN_DIGEST_SIZE;
}
