/* What the operator can set, as plain data: one struct per room of server/, filled by the configuration (config.h) or by a
 * test, read by the rooms. Texts belong to whoever filled the struct and outlive its readers. Defaults stand in the
 * configuration's tables (config_keys.c); each member's key in the YAML file is named behind it where it differs.
 * Sections are Nova's: `libvirt`, `filter_scheduler`, `scheduler`, `api`; what Nova has in [DEFAULT] stands at the top.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* listener: … */
struct listener_settings {
	const char *address; /* numeric, IPv4 or IPv6 */
	int64_t port; /* 0: any free one (tests) */
	int64_t threads;
	int64_t connections_max; /* max_connections */
	int64_t connections_per_address_max; /* max_connections_per_address; 0: no limit of its own */
	int64_t header_bytes_max; /* max_header_bytes: request line and all headers of one request */
	int64_t body_bytes_max; /* max_body_bytes: 413 beyond, as Nova's max_request_body_size */
	int64_t idle_timeout_s; /* idle_timeout */
	int64_t drain_timeout_s; /* drain_timeout: how long requests in flight may take after SIGTERM */
	int64_t wait_timeout_s; /* wait_timeout: how long a request below 2.34 waits for the dispatcher's verdict */
	const char *certificate_file; /* NULL: plain HTTP */
	const char *key_file;
	const char **trusted_proxies; /* addresses and networks */
	size_t trusted_proxy_count;
};

/* metrics: … */
struct metrics_settings {
	bool is_enabled; /* enabled */
	const char *address; /* an address of their own; NULL: the listener's, for those near alone */
	int64_t port; /* there; 0: any free one (tests) */
	const char **allowed_networks; /* who may read them at the listener's address, besides the machine itself */
	size_t allowed_network_count;
	int64_t hosts_max; /* max_hosts: each host has series of its own in a fleet of at most so many */
};

/* api: … and public_endpoint */
struct endpoint_settings {
	const char *public_endpoint; /* for links in answers, without a slash at the end; NULL: from the Host header */
	int64_t max_limit; /* rows on a page */
};

/* identity: keystone: … */
struct keystone_settings {
	const char *url; /* NULL: no Keystone is asked */
	const char *username; /* the service's own user */
	const char *user_domain_name;
	const char *project_name;
	const char *project_domain_name;
	const char *password_file;
	const char *cacert_file; /* NULL: the system's */
	int64_t timeout_s; /* timeout: of one question */
	int64_t cache_time_s; /* cache_time: how long an answer is believed; a revoked token is seen within it */
	int64_t remembered_max; /* remembered_tokens */
};

/* An item of identity: jwks */
struct key_set_settings {
	const char *url; /* one of both */
	const char *file;
	const char *cacert_file;
	int64_t refresh_interval_s; /* refresh_interval */
	int64_t timeout_s; /* timeout */
};

struct identity_settings {
	struct keystone_settings keystone;
	struct key_set_settings *key_sets;
	size_t key_set_count;
};

enum timeout_action { TIMEOUT_ACTION_ABORT, TIMEOUT_ACTION_FORCE_COMPLETE };

/* retention: … */
struct retention_settings {
	int64_t migrations_days; /* 0: they stay for ever */
	int64_t instance_actions_days;
};

/* Nova's [libvirt] and [DEFAULT] names without units; `worker: …` for our own. */
struct worker_settings {
	int64_t threads; /* worker: threads: moves that are driven at the same time */
	int64_t lease_s; /* worker: lease: a job whose owner is silent for so long may be taken up by another node */
	int64_t progress_interval_s; /* worker: progress_interval: how often one job's progress is written at most */
	int64_t poll_interval_ms; /* worker: poll_interval: how often libvirt is asked for a job's statistics */
	int64_t stall_timeout_s; /* worker: stall_timeout: a stream of which not one byte moved for so long is ended;
				  * 0: never */
	int64_t retry_interval_s; /* worker: retry_interval: while a side of an unfinished job cannot be reached */

	int64_t max_concurrent_live_migrations; /* per source host; 0: no limit */
	int64_t max_concurrent_cold_migrations; /* per source host; 0: no limit; ours */
	int64_t max_concurrent_incoming_migrations; /* per target host, of either type; 0: no limit; ours */
	int64_t shutdown_timeout_s; /* shutdown_timeout: cold: how long the guest may take to go down by itself */

	int64_t live_migration_downtime_ms; /* live_migration_downtime */
	int64_t live_migration_downtime_steps;
	int64_t live_migration_downtime_delay_s; /* per GiB */
	int64_t live_migration_completion_timeout_s; /* per GiB of memory and disk to copy, at least 2; 0: never */
	enum timeout_action live_migration_timeout_action;
	bool live_migration_permit_post_copy;
	bool live_migration_permit_auto_converge;
	int64_t live_migration_bandwidth_mib_s; /* live_migration_bandwidth; 0: no cap */
	int64_t live_migration_parallel_connections; /* 1: a single one */
	bool live_migration_with_native_tls;
	const char *
		live_migration_scheme; /* "tcp", "tls", "ssh": what the hosts' URIs must say; NULL: whatever they say */
	const char *live_migration_inbound_addr; /* NULL: the host's migration_address, else its control address; "%s"
						  * in it stands for the host's name */
};

struct tree_mark;

/* What goes wrong with a simulated move. */
enum simulated_failure {
	SIMULATED_FAILS_NOT,
	SIMULATED_FAILS_PRECHECK, /* every host refuses the server before anything is touched */
	SIMULATED_FAILS_MIDWAY, /* the copy breaks off at its half */
	SIMULATED_FAILS_TARGET_LOST, /* at its half the target stops answering, for simulation: target_lost_for */
	SIMULATED_FAILS_NEVER_CONVERGES, /* live: it goes on until it is aborted or forced */
};

/* One of moves: …; the first for a server's first move, and so on, the last for all that follow. */
struct simulated_move_settings {
	double takes_s; /* takes: the copy */
	enum simulated_failure fails;
};

/* One of simulation: hosts: … */
struct simulated_host_settings {
	const char *name;
	int64_t count; /* of more than one NAME-1, NAME-2 … */
	int64_t vcpus;
	int64_t memory_mb;
	int64_t disk_gb;
	const struct tree_mark *mark;
};

enum simulated_server_state { SIMULATED_ACTIVE, SIMULATED_PAUSED, SIMULATED_STOPPED };

/* One of simulation: servers: … */
struct simulated_server_settings {
	const char *name;
	int64_t count; /* of more than one NAME-1, NAME-2 … */
	const char *id; /* NULL: made of the name, the same at each start */
	const char *host; /* NULL: the hosts in turn */
	const char *project;
	const char *user;
	const char *flavor; /* NULL: named by its size */
	int64_t vcpus;
	int64_t memory_mb;
	int64_t disk_gb;
	enum simulated_server_state state;
	struct simulated_move_settings *moves; /* NULL: those of all */
	size_t move_count;
	const struct tree_mark *mark;
};

/* One of simulation: tokens: … */
struct simulated_token_settings {
	const char *token;
	const char *project;
	const char *user;
	const char *const *roles;
	size_t role_count;
};

/* simulation: … A fleet that is not real, and who may ask about it. */
struct simulation_settings {
	struct simulated_host_settings *hosts;
	size_t host_count;
	struct simulated_server_settings *servers;
	size_t server_count;
	struct simulated_move_settings *moves;
	size_t move_count;
	const struct simulated_token_settings *tokens;
	size_t token_count;
	double target_lost_for_s; /* target_lost_for */
};

enum hypervisor_driver { HYPERVISOR_DRIVER_LIBVIRT, HYPERVISOR_DRIVER_SIMULATED };

/* hypervisor: … */
struct hypervisor_settings {
	enum hypervisor_driver driver;
	const char *control_socket; /* the simulated fleet's; NULL with libvirt */
	int64_t connect_timeout_s; /* connect_timeout */
	int64_t call_timeout_s; /* call_timeout: a host whose answer takes longer counts as down */
	int64_t keepalive_interval_s; /* keepalive_interval */
	int64_t keepalive_count; /* unanswered ones after which the connection is closed */
	int64_t reconnect_interval_s; /* reconnect_interval */
	int64_t reconcile_interval_s; /* reconcile_interval: everything is read again so often */
	const char *default_project; /* of guests without Nova's metadata */
	const char *default_user;
	const char *pki_path; /* directory with cacert.pem, clientcert.pem, clientkey.pem; NULL: libvirt's own */
};

/* A name and its value, of a mapping. */
struct name_value {
	const char *name;
	const char *value;
};

/* What holds for the hosts that have a label. */
struct label_settings {
	const char *label; /* LABEL::VALUE, or LABEL alone: whatever its value */
	const char *live_migration_interface; /* NULL, 0: what holds for all */
	const char *tunnel_interface;
	double cpu_allocation_ratio;
	double ram_allocation_ratio;
	double disk_allocation_ratio;
	const struct tree_mark *mark;
};

/* What holds for all hosts, as far as neither a label nor the host itself says otherwise. */
struct fleet_settings {
	const char *live_migration_interface; /* the NIC whose address live migrations go to; NULL: none is named */
	const char *tunnel_interface; /* Neutron's; for `vhost0` where a host has no NIC of that name */
	struct label_settings *labels; /* of those that a host has the last one counts */
	size_t label_count;
};

/* One of hosts: … */
struct host_settings {
	const char *name;
	const char *uri;
	const char *user_name; /* username: SASL; NULL: none */
	const char *password_file;
	const char *migration_address; /* address or name; NULL: none of its own */
	double cpu_allocation_ratio; /* 0: the scheduler's; the two below too */
	double ram_allocation_ratio;
	double disk_allocation_ratio;
	int64_t reserved_memory_mb; /* reserved_host_memory_mb; -1: the scheduler's */
	int64_t reserved_disk_mb; /* reserved_host_disk_mb; -1: the scheduler's */
	const char *live_migration_interface; /* of this host; NULL: the fleet's */
	const char *tunnel_interface; /* not a key: the fleet's, for this host */
	struct name_value *interfaces; /* NIC and address, where libvirt does not tell them */
	size_t interface_count;
	struct name_value *labels; /* `kubernetes.io/hostname` is the host's name without being set */
	size_t label_count;
	const struct tree_mark *mark; /* in the file, for messages */
};
