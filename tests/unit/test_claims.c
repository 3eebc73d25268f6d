/* The claim decides, in the transaction that makes it, whatever the scheduler took for free: here it takes everything for free.
 * Each resource alone refuses a move, and what is claimed is all that the server has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/claims.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

/* By the linker's --wrap: the scheduler as it is, on hosts without end. */
int __wrap_scheduler_select(struct host_table *table, const struct scheduler_settings *settings,
			    const struct schedule_request *request, struct schedule_result *ret_result,
			    struct error *error);
int __real_scheduler_select(struct host_table *table, const struct scheduler_settings *settings,
			    const struct schedule_request *request, struct schedule_result *ret_result,
			    struct error *error);
struct schedule_verdict __wrap_scheduler_check_forced(const struct host_table *table,
						      const struct scheduler_settings *settings,
						      const struct schedule_request *request,
						      const struct host_state *host);

int __wrap_scheduler_select(struct host_table *table, const struct scheduler_settings *settings,
			    const struct schedule_request *request, struct schedule_result *ret_result,
			    struct error *error)
{
	struct scheduler_settings endless = *settings;

	endless.cpu_allocation_ratio = endless.ram_allocation_ratio = endless.disk_allocation_ratio = 1000;
	endless.reserved_host_memory_mb = endless.reserved_host_disk_mb = 0;
	return __real_scheduler_select(table, &endless, request, ret_result, error);
}

struct schedule_verdict __wrap_scheduler_check_forced(const struct host_table *table,
						      const struct scheduler_settings *settings,
						      const struct schedule_request *request,
						      const struct host_state *host)
{
	(void)table;
	(void)settings;
	(void)request;
	return (struct schedule_verdict){ .host_id = host->id };
}

/* The fixture's hosts have 8 vCPUs, 8192 MiB and 100 GiB, its servers 2, 1024 and 10. */
static struct scheduler_settings exact(void)
{
	struct scheduler_settings settings = scheduler_settings_default;

	settings.cpu_allocation_ratio = settings.ram_allocation_ratio = settings.disk_allocation_ratio = 1;
	settings.reserved_host_memory_mb = settings.reserved_host_disk_mb = 0;
	return settings;
}

/* What leaves a host with room for one server, and with a bit less. */
static const struct shortage {
	const char *resource;
	double cpu_ratio[2], ram_ratio[2], disk_ratio[2];
	int64_t reserved_memory_mb[2], reserved_disk_mb[2];
	const char *words;
} shortages[] = {
	{ "vCPUs", { 0.25, 0.2 }, { 1, 1 }, { 1, 1 }, { 0, 0 }, { 0, 0 }, "2 vCPUs are wanted, 0 of 1 are taken" },
	{ "memory by its ratio",
	  { 1, 1 },
	  { 0.125, 0.1249 },
	  { 1, 1 },
	  { 0, 0 },
	  { 0, 0 },
	  "1024 MiB of memory are wanted, 0 of 1023 are taken" },
	{ "memory by its reservation",
	  { 1, 1 },
	  { 1, 1 },
	  { 1, 1 },
	  { 7168, 7169 },
	  { 0, 0 },
	  "1024 MiB of memory are wanted, 0 of 1023 are taken" },
	{ "disk by its ratio",
	  { 1, 1 },
	  { 1, 1 },
	  { 0.1, 0.0999 },
	  { 0, 0 },
	  { 0, 0 },
	  "10 GiB of disk are wanted, 0 of 9 are taken" },
	{ "disk by its reservation",
	  { 1, 1 },
	  { 1, 1 },
	  { 1, 1 },
	  { 0, 0 },
	  { 90 * 1024, 90 * 1024 + 1 },
	  "10 GiB of disk are wanted, 0 of 9 are taken" },
};

static void set_limits(struct worker_fixture *fixture, const struct shortage *shortage, size_t place)
{
	struct scheduler_settings settings = exact();

	settings.cpu_allocation_ratio = shortage->cpu_ratio[place];
	settings.ram_allocation_ratio = shortage->ram_ratio[place];
	settings.disk_allocation_ratio = shortage->disk_ratio[place];
	settings.reserved_host_memory_mb = shortage->reserved_memory_mb[place];
	settings.reserved_host_disk_mb = shortage->reserved_disk_mb[place];
	assert_int_equal(worker_set_limits(fixture->worker, &fixture->settings, &settings, NULL), 0);
}

static struct db_host_usage usage_of(struct worker_fixture *fixture, int host)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture->db);
	struct db_host_usage usage = { 0 };

	assert_int_equal(db_host_usage(session, fixture->hosts[host], &usage, &fixture->db->error), 0);
	return usage;
}

static void check_used(struct worker_fixture *fixture, int host, int64_t servers)
{
	const struct db_host_usage usage = usage_of(fixture, host);

	assert_int_equal(usage.vcpus, 2 * servers);
	assert_int_equal(usage.memory_mb, 1024 * servers);
	assert_int_equal(usage.disk_gb, 10 * servers);
}

static void try_each_shortage(struct worker_fixture *fixture, const char *kind)
{
	worker_fixture_start(fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(shortages); i++) {
		CLEANUP_FREE char *name = text_format("vm-%zu", i);
		struct worker_order order = worker_fixture_server(fixture, name, ONE);

		set_limits(fixture, &shortages[i], 1);
		worker_fixture_order(fixture, &order, kind, ONE, TWO);
		worker_fixture_wait_ended(fixture, &order);
		worker_fixture_check(fixture, &order, "active", ONE, "error");
		worker_fixture_check_told(fixture, &order, "; two: claim: ");
		worker_fixture_check_told(fixture, &order, shortages[i].words);
		check_used(fixture, TWO, 0);
	}
}

static void each_resource_alone_refuses_a_live_move_at_its_claim(void **state)
{
	try_each_shortage(*state, "live");
}

static void each_resource_alone_refuses_a_cold_move_at_its_claim(void **state)
{
	try_each_shortage(*state, "cold");
}

/* All of it, and in the moment in which it is chosen. */
static void what_is_left_exactly_is_claimed_in_each_resource(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(shortages); i++) {
		struct worker_fixture *fixture = *state;
		struct worker_order order = worker_fixture_server(fixture, "vm", ONE);

		set_limits(fixture, &shortages[i], 0);
		simulated_close_gate(fixture->fleet, SIMULATED_GATE_LIVE);
		worker_fixture_order(fixture, &order, "live", ONE, TWO);
		worker_fixture_start(fixture);
		simulated_wait_at_gate(fixture->fleet, SIMULATED_GATE_LIVE);
		check_used(fixture, ONE, 1);
		check_used(fixture, TWO, 1);
		simulated_open_gate(fixture->fleet, SIMULATED_GATE_LIVE);
		worker_fixture_wait_ended(fixture, &order);
		worker_fixture_check(fixture, &order, "active", TWO, "completed");
		check_used(fixture, ONE, 0);
		check_used(fixture, TWO, 1);
		worker_fixture_wait_no_chores(fixture);
		if (i + 1 == ARRAY_LENGTH(shortages))
			break;
		worker_fixture_teardown(state);
		worker_fixture_setup(state);
	}
}

/* Two is the better one for the scheduler, which does not see that nothing is left there. */
static void host_that_lost_its_room_is_passed_over_for_the_next(void **state)
{
	struct worker_fixture *fixture = *state;
	struct scheduler_settings settings = exact();
	struct worker_order order = worker_fixture_server(fixture, "vm", ONE);
	struct db_claim claim = { .host_id = fixture->hosts[TWO], .disk_gb = 91 };

	settings.multipliers[SCHEDULER_WEIGHER_DISK] = 0;
	assert_int_equal(worker_set_limits(fixture->worker, &fixture->settings, &settings, NULL), 0);
	claim.migration_id = db_fixture_migration(fixture->db, order.uuid, "three", "two");
	assert_int_equal(db_fixture_claim(fixture->db, &claim, -1), 0);
	db_fixture_server(fixture->db, "other", fixture->hosts[THREE], NULL);
	worker_fixture_order(fixture, &order, "live", ONE, -1);
	worker_fixture_start(fixture);
	worker_fixture_wait_ended(fixture, &order);
	worker_fixture_check(fixture, &order, "active", THREE, "completed");
}

static int set_forced(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };
	int result = db_job_by_id(session, *(int64_t *)context, &job, error);

	job.is_forced = true;
	return result < 0 ? result : db_job_update(session, &job, error);
}

/* Memory that is not there would end guests; the other two are the admin's word. */
static void forced_host_is_refused_for_memory_alone(void **state)
{
	struct worker_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(shortages); i++) {
		CLEANUP_FREE char *name = text_format("vm-%zu", i);
		struct worker_order order = worker_fixture_server(fixture, name, ONE);
		bool is_memory = strstr(shortages[i].words, "memory");

		set_limits(fixture, &shortages[i], 1);
		worker_fixture_order(fixture, &order, "live", ONE, TWO);
		db_fixture_write(fixture->db, set_forced, &order.job_id);
		worker_fixture_start(fixture);
		worker_fixture_wait_ended(fixture, &order);
		if (is_memory)
			worker_fixture_check_told(fixture, &order,
						  "There is not enough capacity on the host for the instance.");
		worker_fixture_check(fixture, &order, "active", is_memory ? ONE : TWO,
				     is_memory ? "error" : "completed");
		worker_fixture_wait_no_chores(fixture);
		if (i + 1 == ARRAY_LENGTH(shortages))
			break;
		worker_fixture_teardown(state);
		worker_fixture_setup(state);
		fixture = *state;
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_resource_alone_refuses_a_live_move_at_its_claim),
		TEST(each_resource_alone_refuses_a_cold_move_at_its_claim),
		TEST(what_is_left_exactly_is_claimed_in_each_resource),
		TEST(host_that_lost_its_room_is_passed_over_for_the_next),
		TEST(forced_host_is_refused_for_memory_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
