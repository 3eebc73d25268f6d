/* GET /flavors and below: those of the servers that are here. Clients ask for them to show a server's flavor by its name. */
#include "api/handlers.h"
#include "api/parameters.h"
#include "api/view.h"
#include "base/cleanup.h"
#include "base/text.h"

#define STRICT_SINCE_MINOR 75
#define EXTRA_SPECS_POLICY "os_compute_api:os-flavor-extra-specs:index"

static const struct parameter_rule flavor_rules[] = {
	{ "limit", PARAMETER_LIMIT, 0, true },    { "marker", PARAMETER_TEXT, 0, true },
	{ "is_public", PARAMETER_TEXT, 0, true }, { "minRam", PARAMETER_TEXT, 0, true },
	{ "minDisk", PARAMETER_TEXT, 0, true },   { "sort_key", PARAMETER_TEXT, 0, true },
	{ "sort_dir", PARAMETER_TEXT, 0, true },
};

const struct parameter_table flavor_parameters = { flavor_rules, ARRAY_LENGTH(flavor_rules), STRICT_SINCE_MINOR };

/* False: 400 was answered. */
static bool read_least(struct request *request, const struct parameters *parameters, const char *name,
		       const char *words, int64_t *ret_least)
{
	const char *value = parameter(parameters, name);

	if (!value || text_to_int64(value, INT32_MIN, INT32_MAX, ret_least))
		return true;
	request_reply_fault(request, 400, "Invalid %s filter [%s]", words, value);
	return false;
}

static bool may_see_extra_specs(struct request *request)
{
	const struct policy_target target = policy_target_caller(request->caller);

	return request_may(request, EXTRA_SPECS_POLICY, &target);
}

static json_t *list_document(struct request *request, const struct parameters *parameters,
			     const struct db_flavor_list *list, int64_t limit, bool is_detail)
{
	const struct view_base base = request_link_base(request);
	bool has_extra_specs = may_see_extra_specs(request);
	json_t *rows = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(rows,
				      view_flavor(&list->items[i], request->minor, &base, is_detail, has_extra_specs));
	json_t *document = json_pack("{s:o}", "flavors", rows);
	if (document && list->count && (int64_t)list->count == limit)
		json_object_set_new(document, "flavors_links",
				    parameters_next_links(request, parameters, is_detail ? "flavors/detail" : "flavors",
							  list->items[list->count - 1].flavor_id));
	return document;
}

static int answer_list(struct request *request, bool is_detail, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_FLAVORS struct db_flavor_list list = { 0 };
	CLEANUP_PARAMETERS struct parameters parameters = { 0 };
	struct db_flavor_filter filter = { 0 };

	if (!parameters_read(request, &flavor_parameters, &parameters)
	    || !read_least(request, &parameters, "minRam", "minRam", &filter.least_memory_mb)
	    || !read_least(request, &parameters, "minDisk", "minDisk", &filter.least_disk_gb))
		return 0;
	filter.marker = parameter(&parameters, "marker");
	filter.limit = parameter_limit(request, &parameters);
	int result = db_read_begin(request->settings->database, &session, error);
	/* None is private, and a page of none is empty; a marker is looked up nevertheless. */
	bool is_empty = !filter.limit || text_equal(parameter(&parameters, "is_public"), "False");
	if (result == 0 && (!is_empty || filter.marker))
		result = db_flavor_find(session, &filter, &list, error);
	if (result == -ENOENT)
		return request_reply_fault(request, 400, "marker [%s] not found", filter.marker);
	if (result < 0)
		return result;
	if (is_empty)
		db_flavor_list_clear(&list);
	return request_reply_json(request, 200, list_document(request, &parameters, &list, filter.limit, is_detail));
}

int handle_flavor_index(struct request *request, struct error *error)
{
	return answer_list(request, false, error);
}

int handle_flavor_detail(struct request *request, struct error *error)
{
	return answer_list(request, true, error);
}

/* 1: found; 0: answered. */
static int find(struct request *request, struct db_flavor_list *ret_list, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	const struct db_flavor_filter filter = { .flavor_id = request->id };
	int result = db_read_begin(request->settings->database, &session, error);

	if (result == 0 && !strstr(request->id, NUL_IN_TEXT))
		result = db_flavor_find(session, &filter, ret_list, error);
	if (result < 0)
		return result;
	if (ret_list->count)
		return 1;
	return request_reply_fault(request, 404, "Flavor %s could not be found.", request->id);
}

int handle_flavor_show(struct request *request, struct error *error)
{
	CLEANUP_DB_FLAVORS struct db_flavor_list list = { 0 };
	const struct view_base base = request_link_base(request);
	int result = find(request, &list, error);

	if (result <= 0)
		return result;
	return request_reply_json(
		request, 200,
		json_pack("{s:o}", "flavor",
			  view_flavor(&list.items[0], request->minor, &base, true, may_see_extra_specs(request))));
}

int handle_flavor_extra_specs(struct request *request, struct error *error)
{
	CLEANUP_DB_FLAVORS struct db_flavor_list list = { 0 };
	const struct policy_target target = policy_target_caller(request->caller);

	if (!request_allows(request, EXTRA_SPECS_POLICY, &target))
		return 0;
	int result = find(request, &list, error);
	if (result <= 0)
		return result;
	return request_reply_json(request, 200,
				  json_pack("{s:o}", "extra_specs", view_stored_object(list.items[0].extra_specs)));
}
