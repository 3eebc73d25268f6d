/* Lists by filter, held against a plain walk over all rows: whatever conditions are asked for together, with and without a page's
 * marker and limit, a list has the rows that meet all of them, in its order, and no other. */
#include "base/cleanup.h"
#include "base/text.h"
#include "db/flavors.h"
#include "tests/unit/db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROWS             100
#define TOGETHER_MAX     3 /* conditions of migrations; of the others all go together */
#define LIMIT            9 /* enough that a row of another kind is among the first */
#define HAS(set, number) (((set) >> (number)) & 1)

/* Ids in the order of a list. */
struct ids {
	int64_t ids[ROWS];
	size_t count;
};

static void add_id(struct ids *ids, int64_t id)
{
	assert_true(ids->count < ROWS);
	ids->ids[ids->count++] = id;
}

static void compare(const struct ids *found, const struct ids *expected, const char *what, unsigned int set)
{
	bool is_same = found->count == expected->count;

	for (size_t i = 0; is_same && i < found->count; i++)
		is_same = found->ids[i] == expected->ids[i];
	if (!is_same)
		fail_msg("%s by the conditions 0x%x: %zu rows, not %zu, or others", what, set, found->count,
			 expected->count);
}

/* The next number below the bound, the same ones in each run. */
static unsigned int pick(unsigned int bound)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return (state >> 16) % bound;
}

#define PICK(words) ((words)[pick(ARRAY_LENGTH(words))])

/* Few times, so that many rows have the same; changed at once, later or never. */
static void pick_times(int64_t *ret_created_us, int64_t *ret_updated_us)
{
	*ret_created_us = 1000 + pick(4);
	*ret_updated_us = pick(4) ? *ret_created_us + pick(2) : 0;
}

#define SINCE_US  1002
#define BEFORE_US 1003

static bool is_changed_between(int64_t updated_us, int64_t since_us, int64_t before_us)
{
	return (!since_us || updated_us >= since_us) && (!before_us || (updated_us && updated_us <= before_us));
}

static bool fits(const char *wanted, const char *has)
{
	return !wanted || strcmp(wanted, has) == 0;
}

/* Migrations. */
enum {
	BY_SERVER,
	BY_STATUS,
	BY_TYPE,
	BY_HOST,
	BY_SOURCE,
	BY_USER,
	BY_PROJECT,
	BY_SINCE,
	BY_BEFORE,
	IN_PROGRESS,
	WITH_HIDDEN,
	MIGRATION_SETS
};

static struct db_migration migrations[ROWS];

static int insert_migrations(struct db_session *session, void *context, struct error *error)
{
	static const char *const statuses[] = { "running", "running", "queued", "accepted", "completed", "error" };
	static const char *const types[] = { "live-migration", "live-migration", "migration" };
	static const char *const hosts[] = { "one", "two", "three" };
	static const char *const names[] = { "a", "b" };

	(void)context;
	for (size_t i = 0; i < ROWS; i++) {
		struct db_migration *row = &migrations[i];

		*row = (struct db_migration){ .is_hidden = pick(4) == 0 };
		TEXT_COPY(row->server_uuid, PICK(names));
		TEXT_COPY(row->status, PICK(statuses));
		TEXT_COPY(row->type, PICK(types));
		TEXT_COPY(row->source_compute, PICK(hosts));
		TEXT_COPY(row->dest_compute, PICK(hosts));
		TEXT_COPY(row->user_id, PICK(names));
		TEXT_COPY(row->project_id, PICK(names));
		pick_times(&row->created_us, &row->updated_us);
		int result = db_migration_insert(session, row, error);
		if (result < 0)
			return result;
	}
	return 0;
}

static int compare_migrations(const void *left, const void *right)
{
	const struct db_migration *a = left, *b = right;

	return a->created_us != b->created_us ? (a->created_us < b->created_us) - (a->created_us > b->created_us)
					      : (a->id < b->id) - (a->id > b->id);
}

static struct db_migration_filter migration_filter(unsigned int set)
{
	return (struct db_migration_filter){
		.server_uuid = HAS(set, BY_SERVER) ? "a" : NULL,
		.status = HAS(set, BY_STATUS) ? "running" : NULL,
		.type = HAS(set, BY_TYPE) ? "live-migration" : NULL,
		.host = HAS(set, BY_HOST) ? "two" : NULL,
		.source_compute = HAS(set, BY_SOURCE) ? "one" : NULL,
		.user_id = HAS(set, BY_USER) ? "b" : NULL,
		.project_id = HAS(set, BY_PROJECT) ? "a" : NULL,
		.changes_since_us = HAS(set, BY_SINCE) ? SINCE_US : 0,
		.changes_before_us = HAS(set, BY_BEFORE) ? BEFORE_US : 0,
		.is_in_progress = HAS(set, IN_PROGRESS),
		.has_hidden = HAS(set, WITH_HIDDEN),
	};
}

static bool is_in_progress(const struct db_migration *row)
{
	static const char *const statuses[] = { "queued", "preparing", "running", "post-migrating" };
	bool is_one = false;

	for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++)
		is_one = is_one || strcmp(row->status, statuses[i]) == 0;
	return is_one && strcmp(row->type, "live-migration") == 0;
}

static bool wants_migration(const struct db_migration_filter *filter, const struct db_migration *row)
{
	return fits(filter->server_uuid, row->server_uuid) && fits(filter->status, row->status)
	       && fits(filter->type, row->type)
	       && (fits(filter->host, row->source_compute) || fits(filter->host, row->dest_compute))
	       && fits(filter->source_compute, row->source_compute) && fits(filter->user_id, row->user_id)
	       && fits(filter->project_id, row->project_id)
	       && is_changed_between(row->updated_us, filter->changes_since_us, filter->changes_before_us)
	       && (!filter->is_in_progress || is_in_progress(row)) && (filter->has_hidden || !row->is_hidden);
}

/* A page of them: behind the row `marker` of all rows in their order (SIZE_MAX: from the first on). */
static void check_migrations(struct db_fixture *fixture, struct db_session *session, unsigned int set, size_t marker,
			     int64_t limit)
{
	struct db_migration_filter filter = migration_filter(set);
	CLEANUP_DB_MIGRATIONS struct db_migration_list list = { 0 };
	struct ids found = { 0 }, expected = { 0 };

	filter.marker = marker == SIZE_MAX ? NULL : migrations[marker].uuid;
	filter.limit = limit;
	for (size_t i = marker == SIZE_MAX ? 0 : marker + 1; i < ROWS; i++)
		if (wants_migration(&filter, &migrations[i]) && (!limit || (int64_t)expected.count < limit))
			add_id(&expected, migrations[i].id);
	OK(db_migration_find(session, &filter, &list, &fixture->error));
	for (size_t i = 0; i < list.count; i++)
		add_id(&found, list.items[i].id);
	compare(&found, &expected, "migrations", set);
}

/* One of those that are wanted: it is not on the page behind it. */
static size_t wanted_migration(unsigned int set)
{
	struct db_migration_filter filter = migration_filter(set);

	for (size_t i = ROWS / 4; i < ROWS; i++)
		if (wants_migration(&filter, &migrations[i]))
			return i;
	return ROWS / 4;
}

static void list_of_migrations_meets_all_conditions_that_are_asked_for_together(void **state)
{
	struct db_fixture *fixture = *state;

	db_fixture_write(fixture, insert_migrations, NULL);
	qsort(migrations, ROWS, sizeof(migrations[0]), compare_migrations);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	for (unsigned int set = 0; set < 1U << MIGRATION_SETS; set++) {
		if (__builtin_popcount(set) > TOGETHER_MAX)
			continue;
		check_migrations(fixture, session, set, SIZE_MAX, 0);
		check_migrations(fixture, session, set, SIZE_MAX, LIMIT);
		check_migrations(fixture, session, set, ROWS / 3, 0);
		check_migrations(fixture, session, set, wanted_migration(set), LIMIT);
	}
}

/* Servers. */
enum { BY_UUID, OF_PROJECT, ON_HOST, BY_VM_STATE, BY_TASK_STATE, BY_NAME, SINCE, WITH_DELETED, SERVER_SETS };

static struct db_server servers[ROWS];

/* Every fourth one is deleted; of every second of these the uuid came back with the next one. */
static int insert_servers(struct db_session *session, void *context, struct error *error)
{
	static const char *const projects[] = { "a", "b" };
	static const char *const states[] = { "active", "stopped" };
	static const char *const tasks[] = { "", "migrating" };
	static const char *const names[] = { "Web-1", "web_2", "data" };
	const int64_t *hosts = context;

	for (size_t i = 0; i < ROWS; i++) {
		struct db_server *row = &servers[i];

		*row = (struct db_server){ .is_deleted = i % 4 == 0, .host_id = hosts[pick(2)] };
		row->flavor.vcpus = pick(2) + 1;
		TEXT_COPY(row->host, row->host_id == hosts[0] ? "one" : "two");
		if (i % 8 == 1)
			TEXT_COPY(row->uuid, servers[i - 1].uuid);
		else
			uuid_make(row->uuid);
		TEXT_COPY(row->project_id, PICK(projects));
		TEXT_COPY(row->vm_state, PICK(states));
		TEXT_COPY(row->task_state, PICK(tasks));
		TEXT_COPY(row->name, PICK(names));
		pick_times(&row->created_us, &row->updated_us);
		int result = db_server_insert(session, row, error);
		if (result < 0)
			return result;
	}
	return 0;
}

static int compare_servers(const void *left, const void *right)
{
	const struct db_server *a = left, *b = right;

	return a->created_us != b->created_us ? (a->created_us < b->created_us) - (a->created_us > b->created_us)
					      : (a->id < b->id) - (a->id > b->id);
}

/* One whose uuid a deleted one had before, and that has rows before and behind it in the list. */
static const struct db_server *one_that_came_back(void)
{
	for (size_t i = ROWS / 5; i < ROWS; i++)
		if (servers[i].id % 8 == 2)
			return &servers[i];
	return NULL;
}

static struct db_server_filter server_filter(unsigned int set, const int64_t hosts[2])
{
	return (struct db_server_filter){
		.uuid = HAS(set, BY_UUID) ? one_that_came_back()->uuid : NULL,
		.project_id = HAS(set, OF_PROJECT) ? "a" : NULL,
		.host_id = HAS(set, ON_HOST) ? hosts[1] : 0,
		.vm_state = HAS(set, BY_VM_STATE) ? "active" : NULL,
		.task_state = HAS(set, BY_TASK_STATE) ? "migrating" : NULL,
		.name_part = HAS(set, BY_NAME) ? "WEB" : NULL,
		.changes_since_us = HAS(set, SINCE) ? SINCE_US : 0,
		.has_deleted = HAS(set, WITH_DELETED),
	};
}

static bool wants_server(const struct db_server_filter *filter, const struct db_server *row)
{
	return fits(filter->uuid, row->uuid) && fits(filter->project_id, row->project_id)
	       && (!filter->host_id || filter->host_id == row->host_id) && fits(filter->vm_state, row->vm_state)
	       && fits(filter->task_state, row->task_state)
	       && (!filter->name_part || strncmp(row->name, "data", 4) != 0)
	       && is_changed_between(row->updated_us, filter->changes_since_us, 0)
	       && (filter->has_deleted || !row->is_deleted);
}

/* Host and flavor are the server's own. */
static void check_joined(const struct db_server *found)
{
	for (size_t i = 0; i < ROWS; i++)
		if (servers[i].id == found->id) {
			assert_string_equal(found->host, servers[i].host);
			assert_int_equal(found->flavor.vcpus, servers[i].flavor.vcpus);
		}
}

static void check_servers(struct db_fixture *fixture, struct db_session *session, const int64_t hosts[2],
			  unsigned int set, const struct db_server *marker, int64_t limit)
{
	struct db_server_filter filter = server_filter(set, hosts);
	CLEANUP_DB_SERVERS struct db_server_list list = { 0 };
	struct ids found = { 0 }, expected = { 0 };

	filter.marker = marker ? marker->uuid : NULL;
	filter.limit = limit;
	for (const struct db_server *row = marker ? marker + 1 : servers; row < servers + ROWS; row++)
		if (wants_server(&filter, row) && (!limit || (int64_t)expected.count < limit))
			add_id(&expected, row->id);
	OK(db_server_find(session, &filter, &list, &fixture->error));
	for (size_t i = 0; i < list.count; i++)
		add_id(&found, list.items[i].id);
	compare(&found, &expected, "servers", set);
	for (size_t i = 0; i < list.count; i++)
		check_joined(&list.items[i]);
}

/* One of those that are wanted, and the newest of its uuid. */
static const struct db_server *wanted_server(unsigned int set, const int64_t hosts[2])
{
	struct db_server_filter filter = server_filter(set, hosts);

	for (size_t i = ROWS / 4; i < ROWS; i++)
		if (wants_server(&filter, &servers[i]) && servers[i].id % 8 != 1)
			return &servers[i];
	return one_that_came_back();
}

static void list_of_servers_meets_all_conditions_that_are_asked_for_together(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t hosts[] = { db_fixture_host(fixture, "one"), db_fixture_host(fixture, "two") };

	db_fixture_write(fixture, insert_servers, hosts);
	qsort(servers, ROWS, sizeof(servers[0]), compare_servers);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	for (unsigned int set = 0; set < 1U << SERVER_SETS; set++) {
		check_servers(fixture, session, hosts, set, NULL, 0);
		check_servers(fixture, session, hosts, set, NULL, LIMIT);
		check_servers(fixture, session, hosts, set, one_that_came_back(), 0);
		check_servers(fixture, session, hosts, set, wanted_server(set, hosts), LIMIT);
	}
	for (size_t i = 0; i < ROWS; i++)
		db_server_clear(&servers[i]);
}

static void deleted_server_is_a_marker_only_of_a_list_that_has_deleted_ones(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t hosts[] = { db_fixture_host(fixture, "one"), db_fixture_host(fixture, "two") };
	CLEANUP_DB_SERVERS struct db_server_list list = { 0 };

	db_fixture_write(fixture, insert_servers, hosts);
	struct db_server_filter filter = { .marker = servers[4].uuid }; /* deleted, and has not come back */
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	assert_int_equal(db_server_find(session, &filter, &list, &fixture->error), -ENOENT);
	assert_non_null(strstr(fixture->error.text, servers[4].uuid));
	filter.has_deleted = true;
	OK(db_server_find(session, &filter, &list, &fixture->error));
	for (size_t i = 0; i < ROWS; i++)
		db_server_clear(&servers[i]);
}

/* Instance actions. */
enum { OF_SERVER, ACTIONS_SINCE, ACTIONS_BEFORE, ACTION_SETS };

static struct db_action actions[ROWS];

/* A request's id is at two servers, at each twice. */
static int insert_actions(struct db_session *session, void *context, struct error *error)
{
	static const char *const names[] = { "a", "b" };

	(void)context;
	for (size_t i = 0; i < ROWS; i++) {
		struct db_action *row = &actions[i];

		*row = (struct db_action){ .action = "migrate" };
		TEXT_COPY(row->server_uuid, names[i / (ROWS / 4) % 2]);
		snprintf(row->request_id, sizeof(row->request_id), "req-%zu", i % (ROWS / 4));
		pick_times(&row->start_us, &row->updated_us);
		int result = db_action_insert(session, row, error);
		if (result < 0)
			return result;
	}
	return 0;
}

static int compare_actions(const void *left, const void *right)
{
	const struct db_action *a = left, *b = right;

	return a->start_us != b->start_us ? (a->start_us < b->start_us) - (a->start_us > b->start_us)
					  : (a->id < b->id) - (a->id > b->id);
}

/* The newest row of the request, by its id, of the server when one is named. */
static const struct db_action *marked_action(const char *request_id, const char *server_uuid)
{
	const struct db_action *newest = NULL;

	for (size_t i = 0; i < ROWS; i++)
		if (strcmp(actions[i].request_id, request_id) == 0 && fits(server_uuid, actions[i].server_uuid)
		    && (!newest || actions[i].id > newest->id))
			newest = &actions[i];
	assert_non_null(newest);
	return newest;
}

static void check_actions(struct db_fixture *fixture, struct db_session *session, unsigned int set, const char *marker,
			  int64_t limit)
{
	const struct db_action_filter filter = {
		.server_uuid = HAS(set, OF_SERVER) ? "a" : NULL,
		.changes_since_us = HAS(set, ACTIONS_SINCE) ? SINCE_US : 0,
		.changes_before_us = HAS(set, ACTIONS_BEFORE) ? BEFORE_US : 0,
		.marker = marker,
		.limit = limit,
	};
	CLEANUP_DB_ACTIONS struct db_action_list list = { 0 };
	struct ids found = { 0 }, expected = { 0 };

	for (const struct db_action *row = marker ? marked_action(marker, filter.server_uuid) + 1 : actions;
	     row < actions + ROWS; row++)
		if (fits(filter.server_uuid, row->server_uuid)
		    && is_changed_between(row->updated_us, filter.changes_since_us, filter.changes_before_us)
		    && (!limit || (int64_t)expected.count < limit))
			add_id(&expected, row->id);
	OK(db_action_find(session, &filter, &list, &fixture->error));
	for (size_t i = 0; i < list.count; i++)
		add_id(&found, list.items[i].id);
	compare(&found, &expected, "actions", set);
}

static void list_of_actions_meets_all_conditions_that_are_asked_for_together(void **state)
{
	struct db_fixture *fixture = *state;

	db_fixture_write(fixture, insert_actions, NULL);
	qsort(actions, ROWS, sizeof(actions[0]), compare_actions);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	for (unsigned int set = 0; set < 1U << ACTION_SETS; set++) {
		check_actions(fixture, session, set, NULL, 0);
		check_actions(fixture, session, set, NULL, LIMIT);
		for (int request = 0; request < ROWS / 4; request++) {
			char marker[16];

			snprintf(marker, sizeof(marker), "req-%d", request);
			check_actions(fixture, session, set, marker, 0);
			check_actions(fixture, session, set, marker, LIMIT);
		}
	}
}

/* Flavors. */
static struct db_flavor flavors[ROWS];

/* Of each flavor_id several, each with other sizes. */
static int insert_flavors(struct db_session *session, void *context, struct error *error)
{
	static char no_specs[] = "{}";

	(void)context;
	for (size_t i = 0; i < ROWS; i++) {
		flavors[i] = (struct db_flavor){ .name = "f",
						 .vcpus = (int64_t)i,
						 .memory_mb = pick(4) * 512,
						 .disk_gb = pick(4),
						 .extra_specs = no_specs };
		snprintf(flavors[i].flavor_id, sizeof(flavors[i].flavor_id), "id-%02u", pick(20));
		int result = flavor_keep(session, &flavors[i], error);
		if (result < 0)
			return result;
	}
	return 0;
}

/* The newest one of that flavor_id; NULL: there is none. */
static const struct db_flavor *newest_flavor(unsigned int number)
{
	char flavor_id[16];

	snprintf(flavor_id, sizeof(flavor_id), "id-%02u", number);
	for (size_t i = ROWS; i-- > 0;)
		if (strcmp(flavors[i].flavor_id, flavor_id) == 0)
			return &flavors[i];
	return NULL;
}

static void check_flavors(struct db_fixture *fixture, struct db_session *session, unsigned int set,
			  const struct db_flavor *named)
{
	const struct db_flavor_filter filter = {
		.flavor_id = HAS(set, 0) ? named->flavor_id : NULL,
		.marker = HAS(set, 1) ? named->flavor_id : NULL,
		.least_memory_mb = HAS(set, 2) ? 1024 : 0,
		.least_disk_gb = HAS(set, 3) ? 2 : 0,
		.limit = HAS(set, 4) ? LIMIT : 0,
	};
	CLEANUP_DB_FLAVORS struct db_flavor_list list = { 0 };
	struct ids found = { 0 }, expected = { 0 };

	for (unsigned int i = 0; i < 20; i++) {
		const struct db_flavor *row = newest_flavor(i);

		if (row && fits(filter.flavor_id, row->flavor_id) && row->memory_mb >= filter.least_memory_mb
		    && row->disk_gb >= filter.least_disk_gb
		    && (!filter.marker || strcmp(row->flavor_id, filter.marker) > 0)
		    && (!filter.limit || (int64_t)expected.count < filter.limit))
			add_id(&expected, row->id);
	}
	OK(db_flavor_find(session, &filter, &list, &fixture->error));
	for (size_t i = 0; i < list.count; i++)
		add_id(&found, list.items[i].id);
	compare(&found, &expected, "flavors", set);
}

static void list_of_flavors_meets_all_conditions_that_are_asked_for_together(void **state)
{
	struct db_fixture *fixture = *state;

	db_fixture_write(fixture, insert_flavors, NULL);
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	for (unsigned int set = 0; set < 1U << 5; set++)
		for (unsigned int i = 0; i < 20; i++)
			if (newest_flavor(i))
				check_flavors(fixture, session, set, newest_flavor(i));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(list_of_migrations_meets_all_conditions_that_are_asked_for_together),
		TEST(list_of_servers_meets_all_conditions_that_are_asked_for_together),
		TEST(deleted_server_is_a_marker_only_of_a_list_that_has_deleted_ones),
		TEST(list_of_actions_meets_all_conditions_that_are_asked_for_together),
		TEST(list_of_flavors_meets_all_conditions_that_are_asked_for_together),
	};

	return cmocka_run_group_tests_name("db_filters", tests, NULL, NULL);
}
