/* The table of recovery: each combination leads to the action that is written out here, each row is reached, the rules above
 * all rows hold in every combination, and what libvirt was seen to show after each fault leads to the right action. */
#include "server/worker/recover_table.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What is expected, written out: a line for what the source shows, a letter in it for what the target shows, both in the order
 * of enum side_view: unreachable, absent, off, alive, moving, handed over, post-copy, broken, busy. */
static const char letters[RECOVER_MAX] = {
	[RECOVER_WAIT] = 'w',           [RECOVER_WAIT_BOUNDED] = 'b',
	[RECOVER_BEGIN] = 'B',          [RECOVER_FOLLOW] = 'f',
	[RECOVER_FINISH] = 'F',         [RECOVER_ROLL_BACK] = 'R',
	[RECOVER_RESUME_SOURCE] = 'S',  [RECOVER_RESUME_POSTCOPY] = 'P',
	[RECOVER_RESTORE_SOURCE] = 'D', /* its definition */
	[RECOVER_RETURN] = 'r',         [RECOVER_FORGET] = 'x',
	[RECOVER_GIVE_UP] = 'G',        [RECOVER_KEEP_HANDS_OFF] = 'H',
};

enum { LIVE_PHASES = 8, COLD_PHASES = 12 };

struct expectation {
	enum job_kind kind;
	const char *phases[4];
	const char *lines[SIDE_MAX];
};

/* clang-format off */
static const struct expectation expectations[] = {
	{ JOB_LIVE, { "choosing", "checking", "queued" }, {
		[SIDE_UNREACHABLE] = "wwwwwwwww",
		[SIDE_ABSENT]      = "wBGFbGwHw",
		[SIDE_OFF]         = "wBRFbRwHw",
		[SIDE_ALIVE]       = "wBRHRRHHw",
		[SIDE_MOVING]      = "wffffffHw",
		[SIDE_HANDED_OVER] = "wSHFfHfHw",
		[SIDE_POSTCOPY]    = "wfffffffw",
		[SIDE_BROKEN]      = "wHHFHHPPw",
		[SIDE_BUSY]        = "wwwwwwwww",
	} },
	{ JOB_LIVE, { "preparing" }, {
		[SIDE_UNREACHABLE] = "wwwwwwwww",
		[SIDE_ABSENT]      = "wGGFbGwHw",
		[SIDE_OFF]         = "wRRFbRwHw",
		[SIDE_ALIVE]       = "wRRHRRHHw",
		[SIDE_MOVING]      = "wffffffHw",
		[SIDE_HANDED_OVER] = "wSHFfHfHw",
		[SIDE_POSTCOPY]    = "wfffffffw",
		[SIDE_BROKEN]      = "wHHFHHPPw",
		[SIDE_BUSY]        = "wwwwwwwww",
	} },
	{ JOB_LIVE, { "moving" }, {
		[SIDE_UNREACHABLE] = "wwwFwwwww",
		[SIDE_ABSENT]      = "wGFFbGwHw",
		[SIDE_OFF]         = "wRFFbRwHw",
		[SIDE_ALIVE]       = "wRRHRRHHw",
		[SIDE_MOVING]      = "wffffffHw",
		[SIDE_HANDED_OVER] = "wSFFfHfHw",
		[SIDE_POSTCOPY]    = "wfffffffw",
		[SIDE_BROKEN]      = "wHHFHHPPw",
		[SIDE_BUSY]        = "wwwwwwwww",
	} },
	{ JOB_LIVE, { "restoring", "finishing", "done" }, {
		[SIDE_UNREACHABLE] = "wwwwwwwww",
		[SIDE_ABSENT]      = "wGFFbGwHw",
		[SIDE_OFF]         = "wRFFbRwHw",
		[SIDE_ALIVE]       = "wRRHRRHHw",
		[SIDE_MOVING]      = "wffffffHw",
		[SIDE_HANDED_OVER] = "wSFFfHfHw",
		[SIDE_POSTCOPY]    = "wfffffffw",
		[SIDE_BROKEN]      = "wHHFHHPPw",
		[SIDE_BUSY]        = "wwwwwwwww",
	} },
	{ JOB_COLD, { "choosing", "checking", "queued" }, {
		[SIDE_UNREACHABLE] = "wwwwwwwww",
		[SIDE_ABSENT]      = "wBxFHHHHw",
		[SIDE_OFF]         = "wBBFHHHHw",
		[SIDE_ALIVE]       = "wBRHHHHHw",
		[SIDE_MOVING]      = "wHHHHHHHw",
		[SIDE_HANDED_OVER] = "wHHHHHHHw",
		[SIDE_POSTCOPY]    = "wHHHHHHHw",
		[SIDE_BROKEN]      = "wHHHHHHHw",
		[SIDE_BUSY]        = "wwwwwwwww",
	} },
	{ JOB_COLD, { "stopping" }, {
		[SIDE_UNREACHABLE] = "wwwwwwwww",
		[SIDE_ABSENT]      = "wxxFHHHHw",
		[SIDE_OFF]         = "rBBFHHHHr",
		[SIDE_ALIVE]       = "rBRHHHHHr",
		[SIDE_MOVING]      = "wHHHHHHHw",
		[SIDE_HANDED_OVER] = "wHHHHHHHw",
		[SIDE_POSTCOPY]    = "wHHHHHHHw",
		[SIDE_BROKEN]      = "wHHHHHHHw",
		[SIDE_BUSY]        = "wwwwwwwww",
	} },
	{ JOB_COLD, { "copying" }, {
		[SIDE_UNREACHABLE] = "wwwwwwwww",
		[SIDE_ABSENT]      = "wxxFHHHHw",
		[SIDE_OFF]         = "rBBFHHHHr",
		[SIDE_ALIVE]       = "rRRHHHHHr",
		[SIDE_MOVING]      = "wHHHHHHHw",
		[SIDE_HANDED_OVER] = "wHHHHHHHw",
		[SIDE_POSTCOPY]    = "wHHHHHHHw",
		[SIDE_BROKEN]      = "wHHHHHHHw",
		[SIDE_BUSY]        = "wwwwwwwww",
	} },
	{ JOB_COLD, { "returning" }, {
		[SIDE_UNREACHABLE] = "wwwwwwwww",
		[SIDE_ABSENT]      = "wxxFHHHHw",
		[SIDE_OFF]         = "rrrFHHHHr",
		[SIDE_ALIVE]       = "rrrHHHHHr",
		[SIDE_MOVING]      = "wHHHHHHHw",
		[SIDE_HANDED_OVER] = "wHHHHHHHw",
		[SIDE_POSTCOPY]    = "wHHHHHHHw",
		[SIDE_BROKEN]      = "wHHHHHHHw",
		[SIDE_BUSY]        = "wwwwwwwww",
	} },
	{ JOB_COLD, { "defining" }, {
		[SIDE_UNREACHABLE] = "wwwwwwwww",
		[SIDE_ABSENT]      = "wxxFHHHHw",
		[SIDE_OFF]         = "wBBFHHHHw",
		[SIDE_ALIVE]       = "wRRHHHHHw",
		[SIDE_MOVING]      = "wHHHHHHHw",
		[SIDE_HANDED_OVER] = "wHHHHHHHw",
		[SIDE_POSTCOPY]    = "wHHHHHHHw",
		[SIDE_BROKEN]      = "wHHHHHHHw",
		[SIDE_BUSY]        = "wwwwwwwww",
	} },
	{ JOB_COLD, { "undefining", "starting" }, {
		[SIDE_UNREACHABLE] = "wwwwwwwww",
		[SIDE_ABSENT]      = "wDBFHHHHw",
		[SIDE_OFF]         = "wBBFHHHHw",
		[SIDE_ALIVE]       = "wRRHHHHHw",
		[SIDE_MOVING]      = "wHHHHHHHw",
		[SIDE_HANDED_OVER] = "wHHHHHHHw",
		[SIDE_POSTCOPY]    = "wHHHHHHHw",
		[SIDE_BROKEN]      = "wHHHHHHHw",
		[SIDE_BUSY]        = "wwwwwwwww",
	} },
	{ JOB_COLD, { "restoring" }, {
		[SIDE_UNREACHABLE] = "wwwwwwwww",
		[SIDE_ABSENT]      = "wDDFHHHHw",
		[SIDE_OFF]         = "wDDFHHHHw",
		[SIDE_ALIVE]       = "wRRHHHHHw",
		[SIDE_MOVING]      = "wHHHHHHHw",
		[SIDE_HANDED_OVER] = "wHHHHHHHw",
		[SIDE_POSTCOPY]    = "wHHHHHHHw",
		[SIDE_BROKEN]      = "wHHHHHHHw",
		[SIDE_BUSY]        = "wwwwwwwww",
	} },
	{ JOB_COLD, { "finishing", "done" }, {
		[SIDE_UNREACHABLE] = "wwwwwwwww",
		[SIDE_ABSENT]      = "wGFFHHHHw",
		[SIDE_OFF]         = "wGFFHHHHw",
		[SIDE_ALIVE]       = "wRRHHHHHw",
		[SIDE_MOVING]      = "wHHHHHHHw",
		[SIDE_HANDED_OVER] = "wHHHHHHHw",
		[SIDE_POSTCOPY]    = "wHHHHHHHw",
		[SIDE_BROKEN]      = "wHHHHHHHw",
		[SIDE_BUSY]        = "wwwwwwwww",
	} },
};
/* clang-format on */

static const struct expectation *expectation_of(enum job_kind kind, const char *phase)
{
	for (size_t i = 0; i < ARRAY_LENGTH(expectations); i++)
		for (size_t j = 0; j < ARRAY_LENGTH(expectations[i].phases) && expectations[i].phases[j]; j++)
			if (expectations[i].kind == kind && text_equal(expectations[i].phases[j], phase))
				return &expectations[i];
	fail_msg("nothing is written out for phase %s", phase);
	return NULL;
}

static void compare(enum job_kind kind, const struct phase *phase, unsigned int source, unsigned int target,
		    void *context)
{
	const char *line = expectation_of(kind, phase->name)->lines[source];
	enum recover_action action = recover_decide(kind, phase->name, (enum side_view)source, (enum side_view)target);

	assert_int_equal(strlen(line), SIDE_MAX);
	if (line[target] != letters[action])
		fail_msg("%s, %s: the source %s, the target %s: it does %s (%c), not %c",
			 kind == JOB_LIVE ? "live" : "cold", phase->name, side_view_name((enum side_view)source),
			 side_view_name((enum side_view)target), recover_action_name(action), letters[action],
			 line[target]);
	++*(size_t *)context;
}

/* Index of the first row that matches, as the table promises; SIZE_MAX: none. */
static size_t row_of(enum job_kind kind, const struct phase *phase, unsigned int source, unsigned int target)
{
	size_t count = 0;
	const struct recover_row *rows = recover_rows(&count);

	for (size_t i = 0; i < count; i++)
		if (rows[i].kind == kind && (rows[i].sources & 1U << source) && (rows[i].targets & 1U << target)
		    && phase >= phase_by_name(kind, rows[i].first_phase)
		    && phase <= phase_by_name(kind, rows[i].last_phase))
			return i;
	return SIZE_MAX;
}

static void for_each(void (*check)(enum job_kind kind, const struct phase *phase, unsigned int source,
				   unsigned int target, void *context),
		     void *context)
{
	for (int kind = JOB_LIVE; kind <= JOB_COLD; kind++) {
		size_t count = 0;
		const struct phase *phases = phases_of((enum job_kind)kind, &count);

		for (size_t i = 0; i < count; i++)
			for (unsigned int source = 0; source < SIDE_MAX; source++)
				for (unsigned int target = 0; target < SIDE_MAX; target++)
					check((enum job_kind)kind, &phases[i], source, target, context);
	}
}

static void mark_row(enum job_kind kind, const struct phase *phase, unsigned int source, unsigned int target,
		     void *context)
{
	bool *is_reached = context;
	size_t row = row_of(kind, phase, source, target);

	if (row == SIZE_MAX)
		fail_msg("no row for phase %s, source %s, target %s", phase->name,
			 side_view_name((enum side_view)source), side_view_name((enum side_view)target));
	is_reached[row] = true;
}

static void test_every_combination_leads_to_what_is_written_out(void **state)
{
	size_t compared = 0;

	(void)state;
	for_each(compare, &compared);
	assert_int_equal(compared, (LIVE_PHASES + COLD_PHASES) * SIDE_MAX * SIDE_MAX);
}

static void test_a_phase_that_nobody_knows_is_for_a_person(void **state)
{
	(void)state;
	for (unsigned int source = 0; source < SIDE_MAX; source++)
		for (unsigned int target = 0; target < SIDE_MAX; target++)
			assert_int_equal(recover_decide(JOB_LIVE, "of another version", (enum side_view)source,
							(enum side_view)target),
					 RECOVER_KEEP_HANDS_OFF);
}

static void test_every_combination_has_a_row_and_every_row_is_reached(void **state)
{
	bool is_reached[128] = { false };
	size_t count = 0;

	(void)state;
	recover_rows(&count);
	assert_true(count <= ARRAY_LENGTH(is_reached));
	for_each(mark_row, is_reached);
	for (size_t i = 0; i < count; i++)
		if (!is_reached[i])
			fail_msg("row %zu is never reached", i);
}

static void check_rules(enum job_kind kind, const struct phase *phase, unsigned int source, unsigned int target,
			void *context)
{
	enum recover_action action = recover_decide(kind, phase->name, (enum side_view)source, (enum side_view)target);

	bool is_known =
		source != SIDE_UNREACHABLE && source != SIDE_BUSY && target != SIDE_UNREACHABLE && target != SIDE_BUSY;

	(void)context;
	/* Where the target has no definition yet, its word is not needed for a start on the source. */
	bool is_early = kind == JOB_COLD && phase >= phase_by_name(kind, "stopping")
			&& phase < phase_by_name(kind, "defining") && (source == SIDE_OFF || source == SIDE_ALIVE);
	/* Where it runs on the target libvirt has ended the source's half for good. */
	bool has_arrived = kind == JOB_LIVE && phase == phase_by_name(kind, "moving") && source == SIDE_UNREACHABLE
			   && target == SIDE_ALIVE;
	if (!is_known)
		assert_int_equal(action, is_early ? RECOVER_RETURN : has_arrived ? RECOVER_FINISH : RECOVER_WAIT);
	if (action == RECOVER_RETURN)
		assert_true(is_early && target != SIDE_ALIVE);
	/* The source's half is only woken when the target answered that nothing runs there. */
	if (action == RECOVER_RESUME_SOURCE || action == RECOVER_RESTORE_SOURCE)
		assert_true(target == SIDE_ABSENT || target == SIDE_OFF);
	/* Cleaning a side must never end a living guest. */
	if (action == RECOVER_FINISH)
		assert_true(source != SIDE_ALIVE && source != SIDE_MOVING && source != SIDE_POSTCOPY);
	if (action == RECOVER_ROLL_BACK)
		assert_true(target != SIDE_ALIVE && target != SIDE_POSTCOPY);
}

static void test_nothing_is_decided_in_doubt_and_no_living_guest_is_ended(void **state)
{
	(void)state;
	for_each(check_rules, NULL);
}

static void test_faults_seen_on_libvirt_lead_to_the_right_action(void **state)
{
	static const struct {
		const char *fault;
		enum side_view source;
		enum side_view target;
		enum recover_action action;
	} faults[] = {
		{ "our process killed, the move goes on", SIDE_MOVING, SIDE_MOVING, RECOVER_FOLLOW },
		{ "our process killed, the move ended", SIDE_ABSENT, SIDE_ALIVE, RECOVER_FINISH },
		{ "source libvirtd killed in the copy", SIDE_ALIVE, SIDE_ABSENT, RECOVER_ROLL_BACK },
		{ "source QEMU killed in the copy", SIDE_OFF, SIDE_ABSENT, RECOVER_ROLL_BACK },
		{ "moved and switched off there, source died", SIDE_OFF, SIDE_OFF, RECOVER_FINISH },
		{ "handed over and switched off there", SIDE_HANDED_OVER, SIDE_OFF, RECOVER_FINISH },
		{ "target's half is going down this moment", SIDE_ALIVE, SIDE_BUSY, RECOVER_WAIT },
		{ "a call upon the source has not ended", SIDE_BUSY, SIDE_ABSENT, RECOVER_WAIT },
		{ "went off in the copy, its call does not return", SIDE_OFF, SIDE_MOVING, RECOVER_WAIT_BOUNDED },
		{ "target stopped: its half stays", SIDE_ALIVE, SIDE_MOVING, RECOVER_ROLL_BACK },
		{ "source died when it had handed over", SIDE_UNREACHABLE, SIDE_ALIVE, RECOVER_FINISH },
		{ "source out of reach in the copy", SIDE_UNREACHABLE, SIDE_MOVING, RECOVER_WAIT },
		{ "target out of reach", SIDE_ALIVE, SIDE_UNREACHABLE, RECOVER_WAIT },
		{ "killed when handed over", SIDE_HANDED_OVER, SIDE_ALIVE, RECOVER_FINISH },
		{ "switch begun, target gave up", SIDE_HANDED_OVER, SIDE_ABSENT, RECOVER_RESUME_SOURCE },
		{ "dead on both sides", SIDE_ABSENT, SIDE_ABSENT, RECOVER_GIVE_UP },
		{ "post-copy broken", SIDE_BROKEN, SIDE_BROKEN, RECOVER_RESUME_POSTCOPY },
		{ "post-copy broken, target not aware", SIDE_BROKEN, SIDE_POSTCOPY, RECOVER_RESUME_POSTCOPY },
		{ "post-copy broken, source not aware", SIDE_POSTCOPY, SIDE_BROKEN, RECOVER_FOLLOW },
		{ "post-copy about to end", SIDE_ABSENT, SIDE_POSTCOPY, RECOVER_WAIT },
		{ "target QEMU killed in post-copy", SIDE_BROKEN, SIDE_ABSENT, RECOVER_KEEP_HANDS_OFF },
		{ "source QEMU killed in post-copy", SIDE_OFF, SIDE_BROKEN, RECOVER_KEEP_HANDS_OFF },
		{ "runs twice", SIDE_ALIVE, SIDE_ALIVE, RECOVER_KEEP_HANDS_OFF },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(faults); i++) {
		enum recover_action action = recover_decide(JOB_LIVE, "moving", faults[i].source, faults[i].target);

		if (action != faults[i].action)
			fail_msg("%s: %s, not %s", faults[i].fault, recover_action_name(action),
				 recover_action_name(faults[i].action));
	}
}

static void test_a_half_copied_disk_is_never_used(void **state)
{
	(void)state;
	/* Begun anew: what was copied is removed first. */
	assert_int_equal(recover_decide(JOB_COLD, "copying", SIDE_OFF, SIDE_ABSENT), RECOVER_BEGIN);
	assert_int_equal(recover_decide(JOB_COLD, "copying", SIDE_OFF, SIDE_OFF), RECOVER_BEGIN);
	assert_int_equal(recover_decide(JOB_COLD, "defining", SIDE_OFF, SIDE_ABSENT), RECOVER_BEGIN);
	assert_int_equal(recover_decide(JOB_COLD, "undefining", SIDE_ABSENT, SIDE_ABSENT), RECOVER_RESTORE_SOURCE);
}

static void test_a_guest_that_somebody_started_or_removed_in_a_cold_move_is_left_so(void **state)
{
	static const char *const phases[] = { "copying", "defining", "undefining" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(phases); i++)
		assert_int_equal(recover_decide(JOB_COLD, phases[i], SIDE_ALIVE, SIDE_OFF), RECOVER_ROLL_BACK);
	assert_int_equal(recover_decide(JOB_COLD, "copying", SIDE_ABSENT, SIDE_ABSENT), RECOVER_FORGET);
	assert_int_equal(recover_decide(JOB_COLD, "defining", SIDE_ABSENT, SIDE_OFF), RECOVER_FORGET);
}

static void test_a_source_that_was_being_brought_back_is_brought_back(void **state)
{
	(void)state;
	assert_int_equal(recover_decide(JOB_COLD, "restoring", SIDE_ABSENT, SIDE_OFF), RECOVER_RESTORE_SOURCE);
	assert_int_equal(recover_decide(JOB_COLD, "restoring", SIDE_OFF, SIDE_OFF), RECOVER_RESTORE_SOURCE);
	assert_int_equal(recover_decide(JOB_COLD, "returning", SIDE_OFF, SIDE_UNREACHABLE), RECOVER_RETURN);
	assert_int_equal(recover_decide(JOB_COLD, "returning", SIDE_OFF, SIDE_ABSENT), RECOVER_RETURN);
	/* With its definition there the target's word is needed. */
	assert_int_equal(recover_decide(JOB_COLD, "defining", SIDE_OFF, SIDE_UNREACHABLE), RECOVER_WAIT);
}

static void test_views_tell_what_is_not_known_from_an_absent_guest(void **state)
{
	struct guest_view view = { .state = GUEST_ABSENT };

	(void)state;
	assert_int_equal(side_view_of(0, &view), SIDE_ABSENT);
	assert_int_equal(side_view_of(-EHOSTUNREACH, &view), SIDE_UNREACHABLE);
	assert_int_equal(side_view_of(-EIO, &view), SIDE_UNREACHABLE);
	view = (struct guest_view){ .state = GUEST_RUNNING, .is_moving_out = true };
	assert_int_equal(side_view_of(0, &view), SIDE_MOVING);
	view = (struct guest_view){ .state = GUEST_STOPPING };
	assert_int_equal(side_view_of(0, &view), SIDE_BUSY);
	view = (struct guest_view){ .state = GUEST_SHUT_OFF, .is_busy = true };
	assert_int_equal(side_view_of(0, &view), SIDE_BUSY);
}

static void test_phases_go_back_only_while_no_host_was_touched_or_to_a_new_copy(void **state)
{
	(void)state;
	assert_true(phase_may_follow(JOB_LIVE, "", "choosing"));
	assert_true(phase_may_follow(JOB_LIVE, "checking", "preparing"));
	assert_true(phase_may_follow(JOB_LIVE, "moving", "moving"));
	assert_true(phase_may_follow(JOB_LIVE, "checking", "choosing"));
	assert_true(phase_may_follow(JOB_LIVE, "queued", "choosing"));
	assert_false(phase_may_follow(JOB_LIVE, "queued", "checking"));
	assert_false(phase_may_follow(JOB_LIVE, "moving", "checking"));
	assert_false(phase_may_follow(JOB_LIVE, "preparing", "choosing"));
	assert_false(phase_may_follow(JOB_LIVE, "finishing", "choosing"));
	assert_false(phase_may_follow(JOB_LIVE, "done", "choosing"));
	assert_false(phase_may_follow(JOB_LIVE, "moving", "stopping"));
	assert_true(phase_may_follow(JOB_COLD, "undefining", "copying"));
	assert_false(phase_may_follow(JOB_COLD, "undefining", "stopping"));
	assert_false(phase_may_follow(JOB_COLD, "finishing", "copying"));
}

/* The driver loops over the phases of each kind: every one that is not the end has a step. */
static void test_every_phase_but_the_last_has_a_step(void **state)
{
	(void)state;
	for (int kind = 0; kind < JOB_KIND_MAX; kind++) {
		size_t count = 0;
		const struct phase *phases = phases_of((enum job_kind)kind, &count);

		for (size_t i = 0; i + 1 < count; i++)
			assert_non_null(phases[i].step);
		assert_null(phases[count - 1].step);
		assert_string_equal(phases[count - 1].name, "done");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_combination_leads_to_what_is_written_out),
		cmocka_unit_test(test_a_phase_that_nobody_knows_is_for_a_person),
		cmocka_unit_test(test_every_combination_has_a_row_and_every_row_is_reached),
		cmocka_unit_test(test_nothing_is_decided_in_doubt_and_no_living_guest_is_ended),
		cmocka_unit_test(test_faults_seen_on_libvirt_lead_to_the_right_action),
		cmocka_unit_test(test_a_half_copied_disk_is_never_used),
		cmocka_unit_test(test_a_guest_that_somebody_started_or_removed_in_a_cold_move_is_left_so),
		cmocka_unit_test(test_a_source_that_was_being_brought_back_is_brought_back),
		cmocka_unit_test(test_views_tell_what_is_not_known_from_an_absent_guest),
		cmocka_unit_test(test_phases_go_back_only_while_no_host_was_touched_or_to_a_new_copy),
		cmocka_unit_test(test_every_phase_but_the_last_has_a_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
