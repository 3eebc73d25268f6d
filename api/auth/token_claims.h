/* Inside the token files: what a token's claims say, in both directions. */
#pragma once

#include "api/auth/token.h"

/* The settings that concern claims, owned; every name is set. */
struct token_claims {
	char *issuer; /* NULL: any */
	char *audience;
	int64_t leeway_s;
	char *user;
	char *project;
	char *roles;
	char *domain;
	char *system_scope;
	char *user_domain;
	char *project_domain;
	char *is_admin_project;
};

int token_claims_init(const struct token_settings *settings, struct token_claims *ret_claims, struct error *error);
void token_claims_clear(struct token_claims *claims);

/* Judges exp, nbf, iss, aud, and reads the caller; errors as token_verify. */
int token_claims_read(const struct token_claims *claims, const json_t *payload, int64_t now_us,
		      struct caller **ret_caller, struct error *error);
/* The payload of a new token; the result is the asker's to release. */
int token_claims_write(const struct token_claims *claims, const struct caller *caller, int64_t now_us,
		       int64_t lifetime_s, json_t **ret_payload, struct error *error);
