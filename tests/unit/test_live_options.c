/* How a live move is asked of the hypervisor: where its stream goes, and all else that settings, host and request say of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/statement.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

/* The options of each call, between which and the fleet this stands. */
static struct {
	const struct hypervisor_operations *real;
	struct hypervisor_operations operations; /* it outlives a test that fails */
	pthread_mutex_t mutex;
	char checked[256], prepared[256], moved[512];
	bool refuses_postcopy;
} asked = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void note(char *text, size_t size, const struct live_options *options)
{
	static const char *const blocks[] = {
		[BLOCK_MIGRATION_AUTO] = "auto", [BLOCK_MIGRATION_NO] = "no", [BLOCK_MIGRATION_YES] = "yes"
	};
	LOCK_SCOPE(&asked.mutex);
	size_t length = strlen(text);

	snprintf(text + length, size - length, "to %s block=%s%s%s%s%s%s%s bandwidth=%lld connections=%d; ",
		 options->migration_address ? options->migration_address : "-", blocks[options->block_migration],
		 options->disk_over_commit ? " over-commit" : "", options->may_postcopy ? " post-copy" : "",
		 options->may_auto_converge ? " auto-converge" : "", options->has_tls ? " tls" : "",
		 options->is_resume ? " resume" : "", options->is_storage_proven_shared ? " shared" : "",
		 (long long)options->bandwidth_mib_s, options->parallel_connections);
}

static int check_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		      const struct live_options *options, struct check_result *ret_check, struct error *error)
{
	note(asked.checked, sizeof(asked.checked), options);
	return asked.real->check_live(source, target, uuid, options, ret_check, error);
}

static int prepare_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			const struct live_options *options, bool copies_disks, const struct volume_journal *journal,
			struct error *error)
{
	note(asked.prepared, sizeof(asked.prepared), options);
	return asked.real->prepare_live(source, target, uuid, options, copies_disks, journal, error);
}

static int migrate_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			const struct live_options *options, bool copies_disks, struct error *error)
{
	note(asked.moved, sizeof(asked.moved), options);
	if (asked.refuses_postcopy && options->may_postcopy)
		return error_set(error, EOPNOTSUPP, "userfaultfd is not permitted");
	return asked.real->migrate_live(source, target, uuid, options, copies_disks, error);
}

static int setup(void **state)
{
	int result = worker_fixture_setup(state);
	struct worker_fixture *fixture = *state;

	asked.real = fixture->fleet->operations;
	asked.operations = *asked.real;
	asked.operations.check_live = check_live;
	asked.operations.prepare_live = prepare_live;
	asked.operations.migrate_live = migrate_live;
	asked.checked[0] = asked.prepared[0] = asked.moved[0] = '\0';
	asked.refuses_postcopy = false;
	fixture->fleet->operations = &asked.operations;
	return result;
}

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

/* A live move to two by the fixture's settings; `rows` are changed before it begins, NULL: none. */
static struct worker_order move(struct worker_fixture *fixture, const char *rows, const char *status)
{
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);
	bool is_moved = text_equal(status, "completed");

	assert_int_equal(worker_set_limits(fixture->worker, &fixture->settings, &fixture->scheduler, NULL), 0);
	worker_fixture_order(fixture, &order, "live", ONE, TWO);
	if (rows)
		db_fixture_write(fixture->db, run_sql, (void *)rows);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", is_moved ? TWO : ONE, status);
	return order;
}

static void check_asked(const char *expected)
{
	assert_string_equal(asked.moved, expected);
	assert_string_equal(asked.prepared, expected);
	assert_string_equal(asked.checked, expected);
}

static void where_nothing_is_said_the_target_chooses(void **state)
{
	move(*state, NULL, "completed");
	check_asked("to - block=auto bandwidth=0 connections=0; ");
}

static void all_that_settings_host_and_request_say_comes_to_each_call(void **state)
{
	struct worker_fixture *fixture = *state;

	fixture->settings.live_migration_permit_post_copy = true;
	fixture->settings.live_migration_permit_auto_converge = true;
	fixture->settings.live_migration_with_native_tls = true;
	fixture->settings.live_migration_bandwidth_mib_s = 8;
	fixture->settings.live_migration_parallel_connections = 4;
	move(fixture,
	     "UPDATE hosts SET migration_address = '10.0.0.' || id;"
	     "UPDATE jobs SET block_migration = 'true', disk_over_commit = 1",
	     "completed");
	check_asked("to 10.0.0.2 block=yes over-commit post-copy auto-converge tls bandwidth=8 connections=4; ");
}

static void a_move_without_disks_is_asked_for_as_that(void **state)
{
	struct worker_fixture *fixture = *state;

	move(fixture, "UPDATE jobs SET block_migration = 'false'", "error"); /* its disk is the source's own */
	assert_string_equal(asked.checked, "to - block=no bandwidth=0 connections=0; ");
	assert_string_equal(asked.moved, "");
}

static void the_fleets_pattern_gives_the_targets_name_and_the_hosts_own_address_wins(void **state)
{
	struct worker_fixture *fixture = *state;

	fixture->settings.live_migration_inbound_addr = "%s.migration.example";
	move(fixture, NULL, "completed");
	check_asked("to two.migration.example block=auto bandwidth=0 connections=0; ");
	worker_fixture_teardown(state);
	setup(state);
	fixture = *state;
	fixture->settings.live_migration_inbound_addr = "%s.migration.example";
	move(fixture, "UPDATE hosts SET migration_address = '10.0.0.9' WHERE name = 'two'", "completed");
	check_asked("to 10.0.0.9 block=auto bandwidth=0 connections=0; ");
}

/* It would go by a network that was not meant for it. */
static void a_target_without_the_address_that_it_should_have_is_refused(void **state)
{
	struct worker_fixture *fixture = *state;
	struct worker_order order =
		move(fixture, "UPDATE hosts SET migration_interface = 'eth9', facts = '{\"nics\": {}}'", "error");

	worker_fixture_check_told(fixture, &order, "eth9");
	assert_string_equal(asked.checked, "");
	assert_string_equal(asked.moved, "");
}

static void a_move_whose_hosts_refuse_post_copy_is_begun_once_more_without_it(void **state)
{
	struct worker_fixture *fixture = *state;

	fixture->settings.live_migration_permit_post_copy = true;
	asked.refuses_postcopy = true;
	struct worker_order order =
		move(fixture, "UPDATE hosts SET migration_address = '10.0.0.9' WHERE name = 'two'", "completed");
	assert_string_equal(asked.moved, "to 10.0.0.9 block=auto post-copy bandwidth=0 connections=0; "
					 "to 10.0.0.9 block=auto bandwidth=0 connections=0; ");
	worker_fixture_check_told(fixture, &order, "post-copy was refused userfaultfd is not permitted");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(where_nothing_is_said_the_target_chooses),
		TEST(all_that_settings_host_and_request_say_comes_to_each_call),
		TEST(a_move_without_disks_is_asked_for_as_that),
		TEST(the_fleets_pattern_gives_the_targets_name_and_the_hosts_own_address_wins),
		TEST(a_target_without_the_address_that_it_should_have_is_refused),
		TEST(a_move_whose_hosts_refuse_post_copy_is_begun_once_more_without_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
