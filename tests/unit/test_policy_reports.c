/* What an operator is told about the rules of a policy file and how they refer to each other: reports when they are loaded, and faults
 * that refuse the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "policy_fixture.h"

static void an_open_door_is_reported_whatever_its_words(void **state)
{
	static const struct told rows[] = {
		{ { { "move", "\"role:a\"" } }, "", "" },
		{ { { "move", "\"@\"" } },
		  "f:1: policy move: everybody may do it: the rule grants it to whoever asks\n",
		  "" },
		{ { { "move", "\"\"" } },
		  "f:1: policy move: the rule is empty and grants everything to everybody\n",
		  "" },
		{ { { "move", "null" } },
		  "f:1: policy move: the rule is empty and grants everything to everybody\n",
		  "" },
		{ { { "move", "[]" } },
		  "f:1: policy move: the rule is empty and grants everything to everybody\n",
		  "" },
		{ { { "move", "{}" } },
		  "f:1: policy move: the rule is empty and grants everything to everybody\n",
		  "" },
		{ { { "move", "false" } },
		  "f:1: policy move: the rule is empty and grants everything to everybody\n",
		  "" },
		{ { { "move", "0" } }, "f:1: policy move: the rule is empty and grants everything to everybody\n", "" },
		{ { { "move", "\"role:a or @\"" } },
		  "f:1: policy move: everybody may do it: the rule grants it to whoever asks\n",
		  "" },
		{ { { "move", "\"@ and @\"" } },
		  "f:1: policy move: everybody may do it: the rule grants it to whoever asks\n",
		  "" },
		{ { { "move", "\"@ and role:a\"" } }, "", "" },
		{ { { "move", "\"role:a and @\"" } }, "", "" },
		{ { { "move", "\"not !\"" } },
		  "f:1: policy move: everybody may do it: the rule grants it to whoever asks\n",
		  "" },
		{ { { "move", "\"not @\"" } },
		  "",
		  "f:1: policy move: it can never grant; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"not role:a\"" } }, "", "" },
		{ { { "move", "\"(role:a or @) and @\"" } },
		  "f:1: policy move: everybody may do it: the rule grants it to whoever asks\n",
		  "" },
		{ { { "move", "\"role:a or role:b\"" } }, "", "" },
		{ { { "move", "\"!\"" } }, "", "" },
		{ { { "move", "\"@ or !\"" } },
		  "f:1: policy move: everybody may do it: the rule grants it to whoever asks\n",
		  "" },
		{ { { "move", "\"@ and !\"" } }, "", "" },
		{ { { "move", "\"not ! and not !\"" } },
		  "f:1: policy move: everybody may do it: the rule grants it to whoever asks\n",
		  "" },
		{ { { "move", "\"rule:x\"" }, { "x", "\"rule:y\"" }, { "y", "\"rule:z\"" }, { "z", "\"@\"" } },
		  "f:1: policy move: everybody may do it: the rule grants it to whoever asks\n"
		  "f:2: policy x: everybody may do it: the rule grants it to whoever asks\n"
		  "f:3: policy y: everybody may do it: the rule grants it to whoever asks\n"
		  "f:4: policy z: everybody may do it: the rule grants it to whoever asks\n",
		  "" },
		{ { { "move", "\"rule:gone\"" } },
		  "f:1: policy move: it refers to the rule \"gone\", which is not there\n",
		  "f:1: policy move: it refers to the rule \"gone\", which is not there; to let nobody do it, write "
		  "\"!\"\n" },
		{ { { "move", "\"rule:gone or @\"" } },
		  "f:1: policy move: it refers to the rule \"gone\", which is not there\n"
		  "f:1: policy move: everybody may do it: the rule grants it to whoever asks\n",
		  "" },
		{ { { "move", "\"rule:x and @\"" }, { "x", "\"role:a\"" } }, "", "" },
		{ { { "x", "\"@\"" } }, "f:1: policy x: nothing here asks for a policy of this name\n", "" },
		{ { { "move", "\"rule:default\"" }, { "default", "\"@\"" } },
		  "f:1: policy move: everybody may do it: the rule grants it to whoever asks\n"
		  "f:2: policy default: everybody may do it: the rule grants it to whoever asks\n",
		  "" },
		{ { { "default", "\"@\"" } }, "", "" },
		{ { { "move", "\"rule:gone\"" }, { "default", "\"@\"" } },
		  "f:1: policy move: it refers to the rule \"gone\", which is not there\n"
		  "f:1: policy move: everybody may do it: the rule grants it to whoever asks\n",
		  "" },
		{ { { "default", "\"!\"" } }, "", "" },
		{ { { "move", "\"rule:x\"" }, { "x", "\"\"" } },
		  "f:2: policy x: the rule is empty and grants everything to everybody\n"
		  "f:1: policy move: everybody may do it: the rule grants it to whoever asks\n",
		  "" },
	};

	(void)state;
	check_told(rows, ARRAY_LENGTH(rows));
}

static void a_name_that_nothing_asks_for_is_told_with_the_nearest_one(void **state)
{
	static const struct told rows[] = {
		{ { { "mov", "\"role:a\"" } },
		  "f:1: policy mov: nothing here asks for a policy of this name; did you mean move?\n",
		  "" },
		{ { { "mo", "\"role:a\"" } },
		  "f:1: policy mo: nothing here asks for a policy of this name; did you mean move?\n",
		  "" },
		{ { { "m", "\"role:a\"" } }, "f:1: policy m: nothing here asks for a policy of this name\n", "" },
		{ { { "moved", "\"role:a\"" } },
		  "f:1: policy moved: nothing here asks for a policy of this name; did you mean move?\n",
		  "" },
		{ { { "lst", "\"role:a\"" } },
		  "f:1: policy lst: nothing here asks for a policy of this name; did you mean list?\n",
		  "" },
		{ { { "loss", "\"role:a\"" } },
		  "f:1: policy loss: nothing here asks for a policy of this name; did you mean lost?\n",
		  "" },
		{ { { "lisp", "\"role:a\"" } },
		  "f:1: policy lisp: nothing here asks for a policy of this name; did you mean list?\n",
		  "" },
		{ { { "other", "\"role:a\"" }, { "others", "\"role:a\"" } },
		  "f:1: policy other: nothing here asks for a policy of this name\n"
		  "f:2: policy others: nothing here asks for a policy of this name\n",
		  "" },
		{ { { "look", "\"role:a\"" } },
		  "f:1: policy look: the name is deprecated; its rule now also counts for show\n",
		  "" },
		{ { { "move", "\"rule:x\"" }, { "x", "\"rule:y\"" }, { "y", "\"role:a\"" } }, "", "" },
		{ { { "x", "\"rule:y\"" }, { "y", "\"role:a\"" } },
		  "f:1: policy x: nothing here asks for a policy of this name\n",
		  "" },
		{ { { "default", "\"role:a\"" } }, "", "" },
	};

	(void)state;
	check_told(rows, ARRAY_LENGTH(rows));
}

static void a_circle_of_rules_is_told(void **state)
{
	static const struct told rows[] = {
		{ { { "move", "\"rule:move\"" } },
		  "f:1: policy move: it can never grant where it goes round in a circle of rules\n",
		  "f:1: policy move: it goes round in a circle of rules, or too deep, by rule:move; to let nobody do "
		  "it, write \"!\"\n" },
		{ { { "move", "\"not rule:move\"" } },
		  "f:1: policy move: it can never grant where it goes round in a circle of rules\n",
		  "f:1: policy move: it goes round in a circle of rules, or too deep, by rule:move; to let nobody do "
		  "it, write \"!\"\n" },
		{ { { "move", "\"rule:x\"" }, { "x", "\"rule:move\"" } },
		  "f:1: policy move: it can never grant where it goes round in a circle of rules\n"
		  "f:2: policy x: it can never grant where it goes round in a circle of rules\n",
		  "f:1: policy move: it goes round in a circle of rules, or too deep, by rule:move; to let nobody do "
		  "it, write \"!\"\n" },
		{ { { "move", "\"rule:x\"" }, { "x", "\"rule:y\"" }, { "y", "\"rule:x\"" } },
		  "f:1: policy move: it can never grant where it goes round in a circle of rules\n"
		  "f:2: policy x: it can never grant where it goes round in a circle of rules\n"
		  "f:3: policy y: it can never grant where it goes round in a circle of rules\n",
		  "f:1: policy move: it goes round in a circle of rules, or too deep, by rule:x; to let nobody do it, "
		  "write \"!\"\n" },
		{ { { "move", "\"role:a or rule:x\"" }, { "x", "\"role:b and not rule:x\"" } },
		  "f:1: policy move: it can never grant where it goes round in a circle of rules\n"
		  "f:2: policy x: it can never grant where it goes round in a circle of rules\n",
		  "f:1: policy move: it goes round in a circle of rules, or too deep, by rule:x; to let nobody do it, "
		  "write \"!\"\n" },
		{ { { "move", "\"rule:x and rule:x\"" }, { "x", "\"role:a\"" } }, "", "" },
		{ { { "move", "\"rule:x or rule:y\"" },
		    { "x", "\"rule:z\"" },
		    { "y", "\"rule:z\"" },
		    { "z", "\"role:a\"" } },
		  "",
		  "" },
		{ { { "move", "\"role:a\"" }, { "x", "\"rule:x\"" } },
		  "f:2: policy x: it can never grant where it goes round in a circle of rules\n",
		  "" },
		{ { { "move", "\"rule:x\"" }, { "show", "\"rule:x\"" }, { "x", "\"rule:x\"" } },
		  "f:2: policy show: it was once the name of list too, and counts for that as long as no rule names "
		  "it\n"
		  "f:1: policy move: it can never grant where it goes round in a circle of rules\n"
		  "f:2: policy show: it can never grant where it goes round in a circle of rules\n"
		  "f:3: policy x: it can never grant where it goes round in a circle of rules\n",
		  "f:1: policy move: it goes round in a circle of rules, or too deep, by rule:x; to let nobody do it, "
		  "write \"!\"\n"
		  "f:2: policy show: it goes round in a circle of rules, or too deep, by rule:x; to let nobody do it, "
		  "write \"!\"\n" },
		{ { { "move", "\"role:a and (role:b or rule:move)\"" } },
		  "f:1: policy move: it can never grant where it goes round in a circle of rules\n",
		  "f:1: policy move: it goes round in a circle of rules, or too deep, by rule:move; to let nobody do "
		  "it, write \"!\"\n" },
		{ { { "show", "\"rule:list\"" }, { "list", "\"rule:show\"" } },
		  "f:1: policy show: it can never grant where it goes round in a circle of rules\n"
		  "f:2: policy list: it can never grant where it goes round in a circle of rules\n",
		  "f:1: policy show: it goes round in a circle of rules, or too deep, by rule:show; to let nobody do "
		  "it, write \"!\"\n" },
		{ { { "look", "\"rule:show\"" } }, "", "" },
		{ { { "look", "\"role:a or rule:show\"" } },
		  "f:1: policy look: the name is deprecated; its rule now also counts for show\n"
		  "f:1: policy look: it can never grant where it goes round in a circle of rules\n",
		  "f:1: policy look: it goes round in a circle of rules, or too deep, by rule:show; to let nobody do "
		  "it, write \"!\"\n" },
		{ { { "move", "\"rule:a and rule:b\"" }, { "a", "\"rule:a\"" }, { "b", "\"rule:b\"" } },
		  "f:1: policy move: it can never grant where it goes round in a circle of rules\n"
		  "f:2: policy a: it can never grant where it goes round in a circle of rules\n"
		  "f:3: policy b: it can never grant where it goes round in a circle of rules\n",
		  "f:1: policy move: it goes round in a circle of rules, or too deep, by rule:a; to let nobody do it, "
		  "write \"!\"\n" },
		{ { { "move", "\"rule:x\"" },
		    { "show", "\"rule:y\"" },
		    { "x", "\"rule:move\"" },
		    { "y", "\"rule:show\"" } },
		  "f:2: policy show: it was once the name of list too, and counts for that as long as no rule names "
		  "it\n"
		  "f:1: policy move: it can never grant where it goes round in a circle of rules\n"
		  "f:2: policy show: it can never grant where it goes round in a circle of rules\n"
		  "f:3: policy x: it can never grant where it goes round in a circle of rules\n"
		  "f:4: policy y: it can never grant where it goes round in a circle of rules\n",
		  "f:1: policy move: it goes round in a circle of rules, or too deep, by rule:move; to let nobody do "
		  "it, write \"!\"\n"
		  "f:2: policy show: it goes round in a circle of rules, or too deep, by rule:show; to let nobody do "
		  "it, write \"!\"\n" },
	};

	(void)state;
	check_told(rows, ARRAY_LENGTH(rows));
}

static void a_deprecated_name_is_told_with_what_it_counts_for(void **state)
{
	static const struct told rows[] = {
		{ { { "look", "\"role:a\"" } },
		  "f:1: policy look: the name is deprecated; its rule now also counts for show\n",
		  "" },
		{ { { "look", "\"role:a\"" }, { "show", "\"role:b\"" } },
		  "f:2: policy show: it was once the name of list too, and counts for that as long as no rule names "
		  "it\n",
		  "" },
		{ { { "look", "\"role:a\"" }, { "show", "\"role:b\"" }, { "list", "\"role:c\"" } }, "", "" },
		{ { { "show", "\"role:a\"" } },
		  "f:1: policy show: it was once the name of list too, and counts for that as long as no rule names "
		  "it\n",
		  "" },
		{ { { "show", "\"role:a\"" }, { "list", "\"role:b\"" } }, "", "" },
		{ { { "show", "\"rule:list\"" } }, "", "" },
		{ { { "lost", "\"role:a\"" } }, "", "" },
		{ { { "look", "\"'a'\"" } },
		  "f:1: policy look: the rule \"'a'\" is not understood and always refuses: quotes around a check are "
		  "not taken: write a without them\n"
		  "f:1: policy look: the name is deprecated; its rule now also counts for show\n",
		  "f:1: policy look: the rule \"'a'\" is not understood and always refuses: quotes around a check are "
		  "not taken: write a without them; to let nobody do it, write \"!\"\n" },
		{ { { "look", "\"role:\"" } },
		  "f:1: policy look: the check \"role:\" can never grant: behind the colon stands no role\n"
		  "f:1: policy look: the name is deprecated; its rule now also counts for show\n",
		  "f:1: policy look: the check \"role:\" can never grant: behind the colon stands no role; to let "
		  "nobody do it, write \"!\"\n" },
		{ { { "look", "\"admin\"" } },
		  "f:1: policy look: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"\n"
		  "f:1: policy look: the name is deprecated; its rule now also counts for show\n",
		  "f:1: policy look: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"; to let nobody do it, write \"!\"\n" },
		{ { { "look", "\"rule:gone\"" } },
		  "f:1: policy look: the name is deprecated; its rule now also counts for show\n"
		  "f:1: policy look: it refers to the rule \"gone\", which is not there\n",
		  "f:1: policy look: it refers to the rule \"gone\", which is not there; to let nobody do it, write "
		  "\"!\"\n" },
	};

	(void)state;
	check_told(rows, ARRAY_LENGTH(rows));
}

static void a_rule_that_is_given_twice_is_told_with_the_one_that_counts(void **state)
{
	static const struct told rows[] = {
		{ { { "move", "\"role:a\"" }, { "move", "\"role:b\"" } },
		  "f:1: policy move: the rule is given again in f:2, and only that one counts\n",
		  "" },
		{ { { "move", "\"admin\"" }, { "move", "\"role:b\"" } },
		  "f:1: policy move: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"\n"
		  "f:1: policy move: the rule is given again in f:2, and only that one counts\n",
		  "" },
		{ { { "move", "\"role:b\"" }, { "move", "\"admin\"" } },
		  "f:1: policy move: the rule is given again in f:2, and only that one counts\n"
		  "f:2: policy move: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"\n",
		  "f:2: policy move: the check \"admin\" is not understood and always refuses: a check is KIND:MATCH "
		  "without a blank, like \"role:admin\"; to let nobody do it, write \"!\"\n" },
		{ { { "move", "\"role:a\"" },
		    { "show", "\"role:b\"" },
		    { "move", "\"role:c\"" },
		    { "move", "\"role:d\"" } },
		  "f:1: policy move: the rule is given again in f:3, and only that one counts\n"
		  "f:3: policy move: the rule is given again in f:4, and only that one counts\n"
		  "f:2: policy show: it was once the name of list too, and counts for that as long as no rule names "
		  "it\n",
		  "" },
		{ { { "move", "\"\"" }, { "move", "\"@\"" } },
		  "f:1: policy move: the rule is empty and grants everything to everybody\n"
		  "f:1: policy move: the rule is given again in f:2, and only that one counts\n"
		  "f:2: policy move: everybody may do it: the rule grants it to whoever asks\n",
		  "" },
		{ { { "move", "\"\"" }, { "move", "\"role:a\"" } },
		  "f:1: policy move: the rule is empty and grants everything to everybody\n"
		  "f:1: policy move: the rule is given again in f:2, and only that one counts\n",
		  "" },
	};

	(void)state;
	check_told(rows, ARRAY_LENGTH(rows));
}

static void a_reference_to_a_rule_that_is_not_there_is_told(void **state)
{
	static const struct told rows[] = {
		{ { { "move", "\"rule:gone\"" } },
		  "f:1: policy move: it refers to the rule \"gone\", which is not there\n",
		  "f:1: policy move: it refers to the rule \"gone\", which is not there; to let nobody do it, write "
		  "\"!\"\n" },
		{ { { "move", "\"role:a or rule:gone\"" } },
		  "f:1: policy move: it refers to the rule \"gone\", which is not there\n",
		  "" },
		{ { { "move", "\"role:a and rule:gone\"" } },
		  "f:1: policy move: it refers to the rule \"gone\", which is not there\n",
		  "f:1: policy move: it refers to the rule \"gone\", which is not there; to let nobody do it, write "
		  "\"!\"\n" },
		{ { { "move", "\"not rule:gone\"" } },
		  "f:1: policy move: it refers to the rule \"gone\", which is not there\n",
		  "" },
		{ { { "move", "\"not (role:a or rule:gone)\"" } },
		  "f:1: policy move: it refers to the rule \"gone\", which is not there\n",
		  "" },
		{ { { "move", "\"rule:gone and rule:lost_too\"" } },
		  "f:1: policy move: it refers to the rule \"gone\", which is not there\n"
		  "f:1: policy move: it refers to the rule \"lost_too\", which is not there\n",
		  "f:1: policy move: it refers to the rule \"gone\", which is not there; to let nobody do it, write "
		  "\"!\"\n" },
		{ { { "move", "\"rule:x\"" }, { "x", "\"rule:gone\"" } },
		  "f:2: policy x: it refers to the rule \"gone\", which is not there\n",
		  "f:1: policy move: it can never grant; to let nobody do it, write \"!\"\n"
		  "f:2: policy x: it refers to the rule \"gone\", which is not there; to let nobody do it, write "
		  "\"!\"\n" },
		{ { { "move", "\"rule:x or role:a\"" }, { "x", "\"rule:gone\"" } },
		  "f:2: policy x: it refers to the rule \"gone\", which is not there\n",
		  "f:2: policy x: it refers to the rule \"gone\", which is not there; to let nobody do it, write "
		  "\"!\"\n" },
		{ { { "move", "\"rule:gone\"" }, { "default", "\"role:a\"" } },
		  "f:1: policy move: it refers to the rule \"gone\", which is not there\n",
		  "" },
		{ { { "x", "\"rule:gone\"" } },
		  "f:1: policy x: it refers to the rule \"gone\", which is not there\n"
		  "f:1: policy x: nothing here asks for a policy of this name\n",
		  "" },
		{ { { "move", "\"rule:\"" } },
		  "f:1: policy move: it refers to the rule \"\", which is not there\n",
		  "f:1: policy move: it refers to the rule \"\", which is not there; to let nobody do it, write "
		  "\"!\"\n" },
		{ { { "move", "\"rule:move:\"" } },
		  "f:1: policy move: it refers to the rule \"move:\", which is not there\n",
		  "f:1: policy move: it refers to the rule \"move:\", which is not there; to let nobody do it, write "
		  "\"!\"\n" },
	};

	(void)state;
	check_told(rows, ARRAY_LENGTH(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_open_door_is_reported_whatever_its_words),
		cmocka_unit_test(a_name_that_nothing_asks_for_is_told_with_the_nearest_one),
		cmocka_unit_test(a_circle_of_rules_is_told),
		cmocka_unit_test(a_deprecated_name_is_told_with_what_it_counts_for),
		cmocka_unit_test(a_rule_that_is_given_twice_is_told_with_the_one_that_counts),
		cmocka_unit_test(a_reference_to_a_rule_that_is_not_there_is_told),
	};

	return cmocka_run_group_tests_name("policy_reports", tests, NULL, NULL);
}
