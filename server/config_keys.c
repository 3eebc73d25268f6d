/* All keys of the configuration: name, type, place, default, range and meaning. To add one: its member in the settings,
 * its row here. Sections and names are Nova's where Nova has them; what stands in Nova's [DEFAULT] stands at the top. */
#include "base/cleanup.h"
#include "server/config_table.h"
#include "server/fleet.h"
#include "server/forwarded.h"

#define AT(member)       .offset = offsetof(struct config, member)
#define IN(type, member) .offset = offsetof(struct type, member)
#define RANGE(from, to)  .low = (from), .high = (to)
#define SECTION(key, table)                                                                                            \
	{                                                                                                              \
		.name = (key), .type = CONFIG_SECTION, .section = &(table)                                             \
	}
#define TABLE(rows, ...)                                                                                               \
	{                                                                                                              \
		.keys = (rows), .count = ARRAY_LENGTH(rows), ##__VA_ARGS__                                             \
	}
#define BIG 1e15

static const struct config_key listener_keys[] = {
	{ "address", CONFIG_TEXT, AT(listener.address), "127.0.0.1", "address to listen on, IPv4 or IPv6",
	  .expected = config_expected_listen_address },
	{ "port", CONFIG_INTEGER, AT(listener.port), "8774", "port to listen on; 0 takes any free one",
	  RANGE(0, 65535) },
	{ "threads", CONFIG_INTEGER, AT(listener.threads), "4", "threads that answer requests", RANGE(1, 256) },
	{ "max_connections", CONFIG_INTEGER, AT(listener.connections_max), "4096", "connections at the same time",
	  RANGE(1, 1000000) },
	{ "max_connections_per_address", CONFIG_INTEGER, AT(listener.connections_per_address_max), "0",
	  "connections at the same time from one address; 0 is no limit of its own", RANGE(0, 1000000) },
	{ "max_header_bytes", CONFIG_INTEGER, AT(listener.header_bytes_max), "32768",
	  "request line and headers of one request, in bytes", RANGE(1024, 1048576) },
	{ "max_body_bytes", CONFIG_INTEGER, AT(listener.body_bytes_max), "114688",
	  "body of one request, in bytes; more is answered 413", RANGE(1, 67108864) },
	{ "idle_timeout", CONFIG_INTEGER, AT(listener.idle_timeout_s), "60",
	  "seconds after which a silent connection is closed", RANGE(1, 86400) },
	{ "drain_timeout", CONFIG_INTEGER, AT(listener.drain_timeout_s), "30",
	  "seconds that requests in flight may take after SIGTERM", RANGE(0, 3600) },
	{ "wait_timeout", CONFIG_INTEGER, AT(listener.wait_timeout_s), "60",
	  "seconds that a live migration below 2.34 waits for the choice of its target", RANGE(1, 3600) },
	{ "certificate_file", CONFIG_FILE, AT(listener.certificate_file), NULL,
	  "certificate for HTTPS, PEM; without it the service speaks HTTP" },
	{ "key_file", CONFIG_FILE, AT(listener.key_file), NULL, "private key of the certificate, PEM" },
	{ "trusted_proxies", CONFIG_TEXTS, AT(listener.trusted_proxies), NULL,
	  "addresses and networks of proxies whose Forwarded and X-Forwarded-* headers are believed",
	  .count_offset = offsetof(struct config, listener.trusted_proxy_count), .expected = proxies_expected },
};
static const struct config_section listener_section = TABLE(listener_keys);

static const struct config_key metrics_keys[] = {
	{ "enabled", CONFIG_BOOLEAN, AT(metrics.is_enabled), "true", "whether `GET /metrics` is answered" },
	{ "address", CONFIG_TEXT, AT(metrics.address), NULL,
	  "address of their own for /metrics, /healthz and /readyz, for whoever reaches it, without TLS; without it "
	  "/metrics stands at the listener's address and answers this machine and allowed_networks alone",
	  .expected = config_expected_listen_address },
	{ "port", CONFIG_INTEGER, AT(metrics.port), "9774", "port at that address; 0 takes any free one",
	  RANGE(0, 65535) },
	{ "allowed_networks", CONFIG_TEXTS, AT(metrics.allowed_networks), NULL,
	  "addresses and networks that may read /metrics at the listener's address, besides this machine",
	  .count_offset = offsetof(struct config, metrics.allowed_network_count), .expected = proxies_expected },
	{ "max_hosts", CONFIG_INTEGER, AT(metrics.hosts_max), "500",
	  "each host has figures of its own in a fleet of at most so many; beyond, there are sums alone; 0 is sums "
	  "alone",
	  RANGE(0, 100000) },
};
static const struct config_section metrics_section = TABLE(metrics_keys);

static const struct config_key api_keys[] = {
	{ "max_limit", CONFIG_INTEGER, AT(api.max_limit), "1000", "rows on one page", RANGE(1, 100000) },
};
static const struct config_section api_section = TABLE(api_keys);

static const struct config_choice log_formats[] = { { "text", LOG_FORMAT_TEXT }, { "json", LOG_FORMAT_JSON }, { 0 } };
static const struct config_choice log_levels[] = {
	{ "debug", LOG_LEVEL_DEBUG },
	{ "info", LOG_LEVEL_INFO },
	{ "warning", LOG_LEVEL_WARNING },
	{ "error", LOG_LEVEL_ERROR },
	{ 0 },
};

static const struct config_key log_keys[] = {
	{ "format", CONFIG_CHOICE, AT(log_format), "text", "one line an event, as text or as JSON",
	  .choices = log_formats },
	{ "level", CONFIG_CHOICE, AT(log_level), "info", "the lowest level that is written", .choices = log_levels },
};
static const struct config_section log_section = TABLE(log_keys);

static const struct config_key token_key_keys[] = {
	{ "kid", CONFIG_TEXT, IN(token_key, kid), NULL, "the key's name in the header of tokens" },
	{ "algorithm", CONFIG_TEXT, IN(token_key, algorithm), NULL, "the one algorithm that the key is for",
	  .is_required = true, .expected = config_expected_algorithm },
	{ "secret", CONFIG_TEXT, IN(token_key, secret), NULL, "HS*: the secret itself, at least 32 bytes",
	  .is_secret = true },
	{ "secret_file", CONFIG_FILE, IN(token_key, secret_file), NULL, "HS*: a file with the secret" },
	{ "pem", CONFIG_TEXT, IN(token_key, pem), NULL, "RS*, ES*: the key or certificate itself", .is_secret = true },
	{ "pem_file", CONFIG_FILE, IN(token_key, pem_file), NULL, "RS*, ES*: a file with the key or certificate" },
};
static const struct config_section token_key_section = TABLE(token_key_keys, .check_item = config_check_token_key);

static const struct config_key claim_keys[] = {
	{ "user", CONFIG_TEXT, AT(token.claims.user), NULL, "claim with the user's id; sub" },
	{ "project", CONFIG_TEXT, AT(token.claims.project), NULL, "claim with the project's id; project_id" },
	{ "roles", CONFIG_TEXT, AT(token.claims.roles), NULL, "claim with the roles, dots go into objects; roles" },
	{ "domain", CONFIG_TEXT, AT(token.claims.domain), NULL, "claim of a token for a domain; domain_id" },
	{ "system_scope", CONFIG_TEXT, AT(token.claims.system_scope), NULL,
	  "claim of a token for the system; system_scope" },
	{ "user_domain", CONFIG_TEXT, AT(token.claims.user_domain), NULL, "claim; user_domain_id" },
	{ "project_domain", CONFIG_TEXT, AT(token.claims.project_domain), NULL, "claim; project_domain_id" },
	{ "is_admin_project", CONFIG_TEXT, AT(token.claims.is_admin_project), NULL, "claim; is_admin_project" },
};
static const struct config_section claim_section = TABLE(claim_keys);

static const struct config_key auth_keys[] = {
	{ "keys", CONFIG_ITEMS, AT(token.keys), NULL, "keys that tokens are verified with",
	  .section = &token_key_section, .count_offset = offsetof(struct config, token.key_count),
	  .item_size = sizeof(struct token_key) },
	{ "issuer", CONFIG_TEXT, AT(token.issuer), NULL, "the only `iss` that is accepted; any without it" },
	{ "audience", CONFIG_TEXT, AT(token.audience), NULL, "what must be among `aud`; anything without it" },
	{ "leeway", CONFIG_INTEGER, AT(token.leeway_s), "30", "seconds that clocks may differ by", RANGE(0, 600) },
	{ "remembered_tokens", CONFIG_SIZE, AT(token.remembered_max), "4096",
	  "verified tokens that are remembered until they expire", RANGE(1, 1000000) },
	SECTION("claims", claim_section),
};
static const struct config_section auth_section = TABLE(auth_keys);

static const struct config_key keystone_keys[] = {
	{ "url", CONFIG_TEXT, AT(identity.keystone.url), NULL,
	  "Keystone, which is asked about tokens that no key of ours has made", .expected = config_expected_endpoint },
	{ "username", CONFIG_TEXT, AT(identity.keystone.username), "nova", "the service's own user there" },
	{ "password_file", CONFIG_FILE, AT(identity.keystone.password_file), NULL, "a file with its password" },
	{ "user_domain_name", CONFIG_TEXT, AT(identity.keystone.user_domain_name), "Default", "its domain" },
	{ "project_name", CONFIG_TEXT, AT(identity.keystone.project_name), "service", "the project that it works in" },
	{ "project_domain_name", CONFIG_TEXT, AT(identity.keystone.project_domain_name), "Default",
	  "the project's domain" },
	{ "cacert_file", CONFIG_FILE, AT(identity.keystone.cacert_file), NULL,
	  "certificates that Keystone's is checked by, PEM; the system's without it" },
	{ "timeout", CONFIG_INTEGER, AT(identity.keystone.timeout_s), "5", "seconds that one question may take",
	  RANGE(1, 300) },
	{ "cache_time", CONFIG_INTEGER, AT(identity.keystone.cache_time_s), "300",
	  "seconds that an answer is believed: a revoked token is refused within them; while Keystone is away a token "
	  "that was "
	  "seen goes on until its own end",
	  RANGE(1, 86400) },
	{ "remembered_tokens", CONFIG_INTEGER, AT(identity.keystone.remembered_max), "4096",
	  "answers that are remembered", RANGE(1, 1000000) },
};
static const struct config_section keystone_section = TABLE(keystone_keys);

static const struct config_key key_set_keys[] = {
	{ "url", CONFIG_TEXT, IN(key_set_settings, url), NULL, "where the set is published",
	  .expected = config_expected_url },
	{ "file", CONFIG_FILE, IN(key_set_settings, file), NULL, "or a file with it" },
	{ "cacert_file", CONFIG_FILE, IN(key_set_settings, cacert_file), NULL,
	  "certificates that the publisher's is checked by, PEM; the system's without it" },
	{ "refresh_interval", CONFIG_INTEGER, IN(key_set_settings, refresh_interval_s), "300",
	  "seconds after which it is read again; a token that names an unknown key has it read sooner",
	  RANGE(1, 86400) },
	{ "timeout", CONFIG_INTEGER, IN(key_set_settings, timeout_s), "5", "seconds that reading it may take",
	  RANGE(1, 300) },
};
static const struct config_section key_set_section = TABLE(key_set_keys, .check_item = config_check_key_set);

static const struct config_key identity_keys[] = {
	SECTION("keystone", keystone_section),
	{ "jwks", CONFIG_ITEMS, AT(identity.key_sets), NULL, "published sets of keys that tokens are verified with",
	  .section = &key_set_section, .count_offset = offsetof(struct config, identity.key_set_count),
	  .item_size = sizeof(struct key_set_settings) },
};
static const struct config_section identity_section = TABLE(identity_keys);

static const struct config_key policy_keys[] = {
	{ "rules", CONFIG_RULES, .offset = 0, NULL, "policies over the defaults, here" },
	{ "file", CONFIG_PATH, AT(policy_file), NULL,
	  "policies over those: a YAML or JSON mapping of names to rules; policy.yaml beside the configuration, if "
	  "there "
	  "is one" },
	{ "dirs", CONFIG_PATHS, AT(policy_dirs), NULL,
	  "directories of such files, read by their names, each over what is before; policy.d beside the "
	  "configuration, if "
	  "there is one",
	  .count_offset = offsetof(struct config, policy_dir_count) },
	{ "enforce_scope", CONFIG_BOOLEAN, AT(policy.ignores_scope), "true", "refuse tokens of the wrong scope",
	  .is_inverted = true },
	{ "enforce_new_defaults", CONFIG_BOOLEAN, AT(policy.allows_deprecated), "true",
	  "do not also allow what the deprecated defaults allowed", .is_inverted = true },
};
static const struct config_section policy_section = TABLE(policy_keys);

static const char *filter_name(unsigned int number)
{
	return number < SCHEDULER_FILTER_COUNT ? scheduler_filter_name((enum scheduler_filter)number) : NULL;
}

static const char *weigher_name(unsigned int number)
{
	return number < SCHEDULER_WEIGHER_COUNT ? scheduler_weigher_name((enum scheduler_weigher)number) : NULL;
}

#define DEFAULT_FILTERS                                                                                                \
	"ImagePropertiesFilter,HypervisorVersionFilter,CpuCompatibilityFilter,NetworkFilter,StorageFilter,"            \
	"MigrationAddressFilter,CpuPinningFilter"
#define ALL_WEIGHERS                                                                                                   \
	"ram,cpu,disk,io_ops,hypervisor_version,num_instances,soft_affinity,soft_anti_affinity,build_failure"
#define MULTIPLIER(weigher, number, text)                                                                              \
	{                                                                                                              \
		weigher "_weight_multiplier", CONFIG_DECIMAL, AT(scheduler.multipliers[number]), text,                 \
			"weight of " weigher " in the choice", RANGE(-BIG, BIG)                                        \
	}

static const struct config_key filter_scheduler_keys[] = {
	{ "enabled_filters", CONFIG_NAMES, AT(scheduler.enabled_filters), DEFAULT_FILTERS,
	  "filters beside those that are always on (DifferentHostFilter, RetryFilter, ComputeFilter, CoreFilter, "
	  "RamFilter, DiskFilter)",
	  .name_of = filter_name, .first_name = SCHEDULER_FILTER_NONE + 1 },
	{ "enabled_weighers", CONFIG_NAMES, AT(scheduler.enabled_weighers), ALL_WEIGHERS, "weighers",
	  .name_of = weigher_name },
	MULTIPLIER("ram", SCHEDULER_WEIGHER_RAM, "1.0"),
	MULTIPLIER("cpu", SCHEDULER_WEIGHER_CPU, "1.0"),
	MULTIPLIER("disk", SCHEDULER_WEIGHER_DISK, "1.0"),
	MULTIPLIER("io_ops", SCHEDULER_WEIGHER_IO_OPS, "-1.0"),
	MULTIPLIER("hypervisor_version", SCHEDULER_WEIGHER_HYPERVISOR_VERSION, "1.0"),
	MULTIPLIER("num_instances", SCHEDULER_WEIGHER_NUM_INSTANCES, "0.0"),
	MULTIPLIER("soft_affinity", SCHEDULER_WEIGHER_SOFT_AFFINITY, "1.0"),
	MULTIPLIER("soft_anti_affinity", SCHEDULER_WEIGHER_SOFT_ANTI_AFFINITY, "1.0"),
	MULTIPLIER("build_failure", SCHEDULER_WEIGHER_BUILD_FAILURE, "1000000.0"),
	{ "host_subset_size", CONFIG_INTEGER, AT(scheduler.host_subset_size), "1",
	  "of so many best hosts one is taken at random", RANGE(1, 1000000) },
	{ "shuffle_best_same_weighed_hosts", CONFIG_BOOLEAN, AT(scheduler.is_shuffling_equals), "false",
	  "hosts of equal weight in random order" },
	{ "max_instances_per_host", CONFIG_INTEGER, AT(scheduler.max_instances_per_host), "50",
	  "limit of NumInstancesFilter", RANGE(1, 1000000) },
	{ "max_io_ops_per_host", CONFIG_INTEGER, AT(scheduler.max_io_ops_per_host), "8", "limit of IoOpsFilter",
	  RANGE(1, 1000000) },
};
static const struct config_section filter_scheduler_section = TABLE(filter_scheduler_keys);

static const struct config_key scheduler_keys[] = {
	{ "max_attempts", CONFIG_INTEGER, AT(scheduler.max_attempts), "3", "hosts that a cold migration tries",
	  RANGE(1, 1000) },
};
static const struct config_section scheduler_section = TABLE(scheduler_keys);

static const struct config_choice timeout_actions[] = {
	{ "abort", TIMEOUT_ACTION_ABORT },
	{ "force_complete", TIMEOUT_ACTION_FORCE_COMPLETE },
	{ 0 },
};

static const struct config_key libvirt_keys[] = {
	{ "live_migration_downtime", CONFIG_INTEGER, AT(worker.live_migration_downtime_ms), "500",
	  "milliseconds that the guest may stand still for the switch", RANGE(100, 3600000) },
	{ "live_migration_downtime_steps", CONFIG_INTEGER, AT(worker.live_migration_downtime_steps), "10",
	  "even steps in which the downtime grows to its limit, the first at once", RANGE(3, 1000) },
	{ "live_migration_downtime_delay", CONFIG_INTEGER, AT(worker.live_migration_downtime_delay_s), "75",
	  "seconds per GiB of memory and disk (each at least 2 GiB) between these steps", RANGE(3, 86400) },
	{ "live_migration_completion_timeout", CONFIG_INTEGER, AT(worker.live_migration_completion_timeout_s), "800",
	  "seconds per GiB of memory and disk to copy (each at least 2 GiB); 0 is no limit", RANGE(0, 31536000) },
	{ "live_migration_timeout_action", CONFIG_CHOICE, AT(worker.live_migration_timeout_action), "abort",
	  "at that limit the move is ended, or forced: by post-copy where it is permitted and the hosts do it, else by "
	  "a pause",
	  .choices = timeout_actions },
	{ "live_migration_permit_post_copy", CONFIG_BOOLEAN, AT(worker.live_migration_permit_post_copy), "false",
	  "a forced move goes over to post-copy; a broken one is taken up again by itself" },
	{ "live_migration_permit_auto_converge", CONFIG_BOOLEAN, AT(worker.live_migration_permit_auto_converge),
	  "false", "slow a guest down that writes faster than it is copied; not where post-copy is permitted" },
	{ "live_migration_bandwidth", CONFIG_INTEGER, AT(worker.live_migration_bandwidth_mib_s), "0",
	  "MiB per second at most; 0 is no cap", RANGE(0, 8796093022207) },
	{ "live_migration_parallel_connections", CONFIG_INTEGER, AT(worker.live_migration_parallel_connections), "1",
	  "connections that memory is copied over; more than one excludes post-copy", RANGE(1, 255) },
	{ "live_migration_with_native_tls", CONFIG_BOOLEAN, AT(worker.live_migration_with_native_tls), "false",
	  "QEMU's own TLS for memory and disks" },
	{ "live_migration_scheme", CONFIG_TEXT, AT(worker.live_migration_scheme), NULL,
	  "transport of the connections between hosts (tcp, tls, ssh), which the hosts' URIs must have; without it "
	  "they say it" },
	{ "live_migration_inbound_addr", CONFIG_TEXT, AT(worker.live_migration_inbound_addr), NULL,
	  "address of the target for the stream, %s is the host's name; each host's migration_address without it",
	  .expected = config_expected_migration_address },
	{ "live_migration_interface", CONFIG_TEXT, AT(fleet.live_migration_interface), NULL,
	  "NIC of each host whose address live migrations go to, and nothing else; a host without it takes none",
	  .expected = config_expected_interface },
};
static const struct config_section libvirt_section = TABLE(libvirt_keys);

static const struct config_key worker_keys[] = {
	{ "threads", CONFIG_INTEGER, AT(worker.threads), "16", "moves that are driven at the same time",
	  RANGE(1, 1024) },
	{ "lease", CONFIG_INTEGER, AT(worker.lease_s), "30",
	  "seconds after which a silent node's jobs may be taken up by another", RANGE(5, 3600) },
	{ "progress_interval", CONFIG_INTEGER, AT(worker.progress_interval_s), "5",
	  "seconds between two records of one move's progress, at least", RANGE(1, 3600) },
	{ "poll_interval", CONFIG_INTEGER, AT(worker.poll_interval_ms), "500",
	  "milliseconds between two looks at a move's statistics", RANGE(50, 60000) },
	{ "stall_timeout", CONFIG_INTEGER, AT(worker.stall_timeout_s), "60",
	  "seconds without one byte moved after which a stream is ended; 0 is never", RANGE(0, 86400) },
	{ "retry_interval", CONFIG_INTEGER, AT(worker.retry_interval_s), "5",
	  "seconds between two tries to reach a side of an unfinished move", RANGE(1, 3600) },
};
static const struct config_section worker_section = TABLE(worker_keys);

static const struct config_key retention_keys[] = {
	{ "migrations_days", CONFIG_INTEGER, AT(retention.migrations_days), "0",
	  "days after which a migration that ended is forgotten; 0 is never", RANGE(0, 36500) },
	{ "instance_actions_days", CONFIG_INTEGER, AT(retention.instance_actions_days), "0",
	  "days after which an instance action and its events are forgotten; 0 is never", RANGE(0, 36500) },
};
static const struct config_section retention_section = TABLE(retention_keys);

static const struct config_choice drivers[] = {
	{ "libvirt", HYPERVISOR_DRIVER_LIBVIRT },
	{ "simulated", HYPERVISOR_DRIVER_SIMULATED },
	{ 0 },
};

static const struct config_key hypervisor_keys[] = {
	{ "driver", CONFIG_CHOICE, AT(hypervisor.driver), "libvirt", "real hosts, or a fleet in memory for tests",
	  .choices = drivers },
	{ "control_socket", CONFIG_PATH, AT(hypervisor.control_socket), NULL,
	  "unix socket that steers the simulated fleet" },
	{ "connect_timeout", CONFIG_INTEGER, AT(hypervisor.connect_timeout_s), "10",
	  "seconds that opening a connection may take", RANGE(1, 600) },
	{ "call_timeout", CONFIG_INTEGER, AT(hypervisor.call_timeout_s), "30",
	  "seconds after which a host that does not answer is down", RANGE(1, 3600) },
	{ "keepalive_interval", CONFIG_INTEGER, AT(hypervisor.keepalive_interval_s), "5",
	  "seconds between keep-alive messages; 0 is none", RANGE(0, 3600) },
	{ "keepalive_count", CONFIG_INTEGER, AT(hypervisor.keepalive_count), "3",
	  "unanswered keep-alive messages after which a connection is closed", RANGE(1, 1000) },
	{ "reconnect_interval", CONFIG_INTEGER, AT(hypervisor.reconnect_interval_s), "5",
	  "seconds between two tries to reach a host that is down", RANGE(1, 3600) },
	{ "reconcile_interval", CONFIG_INTEGER, AT(hypervisor.reconcile_interval_s), "60",
	  "seconds after which everything is read from a host again", RANGE(1, 86400) },
	{ "default_project", CONFIG_TEXT, AT(hypervisor.default_project), "default",
	  "project of guests without Nova's metadata" },
	{ "default_user", CONFIG_TEXT, AT(hypervisor.default_user), "default",
	  "user of guests without Nova's metadata" },
	{ "pki_path", CONFIG_PATH, AT(hypervisor.pki_path), NULL,
	  "directory with cacert.pem, clientcert.pem and clientkey.pem for qemu+tls; libvirt's own without it" },
};
static const struct config_section hypervisor_section = TABLE(hypervisor_keys);

static const struct config_key host_keys[] = {
	{ "name", CONFIG_TEXT, IN(host_settings, name), NULL, "the host's name in the API", .is_required = true,
	  .expected = config_expected_host_name },
	{ "uri", CONFIG_TEXT, IN(host_settings, uri), NULL, "libvirt URI of the control connection",
	  .is_required = true, .expected = config_expected_uri },
	{ "username", CONFIG_TEXT, IN(host_settings, user_name), NULL, "SASL user" },
	{ "password_file", CONFIG_FILE, IN(host_settings, password_file), NULL, "a file with the SASL password" },
	{ "migration_address", CONFIG_TEXT, IN(host_settings, migration_address), NULL,
	  "address or name that migrations to this host go to", .expected = config_expected_migration_address },
	{ "cpu_allocation_ratio", CONFIG_DECIMAL, IN(host_settings, cpu_allocation_ratio), "0",
	  "of this host; 0 is the general one", RANGE(0, 1e6) },
	{ "ram_allocation_ratio", CONFIG_DECIMAL, IN(host_settings, ram_allocation_ratio), "0",
	  "of this host; 0 is the general one", RANGE(0, 1e6) },
	{ "disk_allocation_ratio", CONFIG_DECIMAL, IN(host_settings, disk_allocation_ratio), "0",
	  "of this host; 0 is the general one", RANGE(0, 1e6) },
	{ "reserved_host_memory_mb", CONFIG_INTEGER, IN(host_settings, reserved_memory_mb), "-1",
	  "of this host, in MiB; -1 is the general one", RANGE(-1, BIG) },
	{ "reserved_host_disk_mb", CONFIG_INTEGER, IN(host_settings, reserved_disk_mb), "-1",
	  "of this host, in MiB; -1 is the general one", RANGE(-1, BIG) },
	{ "live_migration_interface", CONFIG_TEXT, IN(host_settings, live_migration_interface), NULL,
	  "NIC of this host for live migrations; the general one without it", .expected = config_expected_interface },
	{ "interfaces", CONFIG_PAIRS, IN(host_settings, interfaces), NULL,
	  "NICs of this host and their addresses, where libvirt does not tell them",
	  .count_offset = offsetof(struct host_settings, interface_count), .expected = config_expected_address },
	{ "labels", CONFIG_PAIRS, IN(host_settings, labels), NULL,
	  "labels of this host, as node-specific overrides name them; " FLEET_NAME_LABEL " is its name",
	  .count_offset = offsetof(struct host_settings, label_count) },
};
static const struct config_section host_section = TABLE(host_keys, .mark_offset = offsetof(struct host_settings, mark));

static const struct config_key root_keys[] = {
	{ "node", CONFIG_TEXT, AT(node), NULL, "this daemon's name; the machine's name without it",
	  .expected = config_expected_host_name },
	{ "database", CONFIG_PATH, AT(database), "/var/lib/migrationd/migrationd.db", "the database's file" },
	{ "admin_socket", CONFIG_PATH, AT(admin_socket), CONFIG_ADMIN_SOCKET,
	  "unix socket of `migrationd host` and its like, for root only" },
	{ "public_endpoint", CONFIG_TEXT, AT(api.public_endpoint), NULL,
	  "base URL in links; what the client asked for without it", .expected = config_expected_endpoint },
	SECTION("listener", listener_section),
	SECTION("metrics", metrics_section),
	SECTION("api", api_section),
	SECTION("log", log_section),
	SECTION("auth", auth_section),
	SECTION("identity", identity_section),
	SECTION("policy", policy_section),
	{ "cpu_allocation_ratio", CONFIG_DECIMAL, AT(scheduler.cpu_allocation_ratio), "4.0",
	  "vCPUs per CPU that a host takes", RANGE(0.01, 1e6) },
	{ "ram_allocation_ratio", CONFIG_DECIMAL, AT(scheduler.ram_allocation_ratio), "1.0",
	  "memory of guests per memory that a host takes", RANGE(0.01, 1e6) },
	{ "disk_allocation_ratio", CONFIG_DECIMAL, AT(scheduler.disk_allocation_ratio), "1.0",
	  "disk of guests per disk that a host takes", RANGE(0.01, 1e6) },
	{ "reserved_host_memory_mb", CONFIG_INTEGER, AT(scheduler.reserved_host_memory_mb), "512",
	  "MiB of each host that no guest gets", RANGE(0, BIG) },
	{ "reserved_host_disk_mb", CONFIG_INTEGER, AT(scheduler.reserved_host_disk_mb), "0",
	  "MiB of each host's disk that no guest gets", RANGE(0, BIG) },
	{ "max_concurrent_live_migrations", CONFIG_INTEGER, AT(worker.max_concurrent_live_migrations), "1",
	  "live migrations from one host at the same time; 0 is no limit", RANGE(0, 100000) },
	{ "max_concurrent_cold_migrations", CONFIG_INTEGER, AT(worker.max_concurrent_cold_migrations), "0",
	  "cold migrations from one host at the same time; 0 is no limit", RANGE(0, 100000) },
	{ "max_concurrent_incoming_migrations", CONFIG_INTEGER, AT(worker.max_concurrent_incoming_migrations), "0",
	  "migrations to one host at the same time; 0 is no limit", RANGE(0, 100000) },
	{ "shutdown_timeout", CONFIG_INTEGER, AT(worker.shutdown_timeout_s), "60",
	  "seconds that a guest may take to shut down in a cold migration", RANGE(0, 86400) },
	SECTION("libvirt", libvirt_section),
	SECTION("filter_scheduler", filter_scheduler_section),
	SECTION("scheduler", scheduler_section),
	SECTION("worker", worker_section),
	SECTION("hypervisor", hypervisor_section),
	SECTION("retention", retention_section),
	SECTION("simulation", config_simulation),
	{ "hosts", CONFIG_ITEMS, AT(hosts), NULL, "libvirt hosts that are registered at the start",
	  .section = &host_section, .count_offset = offsetof(struct config, host_count),
	  .item_size = sizeof(struct host_settings) },
};
const struct config_section config_root = TABLE(root_keys);
