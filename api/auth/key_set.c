/* A published set of keys; cjose is seen here alone. The difficulty: a set is made by others, and one key in it that cannot be
 * read must not take the good ones with it. */
#include "api/auth/key_set.h"

#include <cjose/cjose.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#define RSA_BITS_MIN 2048

struct published_key {
	char *kid; /* NULL: none */
	const struct key_algorithm *algorithm;
	cjose_jwk_t *jwk;
};

struct key_set {
	struct published_key keys[KEY_SET_MAX];
	size_t count;
};

static const struct {
	const char *kind, *curve, *algorithm;
} implied[] = {
	{ "RSA", NULL, "RS256" },
	{ "EC", "P-256", "ES256" },
	{ "EC", "P-384", "ES384" },
	{ "EC", "P-521", "ES512" },
};

/* NULL: a kind that is of no use here, or an algorithm that does not go with it. */
static const struct key_algorithm *algorithm_of(const json_t *key)
{
	const char *kind = json_string_value(json_object_get(key, "kty"));
	const char *curve = json_string_value(json_object_get(key, "crv"));
	const char *named = json_string_value(json_object_get(key, "alg"));

	for (size_t i = 0; kind && i < ARRAY_LENGTH(implied); i++) {
		if (!text_equal(implied[i].kind, kind)
		    || (implied[i].curve && !(curve && text_equal(implied[i].curve, curve))))
			continue;
		const struct key_algorithm *by_kind = key_algorithm_find(implied[i].algorithm);
		const struct key_algorithm *by_name = named ? key_algorithm_find(named) : by_kind;
		bool goes = by_name && by_name->family == by_kind->family
			    && (by_kind->family == KEY_FAMILY_RSA || by_name == by_kind);

		return goes ? by_name : NULL;
	}
	return NULL;
}

/* False: it is left out. */
static bool read_key(const json_t *key, struct published_key *ret_key)
{
	const char *use = json_string_value(json_object_get(key, "use"));
	const char *kid = json_string_value(json_object_get(key, "kid"));
	const struct key_algorithm *algorithm = algorithm_of(key);
	CLEANUP_FREE char *text = NULL;

	if (!algorithm || (use && !text_equal(use, "sig")))
		return false;
	text = json_dumps(key, JSON_COMPACT);
	cjose_jwk_t *jwk = text ? cjose_jwk_import(text, strlen(text), NULL) : NULL;
	if (!jwk)
		return false;
	char *copy = kid ? strdup(kid) : NULL;
	if ((kid && !copy)
	    || (algorithm->family == KEY_FAMILY_RSA && cjose_jwk_get_keysize(jwk, NULL) < RSA_BITS_MIN)) {
		free(copy);
		cjose_jwk_release(jwk);
		return false;
	}
	*ret_key = (struct published_key){ copy, algorithm, jwk };
	return true;
}

static void cleanup_set(struct key_set **set)
{
	key_set_destroy(*set);
}

int key_set_read(const char *text, size_t size, struct key_set **ret_set, struct error *error)
{
	__attribute__((cleanup(cleanup_set))) struct key_set *set = calloc(1, sizeof(*set));
	json_t *document = json_loadb(text, size, 0, NULL);
	const json_t *keys = json_object_get(document, "keys");
	bool is_list = json_is_array(keys);
	size_t listed = json_array_size(keys);

	for (size_t i = 0; set && i < listed && set->count < KEY_SET_MAX; i++)
		set->count += read_key(json_array_get(keys, i), &set->keys[set->count]);
	json_decref(document);
	if (!set)
		return error_no_memory(error);
	if (!is_list)
		return error_set(error, EBADMSG, "it is no JSON object with a list of keys");
	if (!set->count)
		return error_set(error, EBADMSG, "none of its %zu keys is an RSA or EC key for signatures", listed);
	*ret_set = TAKE_POINTER(set);
	return 0;
}

void key_set_destroy(struct key_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->count; i++) {
		free(set->keys[i].kid);
		cjose_jwk_release(set->keys[i].jwk);
	}
	free(set);
}

size_t key_set_count(const struct key_set *set)
{
	return set->count;
}

const char *key_set_kid(const struct key_set *set, size_t place)
{
	return set->keys[place].kid;
}

const struct key_algorithm *key_set_algorithm(const struct key_set *set, size_t place)
{
	return set->keys[place].algorithm;
}

bool key_set_verifies(const struct key_set *set, size_t place, const char *token)
{
	cjose_jws_t *jws = cjose_jws_import(token, strlen(token), NULL);
	bool is_good = jws && cjose_jws_verify(jws, set->keys[place].jwk, NULL);

	cjose_jws_release(jws);
	return is_good;
}
