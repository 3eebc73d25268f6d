/* The simulated fleet in the configuration: its keys, and what is wrong between them. Hosts and servers are few rows that may stand
 * for many; what the rest of the daemon needs of the hosts is spread out here. */
#include "server/config_table.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/uuid.h"

#define AT(member)       .offset = offsetof(struct config, member)
#define IN(type, member) .offset = offsetof(struct type, member)
#define RANGE(from, to)  .low = (from), .high = (to)
#define TABLE(rows, ...)                                                                                               \
	{                                                                                                              \
		.keys = (rows), .count = ARRAY_LENGTH(rows), ##__VA_ARGS__                                             \
	}
#define SIMULATED_URI "simulated:///"
#define HOSTS_MAX     100000
#define SERVERS_MAX   1000000

static const struct config_choice failures[] = {
	{ "precheck", SIMULATED_FAILS_PRECHECK },
	{ "midway", SIMULATED_FAILS_MIDWAY },
	{ "target_lost", SIMULATED_FAILS_TARGET_LOST },
	{ "never_converges", SIMULATED_FAILS_NEVER_CONVERGES },
	{ "not", SIMULATED_FAILS_NOT },
	{ 0 },
};

static const struct config_key move_keys[] = {
	{ "takes", CONFIG_DECIMAL, IN(simulated_move_settings, takes_s), "0", "seconds that the copy takes",
	  RANGE(0, 86400) },
	{ "fails", CONFIG_CHOICE, IN(simulated_move_settings, fails), "not",
	  "how it fails: every host refuses it, the copy breaks off, the target stops answering, or the copy never "
	  "ends "
	  "by itself",
	  .choices = failures },
};
static const struct config_section move_section = TABLE(move_keys);

static const struct config_choice states[] = {
	{ "active", SIMULATED_ACTIVE },
	{ "paused", SIMULATED_PAUSED },
	{ "stopped", SIMULATED_STOPPED },
	{ 0 },
};

static const struct config_key host_keys[] = {
	{ "name", CONFIG_TEXT, IN(simulated_host_settings, name), NULL, "the host's name in the API",
	  .is_required = true, .expected = config_expected_host_name },
	{ "count", CONFIG_INTEGER, IN(simulated_host_settings, count), "1",
	  "so many hosts; more than one are called NAME-1, NAME-2 and so on", RANGE(1, HOSTS_MAX) },
	{ "vcpus", CONFIG_INTEGER, IN(simulated_host_settings, vcpus), "64", "its CPUs", RANGE(1, 1e6) },
	{ "memory_mb", CONFIG_INTEGER, IN(simulated_host_settings, memory_mb), "262144", "its memory in MiB",
	  RANGE(1, 1e9) },
	{ "disk_gb", CONFIG_INTEGER, IN(simulated_host_settings, disk_gb), "10000", "its disk in GiB", RANGE(0, 1e9) },
};
static const struct config_section host_section =
	TABLE(host_keys, .mark_offset = offsetof(struct simulated_host_settings, mark));

static const char *expected_uuid(const char *text)
{
	return uuid_is_valid(text) ? NULL : "a UUID";
}

static const struct config_key server_keys[] = {
	{ "name", CONFIG_TEXT, IN(simulated_server_settings, name), NULL, "the server's name", .is_required = true },
	{ "count", CONFIG_INTEGER, IN(simulated_server_settings, count), "1",
	  "so many servers; more than one are called NAME-1, NAME-2 and so on", RANGE(1, SERVERS_MAX) },
	{ "id", CONFIG_TEXT, IN(simulated_server_settings, id), NULL,
	  "its UUID; one that its name alone decides without it", .expected = expected_uuid },
	{ "host", CONFIG_TEXT, IN(simulated_server_settings, host), NULL, "where it is; the hosts in turn without it",
	  .expected = config_expected_host_name },
	{ "project", CONFIG_TEXT, IN(simulated_server_settings, project), "demo", "whose it is" },
	{ "user", CONFIG_TEXT, IN(simulated_server_settings, user), "demo", "who made it" },
	{ "flavor", CONFIG_TEXT, IN(simulated_server_settings, flavor), NULL,
	  "its flavor's name; one of its size without it" },
	{ "vcpus", CONFIG_INTEGER, IN(simulated_server_settings, vcpus), "1", "its vCPUs", RANGE(1, 1e6) },
	{ "memory_mb", CONFIG_INTEGER, IN(simulated_server_settings, memory_mb), "512", "its memory in MiB",
	  RANGE(1, 1e9) },
	{ "disk_gb", CONFIG_INTEGER, IN(simulated_server_settings, disk_gb), "1", "its disk in GiB", RANGE(0, 1e9) },
	{ "state", CONFIG_CHOICE, IN(simulated_server_settings, state), "active", "its state at the start",
	  .choices = states },
	{ "moves", CONFIG_ITEMS, IN(simulated_server_settings, moves), NULL,
	  "how its first move goes, its second and so on; the last holds for all that follow", .section = &move_section,
	  .count_offset = offsetof(struct simulated_server_settings, move_count),
	  .item_size = sizeof(struct simulated_move_settings) },
};
static const struct config_section server_section =
	TABLE(server_keys, .mark_offset = offsetof(struct simulated_server_settings, mark));

static const struct config_key token_keys[] = {
	{ "project", CONFIG_TEXT, IN(simulated_token_settings, project), "demo", "the project that it is for" },
	{ "user", CONFIG_TEXT, IN(simulated_token_settings, user), "demo", "its bearer" },
	{ "roles", CONFIG_TEXTS, IN(simulated_token_settings, roles), NULL,
	  "its bearer's roles, and with them those that Keystone implies", .is_required = true,
	  .count_offset = offsetof(struct simulated_token_settings, role_count) },
};
static const struct config_section token_section =
	TABLE(token_keys, .name_offset = offsetof(struct simulated_token_settings, token));

static const struct config_key simulation_keys[] = {
	{ "hosts", CONFIG_ITEMS, AT(simulation.hosts), NULL, "hosts that exist nowhere (migrationd serve --simulate)",
	  .section = &host_section, .count_offset = offsetof(struct config, simulation.host_count),
	  .item_size = sizeof(struct simulated_host_settings) },
	{ "servers", CONFIG_ITEMS, AT(simulation.servers), NULL, "servers on these hosts", .section = &server_section,
	  .count_offset = offsetof(struct config, simulation.server_count),
	  .item_size = sizeof(struct simulated_server_settings) },
	{ "moves", CONFIG_ITEMS, AT(simulation.moves), NULL, "how moves go of servers that have none of their own",
	  .section = &move_section, .count_offset = offsetof(struct config, simulation.move_count),
	  .item_size = sizeof(struct simulated_move_settings) },
	{ "tokens", CONFIG_NAMED_ITEMS, AT(simulation.tokens), NULL,
	  "words that are taken for tokens; `admin` and `member` (of the project demo) where nothing else vouches for "
	  "tokens",
	  .section = &token_section, .count_offset = offsetof(struct config, simulation.token_count),
	  .item_size = sizeof(struct simulated_token_settings) },
	{ "target_lost_for", CONFIG_DECIMAL, AT(simulation.target_lost_for_s), "2",
	  "seconds for which a target that is lost does not answer", RANGE(0, 86400) },
};
const struct config_section config_simulation = TABLE(simulation_keys);

/* In one folder, which goes with the daemon: what a real one keeps is not to be touched. A database that was asked for by the
 * command line, and an admin socket that was asked for, stay where they were asked for. */
static void set_folder(struct config_reader *reader, const struct config_source *source)
{
	const char *folder = source->simulation_folder;
	struct config *config = reader->config;
	CLEANUP_FREE char *database = source->simulation_database ? strdup(source->simulation_database)
								  : text_format("%s/migrationd.db", folder);
	CLEANUP_FREE char *admin_socket = text_format("%s/admin.sock", folder);

	config->database = database ? yaml_tree_copy(reader->tree, database) : NULL;
	if (text_equal(config->admin_socket, CONFIG_ADMIN_SOCKET))
		config->admin_socket = admin_socket ? yaml_tree_copy(reader->tree, admin_socket) : NULL;
	if (!config->database || !config->admin_socket)
		config_out_of_memory(reader);
}

/* Where nobody else vouches for tokens, two words do. */
static void set_tokens(struct config *config)
{
	static const char *const admin_roles[] = { "admin" }, *const member_roles[] = { "member" };
	static const struct simulated_token_settings tokens[] = {
		{ .token = "admin", .project = "demo", .user = "admin", .roles = admin_roles, .role_count = 1 },
		{ .token = "member", .project = "demo", .user = "demo", .roles = member_roles, .role_count = 1 },
	};

	if (config->simulation.token_count > 0 || config->token.key_count > 0 || config->identity.keystone.url
	    || config->identity.key_set_count > 0)
		return;
	config->simulation.tokens = tokens;
	config->simulation.token_count = ARRAY_LENGTH(tokens);
}

void config_simulate(struct config_reader *reader, const struct config_source *source)
{
	reader->config->hypervisor.driver = HYPERVISOR_DRIVER_SIMULATED;
	set_tokens(reader->config);
	if (source->simulation_folder)
		set_folder(reader, source);
}

static const char *name_of(struct config_reader *reader, const char *name, int64_t count, int64_t number)
{
	CLEANUP_FREE char *text = count > 1 ? text_format("%s-%lld", name, (long long)number) : strdup(name);
	const char *copy = text ? yaml_tree_copy(reader->tree, text) : NULL;

	if (!copy)
		config_out_of_memory(reader);
	return copy;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Each host by itself, as the registry takes them; their names, sorted, stay for those who look for one. */
static const char **spread_hosts(struct config_reader *reader)
{
	struct config *config = reader->config;
	size_t count = 0, place = 0;

	for (size_t i = 0; i < config->simulation.host_count; i++)
		count += (size_t)config->simulation.hosts[i].count;
	struct host_settings *hosts = yaml_tree_allocate(reader->tree, (count + 1) * sizeof(*hosts));
	const char **names = yaml_tree_allocate(reader->tree, (count + 1) * sizeof(*names));
	if (!hosts || !names) {
		config_out_of_memory(reader);
		return NULL;
	}
	for (size_t i = 0; i < config->simulation.host_count; i++) {
		const struct simulated_host_settings *row = &config->simulation.hosts[i];

		for (int64_t number = 1; row->name && number <= row->count; number++) {
			const char *name = name_of(reader, row->name, row->count, number);

			if (!name)
				return NULL;
			names[place] = name;
			hosts[place++] = (struct host_settings){ .name = name,
								 .uri = SIMULATED_URI,
								 .reserved_memory_mb = -1,
								 .reserved_disk_mb = -1,
								 .mark = row->mark };
		}
	}
	config->simulated_hosts = hosts;
	config->simulated_host_count = place;
	qsort(names, place, sizeof(*names), compare_names);
	return names;
}

static void check_servers(struct config_reader *reader, const char *const *hosts)
{
	const struct config *config = reader->config;

	for (size_t i = 0; i < config->simulation.server_count; i++) {
		const struct simulated_server_settings *server = &config->simulation.servers[i];

		if (server->id && server->count > 1)
			config_problem(reader, *server->mark, NULL,
				       "simulation: %lld servers %s cannot have one id: leave it out",
				       (long long)server->count, server->name ? server->name : "");
		if (server->host
		    && !bsearch(&server->host, hosts, config->simulated_host_count, sizeof(*hosts), compare_names))
			config_problem(reader, *server->mark, NULL,
				       "simulation: server %s is on the host %s, which is not among simulation.hosts",
				       server->name ? server->name : "", server->host);
		else if (config->simulated_host_count == 0)
			config_problem(reader, *server->mark, NULL,
				       "simulation: server %s needs a host: there is none in simulation.hosts",
				       server->name ? server->name : "");
	}
}

void config_check_simulation(struct config_reader *reader, const struct tree_node *document)
{
	const struct config *config = reader->config;
	const struct tree_entry *section = tree_find(document, "simulation");
	const char **names;

	if (config->hypervisor.driver != HYPERVISOR_DRIVER_SIMULATED) {
		if (section && reader->problem_count == 0)
			config_problem(
				reader, section->mark, NULL,
				"simulation: this describes a fleet that is not real: it is for `migrationd serve "
				"--simulate`, and a daemon of real hosts does not start with it");
		return;
	}
	names = spread_hosts(reader);
	for (size_t i = 1; names && i < config->simulated_host_count; i++)
		if (text_equal(names[i - 1], names[i]))
			config_problem(reader, config_mark_of(document, "simulation", "hosts"), NULL,
				       "simulation: the host %s stands here a second time", names[i]);
	if (names)
		check_servers(reader, names);
}
