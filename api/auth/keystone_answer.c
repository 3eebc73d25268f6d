/* Reads Keystone's description of a token. The one difficulty: it comes over a network, so nothing in it is taken on trust:
 * ids and roles are bounded texts, and a token without a user or an end is none. */
#include "api/auth/keystone_answer.h"

#include <errno.h>
#include <string.h>

#include "api/auth/hostile_json.h"
#include "base/clock.h"
#include "base/error.h"

/* NULL: not there, or no text of a good length. */
static const char *id_of(const json_t *part)
{
	const char *id = json_string_value(json_object_get(part, "id"));

	return id && *id && strlen(id) <= CALLER_ID_MAX ? id : NULL;
}

static const char *domain_of(const json_t *part)
{
	return id_of(json_object_get(part, "domain"));
}

/* False when there are too many, or one has no good name. */
static bool read_roles(const json_t *roles, const char *names[CALLER_ROLE_MAX], size_t *ret_count)
{
	size_t count = json_array_size(roles);

	if (count > CALLER_ROLE_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		names[i] = json_string_value(json_object_get(json_array_get(roles, i), "name"));
		if (!names[i] || !*names[i] || strlen(names[i]) > CALLER_ID_MAX)
			return false;
	}
	*ret_count = count;
	return true;
}

static int read_token(const json_t *token, struct caller **ret_caller, struct error *error)
{
	const char *names[CALLER_ROLE_MAX];
	const json_t *user = json_object_get(token, "user"), *project = json_object_get(token, "project");
	const json_t *is_admin_project = json_object_get(token, "is_admin_project");
	const char *expires_at = json_string_value(json_object_get(token, "expires_at"));
	struct caller fields = {
		.user_id = id_of(user),
		.user_domain_id = domain_of(user),
		.project_id = id_of(project),
		.project_domain_id = domain_of(project),
		.domain_id = domain_of(token),
		.system_scope = json_is_true(json_object_get(json_object_get(token, "system"), "all")) ? "all" : NULL,
		.roles = names,
		/* Where Keystone has no such project every one counts as it, as in its own middleware. */
		.is_admin_project = !is_admin_project || json_is_true(is_admin_project),
	};

	if (!fields.user_id)
		return error_set(error, EBADMSG, "it names no user");
	if (!expires_at || !time_parse(expires_at, &fields.expires_us))
		return error_set(error, EBADMSG, "it does not say when the token ends");
	if (!read_roles(json_object_get(token, "roles"), names, &fields.role_count))
		return error_set(error, EBADMSG, "its roles are no names, or more than %d", CALLER_ROLE_MAX);
	*ret_caller = caller_create(&fields);
	return *ret_caller ? 0 : error_no_memory(error);
}

int keystone_answer_read(const char *body, size_t size, struct caller **ret_caller, struct error *error)
{
	json_t *answer = hostile_json_read(body, size, JSON_REJECT_DUPLICATES);
	int result = read_token(json_object_get(answer, "token"), ret_caller, error);

	json_decref(answer);
	return result < 0 ? error_wrap(error, "Keystone's answer cannot be read") : 0;
}
