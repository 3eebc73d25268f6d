/* The check of all invariants for the admin socket: on a thread of its own, one at a time, so that nobody else waits for
 * hosts that do not answer. */
#pragma once

#include <jansson.h>

struct admin_doctor;
struct database;
struct error;
struct hypervisor;

/* The longest that a check takes, by its own limits, and a little more. */
#define ADMIN_DOCTOR_LIMIT_S 75

/* Called once, on the check's thread. The answer is the callee's, NULL when `error` is not. */
typedef void (*admin_doctor_fn)(void *context, json_t *answer, const struct error *error);

int admin_doctor_create(struct database *database, struct hypervisor *hypervisor, struct admin_doctor **ret_doctor,
			struct error *error);
/* -EBUSY while a check is under way. The answer is {"findings": [{"invariant", "is_broken", "server", "host", "found",
 * "advice"}, …], "broken": N, "hosts": N, "servers": N}: hosts that answered, servers of the database. */
int admin_doctor_begin(struct admin_doctor *doctor, admin_doctor_fn on_end, void *context, struct error *error);
/* Breaks a check off, and waits for its end. */
void admin_doctor_destroy(struct admin_doctor *doctor); /* NULL is fine */
