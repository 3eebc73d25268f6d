/* What an operator is told about a rule that is not understood, or that can never grant, with its cause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "policy_fixture.h"

static void a_check_that_can_never_grant_is_told_with_its_cause(void **state)
{
	static const struct told rows[] = {
		{ { { "move", "\"role:\"" } },
		  "f:1: policy move: the check \"role:\" can never grant: behind the colon stands no role\n",
		  "f:1: policy move: the check \"role:\" can never grant: behind the colon stands no role; to let "
		  "nobody do it, write \"!\"\n" },
		{ { { "move", "\"role: or role:a\"" } },
		  "f:1: policy move: the check \"role:\" can never grant: behind the colon stands no role\n",
		  "" },
		{ { { "move", "\"not role:\"" } },
		  "f:1: policy move: the check \"role:\" can never grant: behind the colon stands no role\n",
		  "" },
		{ { { "move", "\"1x:y\"" } },
		  "f:1: policy move: the check \"1x:y\" can never grant: before the colon stands no valid number\n",
		  "f:1: policy move: the check \"1x:y\" can never grant: before the colon stands no valid number; to "
		  "let nobody do it, write \"!\"\n" },
		{ { { "move", "\"user_id:%(a)\"" } },
		  "f:1: policy move: the check \"user_id:%(a\" can never grant: behind the colon stands incomplete "
		  "format key\n"
		  "f:1: policy move: the rule \"user_id:%(a)\" is not understood and always refuses: of its brackets 0 "
		  "open and 1 close\n",
		  "f:1: policy move: the rule \"user_id:%(a)\" is not understood and always refuses: of its brackets 0 "
		  "open and 1 close; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"user_id:%(a)z or role:a\"" } },
		  "f:1: policy move: the check \"user_id:%(a)z\" can never grant: behind the colon stands unsupported "
		  "format character\n",
		  "" },
		{ { { "move", "\"not user_id:%(a)z\"" } },
		  "f:1: policy move: the check \"user_id:%(a)z\" can never grant: behind the colon stands unsupported "
		  "format character\n",
		  "f:1: policy move: the check \"user_id:%(a)z\" can never grant: behind the colon stands unsupported "
		  "format character; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"1x:%(a)z\"" } },
		  "f:1: policy move: the check \"1x:%(a)z\" can never grant: before the colon stands no valid number\n"
		  "f:1: policy move: the check \"1x:%(a)z\" can never grant: behind the colon stands unsupported "
		  "format character\n",
		  "f:1: policy move: the check \"1x:%(a)z\" can never grant: behind the colon stands unsupported "
		  "format character; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"http://a\"" } },
		  "f:1: policy move: the check \"http://a\" can never grant: other services are not asked\n",
		  "f:1: policy move: the check \"http://a\" can never grant: other services are not asked; to let "
		  "nobody do it, write \"!\"\n" },
		{ { { "move", "\"https://a or role:a\"" } },
		  "f:1: policy move: the check \"https://a\" can never grant: other services are not asked\n",
		  "" },
		{ { { "move", "\"not http://a\"" } },
		  "f:1: policy move: the check \"http://a\" can never grant: other services are not asked\n",
		  "f:1: policy move: the check \"http://a\" can never grant: other services are not asked; to let "
		  "nobody do it, write \"!\"\n" },
		{ { { "move", "\"a(b:c\"" } },
		  "f:1: policy move: the check \"a(b:c\" can never grant: before the colon stands a comma is missing\n"
		  "f:1: policy move: in \"a(b:c\" the brackets in the midst count as part of a name: write blanks "
		  "before and behind \"and\", \"or\" and \"not\"\n",
		  "f:1: policy move: in \"a(b:c\" the brackets in the midst count as part of a name: write blanks "
		  "before and behind \"and\", \"or\" and \"not\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"'a'\"" } },
		  "f:1: policy move: the rule \"'a'\" is not understood and always refuses: quotes around a check are "
		  "not taken: write a without them\n",
		  "f:1: policy move: the rule \"'a'\" is not understood and always refuses: quotes around a check are "
		  "not taken: write a without them; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"admin\"" } },
		  "f:1: policy move: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"\n",
		  "f:1: policy move: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "[\"admin\"]" } },
		  "f:1: policy move: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"\n",
		  "f:1: policy move: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "[[\"role:a\", \"admin\"]]" } },
		  "f:1: policy move: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"\n",
		  "f:1: policy move: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "[[\"role:a\", \"admin\"], \"role:b\"]" } },
		  "f:1: policy move: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"\n",
		  "" },
		{ { { "move", "[[5]]" } },
		  "f:1: policy move: the check \"?\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:?\"\n",
		  "f:1: policy move: the check \"?\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:?\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "[[\"a b\"]]" } },
		  "f:1: policy move: the check \"a b\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:a b\"\n",
		  "f:1: policy move: the check \"a b\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:a b\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "[[]]" } },
		  "",
		  "f:1: policy move: it is a list of nothing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "[\"\", [\"role:a\"]]" } }, "", "" },
		{ { { "move", "{\"\": 1}" } },
		  "",
		  "f:1: policy move: it is a list of nothing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "{\"role:a\": 1, \"\": 2}" } }, "", "" },
		{ { { "move", "{\"role:a\": 1, \"admin\": 2}" } },
		  "f:1: policy move: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"\n",
		  "" },
		{ { { "move", "[{\"role:a\": 1, \"admin\": 2}]" } },
		  "f:1: policy move: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"\n",
		  "f:1: policy move: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"not @\"" } },
		  "",
		  "f:1: policy move: it can never grant; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"! and role:\"" } },
		  "f:1: policy move: the check \"role:\" can never grant: behind the colon stands no role\n",
		  "f:1: policy move: the check \"role:\" can never grant: behind the colon stands no role; to let "
		  "nobody do it, write \"!\"\n" },
		{ { { "move", "\"@ and not @\"" } },
		  "",
		  "f:1: policy move: it can never grant; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"not (role:a or not !)\"" } }, "", "" },
		{ { { "move", "\"not (role:a and @)\"" } }, "", "" },
		{ { { "move", "\"is_admin:True\"" } }, "", "" },
		{ { { "move", "\"not is_admin:True\"" } }, "", "" },
		{ { { "move", "\"!\"" } }, "", "" },
		{ { { "move", "\"! or role:\"" } },
		  "f:1: policy move: the check \"role:\" can never grant: behind the colon stands no role\n",
		  "" },
		{ { { "move", "\"role:a and !\"" } }, "", "" },
		{ { { "x", "\"role:\"" } },
		  "f:1: policy x: the check \"role:\" can never grant: behind the colon stands no role\n"
		  "f:1: policy x: nothing here asks for a policy of this name\n",
		  "" },
		{ { { "move", "\"rule:x or rule:x\"" }, { "x", "\"role:\"" } },
		  "f:2: policy x: the check \"role:\" can never grant: behind the colon stands no role\n",
		  "f:1: policy move: it can never grant; to let nobody do it, write \"!\"\n"
		  "f:2: policy x: the check \"role:\" can never grant: behind the colon stands no role; to let nobody "
		  "do it, write \"!\"\n" },
		{ { { "move", "\"rule:x or role:a\"" }, { "x", "\"role:\"" } },
		  "f:2: policy x: the check \"role:\" can never grant: behind the colon stands no role\n",
		  "f:2: policy x: the check \"role:\" can never grant: behind the colon stands no role; to let nobody "
		  "do it, write \"!\"\n" },
		{ { { "move", "\"not rule:x\"" }, { "x", "\"role:\"" } },
		  "f:2: policy x: the check \"role:\" can never grant: behind the colon stands no role\n",
		  "f:2: policy x: the check \"role:\" can never grant: behind the colon stands no role; to let nobody "
		  "do it, write \"!\"\n" },
		{ { { "move", "\"not rule:x\"" }, { "x", "\"admin\"" } },
		  "f:2: policy x: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"\n",
		  "f:2: policy x: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"user_id:x\"" } }, "", "" },
		{ { { "move", "\"not user_id:x\"" } }, "", "" },
		{ { { "move", "\"user_id:%(user_id)s\"" } }, "", "" },
	};

	(void)state;
	check_told(rows, ARRAY_LENGTH(rows));
}

static void what_is_out_of_place_is_told_of_short_words_too(void **state)
{
	static const struct told rows[] = {
		{ { { "move", "\"role:a role:b\"" } },
		  "f:1: policy move: the rule \"role:a role:b\" is not understood and always refuses: between "
		  "\"role:a\" and \"role:b\" an \"and\" or an \"or\" is missing\n",
		  "f:1: policy move: the rule \"role:a role:b\" is not understood and always refuses: between "
		  "\"role:a\" and \"role:b\" an \"and\" or an \"or\" is missing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"@ @\"" } },
		  "f:1: policy move: the rule \"@ @\" is not understood and always refuses: between \"@\" and \"@\" an "
		  "\"and\" or an \"or\" is missing\n",
		  "f:1: policy move: the rule \"@ @\" is not understood and always refuses: between \"@\" and \"@\" an "
		  "\"and\" or an \"or\" is missing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"! and\"" } },
		  "f:1: policy move: the rule \"! and\" is not understood and always refuses: behind \"and\" a check "
		  "is missing\n",
		  "f:1: policy move: the rule \"! and\" is not understood and always refuses: behind \"and\" a check "
		  "is missing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"and @\"" } },
		  "f:1: policy move: the rule \"and @\" is not understood and always refuses: before \"and\" a check "
		  "is missing\n",
		  "f:1: policy move: the rule \"and @\" is not understood and always refuses: before \"and\" a check "
		  "is missing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"a b\"" } },
		  "f:1: policy move: the check \"a\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:a\"\n"
		  "f:1: policy move: the check \"b\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:b\"\n"
		  "f:1: policy move: the rule \"a b\" is not understood and always refuses: between \"a\" and \"b\" an "
		  "\"and\" or an \"or\" is missing\n",
		  "f:1: policy move: the rule \"a b\" is not understood and always refuses: between \"a\" and \"b\" an "
		  "\"and\" or an \"or\" is missing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"role:a role:\"" } },
		  "f:1: policy move: the check \"role:\" can never grant: behind the colon stands no role\n"
		  "f:1: policy move: the rule \"role:a role:\" is not understood and always refuses: between "
		  "\"role:a\" and \"role:\" an \"and\" or an \"or\" is missing\n",
		  "f:1: policy move: the rule \"role:a role:\" is not understood and always refuses: between "
		  "\"role:a\" and \"role:\" an \"and\" or an \"or\" is missing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\")\"" } },
		  "f:1: policy move: the rule \")\" is not understood and always refuses: there is no check in it\n",
		  "f:1: policy move: the rule \")\" is not understood and always refuses: there is no check in it; to "
		  "let nobody do it, write \"!\"\n" },
		{ { { "move", "\"role:a )\"" } },
		  "f:1: policy move: the rule \"role:a )\" is not understood and always refuses: of its brackets 0 "
		  "open and 1 close\n",
		  "f:1: policy move: the rule \"role:a )\" is not understood and always refuses: of its brackets 0 "
		  "open and 1 close; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"role:a '\"" } },
		  "f:1: policy move: the check \"'\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:'\"\n"
		  "f:1: policy move: the rule \"role:a '\" is not understood and always refuses: between \"role:a\" "
		  "and \"'\" an \"and\" or an \"or\" is missing\n",
		  "f:1: policy move: the rule \"role:a '\" is not understood and always refuses: between \"role:a\" "
		  "and \"'\" an \"and\" or an \"or\" is missing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"( ( role:a\"" } },
		  "f:1: policy move: the rule \"( ( role:a\" is not understood and always refuses: of its brackets 2 "
		  "open and 0 close\n",
		  "f:1: policy move: the rule \"( ( role:a\" is not understood and always refuses: of its brackets 2 "
		  "open and 0 close; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"@ or or @\"" } },
		  "f:1: policy move: the rule \"@ or or @\" is not understood and always refuses: before \"or\" a "
		  "check is missing\n",
		  "f:1: policy move: the rule \"@ or or @\" is not understood and always refuses: before \"or\" a "
		  "check is missing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"x : y\"" } },
		  "f:1: policy move: the check \"x\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:x\"\n"
		  "f:1: policy move: the check \":\" can never grant: before the colon stands nothing before the "
		  "colon\n"
		  "f:1: policy move: the check \"y\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:y\"\n"
		  "f:1: policy move: the rule \"x : y\" is not understood and always refuses: the colon stands between "
		  "blanks: write KIND:MATCH in one, like \"role:admin\"\n",
		  "f:1: policy move: the rule \"x : y\" is not understood and always refuses: the colon stands between "
		  "blanks: write KIND:MATCH in one, like \"role:admin\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"not not\"" } },
		  "f:1: policy move: the rule \"not not\" is not understood and always refuses: behind \"not\" a check "
		  "is missing\n",
		  "f:1: policy move: the rule \"not not\" is not understood and always refuses: behind \"not\" a check "
		  "is missing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"@ :b\"" } },
		  "f:1: policy move: the check \":b\" can never grant: before the colon stands nothing before the "
		  "colon\n"
		  "f:1: policy move: the rule \"@ :b\" is not understood and always refuses: before \":b\" stands a "
		  "blank: write \"@:b\"\n",
		  "f:1: policy move: the rule \"@ :b\" is not understood and always refuses: before \":b\" stands a "
		  "blank: write \"@:b\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"a :b\"" } },
		  "f:1: policy move: the check \"a\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:a\"\n"
		  "f:1: policy move: the check \":b\" can never grant: before the colon stands nothing before the "
		  "colon\n"
		  "f:1: policy move: the rule \"a :b\" is not understood and always refuses: before \":b\" stands a "
		  "blank: write \"a:b\"\n",
		  "f:1: policy move: the rule \"a :b\" is not understood and always refuses: before \":b\" stands a "
		  "blank: write \"a:b\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"a: b\"" } },
		  "f:1: policy move: the check \"b\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:b\"\n"
		  "f:1: policy move: the rule \"a: b\" is not understood and always refuses: behind \"a:\" stands a "
		  "blank: write \"a:b\"\n",
		  "f:1: policy move: the rule \"a: b\" is not understood and always refuses: behind \"a:\" stands a "
		  "blank: write \"a:b\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"(@ and) @\"" } },
		  "f:1: policy move: the rule \"(@ and) @\" is not understood and always refuses: operators, brackets "
		  "or blanks are out of place\n",
		  "f:1: policy move: the rule \"(@ and) @\" is not understood and always refuses: operators, brackets "
		  "or blanks are out of place; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"@ or @)\"" } },
		  "f:1: policy move: the rule \"@ or @)\" is not understood and always refuses: of its brackets 0 open "
		  "and 1 close\n",
		  "f:1: policy move: the rule \"@ or @)\" is not understood and always refuses: of its brackets 0 open "
		  "and 1 close; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"() @\"" } },
		  "f:1: policy move: the rule \"() @\" is not understood and always refuses: operators, brackets or "
		  "blanks are out of place\n",
		  "f:1: policy move: the rule \"() @\" is not understood and always refuses: operators, brackets or "
		  "blanks are out of place; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"''\"" } },
		  "f:1: policy move: the rule \"''\" is not understood and always refuses: quotes around a check are "
		  "not taken: write  without them\n",
		  "f:1: policy move: the rule \"''\" is not understood and always refuses: quotes around a check are "
		  "not taken: write  without them; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"\\\"\\\"\"" } },
		  "f:1: policy move: the rule \"\"\"\" is not understood and always refuses: quotes around a check are "
		  "not taken: write  without them\n",
		  "f:1: policy move: the rule \"\"\"\" is not understood and always refuses: quotes around a check are "
		  "not taken: write  without them; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"role:a ''\"" } },
		  "f:1: policy move: the rule \"role:a ''\" is not understood and always refuses: quotes around a "
		  "check are not taken: write  without them\n",
		  "f:1: policy move: the rule \"role:a ''\" is not understood and always refuses: quotes around a "
		  "check are not taken: write  without them; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"role:a \\\"b\\\"\"" } },
		  "f:1: policy move: the rule \"role:a \"b\"\" is not understood and always refuses: quotes around a "
		  "check are not taken: write b without them\n",
		  "f:1: policy move: the rule \"role:a \"b\"\" is not understood and always refuses: quotes around a "
		  "check are not taken: write b without them; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"role:a 'b\"" } },
		  "f:1: policy move: the check \"'b\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:'b\"\n"
		  "f:1: policy move: the rule \"role:a 'b\" is not understood and always refuses: between \"role:a\" "
		  "and \"'b\" an \"and\" or an \"or\" is missing\n",
		  "f:1: policy move: the rule \"role:a 'b\" is not understood and always refuses: between \"role:a\" "
		  "and \"'b\" an \"and\" or an \"or\" is missing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"role:a b'\"" } },
		  "f:1: policy move: the check \"b'\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:b'\"\n"
		  "f:1: policy move: the rule \"role:a b'\" is not understood and always refuses: between \"role:a\" "
		  "and \"b'\" an \"and\" or an \"or\" is missing\n",
		  "f:1: policy move: the rule \"role:a b'\" is not understood and always refuses: between \"role:a\" "
		  "and \"b'\" an \"and\" or an \"or\" is missing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"role:a aba\"" } },
		  "f:1: policy move: the check \"aba\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:aba\"\n"
		  "f:1: policy move: the rule \"role:a aba\" is not understood and always refuses: between \"role:a\" "
		  "and \"aba\" an \"and\" or an \"or\" is missing\n",
		  "f:1: policy move: the rule \"role:a aba\" is not understood and always refuses: between \"role:a\" "
		  "and \"aba\" an \"and\" or an \"or\" is missing; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"role: and role:a\"" } },
		  "f:1: policy move: the check \"role:\" can never grant: behind the colon stands no role\n",
		  "f:1: policy move: the check \"role:\" can never grant: behind the colon stands no role; to let "
		  "nobody do it, write \"!\"\n" },
		{ { { "move", "\": role:a\"" } },
		  "f:1: policy move: the check \":\" can never grant: before the colon stands nothing before the "
		  "colon\n"
		  "f:1: policy move: the rule \": role:a\" is not understood and always refuses: the colon stands "
		  "between blanks: write KIND:MATCH in one, like \"role:admin\"\n",
		  "f:1: policy move: the rule \": role:a\" is not understood and always refuses: the colon stands "
		  "between blanks: write KIND:MATCH in one, like \"role:admin\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"role:a :b\"" } },
		  "f:1: policy move: the check \":b\" can never grant: before the colon stands nothing before the "
		  "colon\n"
		  "f:1: policy move: the rule \"role:a :b\" is not understood and always refuses: between \"role:a\" "
		  "and \":b\" an \"and\" or an \"or\" is missing\n",
		  "f:1: policy move: the rule \"role:a :b\" is not understood and always refuses: between \"role:a\" "
		  "and \":b\" an \"and\" or an \"or\" is missing; to let nobody do it, write \"!\"\n" },
	};

	(void)state;
	check_told(rows, ARRAY_LENGTH(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_check_that_can_never_grant_is_told_with_its_cause),
		cmocka_unit_test(what_is_out_of_place_is_told_of_short_words_too),
	};

	return cmocka_run_group_tests_name("policy_slips", tests, NULL, NULL);
}
