/* Tables for people and for programs, as they stand on a terminal of some width and in a file; and a call by its words, from the
 * first one to the exit status. */
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli_verbs.h"
#include "server/cli/table.h"

#define OUTPUT_MAX 4096

/* Where a stream's words go for a while, and how many columns that has; 0: it is a file. */
struct capture {
	FILE *stream;
	int kept; /* the stream's own descriptor */
	int reader;
	char output[OUTPUT_MAX];
};

static void begin(struct capture *capture, FILE *stream, unsigned short columns)
{
	const struct winsize size = { .ws_row = 24, .ws_col = columns };
	struct termios raw;
	int end;

	fflush(stream);
	capture->stream = stream;
	capture->kept = dup(fileno(stream));
	if (columns > 0) {
		capture->reader = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
		assert_int_equal(grantpt(capture->reader) | unlockpt(capture->reader), 0);
		end = open(ptsname(capture->reader), O_RDWR | O_NOCTTY | O_CLOEXEC);
		assert_int_equal(tcgetattr(end, &raw), 0);
		cfmakeraw(&raw);
		assert_int_equal(tcsetattr(end, TCSANOW, &raw) | ioctl(end, TIOCSWINSZ, &size), 0);
	} else {
		end = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		capture->reader = dup(end);
	}
	assert_true(end >= 0 && capture->reader >= 0 && dup2(end, fileno(stream)) >= 0);
	close(end);
}

/* All that was written since; the stream is itself again. */
static const char *end(struct capture *capture)
{
	size_t length = 0;
	ssize_t step;

	fflush(capture->stream);
	lseek(capture->reader, 0, SEEK_SET); /* of a file alone */
	fcntl(capture->reader, F_SETFL, O_NONBLOCK);
	while ((step = read(capture->reader, capture->output + length, OUTPUT_MAX - 1 - length)) > 0)
		length += (size_t)step;
	capture->output[length] = '\0';
	dup2(capture->kept, fileno(capture->stream));
	close(capture->kept);
	close(capture->reader);
	return capture->output;
}

static const struct table_column columns[] = {
	{ "NAME", "name", false },
	{ "IN", "inner.value", false },
	{ "WHY", "why", true },
	{ "N", "n", false },
};

static void assert_table(const char *rows_text, unsigned short width, const char *expected)
{
	json_t *rows = json_loads(rows_text, 0, NULL);
	struct capture capture;

	assert_non_null(rows);
	begin(&capture, stdout, width);
	int status = table_print(rows, columns, ARRAY_LENGTH(columns), false);
	const char *printed = end(&capture);
	json_decref(rows);
	assert_string_equal(printed, expected);
	assert_int_equal(status, 0);
}

static void columns_are_as_wide_as_what_stands_in_them(void **state)
{
	(void)state;
	assert_table("[]", 0, "NAME  IN  N\n");
	assert_table("[{\"name\": \"a\", \"inner\": {\"value\": \"long one\"}, \"n\": 12}, "
		     "{\"name\": \"wéb-server\", \"n\": null}]",
		     0,
		     "NAME        IN        N\n"
		     "a           long one  12\n"
		     "wéb-server  -         -\n");
	assert_table("[{\"name\": \"\", \"inner.value\": true, \"n\": [1, 2]}]", 0,
		     "NAME  IN    N\n"
		     "-     true  [1,2]\n");
}

/* An answer must not steer the terminal. */
static void control_characters_are_not_printed(void **state)
{
	(void)state;
	assert_table("[{\"name\": \"a\\u001b[2Jb\\nc\\u007f ~\"}]", 0,
		     "NAME         IN  N\n"
		     "a?[2Jb?c? ~  -   -\n");
}

static void a_column_that_may_be_empty_is_there_when_one_row_has_it(void **state)
{
	(void)state;
	assert_table("[{\"name\": \"a\"}, {\"name\": \"b\", \"why\": \"so\"}]", 0,
		     "NAME  IN  WHY  N\n"
		     "a     -   -    -\n"
		     "b     -   so   -\n");
}

#define LONG_ROW                                                                                                       \
	"[{\"name\": \"0123456789\", \"inner\": {\"value\": \"abcdefghijklmnopqrst\"}, \"n\": \"ABCDEFGHIJKLMNO\"}]"

/* The widest gives first, no column goes below four places, and what is cut is seen to be. */
static void on_a_terminal_the_widest_columns_give_until_all_fit(void **state)
{
	(void)state;
	assert_table(LONG_ROW, 49,
		     "NAME        IN                    N\n"
		     "0123456789  abcdefghijklmnopqrst  ABCDEFGHIJKLMNO\n");
	assert_table(LONG_ROW, 48,
		     "NAME        IN                   N\n"
		     "0123456789  abcdefghijklmnopqr…  ABCDEFGHIJKLMNO\n");
	assert_table(LONG_ROW, 40,
		     "NAME        IN             N\n"
		     "0123456789  abcdefghijkl…  ABCDEFGHIJKL…\n");
	assert_table(LONG_ROW, 25,
		     "NAME     IN       N\n"
		     "012345…  abcdef…  ABCDEF…\n");
	assert_table(LONG_ROW, 5,
		     "NAME  IN    N\n"
		     "012…  abc…  ABC…\n");
	assert_table("[{\"name\": \"éééééé\", \"n\": \"x\"}]", 12,
		     "NAME   IN  N\n"
		     "éééé…  -   x\n");
}

static void a_terminal_is_as_wide_as_it_says_and_a_file_has_no_width(void **state)
{
	static const struct {
		unsigned short columns;
		size_t width;
	} rows[] = { { 132, 132 }, { 1, 1 }, { 0, 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct capture capture;

		begin(&capture, stdout, rows[i].columns);
		size_t width = table_terminal_width();
		end(&capture);
		assert_int_equal(width, rows[i].width);
	}
}

static void programs_get_the_rows_as_they_are(void **state)
{
	json_t *rows = json_loads("[{\"name\": \"a\", \"more\": [1, {\"b\": null}]}]", 0, NULL);
	struct capture capture;

	(void)state;
	begin(&capture, stdout, 0);
	int status = table_print(rows, columns, ARRAY_LENGTH(columns), true);
	json_t *printed = json_loads(end(&capture), 0, NULL);
	assert_int_equal(status, 0);
	assert_true(json_equal(rows, printed));
	json_decref(printed);
	json_decref(rows);
	begin(&capture, stdout, 0);
	status = table_print_json(json_null());
	assert_string_equal(end(&capture), "null\n");
	assert_int_equal(status, 0);
}

/* A call by its words: the status, and what it says on which stream (a part; "": nothing). */
static void a_call_ends_with_its_status_and_its_words_on_the_right_stream(void **state)
{
	static const struct {
		const char *words[6];
		int status;
		const char *out, *err;
	} rows[] = {
		{ { NULL }, EXIT_USAGE, "", "usage: migrationd VERB" },
		{ { "--help" }, 0, "usage: migrationd VERB", "" },
		{ { "-h" }, 0, "usage: migrationd VERB", "" },
		{ { "help" }, 0, "usage: migrationd VERB", "" },
		{ { "fly" }, EXIT_USAGE, "", "migrationd: no verb fly\nusage: migrationd VERB" },
		{ { "look", "--help" }, 0, "usage: migrationd look HOST", "" },
		{ { "look", "h", "--colour", "red" }, 0, "", "" },
		{ { "look", "h", "p", "q", "r", "--colour=red" }, 0, "", "" },
		{ { "look", "--colour", "red" }, EXIT_USAGE, "", "look: HOST is needed: where to look" },
		{ { "look", "h" }, EXIT_USAGE, "", "look: --colour is needed: of the lamp" },
		{ { "look", "h", "--colour", "green" }, EXIT_USAGE, "", "red or blue" },
		{ { "look", "h", "--colour" }, EXIT_USAGE, "", "--colour needs a value" },
		{ { "look", "h", "--quiet=1" }, EXIT_USAGE, "", "--quiet=1 takes no value" },
		{ { "look", "h", "--loud" }, EXIT_USAGE, "", "--loud is not known here" },
		{ { "look", "h", "--times", "10" }, EXIT_USAGE, "", "from -1 to 9" },
		{ { "look", "h", "p", "q", "r", "s" }, EXIT_USAGE, "", "look: PLACE is given too often" },
		{ { "guest" }, EXIT_USAGE, "", "usage: migrationd guest move SERVER" },
		{ { "guest", "fly" }, EXIT_USAGE, "", "there is no fly" },
		{ { "guest", "--help" }, 0, "usage: migrationd guest move SERVER", "" },
		{ { "guest", "move", "web" }, 0, "", "" },
		{ { "guest", "move", "web", "p", "q" }, EXIT_USAGE, "", "guest move: q is not known here" },
		{ { "guest", "move", "--help" }, 0, "usage: migrationd guest move SERVER [POLICY]", "" },
		{ { "guest", "move", "--", "--help" }, 0, "", "" },
		{ { "disk", "stop", "--migration", "1" }, 0, "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct capture out, err;
		const char *words[7] = { 0 };

		memcpy(words, rows[i].words, sizeof(rows[i].words));
		begin(&out, stdout, 0);
		begin(&err, stderr, 0);
		int status = verb_run(cli_verbs, (char **)(void *)words);
		const char *said = end(&err), *printed = end(&out);
		bool is_right = status == rows[i].status && (*printed != '\0') == (*rows[i].out != '\0')
				&& (*said != '\0') == (*rows[i].err != '\0') && strstr(printed, rows[i].out)
				&& strstr(said, rows[i].err);
		if (!is_right)
			fail_msg("row %zu: status %d, out:\n%s\nerr:\n%s", i, status, printed, said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_what_stands_in_them),
		cmocka_unit_test(control_characters_are_not_printed),
		cmocka_unit_test(a_column_that_may_be_empty_is_there_when_one_row_has_it),
		cmocka_unit_test(on_a_terminal_the_widest_columns_give_until_all_fit),
		cmocka_unit_test(a_terminal_is_as_wide_as_it_says_and_a_file_has_no_width),
		cmocka_unit_test(programs_get_the_rows_as_they_are),
		cmocka_unit_test(a_call_ends_with_its_status_and_its_words_on_the_right_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
