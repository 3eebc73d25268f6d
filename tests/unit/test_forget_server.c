/* What goes with a server that is forgotten: its moves end, and nothing of them stays behind that keeps a host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "db/chores.h"
#include "db_fixture.h"
#include "server/worker/forget_server.h"

/* A server in VERIFY_RESIZE: it is on the target, whose copy of its disk is complete. */
struct resized {
	int64_t source, target, other;
	int64_t migration_id;
	struct db_job job;
	char uuid[UUID_SIZE];
};

static int write_resized(struct db_session *session, void *context, struct error *error)
{
	struct resized *resized = context;
	struct db_kept_domain kept = { .host_id = resized->source, .migration_id = resized->migration_id };
	int result = db_job_insert(session, &resized->job, error);

	TEXT_COPY(kept.server_uuid, resized->uuid);
	if (result == 0) {
		resized->job.finished_us = db_now_us(session);
		result = db_job_update(session, &resized->job, error);
	}
	if (result == 0)
		result = db_kept_domain_insert(session, &kept, error);
	if (result == 0)
		result = db_server_set_state(session, resized->uuid, "resized", "", error);
	return result < 0 ? result : db_migration_set_status(session, resized->migration_id, "finished", error);
}

static struct resized make_resized(struct db_fixture *fixture)
{
	struct resized resized = { .source = db_fixture_host(fixture, "compute-1"),
				   .target = db_fixture_host(fixture, "compute-2"),
				   .other = db_fixture_host(fixture, "compute-3") };
	struct db_claim claim = { .host_id = resized.source, .vcpus = 1, .memory_mb = 64 };

	db_fixture_server(fixture, "guest", resized.target, resized.uuid);
	resized.migration_id = db_fixture_migration(fixture, resized.uuid, "compute-1", "compute-2");
	resized.job = (struct db_job){ .kind = "cold", .phase = "done", .migration_id = resized.migration_id };
	TEXT_COPY(resized.job.server_uuid, resized.uuid);
	TEXT_COPY(claim.server_uuid, resized.uuid);
	claim.migration_id = resized.migration_id;
	assert_int_equal(db_fixture_claim(fixture, &claim, -1), 0);
	db_fixture_write(fixture, write_resized, &resized);
	return resized;
}

static int insert_volume(struct db_session *session, void *context, struct error *error)
{
	return db_volume_insert(session, context, error);
}

static void add_volume(struct db_fixture *fixture, const struct resized *resized, int64_t host_id, const char *name,
		       bool is_complete)
{
	struct db_volume volume = { .job_id = resized->job.id,
				    .host_id = host_id,
				    .pool = "images",
				    .is_complete = is_complete,
				    .bytes = 4096 };

	TEXT_COPY(volume.name, name);
	db_fixture_write(fixture, insert_volume, &volume);
}

static int forget_in_session(struct db_session *session, void *context, struct error *error)
{
	return forget_server(session, context, error);
}

static int remove_in_session(struct db_session *session, void *context, struct error *error)
{
	return db_host_remove(session, *(int64_t *)context, error);
}

static int give_up(struct db_session *session, void *context, struct error *error)
{
	return db_host_set_gone(session, *(int64_t *)context, true, error);
}

static void check_status(struct db_fixture *fixture, int64_t migration_id, const char *status)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	struct db_migration migration = { 0 };

	OK(db_migration_by_id(session, migration_id, &migration, &fixture->error));
	assert_string_equal(migration.status, status);
}

/* The one chore that there is for the volume. */
static void check_chore(struct db_fixture *fixture, int64_t host_id, const char *name, int64_t other_host_id)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };
	size_t found = 0;

	OK(db_chore_by_host(session, host_id, &chores, &fixture->error));
	for (size_t i = 0; i < chores.count; i++) {
		if (strcmp(chores.items[i].name, name) != 0)
			continue;
		found++;
		assert_string_equal(chores.items[i].kind, DB_CHORE_REMOVE_VOLUME);
		assert_string_equal(chores.items[i].pool, "images");
		assert_int_equal(chores.items[i].bytes, 4096);
		assert_int_equal(chores.items[i].is_complete, other_host_id != 0);
		assert_int_equal(chores.items[i].other_host_id, other_host_id);
	}
	assert_int_equal(found, 1);
}

static size_t count_chores(struct db_fixture *fixture)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };

	OK(db_chore_all(session, &chores, &fixture->error));
	return chores.count;
}

static void a_move_that_waits_for_its_confirm_is_confirmed_and_the_sources_disk_is_a_chore(void **state)
{
	struct db_fixture *fixture = *state;
	struct resized resized = make_resized(fixture);

	add_volume(fixture, &resized, resized.target, "disk", true);
	db_fixture_write(fixture, forget_in_session, resized.uuid);
	check_status(fixture, resized.migration_id, "confirmed");
	check_chore(fixture, resized.source, "disk", resized.target);
	assert_int_equal(count_chores(fixture), 1);
	db_fixture_write(fixture, remove_in_session, &resized.target); /* nothing keeps it */
}

static void nothing_keeps_the_source_when_no_disk_was_copied(void **state)
{
	struct db_fixture *fixture = *state;
	struct resized resized = make_resized(fixture);

	db_fixture_write(fixture, forget_in_session, resized.uuid);
	assert_int_equal(count_chores(fixture), 0);
	db_fixture_write(fixture, remove_in_session, &resized.source);
	db_fixture_write(fixture, remove_in_session, &resized.target);
}

static void copies_of_targets_that_were_given_up_are_removed_where_they_are(void **state)
{
	struct db_fixture *fixture = *state;
	struct resized resized = make_resized(fixture);

	add_volume(fixture, &resized, resized.target, "disk", true);
	add_volume(fixture, &resized, resized.other, "disk", true);
	add_volume(fixture, &resized, resized.other, "half", false);
	db_fixture_write(fixture, forget_in_session, resized.uuid);
	check_chore(fixture, resized.source, "disk", resized.target);
	check_chore(fixture, resized.other, "disk", resized.target);
	check_chore(fixture, resized.other, "half", 0);
	assert_int_equal(count_chores(fixture), 3);
}

static int move_to_source(struct db_session *session, void *context, struct error *error)
{
	struct resized *resized = context;

	return db_server_set_place(session, resized->uuid, resized->source, 1, error);
}

static void the_disk_of_the_host_that_had_the_guest_last_is_not_removed(void **state)
{
	struct db_fixture *fixture = *state;
	struct resized resized = make_resized(fixture);

	add_volume(fixture, &resized, resized.target, "disk", true);
	db_fixture_write(fixture, move_to_source, &resized); /* by hand */
	db_fixture_write(fixture, forget_in_session, resized.uuid);
	check_chore(fixture, resized.target, "disk", resized.source);
	assert_int_equal(count_chores(fixture), 1);
}

/* No other one was seen than the one that would go. */
static void a_disk_is_never_compared_with_itself(void **state)
{
	struct db_fixture *fixture = *state;
	struct resized resized = make_resized(fixture);

	add_volume(fixture, &resized, resized.source, "disk", true);
	db_fixture_write(fixture, move_to_source, &resized);
	db_fixture_write(fixture, forget_in_session, resized.uuid);
	assert_int_equal(count_chores(fixture), 0);
	db_fixture_write(fixture, remove_in_session, &resized.source); /* nothing keeps it */
}

static void a_disk_stays_when_its_copy_can_never_be_looked_at(void **state)
{
	struct db_fixture *fixture = *state;
	struct resized resized = make_resized(fixture);

	add_volume(fixture, &resized, resized.target, "disk", true);
	db_fixture_write(fixture, give_up, &resized.target);
	db_fixture_write(fixture, forget_in_session, resized.uuid);
	check_status(fixture, resized.migration_id, "confirmed");
	assert_int_equal(count_chores(fixture), 0);
	db_fixture_write(fixture, remove_in_session, &resized.source);
}

static void nothing_is_to_be_done_on_a_source_that_was_given_up(void **state)
{
	struct db_fixture *fixture = *state;
	struct resized resized = make_resized(fixture);

	add_volume(fixture, &resized, resized.target, "disk", true);
	db_fixture_write(fixture, give_up, &resized.source);
	db_fixture_write(fixture, forget_in_session, resized.uuid);
	assert_int_equal(count_chores(fixture), 0);
	db_fixture_write(fixture, remove_in_session, &resized.source);
	db_fixture_write(fixture, remove_in_session, &resized.target);
}

static void a_move_that_nobody_works_on_ends_in_error(void **state)
{
	struct db_fixture *fixture = *state;
	char uuid[UUID_SIZE];

	db_fixture_server(fixture, "guest", db_fixture_host(fixture, "compute-1"), uuid);
	int64_t migration = db_fixture_migration(fixture, uuid, "compute-1", "compute-2");
	db_fixture_write(fixture, forget_in_session, uuid);
	check_status(fixture, migration, "error");
}

static int insert_job(struct db_session *session, void *context, struct error *error)
{
	return db_job_insert(session, context, error);
}

static void a_server_that_a_job_has_is_not_forgotten(void **state)
{
	struct db_fixture *fixture = *state;
	struct db_job job = { .kind = "confirm", .phase = "accepted" };
	struct resized resized = make_resized(fixture);

	TEXT_COPY(job.server_uuid, resized.uuid);
	job.migration_id = resized.migration_id;
	db_fixture_write(fixture, insert_job, &job);
	assert_int_equal(db_write(fixture->database, forget_in_session, resized.uuid, &fixture->error), -EBUSY);
	check_status(fixture, resized.migration_id, "finished");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_move_that_waits_for_its_confirm_is_confirmed_and_the_sources_disk_is_a_chore),
		TEST(nothing_keeps_the_source_when_no_disk_was_copied),
		TEST(copies_of_targets_that_were_given_up_are_removed_where_they_are),
		TEST(the_disk_of_the_host_that_had_the_guest_last_is_not_removed),
		TEST(a_disk_is_never_compared_with_itself),
		TEST(a_disk_stays_when_its_copy_can_never_be_looked_at),
		TEST(nothing_is_to_be_done_on_a_source_that_was_given_up),
		TEST(a_move_that_nobody_works_on_ends_in_error),
		TEST(a_server_that_a_job_has_is_not_forgotten),
	};

	return cmocka_run_group_tests_name("forget_server", tests, NULL, NULL);
}
