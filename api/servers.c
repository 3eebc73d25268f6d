/* GET /servers, /servers/detail and /servers/{id}. The difficulty: what a list filters depends on who asks; filters that the
 * database does not know are applied here, and then the page is cut here too. */
#include "db/servers.h"
#include "api/handlers.h"
#include "api/parameters.h"
#include "api/server_lookup.h"
#include "api/server_sort.h"
#include "api/view.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <limits.h>
#include <regex.h>
#include <stdlib.h>
#include <strings.h>

#define STRICT_SINCE_MINOR         75
#define TAGS_SINCE_MINOR           26
#define LOCKED_SINCE_MINOR         73
#define STATUS_FAULT_SINCE_MINOR   38
#define CHANGES_BEFORE_SINCE_MINOR 66

static const struct parameter_rule server_rules[] = {
	{ "user_id", PARAMETER_TEXT, 0, true },
	{ "project_id", PARAMETER_TEXT, 0, true },
	{ "tenant_id", PARAMETER_TEXT, 0, true },
	{ "name", PARAMETER_TEXT, 0, true },
	{ "hostname", PARAMETER_TEXT, 0, true },
	{ "status", PARAMETER_TEXT, 0, true },
	{ "host", PARAMETER_TEXT, 0, true },
	{ "node", PARAMETER_TEXT, 0, true },
	{ "uuid", PARAMETER_TEXT, 0, true },
	{ "vm_state", PARAMETER_TEXT, 0, true },
	{ "task_state", PARAMETER_TEXT, 0, true },
	{ "availability_zone", PARAMETER_TEXT, 0, true },
	{ "reservation_id", PARAMETER_TEXT, 0, true },
	{ "image", PARAMETER_TEXT, 0, true },
	{ "flavor", PARAMETER_TEXT, 0, true },
	{ "all_tenants", PARAMETER_TEXT, 0, true },
	{ "deleted", PARAMETER_TEXT, 0, true },
	{ "power_state", PARAMETER_TEXT, 0, true },
	{ "locked", PARAMETER_TEXT, LOCKED_SINCE_MINOR, true },
	{ "tags", PARAMETER_TEXT, TAGS_SINCE_MINOR, true },
	{ "ip", PARAMETER_TEXT, 0, true },
	{ "ip6", PARAMETER_TEXT, 0, true },
	{ "sort_key", PARAMETER_TEXT, 0, true },
	{ "sort_dir", PARAMETER_TEXT, 0, true },
	{ "limit", PARAMETER_LIMIT, 0, true },
	{ "marker", PARAMETER_TEXT, 0, true },
	{ "changes-since", PARAMETER_TIME, 0, true },
	{ "changes-before", PARAMETER_TIME, CHANGES_BEFORE_SINCE_MINOR, true },
};

/* A list that is under way: what its rows must be. */
struct server_query {
	struct request *request;
	struct parameters *parameters;
	struct db_server_filter filter;
	regex_t name;
	bool has_name;
	bool is_locked; /* wanted so, where "locked" is asked for */
	bool is_empty; /* no server can match */
};

static void query_clear(struct server_query *query)
{
	if (query->has_name)
		regfree(&query->name);
}

/* Filters by a field of the row. Those for admins alone are silently ignored for others, as Nova does. */
static const struct server_field_filter {
	const char *parameter;
	size_t offset;
	bool is_for_admins;
} field_filters[] = {
	{ "user_id", offsetof(struct db_server, user_id), true },
	{ "host", offsetof(struct db_server, host), true },
	{ "node", offsetof(struct db_server, host), true },
	{ "hostname", offsetof(struct db_server, hostname), true },
	{ "uuid", offsetof(struct db_server, uuid), true },
	{ "vm_state", offsetof(struct db_server, vm_state), true },
	{ "task_state", offsetof(struct db_server, task_state), true },
	{ "availability_zone", offsetof(struct db_server, availability_zone), true },
	{ "reservation_id", offsetof(struct db_server, reservation_id), false },
	{ "image", offsetof(struct db_server, image_id), false },
	{ "flavor", offsetof(struct db_server, flavor.flavor_id), false },
};

/* Those that are no equality of texts. */
static const char *const own_filters[] = { "status", "changes-before", "power_state", "locked", "tags", "ip", "ip6" };

static bool has_row_filter(const struct server_query *query, bool has_all_filters)
{
	for (size_t i = 0; i < ARRAY_LENGTH(field_filters); i++) {
		if (parameter(query->parameters, field_filters[i].parameter)
		    && (has_all_filters || !field_filters[i].is_for_admins))
			return true;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(own_filters); i++)
		if (parameter(query->parameters, own_filters[i]))
			return true;
	return query->has_name || server_sort_is_wanted(query->parameters);
}

static bool selects_status(const struct server_query *query, const struct db_server *server)
{
	json_t *statuses = json_object_get(query->parameters->values, "status");
	json_t *status;
	size_t index;

	json_array_foreach(statuses, index, status)
	{
		if (view_status_selects(json_string_value(status), server->vm_state, server->task_state))
			return true;
	}
	return !statuses;
}

static bool selects_power_and_lock(const struct server_query *query, const struct db_server *server)
{
	const char *power_state = parameter(query->parameters, "power_state");
	int64_t wanted = 0;

	if (power_state && (!text_to_int64(power_state, 0, INT_MAX, &wanted) || wanted != server->power_state))
		return false;
	return !parameter(query->parameters, "locked") || query->is_locked == (server->locked_by[0] != '\0');
}

/* Whether the server has each of the tags, which commas part. */
static bool selects_tags(const char *wanted, const struct db_server *server)
{
	json_t *tags = wanted && server->tags ? json_loads(server->tags, 0, NULL) : NULL;
	bool has_all = true;

	for (const char *tag = wanted; tag && has_all;) {
		size_t length = strcspn(tag, ",");
		bool has_one = false;

		for (size_t i = 0; i < json_array_size(tags) && !has_one; i++) {
			const char *own = json_string_value(json_array_get(tags, i));

			has_one = own && strlen(own) == length && strncmp(own, tag, length) == 0;
		}
		has_all = has_one;
		tag = tag[length] ? tag + length + 1 : NULL;
	}
	json_decref(tags);
	return has_all;
}

/* Whether one of the server's addresses matches the pattern; one that is none matches nothing. */
static bool selects_address(const char *pattern, const struct db_server *server)
{
	json_t *networks, *network, *place;
	const char *name;
	bool is_found = false;
	size_t index;
	regex_t regex;

	if (!pattern)
		return true;
	if (!server->addresses || regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	networks = json_loads(server->addresses, 0, NULL);
	json_object_foreach(networks, name, network) json_array_foreach(network, index, place)
	{
		const char *address = json_string_value(json_object_get(place, "addr"));

		is_found = is_found || (address && regexec(&regex, address, 0, NULL, 0) == 0);
	}
	json_decref(networks);
	regfree(&regex);
	return is_found;
}

static bool selects(const struct server_query *query, const struct db_server *server, bool has_all_filters)
{
	int64_t before_us = parameter_time_us(query->parameters, "changes-before");

	for (size_t i = 0; i < ARRAY_LENGTH(field_filters); i++) {
		const struct server_field_filter *filter = &field_filters[i];
		const char *wanted = parameter(query->parameters, filter->parameter);

		if (wanted && (has_all_filters || !filter->is_for_admins)
		    && !text_equal((const char *)server + filter->offset, wanted))
			return false;
	}
	if (query->has_name && regexec(&query->name, server->name, 0, NULL, 0) != 0)
		return false;
	if (before_us && (server->updated_us ? server->updated_us : server->created_us) > before_us)
		return false;
	return selects_status(query, server) && selects_power_and_lock(query, server)
	       && selects_tags(parameter(query->parameters, "tags"), server)
	       && selects_address(parameter(query->parameters, "ip"), server)
	       && selects_address(parameter(query->parameters, "ip6"), server);
}

/* False: answered 400. */
static bool read_switch(struct request *request, const char *value, bool *ret_is_on)
{
	static const char *const on[] = { "", "1", "t", "true", "on", "y", "yes" };
	static const char *const off[] = { "0", "f", "false", "off", "n", "no" };

	for (size_t i = 0; i < ARRAY_LENGTH(on); i++) {
		if (strcasecmp(value, on[i]) == 0) {
			*ret_is_on = true;
			return true;
		}
	}
	for (size_t i = 0; i < ARRAY_LENGTH(off); i++) {
		if (strcasecmp(value, off[i]) == 0) {
			*ret_is_on = false;
			return true;
		}
	}
	request_reply_fault(request, 400,
			    "Unrecognized value '%s', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', 'off', "
			    "'on', 't', 'true', 'y', 'yes'",
			    value);
	return false;
}

/* False: answered. */
static bool read_lock(struct server_query *query)
{
	const char *value = parameter(query->parameters, "locked");

	return !value || read_switch(query->request, value, &query->is_locked);
}

/* Whose servers; false: answered. */
static bool read_projects(struct server_query *query, const char *policy, bool has_all_filters)
{
	struct request *request = query->request;
	const struct policy_target target = policy_target_caller(request->caller);
	const char *everyone = parameter(query->parameters, "all_tenants");
	const char *project_id = parameter(query->parameters, "project_id");
	bool has_all = false;

	if (!project_id)
		project_id = parameter(query->parameters, "tenant_id");
	if (everyone && !read_switch(request, everyone, &has_all))
		return false;
	if (has_all && !request_allows(request, policy, &target))
		return false;
	if (!has_all)
		query->filter.project_id = request->caller->project_id;
	else if (project_id && has_all_filters)
		query->filter.project_id = project_id;
	/* A token without a project owns no servers. */
	query->is_empty = !has_all && !query->filter.project_id;
	return true;
}

/* False: answered. */
static bool read_statuses(struct server_query *query)
{
	struct request *request = query->request;
	json_t *statuses = json_object_get(query->parameters->values, "status");
	json_t *status;
	size_t index;
	bool is_known = false;

	json_array_foreach(statuses, index, status)
	{
		is_known = is_known || view_status_is_known(json_string_value(status));
		if (strcasecmp(json_string_value(status), "DELETED") != 0)
			continue;
		if (!request->is_admin) {
			request_reply_fault(request, 403, "Only administrators may list deleted instances");
			return false;
		}
		query->filter.has_deleted = true;
	}
	if (!statuses || is_known)
		return true;
	query->is_empty = true;
	if (request->minor < STATUS_FAULT_SINCE_MINOR)
		return true;
	request_reply_fault(request, 400, "Invalid status value");
	return false;
}

/* False: answered. */
static bool read_name(struct server_query *query)
{
	const char *name = parameter(query->parameters, "name");

	if (!name)
		return true;
	query->has_name = regcomp(&query->name, name, REG_EXTENDED | REG_NOSUB) == 0;
	if (!query->has_name)
		request_reply_fault(query->request, 400,
				    "Invalid input for query parameters name. Value: %s. '%s' is not a 'regex'", name,
				    name);
	return query->has_name;
}

static struct view_server_scope scope_of(struct request *request, const struct policy_target *target, bool is_detail)
{
	return (struct view_server_scope){
		.minor = request->minor,
		.base = request_link_base(request),
		.is_detail = is_detail,
		.has_host_attributes = request_may(request, "os_compute_api:os-extended-server-attributes", target),
		.has_host_status = request_may(request, "os_compute_api:servers:show:host_status", target),
		.has_extra_specs = request_may(request, "os_compute_api:servers:show:flavor-extra-specs", target),
		.has_fault_details = request->is_admin,
	};
}

static const struct db_host *find_host(const struct db_host_list *hosts, int64_t id)
{
	for (size_t i = 0; i < hosts->count; i++) {
		if (hosts->items[i].id == id)
			return &hosts->items[i];
	}
	return NULL;
}

static json_t *document_of(struct request *request, const struct db_server *server, const struct db_host_list *hosts,
			   bool is_detail)
{
	const struct policy_target target = policy_target_project(server->project_id);
	struct view_server_scope scope;

	if (!is_detail) {
		const struct view_base base = request_link_base(request);

		return view_server_brief(server, &base);
	}
	scope = scope_of(request, &target, true);
	scope.host = find_host(hosts, server->host_id);
	return view_server(server, &scope);
}

/* Behind the marker, where the list was sorted here. */
static size_t first_place(const struct server_query *query, const struct db_server_list *list)
{
	const char *marker = parameter(query->parameters, "marker");

	for (size_t i = 0; marker && server_sort_is_wanted(query->parameters) && i < list->count; i++)
		if (text_equal(list->items[i].uuid, marker))
			return i + 1;
	return 0;
}

static json_t *list_document(const struct server_query *query, const struct db_server_list *list,
			     const struct db_host_list *hosts, bool is_detail, bool has_all_filters)
{
	struct request *request = query->request;
	const int64_t limit = parameter_limit(request, query->parameters);
	const char *last = NULL;
	json_t *rows = json_array();
	json_t *document;

	for (size_t i = first_place(query, list); i < list->count && (int64_t)json_array_size(rows) < limit; i++) {
		if (!selects(query, &list->items[i], has_all_filters))
			continue;
		json_array_append_new(rows, document_of(request, &list->items[i], hosts, is_detail));
		last = list->items[i].uuid;
	}
	document = json_pack("{s:O}", "servers", rows);
	if (document && last && (int64_t)json_array_size(rows) == limit)
		json_object_set_new(document, "servers_links",
				    parameters_next_links(request, query->parameters,
							  is_detail ? "servers/detail" : "servers", last));
	json_decref(rows);
	return document;
}

static int answer_list(struct server_query *query, bool is_detail, bool has_all_filters, struct error *error)
{
	struct request *request = query->request;
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_SERVERS struct db_server_list list = { 0 };
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };
	int64_t limit = parameter_limit(request, query->parameters);
	int result = db_read_begin(request->settings->database, &session, error);

	if (result < 0)
		return result;
	if (!has_row_filter(query, has_all_filters))
		query->filter.limit = limit;
	if (is_detail)
		result = db_host_all(session, &hosts, error);
	if (result == 0 && !query->is_empty && (limit > 0 || query->filter.marker)) {
		result = db_server_find(session, &query->filter, &list, error);
		if (result == -ENOENT && query->filter.marker)
			return request_reply_fault(request, 400, "marker [%s] not found", query->filter.marker);
	}
	if (result < 0)
		return result;
	if (server_sort_is_wanted(query->parameters))
		server_sort(&list, query->parameters);
	return request_reply_json(request, 200, list_document(query, &list, &hosts, is_detail, has_all_filters));
}

static int answer_index(struct request *request, bool is_detail, const char *policy, const char *policy_for_all,
			struct error *error)
{
	const struct policy_target target = policy_target_caller(request->caller);
	CLEANUP_PARAMETERS struct parameters parameters = { 0 };
	CLEANUP(query_clear) struct server_query query = { .request = request, .parameters = &parameters };
	bool has_all_filters;

	if (!parameters_read(request, server_rules, ARRAY_LENGTH(server_rules), request->minor >= STRICT_SINCE_MINOR,
			     &parameters)
	    || !request_allows(request, policy, &target))
		return 0;
	has_all_filters = request_may(request, "os_compute_api:servers:allow_all_filters", &target);
	if (!server_sort_check(request, &parameters) || !read_lock(&query) || !read_name(&query)
	    || !read_statuses(&query) || !read_projects(&query, policy_for_all, has_all_filters))
		return 0;
	/* A marker stands for those before it in the order asked for. */
	query.filter.marker = server_sort_is_wanted(&parameters) ? NULL : parameter(&parameters, "marker");
	query.filter.changes_since_us = parameter_time_us(&parameters, "changes-since");
	/* Who follows changes wants to hear of deletions. */
	query.filter.has_deleted = query.filter.has_deleted || query.filter.changes_since_us != 0
				   || parameter(&parameters, "changes-before");
	return answer_list(&query, is_detail, has_all_filters, error);
}

int handle_server_index(struct request *request, struct error *error)
{
	return answer_index(request, false, "os_compute_api:servers:index",
			    "os_compute_api:servers:index:get_all_tenants", error);
}

int handle_server_detail(struct request *request, struct error *error)
{
	return answer_index(request, true, "os_compute_api:servers:detail",
			    "os_compute_api:servers:detail:get_all_tenants", error);
}

int handle_server_show(struct request *request, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	CLEANUP_DB_HOST struct db_host host = { 0 };
	struct view_server_scope scope;
	struct policy_target target;
	int result = db_read_begin(request->settings->database, &session, error);

	if (result < 0)
		return result;
	result = server_lookup(request, session, "os_compute_api:servers:show", false, &server, error);
	if (result <= 0)
		return result;
	target = policy_target_project(server.project_id);
	scope = scope_of(request, &target, false);
	if (server.host_id) {
		result = db_host_by_id(session, server.host_id, &host, error);
		if (result < 0 && result != -ENOENT)
			return result;
		scope.host = result == 0 ? &host : NULL;
	}
	return request_reply_json(request, 200, json_pack("{s:o}", "server", view_server(&server, &scope)));
}
