/* Routes: which handler answers a method and a path below /v2.1, and since which microversion. */
#pragma once

#include "api/parameters.h"
#include "api/schema.h"
#include "api/server_action.h"

struct route {
	const char *method;
	const char *pattern; /* below /v2.1[/project]; {id} and {id2} are parts */
	int first_minor; /* below it the path is a 404 of a resource */
	int last_minor;
	request_handler handler;
	bool checks_project_later; /* the handler checks the project_id of the URL at its own place */
	/* What the handler reads, for those who describe it; NULL: nothing of the kind. */
	const struct parameter_table *parameters;
	const struct schema_table *bodies;
	const struct server_action *const *actions; /* ends with NULL */
};

/* All of them, for those who describe the service. */
const struct route *route_table(size_t *ret_count);

/* The documents about versions, which stand above all routes and need no token. */
enum route_document { DOCUMENT_VERSIONS, DOCUMENT_V2, DOCUMENT_V21, DOCUMENT_MAX };

/* Numbers for api_route_at. NULL: 0. */
size_t route_number(const struct route *route);
size_t route_document_number(enum route_document document);

/* The route of a decoded path below /v2.1 (with its leading slash); fills id, id2 and project_id of the request. NULL when
 * there is none. */
const struct route *route_find(struct request *request, const char *path);
