/* Whether the daemon can work, and what monitors are told: each reason alone makes it not ready, and nobody waits for a disk for
 * long. */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "db/statement.h"
#include "db/summary.h"
#include "server/probes.h"
#include "server/readiness.h"
#include "server/settings.h"
#include "tests/unit/db_fixture.h"
#include "tests/unit/file_faults.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/api.h"

/* What a question may take where the disk hangs, and after how long one that went wrong is asked again: a second, with some
 * more for a busy machine. */
#define WAITS_MS  900
#define AGAIN_MS  1100
#define LENGTH_MS 5000

struct fixture {
	struct file_faults *faults;
	struct db_fixture *db;
	struct readiness *readiness;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error error = { 0 };

	assert_non_null(fixture);
	fixture->faults = file_faults_install();
	db_fixture_setup((void **)&fixture->db);
	assert_int_equal(readiness_create(fixture->db->database, NULL, &fixture->readiness, &error), 0);
	readiness_enter(fixture->readiness, READINESS_SERVING);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	file_faults_set(fixture->faults, 0, false, SQLITE_OK);
	db_fixture_reopen(fixture->db); /* its last writes know the readiness */
	readiness_destroy(fixture->readiness);
	db_fixture_teardown((void **)&fixture->db);
	file_faults_remove(fixture->faults);
	free(fixture);
	return 0;
}

/* NULL: it is ready, and each check says so. */
static const char *reason_of(struct fixture *fixture, enum readiness_check check)
{
	struct readiness_found found;
	bool is_ready = readiness_ask(fixture->readiness, &found);

	for (size_t i = 0; i < READINESS_CHECK_MAX; i++)
		if (i != (size_t)check)
			assert_null(found.reasons[i]);
	assert_int_equal(is_ready, found.reasons[check] == NULL);
	return found.reasons[check];
}

static void assert_ready(struct fixture *fixture)
{
	assert_null(reason_of(fixture, READINESS_DAEMON));
}

static void a_daemon_that_serves_a_good_database_is_ready(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	struct readiness_found found;

	assert_true(readiness_ask(fixture->readiness, &found));
	assert_int_equal(found.count, READINESS_CHECK_MAX);
	readiness_tell(&found, &text);
	assert_string_equal(text.data, "{\"status\": \"ready\", \"checks\": {\"daemon\": {\"ok\": true}, "
				       "\"database\": {\"ok\": true}, \"hosts\": {\"ok\": true}}}\n");
}

static void a_daemon_that_starts_or_ends_is_not_ready_and_asks_nothing_else(void **state)
{
	static const struct {
		enum readiness_phase phase;
		const char *told;
	} rows[] = {
		{ READINESS_STARTING, "{\"status\": \"not ready\", \"checks\": {\"daemon\": {\"ok\": false, "
				      "\"reason\": \"it is starting\"}}}\n" },
		{ READINESS_ENDING, "{\"status\": \"not ready\", \"checks\": {\"daemon\": {\"ok\": false, "
				    "\"reason\": \"it is ending\"}}}\n" },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_TEXT struct text text = TEXT_EMPTY;
		struct readiness_found found;

		readiness_enter(fixture->readiness, rows[i].phase);
		assert_false(readiness_ask(fixture->readiness, &found));
		assert_int_equal(found.count, 1);
		readiness_tell(&found, &text);
		assert_string_equal(text.data, rows[i].told);
	}
	readiness_enter(fixture->readiness, READINESS_SERVING);
	assert_ready(fixture);
	readiness_enter(NULL, READINESS_ENDING);
}

static void a_new_one_is_starting(void **state)
{
	struct fixture *fixture = *state;
	struct readiness *readiness = NULL;
	struct readiness_found found;
	struct error error = { 0 };

	assert_int_equal(readiness_create(fixture->db->database, NULL, &readiness, &error), 0);
	assert_false(readiness_ask(readiness, &found));
	assert_string_equal(found.reasons[READINESS_DAEMON], "it is starting");
	readiness_destroy(readiness);
}

static void a_disk_that_fails_is_a_reason_until_it_is_well_again(void **state)
{
	static const struct {
		int result;
		const char *reason;
	} rows[] = {
		{ SQLITE_FULL, "the disk of the database is full" },
		{ SQLITE_IOERR, "the database cannot be written: the log tells why" },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct readiness *readiness = NULL;
		struct readiness_found found;
		struct error error = { 0 };

		assert_int_equal(readiness_create(fixture->db->database, NULL, &readiness, &error), 0);
		readiness_enter(readiness, READINESS_SERVING);
		file_faults_set(fixture->faults, 1, true, rows[i].result);
		assert_false(readiness_ask(readiness, &found));
		assert_null(found.reasons[READINESS_DAEMON]);
		assert_string_equal(found.reasons[READINESS_DATABASE], rows[i].reason);
		assert_null(found.reasons[READINESS_HOSTS]);
		file_faults_set(fixture->faults, 0, false, SQLITE_OK);
		assert_false(readiness_ask(readiness, &found)); /* it is believed for a second */
		usleep(AGAIN_MS * 1000);
		assert_true(readiness_ask(readiness, &found));
		db_fixture_write(fixture->db, db_write_nothing, NULL); /* behind those that know the readiness */
		readiness_destroy(readiness);
	}
}

/* A good write is believed for some seconds: a question does not write each time, however often it comes. */
static void a_write_that_went_well_is_believed_for_longer_than_one_that_failed(void **state)
{
	struct fixture *fixture = *state;
	int64_t before, after, writes;

	assert_ready(fixture);
	usleep(AGAIN_MS * 1000);
	db_statistics(fixture->db->database, &writes, &before);
	for (int i = 0; i < 5; i++)
		assert_ready(fixture);
	db_statistics(fixture->db->database, &writes, &after);
	assert_int_equal(after, before);
}

static size_t times_in(const char *text, const char *words)
{
	size_t count = 0;

	for (; (text = strstr(text, words)) != NULL; text += strlen(words))
		count++;
	return count;
}

/* The end of each is reported once, however often it is asked. */
static void a_disk_that_fails_is_logged_once_and_its_recovery_too(void **state)
{
	struct fixture *fixture = *state;
	FILE *file = tmpfile();
	struct log *log = log_create(fileno(file), LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG, clock_system());
	struct readiness *readiness = NULL;
	struct readiness_found found;
	struct error error = { 0 };
	char written[4096];

	assert_int_equal(readiness_create(fixture->db->database, log, &readiness, &error), 0);
	readiness_enter(readiness, READINESS_SERVING);
	assert_true(readiness_ask(readiness, &found));
	db_fixture_write(fixture->db, db_write_nothing, NULL);
	assert_int_equal(pread(fileno(file), written, sizeof(written), 0), 0); /* a good disk is nothing to tell */
	readiness_destroy(readiness);

	assert_int_equal(readiness_create(fixture->db->database, log, &readiness, &error), 0);
	readiness_enter(readiness, READINESS_SERVING);
	file_faults_set(fixture->faults, 1, true, SQLITE_FULL);
	for (int i = 0; i < 2; i++) {
		assert_false(readiness_ask(readiness, &found));
		usleep(AGAIN_MS * 1000);
	}
	file_faults_set(fixture->faults, 0, false, SQLITE_OK);
	assert_true(readiness_ask(readiness, &found));
	assert_true(readiness_ask(readiness, &found));
	db_fixture_write(fixture->db, db_write_nothing, NULL);
	ssize_t length = pread(fileno(file), written, sizeof(written) - 1, 0);
	assert_true(length > 0);
	written[length] = '\0';
	assert_int_equal(times_in(written, "the database cannot be written"), 1);
	assert_int_equal(times_in(written, "the database can be written again"), 1);
	assert_int_equal(times_in(written, "\n"), 2);
	readiness_destroy(readiness);
	log_destroy(log);
	fclose(file);
}

/* What is found is judged when the writer goes on, or a failure would wait for it without end. */
static void a_disk_that_hangs_is_a_reason_and_is_waited_for_a_second_at_most(void **state)
{
	struct fixture *fixture = *state;
	struct db_gate gate;
	struct readiness_found first, later;

	db_gate_stop_writer(&gate, fixture->db);
	int64_t begun_ms = clock_monotonic_ms(clock_system());
	bool is_ready = readiness_ask(fixture->readiness, &first);
	int64_t took_ms = clock_monotonic_ms(clock_system()) - begun_ms;
	for (int i = 0; i < 20; i++) /* who asks later does not wait again */
		is_ready = readiness_ask(fixture->readiness, &later) || is_ready;
	int64_t took_together_ms = clock_monotonic_ms(clock_system()) - begun_ms;
	db_gate_open(&gate);

	assert_false(is_ready);
	assert_string_equal(first.reasons[READINESS_DATABASE],
			    "a write to the database has not ended for more than a second");
	assert_string_equal(later.reasons[READINESS_DATABASE], first.reasons[READINESS_DATABASE]);
	assert_null(first.reasons[READINESS_DAEMON]);
	assert_null(first.reasons[READINESS_HOSTS]);
	assert_in_range(took_ms, WAITS_MS, LENGTH_MS);
	assert_true(took_together_ms < took_ms + LENGTH_MS);
	db_fixture_write(fixture->db, db_write_nothing, NULL);
	assert_ready(fixture);
}

/* A host with the state, which nobody had before. */
struct host_state {
	const char *name;
	bool is_up;
	bool is_disabled;
	bool is_forced_down;
};

static int insert_host(struct db_session *session, void *context, struct error *error)
{
	const struct host_state *state = context;
	struct db_host host = { .service = { .is_up = state->is_up,
					     .is_disabled = state->is_disabled,
					     .is_forced_down = state->is_forced_down } };

	TEXT_COPY(host.name, state->name);
	return db_host_insert(session, &host, error);
}

static void add_host(struct fixture *fixture, const struct host_state *host)
{
	struct host_state copy = *host;

	db_fixture_write(fixture->db, insert_host, &copy);
}

static void hosts_of_which_none_answers_are_a_reason(void **state)
{
	static const struct host_state silent[] = { { .name = "down-disabled", .is_disabled = true },
						    { .name = "forced", .is_up = true, .is_forced_down = true },
						    { .name = "down" } };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(silent); i++) {
		add_host(fixture, &silent[i]);
		usleep(AGAIN_MS * 1000); /* they are counted once a second */
		assert_string_equal(reason_of(fixture, READINESS_HOSTS), "no host answers");
	}
	add_host(fixture, &(struct host_state){ .name = "up-disabled", .is_up = true, .is_disabled = true });
	assert_string_equal(reason_of(fixture, READINESS_HOSTS), "no host answers");
	usleep(AGAIN_MS * 1000);
	assert_ready(fixture);
}

static void one_host_that_answers_is_enough(void **state)
{
	struct fixture *fixture = *state;

	add_host(fixture, &(struct host_state){ .name = "down" });
	add_host(fixture, &(struct host_state){ .name = "up", .is_up = true });
	assert_ready(fixture);
}

static int hide_hosts(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return statement_execute(session, "ALTER TABLE services RENAME TO hidden", error);
}

static void a_database_that_cannot_be_read_is_a_reason(void **state)
{
	struct fixture *fixture = *state;

	db_fixture_write(fixture->db, hide_hosts, NULL);
	assert_string_equal(reason_of(fixture, READINESS_HOSTS), "the database cannot be read: the log tells why");
}

static struct probes *make_probes(struct fixture *fixture, struct metrics *metrics,
				  const struct metrics_settings *settings)
{
	const struct probes_parts parts = { fixture->readiness, metrics, settings };
	struct probes *probes = NULL;
	struct error error = { 0 };

	assert_int_equal(probes_create(&parts, &probes, &error), 0);
	return probes;
}

/* 0: it is no such question. */
static int status_of(const struct probes *probes, const struct probe_request *request)
{
	struct api_reply reply = { 0 };
	enum http_probe probe = HTTP_PROBE_MAX;

	if (!probes_answer(probes, request, &reply, &probe))
		return 0;
	free(reply.body);
	return reply.status;
}

static void only_the_three_questions_are_answered_to_get_and_head(void **state)
{
	static const struct {
		const char *method;
		const char *target;
		int status;
	} rows[] = {
		{ "GET", "/healthz", 200 },
		{ "HEAD", "/healthz", 200 },
		{ "GET", "/readyz", 200 },
		{ "HEAD", "/readyz", 200 },
		{ "GET", "/metrics", 200 },
		{ "HEAD", "/metrics", 200 },
		{ "GET", "/readyz?full", 200 },
		{ "POST", "/healthz", 0 },
		{ "PUT", "/metrics", 0 },
		{ "get", "/healthz", 0 },
		{ "GET", "/healthz/", 0 },
		{ "GET", "/health", 0 },
		{ "GET", "/healthzz", 0 },
		{ "GET", "healthz", 0 },
		{ "GET", "/", 0 },
		{ "GET", "", 0 },
		{ "GET", "?/healthz", 0 },
		{ "GET", "//healthz", 0 },
	};
	struct fixture *fixture = *state;
	struct metrics *metrics = metrics_create();
	const struct metrics_settings settings = { .is_enabled = true };
	struct probes *probes = make_probes(fixture, metrics, &settings);

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct probe_request request = { rows[i].method, rows[i].target, .is_near = true };

		assert_int_equal(status_of(probes, &request), rows[i].status);
	}
	readiness_enter(fixture->readiness, READINESS_ENDING);
	assert_int_equal(status_of(probes, &(struct probe_request){ .method = "GET", .target = "/readyz" }), 503);
	assert_int_equal(status_of(probes, &(struct probe_request){ .method = "GET", .target = "/healthz" }), 200);
	/* Without what they need only the life is told. */
	assert_int_equal(status_of(NULL, &(struct probe_request){ .method = "GET", .target = "/healthz" }), 200);
	assert_int_equal(status_of(NULL, &(struct probe_request){ .method = "GET", .target = "/readyz" }), 0);
	assert_int_equal(
		status_of(NULL, &(struct probe_request){ .method = "GET", .target = "/metrics", .is_near = true }), 0);
	probes_destroy(probes);
	metrics_destroy(metrics);
}

static void metrics_are_told_where_they_are_to_be_told_alone(void **state)
{
	static const struct {
		struct metrics_settings settings;
		struct probe_request request;
		int status;
	} rows[] = {
		{ { .is_enabled = true }, { .is_near = true }, 200 },
		{ { .is_enabled = true }, { .is_near = false }, 403 },
		{ { .is_enabled = false }, { .is_near = true }, 0 },
		{ { .is_enabled = true, .address = "192.0.2.1" }, { .is_near = true }, 0 },
		{ { .is_enabled = true, .address = "192.0.2.1" }, { .is_near = true, .is_own_door = true }, 200 },
		{ { .is_enabled = false, .address = "192.0.2.1" }, { .is_near = true, .is_own_door = true }, 0 },
	};
	struct fixture *fixture = *state;
	struct metrics *metrics = metrics_create();

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct probes *probes = make_probes(fixture, metrics, &rows[i].settings);
		struct probe_request request = rows[i].request;

		request.method = "GET";
		request.target = "/metrics";
		assert_int_equal(status_of(probes, &request), rows[i].status);
		probes_destroy(probes);
	}
	metrics_destroy(metrics);
}

static void metrics_are_for_this_machine_and_the_named_networks(void **state)
{
	static const char *const near[] = { "127.0.0.1",        "127.255.255.255", "::1",
					    "::ffff:127.0.0.1", "198.51.100.127",  "2001:db8::7" };
	static const char *const far[] = { "126.255.255.255", "128.0.0.0",   "::2", "::",
					   "198.51.100.128",  "2001:db8::8", "",    "unknown" };
	static const char *allowed[] = { "198.51.100.0/25", "2001:db8::/125" };
	struct fixture *fixture = *state;
	const struct metrics_settings settings = { .is_enabled = true,
						   .allowed_networks = allowed,
						   .allowed_network_count = ARRAY_LENGTH(allowed) };
	struct probes *probes = make_probes(fixture, NULL, &settings);

	for (size_t i = 0; i < ARRAY_LENGTH(near); i++)
		assert_true(probes_are_for(probes, near[i]));
	for (size_t i = 0; i < ARRAY_LENGTH(far); i++)
		assert_false(probes_are_for(probes, far[i]));
	assert_false(probes_are_for(NULL, "127.0.0.1"));
	probes_destroy(probes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_daemon_that_serves_a_good_database_is_ready),
		TEST(a_daemon_that_starts_or_ends_is_not_ready_and_asks_nothing_else),
		TEST(a_new_one_is_starting),
		TEST(a_disk_that_fails_is_a_reason_until_it_is_well_again),
		TEST(a_write_that_went_well_is_believed_for_longer_than_one_that_failed),
		TEST(a_disk_that_fails_is_logged_once_and_its_recovery_too),
		TEST(a_disk_that_hangs_is_a_reason_and_is_waited_for_a_second_at_most),
		TEST(hosts_of_which_none_answers_are_a_reason),
		TEST(one_host_that_answers_is_enough),
		TEST(a_database_that_cannot_be_read_is_a_reason),
		TEST(only_the_three_questions_are_answered_to_get_and_head),
		TEST(metrics_are_told_where_they_are_to_be_told_alone),
		TEST(metrics_are_for_this_machine_and_the_named_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
