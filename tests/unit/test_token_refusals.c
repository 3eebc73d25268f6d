/* What is said where a token or a key is not taken, and what is counted: words for the person who looks for the cause. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "api/auth/token.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/text.h"
#include "jwk_fixture.h"
#include "token_fixture.h"

static struct token_verifier *create(struct token_settings settings)
{
	struct token_verifier *verifier = NULL;
	struct error error = { 0 };

	if (token_verifier_create(&settings, &verifier, &error) < 0)
		fail_msg("%s", error.text);
	return verifier;
}

/* The words of a refused key end so; of its file's path only the name is compared. */
static void expect_key_fault(struct token_key key, const char *words)
{
	const struct token_settings settings = { .keys = &key, .key_count = 1 };
	struct token_verifier *verifier = NULL;
	struct error error = { 0 };

	assert_true(token_verifier_create(&settings, &verifier, &error) < 0);
	assert_null(verifier);
	if (strcmp(error.text, words) != 0)
		fail_msg("\"%s\" and not \"%s\"", error.text, words);
}

static void a_faulty_key_is_told_with_its_place_and_what_to_give(void **state)
{
	static const char hmac_takes[] =
		"token key 1: HS256 takes a secret, never a public or private key: use RS* or ES*";
	static const char rsa_takes[] = "token key 1: RS256 takes a public or private key, no secret";
	static const char hmac_needs[] = "token key 1: HS256 needs secret or secret_file, and only one of them";
	static const char rsa_needs[] = "token key 1: RS256 needs pem or pem_file, and only one of them";
	static const struct {
		struct token_key key;
		const char *words;
	} rows[] = {
		{ { .algorithm = "HS256", .pem = "x" }, hmac_takes },
		{ { .algorithm = "HS256", .pem_file = "/x" }, hmac_takes },
		{ { .algorithm = "HS256", .secret = SECRET, .pem_file = "/x" }, hmac_takes },
		{ { .algorithm = "HS256" }, hmac_needs },
		{ { .algorithm = "HS256", .secret = SECRET, .secret_file = "/x" }, hmac_needs },
		{ { .algorithm = "RS256", .secret = SECRET }, rsa_takes },
		{ { .algorithm = "RS256", .secret_file = "/x" }, rsa_takes },
		{ { .algorithm = "RS256", .pem = "x", .secret = SECRET }, rsa_takes },
		{ { .algorithm = "RS256" }, rsa_needs },
		{ { .algorithm = "RS256", .pem = "x", .pem_file = "/x" }, rsa_needs },
		{ { .algorithm = "ES256", .pem = "x" },
		  "token key 1: no PEM of a public key, a private key without a passphrase, or a certificate" },
		{ { .kid = "k", .algorithm = "HS256", .secret = "short" },
		  "token key 1 k: the secret of HS256 has 5 bytes: it needs at least 32, and they should be random" },
		{ { .algorithm = "HS256", .secret = "" },
		  "token key 1: the secret of HS256 has 0 bytes: it needs at least 32, and they should be random" },
		{ { .algorithm = "HS256", .secret_file = "/nonexistent/secret" },
		  "token key 1: cannot open the key file /nonexistent/secret: No such file or directory" },
		{ { .algorithm = "HS256", .secret_file = "/tmp" },
		  "token key 1: cannot read the key file /tmp: Input/output error" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		expect_key_fault(rows[i].key, rows[i].words);
}

/* A file of these bytes, whose name is put into the 32 bytes at `path`. */
static void write_key_file(char *path, const char *bytes, size_t length)
{
	strcpy(path, "/tmp/test-token-key-XXXXXX");
	int descriptor = mkstemp(path);

	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, bytes, length), length);
	close(descriptor);
}

static void a_key_file_that_holds_none_is_told_by_its_name(void **state)
{
	static const char zero[] = SECRET "\0" SECRET;
	CLEANUP_FREE char *longest = malloc(65537);
	const struct {
		const char *algorithm;
		const char *bytes;
		size_t length;
		const char *before, *behind; /* of the path in the words */
	} rows[] = {
		{ "HS256", "", 0, "token key 1: the key file ", " is empty" },
		{ "HS256", zero, sizeof(zero), "token key 1: the key file ",
		  " holds a zero byte: secrets and keys are texts" },
		{ "HS256", longest, 65536, "token key 1: the key file ", " is longer than 65535 bytes: it is no key" },
		{ "HS256", longest, 65537, "token key 1: the key file ", " is longer than 65535 bytes: it is no key" },
		{ "RS256", SECRET, strlen(SECRET),
		  "token key 1: ", ": no PEM of a public key, a private key without a passphrase, or a certificate" },
	};
	char path[32];

	(void)state;
	memset(longest, 'x', 65537);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct token_key key = { .algorithm = rows[i].algorithm };

		write_key_file(path, rows[i].bytes, rows[i].length);
		*(*key.algorithm == 'H' ? &key.secret_file : &key.pem_file) = path;
		CLEANUP_FREE char *words = text_format("%s%s%s", rows[i].before, path, rows[i].behind);
		expect_key_fault(key, words);
		unlink(path);
	}
	write_key_file(path, longest, 65535);
	const struct token_key key = { .algorithm = "HS256", .secret_file = path };
	struct token_verifier *verifier = create((struct token_settings){ .keys = &key, .key_count = 1 });

	token_verifier_destroy(verifier);
	unlink(path);
}

static void a_private_key_of_another_kind_is_told_by_its_file(void **state)
{
	EVP_PKEY *pair = EVP_EC_gen("P-256");
	CLEANUP_FREE char *pem = private_pem_of(pair);
	char path[32];

	(void)state;
	EVP_PKEY_free(pair);
	write_key_file(path, pem, strlen(pem));
	CLEANUP_FREE char *no_rsa = text_format("token key 1: %s: RS256 needs an RSA key, and this is none", path);
	CLEANUP_FREE char *no_curve = text_format(
		"token key 1: %s: ES384 needs a key on the curve secp384r1, and this is on prime256v1", path);
	expect_key_fault((struct token_key){ .algorithm = "RS256", .pem_file = path }, no_rsa);
	expect_key_fault((struct token_key){ .algorithm = "ES384", .pem_file = path }, no_curve);
	unlink(path);
}

/* A file's one newline at its end is the editor's; every other byte is the secret's. */
static void a_secret_is_taken_to_the_byte(void **state)
{
	static const struct {
		const char *text;
		bool is_file;
		const char *secret;
	} rows[] = {
		{ SECRET "\n", true, SECRET },
		{ SECRET "\n\n", true, SECRET "\n" },
		{ SECRET, true, SECRET },
		{ SECRET " \n", true, SECRET " " },
		{ SECRET "\r\n", true, SECRET "\r" },
		{ SECRET "\n", false, SECRET "\n" },
		{ "\n" SECRET, true, "\n" SECRET },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char path[32];
		struct token_key key = { .algorithm = "HS256" };
		CLEANUP_FREE char *good = forge(HEADER, PAYLOAD(""), rows[i].secret);
		CLEANUP_CALLER struct caller *caller = NULL;

		write_key_file(path, rows[i].text, strlen(rows[i].text));
		if (rows[i].is_file)
			key.secret_file = path;
		else
			key.secret = rows[i].text;
		struct token_verifier *verifier = create((struct token_settings){ .keys = &key, .key_count = 1 });

		assert_int_equal(token_verify(verifier, good, NOW_US, &caller, NULL), 0);
		token_verifier_destroy(verifier);
		unlink(path);
	}
}

static const struct token_key three_keys[] = { { .kid = "a", .algorithm = "HS256", .secret = SECRET },
					       { .kid = "b", .algorithm = "HS512", .secret = SECRET },
					       { .algorithm = "HS256", .secret = OTHER_SECRET } };

static void a_refusal_says_what_is_wrong_with_the_token(void **state)
{
	static const struct {
		const char *header, *payload;
		const char *words;
	} rows[] = {
		{ HEADER, PAYLOAD(""), "its signature is wrong (2 keys of HS256 tried)" },
		{ "{\"alg\":\"HS512\"}", PAYLOAD(""), "its signature is wrong (1 key of HS512 tried)" },
		{ "{\"alg\":\"HS256\",\"kid\":\"a\"}", PAYLOAD(""), "its signature is wrong (1 key of HS256 tried)" },
		{ "{\"alg\":\"HS256\",\"kid\":\"x\"}", PAYLOAD(""), "its signature is wrong (1 key of HS256 tried)" },
		{ "{\"alg\":\"HS384\"}", PAYLOAD(""), "no key is configured for HS384" },
		{ "{\"alg\":\"HS512\",\"kid\":\"x\"}", PAYLOAD(""), "no key with kid \"x\" is configured for HS512" },
		{ "{\"alg\":\"HS512\",\"kid\":\"a\"}", PAYLOAD(""),
		  "its kid \"a\" is a key for HS256, but it is signed by HS512" },
		{ "{\"alg\":\"none\"}", PAYLOAD(""), "its algorithm \"none\" is not accepted" },
		{ "{}", PAYLOAD(""), "its header names no algorithm" },
		{ "{\"alg\":\"HS256\",\"kid\":1}", PAYLOAD(""), "the kid in its header is no text" },
		{ "[]", PAYLOAD(""), "its header is no JSON object in base64url" },
		{ HEADER, "[]", "its payload is no JSON object in base64url" },
	};
	struct token_verifier *verifier = create((struct token_settings){ .keys = three_keys, .key_count = 3 });

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_FREE char *text = forge(rows[i].header, rows[i].payload, "wrong");
		CLEANUP_FREE char *words = text_format("the token is refused: %s", rows[i].words);
		struct caller *caller = NULL;
		struct error error = { 0 };

		assert_true(token_verify(verifier, text, NOW_US, &caller, &error) < 0);
		assert_string_equal(error.text, words);
	}
	token_verifier_destroy(verifier);
}

static void claims_that_are_refused_are_told_with_their_values(void **state)
{
	static const struct {
		const char *payload;
		const char *words;
	} rows[] = {
		{ "{\"sub\":\"u\",\"exp\":1767311990}", "it expired 10 s ago" },
		{ PAYLOAD(",\"nbf\":1767312010"), "it is not valid before another 10 s (are both clocks right?)" },
		{ "{\"sub\":\"u\"}", "it has no exp" },
		{ "{\"sub\":\"u\",\"exp\":\"x\"}", "its exp is no time in seconds since 1970" },
		{ "{\"exp\":1767312600}", "it names no user: its claim sub is absent or empty" },
		{ "{\"exp\":1767312600,\"sub\":\"\"}", "it names no user: its claim sub is absent or empty" },
		{ "{\"exp\":1767312600,\"sub\":7}", "its claim sub is no text" },
		{ PAYLOAD(",\"roles\":7"), "its claim roles is no list of roles" },
		{ PAYLOAD(",\"roles\":[7]"), "its claim roles has a role that is neither a text nor has a name" },
		{ PAYLOAD(",\"is_admin_project\":7"), "its claim is_admin_project is neither true nor false" },
	};
	struct token_verifier *verifier = create((struct token_settings){ .keys = three_keys, .key_count = 3 });

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_FREE char *text = forge(HEADER, rows[i].payload, SECRET);
		CLEANUP_FREE char *words = text_format("the token is refused: %s", rows[i].words);
		struct caller *caller = NULL;
		struct error error = { 0 };

		assert_true(token_verify(verifier, text, NOW_US, &caller, &error) < 0);
		assert_string_equal(error.text, words);
	}
	token_verifier_destroy(verifier);
}

static void expect_not_made(struct token_settings settings, struct caller caller, const char *kid, int64_t lifetime_s,
			    int result, const char *words)
{
	struct token_verifier *verifier;
	struct error error = { 0 };
	char *text = NULL;

	settings.keys = three_keys;
	settings.key_count = 2;
	verifier = create(settings);
	assert_int_equal(token_make(verifier, &caller, kid, NOW_US, lifetime_s, &text, &error), result);
	assert_null(text);
	assert_string_equal(error.text, words);
	token_verifier_destroy(verifier);
}

static void a_token_that_cannot_be_made_is_told_with_the_cause(void **state)
{
	static const char lifetime[] = "a token's lifetime is 1 to 315576000 s";
	static const struct token_settings plain;
	const char *roles[256];
	char role[201];
	const struct caller someone = { .user_id = "u", .project_id = "p" };

	(void)state;
	memset(role, 'r', sizeof(role) - 1);
	role[sizeof(role) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LENGTH(roles); i++)
		roles[i] = role;
	expect_not_made(plain, (struct caller){ .user_id = NULL }, NULL, 60, -EINVAL, "a token needs a user");
	expect_not_made(plain, (struct caller){ .user_id = "" }, NULL, 60, -EINVAL, "a token needs a user");
	expect_not_made(plain, someone, NULL, 0, -EINVAL, lifetime);
	expect_not_made(plain, someone, NULL, 315576001, -EINVAL, lifetime);
	expect_not_made(plain, someone, "c", 60, -ENOKEY,
			"no token key of kid c can sign: that needs a secret or a private key");
	expect_not_made(plain, (struct caller){ .user_id = "u", .roles = roles, .role_count = 256 }, NULL, 60,
			-EMSGSIZE, "the token would be longer than 8192 bytes: fewer or shorter roles");
	expect_not_made((struct token_settings){ .claims = { .user = "a", .project = "a.b" } }, someone, NULL, 60,
			-EINVAL, "two claim names get in each other's way at \"a.b\"");
}

static void a_token_of_the_shortest_and_of_the_longest_lifetime_is_made(void **state)
{
	static const int64_t lifetimes_s[] = { 1, 315576000 };
	const struct caller someone = { .user_id = "u", .project_id = "p" };
	struct token_verifier *verifier = create((struct token_settings){ .keys = three_keys, .key_count = 2 });

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lifetimes_s); i++) {
		CLEANUP_FREE char *text = NULL;
		struct error error = { 0 };

		assert_int_equal(token_make(verifier, &someone, NULL, NOW_US, lifetimes_s[i], &text, &error), 0);
		assert_non_null(text);
	}
	token_verifier_destroy(verifier);
}

static void without_a_key_that_can_sign_no_token_is_made(void **state)
{
	struct token_verifier *verifier = create((struct token_settings){ .has_authority = true });
	const struct caller someone = { .user_id = "u" };
	struct error error = { 0 };
	char *text = NULL;

	(void)state;
	assert_int_equal(token_make(verifier, &someone, NULL, NOW_US, 60, &text, &error), -ENOKEY);
	assert_string_equal(error.text, "no token key can sign: that needs a secret or a private key");
	token_verifier_destroy(verifier);
}

/* The key that a kid names, and without one the first, whose kid the token then has. */
static void a_made_token_names_the_key_that_signed_it(void **state)
{
	static const struct {
		const char *asked;
		const char *header;
	} rows[] = { { NULL, "{\"alg\":\"HS256\",\"kid\":\"a\",\"typ\":\"JWT\"}" },
		     { "a", "{\"alg\":\"HS256\",\"kid\":\"a\",\"typ\":\"JWT\"}" },
		     { "b", "{\"alg\":\"HS512\",\"kid\":\"b\",\"typ\":\"JWT\"}" } };
	struct token_verifier *verifier = create((struct token_settings){ .keys = three_keys, .key_count = 2 });
	const struct caller someone = { .user_id = "u" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_TEXT struct text wanted = TEXT_EMPTY;
		CLEANUP_FREE char *text = NULL;

		assert_int_equal(token_make(verifier, &someone, rows[i].asked, NOW_US, 60, &text, NULL), 0);
		append_base64url(&wanted, rows[i].header, strlen(rows[i].header));
		text_append(&wanted, ".");
		assert_true(text_starts_with(text, wanted.data));
	}
	token_verifier_destroy(verifier);
}

static void read_key_set(struct token_verifier *verifier, size_t place, const char *kid)
{
	EVP_PKEY *pair = EVP_EC_gen("P-256");
	CLEANUP_FREE char *more = text_format("\"kid\":\"%s\",", kid);
	CLEANUP_FREE char *excluded = NULL;
	struct jwk_members members;
	struct error error = { 0 };

	jwk_members_of(pair, &members);
	EVP_PKEY_free(pair);
	CLEANUP_FREE char *jwk = jwk_of(&members, more);
	CLEANUP_FREE char *document = text_format("{\"keys\":[%s]}", jwk);
	assert_int_equal(token_verifier_set_keys(verifier, place, document, strlen(document), &excluded, &error), 0);
	assert_null(excluded);
}

/* Of those a publisher is asked early: nobody may bring that about by a token that no publisher could have made. */
static void only_a_key_that_no_set_has_is_looked_for_early(void **state)
{
	enum { UNREAD, ONE_READ, BOTH_READ, STAGES };
	static const struct {
		const char *header;
		bool is_unknown[STAGES];
	} rows[] = {
		{ "{\"alg\":\"ES256\",\"kid\":\"e\"}", { true, false, false } },
		{ "{\"alg\":\"ES256\",\"kid\":\"f\"}", { true, true, false } },
		{ "{\"alg\":\"ES256\",\"kid\":\"g\"}", { true, true, true } },
		{ "{\"alg\":\"ES256\"}", { true, false, false } },
		{ "{\"alg\":\"ES256\",\"kid\":\"a\"}", { false, false, false } }, /* our own */
		{ "{\"alg\":\"none\",\"kid\":\"g\"}", { false, false, false } },
		{ "{\"kid\":\"g\"}", { false, false, false } },
		{ "[]", { false, false, false } },
	};
	struct token_verifier *verifier =
		create((struct token_settings){ .keys = three_keys, .key_count = 2, .key_set_count = 2 });
	struct token_verifier *without = create((struct token_settings){ .keys = three_keys, .key_count = 2 });

	(void)state;
	for (size_t stage = 0; stage < STAGES; stage++) {
		if (stage == ONE_READ)
			read_key_set(verifier, 1, "e");
		else if (stage == BOTH_READ)
			read_key_set(verifier, 0, "f");
		for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
			CLEANUP_FREE char *text = forge(rows[i].header, PAYLOAD(""), SECRET);
			CLEANUP_FREE char *broken = text_format("%s.", text);

			if (token_names_unknown_key(verifier, text) != rows[i].is_unknown[stage])
				fail_msg("stage %zu: %s", stage, rows[i].header);
			assert_false(token_names_unknown_key(verifier, broken));
			assert_false(token_names_unknown_key(without, text));
		}
	}
	token_verifier_destroy(verifier);
	token_verifier_destroy(without);
}

/* A token of exactly so many bytes, by claims and a kid that are padded: not each length is one of base64. */
static char *token_of_length(size_t length)
{
	for (int kid = 1; kid < 4; kid++)
		for (size_t padding = length / 2; padding < length; padding++) {
			CLEANUP_FREE char *header = text_format("{\"alg\":\"HS256\",\"kid\":\"%0*d\"}", kid, 0);
			CLEANUP_FREE char *payload =
				text_format("{\"sub\":\"u\",\"exp\":1767312600,\"x\":\"%0*d\"}", (int)padding, 0);
			size_t size = (4 * strlen(header) + 2) / 3 + (4 * strlen(payload) + 2) / 3 + 45;

			if (size == length)
				return forge(header, payload, SECRET);
		}
	return NULL;
}

static void a_token_that_is_too_long_makes_nobody_look_for_its_key(void **state)
{
	struct token_verifier *verifier = create((struct token_settings){ .key_set_count = 1 });

	(void)state;
	for (size_t length = 8192; length <= 8193; length++) {
		CLEANUP_FREE char *text = token_of_length(length);

		assert_non_null(text);
		assert_int_equal(strlen(text), length);
		assert_true(token_names_unknown_key(verifier, text) == (length == 8192));
	}
	token_verifier_destroy(verifier);
}

static void assert_metrics(struct metrics *metrics, const char *const *lines, size_t count)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	metrics_render(metrics, &text);
	for (size_t i = 0; i < count; i++)
		if (!strstr(text.data, lines[i]))
			fail_msg("no %s in %s", lines[i], text.data);
}

static void checks_are_counted_by_how_they_end(void **state)
{
	static const char *const while_it_is[] = {
		"migrationd_token_checks_total{result=\"remembered\"} 3\n",
		"migrationd_token_checks_total{result=\"verified\"} 2\n",
		"migrationd_token_checks_total{result=\"refused\"} 4\n",
		"migrationd_tokens_remembered{store=\"own\"} 2\n",
		"migrationd_tokens_remembered{store=\"keystone\"} 0\n",
	};
	static const char *const afterwards[] = { "migrationd_tokens_remembered{store=\"own\"} 0\n" };
	struct token_verifier *verifier = create((struct token_settings){ .keys = three_keys, .key_count = 3 });
	struct metrics *metrics = metrics_create();
	CLEANUP_FREE char *one = forge(HEADER, PAYLOAD(""), SECRET);
	CLEANUP_FREE char *other = forge(HEADER, PAYLOAD(""), OTHER_SECRET);
	CLEANUP_FREE char *wrong = forge(HEADER, PAYLOAD(""), "wrong");
	CLEANUP_FREE char *long_one = text_format("%09000d", 0);
	const char *const asked[] = { one, other, wrong, one, one, other, long_one, "", wrong };

	(void)state;
	assert_int_equal(token_verifier_measure(verifier, metrics, NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(asked); i++) {
		CLEANUP_CALLER struct caller *caller = NULL;

		token_verify(verifier, asked[i], NOW_US, &caller, NULL);
	}
	assert_metrics(metrics, while_it_is, ARRAY_LENGTH(while_it_is));

	struct token_statistics statistics;

	token_statistics(verifier, &statistics);
	assert_int_equal(statistics.remembered, 2);
	assert_int_equal(statistics.recalled, 3);
	assert_int_equal(statistics.verified, 2);
	assert_int_equal(statistics.refused, 4);
	token_verifier_destroy(verifier);
	assert_metrics(metrics, afterwards, ARRAY_LENGTH(afterwards));
	metrics_destroy(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_faulty_key_is_told_with_its_place_and_what_to_give),
		cmocka_unit_test(a_key_file_that_holds_none_is_told_by_its_name),
		cmocka_unit_test(a_private_key_of_another_kind_is_told_by_its_file),
		cmocka_unit_test(a_secret_is_taken_to_the_byte),
		cmocka_unit_test(a_refusal_says_what_is_wrong_with_the_token),
		cmocka_unit_test(claims_that_are_refused_are_told_with_their_values),
		cmocka_unit_test(a_token_that_cannot_be_made_is_told_with_the_cause),
		cmocka_unit_test(a_token_of_the_shortest_and_of_the_longest_lifetime_is_made),
		cmocka_unit_test(without_a_key_that_can_sign_no_token_is_made),
		cmocka_unit_test(a_made_token_names_the_key_that_signed_it),
		cmocka_unit_test(only_a_key_that_no_set_has_is_looked_for_early),
		cmocka_unit_test(a_token_that_is_too_long_makes_nobody_look_for_its_key),
		cmocka_unit_test(checks_are_counted_by_how_they_end),
	};

	return cmocka_run_group_tests_name("token_refusals", tests, NULL, NULL);
}
