/* What is believed of Keystone's answers, and for how long; on a clock that stands still, against a Keystone that says anything. */
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
#include "base/text.h"
#include "fake_keystone.h"
#include "server/identity/identity.h"

#define SECOND_US    INT64_C(1000000)
#define NOW_US       (INT64_C(1767312000) * SECOND_US)
#define CACHE_S      300
#define REMEMBERED   16 /* one in each shard of the memory */
#define ANSWER_BYTES (1024 * 1024)
#define WAIT_MAX_S   20

struct world {
	struct fake_keystone keystone;
	struct clock *clock;
	struct token_verifier *tokens;
	struct identity_settings settings;
	struct identity *identity;
	char password_file[64];
	pthread_mutex_t mutex;
	pthread_cond_t came;
};

/* A question and what came of it. */
struct asked {
	struct world *world;
	struct caller *caller;
	char why[ERROR_TEXT_SIZE];
	int result;
	bool has_come;
};

static void on_answer(void *context, int result, struct caller *caller, const struct error *error)
{
	struct asked *asked = context;

	LOCK_SCOPE(&asked->world->mutex);
	asked->result = result;
	asked->caller = caller;
	TEXT_COPY(asked->why, result < 0 ? error->text : "");
	asked->has_come = true;
	pthread_cond_broadcast(&asked->world->came);
}

static void begin(struct world *world, struct asked *asked, const char *token)
{
	const struct token_authority *authority = identity_authority(world->identity);

	*asked = (struct asked){ .world = world };
	authority->ask(authority->context, token, on_answer, asked);
}

/* The result; what else came of it is released. */
static int finish(struct asked *asked)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_MAX_S;
	pthread_mutex_lock(&asked->world->mutex);
	while (!asked->has_come)
		if (pthread_cond_timedwait(&asked->world->came, &asked->world->mutex, &until) != 0)
			break;
	bool has_come = asked->has_come;
	pthread_mutex_unlock(&asked->world->mutex);
	assert_true(has_come);
	if (asked->result < 0)
		assert_null(asked->caller);
	return asked->result;
}

/* The result; `ret_role` is the caller's first role, "" without one. */
static int ask(struct world *world, const char *token, char ret_role[32])
{
	struct asked asked;

	begin(world, &asked, token);
	int result = finish(&asked);

	snprintf(ret_role, 32, "%s", asked.caller && asked.caller->role_count ? asked.caller->roles[0] : "");
	caller_release(asked.caller);
	return result;
}

/* The outcome must be that, after so many questions in all. */
static void expect(struct world *world, const char *token, int result, size_t questions)
{
	struct asked asked;

	begin(world, &asked, token);
	int found = finish(&asked);

	caller_release(asked.caller);
	if (found != result || fake_keystone_questions(&world->keystone) != questions)
		fail_msg("%.80s: %d after %zu questions: %s", token, found, fake_keystone_questions(&world->keystone),
			 asked.why);
}

/* From now on each token is a reader's that ends so many seconds after the start. */
static void say_good(struct world *world, int64_t end_s)
{
	fake_keystone_set_question(&world->keystone, 200,
				   fake_keystone_body("project", "reader", NOW_US + end_s * SECOND_US));
}

static void let_in(struct world *world, const char *token, int64_t end_s)
{
	fake_keystone_set_login(&world->keystone, 201,
				fake_keystone_body("service", "service", NOW_US + end_s * SECOND_US), strdup(token));
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct token_settings tokens = { .has_authority = true };
	struct error error = { 0 };

	setenv("no_proxy", "127.0.0.1", 1);
	TEXT_COPY(world->password_file, "/tmp/test-identity-XXXXXX");
	int descriptor = mkstemp(world->password_file);
	assert_int_equal(write(descriptor, "secret\n", 7), 7);
	close(descriptor);
	pthread_mutex_init(&world->mutex, NULL);
	pthread_cond_init(&world->came, NULL);
	world->clock = clock_manual_create(NOW_US);
	fake_keystone_start(&world->keystone);
	let_in(world, "own-1", 100000);
	say_good(world, 100000);
	world->settings.keystone = (struct keystone_settings){ .url = world->keystone.url,
							       .username = "nova",
							       .user_domain_name = "Default",
							       .project_name = "service",
							       .project_domain_name = "Default",
							       .password_file = world->password_file,
							       .timeout_s = 10,
							       .cache_time_s = CACHE_S,
							       .remembered_max = REMEMBERED };
	if (token_verifier_create(&tokens, &world->tokens, &error) < 0)
		fail_msg("%s", error.text);
	const struct identity_parts parts = { .settings = &world->settings,
					      .tokens = world->tokens,
					      .clock = world->clock };
	if (identity_create(&parts, &world->identity, &error) < 0)
		fail_msg("%s", error.text);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	fake_keystone_hold(&world->keystone, false);
	identity_destroy(world->identity);
	fake_keystone_stop(&world->keystone);
	token_verifier_destroy(world->tokens);
	clock_manual_destroy(world->clock);
	unlink(world->password_file);
	pthread_cond_destroy(&world->came);
	pthread_mutex_destroy(&world->mutex);
	free(world);
	return 0;
}

static void advance(struct world *world, int64_t seconds)
{
	clock_manual_advance(world->clock, seconds * SECOND_US);
}

static void an_answer_is_believed_for_the_cache_time_and_no_longer(void **state)
{
	struct world *world = *state;

	expect(world, "a", 0, 1);
	expect(world, "a", 0, 1);
	advance(world, CACHE_S - 1);
	expect(world, "a", 0, 1);
	advance(world, 1);
	expect(world, "a", 0, 2);
	expect(world, "b", 0, 3);
}

static void an_answer_about_a_token_that_is_over_is_refused(void **state)
{
	struct world *world = *state;
	static const int64_t ends[] = { 0, -1, -100000 };

	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
		CLEANUP_FREE char *token = text_format("over-%zu", i);

		say_good(world, ends[i]);
		expect(world, token, -EACCES, i + 1);
	}
	say_good(world, 1);
	expect(world, "good", 0, ARRAY_LENGTH(ends) + 1);
}

static void a_token_is_believed_no_longer_than_to_its_own_end(void **state)
{
	struct world *world = *state;

	say_good(world, 10);
	expect(world, "a", 0, 1);
	advance(world, 9);
	expect(world, "a", 0, 1);
	advance(world, 1);
	/* Keystone says the same once more, and it counts no more. */
	expect(world, "a", -EACCES, 2);
}

static void while_keystone_is_away_a_token_that_was_seen_goes_on_to_its_end(void **state)
{
	struct world *world = *state;

	say_good(world, CACHE_S + 10);
	expect(world, "seen", 0, 1);
	fake_keystone_set_question(&world->keystone, 0, NULL);
	advance(world, CACHE_S);
	expect(world, "seen", 0, 2);
	/* Nobody is asked again a moment later. */
	expect(world, "seen", 0, 2);
	expect(world, "new", -EHOSTUNREACH, 2);
	advance(world, 9);
	expect(world, "seen", 0, 2);
	advance(world, 1);
	expect(world, "seen", -EHOSTUNREACH, 2);
}

static void a_refusal_is_believed_for_ten_seconds(void **state)
{
	struct world *world = *state;

	fake_keystone_set_question(&world->keystone, 404, NULL);
	expect(world, "a", -EACCES, 1);
	say_good(world, 1000);
	expect(world, "a", -EACCES, 1);
	expect(world, "b", 0, 2);
	advance(world, 9);
	expect(world, "a", -EACCES, 2);
	advance(world, 1);
	expect(world, "a", 0, 3);
}

static void a_token_that_was_refused_does_not_go_on_while_keystone_is_away(void **state)
{
	struct world *world = *state;

	expect(world, "a", 0, 1);
	advance(world, CACHE_S);
	fake_keystone_set_question(&world->keystone, 404, NULL);
	expect(world, "a", -EACCES, 2);
	advance(world, 20); /* the refusal is not remembered any more */
	fake_keystone_set_question(&world->keystone, 0, NULL);
	expect(world, "a", -EHOSTUNREACH, 3);
}

static void the_newest_answer_is_what_goes_on_while_keystone_is_away(void **state)
{
	struct world *world = *state;
	char role[32];

	expect(world, "a", 0, 1);
	advance(world, CACHE_S);
	fake_keystone_set_question(&world->keystone, 200,
				   fake_keystone_body("project", "member", NOW_US + 100000 * SECOND_US));
	assert_int_equal(ask(world, "a", role), 0);
	assert_string_equal(role, "member");
	advance(world, CACHE_S);
	fake_keystone_set_question(&world->keystone, 0, NULL);
	assert_int_equal(ask(world, "a", role), 0);
	assert_string_equal(role, "member");
}

/* Of each status that is no word on the token: whoever was seen goes on, others are asked about at once. */
static void a_status_that_says_nothing_of_the_token_neither_refuses_nor_admits_it(void **state)
{
	static const int statuses[] = { 201, 204, 300, 302, 401, 403, 405, 409, 413, 429, 500, 502, 503 };
	struct world *world = *state;
	size_t questions = 1;

	expect(world, "seen", 0, 1);
	for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
		CLEANUP_FREE char *token = text_format("new-%zu", i);
		size_t tries = statuses[i] == 401 ? 2 : 1; /* with a new token of the service's own */

		fake_keystone_set_question(&world->keystone, statuses[i],
					   fake_keystone_body("project", "admin", NOW_US + 100000 * SECOND_US));
		expect(world, token, -EHOSTUNREACH, questions += tries);
		advance(world, CACHE_S);
		expect(world, "seen", 0, questions += tries);
		say_good(world, 100000);
		expect(world, token, 0, ++questions);
		expect(world, "seen", 0, ++questions);
	}
}

static void what_keystone_takes_for_none_is_refused(void **state)
{
	static const int statuses[] = { 400, 404 };
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
		CLEANUP_FREE char *token = text_format("none-%zu", i);

		fake_keystone_set_question(&world->keystone, statuses[i],
					   fake_keystone_body("project", "admin", NOW_US + 100000 * SECOND_US));
		expect(world, token, -EACCES, i + 1);
	}
}

static void an_answer_that_is_none_condemns_its_token_alone(void **state)
{
	static const char *const bodies[] = {
		"",
		"null",
		"[]",
		"{",
		"{\"token\": null}",
		"{\"token\": []}",
		"not JSON",
		"{\"token\": {\"user\": {\"id\": \"u\"}, \"expires_at\": \"2027-01-01T00:00:00Z\", \"project\": {}}}",
	};
	struct world *world = *state;
	size_t questions = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
		CLEANUP_FREE char *odd = text_format("odd-%zu", i);
		CLEANUP_FREE char *good = text_format("good-%zu", i);

		fake_keystone_set_question(&world->keystone, 200, strdup(bodies[i]));
		expect(world, odd, -EACCES, ++questions);
		say_good(world, 100000);
		expect(world, good, 0, ++questions);
		expect(world, odd, -EACCES, questions);
	}
}

/* A good answer that is made longer by blanks. */
static char *padded(size_t size)
{
	CLEANUP_FREE char *body = fake_keystone_body("project", "reader", NOW_US + 100000 * SECOND_US);
	char *text = malloc(size + 1);

	memset(text, ' ', size);
	memcpy(text, body, strlen(body));
	text[size] = '\0';
	return text;
}

static void an_answer_of_more_than_a_mebibyte_is_none(void **state)
{
	struct world *world = *state;

	fake_keystone_set_question(&world->keystone, 200, padded(ANSWER_BYTES));
	expect(world, "a", 0, 1);
	fake_keystone_set_question(&world->keystone, 200, padded(ANSWER_BYTES + 1));
	expect(world, "b", -EHOSTUNREACH, 2);
}

static void a_token_is_asked_about_once_at_a_time(void **state)
{
	struct world *world = *state;
	struct asked asked[20];

	fake_keystone_hold(&world->keystone, true);
	for (size_t i = 0; i < ARRAY_LENGTH(asked); i++)
		begin(world, &asked[i], "a");
	fake_keystone_hold(&world->keystone, false);
	for (size_t i = 0; i < ARRAY_LENGTH(asked); i++) {
		assert_int_equal(finish(&asked[i]), 0);
		assert_string_equal(asked[i].caller->project_id, "project");
		caller_release(asked[i].caller);
	}
	assert_int_equal(fake_keystone_questions(&world->keystone), 1);
}

static void no_more_tokens_are_asked_about_than_the_queue_has_space_for(void **state)
{
	struct world *world = *state;
	struct asked *asked = calloc(1025, sizeof(*asked));

	fake_keystone_hold(&world->keystone, true);
	for (size_t i = 0; i < 1024; i++) {
		CLEANUP_FREE char *token = text_format("token-%zu", i);

		begin(world, &asked[i], token);
		assert_false(asked[i].has_come);
	}
	begin(world, &asked[1024], "one-more");
	assert_int_equal(finish(&asked[1024]), -EHOSTUNREACH);
	assert_string_equal(asked[1024].why, "1024 tokens are asked about already");
	/* One that is asked about already takes no place. */
	struct asked again;
	begin(world, &again, "token-7");
	assert_false(again.has_come);
	identity_stop(world->identity);
	assert_int_equal(finish(&again), -EHOSTUNREACH);
	for (size_t i = 0; i < 1024; i++)
		assert_int_equal(finish(&asked[i]), -EHOSTUNREACH);
	free(asked);
}

static void after_the_end_nobody_is_asked(void **state)
{
	struct world *world = *state;

	expect(world, "seen", 0, 1);
	identity_stop(world->identity);
	expect(world, "new", -EHOSTUNREACH, 1);
	expect(world, "seen", 0, 1);
}

static void no_more_answers_are_remembered_than_configured(void **state)
{
	struct world *world = *state;
	size_t questions = 0;

	for (size_t i = 0; i < 20 * REMEMBERED; i++) {
		CLEANUP_FREE char *token = text_format("token-%zu", i);

		expect(world, token, 0, ++questions);
	}
	fake_keystone_set_question(&world->keystone, 404, NULL);
	size_t believed = 0;
	for (size_t i = 0; i < 20 * REMEMBERED; i++) {
		CLEANUP_FREE char *token = text_format("token-%zu", i);
		char role[32];

		believed += ask(world, token, role) == 0;
	}
	assert_in_range(believed, 1, REMEMBERED);
}

static void a_text_that_no_header_can_hold_is_not_sent(void **state)
{
	static const char *const texts[] = { "a b", "a\tb", "a\r\nX-Auth-Token: b", "a\x7f", "\xc3\xa9", " ", "a\x01" };
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		expect(world, texts[i], -EACCES, 0);
	expect(world, "!~", 0, 1);
	assert_string_equal(world->keystone.asked_about, "!~");
	assert_string_equal(world->keystone.asked_by, "own-1");
}

static void the_services_own_token_is_renewed_before_its_end(void **state)
{
	struct world *world = *state;

	let_in(world, "own-1", 100);
	expect(world, "a", 0, 1);
	let_in(world, "own-2", 100000);
	advance(world, 39); /* 61 s before its end */
	expect(world, "b", 0, 2);
	assert_int_equal(fake_keystone_logins(&world->keystone), 1);
	advance(world, 1);
	expect(world, "c", 0, 3);
	assert_int_equal(fake_keystone_logins(&world->keystone), 2);
	assert_string_equal(world->keystone.asked_by, "own-2");
}

static void a_login_that_is_none_is_not_believed(void **state)
{
	struct world *world = *state;
	static const struct {
		int status;
		const char *body, *token;
	} logins[] = {
		{ 201, NULL, NULL }, { 201, "{\"token\": {}}", "own" },
		{ 201, "", "own" },  { 200, NULL, "own" },
		{ 401, NULL, NULL }, { 201, NULL, "" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(logins); i++) {
		void *fresh = NULL;
		char *good = fake_keystone_body("service", "service", NOW_US + 100000 * SECOND_US);

		fake_keystone_set_login(&world->keystone, logins[i].status,
					logins[i].body ? strdup(logins[i].body) : strdup(good),
					logins[i].token ? strdup(logins[i].token) : NULL);
		free(good);
		expect(world, "a", -EHOSTUNREACH, 0);
		/* In the next moment nobody would be asked. */
		tear_down(state);
		set_up(&fresh);
		*state = world = fresh;
	}
}

static void an_own_token_that_is_refused_is_made_again_once(void **state)
{
	struct world *world = *state;

	expect(world, "a", 0, 1);
	fake_keystone_set_question(&world->keystone, 401, NULL);
	let_in(world, "own-2", 100000);
	expect(world, "b", -EHOSTUNREACH, 3);
	assert_int_equal(fake_keystone_logins(&world->keystone), 2);
	assert_string_equal(world->keystone.asked_by, "own-2");
	say_good(world, 100000);
	expect(world, "b", 0, 4);
	assert_int_equal(fake_keystone_logins(&world->keystone), 2);
}

static void a_password_file_holds_a_password(void **state)
{
	static const struct {
		size_t length;
		int result;
	} files[] = { { 0, -EINVAL }, { 1, 0 }, { 4095, 0 }, { 4097, -EINVAL }, { 9000, -EINVAL } };
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		const struct identity_parts parts = { .settings = &world->settings,
						      .tokens = world->tokens,
						      .clock = world->clock };
		struct identity *identity = NULL;
		struct error error = { 0 };
		FILE *file = fopen(world->password_file, "we");

		for (size_t n = 0; n < files[i].length; n++)
			fputc('x', file);
		fputc('\n', file);
		fclose(file);
		int result = identity_create(&parts, &identity, &error);
		if (result != files[i].result)
			fail_msg("%zu bytes: %d %s", files[i].length, result, error.text);
		identity_destroy(identity);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_is_believed_for_the_cache_time_and_no_longer),
		TEST(an_answer_about_a_token_that_is_over_is_refused),
		TEST(a_token_is_believed_no_longer_than_to_its_own_end),
		TEST(while_keystone_is_away_a_token_that_was_seen_goes_on_to_its_end),
		TEST(a_refusal_is_believed_for_ten_seconds),
		TEST(a_token_that_was_refused_does_not_go_on_while_keystone_is_away),
		TEST(the_newest_answer_is_what_goes_on_while_keystone_is_away),
		TEST(a_status_that_says_nothing_of_the_token_neither_refuses_nor_admits_it),
		TEST(what_keystone_takes_for_none_is_refused),
		TEST(an_answer_that_is_none_condemns_its_token_alone),
		TEST(an_answer_of_more_than_a_mebibyte_is_none),
		TEST(a_token_is_asked_about_once_at_a_time),
		TEST(no_more_tokens_are_asked_about_than_the_queue_has_space_for),
		TEST(after_the_end_nobody_is_asked),
		TEST(no_more_answers_are_remembered_than_configured),
		TEST(a_text_that_no_header_can_hold_is_not_sent),
		TEST(the_services_own_token_is_renewed_before_its_end),
		TEST(a_login_that_is_none_is_not_believed),
		TEST(an_own_token_that_is_refused_is_made_again_once),
		TEST(a_password_file_holds_a_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
