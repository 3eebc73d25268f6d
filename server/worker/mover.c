/* The blocking call of a live migration. It may outlive the job's run: when the daemon stops, and when it does not return
 * though the guest has stopped moving (libvirt 9 waits for ever for a guest that went off while its disk was copied). */
#include "server/worker/mover.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/job.h"

/* libvirt's call returns within 2 s after the guest runs on the target or was given up there; a disk's end takes longer. */
#define RETURN_MS 20000
/* Before its job is seen for the first time: connections are made, and a host that is new to it probes its QEMU. */
#define BEGIN_MS 120000

struct mover {
	struct worker *worker;
	struct hypervisor_host *source, *target;
	char uuid[UUID_SIZE];
	struct live_options options;
	char *migration_address; /* the options' */
	bool copies_disks;
	pthread_cond_t ended;
	bool has_ended;
	bool is_abandoned; /* nobody waits any more: it frees itself */
	int result;
	struct error error;
};

static void mover_free(struct mover *mover)
{
	pthread_cond_destroy(&mover->ended);
	free(mover->migration_address);
	free(mover);
}

static void *move_thread(void *context)
{
	struct mover *mover = context;
	struct worker *worker = mover->worker;
	struct error error = { 0 };
	int result = worker->parts.hypervisor->operations->migrate_live(mover->source, mover->target, mover->uuid,
									&mover->options, mover->copies_disks, &error);

	pthread_mutex_lock(&worker->mutex);
	mover->result = result;
	mover->error = error;
	mover->has_ended = true;
	worker->moving--;
	pthread_cond_broadcast(&worker->wake);
	bool is_abandoned = mover->is_abandoned;
	pthread_cond_broadcast(&mover->ended);
	pthread_mutex_unlock(&worker->mutex);
	if (is_abandoned)
		mover_free(mover);
	return NULL;
}

/* NULL when out of memory. */
static struct mover *mover_create(const struct job_run *run, const struct live_options *options, bool copies_disks)
{
	struct mover *mover = calloc(1, sizeof(*mover));

	if (!mover)
		return NULL;
	*mover = (struct mover){ .worker = run->worker,
				 .source = run->source,
				 .target = run->target,
				 .options = *options,
				 .copies_disks = copies_disks };
	clock_condition_init(&mover->ended);
	mover->migration_address = options->migration_address ? strdup(options->migration_address) : NULL;
	mover->options.migration_address = mover->migration_address;
	TEXT_COPY(mover->uuid, run->job.server_uuid);
	if (options->migration_address && !mover->migration_address) {
		mover_free(mover);
		return NULL;
	}
	return mover;
}

/* Whether the guest has not been seen to move for so long that the call should have returned. */
static bool is_overdue(const struct job_run *run, const struct move_watch *watch, int64_t *inactive_since_ms)
{
	int64_t now_ms = clock_monotonic_ms(run->worker->parts.clock);

	if (watch->is_active)
		*inactive_since_ms = 0;
	else if (!*inactive_since_ms)
		*inactive_since_ms = now_ms;
	return *inactive_since_ms && now_ms - *inactive_since_ms >= (watch->was_active ? RETURN_MS : BEGIN_MS);
}

/* With the mutex held. True when the call is to be left to itself. */
static bool wait_for_end(struct job_run *run, struct mover *mover)
{
	struct worker *worker = run->worker;
	struct move_watch watch;
	int64_t inactive_since_ms = 0;

	watch_begin(run, &watch);
	while (!mover->has_ended && !worker->is_stopping) {
		clock_wait(worker->parts.clock, &mover->ended, &worker->mutex,
			   clock_monotonic_ms(worker->parts.clock) + run->limits->settings.poll_interval_ms);
		if (mover->has_ended || worker->is_stopping)
			break;
		pthread_mutex_unlock(&worker->mutex);
		watch_once(run, &watch);
		pthread_mutex_lock(&worker->mutex);
		if (!mover->has_ended && is_overdue(run, &watch, &inactive_since_ms))
			return true;
	}
	return false;
}

int mover_run(struct job_run *run, const struct live_options *options, bool copies_disks, struct error *error)
{
	struct worker *worker = run->worker;
	struct mover *mover = mover_create(run, options, copies_disks);
	pthread_t thread;

	if (!mover)
		return error_no_memory(error);
	pthread_mutex_lock(&worker->mutex);
	int result = pthread_create(&thread, NULL, move_thread, mover);
	bool is_overdue = false;
	if (result == 0) {
		pthread_detach(thread);
		worker->moving++;
		is_overdue = wait_for_end(run, mover);
	}
	mover->is_abandoned = result == 0 && !mover->has_ended;
	bool is_abandoned = mover->is_abandoned;
	pthread_mutex_unlock(&worker->mutex);
	if (is_abandoned && is_overdue) {
		job_operations(run)->interrupt(run->source);
		return error_set(error, ETIMEDOUT,
				 "host %s: the migration of server %s does not return though it is not under way any "
				 "more",
				 run->source_name, run->job.server_uuid);
	}
	if (is_abandoned)
		return error_set(error, EAGAIN, "the daemon stops; the move of server %s goes on",
				 run->job.server_uuid);
	if (result > 0)
		result = error_set_errno(error, result, "cannot start a thread");
	else if ((result = mover->result) < 0)
		*error = mover->error;
	mover_free(mover);
	return result == -EAGAIN ? -EIO : result;
}
