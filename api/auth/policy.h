/* Policies: who may do what, in oslo.policy's rule language. A policy set is compiled once, from the defaults in code
 * and the rules of the operator's policy file over them, and never changes: any number of threads may ask it.
 *
 *     struct policy_target target = policy_target_project(server->project_id);
 *     switch (policy_check(policies, "os_compute_api:os-migrate-server:migrate", caller, &target, error)) {
 *     case POLICY_ALLOWED: ...
 *     case POLICY_REFUSED: ... 403 Policy doesn't allow NAME to be performed.
 *     case POLICY_RAISED:  ... the same 403, and error->text into the log: the rule itself is faulty
 *     }
 *
 * A verdict has three values, because oslo.policy's has: what would be an exception there goes through `not`, `and`,
 * `or` and `rule:` unchanged and grants nothing.
 */
#pragma once

#include "api/auth/caller.h"

struct error;
struct text;

enum policy_verdict { POLICY_ALLOWED, POLICY_REFUSED, POLICY_RAISED };

/* What the caller wants to act upon, as far as a rule can see it (`%(project_id)s`). A key that is not there makes the
 * check that names it false; one that is there and NULL prints as `None`. */
struct policy_target {
	const char *project_id;
	const char *user_id;
	bool has_project_id;
	bool has_user_id;
	const json_t *values; /* an object that counts instead of the above; NULL: the above */
};

/* Nova's literal {}: services and hypervisors. */
static inline struct policy_target policy_target_nothing(void)
{
	return (struct policy_target){ 0 };
}

/* {"project_id": …}: most checks on one server. */
static inline struct policy_target policy_target_project(const char *project_id)
{
	return (struct policy_target){ .project_id = project_id, .has_project_id = true };
}

/* {"project_id": …, "user_id": …}: start, stop, resize, rebuild, delete, update, lock. */
static inline struct policy_target policy_target_owner(const char *project_id, const char *user_id)
{
	return (struct policy_target){
		.project_id = project_id, .user_id = user_id, .has_project_id = true, .has_user_id = true
	};
}

/* No target, which in Nova is the caller's own ids: os-migrations, servers:index, servers:detail. */
static inline struct policy_target policy_target_caller(const struct caller *caller)
{
	return policy_target_owner(caller->project_id, caller->user_id);
}

/* Scope types of a registered policy; a token of another scope is refused before the rule is looked at. */
enum policy_scope {
	POLICY_SCOPE_ANY = 0, /* not checked */
	POLICY_SCOPE_SYSTEM = 1,
	POLICY_SCOPE_DOMAIN = 2,
	POLICY_SCOPE_PROJECT = 4,
};

/* A default in code. */
struct policy_default {
	const char *name;
	const char *rule;
	unsigned int scopes; /* of enum policy_scope */
	const char *deprecated_name; /* NULL: none */
	const char *deprecated_rule;
};

/* newest Nova's policies of migration, servers, services, hypervisors and instance actions, and MOSK 24.3's four. */
const struct policy_default *policy_defaults(size_t *ret_count);

/* A rule of the policy file. */
struct policy_override {
	const char *name;
	const json_t *value; /* a text; a list, null and other values mean what they mean to oslo.policy */
	const char *file; /* for messages */
	unsigned int line;
};

struct policy_settings {
	const struct policy_default *defaults; /* NULL: policy_defaults() */
	size_t default_count;
	const struct policy_override *overrides; /* later ones of one name win */
	size_t override_count;
	bool ignores_scope; /* oslo.policy's enforce_scope = false */
	bool allows_deprecated; /* enforce_new_defaults = false: a default is (new or deprecated) */
	bool has_generic_is_admin; /* `is_admin:` is an ordinary check, as without Nova's own class */
	/* Told of each rule that is malformed, can only raise, is never asked for, or goes in a circle, and of each
	 * reference to a rule that is not there: "FILE:LINE: …". The policy set is usable nevertheless, and refuses
	 * what it cannot understand. NULL: nobody. */
	void (*report)(void *context, const char *text);
	void *report_context;
};

struct policy;

/* Nothing of the settings is kept. -EINVAL: a value that is no rule at all (true, a number), with file and line, as it
 * takes oslo.policy's whole file with it; -ENOMEM. */
int policy_create(const struct policy_settings *settings, struct policy **ret_policy, struct error *error);
void policy_destroy(struct policy *policy);

/* Tells each overriding rule in use (one that the service asks for, or that such a one refers to) that can only fail: not
 * understood, always raising, resting on a rule that is not there; and each that reaches a circle. A plain `!` is no fault.
 * -ENOMEM. */
int policy_find_faults(const struct policy *policy, void (*on_fault)(void *context, const char *text), void *context,
		       struct error *error);

/* May `caller` do `name` to `target`? `error` (may be NULL) is filled only with POLICY_RAISED. Allocates nothing as long
 * as rules compare texts. Thread-safe. */
enum policy_verdict policy_check(const struct policy *policy, const char *name, const struct caller *caller,
				 const struct policy_target *target, struct error *error);

/* The same for oslo.policy's creds as an object, any keys. */
enum policy_verdict policy_check_credentials(const struct policy *policy, const char *name, const json_t *credentials,
					     const struct policy_target *target, struct error *error);

/* False: the caller's token has another scope than the policy is for, which is refused whatever the rule says. */
bool policy_scope_fits(const struct policy *policy, const char *name, const struct caller *caller);

/* Nova's context.is_admin: the rule `context_is_admin`. False also when it raises. */
bool policy_is_admin(const struct policy *policy, const struct caller *caller);

/* The rule as it was understood, in oslo.policy's own printing; false when there is none of that name. */
bool policy_print(const struct policy *policy, const char *name, struct text *text);

/* Where the rule that is in force comes from; the file is NULL where it is the default in code, or there is none. */
const char *policy_origin(const struct policy *policy, const char *name, unsigned int *ret_line);

/* Names in the order of the defaults, then of the file; NULL behind the last. */
const char *policy_name(const struct policy *policy, size_t index);
