/* A small fleet for the scheduler's tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "tests/unit/scheduler_fixture.h"

struct host_state fleet_host(int64_t id, const char *name)
{
	struct host_state state = HOST_STATE_DEFAULT;

	state.id = id;
	state.name = name;
	state.is_up = true;
	state.hypervisor_version = 7002000;
	state.vcpus_total = 4;
	state.memory_mb_total = 8192;
	state.disk_mb_total = 102400;
	return state;
}

void fleet_put(struct fleet *fleet, const struct host_state *state, const struct host_offers *facts)
{
	struct error error = { 0 };

	assert_int_equal(host_table_put(fleet->table, state, facts, &error), 0);
}

int fleet_setup(void **state)
{
	static const char *const names[] = { "compute-1", "compute-2", "compute-3" };
	struct fleet *fleet = calloc(1, sizeof(*fleet));

	assert_non_null(fleet);
	fleet->table = host_table_create();
	assert_non_null(fleet->table);
	for (int64_t i = 0; i < 3; i++) {
		struct host_state host = fleet_host(i + 1, names[i]);

		fleet_put(fleet, &host, NULL);
	}
	fleet->settings = scheduler_settings_default;
	fleet->request = SCHEDULE_REQUEST_DEFAULT;
	fleet->request.is_live = true;
	fleet->request.source_host_id = 1;
	fleet->request.source_hypervisor_version = 7002000;
	fleet->request.vcpus = 1;
	fleet->request.memory_mb = 512;
	fleet->request.disk_mb = 1024;
	*state = fleet;
	return 0;
}

int fleet_teardown(void **state)
{
	struct fleet *fleet = *state;

	schedule_result_clear(&fleet->result);
	host_table_destroy(fleet->table);
	free(fleet);
	return 0;
}

void fleet_choose(struct fleet *fleet)
{
	struct error error = { 0 };

	schedule_result_clear(&fleet->result);
	assert_int_equal(scheduler_select(fleet->table, &fleet->settings, &fleet->request, &fleet->result, &error), 0);
}

/* Chooses, and expects that host `id` is not among the choices for just this reason. */
void fleet_expect_refusal(struct fleet *fleet, int64_t id, const char *reason)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	fleet_choose(fleet);
	for (size_t i = 0; i < fleet->result.choice_count; i++)
		assert_int_not_equal(fleet->result.choices[i].host_id, id);
	for (size_t i = 0; i < fleet->result.verdict_count; i++)
		if (fleet->result.verdicts[i].host_id == id)
			schedule_explain_verdict(&fleet->request, &fleet->result.verdicts[i], NULL, &text);
	assert_string_equal(text.data, reason);
}

void fleet_expect_choice(struct fleet *fleet, int64_t id)
{
	fleet_choose(fleet);
	assert_true(fleet->result.choice_count > 0);
	assert_int_equal(fleet->result.choices[0].host_id, id);
}

struct name_list fleet_one_name(const char *const *name)
{
	return (struct name_list){ name, 1, .is_known = true };
}
