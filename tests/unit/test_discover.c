/* What a reading of a host comes to in the database, guest by guest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "db_fixture.h"
#include "server/settings.h"
#include "server/worker/discover_guest.h"

#define UUID "11111111-0000-4000-8000-000000000001"

static const struct hypervisor_settings settings = { .default_project = "project-by-default",
						     .default_user = "user-by-default",
						     .reconcile_interval_s = 3600,
						     .reconnect_interval_s = 3600 };

struct showing {
	struct guest_facts guest;
	bool shows_nothing;
	struct discovered_host host;
};

static struct guest_facts guest_with(enum guest_state state)
{
	struct guest_facts guest = { .uuid = UUID,
				     .domain_name = (char *)(uintptr_t) "instance-0000002a",
				     .view = { .state = state, .is_persistent = true },
				     .memory_mb = 64,
				     .vcpus = 1,
				     .disk_bytes = 1,
				     .facts = (char *)(uintptr_t) "{}" };
	return guest;
}

static struct missed missed;

static int show_in_session(struct db_session *session, void *context, struct error *error)
{
	struct showing *showing = context;
	const struct guest_list none = { 0 };

	return showing->shows_nothing ? discover_missing(session, &none, &showing->host, error)
				      : discover_guest(session, &showing->guest, &showing->host, error);
}

/* A reading that begins now; what came of it is in the answer. */
static struct showing reading_of(struct db_fixture *fixture, int64_t host_id)
{
	int64_t number = db_change_number(fixture->database);

	return (struct showing){ .host = { .host_id = host_id,
					   .settings = &settings,
					   .missed = &missed,
					   .change_number = number,
					   .newest_reading = 1,
					   .newest_change = number } };
}

static void show(struct db_fixture *fixture, int64_t host_id, struct guest_facts guest)
{
	struct showing showing = reading_of(fixture, host_id);

	showing.guest = guest;
	db_fixture_write(fixture, show_in_session, &showing);
	left_jobs_clear(&showing.host.left_to);
}

static void show_nothing(struct db_fixture *fixture, int64_t host_id)
{
	struct showing showing = reading_of(fixture, host_id);

	showing.shows_nothing = true;
	db_fixture_write(fixture, show_in_session, &showing);
	left_jobs_clear(&showing.host.left_to);
}

static bool all_were_asked(void *context, int64_t host_id, int64_t noted)
{
	(void)context;
	(void)host_id;
	return noted == 1;
}

static int decide_in_session(struct db_session *session, void *context, struct error *error)
{
	return missed_decide(session, context, error);
}

static bool is_forgotten(struct db_fixture *fixture)
{
	struct missed_decision decision = { .missed = &missed, .uuid = UUID, .was_asked = all_were_asked };

	db_fixture_write(fixture, decide_in_session, &decision);
	return decision.is_forgotten;
}

static int read_server(struct db_fixture *fixture, struct db_server *ret_server)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);

	return db_server_by_uuid(session, UUID, ret_server, &fixture->error);
}

static void a_guest_without_metadata_belongs_to_the_configured_project(void **state)
{
	struct db_fixture *fixture = *state;
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	show(fixture, db_fixture_host(fixture, "compute-1"), guest_with(GUEST_RUNNING));
	OK(read_server(fixture, &server));
	assert_string_equal(server.project_id, "project-by-default");
	assert_string_equal(server.user_id, "user-by-default");
	assert_string_equal(server.name, "instance-0000002a");
	assert_string_equal(server.vm_state, "active");
	assert_int_equal(server.flavor.memory_mb, 64);
	assert_int_equal(server.flavor.disk_gb, 1);
	assert_string_equal(server.image_id, "");
}

static void a_state_changed_behind_our_back_is_taken_over(void **state)
{
	static const struct {
		enum guest_state shown;
		const char *vm_state;
		int power_state;
	} rows[] = { { GUEST_PAUSED, "paused", 3 }, { GUEST_SHUT_OFF, "stopped", 4 }, { GUEST_RUNNING, "active", 1 } };
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "compute-1");

	show(fixture, host, guest_with(GUEST_RUNNING));
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_DB_SERVER struct db_server server = { 0 };

		show(fixture, host, guest_with(rows[i].shown));
		OK(read_server(fixture, &server));
		assert_string_equal(server.vm_state, rows[i].vm_state);
		assert_int_equal(server.power_state, rows[i].power_state);
	}
}

static void a_guest_removed_behind_our_back_is_forgotten_and_known_again_when_it_returns(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1"), two = db_fixture_host(fixture, "compute-2");
	CLEANUP_DB_SERVER struct db_server before = { 0 };
	CLEANUP_DB_SERVER struct db_server gone = { 0 };
	CLEANUP_DB_SERVER struct db_server after = { 0 };

	show(fixture, one, guest_with(GUEST_RUNNING));
	OK(read_server(fixture, &before));
	show_nothing(fixture, one);
	assert_true(is_forgotten(fixture));
	assert_int_equal(read_server(fixture, &gone), -ENOENT);
	show(fixture, two, guest_with(GUEST_SHUT_OFF));
	OK(read_server(fixture, &after));
	assert_int_equal(after.id, before.id);
	assert_int_equal(after.created_us, before.created_us);
	assert_string_equal(after.host, "compute-2");
	assert_string_equal(after.vm_state, "stopped");
}

static void a_guest_that_is_missed_is_not_forgotten_by_the_reading_that_misses_it(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1");
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	show(fixture, one, guest_with(GUEST_RUNNING));
	show_nothing(fixture, one);
	show_nothing(fixture, one);
	OK(read_server(fixture, &server));
	assert_non_null(missed_find(&missed, UUID));
	show(fixture, one, guest_with(GUEST_RUNNING));
	assert_null(missed_find(&missed, UUID));
	assert_false(is_forgotten(fixture));
}

static void all_that_a_guests_metadata_tells_is_written(void **state)
{
#define TEXT(words) ((char *)(uintptr_t)(words))
	struct db_fixture *fixture = *state;
	struct guest_facts guest = guest_with(GUEST_PAUSED);
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	guest.name = TEXT("web");
	guest.flavor_name = TEXT("m1.small");
	guest.project_id = TEXT("project-of-its-own");
	guest.user_id = TEXT("user-of-its-own");
	guest.image_id = TEXT("image");
	guest.flavor_vcpus = 3;
	guest.flavor_memory_mb = 96;
	guest.flavor_disk_gb = 7;
	guest.flavor_ephemeral_gb = 5;
	guest.flavor_swap_mb = 1025;
	guest.created_us = FIXTURE_START_US - 1000000;
	guest.root_device = TEXT("vda");
	guest.facts = TEXT("{\"arch\": \"x86_64\"}");
	show(fixture, db_fixture_host(fixture, "compute-1"), guest);
	OK(read_server(fixture, &server));
	assert_string_equal(server.name, "web");
	assert_string_equal(server.hostname, "web");
	assert_string_equal(server.instance_name, "instance-0000002a");
	assert_string_equal(server.project_id, "project-of-its-own");
	assert_string_equal(server.user_id, "user-of-its-own");
	assert_string_equal(server.image_id, "image");
	assert_string_equal(server.vm_state, "paused");
	assert_int_equal(server.power_state, 3);
	assert_string_equal(server.root_device_name, "/dev/vda");
	assert_string_equal(server.availability_zone, "nova");
	assert_string_equal(server.facts, "{\"arch\": \"x86_64\"}");
	assert_int_equal(server.created_us, FIXTURE_START_US - 1000000);
	assert_string_equal(server.flavor.name, "m1.small");
	assert_string_equal(server.flavor.flavor_id, "m1.small");
	assert_int_equal(server.flavor.vcpus, 3);
	assert_int_equal(server.flavor.memory_mb, 96);
	assert_int_equal(server.flavor.disk_gb, 7);
	assert_int_equal(server.flavor.ephemeral_gb, 5);
	assert_int_equal(server.flavor.swap_mb, 1025);
}

static int set_vm_state(struct db_session *session, void *context, struct error *error)
{
	return db_server_set_state(session, UUID, context, NULL, error);
}

/* Only Nova's own requests, and their jobs, know of these. */
static void a_hosts_word_ends_no_state_that_it_knows_nothing_of(void **state)
{
	static const char *const kept[] = {
		"resized", "error", "rescued", "shelved", "shelved_offloaded", "soft-delete"
	};
	struct db_fixture *fixture = *state;
	int64_t host = db_fixture_host(fixture, "compute-1");

	show(fixture, host, guest_with(GUEST_RUNNING));
	for (size_t i = 0; i < ARRAY_LENGTH(kept); i++) {
		CLEANUP_DB_SERVER struct db_server off = { 0 };
		CLEANUP_DB_SERVER struct db_server on = { 0 };

		db_fixture_write(fixture, set_vm_state, (void *)kept[i]);
		show(fixture, host, guest_with(GUEST_SHUT_OFF));
		OK(read_server(fixture, &off));
		assert_string_equal(off.vm_state, kept[i]);
		assert_int_equal(off.power_state, 4);
		show(fixture, host, guest_with(GUEST_RUNNING));
		OK(read_server(fixture, &on));
		assert_string_equal(on.vm_state, kept[i]);
		assert_int_equal(on.power_state, 1);
	}
}

/* Somebody moves it by hand: neither host's word counts before that has ended. */
static void a_guest_that_is_on_its_way_is_there_and_says_nothing(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1"), two = db_fixture_host(fixture, "compute-2");
	struct guest_facts leaving = guest_with(GUEST_PAUSED), coming = guest_with(GUEST_RUNNING);
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	leaving.view.is_moving_out = true;
	coming.view.is_moving_in = true;
	show(fixture, one, guest_with(GUEST_RUNNING));
	show_nothing(fixture, one);
	show(fixture, two, coming);
	assert_null(missed_find(&missed, UUID));
	show_nothing(fixture, one);
	show(fixture, one, leaving);
	assert_null(missed_find(&missed, UUID));
	OK(read_server(fixture, &server));
	assert_string_equal(server.host, "compute-1");
	assert_string_equal(server.vm_state, "active");
}

static int insert_job(struct db_session *session, void *context, struct error *error)
{
	struct db_job *job = context;

	return db_job_insert(session, job, error);
}

/* Its host is read again when the job has ended, whatever the other guests showed. */
static void a_reading_that_left_one_guest_to_its_job_says_so_after_the_others_too(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1");
	struct db_job job = { .kind = "cold", .phase = "accepted", .server_uuid = UUID, .source_host_id = one };
	struct guest_facts other = guest_with(GUEST_RUNNING);

	other.uuid[0] = '2';
	show(fixture, one, guest_with(GUEST_RUNNING));
	job.migration_id = db_fixture_migration(fixture, UUID, "compute-1", "compute-2");
	db_fixture_write(fixture, insert_job, &job);
	struct showing showing = reading_of(fixture, one);
	showing.guest = guest_with(GUEST_SHUT_OFF);
	db_fixture_write(fixture, show_in_session, &showing);
	showing.guest = other;
	db_fixture_write(fixture, show_in_session, &showing);
	assert_int_equal(showing.host.left_to.count, 1);
	assert_int_equal(showing.host.left_to.ids[0], job.id);
	left_jobs_clear(&showing.host.left_to);
}

static void a_job_is_among_those_that_were_added_alone(void **state)
{
	static const int64_t ids[] = { 70, -3, 12, 9000000000, 1 };
	struct db_fixture *fixture = *state;
	struct left_jobs jobs = { 0 };

	assert_false(left_jobs_have(&jobs, 0));
	for (int64_t i = 100; i < 150; i++)
		OK(left_jobs_add(&jobs, 2 * i, &fixture->error));
	for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
		OK(left_jobs_add(&jobs, ids[i], &fixture->error));
	left_jobs_close(&jobs);
	for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
		assert_true(left_jobs_have(&jobs, ids[i]));
		assert_false(left_jobs_have(&jobs, ids[i] + 1));
	}
	for (int64_t i = 100; i < 150; i++)
		assert_true(left_jobs_have(&jobs, 2 * i) && !left_jobs_have(&jobs, 2 * i + 1));
	left_jobs_clear(&jobs);
	left_jobs_close(&jobs);
	assert_int_equal(jobs.count, 0);
}

static int place_in_session(struct db_session *session, void *context, struct error *error)
{
	return db_server_set_place(session, UUID, *(int64_t *)context, 1, error);
}

static void a_reading_that_is_older_than_the_row_changes_nothing(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1"), two = db_fixture_host(fixture, "compute-2");
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	show(fixture, one, guest_with(GUEST_RUNNING));
	struct showing of_source = reading_of(fixture, one), of_target = reading_of(fixture, two);
	db_fixture_write(fixture, place_in_session, &two);
	of_source.guest = guest_with(GUEST_RUNNING);
	db_fixture_write(fixture, show_in_session, &of_source);
	of_target.shows_nothing = true;
	db_fixture_write(fixture, show_in_session, &of_target);
	OK(read_server(fixture, &server));
	assert_string_equal(server.host, "compute-2");
	assert_null(missed_find(&missed, UUID));
	assert_true(of_source.host.is_outdated);
	assert_true(of_target.host.is_outdated);
}

static void a_reading_is_also_older_than_what_another_hosts_reading_wrote(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1"), two = db_fixture_host(fixture, "compute-2");
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	show(fixture, one, guest_with(GUEST_RUNNING));
	struct showing old = reading_of(fixture, one);
	show(fixture, two, guest_with(GUEST_RUNNING));
	old.guest = guest_with(GUEST_RUNNING);
	db_fixture_write(fixture, show_in_session, &old);
	OK(read_server(fixture, &server));
	assert_string_equal(server.host, "compute-2");
}

static void a_reading_that_shows_nothing_new_writes_nothing(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1");

	show(fixture, one, guest_with(GUEST_RUNNING));
	int64_t number = db_change_number(fixture->database);
	show(fixture, one, guest_with(GUEST_RUNNING));
	assert_int_equal(db_change_number(fixture->database), number);
}

static void of_a_silent_guest_only_the_state_is_taken_over(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1");
	struct guest_facts guest = guest_with(GUEST_RUNNING);
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	guest.facts = (char *)(uintptr_t) "{\"arch\": \"x86_64\"}";
	show(fixture, one, guest);
	guest.view.state = GUEST_PAUSED;
	guest.is_silent = true;
	guest.facts = (char *)(uintptr_t) "{\"arch\": \"unknown\"}";
	show(fixture, one, guest);
	OK(read_server(fixture, &server));
	assert_string_equal(server.vm_state, "paused");
	assert_string_equal(server.facts, "{\"arch\": \"x86_64\"}");
	db_server_clear(&server);
	guest = guest_with(GUEST_RUNNING);
	guest.facts = NULL;
	show(fixture, one, guest);
	OK(read_server(fixture, &server));
	assert_string_equal(server.vm_state, "active");
	assert_string_equal(server.facts, "{\"arch\": \"x86_64\"}");
}

static void a_state_that_says_nothing_shows_that_the_guest_is_there(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1"), two = db_fixture_host(fixture, "compute-2");
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	show(fixture, one, guest_with(GUEST_RUNNING));
	show(fixture, one, guest_with(GUEST_STOPPING));
	show_nothing(fixture, one);
	show(fixture, two, guest_with(GUEST_POSTCOPY_FAILED));
	assert_false(is_forgotten(fixture));
	OK(read_server(fixture, &server));
	assert_string_equal(server.host, "compute-1");
	assert_string_equal(server.vm_state, "active");
}

static void a_copy_that_is_off_does_not_take_a_server_from_the_host_where_it_lives(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1"), two = db_fixture_host(fixture, "compute-2");
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	show(fixture, one, guest_with(GUEST_RUNNING));
	show(fixture, two, guest_with(GUEST_SHUT_OFF));
	show(fixture, two, guest_with(GUEST_ARRIVING));
	OK(read_server(fixture, &server));
	assert_string_equal(server.host, "compute-1");
	assert_string_equal(server.vm_state, "active");
}

static void a_server_that_a_job_moves_is_left_to_the_job(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1"), two = db_fixture_host(fixture, "compute-2");
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	struct db_job job = { .kind = "cold", .phase = "accepted", .server_uuid = UUID, .source_host_id = one };

	show(fixture, one, guest_with(GUEST_RUNNING));
	job.migration_id = db_fixture_migration(fixture, UUID, "compute-1", "compute-2");
	db_fixture_write(fixture, insert_job, &job);
	show(fixture, one, guest_with(GUEST_SHUT_OFF));
	show(fixture, two, guest_with(GUEST_RUNNING));
	show_nothing(fixture, one);
	OK(read_server(fixture, &server));
	assert_string_equal(server.host, "compute-1");
	assert_string_equal(server.vm_state, "active");
}

static void a_copy_that_is_off_takes_a_server_that_is_missed_where_it_lived(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1"), two = db_fixture_host(fixture, "compute-2");
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	show(fixture, one, guest_with(GUEST_RUNNING));
	show_nothing(fixture, one);
	show(fixture, two, guest_with(GUEST_SHUT_OFF));
	OK(read_server(fixture, &server));
	assert_string_equal(server.host, "compute-2");
}

static int insert_chore(struct db_session *session, void *context, struct error *error)
{
	return db_chore_insert(session, context, error);
}

/* Another host may have it: what a move left waits for its removal, or for the search's end. */
static void what_a_move_left_finds_no_server_that_is_missed(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1"), two = db_fixture_host(fixture, "compute-2");
	struct db_chore chore = { .kind = DB_CHORE_REMOVE_GUEST, .server_uuid = UUID, .host_id = two };
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	show(fixture, one, guest_with(GUEST_RUNNING));
	db_fixture_write(fixture, insert_chore, &chore);
	show_nothing(fixture, one);
	show(fixture, two, guest_with(GUEST_SHUT_OFF));
	OK(read_server(fixture, &server));
	assert_string_equal(server.host, "compute-1");
	assert_non_null(missed_find(&missed, UUID));
}

static int leave_host(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return db_server_set_place(session, UUID, 0, 0, error);
}

/* Its host was given up: nobody else has it. */
static void a_copy_that_is_off_takes_a_server_that_is_on_no_host(void **state)
{
	struct db_fixture *fixture = *state;
	int64_t one = db_fixture_host(fixture, "compute-1"), two = db_fixture_host(fixture, "compute-2");
	CLEANUP_DB_SERVER struct db_server server = { 0 };

	show(fixture, one, guest_with(GUEST_RUNNING));
	db_fixture_write(fixture, leave_host, NULL);
	show(fixture, two, guest_with(GUEST_SHUT_OFF));
	OK(read_server(fixture, &server));
	assert_string_equal(server.host, "compute-2");
}

static int teardown(void **state)
{
	missed_clear(&missed);
	return db_fixture_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_copy_that_is_off_takes_a_server_that_is_missed_where_it_lived),
		TEST(a_copy_that_is_off_takes_a_server_that_is_on_no_host),
		TEST(what_a_move_left_finds_no_server_that_is_missed),
		TEST(a_guest_without_metadata_belongs_to_the_configured_project),
		TEST(a_state_changed_behind_our_back_is_taken_over),
		TEST(a_guest_that_is_missed_is_not_forgotten_by_the_reading_that_misses_it),
		TEST(a_guest_removed_behind_our_back_is_forgotten_and_known_again_when_it_returns),
		TEST(all_that_a_guests_metadata_tells_is_written),
		TEST(a_hosts_word_ends_no_state_that_it_knows_nothing_of),
		TEST(a_guest_that_is_on_its_way_is_there_and_says_nothing),
		TEST(a_job_is_among_those_that_were_added_alone),
		TEST(a_reading_that_left_one_guest_to_its_job_says_so_after_the_others_too),
		TEST(a_reading_that_is_older_than_the_row_changes_nothing),
		TEST(a_reading_is_also_older_than_what_another_hosts_reading_wrote),
		TEST(a_reading_that_shows_nothing_new_writes_nothing),
		TEST(of_a_silent_guest_only_the_state_is_taken_over),
		TEST(a_state_that_says_nothing_shows_that_the_guest_is_there),
		TEST(a_copy_that_is_off_does_not_take_a_server_from_the_host_where_it_lives),
		TEST(a_server_that_a_job_moves_is_left_to_the_job),
	};

	return cmocka_run_group_tests_name("discover", tests, NULL, NULL);
}
