/* Filters of a list of servers. Those that the database does not know are applied to its rows here, and then the page is cut by
 * the caller. */
#include "api/server_query.h"

#include <errno.h>
#include <limits.h>
#include <strings.h>

#include "api/server_sort.h"
#include "api/view.h"
#include "base/cleanup.h"
#include "base/text.h"

#define STRICT_SINCE_MINOR         75
#define TAGS_SINCE_MINOR           26
#define LOCKED_SINCE_MINOR         73
#define STATUS_FAULT_SINCE_MINOR   38
#define CHANGES_BEFORE_SINCE_MINOR 66

static const struct parameter_rule server_rules[] = {
	{ "user_id", PARAMETER_TEXT, 0, true },
	{ "project_id", PARAMETER_TEXT, 0, true },
	{ "tenant_id", PARAMETER_TEXT, 0, true },
	{ "name", PARAMETER_PATTERN, 0, true },
	{ "hostname", PARAMETER_PATTERN, 0, true },
	{ "status", PARAMETER_TEXT, 0, true },
	{ "host", PARAMETER_TEXT, 0, true },
	{ "node", PARAMETER_PATTERN, 0, true },
	{ "uuid", PARAMETER_TEXT, 0, true },
	{ "vm_state", PARAMETER_TEXT, 0, true },
	{ "task_state", PARAMETER_TEXT, 0, true },
	{ "availability_zone", PARAMETER_PATTERN, 0, true },
	{ "reservation_id", PARAMETER_PATTERN, 0, true },
	{ "image", PARAMETER_TEXT, 0, true },
	{ "flavor", PARAMETER_PATTERN, 0, true },
	{ "all_tenants", PARAMETER_TEXT, 0, true },
	{ "deleted", PARAMETER_TEXT, 0, true },
	{ "power_state", PARAMETER_PATTERN, 0, true },
	{ "locked", PARAMETER_TEXT, LOCKED_SINCE_MINOR, true },
	{ "tags", PARAMETER_PATTERN, TAGS_SINCE_MINOR, true },
	{ "ip", PARAMETER_PATTERN, 0, true },
	{ "ip6", PARAMETER_PATTERN, 0, true },
	{ "sort_key", PARAMETER_TEXT, 0, true },
	{ "sort_dir", PARAMETER_TEXT, 0, true },
	{ "limit", PARAMETER_LIMIT, 0, true },
	{ "marker", PARAMETER_TEXT, 0, true },
	{ "changes-since", PARAMETER_TIME, 0, true },
	{ "changes-before", PARAMETER_TIME, CHANGES_BEFORE_SINCE_MINOR, true },
};

const struct parameter_table server_parameters = { server_rules, ARRAY_LENGTH(server_rules), STRICT_SINCE_MINOR };

void server_query_clear(struct server_query *query)
{
	for (size_t i = 0; i < SERVER_PATTERN_MAX; i++)
		pattern_destroy(query->patterns[i]);
	json_decref(query->tags);
	parameters_clear(&query->parameters);
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
static const char *const own_filters[] = { "status", "changes-before", "power_state", "locked", "tags" };

static const char *const pattern_filters[SERVER_PATTERN_MAX] = {
	[SERVER_PATTERN_NAME] = "name",
	[SERVER_PATTERN_IP] = "ip",
	[SERVER_PATTERN_IP6] = "ip6",
};

static bool has_row_filter(const struct server_query *query)
{
	for (size_t i = 0; i < ARRAY_LENGTH(field_filters); i++) {
		if (parameter(&query->parameters, field_filters[i].parameter)
		    && (query->has_all_filters || !field_filters[i].is_for_admins))
			return true;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(own_filters); i++)
		if (parameter(&query->parameters, own_filters[i]))
			return true;
	for (size_t i = 0; i < SERVER_PATTERN_MAX; i++)
		if (query->patterns[i])
			return true;
	return server_sort_is_wanted(&query->parameters);
}

static bool selects_power_and_lock(const struct server_query *query, const struct db_server *server)
{
	const char *power_state = parameter(&query->parameters, "power_state");
	int64_t wanted = 0;

	if (power_state && (!text_to_int64(power_state, 0, INT_MAX, &wanted) || wanted != server->power_state))
		return false;
	return !parameter(&query->parameters, "locked") || query->is_locked == (server->locked_by[0] != '\0');
}

static bool has_tag(const json_t *tags, const char *tag)
{
	for (size_t i = 0; i < json_array_size(tags); i++)
		if (text_equal(json_string_value(json_array_get(tags, i)), tag))
			return true;
	return false;
}

/* Whether the server has each of the tags. More tags than it has are not looked for one by one. */
static bool selects_tags(json_t *wanted, const struct db_server *server)
{
	json_t *tags = wanted && server->tags ? json_loads(server->tags, 0, NULL) : NULL;
	bool has_all = json_object_size(wanted) <= json_array_size(tags);
	const char *tag;
	json_t *unused;

	json_object_foreach(wanted, tag, unused) has_all = has_all && has_tag(tags, tag);
	json_decref(tags);
	return has_all;
}

/* Whether one of the server's addresses matches the pattern. Returns what pattern_search does. */
static int search_addresses(struct pattern *pattern, const struct db_server *server)
{
	json_t *networks = server->addresses ? json_loads(server->addresses, 0, NULL) : NULL;
	json_t *network, *place;
	const char *name;
	size_t index;
	int result = 0;

	json_object_foreach(networks, name, network) json_array_foreach(network, index, place)
	{
		const char *address = json_string_value(json_object_get(place, "addr"));

		if (address && result == 0)
			result = pattern_search(pattern, address);
	}
	json_decref(networks);
	return result;
}

/* Whether all patterns that were asked for match; the first that does not, or that reached a bound, is `ret_number`. */
static int search(const struct server_query *query, const struct db_server *server, size_t *ret_number)
{
	int result = 1;

	for (size_t i = 0; i < SERVER_PATTERN_MAX && result > 0; i++) {
		struct pattern *pattern = query->patterns[i];

		if (!pattern)
			continue;
		*ret_number = i;
		result = i == SERVER_PATTERN_NAME ? pattern_search(pattern, server->name)
						  : search_addresses(pattern, server);
	}
	return result;
}

static bool selects_fields(const struct server_query *query, const struct db_server *server)
{
	int64_t before_us = parameter_time_us(&query->parameters, "changes-before");

	for (size_t i = 0; i < ARRAY_LENGTH(field_filters); i++) {
		const struct server_field_filter *filter = &field_filters[i];
		const char *wanted = parameter(&query->parameters, filter->parameter);

		if (wanted && (query->has_all_filters || !filter->is_for_admins)
		    && !text_equal((const char *)server + filter->offset, wanted))
			return false;
	}
	if (before_us && (server->updated_us ? server->updated_us : server->created_us) > before_us)
		return false;
	if (query->status_rows && !(query->status_rows & view_state_rows(server->vm_state, server->task_state)))
		return false;
	return selects_power_and_lock(query, server) && selects_tags(query->tags, server);
}

int server_query_selects(struct server_query *query, const struct db_server *server, struct error *error)
{
	size_t number = 0;
	int result = selects_fields(query, server) ? search(query, server, &number) : 0;

	if (result == -EINVAL)
		parameter_refuse_pattern(query->request, &query->parameters, pattern_filters[number]);
	return result == -ENOMEM ? error_no_memory(error) : result;
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
	const char *value = parameter(&query->parameters, "locked");

	return !value || read_switch(query->request, value, &query->is_locked);
}

/* Whose servers; false: answered. */
static bool read_projects(struct server_query *query, const char *policy)
{
	struct request *request = query->request;
	const struct policy_target target = policy_target_caller(request->caller);
	const char *everyone = parameter(&query->parameters, "all_tenants");
	const char *project_id = parameter(&query->parameters, "project_id");
	bool has_all = false;

	if (!project_id)
		project_id = parameter(&query->parameters, "tenant_id");
	if (everyone && !read_switch(request, everyone, &has_all))
		return false;
	if (has_all && !request_allows(request, policy, &target))
		return false;
	if (!has_all)
		query->filter.project_id = request->caller->project_id;
	else if (project_id && query->has_all_filters)
		query->filter.project_id = project_id;
	/* A token without a project owns no servers. */
	query->is_empty = !has_all && !query->filter.project_id;
	return true;
}

/* False: answered. */
static bool read_statuses(struct server_query *query)
{
	struct request *request = query->request;
	json_t *statuses = json_object_get(query->parameters.values, "status");
	json_t *status;
	size_t index;

	json_array_foreach(statuses, index, status)
	{
		query->status_rows |= view_status_rows(json_string_value(status));
		if (strcasecmp(json_string_value(status), "DELETED") != 0)
			continue;
		if (!request->is_admin) {
			request_reply_fault(request, 403, "Only administrators may list deleted instances");
			return false;
		}
		query->filter.has_deleted = true;
	}
	if (!statuses || query->status_rows)
		return true;
	query->is_empty = true;
	if (request->minor < STATUS_FAULT_SINCE_MINOR)
		return true;
	request_reply_fault(request, 400, "Invalid status value");
	return false;
}

/* Parted by commas; an empty one counts as well. False: answered. */
static bool read_tags(struct server_query *query)
{
	const char *tag = parameter(&query->parameters, "tags");
	bool is_short = false;

	if (!tag)
		return true;
	query->tags = json_object();
	while (tag && !is_short) {
		size_t length = strcspn(tag, ",");
		CLEANUP_FREE char *copy = strndup(tag, length);

		is_short = !copy || json_object_set_new(query->tags, copy, json_true()) < 0;
		tag = tag[length] ? tag + length + 1 : NULL;
	}
	if (is_short)
		request_reply_fault(query->request, 503, "out of memory");
	return !is_short;
}

/* False: answered. */
static bool read_patterns(struct server_query *query)
{
	for (size_t i = 0; i < SERVER_PATTERN_MAX; i++) {
		int result = parameter_pattern(&query->parameters, pattern_filters[i], &query->patterns[i]);

		if (result == -ENOMEM)
			request_reply_fault(query->request, 503, "out of memory");
		else if (result < 0)
			parameter_refuse_pattern(query->request, &query->parameters, pattern_filters[i]);
		if (result < 0)
			return false;
	}
	return true;
}

bool server_query_read(struct server_query *query, const char *policy, const char *policy_for_all)
{
	struct request *request = query->request;
	const struct policy_target target = policy_target_caller(request->caller);
	struct parameters *parameters = &query->parameters;

	if (!parameters_read(request, &server_parameters, parameters) || !request_allows(request, policy, &target))
		return false;
	query->has_all_filters = request_may(request, "os_compute_api:servers:allow_all_filters", &target);
	if (!server_sort_check(request, parameters) || !read_lock(query) || !read_patterns(query) || !read_tags(query)
	    || !read_statuses(query) || !read_projects(query, policy_for_all))
		return false;
	/* A marker stands for those before it in the order asked for. */
	query->filter.marker = server_sort_is_wanted(parameters) ? NULL : parameter_marker(parameters);
	query->filter.changes_since_us = parameter_time_us(parameters, "changes-since");
	/* Who follows changes wants to hear of deletions. */
	query->filter.has_deleted = query->filter.has_deleted || query->filter.changes_since_us != 0
				    || parameter(parameters, "changes-before");
	if (!has_row_filter(query))
		query->filter.limit = parameter_limit(request, parameters);
	return true;
}
