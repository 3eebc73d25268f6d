/* The order of a list of servers, as its query asks for it: sort_key and sort_dir, each as often as wanted. */
#pragma once

#include "api/parameters.h"
#include "db/servers.h"

/* False: 400 was answered. */
bool server_sort_check(struct request *request, const struct parameters *parameters);
/* Whether the query asks for another order than newest first. */
bool server_sort_is_wanted(const struct parameters *parameters);
void server_sort(struct db_server_list *list, const struct parameters *parameters);
