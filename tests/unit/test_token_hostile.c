/* Tokens that strangers wrote, held against keys of our own and published ones: none is believed, none breaks anything. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/auth/token.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "jwk_fixture.h"

#define SECRET    "0123456789abcdef0123456789abcdef"
#define NOW_US    (INT64_C(1767312000) * 1000000)
#define KEY_COUNT 7

/* Each algorithm with its kid; the private halves sign, the published ones verify. */
static const struct {
	const char *algorithm;
	size_t key;
} published[] = {
	{ "RS256", 0 }, { "RS384", 0 }, { "RS512", 0 }, { "ES256", 1 }, { "ES384", 2 }, { "ES512", 3 },
};

struct parties {
	struct token_verifier *signer;
	struct token_verifier *verifier; /* with a secret of its own, and the published set */
	char *tokens[KEY_COUNT]; /* good ones; the last is by the secret */
};

static const struct caller someone = { .user_id = "user-1", .is_admin_project = true };

static char *make(struct token_verifier *signer, const char *kid)
{
	struct error error = { 0 };
	char *text = NULL;

	if (token_make(signer, &someone, kid, NOW_US, 600, &text, &error) < 0)
		fail_msg("%s", error.text);
	return text;
}

static struct token_verifier *create(const struct token_settings *settings)
{
	struct token_verifier *verifier = NULL;
	struct error error = { 0 };

	if (token_verifier_create(settings, &verifier, &error) < 0)
		fail_msg("%s", error.text);
	return verifier;
}

static void publish(struct token_verifier *verifier, const char *document)
{
	CLEANUP_FREE char *excluded = NULL;
	struct error error = { 0 };

	if (token_verifier_set_keys(verifier, 0, document, strlen(document), &excluded, &error) < 0)
		fail_msg("%s", error.text);
}

static int make_parties(void **state)
{
	struct parties *parties = calloc(1, sizeof(*parties));
	EVP_PKEY *pairs[] = { EVP_RSA_gen(2048), EVP_EC_gen("P-256"), EVP_EC_gen("P-384"), EVP_EC_gen("P-521") };
	char *pems[ARRAY_LENGTH(pairs)];
	struct token_key keys[KEY_COUNT];
	CLEANUP_TEXT struct text document = TEXT_EMPTY;
	const struct token_key own = { .kid = "own", .algorithm = "HS256", .secret = SECRET };

	for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++)
		pems[i] = private_pem_of(pairs[i]);
	text_append(&document, "{\"keys\":[");
	for (size_t i = 0; i < ARRAY_LENGTH(published); i++) {
		const char *algorithm = published[i].algorithm;
		CLEANUP_FREE char *more = text_format("\"kid\":\"%s\",\"alg\":\"%s\",", algorithm, algorithm);
		struct jwk_members members;

		jwk_members_of(pairs[published[i].key], &members);
		CLEANUP_FREE char *jwk = jwk_of(&members, more);
		text_append_format(&document, "%s%s", i ? "," : "", jwk);
		keys[i] = (struct token_key){ .kid = algorithm, .algorithm = algorithm, .pem = pems[published[i].key] };
	}
	text_append(&document, "]}");
	keys[KEY_COUNT - 1] = own;
	parties->signer = create(&(struct token_settings){ .keys = keys, .key_count = KEY_COUNT });
	parties->verifier = create(&(struct token_settings){ .keys = &own, .key_count = 1, .key_set_count = 1 });
	publish(parties->verifier, document.data);
	for (size_t i = 0; i < KEY_COUNT; i++)
		parties->tokens[i] = make(parties->signer, keys[i].kid);
	for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
		EVP_PKEY_free(pairs[i]);
		free(pems[i]);
	}
	*state = parties;
	return 0;
}

static int free_parties(void **state)
{
	struct parties *parties = *state;

	for (size_t i = 0; i < KEY_COUNT; i++)
		free(parties->tokens[i]);
	token_verifier_destroy(parties->signer);
	token_verifier_destroy(parties->verifier);
	free(parties);
	return 0;
}

static int verify(const struct parties *parties, const char *text, struct error *error)
{
	struct caller *caller = NULL;
	int result = token_verify(parties->verifier, text, NOW_US, &caller, error);

	if (result == 0)
		caller_release(caller);
	return result;
}

static void keys_of_a_set_verify_their_algorithm_alone(void **state)
{
	const struct parties *parties = *state;

	for (size_t i = 0; i < KEY_COUNT; i++)
		assert_int_equal(verify(parties, parties->tokens[i], NULL), 0);
	/* The same signature under the header of another key: of the same numbers, of another kind, and of none. */
	for (size_t i = 0; i < KEY_COUNT * KEY_COUNT; i++) {
		const char *header = parties->tokens[i / KEY_COUNT],
			   *rest = strchr(parties->tokens[i % KEY_COUNT], '.');

		if (i / KEY_COUNT == i % KEY_COUNT)
			continue;
		CLEANUP_FREE char *mixed = text_format("%.*s%s", (int)strcspn(header, "."), header, rest);
		assert_int_equal(verify(parties, mixed, NULL), -EKEYREJECTED);
	}
}

static void a_kid_of_one_key_with_the_algorithm_of_another_is_refused(void **state)
{
	const struct parties *parties = *state;

	for (size_t kid = 0; kid < ARRAY_LENGTH(published); kid++)
		for (size_t alg = 0; alg < ARRAY_LENGTH(published); alg++) {
			CLEANUP_FREE char *header = text_format("{\"alg\":\"%s\",\"kid\":\"%s\"}",
								published[alg].algorithm, published[kid].algorithm);
			CLEANUP_TEXT struct text token = TEXT_EMPTY;

			append_base64url(&token, header, strlen(header));
			text_append(&token, strchr(parties->tokens[alg], '.'));
			assert_int_equal(verify(parties, token.data, NULL), -EKEYREJECTED);
		}
}

/* The token with its segment `which` replaced. */
static char *with_segment(const char *token, size_t which, const char *segment, size_t length)
{
	struct text text = TEXT_EMPTY;

	for (size_t i = 0; i < 3; i++) {
		size_t own = strcspn(token, ".");

		text_append(&text, i ? "." : "");
		text_append_bytes(&text, i == which ? segment : token, i == which ? length : own);
		token += own + (token[own] == '.');
	}
	return text_take(&text);
}

static void is_malformed(const struct parties *parties, const char *token)
{
	struct error error = { 0 };
	int result = verify(parties, token, &error);

	if (result != -EBADMSG)
		fail_msg("%d for %s", result, token);
	assert_true(text_starts_with(error.text, "the token is refused: "));
	/* Nobody is asked for a new key because of it. */
	assert_false(token_names_unknown_key(parties->verifier, token));
}

static const char *segment_of(const char *token, size_t which, size_t *ret_length)
{
	for (; which > 0; which--)
		token = strchr(token, '.') + 1;
	*ret_length = strcspn(token, ".");
	return token;
}

static void a_segment_that_is_no_base64url_reaches_no_library(void **state)
{
	/* What is put in. */
	static const char *const intruders[] = { "=", "==", "===", " ",    "\t",   "\n",   "\r\n", "+",
						 "/", ".",  "%",   "\x01", "\x7f", "\x80", "\xff", "\xc3\xa9" };
	static const char *const whole[] = { "", "A", "=", "A=", "A=AA", "AA==", "====", "A===", "AAAAA", "AAB", "AB" };
	const struct parties *parties = *state;

	for (size_t i = 0; i < KEY_COUNT * 3; i++) {
		const char *token = parties->tokens[i / 3];
		size_t length, which = i % 3;
		const char *segment = segment_of(token, which, &length);
		const size_t places[] = { 0, 1, length / 2, length - 1, length };

		for (size_t j = 0; j < ARRAY_LENGTH(intruders) * ARRAY_LENGTH(places); j++) {
			size_t place = places[j % ARRAY_LENGTH(places)];
			CLEANUP_FREE char *odd =
				text_format("%.*s%s%.*s", (int)place, segment, intruders[j / ARRAY_LENGTH(places)],
					    (int)(length - place), segment + place);
			CLEANUP_FREE char *text = with_segment(token, which, odd, strlen(odd));

			is_malformed(parties, text);
		}
		for (size_t j = 0; j < ARRAY_LENGTH(whole); j++) {
			CLEANUP_FREE char *text = with_segment(token, which, whole[j], strlen(whole[j]));

			is_malformed(parties, text);
		}
	}
}

/* A token's text is the only one of its kind: bits that do not count may not be set. */
static void a_changed_last_digit_is_refused(void **state)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const struct parties *parties = *state;

	for (size_t i = 0; i < KEY_COUNT; i++)
		for (const char *digit = digits; *digit; digit++) {
			CLEANUP_FREE char *text = strdup(parties->tokens[i]);
			char *last = text + strlen(text) - 1;

			if (*last == *digit)
				continue;
			*last = *digit;
			assert_true(verify(parties, text, NULL) < 0);
		}
}

/* Bytes that base64url holds and that are no JSON object, or not one that two readers read alike. */
static void json_that_is_none_reaches_no_library(void **state)
{
	static const char deep[] =
		"{\"alg\":\"RS256\",\"sub\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}";
	static const struct {
		const char *bytes;
		size_t length;
	} documents[] = {
#define BYTES(text) { text, sizeof(text) - 1 }
		BYTES("\0"),
		BYTES("{\"alg\":\"RS256\"}\0"),
		BYTES("{\"alg\":\"RS256\"}\0{}"),
		BYTES("{\"alg\":\"RS256\0\"}"),
		BYTES("{\"alg\":\"RS256\\u0000\"}"),
		BYTES("{\"al\0g\":\"RS256\"}"),
		BYTES("{\"alg\":\"RS256\",\"alg\":\"RS256\"}"),
		BYTES("{\"alg\":\"RS256\",\"x\":\"\xff\"}"),
		BYTES("{\"alg\":\"RS256\",\"x\":\"\xed\xa0\x80\"}"),
		BYTES("{\"alg\":\"RS256\",\"x\":1e999999}"),
		BYTES("{\"alg\":\"RS256\"} "
		      "x"),
		BYTES("[\"RS256\"]"),
		BYTES("\"RS256\""),
		BYTES("1"),
		BYTES("null"),
		BYTES("{"),
		BYTES("\"\\"),
		{ deep, sizeof(deep) - 1 },
#undef BYTES
	};
	const struct parties *parties = *state;

	for (size_t i = 0; i < KEY_COUNT * 2 * ARRAY_LENGTH(documents); i++) {
		size_t document = i / (KEY_COUNT * 2);
		CLEANUP_TEXT struct text segment = TEXT_EMPTY;

		append_base64url(&segment, documents[document].bytes, documents[document].length);
		CLEANUP_FREE char *text =
			with_segment(parties->tokens[i % KEY_COUNT], i / KEY_COUNT % 2, segment.data, segment.length);

		is_malformed(parties, text);
	}
}

/* Of the right form, but with what no signature of that kind is. */
static void odd_signatures_are_refused(void **state)
{
	static const size_t sizes[] = { 1, 2, 31, 32, 63, 64, 65, 95, 96, 97, 131, 132, 133, 255, 256, 257, 1000 };
	static const unsigned char fills[] = { 0x00, 0x01, 0x80, 0xff };
	const struct parties *parties = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(sizes) * ARRAY_LENGTH(fills); i++) {
		unsigned char bytes[1000];
		size_t size = sizes[i / ARRAY_LENGTH(fills)];
		CLEANUP_TEXT struct text segment = TEXT_EMPTY;

		memset(bytes, fills[i % ARRAY_LENGTH(fills)], size);
		append_base64url(&segment, bytes, size);
		for (size_t j = 0; j < KEY_COUNT; j++) {
			CLEANUP_FREE char *text = with_segment(parties->tokens[j], 2, segment.data, segment.length);

			assert_int_equal(verify(parties, text, NULL), -EKEYREJECTED);
		}
	}
}

/* Bytes changed, taken out, put in and swapped at random. */
static void changed_tokens_break_nothing(void **state)
{
	static const char pieces[] = "=.+/-_AaZz09 \n\x80\xff";
	const struct parties *parties = *state;
	unsigned int seed = 20260102;

	for (size_t round = 0; round < 3000; round++) {
		const char *good = parties->tokens[round % KEY_COUNT];
		size_t length = strlen(good);
		CLEANUP_FREE char *text = calloc(1, length + 16);

		memcpy(text, good, length);
		for (size_t changes = 1 + next_number(&seed) % 4; changes > 0; changes--) {
			size_t place = next_number(&seed) % length;

			if (next_number(&seed) % 3 == 0) {
				memmove(text + place + 1, text + place, length - place);
				length++;
			} else if (next_number(&seed) % 3 == 0) {
				memmove(text + place, text + place + 1, --length - place);
				text[length] = '\0';
				continue;
			}
			text[place] = pieces[next_number(&seed) % (sizeof(pieces) - 1)];
		}
		int result = verify(parties, text, NULL);

		if (strcmp(text, good) != 0)
			assert_true(result == -EBADMSG || result == -EKEYREJECTED);
	}
}

/* As the daemon reads sets: what is wrong is told once for each document, and the other keys go on. */
static void excluded_keys_are_told_once_for_each_document(void **state)
{
	struct token_verifier *verifier = create(&(struct token_settings){ .key_set_count = 1 });
	EVP_PKEY *pair = EVP_EC_gen("P-256");
	struct jwk_members members;
	struct error error = { 0 };

	(void)state;
	jwk_members_of(pair, &members);
	CLEANUP_FREE char *jwk = jwk_of(&members, "");
	for (size_t i = 0; i < 4; i++) {
		CLEANUP_FREE char *document = text_format(
			"{\"keys\":[{\"kid\":\"bad\",\"kty\":\"RSA\",\"n\":\"A=AA\",\"e\":\"AQAB\"},%s],\"v\":%zu}",
			jwk, i / 2);
		CLEANUP_FREE char *excluded = NULL;

		assert_int_equal(token_verifier_set_keys(verifier, 0, document, strlen(document), &excluded, &error),
				 0);
		if (i % 2 == 0)
			assert_string_equal(excluded, "key 1 (kid \"bad\"): its n is no base64url of 1 to 1025 bytes");
		else
			assert_null(excluded);
	}
	EVP_PKEY_free(pair);
	token_verifier_destroy(verifier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_a_set_verify_their_algorithm_alone),
		cmocka_unit_test(a_kid_of_one_key_with_the_algorithm_of_another_is_refused),
		cmocka_unit_test(a_segment_that_is_no_base64url_reaches_no_library),
		cmocka_unit_test(a_changed_last_digit_is_refused),
		cmocka_unit_test(json_that_is_none_reaches_no_library),
		cmocka_unit_test(odd_signatures_are_refused),
		cmocka_unit_test(changed_tokens_break_nothing),
		cmocka_unit_test(excluded_keys_are_told_once_for_each_document),
	};

	return cmocka_run_group_tests_name("token_hostile", tests, make_parties, free_parties);
}
