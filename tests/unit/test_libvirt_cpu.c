/* Whether a host can give a guest its CPU: what is read of the guest's document, what libvirt is asked, what its answers come to.
 * libvirt's comparison and its last
 * error are this file's: they take the library's place in this program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <libvirt/virterror.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "server/settings.h"
#include "server/worker/libvirt/cpu.h"
#include "server/worker/libvirt/driver.h"

#define GUEST "2f1c3c52-8a41-4c0e-9d5b-0a5b3f6f4c11"

/* As a host with KVM shows a guest without <cpu> while it runs: the kind's default CPU, without what the host cannot give. */
static const char running[] =
	"<domain type='kvm' id='3'><name>web</name><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>"
	"<cpu mode='custom' match='exact' check='full'><model fallback='forbid'>qemu64</model>"
	"<feature policy='disable' name='pni'/><feature policy='require' name='hypervisor'/>"
	"<feature policy='disable' name='svm'/></cpu>"
	"<devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices></domain>";

/* The answers, in turn, and what was asked last. */
static struct {
	int comparisons[8];
	int codes[8]; /* of virErrorNumber; where the comparison is VIR_CPU_COMPARE_ERROR */
	int domains[8]; /* of virErrorDomain; 0: libvirt's QEMU driver */
	char message[64];
	virError cause;
	unsigned int asked;
	unsigned int flags;
	char emulator[64], arch[16], machine[32], kind[16], cpu[1024];
} libvirt;

int virConnectCompareHypervisorCPU(virConnectPtr connection, const char *emulator, const char *arch,
				   const char *machine, const char *virttype, const char *cpu, unsigned int flags)
{
	unsigned int turn = libvirt.asked++ % ARRAY_LENGTH(libvirt.comparisons);

	assert_non_null(connection);
	libvirt.flags = flags;
	snprintf(libvirt.emulator, sizeof(libvirt.emulator), "%s", emulator ? emulator : "");
	snprintf(libvirt.arch, sizeof(libvirt.arch), "%s", arch ? arch : "");
	snprintf(libvirt.machine, sizeof(libvirt.machine), "%s", machine ? machine : "");
	snprintf(libvirt.kind, sizeof(libvirt.kind), "%s", virttype ? virttype : "");
	snprintf(libvirt.cpu, sizeof(libvirt.cpu), "%s", cpu);
	libvirt.cause = (virError){ .code = libvirt.codes[turn],
				    .domain = libvirt.domains[turn] ? libvirt.domains[turn] : VIR_FROM_QEMU,
				    .level = VIR_ERR_ERROR,
				    .message = libvirt.message };
	return libvirt.comparisons[turn];
}

virErrorPtr virGetLastError(void)
{
	return libvirt.cause.code ? &libvirt.cause : NULL;
}

struct fixture {
	struct hypervisor *driver;
	struct hypervisor_host *source, *target;
	virConnectPtr connection; /* a look into the same two hosts, which are libvirt's test driver */
};

static const struct hypervisor_settings settings = { .connect_timeout_s = 5,
						     .keepalive_interval_s = -1,
						     .keepalive_count = 0 };

static int setup(void **state)
{
	static struct fixture fixture;
	const struct hypervisor_address source = { .host_id = 1, .name = "one", .uri = "test:///default" };
	const struct hypervisor_address target = { .host_id = 2, .name = "two", .uri = "test:///default" };
	struct error error = { 0 };

	memset(&libvirt, 0, sizeof(libvirt));
	snprintf(libvirt.message, sizeof(libvirt.message), "for a reason");
	for (size_t i = 0; i < ARRAY_LENGTH(libvirt.comparisons); i++)
		libvirt.comparisons[i] = VIR_CPU_COMPARE_SUPERSET;
	assert_int_equal(libvirt_driver_create(&settings, "node", NULL, &fixture.driver, &error), 0);
	assert_int_equal(fixture.driver->operations->open_host(fixture.driver, &source, &fixture.source, &error), 0);
	assert_int_equal(fixture.driver->operations->open_host(fixture.driver, &target, &fixture.target, &error), 0);
	fixture.connection = virConnectOpen("test:///default");
	assert_non_null(fixture.connection);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	virConnectClose(fixture->connection);
	fixture->driver->operations->close_host(fixture->source);
	fixture->driver->operations->close_host(fixture->target);
	fixture->driver->operations->destroy(fixture->driver);
	return 0;
}

static void refuse(unsigned int turn, int code)
{
	libvirt.comparisons[turn] = VIR_CPU_COMPARE_ERROR;
	libvirt.codes[turn] = code;
}

static int compare(struct fixture *fixture, const char *definition, enum cpu_document document, struct error *error)
{
	CLEANUP_CPU_QUESTION struct cpu_question question = { 0 };

	*error = (struct error){ 0 };
	assert_int_equal(cpu_question_read(definition, document, &question, error), 0);
	return libvirt_cpu_compare(libvirt_host_of(fixture->target), &question, error);
}

static void the_cpu_that_the_guest_has_is_asked_for_its_kind_emulator_and_machine(void **state)
{
	struct error error = { 0 };

	assert_int_equal(compare(*state, running, CPU_AS_IT_RUNS, &error), 0);
	assert_int_equal(libvirt.asked, 1);
	assert_int_equal(libvirt.flags, VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE);
	assert_string_equal(libvirt.kind, "kvm");
	assert_string_equal(libvirt.emulator, "/usr/bin/qemu-system-x86_64");
	assert_string_equal(libvirt.arch, "x86_64");
	assert_string_equal(libvirt.machine, "pc-q35-7.2");
	assert_int_equal(strncmp(libvirt.cpu, "<cpu ", 5), 0);
	assert_non_null(strstr(libvirt.cpu, ">qemu64</model>"));
	assert_non_null(strstr(libvirt.cpu, "<feature policy=\"disable\" name=\"svm\"/>"));
	assert_non_null(strstr(libvirt.cpu, "<feature policy=\"disable\" name=\"pni\"/>"));
	assert_non_null(strstr(libvirt.cpu, "</cpu>"));
}

static void what_asks_for_no_cpu_is_not_compared(void **state)
{
	static const struct {
		const char *cpu;
		enum cpu_document document;
		bool is_compared;
	} rows[] = {
		{ "", CPU_AS_IT_RUNS, false },
		{ "", CPU_AS_DEFINED, false },
		{ "<cpu mode='host-passthrough' check='none' migratable='on'/>", CPU_AS_IT_RUNS, false },
		{ "<cpu mode='host-passthrough' check='none' migratable='on'/>", CPU_AS_DEFINED, false },
		{ "<cpu mode='maximum' check='none'/>", CPU_AS_IT_RUNS, true },
		{ "<cpu mode='host-model' check='partial'/>", CPU_AS_DEFINED, false },
		{ "<cpu><topology sockets='1' cores='2' threads='1'/></cpu>", CPU_AS_DEFINED, false },
		/* What libvirt writes into the definition of a guest without <cpu>, and starts on any host. */
		{ "<cpu mode='custom' match='exact' check='none'><model>qemu64</model></cpu>", CPU_AS_DEFINED, false },
		{ "<cpu mode='custom' match='exact' check='partial'><model>EPYC</model></cpu>", CPU_AS_DEFINED, true },
		{ "<cpu mode='custom' match='exact' check='full'><model>EPYC</model></cpu>", CPU_AS_DEFINED, true },
		{ "<cpu mode='custom' match='exact' check='none'><model>EPYC</model></cpu>", CPU_AS_IT_RUNS, true },
	};
	char definition[512];
	struct error error = { 0 };

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		libvirt.asked = 0;
		snprintf(definition, sizeof(definition), "<domain type='qemu'>%s</domain>", rows[i].cpu);
		assert_int_equal(compare(*state, definition, rows[i].document, &error), 0);
		assert_int_equal(libvirt.asked, rows[i].is_compared);
	}
}

static void a_document_that_is_none_is_an_error(void **state)
{
	struct cpu_question question = { 0 };
	struct error error = { 0 };

	(void)state;
	assert_int_equal(cpu_question_read("<domain", CPU_AS_IT_RUNS, &question, &error), -EIO);
	assert_null(question.cpu);
}

static void each_answer_of_libvirts_has_its_consequence(void **state)
{
	static const struct {
		int comparison;
		int code;
		int domain;
		int result;
		const char *words;
	} rows[] = {
		{ VIR_CPU_COMPARE_IDENTICAL, 0, 0, 0, "" },
		{ VIR_CPU_COMPARE_ERROR, VIR_ERR_CPU_INCOMPATIBLE, VIR_FROM_CPU, -ECANCELED,
		  "host two cannot give the guest its CPU: for a reason" },
		{ VIR_CPU_COMPARE_INCOMPATIBLE, 0, 0, -ECANCELED,
		  "host two cannot give the guest its CPU: libvirt gave no reason" },
		{ VIR_CPU_COMPARE_ERROR, VIR_ERR_INVALID_ARG, 0, -ECANCELED,
		  "host two: cannot compare the guest's CPU: for a reason" },
		{ VIR_CPU_COMPARE_ERROR, VIR_ERR_SYSTEM_ERROR, 0, -ECANCELED,
		  "host two: cannot compare the guest's CPU: for a reason" },
		{ VIR_CPU_COMPARE_ERROR, VIR_ERR_RPC, VIR_FROM_RPC, -EHOSTUNREACH,
		  "host two: cannot compare the guest's CPU: for a reason" },
		/* libvirt does not compare there: it decides when the move begins. The first is an old libvirtd. */
		{ VIR_CPU_COMPARE_ERROR, VIR_ERR_NO_SUPPORT, VIR_FROM_REMOTE, 0, "" },
		{ VIR_CPU_COMPARE_ERROR, VIR_ERR_CONFIG_UNSUPPORTED, 0, 0, "" },
		{ VIR_CPU_COMPARE_ERROR, VIR_ERR_OPERATION_UNSUPPORTED, 0, 0, "" },
	};
	struct error error = { 0 };

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		libvirt.asked = 0;
		libvirt.comparisons[0] = rows[i].comparison;
		libvirt.codes[0] = rows[i].code;
		libvirt.domains[0] = rows[i].domain;
		assert_int_equal(compare(*state, running, CPU_AS_IT_RUNS, &error), rows[i].result);
		assert_string_equal(error.text, rows[i].words);
		assert_int_equal(error.code, -rows[i].result);
	}
}

static void note(struct fixture *fixture, const char *capabilities)
{
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	struct error error = { 0 };
	struct libvirt_host *host = libvirt_host_of(fixture->target);

	assert_int_equal(libvirt_connection_get(host, &connection, &error), 0);
	libvirt_cpu_note_capabilities(host, connection, capabilities);
}

/* How often libvirt has been asked when the question was put once more. */
static unsigned int asked_for(struct fixture *fixture, const char *definition, int result)
{
	struct error error;

	assert_int_equal(compare(fixture, definition, CPU_AS_IT_RUNS, &error), result);
	return libvirt.asked;
}

static void a_host_that_can_is_asked_again_only_when_it_or_the_question_changed(void **state)
{
	static const char emulated[] = "<domain type='qemu'><cpu mode='custom'><model>qemu64</model></cpu></domain>";
	struct fixture *fixture = *state;

	assert_int_equal(asked_for(fixture, running, 0), 1);
	assert_int_equal(asked_for(fixture, running, 0), 2); /* its capabilities are not known: nothing is remembered */
	note(fixture, "<capabilities/>");
	assert_int_equal(asked_for(fixture, running, 0), 3);
	assert_int_equal(asked_for(fixture, running, 0), 3);
	assert_int_equal(asked_for(fixture, emulated, 0), 4);
	assert_int_equal(asked_for(fixture, emulated, 0), 4);
	assert_int_equal(asked_for(fixture, running, 0), 4);
	note(fixture, "<capabilities><host/></capabilities>"); /* a newer QEMU */
	assert_int_equal(asked_for(fixture, running, 0), 5);
	libvirt_connection_close(libvirt_host_of(fixture->target));
	note(fixture, "<capabilities><host/></capabilities>"); /* over another connection */
	assert_int_equal(asked_for(fixture, running, 0), 6);
}

static void a_host_that_cannot_is_asked_each_time(void **state)
{
	struct fixture *fixture = *state;

	note(fixture, "<capabilities/>");
	refuse(0, VIR_ERR_CPU_INCOMPATIBLE);
	assert_int_equal(asked_for(fixture, running, -ECANCELED), 1);
	assert_int_equal(asked_for(fixture, running, 0), 2);
}

/* Defined on both hosts, which are the same test driver; its definition names a model and has it compared. */
static virDomainPtr define_guest(struct fixture *fixture)
{
	virDomainPtr domain =
		virDomainDefineXML(fixture->connection, "<domain type='test'><name>guest</name><uuid>" GUEST "</uuid>"
							"<memory>8192</memory><os><type arch='i686'>hvm</type></os>"
							"<cpu mode='custom' match='exact' check='partial'>"
							"<model fallback='allow'>core2duo</model></cpu></domain>");

	assert_non_null(domain);
	return domain;
}

static int check(struct fixture *fixture, bool is_live, struct check_result *ret_check, struct error *error)
{
	*ret_check = (struct check_result){ .refusal = CHECK_PASSED };
	*error = (struct error){ 0 };
	libvirt.asked = 0;
	return libvirt_check_cpu(libvirt_host_of(fixture->source), libvirt_host_of(fixture->target), GUEST, is_live,
				 ret_check, error);
}

static void a_guest_that_is_started_there_is_refused_only_where_its_own_host_would_take_it(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_DOMAIN virDomainPtr domain = define_guest(fixture);
	struct check_result result;
	struct error error;

	assert_int_equal(check(fixture, false, &result, &error), 0);
	assert_int_equal(libvirt.asked, 1);
	assert_non_null(strstr(libvirt.cpu, "core2duo"));

	snprintf(libvirt.message, sizeof(libvirt.message), "missing features: ssse3");
	refuse(0, VIR_ERR_CPU_INCOMPATIBLE); /* the target says no, its own host yes */
	assert_int_equal(check(fixture, false, &result, &error), -ECANCELED);
	assert_int_equal(result.refusal, CHECK_REFUSED_BY_TARGET);
	assert_string_equal(error.text, "host two cannot give the guest its CPU: missing features: ssse3");
	assert_int_equal(libvirt.asked, 2);

	refuse(1, VIR_ERR_CPU_INCOMPATIBLE); /* both say no, and it was started there */
	assert_int_equal(check(fixture, false, &result, &error), 0);
	assert_int_equal(result.refusal, CHECK_PASSED);
	assert_int_equal(error.code, 0);

	assert_int_equal(virDomainUndefine(domain), 0);
}

static void a_running_guest_is_judged_by_the_target_alone(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_DOMAIN virDomainPtr domain = define_guest(fixture);
	struct check_result result;
	struct error error;

	assert_int_equal(virDomainCreate(domain), 0);
	refuse(0, VIR_ERR_CPU_INCOMPATIBLE);
	refuse(1, VIR_ERR_CPU_INCOMPATIBLE);
	assert_int_equal(check(fixture, true, &result, &error), -ECANCELED);
	assert_int_equal(result.refusal, CHECK_REFUSED_BY_TARGET);
	assert_int_equal(libvirt.asked, 1);
	libvirt.domains[0] = VIR_FROM_RPC;
	refuse(0, VIR_ERR_RPC);
	assert_int_equal(check(fixture, true, &result, &error), -EHOSTUNREACH); /* no refusal: nothing is known */
	assert_int_equal(result.refusal, CHECK_PASSED);
	assert_int_equal(virDomainDestroy(domain), 0);
	assert_int_equal(virDomainUndefine(domain), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_cpu_that_the_guest_has_is_asked_for_its_kind_emulator_and_machine,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_asks_for_no_cpu_is_not_compared, setup, teardown),
		cmocka_unit_test(a_document_that_is_none_is_an_error),
		cmocka_unit_test_setup_teardown(each_answer_of_libvirts_has_its_consequence, setup, teardown),
		cmocka_unit_test_setup_teardown(a_host_that_can_is_asked_again_only_when_it_or_the_question_changed,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_host_that_cannot_is_asked_each_time, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_guest_that_is_started_there_is_refused_only_where_its_own_host_would_take_it, setup,
			teardown),
		cmocka_unit_test_setup_teardown(a_running_guest_is_judged_by_the_target_alone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
