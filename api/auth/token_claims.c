/* Claims: who a verified token speaks of, and for how long. The signature is already checked, but an issuer may still
 * send anything: every claim's form and size is judged before it is believed. */
#include "api/auth/token_claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#define LEEWAY_MAX_S  600
#define TIME_MAX_S    253402300799.0 /* the end of the year 9999 */
#define PATH_MAX_SIZE 256
#define SECOND_US     INT64_C(1000000)

/* Each name: where the settings have it, where it goes, and what it is by default. */
#define CLAIM_NAME(field, fallback)                                                                                    \
	{                                                                                                              \
		offsetof(struct token_claim_names, field), offsetof(struct token_claims, field), fallback              \
	}

static const struct {
	size_t from;
	size_t to;
	const char *fallback;
} claim_names[] = {
	CLAIM_NAME(user, "sub"),
	CLAIM_NAME(project, "project_id"),
	CLAIM_NAME(roles, "roles"),
	CLAIM_NAME(domain, "domain_id"),
	CLAIM_NAME(system_scope, "system_scope"),
	CLAIM_NAME(user_domain, "user_domain_id"),
	CLAIM_NAME(project_domain, "project_domain_id"),
	CLAIM_NAME(is_admin_project, "is_admin_project"),
};

static int copy_name(const char *name, char **ret_copy, struct error *error)
{
	if (name && (*name == '\0' || strlen(name) >= PATH_MAX_SIZE))
		return error_set(error, EINVAL, "the claim name \"%.40s\" is empty or longer than %d bytes", name,
				 PATH_MAX_SIZE - 1);
	*ret_copy = name ? strdup(name) : NULL;
	return name && !*ret_copy ? error_no_memory(error) : 0;
}

int token_claims_init(const struct token_settings *settings, struct token_claims *ret_claims, struct error *error)
{
	__attribute__((cleanup(token_claims_clear))) struct token_claims claims = { .leeway_s = settings->leeway_s };
	int result;

	if (claims.leeway_s < 0 || claims.leeway_s > LEEWAY_MAX_S)
		return error_set(error, EINVAL, "the leeway for token times is %lld s: it must be 0 to %d s",
				 (long long)claims.leeway_s, LEEWAY_MAX_S);
	result = copy_name(settings->issuer, &claims.issuer, error);
	if (result == 0)
		result = copy_name(settings->audience, &claims.audience, error);
	for (size_t i = 0; i < ARRAY_LENGTH(claim_names) && result == 0; i++) {
		const char *name =
			*(const char *const *)(const void *)((const char *)&settings->claims + claim_names[i].from);

		result = copy_name(name ? name : claim_names[i].fallback,
				   (char **)(void *)((char *)&claims + claim_names[i].to), error);
	}
	if (result < 0)
		return result;
	*ret_claims = claims;
	claims = (struct token_claims){ 0 };
	return 0;
}

void token_claims_clear(struct token_claims *claims)
{
	free(claims->issuer);
	free(claims->audience);
	for (size_t i = 0; i < ARRAY_LENGTH(claim_names); i++)
		free(*(char **)(void *)((char *)claims + claim_names[i].to));
	*claims = (struct token_claims){ 0 };
}

/* A claim by its path: the whole rest as one name first, then cut at each dot in turn. NULL when it is not there. */
static const json_t *find_claim(const json_t *object, const char *path)
{
	const json_t *found = json_object_get(object, path);

	for (const char *dot = strchr(path, '.'); !found && dot; dot = strchr(dot + 1, '.')) {
		char name[PATH_MAX_SIZE];
		size_t length = (size_t)(dot - path);

		memcpy(name, path, length);
		name[length] = '\0';

		const json_t *below = json_object_get(object, name);

		if (json_is_object(below))
			found = find_claim(below, dot + 1);
	}
	return found;
}

/* A text of up to CALLER_ID_MAX bytes; absent, null and "" are NULL. */
static int read_id(const json_t *payload, const char *path, const char **ret_id, struct error *error)
{
	const json_t *claim = find_claim(payload, path);
	const char *text = json_string_value(claim);

	*ret_id = NULL;
	if (!claim || json_is_null(claim))
		return 0;
	if (!text)
		return error_set(error, EBADMSG, "its claim %s is no text", path);
	if (!caller_is_good_text(text))
		return error_set(error, EBADMSG, "its claim %s is longer than %d bytes or has control characters", path,
				 CALLER_ID_MAX);
	if (*text)
		*ret_id = text;
	return 0;
}

struct roles {
	const char *names[CALLER_ROLE_MAX];
	size_t count;
	char *words; /* the copy that a text of roles is cut up in */
};

static void roles_clear(struct roles *roles)
{
	free(roles->words);
}

static int add_role(struct roles *roles, const char *path, const char *name, struct error *error)
{
	if (!name)
		return error_set(error, EBADMSG, "its claim %s has a role that is neither a text nor has a name", path);
	if (*name == '\0')
		return 0;
	if (!caller_is_good_text(name))
		return error_set(error, EBADMSG,
				 "its claim %s has a role that is longer than %d bytes or has control characters", path,
				 CALLER_ID_MAX);
	if (roles->count == CALLER_ROLE_MAX)
		return error_set(error, EBADMSG, "its claim %s has more than %d roles", path, CALLER_ROLE_MAX);
	roles->names[roles->count++] = name;
	return 0;
}

static int read_roles(const json_t *payload, const char *path, struct roles *roles, struct error *error)
{
	const json_t *claim = find_claim(payload, path);
	const json_t *member;
	char *place = NULL;
	size_t index;
	int result = 0;

	if (!claim || json_is_null(claim))
		return 0;
	if (json_is_string(claim)) {
		roles->words = strdup(json_string_value(claim));
		if (!roles->words)
			return error_no_memory(error);
		for (char *word = strtok_r(roles->words, " ,\t\n", &place); word && result == 0;
		     word = strtok_r(NULL, " ,\t\n", &place))
			result = add_role(roles, path, word, error);
		return result;
	}
	if (!json_is_array(claim))
		return error_set(error, EBADMSG, "its claim %s is no list of roles", path);
	json_array_foreach(claim, index, member)
	{
		const json_t *name = json_is_object(member) ? json_object_get(member, "name") : member;

		result = add_role(roles, path, json_string_value(name), error);
		if (result < 0)
			return result;
	}
	return 0;
}

/* Seconds since 1970, which may have a fraction. */
static int read_time(const json_t *payload, const char *name, bool is_required, int64_t *ret_time_us,
		     struct error *error)
{
	const json_t *claim = json_object_get(payload, name);
	double seconds = json_number_value(claim);

	if (!claim && !is_required)
		return 0;
	if (!claim)
		return error_set(error, EBADMSG, "it has no %s", name);
	if (!json_is_number(claim) || !(seconds >= 0.0 && seconds <= TIME_MAX_S))
		return error_set(error, EBADMSG, "its %s is no time in seconds since 1970", name);
	*ret_time_us = json_is_integer(claim) ? json_integer_value(claim) * SECOND_US : (int64_t)(seconds * 1e6);
	return 0;
}

static int judge_times(const struct token_claims *claims, const json_t *payload, int64_t now_us,
		       int64_t *ret_expires_us, struct error *error)
{
	int64_t expires_us = 0;
	int64_t begins_us = INT64_MIN;
	int64_t leeway_us = claims->leeway_s * SECOND_US;
	int result = read_time(payload, "exp", true, &expires_us, error);

	if (result == 0)
		result = read_time(payload, "nbf", false, &begins_us, error);
	if (result < 0)
		return result;
	if (now_us >= expires_us + leeway_us)
		return error_set(error, EKEYEXPIRED, "it expired %lld s ago",
				 (long long)((now_us - expires_us) / SECOND_US));
	if (begins_us > now_us + leeway_us)
		return error_set(error, EACCES, "it is not valid before another %lld s (are both clocks right?)",
				 (long long)((begins_us - now_us) / SECOND_US));
	*ret_expires_us = expires_us;
	return 0;
}

static bool has_audience(const json_t *claim, const char *audience)
{
	const json_t *member;
	size_t index;

	if (json_is_string(claim))
		return strcmp(json_string_value(claim), audience) == 0;
	json_array_foreach(claim, index, member) if (json_is_string(member)
						     && strcmp(json_string_value(member), audience) == 0) return true;
	return false;
}

static int judge_parties(const struct token_claims *claims, const json_t *payload, struct error *error)
{
	const char *issuer = json_string_value(json_object_get(payload, "iss"));

	if (claims->issuer && !issuer)
		return error_set(error, EACCES, "it names no issuer, and only %s is trusted", claims->issuer);
	if (claims->issuer && strcmp(issuer, claims->issuer) != 0)
		return error_set(error, EACCES, "it was issued by \"%.80s\", and only %s is trusted", issuer,
				 claims->issuer);
	if (claims->audience && !has_audience(json_object_get(payload, "aud"), claims->audience))
		return error_set(error, EACCES, "it is not made for the audience %s", claims->audience);
	return 0;
}

/* "all", or Keystone's {"all": true}. */
static int read_system_scope(const json_t *payload, const char *path, const char **ret_scope, struct error *error)
{
	const json_t *claim = find_claim(payload, path);

	*ret_scope = NULL;
	if (json_is_object(claim)) {
		if (json_is_true(json_object_get(claim, "all")))
			*ret_scope = "all";
		return 0;
	}
	return read_id(payload, path, ret_scope, error);
}

static int read_ids(const struct token_claims *claims, const json_t *payload, struct caller *caller,
		    struct error *error)
{
	const struct {
		const char *path;
		const char **field;
	} ids[] = {
		{ claims->user, &caller->user_id },
		{ claims->project, &caller->project_id },
		{ claims->domain, &caller->domain_id },
		{ claims->user_domain, &caller->user_domain_id },
		{ claims->project_domain, &caller->project_domain_id },
	};
	const json_t *is_admin_project = find_claim(payload, claims->is_admin_project);

	for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
		int result = read_id(payload, ids[i].path, ids[i].field, error);

		if (result < 0)
			return result;
	}
	if (!caller->user_id)
		return error_set(error, EBADMSG, "it names no user: its claim %s is absent or empty", claims->user);
	if (is_admin_project && !json_is_null(is_admin_project) && !json_is_boolean(is_admin_project))
		return error_set(error, EBADMSG, "its claim %s is neither true nor false", claims->is_admin_project);
	caller->is_admin_project = !is_admin_project || !json_is_false(is_admin_project);
	return read_system_scope(payload, claims->system_scope, &caller->system_scope, error);
}

int token_claims_read(const struct token_claims *claims, const json_t *payload, int64_t now_us,
		      struct caller **ret_caller, struct error *error)
{
	__attribute__((cleanup(roles_clear))) struct roles roles = { .count = 0 };
	struct caller fields = { 0 };
	int result = judge_times(claims, payload, now_us, &fields.expires_us, error);

	if (result == 0)
		result = judge_parties(claims, payload, error);
	if (result == 0)
		result = read_ids(claims, payload, &fields, error);
	if (result == 0)
		result = read_roles(payload, claims->roles, &roles, error);
	if (result < 0)
		return result;
	fields.roles = roles.names;
	fields.role_count = roles.count;
	*ret_caller = caller_create(&fields);
	return *ret_caller ? 0 : error_no_memory(error);
}

/* Puts `value` (which is taken over) where `path` says, through objects that are made on the way. */
static int write_claim(json_t *payload, const char *path, json_t *value, struct error *error)
{
	json_t *object = payload;
	const char *dot;

	for (; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
		CLEANUP_FREE char *name = strndup(path, (size_t)(dot - path));
		json_t *below = name ? json_object_get(object, name) : NULL;

		if (name && !below) {
			below = json_object();
			json_object_set_new(object, name, below);
		}
		if (!json_is_object(below)) {
			json_decref(value);
			return error_set(error, EINVAL, "two claim names get in each other's way at \"%s\"", path);
		}
		object = below;
	}
	return json_object_set_new(object, path, value) < 0 ? error_no_memory(error) : 0;
}

static int write_ids(const struct token_claims *claims, const struct caller *caller, json_t *payload,
		     struct error *error)
{
	const struct {
		const char *path;
		const char *id;
	} ids[] = {
		{ claims->user, caller->user_id },
		{ claims->project, caller->project_id },
		{ claims->domain, caller->domain_id },
		{ claims->user_domain, caller->user_domain_id },
		{ claims->project_domain, caller->project_domain_id },
		{ claims->system_scope, caller->system_scope },
		{ "iss", claims->issuer },
		{ "aud", claims->audience },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
		int result = ids[i].id ? write_claim(payload, ids[i].path, json_string(ids[i].id), error) : 0;

		if (result < 0)
			return result;
	}
	if (!caller->is_admin_project)
		return write_claim(payload, claims->is_admin_project, json_false(), error);
	return 0;
}

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

int token_claims_write(const struct token_claims *claims, const struct caller *caller, int64_t now_us,
		       int64_t lifetime_s, json_t **ret_payload, struct error *error)
{
	json_int_t now_s = now_us / SECOND_US;
	__attribute__((cleanup(cleanup_json))) json_t *payload =
		json_pack("{s:I, s:I}", "iat", now_s, "exp", now_s + (json_int_t)lifetime_s);
	json_t *roles = json_array();
	int result;

	if (!payload || !roles) {
		json_decref(roles);
		return error_no_memory(error);
	}
	for (size_t i = 0; i < caller->role_count; i++)
		json_array_append_new(roles, json_string(caller->roles[i]));
	result = write_claim(payload, claims->roles, roles, error);
	if (result == 0)
		result = write_ids(claims, caller, payload, error);
	if (result < 0)
		return result;
	*ret_payload = TAKE_POINTER(payload);
	return 0;
}
