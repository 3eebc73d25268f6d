/* What the questions about tokens are made of: where Keystone is asked, what of it is counted, and that a key which was published later
 * is found without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/auth/token.h"
#include "api/auth/token_authority.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/text.h"
#include "fake_keystone.h"
#include "jwk_fixture.h"
#include "server/identity/identity.h"

#define WAIT_MAX_S 20

struct world {
	struct fake_keystone keystone;
	struct token_verifier *tokens;
	struct metrics *metrics;
	struct key_set_settings set;
	struct identity_settings settings;
	struct identity *identity;
	char password_file[64];
	pthread_mutex_t mutex;
	pthread_cond_t came;
	bool has_come;
	int result;
	char why[ERROR_TEXT_SIZE];
};

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	setenv("no_proxy", "127.0.0.1", 1);
	TEXT_COPY(world->password_file, "/tmp/test-identity-XXXXXX");
	int descriptor = mkstemp(world->password_file);

	if (write(descriptor, "secret\n", strlen("secret\n")) < 0)
		return -1;
	close(descriptor);
	fake_keystone_start(&world->keystone);
	world->metrics = metrics_create();
	pthread_mutex_init(&world->mutex, NULL);
	clock_condition_init(&world->came);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	identity_destroy(world->identity);
	token_verifier_destroy(world->tokens);
	fake_keystone_stop(&world->keystone);
	metrics_destroy(world->metrics);
	pthread_cond_destroy(&world->came);
	pthread_mutex_destroy(&world->mutex);
	unlink(world->password_file);
	free(world);
	return 0;
}

static void start(struct world *world)
{
	const struct token_settings tokens = { .has_authority = true, .key_set_count = world->settings.key_set_count };
	const struct identity_parts parts = { .settings = &world->settings,
					      .clock = clock_system(),
					      .metrics = world->metrics };
	struct identity_parts with_tokens = parts;
	struct error error = { 0 };

	assert_int_equal(token_verifier_create(&tokens, &world->tokens, &error), 0);
	with_tokens.tokens = world->tokens;
	if (identity_create(&with_tokens, &world->identity, &error) < 0)
		fail_msg("%s", error.text);
}

static void start_with_keystone(struct world *world, const char *url)
{
	char *login = fake_keystone_body("service", "service", clock_now_us(clock_system()) + 3600 * INT64_C(1000000));

	fake_keystone_set_login(&world->keystone, 201, login, strdup("own"));
	world->settings.keystone = (struct keystone_settings){
		.url = url,
		.username = "migrationd",
		.password_file = world->password_file,
		.user_domain_name = "Default",
		.project_name = "service",
		.project_domain_name = "Default",
		.cache_time_s = 300,
		.remembered_max = 100,
		.timeout_s = 20,
	};
	start(world);
}

static void on_answer(void *context, int result, struct caller *caller, const struct error *error)
{
	struct world *world = context;

	caller_release(caller);
	LOCK_SCOPE(&world->mutex);
	world->result = result;
	TEXT_COPY(world->why, result < 0 ? error->text : "");
	world->has_come = true;
	pthread_cond_broadcast(&world->came);
}

static int ask(struct world *world, const char *token)
{
	const struct token_authority *authority = identity_authority(world->identity);
	int64_t until_ms = clock_monotonic_ms(clock_system()) + WAIT_MAX_S * 1000;

	world->has_come = false;
	authority->ask(authority->context, token, on_answer, world);
	LOCK_SCOPE(&world->mutex);
	while (!world->has_come)
		assert_true(clock_wait(clock_system(), &world->came, &world->mutex, until_ms));
	return world->result;
}

static void say(struct world *world, int status)
{
	fake_keystone_set_question(
		&world->keystone, status,
		fake_keystone_body("project", "reader", clock_now_us(clock_system()) + 3600 * INT64_C(1000000)));
}

static void keystones_address_may_be_written_with_its_version_or_without(void **state)
{
	static const char *const ends[] = { "",      "/",         "///",          "/v3", "/v3/",
					    "/v3//", "/identity", "/identity/v3", "/v",  "/x/v2" };
	static const char *const targets[] = { "/v3", "/v3",          "/v3",          "/v3",   "/v3",
					       "/v3", "/identity/v3", "/identity/v3", "/v/v3", "/x/v2/v3" };
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
		CLEANUP_FREE char *url = text_format("%s%s", world->keystone.url, ends[i]);
		CLEANUP_FREE char *login = text_format("%s/auth/tokens", targets[i]);
		CLEANUP_FREE char *question = text_format("%s/auth/tokens?nocatalog", targets[i]);

		start_with_keystone(world, url);
		say(world, 200);
		assert_int_equal(ask(world, "a"), 0);
		assert_string_equal(world->keystone.login_target, login);
		assert_string_equal(world->keystone.question_target, question);
		identity_destroy(TAKE_POINTER(world->identity));
		token_verifier_destroy(TAKE_POINTER(world->tokens));
	}
}

static void assert_counted(struct world *world, const char *lines)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	CLEANUP_FREE char *copy = strdup(lines);
	char *place = NULL;

	metrics_render(world->metrics, &text);
	for (char *line = strtok_r(copy, "\n", &place); line; line = strtok_r(NULL, "\n", &place)) {
		CLEANUP_FREE char *whole = text_format("\n%s\n", line);

		if (!strstr(text.data, whole))
			fail_msg("no %s in %s", line, text.data);
	}
}

static void questions_and_what_is_remembered_of_them_are_counted(void **state)
{
	struct world *world = *state;

	start_with_keystone(world, world->keystone.url);
	say(world, 200);
	assert_int_equal(ask(world, "good"), 0);
	assert_int_equal(ask(world, "good"), 0);
	assert_int_equal(ask(world, "other"), 0);
	say(world, 404);
	assert_int_equal(ask(world, "bad"), -EACCES);
	assert_int_equal(ask(world, "bad"), -EACCES);
	assert_string_equal(world->why, "it was refused a moment ago");
	say(world, 503);
	assert_int_equal(ask(world, "new"), -EHOSTUNREACH);
	assert_counted(world, "migrationd_keystone_cache_lookups_total{result=\"hit\"} 2\n"
			      "migrationd_keystone_cache_lookups_total{result=\"miss\"} 4\n"
			      "migrationd_keystone_requests_total{result=\"good\"} 2\n"
			      "migrationd_keystone_requests_total{result=\"refused\"} 1\n"
			      "migrationd_keystone_requests_total{result=\"failed\"} 1\n"
			      "migrationd_tokens_undecided_total 1\n"
			      "migrationd_tokens_remembered{store=\"keystone\"} 2\n"
			      "migrationd_tokens_remembered{store=\"own\"} 0\n");
	identity_destroy(TAKE_POINTER(world->identity));
	assert_counted(world, "migrationd_tokens_remembered{store=\"keystone\"} 0\n");
}

/* Told at once, and counted too. */
static void while_keystone_is_away_nobody_is_kept_waiting(void **state)
{
	struct world *world = *state;

	start_with_keystone(world, world->keystone.url);
	say(world, 0);
	assert_int_equal(ask(world, "a"), -EHOSTUNREACH);
	size_t questions = fake_keystone_questions(&world->keystone);

	assert_int_equal(ask(world, "b"), -EHOSTUNREACH);
	assert_string_equal(world->why, "Keystone did not answer a moment ago");
	assert_int_equal(fake_keystone_questions(&world->keystone), questions);
	assert_counted(world, "migrationd_tokens_undecided_total 2\n"
			      "migrationd_keystone_requests_total{result=\"failed\"} 1\n"
			      "migrationd_keystone_cache_lookups_total{result=\"miss\"} 2\n");
}

/* Puts a set with the key into the publisher's mouth; the result is a token that it has signed. */
static char *publish(struct world *world, const char *kid)
{
	EVP_PKEY *pair = EVP_EC_gen("P-256");
	CLEANUP_FREE char *pem = private_pem_of(pair);
	CLEANUP_FREE char *more = text_format("\"kid\":\"%s\",", kid);
	const struct token_key key = { .kid = kid, .algorithm = "ES256", .pem = pem };
	const struct token_settings settings = { .keys = &key, .key_count = 1 };
	const struct caller someone = { .user_id = "u" };
	struct token_verifier *signer = NULL;
	struct jwk_members members;
	char *token = NULL;

	jwk_members_of(pair, &members);
	EVP_PKEY_free(pair);
	CLEANUP_FREE char *jwk = jwk_of(&members, more);
	fake_keystone_set_question(&world->keystone, 200, text_format("{\"keys\":[%s]}", jwk));
	assert_int_equal(token_verifier_create(&settings, &signer, NULL), 0);
	assert_int_equal(token_make(signer, &someone, kid, clock_now_us(clock_system()), 3600, &token, NULL), 0);
	token_verifier_destroy(signer);
	return token;
}

static void a_key_that_was_published_later_is_found_by_its_first_token(void **state)
{
	struct world *world = *state;
	CLEANUP_FREE char *first = publish(world, "first");

	world->set =
		(struct key_set_settings){ .url = world->keystone.url, .refresh_interval_s = 3600, .timeout_s = 20 };
	world->settings = (struct identity_settings){ .key_sets = &world->set, .key_set_count = 1 };
	start(world);
	assert_int_equal(fake_keystone_questions(&world->keystone), 1);
	CLEANUP_FREE char *second = publish(world, "second");
	CLEANUP_FREE char *third = publish(world, "third");
	assert_int_equal(ask(world, first), 0);
	assert_int_equal(fake_keystone_questions(&world->keystone), 1);
	/* Its key is not in the set that is read for its sake. */
	assert_int_equal(ask(world, second), -EACCES);
	assert_string_equal(world->why, "no key that is known has made it");
	assert_int_equal(fake_keystone_questions(&world->keystone), 2);
	assert_int_equal(ask(world, third), 0);
	assert_int_equal(ask(world, first), -EACCES);
	assert_int_equal(ask(world, "no token at all"), -EACCES);
	/* Not again so soon. */
	CLEANUP_FREE char *fourth = publish(world, "fourth");
	assert_int_equal(ask(world, fourth), -EACCES);
	assert_int_equal(fake_keystone_questions(&world->keystone), 2);
	assert_counted(world,
		       "migrationd_key_set_readings_total{result=\"ok\"} 2\nmigrationd_tokens_undecided_total 0\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keystones_address_may_be_written_with_its_version_or_without),
		TEST(questions_and_what_is_remembered_of_them_are_counted),
		TEST(while_keystone_is_away_nobody_is_kept_waiting),
		TEST(a_key_that_was_published_later_is_found_by_its_first_token),
	};

	return cmocka_run_group_tests_name("identity_parts", tests, NULL, NULL);
}
