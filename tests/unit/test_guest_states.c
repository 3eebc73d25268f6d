/* What each state of a guest is in Nova's words and numbers, in ours, and to a move; Nova's numbers are nova.compute.power_state's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/worker/hypervisor.h"
#include "server/worker/recover_table.h"

static const struct state_case {
	enum guest_state state;
	const char *vm_state; /* NULL: it says nothing for good */
	int power_state;
	const char *name;
	enum side_view side;
} cases[] = {
	{ GUEST_ABSENT, NULL, 0, "absent", SIDE_ABSENT },
	{ GUEST_SHUT_OFF, "stopped", 4, "shut off", SIDE_OFF },
	{ GUEST_CRASHED, "stopped", 6, "crashed", SIDE_OFF },
	{ GUEST_RUNNING, "active", 1, "running", SIDE_ALIVE },
	{ GUEST_PAUSED, "paused", 3, "paused", SIDE_ALIVE },
	{ GUEST_SUSPENDED, "suspended", 7, "suspended", SIDE_ALIVE },
	{ GUEST_SAVED, "suspended", 4, "saved", SIDE_OFF },
	{ GUEST_ARRIVING, NULL, 0, "arriving", SIDE_MOVING },
	{ GUEST_HANDED_OVER, NULL, 0, "handed over", SIDE_HANDED_OVER },
	{ GUEST_POSTCOPY_SOURCE, NULL, 0, "in post-copy (source)", SIDE_POSTCOPY },
	{ GUEST_POSTCOPY_TARGET, NULL, 0, "in post-copy (target)", SIDE_POSTCOPY },
	{ GUEST_POSTCOPY_FAILED, NULL, 0, "broken in post-copy", SIDE_BROKEN },
	{ GUEST_STOPPING, NULL, 0, "stopping", SIDE_BUSY },
};

static void each_state_has_its_meaning(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_LENGTH(cases), GUEST_STATE_MAX);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const struct state_case *tried = &cases[i];
		const struct guest_view view = { .state = tried->state };

		assert_int_equal(tried->state, i);
		assert_true(text_equal(guest_state_vm_state(tried->state), tried->vm_state));
		assert_int_equal(guest_state_power_state(tried->state), tried->power_state);
		assert_string_equal(guest_state_name(tried->state), tried->name);
		if (side_view_of(0, &view) != tried->side)
			fail_msg("%s is %s to a move", tried->name, side_view_name(side_view_of(0, &view)));
	}
}

static void a_state_that_is_not_known_for_sure_is_no_state(void **state)
{
	const struct guest_view busy = { .state = GUEST_SHUT_OFF, .is_busy = true };
	const struct guest_view leaving = { .state = GUEST_RUNNING, .is_moving_out = true };
	const struct guest_view absent = { .state = GUEST_ABSENT };

	(void)state;
	assert_int_equal(side_view_of(0, &busy), SIDE_BUSY);
	assert_int_equal(side_view_of(0, &leaving), SIDE_MOVING);
	assert_int_equal(side_view_of(-1, &absent), SIDE_UNREACHABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_has_its_meaning),
		cmocka_unit_test(a_state_that_is_not_known_for_sure_is_no_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
