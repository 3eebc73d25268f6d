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
	const char *vm_state; /* NULL: it says nothing for good */
	const char *name;
	enum guest_state state;
	int power_state;
	enum side_view side;
} cases[] = {
	{ NULL, "absent", GUEST_ABSENT, 0, SIDE_ABSENT },
	{ "stopped", "shut off", GUEST_SHUT_OFF, 4, SIDE_OFF },
	{ "stopped", "crashed", GUEST_CRASHED, 6, SIDE_OFF },
	{ "active", "running", GUEST_RUNNING, 1, SIDE_ALIVE },
	{ "paused", "paused", GUEST_PAUSED, 3, SIDE_ALIVE },
	{ "suspended", "suspended", GUEST_SUSPENDED, 7, SIDE_ALIVE },
	{ "suspended", "saved", GUEST_SAVED, 4, SIDE_OFF },
	{ NULL, "arriving", GUEST_ARRIVING, 0, SIDE_MOVING },
	{ NULL, "handed over", GUEST_HANDED_OVER, 0, SIDE_HANDED_OVER },
	{ NULL, "in post-copy (source)", GUEST_POSTCOPY_SOURCE, 0, SIDE_POSTCOPY },
	{ NULL, "in post-copy (target)", GUEST_POSTCOPY_TARGET, 0, SIDE_POSTCOPY },
	{ NULL, "broken in post-copy", GUEST_POSTCOPY_FAILED, 0, SIDE_BROKEN },
	{ NULL, "stopping", GUEST_STOPPING, 0, SIDE_BUSY },
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
