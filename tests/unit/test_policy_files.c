/* Policies in files beside the configuration: which files count, in which order, and that one that is wrong is refused with the
 * whole configuration, so that what held before goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/config.h"
#include "tests/unit/config_fixture.h"

static void make_directory(const struct place *place, const char *name)
{
	CLEANUP_FREE char *path = text_format("%s/%s", place->directory, name);

	assert_int_equal(mkdir(path, 0755), 0);
}

static void put(const struct place *place, const char *name, const char *content)
{
	free(write_file(place, name, content));
}

static void link_to(const struct place *place, const char *target, const char *name)
{
	CLEANUP_FREE char *path = text_format("%s/%s", place->directory, name);

	assert_int_equal(symlink(target, path), 0);
}

/* The rules in the order in which they count, each as "NAME=VALUE ". */
static void assert_rules(const struct config *config, const char *wanted)
{
	CLEANUP_TEXT struct text found = TEXT_EMPTY;

	text_append(&found, "");
	for (size_t i = 0; i < config->policy.override_count; i++)
		text_append_format(&found, "%s=%s ", config->policy.overrides[i].name,
				   json_string_value(config->policy.overrides[i].value));
	assert_string_equal(found.data, wanted);
}

static void a_word_that_only_begins_as_a_number_is_a_text(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };

	read_good(*state, AUTH "policy: {rules: {a: 1.5x, b: 1e5, c: '1.5', d: 7x, e: truer}}\n", &config);
	assert_rules(&config, "a=1.5x b=1e5 c=1.5 d=7x e=truer ");
	expect_problems(*state, AUTH "policy: {rules: {a: 1.5}}\n",
			"c.yaml:2: policy a: its value is no rule: give a text or a list\n");
}

static void later_files_of_a_directory_count_over_earlier_ones_by_their_names(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };

	make_directory(*state, "policy.d");
	put(*state, "policy.yaml", "a: role:beside\n");
	put(*state, "policy.d/9.yaml", "a: role:nine\n"); /* made first, so that a directory's own order shows */
	put(*state, "policy.d/a.yaml", "a: role:small\n");
	put(*state, "policy.d/B.yaml", "a: role:big\n");
	put(*state, "policy.d/10.yaml", "a: role:ten\nb: role:ten\n");
	put(*state, "policy.d/_.yaml", "a: role:low\n");
	read_good(*state, AUTH "policy: {rules: {a: 'role:own'}}\n", &config);
	assert_rules(&config,
		     "a=role:own a=role:beside a=role:ten b=role:ten a=role:nine a=role:big a=role:low a=role:small ");
}

static void directories_count_in_the_order_in_which_they_are_named(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };

	make_directory(*state, "policy.d"); /* beside the configuration, but others are named */
	make_directory(*state, "first.d");
	make_directory(*state, "second.d");
	put(*state, "policy.d/a.yaml", "a: role:beside\n");
	put(*state, "first.d/z.yaml", "a: role:first\n");
	put(*state, "second.d/a.yaml", "a: role:second\n");
	read_good(*state, AUTH "policy: {dirs: [second.d, first.d]}\n", &config);
	assert_rules(&config, "a=role:second a=role:first ");
}

static void files_count_whatever_they_are_called_but_hidden_ones_and_directories_do_not(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };

	make_directory(*state, "policy.d");
	make_directory(*state, "policy.d/deep");
	make_directory(*state, "elsewhere");
	put(*state, "policy.d/deep/a.yaml", "deep: role:x\n");
	put(*state, "policy.d/.a.yaml", "hidden: role:x\n");
	put(*state, "elsewhere/b.yaml", "linked: role:x\n");
	put(*state, "policy.d/README", "plain: role:x\n");
	put(*state, "policy.d/a.json", "{\"json\": \"role:x\"}\n");
	put(*state, "policy.d/a.yaml~", "saved: role:x\n");
	put(*state, "policy.d/empty", "");
	put(*state, "policy.d/remark", "# nothing\n");
	link_to(*state, "../elsewhere/b.yaml", "policy.d/link");
	link_to(*state, "../elsewhere", "policy.d/folder");
	link_to(*state, "../elsewhere", "policy.d/..data"); /* as Kubernetes mounts its maps */
	link_to(*state, "nowhere", "policy.d/.gone");
	read_good(*state, AUTH, &config);
	assert_rules(&config, "plain=role:x json=role:x saved=role:x linked=role:x ");
}

static void nothing_beside_the_configuration_is_no_fault(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_CONFIG struct config empty = { 0 };

	read_good(*state, AUTH, &config);
	assert_rules(&config, "");
	assert_null(config.policy_file);
	make_directory(*state, "policy.d");
	read_good(*state, AUTH, &empty);
	assert_rules(&empty, "");
}

/* A file in the middle of being written may be any beginning of it. */
static void a_file_that_is_half_written_refuses_all(void **state)
{
	static const struct {
		const char *content;
		const char *problem;
	} rows[] = {
		{ "a: 'role:x", "policy.d/b.yaml:1: this is not YAML: found unexpected end of stream\n" },
		{ "a: [role:x", "policy.d/b.yaml:2: this is not YAML: did not find expected ',' or ']'\n" },
		{ "a: role:x\nb", "policy.d/b.yaml:3: this is not YAML: could not find expected ':'\n" },
		{ "a", "policy.d/b.yaml:1: expected a mapping of policies to rules, found something else\n" },
		{ "- a\n", "policy.d/b.yaml:1: expected a mapping of policies to rules, found something else\n" },
		{ "a: role:x\n---\nb: role:x\n",
		  "policy.d/b.yaml:3: a policy file has one mapping of names to rules\n" },
		{ "a: role:x\na: role:y\n", "policy.d/b.yaml:2: \"a\" is set a second time, first in line 1\n" },
		{ "a: role:x\nb: \xff\n", "policy.d/b.yaml:2: this is not YAML: invalid leading UTF-8 octet\n" },
		{ "a: \"role:\\0x\"\n", "policy.d/b.yaml:1: a text has a zero byte in it\n" },
		{ "a: 5\n", "policy.d/b.yaml:1: policy a: its value is no rule: give a text or a list\n" },
	};
	CLEANUP_CONFIG struct config config = { 0 };

	make_directory(*state, "policy.d");
	put(*state, "policy.d/a.yaml", "a: role:good\n");
	put(*state, "policy.d/c.yaml", "c: role:good\n");
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		put(*state, "policy.d/b.yaml", rows[i].content);
		expect_problems(*state, AUTH, rows[i].problem);
	}
	put(*state, "policy.d/b.yaml", "a: role:x\n");
	read_good(*state, AUTH, &config);
	assert_rules(&config, "a=role:good a=role:x c=role:good ");
}

/* A list of so many texts, by a list that is used again and again. */
static void append_list(struct text *text, int tens, int ones)
{
	text_append(text, "x: &ten [role:a, role:a, role:a, role:a, role:a, role:a, role:a, role:a, role:a]\ny: [");
	for (int i = 0; i < tens; i++)
		text_append(text, "*ten, ");
	for (int i = 0; i < ones; i++)
		text_append(text, "role:a, ");
	text_append(text, "]\n");
}

/* Which a reader of small files can be made to work out at great length. */
static void a_rule_of_more_than_ten_thousand_values_is_refused(void **state)
{
	make_directory(*state, "policy.d");
	for (int ones = 9; ones <= 10; ones++) { /* with the list itself, and nine and one of each ten */
		CLEANUP_CONFIG struct config config = { 0 };
		CLEANUP_TEXT struct text text = TEXT_EMPTY;

		append_list(&text, 999, ones);
		put(*state, "policy.d/a", text.data);
		if (ones == 9)
			read_good(*state, AUTH, &config);
		else
			expect_problems(*state, AUTH, "policy.d/a:2: the rule \"y\" has too many values\n");
	}
}

static void what_cannot_be_read_refuses_all(void **state)
{
	make_directory(*state, "policy.d");
	link_to(*state, "nowhere", "policy.d/gone");
	expect_problems(*state, AUTH, "c.yaml:1: policy.dirs: cannot read policy.d/gone: No such file or directory\n");
	expect_problems(*state, AUTH "policy:\n  dirs: [none.d]\n",
			"c.yaml:3: policy.dirs: cannot read none.d: No such file or directory\n");
	expect_problems(*state, AUTH "policy:\n  dirs: c.yaml\n",
			"c.yaml:3: policy.dirs: cannot read c.yaml: Not a directory\n");
	expect_problems(*state, AUTH "policy:\n  dirs: []\n  file: none.yaml\n",
			"c.yaml:4: policy.file: cannot read none.yaml: No such file or directory\n");
}

static void a_policy_directory_that_is_a_file_refuses_all(void **state)
{
	put(*state, "policy.d", "a: role:x\n");
	expect_problems(*state, AUTH, "c.yaml:1: policy.dirs: cannot read policy.d: Not a directory\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, config_fixture_setup, config_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_word_that_only_begins_as_a_number_is_a_text),
		TEST(later_files_of_a_directory_count_over_earlier_ones_by_their_names),
		TEST(directories_count_in_the_order_in_which_they_are_named),
		TEST(files_count_whatever_they_are_called_but_hidden_ones_and_directories_do_not),
		TEST(nothing_beside_the_configuration_is_no_fault),
		TEST(a_file_that_is_half_written_refuses_all),
		TEST(a_rule_of_more_than_ten_thousand_values_is_refused),
		TEST(what_cannot_be_read_refuses_all),
		TEST(a_policy_directory_that_is_a_file_refuses_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
