/* Tokens: what is believed, what is refused, and that what is remembered is forgotten in time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>

#include "api/auth/token.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "token_fixture.h"

/* Key pairs as PEM, made once for all tests. */
struct pair {
	char *private_pem;
	char *public_pem;
};

struct pairs {
	struct pair rsa;
	struct pair small_rsa;
	struct pair p256;
	struct pair p384;
	struct pair p521;
};

static char *take_pem(BIO *bio)
{
	char *data = NULL;
	long length = BIO_get_mem_data(bio, &data);
	char *text = strndup(data, (size_t)length);

	BIO_free(bio);
	return text;
}

static struct pair make_pair(EVP_PKEY *key)
{
	BIO *private_bio = BIO_new(BIO_s_mem());
	BIO *public_bio = BIO_new(BIO_s_mem());

	assert_non_null(key);
	assert_int_equal(PEM_write_bio_PrivateKey(private_bio, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(PEM_write_bio_PUBKEY(public_bio, key), 1);
	EVP_PKEY_free(key);
	return (struct pair){ take_pem(private_bio), take_pem(public_bio) };
}

static int make_pairs(void **state)
{
	struct pairs *pairs = calloc(1, sizeof(*pairs));

	pairs->rsa = make_pair(EVP_RSA_gen(2048));
	pairs->small_rsa = make_pair(EVP_RSA_gen(1024));
	pairs->p256 = make_pair(EVP_EC_gen("P-256"));
	pairs->p384 = make_pair(EVP_EC_gen("P-384"));
	pairs->p521 = make_pair(EVP_EC_gen("P-521"));
	*state = pairs;
	return 0;
}

static int free_pairs(void **state)
{
	struct pairs *pairs = *state;
	struct pair *all[] = { &pairs->rsa, &pairs->small_rsa, &pairs->p256, &pairs->p384, &pairs->p521 };

	for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
		free(all[i]->private_pem);
		free(all[i]->public_pem);
	}
	free(pairs);
	return 0;
}

static const struct token_key plain_key = { .algorithm = "HS256", .secret = SECRET };

static struct token_verifier *make_verifier(struct token_settings settings)
{
	struct token_verifier *verifier = NULL;
	struct error error = { 0 };

	if (settings.key_count == 0) {
		settings.keys = &plain_key;
		settings.key_count = 1;
	}
	if (token_verifier_create(&settings, &verifier, &error) < 0)
		fail_msg("%s", error.text);
	return verifier;
}

static struct token_verifier *make_with_keys(const struct token_key *keys, size_t count)
{
	return make_verifier((struct token_settings){ .keys = keys, .key_count = count });
}

/* The verdict about a text at NOW; *ret_caller may be NULL. */
static int verify(struct token_verifier *verifier, const char *text, struct caller **ret_caller, struct error *error)
{
	CLEANUP_CALLER struct caller *caller = NULL;
	int result = token_verify(verifier, text, NOW_US, &caller, error);

	if (ret_caller)
		*ret_caller = caller ? TAKE_POINTER(caller) : NULL;
	return result;
}

static int verify_forged(struct token_verifier *verifier, const char *header, const char *payload, const char *secret)
{
	CLEANUP_FREE char *text = forge(header, payload, secret);
	struct error error = { 0 };
	int result = verify(verifier, text, NULL, &error);

	if (result < 0)
		assert_true(text_starts_with(error.text, "the token is refused: "));
	return result;
}

static const char *const roles[] = { "member", "reader" };
static const struct caller someone = { .user_id = "user-1",
				       .project_id = "project-1",
				       .user_domain_id = "default",
				       .project_domain_id = "other",
				       .roles = roles,
				       .role_count = 2,
				       .is_admin_project = true };

static char *make(struct token_verifier *verifier, const char *kid)
{
	char *text = NULL;
	struct error error = { 0 };

	if (token_make(verifier, &someone, kid, NOW_US, 600, &text, &error) < 0)
		fail_msg("%s", error.text);
	return text;
}

static void a_made_token_carries_its_caller(void **state)
{
	struct token_verifier *verifier = make_verifier((struct token_settings){ 0 });
	CLEANUP_FREE char *text = make(verifier, NULL);
	CLEANUP_CALLER struct caller *caller = NULL;

	(void)state;
	assert_int_equal(verify(verifier, text, &caller, NULL), 0);
	assert_string_equal(caller->user_id, "user-1");
	assert_string_equal(caller->project_id, "project-1");
	assert_string_equal(caller->user_domain_id, "default");
	assert_string_equal(caller->project_domain_id, "other");
	assert_null(caller->domain_id);
	assert_null(caller->system_scope);
	assert_int_equal(caller->role_count, 2);
	assert_true(caller_has_role(caller, "member") && caller_has_role(caller, "reader"));
	assert_true(caller->is_admin_project);
	assert_int_equal(caller->expires_us, NOW_US + 600 * SECOND_US);
	token_verifier_destroy(verifier);
}

static void every_algorithm_signs_and_verifies(void **state)
{
	const struct pairs *pairs = *state;
	const struct token_key keys[] = {
		{ .kid = "1", .algorithm = "HS256", .secret = SECRET },
		{ .kid = "2", .algorithm = "HS384", .secret = SECRET },
		{ .kid = "3", .algorithm = "HS512", .secret = SECRET },
		{ .kid = "4", .algorithm = "RS256", .pem = pairs->rsa.private_pem },
		{ .kid = "5", .algorithm = "RS384", .pem = pairs->rsa.private_pem },
		{ .kid = "6", .algorithm = "RS512", .pem = pairs->rsa.private_pem },
		{ .kid = "7", .algorithm = "ES256", .pem = pairs->p256.private_pem },
		{ .kid = "8", .algorithm = "ES384", .pem = pairs->p384.private_pem },
		{ .kid = "9", .algorithm = "ES512", .pem = pairs->p521.private_pem },
	};
	struct token_verifier *all = make_with_keys(keys, ARRAY_LENGTH(keys));

	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
		CLEANUP_FREE char *text = make(all, keys[i].kid);
		struct token_verifier *one = make_with_keys(&keys[i], 1);
		struct token_verifier *another = make_with_keys(&keys[(i + 1) % ARRAY_LENGTH(keys)], 1);

		assert_int_equal(verify(all, text, NULL, NULL), 0);
		assert_int_equal(verify(one, text, NULL, NULL), 0);
		assert_int_equal(verify(another, text, NULL, NULL), -EKEYREJECTED);
		token_verifier_destroy(one);
		token_verifier_destroy(another);
	}
	token_verifier_destroy(all);
}

static void a_public_key_verifies_but_does_not_sign(void **state)
{
	const struct pairs *pairs = *state;
	const struct token_key private_key = { .algorithm = "ES256", .pem = pairs->p256.private_pem };
	const struct token_key public_key = { .algorithm = "ES256", .pem = pairs->p256.public_pem };
	struct token_verifier *signer = make_with_keys(&private_key, 1);
	struct token_verifier *verifier = make_with_keys(&public_key, 1);
	CLEANUP_FREE char *text = make(signer, NULL);
	struct error error = { 0 };
	char *none = NULL;

	assert_int_equal(verify(verifier, text, NULL, NULL), 0);
	assert_int_equal(token_make(verifier, &someone, NULL, NOW_US, 600, &none, &error), -ENOKEY);
	assert_null(none);
	token_verifier_destroy(signer);
	token_verifier_destroy(verifier);
}

static void unsigned_tokens_are_refused(void **state)
{
	static const char *const headers[] = { "{\"alg\":\"none\"}",
					       "{\"alg\":\"None\"}",
					       "{\"alg\":\"NONE\",\"typ\":\"JWT\"}",
					       "{\"alg\":\"\"}",
					       "{\"alg\":null}",
					       "{\"typ\":\"JWT\"}",
					       HEADER };
	struct token_verifier *verifier = make_verifier((struct token_settings){ 0 });

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(headers); i++)
		assert_true(verify_forged(verifier, headers[i], PAYLOAD(""), NULL) < 0);
	token_verifier_destroy(verifier);
}

/* The classic attack: the public key, which everybody may have, used as an HMAC secret. */
static void a_public_key_is_never_a_secret(void **state)
{
	const struct pairs *pairs = *state;
	const struct token_key rsa = { .algorithm = "RS256", .pem = pairs->rsa.public_pem };
	const struct token_key misplaced[] = { { .algorithm = "HS256", .secret = pairs->rsa.public_pem },
					       { .algorithm = "HS256", .pem = pairs->rsa.public_pem } };
	struct token_verifier *verifier = make_with_keys(&rsa, 1);

	assert_int_equal(verify_forged(verifier, HEADER, PAYLOAD(""), pairs->rsa.public_pem), -EKEYREJECTED);
	for (size_t i = 0; i < ARRAY_LENGTH(misplaced); i++) {
		struct token_settings settings = { .keys = &misplaced[i], .key_count = 1 };
		struct token_verifier *none = NULL;
		struct error error = { 0 };

		assert_int_equal(token_verifier_create(&settings, &none, &error), -EINVAL);
		assert_non_null(strstr(error.text, "secret"));
	}
	token_verifier_destroy(verifier);
}

static void an_algorithm_other_than_the_keys_own_is_refused(void **state)
{
	const struct token_key keys[] = { { .kid = "a", .algorithm = "HS512", .secret = SECRET } };
	struct token_verifier *verifier = make_with_keys(keys, 1);

	(void)state;
	assert_int_equal(verify_forged(verifier, HEADER, PAYLOAD(""), SECRET), -EKEYREJECTED);
	assert_int_equal(verify_forged(verifier, "{\"alg\":\"HS256\",\"kid\":\"a\"}", PAYLOAD(""), SECRET),
			 -EKEYREJECTED);
	/* Two answers to one question. */
	assert_int_equal(verify_forged(verifier, "{\"alg\":\"HS512\",\"alg\":\"HS256\"}", PAYLOAD(""), SECRET),
			 -EBADMSG);
	token_verifier_destroy(verifier);
}

static void a_kid_selects_and_without_one_all_keys_of_the_algorithm_are_tried(void **state)
{
	const struct token_key keys[] = { { .kid = "new", .algorithm = "HS256", .secret = SECRET },
					  { .kid = "old", .algorithm = "HS256", .secret = OTHER_SECRET } };
	const struct token_key nameless[] = { { .algorithm = "HS256", .secret = SECRET },
					      { .kid = "old", .algorithm = "HS256", .secret = OTHER_SECRET } };
	struct token_verifier *verifier = make_with_keys(keys, 2);
	struct token_verifier *with_nameless = make_with_keys(nameless, 2);

	(void)state;
	assert_int_equal(verify_forged(verifier, HEADER, PAYLOAD(""), SECRET), 0);
	assert_int_equal(verify_forged(verifier, HEADER, PAYLOAD(""), OTHER_SECRET), 0);
	assert_int_equal(verify_forged(verifier, "{\"alg\":\"HS256\",\"kid\":\"old\"}", PAYLOAD(""), OTHER_SECRET), 0);
	assert_int_equal(verify_forged(verifier, "{\"alg\":\"HS256\",\"kid\":\"new\"}", PAYLOAD(""), OTHER_SECRET),
			 -EKEYREJECTED);
	assert_int_equal(verify_forged(verifier, "{\"alg\":\"HS256\",\"kid\":\"gone\"}", PAYLOAD(""), SECRET),
			 -EKEYREJECTED);
	assert_int_equal(verify_forged(with_nameless, "{\"alg\":\"HS256\",\"kid\":\"gone\"}", PAYLOAD(""), SECRET), 0);
	assert_int_equal(
		verify_forged(with_nameless, "{\"alg\":\"HS256\",\"kid\":\"gone\"}", PAYLOAD(""), OTHER_SECRET),
		-EKEYREJECTED);
	token_verifier_destroy(verifier);
	token_verifier_destroy(with_nameless);
}

static void a_changed_token_is_refused(void **state)
{
	struct token_verifier *verifier = make_verifier((struct token_settings){ 0 });
	CLEANUP_FREE char *text = make(verifier, NULL);

	(void)state;
	for (char *place = text; *place; place++) {
		char kept = *place;

		if (*place == '.')
			continue;
		*place = kept == 'A' ? 'B' : 'A';
		assert_true(verify(verifier, text, NULL, NULL) < 0);
		*place = kept;
	}
	assert_int_equal(verify(verifier, text, NULL, NULL), 0);
	token_verifier_destroy(verifier);
}

static void times_count_with_the_leeway(void **state)
{
	struct token_verifier *strict = make_verifier((struct token_settings){ 0 });
	struct token_verifier *lenient = make_verifier((struct token_settings){ .leeway_s = 30 });

	(void)state;
	assert_int_equal(verify_forged(strict, HEADER, "{\"sub\":\"u\",\"exp\":1767312000}", SECRET), -EKEYEXPIRED);
	assert_int_equal(verify_forged(strict, HEADER, "{\"sub\":\"u\",\"exp\":1767312000.5}", SECRET), 0);
	assert_int_equal(verify_forged(lenient, HEADER, "{\"sub\":\"u\",\"exp\":1767311971}", SECRET), 0);
	assert_int_equal(verify_forged(lenient, HEADER, "{\"sub\":\"u\",\"exp\":1767311970}", SECRET), -EKEYEXPIRED);
	assert_int_equal(verify_forged(strict, HEADER, PAYLOAD(",\"nbf\":1767312000"), SECRET), 0);
	assert_int_equal(verify_forged(strict, HEADER, PAYLOAD(",\"nbf\":1767312001"), SECRET), -EACCES);
	assert_int_equal(verify_forged(lenient, HEADER, PAYLOAD(",\"nbf\":1767312030"), SECRET), 0);
	assert_int_equal(verify_forged(lenient, HEADER, PAYLOAD(",\"nbf\":1767312031"), SECRET), -EACCES);
	token_verifier_destroy(strict);
	token_verifier_destroy(lenient);
}

static void issuer_and_audience_are_checked_where_configured(void **state)
{
	struct token_verifier *verifier =
		make_verifier((struct token_settings){ .issuer = "https://sso", .audience = "compute" });

	(void)state;
	assert_int_equal(
		verify_forged(verifier, HEADER, PAYLOAD(",\"iss\":\"https://sso\",\"aud\":\"compute\""), SECRET), 0);
	assert_int_equal(verify_forged(verifier, HEADER,
				       PAYLOAD(",\"iss\":\"https://sso\",\"aud\":[\"image\",\"compute\"]"), SECRET),
			 0);
	assert_int_equal(
		verify_forged(verifier, HEADER, PAYLOAD(",\"iss\":\"https://sso\",\"aud\":[\"image\"]"), SECRET),
		-EACCES);
	assert_int_equal(verify_forged(verifier, HEADER, PAYLOAD(",\"iss\":\"https://sso\""), SECRET), -EACCES);
	assert_int_equal(
		verify_forged(verifier, HEADER, PAYLOAD(",\"iss\":\"https://evil\",\"aud\":\"compute\""), SECRET),
		-EACCES);
	assert_int_equal(verify_forged(verifier, HEADER, PAYLOAD(",\"aud\":\"compute\""), SECRET), -EACCES);
	token_verifier_destroy(verifier);
}

static void claim_names_go_down_by_dots_and_may_have_dots_themselves(void **state)
{
	struct token_verifier *verifier =
		make_verifier((struct token_settings){ .claims = { .user = "preferred_username",
								   .project = "https://cloud.example/project",
								   .roles = "realm_access.roles",
								   .system_scope = "system" } });
	CLEANUP_FREE char *text = forge(HEADER,
					PAYLOAD(",\"preferred_username\":\"ann\","
						"\"https://cloud.example/project\":\"p\",\"system\":{\"all\":true},"
						"\"realm_access\":{\"roles\":[{\"name\":\"admin\"},\"reader\"]}"),
					SECRET);
	CLEANUP_CALLER struct caller *caller = NULL;

	(void)state;
	assert_int_equal(verify(verifier, text, &caller, NULL), 0);
	assert_string_equal(caller->user_id, "ann");
	assert_string_equal(caller->project_id, "p");
	assert_string_equal(caller->system_scope, "all");
	assert_int_equal(caller->role_count, 2);
	assert_string_equal(caller->roles[0], "admin");

	CLEANUP_FREE char *made = make(verifier, NULL);
	CLEANUP_CALLER struct caller *again = NULL;

	assert_int_equal(verify(verifier, made, &again, NULL), 0);
	assert_string_equal(again->user_id, "user-1");
	assert_string_equal(again->project_id, "project-1");
	assert_int_equal(again->role_count, 2);
	token_verifier_destroy(verifier);
}

static void roles_may_come_as_one_text_or_not_at_all(void **state)
{
	struct token_verifier *verifier = make_verifier((struct token_settings){ 0 });
	CLEANUP_FREE char *listed = forge(HEADER, PAYLOAD(",\"roles\":\"admin, member  reader\""), SECRET);
	CLEANUP_FREE char *absent = forge(HEADER, PAYLOAD(""), SECRET);
	CLEANUP_CALLER struct caller *caller = NULL;
	CLEANUP_CALLER struct caller *nobody = NULL;

	(void)state;
	assert_int_equal(verify(verifier, listed, &caller, NULL), 0);
	assert_int_equal(caller->role_count, 3);
	assert_string_equal(caller->roles[1], "member");
	assert_int_equal(verify(verifier, absent, &nobody, NULL), 0);
	assert_int_equal(nobody->role_count, 0);
	token_verifier_destroy(verifier);
}

static void claims_of_the_wrong_form_are_refused(void **state)
{
	static const char *const payloads[] = {
		"{\"sub\":\"u\"}",
		"{\"exp\":1767312600}",
		"{\"sub\":\"\",\"exp\":1767312600}",
		"{\"sub\":7,\"exp\":1767312600}",
		"{\"sub\":\"a\\nb\",\"exp\":1767312600}",
		"{\"sub\":\"u\",\"exp\":\"1767312600\"}",
		"{\"sub\":\"u\",\"exp\":1e300}",
		"{\"sub\":\"u\",\"exp\":-1}",
		"{\"sub\":\"u\",\"exp\":99999999999999999999999}",
		"{\"sub\":\"u\",\"sub\":\"v\",\"exp\":1767312600}",
		PAYLOAD(",\"nbf\":\"soon\""),
		PAYLOAD(",\"roles\":7"),
		PAYLOAD(",\"roles\":[7]"),
		PAYLOAD(",\"roles\":[[\"admin\"]]"),
		PAYLOAD(",\"roles\":{\"name\":\"admin\"}"),
		PAYLOAD(",\"roles\":[{\"id\":\"admin\"}]"),
		PAYLOAD(",\"project_id\":[\"a\"]"),
		PAYLOAD(",\"system_scope\":5"),
		PAYLOAD(",\"is_admin_project\":\"yes\""),
		"[]",
		"null",
		"\"text\"",
		"{",
		"",
	};
	struct token_verifier *verifier = make_verifier((struct token_settings){ 0 });

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(payloads); i++)
		assert_true(verify_forged(verifier, HEADER, payloads[i], SECRET) < 0);
	token_verifier_destroy(verifier);
}

static char *repeat(const char *before, const char *piece, const char *after, size_t times)
{
	struct text text = TEXT_EMPTY;

	text_append(&text, before);
	for (size_t i = 0; i < times; i++)
		text_append(&text, piece);
	text_append(&text, after);
	return text_take(&text);
}

static void hostile_texts_are_refused_and_break_nothing(void **state)
{
	static const char *const texts[] = { "",
					     ".",
					     "..",
					     "...",
					     "a.b.c",
					     "a.b.c.d",
					     "====",
					     "eyJ.eyJ.",
					     "\xff\xfe.\x80.",
					     "eyJhbGciOiJIUzI1NiJ9",
					     "eyJhbGciOiJIUzI1NiJ9..",
					     "eyJhbGciOiJIUzI1NiJ9.e30.",
					     "eyJhbGciOiJIUzI1NiJ9.e30.AAAA\n",
					     "eyJhbGciOiJIUzI1NiJ9.e30=.AAAA" };
	struct token_verifier *verifier = make_verifier((struct token_settings){ 0 });
	CLEANUP_FREE char *deep = repeat("{\"sub\":\"u\",\"exp\":1767312600,\"x\":", "[", "", 5000);
	CLEANUP_FREE char *many = repeat("{\"sub\":\"u\",\"exp\":1767312600,\"roles\":[\"a\"", ",\"b\"", "]}", 256);
	CLEANUP_FREE char *long_id = repeat("{\"exp\":1767312600,\"sub\":\"", "x", "\"}", 256);
	CLEANUP_FREE char *too_long = repeat("", "a", "", TOKEN_TEXT_MAX + 1);
	CLEANUP_FREE char *dots = repeat("", ".", "", TOKEN_TEXT_MAX);
	struct token_statistics statistics;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		assert_int_equal(verify(verifier, texts[i], NULL, NULL) < 0, 1);
	assert_true(verify_forged(verifier, HEADER, deep, SECRET) < 0);
	assert_true(verify_forged(verifier, HEADER, many, SECRET) < 0);
	assert_true(verify_forged(verifier, HEADER, long_id, SECRET) < 0);
	assert_int_equal(verify(verifier, too_long, NULL, NULL), -EBADMSG);
	assert_int_equal(verify(verifier, dots, NULL, NULL), -EBADMSG);
	token_statistics(verifier, &statistics);
	assert_int_equal(statistics.remembered, 0);
	assert_int_equal(statistics.refused, ARRAY_LENGTH(texts) + 5);
	token_verifier_destroy(verifier);
}

static void a_remembered_token_is_forgotten_when_it_expires(void **state)
{
	struct token_verifier *verifier = make_verifier((struct token_settings){ .leeway_s = 5 });
	CLEANUP_FREE char *text = make(verifier, NULL);
	struct token_statistics statistics;
	struct caller *caller = NULL;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(token_verify(verifier, text, NOW_US + 604 * SECOND_US, &caller, NULL), 0);
		caller_release(caller);
	}
	token_statistics(verifier, &statistics);
	assert_int_equal(statistics.verified, 1);
	assert_int_equal(statistics.recalled, 2);
	assert_int_equal(statistics.remembered, 1);
	assert_int_equal(token_verify(verifier, text, NOW_US + 605 * SECOND_US, &caller, NULL), -EKEYEXPIRED);
	token_statistics(verifier, &statistics);
	assert_int_equal(statistics.remembered, 0);
	token_verifier_destroy(verifier);
}

static void no_more_tokens_are_remembered_than_configured(void **state)
{
	static const size_t bounds[] = { 1, 5, 64 };

	(void)state;
	for (size_t bound = 0; bound < ARRAY_LENGTH(bounds); bound++) {
		struct token_verifier *verifier =
			make_verifier((struct token_settings){ .remembered_max = bounds[bound] });
		struct token_statistics statistics;

		for (int i = 0; i < 300; i++) {
			CLEANUP_FREE char *payload =
				text_format("{\"sub\":\"user-%d\",\"exp\":%lld}", i, (long long)NOW_S + 600);
			CLEANUP_FREE char *text = forge(HEADER, payload, SECRET);
			CLEANUP_CALLER struct caller *caller = NULL;
			CLEANUP_FREE char *user = text_format("user-%d", i);

			for (int again = 0; again < 2; again++) {
				caller_release(caller);
				assert_int_equal(verify(verifier, text, &caller, NULL), 0);
				assert_string_equal(caller->user_id, user);
			}
			token_statistics(verifier, &statistics);
			assert_in_range(statistics.remembered, 1, bounds[bound]);
			assert_int_equal(statistics.recalled, i + 1);
		}
		token_verifier_destroy(verifier);
	}
}

struct crowd {
	struct token_verifier *verifier;
	char *texts[40];
};

static void *ask_often(void *context)
{
	struct crowd *crowd = context;

	for (size_t round = 0; round < 2000; round++) {
		CLEANUP_CALLER struct caller *caller = NULL;
		size_t which = round * 7 % ARRAY_LENGTH(crowd->texts);
		CLEANUP_FREE char *user = text_format("user-%zu", which);

		if (token_verify(crowd->verifier, crowd->texts[which], NOW_US, &caller, NULL) < 0
		    || strcmp(caller->user_id, user) != 0)
			return crowd;
	}
	return NULL;
}

static void many_threads_get_the_right_callers(void **state)
{
	struct crowd crowd = { .verifier = make_verifier((struct token_settings){ .remembered_max = 20 }) };
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(crowd.texts); i++) {
		CLEANUP_FREE char *payload = text_format("{\"sub\":\"user-%zu\",\"exp\":1767312600}", i);

		crowd.texts[i] = forge(HEADER, payload, SECRET);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &crowd), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
		void *failure = NULL;

		pthread_join(threads[i], &failure);
		assert_null(failure);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(crowd.texts); i++)
		free(crowd.texts[i]);
	token_verifier_destroy(crowd.verifier);
}

static void faulty_keys_stop_the_start_and_say_why(void **state)
{
	const struct pairs *pairs = *state;
	const struct {
		struct token_key key;
		const char *words;
	} faults[] = {
		{ { .algorithm = "HS256", .secret = "short" }, "at least 32" },
		{ { .algorithm = "none", .secret = SECRET }, "none of HS256" },
		{ { .algorithm = "PS256", .pem = pairs->rsa.public_pem }, "none of HS256" },
		{ { .algorithm = NULL, .secret = SECRET }, "names no algorithm" },
		{ { .algorithm = "HS256" }, "secret or secret_file" },
		{ { .algorithm = "RS256" }, "pem or pem_file" },
		{ { .algorithm = "RS256", .secret = SECRET }, "no secret" },
		{ { .algorithm = "RS256", .pem = "rubbish" }, "no PEM" },
		{ { .algorithm = "RS256", .pem = pairs->p256.public_pem }, "RSA key" },
		{ { .algorithm = "RS256", .pem = pairs->small_rsa.public_pem }, "1024 bits" },
		{ { .algorithm = "ES256", .pem = pairs->rsa.public_pem }, "prime256v1" },
		{ { .algorithm = "ES256", .pem = pairs->p384.public_pem }, "secp384r1" },
		{ { .kid = "k", .algorithm = "RS256", .pem_file = "/nonexistent/key.pem" }, "/nonexistent/key.pem" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(faults); i++) {
		struct token_settings settings = { .keys = &faults[i].key, .key_count = 1 };
		struct token_verifier *none = NULL;
		struct error error = { 0 };

		assert_true(token_verifier_create(&settings, &none, &error) < 0);
		assert_null(none);
		assert_true(text_starts_with(error.text, "token key 1"));
		if (!strstr(error.text, faults[i].words))
			fail_msg("\"%s\" does not say \"%s\"", error.text, faults[i].words);
	}

	const struct token_key twins[] = { { .kid = "k", .algorithm = "HS256", .secret = SECRET },
					   { .kid = "k", .algorithm = "HS256", .secret = OTHER_SECRET } };
	struct token_settings settings = { .keys = twins, .key_count = 2 };
	struct token_verifier *none = NULL;
	struct error error = { 0 };

	assert_int_equal(token_verifier_create(&settings, &none, &error), -EINVAL);
	settings.key_count = 0;
	assert_int_equal(token_verifier_create(&settings, &none, &error), -EINVAL);
}

static void a_secret_file_may_end_with_a_newline(void **state)
{
	char path[] = "/tmp/test-token-XXXXXX";
	int descriptor = mkstemp(path);
	struct token_key key = { .algorithm = "HS256", .secret_file = path };

	(void)state;
	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, SECRET "\n", sizeof(SECRET)), sizeof(SECRET));
	close(descriptor);

	struct token_verifier *verifier = make_with_keys(&key, 1);

	unlink(path);
	assert_int_equal(verify_forged(verifier, HEADER, PAYLOAD(""), SECRET), 0);
	token_verifier_destroy(verifier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_made_token_carries_its_caller),
		cmocka_unit_test(every_algorithm_signs_and_verifies),
		cmocka_unit_test(a_public_key_verifies_but_does_not_sign),
		cmocka_unit_test(unsigned_tokens_are_refused),
		cmocka_unit_test(a_public_key_is_never_a_secret),
		cmocka_unit_test(an_algorithm_other_than_the_keys_own_is_refused),
		cmocka_unit_test(a_kid_selects_and_without_one_all_keys_of_the_algorithm_are_tried),
		cmocka_unit_test(a_changed_token_is_refused),
		cmocka_unit_test(times_count_with_the_leeway),
		cmocka_unit_test(issuer_and_audience_are_checked_where_configured),
		cmocka_unit_test(claim_names_go_down_by_dots_and_may_have_dots_themselves),
		cmocka_unit_test(roles_may_come_as_one_text_or_not_at_all),
		cmocka_unit_test(claims_of_the_wrong_form_are_refused),
		cmocka_unit_test(hostile_texts_are_refused_and_break_nothing),
		cmocka_unit_test(a_remembered_token_is_forgotten_when_it_expires),
		cmocka_unit_test(no_more_tokens_are_remembered_than_configured),
		cmocka_unit_test(many_threads_get_the_right_callers),
		cmocka_unit_test(faulty_keys_stop_the_start_and_say_why),
		cmocka_unit_test(a_secret_file_may_end_with_a_newline),
	};

	return cmocka_run_group_tests_name("token", tests, make_pairs, free_pairs);
}
