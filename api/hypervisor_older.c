/* What os-hypervisors had before it had queries: /{pattern}/search and /{pattern}/servers (until Nova API 2.52), statistics and
 * uptime (until 2.87). */
#include "api/handlers.h"
#include "api/hypervisor_parts.h"
#include "api/view.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

static int answer_matching(struct request *request, bool has_servers, const char *policy, struct error *error)
{
	CLEANUP(hypervisor_query_clear) struct hypervisor_query query = { .request = request };
	int result = hypervisor_query_begin_all(&query, policy, error);
	json_t *rows;

	if (result <= 0)
		return result;
	query.has_servers = has_servers;
	rows = json_array();
	for (size_t i = 0; i < query.hosts.count && result > 0; i++) {
		json_t *row = NULL;

		if (!strstr(query.hosts.items[i].name, request->id))
			continue;
		result = hypervisor_document(&query, &query.hosts.items[i], &row, error) < 0 ? -1 : 1;
		json_array_append_new(rows, row);
	}
	if (result > 0 && json_array_size(rows))
		return request_reply_json(request, 200, json_pack("{s:o}", "hypervisors", rows));
	json_decref(rows);
	return result < 0
		       ? -error->code
		       : request_reply_fault(request, 404, "No hypervisor matching '%s' could be found.", request->id);
}

int handle_hypervisor_search(struct request *request, struct error *error)
{
	return answer_matching(request, false, "os_compute_api:os-hypervisors:search", error);
}

int handle_hypervisor_servers(struct request *request, struct error *error)
{
	return answer_matching(request, true, "os_compute_api:os-hypervisors:servers", error);
}

/* The sums of the enabled hosts' figures. */
int handle_hypervisor_statistics(struct request *request, struct error *error)
{
	static const char *const names[] = {
		"count",
		"current_workload",
		"disk_available_least",
		"free_disk_gb",
		"free_ram_mb",
		"local_gb",
		"local_gb_used",
		"memory_mb",
		"memory_mb_used",
		"running_vms",
		"vcpus",
		"vcpus_used",
	};
	CLEANUP(hypervisor_query_clear) struct hypervisor_query query = { .request = request, .is_detail = true };
	int result = hypervisor_query_begin_all(&query, "os_compute_api:os-hypervisors:statistics", error);
	json_t *sums;

	if (result <= 0)
		return result;
	sums = json_object();
	for (size_t n = 0; n < ARRAY_LENGTH(names); n++)
		json_object_set_new(sums, names[n], json_integer(0));
	for (size_t i = 0; i < query.hosts.count; i++) {
		json_t *row = NULL;

		if (query.hosts.items[i].service.is_disabled)
			continue;
		result = hypervisor_document(&query, &query.hosts.items[i], &row, error);
		if (result < 0) {
			json_decref(sums);
			return result;
		}
		json_object_set_new(row, "count", json_integer(1));
		for (size_t n = 0; n < ARRAY_LENGTH(names); n++)
			json_integer_set(json_object_get(sums, names[n]),
					 json_integer_value(json_object_get(sums, names[n]))
						 + json_integer_value(json_object_get(row, names[n])));
		json_decref(row);
	}
	return request_reply_json(request, 200, json_pack("{s:o}", "hypervisor_statistics", sums));
}

int handle_hypervisor_uptime(struct request *request, struct error *error)
{
	CLEANUP(hypervisor_query_clear) struct hypervisor_query query = { .request = request };
	int64_t now_us = clock_now_us(request->settings->clock);
	int result = hypervisor_query_begin(&query, "os_compute_api:os-hypervisors:uptime", error);
	CLEANUP_DB_HOST struct db_host host = { 0 };
	json_t *document = NULL;

	if (result > 0)
		result = hypervisor_named(&query, &host, error);
	if (result <= 0)
		return result;
	query.has_servers = false;
	json_t *uptime = view_uptime(&host, now_us);
	if (!json_is_string(uptime)) {
		json_decref(uptime);
		return request_reply_fault(request, 501, "Virt driver does not implement uptime function.");
	}
	result = hypervisor_document(&query, &host, &document, error);
	if (result < 0) {
		json_decref(uptime);
		return result;
	}
	json_object_set_new(document, "uptime", uptime);
	return request_reply_json(request, 200, json_pack("{s:o}", "hypervisor", document));
}
