/* What a caller is told of a row that is missing, is there already, or refers to one that is not there: its code and its words, which
 * name the row. */
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

#define SERVER  "5e0a6b8c-0000-4000-8000-000000000001"
#define NOBODY  "5e0a6b8c-0000-4000-8000-000000000009"
#define MISSING 99

#define CALL(name, type, cleanup, call)                                                                                \
	static int name(struct db_session *session, void *context, struct error *error)                                \
	{                                                                                                              \
		cleanup type row = { 0 };                                                                              \
		(void)context;                                                                                         \
		(void)row;                                                                                             \
		return (call);                                                                                         \
	}
#define NO_CLEANUP

/* A call and what it answers. */
struct answer {
	db_write_fn call;
	int code;
	const char *words; /* in the error's text */
};

static void check_answers(struct db_fixture *fixture, const struct answer *answers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct error error = { 0 };
		int result = db_write(fixture->database, answers[i].call, NULL, &error);

		if (result != -answers[i].code || error.code != answers[i].code
		    || !strstr(error.text, answers[i].words))
			fail_msg("not \"%s\": %d, %s", answers[i].words, result, error.text);
		if (text_ends_with(error.text, "; ")) /* advice of which there is none */
			fail_msg("%s", error.text);
	}
}

/* Missing rows. */
CALL(host_by_id, struct db_host, CLEANUP_DB_HOST, db_host_by_id(session, MISSING, &row, error))
CALL(host_by_name, struct db_host, CLEANUP_DB_HOST, db_host_by_name(session, "nobody", &row, error))
CALL(host_by_uuid, struct db_host, CLEANUP_DB_HOST, db_host_by_uuid(session, NOBODY, &row, error))
CALL(server_by_uuid, struct db_server, CLEANUP_DB_SERVER, db_server_by_uuid(session, NOBODY, &row, error))
CALL(migration_by_id, struct db_migration, NO_CLEANUP, db_migration_by_id(session, MISSING, &row, error))
CALL(migration_by_uuid, struct db_migration, NO_CLEANUP, db_migration_by_uuid(session, NOBODY, &row, error))
CALL(migration_by_status, struct db_migration, NO_CLEANUP,
     db_migration_by_server_and_status(session, NOBODY, "finished", &row, error))
CALL(job_by_id, struct db_job, CLEANUP_DB_JOB, db_job_by_id(session, MISSING, &row, error))
CALL(job_by_migration, struct db_job, CLEANUP_DB_JOB, db_job_by_migration(session, MISSING, &row, error))
CALL(unfinished_job, struct db_job, CLEANUP_DB_JOB, db_job_unfinished_of_server(session, NOBODY, &row, error))
CALL(action_by_request, struct db_action, CLEANUP_DB_ACTION,
     db_action_by_request(session, NOBODY, "req-9", &row, error))
CALL(kept_domain, struct db_kept_domain, CLEANUP_DB_KEPT_DOMAIN, db_kept_domain_by_server(session, NOBODY, &row, error))
CALL(kept_domain_of_migration, struct db_kept_domain, CLEANUP_DB_KEPT_DOMAIN,
     db_kept_domain_by_migration(session, MISSING, &row, error))
CALL(chore_by_id, struct db_chore, CLEANUP_DB_CHORE, db_chore_by_id(session, MISSING, &row, error))
CALL(servers_behind, struct db_server_list, CLEANUP_DB_SERVERS,
     db_server_find(session, &(struct db_server_filter){ .marker = NOBODY }, &row, error))
CALL(migrations_behind, struct db_migration_list, CLEANUP_DB_MIGRATIONS,
     db_migration_find(session, &(struct db_migration_filter){ .marker = NOBODY }, &row, error))
CALL(actions_behind, struct db_action_list, CLEANUP_DB_ACTIONS,
     db_action_find(session, &(struct db_action_filter){ .marker = "req-9" }, &row, error))
CALL(remove_host, struct db_host, NO_CLEANUP, db_host_remove(session, MISSING, error))
CALL(update_host, struct db_host, NO_CLEANUP, (row.id = MISSING, db_host_update(session, &row, error)))
CALL(update_service, struct db_service, NO_CLEANUP, (row.id = MISSING, db_service_update(session, &row, error)))
CALL(update_job, struct db_job, NO_CLEANUP, (row.id = MISSING, db_job_update(session, &row, error)))
CALL(give_host_up, int, NO_CLEANUP, db_host_set_gone(session, MISSING, true, error))
CALL(count_failures, int, NO_CLEANUP, db_host_set_failed_migrations(session, MISSING, 1, error))
CALL(set_state, int, NO_CLEANUP, db_server_set_state(session, NOBODY, "active", NULL, error))
CALL(set_status, int, NO_CLEANUP, db_migration_set_status(session, MISSING, "error", error))
CALL(set_verdict, int, NO_CLEANUP, db_job_set_verdict(session, MISSING, 202, NULL, NULL, error))
CALL(take_job, int, NO_CLEANUP, db_job_take(session, MISSING, "node", 5, error))
CALL(finish_action, int, NO_CLEANUP, db_action_finish(session, MISSING, NULL, error))
CALL(finish_event, int, NO_CLEANUP, db_event_finish(session, MISSING, "Success", NULL, NULL, error))
CALL(delete_kept_domain, int, NO_CLEANUP, db_kept_domain_delete(session, MISSING, error))
CALL(complete_volume, int, NO_CLEANUP, db_volume_set_complete(session, MISSING, error))
CALL(delete_volume, int, NO_CLEANUP, db_volume_delete(session, MISSING, error))
CALL(note_failure, int, NO_CLEANUP, db_chore_note_failure(session, MISSING, "why", error))
CALL(delete_chore, int, NO_CLEANUP, db_chore_delete(session, MISSING, error))

static void row_that_is_missing_is_named(void **state)
{
	static const struct answer answers[] = {
		{ host_by_id, ENOENT, "no host 99 in the database" },
		{ host_by_name, ENOENT, "no host nobody in the database" },
		{ host_by_uuid, ENOENT, "no host " NOBODY " in the database" },
		{ server_by_uuid, ENOENT, "no server " NOBODY " in the database" },
		{ migration_by_id, ENOENT, "no migration 99 in the database" },
		{ migration_by_uuid, ENOENT, "no migration " NOBODY " in the database" },
		{ migration_by_status, ENOENT, "server " NOBODY " has no migration finished" },
		{ job_by_id, ENOENT, "no job 99 in the database" },
		{ job_by_migration, ENOENT, "migration 99 has no job" },
		{ unfinished_job, ENOENT, "server " NOBODY " has no unfinished job" },
		{ action_by_request, ENOENT, "server " NOBODY " has no action req-9" },
		{ kept_domain, ENOENT, "no kept domain " NOBODY " in the database" },
		{ kept_domain_of_migration, ENOENT, "migration 99 has no kept domain" },
		{ chore_by_id, ENOENT, "no chore 99 in the database" },
		{ servers_behind, ENOENT, "marker " NOBODY " could not be found" },
		{ migrations_behind, ENOENT, "marker " NOBODY " could not be found" },
		{ actions_behind, ENOENT, "no instance action req-9 in the database" },
		{ remove_host, ENOENT, "no host 99 in the database" },
		{ update_host, ENOENT, "updating host 99: no such host in the database" },
		{ update_service, ENOENT, "updating service 99: no such service in the database" },
		{ update_job, ENOENT, "updating job 99: no such job in the database" },
		{ give_host_up, ENOENT, "no host 99 in the database" },
		{ count_failures, ENOENT, "no such host in the database" },
		{ set_state, ENOENT, "server " NOBODY ": no such server in the database" },
		{ set_status, ENOENT, "no such migration in the database" },
		{ set_verdict, ENOENT, "no such job in the database" },
		{ take_job, ENOENT, "no job 99 in the database" },
		{ finish_action, ENOENT, "no instance action 99 in the database" },
		{ finish_event, ENOENT, "no event of an instance action 99 in the database" },
		{ delete_kept_domain, ENOENT, "no kept domain 99 in the database" },
		{ complete_volume, ENOENT, "no volume 99 in the database" },
		{ delete_volume, ENOENT, "no volume 99 in the database" },
		{ note_failure, ENOENT, "no such chore in the database" },
		{ delete_chore, ENOENT, "no chore 99 in the database" },
	};

	check_answers(*state, answers, ARRAY_LENGTH(answers));
}

/* Rows that are there already. */
CALL(insert_host, struct db_host, NO_CLEANUP, (TEXT_COPY(row.name, "one"), db_host_insert(session, &row, error)))
CALL(insert_host_with_another_service, struct db_host, NO_CLEANUP,
     (TEXT_COPY(row.name, "one"), TEXT_COPY(row.service.host, "two"), db_host_insert(session, &row, error)))
CALL(insert_service, struct db_service, NO_CLEANUP,
     (TEXT_COPY(row.host, "one"), TEXT_COPY(row.binary, "nova-compute"), db_service_insert(session, &row, error)))
CALL(insert_server, struct db_server, CLEANUP_DB_SERVER,
     (TEXT_COPY(row.uuid, SERVER), db_server_insert(session, &row, error)))
CALL(insert_job, struct db_job, NO_CLEANUP, (TEXT_COPY(row.server_uuid, SERVER), db_job_insert(session, &row, error)))
CALL(insert_volume, struct db_volume, NO_CLEANUP,
     (row.job_id = row.host_id = 1, TEXT_COPY(row.pool, "fast"), TEXT_COPY(row.name, "disk"),
      db_volume_insert(session, &row, error)))

static void row_that_is_there_already_is_named(void **state)
{
	static const db_write_fn inserts[] = { insert_host, insert_server, insert_job, insert_volume };
	static const struct answer answers[] = {
		{ insert_host, EEXIST,
		  "host one is registered already: service nova-compute of host one is there already" },
		{ insert_host_with_another_service, EEXIST, "host one is registered already: writing a host: " },
		{ insert_service, EEXIST, "service nova-compute of host one is there already" },
		{ insert_server, EEXIST, "server " SERVER " is there already: writing a server: " },
		{ insert_job, EEXIST, "server " SERVER " has an unfinished job: writing a job: " },
		{ insert_volume, EEXIST, "volume disk of pool fast: writing a volume: " },
	};
	struct db_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(inserts); i++)
		db_fixture_write(fixture, inserts[i], NULL);
	check_answers(fixture, answers, ARRAY_LENGTH(answers));
}

/* References that lead nowhere. */
CALL(server_nowhere, struct db_server, CLEANUP_DB_SERVER,
     (row.host_id = MISSING, TEXT_COPY(row.uuid, NOBODY), db_server_insert(session, &row, error)))
CALL(place_nowhere, int, NO_CLEANUP, db_server_set_place(session, SERVER, MISSING, 1, error))
CALL(job_of_no_migration, struct db_job, NO_CLEANUP,
     (row.migration_id = MISSING, TEXT_COPY(row.server_uuid, NOBODY), db_job_insert(session, &row, error)))
CALL(claim_nowhere, struct db_claim, NO_CLEANUP,
     (row.host_id = MISSING, row.migration_id = 1,
      db_claim_make(session, &row, &(struct db_claim_capacity){ -1, -1, -1 }, error)))
CALL(claim_of_no_migration, struct db_claim, NO_CLEANUP,
     (row.host_id = 1, row.migration_id = MISSING,
      db_claim_make(session, &row, &(struct db_claim_capacity){ -1, -1, -1 }, error)))
CALL(claim_made_over_to_nobody, int, NO_CLEANUP, db_claim_make_way(session, SERVER, 1, MISSING, error))
CALL(event_of_no_action, struct db_event, NO_CLEANUP, (row.action_id = MISSING, db_event_insert(session, &row, error)))
CALL(volume_of_no_job, struct db_volume, NO_CLEANUP,
     (row.job_id = MISSING, row.host_id = 1, db_volume_insert(session, &row, error)))
CALL(volume_nowhere, struct db_volume, NO_CLEANUP,
     (row.job_id = 1, row.host_id = MISSING, db_volume_insert(session, &row, error)))
CALL(kept_domain_of_nobody, struct db_kept_domain, NO_CLEANUP,
     (row.host_id = MISSING, db_kept_domain_insert(session, &row, error)))
CALL(kept_domain_moved_nowhere, int, NO_CLEANUP, db_kept_domain_move(session, 1, MISSING, error))
CALL(chore_nowhere, struct db_chore, NO_CLEANUP, (row.host_id = MISSING, db_chore_insert(session, &row, error)))

/* A server on host 1, its job and migration, a claim and a saved definition there. */
static int insert_what_refers(struct db_session *session, void *context, struct error *error)
{
	struct db_migration migration = { .status = "running" };
	struct db_claim claim = { .host_id = 1, .server_uuid = SERVER, .migration_id = 1 };
	struct db_kept_domain kept = { .host_id = 1, .server_uuid = SERVER, .migration_id = 1 };
	int result = insert_host(session, context, error);

	if (result == 0)
		result = insert_server(session, context, error);
	if (result == 0)
		result = insert_job(session, context, error);
	if (result == 0)
		result = db_migration_insert(session, &migration, error);
	if (result == 0)
		result = db_claim_make(session, &claim, &(struct db_claim_capacity){ -1, -1, -1 }, error);
	return result < 0 ? result : db_kept_domain_insert(session, &kept, error);
}

static void reference_that_leads_nowhere_is_refused_and_told_so(void **state)
{
#define DANGLING(call)                                                                                                 \
	{                                                                                                              \
		call, EINVAL, "FOREIGN KEY constraint failed; the row that it refers to is not there"                  \
	}
	static const struct answer answers[] = {
		DANGLING(server_nowhere),
		DANGLING(place_nowhere),
		DANGLING(job_of_no_migration),
		DANGLING(claim_nowhere),
		DANGLING(claim_of_no_migration),
		DANGLING(claim_made_over_to_nobody),
		DANGLING(event_of_no_action),
		DANGLING(volume_of_no_job),
		DANGLING(volume_nowhere),
		DANGLING(kept_domain_of_nobody),
		DANGLING(kept_domain_moved_nowhere),
		DANGLING(chore_nowhere),
	};
	struct db_fixture *fixture = *state;

	db_fixture_write(fixture, insert_what_refers, NULL);
	check_answers(fixture, answers, ARRAY_LENGTH(answers));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(row_that_is_missing_is_named),
		TEST(row_that_is_there_already_is_named),
		TEST(reference_that_leads_nowhere_is_refused_and_told_so),
	};

	return cmocka_run_group_tests_name("db_errors", tests, NULL, NULL);
}
