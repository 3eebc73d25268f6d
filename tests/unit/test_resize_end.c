/* Confirm and revert give up a copy of the server's disks only after a look at the other one: whatever happened to either while
 * the confirm was pending, the server keeps a whole copy where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/statement.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

static void inject(struct worker_fixture *fixture, enum simulated_fault fault, int host, const char *other,
		   const char *uuid)
{
	const struct simulated_place place = { .host = worker_host_names[host], .other = other, .uuid = uuid };

	if (simulated_inject(fixture->fleet, fault, &place, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
}

static void check_runs_whole(struct worker_fixture *fixture, const struct worker_order *order, int host)
{
	const char *name = worker_host_names[host];

	assert_int_equal(simulated_state(fixture->fleet, name, order->uuid), GUEST_RUNNING);
	assert_true(simulated_has_whole_disks(fixture->fleet, name, order->uuid));
}

/* What was done to the guest or its disks, as "operation host" each. */
static struct {
	pthread_mutex_t mutex;
	char text[512];
} done = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void note_change(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	static const char *const changes[] = { "stop_guest", "start_guest", "remove_guest", "remove_volume", "define" };
	LOCK_SCOPE(&done.mutex);

	(void)context;
	(void)uuid;
	for (size_t i = 0; i < ARRAY_LENGTH(changes) && !is_after; i++)
		if (text_equal(operation, changes[i]) && strlen(done.text) + 64 < sizeof(done.text)) {
			strcat(done.text, operation);
			strcat(done.text, " ");
			strcat(done.text, host);
			strcat(done.text, "; ");
		}
}

static void note_changes(struct worker_fixture *fixture)
{
	LOCK_SCOPE(&done.mutex);

	done.text[0] = '\0';
	simulated_set_hook(fixture->fleet, note_change, NULL);
}

static void check_not_done(const char *change)
{
	char text[sizeof(done.text)];

	pthread_mutex_lock(&done.mutex);
	TEXT_COPY(text, done.text);
	pthread_mutex_unlock(&done.mutex);
	if (strstr(text, change))
		fail_msg("%s was done: %s", change, text);
}

static int set_source_place(struct db_session *session, void *context, struct error *error)
{
	const struct worker_order *order = ((void **)context)[0];
	const struct worker_fixture *fixture = ((void **)context)[1];

	return db_server_set_place(session, order->uuid, fixture->hosts[ONE], 1, error);
}

/* Somebody moves it from two back to one, where its disk goes on, and the copy on two goes; discovery sees it there. */
static void move_back_by_hand(struct worker_fixture *fixture, struct worker_order *order)
{
	void *both[] = { order, fixture };

	inject(fixture, SIMULATED_GUEST_MOVED, TWO, "one", order->uuid);
	db_fixture_write(fixture->db, set_source_place, both);
	worker_fixture_check_places(fixture, order, "1", "1");
	check_runs_whole(fixture, order, ONE);
}

static void a_revert_of_a_server_that_was_moved_back_by_hand_takes_nothing_away(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	move_back_by_hand(fixture, &order);
	note_changes(fixture);
	worker_fixture_order(fixture, &order, "revert", ONE, TWO);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check(fixture, &order, "active", ONE, "reverted");
	worker_fixture_check_places(fixture, &order, "1", "1");
	check_runs_whole(fixture, &order, ONE);
	check_not_done("stop_guest one");
	check_not_done("remove_volume one");
}

static void a_confirm_of_a_server_that_was_moved_back_by_hand_takes_nothing_away(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	move_back_by_hand(fixture, &order);
	note_changes(fixture);
	worker_fixture_order(fixture, &order, "confirm", ONE, TWO);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "1", "1");
	check_runs_whole(fixture, &order, ONE);
	check_not_done("remove_volume one");
}

static void confirm_is_refused(struct worker_fixture *fixture, struct worker_order *order, const char *words)
{
	note_changes(fixture);
	worker_fixture_order(fixture, order, "confirm", ONE, TWO);
	worker_fixture_wait_ended(fixture, order);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check(fixture, order, "resized", TWO, "finished"); /* the way back stays open */
	worker_fixture_check_told(fixture, order, words);
	check_not_done("remove");
}

static int set_autostart(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return statement_execute(session, "UPDATE kept_domains SET had_autostart = 1", error);
}

/* What is done to the target's guest in the confirm comes after the look at its disks. */
static void a_confirm_keeps_the_sources_disk_when_the_targets_copy_is_gone(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	db_fixture_write(fixture->db, set_autostart, NULL);
	inject(fixture, SIMULATED_VOLUME_GOES, TWO, order.disk, NULL);
	confirm_is_refused(fixture, &order, order.disk);
	worker_fixture_check_places(fixture, &order, "2", "1");
}

static void a_confirm_keeps_the_sources_disk_when_the_target_has_not_the_server(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	inject(fixture, SIMULATED_GUEST_POWERED_OFF, TWO, NULL, order.uuid);
	inject(fixture, SIMULATED_GUEST_UNDEFINED, TWO, NULL, order.uuid);
	confirm_is_refused(fixture, &order, "is not on host two any more");
	worker_fixture_check_places(fixture, &order, "", "12");
}

/* Not known is not gone: it is asked again, and until then nothing is removed. */
static void a_confirm_waits_for_a_target_that_does_not_answer_and_removes_nothing_meanwhile(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	simulated_set_host_up(fixture->fleet, "two", false);
	worker_fixture_order(fixture, &order, "confirm", ONE, TWO);
	worker_fixture_wait_phase(fixture, &order, "removing");
	worker_fixture_wait_idle(fixture);
	assert_false(worker_fixture_has_ended(fixture, &order));
	worker_fixture_check_places(fixture, &order, "2", "12");
	simulated_set_host_up(fixture->fleet, "two", true);
	clock_manual_advance(fixture->db->clock, 5000000);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check(fixture, &order, "active", TWO, "confirmed");
	worker_fixture_check_places(fixture, &order, "2", "2");
	check_runs_whole(fixture, &order, TWO);
}

/* The look at the moment of the confirm is not enough: the disk is removed by a chore, which may come to it much later. */
static void the_sources_disk_stays_when_the_targets_copy_goes_after_the_confirm(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	inject(fixture, SIMULATED_POOL_IS_OFF, ONE, NULL, NULL);
	worker_fixture_order(fixture, &order, "confirm", ONE, TWO);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", TWO, "confirmed");
	worker_fixture_wait_chore(fixture, ONE, DB_CHORE_REMOVE_VOLUME, "pool");
	inject(fixture, SIMULATED_VOLUME_GOES, TWO, order.disk, NULL);
	inject(fixture, SIMULATED_POOL_IS_WELL, ONE, NULL, NULL);
	worker_fixture_wait_chore(fixture, ONE, DB_CHORE_REMOVE_VOLUME, "is not on host two");
	worker_fixture_check_places(fixture, &order, "2", "1");
}

static void a_revert_whose_source_does_not_answer_leaves_the_server_running_on_the_target(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	simulated_set_host_up(fixture->fleet, "one", false);
	note_changes(fixture);
	worker_fixture_order(fixture, &order, "revert", ONE, TWO);
	worker_fixture_wait_phase(fixture, &order, "stopping");
	worker_fixture_wait_idle(fixture);
	assert_false(worker_fixture_has_ended(fixture, &order));
	check_runs_whole(fixture, &order, TWO);
	check_not_done(" two");
	simulated_set_host_up(fixture->fleet, "one", true);
	clock_manual_advance(fixture->db->clock, 5000000);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check(fixture, &order, "active", ONE, "reverted");
	worker_fixture_check_places(fixture, &order, "1", "1");
	assert_int_equal(simulated_state(fixture->fleet, "one", order.uuid), GUEST_RUNNING);
}

static void a_revert_whose_source_has_lost_the_disk_is_refused_before_the_server_is_stopped(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	inject(fixture, SIMULATED_VOLUME_GOES, ONE, order.disk, NULL);
	note_changes(fixture);
	worker_fixture_order(fixture, &order, "revert", ONE, TWO);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check(fixture, &order, "resized", TWO, "finished");
	worker_fixture_check_told(fixture, &order, order.disk);
	check_runs_whole(fixture, &order, TWO);
	check_not_done(" two");
}

/* What happens when a revert has stopped the guest on its target. */
static struct {
	struct worker_fixture *fixture;
	enum simulated_fault fault;
	int host;
	const char *other, *uuid;
	bool has_happened;
} accident;

static void let_it_happen(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	note_change(context, host, operation, uuid, is_after);
	if (accident.has_happened || !is_after || !text_equal(host, "two") || !text_equal(operation, "stop_guest"))
		return;
	accident.has_happened = true;
	inject(accident.fixture, accident.fault, accident.host, accident.other, accident.uuid);
}

static void order_revert_with(struct worker_fixture *fixture, struct worker_order *order, enum simulated_fault fault,
			      int host, const char *other, const char *uuid)
{
	memset(&accident, 0, sizeof(accident));
	accident.fixture = fixture;
	accident.fault = fault;
	accident.host = host;
	accident.other = other;
	accident.uuid = uuid;
	note_changes(fixture);
	simulated_set_hook(fixture->fleet, let_it_happen, NULL);
	worker_fixture_order(fixture, order, "revert", ONE, TWO);
}

/* Nothing is known of it there: it is neither defined nor taken for defined. */
static void a_revert_goes_no_further_while_its_source_does_not_answer(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	order_revert_with(fixture, &order, SIMULATED_OUR_LINK_BREAKS, ONE, NULL, NULL);
	worker_fixture_wait_phase(fixture, &order, "defining");
	worker_fixture_wait_idle(fixture);
	assert_true(accident.has_happened);
	worker_fixture_wait_phase(fixture, &order, "defining");
	check_not_done("define one");
	check_not_done("start_guest");
	inject(fixture, SIMULATED_OUR_LINK_IS_BACK, ONE, NULL, NULL);
	clock_manual_advance(fixture->db->clock, 5000000);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", ONE, "reverted");
}

/* Off, it can be moved with its disks in a moment. */
static void a_revert_defines_nothing_when_somebody_has_moved_the_server_to_a_third_host(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	order_revert_with(fixture, &order, SIMULATED_GUEST_MOVED, TWO, "three", order.uuid);
	worker_fixture_wait_ended(fixture, &order);
	assert_true(accident.has_happened);
	check_not_done("define one");
	check_not_done("start_guest one");
	worker_fixture_check_told(fixture, &order, "on host three, where somebody moved it");
	worker_fixture_check_places(fixture, &order, "3", "13");
}

static int give_up_one(struct db_session *session, void *context, struct error *error)
{
	return db_host_set_gone(session, *(int64_t *)context, true, error);
}

/* An operator has said that it comes back no more: the server, off by now, goes on where its disks are whole. */
static void a_revert_whose_source_is_given_up_starts_the_server_on_its_target_again(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	order_revert_with(fixture, &order, SIMULATED_OUR_LINK_BREAKS, ONE, NULL, NULL);
	worker_fixture_wait_phase(fixture, &order, "defining");
	worker_fixture_wait_idle(fixture);
	db_fixture_write(fixture->db, give_up_one, &fixture->hosts[ONE]);
	worker_host_given_up(fixture->worker);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "resized", TWO, "finished");
	worker_fixture_check_told(fixture, &order, "host one was given up");
	check_runs_whole(fixture, &order, TWO);
}

static int forget_definition(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return statement_execute(session, "DELETE FROM kept_domains", error);
}

/* Somebody defined it there, and what we saved is gone: it has what a revert needs. */
static void a_revert_takes_the_definition_that_the_source_has_when_none_is_saved(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	db_fixture_write(fixture->db, forget_definition, NULL);
	assert_int_equal(simulated_put_guest(fixture->fleet, "one", order.uuid, GUEST_SHUT_OFF, 1024, NULL), 0);
	worker_fixture_order(fixture, &order, "revert", ONE, TWO);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", ONE, "reverted");
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "1", "1");
}

/* Only when it runs there again is the target's copy given up. */
static void a_revert_keeps_the_targets_copy_until_the_server_runs_on_the_source(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_resized(fixture);

	simulated_close_gate(fixture->fleet, SIMULATED_GATE_FINISH);
	worker_fixture_order(fixture, &order, "revert", ONE, TWO);
	simulated_wait_at_gate(fixture->fleet, SIMULATED_GATE_FINISH);
	worker_fixture_check_places(fixture, &order, "12", "12");
	simulated_open_gate(fixture->fleet, SIMULATED_GATE_FINISH);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "1", "1");
}

static atomic_int third_host_asked;

static void count_third_host(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	(void)context;
	(void)operation;
	(void)uuid;
	third_host_asked += !is_after && text_equal(host, "three");
}

/* Each host of a large fleet would have to answer. Whether the target has it is all that makes the difference. */
static void a_revert_asks_all_hosts_for_a_server_only_when_its_target_has_it_no_more(void **state)
{
	for (int is_removed = 0; is_removed < 2; is_removed++) {
		struct worker_fixture *fixture = *state;
		struct worker_order order = worker_fixture_resized(fixture);

		worker_fixture_wait_idle(fixture);
		if (is_removed) {
			inject(fixture, SIMULATED_GUEST_POWERED_OFF, TWO, NULL, order.uuid);
			inject(fixture, SIMULATED_GUEST_UNDEFINED, TWO, NULL, order.uuid);
		}
		third_host_asked = 0;
		simulated_set_hook(fixture->fleet, count_third_host, NULL);
		worker_fixture_order(fixture, &order, "revert", ONE, TWO);
		worker_fixture_wait_ended(fixture, &order);
		worker_fixture_wait_no_chores(fixture);
		worker_fixture_check(fixture, &order, "active", ONE, "reverted");
		check_runs_whole(fixture, &order, ONE);
		assert_int_equal(third_host_asked > 0, is_removed);
		if (is_removed)
			break;
		worker_fixture_teardown(state);
		worker_fixture_setup(state);
	}
}

/* How long a guest is given to go down by itself, as it is asked of the hosts: "milliseconds host; " each. */
static struct {
	pthread_mutex_t mutex;
	const struct hypervisor_operations *real;
	int64_t hosts[WORKER_HOSTS];
	char text[256];
} given = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static int note_stop(struct hypervisor_host *host, const char *uuid, int64_t graceful_ms, struct error *error)
{
	pthread_mutex_lock(&given.mutex);
	size_t length = strlen(given.text);
	for (int i = 0; i < WORKER_HOSTS; i++)
		if (host->host_id == given.hosts[i])
			snprintf(given.text + length, sizeof(given.text) - length, "%lld %s; ", (long long)graceful_ms,
				 worker_host_names[i]);
	pthread_mutex_unlock(&given.mutex);
	return given.real->stop_guest(host, uuid, graceful_ms, error);
}

static void check_given(const char *expected)
{
	LOCK_SCOPE(&given.mutex);

	assert_string_equal(given.text, expected);
	given.text[0] = '\0';
}

/* One that somebody started on the source, though its server is to be off there, wrote nothing that is wanted. */
static void guests_have_the_shutdown_timeout_to_go_down_and_on_a_reverts_source_no_time(void **state)
{
	struct worker_fixture *fixture = *state;
	static struct hypervisor_operations operations; /* it outlives a test that fails */
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	operations = *fixture->fleet->operations;
	given.real = fixture->fleet->operations;
	memcpy(given.hosts, fixture->hosts, sizeof(given.hosts));
	operations.stop_guest = note_stop;
	fixture->fleet->operations = &operations;
	fixture->settings.shutdown_timeout_s = 7;
	assert_int_equal(worker_set_limits(fixture->worker, &fixture->settings, &fixture->scheduler, NULL), 0);
	worker_fixture_order(fixture, &order, "cold", ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	check_given("7000 one; ");
	worker_fixture_order(fixture, &order, "revert", ONE, TWO);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_wait_no_chores(fixture);
	check_given("7000 two; ");

	order.migration_id = 0;
	worker_fixture_order(fixture, &order, "stop", ONE, -1);
	worker_fixture_wait_ended(fixture, &order);
	check_given("7000 one; ");
	worker_fixture_order(fixture, &order, "cold", ONE, TWO);
	worker_fixture_wait_ended(fixture, &order);
	check_given("7000 one; ");
	worker_fixture_order(fixture, &order, "revert", ONE, TWO);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_wait_no_chores(fixture);
	check_given("0 one; ");
	worker_fixture_check(fixture, &order, "stopped", ONE, "reverted");

	order.migration_id = 0;
	worker_fixture_order(fixture, &order, "start", ONE, -1);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_order(fixture, &order, "reboot_soft", ONE, -1);
	worker_fixture_wait_ended(fixture, &order);
	check_given("7000 one; ");
	worker_fixture_order(fixture, &order, "reboot_hard", ONE, -1);
	worker_fixture_wait_ended(fixture, &order);
	check_given("0 one; ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_revert_of_a_server_that_was_moved_back_by_hand_takes_nothing_away),
		TEST(a_confirm_of_a_server_that_was_moved_back_by_hand_takes_nothing_away),
		TEST(a_confirm_keeps_the_sources_disk_when_the_targets_copy_is_gone),
		TEST(a_confirm_keeps_the_sources_disk_when_the_target_has_not_the_server),
		TEST(a_confirm_waits_for_a_target_that_does_not_answer_and_removes_nothing_meanwhile),
		TEST(the_sources_disk_stays_when_the_targets_copy_goes_after_the_confirm),
		TEST(a_revert_whose_source_does_not_answer_leaves_the_server_running_on_the_target),
		TEST(a_revert_whose_source_has_lost_the_disk_is_refused_before_the_server_is_stopped),
		TEST(a_revert_goes_no_further_while_its_source_does_not_answer),
		TEST(a_revert_defines_nothing_when_somebody_has_moved_the_server_to_a_third_host),
		TEST(a_revert_whose_source_is_given_up_starts_the_server_on_its_target_again),
		TEST(a_revert_takes_the_definition_that_the_source_has_when_none_is_saved),
		TEST(a_revert_keeps_the_targets_copy_until_the_server_runs_on_the_source),
		TEST(a_revert_asks_all_hosts_for_a_server_only_when_its_target_has_it_no_more),
		TEST(guests_have_the_shutdown_timeout_to_go_down_and_on_a_reverts_source_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
