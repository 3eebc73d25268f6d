/* The log: what stands in a line, that no value can make another one, and which levels are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

#define TIME_US   INT64_C(1767225600123456)
#define TIME_TEXT "2026-01-01T00:00:00.123456Z"

struct fixture {
	struct clock *clock;
	struct log *log;
	FILE *file;
	char written[8192];
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture->clock = clock_manual_create(TIME_US);
	fixture->file = tmpfile();
	assert_non_null(fixture->file);
	fixture->log = log_create(fileno(fixture->file), LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG, fixture->clock);
	assert_non_null(fixture->log);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	log_destroy(fixture->log);
	clock_manual_destroy(fixture->clock);
	fclose(fixture->file);
	free(fixture);
	return 0;
}

/* All that was written since the last call. */
static const char *written(struct fixture *fixture)
{
	ssize_t length = pread(fileno(fixture->file), fixture->written, sizeof(fixture->written) - 1, 0);

	assert_true(length >= 0 && (size_t)length < sizeof(fixture->written) - 1);
	fixture->written[length] = '\0';
	assert_int_equal(ftruncate(fileno(fixture->file), 0), 0);
	assert_int_equal(lseek(fileno(fixture->file), 0, SEEK_SET), 0);
	return fixture->written;
}

static void a_line_has_time_level_request_event_and_fields(void **state)
{
	struct fixture *fixture = *state;

	log_event(fixture->log, LOG_LEVEL_INFO, "req-1", "migration started", LOG_TEXT("target", "compute-2"),
		  LOG_NUMBER("least", INT64_MIN), LOG_NUMBER("most", INT64_MAX), LOG_TEXT("nobody", NULL));
	assert_string_equal(written(fixture),
			    TIME_TEXT " info    req-1 migration started: target=compute-2 "
				      "least=-9223372036854775808 most=9223372036854775807 nobody=\"\"\n");
	log_event(fixture->log, LOG_LEVEL_WARNING, NULL, "alone");
	assert_string_equal(written(fixture), TIME_TEXT " warning alone\n");
	log_set(fixture->log, LOG_FORMAT_JSON, LOG_LEVEL_DEBUG);
	log_event(fixture->log, LOG_LEVEL_DEBUG, "req-1", "started", LOG_TEXT("target", "compute-2"),
		  LOG_NUMBER("count", -1));
	assert_string_equal(written(fixture),
			    "{\"time\": \"" TIME_TEXT "\", \"level\": \"debug\", \"request_id\": \"req-1\", "
			    "\"event\": \"started\", \"target\": \"compute-2\", \"count\": -1}\n");
	log_error(fixture->log, NULL, "failed", &(struct error){ .code = ENOENT, .text = "no file" });
	assert_string_equal(written(fixture),
			    "{\"time\": \"" TIME_TEXT "\", \"level\": \"error\", \"event\": \"failed\", "
			    "\"reason\": \"no file\", \"code\": 2}\n");
	log_event(NULL, LOG_LEVEL_ERROR, NULL, "nowhere");
}

static void a_value_of_other_than_plain_characters_stands_in_quotes(void **state)
{
	static const struct {
		const char *value;
		const char *text; /* in the text format */
		const char *json; /* between the quotes */
	} rows[] = {
		{ "plain-1.2:3/4", "plain-1.2:3/4", "plain-1.2:3/4" },
		{ "caf\xc3\xa9", "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "", "\"\"", "" },
		{ "two words", "\"two words\"", "two words" },
		{ "a=b", "\"a=b\"", "a=b" },
		{ "say \"x\"", "\"say \\\"x\\\"\"", "say \\\"x\\\"" },
		{ "\"", "\"\\\"\"", "\\\"" },
		{ "\\", "\"\\\\\"", "\\\\" },
		{ "a\nb", "\"a\\nb\"", "a\\nb" },
		{ "a\rb", "\"a\\u000db\"", "a\\u000db" },
		{ "a\tb", "\"a\\u0009b\"", "a\\u0009b" },
		{ "\x1b[31m", "\"\\u001b[31m\"", "\\u001b[31m" },
		{ "\x01", "\"\\u0001\"", "\\u0001" },
		{ "\x1f", "\"\\u001f\"", "\\u001f" },
		{ "\x7f", "\"\\u007f\"", "\\u007f" },
		{ "caf\xe9", "caf\xc3\xa9", "caf\xc3\xa9" }, /* no UTF-8: its bytes as Latin-1 */
		{ "\xff\n", "\"\xc3\xbf\\n\"", "\xc3\xbf\\n" },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_FREE char *text = text_format(TIME_TEXT " info    x: v=%s\n", rows[i].text);
		CLEANUP_FREE char *json = text_format("{\"time\": \"" TIME_TEXT
						      "\", \"level\": \"info\", \"event\": \"x\", \"v\": \"%s\"}\n",
						      rows[i].json);

		log_set(fixture->log, LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
		log_event(fixture->log, LOG_LEVEL_INFO, NULL, "x", LOG_TEXT("v", rows[i].value));
		assert_string_equal(written(fixture), text);
		log_set(fixture->log, LOG_FORMAT_JSON, LOG_LEVEL_INFO);
		log_event(fixture->log, LOG_LEVEL_INFO, NULL, "x", LOG_TEXT("v", rows[i].value));
		assert_string_equal(written(fixture), json);
	}
}

/* Whatever the value, and wherever it stands: one line, of readable characters alone. */
static void no_value_can_forge_a_line(void **state)
{
	static const enum log_format formats[] = { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(formats); i++)
		for (int c = 1; c < 256; c++) {
			const char bytes[] = { 'a', (char)c, 'b', '\0' };
			const char *value = bytes;

			log_set(fixture->log, formats[i], LOG_LEVEL_INFO);
			log_event(fixture->log, LOG_LEVEL_INFO, formats[i] == LOG_FORMAT_JSON ? value : NULL, value,
				  LOG_TEXT("v", value));
			const char *line = written(fixture);
			size_t length = strlen(line);
			assert_true(text_is_utf8(line, length));
			for (size_t at = 0; at < length; at++)
				if ((unsigned char)line[at] < ' ' || line[at] == 0x7f)
					assert_int_equal(at, length - 1); /* the newline at its end */
		}
}

static void what_is_below_the_level_is_not_written(void **state)
{
	static const enum log_level levels[] = { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
	struct fixture *fixture = *state;

	for (size_t lowest = 0; lowest < ARRAY_LENGTH(levels); lowest++)
		for (size_t level = 0; level < ARRAY_LENGTH(levels); level++) {
			log_set(fixture->log, LOG_FORMAT_TEXT, levels[lowest]);
			log_event(fixture->log, levels[level], NULL, "x");
			assert_int_equal(*written(fixture) != '\0', level >= lowest);
		}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_has_time_level_request_event_and_fields),
		TEST(a_value_of_other_than_plain_characters_stands_in_quotes),
		TEST(no_value_can_forge_a_line),
		TEST(what_is_below_the_level_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
