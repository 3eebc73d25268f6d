/* What is shown at the end of each sort of job: of its server, its migration, its events with their reasons, and of what it held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/database.h"
#include "db/statement.h"
#include "tests/faults/scene.h"
#include "tests/faults/threads.h"

#define SETTLE_S 3600

/* A line each: the server's host, states and fault; its migrations; claims, saved definitions and chores; hosts' failures in turn;
 * then the events. */
static const char SHOWN[] =
	"SELECT (SELECT group_concat(host_id || ' ' || vm_state || ' ' || power_state || ' [' || COALESCE(task_state, "
	"'')"
	" || '] ' || error_cause || ' ' || fault_code || ' ' || replace(COALESCE(fault_message, ''), ?1, 'UUID') || "
	"COALESCE(' | ' || replace(fault_details, ?1, 'UUID'), '')) FROM "
	"servers)"
	" || x'0a' || COALESCE((SELECT group_concat(type || ' ' || source_compute || ' ' || COALESCE(dest_compute, '') "
	"|| ' '"
	" || status) FROM migrations), '')"
	" || x'0a' || (SELECT COALESCE(group_concat(host_id), '') FROM claims) || ' claimed, '"
	" || (SELECT COUNT(*) FROM kept_domains) || ' saved, ' || (SELECT COUNT(*) FROM chores) || ' chores, failures '"
	" || (SELECT group_concat(failed_migrations) FROM hosts)"
	" || (SELECT COALESCE(group_concat(x'0a' || event || ' ' || host || ' ' || COALESCE(result, '') ||"
	" CASE WHEN finish_us = 0 THEN ' OPEN' ELSE '' END || COALESCE(': ' || replace(details, ?1, 'UUID'), ''), ''), "
	"'')"
	"  FROM (SELECT * FROM instance_action_events ORDER BY id))";

#define LIVE_EVENTS                                                                                                    \
	"conductor_live_migrate_instance node Success: compute-2, the requested host\n"                                \
	"compute_check_can_live_migrate_destination compute-2 Success\n"                                               \
	"compute_check_can_live_migrate_source compute-1 Success\n"
#define COLD_EVENTS                                                                                                    \
	"conductor_migrate_server node Success\n"                                                                      \
	"cold_migrate node Success: compute-2, the requested host\n"                                                   \
	"compute_prep_resize compute-2 Success\n"                                                                      \
	"compute_resize_instance compute-1 Success\n"

static const struct end {
	struct scene_life life;
	const char *shown;
} ends[] = {
	{ { .name = "live", .kind = JOB_LIVE },
	  "2 active 1 []  0 \n"
	  "live-migration compute-1 compute-2 completed\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n" LIVE_EVENTS "compute_live_migration compute-1 Success\n"
	  "compute_pre_live_migration compute-2 Success\n"
	  "compute_post_live_migration_at_destination compute-2 Success: moved to compute-2; the guest stood still for "
	  "20 ms" },
	{ { "live that is refused by one host", JOB_LIVE, { { SCENE_TARGET, SIMULATED_CHECK_REFUSES } } },
	  "1 active 1 []  0 \n"
	  "live-migration compute-1  error\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n"
	  "conductor_live_migrate_instance node Error: No valid host was found. There are not enough hosts available. "
	  "compute-2: RetryFilter: host compute-2 cannot take server UUID (simulated)\n"
	  "compute_check_can_live_migrate_destination compute-2 Error: host compute-2 cannot take server UUID "
	  "(simulated)" },
	{ { "live that breaks", JOB_LIVE, { { SCENE_TARGET, SIMULATED_COPY_FAILS } } },
	  "1 active 1 []  0 \n"
	  "live-migration compute-1 compute-2 failed\n"
	  " claimed, 0 saved, 0 chores, failures 0,1,0\n" LIVE_EVENTS
	  "compute_live_migration compute-1 Error: the copy of server UUID to host compute-2 broke off (simulated)\n"
	  "compute_pre_live_migration compute-2 Success" },
	{ { "live that leaves a half", JOB_LIVE, { { SCENE_TARGET, SIMULATED_COPY_RAISES } } },
	  "1 active 1 []  0 \n"
	  "live-migration compute-1 compute-2 failed\n"
	  " claimed, 0 saved, 0 chores, failures 0,1,0\n" LIVE_EVENTS
	  "compute_live_migration compute-1 Error: the copy of server UUID to host compute-2 broke off (simulated)\n"
	  "compute_pre_live_migration compute-2 Success" },
	{ { "live that cannot be prepared", JOB_LIVE, { { SCENE_TARGET, SIMULATED_PREPARE_FAILS } } },
	  "1 active 1 []  0 \n"
	  "live-migration compute-1 compute-2 failed\n"
	  " claimed, 0 saved, 0 chores, failures 0,1,0\n" LIVE_EVENTS
	  "compute_live_migration compute-1 Error: host compute-2 could not prepare for server UUID (simulated)\n"
	  "compute_pre_live_migration compute-2 Error: host compute-2 could not prepare for server UUID (simulated)" },
	{ { .name = "cold", .kind = JOB_COLD },
	  "2 resized 1 []  0 \n"
	  "migration compute-1 compute-2 finished\n"
	  "1 claimed, 1 saved, 0 chores, failures 0,0,0\n" COLD_EVENTS "compute_finish_resize compute-2 Success" },
	{ { "cold that is refused by one host", JOB_COLD, { { SCENE_TARGET, SIMULATED_CHECK_REFUSES } } },
	  "1 active 1 []  0 \n"
	  "migration compute-1  error\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n"
	  "conductor_migrate_server node Error: No valid host was found. No valid host found for cold migrate "
	  "compute-2: RetryFilter: host compute-2 cannot take server UUID (simulated)\n"
	  "cold_migrate node Error: No valid host was found. No valid host found for cold migrate compute-2: "
	  "RetryFilter: host compute-2 cannot take server UUID (simulated)\n"
	  "compute_prep_resize compute-2 Error: host compute-2 cannot take server UUID (simulated)" },
	{ { "cold that breaks", JOB_COLD, { { SCENE_TARGET, SIMULATED_COPY_FAILS } } },
	  "1 active 1 []  0 \n"
	  "migration compute-1 compute-2 error\n"
	  " claimed, 0 saved, 0 chores, failures 0,1,0\n"
	  "conductor_migrate_server node Success\n"
	  "cold_migrate node Success: compute-2, the requested host\n"
	  "compute_prep_resize compute-2 Success\n"
	  "compute_resize_instance compute-1 Error: the copy of disks to host compute-2 broke off (simulated)" },
	{ { "cold that does not start", JOB_COLD, { { SCENE_TARGET, SIMULATED_START_FAILS } } },
	  "1 active 1 []  0 \n"
	  "migration compute-1 compute-2 error\n"
	  " claimed, 0 saved, 0 chores, failures 0,1,0\n" COLD_EVENTS
	  "compute_finish_resize compute-2 Error: server UUID did not start (simulated)" },
	{ { "cold that starts nowhere",
	    JOB_COLD,
	    { { SCENE_TARGET, SIMULATED_START_FAILS }, { SCENE_SOURCE, SIMULATED_START_FAILS } } },
	  "2 error 1 [] lost 500 server UUID did not start (simulated) | server UUID did not start (simulated). The "
	  "server could not be brought back: server UUID did not start (simulated)\n"
	  "migration compute-1 compute-2 error\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n" COLD_EVENTS
	  "compute_finish_resize compute-2 Error: server UUID did not start (simulated)" },
	{ { .name = "confirm", .kind = JOB_CONFIRM },
	  "2 active 1 []  0 \n"
	  "migration compute-1 compute-2 confirmed\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n" COLD_EVENTS "compute_finish_resize compute-2 Success\n"
	  "compute_confirm_resize compute-1 Success" },
	{ { .name = "revert", .kind = JOB_REVERT },
	  "1 active 1 []  0 \n"
	  "migration compute-1 compute-2 reverted\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n" COLD_EVENTS "compute_finish_resize compute-2 Success\n"
	  "compute_revert_resize compute-2 Success\n"
	  "compute_finish_revert_resize compute-1 Success" },
	{ { "revert that does not start", JOB_REVERT, { { SCENE_SOURCE, SIMULATED_START_FAILS } } },
	  "2 resized 1 []  0 \n"
	  "migration compute-1 compute-2 finished\n"
	  "1 claimed, 1 saved, 0 chores, failures 0,0,0\n" COLD_EVENTS "compute_finish_resize compute-2 Success\n"
	  "compute_revert_resize compute-2 Success\n"
	  "compute_finish_revert_resize compute-1 Error: server UUID did not start (simulated)" },
	{ { .name = "start", .kind = JOB_START },
	  "1 active 1 []  0 \n"
	  "\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n"
	  "compute_start_instance compute-1 Success" },
	{ { .name = "stop", .kind = JOB_STOP },
	  "1 stopped 4 []  0 \n"
	  "\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n"
	  "compute_stop_instance compute-1 Success" },
	{ { .name = "pause", .kind = JOB_PAUSE },
	  "1 paused 3 []  0 \n"
	  "\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n"
	  "compute_pause_instance compute-1 Success" },
	{ { .name = "unpause", .kind = JOB_UNPAUSE },
	  "1 active 1 []  0 \n"
	  "\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n"
	  "compute_unpause_instance compute-1 Success" },
	{ { .name = "suspend", .kind = JOB_SUSPEND },
	  "1 suspended 4 []  0 \n"
	  "\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n"
	  "compute_suspend_instance compute-1 Success" },
	{ { .name = "resume", .kind = JOB_RESUME },
	  "1 active 1 []  0 \n"
	  "\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n"
	  "compute_resume_instance compute-1 Success" },
	{ { .name = "reboot_soft", .kind = JOB_REBOOT_SOFT },
	  "1 active 1 []  0 \n"
	  "\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n"
	  "compute_reboot_instance compute-1 Success" },
	{ { .name = "reboot_hard", .kind = JOB_REBOOT_HARD },
	  "1 active 1 []  0 \n"
	  "\n"
	  " claimed, 0 saved, 0 chores, failures 0,0,0\n"
	  "compute_reboot_instance compute-1 Success" },
};

static struct scene scene;

static void read_shown(char *ret_text, size_t size)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_STATEMENT struct statement *statement = NULL;

	assert_int_equal(db_read_begin(scene.database, &session, NULL), 0);
	assert_int_equal(statement_begin(session, SHOWN, NULL, &statement, NULL), 0);
	statement_bind_name(statement, 1, scene.uuid, sizeof(scene.uuid));
	assert_int_equal(statement_step(statement, NULL), 1);
	text_copy(ret_text, size, statement_column_text(statement, 0));
}

static void each_sort_of_job_ends_with_all_of_it_told(void **state)
{
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
		char shown[4096], warnings[4096];

		scene_begin(&scene, NULL);
		scene_order(&scene, &ends[i].life);
		bool is_at_rest = scene_settle(&scene, SETTLE_S);
		read_shown(shown, sizeof(shown));
		scene_warnings(&scene, warnings, sizeof(warnings));
		scene_end(&scene);
		bool is_well =
			ends[i].life.scripts[0].host || !*warnings; /* what goes as it should is worth no warning */
		if (is_at_rest && is_well && text_equal(shown, ends[i].shown))
			continue;
		wrong++;
		print_error("%s", warnings);
		print_error("%s%s:\n%s\nand not:\n%s\n", ends[i].life.name, is_at_rest ? "" : " (it comes to no rest)",
			    shown, ends[i].shown);
	}
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_sort_of_job_ends_with_all_of_it_told),
	};

	threads_observe();
	return cmocka_run_group_tests_name("job_ends", tests, NULL, NULL);
}
