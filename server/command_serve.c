/* `migrationd serve`: the daemon. Rooms are opened in the order of their arrows and closed in reverse; the main thread
 * then only waits for a signal. */
#include "server/command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

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
#include "server/listener.h"
#include "server/registry.h"

struct daemon {
	struct config config;
	struct log *log;
	struct database *database;
	struct policy *policy;
	struct token_verifier *tokens;
	struct api *api;
	struct admin_socket *admin;
	struct control_socket *control;
	struct listener *listener;
};

static void log_policy(void *context, const char *text)
{
	log_event(context, LOG_LEVEL_WARNING, NULL, "policy", LOG_TEXT("reason", text));
}

static int open_state(struct daemon *daemon, struct error *error)
{
	const struct config *config = &daemon->config;
	int result = db_open(config->database, clock_system(), daemon->log, &daemon->database, error);

	if (result == 0)
		result = registry_load(daemon->database, config->hosts, config->host_count, config->node, error);
	return result;
}

static int open_api(struct daemon *daemon, struct error *error)
{
	struct config *config = &daemon->config;

	config->policy.report = log_policy;
	config->policy.report_context = daemon->log;
	int result = policy_create(&config->policy, &daemon->policy, error);
	if (result == 0)
		result = token_verifier_create(&config->token, &daemon->tokens, error);
	if (result < 0)
		return result;

	const struct api_settings settings = {
		.database = daemon->database,
		.policy = daemon->policy,
		.tokens = daemon->tokens,
		.clock = clock_system(),
		.log = daemon->log,
		.public_endpoint = config->api.public_endpoint,
		.node = config->node,
		.max_limit = config->api.max_limit,
		.max_body_bytes = (size_t)config->listener.body_bytes_max,
	};
	return api_create(&settings, &daemon->api, error);
}

static int open_doors(struct daemon *daemon, struct error *error)
{
	const struct config *config = &daemon->config;
	int result = admin_socket_start(config->admin_socket, daemon->database, daemon->log, &daemon->admin, error);

	if (result == 0 && config->hypervisor.control_socket)
		result = control_socket_start(config->hypervisor.control_socket, daemon->database, &daemon->control,
					      error);
	if (result == 0)
		result = listener_start(&config->listener, daemon->api, clock_system(), daemon->log, &daemon->listener,
					error);
	return result;
}

static void close_all(struct daemon *daemon)
{
	listener_stop(daemon->listener);
	control_socket_stop(daemon->control);
	admin_socket_stop(daemon->admin);
	if (daemon->api)
		api_destroy(daemon->api);
	token_verifier_destroy(daemon->tokens);
	policy_destroy(daemon->policy);
	if (daemon->database)
		db_close(daemon->database);
	log_destroy(daemon->log);
	config_clear(&daemon->config);
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

static int run(struct daemon *daemon, const sigset_t *signals, struct error *error)
{
	int number = 0;
	int result;

	if (daemon->config.hypervisor.driver != HYPERVISOR_DRIVER_SIMULATED)
		return error_set(
			error, ENOTSUP,
			"hypervisor.driver: only \"simulated\" is served so far: no worker of this version moves "
			"real guests, and a request must not be accepted that nobody carries out");
	log_event(daemon->log, LOG_LEVEL_WARNING, NULL,
		  "this daemon simulates: no guest is real, and jobs stand still");
	result = open_state(daemon, error);

	if (result == 0)
		result = open_api(daemon, error);
	if (result == 0)
		result = open_doors(daemon, error);
	if (result < 0)
		return result;
	log_event(daemon->log, LOG_LEVEL_INFO, NULL, "listening", LOG_TEXT("address", daemon->config.listener.address),
		  LOG_NUMBER("port", listener_port(daemon->listener)), LOG_TEXT("node", daemon->config.node));
	sigwait(signals, &number);
	log_event(daemon->log, LOG_LEVEL_INFO, NULL, "ending", LOG_NUMBER("signal", number));
	return 0;
}

int command_serve(char **arguments)
{
	const char *path = "/etc/migrationd/migrationd.yaml";
	const struct command_option options[] = { { "config", &path, 1, NULL } };
	struct daemon daemon = { 0 };
	struct error error = { 0 };
	sigset_t signals;

	if (command_read_options("serve", arguments, options, 1) < 0)
		return EXIT_USAGE;
	if (config_read(path, command_report, NULL, &daemon.config, &error) < 0) {
		if (error.code != EINVAL)
			command_report(NULL, error.text);
		return EXIT_CONFIGURATION;
	}
	block_signals(&signals);
	daemon.log = log_create(STDERR_FILENO, daemon.config.log_format, daemon.config.log_level, clock_system());
	int result = daemon.log ? run(&daemon, &signals, &error) : error_no_memory(&error);
	if (result < 0)
		fprintf(stderr, "migrationd: %s\n", error.text);
	close_all(&daemon);
	return result < 0 ? EXIT_CONFIGURATION : EXIT_SUCCESS;
}
