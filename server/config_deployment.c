/* The operator's OpenStackDeployment document: which of its keys are ours, and what they set. Names and places are those of
 * MOSK; whatever else the document has is left alone. Where our own document says something else about the same thing, neither
 * is guessed to be meant: both are told. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/config_table.h"
#include "server/fleet.h"

/* What the document sets; what it does not set is NULL, 0 or false. */
struct deployment {
	const char *live_migration_interface;
	const char *tunnel_interface;
	bool has_tls;
	double cpu_allocation_ratio;
	double ram_allocation_ratio;
	double disk_allocation_ratio;
	struct label_settings *labels;
	size_t label_count;
};

#define IN(type, member) .offset = offsetof(struct type, member)
#define SECTION(key, table)                                                                                            \
	{                                                                                                              \
		.name = (key), .type = CONFIG_SECTION, .section = &(table)                                             \
	}
#define OTHERS_KEYS(rows, ...)                                                                                         \
	{                                                                                                              \
		.keys = (rows), .count = ARRAY_LENGTH(rows), .leaves_others = true, ##__VA_ARGS__                      \
	}
/* Keys that hold for all and, with the same names, for the nodes that have a label. */
#define RATIO_KEYS(type)                                                                                               \
	{ "cpu", CONFIG_DECIMAL, IN(type, cpu_allocation_ratio), NULL, "vCPUs per CPU", .low = 0.01, .high = 1e6 },    \
		{ "ram", CONFIG_DECIMAL, IN(type, ram_allocation_ratio), NULL, "memory", .low = 0.01, .high = 1e6 },   \
	{                                                                                                              \
		"disk", CONFIG_DECIMAL, IN(type, disk_allocation_ratio), NULL, "disk", .low = 0.01, .high = 1e6        \
	}
#define INTERFACE_KEY(type, key, member, text)                                                                         \
	{                                                                                                              \
		key, CONFIG_TEXT, IN(type, member), NULL, text, .expected = config_expected_interface                  \
	}

static const struct config_key node_ratio_keys[] = { RATIO_KEYS(label_settings) };
static const struct config_section node_ratio_section = OTHERS_KEYS(node_ratio_keys);
static const struct config_key node_nova_keys[] = {
	INTERFACE_KEY(label_settings, "live_migration_interface", live_migration_interface, "of these nodes"),
	SECTION("allocation_ratios", node_ratio_section),
};
static const struct config_section node_nova_section = OTHERS_KEYS(node_nova_keys);
static const struct config_key node_neutron_keys[] = {
	INTERFACE_KEY(label_settings, "tunnel_interface", tunnel_interface, "of these nodes"),
};
static const struct config_section node_neutron_section = OTHERS_KEYS(node_neutron_keys);
static const struct config_key node_feature_keys[] = {
	SECTION("nova", node_nova_section),
	SECTION("neutron", node_neutron_section),
};
static const struct config_section node_feature_section = OTHERS_KEYS(node_feature_keys);
static const struct config_key node_keys[] = { SECTION("features", node_feature_section) };

static int check_node(const void *item, struct error *error)
{
	const struct label_settings *settings = item;
	const char *expected = fleet_expected_label(settings->label);

	return expected ? error_set(error, EINVAL, "expected %s, found \"%.100s\"", expected, settings->label) : 0;
}

static const struct config_section node_section =
	OTHERS_KEYS(node_keys, .check_item = check_node, .name_offset = offsetof(struct label_settings, label),
		    .mark_offset = offsetof(struct label_settings, mark));

static const struct config_key tls_keys[] = {
	{ "enabled", CONFIG_BOOLEAN, IN(deployment, has_tls), "false", "control, stream and disks over TLS" },
};
static const struct config_section tls_section = OTHERS_KEYS(tls_keys);
static const struct config_key libvirt_keys[] = { SECTION("tls", tls_section) };
static const struct config_section libvirt_section = OTHERS_KEYS(libvirt_keys);
static const struct config_key ratio_keys[] = { RATIO_KEYS(deployment) };
static const struct config_section ratio_section = OTHERS_KEYS(ratio_keys);
static const struct config_key nova_keys[] = {
	INTERFACE_KEY(deployment, "live_migration_interface", live_migration_interface, "NIC for live migrations"),
	SECTION("libvirt", libvirt_section),
	SECTION("allocation_ratios", ratio_section),
};
static const struct config_section nova_section = OTHERS_KEYS(nova_keys);
static const struct config_key neutron_keys[] = {
	INTERFACE_KEY(deployment, "tunnel_interface", tunnel_interface, "NIC of Neutron's tunnels"),
};
static const struct config_section neutron_section = OTHERS_KEYS(neutron_keys);
static const struct config_key policies_keys[] = {
	{ "nova", CONFIG_RULES, .offset = 0, NULL, "policies over the defaults" },
};
static const struct config_section policies_section = OTHERS_KEYS(policies_keys);
static const struct config_key feature_keys[] = {
	SECTION("nova", nova_section),
	SECTION("neutron", neutron_section),
	SECTION("policies", policies_section),
};
static const struct config_section feature_section = OTHERS_KEYS(feature_keys);
static const struct config_key spec_keys[] = {
	SECTION("features", feature_section),
	{ "nodes", CONFIG_NAMED_ITEMS, IN(deployment, labels), NULL, "overrides by the labels of nodes",
	  .section = &node_section, .count_offset = offsetof(struct deployment, label_count),
	  .item_size = sizeof(struct label_settings) },
};
static const struct config_section spec_section = OTHERS_KEYS(spec_keys);
static const struct config_key deployment_keys[] = { SECTION("spec", spec_section) };
static const struct config_section deployment_section = OTHERS_KEYS(deployment_keys);

/* What the document says, and the key of ours that it sets. */
static const struct mapping {
	const char *theirs;
	const char *ours;
	size_t from; /* in the deployment */
	size_t to; /* in the configuration */
	size_t size;
	bool is_text;
} mappings[] = {
#define MAPPING(theirs, ours, from, to)                                                                                \
	{                                                                                                              \
		theirs, ours, offsetof(struct deployment, from), offsetof(struct config, to),                          \
			sizeof(((struct config *)NULL)->to), false                                                     \
	}
	{ "spec.features.nova.live_migration_interface", "libvirt.live_migration_interface",
	  offsetof(struct deployment, live_migration_interface),
	  offsetof(struct config, fleet.live_migration_interface), sizeof(char *), true },
	MAPPING("spec.features.nova.libvirt.tls.enabled", "libvirt.live_migration_with_native_tls", has_tls,
		worker.live_migration_with_native_tls),
	MAPPING("spec.features.nova.allocation_ratios.cpu", "cpu_allocation_ratio", cpu_allocation_ratio,
		scheduler.cpu_allocation_ratio),
	MAPPING("spec.features.nova.allocation_ratios.ram", "ram_allocation_ratio", ram_allocation_ratio,
		scheduler.ram_allocation_ratio),
	MAPPING("spec.features.nova.allocation_ratios.disk", "disk_allocation_ratio", disk_allocation_ratio,
		scheduler.disk_allocation_ratio),
};

static bool is_equal(const struct mapping *mapping, const void *from, const void *to)
{
	const char *a, *b;

	if (!mapping->is_text)
		return memcmp(from, to, mapping->size) == 0;
	memcpy(&a, from, sizeof(a));
	memcpy(&b, to, sizeof(b));
	return text_equal(a, b);
}

static void apply(struct config_reader *reader, const struct mapping *mapping, const struct deployment *deployment,
		  const struct tree_node *own, const struct tree_node *document)
{
	const struct tree_entry *theirs = tree_find_path(document, mapping->theirs);
	const struct tree_entry *ours = tree_find_path(own, mapping->ours);
	const char *from = (const char *)deployment + mapping->from;
	char *to = (char *)reader->config + mapping->to;
	const struct config_place place = { .name = mapping->ours };

	if (!theirs || tree_is_null(theirs->value))
		return;
	if (ours && !tree_is_null(ours->value) && !is_equal(mapping, from, to)) {
		config_problem(reader, theirs->mark, NULL, "%s: %s in %s:%u says something else: leave one of them out",
			       mapping->theirs, mapping->ours, ours->mark.file, ours->mark.line);
		return;
	}
	memcpy(to, from, mapping->size);
	config_note_origin(reader, &place, theirs->mark);
}

/* MOSK's own default, which an operator's guests rely on: its charts permit auto-convergence. */
static void apply_defaults(struct config_reader *reader, const struct tree_node *own, const struct tree_node *document)
{
	static const char ours[] = "libvirt.live_migration_permit_auto_converge";
	const struct config_place place = { .name = ours };
	const struct tree_entry *kind = tree_find(document, "kind");

	if (tree_find_path(own, ours) || !kind)
		return;
	reader->config->worker.live_migration_permit_auto_converge = true;
	config_note_origin(reader, &place, kind->mark);
}

void config_apply_deployment(struct config_reader *reader, const struct tree_node *own,
			     const struct tree_node *deployment)
{
	struct deployment settings = { 0 };
	size_t problems_before = reader->problem_count;

	size_t own_rules = reader->memory->override_count;
	config_read_section(reader, &deployment_section, deployment, NULL, &settings);
	config_rank_rules(reader, own_rules);
	if (reader->problem_count > problems_before)
		return;
	for (size_t i = 0; i < ARRAY_LENGTH(mappings); i++)
		apply(reader, &mappings[i], &settings, own, deployment);
	apply_defaults(reader, own, deployment);
	reader->config->fleet.tunnel_interface = settings.tunnel_interface;
	reader->config->fleet.labels = settings.labels;
	reader->config->fleet.label_count = settings.label_count;
}
