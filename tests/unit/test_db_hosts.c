/* Which hosts may go: each thing that is bound to one keeps it, alone, and says so with its number. */
#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TWICE 2 /* of each there are so many, so that a number that is always one is seen */

/* The host in question, and another one. */
struct two_hosts {
	int64_t id, other_id;
	int number; /* of the thing that is bound now */
	int64_t finished_us; /* of jobs */
};

static void name_server(char uuid[UUID_SIZE], int number)
{
	memcpy(uuid, "5e0a6b8c-0000-4000-8000-000000000000", UUID_SIZE);
	uuid[UUID_SIZE - 2] = (char)('0' + number);
}

static int bind_server(struct db_session *session, void *context, struct error *error)
{
	const struct two_hosts *hosts = context;
	CLEANUP_DB_SERVER struct db_server server = { .name = "guest", .vm_state = "active", .host_id = hosts->id };

	name_server(server.uuid, hosts->number);
	return db_server_insert(session, &server, error);
}

static int insert_job(struct db_session *session, const struct two_hosts *hosts, int64_t source_id, int64_t target_id,
		      struct error *error)
{
	struct db_job job = { .kind = "live",
			      .source_host_id = source_id,
			      .target_host_id = target_id,
			      .finished_us = hosts->finished_us };

	name_server(job.server_uuid, hosts->number);
	return db_job_insert(session, &job, error);
}

static int bind_job_from_it(struct db_session *session, void *context, struct error *error)
{
	const struct two_hosts *hosts = context;

	return insert_job(session, hosts, hosts->id, hosts->other_id, error);
}

static int bind_job_to_it(struct db_session *session, void *context, struct error *error)
{
	const struct two_hosts *hosts = context;

	return insert_job(session, hosts, hosts->other_id, hosts->id, error);
}

static int bind_claim(struct db_session *session, void *context, struct error *error)
{
	const struct two_hosts *hosts = context;
	struct db_migration migration = { .status = "finished", .type = "migration" };
	int result = db_migration_insert(session, &migration, error);
	struct db_claim claim = { .host_id = hosts->id, .migration_id = migration.id, .vcpus = 1 };

	name_server(claim.server_uuid, hosts->number);
	return result < 0 ? result : db_claim_make(session, &claim, &(struct db_claim_capacity){ -1, -1, -1 }, error);
}

static int bind_saved_definition(struct db_session *session, void *context, struct error *error)
{
	const struct two_hosts *hosts = context;
	struct db_kept_domain kept = { .host_id = hosts->id, .definition = (char[]){ "<domain/>" } };

	name_server(kept.server_uuid, hosts->number);
	return db_kept_domain_insert(session, &kept, error);
}

static int bind_volume(struct db_session *session, void *context, struct error *error)
{
	const struct two_hosts *hosts = context;
	struct db_job job = { .kind = "cold", .finished_us = 1 };
	int result = db_job_insert(session, &job, error);
	struct db_volume volume = { .job_id = job.id, .host_id = hosts->id, .pool = "default" };

	name_server(volume.name, hosts->number);
	return result < 0 ? result : db_volume_insert(session, &volume, error);
}

static int insert_chore(struct db_session *session, const struct two_hosts *hosts, const char *kind, int64_t host_id,
			int64_t other_host_id, struct error *error)
{
	struct db_chore chore = { .host_id = host_id, .other_host_id = other_host_id };

	TEXT_COPY(chore.kind, kind);
	name_server(chore.server_uuid, hosts->number);
	return db_chore_insert(session, &chore, error);
}

static int bind_chore(struct db_session *session, void *context, struct error *error)
{
	const struct two_hosts *hosts = context;

	return insert_chore(session, hosts, DB_CHORE_REMOVE_GUEST, hosts->id, hosts->other_id, error);
}

static int bind_conflict_of_the_other(struct db_session *session, void *context, struct error *error)
{
	const struct two_hosts *hosts = context;

	return insert_chore(session, hosts, DB_CHORE_END_CONFLICT, hosts->other_id, hosts->id, error);
}

static int bind_stuck_call_of_the_other(struct db_session *session, void *context, struct error *error)
{
	const struct two_hosts *hosts = context;

	return insert_chore(session, hosts, DB_CHORE_AWAIT_LIBVIRTD, hosts->other_id, hosts->id, error);
}

/* What has the other host, and names this one, is no reason to keep it. */
static int bind_removal_on_the_other(struct db_session *session, void *context, struct error *error)
{
	const struct two_hosts *hosts = context;

	return insert_chore(session, hosts, DB_CHORE_REMOVE_GUEST, hosts->other_id, hosts->id, error);
}

static int remove_host(struct db_session *session, void *context, struct error *error)
{
	const struct two_hosts *hosts = context;

	return db_host_remove(session, hosts->id, error);
}

/* How many there are of each kind, as one word: "servers jobs claims …". */
static void check_burden(struct db_fixture *fixture, int64_t id, size_t place, int64_t number)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	struct db_host_burden burden = { 1, 1, 1, 1, 1, 1, 1 };

	OK(db_host_burden(session, id, &burden, &fixture->error));
	const int64_t numbers[] = { burden.servers, burden.jobs,   burden.claims,   burden.kept_domains,
				    burden.volumes, burden.chores, burden.looked_at };
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
		if (numbers[i] != (i == place ? number : 0))
			fail_msg("number %zu is %lld", i, (long long)numbers[i]);
}

static int64_t hosts_left(struct db_fixture *fixture)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };

	OK(db_host_all(session, &hosts, &fixture->error));
	return (int64_t)hosts.count;
}

static void a_page_of_hosts_begins_above_an_id_and_ends_at_its_limit(void **state)
{
	static const struct {
		int64_t above, limit; /* `above`: the place of the host in the list, from 1; 0: none */
		size_t first, count;
	} pages[] = { { 0, 0, 0, 3 }, { 0, 2, 0, 2 }, { 1, 0, 1, 2 }, { 1, 1, 1, 1 }, { 3, 1, 3, 0 } };
	struct db_fixture *fixture = *state;
	const int64_t ids[6] = { db_fixture_host(fixture, "one"), db_fixture_host(fixture, "two"),
				 db_fixture_host(fixture, "three") };

	for (size_t i = 0; i < ARRAY_LENGTH(pages); i++) {
		CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
		CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };

		OK(db_host_page(session, pages[i].above ? ids[pages[i].above - 1] : 0, pages[i].limit, &hosts,
				&fixture->error));
		assert_int_equal(hosts.count, pages[i].count);
		for (size_t j = 0; j < pages[i].count; j++)
			assert_int_equal(hosts.items[j].id, ids[pages[i].first + j]);
	}
}

static void check_is_kept(struct db_fixture *fixture, db_write_fn bind, size_t place, const char *words)
{
	struct two_hosts hosts = { .id = db_fixture_host(fixture, "one"), .other_id = db_fixture_host(fixture, "two") };
	CLEANUP_FREE char *text = text_format("host one cannot be removed: %d %s", TWICE, words);

	check_burden(fixture, hosts.id, place, 0);
	for (hosts.number = 1; hosts.number <= TWICE; hosts.number++)
		db_fixture_write(fixture, bind, &hosts);
	check_burden(fixture, hosts.id, place, TWICE);
	assert_int_equal(db_write(fixture->database, remove_host, &hosts, &fixture->error), -EBUSY);
	assert_int_equal(fixture->error.code, EBUSY);
	assert_string_equal(fixture->error.text, text);
	assert_int_equal(hosts_left(fixture), 2);
}

#define KEPT_BY(test, bind, place, words)                                                                              \
	static void test(void **state)                                                                                 \
	{                                                                                                              \
		check_is_kept(*state, bind, place, words);                                                             \
	}

KEPT_BY(host_with_servers_is_kept, bind_server, 0, "servers stand there")
KEPT_BY(host_that_jobs_leave_is_kept, bind_job_from_it, 1, "unfinished jobs touch it")
KEPT_BY(host_that_jobs_go_to_is_kept, bind_job_to_it, 1, "unfinished jobs touch it")
KEPT_BY(host_with_claims_is_kept, bind_claim, 2, "claims hold resources there")
KEPT_BY(host_with_saved_definitions_is_kept, bind_saved_definition, 3,
	"domains taken away from there wait for a confirm or a revert")
KEPT_BY(host_with_copied_volumes_is_kept, bind_volume, 4, "volumes of unfinished cold migrations lie there")
KEPT_BY(host_with_chores_is_kept, bind_chore, 5, "chores wait to be done there")
KEPT_BY(host_that_ends_a_conflict_is_kept, bind_conflict_of_the_other, 6, "chores of other hosts end by what it shows")
KEPT_BY(host_that_ends_a_stuck_call_is_kept, bind_stuck_call_of_the_other, 6,
	"chores of other hosts end by what it shows")

static void host_that_is_only_remembered_goes(void **state)
{
	struct db_fixture *fixture = *state;
	struct two_hosts hosts = { .id = db_fixture_host(fixture, "one"),
				   .other_id = db_fixture_host(fixture, "two"),
				   .finished_us = 1 };

	db_fixture_write(fixture, bind_job_from_it, &hosts);
	hosts.number++;
	db_fixture_write(fixture, bind_job_to_it, &hosts);
	db_fixture_write(fixture, bind_removal_on_the_other, &hosts);
	db_fixture_write(fixture, remove_host, &hosts);
	assert_int_equal(hosts_left(fixture), 1);
	assert_int_equal(db_write(fixture->database, remove_host, &hosts, &fixture->error), -ENOENT);
}

/* What the other one has keeps that one alone. */
static void host_is_not_kept_by_what_another_one_has(void **state)
{
	static const db_write_fn all[] = { bind_server, bind_claim, bind_saved_definition, bind_volume, bind_chore };
	struct db_fixture *fixture = *state;
	struct two_hosts hosts = { .id = db_fixture_host(fixture, "one"), .other_id = db_fixture_host(fixture, "two") };
	struct two_hosts others = { .id = hosts.other_id };

	for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
		db_fixture_write(fixture, all[i], &others);
	db_fixture_write(fixture, remove_host, &hosts);
	assert_int_equal(hosts_left(fixture), 1);
}

static int set_service_down(struct db_session *session, void *context, struct error *error)
{
	const struct two_hosts *hosts = context;
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_id(session, hosts->id, &host, error);

	host.service.is_up = false;
	return result < 0 ? result : db_service_update(session, &host.service, error);
}

static void host_that_is_down_and_kept_says_the_way_out(void **state)
{
	struct db_fixture *fixture = *state;
	struct two_hosts hosts = { .id = db_fixture_host(fixture, "one") };

	db_fixture_write(fixture, bind_server, &hosts);
	db_fixture_write(fixture, set_service_down, &hosts);
	assert_int_equal(db_write(fixture->database, remove_host, &hosts, &fixture->error), -EBUSY);
	assert_string_equal(fixture->error.text,
			    "host one cannot be removed: 1 servers stand there; should it never come "
			    "back: migrationd host remove --gone");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_page_of_hosts_begins_above_an_id_and_ends_at_its_limit),
		TEST(host_with_servers_is_kept),
		TEST(host_that_jobs_leave_is_kept),
		TEST(host_that_jobs_go_to_is_kept),
		TEST(host_with_claims_is_kept),
		TEST(host_with_saved_definitions_is_kept),
		TEST(host_with_copied_volumes_is_kept),
		TEST(host_with_chores_is_kept),
		TEST(host_that_ends_a_conflict_is_kept),
		TEST(host_that_ends_a_stuck_call_is_kept),
		TEST(host_that_is_only_remembered_goes),
		TEST(host_is_not_kept_by_what_another_one_has),
		TEST(host_that_is_down_and_kept_says_the_way_out),
	};

	return cmocka_run_group_tests_name("db_hosts", tests, NULL, NULL);
}
