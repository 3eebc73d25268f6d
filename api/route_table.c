/* The table of routes. A path is tried as it is, and, when its first part looks like a project id, without it (Nova's
 * legacy URLs). */
#include "api/route_table.h"

#include <string.h>

#include "api/handlers.h"
#include "api/microversion.h"
#include "base/cleanup.h"
#include "base/text.h"

#define ROUTE(a_method, a_pattern, first, last, a_handler)                                                             \
	.method = (a_method), .pattern = (a_pattern), .first_minor = (first), .last_minor = (last),                    \
	.handler = (a_handler)

static const struct route routes[] = {
	{ ROUTE("GET", "/", 1, MICROVERSION_MINOR_MAX, handle_version_show) }, /* behind a project id alone */
	{ ROUTE("POST", "/servers/{id}/action", 1, MICROVERSION_MINOR_MAX, handle_server_action),
	  .checks_project_later = true, .actions = server_actions },
	{ ROUTE("GET", "/servers", 1, MICROVERSION_MINOR_MAX, handle_server_index), .parameters = &server_parameters },
	{ ROUTE("GET", "/servers/detail", 1, MICROVERSION_MINOR_MAX, handle_server_detail),
	  .parameters = &server_parameters },
	{ ROUTE("POST", "/servers", 1, MICROVERSION_MINOR_MAX, handle_server_write), .checks_project_later = true,
	  .bodies = &server_bodies },
	{ ROUTE("GET", "/servers/{id}", 1, MICROVERSION_MINOR_MAX, handle_server_show) },
	{ ROUTE("PUT", "/servers/{id}", 1, MICROVERSION_MINOR_MAX, handle_server_write), .checks_project_later = true,
	  .bodies = &server_bodies },
	{ ROUTE("DELETE", "/servers/{id}", 1, MICROVERSION_MINOR_MAX, handle_server_delete) },
	{ ROUTE("GET", "/servers/{id}/migrations", 23, MICROVERSION_MINOR_MAX, handle_server_migration_index),
	  .parameters = &no_parameters },
	{ ROUTE("GET", "/servers/{id}/migrations/{id2}", 23, MICROVERSION_MINOR_MAX, handle_server_migration_show),
	  .parameters = &no_parameters },
	{ ROUTE("DELETE", "/servers/{id}/migrations/{id2}", 24, MICROVERSION_MINOR_MAX, handle_migration_abort) },
	{ ROUTE("POST", "/servers/{id}/migrations/{id2}/action", 1, MICROVERSION_MINOR_MAX, handle_migration_action),
	  .checks_project_later = true, .actions = migration_actions },
	{ ROUTE("GET", "/servers/{id}/os-instance-actions", 1, MICROVERSION_MINOR_MAX, handle_instance_action_index),
	  .parameters = &action_parameters },
	{ ROUTE("GET", "/servers/{id}/os-instance-actions/{id2}", 1, MICROVERSION_MINOR_MAX,
		handle_instance_action_show),
	  .parameters = &no_parameters },
	{ ROUTE("GET", "/os-migrations", 1, MICROVERSION_MINOR_MAX, handle_migration_index),
	  .parameters = &migration_parameters },
	{ ROUTE("GET", "/os-services", 1, MICROVERSION_MINOR_MAX, handle_service_index),
	  .parameters = &service_parameters },
	{ ROUTE("DELETE", "/os-services/{id}", 1, MICROVERSION_MINOR_MAX, handle_service_delete) },
	{ ROUTE("PUT", "/os-services/{id}", 1, MICROVERSION_MINOR_MAX, handle_service_update),
	  .bodies = &service_bodies },
	{ ROUTE("GET", "/os-hypervisors", 1, MICROVERSION_MINOR_MAX, handle_hypervisor_index),
	  .parameters = &hypervisor_parameters },
	{ ROUTE("GET", "/os-hypervisors/detail", 1, MICROVERSION_MINOR_MAX, handle_hypervisor_detail),
	  .parameters = &hypervisor_parameters },
	{ ROUTE("GET", "/os-hypervisors/statistics", 1, 87, handle_hypervisor_statistics),
	  .parameters = &hypervisor_parameters },
	{ ROUTE("GET", "/os-hypervisors/{id}/uptime", 1, 87, handle_hypervisor_uptime),
	  .parameters = &hypervisor_parameters },
	{ ROUTE("GET", "/os-hypervisors/{id}/search", 1, 52, handle_hypervisor_search),
	  .parameters = &hypervisor_parameters },
	{ ROUTE("GET", "/os-hypervisors/{id}/servers", 1, 52, handle_hypervisor_servers),
	  .parameters = &hypervisor_parameters },
	{ ROUTE("GET", "/os-hypervisors/{id}", 1, MICROVERSION_MINOR_MAX, handle_hypervisor_show),
	  .parameters = &hypervisor_parameters },
	{ ROUTE("GET", "/flavors", 1, MICROVERSION_MINOR_MAX, handle_flavor_index), .parameters = &flavor_parameters },
	{ ROUTE("GET", "/flavors/detail", 1, MICROVERSION_MINOR_MAX, handle_flavor_detail),
	  .parameters = &flavor_parameters },
	{ ROUTE("GET", "/flavors/{id}", 1, MICROVERSION_MINOR_MAX, handle_flavor_show) },
	{ ROUTE("GET", "/flavors/{id}/os-extra_specs", 1, MICROVERSION_MINOR_MAX, handle_flavor_extra_specs) },
	{ ROUTE("GET", "/os-aggregates", 1, MICROVERSION_MINOR_MAX, handle_aggregate_index) },
	{ ROUTE("GET", "/extensions", 1, MICROVERSION_MINOR_MAX, handle_extension_index) },
	{ ROUTE("GET", "/extensions/{id}", 1, MICROVERSION_MINOR_MAX, handle_extension_show) },
};

const struct route *route_table(size_t *ret_count)
{
	*ret_count = ARRAY_LENGTH(routes);
	return routes;
}

static const struct {
	const char *version, *pattern;
} documents[DOCUMENT_MAX] = {
	[DOCUMENT_VERSIONS] = { "", "/" }, [DOCUMENT_V2] = { "/v2", "" }, [DOCUMENT_V21] = { "/v2.1", "" }
};

/* 0 is none; then the routes, then the documents. */
size_t route_number(const struct route *route)
{
	return route ? (size_t)(route - routes) + 1 : 0;
}

size_t route_document_number(enum route_document document)
{
	return 1 + ARRAY_LENGTH(routes) + (size_t)document;
}

size_t api_route_count(void)
{
	return route_document_number(DOCUMENT_MAX);
}

void api_route_at(size_t number, const char **ret_method, const char **ret_version, const char **ret_pattern)
{
	bool is_route = number > 0 && number <= ARRAY_LENGTH(routes);
	bool is_document = number > ARRAY_LENGTH(routes) && number < api_route_count();

	*ret_method = is_route ? routes[number - 1].method : is_document ? "GET" : "other";
	*ret_version = is_route ? "/v2.1" : is_document ? documents[number - 1 - ARRAY_LENGTH(routes)].version : "";
	*ret_pattern = is_route      ? routes[number - 1].pattern
		       : is_document ? documents[number - 1 - ARRAY_LENGTH(routes)].pattern
				     : "other";
}

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
