/* What an operator is told about the rules of a policy file: reports when they are loaded, and faults that refuse the file. Each row is
 * a whole file over the fixture's defaults; what is told of it is compared whole, so that nothing is told of what is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/auth/policy.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "policy_fixture.h"

#define RULES_MAX 5

struct row {
	struct rule_text rules[RULES_MAX];
	const char *reports;
	const char *faults;
};

static void compare(const struct row *row, const char *what, const struct text *found, const char *wanted)
{
	const char *text = found->data ? found->data : "";

	if (strcmp(text, wanted) != 0)
		fail_msg("%s: %s, ...: %s\n%s--- and not\n%s", row->rules[0].name, row->rules[0].value, what, text,
			 wanted);
}

static void check_row(const struct row *row)
{
	CLEANUP_TEXT struct text reports = TEXT_EMPTY;
	CLEANUP_TEXT struct text faults = TEXT_EMPTY;
	struct error error = { 0 };
	size_t count = 0;

	while (count < RULES_MAX && row->rules[count].name)
		count++;
	struct policy *policy = load_rules(row->rules, count, "f", &reports);

	compare(row, "reports", &reports, row->reports);
	assert_int_equal(policy_find_faults(policy, gather_line, &faults, &error), 0);
	compare(row, "faults", &faults, row->faults);
	policy_destroy(policy);
}

static void an_open_door_is_reported_whatever_its_words(void **state)
{
	static const struct row rows[] = {
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
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		check_row(&rows[i]);
}

static void a_name_that_nothing_asks_for_is_told_with_the_nearest_one(void **state)
{
	static const struct row rows[] = {
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
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		check_row(&rows[i]);
}

static void a_circle_of_rules_is_told(void **state)
{
	static const struct row rows[] = {
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
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		check_row(&rows[i]);
}

static void a_deprecated_name_is_told_with_what_it_counts_for(void **state)
{
	static const struct row rows[] = {
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
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		check_row(&rows[i]);
}

static void a_rule_that_is_given_twice_is_told_with_the_one_that_counts(void **state)
{
	static const struct row rows[] = {
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
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		check_row(&rows[i]);
}

static void a_reference_to_a_rule_that_is_not_there_is_told(void **state)
{
	static const struct row rows[] = {
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
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		check_row(&rows[i]);
}

static void a_check_that_can_never_grant_is_told_with_its_cause(void **state)
{
	static const struct row rows[] = {
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
		{ { { "move", "\"role:a role:b\"" } },
		  "f:1: policy move: the rule \"role:a role:b\" is not understood and always refuses: between "
		  "\"role:a\" and \"role:b\" an \"and\" or an \"or\" is missing\n",
		  "f:1: policy move: the rule \"role:a role:b\" is not understood and always refuses: between "
		  "\"role:a\" and \"role:b\" an \"and\" or an \"or\" is missing; to let nobody do it, write \"!\"\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		check_row(&rows[i]);
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
		cmocka_unit_test(a_check_that_can_never_grant_is_told_with_its_cause),
	};

	return cmocka_run_group_tests_name("policy_reports", tests, NULL, NULL);
}
