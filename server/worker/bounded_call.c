/* How a call is bounded: it runs in a thread of its own, which is left to itself when the time is up. Its one difficulty: what
 * it was given belongs to a caller that has gone by then. */
#include "server/worker/bounded_call.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "server/worker/bounded_driver.h"

struct bounded_call *bounded_call_create(struct hypervisor_host *host, const char *uuid, const char *what,
					 bool is_change, void (*run)(struct bounded_call *call))
{
	struct bounded_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->host = host;
	call->what = what;
	call->is_change = is_change;
	call->run = run;
	TEXT_COPY(call->uuid, uuid ? uuid : "");
	clock_condition_init(&call->ended);
	pthread_mutex_init(&call->caller_mutex, NULL);
	return call;
}

void bounded_call_free(struct bounded_call *call)
{
	if (call->free_answer)
		call->free_answer(call);
	for (size_t i = 0; i < call->volume_count; i++) {
		free((char *)call->volumes[i].pool);
		free((char *)call->volumes[i].name);
	}
	free(call->volumes);
	free(call->text);
	free((char *)call->options.migration_address);
	pthread_mutex_destroy(&call->caller_mutex);
	pthread_cond_destroy(&call->ended);
	free(call);
}

bool bounded_call_take_volumes(struct bounded_call *call, const struct hypervisor_volume *volumes, size_t count)
{
	call->volumes = calloc(count + 1, sizeof(*call->volumes));
	if (!call->volumes)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct hypervisor_volume *copy = &call->volumes[call->volume_count++];

		*copy = (struct hypervisor_volume){ strdup(volumes[i].pool), strdup(volumes[i].name),
						    volumes[i].bytes };
		if (!copy->pool || !copy->name)
			return false;
	}
	return true;
}

static int abandoned(struct error *error)
{
	return error_set(error, ECANCELED, "nobody waits for this any more");
}

static int journal_begin(void *context, const char *pool, const char *name, int64_t bytes, int64_t *ret_volume_id,
			 struct error *error)
{
	struct bounded_call *call = context;
	LOCK_SCOPE(&call->caller_mutex);

	return call->is_abandoned
		       ? abandoned(error)
		       : call->journal->begin(call->journal->context, pool, name, bytes, ret_volume_id, error);
}

static int journal_complete(void *context, int64_t volume_id, struct error *error)
{
	struct bounded_call *call = context;
	LOCK_SCOPE(&call->caller_mutex);

	return call->is_abandoned ? abandoned(error)
				  : call->journal->complete(call->journal->context, volume_id, error);
}

static int journal_forget(void *context, int64_t volume_id, struct error *error)
{
	struct bounded_call *call = context;
	LOCK_SCOPE(&call->caller_mutex);

	return call->is_abandoned ? abandoned(error) : call->journal->forget(call->journal->context, volume_id, error);
}

struct volume_journal bounded_call_journal(struct bounded_call *call)
{
	return (struct volume_journal){ journal_begin, journal_complete, journal_forget, call };
}

bool bounded_call_is_cancelled(void *context)
{
	struct bounded_call *call = context;
	LOCK_SCOPE(&call->caller_mutex);

	atomic_store(&call->asked_ms, clock_monotonic_ms(call->bounded->clock));
	return call->is_abandoned || (call->is_cancelled && call->is_cancelled(call->context));
}

bool bounded_is_stuck(struct hypervisor_host *host, const char *uuid)
{
	struct bounded *bounded = bounded_of(host);
	LOCK_SCOPE(&bounded->mutex);

	for (const struct bounded_call *call = bounded->stuck; call; call = call->next_stuck)
		if (call->is_change && text_equal(call->uuid, uuid) && (call->host == host || call->other == host))
			return true;
	return false;
}

static void forget_stuck(struct bounded *bounded, struct bounded_call *call)
{
	struct bounded_call **link = &bounded->stuck;

	while (*link != call)
		link = &(*link)->next_stuck;
	*link = call->next_stuck;
}

static void *call_thread(void *context)
{
	struct bounded_call *call = context;
	struct bounded *bounded = call->bounded;

	call->run(call);
	pthread_mutex_lock(&bounded->mutex);
	call->has_ended = true;
	pthread_cond_broadcast(&call->ended);
	bool is_abandoned = call->is_abandoned;
	if (is_abandoned)
		forget_stuck(bounded, call);
	pthread_mutex_unlock(&bounded->mutex);
	if (is_abandoned)
		bounded_call_free(call);
	return NULL;
}

/* True when the time came before the end: from then on the call belongs to its thread. */
static bool wait_or_abandon(struct bounded_call *call, int64_t bound_ms)
{
	struct bounded *bounded = call->bounded;

	pthread_mutex_lock(&bounded->mutex);
	while (!call->has_ended && clock_monotonic_ms(bounded->clock) < atomic_load(&call->asked_ms) + bound_ms)
		clock_wait(bounded->clock, &call->ended, &bounded->mutex, atomic_load(&call->asked_ms) + bound_ms);
	pthread_mutex_unlock(&bounded->mutex);
	/* In this order, since the caller's journal takes locks of its own while it is asked. */
	LOCK_SCOPE(&call->caller_mutex);
	LOCK_SCOPE(&bounded->mutex);
	if (call->has_ended)
		return false;
	call->is_abandoned = true;
	call->next_stuck = bounded->stuck;
	bounded->stuck = call;
	return true;
}

struct bounded_call *bounded_call_do(struct bounded_call *call, int64_t bound_ms, int *ret_result, struct error *error)
{
	struct hypervisor_host *host = call->host, *other = call->other;
	const char *what = call->what;
	pthread_t thread;

	call->bounded = bounded_of(host);
	if (call->is_change && (bounded_is_stuck(host, call->uuid) || (other && bounded_is_stuck(other, call->uuid)))) {
		*ret_result = error_set(error, EBUSY,
					"an earlier call upon server %s has not returned: its libvirtd may have to be "
					"restarted",
					call->uuid);
		bounded_call_free(call);
		return NULL;
	}
	atomic_store(&call->asked_ms, clock_monotonic_ms(call->bounded->clock));
	int failed = pthread_create(&thread, NULL, call_thread, call);
	if (failed) {
		*ret_result = error_set_errno(error, failed, "cannot start a thread");
		bounded_call_free(call);
		return NULL;
	}
	pthread_detach(thread);
	if (!wait_or_abandon(call, bound_ms)) {
		*ret_result = call->result;
		if (call->result < 0 && error)
			*error = call->error;
		return call;
	}
	const struct hypervisor_operations *inner = bounded_of(host)->inner->operations;
	inner->interrupt(bounded_inner(host));
	if (other)
		inner->interrupt(bounded_inner(other));
	*ret_result = error_set(error, ETIMEDOUT, "host %s%s%s: %s did not return within %lld s: it may still happen",
				bounded_name(host), other ? " or " : "", other ? bounded_name(other) : "", what,
				(long long)bound_ms / 1000);
	return NULL;
}
