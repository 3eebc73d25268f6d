/* What others publish and answer: key sets and Keystone's words, good, odd and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "api/auth/key_set.h"
#include "api/auth/keystone_answer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

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
	assert_string_equal(key_set_kid(set, 0), "e");
	assert_string_equal(key_set_algorithm(set, 0)->name, "ES256");
	assert_false(key_set_verifies(set, 0, ""));
	assert_false(key_set_verifies(set, 0, "a.b.c"));
	assert_false(key_set_verifies(set, 0, "eyJhbGciOiJFUzI1NiJ9.e30.AAAA"));
	key_set_destroy(set);
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
	};
	/* NOLINTEND(bugprone-suspicious-missing-comma) */

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct caller *caller = NULL;

		assert_int_equal(read_answer(texts[i], &caller), -EBADMSG);
		assert_null(caller);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_no_use_are_left_out_and_the_good_ones_stay),
		cmocka_unit_test(what_is_no_set_is_refused),
		cmocka_unit_test(keystones_answer_becomes_a_caller),
		cmocka_unit_test(a_token_of_the_system_has_no_project),
		cmocka_unit_test(answers_that_are_none_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
