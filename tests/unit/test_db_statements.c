/* Statements: what does not fit into one is refused before anything is written, and many shapes of them stay bounded. */
#include "base/cleanup.h"
#include "base/text.h"
#include "db/load.h"
#include "db/row.h"
#include "db/session.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SHAPES    400
#define KEPT_MAX  192
#define TEXT_OVER (STATEMENT_TEXT_MAX + 1)

/* A kind of row of the test's own, with words that the table hosts has. */
struct thing {
	int64_t id;
	char *uuid;
	char name[8];
};

static const struct row_column thing_columns[] = {
	COLUMN(struct thing, id, ROW_KEY),
	COLUMN(struct thing, uuid, 0),
	COLUMN(struct thing, name, 0),
};
static const struct row_type thing_row = ROW_TYPE("hosts", "thing", struct thing, thing_columns);

static void word_that_is_none_is_told(void **state)
{
	static const char *const words[] = { "$column", "$columnsx", "$", "$t", "$nonsense" };
	struct db_fixture *fixture = *state;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);

	for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
		CLEANUP_STATEMENT struct statement *statement = NULL;
		CLEANUP_FREE char *sql = text_format("SELECT %s FROM hosts", words[i]);
		CLEANUP_FREE char *told = text_format("SQL with an unknown word: %s FROM hosts", words[i]);

		assert_int_equal(statement_begin(session, sql, &thing_row, &statement, &fixture->error), -EINVAL);
		assert_string_equal(fixture->error.text, told);
	}
	CLEANUP_STATEMENT struct statement *statement = NULL;
	assert_int_equal(statement_begin(session, "SELECT $columns FROM hosts", NULL, &statement, &fixture->error),
			 -EINVAL);
	assert_null(statement);
}

static void text_that_is_longer_than_its_field_is_told_when_it_is_read(void **state)
{
	struct db_fixture *fixture = *state;
	struct thing thing = { 0 };
	int64_t fits = db_fixture_host(fixture, "1234567");
	int64_t is_longer = db_fixture_host(fixture, "12345678");
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);

	OK(row_by_id(session, &thing_row, "SELECT $columns FROM $table WHERE id = ?1", fits, &thing, &fixture->error));
	assert_string_equal(thing.name, "1234567");
	assert_int_equal(row_by_id(session, &thing_row, "SELECT $columns FROM $table WHERE id = ?1", is_longer, &thing,
				   &fixture->error),
			 -EIO);
	assert_string_equal(fixture->error.text, "the database's thing holds a longer name than 7 bytes: 1234567");
	assert_string_equal(thing.name, "1234567"); /* untouched */
	assert_int_equal(uuid_is_valid(thing.uuid), true);
	row_clear(&thing_row, &thing);
	assert_null(thing.uuid);

	/* In a list, too, and what was read before it is freed. */
	struct row_list rows = { 0 };
	assert_int_equal(row_list_by_number(session, &thing_row,
					    "SELECT $columns FROM $table WHERE id >= ?1 ORDER BY id", fits, &rows,
					    &fixture->error),
			 -EIO);
	assert_null(rows.items);
}

/* What is bound at first and is refused; the statement is well again afterwards. */
static void bind_beyond(struct statement *statement)
{
	statement_bind_int64(statement, 2, 1);
}

static void bind_broken_text(struct statement *statement)
{
	statement_bind_text(statement, 1, "\xc3\x28");
}

static void bind_long_name(struct statement *statement)
{
	statement_bind_name(statement, 1, "12345678", 8);
}

static void bind_long_text(struct statement *statement)
{
	CLEANUP_FREE char *text = malloc(TEXT_OVER + 1);

	assert_non_null(text);
	memset(text, 'x', TEXT_OVER);
	text[TEXT_OVER] = '\0';
	statement_bind_text(statement, 1, text);
}

static void bind_two_that_are_wrong(struct statement *statement)
{
	bind_broken_text(statement);
	bind_long_name(statement);
}

static void value_that_cannot_be_bound_refuses_its_statement_alone(void **state)
{
	static const struct {
		void (*bind)(struct statement *statement);
		const char *words;
	} cases[] = {
		{ bind_beyond, "value 2: column index out of range" },  { bind_broken_text, "value 1: not UTF-8" },
		{ bind_long_name, "12345678...: longer than 7 bytes" }, { bind_long_text, "value 1: longer than " },
		{ bind_two_that_are_wrong, "value 1: not UTF-8" }, /* the first of them is reported */
	};
	struct db_fixture *fixture = *state;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct statement *statement = NULL;

		OK(statement_begin(session, "SELECT ?1", NULL, &statement, &fixture->error));
		cases[i].bind(statement);
		assert_int_equal(statement_step(statement, &fixture->error), -EINVAL);
		assert_int_equal(fixture->error.code, EINVAL);
		if (!text_starts_with(fixture->error.text, cases[i].words))
			fail_msg("not \"%s\": %s", cases[i].words, fixture->error.text);
		statement_end(statement);
		OK(statement_begin(session, "SELECT ?1", NULL, &statement, &fixture->error));
		statement_bind_name(statement, 1, "1234567", 8);
		assert_int_equal(statement_step(statement, &fixture->error), 1);
		assert_string_equal(statement_column_text(statement, 0), "1234567");
		statement_end(statement);
	}
}

/* A list within a list asks the same question twice at a time. */
static void statement_that_is_in_use_is_made_a_second_time(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_STATEMENT struct statement *outer = NULL;
	static const char sql[] = "SELECT value FROM json_each('[1, 2, 3]')";
	size_t kept = 0;

	OK(statement_begin(session, sql, NULL, &outer, &fixture->error));
	for (int64_t i = 1; i <= 3; i++) {
		CLEANUP_STATEMENT struct statement *inner = NULL;

		assert_int_equal(statement_step(outer, &fixture->error), 1);
		OK(statement_begin(session, sql, NULL, &inner, &fixture->error));
		for (int64_t j = 1; j <= 3; j++) {
			assert_int_equal(statement_step(inner, &fixture->error), 1);
			assert_int_equal(statement_column_int64(inner, 0), j);
		}
		assert_int_equal(statement_column_int64(outer, 0), i);
		kept = session->statement_count;
	}
	assert_int_equal(session->statement_count, kept); /* the second ones were not kept */
}

/* Beyond the bound the least recently used one goes, but none that somebody holds. */
static void many_shapes_of_statements_stay_bounded(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_STATEMENT struct statement *held = NULL;

	OK(statement_begin(session, "SELECT 'held'", NULL, &held, &fixture->error));
	for (int i = 0; i < SHAPES; i++) {
		CLEANUP_STATEMENT struct statement *statement = NULL;
		CLEANUP_FREE char *sql = text_format("SELECT %d", i);

		OK(statement_begin(session, sql, NULL, &statement, &fixture->error));
		assert_int_equal(statement_step(statement, &fixture->error), 1);
		assert_int_equal(statement_column_int64(statement, 0), i);
		assert_true(session->statement_count <= KEPT_MAX);
	}
	assert_int_equal(session->statement_count, KEPT_MAX);
	assert_int_equal(statement_step(held, &fixture->error), 1);
	assert_string_equal(statement_column_text(held, 0), "held");
}

struct load {
	const char *table;
	struct db_load_value value;
};

static int load_row(struct db_session *session, void *context, struct error *error)
{
	const struct load *load = context;

	return db_load_row(session, load->table, &load->value, 1, error);
}

/* Names come into the SQL as they are. */
static void row_that_is_loaded_has_names_of_ours_alone(void **state)
{
	static const struct {
		struct load load;
		const char *words;
	} cases[] = {
		{ { "schema_version", { .column = "version" } }, "there is no table \"schema_version\" to load into" },
		{ { "", { .column = "id" } }, "there is no table \"\" to load into" },
		{ { "hosts", { .column = "" } }, "\"\" is no column of hosts" },
		{ { "hosts", { .column = "id\") VALUES (1) --" } }, "is no column of hosts" },
		{ { "hosts", { .column = "Id" } }, "\"Id\" is no column of hosts" },
	};
	struct db_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct load load = cases[i].load;

		assert_int_equal(db_write(fixture->database, load_row, &load, &fixture->error), -EINVAL);
		if (!strstr(fixture->error.text, cases[i].words))
			fail_msg("not \"%s\": %s", cases[i].words, fixture->error.text);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(word_that_is_none_is_told),
		TEST(text_that_is_longer_than_its_field_is_told_when_it_is_read),
		TEST(value_that_cannot_be_bound_refuses_its_statement_alone),
		TEST(statement_that_is_in_use_is_made_a_second_time),
		TEST(many_shapes_of_statements_stay_bounded),
		TEST(row_that_is_loaded_has_names_of_ours_alone),
	};

	return cmocka_run_group_tests_name("db_statements", tests, NULL, NULL);
}
