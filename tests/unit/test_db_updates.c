/* An update writes every field of a row that may change, each into its own column, and leaves the others as they were; an insert
 * fills in what its caller left to it. */
#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/row.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A field as a row type has it; ROW_FIXED: an update leaves it. What the database or the test itself sets is not named. */
#define FREE(type, member)  COLUMN(struct type, member, 0)
#define FIXED(type, member) COLUMN(struct type, member, ROW_FIXED)

static const struct row_column server_fields[] = {
	FREE(db_server, name),
	FREE(db_server, instance_name),
	FREE(db_server, project_id),
	FREE(db_server, user_id),
	FREE(db_server, vm_state),
	FREE(db_server, task_state),
	FREE(db_server, power_state),
	FREE(db_server, locked_by),
	FREE(db_server, locked_reason),
	FREE(db_server, old_vm_state),
	FREE(db_server, fault.code),
	FREE(db_server, fault.message),
	FREE(db_server, fault.details),
	FREE(db_server, fault.created_us),
	FREE(db_server, flavor.name),
	FREE(db_server, flavor.vcpus),
	FREE(db_server, flavor.memory_mb),
	FREE(db_server, flavor.disk_gb),
	FREE(db_server, flavor.ephemeral_gb),
	FREE(db_server, flavor.swap_mb),
	FREE(db_server, flavor.extra_specs),
	FREE(db_server, image_id),
	FREE(db_server, hostname),
	FREE(db_server, key_name),
	FREE(db_server, config_drive),
	FREE(db_server, availability_zone),
	FREE(db_server, reservation_id),
	FREE(db_server, root_device_name),
	FREE(db_server, description),
	FREE(db_server, user_data),
	FREE(db_server, metadata),
	FREE(db_server, system_metadata),
	FREE(db_server, tags),
	FREE(db_server, addresses),
	FREE(db_server, volumes),
	FREE(db_server, facts),
	FREE(db_server, progress),
	FREE(db_server, launched_us),
	FREE(db_server, terminated_us),
	FIXED(db_server, created_us),
};

static const struct row_column host_fields[] = {
	FREE(db_host, uri),
	FREE(db_host, user_name),
	FREE(db_host, password_file),
	FREE(db_host, migration_address),
	FREE(db_host, migration_interface),
	FREE(db_host, tunnel_interface),
	FREE(db_host, interfaces),
	FREE(db_host, hypervisor_type),
	FREE(db_host, hypervisor_version),
	FREE(db_host, host_ip),
	FREE(db_host, vcpus),
	FREE(db_host, memory_mb),
	FREE(db_host, disk_gb),
	FREE(db_host, cpu_allocation_ratio),
	FREE(db_host, ram_allocation_ratio),
	FREE(db_host, disk_allocation_ratio),
	FREE(db_host, reserved_memory_mb),
	FREE(db_host, reserved_disk_gb),
	FREE(db_host, cpu_info),
	FREE(db_host, facts),
	FREE(db_host, updated_us),
	FIXED(db_host, uuid),
	FIXED(db_host, name),
	FIXED(db_host, failed_migrations),
	FIXED(db_host, is_gone),
	FIXED(db_host, created_us),
	FIXED(db_host, service.binary),
	FIXED(db_host, service.host),
	FIXED(db_host, service.zone),
	FIXED(db_host, service.is_disabled),
	FIXED(db_host, service.disabled_reason),
	FIXED(db_host, service.is_forced_down),
	FIXED(db_host, service.is_up),
	FIXED(db_host, service.updated_us),
};

static const struct row_column service_fields[] = {
	FREE(db_service, is_disabled), FREE(db_service, disabled_reason), FREE(db_service, is_forced_down),
	FREE(db_service, is_up),       FREE(db_service, updated_us),      FIXED(db_service, uuid),
	FIXED(db_service, binary),     FIXED(db_service, host),           FIXED(db_service, zone),
};

static const struct row_column job_fields[] = {
	FREE(db_job, phase),
	FREE(db_job, source_host_id),
	FREE(db_job, target_host_id),
	FREE(db_job, requested_host),
	FREE(db_job, is_forced),
	FREE(db_job, block_migration),
	FREE(db_job, disk_over_commit),
	FREE(db_job, attempt),
	FREE(db_job, state),
	FREE(db_job, is_waited_for),
	FREE(db_job, owner),
	FREE(db_job, lease_until_us),
	FREE(db_job, finished_us),
	FIXED(db_job, kind),
	FIXED(db_job, server_uuid),
	FIXED(db_job, action_id),
	FIXED(db_job, request_id),
	FIXED(db_job, minor_version),
	FIXED(db_job, is_abort_requested),
	FIXED(db_job, is_force_complete_requested),
	FIXED(db_job, verdict.status),
	FIXED(db_job, verdict.message),
	FIXED(db_job, verdict.message_for_admins),
	FIXED(db_job, created_us),
};

enum { BEFORE, AFTER };

/* What the field with that number holds before and after: of a bool false and true, else something of its own. */
static void set_field(const struct row_column *field, void *row, size_t number, int time)
{
	void *at = (char *)row + field->offset;
	int value = (int)number + (time == BEFORE ? 100 : 200);

	switch (field->storage) {
	case ROW_INT64:
		*(int64_t *)at = value;
		break;
	case ROW_INT:
		*(int *)at = value;
		break;
	case ROW_BOOL:
		*(bool *)at = time == AFTER;
		break;
	case ROW_DOUBLE:
		*(double *)at = value + 0.5;
		break;
	case ROW_OWNED_TEXT:
		free(*(char **)at);
		*(char **)at = text_format("v%d", value);
		break;
	case ROW_FIXED_TEXT:
		snprintf(at, field->size, "v%d", value);
		break;
	}
}

static bool has_field(const struct row_column *field, void *row, size_t number, int time)
{
	const void *at = (const char *)row + field->offset;
	int value = (int)number + (time == BEFORE ? 100 : 200);
	char text[16];

	snprintf(text, sizeof(text), "v%d", value);
	switch (field->storage) {
	case ROW_INT64:
		return *(const int64_t *)at == value;
	case ROW_INT:
		return *(const int *)at == value;
	case ROW_BOOL:
		return *(const bool *)at == (time == AFTER);
	case ROW_DOUBLE:
		return *(const double *)at > value && *(const double *)at < value + 1;
	case ROW_OWNED_TEXT:
		return *(char *const *)at && strcmp(*(char *const *)at, text) == 0;
	case ROW_FIXED_TEXT:
		return strcmp(at, text) == 0;
	}
	return false;
}

/* A kind of row, and the two writes and one read of it. */
struct kind {
	const char *name;
	const struct row_column *fields;
	size_t field_count;
	int (*insert)(struct db_session *session, void *row, struct error *error);
	int (*update)(struct db_session *session, void *row, struct error *error);
	int (*read)(struct db_session *session, void *row, struct error *error);
	void (*clear)(void *row);
};

struct subject {
	const struct kind *kind;
	union {
		struct db_server server;
		struct db_host host;
		struct db_job job;
	} row;
};

static void *row_of(struct subject *subject)
{
	return &subject->row;
}

static void set_fields(struct subject *subject, int time)
{
	for (size_t i = 0; i < subject->kind->field_count; i++)
		set_field(&subject->kind->fields[i], row_of(subject), i, time);
}

static int insert_before(struct db_session *session, void *context, struct error *error)
{
	struct subject *subject = context;

	set_fields(subject, BEFORE);
	return subject->kind->insert(session, row_of(subject), error);
}

static int update_after(struct db_session *session, void *context, struct error *error)
{
	struct subject *subject = context;

	set_fields(subject, AFTER);
	return subject->kind->update(session, row_of(subject), error);
}

/* The rows. Each is found again by an id that is no field, or by a uuid that stays. */
static int insert_server(struct db_session *session, void *row, struct error *error)
{
	struct db_server *server = row;

	TEXT_COPY(server->uuid, "5e0a6b8c-0000-4000-8000-000000000001");
	return db_server_insert(session, server, error);
}

static int update_server(struct db_session *session, void *row, struct error *error)
{
	return db_server_update(session, row, error);
}

static int read_server(struct db_session *session, void *row, struct error *error)
{
	return db_server_by_uuid(session, "5e0a6b8c-0000-4000-8000-000000000001", row, error);
}

static void clear_server(void *row)
{
	db_server_clear(row);
}

static int insert_host(struct db_session *session, void *row, struct error *error)
{
	return db_host_insert(session, row, error);
}

static int update_host(struct db_session *session, void *row, struct error *error)
{
	return db_host_update(session, row, error);
}

static int read_host(struct db_session *session, void *row, struct error *error)
{
	return db_host_by_id(session, 1, row, error);
}

static void clear_host(void *row)
{
	db_host_clear(row);
}

static int insert_service(struct db_session *session, void *row, struct error *error)
{
	return db_service_insert(session, row, error);
}

static int update_service(struct db_session *session, void *row, struct error *error)
{
	return db_service_update(session, row, error);
}

static int read_service(struct db_session *session, void *row, struct error *error)
{
	struct db_service_list list = { 0 };
	int result = db_service_all(session, &list, error);

	if (result < 0)
		return result;
	assert_int_equal(list.count, 1);
	memcpy(row, list.items, sizeof(*list.items));
	free(list.items); /* its texts went over */
	return 0;
}

static void clear_service(void *row)
{
	db_service_clear(row);
}

static int insert_job(struct db_session *session, void *row, struct error *error)
{
	return db_job_insert(session, row, error);
}

static int update_job(struct db_session *session, void *row, struct error *error)
{
	return db_job_update(session, row, error);
}

static int read_job(struct db_session *session, void *row, struct error *error)
{
	return db_job_by_id(session, 1, row, error);
}

static void clear_job(void *row)
{
	db_job_clear(row);
}

#define KIND(name)                                                                                                     \
	{                                                                                                              \
#name, name##_fields, ARRAY_LENGTH(name##_fields), insert_##name, update_##name, read_##name,          \
			clear_##name                                                                                   \
	}

static const struct kind kinds[] = { KIND(server), KIND(host), KIND(service), KIND(job) };

/* As they were written at that time; fixed ones as they were first. */
static void check_fields(struct db_fixture *fixture, const struct kind *kind, int time)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	struct subject read = { .kind = kind };

	OK(kind->read(session, row_of(&read), &fixture->error));
	for (size_t i = 0; i < kind->field_count; i++) {
		int wanted = kind->fields[i].flags & ROW_FIXED ? BEFORE : time;

		if (!has_field(&kind->fields[i], row_of(&read), i, wanted))
			fail_msg("%s of a %s is not what was written %s", kind->fields[i].name, kind->name,
				 wanted == BEFORE ? "first" : "by the update");
	}
	kind->clear(row_of(&read));
}

static int erase(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_erase_all(session, error);
}

static void update_writes_every_field_that_may_change_and_no_other(void **state)
{
	struct db_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
		struct subject subject = { .kind = &kinds[i] };

		db_fixture_write(fixture, erase, NULL);
		db_fixture_write(fixture, insert_before, &subject);
		check_fields(fixture, &kinds[i], BEFORE);
		db_fixture_write(fixture, update_after, &subject);
		check_fields(fixture, &kinds[i], AFTER);
		kinds[i].clear(row_of(&subject));
	}
}

struct empty_rows {
	struct db_host host;
	struct db_server server;
	struct db_migration migration;
	struct db_job job;
	struct db_action action;
	struct db_event event;
	struct db_chore chore;
};

static int insert_empty_rows(struct db_session *session, void *context, struct error *error)
{
	struct empty_rows *rows = context;
	int result = db_host_insert(session, &rows->host, error);

	if (result == 0)
		result = db_server_insert(session, &rows->server, error);
	if (result == 0)
		result = db_migration_insert(session, &rows->migration, error);
	if (result == 0)
		result = db_job_insert(session, &rows->job, error);
	if (result == 0)
		result = db_action_insert(session, &rows->action, error);
	rows->event.action_id = rows->action.id;
	if (result == 0)
		result = db_event_insert(session, &rows->event, error);
	rows->chore.host_id = rows->host.id;
	return result < 0 ? result : db_chore_insert(session, &rows->chore, error);
}

/* In the row that the caller has, and in the database. */
static void insert_fills_ids_names_and_times_that_were_left_empty(void **state)
{
	struct db_fixture *fixture = *state;
	struct empty_rows rows = { .host.id = 0 };

	db_fixture_write(fixture, insert_empty_rows, &rows);
	const int64_t ids[] = { rows.host.id,          rows.host.service.id, rows.server.id,
				rows.server.flavor.id, rows.migration.id,    rows.job.id,
				rows.action.id,        rows.event.id,        rows.chore.id };
	const int64_t times[] = { rows.host.created_us,    rows.host.service.updated_us, rows.server.created_us,
				  rows.server.launched_us, rows.migration.created_us,    rows.job.created_us,
				  rows.action.start_us,    rows.action.updated_us,       rows.event.start_us,
				  rows.chore.created_us };
	for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
		assert_int_equal(ids[i], 1);
	for (size_t i = 0; i < ARRAY_LENGTH(times); i++)
		assert_int_equal(times[i], FIXTURE_START_US);
	assert_true(uuid_is_valid(rows.host.uuid));
	assert_true(uuid_is_valid(rows.host.service.uuid));
	assert_true(uuid_is_valid(rows.migration.uuid));
	assert_string_equal(rows.host.service.binary, "nova-compute");
	assert_string_equal(rows.host.service.zone, "nova");
	assert_int_equal(strlen(rows.server.reservation_id), strlen("r-12345678"));
	assert_string_equal(rows.server.metadata, "{}");
	assert_string_equal(rows.server.tags, "[]");
	db_server_clear(&rows.server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(update_writes_every_field_that_may_change_and_no_other),
		TEST(insert_fills_ids_names_and_times_that_were_left_empty),
	};

	return cmocka_run_group_tests_name("db_updates", tests, NULL, NULL);
}
