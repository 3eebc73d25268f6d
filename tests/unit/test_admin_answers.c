/* What an operator is told of a host and of a migration: members and values as the manual names them. How a guest moves, and which
 * jobs wait, is what the test says. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/statement.h"
#include "server/admin_host.h"
#include "server/admin_migration.h"
#include "server/admin_socket.h"
#include "server/worker/hypervisor.h"
#include "server/worker/worker.h"
#include "tests/unit/db_fixture.h"

#define MINUTE_US 60000000LL

/* In the worker's stead. */
static struct {
	int progress_result;
	struct move_progress progress;
	int waiting_result;
	int64_t waiting_jobs[4]; /* 0: no more */
	int64_t waiting_since_us;
} worker_says;

int __wrap_worker_progress(struct worker *worker, int64_t migration_id, struct move_progress *ret_progress);
int __wrap_worker_list_waiting(struct worker *worker, int64_t host_id, struct worker_waiting_list *ret_list,
			       struct error *error);

int __wrap_worker_progress(struct worker *worker, int64_t migration_id, struct move_progress *ret_progress)
{
	(void)worker;
	(void)migration_id;
	if (worker_says.progress_result == 0)
		*ret_progress = worker_says.progress;
	return worker_says.progress_result;
}

int __wrap_worker_list_waiting(struct worker *worker, int64_t host_id, struct worker_waiting_list *ret_list,
			       struct error *error)
{
	(void)worker;
	(void)host_id;
	if (worker_says.waiting_result < 0)
		return error_set(error, -worker_says.waiting_result, "nobody knows what waits");
	ret_list->items = calloc(ARRAY_LENGTH(worker_says.waiting_jobs), sizeof(*ret_list->items));
	for (size_t i = 0; i < ARRAY_LENGTH(worker_says.waiting_jobs) && worker_says.waiting_jobs[i]; i++)
		ret_list->items[ret_list->count++] =
			(struct worker_waiting){ worker_says.waiting_jobs[i], worker_says.waiting_since_us,
						 strdup("the host does not answer") };
	return 0;
}

static struct worker *const some_worker = (void *)&worker_says;

static int set_up(void **state)
{
	memset(&worker_says, 0, sizeof(worker_says));
	worker_says.progress_result = -ENOENT;
	return db_fixture_setup(state);
}

/* The answer must be this, and nothing more; the object is released. */
static void assert_told(json_t *answer, const char *expected)
{
	CLEANUP_FREE char *text = json_dumps(answer, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(answer);
	assert_string_equal(text, expected);
}

struct bytes {
	int64_t migration_id;
	struct db_progress memory, disk;
};

static int set_bytes(struct db_session *session, void *context, struct error *error)
{
	const struct bytes *bytes = context;

	return db_migration_set_progress(session, bytes->migration_id, &bytes->memory, &bytes->disk, error);
}

static json_t *show_migration(struct db_fixture *fixture, struct worker *worker, json_t *id)
{
	json_t *answer = NULL;

	OK(admin_migration_show(fixture->database, worker, id, &answer, &fixture->error));
	json_decref(id);
	return answer;
}

/* Of a guest that does not move now. Nothing is known where nothing was recorded; 0 bytes are known ones. */
static void a_migration_shows_the_bytes_that_were_recorded(void **state)
{
	static const struct {
		struct db_progress memory, disk;
		const char *shown_memory, *shown_disk;
	} rows[] = {
		{ { -1, -1, -1 }, { -1, -1, -1 }, "null", "null" },
		{ { 0, 0, 0 }, { -1, -1, -1 }, "{\"processed\":0,\"remaining\":0,\"total\":0}", "null" },
		{ { 9, 5, 4 },
		  { 0, 0, 0 },
		  "{\"processed\":5,\"remaining\":4,\"total\":9}",
		  "{\"processed\":0,\"remaining\":0,\"total\":0}" },
		{ { 9, 5, 4 },
		  { 70, 50, 20 },
		  "{\"processed\":5,\"remaining\":4,\"total\":9}",
		  "{\"processed\":50,\"remaining\":20,\"total\":70}" },
	};
	struct db_fixture *fixture = *state;
	char uuid[UUID_SIZE];

	db_fixture_server(fixture, "web", db_fixture_host(fixture, "one"), uuid);
	int64_t id = db_fixture_migration(fixture, uuid, "one", "two");
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct bytes bytes = { id, rows[i].memory, rows[i].disk };

		db_fixture_write(fixture, set_bytes, &bytes);
		json_t *answer = show_migration(fixture, some_worker, json_integer(id));
		CLEANUP_FREE char *migration_uuid = strdup(json_string_value(json_object_get(answer, "uuid")));
		CLEANUP_FREE char *expected = text_format(
			"{\"created_at\":\"2026-01-02T00:00:00.000000\",\"disk\":%s,\"id\":%" PRId64
			",\"memory\":%s,\"server\":\"%s\",\"source\":\"one\",\"status\":\"accepted\",\"target\":"
			"\"two\","
			"\"type\":\"live-migration\",\"updated_at\":\"2026-01-02T00:00:00.000000\",\"uuid\":\"%s\"}",
			rows[i].shown_disk, id, rows[i].shown_memory, uuid, migration_uuid);
		assert_true(uuid_is_valid(migration_uuid));
		assert_told(answer, expected);
	}
}

/* What was recorded is older. */
static void a_migration_under_way_shows_what_the_hypervisor_tells(void **state)
{
	struct db_fixture *fixture = *state;
	char uuid[UUID_SIZE];

	db_fixture_server(fixture, "web", db_fixture_host(fixture, "one"), uuid);
	int64_t id = db_fixture_migration(fixture, uuid, "one", "two");
	struct bytes bytes = { id, { 9, 5, 4 }, { 8, 7, 1 } };
	db_fixture_write(fixture, set_bytes, &bytes);
	worker_says.progress_result = 0;
	worker_says.progress = (struct move_progress){ .memory_total = 100,
						       .memory_processed = 60,
						       .memory_remaining = 40,
						       .disk_total = 0,
						       .bytes_per_s = 1000,
						       .dirty_bytes_per_s = 300,
						       .elapsed_ms = 4711,
						       .is_in_postcopy = true };
	json_t *answer = show_migration(fixture, some_worker, json_integer(id));
	assert_int_equal(json_object_size(answer), 11 + 4);
	CLEANUP_FREE char *memory = json_dumps(json_object_get(answer, "memory"), JSON_COMPACT | JSON_SORT_KEYS);
	CLEANUP_FREE char *disk = json_dumps(json_object_get(answer, "disk"), JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(memory, "{\"processed\":60,\"remaining\":40,\"total\":100}");
	assert_string_equal(disk, "{\"processed\":0,\"remaining\":0,\"total\":0}");
	assert_int_equal(json_integer_value(json_object_get(answer, "bytes_per_s")), 1000);
	assert_int_equal(json_integer_value(json_object_get(answer, "dirty_bytes_per_s")), 300);
	assert_int_equal(json_integer_value(json_object_get(answer, "elapsed_ms")), 4711);
	assert_true(json_is_true(json_object_get(answer, "is_in_postcopy")));
	json_decref(answer);
	worker_says.progress.is_in_postcopy = false;
	answer = show_migration(fixture, some_worker, json_integer(id));
	assert_true(json_is_false(json_object_get(answer, "is_in_postcopy")));
	json_decref(answer);
	answer = show_migration(fixture, NULL, json_integer(id)); /* where no worker runs */
	assert_int_equal(json_object_size(answer), 11);
	json_decref(answer);
}

static void a_migration_is_named_by_its_number_or_its_uuid(void **state)
{
	static const struct {
		const char *id;
		int result;
		const char *words;
	} rows[] = {
		{ "4711", -ENOENT, "4711" },
		{ "0", -EINVAL, "a migration is named by its number or its UUID, not \"0\"" },
		{ "one", -EINVAL, "a migration is named by its number or its UUID, not \"one\"" },
		{ "7e000000-0000-4000-8000-000000000002", -ENOENT, "7e000000-0000-4000-8000-000000000002" },
	};
	struct db_fixture *fixture = *state;
	char uuid[UUID_SIZE];

	db_fixture_server(fixture, "web", db_fixture_host(fixture, "one"), uuid);
	int64_t id = db_fixture_migration(fixture, uuid, "one", "two");
	CLEANUP_FREE char *number = text_format("%" PRId64, id);
	json_t *by_number = show_migration(fixture, NULL, json_integer(id));
	json_t *by_text = show_migration(fixture, NULL, json_string(number));
	json_t *by_uuid = show_migration(fixture, NULL, json_incref(json_object_get(by_number, "uuid")));
	assert_true(json_equal(by_number, by_text) && json_equal(by_number, by_uuid));
	json_decref(by_number);
	json_decref(by_text);
	json_decref(by_uuid);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct error error = { 0 };
		json_t *wanted = json_string(rows[i].id), *answer = NULL;

		assert_int_equal(admin_migration_show(fixture->database, NULL, wanted, &answer, &error),
				 rows[i].result);
		assert_non_null(strstr(error.text, rows[i].words));
		assert_null(answer);
		json_decref(wanted);
	}
}

static json_t *show_host(struct db_fixture *fixture, const char *name)
{
	json_t *answer = NULL;

	OK(admin_host_show(fixture->database, some_worker, name, &answer, &fixture->error));
	return answer;
}

static int insert_chore(struct db_session *session, void *context, struct error *error)
{
	return db_chore_insert(session, context, error);
}

static int fail_chore(struct db_session *session, void *context, struct error *error)
{
	return db_chore_note_failure(session, *(int64_t *)context, "it does not answer", error);
}

static void a_host_shows_its_chores_with_their_age_and_their_last_error(void **state)
{
	struct db_fixture *fixture = *state;
	char uuid[UUID_SIZE];
	int64_t host_id = db_fixture_host(fixture, "one");

	db_fixture_server(fixture, "web", host_id, uuid);
	struct db_chore guest = { .kind = DB_CHORE_REMOVE_GUEST,
				  .host_id = host_id,
				  .reason = strdup("it moved away") };
	struct db_chore volume = { .kind = DB_CHORE_REMOVE_VOLUME,
				   .host_id = host_id,
				   .pool = "default",
				   .name = "disk",
				   .reason = strdup("it was copied") };
	TEXT_COPY(guest.server_uuid, uuid);
	TEXT_COPY(volume.server_uuid, uuid);
	db_fixture_write(fixture, insert_chore, &guest);
	clock_manual_advance(fixture->clock, 2 * MINUTE_US);
	db_fixture_write(fixture, insert_chore, &volume);
	db_fixture_write(fixture, fail_chore, &volume.id);
	clock_manual_advance(fixture->clock, MINUTE_US);
	json_t *answer = show_host(fixture, "one");
	assert_int_equal(json_array_size(json_object_get(answer, "waiting_jobs")), 0);
	json_t *chores = json_incref(json_object_get(answer, "chores"));
	json_decref(answer);
	CLEANUP_FREE char *expected = text_format(
		"[{\"age_s\":180,\"id\":%" PRId64
		",\"kind\":\"remove_guest\",\"last_error\":null,\"pool\":null,\"reason\":"
		"\"it moved away\",\"server\":\"%s\",\"tries\":0,\"volume\":null},{\"age_s\":60,\"id\":%" PRId64
		",\"kind\":\"remove_volume\",\"last_error\":\"it does not answer\",\"pool\":\"default\",\"reason\":"
		"\"it was copied\",\"server\":\"%s\",\"tries\":1,\"volume\":\"disk\"}]",
		guest.id, uuid, volume.id, uuid);
	assert_told(chores, expected);
	db_chore_clear(&guest);
	db_chore_clear(&volume);
}

static int insert_job(struct db_session *session, void *context, struct error *error)
{
	return db_job_insert(session, context, error);
}

static int end_job(struct db_session *session, void *context, struct error *error)
{
	struct db_job *job = context;

	job->finished_us = db_now_us(session);
	return db_job_update(session, job, error);
}

/* One that has ended since it was listed, and one whose record is gone, wait no more; the others behind them do. */
static void a_host_shows_the_jobs_that_wait_and_no_longer_those_that_ended(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host_id = db_fixture_host(fixture, "one");
	struct db_job jobs[3] = { 0 };

	for (size_t i = 0; i < ARRAY_LENGTH(jobs); i++) {
		CLEANUP_FREE char *name = text_format("web-%zu", i);

		jobs[i] = (struct db_job){ .kind = "live", .phase = "accepted", .source_host_id = host_id };
		db_fixture_server(fixture, name, host_id, jobs[i].server_uuid);
		if (i == 2)
			jobs[i].migration_id = db_fixture_migration(fixture, jobs[i].server_uuid, "one", "two");
		db_fixture_write(fixture, insert_job, &jobs[i]);
	}
	db_fixture_write(fixture, end_job, &jobs[0]);
	worker_says.waiting_jobs[0] = jobs[0].id;
	worker_says.waiting_jobs[1] = 4711;
	worker_says.waiting_jobs[2] = jobs[1].id;
	worker_says.waiting_jobs[3] = jobs[2].id;
	worker_says.waiting_since_us = FIXTURE_START_US;
	clock_manual_advance(fixture->clock, MINUTE_US);
	json_t *answer = show_host(fixture, "one");
	json_t *waiting = json_incref(json_object_get(answer, "waiting_jobs"));
	json_decref(answer);
	CLEANUP_FREE char *expected = text_format(
		"[{\"id\":%" PRId64 ",\"kind\":\"live\",\"migration\":null,\"phase\":\"accepted\",\"reason\":"
		"\"the host does not answer\",\"server\":\"%s\",\"waiting_s\":60},{\"id\":%" PRId64
		",\"kind\":\"live\",\"migration\":%" PRId64
		",\"phase\":\"accepted\",\"reason\":\"the host does not answer\","
		"\"server\":\"%s\",\"waiting_s\":60}]",
		jobs[1].id, jobs[1].server_uuid, jobs[2].id, jobs[2].migration_id, jobs[2].server_uuid);
	assert_told(waiting, expected);
}

static int hide_jobs(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

/* Each of what is read of a host fails alone: the reason is reported, and no half of an answer. */
static void a_host_that_cannot_be_read_whole_is_told_with_the_reason(void **state)
{
	static const struct {
		char hide[64], show[64];
		const char *words;
	} rows[] = {
		{ "ALTER TABLE chores RENAME TO hidden", "ALTER TABLE hidden RENAME TO chores", "chores" },
		{ "ALTER TABLE claims RENAME TO hidden", "ALTER TABLE hidden RENAME TO claims", "claims" },
	};
	struct db_fixture *fixture = *state;
	struct error error = { 0 };
	json_t *answer = NULL;

	db_fixture_host(fixture, "one");
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct error why = { 0 };

		db_fixture_write(fixture, hide_jobs, (void *)rows[i].hide);
		assert_true(admin_host_show(fixture->database, some_worker, "one", &answer, &why) < 0);
		assert_non_null(strstr(why.text, rows[i].words));
		db_fixture_write(fixture, hide_jobs, (void *)rows[i].show);
	}
	worker_says.waiting_result = -EIO;
	assert_int_equal(admin_host_show(fixture->database, some_worker, "one", &answer, &error), -EIO);
	assert_string_equal(error.text, "nobody knows what waits");
	error = (struct error){ 0 };
	assert_int_equal(admin_host_show(fixture->database, some_worker, "none", &answer, &error), -ENOENT);
	assert_non_null(strstr(error.text, "none"));
	assert_null(answer);
}

/* Who asks does not wait for ever. */
static void a_daemon_that_takes_no_question_is_told(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_FREE char *path = text_format("%s/deaf.sock", fixture->directory);
	CLEANUP_FREE char *question = calloc(1, 16 << 20);
	CLEANUP_CLOSE int listening = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct error error = { 0 };
	char *answer = NULL;

	assert_non_null(question);
	memset(question, 'x', (16 << 20) - 1);
	assert_true(TEXT_COPY(address.sun_path, path));
	assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof(address)) | listen(listening, 1), 0);
	assert_true(admin_socket_ask_within(path, question, 1, &answer, &error) < 0);
	assert_true(text_starts_with(error.text, "cannot ask the daemon on "));
	assert_non_null(strstr(error.text, path));
	assert_null(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_daemon_that_takes_no_question_is_told, set_up, db_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_migration_shows_the_bytes_that_were_recorded, set_up,
						db_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_migration_under_way_shows_what_the_hypervisor_tells, set_up,
						db_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_migration_is_named_by_its_number_or_its_uuid, set_up,
						db_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_host_shows_its_chores_with_their_age_and_their_last_error, set_up,
						db_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_host_shows_the_jobs_that_wait_and_no_longer_those_that_ended, set_up,
						db_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_host_that_cannot_be_read_whole_is_told_with_the_reason, set_up,
						db_fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
