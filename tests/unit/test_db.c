/* The tables of the database room: what is written is read back, rules hold, lists page. */
#include "base/text.h"
#include "db/chores.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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

static int insert_named_host(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };

	TEXT_COPY(host.name, (const char *)context);
	return db_host_insert(session, &host, error);
}

static void name_of_a_host_is_taken_once(void **state)
{
	struct db_fixture *fixture = *state;

	db_fixture_host(fixture, "compute-1");
	assert_int_equal(db_write(fixture->database, insert_named_host, (void *)"compute-1", &fixture->error), -EEXIST);
	assert_non_null(strstr(fixture->error.text, "compute-1"));
	assert_int_equal(fixture->error.code, EEXIST);
}

static int update_host(struct db_session *session, void *context, struct error *error)
{
	int64_t id = *(int64_t *)context;
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_id(session, id, &host, error);

	if (result == 0)
		result = db_host_set_failed_migrations(session, id, 3, error);
	if (result < 0)
		return result;
	host.uri = strdup("qemu+tcp://127.1.0.1:16509/session");
	host.facts = strdup("{\"arch\":\"x86_64\"}");
	host.cpu_allocation_ratio = 4.5;
	host.updated_us = db_now_us(session);
	result = db_host_update(session, &host, error);
	if (result < 0)
		return result;

	host.service.is_disabled = true;
	host.service.disabled_reason = strdup("maintenance");
	host.service.is_forced_down = true;
	return db_service_update(session, &host.service, error);
}

static void update_of_a_host_keeps_its_count_of_failures(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t id = db_fixture_host(fixture, "compute-1");
	CLEANUP_DB_HOST struct db_host host = { 0 };

	db_fixture_write(fixture, update_host, &id);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_host_by_id(session, id, &host, &fixture->error));
	assert_int_equal(host.failed_migrations, 3);
	assert_string_equal(host.uri, "qemu+tcp://127.1.0.1:16509/session");
	assert_string_equal(host.facts, "{\"arch\":\"x86_64\"}");
	assert_true(host.cpu_allocation_ratio > 4.4 && host.cpu_allocation_ratio < 4.6);
	assert_true(host.service.is_disabled);
	assert_string_equal(host.service.disabled_reason, "maintenance");
	assert_false(db_service_is_up(&host.service));
}

static int remove_host(struct db_session *session, void *context, struct error *error)
{
	return db_host_remove(session, *(int64_t *)context, error);
}

static int delete_server(struct db_session *session, void *context, struct error *error)
{
	return db_server_delete(session, context, error);
}

static void host_with_a_server_is_not_removed(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t id = db_fixture_host(fixture, "compute-1");
	char uuid[UUID_SIZE];
	CLEANUP_DB_HOST struct db_host host = { 0 };

	db_fixture_server(fixture, "guest", id, uuid);
	assert_int_equal(db_write(fixture->database, remove_host, &id, &fixture->error), -EBUSY);
	assert_string_equal(fixture->error.text, "host compute-1 cannot be removed: 1 servers stand there");

	db_fixture_write(fixture, delete_server, uuid);
	db_fixture_write(fixture, remove_host, &id);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	assert_int_equal(db_host_by_id(session, id, &host, &fixture->error), -ENOENT);

	/* A new host never gets a gone one's id. */
	assert_true(db_fixture_host(fixture, "compute-1") > id);
}

static void usage_sums_servers_claims_and_moves(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t source = db_fixture_host(fixture, "compute-1");
	int64_t target = db_fixture_host(fixture, "compute-2");
	int64_t empty = db_fixture_host(fixture, "compute-3");
	char uuid[UUID_SIZE];
	CLEANUP_DB_USAGES struct db_host_usage_list usages = { 0 };
	struct db_host_usage usage = { 0 };

	db_fixture_server(fixture, "one", source, NULL);
	db_fixture_server(fixture, "two", source, uuid);
	int64_t migration = db_fixture_migration(fixture, uuid, "compute-1", "compute-2");
	struct db_claim claim = {
		.host_id = target, .migration_id = migration, .vcpus = 3, .memory_mb = 5, .disk_gb = 7
	};
	assert_int_equal(db_fixture_claim(fixture, &claim, 8192), 0);

	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_host_usage(session, source, &usage, &fixture->error));
	assert_int_equal(usage.vcpus, 4);
	assert_int_equal(usage.memory_mb, 2048);
	assert_int_equal(usage.disk_gb, 20);
	assert_int_equal(usage.servers, 2);
	assert_int_equal(usage.running_servers, 2);
	assert_int_equal(usage.moves, 1);
	OK(db_host_usage(session, target, &usage, &fixture->error));
	assert_int_equal(usage.vcpus, 3);
	assert_int_equal(usage.servers, 0);
	assert_int_equal(usage.moves, 1);

	OK(db_host_usage_all(session, &usages, &fixture->error));
	assert_int_equal(usages.count, 3);
	for (size_t i = 0; i < usages.count; i++) {
		OK(db_host_usage(session, usages.items[i].host_id, &usage, &fixture->error));
		assert_memory_equal(&usage, &usages.items[i].usage, sizeof(usage));
	}
	assert_int_equal(usages.items[2].host_id, empty);
	assert_int_equal(usages.items[2].usage.memory_mb, 0);
}

static int insert_full_server(struct db_session *session, void *context, struct error *error)
{
	struct db_server *server = context;

	return db_server_insert(session, server, error);
}

static int change_server(struct db_session *session, void *context, struct error *error)
{
	const char *uuid = context;
	struct db_fault fault = { .code = 500, .message = (char *)"broken" };
	int result = db_server_set_state(session, uuid, NULL, "migrating", error);

	if (result == 0)
		result = db_server_set_lock(session, uuid, "owner", "mine", error);
	if (result == 0)
		result = db_server_set_fault(session, uuid, &fault, error);
	return result;
}

static void server_is_read_as_it_was_written(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "compute-1");
	CLEANUP_DB_SERVER struct db_server written = {
		.uuid = "5e0a6b8c-0000-4000-8000-000000000001",
		.name = "guest",
		.host_id = host,
		.vm_state = "active",
		.flavor = { .flavor_id = "f", .name = "f", .vcpus = 1, .memory_mb = 64, .swap_mb = 1025 },
		.metadata = strdup("{\"a\":\"b\"}"),
		.user_data = strdup("IyEvYmluL3No"),
	};
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	db_fixture_write(fixture, insert_full_server, &written);
	clock_manual_advance(fixture->clock, 1000000);
	db_fixture_write(fixture, change_server, written.uuid);

	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_server_by_uuid(session, written.uuid, &server, &fixture->error));
	assert_int_equal(server.id, written.id);
	assert_string_equal(server.host, "compute-1");
	assert_string_equal(server.vm_state, "active");
	assert_string_equal(server.task_state, "migrating");
	assert_string_equal(server.locked_by, "owner");
	assert_string_equal(server.locked_reason, "mine");
	assert_int_equal(server.fault.code, 500);
	assert_string_equal(server.fault.message, "broken");
	assert_null(server.fault.details);
	assert_string_equal(server.metadata, "{\"a\":\"b\"}");
	assert_string_equal(server.tags, "[]");
	assert_string_equal(server.flavor.extra_specs, "{}");
	assert_string_equal(server.user_data, "IyEvYmluL3No");
	assert_null(server.description);
	assert_int_equal(server.created_us, FIXTURE_START_US);
	assert_int_equal(server.launched_us, FIXTURE_START_US);
	assert_int_equal(server.updated_us, FIXTURE_START_US + 1000000);
	assert_int_equal(db_flavor_disk_gb(&server.flavor), 2);
	assert_true(text_starts_with(server.reservation_id, "r-"));
	db_server_clear(&server);
	db_server_clear(&server);
}

static int move_server(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, context, &server, error);

	if (result < 0)
		return result;
	server.host_id = 0;
	server.flavor.vcpus = 7;
	TEXT_COPY(server.vm_state, "stopped");
	return db_server_update(session, &server, error);
}

static void update_of_a_server_writes_place_and_flavor(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "compute-1");
	char uuid[UUID_SIZE];
	char other[UUID_SIZE];
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	CLEANUP_DB_SERVER struct db_server unchanged = { 0 };

	db_fixture_server(fixture, "guest", host, uuid);
	db_fixture_server(fixture, "twin", host, other);
	db_fixture_write(fixture, move_server, uuid);

	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_server_by_uuid(session, uuid, &server, &fixture->error));
	OK(db_server_by_uuid(session, other, &unchanged, &fixture->error));
	assert_string_equal(server.host, "");
	assert_string_equal(server.vm_state, "stopped");
	assert_int_equal(server.flavor.vcpus, 7);
	assert_int_equal(unchanged.flavor.vcpus, 2);
	assert_int_not_equal(server.flavor.id, unchanged.flavor.id);
}

struct state_change {
	const char *uuid;
	const char *vm_state; /* NULL: only the cause is set */
	const char *cause;
};

static int change_state(struct db_session *session, void *context, struct error *error)
{
	const struct state_change *change = context;

	return change->vm_state ? db_server_set_state(session, change->uuid, change->vm_state, "", error)
				: db_server_set_error_cause(session, change->uuid, change->cause, error);
}

static int rewrite_server(struct db_session *session, void *context, struct error *error)
{
	const struct state_change *change = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, change->uuid, &server, error);

	if (result < 0)
		return result;
	TEXT_COPY(server.vm_state, change->vm_state);
	TEXT_COPY(server.error_cause, "of an older reading");
	return db_server_update(session, &server, error);
}

static void check_cause(struct db_fixture *fixture, const char *uuid, const char *expected)
{
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);

	OK(db_server_by_uuid(session, uuid, &server, &fixture->error));
	assert_string_equal(server.error_cause, expected);
}

static void cause_of_an_error_ends_with_the_error(void **state)
{
	struct db_fixture *fixture = *state;
	char uuid[UUID_SIZE];
	char other[UUID_SIZE];

	db_fixture_server(fixture, "guest", 0, uuid);
	db_fixture_server(fixture, "other", 0, other);
	struct state_change to_error = { uuid, "error", NULL };
	struct state_change to_active = { uuid, "active", NULL };
	struct state_change of_task = { uuid, "error", NULL };
	struct state_change cause = { uuid, NULL, DB_ERROR_CAUSE_LOST };
	struct state_change other_to_error = { other, "error", NULL };
	struct state_change other_cause = { other, NULL, DB_ERROR_CAUSE_ADMIN };

	db_fixture_write(fixture, change_state, &other_to_error);
	db_fixture_write(fixture, change_state, &other_cause);
	/* Each of the two ways out of the error takes its cause; what leaves the state alone does not. */
	for (int way = 0; way < 2; way++) {
		db_fixture_write(fixture, change_state, &to_error);
		check_cause(fixture, uuid, "");
		db_fixture_write(fixture, change_state, &cause);
		db_fixture_write(fixture, change_state, &of_task);
		db_fixture_write(fixture, rewrite_server, &to_error);
		check_cause(fixture, uuid, DB_ERROR_CAUSE_LOST);
		db_fixture_write(fixture, way == 0 ? change_state : rewrite_server, &to_active);
		check_cause(fixture, uuid, "");
	}
	/* A server that is not in error gets no cause. */
	db_fixture_write(fixture, change_state, &cause);
	check_cause(fixture, uuid, "");
	check_cause(fixture, other, DB_ERROR_CAUSE_ADMIN);
}

static void equal_flavors_share_an_id(void **state)
{
	struct db_fixture *fixture = *state;
	char one[UUID_SIZE];
	char two[UUID_SIZE];
	CLEANUP_DB_SERVER struct db_server first = { 0 };
	CLEANUP_DB_SERVER struct db_server second = { 0 };

	db_fixture_server(fixture, "one", 0, one);
	db_fixture_server(fixture, "two", 0, two);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_server_by_uuid(session, one, &first, &fixture->error));
	OK(db_server_by_uuid(session, two, &second, &fixture->error));
	assert_int_equal(first.flavor.id, second.flavor.id);
}

static void deleted_server_is_gone_and_its_uuid_free(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_SERVER struct db_server server = { .uuid = "5e0a6b8c-0000-4000-8000-000000000001",
						      .vm_state = "active",
						      .task_state = "migrating",
						      .power_state = 1 };
	CLEANUP_DB_SERVER struct db_server again = { .uuid = "5e0a6b8c-0000-4000-8000-000000000001",
						     .vm_state = "active" };
	CLEANUP_DB_SERVERS struct db_server_list list = { 0 };

	db_fixture_write(fixture, insert_full_server, &server);
	assert_int_equal(db_write(fixture->database, insert_full_server, &again, &fixture->error), -EEXIST);
	db_fixture_write(fixture, delete_server, server.uuid);
	assert_int_equal(db_write(fixture->database, delete_server, server.uuid, &fixture->error), -ENOENT);
	assert_int_equal(db_write(fixture->database, change_server, server.uuid, &fixture->error), -ENOENT);
	again.id = 0;
	db_fixture_write(fixture, insert_full_server, &again);

	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	struct db_server_filter all = { .has_deleted = true };
	OK(db_server_find(session, &all, &list, &fixture->error));
	assert_int_equal(list.count, 2);
	assert_int_equal(list.items[0].id, again.id);
	assert_true(list.items[1].is_deleted);
	assert_int_equal(list.items[1].terminated_us, FIXTURE_START_US);
	assert_string_equal(list.items[1].vm_state, "deleted");
	assert_string_equal(list.items[1].task_state, "");
	assert_int_equal(list.items[1].power_state, 0);
}

static void servers_are_listed_newest_first_in_pages(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "compute-1");
	int64_t ids[7];
	char marker[UUID_SIZE] = "";
	size_t seen = 0;

	for (size_t i = 0; i < 7; i++) {
		ids[i] = db_fixture_server(fixture, i % 2 ? "odd_1" : "even%1", host, NULL);
		if (i < 4) /* the last ones are of the same time: the id decides */
			clock_manual_advance(fixture->clock, 5);
	}

	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	for (int page = 0; page < 4; page++) {
		CLEANUP_DB_SERVERS struct db_server_list list = { 0 };
		struct db_server_filter filter = { .limit = 2, .marker = page ? marker : NULL };

		OK(db_server_find(session, &filter, &list, &fixture->error));
		assert_int_equal(list.count, page < 3 ? 2 : 1);
		for (size_t i = 0; i < list.count; i++)
			assert_int_equal(list.items[i].id, ids[6 - seen++]);
		TEXT_COPY(marker, list.items[list.count - 1].uuid);
	}
	assert_int_equal(seen, 7);

	CLEANUP_DB_SERVERS struct db_server_list list = { 0 };
	struct db_server_filter filter = { .marker = "no-such" };
	assert_int_equal(db_server_find(session, &filter, &list, &fixture->error), -ENOENT);
	assert_null(list.items);
}

static size_t count_servers(struct db_fixture *fixture, struct db_session *session, struct db_server_filter filter)
{
	CLEANUP_DB_SERVERS struct db_server_list list = { 0 };

	OK(db_server_find(session, &filter, &list, &fixture->error));
	return list.count;
}

static void every_filter_of_servers_chooses(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1");
	int64_t two = db_fixture_host(fixture, "compute-2");
	char uuid[UUID_SIZE];

	db_fixture_server(fixture, "Web%1", one, NULL);
	db_fixture_server(fixture, "web-2", two, uuid);
	db_fixture_server(fixture, "database", two, NULL);
	clock_manual_advance(fixture->clock, 100);
	db_fixture_write(fixture, change_server, uuid);

	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	struct {
		struct db_server_filter filter;
		size_t expected;
	} cases[] = {
		{ { 0 }, 3 },
		{ { .project_id = "project" }, 3 },
		{ { .project_id = "other" }, 0 },
		{ { .host_id = two }, 2 },
		{ { .vm_state = "active" }, 3 },
		{ { .task_state = "migrating" }, 1 },
		{ { .name_part = "web" }, 2 },
		{ { .name_part = "%" }, 1 },
		{ { .name_part = "_" }, 0 },
		{ { .uuid = uuid }, 1 },
		{ { .uuid = uuid, .host_id = one }, 0 },
		{ { .changes_since_us = FIXTURE_START_US + 100 }, 1 },
		{ { .project_id = "project", .host_id = two, .vm_state = "active", .name_part = "b", .limit = 1 }, 1 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (count_servers(fixture, session, cases[i].filter) != cases[i].expected)
			fail_msg("case %zu", i);
}

static int mark_migration(struct db_session *session, void *context, struct error *error)
{
	int64_t id = *(int64_t *)context;
	struct db_progress memory = { 100, 60, 40 };
	int result = db_migration_set_status(session, id, "running", error);

	if (result == 0)
		result = db_migration_set_target(session, id, "compute-3", "compute-3", NULL, error);
	if (result == 0)
		result = db_migration_set_source_node(session, id, "node-1", error);
	if (result == 0)
		result = db_migration_set_progress(session, id, &memory, NULL, error);
	return result;
}

static int mark_migration_with_a_long_word(struct db_session *session, void *context, struct error *error)
{
	return db_migration_set_status(session, *(int64_t *)context, "a status that is longer than its column holds",
				       error);
}

static void migration_keeps_what_is_set(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t id = db_fixture_migration(fixture, "server", "compute-1", "");
	struct db_migration migration = { 0 };

	clock_manual_advance(fixture->clock, 7);
	db_fixture_write(fixture, mark_migration, &id);
	assert_int_equal(db_write(fixture->database, mark_migration_with_a_long_word, &id, &fixture->error), -EINVAL);

	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_migration_by_id(session, id, &migration, &fixture->error));
	assert_string_equal(migration.status, "running");
	assert_string_equal(migration.dest_compute, "compute-3");
	assert_string_equal(migration.dest_host, "");
	assert_string_equal(migration.source_node, "node-1");
	assert_int_equal(migration.memory.remaining, 40);
	assert_int_equal(migration.disk.total, -1);
	assert_int_equal(migration.updated_us, FIXTURE_START_US + 7);
	OK(db_migration_by_uuid(session, migration.uuid, &migration, &fixture->error));
	assert_int_equal(migration.id, id);
	OK(db_migration_by_server_and_status(session, "server", "running", &migration, &fixture->error));
	assert_int_equal(db_migration_by_server_and_status(session, "server", "error", &migration, &fixture->error),
			 -ENOENT);
}

static int insert_seven_migrations(struct db_session *session, void *context, struct error *error)
{
	static const struct {
		const char *status, *type, *server, *source, *target;
		bool is_hidden;
	} rows[] = {
		{ "completed", "live-migration", "a", "host2", "host1", false },
		{ "error", "live-migration", "a", "host1", "host3", false },
		{ "running", "live-migration", "a", "host1", "host2", false },
		{ "confirmed", "migration", "b", "host1", "host2", false },
		{ "reverted", "resize", "b", "host2", "host3", false },
		{ "failed", "live-migration", "c", "host3", "host1", true },
		{ "queued", "live-migration", "c", "host1", "host3", false },
	};
	(void)context;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct db_migration migration = { .created_us = (int64_t)i * 1000 + 1000 };

		TEXT_COPY(migration.status, rows[i].status);
		TEXT_COPY(migration.type, rows[i].type);
		TEXT_COPY(migration.server_uuid, rows[i].server);
		TEXT_COPY(migration.source_compute, rows[i].source);
		TEXT_COPY(migration.dest_compute, rows[i].target);
		TEXT_COPY(migration.project_id, i % 2 ? "odd" : "even");
		snprintf(migration.uuid, sizeof(migration.uuid), "uuid-%zu", i + 1);
		migration.is_hidden = rows[i].is_hidden;
		migration.updated_us = migration.created_us + 500;
		int result = db_migration_insert(session, &migration, error);
		if (result < 0)
			return result;
	}
	return 0;
}

/* The ids found, as one word: "731". */
static void check_migrations(struct db_fixture *fixture, struct db_session *session, struct db_migration_filter filter,
			     const char *expected)
{
	CLEANUP_DB_MIGRATIONS struct db_migration_list list = { 0 };
	char found[16] = "";

	OK(db_migration_find(session, &filter, &list, &fixture->error));
	for (size_t i = 0; i < list.count && i < 15; i++)
		found[i] = (char)('0' + list.items[i].id);
	assert_string_equal(found, expected);
}

static void every_filter_of_migrations_chooses(void **state)
{
	struct db_fixture *fixture = *state;

	db_fixture_write(fixture, insert_seven_migrations, NULL);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	struct {
		struct db_migration_filter filter;
		const char *expected;
	} cases[] = {
		{ { 0 }, "754321" },
		{ { .has_hidden = true }, "7654321" },
		{ { .server_uuid = "a" }, "321" },
		{ { .status = "running" }, "3" },
		{ { .status = "" }, "" },
		{ { .type = "resize" }, "5" },
		{ { .host = "host2" }, "5431" },
		{ { .source_compute = "host2" }, "51" },
		{ { .project_id = "odd" }, "42" },
		{ { .user_id = "nobody" }, "" },
		{ { .is_in_progress = true }, "73" },
		{ { .is_in_progress = true, .server_uuid = "a" }, "3" },
		{ { .limit = 2 }, "75" },
		{ { .limit = 2, .marker = "uuid-5" }, "43" },
		{ { .limit = 2, .marker = "uuid-6" }, "54" },
		{ { .marker = "uuid-1" }, "" },
		{ { .changes_since_us = 6500 }, "7" },
		{ { .changes_before_us = 2500 }, "21" },
		{ { .changes_since_us = 2500, .changes_before_us = 3500, .host = "host1" }, "32" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_migrations(fixture, session, cases[i].filter, cases[i].expected);

	CLEANUP_DB_MIGRATIONS struct db_migration_list list = { 0 };
	struct db_migration_filter unknown = { .marker = "1" };
	assert_int_equal(db_migration_find(session, &unknown, &list, &fixture->error), -ENOENT);
}

struct job_context {
	int64_t id;
	const char *node;
	int64_t lease_until_us;
};

static int insert_job(struct db_session *session, void *context, struct error *error)
{
	struct job_context *job_context = context;
	CLEANUP_DB_JOB struct db_job job = {
		.kind = "live",
		.phase = "accepted",
		.server_uuid = "server",
		.minor_version = 34,
		.block_migration = "auto",
		.is_waited_for = true,
	};
	int result = db_job_insert(session, &job, error);

	job_context->id = job.id;
	return result;
}

static int take_job(struct db_session *session, void *context, struct error *error)
{
	struct job_context *job = context;

	return db_job_take(session, job->id, job->node, job->lease_until_us, error);
}

static void lease_of_a_job_keeps_other_nodes_out_until_it_ends(void **state)
{
	struct db_fixture *fixture = *state;
	struct job_context job = { .node = "one", .lease_until_us = FIXTURE_START_US + 10000 };

	db_fixture_write(fixture, insert_job, &job);
	db_fixture_write(fixture, take_job, &job);
	job.node = "two";
	assert_int_equal(db_write(fixture->database, take_job, &job, &fixture->error), -EBUSY);
	assert_non_null(strstr(fixture->error.text, "belongs to node one for 10 ms"));
	job.node = "one";
	job.lease_until_us += 10000;
	db_fixture_write(fixture, take_job, &job);

	job.node = "two";
	clock_manual_advance(fixture->clock, 20000);
	assert_int_equal(db_write(fixture->database, take_job, &job, &fixture->error), -EBUSY);
	clock_manual_advance(fixture->clock, 1);
	db_fixture_write(fixture, take_job, &job);
	job.id = 77;
	assert_int_equal(db_write(fixture->database, take_job, &job, &fixture->error), -ENOENT);
}

static int request_abort(struct db_session *session, void *context, struct error *error)
{
	struct job_context *job = context;
	int result = db_job_request(session, job->id, true, false, error);

	return result < 0 ? result : db_job_set_verdict(session, job->id, 400, "no", "no, compute-1 is full", error);
}

/* As a worker does that read the job before the abort was asked for. */
static int advance_stale_job(struct db_session *session, void *context, struct error *error)
{
	return db_job_update(session, context, error);
}

static void update_of_a_job_loses_no_request_that_came_meanwhile(void **state)
{
	struct db_fixture *fixture = *state;
	struct job_context context = { 0 };
	CLEANUP_DB_JOB struct db_job stale = { 0 };
	CLEANUP_DB_JOB struct db_job job = { 0 };
	CLEANUP_DB_JOBS struct db_job_list list = { 0 };

	db_fixture_write(fixture, insert_job, &context);
	struct db_session *before = db_fixture_read(fixture);
	OK(db_job_by_id(before, context.id, &stale, &fixture->error));
	db_read_end(before);

	db_fixture_write(fixture, request_abort, &context);
	TEXT_COPY(stale.phase, "copying");
	stale.state = strdup("{}");
	db_fixture_write(fixture, advance_stale_job, &stale);

	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_job_unfinished_of_server(session, "server", &job, &fixture->error));
	assert_string_equal(job.phase, "copying");
	assert_string_equal(job.state, "{}");
	assert_true(job.is_abort_requested);
	assert_false(job.is_force_complete_requested);
	assert_int_equal(job.verdict.status, 400);
	assert_string_equal(job.verdict.message_for_admins, "no, compute-1 is full");
	OK(db_job_unfinished(session, &list, &fixture->error));
	assert_int_equal(list.count, 1);
	assert_int_equal(db_job_by_migration(session, 5, &job, &fixture->error), -ENOENT);
}

static int finish_job(struct db_session *session, void *context, struct error *error)
{
	struct job_context *job_context = context;
	CLEANUP_DB_JOB struct db_job job = { 0 };
	int result = db_job_by_id(session, job_context->id, &job, error);

	if (result < 0)
		return result;
	job.finished_us = db_now_us(session);
	return db_job_update(session, &job, error);
}

static void finished_job_is_a_record_only(void **state)
{
	struct db_fixture *fixture = *state;
	struct job_context context = { .node = "one" };
	CLEANUP_DB_JOB struct db_job job = { 0 };

	db_fixture_write(fixture, insert_job, &context);
	db_fixture_write(fixture, finish_job, &context);
	assert_int_equal(db_write(fixture->database, take_job, &context, &fixture->error), -EBUSY);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	assert_int_equal(db_job_unfinished_of_server(session, "server", &job, &fixture->error), -ENOENT);
	OK(db_job_by_id(session, context.id, &job, &fixture->error));
}

static int release_claims(struct db_session *session, void *context, struct error *error)
{
	const struct db_claim *claim = context;

	return db_claim_release(session, claim->migration_id, claim->host_id, error);
}

static void claim_is_refused_with_figures_when_the_host_is_full(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "compute-1");
	struct db_claim claim = { .host_id = host, .memory_mb = 500, .vcpus = 1 };
	CLEANUP_DB_CLAIMS struct db_claim_list list = { 0 };

	db_fixture_server(fixture, "guest", host, NULL);
	claim.migration_id = db_fixture_migration(fixture, "guest", "compute-2", "compute-1");
	assert_int_equal(db_fixture_claim(fixture, &claim, 1600), 0);
	assert_int_equal(db_fixture_claim(fixture, &claim, 1600), -EBUSY);
	assert_string_equal(fixture->error.text, "500 MiB of memory are wanted, 1524 of 1600 are taken");
	assert_int_equal(db_fixture_claim(fixture, &claim, -1), 0);

	struct db_session *session = db_fixture_read(fixture);
	OK(db_claim_by_host(session, host, &list, &fixture->error));
	assert_int_equal(list.count, 2);
	db_claim_list_clear(&list);
	OK(db_claim_by_migration(session, claim.migration_id, &list, &fixture->error));
	assert_int_equal(list.count, 2);
	db_claim_list_clear(&list);
	db_read_end(session);

	struct db_claim elsewhere = { .host_id = host + 1, .migration_id = claim.migration_id };
	db_fixture_write(fixture, release_claims, &elsewhere);
	session = db_fixture_read(fixture);
	OK(db_claim_by_host(session, host, &list, &fixture->error));
	assert_int_equal(list.count, 2);
	db_claim_list_clear(&list);
	db_read_end(session);

	claim.host_id = 0;
	db_fixture_write(fixture, release_claims, &claim);
	session = db_fixture_read(fixture);
	OK(db_claim_by_host(session, host, &list, &fixture->error));
	assert_int_equal(list.count, 0);
	db_read_end(session);
}

struct claiming_thread {
	struct db_fixture *fixture;
	struct db_claim claim;
	int result;
};

static void *claim_in_a_thread(void *argument)
{
	struct claiming_thread *thread = argument;

	thread->result = db_fixture_claim(thread->fixture, &thread->claim, 1024);
	return NULL;
}

static void two_claims_for_the_last_memory_one_gets_it(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "compute-1");
	int64_t migration = db_fixture_migration(fixture, "guest", "compute-2", "compute-1");
	struct claiming_thread claiming[8];
	pthread_t threads[8];
	int won = 0;

	for (size_t i = 0; i < 8; i++) {
		claiming[i] = (struct claiming_thread){
			.fixture = fixture, .claim = { .host_id = host, .migration_id = migration, .memory_mb = 600 }
		};
		assert_int_equal(pthread_create(&threads[i], NULL, claim_in_a_thread, &claiming[i]), 0);
	}
	for (size_t i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		won += claiming[i].result == 0;
		assert_true(claiming[i].result == 0 || claiming[i].result == -EBUSY);
	}
	assert_int_equal(won, 1);
}

static int insert_actions(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	for (int i = 1; i <= 4; i++) {
		struct db_action action = { .action = "migrate", .server_uuid = "server", .start_us = i * 100 };

		snprintf(action.request_id, sizeof(action.request_id), "req-%d", i);
		int result = db_action_insert(session, &action, error);
		if (result < 0)
			return result;
	}
	return 0;
}

static void actions_page_by_request_id(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_ACTIONS struct db_action_list list = { 0 };
	struct db_action_filter filter = { .server_uuid = "server", .limit = 2, .marker = "req-4" };

	db_fixture_write(fixture, insert_actions, NULL);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_action_find(session, &filter, &list, &fixture->error));
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].request_id, "req-3");
	assert_string_equal(list.items[1].request_id, "req-2");
	filter.marker = "req-9";
	assert_int_equal(db_action_find(session, &filter, &list, &fixture->error), -ENOENT);
	filter.marker = "req-4";
	filter.server_uuid = "other";
	assert_int_equal(db_action_find(session, &filter, &list, &fixture->error), -ENOENT);

	CLEANUP_DB_ACTIONS struct db_action_list between = { 0 };
	struct db_action_filter times = { .changes_since_us = 200, .changes_before_us = 300 };
	OK(db_action_find(session, &times, &between, &fixture->error));
	assert_int_equal(between.count, 2);
}

static int act(struct db_session *session, void *context, struct error *error)
{
	struct db_action action = { .action = "live-migration", .server_uuid = "server", .request_id = "req-1" };
	struct db_event first = { .event = "conductor_live_migrate_instance", .host = "node" };
	struct db_event second = { .event = "compute_live_migration" };
	int result = db_action_insert(session, &action, error);
	(void)context;

	if (result < 0)
		return result;
	first.action_id = second.action_id = action.id;
	result = db_event_insert(session, &first, error);
	if (result == 0)
		result = db_event_insert(session, &second, error);
	if (result == 0)
		result = db_event_finish(session, first.id, "Error", "trace", "compute-1 is full", error);
	if (result == 0)
		result = db_action_finish(session, action.id, "Error", error);
	return result;
}

static void events_of_an_action_are_read_newest_first(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_ACTION struct db_action action = { 0 };
	CLEANUP_DB_EVENTS struct db_event_list events = { 0 };

	db_fixture_write(fixture, act, NULL);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_action_by_request(session, "server", "req-1", &action, &fixture->error));
	assert_string_equal(action.message, "Error");
	assert_int_equal(action.finish_us, FIXTURE_START_US);
	OK(db_event_by_action(session, action.id, &events, &fixture->error));
	assert_int_equal(events.count, 2);
	assert_string_equal(events.items[0].event, "compute_live_migration");
	assert_int_equal(events.items[0].finish_us, 0);
	assert_null(events.items[0].details);
	assert_string_equal(events.items[1].result, "Error");
	assert_string_equal(events.items[1].details, "compute-1 is full");
	assert_string_equal(events.items[1].traceback, "trace");
}

static int keep_volumes(struct db_session *session, void *context, struct error *error)
{
	int64_t host_id = *(int64_t *)context;
	struct db_job job = { .kind = "cold" };
	int result = db_job_insert(session, &job, error);
	struct db_volume one = { .job_id = job.id, .host_id = host_id, .pool = "default", .name = "one" };
	struct db_volume two = { .job_id = job.id, .host_id = host_id, .pool = "default", .name = "two" };
	struct db_volume taken = two;
	struct db_kept_domain kept = {
		.host_id = host_id, .server_uuid = "server", .definition = (char *)"<domain/>", .was_running = true
	};

	if (result == 0)
		result = db_volume_insert(session, &one, error);
	if (result == 0)
		result = db_volume_insert(session, &two, error);
	if (result == 0 && db_volume_insert(session, &taken, error) != -EEXIST)
		return error_set(error, EIO, "a volume was taken twice");
	if (result == 0)
		result = db_volume_set_complete(session, one.id, error);
	if (result == 0)
		result = db_kept_domain_insert(session, &kept, error);
	return result;
}

static int forget_kept(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };
	int result = db_kept_domain_by_server(session, "server", &kept, error);
	(void)context;

	if (result == 0)
		result = db_kept_domain_delete(session, kept.id, error);
	return result < 0 ? result : db_volume_delete(session, 2, error);
}

static void volumes_and_kept_domains_stay_until_deleted(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "compute-1");
	CLEANUP_DB_VOLUMES struct db_volume_list incomplete = { 0 };
	CLEANUP_DB_VOLUMES struct db_volume_list of_job = { 0 };
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };

	db_fixture_write(fixture, keep_volumes, &host);
	struct db_session *session = db_fixture_read(fixture);
	OK(db_volume_incomplete(session, &incomplete, &fixture->error));
	assert_int_equal(incomplete.count, 1);
	assert_string_equal(incomplete.items[0].name, "two");
	OK(db_volume_by_job(session, incomplete.items[0].job_id, &of_job, &fixture->error));
	assert_int_equal(of_job.count, 2);
	db_volume_list_clear(&of_job);
	OK(db_volume_by_migration(session, 7, &of_job, &fixture->error)); /* no job of that migration has any */
	assert_int_equal(of_job.count, 0);
	OK(db_kept_domain_by_server(session, "server", &kept, &fixture->error));
	assert_string_equal(kept.definition, "<domain/>");
	assert_true(kept.was_running);
	db_kept_domain_clear(&kept);
	db_read_end(session);

	assert_int_equal(db_write(fixture->database, remove_host, &host, &fixture->error), -EBUSY);
	db_fixture_write(fixture, forget_kept, NULL);
	assert_int_equal(db_write(fixture->database, forget_kept, NULL, &fixture->error), -ENOENT);
}

static int erase(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_erase_all(session, error);
}

static void erasing_leaves_nothing_and_ids_begin_again(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "compute-1");
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };

	db_fixture_server(fixture, "guest", host, NULL);
	db_fixture_write(fixture, keep_volumes, &host);
	db_fixture_write(fixture, act, NULL);
	db_fixture_write(fixture, erase, NULL);
	struct db_session *session = db_fixture_read(fixture);
	OK(db_host_all(session, &hosts, &fixture->error));
	assert_int_equal(hosts.count, 0);
	db_read_end(session);
	assert_int_equal(db_fixture_host(fixture, "compute-1"), 1);
}

static int insert_bad_text(struct db_session *session, void *context, struct error *error)
{
	struct db_migration migration = { .status = "accepted" };

	if (context)
		memset(migration.server_uuid, 'x', sizeof(migration.server_uuid)); /* no terminator */
	else
		TEXT_COPY(migration.user_id, "\xff\xfe");
	return db_migration_insert(session, &migration, error);
}

static void texts_without_end_or_meaning_are_refused(void **state)
{
	struct db_fixture *fixture = *state;

	assert_int_equal(db_write(fixture->database, insert_bad_text, NULL, &fixture->error), -EINVAL);
	assert_int_equal(db_write(fixture->database, insert_bad_text, fixture, &fixture->error), -EINVAL);
	assert_non_null(strstr(fixture->error.text, "server_uuid is longer than 36 bytes"));
}

static void reader_cannot_write(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	struct db_migration migration = { .status = "accepted" };

	assert_int_equal(db_migration_insert(session, &migration, &fixture->error), -EPERM);
	assert_int_equal(migration.id, 0);
	assert_int_equal(db_server_delete(session, "x", &fixture->error), -EPERM);
}

struct two_jobs {
	struct db_job first;
	struct db_job second;
};

static int insert_second_job(struct db_session *session, void *context, struct error *error)
{
	return db_job_insert(session, &((struct two_jobs *)context)->second, error);
}

static int insert_first_job(struct db_session *session, void *context, struct error *error)
{
	return db_job_insert(session, &((struct two_jobs *)context)->first, error);
}

static int finish_first_job(struct db_session *session, void *context, struct error *error)
{
	struct db_job *job = &((struct two_jobs *)context)->first;

	job->finished_us = 5;
	return db_job_update(session, job, error);
}

static void server_has_one_unfinished_job(void **state)
{
	struct db_fixture *fixture = *state;
	struct two_jobs jobs = { { .kind = "live", .server_uuid = "a" },
				 { .kind = "reboot_hard", .server_uuid = "a" } };
	struct two_jobs others = { .first = { .kind = "live", .server_uuid = "b" } };

	db_fixture_write(fixture, insert_first_job, &jobs);
	assert_int_equal(db_write(fixture->database, insert_second_job, &jobs, &fixture->error), -EEXIST);
	assert_non_null(strstr(fixture->error.text, "server a has an unfinished job"));
	db_fixture_write(fixture, insert_first_job, &others);
	db_fixture_write(fixture, finish_first_job, &jobs);
	db_fixture_write(fixture, insert_second_job, &jobs);
}

static int set_gone(struct db_session *session, void *context, struct error *error)
{
	return db_host_set_gone(session, *(int64_t *)context, true, error);
}

static int rewrite_host(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_id(session, *(int64_t *)context, &host, error);

	host.is_gone = false;
	return result < 0 ? result : db_host_update(session, &host, error);
}

static void reading_does_not_bring_back_a_host_that_was_given_up(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t id = db_fixture_host(fixture, "compute-1");
	int64_t nowhere = 99;
	CLEANUP_DB_HOST struct db_host host = { 0 };

	db_fixture_write(fixture, set_gone, &id);
	db_fixture_write(fixture, rewrite_host, &id);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_host_by_id(session, id, &host, &fixture->error));
	assert_true(host.is_gone);
	assert_int_equal(db_write(fixture->database, set_gone, &nowhere, &fixture->error), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

struct naming {
	struct db_job job;
	struct db_kept_domain kept;
	struct db_chore chore;
};

static int insert_naming(struct db_session *session, void *context, struct error *error)
{
	struct naming *naming = context;
	int result = db_job_insert(session, &naming->job, error);

	if (result == 0)
		result = db_kept_domain_insert(session, &naming->kept, error);
	return result < 0 ? result : db_chore_insert(session, &naming->chore, error);
}

static void hosts_that_name_a_server_are_those_of_all_its_rows(void **state)
{
	static const char *const names[] = { "row", "source", "target", "claim", "kept", "chore", "whole", "other" };
	struct db_fixture *fixture = *state;
	int64_t ids[8];
	char uuid[UUID_SIZE];
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };

	for (size_t i = 0; i < 8; i++)
		ids[i] = db_fixture_host(fixture, names[i]);
	db_fixture_server(fixture, "guest", ids[0], uuid);
	db_fixture_server(fixture, "another", ids[7], NULL);
	struct db_claim claim = { .host_id = ids[3] };
	struct naming naming = {
		.job = { .kind = "cold", .phase = "accepted", .source_host_id = ids[1], .target_host_id = ids[2] },
		.kept = { .host_id = ids[4] },
		.chore = { .kind = DB_CHORE_REMOVE_GUEST, .host_id = ids[5], .other_host_id = ids[6] }
	};
	claim.migration_id = naming.job.migration_id = db_fixture_migration(fixture, uuid, "source", "target");
	memcpy(claim.server_uuid, uuid, UUID_SIZE);
	memcpy(naming.job.server_uuid, uuid, UUID_SIZE);
	memcpy(naming.kept.server_uuid, uuid, UUID_SIZE);
	memcpy(naming.chore.server_uuid, uuid, UUID_SIZE);
	assert_int_equal(db_fixture_claim(fixture, &claim, -1), 0);
	db_fixture_write(fixture, insert_naming, &naming);

	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_host_naming_server(session, uuid, &hosts, &fixture->error));
	assert_int_equal(hosts.count, 7);
	for (size_t i = 0; i < hosts.count; i++)
		assert_string_equal(hosts.items[i].name, names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(host_is_read_as_it_was_written),
		TEST(name_of_a_host_is_taken_once),
		TEST(update_of_a_host_keeps_its_count_of_failures),
		TEST(host_with_a_server_is_not_removed),
		TEST(usage_sums_servers_claims_and_moves),
		TEST(server_is_read_as_it_was_written),
		TEST(update_of_a_server_writes_place_and_flavor),
		TEST(cause_of_an_error_ends_with_the_error),
		TEST(equal_flavors_share_an_id),
		TEST(deleted_server_is_gone_and_its_uuid_free),
		TEST(servers_are_listed_newest_first_in_pages),
		TEST(every_filter_of_servers_chooses),
		TEST(migration_keeps_what_is_set),
		TEST(every_filter_of_migrations_chooses),
		TEST(lease_of_a_job_keeps_other_nodes_out_until_it_ends),
		TEST(update_of_a_job_loses_no_request_that_came_meanwhile),
		TEST(finished_job_is_a_record_only),
		TEST(claim_is_refused_with_figures_when_the_host_is_full),
		TEST(two_claims_for_the_last_memory_one_gets_it),
		TEST(actions_page_by_request_id),
		TEST(events_of_an_action_are_read_newest_first),
		TEST(volumes_and_kept_domains_stay_until_deleted),
		TEST(erasing_leaves_nothing_and_ids_begin_again),
		TEST(texts_without_end_or_meaning_are_refused),
		TEST(reader_cannot_write),
		TEST(hosts_that_name_a_server_are_those_of_all_its_rows),
		TEST(server_has_one_unfinished_job),
		TEST(reading_does_not_bring_back_a_host_that_was_given_up),
	};

	return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
