/* What becomes of a server whose guest is missed, once every host that is up was asked: each way that a decision can go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/jobs.h"
#include "db/statement.h"
#include "server/worker/missed.h"
#include "tests/unit/db_fixture.h"

#define NOTED 41

static const struct decision_case {
	const char *name;
	const char *rows; /* written before the miss was noted; NULL: none */
	struct {
		const char *kind;
		int host; /* of 1 to 3 */
	} chores[2];
	int home; /* of hosts 1 to 3 */
	int look_again_at; /* of them; 0: none */
	bool changes; /* the server, after the miss was noted */
	bool has_job;
	bool was_nobody_asked;
	bool is_missed_still, is_forgotten, is_there; /* the server */
} cases[] = {
	{ .name = "nobody has it", .is_forgotten = true },
	{ .name = "it is gone already", .rows = "DELETE FROM servers" },
	{ .name = "it is elsewhere", .rows = "UPDATE servers SET host_id = 2", .is_there = true, .home = 2 },
	{ .name = "a job has it", .has_job = true, .is_there = true, .home = 1 },
	{ .name = "its host could not be asked",
	  .was_nobody_asked = true,
	  .is_missed_still = true,
	  .is_there = true,
	  .home = 1 },
	{ .name = "no host that names it counts any more",
	  .rows = "UPDATE hosts SET is_gone = 1",
	  .was_nobody_asked = true,
	  .is_forgotten = true },
	{ .name = "its definition is to come",
	  .chores = { { DB_CHORE_GIVE_BACK_DEFINITION, 2 } },
	  .is_missed_still = true,
	  .is_there = true,
	  .home = 1 },
	{ .name = "it has changed since", .changes = true, .is_there = true, .home = 1, .look_again_at = 1 },
	{ .name = "what a move left is all that is left",
	  .chores = { { DB_CHORE_REMOVE_VOLUME, 2 }, { DB_CHORE_REMOVE_GUEST, 3 } },
	  .is_there = true,
	  .home = 3,
	  .look_again_at = 3 },
};

struct scene {
	struct db_fixture *fixture;
	int64_t hosts[3];
	char uuid[UUID_SIZE];
	struct missed missed;
};

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

static int lock_server(struct db_session *session, void *context, struct error *error)
{
	return db_server_set_lock(session, context, "owner", NULL, error);
}

static int insert_job(struct db_session *session, void *context, struct error *error)
{
	return db_job_insert(session, context, error);
}

static int insert_chore(struct db_session *session, void *context, struct error *error)
{
	return db_chore_insert(session, context, error);
}

static void put_rows(struct scene *scene, const struct decision_case *tried)
{
	struct db_job job = { .kind = "stop", .block_migration = "auto", .source_host_id = scene->hosts[0] };

	TEXT_COPY(job.server_uuid, scene->uuid);
	if (tried->has_job)
		db_fixture_write(scene->fixture, insert_job, &job);
	for (size_t i = 0; i < ARRAY_LENGTH(tried->chores) && tried->chores[i].kind; i++) {
		struct db_chore chore = { .host_id = scene->hosts[tried->chores[i].host - 1],
					  .other_host_id = scene->hosts[0] };

		TEXT_COPY(chore.kind, tried->chores[i].kind);
		TEXT_COPY(chore.server_uuid, scene->uuid);
		TEXT_COPY(chore.name, "disk");
		db_fixture_write(scene->fixture, insert_chore, &chore);
	}
	if (tried->rows)
		db_fixture_write(scene->fixture, run_sql, (void *)tried->rows);
}

static bool was_asked(void *context, int64_t host_id, int64_t noted)
{
	const struct decision_case *tried = context;

	(void)host_id;
	assert_int_equal(noted, NOTED);
	return !tried->was_nobody_asked;
}

static int decide(struct db_session *session, void *context, struct error *error)
{
	return missed_decide(session, context, error);
}

/* One miss among others, which stay. */
static void note_all(struct scene *scene)
{
	static const char *const others[] = { "00000000-0000-4000-8000-000000000001",
					      "77777777-0000-4000-8000-000000000001",
					      "ffffffff-ffff-4fff-bfff-ffffffffffff" };
	struct missed_guest guest = { .host_id = scene->hosts[0],
				      .noted = NOTED,
				      .change_number = db_change_number(scene->fixture->database) };
	bool is_new = false;

	TEXT_COPY(guest.uuid, scene->uuid);
	assert_int_equal(missed_note(&scene->missed, &guest, &is_new, NULL), 0);
	assert_true(is_new);
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		TEXT_COPY(guest.uuid, others[i]);
		assert_int_equal(missed_note(&scene->missed, &guest, &is_new, NULL), 0);
	}
	for (size_t i = 1; i < scene->missed.count; i++)
		assert_true(strcmp(scene->missed.guests[i - 1].uuid, scene->missed.guests[i].uuid) < 0);
}

static void check_server(const struct scene *scene, const struct decision_case *tried)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(scene->fixture);
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, scene->uuid, &server, NULL);

	assert_int_equal(result, tried->is_there ? 0 : -ENOENT);
	assert_int_equal(server.host_id, tried->home ? scene->hosts[tried->home - 1] : 0);
}

/* What is the guest now is not removed any more; the disk that another host has still is. */
static void check_chores(const struct scene *scene, const struct decision_case *tried)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(scene->fixture);
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };
	size_t left = 0;

	assert_int_equal(db_chore_all(session, &chores, NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(tried->chores); i++)
		left += tried->chores[i].kind && !text_equal(tried->chores[i].kind, DB_CHORE_REMOVE_GUEST);
	assert_int_equal(chores.count, left);
}

static void try_case(void **state, const struct decision_case *tried)
{
	struct scene scene = { .fixture = *state };
	struct missed_decision decision = {
		.missed = &scene.missed, .uuid = scene.uuid, .was_asked = was_asked, .context = (void *)tried
	};

	for (size_t i = 0; i < ARRAY_LENGTH(scene.hosts); i++) {
		char name[16];

		snprintf(name, sizeof(name), "host-%zu", i + 1);
		scene.hosts[i] = db_fixture_host(scene.fixture, name);
	}
	db_fixture_server(scene.fixture, "vm", scene.hosts[0], scene.uuid);
	put_rows(&scene, tried);
	note_all(&scene);
	if (tried->changes)
		db_fixture_write(scene.fixture, lock_server, scene.uuid);
	db_fixture_write(scene.fixture, decide, &decision);
	assert_int_equal(missed_find(&scene.missed, scene.uuid) != NULL, tried->is_missed_still);
	assert_int_equal(scene.missed.count, tried->is_missed_still ? 4 : 3);
	assert_non_null(missed_find(&scene.missed, "00000000-0000-4000-8000-000000000001"));
	assert_non_null(missed_find(&scene.missed, "77777777-0000-4000-8000-000000000001"));
	assert_non_null(missed_find(&scene.missed, "ffffffff-ffff-4fff-bfff-ffffffffffff"));
	assert_int_equal(decision.is_forgotten, tried->is_forgotten);
	assert_int_equal(decision.look_again_at, tried->look_again_at ? scene.hosts[tried->look_again_at - 1] : 0);
	check_server(&scene, tried);
	check_chores(&scene, tried);
	missed_clear(&scene.missed);
}

static void each_decision_goes_by_what_the_rows_say(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		print_message("%s\n", cases[i].name);
		try_case(state, &cases[i]);
		if (i + 1 == ARRAY_LENGTH(cases))
			break;
		db_fixture_teardown(state);
		db_fixture_setup(state);
	}
}

static void nothing_is_decided_of_a_guest_that_was_found_meanwhile(void **state)
{
	struct scene scene = { .fixture = *state };
	struct missed_decision decision = { .missed = &scene.missed, .uuid = scene.uuid };

	scene.hosts[0] = db_fixture_host(scene.fixture, "host-1");
	db_fixture_server(scene.fixture, "vm", scene.hosts[0], scene.uuid);
	db_fixture_write(scene.fixture, decide, &decision);
	assert_false(decision.is_forgotten);
	check_server(&scene, &(struct decision_case){ .is_there = true, .home = 1 });
}

static void a_miss_that_ends_leaves_the_others(void **state)
{
	struct scene scene = { .fixture = *state, .uuid = "33333333-0000-4000-8000-000000000001" };

	scene.hosts[0] = 1;
	note_all(&scene);
	while (scene.missed.count > 0) {
		char uuid[UUID_SIZE];
		size_t left = scene.missed.count - 1;

		TEXT_COPY(uuid, scene.missed.guests[scene.missed.count / 2].uuid);
		assert_true(missed_end(&scene.missed, uuid));
		assert_false(missed_end(&scene.missed, uuid));
		assert_int_equal(scene.missed.count, left);
		for (size_t i = 0; i < left; i++)
			assert_ptr_equal(missed_find(&scene.missed, scene.missed.guests[i].uuid),
					 &scene.missed.guests[i]);
	}
	missed_clear(&scene.missed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_decision_goes_by_what_the_rows_say),
		TEST(nothing_is_decided_of_a_guest_that_was_found_meanwhile),
		TEST(a_miss_that_ends_leaves_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
