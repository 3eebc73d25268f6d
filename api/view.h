/* Rows of the database as Nova's documents: pure makers, without policies or requests.
 *
 * Each returns a new document that the caller owns, NULL when out of memory. The fields, their order and the microversion
 * of each are Nova's, as recorded. Thread-safe.
 */
#pragma once

#include "db/flavors.h"
#include "db/hosts.h"
#include "db/instance_actions.h"
#include "db/migrations.h"
#include "db/servers.h"

#include <jansson.h>

struct text;

/* How links begin. */
struct view_base {
	const char *url; /* without a trailing slash */
	const char *project_path; /* "/" and the project's id where the request's own URL has it, else "" */
};

/* What of a server the asker may see, and how it asked. */
struct view_server_scope {
	int minor; /* microversion 2.minor */
	struct view_base base;
	bool is_detail; /* an entry of /servers/detail: host_status stands last, no server_groups */
	bool has_host_attributes; /* os_compute_api:os-extended-server-attributes */
	bool has_host_status; /* os_compute_api:servers:show:host_status */
	bool has_extra_specs; /* os_compute_api:servers:show:flavor-extra-specs */
	bool has_fault_details; /* Nova's context.is_admin */
	const struct db_host *host; /* that the server stands on; NULL: unknown */
};

#define VIEW_HOST_ID_SIZE 57
/* Nova's hostId: sha224 of project and host in hex, "" without a host. False when the digest could not be made. */
bool view_host_id(const char *project_id, const char *host, char ret_host_id[VIEW_HOST_ID_SIZE]);

/* Nova's status by vm_state and task_state; UNKNOWN for a state that is none of Nova's. */
const char *view_server_status(const char *vm_state, const char *task_state);
/* Rows of the table of statuses, a bit each: those of a status (compared without regard to case; 0: it is none), and those of a
 * server's states. A list of a status wants a server when both have a row in common: ACTIVE also wants those with a task of
 * their own, as in Nova. */
uint64_t view_status_rows(const char *status);
uint64_t view_state_rows(const char *vm_state, const char *task_state);

json_t *view_server(const struct db_server *server, const struct view_server_scope *scope);
/* An entry of /servers. */
json_t *view_server_brief(const struct db_server *server, const struct view_base *base);

/* Links of a thing with an id in a collection: self and bookmark. */
json_t *view_links(const struct view_base *base, const char *collection, const char *id);
/* A copy of a JSON object that the database holds as text; an empty one where it is none. */
json_t *view_stored_object(const char *json_text);

/* An entry of /flavors, or with all fields, of /flavors/detail. */
json_t *view_flavor(const struct db_flavor *flavor, int minor, const struct view_base *base, bool is_detail,
		    bool has_extra_specs);

/* An entry of /os-migrations. */
json_t *view_migration(const struct db_migration *migration, int minor, const struct view_base *base, bool has_hosts);
/* A live migration under its server (Nova API 2.23). */
json_t *view_server_migration(const struct db_migration *migration, int minor, bool has_hosts);

json_t *view_action(const struct db_action *action, int minor);

struct view_event_scope {
	int minor;
	const char *project_id; /* the server's, for hostId */
	bool has_traceback; /* os-instance-actions:events */
	bool has_details; /* os-instance-actions:events:details */
};
json_t *view_event(const struct db_event *event, const struct view_event_scope *scope);

json_t *view_service(const struct db_service *service, int minor);
/* `now_us` for its uptime. */
json_t *view_hypervisor(const struct db_host *host, const struct db_host_usage *usage, int minor, bool is_detail,
			int64_t now_us);
/* "up 3 days, 2 hours, 5 minutes"; null for a host that is down or does not tell. */
json_t *view_uptime(const struct db_host *host, int64_t now_us);

/* "" and NULL are JSON's null. */
json_t *view_text_or_null(const char *string);
/* 2026-01-02T00:00:00.000000; 0 is null. */
json_t *view_time(int64_t time_us);
