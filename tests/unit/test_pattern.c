/* What patterns find, and that none of them costs more than its bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "api/pattern.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define SERVERS        5000
#define REQUEST_MS_MAX 50
#define REQUEST_BYTES  (8 * 1000 * 1000)
#define NAME_LENGTH    255

/* Hostile patterns are put together of a part that is repeated. */
struct hostile {
	const char *head;
	const char *repeated;
	const char *tail;
	int times;
	int tail_times;
};

static const struct hostile hostile[] = {
	{ "", "(", ")", 14000, 14000 },
	{ "", "(", "a)", PATTERN_NESTING_MAX, PATTERN_NESTING_MAX },
	{ "", "(", "a*)*", PATTERN_NESTING_MAX, PATTERN_NESTING_MAX },
	{ "", "[", "", 14000, 0 },
	{ "", "a", "", 100000, 0 },
	{ "((((a{1,255}){1,255}){1,255}){1,255})", "", "", 0, 0 },
	{ "(((a{1,100}){1,100}){1,100})", "", "", 0, 0 },
	{ "((a{1,50}){1,50})[^a]", "", "", 0, 0 },
	{ "(?:(?:(?:a?){0,9}){0,9}){0,9}[^a!]", "", "", 0, 0 },
	{ "", "(a*)*", "[^a!]", 1000, 1 },
	{ "", "(a*)*", "[^a!]", 800, 1 },
	{ "", "(a*)*", "[^a!]", 200, 1 },
	{ "", "(a*)*", "[^a!]", 2, 1 },
	{ "(a|aa)+[^a!]", "", "", 0, 0 },
	{ "", "(", "a*)*", 40, 40 },
	{ "", "a*", "[^a!]", 500, 1 },
	{ "", ".*", "[^a!]", 2000, 1 },
	{ "", "()", "(?:a|a)*[^a!]", 1700, 35 },
	{ "", "()\\1(a*)*", "[^a!]", 400, 1 },
	{ "", "(?=.*)", "[^a!]", 650, 1 },
	{ "", "(?!.*[^a!])", "[^a!]", 350, 1 },
	{ "", "[\\w\\d]{0,3}", "[^a!]", 300, 1 },
	{ "", ".*?", "[^a!]", 300, 1 },
	{ "", "\\w{0,255}", "[^a!]", 100, 1 },
	{ "", "[^x-z]{0,255}", "[^a!]", 70, 1 },
	{ "", "(?=.*)", "[^a!]", 160, 1 },
	{ "", "(?!.*[^a!])", "[^a!]", 90, 1 },
	{ "", "()", "(?:a|a)*[^a!]", 250, 35 },
	{ "", "(a?)\\1{0,65535}", "[^a!]", 60, 1 },
	{ "(?i)(.*)", "(.*)\\1", "[^a!]", 100, 1 },
	{ "(?i)", "(a?|[a-c]?)*", "[^a!]", 80, 1 },
	{ "", "(?:a|b|c|d|)*", "[^a!]", 75, 1 },
	{ "", "(?<=a)a*", "[^a!]", 120, 1 },
	{ "", "(?<=", "a)", PATTERN_NESTING_MAX, PATTERN_NESTING_MAX },
	{ "(?:a?){65535}", "", "", 0, 0 },
	{ "", "(?:", "a?){2}", 14, 14 },
	{ "(", "a?|", ")*[^a!]", 330, 1 },
	{ "(?s)", ".{1,65535}|", "[^a!]", 60, 1 },
};

static char *text_of(const struct hostile *parts)
{
	struct text text = TEXT_EMPTY;

	text_append(&text, parts->head);
	for (int i = 0; i < parts->times; i++)
		text_append(&text, parts->repeated);
	for (int i = 0; i < parts->tail_times; i++)
		text_append(&text, parts->tail);
	return text_take(&text);
}

static double thread_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* Searched in so many names, as one request does. */
static int search_in_servers(struct pattern_budget *budget, const char *text, const char *name, int servers)
{
	struct pattern *pattern = NULL;
	int result = pattern_compile(budget, text, strlen(text), &pattern);

	for (int i = 0; i < servers && result >= 0; i++)
		result = pattern_search(pattern, name);
	pattern_destroy(pattern);
	return result;
}

static void assert_bounded(const char *text, const char *name)
{
	struct pattern_budget budget = { 0 };
	double start_ms = thread_ms();
	int result = search_in_servers(&budget, text, name, SERVERS);
	double took_ms = thread_ms() - start_ms;

	if (took_ms > REQUEST_MS_MAX || budget.memory_peak > REQUEST_BYTES)
		fail_msg("%.60s: %.1f ms, %zu bytes", text, took_ms, budget.memory_peak);
	assert_true(result == 0 || result == 1 || result == -EINVAL);
	assert_int_equal(budget.memory, 0);
}

static void a_hostile_pattern_has_a_bound_over_all_servers(void **state)
{
	char name[NAME_LENGTH + 1];
	char wide[NAME_LENGTH + 1];

	(void)state;
	memset(name, 'a', NAME_LENGTH - 1);
	strcpy(name + NAME_LENGTH - 1, "!");
	for (size_t i = 0; i + 2 < sizeof(wide); i += 2)
		strcpy(wide + i, "\xc3\xa9");
	for (size_t i = 0; i < ARRAY_LENGTH(hostile); i++) {
		CLEANUP_FREE char *text = text_of(&hostile[i]);

		assert_non_null(text);
		assert_bounded(text, name);
		assert_bounded(text, wide);
		assert_bounded(text, "a");
	}
}

struct example {
	const char *pattern;
	const char *text;
	int result; /* of the search; -EINVAL: of the compilation */
};

static const struct example examples[] = {
	{ "vm", "a vm-one", 1 },
	{ "^vm", "a vm-one", 0 },
	{ "vm.one$", "vm-one", 1 },
	{ "vm_one", "vm-one", 0 },
	{ "VM", "vm-one", 0 },
	{ "(?i)VM", "vm-one", 1 },
	{ "(?i:V)m", "vm-one", 1 },
	{ "(?s-i)v", "vm", 1 },
	{ "a{2", "a{2", 1 },
	{ "x|vm-(one|two)", "vm-two", 1 },
	{ "[[:alpha:]]{2}-[[:digit:]]+", "vm-17", 1 },
	{ "[]a]+[^]]", "]b", 1 },
	{ "[(*?R]", "a*", 1 },
	{ "^[](?R)]$", "R", 1 },
	{ "^[^](?R)]$", "R", 0 },
	{ "^[[:alpha:](?R]$", "(", 1 },
	{ "(?i-s:V)M", "vM", 1 },
	{ "(?-i:V)", "v", 0 },
	{ "[\\]\\w]", "]", 1 },
	{ "\\bone\\b", "vm-one", 1 },
	{ "(.)\\1", "vmm", 1 },
	{ "(?P<twice>o)n(?P=twice)", "ono", 1 },
	{ "vm-(?!one)", "vm-one", 0 },
	{ "(?<=vm-)one", "vm-one", 1 },
	{ "10\\.0\\.0\\.", "10.0.0.7", 1 },
	{ "a(?#any)b", "ab", 1 },
	/* What neither knows. */
	{ "(", "", -EINVAL },
	{ ")", "", -EINVAL },
	{ "[", "", -EINVAL },
	{ "*", "", -EINVAL },
	{ "a\\", "", -EINVAL },
	{ "(?", "", -EINVAL },
	/* What only PCRE2 knows. */
	{ "(*LIMIT_MATCH=4000000000)vm", "", -EINVAL },
	{ "(*LIMIT_DEPTH=4000000000)(*LIMIT_HEAP=4000000000)vm", "", -EINVAL },
	{ "(*UTF)(*UCP)vm", "", -EINVAL },
	{ "(*NO_JIT)vm", "", -EINVAL },
	{ "a(*COMMIT)b", "", -EINVAL },
	{ "(*pla:vm)", "", -EINVAL },
	{ "vm(?C)", "", -EINVAL },
	{ "vm(?C1)", "", -EINVAL },
	{ "vm(?C'text')", "", -EINVAL },
	{ "(?R)?vm", "", -EINVAL },
	{ "(a(?1)?)", "", -EINVAL },
	{ "(?P<x>a(?P>x)?)", "", -EINVAL },
	{ "(?<x>a(?&x)?)", "", -EINVAL },
	{ "(a)?(?(1)b|c)", "", -EINVAL },
	{ "(?(DEFINE)a)vm", "", -EINVAL },
	{ "(?|a|b)", "", -EINVAL },
	{ "(?J)vm", "", -EINVAL },
	{ "(?^)vm", "", -EINVAL },
	{ "(?)vm", "", -EINVAL },
	{ "(?iJ)vm", "", -EINVAL },
	{ "(?i-J:v)m", "", -EINVAL },
	{ "\\Cm", "", -EINVAL },
	/* Also behind a set, which ends at its first bracket, but for a class in it. */
	{ "[[a](?R):]", "", -EINVAL },
	{ "[x:](?R)?", "", -EINVAL },
	{ "[[:alpha:]](?R)?", "", -EINVAL },
	{ "[^^](?R)?", "", -EINVAL },
	{ "[\\]](?R)?", "", -EINVAL },
	{ "v\\Km", "", -EINVAL },
	{ "\\p{Lu}", "", -EINVAL },
	{ "[\\p{Lu}]", "", -EINVAL },
	{ "\\X", "", -EINVAL },
	{ "(a)\\g{1}", "", -EINVAL },
	{ "\\Q(*\\E", "", -EINVAL },
	/* Letters are those of Unicode; what is not UTF-8 neither matches nor hides the rest. */
	{ "^\xc3.$", "\xc3\xa9", -EINVAL },
	{ "^.$", "\xc3\xa9", 1 },
	{ "^\\w$", "\xc3\xa9", 1 },
	{ "(?i)\xc3\x89", "\xc3\xa9", 1 },
	{ "vm", "\xff\xfevm\xc3", 1 },
	{ "^vm", "vm\xff", 1 },
	{ "\xc3\xa9", "\xff\xc3", 0 },
	{ ".", "\xff", 0 },
	{ "\xff", "\xff", -EINVAL },
	{ "\xed\xa0\x80", "", -EINVAL },
};

static void a_pattern_finds_what_nova_finds(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(examples); i++) {
		const struct example *example = &examples[i];
		struct pattern_budget budget = { 0 };
		int result = search_in_servers(&budget, example->pattern, example->text, 1);

		if (result != example->result)
			fail_msg("%s in %s: %d", example->pattern, example->text, result);
	}
}

static void a_nul_in_a_pattern_ends_nothing(void **state)
{
	struct pattern_budget budget = { 0 };
	struct pattern *pattern = NULL;

	(void)state;
	assert_int_equal(pattern_compile(&budget, "vm\0x", 4, &pattern), 0);
	assert_int_equal(pattern_search(pattern, "vm"), 0);
	pattern_destroy(pattern);
	pattern = NULL;
	assert_int_equal(pattern_compile(&budget, "vm\0(", 4, &pattern), -EINVAL);
	assert_null(pattern);
}

/* Each alone may be cheap: the request's own time is what counts. */
static void the_patterns_of_a_request_share_one_budget(void **state)
{
	struct pattern_budget budget = { 0 };
	double start_ms = thread_ms();
	int result = 0;

	(void)state;
	for (int i = 0; i < 100000 && result == 0; i++)
		result = search_in_servers(&budget, "(?:a*)*[^a!]", "aaaaaaaa!", 1);
	assert_int_equal(result, -EINVAL);
	assert_true(thread_ms() - start_ms < REQUEST_MS_MAX);
	assert_int_equal(search_in_servers(&budget, "a", "a", 1), -EINVAL);
}

/* A list of names in one pattern, and what people write who mean "anything": over all servers, with time to spare. */
static void an_ordinary_pattern_is_far_from_the_bound(void **state)
{
	static const char *const ordinary[] = {
		"vm", ".*vm.*", "^vm-[0-9]+$", ".*", "(one|two|three)$", "(?i)VM.*one.*two", "^(?:[a-z]+-)+one$"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ordinary); i++) {
		struct pattern_budget budget = { 0 };
		int result = search_in_servers(&budget, ordinary[i], "vm-production-database-one", SERVERS);

		if (result < 0 || budget.used_ns > (int64_t)PATTERN_TIME_MAX_US * 1000 * 2 / 3)
			fail_msg("%s: %d after %lld ns", ordinary[i], result, (long long)budget.used_ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pattern_finds_what_nova_finds),
		cmocka_unit_test(a_nul_in_a_pattern_ends_nothing),
		cmocka_unit_test(a_hostile_pattern_has_a_bound_over_all_servers),
		cmocka_unit_test(the_patterns_of_a_request_share_one_budget),
		cmocka_unit_test(an_ordinary_pattern_is_far_from_the_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
