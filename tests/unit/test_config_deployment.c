/* The operator's OpenStackDeployment as configuration: what it sets, what of it is left alone, and which slips are told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/config.h"
#include "server/yaml_tree.h"
#include "tests/unit/config_fixture.h"

/* The document of the manual, word for word. */
#define REVERT                                                                                                         \
	"kind: OpenStackDeployment\n"                                                                                  \
	"spec:\n"                                                                                                      \
	"  features:\n"                                                                                                \
	"    policies:\n"                                                                                              \
	"      nova:\n"                                                                                                \
	"        os_compute_api:os-migrate-server:migrate: rule:context_is_admin\n"                                    \
	"        os_compute_api:os-migrate-server:migrate_live: rule:context_is_admin\n"
#define HEAD "kind: OpenStackDeployment\nspec:\n  features:\n"

static const struct policy_override *find_override(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->policy.override_count; i++)
		if (text_equal(config->policy.overrides[i].name, name))
			return &config->policy.overrides[i];
	return NULL;
}

static void read_both(const struct place *place, const char *own, const char *deployment, struct config *ret_config)
{
	CLEANUP_FREE char *first = write_file(place, "c.yaml", own);
	CLEANUP_FREE char *second = write_file(place, "d.yaml", deployment);
	const char *paths[] = { first, second };
	const struct config_source source = { .paths = paths, .count = 2, .keeps_origins = true };
	struct error error = { 0 };
	int result = config_read(&source, NULL, NULL, ret_config, &error);

	assert_string_equal(error.text, "");
	assert_int_equal(result, 0);
}

static void expect_refusal(const struct place *place, const char *own, const char *deployment, const char *problems)
{
	CLEANUP_FREE char *first = write_file(place, "c.yaml", own);
	CLEANUP_FREE char *second = write_file(place, "d.yaml", deployment);
	const char *paths[] = { first, second };
	const struct config_source source = { .paths = paths, .count = 2 };
	CLEANUP_CONFIG struct config config = { 0 };
	struct gathered gathered = { .place = place };
	struct error error = { 0 };

	assert_int_equal(config_read(&source, gather, &gathered, &config, &error), -EINVAL);
	assert_string_equal(gathered.text.data, problems);
	text_clear(&gathered.text);
}

static void the_revert_of_the_documents_is_taken_word_for_word(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };
	const struct policy_override *override;

	read_both(*state, AUTH, REVERT, &config);
	assert_int_equal(config.policy.override_count, 2);
	override = find_override(&config, "os_compute_api:os-migrate-server:migrate_live");
	assert_non_null(override);
	assert_int_equal(override->line, 7);
	assert_true(text_ends_with(override->file, "/d.yaml"));
}

static void a_whole_document_of_a_cloud_sets_what_is_ours_and_leaves_the_rest(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };

	read_both(*state, AUTH "hosts: [{name: cmp1, uri: 'qemu+tls://cmp1/system'}]\n",
		  "apiVersion: lcm.mirantis.com/v1alpha1\n"
		  "kind: OpenStackDeployment\n"
		  "metadata: {name: osh-dev, namespace: openstack, annotations: null}\n"
		  "spec:\n"
		  "  openstack_version: caracal\n"
		  "  preset: core\n"
		  "  features:\n"
		  "    glance: {backends: {file: {pvcstore: {default: true}}}}\n"
		  "    neutron: {tunnel_interface: ens3, floating_network: {enabled: true}}\n"
		  "    nova:\n"
		  "      images: {backend: local}\n"
		  "      vcpu_type: host-model\n"
		  "      live_migration_interface: ens4\n"
		  "      libvirt: {tls: {enabled: true}}\n"
		  "      allocation_ratios: {cpu: 8.0, ram: 1.5}\n"
		  "    services: []\n"
		  "  services: {compute: {nova: {values: {}}}}\n"
		  "status: {children: {}}\n",
		  &config);
	assert_string_equal(config.fleet.live_migration_interface, "ens4");
	assert_string_equal(config.fleet.tunnel_interface, "ens3");
	assert_true(config.worker.live_migration_with_native_tls);
	assert_true(config.worker.live_migration_permit_auto_converge); /* as MOSK's charts have it */
	assert_true(config.scheduler.cpu_allocation_ratio > 7.9);
	assert_true(config.scheduler.ram_allocation_ratio > 1.4 && config.scheduler.ram_allocation_ratio < 1.6);
	assert_true(config.scheduler.disk_allocation_ratio > 0.9 && config.scheduler.disk_allocation_ratio < 1.1);
	assert_string_equal(config.hosts[0].live_migration_interface, "ens4");
}

static void a_document_may_stand_in_the_same_file_or_in_a_list(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_CONFIG struct config listed = { 0 };

	read_good(*state, AUTH "---\n" REVERT, &config);
	assert_int_equal(config.policy.override_count, 2);
	read_both(*state, AUTH,
		  "apiVersion: v1\nkind: List\nitems:\n- apiVersion: lcm.mirantis.com/v1alpha1\n"
		  "  kind: OpenStackDeployment\n  spec: {features: {nova: {live_migration_interface: ens5}}}\n",
		  &listed);
	assert_string_equal(listed.fleet.live_migration_interface, "ens5");
}

static void overrides_of_nodes_hold_by_the_labels_of_a_host_the_last_one_first(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };

	read_both(*state,
		  AUTH "hosts:\n"
		       "- {name: a, uri: 'qemu+tcp://a/system', labels: {rack: r1}}\n"
		       "- {name: b, uri: 'qemu+tcp://b/system', labels: {rack: r1, nic: fast}}\n"
		       "- {name: c, uri: 'qemu+tcp://c/system', labels: {rack: r2}}\n"
		       "- {name: d, uri: 'qemu+tcp://d/system', labels: {rack: r1}, live_migration_interface: own0}\n",
		  "kind: OpenStackDeployment\n"
		  "spec:\n"
		  "  features: {nova: {live_migration_interface: ens1}}\n"
		  "  nodes:\n"
		  "    rack::r1:\n"
		  "      features: {nova: {live_migration_interface: ens2, allocation_ratios: {cpu: 2}}}\n"
		  "      services: {compute: {nova: {nova_compute: {values: {}}}}}\n"
		  "    nic::fast: {features: {nova: {live_migration_interface: ens3}}}\n"
		  "    kubernetes.io/hostname::c: {features: {nova: {live_migration_interface: ens4}}}\n"
		  "    openstack-control-plane::enabled: {features: {neutron: {dpdk: {enabled: true, driver: x}}}}\n",
		  &config);
	assert_string_equal(config.hosts[0].live_migration_interface, "ens2");
	assert_string_equal(config.hosts[1].live_migration_interface, "ens3");
	assert_string_equal(config.hosts[2].live_migration_interface, "ens4");
	assert_string_equal(config.hosts[3].live_migration_interface, "own0");
	assert_true(config.hosts[1].cpu_allocation_ratio > 1.9 && config.hosts[1].cpu_allocation_ratio < 2.1);
	assert_true(config.hosts[2].cpu_allocation_ratio < 0.1);
}

static void a_slip_beside_our_keys_is_told_with_the_right_name(void **state)
{
	expect_refusal(*state, AUTH, HEAD "    nova:\n      live_migration_interfase: ens3\n",
		       "d.yaml:5: spec.features.nova: the key \"live_migration_interfase\" is not known; did you mean "
		       "live_migration_interface?\n");
	expect_refusal(*state, AUTH, HEAD "    nova: {libvirt: {tls: {enable: true}}}\n",
		       "d.yaml:4: spec.features.nova.libvirt.tls: the key \"enable\" is not known; did you mean "
		       "enabled?\n");
	expect_refusal(*state, AUTH, HEAD "    polices: {nova: {}}\n",
		       "d.yaml:4: spec.features: the key \"polices\" is not known; did you mean policies?\n");
	expect_refusal(*state, AUTH, "kind: OpenStackDeployment\nspec:\n  feature: {}\n",
		       "d.yaml:3: spec: the key \"feature\" is not known; did you mean features?\n");
	expect_refusal(*state, AUTH,
		       "kind: OpenStackDeployment\nspec:\n  nodes:\n    a::b: {features: {nova: "
		       "{live_migration_interfaces: x}}}\n",
		       "d.yaml:4: spec.nodes.a::b.features.nova: the key \"live_migration_interfaces\" is not known; "
		       "did you mean live_migration_interface?\n");
	expect_refusal(*state, AUTH, "kind: OpenStackDeploymnt\nspec: {}\n",
		       "d.yaml:1: documents of the kind \"OpenStackDeploymnt\" are not known, but OpenStackDeployment "
		       "is\n");
}

static void a_value_of_the_wrong_type_is_told(void **state)
{
	expect_refusal(*state, AUTH, HEAD "    nova:\n      live_migration_interface: [ens3]\n",
		       "d.yaml:5: spec.features.nova.live_migration_interface: expected a text, found a list\n");
	expect_refusal(*state, AUTH, HEAD "    nova:\n      live_migration_interface: a name with blanks\n",
		       "d.yaml:5: spec.features.nova.live_migration_interface: expected the name of a NIC: at most 15 "
		       "characters without blanks, / and :, found \"a name with blanks\"\n");
	expect_refusal(*state, AUTH, HEAD "    nova: {libvirt: {tls: {enabled: perhaps}}}\n",
		       "d.yaml:4: spec.features.nova.libvirt.tls.enabled: expected true or false, found \"perhaps\"\n");
	expect_refusal(*state, AUTH, HEAD "    nova: {libvirt: {tls: true}}\n",
		       "d.yaml:4: spec.features.nova.libvirt.tls: expected a mapping of keys to values, found a single "
		       "value\n");
	expect_refusal(
		*state, AUTH, HEAD "    policies: {nova: [x]}\n",
		"d.yaml:4: spec.features.policies.nova: expected a mapping of policies to rules, found a list\n");
	expect_refusal(*state, AUTH, "kind: OpenStackDeployment\nspec: {nodes: {rack: x, '::y': {}, a::b::c: {}}}\n",
		       "d.yaml:2: spec.nodes.rack: expected a mapping of keys to values, found a single value\n"
		       "d.yaml:2: spec.nodes.::y: expected LABEL::VALUE, as node-specific overrides have it, found "
		       "\"::y\"\n"
		       "d.yaml:2: spec.nodes.a::b::c: expected LABEL::VALUE, as node-specific overrides have it, found "
		       "\"a::b::c\"\n");
	expect_refusal(
		*state, AUTH, HEAD "    nova: {allocation_ratios: {cpu: 0}}\n",
		"d.yaml:4: spec.features.nova.allocation_ratios.cpu: expected a number from 0.01 to 1e+06, found "
		"\"0\"\n");
}

static void two_answers_to_one_question_are_told_with_both_places(void **state)
{
	expect_refusal(*state, AUTH "libvirt: {live_migration_with_native_tls: false}\n",
		       HEAD "    nova: {libvirt: {tls: {enabled: true}}}\n",
		       "d.yaml:4: spec.features.nova.libvirt.tls.enabled: libvirt.live_migration_with_native_tls in "
		       "c.yaml:2 says something else: leave one of them out\n");
	expect_refusal(*state, AUTH "libvirt: {live_migration_interface: eth0}\n",
		       HEAD "    nova: {live_migration_interface: eth1}\n",
		       "d.yaml:4: spec.features.nova.live_migration_interface: libvirt.live_migration_interface in "
		       "c.yaml:2 says something else: leave one of them out\n");
	expect_refusal(*state, AUTH "hosts:\n- {name: a, uri: 'qemu+tcp://a/system', migration_address: 192.0.2.1}\n",
		       HEAD "    nova: {live_migration_interface: eth1}\n",
		       "c.yaml:3: host a: migration_address and live_migration_interface eth1 both say where its "
		       "migrations go: leave one of them out\n");
	expect_refusal(*state, AUTH "hosts:\n- {name: a, uri: 'qemu+tcp://a/system'}\n",
		       HEAD "    nova: {libvirt: {tls: {enabled: true}}}\n",
		       "c.yaml:3: host a: TLS is demanded (libvirt.live_migration_with_native_tls), but "
		       "qemu+tcp://a/system is not encrypted: use qemu+tls\n");
}

static void of_two_files_the_later_one_counts_key_by_key(void **state)
{
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_TEXT struct text printed = TEXT_EMPTY;

	read_both(*state, AUTH "listener: {port: 1234, threads: 2}\nhosts: [{name: a, uri: 'test:///default'}]\n",
		  "listener: {port: 4321}\nhosts: [{name: b, uri: 'test:///default'}]\n", &config);
	assert_int_equal(config.listener.port, 4321);
	assert_int_equal(config.listener.threads, 2);
	assert_int_equal(config.token.key_count, 1);
	assert_int_equal(config.host_count, 1);
	assert_string_equal(config.hosts[0].name, "b");
	config_print(&config, &printed);
	assert_non_null(strstr(printed.data, "/d.yaml:1\n"));
	assert_non_null(strstr(printed.data, "listener.threads: 2  # /"));
	assert_non_null(strstr(printed.data, "listener.idle_timeout: 60  # default\n"));
}

static void where_each_value_comes_from_is_printed(void **state)
{
	const struct place *place = *state;
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_TEXT struct text printed = TEXT_EMPTY;
	CLEANUP_TEXT struct text expected = TEXT_EMPTY;

	read_both(place,
		  AUTH "hosts: [{name: a, uri: 'test:///default', labels: {rack: r1}, interfaces: {e1: 192.0.2.7}}]\n",
		  "kind: OpenStackDeployment\nspec:\n  nodes:\n    rack::r1:\n      features:\n        nova:\n"
		  "          live_migration_interface: e1\n",
		  &config);
	config_print(&config, &printed);
	text_append_format(&expected, "hosts[0].live_migration_interface: e1  # %s/d.yaml:4\n", place->directory);
	assert_non_null(strstr(printed.data, expected.data));
	assert_non_null(strstr(printed.data, "hosts[0].interfaces: {e1: \"192.0.2.7\"}  # "));
	expect_problems(place, AUTH "hosts: [{name: a, uri: 'test:///default', interfaces: {e1: nowhere}}]\n",
			"c.yaml:2: hosts[0].interfaces.e1: expected an IPv4 or IPv6 address, found \"nowhere\"\n");
}

#define LIVE "os_compute_api:os-migrate-server:migrate_live"

/* As oslo.policy has it: defaults, what the deployment says, the configuration, the file, the directory. */
static void rules_of_each_source_count_over_those_before(void **state)
{
	const struct place *place = *state;
	CLEANUP_FREE char *beside = write_file(place, "policy.yaml", LIVE ": role:by_file\nother: role:x\n");
	CLEANUP_FREE char *directory = text_format("%s/policy.d", place->directory);
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_FREE char *first = NULL, *second = NULL, *hidden = NULL;
	static const char *const in_order[] = { "role:by_deployment", "role:by_rules", "role:by_file", "role:by_a",
						"role:by_b" };
	size_t found = 0;

	assert_int_equal(mkdir(directory, 0700), 0);
	first = write_file(place, "policy.d/a.yaml", LIVE ": role:by_a\n");
	second = write_file(place, "policy.d/b.yaml", LIVE ": role:by_b\n");
	hidden = write_file(place, "policy.d/.b.yaml.swp", "no: [rule\n");
	read_both(place, AUTH "policy: {rules: {'" LIVE "': 'role:by_rules'}}\n",
		  HEAD "    policies: {nova: {'" LIVE "': 'role:by_deployment'}}\n", &config);
	for (size_t i = 0; i < config.policy.override_count; i++)
		if (text_equal(config.policy.overrides[i].name, LIVE))
			assert_string_equal(json_string_value(config.policy.overrides[i].value), in_order[found++]);
	assert_int_equal(found, ARRAY_LENGTH(in_order));
	unlink(first);
	unlink(second);
	unlink(hidden);
	assert_int_equal(rmdir(directory), 0);
	(void)beside;
}

/* One override in the deployment's document; NULL: it is taken. */
static void expect_rule(const struct place *place, const char *rules, const char *problem)
{
	CLEANUP_FREE char *document = text_format(HEAD "    policies:\n      nova: %s\n", rules);
	CLEANUP_FREE char *line =
		problem ? text_format("d.yaml:5: policy %s; to let nobody do it, write \"!\"\n", problem) : NULL;
	CLEANUP_CONFIG struct config config = { 0 };

	if (line)
		expect_refusal(place, AUTH, document, line);
	else
		read_both(place, AUTH, document, &config);
}

static void a_rule_that_can_only_fail_is_refused(void **state)
{
	static const struct {
		const char *rules;
		const char *problem;
	} cases[] = {
		{ "{'" LIVE "': 'role: admin'}", LIVE ": the rule \"role: admin\" is not understood and always "
						      "refuses: behind \"role:\" stands a blank: write "
						      "\"role:admin\"" },
		{ "{'" LIVE "': admin}", LIVE ": the check \"admin\" is not understood and always refuses: a check is "
					      "KIND:MATCH without a blank, like "
					      "\"role:admin\"" },
		{ "{'" LIVE "': 'role:'}",
		  LIVE ": the check \"role:\" can never grant: behind the colon stands no role" },
		{ "{'" LIVE "': 'role:admin and'}", LIVE ": the rule \"role:admin and\" is not understood and always "
							 "refuses: behind \"and\" a check is missing" },
		{ "{'" LIVE "': '1x:y'}",
		  LIVE ": the check \"1x:y\" can never grant: before the colon stands no valid number" },
		{ "{'" LIVE "': 'rule:nowhere'}", LIVE ": it refers to the rule \"nowhere\", which is not there" },
		{ "{'" LIVE "': 'rule:" LIVE "'}",
		  LIVE ": it goes round in a circle of rules, or too deep, by rule:" LIVE },
		{ "{'" LIVE "': [[]]}", LIVE ": it is a list of nothing" },
		{ "{'os_compute_api:os-services': 'role:admin and'}",
		  "os_compute_api:os-services: the rule \"role:admin and\" is not understood and always refuses: "
		  "behind \"and\" a check is missing" },
		/* taken, for it can grant, or is meant to refuse, or nobody asks it */
		{ "{'" LIVE "': '!'}", NULL },
		{ "{'" LIVE "': 'rule:nobody', nobody: '!'}", NULL },
		{ "{'" LIVE "': 'not role:guest'}", NULL },
		{ "{'" LIVE "': 'role:admin or operator'}", NULL },
		{ "{'" LIVE "': ''}", NULL },
		{ "{'" LIVE "': null}", NULL },
		{ "{unused: 'rule:unused'}", NULL },
		{ "{unused: 'role: admin'}", NULL },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		expect_rule(*state, cases[i].rules, cases[i].problem);
}

static void a_circle_that_a_policy_in_use_reaches_is_told_once(void **state)
{
	expect_refusal(
		*state, AUTH,
		HEAD "    policies:\n      nova:\n        '" LIVE "': 'role:x or rule:one'\n"
		     "        one: 'rule:two'\n        two: 'role:y and rule:one'\n",
		"d.yaml:6: policy " LIVE
		": it goes round in a circle of rules, or too deep, by rule:one; to let nobody do it, write \"!\"\n");
}

/* What many rules that use each other twice would cost a naive walk is not to be waited for. */
static void rules_that_use_each_other_often_are_judged_at_once(void **state)
{
	CLEANUP_TEXT struct text rules = TEXT_EMPTY;

	text_append(&rules, "{'" LIVE "': 'rule:r0 or rule:r0'");
	for (int i = 0; i < 200; i++)
		text_append_format(&rules, ", r%d: 'rule:r%d or rule:r%d'", i, i + 1, i + 1);
	text_append(&rules, ", r200: 'role:x'}");
	expect_rule(*state, rules.data, NULL);
	text_clear(&rules);
	text_append(&rules, "{'" LIVE "': 'rule:r0'");
	for (int i = 0; i < 20000; i++)
		text_append_format(&rules, ", r%d: 'rule:r%d'", i, i + 1);
	text_append(&rules, ", r20000: 'role:x'}");
	CLEANUP_FREE char *document = text_format(HEAD "    policies:\n      nova: %s\n", rules.data);
	CLEANUP_FREE char *path = write_file(*state, "d.yaml", document);
	CLEANUP_CONFIG struct config config = { 0 };
	struct error error = { 0 };

	assert_int_equal(config_fixture_read(path, NULL, NULL, &config, &error),
			 -EINVAL); /* as deep as nobody follows */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, config_fixture_setup, config_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_revert_of_the_documents_is_taken_word_for_word),
		TEST(a_whole_document_of_a_cloud_sets_what_is_ours_and_leaves_the_rest),
		TEST(a_document_may_stand_in_the_same_file_or_in_a_list),
		TEST(overrides_of_nodes_hold_by_the_labels_of_a_host_the_last_one_first),
		TEST(a_slip_beside_our_keys_is_told_with_the_right_name),
		TEST(a_value_of_the_wrong_type_is_told),
		TEST(two_answers_to_one_question_are_told_with_both_places),
		TEST(rules_of_each_source_count_over_those_before),
		TEST(a_rule_that_can_only_fail_is_refused),
		TEST(a_circle_that_a_policy_in_use_reaches_is_told_once),
		TEST(rules_that_use_each_other_often_are_judged_at_once),
		TEST(of_two_files_the_later_one_counts_key_by_key),
		TEST(where_each_value_comes_from_is_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
