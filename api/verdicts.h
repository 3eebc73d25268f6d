/* Requests that wait for the dispatcher's verdict on their job (live migrations below 2.34). */
#pragma once

#include "api/request.h"

struct verdicts;

/* Watches the database's jobs from now on: before its first write. Whoever waited for `wait_timeout_s` is answered 202: the
 * job is durable and goes on, and its outcome stands on the migration, as for everybody from 2.34 on. 0: no limit. */
int verdicts_create(struct database *database, struct clock *clock, int64_t wait_timeout_s,
		    struct verdicts **ret_verdicts, struct error *error);
/* Answers all who wait, as after the time limit, and from now on whoever comes, at once. */
void verdicts_stop(struct verdicts *verdicts);
/* After the database's last commit. */
void verdicts_destroy(struct verdicts *verdicts); /* NULL is fine */

/* Answers the request once the job has a verdict. On the writer's thread, right after the job's commit, so that no verdict
 * can be missed. Takes over the request. */
void verdicts_wait(struct verdicts *verdicts, int64_t job_id, struct request *request);
