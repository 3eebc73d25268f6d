/* The configuration: YAML files, read at start into the settings of each room. Keys, their types, ranges and defaults are
 * tables (config_keys.c); every file is checked whole, and each problem is told as "FILE:LINE: KEY: …".
 *
 *     const struct config_source source = { .paths = paths, .count = 2 };
 *     CLEANUP_CONFIG struct config config = { 0 };
 *     if (config_read(&source, report, context, &config, error) < 0)
 *         ... every problem was reported, the first stands in error->text; the daemon does not start
 *
 * A file holds documents: our own settings (without a `kind`) and those of the kind OpenStackDeployment, as an operator of
 * MOSK has them (config_deployment.c). Documents of one sort are joined key by key; of a key that stands in two files the later
 * file's counts, lists as a whole. Relative paths are relative to the directory of the file that they stand in. Everything in
 * the struct lives until config_clear.
 */
#pragma once

#include "api/auth/policy.h"
#include "api/auth/token.h"
#include "base/log.h"
#include "server/registry.h"
#include "server/scheduler/scheduler.h"
#include "server/settings.h"

struct error;
struct text;

#define CONFIG_FILES_MAX    16
#define CONFIG_ADMIN_SOCKET "/run/migrationd/admin.sock" /* by default */

struct config_source {
	const char *const *paths;
	size_t count; /* 0, and no simulation: what holds where nothing is configured */
	const char *simulation; /* one more file, the last, with a simulated fleet; NULL: none */
	const char *simulation_folder; /* where that fleet's state goes, whatever the files say; NULL: as they say */
	const char *simulation_database; /* in the place of that folder's; NULL: none */
	bool keeps_origins; /* for config_print: from which file and line each value comes */
};

struct config {
	const char *path; /* of the first file; NULL for defaults alone */
	const char *node; /* this daemon's name among nodes: os-services' host; the machine's name by default */
	const char *database; /* path */
	const char *admin_socket; /* path */
	enum log_format log_format;
	enum log_level log_level;
	struct listener_settings listener;
	struct metrics_settings metrics;
	struct endpoint_settings api;
	struct token_settings token;
	struct identity_settings identity;
	/* Rules over the defaults, a later one over an earlier: the deployment's, policy.rules, policy.file, policy.dirs; report
	 * is not set. */
	struct policy_settings policy;
	const char *policy_file; /* NULL: there is none */
	const char **policy_dirs;
	size_t policy_dir_count;
	struct scheduler_settings scheduler;
	struct worker_settings worker;
	struct hypervisor_settings hypervisor;
	struct retention_settings retention;
	struct fleet_settings fleet;
	struct host_settings *hosts;
	size_t host_count;
	struct simulation_settings simulation;
	struct host_settings
		*simulated_hosts; /* each of simulation: hosts; where there are some, in the place of hosts */
	size_t simulated_host_count;
	struct config_memory *memory; /* private */
};

/* What it says about hosts; as long as the configuration lives. */
struct registry_settings config_registry(const struct config *config);

/* Told of each problem, one sentence without a newline. */
typedef void config_report(void *context, const char *text);

/* -EINVAL when there was any problem in a file, in the policy file or in a key file; -errno of a file that cannot be read;
 * -ENOMEM. `report` may be NULL. The result is untouched then. */
int config_read(const struct config_source *source, config_report *report, void *report_context,
		struct config *ret_config, struct error *error);
/* What holds where nothing is configured: no keys for tokens, no hosts. -ENOMEM. */
int config_defaults(struct config *ret_config, struct error *error);
void config_clear(struct config *config);
#define CLEANUP_CONFIG __attribute__((cleanup(config_clear)))

/* Every key with the value that holds and where it comes from, one "key: value  # FILE:LINE" a line, without secrets:
 * `migrationd check`. */
void config_print(const struct config *config, struct text *text);
/* The same without where it comes from; a policy's name is given once, with the rule that counts. */
void config_print_values(const struct config *config, struct text *text);
/* Every key with type, range, default and meaning, for the manual. */
void config_describe(struct text *text);
