/* The configuration: one YAML file, read at start into the settings of each room. Keys, their types, ranges and defaults
 * are tables (config_keys.c); a file is checked whole, and each problem is told as "FILE:LINE: KEY: …".
 *
 *     CLEANUP_CONFIG struct config config = { 0 };
 *     if (config_read("/etc/migrationd/migrationd.yaml", report, context, &config, error) < 0)
 *         ... every problem was reported, the first stands in error->text; the daemon does not start
 *
 * Relative paths in the file are relative to its directory. Everything in the struct lives until config_clear.
 */
#pragma once

#include "api/auth/policy.h"
#include "api/auth/token.h"
#include "base/log.h"
#include "server/scheduler/scheduler.h"
#include "server/settings.h"

struct error;
struct text;

struct config {
	const char *path; /* of the file; NULL for defaults alone */
	const char *node; /* this daemon's name among nodes: os-services' host; the machine's name by default */
	const char *database; /* path */
	const char *admin_socket; /* path */
	enum log_format log_format;
	enum log_level log_level;
	struct listener_settings listener;
	struct endpoint_settings api;
	struct token_settings token;
	struct identity_settings identity;
	struct policy_settings policy; /* rules of the policy file and of the configuration; report is not set */
	struct scheduler_settings scheduler;
	struct worker_settings worker;
	struct hypervisor_settings hypervisor;
	struct host_settings *hosts;
	size_t host_count;
	struct config_memory *memory; /* private */
};

/* Told of each problem, one sentence without a newline. */
typedef void config_report(void *context, const char *text);

/* -EINVAL when there was any problem in the file, in the policy file or in a key file; -errno of a file that cannot be
 * read; -ENOMEM. `report` may be NULL. The result is untouched then. */
int config_read(const char *path, config_report *report, void *report_context, struct config *ret_config,
		struct error *error);
/* What holds where nothing is configured: no keys for tokens, no hosts. -ENOMEM. */
int config_defaults(struct config *ret_config, struct error *error);
void config_clear(struct config *config);
#define CLEANUP_CONFIG __attribute__((cleanup(config_clear)))

/* Every key with the value that holds, one "key: value" a line, without secrets: `migrationd check`. */
void config_print(const struct config *config, struct text *text);
/* Every key with type, range, default and meaning, for the manual. */
void config_describe(struct text *text);
