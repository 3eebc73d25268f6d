/* What each call upon the simulated fleet answers, and what it does to a guest: by the host's and the guest's state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/settings.h"
#include "tests/unit/simulated_fixture.h"

#define STRANGER   "aaaaaaaa-0000-4000-8000-00000000000f"
#define THIRD      "aaaaaaaa-0000-4000-8000-00000000000e"
#define DEFINITION "simulated guest " BENCH_GUEST " of 96 MiB"

/* Asks for something about a guest of the source, or about the source itself. */
typedef int (*call_function)(struct bench *bench, const char *uuid, struct error *error);

static int describe(struct bench *bench, const char *uuid, struct error *error)
{
	CLEANUP_HOST_FACTS struct host_facts facts = { 0 };

	(void)uuid;
	return bench->operations->describe(bench->source, &facts, error);
}

static int list(struct bench *bench, const char *uuid, struct error *error)
{
	CLEANUP_GUESTS struct guest_list guests = { 0 };

	(void)uuid;
	return bench->operations->list_guests(bench->source, &guests, error);
}

static int look(struct bench *bench, const char *uuid, struct error *error)
{
	struct guest_view view = { .state = GUEST_STATE_MAX };
	int result = bench->operations->look(bench->source, uuid, &view, error);

	assert_int_equal(view.state == GUEST_STATE_MAX, result < 0);
	return result;
}

static int check_live(struct bench *bench, const char *uuid, struct error *error)
{
	struct check_result check;

	return bench->operations->check_live(bench->source, bench->target, uuid, &(struct live_options){ 0 }, &check,
					     error);
}

static int check_cold(struct bench *bench, const char *uuid, struct error *error)
{
	struct check_result check;

	return bench->operations->check_cold(bench->source, bench->target, uuid, &check, error);
}

static int prepare(struct bench *bench, const char *uuid, struct error *error)
{
	return bench->operations->prepare_live(bench->source, bench->target, uuid, &(struct live_options){ 0 }, true,
					       NULL, error);
}

static int migrate(struct bench *bench, const char *uuid, struct error *error)
{
	return bench->operations->migrate_live(bench->source, bench->target, uuid, &(struct live_options){ 0 }, false,
					       error);
}

static int copy(struct bench *bench, const char *uuid, struct error *error)
{
	CLEANUP_FREE char *definition = NULL;

	(void)uuid;
	return bench->operations->copy_cold(bench->source, bench->target, DEFINITION, NULL, NULL, NULL, &definition,
					    error);
}

static int progress(struct bench *bench, const char *uuid, struct error *error)
{
	struct move_progress ignored;

	return bench->operations->progress(bench->source, uuid, &ignored, error);
}

static int completed(struct bench *bench, const char *uuid, struct error *error)
{
	struct move_progress ignored;

	return bench->operations->completed(bench->source, uuid, &ignored, error);
}

static int adjust(struct bench *bench, const char *uuid, struct error *error)
{
	return bench->operations->adjust(bench->source, uuid, MOVE_ABORT, 0, error);
}

static int stop(struct bench *bench, const char *uuid, struct error *error)
{
	return bench->operations->stop_guest(bench->source, uuid, 0, error);
}

static int start(struct bench *bench, const char *uuid, struct error *error)
{
	return bench->operations->start_guest(bench->source, uuid, false, error);
}

static int start_paused(struct bench *bench, const char *uuid, struct error *error)
{
	return bench->operations->start_guest(bench->source, uuid, true, error);
}

static int pause_guest(struct bench *bench, const char *uuid, struct error *error)
{
	return bench->operations->pause_guest(bench->source, uuid, error);
}

static int save(struct bench *bench, const char *uuid, struct error *error)
{
	return bench->operations->save_guest(bench->source, uuid, error);
}

static int forget_saved(struct bench *bench, const char *uuid, struct error *error)
{
	return bench->operations->forget_saved(bench->source, uuid, error);
}

static int read_definition(struct bench *bench, const char *uuid, struct error *error)
{
	CLEANUP_FREE char *definition = NULL;
	bool has_autostart;

	return bench->operations->read_definition(bench->source, uuid, &definition, &has_autostart, error);
}

static int define(struct bench *bench, const char *uuid, struct error *error)
{
	(void)uuid;
	return bench->operations->define(bench->source, DEFINITION, false, error);
}

static int set_autostart(struct bench *bench, const char *uuid, struct error *error)
{
	return bench->operations->set_autostart(bench->source, uuid, true, error);
}

static int remove_off(struct bench *bench, const char *uuid, struct error *error)
{
	return bench->operations->remove_guest(bench->source, uuid, GUEST_SET_OFF, error);
}

static int verify(struct bench *bench, const char *uuid, struct error *error)
{
	(void)uuid;
	return bench->operations->verify_disks(bench->source, NULL, 0, error);
}

static int remove_volume(struct bench *bench, const char *uuid, struct error *error)
{
	const struct hypervisor_volume volume = { .pool = SIMULATED_POOL, .name = "none" };

	(void)uuid;
	return bench->operations->remove_volume(bench->source, &volume, error);
}

enum asked_host { SOURCE = 1, TARGET = 2 };

static const struct {
	const char *name;
	call_function call;
	int of_stranger; /* what is answered about a guest that is not there */
	unsigned int asks; /* hosts that must answer */
} calls[] = {
	{ "describe", describe, 0, SOURCE },
	{ "list_guests", list, 0, SOURCE },
	{ "look", look, 0, SOURCE },
	{ "check_live", check_live, -ENOENT, SOURCE | TARGET },
	{ "check_cold", check_cold, -ENOENT, SOURCE | TARGET },
	{ "prepare_live", prepare, 0, TARGET },
	{ "migrate_live", migrate, -ENOENT, SOURCE | TARGET },
	{ "copy_cold", copy, 0, TARGET },
	{ "progress", progress, -ENOENT, SOURCE },
	{ "completed", completed, -ENOENT, SOURCE },
	{ "adjust", adjust, -ENOENT, SOURCE },
	{ "stop_guest", stop, -ENOENT, SOURCE },
	{ "start_guest", start, -ENOENT, SOURCE },
	{ "pause_guest", pause_guest, -ENOENT, SOURCE },
	{ "save_guest", save, -ENOENT, SOURCE },
	{ "forget_saved", forget_saved, -ENOENT, SOURCE },
	{ "read_definition", read_definition, -ENOENT, SOURCE },
	{ "set_autostart", set_autostart, -ENOENT, SOURCE },
	{ "remove_guest", remove_off, 0, SOURCE },
	{ "verify_disks", verify, 0, SOURCE },
	{ "remove_volume", remove_volume, 0, SOURCE },
	{ "define", define, -ESTALE, SOURCE }, /* of the guest that is there, always */
};

static void expect_silence(struct bench *bench, const char *host, unsigned int bit)
{
	char text[64];

	snprintf(text, sizeof(text), "host %s does not answer (simulated)", host);
	for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
		struct error error = { 0 };

		if (!(calls[i].asks & bit))
			continue;
		if (calls[i].call(bench, BENCH_GUEST, &error) != -EHOSTUNREACH)
			fail_msg("%s: %s", calls[i].name, error.text);
		assert_string_equal(error.text, text);
	}
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
}

static void a_host_that_does_not_answer_is_told_by_every_call(void **state)
{
	struct bench *bench = *state;
	static const enum simulated_fault faults[][2] = {
		{ SIMULATED_OUR_LINK_BREAKS, SIMULATED_OUR_LINK_IS_BACK },
		{ SIMULATED_LIBVIRTD_DIES, SIMULATED_LIBVIRTD_STARTS },
	};
	static const struct {
		const char *name;
		unsigned int bit;
	} hosts[] = { { "one", SOURCE }, { "two", TARGET } };

	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
		assert_true(simulated_set_host_up(bench->fleet, hosts[i].name, false));
		expect_silence(bench, hosts[i].name, hosts[i].bit);
		assert_true(simulated_set_host_up(bench->fleet, hosts[i].name, true));
		for (size_t j = 0; j < ARRAY_LENGTH(faults); j++) {
			bench_inject(bench, faults[j][0], hosts[i].name);
			expect_silence(bench, hosts[i].name, hosts[i].bit);
			bench_inject(bench, faults[j][1], hosts[i].name);
		}
	}
	assert_int_equal(bench_migrate(bench), 0);
}

static void a_guest_that_is_not_there_is_told_by_every_call_about_one(void **state)
{
	struct bench *bench = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
		struct error error = { 0 };

		if (calls[i].call(bench, STRANGER, &error) != calls[i].of_stranger)
			fail_msg("%s: %s", calls[i].name, error.text);
		if (calls[i].of_stranger == -ENOENT)
			assert_string_equal(error.text, "host one has no guest " STRANGER);
	}
	assert_int_equal(simulated_state(bench->fleet, "one", STRANGER), GUEST_ABSENT);
	assert_int_equal(simulated_state(bench->fleet, "two", STRANGER), GUEST_ABSENT);
}

static int by_hand_power_off(struct bench *bench, const char *uuid, struct error *error)
{
	return simulated_by_hand_power_off(bench->fleet, "one", uuid, error);
}

static int by_hand_start(struct bench *bench, const char *uuid, struct error *error)
{
	return simulated_by_hand_start(bench->fleet, "one", uuid, error);
}

static int by_hand_suspend(struct bench *bench, const char *uuid, struct error *error)
{
	return simulated_by_hand_suspend(bench->fleet, "one", uuid, error);
}

static int kill_qemu(struct bench *bench, const char *uuid, struct error *error)
{
	return simulated_inject(bench->fleet, SIMULATED_QEMU_DIES,
				&(struct simulated_place){ .host = "one", .uuid = uuid }, error);
}

static int hang_qemu(struct bench *bench, const char *uuid, struct error *error)
{
	return simulated_inject(bench->fleet, SIMULATED_QEMU_HANGS,
				&(struct simulated_place){ .host = "one", .uuid = uuid }, error);
}

#define OFF   GUEST_SET_OFF
#define SAVED GUEST_SET(GUEST_SAVED)
#define AWAKE (GUEST_SET(GUEST_RUNNING) | GUEST_SET(GUEST_PAUSED))
#define ALIVE                                                                                                          \
	(AWAKE | GUEST_SET(GUEST_SUSPENDED) | GUEST_SET(GUEST_HANDED_OVER) | GUEST_SET(GUEST_POSTCOPY_SOURCE)          \
	 | GUEST_SET(GUEST_POSTCOPY_TARGET) | GUEST_SET(GUEST_POSTCOPY_FAILED) | GUEST_SET(GUEST_STOPPING))
#define ALL  (OFF | SAVED | ALIVE)
#define SAME GUEST_STATE_MAX

/* From each state that a guest with a definition may be in. */
static void each_call_takes_a_guest_from_the_states_that_allow_it(void **state)
{
	struct bench *bench = *state;
	static const struct {
		const char *name;
		call_function call;
		unsigned int from; /* states that it takes a guest from … */
		enum guest_state to; /* … into this one; SAME: it stays */
		unsigned int well; /* states that it leaves as they are, which is well, too */
		int refusal; /* what it answers in all others */
	} rows[] = {
		{ "stop", stop, OFF | ALIVE, GUEST_SHUT_OFF, SAVED, 0 },
		{ "start", start, ALL, GUEST_RUNNING, 0, 0 },
		{ "start paused", start_paused, ALL, GUEST_PAUSED, 0, 0 },
		{ "pause", pause_guest, AWAKE, GUEST_PAUSED, 0, -EINVAL },
		{ "save", save, AWAKE | SAVED, GUEST_SAVED, 0, -EINVAL },
		{ "forget saved", forget_saved, SAVED, GUEST_SHUT_OFF, ALL, 0 },
		{ "define", define, OFF, SAME, 0, -ESTALE },
		{ "remove", remove_off, OFF, GUEST_ABSENT, 0, -ESTALE },
		{ "power off by hand", by_hand_power_off, ALIVE, GUEST_SHUT_OFF, 0, -EINVAL },
		{ "start by hand", by_hand_start, OFF | SAVED | GUEST_SET(GUEST_PAUSED), GUEST_RUNNING, 0, -EINVAL },
		{ "suspend by hand", by_hand_suspend, GUEST_SET(GUEST_RUNNING), GUEST_PAUSED, 0, -EINVAL },
		{ "qemu dies", kill_qemu, ALIVE, GUEST_CRASHED, 0, -EINVAL },
		{ "qemu hangs", hang_qemu, ALIVE, SAME, 0, -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		for (enum guest_state from = 0; from < GUEST_STATE_MAX; from++) {
			struct error error = { 0 };

			if (!(GUEST_SET(from) & ALL))
				continue;
			assert_int_equal(simulated_put_guest(bench->fleet, "one", BENCH_GUEST, from, 64, NULL), 0);
			bool is_taken = GUEST_SET(from) & rows[i].from, is_well = GUEST_SET(from) & rows[i].well;
			int result = rows[i].call(bench, BENCH_GUEST, &error);
			enum guest_state after = simulated_state(bench->fleet, "one", BENCH_GUEST);

			if (result != (is_taken || is_well ? 0 : rows[i].refusal)
			    || after != (is_taken && rows[i].to != SAME ? rows[i].to : from))
				fail_msg("%s from %s to %s: %d, %s", rows[i].name, guest_state_name(from),
					 guest_state_name(after), result, error.text);
			assert_int_equal(result < 0, error.text[0] != '\0');
		}
}

static void a_refusal_says_what_the_guest_is(void **state)
{
	struct bench *bench = *state;
	struct error error = { 0 };

	assert_int_equal(remove_off(bench, BENCH_GUEST, &error), -ESTALE);
	assert_string_equal(error.text, "server " BENCH_GUEST " is running on host one");
	assert_int_equal(stop(bench, BENCH_GUEST, NULL), 0);
	assert_int_equal(save(bench, BENCH_GUEST, &error), -EINVAL);
	assert_string_equal(error.text, "host one: server " BENCH_GUEST " is shut off there (simulated)");
	assert_int_equal(by_hand_suspend(bench, BENCH_GUEST, &error), -EINVAL);
	assert_string_equal(error.text, "that cannot happen on host one as things are (simulated)");
	simulated_script(bench->fleet, "one", SIMULATED_START_FAILS, 1);
	assert_int_equal(start(bench, BENCH_GUEST, &error), -EIO);
	assert_string_equal(error.text, "server " BENCH_GUEST " did not start (simulated)");
	assert_true(simulated_set_words(bench->fleet, "one", "no memory left"));
	simulated_script(bench->fleet, "one", SIMULATED_START_FAILS, 1);
	assert_int_equal(start(bench, BENCH_GUEST, &error), -EIO);
	assert_string_equal(error.text, "no memory left");
	assert_int_equal(start(bench, BENCH_GUEST, NULL), 0); /* as often as it was ordered */
	assert_int_equal(adjust(bench, BENCH_GUEST, &error), -EINVAL);
	assert_string_equal(error.text, "server " BENCH_GUEST " is not moving");
	assert_int_equal(bench->operations->define(bench->target, "nonsense", false, &error), -EINVAL);
	assert_string_equal(error.text, "that is no definition of a simulated guest");
	assert_int_equal(bench->operations->copy_cold(bench->source, bench->target, "nonsense", NULL, NULL, NULL,
						      &(char *){ NULL }, &error),
			 -EINVAL);
}

/* Undefined while it runs, as libvirt allows. */
static void a_guest_without_a_definition_is_not_stopped_but_ends_with_its_qemu(void **state)
{
	struct bench *bench = *state;
	struct error error = { 0 };

	assert_int_equal(set_autostart(bench, BENCH_GUEST, NULL), 0);
	assert_int_equal(simulated_by_hand_undefine(bench->fleet, "one", BENCH_GUEST, NULL), 0);
	assert_false(bench_look(bench, bench->source).is_persistent);
	assert_false(bench_look(bench, bench->source).has_autostart);
	assert_int_equal(simulated_by_hand_undefine(bench->fleet, "one", BENCH_GUEST, NULL), -EINVAL);
	assert_int_equal(set_autostart(bench, BENCH_GUEST, &error), -EINVAL);
	assert_string_equal(error.text, "server " BENCH_GUEST " has no definition on host one");
	assert_int_equal(stop(bench, BENCH_GUEST, &error), -ESTALE);
	assert_string_equal(error.text, "host one: server " BENCH_GUEST
					" runs there without a definition: stopping it would be its end");
	bench_expect(bench, GUEST_RUNNING, GUEST_ABSENT);
	assert_int_equal(by_hand_power_off(bench, BENCH_GUEST, NULL), 0);
	bench_expect(bench, GUEST_ABSENT, GUEST_ABSENT);
	assert_int_equal(define(bench, BENCH_GUEST, NULL), 0);
	assert_int_equal(simulated_by_hand_undefine(bench->fleet, "one", BENCH_GUEST, NULL), 0);
	bench_expect(bench, GUEST_ABSENT, GUEST_ABSENT); /* off and without one, nothing is left */
}

/* The half that arrives has none yet, either. */
static void the_half_of_a_move_is_not_stopped(void **state)
{
	struct bench *bench = *state;
	struct errand errand;

	bench_begin_migration(&errand, bench);
	assert_int_equal(bench->operations->stop_guest(bench->target, BENCH_GUEST, 0, NULL), -ESTALE);
	bench_expect(bench, GUEST_RUNNING, GUEST_ARRIVING);
	simulated_open_gate(bench->fleet, SIMULATED_GATE_LIVE);
	assert_int_equal(bench_end(&errand), 0);
}

static void a_guest_that_hung_is_free_once_its_qemu_has_ended(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(hang_qemu(bench, BENCH_GUEST, NULL), 0);
	assert_true(bench_look(bench, bench->source).is_busy);
	assert_int_equal(by_hand_power_off(bench, BENCH_GUEST, NULL), 0);
	assert_false(bench_look(bench, bench->source).is_busy);
	assert_int_equal(start(bench, BENCH_GUEST, NULL), 0);
}

static void a_definition_brings_its_memory_and_autostart(void **state)
{
	struct bench *bench = *state;
	char *definition = NULL;
	bool has_autostart = false;

	assert_int_equal(stop(bench, BENCH_GUEST, NULL), 0);
	for (int i = 0; i < 2; i++) {
		struct hypervisor_host *host = i == 0 ? bench->source : bench->target;

		assert_int_equal(bench->operations->define(host, DEFINITION, true, NULL), 0);
		assert_int_equal(bench_look(bench, host).state, GUEST_SHUT_OFF);
		assert_true(bench_look(bench, host).is_persistent);
		assert_true(bench_look(bench, host).has_autostart);
		assert_int_equal(
			bench->operations->read_definition(host, BENCH_GUEST, &definition, &has_autostart, NULL), 0);
		assert_string_equal(definition, DEFINITION);
		assert_true(has_autostart);
		free(definition);
	}
	assert_int_equal(bench->operations->define(bench->target, DEFINITION, false, NULL), 0);
	assert_false(bench_look(bench, bench->target).has_autostart);
}

static void a_guest_is_moved_by_hand_only_from_where_it_is_to_where_it_is_not(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(simulated_by_hand_move(bench->fleet, "one", "one", BENCH_GUEST, NULL), -EINVAL);
	assert_int_equal(simulated_by_hand_move(bench->fleet, "one", "none", BENCH_GUEST, NULL), -ENOENT);
	assert_int_equal(simulated_by_hand_move(bench->fleet, "none", "one", BENCH_GUEST, NULL), -ENOENT);
	for (int i = 0; i < 2; i++) {
		simulated_put_guest(bench->fleet, "one", BENCH_GUEST, i == 0 ? GUEST_ARRIVING : GUEST_HANDED_OVER, 64,
				    NULL);
		assert_int_equal(simulated_by_hand_move(bench->fleet, "one", "two", BENCH_GUEST, NULL), -EINVAL);
	}
	simulated_put_guest(bench->fleet, "one", BENCH_GUEST, GUEST_PAUSED, 64, NULL);
	simulated_put_guest(bench->fleet, "two", BENCH_GUEST, GUEST_SHUT_OFF, 64, NULL);
	assert_int_equal(simulated_by_hand_move(bench->fleet, "one", "two", BENCH_GUEST, NULL), -EINVAL);
	bench_expect(bench, GUEST_PAUSED, GUEST_SHUT_OFF);
	bench->operations->remove_guest(bench->target, BENCH_GUEST, GUEST_SET_OFF, NULL);
	simulated_put_guest(bench->fleet, "one", STRANGER, GUEST_RUNNING, 64, NULL); /* the first of two */
	simulated_put_guest(bench->fleet, "two", THIRD, GUEST_RUNNING, 64, NULL);
	assert_int_equal(simulated_by_hand_move(bench->fleet, "one", "two", BENCH_GUEST, NULL), 0);
	assert_int_equal(simulated_state(bench->fleet, "two", THIRD), GUEST_RUNNING);
	assert_false(bench_look(bench, bench->target).is_moving_out);
	bench_expect(bench, GUEST_ABSENT, GUEST_PAUSED);
	assert_int_equal(simulated_state(bench->fleet, "one", STRANGER), GUEST_RUNNING);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_that_does_not_answer_is_told_by_every_call),
		TEST(a_guest_that_is_not_there_is_told_by_every_call_about_one),
		TEST(each_call_takes_a_guest_from_the_states_that_allow_it),
		TEST(a_refusal_says_what_the_guest_is),
		TEST(a_guest_without_a_definition_is_not_stopped_but_ends_with_its_qemu),
		TEST(the_half_of_a_move_is_not_stopped),
		TEST(a_guest_that_hung_is_free_once_its_qemu_has_ended),
		TEST(a_definition_brings_its_memory_and_autostart),
		TEST(a_guest_is_moved_by_hand_only_from_where_it_is_to_where_it_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
