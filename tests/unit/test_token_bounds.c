/* The edges of what is believed of a token: each bound of its claims, of keys and of settings, just within and just beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth/token.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "jwk_fixture.h"
#include "token_fixture.h"

static const struct token_key plain_key = { .kid = "own", .algorithm = "HS256", .secret = SECRET };

static struct token_verifier *create(struct token_settings settings)
{
	struct token_verifier *verifier = NULL;
	struct error error = { 0 };

	if (!settings.keys && !settings.key_set_count) {
		settings.keys = &plain_key;
		settings.key_count = 1;
	}
	if (token_verifier_create(&settings, &verifier, &error) < 0)
		fail_msg("%s", error.text);
	return verifier;
}

static int set_up(void **state)
{
	*state = create((struct token_settings){ 0 });
	return 0;
}

static int tear_down(void **state)
{
	token_verifier_destroy(*state);
	return 0;
}

/* The caller of a token with that payload, signed by our own key; NULL: refused, by the result that is wanted. */
static struct caller *read_payload(struct token_verifier *verifier, const char *payload, int wanted)
{
	CLEANUP_FREE char *text = forge(HEADER, payload, SECRET);
	struct caller *caller = NULL;
	struct error error = { 0 };
	int result = token_verify(verifier, text, NOW_US, &caller, &error);

	if (result != wanted)
		fail_msg("%.200s: %d %s", payload, result, error.text);
	return result == 0 ? caller : NULL;
}

static void expect(struct token_verifier *verifier, const char *payload, int wanted)
{
	caller_release(read_payload(verifier, payload, wanted));
}

static void what_a_header_says_besides_must_be_understood(void **state)
{
	static const struct {
		const char *header;
		int result;
	} headers[] = {
		{ "{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", -EBADMSG },
		{ "{\"alg\":\"HS256\",\"crit\":[]}", -EBADMSG },
		{ "{\"alg\":\"HS256\",\"crit\":null}", -EBADMSG },
		{ "{\"alg\":\"HS256\",\"Crit\":[\"exp\"]}", 0 },
		{ "{\"alg\":\"HS256\",\"typ\":\"jwt\"}", 0 },
		{ "{\"alg\":\"HS256\"}", 0 },
		{ "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", -EBADMSG },
		{ "{\"alg\":\"HS256\",\"typ\":\"JWTX\"}", -EBADMSG },
		{ "{\"alg\":\"HS256\",\"typ\":\"\"}", -EBADMSG },
		{ "{\"alg\":\"HS256\",\"typ\":7}", -EBADMSG },
		{ "{\"alg\":\"HS256\",\"typ\":null}", -EBADMSG },
		{ "{\"alg\":\"HS256\",\"kid\":\"own\"}", 0 },
		{ "{\"alg\":\"HS256\",\"kid\":7}", -EBADMSG },
		{ "{\"alg\":\"HS256\",\"kid\":null}", -EBADMSG },
		{ "{\"alg\":\"HS256\",\"kid\":[\"own\"]}", -EBADMSG },
		{ "{\"alg\":\"HS256\",\"kid\":\"\"}", -EKEYREJECTED },
		{ "{\"alg\":\"HS256\",\"kid\":\"OWN\"}", -EKEYREJECTED },
		{ "{\"alg\":\"HS256\",\"kid\":\"ow\"}", -EKEYREJECTED },
		{ "{\"alg\":\"hs256\"}", -EKEYREJECTED },
		{ "{\"alg\":[\"HS256\"]}", -EBADMSG },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
		CLEANUP_FREE char *text = forge(headers[i].header, PAYLOAD(""), SECRET);
		CLEANUP_CALLER struct caller *caller = NULL;
		struct error error = { 0 };
		int result = token_verify(*state, text, NOW_US, &caller, &error);

		if (result != headers[i].result)
			fail_msg("%s: %d %s", headers[i].header, result, error.text);
	}
}

/* Keys of one algorithm, so that nothing but the kid tells them apart; the last one is not published. */
enum { KEY_A, KEY_B, KEY_NAMELESS, KEY_UNLISTED, KEYS };

struct publisher {
	struct token_verifier *verifier; /* has the set in the first of two places */
	char *pems[KEYS]; /* private */
	char *document;
};

static void put_set(struct token_verifier *verifier, size_t place, const char *document, int wanted)
{
	CLEANUP_FREE char *excluded = NULL;
	struct error error = { 0 };
	int result = token_verifier_set_keys(verifier, place, document, strlen(document), &excluded, &error);

	if (result != wanted)
		fail_msg("%d %s", result, error.text);
}

static struct publisher publish(void)
{
	static const char *const names[KEYS] = {
		[KEY_A] = "\"kid\":\"a\",", [KEY_B] = "\"kid\":\"b\",", [KEY_NAMELESS] = "", [KEY_UNLISTED] = ""
	};
	struct publisher publisher = { .verifier = create((struct token_settings){ .key_set_count = 2 }) };
	struct text document = TEXT_EMPTY;

	text_append(&document, "{\"keys\":[");
	for (size_t i = 0; i < KEYS; i++) {
		EVP_PKEY *pair = EVP_EC_gen("P-256");
		struct jwk_members members;

		jwk_members_of(pair, &members);
		CLEANUP_FREE char *jwk = jwk_of(&members, names[i]);
		if (i != KEY_UNLISTED)
			text_append_format(&document, "%s%s", i ? "," : "", jwk);
		publisher.pems[i] = private_pem_of(pair);
		EVP_PKEY_free(pair);
	}
	text_append(&document, "]}");
	publisher.document = text_take(&document);
	put_set(publisher.verifier, 0, publisher.document, 0);
	return publisher;
}

static void publisher_clear(struct publisher *publisher)
{
	token_verifier_destroy(publisher->verifier);
	for (size_t i = 0; i < KEYS; i++)
		free(publisher->pems[i]);
	free(publisher->document);
}

/* A token by that key, whose header says that it is by `kid`. */
static char *sign(const struct publisher *publisher, size_t by, const char *kid)
{
	const struct caller someone = { .user_id = "user-1", .is_admin_project = true };
	const struct token_key key = { .kid = kid, .algorithm = "ES256", .pem = publisher->pems[by] };
	struct token_verifier *signer = create((struct token_settings){ .keys = &key, .key_count = 1 });
	struct error error = { 0 };
	char *text = NULL;

	if (token_make(signer, &someone, kid, NOW_US, 600, &text, &error) < 0)
		fail_msg("%s", error.text);
	token_verifier_destroy(signer);
	return text;
}

static int verify(struct token_verifier *verifier, const char *text)
{
	CLEANUP_CALLER struct caller *caller = NULL;

	return token_verify(verifier, text, NOW_US, &caller, NULL);
}

static void a_key_of_a_set_verifies_tokens_of_its_own_kid_alone(void **state)
{
	/* A kid that no key has is for those without one; without a kid all are tried. */
	static const struct {
		const char *kid;
		bool is_good[KEYS];
	} names[] = {
		{ "a", { [KEY_A] = true } },
		{ "b", { [KEY_B] = true } },
		{ "unknown", { [KEY_NAMELESS] = true } },
		{ "A", { [KEY_NAMELESS] = true } },
		{ NULL, { [KEY_A] = true, [KEY_B] = true, [KEY_NAMELESS] = true } },
	};

	(void)state;
	struct publisher publisher = publish();

	for (size_t i = 0; i < ARRAY_LENGTH(names) * KEYS; i++) {
		size_t by = i % KEYS;
		CLEANUP_FREE char *text = sign(&publisher, by, names[i / KEYS].kid);
		int result = verify(publisher.verifier, text);

		if (result != (names[i / KEYS].is_good[by] ? 0 : -EKEYREJECTED))
			fail_msg("key %zu as \"%s\": %d", by, names[i / KEYS].kid, result);
	}
	publisher_clear(&publisher);
}

static void a_verified_token_is_forgotten_with_its_key_and_not_by_the_same_set(void **state)
{
	struct token_statistics statistics;

	(void)state;
	struct publisher publisher = publish();
	struct publisher other = publish();
	CLEANUP_FREE char *text = sign(&publisher, KEY_A, "a");

	assert_int_equal(verify(publisher.verifier, text), 0);
	put_set(publisher.verifier, 0, publisher.document, 0);
	assert_int_equal(verify(publisher.verifier, text), 0);
	token_statistics(publisher.verifier, &statistics);
	assert_int_equal(statistics.recalled, 1);
	/* What is no set changes nothing, and one in another place takes no key away. */
	put_set(publisher.verifier, 0, "{}", -EBADMSG);
	put_set(publisher.verifier, 2, other.document, -EINVAL);
	put_set(publisher.verifier, 1, other.document, 0);
	assert_int_equal(verify(publisher.verifier, text), 0);
	put_set(publisher.verifier, 0, other.document, 0);
	assert_int_equal(verify(publisher.verifier, text), -EKEYREJECTED);
	token_statistics(publisher.verifier, &statistics);
	assert_int_equal(statistics.remembered, 0);
	publisher_clear(&publisher);
	publisher_clear(&other);
}

static char *repeated(const char *piece, size_t times)
{
	struct text text = TEXT_EMPTY;

	text_append(&text, "");
	for (size_t i = 0; i < times; i++)
		text_append(&text, piece);
	return text_take(&text);
}

/* Each claim with a name of `name`. */
static void check_name(struct token_verifier *verifier, const char *name, bool is_good)
{
	static const char *const claims[] = {
		"\"sub\":\"%s\"",
		"\"sub\":\"u\",\"project_id\":\"%s\"",
		"\"sub\":\"u\",\"domain_id\":\"%s\"",
		"\"sub\":\"u\",\"user_domain_id\":\"%s\"",
		"\"sub\":\"u\",\"project_domain_id\":\"%s\"",
		"\"sub\":\"u\",\"system_scope\":\"%s\"",
		"\"sub\":\"u\",\"roles\":[\"reader\",\"%s\"]",
		"\"sub\":\"u\",\"roles\":[{\"name\":\"%s\"}]",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(claims); i++) {
		const char *place = strstr(claims[i], "%s");
		CLEANUP_FREE char *payload = text_format("{\"exp\":1767312600,%.*s%s%s}", (int)(place - claims[i]),
							 claims[i], name, place + 2);

		expect(verifier, payload, is_good ? 0 : -EBADMSG);
	}
}

static void names_have_no_control_characters_and_at_most_255_bytes(void **state)
{
	CLEANUP_FREE char *longest = repeated("x", CALLER_ID_MAX);
	CLEANUP_FREE char *too_long = repeated("x", CALLER_ID_MAX + 1);
	CLEANUP_FREE char *wide = repeated("\xc3\xa9", CALLER_ID_MAX / 2 + 1); /* 256 bytes, 128 characters */

	for (unsigned int byte = 0; byte <= 0x80; byte++) {
		CLEANUP_FREE char *name = text_format("a\\u%04xb", byte);

		check_name(*state, name, byte >= 0x20 && byte != 0x7f);
	}
	check_name(*state, longest, true);
	check_name(*state, too_long, false);
	check_name(*state, wide, false);
}

static size_t count_roles(struct token_verifier *verifier, const char *roles, int wanted)
{
	CLEANUP_FREE char *payload = text_format("{\"sub\":\"u\",\"exp\":1767312600,\"roles\":%s}", roles);
	CLEANUP_CALLER struct caller *caller = read_payload(verifier, payload, wanted);

	return caller ? caller->role_count : 0;
}

static void a_token_has_at_most_256_roles(void **state)
{
	CLEANUP_FREE char *listed = repeated("\"r\",", CALLER_ROLE_MAX - 1);
	CLEANUP_FREE char *words = repeated("r ", CALLER_ROLE_MAX);
	CLEANUP_FREE char *most = text_format("[%s\"last\"]", listed);
	CLEANUP_FREE char *more = text_format("[%s\"last\",\"more\"]", listed);
	CLEANUP_FREE char *empty_ones = text_format("[\"\",%s\"\",\"last\"]", listed);
	CLEANUP_FREE char *most_words = text_format("\"%s\"", words);
	CLEANUP_FREE char *more_words = text_format("\"%sr\"", words);

	assert_int_equal(count_roles(*state, most, 0), CALLER_ROLE_MAX);
	assert_int_equal(count_roles(*state, empty_ones, 0), CALLER_ROLE_MAX);
	assert_int_equal(count_roles(*state, most_words, 0), CALLER_ROLE_MAX);
	count_roles(*state, more, -EBADMSG);
	count_roles(*state, more_words, -EBADMSG);
}

static void a_token_is_of_the_system_by_all_alone(void **state)
{
	static const struct {
		const char *claim, *scope;
		int result;
	} scopes[] = {
		{ "\"all\"", "all", 0 },
		{ "{\"all\":true}", "all", 0 },
		{ "{\"all\":false}", NULL, 0 },
		{ "{\"all\":\"true\"}", NULL, 0 },
		{ "{\"all\":1}", NULL, 0 },
		{ "{\"All\":true}", NULL, 0 },
		{ "{}", NULL, 0 },
		{ "null", NULL, 0 },
		{ "\"\"", NULL, 0 },
		{ "true", NULL, -EBADMSG },
		{ "[\"all\"]", NULL, -EBADMSG },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(scopes); i++) {
		CLEANUP_FREE char *payload =
			text_format("{\"sub\":\"u\",\"exp\":1767312600,\"system_scope\":%s}", scopes[i].claim);
		CLEANUP_CALLER struct caller *caller = read_payload(*state, payload, scopes[i].result);

		if (caller && !text_equal(caller->system_scope, scopes[i].scope))
			fail_msg("%s: %s", scopes[i].claim, caller->system_scope);
	}
}

static void only_a_false_takes_the_admin_project_from_a_token(void **state)
{
	static const struct {
		const char *claim;
		bool is_admin_project;
		int result;
	} claims[] = {
		{ "", true, 0 },
		{ ",\"is_admin_project\":null", true, 0 },
		{ ",\"is_admin_project\":true", true, 0 },
		{ ",\"is_admin_project\":false", false, 0 },
		{ ",\"is_admin_project\":\"false\"", false, -EBADMSG },
		{ ",\"is_admin_project\":0", false, -EBADMSG },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(claims); i++) {
		CLEANUP_FREE char *payload = text_format("{\"sub\":\"u\",\"exp\":1767312600%s}", claims[i].claim);
		CLEANUP_CALLER struct caller *caller = read_payload(*state, payload, claims[i].result);

		if (caller && caller->is_admin_project != claims[i].is_admin_project)
			fail_msg("%s", claims[i].claim);
	}
}

static void times_are_numbers_up_to_the_year_9999(void **state)
{
	static const struct {
		const char *times;
		int result;
	} claims[] = {
		{ "\"exp\":253402300799", 0 },
		{ "\"exp\":253402300800", -EBADMSG },
		{ "\"exp\":253402300799.5", -EBADMSG },
		{ "\"exp\":-1", -EBADMSG },
		{ "\"exp\":0", -EKEYEXPIRED },
		{ "\"exp\":null", -EBADMSG },
		{ "\"exp\":true", -EBADMSG },
		{ "\"Exp\":1767312600", -EBADMSG },
		{ "\"exp\":1767312001", 0 },
		{ "\"exp\":1767312000", -EKEYEXPIRED },
		{ "\"exp\":1767312600,\"nbf\":0", 0 },
		{ "\"exp\":1767312600,\"nbf\":-1", -EBADMSG },
		{ "\"exp\":1767312600,\"nbf\":null", -EBADMSG },
		{ "\"exp\":1767312600,\"nbf\":\"1767312000\"", -EBADMSG },
		{ "\"exp\":1767312600,\"nbf\":253402300800", -EBADMSG },
		{ "\"exp\":1767312600,\"nbf\":1767312000", 0 },
		{ "\"exp\":1767312600,\"nbf\":1767312000.5", -EACCES },
		{ "\"exp\":1767312600,\"iat\":1767312500", 0 }, /* when it was issued decides nothing */
	};

	for (size_t i = 0; i < ARRAY_LENGTH(claims); i++) {
		CLEANUP_FREE char *payload = text_format("{\"sub\":\"u\",%s}", claims[i].times);

		expect(*state, payload, claims[i].result);
	}
}

static void a_token_that_begins_later_is_good_then(void **state)
{
	CLEANUP_FREE char *text = forge(HEADER, PAYLOAD(",\"nbf\":1767312010"), SECRET);
	CLEANUP_CALLER struct caller *caller = NULL;

	assert_int_equal(token_verify(*state, text, NOW_US, &caller, NULL), -EACCES);
	assert_int_equal(token_verify(*state, text, NOW_US + 10 * SECOND_US - 1, &caller, NULL), -EACCES);
	assert_int_equal(token_verify(*state, text, NOW_US + 10 * SECOND_US, &caller, NULL), 0);
}

static void issuer_and_audience_are_compared_whole(void **state)
{
	static const struct {
		const char *claims;
		int result;
	} parties[] = {
		{ "\"iss\":\"https://sso\",\"aud\":\"compute\"", 0 },
		{ "\"iss\":\"https://sso\",\"aud\":[7,null,\"compute\"]", 0 },
		{ "\"iss\":\"https://sso.evil\",\"aud\":\"compute\"", -EACCES },
		{ "\"iss\":\"https://ss\",\"aud\":\"compute\"", -EACCES },
		{ "\"iss\":\"HTTPS://SSO\",\"aud\":\"compute\"", -EACCES },
		{ "\"iss\":\"\",\"aud\":\"compute\"", -EACCES },
		{ "\"iss\":[\"https://sso\"],\"aud\":\"compute\"", -EACCES },
		{ "\"iss\":null,\"aud\":\"compute\"", -EACCES },
		{ "\"iss\":\"https://sso\",\"aud\":\"computer\"", -EACCES },
		{ "\"iss\":\"https://sso\",\"aud\":\"comput\"", -EACCES },
		{ "\"iss\":\"https://sso\",\"aud\":\"image compute\"", -EACCES },
		{ "\"iss\":\"https://sso\",\"aud\":[\"computer\",\"comput\"]", -EACCES },
		{ "\"iss\":\"https://sso\",\"aud\":[7]", -EACCES },
		{ "\"iss\":\"https://sso\",\"aud\":[[\"compute\"]]", -EACCES },
		{ "\"iss\":\"https://sso\",\"aud\":{\"compute\":true}", -EACCES },
		{ "\"iss\":\"https://sso\",\"aud\":[]", -EACCES },
		{ "\"iss\":\"https://sso\",\"aud\":null", -EACCES },
	};
	struct token_verifier *verifier =
		create((struct token_settings){ .issuer = "https://sso", .audience = "compute" });

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(parties); i++) {
		CLEANUP_FREE char *payload = text_format("{\"sub\":\"u\",\"exp\":1767312600,%s}", parties[i].claims);

		expect(verifier, payload, parties[i].result);
	}
	token_verifier_destroy(verifier);
}

static void a_token_has_at_most_8192_bytes(void **state)
{
	bool has_longest = false, has_longer = false;

	for (size_t pad = 6000; pad < 6100; pad++) {
		CLEANUP_FREE char *padding = repeated("x", pad);
		CLEANUP_FREE char *payload = text_format("{\"sub\":\"u\",\"exp\":1767312600,\"pad\":\"%s\"}", padding);
		/* Of two headers, since base64url has no text of every length. */
		for (size_t i = 0; i < 2; i++) {
			CLEANUP_FREE char *text = forge(i ? HEADER : "{\"alg\":\"HS256\"}", payload, SECRET);
			int wanted = strlen(text) <= TOKEN_TEXT_MAX ? 0 : -EBADMSG;

			assert_int_equal(verify(*state, text), wanted);
			has_longest = has_longest || strlen(text) == TOKEN_TEXT_MAX;
			has_longer = has_longer || strlen(text) == TOKEN_TEXT_MAX + 1;
		}
	}
	assert_true(has_longest && has_longer);
}

static void settings_beyond_their_bounds_stop_the_start(void **state)
{
	static const struct {
		struct token_settings settings;
		int result;
	} cases[] = {
		{ { .keys = &plain_key, .key_count = 1, .leeway_s = -1 }, -EINVAL },
		{ { .keys = &plain_key, .key_count = 1, .leeway_s = 0 }, 0 },
		{ { .keys = &plain_key, .key_count = 1, .leeway_s = 600 }, 0 },
		{ { .keys = &plain_key, .key_count = 1, .leeway_s = 601 }, -EINVAL },
		{ { .key_set_count = TOKEN_KEY_SETS_MAX }, 0 },
		{ { .key_set_count = TOKEN_KEY_SETS_MAX + 1 }, -EINVAL },
		{ { .has_authority = true }, 0 },
		{ { .leeway_s = 0 }, -EINVAL }, /* nobody may vouch */
		{ { .keys = &plain_key, .key_count = 1, .remembered_max = 1048577 }, -EINVAL },
		{ { .keys = &plain_key, .key_count = 1, .claims = { .user = "" } }, -EINVAL },
		{ { .keys = &plain_key, .key_count = 1, .issuer = "" }, -EINVAL },
		{ { .keys = &plain_key, .key_count = 1, .audience = "" }, -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct token_verifier *verifier = NULL;
		struct error error = { 0 };
		int result = token_verifier_create(&cases[i].settings, &verifier, &error);

		if (result != cases[i].result)
			fail_msg("case %zu: %d %s", i, result, error.text);
		token_verifier_destroy(verifier);
	}
}

static void there_are_at_most_64_keys(void **state)
{
	struct token_key keys[65];
	char kids[ARRAY_LENGTH(keys)][8];
	struct token_verifier *verifier = NULL;
	struct error error = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
		snprintf(kids[i], sizeof(kids[i]), "k%zu", i);
		keys[i] = (struct token_key){ .kid = kids[i], .algorithm = "HS256", .secret = SECRET };
	}
	struct token_settings settings = { .keys = keys, .key_count = ARRAY_LENGTH(keys) };
	assert_int_equal(token_verifier_create(&settings, &verifier, &error), -EINVAL);
	settings.key_count--;
	assert_int_equal(token_verifier_create(&settings, &verifier, &error), 0);
	token_verifier_destroy(verifier);
}

static void a_secret_has_at_least_32_bytes(void **state)
{
	static const struct {
		const char *secret;
		int result;
	} secrets[] = { { "0123456789abcdef0123456789abcde", -EINVAL }, { SECRET, 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++) {
		const struct token_key key = { .algorithm = "HS512", .secret = secrets[i].secret };
		struct token_settings settings = { .keys = &key, .key_count = 1 };
		struct token_verifier *verifier = NULL;
		struct error error = { 0 };

		assert_int_equal(token_verifier_create(&settings, &verifier, &error), secrets[i].result);
		token_verifier_destroy(verifier);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_header_says_besides_must_be_understood),
		cmocka_unit_test(a_key_of_a_set_verifies_tokens_of_its_own_kid_alone),
		cmocka_unit_test(a_verified_token_is_forgotten_with_its_key_and_not_by_the_same_set),
		TEST(names_have_no_control_characters_and_at_most_255_bytes),
		TEST(a_token_has_at_most_256_roles),
		TEST(a_token_is_of_the_system_by_all_alone),
		TEST(only_a_false_takes_the_admin_project_from_a_token),
		TEST(times_are_numbers_up_to_the_year_9999),
		TEST(a_token_that_begins_later_is_good_then),
		cmocka_unit_test(issuer_and_audience_are_compared_whole),
		TEST(a_token_has_at_most_8192_bytes),
		cmocka_unit_test(settings_beyond_their_bounds_stop_the_start),
		cmocka_unit_test(there_are_at_most_64_keys),
		cmocka_unit_test(a_secret_has_at_least_32_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
