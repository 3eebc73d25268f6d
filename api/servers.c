/* GET /servers, /servers/detail and /servers/{id}. The difficulty: what is filtered and sorted outside the database makes its page
 * here. */
#include "db/servers.h"
#include "api/handlers.h"
#include "api/server_lookup.h"
#include "api/server_query.h"
#include "api/server_sort.h"
#include "api/view.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <stdlib.h>

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

/* The hosts of a page's servers, each read once. */
struct page_hosts {
	struct db_session *session;
	struct db_host_list list;
};

static void page_hosts_clear(struct page_hosts *hosts)
{
	db_host_list_clear(&hosts->list);
}

/* *ret_host is NULL where the host is not there. */
static int find_host(struct page_hosts *hosts, int64_t id, const struct db_host **ret_host, struct error *error)
{
	struct db_host_list *list = &hosts->list;

	*ret_host = NULL;
	for (size_t i = 0; i < list->count && !*ret_host; i++)
		if (list->items[i].id == id)
			*ret_host = &list->items[i];
	if (*ret_host || id == 0)
		return 0;
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_id(hosts->session, id, &host, error);
	if (result == -ENOENT)
		error_clear(error);
	if (result < 0)
		return result == -ENOENT ? 0 : result;
	struct db_host *grown = realloc(list->items, (list->count + 1) * sizeof(*grown));
	if (!grown)
		return error_no_memory(error);
	list->items = grown;
	grown[list->count] = host;
	host = (struct db_host){ 0 };
	*ret_host = &grown[list->count++];
	return 0;
}

/* NULL: failed. */
static json_t *document_of(struct request *request, const struct db_server *server, struct page_hosts *hosts,
			   bool is_detail, struct error *error)
{
	const struct policy_target target = policy_target_project(server->project_id);
	struct view_server_scope scope;

	if (!is_detail) {
		const struct view_base base = request_link_base(request);

		return view_server_brief(server, &base);
	}
	scope = scope_of(request, &target, true);
	return find_host(hosts, server->host_id, &scope.host, error) < 0 ? NULL : view_server(server, &scope);
}

/* Sorts by what was asked for; then the first row is that behind the marker. -ENOENT: no row is it. */
static int sort(const struct server_query *query, struct db_server_list *list, size_t *ret_first)
{
	const char *marker = parameter_marker(&query->parameters);

	if (!server_sort_is_wanted(&query->parameters))
		return 0;
	server_sort(list, &query->parameters);
	for (size_t i = 0; marker && i < list->count; i++)
		if (text_equal(list->items[i].uuid, marker)) {
			*ret_first = i + 1;
			return 0;
		}
	return marker ? -ENOENT : 0;
}

/* The page's rows: those selected from `first` on. -EINVAL is server_query_selects': answered. */
static int add_rows(struct server_query *query, const struct db_server_list *list, struct page_hosts *hosts,
		    bool is_detail, size_t first, json_t *rows, const char **ret_last, struct error *error)
{
	const int64_t limit = parameter_limit(query->request, &query->parameters);

	for (size_t i = first; i < list->count && (int64_t)json_array_size(rows) < limit; i++) {
		int result = server_query_selects(query, &list->items[i], error);

		if (result < 0)
			return result;
		if (!result)
			continue;
		json_t *row = document_of(query->request, &list->items[i], hosts, is_detail, error);
		if (!row)
			return error->code ? -error->code : error_no_memory(error);
		json_array_append_new(rows, row);
		*ret_last = list->items[i].uuid;
	}
	return 0;
}

static int reply_list(struct server_query *query, const struct db_server_list *list, struct page_hosts *hosts,
		      bool is_detail, size_t first, struct error *error)
{
	struct request *request = query->request;
	const char *last = NULL;
	json_t *rows = json_array();
	json_t *document = json_pack("{s:o}", "servers", rows);
	int result = document ? add_rows(query, list, hosts, is_detail, first, rows, &last, error) : 0;

	if (result < 0) {
		json_decref(document);
		return result == -EINVAL ? 0 : result; /* answered */
	}
	if (last && (int64_t)json_array_size(rows) == parameter_limit(request, &query->parameters))
		json_object_set_new(document, "servers_links",
				    parameters_next_links(request, &query->parameters,
							  is_detail ? "servers/detail" : "servers", last));
	return request_reply_json(request, 200, document);
}

static int answer_list(struct server_query *query, bool is_detail, struct error *error)
{
	struct request *request = query->request;
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_SERVERS struct db_server_list list = { 0 };
	CLEANUP(page_hosts_clear) struct page_hosts hosts = { 0 };
	int64_t limit = parameter_limit(request, &query->parameters);
	const char *marker = parameter_marker(&query->parameters);
	size_t first = 0;
	int result = db_read_begin(request->settings->database, &session, error);

	if (result < 0)
		return result;
	hosts.session = session;
	if (!query->is_empty && (limit > 0 || marker))
		result = db_server_find(session, &query->filter, &list, error);
	if (result == 0 && !query->is_empty)
		result = sort(query, &list, &first);
	if (result == -ENOENT && marker)
		return request_reply_fault(request, 400, "marker [%s] not found", marker);
	if (result < 0)
		return result;
	return reply_list(query, &list, &hosts, is_detail, first, error);
}

static int answer_index(struct request *request, bool is_detail, const char *policy, const char *policy_for_all,
			struct error *error)
{
	CLEANUP(server_query_clear) struct server_query query = { .request = request };

	if (!server_query_read(&query, policy, policy_for_all))
		return 0;
	return answer_list(&query, is_detail, error);
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
