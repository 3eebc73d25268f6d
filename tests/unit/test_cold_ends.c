/* How a cold migration ends where somebody else had a hand in it: seen on both hosts, or set active while it waits for its
 * confirm. Nothing of it may stay behind, and no definition may go that is the last one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/servers.h"
#include "db/statement.h"
#include "server/worker/hypervisor.h"
#include "server/worker/invariants.h"
#include "tests/faults/scene.h"
#include "tests/faults/threads.h"
#include "tests/faults/verdict.h"

#define SETTLE_S 3600
#define PASS_S   60

/* Of a server that was moved from host one to host two. */
static struct scene scene;
static const struct scene_life cold = { .name = "cold", .kind = JOB_COLD };
static char *definition; /* that the source had */

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

static void write_rows(const char *sql)
{
	struct error error = { 0 };

	if (db_write(scene.database, run_sql, (void *)sql, &error) < 0)
		fail_msg("%s", error.text);
}

static void read_text(const char *sql, char *ret_text, size_t size)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_STATEMENT struct statement *statement = NULL;

	assert_int_equal(db_read_begin(scene.database, &session, NULL), 0);
	assert_int_equal(statement_begin(session, sql, NULL, &statement, NULL), 0);
	text_copy(ret_text, size, statement_step(statement, NULL) == 1 ? statement_column_text(statement, 0) : "");
}

#define CHECK_TEXT(sql, expected)                                                                                      \
	do {                                                                                                           \
		char found[128];                                                                                       \
		read_text(sql, found, sizeof(found));                                                                  \
		assert_string_equal(found, expected);                                                                  \
	} while (0)

/* Chores are tried after pauses, by threads that the clock does not wait for. */
static void wait_for_text(const char *sql, const char *expected)
{
	char found[128];

	for (int passed = 0; passed < SETTLE_S; passed += PASS_S) {
		read_text(sql, found, sizeof(found));
		if (text_equal(found, expected))
			return;
		scene_pass(&scene, PASS_S);
	}
	fail_msg("%s gives %s, not %s", sql, found, expected);
}

static struct hypervisor_host *open_host(size_t number)
{
	const struct hypervisor_address address = { .host_id = scene.host_ids[number],
						    .name = (char *)scene_hosts[number] };
	struct hypervisor_host *host = NULL;

	assert_int_equal(scene.fleet->operations->open_host(scene.fleet, &address, &host, NULL), 0);
	return host;
}

static int setup(void **state)
{
	(void)state;
	scene_begin(&scene, NULL);
	struct hypervisor_host *one = open_host(0);
	bool ignored;
	assert_int_equal(scene.fleet->operations->read_definition(one, scene.uuid, &definition, &ignored, NULL), 0);
	scene.fleet->operations->close_host(one);
	scene_order(&scene, &cold);
	assert_true(scene_settle(&scene, SETTLE_S));
	CHECK_TEXT("SELECT vm_state FROM servers", "resized");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(TAKE_POINTER(definition));
	scene_end(&scene);
	return 0;
}

/* As somebody does with virsh. */
static void start_on_source(void)
{
	struct hypervisor_host *one = open_host(0);

	assert_int_equal(scene.fleet->operations->define(one, definition, false, NULL), 0);
	assert_int_equal(scene.fleet->operations->start_guest(one, scene.uuid, false, NULL), 0);
	scene.fleet->operations->close_host(one);
}

static int insert_conflict(struct db_session *session, void *context, struct error *error)
{
	struct db_chore chore = { .kind = DB_CHORE_END_CONFLICT,
				  .host_id = scene.host_ids[0],
				  .other_host_id = scene.host_ids[1],
				  .migration_id = 1,
				  .reason = (char[]){ "the server was seen on both hosts of its migration" } };

	(void)context;
	TEXT_COPY(chore.server_uuid, scene.uuid);
	return db_chore_insert(session, &chore, error);
}

/* What a cold migration leaves that finds its server running on both hosts. */
static void make_conflict(void)
{
	struct error error = { 0 };

	start_on_source();
	write_rows("UPDATE servers SET vm_state = 'error', error_cause = 'both_hosts';"
		   "UPDATE migrations SET status = 'error'; DELETE FROM claims;");
	if (db_write(scene.database, insert_conflict, NULL, &error) < 0)
		fail_msg("%s", error.text);
	scene_pass(&scene, PASS_S);
	CHECK_TEXT("SELECT kind FROM chores", DB_CHORE_END_CONFLICT);
}

static void check_nothing_is_broken(void)
{
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };
	const struct invariants_parts parts = { .database = scene.database, .hypervisor = scene.bounded };
	struct error error = { 0 };

	if (invariants_check(&parts, &report, &error) < 0)
		fail_msg("%s", error.text);
	for (size_t i = 0; i < report.count; i++)
		fail_msg("%s: %s", report.items[i].invariant->name, report.items[i].found);
}

static void check_ended_on(const char *host)
{
	/* Whose disk is the right one a person said. */
	const struct verdict_case by_hand = { .flags = FAULT_MAY_DOUBLE, .has_ended_guest = true };
	struct simulated_disk_view ignored;
	char why[512];

	assert_true(scene_settle(&scene, SETTLE_S));
	enum verdict_kind verdict = verdict_of(&scene, &by_hand, why, sizeof(why));
	if (verdict != VERDICT_GOOD
	    && verdict != VERDICT_WORDLESS) /* the error was written without words, by make_conflict */
		fail_msg("%s", why);
	CHECK_TEXT("SELECT hosts.name FROM servers JOIN hosts ON hosts.id = servers.host_id", host);
	CHECK_TEXT("SELECT vm_state FROM servers", "active");
	CHECK_TEXT("SELECT COUNT(*) FROM kept_domains", "0");
	CHECK_TEXT("SELECT COUNT(*) FROM volumes", "0");
	for (size_t i = 0; i < SCENE_HOSTS; i++) {
		bool is_home = text_equal(scene_hosts[i], host);

		assert_int_equal(simulated_state(scene.fleet, scene_hosts[i], scene.uuid),
				 is_home ? GUEST_RUNNING : GUEST_ABSENT);
		assert_int_equal(simulated_disk_state(scene.fleet, scene_hosts[i], SCENE_DISK, &ignored), is_home);
	}
	check_nothing_is_broken();
}

static void conflict_that_the_target_wins_takes_the_saved_definition_with_it(void **state)
{
	(void)state;
	make_conflict();
	assert_true(scene_inject(&scene, SIMULATED_GUEST_POWERED_OFF, SCENE_SOURCE, NULL));
	check_ended_on(SCENE_TARGET);
}

static void conflict_that_the_source_wins_takes_the_saved_definition_with_it(void **state)
{
	(void)state;
	make_conflict();
	assert_true(scene_inject(&scene, SIMULATED_GUEST_POWERED_OFF, SCENE_TARGET, NULL));
	check_ended_on(SCENE_SOURCE);
}

/* Whatever the journal says of the copy: the source's disk was the whole one before the move. */
static void the_disk_of_a_conflicts_source_stays_while_the_target_has_no_whole_one(void **state)
{
	struct simulated_disk_view disk;

	(void)state;
	make_conflict();
	write_rows("UPDATE volumes SET is_complete = 0");
	assert_true(scene_inject(&scene, SIMULATED_VOLUME_GOES, SCENE_TARGET, SCENE_DISK));
	assert_true(scene_inject(&scene, SIMULATED_GUEST_POWERED_OFF, SCENE_SOURCE, NULL));
	wait_for_text("SELECT hosts.name FROM servers JOIN hosts ON hosts.id = servers.host_id", SCENE_TARGET);
	scene_pass(&scene, SETTLE_S);
	assert_true(simulated_disk_state(scene.fleet, SCENE_SOURCE, SCENE_DISK, &disk));
	CHECK_TEXT("SELECT group_concat(kind) FROM chores", DB_CHORE_REMOVE_VOLUME);
}

/* It would be gone with its QEMU. */
static void definition_of_a_guest_that_runs_without_one_is_given_back(void **state)
{
	(void)state;
	make_conflict();
	assert_true(scene_inject(&scene, SIMULATED_GUEST_UNDEFINED, SCENE_SOURCE, NULL));
	assert_true(scene_inject(&scene, SIMULATED_GUEST_POWERED_OFF, SCENE_TARGET, NULL));
	wait_for_text("SELECT group_concat(kind) FROM chores", DB_CHORE_GIVE_BACK_DEFINITION);
	CHECK_TEXT("SELECT COUNT(*) FROM kept_domains", "1");
	check_nothing_is_broken();

	assert_true(scene_inject(&scene, SIMULATED_GUEST_POWERED_OFF, SCENE_SOURCE, NULL));
	assert_int_equal(simulated_state(scene.fleet, SCENE_SOURCE, scene.uuid), GUEST_ABSENT);
	assert_true(scene_settle(&scene, SETTLE_S));
	assert_int_equal(simulated_state(scene.fleet, SCENE_SOURCE, scene.uuid), GUEST_SHUT_OFF);
	CHECK_TEXT("SELECT COUNT(*) FROM kept_domains", "0");
}

/* It names the source's disks: nobody but the source may get it, whatever the target has. */
static void definition_of_the_source_is_not_given_to_a_target_without_one(void **state)
{
	(void)state;
	make_conflict();
	assert_true(scene_inject(&scene, SIMULATED_GUEST_UNDEFINED, SCENE_TARGET, NULL));
	assert_true(scene_inject(&scene, SIMULATED_GUEST_POWERED_OFF, SCENE_SOURCE, NULL));
	wait_for_text("SELECT vm_state FROM servers", "active");
	CHECK_TEXT("SELECT hosts.name FROM servers JOIN hosts ON hosts.id = servers.host_id", SCENE_TARGET);
	CHECK_TEXT("SELECT COUNT(*) FROM chores WHERE kind = '" DB_CHORE_GIVE_BACK_DEFINITION "'", "0");
	CHECK_TEXT("SELECT COUNT(*) FROM kept_domains", "0");
	check_nothing_is_broken();
}

/* A look or a definition, on the source. */
static struct {
	pthread_mutex_t mutex;
	const char *
		broken_at; /* our link to the source breaks before this operation, and is back after it; NULL: at none */
	atomic_int looks, definitions;
} given_back = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void break_link_at_look(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	const struct simulated_place source = { .host = SCENE_SOURCE };
	LOCK_SCOPE(&given_back.mutex);

	(void)context;
	(void)uuid;
	if (!text_equal(host, SCENE_SOURCE))
		return;
	given_back.looks += text_equal(operation, "look") && is_after;
	given_back.definitions += text_equal(operation, "define") && is_after;
	if (text_equal(operation, given_back.broken_at))
		simulated_inject(scene.fleet, is_after ? SIMULATED_OUR_LINK_IS_BACK : SIMULATED_OUR_LINK_BREAKS,
				 &source, NULL);
}

static int insert_give_back(struct db_session *session, void *context, struct error *error)
{
	struct db_chore chore = { .kind = DB_CHORE_GIVE_BACK_DEFINITION,
				  .host_id = scene.host_ids[0],
				  .other_host_id = scene.host_ids[1],
				  .migration_id = 1,
				  .reason = (char[]){ "its definition could not be given back" } };

	(void)context;
	TEXT_COPY(chore.server_uuid, scene.uuid);
	return db_chore_insert(session, &chore, error);
}

/* Somebody may have the guest there by now. */
static void definition_is_given_back_to_no_host_that_could_not_be_asked_for_the_guest(void **state)
{
	struct error error = { 0 };

	(void)state;
	assert_true(scene_inject(&scene, SIMULATED_GUEST_POWERED_OFF, SCENE_TARGET, NULL));
	assert_true(scene_inject(&scene, SIMULATED_GUEST_UNDEFINED, SCENE_TARGET, NULL));
	write_rows("UPDATE servers SET vm_state = 'error', error_cause = 'lost', host_id = 1;"
		   "UPDATE migrations SET status = 'error'; DELETE FROM claims; DELETE FROM volumes;");
	given_back.broken_at = "look";
	given_back.looks = given_back.definitions = 0;
	simulated_set_hook(scene.fleet, break_link_at_look, NULL);
	if (db_write(scene.database, insert_give_back, NULL, &error) < 0)
		fail_msg("%s", error.text);
	for (int passed = 0; passed < SETTLE_S && given_back.looks < 2; passed += PASS_S)
		scene_pass(&scene, PASS_S);
	assert_in_range(given_back.looks, 2, 1000);
	assert_int_equal(given_back.definitions, 0);
	CHECK_TEXT("SELECT COUNT(*) FROM kept_domains", "1");

	pthread_mutex_lock(&given_back.mutex);
	given_back.broken_at = NULL;
	pthread_mutex_unlock(&given_back.mutex);
	wait_for_text("SELECT COUNT(*) FROM kept_domains", "0");
	assert_int_equal(given_back.definitions, 1);
	assert_int_equal(simulated_state(scene.fleet, SCENE_SOURCE, scene.uuid), GUEST_SHUT_OFF);
}

/* Somebody moved it there, with its definition. */
static void definition_of_a_guest_that_a_third_host_has_is_given_back_to_nobody(void **state)
{
	struct error error = { 0 };

	(void)state;
	assert_true(scene_inject(&scene, SIMULATED_GUEST_POWERED_OFF, SCENE_TARGET, NULL));
	assert_true(scene_inject(&scene, SIMULATED_GUEST_UNDEFINED, SCENE_TARGET, NULL));
	assert_int_equal(simulated_put_guest(scene.fleet, SCENE_OTHER, scene.uuid, GUEST_RUNNING, 1024, NULL), 0);
	write_rows("UPDATE servers SET vm_state = 'error', error_cause = 'lost', host_id = 1;"
		   "UPDATE migrations SET status = 'error'; DELETE FROM claims; DELETE FROM volumes;");
	if (db_write(scene.database, insert_give_back, NULL, &error) < 0)
		fail_msg("%s", error.text);
	wait_for_text("SELECT COUNT(*) FROM chores", "0");
	CHECK_TEXT("SELECT COUNT(*) FROM kept_domains", "0");
	assert_int_equal(simulated_state(scene.fleet, SCENE_SOURCE, scene.uuid), GUEST_ABSENT);
}

/* Its other host was given up, and the guest removed here: the definition is the last that there is of it. */
static void definition_of_a_conflict_that_no_host_won_is_given_back(void **state)
{
	(void)state;
	make_conflict();
	write_rows("UPDATE hosts SET is_gone = 1 WHERE name = '" SCENE_TARGET "'; UPDATE servers SET host_id = 1");
	assert_true(scene_inject(&scene, SIMULATED_LIBVIRTD_IS_GONE, SCENE_TARGET, NULL));
	assert_true(scene_inject(&scene, SIMULATED_GUEST_POWERED_OFF, SCENE_SOURCE, NULL));
	assert_true(scene_inject(&scene, SIMULATED_GUEST_UNDEFINED, SCENE_SOURCE, NULL));
	scene_restart(&scene);
	assert_true(scene_settle(&scene, SETTLE_S));
	assert_int_equal(simulated_state(scene.fleet, SCENE_SOURCE, scene.uuid), GUEST_SHUT_OFF);
	CHECK_TEXT("SELECT COUNT(*) FROM kept_domains", "0");
	CHECK_TEXT("SELECT COUNT(*) FROM volumes", "0");
}

static void refused_confirm_of_a_server_that_was_set_active_can_be_reverted(void **state)
{
	(void)state;
	assert_true(scene_inject(&scene, SIMULATED_GUEST_POWERED_OFF, SCENE_TARGET, NULL));
	assert_true(scene_inject(&scene, SIMULATED_GUEST_UNDEFINED, SCENE_TARGET, NULL));
	write_rows("UPDATE servers SET vm_state = 'active'");
	scene_order_end(&scene, JOB_CONFIRM);
	assert_true(scene_settle(&scene, SETTLE_S));
	CHECK_TEXT("SELECT status FROM migrations", "finished");
	CHECK_TEXT("SELECT vm_state FROM servers", "resized");

	scene_order_end(&scene, JOB_REVERT);
	assert_true(scene_settle(&scene, SETTLE_S));
	CHECK_TEXT("SELECT status FROM migrations", "reverted");
	check_ended_on(SCENE_SOURCE);
}

/* The confirm knows nothing of the admin who set it: what an admin said of a server stays. */
static void refused_confirm_of_a_server_that_was_set_to_error_leaves_it_so(void **state)
{
	(void)state;
	assert_true(scene_inject(&scene, SIMULATED_GUEST_POWERED_OFF, SCENE_TARGET, NULL));
	assert_true(scene_inject(&scene, SIMULATED_GUEST_UNDEFINED, SCENE_TARGET, NULL));
	write_rows("UPDATE servers SET vm_state = 'error', error_cause = 'admin'");
	scene_order_end(&scene, JOB_CONFIRM);
	assert_true(scene_settle(&scene, SETTLE_S));
	CHECK_TEXT("SELECT vm_state FROM servers", "error");
}

#define SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(conflict_that_the_target_wins_takes_the_saved_definition_with_it),
		SCENE_TEST(conflict_that_the_source_wins_takes_the_saved_definition_with_it),
		SCENE_TEST(the_disk_of_a_conflicts_source_stays_while_the_target_has_no_whole_one),
		SCENE_TEST(definition_of_a_guest_that_runs_without_one_is_given_back),
		SCENE_TEST(definition_of_the_source_is_not_given_to_a_target_without_one),
		SCENE_TEST(definition_is_given_back_to_no_host_that_could_not_be_asked_for_the_guest),
		SCENE_TEST(definition_of_a_guest_that_a_third_host_has_is_given_back_to_nobody),
		SCENE_TEST(definition_of_a_conflict_that_no_host_won_is_given_back),
		SCENE_TEST(refused_confirm_of_a_server_that_was_set_active_can_be_reverted),
		SCENE_TEST(refused_confirm_of_a_server_that_was_set_to_error_leaves_it_so),
	};

	threads_observe();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
