/* The table of routes. A path is tried as it is, and, when its first part looks like a project id, without it (Nova's
 * legacy URLs). */
#include "api/route_table.h"

#include <string.h>

#include "api/handlers.h"
#include "api/microversion.h"
#include "base/cleanup.h"
#include "base/text.h"

#define ALL 1, MICROVERSION_MINOR_MAX

static const struct route routes[] = {
	{ "GET", "/", ALL, handle_version_show, false }, /* behind a project id alone */
	{ "POST", "/servers/{id}/action", ALL, handle_server_action, true },
	{ "GET", "/servers", ALL, handle_server_index, false },
	{ "GET", "/servers/detail", ALL, handle_server_detail, false },
	{ "POST", "/servers", ALL, handle_server_write, true },
	{ "GET", "/servers/{id}", ALL, handle_server_show, false },
	{ "PUT", "/servers/{id}", ALL, handle_server_write, true },
	{ "DELETE", "/servers/{id}", ALL, handle_server_delete, false },
	{ "GET", "/servers/{id}/migrations", 23, MICROVERSION_MINOR_MAX, handle_server_migration_index, false },
	{ "GET", "/servers/{id}/migrations/{id2}", 23, MICROVERSION_MINOR_MAX, handle_server_migration_show, false },
	{ "DELETE", "/servers/{id}/migrations/{id2}", 24, MICROVERSION_MINOR_MAX, handle_migration_abort, false },
	{ "POST", "/servers/{id}/migrations/{id2}/action", ALL, handle_migration_action, true },
	{ "GET", "/servers/{id}/os-instance-actions", ALL, handle_instance_action_index, false },
	{ "GET", "/servers/{id}/os-instance-actions/{id2}", ALL, handle_instance_action_show, false },
	{ "GET", "/os-migrations", ALL, handle_migration_index, false },
	{ "GET", "/os-services", ALL, handle_service_index, false },
	{ "DELETE", "/os-services/{id}", ALL, handle_service_delete, false },
	{ "PUT", "/os-services/{id}", ALL, handle_service_update, false },
	{ "GET", "/os-hypervisors", ALL, handle_hypervisor_index, false },
	{ "GET", "/os-hypervisors/detail", ALL, handle_hypervisor_detail, false },
	{ "GET", "/os-hypervisors/statistics", 1, 87, handle_hypervisor_statistics, false },
	{ "GET", "/os-hypervisors/{id}/uptime", 1, 87, handle_hypervisor_uptime, false },
	{ "GET", "/os-hypervisors/{id}/search", 1, 52, handle_hypervisor_search, false },
	{ "GET", "/os-hypervisors/{id}/servers", 1, 52, handle_hypervisor_servers, false },
	{ "GET", "/os-hypervisors/{id}", ALL, handle_hypervisor_show, false },
	{ "GET", "/flavors", ALL, handle_flavor_index, false },
	{ "GET", "/flavors/detail", ALL, handle_flavor_detail, false },
	{ "GET", "/flavors/{id}", ALL, handle_flavor_show, false },
	{ "GET", "/flavors/{id}/os-extra_specs", ALL, handle_flavor_extra_specs, false },
	{ "GET", "/os-aggregates", ALL, handle_aggregate_index, false },
	{ "GET", "/extensions", ALL, handle_extension_index, false },
	{ "GET", "/extensions/{id}", ALL, handle_extension_show, false },
};

/* The part of the path up to the next slash; false when it is empty or too long. */
static bool take_part(const char **path, char ret_part[REQUEST_PART_SIZE])
{
	size_t length = strcspn(*path, "/");

	if (!length || length >= REQUEST_PART_SIZE)
		return false;
	memcpy(ret_part, *path, length);
	ret_part[length] = '\0';
	*path += length;
	return true;
}

static bool matches(const char *pattern, const char *path, char ret_id[REQUEST_PART_SIZE],
		    char ret_id2[REQUEST_PART_SIZE])
{
	ret_id[0] = ret_id2[0] = '\0';
	while (*pattern) {
		char *part = NULL;

		if (text_starts_with(pattern, "{id}"))
			part = ret_id;
		else if (text_starts_with(pattern, "{id2}"))
			part = ret_id2;
		if (part) {
			if (!take_part(&path, part))
				return false;
			pattern = strchr(pattern, '}') + 1;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return !*path;
}

static const struct route *find_plain(struct request *request, const char *path)
{
	for (size_t i = 0; i < ARRAY_LENGTH(routes); i++)
		if (text_equal(routes[i].method, request->incoming->method)
		    && matches(routes[i].pattern, path, request->id, request->id2))
			return &routes[i];
	return NULL;
}

const struct route *route_find(struct request *request, const char *path)
{
	const struct route *route = find_plain(request, path);
	const char *rest = path + 1;

	if (route || path[0] != '/')
		return route;
	if (!take_part(&rest, request->project_id))
		return NULL;
	if (strspn(request->project_id, "0123456789abcdef-") == strlen(request->project_id))
		route = find_plain(request, rest);
	if (!route)
		request->project_id[0] = '\0';
	return route;
}
