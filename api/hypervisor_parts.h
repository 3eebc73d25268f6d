/* Between the files of os-hypervisors: a query, and a host's document. */
#pragma once

#include "api/parameters.h"
#include "db/hosts.h"

#define HYPERVISOR_UUIDS_SINCE_MINOR 53

/* What is asked for, and the hosts that were read for it. */
struct hypervisor_query {
	struct request *request;
	struct parameters parameters;
	struct db_session *session;
	struct db_host_list hosts;
	bool has_servers;
	bool is_detail;
};

void hypervisor_query_clear(struct hypervisor_query *query);
/* 1: go on; 0: answered; negative: failed. No host was read yet. */
int hypervisor_query_begin(struct hypervisor_query *query, const char *policy, struct error *error);
/* The same, with all hosts read. */
int hypervisor_query_begin_all(struct hypervisor_query *query, const char *policy, struct error *error);
/* The host that the request names: by its number before 2.53, by its UUID from then on. 1: found; 0: answered; negative: failed. */
int hypervisor_named(struct hypervisor_query *query, struct db_host *ret_host, struct error *error);
int hypervisor_document(struct hypervisor_query *query, const struct db_host *host, json_t **ret_document,
			struct error *error);
