/* What the admin socket tells of one migration: its row, and how the guest moves right now. */
#pragma once

#include <jansson.h>

struct database;
struct error;
struct worker;

/* `id` is the migration's number or UUID. The answer is the caller's. -ENOENT: there is none. `worker` may be NULL. */
int admin_migration_show(struct database *database, struct worker *worker, const json_t *id, json_t **ret_answer,
			 struct error *error);
