/* The database fails under a request: the client is told so, never that something is not there, and no change stays half done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <inttypes.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "db/session.h"
#include "file_faults.h"

struct world {
	struct api_fixture *fixture;
	struct file_faults *faults;
	FILE *log;
	/* Of the row under test. */
	char server[UUID_SIZE], service[UUID_SIZE], action[REQUEST_ID_SIZE];
	int64_t migration;
};

int __real_sqlite3_step(sqlite3_stmt *statement);
int __wrap_sqlite3_step(sqlite3_stmt *statement);

static atomic_int steps_left; /* until one fails; 0: none does */

/* The end of a snapshot comes after all that was read. */
static bool ends_snapshot(sqlite3_stmt *statement)
{
	return text_equal(sqlite3_sql(statement), "COMMIT")
	       && sqlite3_txn_state(sqlite3_db_handle(statement), NULL) != SQLITE_TXN_WRITE;
}

int __wrap_sqlite3_step(sqlite3_stmt *statement)
{
	if (!ends_snapshot(statement) && atomic_load(&steps_left) > 0 && atomic_fetch_sub(&steps_left, 1) == 1)
		return SQLITE_IOERR;
	return __real_sqlite3_step(statement);
}

static void fail_at(int step)
{
	atomic_store(&steps_left, step);
}

/* Whether it came so far; from now on none fails. */
static bool has_failed(void)
{
	return atomic_exchange(&steps_left, 0) == 0;
}

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	int result = sqlite3_exec(session->connection, context, NULL, NULL, NULL);

	return result == SQLITE_OK ? 0 : error_set(error, EIO, "%s", sqlite3_errmsg(session->connection));
}

static void run(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void run(struct world *world, const char *format, ...)
{
	char sql[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sql, sizeof(sql), format, arguments);
	va_end(arguments);
	db_fixture_write(world->fixture->db, run_sql, sql);
}

static int set_up(void **state)
{
	struct file_faults *faults = file_faults_install();

	if (api_fixture_setup_within(state, sizeof(struct world)) < 0)
		return -1;
	struct world *world = *state;
	world->faults = faults;
	world->log = tmpfile();
	assert_non_null(world->log);
	world->fixture->settings.log =
		log_create(fileno(world->log), LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG, world->fixture->db->clock);
	api_fixture_renew(world->fixture);
	db_fixture_host(world->fixture->db, "host1");
	db_fixture_host(world->fixture->db, "host2");
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	struct file_faults *faults = world->faults;
	struct log *log = world->fixture->settings.log;
	FILE *file = world->log;
	int result = api_fixture_teardown_within(state);

	log_destroy(log);
	fclose(file);
	file_faults_remove(faults);
	return result;
}

static int insert_action(struct db_session *session, void *context, struct error *error)
{
	struct world *world = context;
	struct db_action action = { .action = "live-migration" };

	request_id_make(world->action);
	TEXT_COPY(action.server_uuid, world->server);
	TEXT_COPY(action.request_id, world->action);
	int result = db_action_insert(session, &action, error);
	struct db_event event = { .action_id = action.id, .event = "compute_live_migration" };
	return result < 0 ? result : db_event_insert(session, &event, error);
}

static int insert_job(struct db_session *session, void *context, struct error *error)
{
	const struct world *world = context;
	struct db_job job = { .kind = "live", .migration_id = world->migration, .source_host_id = 1 };

	TEXT_COPY(job.server_uuid, world->server);
	return db_job_insert(session, &job, error);
}

/* With an instance action that is over. */
static void make_server(struct world *world)
{
	db_fixture_server(world->fixture->db, "vm", 1, world->server);
	db_fixture_write(world->fixture->db, insert_action, world);
}

/* It is on its way from host1 to host2. */
static void make_moving_server(struct world *world)
{
	make_server(world);
	world->migration = db_fixture_migration(world->fixture->db, world->server, "host1", "host2");
	db_fixture_write(world->fixture->db, insert_job, world);
	run(world, "UPDATE servers SET task_state = 'migrating' WHERE uuid = '%s'", world->server);
	run(world, "UPDATE migrations SET status = 'running' WHERE id = %" PRId64, world->migration);
}

/* It was moved from host1 to host2, and that waits for its confirm or revert. */
static void make_waiting_server(struct world *world)
{
	make_server(world);
	world->migration = db_fixture_migration(world->fixture->db, world->server, "host1", "host2");
	run(world, "UPDATE servers SET vm_state = 'resized', host_id = 2 WHERE uuid = '%s'", world->server);
	run(world, "UPDATE migrations SET status = 'finished', type = 'migration' WHERE id = %" PRId64,
	    world->migration);
}

static void make_empty_host(struct world *world)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	char name[UUID_SIZE];

	uuid_make(name);
	int64_t id = db_fixture_host(world->fixture->db, name);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(world->fixture->db);

	assert_int_equal(db_host_by_id(session, id, &host, NULL), 0);
	TEXT_COPY(world->service, host.service.uuid);
}

/* A path with the world's own ids in it. */
static char *path_of(const struct world *world, const char *pattern)
{
	CLEANUP_TEXT struct text path = TEXT_EMPTY;

	text_append(&path, "/v2.1");
	for (const char *at = pattern; *at; at++)
		if (text_starts_with(at, "{server}"))
			text_append(&path, world->server), at += strlen("{server}") - 1;
		else if (text_starts_with(at, "{migration}"))
			text_append_format(&path, "%" PRId64, world->migration), at += strlen("{migration}") - 1;
		else if (text_starts_with(at, "{action}"))
			text_append(&path, world->action), at += strlen("{action}") - 1;
		else if (text_starts_with(at, "{service}"))
			text_append(&path, world->service), at += strlen("{service}") - 1;
		else
			text_append_bytes(&path, at, 1);
	return text_take(&path);
}

static const struct api_answer *ask(struct world *world, const char *version, const char *method, const char *pattern,
				    const char *body)
{
	CLEANUP_FREE char *path = path_of(world, pattern);

	return api_fixture_ask(world->fixture, &api_admin, version, method, path, body);
}

static bool is_in_log(struct world *world, const char *request_id, const char *cause)
{
	static char written[1 << 20];
	ssize_t length = pread(fileno(world->log), written, sizeof(written) - 1, 0);

	assert_true(length >= 0);
	written[length] = '\0';
	const char *line = strstr(written, request_id);
	const char *end = line ? strchr(line, '\n') : NULL;
	const char *found = line ? strstr(line, cause) : NULL;
	return found && end && found < end;
}

/* Without a word about the database's inside; that is in the log under the id that the client got. */
static void expect_failed(struct world *world, const struct api_answer *answer, const char *where, const char *cause)
{
	const char *id = api_answer_header(answer, "x-compute-request-id");
	CLEANUP_FREE char *message = text_format(
		"The request failed inside the service. The log tells why under the request id %s.", id ? id : "");

	if (answer->status != 500 || !text_equal(answer->message, message))
		fail_msg("%s without %s: %d %s", where, cause, answer->status, answer->message);
	if (!is_in_log(world, id, cause))
		fail_msg("%s without %s: the log does not tell why", where, cause);
}

static void a_read_that_fails_is_told_as_a_failure_not_as_nothing_found(void **state)
{
	static const struct {
		const char *version, *path;
	} reads[] = {
		{ "2.90", "/servers" },
		{ "2.90", "/servers?name=vm" },
		{ "2.90", "/servers?marker={server}" },
		{ "2.90", "/servers/detail" },
		{ "2.90", "/servers/{server}" },
		{ "2.90", "/servers/{server}/migrations" },
		{ "2.90", "/servers/{server}/migrations/{migration}" },
		{ "2.90", "/servers/{server}/os-instance-actions" },
		{ "2.90", "/servers/{server}/os-instance-actions/{action}" },
		{ "2.90", "/servers/{server}/os-instance-actions?marker={action}" },
		{ "2.90", "/servers/nothing/os-instance-actions" },
		{ "2.90", "/os-migrations" },
		{ "2.90", "/os-services" },
		{ "2.90", "/os-hypervisors" },
		{ "2.52", "/os-hypervisors/detail" },
		{ "2.52", "/os-hypervisors/1" },
		{ "2.52", "/os-hypervisors/host/search" },
		{ "2.52", "/os-hypervisors/host/servers" },
		{ "2.52", "/os-hypervisors/statistics" },
		{ "2.52", "/os-hypervisors/1/uptime" },
		{ "2.90", "/os-hypervisors?with_servers=true" },
		{ "2.90", "/flavors" },
		{ "2.90", "/flavors/detail" },
		{ "2.90", "/flavors/small" },
		{ "2.90", "/flavors/small/os-extra_specs" },
	};
	struct world *world = *state;

	make_moving_server(world);
	run(world, "UPDATE hosts SET facts = '{\"booted_us\": 1}'");
	for (size_t i = 0; i < ARRAY_LENGTH(reads); i++) {
		CLEANUP_FREE char *version = text_format("compute %s", reads[i].version);

		for (int step = 1; fail_at(step), ask(world, version, "GET", reads[i].path, NULL), has_failed(); step++)
			expect_failed(world, &world->fixture->answer, reads[i].path, "state.db");
		if (world->fixture->answer.status >= 500)
			fail_msg("%s: %d %s", reads[i].path, world->fixture->answer.status,
				 world->fixture->answer.message);
	}
}

static int append_row(void *context, int count, char **values, char **names)
{
	for (int i = 0; i < count; i++)
		text_append_format(context, "%s=%s ", names[i], values[i] ? values[i] : "NULL");
	text_append(context, "\n");
	return 0;
}

/* All rows that requests change. */
static char *rows_of(struct world *world)
{
	static const char *const tables[] = {
		"services", "hosts", "servers", "migrations", "jobs", "instance_actions", "instance_action_events"
	};
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(world->fixture->db);
	CLEANUP_TEXT struct text rows = TEXT_EMPTY;

	for (size_t i = 0; i < ARRAY_LENGTH(tables); i++) {
		CLEANUP_FREE char *sql = text_format("SELECT * FROM %s ORDER BY id", tables[i]);

		assert_int_equal(sqlite3_exec(session->connection, sql, append_row, &rows, NULL), SQLITE_OK);
	}
	return text_take(&rows);
}

#define ACTION  "POST", "/servers/{server}/action"
#define ON_MOVE "/servers/{server}/migrations/{migration}"

static const struct change {
	void (*prepare)(struct world *world);
	const char *method, *path, *body;
	int status;
} changes[] = {
	{ make_server, ACTION, "{\"migrate\": {\"host\": \"host2\"}}", 202 },
	{ make_server, ACTION, "{\"os-migrateLive\": {\"host\": \"host2\", \"block_migration\": \"auto\"}}", 202 },
	{ make_waiting_server, ACTION, "{\"confirmResize\": null}", 204 },
	{ make_waiting_server, ACTION, "{\"revertResize\": null}", 202 },
	{ make_server, ACTION, "{\"lock\": null}", 202 },
	{ make_server, ACTION, "{\"unlock\": null}", 202 },
	{ make_server, ACTION, "{\"os-stop\": null}", 202 },
	{ make_server, ACTION, "{\"os-resetState\": {\"state\": \"error\"}}", 202 },
	{ make_moving_server, "DELETE", ON_MOVE, NULL, 202 },
	{ make_moving_server, "POST", ON_MOVE "/action", "{\"force_complete\": null}", 202 },
	{ make_empty_host, "PUT", "/os-services/{service}", "{\"status\": \"disabled\"}", 200 },
	{ make_empty_host, "DELETE", "/os-services/{service}", NULL, 204 },
};

static const struct api_answer *ask_for(struct world *world, const struct change *change)
{
	return ask(world, "compute 2.90", change->method, change->path, change->body);
}

static const char *name_of(const struct change *change)
{
	return change->body ? change->body : change->path;
}

/* So that the failures before were of what was broken, and nothing of them is left over. */
static void expect_done(struct world *world, const struct change *change)
{
	const struct api_answer *answer = ask_for(world, change);

	if (answer->status != change->status)
		fail_msg("%s: %d %s", name_of(change), answer->status, answer->message);
}

static void a_change_that_fails_at_any_step_of_the_database_leaves_nothing(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
		const struct change *change = &changes[i];

		change->prepare(world);
		CLEANUP_FREE char *before = rows_of(world);
		for (int step = 1; fail_at(step), ask_for(world, change), has_failed(); step++) {
			expect_failed(world, &world->fixture->answer, name_of(change), "state.db");
			CLEANUP_FREE char *after = rows_of(world);
			if (!text_equal(before, after))
				fail_msg("%s that fails at step %d leaves\n%s", name_of(change), step, after);
		}
		if (world->fixture->answer.status != change->status)
			fail_msg("%s: %d %s", name_of(change), world->fixture->answer.status,
				 world->fixture->answer.message);
	}
}

static void on_a_full_disk_nothing_is_changed_and_the_client_is_told_to_come_again(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
		const struct change *change = &changes[i];

		change->prepare(world);
		CLEANUP_FREE char *before = rows_of(world);
		file_faults_set(world->faults, 1, true, SQLITE_FULL);
		const struct api_answer *answer = ask_for(world, change);
		file_faults_set(world->faults, 0, false, SQLITE_OK);

		assert_string_equal(answer->message, "The disk of the database is full. Nothing was changed.");
		assert_int_equal(answer->status, 503);
		assert_string_equal(api_answer_header(answer, "Retry-After"), "5");
		CLEANUP_FREE char *after = rows_of(world);
		assert_string_equal(before, after);
		expect_done(world, change);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_read_that_fails_is_told_as_a_failure_not_as_nothing_found),
		TEST(a_change_that_fails_at_any_step_of_the_database_leaves_nothing),
		TEST(on_a_full_disk_nothing_is_changed_and_the_client_is_told_to_come_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
