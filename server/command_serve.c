/* `migrationd serve`: the daemon. Rooms are opened in the order of their arrows and closed in reverse; the main thread
 * then only waits for a signal. */
#include "server/command_serve.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api/api.h"
#include "api/auth/policy.h"
#include "api/auth/token.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "db/database.h"
#include "server/admin_socket.h"
#include "server/command.h"
#include "server/config.h"
#include "server/control_socket.h"
#include "server/generation.h"
#include "server/idle_memory.h"
#include "server/listener.h"
#include "server/metrics.h"
#include "server/notify.h"
#include "server/probe_door.h"
#include "server/probes.h"
#include "server/readiness.h"
#include "server/registry.h"
#include "server/reload.h"
#include "server/retention.h"
#include "server/simulation.h"
#include "server/simulation_fleet.h"
#include "server/simulation_folder.h"
#include "server/verbs.h"
#include "server/watchdog.h"
#include "server/worker/bounded.h"
#include "server/worker/discover.h"
#include "server/worker/libvirt/driver.h"
#include "server/worker/simulated/fleet.h"
#include "server/worker/worker.h"

#define LOOK_INTERVAL_MS 3000
#define ENDING_MS        30000 /* beside the listener's own patience: steps in progress come to their next record */
#define BROKEN_OFF_MS    5000 /* until a simulated call that was broken off has surely returned */

struct serve_arguments {
	struct verb_list files;
	const char *simulation; /* the file of a fleet that is not real; NULL: libvirt's hosts */
	const char *database; /* that fleet's, a new file that stays; NULL: in a folder that goes with the daemon */
};

struct daemon {
	struct serve_arguments arguments;
	const struct worker_observer *observer; /* NULL, but in tests */
	struct simulation_folder folder; /* of a simulated fleet */
	struct generation *first; /* lives until the end: hypervisor, workers and listener have its settings */
	const struct config *config; /* as it was read, then the first one's */
	struct reload *reload;
	struct clock *clock; /* the system's; simulated: one that a test sets */
	struct log *log;
	struct metrics *metrics; /* what each room counts */
	struct service_metrics *service_metrics;
	struct readiness *readiness;
	struct probes *probes;
	struct probe_door *probe_door;
	struct database *database;
	struct hypervisor *hypervisor; /* the driver itself */
	struct hypervisor *bounded; /* the same, each of its calls within a bound: what jobs and discovery have */
	struct discovery *discovery;
	struct worker *worker;
	struct api *api;
	struct admin_socket *admin;
	struct simulation *simulation;
	struct control_socket *control;
	struct listener *listener;
	struct watchdog watchdog;
};

static bool is_simulated(const struct daemon *daemon)
{
	return daemon->config->hypervisor.driver == HYPERVISOR_DRIVER_SIMULATED;
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
		return libvirt_driver_create(&daemon->config->hypervisor, daemon->config->node, daemon->log,
					     &daemon->hypervisor, error);
	int result = simulated_create(daemon->clock, &daemon->hypervisor, error);

	log_event(daemon->log, LOG_LEVEL_WARNING, NULL, "this daemon simulates: no guest is real");
	return result < 0 ? result : simulation_fill(daemon->hypervisor, daemon->config, error);
}

/* Bounds are of real time, whatever clock a test sets. */
static int open_hypervisor(struct daemon *daemon, struct error *error)
{
	int result = open_driver(daemon, error);

	return result < 0 ? result : bounded_create(daemon->hypervisor, clock_system(), &daemon->bounded, error);
}

/* All that watch the database; before its first write. */
static int open_workers(struct daemon *daemon, struct error *error)
{
	const struct config *config = daemon->config;
	const struct worker_parts parts = {
		.database = daemon->database,
		.hypervisor = daemon->bounded,
		.clock = daemon->clock,
		.log = daemon->log,
		.metrics = daemon->metrics,
		.settings = &config->worker,
		.scheduler = &config->scheduler,
		.observer = daemon->observer,
		.node = config->node,
	};
	int result = worker_create(&parts, &daemon->worker, error);

	if (result == 0)
		result = discovery_create(daemon->bounded, daemon->database, &config->hypervisor, daemon->clock,
					  daemon->log, &daemon->discovery, error);
	if (result == 0)
		result = discovery_measure(daemon->discovery, daemon->metrics, error);
	return result;
}

/* With a control socket the simulated fleet's state is what a test loads through it; that thaws discovery and jobs too. Without
 * one the fleet is there when the first client comes. */
static int start_workers(struct daemon *daemon, struct error *error)
{
	const struct config *config = daemon->config;
	const struct registry_settings hosts = config_registry(config);
	int result = registry_load(daemon->database, &hosts, error);

	if (result < 0)
		return result;
	if (config->hypervisor.control_socket) {
		const struct simulation_parts parts = { daemon->database, daemon->hypervisor, daemon->worker,
							daemon->discovery, daemon->clock };
		return simulation_create(&parts, &daemon->simulation, error);
	}
	result = discovery_start(daemon->discovery, error);
	if (result == 0 && is_simulated(daemon))
		discovery_wait_for_all(daemon->discovery);
	return result < 0 ? result : worker_start(daemon->worker, error);
}

static int open_api(struct daemon *daemon, struct error *error)
{
	return api_create(generation_api_settings(daemon->first), &daemon->api, error);
}

/* What monitors ask. */
static int open_probes(struct daemon *daemon, struct error *error)
{
	const struct config *config = daemon->config;
	int result = readiness_create(daemon->database, daemon->log, &daemon->readiness, error);
	if (result < 0)
		return result;

	const struct service_metrics_parts parts = {
		.metrics = daemon->metrics,
		.database = daemon->database,
		.worker = daemon->worker,
		.readiness = daemon->readiness,
		.settings = &config->metrics,
		.node = config->node,
		.driver = daemon->hypervisor->operations->driver_name,
	};
	result = service_metrics_create(&parts, &daemon->service_metrics, error);
	if (result < 0)
		return result;

	const struct probes_parts probes = { daemon->readiness, daemon->metrics, &config->metrics };
	result = probes_create(&probes, &daemon->probes, error);
	if (result == 0 && config->metrics.address)
		result = probe_door_start(config->metrics.address, config->metrics.port, daemon->probes,
					  service_metrics_http(daemon->service_metrics), &daemon->probe_door, error);
	return result;
}

static int open_doors(struct daemon *daemon, struct error *error)
{
	const struct listener_parts parts = {
		.api = daemon->api,
		.probes = daemon->probes,
		.measures = service_metrics_http(daemon->service_metrics),
		.log = daemon->log,
	};
	const struct config *config = daemon->config;
	const struct registry_settings hosts = config_registry(config);
	const struct admin_socket_parts admin = { daemon->database, daemon->bounded, daemon->worker, daemon->log };
	int result = admin_socket_start(config->admin_socket, &admin, &hosts, &daemon->admin, error);

	if (result == 0 && config->hypervisor.control_socket)
		result = control_socket_start(config->hypervisor.control_socket, daemon->simulation, &daemon->control,
					      error);
	if (result == 0)
		result = listener_start(&config->listener, &parts, &daemon->listener, error);
	return result;
}

/* False when a move's call still runs. A real one is not waited for: it goes on without the daemon for as long as the move takes. A
 * simulated one has been broken off and returns as soon as its thread gets a turn. */
static bool stop_worker(struct daemon *daemon)
{
	if (worker_stop(daemon->worker))
		return true;
	return is_simulated(daemon)
	       && worker_wait_idle(daemon->worker, clock_monotonic_ms(clock_system()) + BROKEN_OFF_MS);
}

/* False when a blocking call of the hypervisor still runs: its thread uses what would be released here. */
static bool close_all(struct daemon *daemon)
{
	readiness_enter(daemon->readiness, READINESS_ENDING);
	if (daemon->api)
		api_stop_waiting(daemon->api);
	if (daemon->reload)
		reload_stop_waiting(daemon->reload);
	listener_stop(daemon->listener);
	probe_door_stop(daemon->probe_door);
	if (daemon->hypervisor && is_simulated(daemon)) { /* or a job that waits there would never end */
		simulated_end_copies(daemon->hypervisor);
		simulated_open_all_gates(daemon->hypervisor);
	}
	control_socket_stop(daemon->control);
	admin_socket_stop(daemon->admin);
	if (daemon->worker && !stop_worker(daemon))
		return false;
	discovery_stop(daemon->discovery);
	if (daemon->bounded && bounded_has_stuck_calls(daemon->bounded))
		return false;
	if (daemon->database)
		db_close(daemon->database); /* its last commits still call those below */
	worker_destroy(daemon->worker);
	discovery_destroy(daemon->discovery);
	if (daemon->api)
		api_destroy(daemon->api);
	if (daemon->bounded)
		daemon->bounded->operations->destroy(daemon->bounded);
	if (daemon->hypervisor)
		daemon->hypervisor->operations->destroy(daemon->hypervisor);
	reload_destroy(daemon->reload);
	generation_destroy(daemon->first);
	simulation_destroy(daemon->simulation);
	probes_destroy(daemon->probes);
	readiness_destroy(daemon->readiness);
	service_metrics_destroy(daemon->service_metrics);
	metrics_destroy(daemon->metrics);
	log_destroy(daemon->log);
	if (daemon->clock != clock_system())
		clock_manual_destroy(daemon->clock);
	return true;
}

/* Blocked in every thread that starts later, so that only wait_for_end takes them. */
static void block_signals(sigset_t *ret_signals)
{
	sigemptyset(ret_signals);
	sigaddset(ret_signals, SIGTERM);
	sigaddset(ret_signals, SIGINT);
	sigaddset(ret_signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, ret_signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int64_t listener_busy(void *listener)
{
	return listener_busy_ms(listener);
}

static int64_t worker_busy(void *worker)
{
	return worker_busy_ms(worker);
}

static void prepare_watchdog(struct daemon *daemon)
{
	watchdog_init(&daemon->watchdog, daemon->database, daemon->log, notify_watchdog_ms(daemon->log), notify_alive);
	watchdog_add_part(&daemon->watchdog, "the listener", listener_busy, daemon->listener);
	watchdog_add_part(&daemon->watchdog, "the dispatcher", worker_busy, daemon->worker);
}

/* A signal's number, or 0 when the time for the next look has come. The watchdog may want to be looked at in between. */
static int wait_for_signal(struct daemon *daemon, const sigset_t *signals)
{
	int64_t until_ms = clock_monotonic_ms(clock_system()) + LOOK_INTERVAL_MS;

	for (;;) {
		int64_t left_ms = until_ms - clock_monotonic_ms(clock_system());

		if (left_ms <= 0)
			return 0;
		int64_t sleep_ms = watchdog_look(&daemon->watchdog, left_ms);
		const struct timespec sleep = { .tv_sec = sleep_ms / 1000, .tv_nsec = sleep_ms % 1000 * 1000000 };
		int number = sigtimedwait(signals, NULL, &sleep);
		if (number > 0)
			return number;
	}
}

static int wait_for_end(struct daemon *daemon, const sigset_t *signals)
{
	struct retention retention = { .database = daemon->database, .log = daemon->log };
	struct idle_memory memory = { 0 };

	for (;;) {
		retention_look(&retention, &reload_config(daemon->reload)->retention);
		idle_memory_look(&memory);
		int number = wait_for_signal(daemon, signals);

		if (number == SIGHUP)
			reload_now(daemon->reload);
		else if (number > 0)
			return number;
		else
			reload_look(daemon->reload);
	}
}

static struct config_source source_of(const struct daemon *daemon)
{
	const struct serve_arguments *arguments = &daemon->arguments;
	struct config_source source = command_source_of_simulation(&arguments->files, arguments->simulation);

	source.simulation_folder = daemon->folder.path[0] ? daemon->folder.path : NULL;
	source.simulation_database = arguments->database;
	return source;
}

static int open_reload(struct daemon *daemon, struct error *error)
{
	const struct reload_parts parts = {
		.source = source_of(daemon),
		.first = daemon->first,
		.database = daemon->database,
		.clock = daemon->clock,
		.log = daemon->log,
		.metrics = daemon->metrics,
		.worker = daemon->worker,
		.discovery = daemon->discovery,
		.admin = daemon->admin,
		.api = daemon->api,
	};

	return reload_create(&parts, &daemon->reload, error);
}

/* The configuration with what is made of it, which knows the database. */
static int open_generation(struct daemon *daemon, struct config *config, struct error *error)
{
	const struct generation_parts parts = { daemon->database, daemon->clock, daemon->log, daemon->metrics };
	int result = generation_create(config, &parts, &daemon->first, error);

	if (result == 0)
		daemon->config = generation_config(daemon->first);
	return result;
}

static void tell_ready(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	CLEANUP_FREE char *status = text_format("%s on %s port %d", is_simulated(daemon) ? "Simulating" : "Serving",
						config->listener.address, listener_port(daemon->listener));

	notify_ready(daemon->log, status ? status : "Serving");
}

/* One that goes with the daemon need not survive a power cut. */
static int open_database(struct daemon *daemon, const char *path, struct error *error)
{
	bool is_temporary = daemon->folder.path[0] && !daemon->arguments.database;

	return (is_temporary ? db_open_temporary : db_open)(path, daemon->clock, daemon->log, &daemon->database, error);
}

static int run(struct daemon *daemon, struct config *config, const sigset_t *signals, struct error *error)
{
	int result = 0;

	daemon->metrics = metrics_create();
	if (!daemon->metrics)
		result = error_no_memory(error);
	if (result == 0)
		result = open_database(daemon, config->database, error);
	if (result == 0)
		result = db_measure(daemon->database, daemon->metrics, error);
	if (result == 0)
		result = open_generation(daemon, config, error);
	if (result == 0)
		result = open_hypervisor(daemon, error);
	if (result == 0)
		result = open_workers(daemon, error);
	if (result == 0)
		result = open_api(daemon, error);
	if (result == 0)
		result = start_workers(daemon, error);
	if (result == 0)
		result = open_probes(daemon, error);
	if (result == 0)
		result = open_doors(daemon, error);
	if (result == 0)
		result = open_reload(daemon, error);
	if (result < 0)
		return result;
	readiness_enter(daemon->readiness, READINESS_SERVING);
	if (daemon->probe_door)
		log_event(daemon->log, LOG_LEVEL_INFO, NULL, "metrics are listening",
			  LOG_TEXT("address", daemon->config->metrics.address),
			  LOG_NUMBER("port", probe_door_port(daemon->probe_door)));
	log_event(daemon->log, LOG_LEVEL_INFO, NULL, "listening", LOG_TEXT("address", daemon->config->listener.address),
		  LOG_NUMBER("port", listener_port(daemon->listener)), LOG_TEXT("node", daemon->config->node));
	admin_socket_set_port(daemon->admin, listener_port(daemon->listener));
	prepare_watchdog(daemon);
	tell_ready(daemon);
	log_event(daemon->log, LOG_LEVEL_INFO, NULL, "ending", LOG_NUMBER("signal", wait_for_end(daemon, signals)));
	notify_stopping(daemon->log, daemon->config->listener.drain_timeout_s * 1000 + ENDING_MS);
	return 0;
}

/* A wrong configuration or a foreign database stays wrong however often it is tried; a port that is taken or a disk that fails may
 * be well in a moment. A service manager tries again by this. */
static int exit_status(const struct error *error)
{
	return error->code == EINVAL || error->code == ENOTSUP ? EXIT_CONFIGURATION : EXIT_FAILURE;
}

/* A simulated fleet never gets into a database that holds something: it might be that of real hosts. */
static int check_database(const struct serve_arguments *arguments, struct error *error)
{
	if (arguments->database && access(arguments->database, F_OK) == 0)
		return error_set(error, EINVAL, "%s exists: --database needs a new file", arguments->database);
	return 0;
}

/* 0: the configuration is read; a simulated fleet has its folder. */
static int begin(struct daemon *daemon, struct config *config)
{
	struct error error = { 0 };

	if (daemon->arguments.database && !daemon->arguments.simulation)
		return verb_refuse(verb_serve.name, "--database goes with --simulate");
	int result = check_database(&daemon->arguments, &error);
	if (result == 0 && daemon->arguments.simulation)
		result = simulation_folder_make(&daemon->folder, &error);
	if (result < 0) {
		fprintf(stderr, "migrationd serve: %s\n", error.text);
		return exit_status(&error);
	}
	const struct config_source source = source_of(daemon);
	return command_read_source(&source, config);
}

int command_serve(const void *arguments, const struct worker_observer *observer)
{
	CLEANUP_CONFIG struct config config = { 0 };
	struct daemon daemon = { .arguments = *(const struct serve_arguments *)arguments,
				 .observer = observer,
				 .config = &config };
	struct error error = { 0 };
	sigset_t signals;
	int status = begin(&daemon, &config);

	if (status != 0) {
		simulation_folder_remove(&daemon.folder);
		return status;
	}
	block_signals(&signals);
	idle_memory_prepare();
	daemon.clock = make_clock(&daemon);
	daemon.log = daemon.clock ? log_create(STDERR_FILENO, config.log_format, config.log_level, daemon.clock) : NULL;
	int result = daemon.log ? run(&daemon, &config, &signals, &error) : error_no_memory(&error);
	if (result < 0)
		fprintf(stderr, "migrationd: %s\n", error.text);
	bool is_closed = close_all(&daemon);
	simulation_folder_remove(&daemon.folder);
	if (!is_closed) {
		/* Every commit is on disk, and the move is taken up again by the next start. */
		log_event(daemon.log, LOG_LEVEL_WARNING, NULL, "calls upon hosts have not returned, and are left");
		_exit(EXIT_SUCCESS);
	}
	return result < 0 ? exit_status(&error) : EXIT_SUCCESS;
}

static int serve(void *context)
{
	return command_serve(context, NULL);
}

static const struct verb_argument options[] = {
	VERB_OPTION_CONFIG(struct serve_arguments, files),
	{ "FILE", "simulate", "no libvirt: hosts and servers that exist nowhere, from this file", VERB_TEXT,
	  .offset = offsetof(struct serve_arguments, simulation), .completes = VERB_COMPLETES_FILE },
	{ "FILE", "database", "with --simulate: a new file for the database, which stays", VERB_TEXT,
	  .offset = offsetof(struct serve_arguments, database), .completes = VERB_COMPLETES_FILE },
};

static const char *const description[] = {
	"It writes its log to standard error, reads the configuration anew on SIGHUP and when one of its files "
	"changes, and ends on "
	"SIGTERM and SIGINT, after the requests in flight.",
	"With --simulate it needs no libvirt and no privilege: the file's section `simulation` has the hosts, the "
	"servers and how their moves go, all other keys may stand beside it, and the configuration's default file is "
	"not read. The words admin and member are tokens then, unless the file says otherwise. The database is a new "
	"one in a folder under $TMPDIR that goes with the daemon, and what it writes need not be on disk.",
	"With --database it is the file that is named, which must not exist yet and stays; each write is on disk "
	"before it is answered, as with real hosts: for measurements, and to look into it afterwards.",
	NULL,
};

static const struct verb_example examples[] = {
	{ "migrationd serve --config /etc/migrationd/migrationd.yaml --config /etc/migrationd/osdpl.yaml",
	  "with an OpenStackDeployment beside the own settings" },
	{ "migrationd serve --simulate fleet.yaml", "in front of a fleet that is not real, for tests of clients" },
	{ 0 },
};

const struct verb verb_serve = {
	.name = "serve",
	.summary = "runs the daemon in the foreground",
	.description = description,
	.options = VERB_ROWS(options),
	.examples = examples,
	.arguments_size = sizeof(struct serve_arguments),
	.run = serve,
};
