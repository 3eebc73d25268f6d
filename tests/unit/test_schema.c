/* The words of refused bodies, as recorded from Nova (jsonschema 4.10). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/server_action.h"
#include "base/cleanup.h"

#define BOOLEAN_WORDS                                                                                                  \
	"[True, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes', False, 'False', 'FALSE', "         \
	"'false', '0', 'OFF', 'Off', 'off', 'NO', 'No', 'no'"

struct schema_case {
	int minor;
	const char *value;
	const char *words; /* NULL: accepted */
};

static void check(const struct server_action *action, const struct schema_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		CLEANUP_TEXT struct text words = TEXT_EMPTY;
		json_t *value = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);
		const struct schema *schema = schema_for(action->schemas, action->schema_count, cases[i].minor);

		assert_non_null(value);
		assert_non_null(schema);
		bool is_good = schema_check(schema, action->name, value, &words);
		json_decref(value);
		if (is_good != !cases[i].words || (cases[i].words && strcmp(words.data, cases[i].words) != 0))
			fail_msg("2.%d %s: %s", cases[i].minor, cases[i].value, is_good ? "accepted" : words.data);
	}
}

static void migrate_takes_anything_before_2_56_and_then_null_or_a_host(void **state)
{
	static const struct schema_case cases[] = {
		{ 55, "{\"x\": 1}", NULL },
		{ 56, "null", NULL },
		{ 56, "{\"host\": null}", NULL },
		{ 56, "{\"host\": \"nope\\n\"}", NULL },
		{ 56, "true",
		  "Invalid input for field/attribute migrate. Value: True. True is not of type 'object', 'null'" },
		{ 56, "{\"host\": [\"host2\"]}",
		  "Invalid input for field/attribute host. Value: ['host2']. ['host2'] is not of type 'string', "
		  "'null'" },
		{ 56, "{}", NULL },
		{ 56, "{\"y\": 1, \"host\": null, \"x\": 1.5}",
		  "Invalid input for field/attribute migrate. Value: {'y': 1, 'host': None, 'x': 1.5}. Additional "
		  "properties are not allowed ('x', 'y' were unexpected)" },
	};

	(void)state;
	check(&migrate_action, cases, ARRAY_LENGTH(cases));
}

static void live_refuses_in_the_order_of_the_schema(void **state)
{
	static const struct schema_case cases[] = {
		{ 1, "{\"host\": null, \"block_migration\": \"yes\", \"disk_over_commit\": false}", NULL },
		{ 25, "{\"host\": null, \"block_migration\": \"auto\"}", NULL },
		{ 30, "{\"host\": null, \"block_migration\": \"auto\", \"force\": \"On\"}", NULL },
		{ 1, "{\"host\": \"a b\", \"block_migration\": 2, \"disk_over_commit\": 2}",
		  "Invalid input for field/attribute block_migration. Value: 2. 2 is not of type 'boolean', "
		  "'string'" },
		{ 1, "{\"host\": null, \"block_migration\": \"auto\", \"disk_over_commit\": false}",
		  "Invalid input for field/attribute block_migration. Value: auto. 'auto' is not one of " BOOLEAN_WORDS
		  "]" },
		{ 25, "{\"host\": null, \"block_migration\": \"x\"}",
		  "Invalid input for field/attribute block_migration. Value: x. 'x' is not one of " BOOLEAN_WORDS
		  ", 'auto']" },
		{ 25, "{\"block_migration\": false, \"host\": \"nope\\t\"}",
		  "Invalid input for field/attribute host. Value: nope\t. 'nope\\t' does not match "
		  "'^[a-zA-Z0-9-._]*$'" },
		{ 24, "{\"block_migration\": false}",
		  "Invalid input for field/attribute os-migrateLive. Value: {'block_migration': False}. "
		  "'disk_over_commit' is a required property" },
		{ 68, "{\"host\": null, \"block_migration\": false, \"force\": \"yes\"}",
		  "Invalid input for field/attribute os-migrateLive. Value: {'host': None, 'block_migration': False, "
		  "'force': 'yes'}. Additional properties are not allowed ('force' was unexpected)" },
	};

	(void)state;
	check(&migrate_live_action, cases, ARRAY_LENGTH(cases));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(migrate_takes_anything_before_2_56_and_then_null_or_a_host),
		cmocka_unit_test(live_refuses_in_the_order_of_the_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
