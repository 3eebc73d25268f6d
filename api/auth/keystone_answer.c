/* Reads Keystone's description of a token. The one difficulty: it comes over a network, so nothing in it is taken on trust: ids and
 * roles are bounded texts, a token without a user or an end is none, and what a token is scoped to counts whole or not at all: one
 * of a project whose id cannot be read is no token of no project. */
#include "api/auth/keystone_answer.h"

#include <errno.h>

#include "api/auth/hostile_json.h"
#include "base/clock.h"
#include "base/error.h"

static bool is_absent(const json_t *part)
{
	return !part || json_is_null(part);
}

/* The id of the member `name`, which may be absent. */
static int read_id(const json_t *parent, const char *name, const char **ret_id, struct error *error)
{
	const json_t *part = json_object_get(parent, name);
	const char *id = json_string_value(json_object_get(part, "id"));

	*ret_id = id;
	if (is_absent(part) || (id && *id && caller_is_good_text(id)))
		return 0;
	return error_set(error, EBADMSG, "its %s has no id of 1 to %d bytes without control characters", name,
			 CALLER_ID_MAX);
}

/* A domain that acts as a project stands in none. */
static int read_domain_of(const json_t *part, const char **ret_id, struct error *error)
{
	const json_t *domain = json_object_get(part, "domain");

	*ret_id = NULL;
	if (json_is_object(domain) && is_absent(json_object_get(domain, "id")))
		return 0;
	return read_id(part, "domain", ret_id, error);
}

static int read_system(const json_t *token, const char **ret_scope, struct error *error)
{
	const json_t *part = json_object_get(token, "system");

	*ret_scope = is_absent(part) ? NULL : "all";
	if (*ret_scope && !json_is_true(json_object_get(part, "all")))
		return error_set(error, EBADMSG, "its system is not the whole system");
	return 0;
}

/* False when they are no list, there are too many, or one has no good name. */
static bool read_roles(const json_t *roles, const char *names[CALLER_ROLE_MAX], size_t *ret_count)
{
	size_t count = json_array_size(roles);

	if (count > CALLER_ROLE_MAX || (!is_absent(roles) && !json_is_array(roles)))
		return false;
	for (size_t i = 0; i < count; i++) {
		names[i] = json_string_value(json_object_get(json_array_get(roles, i), "name"));
		if (!names[i] || !*names[i] || !caller_is_good_text(names[i]))
			return false;
	}
	*ret_count = count;
	return true;
}

static int read_scope(const json_t *token, struct caller *fields, struct error *error)
{
	const json_t *is_admin_project = json_object_get(token, "is_admin_project");
	int result = read_id(token, "project", &fields->project_id, error);

	if (result == 0)
		result = read_domain_of(json_object_get(token, "project"), &fields->project_domain_id, error);
	if (result == 0)
		result = read_id(token, "domain", &fields->domain_id, error);
	if (result == 0)
		result = read_system(token, &fields->system_scope, error);
	if (result < 0)
		return result;
	/* Where Keystone has no such project every one counts as it, as in its own middleware. */
	if (!is_absent(is_admin_project) && !json_is_boolean(is_admin_project))
		return error_set(error, EBADMSG, "its is_admin_project is neither true nor false");
	fields->is_admin_project = is_absent(is_admin_project) || json_is_true(is_admin_project);
	return 0;
}

static int read_token(const json_t *token, struct caller **ret_caller, struct error *error)
{
	const char *names[CALLER_ROLE_MAX];
	const json_t *user = json_object_get(token, "user");
	const char *expires_at = json_string_value(json_object_get(token, "expires_at"));
	struct caller fields = { .roles = names };
	int result = is_absent(user) ? error_set(error, EBADMSG, "it names no user")
				     : read_id(token, "user", &fields.user_id, error);

	if (result == 0)
		result = read_domain_of(user, &fields.user_domain_id, error);
	if (result == 0)
		result = read_scope(token, &fields, error);
	if (result < 0)
		return result;
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
