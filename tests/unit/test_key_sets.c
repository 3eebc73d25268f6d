/* Published key sets: when they are read, what is made of one that cannot be, and that nobody waits longer than for one reading. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/auth/token.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "fake_keystone.h"
#include "server/identity/key_sets.h"

#define SET_BYTES (256 * 1024)
#define KEY                                                                                                            \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                     \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define SET            "{\"keys\":[" KEY "]}"
#define SET_WITH_A_BAD "{\"keys\":[" KEY ",{\"kid\":\"bad\"}]}"

struct world {
	struct fake_keystone publisher; /* answers questions with what a test says */
	struct token_verifier *tokens; /* takes two sets */
	struct metrics *metrics;
	struct log *log;
	int log_file;
	char file[32];
	struct key_set_settings settings[2]; /* the file, and the publisher */
	struct key_sets *sets;
};

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	const struct token_settings tokens = { .key_set_count = 2 };

	setenv("no_proxy", "127.0.0.1", 1);
	fake_keystone_start(&world->publisher);
	fake_keystone_set_question(&world->publisher, 200, strdup(SET));
	if (token_verifier_create(&tokens, &world->tokens, NULL) < 0)
		return -1;
	TEXT_COPY(world->file, "/tmp/test-key-sets-XXXXXX");
	close(mkstemp(world->file));
	world->log_file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	world->log = log_create(world->log_file, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG, clock_system());
	world->metrics = metrics_create();
	world->settings[0] = (struct key_set_settings){ .file = world->file, .refresh_interval_s = 3600 };
	world->settings[1] =
		(struct key_set_settings){ .url = world->publisher.url, .refresh_interval_s = 3600, .timeout_s = 20 };
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	fake_keystone_hold(&world->publisher, false);
	key_sets_destroy(world->sets);
	fake_keystone_stop(&world->publisher);
	token_verifier_destroy(world->tokens);
	log_destroy(world->log);
	metrics_destroy(world->metrics);
	unlink(world->file);
	close(world->log_file);
	free(world);
	return 0;
}

static void put(struct world *world, const char *content, size_t length)
{
	FILE *file = fopen(world->file, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, length, file), length);
	fclose(file);
}

static int create(struct world *world, size_t first, size_t count, struct error *error)
{
	return key_sets_create(world->settings + first, count, world->tokens, world->log, world->metrics, &world->sets,
			       error);
}

static void start(struct world *world, size_t first, size_t count)
{
	struct error error = { 0 };

	if (create(world, first, count, &error) < 0)
		fail_msg("%s", error.text);
}

static bool has_counted(struct world *world, size_t good, size_t failed)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	CLEANUP_FREE char *as_good = text_format("migrationd_key_set_readings_total{result=\"ok\"} %zu\n", good);
	CLEANUP_FREE char *as_failed =
		text_format("migrationd_key_set_readings_total{result=\"failed\"} %zu\n", failed);

	metrics_render(world->metrics, &text);
	return strstr(text.data, as_good) && strstr(text.data, as_failed);
}

static void assert_logged(struct world *world, const char *words, bool is_there)
{
	char text[8192] = "";
	ssize_t length = pread(world->log_file, text, sizeof(text) - 1, 0);

	assert_true(length >= 0);
	if (!strstr(text, words) == is_there)
		fail_msg("%s is %sin the log: %s", words, is_there ? "not " : "", text);
}

static void each_set_is_read_at_the_start_and_none_at_the_end(void **state)
{
	struct world *world = *state;

	put(world, SET, strlen(SET));
	start(world, 0, 2);
	assert_true(has_counted(world, 2, 0));
	assert_int_equal(fake_keystone_questions(&world->publisher), 1);
	key_sets_destroy(TAKE_POINTER(world->sets));
	assert_true(has_counted(world, 2, 0));
	assert_int_equal(fake_keystone_questions(&world->publisher), 1);
}

/* The shortest interval counts for all. */
static void sets_are_read_again_when_their_time_has_come(void **state)
{
	struct world *world = *state;

	put(world, SET, strlen(SET));
	world->settings[1].refresh_interval_s = 1;
	start(world, 0, 2);
	for (int i = 0; i < 1000 && !has_counted(world, 4, 0); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000000 }, NULL);
	assert_true(fake_keystone_questions(&world->publisher) >= 2);
}

static void a_file_that_is_no_set_stops_the_start_with_its_name(void **state)
{
	struct world *world = *state;
	CLEANUP_FREE char *longest = malloc(SET_BYTES + 1);
	const struct {
		const char *content;
		size_t length;
		const char *before, *behind; /* of the path */
	} rows[] = {
		{ "{}", 2, "identity.jwks: ", ": it is no JSON object with a list of keys" },
		{ "", 0, "identity.jwks: ", ": it is no JSON object with a list of keys" },
		{ "{\"keys\":[]}", strlen("{\"keys\":[]}"),
		  "identity.jwks: ", ": none of its 0 keys is an RSA or EC key for signatures" },
		{ longest, SET_BYTES + 1, "identity.jwks: the key set ", " is longer than 262144 bytes" },
	};

	memset(longest, ' ', SET_BYTES + 1);
	memcpy(longest, SET, strlen(SET));
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_FREE char *words = text_format("%s%s%s", rows[i].before, world->file, rows[i].behind);
		struct error error = { 0 };

		put(world, rows[i].content, rows[i].length);
		assert_int_equal(create(world, 0, 1, &error), -EINVAL);
		assert_null(world->sets);
		assert_string_equal(error.text, words);
		assert_true(has_counted(world, 0, i + 1));
	}
	put(world, longest, SET_BYTES);
	start(world, 0, 1);
	assert_true(has_counted(world, 1, ARRAY_LENGTH(rows)));
}

static void a_file_that_cannot_be_read_stops_the_start(void **state)
{
	struct world *world = *state;
	static const struct {
		const char *file;
		const char *words;
	} rows[] = {
		{ "/nonexistent/set",
		  "identity.jwks: cannot open the key set /nonexistent/set: No such file or directory" },
		{ "/tmp", "identity.jwks: cannot read the key set /tmp: Input/output error" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct error error = { 0 };

		world->settings[0].file = rows[i].file;
		assert_int_equal(create(world, 0, 1, &error), -EINVAL);
		assert_string_equal(error.text, rows[i].words);
	}
}

/* It may come later; nobody who has another key waits for it. */
static void a_publisher_that_fails_stops_no_start(void **state)
{
	struct world *world = *state;
	static const struct {
		int status;
		const char *body;
		const char *words;
	} rows[] = {
		{ 404, SET, "answers with status 404" },
		{ 204, "", "answers with status 204" },
		{ 200, "{}", "it is no JSON object with a list of keys" },
		{ 0, "", "key set cannot be read yet" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		fake_keystone_set_question(&world->publisher, rows[i].status, strdup(rows[i].body));
		start(world, 1, 1);
		assert_true(has_counted(world, 0, i + 1));
		assert_logged(world, rows[i].words, true);
		key_sets_destroy(TAKE_POINTER(world->sets));
	}
	assert_logged(world, world->publisher.url, true);
}

static void keys_that_cannot_be_used_are_logged_once_with_their_set(void **state)
{
	struct world *world = *state;
	CLEANUP_FREE char *words = text_format("published keys cannot be used: set=%s keys=", world->file);

	put(world, SET, strlen(SET));
	start(world, 0, 1);
	assert_logged(world, "cannot be used", false);
	key_sets_destroy(TAKE_POINTER(world->sets));
	put(world, SET_WITH_A_BAD, strlen(SET_WITH_A_BAD));
	start(world, 0, 1);
	assert_logged(world, words, true);
	assert_logged(world, "key 2 (kid", true);
	assert_int_equal(ftruncate(world->log_file, 0), 0);
	assert_true(key_sets_may_read(world->sets));
	key_sets_read_now(world->sets);
	assert_true(has_counted(world, 3, 0));
	assert_logged(world, "cannot be used", false);
}

/* Whatever is asked about: ten seconds lie between two of them. */
static void an_early_reading_is_allowed_once_at_a_time(void **state)
{
	struct world *world = *state;

	start(world, 1, 1);
	assert_true(key_sets_may_read(world->sets));
	key_sets_read_now(world->sets);
	assert_true(has_counted(world, 2, 0));
	assert_false(key_sets_may_read(world->sets));
	key_sets_read_now(world->sets);
	assert_true(has_counted(world, 2, 0));
	assert_int_equal(fake_keystone_questions(&world->publisher), 2);
}

/* A set that cannot be read any more stays in force, and it is told so. */
static void a_set_that_fails_later_is_logged(void **state)
{
	struct world *world = *state;

	start(world, 1, 1);
	fake_keystone_set_question(&world->publisher, 500, NULL);
	key_sets_read_now(world->sets);
	assert_true(has_counted(world, 1, 1));
	assert_logged(world, "key set cannot be read, the one before stays in force", true);
	assert_logged(world, "answers with status 500", true);
}

static void *read_now(void *context)
{
	key_sets_read_now(context);
	return context;
}

/* Who comes while it is read has its outcome, and does not go away before. */
static void all_who_come_meanwhile_wait_for_one_reading(void **state)
{
	struct world *world = *state;
	pthread_t threads[4];

	start(world, 1, 1);
	fake_keystone_hold(&world->publisher, true);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_now, world->sets), 0);
	for (int i = 0; i < 1000 && fake_keystone_questions(&world->publisher) < 2; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000000 }, NULL);
	/* Allowed while it goes on: whoever asks then waits for it. */
	assert_true(key_sets_may_read(world->sets));
	nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000000 }, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		assert_int_equal(pthread_tryjoin_np(threads[i], NULL), EBUSY);
	fake_keystone_hold(&world->publisher, false);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(fake_keystone_questions(&world->publisher), 2);
	assert_true(has_counted(world, 2, 0));
	assert_false(key_sets_may_read(world->sets));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_set_is_read_at_the_start_and_none_at_the_end),
		TEST(sets_are_read_again_when_their_time_has_come),
		TEST(a_file_that_is_no_set_stops_the_start_with_its_name),
		TEST(a_file_that_cannot_be_read_stops_the_start),
		TEST(a_publisher_that_fails_stops_no_start),
		TEST(keys_that_cannot_be_used_are_logged_once_with_their_set),
		TEST(an_early_reading_is_allowed_once_at_a_time),
		TEST(a_set_that_fails_later_is_logged),
		TEST(all_who_come_meanwhile_wait_for_one_reading),
	};

	return cmocka_run_group_tests_name("key_sets", tests, NULL, NULL);
}
