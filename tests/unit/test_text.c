/* Texts: what is UTF-8, what is a number, what is a UUID, and that nothing is written beyond a buffer or cut within a character. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "base/uuid.h"

struct bytes {
	const char *bytes;
	size_t length;
};

#define BYTES(literal)                                                                                                 \
	{                                                                                                              \
		(literal), sizeof(literal) - 1                                                                         \
	}

/* The first and the last character of each length, and of each range that a surrogate or an overlong form borders on. */
static const struct bytes characters[] = {
	BYTES("\0"),
	BYTES("a"),
	BYTES("\x7f"),
	BYTES("\xc2\x80"), /* U+0080 */
	BYTES("\xdf\xbf"), /* U+07FF */
	BYTES("\xe0\xa0\x80"), /* U+0800 */
	BYTES("\xe0\xbf\xbf"), /* U+0FFF */
	BYTES("\xed\x9f\xbf"), /* U+D7FF */
	BYTES("\xee\x80\x80"), /* U+E000 */
	BYTES("\xef\xbf\xbf"), /* U+FFFF */
	BYTES("\xf0\x90\x80\x80"), /* U+10000 */
	BYTES("\xf3\xbf\xbf\xbf"), /* U+FFFFF */
	BYTES("\xf4\x8f\xbf\xbf"), /* U+10FFFF */
};

static const struct bytes no_characters[] = {
	BYTES("\x80"),
	BYTES("\xbf"), /* no lead */
	BYTES("\xc0\x80"),
	BYTES("\xc1\xbf"),
	BYTES("\xe0\x80\x80"),
	BYTES("\xe0\x9f\xbf"),
	BYTES("\xf0\x80\x80\x80"),
	BYTES("\xf0\x8f\xbf\xbf"), /* overlong */
	BYTES("\xed\xa0\x80"),
	BYTES("\xed\xbf\xbf"), /* surrogates */
	BYTES("\xf4\x90\x80\x80"),
	BYTES("\xf5\x80\x80\x80"), /* beyond U+10FFFF */
	BYTES("\xf8\x88\x80\x80\x80"),
	BYTES("\xfe"),
	BYTES("\xff"),
	BYTES("\xc2"),
	BYTES("\xe2\x82"),
	BYTES("\xe2"),
	BYTES("\xf0\x9f\x98"), /* cut off */
	BYTES("\xc2\x7f"),
	BYTES("\xc2\xc0"),
	BYTES("\xe2\x41\xac"),
	BYTES("\xe2\x82\x41"),
	BYTES("\xf0\x41\x98\x80"),
	BYTES("\xf0\x9f\x41\x80"),
	BYTES("\xf0\x9f\x98\xc0"), /* another byte where one of the character's is due */
};

static void join(const struct bytes *first, const struct bytes *second, struct text *ret_text)
{
	text_append_bytes(ret_text, first->bytes, first->length);
	text_append_bytes(ret_text, second->bytes, second->length);
}

static void characters_at_the_edges_of_their_ranges_are_utf8(void **state)
{
	(void)state;
	assert_true(text_is_utf8("", 0));
	for (size_t i = 0; i < ARRAY_LENGTH(characters); i++)
		for (size_t j = 0; j < ARRAY_LENGTH(characters); j++) {
			CLEANUP_TEXT struct text both = TEXT_EMPTY;

			join(&characters[i], &characters[j], &both);
			assert_true(text_is_utf8(characters[i].bytes, characters[i].length));
			assert_true(text_is_utf8(both.data, both.length));
		}
}

static void overlong_forms_surrogates_and_broken_characters_are_no_utf8(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(no_characters); i++) {
		const struct bytes *bad = &no_characters[i];

		if (text_is_utf8(bad->bytes, bad->length))
			fail_msg("row %zu is taken for UTF-8", i);
		for (size_t j = 0; j < ARRAY_LENGTH(characters); j++) {
			CLEANUP_TEXT struct text before = TEXT_EMPTY, behind = TEXT_EMPTY;

			join(&characters[j], bad, &before);
			join(bad, &characters[j], &behind);
			assert_false(text_is_utf8(before.data, before.length));
			assert_false(text_is_utf8(behind.data, behind.length));
		}
	}
}

/* Once with the byte behind the end that would make it whole, once with nothing there that could be read. */
static void a_character_that_the_length_cuts_off_is_no_utf8(void **state)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(pages != MAP_FAILED);
	assert_int_equal(mprotect(pages + size, size, PROT_NONE), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(characters); i++)
		for (size_t length = 1; length < characters[i].length; length++) {
			char *last = pages + size - length;

			memcpy(last, characters[i].bytes, length);
			assert_false(text_is_utf8(characters[i].bytes, length));
			assert_false(text_is_utf8(last, length));
		}
	munmap(pages, 2 * size);
}

static void any_bytes_can_be_told_as_utf8(void **state)
{
	CLEANUP_TEXT struct text latin = TEXT_EMPTY, kept = TEXT_EMPTY;

	(void)state;
	text_append_as_utf8(&latin, "caf\xe9 \x80\xff~\x7f");
	assert_string_equal(latin.data, "caf\xc3\xa9 \xc2\x80\xc3\xbf~\x7f");
	text_append_as_utf8(&kept, "caf\xc3\xa9 \xe2\x82\xac");
	assert_string_equal(kept.data, "caf\xc3\xa9 \xe2\x82\xac");
	for (size_t i = 0; i < ARRAY_LENGTH(no_characters); i++) {
		CLEANUP_TEXT struct text readable = TEXT_EMPTY;

		text_append_as_utf8(&readable, no_characters[i].bytes);
		assert_true(readable.length > 0 && text_is_utf8(readable.data, readable.length));
	}
}

static void a_whole_number_is_read_up_to_both_ends_of_64_bits(void **state)
{
	static const struct {
		const char *text;
		int64_t number;
	} numbers[] = {
		{ "0", 0 },
		{ "-0", 0 },
		{ "7", 7 },
		{ "007", 7 },
		{ "010", 10 },
		{ "-12", -12 },
		{ "00000000000000000000000000000042", 42 },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		int64_t number = 99;

		errno = ERANGE; /* of something else */
		if (!text_to_int64(numbers[i].text, INT64_MIN, INT64_MAX, &number))
			fail_msg("\"%s\" is not read", numbers[i].text);
		assert_int_equal(number, numbers[i].number);
	}
}

static void what_is_no_whole_number_is_refused_and_changes_nothing(void **state)
{
	static const char *const texts[] = { "",
					     "-",
					     "+",
					     "+1",
					     " 1",
					     "1 ",
					     "\t1",
					     "1\n",
					     "- 1",
					     "--1",
					     "-+1",
					     "0x10",
					     "1e3",
					     "1.0",
					     "1,0",
					     "1_0",
					     "a",
					     "1a",
					     "/",
					     ":",
					     "-:",
					     "null",
					     "true",
					     "inf",
					     "0b1",
					     "\xd9\xa3",
					     "9223372036854775808",
					     "-9223372036854775809",
					     "18446744073709551617",
					     "99999999999999999999999" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		int64_t number = 99;

		if (text_to_int64(texts[i], INT64_MIN, INT64_MAX, &number))
			fail_msg("\"%s\" is read as %lld", texts[i], (long long)number);
		assert_int_equal(number, 99);
	}
}

static void both_ends_of_a_numbers_range_belong_to_it(void **state)
{
	int64_t number = 99;

	(void)state;
	assert_false(text_to_int64("-4", -3, 5, &number));
	assert_false(text_to_int64("6", -3, 5, &number));
	assert_int_equal(number, 99);
	assert_true(text_to_int64("-3", -3, 5, &number));
	assert_int_equal(number, -3);
	assert_true(text_to_int64("5", -3, 5, &number));
	assert_int_equal(number, 5);
}

static void a_copy_that_does_not_fit_is_cut_and_said_so(void **state)
{
	char four[] = { 'x', 'x', 'x', 'x', '!' }; /* the last is not the target's */

	(void)state;
	assert_true(text_copy(four, 4, "abc"));
	assert_string_equal(four, "abc");
	assert_false(text_copy(four, 4, "defg"));
	assert_string_equal(four, "def");
	assert_true(text_copy(four, 4, ""));
	assert_string_equal(four, "");
	assert_false(text_copy(four, 1, "h"));
	assert_string_equal(four, "");
	four[0] = 'x';
	assert_false(text_copy(four, 0, ""));
	assert_int_equal(four[0], 'x');
	assert_int_equal(four[4], '!');
}

static void a_text_grows_as_it_needs_and_stays_terminated(void **state)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	size_t length = 0;

	(void)state;
	for (int i = 0; i < 300; i++) {
		text_append_format(&text, "%c", 'a' + i % 26);
		text_append_bytes(&text, "-\0-", (size_t)(i % 4));
		length += 1 + (size_t)(i % 4);
		assert_int_equal(text.length, length);
		assert_true(text.length < text.capacity);
		assert_int_equal(text.data[text.length], '\0');
	}
	CLEANUP_FREE char *taken = text_take(&text);
	assert_int_equal(taken[length], '\0');
	assert_null(text.data);
	CLEANUP_FREE char *nothing = text_take(&text);
	assert_string_equal(nothing, "");
}

static void a_text_that_cannot_grow_is_failed_from_then_on(void **state)
{
	volatile size_t lengths[] = { SIZE_MAX, SIZE_MAX - 2, SIZE_MAX / 2 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
		CLEANUP_TEXT struct text text = TEXT_EMPTY;
		size_t length = lengths[i];

		text_append(&text, "ab");
		text_append_bytes(&text, "", length);
		assert_true(text_failed(&text));
		text_append(&text, "c");
		assert_int_equal(text.length, 2);
		assert_null(text_take(&text));
		assert_false(text_failed(&text));
	}
}

static void the_beginning_and_the_end_of_a_text_are_compared_whole(void **state)
{
	(void)state;
	assert_true(text_starts_with("abc", "ab") && text_starts_with("ab", "ab") && text_starts_with("a", ""));
	assert_false(text_starts_with("ab", "abc") || text_starts_with("xab", "ab"));
	assert_true(text_ends_with("abc", "bc") && text_ends_with("bc", "bc") && text_ends_with("a", ""));
	assert_false(text_ends_with("bc", "abc") || text_ends_with("bcx", "bc") || text_ends_with("", "a"));
	assert_true(text_equal("a", "a") && text_equal(NULL, NULL));
	assert_false(text_equal("a", "b") || text_equal("a", NULL) || text_equal(NULL, "a"));
}

static void slips_of_one_letter_are_counted_up_to_three(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		unsigned int distance;
	} rows[] = {
		{ "", "", 0 },
		{ "port", "port", 0 },
		{ "port", "prt", 1 },
		{ "port", "pourt", 1 },
		{ "port", "pert", 1 },
		{ "port", "prot", 1 },
		{ "port", "pr", 2 },
		{ "port", "rpot", 2 },
		{ "port", "p", 3 },
		{ "port", "", 3 },
		{ "port", "listener", 3 },
		{ "0123456789012345678901234567890123456789012345678901234567890123", /* 64 letters */
		  "0123456789012345678901234567890123456789012345678901234567890123", 3 },
		{ "012345678901234567890123456789012345678901234567890123456789012",
		  "012345678901234567890123456789012345678901234567890123456789012", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(text_distance(rows[i].a, rows[i].b), rows[i].distance);
		assert_int_equal(text_distance(rows[i].b, rows[i].a), rows[i].distance);
	}
}

static void bytes_are_told_in_lower_case_digits(void **state)
{
	char hex[11] = "##########";

	(void)state;
	text_hex("\x00\x0f\xa0\xff", 4, hex);
	assert_string_equal(hex, "000fa0ff");
	assert_int_equal(hex[9], '#');
}

static void a_uuid_has_its_dashes_and_digits_and_nothing_more(void **state)
{
	static const char *const good[] = { "00000000-0000-0000-0000-000000000000",
					    "0123abcd-ef45-6789-abcd-ef0123456789",
					    "0123ABCD-EF45-6789-aBcD-EF0123456789" };
	static const char *const bad[] = {
		"",
		"0123abcd-ef45-6789-abcd-ef012345678",
		"0123abcd-ef45-6789-abcd-ef01234567890",
		"0123abcd-ef45-6789-abcd-ef0123456789 ",
		" 0123abcd-ef45-6789-abcd-ef0123456789",
		"0123abcdef456789abcdef0123456789",
		"{0123abcd-ef45-6789-abcd-ef0123456789}",
		"urn:uuid:0123abcd-ef45-6789-abcd-ef0123456789",
		"0123abc-def45-6789-abcd-ef0123456789",
		"0123abcd-ef4-56789-abcd-ef0123456789",
		"0123abcd-ef45-678-9abcd-ef0123456789",
		"0123abcd-ef45-6789-abc-def0123456789",
		"0123abcd0ef45-6789-abcd-ef0123456789",
		"0123abcd-ef45-6789-abcd-ef012345678g",
		"G123abcd-ef45-6789-abcd-ef0123456789",
		"0123abcd-ef45-6789-abcd-ef012345678/", /* the neighbours of the digits and of both cases */
		"0123abcd-ef45-6789-abcd-ef012345678:",
		"0123abcd-ef45-6789-abcd-ef012345678@",
		"0123abcd-ef45-6789-abcd-ef012345678`",
		"0123abcd-ef45-6789-abcd-ef012345678-",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		assert_true(uuid_is_valid(good[i]));
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		if (uuid_is_valid(bad[i]))
			fail_msg("\"%s\" is taken for a UUID", bad[i]);
}

static void a_made_uuid_is_a_random_one_of_version_4(void **state)
{
	char first[UUID_SIZE], second[UUID_SIZE], request[REQUEST_ID_SIZE];

	(void)state;
	for (int i = 0; i < 64; i++) { /* the marked digits would come right by chance now and then */
		uuid_make(first);
		assert_true(uuid_is_valid(first));
		assert_int_equal(first[14], '4');
		assert_non_null(strchr("89ab", first[19]));
	}
	uuid_make(second);
	assert_string_not_equal(first, second);
	request_id_make(request);
	assert_true(text_starts_with(request, "req-") && uuid_is_valid(request + 4));
}

/* Before a character of each length, so that the end falls on each of its bytes. */
static void a_message_that_is_too_long_is_cut_at_a_whole_character(void **state)
{
	static const char *const letters[] = { "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(letters); i++)
		for (size_t shift = 0; shift < 4; shift++) {
			CLEANUP_TEXT struct text words = TEXT_EMPTY;
			struct error set = { 0 }, wrapped = { 0 };

			text_append_bytes(&words, "....", shift);
			while (words.length < ERROR_TEXT_SIZE + 8)
				text_append(&words, letters[i]);
			assert_int_equal(error_set(&set, EINVAL, "%s", words.data), -EINVAL);
			assert_true(text_is_utf8(set.text, strlen(set.text)));
			assert_true(strlen(set.text) > ERROR_TEXT_SIZE - 1 - 5);
			words.data[ERROR_TEXT_SIZE - 16] = '\0';
			error_set(&wrapped, ENOENT, "%s",
				  text_is_utf8(words.data, strlen(words.data)) ? words.data : "a");
			assert_int_equal(error_wrap(&wrapped, "%s", set.text + shift), -ENOENT);
			assert_true(text_is_utf8(wrapped.text, strlen(wrapped.text)));
			wrapped = set;
			assert_int_equal(error_wrap(&wrapped, "file %s", "x"), -EINVAL);
			assert_true(text_starts_with(wrapped.text, "file x: "));
			assert_true(text_is_utf8(wrapped.text, strlen(wrapped.text)));
		}
}

static void an_error_keeps_its_number_and_tells_the_systems_words(void **state)
{
	struct error error = { 0 };

	(void)state;
	assert_int_equal(error_set_errno(&error, ENOENT, "cannot open %s", "x"), -ENOENT);
	assert_string_equal(error.text, "cannot open x: No such file or directory");
	assert_int_equal(error_wrap(&error, "host"), -ENOENT);
	assert_string_equal(error.text, "host: cannot open x: No such file or directory");
	assert_int_equal(error_no_memory(&error), -ENOMEM);
	error_clear(&error);
	assert_int_equal(error.code, 0);
	assert_string_equal(error.text, "");
	assert_int_equal(error_wrap(&error, "nothing"), -EIO);
	assert_int_equal(error_set(NULL, EBUSY, "x"), -EBUSY);
	assert_int_equal(error_set_errno(NULL, EBUSY, "x"), -EBUSY);
	assert_int_equal(error_wrap(NULL, "x"), -EIO);
	error_clear(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters_at_the_edges_of_their_ranges_are_utf8),
		cmocka_unit_test(overlong_forms_surrogates_and_broken_characters_are_no_utf8),
		cmocka_unit_test(a_character_that_the_length_cuts_off_is_no_utf8),
		cmocka_unit_test(any_bytes_can_be_told_as_utf8),
		cmocka_unit_test(a_whole_number_is_read_up_to_both_ends_of_64_bits),
		cmocka_unit_test(what_is_no_whole_number_is_refused_and_changes_nothing),
		cmocka_unit_test(both_ends_of_a_numbers_range_belong_to_it),
		cmocka_unit_test(a_copy_that_does_not_fit_is_cut_and_said_so),
		cmocka_unit_test(a_text_grows_as_it_needs_and_stays_terminated),
		cmocka_unit_test(a_text_that_cannot_grow_is_failed_from_then_on),
		cmocka_unit_test(the_beginning_and_the_end_of_a_text_are_compared_whole),
		cmocka_unit_test(slips_of_one_letter_are_counted_up_to_three),
		cmocka_unit_test(bytes_are_told_in_lower_case_digits),
		cmocka_unit_test(a_uuid_has_its_dashes_and_digits_and_nothing_more),
		cmocka_unit_test(a_made_uuid_is_a_random_one_of_version_4),
		cmocka_unit_test(a_message_that_is_too_long_is_cut_at_a_whole_character),
		cmocka_unit_test(an_error_keeps_its_number_and_tells_the_systems_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
