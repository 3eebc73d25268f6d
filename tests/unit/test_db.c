/* The tables of the database room: what is written is read back, rules hold, lists page. */
#include "base/text.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define OK(call)                                                                                                       \
	do {                                                                                                           \
		if ((call) < 0)                                                                                        \
			fail_msg("%s:%d: %s", __FILE__, __LINE__, fixture->error.text);                                \
	} while (0)

static void host_is_read_as_it_was_written(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t id = db_fixture_host(fixture, "compute-1");
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_HOST struct db_host host = { 0 };
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };
	CLEANUP_DB_SERVICES struct db_service_list services = { 0 };

	OK(db_host_by_name(session, "compute-1", &host, &fixture->error));
	assert_int_equal(host.id, id);
	assert_int_equal(host.vcpus, 8);
	assert_int_equal(host.memory_mb, 8192);
	assert_int_equal(host.reserved_memory_mb, -1);
	assert_string_equal(host.service.binary, "nova-compute");
	assert_string_equal(host.service.zone, "nova");
	assert_true(db_service_is_up(&host.service));
	assert_true(uuid_is_valid(host.uuid));
	assert_true(uuid_is_valid(host.service.uuid));
	assert_int_equal(host.created_us, FIXTURE_START_US);
	assert_null(host.uri);

	OK(db_host_all(session, &hosts, &fixture->error));
	assert_int_equal(hosts.count, 1);
	OK(db_service_all(session, &services, &fixture->error));
	assert_int_equal(services.count, 1);
	assert_int_equal(services.items[0].id, host.service.id);
	assert_int_equal(db_host_by_id(session, 99, &host, &fixture->error), -ENOENT);
	assert_string_equal(fixture->error.text, "no host 99 in the database");
	assert_int_equal(host.id, id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(host_is_read_as_it_was_written, db_fixture_setup, db_fixture_teardown),
	};

	return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
