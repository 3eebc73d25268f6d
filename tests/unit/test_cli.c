/* The command line's pure parts: words read by rows, a move on a line, text as roff. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/cli/progress.h"
#include "server/cli/roff.h"
#include "server/cli/table.h"
#include "server/cli/verb.h"

struct words {
	const char *name;
	struct verb_list files;
	struct verb_list rest;
	int64_t number;
	const char *choice;
	bool is_forced;
};

#define AT(member) .offset = offsetof(struct words, member)

static const char *const choices[] = { "one", "two", NULL };

static const struct verb_argument operands[] = {
	{ "NAME", NULL, "a name", VERB_TEXT, AT(name), .is_required = true },
	{ "REST", NULL, "the rest", VERB_TEXTS, AT(rest), .values_max = 2 },
};

static const struct verb_argument options[] = {
	{ "N", "number", "a number", VERB_NUMBER, AT(number), .low = -5, .high = 9, .by_default = "7" },
	{ "WORD", "choice", "a choice", VERB_TEXT, AT(choice), .words = choices, .completes = VERB_COMPLETES_WORDS },
	{ NULL, "force", "by force", VERB_SWITCH, AT(is_forced) },
	VERB_OPTION_CONFIG(struct words, files),
};

static int run_nothing(void *arguments)
{
	(void)arguments;
	return 0;
}

static const struct verb verb = {
	.name = "try",
	.summary = "tries it",
	.operands = VERB_ROWS(operands),
	.options = VERB_ROWS(options),
	.arguments_size = sizeof(struct words),
	.run = run_nothing,
};

static int read_words(struct words *ret_words, const char *const *words)
{
	const char *copy[32];
	size_t count = 0;

	for (; words[count]; count++)
		copy[count] = words[count];
	copy[count] = NULL;
	*ret_words = (struct words){ 0 };
	return verb_read(&verb, "try", (char **)(void *)copy, ret_words);
}
#define READ(words, ...) read_words((words), (const char *const[]){ __VA_ARGS__, NULL })

static void words_are_read_by_the_rows(void **state)
{
	struct words words;

	(void)state;
	assert_int_equal(
		READ(&words, "a", "--number=-5", "--force", "b", "--config", "x", "--config=y", "--choice", "two"), 0);
	assert_string_equal(words.name, "a");
	assert_int_equal(words.rest.count, 1);
	assert_string_equal(words.rest.items[0], "b");
	assert_int_equal(words.number, -5);
	assert_true(words.is_forced);
	assert_int_equal(words.files.count, 2);
	assert_string_equal(words.files.items[1], "y");
	assert_string_equal(words.choice, "two");

	assert_int_equal(READ(&words, "a"), 0);
	assert_int_equal(words.number, 7);
	assert_null(words.choice);
	assert_false(words.is_forced);
	assert_int_equal(words.files.count, 0);

	assert_int_equal(READ(&words, "--force", "--", "--number", "-x"), 0);
	assert_string_equal(words.name, "--number");
	assert_string_equal(words.rest.items[0], "-x");
	assert_int_equal(READ(&words, "", "--config="), 0);
	assert_string_equal(words.name, "");
	assert_string_equal(words.files.items[0], "");
}

static void what_the_rows_do_not_take_is_refused(void **state)
{
	struct words words;

	(void)state;
	assert_int_equal(READ(&words, "--force"), -EINVAL);
	assert_int_equal(READ(&words, "a", "--number", "10"), -EINVAL);
	assert_int_equal(READ(&words, "a", "--number", "1x"), -EINVAL);
	assert_int_equal(READ(&words, "a", "--number"), -EINVAL);
	assert_int_equal(READ(&words, "a", "--choice", "three"), -EINVAL);
	assert_int_equal(READ(&words, "a", "--force=1"), -EINVAL);
	assert_int_equal(READ(&words, "a", "--forced"), -EINVAL);
	assert_int_equal(READ(&words, "a", "--for"), -EINVAL);
	assert_int_equal(READ(&words, "a", "-f"), -EINVAL);
	assert_int_equal(READ(&words, "a", "-"), -EINVAL);
	assert_int_equal(READ(&words, "a", "b", "c", "d"), -EINVAL);
}

#define MIB (1024 * 1024LL)

static void a_move_on_a_line_tells_what_is_known(void **state)
{
	static const struct {
		struct progress progress;
		size_t width;
		const char *line;
	} cases[] = {
		{ { "web", "running", 1024 * MIB, 256 * MIB, 100 * MIB, 36 * MIB },
		  0,
		  "web  running   75%  768 MiB of 1.0 GiB  100 MiB/s  dirty 36.0 MiB/s  left 00:04" },
		{ { "web", "running", 1024 * MIB, 256 * MIB, 100 * MIB, 36 * MIB },
		  100,
		  "web  running  [############.....]   75%  768 MiB of 1.0 GiB  100 MiB/s  dirty 36.0 MiB/s  left "
		  "00:04" },
		{ { "web", "running", 1024 * MIB, 1024 * MIB, 10 * MIB, -1 },
		  0,
		  "web  running    0%  0 B of 1.0 GiB  10.0 MiB/s  left 01:43" },
		{ { "web", "running", 1024 * MIB, 1023 * MIB, 10 * MIB, 10 * MIB },
		  0,
		  "web  running    0%  1.0 MiB of 1.0 GiB  10.0 MiB/s  dirty 10.0 MiB/s" },
		{ { "web", "running", 1 << 20, 0, -1, -1 }, 0, "web  running  100%  1.0 MiB of 1.0 MiB" },
		{ { "web", "running", INT64_MAX, INT64_MAX, 1, 0 },
		  0,
		  "web  running    0%  0 B of 8192 PiB  1 B/s  dirty 0 B/s  left 2562047788015215:30:07" },
		{ { "web", "running", 7200 * MIB, 3600 * MIB, MIB, -1 },
		  0,
		  "web  running   50%  3.5 GiB of 7.0 GiB  1.0 MiB/s  left 1:00:00" },
		{ { "web", "running", 7200 * MIB, 3599 * MIB, MIB, -1 },
		  0,
		  "web  running   50%  3.5 GiB of 7.0 GiB  1.0 MiB/s  left 59:59" },
		{ { "web", "preparing", -1, -1, -1, -1 }, 80, "web  preparing" },
		{ { "wéb", "preparing", -1, -1, -1, -1 }, 6, "wéb  p" },
		{ { "web", "running", 0, 0, 5, 5 }, 80, "web  running" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_TEXT struct text line = TEXT_EMPTY;

		progress_append(&cases[i].progress, cases[i].width, &line);
		assert_string_equal(line.data, cases[i].line);
		if (cases[i].width > 0)
			assert_true(table_text_width(line.data) <= cases[i].width);
	}
}

static void text_is_no_roff(void **state)
{
	static const struct {
		const char *words, *roff;
	} cases[] = {
		{ "plain", "plain\n" },
		{ ".SH \\fB--x' \"y\" `z` a^b~", "\\&.SH \\(rsfB\\-\\-x\\(aq \\(dqy\\(dq \\(gaz\\(ga a\\(hab\\(ti\n" },
		{ "'request", "\\(aqrequest\n" },
		{ "FILE… und „so“", "FILE\\[u2026] und \\[u201E]so\\[u201C]\n" },
		{ "߿ࠀ￿😀", "\\[u07FF]\\[u0800]\\[uFFFF]\\[u1F600]\n" },
		{ "a,b, c", "a,\\:b, c\n" },
		{ "One. Two", "One.\nTwo\n" },
		{ "\xff broken \xc3", "broken\n" },
		{ "  spaces   go ", "spaces go\n" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_TEXT struct text text = TEXT_EMPTY;

		roff_paragraph(cases[i].words, &text);
		assert_string_equal(text.data ? text.data : "", cases[i].roff);
	}
}

/* A line for a shell goes on behind a backslash, and is the same words when it is put together again. */
static void a_long_command_goes_on_in_the_next_line(void **state)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	(void)state;
	roff_verbatim("0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 .23456789 x",
		      &text);
	assert_string_equal(text.data, "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 \\\n"
				       "0123456789 .23456789 x\n");
	CLEANUP_TEXT struct text exact = TEXT_EMPTY;
	roff_verbatim("0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 012345678 .x", &exact);
	assert_string_equal(exact.data,
			    "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 012345678 \\\n"
			    "\\&.x\n");
	CLEANUP_TEXT struct text indented = TEXT_EMPTY;
	roff_verbatim(" 0123456789_0123456789_0123456789_0123456789_0123456789_0123456789_0123456789", &indented);
	assert_string_equal(indented.data,
			    " \\\n"
			    "0123456789_0123456789_0123456789_0123456789_0123456789_0123456789_0123456789\n");
}

static void more_that_remains_than_there_is_is_nothing_done(void **state)
{
	(void)state;
	assert_int_equal(progress_percent(&(struct progress){ .total = 10, .remaining = 25 }), 0);
	assert_int_equal(progress_percent(&(struct progress){ .total = 10, .remaining = 10 }), 0);
	assert_int_equal(progress_percent(&(struct progress){ .total = 10, .remaining = 0 }), 100);
	assert_int_equal(progress_percent(&(struct progress){ .total = 10, .remaining = -1 }), -1);
	assert_int_equal(progress_percent(&(struct progress){ .total = 0, .remaining = 0 }), -1);
}

static void lines_of_roff_are_short(void **state)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	char words[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(words) - 1; i++)
		words[i] = i % 7 == 6 ? ' ' : '-';
	words[sizeof(words) - 1] = '\0';
	roff_paragraph(words, &text);
	roff_verbatim(words, &text);
	for (const char *line = text.data; *line; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_read_by_the_rows),
		cmocka_unit_test(what_the_rows_do_not_take_is_refused),
		cmocka_unit_test(a_move_on_a_line_tells_what_is_known),
		cmocka_unit_test(text_is_no_roff),
		cmocka_unit_test(more_that_remains_than_there_is_is_nothing_done),
		cmocka_unit_test(a_long_command_goes_on_in_the_next_line),
		cmocka_unit_test(lines_of_roff_are_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
