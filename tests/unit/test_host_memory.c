/* The hosts' table follows the database: each kind of change is seen by the next choice, whoever reads it first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db_fixture.h"
#include "server/scheduler/scheduler.h"
#include "server/worker/host_memory.h"
#include "server/worker/offers.h"

static struct db_fixture *fixture;
static struct host_memory *memory;

static int setup(void **state)
{
	db_fixture_setup(state);
	fixture = *state;
	return host_memory_create(fixture->database, NULL, &memory, &fixture->error);
}

static int teardown(void **state)
{
	host_memory_stop(memory);
	db_close(fixture->database);
	fixture->database = NULL;
	host_memory_destroy(memory);
	OK(db_open(fixture->path, fixture->clock, NULL, &fixture->database, &fixture->error));
	return db_fixture_teardown(state);
}

/* Notes of changes come right after the commit that a writer waits for, but not before it: a further write is their fence. */
static int do_nothing(struct db_session *session, void *context, struct error *error)
{
	(void)session;
	(void)context;
	(void)error;
	return 0;
}

static struct host_table *lock_table(void)
{
	struct host_table *table = NULL;
	CLEANUP_DB_READ struct db_session *session = NULL;

	db_fixture_write(fixture, do_nothing, NULL);
	session = db_fixture_read(fixture);
	OK(host_memory_lock(memory, session, &table, &fixture->error));
	return table;
}

static struct host_state look(int64_t id)
{
	const struct host_state *state = host_table_by_id(lock_table(), id);
	struct host_state copy = state ? *state : (struct host_state){ 0 };

	host_memory_unlock(memory);
	return copy;
}

static int disable(struct db_session *session, void *context, struct error *error)
{
	struct db_host *host = context;

	host->service.is_disabled = true;
	return db_service_update(session, &host->service, error);
}

static int update(struct db_session *session, void *context, struct error *error)
{
	return db_host_update(session, context, error);
}

static int remove_host(struct db_session *session, void *context, struct error *error)
{
	return db_host_remove(session, *(int64_t *)context, error);
}

static struct db_host read_host(int64_t id)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	struct db_host host = { 0 };

	OK(db_host_by_id(session, id, &host, &fixture->error));
	return host;
}

struct figures_request {
	int64_t host_id;
	int64_t failed_migrations;
};

static int write_figures(struct db_session *session, void *context, struct error *error)
{
	const struct figures_request *request = context;
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_id(session, request->host_id, &host, error);

	host.vcpus = 3;
	host.memory_mb = 5000;
	host.disk_gb = 70;
	host.cpu_allocation_ratio = 1.5;
	host.ram_allocation_ratio = 2.5;
	host.disk_allocation_ratio = 3.5;
	host.reserved_memory_mb = 11;
	host.reserved_disk_gb = 13;
	if (result == 0)
		result = db_host_update(session, &host, error);
	return result < 0 ? result : db_host_set_failed_migrations(session, host.id, request->failed_migrations, error);
}

static bool is_ratio(double found, double wanted)
{
	return found > wanted - 0.01 && found < wanted + 0.01;
}

/* Each its own, in the scheduler's units. */
static void figures_of_a_host_are_those_of_its_row_and_of_what_it_carries(void **state)
{
	struct figures_request request = { .host_id = db_fixture_host(fixture, "one"), .failed_migrations = 17 };
	struct db_claim claim = { .host_id = request.host_id, .vcpus = 3, .memory_mb = 100, .disk_gb = 5 };
	struct host_state seen = look(request.host_id);

	(void)state;
	assert_int_equal(seen.memory_mb_reserved, -1); /* the settings' */
	assert_int_equal(seen.disk_mb_reserved, -1);
	assert_true(is_ratio(seen.cpu_allocation_ratio, 0));
	db_fixture_write(fixture, write_figures, &request);
	db_fixture_server(fixture, "guest", request.host_id, NULL);
	claim.migration_id = db_fixture_migration(fixture, "guest", "two", "one");
	assert_int_equal(db_fixture_claim(fixture, &claim, -1), 0);
	seen = look(request.host_id);
	assert_int_equal(seen.vcpus_total, 3);
	assert_int_equal(seen.memory_mb_total, 5000);
	assert_int_equal(seen.disk_mb_total, 70 * 1024);
	assert_true(is_ratio(seen.cpu_allocation_ratio, 1.5));
	assert_true(is_ratio(seen.ram_allocation_ratio, 2.5));
	assert_true(is_ratio(seen.disk_allocation_ratio, 3.5));
	assert_int_equal(seen.memory_mb_reserved, 11);
	assert_int_equal(seen.disk_mb_reserved, 13 * 1024);
	assert_int_equal(seen.failed_migrations, 17);
	assert_int_equal(seen.vcpus_used, 2 + 3);
	assert_int_equal(seen.memory_mb_used, 1024 + 100);
	assert_int_equal(seen.disk_mb_used, (10 + 5) * 1024);
	assert_int_equal(seen.num_instances, 1);
	assert_int_equal(seen.num_io_ops, 1);
}

static void check_that_changes_are_seen(void)
{
	char uuid[UUID_SIZE];
	int64_t one = db_fixture_host(fixture, "one");
	int64_t two = db_fixture_host(fixture, "two");

	assert_int_equal(look(one).memory_mb_used, 0);
	db_fixture_server(fixture, "guest", one, uuid);
	assert_int_equal(look(one).memory_mb_used, 1024);
	assert_int_equal(look(one).num_instances, 1);

	struct db_claim claim = { .host_id = two, .vcpus = 2, .memory_mb = 512 };
	TEXT_COPY(claim.server_uuid, uuid);
	claim.migration_id = db_fixture_migration(fixture, uuid, "one", "two");
	assert_int_equal(db_fixture_claim(fixture, &claim, -1), 0);
	assert_int_equal(look(two).memory_mb_used, 512);
	assert_int_equal(look(two).num_io_ops, 1);

	CLEANUP_DB_HOST struct db_host host = read_host(one);
	db_fixture_write(fixture, disable, &host);
	assert_true(look(one).is_disabled);
	host.memory_mb = 4096;
	db_fixture_write(fixture, update, &host);
	assert_int_equal(look(one).memory_mb_total, 4096);

	int64_t three = db_fixture_host(fixture, "three");
	assert_int_equal(look(three).id, three);
	db_fixture_write(fixture, remove_host, &three);
	assert_int_equal(look(three).id, 0);
}

static void a_choice_sees_what_changed_before_it(void **state)
{
	(void)state;
	check_that_changes_are_seen();
}

static void a_choice_sees_it_also_beside_the_thread_that_follows(void **state)
{
	(void)state;
	OK(host_memory_start(memory, &fixture->error));
	check_that_changes_are_seen();
}

static void more_changes_than_are_remembered_are_all_seen(void **state)
{
	(void)state;
	int64_t one = db_fixture_host(fixture, "one");

	assert_int_equal(look(one).id, one);
	host_memory_forget(memory);
	db_fixture_server(fixture, "guest", one, NULL);
	assert_int_equal(look(one).num_instances, 1);
}

static void what_a_host_offers_is_read_from_its_facts(void **state)
{
	(void)state;
	int64_t one = db_fixture_host(fixture, "one");
	CLEANUP_DB_HOST struct db_host host = read_host(one);

	assert_int_equal(look(one).sets[HOST_SET_NETWORKS], 0);
	free(host.facts);
	host.facts = strdup("{\"offers\": {\"networks\": [\"bridge/br-int\", \"network/default\"], \"machines\": 7}}");
	db_fixture_write(fixture, update, &host);
	struct host_table *table = lock_table();
	const struct host_state *seen = host_table_by_id(table, one);
	const struct name_list *networks = host_table_set(table, HOST_SET_NETWORKS, seen->sets[HOST_SET_NETWORKS]);
	assert_true(networks->is_known);
	assert_int_equal(networks->count, 2);
	assert_string_equal(networks->names[0], "bridge/br-int");
	assert_false(host_table_set(table, HOST_SET_MACHINES, seen->sets[HOST_SET_MACHINES])->is_known);
	host_memory_unlock(memory);

	free(host.facts);
	host.facts = strdup("{\"offers\": {\"networks\": []}}");
	db_fixture_write(fixture, update, &host);
	table = lock_table();
	seen = host_table_by_id(table, one);
	networks = host_table_set(table, HOST_SET_NETWORKS, seen->sets[HOST_SET_NETWORKS]);
	assert_true(networks->is_known);
	assert_int_equal(networks->count, 0);
	host_memory_unlock(memory);
}

/* An earlier version of the driver wrote which CPU models a guest needs: that names decide nothing holds for its rows, too. */
static void names_of_cpu_models_in_older_facts_are_no_need(void **state)
{
	CLEANUP_OFFERS struct offers offers = { 0 };

	(void)state;
	assert_true(offers_read("{\"needs\": {\"cpu_models\": [\"qemu64\"], \"cpu_features\": [\"svm\"]}}", "needs",
				&offers));
	for (size_t set = 0; set < HOST_SET_COUNT; set++)
		assert_int_equal(offers.lists.sets[set].count, 0);
}

static void facts_that_are_none_are_not_known(void **state)
{
	static const char *const texts[] = { NULL, "", "[]", "{\"needs\": 3}", "{\"needs\": {\"networks\": \"br\"}}",
					     "{" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		CLEANUP_OFFERS struct offers offers = { 0 };

		assert_true(offers_read(texts[i], "needs", &offers));
		assert_false(offers.lists.sets[HOST_SET_NETWORKS].is_known);
		assert_int_equal(offers.highest_pinned_cpu, -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_choice_sees_what_changed_before_it, setup, teardown),
		cmocka_unit_test_setup_teardown(figures_of_a_host_are_those_of_its_row_and_of_what_it_carries, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_choice_sees_it_also_beside_the_thread_that_follows, setup, teardown),
		cmocka_unit_test_setup_teardown(more_changes_than_are_remembered_are_all_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_host_offers_is_read_from_its_facts, setup, teardown),
		cmocka_unit_test(names_of_cpu_models_in_older_facts_are_no_need),
		cmocka_unit_test(facts_that_are_none_are_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
