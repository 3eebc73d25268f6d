/* The database fails once under a job, at one statement after the other: the job comes to an end all the same, the guest stays
 * whole and in one place, and what is shown of it is true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sqlite3.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/database.h"
#include "db/statement.h"
#include "server/worker/hypervisor.h"
#include "tests/faults/scene.h"
#include "tests/faults/threads.h"
#include "tests/faults/verdict.h"

#define SETTLE_S 3600
#define STRIDE   29 /* with 1 as its argument the program tries all of them, which takes minutes */

static struct scene scene;
static int stride = STRIDE;

int __real_sqlite3_step(sqlite3_stmt *statement);
int __wrap_sqlite3_step(sqlite3_stmt *statement);

static pthread_t test_thread;
static atomic_int steps; /* that the daemon's threads took since it was set to 0 */
static atomic_int failing; /* the number of the one that fails; 0: none does */
static const char *_Atomic counted; /* only statements with these words count; NULL: all */
static char failed_sql[160];

/* What only holds a transaction together fails as its other statements do, and needs no life of its own. */
static bool counts(sqlite3_stmt *statement)
{
	static const char *const others[] = { "BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "SELECT version " };
	const char *sql = sqlite3_sql(statement);
	const char *words = atomic_load(&counted);

	if (pthread_equal(pthread_self(), test_thread) || (words && !strstr(sql, words)))
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
		if (strncmp(sql, others[i], strlen(others[i])) == 0)
			return false;
	return !text_equal(sql, "COMMIT") || sqlite3_txn_state(sqlite3_db_handle(statement), NULL) == SQLITE_TXN_WRITE;
}

int __wrap_sqlite3_step(sqlite3_stmt *statement)
{
	if (!counts(statement) || atomic_fetch_add(&steps, 1) + 1 != atomic_load(&failing))
		return __real_sqlite3_step(statement);
	TEXT_COPY(failed_sql, sqlite3_sql(statement));
	return SQLITE_IOERR;
}

static void fail_at(int number, const char *words)
{
	failed_sql[0] = '\0';
	atomic_store(&counted, words);
	atomic_store(&steps, 0);
	atomic_store(&failing, number);
}

/* How many there were; from now on none fails. */
static int stop_failing(void)
{
	atomic_store(&failing, 0);
	return atomic_exchange(&steps, 0);
}

/* True: it came so far. */
static bool lives_through(const struct scene_life *life, int number)
{
	const struct verdict_case as_it_is = { 0 };
	char why[512] = "it comes to no rest";

	scene_begin(&scene, NULL);
	scene_order(&scene, life);
	fail_at(number, NULL);
	bool is_at_rest = scene_settle(&scene, SETTLE_S);
	int count = stop_failing();
	enum verdict_kind verdict = is_at_rest ? verdict_of(&scene, &as_it_is, why, sizeof(why)) : VERDICT_ENDLESS;
	scene_end(&scene);
	if (verdict != VERDICT_GOOD)
		fail_msg("%s, at statement %d (%s): %s: %s", life->name, number, failed_sql, verdict_name(verdict),
			 why);
	return count >= number;
}

static void job_comes_to_a_good_end_though_a_statement_fails(void **state)
{
	int count = 0;

	(void)state;
	for (size_t i = 0; i < SCENE_LIVES; i++)
		for (int number = 1 + (int)i % stride; lives_through(&scene_lives[i], number); number += stride)
			count++;
	assert_true(count > 50);
}

static int insert_chore(struct db_session *session, void *context, struct error *error)
{
	return db_chore_insert(session, context, error);
}

/* That somebody else left there. */
static void write_chore(void)
{
	struct db_chore chore = { .kind = DB_CHORE_REMOVE_VOLUME,
				  .host_id = scene.host_ids[1],
				  .pool = "default",
				  .name = "left",
				  .reason = (char[]){ "a test" } };
	struct error error = { 0 };

	TEXT_COPY(chore.server_uuid, scene.uuid);
	if (db_write(scene.database, insert_chore, &chore, &error) < 0)
		fail_msg("%s", error.text);
}

static int64_t number_of(const char *sql)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_STATEMENT struct statement *statement = NULL;

	assert_int_equal(db_read_begin(scene.database, &session, NULL), 0);
	assert_int_equal(statement_begin(session, sql, NULL, &statement, NULL), 0);
	return statement_step(statement, NULL) == 1 ? statement_column_int64(statement, 0) : -1;
}

static void chore_is_done_though_its_reading_fails(void **state)
{
	(void)state;
	scene_begin(&scene, NULL);
	scene_order(&scene, &scene_lives[0]);
	assert_true(scene_settle(&scene, SETTLE_S));
	assert_int_equal(number_of("SELECT COUNT(*) FROM chores"), 0);
	fail_at(1, "SELECT id, kind, host_id");
	write_chore();
	scene_pass(&scene, 60);
	assert_true(stop_failing() > 1);
	assert_int_equal(number_of("SELECT COUNT(*) FROM chores"), 0);
	scene_end(&scene);
}

/* As somebody does with virsh. */
static void put_out(void)
{
	const struct hypervisor_address address = { .host_id = scene.host_ids[0], .name = (char *)SCENE_SOURCE };
	const struct hypervisor_operations *operations = scene.fleet->operations;
	struct hypervisor_host *host = NULL;

	assert_int_equal(operations->open_host(scene.fleet, &address, &host, NULL), 0);
	assert_int_equal(operations->stop_guest(host, scene.uuid, 0, NULL), 0);
	operations->close_host(host);
}

static void hosts_are_read_though_their_list_fails_at_the_start(void **state)
{
	int failed = 0;

	(void)state;
	for (int number = 1; number < 6; number++) {
		scene_begin(&scene, NULL);
		scene_start(&scene);
		scene_pass(&scene, 5);
		scene_stop(&scene);
		put_out();
		fail_at(number, "FROM hosts");
		scene_start_again(&scene);
		scene_pass(&scene, 2 * SCENE_READ_S);
		failed += stop_failing() >= number;
		if (number_of("SELECT power_state FROM servers") != 4)
			fail_msg("after failure %d (%s) its host was not read", number, failed_sql);
		scene_end(&scene);
	}
	assert_int_equal(failed, 5);
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(job_comes_to_a_good_end_though_a_statement_fails),
		cmocka_unit_test(chore_is_done_though_its_reading_fails),
		cmocka_unit_test(hosts_are_read_though_their_list_fails_at_the_start),
	};

	if (count > 1)
		stride = atoi(arguments[1]);
	test_thread = pthread_self();
	threads_observe();
	return cmocka_run_group_tests_name("worker_failures", tests, NULL, NULL);
}
