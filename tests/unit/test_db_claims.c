/* Claims: each resource alone refuses one, by what servers and claims have of it already. */
#include "base/cleanup.h"
#include "base/text.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A resource, as it stands in a claim and in a capacity, and what is taken of it on the fixture's host: a server of 2 vCPUs,
 * 1024 MiB and 10 GiB, and a claim of 1, 100 and 3. */
static const struct resource {
	size_t in_claim, in_capacity;
	int64_t taken;
	const char *words;
} resources[] = {
	{ offsetof(struct db_claim, vcpus), offsetof(struct db_claim_capacity, vcpus), 3, "vCPUs" },
	{ offsetof(struct db_claim, memory_mb), offsetof(struct db_claim_capacity, memory_mb), 1124, "MiB of memory" },
	{ offsetof(struct db_claim, disk_gb), offsetof(struct db_claim_capacity, disk_gb), 13, "GiB of disk" },
};

static int64_t *number_at(void *whole, size_t offset)
{
	return (int64_t *)(void *)((char *)whole + offset);
}

struct claim_request {
	struct db_claim claim;
	struct db_claim_capacity capacity;
};

static int make_claim(struct db_session *session, void *context, struct error *error)
{
	const struct claim_request *request = context;

	return db_claim_make(session, &request->claim, &request->capacity, error);
}

/* The host, with what is taken of it; the request is for nothing yet, within no limit. */
static struct claim_request make_request(struct db_fixture *fixture)
{
	struct claim_request request = { .claim = { .vcpus = 1, .memory_mb = 100, .disk_gb = 3 },
					 .capacity = { -1, -1, -1 } };

	request.claim.host_id = db_fixture_host(fixture, "compute-1");
	request.claim.migration_id = db_fixture_migration(fixture, "guest", "compute-2", "compute-1");
	db_fixture_server(fixture, "guest", request.claim.host_id, NULL);
	db_fixture_server(fixture, "elsewhere", db_fixture_host(fixture, "compute-2"), NULL);
	db_fixture_write(fixture, make_claim, &request);
	request.claim.vcpus = request.claim.memory_mb = request.claim.disk_gb = 0;
	return request;
}

static size_t count_claims(struct db_fixture *fixture, int64_t host_id)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_CLAIMS struct db_claim_list list = { 0 };

	OK(db_claim_by_host(session, host_id, &list, &fixture->error));
	return list.count;
}

static void check_refused(struct db_fixture *fixture, struct claim_request *request, const char *words)
{
	size_t before = count_claims(fixture, request->claim.host_id);

	assert_int_equal(db_write(fixture->database, make_claim, request, &fixture->error), -EBUSY);
	assert_string_equal(fixture->error.text, words);
	assert_int_equal(count_claims(fixture, request->claim.host_id), before);
}

/* The last of it is given, and not one more; what nothing is wanted of is not asked, however full. */
static void each_resource_alone_refuses_a_claim(void **state)
{
	struct db_fixture *fixture = *state;
	struct claim_request request = make_request(fixture);

	for (size_t i = 0; i < ARRAY_LENGTH(resources); i++) {
		const struct resource *resource = &resources[i];
		struct claim_request one = request;
		CLEANUP_FREE char *words = text_format("6 %s are wanted, %lld of %lld are taken", resource->words,
						       (long long)resource->taken, (long long)resource->taken + 5);

		one.capacity = (struct db_claim_capacity){ 0, 0, 0 };
		*number_at(&one.capacity, resource->in_capacity) = resource->taken + 5;
		*number_at(&one.claim, resource->in_claim) = 6;
		check_refused(fixture, &one, words);
		*number_at(&one.claim, resource->in_claim) = 5;
		db_fixture_write(fixture, make_claim, &one);
		*number_at(&one.claim, resource->in_claim) = 1; /* that was the last of it */
		assert_int_equal(db_write(fixture->database, make_claim, &one, &fixture->error), -EBUSY);
		*number_at(&one.capacity, resource->in_capacity) = 0; /* a limit like others, not none */
		assert_int_equal(db_write(fixture->database, make_claim, &one, &fixture->error), -EBUSY);
	}
	assert_int_equal(count_claims(fixture, request.claim.host_id), 4);
}

static void resource_without_a_limit_refuses_nobody(void **state)
{
	struct db_fixture *fixture = *state;
	struct claim_request request = make_request(fixture);

	for (size_t i = 0; i < ARRAY_LENGTH(resources); i++) {
		struct claim_request one = request;

		*number_at(&one.claim, resources[i].in_claim) = 1000000000;
		db_fixture_write(fixture, make_claim, &one);
	}
}

/* It would free what others have. */
static void claim_for_less_than_nothing_is_refused(void **state)
{
	struct db_fixture *fixture = *state;
	struct claim_request request = make_request(fixture);

	for (size_t i = 0; i < ARRAY_LENGTH(resources); i++) {
		struct claim_request one = request;

		*number_at(&one.claim, resources[i].in_claim) = -1;
		assert_int_equal(db_write(fixture->database, make_claim, &one, &fixture->error), -EINVAL);
	}
	assert_int_equal(count_claims(fixture, request.claim.host_id), 1);
}

static int delete_server(struct db_session *session, void *context, struct error *error)
{
	return db_server_delete(session, context, error);
}

static int release_claims(struct db_session *session, void *context, struct error *error)
{
	return db_claim_release(session, *(int64_t *)context, 0, error);
}

/* Of each resource. */
static void what_servers_and_claims_give_back_can_be_claimed(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "compute-1");
	int64_t migration = db_fixture_migration(fixture, "guest", "compute-2", "compute-1");
	struct claim_request request = {
		.claim = { .host_id = host, .migration_id = migration, .vcpus = 2, .memory_mb = 1024, .disk_gb = 10 },
		.capacity = { 4, 2048, 20 },
	};
	char uuid[UUID_SIZE];

	db_fixture_server(fixture, "guest", host, uuid);
	db_fixture_write(fixture, make_claim, &request);
	check_refused(fixture, &request, "2 vCPUs are wanted, 4 of 4 are taken");
	db_fixture_write(fixture, delete_server, uuid);
	db_fixture_write(fixture, make_claim, &request);
	check_refused(fixture, &request, "2 vCPUs are wanted, 4 of 4 are taken");
	db_fixture_write(fixture, release_claims, &migration);
	assert_int_equal(count_claims(fixture, host), 0);
	db_fixture_write(fixture, make_claim, &request);
	db_fixture_write(fixture, make_claim, &request);
	check_refused(fixture, &request, "2 vCPUs are wanted, 4 of 4 are taken");
}

struct way {
	char server_uuid[UUID_SIZE];
	int64_t host_id, former_host_id;
};

static int make_way(struct db_session *session, void *context, struct error *error)
{
	const struct way *way = context;

	return db_claim_make_way(session, way->server_uuid, way->host_id, way->former_host_id, error);
}

/* It goes over to where the server came from; where that is nowhere, or the host itself, it ends. Another server's stays. */
static void claim_makes_way_for_its_server(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1"), two = db_fixture_host(fixture, "compute-2");
	const struct {
		int64_t former_host_id;
		size_t left, gone_over;
	} cases[] = { { 0, 1, 0 }, { two, 1, 1 }, { one, 1, 0 } };
	struct way way = { .host_id = one };
	struct db_claim claim = { .host_id = one, .vcpus = 1 };

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		int64_t migration = db_fixture_migration(fixture, "guest", "compute-2", "compute-1");

		claim.migration_id = migration;
		TEXT_COPY(claim.server_uuid, "guest");
		OK(db_fixture_claim(fixture, &claim, -1));
		TEXT_COPY(claim.server_uuid, "another");
		OK(db_fixture_claim(fixture, &claim, -1));
		TEXT_COPY(way.server_uuid, "guest");
		way.former_host_id = cases[i].former_host_id;
		db_fixture_write(fixture, make_way, &way);
		if (count_claims(fixture, one) != cases[i].left || count_claims(fixture, two) != cases[i].gone_over)
			fail_msg("case %zu: %zu and %zu claims", i, count_claims(fixture, one),
				 count_claims(fixture, two));
		db_fixture_write(fixture, release_claims, &migration);
	}
}

static int insert_server(struct db_session *session, void *context, struct error *error)
{
	return db_server_insert(session, context, error);
}

/* Root, ephemeral and swap, in whole GiB: of one host and of all. */
static void disk_of_a_server_is_all_that_its_flavor_has(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_SERVER struct db_server server = {
		.uuid = "5e0a6b8c-0000-4000-8000-000000000001",
		.vm_state = "active",
		.host_id = db_fixture_host(fixture, "compute-1"),
		.flavor = { .name = "f", .vcpus = 1, .disk_gb = 7, .ephemeral_gb = 20, .swap_mb = 1025 },
	};
	struct claim_request request = { .claim = { .host_id = server.host_id, .disk_gb = 1 },
					 .capacity = { -1, -1, 29 } };
	CLEANUP_DB_USAGES struct db_host_usage_list usages = { 0 };

	db_fixture_write(fixture, insert_server, &server);
	request.claim.migration_id = db_fixture_migration(fixture, "guest", "compute-2", "compute-1");
	check_refused(fixture, &request, "1 GiB of disk are wanted, 29 of 29 are taken");
	assert_int_equal(db_flavor_disk_gb(&server.flavor), 29);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	OK(db_host_usage_all(session, &usages, &fixture->error));
	assert_int_equal(usages.count, 1);
	assert_int_equal(usages.items[0].usage.disk_gb, 29);
}

struct status_of_migration {
	int64_t id;
	const char *status;
};

static int set_status(struct db_session *session, void *context, struct error *error)
{
	const struct status_of_migration *status = context;

	return db_migration_set_status(session, status->id, status->status, error);
}

/* As both readings have it, that of one host and that of all. */
static int64_t read_moves(struct db_fixture *fixture, int64_t host_id)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_USAGES struct db_host_usage_list usages = { 0 };
	struct db_host_usage usage;

	OK(db_host_usage(session, host_id, &usage, &fixture->error));
	OK(db_host_usage_all(session, &usages, &fixture->error));
	for (size_t i = 0; i < usages.count; i++)
		if (usages.items[i].host_id == host_id)
			assert_int_equal(usages.items[i].usage.moves, usage.moves);
	return usage.moves;
}

/* Once each, also where both are the same; one that waits for its confirm or has ended loads none. */
static void move_that_is_under_way_loads_both_its_hosts(void **state)
{
	static const struct {
		const char *status;
		bool is_under_way;
	} cases[] = {
		{ "accepted", true },      { "queued", true },         { "preparing", true },
		{ "pre-migrating", true }, { "running", true },        { "running (post-copy)", true },
		{ "migrating", true },     { "post-migrating", true }, { "reverting", true },
		{ "finished", false },     { "confirming", false },    { "completed", false },
		{ "failed", false },       { "error", false },         { "cancelled", false },
		{ "confirmed", false },    { "reverted", false },      { "done", false },
	};
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1"), two = db_fixture_host(fixture, "compute-2");
	int64_t three = db_fixture_host(fixture, "compute-3");
	struct status_of_migration across = { db_fixture_migration(fixture, "a", "compute-1", "compute-2"), NULL };
	struct status_of_migration within = { db_fixture_migration(fixture, "b", "compute-1", "compute-1"), NULL };

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		across.status = within.status = cases[i].status;
		db_fixture_write(fixture, set_status, &across);
		db_fixture_write(fixture, set_status, &within);
		int64_t at_one = read_moves(fixture, one), at_two = read_moves(fixture, two);

		if (at_one != (cases[i].is_under_way ? 2 : 0) || at_two != cases[i].is_under_way)
			fail_msg("%s: %lld and %lld moves", cases[i].status, (long long)at_one, (long long)at_two);
		assert_int_equal(read_moves(fixture, three), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_resource_alone_refuses_a_claim),
		TEST(resource_without_a_limit_refuses_nobody),
		TEST(claim_for_less_than_nothing_is_refused),
		TEST(what_servers_and_claims_give_back_can_be_claimed),
		TEST(claim_makes_way_for_its_server),
		TEST(disk_of_a_server_is_all_that_its_flavor_has),
		TEST(move_that_is_under_way_loads_both_its_hosts),
	};

	return cmocka_run_group_tests_name("db_claims", tests, NULL, NULL);
}
