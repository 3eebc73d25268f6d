/* GET /os-services. */
#include "api/handlers.h"
#include "api/parameters.h"
#include "api/view.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "db/hosts.h"

static const struct parameter_rule service_rules[] = {
	{ "host", PARAMETER_TEXT, 0, true },
	{ "binary", PARAMETER_TEXT, 0, true },
};

const struct parameter_table service_parameters = { service_rules, ARRAY_LENGTH(service_rules), 75 };

/* An empty filter asks for nothing. */
static bool is_wanted(const char *value, const char *wanted)
{
	return !wanted || !wanted[0] || text_equal(value, wanted);
}

int handle_service_index(struct request *request, struct error *error)
{
	const struct policy_target target = policy_target_nothing();
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_SERVICES struct db_service_list list = { 0 };
	CLEANUP_PARAMETERS struct parameters parameters = { 0 };
	json_t *rows;
	int result;

	if (!parameters_read(request, &service_parameters, &parameters)
	    || !request_allows(request, "os_compute_api:os-services:list", &target))
		return 0;
	result = db_read_begin(request->settings->database, &session, error);
	if (result < 0)
		return result;
	result = db_service_all(session, &list, error);
	if (result < 0)
		return result;
	rows = json_array();
	for (size_t i = 0; i < list.count; i++) {
		const struct db_service *service = &list.items[i];

		if (is_wanted(service->host, parameter(&parameters, "host"))
		    && is_wanted(service->binary, parameter(&parameters, "binary")))
			json_array_append_new(rows, view_service(service, request->minor));
	}
	return request_reply_json(request, 200, json_pack("{s:o}", "services", rows));
}
