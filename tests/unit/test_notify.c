/* Words to the service manager, as they come over its socket; and the watchdog, which is silent about a daemon that is stuck. */
#include "base/cleanup.h"
#include "base/text.h"
#include "db/statement.h"
#include "server/notify.h"
#include "server/watchdog.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define INTERVAL_MS 200
#define PATIENCE_MS 10000

static void sleep_ms(int64_t ms)
{
	usleep((useconds_t)ms * 1000);
}

/* The manager's end of the socket; the path lies beside the database. */
static int listen_as_manager(const struct db_fixture *fixture)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_true(descriptor >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", fixture->directory);
	unlink(address.sun_path);
	assert_int_equal(bind(descriptor, (const struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	return descriptor;
}

/* "" when nothing was said. */
static const char *heard(int descriptor)
{
	static char words[1024];
	ssize_t length = recv(descriptor, words, sizeof(words) - 1, 0);

	words[length > 0 ? length : 0] = '\0';
	return words;
}

static void stop_listening(const struct db_fixture *fixture, int descriptor)
{
	CLEANUP_FREE char *path = text_format("%s/notify", fixture->directory);

	close(descriptor);
	unlink(path);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void the_manager_hears_each_word(void **state)
{
	struct db_fixture *fixture = *state;
	int manager = listen_as_manager(fixture);

	notify_ready(NULL, "Serving on 127.0.0.1 port 8774\nWATCHDOG=trigger");
	assert_string_equal(heard(manager), "READY=1\nSTATUS=Serving on 127.0.0.1 port 8774");
	notify_reloading(NULL);
	const char *words = heard(manager);
	assert_true(text_starts_with(words, "RELOADING=1\nMONOTONIC_USEC="));
	notify_stopping(NULL, 60000);
	assert_true(text_starts_with(heard(manager), "STOPPING=1\nEXTEND_TIMEOUT_USEC=60000000\nSTATUS="));
	notify_alive(NULL);
	assert_string_equal(heard(manager), "WATCHDOG=1");
	stop_listening(fixture, manager);
}

static void without_a_manager_nothing_happens(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	notify_ready(NULL, "Serving");
	notify_alive(NULL);
	assert_int_equal(notify_watchdog_ms(NULL), 0);
}

static void the_watchdogs_time_is_for_this_process_alone(void **state)
{
	struct db_fixture *fixture = *state;
	int manager = listen_as_manager(fixture);
	CLEANUP_FREE char *own = text_format("%d", (int)getpid());

	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", own, 1);
	assert_int_equal(notify_watchdog_ms(NULL), 30000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_watchdog_ms(NULL), 0);
	stop_listening(fixture, manager);
}

static atomic_int signs;
static atomic_llong busy_ms;

static void count_sign(struct log *log)
{
	(void)log;
	atomic_fetch_add(&signs, 1);
}

static int64_t tell_busy(void *part)
{
	(void)part;
	return atomic_load(&busy_ms);
}

/* As the daemon does, until there are so many signs or the time is over; whether there are. */
static bool look_until(struct watchdog *watchdog, int count, int64_t for_ms)
{
	int64_t until_ms = clock_monotonic_ms(clock_system()) + for_ms;

	while (atomic_load(&signs) < count && clock_monotonic_ms(clock_system()) < until_ms)
		sleep_ms(watchdog_look(watchdog, 20));
	return atomic_load(&signs) >= count;
}

static void begin(struct watchdog *watchdog, struct db_fixture *fixture)
{
	atomic_store(&signs, 0);
	atomic_store(&busy_ms, 0);
	watchdog_init(watchdog, fixture->database, NULL, INTERVAL_MS, count_sign);
	watchdog_add_part(watchdog, "a part", tell_busy, NULL);
}

static void a_working_daemon_gives_a_sign_every_half_interval(void **state)
{
	struct watchdog watchdog;
	int64_t began_ms = clock_monotonic_ms(clock_system());

	begin(&watchdog, *state);
	assert_true(look_until(&watchdog, 5, PATIENCE_MS));
	assert_true(clock_monotonic_ms(clock_system()) - began_ms >= 4 * INTERVAL_MS / 2);
	assert_in_range(watchdog_look(&watchdog, 3000), 1, INTERVAL_MS / 2);
	db_fixture_reopen(*state); /* its last writes know the watchdog */
}

static void nobody_who_watches_gets_no_sign(void **state)
{
	struct db_fixture *fixture = *state;
	struct watchdog watchdog;

	atomic_store(&signs, 0);
	watchdog_init(&watchdog, fixture->database, NULL, 0, count_sign);
	for (int i = 0; i < 5; i++)
		assert_int_equal(watchdog_look(&watchdog, 3000), 3000);
	assert_int_equal(atomic_load(&signs), 0);
}

static void a_writer_that_stands_still_silences_it_until_it_goes_on(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_gate gate;
	struct watchdog watchdog;

	begin(&watchdog, fixture);
	assert_true(look_until(&watchdog, 1, PATIENCE_MS));
	db_gate_stop_writer(&gate, fixture);
	int before = atomic_load(&signs);
	assert_false(look_until(&watchdog, before + 1, 4 * INTERVAL_MS));
	assert_string_equal(watchdog.silent_about, "the database's writer");
	db_gate_open(&gate);
	assert_true(look_until(&watchdog, before + 2, PATIENCE_MS));
	assert_null(watchdog.silent_about);
	db_fixture_reopen(fixture);
}

static int write_nothing(struct db_session *session, void *context, struct error *error)
{
	(void)session;
	(void)context;
	(void)error;
	return 0;
}

/* Who looks seldom finds a write that was answered long ago, which is no silence. */
static void a_write_that_was_answered_between_two_looks_is_a_sign(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_gate gate;
	struct watchdog watchdog;

	begin(&watchdog, fixture);
	db_gate_stop_writer(&gate, fixture);
	watchdog_look(&watchdog, 20);
	db_gate_open(&gate);
	db_fixture_write(fixture, write_nothing, NULL); /* behind that of the watchdog */
	sleep_ms(INTERVAL_MS / 2 + 50);
	assert_int_equal(atomic_load(&signs), 0);
	watchdog_look(&watchdog, 20);
	assert_int_equal(atomic_load(&signs), 1);
	assert_null(watchdog.silent_about);
	db_fixture_reopen(fixture);
}

/* Often at first, so that the sign is not late; then as patiently as the pace allows, and never for longer than is asked. */
static void while_a_sign_is_overdue_it_is_looked_often_at_first(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_gate gate;
	struct watchdog watchdog;

	watchdog_init(&watchdog, fixture->database, NULL, 10000, count_sign);
	db_gate_stop_writer(&gate, fixture);
	int64_t at_first = watchdog_look(&watchdog, 3000), at_most = watchdog_look(&watchdog, 20);
	watchdog.asked_ms -= 1500;
	int64_t later = watchdog_look(&watchdog, 9000), later_at_most = watchdog_look(&watchdog, 3000);
	db_gate_open(&gate);
	db_fixture_reopen(fixture);
	assert_in_range(at_first, 1, 100);
	assert_int_equal(at_most, 20);
	assert_int_equal(later, 5000);
	assert_int_equal(later_at_most, 3000);
}

static void the_shortest_interval_has_a_pace_too(void **state)
{
	struct db_fixture *fixture = *state;
	static const struct {
		int64_t interval_ms, pace_ms;
	} rows[] = { { 0, 0 }, { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 2 }, { 30000, 15000 } };

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct watchdog watchdog;

		watchdog_init(&watchdog, fixture->database, NULL, rows[i].interval_ms, count_sign);
		assert_int_equal(watchdog.pace_ms, rows[i].pace_ms);
	}
}

static int fail_write(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return statement_execute(session, "DROP TABLE none_of_this_name", error);
}

static void a_write_that_fails_is_no_reason_for_silence(void **state)
{
	struct db_fixture *fixture = *state;
	struct watchdog watchdog;

	begin(&watchdog, fixture);
	for (int i = 0; i < 3; i++) {
		db_submit(fixture->database, fail_write, NULL, NULL);
		assert_true(look_until(&watchdog, i + 1, PATIENCE_MS));
	}
	db_fixture_reopen(fixture);
}

static void a_part_that_does_not_come_back_silences_it_until_it_does(void **state)
{
	struct watchdog watchdog;

	begin(&watchdog, *state);
	atomic_store(&busy_ms, INTERVAL_MS / 2); /* at work, but not for too long */
	assert_true(look_until(&watchdog, 2, PATIENCE_MS));
	atomic_store(&busy_ms, INTERVAL_MS / 2 + 1);
	int before = atomic_load(&signs);
	assert_false(look_until(&watchdog, before + 1, 4 * INTERVAL_MS));
	assert_string_equal(watchdog.silent_about, "a part");
	atomic_store(&busy_ms, 0);
	assert_true(look_until(&watchdog, before + 2, PATIENCE_MS));
	db_fixture_reopen(*state);
}

static int64_t busy_of_part(void *part)
{
	return *(const int64_t *)part;
}

/* Which of them it is makes no difference, and what the others do neither. */
static void any_of_several_parts_silences_it_alone(void **state)
{
	static const char *const names[WATCHDOG_PARTS_MAX] = { "one", "two", "three", "four" };
	struct db_fixture *fixture = *state;

	for (size_t stuck = 0; stuck < WATCHDOG_PARTS_MAX; stuck++) {
		int64_t busy[WATCHDOG_PARTS_MAX] = { 0 };
		struct watchdog watchdog;

		atomic_store(&signs, 0);
		watchdog_init(&watchdog, fixture->database, NULL, INTERVAL_MS, count_sign);
		for (size_t i = 0; i < WATCHDOG_PARTS_MAX; i++)
			watchdog_add_part(&watchdog, names[i], busy_of_part, &busy[i]);
		watchdog_add_part(&watchdog, "one too many", busy_of_part, &busy[0]);
		assert_true(look_until(&watchdog, 1, PATIENCE_MS));
		busy[stuck] = INTERVAL_MS;
		assert_false(look_until(&watchdog, 2, 2 * INTERVAL_MS));
		assert_string_equal(watchdog.silent_about, names[stuck]);
		busy[stuck] = 0;
		assert_true(look_until(&watchdog, 2, PATIENCE_MS));
		db_fixture_reopen(fixture); /* its last writes know the watchdog */
	}
}

int main(void)
{
#define WITH_DATABASE(test) cmocka_unit_test_setup_teardown(test, db_fixture_setup, db_fixture_teardown)
	const struct CMUnitTest tests[] = {
		WITH_DATABASE(the_manager_hears_each_word),
		cmocka_unit_test(without_a_manager_nothing_happens),
		WITH_DATABASE(the_watchdogs_time_is_for_this_process_alone),
		WITH_DATABASE(a_working_daemon_gives_a_sign_every_half_interval),
		WITH_DATABASE(nobody_who_watches_gets_no_sign),
		WITH_DATABASE(a_writer_that_stands_still_silences_it_until_it_goes_on),
		WITH_DATABASE(a_write_that_was_answered_between_two_looks_is_a_sign),
		WITH_DATABASE(while_a_sign_is_overdue_it_is_looked_often_at_first),
		WITH_DATABASE(the_shortest_interval_has_a_pace_too),
		WITH_DATABASE(a_write_that_fails_is_no_reason_for_silence),
		WITH_DATABASE(a_part_that_does_not_come_back_silences_it_until_it_does),
		WITH_DATABASE(any_of_several_parts_silences_it_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
