/* Calls of a hypervisor that do not return, by a driver whose calls end when the test says so. */
#include "server/worker/bounded.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/hypervisor.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define UUID "6d6c6162-0000-4000-8000-000000000001"

/* A driver with two hosts. It writes down what it is asked for. */
struct slow_driver {
	struct hypervisor base;
	struct hypervisor_host hosts[2];
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t changed;
	bool is_hanging; /* calls that change something wait */
	int waiting;
	int interrupts;
	int stops; /* that were done */
	int result; /* of every call */
	char asked[512]; /* for what, last */
	bool was_cancelled; /* what the last copy was told, as the journal's number */
	int64_t volume_id;
};

static struct slow_driver driver;
static struct clock *test_clock;
static struct hypervisor *bounded;
static struct hypervisor_host *host, *other;

static void hang(void)
{
	LOCK_SCOPE(&driver.mutex);

	driver.waiting++;
	pthread_cond_broadcast(&driver.changed);
	while (driver.is_hanging)
		pthread_cond_wait(&driver.changed, &driver.mutex);
	driver.waiting--;
	pthread_cond_broadcast(&driver.changed);
}

static int open_host(struct hypervisor *self, const struct hypervisor_address *address,
		     struct hypervisor_host **ret_host, struct error *error)
{
	(void)error;
	*ret_host = &driver.hosts[address->host_id - 1];
	**ret_host = (struct hypervisor_host){ .hypervisor = self, .host_id = address->host_id };
	return 0;
}

static void close_host(struct hypervisor_host *closed)
{
	(void)closed;
}

/* An operation begins upon that host. What it comes to. */
static int note(const struct hypervisor_host *asked, struct error *error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int note(const struct hypervisor_host *asked, struct error *error, const char *format, ...)
{
	LOCK_SCOPE(&driver.mutex);
	va_list arguments;
	int length = snprintf(driver.asked, sizeof(driver.asked), "%lld ", (long long)asked->host_id);

	va_start(arguments, format);
	vsnprintf(driver.asked + length, sizeof(driver.asked) - (size_t)length, format, arguments);
	va_end(arguments);
	return driver.result < 0 ? error_set(error, -driver.result, "as the driver says") : 0;
}

static const char *describe_options(const struct live_options *options, char text[64])
{
	snprintf(text, 64, "%s %lld %d", options->migration_address, (long long)options->bandwidth_mib_s,
		 options->parallel_connections);
	return text;
}

/* How many there are, and the first. */
static const char *describe_volumes(const struct hypervisor_volume *volumes, size_t count, char text[64])
{
	snprintf(text, 64, "%zu %s/%s %lld", count, volumes->pool, volumes->name, (long long)volumes->bytes);
	return text;
}

static int describe(struct hypervisor_host *asked, struct host_facts *ret_facts, struct error *error)
{
	hang();
	ret_facts->host_ip = strdup("192.0.2.1");
	return note(asked, error, "describe");
}

static int list_guests(struct hypervisor_host *asked, struct guest_list *ret_guests, struct error *error)
{
	hang();
	ret_guests->items = calloc(1, sizeof(*ret_guests->items));
	ret_guests->items[0] = (struct guest_facts){ .uuid = UUID, .domain_name = strdup("instance-1") };
	ret_guests->count = 1;
	return note(asked, error, "list_guests");
}

static int look(struct hypervisor_host *asked, const char *uuid, struct guest_view *ret_view, struct error *error)
{
	*ret_view = (struct guest_view){ .state = GUEST_RUNNING };
	return note(asked, error, "look %s", uuid);
}

static int check_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		      const struct live_options *options, struct check_result *ret_check, struct error *error)
{
	char text[64];

	*ret_check = (struct check_result){ .refusal = CHECK_REFUSED_STORAGE, .copied_bytes = 7 };
	return note(source, error, "check_live to %lld %s %s", (long long)target->host_id, uuid,
		    describe_options(options, text));
}

static int check_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		      struct check_result *ret_check, struct error *error)
{
	*ret_check = (struct check_result){ .refusal = CHECK_REFUSED_BY_SERVER, .copied_bytes = 8 };
	return note(source, error, "check_cold to %lld %s", (long long)target->host_id, uuid);
}

static int prepare_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			const struct live_options *options, bool copies_disks, const struct volume_journal *journal,
			struct error *error)
{
	char text[64];

	hang();
	int result = note(source, error, "prepare_live to %lld %s %s %d", (long long)target->host_id, uuid,
			  describe_options(options, text), copies_disks);
	return result < 0 ? result : journal->begin(journal->context, "pool", "disk", 1, &driver.volume_id, error);
}

static int progress(struct hypervisor_host *asked, const char *uuid, struct move_progress *ret_progress,
		    struct error *error)
{
	*ret_progress = (struct move_progress){ .memory_total = 5 };
	return note(asked, error, "progress %s", uuid);
}

static int completed(struct hypervisor_host *asked, const char *uuid, struct move_progress *ret_progress,
		     struct error *error)
{
	*ret_progress = (struct move_progress){ .downtime_ms = 6 };
	return note(asked, error, "completed %s", uuid);
}

static int adjust(struct hypervisor_host *asked, const char *uuid, enum move_adjustment adjustment, int64_t value,
		  struct error *error)
{
	return note(asked, error, "adjust %s %d %lld", uuid, (int)adjustment, (long long)value);
}

static int stop_guest(struct hypervisor_host *asked, const char *uuid, int64_t graceful_ms, struct error *error)
{
	hang();
	int result = note(asked, error, "stop_guest %s %lld", uuid, (long long)graceful_ms);
	LOCK_SCOPE(&driver.mutex);
	driver.stops++;
	return result;
}

static int start_guest(struct hypervisor_host *asked, const char *uuid, bool is_paused, struct error *error)
{
	return note(asked, error, "start_guest %s %d", uuid, is_paused);
}

#define NOTED_GUEST_CALL(name)                                                                                         \
	static int name(struct hypervisor_host *asked, const char *uuid, struct error *error)                          \
	{                                                                                                              \
		return note(asked, error, #name " %s", uuid);                                                          \
	}
NOTED_GUEST_CALL(pause_guest)
NOTED_GUEST_CALL(save_guest)
NOTED_GUEST_CALL(forget_saved)

static int read_definition(struct hypervisor_host *asked, const char *uuid, char **ret_definition, bool *ret_autostart,
			   struct error *error)
{
	hang();
	int result = note(asked, error, "read_definition %s", uuid);

	*ret_definition = result < 0 ? NULL : strdup("<domain/>");
	*ret_autostart = true;
	return result;
}

static int define(struct hypervisor_host *asked, const char *definition, bool has_autostart, struct error *error)
{
	return note(asked, error, "define %s %d", definition, has_autostart);
}

static int set_autostart(struct hypervisor_host *asked, const char *uuid, bool has_autostart, struct error *error)
{
	return note(asked, error, "set_autostart %s %d", uuid, has_autostart);
}

static int copy_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *definition,
		     const struct volume_journal *journal, bool (*is_cancelled)(void *context), void *context,
		     char **ret_definition, struct error *error)
{
	hang();
	int result = note(source, error, "copy_cold to %lld %s", (long long)target->host_id, definition);

	driver.was_cancelled = is_cancelled(context);
	if (result == 0)
		result = journal->begin(journal->context, "pool", "disk", 1, &driver.volume_id, error);
	*ret_definition = result < 0 ? NULL : strdup("<domain>there</domain>");
	return result;
}

static int remove_guest(struct hypervisor_host *asked, const char *uuid, unsigned int states, struct error *error)
{
	return note(asked, error, "remove_guest %s %u", uuid, states);
}

static int verify_disks(struct hypervisor_host *asked, const struct hypervisor_volume *volumes, size_t count,
			struct error *error)
{
	char text[64];

	hang();
	return note(asked, error, "verify_disks %s", describe_volumes(volumes, count, text));
}

static int remove_volume(struct hypervisor_host *asked, const struct hypervisor_volume *volume, struct error *error)
{
	char text[64];

	return note(asked, error, "remove_volume %s", describe_volumes(volume, 1, text));
}

static int migrate_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			const struct live_options *options, bool copies_disks, struct error *error)
{
	char text[64];

	return note(source, error, "migrate_live to %lld %s %s %d", (long long)target->host_id, uuid,
		    describe_options(options, text), copies_disks);
}

static void interrupt(struct hypervisor_host *asked)
{
	LOCK_SCOPE(&driver.mutex);

	(void)asked;
	driver.interrupts++;
	pthread_cond_broadcast(&driver.changed);
}

static const struct hypervisor_operations operations = {
	.open_host = open_host,
	.close_host = close_host,
	.describe = describe,
	.list_guests = list_guests,
	.look = look,
	.check_live = check_live,
	.prepare_live = prepare_live,
	.migrate_live = migrate_live,
	.progress = progress,
	.completed = completed,
	.adjust = adjust,
	.stop_guest = stop_guest,
	.start_guest = start_guest,
	.pause_guest = pause_guest,
	.save_guest = save_guest,
	.forget_saved = forget_saved,
	.check_cold = check_cold,
	.read_definition = read_definition,
	.define = define,
	.set_autostart = set_autostart,
	.copy_cold = copy_cold,
	.remove_guest = remove_guest,
	.verify_disks = verify_disks,
	.remove_volume = remove_volume,
	.interrupt = interrupt,
};

static int setup(void **state)
{
	const struct hypervisor_address address = { .host_id = 1, .name = "one" };
	const struct hypervisor_address address_2 = { .host_id = 2, .name = "two" };

	(void)state;
	driver = (struct slow_driver){ .base.operations = &operations };
	pthread_mutex_init(&driver.mutex, NULL);
	pthread_cond_init(&driver.changed, NULL);
	test_clock = clock_manual_create(1000000);
	assert_int_equal(bounded_create(&driver.base, test_clock, &bounded, NULL), 0);
	assert_int_equal(bounded->operations->open_host(bounded, &address, &host, NULL), 0);
	assert_int_equal(bounded->operations->open_host(bounded, &address_2, &other, NULL), 0);
	return 0;
}

static void release(void)
{
	LOCK_SCOPE(&driver.mutex);

	driver.is_hanging = false;
	pthread_cond_broadcast(&driver.changed);
}

/* Bounded, so that a call that stays stuck fails the test. */
static void wait_until_free(void)
{
	for (int i = 0; i < 2000 && bounded_has_stuck_calls(bounded); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_false(bounded_has_stuck_calls(bounded));
}

static int teardown(void **state)
{
	(void)state;
	release();
	wait_until_free();
	bounded->operations->close_host(host);
	bounded->operations->close_host(other);
	bounded->operations->destroy(bounded);
	clock_manual_destroy(test_clock);
	pthread_cond_destroy(&driver.changed);
	pthread_mutex_destroy(&driver.mutex);
	return 0;
}

/* Lets the time of a call pass once it hangs. */
static void *let_time_pass(void *context)
{
	(void)context;
	pthread_mutex_lock(&driver.mutex);
	while (driver.waiting == 0)
		pthread_cond_wait(&driver.changed, &driver.mutex);
	pthread_mutex_unlock(&driver.mutex);
	for (int i = 0; i < 200; i++) { /* it may not wait for the clock yet */
		clock_manual_advance(test_clock, 3600000000);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return NULL;
}

/* What the calls below answer. */
static struct {
	struct host_facts facts;
	struct guest_list guests;
	struct guest_view view;
	struct check_result check;
	struct move_progress progress;
	char *definition;
	bool has_autostart;
} answer;

static void clear_answer(void)
{
	host_facts_clear(&answer.facts);
	guest_list_clear(&answer.guests);
	free(answer.definition);
	memset(&answer, 0, sizeof(answer));
}

static const struct live_options options = { .migration_address = "192.0.2.1",
					     .bandwidth_mib_s = 3,
					     .parallel_connections = 4 };

static int begin_volume(void *context, const char *pool, const char *name, int64_t bytes, int64_t *ret_volume_id,
			struct error *error)
{
	(void)pool, (void)name, (void)bytes, (void)error;
	*(int *)context += 1;
	*ret_volume_id = 44;
	return 0;
}

static int begun; /* volumes, by the journal */
static const struct volume_journal journal = { .begin = begin_volume, .context = &begun };

static bool say_cancelled(void *context)
{
	return *(int *)context >= 0;
}

#define CALL(name, ...)                                                                                                \
	static int call_##name(struct error *error)                                                                    \
	{                                                                                                              \
		return bounded->operations->name(__VA_ARGS__, error);                                                  \
	}
CALL(describe, host, &answer.facts)
CALL(list_guests, host, &answer.guests)
CALL(look, host, UUID, &answer.view)
CALL(check_live, host, other, UUID, &options, &answer.check)
CALL(check_cold, host, other, UUID, &answer.check)
CALL(prepare_live, host, other, UUID, &options, true, &journal)
CALL(migrate_live, host, other, UUID, &options, true)
CALL(progress, host, UUID, &answer.progress)
CALL(completed, other, UUID, &answer.progress)
CALL(adjust, host, UUID, (enum move_adjustment)1, 55)
CALL(stop_guest, host, UUID, 777)
CALL(start_guest, host, UUID, true)
CALL(pause_guest, host, UUID)
CALL(save_guest, host, UUID)
CALL(forget_saved, host, UUID)
CALL(read_definition, host, UUID, &answer.definition, &answer.has_autostart)
CALL(define, other, "<domain/>", true)
CALL(set_autostart, other, UUID, true)
CALL(copy_cold, host, other, "<domain/>", &journal, say_cancelled, &begun, &answer.definition)
CALL(remove_guest, host, UUID, 9)
CALL(verify_disks, host, ((const struct hypervisor_volume[]){ { "pool", "disk", 11 }, { "pool", "other", 12 } }), 2)
CALL(remove_volume, host, (&(const struct hypervisor_volume){ "pool", "disk", 11 }))

static const struct call {
	int (*call)(struct error *error);
	const char *asked;
	bool hangs; /* where the driver does */
	bool is_change; /* of the guest: one at a time */
} calls[] = {
	{ call_describe, "1 describe", true, false },
	{ call_list_guests, "1 list_guests", true, false },
	{ call_look, "1 look " UUID, false, false },
	{ call_check_live, "1 check_live to 2 " UUID " 192.0.2.1 3 4", false, false },
	{ call_check_cold, "1 check_cold to 2 " UUID, false, false },
	{ call_prepare_live, "1 prepare_live to 2 " UUID " 192.0.2.1 3 4 1", true, true },
	{ call_migrate_live, "1 migrate_live to 2 " UUID " 192.0.2.1 3 4 1", false, false },
	{ call_progress, "1 progress " UUID, false, false },
	{ call_completed, "2 completed " UUID, false, false },
	{ call_adjust, "1 adjust " UUID " 1 55", false, false },
	{ call_stop_guest, "1 stop_guest " UUID " 777", true, true },
	{ call_start_guest, "1 start_guest " UUID " 1", false, true },
	{ call_pause_guest, "1 pause_guest " UUID, false, true },
	{ call_save_guest, "1 save_guest " UUID, false, true },
	{ call_forget_saved, "1 forget_saved " UUID, false, true },
	{ call_read_definition, "1 read_definition " UUID, true, false },
	{ call_define, "2 define <domain/> 1", false, false },
	{ call_set_autostart, "2 set_autostart " UUID " 1", false, false },
	{ call_copy_cold, "1 copy_cold to 2 <domain/>", true, false },
	{ call_remove_guest, "1 remove_guest " UUID " 9", false, true },
	{ call_verify_disks, "1 verify_disks 2 pool/disk 11", true, false },
	{ call_remove_volume, "1 remove_volume 1 pool/disk 11", false, false },
};

static int make_hang(int (*call)(struct error *error), struct error *error)
{
	pthread_t thread;

	driver.is_hanging = true;
	assert_int_equal(pthread_create(&thread, NULL, let_time_pass, NULL), 0);
	int result = call(error);
	pthread_join(thread, NULL);
	return result;
}

static int stop_that_hangs(struct error *error)
{
	return make_hang(call_stop_guest, error);
}

/* Its arguments reach the driver, and what that answers the caller. */
static void test_each_operation_is_the_drivers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
		struct error error = { 0 };

		driver.asked[0] = '\0';
		if (calls[i].call(&error) != 0)
			fail_msg("%s: %s", calls[i].asked, error.text);
		assert_string_equal(driver.asked, calls[i].asked);
		driver.result = -ENODEV;
		assert_int_equal(calls[i].call(&error), -ENODEV);
		assert_string_equal(error.text, "as the driver says");
		driver.result = 0;
		clear_answer();
	}
}

static void test_each_answer_is_the_drivers(void **state)
{
	struct error error = { 0 };

	(void)state;
	begun = 0;
	driver.volume_id = 0;
	assert_int_equal(call_describe(&error), 0);
	assert_string_equal(answer.facts.host_ip, "192.0.2.1");
	assert_int_equal(call_list_guests(&error), 0);
	assert_int_equal(answer.guests.count, 1);
	assert_string_equal(answer.guests.items[0].domain_name, "instance-1");
	assert_int_equal(call_check_live(&error), 0);
	assert_int_equal(answer.check.refusal, CHECK_REFUSED_STORAGE);
	assert_int_equal(answer.check.copied_bytes, 7);
	assert_int_equal(call_check_cold(&error), 0);
	assert_int_equal(answer.check.refusal, CHECK_REFUSED_BY_SERVER);
	assert_int_equal(call_prepare_live(&error), 0);
	assert_int_equal(begun, 1);
	assert_int_equal(driver.volume_id, 44);
	assert_int_equal(call_progress(&error), 0);
	assert_int_equal(answer.progress.memory_total, 5);
	assert_int_equal(call_completed(&error), 0);
	assert_int_equal(answer.progress.downtime_ms, 6);
	assert_int_equal(call_read_definition(&error), 0);
	assert_string_equal(answer.definition, "<domain/>");
	assert_true(answer.has_autostart);
	free(TAKE_POINTER(answer.definition));
	assert_int_equal(call_copy_cold(&error), 0);
	assert_string_equal(answer.definition, "<domain>there</domain>");
	assert_true(driver.was_cancelled);
	assert_int_equal(begun, 2);
	clear_answer();
}

/* With LeakSanitizer: nobody waits for it any more. */
static void test_an_answer_that_comes_too_late_is_let_go(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
		struct error error = { 0 };

		if (!calls[i].hangs)
			continue;
		if (make_hang(calls[i].call, &error) != -ETIMEDOUT)
			fail_msg("%s: %s", calls[i].asked, error.text);
		teardown(state);
		setup(state);
	}
	assert_null(answer.facts.host_ip);
	assert_int_equal(answer.guests.count, 0);
	assert_null(answer.definition);
}

/* A look and what goes by no guest waits for nobody. */
static void test_while_a_call_upon_a_guest_is_stuck_no_other_one_changes_it(void **state)
{
	(void)state;
	assert_int_equal(make_hang(call_verify_disks, NULL), -ETIMEDOUT);
	release();
	wait_until_free();
	assert_int_equal(stop_that_hangs(NULL), -ETIMEDOUT);
	for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
		struct error error = { 0 };

		if (calls[i].hangs && !calls[i].is_change)
			continue;
		int result = calls[i].call(&error);
		if (result != (calls[i].is_change ? -EBUSY : 0))
			fail_msg("%s: %d, %s", calls[i].asked, result, error.text);
		clear_answer();
	}
}

/* Those that go by no guest wait for no other one of the kind either. */
static void test_a_stuck_look_at_disks_keeps_nobody_from_the_next(void **state)
{
	(void)state;
	assert_int_equal(make_hang(call_copy_cold, NULL), -ETIMEDOUT);
	pthread_mutex_lock(&driver.mutex);
	int waiting = driver.waiting;
	pthread_mutex_unlock(&driver.mutex);
	assert_int_equal(waiting, 1);
	assert_int_equal(make_hang(call_verify_disks, NULL), -ETIMEDOUT);
	assert_int_equal(make_hang(call_verify_disks, NULL), -ETIMEDOUT);
}

static void test_a_call_that_returns_answers_as_the_driver_does(void **state)
{
	struct error error = { 0 };
	struct guest_view view = { 0 };

	(void)state;
	assert_int_equal(call_stop_guest(&error), 0);
	assert_int_equal(driver.stops, 1);
	assert_int_equal(bounded->operations->look(host, UUID, &view, &error), 0);
	assert_int_equal(view.state, GUEST_RUNNING);
	assert_false(view.is_busy);
}

static void test_a_call_that_does_not_return_is_given_up_and_the_handle_interrupted(void **state)
{
	struct error error = { 0 };

	(void)state;
	assert_int_equal(stop_that_hangs(&error), -ETIMEDOUT);
	assert_non_null(strstr(error.text, "it may still happen"));
	assert_int_equal(driver.interrupts, 1);
	assert_true(bounded_has_stuck_calls(bounded));
}

static void test_a_guest_is_busy_until_the_call_upon_it_has_ended(void **state)
{
	struct error error = { 0 };
	struct guest_view view = { 0 };

	(void)state;
	assert_int_equal(stop_that_hangs(&error), -ETIMEDOUT);
	assert_int_equal(bounded->operations->look(host, UUID, &view, &error), 0);
	assert_true(view.is_busy);
	release();
	wait_until_free();
	assert_int_equal(driver.stops, 1); /* it landed late */
	assert_int_equal(bounded->operations->look(host, UUID, &view, &error), 0);
	assert_false(view.is_busy);
}

static void test_of_each_guest_one_call_at_the_most_is_stuck(void **state)
{
	struct error error = { 0 };

	(void)state;
	assert_int_equal(stop_that_hangs(&error), -ETIMEDOUT);
	for (int i = 0; i < 30; i++)
		assert_int_equal(bounded->operations->stop_guest(host, UUID, 0, &error), -EBUSY);
	assert_int_equal(driver.waiting, 1);
}

static int never(void *context, const char *pool, const char *name, int64_t bytes, int64_t *ret_volume_id,
		 struct error *error)
{
	(void)pool, (void)name, (void)bytes, (void)ret_volume_id, (void)error;
	*(bool *)context = true;
	return 0;
}

static void test_a_given_up_call_reaches_its_callers_journal_no_more(void **state)
{
	struct error error = { 0 };
	bool was_asked = false;
	const struct volume_journal asked = { .begin = never, .context = &was_asked };
	pthread_t thread;

	(void)state;
	driver.is_hanging = true;
	assert_int_equal(pthread_create(&thread, NULL, let_time_pass, NULL), 0);
	assert_int_equal(bounded->operations->prepare_live(host, host, UUID, &options, true, &asked, &error),
			 -ETIMEDOUT);
	pthread_join(thread, NULL);
	release();
	wait_until_free();
	assert_false(was_asked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_operation_is_the_drivers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_answer_is_the_drivers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_answer_that_comes_too_late_is_let_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_while_a_call_upon_a_guest_is_stuck_no_other_one_changes_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_stuck_look_at_disks_keeps_nobody_from_the_next, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_call_that_returns_answers_as_the_driver_does, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_call_that_does_not_return_is_given_up_and_the_handle_interrupted,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_guest_is_busy_until_the_call_upon_it_has_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_of_each_guest_one_call_at_the_most_is_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_given_up_call_reaches_its_callers_journal_no_more, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
