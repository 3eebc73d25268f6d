/* What the admin socket tells of one host: its row, what is bound to it, its chores, and the jobs that wait. */
#pragma once

#include <jansson.h>

struct database;
struct error;
struct worker;

/* The answer is the caller's. -ENOENT: there is none. `worker` may be NULL: then no job is known to wait. */
int admin_host_show(struct database *database, struct worker *worker, const char *name, json_t **ret_answer,
		    struct error *error);
