/* Requests that wait for the dispatcher's verdict on their job (live migrations below 2.34). */
#pragma once

#include "api/request.h"

struct verdicts;

/* Watches the database's jobs from now on: before its first write. */
int verdicts_create(struct database *database, struct verdicts **ret_verdicts, struct error *error);
/* After the database's last commit. Nobody may wait any more. */
void verdicts_destroy(struct verdicts *verdicts);

/* Answers the request once the job has a verdict. On the writer's thread, right after the job's commit, so that no verdict
 * can be missed. Takes over the request. */
void verdicts_wait(struct verdicts *verdicts, int64_t job_id, struct request *request);
