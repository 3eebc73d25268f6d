/* What is read of libvirt's documents: names that hosts offer and guests need, and what keeps a guest where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/worker/libvirt/facts.h"

static const char capabilities[] =
	"<capabilities><host><cpu><arch>x86_64</arch><model>Skylake-Server</model><vendor>Intel</vendor>"
	"<topology sockets='2' dies='1' cores='8' threads='2'/><feature name='avx512f'/><feature name='vmx'/></cpu>"
	"<topology><cells num='2'/></topology></host>"
	"<guest><os_type>hvm</os_type><arch name='x86_64'><emulator>/usr/bin/qemu-system-x86_64</emulator>"
	"<machine maxCpus='255' canonical='pc-q35-7.2'>q35</machine>"
	"<machine maxCpus='255'>pc-q35-7.2</machine><domain type='qemu'/><domain type='kvm'/></arch></guest>"
	"</capabilities>";

static bool lists(const json_t *object, const char *key, const char *name)
{
	const json_t *list = json_object_get(object, key);

	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), name) == 0)
			return true;
	return false;
}

static void a_host_offers_its_types_machines_with_aliases_and_its_cpu(void **state)
{
	json_t *offers = facts_offers(capabilities);

	(void)state;
	assert_true(lists(offers, "guest_types", "x86_64/kvm"));
	assert_true(lists(offers, "guest_types", "x86_64/qemu"));
	assert_true(lists(offers, "machines", "x86_64/q35"));
	assert_true(lists(offers, "machines", "x86_64/pc-q35-7.2"));
	assert_int_equal(json_array_size(json_object_get(offers, "machines")), 2);
	assert_true(lists(offers, "host_cpu", "Intel/Skylake-Server"));
	json_decref(offers);
}

static void what_a_host_does_not_tell_is_left_out(void **state)
{
	static const char *const texts[] = { "", "<capabilities/>", "no document" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		json_t *offers = facts_offers(texts[i]);
		json_t *cpu = facts_cpu_info(texts[i]);

		assert_int_equal(json_object_size(offers), 0);
		assert_true(json_is_object(cpu));
		assert_null(facts_host_cpu(texts[i]));
		json_decref(offers);
		json_decref(cpu);
	}
}

static void cpu_info_has_novas_form(void **state)
{
	json_t *cpu = facts_cpu_info(capabilities);
	json_t *topology = json_object_get(cpu, "topology");

	(void)state;
	assert_string_equal(json_string_value(json_object_get(cpu, "arch")), "x86_64");
	assert_string_equal(json_string_value(json_object_get(cpu, "vendor")), "Intel");
	assert_int_equal(json_integer_value(json_object_get(topology, "cells")), 2);
	assert_int_equal(json_integer_value(json_object_get(topology, "sockets")), 2);
	assert_int_equal(json_integer_value(json_object_get(topology, "cores")), 8);
	assert_int_equal(json_integer_value(json_object_get(topology, "threads")), 2);
	assert_true(lists(cpu, "features", "avx512f"));
	json_decref(cpu);
}

static char skylake[] = "Intel/Skylake-Server";
static const struct facts_host on_skylake = { .cpu = skylake };

static void a_guest_needs_its_machine_networks_cpu_and_pinned_processors(void **state)
{
	json_t *needs = facts_needs("<domain type='kvm'><vcpu cpuset='0-3,^2,6'>2</vcpu>"
				    "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>"
				    "<cpu mode='custom'><model>Haswell</model></cpu>"
				    "<cputune><vcpupin vcpu='0' cpuset='4-11'/></cputune><devices>"
				    "<interface type='bridge'><source bridge='br-int'/></interface>"
				    "<interface type='network'><source network='default'/></interface>"
				    "</devices></domain>",
				    &on_skylake);

	(void)state;
	assert_true(lists(needs, "guest_types", "x86_64/kvm"));
	assert_true(lists(needs, "machines", "x86_64/pc-q35-7.2"));
	assert_null(json_object_get(needs, "host_cpu"));
	assert_true(lists(needs, "networks", "bridge/br-int"));
	assert_true(lists(needs, "networks", "network/default"));
	assert_int_equal(json_integer_value(json_object_get(needs, "highest_pinned_cpu")), 11);
	json_decref(needs);

	needs = facts_needs("<domain type='kvm'><cpu mode='host-passthrough'/></domain>", &on_skylake);
	assert_true(lists(needs, "host_cpu", "Intel/Skylake-Server"));
	assert_null(json_object_get(needs, "highest_pinned_cpu"));
	json_decref(needs);
}

/* A host with KVM says that it cannot give the bare qemu64, for want of `svm`, and takes any guest that runs with it. */
static void no_name_of_a_cpu_model_or_feature_decides_where_a_guest_may_go(void **state)
{
	json_t *needs = facts_needs("<domain type='kvm'><cpu mode='custom' match='exact' check='full'>"
				    "<model fallback='forbid'>qemu64</model><feature policy='disable' name='svm'/>"
				    "<feature policy='require' name='x2apic'/></cpu></domain>",
				    &on_skylake);
	CLEANUP_FREE char *text = json_dumps(needs, JSON_COMPACT);

	(void)state;
	assert_string_equal(text, "{\"networks\":[]}");
	json_decref(needs);
}

/* libvirt runs and moves it though the hosts' default emulator knows no such machine type. */
static void a_guest_with_an_emulator_of_its_own_needs_no_machine_that_the_default_one_has(void **state)
{
	static const struct {
		const char *emulator;
		bool is_default;
	} rows[] = {
		{ "<devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>", true },
		{ "<devices/>", true },
		{ "<devices><emulator>/opt/qemu-9/bin/qemu-system-x86_64</emulator></devices>", false },
	};
	CLEANUP_FACTS_HOST struct facts_host host, silent;

	(void)state;
	facts_host_read(capabilities, &host);
	facts_host_read(NULL, &silent);
	assert_string_equal(host.cpu, "Intel/Skylake-Server");
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_FREE char *definition =
			text_format("<domain type='kvm'><os><type arch='x86_64' machine='pc-q35-9.0'>"
				    "hvm</type></os>%s</domain>",
				    rows[i].emulator);
		json_t *needs = facts_needs(definition, &host), *unknown = facts_needs(definition, &silent);

		assert_int_equal(lists(needs, "machines", "x86_64/pc-q35-9.0"), rows[i].is_default);
		assert_int_equal(lists(needs, "guest_types", "x86_64/kvm"), rows[i].is_default);
		assert_true(lists(unknown, "machines", "x86_64/pc-q35-9.0"));
		json_decref(needs);
		json_decref(unknown);
	}
}

static void what_keeps_a_guest_on_its_host_is_named(void **state)
{
	static const struct {
		const char *definition;
		int snapshots;
		const char *word; /* NULL: nothing does */
	} rows[] = {
		{ "<domain><devices><disk device='disk'/><interface type='bridge'/></devices></domain>", 0, NULL },
		{ "<domain><devices><hostdev mode='subsystem' type='pci'/></devices></domain>", 0,
		  "device of its host" },
		{ "<domain><devices><interface type='hostdev'/></devices></domain>", 0, "network device" },
		{ "<domain><devices><tpm><backend type='emulator'/></tpm></devices></domain>", 0, "TPM" },
		{ "<domain><devices><disk device='cdrom'><source file='/a.iso'/></disk></devices></domain>", 0,
		  "CD-ROM" },
		{ "<domain><devices><disk device='cdrom'><target dev='sda'/></disk></devices></domain>", 0, NULL },
		{ "<domain><devices><filesystem type='mount'/></devices></domain>", 0, "folder" },
		{ "<domain><os><kernel>/boot/k</kernel></os></domain>", 0, "kernel" },
		{ "<domain/>", 2, "2 snapshots" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		json_t *found = facts_obstacles(rows[i].definition, rows[i].snapshots);

		assert_int_equal(json_array_size(found), rows[i].word ? 1 : 0);
		if (rows[i].word)
			assert_non_null(strstr(json_string_value(json_array_get(found, 0)), rows[i].word));
		json_decref(found);
	}
}

/* As libvirt's netcf backend tells of an interface; its udev backend leaves the protocols out. */
static void addresses_of_a_nic_are_read_where_libvirt_tells_them(void **state)
{
	static const char nic[] = "<interface type='bridge' name='br-mig'><start mode='onboot'/>"
				  "<protocol family='ipv4'><ip address='198.51.100.7' prefix='24'/></protocol>"
				  "<protocol family='ipv6'><ip address='fd00::7' prefix='64'/>"
				  "<ip address='fe80::1' prefix='64'/></protocol>"
				  "<bridge><interface type='ethernet' name='ens4'><mac address='02:00:00:00:00:01'/>"
				  "<protocol family='ipv4'><ip address='203.0.113.9' prefix='24'/></protocol>"
				  "</interface></bridge></interface>";
	json_t *told = facts_addresses(nic), *silent = facts_addresses("<interface name='ens4'/>"),
	       *broken = facts_addresses("<interface");

	(void)state;
	CLEANUP_FREE char *text = json_dumps(told, JSON_COMPACT);
	assert_string_equal(text, "[\"198.51.100.7\",\"fd00::7\",\"fe80::1\"]"); /* not those of its ports */
	assert_int_equal(json_array_size(silent), 0);
	assert_int_equal(json_array_size(broken), 0);
	json_decref(told);
	json_decref(silent);
	json_decref(broken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_a_nic_are_read_where_libvirt_tells_them),
		cmocka_unit_test(a_host_offers_its_types_machines_with_aliases_and_its_cpu),
		cmocka_unit_test(what_a_host_does_not_tell_is_left_out),
		cmocka_unit_test(cpu_info_has_novas_form),
		cmocka_unit_test(a_guest_needs_its_machine_networks_cpu_and_pinned_processors),
		cmocka_unit_test(no_name_of_a_cpu_model_or_feature_decides_where_a_guest_may_go),
		cmocka_unit_test(a_guest_with_an_emulator_of_its_own_needs_no_machine_that_the_default_one_has),
		cmocka_unit_test(what_keeps_a_guest_on_its_host_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
