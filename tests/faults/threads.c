/* Threads are counted where they begin and end, and waits where they are signalled: a waiter counts as awake from that moment on,
 * and not only when it gets a processor. The state is the process', since what is wrapped has no context. */
#include "tests/faults/threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

/* One that waits, on its own stack. */
struct sleeper {
	pthread_cond_t *condition;
	bool is_woken;
	struct sleeper *next;
};

static struct {
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t changed;
	pthread_t observer;
	bool is_observed;
	int threads, asleep;
	struct sleeper *sleepers;
} state = { .mutex = PTHREAD_MUTEX_INITIALIZER };

struct beginning {
	void *(*run)(void *context);
	void *context;
};

/* The names are the linker's. */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);
int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __real_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);
int __real_pthread_cond_broadcast(pthread_cond_t *condition);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_cond_broadcast(pthread_cond_t *condition);
int __wrap_pthread_cond_signal(pthread_cond_t *condition);

/* With the mutex held. */
static void tell_observer(void)
{
	if (state.is_observed && state.asleep == state.threads)
		__real_pthread_cond_broadcast(&state.changed);
}

static void count_thread(int by)
{
	pthread_mutex_lock(&state.mutex);
	state.threads += by;
	tell_observer();
	pthread_mutex_unlock(&state.mutex);
}

static void *run_counted(void *context)
{
	struct beginning beginning = *(struct beginning *)context;

	free(context);
	void *result = beginning.run(beginning.context);
	count_thread(-1);
	return result;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context)
{
	struct beginning *beginning = malloc(sizeof(*beginning));

	if (!beginning)
		return ENOMEM;
	*beginning = (struct beginning){ run, context };
	count_thread(1);
	int result = __real_pthread_create(thread, attributes, run_counted, beginning);
	if (result == 0)
		return 0;
	count_thread(-1);
	free(beginning);
	return result;
}

static bool is_observer(void)
{
	return state.is_observed && pthread_equal(pthread_self(), state.observer);
}

static void fall_asleep(struct sleeper *sleeper, pthread_cond_t *condition)
{
	*sleeper = (struct sleeper){ .condition = condition };
	if (is_observer())
		return;
	pthread_mutex_lock(&state.mutex);
	sleeper->next = state.sleepers;
	state.sleepers = sleeper;
	state.asleep++;
	tell_observer();
	pthread_mutex_unlock(&state.mutex);
}

static void wake_up(struct sleeper *sleeper)
{
	struct sleeper **link = &state.sleepers;

	if (is_observer())
		return;
	pthread_mutex_lock(&state.mutex);
	while (*link != sleeper)
		link = &(*link)->next;
	*link = sleeper->next;
	state.asleep -= !sleeper->is_woken;
	pthread_mutex_unlock(&state.mutex);
}

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
	struct sleeper sleeper;

	fall_asleep(&sleeper, condition);
	int result = __real_pthread_cond_wait(condition, mutex);
	wake_up(&sleeper);
	return result;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
	struct sleeper sleeper;

	fall_asleep(&sleeper, condition);
	int result = __real_pthread_cond_timedwait(condition, mutex, until);
	wake_up(&sleeper);
	return result;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *condition)
{
	pthread_mutex_lock(&state.mutex);
	for (struct sleeper *sleeper = state.sleepers; sleeper; sleeper = sleeper->next) {
		if (sleeper->condition != condition || sleeper->is_woken)
			continue;
		sleeper->is_woken = true;
		state.asleep--;
	}
	pthread_mutex_unlock(&state.mutex);
	return __real_pthread_cond_broadcast(condition);
}

/* Which one wakes cannot be told, so that all do, as they may at any time. */
int __wrap_pthread_cond_signal(pthread_cond_t *condition)
{
	return __wrap_pthread_cond_broadcast(condition);
}

void threads_observe(void)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&state.changed, &attributes);
	pthread_condattr_destroy(&attributes);
	state.observer = pthread_self();
	state.is_observed = true;
	state.threads = state.asleep = 0;
	state.sleepers = NULL;
}

bool threads_wait_asleep(int timeout_ms)
{
	struct timespec until;
	int result = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	pthread_mutex_lock(&state.mutex);
	while (state.asleep != state.threads && result == 0)
		result = __real_pthread_cond_timedwait(&state.changed, &state.mutex, &until);
	bool is_asleep = state.asleep == state.threads;
	pthread_mutex_unlock(&state.mutex);
	return is_asleep;
}
