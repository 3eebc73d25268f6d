/* A caller is one block of memory: the header, the roles' pointers and all texts behind it, with a count of owners. */
#include "api/auth/caller.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* The fields come first, so that the public pointer is also the block's. */
struct caller_block {
	struct caller caller;
	atomic_uint owners;
	/* roles' pointers and texts follow */
};

bool caller_is_good_text(const char *text)
{
	const char *place = text;

	while ((unsigned char)*place >= 0x20 && *place != 0x7f)
		place++;
	return !*place && place - text <= CALLER_ID_MAX;
}

static size_t text_size(const char *string)
{
	return string ? strlen(string) + 1 : 0;
}

static const char *place_text(char **free_place, const char *string)
{
	if (!string)
		return NULL;
	size_t size = strlen(string) + 1;
	char *place = *free_place;

	memcpy(place, string, size);
	*free_place += size;
	return place;
}

struct caller *caller_create(const struct caller *fields)
{
	size_t size = sizeof(struct caller_block) + fields->role_count * sizeof(char *);

	size += text_size(fields->user_id) + text_size(fields->user_domain_id) + text_size(fields->project_id)
		+ text_size(fields->project_domain_id) + text_size(fields->domain_id) + text_size(fields->system_scope);
	for (size_t i = 0; i < fields->role_count; i++)
		size += text_size(fields->roles[i]);

	struct caller_block *block = malloc(size);

	if (!block)
		return NULL;

	const char **roles = (const char **)(block + 1);
	char *place = (char *)(roles + fields->role_count);

	block->caller = (struct caller){
		.user_id = place_text(&place, fields->user_id),
		.user_domain_id = place_text(&place, fields->user_domain_id),
		.project_id = place_text(&place, fields->project_id),
		.project_domain_id = place_text(&place, fields->project_domain_id),
		.domain_id = place_text(&place, fields->domain_id),
		.system_scope = place_text(&place, fields->system_scope),
		.roles = fields->role_count > 0 ? roles : NULL,
		.role_count = fields->role_count,
		.is_admin_project = fields->is_admin_project,
		.expires_us = fields->expires_us,
	};
	for (size_t i = 0; i < fields->role_count; i++)
		roles[i] = place_text(&place, fields->roles[i]);
	atomic_init(&block->owners, 1);
	return &block->caller;
}

struct caller *caller_reference(struct caller *caller)
{
	struct caller_block *block = (struct caller_block *)caller;

	atomic_fetch_add_explicit(&block->owners, 1, memory_order_relaxed);
	return caller;
}

void caller_release(struct caller *caller)
{
	struct caller_block *block = (struct caller_block *)caller;

	if (block && atomic_fetch_sub_explicit(&block->owners, 1, memory_order_acq_rel) == 1)
		free(block);
}

bool caller_has_role(const struct caller *caller, const char *role)
{
	for (size_t i = 0; i < caller->role_count; i++)
		if (strcmp(caller->roles[i], role) == 0)
			return true;
	return false;
}

json_t *caller_credentials(const struct caller *caller, bool is_admin)
{
	json_t *roles = json_array();

	for (size_t i = 0; roles && i < caller->role_count; i++) {
		if (json_array_append_new(roles, json_string(caller->roles[i])) < 0) {
			json_decref(roles);
			return NULL;
		}
	}
	/* json_pack takes over `roles` also when it fails, and fails when it is NULL. */
	return json_pack("{s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:o, s:b, s:b, s:n, s:n, s:n, s:n, s:[]}", "user_id",
			 caller->user_id, "user_domain_id", caller->user_domain_id, "system_scope",
			 caller->system_scope, "domain_id", caller->domain_id, "project_id", caller->project_id,
			 "project_domain_id", caller->project_domain_id, "roles", roles, "is_admin_project",
			 caller->is_admin_project, "is_admin", is_admin, "service_user_id", "service_user_domain_id",
			 "service_project_id", "service_project_domain_id", "service_roles");
}
