/* Reasons of jobs that wait. Nothing here may wait itself: the dispatcher notes what blocks a job between two others. */
#include "server/worker/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "db/instance_actions.h"
#include "server/worker/job.h"

#define TOLD_EVERY_US 60000000

struct told_reason {
	int64_t action_id;
	char *why;
};

static int write_reason(struct db_session *session, void *context, struct error *error)
{
	const struct told_reason *told = context;

	return db_event_note(session, told->action_id, told->why, error);
}

/* One that could not be written is told with the next change: the log has the database's trouble from others. */
static void free_told(void *context, int result, const struct error *error)
{
	struct told_reason *told = context;

	(void)result;
	(void)error;
	free(told->why);
	free(told);
}

static void tell(struct worker *worker, int64_t action_id, const char *why)
{
	struct told_reason *told = calloc(1, sizeof(*told));
	char *copy = strdup(why);

	if (!told || !copy) {
		free(told);
		free(copy);
		return;
	}
	*told = (struct told_reason){ action_id, copy };
	db_submit(worker->parts.database, write_reason, free_told, told);
}

void waiting_forget(struct job_slot *slot)
{
	free(TAKE_POINTER(slot->waiting_for));
	slot->waiting_since_us = 0;
}

void waiting_note(struct worker *worker, struct job_slot *slot, const struct db_job *job, const char *why)
{
	int64_t now_us = clock_now_us(worker->parts.clock);
	bool is_new = !text_equal(slot->waiting_for, why);

	if (!slot->waiting_since_us || !text_equal(slot->waiting_phase, job->phase))
		slot->waiting_since_us = now_us;
	TEXT_COPY(slot->waiting_phase, job->phase);
	if (is_new) {
		free(slot->waiting_for);
		slot->waiting_for = strdup(why);
		slot->is_untold = true;
	}
	/* The migration's status says of a move that waits for its turn that it does. */
	if (!slot->is_untold || slot->is_waiting || !job->action_id
	    || (slot->told_us && now_us - slot->told_us < TOLD_EVERY_US))
		return;
	slot->is_untold = false;
	slot->told_us = now_us;
	tell(worker, job->action_id, why);
}

void worker_waiting_list_clear(struct worker_waiting_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].reason);
	free(list->items);
	*list = (struct worker_waiting_list){ 0 };
}

int worker_list_waiting(struct worker *worker, int64_t host_id, struct worker_waiting_list *ret_list,
			struct error *error)
{
	LOCK_SCOPE(&worker->mutex);
	size_t count = 0;

	for (const struct job_slot *slot = worker->slots; slot; slot = slot->next)
		count++;
	*ret_list = (struct worker_waiting_list){ .items = calloc(count + 1, sizeof(*ret_list->items)) };
	if (!ret_list->items)
		return error_no_memory(error);
	for (const struct job_slot *slot = worker->slots; slot; slot = slot->next) {
		struct worker_waiting *item = &ret_list->items[ret_list->count];

		if (!slot->waiting_for || slot->is_running
		    || (slot->source_host_id != host_id && slot->target_host_id != host_id))
			continue;
		*item = (struct worker_waiting){ .job_id = slot->job_id,
						 .since_us = slot->waiting_since_us,
						 .reason = strdup(slot->waiting_for) };
		if (!item->reason) {
			worker_waiting_list_clear(ret_list);
			return error_no_memory(error);
		}
		ret_list->count++;
	}
	return 0;
}
