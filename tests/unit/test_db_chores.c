/* What remains to be done on hosts: kept until it is done, once each, and never less careful than it was asked for. */
#include "base/text.h"
#include "db/chores.h"
#include "db/retention.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char because[] = "the move of the guest ended";

static int insert_chore(struct db_session *session, void *context, struct error *error)
{
	return db_chore_insert(session, context, error);
}

static struct db_chore volume_chore(int64_t host_id, const char *server_uuid, const char *name)
{
	struct db_chore chore = {
		.kind = DB_CHORE_REMOVE_VOLUME, .host_id = host_id, .pool = "images", .reason = because
	};

	TEXT_COPY(chore.server_uuid, server_uuid);
	TEXT_COPY(chore.name, name);
	return chore;
}

static void read_chore(struct db_fixture *fixture, int64_t id, struct db_chore *ret_chore)
{
	struct db_session *session = db_fixture_read(fixture);

	OK(db_chore_by_id(session, id, ret_chore, &fixture->error));
	db_read_end(session);
}

static size_t count_chores(struct db_fixture *fixture)
{
	CLEANUP_DB_CHORES struct db_chore_list list = { 0 };
	struct db_session *session = db_fixture_read(fixture);

	OK(db_chore_all(session, &list, &fixture->error));
	db_read_end(session);
	return list.count;
}

static void chore_is_read_as_it_was_written(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "one");
	struct db_chore written = {
		.kind = DB_CHORE_REMOVE_GUEST,
		.host_id = host,
		.server_uuid = "guest",
		.migration_id = 7,
		.other_host_id = 9,
		.pool = "images",
		.name = "disk",
		.bytes = 1LL << 40,
		.is_complete = true,
		.reason = because,
	};
	CLEANUP_DB_CHORE struct db_chore read = { 0 };

	db_fixture_write(fixture, insert_chore, &written);
	assert_true(written.id > 0);
	assert_int_equal(written.created_us, FIXTURE_START_US);
	read_chore(fixture, written.id, &read);
	assert_string_equal(read.kind, DB_CHORE_REMOVE_GUEST);
	assert_int_equal(read.host_id, host);
	assert_string_equal(read.server_uuid, "guest");
	assert_int_equal(read.migration_id, 7);
	assert_int_equal(read.other_host_id, 9);
	assert_string_equal(read.pool, "images");
	assert_string_equal(read.name, "disk");
	assert_int_equal(read.bytes, 1LL << 40);
	assert_true(read.is_complete);
	assert_string_equal(read.reason, because);
	assert_int_equal(read.tries, 0);
	assert_null(read.last_error);
	assert_int_equal(read.created_us, FIXTURE_START_US);
}

static void chore_without_a_reason_is_kept_all_the_same(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_chore chore = volume_chore(db_fixture_host(fixture, "one"), "guest", "disk");
	CLEANUP_DB_CHORE struct db_chore read = { 0 };

	chore.reason = NULL;
	db_fixture_write(fixture, insert_chore, &chore);
	read_chore(fixture, chore.id, &read);
	assert_string_equal(read.reason, "");
}

static void same_chore_is_kept_once_with_its_first_reason(void **state)
{
	static char later[] = "asked for again";
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "one");
	int64_t other = db_fixture_host(fixture, "two");
	struct db_chore first = volume_chore(host, "guest", "disk");
	struct db_chore again = first;
	CLEANUP_DB_CHORE struct db_chore read = { 0 };

	db_fixture_write(fixture, insert_chore, &first);
	clock_manual_advance(fixture->clock, 5000);
	again.reason = later;
	db_fixture_write(fixture, insert_chore, &again);
	assert_int_equal(again.id, first.id);
	assert_int_equal(again.created_us, FIXTURE_START_US);
	read_chore(fixture, first.id, &read);
	assert_string_equal(read.reason, because);

	/* Each of these is other work. */
	struct db_chore others[] = { first, first, first, first, first };
	TEXT_COPY(others[0].kind, DB_CHORE_REMOVE_GUEST);
	others[1].host_id = other;
	TEXT_COPY(others[2].server_uuid, "other guest");
	TEXT_COPY(others[3].pool, "other pool");
	TEXT_COPY(others[4].name, "other disk");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		others[i].id = 0;
		db_fixture_write(fixture, insert_chore, &others[i]);
		assert_int_not_equal(others[i].id, first.id);
	}
	assert_int_equal(count_chores(fixture), 6);
}

static void same_chore_keeps_the_more_careful_condition(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_chore careless = volume_chore(db_fixture_host(fixture, "one"), "guest", "disk");
	struct db_chore careful = careless;
	CLEANUP_DB_CHORE struct db_chore read = { 0 };

	careful.is_complete = true;
	careful.other_host_id = 5;
	careful.bytes = 100;
	db_fixture_write(fixture, insert_chore, &careless);
	db_fixture_write(fixture, insert_chore, &careful);
	db_fixture_write(fixture, insert_chore, &careless);
	read_chore(fixture, careless.id, &read);
	assert_true(read.is_complete);
	assert_int_equal(read.other_host_id, 5);
	assert_int_equal(read.bytes, 100);
}

struct failure {
	int64_t id;
	const char *reason;
};

static int note_failure(struct db_session *session, void *context, struct error *error)
{
	const struct failure *failure = context;

	return db_chore_note_failure(session, failure->id, failure->reason, error);
}

static void failed_tries_are_counted_with_the_last_reason(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_chore chore = volume_chore(db_fixture_host(fixture, "one"), "guest", "disk");
	CLEANUP_DB_CHORE struct db_chore read = { 0 };

	db_fixture_write(fixture, insert_chore, &chore);
	clock_manual_advance(fixture->clock, 5000);
	db_fixture_write(fixture, note_failure, &(struct failure){ chore.id, "the pool is off" });
	db_fixture_write(fixture, note_failure, &(struct failure){ chore.id, "the host is down" });
	read_chore(fixture, chore.id, &read);
	assert_int_equal(read.tries, 2);
	assert_string_equal(read.last_error, "the host is down");
	assert_true(read.updated_us > read.created_us);
	assert_int_equal(
		db_write(fixture->database, note_failure, &(struct failure){ 99, "no chore" }, &fixture->error),
		-ENOENT);
}

static int delete_chore(struct db_session *session, void *context, struct error *error)
{
	return db_chore_delete(session, *(int64_t *)context, error);
}

static int delete_of_host(struct db_session *session, void *context, struct error *error)
{
	return db_chore_delete_by_host(session, *(int64_t *)context, error);
}

static void lists_are_oldest_first_and_deletes_are_narrow(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "one");
	int64_t two = db_fixture_host(fixture, "two");
	struct db_chore chores[] = {
		volume_chore(one, "a", "1"),
		volume_chore(two, "a", "2"),
		volume_chore(one, "b", "3"),
		volume_chore(two, "b", "4"),
	};
	CLEANUP_DB_CHORES struct db_chore_list of_host = { 0 };
	CLEANUP_DB_CHORES struct db_chore_list of_server = { 0 };

	for (size_t i = 0; i < 4; i++)
		db_fixture_write(fixture, insert_chore, &chores[i]);
	struct db_session *session = db_fixture_read(fixture);
	OK(db_chore_by_host(session, one, &of_host, &fixture->error));
	OK(db_chore_by_server(session, "b", &of_server, &fixture->error));
	db_read_end(session);
	assert_int_equal(of_host.count, 2);
	assert_string_equal(of_host.items[0].name, "1");
	assert_string_equal(of_host.items[1].name, "3");
	assert_int_equal(of_server.count, 2);
	assert_string_equal(of_server.items[0].name, "3");
	assert_string_equal(of_server.items[1].name, "4");

	db_fixture_write(fixture, delete_chore, &chores[1].id);
	assert_int_equal(db_write(fixture->database, delete_chore, &chores[1].id, &fixture->error), -ENOENT);
	assert_int_equal(count_chores(fixture), 3);
	db_fixture_write(fixture, delete_of_host, &one);
	assert_int_equal(count_chores(fixture), 1);
	db_fixture_write(fixture, delete_of_host, &one);
}

static int remove_host(struct db_session *session, void *context, struct error *error)
{
	return db_host_remove(session, *(int64_t *)context, error);
}

static void host_with_chores_is_not_removed(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "one");
	struct db_chore chores[] = { volume_chore(host, "a", "1"), volume_chore(host, "a", "2") };

	db_fixture_write(fixture, insert_chore, &chores[0]);
	db_fixture_write(fixture, insert_chore, &chores[1]);
	assert_int_equal(db_write(fixture->database, remove_host, &host, &fixture->error), -EBUSY);
	assert_string_equal(fixture->error.text, "host one cannot be removed: 2 chores wait to be done there");
	db_fixture_write(fixture, delete_of_host, &host);
	db_fixture_write(fixture, remove_host, &host);
}

struct told {
	int64_t ids[16];
	size_t count;
};

static void note_change(void *context, enum db_table table, int64_t id)
{
	struct told *told = context;

	if (table == DB_TABLE_CHORES && told->count < 16)
		told->ids[told->count++] = id;
}

static void watchers_are_told_of_every_change_of_a_chore(void **state)
{
	struct db_fixture *fixture = *state;
	struct told told = { 0 };
	struct db_chore first = volume_chore(db_fixture_host(fixture, "one"), "a", "1");
	struct db_chore second = volume_chore(first.host_id, "a", "2");

	OK(db_watch(fixture->database, note_change, &told, &fixture->error));
	db_fixture_write(fixture, insert_chore, &first);
	db_fixture_write(fixture, insert_chore, &second);
	db_fixture_write(fixture, note_failure, &(struct failure){ first.id, "" });
	db_fixture_write(fixture, delete_chore, &first.id);
	db_fixture_write(fixture, delete_of_host, &second.host_id);
	db_close(fixture->database); /* the last watchers have been called */
	fixture->database = NULL;

	const int64_t expected[] = { first.id, second.id, first.id, first.id, second.id };
	assert_int_equal(told.count, 5);
	assert_memory_equal(told.ids, expected, sizeof(expected));
}

static int erase(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_erase_all(session, error);
}

static void erasing_everything_erases_chores(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_chore chore = volume_chore(db_fixture_host(fixture, "one"), "a", "1");

	db_fixture_write(fixture, insert_chore, &chore);
	db_fixture_write(fixture, erase, NULL);
	assert_int_equal(count_chores(fixture), 0);
}

struct taking {
	int64_t made_on; /* where the volumes were recorded */
	struct db_chore like;
};

static int take_volumes(struct db_session *session, void *context, struct error *error)
{
	const struct taking *taking = context;
	struct db_job job = { .kind = "cold", .server_uuid = "guest" };
	int result = db_job_insert(session, &job, error);
	struct db_volume volumes[] = {
		{ .job_id = job.id, .host_id = taking->made_on, .pool = "images", .name = "whole", .bytes = 4096 },
		{ .job_id = job.id, .host_id = taking->made_on, .pool = "images", .name = "half" },
		{ .job_id = job.id, .host_id = taking->made_on, .pool = "images", .name = "stays" },
	};

	for (size_t i = 0; i < 3 && result == 0; i++)
		result = db_volume_insert(session, &volumes[i], error);
	if (result == 0)
		result = db_volume_set_complete(session, volumes[0].id, error);
	if (result < 0)
		return result;

	CLEANUP_DB_VOLUMES struct db_volume_list list = { 0 };
	result = db_volume_by_job(session, job.id, &list, error);
	if (result < 0)
		return result;
	struct db_volume_list first_two = { list.items, 2 };
	return db_chore_take_volumes(session, &first_two, &taking->like, error);
}

static void volumes_become_chores_of_the_named_host(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t source = db_fixture_host(fixture, "source");
	int64_t target = db_fixture_host(fixture, "target");
	struct taking taking = {
		.made_on = target,
		.like = { .host_id = source,
			  .server_uuid = "guest",
			  .migration_id = 3,
			  .other_host_id = target,
			  .reason = because },
	};
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };
	CLEANUP_DB_VOLUMES struct db_volume_list volumes = { 0 };

	db_fixture_write(fixture, take_volumes, &taking);
	struct db_session *session = db_fixture_read(fixture);
	OK(db_chore_all(session, &chores, &fixture->error));
	OK(db_volume_by_host(session, target, &volumes, &fixture->error));
	db_read_end(session);
	assert_int_equal(chores.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(chores.items[i].kind, DB_CHORE_REMOVE_VOLUME);
		assert_int_equal(chores.items[i].host_id, source);
		assert_string_equal(chores.items[i].server_uuid, "guest");
		assert_int_equal(chores.items[i].migration_id, 3);
		assert_int_equal(chores.items[i].other_host_id, target);
		assert_string_equal(chores.items[i].reason, because);
		assert_string_equal(chores.items[i].pool, "images");
	}
	assert_string_equal(chores.items[0].name, "whole");
	assert_true(chores.items[0].is_complete);
	assert_int_equal(chores.items[0].bytes, 4096);
	assert_string_equal(chores.items[1].name, "half");
	assert_false(chores.items[1].is_complete);
	assert_int_equal(volumes.count, 1);
	assert_string_equal(volumes.items[0].name, "stays");
}

static int keep_two_domains(struct db_session *session, void *context, struct error *error)
{
	struct db_kept_domain kept = { .host_id = *(int64_t *)context, .server_uuid = "guest", .migration_id = 4 };
	struct db_kept_domain other = kept;
	int result = db_kept_domain_insert(session, &kept, error);

	other.migration_id = 5;
	return result < 0 ? result : db_kept_domain_insert(session, &other, error);
}

static int delete_kept_of(struct db_session *session, void *context, struct error *error)
{
	return db_kept_domain_delete_by_migration(session, *(int64_t *)context, error);
}

static void kept_domain_is_found_and_deleted_by_its_migration(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "one");
	int64_t migration = 4;
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain kept = { 0 };

	db_fixture_write(fixture, keep_two_domains, &host);
	for (int round = 0; round < 2; round++) {
		struct db_session *session = db_fixture_read(fixture);
		int result = db_kept_domain_by_migration(session, 4, &kept, &fixture->error);

		assert_int_equal(result, round == 0 ? 0 : -ENOENT);
		db_kept_domain_clear(&kept);
		OK(db_kept_domain_by_migration(session, 5, &kept, &fixture->error));
		assert_int_equal(kept.migration_id, 5);
		db_kept_domain_clear(&kept);
		db_read_end(session);
		db_fixture_write(fixture, delete_kept_of, &migration); /* none there is fine */
	}
}

struct age {
	int64_t migration_id;
	size_t count;
};

static int end_and_forget(struct db_session *session, void *context, struct error *error)
{
	struct age *age = context;
	int result = db_migration_set_status(session, age->migration_id, "completed", error);

	return result < 0 ? result : db_forget_migrations(session, FIXTURE_START_US, 9, &age->count, error);
}

static void chore_outlives_the_record_of_its_migration(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_chore chore = volume_chore(db_fixture_host(fixture, "one"), "guest", "disk");
	struct age age = { .migration_id = db_fixture_migration(fixture, "guest", "one", "two") };

	chore.migration_id = age.migration_id;
	db_fixture_write(fixture, insert_chore, &chore);
	db_fixture_write(fixture, end_and_forget, &age);
	assert_int_equal(age.count, 1);
	assert_int_equal(count_chores(fixture), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(chore_is_read_as_it_was_written),
		TEST(chore_without_a_reason_is_kept_all_the_same),
		TEST(same_chore_is_kept_once_with_its_first_reason),
		TEST(same_chore_keeps_the_more_careful_condition),
		TEST(failed_tries_are_counted_with_the_last_reason),
		TEST(lists_are_oldest_first_and_deletes_are_narrow),
		TEST(host_with_chores_is_not_removed),
		TEST(watchers_are_told_of_every_change_of_a_chore),
		TEST(erasing_everything_erases_chores),
		TEST(volumes_become_chores_of_the_named_host),
		TEST(kept_domain_is_found_and_deleted_by_its_migration),
		TEST(chore_outlives_the_record_of_its_migration),
	};

	return cmocka_run_group_tests_name("db_chores", tests, NULL, NULL);
}
