/* The defaults in code: newest Nova's policies for migration, servers, services, hypervisors and instance actions, and in
 * place of newest Nova's four for migration those of MOSK 24.3, which let a member of the project move its servers.
 *
 * Each of those four stands alone. Newest Nova has `migrate_live` as the deprecated name of `migrate_live:host`; here an
 * override of the one must never open the other, so that row has no deprecated name. */
#include "api/auth/policy.h"
#include "base/cleanup.h"

/* Rules that many rows share. */
#define ADMIN             "rule:context_is_admin"
#define MANAGER_OR_ADMIN  "rule:project_manager_or_admin"
#define MEMBER_OR_ADMIN   "rule:project_member_or_admin"
#define READER_OR_ADMIN   "rule:project_reader_or_admin"
#define IS_ADMIN          "is_admin:True"
#define IS_ADMIN_OR_OWNER "is_admin:True or project_id:%(project_id)s"

#define PROJECT           POLICY_SCOPE_PROJECT

/* name, rule, scopes, deprecated name, deprecated rule */
static const struct policy_default defaults[] = {

	/* Base rules */
	{ "context_is_admin", "role:admin", POLICY_SCOPE_ANY, "rule:admin_api", IS_ADMIN },
	{ "admin_or_owner", IS_ADMIN_OR_OWNER, POLICY_SCOPE_ANY, NULL, NULL },
	{ "admin_api", IS_ADMIN, POLICY_SCOPE_ANY, NULL, NULL },
	{ "project_manager_api", "role:manager and project_id:%(project_id)s", POLICY_SCOPE_ANY, "rule:admin_api",
	  IS_ADMIN },
	{ "project_member_api", "role:member and project_id:%(project_id)s", POLICY_SCOPE_ANY, "rule:admin_or_owner",
	  IS_ADMIN_OR_OWNER },
	{ "project_reader_api", "role:reader and project_id:%(project_id)s", POLICY_SCOPE_ANY, "rule:admin_or_owner",
	  IS_ADMIN_OR_OWNER },
	{ "service_api", "role:service", POLICY_SCOPE_ANY, "rule:admin_api", IS_ADMIN },
	{ "project_manager_or_admin", "rule:project_manager_api or rule:context_is_admin", POLICY_SCOPE_ANY,
	  "rule:admin_api", IS_ADMIN },
	{ "project_member_or_admin", "rule:project_member_api or rule:context_is_admin", POLICY_SCOPE_ANY,
	  "rule:admin_or_owner", IS_ADMIN_OR_OWNER },
	{ "project_reader_or_admin", "rule:project_reader_api or rule:context_is_admin", POLICY_SCOPE_ANY,
	  "rule:admin_or_owner", IS_ADMIN_OR_OWNER },
	{ "service_or_admin", "rule:service_api or rule:context_is_admin", POLICY_SCOPE_ANY, "rule:admin_api",
	  IS_ADMIN },

	/* Migration: start, list, steer */
	{ "os_compute_api:os-migrate-server:migrate", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-migrate-server:migrate:host", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-migrate-server:migrate_live", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-migrate-server:migrate_live:host", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-migrations:index", MANAGER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-migrations:index:all_projects", ADMIN, PROJECT, "os_compute_api:os-migrations:index",
	  ADMIN },
	{ "os_compute_api:os-migrations:index:host", ADMIN, PROJECT, "os_compute_api:os-migrations:index", ADMIN },
	{ "os_compute_api:servers:migrations:show", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:migrations:force_complete", MANAGER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:migrations:delete", MANAGER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:migrations:index", MANAGER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:migrations:index:host", ADMIN, PROJECT, "os_compute_api:servers:migrations:index",
	  ADMIN },
	{ "os_compute_api:os-evacuate", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-shelve:shelve", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-shelve:unshelve", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-shelve:unshelve_to_host", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-shelve:shelve_offload", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-admin-actions:reset_state", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-admin-actions:inject_network_info", ADMIN, PROJECT, NULL, NULL },

	/* Servers: reads */
	{ "os_compute_api:servers:index", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:detail", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:index:get_all_tenants", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:detail:get_all_tenants", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:allow_all_filters", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:show", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:show:flavor-extra-specs", READER_OR_ADMIN, PROJECT,
	  "os_compute_api:os-flavor-extra-specs:index", "rule:admin_or_owner" },
	{ "os_compute_api:servers:show:host_status", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:show:host_status:unknown-only", ADMIN, PROJECT, NULL, NULL },

	/* Servers: resize is a migration; other writes */
	{ "os_compute_api:servers:create", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:create:forced_host", ADMIN, PROJECT, NULL, NULL },
	{ "compute:servers:create:requested_destination", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:create:attach_volume", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:create:attach_network", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:create:trusted_certs", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:create:zero_disk_flavor", ADMIN, PROJECT, NULL, NULL },
	{ "network:attach_external_network", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:delete", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:update", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:confirm_resize", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:revert_resize", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:reboot", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:resize", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "compute:servers:resize:cross_cell", "!", PROJECT, NULL, NULL },
	{ "os_compute_api:servers:rebuild", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:rebuild:trusted_certs", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:create_image", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:create_image:allow_volume_backed", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:start", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:stop", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:servers:trigger_crash_dump", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },

	/* Extra fields and sub-resources of server reads */
	{ "os_compute_api:os-extended-server-attributes", ADMIN, PROJECT, NULL, NULL },
	{ "compute:server:topology:index", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "compute:server:topology:host:index", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-server-diagnostics", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:server-metadata:index", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:server-metadata:show", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-server-tags:index", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-server-tags:show", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:ips:show", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:ips:index", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-attach-interfaces:list", READER_OR_ADMIN, PROJECT, "os_compute_api:os-attach-interfaces",
	  "rule:admin_or_owner" },
	{ "os_compute_api:os-attach-interfaces:show", READER_OR_ADMIN, PROJECT, "os_compute_api:os-attach-interfaces",
	  "rule:admin_or_owner" },
	{ "os_compute_api:os-volumes-attachments:index", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-volumes-attachments:show", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-server-shares:index", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-server-shares:show", READER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-server-password:show", READER_OR_ADMIN, PROJECT, "os_compute_api:os-server-password",
	  "rule:admin_or_owner" },
	{ "os_compute_api:os-instance-usage-audit-log:list", ADMIN, PROJECT,
	  "os_compute_api:os-instance-usage-audit-log", "rule:admin_api" },
	{ "os_compute_api:os-instance-usage-audit-log:show", ADMIN, PROJECT,
	  "os_compute_api:os-instance-usage-audit-log", "rule:admin_api" },
	{ "os_compute_api:os-server-external-events:create", "rule:service_or_admin", PROJECT, NULL, NULL },

	/* Services and hosts */
	{ "os_compute_api:os-services:list", ADMIN, PROJECT, "os_compute_api:os-services", "rule:admin_api" },
	{ "os_compute_api:os-services:update", ADMIN, PROJECT, "os_compute_api:os-services", "rule:admin_api" },
	{ "os_compute_api:os-services:delete", ADMIN, PROJECT, "os_compute_api:os-services", "rule:admin_api" },
	{ "os_compute_api:os-hosts:list", ADMIN, PROJECT, "os_compute_api:os-hosts", "rule:admin_api" },
	{ "os_compute_api:os-hosts:show", ADMIN, PROJECT, "os_compute_api:os-hosts", "rule:admin_api" },
	{ "os_compute_api:os-hosts:update", ADMIN, PROJECT, "os_compute_api:os-hosts", "rule:admin_api" },
	{ "os_compute_api:os-hosts:reboot", ADMIN, PROJECT, "os_compute_api:os-hosts", "rule:admin_api" },
	{ "os_compute_api:os-hosts:shutdown", ADMIN, PROJECT, "os_compute_api:os-hosts", "rule:admin_api" },
	{ "os_compute_api:os-hosts:start", ADMIN, PROJECT, "os_compute_api:os-hosts", "rule:admin_api" },

	/* Hypervisors */
	{ "os_compute_api:os-hypervisors:list", ADMIN, PROJECT, "os_compute_api:os-hypervisors", "rule:admin_api" },
	{ "os_compute_api:os-hypervisors:list-detail", ADMIN, PROJECT, "os_compute_api:os-hypervisors",
	  "rule:admin_api" },
	{ "os_compute_api:os-hypervisors:statistics", ADMIN, PROJECT, "os_compute_api:os-hypervisors",
	  "rule:admin_api" },
	{ "os_compute_api:os-hypervisors:show", ADMIN, PROJECT, "os_compute_api:os-hypervisors", "rule:admin_api" },
	{ "os_compute_api:os-hypervisors:uptime", ADMIN, PROJECT, "os_compute_api:os-hypervisors", "rule:admin_api" },
	{ "os_compute_api:os-hypervisors:search", ADMIN, PROJECT, "os_compute_api:os-hypervisors", "rule:admin_api" },
	{ "os_compute_api:os-hypervisors:servers", ADMIN, PROJECT, "os_compute_api:os-hypervisors", "rule:admin_api" },

	/* What clients ask for on the way */
	{ "os_compute_api:os-aggregates:index", ADMIN, PROJECT, "os_compute_api:os-aggregates", "rule:admin_api" },
	{ "os_compute_api:os-flavor-extra-specs:index", READER_OR_ADMIN, PROJECT, NULL, NULL },

	/* Instance actions */
	{ "os_compute_api:os-instance-actions:events:details", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-instance-actions:events", ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-instance-actions:list", READER_OR_ADMIN, PROJECT, "os_compute_api:os-instance-actions",
	  "rule:admin_or_owner" },
	{ "os_compute_api:os-instance-actions:show", READER_OR_ADMIN, PROJECT, "os_compute_api:os-instance-actions",
	  "rule:admin_or_owner" },

	/* Pause and suspend */
	{ "os_compute_api:os-pause-server:pause", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-pause-server:unpause", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-suspend-server:suspend", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-suspend-server:resume", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },

	/* Lock */
	{ "os_compute_api:os-lock-server:lock", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-lock-server:unlock", MEMBER_OR_ADMIN, PROJECT, NULL, NULL },
	{ "os_compute_api:os-lock-server:unlock:unlock_override", ADMIN, PROJECT, NULL, NULL },
};

const struct policy_default *policy_defaults(size_t *ret_count)
{
	*ret_count = ARRAY_LENGTH(defaults);
	return defaults;
}
