/* The words of refused bodies, as recorded from Nova (jsonschema 4.10). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "api/microversion.h"
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
		{ 24, "{\"disk_over_commit\": true, \"host\": null}",
		  "Invalid input for field/attribute os-migrateLive. Value: {'disk_over_commit': True, 'host': None}. "
		  "'block_migration' is a required property" },
		{ 24, "{\"block_migration\": true, \"disk_over_commit\": true}",
		  "Invalid input for field/attribute os-migrateLive. Value: {'block_migration': True, "
		  "'disk_over_commit': True}. 'host' is a required property" },
		{ 25, "{\"host\": null}",
		  "Invalid input for field/attribute os-migrateLive. Value: {'host': None}. 'block_migration' is a "
		  "required property" },
		{ 104, "{\"block_migration\": \"auto\"}",
		  "Invalid input for field/attribute os-migrateLive. Value: {'block_migration': 'auto'}. 'host' is a "
		  "required property" },
		{ 68, "{\"host\": null, \"block_migration\": false, \"force\": \"yes\"}",
		  "Invalid input for field/attribute os-migrateLive. Value: {'host': None, 'block_migration': False, "
		  "'force': 'yes'}. Additional properties are not allowed ('force' was unexpected)" },
	};

	(void)state;
	check(&migrate_live_action, cases, ARRAY_LENGTH(cases));
}

/* The schemas of a resource or of an action, for what holds of all of them. */
struct schema_list {
	const struct schema *schemas;
	size_t count;
	const char *name; /* NULL: the whole body's */
};

#define LISTS_MAX 32

static size_t all_lists(struct schema_list ret_lists[LISTS_MAX])
{
	const struct server_action *const *const actions[] = { server_actions, migration_actions };
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(actions); i++)
		for (const struct server_action *const *action = actions[i]; *action; action++)
			ret_lists[count++] =
				(struct schema_list){ (*action)->schemas, (*action)->schema_count, (*action)->name };
	ret_lists[count++] = (struct schema_list){ service_bodies.schemas, service_bodies.count, NULL };
	ret_lists[count++] = (struct schema_list){ server_bodies.schemas, server_bodies.count, NULL };
	assert_true(count <= LISTS_MAX);
	return count;
}

static json_t *good_value(enum schema_kind kind)
{
	static const char *const values[] = {
		[SCHEMA_HOST] = "\"host-1\"",
		[SCHEMA_BOOLEAN] = "true",
		[SCHEMA_BOOLEAN_OR_AUTO] = "\"auto\"",
		[SCHEMA_HOST_NAME] = "\"host-1\"",
		[SCHEMA_WORDS] = "\"some words\"",
		[SCHEMA_SERVICE_STATUS] = "\"disabled\"",
		[SCHEMA_OBJECT] = "{}",
		[SCHEMA_SERVER_STATE] = "\"active\"",
		[SCHEMA_REBOOT_TYPE] = "\"SOFT\"",
	};

	return json_loads(values[kind], JSON_DECODE_ANY, NULL);
}

/* Takes over the value. `words` NULL: it is accepted; else they stand in the refusal. */
static void expect(const struct schema *schema, const char *name, json_t *value, const char *expected)
{
	CLEANUP_TEXT struct text words = TEXT_EMPTY;
	CLEANUP_FREE char *shown = json_dumps(value, JSON_ENCODE_ANY);
	bool is_good = schema_check(schema, name, value, &words);

	json_decref(value);
	if (is_good != !expected || (expected && !strstr(words.data, expected)))
		fail_msg("2.%d %s %.300s: %.600s", schema->first_minor, name ? name : "body", shown,
			 is_good ? "accepted" : words.data);
}

static json_t *good_object(const struct schema *schema)
{
	json_t *object = json_object();

	for (size_t i = 0; i < schema->property_count; i++)
		json_object_set_new(object, schema->properties[i].name, good_value(schema->properties[i].kind));
	return object;
}

static void check_object_schema(const struct schema *schema, const char *name)
{
	static const char *const others[] = { "[]", "\"text\"", "7", "true" };
	json_t *more = good_object(schema);

	expect(schema, name, good_object(schema), NULL);
	json_object_set_new(more, "more", json_null());
	expect(schema, name, more,
	       schema->allows_more ? NULL : "Additional properties are not allowed ('more' was unexpected)");
	for (size_t i = 0; i < schema->property_count; i++) {
		const struct schema_property *property = &schema->properties[i];
		CLEANUP_FREE char *words = text_format("'%s' is a required property", property->name);
		json_t *less = good_object(schema), *wrong = good_object(schema), *none = good_object(schema);

		json_object_del(less, property->name);
		expect(schema, name, less, property->is_required ? words : NULL);
		json_object_set_new(wrong, property->name, json_integer(7));
		expect(schema, name, wrong, "7 is not of type");
		json_object_set_new(none, property->name, json_null());
		expect(schema, name, none, property->kind == SCHEMA_HOST ? NULL : "None is not of type");
	}
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
		expect(schema, name, json_loads(others[i], JSON_DECODE_ANY, NULL), " is not of type 'object'");
	expect(schema, name, json_null(), schema->is_null_allowed ? NULL : "None is not of type 'object'");
}

static void every_schema_takes_its_own_properties_whole_and_no_others(void **state)
{
	struct schema_list lists[LISTS_MAX];
	size_t count = all_lists(lists), checked = 0;

	(void)state;
	for (size_t i = 0; i < count; i++)
		for (size_t s = 0; s < lists[i].count; s++) {
			const struct schema *schema = &lists[i].schemas[s];

			if (schema->is_null_wanted) {
				expect(schema, lists[i].name, json_null(), NULL);
				expect(schema, lists[i].name, json_object(), "{} is not of type 'null'");
			} else if (schema->is_anything) {
				expect(schema, lists[i].name, json_object(), NULL);
			} else {
				check_object_schema(schema, lists[i].name);
				checked++;
			}
		}
	assert_true(checked >= 11);
}

static void schemas_follow_one_another_without_a_gap(void **state)
{
	struct schema_list lists[LISTS_MAX];
	size_t count = all_lists(lists);

	(void)state;
	for (size_t i = 0; i < count; i++)
		for (size_t s = 0; s < lists[i].count; s++) {
			const struct schema *schema = &lists[i].schemas[s];

			assert_int_equal(schema->first_minor, s ? schema[-1].last_minor + 1 : MICROVERSION_MINOR_MIN);
			assert_ptr_equal(schema_for(lists[i].schemas, lists[i].count, schema->first_minor), schema);
			if (s + 1 == lists[i].count)
				assert_true(schema->last_minor >= MICROVERSION_MINOR_MAX);
			else
				assert_ptr_equal(schema_for(lists[i].schemas, lists[i].count, schema->last_minor),
						 schema);
		}
}

/* A good object with that text for one property. */
static void expect_text(const struct schema *schema, const char *property, const char *text, size_t times,
			const char *expected)
{
	CLEANUP_TEXT struct text value = TEXT_EMPTY;
	json_t *object = good_object(schema);

	text_append(&value, "");
	for (size_t i = 0; i < times; i++)
		text_append(&value, text);
	json_object_set_new(object, property, json_string(value.data));
	expect(schema, "x", object, expected);
}

static void texts_have_1_to_255_characters(void **state)
{
	struct schema_list lists[LISTS_MAX];
	size_t count = all_lists(lists), checked = 0;

	(void)state;
	for (size_t i = 0; i < count; i++)
		for (size_t s = 0; s < lists[i].count; s++)
			for (size_t p = 0; p < lists[i].schemas[s].property_count; p++) {
				const struct schema *schema = &lists[i].schemas[s];
				const struct schema_property *property = &schema->properties[p];
				bool is_words = property->kind == SCHEMA_WORDS;

				if (!is_words && property->kind != SCHEMA_HOST && property->kind != SCHEMA_HOST_NAME)
					continue;
				expect_text(schema, property->name, "a", 0, " is too short");
				expect_text(schema, property->name, "a", 1, NULL);
				expect_text(schema, property->name, "a", 255, NULL);
				expect_text(schema, property->name, "a", 256, " is too long");
				/* Characters, not bytes. */
				expect_text(schema, property->name, "\xc3\xa9", 255,
					    is_words ? NULL : " does not match '^[a-zA-Z0-9-._]*$'");
				expect_text(schema, property->name, "\xc3\xa9", 256,
					    is_words ? " is too long" : " does not match");
				checked++;
			}
	assert_true(checked >= 8);
}

static void a_host_has_letters_digits_and_three_marks(void **state)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	const struct schema *schema = schema_for(migrate_action.schemas, migrate_action.schema_count, 56);

	(void)state;
	for (char byte = 1; byte < 127; byte++) {
		const char text[] = { 'a', byte, 'b', '\0' };

		expect_text(schema, "host", text, 1, strchr(good, byte) ? NULL : " does not match");
	}
	/* As Python's $ has it: a newline may end it. */
	expect_text(schema, "host", "a\n", 1, NULL);
	expect_text(schema, "host", "a\n\n", 1, " does not match");
	expect_text(schema, "host", "\na", 1, " does not match");
}

static void words_of_a_list_are_taken_as_they_are_written(void **state)
{
	static const struct {
		const char *value, *words;
	} reboots[] = {
		{ "{\"type\": \"SOFT\"}", NULL },
		{ "{\"type\": \"Hard\"}", NULL },
		{ "{\"type\": \"hard\"}", NULL },
		{ "{\"type\": \"hArd\"}", "'hArd' is not one of ['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']" },
		{ "{\"type\": \"HARDX\"}", "'HARDX' is not one of" },
		{ "{\"type\": \"HAR\"}", "'HAR' is not one of" },
		{ "{\"type\": \"\"}", "'' is not one of" },
	};
	static const char *const states[] = { "{\"state\": \"ACTIVE\"}", "{\"state\": \"stopped\"}",
					      "{\"state\": \"\"}" };
	static const char *const statuses[] = { "{\"status\": \"Enabled\"}", "{\"status\": \"down\"}" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(reboots); i++)
		expect(reboot_action.schemas, "reboot", json_loads(reboots[i].value, 0, NULL), reboots[i].words);
	for (size_t i = 0; i < ARRAY_LENGTH(states); i++)
		expect(reset_state_action.schemas, "os-resetState", json_loads(states[i], 0, NULL), " is not one of");
	for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++)
		expect(schema_for(service_bodies.schemas, service_bodies.count, 53), NULL,
		       json_loads(statuses[i], 0, NULL), " is not one of");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(migrate_takes_anything_before_2_56_and_then_null_or_a_host),
		cmocka_unit_test(live_refuses_in_the_order_of_the_schema),
		cmocka_unit_test(every_schema_takes_its_own_properties_whole_and_no_others),
		cmocka_unit_test(schemas_follow_one_another_without_a_gap),
		cmocka_unit_test(texts_have_1_to_255_characters),
		cmocka_unit_test(a_host_has_letters_digits_and_three_marks),
		cmocka_unit_test(words_of_a_list_are_taken_as_they_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
