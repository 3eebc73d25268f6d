/* `migrationd serve`: the daemon. Rooms are opened in the order of their arrows and closed in reverse; the main thread
 * then only waits for a signal. */
#include "server/command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api/api.h"
#include "api/auth/policy.h"
#include "api/auth/token.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "db/database.h"
#include "server/admin_socket.h"
#include "server/config.h"
#include "server/control_socket.h"
#include "server/identity/identity.h"
#include "server/idle_memory.h"
#include "server/listener.h"
#include "server/registry.h"
#include "server/simulation.h"
#include "server/worker/discover.h"
#include "server/worker/libvirt/driver.h"
#include "server/worker/simulated/fleet.h"
#include "server/worker/worker.h"

struct daemon {
	struct config config;
	struct clock *clock; /* the system's; simulated: one that a test sets */
	struct log *log;
	struct database *database;
	struct hypervisor *hypervisor;
	struct discovery *discovery;
	struct worker *worker;
	struct policy *policy;
	struct token_verifier *tokens;
	struct identity *identity; /* NULL: nobody else is asked */
	struct api *api;
	struct admin_socket *admin;
	struct simulation *simulation;
	struct control_socket *control;
	struct listener *listener;
};

static void log_policy(void *context, const char *text)
{
	log_event(context, LOG_LEVEL_WARNING, NULL, "policy", LOG_TEXT("reason", text));
}

static bool is_simulated(const struct daemon *daemon)
{
	return daemon->config.hypervisor.driver == HYPERVISOR_DRIVER_SIMULATED;
}

/* NULL when out of memory. */
static struct clock *make_clock(const struct daemon *daemon)
{
	if (!is_simulated(daemon))
		return clock_system();

	struct clock *clock = clock_manual_create(clock_now_us(clock_system()));
	if (clock)
		clock_manual_run(clock, true);
	return clock;
}

static int open_driver(struct daemon *daemon, struct error *error)
{
	if (!is_simulated(daemon))
		return libvirt_driver_create(&daemon->config.hypervisor, daemon->config.node, daemon->log,
					     &daemon->hypervisor, error);
	log_event(daemon->log, LOG_LEVEL_WARNING, NULL, "this daemon simulates: no guest is real");
	return simulated_create(daemon->clock, &daemon->hypervisor, error);
}

/* All that watch the database; before its first write. */
static int open_workers(struct daemon *daemon, struct error *error)
{
	const struct config *config = &daemon->config;
	const struct worker_parts parts = {
		.database = daemon->database,
		.hypervisor = daemon->hypervisor,
		.clock = daemon->clock,
		.log = daemon->log,
		.settings = &config->worker,
		.scheduler = &config->scheduler,
		.node = config->node,
	};
	int result = worker_create(&parts, &daemon->worker, error);

	if (result == 0)
		result = discovery_create(daemon->hypervisor, daemon->database, &config->hypervisor, daemon->clock,
					  daemon->log, &daemon->discovery, error);
	return result;
}

/* The simulated fleet's state is what its control socket loads; that thaws discovery and jobs too. */
static int start_workers(struct daemon *daemon, struct error *error)
{
	const struct config *config = &daemon->config;
	const struct registry_settings hosts = { config->hosts, config->host_count, &config->fleet, config->node };
	int result = registry_load(daemon->database, &hosts, error);

	if (result < 0)
		return result;
	if (is_simulated(daemon)) {
		const struct simulation_parts parts = { daemon->database, daemon->hypervisor, daemon->worker,
							daemon->discovery, daemon->clock };
		return simulation_create(&parts, &daemon->simulation, error);
	}
	result = discovery_start(daemon->discovery, error);
	return result < 0 ? result : worker_start(daemon->worker, error);
}

/* Those who are asked about tokens that no key of ours has made. */
static int open_identity(struct daemon *daemon, struct error *error)
{
	const struct identity_settings *settings = &daemon->config.identity;
	const struct identity_parts parts = { settings, daemon->tokens, daemon->clock, daemon->log };

	if (!settings->keystone.url && !settings->key_set_count)
		return 0;
	return identity_create(&parts, &daemon->identity, error);
}

static int open_api(struct daemon *daemon, struct error *error)
{
	struct config *config = &daemon->config;

	config->policy.report = log_policy;
	config->policy.report_context = daemon->log;
	int result = policy_create(&config->policy, &daemon->policy, error);
	if (result == 0)
		result = token_verifier_create(&config->token, &daemon->tokens, error);
	if (result == 0)
		result = open_identity(daemon, error);
	if (result < 0)
		return result;

	const struct api_settings settings = {
		.database = daemon->database,
		.policy = daemon->policy,
		.tokens = daemon->tokens,
		.clock = daemon->clock,
		.log = daemon->log,
		.public_endpoint = config->api.public_endpoint,
		.keystone_url = config->identity.keystone.url,
		.authority = daemon->identity ? identity_authority(daemon->identity) : NULL,
		.node = config->node,
		.max_limit = config->api.max_limit,
		.reserved_memory_mb = config->scheduler.reserved_host_memory_mb,
		.reserved_disk_gb = (config->scheduler.reserved_host_disk_mb + 1023) / 1024,
		.max_body_bytes = (size_t)config->listener.body_bytes_max,
		.wait_timeout_s = config->listener.wait_timeout_s,
	};
	return api_create(&settings, &daemon->api, error);
}

static int open_doors(struct daemon *daemon, struct error *error)
{
	const struct config *config = &daemon->config;
	int result = admin_socket_start(config->admin_socket, daemon->database, &config->fleet, daemon->log,
					&daemon->admin, error);

	if (result == 0 && config->hypervisor.control_socket)
		result = control_socket_start(config->hypervisor.control_socket, daemon->simulation, &daemon->control,
					      error);
	if (result == 0)
		result = listener_start(&config->listener, daemon->api, clock_system(), daemon->log, &daemon->listener,
					error);
	return result;
}

/* False when a blocking call of the hypervisor still runs: its thread uses what would be released here. */
static bool close_all(struct daemon *daemon)
{
	if (daemon->api)
		api_stop_waiting(daemon->api);
	if (daemon->identity)
		identity_stop(daemon->identity);
	listener_stop(daemon->listener);
	if (daemon->hypervisor && is_simulated(daemon))
		simulated_open_all_gates(daemon->hypervisor); /* or a job that stands at one would never end */
	control_socket_stop(daemon->control);
	admin_socket_stop(daemon->admin);
	if (daemon->worker && !worker_stop(daemon->worker))
		return false;
	discovery_stop(daemon->discovery);
	if (daemon->database)
		db_close(daemon->database); /* its last commits still call those below */
	worker_destroy(daemon->worker);
	discovery_destroy(daemon->discovery);
	if (daemon->api)
		api_destroy(daemon->api);
	if (daemon->hypervisor)
		daemon->hypervisor->operations->destroy(daemon->hypervisor);
	identity_destroy(daemon->identity);
	token_verifier_destroy(daemon->tokens);
	policy_destroy(daemon->policy);
	simulation_destroy(daemon->simulation);
	log_destroy(daemon->log);
	if (daemon->clock != clock_system())
		clock_manual_destroy(daemon->clock);
	config_clear(&daemon->config);
	return true;
}

/* Blocked in every thread that starts later, so that only wait_for_end takes them. */
static void block_signals(sigset_t *ret_signals)
{
	sigemptyset(ret_signals);
	sigaddset(ret_signals, SIGTERM);
	sigaddset(ret_signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, ret_signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int wait_for_end(const sigset_t *signals)
{
	static const struct timespec look_interval = { .tv_sec = 3 };
	struct idle_memory memory = { 0 };
	int number;

	do {
		idle_memory_look(&memory);
		number = sigtimedwait(signals, NULL, &look_interval);
	} while (number < 0);
	return number;
}

static int run(struct daemon *daemon, const sigset_t *signals, struct error *error)
{
	int result = db_open(daemon->config.database, daemon->clock, daemon->log, &daemon->database, error);

	if (result == 0)
		result = open_driver(daemon, error);
	if (result == 0)
		result = open_workers(daemon, error);
	if (result == 0)
		result = open_api(daemon, error);
	if (result == 0)
		result = start_workers(daemon, error);
	if (result == 0)
		result = open_doors(daemon, error);
	if (result < 0)
		return result;
	log_event(daemon->log, LOG_LEVEL_INFO, NULL, "listening", LOG_TEXT("address", daemon->config.listener.address),
		  LOG_NUMBER("port", listener_port(daemon->listener)), LOG_TEXT("node", daemon->config.node));
	log_event(daemon->log, LOG_LEVEL_INFO, NULL, "ending", LOG_NUMBER("signal", wait_for_end(signals)));
	return 0;
}

int command_serve(char **arguments)
{
	struct command_files files = { 0 };
	const struct command_option options[] = { COMMAND_CONFIG_OPTION(&files) };
	struct daemon daemon = { 0 };
	struct error error = { 0 };
	sigset_t signals;

	if (command_read_options("serve", arguments, options, 1) < 0)
		return EXIT_USAGE;
	int status = command_read_config(&files, false, &daemon.config);
	if (status != 0)
		return status;
	block_signals(&signals);
	idle_memory_prepare();
	daemon.clock = make_clock(&daemon);
	daemon.log = daemon.clock ? log_create(STDERR_FILENO, daemon.config.log_format, daemon.config.log_level,
					       daemon.clock)
				  : NULL;
	int result = daemon.log ? run(&daemon, &signals, &error) : error_no_memory(&error);
	if (result < 0)
		fprintf(stderr, "migrationd: %s\n", error.text);
	if (!close_all(&daemon)) {
		/* Every commit is on disk, and the move is taken up again by the next start. */
		_exit(EXIT_SUCCESS);
	}
	return result < 0 ? EXIT_CONFIGURATION : EXIT_SUCCESS;
}
