/* Every step that changes a host is written before it is begun, and after it before the next: where such a write fails nothing
 * goes on, the reason is not lost, and the job ends as always when the database takes it. One write fails at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/statement.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

#define WAIT_S  200
#define WAIT_MS 20000

/* A write that the database refuses, and what must not be done before it. */
struct refused_write {
	const char *write; /* of a trigger */
	const char *not_done; /* "operation host", or an operation on any host */
	const char *status; /* of the migration, which has failed by it; NULL: it goes on and ends well */
};

#define PHASE(name)     "UPDATE OF phase ON jobs WHEN NEW.phase = '" name "'"
#define EVENT(name)     "INSERT ON instance_action_events WHEN NEW.event = '" name "'"
#define EVENT_END(name) "UPDATE OF finish_us ON instance_action_events WHEN NEW.event = '" name "'"
#define STATUS(name)    "UPDATE OF status ON migrations WHEN NEW.status = '" name "'"
#define PLACE           "UPDATE OF host_id ON servers WHEN NEW.host_id IS NOT OLD.host_id"
#define INSERT(table)   "INSERT ON " table
#define DELETE(table)   "DELETE ON " table
#define WHOLE_VOLUME    "UPDATE OF is_complete ON volumes"
#define LEFTOVER        "remove_"

/* What was begun on hosts, as "operation host; " each. */
static struct {
	pthread_mutex_t mutex;
	char text[8192];
} begun = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void note_call(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	LOCK_SCOPE(&begun.mutex);
	size_t length = strlen(begun.text);

	(void)context;
	(void)uuid;
	if (!is_after)
		snprintf(begun.text + length, sizeof(begun.text) - length, "%s %s; ", operation, host);
}

static void forget_calls(struct worker_fixture *fixture)
{
	LOCK_SCOPE(&begun.mutex);

	begun.text[0] = '\0';
	simulated_set_hook(fixture->fleet, note_call, NULL);
}

static bool was_begun(const char *call)
{
	LOCK_SCOPE(&begun.mutex);

	return strstr(begun.text, call) != NULL;
}

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

static void refuse_write(struct worker_fixture *fixture, const char *write)
{
	CLEANUP_FREE char *sql = text_format("CREATE TEMP TRIGGER refusal BEFORE %s BEGIN SELECT RAISE(ABORT, 'the "
					     "write is refused'); END",
					     write);

	db_fixture_write(fixture->db, run_sql, sql);
}

static void take_writes(struct worker_fixture *fixture)
{
	db_fixture_write(fixture->db, run_sql, (char[]){ "DROP TRIGGER refusal" });
}

static void rest(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* With that reason, as an operator is shown it. */
static bool is_shown_waiting(struct worker_fixture *fixture, const struct worker_order *order)
{
	struct worker_waiting_list list = { 0 };
	bool is_shown = false;

	assert_int_equal(worker_list_waiting(fixture->worker, fixture->hosts[ONE], &list, NULL), 0);
	for (size_t i = 0; i < list.count; i++)
		is_shown = is_shown
			   || (list.items[i].job_id == order->job_id
			       && strstr(list.items[i].reason, "the write is refused"));
	worker_waiting_list_clear(&list);
	return is_shown;
}

/* Until the job waits for the write, or has failed by it. */
static void wait_for_refusal(struct worker_fixture *fixture, const struct worker_order *order,
			     const struct refused_write *refused)
{
	for (int i = 0; i < WAIT_MS && !is_shown_waiting(fixture, order); i++) {
		if (worker_fixture_has_ended(fixture, order)) {
			if (!refused->status)
				fail_msg("%s: the job ended without", refused->write);
			return;
		}
		rest();
	}
	if (!is_shown_waiting(fixture, order))
		fail_msg("%s: it is not shown that the job waits for that", refused->write);
}

static void wait_ended(struct worker_fixture *fixture, const struct worker_order *order)
{
	for (int second = 0; second < WAIT_S && !worker_fixture_has_ended(fixture, order); second++) {
		clock_manual_advance(fixture->db->clock, 1000000);
		rest();
		worker_fixture_wait_idle(fixture);
	}
	worker_fixture_wait_ended(fixture, order);
}

/* How the jobs of a kind begin, and end where nothing is refused. */
struct job_row {
	const char *kind;
	int to;
	bool is_of_resized;
	const char *vm_state, *status;
	int host;
};

static void try_write(struct worker_fixture *fixture, const struct job_row *job, const struct refused_write *refused)
{
	struct worker_order order =
		job->is_of_resized ? worker_fixture_resized(fixture) : worker_fixture_server(fixture, "vm", ONE);

	worker_fixture_wait_idle(fixture);
	forget_calls(fixture);
	refuse_write(fixture, refused->write);
	worker_fixture_order(fixture, &order, job->kind, ONE, job->to);
	if (!job->is_of_resized)
		worker_fixture_start(fixture);
	wait_for_refusal(fixture, &order, refused);
	if (was_begun(refused->not_done))
		fail_msg("%s %s: %s was begun: %s", job->kind, refused->write, refused->not_done, begun.text);
	take_writes(fixture);
	wait_ended(fixture, &order);
	worker_fixture_wait_no_chores(fixture);
	if (refused->status)
		worker_fixture_check(fixture, &order, "active", ONE, refused->status);
	else
		worker_fixture_check(fixture, &order, job->vm_state, job->host, job->status);
	assert_true(simulated_has_whole_disks(fixture->fleet, worker_host_names[refused->status ? ONE : job->host],
					      order.uuid));
}

static void try_writes(void **state, const struct job_row *job, const struct refused_write *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		try_write(*state, job, &rows[i]);
		if (i + 1 == count)
			break;
		worker_fixture_teardown(state);
		worker_fixture_setup(state);
	}
}

static void a_live_move_does_nothing_on_a_host_before_it_is_written(void **state)
{
	static const struct job_row job = { "live", TWO, false, "active", "completed", TWO };
	static const struct refused_write rows[] = {
		{ PHASE("choosing"), "check_live", NULL },
		{ EVENT("conductor_live_migrate_instance"), "check_live", NULL },
		{ INSERT("claims"), "check_live", NULL },
		{ PHASE("checking"), "check_live", NULL },
		{ EVENT("compute_check_can_live_migrate_destination"), "check_live", "error" },
		{ EVENT("compute_check_can_live_migrate_source"), "prepare_live", "error" },
		{ EVENT_END("compute_check_can_live_migrate_source"), "prepare_live", NULL },
		{ EVENT_END("conductor_live_migrate_instance"), "prepare_live", NULL },
		{ "UPDATE OF verdict_status ON jobs", "prepare_live", NULL },
		{ PHASE("preparing"), "prepare_live", NULL },
		{ STATUS("preparing"), "prepare_live", NULL },
		{ EVENT("compute_live_migration"), "prepare_live", "failed" },
		{ EVENT("compute_pre_live_migration"), "prepare_live", "failed" },
		{ INSERT("volumes"), "migrate_live", "failed" }, /* what may be there is not ours */
		{ EVENT_END("compute_pre_live_migration"), "migrate_live", "failed" },
		{ PHASE("moving"), "migrate_live", "failed" },
		{ STATUS("running"), "migrate_live", "failed" },
		{ EVENT_END("compute_live_migration"), LEFTOVER, NULL },
		{ PHASE("finishing"), LEFTOVER, NULL },
		{ EVENT("compute_post_live_migration_at_destination"), LEFTOVER, NULL },
		{ EVENT_END("compute_post_live_migration_at_destination"), LEFTOVER, NULL },
		{ PLACE, LEFTOVER, NULL },
		{ DELETE("claims"), LEFTOVER, NULL },
		{ STATUS("completed"), LEFTOVER, NULL },
		{ INSERT("chores"), LEFTOVER, NULL },
		{ "UPDATE OF finish_us ON instance_actions", LEFTOVER, NULL },
		{ PHASE("done"), LEFTOVER, NULL },
	};

	try_writes(state, &job, rows, ARRAY_LENGTH(rows));
}

static void a_cold_move_does_nothing_on_a_host_before_it_is_written(void **state)
{
	static const struct job_row job = { "cold", TWO, false, "resized", "finished", TWO };
	static const struct refused_write rows[] = {
		{ PHASE("choosing"), "check_cold", NULL },
		{ EVENT("conductor_migrate_server"), "check_cold", NULL },
		{ EVENT("cold_migrate"), "check_cold", NULL },
		{ INSERT("claims"), "check_cold", NULL },
		{ PHASE("checking"), "check_cold", NULL },
		{ EVENT("compute_prep_resize"), "check_cold", "error" },
		{ EVENT_END("compute_prep_resize"), "stop_guest", NULL },
		{ EVENT_END("cold_migrate"), "stop_guest", NULL },
		{ EVENT_END("conductor_migrate_server"), "stop_guest", NULL },
		{ PHASE("stopping"), "stop_guest", NULL },
		{ EVENT("compute_resize_instance"), "stop_guest", NULL },
		{ INSERT("kept_domains"), "stop_guest", "error" }, /* it would be the last of its definition */
		{ PHASE("copying"), "copy_cold", NULL },
		{ INSERT("volumes"), "define two", "error" },
		{ WHOLE_VOLUME, "define two", "error" },
		{ PHASE("defining"), "define two", NULL },
		{ PHASE("undefining"), "remove_guest one", NULL },
		{ EVENT_END("compute_resize_instance"), "start_guest two", NULL },
		{ PHASE("starting"), "start_guest two", NULL },
		{ PLACE, "start_guest two", NULL },
		{ EVENT("compute_finish_resize"), "start_guest two", NULL },
		{ EVENT_END("compute_finish_resize"), "remove_volume", NULL },
		{ PHASE("finishing"), "remove_volume", NULL },
		{ "UPDATE OF vm_state ON servers WHEN NEW.vm_state = 'resized'", "remove_volume", NULL },
		{ STATUS("finished"), "remove_volume", NULL },
		{ "UPDATE OF finish_us ON instance_actions", "remove_volume", NULL },
		{ PHASE("done"), "remove_volume", NULL },
	};

	try_writes(state, &job, rows, ARRAY_LENGTH(rows));
}

static void a_confirm_gives_nothing_up_before_it_is_written(void **state)
{
	static const struct job_row job = { "confirm", TWO, true, "active", "confirmed", TWO };
	static const struct refused_write rows[] = {
		{ PHASE("removing"), "verify_disks", NULL },
		{ EVENT("compute_confirm_resize"), "verify_disks", NULL },
		{ "UPDATE OF vm_state ON servers", LEFTOVER, NULL },
		{ DELETE("claims"), LEFTOVER, NULL },
		{ DELETE("kept_domains"), LEFTOVER, NULL },
		{ DELETE("volumes"), LEFTOVER, NULL },
		{ INSERT("chores"), LEFTOVER, NULL },
		{ STATUS("confirmed"), LEFTOVER, NULL },
		{ "UPDATE OF finish_us ON instance_actions", LEFTOVER, NULL },
		{ PHASE("done"), LEFTOVER, NULL },
	};

	try_writes(state, &job, rows, ARRAY_LENGTH(rows));
}

static void a_revert_does_nothing_on_a_host_before_it_is_written(void **state)
{
	static const struct job_row job = { "revert", TWO, true, "active", "reverted", ONE };
	static const struct refused_write rows[] = {
		{ PHASE("stopping"), "stop_guest", NULL },
		{ EVENT("compute_revert_resize"), "stop_guest", NULL },
		{ PHASE("defining"), "define", NULL },
		{ EVENT_END("compute_revert_resize"), "define", NULL },
		{ EVENT("compute_finish_revert_resize"), "define", NULL },
		{ PLACE, "define", NULL },
		{ INSERT("claims"), "define", NULL },
		{ PHASE("starting"), "start_guest", NULL },
		{ DELETE("kept_domains"), LEFTOVER, NULL },
		{ INSERT("chores"), LEFTOVER, NULL },
		{ STATUS("reverted"), LEFTOVER, NULL },
		{ PHASE("done"), LEFTOVER, NULL },
	};

	try_writes(state, &job, rows, ARRAY_LENGTH(rows));
}

static void a_power_action_does_nothing_on_its_host_before_it_is_written(void **state)
{
	static const struct job_row stop = { "stop", -1, false, "stopped", "", ONE };
	static const struct refused_write stop_rows[] = {
		{ PHASE("acting"), "stop_guest", NULL },
		{ EVENT("compute_stop_instance"), "stop_guest", NULL },
	};
	static const struct job_row reboot = { "reboot_hard", -1, false, "active", "", ONE };
	static const struct refused_write reboot_rows[] = {
		{ PHASE("stopping"), "stop_guest", NULL },
		{ EVENT("compute_reboot_instance"), "stop_guest", NULL },
		{ "UPDATE OF task_state ON servers WHEN NEW.task_state = 'reboot_started_hard'", "stop_guest", NULL },
		{ PHASE("starting"), "start_guest", NULL },
	};

	try_writes(state, &stop, stop_rows, ARRAY_LENGTH(stop_rows));
	worker_fixture_teardown(state);
	worker_fixture_setup(state);
	try_writes(state, &reboot, reboot_rows, ARRAY_LENGTH(reboot_rows));
}

/* Of a live move in the copy whose guest is on neither host any more. */
static struct worker_order lose_server(struct worker_fixture *fixture)
{
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);
	struct error *error = &fixture->db->error;

	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_set_phase(fixture, &order, "moving", TWO);
	if (simulated_by_hand_undefine(fixture->fleet, "one", order.uuid, error) < 0
	    || simulated_by_hand_power_off(fixture->fleet, "one", order.uuid, error) < 0)
		fail_msg("%s", error->text);
	return order;
}

static void read_server(struct worker_fixture *fixture, const struct worker_order *order, struct db_server *ret_server)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);

	assert_int_equal(db_server_by_uuid(session, order->uuid, ret_server, NULL), 0);
}

static void the_end_of_a_move_that_lost_its_server_is_written_whole_or_not_at_all(void **state)
{
	static const char *const writes[] = {
		"UPDATE OF vm_state ON servers WHEN NEW.vm_state = 'error'",
		"UPDATE OF fault_code ON servers WHEN NEW.fault_code = 500",
		"UPDATE OF error_cause ON servers WHEN NEW.error_cause = 'lost'",
		STATUS("error"),
		EVENT("compute_live_migration"),
		"UPDATE OF finish_us ON instance_actions",
		PHASE("done"),
	};

	for (size_t i = 0; i < ARRAY_LENGTH(writes); i++) {
		struct worker_fixture *fixture = *state;
		struct worker_order order = lose_server(fixture);
		const struct refused_write refused = { .write = writes[i] };
		CLEANUP_DB_SERVER struct db_server before = { 0 };
		CLEANUP_DB_SERVER struct db_server after = { 0 };

		refuse_write(fixture, writes[i]);
		worker_fixture_start(fixture);
		wait_for_refusal(fixture, &order, &refused);
		read_server(fixture, &order, &before);
		assert_string_equal(before.vm_state, "active");
		assert_string_equal(before.error_cause, "");
		assert_int_equal(before.fault.code, 0);
		take_writes(fixture);
		wait_ended(fixture, &order);
		worker_fixture_check(fixture, &order, "error", ONE, "error");
		read_server(fixture, &order, &after);
		assert_string_equal(after.error_cause, "lost");
		assert_int_equal(after.fault.code, 500);
		if (i + 1 == ARRAY_LENGTH(writes))
			break;
		worker_fixture_teardown(state);
		worker_fixture_setup(state);
	}
}

static struct {
	char text[1024];
} told;

static bool note_phase(void *context, const char *kind, const char *phase, bool is_written)
{
	size_t length = strlen(told.text);

	(void)context;
	(void)kind;
	snprintf(told.text + length, sizeof(told.text) - length, "%s%s ", phase, is_written ? "!" : "");
	return true;
}

/* Who stops a daemon between the two finds the step not begun, and its phase not written, or written. */
static void each_phase_is_told_before_it_is_written_and_after_it(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	told.text[0] = '\0';
	fixture->observer.on_phase = note_phase;
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_wait_idle(fixture);
	assert_string_equal(told.text, "choosing choosing! checking checking! preparing preparing! "
				       "moving moving! finishing finishing! done done! ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_live_move_does_nothing_on_a_host_before_it_is_written),
		TEST(each_phase_is_told_before_it_is_written_and_after_it),
		TEST(a_cold_move_does_nothing_on_a_host_before_it_is_written),
		TEST(a_confirm_gives_nothing_up_before_it_is_written),
		TEST(a_revert_does_nothing_on_a_host_before_it_is_written),
		TEST(the_end_of_a_move_that_lost_its_server_is_written_whole_or_not_at_all),
		TEST(a_power_action_does_nothing_on_its_host_before_it_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
