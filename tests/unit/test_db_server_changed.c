/* The age of readings: which servers changed since a number was taken. What cannot be told counts as changed. */
#include "base/text.h"
#include "db/chores.h"
#include "db/load.h"
#include "db/server_changed.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct asked {
	const char *uuid;
	int64_t number;
	bool has_changed;
};

static int ask(struct db_session *session, void *context, struct error *error)
{
	struct asked *asked = context;

	(void)error;
	asked->has_changed = db_server_changed_since(session, asked->uuid, asked->number);
	return 0;
}

static bool has_changed_since(struct db_fixture *fixture, const char *uuid, int64_t number)
{
	struct asked asked = { .uuid = uuid, .number = number };

	db_fixture_write(fixture, ask, &asked);
	return asked.has_changed;
}

/* What the changes below work on, made before the number is taken. */
static struct subject {
	char uuid[UUID_SIZE];
	int64_t host_id;
	int64_t migration_id;
	struct db_job job;
	struct db_kept_domain kept;
	struct db_chore chore;
} subject;

static int set_state(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_server_set_state(session, subject.uuid, NULL, "migrating", error);
}

static int set_place(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_server_set_place(session, subject.uuid, subject.host_id, 1, error);
}

static int set_lock(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_server_set_lock(session, subject.uuid, "owner", NULL, error);
}

static int set_fault(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_server_set_fault(session, subject.uuid, NULL, error);
}

static int set_cause(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_server_set_error_cause(session, subject.uuid, "", error);
}

static int rewrite(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, subject.uuid, &server, error);
	(void)context;

	return result < 0 ? result : db_server_update(session, &server, error);
}

static int insert_job(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	subject.job = (struct db_job){ .kind = "live" };
	TEXT_COPY(subject.job.server_uuid, subject.uuid);
	return db_job_insert(session, &subject.job, error);
}

static int update_job(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	TEXT_COPY(subject.job.phase, "moving");
	return db_job_update(session, &subject.job, error);
}

static int finish_job(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	subject.job.finished_us = 5;
	return db_job_update(session, &subject.job, error);
}

static int make_claim(struct db_session *session, void *context, struct error *error)
{
	const struct db_claim_capacity no_limit = { -1, -1, -1 };
	struct db_claim claim = { .host_id = subject.host_id, .migration_id = subject.migration_id };
	(void)context;

	TEXT_COPY(claim.server_uuid, subject.uuid);
	return db_claim_make(session, &claim, &no_limit, error);
}

static int release_claim(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_claim_release(session, subject.migration_id, 0, error);
}

static int keep_domain(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	subject.kept = (struct db_kept_domain){ .host_id = subject.host_id, .migration_id = subject.migration_id };
	TEXT_COPY(subject.kept.server_uuid, subject.uuid);
	return db_kept_domain_insert(session, &subject.kept, error);
}

static int forget_domain(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_kept_domain_delete(session, subject.kept.id, error);
}

static int forget_domain_of_migration(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_kept_domain_delete_by_migration(session, subject.migration_id, error);
}

static int insert_chore(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	subject.chore = (struct db_chore){ .kind = DB_CHORE_REMOVE_GUEST, .host_id = subject.host_id };
	TEXT_COPY(subject.chore.server_uuid, subject.uuid);
	return db_chore_insert(session, &subject.chore, error);
}

static int delete_chore(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_chore_delete(session, subject.chore.id, error);
}

static int delete_chores_of_host(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_chore_delete_by_host(session, subject.host_id, error);
}

static int delete_server(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_server_delete(session, subject.uuid, error);
}

static int insert_again(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_SERVER struct db_server server = { .name = "guest" };
	(void)context;

	TEXT_COPY(server.uuid, subject.uuid);
	return db_server_insert(session, &server, error);
}

static void prepare(struct db_fixture *fixture)
{
	subject = (struct subject){ .host_id = db_fixture_host(fixture, "one") };
	db_fixture_server(fixture, "guest", subject.host_id, subject.uuid);
	subject.migration_id = db_fixture_migration(fixture, subject.uuid, "one", "two");
}

static void every_kind_of_change_ages_readings_of_its_server_alone(void **state)
{
#define CHANGE(name)                                                                                                   \
	{                                                                                                              \
		name, #name                                                                                            \
	}
	static const struct {
		db_write_fn write;
		const char *name;
	} changes[] = {
		CHANGE(set_state),
		CHANGE(set_place),
		CHANGE(set_lock),
		CHANGE(set_fault),
		CHANGE(set_cause),
		CHANGE(rewrite),
		CHANGE(insert_job),
		CHANGE(update_job),
		CHANGE(finish_job),
		CHANGE(make_claim),
		CHANGE(release_claim),
		CHANGE(keep_domain),
		CHANGE(forget_domain),
		CHANGE(keep_domain),
		CHANGE(forget_domain_of_migration),
		CHANGE(insert_chore),
		CHANGE(delete_chore),
		CHANGE(insert_chore),
		CHANGE(delete_chores_of_host),
		CHANGE(delete_server),
		CHANGE(insert_again),
	};
	struct db_fixture *fixture = *state;
	char other[UUID_SIZE];

	prepare(fixture);
	db_fixture_server(fixture, "other", subject.host_id, other);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		int64_t number = db_change_number(fixture->database);

		if (has_changed_since(fixture, subject.uuid, number))
			fail_msg("changed before %s", changes[i].name);
		db_fixture_write(fixture, changes[i].write, NULL);
		if (!has_changed_since(fixture, subject.uuid, number))
			fail_msg("not changed by %s", changes[i].name);
		if (has_changed_since(fixture, other, number))
			fail_msg("another server is changed by %s", changes[i].name);
		if (has_changed_since(fixture, subject.uuid, db_change_number(fixture->database)))
			fail_msg("changed after %s", changes[i].name);
	}
}

static void change_before_the_number_was_taken_does_not_count(void **state)
{
	struct db_fixture *fixture = *state;

	prepare(fixture);
	int64_t before = db_change_number(fixture->database);
	db_fixture_write(fixture, set_state, NULL);
	int64_t after = db_change_number(fixture->database);
	assert_true(after > before);
	assert_true(has_changed_since(fixture, subject.uuid, before));
	assert_false(has_changed_since(fixture, subject.uuid, after));
	assert_true(has_changed_since(fixture, subject.uuid, 0)); /* nobody took it */
}

static int renew_lease(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_job_take(session, subject.job.id, "node", FIXTURE_START_US + 5, error);
}

static void renewed_lease_of_a_job_ages_no_reading(void **state)
{
	struct db_fixture *fixture = *state;

	prepare(fixture);
	db_fixture_write(fixture, insert_job, NULL);
	int64_t number = db_change_number(fixture->database);
	db_fixture_write(fixture, renew_lease, NULL);
	assert_int_equal(db_change_number(fixture->database), number);
	assert_false(has_changed_since(fixture, subject.uuid, number));
}

struct others {
	size_t first;
	size_t count;
};

static int change_others(struct db_session *session, void *context, struct error *error)
{
	const struct others *others = context;
	char uuid[UUID_SIZE];

	(void)error;
	for (size_t i = 0; i < others->count; i++) {
		snprintf(uuid, sizeof(uuid), "other-%zu", others->first + i);
		server_changed(session, uuid);
	}
	return 0;
}

static void change_that_was_forgotten_counts_as_changed(void **state)
{
	struct db_fixture *fixture = *state;
	struct others all_but_one = { 0, SERVER_AGES_MAX - 1 };
	struct others one_more = { SERVER_AGES_MAX, 1 };

	prepare(fixture);
	int64_t before = db_change_number(fixture->database);
	db_fixture_write(fixture, set_state, NULL);
	int64_t after = db_change_number(fixture->database);

	/* The ring is full, and all in it is told exactly. */
	db_fixture_write(fixture, change_others, &all_but_one);
	assert_true(has_changed_since(fixture, subject.uuid, before));
	assert_false(has_changed_since(fixture, subject.uuid, after));
	assert_false(has_changed_since(fixture, "nobody", after));
	assert_true(has_changed_since(fixture, "other-0", after));

	/* Now the server's change has fallen out: of the time before nothing can be told of anybody. */
	db_fixture_write(fixture, change_others, &one_more);
	assert_true(has_changed_since(fixture, subject.uuid, before));
	assert_true(has_changed_since(fixture, "nobody", before));
	assert_false(has_changed_since(fixture, subject.uuid, after));
	assert_true(has_changed_since(fixture, "other-7", after));
}

static void ring_stays_exact_when_it_is_filled_again_and_again(void **state)
{
	struct db_fixture *fixture = *state;

	prepare(fixture);
	for (size_t round = 0; round < 5; round++) {
		struct others part = { round * 50000, 50000 };
		int64_t number = db_change_number(fixture->database);

		db_fixture_write(fixture, change_others, &part);
		for (size_t i = 0; i < 50000; i += 777) {
			char uuid[UUID_SIZE];

			snprintf(uuid, sizeof(uuid), "other-%zu", round * 50000 + i);
			assert_true(has_changed_since(fixture, uuid, number));
			assert_false(has_changed_since(fixture, uuid, db_change_number(fixture->database)));
		}
		assert_false(has_changed_since(fixture, subject.uuid, number));
	}
}

static int change_the_same_often(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	(void)error;
	for (size_t i = 0; i < 3 * SERVER_AGES_MAX; i++)
		server_changed(session, "busy");
	return 0;
}

static void server_that_changes_often_costs_the_others_little(void **state)
{
	struct db_fixture *fixture = *state;

	prepare(fixture);
	db_fixture_write(fixture, change_the_same_often, NULL);
	int64_t number = db_change_number(fixture->database);
	assert_false(has_changed_since(fixture, subject.uuid, number - SERVER_AGES_MAX / 2));
	assert_true(has_changed_since(fixture, "busy", number - 1));
}

static int erase(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_erase_all(session, error);
}

static int load(struct db_session *session, void *context, struct error *error)
{
	const struct db_load_value values[] = {
		{ .column = "flavor_id", .kind = DB_LOAD_TEXT, .text = "f" },
		{ .column = "name", .kind = DB_LOAD_TEXT, .text = "f" },
		{ .column = "vcpus", .kind = DB_LOAD_NUMBER },
		{ .column = "memory_mb", .kind = DB_LOAD_NUMBER },
		{ .column = "disk_gb", .kind = DB_LOAD_NUMBER },
		{ .column = "ephemeral_gb", .kind = DB_LOAD_NUMBER },
		{ .column = "swap_mb", .kind = DB_LOAD_NUMBER },
		{ .column = "extra_specs", .kind = DB_LOAD_TEXT, .text = "{}" },
	};

	(void)context;
	return db_load_row(session, "flavors", values, sizeof(values) / sizeof(values[0]), error);
}

static void whole_state_that_is_replaced_ages_every_reading(void **state)
{
	static const db_write_fn writes[] = { erase, load };
	struct db_fixture *fixture = *state;

	for (size_t i = 0; i < 2; i++) {
		int64_t number = db_change_number(fixture->database);

		assert_false(has_changed_since(fixture, "anybody", number));
		db_fixture_write(fixture, writes[i], NULL);
		assert_true(has_changed_since(fixture, "anybody", number));
		assert_false(has_changed_since(fixture, "anybody", db_change_number(fixture->database)));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_kind_of_change_ages_readings_of_its_server_alone),
		TEST(change_before_the_number_was_taken_does_not_count),
		TEST(renewed_lease_of_a_job_ages_no_reading),
		TEST(change_that_was_forgotten_counts_as_changed),
		TEST(ring_stays_exact_when_it_is_filled_again_and_again),
		TEST(server_that_changes_often_costs_the_others_little),
		TEST(whole_state_that_is_replaced_ages_every_reading),
	};

	return cmocka_run_group_tests_name("db_server_changed", tests, NULL, NULL);
}
