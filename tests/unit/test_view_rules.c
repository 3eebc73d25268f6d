/* What documents show of a server's, a migration's and a host's state, where it depends on more than the microversion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <stdlib.h>

#include "api/microversion.h"
#include "api/view.h"
#include "base/cleanup.h"
#include "base/text.h"

#define TIME_US     INT64_C(1767312000000000) /* 2026-01-02T00:00:00Z */
#define MINUTE      INT64_C(60000000)
#define OWNED(text) ((char[]){ text })

static const struct view_base base = { "http://nova.example", "" };

static json_t *document_of(const struct db_server *server, const struct db_host *host, bool is_admin)
{
	const struct view_server_scope scope = { .minor = MICROVERSION_MINOR_MAX,
						 .base = base,
						 .has_host_attributes = is_admin,
						 .has_host_status = true,
						 .has_fault_details = is_admin,
						 .host = host };

	return view_server(server, &scope);
}

static void expect_text(const json_t *document, const char *name, const char *expected, const char *of)
{
	const char *found = json_string_value(json_object_get(document, name));

	if (!text_equal(found, expected) && (found || expected))
		fail_msg("%s: %s is %s", of, name, found);
}

static void a_fault_is_shown_of_servers_in_error_and_of_deleted_ones_alone(void **state)
{
	static const struct {
		const char *vm_state, *task_state;
		bool has_fault;
	} states[] = {
		{ "error", "", true },    { "error", "migrating", true }, { "deleted", "", true },
		{ "active", "", false },  { "soft-delete", "", false },   { "error", "rebuilding", false },
		{ "stopped", "", false }, { "resized", "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(states); i++)
		for (int code = 0; code <= 500; code += 500) {
			struct db_server server = { .fault = { .code = code } };

			TEXT_COPY(server.vm_state, states[i].vm_state);
			TEXT_COPY(server.task_state, states[i].task_state);
			json_t *document = document_of(&server, NULL, true);
			if ((json_object_get(document, "fault") != NULL) != (states[i].has_fault && code))
				fail_msg("%s %s, fault %d", states[i].vm_state, states[i].task_state, code);
			json_decref(document);
		}
}

static void a_faults_details_are_shown_to_admins_and_where_it_is_not_of_the_service(void **state)
{
	(void)state;
	for (int code = 400; code <= 500; code += 100)
		for (int is_admin = 0; is_admin < 2; is_admin++) {
			const struct db_server server = {
				.vm_state = "error",
				.fault = { code, OWNED("words"), OWNED("trace"), TIME_US },
			};
			json_t *document = document_of(&server, NULL, is_admin);
			const json_t *fault = json_object_get(document, "fault");

			assert_int_equal(json_integer_value(json_object_get(fault, "code")), code);
			expect_text(fault, "created", "2026-01-02T00:00:00Z", "fault");
			expect_text(fault, "message", "words", "fault");
			expect_text(fault, "details", is_admin || code != 500 ? "trace" : NULL, "fault");
			json_decref(document);
		}
}

static void a_fault_without_words_has_empty_ones(void **state)
{
	const struct db_server server = { .vm_state = "error", .fault = { .code = 500, .created_us = TIME_US } };
	json_t *document = document_of(&server, NULL, true);
	const json_t *fault = json_object_get(document, "fault");

	(void)state;
	expect_text(fault, "message", "", "fault");
	assert_null(json_object_get(fault, "details"));
	json_decref(document);
}

static void progress_is_shown_of_servers_that_run_or_are_being_changed(void **state)
{
	static const struct {
		const char *vm_state, *task_state;
		bool has_progress;
	} states[] = {
		{ "active", "", true },
		{ "building", "", true },
		{ "active", "rebuilding", true },
		{ "active", "resize_prep", true },
		{ "resized", "", true },
		{ "active", "migrating", true },
		{ "paused", "migrating", true },
		{ "stopped", "", false },
		{ "paused", "", false },
		{ "suspended", "", false },
		{ "error", "", false },
		{ "active", "rebooting", false },
		{ "resized", "resize_reverting", false },
		{ "deleted", "", false },
		{ "unheard-of", "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
		struct db_server server = { .progress = 7 };

		TEXT_COPY(server.vm_state, states[i].vm_state);
		TEXT_COPY(server.task_state, states[i].task_state);
		json_t *document = document_of(&server, NULL, true);
		if ((json_object_get(document, "progress") != NULL) != states[i].has_progress)
			fail_msg("%s %s", states[i].vm_state, states[i].task_state);
		json_decref(document);
	}
}

static void a_servers_host_status_tells_whether_its_host_serves(void **state)
{
	static const struct {
		const char *host;
		bool is_known, is_up, is_disabled, is_forced_down;
		const char *status;
	} hosts[] = {
		{ "", true, true, false, false, "" },
		{ "host1", false, true, false, false, "UNKNOWN" },
		{ "host1", true, true, false, false, "UP" },
		{ "host1", true, true, true, false, "MAINTENANCE" },
		{ "host1", true, false, false, false, "UNKNOWN" },
		{ "host1", true, false, true, false, "UNKNOWN" },
		{ "host1", true, true, false, true, "DOWN" },
		{ "host1", true, false, true, true, "DOWN" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
		const struct db_host host = { .service = { .is_up = hosts[i].is_up,
							   .is_disabled = hosts[i].is_disabled,
							   .is_forced_down = hosts[i].is_forced_down } };
		struct db_server server = { .vm_state = "active" };

		TEXT_COPY(server.host, hosts[i].host);
		json_t *document = document_of(&server, hosts[i].is_known ? &host : NULL, true);
		expect_text(document, "host_status", hosts[i].status, hosts[i].status);
		json_decref(document);
	}
}

/* What discovery never learnt. */
static void a_bare_server_is_shown_with_empty_values(void **state)
{
	static const char *const nulls[] = { "key_name",
					     "OS-SRV-USG:launched_at",
					     "OS-SRV-USG:terminated_at",
					     "OS-EXT-SRV-ATTR:host",
					     "OS-EXT-SRV-ATTR:hypervisor_hostname",
					     "OS-EXT-SRV-ATTR:root_device_name",
					     "OS-EXT-SRV-ATTR:user_data",
					     "OS-EXT-STS:task_state",
					     "description",
					     "trusted_image_certificates",
					     "locked_reason",
					     "pinned_availability_zone" };
	static const char *const empty[] = { "hostId", "image", "OS-EXT-AZ:availability_zone", "host_status" };
	static const char *const lists[] = { "tags", "server_groups", "os-extended-volumes:volumes_attached" };
	static const char *const objects[] = { "addresses", "metadata", "scheduler_hints" };
	const struct db_server server = { .vm_state = "active", .created_us = TIME_US, .locked_reason = OWNED("old") };
	json_t *document = document_of(&server, NULL, true);

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(nulls); i++)
		if (!json_is_null(json_object_get(document, nulls[i])))
			fail_msg("%s", nulls[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(empty); i++)
		expect_text(document, empty[i], "", "a bare server");
	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
		if (!json_is_array(json_object_get(document, lists[i])))
			fail_msg("%s", lists[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(objects); i++)
		if (!json_is_object(json_object_get(document, objects[i])))
			fail_msg("%s", objects[i]);
	expect_text(document, "updated", "2026-01-02T00:00:00Z", "a bare server");
	assert_true(json_is_false(json_object_get(document, "locked")));
	json_decref(document);
}

/* A row that somebody has written by hand. */
static void stored_json_of_a_wrong_kind_counts_as_none(void **state)
{
	const struct db_server server = { .vm_state = "active",
					  .metadata = OWNED("[1]"),
					  .addresses = OWNED("no JSON"),
					  .system_metadata = OWNED("[]"),
					  .tags = OWNED("{}"),
					  .volumes = OWNED("7") };
	json_t *document = document_of(&server, NULL, true);

	(void)state;
	assert_int_equal(json_object_size(json_object_get(document, "metadata")), 0);
	assert_true(json_is_object(json_object_get(document, "metadata")));
	assert_true(json_is_object(json_object_get(document, "addresses")));
	assert_true(json_is_array(json_object_get(document, "tags")));
	assert_true(json_is_array(json_object_get(document, "os-extended-volumes:volumes_attached")));
	json_decref(document);
}

static void a_server_on_a_host_is_in_nova_where_no_zone_is_set(void **state)
{
	static const struct {
		const char *host, *zone, *shown;
	} zones[] = { { "", "", "" }, { "host1", "", "nova" }, { "host1", "zone", "zone" }, { "", "zone", "zone" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(zones); i++) {
		struct db_server server = { .vm_state = "active" };

		TEXT_COPY(server.host, zones[i].host);
		TEXT_COPY(server.availability_zone, zones[i].zone);
		json_t *document = document_of(&server, NULL, true);
		expect_text(document, "OS-EXT-AZ:availability_zone", zones[i].shown, zones[i].host);
		json_decref(document);
	}
}

/* sha224 of project and host, as Nova makes it. */
static void a_host_id_is_the_same_for_one_project_and_host_and_for_no_others(void **state)
{
	char id[VIEW_HOST_ID_SIZE], other[VIEW_HOST_ID_SIZE];

	(void)state;
	assert_true(view_host_id("abc", "", id));
	assert_string_equal(id, "");
	assert_true(view_host_id("a", "bc", id));
	assert_string_equal(id, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7");
	assert_true(view_host_id("ab", "d", other));
	assert_string_not_equal(id, other);
}

static void only_a_live_migration_under_way_has_links(void **state)
{
	static const struct {
		const char *type, *status;
		bool has_links;
	} migrations[] = {
		{ "live-migration", "queued", true },    { "live-migration", "preparing", true },
		{ "live-migration", "running", true },   { "live-migration", "post-migrating", true },
		{ "live-migration", "accepted", false }, { "live-migration", "completed", false },
		{ "live-migration", "error", false },    { "live-migration", "failed", false },
		{ "migration", "running", false },       { "migration", "post-migrating", false },
		{ "resize", "queued", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(migrations); i++) {
		struct db_migration migration = { .id = 1 };

		TEXT_COPY(migration.type, migrations[i].type);
		TEXT_COPY(migration.status, migrations[i].status);
		json_t *document = view_migration(&migration, MICROVERSION_MINOR_MAX, &base, true);
		if ((json_object_get(document, "links") != NULL) != migrations[i].has_links)
			fail_msg("%s %s", migrations[i].type, migrations[i].status);
		json_decref(document);
	}
}

static void hosts_of_migrations_are_for_those_who_may_see_them(void **state)
{
	static const char *const names[] = { "source_compute", "dest_compute", "source_node", "dest_node",
					     "dest_host" };
	const struct db_migration known = {
		.source_compute = "a", .dest_compute = "b", .source_node = "c", .dest_node = "d", .dest_host = "e"
	};
	const struct db_migration unknown = { .id = 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(names) * 4; i++) {
		const char *name = names[i / 4];
		bool is_known = i & 1, may_see = i & 2;
		const struct db_migration *migration = is_known ? &known : &unknown;
		json_t *listed = view_migration(migration, MICROVERSION_MINOR_MAX, &base, may_see);
		json_t *below = view_server_migration(migration, MICROVERSION_MINOR_MAX, may_see);

		assert_int_equal(json_is_string(json_object_get(listed, name)), is_known && may_see);
		assert_int_equal(json_is_null(json_object_get(listed, name)), !(is_known && may_see));
		assert_true(json_equal(json_object_get(listed, name), json_object_get(below, name)));
		json_decref(listed);
		json_decref(below);
	}
}

static void progress_of_a_migration_is_null_until_libvirt_tells_it(void **state)
{
	const struct db_migration untold = { .memory = { .total = -1 }, .disk = { .processed = 1, .total = 3 } };
	const struct db_migration empty = { .memory = { .total = 0 }, .disk = { .total = -1 } };
	json_t *first = view_server_migration(&untold, MICROVERSION_MINOR_MAX, true);
	json_t *second = view_server_migration(&empty, MICROVERSION_MINOR_MAX, true);

	(void)state;
	assert_true(json_is_null(json_object_get(first, "memory_total_bytes")));
	assert_true(json_is_null(json_object_get(first, "memory_processed_bytes")));
	assert_true(json_is_integer(json_object_get(first, "disk_remaining_bytes")));
	assert_true(json_is_integer(json_object_get(second, "memory_total_bytes")));
	assert_true(json_is_null(json_object_get(second, "disk_total_bytes")));
	json_decref(first);
	json_decref(second);
}

static void uptime_is_told_by_hosts_that_are_up_and_know_when_they_booted(void **state)
{
	static const struct {
		const char *facts;
		int64_t now_us;
		bool is_up;
		const char *uptime;
	} hosts[] = {
		{ "{\"booted_us\": 60000000}", MINUTE, true, "up 0 days, 0 hours, 0 minutes" },
		{ "{\"booted_us\": 60000000}", MINUTE * 60, true, "up 0 days, 0 hours, 59 minutes" },
		{ "{\"booted_us\": 60000000}", MINUTE * 61, true, "up 0 days, 1 hours, 0 minutes" },
		{ "{\"booted_us\": 60000000}", MINUTE * 1440, true, "up 0 days, 23 hours, 59 minutes" },
		{ "{\"booted_us\": 60000000}", MINUTE * 1441, true, "up 1 days, 0 hours, 0 minutes" },
		{ "{\"booted_us\": 60000000}", MINUTE * 4500 - 1, true, "up 3 days, 2 hours, 58 minutes" },
		{ "{\"booted_us\": 60000000}", MINUTE * 4500, false, NULL },
		{ "{\"booted_us\": 1200000000}", MINUTE * 10, true, NULL }, /* a clock that was set back */
		{ "{\"booted_us\": 0}", MINUTE, true, NULL },
		{ "{\"booted_us\": 1}", MINUTE, true, "up 0 days, 0 hours, 0 minutes" },
		{ "{}", MINUTE, true, NULL },
		{ "no JSON", MINUTE, true, NULL },
		{ NULL, MINUTE, true, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
		CLEANUP_FREE char *facts = hosts[i].facts ? strdup(hosts[i].facts) : NULL;
		const struct db_host host = { .facts = facts, .service.is_up = hosts[i].is_up };
		json_t *uptime = view_uptime(&host, hosts[i].now_us);

		if (hosts[i].uptime ? !text_equal(json_string_value(uptime), hosts[i].uptime) : !json_is_null(uptime))
			fail_msg("%s: %s", hosts[i].facts, json_string_value(uptime));
		json_decref(uptime);
	}
}

/* -1 is the setting of all hosts, which the caller has added already. */
static void what_a_host_keeps_for_itself_counts_as_used(void **state)
{
	const struct db_host_usage usage = { .memory_mb = 100, .disk_gb = 10 };
	static const struct {
		int64_t reserved, memory_used, disk_used;
	} rows[] = { { -1, 100, 10 }, { 0, 100, 10 }, { 1, 101, 11 }, { 500, 600, 510 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct db_host host = { .memory_mb = 1000,
					      .disk_gb = 1000,
					      .reserved_memory_mb = rows[i].reserved,
					      .reserved_disk_gb = rows[i].reserved };
		json_t *document = view_hypervisor(&host, &usage, 1, true, 0);

		assert_int_equal(json_integer_value(json_object_get(document, "memory_mb_used")), rows[i].memory_used);
		assert_int_equal(json_integer_value(json_object_get(document, "free_ram_mb")),
				 1000 - rows[i].memory_used);
		assert_int_equal(json_integer_value(json_object_get(document, "local_gb_used")), rows[i].disk_used);
		assert_int_equal(json_integer_value(json_object_get(document, "free_disk_gb")),
				 1000 - rows[i].disk_used);
		expect_text(document, "cpu_info", "", "a host that does not tell");
		json_decref(document);
	}
}

static void a_flavor_without_swap_shows_it_as_an_empty_text_before_2_75(void **state)
{
	static const struct {
		int64_t swap_mb;
		int minor;
		bool is_text;
	} rows[] = { { 0, 74, true }, { 0, 75, false }, { 1, 74, false }, { 1, 75, false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct db_flavor flavor = { .swap_mb = rows[i].swap_mb };
		json_t *document = view_flavor(&flavor, rows[i].minor, &base, true, true);
		const json_t *swap = json_object_get(document, "swap");

		assert_int_equal(json_is_string(swap), rows[i].is_text);
		assert_int_equal(json_is_integer(swap), !rows[i].is_text);
		assert_int_equal(json_integer_value(swap), rows[i].swap_mb);
		json_decref(document);
	}
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_fault_is_shown_of_servers_in_error_and_of_deleted_ones_alone),
		TEST(a_faults_details_are_shown_to_admins_and_where_it_is_not_of_the_service),
		TEST(a_fault_without_words_has_empty_ones),
		TEST(progress_is_shown_of_servers_that_run_or_are_being_changed),
		TEST(a_servers_host_status_tells_whether_its_host_serves),
		TEST(a_bare_server_is_shown_with_empty_values),
		TEST(stored_json_of_a_wrong_kind_counts_as_none),
		TEST(a_server_on_a_host_is_in_nova_where_no_zone_is_set),
		TEST(a_host_id_is_the_same_for_one_project_and_host_and_for_no_others),
		TEST(only_a_live_migration_under_way_has_links),
		TEST(hosts_of_migrations_are_for_those_who_may_see_them),
		TEST(progress_of_a_migration_is_null_until_libvirt_tells_it),
		TEST(uptime_is_told_by_hosts_that_are_up_and_know_when_they_booted),
		TEST(what_a_host_keeps_for_itself_counts_as_used),
		TEST(a_flavor_without_swap_shows_it_as_an_empty_text_before_2_75),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
