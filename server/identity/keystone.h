/* Keystone's word on one token, asked for with the service's own. */
#pragma once

#include "api/auth/caller.h"
#include "server/settings.h"

struct clock;
struct error;
struct keystone;

/* The settings live on; the password file is read now. */
int keystone_create(const struct keystone_settings *settings, struct clock *clock, struct keystone **ret_keystone,
		    struct error *error);
void keystone_destroy(struct keystone *keystone); /* NULL is fine */

/* Blocks, at most for some times the timeout. -EACCES: Keystone knows no such token, or not any more, or says of it what no
 * token is. -EREMOTEIO: it answers, but not to this question. -EHOSTUNREACH: it does not answer, or does not let the service in.
 * Thread-safe. */
int keystone_validate(struct keystone *keystone, const char *token, struct caller **ret_caller, struct error *error);
