/* What the libvirt driver reads of a host and of a guest, against libvirt's own test driver, with a few of libvirt's calls replaced
 * where it has no such answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <libvirt/virterror.h>

#include "libvirt_fixture.h"

#include "base/cleanup.h"
#include "base/text.h"

#define GIB (1024ULL * 1024 * 1024)

/* What the calls below answer instead; all zeros: as libvirt does. */
static struct {
	int state, reason; /* of the guest */
	int job; /* its type */
	int operation; /* of the job; 0: not told */
	bool has_figures; /* the job, each its own */
	bool has_gone_pool; /* the pool named gone goes away between the list and the question */
	bool are_pools_unlike; /* each lies on a file system of its own */
	bool hides_snapshots; /* how many the guest has cannot be read */
	bool has_gone_guest; /* the guest goes away between the list and the question for its definition */
	int shutdowns; /* that were asked for */
} fake;

int virDomainGetState(virDomainPtr domain, int *state, int *reason, unsigned int flags)
{
	int (*real)(virDomainPtr, int *, int *, unsigned int);

	libvirt_find_real(__func__, &real);
	int result = real(domain, state, reason, flags);
	if (!fake.state)
		return result;
	*state = fake.state;
	if (reason)
		*reason = fake.reason;
	return 0;
}

/* In the order in which move_progress has them. */
static const char *const figures[] = {
	VIR_DOMAIN_JOB_MEMORY_TOTAL,     VIR_DOMAIN_JOB_MEMORY_PROCESSED, VIR_DOMAIN_JOB_MEMORY_REMAINING,
	VIR_DOMAIN_JOB_DISK_TOTAL,       VIR_DOMAIN_JOB_DISK_PROCESSED,   VIR_DOMAIN_JOB_DISK_REMAINING,
	VIR_DOMAIN_JOB_DATA_PROCESSED,   VIR_DOMAIN_JOB_MEMORY_BPS,       VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE,
	VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE, VIR_DOMAIN_JOB_MEMORY_ITERATION, VIR_DOMAIN_JOB_TIME_ELAPSED,
	VIR_DOMAIN_JOB_DOWNTIME,
};

int virDomainGetJobStats(virDomainPtr domain, int *type, virTypedParameterPtr *params, int *nparams, unsigned int flags)
{
	int capacity = 0;

	(void)domain;
	(void)flags;
	*type = fake.job;
	*params = NULL;
	*nparams = 0;
	if (fake.operation)
		virTypedParamsAddInt(params, nparams, &capacity, VIR_DOMAIN_JOB_OPERATION, fake.operation);
	for (size_t i = 0; i < ARRAY_LENGTH(figures) && fake.has_figures; i++)
		virTypedParamsAddULLong(params, nparams, &capacity, figures[i], 1000 + i);
	if (fake.has_figures)
		virTypedParamsAddInt(params, nparams, &capacity, VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE, 70);
	return 0;
}

int virDomainSnapshotNum(virDomainPtr domain, unsigned int flags)
{
	int (*real)(virDomainPtr, unsigned int);

	libvirt_find_real(__func__, &real);
	return fake.hides_snapshots ? -1 : real(domain, flags);
}

int virDomainShutdown(virDomainPtr domain)
{
	int (*real)(virDomainPtr);

	libvirt_find_real(__func__, &real);
	fake.shutdowns++;
	return real(domain);
}

char *virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
	char *(*real)(virDomainPtr, unsigned int);
	char uuid[VIR_UUID_STRING_BUFLEN];

	libvirt_find_real(__func__, &real);
	if (fake.has_gone_guest && virDomainGetUUIDString(domain, uuid) == 0 && text_equal(uuid, LIBVIRT_GUEST)) {
		assert_int_equal(virDomainDestroy(domain), 0);
		assert_int_equal(virDomainUndefine(domain), 0);
	}
	return real(domain, flags);
}

/* libvirt takes one for a driver that has none, and never frees what belongs to it. */
int virConnectRegisterCloseCallback(virConnectPtr conn, virConnectCloseFunc cb, void *opaque, virFreeCallback freecb)
{
	(void)conn;
	(void)cb;
	(void)opaque;
	(void)freecb;
	return -1;
}

int virStoragePoolGetInfo(virStoragePoolPtr vol, virStoragePoolInfoPtr info)
{
	int (*real)(virStoragePoolPtr, virStoragePoolInfoPtr);
	unsigned long long number = 0;

	libvirt_find_real(__func__, &real);
	if (fake.has_gone_pool && text_equal(virStoragePoolGetName(vol), "gone"))
		return -1;
	int result = real(vol, info);
	if (fake.are_pools_unlike && sscanf(virStoragePoolGetName(vol), "pool-%llu", &number) == 1)
		info->capacity = (number + 1) * GIB;
	return result;
}

static int begin(void **state)
{
	static struct libvirt_fixture fixture;

	memset(&fake, 0, sizeof(fake));
	libvirt_fixture_begin(&fixture, 5);
	*state = &fixture;
	return 0;
}

static int end(void **state)
{
	libvirt_fixture_end(*state);
	return 0;
}

static void put_pool(const struct libvirt_fixture *fixture, const char *name)
{
	CLEANUP_FREE char *definition =
		text_format("<pool type='dir'><name>%s</name><target><path>/%s</path></target></pool>", name, name);
	virStoragePoolPtr pool = virStoragePoolCreateXML(fixture->connection, definition, 0);

	assert_non_null(pool);
	virStoragePoolFree(pool);
}

static json_t *describe(struct libvirt_fixture *fixture, int64_t *ret_disk_gb)
{
	CLEANUP_HOST_FACTS struct host_facts facts = { 0 };

	if (fixture->driver->operations->describe(fixture->host, &facts, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
	*ret_disk_gb = facts.disk_gb;
	json_t *document = json_loads(facts.facts, 0, NULL);
	assert_non_null(document);
	return document;
}

static void check_list(const json_t *list, const char *expected)
{
	CLEANUP_FREE char *text = json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS);

	assert_string_equal(text, expected);
}

/* The test driver's host has one pool of 100 GiB, one network and one NIC. */
static void a_hosts_pools_networks_and_nics_are_told(void **state)
{
	int64_t disk_gb = 0;
	json_t *facts = describe(*state, &disk_gb);

	assert_int_equal(disk_gb, 100);
	check_list(json_object_get(facts, "pools"), "[{\"name\":\"default-pool\",\"path\":\"/default-pool\"}]");
	check_list(json_object_get(json_object_get(facts, "offers"), "networks"),
		   "[\"bridge/eth1\",\"network/default\"]");
	check_list(json_object_get(facts, "nics"), "{\"eth1\":[\"192.168.0.5\"]}");
	assert_true(json_integer_value(json_object_get(facts, "booted_us")) > 0);
	json_decref(facts);
}

static void a_pool_that_goes_meanwhile_is_left_out(void **state)
{
	int64_t disk_gb = 0;

	put_pool(*state, "gone");
	fake.has_gone_pool = true;
	json_t *facts = describe(*state, &disk_gb);
	check_list(json_object_get(facts, "pools"), "[{\"name\":\"default-pool\",\"path\":\"/default-pool\"}]");
	json_decref(facts);
}

/* However many there are: each file system once, as long as it can be told apart. */
static void the_room_of_pools_on_one_file_system_counts_once(void **state)
{
	int64_t disk_gb = 0, expected_gb = 100;

	put_pool(*state, "gone"); /* as large as the other: it lies beside it */
	json_t *facts = describe(*state, &disk_gb);
	assert_int_equal(json_array_size(json_object_get(facts, "pools")), 2);
	assert_int_equal(disk_gb, 100);
	json_decref(facts);
	fake.are_pools_unlike = true;
	for (int i = 0; i < 80; i++) {
		char name[16];

		snprintf(name, sizeof(name), "pool-%d", i);
		put_pool(*state, name);
		expected_gb += i + 1;
	}
	facts = describe(*state, &disk_gb);
	assert_int_equal(json_array_size(json_object_get(facts, "pools")), 82);
	if (disk_gb != expected_gb) /* the two that are alike came last, when no more are told apart */
		assert_int_equal(disk_gb, expected_gb + 100);
	json_decref(facts);
}

static void put_guest(const struct libvirt_fixture *fixture, bool is_persistent, const char *devices)
{
	CLEANUP_FREE char *definition = libvirt_guest_definition(LIBVIRT_GUEST, devices);
	virDomainPtr domain = is_persistent ? virDomainDefineXML(fixture->connection, definition)
					    : virDomainCreateXML(fixture->connection, definition, 0);

	assert_non_null(domain);
	if (is_persistent)
		assert_int_equal(virDomainCreate(domain), 0);
	virDomainFree(domain);
}

#define JOB_OUT VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT
#define JOB_IN  VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN

/* libvirt's words for a guest, and ours. */
static const struct state_case {
	int state, reason, job, operation;
	enum guest_state expected;
	bool is_transient, is_moving_in, is_moving_out;
} states[] = {
	{ VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_SHUTDOWN, 0, 0, GUEST_SHUT_OFF, false, false, false },
	{ VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_CRASHED, 0, 0, GUEST_CRASHED, false, false, false },
	{ VIR_DOMAIN_CRASHED, 0, 0, 0, GUEST_CRASHED, false, false, false },
	{ VIR_DOMAIN_SHUTDOWN, 0, 0, 0, GUEST_STOPPING, false, false, false },
	{ VIR_DOMAIN_PMSUSPENDED, 0, 0, 0, GUEST_SUSPENDED, false, false, false },
	{ VIR_DOMAIN_BLOCKED, 0, 0, 0, GUEST_RUNNING, false, false, false },
	{ VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, 0, 0, GUEST_RUNNING, false, false, false },
	{ VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, VIR_DOMAIN_JOB_UNBOUNDED, JOB_OUT, GUEST_RUNNING, false, false,
	  true },
	{ VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_POSTCOPY, 0, 0, GUEST_POSTCOPY_TARGET, false, false, false },
	{ VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_POSTCOPY_FAILED, 0, 0, GUEST_POSTCOPY_FAILED, false, false, false },
	{ VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER, 0, 0, GUEST_PAUSED, false, false, false },
	{ VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_POSTCOPY, 0, 0, GUEST_POSTCOPY_SOURCE, false, false, false },
	{ VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_POSTCOPY_FAILED, 0, 0, GUEST_POSTCOPY_FAILED, false, false, false },
	/* Both halves of a move. */
	{ VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION, 0, 0, GUEST_HANDED_OVER, false, false, false },
	{ VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION, 0, 0, GUEST_ARRIVING, true, false, false },
	{ VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION, VIR_DOMAIN_JOB_UNBOUNDED, JOB_IN, GUEST_ARRIVING, false, true,
	  false },
	{ VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION, VIR_DOMAIN_JOB_UNBOUNDED, JOB_OUT, GUEST_HANDED_OVER, false,
	  false, true },
	/* What a job of the past was says nothing. */
	{ VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION, VIR_DOMAIN_JOB_NONE, JOB_IN, GUEST_HANDED_OVER, false, false,
	  false },
	{ VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, VIR_DOMAIN_JOB_NONE, JOB_OUT, GUEST_RUNNING, false, false,
	  false },
};

static void each_state_of_libvirts_has_its_meaning(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
		const struct state_case *tried = &states[i];
		struct libvirt_fixture *fixture = *state;
		struct guest_view view = { 0 };

		put_guest(fixture, !tried->is_transient, "");
		fake.state = tried->state;
		fake.reason = tried->reason;
		fake.job = tried->job;
		fake.operation = tried->operation;
		if (fixture->driver->operations->look(fixture->host, LIBVIRT_GUEST, &view, &fixture->error) < 0)
			fail_msg("%s", fixture->error.text);
		if (view.state != tried->expected || view.is_moving_in != tried->is_moving_in
		    || view.is_moving_out != tried->is_moving_out)
			fail_msg("state %d, reason %d, job %d: %s, in %d, out %d", tried->state, tried->reason,
				 tried->job, guest_state_name(view.state), view.is_moving_in, view.is_moving_out);
		end(state);
		begin(state);
	}
}

static void each_figure_of_a_move_is_libvirts(void **state)
{
	struct libvirt_fixture *fixture = *state;
	struct move_progress progress = { 0 };

	put_guest(fixture, true, "");
	fake.job = VIR_DOMAIN_JOB_UNBOUNDED;
	fake.has_figures = true;
	assert_int_equal(
		fixture->driver->operations->progress(fixture->host, LIBVIRT_GUEST, &progress, &fixture->error), 0);
	assert_true(progress.is_active);
	assert_false(progress.is_in_postcopy);
	assert_int_equal(progress.memory_total, 1000);
	assert_int_equal(progress.memory_processed, 1001);
	assert_int_equal(progress.memory_remaining, 1002);
	assert_int_equal(progress.disk_total, 1003);
	assert_int_equal(progress.disk_processed, 1004);
	assert_int_equal(progress.disk_remaining, 1005);
	assert_int_equal(progress.data_processed, 1006);
	assert_int_equal(progress.bytes_per_s, 1007);
	assert_int_equal(progress.dirty_bytes_per_s, 1008 * 1009);
	assert_int_equal(progress.iteration, 1010);
	assert_int_equal(progress.elapsed_ms, 1011);
	assert_int_equal(progress.downtime_ms, 1012);
	assert_int_equal(progress.throttle_percent, 70);
}

/* Whether it goes on, and is past the point at which it can be ended. */
static void a_move_is_active_and_in_post_copy_by_the_guests_state(void **state)
{
	static const struct {
		int state, reason, job;
		bool is_active, is_in_postcopy;
	} rows[] = {
		{ VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, VIR_DOMAIN_JOB_BOUNDED, true, false },
		{ VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, VIR_DOMAIN_JOB_NONE, false, false },
		{ VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, VIR_DOMAIN_JOB_COMPLETED, false, false },
		{ VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION, VIR_DOMAIN_JOB_UNBOUNDED, true, false },
		{ VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_POSTCOPY, VIR_DOMAIN_JOB_UNBOUNDED, true, true },
		{ VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_POSTCOPY_FAILED, VIR_DOMAIN_JOB_UNBOUNDED, false, false },
		{ VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_SHUTDOWN, VIR_DOMAIN_JOB_UNBOUNDED, false, false },
	};
	struct libvirt_fixture *fixture = *state;

	put_guest(fixture, true, "");
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct move_progress progress = { 0 };

		fake.state = rows[i].state;
		fake.reason = rows[i].reason;
		fake.job = rows[i].job;
		assert_int_equal(
			fixture->driver->operations->progress(fixture->host, LIBVIRT_GUEST, &progress, &fixture->error),
			0);
		assert_int_equal(progress.is_active, rows[i].is_active);
		assert_int_equal(progress.is_in_postcopy, rows[i].is_in_postcopy);
	}
}

/* Gracefully or not, twice or once: 0, and it is off. */
static void a_guest_is_stopped_as_often_as_that_is_asked_for(void **state)
{
	for (int64_t graceful_ms = 0; graceful_ms <= 2000; graceful_ms += 2000) {
		struct libvirt_fixture *fixture = *state;

		put_guest(fixture, true, "");
		for (int i = 0; i < 2; i++) {
			struct guest_view view = { 0 };

			assert_int_equal(fixture->driver->operations->stop_guest(fixture->host, LIBVIRT_GUEST,
										 graceful_ms, &fixture->error),
					 0);
			assert_int_equal(
				fixture->driver->operations->look(fixture->host, LIBVIRT_GUEST, &view, &fixture->error),
				0);
			assert_int_equal(view.state, GUEST_SHUT_OFF);
			assert_int_equal(fake.shutdowns, graceful_ms > 0); /* one that is off is asked nothing */
		}
		end(state);
		begin(state);
	}
}

/* All that stands in the way is reported at once. */
static void each_obstacle_of_a_guest_is_named(void **state)
{
	static const char DEVICES[] =
		"<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product "
		"id='0x5678'/></source></hostdev>"
		"<tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>";
	const struct live_options options = { .migration_address = NULL };
	struct libvirt_fixture *fixture = *state;
	struct check_result check = { 0 };

	put_guest(fixture, true, DEVICES);
	assert_int_equal(fixture->driver->operations->check_live(fixture->host, fixture->host, LIBVIRT_GUEST, &options,
								 &check, &fixture->error),
			 -ECANCELED);
	assert_int_equal(check.refusal, CHECK_REFUSED_BY_SERVER);
	if (!strstr(fixture->error.text, ", and "))
		fail_msg("%s", fixture->error.text);
}

static void a_guest_that_goes_meanwhile_is_left_out(void **state)
{
	struct libvirt_fixture *fixture = *state;
	CLEANUP_GUESTS struct guest_list list = { 0 };

	put_guest(fixture, true, "");
	fake.has_gone_guest = true;
	if (fixture->driver->operations->list_guests(fixture->host, &list, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
	assert_int_equal(list.count, 1); /* the test driver has one */
	assert_string_equal(list.items[0].domain_name, "test");
	assert_int_equal(fixture->error.code, 0);
}

/* What cannot be read is not taken for none. */
static void a_guest_whose_snapshots_cannot_be_counted_is_not_moved(void **state)
{
	const struct live_options options = { .migration_address = NULL };
	struct libvirt_fixture *fixture = *state;
	struct check_result check = { 0 };

	put_guest(fixture, true, "");
	fake.hides_snapshots = true;
	int result = fixture->driver->operations->check_live(fixture->host, fixture->host, LIBVIRT_GUEST, &options,
							     &check, &fixture->error);
	assert_true(result < 0 && result != -ECANCELED);
	assert_non_null(strstr(fixture->error.text, "read the guest's definition"));
}

/* What libvirt has to say is in our own log. */
static void libvirt_writes_nothing_of_its_own(void **state)
{
	(void)state;
	assert_non_null(getenv("LIBVIRT_LOG_OUTPUTS"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_hosts_pools_networks_and_nics_are_told),
		TEST(a_pool_that_goes_meanwhile_is_left_out),
		TEST(the_room_of_pools_on_one_file_system_counts_once),
		TEST(each_state_of_libvirts_has_its_meaning),
		TEST(each_figure_of_a_move_is_libvirts),
		TEST(a_move_is_active_and_in_post_copy_by_the_guests_state),
		TEST(a_guest_is_stopped_as_often_as_that_is_asked_for),
		TEST(each_obstacle_of_a_guest_is_named),
		TEST(a_guest_that_goes_meanwhile_is_left_out),
		TEST(a_guest_whose_snapshots_cannot_be_counted_is_not_moved),
		TEST(libvirt_writes_nothing_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
