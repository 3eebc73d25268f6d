/* What a list of servers asks for, and whether a server is wanted by it. */
#pragma once

#include "api/parameters.h"
#include "db/servers.h"

/* What is searched by a regular expression. */
enum server_pattern { SERVER_PATTERN_NAME, SERVER_PATTERN_IP, SERVER_PATTERN_IP6, SERVER_PATTERN_MAX };

/* A list that is under way: what its rows must be. */
struct server_query {
	struct request *request;
	struct parameters parameters;
	struct db_server_filter filter;
	struct pattern *patterns[SERVER_PATTERN_MAX]; /* owned; NULL: not asked for */
	uint64_t status_rows; /* of all statuses that are wanted, see view_status_rows; 0: not asked for */
	json_t *tags; /* object with a member for each wanted tag; owned; NULL: not asked for */
	bool is_locked; /* wanted so, where "locked" is asked for */
	bool has_all_filters; /* those for admins alone too */
	bool is_empty; /* no server can match */
};

/* Reads the request's query and checks both policies; false: answered. The query is cleared by the caller in either case. */
bool server_query_read(struct server_query *query, const char *policy, const char *policy_for_all);
/* Returns 1 when the server is wanted, 0 when not; -EINVAL: a pattern reached a bound, and 400 was answered; -ENOMEM with the
 * error filled. */
int server_query_selects(struct server_query *query, const struct db_server *server, struct error *error);
void server_query_clear(struct server_query *query);
