/* What others publish and answer: key sets and Keystone's words, good, odd and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth/key_set.h"
#include "api/auth/keystone_answer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "jwk_fixture.h"

#define EC_P256_PARTS                                                                                                  \
	"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                      \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define EC_P256    "{\"kid\":\"e\"," EC_P256_PARTS "}"
#define GOOD_START "{\"token\": {\"user\": {\"id\": \"u\"}, \"expires_at\": \"2026-11-25T12:00:00Z\", "

static int read_set(const char *text, struct key_set **ret_set)
{
	struct error error = { 0 };

	return key_set_read(text, strlen(text), ret_set, &error);
}

/* One RSA key and points on two curves, made once. */
struct published {
	struct jwk_members rsa, p256, p384;
};

static int make_published(void **state)
{
	struct published *published = calloc(1, sizeof(*published));
	EVP_PKEY *keys[] = { EVP_RSA_gen(2048), EVP_EC_gen("P-256"), EVP_EC_gen("P-384") };
	struct jwk_members *members[] = { &published->rsa, &published->p256, &published->p384 };

	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
		assert_non_null(keys[i]);
		jwk_members_of(keys[i], members[i]);
		EVP_PKEY_free(keys[i]);
	}
	*state = published;
	return 0;
}

static int free_published(void **state)
{
	free(*state);
	return 0;
}

/* The bad key stands first; the good one behind it stays, and the reason for the other is told. */
static void is_excluded_alone(const char *bad, const char *words)
{
	CLEANUP_FREE char *text = text_format("{\"keys\":[%s," EC_P256 "]}", bad);
	struct key_set *set = NULL;

	if (read_set(text, &set) != 0)
		fail_msg("the whole set is refused for %s", bad);
	if (key_set_count(set) != 1 || !strstr(key_set_excluded(set), words))
		fail_msg("%s: %zu keys, excluded: %s", bad, key_set_count(set), key_set_excluded(set));
	assert_string_equal(key_set_key(set, 0)->kid, "e");
	assert_true(text_starts_with(key_set_excluded(set), "key 1"));
	key_set_destroy(set);
}

/* What may stand in a member that is no base64url, as it stands in JSON. */
static const char *const intruders[] = { "=", "==", " ", "\\n", "+", "/", "\\u0000", "\xc3\xa9", "\\u00ff", ".", "%" };

static void check_member(const struct jwk_members *members, char *member, const char *name)
{
	CLEANUP_FREE char *good = strdup(member);
	CLEANUP_FREE char *words = text_format("its %s is no base64url", name);
	size_t length = strlen(good);
	const size_t places[] = { 0, 1, length / 2, length - 1, length };

	for (size_t i = 0; i < ARRAY_LENGTH(intruders) * ARRAY_LENGTH(places); i++) {
		size_t place = places[i % ARRAY_LENGTH(places)];

		snprintf(member, JWK_MEMBER_MAX, "%.*s%s%s", (int)place, good, intruders[i / ARRAY_LENGTH(places)],
			 good + place);
		CLEANUP_FREE char *key = jwk_of(members, "");
		is_excluded_alone(key, words);
	}
	text_copy(member, JWK_MEMBER_MAX, "");
	CLEANUP_FREE char *empty = jwk_of(members, "");
	is_excluded_alone(empty, words);
	text_copy(member, JWK_MEMBER_MAX, "AAAAA");
	CLEANUP_FREE char *no_length = jwk_of(members, "");
	is_excluded_alone(no_length, words);
	/* Bits behind the last byte. */
	text_copy(member, JWK_MEMBER_MAX, "AAB");
	CLEANUP_FREE char *more_bits = jwk_of(members, "");
	is_excluded_alone(more_bits, words);
}

static void keys_of_no_use_are_left_out_and_the_good_ones_stay(void **state)
{
	struct key_set *set = NULL;

	(void)state;
	assert_int_equal(
		read_set("{\"keys\": [1, null, {}, {\"kty\": \"oct\", \"k\": \"c2VjcmV0\"}, {\"kty\": \"RSA\"},"
			 "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}," EC_P256 "]}",
			 &set),
		0);
	assert_int_equal(key_set_count(set), 1);
	assert_string_equal(key_set_key(set, 0)->kid, "e");
	assert_string_equal(key_set_key(set, 0)->algorithm->name, "ES256");
	assert_true(text_starts_with(key_set_excluded(set), "key 1: "));
	assert_non_null(strstr(key_set_excluded(set), "; key 2: "));
	assert_non_null(strstr(key_set_excluded(set), "; key 3: "));
	key_set_destroy(set);
}

static void a_member_that_is_no_base64url_excludes_its_key_alone(void **state)
{
	const struct published *published = *state;
	struct jwk_members rsa = published->rsa, ec = published->p256;

	check_member(&rsa, rsa.n, "n");
	rsa = published->rsa;
	check_member(&rsa, rsa.e, "e");
	check_member(&ec, ec.x, "x");
	ec = published->p256;
	check_member(&ec, ec.y, "y");
}

/* A number of `size` bytes that are `fill`, between `first` and `last`. */
static void write_filled(char *member, size_t size, unsigned char first, unsigned char fill, unsigned char last)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	CLEANUP_FREE unsigned char *bytes = malloc(size);

	memset(bytes, fill, size);
	bytes[0] = first;
	bytes[size - 1] = last;
	append_base64url(&text, bytes, size);
	text_copy(member, JWK_MEMBER_MAX, text.data);
}

static void an_rsa_key_of_no_good_numbers_is_excluded(void **state)
{
	static const struct {
		size_t size;
		const char *words;
		bool is_modulus;
		unsigned char first, fill, last;
	} numbers[] = {
		{ 1, "its modulus has 0 bits", true, 0, 0, 0 },
		{ 128, "its modulus has 1024 bits", true, 0xff, 0xff, 0xff },
		{ 256, "its modulus has 2047 bits", true, 0x7f, 0xff, 0xff },
		{ 256, "or is even", true, 0xff, 0xff, 0xfe },
		{ 1025, "its modulus has 8193 bits", true, 1, 0, 1 },
		{ 1026, "its n is no base64url", true, 0, 0, 1 },
		{ 1, "its exponent has 0 bits", false, 0, 0, 0 },
		{ 1, "its exponent has 1 bits", false, 1, 1, 1 },
		{ 1, "its exponent has 2 bits", false, 2, 2, 2 },
		{ 9, "its exponent has 65 bits", false, 1, 0, 1 },
		{ 900, "its exponent has 7200 bits", false, 0xff, 0xff, 0xff },
		{ 1026, "its e is no base64url", false, 0xff, 0xff, 0xff },
	};
	const struct published *published = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		struct jwk_members rsa = published->rsa;

		write_filled(numbers[i].is_modulus ? rsa.n : rsa.e, numbers[i].size, numbers[i].first, numbers[i].fill,
			     numbers[i].last);
		CLEANUP_FREE char *key = jwk_of(&rsa, "");
		is_excluded_alone(key, numbers[i].words);
	}
}

static void an_rsa_key_within_the_bounds_is_taken(void **state)
{
	static const struct {
		size_t modulus, exponent;
	} sizes[] = { { 256, 1 }, { 512, 3 }, { 1024, 8 }, { 1025, 9 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
		struct jwk_members rsa = { .crv = NULL };
		struct key_set *set = NULL;

		/* The last ones have a zero in front. */
		write_filled(rsa.n, sizes[i].modulus, sizes[i].modulus == 1025 ? 0 : 0xff, 0xff, 0xff);
		write_filled(rsa.e, sizes[i].exponent, sizes[i].exponent == 9 ? 0 : 3, 0xff, 3);
		CLEANUP_FREE char *key = jwk_of(&rsa, "");
		CLEANUP_FREE char *text = text_format("{\"keys\":[%s]}", key);
		assert_int_equal(read_set(text, &set), 0);
		assert_int_equal(key_set_count(set), 1);
		assert_string_equal(key_set_excluded(set), "");
		key_set_destroy(set);
	}
}

static void a_point_that_is_not_on_its_curve_is_excluded(void **state)
{
	/* The field of P-256 itself: no coordinate, though it has the right size. */
	static const unsigned char field[32] = { 0xff, 0xff, 0xff, 0xff, 0,    0,    0,    1,    0,    0,    0,
						 0,    0,    0,    0,    0,    0,    0,    0,    0,    0xff, 0xff,
						 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const struct published *published = *state;
	struct jwk_members swapped = published->p256, zero = swapped, beyond = swapped, shorter = swapped,
			   other_size = published->p384;
	CLEANUP_TEXT struct text beyond_text = TEXT_EMPTY;

	text_copy(swapped.x, JWK_MEMBER_MAX, published->p256.y);
	text_copy(swapped.y, JWK_MEMBER_MAX, published->p256.x);
	write_filled(zero.x, 32, 0, 0, 0);
	write_filled(zero.y, 32, 0, 0, 0);
	append_base64url(&beyond_text, field, sizeof(field));
	text_copy(beyond.x, JWK_MEMBER_MAX, beyond_text.data);
	write_filled(shorter.x, 31, 1, 2, 3);
	other_size.crv = "P-256";

	const struct {
		const struct jwk_members *members;
		const char *words;
	} points[] = {
		{ &swapped, "no point on the curve" }, { &zero, "no point on the curve" },
		{ &beyond, "no point on the curve" },  { &shorter, "do not have the 32 bytes" },
		{ &other_size, "do not have the 32" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(points); i++) {
		CLEANUP_FREE char *key = jwk_of(points[i].members, "");
		is_excluded_alone(key, points[i].words);
	}
}

static void a_key_of_another_kind_or_with_odd_members_is_excluded(void **state)
{
	/* Long ones have parts. NOLINTBEGIN(bugprone-suspicious-missing-comma) */
	static const char *const keys[] = {
		"1",
		"null",
		"[]",
		"\"x\"",
		"{}",
		"{\"kty\":7}",
		"{\"kty\":\"oct\",\"k\":\"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}",
		"{\"kty\":\"EC\\u0000\",\"crv\":\"P-256\"}",
		"{\"kty\":\"RSA\"}",
		"{\"kty\":\"RSA\",\"n\":[],\"e\":{}}",
		"{\"kty\":\"RSA\",\"n\":65537,\"e\":\"AQAB\"}",
		"{\"alg\":\"none\"," EC_P256_PARTS "}",
		"{\"alg\":\"HS256\"," EC_P256_PARTS "}",
		"{\"alg\":\"ES384\"," EC_P256_PARTS "}",
		"{\"alg\":7," EC_P256_PARTS "}",
		"{\"alg\":\"ES256\\u0000x\"," EC_P256_PARTS "}",
		"{\"use\":\"both\"," EC_P256_PARTS "}",
		"{\"use\":[]," EC_P256_PARTS "}",
		"{\"kid\":7," EC_P256_PARTS "}",
		"{\"kid\":\"a\\u0000b\"," EC_P256_PARTS "}",
	};
	/* NOLINTEND(bugprone-suspicious-missing-comma) */

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
		is_excluded_alone(keys[i], "key 1");
}

static void of_many_keys_the_first_are_taken_and_the_log_stays_short(void **state)
{
	CLEANUP_TEXT struct text good = TEXT_EMPTY, bad = TEXT_EMPTY;
	struct key_set *set = NULL;

	(void)state;
	text_append(&good, "{\"keys\":[" EC_P256);
	text_append(&bad, "{\"keys\":[" EC_P256);
	for (size_t i = 0; i < 1000; i++) {
		text_append(&good, "," EC_P256);
		text_append(&bad, ",{\"kid\":\"bad\"}");
	}
	text_append(&good, "]}");
	text_append(&bad, "]}");
	assert_int_equal(read_set(good.data, &set), 0);
	assert_int_equal(key_set_count(set), KEY_SET_MAX);
	assert_non_null(strstr(key_set_excluded(set), "key 65 (kid \"e\"): there are 64 keys before it"));
	key_set_destroy(set);
	assert_int_equal(read_set(bad.data, &set), 0);
	assert_int_equal(key_set_count(set), 1);
	assert_true(text_ends_with(key_set_excluded(set), "; and 992 more"));
	assert_true(strlen(key_set_excluded(set)) < ERROR_TEXT_SIZE);
	key_set_destroy(set);
}

static void members_of_null_are_absent(void **state)
{
	struct key_set *set = NULL;

	(void)state;
	assert_int_equal(read_set("{\"keys\":[{\"use\":null,\"alg\":null,\"kid\":null," EC_P256_PARTS "}]}", &set), 0);
	assert_null(key_set_key(set, 0)->kid);
	assert_string_equal(key_set_key(set, 0)->algorithm->name, "ES256");
	key_set_destroy(set);
}

static void keys_for_encryption_are_not_told(void **state)
{
	struct key_set *set = NULL;

	(void)state;
	assert_int_equal(read_set("{\"keys\":[{\"use\":\"enc\"," EC_P256_PARTS "}," EC_P256 "]}", &set), 0);
	assert_int_equal(key_set_count(set), 1);
	assert_string_equal(key_set_excluded(set), "");
	key_set_destroy(set);
}

static char *nested(size_t depth)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	text_append(&text, "{\"keys\":[" EC_P256 "],\"more\":");
	for (size_t i = 1; i < depth; i++)
		text_append(&text, "[");
	for (size_t i = 1; i < depth; i++)
		text_append(&text, "]");
	text_append(&text, "}");
	return text_take(&text);
}

static void deep_nesting_is_refused_before_it_is_parsed(void **state)
{
	CLEANUP_FREE char *flat = nested(32);
	CLEANUP_FREE char *deep = nested(33);
	CLEANUP_FREE char *deepest = nested(100000);
	struct key_set *set = NULL;

	(void)state;
	assert_int_equal(read_set(flat, &set), 0);
	key_set_destroy(TAKE_POINTER(set));
	assert_int_equal(read_set(deep, &set), -EBADMSG);
	assert_int_equal(read_set(deepest, &set), -EBADMSG);
	assert_int_equal(
		read_set("{\"keys\":[" EC_P256 "],\"more\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"}", &set), 0);
	key_set_destroy(set);
}

/* Bytes changed, taken out, put in and doubled at random: a set or a refusal, and nothing else. */
static void changed_documents_break_nothing(void **state)
{
	static const char pieces[] = "=\"\\{}[]:,+/-_.Aa09 \n\x80\xff";
	const struct published *published = *state;
	CLEANUP_FREE char *rsa = jwk_of(&published->rsa, "\"kid\":\"r\",\"alg\":\"RS384\",\"use\":\"sig\",");
	CLEANUP_FREE char *ec = jwk_of(&published->p384, "\"kid\":\"c\",");
	CLEANUP_FREE char *good = text_format("{\"keys\":[%s,%s," EC_P256 "]}", rsa, ec);
	size_t length = strlen(good), refused = 0, whole = 0;
	CLEANUP_FREE char *bytes = malloc(length + 16);
	unsigned int seed = 20260101;

	for (size_t round = 0; round < 3000; round++) {
		struct key_set *set = NULL;
		struct error error = { 0 };
		size_t size = length;

		memcpy(bytes, good, length);
		for (size_t changes = 1 + next_number(&seed) % 4; changes > 0; changes--) {
			size_t place = next_number(&seed) % size;

			if (next_number(&seed) % 3 == 0) {
				memmove(bytes + place + 1, bytes + place, size - place);
				size++;
			} else if (next_number(&seed) % 3 == 0) {
				memmove(bytes + place, bytes + place + 1, --size - place);
			}
			bytes[place] = pieces[next_number(&seed) % sizeof(pieces)];
		}
		int result = key_set_read(bytes, size, &set, &error);

		assert_true(result == 0 || result == -EBADMSG);
		assert_true(result == 0 ? key_set_count(set) >= 1 && key_set_count(set) <= 3 : set == NULL);
		refused += result < 0;
		whole += result == 0 && key_set_count(set) == 3;
		key_set_destroy(set);
	}
	/* So that it is known to have changed much, and to have read much. */
	assert_in_range(refused, 100, 2900);
	assert_in_range(whole, 20, 2900);
}

static void what_is_no_set_is_refused(void **state)
{
	/* Long ones have parts. NOLINTBEGIN(bugprone-suspicious-missing-comma) */
	static const char *const texts[] = { "", "{", "[]", "null", "{}", "{\"keys\": {}}", "{\"keys\": []}",
					     "{\"keys\": [{}]}", "{\"keys\": [{\"kty\": \"EC\", \"crv\": \"P-256\"}]}",
					     /* an algorithm that does not go with the key */
					     "{\"keys\": [{\"alg\":\"RS256\"," EC_P256_PARTS "}]}" };
	/* NOLINTEND(bugprone-suspicious-missing-comma) */

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct key_set *set = NULL;

		assert_int_equal(read_set(texts[i], &set), -EBADMSG);
		assert_null(set);
	}
}

static int read_answer(const char *text, struct caller **ret_caller)
{
	struct error error = { 0 };

	return keystone_answer_read(text, strlen(text), ret_caller, &error);
}

static void keystones_answer_becomes_a_caller(void **state)
{
	CLEANUP_CALLER struct caller *caller = NULL;

	(void)state;
	assert_int_equal(
		read_answer("{\"token\": {\"expires_at\": \"2026-11-25T12:00:00.000000Z\", \"roles\": "
			    "[{\"id\": \"1\", \"name\": \"member\"}, {\"id\": \"2\", \"name\": \"reader\"}],"
			    "\"user\": {\"id\": \"u\", \"name\": \"anna\", \"domain\": {\"id\": \"d\"}},"
			    "\"project\": {\"id\": \"p\", \"domain\": {\"id\": \"e\"}}, \"is_admin_project\": false}}",
			    &caller),
		0);
	assert_string_equal(caller->user_id, "u");
	assert_string_equal(caller->user_domain_id, "d");
	assert_string_equal(caller->project_id, "p");
	assert_string_equal(caller->project_domain_id, "e");
	assert_int_equal(caller->role_count, 2);
	assert_true(caller_has_role(caller, "reader"));
	assert_false(caller->is_admin_project);
	assert_null(caller->system_scope);
	assert_int_equal(caller->expires_us, 1795608000000000);
}

static void a_token_of_the_system_has_no_project(void **state)
{
	CLEANUP_CALLER struct caller *caller = NULL;

	(void)state;
	assert_int_equal(read_answer("{\"token\": {\"expires_at\": \"2026-11-25T12:00:00Z\", \"roles\": [],"
				     "\"system\": {\"all\": true}, \"user\": {\"id\": \"u\"}}}",
				     &caller),
			 0);
	assert_string_equal(caller->system_scope, "all");
	assert_null(caller->project_id);
	assert_true(caller->is_admin_project);
}

static void answers_that_are_none_are_refused(void **state)
{
	/* Long ones have parts. NOLINTBEGIN(bugprone-suspicious-missing-comma) */
	static const char *const texts[] = {
		"",
		"[]",
		"{\"token\": 1}",
		"{\"token\": {}}",
		"{\"token\": {\"user\": {\"id\": \"u\"}}}",
		"{\"token\": {\"user\": {\"id\": \"\"}, \"expires_at\": \"2026-11-25T12:00:00Z\"}}",
		"{\"token\": {\"user\": {\"id\": 7}, \"expires_at\": \"2026-11-25T12:00:00Z\"}}",
		"{\"token\": {\"user\": {\"id\": \"u\"}, \"expires_at\": \"some day\"}}",
		GOOD_START "\"roles\": [{\"name\": 1}]}}",
		GOOD_START "\"roles\": [\"admin\"]}}",
		GOOD_START "\"roles\": [{\"name\": \"\"}]}}",
		GOOD_START "\"roles\": [{\"name\": \"a\\nb\"}]}}",
		GOOD_START "\"roles\": {\"name\": \"admin\"}}}",
		GOOD_START "\"roles\": \"admin\"}}",
		/* Scopes that are not whole: such a token is none of no project, no domain, or not of the system. */
		GOOD_START "\"project\": {\"name\": \"demo\"}}}",
		GOOD_START "\"project\": {\"id\": \"\"}}}",
		GOOD_START "\"project\": {\"id\": null}}}",
		GOOD_START "\"project\": {\"id\": 7}}}",
		GOOD_START "\"project\": {\"id\": \"a\\u007fb\"}}}",
		GOOD_START "\"project\": \"p\"}}",
		GOOD_START "\"project\": {\"id\": \"p\", \"domain\": {\"id\": 7}}}}",
		GOOD_START "\"project\": {\"id\": \"p\", \"domain\": \"d\"}}}",
		GOOD_START "\"domain\": {\"name\": \"Default\"}}}",
		GOOD_START "\"domain\": {\"id\": 7}}}",
		GOOD_START "\"domain\": true}}",
		GOOD_START "\"system\": true}}",
		GOOD_START "\"system\": {}}}",
		GOOD_START "\"system\": {\"all\": false}}}",
		GOOD_START "\"system\": {\"all\": \"true\"}}}",
		GOOD_START "\"is_admin_project\": \"yes\"}}",
		GOOD_START "\"is_admin_project\": 1}}",
		/* Two answers in one. */
		GOOD_START "\"project\": {\"id\": \"p\"}, \"project\": {\"id\": \"q\"}}}",
		"{\"token\": {\"user\": \"u\", \"expires_at\": \"2026-11-25T12:00:00Z\"}}",
		"{\"token\": {\"user\": {\"id\": \"a\\nb\"}, \"expires_at\": \"2026-11-25T12:00:00Z\"}}",
		"{\"token\": {\"user\": {\"id\": \"u\"}, \"expires_at\": 1795608000}}",
		"{\"token\": {\"user\": {\"id\": \"u\", \"domain\": {\"id\": []}}, \"expires_at\": "
		"\"2026-11-25T12:00:00Z\"}}",
	};
	/* NOLINTEND(bugprone-suspicious-missing-comma) */

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct caller *caller = NULL;

		assert_int_equal(read_answer(texts[i], &caller), -EBADMSG);
		assert_null(caller);
	}
}

static void parts_that_are_absent_or_null_are_none(void **state)
{
	/* Long ones have parts. NOLINTBEGIN(bugprone-suspicious-missing-comma) */
	static const char *const texts[] = {
		GOOD_START "\"roles\": null}}",
		GOOD_START "\"project\": null, \"domain\": null, \"system\": null, \"is_admin_project\": null}}",
		GOOD_START "\"methods\": [\"password\"]}}",
		"{\"token\": {\"user\": {\"id\": \"u\", \"domain\": null}, \"expires_at\": \"2026-11-25T12:00:00Z\"}}",
		"{\"token\": {\"user\": {\"id\": \"u\", \"domain\": {\"id\": null}}, \"expires_at\": "
		"\"2026-11-25T12:00:00Z\"}}",
	};
	/* NOLINTEND(bugprone-suspicious-missing-comma) */

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		CLEANUP_CALLER struct caller *caller = NULL;

		assert_int_equal(read_answer(texts[i], &caller), 0);
		assert_null(caller->project_id);
		assert_null(caller->domain_id);
		assert_null(caller->system_scope);
		assert_null(caller->user_domain_id);
		assert_int_equal(caller->role_count, 0);
		assert_true(caller->is_admin_project);
	}
}

/* `before` and `after` around so many `x`. */
static int read_long(const char *before, size_t count, const char *after)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	CLEANUP_CALLER struct caller *caller = NULL;

	text_append(&text, before);
	for (size_t i = 0; i < count; i++)
		text_append(&text, "x");
	text_append(&text, after);
	return read_answer(text.data, &caller);
}

static int read_many_roles(size_t count)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	CLEANUP_CALLER struct caller *caller = NULL;

	text_append(&text, GOOD_START "\"roles\": [");
	for (size_t i = 0; i < count; i++)
		text_append_format(&text, "%s{\"name\": \"role-%zu\"}", i ? "," : "", i);
	text_append(&text, "]}}");
	return read_answer(text.data, &caller);
}

static void names_and_roles_of_an_answer_have_bounds(void **state)
{
	static const struct {
		const char *before, *after;
	} names[] = {
		{ "{\"token\": {\"expires_at\": \"2026-11-25T12:00:00Z\", \"user\": {\"id\": \"", "\"}}}" },
		{ GOOD_START "\"project\": {\"id\": \"", "\"}}}" },
		{ GOOD_START "\"domain\": {\"id\": \"", "\"}}}" },
		{ GOOD_START "\"project\": {\"id\": \"p\", \"domain\": {\"id\": \"", "\"}}}}" },
		{ GOOD_START "\"roles\": [{\"name\": \"", "\"}]}}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		assert_int_equal(read_long(names[i].before, 1, names[i].after), 0);
		assert_int_equal(read_long(names[i].before, CALLER_ID_MAX, names[i].after), 0);
		assert_int_equal(read_long(names[i].before, CALLER_ID_MAX + 1, names[i].after), -EBADMSG);
	}
	assert_int_equal(read_many_roles(CALLER_ROLE_MAX), 0);
	assert_int_equal(read_many_roles(CALLER_ROLE_MAX + 1), -EBADMSG);
}

static void an_answer_tells_domain_and_admin_project(void **state)
{
	CLEANUP_CALLER struct caller *of_domain = NULL;
	CLEANUP_CALLER struct caller *of_admin_project = NULL;

	(void)state;
	assert_int_equal(read_answer(GOOD_START "\"domain\": {\"id\": \"d\"}}}", &of_domain), 0);
	assert_string_equal(of_domain->domain_id, "d");
	assert_null(of_domain->project_id);
	assert_int_equal(read_answer(GOOD_START "\"is_admin_project\": true}}", &of_admin_project), 0);
	assert_true(of_admin_project->is_admin_project);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_no_use_are_left_out_and_the_good_ones_stay),
		cmocka_unit_test(a_member_that_is_no_base64url_excludes_its_key_alone),
		cmocka_unit_test(an_rsa_key_of_no_good_numbers_is_excluded),
		cmocka_unit_test(an_rsa_key_within_the_bounds_is_taken),
		cmocka_unit_test(a_point_that_is_not_on_its_curve_is_excluded),
		cmocka_unit_test(a_key_of_another_kind_or_with_odd_members_is_excluded),
		cmocka_unit_test(of_many_keys_the_first_are_taken_and_the_log_stays_short),
		cmocka_unit_test(members_of_null_are_absent),
		cmocka_unit_test(keys_for_encryption_are_not_told),
		cmocka_unit_test(deep_nesting_is_refused_before_it_is_parsed),
		cmocka_unit_test(changed_documents_break_nothing),
		cmocka_unit_test(what_is_no_set_is_refused),
		cmocka_unit_test(keystones_answer_becomes_a_caller),
		cmocka_unit_test(a_token_of_the_system_has_no_project),
		cmocka_unit_test(answers_that_are_none_are_refused),
		cmocka_unit_test(parts_that_are_absent_or_null_are_none),
		cmocka_unit_test(names_and_roles_of_an_answer_have_bounds),
		cmocka_unit_test(an_answer_tells_domain_and_admin_project),
	};

	return cmocka_run_group_tests(tests, make_published, free_published);
}
