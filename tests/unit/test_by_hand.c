/* What somebody does to a guest on its hosts, outside the API, while a job has it: the job finds it so, leaves it so, and nothing
 * of its own stays behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/worker/forget_server.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

/* One thing that somebody does, right before or after a call of the port. */
static struct {
	struct worker_fixture *fixture;
	const char *host, *operation;
	bool is_after;
	enum simulated_fault faults[2]; /* on host one; SIMULATED_FAULT_MAX: none */
	enum guest_state defined_as; /* on host one, after the faults; GUEST_ABSENT: it is not */
	char uuid[UUID_SIZE];
	bool has_happened;
	bool ran_twice, ran_on_two; /* at any call of the port */
} hand;

static bool runs(const char *host)
{
	return simulated_state(hand.fixture->fleet, host, hand.uuid) == GUEST_RUNNING;
}

static void act_by_hand(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	const struct simulated_place place = { .host = "one", .other = "two", .uuid = hand.uuid };

	(void)context;
	(void)uuid;
	hand.ran_twice = hand.ran_twice || (runs("one") && runs("two"));
	hand.ran_on_two = hand.ran_on_two || runs("two");
	if (hand.has_happened || is_after != hand.is_after || !text_equal(operation, hand.operation)
	    || !text_equal(host, hand.host))
		return;
	hand.has_happened = true;
	for (size_t i = 0; i < ARRAY_LENGTH(hand.faults); i++)
		if (hand.faults[i] != SIMULATED_FAULT_MAX)
			assert_int_equal(simulated_inject(hand.fixture->fleet, hand.faults[i], &place, NULL), 0);
	if (hand.defined_as != GUEST_ABSENT)
		assert_int_equal(
			simulated_put_guest(hand.fixture->fleet, "one", hand.uuid, hand.defined_as, 1024, NULL), 0);
}

/* The moment in a move of that kind from one to two, which has ended then. */
struct moment {
	const char *kind, *host, *operation;
	bool is_after;
};

static void expect_hand(struct worker_fixture *fixture, const struct worker_order *order, const struct moment *moment,
			enum simulated_fault first, enum simulated_fault second)
{
	memset(&hand, 0, sizeof(hand));
	hand.fixture = fixture;
	hand.host = moment->host;
	hand.operation = moment->operation;
	hand.is_after = moment->is_after;
	hand.faults[0] = first;
	hand.faults[1] = second;
	hand.defined_as = GUEST_ABSENT;
	TEXT_COPY(hand.uuid, order->uuid);
	simulated_set_hook(fixture->fleet, act_by_hand, NULL);
}

static void move(struct worker_fixture *fixture, struct worker_order *order, const char *kind)
{
	worker_fixture_order(fixture, order, kind, ONE, TWO);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, order);
	simulated_set_hook(fixture->fleet, NULL, NULL);
	assert_true(hand.has_happened);
	assert_false(hand.ran_twice);
}

static struct worker_order move_with(struct worker_fixture *fixture, const struct moment *moment,
				     enum simulated_fault first, enum simulated_fault second)
{
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	expect_hand(fixture, &order, moment, first, second);
	move(fixture, &order, moment->kind);
	return order;
}

/* Each with a server of its own. */
static void for_each_moment(void **state, const struct moment *moments, size_t count,
			    void (*try_moment)(struct worker_fixture *fixture, const struct moment *moment))
{
	for (size_t i = 0; i < count; i++) {
		print_message("%s %s on %s\n", moments[i].is_after ? "after" : "before", moments[i].operation,
			      moments[i].host);
		try_moment(*state, &moments[i]);
		if (i + 1 == count)
			break;
		worker_fixture_teardown(state);
		worker_fixture_setup(state);
	}
}

static void try_start(struct worker_fixture *fixture, const struct moment *moment)
{
	struct worker_order order = move_with(fixture, moment, SIMULATED_GUEST_STARTED, SIMULATED_FAULT_MAX);

	worker_fixture_check(fixture, &order, "active", ONE, "error");
	worker_fixture_check_told(fixture, &order, "running on host one");
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "1", "1");
	assert_int_equal(simulated_state(fixture->fleet, "one", order.uuid), GUEST_RUNNING);
	assert_true(simulated_has_whole_disks(fixture->fleet, "one", order.uuid));
	assert_int_equal(worker_fixture_failures(fixture, THREE), 0);
}

static void a_guest_that_is_started_on_its_host_in_a_cold_move_runs_on_there_alone(void **state)
{
	static const struct moment moments[] = {
		{ "cold", "one", "stop_guest", true }, { "cold", "two", "create_volume", true },
		{ "cold", "one", "copy_cold", true },  { "cold", "two", "define", false },
		{ "cold", "two", "define", true },     { "cold", "one", "remove_guest", false },
	};

	for_each_moment(state, moments, ARRAY_LENGTH(moments), try_start);
}

static int write_forget(struct db_session *session, void *context, struct error *error)
{
	return forget_server(session, context, error);
}

/* As discovery does with a guest that no host has. What is left of it goes after that at the latest. */
static void forget(struct worker_fixture *fixture, struct worker_order *order)
{
	worker_fixture_wait_idle(fixture);
	db_fixture_write(fixture->db, write_forget, order->uuid);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, order, "", "1");
}

/* By the job itself: what the target has of it must not pass for the guest. */
static void check_forgotten(struct worker_fixture *fixture, const struct worker_order *order)
{
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	struct db_migration migration = { 0 };

	worker_fixture_wait_idle(fixture);
	struct db_session *session = db_fixture_read(fixture->db);
	int found = db_server_by_uuid(session, order->uuid, &server, NULL);
	int result = db_migration_by_id(session, order->migration_id, &migration, NULL);
	db_read_end(session);
	assert_int_equal(found, -ENOENT);
	assert_int_equal(result, 0);
	assert_string_equal(migration.status, "error");
}

static void try_removal(struct worker_fixture *fixture, const struct moment *moment)
{
	struct worker_order order = move_with(fixture, moment, SIMULATED_GUEST_UNDEFINED, SIMULATED_FAULT_MAX);

	check_forgotten(fixture, &order);
	assert_int_equal(worker_fixture_failures(fixture, TWO), 0);
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "", "1");
}

static void a_guest_that_is_removed_on_its_host_in_a_cold_move_comes_back_nowhere(void **state)
{
	static const struct moment moments[] = {
		{ "cold", "two", "create_volume", true },
		{ "cold", "one", "copy_cold", true },
		{ "cold", "two", "define", false },
		{ "cold", "two", "define", true },
	};

	for_each_moment(state, moments, ARRAY_LENGTH(moments), try_removal);
}

/* With its disk, before our own definition is there: it is neither removed nor forgotten. */
static void try_move_to_target(struct worker_fixture *fixture, const struct moment *moment)
{
	struct worker_order order = move_with(fixture, moment, SIMULATED_GUEST_MOVED, SIMULATED_FAULT_MAX);
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	clock_manual_advance(fixture->db->clock, 600000000);
	worker_fixture_wait_idle(fixture);
	struct db_session *session = db_fixture_read(fixture->db);
	int found = db_server_by_uuid(session, order.uuid, &server, NULL);
	db_read_end(session);
	assert_int_equal(found, 0);
	assert_int_not_equal(simulated_state(fixture->fleet, "two", order.uuid), GUEST_ABSENT);
	assert_true(simulated_has_whole_disks(fixture->fleet, "two", order.uuid));
}

static void a_guest_that_somebody_moves_to_the_target_itself_stays_there(void **state)
{
	static const struct moment moments[] = {
		{ "cold", "two", "create_volume", true },
		{ "cold", "one", "copy_cold", true },
		{ "cold", "two", "define", false },
	};

	for_each_moment(state, moments, ARRAY_LENGTH(moments), try_move_to_target);
}

/* The host was installed again under its name: the copy is all that is left. */
static void a_copy_whose_source_is_gone_with_its_disks_is_the_guest(void **state)
{
	static const struct moment copied = { "cold", "two", "define", true };
	struct worker_fixture *fixture = *state;
	struct worker_order order = move_with(fixture, &copied, SIMULATED_LIBVIRTD_IS_REPLACED, SIMULATED_FAULT_MAX);

	worker_fixture_check(fixture, &order, "resized", TWO, "finished");
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "2", "2");
	assert_int_equal(simulated_state(fixture->fleet, "two", order.uuid), GUEST_RUNNING);
	assert_true(simulated_has_whole_disks(fixture->fleet, "two", order.uuid));
}

/* Its storage is shared, say: no disk on its host shows that somebody meant to remove it, and the target's definition is the last. */
static void a_guest_without_a_copied_disk_that_is_removed_on_its_host_is_kept_by_the_target(void **state)
{
	static const struct moment defined = { "cold", "two", "define", true };
	struct worker_fixture *fixture = *state;
	struct worker_order order = { 0 };

	db_fixture_server(fixture->db, "vm", fixture->hosts[ONE], order.uuid);
	assert_int_equal(simulated_put_guest(fixture->fleet, "one", order.uuid, GUEST_RUNNING, 1024, NULL), 0);
	expect_hand(fixture, &order, &defined, SIMULATED_GUEST_UNDEFINED, SIMULATED_FAULT_MAX);
	move(fixture, &order, "cold");
	worker_fixture_check(fixture, &order, "resized", TWO, "finished");
	worker_fixture_check_places(fixture, &order, "2", "");
	assert_int_equal(simulated_state(fixture->fleet, "two", order.uuid), GUEST_RUNNING);
}

/* Whoever did that may start it there at any time. */
static void a_guest_that_is_defined_on_its_host_again_is_not_started_on_the_target(void **state)
{
	static const struct moment undefined = { "cold", "one", "remove_guest", true };
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	expect_hand(fixture, &order, &undefined, SIMULATED_FAULT_MAX, SIMULATED_FAULT_MAX);
	hand.defined_as = GUEST_SHUT_OFF;
	move(fixture, &order, "cold");
	assert_false(hand.ran_on_two);
	worker_fixture_check(fixture, &order, "active", ONE, "error");
	assert_int_equal(simulated_state(fixture->fleet, "one", order.uuid), GUEST_RUNNING);
}

/* A daemon that starts again finds the guest gone from its host, and a copy of it on the target. */
static struct worker_order take_up_copy(struct worker_fixture *fixture)
{
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);
	const struct simulated_place guest = { .host = "one", .uuid = order.uuid };

	worker_fixture_order(fixture, &order, "cold", ONE, TWO);
	worker_fixture_set_phase(fixture, &order, "defining", TWO);
	assert_int_equal(simulated_inject(fixture->fleet, SIMULATED_GUEST_POWERED_OFF, &guest, NULL), 0);
	assert_int_equal(simulated_inject(fixture->fleet, SIMULATED_GUEST_UNDEFINED, &guest, NULL), 0);
	assert_int_equal(simulated_put_guest(fixture->fleet, "two", order.uuid, GUEST_SHUT_OFF, 1024, NULL), 0);
	return order;
}

/* Its copy is older than its disks by now. */
static void a_guest_that_was_started_on_its_host_while_we_were_away_runs_on_there_and_that_is_told(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

	worker_fixture_order(fixture, &order, "cold", ONE, TWO);
	worker_fixture_set_phase(fixture, &order, "undefining", TWO);
	assert_int_equal(simulated_put_guest(fixture->fleet, "two", order.uuid, GUEST_SHUT_OFF, 1024, NULL), 0);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", ONE, "error");
	worker_fixture_check_told(fixture, &order, "The server was started on host one while it was moved.");
	worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, "1", "1");
}

static void a_copy_is_not_started_while_a_third_host_has_the_guest(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = take_up_copy(fixture);

	assert_int_equal(simulated_put_guest(fixture->fleet, "three", order.uuid, GUEST_RUNNING, 1024, NULL), 0);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check_told(fixture, &order, "on host three, where somebody moved it");
	assert_int_equal(simulated_state(fixture->fleet, "two", order.uuid), GUEST_SHUT_OFF);
	assert_int_equal(simulated_state(fixture->fleet, "three", order.uuid), GUEST_RUNNING);
}

/* In a large fleet some host is always down: it keeps nobody from what may be all that is left. */
static void a_copy_that_may_be_all_that_is_left_goes_on_though_a_third_host_is_down(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order = take_up_copy(fixture);

	worker_fixture_set_service(fixture, THREE, false, false);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "resized", TWO, "finished");
	worker_fixture_check_places(fixture, &order, "2", "1");
}

static void nothing_stays_on_the_target_of_a_guest_that_is_removed_in_a_live_move(void **state)
{
	static const struct moment copying = { "live", "two", "create_volume", true };
	struct worker_fixture *fixture = *state;
	struct worker_order order =
		move_with(fixture, &copying, SIMULATED_GUEST_POWERED_OFF, SIMULATED_GUEST_UNDEFINED);

	forget(fixture, &order);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	struct db_host_burden burden;
	for (size_t i = 0; i < WORKER_HOSTS; i++) {
		assert_int_equal(db_host_burden(session, fixture->hosts[i], &burden, NULL), 0);
		assert_memory_equal(&burden, &(struct db_host_burden){ 0 }, sizeof(burden));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guest_that_is_started_on_its_host_in_a_cold_move_runs_on_there_alone),
		TEST(a_guest_that_is_removed_on_its_host_in_a_cold_move_comes_back_nowhere),
		TEST(a_guest_that_somebody_moves_to_the_target_itself_stays_there),
		TEST(a_copy_whose_source_is_gone_with_its_disks_is_the_guest),
		TEST(a_guest_without_a_copied_disk_that_is_removed_on_its_host_is_kept_by_the_target),
		TEST(a_guest_that_is_defined_on_its_host_again_is_not_started_on_the_target),
		TEST(a_guest_that_was_started_on_its_host_while_we_were_away_runs_on_there_and_that_is_told),
		TEST(a_copy_is_not_started_while_a_third_host_has_the_guest),
		TEST(a_copy_that_may_be_all_that_is_left_goes_on_though_a_third_host_is_down),
		TEST(nothing_stays_on_the_target_of_a_guest_that_is_removed_in_a_live_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
