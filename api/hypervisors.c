/* GET /os-hypervisors, its detail and one of them. The difficulty: ids are numbers below 2.53 and UUIDs from then on. */
#include "api/handlers.h"
#include "api/hypervisor_parts.h"
#include "api/view.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "db/hosts.h"
#include "db/servers.h"

#define UUIDS_SINCE_MINOR HYPERVISOR_UUIDS_SINCE_MINOR
#define PAGES_SINCE_MINOR 33

static const struct parameter_rule hypervisor_rules[] = {
	{ "limit", PARAMETER_LIMIT, PAGES_SINCE_MINOR, true },
	{ "marker", PARAMETER_TEXT, PAGES_SINCE_MINOR, true },
	{ "hypervisor_hostname_pattern", PARAMETER_TEXT, UUIDS_SINCE_MINOR, false },
	{ "with_servers", PARAMETER_TEXT, UUIDS_SINCE_MINOR, false },
};

const struct parameter_table hypervisor_parameters = { hypervisor_rules, ARRAY_LENGTH(hypervisor_rules),
						       UUIDS_SINCE_MINOR };

void hypervisor_query_clear(struct hypervisor_query *query)
{
	parameters_clear(&query->parameters);
	db_host_list_clear(&query->hosts);
	db_read_end(query->session);
}

static bool is_true(const char *value)
{
	static const char *const words[] = { "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes" };

	for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
		if (text_equal(value, words[i]))
			return true;
	}
	return false;
}

static bool is_false(const char *value)
{
	static const char *const words[] = { "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no" };

	for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
		if (text_equal(value, words[i]))
			return true;
	}
	return false;
}

/* False: answered. */
static bool read_with_servers(struct request *request, const char *value, bool *ret_has_servers)
{
	if (value && !is_true(value) && !is_false(value)) {
		request_reply_fault(request, 400,
				    "Invalid input for query parameters with_servers. Value: %s. '%s' is not one of "
				    "[True, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes', False, "
				    "'False', 'FALSE', 'false', '0', 'OFF', 'Off', 'off', 'NO', 'No', 'no']",
				    value, value);
		return false;
	}
	*ret_has_servers = value && is_true(value);
	return true;
}

static int servers_document(struct hypervisor_query *query, const struct db_host *host, json_t **ret_rows,
			    struct error *error)
{
	const struct db_server_filter filter = { .host_id = host->id };
	CLEANUP_DB_SERVERS struct db_server_list list = { 0 };
	int result = db_server_find(query->session, &filter, &list, error);

	if (result < 0)
		return result;
	*ret_rows = json_array();
	/* Oldest first, as Nova lists them here. */
	for (size_t i = list.count; i > 0; i--)
		json_array_append_new(*ret_rows, json_pack("{s:s, s:s}", "name", list.items[i - 1].instance_name,
							   "uuid", list.items[i - 1].uuid));
	return 0;
}

int hypervisor_document(struct hypervisor_query *query, const struct db_host *host, json_t **ret_document,
			struct error *error)
{
	struct db_host_usage usage = { 0 };
	json_t *servers = NULL;
	json_t *document;
	int result = query->is_detail ? db_host_usage(query->session, host->id, &usage, error) : 0;

	if (result < 0)
		return result;
	if (query->has_servers) {
		result = servers_document(query, host, &servers, error);
		if (result < 0)
			return result;
	}
	/* Nova counts what is kept for the host itself as used: what the host does not set, all hosts have in common. */
	if (host->reserved_memory_mb < 0)
		usage.memory_mb += query->request->settings->reserved_memory_mb;
	if (host->reserved_disk_gb < 0)
		usage.disk_gb += query->request->settings->reserved_disk_gb;
	document = view_hypervisor(host, &usage, query->request->minor, query->is_detail,
				   clock_now_us(query->request->settings->clock));
	if (json_array_size(servers) || (servers && query->request->minor >= 75))
		json_object_set(document, "servers", servers);
	json_decref(servers);
	*ret_document = document;
	return 0;
}

int hypervisor_named(struct hypervisor_query *query, struct db_host *ret_host, struct error *error)
{
	struct request *request = query->request;
	int64_t number = 0;
	int result;

	if (request->minor >= UUIDS_SINCE_MINOR && !uuid_is_valid(request->id))
		return request_reply_fault(request, 400, "Invalid uuid %s", request->id);
	if (request->minor >= UUIDS_SINCE_MINOR)
		result = db_host_by_uuid(query->session, request->id, ret_host, error);
	else
		result = text_to_int64(request->id, 1, INT64_MAX, &number)
				 ? db_host_by_id(query->session, number, ret_host, error)
				 : -ENOENT;
	if (result == -ENOENT)
		return request_reply_fault(request, 404, "Hypervisor with ID '%s' could not be found.", request->id);
	return result < 0 ? result : 1;
}

/* -ENOENT when no host has that id. Recorded: a marker may be the UUID before 2.53 too. */
static int read_marker(const struct hypervisor_query *query, const char *marker, int64_t *ret_id, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int64_t number;
	int result = query->request->minor < UUIDS_SINCE_MINOR && text_to_int64(marker, 1, INT64_MAX, &number)
			     ? db_host_by_id(query->session, number, &host, error)
			     : db_host_by_uuid(query->session, marker, &host, error);

	*ret_id = host.id;
	return result;
}

/* The hosts that the page may show: one of a pattern is looked for among all. */
static int read_hosts(struct hypervisor_query *query, struct error *error)
{
	const char *marker = parameter(&query->parameters, "marker");
	/* Before pages all hosts come at once: there is no link that leads to the rest. */
	int64_t limit =
		query->request->minor >= PAGES_SINCE_MINOR ? parameter_limit(query->request, &query->parameters) : -1;
	int64_t above_id = 0;
	int result = marker ? read_marker(query, marker, &above_id, error) : 0;

	if (result < 0 || limit == 0)
		return result;
	if (limit < 0 || parameter(&query->parameters, "hypervisor_hostname_pattern"))
		limit = 0; /* all */
	return db_host_page(query->session, above_id, limit, &query->hosts, error);
}

static json_t *next_links(const struct hypervisor_query *query, const struct db_host *last)
{
	CLEANUP_FREE char *number = text_format("%lld", (long long)last->id);

	return number ? parameters_next_links(query->request, &query->parameters,
					      query->is_detail ? "os-hypervisors/detail" : "os-hypervisors",
					      query->request->minor >= UUIDS_SINCE_MINOR ? last->uuid : number)
		      : NULL;
}

/* Fills `document` with the rows of the page; nothing is answered. */
static int fill_page(struct hypervisor_query *query, json_t *document, struct error *error)
{
	const char *pattern = parameter(&query->parameters, "hypervisor_hostname_pattern");
	const bool has_pages = query->request->minor >= PAGES_SINCE_MINOR;
	const int64_t limit = has_pages ? parameter_limit(query->request, &query->parameters) : INT64_MAX;
	json_t *rows = json_array();
	const struct db_host *last = NULL;

	json_object_set_new(document, "hypervisors", rows);
	for (size_t i = 0; i < query->hosts.count && (int64_t)json_array_size(rows) < limit; i++) {
		const struct db_host *host = &query->hosts.items[i];
		json_t *row = NULL;
		int result;

		if (pattern && !strstr(host->name, pattern))
			continue;
		result = hypervisor_document(query, host, &row, error);
		if (result < 0)
			return result;
		json_array_append_new(rows, row);
		last = host;
	}
	if (last && has_pages && (int64_t)json_array_size(rows) == limit)
		json_object_set_new(document, "hypervisors_links", next_links(query, last));
	return 0;
}

int hypervisor_query_begin(struct hypervisor_query *query, const char *policy, struct error *error)
{
	const struct policy_target target = policy_target_nothing();
	struct request *request = query->request;
	int result;

	if (!parameters_read(request, &hypervisor_parameters, &query->parameters)
	    || !read_with_servers(request, parameter(&query->parameters, "with_servers"), &query->has_servers)
	    || !request_allows(request, policy, &target))
		return 0;
	result = db_read_begin(request->settings->database, &query->session, error);
	return result < 0 ? result : 1;
}

int hypervisor_query_begin_all(struct hypervisor_query *query, const char *policy, struct error *error)
{
	int result = hypervisor_query_begin(query, policy, error);

	if (result <= 0)
		return result;
	result = db_host_all(query->session, &query->hosts, error);
	return result < 0 ? result : 1;
}

static int answer_list(struct request *request, bool is_detail, const char *policy, struct error *error)
{
	CLEANUP(hypervisor_query_clear) struct hypervisor_query query = { .request = request, .is_detail = is_detail };
	const char *marker;
	const char *pattern;
	json_t *document;
	int result = hypervisor_query_begin(&query, policy, error);

	if (result <= 0)
		return result;
	marker = parameter(&query.parameters, "marker");
	pattern = parameter(&query.parameters, "hypervisor_hostname_pattern");
	if (pattern && (marker || parameter(&query.parameters, "limit")))
		return request_reply_fault(request, 400,
					   "The server could not comply with the request since it is either malformed "
					   "or otherwise incorrect.");
	result = read_hosts(&query, error);
	if (result == -ENOENT)
		return request_reply_fault(request, 400, "marker [%s] not found", marker);
	if (result < 0)
		return result;
	document = json_object();
	result = fill_page(&query, document, error);
	if (result < 0) {
		json_decref(document);
		return result;
	}
	if (pattern && !json_array_size(json_object_get(document, "hypervisors"))) {
		json_decref(document);
		return request_reply_fault(request, 404, "No hypervisor matching '%s' could be found.", pattern);
	}
	return request_reply_json(request, 200, document);
}

int handle_hypervisor_index(struct request *request, struct error *error)
{
	return answer_list(request, false, "os_compute_api:os-hypervisors:list", error);
}

int handle_hypervisor_detail(struct request *request, struct error *error)
{
	return answer_list(request, true, "os_compute_api:os-hypervisors:list-detail", error);
}

int handle_hypervisor_show(struct request *request, struct error *error)
{
	CLEANUP(hypervisor_query_clear) struct hypervisor_query query = { .request = request, .is_detail = true };
	CLEANUP_DB_HOST struct db_host host = { 0 };
	json_t *document = NULL;
	int result = hypervisor_query_begin(&query, "os_compute_api:os-hypervisors:show", error);

	if (result > 0)
		result = hypervisor_named(&query, &host, error);
	if (result <= 0)
		return result;
	result = hypervisor_document(&query, &host, &document, error);
	if (result < 0)
		return result;
	return request_reply_json(request, 200, json_pack("{s:o}", "hypervisor", document));
}
