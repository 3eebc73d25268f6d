/* What a list of servers asks for, and whether a server is wanted by it. */
#pragma once

#include "api/parameters.h"
#include "db/servers.h"

#include <regex.h>

/* A list that is under way: what its rows must be. */
struct server_query {
	struct request *request;
	struct parameters parameters;
	struct db_server_filter filter;
	regex_t name;
	bool has_name;
	bool is_locked; /* wanted so, where "locked" is asked for */
	bool has_all_filters; /* those for admins alone too */
	bool is_empty; /* no server can match */
};

/* Reads the request's query and checks both policies; false: answered. The query is cleared by the caller in either case. */
bool server_query_read(struct server_query *query, const char *policy, const char *policy_for_all);
bool server_query_selects(const struct server_query *query, const struct db_server *server);
void server_query_clear(struct server_query *query);
