/* Between the files of os-hypervisors: a query, and a host's document. */
#pragma once

#include "api/parameters.h"
#include "db/hosts.h"

#define HYPERVISOR_UUIDS_SINCE_MINOR 53

/* What a list asks for, and the fleet that it reads from. */
struct hypervisor_query {
	struct request *request;
	struct parameters parameters;
	struct db_session *session;
	struct db_host_list hosts;
	bool has_servers;
	bool is_detail;
};

void hypervisor_query_clear(struct hypervisor_query *query);
/* 1: go on; 0: answered; negative: failed. */
int hypervisor_query_begin(struct hypervisor_query *query, const char *policy, struct error *error);
/* Whether the host is meant: by its number before 2.53, by its UUID from then on. */
bool hypervisor_is_id(const struct request *request, const struct db_host *host, const char *id);
int hypervisor_document(struct hypervisor_query *query, const struct db_host *host, json_t **ret_document,
			struct error *error);
