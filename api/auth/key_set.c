/* A published set of keys. The difficulty: a set is made by others, and one key in it that cannot be read must not take the good
 * ones with it. Nothing of a key goes to OpenSSL but numbers that the strict reader of base64url has decoded. */
#include "api/auth/key_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth/base64url.h"
#include "api/auth/hostile_json.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#define REASON_MAX 8 /* excluded keys that are named */

struct key_set {
	struct key keys[KEY_SET_MAX];
	size_t count;
	size_t excluded_count;
	struct text excluded;
};

static const struct {
	const char *kind, *curve, *algorithm;
} implied[] = {
	{ "RSA", NULL, "RS256" },
	{ "EC", "P-256", "ES256" },
	{ "EC", "P-384", "ES384" },
	{ "EC", "P-521", "ES512" },
};

/* The members that hold the two numbers of a key, by its family. */
static const char *const number_names[][2] = {
	[KEY_FAMILY_RSA] = { "n", "e" },
	[KEY_FAMILY_EC] = { "x", "y" },
};

/* NULL: absent, no text, or one with a zero byte in it, which is no name of ours. */
static const char *text_of(const json_t *key, const char *name)
{
	const json_t *member = json_object_get(key, name);
	const char *text = json_string_value(member);

	return text && strlen(text) == json_string_length(member) ? text : NULL;
}

/* Some publishers write null for what a key does not have. */
static bool has(const json_t *key, const char *name)
{
	const json_t *member = json_object_get(key, name);

	return member && !json_is_null(member);
}

/* NULL: a kind that is of no use here, or an algorithm that does not go with it. */
static const struct key_algorithm *algorithm_of(const json_t *key)
{
	const char *kind = text_of(key, "kty");
	const char *curve = text_of(key, "crv");
	const char *named = text_of(key, "alg");

	if (has(key, "alg") && !named)
		return NULL;
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

static int read_numbers(const json_t *member_of, const struct key_algorithm *algorithm, struct key *ret_key,
			struct error *error)
{
	unsigned char bytes[2][KEY_NUMBER_MAX];
	struct key_numbers numbers = { .bytes = { bytes[0], bytes[1] } };

	for (size_t i = 0; i < ARRAY_LENGTH(bytes); i++) {
		const char *name = number_names[algorithm->family][i];
		const json_t *member = json_object_get(member_of, name);

		if (!json_is_string(member)
		    || !base64url_decode(json_string_value(member), json_string_length(member), bytes[i],
					 sizeof(bytes[i]), &numbers.length[i]))
			return error_set(error, EINVAL, "its %s is no base64url of 1 to %d bytes", name,
					 KEY_NUMBER_MAX);
	}
	return key_from_numbers(algorithm, &numbers, ret_key, error);
}

static int read_key(const json_t *member_of, struct key *ret_key, struct error *error)
{
	const struct key_algorithm *algorithm = algorithm_of(member_of);
	const char *kid = text_of(member_of, "kid");

	if (!algorithm)
		return error_set(error, EINVAL,
				 "it is no RSA or EC key, or its crv or alg is not known or does not fit");
	if (has(member_of, "kid") && !kid)
		return error_set(error, EINVAL, "its kid is no text");
	int result = read_numbers(member_of, algorithm, ret_key, error);

	if (result < 0 || !kid)
		return result;
	ret_key->kid = strdup(kid);
	if (!ret_key->kid) {
		key_clear(ret_key);
		return error_no_memory(error);
	}
	return 0;
}

/* Public keys for encryption are no fault of a set. */
static bool is_for_others(const json_t *key)
{
	const char *use = text_of(key, "use");

	return use && text_equal(use, "enc");
}

static void exclude(struct key_set *set, size_t place, const char *kid, const char *reason)
{
	if (++set->excluded_count > REASON_MAX)
		return;
	text_append_format(&set->excluded, "%skey %zu%s%.80s%s: %s", set->excluded_count > 1 ? "; " : "", place + 1,
			   kid ? " (kid \"" : "", kid ? kid : "", kid ? "\")" : "", reason);
}

/* -ENOMEM alone ends the reading. */
static int read_listed(struct key_set *set, const json_t *keys, struct error *error)
{
	const json_t *key;
	size_t place;

	json_array_foreach(keys, place, key)
	{
		struct error reason = { 0 };
		int result = 0;

		if (is_for_others(key))
			continue;
		if (has(key, "use") && !text_equal(text_of(key, "use"), "sig"))
			result = error_set(&reason, EINVAL, "its use is not sig");
		else if (set->count == KEY_SET_MAX)
			result = error_set(&reason, EINVAL, "there are %d keys before it, which is the most",
					   KEY_SET_MAX);
		else
			result = read_key(key, &set->keys[set->count], &reason);
		if (result == -ENOMEM)
			return error_no_memory(error);
		if (result < 0)
			exclude(set, place, text_of(key, "kid"), reason.text);
		else
			set->count++;
	}
	if (set->excluded_count > REASON_MAX)
		text_append_format(&set->excluded, "; and %zu more", set->excluded_count - REASON_MAX);
	return text_failed(&set->excluded) ? error_no_memory(error) : 0;
}

static void cleanup_set(struct key_set **set)
{
	key_set_destroy(*set);
}

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

int key_set_read(const char *text, size_t size, struct key_set **ret_set, struct error *error)
{
	__attribute__((cleanup(cleanup_set))) struct key_set *set = calloc(1, sizeof(*set));
	/* A zero byte in one key is that key's fault alone. */
	__attribute__((cleanup(cleanup_json))) json_t *document = hostile_json_read(text, size, JSON_ALLOW_NUL);
	const json_t *keys = json_object_get(document, "keys");

	if (!set)
		return error_no_memory(error);
	if (!json_is_array(keys))
		return error_set(error, EBADMSG, "it is no JSON object with a list of keys");
	int result = read_listed(set, keys, error);

	if (result < 0)
		return result;
	if (!set->count)
		return error_set(error, EBADMSG, "none of its %zu keys is an RSA or EC key for signatures%s%s",
				 json_array_size(keys), set->excluded_count ? ": " : "", key_set_excluded(set));
	*ret_set = TAKE_POINTER(set);
	return 0;
}

void key_set_destroy(struct key_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->count; i++)
		key_clear(&set->keys[i]);
	text_clear(&set->excluded);
	free(set);
}

size_t key_set_count(const struct key_set *set)
{
	return set->count;
}

const struct key *key_set_key(const struct key_set *set, size_t place)
{
	return &set->keys[place];
}

const char *key_set_excluded(const struct key_set *set)
{
	return set->excluded.data ? set->excluded.data : "";
}
