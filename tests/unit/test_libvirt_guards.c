/* What the libvirt driver must not do to a guest or a disk that somebody else uses: against libvirt's own test driver, with a
 * few of libvirt's calls replaced where a race or a hanging QEMU is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <libvirt/virterror.h>

#include "libvirt_fixture.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "server/worker/libvirt/definition.h"

#define OTHER_GUEST "99999999-2222-4333-8444-555555555555"
#define MIB         (1024 * 1024)

/* What the calls below do instead; all zeros: as libvirt does. */
static struct {
	bool starts_after_undefine;
	bool breaks_definitions;
	bool is_going_down; /* the guest's state */
	int control_state;
	unsigned int control_ms; /* how long a command is outstanding */
	bool is_another_command; /* at the second question */
	int control_questions, job_questions;
	unsigned int undefine_flags; /* that the driver gave */
	unsigned long long file_bytes; /* the length of each volume's file; 0: not known */
} fake;

int virDomainUndefineFlags(virDomainPtr domain, unsigned int flags)
{
	CLEANUP_FREE char *definition = libvirt_guest_definition(LIBVIRT_GUEST, "");
	int (*real)(virDomainPtr, unsigned int);

	libvirt_find_real(__func__, &real);
	fake.undefine_flags = flags;
	/* The test driver has neither. */
	int result =
		real(domain, flags & ~(unsigned int)(VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_TPM));

	if (fake.starts_after_undefine) {
		virDomainPtr started = virDomainCreateXML(virDomainGetConnect(domain), definition, 0);

		assert_non_null(started);
		virDomainFree(started);
	}
	return result;
}

char *virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
	char *(*real)(virDomainPtr, unsigned int);

	libvirt_find_real(__func__, &real);
	return fake.breaks_definitions ? strdup("<domain") : real(domain, flags);
}

int virDomainGetState(virDomainPtr domain, int *state, int *reason, unsigned int flags)
{
	int (*real)(virDomainPtr, int *, int *, unsigned int);

	libvirt_find_real(__func__, &real);
	int result = real(domain, state, reason, flags);

	if (result == 0 && fake.is_going_down && *state == VIR_DOMAIN_RUNNING)
		*state = VIR_DOMAIN_SHUTDOWN;
	return result;
}

int virDomainGetControlInfo(virDomainPtr domain, virDomainControlInfoPtr info, unsigned int flags)
{
	(void)domain;
	(void)flags;
	bool is_other = fake.control_questions++ > 0 && fake.is_another_command;
	*info = (virDomainControlInfo){ .state = (unsigned int)fake.control_state,
					.stateTime = is_other ? 3 : fake.control_ms };
	return 0;
}

int virStorageVolGetInfoFlags(virStorageVolPtr volume, virStorageVolInfoPtr info, unsigned int flags)
{
	int (*real)(virStorageVolPtr, virStorageVolInfoPtr, unsigned int);

	libvirt_find_real(__func__, &real);
	if (!fake.file_bytes)
		return real(volume, info, flags);
	int result = virStorageVolGetInfo(volume, info);

	info->allocation = fake.file_bytes;
	return result;
}

int virDomainGetJobStats(virDomainPtr domain, int *type, virTypedParameterPtr *params, int *nparams, unsigned int flags)
{
	(void)domain;
	(void)flags;
	fake.job_questions++;
	*type = VIR_DOMAIN_JOB_NONE;
	*params = NULL;
	*nparams = 0;
	return 0;
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

static void define(const struct libvirt_fixture *fixture, const char *uuid, const char *devices)
{
	CLEANUP_FREE char *definition = libvirt_guest_definition(uuid, devices);
	virDomainPtr domain = virDomainDefineXML(fixture->connection, definition);

	assert_non_null(domain);
	virDomainFree(domain);
}

static virDomainPtr find(const struct libvirt_fixture *fixture, const char *uuid)
{
	return virDomainLookupByUUIDString(fixture->connection, uuid);
}

static void bring_into(const struct libvirt_fixture *fixture, enum guest_state state)
{
	virDomainPtr domain = find(fixture, LIBVIRT_GUEST);

	assert_non_null(domain);
	if (state == GUEST_RUNNING || state == GUEST_PAUSED)
		assert_int_equal(virDomainCreate(domain), 0);
	if (state == GUEST_PAUSED)
		assert_int_equal(virDomainSuspend(domain), 0);
	virDomainFree(domain);
}

static struct guest_view look(struct libvirt_fixture *fixture, const char *uuid)
{
	struct guest_view view = { 0 };

	if (fixture->driver->operations->look(fixture->host, uuid, &view, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
	return view;
}

static int remove_guest(struct libvirt_fixture *fixture, unsigned int states)
{
	int result = fixture->driver->operations->remove_guest(fixture->host, LIBVIRT_GUEST, states, &fixture->error);

	if (result < 0 && result != -ESTALE)
		print_message("%s\n", fixture->error.text);
	return result;
}

static void a_guest_is_removed_in_the_states_that_were_named_alone(void **state)
{
	static const enum guest_state states[] = { GUEST_SHUT_OFF, GUEST_RUNNING, GUEST_PAUSED };
	struct libvirt_fixture *fixture = *state;

	assert_int_equal(remove_guest(fixture, GUEST_SET_OFF), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
		define(fixture, LIBVIRT_GUEST, "");
		bring_into(fixture, states[i]);
		assert_int_equal(remove_guest(fixture, ~GUEST_SET(states[i])), -ESTALE);
		assert_non_null(strstr(fixture->error.text, "one"));
		assert_non_null(strstr(fixture->error.text, guest_state_name(states[i])));
		assert_int_equal(look(fixture, LIBVIRT_GUEST).state, states[i]);
		assert_int_equal(remove_guest(fixture, GUEST_SET(states[i])), 0);
		assert_int_equal(look(fixture, LIBVIRT_GUEST).state, GUEST_ABSENT);
	}
}

static void what_libvirt_keeps_beside_the_disks_stays(void **state)
{
	struct libvirt_fixture *fixture = *state;

	define(fixture, LIBVIRT_GUEST, "");
	assert_int_equal(remove_guest(fixture, GUEST_SET_OFF), 0);
	assert_int_equal(fake.undefine_flags, VIR_DOMAIN_UNDEFINE_KEEP_NVRAM);
	define(fixture, LIBVIRT_GUEST, "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>");
	assert_int_equal(remove_guest(fixture, GUEST_SET_OFF), 0);
	assert_int_equal(fake.undefine_flags, VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_TPM);
}

static void a_guest_without_a_definition_goes_with_its_qemu(void **state)
{
	struct libvirt_fixture *fixture = *state;
	CLEANUP_FREE char *definition = libvirt_guest_definition(LIBVIRT_GUEST, "");
	virDomainPtr domain = virDomainCreateXML(fixture->connection, definition, 0);

	assert_non_null(domain);
	virDomainFree(domain);
	assert_false(look(fixture, LIBVIRT_GUEST).is_persistent);
	assert_int_equal(remove_guest(fixture, GUEST_SET(GUEST_RUNNING)), 0);
	assert_int_equal(look(fixture, LIBVIRT_GUEST).state, GUEST_ABSENT);
}

static void a_guest_without_a_definition_is_not_stopped(void **state)
{
	struct libvirt_fixture *fixture = *state;
	CLEANUP_FREE char *definition = libvirt_guest_definition(LIBVIRT_GUEST, "");
	virDomainPtr domain = virDomainCreateXML(fixture->connection, definition, 0);

	assert_non_null(domain);
	virDomainFree(domain);
	assert_int_equal(fixture->driver->operations->stop_guest(fixture->host, LIBVIRT_GUEST, 0, &fixture->error),
			 -ESTALE);
	assert_non_null(strstr(fixture->error.text, "without a definition"));
	assert_int_equal(look(fixture, LIBVIRT_GUEST).state, GUEST_RUNNING);
	assert_int_equal(remove_guest(fixture, GUEST_SET(GUEST_RUNNING)), 0);
}

static void a_guest_that_is_started_while_its_definition_goes_gets_it_back(void **state)
{
	struct libvirt_fixture *fixture = *state;

	define(fixture, LIBVIRT_GUEST, "");
	assert_int_equal(
		fixture->driver->operations->set_autostart(fixture->host, LIBVIRT_GUEST, true, &fixture->error), 0);
	fake.starts_after_undefine = true;
	assert_int_equal(remove_guest(fixture, GUEST_SET_OFF), -ESTALE);
	struct guest_view view = look(fixture, LIBVIRT_GUEST);
	assert_int_equal(view.state, GUEST_RUNNING);
	assert_true(view.is_persistent);
	assert_true(view.has_autostart);
}

static void a_guest_whose_qemu_hangs_is_busy_and_neither_asked_nor_removed(void **state)
{
	struct libvirt_fixture *fixture = *state;

	define(fixture, LIBVIRT_GUEST, "");
	bring_into(fixture, GUEST_RUNNING);
	assert_false(look(fixture, LIBVIRT_GUEST).is_busy);
	assert_int_equal(fake.job_questions, 1);
	fake.control_state = VIR_DOMAIN_CONTROL_OCCUPIED;
	fake.control_ms = 20000;
	struct guest_view view = look(fixture, LIBVIRT_GUEST);
	assert_int_equal(view.state, GUEST_RUNNING);
	assert_true(view.is_busy);
	assert_int_equal(remove_guest(fixture, GUEST_SET(GUEST_RUNNING)), -ESTALE);
	assert_int_equal(look(fixture, LIBVIRT_GUEST).state, GUEST_RUNNING);
	fake.control_state = VIR_DOMAIN_CONTROL_ERROR;
	assert_true(look(fixture, LIBVIRT_GUEST).is_busy);
	assert_int_equal(fake.job_questions, 1);

	/* A command that ends in time is nothing unusual. */
	fake.control_state = VIR_DOMAIN_CONTROL_OCCUPIED;
	fake.control_ms = 200;
	fake.control_questions = 0;
	fake.is_another_command = true;
	assert_false(look(fixture, LIBVIRT_GUEST).is_busy);
	assert_int_equal(fake.job_questions, 2);
}

static void the_progress_of_a_guest_that_goes_down_or_whose_qemu_hangs_is_not_read(void **state)
{
	struct libvirt_fixture *fixture = *state;
	struct move_progress progress = { .is_active = true };

	define(fixture, LIBVIRT_GUEST, "");
	bring_into(fixture, GUEST_RUNNING);
	fake.control_state = VIR_DOMAIN_CONTROL_OCCUPIED;
	fake.control_ms = 20000;
	assert_int_equal(
		fixture->driver->operations->progress(fixture->host, LIBVIRT_GUEST, &progress, &fixture->error),
		-EBUSY);
	fake.is_going_down = true;
	assert_int_equal(
		fixture->driver->operations->progress(fixture->host, LIBVIRT_GUEST, &progress, &fixture->error), 0);
	assert_false(progress.is_active);
	assert_int_equal(fake.job_questions, 0);

	/* A command of libvirt's own that ends in time is nothing unusual while a guest moves. */
	fake.is_going_down = false;
	fake.control_ms = 0;
	assert_int_equal(
		fixture->driver->operations->progress(fixture->host, LIBVIRT_GUEST, &progress, &fixture->error), 0);
	assert_int_equal(fake.job_questions, 1);
}

static void a_guest_that_goes_down_is_stopping_and_waited_for(void **state)
{
	struct libvirt_fixture *fixture = *state;
	struct timespec began, ended;

	define(fixture, LIBVIRT_GUEST, "");
	bring_into(fixture, GUEST_RUNNING);
	fake.is_going_down = true;
	assert_int_equal(look(fixture, LIBVIRT_GUEST).state, GUEST_STOPPING);
	assert_int_equal(remove_guest(fixture, GUEST_SET(GUEST_RUNNING) | GUEST_SET_OFF), -ESTALE);
	clock_gettime(CLOCK_MONOTONIC, &began);
	assert_int_equal(fixture->driver->operations->stop_guest(fixture->host, LIBVIRT_GUEST, 0, &fixture->error), 0);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	assert_true(ended.tv_sec - began.tv_sec >= 5); /* it is not cut off at once, but in the end */
	assert_int_equal(look(fixture, LIBVIRT_GUEST).state, GUEST_SHUT_OFF);
}

static const struct guest_facts *listed(const struct guest_list *list, const char *uuid)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].uuid, uuid) == 0)
			return &list->items[i];
	return NULL;
}

static void a_guest_that_cannot_be_read_is_listed_as_silent(void **state)
{
	struct libvirt_fixture *fixture = *state;
	CLEANUP_GUESTS struct guest_list list = { 0 };

	define(fixture, LIBVIRT_GUEST, "");
	bring_into(fixture, GUEST_RUNNING);
	define(fixture, OTHER_GUEST, "");
	fake.control_state = VIR_DOMAIN_CONTROL_OCCUPIED;
	fake.control_ms = 20000;
	assert_int_equal(fixture->driver->operations->list_guests(fixture->host, &list, &fixture->error), 0);
	assert_true(listed(&list, LIBVIRT_GUEST)->is_silent);
	assert_int_equal(listed(&list, LIBVIRT_GUEST)->view.state, GUEST_RUNNING);
	assert_int_equal(listed(&list, LIBVIRT_GUEST)->memory_mb, 8);
	assert_false(listed(&list, OTHER_GUEST)->is_silent);
	assert_int_equal(fake.job_questions, 0);
	guest_list_clear(&list);

	fake.control_state = VIR_DOMAIN_CONTROL_OK;
	fake.breaks_definitions = true;
	assert_int_equal(fixture->driver->operations->list_guests(fixture->host, &list, &fixture->error), 0);
	assert_true(listed(&list, LIBVIRT_GUEST)->is_silent);
	assert_null(listed(&list, LIBVIRT_GUEST)->facts);
	assert_string_equal(listed(&list, LIBVIRT_GUEST)->domain_name, "guest-1111");
	assert_int_equal(listed(&list, OTHER_GUEST)->view.state, GUEST_SHUT_OFF);
}

static void a_guest_is_defined_over_one_that_is_off_alone(void **state)
{
	struct libvirt_fixture *fixture = *state;
	CLEANUP_FREE char *definition = libvirt_guest_definition(LIBVIRT_GUEST, "");
	const struct hypervisor_operations *operations = fixture->driver->operations;

	if (operations->define(fixture->host, definition, true, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
	assert_true(look(fixture, LIBVIRT_GUEST).has_autostart);
	assert_int_equal(operations->define(fixture->host, definition, false, &fixture->error), 0);
	assert_false(look(fixture, LIBVIRT_GUEST).has_autostart);
	bring_into(fixture, GUEST_RUNNING);
	assert_int_equal(operations->define(fixture->host, definition, true, &fixture->error), -ESTALE);
	assert_non_null(strstr(fixture->error.text, "running"));
	assert_false(look(fixture, LIBVIRT_GUEST).has_autostart);
	assert_int_equal(operations->define(fixture->host, "<domain/>", true, &fixture->error), -EINVAL);
}

static void autostart_is_set(void **state)
{
	struct libvirt_fixture *fixture = *state;
	const struct hypervisor_operations *operations = fixture->driver->operations;

	assert_int_equal(operations->set_autostart(fixture->host, LIBVIRT_GUEST, true, &fixture->error), -ENOENT);
	define(fixture, LIBVIRT_GUEST, "");
	assert_int_equal(operations->set_autostart(fixture->host, LIBVIRT_GUEST, true, &fixture->error), 0);
	assert_true(look(fixture, LIBVIRT_GUEST).has_autostart);
	assert_int_equal(operations->set_autostart(fixture->host, LIBVIRT_GUEST, false, &fixture->error), 0);
	assert_false(look(fixture, LIBVIRT_GUEST).has_autostart);
}

static void make_volume(const struct libvirt_fixture *fixture, const char *name)
{
	virStoragePoolPtr pool = virStoragePoolLookupByName(fixture->connection, LIBVIRT_POOL);
	CLEANUP_FREE char *definition =
		text_format("<volume><name>%s</name><capacity unit='MiB'>1</capacity></volume>", name);
	virStorageVolPtr volume = virStorageVolCreateXML(pool, definition, 0);

	assert_non_null(volume);
	virStorageVolFree(volume);
	virStoragePoolFree(pool);
}

static bool has_volume(const struct libvirt_fixture *fixture, const char *name)
{
	virStoragePoolPtr pool = virStoragePoolLookupByName(fixture->connection, LIBVIRT_POOL);
	virStorageVolPtr volume = virStorageVolLookupByName(pool, name);
	bool is_there = volume != NULL;

	if (volume)
		virStorageVolFree(volume);
	virStoragePoolFree(pool);
	return is_there;
}

static void stop_pool(const struct libvirt_fixture *fixture)
{
	virStoragePoolPtr pool = virStoragePoolLookupByName(fixture->connection, LIBVIRT_POOL);

	assert_int_equal(virStoragePoolDestroy(pool), 0);
	virStoragePoolFree(pool);
}

static void disks_are_there_with_all_their_bytes_or_named(void **state)
{
	static const struct {
		struct hypervisor_volume volume;
		int result;
	} cases[] = {
		{ { LIBVIRT_POOL, "one", MIB }, 0 },           { { LIBVIRT_POOL, "one", 0 }, 0 },
		{ { LIBVIRT_POOL, "one", MIB + 1 }, -ESTALE }, { { LIBVIRT_POOL, "missing", 0 }, -ESTALE },
		{ { "no-pool", "one", 0 }, -ESTALE },
	};
	struct libvirt_fixture *fixture = *state;
	const struct hypervisor_operations *operations = fixture->driver->operations;

	make_volume(fixture, "one");
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const struct hypervisor_volume two[] = { cases[0].volume, cases[i].volume };

		assert_int_equal(operations->verify_disks(fixture->host, two, 2, &fixture->error), cases[i].result);
		if (cases[i].result < 0)
			assert_non_null(strstr(fixture->error.text, cases[i].volume.name));
		assert_int_equal(fixture->error.code, -cases[i].result);
		error_clear(&fixture->error);
	}
	stop_pool(fixture);
	assert_int_equal(operations->verify_disks(fixture->host, &cases[0].volume, 1, &fixture->error), -ESTALE);
}

/* The disk in it keeps its capacity, which its first bytes have. */
static void a_disk_whose_file_was_cut_off_is_not_whole(void **state)
{
	static const struct hypervisor_volume volume = { LIBVIRT_POOL, "one", MIB / 2 };
	struct libvirt_fixture *fixture = *state;
	const struct hypervisor_operations *operations = fixture->driver->operations;

	make_volume(fixture, "one");
	fake.file_bytes = MIB / 2;
	assert_int_equal(operations->verify_disks(fixture->host, &volume, 1, &fixture->error), 0);
	fake.file_bytes--;
	assert_int_equal(operations->verify_disks(fixture->host, &volume, 1, &fixture->error), -ESTALE);
	assert_non_null(strstr(fixture->error.text, "524287 bytes instead of 524288"));
}

static int remove_volume(struct libvirt_fixture *fixture, const char *pool, const char *name)
{
	const struct hypervisor_volume volume = { pool, name, 0 };

	return fixture->driver->operations->remove_volume(fixture->host, &volume, &fixture->error);
}

static void a_disk_that_a_guest_names_stays(void **state)
{
	static const char *const devices[] = {
		"<disk type='file'><source file='/default-pool/one'/><target dev='vda'/></disk>",
		"<disk type='volume'><source pool='" LIBVIRT_POOL "' volume='one'/><target dev='vda'/></disk>",
		"<disk type='block'><source dev='/default-pool/one'/><target dev='vda'/></disk>",
	};
	struct libvirt_fixture *fixture = *state;

	make_volume(fixture, "one");
	for (size_t i = 0; i < ARRAY_LENGTH(devices); i++) {
		define(fixture, LIBVIRT_GUEST, devices[i]);
		assert_int_equal(remove_volume(fixture, LIBVIRT_POOL, "one"), -ESTALE);
		assert_non_null(strstr(fixture->error.text, "guest-1111"));
		assert_true(has_volume(fixture, "one"));
	}
	define(fixture, LIBVIRT_GUEST, "");
	fake.breaks_definitions = true; /* then it cannot be known */
	assert_int_equal(remove_volume(fixture, LIBVIRT_POOL, "one"), -EIO);
	assert_true(has_volume(fixture, "one"));
	fake.breaks_definitions = false;
	assert_int_equal(remove_volume(fixture, LIBVIRT_POOL, "one"), 0);
	assert_false(has_volume(fixture, "one"));
	assert_int_equal(remove_volume(fixture, LIBVIRT_POOL, "one"), 0);
	assert_int_equal(remove_volume(fixture, "no-pool", "one"), -ENODEV);
	stop_pool(fixture);
	assert_int_equal(remove_volume(fixture, LIBVIRT_POOL, "one"), -ENODEV);
}

static void a_backing_file_is_used_too(void **state)
{
	static const char definition[] = "<domain><uuid> " LIBVIRT_GUEST
					 "\n</uuid><devices><disk><source file='/a/top'/><backingStore type='file'>"
					 "<source file='/a/base'/></backingStore></disk><tpm><backend "
					 "type='emulator'/></tpm></devices></domain>";
	CLEANUP_FREE char *uuid = definition_uuid(definition);

	(void)state;
	assert_string_equal(uuid, LIBVIRT_GUEST);
	assert_null(definition_uuid("<domain/>"));
	assert_null(definition_uuid("none"));
	assert_int_equal(definition_uses(definition, &(struct definition_volume){ .path = "/a/base" }), 1);
	assert_int_equal(definition_uses(definition, &(struct definition_volume){ .path = "/a/other" }), 0);
	assert_int_equal(definition_uses("none", &(struct definition_volume){ .path = "/a/base" }), -EINVAL);
	assert_int_equal(definition_has_tpm_state(definition), 1);
	assert_int_equal(definition_has_tpm_state("<domain/>"), 0);
	assert_int_equal(definition_has_tpm_state("none"), -EINVAL);
}

#define WITH_HOST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOST(a_guest_is_removed_in_the_states_that_were_named_alone),
		WITH_HOST(what_libvirt_keeps_beside_the_disks_stays),
		WITH_HOST(a_guest_without_a_definition_goes_with_its_qemu),
		WITH_HOST(a_guest_without_a_definition_is_not_stopped),
		WITH_HOST(a_guest_that_is_started_while_its_definition_goes_gets_it_back),
		WITH_HOST(a_guest_whose_qemu_hangs_is_busy_and_neither_asked_nor_removed),
		WITH_HOST(the_progress_of_a_guest_that_goes_down_or_whose_qemu_hangs_is_not_read),
		WITH_HOST(a_guest_that_goes_down_is_stopping_and_waited_for),
		WITH_HOST(a_guest_that_cannot_be_read_is_listed_as_silent),
		WITH_HOST(a_guest_is_defined_over_one_that_is_off_alone),
		WITH_HOST(autostart_is_set),
		WITH_HOST(disks_are_there_with_all_their_bytes_or_named),
		WITH_HOST(a_disk_whose_file_was_cut_off_is_not_whole),
		WITH_HOST(a_disk_that_a_guest_names_stays),
		cmocka_unit_test(a_backing_file_is_used_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
