/* Opening: what is refused and with which words, and the way from an older schema to the newest. */
#include "base/cleanup.h"
#include "base/text.h"
#include "db/statement.h"
#include "db/upgrade.h"
#include "tests/unit/db_fixture.h"
#include "tests/unit/version_2.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int open_again(struct db_fixture *fixture)
{
	int result;

	db_close(fixture->database);
	fixture->database = NULL;
	result = db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error);
	if (result < 0)
		assert_null(fixture->database);
	return result;
}

static void write_file(const char *path, const char *content)
{
	CLEANUP_CLOSE int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, content, strlen(content)), strlen(content));
}

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

static void newer_schema_is_refused(void **state)
{
	struct db_fixture *fixture = *state;

	db_fixture_write(fixture, run_sql, (void *)"UPDATE schema_version SET version = 999");
	assert_int_equal(open_again(fixture), -ENOTSUP);
	assert_non_null(strstr(fixture->error.text, fixture->path));
	assert_non_null(strstr(fixture->error.text, "schema version 999"));
	assert_non_null(strstr(fixture->error.text, "start the newer program"));
}

static void reopened_database_keeps_its_rows(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t id = db_fixture_host(fixture, "compute-1");
	CLEANUP_DB_HOST struct db_host host = { 0 };

	OK(open_again(fixture));
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_host_by_id(session, id, &host, &fixture->error));
}

static void file_is_for_its_owner_alone(void **state)
{
	struct db_fixture *fixture = *state;
	struct stat status;

	assert_int_equal(stat(fixture->path, &status), 0);
	assert_int_equal(status.st_mode & 0077, 0);
}

static void other_programs_database_is_refused_and_left_alone(void **state)
{
	struct db_fixture *fixture = *state;
	char header_before[100];
	char header_after[100];

	db_fixture_write(fixture, run_sql, (void *)"DROP TABLE schema_version");
	db_close(fixture->database);
	fixture->database = NULL;
	for (int round = 0; round < 2; round++) {
		CLEANUP_CLOSE int descriptor = open(fixture->path, O_RDONLY);
		assert_int_equal(read(descriptor, round ? header_after : header_before, 100), 100);
		if (round == 0)
			assert_int_equal(open_again(fixture), -EINVAL);
	}
	assert_memory_equal(header_before, header_after, 100);
	assert_non_null(strstr(fixture->error.text, "belongs to another program"));
}

static void file_that_is_no_database_is_refused(void **state)
{
	struct db_fixture *fixture = *state;

	db_close(fixture->database);
	fixture->database = NULL;
	write_file(fixture->path,
		   "this is a letter to my aunt, and she would not like to see it changed; it is long enough "
		   "for a header of a hundred bytes\n");
	assert_int_equal(open_again(fixture), -EIO);
	assert_non_null(strstr(fixture->error.text, fixture->path));
	assert_non_null(strstr(fixture->error.text, "not a database"));
	assert_non_null(strstr(fixture->error.text, "restore a backup"));
}

static void damaged_pages_are_told(void **state)
{
	struct db_fixture *fixture = *state;
	char rubbish[4096];

	db_close(fixture->database);
	fixture->database = NULL;
	memset(rubbish, 0x5a, sizeof(rubbish));
	int descriptor = open(fixture->path, O_WRONLY);
	assert_int_equal(pwrite(descriptor, rubbish, sizeof(rubbish) - 100, 100), sizeof(rubbish) - 100);
	close(descriptor);
	assert_int_equal(open_again(fixture), -EIO);
	assert_non_null(strstr(fixture->error.text, "damaged"));
}

static void directory_that_is_missing_is_told(void **state)
{
	struct db_fixture *fixture = *state;
	struct database *database = NULL;

	assert_int_equal(
		db_open("/tmp/migrationd-no-such-directory/state.db", fixture->clock, NULL, &database, &fixture->error),
		-ENOENT);
	assert_null(database);
	assert_string_equal(fixture->error.text,
			    "cannot create the database /tmp/migrationd-no-such-directory/state.db (its directory "
			    "must exist and be writable): No such file or directory");
	assert_int_equal(db_open(fixture->directory, fixture->clock, NULL, &database, &fixture->error), -EINVAL);
}

static void file_without_permission_is_told(void **state)
{
	struct db_fixture *fixture = *state;

	db_close(fixture->database);
	fixture->database = NULL;
	chmod(fixture->path, 0000);
	if (geteuid() == 0) /* permissions do not bind root: another user tries */
		assert_int_equal(seteuid(65534), 0);
	int result = open_again(fixture);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(result, -EACCES);
	assert_non_null(strstr(fixture->error.text, fixture->path));
}

/* An upgrade of a small schema of the test's own. */
static const struct upgrade_step three_steps[] = {
	{ 1, NULL },
	{ 2, "ALTER TABLE things ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'" },
	{ 3, "UPDATE things SET colour = 'blue'" },
};
static const struct upgrade_step broken_steps[] = {
	{ 1, NULL },
	{ 2, "UPDATE things SET name = 'spoilt'" },
	{ 3, "UPDATE no_such_table SET colour = 'blue'" },
};
/* The step behind the broken one could be done. */
static const struct upgrade_step broken_midway_steps[] = {
	{ 1, NULL },
	{ 2, "UPDATE no_such_table SET colour = 'blue'" },
	{ 3, "UPDATE things SET name = 'spoilt'" },
};
static const struct upgrade_plan first_plan = { "CREATE TABLE things (name TEXT)", three_steps, 1, NULL };
static const struct upgrade_plan third_plan = { "CREATE TABLE things (name TEXT, colour TEXT)", three_steps, 3, NULL };
static const struct upgrade_plan broken_plan = { "CREATE TABLE things (name TEXT, colour TEXT)", broken_steps, 3,
						 NULL };
static const struct upgrade_plan broken_midway_plan = { "CREATE TABLE things (name TEXT, colour TEXT)",
							broken_midway_steps, 3, NULL };

/* Whatever became of an upgrade: no transaction is open, and references are enforced. */
static void check_is_as_opened(struct db_session *session)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;

	assert_true(sqlite3_get_autocommit(session->connection));
	assert_int_equal(statement_begin(session, "PRAGMA foreign_keys", NULL, &statement, NULL), 0);
	assert_int_equal(statement_step(statement, NULL), 1);
	assert_int_equal(statement_column_int64(statement, 0), 1);
}

/* A file beside the fixture's, brought to a plan's newest version. */
static int bring_to(struct db_fixture *fixture, const char *path, const struct upgrade_plan *plan, const char *sql)
{
	struct database database = { .path = (char *)path, .clock = fixture->clock };
	struct db_session *session = NULL;
	int version = -1;
	int result = session_open(&database, true, &session, &fixture->error);

	if (result == 0)
		result = upgrade_read_version(session, &version, &fixture->error);
	if (result == 0)
		result = upgrade_run(session, plan, version, &fixture->error);
	if (result == 0 && sql)
		result = statement_execute(session, sql, &fixture->error);
	if (session)
		check_is_as_opened(session);
	session_close(session);
	return result;
}

static void read_text(struct db_fixture *fixture, const char *path, const char *sql, char *ret_text, size_t size)
{
	struct database database = { .path = (char *)path, .clock = fixture->clock };
	struct db_session *session = NULL;

	OK(session_open(&database, false, &session, &fixture->error));
	{
		CLEANUP_STATEMENT struct statement *statement = NULL;

		OK(statement_begin(session, sql, NULL, &statement, &fixture->error));
		assert_int_equal(statement_step(statement, &fixture->error), 1);
		text_copy(ret_text, size, statement_column_text(statement, 0));
	}
	session_close(session);
}

static void old_schema_is_upgraded_after_a_backup(void **state)
{
	struct db_fixture *fixture = *state;
	char path[PATH_MAX + 16];
	char backup[PATH_MAX + 32];
	char text[32];

	snprintf(path, sizeof(path), "%s/old.db", fixture->directory);
	snprintf(backup, sizeof(backup), "%s.before-3", path);
	write_file(path, "");
	OK(bring_to(fixture, path, &first_plan, "INSERT INTO things (name) VALUES ('cup')"));
	assert_int_equal(access(backup, F_OK), -1);
	OK(bring_to(fixture, path, &third_plan, NULL));

	read_text(fixture, path, "SELECT colour FROM things WHERE name = 'cup'", text, sizeof(text));
	assert_string_equal(text, "blue");
	read_text(fixture, path, "SELECT version FROM schema_version", text, sizeof(text));
	assert_string_equal(text, "3");
	read_text(fixture, backup, "SELECT name FROM things", text, sizeof(text));
	assert_string_equal(text, "cup");
	read_text(fixture, backup, "SELECT version FROM schema_version", text, sizeof(text));
	assert_string_equal(text, "1");
	OK(bring_to(fixture, path, &third_plan, NULL));
}

static void upgrade_that_fails_changes_nothing(void **state)
{
	static const struct upgrade_plan *const plans[] = { &broken_plan, &broken_midway_plan };
	struct db_fixture *fixture = *state;
	char path[PATH_MAX + 16];
	char text[32];

	snprintf(path, sizeof(path), "%s/old.db", fixture->directory);
	write_file(path, "");
	OK(bring_to(fixture, path, &first_plan, "INSERT INTO things (name) VALUES ('cup')"));
	for (size_t i = 0; i < ARRAY_LENGTH(plans); i++) {
		assert_true(bring_to(fixture, path, plans[i], NULL) < 0);
		assert_non_null(strstr(fixture->error.text, "from schema version 1 to 3; it is unchanged"));
		assert_non_null(strstr(fixture->error.text, "no_such_table"));
		read_text(fixture, path, "SELECT name FROM things", text, sizeof(text));
		assert_string_equal(text, "cup");
		read_text(fixture, path, "SELECT version FROM schema_version", text, sizeof(text));
		assert_string_equal(text, "1");
	}
	OK(bring_to(fixture, path, &third_plan, NULL));
}

/* What a version 2 file may hold, and what becomes of it; each row's result is read after the upgrade. Ids of jobs: 1-2 a
 * move and the hard reboot behind it, 3-4 a move and the move behind it, 5-6 a cold migration and its confirm, 7 alone and in
 * the phase after the hand-over, 8 a revert, 9-11 three of one server, 12 finished, 13 another kind in a phase of that name. */
static const char rows_of_2[] =
	"INSERT INTO services VALUES (1, 's1', 'nova-compute', 'one', 'nova', 0, NULL, 0, 1, 1);"
	"INSERT INTO hosts (id, uuid, name, service_id, hypervisor_version, vcpus, memory_mb, disk_gb,"
	" cpu_allocation_ratio, ram_allocation_ratio, disk_allocation_ratio, reserved_memory_mb, reserved_disk_gb,"
	" failed_migrations, created_us, updated_us) VALUES (1, 'h1', 'one', 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1);"
	"INSERT INTO migrations SELECT value, 'm' || value, 's', 'running', 'live-migration', 'one', 'one', 'two', "
	"'two', '',"
	" 1, 1, 'u', 'p', 0, 0, 0, 0, 0, 0, 0, 1, 1 FROM json_each('[1, 2, 3, 4, 5]');"
	"UPDATE migrations SET status = 'accepted' WHERE id = 3;"
	"UPDATE migrations SET status = 'confirming' WHERE id = 4;"
	"UPDATE migrations SET status = 'completed' WHERE id = 5;"
	"INSERT INTO instance_actions SELECT value, 'a', 's', 'r', 'u', 'p', 10, 0, 10, NULL"
	" FROM json_each('[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]');"
	"INSERT INTO instance_action_events SELECT id, id, 'e', 'one', 10, 0, '', NULL, NULL FROM instance_actions;"
	"INSERT INTO instance_action_events VALUES (102, 2, 'e', 'one', 10, 11, 'Success', NULL, NULL);"
	"INSERT INTO jobs SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),"
	" json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[0]'), 'r', 1, 0, '', 0, 1, "
	"'', 0,"
	" 0, 0, 0, NULL, 0, NULL, NULL, 0, '', 0, 20, json_extract(value, '$[5]'), json_extract(value, '$[6]')"
	" FROM json_each('["
	"[1, \"live\", \"moving\", \"a\", 1, 30, 0], [2, \"reboot_hard\", \"\", \"a\", null, 0, 0],"
	"[3, \"live\", \"cleaning\", \"b\", 2, 30, 0], [4, \"live\", \"\", \"b\", 3, 40, 0],"
	"[5, \"cold\", \"starting\", \"c\", 4, 30, 0], [6, \"confirm\", \"\", \"c\", 4, 50, 0],"
	"[7, \"live\", \"cleaning\", \"d\", 5, 30, 0], [8, \"revert\", \"removing\", \"e\", null, 30, 0],"
	"[9, \"pause\", \"acting\", \"f\", null, 30, 0], [10, \"stop\", \"\", \"f\", null, 60, 0],"
	"[11, \"start\", \"\", \"f\", null, 0, 0], [12, \"live\", \"cleaning\", \"a\", null, 30, 31],"
	"[13, \"confirm\", \"removing\", \"g\", null, 30, 0]]');"
	"INSERT INTO claims VALUES (1, 1, 'b', 2, 1, 1, 1), (2, 1, 'b', 3, 1, 1, 1), (3, 1, 'c', 4, 1, 1, 1);"
	"INSERT INTO volumes VALUES (1, 1, 1, 'p', 'v', 1);";

/* The fixture's own path then holds a file of version 2. */
static void become_version_2(struct db_fixture *fixture, const char *sql)
{
	db_close(fixture->database);
	fixture->database = NULL;
	assert_int_equal(unlink(fixture->path), 0);
	OK(version_2_write(fixture->path, fixture->clock, sql, &fixture->error));
}

static void check_text(struct db_fixture *fixture, const char *sql, const char *expected)
{
	char text[4096];

	read_text(fixture, fixture->path, sql, text, sizeof(text));
	if (strcmp(text, expected) != 0)
		fail_msg("%s\ngives   %s\ninstead %s", sql, text, expected);
}

/* What a file is made of, each part in an order of its own: columns, references, constraints and indexes with their columns, the
 * conditions of indexes, ids that are never given twice, triggers and views. */
static const char *const parts_of_schema[] = {
	"SELECT group_concat(line, char(10)) FROM (SELECT tables.name || '.' || columns.name || ' ' || columns.type ||"
	" ' ' || columns.\"notnull\" || ' ' || COALESCE(columns.dflt_value, '-') || ' ' || columns.pk AS line"
	" FROM sqlite_schema AS tables JOIN pragma_table_xinfo(tables.name) AS columns"
	" WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%' ORDER BY line)",
	"SELECT group_concat(line, char(10)) FROM (SELECT tables.name || '.' || keys.\"from\" || ' ' || keys.\"table\" "
	"||"
	" '.' || keys.\"to\" || ' ' || keys.on_update || ' ' || keys.on_delete AS line"
	" FROM sqlite_schema AS tables JOIN pragma_foreign_key_list(tables.name) AS keys"
	" WHERE tables.type = 'table' ORDER BY line)",
	"SELECT group_concat(line, char(10)) FROM (SELECT tables.name || ' ' || indexes.origin || ' ' ||"
	" indexes.\"unique\" || ' ' || indexes.partial || ' ' || CASE indexes.origin WHEN 'c' THEN indexes.name ELSE "
	"'' END ||"
	" ' ' || (SELECT group_concat(COALESCE(columns.name, '-') || ' ' || columns.\"desc\" || ' ' || columns.coll)"
	" FROM pragma_index_xinfo(indexes.name) AS columns) AS line"
	" FROM sqlite_schema AS tables JOIN pragma_index_list(tables.name) AS indexes"
	" WHERE tables.type = 'table' ORDER BY line)",
	"SELECT group_concat(line, char(10)) FROM (SELECT replace(replace(replace(sql, char(10), ''), char(9), ''), ' "
	"', '')"
	" AS line FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY line)",
	"SELECT group_concat(name, char(10)) FROM (SELECT name FROM sqlite_schema WHERE sql LIKE '%AUTOINCREMENT%'"
	" ORDER BY name)",
	"SELECT COALESCE(group_concat(sql, char(10)), 'none') FROM (SELECT sql FROM sqlite_schema"
	" WHERE type NOT IN ('table', 'index') ORDER BY name)",
};

static void check_becomes_what_a_new_file_is(struct db_fixture *fixture,
					     void (*become_old)(struct db_fixture *fixture, const char *sql))
{
	static char of_new_file[ARRAY_LENGTH(parts_of_schema)][32768];
	static char of_old_file[32768];

	for (size_t i = 0; i < ARRAY_LENGTH(parts_of_schema); i++)
		read_text(fixture, fixture->path, parts_of_schema[i], of_new_file[i], sizeof(of_new_file[i]));
	become_old(fixture, NULL);
	OK(open_again(fixture));
	for (size_t i = 0; i < ARRAY_LENGTH(parts_of_schema); i++) {
		read_text(fixture, fixture->path, parts_of_schema[i], of_old_file, sizeof(of_old_file));
		assert_string_equal(of_old_file, of_new_file[i]);
	}
	assert_non_null(strstr(of_new_file[0], "chores.other_host_id BIGINT"));
	assert_non_null(strstr(of_new_file[1], "chores.host_id hosts.id"));
	assert_non_null(strstr(of_new_file[2], "chores c 1 0 chores_work"));
	assert_non_null(strstr(of_new_file[3], "'running(post-copy)'"));
	assert_non_null(strstr(of_new_file[4], "chores"));
}

static void version_2_becomes_what_a_new_file_is(void **state)
{
	check_becomes_what_a_new_file_is(*state, become_version_2);
}

/* What version 2 brought, taken away again. */
static const char back_to_1[] =
	"DROP INDEX jobs_action; DROP INDEX instance_actions_updated;"
	"DROP INDEX migrations_moving_source; DROP INDEX migrations_moving_dest;"
	"CREATE INDEX migrations_moving_source ON migrations (source_compute) WHERE status IN ('accepted', 'queued', "
	"'preparing', 'pre-migrating', 'running', 'migrating', 'post-migrating', 'reverting');"
	"CREATE INDEX migrations_moving_dest ON migrations (dest_compute) WHERE status IN ('accepted', 'queued', "
	"'preparing', 'pre-migrating', 'running', 'migrating', 'post-migrating', 'reverting');"
	"ALTER TABLE hosts DROP COLUMN migration_interface; ALTER TABLE hosts DROP COLUMN tunnel_interface;"
	"ALTER TABLE hosts DROP COLUMN interfaces; UPDATE schema_version SET version = 1";

static void become_version_1(struct db_fixture *fixture, const char *sql)
{
	become_version_2(fixture, sql);
	OK(version_2_write(fixture->path, fixture->clock, back_to_1, &fixture->error));
}

static void version_1_becomes_what_a_new_file_is(void **state)
{
	check_becomes_what_a_new_file_is(*state, become_version_1);
}

static void rows_of_version_1_are_kept(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_HOST struct db_host host = { 0 };

	become_version_1(fixture, rows_of_2);
	OK(open_again(fixture));
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_host_by_name(session, "one", &host, &fixture->error));
	assert_null(host.migration_interface);
	assert_null(host.interfaces);
	assert_false(host.is_gone);
	check_text(fixture, "SELECT COUNT(*) FROM jobs", "13");
	check_text(fixture, "SELECT version FROM schema_version", "3");
}

/* From each version, and in a new file. */
static void references_are_enforced_whatever_the_file_was(void **state)
{
	static void (*const ways[])(struct db_fixture *, const char *) = { NULL, become_version_1, become_version_2 };
	static const char *const refused[] = {
		"INSERT INTO claims (host_id, server_uuid, migration_id, vcpus, memory_mb, disk_gb)"
		" VALUES (77, 's', 1, 1, 1, 1)",
		"INSERT INTO kept_domains (host_id, server_uuid, migration_id, was_running, had_autostart)"
		" VALUES (77, 's', 1, 1, 1)",
		"INSERT INTO chores (kind, host_id, server_uuid, migration_id, other_host_id, pool, name, bytes,"
		" is_complete, reason, tries, created_us, updated_us)"
		" VALUES ('remove_guest', 77, 's', 1, 0, '', '', 0, 0, '', 0, 0, 0)",
		"DELETE FROM hosts",
		"DELETE FROM jobs",
	};
	struct db_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
		if (ways[i])
			ways[i](fixture, rows_of_2);
		OK(open_again(fixture));
		for (size_t j = 0; j < ARRAY_LENGTH(refused) - (ways[i] ? 0 : 2); j++)
			if (db_write(fixture->database, run_sql, (void *)refused[j], &fixture->error) != -EINVAL)
				fail_msg("way %zu: %s", i, refused[j]);
	}
}

/* An old file may hold what was written without them. */
static void file_with_a_reference_that_leads_nowhere_is_refused_and_unchanged(void **state)
{
	struct db_fixture *fixture = *state;

	become_version_2(fixture, rows_of_2);
	OK(version_2_write(
		fixture->path, fixture->clock,
		"PRAGMA foreign_keys = OFF; UPDATE claims SET host_id = 77 WHERE id = 1; PRAGMA foreign_keys = ON",
		&fixture->error));
	for (int round = 0; round < 2; round++) {
		assert_int_equal(open_again(fixture), -EIO);
		assert_non_null(strstr(fixture->error.text,
				       "after the upgrade a row of table claims refers to a missing row of hosts"));
		assert_non_null(strstr(fixture->error.text, "it is unchanged"));
		check_text(fixture, "SELECT version FROM schema_version", "2");
		check_text(fixture, "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'chores'", "0");
	}
}

/* As SQLite wants it for most changes of a table: made new, filled, and named as the old one. */
static void step_may_rebuild_a_table_that_others_refer_to(void **state)
{
	static const struct upgrade_step steps[] = {
		{ 1, NULL },
		{ 2, "CREATE TABLE rebuilt (id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
		     "INSERT INTO rebuilt SELECT id, name FROM parents; DROP TABLE parents;"
		     "ALTER TABLE rebuilt RENAME TO parents" },
	};
	static const char schema[] = "CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT);"
				     "CREATE TABLE children (parent BIGINT NOT NULL REFERENCES parents (id))";
	static const struct upgrade_plan first = { schema, steps, 1, NULL }, second = { schema, steps, 2, NULL };
	struct db_fixture *fixture = *state;
	char path[PATH_MAX + 16];
	char text[32];

	snprintf(path, sizeof(path), "%s/rebuilt.db", fixture->directory);
	write_file(path, "");
	OK(bring_to(fixture, path, &first,
		    "INSERT INTO parents VALUES (7, 'one'); INSERT INTO children VALUES (7), (7)"));
	OK(bring_to(fixture, path, &second, NULL));
	read_text(fixture, path, "SELECT COUNT(*) FROM children JOIN parents ON id = parent", text, sizeof(text));
	assert_string_equal(text, "2");
	assert_true(bring_to(fixture, path, &second, "DELETE FROM parents") < 0);
}

static void server_keeps_its_oldest_unfinished_job_in_version_3(void **state)
{
	struct db_fixture *fixture = *state;

	become_version_2(fixture, rows_of_2);
	OK(open_again(fixture));
	check_text(fixture, "SELECT group_concat(id) FROM (SELECT id FROM jobs WHERE finished_us = 0 ORDER BY id)",
		   "1,3,5,7,8,9,13");
	check_text(fixture,
		   "SELECT group_concat(id || ' ' || phase || ' ' || finished_us) FROM"
		   " (SELECT * FROM jobs WHERE id IN (2, 4, 6, 10, 11, 12) ORDER BY id)",
		   "2 done 20,4 done 40,6 done 50,10 done 60,11 done 20,12 cleaning 31");
	check_text(
		fixture,
		"SELECT group_concat(id || ' ' || finish_us || ' ' || updated_us || ' ' || COALESCE(message, '-')) FROM"
		" (SELECT * FROM instance_actions WHERE id IN (1, 2, 3, 4, 6, 10, 11) ORDER BY id)",
		"1 0 10 -,2 20 20 Error,3 0 10 -,4 40 40 Error,6 50 50 Error,10 60 60 Error,11 20 20 Error");
	check_text(fixture,
		   "SELECT group_concat(id || ' ' || finish_us || ' ' || result) FROM"
		   " (SELECT * FROM instance_action_events WHERE id IN (1, 2, 4, 102) ORDER BY id)",
		   "1 0 ,2 20 Error,4 40 Error,102 11 Success");
}

static void migrations_of_ended_jobs_end_in_version_3(void **state)
{
	struct db_fixture *fixture = *state;

	become_version_2(fixture, rows_of_2);
	OK(open_again(fixture));
	/* The confirm's migration is the cold migration's too, which goes on. */
	check_text(fixture, "SELECT group_concat(id || ' ' || status) FROM (SELECT * FROM migrations ORDER BY id)",
		   "1 running,2 running,3 error,4 confirming,5 completed");
	check_text(fixture, "SELECT group_concat(id) FROM (SELECT id FROM claims ORDER BY id)", "1,3");
}

static void confirm_that_was_ended_can_be_asked_for_again(void **state)
{
	struct db_fixture *fixture = *state;

	/* Another job is in front of it than that of the cold migration itself. */
	become_version_2(fixture, rows_of_2);
	OK(version_2_write(fixture->path, fixture->clock,
			   "UPDATE jobs SET kind = 'reboot_soft', migration_id = NULL WHERE id = 5", &fixture->error));
	OK(open_again(fixture));
	check_text(fixture, "SELECT status FROM migrations WHERE id = 4", "finished");
	check_text(fixture, "SELECT COUNT(*) FROM claims WHERE migration_id = 4", "1");
}

static void phases_after_the_hand_over_begin_from_the_one_before_in_version_3(void **state)
{
	struct db_fixture *fixture = *state;

	become_version_2(fixture, rows_of_2);
	OK(open_again(fixture));
	check_text(fixture,
		   "SELECT group_concat(id || ' ' || kind || ' ' || phase) FROM"
		   " (SELECT * FROM jobs WHERE finished_us = 0 ORDER BY id)",
		   "1 live moving,3 live moving,5 cold starting,7 live moving,8 revert stopping,9 pause acting,"
		   "13 confirm removing");
}

static void facts_new_in_version_3_are_not_known_of_old_rows(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_HOST struct db_host host = { .is_gone = true };
	CLEANUP_DB_VOLUMES struct db_volume_list volumes = { 0 };

	become_version_2(fixture, rows_of_2);
	OK(open_again(fixture));
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_host_by_id(session, 1, &host, &fixture->error));
	assert_false(host.is_gone);
	OK(db_volume_by_host(session, 1, &volumes, &fixture->error));
	assert_int_equal(volumes.count, 1);
	assert_true(volumes.items[0].is_complete);
	assert_int_equal(volumes.items[0].bytes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(newer_schema_is_refused),
		TEST(reopened_database_keeps_its_rows),
		TEST(file_is_for_its_owner_alone),
		TEST(other_programs_database_is_refused_and_left_alone),
		TEST(file_that_is_no_database_is_refused),
		TEST(damaged_pages_are_told),
		TEST(directory_that_is_missing_is_told),
		TEST(file_without_permission_is_told),
		TEST(old_schema_is_upgraded_after_a_backup),
		TEST(upgrade_that_fails_changes_nothing),
		TEST(version_2_becomes_what_a_new_file_is),
		TEST(version_1_becomes_what_a_new_file_is),
		TEST(rows_of_version_1_are_kept),
		TEST(references_are_enforced_whatever_the_file_was),
		TEST(file_with_a_reference_that_leads_nowhere_is_refused_and_unchanged),
		TEST(step_may_rebuild_a_table_that_others_refer_to),
		TEST(server_keeps_its_oldest_unfinished_job_in_version_3),
		TEST(migrations_of_ended_jobs_end_in_version_3),
		TEST(confirm_that_was_ended_can_be_asked_for_again),
		TEST(phases_after_the_hand_over_begin_from_the_one_before_in_version_3),
		TEST(facts_new_in_version_3_are_not_known_of_old_rows),
	};

	return cmocka_run_group_tests_name("db_upgrade", tests, NULL, NULL);
}
